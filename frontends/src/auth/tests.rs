//! Logging in, over a tree in memory.

use tokio::time::Instant;
use vfs::backends::memory::MemoryFs;
use vfs::layers::Access;
use vfs::{ErrorKind, ListOptions, StatOptions, VPath};

use super::*;

fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

fn credentials(name: &str, password: &str) -> Credentials {
    Credentials::Password { name: name.to_owned(), password: password.to_owned() }
}

const PLAIN: Asker =
    Asker { peer: Peer::Host(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)), secure: false };
const SECURE: Asker = Asker { secure: true, ..PLAIN };

async fn tree() -> Arc<dyn FileSystem> {
    let tree = MemoryFs::new();
    for folder in ["/home", "/home/ann", "/home/ann/drafts", "/home/bob"] {
        tree.create_dir(&path(folder)).await.unwrap();
    }
    tree.symlink(&vfs::LinkTarget::from("../bob"), &path("/home/ann/out")).await.unwrap();
    Arc::new(tree)
}

fn users() -> Users {
    let scope = Scope::new(path("/home/ann"), [(path("/home/ann/drafts"), Access::NONE)]).unwrap();
    let mut ann = User::new("ann", cheap_hash("secret"), scope).unwrap();
    ann.most = Some(1);
    let bob = User::new("bob", cheap_hash("other"), Scope::whole()).unwrap();
    let named = [ann, bob].map(|user| (user.name().to_owned(), Arc::new(user)));
    Users { named: named.into(), guests: None, require_tls: false }
}

