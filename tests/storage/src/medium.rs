//! The disk: what it holds for ever, what it was told and need not have kept, and the images
//! that a power loss may leave.
//!
//! In: the events of a recording, one by one. Out: an [`Image`] for each [`Loss`] and draw.
//! The failure model, per file and since its last sync: any part of what was written may be
//! there, in any order; a write may be torn at sectors of 512 bytes, and a sector in the middle
//! of being written may hold anything; the length may be the old or the new one, with zeros or
//! anything in a hole. Bytes outside a write are never touched ("powersafe overwrite", which
//! SQLite takes for granted on unix, too). Names (files made, renamed, removed) may be there or
//! not until the directory is synced, whatever was synced of the file itself.
//! Must hold: what was synced is in every image.
//! Tested in: `tests/faults/layer.rs`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use fastrand::Rng;

use crate::event::{Event, NodeId};

/// The unit in which a disk writes. Larger ones tear less.
const SECTOR_BYTES: u64 = 512;

/// A change of a file that is not synced.
#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Arc<[u8]> },
    Resize(u64),
}

/// A change of the directory that is not synced.
#[derive(Clone, Debug)]
enum NameChange {
    Link {
        name: String,
        node: NodeId,
    },
    Unlink {
        name: String,
    },
    Rename {
        from: String,
        to: String,
        node: NodeId,
    },
}

/// What is known of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// Not synced yet.
    Open,
    /// A sync failed: perhaps on disk, and no later sync writes it.
    Doubtful,
    /// Synced, after one that is doubtful.
    Certain,
}

#[derive(Clone, Debug, Default)]
struct File {
    durable: Vec<u8>,
    /// What came after, in order.
    pending: Vec<(Change, Fate)>,
}

/// The disk of one recorded directory.
#[derive(Clone, Debug, Default)]
pub struct Medium {
    files: Vec<File>,
    /// Names that are durable.
    names: BTreeMap<String, NodeId>,
    /// Names as the process sees them.
    names_seen: BTreeMap<String, NodeId>,
    names_pending: Vec<NameChange>,
}

/// How a power loss treats what was not synced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Loss {
    /// Everything is there: what a killed process leaves.
    Nothing,
    /// Nothing is there.
    Everything,
    /// In each file, what came first is there.
    Rest,
    /// Of each file, some writes are there and others are not, in any order.
    Writes,
    /// Of each write, some sectors are there and others are not.
    Sectors,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Nothing,
        Self::Everything,
        Self::Rest,
        Self::Writes,
        Self::Sectors,
    ];
}

/// What happened to an image on the way to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traits {
    /// Something that was not synced is gone.
    pub lost: bool,
    /// A write is there in part.
    pub torn: bool,
    /// A later change is there, an earlier one of the same file is not.
    pub reordered: bool,
    /// A sector holds what nobody wrote.
    pub garbage: bool,
    /// The length is there, the data is not, or the other way round.
    pub length_apart: bool,
    /// A file that was made, renamed or removed is not, or not under its new name.
    pub name_lost: bool,
}

/// The files that are found after a crash.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Image {
    /// By name.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Image {
    /// Puts the files into an empty directory.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn place(&self, directory: &Path) -> io::Result<()> {
        for (name, content) in &self.files {
            std::fs::write(directory.join(name), content)?;
        }
        Ok(())
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Writes into a file that may be too short.
fn put(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = size(offset);
    let end = start + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(content, *offset, bytes),
            Self::Resize(length) => content.resize(size(*length), 0),
        }
    }

    /// The parts that reach the disk one by one.
    fn sectors(&self) -> Vec<Self> {
        let Self::Write { offset, bytes } = self else {
            return vec![self.clone()];
        };
        let mut parts = Vec::new();
        let mut rest: &[u8] = bytes;
        let mut at = *offset;
        while !rest.is_empty() {
            let room = size(SECTOR_BYTES - at % SECTOR_BYTES).min(rest.len());
            let (part, after) = rest.split_at(room);
            parts.push(Self::Write {
                offset: at,
                bytes: Arc::from(part),
            });
            at += room as u64;
            rest = after;
        }
        parts
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, NodeId>) {
        match self {
            Self::Link { name, node } => {
                names.insert(name.clone(), *node);
            }
            Self::Unlink { name } => {
                names.remove(name);
            }
            Self::Rename { from, to, node } => {
                if names.get(from) == Some(node) {
                    names.remove(from);
                }
                names.insert(to.clone(), *node);
            }
        }
    }
}

