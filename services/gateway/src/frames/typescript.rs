//! Writes web/src/generated/*.ts from the Rust types, or fails when the committed files
//! differ from them. `UPDATE=1 cargo test -p gateway typescript` writes it.

use std::path::Path;

use ts_rs::TS;

use super::*;
use crate::ids::NodeId;

const HEAD: &str = "\
// Generated from services/gateway/src/frames.rs; do not edit.
// UPDATE=1 cargo test -p gateway typescript
";

const HTTP_IMPORTS: &str = "\
import type {
  AccountRole,
  Cid,
  ErrorCode,
  Event,
  Joined,
  Me,
  NodeId,
  Person,
  RoomId,
  RoomSummary,
  Seq,
  Slot,
  UserId,
} from \"./frames.ts\";
";

/// One line per field and per alternative, each with its comment in one line above it.
fn readable(declaration: &str) -> String {
    let mut out = String::new();
    let mut parts = declaration.split("\n/**\n * ");
    out.push_str(parts.next().unwrap_or_default().trim_end());
    for part in parts {
        let (comment, field) = part.split_once("\n */\n").unwrap();
        let comment = comment.replace("\n * ", " ");
        out.push_str(&format!("\n  /** {comment} */\n  {}", field.trim_end()));
    }
    out.replace(", } | {", ",\n} | {")
        .replace(", }", ",\n}")
        .replace(" | { \"t\"", "\n  | { \"t\"")
        .replace(" | { \"what\"", "\n  | { \"what\"")
}

fn one<T: TS>(out: &mut String) {
    let docs = T::docs().unwrap_or_default();
    let docs: Vec<&str> = docs
        .lines()
        .filter_map(|line| line.strip_prefix(" * "))
        .collect();
    out.push_str(&format!(
        "/** {} */\nexport {}\n\n",
        docs.join(" "),
        readable(&T::decl())
    ));
}

/// frames.ts: what travels over the WebSocket.
fn frames() -> String {
    let mut out = format!("{HEAD}\nexport * from \"./http.ts\";\n\n");
    one::<UserId>(&mut out);
    one::<RoomId>(&mut out);
    one::<Seq>(&mut out);
    one::<MsgNo>(&mut out);
    one::<Useq>(&mut out);
    one::<Slot>(&mut out);
    one::<NodeId>(&mut out);
    one::<Cid>(&mut out);
    one::<Person>(&mut out);
    one::<AccountRole>(&mut out);
    one::<Me>(&mut out);
    out.push_str("/** Who did something, with the name at that time. */\n");
    out.push_str("export type Author = Person;\n\n");
    one::<RoomKind>(&mut out);
    one::<About>(&mut out);
    one::<NotificationLevel>(&mut out);
    one::<RoomWishes>(&mut out);
    one::<Joined>(&mut out);
    one::<ReadMarker>(&mut out);
    one::<RoomSummary>(&mut out);
    one::<Notice>(&mut out);
    one::<Edit>(&mut out);
    one::<Reaction>(&mut out);
    one::<EventKind>(&mut out);
    one::<Event>(&mut out);
    one::<Role>(&mut out);
    one::<Replica>(&mut out);
    one::<Cluster>(&mut out);
    one::<Presence>(&mut out);
    one::<PersonPresence>(&mut out);
    one::<ErrorCode>(&mut out);
    one::<ByeReason>(&mut out);
    one::<SendState>(&mut out);
    one::<RoomSeqs>(&mut out);
    one::<ClientFrame>(&mut out);
    one::<ServerFrame>(&mut out);
    ended(out)
}

/// http.ts: the bodies of HTTP requests and answers.
fn http() -> String {
    let mut out = format!("{HEAD}\n{HTTP_IMPORTS}\n");
    one::<Password>(&mut out);
    one::<SlotAnswer>(&mut out);
    one::<SlotCopy>(&mut out);
    one::<CopyState>(&mut out);
    one::<BreakReplica>(&mut out);
    one::<DemoFault>(&mut out);
    one::<SignUp>(&mut out);
    one::<SignIn>(&mut out);
    one::<ChangeMe>(&mut out);
    one::<ChangePassword>(&mut out);
    one::<Deactivate>(&mut out);
    one::<SessionEntry>(&mut out);
    one::<SessionsAnswer>(&mut out);
    one::<PersonEntry>(&mut out);
    one::<PeopleAnswer>(&mut out);
    one::<ChangePerson>(&mut out);
    one::<ResetPassword>(&mut out);
    one::<SignUpMode>(&mut out);
    one::<SettingsAnswer>(&mut out);
    one::<ChangeSettings>(&mut out);
    one::<CreateInvitation>(&mut out);
    one::<InvitationAnswer>(&mut out);
    one::<InvitationEntry>(&mut out);
    one::<InvitationsAnswer>(&mut out);
    one::<MeAnswer>(&mut out);
    one::<RoomsAnswer>(&mut out);
    one::<EventsAnswer>(&mut out);
    one::<MembersAnswer>(&mut out);
    one::<MessagesAnswer>(&mut out);
    one::<UnreadAnswer>(&mut out);
    one::<SnippetPiece>(&mut out);
    one::<SearchHit>(&mut out);
    one::<SearchAnswer>(&mut out);
    one::<ErrorBody>(&mut out);
    one::<ErrorAnswer>(&mut out);
    one::<Health>(&mut out);
    ended(out)
}

