//! A folder as a page: a producer that makes its rows while they are sent.
//!
//! The page has the shape of nginx's: `<pre>`, a link a row, date and size after it, which other clients read too.

use std::fmt::{self, Write};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use vfs::path::{escaped, printed_name};
use vfs::producer::{Chunk, Hint, Producer, Readiness};
use vfs::{Availability, DirEntry, DirStream, FileType, VPath, jobs};

use super::wire::{encode_segment, listing_date};

/// Entries that are held to be sorted, folders first. A folder with more starts with so many in order; the rest follows
/// as the tree gives it.
const SORTED_ENTRIES: usize = 100_000;

/// Bytes of names that are held to be sorted; longer names end the order as more entries do.
const SORTED_NAME_BYTES: usize = 8 << 20;

/// Entries that are sorted inline; more are sorted in a job.
const SORTED_INLINE: usize = 4096;

/// Bytes of a page that are made at once.
const PIECE_BYTES: usize = 32 * 1024;

/// Where the date starts in a row, as far as the name leaves room.
const NAME_WIDTH: usize = 50;

/// The page of one folder. It holds the entries that it sorts, about 64 bytes and the name each.
pub(super) struct Listing {
    entries: DirStream,
    stage: Stage,
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
    pub(super) fn new(path: &VPath, entries: DirStream) -> Self {
        Self { entries, stage: Stage::Gather(Rows::default()), head: Some(head(path)), text: String::new() }
    }

    /// Goes on by one step.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<vfs::Result<()>> {
        match &mut self.stage {
            Stage::Gather(rows) => {
                let ended = match ready!(self.entries.poll_next(cx)) {
                    Some(batch) => {
                        batch?.iter().for_each(|entry| rows.push(entry));
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
                    write_row(&mut self.text, rows.name(row), row);
                    *next += 1;
                }
                None => self.stage = Stage::WriteOn,
            },
            Stage::WriteOn => match ready!(self.entries.poll_next(cx)) {
                Some(batch) => {
                    for entry in batch? {
                        write_row(&mut self.text, &entry.name, &Row::new(&entry, 0));
                    }
                }
                None => {
                    self.text.push_str("</pre><hr></body>\n</html>\n");
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
    fn push(&mut self, entry: &DirEntry) {
        self.rows.push(Row::new(entry, self.names.len()));
        self.names.extend_from_slice(&entry.name);
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= SORTED_ENTRIES || self.names.len() >= SORTED_NAME_BYTES
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
        let mut listing = Listing::new(&VPath::parse(path).unwrap(), entries);
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
}
