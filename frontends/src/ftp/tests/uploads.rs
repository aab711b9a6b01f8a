//! Files that come from a client, whole and in part.

use std::sync::Arc;

use rustix::net::sockopt::set_socket_linger;
use tokio::io::AsyncWriteExt;
use vfs::backends::local::{LocalFs, LocalOptions};
use vfs::layers::{Access, ReadOnly, RightsFs, Rules};
use vfs::{FileSystem, OpenOptions, SetAttributes, StatOptions, VPath};

use crate::ftp::testing::{Client, Running, writable};
use crate::ftp::{Options, PartialUploads};
use crate::site::Limits;

/// Longer than any buffer on the way, and no two pieces alike.
fn long() -> Vec<u8> {
    (0..3_000_077_u32).map(|at| (at / 251) as u8).collect()
}

async fn keeping(files: &[(&str, &[u8])]) -> Running {
    let options = Options { partial_uploads: PartialUploads::Keep, ..writable() };
    Running::start_with(files, Limits::default(), options).await
}

fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

fn on_disk(folder: &tempfile::TempDir) -> Arc<dyn FileSystem> {
    let options = LocalOptions { writable: true, ..LocalOptions::default() };
    Arc::new(LocalFs::open_with(folder.path(), &options).unwrap())
}

fn hiding() -> Options {
    Options { partial_uploads: PartialUploads::Hide, ..writable() }
}

/// Sends `sent` and resets the data connection; the reply that comes of it.
async fn break_off<S>(client: &mut Client<S>, running: &Running, line: &str, sent: &[u8]) -> String
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let before = running.site.sight.received_bytes.get();
    let mut data = client.data().await;
    assert!(client.ask(line).await.starts_with("150 "));
    data.write_all(sent).await.unwrap();
    while running.site.sight.received_bytes.get() < before + sent.len() as u64 {
        tokio::task::yield_now().await;
    }
    set_socket_linger(&data, Some(std::time::Duration::ZERO)).unwrap();
    drop(data);
    client.reply().await
}

#[tokio::test]
async fn a_file_arrives_whole_and_replaces_the_old_one() {
    let running = Running::start(&[("/d/old", b"something longer than new")]).await;
    let mut client = running.log_in().await;
    for (path, content) in [("d/old", &b"new"[..]), ("d/empty", b""), ("d/long", &long())] {
        assert!(client.store(&format!("STOR {path}"), content).await.starts_with("226 "), "{path}");
        assert!(running.tree.content(&format!("/{path}")).await.unwrap() == content, "{path}");
    }
    assert_eq!(running.site.sight.received_bytes.get(), long().len() as u64 + 3);
    assert!(client.store("STOR nowhere/x", b"x").await.starts_with("550 "));
    assert!(client.store("STOR d", b"x").await.starts_with("550 "));
}

#[tokio::test]
async fn the_old_file_stays_until_the_new_one_is_whole() {
    let running = Running::start(&[("/file", b"old")]).await;
    let mut client = running.log_in().await;
    let mut data = client.data().await;
    assert!(client.ask("STOR file").await.starts_with("150 "));
    data.write_all(&long()).await.unwrap();
    assert_eq!(running.tree.content("/file").await.unwrap(), "old");
    drop(data);
    assert!(client.reply().await.starts_with("226 "));
    assert!(running.tree.content("/file").await.unwrap() == long());
}

#[tokio::test]
async fn an_upload_whose_client_is_lost_leaves_the_old_file() {
    let running = Running::start(&[("/file", b"old")]).await;
    let mut client = running.log_in().await;
    for path in ["file", "new"] {
        let reply = break_off(&mut client, &running, &format!("STOR {path}"), &long()).await;
        assert!(reply.starts_with("426 "), "{reply}");
    }
    assert_eq!(running.tree.content("/file").await.unwrap(), "old");
    assert!(running.tree.content("/new").await.is_none());
}

#[tokio::test]
async fn an_upload_whose_session_is_lost_leaves_the_old_file() {
    let running = Running::start(&[("/file", b"old")]).await;
    let mut client = running.log_in().await;
    let mut data = client.data().await;
    assert!(client.ask("STOR file").await.starts_with("150 "));
    data.write_all(b"half").await.unwrap();
    drop(client);
    running.until_empty().await;
    assert_eq!(running.tree.content("/file").await.unwrap(), "old");
}

