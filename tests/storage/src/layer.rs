//! What happens to the files of the recorded directories: written down, let through or failed.
//!
//! In: the calls that `intercept.rs` caught. Out: the [`Event`]s of each [`crate::Disk`], in the
//! order in which they happened. The files themselves always hold what a running process sees
//! (the page cache); what a power loss leaves of it is drawn afterwards, from the events, by
//! `medium.rs`.
//! Must hold: no change of a recorded file escapes ([`crate::Disk::verify`] compares); after
//! [`crate::Disk::fail`] the call named there fails and is not done.
//! Tested in: `tests/faults/layer.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::event::{Call, CallKind, Event, Fault, FaultKind, NodeId};
use crate::gate::{Gate, lock};

/// An error number of the C library.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Errno(pub(crate) i32);

/// What a descriptor refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FileKind {
    /// A file with content.
    Regular,
    /// A directory.
    Directory,
}

/// An open file, as the kernel describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handle {
    /// The descriptor.
    pub(crate) fd: i32,
    /// What it refers to.
    pub(crate) kind: FileKind,
    /// Device and number: what stays the same under another name.
    pub(crate) inode: (u64, u64),
    /// Its length in bytes.
    pub(crate) length: u64,
}

/// All recorded directories of this process.
struct Layer {
    /// By their canonical path.
    directories: BTreeMap<PathBuf, Arc<Shared>>,
    /// The files in them that were seen.
    files: BTreeMap<(u64, u64), (Arc<Shared>, NodeId)>,
}

static LAYER: RwLock<Layer> = RwLock::new(Layer {
    directories: BTreeMap::new(),
    files: BTreeMap::new(),
});

/// One recorded directory, as the calls and its [`crate::Disk`] share it.
pub(crate) struct Shared {
    /// Its canonical path.
    pub(crate) path: PathBuf,
    pub(crate) recording: Mutex<Recording>,
    pub(crate) gate: Gate,
}

/// What was recorded.
#[derive(Default)]
pub(crate) struct Recording {
    /// Everything since the start.
    pub(crate) events: Vec<Event>,
    /// The names as the process sees them.
    pub(crate) names: BTreeMap<String, NodeId>,
    /// The length of each file as the process sees it.
    pub(crate) lengths: Vec<u64>,
    /// How many calls changed something or synced, failed ones included.
    pub(crate) calls: u64,
    /// What is to fail.
    pub(crate) fault: Option<Fault>,
    /// The first call that failed.
    pub(crate) fired: Option<Call>,
}

/// Sees what happens in a directory from now on.
pub(crate) fn watch(shared: &Arc<Shared>) {
    let inodes = listing(&shared.path);
    let names = lock(&shared.recording).names.clone();
    let mut layer = LAYER.write().unwrap_or_else(PoisonError::into_inner);
    for (name, inode) in inodes {
        if let Some(node) = names.get(&name) {
            layer.files.insert(inode, (Arc::clone(shared), *node));
        }
    }
    let path = shared.path.clone();
    layer.directories.insert(path, Arc::clone(shared));
}

/// Sees it no more.
pub(crate) fn leave(shared: &Arc<Shared>) {
    let mut layer = LAYER.write().unwrap_or_else(PoisonError::into_inner);
    layer.directories.remove(&shared.path);
    layer
        .files
        .retain(|_, (other, _)| !Arc::ptr_eq(other, shared));
}

impl Recording {
    /// Counts a call and says whether it is to fail.
    fn begin(&mut self, kind: CallKind, name: &str) -> Option<FaultKind> {
        let number = self.calls;
        self.calls += 1;
        let fault = self.fault.filter(|fault| {
            fault.hits(kind) && number >= fault.from && (fault.lasting || self.fired.is_none())
        })?;
        if self.fired.is_none() {
            self.fired = Some(Call {
                number,
                kind,
                name: name.to_owned(),
                event: self.events.len(),
            });
        }
        Some(fault.kind)
    }

