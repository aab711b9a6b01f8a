//! pip through a mirror of an index and of the site where its files lie, and then without them.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};
use support::{Answer, Heard, Origin, Program};
use tempfile::TempDir;

use crate::program::Serving;

/// The one file of the index.
const WHEEL: &str = "hello-1.0-py3-none-any.whl";

/// Writes a wheel: `hello`, which consists of nothing but a name and some bytes that do not shrink.
const MAKE_WHEEL: &str = r#"
import random, sys, zipfile
info = "hello-1.0.dist-info/"
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("hello/__init__.py", "")
    wheel.writestr("hello/data", random.Random(int(sys.argv[2])).randbytes(1 << 20))
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "RECORD", "hello/__init__.py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n")
"#;

/// What a site has, by target.
type Contents = Arc<Mutex<HashMap<String, (&'static str, Vec<u8>)>>>;

/// An index and a site of files, behind one program that mirrors both.
struct Scene {
    index: Origin,
    pages: Contents,
    files: Origin,
    on_disk: Contents,
    mirror: Serving,
    kept: TempDir,
}

/// A site that has `contents`, and sends JSON to who asks for that.
async fn site(contents: &Contents) -> Origin {
    let contents = Arc::clone(contents);
    Origin::start(move |heard: &Heard| {
        let wants_json = heard.field("accept").is_some_and(|accept| accept.contains("json"));
        let target = if wants_json { format!("{} json", heard.target()) } else { heard.target().to_owned() };
        let contents = contents.lock().unwrap();
        let Some((media, content)) = contents.get(&target).or_else(|| contents.get(heard.target())) else {
            return Answer::head("404 Not Found", &[("Content-Length", "0")]);
        };
        let tag = format!("\"{}\"", hex(content));
        if heard.field("if-none-match") == Some(&tag) {
            return Answer::head("304 Not Modified", &[("ETag", &tag)]);
        }
        let len = content.len().to_string();
        let head =
            Answer::head("200 OK", &[("Content-Type", media), ("Content-Length", &len), ("ETag", &tag)]);
        if heard.method() == "HEAD" { head } else { head.send(content) }
    })
    .await
}

impl Scene {
    async fn new() -> Self {
        let (pages, on_disk) = (Contents::default(), Contents::default());
        let (index, files) = (site(&pages).await, site(&on_disk).await);
        let kept = tempfile::tempdir().unwrap();
        let mirror = mirror_of(&index, &files, kept.path());
        Self { index, pages, files, on_disk, mirror, kept }
    }

    /// Publishes a wheel, under the sum of `promised`.
    fn publish(&self, wheel: &[u8], promised: &[u8]) {
        let (url, sum) = (format!("{}p/{WHEEL}", self.files.url), hex(promised));
        let html =
            format!("<!DOCTYPE html><html><body><a href=\"{url}#sha256={sum}\">{WHEEL}</a></body></html>");
        let json = format!(
            r#"{{"meta":{{"api-version":"1.0"}},"name":"hello","files":[{{"filename":"{WHEEL}","url":"{url}","hashes":{{"sha256":"{sum}"}}}}]}}"#
        );
        let mut pages = self.pages.lock().unwrap();
        pages.insert("/simple/hello/".to_owned(), ("text/html", html.into()));
        pages.insert("/simple/hello/ json".to_owned(), ("application/vnd.pypi.simple.v1+json", json.into()));
        self.on_disk.lock().unwrap().insert(format!("/p/{WHEEL}"), ("application/zip", wheel.to_vec()));
    }

    fn file_requests(&self) -> usize {
        self.files.heard().iter().filter(|heard| heard.target().ends_with(WHEEL)).count()
    }
}

fn mirror_of(index: &Origin, files: &Origin, kept: &Path) -> Serving {
    let configuration = format!(
        "[cache]\nfolder = {kept:?}\n\
         [[mount]]\nat = \"/simple\"\nsource = \"{}simple/\"\nmirror = {{ preset = \"pip\", files = [\"/files\"] }}\n\
         [[mount]]\nat = \"/files\"\nsource = {:?}\nmirror = {{ preset = \"pip\" }}\n",
        index.url, files.url
    );
    let file = kept.join("vfsd.toml");
    std::fs::write(&file, configuration).unwrap();
    Serving::program(|program| {
        program.arg("--config").arg(&file);
    })
}

fn wheel(seed: u8) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(WHEEL);
    support::run(Command::new("python3").args(["-c", MAKE_WHEEL]).arg(&path).arg(seed.to_string()));
    std::fs::read(path).unwrap()
}

