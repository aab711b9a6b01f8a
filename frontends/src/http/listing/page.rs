//! A folder as a page for people, which other clients read too.
//!
//! It has the shape of nginx's: `<pre>`, a link a row, date and size after it. Nothing but rows, ways up and pages to come
//! are links: sorting, archives and downloads are buttons of forms, so that who follows all links (wget, lftp, rclone)
//! meets each file once. Without JavaScript everything works but the progress of an upload.

use std::sync::LazyLock;

use http::HeaderValue;
use sha2::{Digest, Sha256};
use vfs::path::{Scheme, printed_name};
use vfs::producer::Packing;
use vfs::{Availability, Error, ErrorKind, VPath};

use super::rows::{Order, Row, shown};
use super::{Uploads, write};
use crate::http::wire::{Sort, View, encode_segment, listing_date};

/// Where the date starts in a row, as far as the name leaves room.
const NAME_WIDTH: usize = 50;

/// How wide a date is, and a length.
const DATE_WIDTH: usize = 17;
const LEN_WIDTH: usize = 19;

/// What rows are filled up with.
const BLANKS: &str = "                                                  ";
const _: () = assert!(BLANKS.len() == NAME_WIDTH, "it is as long as the longest gap");

/// Archives inside of archives that a page leads into.
const ARCHIVE_DEPTH: usize = 4;

/// Rows from which on a page proposes to be cut into several, and how long these are.
const MANY_ROWS: usize = 2000;
const FEW_ROWS: usize = 1000;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page's own style and script run and nothing else, whatever a name in it may say (CSP Level 3 §2.3).
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
        base64(&Sha256::digest(STYLE)),
        base64(&Sha256::digest(SCRIPT)),
    );
    HeaderValue::try_from(policy).expect("it is plain ASCII")
});

/// The policy of every page.
pub(in crate::http) fn policy() -> HeaderValue {
    POLICY.clone()
}

/// All of the page that comes before its rows.
pub(super) fn head(path: &VPath, view: &View) -> String {
    let mut text = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Index of ",
    );
    write_markup(&mut text, &path.to_bytes());
    if !path.is_root() {
        text.push('/');
    }
    text.push_str("</title>\n<style>");
    text.push_str(STYLE);
    text.push_str("</style></head>\n<body>\n<h1><span>Index of </span>");
    write_crumbs(&mut text, path);
    text.push_str("</h1>\n<div class=\"bar\"><form><input type=\"search\" name=\"q\" id=\"q\" value=\"");
    write_markup(&mut text, view.search.as_bytes());
    text.push_str("\" placeholder=\"Search this folder\" aria-label=\"Search this folder\">");
    write_hidden(&mut text, view, &["sort", "order"]);
    text.push_str("<button>Search</button></form>\n<form><select name=\"download\" aria-label=\"Archive\">");
    for packing in Packing::ALL {
        write(&mut text, format_args!("<option>{}</option>", packing.suffix()));
    }
    text.push_str("</select><button>Download all</button></form></div>\n<div class=\"row\">");
    for (sort, words) in [(Sort::Name, "Name"), (Sort::Time, "Changed"), (Sort::Size, "Size")] {
        write_sorter(&mut text, view, sort, words);
    }
    text.push_str("</div>\n<form id=\"go\"></form><hr><pre>");
    if !path.is_root() {
        text.push_str("<a href=\"../\">../</a>\n");
    }
    text
}

/// The path with a link at each step up.
fn write_crumbs(text: &mut String, path: &VPath) {
    let count = path.segments().len();
    if count == 0 {
        text.push('/');
        return;
    }
    write(text, format_args!("<a href=\"{}\" title=\"Top\">/</a>", "../".repeat(count)));
    for (at, segment) in path.segments().iter().enumerate() {
        let up = count - 1 - at;
        if up > 0 {
            write(text, format_args!("<a href=\"{}\">", "../".repeat(up)));
        }
        write_markup(text, &segment.printed());
        text.push_str(if up > 0 { "</a>/" } else { "/" });
    }
}

fn write_sorter(text: &mut String, view: &View, sort: Sort, words: &str) {
    let is_current = view.sort == sort;
    // The newest and the largest are what one looks for first.
    let descends = if is_current { !view.is_descending } else { sort != Sort::Name };
    let order = if descends { "desc" } else { "asc" };
    let arrow = match (is_current, view.is_descending) {
        (false, _) => "",
        (true, false) => " \u{2191}",
        (true, true) => " \u{2193}",
    };
    write(text, format_args!("<form><input type=\"hidden\" name=\"order\" value=\"{order}\">"));
    write_hidden(text, view, &["q", "limit"]);
    let name = sort.name();
    write(text, format_args!("<button name=\"sort\" value=\"{name}\">{words}{arrow}</button></form>"));
}

