//! One script, word for word, through `std::fs`, `tokio::fs` and ours: a signature that drifts does not compile, and an
//! answer that drifts shows.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::testing::local_tree;

/// What a call said, without what differs by nature: the base folder.
fn told<T: Debug>(base: &Path, result: io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}").replace(&base.display().to_string(), ""),
        Err(error) => format!("{:?}", error.kind()),
    }
}

fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

/// What all four have. `$wait` is `.await` or nothing.
macro_rules! common_script {
    ($base:ident, $list:ident; $($wait:tt)*) => {{
        let at = |name: &str| -> PathBuf { $base.join(name) };
        let mut said: Vec<String> = Vec::new();
        macro_rules! tell {
            ($result:expr) => { said.push(told($base, $result)) };
        }

        // Functions.
        tell!(fs::create_dir(at("d"))$($wait)*);
        tell!(fs::create_dir(at("d"))$($wait)*);
        tell!(fs::create_dir_all(at("d/e/f").as_path())$($wait)*);
        tell!(fs::write(at("a"), "text")$($wait)*);
        tell!(fs::write(at("bytes"), b"ab\xff")$($wait)*);
        tell!(fs::write(at("d"), vec![1])$($wait)*);
        tell!(fs::read(at("a"))$($wait)*);
        tell!(fs::read(at("d"))$($wait)*);
        tell!(fs::read(at("none"))$($wait)*);
        tell!(fs::read(at("a/b"))$($wait)*);
        tell!(fs::read("")$($wait)*);
        tell!(fs::read("a\0b")$($wait)*);
        tell!(fs::read_to_string(at("a"))$($wait)*);
        tell!(fs::read_to_string(at("bytes"))$($wait)*);
        tell!(fs::copy(at("a"), at("copy"))$($wait)*);
        tell!(fs::copy(at("d"), at("copy"))$($wait)*);
        tell!(fs::copy(at("a"), at("d"))$($wait)*);
        tell!(fs::hard_link(at("a"), at("second"))$($wait)*);
        tell!(fs::hard_link(at("none"), at("third"))$($wait)*);
        tell!(symlink("a", at("link"))$($wait)*);
        tell!(symlink("none", at("dangling"))$($wait)*);
        tell!(fs::read_link(at("link"))$($wait)*);
        tell!(fs::read_link(at("a"))$($wait)*);
        tell!(fs::canonicalize(at("link"))$($wait)*);
        tell!(fs::canonicalize(at("dangling"))$($wait)*);
        tell!(fs::metadata(at("link"))$($wait)*.map(|found| (found.is_file(), found.len())));
        tell!(fs::metadata(at("second"))$($wait)*.map(|found| (found.mode(), found.nlink(), found.uid(), found.gid())));
        tell!(fs::metadata(at("dangling"))$($wait)*.map(|found| found.file_type().is_dir()));
        tell!(fs::symlink_metadata(at("link"))$($wait)*.map(|found| (found.is_symlink(), found.len())));
        tell!(fs::metadata(at("d"))$($wait)*.map(|found| (found.is_dir(), found.permissions().readonly())));
        tell!($list(fs::read_dir($base)$($wait)*.unwrap())$($wait)*);
        tell!(fs::read_dir(at("a"))$($wait)*.map(drop));
        tell!(fs::rename(at("copy"), at("renamed"))$($wait)*);
        tell!(fs::rename(at("d"), at("renamed"))$($wait)*);
        tell!(fs::rename(at("renamed"), at("d"))$($wait)*);
        tell!(fs::rename(at("d"), at("d/e/in"))$($wait)*);
        let mut permissions = fs::metadata(at("a"))$($wait)*.unwrap().permissions();
        permissions.set_readonly(true);
        tell!(fs::set_permissions(at("a"), permissions.clone())$($wait)*);
        tell!(fs::metadata(at("a"))$($wait)*.map(|found| found.permissions().mode()));
        tell!(fs::remove_file(at("d"))$($wait)*);
        tell!(fs::remove_file(at("renamed"))$($wait)*);
        tell!(fs::remove_dir(at("d"))$($wait)*);
        tell!(fs::remove_dir(at("a"))$($wait)*);
        tell!(fs::remove_dir(at("d/e/f"))$($wait)*);
        tell!(fs::remove_dir_all(at("d"))$($wait)*);
        tell!(fs::remove_dir_all(at("bytes"))$($wait)*);

        // Files.
        let mut file = fs::File::create_new(at("f"))$($wait)*.unwrap();
        tell!(fs::File::create_new(at("f"))$($wait)*.map(drop));
        tell!(fs::File::open(at("none"))$($wait)*.map(drop));
        tell!(file.write_all(b"0123456789")$($wait)*);
        tell!(file.flush()$($wait)*);
        tell!(file.seek(SeekFrom::Start(2))$($wait)*);
        let mut four = [0; 4];
        tell!(file.read_exact(&mut four)$($wait)*.map(drop));
        tell!(Ok(four));
        tell!(file.seek(SeekFrom::Current(-7))$($wait)*);
        tell!(file.seek(SeekFrom::End(-3))$($wait)*);
        tell!(file.write_all(b"ABCDE")$($wait)*);
        tell!(file.sync_all()$($wait)*);
        tell!(file.sync_data()$($wait)*);
        tell!(file.set_len(11)$($wait)*);
        tell!(file.stream_position()$($wait)*);
        tell!(file.metadata()$($wait)*.map(|found| found.len()));
        let mut clone = file.try_clone()$($wait)*.unwrap();
        tell!(clone.seek(SeekFrom::Start(6))$($wait)*);
        let mut rest = String::new();
        tell!(file.read_to_string(&mut rest)$($wait)*);
        tell!(Ok(rest));
        tell!(clone.stream_position()$($wait)*);
        tell!(file.set_permissions(permissions)$($wait)*);
        tell!(file.set_times(fs::FileTimes::new().set_accessed(long_ago()))$($wait)*);
        tell!(file.set_modified(long_ago())$($wait)*);
        tell!(file.metadata()$($wait)*.and_then(|found| Ok((found.modified()?, found.accessed()?))));
        tell!(fs::File::create(at("renamed"))$($wait)*.map(drop));

        // Builders.
        let mut log =
            fs::OpenOptions::new().append(true).create(true).read(true).mode(0o600).open(at("log"))$($wait)*.unwrap();
        tell!(log.write_all(b"one")$($wait)*);
        tell!(log.seek(SeekFrom::Start(0))$($wait)*);
        tell!(log.write_all(b"two")$($wait)*);
        tell!(log.flush()$($wait)*);
        tell!(log.stream_position()$($wait)*);
        tell!(log.metadata()$($wait)*.map(|found| found.mode()));
        tell!(fs::read(at("log"))$($wait)*);
        tell!(fs::File::options().write(true).truncate(true).open(at("log"))$($wait)*.map(drop));
        tell!(fs::File::options().write(true).create_new(true).open(at("log"))$($wait)*.map(drop));
        tell!(fs::OpenOptions::new().open(at("log"))$($wait)*.map(drop));
        tell!(fs::OpenOptions::new().read(true).truncate(true).open(at("log"))$($wait)*.map(drop));
        tell!(fs::OpenOptions::new().append(true).truncate(true).open(at("log"))$($wait)*.map(drop));
        tell!(fs::DirBuilder::new().recursive(true).mode(0o700).create(at("x/y"))$($wait)*);
        tell!(fs::DirBuilder::new().create(at("x/y"))$($wait)*);
        tell!(fs::metadata(at("x"))$($wait)*.map(|found| found.mode()));
        said
    }};
}

