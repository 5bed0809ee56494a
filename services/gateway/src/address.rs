//! Where a request comes from.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

use crate::app::App;

/// What one customer has: an IPv4 address, or the /64 of an IPv6 one.
pub(crate) fn prefix(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        },
        v4 => v4,
    }
}

/// Where a request comes from; `None` when that cannot be known.
pub(crate) struct Address(pub(crate) Option<IpAddr>);

impl FromRequestParts<Arc<App>> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        if app.options.behind_proxy {
            // The last one is what our proxy wrote; the ones before it are the client's own words.
            let last = parts.headers.get_all("x-forwarded-for").iter().next_back();
            let last = last.and_then(|value| value.to_str().ok());
            let last = last.and_then(|list| list.rsplit(',').next()?.trim().parse().ok());
            return Ok(Self(last));
        }
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(peer.map(|ConnectInfo(peer)| peer.ip())))
    }
}
