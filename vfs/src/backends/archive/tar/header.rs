//! One header block: fields, numbers, checksum (POSIX.1-2024 pax, "ustar Interchange Format"; GNU tar manual, "Basic
//! Tar Format").

use std::ops::Range;

/// Everything in a tar comes in blocks of this size.
pub(in super::super) const BLOCK_BYTES: usize = 512;

/// One block.
pub(super) type Block = [u8; BLOCK_BYTES];

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const USER: Range<usize> = 108..116;
const GROUP: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MODIFIED: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..263;
const PREFIX: Range<usize> = 345..500;
/// Joerg Schilling's star keeps times behind a shorter prefix.
const STAR_PREFIX: Range<usize> = 345..476;
const STAR_MAGIC: Range<usize> = 508..512;

/// The fields that matter.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) kind: u8,
    pub(super) size: u64,
    pub(super) mode: Option<u32>,
    pub(super) user: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) modified: Option<i64>,
}

/// True where `block` is a header whose checksum holds: what makes a file a tar.
pub(in super::super) fn is_header(block: &[u8]) -> bool {
    <&Block>::try_from(block).is_ok_and(|block| check(block).is_ok())
}

impl Header {
    /// Reads a block that is not all zeros. What is wrong comes in words that follow "the archive is damaged: ".
    pub(super) fn parse(block: &Block) -> Result<Self, String> {
        check(block)?;
        let size = number(&block[SIZE]).map_err(|what| format!("a header's size {what}"))?;
        let size = u64::try_from(size).map_err(|_| "a header's size is negative".to_owned())?;
        let small = |field: &[u8]| number(field).ok().and_then(|number| u32::try_from(number).ok());
        Ok(Self {
            name: name(block),
            link: text(&block[LINK]).to_vec(),
            kind: block[TYPE],
            size,
            mode: small(&block[MODE]).map(|mode| mode & 0o7777),
            user: small(&block[USER]),
            group: small(&block[GROUP]),
            modified: number(&block[MODIFIED]).ok(),
        })
    }
}

/// The sum of all bytes, those of the sum itself taken as spaces. Some old programs summed signed bytes.
fn check(block: &Block) -> Result<(), String> {
    let stated = number(&block[CHECKSUM]).map_err(|what| format!("a header's checksum {what}"))?;
    let unsigned = sum(block, u8::into);
    if stated == unsigned || stated == sum(block, |byte| byte.cast_signed().into()) {
        return Ok(());
    }
    Err(format!("a header's checksum is {unsigned}, and {stated} is stated"))
}

/// Of all bytes, as `value` takes them. A plain sum of a whole block, so that the compiler can make it of vectors.
fn sum(block: &Block, value: impl Fn(u8) -> i32) -> i64 {
    let all: i32 = block.iter().map(|byte| value(*byte)).sum();
    let stated: i32 = block[CHECKSUM].iter().map(|byte| value(*byte)).sum();
    let spaces = CHECKSUM.len() as i32 * value(b' ');
    i64::from(all - stated + spaces)
}

/// `prefix/name` where the format has a prefix; GNU keeps times in that place.
fn name(block: &Block) -> Vec<u8> {
    let name = text(&block[NAME]);
    let prefix = match (&block[MAGIC] == b"ustar\0", &block[STAR_MAGIC] == b"tar\0") {
        (true, true) => text(&block[STAR_PREFIX]),
        (true, false) => text(&block[PREFIX]),
        (false, _) => b"",
    };
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

/// A field up to its NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number in octal, or in base 256 where the first bit is set (GNU). An empty field is 0.
pub(super) fn number(field: &[u8]) -> Result<i64, String> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => binary(field),
        _ => octal(field),
    }
}

fn binary(field: &[u8]) -> Result<i64, String> {
    // The first bit marks the format, the second is the sign.
    let negative = field[0] & 0x40 != 0;
    let mut value = if negative { -1_i64 } else { 0 };
    for (at, byte) in field.iter().enumerate() {
        let byte = if at == 0 && !negative { byte & 0x7f } else { *byte };
        let shifted = value.checked_mul(256).ok_or("is beyond 63 bits")?;
        value = shifted | i64::from(byte);
    }
    Ok(value)
}

fn octal(field: &[u8]) -> Result<i64, String> {
    let digits = field.trim_ascii_start();
    let end = digits.iter().position(|byte| matches!(byte, 0 | b' ')).unwrap_or(digits.len());
    let mut value = 0_i64;
    for digit in &digits[..end] {
        if !(b'0'..=b'7').contains(digit) {
            return Err("is no number".to_owned());
        }
        value =
            value.checked_mul(8).map(|value| value + i64::from(digit - b'0')).ok_or("is beyond 63 bits")?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_octal_and_in_base_256() {
        let cases: [(&[u8], Option<i64>); 10] = [
            (b"0000644\0", Some(0o644)),
            (b"  644 \0\0", Some(0o644)),
            (b"77777777777\0", Some(0o77_777_777_777)),
            (b"\0\0\0\0", Some(0)),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\x02", Some(258)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\x80\x01\0\0\0\0\0\0\0\0\0\0", None),
            (b"+5\0", None),
            (b"0x10\0", None),
        ];
        for (field, wanted) in cases {
            assert_eq!(number(field).ok(), wanted, "{field:?}");
        }
    }
}