/// What the standard library has and tokio has not.
macro_rules! script_of_std {
    ($base:ident; $($wait:tt)*) => {{
        let at = |name: &str| -> PathBuf { $base.join(name) };
        let mut said: Vec<String> = Vec::new();
        macro_rules! tell {
            ($result:expr) => { said.push(told($base, $result)) };
        }

        tell!(fs::write(at("a"), "0123456789")$($wait)*);
        #[expect(deprecated, reason = "the standard library still has it")]
        let linked = fs::soft_link("a", at("link"))$($wait)*;
        tell!(linked);
        tell!(symlink("none", at("dangling"))$($wait)*);
        tell!(fs::exists(at("link"))$($wait)*);
        tell!(fs::exists(at("dangling"))$($wait)*);
        tell!(fs::exists(at("a/b"))$($wait)*);
        let (uid, gid) = fs::metadata(at("a"))$($wait)*.map(|found| (found.uid(), found.gid())).unwrap();
        tell!(chown(at("a"), Some(uid), None)$($wait)*);
        tell!(chown(at("dangling"), Some(uid), None)$($wait)*);
        tell!(lchown(at("dangling"), None, Some(gid))$($wait)*);
        tell!(fs::set_permissions(at("a"), fs::Permissions::from_mode(0o604))$($wait)*);
        tell!(fs::metadata(at("link"))$($wait)*.map(|found| found.permissions().mode()));

        let file = fs::File::options().read(true).write(true).open(at("a"))$($wait)*.unwrap();
        let mut four = [0; 4];
        tell!(file.read_at(&mut four, 8)$($wait)*);
        tell!(file.read_exact_at(&mut four, 3)$($wait)*);
        tell!(Ok(four));
        tell!(file.read_exact_at(&mut four, 8)$($wait)*);
        tell!(file.write_at(b"AB", 12)$($wait)*);
        tell!(file.write_all_at(b"CD", 0)$($wait)*);
        tell!(fs::read(at("a"))$($wait)*);

        let other = fs::File::open(at("a"))$($wait)*.unwrap();
        tell!(file.lock()$($wait)*);
        tell!(Ok(matches!(other.try_lock()$($wait)*, Err(fs::TryLockError::WouldBlock))));
        tell!(Ok(matches!(other.try_lock_shared()$($wait)*, Err(fs::TryLockError::WouldBlock))));
        tell!(file.unlock()$($wait)*);
        tell!(file.lock_shared()$($wait)*);
        tell!(Ok(other.try_lock_shared()$($wait)*.is_ok()));
        tell!(Ok(matches!(other.try_lock()$($wait)*, Err(fs::TryLockError::WouldBlock))));
        said
    }};
}

