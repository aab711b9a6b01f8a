//! Little-endian numbers and extra fields, taken off the front of bytes.

/// Bytes of which fields are taken from the front. `None` from any call: there are not so many left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }
}

/// The extra fields in `bytes`, tag and content (APPNOTE 4.5). Ends at the first that does not fit: some writers pad
/// the last one with fewer bytes than a field has.
pub(super) fn extras(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut fields = Fields(bytes);
    std::iter::from_fn(move || {
        let tag = fields.u16()?;
        let len = fields.u16()?;
        Some((tag, fields.bytes(len.into())?))
    })
}
