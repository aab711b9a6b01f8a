//! Archives behind both front ends: what is not known yet is no "not found", and members leave by `sendfile(2)`.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use suppaftp::{FtpError, Status};
use support::{Served, run};
use vfs::backends::archive::ArchiveOptions;
use vfs::backends::local::LocalFs;
use vfs::backends::registry;
use vfs::{
    Capabilities, DirStream, Error, ErrorKind, File, FileSystem, FileType, ListOptions, Metadata,
    MountOptions, OpenOptions, Result, StatOptions, VPath, Validator, Vfs,
};

use crate::clients::{Answer, FtpClient, HttpClient};

const LEN: usize = 5 * (1 << 20) + 123;

fn content() -> Vec<u8> {
    (0..LEN as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 20) as u8).collect()
}

/// A tar of `names`, in this order.
fn pack(folder: &Path, names: &[&str]) {
    let folder_text = folder.to_str().unwrap();
    run(Command::new("tar").args(["-cf", &format!("{folder_text}/x.tar"), "-C", folder_text]).args(names));
}

async fn serve(tree: Arc<dyn FileSystem>, options: ArchiveOptions) -> Served {
    let vfs = Vfs::new(registry(options));
    vfs.mount(&VPath::root(), tree, MountOptions::default()).unwrap();
    Served::start(vfs).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_of_a_member_of_a_plain_tar_leaves_by_sendfile() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("large"), content()).unwrap();
    pack(folder.path(), &["large"]);
    let served = serve(Arc::new(LocalFs::open(folder.path()).unwrap()), ArchiveOptions::default()).await;
    let path = b"/x.tar#tar:/large";
    let (http, mut ftp) = (HttpClient::new(&served), FtpClient::new(&served).await);
    assert_eq!(http.read(path).await, Answer::Yes(content()));
    assert_eq!(http.read_from(path, 1_000_001).await, content()[1_000_001..]);
    assert_eq!(ftp.read("/x.tar#tar:/large").await, Answer::Yes(content()));
    assert_eq!(ftp.read_from("/x.tar#tar:/large", 1_000_001).await.unwrap(), content()[1_000_001..]);
    for gate in [&served.http, &served.ftp] {
        assert_eq!(gate.site.sight.sendfile_bytes.get(), (LEN + LEN - 1_000_001) as u64);
    }
}

