//! Hashes of files.

use crate::ftp::testing::{Running, SPAN_BYTES};

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[tokio::test]
async fn each_command_answers_in_its_own_form() {
    let running = Running::start(&[("/my file", b"abc"), ("/empty", b"")]).await;
    let mut client = running.log_in().await;
    for (line, reply) in [
        ("HASH my file", format!("213 SHA-256 0-2 {ABC} /my file\r\n")),
        ("OPTS HASH crc32", "200 CRC32\r\n".to_owned()),
        ("OPTS HASH", "200 CRC32\r\n".to_owned()),
        ("HASH my file", "213 CRC32 0-2 352441c2 /my file\r\n".to_owned()),
        ("HASH empty", "213 CRC32 0-0 00000000 /empty\r\n".to_owned()),
        ("XCRC my file", "250 352441c2\r\n".to_owned()),
        ("XCRC \"my file\" 0 3", "250 352441c2\r\n".to_owned()),
        ("XCRC \"my file\" 3 3", "250 00000000\r\n".to_owned()),
        ("XSHA256 \"my file\"", format!("250 {ABC}\r\n")),
        ("MD5 my file", "251 /my file 900150983cd24fb0d6963f7d28e17f72\r\n".to_owned()),
    ] {
        assert_eq!(client.ask(line).await, reply, "{line}");
    }
    for (line, code) in [
        ("OPTS HASH rot13", "501 "),
        ("HASH", "501 "),
        ("HASH missing", "550 "),
        ("HASH /", "550 "),
        ("XMD5 \"my file\" 4", "554 "),
    ] {
        assert!(client.ask(line).await.starts_with(code), "{line}");
    }
    assert!(client.ask("FEAT").await.contains(" HASH CRC32*;MD5;SHA-1;SHA-256;SHA-512\r\n"));
}

#[tokio::test]
async fn rang_chooses_the_bytes_of_the_next_hash_alone() {
    let running = Running::start(&[("/file", b"xabcx")]).await;
    let mut client = running.log_in().await;
    assert_eq!(client.ask("RANG 1 3").await, "350 Restarting at 1, ending at 3; send RETR or HASH.\r\n");
    assert_eq!(client.ask("HASH file").await, format!("213 SHA-256 1-3 {ABC} /file\r\n"));
    assert!(client.ask("HASH file").await.starts_with("213 SHA-256 0-4 "));
}

#[tokio::test]
async fn a_file_on_disk_is_hashed_by_pieces() {
    let running = Running::start(&[("/same", &vec![7; SPAN_BYTES])]).await;
    let mut client = running.log_in().await;
    assert_eq!(client.ask("XSHA1 span").await, client.ask("XSHA1 same").await);
    assert_eq!(client.ask("XSHA1 \"span\" 1 1000001").await, client.ask("XSHA1 \"same\" 0 1000000").await);
}

#[tokio::test]
async fn abor_stops_a_hash_and_none_takes_all_the_places() {
    let running = Running::start(&[("/file", b"abc")]).await;
    let mut hashing = Vec::new();
    for from in ["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2"] {
        // While an address has both of its places, others have theirs.
        let mut client = running.log_in_from(from).await;
        assert!(client.ask("HASH file").await.starts_with("213 "), "{from}");
        client.send("HASH hung\r\n").await;
        hashing.push((from, client));
    }
    for from in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
        let mut client = running.log_in_from(from).await;
        // Those before are hashing by now: lines are taken in their order, and sessions at any time.
        while !client.ask("HASH file").await.starts_with("450 ") {
            tokio::task::yield_now().await;
        }
    }
    for (from, client) in &mut hashing {
        client.send("ABOR\r\n").await;
        assert!(client.reply().await.starts_with("451 "), "{from}");
        assert!(client.reply().await.starts_with("226 "));
        assert!(client.ask("HASH file").await.starts_with("213 "), "{from}");
    }
}
