//! Archives made by the programs that everybody has: what is read at random offsets inside of them is what those programs
//! extract, on the host, from remote sites, over HTTP with Range, over FTP with REST, and by the command line.

// What fails here fails its test.
#![allow(clippy::unwrap_used)]

mod shelf;

use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use support::{Served, WebServer, run};
use vfs::backends::archive::ArchiveOptions;
use vfs::backends::http::{HttpFs, HttpOptions};
use vfs::backends::local::LocalFs;
use vfs::backends::registry;
use vfs::{File, FileSystem, MountOptions, OpenOptions, StatOptions, VPath, Vfs};

use crate::shelf::{Random, Shelf};

/// Reads that are compared in each file.
const READS: usize = 8;

/// Files that clients get, each by several programs.
const CLIENT_FILES: usize = 3;

/// A way into an archive of the shelf, and the folder beside it into which that archive was extracted.
struct Case {
    /// How the shelf's script makes the archive, in a folder that holds `tree`; it extracts it to `out` by itself.
    script: &'static str,
    /// The folder that corresponds to `out`, below the shelf.
    inside: &'static str,
}

macro_rules! same_bytes {
    ($($name:ident: $script:expr => $inside:expr;)*) => {
        mod local {
            $(#[tokio::test] async fn $name() {
                super::compare_on_the_host(&super::Case { script: $script, inside: $inside }).await;
            })*
        }
        mod remote {
            $(#[tokio::test] async fn $name() {
                super::compare_over_http(&super::Case { script: $script, inside: $inside }).await;
            })*
        }
        mod nginx {
            $(#[tokio::test] async fn $name() {
                super::compare_from_nginx(&super::Case { script: $script, inside: $inside }).await;
            })*
        }
        mod clients {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                super::compare_what_clients_get(&super::Case { script: $script, inside: $inside }).await;
            })*
        }
    };
}