impl Medium {
    /// A file that is durable from the beginning.
    pub(crate) fn hold(&mut self, name: &str, content: Vec<u8>) -> NodeId {
        let node = NodeId(self.files.len());
        self.files.push(File {
            durable: content,
            pending: Vec::new(),
        });
        self.names.insert(name.to_owned(), node);
        self.names_seen.insert(name.to_owned(), node);
        node
    }

    /// Goes on by one event.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Created { node, name } => {
                self.files.resize_with(node.0 + 1, File::default);
                self.change_names(NameChange::Link {
                    name: name.clone(),
                    node: *node,
                });
            }
            Event::Wrote {
                node,
                offset,
                bytes,
            } => self.files[node.0].change(Change::Write {
                offset: *offset,
                bytes: Arc::clone(bytes),
            }),
            Event::Resized { node, length } => self.files[node.0].change(Change::Resize(*length)),
            Event::Synced { node } => self.files[node.0].sync(),
            Event::SyncFailed { node } => self.files[node.0].fail_sync(),
            Event::Unlinked { name } => {
                self.change_names(NameChange::Unlink { name: name.clone() });
            }
            Event::Renamed { from, to } => {
                if let Some(node) = self.names_seen.get(from).copied() {
                    self.change_names(NameChange::Rename {
                        from: from.clone(),
                        to: to.clone(),
                        node,
                    });
                }
            }
            Event::DirectorySynced => {
                self.names_pending.clear();
                self.names = self.names_seen.clone();
            }
            Event::Marked { .. } => {}
        }
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names_seen);
        self.names_pending.push(change);
    }

    /// The files as the process sees them.
    #[must_use]
    pub fn seen(&self) -> BTreeMap<String, Vec<u8>> {
        let names = self.names_seen.iter();
        names
            .map(|(name, node)| (name.clone(), self.files[node.0].seen()))
            .collect()
    }

    /// Whether a file has changes that are not synced.
    #[must_use]
    pub fn is_pending(&self, name: &str) -> bool {
        let nodes = [self.names.get(name), self.names_seen.get(name)];
        let mut nodes = nodes.into_iter().flatten();
        nodes.any(|node| !self.files[node.0].pending.is_empty())
    }

    /// Whether everything is synced but what concerns the file named `apart`.
    #[must_use]
    pub fn is_settled(&self, apart: &str) -> bool {
        let names = self.names_pending.iter().all(|change| match change {
            NameChange::Link { name, .. } | NameChange::Unlink { name } => name == apart,
            NameChange::Rename { .. } => false,
        });
        let apart = self.node(apart);
        let mut files = self.files.iter().enumerate();
        names && files.all(|(node, file)| file.pending.is_empty() || apart == Some(NodeId(node)))
    }

    /// What the file of a name is at this moment.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.names_seen.get(name).copied()
    }

    /// All names as the process sees them.
    pub(crate) fn nodes(&self) -> BTreeMap<String, NodeId> {
        self.names_seen.clone()
    }

    /// The length of each file as the process sees it.
    pub(crate) fn lengths(&self) -> Vec<u64> {
        let files = self.files.iter();
        files.map(|file| file.seen().len() as u64).collect()
    }

    /// What is found after the power failed now.
    #[must_use]
    pub fn after(&self, loss: Loss, random: &mut Rng) -> (Image, Traits) {
        let mut traits = Traits::default();
        let names = self.draw_names(loss, random, &mut traits);
        let files = names
            .into_iter()
            .map(|(name, node)| {
                let content = self.files[node.0].after(loss, random, &mut traits);
                (name, content)
            })
            .collect();
        (Image { files }, traits)
    }

    fn draw_names(
        &self,
        loss: Loss,
        random: &mut Rng,
        traits: &mut Traits,
    ) -> BTreeMap<String, NodeId> {
        let mut names = self.names.clone();
        let pending = &self.names_pending;
        // A journal of the file system keeps the order of these; not every file system has one.
        let in_order = random.bool();
        let kept_max = random.usize(0..=pending.len());
        for (number, change) in pending.iter().enumerate() {
            let kept = match loss {
                Loss::Nothing => true,
                Loss::Everything => false,
                Loss::Rest | Loss::Writes | Loss::Sectors if in_order => number < kept_max,
                Loss::Rest | Loss::Writes | Loss::Sectors => random.bool(),
            };
            if kept {
                change.apply(&mut names);
            } else {
                traits.name_lost = true;
            }
        }
        names
    }
}

