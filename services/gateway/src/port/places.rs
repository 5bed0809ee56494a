//! How many connections there are, in all and of each address.
//!
//! Must hold: every place is given back when it is dropped; an address without places costs no
//! memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::attempts::prefix;
use crate::config::Options;
use crate::metrics::Refused;
use crate::port::proxies::Proxies;

#[derive(Debug, Default)]
struct Taken {
    all: u32,
    of: HashMap<IpAddr, u32>,
}

/// The places of the public port.
#[derive(Debug)]
pub(crate) struct Places {
    all_max: u32,
    of_address_max: u32,
    proxies: Proxies,
    taken: Mutex<Taken>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    /// Whether it is a connection, or a request of a client behind a proxy's connection.
    connection: bool,
    /// As it was counted; a proxy's connections are not.
    address: Option<IpAddr>,
}

impl Places {
    /// As many as the settings say.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            all_max: options.connections,
            of_address_max: options.connections_per_address,
            proxies: Proxies::new(&options.trusted_proxies),
            taken: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections that are open.
    pub(crate) fn taken(&self) -> u32 {
        self.lock().all
    }

    /// For a connection from there.
    pub(crate) fn connection(self: &Arc<Self>, peer: IpAddr) -> Result<Place, Refused> {
        let address = (!self.proxies.are(peer)).then(|| prefix(peer));
        self.take(true, address)
    }

    /// For a request that a proxy passes on.
    pub(crate) fn client(self: &Arc<Self>, address: IpAddr) -> Result<Place, Refused> {
        self.take(false, Some(prefix(address)))
    }

    fn take(self: &Arc<Self>, connection: bool, address: Option<IpAddr>) -> Result<Place, Refused> {
        let mut taken = self.lock();
        if connection && taken.all >= self.all_max {
            return Err(Refused::Full);
        }
        if let Some(address) = address {
            let of = taken.of.get(&address).copied().unwrap_or(0);
            if of >= self.of_address_max {
                return Err(Refused::Address);
            }
            taken.of.insert(address, of + 1);
        }
        taken.all += u32::from(connection);
        drop(taken);
        Ok(Place {
            places: Arc::clone(self),
            connection,
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all -= u32::from(self.connection);
        let Some(address) = self.address else {
            return;
        };
        match taken.of.get_mut(&address) {
            Some(of) if *of > 1 => *of -= 1,
            _ => {
                taken.of.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Arc<Places> {
        Arc::new(Places::new(&Options {
            connections: 4,
            connections_per_address: 2,
            trusted_proxies: vec!["10.0.0.0/8".to_owned()],
            ..Options::default()
        }))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Property: one address cannot take the places of others, and gives its own back.
    #[test]
    fn an_address_has_its_share() {
        let places = places();
        let first = places.connection(ip("127.0.0.1")).unwrap();
        let second = places.connection(ip("127.0.0.1")).unwrap();
        let refused = places.connection(ip("127.0.0.1")).unwrap_err();
        assert_eq!(refused, Refused::Address);
        let others = ["127.0.0.2", "127.0.0.3"].map(|text| places.connection(ip(text)).unwrap());
        let refused = places.connection(ip("127.0.0.4")).unwrap_err();
        assert_eq!(refused, Refused::Full);
        drop((first, second, others));
        assert_eq!(places.taken(), 0);
        assert!(places.lock().of.is_empty(), "nothing is remembered");
        places.connection(ip("127.0.0.1")).unwrap();
    }

    /// Property: a proxy is not counted as one client; those behind it are, one by one.
    #[test]
    fn behind_a_proxy_its_clients_are_counted() {
        let places = places();
        let proxy: Vec<_> = (0..3)
            .map(|_| places.connection(ip("10.0.0.1")).unwrap())
            .collect();
        let client = [(); 2].map(|()| places.client(ip("192.0.2.1")).unwrap());
        assert_eq!(
            places.client(ip("192.0.2.1")).unwrap_err(),
            Refused::Address
        );
        places.client(ip("192.0.2.2")).unwrap();
        assert_eq!(places.taken(), 3, "a request is no connection");
        drop((proxy, client));
        assert!(places.lock().of.is_empty());
    }
}
