//! Calls that open a file for an upload.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use vfs::{ByteRange, Error, ErrorKind, File, OpenOptions};

use super::parts::{Part, Publication};
use super::{Ask, Content, Failure, Opening, Outcome};
use crate::ftp::PartialUploads;
use crate::ftp::command::Store;

/// How many names STOU tries where one is taken.
const NAME_TRIES: usize = 10;

/// What STOU calls an upload that the client gives no name.
const NAMELESS: &[u8] = b"upload";

/// What an upload goes into. Dropping it without `finish` leaves what the file's write mode leaves.
pub(in crate::ftp) struct Upload {
    /// The open file.
    pub(in crate::ftp) file: Arc<dyn File>,
    /// Where the first byte goes.
    pub(in crate::ftp) offset: u64,
    /// Lines end with CRLF on the wire and with LF in the file.
    pub(in crate::ftp) converts: bool,
    /// The server has chosen the name, and tells it.
    pub(in crate::ftp) is_named_here: bool,
    /// How it gets its name when it is whole, where it has another one until then.
    pub(in crate::ftp) publication: Option<Publication>,
}

/// What a session has chosen for its uploads.
#[derive(Clone, Copy, Debug)]
pub(in crate::ftp) struct Storing {
    /// What becomes of a file that is there.
    pub(in crate::ftp) store: Store,
    /// What REST chose.
    pub(in crate::ftp) range: ByteRange,
    /// TYPE A is converted.
    pub(in crate::ftp) converts: bool,
    /// What becomes of an upload that breaks off.
    pub(in crate::ftp) partial: PartialUploads,
    /// A file that is there may be replaced or grow.
    pub(in crate::ftp) overwrites: bool,
}

impl Ask {
    /// STOR, APPE and STOU.
    pub(in crate::ftp) async fn store(mut self, storing: Storing) -> Outcome {
        let offset = storing.range.start;
        if storing.partial == PartialUploads::Hide
            && storing.overwrites
            && let Some(outcome) = self.store_hidden(storing).await
        {
            return outcome;
        }
        let opened = match (storing.store, offset) {
            _ if storing.range.end.is_some() => Err(Failure::RangeOfUpload),
            // An offset means bytes, and TYPE A sends others.
            (_, 1..) if storing.converts => Err(Failure::RestartInAscii),
            (Store::Replace, 1..) if !storing.overwrites => Err(Failure::GuestsAdd),
            (Store::Replace | Store::Append, _) if !storing.overwrites => {
                self.create().await.map_err(Failure::Tree)
            }
            (Store::Replace, 1..) => self.resume(offset).await,
            (Store::Replace, 0) => self.replace(storing.partial).await.map_err(Failure::Tree),
            (Store::Append, _) => self.append().await.map_err(Failure::Tree),
            (Store::Unique, _) => self.create_unique().await,
        };
        let file = match opened {
            Ok(file) => file,
            Err(failure) => return self.fail(failure),
        };
        let upload = Upload {
            file,
            offset: if storing.store == Store::Replace { offset } else { 0 },
            converts: storing.converts,
            is_named_here: storing.store == Store::Unique,
            publication: None,
        };
        Outcome::Opened(Opening { path: self.path, content: Content::In(upload), len: None, is_file: true })
    }

    /// STOR and APPE of a file that grows out of sight. `None` where it does not: what goes on in a file that is there goes on
    /// in that file.
    async fn store_hidden(&self, storing: Storing) -> Option<Outcome> {
        let start = storing.range.start;
        let part = match (storing.store, start) {
            _ if storing.range.end.is_some() => return None,
            (_, 1..) if storing.converts => return None,
            (Store::Replace, 0) => self.begin_part().await.map(Some),
            (Store::Replace, 1..) => self.resume_part(Some(start)).await,
            (Store::Append, _) => self.resume_part(None).await,
            (Store::Unique, _) => return None,
        };
        let Part { file, offset, publication } = match part {
            Ok(part) => part?,
            Err(failure) => return Some(self.fail(failure)),
        };
        let publication = Some(publication);
        let upload = Upload { file, offset, converts: storing.converts, is_named_here: false, publication };
        let path = self.path.clone();
        Some(Outcome::Opened(Opening { path, content: Content::In(upload), len: None, is_file: true }))
    }

    /// The old file stays until the new one is whole. Where pieces are kept, a new file grows under its own name.
    async fn replace(&self, partial: PartialUploads) -> vfs::Result<Arc<dyn File>> {
        if partial == PartialUploads::Keep {
            let options = OpenOptions { write: true, create_new: true, ..OpenOptions::default() };
            match self.view.open(&self.path, &options).await {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                opened => return opened,
            }
        }
        self.view.open(&self.path, &OpenOptions::replacing()).await
    }

    /// REST and STOR (RFC 3659 §5): what lies behind the offset goes first, so that the file is at any time the
    /// beginning of what it is to become.
    async fn resume(&self, offset: u64) -> Result<Arc<dyn File>, Failure> {
        let options = OpenOptions { write: true, ..OpenOptions::default() };
        let file = self.view.open(&self.path, &options).await.map_err(Failure::Tree)?;
        match file.metadata().await.map_err(Failure::Tree)?.len {
            Some(len) if offset > len => return Err(Failure::RestartPastEnd),
            Some(len) if offset == len => {}
            _ => file.set_len(offset).await.map_err(Failure::Tree)?,
        }
        Ok(file)
    }

    /// A new file, seen when it is whole.
    async fn create(&self) -> vfs::Result<Arc<dyn File>> {
        let options = OpenOptions { create_new: true, ..OpenOptions::replacing() };
        self.view.open(&self.path, &options).await
    }

    async fn append(&self) -> vfs::Result<Arc<dyn File>> {
        let options = OpenOptions { append: true, create: true, ..OpenOptions::default() };
        self.view.open(&self.path, &options).await
    }

    /// STOU (RFC 1123 §4.1.2.9): a name that nobody has, in the folder that the client asks for.
    async fn create_unique(&mut self) -> Result<Arc<dyn File>, Failure> {
        let (folder, stem) = match self.path.file_name() {
            Some(name) if !self.sent.is_empty() => {
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
                opened => return opened.map_err(Failure::Tree),
            }
        }
        Err(Failure::Tree(Error::new(ErrorKind::AlreadyExists, "open", &self.path)))
    }
}

/// The keys of a `RandomState` are random; hashing nothing yields a number that nobody can foretell.
fn random() -> u64 {
    RandomState::new().hash_one(())
}
