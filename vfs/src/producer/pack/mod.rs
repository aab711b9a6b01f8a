//! [`pack`]: a whole folder as one archive, made while it is pulled.

mod tar;
#[cfg(test)]
mod tests;
mod walk;
mod zip;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use self::walk::Walk;
use super::compress::Coding;
use super::{Capacity, Channel, Chunk, Hint, Output, Producer, ProducerExt, channel};
use crate::error::Result;
use crate::file_system::{DirStream, FileSystem};
use crate::jobs::Disk;
use crate::path::VPath;

/// Pieces that wait to be pulled while the next one is made.
const AHEAD: Capacity = Capacity { chunks: 4, bytes: 64 * 1024 };

/// The form of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackFormat {
    /// POSIX tar (pax interchange format), with GNU tar's limits: none.
    Tar,
    /// zip with Deflate; zip64 where it must be.
    Zip,
}

/// What a folder is packed into, as the archive's suffix says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// `tar`
    Tar,
    /// `tar.gz`
    TarGz,
    /// `tar.zst`
    TarZst,
    /// `zip`
    Zip,
}

impl Packing {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Zip, Self::TarGz, Self::TarZst, Self::Tar];

    /// The archive's suffix, without a dot in front.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::TarGz => "tar.gz",
            Self::TarZst => "tar.zst",
            Self::Zip => "zip",
        }
    }

    /// What an archive of this name is, and the name without its suffix. `None` where no name stands before the suffix.
    pub fn of_name(name: &[u8]) -> Option<(&[u8], Self)> {
        Self::ALL.into_iter().find_map(|packing| {
            let stem = name.strip_suffix(packing.suffix().as_bytes())?.strip_suffix(b".")?;
            let is_name = !matches!(stem, b"" | b"." | b"..");
            is_name.then_some((stem, packing))
        })
    }

    /// Packs a folder as [`pack`] does, and compresses what comes of it where that is meant.
    pub fn pack(
        self,
        tree: Arc<dyn FileSystem>,
        path: &VPath,
        entries: DirStream,
        disk: &Disk,
    ) -> Box<dyn Producer> {
        let (format, coding) = match self {
            Self::Tar => (PackFormat::Tar, None),
            Self::TarGz => (PackFormat::Tar, Some(Coding::Gzip)),
            Self::TarZst => (PackFormat::Tar, Some(Coding::Zstd)),
            Self::Zip => (PackFormat::Zip, None),
        };
        let packed = pack(tree, path, entries, format, disk);
        match coding {
            Some(coding) => packed.compress(coding, disk).boxed(),
            None => packed.boxed(),
        }
    }
}

/// Packs the folder `path` of `tree`, whose listing `entries` is open already, so that a folder that cannot be listed is
/// an error before the first byte. Entries lie below the folder's own name; those of the tree's root below nothing.
///
/// - Links are kept as links; devices, FIFOs and sockets are left out; what vanishes meanwhile too.
/// - Modes and whole seconds of times are kept, owners are not told.
/// - Anything else that cannot be read ends it with that error: there is no short archive that looks whole.
/// - It holds one batch of a listing a level, at most 128 levels (`LimitExceeded`), and one piece of content. A zip's
///   directory grows with its entries, 64 MiB at most (`LimitExceeded`).
/// - A file whose length is not known beforehand is held until it is, 8 MiB at most (`LimitExceeded`), in a tar.
pub fn pack(
    tree: Arc<dyn FileSystem>,
    path: &VPath,
    entries: DirStream,
    format: PackFormat,
    disk: &Disk,
) -> Pack {
    let (output, channel) = channel(AHEAD);
    let walk = Walk::new(tree, path, entries);
    let disk = disk.clone();
    let work: Work = match format {
        PackFormat::Tar => {
            Box::pin(finish(output, async move |output: &mut Output| tar::write(walk, &disk, output).await))
        }
        PackFormat::Zip => {
            Box::pin(finish(output, async move |output: &mut Output| zip::write(walk, &disk, output).await))
        }
    };
    Pack { work: Some(work), channel }
}

/// A folder as an archive; see [`pack`]. It works while it is polled. A drop ends it.
pub struct Pack {
    work: Option<Work>,
    channel: Channel,
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// States the end that the work came to.
async fn finish<F>(mut output: Output, work: F)
where
    F: AsyncFnOnce(&mut Output) -> Result<()>,
{
    match work(&mut output).await {
        Ok(()) => output.finish(),
        Err(error) => output.fail(error),
    }
}

impl Producer for Pack {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        if let Some(work) = &mut self.work
            && work.as_mut().poll(cx).is_ready()
        {
            self.work = None;
        }
        self.channel.poll_more(cx)
    }

    fn hint(&self) -> Hint {
        if self.work.is_some() { Hint::UNKNOWN } else { self.channel.hint() }
    }
}

impl fmt::Debug for Pack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pack").field("is_working", &self.work.is_some()).finish_non_exhaustive()
    }
}
