//! Calls that change the tree.

use vfs::jobs::Disk;
use vfs::walk::copy_file;
use vfs::{RenameOptions, SetAttributes, StatOptions, VPath};

use super::{Ask, Failure, Outcome};
use crate::ftp::command::{Edit, Errand};

impl Ask {
    /// DELE, RMD, MKD, MFMT, MFF and what SITE changes.
    pub(in crate::ftp) async fn edit(self, edit: Edit) -> Outcome {
        let done = match &edit {
            Edit::RemoveFile => self.view.remove_file(&self.path).await,
            Edit::RemoveFolder => self.view.remove_dir(&self.path).await,
            Edit::CreateFolder => self.view.create_dir(&self.path).await,
            Edit::SetAttributes(attributes, _) => self.set_attributes(attributes).await,
            Edit::Link(target) => self.view.symlink(&target.clone().into(), &self.path).await,
        };
        match done {
            Ok(()) => Outcome::Edited { edit, path: self.path },
            Err(error) => self.fail(Failure::Tree(error)),
        }
    }

    /// RNFR and CPFR: only of what is there.
    pub(in crate::ftp) async fn choose(self, errand: Errand) -> Outcome {
        // What is renamed is a link itself, what is copied is what it leads to.
        let options = StatOptions { follow: errand == Errand::Copy, ..StatOptions::default() };
        match self.view.metadata(&self.path, &options).await {
            Ok(found) if errand == Errand::Copy && !found.is_file() => self.fail(Failure::NotAFile),
            Ok(_) => Outcome::Chosen { errand, path: self.path },
            Err(error) => self.fail(Failure::Tree(error)),
        }
    }

    /// RNTO and CPTO.
    pub(in crate::ftp) async fn carry_out(self, errand: Errand, from: VPath, disk: Disk) -> Outcome {
        let done = match errand {
            Errand::Rename => {
                self.view.rename(&from, &self.path, &RenameOptions { no_replace: !self.overwrites }).await
            }
            Errand::Copy => copy_file(&*self.view, &from, &self.path, self.overwrites, &disk).await,
        };
        match done {
            Ok(()) => Outcome::CarriedOut,
            Err(error) => self.fail(Failure::Tree(error)),
        }
    }

    async fn set_attributes(&self, attributes: &SetAttributes) -> vfs::Result<()> {
        self.view.set_attributes(&self.path, attributes, true).await
    }
}
