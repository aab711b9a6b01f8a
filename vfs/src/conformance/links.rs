//! Symbolic links: followed, described, made; and trees that have none.

use bytes::Bytes;

use super::Subject;
use super::expect::Expect;
use super::sample::{HELLO, INNER};
use crate::error::ErrorKind;
use crate::metadata::FileType;
use crate::options::{ListOptions, OpenOptions, RenameOptions};

/// Links in a row that every tree follows.
const SHORT_CHAIN: usize = 8;

/// Links in a row that no tree follows.
const LONG_CHAIN: usize = 64;

pub(super) async fn a_link_is_followed(subject: &Subject) {
    let to_file = subject.metadata(&subject.at("/links/to_file")).await.must("a link to a file is described");
    assert!(to_file.is_file(), "metadata follows a link to a file");
    let to_dir = subject.metadata(&subject.at("/links/to_dir")).await.must("a link to a folder is described");
    assert!(to_dir.is_dir(), "metadata follows a link to a folder");
    assert_eq!(subject.content(&subject.at("/links/to_file")).await, HELLO, "open follows a link");
}

pub(super) async fn a_link_itself_is_described(subject: &Subject) {
    for link in
        ["/links/to_file", "/links/to_dir", "/links/dangling", "/links/itself", "/links/over_the_root"]
    {
        let found =
            subject.entry(&subject.at(link)).await.must("a link itself is described, wherever it leads");
        assert_eq!(found.file_type, FileType::Symlink, "{link} itself is a link");
    }
}

pub(super) async fn a_link_to_a_link_is_followed(subject: &Subject) {
    assert_eq!(subject.content(&subject.at("/links/to_link")).await, HELLO, "a link to a link is followed");
}

pub(super) async fn a_link_to_a_folder_lists_it(subject: &Subject) {
    let found = subject.names(&subject.at("/links/to_dir")).await;
    assert_eq!(found, subject.names(&subject.at("/dir")).await, "a link to a folder lists that folder");
    let listed = subject.tree().read_dir(&subject.at("/links/to_file"), &ListOptions::default()).await;
    listed.must_be(ErrorKind::NotADirectory, "listing a link to a file is NotADirectory");
}

pub(super) async fn a_link_to_a_folder_opens_as_a_folder(subject: &Subject) {
    let opened = subject.open(&subject.at("/links/to_dir"), &OpenOptions::reading()).await;
    opened.must_be(ErrorKind::IsADirectory, "opening a link to a folder is IsADirectory");
}

pub(super) async fn a_link_inside_a_path_is_followed(subject: &Subject) {
    let through = subject.at("/links/to_dir/inner.txt");
    assert_eq!(subject.content(&through).await, INNER, "a link in the middle of a path is followed");
    let found = subject.entry(&through).await.must("a path through a link is described, links not followed");
    assert!(
        found.is_file(),
        "a link in the middle of a path is followed whatever is wished for the last name"
    );
    let missing = subject.metadata(&subject.at("/links/to_dir/missing")).await;
    missing.must_be(ErrorKind::NotFound, "a missing file behind a link is NotFound");
    let through_file = subject.metadata(&subject.at("/links/to_file/x")).await;
    through_file.must_be(ErrorKind::NotADirectory, "walking through a link to a file is NotADirectory");
}

pub(super) async fn a_links_text_starts_where_the_link_is(subject: &Subject) {
    // `/links/to_sub` is `/dir/sub`, and `back` in there is `../inner.txt`: of `/dir/sub`, not of `/links/to_sub`.
    let back = subject.content(&subject.at("/links/to_sub/back")).await;
    assert_eq!(back, INNER, "a relative link starts at the folder that holds it, however one came there");
    let up = subject.content(&subject.at("/links/up_again")).await;
    assert_eq!(up, INNER, "`..` in a link's text leads up from where the walk stands");
}

pub(super) async fn a_dangling_link_is_not_found(subject: &Subject) {
    let link = subject.at("/links/dangling");
    subject.metadata(&link).await.must_be(ErrorKind::NotFound, "a dangling link is NotFound");
    let opened = subject.open(&link, &OpenOptions::reading()).await;
    opened.must_be(ErrorKind::NotFound, "opening a dangling link is NotFound");
    let listed = subject.tree().read_dir(&link, &ListOptions::default()).await;
    listed.must_be(ErrorKind::NotFound, "listing a dangling link is NotFound");
}

