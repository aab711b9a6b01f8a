//! `serve`: says where it listens, serves, reads its mounts again on SIGHUP, and ends when it is told to.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;

use crate::running::{Server, connect, get, odd_folder, run};

const FREE: [&str; 4] = ["--http", "127.0.0.1:0", "--ftp", "127.0.0.1:0"];

#[test]
fn a_folder_is_served_over_both_protocols_until_sigterm() {
    let folder = odd_folder();
    let mut server = Server::start(folder.path(), &FREE, 2);
    assert!(server.urls[0].starts_with("http://127.0.0.1:"), "{:?}", server.urls);
    assert!(server.urls[1].starts_with("ftp://127.0.0.1:"), "{:?}", server.urls);
    assert_eq!(server.log, ["ready"]);

    let (status, body) = get(server.address("http"), "/a%231");
    assert_eq!((status.as_str(), &body[..]), ("HTTP/1.1 200 OK", &b"a#1"[..]));

    let mut control = BufReader::new(connect(server.address("ftp")));
    let mut greeting = String::new();
    control.read_line(&mut greeting).unwrap();
    assert!(greeting.starts_with("220"), "{greeting}");
    drop(control);

    server.signal(Signal::TERM);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn ctrl_c_ends_it_too_and_a_second_signal_cuts_what_is_still_open() {
    let folder = tempfile::tempdir().unwrap();
    fs::File::create(folder.path().join("long")).unwrap().set_len(1 << 30).unwrap();
    let mut server = Server::start(folder.path(), &FREE, 2);
    let mut stuck = connect(server.address("http"));
    stuck.write_all(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stuck.read_exact(&mut [0; 1000]).unwrap();
    server.signal(Signal::INT);
    // It stops listening first, so a refused connection says that the first signal has arrived.
    while std::net::TcpStream::connect(server.address("ftp")).is_ok() {
        std::thread::yield_now();
    }
    server.signal(Signal::INT);
    let (status, said) = server.end();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.ends_with("vfsd: stopped at once: open connections were cut\n"), "{said}");
}

#[test]
fn mounts_and_listeners_come_from_the_command_line() {
    let folder = odd_folder();
    let socket = folder.path().join("vfsd.sock");
    let unix = format!("unix:{}", socket.display());
    let arguments = ["--ftp", "off", "--http", "127.0.0.1:0", "--http", &unix, "/here/it is=.", "/m=memory:"];
    let mut server = Server::start(folder.path(), &arguments, 2);
    assert_eq!(server.urls[1], format!("http+unix://{}", socket.display()));
    let (status, body) = get(server.address("http"), "/here/it%20is/50%25");
    assert_eq!((status.as_str(), &body[..]), ("HTTP/1.1 200 OK", &b"50%"[..]));

    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");

    server.signal(Signal::TERM);
    assert_eq!(server.end().0, Some(0));
    assert!(!socket.exists(), "the socket's file goes with its server");
}

#[test]
fn a_socket_that_a_dead_server_left_is_replaced_and_one_in_use_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let unix = format!("unix:{}", socket.display());
    let alive = UnixListener::bind(&socket).unwrap();
    let arguments = ["serve", "--ftp", "off", "--http", &unix];
    let said = run(folder.path(), &arguments).refused(2);
    assert_eq!(
        said,
        format!("--http {unix}: the address is in use: stop who listens there, or name another one")
    );
    drop(alive);
    assert!(fs::symlink_metadata(&socket).unwrap().file_type().is_socket());
    let server = Server::start(folder.path(), &arguments[1..], 1);
    assert_eq!(server.urls, [format!("http+unix://{}", socket.display())]);
}

#[test]
fn a_server_that_ends_takes_no_other_servers_socket_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let unix = format!("unix:{}", socket.display());
    let mut first = Server::start(folder.path(), &["--ftp", "off", "--http", &unix], 1);
    fs::remove_file(&socket).unwrap();
    let _second = Server::start(folder.path(), &["--ftp", "off", "--http", &unix], 1);
    first.signal(Signal::TERM);
    assert_eq!(first.end().0, Some(0));
    UnixStream::connect(&socket).unwrap();
}

#[test]
fn an_address_that_cannot_be_had_is_refused_before_anything_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap().to_string();
    for (arguments, message) in [
        (["--http", "127.0.0.1:0", "--ftp", &address], format!("--ftp {address}: the address is in use")),
        (
            ["--http", "192.0.2.1:80", "--ftp", "off"],
            "--http 192.0.2.1:80: this machine has no such address".to_owned(),
        ),
        (
            ["--http", "unix:/none/s", "--ftp", "off"],
            "--http unix:/none/s: there is no such folder for the socket".to_owned(),
        ),
    ] {
        let ended = run(folder.path(), &[&["serve"][..], &arguments].concat());
        assert_eq!(ended.out, b"", "nothing is announced");
        let said = ended.refused(2);
        assert!(said.starts_with(&message), "{said}");
    }
}

