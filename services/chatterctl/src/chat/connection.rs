//! Moves frames between the client and a gateway, and lines between the client and a person.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use rand::Rng;
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::api::{Api, Failure};
use super::command::{Command, HELP, parse};
use super::frames::{ClientFrame, ServerFrame};
use super::room::{Client, Step, line};
use crate::output::Output;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const SUBPROTOCOL: &str = "chatterbox.v1.json";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A side that hears nothing for this long is gone (docs/protocol.md).
const SILENCE_MAX: Duration = Duration::from_secs(35);
const PAUSE_FIRST_MS: u64 = 500;
const PAUSE_MAX_MS: u64 = 30_000;
/// How many events are shown of a room that one goes to.
const HISTORY: u64 = 20;
/// Far away: a timer that is not set.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

/// How a connection ended.
enum End {
    /// The person wishes it.
    Quit,
    /// Connect again, after at least this time.
    Lost(u64),
}

/// Everything that a conversation needs.
struct Talk<'a> {
    api: &'a Api,
    client: Client,
    lines: Receiver<String>,
    /// A line that was typed before it was clear to which room it goes.
    held: Option<String>,
    /// stdin has ended: leave when everything is sent.
    input_over: bool,
    output: &'a mut Output,
}

/// Talks until the person leaves.
pub(super) async fn talk(
    api: &Api,
    client: Client,
    lines: Receiver<String>,
    output: &mut Output,
) -> anyhow::Result<()> {
    let mut talk = Talk {
        api,
        client,
        lines,
        held: None,
        input_over: false,
        output,
    };
    let mut pause_ms = PAUSE_FIRST_MS;
    let mut lost = false;
    loop {
        let mut wait_ms = 0;
        if let Ok(Ok(socket)) = timeout(CONNECT_TIMEOUT, connect(api)).await {
            pause_ms = PAUSE_FIRST_MS;
            if lost {
                talk.output.line("— connected again —")?;
                lost = false;
            }
            match talk.converse(socket).await? {
                End::Quit => return Ok(()),
                End::Lost(after_ms) => wait_ms = after_ms,
            }
        }
        if !lost {
            talk.output
                .line("— reconnecting … what you type is kept —")?;
            lost = true;
        }
        // Full jitter: clients of a gateway that died must not come back all at once.
        let pause = Duration::from_millis(wait_ms + rand::rng().random_range(0..=pause_ms));
        pause_ms = (pause_ms * 2).min(PAUSE_MAX_MS);
        if talk.idle(Instant::now() + pause).await? {
            return Ok(());
        }
    }
}

async fn connect(api: &Api) -> anyhow::Result<Socket> {
    let url = api.url.replacen("http", "ws", 1) + "/ws";
    let mut request = url
        .into_client_request()
        .context("make the address of the socket")?;
    let token = api.token.as_deref().unwrap_or_default();
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).context("use the token")?;
    request.headers_mut().insert(AUTHORIZATION, bearer);
    request.headers_mut().insert(
        SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    let (socket, _) = connect_async(request).await.context("connect")?;
    Ok(socket)
}

