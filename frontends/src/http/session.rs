//! From what is wanted to what happens: calls on the tree, and their [`Outcome`].

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use vfs::jobs::Disk;
use vfs::producer::{Coding, Packing};
use vfs::{
    ByteRange, CacheStatus, DirStream, Error, ErrorKind, File, FileSystem, Freshness, Intent, ListOptions,
    Metadata, OpenOptions, SeekCost, StatOptions, VPath, Validator, Writes,
};

use super::changes::{Allowed, allowed, change};
use super::command::{Command, Fetch, Refusal};
use super::incoming::Incoming;
use super::listing::Uploads;
use super::media;
use super::options::Options;
use super::wire::{Format, Selection, Sort, Verdict, View, encode_path};
use crate::auth::{Asker, Credentials, Denied, Entry};
use crate::site::Site;

/// Shorter content is sent as it is: a coding would save less than a packet.
const CODED_BYTES: u64 = 1024;

/// What is looked at of a file whose name does not say what it is.
const MAGIC_BYTES: usize = 512;

/// What became of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A file, or a range of it.
    Opened(Box<Opened>),
    /// A folder's entries.
    Listed(Box<Listed>),
    /// A folder as an archive.
    Packed(Box<Packed>),
    /// A folder without its `/`: where it is, as the absolute path of a URL.
    Redirect(String),
    /// The peer has it.
    NotModified(Facts),
    /// The conditions do not hold.
    PreconditionFailed,
    /// No byte of the range is in the file, which is this long.
    Unsatisfiable(u64),
    /// A file was written, whole or in part; what is known of it now.
    Stored {
        /// It was not there before.
        is_new: bool,
        /// What is known of it now.
        facts: Option<Facts>,
    },
    /// Something is where nothing was.
    Created,
    /// What was there is otherwise now.
    Changed,
    /// A page's form was taken: its folder is to be looked at again.
    FormTaken,
    /// What can be done was asked for.
    Options(Allowed),
    /// What was asked for is not done here, but this is.
    NotAllowed(Allowed),
    /// The request makes no sense.
    Refused(Refusal),
    /// No site of that name is here.
    Misdirected,
    /// Entry was refused; where a name and a password could help, they are asked for.
    Denied(Denied, Challenge),
    /// The tree refused.
    Failed(Error),
}

/// Why a request came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// It makes no sense.
    Refused(Refusal),
    /// The tree refused.
    Tree(Error),
}

/// A file that is to be sent.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<dyn File>,
    pub(super) facts: Facts,
    pub(super) content_type: HeaderValue,
    pub(super) sent: Sent,
    pub(super) coded: Option<Coded>,
    /// The name under which it is to be kept.
    pub(super) kept_as: Option<Vec<u8>>,
}

/// A content coding of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coded {
    /// The file has it already.
    Stored(Coding),
    /// It is made while it is sent.
    Made(Coding),
}

/// A folder that is to be listed.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) path: VPath,
    pub(super) entries: DirStream,
    pub(super) view: View,
    pub(super) uploads: Uploads,
    pub(super) coding: Option<Coding>,
    pub(super) varies: bool,
}

/// A folder that is to be packed.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) tree: Arc<dyn FileSystem>,
    pub(super) path: VPath,
    pub(super) entries: DirStream,
    pub(super) packing: Packing,
}

/// What of a file is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of it.
    Whole,
    /// This range; its end is known.
    Part(ByteRange),
    /// These ranges; their ends are known.
    Parts(Vec<ByteRange>),
}

/// What is known of a file for certain.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) len: Option<u64>,
    pub(super) modified: Option<SystemTime>,
    pub(super) validator: Option<Validator>,
    /// It may still change: nothing of it is to be kept.
    pub(super) provisional: bool,
    /// Others get it under another coding.
    pub(super) varies: bool,
    /// Others get it in another media type.
    pub(super) is_negotiated: bool,
    /// How long it may be kept, in HTTP's words.
    pub(super) cache_control: Option<HeaderValue>,
    /// What a cache of ours had to do with it.
    pub(super) cache: CacheStatus,
    /// How long ago its source said so.
    pub(super) age: Option<Duration>,
}

/// Whether a client is asked for a name and a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// There are users, and it is none yet.
    Asked,
    /// It would not help.
    Useless,
}

