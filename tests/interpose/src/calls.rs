//! The functions of the C library that are replaced, and the system calls behind them.
//!
//! In: raw arguments of the program that this is loaded into. Out: safe values to `undo.rs`.
//! Must hold: each function does what the C library's does; nothing here calls a function that
//! is replaced, so that nothing here calls itself.

#![allow(
    unsafe_code,
    reason = "a function with the name and the signature of one in C is unsafe to define"
)]

use std::ffi::{CStr, CString, c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::undo;

/// A regular file that is open.
pub(crate) struct File {
    /// The descriptor.
    pub(crate) fd: c_int,
    /// With the next, its identity.
    pub(crate) inode: u64,
    /// When it was made, nanoseconds since 1970; 0 where the file system does not know.
    pub(crate) made_ns: u128,
    /// Its length now.
    pub(crate) length: u64,
}

fn variable(name: &CStr) -> Option<String> {
    // SAFETY: `name` is a C string; nobody changes the environment of a replica.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: getenv answers with a C string.
    let value = unsafe { CStr::from_ptr(value) };
    value.to_str().ok().map(str::to_owned)
}

/// Where to write down what is not synced.
pub(crate) fn undo_directory() -> Option<&'static str> {
    static DIRECTORY: OnceLock<Option<String>> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| variable(c"INTERPOSE_UNDO"));
    directory.as_deref()
}

/// What the kernel says of a descriptor; `None` for what is no regular file.
fn identify(fd: c_int) -> Option<File> {
    // Standard streams may be files, and are not on the node's disk.
    if fd <= 2 || undo_directory().is_none() {
        return None;
    }
    let mut stat = std::mem::MaybeUninit::<libc::statx>::uninit();
    let mask = libc::STATX_BASIC_STATS | libc::STATX_BTIME;
    // SAFETY: an empty path with AT_EMPTY_PATH asks for the descriptor; `stat` is large enough.
    let answer = unsafe {
        let place = stat.as_mut_ptr();
        libc::syscall(
            libc::SYS_statx,
            fd,
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            mask,
            place,
        )
    };
    if answer != 0 {
        return None;
    }
    // SAFETY: statx answered 0, so it has filled the structure.
    let stat = unsafe { stat.assume_init() };
    if u32::from(stat.stx_mode) & libc::S_IFMT != libc::S_IFREG {
        return None;
    }
    let made = stat.stx_btime;
    let seconds = u128::try_from(made.tv_sec).unwrap_or(0);
    Some(File {
        fd,
        inode: stat.stx_ino,
        made_ns: seconds * 1_000_000_000 + u128::from(made.tv_nsec),
        length: stat.stx_size,
    })
}

/// Opens a record, to append to it.
pub(crate) fn open_record(path: &str) -> Option<c_int> {
    let path = CString::new(path).ok()?;
    let flags = libc::O_CREAT | libc::O_APPEND | libc::O_WRONLY | libc::O_CLOEXEC;
    // SAFETY: `path` is a C string.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            0o600,
        )
    };
    c_int::try_from(fd).ok().filter(|fd| *fd >= 0)
}

/// How long a file is.
pub(crate) fn length(fd: c_int) -> u64 {
    // SAFETY: numbers only.
    let end = unsafe { libc::syscall(libc::SYS_lseek, fd, 0, libc::SEEK_END) };
    u64::try_from(end).unwrap_or(0)
}

/// Forgets a record.
pub(crate) fn empty(fd: c_int) {
    // SAFETY: numbers only.
    unsafe { libc::syscall(libc::SYS_ftruncate, fd, 0) };
}

/// Appends the parts to a record, as one.
pub(crate) fn append(fd: c_int, parts: &[&[u8]]) {
    let whole = parts.concat();
    let mut left = whole.as_slice();
    while !left.is_empty() {
        // SAFETY: the pointer and the length are those of a slice.
        let done = unsafe { libc::syscall(libc::SYS_write, fd, left.as_ptr(), left.len()) };
        match usize::try_from(done) {
            Ok(done) if done > 0 => left = left.get(done..).unwrap_or_default(),
            // A record that cannot be kept would make a power loss milder than it is said to be.
            _ => std::process::abort(),
        }
    }
}

/// Reads a part of a file; less where it ends.
pub(crate) fn read_at(fd: c_int, offset: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let mut done = 0;
    // A descriptor that was opened to write only cannot be read: its record says "nothing was
    // here", which is true of new files, the only ones that are opened so.
    while done < count {
        let place = bytes.get_mut(done..).unwrap_or_default();
        let at = offset.saturating_add(done as u64);
        // SAFETY: the pointer and the length are those of a slice.
        let read =
            unsafe { libc::syscall(libc::SYS_pread64, fd, place.as_mut_ptr(), place.len(), at) };
        match usize::try_from(read) {
            Ok(read) if read > 0 => done += read,
            _ => break,
        }
    }
    bytes.truncate(done);
    bytes
}

/// The caller's buffer.
///
/// # Safety
/// `buffer` points to `count` readable bytes that nobody changes during `'a`: what `write(2)`
/// demands of its callers.
unsafe fn slice<'a>(buffer: *const c_void, count: usize) -> &'a [u8] {
    if buffer.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: not null, and the rest is the caller's promise.
    unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), count) }
}

