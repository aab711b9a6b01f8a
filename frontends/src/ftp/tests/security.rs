//! Attacks, one test each; here are those that go over the control connection and plain data connections.
//!
//! | what is attacked | the tests |
//! |---|---|
//! | others, by bounce (RFC 2577) | `bounce_…`, `nothing_of_the_tree_…`; `active` and its own tests |
//! | a client's file, by its port | `a_stolen_pasv_port_…`, `a_peer_is_the_same_…`; `passive`'s own |
//! | what comes inside TLS, by what came before | `tls::plaintext_…`, `tls::nothing_that_was_said_in_the_clear_…` |
//! | a browser's user, by another protocol | `a_request_of_http_…`, `ten_lines_…`, `tls::another_protocol_by_alpn_…` |
//! | replies and rows, by names | `names_with_line_breaks_…`; `wire`'s own |
//! | memory, by lines | `a_line_without_bound_…`, `a_flood_of_commands_…`, `limits::a_login_that_does_not_come_…` |
//! | passwords, by trying | `limits::failed_logins_…`; those of `auth` and `auth::bans`, which HTTP shares |
//! | data connections, by another's TLS session | `tls::a_data_connection_resumes_…` |
//! | uploads, by a cut within TLS | `tls::an_upload_that_is_cut_…` |
//! | the host, by paths and links | `dots_…`, `a_link_does_not_lead_…` |
//! | processor time, by patterns | `a_glob_bomb_…` |
//! | files, by names that are chosen here | `a_name_chosen_by_the_server_…`, `a_guest_never_overwrites` |
//! | files, by transfers that break off | `uploads::…`, `order::abor_…`, `a_client_that_vanishes_…` |
//! | the server, by copies and hashes | `nothing_of_the_tree_…`, `a_guest_never_overwrites`, `hashing::abor_stops_…` |
//! | sockets, by waiting | `limits::…`, `active::a_client_that_never_answers_…`, `a_handshake_that_…`; `transport::tls`'s own |
//! | sockets, by number | `limits::one_connection_…`, `four_hundred_pasv_…`; `auth`'s own |
//! | passwords, by listening | `tls::a_password_is_asked_for_…` |
//! | files, by a login that holds no longer | `who_is_no_user_any_more_…` |

use std::os::unix::fs::symlink;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use vfs::backends::local::{LocalFs, LocalOptions};
use vfs::{FileSystem, ListOptions, OpenOptions, VPath};

use crate::auth::{Scope, User, Users, cheap_hash};
use crate::ftp::testing::Running;
use crate::ftp::{Masquerade, Options};
use crate::site::Limits;

