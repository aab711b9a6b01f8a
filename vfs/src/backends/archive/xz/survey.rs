//! The table of contents of a whole file: footers and indexes, from its end to its beginning.
//!
//! Nothing is believed that the file's length does not bear out, and nothing is allocated by a number that the file
//! states. What remains to be proven, that blocks hold what the index says, is a promise in each point.

use super::entry::Entry;
use super::frame::{Check, FRAME_BYTES, MAGIC, ends_stream, parse_flags, parse_footer};
use super::index::{Found, IndexReader};
use crate::backends::archive::codec::{SeekPoint, Survey};
use crate::backends::archive::passed::Promise;
use crate::backends::archive::reading::read_exact;
use crate::backends::archive::runs::Runs;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::path::VPath;

/// Bytes of an index that are read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Bytes of indexes that a survey reads. With more, for a million blocks or so, points come from a pass.
const INDEX_LIMIT_BYTES: u64 = 8 << 20;

/// Streams that a survey goes through, each a few requests.
const STREAM_LIMIT: usize = 1024;

/// Padding that a survey goes through, at the end and between streams.
const PADDING_LIMIT_BYTES: u64 = 1 << 20;

/// What is known of a stream.
struct StreamSurvey {
    /// Where its first block begins.
    at: u64,
    check: Check,
    runs: Runs,
}

/// Surveys `file`, with points about `spacing` apart. None where it cannot be done or would take too long.
pub(super) async fn survey(file: &dyn File, spacing: u64) -> Result<Option<Survey>> {
    let Some(len) = file.metadata().await?.len else {
        return Ok(None);
    };
    let (mut end, mut index_bytes, mut padding) = (len, 0, 0);
    let mut streams = Vec::new();
    while end > 0 {
        let Some(content) = skip_padding(file, end, &mut padding).await? else {
            return Ok(None);
        };
        if streams.len() == STREAM_LIMIT || content < 2 * FRAME_BYTES as u64 {
            return Ok(None);
        }
        let Some((stream, start)) = survey_stream(file, content, spacing, &mut index_bytes).await? else {
            return Ok(None);
        };
        streams.push(stream);
        end = start;
    }
    Ok((!streams.is_empty()).then(|| assemble(&streams)))
}

/// The end of the stream before the zeros before `end`. None where nothing but zeros is there, or too many.
async fn skip_padding(file: &dyn File, mut end: u64, skipped: &mut u64) -> Result<Option<u64>> {
    loop {
        let start = end.saturating_sub(PIECE_BYTES as u64 / 16);
        let bytes = read_exact(file, start, (end - start) as usize).await?;
        if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
            return Ok(Some(start + last as u64 + 1));
        }
        *skipped += end - start;
        if start == 0 || *skipped > PADDING_LIMIT_BYTES {
            return Ok(None);
        }
        end = start;
    }
}

/// Surveys the stream before `end`, and says where it begins. `read` counts the bytes of indexes.
async fn survey_stream(
    file: &dyn File,
    end: u64,
    spacing: u64,
    read: &mut u64,
) -> Result<Option<(StreamSurvey, u64)>> {
    let footer = read_exact(file, end - FRAME_BYTES as u64, FRAME_BYTES).await?;
    if !ends_stream(&footer) {
        return Ok(None);
    }
    let footer = footer[..].try_into().expect("it was read to its length");
    let footer = parse_footer(footer).map_err(|what| corrupt(end, what))?;
    *read = read.saturating_add(footer.index_bytes);
    if *read > INDEX_LIMIT_BYTES {
        return Ok(None);
    }
    let index_at = (end - FRAME_BYTES as u64).checked_sub(footer.index_bytes);
    let index_at = index_at.ok_or_else(|| corrupt(end, "its index is longer than the file"))?;
    let runs = read_index(file, index_at, footer.index_bytes, spacing).await?;
    let start = index_at.checked_sub(runs.input_len()).and_then(|at| at.checked_sub(FRAME_BYTES as u64));
    let start = start.ok_or_else(|| corrupt(end, "its blocks are longer than the file"))?;
    let header = read_exact(file, start, FRAME_BYTES).await?;
    let check = header.strip_prefix(MAGIC).map(parse_flags);
    if check != Some(Ok(footer.check)) {
        return Err(corrupt(end, "it does not begin where its index says, or not as its end says"));
    }
    let at = start + FRAME_BYTES as u64;
    Ok(Some((StreamSurvey { at, check: footer.check, runs }, start)))
}

/// Reads the index at `at`: its blocks, put together to about `spacing` bytes of output.
async fn read_index(file: &dyn File, at: u64, len: u64, spacing: u64) -> Result<Runs> {
    let end = at + len;
    let mut reader = IndexReader::new();
    let mut runs = Runs::new(spacing);
    while reader.len() < len {
        let from = at + reader.len();
        let bytes = read_exact(file, from, PIECE_BYTES.min((end - from) as usize)).await?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (taken, found) = reader.read(rest).map_err(|what| corrupt(end, what))?;
            rest = &rest[taken..];
            match found {
                Found::Nothing => {}
                Found::Record(record) => {
                    let added = runs.add(record.padded(), record.unpacked);
                    added.ok_or_else(|| corrupt(end, "its sizes are absurd"))?;
                }
                Found::End if reader.len() == len => return Ok(runs),
                Found::End => return Err(corrupt(end, "its index is shorter than it says")),
            }
        }
    }
    Err(corrupt(end, "its index is longer than it says"))
}

/// The points of all streams, which come from the last to the first.
fn assemble(streams: &[StreamSurvey]) -> Survey {
    let mut points = Vec::new();
    let mut len: u64 = 0;
    for stream in streams.iter().rev() {
        for run in stream.runs.iter() {
            let (input, output) = (stream.at + run.input, len.saturating_add(run.output));
            let promise =
                Promise { input: input + run.input_len, output: output.saturating_add(run.output_len) };
            let entry = Entry { check: stream.check, promise: Some(promise) };
            points.push(SeekPoint { input_bits: input * 8, output, state: entry.to_state() });
        }
        len = len.saturating_add(stream.runs.output_len());
    }
    Survey { points, len }
}

/// What is wrong with the stream that ends at `end`.
fn corrupt(end: u64, what: &str) -> Error {
    let detail =
        format!("the archive is damaged: the xz stream that ends at its byte {end} is wrong: {what}");
    Error::new(ErrorKind::Corrupt, "open", &VPath::root()).with_detail(detail)
}
