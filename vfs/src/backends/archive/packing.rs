//! [`Packing`]: the compressed formats, each with its codec, and [`open`], which makes a file of what one holds.

use std::sync::Arc;

use super::bounds::Bounds;
use super::budget::Budget;
use super::bzip2::Bzip2;
use super::codec::{Codec, Survey};
use super::decoded::DecodedFile;
use super::gzip::{Gzip, SPACING_BYTES};
use super::spool::{Spool, Spools};
use super::xz::Xz;
use super::zstd::Zstd;
use crate::error::{ErrorKind, Result};
use crate::file_system::File;

/// Content between two places where decoding can start, from which on what lies between is kept on disk: with less, going
/// back costs some 100 ms of xz and 10 ms of zstd. `xz -T0` makes blocks of 24 MiB.
const SOLID_BYTES: u64 = 32 << 20;

/// The same for content of at most [`SMALL_BYTES`], which costs the disk next to nothing.
const SMALL_SOLID_BYTES: u64 = 2 << 20;

/// Content up to here is kept on disk as soon as that gains anything.
const SMALL_BYTES: u64 = 64 << 20;

/// A compressed format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Packing {
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

/// What a compressed file holds, opened.
#[derive(Debug)]
pub(super) struct Unpacked {
    /// Decodes; for a pass, and for reading where there is no spool.
    pub(super) decoded: Arc<DecodedFile>,
    /// Where the pass puts what it decodes, for a stream that cannot be entered in the middle.
    pub(super) spool: Option<Arc<Spool>>,
    /// The length of the content, where a table of contents says it; then every point is known, too.
    pub(super) len: Option<u64>,
}

impl Packing {
    /// Its name in a sentence.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip data",
            Self::Bzip2 => "bzip2 data",
            Self::Xz => "xz data",
            Self::Zstd => "Zstandard data",
        }
    }

    /// Its codec, with seek points about a megabyte of content apart where the format has them.
    pub(super) fn codec(self) -> Arc<dyn Codec> {
        match self {
            Self::Gzip => Arc::new(Gzip::new(SPACING_BYTES)),
            Self::Bzip2 => Arc::new(Bzip2::new(SPACING_BYTES)),
            Self::Xz => Arc::new(Xz::new(SPACING_BYTES)),
            Self::Zstd => Arc::new(Zstd::new(SPACING_BYTES)),
        }
    }

    /// False for formats that can be entered every few megabytes, whoever wrote the file.
    const fn may_be_solid(self) -> bool {
        match self {
            Self::Gzip | Self::Bzip2 => false,
            Self::Xz | Self::Zstd => true,
        }
    }

    /// Makes a file of what `file` holds in this format; a spool of `spools` where it may be solid.
    ///
    /// # Errors
    /// What reading the table of contents says. One that is damaged is not used: a pass tells where the damage is.
    pub(super) async fn open(
        self,
        file: &Arc<dyn File>,
        spools: &Arc<Spools>,
        budget: &Arc<Budget>,
        bounds: Bounds,
    ) -> Result<Unpacked> {
        let codec = self.codec();
        let survey = match codec.survey(&**file).await {
            Ok(survey) => survey,
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated) => {
                tracing::info!(%error, "the table of contents of a compressed file is damaged");
                None
            }
            Err(error) => return Err(error),
        };
        let is_solid = self.may_be_solid() && survey.as_ref().is_none_or(is_solid);
        let spool = is_solid.then(|| Arc::new(Spool::new(Arc::clone(spools))));
        let len = survey.as_ref().map(|survey| survey.len);
        let decoded = Arc::new(DecodedFile::new(Arc::clone(file), codec, budget, bounds));
        let points = survey.map_or(Vec::new(), |survey| survey.points);
        decoded.learn(|known| points.into_iter().for_each(|point| known.add_point(point)));
        Ok(Unpacked { decoded, spool, len })
    }
}

impl Unpacked {
    /// Where members are read from.
    pub(super) fn source(&self) -> Arc<dyn File> {
        match &self.spool {
            Some(spool) => Arc::clone(spool) as Arc<dyn File>,
            None => Arc::clone(&self.decoded) as Arc<dyn File>,
        }
    }
}

/// Whether going back in it costs so much that it is better kept on disk.
fn is_solid(survey: &Survey) -> bool {
    let gap = gap(survey);
    gap > SOLID_BYTES || gap > SMALL_SOLID_BYTES && survey.len <= SMALL_BYTES
}

/// The most content that has to be decoded to reach a byte of it.
fn gap(survey: &Survey) -> u64 {
    let starts = survey.points.iter().map(|point| point.output);
    let ends = starts.clone().skip(1).chain([survey.len]);
    starts.zip(ends).map(|(start, end)| end.saturating_sub(start)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::backends::archive::codec::SeekPoint;

    #[test]
    fn the_widest_gap_counts() {
        let point = |output| SeekPoint { input_bits: 0, output, state: Bytes::new() };
        for (starts, len, expected) in
            [(&[][..], 0, 0), (&[0], 10, 10), (&[0, 4, 6], 7, 4), (&[0, 4, 6], 90, 84), (&[0, 9], 3, 9)]
        {
            let points = starts.iter().map(|start| point(*start)).collect();
            assert_eq!(gap(&Survey { points, len }), expected, "{starts:?}");
        }
    }
}
