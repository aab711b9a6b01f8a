//! What a file is that was taken for a compressed stream and is not.

/// As much of a file's beginning as it takes to name it: tar has its magic behind the first name.
pub(super) const FOREIGN_BYTES: usize = 262;

/// As much of an unknown beginning as a message shows.
const SHOWN_BYTES: usize = 8;

const KNOWN: [(usize, &[u8], &str); 17] = [
    (0, b"\x1f\x8b", "a gzip stream"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"BZh", "a bzip2 stream"),
    (0, b"\xfd7zXZ\0", "an xz stream"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd stream"),
    (0, b"\x04\x22\x4d\x18", "an lz4 stream"),
    (0, b"\x5d\0\0", "an lzma stream"),
    (0, b"LZIP", "an lzip stream"),
    (0, b"\x1f\x9d", "a stream of the compress program"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!\x1a\x07", "a rar archive"),
    (0, b"!<arch>\n", "an ar archive"),
    (0, b"\x7fELF", "an ELF program"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"<", "text that begins like HTML or XML"),
    (257, b"ustar", "a tar archive without compression"),
];

/// Says what a file that begins with `head` is instead of a `format` stream, which begins with `magic`; to follow
/// "the archive is damaged: ".
pub(super) fn describe(format: &str, magic: &[u8], head: &[u8]) -> String {
    let known = KNOWN.iter().find(|(at, known, _)| {
        *known != magic && head.get(*at..).is_some_and(|rest| rest.starts_with(known))
    });
    if let Some((_, _, name)) = known {
        return format!("it is no {format} stream but {name}");
    }
    let (shown, magic) = (hex(head), hex(magic));
    format!("it is no {format} stream: it begins with the bytes {shown} and not with {magic}")
}

fn hex(bytes: &[u8]) -> String {
    let shown: Vec<_> = bytes.iter().take(SHOWN_BYTES).map(|byte| format!("{byte:02x}")).collect();
    shown.join(" ")
}

/// What a file is that begins with `head`, where that is known.
pub(super) fn known(head: &[u8]) -> Option<&'static str> {
    let known =
        KNOWN.iter().find(|(at, known, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(known)));
    known.map(|(_, _, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_named() {
        let mut tar = vec![b'a'; FOREIGN_BYTES];
        tar[257..].copy_from_slice(b"ustar");
        for (head, expected) in [
            (&b"PK\x03\x04\x14\0"[..], "it is no gzip stream but a zip archive"),
            (b"BZh91AY", "it is no gzip stream but a bzip2 stream"),
            (b"<!doctype html>", "it is no gzip stream but text that begins like HTML or XML"),
            (&tar, "it is no gzip stream but a tar archive without compression"),
            (
                b"plain text",
                "it is no gzip stream: it begins with the bytes 70 6c 61 69 6e 20 74 65 and not with 1f 8b",
            ),
            (b"\x1f\x8b\x07", "it is no gzip stream: it begins with the bytes 1f 8b 07 and not with 1f 8b"),
            (b"\x1f", "it is no gzip stream: it begins with the bytes 1f and not with 1f 8b"),
        ] {
            assert_eq!(describe("gzip", b"\x1f\x8b", head), expected);
        }
    }
}
