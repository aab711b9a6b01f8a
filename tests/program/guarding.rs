//! `serve` with TLS, users, logs and an admin listener, as curl, lftp and Python's ftplib meet it.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use support::{Program, run as run_peer};

use crate::running::{Server, get, run, vfsd};

const FREE: [&str; 4] = ["--http", "127.0.0.1:0", "--ftp", "127.0.0.1:0"];

/// A folder with a certificate (`c.pem`, `k.pem`), a user `ann` with the password `secret` (`users`), and a tree.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_certificate(folder.path());
    let hash = bcrypt::hash("secret", 4).unwrap();
    fs::write(at("users"), format!("ann:{hash}\n")).unwrap();
    fs::create_dir(at("tree")).unwrap();
    fs::write(at("tree/small"), "content").unwrap();
    fs::write(at("tree/large"), large()).unwrap();
    folder
}

/// Content that shows where a piece of it is from.
fn large() -> Vec<u8> {
    (0..3_000_000_u32).map(|at| (at / 251) as u8).collect()
}

fn write_certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    fs::write(folder.join("k.pem"), made.signing_key.serialize_pem()).unwrap();
    fs::write(folder.join("c.pem"), made.cert.pem()).unwrap();
}

fn start(folder: &Path, more: &[&str], listeners: usize) -> Server {
    let tls = ["--tls-cert", "c.pem", "--tls-key", "k.pem"];
    Server::start(folder, &[&FREE[..], &tls, more, &["tree"]].concat(), listeners)
}

/// What curl prints; it believes the certificate of the folder and no other.
fn curl(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut curl = Program::Curl.find()?;
    let command = curl.command().current_dir(folder).args(["-sS", "--cacert", "c.pem"]).args(arguments);
    Some(String::from_utf8(run_peer(command).stdout).unwrap())
}

#[test]
fn curl_speaks_both_versions_of_tls_and_of_http() {
    let folder = folder();
    let server = start(folder.path(), &[], 2);
    let url = format!("https://{}/small", server.address("https"));
    for arguments in [
        &["--tlsv1.2", "--tls-max", "1.2", "--http2", "-w", " %{http_version}"][..],
        &["--tlsv1.3", "--http2", "-w", " %{http_version}"],
    ] {
        let Some(said) = curl(folder.path(), &[arguments, &[&url]].concat()) else { return };
        assert_eq!(said, "content 2");
    }
    let said = curl(folder.path(), &["--http1.1", "-w", " %{http_version}", &url]).unwrap();
    assert_eq!(said, "content 1.1");
}

#[test]
fn curl_goes_up_and_down_over_ftps_with_a_password() {
    let folder = folder();
    let server = start(folder.path(), &["--user", "users", "--writable"], 2);
    let url = format!("ftp://{}", server.address("ftp"));
    let ftp = ["--ssl-reqd", "--user", "ann:secret"];
    let Some(listed) = curl(folder.path(), &[&ftp[..], &["-l", &format!("{url}/")]].concat()) else { return };
    assert!(listed.contains("small") && listed.contains("large"), "{listed}");
    curl(folder.path(), &[&ftp[..], &["-T", "tree/large", &format!("{url}/up")]].concat());
    assert!(
        fs::read(folder.path().join("tree/up")).unwrap()
            == fs::read(folder.path().join("tree/large")).unwrap()
    );
    let said = curl(folder.path(), &[&ftp[..], &[&format!("{url}/small")]].concat()).unwrap();
    assert_eq!(said, "content");
}

