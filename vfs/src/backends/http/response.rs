//! What an answer means: which bytes of which version its body holds, if any. Pure.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderName,
    HeaderValue, LAST_MODIFIED, TRANSFER_ENCODING,
};

use super::caching;
use crate::metadata::{Caching, FileType, Identity, Metadata, Validator};
use crate::options::{ByteRange, Held};

/// How much older than its answer a `Last-Modified` must be to be a strong validator (RFC 9110 §8.8.2.2).
const STRONG_DATE_AGE: Duration = Duration::from_secs(60);

/// What an answer says about its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Length of the whole file.
    pub(super) len: Option<u64>,
    pub(super) version: Version,
    pub(super) content_type: Option<Arc<str>>,
    /// What it says about being kept.
    pub(super) caching: Caching,
    /// How long the answer lay in caches on its way.
    pub(super) age: Option<Duration>,
}

/// What tells one version of a file from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) tag: Option<Validator>,
    pub(super) modified: Option<SystemTime>,
    /// The date alone is enough to put ranges together.
    pub(super) is_date_strong: bool,
}

/// What the heads of two answers tell about whether they are of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// A strong validator in both says so: their bytes may be put together (RFC 9110 §15.3.7.3).
    Same,
    /// What both say is the same, and too weak to put bytes together.
    Alike,
    /// Something that both say is not the same.
    Other,
    /// They say nothing that could be compared.
    Unknown,
}

/// Where in the file an answer's body lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) start: u64,
    /// The byte after the last one, where it is stated.
    pub(super) end: Option<u64>,
}

/// Why an answer is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Both `Content-Length` and `Transfer-Encoding` (RFC 9112 §6.3): somebody on the way may have read it otherwise.
    TwoLengths,
    /// A coding that was not asked for, of the file or of the transfer.
    Coded(String),
    /// A part, though the whole was asked for.
    UnaskedPart,
    /// A part without a `Content-Range` that can be read.
    NoContentRange,
    /// Several parts, though one was asked for: the site has its own idea of ranges.
    ManyParts,
    /// Another part than the one asked for.
    OtherPart { asked: ByteRange, start: u64, end: u64 },
    /// A part whose numbers contradict each other.
    Contradiction,
    /// Nothing by which it could be told that it is of the version that is being read.
    Unnamed,
}

/// Reads the head of an answer with status 200 or 206 to a request for `asked`; `None`: the whole was asked for.
/// `is_packed` says that the file's name is that of a gzip file.
///
/// # Errors
/// Why it is not believed.
pub(super) fn read(
    status: StatusCode,
    headers: &HeaderMap,
    asked: Option<ByteRange>,
    is_packed: bool,
) -> Result<(Facts, Placed), Fault> {
    refuse_coding(headers, is_packed)?;
    if headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING) {
        return Err(Fault::TwoLengths);
    }
    let len = content_length(headers);
    let facts = |len| Facts {
        len,
        version: version_of(headers),
        content_type: text(headers, CONTENT_TYPE),
        caching: caching::of(headers),
        age: caching::age(headers),
    };
    if status != StatusCode::PARTIAL_CONTENT {
        return Ok((facts(len), Placed { start: 0, end: len }));
    }
    let asked = asked.ok_or(Fault::UnaskedPart)?;
    // RFC 9110 §15.3.7.2: for one range that is not allowed, and some do it.
    if text(headers, CONTENT_TYPE).is_some_and(|media| is_of_many_parts(&media)) {
        return Err(Fault::ManyParts);
    }
    let range = headers.get(CONTENT_RANGE).ok_or(Fault::NoContentRange)?;
    let (start, end, total) = parse_content_range(range.as_bytes()).ok_or(Fault::NoContentRange)?;
    if start != asked.start || asked.end.is_some_and(|wanted| end > wanted) {
        return Err(Fault::OtherPart { asked, start, end });
    }
    let fits = len.is_none_or(|len| len == end - start) && total.is_none_or(|total| end <= total);
    if !fits {
        return Err(Fault::Contradiction);
    }
    Ok((facts(total), Placed { start, end: Some(end) }))
}

fn is_of_many_parts(media: &str) -> bool {
    media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("multipart/byteranges"))
}

