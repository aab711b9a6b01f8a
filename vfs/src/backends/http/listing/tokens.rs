//! Markup, cut into tags and text while it comes. Knows no dialect; what is broken is text or is left out.

/// Bytes of one tag or comment that are kept at most; a longer one is left out.
const TAG_BYTES: usize = 16 * 1024;

/// Bytes of one entity at most; what is longer is text.
const ENTITY_BYTES: usize = 16;

/// Bytes of text that are gathered before they are given.
const TEXT_BYTES: usize = 4 * 1024;

/// A piece of a page, entities resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// As it was sent: what is no UTF-8 stays as it is.
    Text(Vec<u8>),
    Open(Tag),
    /// The name of a tag that ends, in lower case.
    Close(String),
}

/// A tag that begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tag {
    /// In lower case.
    pub(super) name: String,
    /// Names in lower case; values as they were sent, entities resolved.
    pub(super) attributes: Vec<(String, Vec<u8>)>,
}

impl Tag {
    /// The value of the attribute `name`, which may hold any bytes.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.attributes.iter().find(|(found, _)| found == name).map(|(_, value)| &value[..])
    }

    /// The value of the attribute `name`, where that is text.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes(name)?).ok()
    }
}

/// Cuts; fed with bytes as they come.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    held: Vec<u8>,
    /// Inside of `<script>` or `<style>`: only its end counts.
    raw: Option<&'static str>,
}

impl Tokens {
    /// Cuts what has come so far.
    pub(super) fn feed(&mut self, bytes: &[u8], mut give: impl FnMut(Token)) {
        self.held.extend_from_slice(bytes);
        let mut at = 0;
        while at < self.held.len() {
            let rest = &self.held[at..];
            let taken = match self.raw {
                Some(name) => raw_len(rest, name).inspect(|_| self.raw = None),
                None if rest[0] == b'<' => tag_len(rest).inspect(|len| {
                    if let Some(token) = parse_tag(&rest[..*len]) {
                        self.raw = raw_content(&token);
                        give(token);
                    }
                }),
                None => text_len(rest).inspect(|len| give(Token::Text(resolved(&rest[..*len])))),
            };
            match taken {
                Some(len) => at += len,
                None => break,
            }
        }
        self.held.drain(..at);
        if self.held.len() > TAG_BYTES {
            self.held.clear();
        }
    }

    /// Gives the text that no tag ended.
    pub(super) fn finish(&mut self, mut give: impl FnMut(Token)) {
        let held = std::mem::take(&mut self.held);
        if self.raw.is_none() && held.first().is_some_and(|first| *first != b'<') {
            give(Token::Text(resolved(&held)));
        }
    }
}

fn raw_content(token: &Token) -> Option<&'static str> {
    match token {
        Token::Open(tag) if tag.name == "script" => Some("</script"),
        Token::Open(tag) if tag.name == "style" => Some("</style"),
        _ => None,
    }
}

/// Bytes up to the tag that ends raw content; all but what may be its beginning, where it has not come yet.
fn raw_len(rest: &[u8], end: &str) -> Option<usize> {
    rest.windows(end.len()).position(|window| window.eq_ignore_ascii_case(end.as_bytes()))
}

fn text_len(rest: &[u8]) -> Option<usize> {
    let end = rest.iter().position(|byte| *byte == b'<');
    // An entity or a character may be cut in two at the end of what has come.
    end.or((rest.len() > TEXT_BYTES).then(|| rest.len() - 64))
}

/// Length of the tag or comment at the start of `rest`, where it has come whole.
fn tag_len(rest: &[u8]) -> Option<usize> {
    if rest.starts_with(b"<!--") {
        return rest[4..].windows(3).position(|window| window == b"-->").map(|at| at + 7);
    }
    if rest.len() >= 2 && !(rest[1].is_ascii_alphabetic() || b"/!?".contains(&rest[1])) {
        return Some(1);
    }
    let mut quote = None;
    for (at, byte) in rest.iter().enumerate().skip(1) {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            // A quote opens a value only behind "=": names with an apostrophe stand in tags of broken pages.
            (None, b'"' | b'\'') if rest[..at].trim_ascii_end().ends_with(b"=") => quote = Some(*byte),
            (Some(open), byte) if *byte == open => quote = None,
            _ => {}
        }
    }
    None
}

