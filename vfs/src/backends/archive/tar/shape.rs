//! What type letters mean.

use crate::backends::archive::entry::Kind;

/// What a type letter makes of an entry.
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) has_body: bool,
    pub(super) is_shown: bool,
}

/// Readers disagree about bodies behind what is no file; where one of the answers would hide entries, it is refused.
///
/// `name` has a slash at its end where it is an old folder's; a body of `stored` bytes is stated, by PAX records where it
/// `is_measured`.
pub(super) fn shape_of(letter: u8, name: &[u8], stored: u64, is_measured: bool) -> Result<Shape, String> {
    let shape = |kind, has_body| Ok(Shape { kind, has_body, is_shown: true });
    match letter {
        b'5' => shape(Kind::Dir, false),
        // GNU's list of a folder's names is its body.
        b'D' => shape(Kind::Dir, true),
        // POSIX lets a link bring the content along. Old programs state the linked file's size and bring none; only
        // PAX records are proof.
        b'1' => shape(Kind::HardLink, is_measured),
        b'2' if stored > 0 => Err(format!("a symbolic link states a body of {stored} bytes")),
        b'2' => shape(Kind::Symlink, false),
        b'3' | b'4' | b'6' => shape(Kind::Other, false),
        // A volume's name, the rest of a file from another volume, somebody's notes: nothing that has a name here.
        b'V' | b'M' | b'N' | b'A' | b'I' => Ok(Shape { kind: Kind::Other, has_body: true, is_shown: false }),
        // Before there was a letter for folders, a slash said it.
        0 | b'0' if name.ends_with(b"/") && stored > 0 => {
            Err(format!("a folder states a body of {stored} bytes"))
        }
        0 | b'0' if name.ends_with(b"/") => shape(Kind::Dir, false),
        _ => shape(Kind::File, true),
    }
}
