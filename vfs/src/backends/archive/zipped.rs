//! [`Zipped`]: the members of a zip archive, put into a catalog from its directory and opened one by one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinSet;

use super::budget::Budget;
use super::catalog;
use super::decoded::DecodedFile;
use super::entry::{Entry, Kind, seconds};
use super::growing::Growing;
use super::zip::{Content, Directory, Member, Notes, Row, Zip, ZipEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, SeekCost};
use crate::metadata::{FileType, Identity, Metadata};
use crate::options::ByteRange;
use crate::path::VPath;

/// Large packed members whose decoders and seek points are kept, so that the next range does not start over.
const KEPT_MEMBERS: usize = 16;

/// Texts of links that are read at once when an archive is entered.
const LINKS_AT_ONCE: usize = 16;

/// Links of one archive whose texts are read; those behind them lead nowhere.
const MAX_LINKS: usize = 64 * 1024;

/// The members of a zip archive. In the catalog, an entry's `data` is the member's place in the table here.
#[derive(Debug)]
pub(super) struct Zipped {
    file: Arc<dyn File>,
    zip: Zip,
    members: Vec<Row>,
    /// By place; the one that was used last is at the end.
    unpacked: Mutex<VecDeque<(u64, Arc<DecodedFile>)>>,
    budget: Arc<Budget>,
}

/// Where a member's content is read.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) source: Arc<dyn File>,
    /// Its first byte in the source.
    pub(super) start: u64,
}

impl Zipped {
    /// Puts what `directory` lists into `growing`, which is at its end then: well, or with what is wrong with the
    /// directory. 32 bytes a member stay in memory besides the catalog's.
    ///
    /// # Errors
    /// What reading says, and what makes a file no archive.
    pub(super) async fn read(file: Arc<dyn File>, growing: &Growing, budget: &Arc<Budget>) -> Result<Self> {
        let mut directory = Directory::find(Arc::clone(&file)).await?;
        let (mut members, mut links) = (Vec::new(), Vec::new());
        let mut is_full = false;
        while !is_full && let Some(batch) = directory.next().await? {
            let entries: Vec<_> = batch
                .into_iter()
                .map(|found| {
                    let member = found.member;
                    let entry = entry(found, members.len() as u64);
                    if entry.kind == Kind::Symlink && links.len() < MAX_LINKS {
                        links.push((entry.clone(), member));
                    }
                    members.push(member.to_row());
                    entry
                })
                .collect();
            is_full = growing.append(&entries).is_err();
        }
        members.shrink_to_fit();
        let (zip, notes) = directory.finish().await?;
        read_links(&zip, links, growing).await;
        growing.end(outcome(is_full, &notes));
        Ok(Self { file, zip, members, unpacked: Mutex::default(), budget: Arc::clone(budget) })
    }

    /// Finds the content of `member`.
    ///
    /// # Errors
    /// As [`Zip::open`].
    pub(super) async fn locate(&self, member: &catalog::Member) -> Result<Located> {
        let row = usize::try_from(member.data).ok().and_then(|at| self.members.get(at));
        let row = row.ok_or_else(|| Error::new(ErrorKind::Internal, "open", &VPath::root()))?;
        if let Some(source) = self.kept(member.data) {
            return Ok(Located { source, start: 0 });
        }
        Ok(match self.zip.open(&row.to_member(member.header, member.size)).await? {
            Content::Whole(bytes) => Located { source: Arc::new(Whole(bytes)), start: 0 },
            Content::Stored(range) => Located { source: Arc::clone(&self.file), start: range.start },
            Content::Packed(codec, range) => {
                let packed = Arc::new(Region { file: Arc::clone(&self.file), range });
                let decoded = Arc::new(DecodedFile::learning(packed, codec, &self.budget));
                self.keep(member.data, &decoded);
                Located { source: decoded, start: 0 }
            }
        })
    }

    /// What its table takes in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.members.len() * (size_of::<Row>() + size_of::<u64>())
    }

    fn kept(&self, place: u64) -> Option<Arc<DecodedFile>> {
        let mut unpacked = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        let at = unpacked.iter().position(|(at, _)| *at == place)?;
        let kept = unpacked.remove(at)?;
        let decoded = Arc::clone(&kept.1);
        unpacked.push_back(kept);
        Some(decoded)
    }

    fn keep(&self, place: u64, decoded: &Arc<DecodedFile>) {
        let mut unpacked = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        if unpacked.len() == KEPT_MEMBERS {
            unpacked.pop_front();
        }
        unpacked.push_back((place, Arc::clone(decoded)));
    }
}

