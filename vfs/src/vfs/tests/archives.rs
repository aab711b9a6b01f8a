//! Archives, with two formats that exist in these tests only.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::file_system::File;
use crate::options::SetAttributes;
use crate::path::Scheme;
use crate::registry::EnterArchive;

/// `tar`: lines of `name=content`, where `|` stands for the end of a line in the content.
/// `gz`: the first line names the one member, the rest is its content.
#[derive(Debug, Default)]
struct Toy {
    entered: AtomicUsize,
}

#[async_trait]
impl EnterArchive for Toy {
    async fn enter(&self, scheme: Scheme, file: Arc<dyn File>, path: &VPath) -> Result<Arc<dyn FileSystem>> {
        self.entered.fetch_add(1, Ordering::SeqCst);
        let bytes = file.read_at(0, 9999).await?;
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        // Others get their turn, as they would while a real archive is read.
        tokio::task::yield_now().await;
        let parts: Vec<_> = match scheme {
            Scheme::Gz => vec![text.split_once('\n')],
            _ => text.lines().map(|line| line.split_once('=')).collect(),
        };
        let tree = Fake::with(&[]);
        for part in parts {
            let (name, content) = part.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "enter", path))?;
            tree.put(&format!("/{name}"), &content.replace('|', "\n"));
        }
        Ok(tree.shared())
    }
}

fn with_archives(options: VfsOptions, tree: &Fake) -> (Arc<Toy>, Arc<Vfs>) {
    let toy = Arc::new(Toy::default());
    let tar: Arc<dyn EnterArchive> = Arc::<Toy>::clone(&toy);
    let registry =
        Registry::empty().with_archive(Scheme::Tar, Arc::clone(&tar)).with_archive(Scheme::Gz, tar);
    let vfs = Vfs::with_options(registry, options);
    mount(&vfs, "/m", tree);
    (toy, vfs)
}

fn entered(toy: &Toy) -> usize {
    toy.entered.load(Ordering::SeqCst)
}

#[tokio::test]
async fn markers_lead_into_archives_and_into_those_inside() {
    let files = [
        ("/a.tar", "x=1\nd/y=2\nin.tar=deep=3|deeper.tar=f=4"),
        ("/b.tar.gz", "b.tar\nx=5\n"),
        ("/none.tar", "no archive"),
        ("/d/f", ""),
    ];
    let (toy, vfs) = with_archives(VfsOptions::default(), &Fake::named("one", &files));
    for (at, content) in [
        ("/m/a.tar#tar:/x", "1"),
        ("/m/a.tar#tar:/d/y", "2"),
        ("/m/a.tar#tar:/in.tar#tar:/deep", "3"),
        ("/m/b.tar.gz#gz:/b.tar", "x=5\n"),
        ("/m/b.tar.gz#gz:#tar:/x", "5"),
    ] {
        assert_eq!(read(&*vfs, at).await.unwrap(), content, "{at}");
    }
    assert_eq!(entered(&toy), 4, "each archive is entered once");
    assert_eq!(names(&*vfs, "/m/a.tar#tar:").await, ["d", "in.tar", "x"]);
    assert_eq!(names(&*vfs, "/m/a.tar#tar:/d").await, ["y"]);
    assert!(stat(&*vfs, "/m/a.tar#tar:").await.unwrap().is_dir());
    assert!(stat(&*vfs, "/m/a.tar").await.unwrap().is_file());
    for (at, kind, path_in_error) in [
        ("/m/a.tar#tar:/none", ErrorKind::NotFound, "/m/a.tar#tar:/none"),
        ("/m/a.tar#tar:/in.tar#tar:/none", ErrorKind::NotFound, "/m/a.tar#tar:/in.tar#tar:/none"),
        ("/m/none#tar:/x", ErrorKind::NotFound, "/m/none"),
        ("/none#tar:/x", ErrorKind::NotFound, "/none"),
        ("/m/none.tar#tar:/x", ErrorKind::InvalidInput, "/m/none.tar"),
        ("/m/d#tar:/x", ErrorKind::InvalidInput, "/m/d"),
        ("/m#tar:/x", ErrorKind::InvalidInput, "/m"),
        ("/m/a.tar#tar:#tar:/x", ErrorKind::InvalidInput, "/m/a.tar#tar:"),
        ("/m/a.tar#zip:/x", ErrorKind::Unsupported, "/m/a.tar"),
    ] {
        let error = stat(&*vfs, at).await.unwrap_err();
        assert_eq!((error.kind(), error.path()), (kind, &path(path_in_error)), "{error}");
    }
}

