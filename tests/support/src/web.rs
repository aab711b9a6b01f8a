//! Web servers of other people that list folders: programs of the system that may be missing.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::listening::{Listening, find, make_certificate};

/// A server, and the way in which it lists a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebServer {
    /// nginx: HTML.
    Nginx,
    /// nginx: JSON.
    NginxJson,
    /// nginx: XML.
    NginxXml,
    /// nginx over TLS, with HTTP/2, under an authority of its own; `/to-plain/` leads away from TLS.
    NginxTls,
    /// Apache: a list of links.
    ApachePlain,
    /// Apache: columns of text.
    ApacheFancy,
    /// Apache: a table.
    ApacheTable,
    /// Apache: WebDAV, and no page for people.
    ApacheDav,
    /// lighttpd.
    Lighttpd,
    /// Caddy.
    Caddy,
    /// Python's `http.server`.
    Python,
    /// rclone's own page.
    Rclone,
    /// rclone: WebDAV.
    RcloneDav,
    /// webfs.
    Webfs,
}

/// A running server. Its drop ends it.
#[derive(Debug)]
pub struct Web {
    /// The URL of the folder that it shows.
    pub url: String,
    listening: Listening,
}

impl Web {
    /// The authority that its certificate is from, in PEM.
    ///
    /// # Panics
    /// Where it speaks no TLS.
    pub fn authority(&self) -> Vec<u8> {
        fs::read(self.listening.file("ca")).expect("it speaks TLS")
    }

    /// What nginx was asked so far: protocol, method and path, a line each.
    ///
    /// # Panics
    /// Where it is not nginx.
    pub fn access_log(&self) -> String {
        fs::read_to_string(self.listening.file("access")).expect("nginx writes it")
    }
}

impl WebServer {
    /// Shows `folder`; `None`, with a line that says `skipped`, where the server is not installed.
    ///
    /// # Panics
    /// Where it does not start, or is missing and `VFSD_PEERS` is `required`.
    pub fn serve(self, folder: &Path) -> Option<Web> {
        find(self.program(), self.program())?;
        let listening =
            Listening::start(self.program(), |private, address| self.command(folder, private, address));
        let scheme = if self == Self::NginxTls { "https" } else { "http" };
        Some(Web { url: format!("{scheme}://{}/", listening.address), listening })
    }

    fn program(self) -> &'static str {
        match self {
            Self::Nginx | Self::NginxJson | Self::NginxXml | Self::NginxTls => "nginx",
            Self::ApachePlain | Self::ApacheFancy | Self::ApacheTable | Self::ApacheDav => "apache2",
            Self::Lighttpd => "lighttpd",
            Self::Caddy => "caddy",
            Self::Python => "python3",
            Self::Rclone | Self::RcloneDav => "rclone",
            Self::Webfs => "webfsd",
        }
    }

    fn command(self, folder: &Path, private: &Path, address: SocketAddr) -> Command {
        let mut command = Command::new(self.program());
        let (root, port) = (folder.display(), address.port().to_string());
        let config = private.join("config");
        let configured = |text: String| {
            fs::write(&config, text).expect("its configuration");
            config.clone()
        };
        match self {
            Self::Nginx => command.arg("-c").arg(configured(nginx(folder, private, address, "html", ""))),
            Self::NginxJson => command.arg("-c").arg(configured(nginx(folder, private, address, "json", ""))),
            Self::NginxXml => command.arg("-c").arg(configured(nginx(folder, private, address, "xml", ""))),
            Self::NginxTls => {
                let tls = tls_of_nginx(private);
                command.arg("-c").arg(configured(nginx(folder, private, address, "html", &tls)))
            }
            Self::ApachePlain | Self::ApacheFancy | Self::ApacheTable | Self::ApacheDav => {
                command.args(["-X", "-f"]).arg(configured(self.apache(folder, private, address)))
            }
            Self::Lighttpd => command.arg("-D").arg("-f").arg(configured(format!(
                "server.modules = (\"mod_dirlisting\")\nserver.document-root = \"{root}\"\nserver.bind = \"127.0.0.1\"\n\
                 server.port = {port}\ndir-listing.activate = \"enable\"\ndir-listing.hide-dotfiles = \"disable\"\n\
                 mimetype.assign = (\"\" => \"application/octet-stream\")\n"
            ))),
            Self::Caddy => command.env("HOME", private).args(["run", "--adapter", "caddyfile", "--config"]).arg(
                configured(format!(
                    "{{\n\tadmin off\n\tauto_https off\n}}\nhttp://{address} {{\n\troot * {root}\n\tfile_server browse\n}}\n"
                )),
            ),
            Self::Python => {
                command.args(["-m", "http.server", &port, "--bind", "127.0.0.1", "--directory"]).arg(folder)
            }
            Self::Rclone => command.args(["serve", "http", "--addr", &address.to_string()]).arg(folder),
            Self::RcloneDav => {
                command.args(["serve", "webdav", "--disable-dir-list", "--addr", &address.to_string()]).arg(folder)
            }
            Self::Webfs => command.args(["-F", "-i", "127.0.0.1", "-p", &port, "-r"]).arg(folder),
        };
        command
    }

    fn apache(self, folder: &Path, private: &Path, address: SocketAddr) -> String {
        let (root, private) = (folder.display(), private.display());
        let listing = match self {
            Self::ApacheFancy => "Options Indexes\nIndexOptions FancyIndexing NameWidth=* Charset=UTF-8",
            Self::ApacheTable => {
                "Options Indexes\nIndexOptions FancyIndexing HTMLTable IconsAreLinks Charset=UTF-8"
            }
            Self::ApacheDav => "Options None\nDav On",
            _ => "Options Indexes\nIndexOptions -FancyIndexing Charset=UTF-8",
        };
        let modules: String = ["mpm_event", "authz_core", "autoindex", "dir", "dav", "dav_fs"]
            .iter()
            .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
            .collect();
        format!(
            "ServerRoot {private}\nServerName localhost\nListen {address}\nPidFile {private}/pid\n\
             DefaultRuntimeDir {private}\nErrorLog {private}/errors\n{modules}DavLockDB {private}/locks\n\
             IndexOrderDefault Ascending Name\nDocumentRoot {root}\n\
             <Directory {root}>\n{listing}\nAllowOverride None\nRequire all granted\n</Directory>\n"
        )
    }
}

/// One process without a master, so that its end is the end of all of it. `tls` is what makes it speak TLS.
fn nginx(folder: &Path, private: &Path, address: SocketAddr, format: &str, tls: &str) -> String {
    let (root, private) = (folder.display(), private.display());
    let bodies: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {private}/{name};\n"))
        .collect();
    let how = if tls.is_empty() { "" } else { "ssl http2" };
    format!(
        "daemon off; master_process off; pid {private}/pid; error_log {private}/errors;\nevents {{}}\n\
         http {{\nlog_format protocol '$server_protocol $request_method $uri';\naccess_log {private}/access protocol;\n\
         types {{}}\n{bodies}server {{ listen {address} {how}; root {root}; {tls}\n\
         autoindex on; autoindex_exact_size on; autoindex_format {format}; }}\n}}\n"
    )
}

/// TLS under an authority of its own.
fn tls_of_nginx(private: &Path) -> String {
    make_certificate(private);
    let private = private.display();
    format!(
        "ssl_certificate {private}/certificate; ssl_certificate_key {private}/key;\n\
         location /to-plain/ {{ return 302 http://127.0.0.1:1$uri; }}"
    )
}
