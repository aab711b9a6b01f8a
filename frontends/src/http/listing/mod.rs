//! A folder as a page: a producer that makes its rows while they are sent.
//!
//! The page has the shape of nginx's: `<pre>`, a link a row, date and size after it, which other clients read too. For
//! programs there are a JSON array in nginx's words, and an object a line.

use std::fmt::{self, Write};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use tokio::sync::{Semaphore, SemaphorePermit};
use vfs::path::{escaped, printed_name};
use vfs::producer::{Chunk, Hint, Producer, Readiness};
use vfs::{Availability, DirEntry, DirStream, FileType, VPath, jobs};

use super::wire::{Format, encode_segment, http_date, listing_date};

/// Entries that are held to be sorted, folders first. A folder with more starts with so many in order; the rest follows
/// as the tree gives it.
const SORTED_ENTRIES: usize = 100_000;

/// Bytes of names that are held to be sorted; longer names end the order as more entries do.
const SORTED_NAME_BYTES: usize = 8 << 20;

/// Entries that all pages together hold to be sorted. When they are used up a page starts with what it has in order, and
/// the rest follows as the tree gives it: clients that do not read cannot pile up folders in memory.
const SORTED_TOGETHER: usize = 400_000;

static SORTING: Semaphore = Semaphore::const_new(SORTED_TOGETHER);

/// Entries that are sorted inline; more are sorted in a job.
const SORTED_INLINE: usize = 4096;

/// Bytes of a page that are made at once.
const PIECE_BYTES: usize = 32 * 1024;

/// Where the date starts in a row, as far as the name leaves room.
const NAME_WIDTH: usize = 50;

/// The page of one folder. It holds the entries that it sorts, about 64 bytes and the name each.
pub(super) struct Listing {
    entries: DirStream,
    format: Format,
    stage: Stage,
    /// No row was written yet.
    is_first: bool,
    /// Goes out at once: a large folder takes a while to be gathered.
    head: Option<String>,
    /// What was written and not given yet.
    text: String,
}

enum Stage {
    /// Entries are gathered.
    Gather(Rows),
    /// They are being sorted.
    Sort(Pin<Box<dyn Future<Output = vfs::Result<Rows>> + Send>>),
    /// They are written, from this one on.
    Write(Rows, usize),
    /// What was too much to be sorted is written as it comes.
    WriteOn,
    Ended,
}

/// Entries, with their names in one piece of memory.
#[derive(Default)]
struct Rows {
    names: Vec<u8>,
    rows: Vec<Row>,
    /// Their part of [`SORTED_TOGETHER`]; it goes with them.
    places: Option<SemaphorePermit<'static>>,
    /// There was no place for more.
    is_cut: bool,
}

struct Row {
    name_at: usize,
    name_len: usize,
    is_dir: bool,
    len: Option<u64>,
    modified: Option<SystemTime>,
    mount: Option<Availability>,
}

impl Listing {
    /// The page of the folder `path` with these entries.
    pub(super) fn new(path: &VPath, entries: DirStream, format: Format) -> Self {
        let head = match format {
            Format::Html => Some(head(path)),
            Format::Json => Some("[".to_owned()),
            Format::Ndjson => None,
        };
        let stage = Stage::Gather(Rows::default());
        Self { entries, format, stage, is_first: true, head, text: String::new() }
    }

    #[cfg(test)]
    fn held(&self) -> usize {
        match &self.stage {
            Stage::Gather(rows) | Stage::Write(rows, _) => rows.rows.len(),
            Stage::Sort(_) | Stage::WriteOn | Stage::Ended => 0,
        }
    }

    /// Goes on by one step.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<vfs::Result<()>> {
        match &mut self.stage {
            Stage::Gather(rows) => {
                let ended = match ready!(self.entries.poll_next(cx)) {
                    Some(batch) => {
                        rows.extend(&batch?);
                        false
                    }
                    None => true,
                };
                if ended || rows.is_full() {
                    self.stage = sort(std::mem::take(rows));
                }
            }
            Stage::Sort(sorting) => {
                let rows = ready!(sorting.as_mut().poll(cx))?;
                self.stage = Stage::Write(rows, 0);
            }
            Stage::Write(rows, next) => match rows.rows.get(*next) {
                Some(row) => {
                    let writer =
                        Writer { text: &mut self.text, format: self.format, is_first: &mut self.is_first };
                    writer.write(rows.name(row), row);
                    *next += 1;
                }
                None => self.stage = Stage::WriteOn,
            },
            Stage::WriteOn => match ready!(self.entries.poll_next(cx)) {
                Some(batch) => {
                    for entry in batch? {
                        let writer = Writer {
                            text: &mut self.text,
                            format: self.format,
                            is_first: &mut self.is_first,
                        };
                        writer.write(&entry.name, &Row::new(&entry, 0));
                    }
                }
                None => {
                    self.text.push_str(match self.format {
                        Format::Html => "</pre><hr></body>\n</html>\n",
                        Format::Json => "\n]\n",
                        Format::Ndjson => "",
                    });
                    self.stage = Stage::Ended;
                }
            },
            Stage::Ended => {}
        }
        Poll::Ready(Ok(()))
    }
}