#[tokio::test]
async fn depth_has_a_bound_that_costs_no_call() {
    let fake = Fake::named("one", &[("/a.tar", "b.tar=c.tar=x=1")]);
    let (_, vfs) = with_archives(VfsOptions { archive_depth: 2, ..VfsOptions::default() }, &fake);
    assert_eq!(read(&*vfs, "/m/a.tar#tar:/b.tar#tar:/c.tar").await.unwrap(), "x=1");
    let asked = fake.calls();
    let deeper = stat(&*vfs, "/m/a.tar#tar:/b.tar#tar:/c.tar#tar:").await;
    assert_eq!((kind(deeper), fake.calls()), (ErrorKind::InvalidInput, asked));
}

#[tokio::test]
async fn nothing_changes_inside_an_archive() {
    let fake = Fake::named("one", &[("/a.tar", "x=1")]);
    let (_, vfs) = with_archives(VfsOptions::default(), &fake);
    let (x, new) = (path("/m/a.tar#tar:/x"), path("/m/a.tar#tar:/new"));
    let outside = path("/m/out");
    let moved = RenameOptions::default();
    for result in [
        vfs.create_dir(&new).await,
        vfs.open(&x, &OpenOptions::writing()).await.map(drop),
        vfs.remove_file(&x).await,
        vfs.remove_dir(&path("/m/a.tar#tar:")).await,
        vfs.rename(&x, &outside, &moved).await,
        vfs.rename(&path("/m/a.tar"), &new, &moved).await,
        vfs.symlink(&LinkTarget::from("x"), &new).await,
        vfs.hard_link(&path("/m/a.tar"), &new).await,
        vfs.set_attributes(&x, &SetAttributes::default(), true).await,
    ] {
        assert_eq!(kind(result), ErrorKind::ReadOnly);
    }
    assert_eq!(kind(vfs.hard_link(&x, &outside).await), ErrorKind::CrossesDevices);
    assert_eq!(fake.calls(), 0);
}

#[tokio::test]
async fn a_changed_file_is_another_archive_and_open_files_finish_from_the_old_one() {
    for fake in [Fake::named("one", &[("/a.tar", "x=old")]), Fake::with(&[("/a.tar", "x=old")])] {
        let (toy, vfs) = with_archives(VfsOptions::default(), &fake);
        let old = vfs.open(&path("/m/a.tar#tar:/x"), &OpenOptions::reading()).await.unwrap();
        fake.put("/a.tar", "x=new");
        assert_eq!(read(&*vfs, "/m/a.tar#tar:/x").await.unwrap(), "new");
        assert_eq!(old.read_at(0, 9).await.unwrap(), "old");
        assert_eq!(entered(&toy), 2);
    }
}

#[tokio::test]
async fn one_content_is_one_archive_under_every_path_and_unnamed_content_is_not_kept() {
    let fake = Fake::named("one", &[("/a.tar", "x=1")]);
    let (toy, vfs) = with_archives(VfsOptions::default(), &fake);
    mount(&vfs, "/again", &fake);
    for at in ["/m/a.tar#tar:/x", "/again/a.tar#tar:/x", "/m/a.tar#tar:/x"] {
        assert_eq!(read(&*vfs, at).await.unwrap(), "1");
    }
    assert_eq!(entered(&toy), 1);

    let (toy, vfs) = with_archives(VfsOptions::default(), &Fake::with(&[("/a.tar", "x=1")]).anonymous());
    for count in 1..4 {
        assert_eq!(read(&*vfs, "/m/a.tar#tar:/x").await.unwrap(), "1");
        assert_eq!(entered(&toy), count);
    }
}

