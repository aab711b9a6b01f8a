//! [`Scanner`]: from bytes to entries, block by block.

use std::borrow::Cow;
use std::mem;

use super::Flaw;
use super::header::{BLOCK_BYTES, Block, Header, is_header, text};
use super::pax::{Records, Scope};
use super::shape::shape_of;
use super::sparse::{self, MAX_MAP_BYTES, Map};
use crate::backends::archive::codec::Damage;
use crate::backends::archive::entry::{Entry, Kind};

/// Longest body of a header that extends the next one. A longer name hides its entry; longer records, which may change
/// where the next header is, end the archive.
const MAX_EXTENSION_BYTES: u64 = 1 << 20;

/// Reads a tar as it comes. It takes all it is given; bytes that it says to be [skippable](Scanner::skippable) need not be
/// read at all.
///
/// The archive ends at two blocks of zeros, unless they are [ignored](Scanner::ignoring_zeros). One alone ends it too, and
/// so does the end of the input between two entries: all of which is told as a [remark](Scanner::remark), like bytes behind
/// the end. After a flaw nothing is looked at, unless it [resyncs](Scanner::resyncing): then the next block that is a
/// header goes on with the archive, and the first flaw is a remark.
#[derive(Debug, Default)]
pub(in super::super) struct Scanner {
    /// Offset of the next block, or of the next byte of a body.
    position: u64,
    /// Offset of the first header of the entry under way.
    fresh: u64,
    phase: Phase,
    /// A block that has begun.
    partial: Vec<u8>,
    next: Extensions,
    global: Records,
    /// Headers of entries so far, those of hidden ones included.
    headers: u64,
    found: Vec<Entry>,
    flaw: Option<Flaw>,
    remark: Option<Cow<'static, str>>,
    ignores_zeros: bool,
    resyncs: bool,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Header,
    /// After one block of zeros.
    Zeros,
    /// The body of a header that extends the next one; so much is missing.
    Extension { kind: u8, body: Vec<u8>, left: u64 },
    /// More of an old map.
    OldMap { entry: Box<Entry>, stored: u64, numbers: Vec<u64> },
    /// A map at the head of the stored bytes.
    BodyMap { entry: Box<Entry>, stored: u64, map: Vec<u8> },
    /// Stored bytes: so many, of which the last are padding.
    Body { left: u64, padding: u64 },
    /// Behind a flaw that is passed over: a header is looked for.
    Lost,
    /// Behind the end.
    Tail,
}

/// A place between two entries, where another scanner can go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Boundary {
    /// Offset of the next header. It may lie ahead, behind a body.
    pub(in super::super) at: u64,
    /// What global headers said.
    pub(in super::super) user: Option<u32>,
    pub(in super::super) group: Option<u32>,
    pub(in super::super) modified: Option<(i64, u32)>,
}

/// What the headers before an entry say of it.
#[derive(Debug, Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Option<Records>,
    /// One of them was too long to be read.
    is_hidden: bool,
}

impl Scanner {
    /// A scanner that goes on where another one was.
    pub(in super::super) fn resume(boundary: Boundary) -> Self {
        let Boundary { at, user, group, modified } = boundary;
        let global = Records { user, group, modified, ..Records::default() };
        Self { position: at, fresh: at, global, ..Self::default() }
    }

    /// The same, which passes over blocks of zeros: what follows them is another archive.
    pub(in super::super) fn ignoring_zeros(self, ignores_zeros: bool) -> Self {
        Self { ignores_zeros, ..self }
    }

    /// The same, which passes over what is damaged. A header that stands in what was a file's content is taken for one.
    pub(in super::super) fn resyncing(self, resyncs: bool) -> Self {
        Self { resyncs, ..self }
    }

    /// Behind the last entry that was found.
    pub(in super::super) fn boundary(&self) -> Boundary {
        let Records { user, group, modified, .. } = self.global;
        let at = match self.phase {
            Phase::Body { left, .. } if self.next.is_empty() => self.position + left,
            Phase::Header if self.next.is_empty() && self.flaw.is_none() => self.position,
            _ => self.fresh,
        };
        Boundary { at, user, group, modified }
    }

