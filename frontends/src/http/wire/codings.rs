//! `Accept-Encoding` (RFC 9110 §12.5.3): which content codings the peer takes.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;
use vfs::producer::Coding;

/// The codings that a request takes, with how much it likes each in thousandths; 0 where it takes one not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::http) struct Codings {
    zstd: u16,
    brotli: u16,
    gzip: u16,
    /// The content as it is. Nobody has to be given it who says 0, and no more is made of that: what is not coded here
    /// would be 406, and a client that can do nothing with that.
    identity: u16,
}

impl Codings {
    /// Reads them. Without the field nothing but the content itself is taken: that is what old clients mean.
    pub(in crate::http) fn read(headers: &HeaderMap) -> Self {
        let mut codings = Self::default();
        let mut others = None;
        let fields = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let (mut zstd, mut brotli, mut gzip, mut identity) = (None, None, None, None);
        for item in fields.flat_map(|field| field.split(',')) {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
            let weight = weight.map_or(1.0, |weight| weight.parse::<f32>().unwrap_or(0.0));
            let weight = (weight.clamp(0.0, 1.0) * 1000.0) as u16;
            match &name[..] {
                "zstd" => zstd = Some(weight),
                "br" => brotli = Some(weight),
                "gzip" | "x-gzip" => gzip = Some(weight),
                "identity" => identity = Some(weight),
                "*" => others = Some(weight),
                _ => {}
            }
        }
        let others = others.unwrap_or(0);
        codings.zstd = zstd.unwrap_or(others);
        codings.brotli = brotli.unwrap_or(others);
        codings.gzip = gzip.unwrap_or(others);
        codings.identity = identity.unwrap_or(0);
        codings
    }

    /// The codings that are taken and not liked less than the content as it is, the one that is liked best first; of two that are liked alike the one that costs less
    /// for what it saves.
    pub(in crate::http) fn taken(self) -> impl Iterator<Item = Coding> {
        let mut all = [(self.zstd, Coding::Zstd), (self.brotli, Coding::Brotli), (self.gzip, Coding::Gzip)];
        all.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        all.into_iter()
            .filter(move |(weight, _)| *weight > 0 && *weight >= self.identity)
            .map(|(_, coding)| coding)
    }

    /// True where none is taken.
    pub(in crate::http) fn is_none(self) -> bool {
        self.taken().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_comes_first() {
        use Coding::{Brotli, Gzip, Zstd};
        for (field, taken) in [
            (None, &[][..]),
            (Some(""), &[]),
            (Some("identity"), &[]),
            (Some("gzip, deflate, br, zstd"), &[Zstd, Brotli, Gzip]),
            (Some("gzip;q=1.0, br;q=0.5"), &[Gzip, Brotli]),
            (Some("gzip;q=0.5, identity"), &[]),
            (Some("gzip, br;q=0.5, identity;q=0.7"), &[Gzip]),
            (Some("gzip, identity"), &[Gzip]),
            (Some("GZIP"), &[Gzip]),
            (Some("*"), &[Zstd, Brotli, Gzip]),
            (Some("*;q=0.1, gzip, zstd;q=0"), &[Gzip, Brotli]),
            (Some("gzip;q=0"), &[]),
            (Some("gzip;q=x"), &[]),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(field) = field {
                headers.insert(ACCEPT_ENCODING, field.parse().unwrap());
            }
            let codings = Codings::read(&headers);
            assert_eq!(codings.taken().collect::<Vec<_>>(), taken, "{field:?}");
            assert_eq!(codings.is_none(), taken.is_empty());
        }
    }
}
