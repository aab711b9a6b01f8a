//! Real clients against the real program: they get the folder byte for byte, odd names included.
//!
//! A test whose client is missing says `skipped`, and fails where `VFSD_PEERS=required`.

// What fails here fails its test.
#![allow(clippy::unwrap_used)]

mod apt;
mod archives;
mod browser;
mod ftp;
mod ftps;
mod http;
mod program;
