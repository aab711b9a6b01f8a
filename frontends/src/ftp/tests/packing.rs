//! Folders that are fetched as archives.

use crate::ftp::testing::Running;

/// What a tar holds: names and contents, folders without.
fn files(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let text =
        |field: &[u8]| String::from_utf8(field.split(|byte| *byte == 0).next().unwrap().to_vec()).unwrap();
    let mut files = Vec::new();
    let mut rest = tar;
    while rest.first().is_some_and(|byte| *byte != 0) {
        let (head, after) = rest.split_at(512);
        let len = usize::from_str_radix(text(&head[124..136]).trim(), 8).unwrap();
        if head[156] == b'0' {
            files.push((text(&head[..100]), after[..len].to_vec()));
        }
        rest = &after[len.next_multiple_of(512)..];
    }
    files.sort();
    files
}

#[tokio::test]
async fn a_folder_is_packed_while_it_is_sent() {
    let running = Running::start(&[("/d/a", b"first"), ("/d/sub/b", b"second"), ("/other", b"x")]).await;
    let mut client = running.log_in().await;
    let expected = [("d/a".to_owned(), b"first".to_vec()), ("d/sub/b".to_owned(), b"second".to_vec())];
    let (tar, end) = client.fetch("RETR d.tar").await;
    assert!(end.starts_with("226 "), "{end}");
    assert_eq!(files(&tar), expected);

    for (line, magic) in [
        ("RETR /d.tar.gz", &[0x1f, 0x8b][..]),
        ("RETR d.zip", b"PK\x03\x04"),
        ("RETR d.tar.zst", &[0x28, 0xb5, 0x2f, 0xfd]),
    ] {
        let (packed, end) = client.fetch(line).await;
        assert!(end.starts_with("226 ") && packed.starts_with(magic), "{line}: {end}");
    }
}

#[tokio::test]
async fn only_a_folder_is_packed_and_only_as_a_whole() {
    let running =
        Running::start(&[("/d/a", b"first"), ("/d.tar", b"a file of that name"), ("/e/x", b"")]).await;
    let mut client = running.log_in().await;
    assert_eq!(client.fetch("RETR d.tar").await.0, b"a file of that name");
    for (line, code) in [
        ("RETR none.tar", "550 none.tar: no such file or folder."),
        ("RETR d/a.zip", "550 d/a.zip: no such file or folder."),
        ("RETR .tar", "550 "),
        ("RETR e/...tar", "550 "),
        // curl takes 550 for a missing file, and goes on otherwise.
        ("SIZE e.tar", "504 "),
        ("SIZE none.tar", "550 "),
    ] {
        let (_, reply) = client.fetch(line).await;
        assert!(reply.starts_with(code), "{line}: {reply}");
    }
    client.ask("REST 1").await;
    assert!(client.fetch("RETR e.tar").await.1.starts_with("554 "));
    client.ask("TYPE A").await;
    assert!(client.fetch("RETR e.tar").await.1.starts_with("550 "));
    client.ask("TYPE I").await;
    assert!(client.fetch("RETR e.tar").await.1.starts_with("226 "));
}
