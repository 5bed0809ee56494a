//! A connection with deadlines: for the head of a request, between two requests, for an answer that
//! nobody takes, and for what still comes after the last one.
//!
//! Must hold: a byte now and then moves no deadline but that of the answer; a WebSocket has none
//! here, since its session has its own.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::config::Options;
use crate::limits::LINGER;
use crate::metrics::{METRICS, Refused};
use crate::port::places::Place;

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The head of a request comes, or the first one has not begun.
    Head,
    /// A request is at work; the layers of the service bound it.
    Busy,
    /// Between two requests.
    Idle,
    /// A WebSocket.
    Upgraded,
}

#[derive(Debug)]
struct Now {
    state: State,
    since: Instant,
    /// Who reads while a request is at work. hyper looks at the stream again only when bytes come,
    /// so it must be woken when a deadline begins.
    reader: Option<Waker>,
}

/// What a connection does, and since when: known to the stream and to the service.
#[derive(Debug)]
pub(super) struct Phase(Mutex<Now>);

impl Phase {
    /// Of a new connection, which must say something.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Now {
            state: State::Head,
            since: Instant::now(),
            reader: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        self.lock().enter(state);
    }

    /// A request is here; until the guard is dropped, with the last piece of the answer.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.set(State::Busy);
        Busy(Arc::clone(self))
    }

    /// From now on it is a WebSocket.
    pub(super) fn upgraded(&self) {
        self.set(State::Upgraded);
    }
}

impl Now {
    fn enter(&mut self, state: State) {
        (self.state, self.since) = (state, Instant::now());
    }
}

/// A request at work.
#[derive(Debug)]
pub(super) struct Busy(Arc<Phase>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut phase = self.0.lock();
        if phase.state == State::Busy {
            phase.enter(State::Idle);
            if let Some(reader) = phase.reader.take() {
                reader.wake();
            }
        }
    }
}

/// How long each phase may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) head: Duration,
    idle: Duration,
    stall: Duration,
}

impl Patience {
    pub(super) fn new(options: &Options) -> Self {
        let ms = |ms: u32| Duration::from_millis(ms.into());
        Self {
            head: ms(options.head_timeout_ms),
            idle: ms(options.idle_timeout_ms),
            stall: ms(options.stall_timeout_ms),
        }
    }
}

type Deadline = Option<Pin<Box<Sleep>>>;

/// The connection.
#[derive(Debug)]
pub(super) struct Timed<S> {
    stream: S,
    phase: Arc<Phase>,
    patience: Patience,
    reading: Deadline,
    writing: Deadline,
    /// Nothing more is sent: what comes is thrown away until the other end closes, or then.
    lingering: Deadline,
    /// Goes with the connection, also when that becomes a WebSocket.
    _place: Place,
}

impl<S> Timed<S> {
    pub(super) fn new(stream: S, phase: Arc<Phase>, patience: Patience, place: Place) -> Self {
        Self {
            stream,
            phase,
            patience,
            reading: None,
            writing: None,
            lingering: None,
            _place: place,
        }
    }

    /// Nothing has come: whether it had to by now.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let mut phase = self.phase.lock();
        let state = phase.state;
        let until = match state {
            State::Head => phase.since + self.patience.head,
            State::Idle => phase.since + self.patience.idle,
            State::Busy => {
                phase.reader = Some(context.waker().clone());
                return false;
            }
            State::Upgraded => {
                // For ever: the memory of ten thousand quiet sockets counts.
                self.reading = None;
                return false;
            }
        };
        drop(phase);
        let late = passed(&mut self.reading, until, context);
        if late && state == State::Head {
            METRICS.refused(Refused::SlowHead);
        }
        late
    }

    /// Nothing could be written, or something was.
    fn written<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() || self.phase.lock().state == State::Upgraded {
            self.writing = None;
            return written;
        }
        let until = match &self.writing {
            Some(deadline) => deadline.deadline(),
            None => Instant::now() + self.patience.stall,
        };
        if passed(&mut self.writing, until, context) {
            METRICS.refused(Refused::Stalled);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

/// Whether it is past `until`; if not, the task is woken then.
fn passed(deadline: &mut Deadline, until: Instant, context: &mut Context<'_>) -> bool {
    let sleep = deadline.get_or_insert_with(|| Box::pin(sleep_until(until)));
    if sleep.deadline() != until {
        sleep.as_mut().reset(until);
    }
    sleep.as_mut().poll(context).is_ready()
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            let mut phase = self.phase.lock();
            if phase.state == State::Idle {
                phase.enter(State::Head);
            }
        }
        if read.is_pending() && self.is_late(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.written(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            let shut = Pin::new(&mut self.stream).poll_shutdown(context);
            ready!(self.written(shut, context))?;
        }
        self.poll_linger(context).map(Ok)
    }
}

impl<S: AsyncRead + Unpin> Timed<S> {
    /// Reads and throws away: RFC 9112, section 9.6.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let until = match &self.lingering {
            Some(deadline) => deadline.deadline(),
            None => Instant::now() + LINGER,
        };
        if passed(&mut self.lingering, until, context) {
            return Poll::Ready(());
        }
        let mut bytes = [0; 4096];
        loop {
            let mut thrown_away = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut thrown_away)) {
                Ok(()) if !thrown_away.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
    }
}
