//! The lines of the room `cluster`: who leads, who is silent, who votes.
//!
//! In: a `PostNotice` of the leading replica, or a `Seal`. Out: events of [`RoomId::CLUSTER`], which
//! everybody is in without a row in `members`, and into which nobody writes.
//!
//! Must hold:
//! - **A line is a function of the log.** What a leader measured (how long, who) came as data in
//!   its command, as a timestamp does; nothing is looked up or timed here.
//! - **What happened once is one line.** A notice's cid follows from what it says ([`command`]),
//!   and no other is taken, so a copy has the cid of the first. An election is one line per ballot.
//!   A node is silent and heard in turn, whoever says so how often: see the table `watched`.
//! - **The room begins with the first notice of a leader.** Only a batch of version 3 holds one,
//!   so up to there a log means what it meant to a program without notices: that room does not
//!   exist, a `Seal` makes no line, the name `cluster` is free.
//! - **A notice causes none.** Nothing is proposed from here.
//!
//! Tests: tests/notices.rs, and below.

use std::collections::BTreeSet;

use paxos::config::Configuration;
use paxos::ids::{NodeId, Slot};
use paxos::limits::VOTERS_MAX;
use prost::Message as _;
use proto::v1::{
    Command, Done, LeaderElected, NodeHeard, NodeSilent, Notice, PostNotice, VotersChanged,
    command::Body, notice::Kind, outcome, room_event,
};
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use crate::apply::{Answer, Context};
use crate::error::{Fault, Stop};
use crate::ids::{RoomId, UserId, from_sql, to_sql};
use crate::refusal::Reason;
use crate::{kinds, limits};

/// The room's name for people; its folded form is one that no other room can have.
pub(crate) const ROOM_NAME: &str = "cluster";
const ROOM_NAME_FOLDED: &str = "#cluster";

/// The command that posts a notice.
#[must_use]
pub fn command(kind: Kind) -> Command {
    let notice = Notice { kind: Some(kind) };
    Command {
        cid: cid(&notice).to_vec().into(),
        author: UserId::REPLICAS.0,
        body: Some(Body::PostNotice(PostNotice {
            notice: Some(notice),
        })),
        ..Command::default()
    }
}

