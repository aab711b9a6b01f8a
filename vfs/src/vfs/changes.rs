//! [`Changes`]: what is mounted and taken away together.

use std::sync::Arc;

use super::mount::Mount;
use super::table::Node;
use super::{MountId, MountOptions, Mounts};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::FileSystem;
use crate::path::VPath;

/// Mounts and unmounts that take effect together; see [`Vfs::change`](super::Vfs::change).
#[derive(Debug)]
pub struct Changes {
    pub(super) table: Arc<Mounts>,
    pub(super) last: MountId,
    /// The mounts that are taken away.
    pub(super) gone: Vec<MountId>,
}

impl Changes {
    /// Mounts `tree` at `at`, over whatever folder is there or none. Asks nobody.
    ///
    /// # Errors
    /// `AlreadyExists` where something is mounted at the same path; `InvalidInput` inside an archive.
    pub fn mount(&mut self, at: &VPath, tree: Arc<dyn FileSystem>, options: MountOptions) -> Result<MountId> {
        self.check(at)?;
        let id = MountId(self.last.0 + 1);
        let mount = Arc::new(Mount::new(id, at, tree, options));
        self.table = Arc::new(self.table.with(at, mount).ok_or_else(|| taken(at))?);
        self.last = id;
        Ok(id)
    }

    /// Takes the mount at `at` away. Calls and open files go on; what is mounted below stays.
    ///
    /// # Errors
    /// `NotFound` where nothing is mounted at that very path.
    pub fn unmount(&mut self, at: &VPath) -> Result<()> {
        let plain = (at.archive_depth() == 0).then(|| self.table.without(at)).flatten();
        let Some((table, mount)) = plain else {
            let detail = "nothing is mounted here";
            return Err(Error::new(ErrorKind::NotFound, "unmount", at).with_detail(detail));
        };
        self.table = Arc::new(table);
        self.gone.push(mount.id);
        Ok(())
    }

    /// Refuses what can be refused before there is a tree to mount.
    pub(super) fn check(&self, at: &VPath) -> Result<()> {
        if at.archive_depth() > 0 {
            let detail = "nothing can be mounted inside of an archive";
            return Err(Error::new(ErrorKind::InvalidInput, "mount", at).with_detail(detail));
        }
        match self.table.find(at).node.and_then(Node::mount) {
            Some(_) => Err(taken(at)),
            None => Ok(()),
        }
    }
}

fn taken(at: &VPath) -> Error {
    let detail = "something is mounted here: unmount it first";
    Error::new(ErrorKind::AlreadyExists, "mount", at).with_detail(detail)
}
