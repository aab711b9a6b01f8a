//! Rows of LIST, NLST, MLSD and STAT as a producer over a folder's entries: memory is one batch and one chunk,
//! whatever the folder's size.
//!
//! What a source does not know cannot be left out of a row of `ls -l`: there an unknown length is 0 and an unknown
//! time is the time of the listing, so that a mirror fetches once more rather than keeps an old copy. MLSD leaves it
//! out. Names come in their printed form; a name with a line break is escaped, and cannot be asked for over FTP.

mod descent;
mod order;

use std::fmt;
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use vfs::path::printed_name;
use vfs::producer::{Chunk, Hint, Producer};
use vfs::{CacheStatus, DirEntry, DirStream, FileSystem, FileType, LinkTarget, ListOptions, Metadata, VPath};

use self::descent::{Descent, Within};
use self::order::Gathering;
use super::command::Format;
use super::facts::{Facts, Powers};
use super::pattern::Pattern;
use super::wire::one_line;
use crate::clock::Moment;

/// A chunk is handed on once it is this long; the last row may carry it past, to 64 KiB for any name of a disk.
const CHUNK_BYTES: usize = 60 * 1024;

/// Width of a row but for its name, about; so that a chunk's memory is taken once.
const ROW_BYTES: usize = 96;

/// How each row looks.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    /// The command's form.
    pub(super) format: Format,
    /// Facts of a row of MLSD.
    pub(super) facts: Facts,
    /// What stands before each name of NLST, so that it can be sent back as it is (RFC 1123 §4.1.2.7).
    pub(super) prefix: Vec<u8>,
    /// What may be changed in the folder, as a row of MLSD tells it.
    pub(super) powers: Powers,
    /// Decides which dates show their year.
    pub(super) now: SystemTime,
}

impl Rows {
    /// Rows of a folder, as they look now.
    pub(super) fn new(format: Format, facts: Facts, prefix: Vec<u8>, powers: Powers) -> Self {
        Self { format, facts, prefix, powers, now: SystemTime::now() }
    }
}

/// The folder that links are read in.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    /// The tree.
    pub(super) view: Arc<dyn FileSystem>,
    /// The folder.
    pub(super) path: VPath,
}

/// A folder's rows, each with CRLF. Ends with the folder's error, if it has one.
pub(super) struct Listing {
    rows: Rows,
    /// What a cache had to do with the file whose one row it is, and how long ago its source said so.
    kept: (CacheStatus, Option<Duration>),
    entries: DirStream,
    batch: std::vec::IntoIter<DirEntry>,
    /// Where links are read; `None`: they are not.
    folder: Option<Folder>,
    /// Which entries are shown; `None`: all.
    pattern: Option<Pattern>,
    /// Entries that are gathered to be sorted, and whether the other way around; `None`: they come as they are.
    newest_first: Option<Gathering>,
    /// Folders that follow, and the one whose rows these are; `None`: this one is all.
    descent: Option<(Descent, Within)>,
    /// A link whose text is being read: one call a link, since a row that hides where it leads is of no use.
    link: Option<(DirEntry, Reading)>,
    failed: Option<vfs::Error>,
    ended: bool,
}

/// An entry, and the text of a link.
type Told = (DirEntry, Option<LinkTarget>);

type Reading = Pin<Box<dyn Future<Output = vfs::Result<LinkTarget>> + Send>>;

impl Listing {
    /// The rows of `entries`; links are read in `folder`.
    pub(super) fn new(rows: Rows, entries: DirStream, folder: Folder) -> Self {
        Self::of(rows, entries, Some(folder))
    }

    /// The rows of those entries only that match; `first` are the first of them, taken from the folder already.
    pub(super) fn matching(mut self, pattern: Pattern, first: Vec<DirEntry>) -> Self {
        self.pattern = Some(pattern);
        self.batch = first.into_iter();
        self
    }

