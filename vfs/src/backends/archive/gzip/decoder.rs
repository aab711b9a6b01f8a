//! A gzip file from the first byte or a seek point to its end: the members, what stands between them, and the sums.

use std::mem;

use super::Framing;
use super::body::{Body, Outcome, Place};
use super::entry::{Entry, Inside};
use super::header::{Header, MAGIC};
use super::sums::{FOOTER_BYTES, RunningSums, Sums};
use crate::backends::archive::codec::{Damage, Decoder, Next, Progress, SeekPoint};
use crate::backends::archive::foreign::{self, FOREIGN_BYTES};

/// Points that wait to be taken, at most; a reader that never takes them loses those that come then.
const WAITING_POINTS: usize = 64;

/// The decoder of a [`Gzip`](super::Gzip).
pub(super) struct GzipDecoder {
    framing: Framing,
    phase: Phase,
    body: Body,
    /// Over the content of the member so far.
    sums: RunningSums,
    /// Compressed bytes taken, from the start of the file.
    input: u64,
    /// Where the member under way begins; none where decoding started amid it.
    member: Option<u64>,
    /// Where its content begins; at or before that where decoding started amid it.
    content: u64,
    points: Vec<SeekPoint>,
    remark: Option<String>,
}

/// What the next byte belongs to.
enum Phase {
    /// Before a member; so many bytes of the magic are taken.
    Magic(Opening, usize),
    /// A file that is not gzip: its first bytes.
    Foreign(Vec<u8>),
    Header(Header),
    Body,
    Footer(Vec<u8>),
    Ended,
    Failed(Damage),
}

/// What must, or may, follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// The file's first member.
    First,
    /// The member that a seek point names.
    Named,
    /// Another member, padding, or whatever somebody appended.
    Another,
}

impl GzipDecoder {
    /// A decoder at the first byte.
    pub(super) fn new(framing: Framing, spacing: u64) -> Self {
        let phase = match framing {
            Framing::Gzip => Phase::Magic(Opening::First, 0),
            Framing::Bare => Phase::Body,
        };
        Self::at(framing, phase, Body::new(spacing, 0), Sums::default())
    }

    /// A decoder at `point`, which holds `entry`. None where that makes no sense.
    pub(super) fn resume(framing: Framing, spacing: u64, point: &SeekPoint, entry: &Entry) -> Option<Self> {
        let skipped = (point.input_bits % 8) as u8;
        let decoder = match entry {
            Entry::Member if framing == Framing::Bare || skipped > 0 => return None,
            Entry::Member => {
                let phase = Phase::Magic(Opening::Named, 0);
                Self::at(framing, phase, Body::new(spacing, point.output), Sums::default())
            }
            Entry::Inside(inside) => {
                let body = Body::enter(spacing, point.output, skipped, inside)?;
                Self::at(framing, Phase::Body, body, inside.sums)
            }
        };
        Some(Self {
            input: point.input_bits / 8,
            member: None,
            content: content_before(point, entry),
            ..decoder
        })
    }

    fn at(framing: Framing, phase: Phase, body: Body, sums: Sums) -> Self {
        let sums = RunningSums::from(sums);
        let (points, remark) = (Vec::new(), None);
        Self { framing, phase, body, sums, input: 0, member: Some(0), content: 0, points, remark }
    }

