//! Names in a zip archive: what bytes a stored name stands for, and where below the archive's root it leads.

use super::fields::{Fields, extras};

/// Longest path of a member, in bytes; a longer one is hidden.
const MAX_PATH_BYTES: usize = 4096;
/// Longest single name; a longer one is hidden.
const MAX_NAME_BYTES: usize = 255;

/// Unicode path (Info-ZIP; APPNOTE 4.6.9): version, checksum of the stored name, UTF-8.
const UNICODE_PATH: u16 = 0x7075;

/// `version made by`: who stores names in the bytes that the file system had (Unix, and macOS).
const BYTE_HOSTS: [u8; 2] = [3, 19];

/// Why a record is not in the tree. The archive says so in a remark; nothing else is hidden with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hidden {
    /// Its `..` lead out of the archive.
    ClimbsOut,
    /// It holds a NUL, which no path can.
    HasNul,
    /// It, or one name in it, is longer than paths may be.
    TooLong,
}

/// A stored name, and what says how to read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredName<'a> {
    pub(super) bytes: &'a [u8],
    /// General purpose bit 11.
    pub(super) is_utf8: bool,
    /// The upper half of `version made by`.
    pub(super) host: u8,
    pub(super) extra: &'a [u8],
}

impl StoredName<'_> {
    /// The name in the bytes it is shown with: UTF-8 where the archive says that it is, or gives it besides with the
    /// right checksum; as it is where it comes from Unix; else code page 437. A `\` is a separator in a name from
    /// elsewhere that has no `/`, as some writers on Windows have it.
    pub(super) fn decode(&self) -> Vec<u8> {
        if let Some(name) = self.unicode_path() {
            return name.to_vec();
        }
        if self.is_utf8 || BYTE_HOSTS.contains(&self.host) {
            return self.bytes.to_vec();
        }
        let mut text: String = self.bytes.iter().map(|byte| cp437(*byte)).collect();
        if !text.contains('/') {
            text = text.replace('\\', "/");
        }
        text.into_bytes()
    }

    fn unicode_path(&self) -> Option<&[u8]> {
        let (_, content) = extras(self.extra).find(|(tag, _)| *tag == UNICODE_PATH)?;
        let mut fields = Fields(content);
        let [version] = fields.array()?;
        let is_current = version == 1 && fields.u32()? == crc32fast::hash(self.bytes);
        (is_current && std::str::from_utf8(fields.0).is_ok()).then_some(fields.0)
    }
}

/// `name` as a path below the archive's root: names joined by `/`, without `.`, `..` and empty ones, and whether it
/// ends in a slash, as folders do. An empty path is the root itself. A leading slash means the archive's root.
pub(super) fn normalise(name: &[u8]) -> Result<(Vec<u8>, bool), Hidden> {
    if name.contains(&0) {
        return Err(Hidden::HasNul);
    }
    let mut names: Vec<&[u8]> = Vec::new();
    for name in name.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                names.pop().ok_or(Hidden::ClimbsOut)?;
            }
            _ if name.len() > MAX_NAME_BYTES => return Err(Hidden::TooLong),
            _ => names.push(name),
        }
    }
    let path = names.join(&b'/');
    let is_short = path.len() <= MAX_PATH_BYTES;
    is_short.then(|| (path, name.ends_with(b"/"))).ok_or(Hidden::TooLong)
}