#[tokio::test]
async fn many_callers_enter_once_and_share_the_error_too() {
    let fake = Fake::named("one", &[("/a.tar", "x=1"), ("/bad.tar", "no archive")]);
    let (toy, vfs) = with_archives(VfsOptions::default(), &fake);
    for (at, found) in [("/m/a.tar#tar:/x", None), ("/m/bad.tar#tar:/x", Some(ErrorKind::InvalidInput))] {
        let before = entered(&toy);
        let callers: Vec<_> = (0..20)
            .map(|_| {
                let vfs = Arc::clone(&vfs);
                tokio::spawn(async move { read(&*vfs, at).await.err().map(|error| error.kind()) })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), found);
        }
        assert_eq!(entered(&toy) - before, 1);
    }
    // A failure is not remembered: the file may have been completed.
    fake.put("/bad.tar", "x=2");
    assert_eq!(read(&*vfs, "/m/bad.tar#tar:/x").await.unwrap(), "2");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_goes_away_while_entering_leaves_it_to_the_next() {
    let fake = Fake::named("one", &[("/a.tar", "x=1")]);
    let (toy, vfs) = with_archives(VfsOptions::default(), &fake);
    fake.delay(Duration::from_secs(10));
    let read_it = || {
        let vfs = Arc::clone(&vfs);
        tokio::spawn(async move { read(&*vfs, "/m/a.tar#tar:/x").await })
    };
    let (first, second) = (read_it(), read_it());
    // Two descriptions, and one opening by the one who enters.
    while fake.calls() < 3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(second.await.unwrap().unwrap(), "1");
    assert_eq!(entered(&toy), 1);
}

#[tokio::test]
async fn the_archive_that_was_not_used_for_the_longest_time_goes() {
    let fake = Fake::named("one", &[("/a.tar", "x=1"), ("/b.tar", "x=2"), ("/c.tar", "x=3")]);
    let (toy, vfs) = with_archives(VfsOptions { entered_archives: 2, ..VfsOptions::default() }, &fake);
    for (name, count) in [("a", 1), ("b", 2), ("a", 2), ("c", 3), ("a", 3), ("b", 4)] {
        read(&*vfs, &format!("/m/{name}.tar#tar:/x")).await.unwrap();
        assert_eq!(entered(&toy), count, "{name}");
    }
}

#[tokio::test]
async fn what_was_entered_through_a_mount_goes_with_it() {
    let fake = Fake::named("one", &[("/a.tar", "x=1")]);
    let (toy, vfs) = with_archives(VfsOptions::default(), &fake);
    let file = vfs.open(&path("/m/a.tar#tar:/x"), &OpenOptions::reading()).await.unwrap();
    vfs.unmount(&path("/m")).unwrap();
    assert_eq!(file.read_at(0, 9).await.unwrap(), "1");
    mount(&vfs, "/m", &fake);
    read(&*vfs, "/m/a.tar#tar:/x").await.unwrap();
    assert_eq!(entered(&toy), 2);
}

#[tokio::test]
async fn a_subtree_may_start_inside_an_archive() {
    let (_, vfs) = with_archives(VfsOptions::default(), &Fake::named("one", &[("/a.tar", "d/x=1")]));
    let view = vfs.subtree(&path("/m/a.tar#tar:/d"));
    assert_eq!(read(&*view, "/x").await.unwrap(), "1");
    assert_eq!(kind(view.create_dir(&path("/new")).await), ErrorKind::ReadOnly);
}

#[tokio::test]
async fn links_lead_into_no_archive() {
    let fake = Fake::named("one", &[("/a.tar", "x=1")]);
    fake.link("/l", "a.tar#tar:/x");
    let (_, vfs) = with_archives(VfsOptions::default(), &fake);
    assert_eq!(kind(read(&*vfs, "/m/l").await), ErrorKind::NotFound);
}
