//! What commands ask of the tree: each call is a future of its own, which ends in an [`Outcome`] and says nothing
//! itself. A dropped call leaves nothing behind but what the tree had done already.

mod changing;
mod hashing;
mod packing;
mod parts;
mod rows;
mod storing;

use std::fmt;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::SystemTime;

use vfs::jobs::Disk;
use vfs::producer::{self, Algorithm, Producer};
use vfs::{
    ByteRange, Error, ErrorKind, FileSystem, FileType, Intent, Metadata, OpenOptions, StatOptions, VPath,
    Writes,
};

use self::packing::Wanted;
pub(super) use self::rows::Look;
pub(super) use self::storing::{Ending, Growth, Storing, Upload};
use super::ascii;
use super::command::{Answer, Edit, Errand, Room};
use super::facts::{Facts, Powers};
use super::list::Listing;
use crate::auth::{Asker, Credentials, Denied, Entry};
use crate::site::Site;

/// What a call came to.
pub(super) enum Outcome {
    /// The login holds, and this is what it may see.
    Admitted(Entry),
    /// The login does not hold.
    Denied(Denied),
    /// The working folder is another one.
    Moved(VPath),
    /// A file is this long.
    Measured(u64),
    /// A file changed last at this time.
    Dated(SystemTime),
    /// There is room for so many bytes.
    Roomy {
        /// How it is told.
        room: Room,
        /// How many.
        bytes: u64,
        /// Where.
        path: VPath,
    },
    /// The facts about a path, as they stand before its name.
    Described {
        /// What is described.
        path: VPath,
        /// Facts and the space after them.
        row: Vec<u8>,
    },
    /// The tree is changed.
    Edited {
        /// How.
        edit: Edit,
        /// Where.
        path: VPath,
    },
    /// A file has this hash.
    Hashed {
        /// How it is answered.
        answer: Answer,
        /// Which hash.
        algorithm: Algorithm,
        /// Of which bytes; their end is stated.
        range: ByteRange,
        /// The hash.
        digest: Vec<u8>,
        /// The file.
        path: VPath,
    },
    /// The listener is open, and this is what PASV says of it; `None` where that cannot be known.
    Awaited(Option<SocketAddrV4>),
    /// What is to be moved or copied is there.
    Chosen {
        /// Which of the two.
        errand: Errand,
        /// What.
        path: VPath,
    },
    /// It is moved or copied.
    CarriedOut,
    /// A transfer can begin.
    Opened(Opening),
    /// Rows to be told in the reply.
    Reported(Box<Listing>),
    /// It did not work.
    Failed {
        /// The path as the peer sent it.
        sent: Vec<u8>,
        /// Why.
        failure: Failure,
    },
}

/// What goes over the next data connection.
pub(super) struct Opening {
    /// What is sent or written.
    pub(super) path: VPath,
    /// Its bytes, or where they go.
    pub(super) content: Content,
    /// How many, where that is known.
    pub(super) len: Option<u64>,
    /// It is a file's content, and no listing.
    pub(super) is_file: bool,
}

/// Which way a transfer goes.
pub(super) enum Content {
    /// To the client.
    Out(Box<dyn Producer>),
    /// From the client.
    In(Upload),
}

/// Why a call did not work.
#[derive(Debug)]
pub(super) enum Failure {
    /// The tree says so.
    Tree(Error),
    /// The text is no path, for the reason given.
    Path(String),
    /// SIZE is about files.
    NotAFile,
    /// MLSD is about folders.
    NotAFolder,
    /// The tree does not know how long it is.
    LenUnknown,
    /// Only reading it all would tell how long it is with other line ends.
    LenInAscii,
    /// The tree does not know when it changed.
    TimeUnknown,
    /// The tree does not know how much room there is.
    RoomUnknown,
    /// An offset means bytes, and TYPE A sends others.
    RestartInAscii,
    /// The offset lies behind the end.
    RestartPastEnd,
    /// An offset into an archive that is made while it is sent.
    PartOfPacked,
    /// TYPE A would spoil an archive that is made while it is sent.
    LinesOfPacked,
    /// RANG was sent for an upload, whose client decides where it ends.
    RangeOfUpload,
    /// A guest wants to change a file that is there.
    GuestsAdd,
    /// Enough files are being hashed.
    TooManyHashes,
}

