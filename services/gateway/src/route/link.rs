//! One stream to one replica, pumped by a task of its own.

use proto::v1::chat_client::ChatClient;
use proto::v1::{SubmitRequest, SubmitResponse};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::ids::NodeId;
use crate::limits::{CONNECT_TIMEOUT, LINK_QUEUE_MAX, ROUTER_TURN_MAX};

/// News from a stream, with its number: what an abandoned one says late is ignored.
#[derive(Debug)]
pub(super) enum LinkEvent {
    Response(u64, SubmitResponse),
    Closed(u64, String),
}

/// The stream that is in use.
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) node: NodeId,
    pub(super) requests: mpsc::Sender<SubmitRequest>,
    task: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    /// Opens a stream. What is sent before it stands waits in its queue.
    pub(super) fn open(
        number: u64,
        node: NodeId,
        channel: Channel,
        events: mpsc::Sender<LinkEvent>,
    ) -> Self {
        let (requests, outgoing) = mpsc::channel(LINK_QUEUE_MAX);
        let task = tokio::spawn(async move {
            let reason = pump(number, channel, outgoing, &events).await;
            let _ = events.send(LinkEvent::Closed(number, reason)).await;
        });
        Self {
            number,
            node,
            requests,
            task: task.abort_handle(),
        }
    }
}

/// A queue for the events of all streams.
pub(super) fn events() -> (mpsc::Sender<LinkEvent>, mpsc::Receiver<LinkEvent>) {
    mpsc::channel(ROUTER_TURN_MAX)
}

async fn pump(
    number: u64,
    channel: Channel,
    outgoing: mpsc::Receiver<SubmitRequest>,
    events: &mpsc::Sender<LinkEvent>,
) -> String {
    let mut client = ChatClient::new(channel);
    let opening = client.submit(ReceiverStream::new(outgoing));
    let mut responses = match timeout(CONNECT_TIMEOUT * 2, opening).await {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return status.message().to_owned(),
        Err(_) => return "it did not open in time".to_owned(),
    };
    loop {
        match responses.message().await {
            Ok(Some(response)) => {
                if events
                    .send(LinkEvent::Response(number, response))
                    .await
                    .is_err()
                {
                    return "the router stops".to_owned();
                }
            }
            Ok(None) => return "the replica closed it".to_owned(),
            Err(status) => return status.message().to_owned(),
        }
    }
}
