//! Pieces of files as addresses: what lets a span pass through a library that knows only bytes.
//!
//! A [`Mapping`](Mappings::map) is `Bytes` over a piece of a file that nobody reads. It travels through the library in
//! the connection's middle; at the socket, [`SpanIo`](super::SpanIo) finds its address in the same connection's
//! [`Mappings`] and sends the file's bytes with `sendfile(2)`. This is the one file of this crate with `unsafe` code.
//!
//! What keeps it sound:
//! - No Rust code reads the mapped bytes: a file that shrinks would turn that into SIGBUS. They are handed on as a
//!   whole, and a `writev(2)` over them is the kernel's own read, which fails with EFAULT.
//! - A mapping is in its table as long as it exists: it goes in after `mmap(2)` and comes out before `munmap(2)`, both
//!   by its owner, and a slice of it keeps the owner alive. So an address that is found names this file and no older
//!   one, and the table's entry holds the file open.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fmt;
use std::io::IoSlice;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use vfs::producer::{FileSpan, SpanFile};

/// Mappings in the process at most; what comes after is read into buffers. The kernel's own bound
/// (`vm.max_map_count`) is 65,530 by default, and the program's other mappings need room too.
const MAPPINGS: usize = 16_384;

/// Mappings in the process now.
static MAPPED: AtomicUsize = AtomicUsize::new(0);

/// The mappings of one connection. Clones share them.
#[derive(Clone, Default)]
pub struct Mappings(Arc<Mutex<Vec<Region>>>);

/// Where a mapping lies, and which bytes of which file it stands for.
struct Region {
    start: usize,
    len: usize,
    file: SpanFile,
    offset: u64,
}

impl Mappings {
    /// Maps `len` bytes of `file` from `offset`, whether the file is that long or not. The bytes must not be looked
    /// at: pass them, or slices of them, to the [`SpanIo`](super::SpanIo) of the same connection.
    ///
    /// `None` where there are 16,384 in the process already, or the system refuses: read the span then.
    pub fn map(&self, file: &SpanFile, offset: u64, len: u64) -> Option<Bytes> {
        let mapping = Mapping::new(self, file, offset, len)?;
        Some(Bytes::from_owner(mapping))
    }

    /// The first of `slices` that stands for a piece of a file, and the piece, at most [`FileSpan::MAX_BYTES`]; `None`
    /// where all are ordinary memory.
    pub(super) fn first_span(&self, slices: &[IoSlice<'_>]) -> Option<(usize, FileSpan)> {
        let regions = self.lock();
        if regions.is_empty() {
            return None;
        }
        let of = |slice: &IoSlice<'_>| regions.iter().find_map(|region| region.span(slice));
        slices.iter().enumerate().find_map(|(at, slice)| of(slice).map(|span| (at, span)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Region>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Region {
    fn span(&self, slice: &[u8]) -> Option<FileSpan> {
        let at = slice.as_ptr().addr().checked_sub(self.start)?;
        let left = self.len.checked_sub(at)?;
        let span = FileSpan::new(self.file.clone(), self.offset + at as u64, slice.len().min(left) as u64);
        (!span.is_empty()).then_some(span)
    }
}

/// Owns one mapping and its entry in the table.
struct Mapping {
    pages: NonNull<c_void>,
    pages_len: usize,
    /// Where the wanted bytes start in the first page.
    skip: usize,
    /// How many they are.
    len: usize,
    table: Mappings,
    /// Its place among [`MAPPINGS`].
    _place: Place,
}

// SAFETY: a mapping belongs to the process, not to a thread; nothing writes through `pages`.
unsafe impl Send for Mapping {}
// SAFETY: as above; a shared reference gives out an address and a length, nothing else.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(table: &Mappings, file: &SpanFile, offset: u64, len: u64) -> Option<Self> {
        let place = Place::take()?;
        let page = rustix::param::page_size() as u64;
        let skip = offset % page;
        let (skip, len) = (usize::try_from(skip).ok()?, usize::try_from(len).ok()?);
        let pages_len = skip.checked_add(len).filter(|len| isize::try_from(*len).is_ok())?;
        // SAFETY: the kernel chooses the place, so no memory of ours is touched.
        let pages = unsafe {
            mmap(
                std::ptr::null_mut(),
                pages_len,
                ProtFlags::READ,
                MapFlags::SHARED,
                file,
                offset - skip as u64,
            )
        };
        let pages = NonNull::new(pages.ok()?)?;
        let start = pages.addr().get() + skip;
        table.lock().push(Region { start, len, file: file.clone(), offset });
        Some(Self { pages, pages_len, skip, len, table: table.clone(), _place: place })
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `skip + len` bytes are mapped from `pages` until this is dropped. They may change under the slice or
        // vanish with the file's end; that is why nobody in this process reads them (see the head of this file).
        unsafe { std::slice::from_raw_parts(self.pages.as_ptr().cast::<u8>().add(self.skip), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let start = self.pages.addr().get() + self.skip;
        self.table.lock().retain(|region| region.start != start);
        // SAFETY: mapped by `new` with this length and unmapped once, here; `Bytes` drops its owner after the last
        // slice, so no reference is left.
        if let Err(error) = unsafe { munmap(self.pages.as_ptr(), self.pages_len) } {
            tracing::error!(%error, "cannot unmap a file");
        }
    }
}

/// One of [`MAPPINGS`]; free again when dropped.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let below = |count| (count < MAPPINGS).then_some(count + 1);
        MAPPED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).ok().map(|_| Self)
    }
}

/// Mappings in the process now.
#[cfg(test)]
pub(crate) fn mapped() -> usize {
    MAPPED.load(Ordering::Relaxed)
}

impl Drop for Place {
    fn drop(&mut self) {
        MAPPED.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Mappings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mappings({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(len: usize) -> SpanFile {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; len]).unwrap();
        SpanFile::new(file)
    }

    #[test]
    fn a_slice_of_a_mapping_names_its_piece_of_the_file() {
        let mappings = Mappings::default();
        let file = file(300_000);
        let bytes = mappings.map(&file, 5_000, 200_000).unwrap();
        let tail = bytes.slice(150_000..);
        drop(bytes);
        let (at, span) = mappings.first_span(&[IoSlice::new(b"123"), IoSlice::new(&tail)]).unwrap();
        assert!(at == 1 && span.file().is_same(&file));
        assert_eq!((span.offset(), span.len()), (155_000, 50_000));
        assert!(mappings.first_span(&[IoSlice::new(b"123"), IoSlice::new(&tail[50_000..])]).is_none());
        drop(tail);
        assert!(mappings.is_empty());
    }

    #[test]
    fn a_span_is_a_mebibyte_at_most() {
        let mappings = Mappings::default();
        // The file need not be that long: what is not there is found out by sendfile.
        let bytes = mappings.map(&file(10), 0, 1 << 40).unwrap();
        assert_eq!(mappings.first_span(&[IoSlice::new(&bytes)]).unwrap().1.len(), FileSpan::MAX_BYTES);
    }

    #[test]
    fn what_cannot_be_mapped_is_left_to_buffers() {
        let mappings = Mappings::default();
        let file = file(10);
        assert!(mappings.map(&file, 0, 0).is_none());
        assert!(mappings.map(&file, 4_096, u64::MAX).is_none());
        let (pipe, _writer) = std::io::pipe().unwrap();
        assert!(mappings.map(&SpanFile::new(pipe), 0, 10).is_none());
        assert!(mappings.is_empty());
    }
}