/// A path to ask about: where it leads, and the text that the peer sent for it.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// The tree as this session may see it.
    pub(super) view: Arc<dyn FileSystem>,
    /// The path.
    pub(super) path: VPath,
    /// As the peer wrote it.
    pub(super) sent: Vec<u8>,
    /// What is there may be replaced, changed and removed, as far as the session is asked.
    pub(super) overwrites: bool,
}

/// Logs in. A login that fails takes its time, whatever was wrong with it.
pub(super) async fn log_in(
    site: Arc<Site>,
    host: Option<String>,
    asker: Asker,
    credentials: Credentials,
) -> Outcome {
    match site.view(host.as_deref(), asker, &credentials).await {
        Ok(entry) => Outcome::Admitted(entry),
        Err(denied) => Outcome::Denied(denied),
    }
}

impl Ask {
    /// CWD: only into what is there and is a folder. As on a disk one may go where one may write and not look.
    pub(super) async fn change(self) -> Outcome {
        match look(&*self.view, &self.path, true).await {
            Ok(found) if found.is_dir() => Outcome::Moved(self.path),
            Ok(_) => self.fail(Failure::Tree(Error::new(ErrorKind::NotADirectory, "metadata", &self.path))),
            Err(error) => self.fail(Failure::Tree(error)),
        }
    }

    /// SIZE (RFC 3659 §4): the number of bytes that RETR would send. Of a file that has only begun to come, out of sight, how
    /// far it has come: clients ask that way where to go on.
    pub(super) async fn measure(self, converts: bool, growth: Growth) -> Outcome {
        let failure = match self.stat_file().await {
            Err(error) => {
                let begun = match &growth {
                    Growth::OutOfSight(stage) if self.overwrites && !converts => stage.len(&self.path).await,
                    Growth::OutOfSight(_) | Growth::InSight | Growth::Unseen => None,
                };
                match begun {
                    Some(len) => return Outcome::Measured(len),
                    None => self.why_unmeasured(error).await,
                }
            }
            Ok(found) if !found.is_file() => Failure::NotAFile,
            Ok(_) if converts => Failure::LenInAscii,
            Ok(Metadata { len: Some(len), .. }) => return Outcome::Measured(len),
            Ok(_) => Failure::LenUnknown,
        };
        self.fail(failure)
    }

    /// MDTM (RFC 3659 §3).
    pub(super) async fn date(self) -> Outcome {
        let failure = match self.stat_file().await {
            Ok(Metadata { modified: Some(time), .. }) => return Outcome::Dated(time),
            Ok(_) => Failure::TimeUnknown,
            Err(error) => Failure::Tree(error),
        };
        self.fail(failure)
    }

    /// AVBL and SITE DF: of the disk, or whatever the tree lies on; what others take meanwhile is theirs.
    pub(super) async fn measure_room(self, room: Room) -> Outcome {
        if self.view.capabilities(&self.path).writes == Writes::None {
            return self.fail(Failure::Tree(Error::new(ErrorKind::ReadOnly, "metadata", &self.path)));
        }
        let failure = match self.view.metadata(&self.path, &StatOptions::with_room()).await {
            Ok(Metadata { room: Some(bytes), .. }) => return Outcome::Roomy { room, bytes, path: self.path },
            Ok(_) => Failure::RoomUnknown,
            Err(error) => Failure::Tree(error),
        };
        self.fail(failure)
    }

    /// MLST (RFC 3659 §7).
    pub(super) async fn describe(self, facts: Facts) -> Outcome {
        match self.stat().await {
            Ok(found) => {
                let mut row = Vec::new();
                let powers = Powers::of(&*self.view, &self.path, self.overwrites);
                let rights = powers.over(Some(found.file_type), self.path.is_root());
                facts.write(&mut row, Some(found.file_type), Some(&found), None, rights);
                Outcome::Described { path: self.path, row }
            }
            Err(error) => self.fail(Failure::Tree(error)),
        }
    }