    /// Takes the next bytes of the stream, all of them.
    pub(in super::super) fn feed(&mut self, input: &[u8]) {
        let mut rest = input;
        while !rest.is_empty() && self.flaw.is_none() {
            match &mut self.phase {
                Phase::Body { left, .. } => {
                    let len = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    rest = &rest[len..];
                    self.skip(len as u64);
                }
                Phase::Tail => {
                    if rest.iter().any(|byte| *byte != 0) {
                        self.remark
                            .get_or_insert("there are bytes behind its end, which are not looked at".into());
                    }
                    self.position += rest.len() as u64;
                    return;
                }
                _ => rest = self.take_block(rest),
            }
        }
    }

    /// How many of the next bytes need not be given.
    pub(in super::super) fn skippable(&self) -> u64 {
        match self.phase {
            Phase::Body { left, .. } if self.flaw.is_none() => left,
            _ => 0,
        }
    }

    /// Passes over `len` bytes, at most the skippable ones.
    pub(in super::super) fn skip(&mut self, len: u64) {
        let Phase::Body { left, .. } = &mut self.phase else { return };
        let len = len.min(*left);
        *left -= len;
        self.position += len;
        if *left == 0 {
            self.phase = Phase::Header;
        }
    }

    /// Says that no bytes follow: an archive that goes on is cut short.
    pub(in super::super) fn finish(&mut self) {
        let cut = match &self.phase {
            Phase::Header if self.partial.is_empty() && self.next.is_empty() => {
                if !self.ignores_zeros {
                    self.remark
                        .get_or_insert("it ends without the two blocks of zeros that end a tar".into());
                }
                None
            }
            Phase::Header => Some("within a header"),
            Phase::Zeros | Phase::Lost | Phase::Tail => None,
            // The padding holds nothing, but nobody knows what would have followed it.
            Phase::Body { left, padding } if left <= padding => Some("within the padding of a file"),
            Phase::Body { .. } => Some("within a file"),
            Phase::Extension { .. } | Phase::OldMap { .. } | Phase::BodyMap { .. } => Some("within a header"),
        };
        if let (Some(place), None) = (cut, &self.flaw) {
            let what = format!("it ends after {} bytes, {place}", self.position);
            self.flaw = Some(Flaw { at: self.position, damage: Damage::cut(what) });
        }
    }

    /// Offset of the next byte to give.
    pub(in super::super) fn position(&self) -> u64 {
        self.position + self.partial.len() as u64
    }

    /// How many headers of entries were taken.
    pub(in super::super) fn headers(&self) -> u64 {
        self.headers
    }

    /// True where nothing that follows can be an entry.
    pub(in super::super) fn is_done(&self) -> bool {
        self.flaw.is_some() || matches!(self.phase, Phase::Tail)
    }

    /// Where and why reading had to stop.
    pub(in super::super) fn flaw(&self) -> Option<&Flaw> {
        self.flaw.as_ref()
    }

    /// What is odd about an archive that ended well, for people.
    pub(in super::super) fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// The entries found since the last call, in order.
    pub(in super::super) fn take_entries(&mut self) -> Vec<Entry> {
        mem::take(&mut self.found)
    }

