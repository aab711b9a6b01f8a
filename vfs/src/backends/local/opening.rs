//! Opening: what is looked at before a file is opened, and what is done with it after.
//!
//! A name is opened with `O_PATH` first, which touches nothing: opening a FIFO would wake its writer, opening some
//! devices sets them going. Only what proves to be a file is opened for real, with `O_NONBLOCK` and a second look, so
//! that one which is swapped in between is not waited for either. What was a file a moment ago is not looked at again:
//! that is half of what it costs to open a file which is asked for all the time.

use std::os::fd::OwnedFd;
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags, Statx};
use rustix::io::Errno;

use super::error::Fault;
use super::lookup::{Root, Wait};
use super::status;
use super::writing::{self, Part};
use crate::metadata::{FileType, Validator};
use crate::options::{OpenOptions, WriteMode};
use crate::path::VPath;

/// Permission bits of a new file where the caller states none; the process's mask comes off.
pub(super) const NEW_FILE_MODE: u32 = 0o666;

/// How often a file that may be made is looked for again, when it was there for the look and gone for the opening.
const OPEN_TRIES: usize = 32;

/// An open file, its status when it was opened, and the part file of an atomic write.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: OwnedFd,
    pub(super) status: Statx,
    pub(super) part: Option<Part>,
}

/// Opens `path`. Changes are for jobs only; `options` have been checked.
pub(super) fn open(root: &Root, path: &VPath, options: &OpenOptions, wait: Wait) -> Result<Opened, Fault> {
    if options.changes() && wait == Wait::Never {
        return Err(Fault::WouldWait);
    }
    if options.changes() && options.write_mode == WriteMode::Atomic {
        return writing::begin(root, path, options);
    }
    if options.create_new {
        return open_new(root, path, options);
    }
    open_existing(root, path, options, wait)
}

fn open_new(root: &Root, path: &VPath, options: &OpenOptions) -> Result<Opened, Fault> {
    // What is not there yet has no version to match.
    if options.if_match.is_some() {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        return match root.find(path, flags, Mode::empty(), Wait::Allowed) {
            Err(Fault::System(Errno::NOENT)) => Err(Fault::Changed),
            found => Err(found.err().unwrap_or(Errno::EXIST.into())),
        };
    }
    let flags = access(options) | OFlags::CREATE | OFlags::EXCL;
    let file = root.find(path, flags, new_mode(options), Wait::Allowed)?;
    let status = status::of(&file)?;
    Ok(Opened { file, status, part: None })
}

fn open_existing(root: &Root, path: &VPath, options: &OpenOptions, wait: Wait) -> Result<Opened, Fault> {
    let file = open_seen(root, path, options, wait)?;
    let status = status::of(&file)?;
    expect_file(&status)?;
    expect_version(&status, options.if_match.as_ref())?;
    if options.changes() {
        // For reading a regular file `O_NONBLOCK` means nothing (open(2)).
        rustix::fs::fcntl_setfl(&file, if options.append { OFlags::APPEND } else { OFlags::empty() })?;
    }
    if options.truncate && status.stx_size > 0 {
        rustix::io::retry_on_intr(|| rustix::fs::ftruncate(&file, 0))?;
    }
    Ok(Opened { file, status, part: None })
}

/// Opens what a look has found to be a file, or makes one where it has found nothing and may. `O_CREAT` is not given
/// for a file that is there: in a sticky folder it refuses those of others (`fs.protected_regular`).
fn open_seen(root: &Root, path: &VPath, options: &OpenOptions, wait: Wait) -> Result<OwnedFd, Fault> {
    let nofollow = if options.follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    let flags = access(options) | nofollow | OFlags::NONBLOCK | OFlags::NOCTTY;
    if !options.changes() && root.files().knows(path) {
        return match root.find(path, flags, Mode::empty(), wait) {
            Err(Fault::System(Errno::NXIO)) => Err(Fault::Special),
            found => found,
        };
    }
    for _ in 0..OPEN_TRIES {
        let (create, mode) = match root.find(path, OFlags::PATH | nofollow, Mode::empty(), wait) {
            Ok(found) => {
                expect_file(&status::of(found)?)?;
                root.files().learn(path);
                (OFlags::empty(), Mode::empty())
            }
            Err(Fault::System(Errno::NOENT)) if options.create => match options.if_match {
                Some(_) => return Err(Fault::Changed),
                None => (OFlags::CREATE, new_mode(options)),
            },
            Err(fault) => return Err(fault),
        };
        match root.find(path, flags | create, mode, wait) {
            // open(2), ENXIO: a FIFO without a reader, or a socket, that took the place just now.
            Err(Fault::System(Errno::NXIO)) => return Err(Fault::Special),
            // It was removed after the look: now it is to be made.
            Err(Fault::System(Errno::NOENT)) if options.create && create.is_empty() => {}
            found => return found,
        }
    }
    Err(Errno::BUSY.into())
}

/// Refuses what is no regular file.
pub(super) fn expect_file(status: &Statx) -> Result<(), Fault> {
    match status::file_type(status) {
        FileType::File => Ok(()),
        FileType::Dir => Err(Errno::ISDIR.into()),
        FileType::Symlink => Err(Errno::LOOP.into()),
        FileType::Other => Err(Fault::Special),
    }
}

/// Refuses any version but `wanted`; a strong one is matched by a strong one only (RFC 9110 §8.8.3.2).
pub(super) fn expect_version(status: &Statx, wanted: Option<&Validator>) -> Result<(), Fault> {
    let Some(wanted) = wanted else { return Ok(()) };
    let found = status::validator(status, SystemTime::now());
    let same = match wanted {
        Validator::Strong(_) => found.matches_strongly(wanted),
        Validator::Weak(text) => found.as_str() == &**text,
    };
    if same { Ok(()) } else { Err(Fault::Changed) }
}

/// Permission bits for a file that is made.
pub(super) fn new_mode(options: &OpenOptions) -> Mode {
    Mode::from_raw_mode(options.mode.unwrap_or(NEW_FILE_MODE) & 0o7777)
}

fn access(options: &OpenOptions) -> OFlags {
    let writes = options.write || options.append;
    let access = match (options.read, writes) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    };
    if options.append { access | OFlags::APPEND } else { access }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::backends::local::Links;
    use crate::backends::local::testing::{Scene, path};
    use crate::file_system::FileSystem;
    use crate::options::OpenOptions;

    /// How often a file is opened while somebody else makes and removes it.
    const ROUNDS: usize = 2000;

    #[test]
    fn a_file_that_comes_and_goes_is_opened_or_made() {
        let scene = Scene::new();
        let (name, ended) = (scene.inside("file"), AtomicBool::new(false));
        let [kernel, walk] = scene.doors(Links::Beneath);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    std::fs::write(&name, "").unwrap();
                    let _ = std::fs::remove_file(&name);
                }
            });
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let opened = runtime.block_on(async {
                for tree in [&kernel, &walk].into_iter().cycle().take(ROUNDS) {
                    tree.open(&path("/file"), &OpenOptions::writing()).await?;
                }
                Ok::<_, crate::Error>(())
            });
            ended.store(true, Ordering::Relaxed);
            opened.unwrap();
        });
    }
}
