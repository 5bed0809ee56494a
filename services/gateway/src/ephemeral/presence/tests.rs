//! One gateway's view of who is there, without sockets.

use std::time::Duration;

use tokio::sync::mpsc;

use super::*;
use crate::limits::INBOX_MAX;

const ANNA: UserId = UserId(1);
const OTHER: u64 = 77;

fn line(id: u64, user: UserId) -> Arc<Line> {
    let (inbox, _) = mpsc::channel(INBOX_MAX);
    Arc::new(Line::new(id, user, [0; 32], inbox))
}

fn told(line: &Line) -> Vec<(UserId, Presence)> {
    line.outbox.presence_waiting()
}

#[test]
fn who_watches_is_told_what_is_and_what_changes() {
    let mut everybody = Everybody::default();
    let (anna, bob) = (line(1, ANNA), line(2, UserId(2)));
    everybody.enter(&bob);
    everybody.watch(&bob, vec![ANNA]);
    assert_eq!(told(&bob), [(ANNA, Presence::Offline)]);
    everybody.enter(&anna);
    assert_eq!(told(&bob), [(ANNA, Presence::Online)]);
    everybody.away(&anna, true);
    assert_eq!(told(&bob), [(ANNA, Presence::Away)]);
    everybody.watch(&bob, Vec::new());
    everybody.away(&anna, false);
    assert_eq!(told(&bob), [], "nobody is watched any more");
    assert!(everybody.watchers.is_empty(), "and nothing of it is kept");
}

#[test]
fn the_most_present_device_counts_here_and_elsewhere() {
    let mut everybody = Everybody::default();
    let (laptop, phone) = (line(1, ANNA), line(2, ANNA));
    let now = Instant::now();
    everybody.enter(&laptop);
    everybody.enter(&phone);
    everybody.away(&laptop, true);
    assert_eq!(everybody.of(ANNA), Presence::Online);
    everybody.away(&phone, true);
    assert_eq!(everybody.of(ANNA), Presence::Away);
    everybody.heard(OTHER, [(ANNA, Presence::Online)].into_iter(), now);
    assert_eq!(everybody.of(ANNA), Presence::Online);
    everybody.heard(OTHER, [(ANNA, Presence::Offline)].into_iter(), now);
    assert_eq!(everybody.of(ANNA), Presence::Away);
}

#[test]
fn a_reload_of_the_page_is_no_news_and_a_long_absence_is() {
    let mut everybody = Everybody::default();
    let (before, after) = (line(1, ANNA), line(2, ANNA));
    let start = Instant::now();
    everybody.enter(&before);
    everybody.leave(&before, start);
    everybody.tick(start + PRESENCE_GRACE / 2);
    assert_eq!(everybody.of(ANNA), Presence::Online);
    everybody.enter(&after);
    let later = start + PRESENCE_GRACE * 2;
    everybody.tick(later);
    assert_eq!(
        everybody.of(ANNA),
        Presence::Online,
        "she came back in time"
    );
    everybody.leave(&after, later);
    let changed = everybody.tick(later + PRESENCE_GRACE);
    assert_eq!(
        changed,
        [(ANNA, Presence::Offline)],
        "others are to hear it"
    );
    assert_eq!(everybody.of(ANNA), Presence::Offline);
    assert!(everybody.here.is_empty());
}

#[test]
fn what_a_dead_gateway_said_ends_with_its_lease() {
    let mut everybody = Everybody::default();
    let start = Instant::now();
    everybody.heard(OTHER, [(ANNA, Presence::Online)].into_iter(), start);
    let renewed = start + PRESENCE_LEASE / 2;
    everybody.heard(OTHER, [(ANNA, Presence::Online)].into_iter(), renewed);
    everybody.tick(start + PRESENCE_LEASE + Duration::from_secs(1));
    assert_eq!(everybody.of(ANNA), Presence::Online, "it was renewed");
    everybody.tick(renewed + PRESENCE_LEASE);
    assert_eq!(everybody.of(ANNA), Presence::Offline);
    assert!(everybody.elsewhere.is_empty());
}

#[test]
fn what_others_say_is_bounded() {
    let mut everybody = Everybody::default();
    let start = Instant::now();
    let crowd = 0..PRESENCE_LEASES_MAX as u64 + 1;
    let crowd = crowd.map(|user| (UserId(user), Presence::Online));
    everybody.heard(OTHER, crowd, start);
    assert_eq!(everybody.elsewhere.len(), PRESENCE_LEASES_MAX);
    everybody.heard(OTHER, [(UserId(0), Presence::Away)].into_iter(), start);
    assert_eq!(
        everybody.of(UserId(0)),
        Presence::Away,
        "who is known can change"
    );
}
