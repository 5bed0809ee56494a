//! Commands on their way into slots: gathered while the pipeline is busy, one batch per slot.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use ops::traces::Live;
use paxos::limits::{BATCH_BYTES_MAX, BATCH_COMMANDS_MAX};
use prost::Message as _;
use proto::v1::Command;

use crate::limits::{GATHERED_BYTES_MAX, PIPELINE_SLOTS};
use crate::waiters::{Fresh, Key};

/// Tag and length of a command within a batch, at most.
const COMMAND_FRAME_BYTES: usize = 1 + 5;
/// The fields of a batch around its commands, at most.
const BATCH_FRAME_BYTES: usize = 16;

/// The commands of one slot.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Whose answers it brings, in order.
    pub(crate) keys: Vec<Key>,
    /// What goes into the log.
    pub(crate) payload: Bytes,
    /// When the first of its commands came.
    pub(crate) since: Instant,
    /// The spans of those of its commands that are traced.
    pub(crate) traces: Vec<Live>,
}

/// Commands that wait for a slot.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    commands: VecDeque<(Fresh, Instant)>,
    bytes: usize,
    /// A batch that the core had no room for.
    returned: Option<Batch>,
}

/// How many bytes a command takes in a batch.
pub(crate) fn weight_bytes(command: &Command) -> usize {
    command.encoded_len() + COMMAND_FRAME_BYTES
}

/// Whether a command of this weight fits a batch at all.
pub(crate) const fn fits(weight_bytes: usize) -> bool {
    weight_bytes + BATCH_FRAME_BYTES <= BATCH_BYTES_MAX
}

impl Gather {
    /// Takes a command, or gives its key back when too much waits already.
    pub(crate) fn push(&mut self, fresh: Fresh) -> Option<Key> {
        if self.bytes.saturating_add(fresh.bytes) > GATHERED_BYTES_MAX {
            return Some(fresh.key);
        }
        self.bytes += fresh.bytes;
        self.commands.push_back((fresh, Instant::now()));
        None
    }

    /// The next batch, if it is time for it: at once while the pipeline has room, and when a
    /// batch is full in any case. So there is no timer: an idle replica proposes at once, and a
    /// busy one fills its batches while it waits for the disks.
    pub(crate) fn next_batch(&mut self, undecided_slots: u64) -> Option<Batch> {
        if undecided_slots >= PIPELINE_SLOTS && !self.is_full() {
            return None;
        }
        if let Some(batch) = self.returned.take() {
            return Some(batch);
        }
        let mut keys = Vec::new();
        let mut commands = Vec::new();
        let mut traces = Vec::new();
        let mut since = None;
        let mut bytes = BATCH_FRAME_BYTES;
        while let Some((next, _)) = self.commands.front() {
            if commands.len() == BATCH_COMMANDS_MAX || bytes + next.bytes > BATCH_BYTES_MAX {
                break;
            }
            let Some((fresh, came)) = self.commands.pop_front() else {
                break;
            };
            bytes += fresh.bytes;
            self.bytes -= fresh.bytes;
            since.get_or_insert(came);
            keys.push(fresh.key);
            commands.push(fresh.command);
            traces.extend(fresh.trace);
        }
        let since = since?;
        let payload = machine::encode_batch(commands);
        assert!(payload.len() <= BATCH_BYTES_MAX, "a batch fits a slot");
        Some(Batch {
            keys,
            payload,
            since,
            traces,
        })
    }

    /// Puts a batch back that the core had no room for. It goes first when there is some.
    pub(crate) fn give_back(&mut self, batch: Batch) {
        assert!(self.returned.is_none(), "one batch is proposed at a time");
        self.returned = Some(batch);
    }

    /// Gives up on everything that waits: the keys.
    pub(crate) fn drain(&mut self) -> Vec<Key> {
        self.bytes = 0;
        let returned = self
            .returned
            .take()
            .map(|batch| batch.keys)
            .unwrap_or_default();
        returned
            .into_iter()
            .chain(self.commands.drain(..).map(|(fresh, _)| fresh.key))
            .collect()
    }

    /// Whether there is more than a slot takes.
    fn is_full(&self) -> bool {
        self.returned.is_none()
            && (self.commands.len() >= BATCH_COMMANDS_MAX || self.bytes >= BATCH_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::{Batch as WireBatch, PostMessage, command};

    fn message(number: u64, length: usize) -> Fresh {
        let mut cid = [0; 16];
        cid[..8].copy_from_slice(&number.to_be_bytes());
        let post = PostMessage {
            room: 1,
            body: "x".repeat(length),
            reply_to: 0,
        };
        let command = Command {
            cid: cid.to_vec().into(),
            author: 1,
            body: Some(command::Body::PostMessage(post)),
            ..Command::default()
        };
        let weight = weight_bytes(&command);
        Fresh {
            key: Key { author: 1, cid },
            command,
            bytes: weight,
            trace: None,
        }
    }

    fn commands(batch: &Batch) -> usize {
        let decoded = WireBatch::decode(batch.payload.as_ref()).expect("a batch");
        assert_eq!(decoded.commands.len(), batch.keys.len());
        decoded.commands.len()
    }

    #[test]
    fn an_idle_pipeline_takes_one_command_at_once() {
        let mut gather = Gather::default();
        assert!(gather.next_batch(0).is_none());
        assert!(gather.push(message(1, 10)).is_none());
        assert_eq!(commands(&gather.next_batch(0).expect("at once")), 1);
    }

    #[test]
    fn a_busy_pipeline_gathers_until_a_batch_is_full() {
        let mut gather = Gather::default();
        for number in 0..BATCH_COMMANDS_MAX as u64 - 1 {
            assert!(gather.push(message(number, 10)).is_none());
        }
        assert!(gather.next_batch(PIPELINE_SLOTS).is_none());
        assert!(gather.push(message(u64::MAX, 10)).is_none());
        let batch = gather.next_batch(PIPELINE_SLOTS).expect("full");
        assert_eq!(commands(&batch), BATCH_COMMANDS_MAX);
        assert!(gather.next_batch(0).is_none());
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_and_nothing_is_lost() {
        let mut gather = Gather::default();
        for number in 0..100 {
            assert!(gather.push(message(number, 16_000)).is_none());
        }
        let mut taken = 0;
        while let Some(batch) = gather.next_batch(0) {
            assert!(batch.payload.len() <= BATCH_BYTES_MAX);
            taken += commands(&batch);
        }
        assert_eq!(taken, 100);
        assert_eq!(gather.bytes, 0);
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let mut gather = Gather::default();
        let refused = (0..).find(|&number| gather.push(message(number, 16_000)).is_some());
        assert!(refused.is_some_and(|count| count > 500));
    }

    #[test]
    fn a_returned_batch_goes_first() {
        let mut gather = Gather::default();
        gather.push(message(1, 10));
        let first = gather.next_batch(0).expect("at once");
        let keys = first.keys.clone();
        gather.push(message(2, 10));
        gather.give_back(first);
        assert!(gather.next_batch(PIPELINE_SLOTS).is_none());
        assert_eq!(gather.next_batch(0).expect("the first").keys, keys);
        assert_eq!(gather.drain().len(), 1);
    }
}