fn ended(mut out: String) -> String {
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

#[test]
fn typescript_is_generated_from_these_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/src/generated");
    for (name, wanted) in [("frames.ts", frames()), ("http.ts", http())] {
        let path = folder.join(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &wanted).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == wanted,
            "{} differs from frames.rs: UPDATE=1 cargo test -p gateway typescript writes it",
            path.display(),
        );
    }
}

#[test]
fn frames_are_written_as_the_protocol_says() {
    let cid = Cid::parse("019aaf3e-6b7c-7a00-8000-000000000001").unwrap();
    let text = |frame: &ServerFrame| serde_json::to_string(frame).unwrap();
    let event = Event {
        seq: Seq(3),
        slot: Slot(1030),
        ts: 5,
        author: Person {
            id: UserId(1),
            name: "alice".to_owned(),
        },
        what: EventKind::Message {
            msg_no: MsgNo(2),
            cid,
            body: "hi".to_owned(),
            reply_to: None,
            deleted: false,
            taken_away_by: None,
            rev: None,
            edited: None,
            pinned: None,
            replies: 0,
            reactions: Vec::new(),
            mentions: Vec::new(),
        },
    };
    assert_eq!(
        text(&ServerFrame::Ev {
            room: RoomId(1),
            ev: event.clone()
        }),
        r#"{"t":"ev","room":1,"ev":{"seq":3,"slot":1030,"ts":5,"author":{"id":1,"name":"alice"},"kind":"message","msg_no":2,"cid":"019aaf3e-6b7c-7a00-8000-000000000001","body":"hi"}}"#
    );
    assert_eq!(
        text(&ServerFrame::Err {
            reference: Some(cid),
            code: ErrorCode::NoQuorum,
            message: "two of three".to_owned(),
            temporary: true,
            retry_ms: None,
        }),
        r#"{"t":"err","ref":"019aaf3e-6b7c-7a00-8000-000000000001","code":"no_quorum","message":"two of three","temporary":true}"#
    );
    let rooms = RoomSeqs([(RoomId(7), Seq(9))].into());
    assert_eq!(
        text(&ServerFrame::Lag { rooms }),
        r#"{"t":"lag","rooms":{"7":9}}"#
    );
    let back: ServerFrame = serde_json::from_str(&text(&ServerFrame::Ev {
        room: RoomId(1),
        ev: event.clone(),
    }))
    .unwrap();
    assert_eq!(
        back,
        ServerFrame::Ev {
            room: RoomId(1),
            ev: event
        }
    );
}

#[test]
fn frames_are_read_as_the_protocol_says() {
    let start: ClientFrame =
        serde_json::from_str(r#"{"t":"start","useq":1,"min_slot":2,"rooms":{"3":4}}"#).unwrap();
    assert_eq!(
        start,
        ClientFrame::Start {
            useq: Useq(1),
            min_slot: Slot(2),
            rooms: RoomSeqs([(RoomId(3), Seq(4))].into()),
            focus: None,
        }
    );
    for bad in [
        r#"{"t":"dance"}"#,
        r#"{"t":"send"}"#,
        r#"{"t":"start","useq":-1,"min_slot":2,"rooms":{}}"#,
        r#"{"t":"start","useq":1,"min_slot":2,"rooms":{"x":4}}"#,
        r#"{"t":"join","cid":"nonsense","room":1}"#,
        // A person has no words for what replicas tell.
        r#"{"t":"notice","notice":{"what":"silent","node":1,"for_ms":9}}"#,
        "[]",
        "",
    ] {
        assert!(serde_json::from_str::<ClientFrame>(bad).is_err(), "{bad}");
    }
}
