//! Every tree passes the suite of `vfs::conformance`: a line a tree, a test a case.

mod faulty;

use std::sync::Arc;

use vfs::backends::memory::MemoryFs;
use vfs::conformance::Subject;

vfs::conformance_tests! {
    memory lacks [SpecialFiles] => Subject::filled(Arc::new(MemoryFs::new()));
}
