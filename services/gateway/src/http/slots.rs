//! Where a slot of the log is: every replica is asked what its own disk has.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use proto::v1::chat_client::ChatClient;
use proto::v1::{GetSlotRequest, GetSlotResponse};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::Channel;

use crate::app::App;
use crate::cluster::SHARD;
use crate::errors::Error;
use crate::frames::{CopyState, SlotAnswer, SlotCopy};
use crate::http::Caller;
use crate::ids::{NodeId, Slot};

/// Whoever looks behind a message does not wait longer for a replica that is away.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_000);

/// `GET /api/v1/slots/{slot}`. A slot holds no secret here: who has it, and its ballot.
pub(crate) async fn slot(
    State(app): State<Arc<App>>,
    Caller(_): Caller,
    Path(slot): Path<String>,
) -> Result<Json<SlotAnswer>, Error> {
    let number = slot.parse::<u64>();
    let slot =
        number.map_err(|_| Error::bad_request(format!("slot {slot}: a number is wanted")))?;
    let view = app.cluster.view();
    let mut asked = JoinSet::new();
    for node in &view.nodes {
        let channel = app.channels.get(&node.address).map(|pair| pair.unary);
        asked.spawn(copy(node.id, channel, slot));
    }
    let mut copies = asked.join_all().await;
    copies.sort_by_key(|copy| copy.node);
    Ok(Json(SlotAnswer {
        slot: Slot(slot),
        copies,
    }))
}

async fn copy(node: NodeId, channel: Option<Channel>, slot: u64) -> SlotCopy {
    let answer = ask(channel, slot).await;
    let ballot = answer.as_ref().and_then(|answer| answer.ballot);
    let state = match &answer {
        None => CopyState::Silent,
        Some(_) if ballot.is_some() => CopyState::Here,
        Some(answer) if slot <= answer.compacted_to => CopyState::Compacted,
        Some(_) => CopyState::Missing,
    };
    SlotCopy {
        node,
        name: format!("r{}", node.0),
        state,
        ballot: ballot.map(|ballot| format!("{}.{}", ballot.round, ballot.node)),
        applied: answer.is_some_and(|answer| answer.applied >= slot),
    }
}

/// `None`: it does not answer.
async fn ask(channel: Option<Channel>, slot: u64) -> Option<GetSlotResponse> {
    let mut chat = ChatClient::new(channel?);
    let request = GetSlotRequest { shard: SHARD, slot };
    let answer = timeout(ANSWER_WITHIN, chat.get_slot(request)).await.ok()?;
    Some(answer.ok()?.into_inner())
}
