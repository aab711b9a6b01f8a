//! Every tree passes the suite of `vfs::conformance`: a line a tree, a test a case.

// What fails here fails its test.
#![allow(clippy::unwrap_used)]

mod faulty;
mod trees;
mod walked_rights;

use std::sync::Arc;

use vfs::backends::memory::MemoryFs;
use vfs::conformance::Subject;
use vfs::path::Scheme;

use crate::trees::{
    around, http, in_namespace, local, local_read_only, meta_cache, mirror, read_only, rights, tar,
    tar_in_xz, tgz_in_zip, zip, zip_in_tgz,
};

vfs::conformance_tests! {
    memory lacks [SpecialFiles] => Subject::filled(Arc::new(MemoryFs::new()));
    local lacks [AbsoluteLinks] => local(vfs::backends::local::Links::Beneath);
    local_re_rooted lacks [] => local(vfs::backends::local::Links::ReRooted);
    local_read_only lacks [Writes, AbsoluteLinks] => local_read_only();
    trace lacks [SpecialFiles] => around(vfs::layers::Trace::new("/"));
    breaker lacks [SpecialFiles] => around(vfs::layers::Breaker::default());
    limit lacks [SpecialFiles] => around(vfs::layers::Limit::default());
    timeout lacks [SpecialFiles] => around(vfs::layers::Timeout::default());
    read_only lacks [Writes, SpecialFiles] => read_only();
    rights lacks [SpecialFiles] => rights();
    meta_cache lacks [SpecialFiles] => meta_cache();
    mirror lacks [Writes, Locks, SpecialFiles] => mirror();
    namespace lacks [SpecialFiles] => in_namespace("/");
    tar_gnu lacks [Writes, Locks] => tar("gnu", &[], Scheme::Tar);
    tar_pax lacks [Writes, Locks] => tar("pax", &[], Scheme::Auto);
    tgz lacks [Writes, Locks] => tar("gnu", &["--gzip"], Scheme::Tgz);
    tbz2 lacks [Writes, Locks] => tar("gnu", &["--bzip2"], Scheme::Tbz2);
    txz lacks [Writes, Locks] => tar("pax", &["--xz"], Scheme::Txz);
    tzst lacks [Writes, Locks] => tar("gnu", &["--zstd"], Scheme::Tzst);
    zip lacks [Writes, Locks, SpecialFiles] => zip();
    zip_in_tgz lacks [Writes, Locks, SpecialFiles] => zip_in_tgz();
    tgz_in_zip lacks [Writes, Locks] => tgz_in_zip();
    tar_in_xz lacks [Writes, Locks] => tar_in_xz();
    http lacks [Writes, Symlinks, Modes, Locks, SpecialFiles, MarkerNames, FolderTimes] => http();
    namespace_deep lacks [SpecialFiles] => in_namespace("/mounted/at/depth");
}
