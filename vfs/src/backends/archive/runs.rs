//! The parts of a file as a table of contents lists them, put together to about a spacing of output each.

/// Parts one behind the other, from a first byte on that is not known here.
#[derive(Debug)]
pub(super) struct Runs {
    spacing: u64,
    runs: Vec<Run>,
}

/// Some parts, one behind the other. Positions are counted from the first part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) input_len: u64,
    pub(super) output_len: u64,
}

impl Runs {
    pub(super) fn new(spacing: u64) -> Self {
        Self { spacing, runs: Vec::new() }
    }

    /// Adds a part to the last run, or begins another. None where the lengths together are absurd.
    pub(super) fn add(&mut self, input_len: u64, output_len: u64) -> Option<()> {
        let input = self.input_len().checked_add(input_len)?;
        let output = self.output_len().checked_add(output_len)?;
        match self.runs.last_mut() {
            Some(run) if run.output_len < self.spacing.div_ceil(2).max(1) => {
                run.input_len = input - run.input;
                run.output_len = output - run.output;
            }
            _ => {
                let (input, output) = (input - input_len, output - output_len);
                self.runs.push(Run { input, output, input_len, output_len });
            }
        }
        Some(())
    }

    /// Bytes of all parts.
    pub(super) fn input_len(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.input + run.input_len)
    }

    /// Bytes of output of all parts.
    pub(super) fn output_len(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.output + run.output_len)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_together_up_to_half_a_spacing() {
        let mut runs = Runs::new(100);
        for (input, output) in [(10, 0), (1, 49), (2, 1), (3, 200), (4, 5), (5, 0)] {
            runs.add(input, output).unwrap();
        }
        let run = |input, output, input_len, output_len| Run { input, output, input_len, output_len };
        let expected = [run(0, 0, 13, 50), run(13, 50, 3, 200), run(16, 250, 9, 5)];
        assert!(runs.iter().eq(&expected), "{runs:?}");
        assert_eq!((runs.input_len(), runs.output_len()), (25, 255));
        assert_eq!((runs.add(u64::MAX, 0), runs.add(0, u64::MAX)), (None, None));
    }
}
