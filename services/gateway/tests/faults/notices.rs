//! The room of the cluster: what it tells arrives as data, and nobody can say anything in it.

use proto::v1::notice::Kind;
use proto::v1::{LeaderElected, NodeHeard, NodeSilent, Notice, PostNotice, VotersChanged, command};
use serde_json::{Value, json};

use crate::client::{Client, cid, start};
use crate::double::World;
use crate::machine::CLUSTER;

fn tell(world: &World, kind: Kind) {
    let notice = Some(Notice { kind: Some(kind) });
    world.apply(0, command::Body::PostNotice(PostNotice { notice }));
}

fn elected(round: u64, gap_ms: u64) -> Kind {
    Kind::Elected(LeaderElected {
        epoch: 1,
        round,
        node: 3,
        previous: u64::from(gap_ms > 0),
        gap_ms,
        voters: vec![1, 2, 3],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_arrives_as_data() {
    let (world, gateway) = start().await;
    let (user, token) = gateway.sign_up("alice").await;
    tell(&world, elected(1, 0));
    let mut alice = Client::new(user, token);
    let ready = alice.connect(&gateway).await;
    let room = ready["rooms"].as_array().unwrap().last().unwrap();
    assert_eq!(
        *room,
        json!({
            "id": CLUSTER, "name": "cluster", "head": 1, "members": 1, "system": true,
            "kind": "public"
        })
    );
    tell(&world, elected(4, 380));
    tell(
        &world,
        Kind::Silent(NodeSilent {
            node: 2,
            for_ms: 2_000,
        }),
    );
    let heard = NodeHeard {
        node: 2,
        silent_slot: 1_030,
        after_ms: 34_000,
    };
    tell(&world, Kind::Heard(heard));
    let changed = VotersChanged {
        epoch: 2,
        voters: vec![1, 3, 1_030],
        added: vec![1_030],
        removed: vec![2],
    };
    tell(&world, Kind::Voters(changed));
    alice.read_to(CLUSTER, 5).await;
    let expected = [
        json!({"what": "elected", "node": 3, "ballot": "1.3", "epoch": 1}),
        json!({"what": "elected", "node": 3, "ballot": "4.3", "epoch": 1, "previous": 1,
               "gap_ms": 380}),
        json!({"what": "silent", "node": 2, "for_ms": 2_000}),
        json!({"what": "heard", "node": 2, "after_ms": 34_000}),
        json!({"what": "voters", "epoch": 2, "voters": [1, 3, 1_030], "added": [1_030],
               "removed": [2]}),
    ];
    let events: Vec<&Value> = alice.events[&CLUSTER].values().collect();
    for (event, expected) in events.into_iter().zip(&expected) {
        assert_eq!(event["kind"], "notice");
        assert_eq!(event["notice"], *expected);
        assert_eq!(event["author"], json!({"id": 0, "name": ""}));
    }
}

/// Property: a person has no words for a notice, and a message into that room is refused for good.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_speaks_there() {
    let (world, gateway) = start().await;
    let mut alice = gateway.person("alice").await;
    tell(&world, elected(1, 0));
    let notice = json!({"what": "silent", "node": 2, "for_ms": 1});
    let forged = [
        json!({"t": "notice", "cid": cid(), "notice": notice}),
        json!({"t": "post_notice", "cid": cid(), "notice": notice}),
    ];
    for frame in forged {
        alice.write(frame).await;
        let refused = alice.wait_for(|frame| frame["t"] == "err").await;
        assert_eq!(refused["code"], "bad_request", "{refused}");
    }
    // Whatever else is in the frame of a message is not read.
    let id = cid();
    let said = json!({"t": "send", "cid": id, "room": CLUSTER, "body": "r2 is silent",
                      "notice": notice, "kind": "notice"});
    alice.write(said).await;
    let refused = alice.answer(&id).await;
    assert_eq!(
        (&refused["code"], &refused["temporary"]),
        (&json!("forbidden"), &json!(false)),
        "{refused}"
    );
    assert_eq!(world.head(CLUSTER), 1);
}
