//! Links that lead somewhere else.

use super::*;

#[tokio::test]
async fn links_stay_inside_the_archive_and_are_followed_forty_times() {
    let texts = [
        ("up", "../../etc/passwd"),
        ("host", "/etc/passwd"),
        ("here", "here"),
        ("a", "b"),
        ("b", "a"),
        ("top", "/.."),
    ];
    let members: Vec<_> = texts.iter().map(|(name, text)| zip_link(name, text)).collect();
    for (scheme, bytes) in [
        (Scheme::Tar, links(&texts)),
        (Scheme::Tgz, gzip(&links(&texts))),
        (Scheme::Zip, Archive::of(members).build()),
    ] {
        let tree = enter(scheme, bytes).await;
        assert_eq!(names(&*tree).await.0, texts.len(), "{scheme}");
        let described = async |name: &str| {
            tree.metadata(&VPath::parse(name).unwrap(), &StatOptions::default())
                .await
                .map(|found| found.is_dir())
        };
        for (name, expected) in [
            ("/up", Err(ErrorKind::NotFound)),
            ("/host", Err(ErrorKind::NotFound)),
            ("/here", Err(ErrorKind::Loop)),
            ("/a", Err(ErrorKind::Loop)),
            ("/top", Ok(true)),
        ] {
            assert_eq!(described(name).await.map_err(|error| error.kind()), expected, "{scheme} {name}");
        }
        let text = tree.read_link(&VPath::parse("/up").unwrap()).await.unwrap();
        assert_eq!(&text[..], b"../../etc/passwd", "{scheme}");
    }
}

#[tokio::test]
async fn a_later_member_of_a_zip_archive_takes_a_links_name() {
    let archive = Archive::of([zip_link("0", "1"), Entry::stored("1", b"one"), Entry::stored("0", b"zero")]);
    let tree = enter(Scheme::Zip, archive.build()).await;
    assert_eq!(read(&*open(&*tree, 0).await.unwrap(), 0, 9).await.unwrap(), b"zero");
    let archive = Archive::of([Entry::stored("0", b"zero"), Entry::stored("1", b"one"), zip_link("0", "1")]);
    let tree = enter(Scheme::Zip, archive.build()).await;
    assert_eq!(read(&*open(&*tree, 0).await.unwrap(), 0, 9).await.unwrap(), b"one");
}

#[tokio::test]
async fn a_link_whose_text_cannot_be_read_leads_nowhere() {
    let encrypted = Entry { flags: 1, ..zip_link("0", "1") };
    let tree = enter(Scheme::Zip, Archive::of([encrypted, Entry::stored("1", b"one")]).build()).await;
    let path = VPath::parse("/0").unwrap();
    assert_eq!(kind(tree.metadata(&path, &StatOptions::default()).await), ErrorKind::NotFound);
    assert_eq!(kind(tree.read_link(&path).await), ErrorKind::Corrupt);
    assert_eq!(names(&*tree).await.0, 2);
}
