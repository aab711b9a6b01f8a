//! Media types: what the source states, else what the name's extension says.

use http::HeaderValue;

/// What is said of content that nothing is known of.
const UNKNOWN: &str = "application/octet-stream";

/// The `Content-Type` of a file: `stated` where it is a value that a header can hold, else by the extension of `name`.
/// Text is said to be UTF-8, as names and pages here are.
pub(super) fn content_type(stated: Option<&str>, name: &[u8]) -> HeaderValue {
    let stated =
        stated.filter(|stated| !stated.is_empty()).and_then(|stated| HeaderValue::from_str(stated).ok());
    stated.unwrap_or_else(|| by_extension(name))
}

fn by_extension(name: &[u8]) -> HeaderValue {
    let dot = name.iter().rposition(|byte| *byte == b'.');
    let extension = dot.and_then(|dot| std::str::from_utf8(&name[dot + 1..]).ok());
    let media =
        extension.and_then(|extension| mime_guess::from_ext(extension).first_raw()).unwrap_or(UNKNOWN);
    if media.starts_with("text/") {
        let media = format!("{media}; charset=utf-8");
        return HeaderValue::try_from(media)
            .expect("the table holds media types only, which are plain ASCII");
    }
    HeaderValue::from_static(media)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_knows_best_then_the_extension() {
        for (stated, name, media) in [
            (None, "a.txt", "text/plain; charset=utf-8"),
            (None, "A.HTML", "text/html; charset=utf-8"),
            (None, "a.tar.gz", "application/gzip"),
            (None, "a.png", "image/png"),
            (None, "a.unheard-of", UNKNOWN),
            (None, "README", UNKNOWN),
            (None, "a.", UNKNOWN),
            (None, ".txt", "text/plain; charset=utf-8"),
            (Some("image/webp"), "a.txt", "image/webp"),
            (Some("text/plain"), "a.html", "text/plain"),
            (Some("a\nb: c"), "a.txt", "text/plain; charset=utf-8"),
            (Some(""), "a.txt", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(content_type(stated, name.as_bytes()), media, "{stated:?} {name}");
        }
        assert_eq!(content_type(None, b"a.\xff"), UNKNOWN);
    }
}
