//! `vfsd mirror`: what is kept by a running server, looked at and changed from outside.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// A site and a mirror of it, each a program of its own.
struct Scene {
    folder: TempDir,
    origin: Running,
    mirror: Running,
}

struct Running {
    child: Child,
    url: String,
}

impl Running {
    fn start(arguments: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfsd"));
        command.args(["serve", "--http", "127.0.0.1:0", "--ftp", "off", "--log", "error"]);
        arguments(&mut command);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let url = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        Self { child, url }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site");
        std::fs::create_dir_all(site.join("pool/a")).unwrap();
        for (name, text) in [("README", "read me"), ("pool/a/one.deb", "one"), ("pool/a/two.txt", "two")] {
            std::fs::write(site.join(name), text).unwrap();
        }
        let origin = Running::start(|serve| {
            serve.args(["--control", "off"]).arg(&site);
        });
        let mirror = mirror_of(&origin, folder.path());
        Self { folder, origin, mirror }
    }

    fn ask(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfsd"));
        command.args(["mirror", "--control"]).arg(self.folder.path().join("control")).args(words);
        command.output().unwrap()
    }

    #[track_caller]
    fn says(&self, words: &[&str]) -> String {
        let output = self.ask(words);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn mirror_of(origin: &Running, folder: &Path) -> Running {
    Running::start(|serve| {
        serve.arg("--cache").arg(folder.join("cache")).arg("--control").arg(folder.join("control"));
        serve.arg(format!("/site={}", origin.url));
    })
}

#[test]
fn what_is_kept_is_warmed_told_pinned_and_purged() {
    let mut scene = Scene::new();
    let mode = std::fs::metadata(scene.folder.path().join("control")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let warmed = scene.says(&["warm", "/site/pool/**/*.deb", "/site/README"]);
    assert_eq!(
        warmed,
        "/site/pool/a/one.deb 3\n/site/pool/**/*.deb: 1 files of 3 bytes are kept\n\
         /site/README 7\n/site/README: 1 files of 7 bytes are kept\n"
    );
    let status = scene.says(&["status", "/site/pool"]);
    assert!(status.starts_with("/site/pool: 1 files whole, 0 in part, "), "{status}");
    assert_eq!(scene.says(&["pin", "/site/README"]), "/site/README: pinned\n");
    assert!(scene.says(&["refresh", "/site/README"]).ends_with(": 1 asked about\n"));

    // Another server on the same folder knows the pins.
    scene.mirror = mirror_of(&scene.origin, {
        let _ = scene.mirror.child.kill();
        let _ = scene.mirror.child.wait();
        scene.folder.path()
    });
    let all = scene.says(&["status"]);
    assert!(
        all.contains("/site from http://127.0.0.1:") && all.contains("\n  pinned: /site/README\n"),
        "{all}"
    );
    assert_eq!(scene.says(&["purge", "/site/README"]), "/site/README: 1 forgotten\n");
    assert!(scene.says(&["status", "/site/README"]).contains(" 0 files whole, 0 in part, "));
    assert_eq!(scene.says(&["unpin", "/site/README"]), "/site/README: no longer pinned\n");
}

#[test]
fn what_cannot_be_done_is_said() {
    let scene = Scene::new();
    for (words, status, says) in [
        (&["purge", "/elsewhere"][..], 1, "it lies in no mirror"),
        (&["warm", "/site/none"], 1, "no such file"),
        (&["warm", "/site/README", "relative"], 1, "1 of 2 failed"),
        (&["purge"], 2, "required arguments"),
        (&["nonsense", "/site"], 2, "invalid value"),
    ] {
        let output = scene.ask(words);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(status), "{words:?} {said}");
        assert!(said.contains(says), "{words:?} {said}");
    }
    let nobody = Command::new(env!("CARGO_BIN_EXE_vfsd"))
        .args(["mirror", "--control"])
        .arg(scene.folder.path().join("nobody"))
        .arg("status")
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8(nobody.stderr).unwrap().contains("no server answers there"));
}

#[test]
fn a_socket_in_use_is_refused_and_one_left_behind_is_not() {
    let mut scene = Scene::new();
    let socket = scene.folder.path().join("control");
    let second = Command::new(env!("CARGO_BIN_EXE_vfsd"))
        .args(["serve", "--http", "127.0.0.1:0", "--ftp", "off", "--control"])
        .arg(&socket)
        .arg("memory:")
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert!(String::from_utf8(second.stderr).unwrap().contains("in use"));
    // Killed, it leaves its file.
    scene.mirror.child.kill().unwrap();
    scene.mirror.child.wait().unwrap();
    assert!(socket.exists());
    scene.mirror = mirror_of(&scene.origin, scene.folder.path());
    scene.says(&["status"]);
}

/// Reads from the mirror until so many bytes of the body have come; `None`: to its end.
fn read_some(url: &str, bytes: Option<usize>) -> Vec<u8> {
    let authority = url.split('/').nth(2).unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.write_all(b"GET /site/large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let (mut got, mut piece) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let start = got.windows(4).position(|four| four == b"\r\n\r\n").map(|end| end + 4);
        if let Some(start) = start
            && bytes.is_some_and(|bytes| got.len() >= start + bytes)
        {
            return got.split_off(start);
        }
        match stream.read(&mut piece).unwrap() {
            0 => return got.split_off(start.unwrap()),
            read => got.extend_from_slice(&piece[..read]),
        }
    }
}

/// `scripts/kill-fills` does so two hundred times, in a folder of a hundred thousand entries.
#[test]
fn killed_while_it_fills_it_has_every_byte_right_afterwards() {
    let mut scene = Scene::new();
    let content: Vec<u8> = (0..5_000_000_u32).map(|at| (at / 251 + at % 251) as u8).collect();
    std::fs::write(scene.folder.path().join("site/large"), &content).unwrap();
    for kept in [1, 300_000, 2_000_000, 4_999_999] {
        let some = read_some(&scene.mirror.url, Some(kept));
        assert!(content.starts_with(&some));
        scene.mirror.child.kill().unwrap();
        scene.mirror.child.wait().unwrap();
        scene.mirror = mirror_of(&scene.origin, scene.folder.path());
    }
    for _ in 0..2 {
        assert!(read_some(&scene.mirror.url, None) == content);
    }
}

/// A cache folder on a file system of its own, mounted with `options`, which this program alone sees. `None` where only
/// others may mount.
fn serve_on_a_disk(options: &str, origin: &Running, folder: &Path) -> Option<(Running, std::path::PathBuf)> {
    let cache = folder.join(options.replace('=', "-"));
    let log = cache.with_extension("log");
    std::fs::create_dir_all(&cache).unwrap();
    let may_mount = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    if !may_mount.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut command = Command::new("unshare");
    let script = r#"mount -t tmpfs -o "$1" tmpfs "$2" && shift && exec "$0" serve --http 127.0.0.1:0 --ftp off \
        --control off --log warn --cache "$@""#;
    command.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_vfsd"), options]);
    command.arg(&cache).arg(format!("/site={}", origin.url));
    command.stderr(std::fs::File::create(&log).unwrap());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let url = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    Some((Running { child, url }, log))
}

/// What a client gets.
fn body_of(url: &str) -> Vec<u8> {
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    answer.split_off(head + 4)
}

#[test]
fn where_the_disk_is_read_only_or_full_it_is_passed_through_and_said() {
    let scene = Scene::new();
    let big: Vec<u8> = (0..3 << 20).map(|at: u32| (at / 251 + at % 251) as u8).collect();
    std::fs::write(scene.folder.path().join("site/big"), &big).unwrap();
    for (options, says) in
        [("ro", "nothing is kept of remote mounts, which are passed through"), ("size=1m", "passed through")]
    {
        let Some((mirror, log)) = serve_on_a_disk(options, &scene.origin, scene.folder.path()) else {
            return;
        };
        for _ in 0..2 {
            assert_eq!(body_of(&format!("{}site/README", mirror.url)), b"read me", "{options}");
            assert!(body_of(&format!("{}site/big", mirror.url)) == big, "{options}");
            let listing = body_of(&format!("{}site/", mirror.url));
            assert!(String::from_utf8_lossy(&listing).contains("README"), "{options}");
        }
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains(says), "{options}: {log}");
    }
}
