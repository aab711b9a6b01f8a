//! Calls that hash a file.

use vfs::jobs::Disk;
use vfs::producer::{self, Algorithm};
use vfs::{ByteRange, Intent, OpenOptions};

use super::{Ask, Failure, Outcome};
use crate::ftp::command::Hashing;

impl Ask {
    /// HASH, XCRC and their kin. The part that a range leaves out is not read.
    pub(in crate::ftp) async fn hash(self, hashing: Hashing, chosen: Algorithm, disk: Disk) -> Outcome {
        let algorithm = hashing.algorithm.unwrap_or(chosen);
        match self.digest(hashing, algorithm, &disk).await {
            Ok((range, digest)) => {
                Outcome::Hashed { answer: hashing.answer, algorithm, range, digest, path: self.path }
            }
            Err(failure) => self.fail(failure),
        }
    }

    async fn digest(
        &self,
        hashing: Hashing,
        algorithm: Algorithm,
        disk: &Disk,
    ) -> Result<(ByteRange, Vec<u8>), Failure> {
        let intent = if hashing.start > 0 || hashing.end.is_some() { Intent::Range } else { Intent::Whole };
        let options = OpenOptions { intent, ..OpenOptions::reading_file() };
        let file = self.view.open(&self.path, &options).await.map_err(Failure::Tree)?;
        let len = file.metadata().await.map_err(Failure::Tree)?.len.ok_or(Failure::LenUnknown)?;
        let end = hashing.end.unwrap_or(len).min(len);
        if hashing.start > end {
            return Err(Failure::RestartPastEnd);
        }
        let range = ByteRange { start: hashing.start, end: Some(end) };
        let digest = producer::digest(producer::of(file, range), algorithm, disk).await;
        Ok((range, digest.map_err(Failure::Tree)?))
    }
}
