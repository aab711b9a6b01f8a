//! A folder as a page: a producer that makes its rows while they are sent.
//!
//! For people there is a page; for programs a JSON array in nginx's words, and an object a line.

mod describing;
mod links;
mod objects;
mod page;
mod rows;

use std::fmt::{self, Write};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};
use vfs::producer::{Chunk, Hint, Producer, Readiness};
use vfs::{Describe, DirEntry, DirStream, Error, VPath, jobs};

use self::describing::Describing;
pub(super) use self::links::follow_links;
use self::objects::write_object;
pub(super) use self::page::policy;
use self::page::{Shown, break_note, foot, head, next};
use self::rows::{Order, Row, Rows};
use super::wire::{Format, View};

/// Entries that are sorted inline; more are sorted in a job.
const SORTED_INLINE: usize = 4096;

/// How long a page that waits for an archive's first pass holds back what it could show in order; then it shows what it
/// has, and the rest as it comes.
const PROVISIONAL_PATIENCE: Duration = Duration::from_millis(10);

/// Bytes of a page that are made at once.
const PIECE_BYTES: usize = 32 * 1024;

/// The listing of one folder. It holds the entries that it sorts, about 32 bytes and the name each.
pub(super) struct Listing {
    entries: DirStream,
    view: View,
    order: Order,
    uploads: Uploads,
    stage: Stage,
    rows: Writer,
    /// Goes out at once: a large folder takes a while to be gathered.
    head: Option<String>,
    /// What was written and not given yet.
    text: String,
    /// Why the entries end early; told after those that came.
    broken: Option<Error>,
    /// When what may still change is held back no longer.
    patience: Option<Pin<Box<Sleep>>>,
}

/// Whether a folder takes uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Uploads {
    /// It takes none.
    Refused,
    /// It takes them.
    Taken,
    /// It takes them and shows nothing of what it holds: a drop box.
    Unseen,
}

enum Stage {
    /// Entries are gathered.
    Gather(Rows),
    /// They are being sorted.
    Sort(Pin<Box<dyn Future<Output = vfs::Result<Rows>> + Send>>),
    /// They are written, from this one on, as they are described.
    Write(Box<Described>),
    /// What was too much to be sorted is written as it comes.
    WriteOn(Box<Describing>),
    /// All is written that came before an error; it follows when that has left.
    Break(Error),
    Ended,
}

/// Rows in order that are described while they are written.
struct Described {
    rows: Rows,
    /// The next one to be written.
    at: usize,
    describing: Describing,
}

/// How rows are written.
struct Writer {
    format: Format,
    page: page::Writer,
    count: usize,
}

impl Listing {
    /// The folder `path` with these entries; a page has a place for uploads where these are taken.
    pub(super) fn new(path: &VPath, entries: DirStream, view: View, uploads: Uploads) -> Self {
        let head = match view.format {
            Format::Html => Some(head(path, &view)),
            Format::Json => Some("[".to_owned()),
            Format::Ndjson => None,
        };
        let order = Order::of(&view);
        let rows = Writer { format: view.format, page: page::Writer::new(path), count: 0 };
        let stage = Stage::Gather(Rows::new(order.clone()));
        Self {
            entries,
            view,
            order,
            uploads,
            stage,
            rows,
            head,
            text: String::new(),
            broken: None,
            patience: None,
        }
    }

    #[cfg(test)]
    fn held(&self) -> usize {
        match &self.stage {
            Stage::Gather(rows) => rows.len(),
            Stage::Write(described) => described.rows.len(),
            Stage::Sort(_) | Stage::WriteOn(_) | Stage::Break(_) | Stage::Ended => 0,
        }
    }

