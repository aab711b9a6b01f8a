//! Says whether a piece of a local file is in the page cache, so that reading or sending it cannot wait for a disk.
//!
//! `cachestat(2)` (Linux 6.5) answers for a whole window at once. Where the kernel lacks it, or a file system keeps its
//! pages elsewhere (overlays), single bytes are asked for with `RWF_NOWAIT`; where that is refused too, nothing counts
//! as resident and a job reads first.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, ReadWriteFlags, preadv2};

const PAGE_BYTES: u64 = 4096;

/// Distance of the bytes that are asked for one by one: as far as the kernel commonly reads ahead at least.
const PROBE_STEP_BYTES: u64 = 64 * 1024;

/// Turns false once the kernel says that it has no cachestat, for the whole process.
static HAS_CACHESTAT: AtomicBool = AtomicBool::new(true);

/// True where `len` bytes from `offset` are in the file, and in memory now. They may leave again: the answer saves waiting, it promises
/// nothing.
pub(crate) fn is_resident(file: impl AsFd, offset: u64, len: u64) -> bool {
    if len == 0 {
        return true;
    }
    match cached_pages(file.as_fd(), offset, len) {
        // Pages that are still on their way from the disk count as cached; the last one arrives last.
        Some(pages) if pages > 0 => {
            pages >= pages_of(offset, len) && byte_is_resident(file.as_fd(), offset + len - 1)
        }
        // Nothing cached, or asked the wrong page cache: the first byte tells.
        _ => probe(file.as_fd(), offset, len),
    }
}

fn pages_of(offset: u64, len: u64) -> u64 {
    (offset + len).div_ceil(PAGE_BYTES) - offset / PAGE_BYTES
}

fn probe(file: BorrowedFd<'_>, offset: u64, len: u64) -> bool {
    let last = offset + len - 1;
    let mut at = offset;
    loop {
        if !byte_is_resident(file, at) {
            return false;
        }
        if at == last {
            return true;
        }
        at = (at + PROBE_STEP_BYTES).min(last);
    }
}

fn byte_is_resident(file: BorrowedFd<'_>, offset: u64) -> bool {
    let mut byte = [0];
    loop {
        match preadv2(file, &mut [IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT) {
            // Nothing there: the file has become shorter.
            Ok(count) => return count == 1,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[repr(C)]
struct Range {
    offset: u64,
    len: u64,
}

#[repr(C)]
#[derive(Default)]
struct CacheStat {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// Pages of the range that the cache holds, `None` where the kernel cannot say.
#[allow(unsafe_code)] // One system call that rustix does not have.
fn cached_pages(file: BorrowedFd<'_>, offset: u64, len: u64) -> Option<u64> {
    /// The same number on every architecture (asm-generic/unistd.h).
    const SYS_CACHESTAT: libc::c_long = 451;

    if !HAS_CACHESTAT.load(Ordering::Relaxed) {
        return None;
    }
    let range = Range { offset, len };
    let mut stat = CacheStat::default();
    // SAFETY: cachestat(fd, range, stat, flags) reads one `Range` and writes one `CacheStat`; both are laid out as
    // linux/mman.h has them and live across the call, and `file` is open for as long as it is borrowed.
    let result =
        unsafe { libc::syscall(SYS_CACHESTAT, file.as_raw_fd(), &raw const range, &raw mut stat, 0_u32) };
    if result == 0 {
        return Some(stat.cached);
    }
    let error = std::io::Error::last_os_error().raw_os_error();
    if matches!(error, Some(libc::ENOSYS | libc::EPERM)) {
        HAS_CACHESTAT.store(false, Ordering::Relaxed);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_was_just_written_is_resident() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 300_000]).unwrap();
        assert!(is_resident(&file, 0, 300_000));
        assert!(is_resident(&file, 299_999, 1));
        assert!(is_resident(&file, 5, 0));
    }

    #[test]
    fn pages_are_counted_from_edge_to_edge() {
        for (offset, len, pages) in [(0, 1, 1), (0, 4096, 1), (4095, 2, 2), (0, 4097, 2), (8192, 8192, 2)] {
            assert_eq!(pages_of(offset, len), pages, "{len} at {offset}");
        }
    }
}
