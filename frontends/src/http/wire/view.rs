//! How a folder is wanted: the query of a listing (`sort`, `order`, `q`, `limit`, `after`), or of a download.

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use vfs::VPath;
use vfs::producer::Packing;

use super::format::Format;

/// Rows of one page, at most: a larger `limit` counts as this.
pub(in crate::http) const PAGE_ROWS: usize = 10_000;

/// Bytes of a search text that are looked at.
const SEARCH_BYTES: usize = 256;

/// A folder as it is to be listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::http) struct View {
    /// In which form.
    pub(in crate::http) format: Format,
    /// By what the rows are ordered; folders come first whatever it is.
    pub(in crate::http) sort: Sort,
    /// The other way round.
    pub(in crate::http) is_descending: bool,
    /// Only names that hold this text, in whatever case. Empty: all.
    pub(in crate::http) search: String,
    /// So many rows, the smallest ones. `None`: all.
    pub(in crate::http) limit: Option<usize>,
    /// Only rows after this one.
    pub(in crate::http) after: Option<After>,
}

/// By what rows are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::http) enum Sort {
    /// The bytes of the name.
    #[default]
    Name,
    /// The length; what has none comes first.
    Size,
    /// The second of the last change; what has none comes first.
    Time,
}

/// The row that a page before ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) struct After {
    /// Its literal name.
    pub(in crate::http) name: Vec<u8>,
    /// It is a folder.
    pub(in crate::http) is_dir: bool,
    /// Its length or second, where the rows are ordered by that.
    pub(in crate::http) value: Option<i64>,
}

impl Sort {
    /// All of them with their name in a query.
    pub(in crate::http) const ALL: [(Self, &str); 3] =
        [(Self::Name, "name"), (Self::Size, "size"), (Self::Time, "time")];

    /// Its name in a query.
    pub(in crate::http) const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Size => "size",
            Self::Time => "time",
        }
    }
}

impl View {
    /// Reads it. What a query says that is none of ours does not bind.
    pub(in crate::http) fn read(query: Option<&str>, headers: &HeaderMap) -> Self {
        let mut view = Self { format: Format::read(query, headers), ..Self::default() };
        let mut value = None;
        for (key, text) in pairs(query) {
            match key {
                "sort" => {
                    let named = Sort::ALL.into_iter().find(|(_, name)| *name == text);
                    view.sort = named.map_or(view.sort, |(sort, _)| sort);
                }
                "order" => view.is_descending = text == "desc",
                "q" => view.search = searched(&decoded(text)),
                "limit" => {
                    let count = text.parse::<usize>().ok().filter(|count| *count > 0);
                    view.limit = count.map(|count| count.min(PAGE_ROWS));
                }
                "after" => view.after = After::parse(&decoded(text)),
                "value" => value = text.parse().ok(),
                _ => {}
            }
        }
        if let Some(after) = &mut view.after {
            after.value = value;
        }
        view
    }
}

/// The archive that a query asks for as `download`.
pub(in crate::http) fn packing(query: Option<&str>) -> Option<Packing> {
    let (_, wanted) = pairs(query).find(|(key, _)| *key == "download")?;
    Packing::ALL.into_iter().find(|packing| packing.suffix() == wanted)
}

/// True where a query asks for `download`, in whatever form: the file is to be kept, not shown.
pub(in crate::http) fn is_download(query: Option<&str>) -> bool {
    pairs(query).any(|(key, _)| key == "download")
}

/// A text to search for, in lower case.
fn searched(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(SEARCH_BYTES)]);
    text.trim_end_matches('\u{fffd}').trim().to_lowercase()
}

impl After {
    /// Parses a row's link, without its escapes.
    fn parse(text: &[u8]) -> Option<Self> {
        let is_dir = text.ends_with(b"/");
        let mut path = VPath::root();
        path.join_segment(text.strip_suffix(b"/").unwrap_or(text)).ok()?;
        let name = path.file_name()?.name().to_vec();
        Some(Self { name, is_dir, value: None })
    }
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// A value as a form writes it: `+` is a space.
fn decoded(text: &str) -> Vec<u8> {
    percent_decode_str(&text.replace('+', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> View {
        View::read(Some(query), &HeaderMap::new())
    }

    #[test]
    fn a_query_says_how_a_folder_is_listed() {
        let plain = View::default();
        let after = |name: &[u8], is_dir, value| Some(After { name: name.to_vec(), is_dir, value });
        for (query, view) in [
            ("", plain.clone()),
            ("sort=size", View { sort: Sort::Size, ..plain.clone() }),
            ("order=desc&sort=time", View { sort: Sort::Time, is_descending: true, ..plain.clone() }),
            ("sort=colour&order=up", plain.clone()),
            ("q=Read+M%C3%89", View { search: "read m\u{e9}".into(), ..plain.clone() }),
            ("q=%FF", plain.clone()),
            ("limit=100", View { limit: Some(100), ..plain.clone() }),
            ("limit=0", plain.clone()),
            ("limit=-5", plain.clone()),
            ("limit=99999999", View { limit: Some(PAGE_ROWS), ..plain.clone() }),
            ("after=a%20b", View { after: after(b"a b", false, None), ..plain.clone() }),
            ("after=d/", View { after: after(b"d", true, None), ..plain.clone() }),
            ("after=x%23%23tgz:", View { after: after(b"x#tgz:", false, None), ..plain.clone() }),
            ("value=-7&after=%FF", View { after: after(b"\xff", false, Some(-7)), ..plain.clone() }),
            ("after=", plain.clone()),
            ("after=a/b", plain.clone()),
            ("format=json", View { format: Format::Json, ..plain }),
        ] {
            assert_eq!(read(query), view, "{query}");
        }
    }

    #[test]
    fn a_query_may_ask_for_a_folder_as_an_archive() {
        for (query, packed, is_wanted) in [
            (Some("download=tar"), Some(Packing::Tar), true),
            (Some("a=b&download=tar.gz"), Some(Packing::TarGz), true),
            (Some("download=tar.zst"), Some(Packing::TarZst), true),
            (Some("download=zip"), Some(Packing::Zip), true),
            (Some("download=rar"), None, true),
            (Some("download"), None, true),
            (Some("downloads=zip"), None, false),
            (None, None, false),
        ] {
            assert_eq!((packing(query), is_download(query)), (packed, is_wanted), "{query:?}");
        }
    }
}
