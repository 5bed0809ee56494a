//! Pages of history that a person looks at.

use anyhow::Result;
use checker::{Event, Range};
use rand::Rng as _;

use super::Person;
use crate::limits::{PAGE, READS_WAITING_MAX};
use crate::reads::{self, Page};

impl Person {
    /// A page from a random place of a room of its own.
    pub(super) fn wish_to_read(&mut self) {
        let room = self.homes[self.random.random_range(0..self.homes.len())];
        let seq = self
            .random
            .random_range(0..=self.last.get(&room).copied().unwrap_or(0));
        let range = if self.random.random() {
            Range::After(seq)
        } else {
            Range::Before(seq + 1)
        };
        self.want_page(room, range);
    }

    pub(super) fn want_page(&mut self, room: u64, range: Range) {
        if self.to_read.len() < READS_WAITING_MAX {
            self.to_read.push_back((room, range));
        }
    }

    pub(super) fn begin_reading(&mut self) -> Result<()> {
        if self.reading.is_some() {
            return Ok(());
        }
        let Some((room, range)) = self.to_read.pop_front() else {
            return Ok(());
        };
        let limit = self.random.random_range(1..=PAGE);
        let gateway = self.world.options.gateways[self.gateway].clone();
        self.questions += 1;
        self.recorder.record(Event::Asked {
            question: self.questions,
            gateway: gateway.clone(),
            room,
            range,
            limit,
        })?;
        let (http, account) = (self.world.http.clone(), self.account.clone());
        let min_slot = self.min_slot;
        let page = tokio::spawn(async move {
            reads::page(&http, &account, &gateway, room, (range, limit), min_slot).await
        });
        self.reading = Some((self.questions, page));
        Ok(())
    }

    /// A page that did not come is a question without an answer.
    pub(super) fn take_page(&mut self, question: u64, page: Result<Page>) -> Result<()> {
        let Ok(Page { rows, head, slot }) = page else {
            return Ok(());
        };
        self.min_slot = self.min_slot.max(slot);
        for row in &rows {
            self.min_slot = self.min_slot.max(row.slot);
        }
        self.recorder.record(Event::Page {
            question,
            head,
            rows,
        })?;
        Ok(())
    }
}