/// What pip made of `hello` in an empty folder.
async fn download(mirror: &Serving) -> (Output, Option<Vec<u8>>) {
    let url = format!("{}simple/", mirror.http);
    let folder = tempfile::tempdir().unwrap();
    let mut pip = Command::new("pip3");
    pip.args([
        "download",
        "--no-deps",
        "--no-cache-dir",
        "--disable-pip-version-check",
        "--isolated",
        "--retries",
        "0",
    ])
    .args(["--index-url", &url, "hello", "--dest"])
    .arg(folder.path())
    .env("LC_ALL", "C");
    let output = tokio::task::spawn_blocking(move || pip.output().unwrap()).await.unwrap();
    (output, std::fs::read(folder.path().join(WHEEL)).ok())
}

#[track_caller]
fn assert_got((output, got): &(Output, Option<Vec<u8>>), wheel: &[u8]) {
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(got.as_deref() == Some(wheel), "{said}");
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pip_gets_from_the_mirror_what_it_got_before_also_without_the_index() {
    let (Some(_), Some(_)) = (Program::Pip.find(), Program::Python.find()) else { return };
    let scene = Scene::new().await;
    let wheel = wheel(1);
    scene.publish(&wheel, &wheel);
    for _ in 0..2 {
        assert_got(&download(&scene.mirror).await, &wheel);
    }
    assert_eq!(scene.file_requests(), 1);
    let asked = scene.index.heard().iter().filter(|heard| heard.field("if-none-match").is_none()).count();
    assert_eq!(asked, 1, "{:?}", scene.index.heard());
    let Scene { index, files, mirror, kept, .. } = scene;
    let (index_url, files_url) = (index.url.clone(), files.url.clone());
    drop((index, files));
    assert_got(&download(&mirror).await, &wheel);
    // And the next server on the same folder.
    drop(mirror);
    let gone = |url: String| async move {
        let mut origin = Origin::start(|_| Answer::default().close()).await;
        origin.url = url;
        origin
    };
    let mirror = mirror_of(&gone(index_url).await, &gone(files_url).await, kept.path());
    assert_got(&download(&mirror).await, &wheel);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_what_its_page_says_is_never_handed_out() {
    let (Some(_), Some(_)) = (Program::Curl.find(), Program::Python.find()) else { return };
    let scene = Scene::new().await;
    let (right, wrong) = (wheel(2), wheel(3));
    scene.publish(&wrong, &right);
    let curl = async |target: String, accept: &str| {
        let url = format!("{}{target}", scene.mirror.http);
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--header"])
            .arg(format!("Accept: {accept}"))
            .arg(url);
        tokio::task::spawn_blocking(move || curl.output().unwrap()).await.unwrap()
    };
    let page = curl("simple/hello/".to_owned(), "text/html").await;
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(page.contains(&format!("href=\"../../files/p/{WHEEL}#sha256={}\"", hex(&right))), "{page}");
    let file = format!("files/p/{WHEEL}");
    let refused = curl(file.clone(), "*/*").await;
    assert!(!refused.status.success() && refused.stdout.len() < wrong.len(), "{refused:?}");
    // Neither is it kept.
    scene.publish(&right, &right);
    let got = curl(file, "*/*").await;
    assert!(got.status.success() && got.stdout == right);
}
