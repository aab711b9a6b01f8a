use super::*;

fn entry(name: &str, kind: Kind, link: &str, header: u64) -> Entry {
    Entry {
        name: name.as_bytes().to_vec(),
        kind,
        link: link.as_bytes().to_vec(),
        header,
        data: header + 512,
        size: header,
        sparse: None,
        mode: Some(0o644),
        user: Some(1),
        group: Some(2),
        modified: Some((header.cast_signed(), 0)),
    }
}

fn catalog(entries: &[(&str, Kind, &str)]) -> Catalog {
    let mut catalog = Catalog::new(1000);
    for (at, (name, kind, link)) in entries.iter().enumerate() {
        catalog.add(&entry(name, *kind, link, at as u64 + 1)).unwrap();
    }
    catalog
}

fn resolve(catalog: &Catalog, path: &str) -> Result<Member, ErrorKind> {
    let path = VPath::parse(path).unwrap();
    catalog.resolve(&path, true).map(|id| catalog.member(id))
}

fn listed(catalog: &Catalog, path: &str) -> Vec<String> {
    let folder = catalog.resolve(&VPath::parse(path).unwrap(), true).unwrap();
    let children = catalog.children(folder, None, usize::MAX);
    children.into_iter().map(|id| catalog.name(id).escape_ascii().to_string()).collect()
}

#[test]
fn names_that_climb_out_or_are_too_long_are_hidden() {
    let long = "n".repeat(256);
    let deep = "d/".repeat(1025);
    let far = "dd/".repeat(1400);
    let names = ["../up", "a/../../up", "..", &long, &deep, &far, "/etc/passwd", "./a//b/../c", "C:\\x"];
    let catalog = catalog(&names.map(|name| (name, Kind::File, "")));
    assert_eq!(catalog.hidden(), 6);
    assert_eq!(listed(&catalog, "/"), ["etc", "a", "C:\\\\x"]);
    assert_eq!(listed(&catalog, "/a"), ["c"]);
}

#[test]
fn folders_without_an_entry_are_made_up() {
    let mut catalog = catalog(&[("a/b/c", Kind::File, ""), ("a/d", Kind::File, "")]);
    let a = resolve(&catalog, "/a").unwrap();
    assert_eq!((a.shape, a.mode, a.modified), (Shape::Dir, None, Some((2, 0))));
    assert_eq!(listed(&catalog, "/a"), ["b", "d"]);
    catalog.add(&entry("a/", Kind::Dir, "", 9)).unwrap();
    let a = resolve(&catalog, "/a").unwrap();
    assert_eq!((a.mode, a.modified), (Some(0o644), Some((9, 0))));
    assert_eq!(listed(&catalog, "/a"), ["b", "d"]);
}

#[test]
fn the_last_of_duplicates_wins() {
    let catalog = catalog(&[("a", Kind::File, ""), ("b", Kind::File, ""), ("./a", Kind::File, "")]);
    assert_eq!(resolve(&catalog, "/a").unwrap().header, 3);
    assert_eq!(listed(&catalog, "/"), ["a", "b"]);
}

#[test]
fn a_file_over_a_folder_hides_what_it_held() {
    let mut catalog = catalog(&[("a/old", Kind::File, ""), ("a", Kind::File, "")]);
    assert_eq!(resolve(&catalog, "/a").unwrap().shape, Shape::File);
    assert_eq!(resolve(&catalog, "/a/old").unwrap_err(), ErrorKind::NotADirectory);
    catalog.add(&entry("a/new", Kind::File, "", 9)).unwrap();
    assert_eq!(listed(&catalog, "/a"), ["new"]);
    assert_eq!(resolve(&catalog, "/a/old").unwrap_err(), ErrorKind::NotFound);
    assert_eq!(listed(&catalog, "/"), ["a"]);
}

#[test]
fn neighbours_of_a_folder_that_a_file_replaced_are_not_added_to_it() {
    let catalog = catalog(&[
        ("a/b/one", Kind::File, ""),
        ("a/b/two/", Kind::Dir, ""),
        ("./a/b/three", Kind::File, ""),
        ("a", Kind::File, ""),
        ("a/b/four", Kind::File, ""),
        ("a/b/..", Kind::Dir, ""),
        ("a/b/five", Kind::File, ""),
    ]);
    assert_eq!(listed(&catalog, "/a/b"), ["four", "five"]);
    assert_eq!(listed(&catalog, "/a"), ["b"]);
    assert_eq!(catalog.hidden(), 0);
}

