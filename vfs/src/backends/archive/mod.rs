//! Archives as trees: random access inside tar, zip and compressed streams, over any [`File`](crate::File).
//!
//! A codec turns a compressed file into a file that can be read at any offset, a container turns a file into a tree;
//! what an address chains is chained here. An archive's member is a file as any other, so archives nest.

#[cfg(test)]
mod attacks;
mod bare;
mod bounds;
mod budget;
mod bzip2;
mod catalog;
mod codec;
mod decoded;
mod decoding;
mod entry;
mod foreign;
mod fs;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod growing;
mod gzip;
mod index;
mod layout;
mod member;
mod opening;
mod packing;
mod pass;
mod passed;
mod progress;
mod proven;
mod reading;
mod runs;
mod scan;
mod service;
mod sniff;
mod spool;
mod steps;
mod tar;
#[cfg(test)]
mod tests;
mod trail;
#[cfg(any(test, fuzzing))]
mod trial;
mod walk;
mod xz;
mod zip;
mod zipped;
mod zstd;

pub use self::index::{IndexOptions, IndexPlace};
pub use self::progress::Progress;
pub use self::service::{ArchiveOptions, ArchiveService};
