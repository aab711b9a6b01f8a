//! Archives as trees: random access inside tar, zip and compressed streams, over any [`File`](crate::File).
//!
//! A codec turns a compressed file into a file that can be read at any offset, a container turns a file into a tree;
//! what an address chains is chained here. An archive's member is a file as any other, so archives nest.

mod codec;
mod foreign;
mod gzip;
mod zip;
