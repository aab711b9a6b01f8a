//! [`Rows`]: entries in order, in little memory.

use std::cmp::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Semaphore, SemaphorePermit};
use vfs::path::escaped;
use vfs::{Availability, DirEntry, FileType, Metadata};

use crate::http::wire::{After, Sort, View};

/// Entries that are held to be sorted, folders first. A folder with more starts with so many in order; the rest follows
/// as the tree gives it. A page with a limit holds what the limit says and looks at all.
pub(super) const SORTED_ENTRIES: usize = 100_000;

/// Bytes of names that are held to be sorted; longer names end the order as more entries do.
const SORTED_NAME_BYTES: usize = 8 << 20;

/// Entries that all pages together hold to be sorted. When they are used up a page starts with what it has in order, and
/// the rest follows as the tree gives it: clients that do not read cannot pile up folders in memory.
pub(super) const SORTED_TOGETHER: usize = 400_000;

static SORTING: Semaphore = Semaphore::const_new(SORTED_TOGETHER);

/// How many rows a page with a limit gathers beyond it before it lets the last ones go.
const SPARE_ROWS: usize = 1024;

/// Entries, with their names in one piece of memory.
#[derive(Default)]
pub(super) struct Rows {
    names: Vec<u8>,
    rows: Vec<Row>,
    order: Order,
    /// Their part of [`SORTED_TOGETHER`]; it goes with them.
    places: Option<SemaphorePermit<'static>>,
    /// There was no place for more.
    is_cut: bool,
    /// A row was let go because of the limit.
    has_more: bool,
    /// Some may still change: an archive is being read for the first time.
    is_provisional: bool,
}

/// One entry, without its name.
#[derive(Clone, Copy)]
pub(super) struct Row {
    name_at: u32,
    name_len: u32,
    pub(super) is_dir: bool,
    pub(super) mount: Option<Availability>,
    /// Below zero where there is none.
    len: i64,
    /// `i64::MIN` where there is none.
    second: i64,
    /// All is known of it that its tree tells.
    is_described: bool,
}

/// Which rows are wanted, and which of two comes first.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    sort: Sort,
    is_descending: bool,
    search: String,
    limit: Option<usize>,
    after: Option<After>,
}

impl Order {
    pub(super) fn of(view: &View) -> Self {
        Self {
            sort: view.sort,
            is_descending: view.is_descending,
            search: view.search.clone(),
            limit: view.limit,
            after: view.after.clone(),
        }
    }

    /// What rows are ordered by, apart from their name.
    pub(super) fn value(&self, row: &Row) -> Option<i64> {
        match self.sort {
            Sort::Name => None,
            Sort::Size => row.len().map(u64::cast_signed),
            Sort::Time => row.second(),
        }
    }

    /// True where the row is wanted at all.
    pub(super) fn takes(&self, name: &[u8], row: &Row) -> bool {
        let is_found = || self.search.is_empty() || shown(name).to_lowercase().contains(&self.search);
        let is_later = || {
            self.after.as_ref().is_none_or(|after| {
                let last = (after.is_dir, after.value, &after.name[..]);
                self.compare((row.is_dir, self.value(row), name), last).is_gt()
            })
        };
        is_found() && is_later()
    }

    fn compare(&self, a: (bool, Option<i64>, &[u8]), b: (bool, Option<i64>, &[u8])) -> Ordering {
        let turned = |ordering: Ordering| if self.is_descending { ordering.reverse() } else { ordering };
        let by_name = match self.sort {
            Sort::Name => turned(a.2.cmp(b.2)),
            Sort::Size | Sort::Time => a.2.cmp(b.2),
        };
        b.0.cmp(&a.0).then_with(|| turned(a.1.cmp(&b.1))).then(by_name)
    }
}

impl Rows {
    /// None yet, in this order.
    pub(super) fn new(order: Order) -> Self {
        Self { order, ..Self::default() }
    }

    /// Takes of a batch what is wanted, also where it is the last for which there is no place.
    pub(super) fn extend(&mut self, batch: &[DirEntry]) {
        let before = self.rows.len();
        for entry in batch {
            let row = Row::new(entry, self.names.len());
            self.is_provisional |=
                entry.metadata.as_ref().is_some_and(|metadata| metadata.provenance.provisional);
            if self.order.takes(&entry.name, &row) {
                self.rows.push(row);
                self.names.extend_from_slice(&entry.name);
            }
        }
        let count = u32::try_from(self.rows.len() - before).unwrap_or(u32::MAX);
        match (SORTING.try_acquire_many(count), &mut self.places) {
            (Ok(more), Some(places)) => places.merge(more),
            (Ok(first), none) => *none = Some(first),
            (Err(_), _) => self.is_cut = true,
        }
        if self.order.limit.is_some_and(|limit| self.rows.len() >= 2 * limit + SPARE_ROWS) {
            self.prune();
        }
    }

    /// True where no more are to be gathered.
    pub(super) fn is_full(&self) -> bool {
        self.order.limit.is_none()
            && (self.is_cut || self.rows.len() >= SORTED_ENTRIES || self.names.len() >= SORTED_NAME_BYTES)
    }

    /// True where the rest may take long, and rows may come out of order: a limit needs to know all of them.
    pub(super) fn may_begin(&self) -> bool {
        self.is_provisional && self.order.limit.is_none()
    }