/// What a form keeps of the page's view.
fn write_hidden(text: &mut String, view: &View, kept: &[&str]) {
    let mut field = |name: &str, value: &str| {
        if kept.contains(&name) && !value.is_empty() {
            write(text, format_args!("<input type=\"hidden\" name=\"{name}\" value=\""));
            write_markup(text, value.as_bytes());
            text.push_str("\">");
        }
    };
    field("q", &view.search);
    if view.sort != Sort::Name {
        field("sort", view.sort.name());
    }
    if view.is_descending {
        field("order", "desc");
    }
    if let Some(limit) = view.limit {
        field("limit", &limit.to_string());
    }
}

/// What rows share: the path that they are in, and the date that was written last.
pub(super) struct Writer {
    enters_archives: bool,
    date: Option<(i64, String)>,
}

impl Writer {
    pub(super) fn new(path: &VPath) -> Self {
        Self { enters_archives: path.archive_depth() < ARCHIVE_DEPTH, date: None }
    }

    pub(super) fn write_row(&mut self, text: &mut String, name: &[u8], row: &Row) {
        let printed = printed_name(name);
        let slash = if row.is_dir { "/" } else { "" };
        text.push_str(if row.is_dir { "<span class=\"d\"><a href=\"" } else { "<span><a href=\"" });
        text.extend(encode_segment(&printed));
        text.push_str(slash);
        text.push_str("\">");
        let width = write_markup(text, &printed) + slash.len();
        text.push_str(slash);
        text.push_str("</a>");
        text.push_str(&BLANKS[..NAME_WIDTH.saturating_sub(width)]);
        text.push_str(" <i>");
        let date = self.date(row).unwrap_or("-");
        text.push_str(date);
        text.push_str(&BLANKS[..DATE_WIDTH.saturating_sub(date.len())]);
        text.push_str("</i> ");
        match row.len() {
            Some(len) => write_size(text, len),
            None => text.push_str("<b>                  -</b>"),
        }
        // Behind what other clients read.
        if self.enters_archives && !row.is_dir {
            write_browse(text, name);
        }
        text.push_str(match row.mount {
            None | Some(Availability::Ok) => "</span>\n",
            Some(Availability::Unavailable) => " <em>unavailable</em></span>\n",
            Some(Availability::Unknown) => " <em>not asked yet</em></span>\n",
        });
    }

    /// Files beside each other often changed in the same minute.
    fn date(&mut self, row: &Row) -> Option<&str> {
        let minute = row.second()?.div_euclid(60);
        if self.date.as_ref().is_none_or(|(last, _)| *last != minute) {
            self.date = Some((minute, listing_date(row.modified()?)?));
        }
        self.date.as_ref().map(|(_, date)| &date[..])
    }
}

/// The way into an archive, for people only.
fn write_browse(text: &mut String, name: &[u8]) {
    let Some(scheme) = Scheme::of_name(name) else { return };
    let inside = VPath::root().child(name.to_vec()).ok().and_then(|path| path.entered(scheme));
    let Some(segment) = inside.as_ref().and_then(VPath::file_name) else { return };
    // lftp takes the tags away, and the size is a word of its own.
    text.push_str(" <button form=\"go\" formaction=\"");
    text.extend(encode_segment(&segment.printed()));
    text.push_str("/\">browse</button>");
}

/// The exact length as text, and a short one that is shown instead of it.
fn write_size(text: &mut String, len: u64) {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    text.push_str("<b data-h=\"");
    if len < 1024 {
        push_number(text, len, 0);
        text.push_str(" B");
    } else {
        // At most 63 / 10, and whole numbers below 1024.
        let unit = (len.ilog2() / 10) as usize;
        let tenths = (u128::from(len) * 10 / (1 << (10 * unit))) as u64;
        push_number(text, tenths / 10, 0);
        if tenths < 1000 {
            text.push('.');
            push_number(text, tenths % 10, 0);
        }
        text.push(' ');
        text.push_str(UNITS[unit - 1]);
    }
    text.push_str("\">");
    push_number(text, len, LEN_WIDTH);
    text.push_str("</b>");
}

/// The number at the right of so many characters, or of more where it needs them. A row has three; `format!` would take a
/// third of the time of the whole row for them.
fn push_number(text: &mut String, number: u64, width: usize) {
    let mut digits = [0; 20];
    let (mut rest, mut at) = (number, digits.len());
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let digits = &digits[at..];
    text.push_str(&BLANKS[..width.saturating_sub(digits.len())]);
    text.extend(digits.iter().map(|digit| char::from(*digit)));
}

