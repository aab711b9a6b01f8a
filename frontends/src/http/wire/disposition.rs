//! `Content-Disposition` with a name (RFC 6266, RFC 8187).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use vfs::path::escaped;

/// What stays as it is in an extended value: RFC 8187's `attr-char`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// A value that says: keep this as a file of this name. The plain name is ASCII without anything that a header or a
/// parser trips over; who knows the extended one takes that.
pub(in crate::http) fn attachment(name: &[u8]) -> String {
    let shown = escaped(name).to_string();
    let is_plain = |character: char| {
        matches!(character, ' '..='~') && !matches!(character, '"' | '\\' | '%' | '/' | ';')
    };
    let plain: String =
        shown.chars().map(|character| if is_plain(character) { character } else { '_' }).collect();
    if plain.as_bytes() == name {
        return format!("attachment; filename=\"{plain}\"");
    }
    let text = std::str::from_utf8(name).map_or(shown.as_bytes(), str::as_bytes);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", percent_encode(text, ENCODED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_their_header() {
        for (name, value) in [
            (&b"a b.txt"[..], "attachment; filename=\"a b.txt\""),
            (b"\xe2\x82\xac.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%E2%82%AC.txt"),
            (b"a\"b", "attachment; filename=\"a_b\"; filename*=UTF-8''a%22b"),
            (b"a%41", "attachment; filename=\"a_41\"; filename*=UTF-8''a%2541"),
            (b"a\r\nb: c", "attachment; filename=\"a_r_nb: c\"; filename*=UTF-8''a%0D%0Ab%3A%20c"),
            (b"\xff", "attachment; filename=\"_xff\"; filename*=UTF-8''%5Cxff"),
        ] {
            assert_eq!(attachment(name), value);
        }
    }
}