same_bytes! {
    tar_gnu: "tar --format=gnu -cf a.tar tree && tar -C out -xf a.tar" => "a.tar#tar:";
    tar_pax: "tar --format=pax -cf a.tar tree && tar -C out -xf a.tar" => "a.tar#auto:";
    tar_sparse: "truncate -s 3M tree/holes && printf x >> tree/holes && tar -S -cf a.tar tree && tar -C out -xf a.tar"
        => "a.tar#tar:";
    tgz: "tar -czf a.tgz tree && tar -C out -xf a.tgz" => "a.tgz#tgz:";
    tgz_of_many_members: "tar -cf a.tar tree && split -b 300k a.tar p && gzip p?? && cat p??.gz > a.tgz && tar -C out -xzf a.tgz"
        => "a.tgz#tgz:";
    tbz2: "tar -cjf a.tbz tree && tar -C out -xf a.tbz" => "a.tbz#tbz2:";
    txz_of_one_block: "tar -cJf a.txz tree && tar -C out -xf a.txz" => "a.txz#txz:";
    txz_of_many_blocks: "tar -cf - tree | xz -1 --block-size=262144 > a.txz && tar -C out -xf a.txz" => "a.txz#txz:";
    tzst_of_one_frame: "tar -cf - tree | zstd -q -c > a.tzst && tar -C out --zstd -xf a.tzst" => "a.tzst#tzst:";
    tzst_of_many_frames:
        "tar -cf a.tar tree && split -b 300k a.tar p && zstd -q p?? && cat p??.zst > a.tzst && tar -C out -xf a.tar"
        => "a.tzst#auto:";
    zip_deflated: "zip -q -r a.zip tree && unzip -q a.zip -d out" => "a.zip#zip:";
    zip_stored: "zip -q -0 -r a.zip tree && unzip -q a.zip -d out" => "a.zip#zip:";
    zip_by_bzip2: "zip -q -Z bzip2 -r a.zip tree && unzip -q a.zip -d out" => "a.zip#zip:";
    zip_on_a_pipe: "zip -q -r - tree | cat > a.zip && unzip -q a.zip -d out" => "a.zip#auto:";
    zip_by_7z: "7z a -tzip -mx=9 a.zip tree >/dev/null && unzip -q a.zip -d out" => "a.zip#zip:";
    zip64: "zip -q -fz -r a.zip tree && unzip -q a.zip -d out" => "a.zip#zip:";
    zip_by_python: "python3 -m zipfile -c a.zip tree && python3 -m zipfile -e a.zip out" => "a.zip#zip:";
    tar_by_bsdtar: "bsdtar --format=pax -cf a.tar tree && tar -C out -xf a.tar" => "a.tar#tar:";
    tgz_by_pigz: "tar -cf - tree | pigz -b 128 > a.tgz && tar -C out -xzf a.tgz" => "a.tgz#tgz:";
    tgz_by_bgzip: "tar -cf - tree | bgzip > a.tgz && tar -C out -xzf a.tgz" => "a.tgz#tgz:";
    tbz2_by_pbzip2: "tar -cf a.tar tree && pbzip2 -b1 -c a.tar > a.tbz2 && tar -C out -xf a.tbz2" => "a.tbz2#tbz2:";
    txz_by_pixz: "tar -cf a.tar tree && pixz a.tar a.txz && tar -C out -xf a.txz" => "a.txz#txz:";
    zip_behind_a_program: "zip -q -r b.zip tree && cat /bin/true b.zip > a && (unzip -q a -d out || test $? = 1)" => "a#auto:";
    tgz_in_zip: "tar -czf a.tgz tree && zip -q a.zip a.tgz && tar -C out -xf a.tgz" => "a.zip#zip:/a.tgz#tgz:";
    stored_tgz_in_zip: "tar -czf a.tgz tree && zip -q -0 a.zip a.tgz && tar -C out -xf a.tgz" => "a.zip#zip:/a.tgz#tgz:";
    zip_in_tgz: "zip -q -r a.zip tree && tar -czf a.tgz a.zip && unzip -q a.zip -d out" => "a.tgz#tgz:/a.zip#zip:";
    txz_in_tbz2: "tar -cJf a.txz tree && tar -cjf b.tbz a.txz && tar -C out -xf a.txz" => "b.tbz#tbz2:/a.txz#txz:";
    tar_in_tar_in_tzst:
        "tar -cf a.tar tree && tar -cf b.tar a.tar && tar --zstd -cf c.tzst b.tar && tar -C out -xf a.tar"
        => "c.tzst#tzst:/b.tar#tar:/a.tar#tar:";
    tar_in_gz: "tar -czf a.tar.gz tree && tar -C out -xf a.tar.gz" => "a.tar.gz#gz:#tar:";
    tar_in_xz: "tar -cJf a.tar.xz tree && tar -C out -xf a.tar.xz" => "a.tar.xz#xz:/a.tar#tar:";
    gz: "gzip -c tree/text > text.gz && cp tree/text out" => "text.gz#gz:";
    bz2: "bzip2 -c tree/text > text.bz2 && cp tree/text out" => "text.bz2#bz2:";
    xz: "xz -c tree/text > text.xz && cp tree/text out" => "text.xz#xz:";
    zst: "zstd -q -c tree/text > text.zst && cp tree/text out" => "text.zst#auto:";
}

async fn compare_on_the_host(case: &Case) {
    let Some(shelf) = Shelf::make(case.script) else { return };
    let tree = Arc::new(LocalFs::open(shelf.path()).unwrap());
    compare(tree, &shelf, case.inside).await;
}

async fn compare_over_http(case: &Case) {
    let Some(shelf) = Shelf::make(case.script) else { return };
    let served = Served::start(Arc::new(LocalFs::open(shelf.path()).unwrap())).await;
    let tree = HttpFs::new(&served.http.url("http", "/"), HttpOptions::default()).unwrap();
    compare(Arc::new(tree), &shelf, case.inside).await;
}

