//! curl, wget, lftp and Python's ftplib over FTP inside TLS, whole trees both ways. NcFTP and tnftp know no TLS.
//!
//! curl is not asked to be connected to: 7.87 and 7.88 leave TLS out of the data connections that they accept.

use std::path::Path;

use support::{Program, run};

use crate::ftp::long;
use crate::program::{Serving, assert_same};

/// What lftp is told first: TLS on both connections, and names as bytes.
fn lftp_settings(serving: &Serving) -> String {
    format!(
        "set cmd:fail-exit yes; set file:charset ISO-8859-1; set ftp:charset ISO-8859-1; set ftp:use-utf8 no; \
         set ssl:ca-file {}; set ftp:ssl-force true; set ftp:ssl-protect-data true; set ftp:ssl-protect-list true;",
        serving.certificate().display()
    )
}

#[test]
fn lftp_mirrors_both_ways() {
    for settings in ["", "set ftp:sync-mode no; ", "set ftp:use-mlsd no; ", "set ftp:passive-mode no; "] {
        let Some(mut lftp) = Program::Lftp.find() else { return };
        let (local, into, serving) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Serving::secure());
        support::write_folder(local.path());
        let script = format!(
            "{}{settings}open {}; mirror -R {} /copy; mirror /copy {}; exit",
            lftp_settings(&serving),
            serving.ftp,
            local.path().display(),
            into.path().display()
        );
        run(lftp.command().args(["--norc", "-c", &script]));
        let layout = support::read_folder(local.path());
        assert_same(&serving.folder.path().join("copy"), &layout);
        assert_same(into.path(), &layout);
    }
}

#[test]
fn lftp_fetches_a_file_in_four_pieces() {
    let Some(mut lftp) = Program::Lftp.find() else { return };
    let (serving, into) = one_file();
    let script = format!(
        "{}set pget:min-chunk-size 100k; open {}; lcd {}; pget -n 4 file; exit",
        lftp_settings(&serving),
        serving.ftp,
        into.path().display()
    );
    run(lftp.command().args(["--norc", "-c", &script]));
    assert!(std::fs::read(into.path().join("file")).unwrap() == long());
}

#[test]
fn wget_mirrors_a_folder_and_goes_on() {
    for options in [&[][..], &["--ftps-resume-ssl"]] {
        let Some(_) = Program::Wget.find() else { return };
        let (serving, into) = one_file();
        write_tree(serving.folder.path());
        std::fs::write(into.path().join("file"), &long()[..1_234_567]).unwrap();
        let certificate = format!("--ca-certificate={}", serving.certificate().display());
        let url = serving.ftp.replace("ftp://", "ftps://");
        let ask = |more: &[&str], url: &str| {
            let mut wget = Program::Wget.find().unwrap();
            run(wget.command().args(["-q", &certificate, "-P"]).arg(into.path()).args(more).arg(url));
        };
        ask(&[&["-c"], options].concat(), &format!("{url}file"));
        assert!(std::fs::read(into.path().join("file")).unwrap() == long(), "{options:?}");
        std::fs::remove_file(into.path().join("file")).unwrap();
        ask(&[&["-r", "-l", "inf", "-nH"], options].concat(), &url);
        assert_same(into.path(), &serving.layout());
    }
}

#[test]
fn curl_reads_ranges_heads_and_goes_on() {
    let Some(_) = Program::Curl.find() else { return };
    let (serving, into) = one_file();
    let url = format!("{}file", serving.ftp);
    let curl = |more: &[&str]| {
        let mut curl = Program::Curl.find().unwrap();
        let command = curl.command().args(["-sS", "--ssl-reqd", "--cacert"]).arg(serving.certificate());
        run(command.args(more).arg(&url)).stdout
    };
    assert_eq!(curl(&["-r", "100-199"]), &long()[100..200]);
    assert!(String::from_utf8(curl(&["-I"])).unwrap().contains("Content-Length: 3000077"));
    let got = into.path().join("file");
    let path = got.to_str().unwrap();
    std::fs::write(&got, &long()[..1_234_567]).unwrap();
    curl(&["-C", "-", "-o", path]);
    assert!(std::fs::read(&got).unwrap() == long());
    let stored = serving.folder.path().join("file");
    std::fs::write(&stored, &long()[..1_234_567]).unwrap();
    curl(&["-C", "-", "-T", path]);
    assert!(std::fs::read(&stored).unwrap() == long());
    curl(&["-T", path]);
    assert!(std::fs::read(&stored).unwrap() == long());
}

/// Sends a folder with MKD and STOR and fetches it again, all inside TLS. Latin-1 carries every byte of a name.
const FTPLIB: &str = r#"
import ftplib, os, ssl, sys

host, port, certificate, local, into = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
context = ssl.create_default_context(cafile=certificate)
ftp = ftplib.FTP_TLS(context=context, encoding="latin-1")
ftp.connect(host, port)
ftp.login()
ftp.prot_p()

def send(local, remote):
    ftp.mkd(remote)
    for entry in os.scandir(os.fsencode(local)):
        path = remote + "/" + entry.name.decode("latin-1")
        if entry.is_dir():
            send(entry.path, path)
        else:
            with open(entry.path, "rb") as file:
                ftp.storbinary("STOR " + path, file)

def fetch(remote, local):
    os.makedirs(local, exist_ok=True)
    for name, facts in list(ftp.mlsd(remote)):
        path = os.path.join(os.fsencode(local), name.encode("latin-1"))
        if facts["type"] == "dir":
            fetch(remote + "/" + name, path)
        elif facts["type"] == "file":
            with open(path, "wb") as file:
                ftp.retrbinary("RETR " + remote + "/" + name, file.write)

send(local, "/copy")
fetch("/copy", into)
assert ftp.quit().startswith("221")
"#;

#[test]
fn ftplib_sends_and_fetches_a_tree() {
    let Some(mut python) = Program::Python.find() else { return };
    let (local, into, serving) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Serving::secure());
    write_tree(local.path());
    let (host, port) = Serving::authority(&serving.ftp).split_once(':').unwrap();
    let command = python.command().args(["-c", FTPLIB, host, port]).arg(serving.certificate());
    run(command.args([local.path(), into.path()]));
    let layout = support::read_folder(local.path());
    assert_same(&serving.folder.path().join("copy"), &layout);
    assert_same(into.path(), &layout);
}

/// A server of one long file, and an empty folder to fetch it into.
fn one_file() -> (Serving, tempfile::TempDir) {
    let serving = Serving::secure();
    std::fs::write(serving.folder.path().join("file"), long()).unwrap();
    (serving, tempfile::tempdir().unwrap())
}

/// Names that every client can say.
fn write_tree(folder: &Path) {
    std::fs::create_dir_all(folder.join("deep/er")).unwrap();
    for name in ["with space", "umlaut-\u{fc}", "deep/er/file", "deep/long"] {
        std::fs::write(folder.join(name), long()).unwrap();
    }
}