#[tokio::test]
async fn abor_stops_an_upload_at_once() {
    let running = Running::start(&[("/file", b"old")]).await;
    let mut client = running.log_in().await;
    let _data = client.data().await;
    assert!(client.ask("STOR file").await.starts_with("150 "));
    assert!(client.ask("NOOP").await.starts_with("200 "));
    assert!(client.ask("STAT").await.contains(" Receiving /file: 0 bytes."));
    assert!(client.ask("ABOR").await.starts_with("426 "));
    assert!(client.reply().await.starts_with("226 "));
    assert_eq!(running.tree.content("/file").await.unwrap(), "old");
}

#[tokio::test]
async fn what_came_of_a_new_file_is_kept_where_asked_and_goes_on_by_rest() {
    let running = keeping(&[("/file", b"old")]).await;
    let mut client = running.log_in().await;
    let content = long();
    let half = 1_500_000;
    let reply = break_off(&mut client, &running, "STOR new", &content[..half]).await;
    assert!(reply.starts_with("426 "), "{reply}");
    let kept = running.tree.content("/new").await.unwrap();
    assert!(!kept.is_empty() && kept.len() <= half && content.starts_with(&kept));

    client.ask(&format!("REST {}", kept.len())).await;
    assert!(client.store("STOR new", &content[kept.len()..]).await.starts_with("226 "));
    assert!(running.tree.content("/new").await.unwrap() == content);

    // What was there before is replaced as a whole or not at all.
    break_off(&mut client, &running, "STOR file", &content[..half]).await;
    assert_eq!(running.tree.content("/file").await.unwrap(), "old");
}

/// What the client sees in the root.
async fn names<S>(client: &mut Client<S>) -> String
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    String::from_utf8(client.fetch("NLST").await.0).unwrap()
}

#[tokio::test]
async fn what_came_grows_out_of_sight_where_asked_and_goes_on_by_rest_and_appe() {
    let running = Running::start_with(&[("/file", b"old")], Limits::default(), hiding()).await;
    let mut client = running.log_in().await;
    let content = long();
    for command in ["STOR", "APPE"] {
        let reply = break_off(&mut client, &running, "STOR new", &content[..1_500_000]).await;
        assert!(reply.starts_with("426 "), "{reply}");
        assert_eq!(running.tree.content("/new").await, None);
        let size = client.ask("SIZE new").await;
        let len: usize = size[4..].trim_end().parse().unwrap();
        assert!(len > 0 && content.starts_with(&running.tree.content("/.new.vfsd-upload").await.unwrap()));

        client.ask(&format!("REST {}", if command == "STOR" { len } else { 0 })).await;
        let reply = client.store(&format!("{command} new"), &content[len..]).await;
        assert!(reply.starts_with("226 "), "{command}: {reply}");
        assert!(running.tree.content("/new").await.unwrap() == content, "{command}");
        assert_eq!(names(&mut client).await, "file\r\nnew\r\n");
        assert!(client.ask("DELE new").await.starts_with("250 "));
    }
    client.ask("MKD folder").await;
    assert!(client.store("STOR folder", b"x").await.starts_with("550 "));
    assert!(client.ask("RMD folder").await.starts_with("250 "));
    // A file that is there stays until the new one is whole, and takes no part for its own beginning.
    break_off(&mut client, &running, "STOR file", &content[..1_500_000]).await;
    assert_eq!(running.tree.content("/file").await.unwrap(), "old");
    assert_eq!(client.ask("SIZE file").await, "213 3\r\n");
    assert!(client.store("APPE file", b"er").await.starts_with("226 "));
    assert_eq!(running.tree.content("/file").await.unwrap(), "older");
    assert!(client.store("STOR file", b"new").await.starts_with("226 "));
    assert_eq!(running.tree.content("/file").await.unwrap(), "new");
    assert_eq!(names(&mut client).await, "file\r\n");
}

