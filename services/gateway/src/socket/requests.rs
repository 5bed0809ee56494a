//! What a client asks for, as commands of the log; and their outcomes, as frames.

use proto::v1::outcome::Result as Did;
use proto::v1::{CreateRoom, JoinRoom, LeaveRoom, Outcome, PostMessage, command};

use crate::errors::Error;
use crate::frames::{ClientFrame, ServerFrame};
use crate::ids::{Cid, MsgNo, RoomId, Seq, Slot};
use crate::validate;

/// A request that goes into the log.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) cid: Cid,
    pub(super) body: command::Body,
    /// Whether the client hears of its progress.
    pub(super) progress: bool,
}

/// The request in a frame. `None`: the frame is none. An error goes to the client under the
/// `cid` beside it.
pub(super) fn of(frame: ClientFrame) -> Option<Result<Request, (Cid, Error)>> {
    let (cid, body) = match frame {
        ClientFrame::Send {
            cid,
            room,
            body,
            reply_to,
        } => (cid, post(room, body, reply_to)),
        ClientFrame::Create { cid, name } => {
            let name = validate::room_name(&name).map(str::to_owned);
            (
                cid,
                name.map(|name| command::Body::CreateRoom(CreateRoom { name })),
            )
        }
        ClientFrame::Join { cid, room } => {
            (cid, Ok(command::Body::JoinRoom(JoinRoom { room: room.0 })))
        }
        ClientFrame::Leave { cid, room } => (
            cid,
            Ok(command::Body::LeaveRoom(LeaveRoom { room: room.0 })),
        ),
        ClientFrame::Start { .. } | ClientFrame::Resume { .. } | ClientFrame::Ping { .. } => {
            return None;
        }
    };
    Some(match body {
        Ok(body) => {
            let progress = matches!(body, command::Body::PostMessage(_));
            Ok(Request {
                cid,
                body,
                progress,
            })
        }
        Err(error) => Err((cid, error)),
    })
}

fn post(room: RoomId, body: String, reply_to: Option<Seq>) -> Result<command::Body, Error> {
    validate::body(&body)?;
    let reply_to = reply_to.map_or(0, |seq| seq.0);
    Ok(command::Body::PostMessage(PostMessage {
        room: room.0,
        body,
        reply_to,
    }))
}

/// The frame that answers a request.
pub(super) fn answer(cid: Cid, result: Result<Outcome, Error>) -> ServerFrame {
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => return error.frame(Some(cid)),
    };
    let (slot, dup) = (Slot(outcome.slot), outcome.duplicate);
    match outcome.result {
        Some(Did::MessagePosted(posted)) => ServerFrame::Ack {
            cid,
            room: RoomId(posted.room),
            seq: Seq(posted.seq),
            msg_no: MsgNo(posted.msg_no),
            slot,
            ts: posted.timestamp_ms,
            dup,
        },
        Some(Did::RoomChanged(changed)) => ServerFrame::Done {
            cid,
            room: RoomId(changed.room),
            slot,
            dup,
        },
        Some(Did::Refusal(refusal)) => Error::refused(&refusal).frame(Some(cid)),
        other => {
            // The cid was used before for something that no socket asks for.
            tracing::warn!(%cid, ?other, "an outcome of another kind of request");
            let message = "cid: it was used before for another kind of request";
            Error::bad_request(message).frame(Some(cid))
        }
    }
}