    /// Takes in what changed past this layer: a file that `open` cut off.
    fn notice_length(&mut self, node: NodeId, length: u64) {
        if self.lengths[node.0] != length {
            self.lengths[node.0] = length;
            self.events.push(Event::Resized { node, length });
        }
    }

    /// A file seen for the first time.
    fn create(&mut self, name: &str) -> NodeId {
        let node = NodeId(self.lengths.len());
        self.lengths.push(0);
        self.names.insert(name.to_owned(), node);
        self.events.push(Event::Created {
            node,
            name: name.to_owned(),
        });
        node
    }

    fn name(&self, node: NodeId) -> String {
        let named = self.names.iter().find(|(_, found)| **found == node);
        named.map_or_else(|| "(deleted)".to_owned(), |(name, _)| name.clone())
    }
}

/// The directory and the last part of a path.
fn split(path: &Path) -> Option<(&Path, &str)> {
    Some((path.parent()?, path.file_name()?.to_str()?))
}

fn directory(path: &Path) -> Option<Arc<Shared>> {
    let layer = LAYER.read().unwrap_or_else(PoisonError::into_inner);
    layer.directories.get(path).cloned()
}

/// The path behind a descriptor.
fn path_of(handle: &Handle) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", handle.fd)).ok()
}

/// The recorded file behind a descriptor.
fn file(handle: &Handle) -> Option<(Arc<Shared>, NodeId)> {
    if handle.kind != FileKind::Regular {
        return None;
    }
    let known = {
        let layer = LAYER.read().unwrap_or_else(PoisonError::into_inner);
        if layer.directories.is_empty() {
            return None;
        }
        layer.files.get(&handle.inode).cloned()
    };
    if known.is_some() {
        return known;
    }
    let path = path_of(handle)?;
    let (parent, name) = split(&path)?;
    let shared = directory(parent)?;
    let node = lock(&shared.recording).create(name);
    let mut layer = LAYER.write().unwrap_or_else(PoisonError::into_inner);
    layer
        .files
        .insert(handle.inode, (Arc::clone(&shared), node));
    Some((shared, node))
}

/// Forgets which file an inode is, because its number may be given to another.
fn forget(shared: &Arc<Shared>, node: NodeId) {
    let mut layer = LAYER.write().unwrap_or_else(PoisonError::into_inner);
    layer
        .files
        .retain(|_, (other, found)| !(Arc::ptr_eq(other, shared) && *found == node));
}

pub(crate) fn write(
    handle: &Handle,
    offset: u64,
    bytes: &[u8],
    real: impl Fn(&[u8]) -> Result<i64, Errno>,
) -> Result<i64, Errno> {
    let Some((shared, node)) = file(handle) else {
        return real(bytes);
    };
    let mut recording = lock(&shared.recording);
    recording.notice_length(node, handle.length);
    let name = recording.name(node);
    let mut part = bytes;
    if let Some(fault) = recording.begin(CallKind::Write, &name) {
        match fault {
            FaultKind::NoSpace { left_bytes } if left_bytes > 0 => {
                // The last blocks of the disk take the beginning.
                recording.fault = recording.fault.map(|fault| Fault {
                    kind: FaultKind::NoSpace { left_bytes: 0 },
                    ..fault
                });
                part = bytes.get(..left_bytes).unwrap_or(bytes);
            }
            other => return Err(other.errno()),
        }
    }
    let written = real(part)?;
    let done = part.get(..usize::try_from(written).unwrap_or(0));
    let done = done.unwrap_or(part);
    let end = offset + done.len() as u64;
    let length = recording.lengths[node.0].max(end);
    recording.lengths[node.0] = length;
    recording.events.push(Event::Wrote {
        node,
        offset,
        bytes: Arc::from(done),
    });
    Ok(written)
}

