//! In which form a listing is wanted: the query's `format`, else `Accept` (RFC 9110 §12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

/// The forms of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::http) enum Format {
    /// A page for people, with nginx's shape.
    #[default]
    Html,
    /// One array, as nginx's `autoindex_format json` has it.
    Json,
    /// An object a line.
    Ndjson,
}

/// Every form with its name in a query and its media type, the one that wins a tie first.
const FORMATS: [(Format, &str, &str); 3] = [
    (Format::Html, "html", "text/html"),
    (Format::Json, "json", "application/json"),
    (Format::Ndjson, "ndjson", "application/x-ndjson"),
];

impl Format {
    /// The form that a request wants. A `format` that is none of ours does not bind, and where `Accept` takes none of
    /// them it is HTML all the same (RFC 9110 §12.5.1).
    pub(in crate::http) fn read(query: Option<&str>, headers: &HeaderMap) -> Self {
        let named = query.into_iter().flat_map(|query| query.split('&')).find_map(|pair| {
            let wanted = pair.strip_prefix("format=")?;
            FORMATS.iter().find(|(_, name, _)| *name == wanted)
        });
        let liked = || FORMATS[Accepted::read(headers).best(FORMATS.map(|(_, _, media)| media))].0;
        named.map_or_else(liked, |(format, ..)| *format)
    }
}

/// The media types that a request takes, as its `Accept` says.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Accepted(Vec<String>);

impl Accepted {
    pub(in crate::http) fn read(headers: &HeaderMap) -> Self {
        let fields = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        Self(fields.flat_map(|field| field.split(',')).map(str::to_owned).collect())
    }

    /// Which of `medias` is liked best: the first wins a tie, and where none is taken.
    pub(in crate::http) fn best<'a>(&self, medias: impl IntoIterator<Item = &'a str>) -> usize {
        let mut best = (0, (0, 0));
        for (nth, media) in medias.into_iter().enumerate() {
            // The range that names it most closely decides: text/html before text/*, and that before */*.
            let ranges = self.0.iter().filter_map(|range| weigh(range.trim(), media));
            let Some((fit, weight)) = ranges.max() else { continue };
            // Of two that are liked alike, the one that was named rather than meant.
            if weight > 0 && (weight, fit) > best.1 {
                best = (nth, (weight, fit));
            }
        }
        best.0
    }
}

/// True where the query says in which form a listing is wanted.
pub(in crate::http) fn is_format_named(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair.starts_with("format=")))
}

/// How well `range` fits `media`, and its weight in thousandths; `None` where it does not fit.
fn weigh(range: &str, media: &str) -> Option<(u8, u16)> {
    let mut parts = range.split(';').map(str::trim);
    let range = parts.next()?;
    let kind = media.split('/').next()?;
    let fit = match range.split_once('/')? {
        ("*", "*") => 0,
        (of, "*") if of.eq_ignore_ascii_case(kind) => 1,
        _ if range.eq_ignore_ascii_case(media) => 2,
        _ => return None,
    };
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    let weight = weight.map_or(Some(1.0), |weight| weight.parse::<f32>().ok())?;
    Some((fit, (weight.clamp(0.0, 1.0) * 1000.0) as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_comes_first_then_what_is_accepted() {
        use Format::{Html, Json, Ndjson};
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (query, accept, format) in [
            (None, None, Html),
            (None, Some("*/*"), Html),
            (None, Some("*/*;q=0"), Html),
            (None, Some(browser), Html),
            (None, Some("application/json"), Json),
            (None, Some("application/json, */*"), Json),
            (None, Some("application/json, */*;q=0.5"), Json),
            (None, Some("application/*"), Json),
            (None, Some("APPLICATION/X-NDJSON"), Ndjson),
            (None, Some("application/x-ndjson, application/json;q=0.9"), Ndjson),
            (None, Some("text/html;q=0, application/json;q=0.1"), Json),
            (None, Some("image/png"), Html),
            (None, Some("application/json;q=x"), Html),
            (Some("format=json"), Some(browser), Json),
            (Some("a=b&format=ndjson"), None, Ndjson),
            (Some("format=html"), Some("application/json"), Html),
            (Some("format=xml"), Some("application/json"), Json),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(Format::read(query, &headers), format, "{query:?} {accept:?}");
        }
    }
}