pub(super) async fn links_in_a_circle_are_a_loop(subject: &Subject) {
    for link in ["/links/itself", "/links/ping", "/links/pong", "/links/ping/below"] {
        let link = subject.at(link);
        subject.metadata(&link).await.must_be(ErrorKind::Loop, "metadata of links in a circle is Loop");
        let opened = subject.open(&link, &OpenOptions::reading()).await;
        opened.must_be(ErrorKind::Loop, "opening links in a circle is Loop");
        let listed = subject.tree().read_dir(&link, &ListOptions::default()).await;
        listed.must_be(ErrorKind::Loop, "listing links in a circle is Loop");
    }
}

pub(super) async fn a_link_through_a_file_is_not_a_directory(subject: &Subject) {
    let found = subject.metadata(&subject.at("/links/through_a_file")).await;
    found.must_be(ErrorKind::NotADirectory, "a link whose text walks through a file is NotADirectory");
}

pub(super) async fn a_link_over_the_root_shows_nothing_outside(subject: &Subject) {
    let kinds = [ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::CrossesDevices];
    let link = subject.at("/links/over_the_root");
    subject.metadata(&link).await.must_be_one_of(&kinds, "a link over the root shows nothing outside");
    let opened = subject.open(&link, &OpenOptions::reading()).await;
    opened.must_be_one_of(&kinds, "a link over the root opens nothing outside");
}

pub(super) async fn an_absolute_link_starts_at_the_root(subject: &Subject) {
    let content = subject.content(&subject.at("/links/absolute")).await;
    assert_eq!(content, HELLO, "an absolute link starts at the tree's own root");
}

pub(super) async fn an_absolute_link_is_refused(subject: &Subject) {
    let kinds = [ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::CrossesDevices];
    let link = subject.at("/links/absolute");
    subject.metadata(&link).await.must_be_one_of(&kinds, "an absolute link leads nowhere in this tree");
    let opened = subject.open(&link, &OpenOptions::reading()).await;
    opened.must_be_one_of(&kinds, "an absolute link opens nothing in this tree");
}

pub(super) async fn a_link_that_is_not_to_be_followed_is_a_loop(subject: &Subject) {
    let options = OpenOptions { follow: false, ..OpenOptions::reading() };
    let opened = subject.open(&subject.at("/links/to_file"), &options).await;
    opened.must_be(ErrorKind::Loop, "opening a link that is not to be followed is Loop");
    let open = subject.open(&subject.at("/links/to_dir/inner.txt"), &options).await;
    open.must("only the last name is not to be followed");
}

pub(super) async fn read_link_tells_the_text(subject: &Subject) {
    for (link, text) in [
        ("/links/to_file", "../hello.txt"),
        ("/links/absolute", "/hello.txt"),
        ("/links/dangling", "nowhere"),
        ("/links/itself", "itself"),
    ] {
        let told =
            subject.tree().read_link(&subject.at(link)).await.must("read_link succeeds, wherever it leads");
        assert_eq!(told, text.as_bytes(), "read_link tells the text of {link} as it was stored");
    }
}

pub(super) async fn links_are_listed_as_links(subject: &Subject) {
    for entry in subject.listing(&subject.at("/links"), &ListOptions::with_metadata()).await {
        let is_link = entry.file_type.is_none_or(|file_type| file_type == FileType::Symlink);
        assert!(is_link, "{:?} is listed as the link it is", entry.name);
        let described = entry.metadata.is_none_or(|metadata| metadata.is_symlink());
        assert!(described, "the metadata listed of {:?} is the link's own", entry.name);
    }
}

pub(super) async fn a_link_is_made_with_any_text(subject: &Subject) {
    for text in [&b"../hello.txt"[..], b"no such thing", b"/", b"..", b"a//b/", b"x#tgz:/y"] {
        let link = subject.at("/hollow/link");
        let target = Bytes::from_static(text);
        subject.tree().symlink(&target, &link).await.must("a link takes any text");
        let told = subject.tree().read_link(&link).await.must("a new link tells its text");
        assert_eq!(told, target, "a link's text is stored as it was given");
        subject.tree().remove_file(&link).await.must("a link is removed");
    }
    assert_eq!(subject.content(&subject.at("/hello.txt")).await, HELLO, "removing links removed no target");
}