#[tokio::test]
async fn a_member_that_was_not_come_to_yet_is_asked_for_again_later() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["early", "large", "late"] {
        std::fs::write(folder.path().join(name), content()).unwrap();
    }
    pack(folder.path(), &["early", "large", "late"]);
    let tar = std::fs::read(folder.path().join("x.tar")).unwrap();
    let held = Held { limit: LEN + 1000, content: tar.into() };
    let options = ArchiveOptions { patience: Duration::from_millis(50), ..ArchiveOptions::default() };
    let served = serve(Arc::new(held), options).await;
    let (http, mut ftp) = (HttpClient::new(&served), FtpClient::new(&served).await);

    assert_eq!(http.read(b"/x.tar#tar:/early").await, Answer::Yes(content()));
    let early = http.get(b"/x.tar#tar:/early", Some("bytes=7-9")).await;
    assert_eq!(early.status().as_u16(), 206);
    assert!(early.headers().get("cache-control").is_some_and(|control| control == "no-cache"), "{early:?}");
    let late = http.get(b"/x.tar#tar:/late", None).await;
    assert_eq!(late.status().as_u16(), 503);
    let seconds: u64 = late.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(seconds > 0);

    assert_eq!(ftp.read("/x.tar#tar:/early").await, Answer::Yes(content()));
    match ftp.read_from("/x.tar#tar:/late", 0).await {
        Err(FtpError::UnexpectedResponse(response)) => {
            assert_eq!(response.status, Status::RequestFileActionIgnored, "{response:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// A tree of one file, `/x.tar`, which comes up to `limit` and then makes everybody wait.
#[derive(Clone, Debug)]
struct Held {
    content: Bytes,
    limit: usize,
}

impl Held {
    fn describe(&self) -> Metadata {
        let mut metadata = Metadata::new(FileType::File);
        metadata.len = Some(self.content.len() as u64);
        metadata.validator = Some(Validator::Strong("1".into()));
        metadata
    }
}

#[async_trait]
impl FileSystem for Held {
    fn capabilities(&self, _path: &VPath) -> Capabilities {
        Capabilities::default()
    }

    async fn metadata(&self, path: &VPath, _options: &StatOptions) -> Result<Metadata> {
        if path.is_root() { Ok(Metadata::new(FileType::Dir)) } else { Ok(self.describe()) }
    }

    async fn read_dir(&self, path: &VPath, _options: &ListOptions) -> Result<DirStream> {
        Err(Error::new(ErrorKind::Unsupported, "read_dir", path))
    }

    async fn open(&self, _path: &VPath, _options: &OpenOptions) -> Result<Arc<dyn File>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl File for Held {
    async fn metadata(&self) -> Result<Metadata> {
        Ok(self.describe())
    }

    fn identity(&self) -> Option<vfs::Identity> {
        None
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let offset = usize::try_from(offset).unwrap();
        if offset >= self.limit {
            std::future::pending::<()>().await;
        }
        Ok(self.content.slice(offset..(offset + max).min(self.limit)))
    }
}

/// A folder with what `script` makes in it, served.
async fn made_by(script: &str) -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    run(Command::new("sh").args(["-ec", script]).current_dir(folder.path()));
    let served = serve(Arc::new(LocalFs::open(folder.path()).unwrap()), ArchiveOptions::default()).await;
    (folder, served)
}

async fn refused_by_ftp(ftp: &mut FtpClient, path: &str) -> (Status, String) {
    match ftp.read_from(path, 0).await {
        Err(FtpError::UnexpectedResponse(response)) => {
            (response.status, String::from_utf8_lossy(&response.body).into_owned())
        }
        other => panic!("{path}: {other:?}"),
    }
}

#[tokio::test]
async fn what_cannot_be_entered_says_why_to_the_client_and_is_not_asked_for_again() {
    let (_folder, served) = made_by("seq 9 > a && tar -cf x.tar a && mkfifo f && tar -cf f.tar f").await;
    let (http, mut ftp) = (HttpClient::new(&served), FtpClient::new(&served).await);
    for (path, status, words) in [
        ("/x.tar#zip:/a", 400, "#zip: was asked for, and it holds a tar"),
        ("/x.tar#tgz:/a", 400, "#tgz: was asked for, and it holds a tar"),
        ("/a#tar:/a", 400, "it holds something that is not known here"),
        ("/x.tar#gz:#gz:#gz:#gz:#gz:/a", 400, "a path enters at most 4 archives"),
        ("/f.tar#tar:/f", 403, "permission denied"),
    ] {
        let answer = http.get(path.as_bytes(), None).await;
        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert!(answer.headers().get("retry-after").is_none(), "{path}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(words), "{path}: {text}");
        let (status, text) = refused_by_ftp(&mut ftp, path).await;
        assert_eq!(status, Status::FileUnavailable, "{path}: {text}");
        assert!(text.contains(words), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_member_whose_checksum_fails_ends_in_an_error_on_both_protocols() {
    let script = "seq 9000 > a && seq 99 > b && tar -czf x.tgz a b && gzip -k b && \
                  for f in x.tgz b.gz; do truncate -s -8 $f && printf 12345678 >> $f; done";
    let (_folder, served) = made_by(script).await;
    let (http, mut ftp) = (HttpClient::new(&served), FtpClient::new(&served).await);
    for path in ["/x.tgz#tgz:/a", "/x.tgz#tgz:/b", "/b.gz#gz:/b"] {
        for _ in 0..2 {
            let answer = http.get(path.as_bytes(), None).await;
            assert_eq!(answer.status().as_u16(), 200, "{path}");
            assert!(answer.bytes().await.is_err(), "{path} ends as if it were whole");
            match ftp.read_from(path, 0).await {
                Err(FtpError::UnexpectedResponse(response)) => {
                    assert_eq!(response.status.code(), 451, "{path}: {response:?}");
                }
                other => panic!("{path}: {other:?}"),
            }
        }
    }
    let part = http.get(b"/x.tgz#tgz:/a", Some("bytes=10-99")).await;
    assert_eq!(part.status().as_u16(), 206);
    assert!(part.bytes().await.is_err());
    let listing = http.get(b"/x.tgz#tgz:/", None).await;
    assert!(listing.bytes().await.is_err(), "the listing says that the archive is damaged");
}

#[tokio::test]
async fn a_tar_that_is_written_over_in_place_is_entered_anew() {
    let (folder, served) =
        made_by("echo one > a && tar -cf x.tar a && echo two > a && tar -cf y.tar a").await;
    let (http, mut ftp) = (HttpClient::new(&served), FtpClient::new(&served).await);
    let path = "/x.tar#tar:/a";
    assert_eq!(http.read(path.as_bytes()).await, Answer::Yes(b"one\n".to_vec()));
    assert_eq!(ftp.read(path).await, Answer::Yes(b"one\n".to_vec()));
    let (old, new) = (folder.path().join("x.tar"), std::fs::read(folder.path().join("y.tar")).unwrap());
    assert_eq!(std::fs::metadata(&old).unwrap().len(), new.len() as u64);
    let file = std::fs::File::options().write(true).open(&old).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &new, 0).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    assert_eq!(http.read(path.as_bytes()).await, Answer::Yes(b"two\n".to_vec()));
    assert_eq!(ftp.read(path).await, Answer::Yes(b"two\n".to_vec()));
}
