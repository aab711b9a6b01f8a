//! FTP servers of other people: programs that may be missing. Debian installs one of them at most, so `scripts/test` unpacks
//! them beside one another.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;
use std::process::Command;

use crate::listening::{Listening, find, make_certificate, skip, unpacked};

/// Whom the servers read and write files as: a user that every system has, with a home that is there.
const USER: &str = "daemon";
const USER_ID: u32 = 1;

/// The user of servers that have any, and the password.
const LOGIN: &str = "guest:s3cret";

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FtpServer {
    /// vsftpd: no MLSD. Everybody is anonymous.
    Vsftpd,
    /// Pure-FTPd.
    PureFtpd,
    /// ProFTPD.
    Proftpd,
    /// pyftpdlib, from PyPI.
    Pyftpdlib,
}

/// How a server protects its connections. Control and data connections must be protected, or cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Not at all.
    Plain,
    /// After AUTH TLS. vsftpd and ProFTPD refuse data connections that do not resume the control connection's session.
    Explicit,
    /// From the first byte, likewise. Pure-FTPd and pyftpdlib do not know it.
    Implicit,
}

/// A running server. Its drop ends it.
#[derive(Debug)]
pub struct FtpPeer {
    /// The URL of the folder that it shows, with the login where one is needed.
    pub url: String,
    listening: Listening,
}

impl FtpPeer {
    /// The authority that its certificate is from, in PEM.
    ///
    /// # Panics
    /// Where it speaks no TLS.
    pub fn authority(&self) -> Vec<u8> {
        fs::read(self.listening.file("ca")).expect("it speaks TLS")
    }

    /// Gives `path`, with all that lies in it, to the user that the server works as.
    ///
    /// # Panics
    /// Where that may not be done.
    pub fn adopt(&self, path: &Path) {
        lchown(path, Some(USER_ID), Some(USER_ID)).expect("root may");
        if path.symlink_metadata().expect("it is there").is_dir() {
            for entry in fs::read_dir(path).expect("root may") {
                self.adopt(&entry.expect("it is there").path());
            }
        }
    }
}

impl FtpServer {
    /// Shows `folder`, and takes changes in the folders that lie in it: these are [adopted](FtpPeer::adopt). `None`, with a
    /// line that says `skipped`, where the server is not there, or may not be started.
    ///
    /// # Panics
    /// Where it does not start, or is missing and `VFSD_PEERS` is `required`.
    pub fn serve(self, folder: &Path, protection: Protection) -> Option<FtpPeer> {
        let program = self.find()?;
        if !rustix::process::geteuid().is_root() {
            skip("an FTP server that only root may start");
            return None;
        }
        // All may look, and none that come by the server may write: vsftpd insists.
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("it is ours");
        let listening = Listening::start(&format!("{self:?}"), |private, address| {
            if protection != Protection::Plain {
                make_certificate(private);
            }
            let mut command = Command::new(&program);
            self.configure(&mut command, protection, folder, private, address);
            command
        });
        let scheme = match protection {
            Protection::Plain => "ftp",
            Protection::Explicit => "ftpes",
            Protection::Implicit => "ftps",
        };
        let login = if self == Self::Vsftpd { String::new() } else { format!("{LOGIN}@") };
        let peer = FtpPeer { url: format!("{scheme}://{login}{}/", listening.address), listening };
        for entry in fs::read_dir(folder).expect("it is there") {
            peer.adopt(&entry.expect("it is there").path());
        }
        Some(peer)
    }

    fn find(self) -> Option<std::path::PathBuf> {
        match self {
            Self::Vsftpd => find("vsftpd", "vsftpd"),
            Self::PureFtpd => find("pure-ftpd", "pure-ftpd"),
            Self::Proftpd => find("proftpd", "proftpd-core"),
            Self::Pyftpdlib if unpacked("pyftpdlib").is_dir() => find("python3", "python3"),
            Self::Pyftpdlib => {
                skip("pyftpdlib");
                None
            }
        }
    }

    fn configure(
        self,
        command: &mut Command,
        protection: Protection,
        folder: &Path,
        private: &Path,
        address: SocketAddr,
    ) {
        let config = private.join("config");
        let configured = |text: String| {
            fs::write(&config, text).expect("its configuration");
            &config
        };
        match self {
            Self::Vsftpd => {
                command.arg(configured(vsftpd(protection, folder, private, address)));
            }
            Self::PureFtpd => pure_ftpd(command, protection, folder, private, address),
            Self::Proftpd => {
                let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
                let libraries = unpacked("proftpd-core").join(libraries);
                command.env("LD_LIBRARY_PATH", libraries).args(["--nodaemon", "--quiet", "--config"]);
                command.arg(configured(proftpd(protection, folder, private, address)));
            }
            Self::Pyftpdlib => {
                let (user, password) = LOGIN.split_once(':').expect("a login has both");
                command.env("PYTHONPATH", unpacked("pyftpdlib")).arg("-c").arg(PYFTPDLIB);
                command.args([user, password, &address.port().to_string()]).arg(folder);
                if protection != Protection::Plain {
                    command.arg(private);
                }
            }
        }
    }
}

