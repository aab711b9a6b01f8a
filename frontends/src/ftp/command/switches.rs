//! The options of `ls` that clients send with LIST and NLST (`-la`, `-alR`, `-ltr`). Pure.

use super::Format;

/// What options ask for. Names with a dot are shown with and without `-a`, as clients expect that mirror by plain LIST; what is
/// hidden from listings is hidden by the tree. The letters that are not here change nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::ftp) struct Switches {
    /// `-l`: NLST shows rows as LIST does.
    pub(in crate::ftp) long: bool,
    /// `-R`: the folders within, too.
    pub(in crate::ftp) recursive: bool,
    /// `-t`: the newest come first; else they come as the tree has them.
    pub(in crate::ftp) newest_first: bool,
    /// `-r`: the other way around, where `-t` is there too.
    pub(in crate::ftp) reversed: bool,
}

impl Switches {
    /// Takes the options off the front: what they ask for, and the path behind them. `--` ends them. One blank ends an
    /// option; more of them belong to a name.
    pub(super) fn split(mut argument: &[u8]) -> (Self, &[u8]) {
        let mut switches = Self::default();
        loop {
            if argument.first() != Some(&b'-') {
                return (switches, argument);
            }
            let (option, rest) = match argument.iter().position(|byte| *byte == b' ') {
                Some(end) => (&argument[..end], &argument[end + 1..]),
                None => (argument, &b""[..]),
            };
            argument = rest;
            if option == b"--" {
                return (switches, argument);
            }
            for letter in option {
                switches.take(*letter);
            }
        }
    }

    /// What the rows look like for a command whose own are of `format`.
    pub(super) fn format(self, format: Format) -> Format {
        match format {
            Format::Names if self.long => Format::Long,
            format => format,
        }
    }

    fn take(&mut self, letter: u8) {
        match letter {
            b'l' => self.long = true,
            b'R' => self.recursive = true,
            b't' => self.newest_first = true,
            b'r' => self.reversed = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_told_from_paths() {
        let none = Switches::default();
        let long = Switches { long: true, ..none };
        for (argument, switches, path) in [
            ("", none, ""),
            ("-a", none, ""),
            ("-la", long, ""),
            ("-a -l my dir", long, "my dir"),
            ("-alR d", Switches { recursive: true, ..long }, "d"),
            ("-ltr", Switches { newest_first: true, reversed: true, ..long }, ""),
            ("-1F x", none, "x"),
            ("-l -- -x", long, "-x"),
            ("a -l", none, "a -l"),
            (" d", none, " d"),
            ("-a  d", none, " d"),
            ("-- -a", none, "-a"),
            ("--  d", none, " d"),
            (" -l", none, " -l"),
            ("-l ", long, ""),
        ] {
            assert_eq!(Switches::split(argument.as_bytes()), (switches, path.as_bytes()), "{argument}");
        }
    }
}