    /// The newest entries first, or the oldest.
    pub(super) fn newest_first(mut self, reversed: bool) -> Self {
        self.newest_first = Some(Gathering::new(reversed));
        self
    }

    /// The rows of the folders within as well, each folder under a head of its own as `ls -R` has it. `shown` is what the
    /// client calls this one; its rows of names need no heads.
    pub(super) fn with_folders_within(mut self, shown: Vec<u8>, options: ListOptions) -> Self {
        if let Some(Folder { view, path }) = self.folder.clone() {
            self.descent = Some((Descent::new(view, options), Within { path, shown }));
        }
        self
    }

    /// The one row of a file.
    pub(super) fn single(rows: Rows, name: Vec<u8>, metadata: &Metadata) -> Self {
        let entry =
            DirEntry { metadata: Some(metadata.clone()), ..DirEntry::new(name, Some(metadata.file_type)) };
        let kept = (metadata.provenance.cache, metadata.provenance.age);
        Self { kept, ..Self::of(rows, DirStream::ready(vec![entry]), None) }
    }

    /// What STAT says before the rows: of a mirrored file what HTTP says by `Cache-Status` and `Age`.
    pub(super) fn headline(&self) -> String {
        let (status, age) = self.kept;
        let says = match status {
            CacheStatus::None => return "Listing:".to_owned(),
            CacheStatus::Hit => "kept, and fresh",
            CacheStatus::Stale => "kept, and past its time",
            CacheStatus::Revalidated => "kept, and its source says that it still holds",
            CacheStatus::Miss => "its source was asked now",
        };
        format!("Listing ({says}; {} s old):", age.unwrap_or_default().as_secs())
    }

    fn of(rows: Rows, entries: DirStream, folder: Option<Folder>) -> Self {
        Self {
            rows,
            kept: (CacheStatus::None, None),
            entries,
            batch: Vec::new().into_iter(),
            folder,
            pattern: None,
            newest_first: None,
            descent: None,
            link: None,
            failed: None,
            ended: false,
        }
    }