#[tokio::test]
async fn bounce_is_refused_without_a_connection() {
    let running = Running::start(&[("/file", b"x")]).await;
    let victim = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = victim.local_addr().unwrap().port();
    let [high, low] = port.to_be_bytes();
    let mut client = running.log_in().await;
    for line in [
        format!("PORT 127,0,0,2,{high},{low}"),
        format!("EPRT |1|127.0.0.2|{port}|"),
        format!("EPRT |2|::1|{port}|"),
        "PORT 127,0,0,1,0,22".to_owned(),
        "EPRT |1|127.0.0.1|1023|".to_owned(),
    ] {
        assert!(client.ask(&line).await.starts_with("501 "), "{line}");
        assert!(client.ask("RETR file").await.starts_with("425 "), "{line}");
    }
    tokio::select! {
        biased;
        _ = victim.accept() => panic!("the server connected"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn a_stolen_pasv_port_gives_nothing_and_stays_open_for_its_owner() {
    let running = Running::start(&[("/file", b"secret")]).await;
    let mut client = running.log_in().await;
    let port = client.port().await;
    let mut thieves = Vec::new();
    for _ in 0..20 {
        let thief = TcpSocket::new_v4().unwrap();
        thief.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        thieves.push(thief.connect(([127, 0, 0, 1], port).into()).await.unwrap());
    }
    // The owner gets in although the thieves were first, and before it has asked for a file.
    let mut data = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    assert!(client.ask("RETR file").await.starts_with("150 "));
    let mut content = Vec::new();
    data.read_to_end(&mut content).await.unwrap();
    assert_eq!(content, b"secret");
    assert!(client.reply().await.starts_with("226 "));
    for mut thief in thieves {
        assert_eq!(thief.read(&mut [0]).await.unwrap_or(0), 0);
    }
}

#[tokio::test]
async fn a_peer_is_the_same_over_ipv4_and_within_ipv6() {
    let running = Running::start_at("[::]:0", &[("/file", b"content")]).await;
    let port = running.address.port();
    for host in ["127.0.0.1", "::1"] {
        let mut client = running.connect_to((host, port)).await;
        client.log_in().await;
        let data_port = client.port().await;
        let mut data = TcpStream::connect((host, data_port)).await.unwrap();
        assert!(client.ask("RETR file").await.starts_with("150 "), "{host}");
        let mut content = Vec::new();
        data.read_to_end(&mut content).await.unwrap();
        assert_eq!(content, b"content", "{host}");
        assert!(client.reply().await.starts_with("226 "));
        assert_eq!(client.ask("PASV").await.starts_with("227 "), host == "127.0.0.1");
    }
}

#[tokio::test]
async fn pasv_tells_the_address_that_was_chosen_for_it() {
    for (masquerade, told) in [
        (Masquerade::Connection, "(127,0,0,1,"),
        (Masquerade::Address([203, 0, 113, 7].into()), "(203,0,113,7,"),
        (Masquerade::Name("localhost".to_owned()), "(127,0,0,1,"),
    ] {
        let options = Options { masquerade: masquerade.clone(), ..Options::default() };
        let running = Running::start_with(&[("/file", b"x")], Limits::default(), options).await;
        let mut client = running.log_in().await;
        let reply = client.ask("PASV").await;
        assert!(reply.starts_with("227 ") && reply.contains(told), "{masquerade:?}: {reply}");
        // The port is open all the same.
        assert_eq!(client.fetch("RETR file").await.0, b"x");
    }
    let options = Options { masquerade: Masquerade::Name("no such name".to_owned()), ..Options::default() };
    let running = Running::start_with(&[], Limits::default(), options).await;
    let mut client = running.log_in().await;
    assert!(client.ask("PASV").await.starts_with("425 "));
    assert!(client.ask("LIST").await.starts_with("425 "));
}

#[tokio::test]
async fn four_hundred_pasv_leave_one_listener() {
    // Sixteen ports from one that is free now: four hundred listeners would not fit.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let ports = free.min(u16::MAX - 15);
    let options = Options { passive_ports: Some(ports..=ports + 15), ..Options::default() };
    let running = Running::start_with(&[("/file", b"x")], Limits::default(), options).await;
    let mut client = running.log_in().await;
    for _ in 0..400 {
        let port = client.port().await;
        assert!((ports..=ports + 15).contains(&port));
    }
    assert_eq!(client.fetch("RETR file").await.0, b"x");
}

#[tokio::test]
async fn a_line_without_bound_is_refused_three_times() {
    let running = Running::start(&[]).await;
    let mut client = running.connect().await;
    let long = format!("USER {}\r\n", "x".repeat(1 << 20));
    for _ in 0..3 {
        client.send(&long).await;
        assert!(client.reply().await.starts_with("500 "));
    }
    assert!(client.reply().await.starts_with("421 "));
    assert_eq!(client.reply().await, "");
}

#[tokio::test]
async fn names_with_line_breaks_or_nul_are_refused_and_listed_in_one_row() {
    let running = Running::start(&[]).await;
    let path = VPath::root().child(&b"a\r\n226 done\n"[..]).unwrap();
    running.tree.memory.open(&path, &OpenOptions::writing()).await.unwrap();
    let mut client = running.log_in().await;
    assert_eq!(client.fetch("NLST").await.0, b"a\\r\\n226 done\\n\r\n");
    for command in ["LIST", "MLSD"] {
        let (rows, _) = client.fetch(command).await;
        let rows = String::from_utf8(rows).unwrap();
        assert!(rows.ends_with(" a\\r\\n226 done\\n\r\n"), "{command}: {rows:?}");
    }
    let rows = client.ask("STAT /").await;
    assert!(
        rows.starts_with("213-") && rows.lines().filter(|line| line.starts_with("226")).count() == 0,
        "{rows}"
    );
    for line in [&b"SIZE a\r\0b\r\n"[..], b"RETR a\r\0\r\n", b"MLST a\0b\r\n", b"CWD \r\0\r\n"] {
        client.data().await;
        client.send(line).await;
        let reply = client.reply().await;
        assert_eq!(reply, "550 A name with a line break or NUL cannot be asked for over FTP.\r\n");
    }
    // Telnet commands are none within a name.
    client.send(b"SIZE \xff\xf1x\xff\xff\r\n").await;
    assert_eq!(client.reply().await, "550 \\xff\\xf1x\\xff\\xff: no such file or folder.\r\n");
    assert!(client.ask("NOOP").await.starts_with("200 "));
}

#[tokio::test]
async fn a_name_that_is_sent_as_it_was_listed_leads_to_its_own_file() {
    let running = Running::start(&[]).await;
    for (name, content) in [(&b"\xff"[..], "one"), (b"\xff\xff", "two"), (b"\xff\xff\xf4", "three")] {
        let path = VPath::root().child(name).unwrap();
        let file = running.tree.memory.open(&path, &OpenOptions::writing()).await.unwrap();
        file.write_at(0, content.into()).await.unwrap();
    }
    let mut client = running.log_in().await;
    let (names, _) = client.fetch("NLST").await;
    let mut lens = Vec::new();
    for name in names.split(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\r")) {
        client.send([b"SIZE ", name, b"\r\n"].concat()).await;
        lens.push((name.len(), client.reply().await));
        // A reply has the name as a listing has it.
        client.send([b"MLST ", name, b"\r\n"].concat()).await;
        let reply = client.reply().await;
        assert!(reply.contains(&format!("; /{}\r\n", name.escape_ascii())), "{reply}");
    }
    assert_eq!(lens.len(), 3);
    assert!(lens.contains(&(1, "213 3\r\n".to_owned())) && lens.contains(&(3, "213 5\r\n".to_owned())));
    client.send(b"DELE \xff\xff\r\n").await;
    assert!(client.reply().await.starts_with("250 "));
    client.send(b"SIZE \xff\r\n").await;
    assert_eq!(client.reply().await, "213 3\r\n");

    // One that doubles it as Telnet has it.
    let mut client = running.log_in().await;
    for (name, len) in [(&b"\xff\xff"[..], 3), (b"\xff\xff\xff\xff\xf4", 5)] {
        client.send([b"SIZE ", name, b"\r\n"].concat()).await;
        assert_eq!(client.reply().await, format!("213 {len}\r\n"));
    }
}

#[tokio::test]
async fn a_flood_of_commands_before_the_login_ends_the_session() {
    let running = Running::start(&[]).await;
    let mut client = running.connect().await;
    client.send("NOOP\r\n".repeat(5000)).await;
    for _ in 0..100 {
        assert!(client.reply().await.starts_with("200 "));
    }
    // The rest of the flood does not take the last word back.
    assert!(client.reply().await.starts_with("421 "));
    assert_eq!(client.reply().await, "");
}

#[tokio::test]
async fn a_request_of_http_is_sent_away() {
    let running = Running::start(&[]).await;
    let mut client = running.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: x\r\n\r\nUSER ftp\r\nPASS x\r\n").await;
    assert!(client.reply().await.starts_with("421 "));
    assert_eq!(client.reply().await, "");
}

#[tokio::test]
async fn ten_lines_that_nobody_understands_end_the_session() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    for _ in 0..3 {
        for _ in 0..9 {
            assert!(client.ask("WHATEVER").await.starts_with("500 "));
        }
        assert!(client.ask("NOOP").await.starts_with("200 "));
    }
    client.send("WHATEVER\r\n".repeat(10)).await;
    for _ in 0..10 {
        assert!(client.reply().await.starts_with("500 "));
    }
    assert!(client.reply().await.starts_with("421 "));
}

#[tokio::test]
async fn nothing_of_the_tree_is_seen_without_a_login() {
    let running = Running::start(&[("/file", b"x")]).await;
    let mut client = running.connect().await;
    for line in [
        "PWD",
        "CWD /",
        "CDUP",
        "PASV",
        "EPSV",
        "PORT 127,0,0,1,4,0",
        "EPRT |1|127.0.0.1|1024|",
        "LIST",
        "NLST",
        "MLSD",
        "MLST",
        "SIZE file",
        "MDTM file",
        "REST 1",
        "RETR file",
        "STAT /",
        "TYPE I",
        "STOR x",
        "APPE x",
        "STOU",
        "DELE x",
        "MKD x",
        "RMD x",
        "RNFR x",
        "RNTO x",
        "MFMT 20200101000000 x",
        "SITE CHMOD 777 x",
        "SITE CPFR x",
        "SITE IDLE 10",
        "SITE CPTO x",
        "SITE SYMLINK x y",
        "HASH file",
        "XCRC file",
        "MD5 file",
        "RANG 0 1",
        "PRET RETR file",
    ] {
        assert!(client.ask(line).await.starts_with("530 "), "{line}");
    }
    assert!(client.ask("PASS x").await.starts_with("503 "));
    client.log_in().await;
    assert!(client.ask("REIN").await.starts_with("220 "));
    assert!(client.ask("PWD").await.starts_with("530 "));
    assert_eq!(running.site.sight.sessions.get(), 0);
}

#[tokio::test]
async fn dots_do_not_lead_out_of_the_tree() {
    let running = Running::start(&[("/d/file", b"x")]).await;
    let mut client = running.log_in().await;
    for line in ["CWD ../../../../etc/..", "CDUP", "CWD /../.."] {
        client.ask(line).await;
        assert_eq!(client.ask("PWD").await, "257 \"/\" is the working folder.\r\n", "{line}");
    }
    assert!(client.ask("CWD d/file").await.starts_with("550 "));
    assert!(client.ask("CWD nothing").await.starts_with("550 "));
    assert_eq!(client.ask("SIZE ../../d/../d/file").await, "213 1\r\n");
}

#[tokio::test]
async fn a_link_does_not_lead_out_of_a_folder() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = |folder: &tempfile::TempDir| {
        let options = LocalOptions { writable: true, ..LocalOptions::default() };
        Arc::new(LocalFs::open_with(folder.path(), &options).unwrap())
    };
    let (tree, victim) = (open(&inside), open(&outside));
    let secret = VPath::parse("/secret").unwrap();
    victim.open(&secret, &OpenOptions::writing()).await.unwrap().write_at(0, "secret".into()).await.unwrap();
    symlink(outside.path(), inside.path().join("away")).unwrap();
    symlink(outside.path().join("secret"), inside.path().join("file")).unwrap();
    let running = Running::start_over(|_| tree, &[]).await;
    let mut client = running.log_in().await;
    for line in
        ["CWD away", "SIZE file", "MDTM away/secret", "HASH file", "DELE away/secret", "SITE CHMOD 777 file"]
    {
        let reply = client.ask(line).await;
        assert!(reply.starts_with("550 "), "{line}: {reply}");
    }
    for line in ["RETR file", "RETR away/secret", "LIST away/", "RETR away.tar"] {
        let reply = client.fetch(line).await.1;
        assert!(reply.starts_with("550 "), "{line}: {reply}");
    }
    for line in ["STOR away/new", "APPE file"] {
        let reply = client.store(line, b"x").await;
        assert!(reply.starts_with("55"), "{line}: {reply}");
    }
    // It is replaced itself, and not what it leads to.
    client.store("STOR file", b"mine").await;
    let found = victim.open(&secret, &OpenOptions::reading()).await.unwrap();
    assert_eq!(found.read_at(0, 100).await.unwrap(), "secret");
    let names = victim.read_dir(&VPath::root(), &ListOptions::default()).await.unwrap();
    assert_eq!(names.collect(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_nothing() {
    let running = Running::start(&[]).await;
    let mut client = running.log_in().await;
    let _data = client.stall(&running).await;
    assert!(running.tree.is_endless_open());
    drop(client);
    running.until_empty().await;
    assert!(!running.tree.is_endless_open());
}

#[tokio::test]
async fn a_guest_never_overwrites() {
    let options = Options::default();
    let running = Running::start_with(&[("/old", b"old"), ("/mine", b"x")], Limits::default(), options).await;
    let mut client = running.log_in().await;
    assert!(client.store("STOR new", b"new").await.starts_with("226 "));
    assert!(client.store("APPE newer", b"newer").await.starts_with("226 "));
    for line in ["STOR old", "APPE old"] {
        assert!(client.store(line, b"x").await.starts_with("550 "), "{line}");
    }
    client.ask("REST 2").await;
    assert!(client.store("STOR old", b"x").await.starts_with("550 "));
    assert!(client.ask("SITE CPFR mine").await.starts_with("350 "));
    assert!(client.ask("SITE CPTO old").await.starts_with("550 "));
    for line in
        ["RNFR mine", "DELE old", "SITE CHMOD 600 old", "MFMT 20200101000000 old", "SITE SYMLINK old mine2"]
    {
        assert!(client.ask(line).await.starts_with("550 "), "{line}");
    }
    assert!(client.ask("MKD folder").await.starts_with("257 "));
    assert_eq!(running.tree.content("/old").await.unwrap(), "old");
    assert_eq!(running.tree.content("/new").await.unwrap(), "new");
    assert_eq!(running.tree.content("/newer").await.unwrap(), "newer");
}

#[tokio::test]
async fn a_name_chosen_by_the_server_is_never_one_that_is_there() {
    let running = Running::start_with(&[], Limits::default(), Options::default()).await;
    let mut client = running.log_in().await;
    for _ in 0..50 {
        assert!(client.store("STOU same", b"x").await.starts_with("226 "));
    }
    let (names, _) = client.fetch("NLST").await;
    assert_eq!(names.iter().filter(|byte| **byte == b'\n').count(), 50);
}

#[tokio::test]
async fn a_glob_bomb_is_no_pattern() {
    let name = format!("/{}b", "a".repeat(250));
    let running = Running::start(&[(&name, b"x")]).await;
    let mut client = running.log_in().await;
    let many = "a*".repeat(5);
    let long = "?".repeat(257);
    let nested = format!("{{{}}}", "a,".repeat(50));
    for pattern in [&many, &long, &nested] {
        // 553 where it is too long even for a name.
        assert!(client.fetch(&format!("LIST {pattern}")).await.1.starts_with("55"), "{pattern}");
    }
    // As many stars as there may be, and nothing that matches: time in proportion to both lengths.
    assert!(client.fetch("LIST a*a*a*a*c").await.1.starts_with("550 "));
    assert!(client.fetch("LIST a*a*a*a*b").await.1.starts_with("226 "));
}

#[tokio::test]
async fn who_is_no_user_any_more_is_sent_away_at_the_next_command() {
    let user = |name: &str, password: &str, root: &str| {
        let scope = Scope::new(VPath::parse(root).unwrap(), []).unwrap();
        (name.to_owned(), Arc::new(User::new(name, cheap_hash(password), scope).unwrap()))
    };
    let (same, moved) = (user("same", "x", "/d"), user("moved", "x", "/d"));
    let before = [user("eve", "x", "/d"), same.clone(), moved].into();
    let users = Users { named: before, ..Users::anonymous() };
    let running = Running::start_secure(&[("/d/file", b"content")], Options::default(), users).await;
    let mut clients = Vec::new();
    for (name, stays) in [("eve", false), ("same", true), ("moved", false), ("ftp", false)] {
        let mut client = running.connect().await;
        client.ask(&format!("USER {name}")).await;
        assert!(client.ask("PASS x").await.starts_with("230 "), "{name}");
        clients.push((name, stays, client));
    }
    let after = [same, user("moved", "x", "/")].into();
    running.site.auth.replace(Users { named: after, ..Users::default() });
    for (name, stays, mut client) in clients {
        let reply = client.ask("PWD").await;
        assert!(reply.starts_with(if stays { "257 " } else { "421 " }), "{name}: {reply}");
    }
    assert!(running.connect().await.ask("NOOP").await.starts_with("200 "));
}
