//! gzip files that no compressor would write: blocks of every type in any order and of any length, with any references.

use super::Random;
use crate::backends::archive::gzip::inflate::WINDOW_BYTES;

/// RFC 1951 §3.2.5: the shortest length and the extra bits of the codes 257 to 285.
const LENGTHS: [(usize, u32); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// RFC 1951 §3.2.5: the shortest distance of the codes 0 to 29; each pair behind the first two has an extra bit more.
const DISTANCES: [usize; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073,
    4097, 6145, 8193, 12289, 16385, 24577,
];

const END_OF_BLOCK: usize = 256;

/// How a block of symbols is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Fixed,
    Dynamic,
}

/// What a block of symbols is made of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token {
    Literal(u8),
    /// So many bytes, from so far back.
    Match(usize, usize),
}

/// A gzip file under construction, and what it holds.
#[derive(Default)]
pub(super) struct Maker {
    pub(super) gzip: Vec<u8>,
    pub(super) plain: Vec<u8>,
    /// Where the member under way begins in `plain`.
    member: usize,
    bits: u64,
    bit_count: u32,
    /// Where the last member's stream ends.
    pub(super) last_bit: usize,
}

impl Maker {
    /// A file of random members.
    pub(super) fn random(random: &mut Random) -> Self {
        let mut maker = Self::default();
        for _ in 0..=random.below(3) {
            maker.begin_member();
            let blocks = random.below(6);
            for _ in 0..blocks {
                maker.random_block(random, false);
            }
            maker.random_block(random, true);
            maker.end_member();
        }
        maker
    }

    pub(super) fn begin_member(&mut self) {
        self.gzip.extend_from_slice(b"\x1f\x8b\x08\0\0\0\0\0\0\xff");
        self.member = self.plain.len();
    }

    pub(super) fn end_member(&mut self) {
        self.last_bit = self.gzip.len() * 8 + self.bit_count as usize;
        self.align();
        let content = &self.plain[self.member..];
        self.gzip.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
        self.gzip.extend_from_slice(&(content.len() as u32).to_le_bytes());
    }

    pub(super) fn stored(&mut self, content: &[u8], last: bool) {
        self.put(u64::from(last), 3);
        self.align();
        let len = content.len() as u16;
        self.gzip.extend_from_slice(&len.to_le_bytes());
        self.gzip.extend_from_slice(&(!len).to_le_bytes());
        self.gzip.extend_from_slice(content);
        self.plain.extend_from_slice(content);
    }

    /// A block of symbols.
    pub(super) fn block(&mut self, kind: Kind, tokens: impl IntoIterator<Item = Token>, last: bool) {
        let codes = match kind {
            Kind::Fixed => Codes::fixed(),
            Kind::Dynamic => Codes::dynamic(),
        };
        self.put(u64::from(last) | if matches!(kind, Kind::Fixed) { 0b010 } else { 0b100 }, 3);
        if matches!(kind, Kind::Dynamic) {
            self.put_header(&codes);
        }
        for token in tokens {
            self.put_token(&codes, token);
        }
        self.put_code(codes.symbols[END_OF_BLOCK]);
    }

    fn random_block(&mut self, random: &mut Random, last: bool) {
        let count = match random.below(4) {
            0 => random.below(3),
            1 | 2 => random.below(2_000),
            _ => random.below(8_000),
        };
        if random.below(4) == 0 {
            let content: Vec<u8> = (0..count).map(|_| random.next() as u8).collect();
            return self.stored(&content, last);
        }
        let kind = if random.below(2) == 0 { Kind::Fixed } else { Kind::Dynamic };
        let mut len = self.plain.len() - self.member;
        let style = random.below(4);
        let tokens: Vec<_> = (0..count).map(|_| random_token(random, style, &mut len)).collect();
        self.block(kind, tokens, last);
    }