/// In passive mode alone: curl 7.87 and 7.88 leave TLS out of the data connections that they accept.
#[test]
fn curl_goes_on_with_transfers_over_ftps() {
    for mode in ["--ftp-pasv", "--disable-epsv"] {
        let folder = folder();
        let server = start(folder.path(), &["--user", "users", "--writable"], 2);
        let large = large();
        let half = &large[..1_000_000];
        let url = format!("ftp://{}", server.address("ftp"));
        let ask = |more: &[&str]| {
            curl(folder.path(), &[&["--ssl-reqd", "--user", "ann:secret", mode], more].concat())
        };
        let Some(listed) = ask(&[&format!("{url}/")]) else { return };
        assert!(listed.contains("3000000 ") && listed.contains(" large"), "{mode}: {listed}");

        fs::write(folder.path().join("down"), half).unwrap();
        ask(&["-C", "-", "-o", "down", &format!("{url}/large")]);
        assert!(fs::read(folder.path().join("down")).unwrap() == large, "{mode}");

        fs::write(folder.path().join("tree/up"), half).unwrap();
        ask(&["-C", "-", "-T", "tree/large", &format!("{url}/up")]);
        assert!(fs::read(folder.path().join("tree/up")).unwrap() == large, "{mode}");
    }
}

#[test]
fn lftp_mirrors_with_tls_forced() {
    let folder = folder();
    let Some(mut lftp) = Program::Lftp.find() else { return };
    let server = start(folder.path(), &["--user", "users"], 2);
    let script = format!(
        "set ssl:verify-certificate no; set ftp:ssl-force true; set ftp:ssl-protect-data true; \
         open -u ann,secret ftp://{}; mirror . copy",
        server.address("ftp")
    );
    run_peer(lftp.command().current_dir(folder.path()).args(["-c", &script]));
    for name in ["small", "large"] {
        let read = |at: &str| fs::read(folder.path().join(at).join(name)).unwrap();
        assert!(read("copy") == read("tree"), "{name}");
    }
}

#[test]
fn lftp_lists_puts_and_goes_on_with_tls_forced() {
    for mode in ["true", "false"] {
        let folder = folder();
        let Some(mut lftp) = Program::Lftp.find() else { return };
        let server = start(folder.path(), &["--user", "users", "--writable"], 2);
        fs::write(folder.path().join("down"), &large()[..1_000_000]).unwrap();
        let script = format!(
            "set cmd:fail-exit true; set ssl:ca-file c.pem; set ftp:ssl-force true; set ftp:ssl-protect-data true; \
             set ftp:ssl-protect-list true; set ftp:passive-mode {mode}; open -u ann,secret ftp://{}; \
             cls -1; put tree/large -o up; get -c large -o down",
            server.address("ftp")
        );
        let said = run_peer(lftp.command().current_dir(folder.path()).args(["--norc", "-c", &script])).stdout;
        assert_eq!(String::from_utf8(said).unwrap(), "large\nsmall\n");
        for at in ["down", "tree/up"] {
            assert!(fs::read(folder.path().join(at)).unwrap() == large(), "{mode}: {at}");
        }
    }
}

#[test]
fn ftplib_and_openssl_find_what_they_know() {
    let folder = folder();
    let Some(mut python) = Program::Python.find() else { return };
    let server = start(folder.path(), &["--user", "users"], 2);
    let address = server.address("ftp");
    let script = format!(
        "import ftplib, ssl\n\
         f = ftplib.FTP_TLS(context=ssl._create_unverified_context())\n\
         f.connect('{}', {})\n\
         f.login('ann', 'secret'); f.prot_p()\n\
         got = []; f.retrbinary('RETR small', got.append)\n\
         print(b''.join(got).decode(), sorted(f.nlst())); f.quit()\n",
        address.ip(),
        address.port()
    );
    let said = run_peer(python.command().args(["-c", &script])).stdout;
    assert_eq!(String::from_utf8(said).unwrap(), "content ['large', 'small']\n");

    let connect = format!("{}", server.address("https"));
    let openssl = Command::new("openssl")
        .args(["s_client", "-connect", &connect, "-alpn", "h2", "-servername", "localhost"])
        .stdin(Stdio::null())
        .output();
    if let Ok(said) = openssl {
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("ALPN protocol: h2") && said.contains("TLSv1.3"), "{said}");
    }
}

