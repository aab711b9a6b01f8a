//! Calls that open a file for an upload.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use vfs::layers::WholeFiles;
use vfs::{ByteRange, Error, ErrorKind, File, FileSystem, OpenOptions, VPath};

use super::parts::{Backstage, Publication};
use super::{Ask, Content, Failure, Opening, Outcome, may_be_same, standing};
use crate::ftp::PartialUploads;
use crate::ftp::command::Store;

/// How many names STOU tries where one is taken.
const NAME_TRIES: usize = 10;

/// What STOU calls an upload that the client gives no name.
const NAMELESS: &[u8] = b"upload";

/// What an upload goes into.
pub(in crate::ftp) struct Upload {
    /// The open file.
    pub(in crate::ftp) file: Arc<dyn File>,
    /// Where the first byte goes.
    pub(in crate::ftp) offset: u64,
    /// What lies behind this goes when the first byte is here, or the end: a client that never comes changes nothing.
    pub(in crate::ftp) cut: Option<u64>,
    /// Lines end with CRLF on the wire and with LF in the file.
    pub(in crate::ftp) converts: bool,
    /// The server has chosen the name, and tells it.
    pub(in crate::ftp) is_named_here: bool,
    /// What makes it whole.
    pub(in crate::ftp) ending: Ending,
}

/// What makes an upload whole, once its file is finished, and what is left of one that breaks off.
#[derive(Debug)]
pub(in crate::ftp) enum Ending {
    /// Nothing more: its file gets its name by being finished, and vanishes where it is not
    /// ([`WriteMode::Atomic`](vfs::WriteMode::Atomic)).
    Atomic,
    /// It has grown under its name, and has to have it still.
    InSight(Name),
    /// It has grown out of sight, and gets its name.
    OutOfSight(Publication),
}

/// A name in a tree.
#[derive(Debug)]
pub(in crate::ftp) struct Name {
    view: Arc<dyn FileSystem>,
    path: VPath,
}

/// An open file, and how an upload goes on in it.
pub(super) struct Target {
    pub(super) file: Arc<dyn File>,
    pub(super) offset: u64,
    pub(super) cut: Option<u64>,
    pub(super) ending: Ending,
}

/// What a session has chosen for its uploads.
#[derive(Clone, Debug)]
pub(in crate::ftp) struct Storing {
    /// What becomes of a file that is there.
    pub(in crate::ftp) store: Store,
    /// What REST chose.
    pub(in crate::ftp) range: ByteRange,
    /// TYPE A is converted.
    pub(in crate::ftp) converts: bool,
    /// Where a new file grows.
    pub(in crate::ftp) growth: Growth,
}

/// Where a new file grows until it is whole, and so what becomes of it when it breaks off.
#[derive(Clone, Debug)]
pub(in crate::ftp) enum Growth {
    /// Nowhere that anybody could ask for: it vanishes.
    Unseen,
    /// Under its own name.
    InSight,
    /// Out of sight, where who writes it can go on.
    OutOfSight(Backstage),
}

impl Growth {
    /// How `partial` has it for who sees `tree` as it is.
    pub(in crate::ftp) fn new(partial: PartialUploads, tree: &Arc<dyn FileSystem>) -> Self {
        match partial {
            PartialUploads::Delete => Self::Unseen,
            PartialUploads::Keep => Self::InSight,
            PartialUploads::Hide => Self::OutOfSight(Backstage::new(Arc::clone(tree))),
        }
    }

    /// What those see who write: the tree without what grows out of sight.
    pub(in crate::ftp) fn view(&self, tree: &Arc<dyn FileSystem>) -> Arc<dyn FileSystem> {
        match self {
            Self::Unseen | Self::InSight => Arc::clone(tree),
            Self::OutOfSight(_) => Arc::new(WholeFiles::new(Arc::clone(tree))),
        }
    }
}

impl Ending {
    /// True where what came stays when no more does.
    pub(in crate::ftp) fn keeps_what_came(&self) -> bool {
        !matches!(self, Self::Atomic)
    }

    /// Does what is left to be done with `file`, which is finished.
    ///
    /// # Errors
    /// `Changed` where another file has its name by now: nobody will find this one.
    pub(in crate::ftp) async fn conclude(self, file: &dyn File) -> vfs::Result<()> {
        match self {
            Self::Atomic => Ok(()),
            Self::InSight(name) => name.expect(file).await,
            Self::OutOfSight(publication) => publication.publish().await,
        }
    }
}

impl Name {
    async fn expect(self, file: &dyn File) -> vfs::Result<()> {
        let (ours, named) = (file.metadata().await?, standing(&*self.view, &self.path, true).await?);
        match named.is_some_and(|named| may_be_same(&ours, &named)) {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Changed, "finish", &self.path)),
        }
    }
}

impl Target {
    fn atomic(file: Arc<dyn File>) -> Self {
        Self { file, offset: 0, cut: None, ending: Ending::Atomic }
    }
}

impl Ask {
    /// STOR, APPE and STOU.
    pub(in crate::ftp) async fn store(mut self, storing: Storing) -> Outcome {
        let (converts, is_named_here) = (storing.converts, storing.store == Store::Unique);
        let Target { file, offset, cut, ending } = match self.target(storing).await {
            Ok(target) => target,
            Err(failure) => return self.fail(failure),
        };
        let upload = Upload { file, offset, cut, converts, is_named_here, ending };
        Outcome::Opened(Opening { path: self.path, content: Content::In(upload), len: None, is_file: true })
    }