    fn put_token(&mut self, codes: &Codes, token: Token) {
        match token {
            Token::Literal(byte) => {
                self.put_code(codes.symbols[usize::from(byte)]);
                self.plain.push(byte);
            }
            Token::Match(len, back) => {
                let code = LENGTHS.iter().rposition(|(first, _)| *first <= len).unwrap();
                let (first, extra) = LENGTHS[code];
                self.put_code(codes.symbols[END_OF_BLOCK + 1 + code]);
                self.put((len - first) as u64, extra);
                let code = DISTANCES.iter().rposition(|first| *first <= back).unwrap();
                self.put_code(codes.distances[code]);
                self.put((back - DISTANCES[code]) as u64, (code as u32 / 2).saturating_sub(1));
                for _ in 0..len {
                    self.plain.push(self.plain[self.plain.len() - back]);
                }
            }
        }
    }

    /// RFC 1951 §3.2.7, without repeat codes: the lengths 4, 5, 8 and 9 have codes of two bits.
    fn put_header(&mut self, codes: &Codes) {
        self.put(286 - 257, 5);
        self.put(30 - 1, 5);
        self.put(19 - 4, 4);
        for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] {
            self.put(if [4, 5, 8, 9].contains(&symbol) { 2 } else { 0 }, 3);
        }
        for (_, len) in codes.symbols.iter().chain(&codes.distances) {
            let code = [4, 5, 8, 9].iter().position(|known| known == len).unwrap();
            self.put_code((code as u32, 2));
        }
    }

    /// Huffman codes come with their most significant bit first.
    fn put_code(&mut self, (code, len): (u32, u32)) {
        self.put(u64::from(code.reverse_bits() >> (32 - len)), len);
    }

    fn put(&mut self, bits: u64, count: u32) {
        self.bits |= bits << self.bit_count;
        self.bit_count += count;
        while self.bit_count >= 8 {
            self.gzip.push(self.bits as u8);
            self.bits >>= 8;
            self.bit_count -= 8;
        }
    }

    fn align(&mut self) {
        self.put(0, (8 - self.bit_count) % 8);
    }
}

/// Code and length in bits of every symbol.
struct Codes {
    symbols: Vec<(u32, u32)>,
    distances: Vec<(u32, u32)>,
}

impl Codes {
    /// RFC 1951 §3.2.6.
    fn fixed() -> Self {
        let lens: Vec<u32> = (0..288)
            .map(|symbol| match symbol {
                0..144 => 8,
                144..256 => 9,
                256..280 => 7,
                _ => 8,
            })
            .collect();
        Self { symbols: canonical(&lens), distances: canonical(&[5; 30]) }
    }

    /// Complete codes with all symbols, the end of block among the long ones.
    fn dynamic() -> Self {
        let symbols: Vec<u32> = (0..286).map(|symbol| if symbol < 226 { 8 } else { 9 }).collect();
        let distances: Vec<u32> = (0..30).map(|code| if code < 2 { 4 } else { 5 }).collect();
        Self { symbols: canonical(&symbols), distances: canonical(&distances) }
    }
}

/// RFC 1951 §3.2.2: codes of one length count up in the order of their symbols.
fn canonical(lens: &[u32]) -> Vec<(u32, u32)> {
    let mut codes = vec![(0, 0); lens.len()];
    let mut next = 0;
    for len in 1..=15 {
        next <<= 1;
        for symbol in (0..lens.len()).filter(|symbol| lens[*symbol] == len) {
            codes[symbol] = (next, len);
            next += 1;
        }
    }
    codes
}

/// A token behind `len` bytes of the member; styles 0 to 3 from mostly literals to mostly far references.
fn random_token(random: &mut Random, style: usize, len: &mut usize) -> Token {
    let furthest = WINDOW_BYTES.min(*len);
    if furthest == 0 || random.below(4) >= style {
        *len += 1;
        return Token::Literal(random.next() as u8);
    }
    let back = match random.below(4) {
        0 => furthest,
        1 => 1 + random.below(furthest.min(4)),
        _ => 1 + random.below(furthest),
    };
    let run = if random.below(8) == 0 { 3 + random.below(256) } else { 3 + random.below(12) };
    *len += run;
    Token::Match(run, back)
}
