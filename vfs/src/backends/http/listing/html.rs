//! Rows of an HTML page: of `<pre>`, of tables, of lists, or of links one after another.
//!
//! A page without a [dialect](super::dialects)'s signs is a listing where its rows begin with a link to the parent, which
//! is called so: any page may have a way back somewhere.

use super::dialects::{BEGINNING, Dialect, dialect_of};
use super::facts::{any_time, told};
use super::row::{Row, Size};
use super::tokens::{Tag, Token, Tokens};

/// Bytes of one row's text that are kept at most.
const ROW_BYTES: usize = 4 * 1024;

/// Links of one row that are kept at most.
const ROW_LINKS: usize = 8;

/// Makes rows of a page while it comes.
#[derive(Debug, Default)]
pub(super) struct HtmlRows {
    tokens: Tokens,
    /// The page's beginning in lower case, until its dialect is known or it is no longer looked at.
    beginning: String,
    dialect: Option<&'static Dialect>,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    row: Building,
    /// Depth of `<pre>`: line ends part rows.
    pre: usize,
    /// Depth of tables and lists.
    frames: usize,
    in_link: bool,
    /// What the link is called that leads to the parent, as far as it has come.
    way_up: Option<String>,
    has_parent_link: bool,
    /// `<html>` or `<body>` has begun.
    has_begun: bool,
    /// And ended.
    has_ended: bool,
}

/// A row that is not complete yet.
#[derive(Debug, Default)]
struct Building {
    links: Vec<Vec<u8>>,
    text: String,
    size: Option<Size>,
    time: Option<String>,
    is_dir: bool,
}

impl HtmlRows {
    pub(super) fn feed(&mut self, bytes: &[u8], rows: &mut Vec<Row>) {
        let state = &mut self.state;
        self.tokens.feed(bytes, |token| state.take(token, rows));
        if self.dialect.is_none() && self.beginning.len() < BEGINNING {
            self.beginning.push_str(&String::from_utf8_lossy(bytes).to_ascii_lowercase());
            self.dialect = dialect_of(&self.beginning);
            tracing::trace!(dialect = self.dialect.map(|dialect| dialect.name), "reads a page");
        }
    }

    pub(super) fn finish(&mut self, rows: &mut Vec<Row>) {
        let state = &mut self.state;
        self.tokens.finish(|token| state.take(token, rows));
        self.state.end_row(rows);
    }

    pub(super) fn is_listing(&self) -> bool {
        self.dialect.is_some() || self.state.has_parent_link
    }

    /// False where the end of the page is missing; nothing is missed where its server is not known to write one.
    pub(super) fn is_whole(&self) -> bool {
        let has_end = self.dialect.is_some_and(|dialect| dialect.has_end);
        !(has_end && self.state.has_begun) || self.state.has_ended
    }
}

impl State {
    fn take(&mut self, token: Token, rows: &mut Vec<Row>) {
        match token {
            Token::Open(tag) => self.open(&tag, rows),
            Token::Close(name) => match &name[..] {
                "a" => self.end_link(),
                "pre" => {
                    self.end_row(rows);
                    self.pre = self.pre.saturating_sub(1);
                }
                "tr" | "li" => self.end_row(rows),
                "table" | "ul" | "ol" => {
                    self.end_row(rows);
                    self.frames = self.frames.saturating_sub(1);
                }
                "html" | "body" => self.has_ended = true,
                "td" | "th" => self.row.add(" "),
                _ => {}
            },
            Token::Text(text) => self.text(&String::from_utf8_lossy(&text), rows),
        }
    }

    fn open(&mut self, tag: &Tag, rows: &mut Vec<Row>) {
        match &tag.name[..] {
            "pre" => self.pre += 1,
            "table" | "ul" | "ol" => self.frames += 1,
            "html" | "body" => self.has_begun = true,
            "tr" | "li" | "hr" | "br" => self.end_row(rows),
            "a" => {
                self.end_link();
                if let Some(link) = tag.bytes("href") {
                    self.link(link, rows);
                }
                self.in_link = true;
            }
            "time" => self.row.time = tag.attribute("datetime").map(str::to_owned),
            "td" | "data" => self.row.cell(tag),
            _ => {}
        }
    }

    fn link(&mut self, link: &[u8], rows: &mut Vec<Row>) {
        // Links that nothing else parts are rows of their own; an icon's link and its name's are one.
        let is_own_row =
            self.pre == 0 && self.row.text.is_empty() && self.row.links.last().is_some_and(|l| l != link);
        if is_own_row {
            self.end_row(rows);
        }
        let is_up = matches!(link, b"../" | b".." | b"./..") && self.pre + self.frames > 0;
        self.way_up = is_up.then(String::new);
        if self.row.links.len() < ROW_LINKS {
            self.row.links.push(link.to_owned());
        }
    }

    fn end_link(&mut self) {
        self.in_link = false;
        self.has_parent_link |= self.way_up.take().is_some_and(|words| leads_up(&words));
    }

    fn text(&mut self, text: &str, rows: &mut Vec<Row>) {
        if let Some(words) = self.way_up.as_mut().filter(|words| words.len() + text.len() <= ROW_BYTES) {
            words.push_str(text);
        }
        if self.in_link {
            return;
        }
        if self.pre == 0 {
            return self.row.add(text);
        }
        let mut lines = text.split('\n');
        self.row.add(lines.next().unwrap_or_default());
        for line in lines {
            self.end_row(rows);
            self.row.add(line);
        }
    }

    fn end_row(&mut self, rows: &mut Vec<Row>) {
        let row = std::mem::take(&mut self.row);
        self.end_link();
        if !row.links.is_empty() {
            rows.push(row.finished());
        }
    }
}

impl Building {
    fn add(&mut self, text: &str) {
        if self.text.len() + text.len() <= ROW_BYTES {
            self.text.push_str(text);
        }
    }

    /// A cell that tells a machine what it shows to people. A cell of less than nothing is a folder's.
    fn cell(&mut self, tag: &Tag) {
        let value = ["data-order", "data-sort", "data-value", "data-size", "value"]
            .iter()
            .find_map(|name| tag.attribute(name));
        match value {
            Some("-1") => self.is_dir = true,
            Some(value) if self.size.is_none() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.size = value.parse().ok().map(Size::Exact);
            }
            _ => {}
        }
    }

    fn finished(self) -> Row {
        let told = told(&self.text);
        Row {
            links: self.links,
            name: None,
            is_dir: self.is_dir || told.is_dir,
            size: self.size.or(told.size),
            modified: self.time.as_deref().and_then(any_time).or(told.modified),
        }
    }
}

/// True for what listings call the link to the parent.
fn leads_up(words: &str) -> bool {
    let words = words.trim().to_ascii_lowercase();
    words.starts_with("..") || words.contains("parent") || words.split_whitespace().any(|word| word == "up")
}