    async fn target(&mut self, storing: Storing) -> Result<Target, Failure> {
        let Storing { store, range, converts, growth } = storing;
        match (store, range.start) {
            _ if range.end.is_some() => Err(Failure::RangeOfUpload),
            // An offset means bytes, and TYPE A sends others.
            (_, 1..) if converts => Err(Failure::RestartInAscii),
            (Store::Unique, _) => self.create_unique().await,
            (Store::Replace, 1..) if !self.overwrites => Err(Failure::GuestsAdd),
            (Store::Replace | Store::Append, _) if !self.overwrites => self.create().await,
            (Store::Replace, 0) => self.replace(&growth).await,
            (Store::Replace, offset) => match self.hidden_part(&growth, Some(offset)).await? {
                Some(target) => Ok(target),
                None => self.resume(offset).await,
            },
            (Store::Append, _) => match self.hidden_part(&growth, None).await? {
                Some(target) => Ok(target),
                None => self.append().await,
            },
        }
    }

    /// The old file stays until the new one is whole, and gives it its owner and mode. Where there is none, the new one grows
    /// where `growth` says.
    async fn replace(&self, growth: &Growth) -> Result<Target, Failure> {
        match growth {
            Growth::OutOfSight(stage) if self.is_free().await? => {
                if let Some(target) = self.begin_part(stage).await? {
                    return Ok(target);
                }
            }
            Growth::InSight => {
                let options = OpenOptions { write: true, create_new: true, ..OpenOptions::default() };
                match self.view.open(&self.path, &options).await {
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    opened => return Ok(self.in_sight(opened.map_err(Failure::Tree)?, 0, None)),
                }
            }
            Growth::Unseen | Growth::OutOfSight(_) => {}
        }
        let opened = self.view.open(&self.path, &OpenOptions::replacing()).await;
        opened.map(Target::atomic).map_err(Failure::Tree)
    }

    /// What goes on in a file that is there goes on in that file, else in what grows out of sight, where there is that.
    async fn hidden_part(&self, growth: &Growth, offset: Option<u64>) -> Result<Option<Target>, Failure> {
        match growth {
            Growth::OutOfSight(stage) if self.is_free().await? => self.resume_part(stage, offset).await,
            _ => Ok(None),
        }
    }

    /// REST and STOR (RFC 3659 §5): what lies behind the offset goes first, so that the file is at any time the
    /// beginning of what it is to become.
    async fn resume(&self, offset: u64) -> Result<Target, Failure> {
        let options = OpenOptions { write: true, ..OpenOptions::default() };
        let file = self.view.open(&self.path, &options).await.map_err(Failure::Tree)?;
        let cut = match file.metadata().await.map_err(Failure::Tree)?.len {
            Some(len) if offset > len => return Err(Failure::RestartPastEnd),
            Some(len) if offset == len => None,
            _ => Some(offset),
        };
        Ok(self.in_sight(file, offset, cut))
    }

    /// A new file, seen when it is whole.
    async fn create(&self) -> Result<Target, Failure> {
        let options = OpenOptions { create_new: true, ..OpenOptions::replacing() };
        self.view.open(&self.path, &options).await.map(Target::atomic).map_err(Failure::Tree)
    }

    async fn append(&self) -> Result<Target, Failure> {
        let options = OpenOptions { append: true, create: true, ..OpenOptions::default() };
        let file = self.view.open(&self.path, &options).await.map_err(Failure::Tree)?;
        Ok(self.in_sight(file, 0, None))
    }

    /// STOU (RFC 1123 §4.1.2.9): a name that nobody has, in the folder that the client asks for. Where it asks for a folder
    /// and no name, the name is chosen here as a whole.
    async fn create_unique(&mut self) -> Result<Target, Failure> {
        let (folder, stem) = match self.path.file_name() {
            Some(name) if !self.asks_for_folder().await? => {
                (self.path.parent().unwrap_or_default(), name.name().clone())
            }
            _ => (self.path.clone(), NAMELESS.into()),
        };
        let options = OpenOptions { create_new: true, ..OpenOptions::replacing() };
        for _ in 0..NAME_TRIES {
            let name = [&stem[..], format!(".{:016x}", random()).as_bytes()].concat();
            self.path = folder.child(name).map_err(|error| Failure::Tree(error.into()))?;
            match self.view.open(&self.path, &options).await {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                opened => return opened.map(Target::atomic).map_err(Failure::Tree),
            }
        }
        Err(Failure::Tree(Error::new(ErrorKind::AlreadyExists, "open", &self.path)))
    }

    /// True where the text means a folder, as it stands or because there is one.
    async fn asks_for_folder(&self) -> Result<bool, Failure> {
        if self.sent.is_empty() || self.sent.ends_with(b"/") {
            return Ok(true);
        }
        let found = standing(&*self.view, &self.path, true).await.map_err(Failure::Tree)?;
        Ok(found.is_some_and(|found| found.is_dir()))
    }

    /// True where nothing has the name, not even a link that leads nowhere.
    async fn is_free(&self) -> Result<bool, Failure> {
        let found = standing(&*self.view, &self.path, false).await.map_err(Failure::Tree)?;
        Ok(found.is_none())
    }

    fn in_sight(&self, file: Arc<dyn File>, offset: u64, cut: Option<u64>) -> Target {
        let name = Name { view: Arc::clone(&self.view), path: self.path.clone() };
        Target { file, offset, cut, ending: Ending::InSight(name) }
    }
}

/// The keys of a `RandomState` are random; hashing nothing yields a number that nobody can foretell.
fn random() -> u64 {
    RandomState::new().hash_one(())
}