impl File {
    fn seen(&self) -> Vec<u8> {
        let mut content = self.durable.clone();
        let pending = self.pending.iter();
        pending.for_each(|(change, _)| change.apply(&mut content));
        content
    }

    fn change(&mut self, change: Change) {
        self.pending.push((change, Fate::Open));
    }

    fn sync(&mut self) {
        if self.pending.iter().all(|(_, fate)| *fate == Fate::Open) {
            for (change, _) in self.pending.drain(..) {
                change.apply(&mut self.durable);
            }
        }
        self.turn(Fate::Certain);
    }

    fn fail_sync(&mut self) {
        self.turn(Fate::Doubtful);
    }

    fn turn(&mut self, into: Fate) {
        let open = self.pending.iter_mut();
        open.filter(|(_, fate)| *fate == Fate::Open)
            .for_each(|(_, fate)| *fate = into);
    }

    fn after(&self, loss: Loss, random: &mut Rng, traits: &mut Traits) -> Vec<u8> {
        let mut content = self.durable.clone();
        if self.pending.is_empty() {
            return content;
        }
        let kept_max = match loss {
            Loss::Rest => random.usize(0..=self.pending.len()),
            _ => 0,
        };
        let odds = [0.1, 0.5, 0.9][random.usize(0..3)];
        let garbage = random.u8(0..4) == 0;
        let mut dropped_before = false;
        for (number, (change, fate)) in self.pending.iter().enumerate() {
            let whole = *fate == Fate::Certain
                || match loss {
                    Loss::Nothing => true,
                    Loss::Everything | Loss::Sectors => false,
                    Loss::Rest => number < kept_max,
                    Loss::Writes => random.f64() < odds,
                };
            let kept = if whole {
                traits.reordered |= dropped_before;
                change.reach(&mut content, garbage, random, traits);
                true
            } else if loss == Loss::Sectors {
                let kept = change.tear(&mut content, odds, garbage, random, traits);
                traits.reordered |= dropped_before && kept > 0;
                traits.torn |= kept > 0;
                false
            } else {
                false
            };
            dropped_before |= !kept;
        }
        traits.lost |= dropped_before;
        if matches!(loss, Loss::Writes | Loss::Sectors) {
            self.draw_length(&mut content, random, traits);
        }
        content
    }

    /// The length is metadata: it may be on disk before the data, or not although the data is.
    fn draw_length(&self, content: &mut Vec<u8>, random: &mut Rng, traits: &mut Traits) {
        let (mut seen, mut least) = (self.durable.len() as u64, self.durable.len() as u64);
        for (change, fate) in &self.pending {
            let after = |length: u64| match change {
                Change::Write { offset, bytes } => length.max(offset + bytes.len() as u64),
                Change::Resize(length) => *length,
            };
            seen = after(seen);
            if *fate == Fate::Certain {
                least = after(least);
            }
        }
        let length = match random.u8(0..8) {
            0 => size(seen).max(size(least)),
            1 => size(least).min(content.len()),
            _ => return,
        };
        traits.length_apart |= length != content.len();
        content.resize(length, 0);
    }
}

impl Change {
    /// The disk has written it; what lies before it may never have been.
    fn reach(&self, content: &mut Vec<u8>, garbage: bool, random: &mut Rng, traits: &mut Traits) {
        if let Self::Write { offset, .. } = self
            && garbage
        {
            while content.len() < size(*offset) {
                content.push(random.u8(..));
                traits.garbage = true;
            }
        }
        self.apply(content);
    }

    /// The disk has written some sectors of it. Returns how many, if not all.
    fn tear(
        &self,
        content: &mut Vec<u8>,
        odds: f64,
        garbage: bool,
        random: &mut Rng,
        traits: &mut Traits,
    ) -> usize {
        let parts = self.sectors();
        let mut kept = 0;
        for part in &parts {
            if random.f64() < odds {
                part.reach(content, garbage, random, traits);
                kept += 1;
            } else if garbage && random.u8(0..8) == 0 {
                part.scramble(content, random, traits);
            }
        }
        if kept < parts.len() { kept } else { 0 }
    }

    /// A sector that was being written: anything, within the bytes that were to change.
    fn scramble(&self, content: &mut Vec<u8>, random: &mut Rng, traits: &mut Traits) {
        if let Self::Write { offset, bytes } = self {
            let noise: Vec<u8> = bytes.iter().map(|_| random.u8(..)).collect();
            put(content, *offset, &noise);
            traits.garbage = true;
        }
    }
}
