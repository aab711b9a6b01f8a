//! curl, wget, lftp, NcFTP, tnftp and Python's ftplib over FTP.

use std::io::Write;
use std::process::Stdio;

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
fn curl_writes_goes_on_and_appends() {
    let Some(_) = Program::Curl.find() else { return };
    let serving = Serving::writable();
    let local = tempfile::tempdir().unwrap();
    let (whole, half) = (local.path().join("whole"), local.path().join("half"));
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at / 251) as u8).collect();
    std::fs::write(&whole, &content).unwrap();
    std::fs::write(&half, &content[..1_000_000]).unwrap();
    let url = format!("{}new/sub/file", serving.ftp);
    let stored = serving.folder.path().join("new/sub/file");
    for (options, upload, expected) in [
        (&["--ftp-create-dirs"][..], &half, &content[..1_000_000]),
        (&["-C", "-"], &whole, &content[..]),
        (&[], &half, &content[..1_000_000]),
        (&["-P", "-"], &whole, &content[..]),
        (&["-P", "-", "--disable-eprt"], &half, &content[..1_000_000]),
        (&["--disable-epsv"], &whole, &content[..]),
    ] {
        let mut curl = Program::Curl.find().unwrap();
        run(curl.command().args(["-sS", "-T"]).arg(upload).args(options).arg(&url));
        assert!(std::fs::read(&stored).unwrap() == expected, "{options:?}");
    }
    let mut curl = Program::Curl.find().unwrap();
    run(curl.command().args(["-sS", "-a", "-T"]).arg(&half).arg(&url));
    assert_eq!(std::fs::metadata(&stored).unwrap().len(), 4_000_000);
    let mut curl = Program::Curl.find().unwrap();
    let orders = ["-Q", "RNFR new/sub/file", "-Q", "RNTO moved", "-Q", "RMD new/sub", "-Q", "RMD new"];
    run(curl.command().args(["-sS", "-l"]).args(orders).arg(&serving.ftp));
    assert_eq!(serving.layout().keys().collect::<Vec<_>>(), [b"moved"]);
}

#[test]
fn lftp_mirrors_a_folder_to_the_server_and_takes_it_away() {
    for settings in ["", "set ftp:sync-mode no; ", "set ftp:passive-mode no; "] {
        let Some(mut lftp) = Program::Lftp.find() else { return };
        let serving = Serving::writable();
        let local = tempfile::tempdir().unwrap();
        support::write_folder(local.path());
        let charsets = "set file:charset ISO-8859-1; set ftp:charset ISO-8859-1; set ftp:use-utf8 no; set cmd:fail-exit yes; ";
        let begin = format!("{charsets}{settings}open {}; ", serving.ftp);
        let mirror = format!("{begin}mirror -R {} /copy; exit", local.path().display());
        run(lftp.command().args(["--norc", "-c", &mirror]));
        assert_same(&serving.folder.path().join("copy"), &support::read_folder(local.path()));
        let remove = format!("{begin}rm -r /copy; exit");
        let mut lftp = Program::Lftp.find().unwrap();
        run(lftp.command().args(["--norc", "-c", &remove]));
        assert!(serving.layout().is_empty());
    }
}

#[test]
fn ftplib_writes_renames_and_removes() {
    let Some(mut python) = Program::Python.find() else { return };
    let serving = Serving::writable();
    let script = r#"
import ftplib, io, sys
ftp = ftplib.FTP()
ftp.connect(sys.argv[1], int(sys.argv[2]))
ftp.login()
content = bytes(range(256)) * 10000
assert ftp.mkd('say "hi"') == '/say "hi"'
ftp.cwd('say "hi"')
assert ftp.storbinary("STOR first", io.BytesIO(content)).startswith("226")
assert ftp.storbinary("STOR first", io.BytesIO(content[1000:]), rest=1000).startswith("226")
assert ftp.storlines("STOR text", io.BytesIO(b"one\ntwo\n")).startswith("226")
ftp.set_pasv(False)
assert ftp.storbinary("STOU", io.BytesIO(content)).startswith("226")
ftp.rename("first", "second")
got = []
ftp.retrbinary("RETR second", got.append)
assert b"".join(got) == content
names = ftp.nlst()
assert len(names) == 3, names
for name in names:
    ftp.delete(name)
assert ftp.nlst() == []
ftp.cwd("/")
ftp.rmd('say "hi"')
"#;
    let (host, port) = Serving::authority(&serving.ftp).split_once(':').unwrap();
    run(python.command().args(["-c", script, host, port]));
    assert!(serving.layout().is_empty());
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

#[test]
fn curl_wget_and_lftp_fetch_a_folder_as_an_archive() {
    let serving = Serving::writable();
    let tree = serving.folder.path().join("tree");
    std::fs::create_dir_all(tree.join("deep")).unwrap();
    std::fs::write(tree.join("deep/file"), long()).unwrap();
    let into = tempfile::tempdir().unwrap();
    let got = into.path().join("tree.tar");
    for program in [Program::Curl, Program::Wget, Program::Lftp] {
        let Some(mut client) = program.find() else { return };
        let (command, url) = (client.command().current_dir(into.path()), format!("{}tree.tar", serving.ftp));
        run(match program {
            Program::Curl => command.args(["-sS", "-O", &url]),
            Program::Wget => command.args(["-q", &url]),
            _ => command.args(["--norc", "-c", &format!("set cmd:fail-exit yes; get {url}")]),
        });
        run(std::process::Command::new("tar").args(["-xf", "tree.tar"]).current_dir(into.path()));
        assert_same(&into.path().join("tree"), &support::read_folder(&tree));
        std::fs::remove_file(&got).unwrap();
        std::fs::remove_dir_all(into.path().join("tree")).unwrap();
    }
}

/// Three megabytes and a bit, no two pieces alike.
pub(crate) fn long() -> Vec<u8> {
    (0..3_000_077_u32).map(|at| (at / 251) as u8).collect()
}

/// A server of one long file, and an empty folder to fetch it into.
fn one_file() -> (Serving, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), long()).unwrap();
    (Serving::show(folder), tempfile::tempdir().unwrap())
}