#[tokio::test]
async fn one_upload_at_a_time_grows_out_of_sight_under_a_name() {
    let running = Running::start_with(&[], Limits::default(), hiding()).await;
    let (mut first, mut second) = (running.log_in().await, running.log_in().await);
    let mut data = first.data().await;
    assert!(first.ask("STOR new").await.starts_with("150 "));
    assert!(second.store("STOR new", b"second").await.starts_with("450 "));
    data.write_all(b"first").await.unwrap();
    drop(data);
    assert!(first.reply().await.starts_with("226 "));
    assert_eq!(running.tree.content("/new").await.unwrap(), "first");
    assert!(second.store("STOR new", b"second").await.starts_with("226 "));
    assert_eq!(running.tree.content("/new").await.unwrap(), "second");
}

#[tokio::test]
async fn rest_goes_on_in_the_file_and_cuts_what_lies_behind() {
    let running = Running::start(&[("/file", b"0123456789")]).await;
    let mut client = running.log_in().await;
    client.ask("REST 4").await;
    assert!(client.store("STOR file", b"ab").await.starts_with("226 "));
    assert_eq!(running.tree.content("/file").await.unwrap(), "0123ab");
    client.ask("REST 6").await;
    assert!(client.store("STOR file", b"cd").await.starts_with("226 "));
    assert_eq!(running.tree.content("/file").await.unwrap(), "0123abcd");
    for (path, code) in [("file", "554 "), ("missing", "550 ")] {
        client.ask("REST 9").await;
        assert!(client.store(&format!("STOR {path}"), b"x").await.starts_with(code), "{path}");
    }
    // It held for one command.
    assert!(client.store("STOR file", b"x").await.starts_with("226 "));
    assert_eq!(running.tree.content("/file").await.unwrap(), "x");
}

#[tokio::test]
async fn appe_goes_on_at_the_end() {
    let running = Running::start(&[("/file", b"one")]).await;
    let mut client = running.log_in().await;
    assert!(client.store("APPE file", b"two").await.starts_with("226 "));
    assert!(client.store("APPE new", b"first").await.starts_with("226 "));
    assert_eq!(running.tree.content("/file").await.unwrap(), "onetwo");
    assert_eq!(running.tree.content("/new").await.unwrap(), "first");
}

#[tokio::test]
async fn stou_finds_a_name_of_its_own_and_tells_it() {
    let running = Running::start(&[("/d/file", b"old"), ("/d/sub/file", b"old")]).await;
    let mut client = running.log_in().await;
    client.ask("CWD d").await;
    for (line, start) in [
        ("STOU", "/d/upload."),
        ("STOU file", "/d/file."),
        ("STOU file", "/d/file."),
        ("STOU .", "/d/upload."),
        ("STOU ../d/", "/d/upload."),
        ("STOU sub", "/d/sub/upload."),
        ("STOU sub/", "/d/sub/upload."),
        ("STOU ..", "/upload."),
        ("STOU /", "/upload."),
    ] {
        let data = client.data().await;
        let first = client.ask(line).await;
        let name = first.strip_prefix("150 FILE: ").unwrap().trim_end().to_owned();
        assert!(name.starts_with(start), "{name}");
        let mut data = data;
        data.write_all(b"new").await.unwrap();
        drop(data);
        assert!(client.reply().await.starts_with("226 "));
        assert_eq!(running.tree.content(&name).await.unwrap(), "new");
    }
    assert_eq!(running.tree.content("/d/file").await.unwrap(), "old");
}

#[tokio::test]
async fn lines_of_an_upload_end_with_lf_in_type_a() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    client.ask("TYPE A").await;
    assert!(client.store("STOR text", b"a\r\nb\r\n\r").await.starts_with("226 "));
    assert_eq!(running.tree.content("/text").await.unwrap(), "a\nb\n\r");
    client.ask("REST 2").await;
    assert!(client.store("STOR text", b"x").await.starts_with("554 "));
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_old_file_stays() {
    let running = Running::start(&[("/full", b"old")]).await;
    let mut client = running.log_in().await;
    assert!(client.store("STOR full", &long()).await.starts_with("552 "));
    assert_eq!(running.tree.content("/full").await.unwrap(), "old");
    assert!(client.ask("NOOP").await.starts_with("200 "));
}

