//! What can go wrong for a client, and the one place where words of replicas become words of
//! the client protocol: HTTP answers, `err` frames.
//!
//! In: refusals of the state machine, answers and statuses of replicas. Out: docs/protocol.md 5.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use proto::v1::not_accepted::Reason;
use proto::v1::{Refusal, RefusalCode};
use tonic::Code;

use crate::frames::{ErrorAnswer, ErrorBody, ErrorCode, ServerFrame};
use crate::ids::Cid;

/// What a replica says when it has not applied the slot that was asked for.
const BEHIND: &str = "behind";

/// A refusal or failure in the words of the client protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code:?}: {message}")]
pub(crate) struct Error {
    /// The word.
    pub(crate) code: ErrorCode,
    /// For people.
    pub(crate) message: Cow<'static, str>,
    /// When to try again.
    pub(crate) retry_ms: Option<u32>,
}

impl Error {
    /// With the given words.
    pub(crate) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_ms: None,
        }
    }

    /// A field is wrong; the message says which and what is allowed.
    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    /// No session.
    pub(crate) fn unauthenticated() -> Self {
        Self::new(
            ErrorCode::Unauthenticated,
            "no session, or one that was ended: sign up first",
        )
    }

    /// The same words whatever of the two is wrong: nobody learns here which names exist.
    pub(crate) fn wrong_credentials() -> Self {
        Self::new(
            ErrorCode::WrongCredentials,
            "the name or the password is wrong",
        )
    }

    /// Over a rate.
    pub(crate) fn rate_limited(message: impl Into<Cow<'static, str>>, retry_ms: u32) -> Self {
        Self {
            retry_ms: Some(retry_ms),
            ..Self::new(ErrorCode::RateLimited, message)
        }
    }

    /// No room for more work.
    pub(crate) fn overloaded(message: impl Into<Cow<'static, str>>, retry_ms: u32) -> Self {
        Self {
            retry_ms: Some(retry_ms),
            ..Self::new(ErrorCode::Overloaded, message)
        }
    }

    /// No majority.
    pub(crate) fn no_quorum() -> Self {
        Self::new(
            ErrorCode::NoQuorum,
            "a majority of the replicas cannot be reached; the message is not known to be sent",
        )
    }

    /// An outage or a bug; details are in the log, not in the answer.
    pub(crate) fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    /// The replica that was asked is too far back.
    pub(crate) fn behind() -> Self {
        Self::new(
            ErrorCode::Behind,
            "no replica has applied yet what this client has seen",
        )
    }

    /// Whether the same request may succeed later.
    pub(crate) fn temporary(&self) -> bool {
        matches!(
            self.code,
            ErrorCode::RateLimited
                | ErrorCode::NoQuorum
                | ErrorCode::Overloaded
                | ErrorCode::Behind
                | ErrorCode::NoSpace
                | ErrorCode::Internal
        )
    }

    /// The HTTP status of the table in docs/protocol.md 5.
    pub(crate) fn status(&self) -> StatusCode {
        match self.code {
            ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
            ErrorCode::Unauthenticated | ErrorCode::WrongCredentials => StatusCode::UNAUTHORIZED,
            ErrorCode::ForbiddenOrigin
            | ErrorCode::Forbidden
            | ErrorCode::NotMember
            | ErrorCode::SignUpClosed
            | ErrorCode::RoomArchived => StatusCode::FORBIDDEN,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::NameTaken => StatusCode::CONFLICT,
            ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::NoQuorum | ErrorCode::Overloaded | ErrorCode::Behind => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ErrorCode::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
            ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// As a frame that answers `reference`.
    pub(crate) fn frame(&self, reference: Option<Cid>) -> ServerFrame {
        ServerFrame::Err {
            reference,
            code: self.code,
            message: self.message.clone().into_owned(),
            temporary: self.temporary(),
            retry_ms: self.retry_ms,
        }
    }

    /// What the state machine refused.
    pub(crate) fn refused(refusal: &Refusal) -> Self {
        let code = match refusal.code() {
            RefusalCode::BadRequest => ErrorCode::BadRequest,
            RefusalCode::NotFound => ErrorCode::NotFound,
            RefusalCode::NotMember => ErrorCode::NotMember,
            RefusalCode::NameTaken => ErrorCode::NameTaken,
            RefusalCode::Forbidden => ErrorCode::Forbidden,
            RefusalCode::Unauthenticated => ErrorCode::Unauthenticated,
            RefusalCode::PasswordChanged => ErrorCode::WrongCredentials,
            RefusalCode::SignUpClosed => ErrorCode::SignUpClosed,
            RefusalCode::RoomArchived => ErrorCode::RoomArchived,
            // This gateway opens no sender session.
            RefusalCode::SequenceGap
            | RefusalCode::SequenceUsed
            | RefusalCode::SenderSessionClosed => {
                tracing::error!(?refusal, "a refusal about an order that was not asked for");
                ErrorCode::Internal
            }
            RefusalCode::Unspecified => {
                tracing::error!(?refusal, "a refusal without a code");
                ErrorCode::Internal
            }
        };
        Self::new(code, refusal.message.clone())
    }

    /// The last word of a replica about a command that was not accepted until the patience was
    /// at its end.
    pub(crate) fn not_accepted(reason: Option<Reason>, retry_ms: u32, quorum: bool) -> Self {
        match reason {
            Some(Reason::TooLarge) => Self::new(
                ErrorCode::TooLarge,
                "the replicas take no command of this size",
            ),
            Some(Reason::NoSpace) => Self::new(ErrorCode::NoSpace, "the replicas' disks are full"),
            _ if !quorum => Self::no_quorum(),
            Some(Reason::Overloaded) => {
                Self::overloaded("the leader has no room for more commands", retry_ms.max(1))
            }
            _ => Self::internal("the leader did not answer in time"),
        }
    }

    /// What a replica said instead of answering a read.
    pub(crate) fn read(status: &tonic::Status) -> Self {
        let said = || status.message().to_owned();
        match status.code() {
            Code::NotFound => Self::new(ErrorCode::NotFound, "there is no such room"),
            Code::PermissionDenied => Self::new(ErrorCode::NotMember, "join the room first"),
            Code::InvalidArgument => Self::bad_request(said()),
            Code::Unavailable if status.message().contains(BEHIND) => Self::behind(),
            _ => Self::internal("a replica did not answer"),
        }
    }
}

/// Whether another replica may answer what this one did not.
pub(crate) fn another_may_answer(status: &tonic::Status) -> bool {
    !matches!(
        status.code(),
        Code::NotFound | Code::PermissionDenied | Code::InvalidArgument
    )
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            code: self.code,
            message: self.message.clone().into_owned(),
            temporary: self.temporary(),
            retry_ms: self.retry_ms,
        };
        let mut response = (self.status(), Json(ErrorAnswer { error: body })).into_response();
        if let Some(retry_ms) = self.retry_ms {
            let seconds = HeaderValue::from(retry_ms.div_ceil(1000));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_depends_on_the_quorum_first() {
        let word = |reason, quorum| Error::not_accepted(reason, 5, quorum).code;
        assert_eq!(word(None, false), ErrorCode::NoQuorum);
        assert_eq!(word(Some(Reason::NotLeader), false), ErrorCode::NoQuorum);
        assert_eq!(word(Some(Reason::Overloaded), false), ErrorCode::NoQuorum);
        assert_eq!(word(Some(Reason::Overloaded), true), ErrorCode::Overloaded);
        assert_eq!(word(None, true), ErrorCode::Internal);
        assert_eq!(word(Some(Reason::NoSpace), true), ErrorCode::NoSpace);
        assert_eq!(word(Some(Reason::TooLarge), true), ErrorCode::TooLarge);
    }

    #[test]
    fn a_replica_that_is_behind_is_told_from_one_that_is_gone() {
        let behind = tonic::Status::unavailable("behind: applied 5, wanted 9");
        assert_eq!(Error::read(&behind).code, ErrorCode::Behind);
        let gone = tonic::Status::unavailable("connection refused");
        assert_eq!(Error::read(&gone).code, ErrorCode::Internal);
        assert!(another_may_answer(&gone) && another_may_answer(&behind));
        assert!(!another_may_answer(&tonic::Status::not_found("room")));
    }
}
