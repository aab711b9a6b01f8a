//! Reading of a table of contents: exactly so many bytes, in as many reads as the file needs.

use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::path::VPath;

/// Reads `len` bytes from `at` on; the caller knows that the file has them. `Truncated` where it has not any more.
pub(super) async fn read_exact(file: &dyn File, at: u64, len: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let piece = file.read_at(at + bytes.len() as u64, len - bytes.len()).await?;
        if piece.is_empty() {
            let detail = "the file became shorter while its table of contents was read";
            return Err(Error::new(ErrorKind::Truncated, "open", &VPath::root()).with_detail(detail));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
