//! apt through a mirror: a repository that is republished step by step, and then gone.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use sha2::{Digest, Sha256};
use support::Program;
use tempfile::TempDir;

use crate::program::Serving;

/// A Debian archive with one package.
struct Repository(TempDir);

/// A machine's apt, with folders of its own.
struct Machine {
    folder: TempDir,
    sources: String,
}

impl Repository {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for below in ["pool", "dists/s/main/binary-amd64"] {
            std::fs::create_dir_all(folder.path().join(below)).unwrap();
        }
        Self(folder)
    }

    /// Builds the package `hello` in this version; returns the index that lists it.
    fn build(&self, version: &str) -> String {
        let tree = tempfile::tempdir().unwrap();
        let control = format!(
            "Package: hello\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: says hello\n"
        );
        std::fs::create_dir(tree.path().join("DEBIAN")).unwrap();
        std::fs::write(tree.path().join("DEBIAN/control"), &control).unwrap();
        std::fs::write(tree.path().join("hello"), version).unwrap();
        let name = format!("pool/hello_{version}_all.deb");
        let mut build = Command::new("dpkg-deb");
        build.args(["--root-owner-group", "--build"]).arg(tree.path()).arg(self.0.path().join(&name));
        support::run(&mut build);
        let package = std::fs::read(self.0.path().join(&name)).unwrap();
        format!("{control}Filename: {name}\nSize: {}\nSHA256: {}\n\n", package.len(), hex(&package))
    }

    fn publish_release(&self, index: &str) {
        let text = format!(
            "Origin: test\nSuite: s\nCodename: s\nArchitectures: amd64\nComponents: main\nDate: Fri, 20 Nov 2026 12:00:00 UTC\n\
             SHA256:\n {} {} main/binary-amd64/Packages\n",
            hex(index.as_bytes()),
            index.len()
        );
        std::fs::write(self.0.path().join("dists/s/Release"), text).unwrap();
    }

    fn publish_index(&self, index: &str) {
        std::fs::write(self.0.path().join("dists/s/main/binary-amd64/Packages"), index).unwrap();
    }
}

impl Machine {
    fn new(url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for below in ["lists/partial", "archives/partial", "got"] {
            std::fs::create_dir_all(folder.path().join(below)).unwrap();
        }
        std::fs::write(folder.path().join("status"), "").unwrap();
        Self { folder, sources: format!("deb [trusted=yes] {url} s main\n") }
    }

    /// apt-get with these words, in the folder for what it gets.
    fn apt(&self, words: &[&str]) -> Output {
        let at = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(at("sources.list"), &self.sources).unwrap();
        let mut apt = Command::new("apt-get");
        for (option, value) in [
            ("Dir::Etc::sourcelist", at("sources.list")),
            ("Dir::Etc::sourceparts", "-".to_owned()),
            ("Dir::Etc::trustedparts", at("got")),
            ("Dir::State::status", at("status")),
            ("Dir::State::lists", at("lists")),
            ("Dir::Cache", self.folder.path().to_str().unwrap().to_owned()),
            ("Dir::Cache::archives", at("archives")),
            ("APT::Architecture", "amd64".to_owned()),
            ("APT::Architectures", "amd64".to_owned()),
            ("APT::Sandbox::User", String::new()),
            ("Acquire::Languages", "none".to_owned()),
            ("Acquire::http::Proxy", "false".to_owned()),
        ] {
            apt.arg("-o").arg(format!("{option}={value}"));
        }
        apt.env("LC_ALL", "C").current_dir(self.folder.path().join("got")).args(words).output().unwrap()
    }

