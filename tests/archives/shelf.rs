//! A folder with files to pack, what a script makes of them, and what comes out of that again.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// How a shell says that there is no such program.
const NOT_FOUND: i32 = 127;

/// A folder in which a script has run.
pub(crate) struct Shelf(TempDir);

impl Shelf {
    /// Fills a folder `tree`, and runs `script` beside it, which puts what it extracts into `out`. `None`, with a line that
    /// says `skipped`, where a program that it names is not installed; `scripts/packages.txt` has them all.
    ///
    /// # Panics
    /// Where the script fails, or a program is missing and `VFSD_PEERS` is `required`.
    pub(crate) fn make(script: &str) -> Option<Self> {
        let shelf = Self(tempfile::tempdir().unwrap());
        let mut random = Random::new("tree");
        for folder in ["out", "tree", "tree/deep", "tree/deep/er"] {
            fs::create_dir(shelf.path().join(folder)).unwrap();
        }
        for (name, content) in [
            ("text", random.text(1_600_000)),
            ("empty", Vec::new()),
            ("small", b"small".to_vec()),
            ("deep/noise", random.noise(300_000)),
            ("deep/er/text", random.text(600_000)),
            ("deep/er/zeros", vec![0; 200_000]),
        ] {
            fs::write(shelf.path().join("tree").join(name), content).unwrap();
        }
        let mut shell = Command::new("sh");
        // The format is the same, and the tests do not wait for the compressor.
        shell.env("XZ_OPT", "-1");
        let done = shell.args(["-e", "-c", script]).current_dir(shelf.path()).output().unwrap();
        let is_missing = done.status.code() == Some(NOT_FOUND);
        if is_missing && std::env::var("VFSD_PEERS").as_deref() != Ok("required") {
            #[allow(clippy::print_stderr)] // This is where a person who runs the tests looks.
            {
                eprintln!("skipped: {}", String::from_utf8_lossy(&done.stderr));
            }
            return None;
        }
        assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
        Some(shelf)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Lets every user of the machine read what lies here, as servers of other users must.
    pub(crate) fn open_to_all(&self) {
        let readable = Command::new("chmod").args(["-R", "a+rX"]).arg(self.path()).status().unwrap();
        assert!(readable.success());
    }

    /// The files below `out`, by their path there.
    pub(crate) fn extracted(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        collect(&self.path().join("out"), "", &mut found);
        found
    }
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &format!("{name}/"), found);
        } else {
            found.push((name, fs::read(entry.path()).unwrap()));
        }
    }
}

/// Numbers that look random, from a seed (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: &str) -> Self {
        Self(seed.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into())))
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Lines that compress as text does.
    fn text(&mut self, len: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(len + 64);
        while text.len() < len {
            let line = format!("{} the {:x} of {}\n", text.len(), self.below(4096), self.below(90));
            text.extend_from_slice(line.as_bytes());
        }
        text.truncate(len);
        text
    }

    /// Bytes that nothing compresses.
    fn noise(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
