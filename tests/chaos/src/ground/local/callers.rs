//! Whose connection it is: on loopback all addresses are equal, but the kernel knows which
//! process holds the other end.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::ground::Name;

/// The process that has a connection from port `from` to port `to`, both of loopback. `None` when
/// it is none of these, or the connection is gone.
pub(super) fn owner(from: u16, to: u16, processes: &BTreeMap<Name, u32>) -> Option<Name> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let socket = format!("socket:[{}]", inode(&table, from, to)?);
    let holds = |pid: u32| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
        descriptors.is_ok_and(|mut all| {
            all.any(|entry| {
                let target = entry.and_then(|entry| fs::read_link(entry.path()));
                target.is_ok_and(|target| target == Path::new(&socket))
            })
        })
    };
    let mut names = processes.iter();
    names
        .find(|(_, pid)| holds(**pid))
        .map(|(name, _)| name.clone())
}

/// The inode of the socket, from a table in the form of `/proc/net/tcp`.
fn inode(table: &str, from: u16, to: u16) -> Option<u64> {
    // 127.0.0.1, in the byte order of the machine.
    let loopback = u32::from_ne_bytes([127, 0, 0, 1]);
    let (local, remote) = (
        format!("{loopback:08X}:{from:04X}"),
        format!("{loopback:08X}:{to:04X}"),
    );
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_it = fields.next()? == local && fields.next()? == remote;
        // st, queues, timer, retransmits, uid, timeout, inode.
        let inode = fields.nth(6)?.parse().ok()?;
        // 0: closed already.
        (is_it && inode != 0).then_some(inode)
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A connection of this process is found, and is nobody else's.
    #[test]
    fn a_connection_has_an_owner() -> anyhow::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let to = listener.local_addr()?.port();
        let client = TcpStream::connect(("127.0.0.1", to))?;
        let from = client.local_addr()?.port();
        let (me, init) = (std::process::id(), 1);
        let processes = BTreeMap::from([("me".to_owned(), me)]);
        assert_eq!(owner(from, to, &processes).as_deref(), Some("me"));
        let others = BTreeMap::from([("init".to_owned(), init)]);
        assert_eq!(owner(from, to, &others), None);
        assert_eq!(owner(to, from.wrapping_add(1), &processes), None);
        Ok(())
    }
}
