//! Conversations with the front ends, kept as text: `C:` is what a client sends, `S:` what the server answers, `D:`
//! what comes over a data connection; `#` is a remark. Ports and the like are masked.
//!
//! `UPDATE=1` writes the answers anew; the difference is then read like code.

// What fails here fails its test.
#![allow(clippy::unwrap_used)]

mod ftp;

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The transcripts of a protocol, by name.
fn transcripts(protocol: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(protocol);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    assert!(!files.is_empty(), "no transcripts of {protocol}");
    files
}

/// A part of a transcript.
enum Part {
    /// A remark or an empty line.
    Remark(String),
    /// Lines that a client sends at once.
    Sent(Vec<String>),
}

/// What a client says in a transcript, and the remarks around it.
fn parts(transcript: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut follows = false;
    for line in transcript.lines() {
        match line.strip_prefix("C: ") {
            Some(said) => match parts.last_mut() {
                Some(Part::Sent(lines)) if follows => lines.push(said.to_owned()),
                _ => parts.push(Part::Sent(vec![said.to_owned()])),
            },
            None if line.is_empty() || line.starts_with('#') => parts.push(Part::Remark(line.to_owned())),
            None => {}
        }
        follows = line.starts_with("C: ");
    }
    parts
}

/// Compares what was said with what the file has, or writes the file.
fn settle(file: &Path, before: &str, now: &str) -> Result<(), String> {
    if before == now {
        return Ok(());
    }
    if std::env::var_os("UPDATE").is_some_and(|update| update == "1") {
        std::fs::write(file, now).unwrap();
        return Ok(());
    }
    let mut report = format!("{}: not as written (UPDATE=1 writes it anew)\n", file.display());
    let (mut before, mut now) = (before.lines(), now.lines());
    loop {
        match (before.next(), now.next()) {
            (None, None) => return Err(report),
            (old, new) if old == new => {}
            (old, new) => {
                for (sign, line) in [('-', old), ('+', new)] {
                    line.into_iter().for_each(|line| writeln!(report, "{sign} {line}").unwrap());
                }
            }
        }
    }
}