    /// Takes what became known of the row at `at`.
    pub(super) fn describe(&mut self, at: usize, metadata: &Metadata) {
        if let Some(row) = self.rows.get_mut(at) {
            row.describe(metadata);
        }
    }

    /// The row at `at`, with its name.
    pub(super) fn get(&self, at: usize) -> Option<(&[u8], &Row)> {
        self.rows.get(at).map(|row| (self.name(row), row))
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Rows follow that the limit keeps away.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// In order, as many as the limit allows.
    pub(super) fn sorted(mut self) -> Self {
        let mut rows = std::mem::take(&mut self.rows);
        match self.order.sort {
            Sort::Name => self.sort_by_name(&mut rows),
            Sort::Size | Sort::Time => rows.sort_unstable_by(|a, b| self.compare(a, b)),
        }
        if let Some(limit) = self.order.limit.filter(|limit| rows.len() > *limit) {
            rows.truncate(limit);
            self.has_more = true;
        }
        self.rows = rows;
        self
    }

    /// Names in a folder often begin alike. What follows that decides most comparisons, eight bytes at a time.
    fn sort_by_name(&self, rows: &mut Vec<Row>) {
        let Some(first) = rows.first() else { return };
        let common = rows.iter().fold(self.name(first), |common, row| shared(common, self.name(row))).len();
        // Places are moved, which are half as long as rows.
        let keyed =
            (0_u32..).zip(rows.iter()).map(|(at, row)| (key(&self.name(row)[common..]), at, row.is_dir));
        let mut keyed: Vec<_> = keyed.collect();
        let is_descending = self.order.is_descending;
        let at = |place: u32| &rows[place as usize];
        keyed.sort_unstable_by(|(a_key, a, a_is_dir), (b_key, b, b_is_dir)| {
            let by_key = if is_descending { b_key.cmp(a_key) } else { a_key.cmp(b_key) };
            b_is_dir.cmp(a_is_dir).then(by_key).then_with(|| self.compare(at(*a), at(*b)))
        });
        *rows = keyed.iter().map(|(_, place, _)| *at(*place)).collect();
    }

    /// Lets go of all but the first rows that the limit allows.
    fn prune(&mut self) {
        let Some(limit) = self.order.limit else { return };
        let mut rows = std::mem::take(&mut self.rows);
        rows.select_nth_unstable_by(limit, |a, b| self.compare(a, b));
        rows.truncate(limit);
        let mut names = Vec::with_capacity(self.names.len() / 2);
        for row in &mut rows {
            let at = names.len();
            names.extend_from_slice(self.name(row));
            row.name_at = offset(at);
        }
        let freed = self
            .places
            .as_mut()
            .and_then(|places| places.split(places.num_permits().saturating_sub(rows.len())));
        drop(freed);
        self.names = names;
        self.rows = rows;
        self.has_more = true;
    }

    fn compare(&self, a: &Row, b: &Row) -> Ordering {
        let key = |row| (Row::is_dir(row), self.order.value(row), self.name(row));
        self.order.compare(key(a), key(b))
    }

    fn name(&self, row: &Row) -> &[u8] {
        &self.names[row.name_at as usize..(row.name_at + row.name_len) as usize]
    }
}

impl Row {
    /// The entry's row, whose name is at `name_at`.
    pub(super) fn new(entry: &DirEntry, name_at: usize) -> Self {
        // What is known of a link is not known of what it leads to.
        let mut row = Self {
            name_at: offset(name_at),
            name_len: offset(entry.name.len()),
            is_dir: entry.is_dir(),
            mount: entry.mount,
            len: -1,
            second: i64::MIN,
            is_described: false,
        };
        if let Some(metadata) = &entry.metadata {
            row.describe(metadata);
        }
        row
    }

    fn describe(&mut self, metadata: &Metadata) {
        self.is_described = true;
        // What is known of a link is not known of what it leads to.
        if metadata.file_type == FileType::Symlink {
            return;
        }
        let len = metadata.len.filter(|_| metadata.is_file());
        self.len = len.map_or(-1, |len| i64::try_from(len).unwrap_or(i64::MAX));
        self.second = metadata.modified.map_or(i64::MIN, seconds);
    }

    /// False where its tree may tell more when it is asked.
    pub(super) fn is_described(&self) -> bool {
        self.is_described
    }

    /// Its length, where it is known.
    pub(super) fn len(&self) -> Option<u64> {
        u64::try_from(self.len).ok()
    }

    /// The second of its last change since 1970, where it is known.
    pub(super) fn second(&self) -> Option<i64> {
        (self.second != i64::MIN).then_some(self.second)
    }

    /// The time of its last change, where it is known and 1970 or later.
    pub(super) fn modified(&self) -> Option<SystemTime> {
        let seconds = u64::try_from(self.second).ok()?;
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    fn is_dir(&self) -> bool {
        self.is_dir
    }
}

/// How both begin.
fn shared<'a>(one: &'a [u8], other: &[u8]) -> &'a [u8] {
    let count = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    &one[..count]
}

/// The first bytes as a number of the same order.
fn key(name: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let count = name.len().min(8);
    bytes[..count].copy_from_slice(&name[..count]);
    u64::from_be_bytes(bytes)
}

/// A name as people see it.
pub(super) fn shown(name: &[u8]) -> String {
    escaped(name).to_string()
}

/// A place among the names, of which there are no more than [`SORTED_NAME_BYTES`] and a batch.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    }
}
