//! `vfsd index`: reads archives through ahead of time, so that who asks first need not wait.

use std::ffi::OsString;
use std::sync::Arc;

use clap::Args;
use vfs::backends::archive::{self, ArchiveService};
use vfs::path::Scheme;
use vfs::{Error, ErrorKind, File, Intent, OpenOptions, VPath};

use crate::cache::Cache;
use crate::cli::Over;
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
    let host = Host::open(&arguments.over).await?;
    let service = ArchiveService::new(namespace::patient_archives(&cache));
    for operand in host.operands(&arguments.files)? {
        match index(&service, &host, operand.path()).await {
            Ok(found) => {
                console.line(format!("{}: {} names", operand.path(), found.names))?;
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
        bar.get_or_insert_with(|| Progress::of(path, progress.total)).reach(progress.done);
    };
    service.index(scheme, file, path, show).await
}

/// The archive's file, and how it is to be entered: by the last marker of the path, or by what it looks like.
async fn open(host: &Host, path: &VPath) -> vfs::Result<(Arc<dyn File>, Scheme)> {
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
    let options = OpenOptions { intent: Intent::Range, ..OpenOptions::reading() };
    Ok((host.tree().open(&file, &options).await?, scheme))
}
