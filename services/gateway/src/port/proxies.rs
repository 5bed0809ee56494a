//! Whose word about the client's address is believed.
//!
//! Must hold: nobody but a proxy of ours can choose the address that is counted.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The networks of the setting `trusted_proxies`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies(Vec<IpNet>);

/// `10.0.0.0/8`, or one address; `None`: neither.
pub(crate) fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let one = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(one)
}

impl Proxies {
    /// Of networks that the settings' validation found good.
    pub(crate) fn new(networks: &[String]) -> Self {
        Self(networks.iter().filter_map(|text| network(text)).collect())
    }

    /// Whether this address is a proxy of ours.
    pub(crate) fn are(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client of a request that came from `peer`; `None`: a proxy of ours does not say.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        if !self.are(peer) {
            return Some(peer);
        }
        // Each proxy adds at the end, so the last one that is not ours is the client; what stands
        // before it are the client's own words.
        let lines = headers.get_all("x-forwarded-for").iter().rev();
        let mut named = lines.flat_map(|line| line.to_str().unwrap_or("").rsplit(','));
        named
            .find_map(|entry| match entry.trim().parse() {
                Ok(address) if self.are(address) => None,
                Ok(address) => Some(Some(address)),
                // What our proxy did not write as an address stops the search.
                Err(_) => Some(None),
            })
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(peer: &str, lines: &[&'static str]) -> Option<String> {
        let proxies = Proxies::new(&["10.0.0.0/8".to_owned(), "fd00::1".to_owned()]);
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        let found = proxies.client(peer.parse().unwrap(), &headers);
        found.map(|address| address.to_string())
    }

    /// Property: a stranger cannot choose the address; a client of a proxy cannot either.
    #[test]
    fn only_our_proxies_are_believed() {
        for (peer, lines, wanted) in [
            ("192.0.2.1", vec!["198.51.100.7"], Some("192.0.2.1")),
            ("10.1.2.3", vec!["198.51.100.7"], Some("198.51.100.7")),
            (
                "::ffff:10.1.2.3",
                vec!["198.51.100.7"],
                Some("198.51.100.7"),
            ),
            (
                "fd00::1",
                vec!["1.1.1.1, 198.51.100.7"],
                Some("198.51.100.7"),
            ),
            (
                "10.1.2.3",
                vec!["1.1.1.1", "198.51.100.7"],
                Some("198.51.100.7"),
            ),
            (
                "10.1.2.3",
                vec!["198.51.100.7, 10.9.9.9"],
                Some("198.51.100.7"),
            ),
            ("10.1.2.3", vec!["198.51.100.7, nonsense"], None),
            ("10.1.2.3", vec![], None),
        ] {
            assert_eq!(client(peer, &lines).as_deref(), wanted, "{peer} {lines:?}");
        }
    }

    #[test]
    fn networks_and_addresses_are_read() {
        for (text, good) in [
            ("10.0.0.0/8", true),
            (" 192.0.2.1", true),
            ("fd00::/8", true),
            ("10.0.0.0/33", false),
            ("proxy", false),
        ] {
            assert_eq!(network(text).is_some(), good, "{text}");
        }
    }
}
