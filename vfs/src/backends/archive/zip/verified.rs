//! A compressed stream with the length and checksum that a zip directory states: what decodes to anything else fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use crate::backends::archive::codec::{Codec, Damage, Decoder, Next, Progress, SeekPoint, Survey};
use crate::error::Result;
use crate::file_system::File;

/// A codec whose output is known beforehand. A decoder from the start checks length and checksum before it
/// gives the last piece; one from a seek point checks the length alone, so whoever reads a part relies on sums of the parts. No decoder gives a byte
/// more than the length, which is what ends a bomb.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    inner: Arc<dyn Codec>,
    len: u64,
    crc: u32,
    /// Somebody has read it through and found another checksum: from then on nobody gets to its end.
    is_bad: Arc<AtomicBool>,
}

impl Verified {
    pub(super) fn new(inner: Arc<dyn Codec>, len: u64, crc: u32) -> Self {
        Self { inner, len, crc, is_bad: Arc::default() }
    }

    fn decoder(&self, inner: Box<dyn Decoder>, position: u64) -> Box<dyn Decoder> {
        let running = (position == 0).then(crc32fast::Hasher::new);
        let is_bad = Arc::clone(&self.is_bad);
        Box::new(VerifiedDecoder { inner, len: self.len, crc: self.crc, position, running, is_bad })
    }
}

#[async_trait]
impl Codec for Verified {
    fn start(&self) -> Box<dyn Decoder> {
        self.decoder(self.inner.start(), 0)
    }

    fn resume(&self, point: &SeekPoint) -> Result<Box<dyn Decoder>, Damage> {
        Ok(self.decoder(self.inner.resume(point)?, point.output))
    }

    fn compact(&self, point: SeekPoint, following: &[u8]) -> SeekPoint {
        self.inner.compact(point, following)
    }

    async fn survey(&self, file: &dyn File) -> Result<Option<Survey>> {
        self.inner.survey(file).await
    }
}

struct VerifiedDecoder {
    inner: Box<dyn Decoder>,
    len: u64,
    crc: u32,
    /// Bytes of content before the next one.
    position: u64,
    /// Over the content so far; none where decoding began amid it.
    running: Option<crc32fast::Hasher>,
    is_bad: Arc<AtomicBool>,
}

impl VerifiedDecoder {
    fn check_end(&self) -> Result<(), Damage> {
        let Self { position, len, crc, .. } = self;
        if position != len {
            return Err(damage(format!("it holds {position} bytes, and its directory says {len}")));
        }
        match self.running.clone().map(crc32fast::Hasher::finalize) {
            Some(found) if found != *crc => {
                self.is_bad.store(true, Ordering::Relaxed);
                let what = "its content's checksum is";
                Err(damage(format!("{what} {found:#010x}, and its directory says {crc:#010x}")))
            }
            None if self.is_bad.load(Ordering::Relaxed) => {
                Err(damage(format!("its content's checksum is not {crc:#010x}, as its directory says")))
            }
            _ => Ok(()),
        }
    }
}

impl Decoder for VerifiedDecoder {
    fn decode(
        &mut self,
        input: &[u8],
        last: bool,
        output: &mut Vec<u8>,
        room: usize,
    ) -> Result<Progress, Damage> {
        let before = output.len();
        let left = usize::try_from(self.len.saturating_sub(self.position)).unwrap_or(usize::MAX);
        // One byte more than there may be shows that there are more.
        let progress = self.inner.decode(input, last, output, room.min(left.saturating_add(1)));
        let is_too_long = output.len() - before > left;
        output.truncate(before.saturating_add(left));
        self.position += (output.len() - before) as u64;
        if let Some(running) = &mut self.running {
            running.update(&output[before..]);
        }
        if is_too_long {
            return Err(damage(format!(
                "it holds more than the {} bytes that its directory states",
                self.len
            )));
        }
        let progress = progress?;
        // Whoever reads as much as was promised stops there: the last piece is given when the sum is seen to fit.
        if progress.next == Next::End || self.position == self.len {
            self.check_end().inspect_err(|_| output.truncate(before))?;
        }
        Ok(progress)
    }

    fn take_points(&mut self) -> Vec<SeekPoint> {
        self.inner.take_points()
    }

    fn remark(&self) -> Option<String> {
        self.inner.remark()
    }
}

fn damage(what: String) -> Damage {
    Damage::new(what)
}