#[test]
fn a_configuration_is_served_and_its_mounts_are_read_again_on_sighup() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("one", "1"), ("two", "2")] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("f"), text).unwrap();
    }
    let mount = |at: &str, source: &str| format!("[[mount]]\nat = \"{at}\"\nsource = \"{source}\"\n");
    let serve = "[[serve]]\nprotocol = \"http\"\nlisten = \"127.0.0.1:0\"\n";
    let file = folder.path().join("vfsd.toml");
    fs::write(&file, format!("{}{}{serve}", mount("/kept", "one"), mount("/gone", "one"))).unwrap();
    let mut server = Server::start(folder.path(), &["--config", "vfsd.toml"], 1);
    let http = server.address("http");
    let content = |target: &str| {
        let (status, body) = get(http, target);
        (status.split(' ').nth(1).unwrap().to_owned(), body)
    };
    assert_eq!(content("/gone/f"), ("200".to_owned(), b"1".to_vec()));

    fs::write(&file, format!("{}{}{serve}", mount("/kept", "one"), mount("/new", "two"))).unwrap();
    server.signal(Signal::HUP);
    server.log_until("read again");
    assert_eq!(content("/kept/f"), ("200".to_owned(), b"1".to_vec()));
    assert_eq!(content("/new/f"), ("200".to_owned(), b"2".to_vec()));
    assert_eq!(content("/gone/f").0, "404");

    fs::write(&file, mount("/new", "none")).unwrap();
    server.signal(Signal::HUP);
    let log = server.log_until("refused");
    assert!(log.iter().any(|line| line.contains("vfsd.toml:3: mount.source: there is no ")), "{log:?}");
    assert_eq!(content("/new/f"), ("200".to_owned(), b"2".to_vec()));

    // Mounts come with their rights, and rights change for what is mounted already.
    let right = "[[right]]\npath = \"/secret\"\nallow = []\n[[right]]\npath = \"/new\"\nallow = [\"list\"]\n";
    fs::write(&file, format!("{}{}{right}", mount("/new", "two"), mount("/secret", "one"))).unwrap();
    server.signal(Signal::HUP);
    server.log_until("read again");
    assert_eq!((content("/secret/f").0, content("/new/f").0), ("403".to_owned(), "403".to_owned()));
    fs::write(&file, format!("{}{}", mount("/new", "two"), mount("/secret", "one"))).unwrap();
    server.signal(Signal::HUP);
    server.log_until("read again");
    assert_eq!((content("/secret/f").0, content("/new/f").0), ("200".to_owned(), "200".to_owned()));

    // So do names.
    fs::write(&file, format!("{}[[host]]\nnames = [\"a.example\"]\n", mount("/new", "two"))).unwrap();
    server.signal(Signal::HUP);
    server.log_until("read again");
    assert_eq!(content("/new/f").0, "421");

    server.signal(Signal::TERM);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn nothing_is_missed_while_mounts_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("f"), name).unwrap();
    }
    let write = |source| {
        let text = format!("[[mount]]\nat = \"/m\"\nsource = \"{source}\"\n");
        let serve = "[[serve]]\nprotocol = \"http\"\nlisten = \"127.0.0.1:0\"\n";
        fs::write(folder.path().join("vfsd.toml"), text + serve).unwrap();
    };
    write("one");
    let mut server = Server::start(folder.path(), &["--config", "vfsd.toml"], 1);
    let http = server.address("http");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let (status, body) = get(http, "/m/f");
                assert!(status.contains("200") && (body == b"one" || body == b"two"), "{status}");
            }
        });
        for source in ["two", "one"].repeat(5) {
            write(source);
            server.signal(Signal::HUP);
            server.log_until("read again");
        }
        is_over.store(true, Ordering::Relaxed);
        asking.join().unwrap();
    });
    server.signal(Signal::TERM);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn how_long_files_may_be_kept_is_read_again_on_sighup() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("files")).unwrap();
    fs::write(folder.path().join("files/f"), "text").unwrap();
    let configure = |said: &str| {
        let text = format!("[[mount]]\nat = \"/\"\nsource = \"files\"\n{said}");
        fs::write(folder.path().join("c.toml"), text).unwrap();
    };
    configure("cache_control = \"max-age=60\"\n");
    let mut server = Server::start(folder.path(), &[&["--config", "c.toml"], &FREE[..]].concat(), 2);
    // The connection stays: what is said anew holds for it too.
    let mut stream = BufReader::new(connect(server.address("http")));
    for (then, value) in
        [("cache_control = \"max-age=5\"\n", "max-age=60"), ("", "max-age=5"), ("", "no-cache")]
    {
        stream.get_mut().write_all(b"HEAD /f HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\n") {
            stream.read_line(&mut answer).unwrap();
        }
        assert!(answer.contains(&format!("cache-control: {value}\r\n")), "{answer}");
        configure(then);
        server.signal(Signal::HUP);
        server.log_until("read again");
    }
}

