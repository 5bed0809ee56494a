//! The network of the local mode: a proxy in front of every replica and of membership.
//!
//! What another process announces is the address of a proxy, so that everything between them goes
//! through here, one connection here for each there. Whose connection it is says the kernel
//! (`callers.rs`). Every direction of it is a link of its own.
//!
//! Honest names for what a proxy on top of TCP can do: a *cut* link holds its bytes, and lets them
//! through when it is whole again, as TCP sends again what was not confirmed; but a new connection
//! over a cut link is accepted, and then nothing comes, where a real one would not be accepted.
//! *Lost* data stalls what follows it. Nothing is ever reordered within a connection or doubled.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::callers;
use crate::ground::{Link, Name, Weather};
use crate::limits::{CHUNK_BYTES, CHUNKS_MAX, REPEAT_MS};

/// What holds for all links at a time.
#[derive(Clone, Default, Debug)]
struct Rules {
    cut: Arc<BTreeSet<Link>>,
    weather: Weather,
}

/// All proxies.
#[derive(Clone, Debug)]
pub(super) struct Network {
    rules: Arc<watch::Sender<Rules>>,
    /// The process ids of those whose connections are told apart.
    processes: Arc<Mutex<BTreeMap<Name, u32>>>,
}

impl Network {
    /// Without a proxy yet.
    pub(super) fn new() -> Self {
        let (rules, _) = watch::channel(Rules::default());
        Self {
            rules: Arc::new(rules),
            processes: Arc::default(),
        }
    }

    /// These links are cut from now on, and no others.
    pub(super) fn set(&self, cut: &BTreeSet<Link>, weather: Weather) {
        self.rules.send_replace(Rules {
            cut: Arc::new(cut.clone()),
            weather,
        });
    }

    /// Connections of this process are `name`'s from now on.
    pub(super) fn note_process(&self, name: &str, pid: Option<u32>) {
        let mut processes = self.lock();
        match pid {
            Some(pid) => processes.insert(name.to_owned(), pid),
            None => processes.remove(name),
        };
    }

