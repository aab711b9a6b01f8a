//! The table of contents of a whole file: its seek table, or else a walk over the headers of frames and blocks.
//!
//! Neither is believed further than the file's length bears it out; that frames hold what the table says, is a promise
//! in each point. What is not as it should be is left to a pass, which says where.

use super::entry::Entry;
use super::frame::{
    BLOCK_HEADER_BYTES, BlockHeader, FrameHeader, HEADER_BYTES, SKIPPABLE_HEADER_BYTES, is_skippable,
};
use super::seek_table::{FOOTER_BYTES, Layout, Listed};
use crate::backends::archive::codec::{SeekPoint, Survey};
use crate::backends::archive::passed::Promise;
use crate::backends::archive::reading::read_exact;
use crate::backends::archive::runs::{Run, Runs};
use crate::error::Result;
use crate::file_system::{File, SeekCost};

/// Bytes of a seek table that are read at once, a multiple of both lengths of an entry.
const PIECE_BYTES: u64 = 60 * 1024;

/// Bytes of a seek table that are read. With more, for half a million frames or so, points come from elsewhere.
const TABLE_LIMIT_BYTES: u64 = 8 << 20;

/// Bytes that one read of a walk asks for: small frames share one.
const WALK_BYTES: u64 = 4096;

/// Surveys `file`, with points about `spacing` apart. None where it cannot be done or would take too long.
pub(super) async fn survey(file: &dyn File, spacing: u64) -> Result<Option<Survey>> {
    let Some(len) = file.metadata().await?.len else {
        return Ok(None);
    };
    let mut runs = read_table(file, len, spacing).await?;
    if runs.is_none() {
        runs = Walk::new(file, len).frames(spacing).await?;
    }
    Ok(runs.map(|runs| to_survey(&runs)))
}

fn to_survey(runs: &Runs) -> Survey {
    let point = |run: &Run| {
        let promise = Promise { input: run.input + run.input_len, output: run.output + run.output_len };
        let state = Entry { promise: Some(promise) }.to_state();
        SeekPoint { input_bits: run.input * 8, output: run.output, state }
    };
    Survey {
        points: runs.iter().filter(|run| run.output_len > 0).map(point).collect(),
        len: runs.output_len(),
    }
}

/// Reads the seek table. None where there is none, or it does not add up.
async fn read_table(file: &dyn File, len: u64, spacing: u64) -> Result<Option<Runs>> {
    let Some(footer_at) = len.checked_sub(FOOTER_BYTES as u64) else {
        return Ok(None);
    };
    let footer = read_exact(file, footer_at, FOOTER_BYTES).await?;
    let Some(layout) = footer.first_chunk().and_then(|footer| Layout::parse(*footer)) else {
        return Ok(None);
    };
    let entries_at = footer_at.checked_sub(layout.entries_bytes);
    let header_at = entries_at.and_then(|at| at.checked_sub(SKIPPABLE_HEADER_BYTES as u64));
    let (Some(mut at), Some(header_at)) = (entries_at, header_at) else {
        return Ok(None);
    };
    let header = read_exact(file, header_at, SKIPPABLE_HEADER_BYTES).await?;
    let fits = header.first_chunk().is_some_and(|header| layout.fits_header(*header));
    if !fits || layout.entries_bytes > TABLE_LIMIT_BYTES {
        return Ok(None);
    }
    let mut runs = Runs::new(spacing);
    while at < footer_at {
        let bytes = read_exact(file, at, PIECE_BYTES.min(footer_at - at) as usize).await?;
        at += bytes.len() as u64;
        for listed in bytes.chunks_exact(layout.entry_bytes).filter_map(Listed::parse) {
            if runs.add(listed.packed.into(), listed.unpacked.into()).is_none() {
                return Ok(None);
            }
        }
    }
    Ok((runs.input_len() == header_at).then_some(runs))
}

/// A walk over a file's headers.
struct Walk<'a> {
    file: &'a dyn File,
    len: u64,
    /// Reads that may be made yet.
    reads: u32,
    /// What the last read gave, and where it begins.
    bytes: Vec<u8>,
    at: u64,
}

impl<'a> Walk<'a> {
    fn new(file: &'a dyn File, len: u64) -> Self {
        Self { file, len, reads: read_limit(file.seek_cost()), bytes: Vec::new(), at: 0 }
    }

    /// Walks over all frames. None where one does not say how long its content is, something is no frame, or the reads
    /// are used up.
    async fn frames(mut self, spacing: u64) -> Result<Option<Runs>> {
        let mut runs = Runs::new(spacing);
        while runs.input_len() < self.len {
            let Some((len, content)) = self.frame(runs.input_len()).await? else {
                return Ok(None);
            };
            if runs.add(len, content).is_none() {
                return Ok(None);
            }
        }
        Ok((runs.input_len() == self.len && self.len > 0).then_some(runs))
    }

    /// Length and content of the frame at `start`.
    async fn frame(&mut self, start: u64) -> Result<Option<(u64, u64)>> {
        let Some(head) = self.peek(start, HEADER_BYTES).await? else {
            return Ok(None);
        };
        if let Some(&[a, b, c, d, len @ ..]) = head.first_chunk::<SKIPPABLE_HEADER_BYTES>()
            && is_skippable(&[a, b, c, d])
        {
            let len = u64::from(u32::from_le_bytes(len));
            return Ok(Some((SKIPPABLE_HEADER_BYTES as u64 + len, 0)));
        }
        let Some(header) = FrameHeader::parse(head) else {
            return Ok(None);
        };
        let Some(content) = header.content else {
            return Ok(None);
        };
        let mut at = start + header.len;
        loop {
            let bytes = self.peek(at, BLOCK_HEADER_BYTES).await?.and_then(<[u8]>::first_chunk);
            let Some(block) = bytes.and_then(|bytes| BlockHeader::parse(*bytes)) else {
                return Ok(None);
            };
            at += BLOCK_HEADER_BYTES as u64 + block.len;
            if block.is_last {
                return Ok(Some((at + header.checksum - start, content)));
            }
        }
    }

    /// At most `len` bytes at `at`, fewer at the end. None where the reads are used up.
    async fn peek(&mut self, at: u64, len: usize) -> Result<Option<&[u8]>> {
        let len = self.len.saturating_sub(at).min(len as u64) as usize;
        let is_there = at >= self.at && at + len as u64 <= self.at + self.bytes.len() as u64;
        if !is_there {
            if self.reads == 0 {
                return Ok(None);
            }
            self.reads -= 1;
            self.bytes =
                read_exact(self.file, at, WALK_BYTES.min(self.len.saturating_sub(at)) as usize).await?;
            self.at = at;
        }
        let from = (at.saturating_sub(self.at) as usize).min(self.bytes.len());
        Ok(self.bytes.get(from..from + len))
    }
}

/// How many reads a walk is worth: a pass reads the file from one end to the other, once.
fn read_limit(cost: SeekCost) -> u32 {
    match cost {
        SeekCost::Free => 1024,
        SeekCost::Request => 16,
        SeekCost::Restart | SeekCost::Never => 0,
    }
}
