//! Files that lines are appended to, each by a thread of its own, so that a slow disk holds up no connection.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use frontends::sight::Sink;

/// Lines that wait for the disk. More are dropped, and the log says how many.
const WAITING: usize = 8192;

/// What is gathered before it is written, at most about so much.
const PIECE_BYTES: usize = 64 * 1024;

/// A file of lines. The last clone's drop lets the thread end, when all is written.
#[derive(Clone, Debug)]
pub(crate) struct LogFile(SyncSender<Message>);

enum Message {
    Line(String),
    /// The file was moved away; its name is to be opened anew.
    Reopen,
}

struct Writer {
    path: PathBuf,
    file: File,
    messages: Receiver<Message>,
}

impl LogFile {
    /// Opens the file for appending, and makes it where it is not there.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = append(path)?;
        let (sender, messages) = sync_channel(WAITING);
        let writer = Writer { path: path.to_owned(), file, messages };
        std::thread::Builder::new().name("log file".to_owned()).spawn(move || writer.run())?;
        Ok(Self(sender))
    }

    /// Opens the file's name anew, after what waits is written to the old one.
    pub(crate) fn reopen(&self) {
        // A full queue is a disk that hangs; then there is nothing to be opened either.
        if self.0.try_send(Message::Reopen).is_err() {
            tracing::warn!("a log file is not opened again: its disk does not keep up");
        }
    }
}

impl Sink for LogFile {
    fn line(&self, line: String) {
        if let Err(TrySendError::Full(_)) = self.0.try_send(Message::Line(line)) {
            tracing::warn!("a line of a log file is lost: its disk does not keep up");
        }
    }
}

impl Writer {
    fn run(mut self) {
        while let Ok(message) = self.messages.recv() {
            let mut piece = String::new();
            let mut next = Some(message);
            while let Some(Message::Line(line)) = next {
                piece.push_str(&line);
                next = if piece.len() < PIECE_BYTES { self.messages.try_recv().ok() } else { None };
            }
            if let Err(error) = self.file.write_all(piece.as_bytes()) {
                tracing::error!(path = %self.path.display(), %error, "lines of a log file are lost");
            }
            if let Some(Message::Reopen) = next {
                self.reopen();
            }
        }
    }

    fn reopen(&mut self) {
        match append(&self.path) {
            Ok(file) => self.file = file,
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "a log file stays the old one");
            }
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_to_the_file_that_has_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
        let log = LogFile::open(&path).unwrap();
        log.line("one\n".to_owned());
        std::fs::rename(&path, &moved).unwrap();
        log.reopen();
        log.line("two\n".to_owned());
        drop(log);
        while std::fs::read_to_string(&path).unwrap_or_default().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "one\n");
    }
}
