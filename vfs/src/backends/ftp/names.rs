//! Names of the tree ↔ names on the wire.

use bytes::Bytes;
use encoding_rs::Encoding;

use super::manner::NameEncoding;
use crate::error::{Error, ErrorKind, Result};
use crate::path::VPath;

/// Longest name that is sent: what the file systems behind FTP sites have in common.
const NAME_BYTES: usize = 255;

/// How a site writes names, and where in it the tree's root is.
#[derive(Clone, Debug)]
pub(super) struct Names {
    encoding: Option<&'static Encoding>,
    base: Vec<Vec<u8>>,
}

impl Names {
    pub(super) fn new(encoding: Option<NameEncoding>, base: Vec<Vec<u8>>) -> Self {
        let encoding = encoding.map(|NameEncoding(encoding)| encoding);
        Self { encoding: encoding.filter(|encoding| *encoding != encoding_rs::UTF_8), base }
    }

    /// The path below the folder that a login starts in, without a leading `/`; empty for that folder itself.
    ///
    /// # Errors
    /// `InvalidInput` for a name that no command line can hold, or that the site's encoding has no bytes for.
    pub(super) fn to_wire(&self, path: &VPath, op: &'static str) -> Result<Vec<u8>> {
        let mut wire = self.base.join(&b'/');
        for segment in path.segments() {
            let name = self.encode(segment.name()).ok_or_else(|| {
                let detail = "the site's encoding has no bytes for this name";
                Error::new(ErrorKind::InvalidInput, op, path).with_detail(detail)
            })?;
            // What ends a line would begin a command of its own (RFC 959 §5.3.1, RFC 2640 §3.1).
            if name.iter().any(|byte| b"\r\n\0".contains(byte)) {
                let detail = "a name with a line end or NUL cannot be sent to an FTP site";
                return Err(Error::new(ErrorKind::InvalidInput, op, path).with_detail(detail));
            }
            if name.len() > NAME_BYTES {
                return Err(Error::new(ErrorKind::NameTooLong, op, path));
            }
            if !wire.is_empty() {
                wire.push(b'/');
            }
            wire.extend_from_slice(&name);
        }
        Ok(wire)
    }

    /// A listed name as the tree has it. What the encoding does not know stays as it is, and is sent back so.
    pub(super) fn of_wire(&self, name: &[u8]) -> Bytes {
        let decoded = self
            .encoding
            .and_then(|encoding| encoding.decode_without_bom_handling_and_without_replacement(name));
        decoded.map_or_else(|| Bytes::copy_from_slice(name), |text| text.into_owned().into_bytes().into())
    }

    fn encode(&self, name: &Bytes) -> Option<Vec<u8>> {
        match (self.encoding, std::str::from_utf8(name)) {
            (Some(encoding), Ok(text)) => {
                let (encoded, _, has_unmappable) = encoding.encode(text);
                (!has_unmappable).then(|| encoded.into_owned())
            }
            _ => Some(name.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(names: &Names, name: &[u8]) -> Option<Vec<u8>> {
        names.to_wire(&VPath::root().child(name.to_vec()).unwrap(), "open").ok()
    }

    #[test]
    fn a_name_is_sent_as_it_is_or_not_at_all() {
        let names = Names::new(None, vec![b"pub".to_vec()]);
        for (name, sent) in [
            (&b"x y"[..], Some(&b"pub/x y"[..])),
            (b"raw-\xff", Some(b"pub/raw-\xff")),
            ("é".as_bytes(), Some("pub/é".as_bytes())),
            (b"x\r\nDELE y", None),
            (b"x\nDELE y", None),
            (b"x\rDELE y", None),
        ] {
            assert_eq!(wire(&names, name).as_deref(), sent, "{name:?}");
        }
        assert_eq!(names.to_wire(&VPath::root(), "open").unwrap(), b"pub");
    }

    #[test]
    fn encodings_go_both_ways() {
        for (label, text, bytes) in [
            ("latin1", "café", &b"caf\xe9"[..]),
            ("gbk", "中文", b"\xd6\xd0\xce\xc4"),
            ("shift_jis", "日本", b"\x93\xfa\x96\x7b"),
        ] {
            let names = Names::new(Some(label.parse().unwrap()), Vec::new());
            assert_eq!(names.of_wire(bytes), text.as_bytes(), "{label}");
            assert_eq!(wire(&names, text.as_bytes()).as_deref(), Some(bytes), "{label}");
        }
        let gbk = Names::new(Some(NameEncoding(encoding_rs::GBK)), Vec::new());
        let unknown = gbk.of_wire(b"\xff\xff");
        assert_eq!(
            wire(&gbk, &unknown).as_deref(),
            Some(&b"\xff\xff"[..]),
            "what is unknown is sent back as it came"
        );
        let latin = Names::new(Some(NameEncoding(encoding_rs::WINDOWS_1252)), Vec::new());
        assert_eq!(wire(&latin, "中".as_bytes()), None);
    }
}