impl Producer for Listing {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<vfs::Result<Chunk>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(Chunk::from(head))));
        }
        while self.text.len() < PIECE_BYTES {
            match self.poll_step(cx) {
                Poll::Ready(Ok(())) if matches!(self.stage, Stage::Ended) => break,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    self.text.clear();
                    self.stage = Stage::Ended;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Pending if self.text.is_empty() => return Poll::Pending,
                // What there is can go out while the rest is waited for.
                Poll::Pending => break,
            }
        }
        let text = std::mem::take(&mut self.text);
        Poll::Ready((!text.is_empty()).then(|| Ok(Chunk::from(text))))
    }

    fn hint(&self) -> Hint {
        match (&self.stage, &self.head) {
            (_, Some(_)) => Hint { readiness: Readiness::Now, remaining: None },
            (Stage::Ended, None) => Hint::END,
            (_, None) => Hint::UNKNOWN,
        }
    }
}

impl Rows {
    /// Takes a batch in, also where it is the last for which there is no place.
    fn extend(&mut self, batch: &[DirEntry]) {
        for entry in batch {
            self.rows.push(Row::new(entry, self.names.len()));
            self.names.extend_from_slice(&entry.name);
        }
        let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        match (SORTING.try_acquire_many(count), &mut self.places) {
            (Ok(more), Some(places)) => places.merge(more),
            (Ok(first), none) => *none = Some(first),
            (Err(_), _) => self.is_cut = true,
        }
    }

    fn is_full(&self) -> bool {
        self.is_cut || self.rows.len() >= SORTED_ENTRIES || self.names.len() >= SORTED_NAME_BYTES
    }

    fn name(&self, row: &Row) -> &[u8] {
        &self.names[row.name_at..row.name_at + row.name_len]
    }

    /// Folders first, then by the bytes of the name.
    fn sorted(mut self) -> Self {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by_key(|row| (!row.is_dir, self.name(row)));
        self.rows = rows;
        self
    }
}

fn sort(rows: Rows) -> Stage {
    if rows.rows.len() <= SORTED_INLINE {
        return Stage::Write(rows.sorted(), 0);
    }
    Stage::Sort(Box::pin(jobs::cpu("read_dir", move || rows.sorted())))
}

impl Row {
    fn new(entry: &DirEntry, name_at: usize) -> Self {
        // What is known of a link is not known of what it leads to.
        let metadata = entry.metadata.as_ref().filter(|metadata| metadata.file_type != FileType::Symlink);
        Self {
            name_at,
            name_len: entry.name.len(),
            is_dir: entry.is_dir(),
            len: metadata.filter(|metadata| metadata.is_file()).and_then(|metadata| metadata.len),
            modified: metadata.and_then(|metadata| metadata.modified),
            mount: entry.mount,
        }
    }
}

fn head(path: &VPath) -> String {
    let mut text = String::from("<!DOCTYPE html>\n<html>\n<head><meta charset=\"utf-8\"><title>Index of ");
    let mut title = String::new();
    write_markup(&mut title, &path.to_bytes());
    if !path.is_root() {
        title.push('/');
    }
    text.push_str(&title);
    text.push_str("</title></head>\n<body>\n<h1>Index of ");
    text.push_str(&title);
    text.push_str("</h1><hr><pre>");
    if !path.is_root() {
        text.push_str("<a href=\"../\">../</a>\n");
    }
    text
}

/// Where rows go, and how they look.
struct Writer<'a> {
    text: &'a mut String,
    format: Format,
    is_first: &'a mut bool,
}

impl Writer<'_> {
    fn write(self, name: &[u8], row: &Row) {
        let is_first = std::mem::take(self.is_first);
        match self.format {
            Format::Html => write_row(self.text, name, row),
            Format::Json => {
                self.text.push_str(if is_first { "\n" } else { ",\n" });
                write_object(self.text, name, row);
            }
            Format::Ndjson => {
                write_object(self.text, name, row);
                self.text.push('\n');
            }
        }
    }
}

