//! What an answer says about keeping it (RFC 9111 §3 and §4.2), for a cache that many share. Pure.

use std::time::{Duration, SystemTime};

use reqwest::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderMap, HeaderName, PRAGMA, VARY};

use crate::metadata::Caching;

/// What is kept longer than this is kept for good: RFC 9111 §1.2.2 asks for 2^31 s at least.
const MAX_DELTA: u64 = 1 << 31;

/// The directives that count for a shared cache.
#[derive(Debug, Default)]
struct Directives {
    no_store: bool,
    private: bool,
    no_cache: bool,
    must_revalidate: bool,
    max_age: Option<Duration>,
    s_maxage: Option<Duration>,
}

/// What the head of an answer says. An `Age` counts as spent already.
pub(super) fn of(headers: &HeaderMap) -> Caching {
    let directives = Directives::of(headers);
    let lifetime = directives.s_maxage.or(directives.max_age).or_else(|| expires(headers));
    let lifetime = if directives.no_cache { Some(Duration::ZERO) } else { lifetime };
    Caching {
        storable: !(directives.no_store || directives.private || varies_by_everything(headers)),
        fresh_for: lifetime.map(|lifetime| lifetime.saturating_sub(age(headers).unwrap_or_default())),
        // RFC 9111 §5.2.2.10: s-maxage means proxy-revalidate too.
        must_revalidate: directives.must_revalidate || directives.no_cache || directives.s_maxage.is_some(),
    }
}

/// How long the answer lay in caches on its way.
pub(super) fn age(headers: &HeaderMap) -> Option<Duration> {
    seconds(text(headers, AGE)?)
}

impl Directives {
    fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for value in headers.get_all(CACHE_CONTROL) {
            // What cannot be read is not known to allow anything.
            let Ok(value) = value.to_str() else { return Self { no_store: true, ..found } };
            for directive in split(value) {
                found.add(directive);
            }
        }
        // RFC 9111 §5.4.
        if !headers.contains_key(CACHE_CONTROL) {
            found.no_cache =
                text(headers, PRAGMA).is_some_and(|pragma| pragma.eq_ignore_ascii_case("no-cache"));
        }
        found
    }

    fn add(&mut self, directive: &str) {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        let argument = argument.trim().trim_matches('"');
        match &name.trim().to_ascii_lowercase()[..] {
            "no-store" => self.no_store = true,
            // With field names only those fields are meant; a file's bytes may be kept without them, but who can tell.
            "private" => self.private = true,
            "no-cache" => self.no_cache = true,
            "must-revalidate" | "proxy-revalidate" => self.must_revalidate = true,
            // RFC 9111 §4.2.1: of two the first counts, and one that makes no sense is stale.
            "max-age" => _ = self.max_age.get_or_insert(seconds(argument).unwrap_or_default()),
            "s-maxage" => _ = self.s_maxage.get_or_insert(seconds(argument).unwrap_or_default()),
            _ => {}
        }
    }
}

/// The directives of a list; commas in quotes divide nothing.
fn split(value: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    value
        .split(move |sign: char| {
            is_quoted ^= sign == '"';
            sign == ',' && !is_quoted
        })
        .map(str::trim)
        .filter(|directive| !directive.is_empty())
}