    /// Takes a block, or what there is of it.
    fn take_block<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        if self.partial.is_empty()
            && let Some((block, rest)) = rest.split_first_chunk::<BLOCK_BYTES>()
        {
            self.take_whole(block);
            return rest;
        }
        let (taken, rest) = rest.split_at(rest.len().min(BLOCK_BYTES - self.partial.len()));
        self.partial.extend_from_slice(taken);
        if let Ok(block) = Block::try_from(&self.partial[..]) {
            self.partial.clear();
            self.take_whole(&block);
        }
        rest
    }

    fn take_whole(&mut self, block: &Block) {
        let at = self.position;
        if matches!(self.phase, Phase::Header) && self.next.is_empty() {
            self.fresh = at;
        }
        self.position += BLOCK_BYTES as u64;
        let taken = match mem::take(&mut self.phase) {
            Phase::Header if is_zeros(block) => {
                if !self.ignores_zeros {
                    self.phase = Phase::Zeros;
                }
                self.next = Extensions::default();
                Ok(())
            }
            Phase::Header => self.take_header(at, block),
            Phase::Zeros => {
                if !is_zeros(block) {
                    self.remark =
                        Some("one block of zeros ends it, and what follows is not looked at".into());
                }
                self.phase = Phase::Tail;
                Ok(())
            }
            Phase::Lost if is_header(block) => {
                self.fresh = at;
                self.take_header(at, block)
            }
            Phase::Extension { kind, mut body, left } => {
                let len = usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK_BYTES);
                body.extend_from_slice(&block[..len]);
                self.go_on_with_extension(kind, body, left - len as u64)
            }
            Phase::OldMap { entry, stored, mut numbers } => sparse::read_old(block, 0, 21, &mut numbers)
                .and_then(|()| self.go_on_with_old_map(entry, stored, numbers, block[504] != 0)),
            Phase::BodyMap { entry, stored, mut map } => {
                map.extend_from_slice(block);
                self.go_on_with_body_map(entry, stored, map)
            }
            // These take bytes and no blocks.
            phase @ (Phase::Body { .. } | Phase::Tail | Phase::Lost) => {
                self.phase = phase;
                Ok(())
            }
        };
        if let Err(what) = taken {
            self.stumble(at, what);
        }
    }

    /// Ends, or passes over what is wrong in the block at `at`.
    fn stumble(&mut self, at: u64, what: String) {
        if self.resyncs {
            let remark =
                || format!("it is damaged at byte {at} of the tar: {what}; it was read on behind that");
            self.remark.get_or_insert_with(|| remark().into());
            self.next = Extensions::default();
            self.phase = Phase::Lost;
        } else {
            self.flaw = Some(Flaw { at, damage: Damage::new(what) });
        }
    }

    fn take_header(&mut self, at: u64, block: &Block) -> Result<(), String> {
        let header = Header::parse(block)?;
        match header.kind {
            // The size of these is the header's own: records speak of the next entry.
            kind @ (b'L' | b'K' | b'x' | b'X' | b'g') => {
                if header.size > MAX_EXTENSION_BYTES && matches!(kind, b'L' | b'K') {
                    self.next.is_hidden = true;
                    return self.enter_body(header.size);
                }
                if header.size > MAX_EXTENSION_BYTES {
                    return Err(format!(
                        "its PAX records take {} bytes, and {MAX_EXTENSION_BYTES} is the most that is read",
                        header.size
                    ));
                }
                self.go_on_with_extension(kind, Vec::new(), header.size)
            }
            _ => self.take_entry(at, block, header),
        }
    }

    fn go_on_with_extension(&mut self, kind: u8, body: Vec<u8>, left: u64) -> Result<(), String> {
        if left > 0 {
            self.phase = Phase::Extension { kind, body, left };
            return Ok(());
        }
        match kind {
            b'L' => self.next.name = Some(text(&body).to_vec()),
            b'K' => self.next.link = Some(text(&body).to_vec()),
            b'g' => self.global.read(&body, Scope::Global)?,
            _ => self.next.records.get_or_insert_default().read(&body, Scope::Next)?,
        }
        Ok(())
    }

    fn take_entry(&mut self, at: u64, block: &Block, header: Header) -> Result<(), String> {
        self.headers += 1;
        let next = mem::take(&mut self.next);
        let records = next.records.unwrap_or_default();
        let measured = records.size;
        let stored = measured.unwrap_or(header.size);
        let name = records.sparse.name.clone().or(records.path).or(next.name).unwrap_or(header.name);
        let shape = shape_of(header.kind, &name, stored, measured.is_some())?;
        let seconds = |seconds| (seconds, 0);
        let entry = Entry {
            name,
            kind: shape.kind,
            link: match shape.kind {
                Kind::Symlink | Kind::HardLink => records.link.or(next.link).unwrap_or(header.link),
                Kind::File | Kind::Dir | Kind::Other => Vec::new(),
            },
            header: at,
            data: self.position,
            size: if shape.kind == Kind::File { stored } else { 0 },
            sparse: None,
            mode: header.mode,
            user: records.user.or(self.global.user).or(header.user),
            group: records.group.or(self.global.group).or(header.group),
            modified: records.modified.or(self.global.modified).or(header.modified.map(seconds)),
        };
        let stored = if shape.has_body { stored } else { 0 };
        if next.is_hidden || !shape.is_shown {
            return self.enter_body(stored);
        }
        match records.sparse.map()? {
            _ if header.kind == b'S' => self.begin_old_map(entry, stored, block),
            Map::None => self.publish(entry, stored),
            Map::Here(numbers, size) => self.publish_sparse(entry, stored, &numbers, size),
            Map::InBody(size) => {
                self.phase =
                    Phase::BodyMap { entry: Box::new(Entry { size, ..entry }), stored, map: Vec::new() };
                Ok(())
            }
        }
    }

    fn begin_old_map(&mut self, entry: Entry, stored: u64, block: &Block) -> Result<(), String> {
        let size = super::header::number(&block[483..495]).ok().and_then(|size| u64::try_from(size).ok());
        let size = size.ok_or("a sparse file's size is no number")?;
        let mut numbers = Vec::new();
        sparse::read_old(block, 386, 4, &mut numbers)?;
        self.go_on_with_old_map(Box::new(Entry { size, ..entry }), stored, numbers, block[482] != 0)
    }

    fn go_on_with_old_map(
        &mut self,
        mut entry: Box<Entry>,
        stored: u64,
        numbers: Vec<u64>,
        more: bool,
    ) -> Result<(), String> {
        if numbers.len() > MAX_MAP_BYTES / 24 {
            return Err("a sparse map is too long".to_owned());
        }
        if more {
            self.phase = Phase::OldMap { entry, stored, numbers };
            return Ok(());
        }
        // The map's own blocks are no part of what is stored.
        entry.data = self.position;
        let size = entry.size;
        self.publish_sparse(*entry, stored, &numbers, size)
    }

    fn go_on_with_body_map(
        &mut self,
        mut entry: Box<Entry>,
        stored: u64,
        map: Vec<u8>,
    ) -> Result<(), String> {
        if let Some(numbers) = sparse::read_map(&map)? {
            let left = stored.checked_sub(map.len() as u64).ok_or("a sparse map is longer than its file")?;
            entry.data = self.position;
            let size = entry.size;
            return self.publish_sparse(*entry, left, &numbers, size);
        }
        if map.len() >= MAX_MAP_BYTES || map.len() as u64 >= stored {
            return Err("a sparse map has no end".to_owned());
        }
        self.phase = Phase::BodyMap { entry, stored, map };
        Ok(())
    }

    fn publish_sparse(
        &mut self,
        entry: Entry,
        stored: u64,
        numbers: &[u64],
        size: u64,
    ) -> Result<(), String> {
        let pieces = sparse::pieces(numbers, size, stored)?;
        self.publish(Entry { sparse: Some(pieces), size, ..entry }, stored)
    }

    fn publish(&mut self, entry: Entry, stored: u64) -> Result<(), String> {
        self.enter_body(stored)?;
        self.found.push(entry);
        Ok(())
    }

    /// Goes on behind `stored` bytes and their padding.
    fn enter_body(&mut self, stored: u64) -> Result<(), String> {
        let padded = stored.checked_next_multiple_of(BLOCK_BYTES as u64);
        let fits =
            padded.filter(|padded| self.position.checked_add(*padded).is_some_and(|end| end >> 63 == 0));
        let left = fits.ok_or_else(|| format!("a file of {stored} bytes leads beyond 63 bits"))?;
        if left > 0 {
            self.phase = Phase::Body { left, padding: left - stored };
        }
        Ok(())
    }
}

impl Extensions {
    fn is_empty(&self) -> bool {
        self.name.is_none() && self.link.is_none() && self.records.is_none() && !self.is_hidden
    }
}

fn is_zeros(block: &Block) -> bool {
    block.iter().all(|byte| *byte == 0)
}
