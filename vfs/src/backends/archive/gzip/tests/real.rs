//! Files as other programs write them.

use super::{Gzip, decode};

/// `printf 'hello\n' >h; gzip -9 h`, the time set to 2001-09-09.
const GNU_GZIP: &[u8] =
    b"\x1f\x8b\x08\x08\x80\xbe\x9b\x3b\x02\x03h\0\xcbH\xcd\xc9\xc9\xe7\x02\0 0:6\x06\0\0\0";

/// Python's `gzip.compress(b"", mtime=0)`.
const PYTHON_EMPTY: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\x03\0\0\0\0\0\0\0\0\0";

/// The end of every BGZF file (SAM specification §4.1.2).
const BGZF_END: &[u8] = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0\x1b\0\x03\0\0\0\0\0\0\0\0\0";

#[test]
fn what_other_programs_write_is_read() {
    for (name, parts, expected) in [
        ("GNU gzip", vec![GNU_GZIP], &b"hello\n"[..]),
        ("an empty member", vec![PYTHON_EMPTY], b""),
        ("the end of a BGZF file", vec![BGZF_END], b""),
        ("members one behind the other", vec![GNU_GZIP, PYTHON_EMPTY, GNU_GZIP, BGZF_END], b"hello\nhello\n"),
        ("padding at the end", vec![GNU_GZIP, &[0; 1000]], b"hello\n"),
        ("padding between members", vec![GNU_GZIP, &[0; 20], GNU_GZIP], b"hello\nhello\n"),
    ] {
        let found = decode(Gzip::new(1 << 20), &parts.concat());
        assert_eq!((&found.output[..], found.end, found.remark), (expected, Ok(()), None), "{name}");
    }
}

#[test]
fn what_follows_the_last_member_is_told_and_harms_nothing() {
    for (name, parts, from) in [
        ("garbage", vec![GNU_GZIP, &b"garbage"[..]], 28),
        ("garbage behind padding", vec![GNU_GZIP, &[0; 512], b"garbage"], 540),
        ("half a magic", vec![GNU_GZIP, b"\x1f"], 28),
        ("half a magic and more", vec![GNU_GZIP, b"\x1f\x1f\x8b"], 28),
        // A member within the garbage is not looked for.
        ("a member behind garbage", vec![GNU_GZIP, b"-", GNU_GZIP], 28),
    ] {
        let found = decode(Gzip::new(1 << 20), &parts.concat());
        let remark = format!("what follows the last gzip member, from its byte {from} on, is no gzip");
        assert_eq!(
            (&found.output[..], found.end, found.remark),
            (&b"hello\n"[..], Ok(()), Some(remark)),
            "{name}"
        );
    }
}
