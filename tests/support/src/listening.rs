//! Servers of other people, as processes that listen on a port of the loopback.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Times that a server is started anew, because somebody else was quicker to take its port.
const STARTS: usize = 5;

/// Tries to reach a server that starts, and the rest between them.
const TRIES: usize = 1000;
const REST: Duration = Duration::from_millis(10);

/// A running server. Its drop ends it.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    child: Child,
    private: TempDir,
}

impl Listening {
    /// Starts what `command` makes of a folder of its own and a free address, and waits until somebody listens there.
    ///
    /// # Panics
    /// Where it does not start, with what it wrote.
    pub(crate) fn start(name: &str, command: impl Fn(&Path, SocketAddr) -> Command) -> Self {
        let mut says = String::new();
        for _ in 0..STARTS {
            match Self::try_start(&command) {
                Ok(listening) => return listening,
                Err(log) => says = log,
            }
        }
        panic!("{name} does not start: {says}");
    }

    fn try_start(command: impl Fn(&Path, SocketAddr) -> Command) -> Result<Self, String> {
        let private = tempfile::tempdir().expect("a folder for its configuration");
        let address = free_address();
        let mut command = command(private.path(), address);
        let log = File::create(private.path().join("log")).expect("a log");
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .expect("the program is installed");
        let mut listening = Self { address, child, private };
        for _ in 0..TRIES {
            if listening.child.try_wait().expect("it is our child").is_some() {
                break;
            }
            if TcpStream::connect(address).is_ok() {
                return Ok(listening);
            }
            // Another program starts: there is no event of ours to wait for.
            std::thread::sleep(REST);
        }
        Err(fs::read_to_string(listening.file("log")).unwrap_or_default())
    }

    /// A file of its own folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.private.path().join(name)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // One that has ended is neither killed nor waited for again.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where `program` is: in the system, or among what `scripts/test` has unpacked of the package `package`. `None`, with a
/// line that says `skipped`, where it is nowhere.
///
/// # Panics
/// Where it is missing and `VFSD_PEERS` is `required`.
pub(crate) fn find(program: &str, package: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    // Servers often stand where only root looks.
    let others = [
        "/usr/sbin".into(),
        "/usr/local/sbin".into(),
        unpacked(package).join("usr/sbin"),
        unpacked(package).join("usr/bin"),
    ];
    let found = std::env::split_paths(&paths)
        .chain(others)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        skip(program);
    }
    found
}

/// The folder of a package that was unpacked and not installed.
pub(crate) fn unpacked(package: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers")).join(package)
}

/// Says that `program` is missing.
///
/// # Panics
/// Where `VFSD_PEERS` is `required`.
pub(crate) fn skip(program: &str) {
    assert_ne!(std::env::var("VFSD_PEERS").as_deref(), Ok("required"), "{program} is not installed");
    #[allow(clippy::print_stderr)] // This is where a person who runs the tests looks.
    {
        eprintln!("skipped: {program} is not installed");
    }
}

/// An authority in `ca`, and in `certificate` and `key` one of this machine's address from it.
///
/// # Panics
/// Where openssl is not installed.
pub(crate) fn make_certificate(private: &Path) {
    fs::write(private.join("names"), "subjectAltName=IP:127.0.0.1\n").expect("a file of its own");
    for arguments in [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca",
        "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=site -keyout key -out request",
        "x509 -req -in request -CA ca -CAkey ca.key -CAcreateserial -days 2 -extfile names -out certificate",
    ] {
        let made = Command::new("openssl").args(arguments.split(' ')).current_dir(private).output();
        let made = made.expect("openssl is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    let probe = TcpListener::bind("127.0.0.1:0").expect("a free port of the loopback");
    probe.local_addr().expect("it is bound")
}
