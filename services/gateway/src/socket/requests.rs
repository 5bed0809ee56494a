//! What a client asks for, as commands of the log; and their outcomes, as frames.

use proto::v1::outcome::Result as Did;
use proto::v1::{
    AddMember, AddReaction, ArchiveRoom, CreateRoom, DeleteMessage, EditMessage, JoinRoom,
    LeaveRoom, MarkRead, OpenDirectRoom, Outcome, PinMessage, PostMessage, RemoveMember,
    RemoveReaction, RenameRoom, SetRoomWishes, SetTopic, TakeAwayMessage, UnpinMessage, command,
    command::Body,
};

use crate::errors::Error;
use crate::frames::{ClientFrame, ServerFrame};
use crate::ids::{Cid, MsgNo, RoomId, Seq, Slot};
use crate::{convert, validate};

/// A request that goes into the log.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) cid: Cid,
    pub(super) body: command::Body,
    /// Whether it is a message: the client hears of its progress, and it may be traced.
    pub(super) progress: bool,
    /// As the client wrote it.
    pub(super) traceparent: Option<String>,
}

/// The request in a frame. `None`: the frame is none. An error goes to the client under the
/// `cid` beside it.
pub(super) fn of(frame: ClientFrame) -> Option<Result<Request, (Cid, Error)>> {
    let mut traced = None;
    let (cid, body) = match frame {
        ClientFrame::Send {
            cid,
            room,
            body,
            reply_to,
            traceparent,
        } => {
            traced = traceparent;
            (cid, post(room, body, reply_to))
        }
        ClientFrame::Edit {
            cid,
            room,
            seq,
            body,
        } => (cid, edit(room, seq, body)),
        ClientFrame::Delete { cid, room, seq } => {
            let (room, seq) = (room.0, seq.0);
            let body = Body::DeleteMessage(DeleteMessage { room, seq });
            (cid, Ok(body))
        }
        ClientFrame::TakeAway { cid, room, seq } => {
            let (room, seq) = (room.0, seq.0);
            let body = Body::TakeAwayMessage(TakeAwayMessage { room, seq });
            (cid, Ok(body))
        }
        ClientFrame::React {
            cid,
            room,
            seq,
            emoji,
            on,
        } => (cid, react(room, seq, emoji, on)),
        ClientFrame::Pin { cid, room, seq, on } => (cid, Ok(pin(room, seq, on))),
        ClientFrame::Read { cid, room, seq } => {
            let (room, seq) = (room.0, seq.0);
            (cid, Ok(Body::MarkRead(MarkRead { room, seq })))
        }
        ClientFrame::Start { .. }
        | ClientFrame::Resume { .. }
        | ClientFrame::Ping { .. }
        | ClientFrame::Typing { .. }
        | ClientFrame::Away { .. }
        | ClientFrame::Watch { .. } => {
            return None;
        }
        frame => of_room(frame)?,
    };
    Some(match body {
        Ok(body) => {
            let progress = matches!(body, command::Body::PostMessage(_));
            Ok(Request {
                cid,
                body,
                progress,
                traceparent: traced,
            })
        }
        Err(error) => Err((cid, error)),
    })
}

/// The same for what changes rooms and who is in them.
fn of_room(frame: ClientFrame) -> Option<(Cid, Result<Body, Error>)> {
    Some(match frame {
        ClientFrame::Create { cid, name, private } => {
            let name = validate::room_name(&name).map(str::to_owned);
            let body = name.map(|name| Body::CreateRoom(CreateRoom { name, private }));
            (cid, body)
        }
        ClientFrame::Direct { cid, people } => {
            let people = people.iter().map(|user| user.0).collect();
            (cid, Ok(Body::OpenDirectRoom(OpenDirectRoom { people })))
        }
        ClientFrame::Join { cid, room } => (cid, Ok(Body::JoinRoom(JoinRoom { room: room.0 }))),
        ClientFrame::Leave { cid, room } => (cid, Ok(Body::LeaveRoom(LeaveRoom { room: room.0 }))),
        ClientFrame::Invite { cid, room, user } => {
            let (room, user) = (room.0, user.0);
            (cid, Ok(Body::AddMember(AddMember { room, user })))
        }
        ClientFrame::Remove { cid, room, user } => {
            let (room, user) = (room.0, user.0);
            (cid, Ok(Body::RemoveMember(RemoveMember { room, user })))
        }
        ClientFrame::Rename { cid, room, name } => {
            let name = validate::room_name(&name).map(str::to_owned);
            let room = room.0;
            (
                cid,
                name.map(|name| Body::RenameRoom(RenameRoom { room, name })),
            )
        }
        ClientFrame::Topic { cid, room, topic } => {
            let room = room.0;
            (cid, Ok(Body::SetTopic(SetTopic { room, topic })))
        }
        ClientFrame::Wish { cid, wishes } => {
            let body = Body::SetRoomWishes(SetRoomWishes {
                room: wishes.room.0,
                level: convert::level_to_wire(wishes.level).into(),
                favourite: wishes.favourite,
            });
            (cid, Ok(body))
        }
        ClientFrame::Archive {
            cid,
            room,
            archived,
        } => {
            let room = room.0;
            (cid, Ok(Body::ArchiveRoom(ArchiveRoom { room, archived })))
        }
        _ => return None,
    })
}

fn post(room: RoomId, body: String, reply_to: Option<Seq>) -> Result<command::Body, Error> {
    validate::body(&body)?;
    let reply_to = reply_to.map_or(0, |seq| seq.0);
    Ok(command::Body::PostMessage(PostMessage {
        room: room.0,
        body,
        reply_to,
    }))
}

fn edit(room: RoomId, seq: Seq, body: String) -> Result<command::Body, Error> {
    validate::body(&body)?;
    let (room, seq) = (room.0, seq.0);
    Ok(command::Body::EditMessage(EditMessage { room, seq, body }))
}

fn pin(room: RoomId, seq: Seq, on: bool) -> command::Body {
    let (room, seq) = (room.0, seq.0);
    if on {
        command::Body::PinMessage(PinMessage { room, seq })
    } else {
        command::Body::UnpinMessage(UnpinMessage { room, seq })
    }
}

fn react(room: RoomId, seq: Seq, emoji: String, on: bool) -> Result<command::Body, Error> {
    validate::emoji(&emoji)?;
    let (room, seq) = (room.0, seq.0);
    Ok(if on {
        command::Body::AddReaction(AddReaction { room, seq, emoji })
    } else {
        command::Body::RemoveReaction(RemoveReaction { room, seq, emoji })
    })
}

/// The frame that answers a request.
pub(super) fn answer(cid: Cid, result: Result<Outcome, Error>) -> ServerFrame {
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => return error.frame(Some(cid)),
    };
    let (slot, dup) = (Slot(outcome.slot), outcome.duplicate);
    match outcome.result {
        Some(Did::MessagePosted(posted)) => ServerFrame::Ack {
            cid,
            room: RoomId(posted.room),
            seq: Seq(posted.seq),
            msg_no: MsgNo(posted.msg_no),
            slot,
            ts: posted.timestamp_ms,
            dup,
        },
        Some(Did::RoomChanged(changed)) => ServerFrame::Done {
            cid,
            room: RoomId(changed.room),
            slot,
            dup,
        },
        Some(Did::Refusal(refusal)) => Error::refused(&refusal).frame(Some(cid)),
        other => {
            // The cid was used before for something that no socket asks for.
            tracing::warn!(%cid, ?other, "an outcome of another kind of request");
            let message = "cid: it was used before for another kind of request";
            Error::bad_request(message).frame(Some(cid))
        }
    }
}