/// Servers that know a file's name as gzip's state the coding of the file itself; its bytes are the file's own then. Of
/// the transfer's codings (RFC 9112 §7) only chunks are undone on the way here.
fn refuse_coding(headers: &HeaderMap, is_packed: bool) -> Result<(), Fault> {
    let is_own = |coding: &str| is_packed && matches!(coding, "gzip" | "x-gzip");
    let foreign = codings(headers, CONTENT_ENCODING)
        .find(|coding| !is_own(coding))
        .or_else(|| codings(headers, TRANSFER_ENCODING).find(|coding| coding != "chunked"));
    foreign.map_or(Ok(()), |coding| Err(Fault::Coded(coding)))
}

/// The codings in a field, in lower case, but for the one that changes nothing.
fn codings(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = String> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|sign| *sign == b','))
        .map(|coding| String::from_utf8_lossy(coding).trim().to_ascii_lowercase())
        .filter(|coding| !(coding.is_empty() || coding == "identity"))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    decimal(headers.get(CONTENT_LENGTH)?.as_bytes())
}

/// `bytes A-B/TOTAL` as (A, B + 1, total); `*` is an unknown total (RFC 9110 §14.4).
fn parse_content_range(value: &[u8]) -> Option<(u64, u64, Option<u64>)> {
    let (unit, rest) = value.split_at_checked(6)?;
    if !unit.eq_ignore_ascii_case(b"bytes ") {
        return None;
    }
    let (span, total) = split_once(rest.trim_ascii(), b'/')?;
    let (first, last) = split_once(span, b'-')?;
    let (start, end) = (decimal(first)?, decimal(last)?.checked_add(1)?);
    let total = if total == b"*" { None } else { Some(decimal(total)?) };
    (start < end).then_some((start, end, total))
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == at)?;
    Some((&text[..at], &text[at + 1..]))
}

/// Digits and nothing else: no sign, no space.
fn decimal(text: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits?.parse().ok()
}

fn version_of(headers: &HeaderMap) -> Version {
    let date = |name| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    let modified: Option<SystemTime> = date(LAST_MODIFIED);
    let age = modified.zip(date(DATE)).and_then(|(modified, now)| now.duration_since(modified).ok());
    Version {
        tag: headers.get(ETAG).and_then(parse_tag),
        modified,
        is_date_strong: age.is_some_and(|age| age >= STRONG_DATE_AGE),
    }
}

/// RFC 9110 §8.8.3; what is not quoted is no tag.
fn parse_tag(value: &HeaderValue) -> Option<Validator> {
    let text = value.to_str().ok()?.trim();
    let (is_weak, quoted) = match text.strip_prefix("W/") {
        Some(quoted) => (true, quoted),
        None => (false, text),
    };
    let opaque = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let valid = opaque.bytes().all(|byte| byte > b' ' && byte != b'"' && byte != 0x7f);
    valid.then(|| if is_weak { Validator::Weak(opaque.into()) } else { Validator::Strong(opaque.into()) })
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<Arc<str>> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty()).map(Arc::from)
}

impl Version {
    /// What `If-Range` says so that only this version is continued; `None` where nothing is strong enough.
    pub(super) fn if_range(&self) -> Option<HeaderValue> {
        match (&self.tag, self.modified) {
            (Some(Validator::Strong(tag)), _) => HeaderValue::from_str(&format!("\"{tag}\"")).ok(),
            // RFC 9110 §13.1.5: a weak tag must not be used, and the date is no better where one is there.
            (None, Some(modified)) if self.is_date_strong => {
                HeaderValue::from_str(&httpdate::fmt_http_date(modified)).ok()
            }
            _ => None,
        }
    }

    /// Compares what two answers say of the version that they are of.
    fn likeness(&self, other: &Self) -> Likeness {
        use Validator::Strong;
        let dates = self.modified.zip(other.modified);
        if dates.is_some_and(|(ours, theirs)| ours != theirs) {
            return Likeness::Other;
        }
        match (&self.tag, &other.tag) {
            (Some(ours), Some(theirs)) if ours.as_str() != theirs.as_str() => Likeness::Other,
            (Some(Strong(_)), Some(Strong(_))) => Likeness::Same,
            (Some(_), Some(_)) => Likeness::Alike,
            _ if dates.is_none() => Likeness::Unknown,
            _ if self.is_date_strong || other.is_date_strong => Likeness::Same,
            _ => Likeness::Alike,
        }
    }
}