    /// Goes on by one step.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<vfs::Result<()>> {
        match &mut self.stage {
            Stage::Gather(rows) => {
                let ended = match self.entries.poll_next(cx) {
                    Poll::Ready(Some(Ok(batch))) => {
                        rows.extend(&batch);
                        false
                    }
                    Poll::Ready(Some(Err(error))) => {
                        self.broken = Some(error);
                        true
                    }
                    Poll::Ready(None) => true,
                    Poll::Pending if rows.may_begin() => {
                        let patience =
                            self.patience.get_or_insert_with(|| Box::pin(sleep(PROVISIONAL_PATIENCE)));
                        ready!(patience.as_mut().poll(cx));
                        true
                    }
                    Poll::Pending => return Poll::Pending,
                };
                if ended || rows.is_full() {
                    self.stage = sort(std::mem::take(rows), self.entries.describer());
                }
            }
            Stage::Sort(sorting) => {
                let rows = ready!(sorting.as_mut().poll(cx))?;
                self.stage = written(rows, self.entries.describer());
            }
            Stage::Write(described) => {
                let Described { rows, at, describing } = &mut **described;
                let is_there = ready!(describing.poll(rows, *at, cx))?;
                match rows.get(*at) {
                    Some((name, row)) => {
                        if is_there {
                            self.rows.write(&mut self.text, name, row);
                        }
                        *at += 1;
                    }
                    None if rows.has_more() && self.broken.is_none() => {
                        let last = rows.get(rows.len().saturating_sub(1));
                        let next = last.map(|(name, row)| next(&self.view, &self.order, name, row));
                        self.end(next);
                    }
                    None => {
                        self.stage = Stage::WriteOn(Box::new(Describing::new(self.entries.describer())));
                    }
                }
            }
            Stage::WriteOn(_) if self.broken.is_some() => self.write_break(),
            Stage::WriteOn(describing) => match ready!(describing.poll_batch(&mut self.entries, cx)) {
                Some(Ok(batch)) => self.write_on(&batch),
                Some(Err(error)) => self.broken = Some(error),
                None => self.end(None),
            },
            Stage::Break(_) | Stage::Ended => {}
        }
        Poll::Ready(Ok(()))
    }

    fn write_on(&mut self, batch: &[DirEntry]) {
        for entry in batch {
            let row = Row::new(entry, 0);
            if self.order.takes(&entry.name, &row) {
                self.rows.write(&mut self.text, &entry.name, &row);
            }
        }
    }

    /// Says on the page why it breaks off; objects just stop short of their end.
    fn write_break(&mut self) {
        let Some(error) = self.broken.take() else { return };
        if self.view.format == Format::Html {
            self.text.push_str(&break_note(&error));
        }
        self.stage = Stage::Break(error);
    }

    fn end(&mut self, next: Option<String>) {
        match self.view.format {
            Format::Html => {
                let shown = Shown { count: self.rows.count, next };
                self.text.push_str(&foot(&self.view, &shown, self.uploads));
            }
            Format::Json => self.text.push_str("\n]\n"),
            Format::Ndjson => {}
        }
        self.stage = Stage::Ended;
    }
}