/// What the catalog is told of a member; a link's text comes later.
fn entry(found: ZipEntry, place: u64) -> Entry {
    Entry {
        name: found.path,
        kind: match found.file_type {
            FileType::File => Kind::File,
            FileType::Dir => Kind::Dir,
            FileType::Symlink => Kind::Symlink,
            FileType::Other => Kind::Other,
        },
        link: Vec::new(),
        header: found.member.header,
        data: place,
        size: found.member.len,
        sparse: None,
        mode: found.mode,
        user: None,
        group: None,
        modified: found.modified.and_then(seconds),
    }
}

/// Reads the texts of links, which are the content of their members. One that cannot be had leads nowhere.
async fn read_links(zip: &Zip, links: Vec<(Entry, Member)>, growing: &Growing) {
    let mut waiting = links.into_iter();
    let mut reading = JoinSet::new();
    loop {
        while reading.len() < LINKS_AT_ONCE
            && let Some((entry, member)) = waiting.next()
        {
            let zip = zip.clone();
            reading.spawn(async move { (entry, zip.read_link(&member).await) });
        }
        match reading.join_next().await {
            None => return,
            Some(Ok((entry, Ok(text)))) => link(growing, Entry { link: text.into(), ..entry }),
            Some(Ok((entry, Err(error)))) => {
                let name = String::from_utf8_lossy(&entry.name);
                tracing::info!(%name, %error, "a link in a zip archive cannot be read");
            }
            Some(Err(lost)) => tracing::warn!(%lost, "a link in a zip archive was not read"),
        }
    }
}

/// Gives a link its text, where a later record has not taken its name.
fn link(growing: &Growing, entry: Entry) {
    let mut path = VPath::root();
    let named = entry.name.split(|byte| *byte == b'/').try_for_each(|name| path.push_name(name.to_vec()));
    let is_there = named.is_ok()
        && growing.read(|catalog| {
            let found = catalog.resolve(&path, false).map(|id| catalog.member(id));
            found.is_ok_and(|member| member.shape == catalog::Shape::Symlink && member.data == entry.data)
        });
    if is_there {
        growing.append(&[entry]).expect("it takes over a node that was found above, so it needs no room");
    }
}

/// How the catalog's making ended.
fn outcome(is_full: bool, notes: &Notes) -> Result<()> {
    if notes.hidden > 0 {
        tracing::info!(hidden = notes.hidden, "a zip archive has members that no path leads to");
    }
    let fail = |kind, detail: String| Err(Error::new(kind, "read", &VPath::root()).with_detail(detail));
    if is_full {
        let detail = "the archive holds more names than are taken; those that came first are served";
        return fail(ErrorKind::LimitExceeded, detail.to_owned());
    }
    match &notes.damage {
        Some(what) => {
            let detail = format!("the archive is damaged: {what}; what comes before is served");
            fail(ErrorKind::Corrupt, detail)
        }
        None => Ok(()),
    }
}

/// Bytes in memory.
#[derive(Debug)]
struct Whole(Bytes);

#[async_trait]
impl File for Whole {
    async fn metadata(&self) -> Result<Metadata> {
        Ok(Metadata { len: Some(self.0.len() as u64), ..Metadata::new(FileType::File) })
    }

    fn identity(&self) -> Option<Identity> {
        None
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        Ok(self.0.slice(start..self.0.len().min(start.saturating_add(max))))
    }
}

/// The packed bytes of one member.
#[derive(Debug)]
struct Region {
    file: Arc<dyn File>,
    range: ByteRange,
}

#[async_trait]
impl File for Region {
    async fn metadata(&self) -> Result<Metadata> {
        let len = self.range.end.map(|end| end - self.range.start);
        Ok(Metadata { len, ..Metadata::new(FileType::File) })
    }

    fn identity(&self) -> Option<Identity> {
        None
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let at = self.range.start.saturating_add(offset);
        let left = self.range.end.unwrap_or(u64::MAX).saturating_sub(at);
        let max = usize::try_from(left).unwrap_or(max).min(max);
        if max == 0 {
            return Ok(Bytes::new());
        }
        self.file.read_at(at, max).await
    }

    fn seek_cost(&self) -> SeekCost {
        self.file.seek_cost()
    }
}