/// What identifies a notice: for an election its ballot, else all that it says.
fn cid(notice: &Notice) -> [u8; limits::CID_BYTES] {
    let mut hash = Sha256::new();
    hash.update(b"chatterbox notice");
    match &notice.kind {
        Some(Kind::Elected(elected)) => {
            for number in [elected.epoch, elected.round, elected.node] {
                hash.update(number.to_be_bytes());
            }
        }
        _ => hash.update(notice.encode_to_vec()),
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut cid = [0; limits::CID_BYTES];
    cid.copy_from_slice(&digest[..limits::CID_BYTES]);
    // Version 8 of RFC 9562: what the bits mean is our own affair. Clients make version 7.
    cid[6] = cid[6] & 0x0f | 0x80;
    cid[8] = cid[8] & 0x3f | 0x80;
    cid
}

impl Context<'_> {
    /// A line that a leading replica wishes. Without effect when it is none any more.
    pub(crate) fn post_notice(
        &mut self,
        author: UserId,
        command_cid: &[u8],
        command: PostNotice,
    ) -> Result<Answer, Stop> {
        let invalid = Stop::Refused(Reason::NoticeInvalid);
        let Some(notice) = command.notice else {
            return Err(invalid);
        };
        if author != UserId::REPLICAS || cid(&notice) != command_cid || !is_sound(&notice) {
            return Err(invalid);
        }
        let is_news = match &notice.kind {
            Some(Kind::Elected(elected)) => {
                self.begin_room()?;
                self.watch_first(&elected.voters)?;
                true
            }
            Some(Kind::Silent(silent)) => self.note_silent(silent)?,
            Some(Kind::Heard(heard)) => self.note_heard(heard)?,
            Some(Kind::Voters(_)) | None => return Err(invalid),
        };
        if is_news {
            self.emit_notice(notice)?;
        }
        Ok(outcome::Result::Done(Done {}).into())
    }

    /// The line of a `Seal`, if the room has begun.
    pub(crate) fn voters_changed(&mut self, next: &Configuration) -> Result<(), Fault> {
        if !self.has_cluster_room()? {
            return Ok(());
        }
        let before = watched(self.connection)?;
        let before: BTreeSet<NodeId> = before.into_iter().map(|(node, _)| node).collect();
        let numbers = |nodes: &mut dyn Iterator<Item = &NodeId>| nodes.map(|node| node.0).collect();
        let changed = VotersChanged {
            epoch: next.epoch.0,
            voters: numbers(&mut next.voters.iter()),
            added: numbers(&mut next.voters.difference(&before)),
            removed: numbers(&mut before.difference(&next.voters)),
        };
        for node in &changed.removed {
            self.connection
                .prepare_cached("DELETE FROM watched WHERE node = ?1")?
                .execute([to_sql(*node)])?;
        }
        self.watch(&changed.added)?;
        let kind = Some(Kind::Voters(changed));
        self.emit_notice(Notice { kind })
    }

    /// Whether the room has begun.
    pub(crate) fn has_cluster_room(&mut self) -> rusqlite::Result<bool> {
        self.cache.has_room(self.connection, RoomId::CLUSTER)
    }

    /// The refusal of whatever a person wants to change in the room of the cluster.
    pub(crate) fn require_for_people(room: RoomId) -> Result<(), Stop> {
        if room == RoomId::CLUSTER {
            return Err(Stop::Refused(Reason::ClusterRoom));
        }
        Ok(())
    }

    fn begin_room(&mut self) -> Result<(), Fault> {
        if self.has_cluster_room()? {
            return Ok(());
        }
        self.connection
            .prepare_cached(
                "INSERT INTO rooms (id, name, name_folded, kind, topic, archived, created_by,
                                    created_slot, created_ms, head, messages, members)
                 VALUES (?1, ?2, ?3, ?4, '', 0, 0, ?5, ?6, 0, 0, 0)",
            )?
            .execute(params![
                to_sql(RoomId::CLUSTER.0),
                ROOM_NAME,
                ROOM_NAME_FOLDED,
                kinds::SYSTEM,
                to_sql(self.slot.0),
                to_sql(self.timestamp.0)
            ])?;
        Ok(())
    }

    /// The voters that the first leader names; later ones follow from each `Seal`.
    fn watch_first(&self, voters: &[u64]) -> rusqlite::Result<()> {
        if watched(self.connection)?.is_empty() {
            self.watch(voters)?;
        }
        Ok(())
    }

    fn watch(&self, nodes: &[u64]) -> rusqlite::Result<()> {
        for node in nodes {
            self.connection
                .prepare_cached("INSERT INTO watched (node, silent_slot) VALUES (?1, 0)")?
                .execute([to_sql(*node)])?;
        }
        Ok(())
    }

    /// Whether the silence is new.
    fn note_silent(&self, silent: &NodeSilent) -> rusqlite::Result<bool> {
        let changed = self
            .connection
            .prepare_cached(
                "UPDATE watched SET silent_slot = ?2 WHERE node = ?1 AND silent_slot = 0",
            )?
            .execute([to_sql(silent.node), to_sql(self.slot.0)])?;
        Ok(changed == 1)
    }

    /// Whether that silence ends now.
    fn note_heard(&self, heard: &NodeHeard) -> rusqlite::Result<bool> {
        let changed = self
            .connection
            .prepare_cached(
                "UPDATE watched SET silent_slot = 0 WHERE node = ?1 AND silent_slot = ?2",
            )?
            .execute([to_sql(heard.node), to_sql(heard.silent_slot)])?;
        Ok(changed == 1)
    }

    fn emit_notice(&mut self, notice: Notice) -> Result<(), Fault> {
        let kind = room_event::Kind::Notice(notice);
        self.emit_room_event(RoomId::CLUSTER, UserId(0), kind)?;
        Ok(())
    }
}

/// Whether a leader can have made it.
fn is_sound(notice: &Notice) -> bool {
    match &notice.kind {
        Some(Kind::Elected(elected)) => {
            let voters = &elected.voters;
            (1..=VOTERS_MAX).contains(&voters.len())
                && voters.is_sorted_by(|a, b| a < b)
                && voters.contains(&elected.node)
        }
        Some(Kind::Heard(heard)) => heard.silent_slot > 0,
        Some(Kind::Silent(_)) => true,
        Some(Kind::Voters(_)) | None => false,
    }
}

/// The voters, as the notices know them, each with the slot of its silence if it is silent.
pub(crate) fn watched(connection: &Connection) -> rusqlite::Result<Vec<(NodeId, Option<Slot>)>> {
    connection
        .prepare_cached("SELECT node, silent_slot FROM watched ORDER BY node")?
        .query_map([], |row| {
            let silent = Slot(from_sql(row.get(1)?));
            let silent = (silent > Slot::GENESIS).then_some(silent);
            Ok((NodeId(from_sql(row.get(0)?)), silent))
        })?
        .collect()
}

