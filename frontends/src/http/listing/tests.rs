//! Listings as their clients see them.

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
