//! What an operator may want of mirrors, and what becomes of it.

use std::sync::Arc;

use clap::ValueEnum;
use tokio::task::JoinSet;
use vfs::layers::mirror::{Mirror, Pattern, Status};
use vfs::{FileSystem, FileType, StatOptions, VPath, Vfs};

use super::Answer;
use crate::listing::{Order, Wish};
use crate::walk::{Step, Walk};

/// Files that are fetched ahead at once.
const AT_ONCE: usize = 4;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verb {
    /// Say what is kept, of everything or of PATH and what lies below
    Status,
    /// Forget what is kept of PATH and of what lies below
    Purge,
    /// Ask the sources whether what is kept of PATH and below still holds
    Refresh,
    /// Never let go of PATH and what lies below, however long nobody uses it
    Pin,
    /// Take back a pin
    Unpin,
    /// Fetch PATH, all below a folder, or all that a pattern as /debian/dists/**/InRelease fits
    Warm,
}

impl Verb {
    pub(super) fn parse(word: &[u8]) -> Option<Self> {
        Self::value_variants().iter().find(|verb| verb.word().as_bytes() == word).copied()
    }

    /// As it is sent.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Purge => "purge",
            Self::Refresh => "refresh",
            Self::Pin => "pin",
            Self::Unpin => "unpin",
            Self::Warm => "warm",
        }
    }
}

/// Does it for one path after the other. What fails is told, and the others follow.
pub(super) async fn obey(
    space: &Arc<Vfs>,
    verb: Verb,
    paths: &[Vec<u8>],
    answer: &mut Answer,
) -> Result<(), String> {
    if paths.is_empty() && verb == Verb::Status {
        return survey(space, answer).await;
    }
    let mut failures = 0;
    for written in paths {
        let done = match VPath::parse(written) {
            Err(error) => Err(error.to_string()),
            Ok(path) if verb == Verb::Warm => warm(space, &path, answer).await,
            Ok(path) => match space.mirror(&path) {
                None => Err("nothing is kept of it: it lies in no mirror".to_owned()),
                Some((mirror, below)) => apply(&mirror, verb, &below).await,
            },
        };
        let shown = vfs::path::escaped(written);
        match done {
            Ok(says) => answer.line(&format!("{shown}: {says}")).await?,
            Err(says) => {
                failures += 1;
                answer.line(&format!("{shown}: failed: {says}")).await?;
            }
        }
    }
    if failures == 0 { Ok(()) } else { Err(format!("{failures} of {} failed", paths.len())) }
}

async fn apply(mirror: &Mirror, verb: Verb, path: &VPath) -> Result<String, String> {
    let done = match verb {
        Verb::Status | Verb::Warm => mirror.status(path).await.map(|status| in_words(&status)),
        Verb::Purge => mirror.purge(path).await.map(|count| format!("{count} forgotten")),
        Verb::Refresh => mirror.refresh(path).await.map(|count| format!("{count} asked about")),
        Verb::Pin => mirror.pin(path, true).await.map(|()| "pinned".to_owned()),
        Verb::Unpin => mirror.pin(path, false).await.map(|()| "no longer pinned".to_owned()),
    };
    done.map_err(|error| error.to_string())
}

/// A line a mirror, and what their folder holds.
async fn survey(space: &Arc<Vfs>, answer: &mut Answer) -> Result<(), String> {
    let mounts = space.mounts();
    let (mounts, mirrors): (Vec<_>, Vec<_>) = mounts
        .iter()
        .filter_map(|mount| {
            let (mirror, below) = space.mirror(&mount.at)?;
            below.is_root().then_some((mount, mirror))
        })
        .unzip();
    let statuses = Mirror::statuses(&mirrors).await.map_err(|error| error.to_string())?;
    for ((mount, mirror), status) in mounts.iter().zip(&mirrors).zip(&statuses) {
        answer.line(&format!("{} from {}: {}", mount.at, mount.source, in_words(status))).await?;
        for pin in mirror.pins() {
            let below = pin.to_string();
            let path = if mount.at.is_root() {
                below
            } else {
                format!("{}{}", mount.at, below.trim_end_matches('/'))
            };
            answer.line(&format!("  pinned: {path}")).await?;
        }
    }
    let Some(usage) = mirrors.first().map(Mirror::usage) else {
        return answer.line("nothing is mirrored").await;
    };
    answer.line(&format!("in all: {} records, {} bytes on the disk", usage.entries, usage.bytes)).await
}