mod standard {
    use std::fs;
    use std::io::{Read, Seek, SeekFrom, Write};
    use std::os::unix::fs::{
        DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, lchown, symlink,
    };

    use super::*;

    fn list(listing: fs::ReadDir) -> io::Result<Vec<(PathBuf, bool, u64)>> {
        let mut names = Vec::new();
        for entry in listing {
            let entry = entry?;
            assert_eq!(entry.path().file_name(), Some(&*entry.file_name()));
            names.push((entry.path(), entry.file_type()?.is_symlink(), entry.metadata()?.nlink()));
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn common(base: &Path) -> Vec<String> {
        common_script!(base, list;)
    }

    pub(super) fn of_std(base: &Path) -> Vec<String> {
        script_of_std!(base;)
    }
}

mod blocking {
    use std::io::{Read, Seek, SeekFrom, Write};

    use super::*;
    use crate::blocking::{self as fs, chown, lchown, symlink};

    fn list(listing: fs::ReadDir) -> io::Result<Vec<(PathBuf, bool, u64)>> {
        let mut names = Vec::new();
        for entry in listing {
            let entry = entry?;
            assert_eq!(entry.path().file_name(), Some(&*entry.file_name()));
            names.push((entry.path(), entry.file_type()?.is_symlink(), entry.metadata()?.nlink()));
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn common(base: &Path) -> Vec<String> {
        common_script!(base, list;)
    }

    pub(super) fn of_std(base: &Path) -> Vec<String> {
        script_of_std!(base;)
    }
}

mod tokios {
    use std::io::SeekFrom;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use tokio::fs::{self, symlink};
    use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

    use super::*;

    async fn list(mut listing: fs::ReadDir) -> io::Result<Vec<(PathBuf, bool, u64)>> {
        let mut names = Vec::new();
        while let Some(entry) = listing.next_entry().await? {
            assert_eq!(entry.path().file_name(), Some(&*entry.file_name()));
            names.push((
                entry.path(),
                entry.file_type().await?.is_symlink(),
                entry.metadata().await?.nlink(),
            ));
        }
        names.sort();
        Ok(names)
    }

    pub(super) async fn common(base: &Path) -> Vec<String> {
        let mut said = common_script!(base, list; .await);
        said.push(told(base, fs::try_exists(base.join("a")).await));
        said
    }
}

mod ours {
    use std::io::SeekFrom;

    use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

    use super::*;
    use crate::fs::{self, chown, lchown, symlink};

    async fn list(mut listing: fs::ReadDir) -> io::Result<Vec<(PathBuf, bool, u64)>> {
        let mut names = Vec::new();
        while let Some(entry) = listing.next_entry().await? {
            assert_eq!(entry.path().file_name(), Some(&*entry.file_name()));
            names.push((
                entry.path(),
                entry.file_type().await?.is_symlink(),
                entry.metadata().await?.nlink(),
            ));
        }
        names.sort();
        Ok(names)
    }

    pub(super) async fn common(base: &Path) -> Vec<String> {
        let mut said = common_script!(base, list; .await);
        said.push(told(base, fs::try_exists(base.join("a")).await));
        said
    }

    pub(super) async fn of_std(base: &Path) -> Vec<String> {
        script_of_std!(base; .await)
    }
}

/// Where our scripts work in their tree.
const BASE: &str = "/base-of-the-script";

#[tokio::test]
async fn the_asynchronous_script_says_what_it_says_through_tokio() {
    let (base, (_folder, tree)) = (tempfile::tempdir().unwrap(), local_tree());
    let theirs = tokios::common(base.path()).await;
    let script = async {
        super::create_dir(BASE).await.unwrap();
        ours::common(Path::new(BASE)).await
    };
    assert_eq!(super::with(tree, script).await, theirs);
}

#[test]
fn the_blocking_script_says_what_it_says_through_std() {
    let (base, (_folder, tree)) = (tempfile::tempdir().unwrap(), local_tree());
    let theirs = standard::common(base.path());
    let ours = crate::blocking::with(tree, || {
        crate::blocking::create_dir(BASE).unwrap();
        blocking::common(Path::new(BASE))
    });
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn what_tokio_lacks_says_what_it_says_through_std() {
    let (base, (_folder, tree)) = (tempfile::tempdir().unwrap(), local_tree());
    let theirs = standard::of_std(base.path());
    let script = async {
        super::create_dir(BASE).await.unwrap();
        ours::of_std(Path::new(BASE)).await
    };
    assert_eq!(super::with(tree, script).await, theirs);
}

#[test]
fn what_tokio_lacks_says_what_it_says_through_std_blocking_too() {
    let (base, (_folder, tree)) = (tempfile::tempdir().unwrap(), local_tree());
    let theirs = standard::of_std(base.path());
    let ours = crate::blocking::with(tree, || {
        crate::blocking::create_dir(BASE).unwrap();
        blocking::of_std(Path::new(BASE))
    });
    assert_eq!(ours, theirs);
}
