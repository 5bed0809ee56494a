//! What is going to happen, in the order of time, and of being scheduled at equal times.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::network::Micros;

/// Events in the order of time.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    /// When, in which order, and where in `events`.
    heap: BinaryHeap<Reverse<(Micros, u64, usize)>>,
    events: Vec<Option<T>>,
    free: Vec<usize>,
    scheduled: u64,
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            scheduled: 0,
        }
    }

    pub(crate) fn push(&mut self, at: Micros, event: T) {
        self.scheduled += 1;
        let place = self.free.pop().unwrap_or(self.events.len());
        if place == self.events.len() {
            self.events.push(None);
        }
        self.events[place] = Some(event);
        self.heap.push(Reverse((at, self.scheduled, place)));
    }

    /// The next event, if it happens no later than `end`.
    pub(crate) fn pop(&mut self, end: Micros) -> Option<(Micros, T)> {
        let Reverse((at, _, _)) = self.heap.peek()?;
        if *at > end {
            return None;
        }
        let Reverse((at, _, place)) = self.heap.pop()?;
        self.free.push(place);
        self.events[place].take().map(|event| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;

    #[test]
    fn events_come_in_the_order_of_time_and_of_scheduling() {
        let mut queue = Queue::new();
        for (at, name) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b'), (9, 'e')] {
            queue.push(at, name);
        }
        let order: String = std::iter::from_fn(|| queue.pop(5))
            .map(|(_, name)| name)
            .collect();
        assert_eq!(order, "abcd");
        queue.push(7, 'x');
        assert_eq!(queue.pop(6), None, "later");
        assert_eq!(queue.pop(7), Some((7, 'x')));
        assert_eq!(queue.pop(9), Some((9, 'e')));
    }
}