fn expires(headers: &HeaderMap) -> Option<Duration> {
    let expires = text(headers, EXPIRES)?;
    let sent = text(headers, DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    // RFC 9111 §5.3: a date that cannot be read, "0" above all, is in the past.
    let Ok(expires) = httpdate::parse_http_date(expires) else { return Some(Duration::ZERO) };
    Some(expires.duration_since(sent.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}

fn varies_by_everything(headers: &HeaderMap) -> bool {
    headers
        .get_all(VARY)
        .iter()
        .any(|value| value.as_bytes().split(|sign| *sign == b',').any(|name| name.trim_ascii() == b"*"))
}

fn seconds(text: &str) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| Duration::from_secs(text.parse().unwrap_or(MAX_DELTA).min(MAX_DELTA)))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn an_answer_is_fresh_as_long_as_it_says() {
        let date = "Fri, 20 Nov 2026 12:00:00 GMT";
        for (fields, fresh_for) in [
            (&[][..], None),
            (&[(CACHE_CONTROL, "max-age=60")], Some(60)),
            (&[(CACHE_CONTROL, "public, MAX-AGE=\"60\"")], Some(60)),
            (&[(CACHE_CONTROL, "max-age=60, s-maxage=5")], Some(5)),
            (&[(CACHE_CONTROL, "max-age=60, max-age=5")], Some(60)),
            (&[(CACHE_CONTROL, "max-age=-1")], Some(0)),
            (&[(CACHE_CONTROL, "max-age=99999999999999999999")], Some(1 << 31)),
            (&[(CACHE_CONTROL, "ext=\"a,max-age=5\", max-age=60")], Some(60)),
            (&[(CACHE_CONTROL, "max-age=60"), (AGE, "50")], Some(10)),
            (&[(CACHE_CONTROL, "max-age=60"), (AGE, "70")], Some(0)),
            (&[(CACHE_CONTROL, "no-cache, max-age=60")], Some(0)),
            (&[(PRAGMA, "no-cache")], Some(0)),
            (&[(PRAGMA, "no-cache"), (CACHE_CONTROL, "max-age=60")], Some(60)),
            (&[(EXPIRES, "Fri, 20 Nov 2026 12:01:40 GMT"), (DATE, date)], Some(100)),
            (&[(EXPIRES, "Fri, 20 Nov 2026 11:00:00 GMT"), (DATE, date)], Some(0)),
            (&[(EXPIRES, "0"), (DATE, date)], Some(0)),
            (
                &[(EXPIRES, "Fri, 20 Nov 2026 12:01:40 GMT"), (DATE, date), (CACHE_CONTROL, "max-age=5")],
                Some(5),
            ),
        ] {
            let found = of(&headers(fields)).fresh_for;
            assert_eq!(found, fresh_for.map(Duration::from_secs), "{fields:?}");
        }
    }

    #[test]
    fn what_is_for_one_reader_is_not_kept_for_many() {
        for (fields, storable) in [
            (&[][..], true),
            (&[(CACHE_CONTROL, "no-store")], false),
            (&[(CACHE_CONTROL, "max-age=60"), (CACHE_CONTROL, "Private")], false),
            (&[(CACHE_CONTROL, "private=\"set-cookie\"")], false),
            (&[(CACHE_CONTROL, "no-cache")], true),
            (&[(VARY, "Accept-Encoding")], true),
            (&[(VARY, "Accept, *")], false),
        ] {
            assert_eq!(of(&headers(fields)).storable, storable, "{fields:?}");
        }
    }

    #[test]
    fn what_asks_to_be_asked_about_is() {
        for (value, must_revalidate) in [
            ("max-age=5", false),
            ("max-age=5, must-revalidate", true),
            ("max-age=5, proxy-revalidate", true),
            ("s-maxage=5", true),
            ("no-cache", true),
        ] {
            assert_eq!(of(&headers(&[(CACHE_CONTROL, value)])).must_revalidate, must_revalidate, "{value}");
        }
    }

    /// What each header may be in the comparison; `None`: it is not there.
    const CACHE_CONTROLS: [Option<&str>; 17] = [
        None,
        Some("max-age=60"),
        Some("max-age=0"),
        Some("MAX-AGE=\"60\""),
        Some("max-age=junk"),
        Some("s-maxage=30"),
        Some("s-maxage=30, max-age=60"),
        Some("public"),
        Some("public, max-age=60"),
        Some("no-store"),
        Some("private, max-age=60"),
        Some("no-cache"),
        Some("no-cache, max-age=60"),
        Some("must-revalidate, max-age=60"),
        Some("proxy-revalidate, max-age=60"),
        Some("immutable, max-age=60"),
        Some("max-age=60, stale-if-error=100, ext=\"a,b\""),
    ];
    const EXPIRES_AT: [Option<&str>; 5] = [
        None,
        Some("Fri, 20 Nov 2026 12:01:40 GMT"),
        Some("Fri, 20 Nov 2026 11:00:00 GMT"),
        Some("0"),
        Some("junk"),
    ];
    const AGES: [Option<&str>; 4] = [None, Some("10"), Some("100"), Some("junk")];
    const PRAGMAS: [Option<&str>; 2] = [None, Some("no-cache")];
    const VARIES: [Option<&str>; 3] = [None, Some("accept-encoding"), Some("*")];

    /// Where we and the crate differ, and why that is meant.
    fn explanation(control: &str, vary: Option<&str>) -> Option<&'static str> {
        if vary == Some("*") {
            return Some(
                "RFC 9110 §12.5.5: it fits no other request, so keeping it serves nobody; the crate keeps it stale",
            );
        }
        if control.contains("proxy-revalidate") {
            return Some(
                "RFC 9111 §5.2.2.8: to be asked about once it is stale; the crate takes it for stale at once",
            );
        }
        if control.contains("MAX-AGE") {
            return Some(
                "RFC 9111 §5.2: directives are the same in any case; the crate knows small letters only",
            );
        }
        None
    }

    /// Beside another implementation of RFC 9111, as a shared cache, over every combination of the headers above.
    #[test]
    fn another_reader_of_the_rfc_comes_to_the_same_but_for_what_is_explained() {
        use http_cache_semantics::{CacheOptions, CachePolicy};

        let date = "Fri, 20 Nov 2026 12:00:00 GMT";
        let now = httpdate::parse_http_date(date).unwrap();
        let request = http::Request::get("http://h/f").body(()).unwrap();
        let (mut compared, mut explained) = (0, 0);
        for control in CACHE_CONTROLS {
            for expires in EXPIRES_AT {
                for age in AGES {
                    for pragma in PRAGMAS {
                        for vary in VARIES {
                            let fields = [
                                (CACHE_CONTROL, control),
                                (EXPIRES, expires),
                                (AGE, age),
                                (PRAGMA, pragma),
                                (VARY, vary),
                                (DATE, Some(date)),
                            ];
                            let mut answer = http::Response::builder();
                            for (name, value) in
                                fields.iter().filter_map(|(name, value)| Some((name, (*value)?)))
                            {
                                answer = answer.header(name, value);
                            }
                            let answer = answer.body(()).unwrap();
                            let theirs =
                                CachePolicy::new_options(&request, &answer, now, CacheOptions::default());
                            let ours = of(answer.headers());
                            let same_keeping = ours.storable == theirs.is_storable();
                            // Without a word of the source both fall back to a rule of their own.
                            let same_time = match ours.fresh_for {
                                Some(fresh_for) if theirs.is_storable() => {
                                    fresh_for == theirs.time_to_live(now)
                                }
                                _ => true,
                            };
                            compared += 1;
                            if !(same_keeping && same_time) {
                                explained += 1;
                                let why = explanation(control.unwrap_or_default(), vary);
                                assert!(
                                    why.is_some(),
                                    "{fields:?}: {ours:?}, the crate: {} {:?}",
                                    theirs.is_storable(),
                                    theirs.time_to_live(now)
                                );
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(compared, 17 * 5 * 4 * 2 * 3);
        assert!(explained * 2 < compared, "{explained} of {compared} differ");
    }
}