    /// RETR of `wanted`, its lines ending with CRLF where it `converts`. Spans are read through `disk` for that.
    pub(super) async fn retrieve(self, wanted: ByteRange, converts: bool, disk: Disk) -> Outcome {
        let is_whole = wanted == ByteRange::default();
        if converts && !is_whole {
            return self.fail(Failure::RestartInAscii);
        }
        let intent = if is_whole { Intent::Whole } else { Intent::Range };
        let options = OpenOptions { intent, ..OpenOptions::reading_file() };
        let opened = async {
            let file = self.view.open(&self.path, &options).await?;
            let found = file.metadata().await?;
            Ok::<_, Error>((file, found))
        };
        let (file, found) = match opened.await {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let wanted = match (is_whole, converts) {
                    (false, _) => Wanted::Part,
                    (true, true) => Wanted::Lines,
                    (true, false) => Wanted::Whole,
                };
                return self.pack(error, wanted, &disk).await;
            }
            Err(error) => return self.fail(Failure::Tree(error)),
        };
        let range = match found.len {
            Some(len) if wanted.start > len => return self.fail(Failure::RestartPastEnd),
            // A stated end: a file that shrinks meanwhile is an error, never a short success.
            Some(len) => ByteRange { end: Some(wanted.end.unwrap_or(len).min(len)), ..wanted },
            None => wanted,
        };
        let source = producer::of(file, range);
        let (source, len) = match converts {
            true => (ascii::with_network_line_ends(source, &disk), None),
            false => (source, range.len()),
        };
        Outcome::Opened(Opening { path: self.path, content: Content::Out(source), len, is_file: true })
    }

    async fn stat(&self) -> vfs::Result<Metadata> {
        self.view.metadata(&self.path, &StatOptions::default()).await
    }

    async fn stat_file(&self) -> vfs::Result<Metadata> {
        self.view.metadata(&self.path, &StatOptions::of_file()).await
    }

    fn fail(&self, failure: Failure) -> Outcome {
        Outcome::Failed { sent: self.sent.clone(), failure }
    }
}

/// What stands at a path. Who may write there and not look finds out by opening it: that it is there is no secret from them.
async fn look(tree: &dyn FileSystem, path: &VPath, follow: bool) -> vfs::Result<Metadata> {
    let denied = match tree.metadata(path, &StatOptions { follow, ..StatOptions::default() }).await {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => error,
        seen => return seen,
    };
    match tree.open(path, &OpenOptions { write: true, follow, ..OpenOptions::default() }).await {
        Ok(file) => file.metadata().await,
        Err(error) => match error.kind() {
            ErrorKind::IsADirectory => Ok(Metadata::new(FileType::Dir)),
            ErrorKind::Loop if !follow => Ok(Metadata::new(FileType::Symlink)),
            ErrorKind::NotFound => Err(error),
            _ => Err(denied),
        },
    }
}

/// The same, `None` where nothing is there.
async fn standing(tree: &dyn FileSystem, path: &VPath, follow: bool) -> vfs::Result<Option<Metadata>> {
    match look(tree, path, follow).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        seen => seen.map(Some),
    }
}

/// False where the two are known to be different files.
fn may_be_same(one: &Metadata, other: &Metadata) -> bool {
    match (&one.identity, &other.identity) {
        (Some(one), Some(other)) => one.is_same_file(other),
        _ => true,
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admitted(_) => "Admitted",
            Self::Denied(_) => "Denied",
            Self::Awaited(_) => "Awaited",
            Self::Moved(_) => "Moved",
            Self::Measured(_) => "Measured",
            Self::Dated(_) => "Dated",
            Self::Roomy { .. } => "Roomy",
            Self::Described { .. } => "Described",
            Self::Edited { .. } => "Edited",
            Self::Hashed { .. } => "Hashed",
            Self::Chosen { .. } => "Chosen",
            Self::CarriedOut => "CarriedOut",
            Self::Opened(_) => "Opened",
            Self::Reported(_) => "Reported",
            Self::Failed { .. } => "Failed",
        })
    }
}
