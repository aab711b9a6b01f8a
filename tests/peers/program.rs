//! The program, serving a folder of odd names.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::{Layout, read_folder, write_folder};
use tempfile::TempDir;

/// wget undoes a `%` and two digits in a name once too often, whatever the server, and saves under another name.
pub(crate) const WGET_CANNOT: &[&str] = &["percent%41", "percent%2fslash"];

/// A running `vfsd serve` over a folder. Dropping it ends it.
pub(crate) struct Serving {
    pub(crate) folder: TempDir,
    pub(crate) http: String,
    pub(crate) ftp: String,
    /// Where its certificate lies, and the key.
    secrets: Option<TempDir>,
    child: Child,
}

impl Serving {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_folder(folder.path());
        Self::show(folder)
    }

    /// An empty folder that clients may fill.
    pub(crate) fn writable() -> Self {
        Self::filled(tempfile::tempdir().unwrap(), "")
    }

    /// The same, with TLS over FTP.
    pub(crate) fn secure() -> Self {
        let (folder, secrets) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let (certificate, key) = (secrets.path().join("c.pem"), secrets.path().join("k.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let tls = format!("tls = {{ cert = {certificate:?}, key = {key:?} }}\n");
        let mut serving = Self::filled(folder, &tls);
        serving.secrets = Some(secrets);
        serving
    }

    /// The certificate of a server with TLS.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.secrets.as_ref().unwrap().path().join("c.pem")
    }

    /// A folder that clients may fill, `more` being said of FTP.
    fn filled(folder: TempDir, more: &str) -> Self {
        let configuration = format!(
            "[[mount]]\nat = \"/\"\nsource = {:?}\nwritable = true\n\
             [[serve]]\nprotocol = \"http\"\nlisten = \"127.0.0.1:0\"\n\
             [[serve]]\nprotocol = \"ftp\"\nlisten = \"127.0.0.1:0\"\nftp = {{ guests_overwrite = true }}\n{more}",
            folder.path()
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfsd"));
        command.args(["serve", "--config"]).arg(file.path());
        // It is read by the time that the listeners are told.
        Self::run(folder, command)
    }

    pub(crate) fn show(folder: TempDir) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfsd"));
        command.args(["serve", "--http", "127.0.0.1:0", "--ftp", "127.0.0.1:0"]).arg(folder.path());
        Self::run(folder, command)
    }

    /// With arguments of its own, on free ports.
    pub(crate) fn program(arguments: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfsd"));
        command.args(["serve", "--http", "127.0.0.1:0", "--ftp", "127.0.0.1:0"]);
        arguments(&mut command);
        Self::run(tempfile::tempdir().unwrap(), command)
    }

    /// What `mounts` lay into the tree; their relative sources start in `folder`.
    pub(crate) fn mounts(folder: TempDir, mounts: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfsd"));
        command.args(["serve", "--http", "127.0.0.1:0", "--ftp", "127.0.0.1:0"]).args(mounts);
        command.current_dir(folder.path());
        Self::run(folder, command)
    }

    fn run(folder: TempDir, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || lines.next().unwrap().unwrap();
        let (http, ftp) = (line(), line());
        assert!(http.starts_with("http://127.0.0.1:") && ftp.starts_with("ftp://127.0.0.1:"), "{http} {ftp}");
        Self { folder, http, ftp, secrets: None, child }
    }

    /// Takes files out of the folder.
    pub(crate) fn remove(&self, names: &[&str]) {
        for name in names {
            std::fs::remove_file(self.folder.path().join(name)).unwrap();
        }
    }

    /// `host:port` of one of the URLs.
    pub(crate) fn authority(url: &str) -> &str {
        url.split('/').nth(2).unwrap()
    }

    pub(crate) fn layout(&self) -> Layout {
        read_folder(self.folder.path())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Compares what a client made with what was served.
#[track_caller]
pub(crate) fn assert_same(got: &Path, expected: &Layout) {
    let got = read_folder(got);
    let names =
        |layout: &Layout| layout.keys().map(|name| name.escape_ascii().to_string()).collect::<Vec<_>>();
    assert_eq!(names(&got), names(expected));
    for (path, content) in expected {
        assert!(got[path] == *content, "{} differs", path.escape_ascii());
    }
}