    /// Goes on by one phase or step. None says that it can go on at once.
    fn advance(
        &mut self,
        rest: &mut &[u8],
        output: &mut Vec<u8>,
        room: usize,
    ) -> Result<Option<Next>, Damage> {
        match &mut self.phase {
            Phase::Magic(opening, have) => {
                let (opening, have) = (*opening, *have);
                Ok(self.read_magic(opening, have, rest))
            }
            Phase::Foreign(head) => {
                let len = rest.len().min(FOREIGN_BYTES - head.len());
                head.extend_from_slice(take(&mut self.input, rest, len));
                if head.len() == FOREIGN_BYTES { Err(foreign_file(head)) } else { Ok(Some(Next::Input)) }
            }
            Phase::Header(header) => {
                let taken = header.take(rest);
                let is_done = header.is_done();
                let taken = taken.map_err(|what| self.damage(&what))?;
                take(&mut self.input, rest, taken);
                Ok(if is_done { self.begin_member() } else { Some(Next::Input) })
            }
            Phase::Body => self.step(rest, output, room),
            Phase::Footer(bytes) => {
                let len = rest.len().min(FOOTER_BYTES - bytes.len());
                bytes.extend_from_slice(take(&mut self.input, rest, len));
                match bytes[..].try_into() {
                    Ok(footer) => self.end_member(Sums::from_bytes(footer)),
                    Err(_) => Ok(Some(Next::Input)),
                }
            }
            Phase::Ended => Ok(Some(Next::End)),
            Phase::Failed(damage) => Err(damage.clone()),
        }
    }

    /// Reads on to the second byte of a member's magic, or finds that there is no member.
    fn read_magic(&mut self, opening: Opening, have: usize, rest: &mut &[u8]) -> Option<Next> {
        if opening == Opening::Another && have == 0 {
            // Tapes and some devices pad with zeros, and a member may follow them.
            let zeros = rest.iter().position(|byte| *byte != 0).unwrap_or(rest.len());
            take(&mut self.input, rest, zeros);
        }
        let Some(byte) = rest.first() else {
            return Some(Next::Input);
        };
        if *byte != MAGIC[have] {
            return self.miss_magic(opening, have);
        }
        take(&mut self.input, rest, 1);
        self.phase = if have + 1 < MAGIC.len() {
            Phase::Magic(opening, have + 1)
        } else {
            self.member = Some(self.input - MAGIC.len() as u64);
            Phase::Header(Header::after_magic())
        };
        None
    }

    fn miss_magic(&mut self, opening: Opening, have: usize) -> Option<Next> {
        let at = self.input - have as u64;
        self.phase = match opening {
            Opening::First => Phase::Foreign(MAGIC[..have].to_vec()),
            Opening::Named => Phase::Failed(Damage::new(format!(
                "no gzip member begins at its byte {at}, where its index has one"
            ))),
            Opening::Another => return Some(self.end_before(at)),
        };
        None
    }

    /// Ends before bytes that belong to no member: what came before is whole.
    fn end_before(&mut self, at: u64) -> Next {
        self.remark = Some(format!("what follows the last gzip member, from its byte {at} on, is no gzip"));
        self.phase = Phase::Ended;
        Next::End
    }

    fn begin_member(&mut self) -> Option<Next> {
        self.phase = Phase::Body;
        self.sums = RunningSums::from(Sums::default());
        self.content = self.body.position();
        let is_place = self.body.begin_member();
        if let Some(member) = self.member.filter(|_| is_place) {
            self.keep_point(member * 8, &Entry::Member);
        }
        None
    }

    fn step(&mut self, rest: &mut &[u8], output: &mut Vec<u8>, room: usize) -> Result<Option<Next>, Damage> {
        let len = output.len();
        let advance = self.body.step(rest, output, room);
        self.sums.update(&output[len..]);
        let advance = advance.map_err(|what| {
            let position = self.body.position();
            let damage = self.damage(&format!("behind byte {position} of the content, {what}"));
            damage.stumbled(self.content, position)
        })?;
        take(&mut self.input, rest, advance.consumed);
        Ok(match advance.outcome {
            Outcome::Step => None,
            Outcome::Place(place) => {
                self.keep_place(place);
                None
            }
            Outcome::Input => Some(Next::Input),
            Outcome::Room => Some(Next::Room),
            Outcome::End if self.framing == Framing::Bare => {
                self.phase = Phase::Ended;
                None
            }
            Outcome::End => {
                self.phase = Phase::Footer(Vec::with_capacity(FOOTER_BYTES));
                None
            }
        })
    }

