//! `chatterctl demo`: people, rooms and a history, so that a newcomer sees a living place.
//!
//! [`script`] is what they do; [`seed`] makes every id, secret and password of it from one number
//! that is kept on this machine; [`person`] is an account with its socket.
//! Must hold: the way is the one of every client, and whatever is asked for has the same id each
//! time, so that a second run, or one that was interrupted, changes nothing that is there.

mod person;
mod script;
mod seed;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::DemoArgs;
use crate::output::Output;
use crate::remote;
use person::{Answer, Person};
use script::{ACTS, Act, PEOPLE, ROOMS};
use seed::Seed;

/// What was asked for, and how much of it was there before.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    messages: u32,
    done: u32,
    before: u32,
}

/// The stage: who is there, which rooms, and what was said under which name.
struct Stage {
    seed: Seed,
    people: BTreeMap<&'static str, Person>,
    rooms: BTreeMap<&'static str, u64>,
    said: BTreeMap<&'static str, u64>,
    tally: Tally,
}

pub(crate) async fn run(args: DemoArgs, output: &mut Output) -> anyhow::Result<ExitCode> {
    let url = remote::gateway(&args.url)?;
    let seed = Seed::of(&url)?;
    let first = !person::has_accounts(&url).await?;
    let mut people = BTreeMap::new();
    for name in PEOPLE {
        let entered = Person::enter(&url, name, &seed, args.invitation.as_deref()).await?;
        people.insert(name, entered);
    }
    let mut stage = Stage {
        seed,
        people,
        rooms: BTreeMap::new(),
        said: BTreeMap::new(),
        tally: Tally::default(),
    };
    stage.build_rooms().await?;
    for (number, act) in ACTS.iter().enumerate() {
        stage.act(number, act).await?;
    }
    stage.say(&url, first, output)?;
    Ok(ExitCode::SUCCESS)
}

impl Stage {
    /// Every room is made by the first of its people; the others join it.
    async fn build_rooms(&mut self) -> anyhow::Result<()> {
        for room in ROOMS {
            let made = self
                .ask(
                    room.people[0],
                    &format!("create {}", room.name),
                    json!({"t": "create", "name": room.name}),
                )
                .await;
            let id = match made {
                Ok(answer) => answer.room,
                Err(error) if person::is_refused(&error, "name_taken") => {
                    self.person(room.people[0])?.room(room.name).await?
                }
                Err(error) => return Err(error),
            };
            self.rooms.insert(room.name, id);
            for name in room.people {
                let join = json!({"t": "join", "room": id});
                self.ask(name, &format!("join {} {name}", room.name), join)
                    .await?;
            }
            let topic = json!({"t": "topic", "room": id, "topic": room.topic});
            self.ask(room.people[0], &format!("topic {}", room.name), topic)
                .await?;
        }
        Ok(())
    }

    async fn act(&mut self, number: usize, act: &Act) -> anyhow::Result<()> {
        let label = format!("act {number} {act:?}");
        match *act {
            Act::Say {
                name,
                by,
                room,
                body,
            } => {
                let frame = json!({"t": "send", "room": self.room(room)?, "body": body});
                self.send(name, by, &label, frame).await
            }
            Act::Reply { name, by, to, body } => {
                let (room, seq) = self.place(to)?;
                let frame = json!({"t": "send", "room": room, "body": body, "reply_to": seq});
                self.send(name, by, &label, frame).await
            }
            Act::React { by, to, emoji } => {
                let (room, seq) = self.place(to)?;
                let frame =
                    json!({"t": "react", "room": room, "seq": seq, "emoji": emoji, "on": true});
                self.ask(by, &label, frame).await.map(drop)
            }
            Act::Edit { by, of, body } => {
                let (room, seq) = self.place(of)?;
                let frame = json!({"t": "edit", "room": room, "seq": seq, "body": body});
                self.ask(by, &label, frame).await.map(drop)
            }
            Act::Pin { by, of } => {
                let (room, seq) = self.place(of)?;
                let frame = json!({"t": "pin", "room": room, "seq": seq, "on": true});
                self.ask(by, &label, frame).await.map(drop)
            }
        }
    }

    /// A message, which later acts may be about.
    async fn send(
        &mut self,
        name: &'static str,
        by: &'static str,
        label: &str,
        frame: Value,
    ) -> anyhow::Result<()> {
        let answer = self.ask(by, label, frame).await?;
        let seq = answer.seq.context("the gateway gave a message no number")?;
        self.said.insert(name, seq);
        self.tally.messages += 1;
        Ok(())
    }

    /// Asks as this person, under an id that follows from the label.
    async fn ask(&mut self, by: &str, label: &str, mut frame: Value) -> anyhow::Result<Answer> {
        let cid: Uuid = self.seed.cid(label);
        frame["cid"] = json!(cid);
        let answer = self
            .person(by)?
            .ask(cid, frame)
            .await
            .with_context(|| format!("{by}: {label}"))?;
        self.tally.done += 1;
        self.tally.before += u32::from(answer.dup);
        Ok(answer)
    }

    fn person(&mut self, name: &str) -> anyhow::Result<&mut Person> {
        let person = self.people.get_mut(name);
        person.with_context(|| format!("the script names {name}, who is nobody"))
    }

    fn room(&self, name: &str) -> anyhow::Result<u64> {
        let room = self.rooms.get(name).copied();
        room.with_context(|| format!("the script names the room {name}, which is none"))
    }

    /// Where a message of the script stands.
    fn place(&self, name: &str) -> anyhow::Result<(u64, u64)> {
        let seq = self.said.get(name).copied();
        let seq = seq.with_context(|| format!("the script names {name} before it is said"))?;
        let room = script::room_of(name);
        let room = room.with_context(|| format!("the script says {name} nowhere"))?;
        Ok((self.room(room)?, seq))
    }

    fn say(&self, url: &str, first: bool, output: &mut Output) -> anyhow::Result<()> {
        let Tally {
            messages,
            done,
            before,
        } = self.tally;
        let rooms: Vec<String> = ROOMS.iter().map(|room| format!("#{}", room.name)).collect();
        output.line(&format!(
            "{messages} messages of {} people in {}.",
            PEOPLE.len(),
            rooms.join(", ")
        ))?;
        if before == done {
            output.line("All of it was there already: nothing was changed.")?;
        } else if before > 0 {
            output.line(&format!("{before} of {done} steps had been taken before."))?;
        }
        output.line(&format!(
            "\nOpen {url}, choose a name, and look into these rooms (\"Browse rooms\").\n\
             Or sign in as one of {}; the password of all: {}",
            PEOPLE.join(", "),
            self.seed.password()
        ))?;
        if first {
            output.line(&format!(
                "Nobody had an account before, so {} is the owner of this chat.",
                PEOPLE[0]
            ))?;
        }
        Ok(())
    }
}