fn parse_tag(text: &[u8]) -> Option<Token> {
    let inner = text.strip_prefix(b"<")?.strip_suffix(b">")?;
    if let Some(name) = inner.strip_prefix(b"/") {
        return Some(Token::Close(name_in(name).0));
    }
    let (name, mut rest) = name_in(inner);
    // A comment, a declaration or an instruction.
    if name.is_empty() || name.starts_with(['!', '?']) {
        return None;
    }
    let mut attributes = Vec::new();
    loop {
        rest = skip(rest, |byte| byte.is_ascii_whitespace() || byte == b'/');
        if rest.is_empty() {
            return Some(Token::Open(Tag { name, attributes }));
        }
        let (key, after) = split(rest, |byte| byte.is_ascii_whitespace() || byte == b'=');
        let after = after.trim_ascii_start();
        let (value, next) = match after.strip_prefix(b"=") {
            Some(value) => value_in(value.trim_ascii_start()),
            None => (&b""[..], after),
        };
        // A stray "=" has no name: it is skipped, so that each turn gets on.
        let next = if key.is_empty() && next.len() == rest.len() { &rest[1..] } else { next };
        if !key.is_empty() {
            attributes.push((String::from_utf8_lossy(key).to_ascii_lowercase(), resolved(value)));
        }
        rest = next;
    }
}

fn name_in(text: &[u8]) -> (String, &[u8]) {
    let (name, rest) = split(text, |byte| byte.is_ascii_whitespace() || byte == b'/');
    (String::from_utf8_lossy(name).to_ascii_lowercase(), rest)
}

fn value_in(text: &[u8]) -> (&[u8], &[u8]) {
    match text.first() {
        Some(quote @ (b'"' | b'\'')) => {
            let (value, rest) = split(&text[1..], |byte| byte == *quote);
            (value, rest.get(1..).unwrap_or_default())
        }
        _ => split(text, |byte| byte.is_ascii_whitespace()),
    }
}

fn split(text: &[u8], at: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| at(*byte)).unwrap_or(text.len()))
}

fn skip(text: &[u8], what: impl Fn(u8) -> bool) -> &[u8] {
    split(text, |byte| !what(byte)).1
}

/// Text with its entities resolved: the five of XML, `&nbsp;`, and numbers. Others stay as they are.
fn resolved(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut buffer = [0; 4];
    while let Some(at) = rest.iter().position(|byte| *byte == b'&') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let end = rest.iter().take(ENTITY_BYTES).position(|byte| *byte == b';');
        let found = end.and_then(|end| Some((entity(std::str::from_utf8(&rest[1..end]).ok()?)?, end + 1)));
        match found {
            Some((character, len)) => {
                out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                rest = &rest[len..];
            }
            None => {
                out.push(b'&');
                rest = &rest[1..];
            }
        }
    }
    out.extend_from_slice(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        "mdash" => Some('-'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    fn cut(page: &str, piece: usize) -> Vec<Token> {
        let mut tokens = Tokens::default();
        let mut found: Vec<Token> = Vec::new();
        let mut give = |token| match (found.last_mut(), token) {
            (Some(Token::Text(before)), Token::Text(text)) => before.extend(text),
            (_, token) => found.push(token),
        };
        page.as_bytes().chunks(piece).for_each(|bytes| tokens.feed(bytes, &mut give));
        tokens.finish(&mut give);
        found
    }

    #[test]
    fn a_page_is_cut_alike_however_it_comes() {
        let page = "<!DOCTYPE html><!-- <a href='no'> --><A HREF=\"x&amp;y>z\" b=c d>a &lt; b &amp c&#x41;&#66;</A >\
                    <script>if (a < b) '</a>'</script><img/><a =x href = 'it'>1 < 2";
        let text = |text: &str| Token::Text(text.as_bytes().to_vec());
        let expected = cut(page, page.len());
        assert!(expected.contains(&text("a < b &amp cAB")), "{expected:?}");
        let Token::Open(link) = &expected[0] else { panic!("{expected:?}") };
        assert_eq!((link.attribute("href"), link.attribute("b")), (Some("x&y>z"), Some("c")));
        assert!(!expected.iter().any(|token| matches!(token, Token::Text(text) if text.starts_with(b"if"))));
        for piece in [1, 2, 3, 7, 64] {
            assert_eq!(cut(page, piece), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn what_never_ends_is_not_held() {
        let mut tokens = Tokens::default();
        for _ in 0..100 {
            tokens.feed(&[b'x'; 1024], |_| {});
            tokens.feed(b"<a href=\"", |_| {});
            tokens.feed(&[b'y'; 1024], |_| {});
            assert!(tokens.held.len() <= TAG_BYTES);
        }
    }
}
