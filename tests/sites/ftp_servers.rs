//! FTP servers of other people, with TLS and without: shown only, and changed.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use support::{FtpPeer, FtpServer, Protection, run};
use vfs::backends::ftp::{FtpFs, FtpOptions};
use vfs::conformance::{Case, Skill, Subject};
use vfs::{ErrorKind, FileSystem, FileType, ListOptions, OpenOptions, StatOptions, VPath};

use crate::asked::ask_all;
use crate::shown::{fill_folder, shown_folder};

use FtpServer::{Proftpd, PureFtpd, Pyftpdlib, Vsftpd};
use Protection::{Explicit, Implicit, Plain};

/// What FTP has not. Links are read where a site has them: what each makes of them is told below.
const FTP_LACKS: &[Skill] = &[Skill::Symlinks, Skill::NewlineNames, Skill::Locks, Skill::SpecialFiles];

/// What is not asked of those that take changes: files in order, and times of the last change alone.
const WRITABLE_FTP_LACKS: &[Skill] = &[Skill::Anywhere, Skill::HardLinks];

/// A reader that opened before a publication hears `Changed` after it; a file is not opened for writing without being cut;
/// MFMT sets the time of the last change, to the second; and what a site makes of bytes that it does not know is its own.
const DIFFER_BY_WRITABLE_FTP: &[&str] = &[
    "a_dropped_finish_leaves_the_old_or_the_new",
    "a_mode_is_set_on_an_open_file",
    "a_name_that_is_no_utf8_is_refused",
    "times_are_set",
    "times_are_set_on_an_open_file",
];

/// What a server has not, and where it differs from other trees.
fn manners(server: FtpServer) -> (&'static [Skill], &'static [&'static str]) {
    match server {
        // It takes a doubled 0xFF for two, and anonymous users may not change modes. That times cannot be set is known from
        // FEAT, and not before it is asked.
        Vsftpd => (
            &[Skill::ByteNames, Skill::SetTimes],
            &["a_new_file_has_the_mode_asked_for", "a_mode_is_set", "it_can_do_what_it_says"],
        ),
        // The same, and it opens no name with a backslash, and makes none that ends in a blank.
        PureFtpd => (&[Skill::ByteNames, Skill::BackslashNames], &["odd_names_are_made_moved_and_removed"]),
        Proftpd => (&[], &[]),
        // It shows names as UTF-8, and nine bits of a mode.
        Pyftpdlib => (&[Skill::ByteNames], &["a_mode_is_set"]),
    }
}

fn tree(peer: &FtpPeer, folder: &str, writable: bool) -> FtpFs {
    let authorities = if peer.url.starts_with("ftp:") { Vec::new() } else { peer.authority() };
    let options = FtpOptions { writable, authorities, ..FtpOptions::default() };
    FtpFs::new(&format!("{}{folder}", peer.url), &options).unwrap()
}

/// Asks every case that applies of a site that only shows things.
async fn shows(server: FtpServer, protection: Protection) {
    let (lacks, differ) = manners(server);
    let lacks = [FTP_LACKS, &[Skill::Writes], lacks].concat();
    let folder = shown_folder(&lacks).await;
    let Some(peer) = server.serve(folder.path(), protection) else { return };
    let subject = async |_: &Case| Subject::new(Arc::new(tree(&peer, "", false))).with_time_grain(GRAIN);
    ask_all(subject, &lacks, differ, 60).await;
}

/// True for cases of listings. The many files are made here for them: to a site they would go one by one.
fn needs_many(case: &Case) -> bool {
    ["list", "folder", "name_is", "dots"].iter().any(|word| case.name.contains(word))
}

/// Asks every case that applies of a site that takes changes, each in a folder of its own.
async fn changes(server: FtpServer, protection: Protection) {
    let (lacks, differ) = manners(server);
    let lacks = [FTP_LACKS, WRITABLE_FTP_LACKS, lacks].concat();
    let differ = [DIFFER_BY_WRITABLE_FTP, differ].concat();
    let folder = tempfile::tempdir().unwrap();
    let Some(peer) = server.serve(folder.path(), protection) else { return };
    let models = tempfile::tempdir().unwrap();
    for (name, has_many) in [("few", false), ("many", true)] {
        std::fs::create_dir(models.path().join(name)).unwrap();
        fill_folder(&models.path().join(name), &lacks, has_many).await;
        peer.adopt(&models.path().join(name));
    }
    let subject = async |case: &Case| {
        let model = models.path().join(if needs_many(case) { "many" } else { "few" });
        run(Command::new("cp").arg("--archive").arg(model).arg(folder.path().join(case.name)));
        Subject::new(Arc::new(tree(&peer, case.name, true))).with_time_grain(GRAIN)
    };
    ask_all(subject, &lacks, &differ, 100).await;
}

/// LIST tells days of what is older than half a year.
const GRAIN: Duration = Duration::from_secs(24 * 60 * 60);

macro_rules! sites {
    ($($name:ident: $asks:ident of $server:ident, $protection:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $asks($server, $protection).await;
            }
        )*
    };
}

