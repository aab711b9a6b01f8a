//! Folders of the host for tests: written, and read back to be compared.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Relative path → content; `None` is a folder.
pub type Layout = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Names that break servers and clients, none with a newline: not all protocols can carry one.
pub fn odd_names() -> Vec<Vec<u8>> {
    let names: [&[u8]; 19] = [
        b"plain.txt",
        b"with space",
        b" leading and trailing ",
        b"hash#tag",
        b"100% of it",
        b"percent%41",
        b"percent%2fslash",
        b"question?mark=1&x",
        b"quote\"quote",
        b"apostrophe's",
        b"less<than>&amp;",
        b"back\\slash",
        b"colon:first",
        b"-dash",
        b".hidden",
        b"plus+semi;colon",
        b"star*[glob]",
        "umlaut-\u{fc}-\u{1f600}".as_bytes(),
        b"latin1-\xfc\xff",
    ];
    names.map(<[u8]>::to_vec).to_vec()
}

/// Writes a folder of odd names, nested folders, and files of sizes around the borders that servers have.
pub fn write_folder(root: &Path) {
    for name in odd_names() {
        fs::write(at(root, &name), [&name[..], b" content"].concat()).expect("a file with an odd name");
    }
    for folder in ["empty", "deep/er/est", "sizes", "odd dir #1?%"] {
        fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    fs::write(root.join("odd dir #1?%/in side"), "inside").expect("a file");
    fs::write(root.join("deep/er/est/file"), "deep").expect("a file");
    for size in [0, 1, 4095, 4096, 32 * 1024, 32 * 1024 + 1, 1 << 20, (3 << 20) + 17] {
        let content: Vec<u8> =
            (0..size).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        fs::write(root.join(format!("sizes/{size}")), content).expect("a file");
    }
}

/// Reads a folder back.
pub fn read_folder(root: &Path) -> Layout {
    let mut layout = Layout::new();
    collect(root, b"", &mut layout);
    layout
}

fn collect(root: &Path, below: &[u8], layout: &mut Layout) {
    for entry in fs::read_dir(at(root, below)).expect("a folder that can be read") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_vec();
        let path = if below.is_empty() { name } else { [below, b"/", &name].concat() };
        if entry.file_type().expect("a type").is_dir() {
            layout.insert(path.clone(), None);
            collect(root, &path, layout);
        } else {
            layout.insert(path, Some(fs::read(entry.path()).expect("a file that can be read")));
        }
    }
}

fn at(root: &Path, relative: &[u8]) -> std::path::PathBuf {
    root.join(OsStr::from_bytes(relative))
}
