//! Secrets of remote mounts: found where the configuration names them, and told to nobody but the site.

use std::fs;

use rustix::process::Signal;
use support::{FtpSite, Trick};

use crate::running::{Server, get, vfsd};

#[test]
fn the_password_of_a_site_stands_in_no_log() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for named in ["password_file = \"site.password\"", "password_env = \"VFSD_TEST_SITE\""] {
        let site = runtime.block_on(FtpSite::start(Trick::None));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("site.password"), "s3cret\n").unwrap();
        let config = format!(
            "[[mount]]\nat = \"/site\"\nsource = \"{}\"\nremote = {{ user = \"me\", {named} }}\n\
             [[serve]]\nprotocol = \"http\"\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"trace\"\n",
            site.url
        );
        fs::write(folder.path().join("vfsd.toml"), config).unwrap();
        let mut command = vfsd(folder.path());
        command.env("VFSD_TEST_SITE", "s3cret").env("XDG_CACHE_HOME", folder.path());
        command.args(["serve", "--config", "vfsd.toml", "--admin", "127.0.0.1:0"]);
        let mut server = Server::wait_for(command, 2);
        let (status, body) = get(server.address("http"), "/site/f");
        assert!(status.ends_with("200 OK") && body == FtpSite::content(), "{status}");
        assert!(site.heard().iter().any(|line| line == "PASS s3cret"), "{named}: {:?}", site.heard());
        let (_, numbers) = get(server.address("admin+http"), "/metrics");
        let numbers = String::from_utf8(numbers).unwrap();
        for line in ["available{at=\"/site\"} 1\n", "errors_total{at=\"/site\"} 0\n"] {
            assert!(numbers.contains(&format!("vfsd_mount_{line}")), "{numbers}");
        }
        server.signal(Signal::TERM);
        let (_, rest) = server.end();
        let log = server.log.join("\n") + &rest;
        assert!(!log.is_empty() && !log.contains("s3cret"), "{log}");
    }
}