/// Who asks.
#[derive(Debug)]
pub(super) struct Who {
    pub(super) asker: Asker,
    /// `None` where they are not understood.
    pub(super) credentials: Option<Credentials>,
}

impl Who {
    /// Looks the asker up.
    async fn enter(&self, site: &Site, host: Option<&str>) -> Result<Entry, Outcome> {
        if !site.hosts.admits(host) {
            return Err(Outcome::Misdirected);
        }
        let entry = match &self.credentials {
            Some(credentials) => site.view(host, self.asker, credentials).await,
            None => Err(Denied::Credentials),
        };
        entry.map_err(|denied| Outcome::Denied(denied, Challenge::of(site)))
    }

    /// What a guest may not do, somebody with a name perhaps may.
    fn asked(&self, site: &Site, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Failed(error)
                if error.kind() == ErrorKind::PermissionDenied
                    && self.credentials == Some(Credentials::Anonymous)
                    && site.auth.has_users() =>
            {
                Outcome::Denied(Denied::Credentials, Challenge::Asked)
            }
            outcome => outcome,
        }
    }
}

impl Challenge {
    fn of(site: &Site) -> Self {
        if site.auth.has_users() { Self::Asked } else { Self::Useless }
    }
}

/// Carries out a command; the entry is what its answer is under way with.
pub(super) async fn carry_out<B>(
    site: &Site,
    who: &Who,
    options: &Options,
    command: Command,
    body: &mut Incoming<B>,
    disk: &Disk,
) -> (Outcome, Option<Entry>)
where
    B: http_body::Body + Unpin,
{
    if let Command::Refused(refusal) = command {
        return (Outcome::Refused(refusal), None);
    }
    let entry = match who.enter(site, command.host()).await {
        Ok(entry) => entry,
        Err(outcome) => return (outcome, None),
    };
    body.pay(entry.user.as_ref().and_then(|user| user.upload.clone()));
    let outcome = match act(&entry, options, command, body, disk).await {
        Ok(outcome) => outcome,
        Err(Failure::Refused(refusal)) => Outcome::Refused(refusal),
        Err(Failure::Tree(error)) => Outcome::Failed(error),
    };
    (who.asked(site, outcome), Some(entry))
}

/// Does what is wanted in the view of `entry`, which is all that the asker may see.
async fn act<B>(
    entry: &Entry,
    options: &Options,
    command: Command,
    body: &mut Incoming<B>,
    disk: &Disk,
) -> Result<Outcome, Failure>
where
    B: http_body::Body + Unpin,
{
    let tree = &entry.view;
    match command {
        Command::Fetch(fetch) => Ok(retrieve(entry, options, fetch).await?),
        Command::Change(wanted) => Box::pin(change(&**tree, *wanted, body, options.upload_bytes, disk)).await,
        Command::Options(place) => Ok(Outcome::Options(allowed(&**tree, &place.unwrap_or_default().path))),
        Command::NotAllowed(place) => {
            Ok(Outcome::NotAllowed(allowed(&**tree, &place.unwrap_or_default().path)))
        }
        Command::Refused(refusal) => Err(refusal.into()),
    }
}