/// One entry in the words of nginx's `autoindex_format json`, and where it is.
fn write_object(text: &mut String, name: &[u8], row: &Row) {
    let printed = printed_name(name);
    let (kind, slash) = if row.is_dir { ("directory", "/") } else { ("file", "") };
    text.push_str("{ \"name\":\"");
    match std::str::from_utf8(&printed) {
        Ok(name) => write_json(text, name),
        // No JSON text can hold it: `href` tells.
        Err(_) => write_json(text, &escaped(&printed).to_string()),
    }
    append(text, format_args!("\", \"type\":\"{kind}\""));
    if let Some(date) = row.modified.and_then(http_date) {
        append(text, format_args!(", \"mtime\":\"{date}\""));
    }
    if let Some(len) = row.len {
        append(text, format_args!(", \"size\":{len}"));
    }
    append(text, format_args!(", \"href\":\"{}{slash}\" }}", encode_segment(&printed)));
}

/// The inside of a JSON string (RFC 8259 §7).
fn write_json(text: &mut String, name: &str) {
    for character in name.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{7f}' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                append(text, format_args!("\\u{:04x}", u32::from(character)));
            }
            character => text.push(character),
        }
    }
}

fn write_row(text: &mut String, name: &[u8], row: &Row) {
    let printed = printed_name(name);
    let slash = if row.is_dir { "/" } else { "" };
    let width = escaped(&printed).to_string().chars().count() + slash.len();
    text.push_str("<a href=\"");
    text.extend(encode_segment(&printed));
    text.push_str(slash);
    text.push_str("\">");
    write_markup(text, &printed);
    text.push_str(slash);
    text.push_str("</a>");
    let date = row.modified.and_then(listing_date);
    let date = date.as_deref().unwrap_or("-");
    let len = row.len.map_or_else(|| "-".to_owned(), |len| len.to_string());
    let mount = match row.mount {
        None | Some(Availability::Ok) => "",
        Some(Availability::Unavailable) => "  unavailable",
        Some(Availability::Unknown) => "  not asked yet",
    };
    let pad = NAME_WIDTH.saturating_sub(width);
    append(text, format_args!("{:pad$} {date:<17} {len:>19}{mount}\n", ""));
}

/// Names are hostile: control bytes and what is no UTF-8 come escaped, and nothing opens or closes a tag.
fn write_markup(text: &mut String, name: &[u8]) {
    for character in escaped(name).to_string().chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            character => text.push(character),
        }
    }
}

