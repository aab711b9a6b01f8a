//! Paths of entries: where they lead inside the archive, and which are not shown.

/// Longest path of an entry. Longer ones are hidden, as PATH_MAX has it.
pub(super) const MAX_PATH_BYTES: usize = 4096;

/// Longest name. An entry with a longer one is hidden, as NAME_MAX has it.
const MAX_NAME_BYTES: usize = 255;

/// Folders in folders. Deeper entries are hidden.
const MAX_DEPTH: usize = 1024;

/// The names that a path of an entry leads through, `..` resolved; nothing for the root. `None`: it leads out of the
/// archive, or no system would take it. A leading slash means nothing, a backslash is a character like any other.
pub(super) fn normal(path: &[u8]) -> Option<Vec<&[u8]>> {
    if path.len() > MAX_PATH_BYTES {
        return None;
    }
    let mut names = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                names.pop()?;
            }
            name if is_plain(name) => names.push(name),
            _ => return None,
        }
    }
    (names.len() <= MAX_DEPTH).then_some(names)
}

/// The path before the last name of an entry's path, as it is written, and that name; slashes at the end mean nothing.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let path = &path[..end];
    path.split_at(path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1))
}

/// Whether [`normal`] takes it as it is.
pub(super) fn is_plain(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && name.len() <= MAX_NAME_BYTES && !name.contains(&0)
}
