//! What clients of a run ask for, as the payload of an entry: the simulation's own commands.

use bytes::Bytes;
use paxos::Slot;

/// One command of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Command {
    /// Who asks.
    pub client: u16,
    /// The client's name for it, from 0 upwards: kept over every retry.
    pub cid: u32,
    /// For a client with a session: the session and the number within it, from 1 on.
    pub session: Option<(Slot, u32)>,
}

/// The bytes that every command takes: client, cid, session, number.
pub const COMMAND_BYTES: usize = 2 + 4 + 8 + 4;

impl Command {
    /// The payload of an entry, padded to a length.
    #[must_use]
    pub fn encode(&self, length: usize) -> Bytes {
        let mut payload = Vec::with_capacity(length.max(COMMAND_BYTES));
        payload.extend_from_slice(&self.client.to_le_bytes());
        payload.extend_from_slice(&self.cid.to_le_bytes());
        let (session, number) = self.session.unwrap_or((Slot(0), 0));
        payload.extend_from_slice(&session.0.to_le_bytes());
        payload.extend_from_slice(&number.to_le_bytes());
        payload.resize(length.max(COMMAND_BYTES), 0);
        Bytes::from(payload)
    }

    /// Reads what [`Command::encode`] wrote; `None` if it did not.
    #[must_use]
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let (client, rest) = payload.split_first_chunk::<2>()?;
        let (cid, rest) = rest.split_first_chunk::<4>()?;
        let (session, rest) = rest.split_first_chunk::<8>()?;
        let (number, _) = rest.split_first_chunk::<4>()?;
        let session = Slot(u64::from_le_bytes(*session));
        Some(Self {
            client: u16::from_le_bytes(*client),
            cid: u32::from_le_bytes(*cid),
            session: (session.0 > 0).then_some((session, u32::from_le_bytes(*number))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Command;
    use paxos::Slot;

    #[test]
    fn what_is_written_is_read() {
        for session in [None, Some((Slot(1030), 7))] {
            let command = Command {
                client: 3,
                cid: 70_000,
                session,
            };
            assert_eq!(Command::decode(&command.encode(40)), Some(command));
            assert_eq!(Command::decode(&command.encode(0)), Some(command));
        }
        assert_eq!(Command::decode(b"short"), None);
    }
}