pub(super) async fn a_link_is_made_where_nothing_is_only(subject: &Subject) {
    let before = subject.snapshot().await;
    let target = Bytes::from_static(b"hello.txt");
    for path in ["/one", "/dir", "/links/dangling"] {
        let made = subject.tree().symlink(&target, &subject.at(path)).await;
        made.must_be(ErrorKind::AlreadyExists, "a link over anything is AlreadyExists");
    }
    let made = subject.tree().symlink(&target, &subject.at("/missing/link")).await;
    made.must_be(ErrorKind::NotFound, "a link in a missing folder is NotFound");
    let made = subject.tree().symlink(&target, &subject.at("/one/link")).await;
    made.must_be(ErrorKind::NotADirectory, "a link in a file is NotADirectory");
    before.must_hold(subject, "a link that is refused changes nothing").await;
}

pub(super) async fn a_long_chain_of_links_is_a_loop(subject: &Subject) {
    let link = |number: usize| subject.at(&format!("/hollow/{number}"));
    subject.write(&link(0), b"end").await;
    for number in 1..=LONG_CHAIN {
        let target = Bytes::from((number - 1).to_string());
        subject.tree().symlink(&target, &link(number)).await.must("a link is made");
    }
    assert_eq!(
        subject.content(&link(SHORT_CHAIN)).await,
        b"end",
        "{SHORT_CHAIN} links in a row are followed"
    );
    let far = subject.metadata(&link(LONG_CHAIN)).await;
    far.must_be(ErrorKind::Loop, format!("{LONG_CHAIN} links in a row are Loop"));
}

pub(super) async fn writing_through_a_link_writes_its_target(subject: &Subject) {
    subject.write(&subject.at("/links/to_file"), b"by the link").await;
    assert_eq!(subject.content(&subject.at("/hello.txt")).await, b"by the link", "writing follows a link");
    let link = subject.entry(&subject.at("/links/to_file")).await.must("the link is there");
    assert!(link.is_symlink(), "writing through a link leaves the link a link");
    subject.write(&subject.at("/links/dangling"), b"made").await;
    let made = subject.content(&subject.at("/links/nowhere")).await;
    assert_eq!(made, b"made", "creating through a dangling link makes what it names");
}

pub(super) async fn changes_never_follow_the_last_link(subject: &Subject) {
    let tree = subject.tree();
    let to_dir = subject.at("/links/to_dir");
    let exists = "a link in the last place counts as something that is there";
    tree.create_dir(&subject.at("/links/dangling")).await.must_be(ErrorKind::AlreadyExists, exists);
    let create_new = OpenOptions { create_new: true, ..OpenOptions::writing() };
    let made = subject.open(&subject.at("/links/dangling"), &create_new).await;
    made.must_be(ErrorKind::AlreadyExists, exists);
    let removed = tree.remove_dir(&to_dir).await;
    removed.must_be(ErrorKind::NotADirectory, "remove_dir of a link to a folder is NotADirectory");
    tree.rename(&to_dir, &subject.at("/moved"), &RenameOptions::default()).await.must("a link is renamed");
    let moved = tree.read_link(&subject.at("/moved")).await.must("the renamed link is a link");
    assert_eq!(moved, "../dir", "rename moves the link with its text");
    tree.remove_file(&subject.at("/moved")).await.must("remove_file removes a link to a folder");
    assert_eq!(subject.content(&subject.at("/dir/inner.txt")).await, INNER, "what the link led to stays");
}

pub(super) async fn making_a_link_is_unsupported(subject: &Subject) {
    let before = subject.snapshot().await;
    let made = subject.tree().symlink(&Bytes::from_static(b"one"), &subject.at("/hollow/link")).await;
    made.must_be(ErrorKind::Unsupported, "making a link in a tree without links is Unsupported");
    before.must_hold(subject, "a link that is refused changes nothing").await;
}