    /// The next entry, with the text of a link.
    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<Option<vfs::Result<Told>>> {
        if self.link.is_none() {
            let entry = match ready!(self.poll_entry(cx)) {
                Some(Ok(entry)) => entry,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            match self.read_link(&entry) {
                Some(reading) => self.link = Some((entry, reading)),
                None => return Poll::Ready(Some(Ok((entry, None)))),
            }
        }
        let Some((_, reading)) = &mut self.link else { return Poll::Ready(None) };
        let target = ready!(reading.as_mut().poll(cx)).ok();
        let depth = self.folder.as_ref().map_or(0, |folder| folder.path.segments().len());
        let target = target.filter(|target| stays_inside(target, depth));
        Poll::Ready(self.link.take().map(|(entry, _)| Ok((entry, target))))
    }

    fn poll_entry(&mut self, cx: &mut Context<'_>) -> Poll<Option<vfs::Result<DirEntry>>> {
        if let Some(entry) = self.batch.next() {
            if let Some((descent, folder)) = &mut self.descent {
                descent.note(folder, &entry);
            }
            return Poll::Ready(Some(Ok(entry)));
        }
        let mut batch = match ready!(self.poll_batch(cx)) {
            Some(Ok(batch)) => batch,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        };
        if let Some(pattern) = &self.pattern {
            pattern.retain(&mut batch);
        }
        self.batch = batch.into_iter();
        // Where nothing of this batch matched, others get their turn before the next one is looked through.
        match self.batch.len() {
            0 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => self.poll_entry(cx),
        }
    }

    /// The next entries of the folder, or all of them where they are sorted; never none.
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Option<vfs::Result<Vec<DirEntry>>>> {
        let batch = match &mut self.newest_first {
            None => ready!(self.entries.poll_next(cx)),
            Some(gathering) => {
                let sorted = ready!(gathering.poll_sorted(&mut self.entries, cx));
                self.entries = DirStream::ready(Vec::new());
                Some(sorted).filter(|sorted| !matches!(sorted, Ok(entries) if entries.is_empty()))
            }
        };
        if batch.is_none() {
            // It is asked again while the next folder is opened.
            self.entries = DirStream::ready(Vec::new());
        }
        Poll::Ready(batch)
    }

    /// Goes on with the next folder, and puts its head into `out`; ready with `None` where this one was the last.
    fn poll_folder(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Option<vfs::Result<()>>> {
        let Some((descent, current)) = &mut self.descent else { return Poll::Ready(None) };
        let (folder, entries) = match ready!(descent.poll_next(cx)) {
            Some(Ok(next)) => next,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        };
        match self.rows.format {
            Format::Names => self.rows.prefix = [&folder.shown[..], b"/"].concat(),
            Format::Long | Format::Facts => {
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(&one_line(&folder.shown));
                out.extend_from_slice(b":\r\n");
            }
        }
        if let Some(own) = &mut self.folder {
            own.path = folder.path.clone();
        }
        self.entries = entries;
        *current = folder;
        Poll::Ready(Some(Ok(())))
    }

    fn read_link(&self, entry: &DirEntry) -> Option<Reading> {
        if entry.file_type != Some(FileType::Symlink) || self.rows.format == Format::Names {
            return None;
        }
        let folder = self.folder.clone()?;
        let path = folder.path.child(entry.name.clone()).ok()?;
        Some(Box::pin(async move { folder.view.read_link(&path).await }))
    }

    /// As [`Producer::poll_more`], for those who know that only bytes come.
    pub(super) fn poll_rows(&mut self, cx: &mut Context<'_>) -> Poll<Option<vfs::Result<Vec<u8>>>> {
        let mut out = Vec::new();
        while !self.ended && out.len() < CHUNK_BYTES {
            match self.poll_told(cx) {
                Poll::Ready(Some(Ok((entry, target)))) => {
                    if out.is_empty() {
                        let rows = self.batch.len() + 1;
                        out.reserve((rows * ROW_BYTES).min(CHUNK_BYTES));
                    }
                    self.rows.write(&mut out, &entry, target.as_deref());
                }
                Poll::Ready(Some(Err(error))) => self.break_off(error),
                Poll::Ready(None) => match self.poll_folder(cx, &mut out) {
                    Poll::Ready(Some(Ok(()))) => {}
                    Poll::Ready(Some(Err(error))) => self.break_off(error),
                    Poll::Ready(None) => self.ended = true,
                    Poll::Pending if out.is_empty() => return Poll::Pending,
                    Poll::Pending => break,
                },
                Poll::Pending if out.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        if out.is_empty() {
            return Poll::Ready(self.failed.take().map(Err));
        }
        Poll::Ready(Some(Ok(out)))
    }
}

impl Listing {
    /// What came before the failure is still told.
    fn break_off(&mut self, error: vfs::Error) {
        self.ended = true;
        self.failed = Some(error);
    }
}

impl Producer for Listing {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<vfs::Result<Chunk>>> {
        self.poll_rows(cx).map_ok(Chunk::from)
    }

    fn hint(&self) -> Hint {
        if self.ended && self.failed.is_none() { Hint::END } else { Hint::UNKNOWN }
    }
}

impl Rows {
    /// Appends the row of one entry.
    fn write(&self, out: &mut Vec<u8>, entry: &DirEntry, target: Option<&[u8]>) {
        let name = printed_name(&entry.name);
        let name = one_line(&name);
        match self.format {
            Format::Names => {
                out.extend_from_slice(&self.prefix);
                out.extend_from_slice(&name);
            }
            Format::Facts => {
                let rights = self.powers.over(entry.file_type, entry.mount.is_some());
                self.facts.write(out, entry.file_type, entry.metadata.as_ref(), target, rights);
                out.extend_from_slice(&name);
            }
            Format::Long => {
                self.write_columns(out, entry);
                out.extend_from_slice(&self.prefix);
                out.extend_from_slice(&name);
                if let Some(target) = target {
                    out.extend_from_slice(b" -> ");
                    out.extend_from_slice(&one_line(target));
                }
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The eight columns before the name.
    fn write_columns(&self, out: &mut Vec<u8>, entry: &DirEntry) {
        let metadata = entry.metadata.as_ref();
        let file_type = entry.file_type.unwrap_or(FileType::File);
        let mode = metadata.and_then(|metadata| metadata.mode).unwrap_or(usual_mode(file_type));
        out.extend_from_slice(&permissions(file_type, mode));
        let links = metadata.and_then(|metadata| metadata.links).unwrap_or(1);
        let len = metadata.and_then(|metadata| metadata.len).unwrap_or(0);
        let (user, group) = match metadata.and_then(|metadata| metadata.owner) {
            Some(owner) => (Owner::Number(owner.user), Owner::Number(owner.group)),
            None => (Owner::Unknown, Owner::Unknown),
        };
        let known = metadata.and_then(|metadata| metadata.modified);
        let time = known.filter(|time| Moment::of(*time).is_some()).unwrap_or(self.now);
        let written = match Moment::of(time) {
            Some(moment) => {
                let date = moment.column(time, self.now);
                write!(out, " {links:>4} {user:<8} {group:<8} {len:>12} {date} ")
            }
            // A clock beyond the year 9999: the columns still have to be there.
            None => write!(out, " {links:>4} {user:<8} {group:<8} {len:>12} Jan  1  9999 "),
        };
        written.expect("a vector takes every write");
    }
}

/// Rights where a source knows none: whoever sees it may read it.
fn usual_mode(file_type: FileType) -> u32 {
    match file_type {
        FileType::Dir => 0o555,
        FileType::Symlink => 0o777,
        FileType::File | FileType::Other => 0o444,
    }
}

/// `drwxr-xr-x`, with the set-id and sticky bits as `ls` shows them.
fn permissions(file_type: FileType, mode: u32) -> [u8; 10] {
    let mut text = *b"-rwxrwxrwx";
    text[0] = match file_type {
        FileType::File => b'-',
        FileType::Dir => b'd',
        FileType::Symlink => b'l',
        FileType::Other => b'p',
    };
    for (bit, letter) in text[1..].iter_mut().rev().enumerate() {
        if mode & (1 << bit) == 0 {
            *letter = b'-';
        }
    }
    for (bit, at, letter) in [(0o4000, 3, b's'), (0o2000, 6, b's'), (0o1000, 9, b't')] {
        if mode & bit != 0 {
            text[at] = if text[at] == b'x' { letter } else { letter.to_ascii_uppercase() };
        }
    }
    text
}

/// A column that is a number, or the word that FTP servers put where there is none.
enum Owner {
    Number(u32),
    Unknown,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => fmt::Display::fmt(number, f),
            Self::Unknown => f.pad("ftp"),
        }
    }
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing")
            .field("rows", &self.rows)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// True for a link whose text, `depth` folders below the root, neither starts at the host's root nor climbs out of ours:
/// what lies outside is nobody's business, its name neither.
fn stays_inside(target: &[u8], depth: usize) -> bool {
    let mut depth = Some(depth);
    for name in target.split(|byte| *byte == b'/') {
        depth = match name {
            b"" | b"." => depth,
            b".." => depth.and_then(|depth| depth.checked_sub(1)),
            _ => depth.map(|depth| depth + 1),
        };
    }
    depth.is_some() && !target.starts_with(b"/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_outside_do_not_say_where() {
        for (target, depth, shown) in [
            (&b"file"[..], 0, true),
            (b"a/../b", 0, true),
            (b"../x", 1, true),
            (b"../x", 0, false),
            (b"a/../../x", 0, false),
            (b"../../etc/passwd", 1, false),
            (b"/etc/passwd", 3, false),
        ] {
            assert_eq!(stays_inside(target, depth), shown, "{}", target.escape_ascii());
        }
    }
}
