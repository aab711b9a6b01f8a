//! `multipart/form-data` (RFC 7578), piece by piece: what a page's form sends.

use bytes::{Bytes, BytesMut};

/// Bytes of one part's head.
const HEAD_BYTES: usize = 16 * 1024;

/// Bytes of a boundary (RFC 2046 §5.1.1).
const BOUNDARY_BYTES: usize = 70;

/// Takes a form apart while it comes. It holds what may yet be the beginning of a boundary, and a part's head.
#[derive(Debug)]
pub(in crate::http) struct FormReader {
    /// CR, LF, two hyphens and the boundary.
    delimiter: Vec<u8>,
    held: BytesMut,
    place: Place,
}

/// What comes next in a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) enum FormEvent {
    /// A field begins.
    Field {
        /// Its name.
        name: Vec<u8>,
        /// The name of its file, where it is one. It may be empty: no file was chosen.
        file: Option<Vec<u8>>,
    },
    /// Some of its content.
    Content(Bytes),
    /// The field is whole.
    FieldEnd,
    /// The form is whole.
    End,
}

/// It is no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct BadForm;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the first boundary.
    Preamble,
    /// Right behind a boundary.
    Boundary,
    Head,
    Content,
    Ended,
}

/// The boundary that a `Content-Type` of a form states.
pub(in crate::http) fn form_boundary(media: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(media).ok()?;
    let (kind, parameters) = text.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(parameters.as_bytes(), "boundary")?;
    (1..=BOUNDARY_BYTES).contains(&boundary.len()).then_some(boundary)
}

impl FormReader {
    /// A form whose parts this boundary divides.
    pub(in crate::http) fn new(boundary: &[u8]) -> Self {
        // The first boundary may be at the very beginning, without the line end before it.
        let held = BytesMut::from(&b"\r\n"[..]);
        Self { delimiter: [b"\r\n--", boundary].concat(), held, place: Place::Preamble }
    }

    /// Takes more of it in.
    pub(in crate::http) fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// What comes next; `None` where more bytes are needed to tell.
    ///
    /// # Errors
    /// [`BadForm`]; nothing more is to be read then.
    pub(in crate::http) fn next(&mut self) -> Result<Option<FormEvent>, BadForm> {
        loop {
            match self.place {
                Place::Preamble => match self.find_delimiter() {
                    Some(at) => self.pass(at + self.delimiter.len(), Place::Boundary),
                    None => {
                        let _ = self.take_certain();
                        return Ok(None);
                    }
                },
                Place::Boundary => {
                    if self.held.len() < 2 {
                        return Ok(None);
                    }
                    if self.held.starts_with(b"--") {
                        self.place = Place::Ended;
                        return Ok(Some(FormEvent::End));
                    }
                    let Some(end) = find(&self.held, b"\r\n") else { return self.wait() };
                    if !self.held[..end].iter().all(|byte| b" \t".contains(byte)) {
                        return Err(BadForm);
                    }
                    // The line end stays: a head without a line ends with it.
                    self.pass(end, Place::Head);
                }
                Place::Head => {
                    let Some(end) = find(&self.held, b"\r\n\r\n") else { return self.wait() };
                    let field = parse_head(&self.held[..end]);
                    self.pass(end + 4, Place::Content);
                    return field.map(Some).ok_or(BadForm);
                }
                Place::Content => match self.find_delimiter() {
                    Some(0) => {
                        self.pass(self.delimiter.len(), Place::Boundary);
                        return Ok(Some(FormEvent::FieldEnd));
                    }
                    Some(at) => return Ok(Some(FormEvent::Content(self.held.split_to(at).freeze()))),
                    None => return Ok(self.take_certain().map(FormEvent::Content)),
                },
                Place::Ended => return Ok(None),
            }
        }
    }

    fn pass(&mut self, count: usize, place: Place) {
        let _ = self.held.split_to(count);
        self.place = place;
    }

    /// A head that is not whole.
    fn wait(&self) -> Result<Option<FormEvent>, BadForm> {
        if self.held.len() > HEAD_BYTES { Err(BadForm) } else { Ok(None) }
    }

    fn find_delimiter(&self) -> Option<usize> {
        find(&self.held, &self.delimiter)
    }

    /// What cannot be the beginning of a boundary any more.
    fn take_certain(&mut self) -> Option<Bytes> {
        let count = self.held.len().saturating_sub(self.delimiter.len() - 1);
        (count > 0).then(|| self.held.split_to(count).freeze())
    }
}

/// Where `wanted`, which starts with CR, is in `bytes`.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\r') {
        at += found;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn parse_head(head: &[u8]) -> Option<FormEvent> {
    let lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let disposition = lines.filter_map(|line| line.split_at_checked("content-disposition:".len())).find_map(
        |(name, value)| name.eq_ignore_ascii_case(b"content-disposition:").then_some(value.trim_ascii()),
    )?;
    let parameters = disposition.strip_prefix(b"form-data")?;
    let name = parameter(parameters, "name")?;
    let file = parameter(parameters, "filename");
    Some(FormEvent::Field { name: unescaped(&name), file: file.map(|file| unescaped(&file)) })
}