/// Its anonymous users see a folder that they may not change themselves: it insists.
fn vsftpd(protection: Protection, folder: &Path, private: &Path, address: SocketAddr) -> String {
    let (folder, private) = (folder.display(), private.display());
    let is_implicit = if protection == Protection::Implicit { "YES" } else { "NO" };
    let tls = match protection {
        Protection::Plain => String::new(),
        Protection::Explicit | Protection::Implicit => format!(
            "ssl_enable=YES\nallow_anon_ssl=YES\nforce_anon_logins_ssl=YES\nforce_anon_data_ssl=YES\n\
             require_ssl_reuse=YES\nimplicit_ssl={is_implicit}\nssl_ciphers=HIGH\n\
             rsa_cert_file={private}/certificate\nrsa_private_key_file={private}/key\n"
        ),
    };
    format!(
        "listen=YES\nlisten_address={}\nlisten_port={}\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\n\
         no_anon_password=YES\nftp_username={USER}\nanon_root={folder}\nsecure_chroot_dir={private}\n\
         allow_writeable_chroot=YES\nwrite_enable=YES\nanon_upload_enable=YES\nanon_mkdir_write_enable=YES\n\
         anon_other_write_enable=YES\nanon_umask=022\nanon_world_readable_only=NO\nmdtm_write=YES\n\
         max_clients=0\nmax_per_ip=0\nseccomp_sandbox=NO\npasv_address=127.0.0.1\n{tls}",
        address.ip(),
        address.port()
    )
}

fn pure_ftpd(
    command: &mut Command,
    protection: Protection,
    folder: &Path,
    private: &Path,
    address: SocketAddr,
) {
    let users = format!("{}:{USER_ID}:{USER_ID}::{}/./::::::::::::\n", hashed_login(), folder.display());
    fs::write(private.join("users"), users).expect("a file of its own");
    let pure_pw =
        find("pure-pw", "pure-ftpd").unwrap_or_else(|| unpacked("pure-ftpd").join("usr/bin/pure-pw"));
    let made = Command::new(pure_pw).current_dir(private).args(["mkdb", "users.pdb", "-f", "users"]).output();
    assert!(made.expect("it comes with the server").status.success());
    command
        .arg("-S")
        .arg(format!("{},{}", address.ip(), address.port()))
        .arg("-l")
        .arg(format!("puredb:{}", private.join("users.pdb").display()))
        .arg("-g")
        .arg(private.join("pid"))
        // No anonymous users, no names of hosts, dot files shown, no bounds.
        .args(["-E", "-H", "-D", "-u", "1", "-c", "1000", "-C", "1000", "-L", "100000:100", "-U", "022:022"]);
    if protection == Protection::Plain {
        command.args(["-Y", "0"]);
    } else {
        let [certificate, key] =
            ["certificate", "key"].map(|name| fs::read(private.join(name)).expect("made before"));
        fs::write(private.join("both"), [certificate, key].concat()).expect("a file of its own");
        command.args(["-Y", "3", "-2"]).arg(private.join("both"));
    }
}

fn proftpd(protection: Protection, folder: &Path, private: &Path, address: SocketAddr) -> String {
    let modules = unpacked("proftpd-core").join("usr/lib/proftpd");
    let modules =
        if modules.is_dir() { format!("ModulePath {}\n", modules.display()) } else { String::new() };
    let (shown, private) = (folder.display(), private.display());
    let users = format!("{}:{USER_ID}:{USER_ID}::{shown}:/bin/false\n", hashed_login());
    let users_file = format!("{private}/users");
    fs::write(&users_file, users).expect("a file of its own");
    fs::set_permissions(&users_file, Permissions::from_mode(0o600)).expect("it is ours");
    let implicit = if protection == Protection::Implicit { "TLSOptions UseImplicitSSL\n" } else { "" };
    let tls = match protection {
        Protection::Plain => String::new(),
        Protection::Explicit | Protection::Implicit => format!(
            "LoadModule mod_tls.c\nTLSEngine on\nTLSRequired on\nTLSProtocol TLSv1.2 TLSv1.3\nTLSLog {private}/tls\n\
             TLSECCertificateFile {private}/certificate\nTLSECCertificateKeyFile {private}/key\n{implicit}"
        ),
    };
    format!(
        "{modules}ServerName site\nServerType standalone\nDefaultAddress {}\nPort {}\nUseIPv6 off\n\
         User {USER}\nGroup {USER}\nAuthOrder mod_auth_file.c\nAuthUserFile {users_file}\nRequireValidShell off\n\
         ScoreboardFile {private}/scoreboard\nPidFile {private}/pid\nSystemLog {private}/log\nWtmpLog off\n\
         TransferLog none\nUseReverseDNS off\nDefaultRoot ~\nUmask 022 022\nAllowOverwrite on\nAllowStoreRestart on\n\
         AllowRetrieveRestart on\nMaxInstances none\nListOptions \"-a\"\nShowSymlinks on\n{tls}",
        address.ip(),
        address.port()
    )
}

/// `user:hash`, in the form of crypt(3).
fn hashed_login() -> String {
    let (user, password) = LOGIN.split_once(':').expect("a login has both");
    let made =
        Command::new("openssl").args(["passwd", "-1", password]).output().expect("openssl is installed");
    format!("{user}:{}", String::from_utf8_lossy(&made.stdout).trim())
}

/// Its arguments: user, password, port, the folder and, for TLS, the folder of the certificate.
const PYFTPDLIB: &str = "
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
user, password, port, folder, *tls = sys.argv[1:]
handler = FTPHandler
if tls:
    from pyftpdlib.handlers import TLS_FTPHandler as handler
    handler.certfile, handler.keyfile = tls[0] + '/certificate', tls[0] + '/key'
    handler.tls_control_required = handler.tls_data_required = True
handler.authorizer = DummyAuthorizer()
handler.authorizer.add_user(user, password, folder, perm='elradfmwMT')
FTPServer(('127.0.0.1', int(port)), handler).serve_forever()
";