fn append(text: &mut String, arguments: fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes all that is written to it");
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::{Duration, UNIX_EPOCH};

    use bytes::Bytes;
    use vfs::{Error, ErrorKind, Metadata};

    use super::*;

    async fn page(path: &str, entries: DirStream) -> vfs::Result<String> {
        formatted(path, entries, Format::Html).await
    }

    async fn formatted(path: &str, entries: DirStream, format: Format) -> vfs::Result<String> {
        let mut listing = Listing::new(&VPath::parse(path).unwrap(), entries, format);
        let mut page = Vec::new();
        while let Some(chunk) = poll_fn(|cx| listing.poll_more(cx)).await {
            match chunk? {
                Chunk::Bytes(bytes) => page.extend_from_slice(&bytes),
                Chunk::Span(_) => unreachable!("a listing makes bytes"),
            }
        }
        assert_eq!(listing.hint(), Hint::END);
        Ok(String::from_utf8(page).unwrap())
    }

    fn file(name: impl Into<Bytes>) -> DirEntry {
        DirEntry::new(name, Some(FileType::File))
    }

    fn hrefs(page: &str) -> Vec<&str> {
        page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_page_has_the_shape_that_clients_know() {
        let mut entry = file("read me.txt");
        let mut metadata = Metadata::new(FileType::File);
        metadata.len = Some(1234);
        metadata.modified = Some(UNIX_EPOCH + Duration::from_secs(784_111_777));
        entry.metadata = Some(metadata);
        let mut mount = DirEntry::new("far", Some(FileType::Dir));
        mount.mount = Some(Availability::Unavailable);
        let entries = DirStream::ready(vec![entry, mount, DirEntry::new("near", Some(FileType::Dir))]);
        let expected = "<!DOCTYPE html>\n<html>\n<head><meta charset=\"utf-8\"><title>Index of /pub/</title></head>\n\
             <body>\n<h1>Index of /pub/</h1><hr><pre><a href=\"../\">../</a>\n\
             <a href=\"far/\">far/</a>                                               \
             -                                   -  unavailable\n\
             <a href=\"near/\">near/</a>                                              \
             -                                   -\n\
             <a href=\"read%20me.txt\">read me.txt</a>                                        \
             06-Nov-1994 08:49                1234\n\
             </pre><hr></body>\n</html>\n";
        assert_eq!(page("/pub", entries).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn programs_get_objects() {
        let entries = || {
            let mut entry = file("a\"\\\n\u{e9}");
            let mut metadata = Metadata::new(FileType::File);
            metadata.len = Some(1234);
            metadata.modified = Some(UNIX_EPOCH + Duration::from_secs(784_111_777));
            entry.metadata = Some(metadata);
            DirStream::ready(vec![entry, file(&b"\xff"[..]), DirEntry::new("d", Some(FileType::Dir))])
        };
        let rows = [
            r#"{ "name":"d", "type":"directory", "href":"d/" }"#,
            concat!(
                r#"{ "name":"a\"\\\u000aé", "type":"file", "mtime":"Sun, 06 Nov 1994 08:49:37 GMT", "size":1234, "#,
                r#""href":"a%22%5C%0A%C3%A9" }"#
            ),
            r#"{ "name":"\\xff", "type":"file", "href":"%FF" }"#,
        ];
        let array = formatted("/x", entries(), Format::Json).await.unwrap();
        assert_eq!(array, format!("[\n{}\n]\n", rows.join(",\n")));
        let lines = formatted("/x", entries(), Format::Ndjson).await.unwrap();
        assert_eq!(lines, format!("{}\n", rows.join("\n")));
        assert_eq!(formatted("/", DirStream::ready(Vec::new()), Format::Json).await.unwrap(), "[\n]\n");
        assert_eq!(formatted("/", DirStream::ready(Vec::new()), Format::Ndjson).await.unwrap(), "");
    }

    #[tokio::test]
    async fn hostile_names_stay_text_and_every_link_leads_to_its_name() {
        let names: [&[u8]; 12] = [
            b"<script>alert(1)",
            b"\" onclick=\"x",
            b"a&amp;b",
            b"javascript:alert(1)",
            b"..%2f..%2fetc",
            b"line\nbreak",
            b"\xff\xfe",
            b"x#tgz:",
            b"what?#now",
            b"'quoted'",
            b"\xe2\x80\xaeevil",
            b" ",
        ];
        let entries = names.iter().map(|name| file(Bytes::from_static(name))).collect();
        let page = page("/<b>", DirStream::ready(entries)).await.unwrap();
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("\" onclick"), "{page}");
        assert!(!page.contains('\u{202e}'), "{page}");
        let folder = VPath::parse("/<b>").unwrap();
        let mut reached: Vec<_> = hrefs(&page)[1..]
            .iter()
            .map(|href| {
                assert!(href.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
                let target = super::super::wire::Target::parse(&format!("/%3Cb%3E/{href}")).unwrap();
                assert_eq!(target.path.parent().unwrap(), folder);
                target.path.file_name().unwrap().name().to_vec()
            })
            .collect();
        let mut names = names.map(<[u8]>::to_vec);
        names.sort();
        reached.sort();
        assert_eq!(reached, names);
    }

    #[tokio::test]
    async fn many_entries_are_sorted_up_to_the_bound_and_none_is_lost() {
        let count = SORTED_ENTRIES + 1000;
        let entries = (0..count).rev().map(|number| file(format!("{number:06}"))).collect();
        let page = page("/", DirStream::ready(entries)).await.unwrap();
        let mut names = hrefs(&page);
        assert_eq!(names.len(), count);
        let (sorted, rest) = names.split_at(SORTED_ENTRIES);
        assert!(sorted.is_sorted());
        assert!(rest.contains(&"000000"));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[tokio::test]
    async fn a_listing_that_fails_does_not_end_as_if_it_were_whole() {
        let path = VPath::root();
        let failing = Failing(Some(vec![file("a")]), path);
        let error = page("/", DirStream::new(failing)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }

    /// One batch, then an error.
    struct Failing(Option<Vec<DirEntry>>, VPath);

    impl futures_core::Stream for Failing {
        type Item = vfs::Result<Vec<DirEntry>>;

        fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            let error = Error::new(ErrorKind::Unavailable, "read_dir", &self.1);
            Poll::Ready(Some(self.0.take().ok_or(error)))
        }
    }

    #[tokio::test]
    async fn pages_that_nobody_reads_hold_no_more_than_their_part_together() {
        let folder = || DirStream::ready((0..50_000).map(|at| file(format!("{at:05}"))).collect());
        let mut resting = Vec::new();
        for _ in 0..20 {
            let mut listing = Listing::new(&VPath::root(), folder(), Format::Html);
            for _ in 0..2 {
                poll_fn(|cx| listing.poll_more(cx)).await.unwrap().unwrap();
            }
            resting.push(listing);
        }
        let held: usize = resting.iter().map(Listing::held).sum();
        assert!(held <= SORTED_TOGETHER + resting.len() * DirStream::BATCH, "{held} entries are held");
        // Who came late gets all of it all the same, in the tree's order.
        assert_eq!(hrefs(&page("/", folder()).await.unwrap()).len(), 50_000);
        drop(resting);
        // Their places are free again.
        let mut again = Listing::new(&VPath::root(), folder(), Format::Html);
        for _ in 0..2 {
            poll_fn(|cx| again.poll_more(cx)).await.unwrap().unwrap();
        }
        assert_eq!(again.held(), 50_000);
    }
}
