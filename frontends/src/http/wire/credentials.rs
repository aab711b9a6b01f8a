//! `Authorization: Basic` (RFC 7617).

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use crate::auth::Credentials;

/// Base64 with its padding or without: clients differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longest `Authorization` that is decoded.
const LONGEST: usize = 4096;

/// How a client is asked for a name and a password (RFC 7617 §2.1).
pub(in crate::http) const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"vfsd\", charset=\"UTF-8\"");

/// Who a request says that it is from. `None` where it says so in a way that is not understood: another scheme, several
/// of them, bytes that are no UTF-8.
pub(in crate::http) fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Some(Credentials::Anonymous) };
    let value = value.to_str().ok().filter(|value| value.len() <= LONGEST)?;
    let (scheme, rest) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") || values.next().is_some() {
        return None;
    }
    let pair = String::from_utf8(BASE64.decode(rest.trim_matches(' ')).ok()?).ok()?;
    let (name, password) = pair.split_once(':')?;
    Some(Credentials::Password { name: name.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_read() {
        let read = |values: &[&str]| {
            let fields = values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap()));
            credentials(&HeaderMap::from_iter(fields)).map(|credentials| match credentials {
                Credentials::Anonymous => String::new(),
                Credentials::Password { name, password } => format!("{name}|{password}"),
            })
        };
        for (values, expected) in [
            (&[][..], Some("")),
            (&["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="], Some("Aladdin|open sesame")),
            (&["basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ"], Some("Aladdin|open sesame")),
            (&["Basic YTpiOmM="], Some("a|b:c")),
            (&["Basic YQ=="], None),
            (&["Basic !"], None),
            (&["Basic /w=="], None),
            (&["Basic"], None),
            (&["Bearer YTpi"], None),
            (&["Basic YTpi", "Basic YTpi"], None),
        ] {
            let found = match values {
                [] => credentials(&HeaderMap::new()).map(|_| String::new()),
                values => read(values),
            };
            assert_eq!(found.as_deref(), expected, "{values:?}");
        }
    }
}