/// The character that a byte of code page 437 stands for.
fn cp437(byte: u8) -> char {
    const UPPER: [char; 128] = [
        'Ç', 'ü', 'é', 'â', 'ä', 'à', 'å', 'ç', 'ê', 'ë', 'è', 'ï', 'î', 'ì', 'Ä', 'Å', //
        'É', 'æ', 'Æ', 'ô', 'ö', 'ò', 'û', 'ù', 'ÿ', 'Ö', 'Ü', '¢', '£', '¥', '₧', 'ƒ', //
        'á', 'í', 'ó', 'ú', 'ñ', 'Ñ', 'ª', 'º', '¿', '⌐', '¬', '½', '¼', '¡', '«', '»', //
        '░', '▒', '▓', '│', '┤', '╡', '╢', '╖', '╕', '╣', '║', '╗', '╝', '╜', '╛', '┐', //
        '└', '┴', '┬', '├', '─', '┼', '╞', '╟', '╚', '╔', '╩', '╦', '╠', '═', '╬', '╧', //
        '╨', '╤', '╥', '╙', '╘', '╒', '╓', '╫', '╪', '┘', '┌', '█', '▄', '▌', '▐', '▀', //
        'α', 'ß', 'Γ', 'π', 'Σ', 'σ', 'µ', 'τ', 'Φ', 'Θ', 'Ω', 'δ', '∞', 'φ', 'ε', '∩', //
        '≡', '±', '≥', '≤', '⌠', '⌡', '÷', '≈', '°', '∙', '·', '√', 'ⁿ', '²', '■', '\u{a0}',
    ];
    match byte.checked_sub(128) {
        Some(upper) => UPPER[usize::from(upper)],
        None => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIX: u8 = 3;
    const DOS: u8 = 0;

    fn unicode(of: &[u8], name: &[u8]) -> Vec<u8> {
        let content = [&[1][..], &crc32fast::hash(of).to_le_bytes(), name].concat();
        [&UNICODE_PATH.to_le_bytes()[..], &(content.len() as u16).to_le_bytes(), &content].concat()
    }

    #[test]
    fn names_are_decoded() {
        let utf8 = "Käse".as_bytes();
        for (bytes, is_utf8, host, extra, expected) in [
            (&b"plain"[..], false, DOS, Vec::new(), &b"plain"[..]),
            (utf8, true, DOS, Vec::new(), utf8),
            (utf8, false, UNIX, Vec::new(), utf8),
            (b"K\x84se", false, DOS, Vec::new(), utf8),
            (b"K\x84se", false, UNIX, Vec::new(), b"K\x84se"),
            (b"K\xffse", true, DOS, Vec::new(), b"K\xffse"),
            (b"K?se", false, UNIX, unicode(b"K?se", utf8), utf8),
            (b"K?se", false, UNIX, unicode(b"another", utf8), b"K?se"),
            (b"K?se", false, UNIX, unicode(b"K?se", b"\xff"), b"K?se"),
            (b"dir\\file", false, DOS, Vec::new(), b"dir/file"),
            (b"dir\\file", false, UNIX, Vec::new(), b"dir\\file"),
            (b"dir/a\\b", false, DOS, Vec::new(), b"dir/a\\b"),
        ] {
            assert_eq!(StoredName { bytes, is_utf8, host, extra: &extra }.decode(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn names_stay_below_the_root() {
        let long = [b'a'; MAX_NAME_BYTES + 1];
        let deep = "ab/".repeat(MAX_PATH_BYTES / 3 + 1);
        for (name, expected) in [
            (&b"a/b"[..], Ok((&b"a/b"[..], false))),
            (b"a/b/", Ok((b"a/b", true))),
            (b"/etc/passwd", Ok((b"etc/passwd", false))),
            (b"//a//./b", Ok((b"a/b", false))),
            (b"./", Ok((b"", true))),
            (b"", Ok((b"", false))),
            (b"a/../b", Ok((b"b", false))),
            (b"C:\\x", Ok((b"C:\\x", false))),
            (b"new\nline\x1b[m", Ok((b"new\nline\x1b[m", false))),
            (b"../x", Err(Hidden::ClimbsOut)),
            (b"a/../../x", Err(Hidden::ClimbsOut)),
            (b"/..", Err(Hidden::ClimbsOut)),
            (b"a\0b", Err(Hidden::HasNul)),
            (&long, Err(Hidden::TooLong)),
            (deep.as_bytes(), Err(Hidden::TooLong)),
        ] {
            assert_eq!(normalise(name), expected.map(|(path, dir)| (path.to_vec(), dir)), "{name:?}");
        }
    }
}
