//! The double of Chat.

use proto::v1::chat_server::Chat;
use proto::v1::get_credentials_request::Of;
use proto::v1::get_history_request::Range;
use proto::v1::*;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Double, Streamed, lock};

#[tonic::async_trait]
impl Chat for Double {
    type SubmitStream = Streamed<SubmitResponse>;
    type TailStream = Streamed<TailResponse>;

    async fn submit(
        &self,
        request: Request<Streaming<SubmitRequest>>,
    ) -> Result<Response<Self::SubmitStream>, Status> {
        self.up()?;
        let (double, mut requests) = (self.clone(), request.into_inner());
        let (sender, answers) = mpsc::channel(64);
        let mut changed = self.world.changed.subscribe();
        tokio::spawn(async move {
            loop {
                let request = tokio::select! {
                    request = requests.next() => request,
                    _ = changed.changed() => match double.up() {
                        Ok(()) => continue,
                        Err(status) => return drop(sender.send(Err(status)).await),
                    },
                };
                let Some(Ok(request)) = request else { return };
                match double.on_command(request).await {
                    Ok(kinds) => {
                        for kind in kinds {
                            let response = SubmitResponse { kind: Some(kind) };
                            if sender.send(Ok(response)).await.is_err() {
                                return;
                            }
                        }
                    }
                    Err(status) => return drop(sender.send(Err(status)).await),
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn tail(
        &self,
        request: Request<TailRequest>,
    ) -> Result<Response<Self::TailStream>, Status> {
        self.up()?;
        let repeats = self.faults(|faults| faults.tail_repeats);
        let after = request.into_inner().after_slot;
        let after = if after == 0 {
            self.applied()
        } else {
            after.saturating_sub(repeats)
        };
        let (sender, answers) = mpsc::channel(4);
        tokio::spawn(self.clone().send_log(after, sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn get_session(
        &self,
        request: Request<GetSessionRequest>,
    ) -> Result<Response<GetSessionResponse>, Status> {
        let request = request.into_inner();
        let applied = self.reaches(request.min_slot).await?;
        let machine = lock(&self.world.machine);
        match machine.sessions.get(&request.token_hash) {
            Some((user, slot)) if *slot <= applied => {
                let account = &machine.accounts[user];
                Ok(Response::new(GetSessionResponse {
                    user: *user,
                    name: account.name.clone(),
                    profile: Some(account.profile()),
                }))
            }
            _ => Err(Status::not_found("session")),
        }
    }

    async fn get_user_state(
        &self,
        request: Request<GetUserStateRequest>,
    ) -> Result<Response<GetUserStateResponse>, Status> {
        let request = request.into_inner();
        let applied = self.reaches(request.min_slot).await?;
        let machine = lock(&self.world.machine);
        let account = &machine.accounts[&request.user];
        let rooms = machine
            .rooms
            .iter()
            .filter(|(_, room)| room.members.contains(&request.user));
        let rooms = rooms.map(|(id, room)| JoinedRoom {
            head: room
                .events
                .iter()
                .filter(|event| event.slot <= applied)
                .count() as u64,
            ..machine.joined(*id)
        });
        Ok(Response::new(GetUserStateResponse {
            user: request.user,
            name: account.name.clone(),
            useq: account.useq,
            rooms: rooms.collect(),
            applied,
            profile: Some(account.profile()),
        }))
    }

    async fn get_credentials(
        &self,
        request: Request<GetCredentialsRequest>,
    ) -> Result<Response<GetCredentialsResponse>, Status> {
        self.up()?;
        let machine = lock(&self.world.machine);
        let of = request.into_inner().of.unwrap();
        let found = machine.accounts.iter().find(|(user, account)| match &of {
            Of::Name(name) => account.name.to_lowercase() == name.trim().to_lowercase(),
            Of::User(wanted) => *user == wanted,
        });
        let found = found.filter(|(_, account)| !account.inactive);
        let (user, account) = found.ok_or_else(|| Status::not_found("person"))?;
        Ok(Response::new(GetCredentialsResponse {
            user: *user,
            name: account.name.clone(),
            password: account.password.clone(),
            password_slot: account.password_slot,
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let request = request.into_inner();
        self.reaches(request.min_slot).await?;
        let machine = lock(&self.world.machine);
        let own = machine.sessions.iter();
        let own = own.filter(|(_, (user, _))| *user == request.user);
        let mut sessions: Vec<SessionInfo> = own
            .map(|(hash, (_, slot))| SessionInfo {
                token_hash: hash.clone(),
                created_ms: *slot,
                device: String::new(),
            })
            .collect();
        sessions.sort_by_key(|session| std::cmp::Reverse(session.created_ms));
        Ok(Response::new(ListSessionsResponse { sessions }))
    }

    async fn list_people(
        &self,
        request: Request<ListPeopleRequest>,
    ) -> Result<Response<ListPeopleResponse>, Status> {
        self.reaches(request.into_inner().min_slot).await?;
        let machine = lock(&self.world.machine);
        let people = machine.accounts.iter().map(|(user, account)| PersonInfo {
            user: *user,
            name: account.name.clone(),
            role: account.role.into(),
            colour: account.colour,
            active: !account.inactive,
        });
        Ok(Response::new(ListPeopleResponse {
            people: people.collect(),
        }))
    }

    async fn get_settings(
        &self,
        request: Request<GetSettingsRequest>,
    ) -> Result<Response<GetSettingsResponse>, Status> {
        self.reaches(request.into_inner().min_slot).await?;
        let machine = lock(&self.world.machine);
        Ok(Response::new(GetSettingsResponse {
            sign_up: machine.sign_up.into(),
            has_accounts: !machine.accounts.is_empty(),
        }))
    }

    async fn list_invitations(
        &self,
        request: Request<ListInvitationsRequest>,
    ) -> Result<Response<ListInvitationsResponse>, Status> {
        let request = request.into_inner();
        self.reaches(request.min_slot).await?;
        let machine = lock(&self.world.machine);
        if !matches!(
            machine.accounts[&request.user].role,
            Role::Owner | Role::Admin
        ) {
            return Err(Status::permission_denied("role"));
        }
        let known = machine.invitations.iter().zip(1..);
        let known = known.filter(|(invitation, _)| invitation.uses > 0);
        let invitations = known.map(|(invitation, id)| InvitationInfo {
            invitation: id,
            created_by: "somebody".to_owned(),
            created_ms: 0,
            uses_left: invitation.uses,
            role: invitation.role,
            room: invitation.room,
        });
        Ok(Response::new(ListInvitationsResponse {
            invitations: invitations.collect(),
        }))
    }

    async fn list_rooms(
        &self,
        request: Request<ListRoomsRequest>,
    ) -> Result<Response<ListRoomsResponse>, Status> {
        let request = request.into_inner();
        self.reaches(request.min_slot).await?;
        let machine = lock(&self.world.machine);
        let seen = machine.rooms.iter().filter(|(_, room)| {
            room.wire_kind() == RoomKind::Public || room.members.contains(&request.user)
        });
        let rooms = seen.map(|(id, room)| RoomSummary {
            room: *id,
            name: room.name.clone(),
            members: room.members.len() as u64,
            joined: room.members.contains(&request.user),
            head: room.events.len() as u64,
            kind: room.wire_kind().into(),
            topic: room.topic.clone(),
            archived: room.archived,
            people: Vec::new(),
        });
        Ok(Response::new(ListRoomsResponse {
            rooms: rooms.collect(),
        }))
    }

    async fn list_members(
        &self,
        request: Request<ListMembersRequest>,
    ) -> Result<Response<ListMembersResponse>, Status> {
        let request = request.into_inner();
        self.reaches(request.min_slot).await?;
        let machine = lock(&self.world.machine);
        let room = machine
            .rooms
            .get(&request.room)
            .ok_or_else(|| Status::not_found("room"))?;
        let name = |user: &u64| machine.accounts[user].name.clone();
        let members = room.members.iter().map(|user| Member {
            user: *user,
            name: name(user),
        });
        Ok(Response::new(ListMembersResponse {
            members: members.collect(),
        }))
    }

    async fn get_history(
        &self,
        request: Request<GetHistoryRequest>,
    ) -> Result<Response<GetHistoryResponse>, Status> {
        let request = request.into_inner();
        let applied = self.reaches(request.min_slot).await?;
        let machine = lock(&self.world.machine);
        let room = machine
            .rooms
            .get(&request.room)
            .ok_or_else(|| Status::not_found("room"))?;
        if request.user > 0 && !room.system && !room.members.contains(&request.user) {
            return Err(Status::permission_denied("not a member"));
        }
        let known = room.events.iter().filter(|event| event.slot <= applied);
        let head = known.clone().count() as u64;
        let limit = request.limit as usize;
        let events: Vec<RoomEvent> = match request.range.unwrap() {
            Range::After(seq) => known
                .filter(|event| event.seq > seq)
                .take(limit)
                .cloned()
                .collect(),
            Range::Before(seq) => {
                let below: Vec<_> = known.filter(|event| event.seq < seq).cloned().collect();
                below[below.len().saturating_sub(limit)..].to_vec()
            }
        };
        Ok(Response::new(GetHistoryResponse {
            events,
            head,
            applied: 0,
        }))
    }

    async fn list_messages(
        &self,
        request: Request<ListMessagesRequest>,
    ) -> Result<Response<ListMessagesResponse>, Status> {
        let request = request.into_inner();
        self.reaches(request.min_slot).await?;
        let machine = lock(&self.world.machine);
        let room = machine
            .rooms
            .get(&request.room)
            .ok_or_else(|| Status::not_found("room"))?;
        let Some(list_messages_request::Which::RepliesTo(root)) = request.which else {
            return Err(Status::not_found("message"));
        };
        let answers = |event: &&RoomEvent| {
            matches!(&event.kind, Some(room_event::Kind::Message(message))
                if message.reply_to == root && event.seq > request.after)
        };
        let limit = request.limit as usize;
        let events: Vec<RoomEvent> = room.events.iter().filter(answers).cloned().collect();
        Ok(Response::new(ListMessagesResponse {
            more: events.len() > limit,
            events: events.into_iter().take(limit).collect(),
        }))
    }

    async fn search(
        &self,
        request: Request<SearchRequest>,
    ) -> Result<Response<SearchResponse>, Status> {
        let request = request.into_inner();
        let applied = self.reaches(request.min_slot).await?;
        let machine = lock(&self.world.machine);
        let mut hits = Vec::new();
        for (id, room) in &machine.rooms {
            for event in &room.events {
                let Some(room_event::Kind::Message(message)) = &event.kind else {
                    continue;
                };
                if room.members.contains(&request.user) && message.body.contains(&request.words[0])
                {
                    hits.push(SearchHit {
                        room: *id,
                        room_name: room.name.clone(),
                        seq: event.seq,
                        timestamp_ms: event.timestamp_ms,
                        author: event.author,
                        author_name: event.author_name.clone(),
                        snippet: vec![SnippetPiece {
                            text: message.body.clone(),
                            hit: true,
                        }],
                    });
                }
            }
        }
        Ok(Response::new(SearchResponse {
            hits,
            next: 0,
            indexed: applied - 1,
            applied,
        }))
    }

    /// It keeps no log, only what comes of one.
    async fn get_slot(
        &self,
        request: Request<GetSlotRequest>,
    ) -> Result<Response<GetSlotResponse>, Status> {
        let applied = self.reaches(request.into_inner().slot).await?;
        Ok(Response::new(GetSlotResponse {
            ballot: None,
            compacted_to: applied,
            applied,
        }))
    }
}
