//! Archives as other programs write them.

use std::time::{Duration, UNIX_EPOCH};

use super::enter;
use crate::metadata::FileType;

/// Info-ZIP 3.0, `zip -qry`: a stored file, a link, a folder, a deflated file with a name beyond ASCII; all of
/// 2001-09-09 01:46:40.
const INFO_ZIP: &[u8] =
    b"PK\x03\x04\x0a\0\0\0\0\0\xd4\x0d)+ 0:6\x06\0\0\0\x06\0\0\0\x09\0\x1c\0hello.txtUT\x09\0\x03\0\
    \xca\x9a;\0\xca\x9a;ux\x0b\0\x01\x04\0\0\0\0\x04\0\0\0\0hello\x0aPK\x03\x04\x0a\0\0\0\0\0\xd4\
    \x0d)+\xbb\xce`\x12\x09\0\0\0\x09\0\0\0\x04\0\x1c\0linkUT\x09\0\x03\0\xca\x9a;\0\xca\x9a;ux\x0b\
    \0\x01\x04\0\0\0\0\x04\0\0\0\0hello.txtPK\x03\x04\x0a\0\0\0\0\0\xd4\x0d)+\0\0\0\0\0\0\0\0\0\0\0\
    \0\x04\0\x1c\0dir/UT\x09\0\x03\0\xca\x9a;W/\0kux\x0b\0\x01\x04\0\0\0\0\x04\0\0\0\0PK\x03\x04\x14\
    \0\0\0\x08\0\xd4\x0d)+)\xbd\x98\x1f\x06\0\0\0<\0\0\0\x09\0\x1c\0dir/k\xc3\xa4seUT\x09\0\x03\0\
    \xca\x9a;\0\xca\x9a;ux\x0b\0\x01\x04\0\0\0\0\x04\0\0\0\0KL$\x1f\0\0PK\x01\x02\x1e\x03\x0a\0\0\0\
    \0\0\xd4\x0d)+ 0:6\x06\0\0\0\x06\0\0\0\x09\0\x18\0\0\0\0\0\x01\0\0\0\xa0\x81\0\0\0\0hello.txtUT\
    \x05\0\x03\0\xca\x9a;ux\x0b\0\x01\x04\0\0\0\0\x04\0\0\0\0PK\x01\x02\x1e\x03\x0a\0\0\0\0\0\xd4\
    \x0d)+\xbb\xce`\x12\x09\0\0\0\x09\0\0\0\x04\0\x18\0\0\0\0\0\0\0\0\0\xff\xa1I\0\0\0linkUT\x05\0\
    \x03\0\xca\x9a;ux\x0b\0\x01\x04\0\0\0\0\x04\0\0\0\0PK\x01\x02\x1e\x03\x0a\0\0\0\0\0\xd4\x0d)+\0\
    \0\0\0\0\0\0\0\0\0\0\0\x04\0\x18\0\0\0\0\0\0\0\x10\0\xedA\x90\0\0\0dir/UT\x05\0\x03\0\xca\x9a;ux\
    \x0b\0\x01\x04\0\0\0\0\x04\0\0\0\0PK\x01\x02\x1e\x03\x14\0\0\0\x08\0\xd4\x0d)+)\xbd\x98\x1f\x06\
    \0\0\0<\0\0\0\x09\0\x18\0\0\0\0\0\x01\0\0\0\xa0\x81\xce\0\0\0dir/k\xc3\xa4seUT\x05\0\x03\0\xca\
    \x9a;ux\x0b\0\x01\x04\0\0\0\0\x04\0\0\0\0PK\x05\x06\0\0\0\0\x04\0\x04\x002\x01\0\0\x17\x01\0\0\0\0";

/// Python 3.11's `zipfile` on a pipe, with zip64: lengths and checksum stand behind the content.
const PYTHON_STREAMED: &[u8] =
    b"PK\x03\x04-\0\x08\x08\x08\0\xd4\x0d)+\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x05\0\x14\0k\xc3\
    \xa4se\x01\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0KL$\x1f\0\0PK\x07\x08)\xbd\x98\x1f\x06\0\0\0\0\
    \0\0\0<\0\0\0\0\0\0\0PK\x01\x02-\x03-\0\x08\x08\x08\0\xd4\x0d)+)\xbd\x98\x1f\x06\0\0\0<\0\0\0\
    \x05\0\0\0\0\0\0\0\0\0\0\0\x80\x81\0\0\0\0k\xc3\xa4sePK\x05\x06\0\0\0\0\x01\0\x01\x003\0\0\0U\0\0\
    \0\0\0";

#[tokio::test]
async fn info_zip() {
    let entered = enter(INFO_ZIP).await.unwrap();
    assert_eq!(entered.paths(), ["hello.txt", "link", "dir", "dir/käse"]);
    assert_eq!(entered.notes, super::Notes::default());
    let changed = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    assert!(entered.entries.iter().all(|entry| entry.modified == Some(changed)));
    assert_eq!((entered.entry("dir").file_type, entered.entry("dir").mode), (FileType::Dir, Some(0o755)));
    assert_eq!(entered.entry("hello.txt").mode, Some(0o640));
    assert_eq!(entered.read("hello.txt").await.unwrap(), "hello\n");
    assert_eq!(entered.read("dir/käse").await.unwrap(), "a".repeat(60));
    assert_eq!(entered.entry("link").file_type, FileType::Symlink);
    assert_eq!(entered.zip.read_link(&entered.entry("link").member).await.unwrap(), "hello.txt");
}

#[tokio::test]
async fn python_on_a_pipe() {
    let entered = enter(PYTHON_STREAMED).await.unwrap();
    assert_eq!(entered.paths(), ["käse"]);
    assert_eq!(entered.notes, super::Notes::default());
    assert_eq!(entered.entry("käse").mode, Some(0o600));
    assert_eq!(entered.read("käse").await.unwrap(), "a".repeat(60));
}