/// What comes after the rows.
pub(super) fn foot(view: &View, shown: &Shown, uploads: Uploads) -> String {
    let mut text = String::from("</pre><hr>\n<footer><span>");
    match shown.count {
        0 if uploads == Uploads::Unseen => text.push_str("What is in this folder is not shown to you"),
        0 if !view.search.is_empty() => text.push_str("Nothing here has such a name"),
        0 => text.push_str("The folder is empty"),
        1 => text.push_str("1 entry"),
        count => write(&mut text, format_args!("{count} entries")),
    }
    text.push_str("</span>");
    if let Some(next) = &shown.next {
        write(&mut text, format_args!("<a rel=\"next\" href=\"{next}\">Next page</a>"));
    } else if view.limit.is_none() && shown.count > MANY_ROWS {
        text.push_str("<form>");
        write_hidden(&mut text, view, &["q", "sort", "order"]);
        let words = format_args!(
            "<button name=\"limit\" value=\"{FEW_ROWS}\">Show {FEW_ROWS} on a page</button></form>"
        );
        write(&mut text, words);
    }
    text.push_str("</footer>\n");
    if uploads != Uploads::Refused {
        text.push_str(
            "<form id=\"up\" method=\"post\" enctype=\"multipart/form-data\">\
             <label><input type=\"checkbox\" name=\"replace\" value=\"yes\"> Replace files of the same name</label>\
             <input type=\"file\" name=\"file\" multiple required aria-label=\"Files\"><button>Upload</button>\
             <span>or drop files here</span><progress value=\"0\" hidden></progress>\
             <output aria-live=\"polite\"></output></form>\n\
             <form id=\"new\" method=\"post\" enctype=\"multipart/form-data\"><input type=\"text\" name=\"folder\" required \
             placeholder=\"New folder\" aria-label=\"New folder\"><button>Create</button></form>\n",
        );
    }
    text.push_str("<script>");
    text.push_str(SCRIPT);
    text.push_str("</script>\n</body>\n</html>\n");
    text
}

/// What comes after the rows where these break off. The page does not end.
pub(super) fn break_note(error: &Error) -> String {
    let mut text = String::from("</pre><hr><p>This is not all, and the rest cannot be had: ");
    write_markup(&mut text, error.kind().as_str().as_bytes());
    // Such a detail speaks of the content alone, and of nothing that is the server's own.
    let is_about_content = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated);
    if let Some(detail) = error.detail().filter(|_| is_about_content) {
        text.push_str(": ");
        write_markup(&mut text, detail.as_bytes());
    }
    text.push_str("</p>\n");
    text
}

/// What a page has shown.
pub(super) struct Shown {
    /// Rows.
    pub(super) count: usize,
    /// Where it goes on, as a link's text in a page.
    pub(super) next: Option<String>,
}

/// The link to the page after the one that ends with this row.
pub(super) fn next(view: &View, order: &Order, name: &[u8], row: &Row) -> String {
    let mut link = format!("?limit={}&amp;sort={}", view.limit.unwrap_or(FEW_ROWS), view.sort.name());
    if view.is_descending {
        link.push_str("&amp;order=desc");
    }
    if !view.search.is_empty() {
        write(&mut link, format_args!("&amp;q={}", encode_segment(view.search.as_bytes())));
    }
    if let Some(value) = order.value(row) {
        write(&mut link, format_args!("&amp;value={value}"));
    }
    let slash = if row.is_dir { "/" } else { "" };
    write(&mut link, format_args!("&amp;after={}{slash}", encode_segment(&printed_name(name))));
    link
}

/// Names are hostile: control bytes and what is no UTF-8 come escaped, and nothing opens or closes a tag. Gives the
/// number of characters that are seen.
fn write_markup(text: &mut String, name: &[u8]) -> usize {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !b"&<>\"'\\".contains(byte);
    if let Ok(plain) = std::str::from_utf8(name)
        && name.iter().all(is_plain)
    {
        text.push_str(plain);
        return plain.len();
    }
    let mut width = 0;
    for character in shown(name).chars() {
        width += 1;
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            character => text.push(character),
        }
    }
    width
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let mut three = [0; 4];
        three[1..=piece.len()].copy_from_slice(piece);
        let bits = u32::from_be_bytes(three);
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= piece.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_the_standard_has_it() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn sizes_are_short_for_people_and_exact_as_text() {
        for (len, short) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (102_400, "100 KiB"),
            (1024 * 1024 - 1, "1023 KiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            let mut text = String::new();
            write_size(&mut text, len);
            assert_eq!(text, format!("<b data-h=\"{short}\">{len:>19}</b>"));
        }
    }

    #[test]
    fn archives_have_a_way_in() {
        for (name, href) in [
            ("a.tgz", Some("a.tgz%23tgz:")),
            ("A.TAR.GZ", Some("A.TAR.GZ%23tgz:")),
            ("odd#.zip", Some("odd%23.zip%23zip:")),
            ("a.tar", Some("a.tar%23tar:")),
            (".zip", None),
            ("zip", None),
            ("a.gz", None),
        ] {
            let mut text = String::new();
            write_browse(&mut text, name.as_bytes());
            let found = text.split("formaction=\"").nth(1).and_then(|rest| rest.split("/\"").next());
            assert_eq!(found.map(|found| found.replace("%3A", ":")).as_deref(), href, "{name}");
        }
    }
}