#[tokio::test]
async fn a_client_that_sends_nothing_is_given_up() {
    let limits = Limits { stall: Some(std::time::Duration::from_millis(50)), ..Limits::default() };
    let running = Running::start_with(&[("/file", b"old")], limits, writable()).await;
    let mut client = running.log_in().await;
    let mut data = client.data().await;
    assert!(client.ask("STOR file").await.starts_with("150 "));
    data.write_all(b"half").await.unwrap();
    assert!(client.reply().await.starts_with("426 "));
    assert_eq!(running.tree.content("/file").await.unwrap(), "old");
}

#[tokio::test]
async fn a_tree_that_is_read_only_takes_nothing() {
    let running = Running::start_over(|tree| Arc::new(ReadOnly::new(tree)), &[("/file", b"old")]).await;
    let mut client = running.log_in().await;
    for line in ["STOR file", "STOR new", "APPE file", "STOU"] {
        let reply = client.store(line, b"x").await;
        assert!(reply.starts_with("550 ") && reply.contains("read-only"), "{line}: {reply}");
    }
    for line in ["DELE file", "MKD d", "MFMT 20200101000000 file", "SITE CHMOD 600 file", "SITE SYMLINK a b"]
    {
        let reply = client.ask(line).await;
        assert!(reply.starts_with("550 ") && reply.contains("read-only"), "{line}: {reply}");
    }
    assert!(client.ask("RNFR file").await.starts_with("350 "));
    assert!(client.ask("RNTO other").await.starts_with("550 "));
    assert_eq!(running.tree.content("/file").await.unwrap(), "old");
}

#[tokio::test]
async fn rest_cuts_nothing_before_something_came() {
    let running = Running::start(&[("/file", b"0123456789")]).await;
    let mut client = running.log_in().await;
    client.ask("EPSV").await;
    client.ask("REST 5").await;
    assert!(client.ask("STOR file").await.starts_with("150 "));
    assert!(client.ask("ABOR").await.starts_with("426 "));
    assert!(client.reply().await.starts_with("226 "));
    assert_eq!(running.tree.content("/file").await.unwrap(), "0123456789");
    client.ask("REST 5").await;
    assert!(client.store("STOR file", b"").await.starts_with("226 "));
    assert_eq!(running.tree.content("/file").await.unwrap(), "01234", "all that follows was nothing");
}

#[tokio::test]
async fn an_upload_begun_anew_out_of_sight_cuts_nothing_before_something_came() {
    let running = Running::start_with(&[], Limits::default(), hiding()).await;
    let mut client = running.log_in().await;
    break_off(&mut client, &running, "STOR new", b"0123456789").await;
    client.ask("EPSV").await;
    assert!(client.ask("STOR new").await.starts_with("150 "));
    assert!(client.ask("ABOR").await.starts_with("426 "));
    assert!(client.reply().await.starts_with("226 "));
    assert_eq!(client.ask("SIZE new").await, "213 10\r\n");
}

#[tokio::test]
async fn what_came_stays_to_its_last_byte_where_it_is_kept() {
    let limits = Limits { stall: Some(std::time::Duration::from_millis(200)), ..Limits::default() };
    for partial_uploads in [PartialUploads::Keep, PartialUploads::Hide] {
        let options = Options { partial_uploads, ..writable() };
        let running = Running::start_with(&[("/old", b"old")], limits.clone(), options).await;
        let mut client = running.log_in().await;
        break_off(&mut client, &running, "STOR reset", b"0123456789").await;
        assert_eq!(client.ask("SIZE reset").await, "213 10\r\n");
        break_off(&mut client, &running, "APPE old", b"0123456789").await;
        assert_eq!(client.ask("SIZE old").await, "213 13\r\n");

        for (path, end) in [("stopped", "ABOR\r\n"), ("stalled", "")] {
            let before = running.site.sight.received_bytes.get();
            let mut data = client.data().await;
            assert!(client.ask(&format!("STOR {path}")).await.starts_with("150 "));
            data.write_all(b"0123456789").await.unwrap();
            while running.site.sight.received_bytes.get() < before + 10 {
                tokio::task::yield_now().await;
            }
            client.send(end).await;
            assert!(client.reply().await.starts_with("426 "), "{path}");
            if !end.is_empty() {
                assert!(client.reply().await.starts_with("226 "));
            }
            assert_eq!(client.ask(&format!("SIZE {path}")).await, "213 10\r\n", "{path}");
        }

        let before = running.site.sight.received_bytes.get();
        let mut data = client.data().await;
        assert!(client.ask("STOR gone").await.starts_with("150 "));
        data.write_all(b"0123456789").await.unwrap();
        while running.site.sight.received_bytes.get() < before + 10 {
            tokio::task::yield_now().await;
        }
        drop(client);
        running.until_empty().await;
        assert_eq!(running.log_in().await.ask("SIZE gone").await, "213 10\r\n");
    }
}

