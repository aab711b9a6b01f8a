//! curl, wget, lftp and Python's ftplib over FTP.

use support::{Program, run};

use crate::program::{Serving, WGET_CANNOT, assert_same};

/// Reads a whole tree through ftplib: MLSD for names, RETR for content. Latin-1 carries every byte of a name.
const FTPLIB: &str = r#"
import ftplib, os, sys

host, port, into = sys.argv[1], int(sys.argv[2]), os.fsencode(sys.argv[3])
ftp = ftplib.FTP(encoding="latin-1")
ftp.connect(host, port)
ftp.login()

def walk(remote, local):
    os.makedirs(local, exist_ok=True)
    ftp.cwd(remote)
    for name, facts in list(ftp.mlsd()):
        if facts["type"] in ("cdir", "pdir"):
            continue
        path = os.path.join(local, name.encode("latin-1"))
        if facts["type"] == "dir":
            walk(remote.rstrip("/") + "/" + name, path)
            ftp.cwd(remote)
        else:
            with open(path, "wb") as file:
                ftp.retrbinary("RETR " + name, file.write)
            assert os.path.getsize(path) == int(facts["size"]), name

walk("/", into)
assert ftp.quit().startswith("221")
"#;

#[test]
fn ftplib_reads_the_folder() {
    let Some(mut python) = Program::Python.find() else { return };
    let serving = Serving::start();
    let into = tempfile::tempdir().unwrap();
    let (host, port) = Serving::authority(&serving.ftp).split_once(':').unwrap();
    run(python.command().args(["-c", FTPLIB, host, port]).arg(into.path()));
    assert_same(into.path(), &serving.layout());
}

#[test]
fn lftp_mirrors_the_folder() {
    for settings in ["", "set ftp:sync-mode no; ", "set ftp:use-mlsd no; ", "set ftp:prefer-epsv yes; "] {
        let Some(mut lftp) = Program::Lftp.find() else { return };
        let serving = Serving::start();
        let into = tempfile::tempdir().unwrap();
        let script = format!(
            "set file:charset ISO-8859-1; set ftp:charset ISO-8859-1; set ftp:use-utf8 no; {settings}open {}; mirror / {}; exit",
            serving.ftp,
            into.path().display()
        );
        run(lftp.command().args(["--norc", "-c", &script]));
        assert_same(into.path(), &serving.layout());
    }
}

#[test]
fn wget_mirrors_the_folder() {
    let Some(mut wget) = Program::Wget.find() else { return };
    let serving = Serving::start();
    serving.remove(WGET_CANNOT);
    // wget takes the first for a pattern, and cuts the spaces off the second.
    serving.remove(&["star*[glob]", " leading and trailing "]);
    let into = tempfile::tempdir().unwrap();
    run(wget
        .command()
        .args(["-q", "-r", "-l", "inf", "-nH", "--restrict-file-names=nocontrol", "-P"])
        .arg(into.path())
        .arg(&serving.ftp));
    assert_same(into.path(), &serving.layout());
}

#[test]
fn curl_reads_ranges_heads_and_folders() {
    let Some(mut curl) = Program::Curl.find() else { return };
    let serving = Serving::start();
    let content = std::fs::read(serving.folder.path().join("sizes/1048576")).unwrap();
    let url = format!("{}sizes/1048576", serving.ftp);
    let range = run(curl.command().args(["-sS", "-r", "100-199", &url]));
    assert_eq!(range.stdout, content[100..200]);
    let mut curl = Program::Curl.find().unwrap();
    let head = run(curl.command().args(["-sS", "-I", &url]));
    let head = String::from_utf8(head.stdout).unwrap();
    assert!(head.contains("Content-Length: 1048576"), "{head}");
    let mut curl = Program::Curl.find().unwrap();
    let list = run(curl.command().args(["-sS", "-l", &format!("{}sizes/", serving.ftp)]));
    let mut names: Vec<_> = String::from_utf8(list.stdout).unwrap().lines().map(str::to_owned).collect();
    names.sort();
    assert_eq!(names, ["0", "1", "1048576", "3145745", "32768", "32769", "4095", "4096"]);
}

#[test]
fn curl_gets_odd_names() {
    let Some(_) = Program::Curl.find() else { return };
    let serving = Serving::start();
    for name in support::odd_names() {
        let escaped: String = name.iter().map(|byte| format!("%{byte:02x}")).collect();
        let mut curl = Program::Curl.find().unwrap();
        let got = run(curl.command().args(["-sS", &format!("{}{escaped}", serving.ftp)]));
        assert_eq!(got.stdout, [&name[..], b" content"].concat(), "{}", name.escape_ascii());
    }
}

#[test]
fn a_name_with_a_newline_is_refused_and_hurts_nobody() {
    let Some(mut python) = Program::Python.find() else { return };
    let serving = Serving::start();
    std::fs::write(serving.folder.path().join("new\nline"), "content").unwrap();
    let script = r#"
import ftplib, sys
ftp = ftplib.FTP(encoding="latin-1")
ftp.connect(sys.argv[1], int(sys.argv[2]))
ftp.login()
names = [name for name, _ in ftp.mlsd()]
assert all("\n" not in name and "\r" not in name for name in names)
shown = [name for name in names if name.startswith("new")]
assert len(shown) == 1, shown
try:
    ftp.retrbinary("RETR " + shown[0], lambda piece: None)
except ftplib.error_perm as error:
    assert str(error).startswith("550"), error
else:
    raise SystemExit("the escaped name was served")
assert ftp.voidcmd("NOOP").startswith("200")
"#;
    let (host, port) = Serving::authority(&serving.ftp).split_once(':').unwrap();
    run(python.command().args(["-c", script, host, port]));
}
