//! The suite of `vfs::conformance` over remote sites: our own front ends, and servers of other people.

// What fails here fails its test.
#![allow(clippy::unwrap_used)]

mod asked;
mod ftp_servers;
mod http_servers;
mod own_ftp;
mod shown;
