//! From what is wanted to what happens: calls on the tree, and their [`Outcome`].

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;
use vfs::{
    ByteRange, DirStream, Error, ErrorKind, File, FileSystem, Intent, ListOptions, Metadata, OpenOptions,
    StatOptions, VPath, Validator,
};

use super::command::{Command, Fetch, Refusal};
use super::media::content_type;
use super::wire::{Format, Selection, Verdict, encode_path};
use crate::auth::{Asker, Credentials, Denied, Entry};
use crate::site::Site;

/// What became of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A file, or a range of it.
    Opened(Box<Opened>),
    /// A folder's entries.
    Listed(VPath, DirStream, Format),
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
    /// Entry was refused; where a name and a password could help, they are asked for.
    Denied(Denied, Challenge),
    /// The tree refused.
    Failed(Error),
}

/// A file that is to be sent.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<dyn File>,
    pub(super) facts: Facts,
    pub(super) content_type: HeaderValue,
    pub(super) sent: Sent,
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
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) len: Option<u64>,
    pub(super) modified: Option<SystemTime>,
    pub(super) validator: Option<Validator>,
    /// It may still change: nothing of it is to be kept.
    pub(super) provisional: bool,
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
pub(super) async fn carry_out(site: &Site, who: &Who, command: Command) -> (Outcome, Option<Entry>) {
    let fetch = match command {
        Command::Fetch(fetch) => fetch,
        Command::Options => return (Outcome::Options, None),
        Command::NotAllowed => return (Outcome::NotAllowed, None),
        Command::Refused(refusal) => return (Outcome::Refused(refusal), None),
    };
    match who.enter(site, fetch.host.as_deref()).await {
        Ok(entry) => {
            let outcome = retrieve(&*entry.view, *fetch).await.unwrap_or_else(Outcome::Failed);
            (who.asked(site, outcome), Some(entry))
        }
        Err(outcome) => (outcome, None),
    }
}

/// Opens first and describes the open file: one request to a remote source, and nothing changes in between.
async fn retrieve(tree: &dyn FileSystem, fetch: Fetch) -> vfs::Result<Outcome> {
    if fetch.is_folder {
        let options = ListOptions { metadata: true, ..ListOptions::default() };
        let entries = tree.read_dir(&fetch.path, &options).await?;
        return Ok(Outcome::Listed(fetch.path, entries, fetch.format));
    }
    let intent = match (fetch.head_only, &fetch.ranges) {
        (true, _) => Intent::Header,
        (false, Some(_)) => Intent::Range,
        (false, None) => Intent::Whole,
    };
    match tree.open(&fetch.path, &OpenOptions { intent, ..OpenOptions::reading() }).await {
        Ok(file) => {
            let metadata = match file.opened_as() {
                Some(metadata) => metadata,
                None => file.metadata().await?,
            };
            Ok(choose(file, &metadata, &fetch))
        }
        Err(error) if error.kind() == ErrorKind::IsADirectory => Ok(Outcome::Redirect(with_slash(&fetch))),
        // A folder that may be listed and holds nothing that may be read.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            match tree.metadata(&fetch.path, &StatOptions::default()).await {
                Ok(found) if found.is_dir() => Ok(Outcome::Redirect(with_slash(&fetch))),
                _ => Err(error),
            }
        }
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
    let sent = match (fetch.ranges.as_ref().filter(|_| allowed), facts.len) {
        (Some(ranges), Some(len)) => match ranges.within(len) {
            Selection::Part(part) => Sent::Part(part),
            Selection::Parts(parts) => Sent::Parts(parts),
            Selection::Whole => Sent::Whole,
            Selection::Unsatisfiable => return Outcome::Unsatisfiable(len),
        },
        _ => Sent::Whole,
    };
    let name = fetch.path.file_name().map_or(&b""[..], |segment| segment.name());
    let content_type = content_type(metadata.content_type.as_deref(), name);
    Outcome::Opened(Box::new(Opened { file, facts, content_type, sent }))
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
