//! What LIST, NLST and STAT show, and how.

use std::time::{Duration, SystemTime};

use vfs::{FileSystem, SetAttributes, VPath};

use crate::ftp::Options;
use crate::ftp::testing::{Client, Running};
use crate::site::Limits;

type Talk = Client<tokio::net::TcpStream>;

/// The last words of the rows: names, and the heads of folders.
async fn names(client: &mut Talk, line: &str) -> Vec<String> {
    let (rows, last) = client.fetch(line).await;
    assert!(last.starts_with("226 "), "{line}: {last}");
    let rows = String::from_utf8(rows).unwrap();
    assert!(rows.is_empty() || rows.ends_with("\r\n"), "{rows:?}");
    rows.lines().map(|row| row.rsplit(' ').next().unwrap_or_default().to_owned()).collect()
}

async fn age(running: &Running, path: &str, second: u64) {
    let modified = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
    let set = SetAttributes { modified, ..SetAttributes::default() };
    running.tree.memory.set_attributes(&VPath::parse(path).unwrap(), &set, true).await.unwrap();
}

#[tokio::test]
async fn options_that_clients_send_are_no_names() {
    let running = Running::start(&[("/file", b"x"), ("/.hidden", b"x"), ("/-la", b"x")]).await;
    let mut client = running.log_in().await;
    for line in
        ["LIST -a", "LIST -la", "list -al", "LIST -1aF", "LIST -a -l .", "NLST -a", "NLST", "STAT -la"]
    {
        let mut shown = match line {
            "STAT -la" => {
                let reply = client.ask(line).await;
                let rows = reply.lines().filter(|row| row.starts_with('-'));
                rows.map(|row| row.rsplit(' ').next().unwrap().to_owned()).collect()
            }
            _ => names(&mut client, line).await,
        };
        for name in &mut shown {
            *name = name.trim_start_matches("./").to_owned();
        }
        shown.sort();
        assert_eq!(shown, ["-la", ".hidden", "file"], "{line}");
    }
    // With -l the rows of NLST are those of LIST.
    let (rows, _) = client.fetch("NLST -l file").await;
    assert!(rows.starts_with(b"-rw"), "{}", rows.escape_ascii());
    assert_eq!(names(&mut client, "LIST -- -la").await, ["-la"]);
}

#[tokio::test]
async fn the_newest_come_first_where_that_is_asked() {
    let running = Running::start(&[("/middle", b"x"), ("/new", b"x"), ("/old", b"x")]).await;
    for (path, second) in [("/old", 1), ("/middle", 2), ("/new", 3)] {
        age(&running, path, second).await;
    }
    let mut client = running.log_in().await;
    for line in ["LIST -t", "LIST -lat", "NLST -t"] {
        assert_eq!(names(&mut client, line).await, ["new", "middle", "old"], "{line}");
    }
    assert_eq!(names(&mut client, "LIST -ltr").await, ["old", "middle", "new"]);
}

#[tokio::test]
async fn folders_within_follow_each_under_its_head() {
    let files: &[(&str, &[u8])] =
        &[("/a/b/deep", b"x"), ("/a/file", b"x"), ("/c/last", b"x"), ("/top", b"x")];
    let running = Running::start(files).await;
    let mut client = running.log_in().await;
    let within = ["a", "c", "top", "", "a:", "b", "file", "", "a/b:", "deep", "", "c:", "last"];
    assert_eq!(names(&mut client, "LIST -alR").await, within);
    assert_eq!(names(&mut client, "LIST -R a").await, ["b", "file", "", "a/b:", "deep"]);
    assert_eq!(names(&mut client, "LIST -R /").await[4], "/a:");
    let sent_back = ["a", "c", "top", "a/b", "a/file", "a/b/deep", "c/last"];
    assert_eq!(names(&mut client, "NLST -R").await, sent_back);
    assert_eq!(names(&mut client, "LIST -R a/b").await, ["deep"]);
}

#[tokio::test]
async fn patterns_match_names_of_one_folder_and_never_in_mlsd() {
    let files: &[(&str, &[u8])] =
        &[("/a1.txt", b"x"), ("/a2.txt", b"x"), ("/b.bin", b"x"), ("/d/a3.txt", b"x"), ("/star*", b"x")];
    let running = Running::start(files).await;
    let mut client = running.log_in().await;
    assert_eq!(names(&mut client, "LIST -la *.txt").await, ["a1.txt", "a2.txt"]);
    assert_eq!(names(&mut client, "NLST d/a?.t*").await, ["d/a3.txt"]);
    // A name that is there is no pattern.
    assert_eq!(names(&mut client, "NLST star*").await, ["star*"]);
    for line in ["LIST *.gz", "NLST d*/a3.txt", "MLSD *", "LIST *****.txt", "LIST {a1,b}*"] {
        assert!(client.fetch(line).await.1.starts_with("550 "), "{line}");
    }
}

#[tokio::test]
async fn a_listing_that_breaks_off_is_no_success() {
    let files: Vec<(String, &[u8])> = (0..10_001).map(|at| (format!("/many/{at:05}/f"), &b""[..])).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, content)| (path.as_str(), *content)).collect();
    let running = Running::start(&files).await;
    let mut client = running.log_in().await;
    let (_, last) = client.fetch("LIST -R many").await;
    assert!(last.starts_with("451 "), "more folders wait than are remembered: {last}");
    assert_eq!(client.fetch("NLST many").await.0.split(|byte| *byte == b'\n').count(), 10_002);
}

#[tokio::test]
async fn a_folder_that_cannot_be_listed_is_refused_for_good() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    for line in ["LIST page", "NLST page", "MLSD page"] {
        assert_eq!(client.fetch(line).await.1, "550 page: not a folder.\r\n", "{line}");
    }
}

#[tokio::test]
async fn blanks_before_a_name_are_the_names() {
    let running = Running::start(&[("/d/plain", b"x"), ("/ d/blank", b"x")]).await;
    let mut client = running.log_in().await;
    for line in ["LIST  d", "LIST -a  d", "MLSD  d"] {
        assert_eq!(names(&mut client, line).await, ["blank"], "{line}");
    }
    assert_eq!(client.fetch("NLST  d").await.0, b" d/blank\r\n");
    assert!(client.ask("STAT  d").await.contains(" blank\r\n"));
    assert_eq!(names(&mut client, "LIST -a d").await, ["plain"]);
    assert!(client.fetch("LIST  none").await.1.starts_with("550 "));
}

#[tokio::test]
async fn facts_tell_guests_what_they_may_do() {
    let running = Running::start_with(&[("/d/f", b"x")], Limits::default(), Options::default()).await;
    let mut client = running.log_in().await;
    client.ask("OPTS MLST perm;").await;
    for (line, row) in
        [("MLST /", " perm=celm; /"), ("MLST d", " perm=celm; /d"), ("MLST d/f", " perm=r; /d/f")]
    {
        assert_eq!(client.ask(line).await, format!("250-Facts:\r\n{row}\r\n250 End\r\n"));
    }
    assert_eq!(client.fetch("MLSD d").await.0, b"perm=r; f\r\n");
    let running = Running::start(&[("/d/f", b"x")]).await;
    let mut client = running.log_in().await;
    client.ask("OPTS MLST perm;").await;
    for (line, row) in
        [("MLST /", " perm=celmp; /"), ("MLST d", " perm=cdeflmp; /d"), ("MLST d/f", " perm=adfrw; /d/f")]
    {
        assert_eq!(client.ask(line).await, format!("250-Facts:\r\n{row}\r\n250 End\r\n"));
    }
}
