//! Every command that clients send, and how its answer begins: what is promised by FEAT and more, in one table.

use crate::ftp::Options;
use crate::ftp::testing::Running;
use crate::site::Limits;

/// What is sent, in order, in one session as a guest who may write, and how each answer begins.
const DIALOGUE: [(&str, &str); 95] = [
    ("AUTH TLS", "502 "),
    ("PBSZ 0", "503 "),
    ("PROT P", "503 "),
    ("CCC", "502 "),
    ("FEAT", "211-"),
    ("SYST", "215 UNIX Type: L8"),
    ("HOST nowhere.example", "504 "),
    ("CLNT test", "200 "),
    ("CSID name=test;", "200 Name="),
    ("LANG", "200 "),
    ("LANG fr", "504 "),
    ("OPTS UTF8 ON", "200 "),
    ("opts utf8 on", "200 "),
    ("OPTS MLST type;size;", "200 MLST OPTS type;size;"),
    ("OPTS MLST x", "200 MLST OPTS "),
    ("OPTS HASH MD5", "200 MD5"),
    ("USER anonymous", "331 "),
    ("PASS me@", "230 "),
    ("HOST localhost", "503 "),
    ("PWD", "257 \"/\""),
    ("XPWD", "257 \"/\""),
    ("CWD d/", "250 "),
    ("PWD", "257 \"/d\""),
    ("CDUP", "250 "),
    ("CWD none", "550 "),
    ("TYPE I", "200 "),
    ("TYPE A N", "200 "),
    ("SIZE file", "550 "),
    ("TYPE L 8", "200 "),
    ("TYPE E", "504 "),
    ("MODE S", "200 "),
    ("MODE Z", "504 "),
    ("STRU F", "200 "),
    ("STRU R", "504 "),
    ("ALLO 100", "202 "),
    ("ACCT x", "502 "),
    ("SMNT x", "502 "),
    ("SIZE file", "213 7\r\n"),
    ("SIZE d", "550 "),
    ("SIZE none", "550 "),
    ("MDTM file", "213 20"),
    ("MDTM none", "550 "),
    ("MDTM 20200102030405 file", "550 "),
    ("MFMT 20200102030405 file", "213 Modify=20200102030405; /file"),
    ("MDTM file", "213 20200102030405\r\n"),
    ("MFF UNIX.mode=0640; file", "213 UNIX.mode=0640; /file"),
    ("MFCT 20200102030405 file", "500 "),
    ("SITE CHMOD 600 file", "200 "),
    ("SITE UTIME 202001020304 file", "200 "),
    ("SITE UTIME file 20200102030405 20200102030405 20200102030405 UTC", "200 "),
    ("SITE IDLE 60", "200 "),
    ("SITE IDLE 0", "501 "),
    ("SITE HELP", "214 "),
    ("HELP SITE", "214 "),
    ("HELP", "214-"),
    ("SITE CPFR file", "350 "),
    ("SITE CPTO copy", "250 "),
    ("SITE SYMLINK file link", "200 "),
    ("SITE DF", "200 / has room for "),
    ("SITE EXEC ls", "504 "),
    ("AVBL", "213 "),
    ("AVBL none", "550 "),
    ("HASH file", "213 MD5 0-6 "),
    ("XCRC file", "250 "),
    ("XMD5 file", "250 "),
    ("XSHA256 \"file\" 0 3", "250 "),
    ("MD5 file", "251 /file "),
    ("MLST file", "250-"),
    ("MLST none", "550 "),
    ("STAT", "211-"),
    ("STAT file", "213-"),
    ("STAT none", "550 "),
    ("MKD new", "257 \"/new\""),
    ("XRMD new", "250 "),
    ("RNFR copy", "350 "),
    ("RNTO moved", "250 "),
    ("DELE moved", "250 "),
    ("PRET RETR file", "200 "),
    ("RANG 1 2", "350 "),
    ("REST 3", "350 "),
    ("REST x", "501 "),
    ("PORT 127,0,0,2,200,1", "501 "),
    ("EPRT |2|::1|2000|", "501 "),
    ("EPRT |3|x|2000|", "522 "),
    ("EPSV 2", "522 "),
    ("EPSV x", "501 "),
    ("PASV", "227 "),
    ("RETR none", "550 "),
    ("EPSV ALL", "200 "),
    ("PASV", "503 "),
    ("COMB target file file", "500 "),
    ("ABOR", "226 "),
    ("NOOP", "200 "),
    ("REIN", "220 "),
    ("QUIT", "221 "),
];

#[tokio::test]
async fn every_command_is_answered_as_written() {
    let options = Options { guests_overwrite: true, ..Options::default() };
    let files: &[(&str, &[u8])] = &[("/file", b"content"), ("/d/inner", b"x")];
    let running = Running::start_with(files, Limits::default(), options).await;
    let mut client = running.connect().await;
    for (line, begins) in DIALOGUE {
        let reply = client.ask(line).await;
        assert!(reply.starts_with(begins), "{line}: {reply}");
    }
}

/// Transfer commands, and what comes over the data connection; the reply before it where nothing does.
const TRANSFERS: [(&str, &str); 19] = [
    ("RETR file", "content"),
    ("RETR none", "550 "),
    ("RETR d", "550 "),
    ("NLST", "d\r\nfile\r\n"),
    ("NLST -la", ""),
    ("NLST d", "d/inner\r\n"),
    ("NLST fi*", "file\r\n"),
    ("NLST none", "550 "),
    ("LIST", ""),
    ("LIST -la", ""),
    ("list -a", ""),
    ("LIST file", ""),
    ("LIST *.none", "550 "),
    ("LIST none", "550 "),
    ("MLSD", ""),
    ("MLSD fi*", "550 "),
    ("MLSD file", "501 "),
    ("RETR d.zip", ""),
    ("RETR none.zip", "550 "),
];

#[tokio::test]
async fn every_transfer_is_refused_before_its_connection_or_ends_well() {
    let running = Running::start(&[("/file", b"content"), ("/d/inner", b"x")]).await;
    let mut client = running.log_in().await;
    for (line, expected) in TRANSFERS {
        let (content, reply) = client.fetch(line).await;
        if expected.starts_with("55") || expected.starts_with("501") {
            assert!(reply.starts_with(expected), "{line}: {reply}");
            continue;
        }
        assert!(reply.starts_with("226 "), "{line}: {reply}");
        let content = String::from_utf8_lossy(&content);
        assert!(
            if expected.is_empty() { !content.is_empty() } else { content == expected },
            "{line}: {content}"
        );
    }
}
