//! [`Row`]: one line of a listing, and the entry that it tells of.

use std::time::SystemTime;

use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::backends::http::url::text_of;
use crate::file_system::DirEntry;
use crate::metadata::{FileType, Metadata};
use crate::path::VPath;

/// One line of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// Where it leads: links of a page, the most likely first.
    pub(super) links: Vec<Vec<u8>>,
    /// Its literal name, where the listing says it outside of a link.
    pub(super) name: Option<Vec<u8>>,
    /// The listing says that it is a folder.
    pub(super) is_dir: bool,
    /// It is a file for sure; without, a link to no folder is taken for one.
    pub(super) size: Option<Size>,
    pub(super) modified: Option<Time>,
}

/// A size as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// To the byte.
    Exact(u64),
    /// Rounded: it is no length.
    Rounded,
}

/// A time as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) at: SystemTime,
    /// To the second, and the zone is stated.
    pub(super) is_exact: bool,
}

/// The entry that `row` of the listing at `base` tells of; `None` where it tells of something else: the parent, another
/// folder or site, a way to sort.
pub(super) fn entry_of(row: &Row, base: &Url, metadata: bool) -> Option<DirEntry> {
    let (name, has_slash) = match &row.name {
        Some(name) => match name.strip_suffix(b"/") {
            Some(name) => (name.to_vec(), true),
            None => (name.clone(), false),
        },
        None => row.links.iter().find_map(|link| child_of(base, link))?,
    };
    VPath::root().child(name.clone()).ok()?;
    let file_type = if row.is_dir || has_slash { FileType::Dir } else { FileType::File };
    let mut entry = DirEntry::new(name, Some(file_type));
    if metadata {
        entry.metadata = described(row, file_type);
    }
    Some(entry)
}

/// What the row tells beyond the type; nothing where that is nothing.
fn described(row: &Row, file_type: FileType) -> Option<Metadata> {
    if row.size.is_none() && row.modified.is_none() {
        return None;
    }
    let mut metadata = Metadata::new(file_type);
    if let (FileType::File, Some(Size::Exact(len))) = (file_type, row.size) {
        metadata.len = Some(len);
    }
    metadata.modified = row.modified.map(|time| time.at);
    metadata.provenance.approximate =
        row.size == Some(Size::Rounded) || row.modified.is_some_and(|time| !time.is_exact);
    Some(metadata)
}

/// The name that `link` leads to, and whether it ends in `/`, where that lies in the folder `base` itself. It is
/// decoded once; hosts, queries and other folders are somebody else's.
fn child_of(base: &Url, link: &[u8]) -> Option<(Vec<u8>, bool)> {
    // A backslash is a character of the name, wherever a browser would take it for a "/".
    let url = base.join(&text_of(link).replace('\\', "%5C")).ok()?;
    if url.origin() != base.origin() || url.query().is_some() {
        return None;
    }
    // Servers and we do not encode the same characters: only decoded names can be compared.
    let mut link = url.path().split('/');
    let (folder, _page) = base.path().rsplit_once('/')?;
    if !folder.split('/').all(|above| link.next().is_some_and(|name| is_same(above, name))) {
        return None;
    }
    let (name, rest) = (link.next()?, link.next());
    let has_slash = rest == Some("");
    let is_plain = !name.is_empty() && (rest.is_none() || has_slash) && link.next().is_none();
    is_plain.then(|| (percent_decode_str(name).collect(), has_slash))
}

fn is_same(ours: &str, theirs: &str) -> bool {
    percent_decode_str(ours).eq(percent_decode_str(theirs))
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn only_what_lies_in_the_folder_itself_is_an_entry() {
        let base = Url::parse("http://a.b/pub/x%20y/").unwrap();
        for (link, expected) in [
            ("file.txt", Some(("file.txt", false))),
            ("./colon:x", Some(("colon:x", false))),
            ("dir/", Some(("dir", true))),
            ("/pub/x%20y/abs", Some(("abs", false))),
            ("http://a.b/pub/x%20y/full/", Some(("full", true))),
            ("100%2525", Some(("100%25", false))),
            ("%3Cb%3E", Some(("<b>", false))),
            ("back\\slash", Some(("back\\slash", false))),
            ("\\\\evil\\f", Some(("\\\\evil\\f", false))),
            ("file#part", Some(("file", false))),
            ("..%2f..%2fetc", None),
            ("%2e%2e/", None),
            ("a%00b", None),
            ("../", None),
            ("./", None),
            ("", None),
            ("/", None),
            ("?C=N;O=D", None),
            ("x?download", None),
            ("dir/deeper", None),
            ("//evil/pub/x%20y/f", None),
            ("https://a.b/pub/x%20y/f", None),
            ("http://a.b:81/pub/x%20y/f", None),
            ("javascript:alert(1)", None),
            ("mailto:x@y", None),
            ("/other/f", None),
            ("/pub/x y/as it is", Some(("as it is", false))),
            ("/%70ub/x%20y/f", Some(("f", false))),
            ("/pub/x%2520y/f", None),
            ("/pub%2Fx%20y/f", None),
            ("/pub/x%20y/d/deeper", None),
            ("/pub/x%20y/d//", None),
            ("/pub/x%20y", None),
        ] {
            let row = Row { links: vec![link.as_bytes().to_vec()], ..Row::default() };
            let found = entry_of(&row, &base, false);
            let found =
                found.as_ref().map(|entry| (std::str::from_utf8(&entry.name).unwrap(), entry.is_dir()));
            assert_eq!(found, expected, "{link}");
        }
    }

    #[test]
    fn a_rounded_size_is_no_length() {
        let row = |size| Row { name: Some(b"x".to_vec()), size: Some(size), ..Row::default() };
        let base = Url::parse("http://a.b/").unwrap();
        let found = |size| {
            let metadata = entry_of(&row(size), &base, true).unwrap().metadata.unwrap();
            (metadata.len, metadata.provenance.approximate)
        };
        assert_eq!(found(Size::Exact(7)), (Some(7), false));
        assert_eq!(found(Size::Rounded), (None, true));
    }

    #[test]
    fn a_folder_is_known_however_its_name_is_encoded() {
        for (base, link) in [
            ("http://a.b/a%20%281%29/", "/a%20(1)/f"),
            ("http://a.b/c%2B%2B/", "/c++/f"),
            ("http://a.b/c++/", "/c%2b%2b/f"),
            ("http://a.b/it%27s%2C%20%40%26%3D%3A%3B%24%2A%21/", "/it's,%20@&=:;$*!/f"),
            ("http://a.b/%C3%A9/", "/\u{e9}/f"),
            ("http://a.b/index.html", "f"),
            ("http://a.b/d/index.html", "/d/f"),
        ] {
            let row = Row { links: vec![link.as_bytes().to_vec()], ..Row::default() };
            let found = entry_of(&row, &Url::parse(base).unwrap(), false);
            assert_eq!(found.unwrap().name[..], *b"f", "{base} {link}");
        }
    }

    #[test]
    fn a_byte_of_a_link_is_a_byte_of_the_name() {
        let base = Url::parse("http://a.b/").unwrap();
        for name in [&b"\xff\xfe"[..], b"caf\xe9", "\u{e9}".as_bytes()] {
            let row = Row { links: vec![name.to_vec()], ..Row::default() };
            assert_eq!(entry_of(&row, &base, false).unwrap().name, name);
        }
    }
}
