//! Passes on what gateways whisper to each other: typing and presence, which are in no log.
//!
//! In: whispers of one gateway. Out: the same to all the others that are connected here.
//! Must hold: nothing waits for a slow gateway, which loses the oldest; nothing is kept.

use std::sync::Arc;

use proto::v1::relay_server;
use proto::v1::{Whisper, relay_server::RelayServer};
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::errors::Refused;
use crate::limits::{RELAY_QUEUE_MAX, RELAYS_MAX, WHISPER_BYTES_MAX};
use crate::role::{Member, Shared};

/// Whispers between this task and the transport, which has a window of its own.
const WHISPERS_READY_MAX: usize = 4;

/// A whisper and the number of the stream that it came by.
type Said = Arc<(u64, Whisper)>;

/// The service.
#[derive(Debug)]
pub(crate) struct Relay {
    shared: Arc<Shared>,
    /// The latest whispers; a reader that is further behind loses the oldest.
    said: broadcast::Sender<Said>,
    places: Arc<Semaphore>,
    next_stream: std::sync::atomic::AtomicU64,
}

impl Relay {
    /// The service with its bound on what a whisper may weigh.
    pub(crate) fn server(shared: Arc<Shared>) -> RelayServer<Self> {
        RelayServer::new(Self {
            shared,
            said: broadcast::channel(RELAY_QUEUE_MAX).0,
            places: Arc::new(Semaphore::new(RELAYS_MAX)),
            next_stream: std::sync::atomic::AtomicU64::new(1),
        })
        .max_decoding_message_size(WHISPER_BYTES_MAX)
    }
}

#[tonic::async_trait]
impl relay_server::Relay for Relay {
    type PassStream = ReceiverStream<Result<Whisper, Status>>;

    async fn pass(
        &self,
        request: Request<Streaming<Whisper>>,
    ) -> Result<Response<Self::PassStream>, Status> {
        if self.shared.stopping.is_cancelled() {
            return Err(Refused::Stopping.into());
        }
        let member = self.shared.member()?;
        let place = Arc::clone(&self.places);
        let place = place
            .try_acquire_owned()
            .map_err(|_| Refused::Busy("gateways that relay"))?;
        let stream = Stream {
            number: self
                .next_stream
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed),
            said: self.said.clone(),
            // From now on, before the caller hears that it is connected.
            hear: self.said.subscribe(),
        };
        let (sender, answers) = mpsc::channel(WHISPERS_READY_MAX);
        tokio::spawn(async move {
            let _place = place;
            let ended = tokio::select! {
                ended = stream.run(&member, request.into_inner(), &sender) => ended,
                () = member.stop.cancelled() => Err(Refused::Stopping),
            };
            if let Err(refused) = ended {
                // Closed: nobody reads.
                let _ = sender.try_send(Err(refused.into()));
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

/// One gateway's connection.
struct Stream {
    number: u64,
    said: broadcast::Sender<Said>,
    hear: broadcast::Receiver<Said>,
}

impl Stream {
    /// `Ok`: the gateway has gone.
    async fn run(
        mut self,
        member: &Member,
        mut whispers: Streaming<Whisper>,
        answers: &mpsc::Sender<Result<Whisper, Status>>,
    ) -> Result<(), Refused> {
        loop {
            tokio::select! {
                whisper = whispers.message() => match whisper {
                    Ok(Some(whisper)) => self.say(member, whisper)?,
                    Ok(None) => return Ok(()),
                    Err(status) => {
                        tracing::debug!(%status, "a gateway's whispers ended");
                        return Ok(());
                    }
                },
                said = self.hear.recv() => match said {
                    Ok(said) if said.0 == self.number => {}
                    Ok(said) => {
                        if answers.send(Ok(said.1.clone())).await.is_err() {
                            return Ok(());
                        }
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return Err(Refused::Stopping),
                },
            }
        }
    }

    fn say(&self, member: &Member, whisper: Whisper) -> Result<(), Refused> {
        let own = member.cluster.shard;
        if whisper.shard != own {
            let found = whisper.shard;
            return Err(Refused::Shard { found, own });
        }
        // Nobody but the speaker may be there.
        let _ = self.said.send(Arc::new((self.number, whisper)));
        Ok(())
    }
}
