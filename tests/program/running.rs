//! How the tests run the binary: once to its end, or as a server until it is told to stop.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a server may take to answer before the test counts as failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Names that programs get wrong, as bytes.
pub(crate) const ODD_NAMES: [&[u8]; 7] =
    [b"a b", b"a#1", b"50%", b"new\nline", b"\xff\xfe", b"quote\"?", b"x#tgz:"];

/// How one run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Outcome {
    /// Standard output of a run that went well.
    #[track_caller]
    pub(crate) fn good(self) -> Vec<u8> {
        assert_eq!((self.status, self.err.as_str()), (0, ""), "{}", self.out.escape_ascii());
        self.out
    }

    /// The one line of a run that ended with `status`.
    #[track_caller]
    pub(crate) fn refused(self, status: i32) -> String {
        assert_eq!(self.status, status, "{}", self.err);
        let line = self.err.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {:?}", self.err));
        assert!(!line.contains('\n'), "one line each: {line}");
        line.strip_prefix("vfsd: ")
            .unwrap_or_else(|| panic!("the program's name comes first: {line}"))
            .to_owned()
    }
}

/// The binary, started in `folder`.
pub(crate) fn vfsd(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vfsd"));
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub(crate) fn run(folder: &Path, arguments: &[impl AsRef<OsStr>]) -> Outcome {
    let output = vfsd(folder).args(arguments).output().unwrap();
    Outcome {
        status: output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}")),
        out: output.stdout,
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A name of [`ODD_NAMES`] for the standard library.
pub(crate) fn name(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// A folder with a file under each of [`ODD_NAMES`], which holds its own name.
pub(crate) fn odd_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for odd in ODD_NAMES {
        fs::write(folder.path().join(name(odd)), odd).unwrap();
    }
    folder
}

/// A running `vfsd serve`. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    err: BufReader<ChildStderr>,
    /// What it wrote to standard output until it was ready.
    pub(crate) urls: Vec<String>,
    /// What it wrote to standard error until then.
    pub(crate) log: Vec<String>,
}

impl Server {
    /// Starts `vfsd serve` and waits until it is ready to serve `listeners` of them.
    #[track_caller]
    pub(crate) fn start(folder: &Path, arguments: &[&str], listeners: usize) -> Self {
        let mut command = vfsd(folder);
        command.arg("serve").args(arguments);
        Self::wait_for(command, listeners)
    }

    /// The same for a `command` that starts one.
    #[track_caller]
    pub(crate) fn wait_for(mut command: Command, listeners: usize) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let urls = (0..listeners).map_while(|_| out.next()).map(Result::unwrap).collect();
        let mut server =
            Self { err: BufReader::new(child.stderr.take().unwrap()), child, urls, log: Vec::new() };
        server.log = server.log_until("ready");
        server
    }

    /// Reads the log up to a line that contains `wanted`, or to its end.
    pub(crate) fn log_until(&mut self, wanted: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        while self.err.read_line(&mut line).unwrap() > 0 {
            lines.push(line.trim_end().to_owned());
            if line.contains(wanted) {
                return lines;
            }
            line.clear();
        }
        panic!("the server ended without saying {wanted:?}: {lines:?}");
    }

    /// The address of the first URL that starts with `scheme`.
    #[track_caller]
    pub(crate) fn address(&self, scheme: &str) -> SocketAddr {
        let address = self.urls.iter().find_map(|url| url.strip_prefix(scheme)?.strip_prefix("://"));
        let address = address.unwrap_or_else(|| panic!("no {scheme} in {:?}", self.urls));
        address.trim_end_matches('/').parse().unwrap()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end: the exit status, and what it said until then.
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.err.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended is neither killed nor waited for again.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that fails rather than hangs.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// One GET with a connection of its own: the status line and the body.
pub(crate) fn get(address: SocketAddr, target: &str) -> (String, Vec<u8>) {
    let mut stream = connect(address);
    write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let status = String::from_utf8(answer[..head].to_vec()).unwrap().lines().next().unwrap().to_owned();
    (status, answer[head + 4..].to_vec())
}
