//! Real clients: programs of the system that may be missing.

use std::process::{Command, Output, Stdio};

/// A program that a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// apt's command for scripts.
    AptGet,
    /// What builds Debian's packages.
    DpkgDeb,
    /// curl.
    Curl,
    /// GNU wget.
    Wget,
    /// lftp.
    Lftp,
    /// NcFTP's fetching program.
    Ncftpget,
    /// NcFTP's storing program.
    Ncftpput,
    /// Python 3, for its `ftplib`.
    Python,
    /// The BSD client.
    Tnftp,
    /// Python's installer of packages.
    Pip,
    /// Chromium.
    Chromium,
}

/// A program that is there.
#[derive(Debug)]
pub struct Peer(Command);

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::AptGet => "apt-get",
            Self::DpkgDeb => "dpkg-deb",
            Self::Curl => "curl",
            Self::Wget => "wget",
            Self::Lftp => "lftp",
            Self::Ncftpget => "ncftpget",
            Self::Ncftpput => "ncftpput",
            Self::Python => "python3",
            Self::Tnftp => "tnftp",
            Self::Pip => "pip3",
            Self::Chromium => "chromium",
        }
    }

    /// The program, or `None` with a line that says `skipped`.
    ///
    /// # Panics
    /// Where it is missing and `VFSD_PEERS` is `required`.
    pub fn find(self) -> Option<Peer> {
        let name = self.name();
        // Some know no such option, and say so; none waits for input.
        if Command::new(name).arg("--version").stdin(Stdio::null()).output().is_ok() {
            return Some(Peer(Command::new(name)));
        }
        assert_ne!(std::env::var("VFSD_PEERS").as_deref(), Ok("required"), "{name} is not installed");
        #[allow(clippy::print_stderr)] // This is where a person who runs the tests looks.
        {
            eprintln!("skipped: {name} is not installed");
        }
        None
    }
}

impl Peer {
    /// Its command, to add arguments to.
    pub fn command(&mut self) -> &mut Command {
        &mut self.0
    }
}

/// Runs a command to its end and says what it printed where it fails.
///
/// # Panics
/// Where it fails.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().expect("the program was found before");
    assert!(
        output.status.success(),
        "{command:?} failed with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
