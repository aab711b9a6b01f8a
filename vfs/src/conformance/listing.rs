//! Listing folders: what every tree does.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::Subject;
use super::expect::Expect;
use super::sample::MANY;
use crate::error::{Error, ErrorKind};
use crate::file_system::DirStream;
use crate::metadata::Metadata;
use crate::options::ListOptions;
use crate::path::VPath;

pub(super) async fn a_folder_lists_what_the_sample_puts_there(subject: &Subject) {
    subject.many().await;
    let mut wanted: BTreeMap<_, BTreeSet<Bytes>> = BTreeMap::new();
    for entry in subject.sample() {
        let (parent, name) = (entry.path.parent(), entry.path.file_name());
        let parent = parent.expect("no entry of the sample is the root");
        let name = name.expect("no entry of the sample is the root");
        wanted.entry(parent).or_default().insert(name.name().clone());
    }
    if let Some(special) = subject.special_file() {
        let name = special.file_name().map(|name| name.name().clone());
        let parent = special.parent().and_then(|parent| wanted.get_mut(&parent));
        parent.expect("a special file lies in a folder of the sample").extend(name);
    }
    for (folder, names) in wanted {
        let found = subject.names(&folder).await;
        let missing: Vec<_> = names.difference(&found).collect();
        let extra: Vec<_> = found.difference(&names).collect();
        assert!(missing.is_empty(), "{folder} lists everything in it; missing: {missing:?}");
        assert!(extra.is_empty(), "{folder} lists nothing but what is in it; extra: {extra:?}");
    }
}

pub(super) async fn an_empty_folder_lists_nothing(subject: &Subject) {
    let found = subject.names(&subject.at("/hollow")).await;
    assert!(found.is_empty(), "an empty folder lists nothing; found: {found:?}");
}

pub(super) async fn dots_are_not_listed(subject: &Subject) {
    for folder in [subject.root().clone(), subject.at("/dir"), subject.at("/hollow"), subject.at("/dir/sub")]
    {
        let found = subject.names(&folder).await;
        let dots = found.contains(&b"."[..]) || found.contains(&b".."[..]);
        assert!(!dots, "neither . nor .. is listed in {folder}: {found:?}");
    }
}

pub(super) async fn no_name_is_listed_twice(subject: &Subject) {
    for folder in [subject.root().clone(), subject.at("/names"), subject.many().await] {
        let entries = subject.listing(&folder, &ListOptions::default()).await;
        let mut seen = BTreeSet::new();
        for entry in entries {
            assert!(seen.insert(entry.name.clone()), "{folder} lists {:?} twice", entry.name);
        }
    }
}

pub(super) async fn two_listings_of_a_folder_are_equal(subject: &Subject) {
    for folder in [subject.root().clone(), subject.at("/names"), subject.many().await] {
        let (first, second) = tokio::join!(subject.names(&folder), subject.names(&folder));
        assert!(first == second, "two listings of {folder} are equal");
    }
}

pub(super) async fn a_large_folder_comes_in_bounded_batches(subject: &Subject) {
    let stream = subject.tree().read_dir(&subject.many().await, &ListOptions::default()).await;
    let mut stream = stream.must("a folder of many entries lists");
    let mut names = BTreeSet::new();
    while let Some(batch) = stream.next().await {
        let batch = batch.must("a listing of many entries ends well");
        assert!(!batch.is_empty(), "no batch is empty");
        assert!(batch.len() <= DirStream::BATCH, "a batch holds {} entries at most", DirStream::BATCH);
        names.extend(batch.into_iter().map(|entry| entry.name));
    }
    assert_eq!(names.len(), MANY, "a large folder lists each entry once");
    assert!(stream.next().await.is_none(), "a listing at its end stays there");
}

