//! How far a copy is, shown on a terminal and nowhere else.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vfs::VPath;

/// What is shown of a file whose length is known.
const BAR: &str = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";

/// What is shown of a file whose length is not.
const LINE: &str = "{msg} {bytes} {bytes_per_sec}";

/// One file's progress on standard error; dropping it takes it off the screen.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Starts showing the file `path`.
    pub(crate) fn of(path: &VPath, len: Option<u64>) -> Self {
        let (bar, template) = match len {
            Some(len) => (ProgressBar::new(len), BAR),
            None => (ProgressBar::no_length(), LINE),
        };
        let style =
            ProgressStyle::with_template(template).expect("both templates are valid, as a test shows");
        bar.set_style(style);
        // Escaped, as paths print: a name must not reach the terminal as a command to it.
        bar.set_message(path.to_string());
        Self(bar)
    }

    /// Starts showing the file `path`, of which `done` bytes lie behind already: they say nothing of the speed. It is on
    /// the screen from the next bytes on.
    pub(crate) fn going_on(path: &VPath, len: Option<u64>, done: u64) -> Self {
        let progress = Self::of(path, len);
        progress.0.set_draw_target(ProgressDrawTarget::hidden());
        progress.0.set_position(done);
        progress.0.reset_eta();
        progress.0.set_draw_target(ProgressDrawTarget::stderr());
        progress
    }

    /// Says how many bytes are done in all.
    pub(crate) fn reach(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    /// Adds bytes that were copied.
    pub(crate) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_templates_are_valid() {
        for len in [Some(3), None] {
            let progress = Progress::of(&VPath::root(), len);
            progress.advance(2);
            assert_eq!(progress.0.position(), 2);
        }
    }

    #[test]
    fn what_was_done_before_says_nothing_of_the_speed() {
        let progress = Progress::going_on(&VPath::root(), Some(1 << 40), 1 << 39);
        assert_eq!((progress.0.position(), progress.0.per_sec() > 0.0), (1 << 39, false));
    }
}
