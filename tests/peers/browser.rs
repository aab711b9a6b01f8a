//! Chromium over HTTP: a person's way through the pages, driven by `browser.py`.

use support::{Program, run};

use crate::program::Serving;

/// An empty zip archive is its end record alone.
const EMPTY_ZIP: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

#[test]
fn chromium_opens_sorts_enters_downloads_and_uploads() {
    let (Some(_), Some(mut python)) = (Program::Chromium.find(), Program::Python.find()) else { return };
    let serving = Serving::writable();
    let folder = serving.folder.path();
    std::fs::create_dir(folder.join("sub")).unwrap();
    let content: Vec<u8> = (0..300_000_u32).map(|at| (at / 3) as u8).collect();
    for (name, content) in [("a.txt", &content[..]), ("b.bin", &content[..10]), ("c.zip", EMPTY_ZIP)] {
        std::fs::write(folder.join(name), content).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/browser.py");
    run(python.command().args([script, &serving.http]).arg(folder));
}
