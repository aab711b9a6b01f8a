//! A Debian archive that is republished while it is mirrored.

use sha2::{Digest, Sha256};

use super::*;

const RELEASE: &str = "/dists/s/InRelease";
const INDEX: &str = "/dists/s/main/binary-amd64/Packages.xz";

async fn archive() -> Scene {
    let rules = Rules::new([], Preset::Apt).unwrap();
    with_options(
        MirrorOptions {
            rules,
            sets: Sets::Apt(Apt::new(crate::registry::Registry::empty())),
            ..MirrorOptions::default()
        },
        StoreOptions::default(),
    )
    .await
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A release that lists this index, and nothing else.
fn release_of(index: &Bytes) -> Bytes {
    let name = INDEX.trim_start_matches("/dists/s/");
    format!("Origin: x\nSHA256:\n {} {} {name}\n", hex(index), index.len()).into()
}

/// Long enough that everything is asked for again.
async fn wait() {
    tokio::time::advance(Duration::from_secs(3600)).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_and_its_indices_change_together() {
    let scene = archive().await;
    let (old, new) = (content(400_000, 1), content(500_000, 2));
    scene.origin.put(RELEASE, &release_of(&old));
    scene.origin.put(INDEX, &old);
    let state = async || (scene.read(RELEASE).await.unwrap(), scene.read(INDEX).await.unwrap());
    assert_eq!(state().await, (release_of(&old), old.clone()));
    // The release is there, its index is not yet.
    scene.origin.put(RELEASE, &release_of(&new));
    for _ in 0..2 {
        wait().await;
        assert_eq!(state().await, (release_of(&old), old.clone()));
    }
    scene.origin.put(INDEX, &new);
    wait().await;
    assert_eq!(state().await, (release_of(&new), new.clone()));
    scene.origin.go_down();
    wait().await;
    assert_eq!(state().await, (release_of(&new), new));
}

#[tokio::test(start_paused = true)]
async fn an_index_that_its_release_does_not_name_is_never_served() {
    let scene = archive().await;
    let (old, new) = (content(400_000, 3), content(500_000, 4));
    scene.origin.put(RELEASE, &release_of(&old));
    scene.origin.put(INDEX, &new);
    assert_eq!(scene.read(RELEASE).await.unwrap(), release_of(&old));
    let error = scene.read(INDEX).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("the set that it belongs to"), "{error}");
    // Not even its first byte: that it does not fit is told instead of its head.
    assert_eq!(scene.open(INDEX).await.unwrap_err().kind(), ErrorKind::Unavailable);
    scene.origin.put(INDEX, &old);
    assert_eq!(scene.read(INDEX).await.unwrap(), old);
}

#[tokio::test(start_paused = true)]
async fn an_index_that_fits_costs_nothing_however_old_it_is() {
    let scene = archive().await;
    let index = content(400_000, 5);
    scene.origin.put(RELEASE, &release_of(&index));
    scene.origin.put(INDEX, &index);
    scene.read(RELEASE).await.unwrap();
    scene.read(INDEX).await.unwrap();
    scene.origin.take_counts();
    wait().await;
    assert_eq!(scene.read(INDEX).await.unwrap(), index);
    assert_eq!(scene.origin.take_counts(), Counts::default());
}

#[tokio::test(start_paused = true)]
async fn a_file_is_what_its_name_says_or_it_is_not_served() {
    let scene = archive().await;
    let index = content(400_000, 6);
    let right = format!("/dists/s/main/binary-amd64/by-hash/SHA256/{}", hex(&index));
    let wrong = format!("/dists/s/main/binary-amd64/by-hash/SHA256/{}", hex(b"something else"));
    for name in [&right, &wrong] {
        scene.origin.put(name, &index);
    }
    assert_eq!(scene.read(&right).await.unwrap(), index);
    assert_eq!(scene.open(&wrong).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let scene = scene.restarted(MirrorOptions {
        rules: Rules::new([], Preset::Apt).unwrap(),
        sets: Sets::Apt(Apt::new(crate::registry::Registry::empty())),
        ..MirrorOptions::default()
    });
    let scene = scene.await;
    scene.origin.go_down();
    assert_eq!(scene.read(&right).await.unwrap(), index);
    scene.read(&wrong).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_signature_changes_with_what_it_signs() {
    let scene = archive().await;
    let (release, signature) = ("/dists/s/Release", "/dists/s/Release.gpg");
    let index = content(1000, 7);
    for (name, bytes) in [(release, release_of(&index)), (signature, "one".into()), (INDEX, index)] {
        scene.origin.put(name, &bytes);
        scene.read(name).await.unwrap();
    }
    let next = content(1000, 8);
    for (name, bytes) in [(release, release_of(&next)), (signature, "two".into()), (INDEX, next.clone())] {
        scene.origin.put(name, &bytes);
    }
    wait().await;
    assert_eq!(scene.read(release).await.unwrap(), release_of(&next));
    scene.origin.go_down();
    assert_eq!(scene.read(signature).await.unwrap(), "two");
    assert_eq!(scene.read(INDEX).await.unwrap(), next);
}

/// What a guest network answers to everything before its guest has logged in.
const LOGIN: &[u8] = b"<html><title>Welcome</title><form>Dear guest</form></html>";

#[tokio::test(start_paused = true)]
async fn a_login_page_on_the_way_takes_the_place_of_nothing() {
    const DEB: &str = "/pool/a/one.deb";
    for media in [Some("Text/HTML; charset=utf-8"), None] {
        let scene = archive().await;
        let index = content(1000, 9);
        for (name, bytes) in [(RELEASE, release_of(&index)), (INDEX, index.clone())] {
            scene.origin.put(name, &bytes);
            scene.read(name).await.unwrap();
        }
        let names = [RELEASE, INDEX, DEB, "/dists/s/Release"];
        names.iter().for_each(|name| scene.origin.put(name, &Bytes::from_static(LOGIN)));
        scene.origin.call_all(media);
        wait().await;
        assert_eq!(scene.read(RELEASE).await.unwrap(), release_of(&index));
        assert_eq!(scene.read(INDEX).await.unwrap(), index);
        let error = scene.read("/dists/s/Release").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("may want a login"), "{error}");
        if media.is_some() {
            assert_eq!(scene.read(DEB).await.unwrap_err().kind(), ErrorKind::Unavailable);
            // Nothing of it was kept.
            let package = content(1000, 10);
            scene.origin.call_all(None);
            scene.origin.put(DEB, &package);
            assert_eq!(scene.read(DEB).await.unwrap(), package);
        }
        scene.origin.go_down();
        assert_eq!(scene.read(RELEASE).await.unwrap(), release_of(&index));
    }
}

/// What an index says of a package.
fn index_of(name: &str, package: &[u8]) -> Bytes {
    format!("Package: one\nFilename: {}\nSHA256: {}\n\n", name.trim_start_matches('/'), hex(package)).into()
}

#[tokio::test(start_paused = true)]
async fn a_package_is_what_its_index_says_or_it_is_not_served() {
    const DEB: &str = "/pool/a/one.deb";
    const INDEX: &str = "/dists/s/main/binary-amd64/Packages";
    let scene = archive().await;
    let (right, wrong) = (content(700_000, 11), content(700_000, 12));
    let index = index_of(DEB, &right);
    let release = format!("SHA256:\n {} {} main/binary-amd64/Packages\n", hex(&index), index.len());
    for (name, bytes) in [(RELEASE, &release.into()), (INDEX, &index)] {
        scene.origin.put(name, bytes);
        scene.read(name).await.unwrap();
    }
    scene.origin.put(DEB, &wrong);
    for _ in 0..2 {
        assert_eq!(scene.read(DEB).await.unwrap_err().kind(), ErrorKind::Unavailable);
        let range = scene.open_for(DEB, Intent::Range).await.unwrap();
        assert_eq!(range.read_at(0, 10).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    scene.origin.put(DEB, &right);
    assert_eq!(scene.read(DEB).await.unwrap(), right);
    // What no index names is as its source says.
    scene.origin.put("/pool/a/other.deb", &wrong);
    assert_eq!(scene.read("/pool/a/other.deb").await.unwrap(), wrong);

    // The package changes under its name, and is the new one as soon as the index says so.
    let index = index_of(DEB, &wrong);
    let release = format!("SHA256:\n {} {} main/binary-amd64/Packages\n", hex(&index), index.len());
    for (name, bytes) in [(RELEASE, &release.into()), (INDEX, &index), (DEB, &wrong)] {
        scene.origin.put(name, bytes);
    }
    wait().await;
    scene.read(RELEASE).await.unwrap();
    scene.read("/pool/a/third.deb").await.unwrap_err();
    assert_eq!(scene.read(DEB).await.unwrap(), wrong);
    scene.origin.go_down();
    assert_eq!(scene.read(DEB).await.unwrap(), wrong);
}
