//! Paths of the tree as URLs of the site.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode};
use reqwest::Url;

use crate::path::VPath;

/// All but the unreserved characters (RFC 3986 §2.3): a name is one segment, whatever it holds.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The URL of the file `path` below `base`.
pub(super) fn url_of_file(base: &Url, path: &VPath) -> Url {
    let mut text = base.path().to_owned();
    for segment in path.segments() {
        if !text.ends_with('/') {
            text.push('/');
        }
        text.extend(percent_encode(segment.name(), ENCODED));
    }
    let mut url = base.clone();
    url.set_path(&text);
    url
}

/// The URL of the folder `path` below `base`: it ends in `/`.
pub(super) fn url_of_folder(base: &Url, path: &VPath) -> Url {
    let mut url = url_of_file(base, path);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

/// The question what the folder `path` of the bucket `base` holds (S3's `ListObjectsV2`).
pub(super) fn url_of_keys(base: &Url, path: &VPath) -> Url {
    let mut prefix = String::new();
    for segment in path.segments() {
        // A key is text; a name that is none has no key.
        prefix.push_str(&String::from_utf8_lossy(segment.name()));
        prefix.push('/');
    }
    let mut url = base.clone();
    url.query_pairs_mut()
        .append_pair("list-type", "2")
        .append_pair("delimiter", "/")
        .append_pair("prefix", &prefix);
    url
}

/// A link as it was sent, as text: bytes that are no ASCII stand for themselves, whatever its page is written in.
pub(super) fn text_of(link: &[u8]) -> String {
    percent_encode(link.trim_ascii(), CONTROLS).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_segment() {
        let base = Url::parse("http://a.b/pub/").unwrap();
        for (name, encoded) in [
            (&b"x y"[..], "x%20y"),
            (b"100%25 %2e%2F", "100%2525%20%252e%252F"),
            (b"%2e%2e", "%252e%252e"),
            (b"...", "..."),
            (b"what?#now", "what%3F%23now"),
            (b"back\\slash", "back%5Cslash"),
            (b"x#tgz:", "x%23tgz%3A"),
            (b"raw-\xff", "raw-%FF"),
            (b"new\nline\t", "new%0Aline%09"),
        ] {
            let path = VPath::root().child(name.to_vec()).unwrap();
            assert_eq!(url_of_file(&base, &path).as_str(), format!("http://a.b/pub/{encoded}"));
            assert_eq!(url_of_folder(&base, &path).as_str(), format!("http://a.b/pub/{encoded}/"));
        }
        assert_eq!(url_of_folder(&base, &VPath::root()), base);
    }
}
