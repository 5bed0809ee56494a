//! The functions of the C library through which a file changes, replaced in this program.
//!
//! Purpose: whatever runs in a test process of this crate (SQLite's own unix layer, the Rust
//! standard library, the production code above them) calls `pwrite`, `ftruncate`, `fsync`,
//! `rename`, `unlink` and their like here, unchanged and without knowing. In: raw arguments.
//! Out: safe values to `layer.rs`, which decides; then the system call, or an error.
//! Must hold: for a file that is not recorded each function does what the C library's does,
//! but for `fsync` and `fdatasync`, which answer at once: what survives is drawn, never waited
//! for; and `getpid`, which answers a constant, so that a seed means the same run everywhere.
//! Not caught, because the log does not use them: `copy_file_range`, `sendfile`, `fallocate`,
//! writable mappings; `Disk::verify` would show it. The system calls are made with `syscall(2)`,
//! so nothing here calls itself.
//! Tested in: `tests/faults/layer.rs`.
//!
//! Why not an SQLite VFS: that would replace the layer which is to be tested (when does SQLite
//! sync a directory? what does it do with an error of it?), and would not see what the
//! production code does with the standard library: create, rename and sync a directory.

#![allow(
    unsafe_code,
    reason = "a function with the name and the signature of one in C is unsafe to define"
)]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::layer::{self, Errno, FileKind, Handle};

/// What the kernel says of a descriptor. `None` for what is neither file nor directory.
fn identify(fd: c_int) -> Option<Handle> {
    // Standard streams may be files, and are written by a test that fails inside the layer.
    if fd <= 2 {
        return None;
    }
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` is writable and large enough; a bad descriptor is answered with an error.
    let answer = unsafe { libc::fstat(fd, stat.as_mut_ptr()) };
    if answer != 0 {
        return None;
    }
    // SAFETY: fstat answered 0, so it has filled the structure.
    let stat = unsafe { stat.assume_init() };
    let kind = match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => FileKind::Regular,
        libc::S_IFDIR => FileKind::Directory,
        _ => return None,
    };
    Some(Handle {
        fd,
        kind,
        inode: (stat.st_dev, stat.st_ino),
        length: stat.st_size.cast_unsigned(),
    })
}

/// Where the next `write` on this descriptor begins.
fn position(fd: c_int, length: u64) -> u64 {
    // SAFETY: neither call touches memory of ours; a bad descriptor gives an error.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags >= 0 && flags & libc::O_APPEND != 0 {
        return length;
    }
    // SAFETY: as above.
    let at = unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) };
    u64::try_from(at).unwrap_or(0)
}

/// Gives a result the form that C callers expect.
fn answer<T>(result: Result<T, Errno>, failed: T) -> T {
    result.unwrap_or_else(|Errno(number)| {
        // SAFETY: takes nothing and always answers.
        let place = unsafe { libc::__errno_location() };
        // SAFETY: the C library gives every thread a valid place for its error number.
        unsafe { place.write(number) };
        failed
    })
}

/// The result of a system call: what it returned, or the error that it left.
fn outcome(returned: i64) -> Result<i64, Errno> {
    if returned >= 0 {
        return Ok(returned);
    }
    let error = std::io::Error::last_os_error();
    Err(Errno(error.raw_os_error().unwrap_or(libc::EIO)))
}

/// The caller's buffer.
///
/// # Safety
/// `buffer` points to `count` readable bytes that nobody changes during `'a`: what `write(2)`
/// demands of its callers.
unsafe fn bytes<'a>(buffer: *const c_void, count: usize) -> &'a [u8] {
    if buffer.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: not null, and the rest is the caller's promise.
    unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), count) }
}

/// The caller's path.
///
/// # Safety
/// `path` is a C string that nobody changes during `'a`: what `unlink(2)` demands.
unsafe fn path<'a>(path: *const c_char) -> Option<&'a Path> {
    if path.is_null() {
        return None;
    }
    // SAFETY: not null, and the rest is the caller's promise.
    let text = unsafe { CStr::from_ptr(path) };
    Some(Path::new(OsStr::from_bytes(text.to_bytes())))
}

fn system_write(fd: c_int, part: &[u8]) -> Result<i64, Errno> {
    // SAFETY: the pointer and the length are those of a slice.
    outcome(unsafe { libc::syscall(libc::SYS_write, fd, part.as_ptr(), part.len()) })
}

