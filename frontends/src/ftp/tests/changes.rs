//! Changes of the tree that need no data connection.

use std::time::{Duration, SystemTime};

use vfs::{FileSystem, Metadata, StatOptions, VPath};

use crate::ftp::Options;
use crate::ftp::testing::{Running, writable};
use crate::site::Limits;

async fn stat(running: &Running, path: &str) -> vfs::Result<Metadata> {
    running.tree.memory.metadata(&VPath::parse(path).unwrap(), &StatOptions::no_follow()).await
}

fn second(seconds: u64) -> Option<SystemTime> {
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[tokio::test]
async fn files_and_folders_come_and_go() {
    let running = Running::start(&[("/d/file", b"x")]).await;
    let mut client = running.log_in().await;
    assert_eq!(client.ask("MKD d/say \"hi\"").await, "257 \"/d/say \"\"hi\"\"\" is a folder now.\r\n");
    assert!(stat(&running, "/d/say \"hi\"").await.unwrap().is_dir());
    for (line, code) in [
        ("MKD d", "550 "),
        ("MKD nowhere/d", "550 "),
        ("RMD d", "550 "),
        ("DELE d", "550 "),
        ("RMD d/file", "550 "),
        ("DELE d/file", "250 "),
        ("DELE d/file", "550 "),
        ("RMD d/say \"hi\"", "250 "),
        ("RMD d", "250 "),
        ("RMD /", "450 "),
    ] {
        let reply = client.ask(line).await;
        assert!(reply.starts_with(code), "{line}: {reply}");
    }
    assert!(stat(&running, "/d").await.is_err());
}

#[tokio::test]
async fn a_file_is_renamed_by_two_commands_in_a_row() {
    let running = Running::start(&[("/a", b"content"), ("/d/old", b"old")]).await;
    let mut client = running.log_in().await;
    assert!(client.ask("RNTO b").await.starts_with("503 "));
    assert!(client.ask("RNFR missing").await.starts_with("550 "));
    assert!(client.ask("RNTO b").await.starts_with("503 "));
    assert!(client.ask("RNFR a").await.starts_with("350 "));
    assert!(client.ask("PWD").await.starts_with("257 "));
    assert!(client.ask("RNTO b").await.starts_with("503 "), "something came between the two");
    assert!(client.ask("SITE CPFR a").await.starts_with("350 "));
    assert!(client.ask("RNTO b").await.starts_with("503 "), "a copy is no renaming");
    assert!(client.ask("RNFR a").await.starts_with("350 "));
    assert!(client.ask("RNTO d/old").await.starts_with("250 "));
    assert_eq!(running.tree.content("/d/old").await.unwrap(), "content");
    assert!(running.tree.content("/a").await.is_none());
}

#[tokio::test]
async fn what_rnfr_chose_does_not_outlive_its_login() {
    let running = Running::start(&[("/a", b"content")]).await;
    let mut client = running.log_in().await;
    client.ask("RNFR a").await;
    client.log_in().await;
    assert!(client.ask("RNTO b").await.starts_with("503 "));
}

#[tokio::test]
async fn a_file_is_copied_on_the_server() {
    let content = vec![b'x'; 3_000_000];
    let running = Running::start(&[("/a", &content), ("/d/old", b"old")]).await;
    let mut client = running.log_in().await;
    assert!(client.ask("SITE CPTO b").await.starts_with("503 "));
    assert!(client.ask("SITE CPFR d").await.starts_with("550 "));
    for to in ["b", "d/old"] {
        assert!(client.ask("SITE CPFR a").await.starts_with("350 "));
        assert!(client.ask(&format!("SITE CPTO {to}")).await.starts_with("250 "));
        assert!(running.tree.content(&format!("/{to}")).await.unwrap() == content);
    }
    assert!(running.tree.content("/a").await.unwrap() == content);
}

#[tokio::test]
async fn times_and_modes_are_set_and_told() {
    let running = Running::start(&[("/f", b"x")]).await;
    let mut client = running.log_in().await;
    assert_eq!(client.ask("MFMT 20010203040506 f").await, "213 Modify=20010203040506; /f\r\n");
    assert_eq!(client.ask("MDTM f").await, "213 20010203040506\r\n");
    assert_eq!(
        client.ask("MFF modify=19700101000001;UNIX.mode=640; f").await,
        "213 Modify=19700101000001;UNIX.mode=0640; /f\r\n"
    );
    let found = stat(&running, "/f").await.unwrap();
    assert_eq!((found.modified, found.mode), (second(1), Some(0o640)));
    assert!(client.ask("SITE CHMOD 0600 f").await.starts_with("200 "));
    assert!(
        client.ask("SITE UTIME f 19700101000002 19700101000003 19700101000004 UTC").await.starts_with("200 ")
    );
    let found = stat(&running, "/f").await.unwrap();
    assert_eq!((found.accessed, found.modified, found.mode), (second(2), second(3), Some(0o600)));
    assert!(client.ask("MFMT 20010203040506 missing").await.starts_with("550 "));
}

#[tokio::test]
async fn mdtm_sets_a_time_only_where_that_is_chosen() {
    for sets in [false, true] {
        let options = Options { sets_times_by_mdtm: sets, ..writable() };
        let running = Running::start_with(&[("/f", b"x")], Limits::default(), options).await;
        let mut client = running.log_in().await;
        let reply = client.ask("MDTM 20010203040506 f").await;
        assert!(reply.starts_with(if sets { "213 " } else { "550 " }), "{reply}");
        assert_eq!(client.ask("MDTM f").await == "213 20010203040506\r\n", sets);
    }
}

#[tokio::test]
async fn links_are_made_where_the_tree_has_them() {
    let running = Running::start(&[("/f", b"x")]).await;
    let mut client = running.log_in().await;
    assert!(client.ask("SITE SYMLINK f my link").await.starts_with("200 "));
    assert!(stat(&running, "/my link").await.unwrap().is_symlink());
    assert_eq!(client.ask("SIZE my link").await, "213 1\r\n");
}

#[tokio::test]
async fn site_tells_what_it_has_and_shortens_idling_only() {
    let limits = Limits { idle: Some(Duration::from_secs(90)), ..Limits::default() };
    let running = Running::start_with(&[], limits, writable()).await;
    let mut client = running.log_in().await;
    for (line, reply) in [
        ("SITE IDLE", "200 The session ends after 90 idle seconds.\r\n"),
        ("SITE IDLE 60", "200 The session ends after 60 idle seconds.\r\n"),
        ("SITE IDLE 91", "501 SITE IDLE takes 1 to 90 seconds here.\r\n"),
        ("SITE IDLE 0", "501 SITE IDLE takes 1 to 90 seconds here.\r\n"),
        ("SITE IDLE", "200 The session ends after 60 idle seconds.\r\n"),
    ] {
        assert_eq!(client.ask(line).await, reply, "{line}");
    }
    let help = client.ask("SITE HELP").await;
    assert!(help.starts_with("214 ") && help.contains("CHMOD"), "{help}");
    assert!(client.ask("SITE EXEC ls").await.starts_with("504 "));
}
