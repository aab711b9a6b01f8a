//! PAX records: `LENGTH KEY=VALUE\n`, one behind the other (POSIX.1-2024 pax, "pax Extended Header").

use super::sparse::PaxSparse;

/// What the records of one or more extended headers say; `None` where they say nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) user: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) modified: Option<(i64, u32)>,
    pub(super) sparse: PaxSparse,
}

/// Whom an extended header speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The next entry.
    Next,
    /// Every entry that follows. What names or measures one entry is refused there: some readers apply it to every
    /// entry, some to one, some to none, and each would see another archive.
    Global,
}

impl Records {
    /// Adds the records of `body`. Of two with one key the last one counts.
    pub(super) fn read(&mut self, body: &[u8], scope: Scope) -> Result<(), String> {
        let mut rest = body;
        while !rest.is_empty() {
            let (key, value, after) = split(rest)?;
            self.set(key, value, scope)?;
            rest = after;
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8], scope: Scope) -> Result<(), String> {
        let shapes = matches!(key, b"path" | b"linkpath" | b"size") || key.starts_with(b"GNU.sparse.");
        if shapes && scope == Scope::Global {
            let key = key.escape_ascii();
            return Err(format!(
                "a global PAX header sets \"{key}\", which readers take for different things"
            ));
        }
        match key {
            b"path" => self.path = name(key, value)?,
            b"linkpath" => self.link = name(key, value)?,
            // An empty value takes the record back.
            b"size" if value.is_empty() => self.size = None,
            b"size" => self.size = Some(decimal(key, value)?),
            // What these say wrong does no harm: then the header counts.
            b"uid" => self.user = decimal(key, value).ok().and_then(|id| u32::try_from(id).ok()),
            b"gid" => self.group = decimal(key, value).ok().and_then(|id| u32::try_from(id).ok()),
            b"mtime" => self.modified = time(value),
            _ => {
                if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.set(key, value)?;
                }
            }
        }
        Ok(())
    }
}

/// A record's key and value, and what follows it.
type Split<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// The first record of `records`.
fn split(records: &[u8]) -> Result<Split<'_>, String> {
    let malformed = || "a PAX record is malformed".to_owned();
    let space = records.iter().take(20).position(|byte| *byte == b' ').ok_or_else(malformed)?;
    let len = decimal(b"length", &records[..space])?;
    let len = usize::try_from(len).ok().filter(|len| *len <= records.len()).ok_or_else(malformed)?;
    let record = records.get(space + 1..len).ok_or_else(malformed)?;
    let record = record.strip_suffix(b"\n").ok_or_else(malformed)?;
    let equals = record.iter().position(|byte| *byte == b'=').filter(|at| *at > 0).ok_or_else(malformed)?;
    Ok((&record[..equals], &record[equals + 1..], &records[len..]))
}

fn name(key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, String> {
    if value.contains(&0) {
        return Err(format!("the PAX record \"{}\" holds a NUL", key.escape_ascii()));
    }
    Ok((!value.is_empty()).then(|| value.to_vec()))
}

/// Digits and nothing else: what a sign or a space means, readers disagree on.
pub(super) fn decimal(key: &[u8], value: &[u8]) -> Result<u64, String> {
    let digits = Some(value).filter(|value| !value.is_empty() && value.iter().all(u8::is_ascii_digit));
    let number = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<i64>().ok());
    let wrong = || {
        let (key, value) = (key.escape_ascii(), value[..value.len().min(40)].escape_ascii());
        format!("the PAX number \"{key}={value}\" is none")
    };
    number.map(i64::cast_unsigned).ok_or_else(wrong)
}

/// `[-]SECONDS[.FRACTION]`, rounded down to nanoseconds.
fn time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
    match (whole.starts_with('-'), nanos) {
        // Before 1970 the fraction counts away from it.
        (true, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos)),
        _ => Some((seconds, nanos)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_taken_apart_or_refused() {
        let cases: [(&[u8], Option<u64>); 10] = [
            (b"9 size=1\n", Some(1)),
            (b"9 size=1\n9 size=2\n", Some(2)),
            (b"9 size=1\n8 size=\n", None),
            (b"10 size=+5\n", None),
            (b"10 size= 5\n", None),
            (b"10 size=0x\n", None),
            (b"99 size=1\n", None),
            (b"9 size=1 ", None),
            (b"-9 size=1\n", None),
            (b"30 size=99999999999999999999\n", None),
        ];
        for (body, size) in cases {
            let mut records = Records::default();
            let read = records.read(body, Scope::Next);
            assert_eq!(read.ok().and(records.size), size, "{:?}", body.escape_ascii().to_string());
        }
    }

    #[test]
    fn times_keep_their_fraction() {
        for (text, wanted) in [
            (&b"1350244992.023960108"[..], Some((1_350_244_992, 23_960_108))),
            (b"12", Some((12, 0))),
            (b"-1.25", Some((-2, 750_000_000))),
            (b"1.x", None),
            (b"", None),
        ] {
            assert_eq!(time(text), wanted);
        }
    }
}