impl Facts {
    /// How an answer that tells `found` is like this version, which it was asked to be a part of: `is_part` says that it
    /// is one, a 206.
    ///
    /// # Errors
    /// `Unnamed` where it may be anything: an error's page, or another version whose site does not say so.
    pub(super) fn recognize(&self, found: &Self, is_part: bool) -> Result<Likeness, Fault> {
        let lens = self.len.zip(found.len);
        if lens.is_some_and(|(ours, theirs)| ours != theirs) {
            return Ok(Likeness::Other);
        }
        let likeness = self.version.likeness(&found.version);
        // RFC 9110 §15.3.7: a part that was asked for under `If-Range` leaves out what is known, the date too. It must
        // have the tag.
        let is_told_by_status = is_part && found.version.tag.is_none() && self.version.tag.is_none();
        let is_enough = match likeness {
            Likeness::Same | Likeness::Other => true,
            Likeness::Alike | Likeness::Unknown if self.version.if_range().is_some() => is_told_by_status,
            // Nothing better is to be had of this site. Where a whole has no length, not even that is told.
            Likeness::Alike | Likeness::Unknown => is_part || self.len.is_none() || lens.is_some(),
        };
        if is_enough { Ok(likeness) } else { Err(Fault::Unnamed) }
    }

    /// The same, as a tree tells it. `name` names the file among all sources.
    pub(super) fn metadata(&self, name: &str) -> Metadata {
        let mut metadata = Metadata::new(FileType::File);
        metadata.len = self.len;
        metadata.modified = self.version.modified;
        metadata.content_type = self.content_type.clone();
        metadata.validator = self.validator();
        metadata.identity = Some(self.identity(name));
        metadata.caching = Some(self.caching);
        metadata.provenance.age = self.age;
        metadata
    }

    pub(super) fn identity(&self, name: &str) -> Identity {
        Identity::Source { name: name.to_owned().into(), validator: self.validator() }
    }

    /// The tag, or what date and length make together.
    fn validator(&self) -> Option<Validator> {
        let Version { tag, modified, is_date_strong } = &self.version;
        tag.clone().or_else(|| date_validator(*modified, self.len, *is_date_strong))
    }

    /// What a "not modified" says of the version that was asked about (RFC 9111 §4.3.4).
    pub(super) fn unchanged(held: &Held, headers: &HeaderMap) -> Self {
        let tag = Some(&held.validator).filter(|_| tag_of(held).is_some());
        let is_date_strong = tag.is_none() && matches!(held.validator, Validator::Strong(_));
        Self {
            len: held.len,
            version: Version { tag: tag.cloned(), modified: held.modified, is_date_strong },
            content_type: None,
            caching: caching::of(headers),
            age: caching::age(headers),
        }
    }
}

/// The version in a question whether it still holds: its tag, where the site named it by one (RFC 9110 §13.1.2).
pub(super) fn tag_of(held: &Held) -> Option<HeaderValue> {
    let dates = [false, true].map(|is_strong| date_validator(held.modified, held.len, is_strong));
    if dates.into_iter().flatten().any(|date| date == held.validator) {
        return None;
    }
    let quoted = match &held.validator {
        Validator::Strong(tag) => format!("\"{tag}\""),
        Validator::Weak(tag) => format!("W/\"{tag}\""),
    };
    HeaderValue::from_str(&quoted).ok()
}

/// The date in such a question (RFC 9110 §13.1.3).
pub(super) fn date_of(held: &Held) -> Option<HeaderValue> {
    HeaderValue::from_str(&httpdate::fmt_http_date(held.modified?)).ok()
}