/// Opens first and describes the open file: one request to a remote source, and nothing changes in between.
async fn retrieve(entry: &Entry, options: &Options, fetch: Box<Fetch>) -> vfs::Result<Outcome> {
    let tree = &entry.view;
    let path = &fetch.place.path;
    if fetch.place.is_folder {
        // Boxed, as what is rare is below: a request's future is moved into its connection, with room for all that it may do.
        return Box::pin(list(entry, options, fetch)).await;
    }
    let intent = match (fetch.head_only, &fetch.ranges) {
        (true, _) => Intent::Header,
        (false, Some(_)) => Intent::Range,
        (false, None) => Intent::Whole,
    };
    let wishes = OpenOptions { intent, freshness: fetch.freshness, ..OpenOptions::reading_file() };
    match tree.open(path, &wishes).await {
        Ok(file) => {
            let found = Found::of(file).await?;
            Ok(represent(entry, options, found, &fetch).await)
        }
        Err(error) if error.kind() == ErrorKind::IsADirectory => Ok(Outcome::Redirect(with_slash(&fetch))),
        // A folder that may be listed and holds nothing that may be read.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            match tree.metadata(path, &StatOptions::default()).await {
                Ok(found) if found.is_dir() => Ok(Outcome::Redirect(with_slash(&fetch))),
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

async fn list(entry: &Entry, options: &Options, fetch: Box<Fetch>) -> vfs::Result<Outcome> {
    let tree = &entry.view;
    if let Some(page) = open_page(&**tree, &fetch).await? {
        return Ok(represent(entry, options, page, &fetch).await);
    }
    let path = fetch.place.path;
    // An order by name needs nothing but names; what is packed is described by who packs it.
    let later = fetch.packing.is_none() && fetch.view.sort == Sort::Name;
    let wishes = ListOptions { metadata: true, later, freshness: fetch.freshness };
    let takes_uploads = tree.capabilities(&path).writes != Writes::None;
    let is_page = fetch.packing.is_none() && fetch.view.format == Format::Html;
    let (entries, uploads) = match tree.read_dir(&path, &wishes).await {
        Ok(entries) if takes_uploads => (entries, Uploads::Taken),
        Ok(entries) => (entries, Uploads::Refused),
        // A drop box: the page has a place for uploads and nothing else.
        Err(error) if error.kind() == ErrorKind::PermissionDenied && takes_uploads && is_page => {
            (DirStream::ready(Vec::new()), Uploads::Unseen)
        }
        Err(error) => return Err(error),
    };
    if let Some(packing) = fetch.packing {
        let tree = Arc::clone(tree);
        return Ok(Outcome::Packed(Box::new(Packed { tree, path, entries, packing })));
    }
    let coding = fetch.codings.taken().next().filter(|_| options.compress);
    let varies = options.compress;
    Ok(Outcome::Listed(Box::new(Listed { path, entries, view: fetch.view, uploads, coding, varies })))
}

/// The folder's own page, where it has one and that is wanted.
async fn open_page(tree: &dyn FileSystem, fetch: &Fetch) -> vfs::Result<Option<Found>> {
    let path = &fetch.place.path;
    let pages = tree.capabilities(path).pages;
    let wanted = fetch.page.as_ref().filter(|_| fetch.packing.is_none());
    let Some(page) = wanted.and_then(|accepted| pages.get(accepted.best(pages.iter().copied()))) else {
        return Ok(None);
    };
    let wishes = OpenOptions { page: Some(page), freshness: fetch.freshness, ..OpenOptions::reading() };
    match tree.open(path, &wishes).await {
        Ok(file) => Found::of(file).await.map(Some),
        Err(error) if error.kind() == ErrorKind::IsADirectory => Ok(None),
        Err(error) => Err(error),
    }
}

/// An open file and its description.
struct Found {
    file: Arc<dyn File>,
    metadata: Metadata,
}

impl Found {
    async fn of(file: Arc<dyn File>) -> vfs::Result<Self> {
        let metadata = match file.opened_as() {
            Some(metadata) => metadata,
            None => file.metadata().await?,
        };
        Ok(Self { file, metadata })
    }
}

/// Chooses among the forms in which the file can be sent.
async fn represent(entry: &Entry, options: &Options, found: Found, fetch: &Fetch) -> Outcome {
    let content_type = content_type(&found, &fetch.place.path).await;
    let varies = options.compress && media::is_text(&content_type);
    let beside = match varies && !fetch.codings.is_none() && !fetch.place.is_folder {
        true => Box::pin(precompressed(&*entry.view, &found, fetch)).await,
        false => None,
    };
    let (found, coded) = match beside {
        Some((found, coding)) => (found, Some(Coded::Stored(coding))),
        None => {
            let is_long = found.metadata.len.is_none_or(|len| len >= CODED_BYTES);
            // A range is one of the content itself.
            let can_code = varies && is_long && fetch.ranges.is_none();
            (found, fetch.codings.taken().next().filter(|_| can_code).map(Coded::Made))
        }
    };
    let mut facts = Facts::of(&found.metadata);
    facts.varies = varies;
    // A folder's own page.
    facts.is_negotiated = fetch.place.is_folder;
    facts.cache_control = Some(options.lifetimes.of(&entry.root, &fetch.place.path));
    choose(found.file, facts, content_type, coded, fetch)
}

/// What the file is: what its source says, else its name, else its first bytes, where these cost nothing.
async fn content_type(found: &Found, path: &VPath) -> HeaderValue {
    let name = name_of(path);
    if let Some(known) = media::content_type(found.metadata.content_type.as_deref(), name) {
        return known;
    }
    if found.metadata.len == Some(0) || found.file.seek_cost() != SeekCost::Free {
        return media::UNKNOWN;
    }
    let start = found.file.read_at(0, MAGIC_BYTES).await.unwrap_or_default();
    media::by_magic(&start)
}

/// A file beside this one with its content under a coding that the peer takes, not older than it. Sources that take a
/// request for each look are not asked, nor is what a mirror has not kept.
async fn precompressed(tree: &dyn FileSystem, found: &Found, fetch: &Fetch) -> Option<(Found, Coding)> {
    if found.file.seek_cost() != SeekCost::Free {
        return None;
    }
    let path = &fetch.place.path;
    let name = path.file_name().filter(|segment| segment.markers().is_empty())?.name();
    for coding in fetch.codings.taken() {
        let beside = path.parent()?.child([name, coding.suffix().as_bytes()].concat()).ok()?;
        let wishes = OpenOptions { freshness: Freshness::StoredOnly, ..OpenOptions::reading() };
        let Ok(file) = tree.open(&beside, &wishes).await else { continue };
        let Ok(coded) = Found::of(file).await else { continue };
        if coded.metadata.is_file() && coded.metadata.modified >= found.metadata.modified {
            return Some((coded, coding));
        }
    }
    None
}

fn name_of(path: &VPath) -> &[u8] {
    path.file_name().map_or(&b""[..], |segment| segment.name())
}

/// What of an open file is sent, if anything.
fn choose(
    file: Arc<dyn File>,
    mut facts: Facts,
    content_type: HeaderValue,
    coded: Option<Coded>,
    fetch: &Fetch,
) -> Outcome {
    match fetch.conditions.judge(facts.validator.as_ref(), facts.modified) {
        Verdict::Proceed => {}
        Verdict::NotModified => return Outcome::NotModified(facts.coded(coded)),
        Verdict::Failed => return Outcome::PreconditionFailed,
    }
    let now = SystemTime::now();
    let allowed = fetch.conditions.allows_range(facts.validator.as_ref(), facts.modified, now);
    let sent = match (fetch.ranges.as_ref().filter(|_| allowed), facts.len) {
        (Some(ranges), Some(len)) => match ranges.within(len) {
            Selection::Part(part) => Sent::Part(part),
            Selection::Parts(parts) => Sent::Parts(parts),
            Selection::Whole => Sent::Whole,
            Selection::Unsatisfiable => return Outcome::Unsatisfiable(len),
        },
        _ => Sent::Whole,
    };
    facts = facts.coded(coded);
    let kept_as = fetch.is_download.then(|| name_of(&fetch.place.path).to_vec());
    Outcome::Opened(Box::new(Opened { file, facts, content_type, sent, coded, kept_as }))
}

fn with_slash(fetch: &Fetch) -> String {
    let mut location = encode_path(&fetch.place.path);
    if !location.ends_with('/') {
        location.push('/');
    }
    if let Some(query) = &fetch.query {
        location.push('?');
        location.push_str(query);
    }
    location
}

impl Facts {
    /// What is rounded is not known.
    pub(super) fn of(metadata: &Metadata) -> Self {
        let exact = !metadata.provenance.approximate;
        Self {
            len: metadata.len.filter(|_| exact),
            modified: metadata.modified.filter(|_| exact),
            validator: metadata.validator.clone(),
            provisional: metadata.provenance.provisional,
            cache: metadata.provenance.cache,
            age: metadata.provenance.age,
            ..Self::default()
        }
    }

    /// What holds of the content under a coding that is made while it is sent: its length is not known, and it is as good
    /// as the same and not the same to the byte (RFC 9110 §8.8.1).
    fn coded(self, coded: Option<Coded>) -> Self {
        let Some(Coded::Made(_)) = coded else { return self };
        let validator = self.validator.map(|validator| Validator::Weak(validator.as_str().into()));
        Self { len: None, validator, ..self }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Tree(error)
    }
}