#[test]
fn a_new_certificate_comes_with_sighup() {
    let folder = folder();
    let mut server = start(folder.path(), &[], 2);
    let url = format!("https://{}/small", server.address("https"));
    if curl(folder.path(), &[&url]).is_none() {
        return;
    }
    write_certificate(folder.path());
    server.signal(Signal::HUP);
    server.log_until("read again");
    assert_eq!(curl(folder.path(), &[&url]).unwrap(), "content");
    fs::write(folder.path().join("k.pem"), "no key").unwrap();
    server.signal(Signal::HUP);
    server.log_until("refused");
    assert_eq!(curl(folder.path(), &[&url]).unwrap(), "content");
}

#[test]
fn users_guests_and_their_rights_come_from_the_configuration() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("tree/home/ann/closed")).unwrap();
    fs::write(folder.path().join("tree/home/ann/file"), "ann's").unwrap();
    let hash = bcrypt::hash("secret", 4).unwrap();
    let text = format!(
        "[[mount]]\nat = \"/\"\nsource = \"tree\"\n\
         [auth]\nguests = [\"read\"]\n\
         [[user]]\nname = \"ann\"\npassword = \"{hash}\"\nroot = \"/home/ann\"\nsessions = 2\ndownload = \"10MiB\"\n\
         right = [{{ path = \"/home/ann/closed\", allow = [] }}]\n\
         [[serve]]\nprotocol = \"http\"\nlisten = \"127.0.0.1:0\"\n"
    );
    fs::write(folder.path().join("vfsd.toml"), &text).unwrap();
    let said = run(folder.path(), &["check", "vfsd.toml"]).good();
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.contains(
            "\nuser ann at /home/ann, /home/ann/closed allow nothing, 2 sessions\nguests may read\n"
        ),
        "{said}"
    );
    assert!(!said.contains(&hash), "{said}");
    let server = Server::start(folder.path(), &["--config", "vfsd.toml"], 1);
    let http = server.address("http");
    for (target, user, status) in [
        ("/small", None, "200"),
        ("/", None, "401"),
        ("/file", Some("ann:secret"), "200"),
        ("/small", Some("ann:secret"), "404"),
        ("/closed/x", Some("ann:secret"), "403"),
        ("/small", Some("ann:wrong"), "401"),
    ] {
        assert_eq!(status_of(http, target, user), status, "{target} {user:?}");
    }
}