/// Where the next `write` on this descriptor begins.
fn position(file: &File) -> u64 {
    // SAFETY: numbers only.
    let flags = unsafe { libc::fcntl(file.fd, libc::F_GETFL) };
    if flags >= 0 && flags & libc::O_APPEND != 0 {
        return file.length;
    }
    // SAFETY: numbers only.
    let at = unsafe { libc::syscall(libc::SYS_lseek, file.fd, 0, libc::SEEK_CUR) };
    u64::try_from(at).unwrap_or(0)
}

/// `write(2)`.
///
/// # Safety
/// As in C: `buffer` points to `count` readable bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, count: usize) -> isize {
    // SAFETY: passed on as it came; the kernel checks it.
    let real = || unsafe { libc::syscall(libc::SYS_write, fd, buffer, count) as isize };
    match identify(fd) {
        // SAFETY: the caller's promise.
        Some(file) => undo::write(
            &file,
            position(&file),
            unsafe { slice(buffer, count) },
            real,
        ),
        None => real(),
    }
}

/// `pwrite(2)` with 64-bit offsets: what SQLite and the standard library call.
///
/// # Safety
/// As in C: `buffer` points to `count` readable bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pwrite64(
    fd: c_int,
    buffer: *const c_void,
    count: usize,
    offset: i64,
) -> isize {
    // SAFETY: passed on as it came; the kernel checks it.
    let real = || unsafe { libc::syscall(libc::SYS_pwrite64, fd, buffer, count, offset) as isize };
    match identify(fd) {
        Some(file) => {
            // SAFETY: the caller's promise.
            let bytes = unsafe { slice(buffer, count) };
            undo::write(&file, offset.cast_unsigned(), bytes, real)
        }
        None => real(),
    }
}

/// `pwrite(2)`.
///
/// # Safety
/// As in C: `buffer` points to `count` readable bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pwrite(
    fd: c_int,
    buffer: *const c_void,
    count: usize,
    offset: i64,
) -> isize {
    // SAFETY: the same function; offsets have 64 bits on the platforms of this crate.
    unsafe { pwrite64(fd, buffer, count, offset) }
}

/// `ftruncate(2)` with 64-bit lengths: what SQLite and the standard library call.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn ftruncate64(fd: c_int, length: i64) -> c_int {
    // SAFETY: numbers only.
    let real = || unsafe { libc::syscall(libc::SYS_ftruncate, fd, length) as c_int };
    match identify(fd) {
        Some(file) => undo::resize(&file, length.cast_unsigned(), real),
        None => real(),
    }
}

/// `ftruncate(2)`.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn ftruncate(fd: c_int, length: i64) -> c_int {
    ftruncate64(fd, length)
}

/// `fsync(2)`.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn fsync(fd: c_int) -> c_int {
    // SAFETY: numbers only.
    let real = || unsafe { libc::syscall(libc::SYS_fsync, fd) as c_int };
    match identify(fd) {
        Some(file) => undo::sync(&file, real),
        None => real(),
    }
}

/// `fdatasync(2)`: flushes the data and the length, all that is modelled here.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn fdatasync(fd: c_int) -> c_int {
    // SAFETY: numbers only.
    let real = || unsafe { libc::syscall(libc::SYS_fdatasync, fd) as c_int };
    match identify(fd) {
        Some(file) => undo::sync(&file, real),
        None => real(),
    }
}

/// By how much the wall clock is off, in milliseconds: the first bytes of a shared mapping.
fn shift_ms() -> i64 {
    static SHIFT: OnceLock<Option<&'static AtomicI64>> = OnceLock::new();
    let shift = SHIFT.get_or_init(|| {
        let path = CString::new(variable(c"INTERPOSE_CLOCK")?).ok()?;
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: `path` is a C string.
        let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags) };
        let fd = c_int::try_from(fd).ok().filter(|fd| *fd >= 0)?;
        if length(fd) < 8 {
            return None;
        }
        // SAFETY: a new mapping of a file of at least 8 bytes, which nobody shortens.
        let place = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                8,
                libc::PROT_READ,
                libc::MAP_SHARED,
                fd,
                0,
            )
        };
        if place == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: mapped for ever, aligned to a page, 8 bytes that are only read here.
        Some(unsafe { &*place.cast::<AtomicI64>() })
    });
    shift.map_or(0, |shift| i64::from_le(shift.load(Ordering::Relaxed)))
}

/// `clock_gettime(2)`: the wall clock is off by what the file says, no other clock is.
///
/// # Safety
/// As in C: `time` points to a writable `timespec`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut libc::timespec) -> c_int {
    // SAFETY: passed on as it came; the kernel checks it.
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } as c_int;
    if result == 0 && clock == libc::CLOCK_REALTIME {
        // SAFETY: the kernel has just written there.
        let time = unsafe { &mut *time };
        let shift = shift_ms();
        let nanos = time.tv_nsec + (shift % 1000) * 1_000_000;
        time.tv_sec += shift / 1000 + nanos.div_euclid(1_000_000_000);
        time.tv_nsec = nanos.rem_euclid(1_000_000_000);
    }
    result
}
