//! What goes over data connections, and how transfers end.

use vfs::backends::memory::MemoryFs;
use vfs::{FileSystem, OpenOptions, VPath};

use tokio::io::AsyncReadExt;

use crate::ftp::testing::{Running, SPAN_BYTES};

#[tokio::test]
async fn a_file_arrives_whole_and_from_an_offset() {
    let running = Running::start(&[("/file", b"0123456789")]).await;
    let mut client = running.log_in().await;
    for (offset, content) in [("0", "0123456789"), ("4", "456789"), ("10", "")] {
        assert!(client.ask(&format!("REST {offset}")).await.starts_with("350 "));
        let (got, last) = client.fetch("RETR file").await;
        assert_eq!((&got[..], &last[..4]), (content.as_bytes(), "226 "));
    }
    assert_eq!(running.site.sight.transferred_bytes.get(), 16);
}

#[tokio::test]
async fn rang_takes_a_part_out_of_the_middle() {
    let running = Running::start(&[("/file", b"0123456789")]).await;
    let mut client = running.log_in().await;
    for (range, content) in [("2 4", "234"), ("8 99", "89"), ("1 0", "0123456789"), ("0 0", "0")] {
        assert!(client.ask(&format!("RANG {range}")).await.starts_with("350 "));
        let (got, last) = client.fetch("RETR file").await;
        assert_eq!((&got[..], &last[..4]), (content.as_bytes(), "226 "), "{range}");
    }
    client.ask("RANG 11 12").await;
    assert!(client.fetch("RETR file").await.1.starts_with("554 "));
    client.ask("RANG 0 3").await;
    assert!(client.store("STOR file", b"x").await.starts_with("504 "));
    assert_eq!(client.fetch("RETR file").await.0, b"0123456789");
}

#[tokio::test]
async fn rest_is_cleared_by_a_transfer_that_failed() {
    let running = Running::start(&[("/file", b"0123456789")]).await;
    let mut client = running.log_in().await;
    client.ask("REST 4").await;
    assert!(client.fetch("RETR nothing").await.1.starts_with("550 "));
    assert_eq!(client.fetch("RETR file").await.0, b"0123456789");
    client.ask("REST 11").await;
    assert!(client.fetch("RETR file").await.1.starts_with("554 "));
    assert_eq!(client.fetch("RETR file").await.0, b"0123456789");
    client.ask("REST 4").await;
    assert!(client.ask("USER ftp").await.starts_with("331 "));
    client.log_in().await;
    assert_eq!(client.fetch("RETR file").await.0, b"0123456789");
}

#[tokio::test]
async fn a_file_on_disk_leaves_through_sendfile() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    let (got, last) = client.fetch("RETR span").await;
    assert!(got == vec![7; SPAN_BYTES]);
    assert!(last.starts_with("226 "));
    assert_eq!(running.site.sight.sendfile_bytes.get(), SPAN_BYTES as u64);
}

#[tokio::test]
async fn a_file_that_shrinks_is_no_success() {
    let running = Running::start(&[]).await;
    running.tree.cut_span(SPAN_BYTES as u64 / 2);
    let mut client = running.log_in().await;
    let (got, last) = client.fetch("RETR span").await;
    assert_eq!(got.len(), SPAN_BYTES / 2);
    assert!(last.starts_with("451 "), "{last}");
}

#[tokio::test]
async fn a_source_that_fails_is_no_success() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    let (got, last) = client.fetch("RETR broken").await;
    assert_eq!(got.len(), 100_000);
    assert!(last.starts_with("451 "), "{last}");
}

#[tokio::test]
async fn lines_end_with_crlf_in_type_a() {
    let running = Running::start(&[("/unix", b"a\nb\n\nc"), ("/dos", b"a\r\nb\r\n")]).await;
    let mut client = running.log_in().await;
    client.ask("TYPE A").await;
    assert_eq!(client.fetch("RETR unix").await.0, b"a\r\nb\r\n\r\nc");
    assert_eq!(client.fetch("RETR dos").await.0, b"a\r\nb\r\n");
    assert!(client.ask("SIZE unix").await.starts_with("550 "));
    client.ask("REST 2").await;
    assert!(client.fetch("RETR unix").await.1.starts_with("554 "));
    client.ask("TYPE I").await;
    assert_eq!(client.fetch("RETR unix").await.0, b"a\nb\n\nc");
}

#[tokio::test]
async fn what_cannot_be_fetched_is_refused_before_the_data_connection() {
    let running = Running::start(&[("/d/file", b"x")]).await;
    let mut client = running.log_in().await;
    for line in ["RETR nothing", "RETR d", "RETR d/file/x", "LIST nothing", "NLST nothing", "MLSD nothing"] {
        let (got, last) = client.fetch(line).await;
        assert!(got.is_empty() && last.starts_with("550 "), "{line}: {last}");
    }
    assert!(client.fetch("MLSD d/file").await.1.starts_with("501 "));
    // The listener is closed after use, and a transfer needs a new one.
    client.fetch("RETR d/file").await;
    assert!(client.ask("RETR d/file").await.starts_with("425 "));
    assert_eq!(running.site.sight.transfers.get(), 0);
}

#[tokio::test]
async fn names_pass_untouched_and_come_back() {
    let names: [&[u8]; 7] = [b"a b", b" lead", b"x#tgz:", b"100%", b"q\"q", b"\xc3\xa4", b"lat\xefn-\xff"];
    let running = Running::start(&[]).await;
    for name in names {
        write(&running.tree.memory, name).await;
    }
    let mut client = running.log_in().await;
    let (listed, _) = client.fetch("NLST").await;
    let mut listed: Vec<&[u8]> = listed.split(|byte| *byte == b'\n').collect();
    assert_eq!(listed.pop(), Some(&b""[..]));
    assert_eq!(listed.len(), names.len());
    for row in listed {
        let name = row.strip_suffix(b"\r").unwrap();
        let mut data = client.data().await;
        client.send([b"RETR ", name, b"\r\n"].concat()).await;
        assert!(client.reply().await.starts_with("150 "));
        let mut content = Vec::new();
        data.read_to_end(&mut content).await.unwrap();
        assert!(names.contains(&&content[..]), "{}", content.escape_ascii());
        assert!(client.reply().await.starts_with("226 "));
    }
}

/// A file that holds its own name.
async fn write(tree: &MemoryFs, name: &[u8]) {
    let path = VPath::root().child(name.to_vec()).unwrap();
    let file = tree.open(&path, &OpenOptions::writing()).await.unwrap();
    file.write_at(0, name.to_vec().into()).await.unwrap();
}

#[tokio::test]
async fn a_large_folder_is_listed_whole() {
    let running = Running::start(&[]).await;
    for number in 0..3000 {
        write(&running.tree.memory, format!("a-rather-long-name-{number:05}").as_bytes()).await;
    }
    let mut client = running.log_in().await;
    for line in ["LIST -la", "NLST", "MLSD"] {
        let (rows, last) = client.fetch(line).await;
        assert_eq!(rows.iter().filter(|byte| **byte == b'\n').count(), 3000, "{line}");
        assert!(rows.ends_with(b"a-rather-long-name-02999\r\n"));
        assert!(last.starts_with("226 "));
    }
    let status = client.ask("STAT /").await;
    assert_eq!(status.lines().count(), 3002);
    assert!(client.ask("PWD").await.starts_with("257 "));
}
