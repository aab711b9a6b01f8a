//! Media types: what the source states, else what the name's extension says, else what the first bytes look like.

use http::HeaderValue;

/// What is said of content that nothing is known of.
pub(super) const UNKNOWN: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Extensions that the table of `mime_guess` lacks, or has an older or vaguer type for.
const EXTENSIONS: [(&str, &str); 24] = [
    ("avif", "image/avif"),
    ("br", "application/x-brotli"),
    ("conf", "text/plain"),
    ("deb", "application/vnd.debian.binary-package"),
    ("flac", "audio/flac"),
    ("go", "text/plain"),
    ("heic", "image/heic"),
    ("jxl", "image/jxl"),
    ("lock", "text/plain"),
    ("log", "text/plain"),
    ("m4a", "audio/mp4"),
    ("md", "text/markdown"),
    ("mjs", "text/javascript"),
    ("mkv", "video/matroska"),
    ("js", "text/javascript"),
    ("opus", "audio/ogg"),
    ("parquet", "application/vnd.apache.parquet"),
    ("patch", "text/x-diff"),
    ("rs", "text/plain"),
    ("toml", "application/toml"),
    ("ts", "text/plain"),
    ("wasm", "application/wasm"),
    ("yaml", "application/yaml"),
    ("zst", "application/zstd"),
];

/// What browsers run scripts in when it is opened by itself.
const SCRIPTED: [&str; 5] =
    ["text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml"];

/// How files begin (WHATWG MIME Sniffing §6), with the offset at which they do.
const MAGIC: [(usize, &[u8], &str); 21] = [
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftyp", "video/mp4"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"PK\x03\x04", "application/zip"),
    (257, b"ustar", "application/x-tar"),
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"OggS", "application/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"wOF2", "font/woff2"),
    (0, b"\0asm", "application/wasm"),
];

/// Types that are text although their name does not say so.
const TEXTS: [&str; 12] = [
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/toml",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/xhtml+xml",
    "application/xml",
    "application/yaml",
    "image/svg+xml",
];

/// The `Content-Type` of a file: `stated` where it is a value that a header can hold, else by the extension of `name`.
/// Text is said to be UTF-8, as names and pages here are. `None` where neither tells.
pub(super) fn content_type(stated: Option<&str>, name: &[u8]) -> Option<HeaderValue> {
    let stated =
        stated.filter(|stated| !stated.is_empty()).and_then(|stated| HeaderValue::from_str(stated).ok());
    stated.or_else(|| by_extension(name))
}

/// What content looks like that begins so. Text is text in UTF-8 and never markup: a page that nobody named so is shown
/// as its source.
pub(super) fn by_magic(start: &[u8]) -> HeaderValue {
    let begins = |(at, magic, _): &&(usize, &[u8], &str)| {
        start.get(*at..).is_some_and(|start| start.starts_with(magic))
    };
    if let Some((.., media)) = MAGIC.iter().find(begins) {
        return HeaderValue::from_static(media);
    }
    let text = match std::str::from_utf8(start) {
        Ok(text) => Some(text),
        // The last character may be cut.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&start[..error.valid_up_to()]).ok(),
        Err(_) => None,
    };
    let is_text = text.is_some_and(|text| {
        !text.is_empty()
            && text
                .chars()
                .all(|character| !character.is_control() || "\t\n\r\u{c}\u{1b}".contains(character))
    });
    if is_text { HeaderValue::from_static("text/plain; charset=utf-8") } else { UNKNOWN }
}

/// True for pages and drawings whose scripts a browser runs.
pub(super) fn runs_scripts(content_type: &HeaderValue) -> bool {
    let media = content_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    media.ends_with(b"+xml")
        || SCRIPTED.iter().any(|scripted| media.eq_ignore_ascii_case(scripted.as_bytes()))
}

/// True for types whose content a coding makes much shorter.
pub(super) fn is_text(media: &HeaderValue) -> bool {
    let media = media.to_str().unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    media.starts_with("text/") || TEXTS.contains(&media)
}

fn by_extension(name: &[u8]) -> Option<HeaderValue> {
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    let extension = std::str::from_utf8(&name[dot + 1..]).ok()?;
    let own = EXTENSIONS.iter().find(|(own, _)| own.eq_ignore_ascii_case(extension));
    let media = match own {
        Some((_, media)) => media,
        None => mime_guess::from_ext(extension).first_raw()?,
    };
    if media.starts_with("text/") {
        let media = format!("{media}; charset=utf-8");
        return HeaderValue::try_from(media).ok();
    }
    Some(HeaderValue::from_static(media))
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
            (None, "a.mjs", "text/javascript; charset=utf-8"),
            (None, "A.AVIF", "image/avif"),
            (None, "a.webp", "image/webp"),
            (None, "a.tar.zst", "application/zstd"),
            (None, ".txt", "text/plain; charset=utf-8"),
            (Some("image/webp"), "a.txt", "image/webp"),
            (Some("text/plain"), "a.html", "text/plain"),
            (Some("a\nb: c"), "a.txt", "text/plain; charset=utf-8"),
            (Some(""), "a.txt", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(content_type(stated, name.as_bytes()).unwrap(), media, "{stated:?} {name}");
        }
        for name in [&b"a.\xff"[..], b"a.unheard-of", b"README", b"a."] {
            assert_eq!(content_type(None, name), None);
        }
    }

    #[test]
    fn what_no_name_tells_the_first_bytes_may() {
        for (start, media) in [
            (&b"\x89PNG\r\n\x1a\n..."[..], "image/png"),
            (b"RIFF....WEBP", "image/webp"),
            (b"\x7fELF\x02", "application/x-elf"),
            (b"plain\twords\n", "text/plain; charset=utf-8"),
            ("cut \u{20ac}".as_bytes().strip_suffix(b"\xac").unwrap(), "text/plain; charset=utf-8"),
            (b"<html><script>", "text/plain; charset=utf-8"),
            (b"\xff\xfe\0a", "application/octet-stream"),
            (b"a\0b", "application/octet-stream"),
            (b"", "application/octet-stream"),
        ] {
            assert_eq!(by_magic(start), media, "{}", start.escape_ascii());
        }
    }

    #[test]
    fn texts_are_worth_a_coding() {
        for (media, expected) in [
            ("text/html; charset=utf-8", true),
            ("application/json", true),
            ("image/svg+xml", true),
            ("image/png", false),
            ("application/octet-stream", false),
        ] {
            assert_eq!(is_text(&HeaderValue::from_static(media)), expected, "{media}");
        }
    }
}