async fn compare_from_nginx(case: &Case) {
    let Some(shelf) = Shelf::make(case.script) else { return };
    shelf.open_to_all();
    let Some(site) = WebServer::Nginx.serve(shelf.path()) else { return };
    let tree = HttpFs::new(&site.url, HttpOptions::default()).unwrap();
    compare(Arc::new(tree), &shelf, case.inside).await;
}

/// The same files by curl, over both protocols and from anywhere, and by the program.
async fn compare_what_clients_get(case: &Case) {
    let Some(shelf) = Shelf::make(case.script) else { return };
    let space = Vfs::new(registry(ArchiveOptions::default()));
    let tree = Arc::new(LocalFs::open(shelf.path()).unwrap());
    space.mount(&VPath::root(), tree, MountOptions::default()).unwrap();
    let served = Served::start(Arc::clone(&space) as _).await;
    let mut random = Random::new(case.inside);
    for (name, content) in shelf.extracted().into_iter().take(CLIENT_FILES) {
        let path = format!("{}/{name}", case.inside);
        // Of a bare file the length comes with the end of the first pass, and ranges with the length.
        let known = VPath::parse(format!("/{path}")).unwrap();
        while space.metadata(&known, &StatOptions::default()).await.unwrap().len.is_none() {}
        let address = path.replace('#', "%23");
        let from = random.below(content.len() + 1);
        let end = content.len().min(from + 1 + random.below(100_000));
        if from < end {
            let range = format!("{from}-{}", end - 1);
            let url = served.http.url("http", &format!("/{address}"));
            assert!(curl(&["-r", &range, &url]) == content[from..end], "HTTP: {path} {range}");
        }
        let url = served.ftp.url("ftp", &format!("/{address}"));
        if from > 0 {
            // REST; the rest of the file follows.
            let from = from.to_string();
            assert!(
                curl(&["-C", &from, &url]) == content[content.len().min(from.parse().unwrap())..],
                "FTP: {path} from {from}"
            );
        }
        assert!(curl(&[&url]) == content, "FTP: {path}");
        let mut program = Command::new(env!("CARGO_BIN_EXE_vfsd"));
        program.env("XDG_CACHE_HOME", shelf.path().join("cache"));
        assert!(run(program.args(["cat", &path]).current_dir(shelf.path())).stdout == content, "cat {path}");
    }
}

fn curl(arguments: &[&str]) -> Vec<u8> {
    run(Command::new("curl").args(["-sS", "--fail", "--max-time", "60"]).args(arguments)).stdout
}

/// Compares every file that was extracted with the one below `inside`, read at random and as a whole.
async fn compare(tree: Arc<dyn FileSystem>, shelf: &Shelf, inside: &str) {
    let space = Vfs::new(registry(ArchiveOptions::default()));
    space.mount(&VPath::root(), tree, MountOptions::default()).unwrap();
    let extracted = shelf.extracted();
    assert!(!extracted.is_empty(), "something was extracted");
    let mut random = Random::new(inside);
    for (name, content) in extracted {
        let path = VPath::parse(format!("/{inside}/{name}")).unwrap();
        let file = space.open(&path, &OpenOptions::reading()).await.unwrap();
        for _ in 0..READS {
            let offset = random.below(content.len() + 10);
            let len = 1 + random.below(100_000);
            let wanted = &content[offset.min(content.len())..content.len().min(offset + len)];
            let found = read(&*file, offset, len).await;
            assert!(found == wanted, "{path} from {offset}, {len} bytes: {} came", found.len());
        }
        assert!(read(&*file, 0, usize::MAX).await == content, "{path} as a whole");
    }
}

async fn read(file: &dyn File, offset: usize, len: usize) -> Vec<u8> {
    let mut content = Vec::new();
    while content.len() < len {
        let bytes: Bytes = file.read_at((offset + content.len()) as u64, len - content.len()).await.unwrap();
        if bytes.is_empty() {
            break;
        }
        content.extend_from_slice(&bytes);
    }
    content
}
