//! Writes what waits for a client, several frames per system call.

use std::sync::Arc;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::SinkExt as _;
use futures_util::stream::SplitSink;
use tokio::time::timeout;

use crate::limits::{CLOSE_PATIENCE, FLUSH_TIMEOUT};

use super::Close;
use super::hub::Line;
use super::outbox::Next;

/// Runs until the close frame is written or the client is gone.
pub(super) async fn run(mut sink: SplitSink<WebSocket, Message>, line: Arc<Line>) {
    loop {
        match line.outbox.next().await {
            Next::Frames(frames) => {
                let sending = async {
                    for text in frames {
                        sink.feed(Message::Text(text)).await?;
                    }
                    sink.flush().await
                };
                match timeout(FLUSH_TIMEOUT, sending).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => return,
                }
            }
            Next::Close(close) => {
                let _ = timeout(CLOSE_PATIENCE, sink.send(close_message(close))).await;
                return;
            }
        }
    }
}

/// The frame that says why.
pub(super) fn close_message(close: Close) -> Message {
    Message::Close(Some(CloseFrame {
        code: close.code(),
        reason: close.reason().into(),
    }))
}
