//! From what is wanted to what happens: calls on the tree, and their [`Outcome`].

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;
use vfs::{
    ByteRange, DirStream, Error, ErrorKind, File, FileSystem, Intent, ListOptions, Metadata, OpenOptions,
    VPath, Validator,
};

use super::command::{Command, Fetch, Refusal};
use super::media::content_type;
use super::wire::{Part, Verdict, encode_path};
use crate::auth::{Credentials, Denied};
use crate::site::Site;

/// What became of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A file, or a range of it.
    Opened(Box<Opened>),
    /// A folder's entries.
    Listed(VPath, DirStream),
    /// A folder without its `/`: where it is, as the absolute path of a URL.
    Redirect(String),
    /// The peer has it.
    NotModified(Facts),
    /// The conditions do not hold.
    PreconditionFailed,
    /// No byte of the range is in the file, which is this long.
    Unsatisfiable(u64),
    /// What can be done was asked for.
    Options,
    /// What was asked for is not done here.
    NotAllowed,
    /// The request makes no sense.
    Refused(Refusal),
    /// Entry was refused.
    Denied,
    /// The tree refused.
    Failed(Error),
}

/// A file that is to be sent.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<dyn File>,
    pub(super) facts: Facts,
    pub(super) content_type: HeaderValue,
    /// The part that is to be sent; `None`: the whole.
    pub(super) part: Option<ByteRange>,
}

/// What is known of a file for certain.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) len: Option<u64>,
    pub(super) modified: Option<SystemTime>,
    pub(super) validator: Option<Validator>,
    /// It may still change: nothing of it is to be kept.
    pub(super) provisional: bool,
}

/// Carries out a command.
pub(super) async fn carry_out(site: &Site, command: Command) -> Outcome {
    let fetch = match command {
        Command::Fetch(fetch) => fetch,
        Command::Options => return Outcome::Options,
        Command::NotAllowed => return Outcome::NotAllowed,
        Command::Refused(refusal) => return Outcome::Refused(refusal),
    };
    match site.view(fetch.host.as_deref(), &Credentials::Anonymous).await {
        Ok(tree) => retrieve(&*tree, *fetch).await.unwrap_or_else(Outcome::Failed),
        Err(Denied) => Outcome::Denied,
    }
}

/// Opens first and describes the open file: one request to a remote source, and nothing changes in between.
async fn retrieve(tree: &dyn FileSystem, fetch: Fetch) -> vfs::Result<Outcome> {
    let intent = match (fetch.head_only, fetch.range) {
        (true, _) => Intent::Header,
        (false, Some(_)) => Intent::Range,
        (false, None) => Intent::Whole,
    };
    match tree.open(&fetch.path, &OpenOptions { intent, ..OpenOptions::reading() }).await {
        Ok(_) if fetch.is_folder => Err(Error::new(ErrorKind::NotADirectory, "read_dir", &fetch.path)),
        Ok(file) => {
            let metadata = file.metadata().await?;
            Ok(choose(file, &metadata, &fetch))
        }
        Err(error) if error.kind() == ErrorKind::IsADirectory && fetch.is_folder => {
            let options = ListOptions { metadata: true, ..ListOptions::default() };
            let entries = tree.read_dir(&fetch.path, &options).await?;
            Ok(Outcome::Listed(fetch.path, entries))
        }
        Err(error) if error.kind() == ErrorKind::IsADirectory => Ok(Outcome::Redirect(with_slash(&fetch))),
        Err(error) => Err(error),
    }
}

/// What of an open file is sent, if anything.
fn choose(file: Arc<dyn File>, metadata: &Metadata, fetch: &Fetch) -> Outcome {
    let facts = Facts::of(metadata);
    match fetch.conditions.judge(facts.validator.as_ref(), facts.modified) {
        Verdict::Proceed => {}
        Verdict::NotModified => return Outcome::NotModified(facts),
        Verdict::Failed => return Outcome::PreconditionFailed,
    }
    let now = SystemTime::now();
    let allowed = fetch.conditions.allows_range(facts.validator.as_ref(), facts.modified, now);
    let part = match (fetch.range.filter(|_| allowed), facts.len) {
        (Some(range), Some(len)) => match range.within(len) {
            Part::Some(part) => Some(part),
            Part::Whole => None,
            Part::Unsatisfiable => return Outcome::Unsatisfiable(len),
        },
        _ => None,
    };
    let name = fetch.path.file_name().map_or(&b""[..], |segment| segment.name());
    let content_type = content_type(metadata.content_type.as_deref(), name);
    Outcome::Opened(Box::new(Opened { file, facts, content_type, part }))
}

fn with_slash(fetch: &Fetch) -> String {
    let mut location = encode_path(&fetch.path);
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
    fn of(metadata: &Metadata) -> Self {
        let exact = !metadata.provenance.approximate;
        Self {
            len: metadata.len.filter(|_| exact),
            modified: metadata.modified.filter(|_| exact),
            validator: metadata.validator.clone(),
            provisional: metadata.provenance.provisional,
        }
    }
}
