//! The applied log from a slot on, without a hole: what was missed from the state, then live.

use std::sync::Arc;

use paxos::ids::Slot;
use proto::v1::TailResponse;
use tokio::sync::mpsc;
use tonic::Status;

use crate::errors::Refused;
use crate::limits::TAIL_EFFECTS_MAX;
use crate::role::Member;
use crate::tail::{Subscription, answers};

/// Answers between this task and the transport, which has a window of its own.
const ANSWERS_READY_MAX: usize = 4;

type Answers = mpsc::Sender<Result<TailResponse, Status>>;

/// Why the stream ends.
enum End {
    /// Nobody reads any more.
    Gone,
    /// And the reader is to know why.
    Because(Refused),
}

impl From<Refused> for End {
    fn from(refused: Refused) -> Self {
        Self::Because(refused)
    }
}

/// Starts to send what was applied after a slot; after 0: what is applied from now on.
pub(super) fn start(
    member: Arc<Member>,
    after_slot: u64,
) -> Result<mpsc::Receiver<Result<TailResponse, Status>>, Refused> {
    let (sender, receiver) = mpsc::channel(ANSWERS_READY_MAX);
    // A reader from now on has to be in before this call returns.
    let live = match after_slot {
        0 => Some(subscribe(&member)?),
        _ => None,
    };
    tokio::spawn(async move {
        let ended = tokio::select! {
            ended = follow(&member, after_slot, live, &sender) => ended,
            () = member.stop.cancelled() => End::Because(Refused::Stopping),
        };
        if let End::Because(refused) = ended {
            // Closed: nobody reads.
            let _ = sender.try_send(Err(refused.into()));
        }
    });
    Ok(receiver)
}

fn subscribe(member: &Member) -> Result<Subscription, Refused> {
    member
        .hub
        .subscribe()
        .ok_or(Refused::Busy("readers of the live log"))
}

async fn follow(
    member: &Member,
    after_slot: u64,
    live: Option<Subscription>,
    sender: &Answers,
) -> End {
    let ended = match live {
        Some(live) => {
            let sent = live.from;
            go_live(live, sent, sender).await
        }
        None => catch_up(member, Slot(after_slot).max(Slot::GENESIS), sender).await,
    };
    ended.unwrap_or_else(|end| end)
}

/// Reads most of what was missed before it subscribes, because nothing queues meanwhile; then
/// subscribes, reads the rest up to there, and goes live.
async fn catch_up(member: &Member, after: Slot, sender: &Answers) -> Result<End, End> {
    let sent = replay(member, after, member.signals.applied(), sender).await?;
    let live = subscribe(member)?;
    let sent = replay(member, sent, live.from, sender).await?;
    go_live(live, sent, sender).await
}

/// Sends what was applied in `(after, upto]`; gives the last slot sent.
async fn replay(member: &Member, after: Slot, upto: Slot, sender: &Answers) -> Result<Slot, End> {
    let mut sent = after;
    while sent < upto {
        let from = sent;
        let page = member
            .reads
            .read(upto.0, move |reader| {
                reader.effects_between(from, upto, TAIL_EFFECTS_MAX)
            })
            .await?
            .value;
        for answer in answers(page.slots, page.upto) {
            send(sender, answer).await?;
        }
        if page.upto <= sent {
            return Err(Refused::Bad("the replay does not advance".to_owned()).into());
        }
        sent = page.upto;
    }
    Ok(sent)
}

/// Sends what is applied above `sent`. A reader that is ahead of this replica (it comes from
/// another one) gets what it does not have.
async fn go_live(mut live: Subscription, sent: Slot, sender: &Answers) -> Result<End, End> {
    // Tells the reader where it stands, although nothing may happen for hours.
    send(
        sender,
        TailResponse {
            slot: sent.0,
            ..TailResponse::default()
        },
    )
    .await?;
    loop {
        let Some(group) = live.next().await.map_err(|_| Refused::Lagging)? else {
            return Ok(End::Because(Refused::Stopping));
        };
        for answer in group.into_iter().filter(|answer| answer.slot > sent.0) {
            send(sender, above(answer, sent)).await?;
        }
    }
}

/// Only what is above `sent`: one answer may hold several slots.
fn above(mut answer: TailResponse, sent: Slot) -> TailResponse {
    use proto::v1::effect::Kind;
    answer.effects.retain(|effect| match &effect.kind {
        Some(Kind::Room(event)) => event.slot > sent.0,
        Some(Kind::User(event)) => event.slot > sent.0,
        None => true,
    });
    answer.traces.retain(|traced| traced.slot > sent.0);
    answer
}

async fn send(sender: &Answers, answer: TailResponse) -> Result<(), End> {
    sender.send(Ok(answer)).await.map_err(|_| End::Gone)
}

#[cfg(test)]
mod tests {
    use super::above;
    use paxos::ids::Slot;
    use proto::v1::{Effect, RoomEvent, TailResponse, effect::Kind};

    #[test]
    fn a_reader_that_is_ahead_gets_nothing_twice() {
        let effect = |slot| {
            let event = RoomEvent {
                slot,
                ..RoomEvent::default()
            };
            Effect {
                kind: Some(Kind::Room(event)),
            }
        };
        let answer = TailResponse {
            slot: 1026,
            effects: vec![effect(1024), effect(1025), effect(1026)],
            ..TailResponse::default()
        };
        let left = above(answer, Slot(1025));
        assert_eq!(left.effects, [effect(1026)]);
        assert_eq!(left.slot, 1026);
    }
}