fn system_pwrite(fd: c_int, part: &[u8], offset: i64) -> Result<i64, Errno> {
    // SAFETY: the pointer and the length are those of a slice.
    outcome(unsafe { libc::syscall(libc::SYS_pwrite64, fd, part.as_ptr(), part.len(), offset) })
}

/// What every process of this crate is told to be its number. Above all that Linux gives (at most
/// 4,194,304), so that it never is another's.
const PROCESS: libc::pid_t = 4_200_000;

/// `getpid(2)`: the same number in every process. The log notes it in its lock file: the true one
/// has more or fewer digits, and would make of one seed another run in each process.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn getpid() -> libc::pid_t {
    PROCESS
}

/// `write(2)`.
///
/// # Safety
/// As in C: `buffer` points to `count` readable bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, count: usize) -> isize {
    // SAFETY: the caller's promise.
    let whole = unsafe { bytes(buffer, count) };
    let real = |part: &[u8]| system_write(fd, part);
    let result = match identify(fd) {
        Some(handle) => layer::write(&handle, position(fd, handle.length), whole, real),
        None => real(whole),
    };
    answer(result, -1) as isize
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
    // SAFETY: the caller's promise.
    let whole = unsafe { bytes(buffer, count) };
    let real = |part: &[u8]| system_pwrite(fd, part, offset);
    let result = match identify(fd) {
        Some(handle) => layer::write(&handle, offset.cast_unsigned(), whole, real),
        None => real(whole),
    };
    answer(result, -1) as isize
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
    // SAFETY: numbers only; a bad descriptor is answered with an error.
    let real = || outcome(unsafe { libc::syscall(libc::SYS_ftruncate, fd, length) });
    let result = match identify(fd) {
        Some(handle) => layer::resize(&handle, length.cast_unsigned(), real),
        None => real(),
    };
    answer(result.map(|_| 0), -1)
}

/// `ftruncate(2)`.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn ftruncate(fd: c_int, length: i64) -> c_int {
    ftruncate64(fd, length)
}

/// `fsync(2)`, of files and of directories. Does not wait for any disk.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn fsync(fd: c_int) -> c_int {
    let result = identify(fd).map_or(Ok(()), |handle| layer::sync(&handle));
    answer(result.map(|()| 0), -1)
}

/// `fdatasync(2)`: flushes the data and the length, so for what survives it is `fsync`.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn fdatasync(fd: c_int) -> c_int {
    fsync(fd)
}

/// `unlink(2)`.
///
/// # Safety
/// As in C: `name` is a C string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn unlink(name: *const c_char) -> c_int {
    let real = || {
        // SAFETY: `name` is passed on as it came; the kernel checks it.
        let done = unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, name, 0) };
        outcome(done)
    };
    // SAFETY: the caller's promise.
    let result = match unsafe { path(name) } {
        Some(path) => layer::unlink(path, real),
        None => real(),
    };
    answer(result.map(|_| 0), -1)
}

/// `rename(2)`.
///
/// # Safety
/// As in C: `from` and `to` are C strings.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    let here = libc::AT_FDCWD;
    let real = || {
        // SAFETY: both are passed on as they came; the kernel checks them.
        let done = unsafe { libc::syscall(libc::SYS_renameat2, here, from, here, to, 0) };
        outcome(done)
    };
    // SAFETY: the caller's promise.
    let source = unsafe { path(from) };
    // SAFETY: the caller's promise.
    let target = unsafe { path(to) };
    let result = match (source, target) {
        (Some(source), Some(target)) => layer::rename(source, target, real),
        _ => real(),
    };
    answer(result.map(|_| 0), -1)
}

/// The addresses of the functions above: whoever asks for them gets them linked. Without this
/// a linker that reads archives in order may take the C library's.
pub(crate) fn linked() -> [usize; 10] {
    [
        getpid as *const () as usize,
        write as *const () as usize,
        pwrite64 as *const () as usize,
        pwrite as *const () as usize,
        ftruncate64 as *const () as usize,
        ftruncate as *const () as usize,
        fsync as *const () as usize,
        fdatasync as *const () as usize,
        unlink as *const () as usize,
        rename as *const () as usize,
    ]
}