/// The notice as the row keeps it: a word, then its numbers. An encoding of our own, so that no
/// encoder of protobuf is part of the state.
pub(crate) fn to_row(notice: &Notice) -> String {
    match &notice.kind {
        Some(Kind::Elected(elected)) => {
            let LeaderElected {
                epoch,
                round,
                node,
                previous,
                gap_ms,
                voters,
            } = elected;
            let voters = list(voters);
            format!("elected {epoch} {round} {node} {previous} {gap_ms} {voters}")
        }
        Some(Kind::Silent(silent)) => format!("silent {} {}", silent.node, silent.for_ms),
        Some(Kind::Heard(heard)) => {
            let NodeHeard {
                node,
                silent_slot,
                after_ms,
            } = heard;
            format!("heard {node} {silent_slot} {after_ms}")
        }
        Some(Kind::Voters(changed)) => {
            let VotersChanged {
                epoch,
                voters,
                added,
                removed,
            } = changed;
            let lists = [voters, added, removed].map(|nodes| list(nodes)).join(" ");
            format!("voters {epoch} {lists}")
        }
        None => unreachable!("what has no kind is refused"),
    }
}

/// The reverse of [`to_row`].
pub(crate) fn from_row(row: &str) -> Option<Notice> {
    let mut words = row.split(' ');
    let word = words.next()?;
    let mut number = || words.next()?.parse::<u64>().ok();
    let kind = match word {
        "elected" => {
            let mut elected = LeaderElected {
                epoch: number()?,
                round: number()?,
                node: number()?,
                previous: number()?,
                gap_ms: number()?,
                voters: Vec::new(),
            };
            elected.voters = unlist(words.next()?)?;
            Kind::Elected(elected)
        }
        "silent" => Kind::Silent(NodeSilent {
            node: number()?,
            for_ms: number()?,
        }),
        "heard" => Kind::Heard(NodeHeard {
            node: number()?,
            silent_slot: number()?,
            after_ms: number()?,
        }),
        "voters" => Kind::Voters(VotersChanged {
            epoch: number()?,
            voters: unlist(words.next()?)?,
            added: unlist(words.next()?)?,
            removed: unlist(words.next()?)?,
        }),
        _ => return None,
    };
    words
        .next()
        .is_none()
        .then_some(Notice { kind: Some(kind) })
}

/// Numbers with commas; `-` for none.
fn list(numbers: &[u64]) -> String {
    if numbers.is_empty() {
        return "-".to_owned();
    }
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    numbers.join(",")
}

fn unlist(list: &str) -> Option<Vec<u64>> {
    if list == "-" {
        return Some(Vec::new());
    }
    list.split(',').map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [Kind; 4] {
        [
            Kind::Elected(LeaderElected {
                epoch: 2,
                round: 7,
                node: 3,
                previous: 1,
                gap_ms: 380,
                voters: vec![2, 3, 1030],
            }),
            Kind::Silent(NodeSilent {
                node: 1,
                for_ms: 2_000,
            }),
            Kind::Heard(NodeHeard {
                node: 1,
                silent_slot: 90,
                after_ms: 0,
            }),
            Kind::Voters(VotersChanged {
                epoch: 3,
                voters: vec![2, 3],
                added: Vec::new(),
                removed: vec![u64::MAX],
            }),
        ]
    }

    /// Property: what a row says is the notice, whole; what is cut or has more is none.
    #[test]
    fn rows_are_notices() {
        for kind in all() {
            let notice = Notice { kind: Some(kind) };
            let row = to_row(&notice);
            assert_eq!(from_row(&row), Some(notice), "{row}");
            assert_eq!(from_row(&format!("{row} 1")), None);
            let cut = row.rsplit_once(' ').map_or("", |(cut, _)| cut);
            assert_eq!(from_row(cut), None, "{cut}");
        }
        assert_eq!(from_row("elected 1 1 1 0 0 1,x"), None);
    }

    /// Property: an election is its ballot, whatever else is said of it; other notices with other
    /// words have other cids. None is a client's, whose version is 7.
    #[test]
    fn a_cid_is_what_the_notice_says() {
        let cids: BTreeSet<_> = all().map(|kind| command(kind).cid).into_iter().collect();
        assert_eq!(cids.len(), all().len());
        assert!(cids.iter().all(|cid| cid[6] >> 4 == 8));
        let [Kind::Elected(elected), ..] = all() else {
            unreachable!("the first one")
        };
        let longer = LeaderElected {
            gap_ms: 500,
            ..elected.clone()
        };
        let next = LeaderElected {
            round: 8,
            ..elected.clone()
        };
        let [elected, longer, next] = [elected, longer, next].map(Kind::Elected).map(command);
        assert_eq!(elected.cid, longer.cid);
        assert_ne!(elected.cid, next.cid);
    }
}
