//! Executes what the core asks for, in order.

use std::sync::Arc;

use paxos::ids::{NodeId, Slot};
use paxos::limits::PAGE_BYTES;
use paxos::message::{Message, Rows};
use paxos::output::{Event, Output, PersistOp};

use super::{Driver, End};
use crate::failpoints;
use crate::metrics::METRICS;
use crate::peers::Peers;
use crate::signals::Signals;

impl Driver {
    /// Executes all outputs of this turn.
    pub(super) fn execute(&mut self) {
        let mut outputs = std::mem::take(&mut self.out);
        let sends_rows = outputs.iter().any(sends_rows);
        if sends_rows {
            failpoints::pass(failpoints::BEFORE_SEND_ACCEPT);
        }
        for output in outputs.drain(..) {
            self.execute_one(output);
        }
        // The vector is used again; nothing was added to `self.out` meanwhile.
        self.out = outputs;
        self.apply.flush();
        if sends_rows {
            self.pass_after_send();
        }
    }

    fn execute_one(&mut self, output: Output) {
        match output {
            Output::Persist { seq, ops } => {
                if ops.iter().any(|op| matches!(op, PersistOp::Accept(_))) {
                    failpoints::pass(failpoints::BEFORE_PERSIST);
                }
                self.traces.note_persisting(seq, &ops);
                // Stopped: it has reported why and ends the process, or the process ends.
                let _ = self.wal.persist(seq, ops);
            }
            Output::Send { to, message } => {
                let traces = self.traces.of(&message);
                self.peers.send_traced(to, message, traces);
            }
            Output::Apply { entries } => {
                self.trim.note_handed_out(&entries);
                self.apply.push(entries);
            }
            Output::ServeRows {
                to,
                from,
                upto,
                compacted_to,
            } => self.serve_rows(to, from, upto, compacted_to),
            Output::Proposed { token, slot, .. } => self.on_proposed(token, slot),
            Output::Rejected { token, reason } => self.on_rejected(token, reason),
            Output::ReadReady { token, slot } => self.answer_read(token, Ok(slot)),
            Output::ReadRejected { token, reason } => self.answer_read(token, Err(reason)),
            Output::NeedSnapshot { from, at_least } => self.end(End::Behind { from, at_least }),
            Output::EpochBegan { configuration } => {
                tracing::info!(
                    epoch = %configuration.epoch, start = %configuration.start,
                    voters = ?configuration.voters, "an epoch began"
                );
                self.peers.set_voters(&configuration.voters);
            }
            Output::Trace(event) => self.on_event(event),
            Output::Halt { reason } => self.end(End::Halted(reason)),
        }
    }

    /// Tells that this replica cannot go on as it is. A halt is the last word.
    fn end(&self, end: End) {
        self.ended.send_if_modified(|known| {
            let news = *known != Some(end) && !matches!(known, Some(End::Halted(_)));
            if news {
                *known = Some(end);
            }
            news
        });
    }

    /// Has the log's writer read a page and send it.
    fn serve_rows(&self, to: NodeId, from: Slot, upto: Slot, compacted_to: Slot) {
        let (peers, signals) = (self.peers.clone(), Arc::clone(&self.signals));
        let empty = Rows {
            epoch: self.core.configuration().epoch,
            entries: Vec::new(),
            decided: upto,
            compacted_to,
        };
        let reply = Box::new(move |read| send_rows(&peers, &signals, to, empty, read));
        // Stopped: the asker asks another replica.
        let _ = self.wal.read(from, upto, PAGE_BYTES, reply);
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Decided(slot) => self.on_decided(slot),
            Event::SteppedDown(ballot) => {
                tracing::info!(%ballot, "stopped leading or campaigning");
                self.on_stepped_down();
            }
            Event::Campaigning(ballot) => {
                METRICS.campaigned();
                tracing::info!(%ballot, "campaigning");
            }
            Event::Leading(ballot) => {
                METRICS.elected();
                tracing::info!(%ballot, "leading");
            }
            Event::Following(ballot) => {
                tracing::info!(%ballot, leader = %ballot.node, "following");
            }
            Event::Leaderless => tracing::info!("no leader is believed"),
            Event::QuorumConnected(connected) => {
                tracing::debug!(connected, "the last round of heartbeats");
            }
            Event::SuffixDropped {
                from,
                upto,
                hole: true,
            } => tracing::error!(
                %from, %upto,
                "a hole in what the acceptors reported, which in-order acceptance excludes; \
                 please report it and keep all logs"
            ),
            Event::SuffixDropped {
                from,
                upto,
                hole: false,
            } => {
                tracing::info!(%from, %upto, "rows that cannot have been chosen are left out");
            }
            Event::CatchingUp { from, upto } => {
                tracing::debug!(%from, %upto, "fetching decided rows");
            }
            Event::Sealing(slot) => tracing::info!(%slot, "the epoch is being sealed"),
            Event::EpochReady(epoch) => {
                tracing::info!(%epoch, "the epoch is ready: voters that left may be switched off");
            }
            Event::Differs { slot, peer } => tracing::error!(
                %slot, %peer,
                "the history of a replica differs from the one here and is ignored: keep all \
                 files of both and compare them with `chatterctl log`; if a backup was restored \
                 into one of them, that is the cause"
            ),
            Event::HandingOver { to } => tracing::info!(%to, "the lead is handed over"),
            Event::Admitted => {
                tracing::info!("a majority knows of no later state of this disk: it may vote");
            }
            Event::Repaired => tracing::info!("the damaged rows are repaired"),
        }
    }

    #[cfg(feature = "failpoints")]
    fn pass_after_send(&self) {
        failpoints::pass_after(failpoints::AFTER_SEND_ACCEPT, || self.peers.flush());
    }

    #[cfg(not(feature = "failpoints"))]
    fn pass_after_send(&self) {
        failpoints::pass(failpoints::AFTER_SEND_ACCEPT);
    }
}

fn sends_rows(output: &Output) -> bool {
    matches!(output, Output::Send { message: Message::Accept(accept), .. }
        if !accept.entries.is_empty())
}

fn send_rows(
    peers: &Peers,
    signals: &Signals,
    to: NodeId,
    empty: Rows,
    read: Result<Vec<paxos::Entry>, wal::Error>,
) {
    match read {
        Ok(entries) => peers.send(to, Message::Rows(Rows { entries, ..empty })),
        // Deleted meanwhile: the asker needs a snapshot.
        Err(wal::Error::Compacted { compacted_to, .. }) => {
            let compacted_to = compacted_to.max(empty.compacted_to);
            peers.send(
                to,
                Message::Rows(Rows {
                    compacted_to,
                    ..empty
                }),
            );
        }
        // The asker goes elsewhere; the row goes.
        Err(error @ (wal::Error::Damaged { slot, .. } | wal::Error::RowMissing { slot, .. })) => {
            tracing::error!(%error, "a decided row is damaged and is dropped; check the disk");
            signals.note_unreadable(slot);
        }
        // It asks again, here or elsewhere.
        Err(wal::Error::Busy) => {}
        Err(error) => tracing::error!(%to, %error, "cannot serve decided rows to a peer"),
    }
}
