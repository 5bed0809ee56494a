//! A steady flow of messages through a gateway from several people, and the proof that none of
//! them was lost, doubled or put out of order.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

use crate::client::{Client, GENERAL};

/// How long one message may take, elections and changes of voters included.
const PATIENCE: Duration = Duration::from_secs(30);

/// People who write, each waiting for the acknowledgement before the next message.
#[derive(Debug)]
pub struct Flow {
    people: Vec<JoinHandle<Result<Vec<String>>>>,
    stop: watch::Sender<bool>,
    began: Instant,
}

/// What was acknowledged, by person, in the order of sending.
#[derive(Debug)]
pub struct Flowed {
    by_person: Vec<Vec<String>>,
    /// How long it flowed.
    pub took: Duration,
}

impl Flow {
    /// `people` write `each_per_second` messages through the gateway at `url`.
    ///
    /// # Errors
    /// When one of them cannot sign up or connect.
    pub async fn start(url: &str, people: usize, each_per_second: u32) -> Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let mut writers = Vec::new();
        for number in 0..people {
            let mut client = Client::sign_up(url, &format!("flow{number}")).await?;
            client.connect().await?;
            writers.push(client);
        }
        let pause = Duration::from_secs(1) / each_per_second;
        let people = writers.into_iter().enumerate();
        let people = people
            .map(|(number, client)| tokio::spawn(write(client, number, pause, stopped.clone())));
        Ok(Self {
            people: people.collect(),
            stop,
            began: Instant::now(),
        })
    }

    /// Ends it and waits for the last acknowledgements.
    ///
    /// # Errors
    /// When a message was refused for good, or not acknowledged in time.
    pub async fn end(self) -> Result<Flowed> {
        self.stop.send_replace(true);
        let mut by_person = Vec::new();
        for person in self.people {
            by_person.push(person.await??);
        }
        let took = self.began.elapsed();
        Ok(Flowed { by_person, took })
    }
}

async fn write(
    mut client: Client,
    person: usize,
    pause: Duration,
    stopped: watch::Receiver<bool>,
) -> Result<Vec<String>> {
    // Late ones are caught up with: the rate holds on average.
    let mut beat = interval(pause);
    let mut sent = Vec::new();
    while !*stopped.borrow() {
        beat.tick().await;
        let body = format!("flow{person} {}", sent.len());
        client.send_until_acked(GENERAL, &body, PATIENCE).await?;
        sent.push(body);
    }
    Ok(sent)
}

impl Flowed {
    /// How many messages were acknowledged.
    pub fn count(&self) -> usize {
        self.by_person.iter().map(Vec::len).sum()
    }

    /// Every acknowledged message is in the history once, each person's in the order of sending.
    ///
    /// # Errors
    /// When one is missing, there twice, or out of order.
    pub fn check(&self, history: &[Value]) -> Result<()> {
        for (person, sent) in self.by_person.iter().enumerate() {
            let prefix = format!("flow{person} ");
            let found: Vec<&str> = history
                .iter()
                .filter_map(|event| event["body"].as_str())
                .filter(|body| body.starts_with(&prefix))
                .collect();
            let first = (0..sent.len().max(found.len())).find(|&at| {
                let sent = sent.get(at).map(String::as_str);
                sent != found.get(at).copied()
            });
            if let Some(at) = first {
                let (sent, found) = (sent.get(at), found.get(at));
                ensure!(
                    false,
                    "message {at} of flow{person}: {sent:?}, found {found:?}"
                );
            }
        }
        Ok(())
    }

    /// One line for people.
    pub fn words(&self) -> String {
        let (count, seconds) = (self.count(), self.took.as_secs_f64());
        let rate = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds;
        format!("{count} messages acknowledged in {seconds:.1} s, {rate:.0} per second")
    }
}

/// The bodies of all messages of a history, in order.
///
/// # Errors
/// Never for a history that a gateway gave.
pub fn bodies(history: &[Value]) -> Result<Vec<String>> {
    let messages = history.iter().filter(|event| !event["body"].is_null());
    messages
        .map(|event| {
            let body = event["body"].as_str();
            Ok(body.context("a body is a text")?.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Duration, Flowed};
    use serde_json::json;

    /// The check sees what it is for.
    #[test]
    fn a_lost_a_doubled_and_a_swapped_message_are_seen() {
        let sent = |bodies: &[&str]| bodies.iter().map(|body| (*body).to_owned()).collect();
        let flowed = Flowed {
            by_person: vec![sent(&["flow0 0", "flow0 1"]), sent(&["flow1 0"])],
            took: Duration::from_secs(1),
        };
        for (bodies, fine) in [
            (&["flow0 0", "flow1 0", "flow0 1", "hello"][..], true),
            (&["flow0 0", "flow1 0"], false),
            (&["flow0 0", "flow0 0", "flow1 0", "flow0 1"], false),
            (&["flow0 1", "flow0 0", "flow1 0"], false),
            (&["flow0 0", "flow0 1"], false),
        ] {
            let history: Vec<_> = bodies.iter().map(|body| json!({"body": body})).collect();
            assert_eq!(flowed.check(&history).is_ok(), fine, "{bodies:?}");
        }
    }
}