/// The status of one GET, as somebody.
fn status_of(address: SocketAddr, target: &str, user: Option<&str>) -> String {
    use base64::Engine;

    let field = user.map_or(String::new(), |user| {
        format!("Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(user))
    });
    let mut stream = crate::running::connect(address);
    write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\n{field}Connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    answer[9..12].to_owned()
}

#[test]
fn a_password_is_hashed_and_never_repeated() {
    let folder = folder();
    let mut child = vfsd(folder.path())
        .args(["passwd", "bob"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hunter2\n").unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(said.starts_with("bob:$argon2id$v=19$") && !said.contains("hunter2"), "{said}");
    for (user, why) in [
        ("ann:hunter2", "not a hash"),
        ("ann:$apr1$a$hunter2", "undone too fast"),
        ("none", "cannot be read"),
    ] {
        let refused = run(folder.path(), &["serve", "--user", user]).refused(2);
        assert!(refused.contains(why) && !refused.contains("hunter2"), "{refused}");
    }
}

#[test]
fn the_admin_listener_tells_of_both_front_ends_and_the_logs_of_what_they_did() {
    let folder = folder();
    let more = [
        "--http",
        "127.0.0.1:0",
        "--ftp",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--access-log",
        "access",
        "--transfer-log",
        "transfers",
        "tree",
    ];
    let mut server = Server::start(folder.path(), &more, 3);
    assert_eq!(get(server.address("http"), "/small?q=%0a").1, b"content");
    let (status, text) = get(server.address("admin+http"), "/metrics");
    let text = String::from_utf8(text).unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK");
    for wanted in [
        "vfsd_http_answers_total{protocol=\"http\",",
        "class=\"2xx\"} 1\n",
        "vfsd_sessions{protocol=\"ftp\",",
        "vfsd_mount{at=\"/\"} 1\n",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert_eq!(get(server.address("admin+http"), "/healthz").1, b"ok\n");

    let log = folder.path().join("access");
    let wait_for = |path: &Path| {
        while fs::read_to_string(path).unwrap_or_default().is_empty() {
            std::thread::yield_now();
        }
        fs::read_to_string(path).unwrap()
    };
    let line = wait_for(&log);
    assert!(line.starts_with("127.0.0.1 - - [") && line.ends_with("\" 200 7 \"-\" \"-\"\n"), "{line}");
    assert!(line.contains("\"GET /small?q=%0a HTTP/1.1\""), "{line}");
    fs::rename(&log, folder.path().join("access.1")).unwrap();
    server.signal(Signal::USR1);
    while !log.exists() {
        std::thread::yield_now();
    }
    get(server.address("http"), "/small");
    assert_eq!(wait_for(&log).lines().count(), 1);

    if let Some(mut curl) = Program::Curl.find() {
        run_peer(curl.command().args(["-sS", &format!("ftp://{}/small", server.address("ftp"))]));
        let line = wait_for(&folder.path().join("transfers"));
        assert!(line.contains(" 127.0.0.1 7 /small b _ o a anonymous ftp 0 * c"), "{line}");
    }
    server.signal(Signal::TERM);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn a_proxy_on_the_list_says_for_whom_and_others_are_not_asked() {
    let folder = folder();
    let text = |proxies: &str| {
        format!(
            "[[mount]]\nat = \"/\"\nsource = \"tree\"\n[log]\naccess = {{ file = \"access\", format = \"json\" }}\n\
             [[serve]]\nprotocol = \"http\"\nlisten = \"127.0.0.1:0\"\nproxies = [{proxies}]\n"
        )
    };
    fs::write(folder.path().join("vfsd.toml"), text("\"127.0.0.0/8\"")).unwrap();
    let server = Server::start(folder.path(), &["--config", "vfsd.toml"], 1);
    let ask = |server: &Server, head: &str| {
        let mut stream = crate::running::connect(server.address("http"));
        write!(stream, "{head}GET /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        let _ = std::io::Read::read_to_string(&mut stream, &mut answer);
        answer
    };
    let header = "PROXY TCP4 192.0.2.7 127.0.0.1 5 80\r\n";
    assert!(ask(&server, header).ends_with("content"));
    assert_eq!(ask(&server, ""), "");
    let log = folder.path().join("access");
    while fs::read_to_string(&log).unwrap_or_default().is_empty() {
        std::thread::yield_now();
    }
    assert!(fs::read_to_string(&log).unwrap().contains("\"peer\":\"192.0.2.7\""));

    fs::write(folder.path().join("vfsd.toml"), text("\"10.0.0.0/8\"")).unwrap();
    let server = Server::start(folder.path(), &["--config", "vfsd.toml"], 1);
    assert!(ask(&server, header).starts_with("HTTP/1.1 400 "));
    assert!(ask(&server, "").ends_with("content"));
}

#[test]
fn the_service_manager_hears_of_each_change() {
    let folder = folder();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    let heard = || {
        let mut said = [0; 200];
        let len = manager.recv(&mut said).unwrap();
        String::from_utf8(said[..len].to_vec()).unwrap()
    };
    let mut child = vfsd(folder.path())
        .args(["serve", "--ftp", "off", "--http", "127.0.0.1:0", "--user", "users", "tree"])
        .env("NOTIFY_SOCKET", &socket)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(heard(), "READY=1");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::HUP).unwrap();
    assert!(heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(heard(), "READY=1");
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(heard(), "STOPPING=1");
    child.wait().unwrap();
}
