//! The [`sample`]: what every subject holds at first, and [`fill`], which writes it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::error::Result;
use crate::file_system::FileSystem;
use crate::options::{OpenOptions, SetAttributes};
use crate::path::VPath;

/// One entry of the sample.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it is, from the subject's root.
    pub path: VPath,
    /// What it is.
    pub body: Body,
    /// Its permission bits; `None`: any.
    pub mode: Option<u32>,
    /// Its time of the last change, in whole seconds; `None`: any.
    pub modified: Option<SystemTime>,
}

/// What an entry of the sample is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A folder.
    Dir,
    /// A file with this content.
    File(Bytes),
    /// A symbolic link with this text. A tree without links leaves these entries out.
    Link(Bytes),
}

/// The content of `/hello.txt`.
pub(super) const HELLO: &[u8] = b"hello, world\n";

/// The content of `/dir/inner.txt`.
pub(super) const INNER: &[u8] = b"inside\n";

/// Entries of `/many`.
pub(super) const MANY: usize = 2000;

/// Folders between `/deep` and its `leaf`.
pub(super) const DEPTH: usize = 32;

/// The names in `/names`: the content of each file is its name.
pub(super) const ODD_NAMES: &[&[u8]] = &[
    b" two  spaces ",
    b"a#b#",
    b"100%25 %2e%2F",
    b"what?",
    b"\"quoted\" 'name'",
    b"back\\slash",
    b"<b>&amp;",
    b"semi;colon:and,comma",
    b".hidden",
    b"...",
    b"-rf",
    "zażółć 漢字 é".as_bytes(),
    b"x#tgz:",
    b"#zip:",
    &[b'n'; 255],
    NEWLINE_NAME,
    BYTE_NAME,
];

/// The odd name with a line feed.
pub(super) const NEWLINE_NAME: &[u8] = b"new\nline";

/// The odd name that is no UTF-8.
pub(super) const BYTE_NAME: &[u8] = b"raw-\xff\xfe\x80";

/// The links in `/links`, with their texts.
const LINKS: &[(&str, &str)] = &[
    ("to_file", "../hello.txt"),
    ("to_dir", "../dir"),
    ("to_sub", "../dir/sub"),
    ("to_link", "to_file"),
    ("absolute", "/hello.txt"),
    ("dangling", "nowhere"),
    ("itself", "itself"),
    ("ping", "pong"),
    ("pong", "ping"),
    ("up_again", "to_sub/../inner.txt"),
    ("through_a_file", "../hello.txt/x"),
    ("over_the_root", "../../../../../../../../etc/passwd"),
];

/// The entries of the sample, folders before what they hold: a few files, one of them empty and one of 100,000 bytes; a
/// folder in a folder and an empty one; odd names; a deep path; a folder of 2,000 files; links of every kind.
///
/// A read-only subject is built from this list; a writable one is filled by [`fill`].
pub fn sample() -> Vec<Entry> {
    let mut entries = vec![
        file("/empty", b"").with(0o644, 1_000_000_000),
        file("/one", b"1").with(0o600, 1_000_000_001),
        file("/hello.txt", HELLO).with(0o640, 1_234_567_890),
        file("/script", b"#!/bin/sh\n").with(0o755, 1_400_000_000),
        file("/big", big()).with(0o644, 1_500_000_000),
        dir("/dir").with(0o750, 1_600_000_000),
        file("/dir/inner.txt", INNER).with(0o644, 1_600_000_001),
        dir("/dir/sub").with(0o755, 1_600_000_002),
        file("/dir/sub/leaf", b"leaf\n").with(0o644, 1_600_000_003),
        dir("/hollow").with(0o755, 1_600_000_004),
        dir("/names"),
    ];
    entries.extend(ODD_NAMES.iter().map(|name| {
        let body = Body::File(Bytes::from_static(name));
        Entry::new(
            path("/names").child(Bytes::from_static(name)).expect("no name of the table has a slash"),
            body,
        )
    }));
    let mut deep = "/deep".to_owned();
    entries.push(dir(&deep));
    for level in 1..=DEPTH {
        deep = format!("{deep}/{level}");
        entries.push(dir(&deep));
    }
    entries.push(file(&format!("{deep}/leaf"), b"deep\n"));
    entries.push(dir("/many"));
    entries.extend(many());
    entries.push(dir("/links"));
    entries.extend(LINKS.iter().map(|(name, target)| {
        Entry::new(path(&format!("/links/{name}")), Body::Link(Bytes::from_static(target.as_bytes())))
    }));
    entries.push(Entry::new(path("/dir/sub/back"), Body::Link(Bytes::from_static(b"../inner.txt"))));
    entries
}

/// Writes the sample into the folder `at` of a tree, as far as its [`capabilities`](FileSystem::capabilities) go: links,
/// modes and times where it takes them.
///
/// # Errors
/// The first change that fails.
pub async fn fill(tree: &dyn FileSystem, at: &VPath) -> Result<()> {
    write(tree, at, sample()).await
}

/// Writes entries of the sample below `at`; folders must come before what they hold.
pub(super) async fn write(tree: &dyn FileSystem, at: &VPath, mut entries: Vec<Entry>) -> Result<()> {
    let capabilities = tree.capabilities(at);
    entries.retain(|entry| capabilities.symlinks || !matches!(entry.body, Body::Link(_)));
    for entry in &entries {
        let path = at.append(&entry.path);
        match &entry.body {
            Body::Dir => tree.create_dir(&path).await?,
            Body::Link(target) => tree.symlink(target, &path).await?,
            Body::File(content) => {
                let options = OpenOptions { create_new: true, ..OpenOptions::writing() };
                let file = tree.open(&path, &options).await?;
                if !content.is_empty() {
                    file.write_at(0, content.clone()).await?;
                }
                file.finish().await?;
            }
        }
    }
    // From the leaves up: setting what a folder holds would change the folder's own time.
    for entry in entries.iter().rev() {
        let attributes = SetAttributes {
            mode: entry.mode.filter(|_| capabilities.modes),
            modified: entry.modified.filter(|_| capabilities.times),
            ..SetAttributes::default()
        };
        if !attributes.is_empty() {
            tree.set_attributes(&at.append(&entry.path), &attributes, false).await?;
        }
    }
    Ok(())
}

/// What `/many` holds.
pub(super) fn many() -> impl Iterator<Item = Entry> {
    (0..MANY).map(|number| file(&format!("/many/{number:04}"), b""))
}

/// The content of `/big`: 100,000 bytes, no two pieces of it alike.
pub(super) fn big() -> Bytes {
    patterned(100_000)
}

/// `len` bytes with a long period, so that a piece in the wrong place is seen.
pub(super) fn patterned(len: u32) -> Bytes {
    (0..len).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

impl Entry {
    fn new(path: VPath, body: Body) -> Self {
        Self { path, body, mode: None, modified: None }
    }

    fn with(self, mode: u32, modified_seconds: u64) -> Self {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(modified_seconds);
        Self { mode: Some(mode), modified: Some(modified), ..self }
    }
}

fn file(at: &str, content: impl AsRef<[u8]>) -> Entry {
    Entry::new(path(at), Body::File(Bytes::copy_from_slice(content.as_ref())))
}

fn dir(at: &str) -> Entry {
    Entry::new(path(at), Body::Dir)
}

fn path(text: &str) -> VPath {
    VPath::parse(text).expect("the sample's own paths are plain and absolute")
}