impl Producer for Listing {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<vfs::Result<Chunk>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(Chunk::from(head))));
        }
        self.text.reserve(PIECE_BYTES + PIECE_BYTES / 8);
        while self.text.len() < PIECE_BYTES {
            match self.poll_step(cx) {
                Poll::Ready(Ok(())) if matches!(self.stage, Stage::Ended | Stage::Break(_)) => break,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    self.text.clear();
                    self.stage = Stage::Ended;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Pending if self.text.is_empty() => {
                    // Who waits holds nothing.
                    self.text = String::new();
                    return Poll::Pending;
                }
                // What there is can go out while the rest is waited for.
                Poll::Pending => break,
            }
        }
        if self.text.is_empty()
            && let Stage::Break(error) = std::mem::replace(&mut self.stage, Stage::Ended)
        {
            return Poll::Ready(Some(Err(error)));
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

fn sort(rows: Rows, describer: Option<Arc<dyn Describe>>) -> Stage {
    if rows.len() <= SORTED_INLINE {
        return written(rows.sorted(), describer);
    }
    Stage::Sort(Box::pin(jobs::cpu("read_dir", move || rows.sorted())))
}

fn written(rows: Rows, describer: Option<Arc<dyn Describe>>) -> Stage {
    Stage::Write(Box::new(Described { rows, at: 0, describing: Describing::new(describer) }))
}

impl Writer {
    fn write(&mut self, text: &mut String, name: &[u8], row: &Row) {
        let is_first = self.count == 0;
        self.count += 1;
        match self.format {
            Format::Html => self.page.write_row(text, name, row),
            Format::Json => {
                text.push_str(if is_first { "\n" } else { ",\n" });
                write_object(text, name, row);
            }
            Format::Ndjson => {
                write_object(text, name, row);
                text.push('\n');
            }
        }
    }
}

fn write(text: &mut String, arguments: fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes all that is written to it");
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::{Duration, UNIX_EPOCH};

    use bytes::Bytes;
    use vfs::{Availability, Error, ErrorKind, FileType, Metadata};

    use super::rows::{SORTED_ENTRIES, SORTED_TOGETHER};
    use super::*;

    async fn page(path: &str, entries: DirStream) -> vfs::Result<String> {
        formatted(path, entries, Format::Html).await
    }

    async fn formatted(path: &str, entries: DirStream, format: Format) -> vfs::Result<String> {
        viewed(path, entries, View { format, ..View::default() }).await
    }

    async fn viewed(path: &str, entries: DirStream, view: View) -> vfs::Result<String> {
        let mut listing = Listing::new(&VPath::parse(path).unwrap(), entries, view, Uploads::Refused);
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
        let rows = &page[page.find("<pre>").unwrap()..page.find("</pre>").unwrap()];
        rows.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
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
        let expected = "<pre><a href=\"../\">../</a>\n\
             <span class=\"d\"><a href=\"far/\">far/</a>                                               \
             <i>-                </i> <b>                  -</b> <em>unavailable</em></span>\n\
             <span class=\"d\"><a href=\"near/\">near/</a>                                              \
             <i>-                </i> <b>                  -</b></span>\n\
             <span><a href=\"read%20me.txt\">read me.txt</a>                                        \
             <i>06-Nov-1994 08:49</i> <b data-h=\"1.2 KiB\">               1234</b></span>\n\
             </pre>";
        let page = page("/pub", entries).await.unwrap();
        assert!(page.contains(expected), "{page}");
        assert!(page.contains("<title>Index of /pub/</title>") && page.contains("3 entries"), "{page}");
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
        assert_eq!(page.matches("<script").count(), 1, "{page}");
        assert!(
            !page.contains("<script>alert") && !page.contains("/<b>") && !page.contains("\" onclick"),
            "{page}"
        );
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
    async fn a_listing_that_fails_shows_what_came_and_does_not_end_as_if_it_were_whole() {
        for (kind, words) in [
            (ErrorKind::Unavailable, "cannot be had: the source cannot be reached</p>"),
            (ErrorKind::Corrupt, "cannot be had: the data is damaged: bad at byte 7 of &lt;it&gt;</p>"),
        ] {
            let error = Error::new(kind, "read_dir", &VPath::root()).with_detail("bad at byte 7 of <it>");
            let entries = DirStream::new(Failing(Some(vec![file("a")]), error));
            let mut listing = Listing::new(&VPath::root(), entries, View::default(), Uploads::Refused);
            let (mut page, mut failure) = (String::new(), None);
            while let Some(chunk) = poll_fn(|cx| listing.poll_more(cx)).await {
                match chunk {
                    Ok(Chunk::Bytes(bytes)) => page.push_str(std::str::from_utf8(&bytes).unwrap()),
                    Ok(Chunk::Span(_)) => unreachable!("a listing makes bytes"),
                    Err(error) => failure = Some(error.kind()),
                }
            }
            assert_eq!(hrefs(&page), ["a"]);
            assert!(page.contains(words) && !page.contains("</html>"), "{page}");
            assert_eq!(failure, Some(kind));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_still_change_is_shown_before_the_rest_has_come() {
        let mut entry = file("first");
        let mut metadata = Metadata::new(FileType::File);
        metadata.provenance.provisional = true;
        entry.metadata = Some(metadata);
        let mut listing = Listing::new(
            &VPath::root(),
            DirStream::new(Stuck(Some(vec![entry]))),
            View::default(),
            Uploads::Refused,
        );
        let mut page = String::new();
        while !page.contains("first") {
            let Some(Ok(Chunk::Bytes(bytes))) = poll_fn(|cx| listing.poll_more(cx)).await else {
                panic!("it ended: {page}")
            };
            page.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// One batch, and nothing after it.
    struct Stuck(Option<Vec<DirEntry>>);

    impl futures_core::Stream for Stuck {
        type Item = vfs::Result<Vec<DirEntry>>;

        fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            self.0.take().map_or(Poll::Pending, |batch| Poll::Ready(Some(Ok(batch))))
        }
    }

    /// One batch, then an error.
    struct Failing(Option<Vec<DirEntry>>, Error);

    impl futures_core::Stream for Failing {
        type Item = vfs::Result<Vec<DirEntry>>;

        fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            let error = self.1.clone();
            Poll::Ready(Some(self.0.take().ok_or(error)))
        }
    }

    #[tokio::test]
    async fn pages_that_nobody_reads_hold_no_more_than_their_part_together() {
        let folder = || DirStream::ready((0..50_000).map(|at| file(format!("{at:05}"))).collect());
        let mut resting = Vec::new();
        for _ in 0..20 {
            let mut listing = Listing::new(&VPath::root(), folder(), View::default(), Uploads::Refused);
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
        let mut again = Listing::new(&VPath::root(), folder(), View::default(), Uploads::Refused);
        for _ in 0..2 {
            poll_fn(|cx| again.poll_more(cx)).await.unwrap().unwrap();
        }
        assert_eq!(again.held(), 50_000);
    }
}
