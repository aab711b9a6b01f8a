//! Zip archives (PKWARE's APPNOTE 6.3.10): the directory at the end is the only truth, and members are read where it says.
//!
//! - [`Directory`] finds the directory and gives its records in batches, for a catalog that keeps what it needs.
//! - [`Zip`] opens members by what the directory said about them, and believes nothing that contradicts it.
//!
//! Members that are stored, or packed by deflate, bzip2, zstd or xz, can be read; others, and encrypted ones, are listed
//! and say why they cannot. An archive
//! may have something in front, such as an unpacking program; nothing may follow its comment. Folders that have no record
//! of their own are the catalog's to add. Nothing is allocated for a number that an archive merely states.

mod directory;
mod ending;
mod extents;
mod fields;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod member;
mod name;
mod record;
#[cfg(test)]
pub(in crate::backends::archive) mod tests;
mod time;
mod verified;

pub(super) use directory::{Directory, Notes};
pub(super) use member::{Content, Zip};
pub(super) use record::{Member, Row, ZipEntry};