#[tokio::test]
async fn an_upload_whose_name_was_taken_meanwhile_is_no_success() {
    let running = keeping(&[("/old", b"old")]).await;
    let (mut first, mut second) = (running.log_in().await, running.log_in().await);
    for (line, path) in [("STOR new", "new"), ("APPE old", "old")] {
        let mut data = first.data().await;
        assert!(first.ask(line).await.starts_with("150 "));
        assert!(second.store(&format!("STOR {path}"), b"whole").await.starts_with("226 "));
        data.write_all(&long()).await.unwrap();
        drop(data);
        let reply = first.reply().await;
        assert_eq!(reply, "451 The file was not written: changed meanwhile.\r\n", "{line}");
        assert_eq!(running.tree.content(&format!("/{path}")).await.unwrap(), "whole");
    }
    // Nobody had the name when this one began, and who has it now keeps it.
    let running = Running::start_with(&[], Limits::default(), hiding()).await;
    let mut client = running.log_in().await;
    let mut data = client.data().await;
    assert!(client.ask("STOR new").await.starts_with("150 "));
    data.write_all(b"half").await.unwrap();
    running.tree.memory.create_dir(&path("/new")).await.unwrap();
    drop(data);
    assert!(client.reply().await.starts_with("451 "));
}

#[tokio::test]
async fn a_file_that_is_replaced_gives_its_mode_and_owner_and_its_links_lead_to_it() {
    for partial_uploads in [PartialUploads::Delete, PartialUploads::Keep, PartialUploads::Hide] {
        let folder = tempfile::tempdir().unwrap();
        let tree = on_disk(&folder);
        let (file, link, dangling) = (path("/file"), path("/link"), path("/dangling"));
        tree.open(&file, &OpenOptions::writing()).await.unwrap();
        let private = SetAttributes { mode: Some(0o600), ..SetAttributes::default() };
        tree.set_attributes(&file, &private, true).await.unwrap();
        let given = SetAttributes { user: Some(1234), group: Some(1234), ..SetAttributes::default() };
        // Who may not give files away has its own.
        let _ = tree.set_attributes(&file, &given, true).await;
        let before = tree.metadata(&file, &StatOptions::default()).await.unwrap();
        tree.symlink(&"file".into(), &link).await.unwrap();
        tree.symlink(&"missing".into(), &dangling).await.unwrap();

        let options = Options { partial_uploads, ..writable() };
        let shown = Arc::clone(&tree);
        let running = Running::start_site(&[], Limits::default(), options, |_| shown).await;
        let mut client = running.log_in().await;
        for (name, content) in [("file", "new"), ("link", "newer")] {
            assert!(client.store(&format!("STOR {name}"), content.as_bytes()).await.starts_with("226 "));
            let after = tree.metadata(&file, &StatOptions::default()).await.unwrap();
            assert_eq!(after.len, Some(content.len() as u64), "{partial_uploads:?}, {name}");
            assert_eq!((after.mode, after.owner), (before.mode, before.owner), "{partial_uploads:?}, {name}");
        }
        client.store("STOR dangling", b"x").await;
        for link in [link, dangling] {
            let found = tree.metadata(&link, &StatOptions::no_follow()).await.unwrap();
            assert!(found.is_symlink(), "{partial_uploads:?}, {link}");
        }
    }
}