    /// Updates and downloads; the version that it got.
    #[track_caller]
    fn fetch(&self) -> String {
        for words in [&["update"][..], &["download", "hello"]] {
            let done = self.apt(words);
            let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
            // apt succeeds also where an index could not be had.
            assert!(
                done.status.success() && !said.contains("\nE: ") && !said.contains("\nW: "),
                "{words:?}\n{said}"
            );
        }
        let got = std::fs::read_dir(self.folder.path().join("got")).unwrap();
        let names: Vec<_> = got.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let version =
            names.iter().filter_map(|name| name.strip_prefix("hello_")?.strip_suffix("_all.deb")).max();
        version.unwrap().to_owned()
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

fn requests_for(log: &Path, name: &str) -> usize {
    std::fs::read_to_string(log)
        .unwrap()
        .lines()
        .filter(|line| line.contains(name) && line.contains("GET"))
        .count()
}

#[test]
fn apt_finds_a_whole_archive_however_far_its_republishing_has_come_and_when_it_is_gone() {
    let (Some(_), Some(_)) = (Program::AptGet.find(), Program::DpkgDeb.find()) else { return };
    let repository = Repository::new();
    let first = repository.build("1.0");
    repository.publish_release(&first);
    repository.publish_index(&first);
    let logs = tempfile::tempdir().unwrap();
    let log = logs.path().join("access.log");
    let origin = Serving::program(|program| {
        program.arg("--access-log").arg(&log).arg(repository.0.path());
    });
    let kept = tempfile::tempdir().unwrap();
    // Everything in dists/ is asked for anew at once, so that the test need not wait.
    let configuration = format!(
        "[cache]\nfolder = {:?}\n[[mount]]\nat = \"/debian\"\nsource = {:?}\n\
         mirror = {{ preset = \"apt\", volatile = [\"dists/**\"], fresh = \"1ms\", stale_while_revalidate = \"1ms\" }}\n",
        kept.path(),
        origin.http,
    );
    let file = kept.path().join("vfsd.toml");
    std::fs::write(&file, configuration).unwrap();
    let mirror = Serving::program(|program| {
        program.arg("--config").arg(&file);
    });
    let url = format!("{}debian", mirror.http);

    assert_eq!(Machine::new(&url).fetch(), "1.0");
    // The release is new, the index is not yet.
    let second = repository.build("2.0");
    repository.publish_release(&second);
    assert_eq!(Machine::new(&url).fetch(), "1.0");
    repository.publish_index(&second);
    assert_eq!(Machine::new(&url).fetch(), "2.0");
    drop(origin);
    assert_eq!(Machine::new(&url).fetch(), "2.0");
    for version in ["1.0", "2.0"] {
        assert_eq!(requests_for(&log, &format!("hello_{version}_all.deb")), 1, "{version}");
    }
}

/// Packed, as archives have it, and whatever stands under the package's name.
#[test]
fn apt_never_gets_another_package_than_the_index_says() {
    let (Some(_), Some(_)) = (Program::AptGet.find(), Program::DpkgDeb.find()) else { return };
    let repository = Repository::new();
    let index = repository.build("1.0");
    repository.publish_index(&index);
    let folder = repository.0.path().join("dists/s/main/binary-amd64");
    support::run(Command::new("gzip").arg("--no-name").arg(folder.join("Packages")));
    let packed = std::fs::read(folder.join("Packages.gz")).unwrap();
    let release = format!(
        "Origin: test\nSuite: s\nCodename: s\nArchitectures: amd64\nComponents: main\n\
         Date: Fri, 20 Nov 2026 12:00:00 UTC\nSHA256:\n {} {} main/binary-amd64/Packages\n \
         {} {} main/binary-amd64/Packages.gz\n",
        hex(index.as_bytes()),
        index.len(),
        hex(&packed),
        packed.len()
    );
    std::fs::write(repository.0.path().join("dists/s/Release"), release).unwrap();
    let package = repository.0.path().join("pool/hello_1.0_all.deb");
    let right = std::fs::read(&package).unwrap();
    std::fs::write(&package, vec![b'x'; right.len()]).unwrap();

    let origin = Serving::program(|program| {
        program.arg(repository.0.path());
    });
    let kept = tempfile::tempdir().unwrap();
    let mirror = Serving::program(|program| {
        program.arg("--mirror").arg("apt").arg("--cache").arg(kept.path());
        program.arg(format!("/debian={}", origin.http));
    });
    let machine = Machine::new(&format!("{}debian", mirror.http));
    assert!(machine.apt(&["update"]).status.success());
    let refused = machine.apt(&["-o", "Acquire::Retries=0", "download", "hello"]);
    let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
    // The transfer ends before the end: apt has no whole file to check.
    assert!(!refused.status.success() && !said.contains("Hash Sum"), "{said}");
    for got in std::fs::read_dir(machine.folder.path().join("got")).unwrap() {
        assert_eq!(got.unwrap().metadata().unwrap().len(), 0, "{said}");
    }
    std::fs::write(&package, right).unwrap();
    assert_eq!(machine.fetch(), "1.0");
}
