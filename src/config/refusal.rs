//! What is wrong in a configuration, for the operator: file, line, key, cure.
//!
//! A [`Document`] knows where in the file a piece of it stands, a [`Refusal`] says what is wrong with the piece.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};
use vfs::VPath;
use vfs::path::escaped;

/// How alike two keys must be for one to be a slip for the other; 1 is the same.
const LIKENESS: f64 = 0.8;

/// A configuration file's text, and where it comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Document<'a> {
    /// The file, as the operator named it.
    pub(super) file: &'a Path,
    /// What is in it.
    pub(super) text: &'a str,
    /// Where its relative paths start.
    pub(super) folder: &'a VPath,
}

/// What is wrong, and where in the document.
#[derive(Debug)]
pub(super) struct Refusal {
    span: Range<usize>,
    says: String,
}

/// Where the operator wrote something: `FILE:LINE: KEY`, or an option of the command line. Messages about it start so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// What is wrong in a configuration file, in one line: `FILE:LINE: KEY: what, and what to write instead`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    origin: Origin,
    says: String,
}

impl Document<'_> {
    /// Where `span` stands.
    pub(super) fn origin(&self, span: Range<usize>) -> Origin {
        let start = span.start.min(self.text.len());
        let line = self.text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
        let mut keys = Vec::new();
        if let Ok(table) = DeTable::parse(self.text) {
            find_key(table.get_ref(), start, &mut keys);
        }
        let file = Origin::of_file(self.file);
        match keys.as_slice() {
            [] => Origin(format!("{file}:{line}")),
            keys => Origin(format!("{file}:{line}: {}", keys.join("."))),
        }
    }

    /// The refusal with its place.
    pub(super) fn locate(&self, refusal: Refusal) -> ConfigError {
        ConfigError::new(&self.origin(refusal.span), refusal.says)
    }
}

impl Origin {
    /// An option or argument of the command line.
    pub(crate) fn of_argument(name: &str, text: &[u8]) -> Self {
        Self(format!("{name} {}", escaped(text)))
    }

    /// A file as a whole.
    pub(crate) fn of_file(file: &Path) -> Self {
        Self(escaped(file.as_os_str().as_encoded_bytes()).to_string())
    }
}

impl Refusal {
    /// Refuses what stands at `span`.
    pub(super) fn new(span: Range<usize>, says: impl Into<String>) -> Self {
        Self { span, says: says.into() }
    }
}

/// What toml or serde refuses, in the operator's words.
impl From<toml::de::Error> for Refusal {
    fn from(error: toml::de::Error) -> Self {
        Self::new(error.span().unwrap_or_default(), in_our_words(error.message()))
    }
}

impl ConfigError {
    /// Refuses what was written at `origin`.
    pub(crate) fn new(origin: &Origin, says: impl Into<String>) -> Self {
        Self { origin: origin.clone(), says: says.into() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.says)
    }
}

impl std::error::Error for ConfigError {}

/// Collects the keys that lead to the place `at`, and says whether there are any.
fn find_key(table: &DeTable<'_>, at: usize, keys: &mut Vec<String>) -> bool {
    for (key, value) in table {
        keys.push(key.get_ref().to_string());
        let inside = match value.get_ref() {
            DeValue::Table(table) => find_key(table, at, keys),
            DeValue::Array(items) => items.iter().any(|item| match item.get_ref() {
                DeValue::Table(table) => find_key(table, at, keys) || item.span().contains(&at),
                _ => item.span().contains(&at),
            }),
            _ => false,
        };
        if inside || key.span().contains(&at) || value.span().contains(&at) {
            return true;
        }
        keys.pop();
    }
    false
}

/// serde's messages name what is wrong and what is known, each in backticks; the rest is put for the operator.
fn in_our_words(message: &str) -> String {
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match (message, words.split_first()) {
        (message, Some((_, known))) if message.starts_with("unknown field") => {
            format!("unknown key{}", suggestion(words[0], known))
        }
        (message, Some((wrong, known))) if message.starts_with("unknown variant") => {
            format!("\"{wrong}\" is not known here{}", suggestion(wrong, known))
        }
        (message, Some((missing, _))) if message.starts_with("missing field") => {
            format!("the key \"{missing}\" is missing: add it")
        }
        _ => message.replace('`', "\"").replace('\n', " "),
    }
}

fn suggestion(wrong: &str, known: &[&str]) -> String {
    let likeness = |word: &str| strsim::jaro_winkler(wrong, word);
    let nearest = known
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .filter(|nearest| likeness(nearest) >= LIKENESS);
    let all = known.join(", ");
    match nearest {
        Some(nearest) => format!("; did you mean \"{nearest}\"? Known: {all}"),
        None => format!(". Known: {all}"),
    }
}