#[tokio::test]
async fn a_drop_box_takes_uploads_in_every_way() {
    for partial_uploads in [PartialUploads::Delete, PartialUploads::Keep, PartialUploads::Hide] {
        let inbox = (path("/inbox"), Access { write: true, ..Access::NONE });
        let rules = Rules::new([(VPath::root(), Access::READ), inbox]).unwrap();
        let over = |tree| Arc::new(RightsFs::new(tree, rules)) as Arc<dyn FileSystem>;
        let options = Options { partial_uploads, ..writable() };
        let running = Running::start_site(&[("/inbox/old", b"old")], Limits::default(), options, over).await;
        let mut client = running.log_in().await;
        assert!(client.ask("CWD inbox").await.starts_with("250 "), "a Unix folder of -wx lets one in");
        for (line, code) in
            [("CWD old", "550 "), ("CWD none", "550 "), ("CWD /none", "550 "), ("SIZE old", "550 ")]
        {
            assert!(client.ask(line).await.starts_with(code), "{line}");
        }
        for (line, path) in
            [("STOR fresh", "/inbox/fresh"), ("STOR old", "/inbox/old"), ("APPE more", "/inbox/more")]
        {
            let reply = client.store(line, b"content").await;
            assert!(reply.starts_with("226 "), "{partial_uploads:?}, {line}: {reply}");
            assert_eq!(running.tree.content(path).await.unwrap(), "content");
        }
        assert!(client.store("STOU", b"x").await.starts_with("226 "));
        for line in ["LIST", "RETR fresh"] {
            assert!(client.fetch(line).await.1.starts_with("550 "), "{line}");
        }
    }
}

#[tokio::test]
async fn what_grows_out_of_sight_is_shown_to_nobody() {
    let running = Running::start_with(&[("/d/file", b"x")], Limits::default(), hiding()).await;
    let (mut writer, mut other) = (running.log_in().await, running.log_in().await);
    break_off(&mut writer, &running, "STOR d/own", b"secret").await;
    assert!(running.tree.content("/d/.own.vfsd-upload").await.is_some());
    for client in [&mut writer, &mut other] {
        for line in ["NLST d", "NLST -a d", "NLST d/*", "NLST d/.*"] {
            let (rows, _) = client.fetch(line).await;
            assert!(!String::from_utf8(rows).unwrap().contains("vfsd-upload"), "{line}");
        }
        for line in ["LIST -aR", "MLSD d", "RETR d.tar"] {
            let (rows, end) = client.fetch(line).await;
            assert!(end.starts_with("226 ") && !String::from_utf8_lossy(&rows).contains("own"), "{line}");
        }
        for line in ["SIZE", "MDTM", "MLST", "HASH", "RNFR", "DELE", "SITE CPFR", "CWD", "STAT"] {
            let reply = client.ask(&format!("{line} d/.own.vfsd-upload")).await;
            assert!(reply.starts_with("550 "), "{line}: {reply}");
        }
        assert!(client.fetch("RETR d/.own.vfsd-upload").await.1.starts_with("550 "));
        for line in ["STOR", "APPE"] {
            assert!(
                client.store(&format!("{line} d/.own.vfsd-upload"), b"x").await.starts_with("550 "),
                "{line}"
            );
        }
        assert!(client.ask("RNFR d/file").await.starts_with("350 "));
        assert!(client.ask("RNTO d/.own.vfsd-upload").await.starts_with("550 "));
    }
    assert_eq!(running.tree.content("/d/.own.vfsd-upload").await.unwrap(), "secret");
}

#[tokio::test]
async fn the_longest_names_grow_out_of_sight_too() {
    let folder = tempfile::tempdir().unwrap();
    let tree = on_disk(&folder);
    let shown = Arc::clone(&tree);
    let running = Running::start_site(&[], Limits::default(), hiding(), |_| shown).await;
    let mut client = running.log_in().await;
    for len in [242, 243, 250, 255] {
        let name = "n".repeat(len);
        break_off(&mut client, &running, &format!("STOR {name}"), b"half").await;
        assert_eq!(client.ask(&format!("SIZE {name}")).await, "213 4\r\n", "{len}");
        assert!(client.store(&format!("APPE {name}"), b" and half").await.starts_with("226 "), "{len}");
        let file = tree.open(&path(&format!("/{name}")), &OpenOptions::reading()).await.unwrap();
        assert_eq!(file.read_at(0, 100).await.unwrap(), "half and half");
    }
}