    /// Stands in front of `name`, which listens on `behind`, until the returned task is aborted.
    ///
    /// # Errors
    /// When the port is taken.
    pub(super) async fn stand_before(
        &self,
        name: &str,
        port: u16,
        behind: SocketAddr,
    ) -> Result<tokio::task::JoinHandle<()>> {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .with_context(|| format!("listen on port {port} for {name}"))?;
        let (network, name) = (self.clone(), name.to_owned());
        Ok(tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((client, from)) => {
                        let carry = network
                            .clone()
                            .carry(client, from, name.clone(), port, behind);
                        tokio::spawn(carry);
                    }
                    // Too many open files, or a connection that broke before it was accepted.
                    Err(_) => sleep(Duration::from_millis(20)).await,
                }
            }
        }))
    }

    async fn carry(
        self,
        client: TcpStream,
        from: SocketAddr,
        to: Name,
        port: u16,
        behind: SocketAddr,
    ) {
        let processes = self.lock().clone();
        let asked =
            tokio::task::spawn_blocking(move || callers::owner(from.port(), port, &processes));
        // Whoever is none of ours, `chatterctl` for example, has links that are never cut.
        let caller = asked.await.ok().flatten().unwrap_or_default();
        let Ok(server) = TcpStream::connect(behind).await else {
            return;
        };
        // Small messages must not wait for each other here.
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let (client_read, client_write) = client.into_split();
        let (server_read, server_write) = server.into_split();
        let there = Link { from: caller, to };
        let back = Link {
            from: there.to.clone(),
            to: there.from.clone(),
        };
        let there = self.pump(there, client_read, server_write);
        let back = self.pump(back, server_read, client_write);
        // When one direction is over, so is the connection: the other end would not notice.
        tokio::select! {
            () = there => {}
            () = back => {}
        }
    }

    /// Carries one direction until an end closes it, or the weather breaks it.
    async fn pump(&self, link: Link, from: OwnedReadHalf, to: OwnedWriteHalf) {
        let (chunks, arrived) = mpsc::channel(CHUNKS_MAX);
        let taken = take(self.rules.subscribe(), link.clone(), from, chunks);
        let given = give(self.rules.subscribe(), link, to, arrived);
        tokio::select! {
            () = taken => {}
            () = given => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, u32>> {
        // Every change is whole before the guard is dropped.
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

type Chunk = (Instant, Vec<u8>);

/// Reads, and says of each piece when it may arrive.
async fn take(
    rules: watch::Receiver<Rules>,
    link: Link,
    mut from: OwnedReadHalf,
    chunks: mpsc::Sender<Chunk>,
) {
    let between_replicas = link.from.starts_with("replica") && link.to.starts_with("replica");
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut earliest = Instant::now();
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(count) if count > 0 => count,
            // What was read before must still arrive.
            _ => break,
        };
        let weather = if between_replicas {
            rules.borrow().weather
        } else {
            Weather::default()
        };
        if fastrand::u64(0..100_000) < weather.broken_per_100k {
            return;
        }
        let mut late = weather.delay_ms + fastrand::u64(0..=weather.jitter_ms);
        if fastrand::u64(0..1000) < weather.lost_per_mille {
            late += REPEAT_MS;
        }
        // Nothing overtakes what was sent before it on the same connection.
        earliest = earliest.max(Instant::now() + Duration::from_millis(late));
        let chunk = buffer.get(..count).unwrap_or_default().to_vec();
        if chunks.send((earliest, chunk)).await.is_err() {
            return;
        }
    }
    drop(chunks);
    // The other half ends the connection when it has written everything.
    std::future::pending::<()>().await;
}

/// Writes what may arrive, while the link is not cut.
async fn give(
    mut rules: watch::Receiver<Rules>,
    link: Link,
    mut to: OwnedWriteHalf,
    mut arrived: mpsc::Receiver<Chunk>,
) {
    while let Some((at, bytes)) = arrived.recv().await {
        if at > Instant::now() {
            sleep_until(at).await;
        }
        let is_whole = |rules: &Rules| !rules.cut.contains(&link);
        // An error: this program ends.
        let ended = rules.wait_for(is_whole).await.is_err();
        if ended {
            return;
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
    // A cut link does not tell that the other end has closed.
    let _ = rules.wait_for(|rules| !rules.cut.contains(&link)).await;
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);
    const NOT: Duration = Duration::from_millis(200);

    /// A connection from `replica1`, this process, to `replica2`, through a proxy: both ends.
    async fn connection(network: &Network) -> Result<(TcpStream, TcpStream)> {
        network.note_process("replica1", Some(std::process::id()));
        let server = TcpListener::bind("127.0.0.1:0").await?;
        let port = scenarios::ports::free();
        network
            .stand_before("replica2", port, server.local_addr()?)
            .await?;
        let client = TcpStream::connect(("127.0.0.1", port)).await?;
        let (accepted, _) = timeout(SOON, server.accept()).await??;
        Ok((client, accepted))
    }

    async fn arrives(from: &mut TcpStream, to: &mut TcpStream, within: Duration) -> Result<bool> {
        from.write_all(b"x").await?;
        let mut byte = [0];
        let read = timeout(within, to.read_exact(&mut byte)).await;
        Ok(read.is_ok_and(|read| read.is_ok()))
    }

    /// A cut holds what is sent in its direction, and only in that; healed, everything arrives.
    #[tokio::test]
    async fn a_cut_has_a_direction() -> Result<()> {
        let network = Network::new();
        let (mut client, mut server) = connection(&network).await?;
        assert!(arrives(&mut client, &mut server, SOON).await?);
        let there = Link {
            from: "replica1".to_owned(),
            to: "replica2".to_owned(),
        };
        network.set(&BTreeSet::from([there]), Weather::default());
        assert!(!arrives(&mut client, &mut server, NOT).await?);
        assert!(arrives(&mut server, &mut client, SOON).await?);
        network.set(&BTreeSet::new(), Weather::default());
        let mut byte = [0];
        timeout(SOON, server.read_exact(&mut byte)).await??;
        assert!(arrives(&mut client, &mut server, SOON).await?);
        Ok(())
    }

    /// Weather delays, and breaks connections.
    #[tokio::test]
    async fn weather_is_felt() -> Result<()> {
        let network = Network::new();
        let (mut client, mut server) = connection(&network).await?;
        let slow = Weather {
            delay_ms: 300,
            ..Weather::default()
        };
        network.set(&BTreeSet::new(), slow);
        let sent = Instant::now();
        assert!(arrives(&mut client, &mut server, SOON).await?);
        assert!(sent.elapsed() >= Duration::from_millis(300));
        let broken = Weather {
            broken_per_100k: 100_000,
            ..Weather::default()
        };
        network.set(&BTreeSet::new(), broken);
        client.write_all(b"x").await?;
        let mut rest = Vec::new();
        // An end or an error: the connection is gone.
        let _ = timeout(SOON, server.read_to_end(&mut rest)).await?;
        assert!(rest.is_empty());
        Ok(())
    }
}