#[tokio::test]
async fn a_user_sees_its_root_and_what_its_rules_grant() {
    let (auth, tree) = (Auth::new(users()), tree().await);
    let entry = auth.login(&tree, &VPath::root(), PLAIN, &credentials("ann", "secret")).await.unwrap();
    assert_eq!(entry.name(), "ann");
    let stat =
        async |text| entry.view.metadata(&path(text), &StatOptions::default()).await.map_err(|e| e.kind());
    assert!(stat("/").await.unwrap().is_dir());
    assert_eq!(stat("/home").await.unwrap_err(), ErrorKind::NotFound);
    assert_eq!(stat("/drafts").await.unwrap_err(), ErrorKind::PermissionDenied);
    // A link leads out of nobody's root.
    let listed = entry.view.read_dir(&path("/out"), &ListOptions::default()).await;
    assert_eq!(listed.unwrap_err().kind(), ErrorKind::PermissionDenied);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_and_an_unknown_name_are_alike() {
    let (auth, tree) = (Auth::new(users()), tree().await);
    for (try_at, seconds) in [(credentials("ann", "wrong"), 1), (credentials("eve", "secret"), 2)] {
        let begun = Instant::now();
        assert_eq!(auth.login(&tree, &VPath::root(), PLAIN, &try_at).await.unwrap_err(), Denied::Credentials);
        assert_eq!(begun.elapsed().as_secs(), seconds);
    }
    assert_eq!(
        auth.login(&tree, &VPath::root(), PLAIN, &Credentials::Anonymous).await.unwrap_err(),
        Denied::Credentials
    );
    assert!(auth.login(&tree, &VPath::root(), PLAIN, &credentials("bob", "other")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_tries_too_often_is_not_listened_to_even_with_the_right_password() {
    let (auth, tree) = (Auth::new(users()), tree().await);
    for _ in 0..10 {
        auth.login(&tree, &VPath::root(), PLAIN, &credentials("ann", "wrong")).await.unwrap_err();
    }
    let denied = auth.login(&tree, &VPath::root(), PLAIN, &credentials("ann", "secret")).await.unwrap_err();
    assert!(matches!(denied, Denied::Banned(left) if left > Duration::from_secs(500)));
    let other = Asker { peer: Peer::Host([192, 0, 2, 1].into()), secure: false };
    assert!(auth.login(&tree, &VPath::root(), other, &credentials("ann", "secret")).await.is_ok());
    // That it was right there is nothing that can be learned here.
    let denied = auth.login(&tree, &VPath::root(), PLAIN, &credentials("ann", "secret")).await.unwrap_err();
    assert!(matches!(denied, Denied::Banned(_)));
}

#[tokio::test]
async fn names_need_tls_where_it_is_required_and_guests_do_not() {
    let tree = tree().await;
    let auth = Auth::new(Users { require_tls: true, guests: Some(Scope::whole()), ..users() });
    let ann = credentials("ann", "secret");
    assert_eq!(auth.login(&tree, &VPath::root(), PLAIN, &ann).await.unwrap_err(), Denied::Insecure);
    assert!(auth.requires_tls("nobody") && !auth.requires_tls("Anonymous"));
    assert!(auth.login(&tree, &VPath::root(), SECURE, &ann).await.is_ok());
    assert!(auth.login(&tree, &VPath::root(), PLAIN, &Credentials::Anonymous).await.is_ok());
}

#[tokio::test]
async fn a_user_is_here_as_often_as_it_may_be() {
    let (auth, tree) = (Auth::new(users()), tree().await);
    let ann = credentials("ann", "secret");
    let entry = auth.login(&tree, &VPath::root(), PLAIN, &ann).await.unwrap();
    assert_eq!(auth.login(&tree, &VPath::root(), PLAIN, &ann).await.unwrap_err(), Denied::Crowded);
    drop(entry);
    assert!(auth.login(&tree, &VPath::root(), PLAIN, &ann).await.is_ok());
}

#[tokio::test]
async fn a_password_that_was_seen_ends_with_its_user() {
    let (auth, tree) = (Auth::new(users()), tree().await);
    let bob = credentials("bob", "other");
    for _ in 0..2 {
        auth.login(&tree, &VPath::root(), PLAIN, &bob).await.unwrap();
    }
    auth.replace(Users { named: HashMap::new(), ..users() });
    assert_eq!(
        auth.login(&tree, &VPath::root(), Asker { peer: Peer::Local, ..PLAIN }, &bob).await.unwrap_err(),
        Denied::Credentials
    );
}

#[test]
fn nothing_secret_is_printed() {
    let printed = format!("{:?} {:?}", Auth::new(users()), credentials("ann", "secret"));
    assert!(printed.contains("ann") && !printed.contains("secret") && !printed.contains("$2"), "{printed}");
}

#[tokio::test]
async fn a_folder_of_the_tree_and_a_root_are_the_lower_of_the_two() {
    let tree = tree().await;
    let auth = Auth::new(Users { guests: Some(Scope::whole()), ..users() });
    for (folder, name, root) in [
        ("/", "ann", Some("/home/ann")),
        ("/home", "ann", Some("/home/ann")),
        ("/home/ann/drafts", "ann", Some("/home/ann/drafts")),
        ("/home/bob", "ann", None),
        ("/home/bob", "", Some("/home/bob")),
        ("/", "", Some("/")),
    ] {
        let credentials = match name {
            "" => Credentials::Anonymous,
            name => credentials(name, "secret"),
        };
        let entry = auth.login(&tree, &path(folder), PLAIN, &credentials).await;
        assert_eq!(entry.ok().map(|entry| entry.root), root.map(path), "{folder} {name}");
    }
    // Rights are about paths of the whole tree, and no link leads out of the folder.
    let in_drafts = auth.login(&tree, &path("/home/ann/drafts"), PLAIN, &credentials("ann", "secret")).await;
    let listed = in_drafts.unwrap().view.read_dir(&VPath::root(), &ListOptions::default()).await;
    assert_eq!(listed.err().map(|error| error.kind()), Some(ErrorKind::PermissionDenied));
    let guest = auth.login(&tree, &path("/home/ann"), PLAIN, &Credentials::Anonymous).await.unwrap();
    let out = guest.view.metadata(&path("/out"), &StatOptions::default()).await;
    assert_eq!(out.err().map(|error| error.kind()), Some(ErrorKind::PermissionDenied));
}
