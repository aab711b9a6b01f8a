//! Names and paths as people may read them.

use std::fmt::{self, Write};

/// Bytes of a name or path as people may read them in a terminal or a log: no control character survives, and bytes
/// that are no UTF-8 show as `\xNN`.
pub fn escaped(text: &[u8]) -> impl fmt::Display + '_ {
    Escaped(text)
}

struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.utf8_chunks() {
            for ch in part.valid().chars() {
                match ch {
                    ch if ch.is_control() => write!(f, "{}", ch.escape_default())?,
                    // Marks that turn the direction of text could make a log line read as another.
                    '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                        write!(f, "{}", ch.escape_unicode())?
                    }
                    ch => f.write_char(ch)?,
                }
            }
            for byte in part.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_escapes_what_could_harm_a_terminal() {
        let shown = escaped(b"a\n\x1b[31m\xff\xe2\x80\xae").to_string();
        assert_eq!(shown, "a\\n\\u{1b}[31m\\xff\\u{202e}");
    }
}