/// What date and length make together, where the site names no version: weak, unless the date was old enough when the site
/// told it (RFC 9110 §8.8.2.2). A strong one is not spelled as any site's tag is.
fn date_validator(modified: Option<SystemTime>, len: Option<u64>, is_strong: bool) -> Option<Validator> {
    let since = modified?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let len = len.map_or_else(|| "-".to_owned(), |len| format!("{len:x}"));
    let text = format!("{:x}-{len}", since.as_secs());
    Some(if is_strong {
        Validator::Strong(format!("date-{text}").into())
    } else {
        Validator::Weak(text.into())
    })
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoLengths => f.write_str("the answer states two lengths"),
            Self::Coded(coding) => {
                write!(f, "the answer is coded as {coding:?}, although the plain file was asked for")
            }
            Self::UnaskedPart => f.write_str("the site sent a part, although the whole was asked for"),
            Self::NoContentRange => f.write_str("the site sent a part and does not say which"),
            Self::ManyParts => f.write_str("the site sent several parts, although one was asked for"),
            Self::OtherPart { asked, start, end } => {
                write!(f, "asked for bytes from {}, the site sent {start} to {end}", asked.start)
            }
            Self::Contradiction => f.write_str("the lengths in the answer contradict each other"),
            Self::Unnamed => {
                f.write_str("the site does not say whether it sends the version that is being read")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn a_part_is_believed_where_everything_fits() {
        let at = ByteRange::at(10, 10);
        let placed = |start, end| Ok((Some(100), Placed { start, end: Some(end) }));
        for (fields, asked, expected) in [
            (&[("content-range", "bytes 10-19/100"), ("content-length", "10")][..], at, placed(10, 20)),
            (&[("content-range", "Bytes 10-14/100")], at, placed(10, 15)),
            (&[("content-range", "bytes 10-99/100")], ByteRange::from(10), placed(10, 100)),
            (&[("content-range", "bytes 10-19/*")], at, Ok((None, Placed { start: 10, end: Some(20) }))),
            (
                &[("content-range", "bytes 0-9/100")],
                at,
                Err(Fault::OtherPart { asked: at, start: 0, end: 10 }),
            ),
            (
                &[("content-range", "bytes 10-20/100")],
                at,
                Err(Fault::OtherPart { asked: at, start: 10, end: 21 }),
            ),
            (&[("content-range", "bytes 10-19/15")], at, Err(Fault::Contradiction)),
            (
                &[("content-range", "bytes 10-19/100"), ("content-length", "11")],
                at,
                Err(Fault::Contradiction),
            ),
            (&[], at, Err(Fault::NoContentRange)),
            (&[("content-type", "Multipart/ByteRanges; boundary=x")], at, Err(Fault::ManyParts)),
            (&[("content-range", "bytes 19-10/100")], at, Err(Fault::NoContentRange)),
            (&[("content-range", "bytes +10-19/100")], at, Err(Fault::NoContentRange)),
            (&[("content-range", "items 10-19/100")], at, Err(Fault::NoContentRange)),
            (&[("content-range", "bytes 10-18446744073709551615/*")], at, Err(Fault::NoContentRange)),
            (&[("content-range", "bytes */100")], at, Err(Fault::NoContentRange)),
        ] {
            let found = read(StatusCode::PARTIAL_CONTENT, &headers(fields), Some(asked), false);
            assert_eq!(found.map(|(facts, placed)| (facts.len, placed)), expected, "{fields:?}");
        }
        let unasked = read(StatusCode::PARTIAL_CONTENT, &headers(&[]), None, false);
        assert_eq!(unasked.unwrap_err(), Fault::UnaskedPart);
    }

    #[test]
    fn a_whole_starts_at_the_start_and_unknown_lengths_stay_unknown() {
        for (fields, len) in [
            (&[("content-length", "100")][..], Ok(Some(100))),
            (&[], Ok(None)),
            (&[("transfer-encoding", "chunked")], Ok(None)),
            (&[("content-length", "5"), ("transfer-encoding", "chunked")], Err(Fault::TwoLengths)),
            (&[("content-length", "5"), ("content-encoding", "gzip")], Err(Fault::Coded("gzip".to_owned()))),
            (&[("content-length", "5"), ("content-encoding", "identity")], Ok(Some(5))),
            (&[("transfer-encoding", "gzip, chunked")], Err(Fault::Coded("gzip".to_owned()))),
            (&[("transfer-encoding", "deflate")], Err(Fault::Coded("deflate".to_owned()))),
            (&[("transfer-encoding", "Chunked")], Ok(None)),
        ] {
            let found = read(StatusCode::OK, &headers(fields), Some(ByteRange::at(3, 1)), false);
            let found = found.map(|(facts, placed)| {
                assert_eq!(placed, Placed { start: 0, end: facts.len });
                facts.len
            });
            assert_eq!(found, len, "{fields:?}");
        }
        let own = headers(&[("content-length", "5"), ("content-encoding", "x-gzip")]);
        assert_eq!(read(StatusCode::OK, &own, None, true).unwrap().0.len, Some(5));
    }

    #[test]
    fn only_what_is_strong_continues_a_transfer() {
        let old = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
        let date = ("date", "Sun, 06 Nov 1994 08:50:37 GMT");
        for (fields, expected) in [
            (&[("etag", "\"x\"")][..], Some("\"x\"")),
            (&[("etag", "W/\"x\""), old, date], None),
            (&[old, date], Some(old.1)),
            (&[old, ("date", "Sun, 06 Nov 1994 08:50:36 GMT")], None),
            (&[old], None),
            (&[("etag", "x")], None),
            (&[], None),
        ] {
            let found = version_of(&headers(fields)).if_range();
            assert_eq!(found.as_ref().map(|value| value.to_str().unwrap()), expected, "{fields:?}");
            // Who keeps parts of it goes by the same.
            let (facts, _) = read(StatusCode::OK, &headers(fields), None, false).unwrap();
            let is_strong = matches!(facts.validator(), Some(Validator::Strong(_)));
            assert_eq!(is_strong, expected.is_some(), "{fields:?}");
        }
    }

    #[test]
    fn what_did_not_change_keeps_its_version() {
        let old = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
        let date = ("date", "Sun, 06 Nov 1994 09:50:37 GMT");
        let len = ("content-length", "5");
        // The last one is what nginx makes of date and length.
        for fields in [
            &[old, date, len][..],
            &[old, len],
            &[("etag", "W/\"x\""), old],
            &[("etag", "\"2ebc9fe1-5\""), old, len],
        ] {
            let (facts, _) = read(StatusCode::OK, &headers(fields), None, false).unwrap();
            let validator = facts.validator().unwrap();
            let held =
                Held { validator: validator.clone(), len: facts.len, modified: facts.version.modified };
            assert_eq!(Facts::unchanged(&held, &headers(&[])).validator(), Some(validator), "{fields:?}");
            assert_eq!(tag_of(&held).is_some(), fields[0].0 == "etag", "{fields:?}");
        }
    }

    #[test]
    fn an_answer_is_of_a_version_where_it_says_so() {
        const OLD: (&str, &str) = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
        const NEW: (&str, &str) = ("last-modified", "Sun, 06 Nov 1994 09:49:37 GMT");
        const DATE: (&str, &str) = ("date", "Sun, 06 Nov 1994 10:50:37 GMT");
        const STRONG: (&str, &str) = ("etag", "\"x\"");
        const WEAK: (&str, &str) = ("etag", "W/\"x\"");
        const LEN: (&str, &str) = ("content-length", "100");
        use Likeness::{Alike, Other, Same, Unknown};
        for (known, found, whole, part) in [
            (&[STRONG, LEN][..], &[STRONG, LEN][..], Some(Same), Some(Same)),
            (&[STRONG, LEN], &[STRONG], Some(Same), Some(Same)),
            (&[STRONG, LEN], &[("etag", "\"y\""), LEN], Some(Other), Some(Other)),
            (&[STRONG, LEN], &[STRONG, ("content-length", "99")], Some(Other), Some(Other)),
            (&[STRONG, LEN], &[WEAK, LEN], None, None),
            (&[STRONG, LEN], &[LEN], None, None),
            (&[STRONG, OLD, DATE, LEN], &[OLD, LEN], Some(Same), Some(Same)),
            (&[STRONG, OLD, LEN], &[STRONG, NEW, LEN], Some(Other), Some(Other)),
            (&[OLD, DATE, LEN], &[OLD, LEN], Some(Same), Some(Same)),
            (&[OLD, DATE, LEN], &[LEN], None, Some(Unknown)),
            (&[OLD, DATE, LEN], &[NEW, LEN], Some(Other), Some(Other)),
            (&[WEAK, LEN], &[WEAK, LEN], Some(Alike), Some(Alike)),
            (&[WEAK, LEN], &[WEAK], None, Some(Alike)),
            (&[OLD, LEN], &[OLD, LEN], Some(Alike), Some(Alike)),
            (&[LEN], &[LEN], Some(Unknown), Some(Unknown)),
            (&[LEN], &[], None, Some(Unknown)),
            (&[], &[], Some(Unknown), Some(Unknown)),
        ] {
            let facts = |fields| read(StatusCode::OK, &headers(fields), None, false).unwrap().0;
            for (is_part, expected) in [(false, whole), (true, part)] {
                let likeness = facts(known).recognize(&facts(found), is_part);
                assert_eq!(likeness.ok(), expected, "{known:?} {found:?} {is_part}");
            }
        }
    }
}