pub(super) async fn a_listing_that_is_dropped_leaves_nothing_behind(subject: &Subject) {
    let many = subject.many().await;
    for _ in 0..4 {
        let stream = subject.tree().read_dir(&many, &ListOptions::default()).await;
        let first = stream.must("a folder of many entries lists").next().await;
        first.expect("a full folder has a first batch").must("the first batch comes");
    }
    assert_eq!(
        subject.names(&many).await.len(),
        MANY,
        "listings that were dropped do not disturb later ones"
    );
}

pub(super) async fn listing_a_file_is_not_a_directory(subject: &Subject) {
    let listed = subject.tree().read_dir(&subject.at("/hello.txt"), &ListOptions::default()).await;
    let error = listed.must_be(ErrorKind::NotADirectory, "listing a file is NotADirectory");
    assert_eq!(error.path(), &subject.at("/hello.txt"), "the error names the path that was asked");
}

pub(super) async fn a_listed_type_is_the_entrys_own(subject: &Subject) {
    for folder in [subject.root().clone(), subject.at("/dir"), subject.at("/names")] {
        for entry in subject.listing(&folder, &ListOptions::default()).await {
            let path = folder.child(entry.name).map_err(Error::from).must("a listed name is a name");
            let found = subject.entry(&path).await.must(format!("the listed {path} is there"));
            let agrees = entry.file_type.is_none_or(|file_type| file_type == found.file_type);
            assert!(
                agrees,
                "{path} is listed as {:?} and described as {:?}",
                entry.file_type, found.file_type
            );
        }
    }
}

pub(super) async fn an_ordinary_entry_is_no_mount(subject: &Subject) {
    for entry in subject.listing(subject.root(), &ListOptions::default()).await {
        assert_eq!(entry.mount, None, "{:?} is no mount point", entry.name);
    }
}

pub(super) async fn a_listing_brings_metadata_only_where_asked(subject: &Subject) {
    for entry in subject.listing(&subject.at("/dir"), &ListOptions::default()).await {
        assert!(entry.metadata.is_none(), "{:?} brings metadata that nobody asked for", entry.name);
    }
}

pub(super) async fn listed_metadata_is_the_entrys_own(subject: &Subject) {
    for folder in [subject.root().clone(), subject.at("/dir"), subject.at("/dir/sub")] {
        for entry in subject.listing(&folder, &ListOptions::with_metadata()).await {
            let path = folder.child(entry.name).map_err(Error::from).must("a listed name is a name");
            let listed = entry.metadata.unwrap_or_else(|| panic!("{path} is listed with its metadata"));
            let found = subject.entry(&path).await.must(format!("the listed {path} is there"));
            if listed.provenance.approximate {
                assert_hint_fits(subject, &listed, &found, &path);
                continue;
            }
            let told = |of: &Metadata| (of.file_type, of.len, of.modified, of.mode);
            assert_eq!(told(&listed), told(&found), "{path} is listed as it is described");
            // Most protocols' listings have no place for it.
            if listed.validator.is_some() {
                assert_eq!(listed.validator, found.validator, "{path} is listed with its own validator");
            }
        }
    }
}

/// What is listed as approximate may leave things out, and times may be rounded; a length is exact or not told.
fn assert_hint_fits(subject: &Subject, listed: &Metadata, found: &Metadata, path: &VPath) {
    assert_eq!(listed.file_type, found.file_type, "{path} is listed as what it is");
    let lens_agree = listed.len.is_none() || listed.len == found.len;
    assert!(lens_agree, "{path} is listed with {:?} bytes and has {:?}", listed.len, found.len);
    if let (Some(listed), Some(found)) = (listed.modified, found.modified) {
        let behaviour = format!("{path} is listed with the time of its change");
        subject.assert_same_time(Some(listed), found, &behaviour);
    }
}

pub(super) async fn metadata_that_costs_requests_is_not_listed(subject: &Subject) {
    for entry in subject.listing(&subject.at("/dir"), &ListOptions::with_metadata()).await {
        assert!(entry.metadata.is_none(), "{:?} brings metadata that this tree says it lacks", entry.name);
    }
}
