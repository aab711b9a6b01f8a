//! `vfsd index`: reads archives through ahead of time, so that who asks first need not wait.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use clap::Args;
use vfs::backends::archive::{self, ArchiveService};
use vfs::jobs::{Disk, PIECE_BYTES};
use vfs::path::Scheme;
use vfs::{Error, ErrorKind, File, Intent, OpenOptions, VPath, index_beside};

use crate::cache::Cache;
use crate::cli::Over;
use crate::config::host_path;
use crate::console::Console;
use crate::failure::Failure;
use crate::namespace::{self, Host};
use crate::progress::Progress;

/// Arguments of `vfsd index`.
#[derive(Args, Clone, Debug)]
pub struct Index {
    #[command(flatten)]
    over: Over,
    /// Where indexes are kept; give `serve` the same [default: $XDG_CACHE_HOME/vfsd]
    #[arg(long, value_name = "DIR")]
    cache: Option<Cache>,
    /// Put a copy of each index beside its archive, as .NAME.vfsd-index, for servers with --indexes-beside
    #[arg(long)]
    beside: bool,
    /// Archives to read through, by what they look like, or by a marker as in x.tar.gz#tgz:
    #[arg(required = true, value_name = "FILE")]
    files: Vec<OsString>,
}

/// Builds the indexes, one archive after the other, and writes a line for each. One that cannot be read through is
/// complained about, and the others follow.
///
/// # Errors
/// [`Failure::Reported`] where any could not be read through; [`Failure::Usage`] where there is no folder for indexes.
pub async fn run(arguments: &Index, console: &mut Console) -> Result<(), Failure> {
    let cache = arguments.cache.clone().unwrap_or_else(Cache::usual);
    if cache.is_off() {
        return Err(Failure::Usage("there is no folder for indexes: name one with --cache DIR".to_owned()));
    }
    let host = match arguments.beside {
        true => Host::writable(&arguments.over).await?,
        false => Host::open(&arguments.over).await?,
    };
    let service = ArchiveService::new(namespace::patient_archives(&cache, &arguments.over));
    for operand in host.operands(&arguments.files)? {
        match index(&service, &host, operand.path()).await {
            Ok(found) => {
                console.line(format!("{}: {} names", operand.path(), found.names))?;
                if let Some(index) = found.index.filter(|_| arguments.beside)
                    && let Err(error) = put_beside(&host, operand.path(), &index).await
                {
                    console.complain(error);
                }
                if let Some(remark) = found.remark {
                    console.note(format!("vfsd: {}: {remark}", operand.path()));
                }
            }
            Err(error) => console.complain(error),
        }
    }
    Ok(())
}

async fn index(service: &ArchiveService, host: &Host, path: &VPath) -> vfs::Result<archive::Progress> {
    let (file, scheme) = open(host, path).await?;
    let mut bar = None;
    let show = |progress: &archive::Progress| {
        bar.get_or_insert_with(|| Progress::going_on(path, progress.total, progress.done))
            .reach(progress.done);
    };
    service.index(scheme, file, path, show).await
}

/// Copies the index of the archive at `path` to where it lies beside it.
async fn put_beside(host: &Host, path: &VPath, index: &Path) -> vfs::Result<()> {
    let (at, index) = (host_path(index), index.to_owned());
    let bytes = Disk::new().run("read", move || std::fs::read(index)).await?;
    let mut bytes = Bytes::from(bytes.map_err(|error| Error::from_io(error, "read", &at))?);
    let (archive, _) = outer(path)?;
    let Some(beside) = index_beside(&archive) else {
        return Err(Error::new(ErrorKind::NameTooLong, "index", &archive));
    };
    let file = host.tree().open(&beside, &OpenOptions::replacing()).await?;
    let mut offset = 0;
    while !bytes.is_empty() {
        let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
        let len = piece.len() as u64;
        file.write_at(offset, piece).await?;
        offset += len;
    }
    file.finish().await
}

/// The archive's file, and how it is to be entered.
async fn open(host: &Host, path: &VPath) -> vfs::Result<(Arc<dyn File>, Scheme)> {
    let (file, scheme) = outer(path)?;
    let options = OpenOptions { intent: Intent::Range, ..OpenOptions::reading() };
    Ok((host.tree().open(&file, &options).await?, scheme))
}

/// Where the archive's file is, and how it is to be entered: by the last marker of the path, or by what it looks like.
fn outer(path: &VPath) -> vfs::Result<(VPath, Scheme)> {
    let Some(segment) = path.file_name() else {
        let detail = "the root is no archive";
        return Err(Error::new(ErrorKind::IsADirectory, "index", path).with_detail(detail));
    };
    let (scheme, outer) = match segment.markers() {
        [outer @ .., scheme] => (*scheme, outer),
        [] => (Scheme::Auto, &[][..]),
    };
    let mut file = path.parent().unwrap_or_default().child(segment.name().clone())?;
    for marker in outer {
        file = file.entered(*marker).expect("it ends in the name that it was given above");
    }
    Ok((file, scheme))
}
