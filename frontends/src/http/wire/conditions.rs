//! Conditional requests (RFC 9110 §13): the fields, and what they say of a file.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use vfs::Validator;

use super::dates::{parse_http_date, whole_seconds};

/// A file that changed less than this long ago may change again within the same second, so its date proves nothing
/// (RFC 9110 §8.8.2.2).
const STRONG_DATE_AGE: Duration = Duration::from_secs(1);

/// The conditions of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::http) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
    if_modified_since: Option<SystemTime>,
    if_unmodified_since: Option<SystemTime>,
    if_range: Option<IfRange>,
}

/// What conditions say of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Verdict {
    /// They hold.
    Proceed,
    /// The peer has it already: 304.
    NotModified,
    /// They do not hold: 412.
    Failed,
}

/// A range is wanted only of this very content.
#[derive(Clone, Debug, PartialEq, Eq)]
enum IfRange {
    /// With this tag.
    Tag(Validator),
    /// Of this date.
    Date(SystemTime),
    /// It says neither, so it holds for nothing.
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    Any,
    List(Vec<Validator>),
}

impl Conditions {
    /// Reads the conditions of a request; dates that are none do not bind (RFC 9110 §13.1.3, §13.1.4).
    pub(in crate::http) fn read(headers: &HeaderMap) -> Self {
        let date = |name| {
            let mut values = headers.get_all(name).iter();
            let date = values.next().and_then(|value| parse_http_date(value.as_bytes()))?;
            values.next().is_none().then_some(date)
        };
        Self {
            if_match: parse_tags(headers, &IF_MATCH),
            if_none_match: parse_tags(headers, &IF_NONE_MATCH),
            if_modified_since: date(&IF_MODIFIED_SINCE),
            if_unmodified_since: date(&IF_UNMODIFIED_SINCE),
            if_range: headers.get(IF_RANGE).map(|value| parse_if_range(value.as_bytes())),
        }
    }

    /// Judges a file that exists, for GET and HEAD, in the order of RFC 9110 §13.2.2.
    pub(in crate::http) fn judge(
        &self,
        validator: Option<&Validator>,
        modified: Option<SystemTime>,
    ) -> Verdict {
        let modified = modified.map(whole_seconds);
        let kept = match (&self.if_match, self.if_unmodified_since, modified) {
            (Some(tags), _, _) => tags.matches(|tag| validator.is_some_and(|own| own.matches_strongly(tag))),
            (None, Some(date), Some(modified)) => modified <= date,
            (None, _, _) => true,
        };
        if !kept {
            return Verdict::Failed;
        }
        let changed = match (&self.if_none_match, self.if_modified_since, modified) {
            (Some(tags), _, _) => {
                !tags.matches(|tag| validator.is_some_and(|own| own.as_str() == tag.as_str()))
            }
            (None, Some(date), Some(modified)) => modified > date,
            (None, _, _) => true,
        };
        if changed { Verdict::Proceed } else { Verdict::NotModified }
    }

    /// True where a change may be made, in the order of RFC 9110 §13.2.2. `found` is what is there, if anything.
    pub(in crate::http) fn allow_change(
        &self,
        found: Option<(Option<&Validator>, Option<SystemTime>)>,
    ) -> bool {
        let own = found.and_then(|(validator, _)| validator);
        let modified = found.and_then(|(_, modified)| modified).map(whole_seconds);
        let is_there = found.is_some();
        let kept = match (&self.if_match, self.if_unmodified_since, modified) {
            (Some(tags), _, _) => {
                is_there && tags.matches(|tag| own.is_some_and(|own| own.matches_strongly(tag)))
            }
            (None, Some(date), Some(modified)) => modified <= date,
            (None, _, _) => true,
        };
        let is_known = self.if_none_match.as_ref().is_some_and(|tags| {
            is_there && tags.matches(|tag| own.is_some_and(|own| own.as_str() == tag.as_str()))
        });
        kept && !is_known
    }

    /// True where nothing may be there yet: `If-None-Match: *`.
    pub(in crate::http) fn wants_new(&self) -> bool {
        self.if_none_match == Some(Tags::Any)
    }

