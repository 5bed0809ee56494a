//! Before load begins: accounts, rooms, members.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use gateway::frames::{ClientFrame, RoomSeqs, ServerFrame};
use gateway::ids::{Cid, RoomId, Slot, Useq};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use crate::limits::{CONNECT_TIMEOUT, SETUP_TIMEOUT};
use crate::wire::{Account, Socket};

/// Makes a room and returns its id.
pub(crate) async fn create_room(gateways: &[String], account: &Account, name: &str) -> Result<u64> {
    let cid = Cid(Uuid::now_v7());
    let frame = ClientFrame::Create {
        cid,
        name: name.to_owned(),
        private: false,
    };
    let done = request(gateways, account, cid, &frame).await;
    done.with_context(|| format!("make the room {name}"))
}

/// Joins a room.
pub(crate) async fn join(gateways: &[String], account: &Account, room: u64) -> Result<()> {
    let cid = Cid(Uuid::now_v7());
    let frame = ClientFrame::Join {
        cid,
        room: RoomId(room),
    };
    let done = request(gateways, account, cid, &frame).await;
    done.with_context(|| format!("join room {room}"))?;
    Ok(())
}

/// Sends a frame until it is done, over new connections if need be, and returns the room.
async fn request(
    gateways: &[String],
    account: &Account,
    cid: Cid,
    frame: &ClientFrame,
) -> Result<u64> {
    let deadline = Instant::now() + SETUP_TIMEOUT;
    for gateway in gateways.iter().cycle() {
        let tried = timeout(CONNECT_TIMEOUT, attempt(gateway, account, cid, frame)).await;
        match tried {
            Ok(Ok(Some(room))) => return Ok(room),
            Ok(Ok(None)) => bail!("refused for good: {frame:?}"),
            other => ensure!(Instant::now() < deadline, "{other:?}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
    bail!("there is no gateway")
}

/// The room of `done`; nothing when it was refused for good.
async fn attempt(
    gateway: &str,
    account: &Account,
    cid: Cid,
    frame: &ClientFrame,
) -> Result<Option<u64>> {
    let mut socket = Socket::open(gateway, account).await?;
    let start = ClientFrame::Start {
        useq: Useq(0),
        min_slot: Slot(0),
        rooms: RoomSeqs::default(),
        focus: None,
    };
    socket.write(text(&start)?).await?;
    loop {
        match serde_json::from_str(&socket.next().await?)? {
            ServerFrame::Ready { .. } => socket.write(text(frame)?).await?,
            ServerFrame::Done {
                cid: done, room, ..
            } if done == cid => return Ok(Some(room.0)),
            ServerFrame::Err {
                reference,
                temporary,
                message,
                ..
            } if reference == Some(cid) => {
                ensure!(!temporary, "{message}");
                return Ok(None);
            }
            _ => {}
        }
    }
}

/// A frame as it travels.
pub(crate) fn text(frame: &ClientFrame) -> Result<Message> {
    Ok(Message::text(serde_json::to_string(frame)?))
}
