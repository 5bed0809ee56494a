//! The status as people read it.

use super::view::{Gateway, Replica, View};
use crate::output::{bytes, duration, table};

pub(super) fn text(view: &View) -> String {
    let mut text = view.words.clone();
    if let Some(leader) = &view.leader {
        text.push_str(&format!(" · {leader} leads"));
    }
    if !view.cluster_id.is_empty() {
        let name = &view.cluster_name;
        text.push_str(&format!(
            "\ncluster {name} {} · epoch {}",
            view.cluster_id, view.epoch
        ));
        if !view.voter_names.is_empty() {
            text.push_str(&format!(" · voters {}", view.voter_names.join(" ")));
        }
    }
    if !view.replicas.is_empty() {
        let head = [
            "NODE",
            "ROLE",
            "BALLOT",
            "DECIDED",
            "APPLIED",
            "LAG",
            "LOG",
            "STATE",
            "COMMIT",
            "UPTIME",
            "SUSPECTED",
            "ADDRESS",
        ];
        let rows: Vec<Vec<String>> = view.replicas.iter().map(row).collect();
        text.push_str("\n\n");
        text.push_str(&table(&head, &rows, &[3, 4, 5, 6, 7, 8, 9]));
    }
    for note in view.replicas.iter().flat_map(notes) {
        text.push_str(&format!("\n\n{note}"));
    }
    if !view.gateways.is_empty() {
        let rows: Vec<Vec<String>> = view.gateways.iter().map(gateway).collect();
        text.push_str("\n\n");
        text.push_str(&table(
            &["GATEWAY", "STATE", "CONNECTIONS", "ADDRESS"],
            &rows,
            &[2],
        ));
    }
    let membership = &view.membership;
    if !membership.address.is_empty() {
        let words = match (&membership.error, &membership.waiting_for) {
            (Some(error), _) if view.quorum => format!("{error} (the chat goes on without it)"),
            (Some(error), _) => error.clone(),
            (None, Some(words)) => format!("waiting for {words}"),
            (None, None) => "up".to_owned(),
        };
        // An error names the address itself.
        let address = membership
            .error
            .is_none()
            .then_some(membership.address.as_str());
        let address = address
            .map(|address| format!(" {address}"))
            .unwrap_or_default();
        text.push_str(&format!("\n\nmembership{address}: {words}"));
    }
    text
}

fn gateway(gateway: &Gateway) -> Vec<String> {
    let state = match gateway.ready {
        Some(true) => "ready",
        Some(false) => "not ready",
        None => "heard",
    };
    let connections = gateway.connections.map(|count| count.to_string());
    vec![
        gateway.name.clone(),
        state.to_owned(),
        connections.unwrap_or_else(|| "-".to_owned()),
        gateway.address.clone(),
    ]
}

/// What a person should know or do about a replica.
fn notes(replica: &Replica) -> Vec<String> {
    let who = format!("{} at {}", replica.name, replica.address);
    let mut notes = Vec::new();
    if let Some(why) = &replica.why {
        let mut note = format!("{who} is {}: {why}", replica.role);
        if let Some(remedy) = &replica.remedy {
            note.push_str(&format!("\n  to do: {remedy}"));
        }
        notes.push(note);
    }
    if replica.no_space {
        notes.push(format!(
            "{who}: its disk is nearly full, it accepts nothing new\n  to do: free some space \
             (not log.db*), or enlarge the volume; it goes on by itself"
        ));
    }
    if replica.damaged_slots > 0 {
        let count = replica.damaged_slots;
        notes.push(format!(
            "{who}: {count} undecided rows are damaged on its disk; it promises nothing until \
             they are repaired by what the others decide\n  to do: check the disk"
        ));
    }
    notes
}

fn row(replica: &Replica) -> Vec<String> {
    let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |v| v.to_string());
    let size = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), bytes);
    // Latencies of a disk: tenths of a millisecond matter.
    let latency = replica.commit_latency_us.map_or_else(
        || "-".to_owned(),
        |us| format!("{}.{} ms", us / 1000, us % 1000 / 100),
    );
    vec![
        replica.name.clone(),
        replica.role.clone(),
        replica.ballot.clone().unwrap_or_else(|| "-".to_owned()),
        number(replica.decided),
        number(replica.applied),
        number(replica.lag),
        size(replica.log_bytes),
        size(replica.state_bytes),
        latency,
        replica.uptime_ms.map_or_else(|| "-".to_owned(), duration),
        if replica.suspected { "yes" } else { "-" }.to_owned(),
        replica.address.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::view;
    use super::text;

    #[test]
    fn a_table_for_people() {
        let view = view([Some(("follower", 1030)), Some(("leader", 1032)), None]);
        let expected = "\
2 of 3 replicas · none may fail · r2 leads
cluster local 6b1f · epoch 1 · voters r1 r2 r3

NODE  ROLE         BALLOT  DECIDED  APPLIED  LAG      LOG  STATE  COMMIT  UPTIME  SUSPECTED  ADDRESS
r1    follower     1.7@r2     1030     1030    2  1.5 KiB    0 B  0.0 ms   1m 1s  -          127.0.0.1:1061
r2    leader       1.7@r2     1032     1032    0  1.5 KiB    0 B  0.0 ms   1m 1s  -          127.0.0.1:1062
r3    unreachable  -             -        -    -        -      -       -       -  yes        127.0.0.1:1063

GATEWAY    STATE  CONNECTIONS  ADDRESS
gateway-1  ready            2  127.0.0.1:1050";
        assert_eq!(text(&view), expected);
    }

    #[test]
    fn what_is_to_be_done_is_said() {
        let mut view = view([Some(("follower", 1030)), Some(("leader", 1032)), None]);
        view.replicas[0].no_space = true;
        view.replicas[2].why = Some("log.db is damaged".to_owned());
        view.replicas[2].remedy = Some("start on an empty directory".to_owned());
        let shown = text(&view);
        for words in [
            "nearly full",
            "log.db is damaged",
            "to do: start on an empty",
        ] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
    }
}
