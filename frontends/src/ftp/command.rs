//! Typed commands (RFC 959 §5.3, RFC 2428, 3659, 7151): what there is to ask for. [`line`] makes them out of lines, with
//! [`argument`] and the rooms of what takes more than a word. Pure; paths stay bytes until a session resolves them.

mod argument;
mod edit;
mod endpoint;
mod hash;
mod line;
mod site;
mod switches;

use std::net::SocketAddr;

use vfs::ByteRange;
use vfs::producer::Algorithm;

pub(super) use self::edit::{Edit, Form, dated};
pub(super) use self::hash::{Answer, Hashing};
pub(super) use self::line::{VERBS, interpret};
pub(super) use self::switches::Switches;
use super::facts::Facts;

/// What a peer wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// ABOR: stop the transfer.
    Abort,
    /// PORT, EPRT: connect to the client.
    Active(SocketAddr),
    /// AUTH TLS: the control connection goes on inside TLS.
    Authenticate,
    /// PBSZ: how large protected pieces are.
    BufferSize,
    /// ALLO, and what else needs nothing done.
    Superfluous,
    /// CDUP: the folder above.
    Up,
    /// CLNT: the client names itself.
    Client,
    /// CSID: the client names itself and wants our name.
    Identify,
    /// CWD: another working folder.
    Change(Vec<u8>),
    /// EPSV: listen, and say the port.
    ExtendedPassive(Extended),
    /// HASH, XCRC and their kin: the hash of a file.
    Hash(Hashing, Vec<u8>),
    /// OPTS HASH: which hash; without one the answer tells.
    ChooseHash(Option<Algorithm>),
    /// FEAT: what goes beyond RFC 959.
    Features,
    /// HELP, with the command it is about.
    Help(Option<Vec<u8>>),
    /// LANG: the language of replies, which is English.
    Language,
    /// HOST: which of several sites (RFC 7151).
    Host(String),
    /// LIST, NLST, MLSD: a folder's rows over a data connection.
    List(Format, Switches, Option<Vec<u8>>),
    /// MDTM: the time of the last change.
    Modified(Vec<u8>),
    /// MLST: one row of facts in the reply.
    Facts(Option<Vec<u8>>),
    /// MODE S, STRU F, PRET: what is so anyway.
    Confirm,
    /// NOOP: nothing.
    Nothing,
    /// OPTS MLST: which facts to show.
    ChooseFacts(Facts),
    /// OPTS UTF8 ON: names are UTF-8 anyway.
    Utf8,
    /// PASS: the password.
    Password(Vec<u8>),
    /// PASV: listen, and say address and port.
    Passive,
    /// PROT: whether data connections are inside TLS.
    Protect(Protection),
    /// PWD: the working folder.
    Where,
    /// QUIT: the end.
    Quit,
    /// REIN: forget who is there.
    Reinitialize,
    /// REST, RANG: which bytes the next transfer moves.
    Restart(ByteRange),
    /// RETR: a file.
    Retrieve(Vec<u8>),
    /// SIZE: how long a file is.
    Size(Vec<u8>),
    /// STAT, with a path to list in the reply.
    Status(Option<Vec<u8>>),
    /// SYST: the system.
    System,
    /// TYPE: how files are sent.
    Type(Representation),
    /// USER: who is there.
    User(Vec<u8>),
    /// STOR, APPE, STOU: a file from the client.
    Store(Store, Vec<u8>),
    /// A change of the tree at a path.
    Edit(Edit, Vec<u8>),
    /// RNFR, SITE CPFR: what is to be moved or copied.
    From(Errand, Vec<u8>),
    /// RNTO, SITE CPTO: where to.
    To(Errand, Vec<u8>),
    /// SITE IDLE: how many seconds this session may do nothing; without a number the answer tells.
    IdleLimit(Option<u64>),
    /// SITE HELP: the commands of SITE.
    SiteHelp,
    /// AVBL, SITE DF: how many bytes there is room for.
    Room(Room, Vec<u8>),
}

/// What becomes of the file that an upload names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// STOR: it is replaced, or goes on at the offset of REST.
    Replace,
    /// APPE: it grows.
    Append,
    /// STOU: it stays, and the upload gets a name of its own.
    Unique,
}

/// What two commands in a row do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// RNFR and RNTO: it gets another name.
    Rename,
    /// SITE CPFR and CPTO: it gets a second copy.
    Copy,
}

/// How the room for more is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// AVBL: the number and nothing else (draft-peterson-streamlined-ftp-command-extensions-10 §4).
    Number,
    /// SITE DF: a sentence.
    Sentence,
}

/// The levels of PROT (RFC 2228 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    /// C: none.
    Clear,
    /// P: inside TLS.
    Private,
    /// S and E, which TLS does not have.
    Other,
}

/// How files are sent (RFC 959 §3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Representation {
    /// Lines end with CRLF.
    Ascii,
    /// Bytes as they are.
    Image,
}

/// What the rows of a listing look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// LIST: as `ls -l` prints them.
    Long,
    /// NLST: names, fit to be sent back.
    Names,
    /// MLSD: facts (RFC 3659 §7).
    Facts,
}

/// The argument of EPSV (RFC 2428 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extended {
    /// Over the control connection's protocol.
    Any,
    /// From now on EPSV alone.
    All,
    /// Over the protocol with this number: 1 is IPv4, 2 is IPv6.
    Protocol(u32),
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody knows the verb.
    Unknown,
    /// The line had no end in sight.
    TooLong,
    /// The first word of another protocol's request.
    Foreign,
    /// FTP knows the verb, this server does not.
    NotImplemented,
    /// The argument is wrong: how it should be.
    Syntax(&'static str),
    /// The argument is right and not done here.
    Parameter,
    /// A network protocol that nobody speaks here.
    Protocol,
}

type Result<T, E = Refusal> = std::result::Result<T, E>;
