//! Calls that end in a listing.

use vfs::{DirStream, Error, ErrorKind, ListOptions};

use super::{Ask, Content, Failure, Opening, Outcome};
use crate::ftp::command::{Format, Switches};
use crate::ftp::facts::{Facts, Powers};
use crate::ftp::list::{Folder, Listing, Rows};
use crate::ftp::pattern::Pattern;

/// What a listing is to look like.
#[derive(Clone, Copy, Debug)]
pub(in crate::ftp) struct Look {
    /// Each row.
    pub(in crate::ftp) format: Format,
    /// Order and depth.
    pub(in crate::ftp) switches: Switches,
    /// The facts of MLSD.
    pub(in crate::ftp) facts: Facts,
}

impl Ask {
    /// LIST, NLST and MLSD.
    pub(in crate::ftp) async fn list(self, look: Look) -> Outcome {
        let path = self.path.clone();
        match self.rows(look).await {
            Ok(listing) => Outcome::Opened(Opening {
                path,
                content: Content::Out(Box::new(listing)),
                len: None,
                is_file: false,
            }),
            Err(outcome) => outcome,
        }
    }

    /// STAT with a path.
    pub(in crate::ftp) async fn report(self) -> Outcome {
        let look = Look { format: Format::Long, switches: Switches::default(), facts: Facts::ALL };
        match self.rows(look).await {
            Ok(listing) => Outcome::Reported(Box::new(listing)),
            Err(outcome) => outcome,
        }
    }

    /// The rows of a folder, or the one row of a file.
    async fn rows(self, look: Look) -> Result<Listing, Outcome> {
        let Look { format, switches, facts } = look;
        let options = match format {
            Format::Names if !switches.newest_first => ListOptions::default(),
            Format::Names | Format::Long | Format::Facts => ListOptions::with_metadata(),
        };
        match self.view.read_dir(&self.path, &options).await {
            Ok(entries) => Ok(self.folder_rows(entries, look, options)),
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                self.file_row(error, format, facts).await
            }
            Err(error) => match Pattern::of(&self.sent) {
                // A name that is there is no pattern, and MLSD has none (RFC 3659 §7.1).
                Some(pattern) if error.kind() == ErrorKind::NotFound && format != Format::Facts => {
                    self.matching_rows(pattern, format, &options).await
                }
                _ => Err(self.fail(Failure::Tree(error))),
            },
        }
    }

    /// The rows of what matches. Where nothing does, that is said before the data connection is used.
    async fn matching_rows(
        self,
        pattern: Pattern,
        format: Format,
        options: &ListOptions,
    ) -> Result<Listing, Outcome> {
        let missing = Error::new(ErrorKind::NotFound, "read_dir", &self.path);
        let path = self.path.parent().unwrap_or_default();
        let mut entries = match self.view.read_dir(&path, options).await {
            Ok(entries) => entries,
            Err(_) => return Err(self.fail(Failure::Tree(missing))),
        };
        loop {
            match entries.next().await {
                Some(Ok(mut batch)) => {
                    pattern.retain(&mut batch);
                    if batch.is_empty() {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    let prefix = parent_prefix(&self.sent).to_vec();
                    let powers = Powers::of(&*self.view, &path, self.overwrites);
                    let rows = Rows::new(format, Facts::ALL, prefix, powers);
                    let listing = Listing::new(rows, entries, Folder { view: self.view, path });
                    return Ok(listing.matching(pattern, batch));
                }
                Some(Err(error)) => return Err(self.fail(Failure::Tree(error))),
                None => return Err(self.fail(Failure::Tree(missing))),
            }
        }
    }

    fn folder_rows(self, entries: DirStream, look: Look, options: ListOptions) -> Listing {
        let Look { format, switches, facts } = look;
        let prefix = match format {
            Format::Names => folder_prefix(&self.sent),
            Format::Long | Format::Facts => Vec::new(),
        };
        let rows = Rows::new(format, facts, prefix, Powers::of(&*self.view, &self.path, self.overwrites));
        let mut listing = Listing::new(rows, entries, Folder { view: self.view, path: self.path });
        if switches.newest_first {
            listing = listing.newest_first(switches.reversed);
        }
        if switches.recursive {
            listing = listing.with_folders_within(self.sent, options);
        }
        listing
    }

    /// The one row of what `refused` to be listed.
    async fn file_row(self, refused: Error, format: Format, facts: Facts) -> Result<Listing, Outcome> {
        let found = match self.stat().await {
            Ok(found) if !found.is_dir() => found,
            // A site's folder whose page is no listing stays that: asking again would not help.
            Ok(_) => return Err(self.fail(Failure::Tree(refused))),
            Err(error) => return Err(self.fail(Failure::Tree(error))),
        };
        // RFC 3659 §7.2.1.
        if format == Format::Facts {
            return Err(self.fail(Failure::NotAFolder));
        }
        let name = self.path.file_name().map(|segment| segment.name().to_vec()).unwrap_or_default();
        let powers = Powers::of(&*self.view, &self.path, self.overwrites);
        let rows = Rows::new(format, facts, parent_prefix(&self.sent).to_vec(), powers);
        Ok(Listing::single(rows, name, &found))
    }
}

/// What leads from the text of a folder to its entries.
fn folder_prefix(sent: &[u8]) -> Vec<u8> {
    match sent {
        b"" | b"." | b"./" => Vec::new(),
        _ if sent.ends_with(b"/") => sent.to_vec(),
        _ => [sent, b"/"].concat(),
    }
}

/// The text of a file without its last name.
fn parent_prefix(sent: &[u8]) -> &[u8] {
    let end = sent.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    &sent[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_listing_can_be_sent_back() {
        for (sent, prefix) in [("", ""), (".", ""), ("/", "/"), ("a", "a/"), ("a/", "a/"), ("..", "../")] {
            assert_eq!(folder_prefix(sent.as_bytes()), prefix.as_bytes(), "{sent}");
        }
        for (sent, prefix) in [("f", ""), ("a/f", "a/"), ("/f", "/")] {
            assert_eq!(parent_prefix(sent.as_bytes()), prefix.as_bytes(), "{sent}");
        }
    }
}
