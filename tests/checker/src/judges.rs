//! What is judged when everything has been read, one file for each question.

mod changes;
mod logs;
mod markers;
mod messages;
mod order;
mod quorum;
mod rooms;
mod states;

use crate::facts::Facts;

/// Judges all of it.
pub(crate) fn judge(facts: &mut Facts) {
    messages::judge(facts);
    changes::judge(facts);
    markers::judge(facts);
    rooms::judge(facts);
    order::judge(facts);
    quorum::judge(facts);
    logs::judge(facts);
    states::judge(facts);
}
