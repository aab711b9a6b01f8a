//! What the front ends say of the same tree, beside what the tree says.

use std::sync::Arc;

use support::{Served, odd_names, read_folder, write_folder};
use vfs::backends::local::LocalFs;
use vfs::path::printed_name;

use crate::clients::{Answer, FtpClient, HttpClient};

async fn served_folder() -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path());
    // Names that look like markers must stay files.
    for name in ["x#tgz:", "y##zip:", "tail#"] {
        std::fs::write(folder.path().join(name), name).unwrap();
    }
    let tree = LocalFs::open(folder.path()).unwrap();
    let served = Served::start(Arc::new(tree)).await;
    (folder, served)
}

/// The address of a relative path of the host, as both protocols take it.
fn address(path: &[u8]) -> Vec<u8> {
    let printed: Vec<_> = path.split(|byte| *byte == b'/').map(printed_name).collect();
    [b"/".to_vec(), printed.join(&b"/"[..])].concat()
}

#[tokio::test]
async fn every_file_has_the_same_bytes_everywhere() {
    let (folder, served) = served_folder().await;
    let (http, mut ftp) = (HttpClient::new(&served), FtpClient::new(&served).await);
    let layout = read_folder(folder.path());
    assert!(layout.len() > odd_names().len());
    for (path, content) in layout {
        let Some(content) = content else { continue };
        let address = address(&path);
        let shown = path.escape_ascii();
        assert_eq!(http.read(&address).await, Answer::Yes(content.clone()), "HTTP {shown}");
        // The library takes names as UTF-8 only; `peers` has clients that take bytes.
        if let Ok(address) = str::from_utf8(&address) {
            assert_eq!(ftp.read(address).await, Answer::Yes(content), "FTP {shown}");
        }
    }
}

#[tokio::test]
async fn every_folder_lists_the_same_names_everywhere() {
    let (folder, served) = served_folder().await;
    std::fs::remove_file(folder.path().join(odd_name_without_utf8())).unwrap();
    let (http, mut ftp) = (HttpClient::new(&served), FtpClient::new(&served).await);
    let layout = read_folder(folder.path());
    let mut folders: Vec<_> =
        layout.iter().filter(|(_, content)| content.is_none()).map(|(path, _)| path.clone()).collect();
    folders.push(Vec::new());
    for below in folders {
        let mut expected: Vec<_> = layout
            .iter()
            .filter_map(|(path, content)| {
                let name = if below.is_empty() {
                    path.as_slice()
                } else {
                    path.strip_prefix(below.as_slice())?.strip_prefix(b"/")?
                };
                let slash: &[u8] = if content.is_none() { b"/" } else { b"" };
                (!name.contains(&b'/')).then(|| [&printed_name(name)[..], slash].concat())
            })
            .collect();
        expected.sort();
        let address = address(&below);
        let slashed = if below.is_empty() { address.clone() } else { [&address[..], b"/"].concat() };
        assert_eq!(http.list(&slashed).await, expected, "HTTP {}", below.escape_ascii());
        assert_eq!(
            ftp.list(str::from_utf8(&address).unwrap()).await,
            expected,
            "FTP {}",
            below.escape_ascii()
        );
    }
}

fn odd_name_without_utf8() -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt;
    let name = odd_names().into_iter().find(|name| str::from_utf8(name).is_err()).unwrap();
    std::ffi::OsString::from_vec(name)
}

#[tokio::test]
async fn lengths_times_and_ranges_agree() {
    let (folder, served) = served_folder().await;
    let (http, mut ftp) = (HttpClient::new(&served), FtpClient::new(&served).await);
    for size in ["1", "4096", "32769", "1048576"] {
        let path = format!("/sizes/{size}");
        let of_http = http.describe(path.as_bytes()).await;
        assert_eq!(of_http, ftp.describe(&path).await, "{path}");
        assert_eq!(of_http.0.to_string(), size);
        let content = std::fs::read(folder.path().join(&path[1..])).unwrap();
        let offset = content.len() - 1;
        assert_eq!(http.read_from(path.as_bytes(), offset).await, content[offset..]);
        assert_eq!(ftp.read_from(&path, offset).await.unwrap(), content[offset..]);
    }
}

#[tokio::test]
async fn what_is_not_there_is_missing_everywhere() {
    let (_folder, served) = served_folder().await;
    let (http, mut ftp) = (HttpClient::new(&served), FtpClient::new(&served).await);
    for path in ["/missing", "/plain.txt/below", "/deep/missing/file", "/../../etc/passwd"] {
        assert_eq!(http.read(path.as_bytes()).await, Answer::Missing, "HTTP {path}");
        assert_eq!(ftp.read(path).await, Answer::Missing, "FTP {path}");
    }
}
