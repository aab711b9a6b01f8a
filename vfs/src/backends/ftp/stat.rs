//! What stands at a path: by MLST, else by SIZE and MDTM, else by the row of the folder above.

use bytes::Bytes;

use super::error::Fault;
use super::folder::Rows;
use super::listing::{Facts, Machine, machine, stamped};
use super::reply::Reply;
use super::wire::Wire;
use crate::metadata::{FileType, Identity, Metadata, Validator};

/// Describes the path `path` on the site; `follow` as everywhere.
pub(super) async fn stat(wire: &mut Wire, path: &[u8], follow: bool) -> Result<Facts, Fault> {
    if wire.lore().has_mlst() {
        let reply = wire.ask_of("MLST", path).await?;
        match (reply.code, facts_of(&reply)) {
            (250, Some(facts)) if follow && (facts.file_type == FileType::Symlink || facts.may_be_link) => {
                return stat_by_size(wire, path).await;
            }
            (250, Some(facts)) => return Ok(facts),
            // It did what was asked and tells nothing.
            (250, None) => {}
            (500 | 502 | 504, _) => wire.lore().no_mlst.set(),
            (501, _) => {}
            _ => return Err(Fault::Refused(reply)),
        }
    }
    if follow || path.is_empty() { stat_by_size(wire, path).await } else { stat_by_row(wire, path).await }
}

/// The facts of a 250 stand in a line that begins with one space (RFC 3659 §7.2); some sites leave the space out.
fn facts_of(reply: &Reply) -> Option<Facts> {
    reply.lines().skip(1).find_map(|line| match machine(line.strip_prefix(b" ").unwrap_or(line))? {
        Machine::Entry(row) => Some(row.facts),
        Machine::Here(_) | Machine::Above => Some(Facts::new(FileType::Dir)),
    })
}

/// The site follows links here.
async fn stat_by_size(wire: &mut Wire, path: &[u8]) -> Result<Facts, Fault> {
    let mut refusal = None;
    if !wire.lore().no_size.is_set() {
        let reply = wire.ask_of("SIZE", path).await?;
        match reply.code {
            213 => {
                let len = number_of(&reply);
                let modified = modified(wire, path).await?;
                // Some have a size for folders too.
                if len.is_some() && (modified.is_some() || !is_folder(wire, path).await?) {
                    return Ok(Facts { len, modified, ..Facts::new(FileType::File) });
                }
            }
            500 | 502 | 504 => wire.lore().no_size.set(),
            _ => refusal = Some(reply),
        }
    }
    if is_folder(wire, path).await? {
        return Ok(Facts::new(FileType::Dir));
    }
    match refusal {
        Some(reply) => Err(Fault::Refused(reply)),
        None => stat_by_row(wire, path).await,
    }
}

async fn is_folder(wire: &mut Wire, path: &[u8]) -> Result<bool, Fault> {
    Ok(matches!(wire.ask_of("CWD", path).await?.code, 200 | 250))
}

async fn modified(wire: &mut Wire, path: &[u8]) -> Result<Option<std::time::SystemTime>, Fault> {
    if wire.lore().no_mdtm.is_set() {
        return Ok(None);
    }
    let reply = wire.ask_of("MDTM", path).await?;
    if matches!(reply.code, 500 | 502 | 504) {
        wire.lore().no_mdtm.set();
    }
    Ok(Some(reply).filter(|reply| reply.code == 213).and_then(|reply| stamped(reply.words().trim_ascii())))
}

fn number_of(reply: &Reply) -> Option<u64> {
    std::str::from_utf8(reply.words().trim_ascii()).ok()?.parse().ok()
}

/// Where the link at `path` leads, which only LIST tells.
pub(super) async fn target(wire: &mut Wire, path: &[u8]) -> Result<Option<Bytes>, Fault> {
    let (folder, name) = split(path);
    let rows = Rows::start_long(wire, folder).await?;
    Ok(find(wire, rows, name).await?.target)
}

/// Looks for the entry in the folder that holds it.
async fn stat_by_row(wire: &mut Wire, path: &[u8]) -> Result<Facts, Fault> {
    let (folder, name) = split(path);
    let rows = Rows::start(wire, folder).await?;
    let mut facts = find(wire, rows, name).await?;
    if facts.file_type == FileType::File
        && facts.approximate
        && let Some(exact) = modified(wire, path).await?
    {
        facts.modified = Some(exact);
        facts.approximate = false;
    }
    Ok(facts)
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

async fn find(wire: &mut Wire, mut rows: Rows, name: &[u8]) -> Result<Facts, Fault> {
    while let Some(batch) = rows.next(wire).await? {
        if let Some(row) = batch.into_iter().find(|row| row.name == name) {
            rows.leave(wire).await;
            return Ok(row.facts);
        }
    }
    Err(Fault::Refused(Reply::of(b"550 the folder does not list it")))
}

impl Facts {
    /// The description of what `url` names. Where lengths and exact times are known a validator is, too: a weak one, for
    /// a file may change twice in a second.
    pub(super) fn metadata(&self, url: &str, changes: u64) -> Metadata {
        let validator = self.validator(changes);
        let identity = validator.clone().map(|validator| Identity::Source {
            name: Bytes::copy_from_slice(url.as_bytes()),
            validator: Some(validator),
        });
        let mut metadata = Metadata::new(self.file_type);
        metadata.len = self.len.filter(|_| !self.may_be_link);
        metadata.modified = self.modified;
        metadata.mode = self.mode.filter(|_| !self.may_be_link);
        metadata.owner = self.owner;
        metadata.provenance.approximate = self.approximate;
        metadata.validator = validator;
        metadata.identity = identity;
        metadata
    }

    /// `changes` tells apart what this mount has written itself, a second's grain notwithstanding.
    pub(super) fn validator(&self, changes: u64) -> Option<Validator> {
        let is_exact = self.file_type == FileType::File && !self.approximate && !self.may_be_link;
        let modified = self.modified.filter(|_| is_exact)?;
        let since = modified.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        let unique = self.unique.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let text = format!("{:x}-{:x}-{unique}-{changes:x}", self.len?, since.as_nanos());
        Some(Validator::Weak(text.into()))
    }

    /// True where both may be one version of a file.
    pub(super) fn is_same_version(&self, other: &Self) -> bool {
        let differs =
            |ours: Option<std::time::SystemTime>, theirs| ours.zip(theirs).is_some_and(|(a, b)| a != b);
        self.file_type == other.file_type
            && self.len == other.len
            && (self.approximate || other.approximate || !differs(self.modified, other.modified))
            && self.unique.as_ref().zip(other.unique.as_ref()).is_none_or(|(ours, theirs)| ours == theirs)
    }
}
