//! Reads every room as a whole from one gateway, when everything is quiet.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use checker::{Clock, Event, Range, Recorder};
use tokio::time::{Instant, sleep};

use crate::limits::PAGE;
use crate::reads::{self, Page};
use crate::wire::Account;

/// Who reads, where, and how long it may take.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) account: Account,
    pub(crate) http: reqwest::Client,
    pub(crate) gateway: String,
    pub(crate) rooms: Arc<Vec<u64>>,
    /// The highest slot that anybody has seen: what it holds must be in the answers.
    pub(crate) min_slot: u64,
    pub(crate) deadline: Instant,
}

impl Reader {
    /// Reads all rooms and writes down what was shown.
    ///
    /// # Errors
    /// When a room cannot be read to its end in time, or the history cannot be written.
    pub(crate) async fn run(self, folder: &Path, name: &str, clock: Clock) -> Result<()> {
        let mut recorder = Recorder::create(folder, name, self.account.user, clock)?;
        let mut question = 0;
        for &room in self.rooms.iter() {
            self.read(room, &mut recorder, &mut question)
                .await
                .with_context(|| format!("read room {room} from {}", self.gateway))?;
        }
        recorder.flush()
    }

    async fn read(&self, room: u64, recorder: &mut Recorder, question: &mut u64) -> Result<()> {
        let (mut last, mut min_slot) = (0, self.min_slot);
        loop {
            *question += 1;
            let range = Range::After(last);
            recorder.record(Event::Asked {
                question: *question,
                gateway: self.gateway.clone(),
                room,
                range,
                limit: PAGE,
            })?;
            let asked = reads::page(
                &self.http,
                &self.account,
                &self.gateway,
                room,
                (range, PAGE),
                min_slot,
            );
            let Page { rows, head, slot } = match asked.await {
                Ok(page) => page,
                Err(error) if Instant::now() < self.deadline => {
                    drop(error);
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            min_slot = min_slot.max(slot);
            let end = rows.last().map(|row| row.seq);
            recorder.record(Event::Page {
                question: *question,
                head,
                rows,
            })?;
            match end {
                Some(end) if end > last => last = end,
                // The checker says what is wrong with such a page.
                Some(end) => bail!("a page after {last} ends at {end}"),
                None => {}
            }
            if last >= head || end.is_none() {
                recorder.record(Event::ReadWhole {
                    gateway: self.gateway.clone(),
                    room,
                    head,
                })?;
                return Ok(());
            }
        }
    }
}
