//! Rows for programs: nginx's words in JSON.

use vfs::path::printed_name;

use super::rows::{Row, shown};
use super::write;
use crate::http::wire::{encode_segment, http_date};

/// One entry in the words of nginx's `autoindex_format json`, and where it is.
pub(super) fn write_object(text: &mut String, name: &[u8], row: &Row) {
    let printed = printed_name(name);
    let (kind, slash) = if row.is_dir { ("directory", "/") } else { ("file", "") };
    text.push_str("{ \"name\":\"");
    match std::str::from_utf8(&printed) {
        Ok(name) => write_json(text, name),
        // No JSON text can hold it: `href` tells.
        Err(_) => write_json(text, &shown(&printed)),
    }
    write(text, format_args!("\", \"type\":\"{kind}\""));
    if let Some(date) = row.modified().and_then(http_date) {
        write(text, format_args!(", \"mtime\":\"{date}\""));
    }
    if let Some(len) = row.len() {
        write(text, format_args!(", \"size\":{len}"));
    }
    write(text, format_args!(", \"href\":\"{}{slash}\" }}", encode_segment(&printed)));
}

/// The inside of a JSON string (RFC 8259 §7).
fn write_json(text: &mut String, name: &str) {
    for character in name.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{7f}' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                write(text, format_args!("\\u{:04x}", u32::from(character)));
            }
            character => text.push(character),
        }
    }
}
