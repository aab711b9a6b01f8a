//! Files as htpasswd(1) writes them: a name, a colon and a hash a line.

use std::fmt;

use super::hash::{BadHash, Hash};
use super::user::{BadName, check_name};

/// What is wrong in such a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub says: String,
}

/// Reads users and their hashes. Empty lines and those that start with `#` are passed over.
///
/// # Errors
/// The first line that is wrong; the hash is not repeated.
pub fn parse(text: &str) -> Result<Vec<(String, Hash)>, BadLine> {
    let mut users = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = |says: String| BadLine { line: at + 1, says };
        let (name, hash) =
            line.split_once(':').ok_or_else(|| bad("there is no colon: write NAME:HASH".to_owned()))?;
        check_name(name).map_err(|error: BadName| bad(error.to_string()))?;
        if users.iter().any(|(other, _)| other == name) {
            return Err(bad("the user is there twice: drop one line".to_owned()));
        }
        let hash = hash.parse().map_err(|error: BadHash| bad(error.to_string()))?;
        users.push((name.to_owned(), hash));
    }
    Ok(users)
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.says)
    }
}

impl std::error::Error for BadLine {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_user() {
        let hash = bcrypt::hash("secret", 4).unwrap();
        let users = parse(&format!("# people\n\nann:{hash}\r\nbo b:{hash}\n")).unwrap();
        let names: Vec<_> = users.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ann", "bo b"]);
        for (text, line) in [
            ("ann".to_owned(), 1),
            (format!("\nftp:{hash}"), 2),
            (format!("ann:{hash}\nann:{hash}"), 2),
            ("ann:secret".to_owned(), 1),
        ] {
            let bad = parse(&text).unwrap_err();
            assert!(bad.line == line && !bad.to_string().contains("secret"), "{bad}");
        }
    }
}
