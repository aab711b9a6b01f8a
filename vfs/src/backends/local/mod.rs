//! A folder of the host as a tree, confined by construction.
//!
//! Every lookup goes through one door (`lookup.rs`), which the kernel guards with openat2(2): whatever links say and
//! however they change meanwhile, nothing outside of the folder is ever seen. Calls that may wait for a disk run as
//! jobs; what the kernel has in memory is answered on the spot, so a small file that is warm costs no hop to the pool.
//!
//! What it cannot do:
//! - Only files and folders are opened. Devices, FIFOs and sockets are described and listed, and refused by `open`.
//! - A path longer than 4,095 bytes is `NameTooLong`, as for every program on the host.
//! - Names that the part files of atomic writes take (`.`, 16 hexadecimal digits, `.vfsd-part`) are not listed and
//!   `NotFound`. A folder that holds one is not empty.
//! - Names that a change of a whole folder takes meanwhile ([`Aside`](crate::Aside)) are not listed, and can be reached.
//! - Access lists and extended attributes are neither shown nor carried over by an atomic write.

mod attributes;
mod config;
#[cfg(test)]
mod confinement;
mod error;
mod file;
mod files;
mod fs;
mod listing;
mod lock;
mod lookup;
mod opening;
mod stage;
mod status;
mod sweep;
#[cfg(test)]
mod testing;
mod walk;
mod writing;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::config::{Links, LocalOptions};
use self::error::Fault;
use self::lookup::{Root, Wait};
use crate::error::Result;
use crate::jobs::Disk;
use crate::path::VPath;

/// A folder of the host as a tree. Clones share it.
///
/// It goes on showing the same folder when that is renamed. Dropping it leaves open files open.
#[derive(Clone)]
pub struct LocalFs {
    root: Arc<Root>,
    disk: Disk,
    writable: bool,
    shown: Arc<PathBuf>,
}

impl LocalFs {
    /// The folder `root`, read-only, its links confined to it; see [`LocalOptions`].
    ///
    /// # Errors
    /// As [`LocalFs::open_with`].
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(root, &LocalOptions::default())
    }

    /// The folder `root`; links on the way to it are followed, they are the operator's own. Waits for the disk for a
    /// few calls: it is meant for the moment of mounting.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, `PermissionDenied`, and what else the system says of the folder.
    pub fn open_with(root: impl AsRef<Path>, options: &LocalOptions) -> Result<Self> {
        // What was kept aside before is an earlier run's.
        sweep::first_opened();
        let folder = root.as_ref();
        match Root::open(folder, options.links) {
            Ok(root) => Ok(Self::of(root, options.writable, folder)),
            Err(errno) => {
                let detail = format!("the folder to show is {}", folder.display());
                Err(Fault::from(errno).at("open", &VPath::root()).with_detail(detail))
            }
        }
    }

    fn of(root: Root, writable: bool, shown: &Path) -> Self {
        Self { root: Arc::new(root), disk: Disk::new(), writable, shown: Arc::new(shown.to_owned()) }
    }

    /// Runs `work` as a job.
    async fn job<T: Send + 'static>(
        &self,
        op: &'static str,
        path: &VPath,
        work: impl FnOnce(&Root, &VPath) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let (root, at) = (Arc::clone(&self.root), path.clone());
        match self.disk.run(op, move || work(&root, &at)).await {
            Ok(done) => done.map_err(|fault| fault.at(op, path)),
            Err(lost) => Err(lost.readdressed(|_| path.clone())),
        }
    }

    /// Does `work` on the spot where the kernel has all it needs in memory, else as a job.
    async fn quick<T: Send + 'static>(
        &self,
        op: &'static str,
        path: &VPath,
        work: impl Fn(&Root, &VPath, Wait) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        match work(&self.root, path, Wait::Never) {
            Err(Fault::WouldWait) => {}
            done => return done.map_err(|fault| fault.at(op, path)),
        }
        self.job(op, path, move |root, path| work(root, path, Wait::Allowed)).await
    }

    /// Runs a change as a job; a read-only tree answers at once.
    async fn change<T: Send + 'static>(
        &self,
        op: &'static str,
        path: &VPath,
        work: impl FnOnce(&Root, &VPath) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        if !self.writable {
            return Err(Fault::ReadOnly.at(op, path));
        }
        self.job(op, path, work).await
    }
}

impl fmt::Debug for LocalFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalFs")
            .field("root", &self.shown)
            .field("writable", &self.writable)
            .finish_non_exhaustive()
    }
}
