//! WebSockets: one session per socket, one queue per session, one hub for all.

pub(crate) mod admission;
mod begin;
mod ephemera;
mod fanout;
pub(crate) mod hub;
pub(crate) mod outbox;
mod replay;
mod requests;
mod session;
pub(crate) mod upgrade;
mod waiting;
mod writer;

/// Why a socket is closed: docs/protocol.md 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// Nothing heard.
    Idle,
    /// No `start`.
    StartTimeout,
    /// The gateway's replica is behind the client.
    Behind,
    /// The gateway stops.
    Drain,
    /// The queue overflowed with what cannot be left out.
    Slow,
    /// Of this account, or of this gateway.
    TooManySockets,
    /// A frame that no correct client sends.
    BadRequest(&'static str),
    /// No session, or a revoked one.
    Unauthenticated,
    /// Too many malformed frames.
    TooManyErrors,
    /// More frames than any correct client sends.
    TooManyFrames,
}

impl Close {
    /// The number on the wire.
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Idle => 4400,
            Self::StartTimeout => 4408,
            Self::Behind => 4409,
            Self::Drain => 4410,
            Self::Slow => 4413,
            Self::TooManySockets => 4429,
            Self::BadRequest(_) => 4500,
            Self::Unauthenticated => 4501,
            Self::TooManyErrors => 4503,
            Self::TooManyFrames => 4504,
        }
    }

    /// The word on the wire.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::StartTimeout => "start_timeout",
            Self::Behind => "behind",
            Self::Drain => "drain",
            Self::Slow => "slow",
            Self::TooManySockets => "too_many_sockets",
            Self::BadRequest(what) => what,
            Self::Unauthenticated => "unauthenticated",
            Self::TooManyErrors => "too_many_errors",
            Self::TooManyFrames => "too_many_frames",
        }
    }
}