fn in_words(status: &Status) -> String {
    let Status { whole_files, partial_files, folders, listings, missing, bytes, is_pinned } = status;
    let pinned = if *is_pinned { ", pinned" } else { "" };
    format!(
        "{whole_files} files whole, {partial_files} in part, {folders} folders, {listings} listings, {missing} missing, {bytes} bytes{pinned}"
    )
}

/// Fetches what `pattern` fits; a line a file.
async fn warm(space: &Arc<Vfs>, pattern: &VPath, answer: &mut Answer) -> Result<String, String> {
    let literal = pattern.segments().iter().take_while(|segment| !Pattern::is_open(segment.name())).count();
    let start = pattern.prefix(literal);
    let is_literal = literal == pattern.segments().len();
    let fits = match is_literal {
        true => None,
        false => Some(Pattern::parse(&pattern.to_string()).map_err(|error| error.to_string())?),
    };
    let tree: Arc<dyn FileSystem> = Arc::<Vfs>::clone(space);
    let mut warming = Warming { space, running: JoinSet::new(), files: 0, bytes: 0, failures: 0 };
    let found = tree.metadata(&start, &StatOptions::default()).await.map_err(|error| error.to_string())?;
    if found.is_file() {
        if is_literal {
            warming.begin(&start, answer).await?;
        }
        return warming.end(answer).await;
    }
    let mut walk = Walk::new(&tree, Wish { order: Order::AsListed, hidden: true, metadata: false });
    walk.enter(&start).await.map_err(|error| error.to_string())?;
    while let Some(step) = walk.next().await {
        match step {
            Ok(Step::Found(found)) if found.file_type == FileType::Dir => {
                if let Err(error) = walk.enter(&found.path).await {
                    warming.fail(&found.path, &error, answer).await?;
                }
            }
            Ok(Step::Found(found))
                if found.file_type == FileType::File
                    && fits.as_ref().is_none_or(|fits| fits.fits(&found.path)) =>
            {
                warming.begin(&found.path, answer).await?;
            }
            Ok(_) => {}
            Err(error) => warming.fail(&start, &error, answer).await?,
        }
    }
    warming.end(answer).await
}

/// Files on their way. A drop stops waiting for them.
struct Warming<'a> {
    space: &'a Arc<Vfs>,
    running: JoinSet<(VPath, vfs::Result<u64>)>,
    files: u64,
    bytes: u64,
    failures: u64,
}

impl Warming<'_> {
    async fn begin(&mut self, path: &VPath, answer: &mut Answer) -> Result<(), String> {
        let Some((mirror, below)) = self.space.mirror(path) else {
            self.failures += 1;
            return answer.line(&format!("{path}: failed: it lies in no mirror")).await;
        };
        if self.running.len() == AT_ONCE {
            self.settle(answer).await?;
        }
        let path = path.clone();
        self.running.spawn(async move {
            let warmed = mirror.warm(&below).await;
            (path, warmed)
        });
        Ok(())
    }

    async fn settle(&mut self, answer: &mut Answer) -> Result<(), String> {
        match self.running.join_next().await {
            Some(Ok((path, Ok(bytes)))) => {
                self.files += 1;
                self.bytes += bytes;
                answer.line(&format!("{path} {bytes}")).await
            }
            Some(Ok((path, Err(error)))) => self.fail(&path, &error, answer).await,
            Some(Err(lost)) => Err(lost.to_string()),
            None => Ok(()),
        }
    }

    async fn fail(&mut self, path: &VPath, error: &vfs::Error, answer: &mut Answer) -> Result<(), String> {
        self.failures += 1;
        answer.line(&format!("{path}: failed: {error}")).await
    }

    async fn end(mut self, answer: &mut Answer) -> Result<String, String> {
        while !self.running.is_empty() {
            self.settle(answer).await?;
        }
        let Self { files, bytes, failures, .. } = self;
        if failures > 0 {
            return Err(format!("{failures} could not be fetched; {files} files of {bytes} bytes are kept"));
        }
        Ok(format!("{files} files of {bytes} bytes are kept"))
    }
}
