//! Rows of a JSON listing: each object in an array that names something is one.

use super::facts::{any_time, unix_millis};
use super::row::{Row, Size};

/// Bytes of one string that are kept at most; a longer one is no name.
const STRING_BYTES: usize = 4 * 1024;

/// Depth to which a document is followed.
const DEPTH: usize = 16;

/// Makes rows of a document while it comes.
#[derive(Debug, Default)]
pub(super) struct JsonRows {
    /// The objects and arrays that are open, outermost first.
    open: Vec<Open>,
    /// Deeper ones, which are not followed.
    deeper: usize,
    text: Text,
    held: Vec<u8>,
    is_array: bool,
    has_rows: bool,
    /// The document is at its end.
    has_ended: bool,
}

/// An object or array that is open.
#[derive(Debug, Default)]
struct Open {
    is_array: bool,
    /// The key that its next value belongs to.
    key: Option<Vec<u8>>,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Where in a scalar the last byte was.
#[derive(Debug, Default, PartialEq)]
enum Text {
    #[default]
    None,
    Quoted,
    Escaped,
    Bare,
}

impl JsonRows {
    pub(super) fn feed(&mut self, bytes: &[u8], rows: &mut Vec<Row>) {
        for byte in bytes {
            self.take(*byte, rows);
        }
    }

    /// An array at the top, or one whose objects name something with a size, a time or a type.
    pub(super) fn is_listing(&self) -> bool {
        self.has_rows || self.is_array && self.open.is_empty()
    }

    /// False where the document stops in the middle.
    pub(super) fn is_whole(&self) -> bool {
        self.has_ended
    }

    fn take(&mut self, byte: u8, rows: &mut Vec<Row>) {
        match (&self.text, byte) {
            (Text::Quoted, b'\\') => {
                self.hold(byte);
                self.text = Text::Escaped;
            }
            (Text::Escaped, _) => {
                self.hold(byte);
                self.text = Text::Quoted;
            }
            (Text::Quoted, b'"') => self.end_scalar(),
            (Text::Quoted, _) => self.hold(byte),
            (_, b'"') => self.text = Text::Quoted,
            (_, b'{' | b'[') => self.begin(byte),
            (_, b'}' | b']' | b',') => {
                if self.text == Text::Bare {
                    self.end_scalar();
                }
                if byte != b',' {
                    self.end(rows);
                }
            }
            (_, b':') => {}
            (_, byte) if byte.is_ascii_whitespace() => {}
            _ => {
                self.text = Text::Bare;
                self.hold(byte);
            }
        }
    }

    fn hold(&mut self, byte: u8) {
        if self.held.len() <= STRING_BYTES {
            self.held.push(byte);
        }
    }

    fn begin(&mut self, byte: u8) {
        if self.open.is_empty() {
            self.is_array = byte == b'[';
        }
        if self.open.len() >= DEPTH {
            self.deeper += 1;
            return;
        }
        // The key of what begins here is spent.
        if let Some(open) = self.open.last_mut() {
            open.key = None;
        }
        self.open.push(Open { is_array: byte == b'[', ..Open::default() });
    }

    fn end(&mut self, rows: &mut Vec<Row>) {
        if self.deeper > 0 {
            self.deeper -= 1;
            return;
        }
        let ended = self.open.pop();
        self.has_ended = self.open.is_empty();
        // An object by itself tells of something else: of what went wrong, mostly.
        if self.open.last().is_some_and(|above| above.is_array)
            && let Some(row) = ended.and_then(|open| row_of(&open.fields))
        {
            self.has_rows = true;
            rows.push(row);
        }
    }

    /// A scalar is a key, or the value of the key before.
    fn end_scalar(&mut self) {
        let text = if self.text == Text::Bare { self.held.clone() } else { unescaped(&self.held) };
        let fits = self.held.len() <= STRING_BYTES;
        self.held.clear();
        self.text = Text::None;
        let Some(open) = self.open.last_mut().filter(|_| self.deeper == 0) else { return };
        match open.key.take() {
            None => open.key = Some(text),
            Some(key) if fits && open.fields.len() < 32 => open.fields.push((key, text)),
            Some(_) => {}
        }
    }
}

/// The row that an object's fields tell of. Besides a name there must be something that a listing says.
fn row_of(fields: &[(Vec<u8>, Vec<u8>)]) -> Option<Row> {
    let bytes = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| fields.iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value))
    };
    let field = |names: &[&str]| std::str::from_utf8(bytes(names)?).ok();
    let kind = field(&["type", "path_type", "is_dir"]).and_then(is_folder);
    let size = field(&["size", "sz", "length"]);
    let time = field(&["mtime", "mod_time", "ts", "last_modified", "lastModified"]);
    if kind.is_none() && size.is_none() && time.is_none() {
        return None;
    }
    // What is a link is percent-encoded, what is a name is not.
    let name = bytes(&["name", "base"]).cloned();
    let links: Vec<_> = bytes(&["href"]).cloned().into_iter().collect();
    if name.is_none() && links.is_empty() {
        return None;
    }
    let is_dir = kind.unwrap_or_default();
    Some(Row { links, name, is_dir, size: size.and_then(exact), modified: time.and_then(time_of) })
}

/// What a listing's word for the type of an entry says; other documents have other types.
fn is_folder(word: &str) -> Option<bool> {
    match &word.to_ascii_lowercase()[..] {
        "directory" | "dir" | "folder" | "true" | "symlinkdir" => Some(true),
        "file" | "false" | "symlinkfile" | "symlink" | "link" | "other" => Some(false),
        _ => None,
    }
}

fn exact(size: &str) -> Option<Size> {
    let words: Vec<_> = size.split_ascii_whitespace().collect();
    super::facts::size_at(&words)
}

/// Text in some form, or a number: of seconds, or where that would be past the year 5000 of milliseconds.
fn time_of(text: &str) -> Option<super::row::Time> {
    const SECONDS: u64 = 100_000_000_000;
    match text.parse::<u64>() {
        Ok(seconds) if seconds < SECONDS => unix_millis(&format!("{seconds}000")),
        Ok(_) => unix_millis(text),
        Err(_) => any_time(text),
    }
}

/// RFC 8259 §7. Bytes that are no UTF-8 stay as they are: nginx writes names into its JSON as the disk has them.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut units: Vec<u16> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let escape = if byte == b'\\' { text.get(at + 1) } else { None };
        if escape == Some(&b'u') {
            let hex = text.get(at + 2..at + 6).and_then(|hex| std::str::from_utf8(hex).ok());
            units.push(hex.and_then(|hex| u16::from_str_radix(hex, 16).ok()).unwrap_or(0xfffd));
            at += 6;
            continue;
        }
        flush(&mut units, &mut out);
        at += 1 + usize::from(escape.is_some());
        out.push(match escape {
            None => byte,
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(other) => *other,
        });
    }
    flush(&mut units, &mut out);
    out
}

/// Two halves of a character may come as two escapes.
fn flush(units: &mut Vec<u16>, out: &mut Vec<u8>) {
    out.extend_from_slice(String::from_utf16_lossy(units).as_bytes());
    units.clear();
}
