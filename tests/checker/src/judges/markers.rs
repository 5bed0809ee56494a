//! Is what a client was told to be unread what the messages say (C5)?

use crate::changes::Claim;
use crate::facts::{Facts, Seen};
use crate::violation::Kind;

pub(crate) fn judge(facts: &mut Facts) {
    let mut findings = std::mem::take(&mut facts.findings);
    let deletions = deletions(facts);
    let mut recomputed = 0;
    for claim in &facts.changes.claims {
        let Some(count) = count(facts, &deletions, claim) else {
            continue;
        };
        recomputed += 1;
        let holds = if claim.more {
            count >= claim.unread
        } else {
            count == claim.unread
        };
        if !holds {
            findings.add(Kind::Miscounted, || {
                format!(
                    "{} at {} us: room {} is told to have {} unread messages behind seq {} up to \
                     {}; there are {count}",
                    facts.client(claim.by),
                    claim.at,
                    claim.room,
                    claim.unread,
                    claim.read,
                    claim.head
                )
            });
        }
    }
    facts.figures.recounted = recomputed;
    facts.findings = findings;
}

/// By room and `seq` of the message: the `seq` of its deletion.
type Deletions = std::collections::HashMap<(u64, u64), u64>;

fn deletions(facts: &Facts) -> Deletions {
    let mut deletions = Deletions::new();
    for (&room, rows) in &facts.rooms {
        for seen in rows.values() {
            if let Some(change) = seen.row.change.filter(|change| change.deletes) {
                deletions.insert((room, change.of), seen.row.seq);
            }
        }
    }
    deletions
}

/// The messages of others behind the marker that were not deleted at the head; of a claim that
/// there may be more, as many as it told and one more. Nothing when somebody's row is not known.
fn count(facts: &Facts, deletions: &Deletions, claim: &Claim) -> Option<u64> {
    let rows = facts.rooms.get(&claim.room);
    let mut count = 0;
    for seq in claim.read + 1..=claim.head {
        if claim.more && count > claim.unread {
            break;
        }
        let Seen { row, .. } = rows?.get(&seq)?;
        let deleted = deletions
            .get(&(claim.room, seq))
            .is_some_and(|by| *by <= claim.head);
        let is_unread = row.message.is_some() && row.author != claim.user && !deleted;
        count += u64::from(is_unread);
    }
    Some(count)
}
