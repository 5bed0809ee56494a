//! Which message has reached whom: when it was sent, how many have not seen it yet, and how long
//! the last of them took.
//!
//! A message carries its number (`n=…`) at the beginning of its text. What receives it finds the
//! number without taking the frame apart, so that the generator costs little.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Result, ensure};
use tokio::sync::Semaphore;

use crate::record::{Latencies, latencies};

/// Messages under way at once at most; a power of two far above what any series has in flight.
const SLOTS: usize = 1 << 16;

#[derive(Debug, Default)]
struct Slot {
    sent_us: AtomicU64,
    left: AtomicU32,
}

/// The board of one measurement.
#[derive(Debug)]
pub struct Board {
    began: Instant,
    slots: Vec<Slot>,
    next: AtomicU64,
    deliveries: AtomicU64,
    complete: AtomicU64,
    /// Messages that everybody has seen give their place back here.
    window: Semaphore,
    last: Mutex<Latencies>,
}

impl Board {
    /// One that lets so many messages be under way.
    ///
    /// # Errors
    /// When that is more than there are places for.
    pub fn new(window: usize) -> Result<Self> {
        ensure!(
            window <= SLOTS / 2,
            "window is {window}, at most {}",
            SLOTS / 2
        );
        Ok(Self {
            began: Instant::now(),
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            next: AtomicU64::new(0),
            deliveries: AtomicU64::new(0),
            complete: AtomicU64::new(0),
            window: Semaphore::new(window),
            last: Mutex::new(latencies()?),
        })
    }

    /// The number of the next message, which so many will receive, once there is a place for it.
    ///
    /// # Errors
    /// Never: the window is never closed.
    pub async fn send_windowed(&self, receivers: u32) -> Result<u64> {
        self.window.acquire().await?.forget();
        Ok(self.send(receivers))
    }

    /// The number of the next message, which so many will receive.
    pub fn send(&self, receivers: u32) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let slot = self.slot(number);
        slot.sent_us.store(self.now_us(), Ordering::Relaxed);
        slot.left.store(receivers, Ordering::Release);
        number
    }

    /// Somebody has received a frame with this text in it.
    pub fn receive(&self, text: &[u8]) {
        if let Some(number) = number(text) {
            self.deliver(number);
        }
    }

    fn deliver(&self, number: u64) {
        self.deliveries.fetch_add(1, Ordering::Relaxed);
        let slot = self.slot(number);
        if slot.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let took = self.now_us() - slot.sent_us.load(Ordering::Relaxed);
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.saturating_record(took.max(1));
            drop(last);
            self.complete.fetch_add(1, Ordering::Relaxed);
            self.window.add_permits(1);
        }
    }

    /// How many messages somebody has not seen yet.
    pub fn under_way(&self) -> u64 {
        let complete = self.complete.load(Ordering::Relaxed);
        self.next.load(Ordering::Relaxed).saturating_sub(complete)
    }

    /// How many deliveries there were.
    pub fn deliveries(&self) -> u64 {
        self.deliveries.load(Ordering::Relaxed)
    }

    /// Takes the latencies to the last receiver so far, and begins anew.
    pub fn take_last(&self) -> Latencies {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = last.clone();
        last.reset();
        taken
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn slot(&self, number: u64) -> &Slot {
        let index = usize::try_from(number).unwrap_or(0) % SLOTS;
        &self.slots[index]
    }
}

/// A text of so many bytes that begins with its number.
#[must_use]
pub fn body(number: u64, bytes: usize) -> String {
    let mut text = format!("n={number} ");
    let filler = "the quick brown fox jumps over the lazy dog ";
    while text.len() < bytes {
        let rest = bytes - text.len();
        text.push_str(&filler[..rest.min(filler.len())]);
    }
    text
}

/// The number of the first message in a frame.
fn number(text: &[u8]) -> Option<u64> {
    let at = text.windows(2).position(|two| two == b"n=")?;
    let digits = text[at + 2..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let value = |sum: u64, byte: &u8| sum.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
    Some(digits.fold(0, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_their_length_and_number() {
        for (n, bytes) in [(0, 128), (7, 1024), (123_456, 16)] {
            let body = body(n, bytes);
            assert_eq!(body.len(), bytes);
            assert_eq!(number(body.as_bytes()), Some(n));
        }
        let frame = format!(r#"{{"t":"ev","ev":{{"body":"{}"}}}}"#, body(42, 64));
        assert_eq!(number(frame.as_bytes()), Some(42));
        assert_eq!(number(b"nothing"), None);
    }

    /// The last receiver counts, not the first, and only then is there room for another.
    #[tokio::test]
    async fn a_message_is_there_when_the_last_has_it() {
        let board = Board::new(1).unwrap();
        let n = board.send_windowed(2).await.unwrap();
        board.receive(body(n, 32).as_bytes());
        assert_eq!(board.take_last().len(), 0);
        assert_eq!(
            (board.window.available_permits(), board.under_way()),
            (0, 1)
        );
        board.receive(body(n, 32).as_bytes());
        assert_eq!(board.take_last().len(), 1);
        assert_eq!(
            (board.window.available_permits(), board.under_way()),
            (1, 0)
        );
        assert_eq!((board.deliveries(), board.take_last().len()), (2, 0));
    }
}
