//! Why a text is no path.

use std::fmt;

use super::{MAX_TEXT_BYTES, escaped};

/// Why a text is no path, with the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError {
    kind: PathErrorKind,
    text: String,
}

/// What is wrong with a path's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathErrorKind {
    /// The text does not start with `/`.
    Relative,
    /// A name is empty, `.` or `..`, or holds `/` or NUL.
    BadName,
    /// A marker has no name before it.
    NamelessMarker,
    /// The text is longer than [`MAX_TEXT_BYTES`].
    TooLong,
}

impl PathError {
    pub(super) fn new(kind: PathErrorKind, text: &[u8]) -> Self {
        // An error names the path, it does not carry megabytes of it.
        let shown = &text[..text.len().min(256)];
        Self { kind, text: escaped(shown).to_string() }
    }

    /// What is wrong.
    pub fn kind(&self) -> PathErrorKind {
        self.kind
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        match self.kind {
            PathErrorKind::Relative => write!(f, "\"{text}\" is not absolute: it must start with \"/\""),
            PathErrorKind::BadName => {
                write!(
                    f,
                    "\"{text}\" holds no valid name: names are not empty, not \".\" or \"..\", and have no \"/\" or NUL"
                )
            }
            PathErrorKind::NamelessMarker => write!(
                f,
                "\"{text}\" enters an archive without naming it: write the file's name before the \"#\", or double the \"#\" for a file of that name"
            ),
            PathErrorKind::TooLong => write!(f, "the path is longer than {MAX_TEXT_BYTES} bytes"),
        }
    }
}

impl std::error::Error for PathError {}