#[test]
fn a_name_shows_its_folder_over_both_protocols_and_other_names_show_nothing_over_http() {
    let folder = tempfile::tempdir().unwrap();
    for (site, text) in [("a", "one"), ("b", "two")] {
        fs::create_dir_all(folder.path().join("files").join(site)).unwrap();
        fs::write(folder.path().join("files").join(site).join("f"), text).unwrap();
    }
    let text = r#"
        [[mount]]
        at = "/"
        source = "files"
        cache_control = "max-age=60"

        [[host]]
        names = ["a.example", "www.a.example"]
        root = "/a"

        [[host]]
        names = ["*.b.example"]
        root = "/b"
    "#;
    fs::write(folder.path().join("c.toml"), text).unwrap();
    let said = String::from_utf8(run(folder.path(), &["check", "c.toml"]).good()).unwrap();
    assert!(
        said.contains("\nhost a.example and www.a.example shows /a\nhost *.b.example shows /b\n"),
        "{said}"
    );
    let server = Server::start(folder.path(), &[&["--config", "c.toml"], &FREE[..]].concat(), 2);
    let ask = |host: &str, target: &str| {
        let mut stream = connect(server.address("http"));
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    for (host, target, status, content) in [
        ("a.example", "/f", "200", "one"),
        ("WWW.A.example:8080", "/f", "200", "one"),
        ("x.b.example", "/f", "200", "two"),
        ("a.example", "/b/f", "404", ""),
        ("b.example", "/f", "421", "no site of that name is here"),
        ("127.0.0.1", "/a/f", "421", ""),
    ] {
        let answer = ask(host, target);
        assert_eq!(&answer[9..12], status, "{host}: {answer}");
        assert!(answer.contains(content), "{host}: {answer}");
        assert_eq!(answer.contains("cache-control: max-age=60\r\n"), status == "200", "{answer}");
    }

    let mut control = BufReader::new(connect(server.address("ftp")));
    let mut ask = |command: &str| {
        control.get_mut().write_all(command.as_bytes()).unwrap();
        let mut reply = String::new();
        control.read_line(&mut reply).unwrap();
        reply
    };
    let commands =
        ["", "HOST x.b.example\r\n", "USER anonymous\r\n", "PASS x\r\n", "TYPE I\r\n", "SIZE /f\r\n"];
    assert_eq!(commands.map(&mut ask)[5], "213 3\r\n");
}

#[test]
fn rights_hold_for_every_front_end() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("files/private/open")).unwrap();
    for file in ["f", "private/f", "private/open/f"] {
        fs::write(folder.path().join("files").join(file), file).unwrap();
    }
    let text = r#"
        [[mount]]
        at = "/"
        source = "files"

        [[right]]
        path = "/private"
        allow = []

        [[right]]
        path = "/private/open"
        allow = ["read"]
    "#;
    fs::write(folder.path().join("c.toml"), text).unwrap();
    let server = Server::start(folder.path(), &[&["--config", "c.toml"], &FREE[..]].concat(), 2);
    let http = server.address("http");
    for (target, status) in [
        ("/f", "200"),
        ("/private/f", "403"),
        ("/private/", "403"),
        ("/private/open/f", "200"),
        ("/private/open/", "403"),
    ] {
        assert_eq!(get(http, target).0.split(' ').nth(1), Some(status), "{target}");
    }
    let listing = String::from_utf8(get(http, "/").1).unwrap();
    assert!(listing.contains("f") && !listing.contains("private"), "{listing}");

    let mut control = BufReader::new(connect(server.address("ftp")));
    let mut ask = |command: &str| {
        control.get_mut().write_all(command.as_bytes()).unwrap();
        let mut reply = String::new();
        control.read_line(&mut reply).unwrap();
        reply.split(' ').next().unwrap().to_owned()
    };
    let replies = ["", "USER anonymous\r\n", "PASS x\r\n", "CWD /private\r\n", "SIZE /private/open/f\r\n"]
        .map(&mut ask);
    assert_eq!(replies[3], "550", "{replies:?}");
}

#[test]
fn the_log_speaks_json_where_it_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--http", "127.0.0.1:0", "--ftp", "off", "--log", "warn", "--log-format", "json"];
    let mut server = Server::start(folder.path(), &arguments, 1);
    server.signal(Signal::HUP);
    let log = server.log_until("--config");
    let line = log.last().unwrap();
    assert!(line.starts_with('{') && line.ends_with('}') && line.contains("\"level\":\"WARN\""), "{line}");
}