impl Talk<'_> {
    /// Whether a line may be taken: one that waits for its room stops those behind it.
    fn listens(&self) -> bool {
        !self.input_over && self.held.is_none()
    }

    /// Whether there will be no more to say and everything is said.
    fn is_over(&self) -> bool {
        self.input_over && self.held.is_none() && self.client.unsent() == 0
    }

    /// Says a line, or keeps it until it is clear to which room it goes.
    fn say(&mut self, body: String) -> Vec<Step> {
        if self.client.is_settled() {
            return self.client.say(body);
        }
        self.held = Some(body);
        Vec::new()
    }

    /// Says the line that was kept, as soon as it may be.
    fn say_held(&mut self) -> Vec<Step> {
        self.held
            .take_if(|_| self.client.is_settled())
            .map(|body| self.client.say(body))
            .unwrap_or_default()
    }

    /// Without a connection: takes lines until `until`. Whether the person quits.
    async fn idle(&mut self, until: Instant) -> anyhow::Result<bool> {
        loop {
            tokio::select! {
                () = sleep_until(until) => return Ok(false),
                line = self.lines.recv(), if self.listens() => match line.as_deref().map(parse) {
                    Some(Command::Quit) => return Ok(true),
                    Some(Command::Say(body)) => {
                        // Only shown words are of interest: nothing can be sent now.
                        for step in self.say(body) {
                            if let Step::Show(words) = step {
                                self.output.line(&words)?;
                            }
                        }
                    }
                    Some(Command::Nothing) => {}
                    Some(_) => self.output.line("! not connected; try again in a moment")?,
                    None => self.input_over = true,
                },
            }
            if self.is_over() {
                return Ok(true);
            }
        }
    }

    /// Talks over one connection.
    async fn converse(&mut self, mut socket: Socket) -> anyhow::Result<End> {
        let mut heartbeat = Duration::from_secs(15);
        let mut pinged = Instant::now();
        let mut heard = Instant::now();
        let mut retry = Instant::now() + NEVER;
        let start = self.client.start();
        if send(&mut socket, &start).await.is_err() {
            return Ok(End::Lost(0));
        }
        loop {
            let mut steps = Vec::new();
            tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        heard = Instant::now();
                        let frame = serde_json::from_str(&text)
                            .with_context(|| format!("the gateway sent {text}"))?;
                        if let ServerFrame::Hello { heartbeat_ms, .. } = &frame {
                            heartbeat = Duration::from_millis(*heartbeat_ms);
                        }
                        steps = self.client.on(frame);
                    }
                    Some(Ok(Message::Close(close))) => {
                        let code = close.as_ref().map_or(1005, |close| u16::from(close.code));
                        let reason = close.map(|close| close.reason.to_string());
                        return ended(code, &reason.unwrap_or_default());
                    }
                    Some(Ok(_)) => heard = Instant::now(),
                    Some(Err(_)) | None => return Ok(End::Lost(0)),
                },
                line = self.lines.recv(), if self.listens() => match line {
                    Some(line) => match self.typed(&line).await? {
                        Some(made) => steps = made,
                        None => return quit(socket).await,
                    },
                    None => self.input_over = true,
                },
                () = sleep_until(pinged + heartbeat) => {
                    pinged = Instant::now();
                    steps.push(Step::Send(ClientFrame::Ping { n: 0 }));
                }
                () = sleep_until(retry) => {
                    retry = Instant::now() + NEVER;
                    steps = self.client.push();
                }
                () = sleep_until(heard + SILENCE_MAX) => return Ok(End::Lost(0)),
            }
            steps.extend(self.say_held());
            for step in steps {
                match step {
                    Step::RetryIn(ms) => retry = Instant::now() + Duration::from_millis(ms),
                    Step::Leave(after_ms) => return Ok(End::Lost(after_ms)),
                    Step::Send(frame) if send(&mut socket, &frame).await.is_err() => {
                        return Ok(End::Lost(0));
                    }
                    Step::Send(_) => {}
                    Step::Resume if send(&mut socket, &self.client.resume()).await.is_err() => {
                        return Ok(End::Lost(0));
                    }
                    Step::Resume => {}
                    Step::Show(words) => self.output.line(&words)?,
                    Step::Fetch(heads) => self.fetch(heads).await?,
                    Step::History(room, last) => self.history(room, last).await?,
                }
            }
            if self.is_over() {
                return quit(socket).await;
            }
        }
    }

    /// What a line asks for; `None`: to end.
    async fn typed(&mut self, text: &str) -> anyhow::Result<Option<Vec<Step>>> {
        let show = |words: String| Ok(Some(vec![Step::Show(words)]));
        match parse(text) {
            Command::Nothing => Ok(Some(Vec::new())),
            Command::Say(body) => Ok(Some(self.say(body))),
            Command::Help => show(HELP.to_owned()),
            Command::Wrong(words) => show(format!("! {words}")),
            Command::Quit => Ok(None),
            Command::Create(name) => Ok(Some(
                self.client.request(|cid| ClientFrame::Create { cid, name }),
            )),
            Command::Leave => match self.client.current().map(|(room, _)| room) {
                Some(room) => Ok(Some(
                    self.client.request(|cid| ClientFrame::Leave { cid, room }),
                )),
                None => show("! you are in no room".to_owned()),
            },
            Command::Rooms => match self.api.rooms().await {
                Ok(rooms) => show(room_list(&rooms)),
                Err(failure) => show(format!("! {failure}")),
            },
            Command::Who => match self.client.current().map(|(room, _)| room) {
                Some(room) => match self.api.members(room).await {
                    Ok(people) => {
                        let names: Vec<String> = people.into_iter().map(|p| p.name).collect();
                        show(names.join(", "))
                    }
                    Err(failure) => show(format!("! {failure}")),
                },
                None => show("! you are in no room".to_owned()),
            },
            Command::Join(name) => self.join(&name).await.map(Some),
        }
    }

    async fn join(&mut self, name: &str) -> anyhow::Result<Vec<Step>> {
        if let Some(room) = self.client.joined(name) {
            return Ok(self.client.go(room));
        }
        let rooms = match self.api.rooms().await {
            Ok(rooms) => rooms,
            Err(failure) => return Ok(vec![Step::Show(format!("! {failure}"))]),
        };
        let wanted = name.to_lowercase();
        match rooms.iter().find(|room| room.name.to_lowercase() == wanted) {
            Some(room) => {
                let room = room.id;
                Ok(self.client.request(|cid| ClientFrame::Join { cid, room }))
            }
            None => {
                let words = format!("! there is no #{name}; /create {name} makes it");
                Ok(vec![Step::Show(words)])
            }
        }
    }

    /// Loads what is missing, page by page.
    async fn fetch(&mut self, heads: Vec<(u64, u64)>) -> anyhow::Result<()> {
        for (room, head) in heads {
            while let Some(last) = self.client.last(room).filter(|last| *last < head) {
                let events = match self.api.events_after(room, last).await {
                    Ok(events) if !events.is_empty() => events,
                    // The next event that arrives finds the hole again.
                    Ok(_) | Err(Failure::Unreachable(_) | Failure::Refused { .. }) => break,
                };
                for step in self.client.page(room, events) {
                    if let Step::Show(words) = step {
                        self.output.line(&words)?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn history(&mut self, room: u64, last: u64) -> anyhow::Result<()> {
        match self.api.events_upto(room, last, HISTORY).await {
            Ok(events) => {
                for words in events.iter().filter_map(line) {
                    self.output.line(&words)?;
                }
            }
            Err(failure) => self.output.line(&format!("! {failure}"))?,
        }
        Ok(())
    }
}

fn room_list(rooms: &[super::frames::RoomSummary]) -> String {
    let lines: Vec<String> = rooms
        .iter()
        .map(|room| {
            let mark = if room.joined { "*" } else { " " };
            format!("{mark} #{} ({})", room.name, room.members)
        })
        .collect();
    lines.join("\n")
}

async fn send(socket: &mut Socket, frame: &ClientFrame) -> Result<(), WsError> {
    // A frame is made of strings and numbers only: it always serialises.
    let text = serde_json::to_string(frame).unwrap_or_default();
    socket.send(Message::text(text)).await
}

async fn quit(mut socket: Socket) -> anyhow::Result<End> {
    let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
    Ok(End::Quit)
}

/// Close codes carry the verdict: from 4500 on it is no use to come again.
fn ended(code: u16, reason: &str) -> anyhow::Result<End> {
    match code {
        4501 => bail!("the session has ended; start again to make a new one"),
        4500.. => bail!("the gateway closed the connection for good: {reason} ({code})"),
        _ => Ok(End::Lost(0)),
    }
}
