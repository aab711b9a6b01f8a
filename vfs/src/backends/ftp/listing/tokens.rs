//! Words of a line, and lines that are no entries.

use bytes::Bytes;

/// A word of a line, and where in the line it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) text: &'a [u8],
    pub(super) end: usize,
}

/// The words of `line`, at most `limit`: what follows is a name and may be as long as it likes.
pub(super) fn tokens(line: &[u8], limit: usize) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while found.len() < limit {
        let Some(start) = line[at..].iter().position(|byte| !is_blank(*byte)).map(|skip| at + skip) else {
            break;
        };
        let len = line[start..].iter().position(|byte| is_blank(*byte)).unwrap_or(line.len() - start);
        at = start + len;
        found.push(Token { text: &line[start..at], end: at });
    }
    found
}

/// The name after a column that ends at `end`: one blank is between them, and every other one is the name's.
pub(super) fn name_after(line: &[u8], end: usize) -> Option<&[u8]> {
    line.get(end + 1..).filter(|name| !name.is_empty())
}

/// A number of digits only, or with commas between thousands.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let is_plain = text.first().is_some_and(u8::is_ascii_digit);
    text.iter().filter(|byte| **byte != b',').try_fold(0_u64, |sum, byte| {
        let digit = is_plain.then(|| (*byte as char).to_digit(10)).flatten()?;
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// True for a line that tells of no entry and is no fault either.
pub(super) fn is_nothing(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let mut words = line.split(u8::is_ascii_whitespace);
    let first = words.next().unwrap_or_default();
    let is_sum = first.eq_ignore_ascii_case(b"total")
        && words.next().is_some_and(|word| word == b"of" || word.first().is_some_and(u8::is_ascii_digit));
    line.is_empty() || is_sum || line.starts_with(b"Directory ")
}

/// The folder that a heading names: `/folder:`, as `ls` has it where it lists several.
pub(super) fn heading(line: &[u8]) -> Option<Bytes> {
    let folder = line.strip_suffix(b":")?;
    (folder.starts_with(b"/") || folder.starts_with(b".")).then(|| Bytes::copy_from_slice(folder))
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}
