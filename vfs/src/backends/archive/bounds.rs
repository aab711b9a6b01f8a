//! [`Bounds`]: what compressed data may cost; more is taken for a bomb.

use std::time::Duration;

use super::decoding::Decoding;
use crate::error::{Error, ErrorKind, Result};
use crate::path::VPath;

/// What a pass through compressed data may cost, or somebody who reads it. Default: nothing is bounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Content that a compressed byte may stand for, once so much has come.
    pub(super) ratio: u64,
    pub(super) ratio_from: u64,
    /// Time of one core.
    pub(super) work: Duration,
    /// Bytes of content.
    pub(super) content: u64,
}

impl Bounds {
    /// Refuses bombs, whoever reads them, and in a pass what takes too long as well.
    ///
    /// # Errors
    /// `LimitExceeded`, which says what was too much.
    pub(super) fn check(&self, decoding: &Decoding) -> Result<()> {
        self.check_size(decoding)?;
        if decoding.spent() > self.work {
            let (input, most) = (decoding.input(), self.work.as_secs());
            return Err(refusal(&format!("reading {input} compressed bytes of it took more than {most} s")));
        }
        Ok(())
    }

    /// Refuses bombs.
    ///
    /// # Errors
    /// As [`Bounds::check`].
    pub(super) fn check_size(&self, decoding: &Decoding) -> Result<()> {
        let (output, input) = (decoding.output(), decoding.input());
        if output > self.ratio_from && output / self.ratio.max(1) > input {
            let ratio = self.ratio;
            return Err(refusal(&format!(
                "{input} compressed bytes grew to {output}, more than {ratio} for one"
            )));
        }
        if output > self.content {
            return Err(refusal(&format!("it holds more than {} bytes", self.content)));
        }
        Ok(())
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self { ratio: u64::MAX, ratio_from: u64::MAX, work: Duration::MAX, content: u64::MAX }
    }
}

fn refusal(what: &str) -> Error {
    let detail = format!("{what}: it is not read on; what came before is served");
    Error::new(ErrorKind::LimitExceeded, "read", &VPath::root()).with_detail(detail)
}
