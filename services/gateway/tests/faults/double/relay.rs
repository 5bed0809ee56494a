//! The double of Relay: passes whispers on as a replica does, unless it is down.

use proto::v1::Whisper;
use proto::v1::relay_server::Relay;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::Double;

#[tonic::async_trait]
impl Relay for Double {
    type PassStream = ReceiverStream<Result<Whisper, Status>>;

    async fn pass(
        &self,
        request: Request<Streaming<Whisper>>,
    ) -> Result<Response<Self::PassStream>, Status> {
        self.up()?;
        let (double, mut whispers) = (self.clone(), request.into_inner());
        let (sender, answers) = mpsc::channel(64);
        let said = self.world.whispers(self.node);
        let mut hear = said.subscribe();
        let mut changed = self.world.changed.subscribe();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    whisper = whispers.next() => match whisper {
                        Some(Ok(whisper)) => drop(said.send(whisper)),
                        _ => return,
                    },
                    whisper = hear.recv() => {
                        if sender.send(Ok(whisper.unwrap())).await.is_err() {
                            return;
                        }
                    }
                    _ = changed.changed() => if let Err(status) = double.up() {
                        return drop(sender.send(Err(status)).await);
                    },
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}
