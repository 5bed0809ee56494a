//! Who may call what: one table per server, checked before anything of a request is read.
//!
//! Must hold: what stands in no table is open to nobody.

use std::task::{Context, Poll};

use futures_util::future::{Either, Ready, ready};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http;
use tower::{Layer, Service};

use crate::identity::Role;
use crate::incoming::Peer;

/// Methods, or whole services (with a `/` at the end), and who may call them; the first that
/// fits counts.
pub type Table = &'static [(&'static str, &'static [Role])];

/// What every server offers besides its own: health to all, what it offers to operators.
pub const STANDARD: Table = &[
    ("grpc.health.v1.Health/", &Role::ALL),
    ("grpc.reflection.v1.ServerReflection/", &[Role::Operator]),
];

/// Who may call a method; `path` is `package.Service/Method`.
#[must_use]
pub fn allowed(table: Table, path: &str) -> &'static [Role] {
    let fits = |name: &str| name == path || (name.ends_with('/') && path.starts_with(name));
    let found = table.iter().chain(STANDARD).find(|(name, _)| fits(name));
    found.map_or(&[], |(_, roles)| *roles)
}

/// The layer of a server.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    table: Table,
    enforced: bool,
}

impl Access {
    pub(crate) const fn new(table: Table, enforced: bool) -> Self {
        Self { table, enforced }
    }

    fn check<B>(&self, request: &http::Request<B>) -> Result<(), Status> {
        if !self.enforced {
            return Ok(());
        }
        let peer = request.extensions().get::<Peer>();
        let Some(identity) = peer.and_then(|peer| peer.identity.as_ref()) else {
            return Err(Status::unauthenticated("a certificate is needed"));
        };
        let path = request.uri().path().trim_start_matches('/');
        if allowed(self.table, path).contains(&identity.role) {
            return Ok(());
        }
        let address = peer.and_then(|peer| peer.address).map(|at| at.to_string());
        tracing::warn!(caller = %identity, address, path, "a call was refused: not of its role");
        Err(Status::permission_denied(format!(
            "{identity} may not call {path}"
        )))
    }
}

impl<S> Layer<S> for Access {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            inner,
            access: *self,
        }
    }
}

/// A service behind [`Access`].
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    access: Access,
}

impl<S, B> Service<http::Request<B>> for Guarded<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>>,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Self::Response, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        match self.access.check(&request) {
            Ok(()) => Either::Right(self.inner.call(request)),
            Err(status) => Either::Left(ready(Ok(status.into_http()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Table = &[("a.B/One", &[Role::Gateway]), ("a.B/", &[Role::Operator])];

    #[test]
    fn the_first_that_fits_counts_and_the_rest_is_closed() {
        assert_eq!(allowed(SAMPLE, "a.B/One"), [Role::Gateway]);
        assert_eq!(allowed(SAMPLE, "a.B/OneMore"), [Role::Operator]);
        assert!(allowed(SAMPLE, "a.Bee/One").is_empty());
        assert!(allowed(SAMPLE, "").is_empty());
        assert_eq!(allowed(SAMPLE, "grpc.health.v1.Health/Check"), Role::ALL);
    }
}