    fn keep_place(&mut self, place: Place) {
        let inside: Inside = self.body.inside(place, self.sums.so_far());
        self.keep_point(self.input * 8 - u64::from(place.bits_back), &Entry::Inside(inside));
    }

    fn keep_point(&mut self, input_bits: u64, entry: &Entry) {
        if self.points.len() < WAITING_POINTS {
            let state = entry.to_state(false);
            self.points.push(SeekPoint { input_bits, output: self.body.position(), state });
        }
    }

    fn end_member(&mut self, stored: Sums) -> Result<Option<Next>, Damage> {
        let found = self.sums.so_far();
        if found.len != stored.len {
            let what = format!("it holds {} bytes, modulo 2^32, and its end says {}", found.len, stored.len);
            return Err(self.damage(&what).unproven(self.content));
        }
        if found.crc != stored.crc {
            let what = format!(
                "its content's checksum is {:#010x}, and its end says {:#010x}",
                found.crc, stored.crc
            );
            return Err(self.damage(&what).unproven(self.content));
        }
        self.phase = Phase::Magic(Opening::Another, 0);
        Ok(None)
    }

    /// What it means that no input follows.
    fn end_of_input(&mut self) -> Result<Next, Damage> {
        match &self.phase {
            Phase::Magic(Opening::Another, 0) => {
                self.phase = Phase::Ended;
                Ok(Next::End)
            }
            Phase::Magic(Opening::Another, have) => Ok(self.end_before(self.input - *have as u64)),
            Phase::Foreign(head) => Err(foreign_file(head)),
            _ if self.input == 0 => Err(Damage::cut("it is empty")),
            _ => {
                let within = self.stream();
                Err(Damage::cut(format!("it ends early, after {} bytes, within {within}", self.input)))
            }
        }
    }

    fn damage(&self, what: &str) -> Damage {
        Damage::new(format!("{} is wrong: {what}", self.stream()))
    }

    /// The stream under way, for people.
    fn stream(&self) -> String {
        match (self.framing, self.member) {
            (Framing::Bare, _) => "its deflate stream".to_owned(),
            (Framing::Gzip, Some(member)) => format!("the gzip member that begins at its byte {member}"),
            (Framing::Gzip, None) => "a gzip member".to_owned(),
        }
    }
}

impl Decoder for GzipDecoder {
    fn decode(
        &mut self,
        input: &[u8],
        last: bool,
        output: &mut Vec<u8>,
        room: usize,
    ) -> Result<Progress, Damage> {
        let limit = output.len().saturating_add(room);
        let mut rest = input;
        let next = loop {
            let room = limit - output.len();
            match self.advance(&mut rest, output, room) {
                Ok(None) => {}
                Ok(Some(Next::Input)) if last => break self.end_of_input(),
                Ok(Some(next)) => break Ok(next),
                Err(damage) => break Err(damage),
            }
        };
        match next {
            Ok(next) => Ok(Progress { consumed: input.len() - rest.len(), next }),
            Err(damage) => {
                self.phase = Phase::Failed(damage.clone());
                Err(damage)
            }
        }
    }

    fn take_points(&mut self) -> Vec<SeekPoint> {
        mem::take(&mut self.points)
    }

    fn remark(&self) -> Option<String> {
        self.remark.clone()
    }
}

/// Where the content begins that is checked together with what follows `point`. Its length is known modulo 2^32 only.
fn content_before(point: &SeekPoint, entry: &Entry) -> u64 {
    match entry {
        Entry::Member => point.output,
        Entry::Inside(inside) if point.output >> 32 == 0 => {
            point.output.saturating_sub(u64::from(inside.sums.len))
        }
        Entry::Inside(_) => 0,
    }
}

/// Takes the first `len` bytes of `rest`.
fn take<'a>(input: &mut u64, rest: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(len);
    *input += len as u64;
    *rest = left;
    taken
}

fn foreign_file(head: &[u8]) -> Damage {
    Damage::new(foreign::describe("gzip", &MAGIC, head))
}
