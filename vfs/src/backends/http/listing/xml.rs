//! Rows of an XML listing: nginx's, and what object stores send for a bucket.

use super::facts::rfc3339;
use super::row::{Row, Size};
use super::tokens::{Tag, Token, Tokens};

/// Makes rows of a document while it comes.
#[derive(Debug, Default)]
pub(super) struct XmlRows {
    tokens: Tokens,
    is_listing: bool,
    /// The row whose name is to come.
    row: Option<Row>,
}

impl XmlRows {
    pub(super) fn feed(&mut self, bytes: &[u8], rows: &mut Vec<Row>) {
        let Self { tokens, is_listing, row } = self;
        tokens.feed(bytes, |token| match token {
            Token::Open(tag) if tag.name == "list" => *is_listing = true,
            Token::Open(tag) => *row = begun(&tag),
            Token::Text(text) => {
                if let Some(row) = row {
                    row.name.get_or_insert_default().push_str(&text);
                }
            }
            Token::Close(_) => rows.extend(row.take().filter(|row| row.name.is_some())),
        });
    }

    pub(super) fn is_listing(&self) -> bool {
        self.is_listing
    }
}

/// nginx: `<file mtime="2024-02-29T12:34:56Z" size="1234">name</file>`, `<directory mtime="…">name</directory>`.
fn begun(tag: &Tag) -> Option<Row> {
    let is_dir = tag.name == "directory";
    (is_dir || tag.name == "file").then(|| Row {
        is_dir,
        size: tag.attribute("size").and_then(|size| size.parse().ok()).map(Size::Exact),
        modified: tag.attribute("mtime").and_then(rfc3339),
        ..Row::default()
    })
}
