//! A run: people come, chat, stop; then every room is read from every gateway.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use checker::{Clock, Recorder};
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::figures::{Counter, Live};
use crate::limits::{SETUP_AT_ONCE, SETUP_TIMEOUT};
use crate::options::Options;
use crate::person::{Gone, Person, World};
use crate::reader::Reader;
use crate::setup;
use crate::wire::Account;

/// People who chat until [`Workload::stop`].
#[derive(Debug)]
pub struct Workload {
    world: World,
    reader: Account,
    stop: watch::Sender<Option<Instant>>,
    people: JoinSet<Result<Gone>>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The figures at the end.
    pub live: Live,
    /// Messages that were sent and have no answer.
    pub unknown: usize,
    /// The highest slot that anybody has seen.
    pub slot: u64,
}

impl Workload {
    /// Makes accounts and rooms, then lets everybody chat. Load is on when it returns.
    ///
    /// # Errors
    /// When the settings cannot be, the folder cannot be written, or the cluster commits nothing
    /// for a minute.
    pub async fn start(options: Options, clock: Clock) -> Result<Self> {
        options.validate()?;
        let (stop, stopped) = watch::channel(None);
        let gateways = options.gateways.clone();
        // Another run on the same cluster has other names.
        let run = Uuid::new_v4().simple().to_string().split_off(26);
        let reader = Account::sign_up(&gateways, &format!("reader-{run}"), SETUP_TIMEOUT).await?;
        let mut rooms = Vec::new();
        for number in 0..options.rooms {
            let name = format!("room-{run}-{number}");
            rooms.push(setup::create_room(&gateways, &reader, &name).await?);
        }
        let world = World {
            options: Arc::new(options),
            rooms: Arc::new(rooms),
            counter: Arc::new(Counter::default()),
            http: reqwest::Client::new(),
            clock,
            stop: stopped,
        };
        let numbers = stream::iter(0..world.options.clients);
        let mut coming = numbers
            .map(|number| come(world.clone(), number, run.clone()))
            .buffer_unordered(SETUP_AT_ONCE);
        let mut ready = Vec::new();
        while let Some(person) = coming.next().await {
            ready.push(person?);
        }
        drop(coming);
        let mut people = JoinSet::new();
        for (number, account, recorder, homes) in ready {
            people.spawn(Person::new(world.clone(), number, account, recorder, homes).run());
        }
        Ok(Self {
            world,
            reader,
            stop,
            people,
        })
    }

    /// The figures so far.
    #[must_use]
    pub fn live(&self) -> Live {
        self.world.counter.live(self.world.clock.now_us())
    }

    /// The figures at any later moment, for another task.
    pub fn watch(&self) -> impl Fn() -> Live + Send + 'static {
        let (counter, clock) = (Arc::clone(&self.world.counter), self.world.clock);
        move || counter.live(clock.now_us())
    }

    /// The rooms that people write to.
    #[must_use]
    pub fn rooms(&self) -> &[u64] {
        &self.world.rooms
    }

    /// Ends the load: nothing new is written, what was sent is waited for as long as `drain`;
    /// then every room is read as a whole from every gateway, within `read`. The cluster should
    /// be healthy by then.
    ///
    /// # Errors
    /// When a person's history could not be written, or a room not read.
    pub async fn stop(mut self, drain: Duration, read: Duration) -> Result<Ended> {
        self.stop.send_replace(Some(Instant::now() + drain));
        let (mut unknown, mut slot) = (0, 0);
        while let Some(gone) = self.people.join_next().await {
            let gone = gone.context("a person's task")??;
            unknown += gone.unknown;
            slot = slot.max(gone.min_slot);
        }
        let live = self.live();
        self.read_whole(slot, read).await?;
        Ok(Ended {
            live,
            unknown,
            slot,
        })
    }

    async fn read_whole(&self, min_slot: u64, within: Duration) -> Result<()> {
        let mut readers = JoinSet::new();
        for (index, gateway) in self.world.options.gateways.iter().enumerate() {
            let reader = Reader {
                account: self.reader.clone(),
                http: self.world.http.clone(),
                gateway: gateway.clone(),
                rooms: Arc::clone(&self.world.rooms),
                min_slot,
                deadline: Instant::now() + within,
            };
            let folder = self.world.options.folder.clone();
            let clock = self.world.clock;
            readers.spawn(async move {
                let name = format!("reader-{}", index + 1);
                reader.run(&folder, &name, clock).await
            });
        }
        while let Some(done) = readers.join_next().await {
            done.context("a reader's task")??;
        }
        Ok(())
    }

    /// Whether somebody's task has ended before its time, and why.
    ///
    /// # Errors
    /// The reason: the history cannot be written, or a gateway said what nobody understands.
    pub fn check(&mut self) -> Result<()> {
        match self.people.try_join_next() {
            Some(Ok(Err(error))) => Err(error),
            Some(ended) => bail!("a person ended too early: {ended:?}"),
            None => Ok(()),
        }
    }
}

/// An account that is in its rooms, and its history.
async fn come(
    world: World,
    number: usize,
    run: String,
) -> Result<(usize, Account, Recorder, Vec<u64>)> {
    let options = &world.options;
    // Beginning at a gateway of its own spreads the work.
    let mut gateways = options.gateways.clone();
    gateways.rotate_left(number % options.gateways.len());
    let account = Account::sign_up(&gateways, &format!("w{number}-{run}"), SETUP_TIMEOUT).await?;
    let homes: Vec<u64> = (0..options.rooms_per_client)
        .map(|nth| world.rooms[(number + nth) % world.rooms.len()])
        .collect();
    for room in &homes {
        setup::join(&gateways, &account, *room).await?;
    }
    let name = format!("w{number}");
    let recorder = Recorder::create(&options.folder, &name, account.user, world.clock)?;
    Ok((number, account, recorder, homes))
}