#[test]
fn curl_goes_on_where_it_stopped_and_lets_the_server_connect() {
    let Some(_) = Program::Curl.find() else { return };
    for options in [&["-C", "-"][..], &["-P", "-"], &["-P", "-", "--disable-eprt"], &["--disable-epsv"]] {
        let (serving, into) = one_file();
        let got = into.path().join("file");
        if options[0] == "-C" {
            std::fs::write(&got, &long()[..1_234_567]).unwrap();
        }
        let mut curl = Program::Curl.find().unwrap();
        run(curl.command().arg("-sS").args(options).arg("-o").arg(&got).arg(format!("{}file", serving.ftp)));
        assert!(std::fs::read(&got).unwrap() == long(), "{options:?}");
    }
}

#[test]
fn curl_aborts_a_range_and_goes_on_in_the_same_session() {
    let Some(mut curl) = Program::Curl.find() else { return };
    let (serving, _into) = one_file();
    let url = format!("{}file", serving.ftp);
    // What comes second would read the answer to the first one's ABOR if replies were lost or doubled.
    let got = run(curl.command().args(["-sS", "-r", "5-9", &url, &url, "--next", "-sS", &url]));
    assert_eq!(got.stdout.len(), 2 * 5 + long().len());
}

#[test]
fn wget_goes_on_where_it_stopped() {
    let Some(mut wget) = Program::Wget.find() else { return };
    let (serving, into) = one_file();
    std::fs::write(into.path().join("file"), &long()[..1_234_567]).unwrap();
    run(wget.command().args(["-q", "-c", "-P"]).arg(into.path()).arg(format!("{}file", serving.ftp)));
    assert!(std::fs::read(into.path().join("file")).unwrap() == long());
}

#[test]
fn lftp_fetches_a_file_in_four_pieces() {
    let Some(mut lftp) = Program::Lftp.find() else { return };
    let (serving, into) = one_file();
    let script = format!(
        "set cmd:fail-exit yes; set pget:min-chunk-size 100k; open {}; lcd {}; pget -n 4 file; exit",
        serving.ftp,
        into.path().display()
    );
    run(lftp.command().args(["--norc", "-c", &script]));
    assert!(std::fs::read(into.path().join("file")).unwrap() == long());
}

#[test]
fn ncftp_fetches_and_stores_a_tree() {
    let (Some(mut get), Some(mut put)) = (Program::Ncftpget.find(), Program::Ncftpput.find()) else { return };
    let (local, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    support::write_folder(local.path());
    let tree = local.path().join("tree");
    std::fs::create_dir_all(tree.join("deep/er")).unwrap();
    std::fs::create_dir(tree.join("empty")).unwrap();
    for name in ["with space", "umlaut-\u{fc}", "deep/er/file", "deep/long"] {
        std::fs::write(tree.join(name), long()).unwrap();
    }
    let serving = Serving::writable();
    let (host, port) = Serving::authority(&serving.ftp).split_once(':').unwrap();
    run(put.command().args(["-V", "-R", "-P", port, host, "/"]).arg(&tree));
    assert_same(&serving.folder.path().join("tree"), &support::read_folder(&tree));
    // First it asks for tree.tar.
    run(get.command().args(["-V", "-R", "-P", port, host]).arg(into.path()).arg("/tree"));
    assert_same(&into.path().join("tree"), &support::read_folder(&tree));
}

#[test]
fn tnftp_fetches_stores_and_lists() {
    let Some(mut tnftp) = Program::Tnftp.find() else { return };
    let (local, serving) = (tempfile::tempdir().unwrap(), Serving::writable());
    std::fs::write(local.path().join("mine"), long()).unwrap();
    let (host, port) = Serving::authority(&serving.ftp).split_once(':').unwrap();
    let script = "user anonymous me@\nbinary\nmkdir sub\ncd sub\nput mine\nput mine again\nls -la\n\
                  get mine got\nreget mine got\nrename again more\nsize more\nmodtime more\nmget m*\nquit\n";
    let mut child = tnftp
        .command()
        .args(["-n", "-i", "-V", host, port])
        .current_dir(local.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    for (folder, name) in [
        (serving.folder.path().join("sub"), "mine"),
        (serving.folder.path().join("sub"), "more"),
        (local.path().into(), "got"),
        (local.path().into(), "more"),
    ] {
        assert!(std::fs::read(folder.join(name)).unwrap() == long(), "{name}");
    }
}
