//! Random operations: what they are, and how a script of them grows from a seed.

use std::ffi::OsStr;
use std::fmt;
use std::io::SeekFrom;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use vfs::path::printed_name;

/// Few names, so that operations meet each other; among them one that looks like a marker and one that is no UTF-8.
const NAMES: [&[u8]; 5] = [b"a", b"b c", b"d", b"x#tgz:", b"\xff"];

/// Bits that leave the owner every right, so that cleaning up can never fail.
const MODES: [u32; 4] = [0o700, 0o755, 0o777, 0o741];

/// Files that are open at once.
pub(crate) const SLOTS: usize = 3;

/// One to three names.
#[derive(Clone)]
pub(crate) struct Place(Vec<&'static [u8]>);

/// What is written.
#[derive(Clone)]
pub(crate) struct Content(pub(crate) Vec<u8>);

/// One step. Slots hold open files; an operation on an empty one does nothing on either side.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    CreateDir(Place),
    CreateDirAll(Place),
    MakeDir {
        place: Place,
        recursive: bool,
        mode: u32,
    },
    Write(Place, Content),
    Read(Place),
    ReadToString(Place),
    Copy(Place, Place),
    Rename(Place, Place),
    HardLink(Place, Place),
    /// The text is relative and has no `..`, so that no link leads out of the tree wherever it is moved.
    Symlink(Place, Place),
    ReadLink(Place),
    Canonicalize(Place),
    Exists(Place),
    Metadata(Place),
    SymlinkMetadata(Place),
    ReadDir(Place),
    RemoveFile(Place),
    RemoveDir(Place),
    RemoveDirAll(Place),
    SetPermissions(Place, u32),
    Open(usize, Place, Switches),
    FileRead(usize, usize),
    FileWrite(usize, Content),
    FileSeek(usize, SeekFrom),
    FileReadAt(usize, usize, u64),
    FileWriteAt(usize, Content, u64),
    FileSetLen(usize, u64),
    FileSetModified(usize, u64),
    FileMetadata(usize),
    FileSync(usize),
    FileClone(usize, usize),
    FileClose(usize),
}

/// The switches of an opening.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switches {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) truncate: bool,
    pub(crate) create: bool,
    pub(crate) create_new: bool,
    pub(crate) mode: u32,
}

impl Place {
    /// As the host has it: names as they are.
    pub(crate) fn literal(&self) -> PathBuf {
        self.0.iter().map(|name| OsStr::from_bytes(name)).collect()
    }

    /// As `vfs::fs` has it: names as they are printed.
    pub(crate) fn printed(&self) -> PathBuf {
        let names = self.0.iter().map(|name| printed_name(name));
        names.fold(PathBuf::from("/"), |path, name| path.join(Path::new(OsStr::from_bytes(&name))))
    }
}

/// A report is read by people: paths as they are written, content by its length.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.literal())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// The first `steps` operations of the script that belongs to `seed`.
pub(crate) fn script(seed: u64, steps: usize) -> Vec<Operation> {
    let mut dice = Dice(seed);
    (0..steps).map(|_| dice.operation()).collect()
}

/// SplitMix64: small, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn slot(&mut self) -> usize {
        self.below(SLOTS)
    }

    fn mode(&mut self) -> u32 {
        MODES[self.below(MODES.len())]
    }

    fn place(&mut self) -> Place {
        let depth = 1 + self.below(3);
        Place((0..depth).map(|_| NAMES[self.below(NAMES.len())]).collect())
    }

    /// Mostly short, now and then longer than one read or write takes.
    fn content(&mut self) -> Content {
        let len = match self.below(60) {
            0 => (1 << 20) + self.below(9000),
            1..6 => self.below(70_000),
            _ => self.below(40),
        };
        let start = self.roll();
        Content((0..len as u64).map(|at| (start.wrapping_add(at * at) >> 3) as u8).collect())
    }

    fn offset(&mut self) -> u64 {
        self.below(60) as u64
    }

    fn seek(&mut self) -> SeekFrom {
        let by = self.below(60) as i64 - 30;
        match self.below(3) {
            0 => SeekFrom::Start(self.offset()),
            1 => SeekFrom::Current(by),
            _ => SeekFrom::End(by),
        }
    }

    fn switches(&mut self) -> Switches {
        Switches {
            read: self.coin(),
            write: self.coin(),
            append: self.below(4) == 0,
            truncate: self.below(4) == 0,
            create: self.coin(),
            create_new: self.below(4) == 0,
            mode: self.mode(),
        }
    }

    fn operation(&mut self) -> Operation {
        use Operation as Op;
        match self.below(44) {
            0..3 => Op::CreateDir(self.place()),
            3 => Op::CreateDirAll(self.place()),
            4 => Op::MakeDir { place: self.place(), recursive: self.coin(), mode: self.mode() },
            5..9 => Op::Write(self.place(), self.content()),
            9..11 => Op::Read(self.place()),
            11 => Op::ReadToString(self.place()),
            12 => Op::Copy(self.place(), self.place()),
            13..15 => Op::Rename(self.place(), self.place()),
            15 => Op::HardLink(self.place(), self.place()),
            16 => Op::Symlink(self.place(), self.place()),
            17 => Op::ReadLink(self.place()),
            18 => Op::Canonicalize(self.place()),
            19 => Op::Exists(self.place()),
            20 => Op::Metadata(self.place()),
            21 => Op::SymlinkMetadata(self.place()),
            22 => Op::ReadDir(self.place()),
            23..25 => Op::RemoveFile(self.place()),
            25 => Op::RemoveDir(self.place()),
            26 => Op::RemoveDirAll(self.place()),
            27 => Op::SetPermissions(self.place(), self.mode()),
            28..32 => Op::Open(self.slot(), self.place(), self.switches()),
            32..34 => Op::FileRead(self.slot(), self.below(50)),
            34..36 => Op::FileWrite(self.slot(), self.content()),
            36 => Op::FileSeek(self.slot(), self.seek()),
            37 => Op::FileReadAt(self.slot(), self.below(50), self.offset()),
            38 => Op::FileWriteAt(self.slot(), self.content(), self.offset()),
            39 => Op::FileSetLen(self.slot(), self.offset()),
            40 => Op::FileSetModified(self.slot(), self.offset()),
            41 => Op::FileMetadata(self.slot()),
            42 => {
                if self.coin() {
                    Op::FileSync(self.slot())
                } else {
                    Op::FileClone(self.slot(), self.slot())
                }
            }
            _ => Op::FileClose(self.slot()),
        }
    }
}