sites! {
    vsftpd: shows of Vsftpd, Plain;
    vsftpd_writable: changes of Vsftpd, Plain;
    vsftpd_over_explicit_tls: shows of Vsftpd, Explicit;
    vsftpd_over_implicit_tls: shows of Vsftpd, Implicit;
    pure_ftpd: shows of PureFtpd, Plain;
    pure_ftpd_writable: changes of PureFtpd, Plain;
    pure_ftpd_over_explicit_tls: shows of PureFtpd, Explicit;
    proftpd: shows of Proftpd, Plain;
    proftpd_writable: changes of Proftpd, Plain;
    proftpd_over_explicit_tls: changes of Proftpd, Explicit;
    proftpd_over_implicit_tls: shows of Proftpd, Implicit;
    pyftpdlib: shows of Pyftpdlib, Plain;
    pyftpdlib_writable: changes of Pyftpdlib, Plain;
    pyftpdlib_over_explicit_tls: shows of Pyftpdlib, Explicit;
}

fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

/// A link's own length is never that of its target: not where a server hides that it is one either.
#[tokio::test]
async fn links_are_read_as_what_they_lead_to() {
    let content = "longer than the text of the link by far";
    for (server, shows_links) in [(Vsftpd, true), (PureFtpd, true), (Proftpd, true), (Pyftpdlib, false)] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        std::fs::write(folder.path().join("d/file"), content).unwrap();
        for (name, target) in [("link", "d/file"), ("folder", "d"), ("dangling", "nowhere")] {
            std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
        }
        let Some(peer) = server.serve(folder.path(), Plain) else { continue };
        let tree = tree(&peer, "", false);
        let stat = async |text, follow| {
            tree.metadata(&path(text), &StatOptions { follow, ..StatOptions::default() }).await
        };
        assert_eq!(stat("/link", true).await.unwrap().len, Some(content.len() as u64), "{server:?}");
        assert!(stat("/folder", true).await.unwrap().is_dir(), "{server:?}");
        assert_eq!(stat("/dangling", true).await.unwrap_err().kind(), ErrorKind::NotFound, "{server:?}");
        let file = tree.open(&path("/link"), &OpenOptions::reading()).await.unwrap();
        assert_eq!(file.read_at(0, 100).await.unwrap(), content, "{server:?}");
        let listing = tree.read_dir(&path("/folder"), &ListOptions::default()).await.unwrap();
        assert_eq!(listing.collect(10).await.unwrap().len(), 1, "{server:?}");
        if shows_links {
            assert_eq!(stat("/link", false).await.unwrap().file_type, FileType::Symlink, "{server:?}");
            assert_eq!(tree.read_link(&path("/link")).await.unwrap(), "d/file", "{server:?}");
        }
        let listing = tree.read_dir(&VPath::root(), &ListOptions::with_metadata()).await.unwrap();
        for entry in listing.collect(10).await.unwrap() {
            let len = entry.metadata.as_ref().unwrap().len;
            assert!(
                entry.is_dir() || len.is_none_or(|len| len == content.len() as u64),
                "{server:?}: {len:?}"
            );
        }
    }
}

/// ProFTPD takes a session under TLS 1.3 once and has given two: the third upload needs another login.
#[tokio::test]
async fn many_files_go_over_sessions_that_must_resume() {
    for (server, protection) in
        [(Vsftpd, Explicit), (Proftpd, Explicit), (Proftpd, Implicit), (Vsftpd, Implicit)]
    {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        let Some(peer) = server.serve(folder.path(), protection) else { continue };
        let tree = tree(&peer, "d", true);
        for number in 0..12 {
            let (at, content) = (path(&format!("/{number}")), number.to_string().repeat(1000));
            let file = tree.open(&at, &OpenOptions::replacing()).await.unwrap();
            file.write_at(0, content.clone().into()).await.unwrap();
            file.finish().await.unwrap();
            let file = tree.open(&at, &OpenOptions::reading()).await.unwrap();
            assert_eq!(file.read_at(0, 10_000).await.unwrap(), content, "{server:?} {protection:?} {number}");
        }
    }
}