    /// True where a certain version must be there: `If-Match` with tags.
    pub(in crate::http) fn wants_version(&self) -> bool {
        matches!(self.if_match, Some(Tags::List(_)))
    }

    /// True where a range may be served: `If-Range` is missing, or names the file with a strong tag or a strong date.
    pub(in crate::http) fn allows_range(
        &self,
        validator: Option<&Validator>,
        modified: Option<SystemTime>,
        now: SystemTime,
    ) -> bool {
        match &self.if_range {
            None => true,
            Some(IfRange::Tag(tag)) => validator.is_some_and(|own| own.matches_strongly(tag)),
            Some(IfRange::Date(date)) => modified.map(whole_seconds).is_some_and(|modified| {
                modified == *date && now.duration_since(modified).is_ok_and(|age| age >= STRONG_DATE_AGE)
            }),
            Some(IfRange::Nothing) => false,
        }
    }
}

impl Tags {
    fn matches(&self, matches: impl Fn(&Validator) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().any(matches),
        }
    }
}

/// The tag as a header has it; `None` for a text that a tag cannot hold (RFC 9110 §8.8.3: no quotes, spaces or control
/// bytes).
pub(in crate::http) fn entity_tag(validator: &Validator) -> Option<String> {
    let text = validator.as_str();
    let holds = text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..));
    holds.then(|| match validator {
        Validator::Strong(_) => ["\"", text, "\""].concat(),
        Validator::Weak(_) => ["W/\"", text, "\""].concat(),
    })
}

fn parse_tags(headers: &HeaderMap, name: &http::HeaderName) -> Option<Tags> {
    let mut tags = Vec::new();
    for value in headers.get_all(name) {
        let mut rest = value.as_bytes().trim_ascii();
        if rest == b"*" {
            return Some(Tags::Any);
        }
        // A list that breaks off holds what came before.
        while let Some((tag, after)) = parse_tag(rest) {
            tags.push(tag);
            rest = after.trim_ascii_start();
            while let Some(after) = rest.strip_prefix(b",") {
                rest = after.trim_ascii_start();
            }
        }
    }
    headers.contains_key(name).then_some(Tags::List(tags))
}

/// One tag, and what follows it. A text that is no UTF-8 was never sent by us: it is kept as one that matches nothing.
fn parse_tag(text: &[u8]) -> Option<(Validator, &[u8])> {
    let (weak, rest) = match text.strip_prefix(b"W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let rest = rest.strip_prefix(b"\"")?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    let text = String::from_utf8_lossy(&rest[..end]).into();
    let tag = if weak { Validator::Weak(text) } else { Validator::Strong(text) };
    Some((tag, &rest[end + 1..]))
}

