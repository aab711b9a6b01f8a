//! Every tree passes the suite of `vfs::conformance`: a line a tree, a test a case.

// What fails here fails its test.
#![allow(clippy::unwrap_used)]

mod faulty;
mod sites;
mod trees;
mod walked_rights;

use std::sync::Arc;

use vfs::backends::memory::MemoryFs;
use vfs::conformance::Subject;

use crate::trees::{around, http, in_namespace, local, local_read_only, meta_cache, read_only, rights};

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
    namespace lacks [SpecialFiles] => in_namespace("/");
    http lacks [Writes, Symlinks, Modes, Locks, SpecialFiles, MarkerNames, FolderTimes] => http();
    namespace_deep lacks [SpecialFiles] => in_namespace("/mounted/at/depth");
}