/// The value of one parameter in `; name=token; name="quoted"`.
fn parameter(mut rest: &[u8], wanted: &str) -> Option<Vec<u8>> {
    loop {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(b";").unwrap_or(rest).trim_ascii_start();
        let equals = rest.iter().position(|byte| *byte == b'=')?;
        let name = rest[..equals].trim_ascii();
        rest = rest[equals + 1..].trim_ascii_start();
        let value;
        match rest.strip_prefix(b"\"") {
            // Browsers escape quotes as `%22` and leave backslashes alone (WHATWG HTML §4.10.22.8).
            Some(quoted) => {
                let end = quoted.iter().position(|byte| *byte == b'"')?;
                value = &quoted[..end];
                rest = &quoted[end + 1..];
            }
            None => {
                let end = rest.iter().position(|byte| *byte == b';').unwrap_or(rest.len());
                value = rest[..end].trim_ascii();
                rest = &rest[end..];
            }
        }
        if name.eq_ignore_ascii_case(wanted.as_bytes()) {
            return Some(value.to_vec());
        }
    }
}

/// Undoes the three escapes of a form's names (WHATWG HTML §4.10.22.8).
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        let escape = rest.get(..3).and_then(|three| match three {
            b"%22" => Some(b'"'),
            b"%0D" => Some(b'\r'),
            b"%0A" => Some(b'\n'),
            _ => None,
        });
        text.push(escape.unwrap_or(byte));
        rest = if escape.is_some() { &rest[3..] } else { after };
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a form in pieces of `step` bytes says, with contents put together.
    fn read(form: &[u8], step: usize) -> Result<Vec<FormEvent>, BadForm> {
        let mut reader = FormReader::new(b"XX");
        let mut events: Vec<FormEvent> = Vec::new();
        for piece in form.chunks(step) {
            reader.push(piece);
            while let Some(event) = reader.next()? {
                match (events.last_mut(), event) {
                    (Some(FormEvent::Content(before)), FormEvent::Content(more)) => {
                        *before = [&before[..], &more].concat().into();
                    }
                    (_, event) => events.push(event),
                }
            }
        }
        Ok(events)
    }

    fn field(name: &str, file: Option<&str>) -> FormEvent {
        FormEvent::Field { name: name.into(), file: file.map(|file| file.into()) }
    }

    const FORM: &[u8] = b"preamble\r\n--XX\r\nContent-Disposition: form-data; name=\"replace\"\r\n\r\nyes\r\n--XX  \r\n\
        content-disposition: form-data; name=\"file\"; filename=\"a%22b; c.txt\"\r\nContent-Type: text/plain\r\n\r\n\
        one\r\n--X not yet\r\n\r\n--XX\r\nContent-Disposition: form-data; name=file; filename=\"\"\r\n\r\n\r\n--XX--\r\nend";

    #[test]
    fn a_form_is_the_same_in_whatever_pieces() {
        let content = |text: &'static str| FormEvent::Content(text.into());
        let expected = [
            field("replace", None),
            content("yes"),
            FormEvent::FieldEnd,
            field("file", Some("a\"b; c.txt")),
            content("one\r\n--X not yet\r\n"),
            FormEvent::FieldEnd,
            field("file", Some("")),
            FormEvent::FieldEnd,
            FormEvent::End,
        ];
        for step in 1..FORM.len() {
            assert_eq!(read(FORM, step).unwrap(), expected, "{step}");
        }
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for form in [
            &b"--XXjunk\r\n\r\n"[..],
            b"--XX\r\n\r\n\r\nno disposition",
            b"--XX\r\nContent-Disposition: attachment\r\n\r\n",
            b"--XX\r\nContent-Disposition: form-data\r\n\r\n",
        ] {
            assert_eq!(read(form, 7), Err(BadForm), "{}", form.escape_ascii());
        }
        let endless = [b"--XX\r\n".to_vec(), vec![b'x'; HEAD_BYTES + 100]].concat();
        assert_eq!(read(&endless, 1000), Err(BadForm));
    }

    #[test]
    fn the_boundary_is_a_parameter() {
        for (media, boundary) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"", Some("a b")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/mixed; boundary=abc", None),
            ("text/plain", None),
        ] {
            assert_eq!(form_boundary(media.as_bytes()).as_deref(), boundary.map(str::as_bytes), "{media}");
        }
    }

    proptest! {
        #[test]
        fn content_comes_back_as_it_went(content in prop::collection::vec(any::<u8>(), 0..300), step in 1..50_usize) {
            let form = [
                b"--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"g\"\r\n\r\n",
                &content[..],
                b"\r\n--XX--\r\n",
            ]
            .concat();
            let mut expected = vec![field("f", Some("g"))];
            if !content.is_empty() {
                expected.push(FormEvent::Content(content.into()));
            }
            expected.extend([FormEvent::FieldEnd, FormEvent::End]);
            prop_assert_eq!(read(&form, step).unwrap(), expected);
        }
    }
}