fn parse_if_range(value: &[u8]) -> IfRange {
    let value = value.trim_ascii();
    match (parse_tag(value), parse_http_date(value)) {
        (Some((tag, b"")), _) => IfRange::Tag(tag),
        (None, Some(date)) => IfRange::Date(date),
        (Some(_), _) | (None, None) => IfRange::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::{HeaderName, HeaderValue};

    use super::*;

    const OLDER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEWER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn modified() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(784_111_777_500)
    }

    fn conditions(fields: &[(&str, &str)]) -> Conditions {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        Conditions::read(&headers)
    }

    fn strong() -> Validator {
        Validator::Strong("v".into())
    }

    #[test]
    fn conditions_are_judged_in_their_order() {
        use Verdict::{Failed, NotModified, Proceed};
        for (fields, verdict) in [
            (&[][..], Proceed),
            (&[("if-none-match", "\"v\"")], NotModified),
            (&[("if-none-match", "W/\"v\"")], NotModified),
            (&[("if-none-match", "\"a\", ,W/\"b\",\"v\"")], NotModified),
            (&[("if-none-match", "\"a\""), ("if-none-match", "\"v\"")], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "\"w\"")], Proceed),
            (&[("if-none-match", "v")], Proceed),
            (&[("if-none-match", "\"v")], Proceed),
            (&[("if-none-match", "\"a,v\"")], Proceed),
            (&[("if-modified-since", SAME)], NotModified),
            (&[("if-modified-since", NEWER)], NotModified),
            (&[("if-modified-since", OLDER)], Proceed),
            (&[("if-modified-since", "yesterday")], Proceed),
            (&[("if-modified-since", SAME), ("if-modified-since", SAME)], Proceed),
            // The tag decides where there is one.
            (&[("if-none-match", "\"w\""), ("if-modified-since", NEWER)], Proceed),
            (&[("if-none-match", "\"v\""), ("if-modified-since", OLDER)], NotModified),
            (&[("if-match", "\"v\"")], Proceed),
            (&[("if-match", "*")], Proceed),
            (&[("if-match", "\"w\"")], Failed),
            (&[("if-match", "W/\"v\"")], Failed),
            (&[("if-match", "v")], Failed),
            (&[("if-unmodified-since", SAME)], Proceed),
            (&[("if-unmodified-since", OLDER)], Failed),
            (&[("if-unmodified-since", "yesterday")], Proceed),
            (&[("if-match", "\"v\""), ("if-unmodified-since", OLDER)], Proceed),
            (&[("if-match", "\"w\""), ("if-unmodified-since", NEWER)], Failed),
            // What must hold comes before what the peer has already.
            (&[("if-match", "\"w\""), ("if-none-match", "\"v\"")], Failed),
            (&[("if-match", "\"v\""), ("if-none-match", "\"v\"")], NotModified),
            (&[("if-unmodified-since", OLDER), ("if-modified-since", NEWER)], Failed),
        ] {
            assert_eq!(conditions(fields).judge(Some(&strong()), Some(modified())), verdict, "{fields:?}");
        }
    }

    #[test]
    fn a_file_without_tag_or_date_matches_no_tag_and_no_date() {
        for (fields, verdict) in [
            (("if-match", "\"v\""), Verdict::Failed),
            (("if-match", "*"), Verdict::Proceed),
            (("if-none-match", "\"v\""), Verdict::Proceed),
            (("if-none-match", "*"), Verdict::NotModified),
            (("if-modified-since", NEWER), Verdict::Proceed),
            (("if-unmodified-since", OLDER), Verdict::Proceed),
        ] {
            assert_eq!(conditions(&[fields]).judge(None, None), verdict, "{fields:?}");
        }
    }

    #[test]
    fn a_range_needs_a_strong_validator() {
        let (weak, strong) = (Validator::Weak("v".into()), strong());
        let later = modified() + Duration::from_secs(60);
        for (value, own, now, allowed) in [
            ("\"v\"", &strong, later, true),
            ("\"w\"", &strong, later, false),
            ("W/\"v\"", &strong, later, false),
            ("\"v\"", &weak, later, false),
            ("W/\"v\"", &weak, later, false),
            ("\"v\", \"w\"", &strong, later, false),
            (SAME, &weak, later, true),
            (SAME, &strong, modified(), false),
            (SAME, &strong, UNIX_EPOCH, false),
            (OLDER, &strong, later, false),
            (NEWER, &strong, later, false),
            ("", &strong, later, false),
            ("v", &strong, later, false),
        ] {
            let allows = conditions(&[("if-range", value)]).allows_range(Some(own), Some(modified()), now);
            assert_eq!(allows, allowed, "{value:?}");
        }
        assert!(conditions(&[]).allows_range(None, None, later));
        assert!(!conditions(&[("if-range", SAME)]).allows_range(None, None, later));
    }

    #[test]
    fn a_tag_holds_no_quotes_spaces_or_control_bytes() {
        for (validator, tag) in [
            (Validator::Strong("a-1".into()), Some("\"a-1\"")),
            (Validator::Weak("a-1".into()), Some("W/\"a-1\"")),
            (Validator::Strong("a\"b".into()), None),
            (Validator::Strong("a b".into()), None),
            (Validator::Strong("a\nb".into()), None),
        ] {
            assert_eq!(entity_tag(&validator).as_deref(), tag, "{validator:?}");
        }
    }
}
