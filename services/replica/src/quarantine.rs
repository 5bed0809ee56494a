//! When the files of this replica must not be used: what was found, and what to do about it.
//!
//! The process stays up, so that `chatterctl status` and the health service can say why; it
//! votes, learns and serves nothing, and it changes no file. What passes by itself, or what
//! another start may cure, ends the process instead. docs/runbooks/replica-quarantined.md

use paxos::output::HaltReason;

use crate::errors::Error;

/// A replica that takes part in nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Quarantine {
    /// What was found.
    pub(crate) why: String,
    /// What a person can do.
    pub(crate) remedy: &'static str,
}

const NEW_NODE: &str = "keep this directory for analysis and start this replica on an empty one: \
                        it joins as a new node; then `chatterctl node replace OLD NEW`";
const OTHER_DIRECTORY: &str = "mount the directory that belongs to this replica, or an empty one";
const NEWER_PROGRAM: &str = "start the version that wrote the files, or a later one";
const COMPARE: &str = "keep all files of this replica and compare its log with the others' \
                       (`chatterctl log`); to go on without it, start it on an empty directory: \
                       it joins as a new node; then `chatterctl node replace OLD NEW`";
const STOP_COPY: &str = "stop the process that runs on the copy, and start it on an empty \
                         directory: it joins as a new node; this one may be started again";
const STATE_ASIDE: &str = "move state.db, state.db-wal and state.db-shm aside (not log.db) and \
                           start this replica again: it makes its state anew";
const BUG: &str = "please report it, and keep the files";

impl Quarantine {
    /// What an error at the start means; `None`: the process ends, because the error may pass or
    /// because somebody else owns the directory.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        let remedy = match error {
            Error::Log(log) => of_log(log)?,
            Error::State(state) => of_state(state)?,
            Error::Genesis(_) => NEW_NODE,
            Error::Tls(_)
            | Error::InUse(_)
            | Error::LowSpace(_)
            | Error::Metrics(_)
            | Error::Serve(_)
            | Error::Reflection(_)
            | Error::System { .. }
            | Error::Panicked(_) => return None,
        };
        let why = ops::errors::chain(error);
        Some(Self { why, remedy })
    }

    /// What the core found while it ran.
    pub(crate) fn halted(reason: HaltReason) -> Self {
        let (why, remedy) = match reason {
            HaltReason::Diverged { slot, peer } => {
                let other = peer.map_or_else(String::new, |node| format!(" of {node}"));
                let why = format!(
                    "the log here and the one{other} differ at slot {}, or an entry does not \
                     follow the one before; if a backup was restored into one of them, that is \
                     the cause",
                    slot.0
                );
                (why, COMPARE)
            }
            HaltReason::DuplicateIdentity { ballot } => {
                let why = format!(
                    "another process runs under the identity of this node (ballot {ballot} came \
                     from elsewhere): a data directory was copied"
                );
                (why, STOP_COPY)
            }
            HaltReason::DiskTurnedBack { own, seen, peer } => {
                let why = format!(
                    "this disk holds an older state ({own}) than the one that voted ({seen}, as \
                     {peer} has seen): it was restored from a copy, or lost writes that it had \
                     confirmed; its promises cannot be trusted any more"
                );
                (why, NEW_NODE)
            }
            HaltReason::Unreadable { slot } => {
                let why = format!("the entry of slot {} cannot be understood", slot.0);
                (why, NEWER_PROGRAM)
            }
        };
        Self { why, remedy }
    }

    /// Says it once, at the level that wakes a person.
    pub(crate) fn say(&self) {
        tracing::error!(
            why = self.why,
            remedy = self.remedy,
            "quarantined: this replica takes part in nothing; no file was changed"
        );
    }
}

fn of_log(error: &wal::Error) -> Option<&'static str> {
    use wal::Error as Log;
    Some(match error {
        Log::NotOurs { .. } | Log::ForeignCluster { .. } => OTHER_DIRECTORY,
        Log::NewerFormat { .. } => NEWER_PROGRAM,
        Log::LogMissing { .. }
        | Log::WalDamaged { .. }
        | Log::Corrupt { .. }
        | Log::IdentityDead { .. }
        | Log::RowMissing { .. }
        | Log::RowsLost { .. } => NEW_NODE,
        Log::Diverged { .. } => COMPARE,
        Log::Contract { .. } => BUG,
        _ => return None,
    })
}

fn of_state(error: &machine::Error) -> Option<&'static str> {
    use machine::Error as State;
    Some(match error {
        State::NotOurs { .. } => OTHER_DIRECTORY,
        State::NewerFormat { .. } | State::UnknownVersion { .. } => NEWER_PROGRAM,
        State::Damaged { .. } | State::OlderFormat { .. } => STATE_ASIDE,
        State::Diverged { .. } => COMPARE,
        State::Gap { .. } => BUG,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Error, HaltReason, Quarantine};
    use paxos::ids::{DiskSeq, NodeId};

    #[test]
    fn what_another_start_may_cure_ends_the_process() {
        let dir = PathBuf::from("data");
        let path = dir.join("log.db");
        let in_use: Error = wal::Error::InUse {
            dir,
            holder: "somebody".to_owned(),
        }
        .into();
        assert_eq!(Quarantine::of(&in_use), None);
        let dead: Error = wal::Error::IdentityDead {
            path,
            why: "both copies are lost".to_owned(),
        }
        .into();
        let quarantine = Quarantine::of(&dead).expect("for ever");
        assert!(quarantine.why.contains("both copies"), "{}", quarantine.why);
        assert!(quarantine.remedy.contains("new node"));
    }

    #[test]
    fn a_disk_that_was_turned_back_says_so() {
        let found = Quarantine::halted(HaltReason::DiskTurnedBack {
            own: DiskSeq(5),
            seen: DiskSeq(9),
            peer: NodeId(2),
        });
        for word in ["older state", "d5", "d9", "r2"] {
            assert!(found.why.contains(word), "{word}: {}", found.why);
        }
    }
}