pub(crate) fn resize(
    handle: &Handle,
    length: u64,
    real: impl Fn() -> Result<i64, Errno>,
) -> Result<i64, Errno> {
    let Some((shared, node)) = file(handle) else {
        return real();
    };
    let mut recording = lock(&shared.recording);
    recording.notice_length(node, handle.length);
    let name = recording.name(node);
    if let Some(fault) = recording.begin(CallKind::Resize, &name) {
        return Err(fault.errno());
    }
    let done = real()?;
    if recording.lengths[node.0] != length {
        recording.lengths[node.0] = length;
        recording.events.push(Event::Resized { node, length });
    }
    Ok(done)
}

pub(crate) fn sync(handle: &Handle) -> Result<(), Errno> {
    if handle.kind == FileKind::Directory {
        return path_of(handle)
            .and_then(|path| directory(&path))
            .map_or(Ok(()), |shared| sync_directory(&shared));
    }
    let Some((shared, node)) = file(handle) else {
        return Ok(());
    };
    shared.gate.pass();
    let mut recording = lock(&shared.recording);
    recording.notice_length(node, handle.length);
    let name = recording.name(node);
    if let Some(fault) = recording.begin(CallKind::Sync, &name) {
        recording.events.push(Event::SyncFailed { node });
        return Err(fault.errno());
    }
    recording.events.push(Event::Synced { node });
    Ok(())
}

fn sync_directory(shared: &Arc<Shared>) -> Result<(), Errno> {
    // Files that were made and not yet written have not been seen.
    for (name, inode) in listing(&shared.path) {
        let mut recording = lock(&shared.recording);
        if !recording.names.contains_key(&name) {
            let node = recording.create(&name);
            drop(recording);
            let mut layer = LAYER.write().unwrap_or_else(PoisonError::into_inner);
            layer.files.insert(inode, (Arc::clone(shared), node));
        }
    }
    let mut recording = lock(&shared.recording);
    if let Some(fault) = recording.begin(CallKind::SyncDirectory, "") {
        return Err(fault.errno());
    }
    recording.events.push(Event::DirectorySynced);
    Ok(())
}

/// The names in a directory with their inodes.
pub(crate) fn listing(path: &Path) -> Vec<(String, (u64, u64))> {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = std::fs::read_dir(path) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            let name = entry.file_name().to_str()?.to_owned();
            Some((name, (metadata.dev(), metadata.ino())))
        })
        .collect();
    found.sort();
    found
}

pub(crate) fn unlink(path: &Path, real: impl Fn() -> Result<i64, Errno>) -> Result<i64, Errno> {
    let Some((shared, name)) = split(path).and_then(|(parent, name)| {
        let shared = directory(parent)?;
        Some((shared, name))
    }) else {
        return real();
    };
    let mut recording = lock(&shared.recording);
    if let Some(fault) = recording.begin(CallKind::Unlink, name) {
        return Err(fault.errno());
    }
    let done = real()?;
    let node = recording.names.remove(name);
    recording.events.push(Event::Unlinked {
        name: name.to_owned(),
    });
    drop(recording);
    if let Some(node) = node {
        forget(&shared, node);
    }
    Ok(done)
}

pub(crate) fn rename(
    from: &Path,
    to: &Path,
    real: impl Fn() -> Result<i64, Errno>,
) -> Result<i64, Errno> {
    let places = split(from).zip(split(to)).and_then(|(from, to)| {
        let shared = directory(from.0)?;
        Some((shared, from, to))
    });
    let Some((shared, from, to)) = places.filter(|(_, from, to)| from.0 == to.0) else {
        return real();
    };
    let mut recording = lock(&shared.recording);
    if let Some(fault) = recording.begin(CallKind::Rename, from.1) {
        return Err(fault.errno());
    }
    let done = real()?;
    let moved = recording.names.remove(from.1);
    let replaced = moved.and_then(|node| recording.names.insert(to.1.to_owned(), node));
    recording.events.push(Event::Renamed {
        from: from.1.to_owned(),
        to: to.1.to_owned(),
    });
    drop(recording);
    if let Some(node) = replaced {
        forget(&shared, node);
    }
    Ok(done)
}