#[test]
fn links_stay_inside_the_archive() {
    let catalog = catalog(&[
        ("etc/passwd", Kind::File, ""),
        ("d/up", Kind::Symlink, "../../../../etc/passwd"),
        ("d/abs", Kind::Symlink, "/etc/passwd"),
        ("d/dangling", Kind::Symlink, "nowhere"),
        ("d/itself", Kind::Symlink, "itself"),
        ("d/ping", Kind::Symlink, "pong"),
        ("d/pong", Kind::Symlink, "ping"),
        ("d/through", Kind::Symlink, "../etc/passwd/x"),
        ("d/empty", Kind::Symlink, ""),
    ]);
    assert_eq!(resolve(&catalog, "/d/up").unwrap().header, 1);
    assert_eq!(resolve(&catalog, "/d/abs").unwrap().header, 1);
    for (name, kind) in [
        ("dangling", ErrorKind::NotFound),
        ("itself", ErrorKind::Loop),
        ("ping", ErrorKind::Loop),
        ("through", ErrorKind::NotADirectory),
        ("empty", ErrorKind::NotFound),
    ] {
        assert_eq!(resolve(&catalog, &format!("/d/{name}")).unwrap_err(), kind, "{name}");
    }
}

#[test]
fn chains_of_forty_links_are_followed_and_no_more() {
    let mut catalog = catalog(&[("0", Kind::File, "")]);
    for number in 1..=41_u64 {
        let link = (number - 1).to_string();
        catalog.add(&entry(&number.to_string(), Kind::Symlink, &link, number + 1)).unwrap();
    }
    assert_eq!(resolve(&catalog, "/40").unwrap().header, 1);
    assert_eq!(resolve(&catalog, "/41").unwrap_err(), ErrorKind::Loop);
}

#[test]
fn a_hard_link_is_the_latest_earlier_file() {
    let catalog = catalog(&[
        ("a", Kind::File, ""),
        ("h1", Kind::HardLink, "./a"),
        ("a", Kind::File, ""),
        ("h2", Kind::HardLink, "a"),
        ("h3", Kind::HardLink, "h1"),
        ("a", Kind::HardLink, "a"),
    ]);
    for (name, header) in [("h1", 1), ("h2", 3), ("h3", 1), ("a", 3)] {
        assert_eq!(resolve(&catalog, &format!("/{name}")).unwrap().header, header, "{name}");
    }
}

#[test]
fn a_hard_link_to_nothing_is_broken_alone() {
    let catalog = catalog(&[
        ("missing", Kind::HardLink, "nowhere"),
        ("itself", Kind::HardLink, "itself"),
        ("forward", Kind::HardLink, "later"),
        ("up", Kind::HardLink, "../x"),
        ("dir", Kind::Dir, ""),
        ("to-dir", Kind::HardLink, "dir"),
        ("later", Kind::File, ""),
    ]);
    for name in ["missing", "itself", "forward", "up", "to-dir"] {
        assert_eq!(resolve(&catalog, &format!("/{name}")).unwrap().shape, Shape::Broken, "{name}");
    }
    assert_eq!(resolve(&catalog, "/later").unwrap().shape, Shape::File);
}

#[test]
fn a_listing_under_way_goes_on_with_what_comes() {
    let mut catalog = Catalog::new(100_000);
    let (mut seen, mut after) = (Vec::new(), None);
    for number in 0..3000_u64 {
        catalog.add(&entry(&format!("d/{number}"), Kind::File, "", number)).unwrap();
        if number % 100 == 0 {
            let folder = catalog.resolve(&VPath::parse("/d").unwrap(), true).unwrap();
            let batch = catalog.children(folder, after, 70);
            after = batch.last().copied().or(after);
            seen.extend(batch);
        }
    }
    let folder = catalog.resolve(&VPath::parse("/d").unwrap(), true).unwrap();
    seen.extend(catalog.children(folder, after, usize::MAX));
    let names: Vec<_> = seen.iter().map(|id| catalog.name(*id).to_vec()).collect();
    let wanted: Vec<_> = (0..3000).map(|number: u64| number.to_string().into_bytes()).collect();
    assert_eq!(names, wanted);
}

#[test]
fn a_full_catalog_takes_no_more() {
    let mut catalog = Catalog::new(4);
    catalog.add(&entry("a/b", Kind::File, "", 1)).unwrap();
    catalog.add(&entry("a/b", Kind::File, "", 2)).unwrap();
    assert_eq!(catalog.add(&entry("a/c/d", Kind::File, "", 3)), Err(Full));
}
