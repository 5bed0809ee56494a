//! `chatterctl log`: the replicated log as one replica has it.

use std::process::ExitCode;

use anyhow::{Context, bail};
use prost::Message;
use proto::v1::admin_client::AdminClient;
use proto::v1::command::Body;
use proto::v1::notice::Kind as Told;
use proto::v1::{Batch, Command, Entry, Notice, ReadLogRequest};
use serde_json::{Value, json};

use crate::cli::LogArgs;
use crate::local::state::State;
use crate::output::Output;
use crate::remote::{self, bare};
use crate::status::places;

/// The names of `paxos::EntryKind`, by number.
const KINDS: [&str; 6] = [
    "Noop",
    "Batch",
    "Seal",
    "Ready",
    "RegisterNode",
    "RegisterSession",
];

/// An entry holds at most 256 KiB of commands; twice that leaves room for the rest.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

pub(crate) async fn run(args: LogArgs, output: &mut Output) -> anyhow::Result<ExitCode> {
    if args.upto != 0 && args.upto < args.from {
        bail!("--upto {} is below --from {}", args.upto, args.from);
    }
    let address = address(&args).await?;
    let channel = remote::channel(&address).await?;
    let mut client = AdminClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let request = ReadLogRequest {
        from: args.from,
        upto: args.upto,
    };
    let mut entries = client
        .read_log(request)
        .await
        .map_err(remote::words)?
        .into_inner();
    if !args.json {
        let (slot, ballot, kind) = ("SLOT", "BALLOT", "KIND");
        output.line(&format!(
            "{slot:>10}  {ballot:<10}  {kind:<15}  COMMANDS    BYTES  CHAIN"
        ))?;
    }
    while let Some(found) = entries.message().await.map_err(remote::words)? {
        let entry = found.entry.context("the replica sent an empty entry")?;
        let commands = commands(&entry)?;
        if args.json {
            output.line(&to_json(&entry, &commands, args.decode).to_string())?;
            continue;
        }
        output.line(&to_line(&entry, commands.len()))?;
        for command in commands.iter().filter(|_| args.decode) {
            output.line(&format!("            {}", describe(command)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An address as it is; `r1` or `1` by `cluster.json`, else by membership.
async fn address(args: &LogArgs) -> anyhow::Result<String> {
    if args.node.contains(':') {
        return Ok(bare(&args.node).to_owned());
    }
    let number = args.node.strip_prefix('r').unwrap_or(&args.node);
    let node: u64 = number
        .parse()
        .with_context(|| format!("`{}` must be r1, 1, or host:port", args.node))?;
    let places = places(&args.data.data, args.membership.as_deref(), &[])?;
    let membership = places
        .membership
        .context("nobody to ask where the replica is")?;
    let asked = remote::servers(&membership).await;
    if let Ok(known) = &asked
        && let Some(server) = known.servers.iter().find(|server| server.node == node)
    {
        return Ok(server.address.clone());
    }
    // Membership is down: the local cluster names its replicas in the order of their ids.
    if let Some(state) = State::load(&args.data.data)?
        && args.membership.is_none()
    {
        return Ok(state.process(&format!("r{node}"))?.address.clone());
    }
    match asked {
        Ok(_) => bail!("there is no r{node}; see chatterctl status"),
        Err(error) => Err(error.context("ask membership where the replica is")),
    }
}

fn commands(entry: &Entry) -> anyhow::Result<Vec<Command>> {
    if kind(entry) != "Batch" {
        return Ok(Vec::new());
    }
    let batch = Batch::decode(entry.payload.clone())
        .with_context(|| format!("the batch in slot {} is not readable", entry.slot))?;
    Ok(batch.commands)
}

fn kind(entry: &Entry) -> &'static str {
    let index = usize::try_from(entry.kind).unwrap_or(usize::MAX);
    KINDS.get(index).copied().unwrap_or("Unknown")
}

fn ballot(entry: &Entry) -> String {
    entry.ballot.as_ref().map_or_else(
        || "-".to_owned(),
        |ballot| format!("{}.{}@r{}", ballot.epoch, ballot.round, ballot.node),
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn to_line(entry: &Entry, commands: usize) -> String {
    let chain: String = hex(&entry.chain).chars().take(12).collect();
    format!(
        "{:>10}  {:<10}  {:<15}  {:>8}  {:>7}  {chain}",
        entry.slot,
        ballot(entry),
        kind(entry),
        commands,
        entry.payload.len(),
    )
}

fn to_json(entry: &Entry, commands: &[Command], decode: bool) -> Value {
    let mut json = json!({
        "slot": entry.slot,
        "ballot": ballot(entry),
        "kind": kind(entry),
        "commands": commands.len(),
        "bytes": entry.payload.len(),
        "timestamp_ms": entry.timestamp_ms,
        "chain": hex(&entry.chain),
    });
    if decode {
        json["decoded"] = commands
            .iter()
            .map(|command| {
                let body = body(command);
                json!({
                    "cid": hex(&command.cid), "author": command.author,
                    "command": body.0, "fields": body.1,
                })
            })
            .collect();
    }
    json
}

/// A command's name and fields.
fn body(command: &Command) -> (&'static str, Value) {
    match &command.body {
        None => ("unknown", Value::Null),
        Some(Body::CreateAccount(c)) => ("create_account", json!({"name": c.name})),
        Some(Body::RevokeSession(_)) => ("revoke_session", json!({})),
        Some(Body::OpenSenderSession(_)) => ("open_sender_session", json!({})),
        Some(Body::CloseSenderSession(c)) => {
            ("close_sender_session", json!({"session": c.session}))
        }
        Some(Body::CreateRoom(c)) => ("create_room", json!({"name": c.name})),
        Some(Body::JoinRoom(c)) => ("join_room", json!({"room": c.room})),
        Some(Body::LeaveRoom(c)) => ("leave_room", json!({"room": c.room})),
        Some(Body::PostMessage(c)) => (
            "post_message",
            json!({"room": c.room, "body": c.body, "reply_to": c.reply_to}),
        ),
        Some(Body::EditMessage(c)) => (
            "edit_message",
            json!({"room": c.room, "seq": c.seq, "body": c.body}),
        ),
        Some(Body::DeleteMessage(c)) => ("delete_message", json!({"room": c.room, "seq": c.seq})),
        Some(Body::AddReaction(c)) => (
            "add_reaction",
            json!({"room": c.room, "seq": c.seq, "emoji": c.emoji}),
        ),
        Some(Body::RemoveReaction(c)) => (
            "remove_reaction",
            json!({"room": c.room, "seq": c.seq, "emoji": c.emoji}),
        ),
        Some(Body::PinMessage(c)) => ("pin_message", json!({"room": c.room, "seq": c.seq})),
        Some(Body::UnpinMessage(c)) => ("unpin_message", json!({"room": c.room, "seq": c.seq})),
        Some(Body::MarkRead(c)) => ("mark_read", json!({"room": c.room, "seq": c.seq})),
        Some(Body::PostNotice(c)) => ("post_notice", notice(c.notice.as_ref())),
        Some(Body::OpenDirectRoom(c)) => ("open_direct_room", json!({"people": c.people})),
        Some(Body::AddMember(c)) => ("add_member", json!({"room": c.room, "user": c.user})),
        Some(Body::RemoveMember(c)) => ("remove_member", json!({"room": c.room, "user": c.user})),
        Some(Body::RenameRoom(c)) => ("rename_room", json!({"room": c.room, "name": c.name})),
        Some(Body::SetTopic(c)) => ("set_topic", json!({"room": c.room, "topic": c.topic})),
        Some(Body::ArchiveRoom(c)) => (
            "archive_room",
            json!({"room": c.room, "archived": c.archived}),
        ),
        Some(Body::TakeAwayMessage(c)) => {
            ("take_away_message", json!({"room": c.room, "seq": c.seq}))
        }
        Some(Body::SetRoomWishes(c)) => (
            "set_room_wishes",
            json!({"room": c.room, "level": c.level().as_str_name(), "favourite": c.favourite}),
        ),
        Some(other) => about_accounts(other),
    }
}

/// Of the commands about accounts. Neither passwords nor secrets, not even what was made of them.
fn about_accounts(body: &Body) -> (&'static str, Value) {
    match body {
        Body::CreateSession(c) => ("create_session", json!({"device": c.device})),
        Body::SetPassword(_) => ("set_password", json!({})),
        Body::ChangeProfile(c) => (
            "change_profile",
            json!({"name": c.name, "colour": c.colour}),
        ),
        Body::SetActive(c) => ("set_active", json!({"user": c.user, "active": c.active})),
        Body::SetRole(c) => (
            "set_role",
            json!({"user": c.user, "role": c.role().as_str_name()}),
        ),
        Body::SetSignUpMode(c) => ("set_sign_up_mode", json!({"mode": c.mode().as_str_name()})),
        Body::CreateInvitation(c) => (
            "create_invitation",
            json!({"uses": c.uses, "role": c.role().as_str_name(), "room": c.room}),
        ),
        Body::ResetPassword(c) => ("reset_password", json!({"user": c.user})),
        Body::RevokeInvitation(c) => ("revoke_invitation", json!({"invitation": c.invitation})),
        _ => ("unknown", Value::Null),
    }
}

/// What a leader tells in the room of the cluster. Who votes is told by the `Seal` itself.
fn notice(notice: Option<&Notice>) -> Value {
    match notice.and_then(|notice| notice.kind.as_ref()) {
        None => Value::Null,
        Some(Told::Elected(told)) => json!({
            "elected": told.node,
            "ballot": format!("{}.{}@r{}", told.epoch, told.round, told.node),
            "previous": told.previous,
            "gap_ms": told.gap_ms,
        }),
        Some(Told::Silent(told)) => json!({"silent": told.node, "for_ms": told.for_ms}),
        Some(Told::Heard(told)) => json!({"heard": told.node, "after_ms": told.after_ms}),
        Some(Told::Voters(told)) => json!({"epoch": told.epoch, "voters": told.voters}),
    }
}

fn describe(command: &Command) -> String {
    let (name, fields) = body(command);
    format!("author {} {name} {fields}", command.author)
}

#[cfg(test)]
mod tests {
    use proto::v1::{Ballot, PostMessage};

    use super::*;

    fn entry() -> Entry {
        let body = PostMessage {
            room: 1,
            body: "hello".to_owned(),
            reply_to: 0,
        };
        let command = Command {
            cid: vec![0xab; 16].into(),
            author: 7,
            body: Some(Body::PostMessage(body)),
            ..Command::default()
        };
        let batch = Batch {
            version: 1,
            commands: vec![command.clone(), command],
        };
        Entry {
            slot: 1024,
            ballot: Some(Ballot {
                epoch: 1,
                round: 7,
                node: 2,
            }),
            kind: 1,
            timestamp_ms: 5,
            payload: batch.encode_to_vec().into(),
            chain: vec![0xcd; 32],
            crc: 0,
        }
    }

    #[test]
    fn an_entry_as_json_and_as_a_line() {
        let entry = entry();
        let commands = commands(&entry).expect("decodes");
        let json = to_json(&entry, &commands, true);
        assert_eq!(json["slot"], 1024);
        assert_eq!(json["kind"], "Batch");
        assert_eq!(json["ballot"], "1.7@r2");
        assert_eq!(json["commands"], 2);
        assert_eq!(json["chain"], "cd".repeat(32));
        assert_eq!(json["decoded"][0]["fields"]["body"], "hello");
        assert!(to_json(&entry, &commands, false).get("decoded").is_none());
        let line = to_line(&entry, commands.len());
        assert!(
            line.starts_with("      1024  1.7@r2      Batch "),
            "{line:?}"
        );
        assert!(line.ends_with("cdcdcdcdcdcd"), "{line:?}");
    }

    #[test]
    fn what_is_no_batch_has_no_commands_and_a_broken_one_is_an_error() {
        let noop = Entry {
            kind: 0,
            payload: vec![1, 2].into(),
            ..entry()
        };
        assert!(commands(&noop).expect("none").is_empty());
        assert_eq!(
            kind(&Entry {
                kind: 99,
                ..entry()
            }),
            "Unknown"
        );
        let broken = Entry {
            payload: vec![0xff; 3].into(),
            ..entry()
        };
        assert!(
            commands(&broken)
                .expect_err("broken")
                .to_string()
                .contains("slot 1024")
        );
    }
}
