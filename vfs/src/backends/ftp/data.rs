//! [`Data`]: one data connection, and the bytes that come or go on it.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use suppaftp::FtpError;
use suppaftp::tokio::{AsyncRustlsStream, TransferStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::error::{Fault, Lost};
use crate::error::ErrorKind;

/// What one read of a data connection takes at most.
const READ_BYTES: usize = 64 * 1024;

/// A data connection, and the bytes that come or go on it.
pub(super) struct Data {
    stream: TransferStream<AsyncRustlsStream>,
    buffer: BytesMut,
    promised: Option<u64>,
    ending: Ending,
}

/// What one read of a data connection gives.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Bytes),
    /// The site has ended it.
    End,
    /// It was cut: under TLS an end is said (RFC 8446 §6.1), and this one was not. More may have been meant to come.
    Cut,
}

/// What ends a data connection under TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// `close_notify`.
    #[default]
    Said,
    /// The end of the connection below, too: for sites that never say it.
    Any,
}

/// What a data connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// RETR.
    Retrieve,
    /// STOR.
    Store,
    /// APPE.
    Append,
    /// MLSD, or LIST, of the working folder.
    List(&'static str),
}

impl Data {
    /// `promised`: how many bytes the site has said will come.
    pub(super) fn new(
        stream: TransferStream<AsyncRustlsStream>,
        promised: Option<u64>,
        ending: Ending,
    ) -> Self {
        Self { stream, buffer: BytesMut::new(), promised, ending }
    }

    /// How many bytes the site has said will come.
    pub(super) fn promised(&self) -> Option<u64> {
        self.promised
    }

    /// The connection, to be ended.
    pub(super) fn into_stream(self) -> TransferStream<AsyncRustlsStream> {
        self.stream
    }

    /// The next bytes, or the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Where nothing came for `stall`, or the connection broke off.
    pub(super) async fn next(&mut self, stall: Duration) -> Result<Piece, Fault> {
        if self.buffer.capacity() < READ_BYTES / 4 {
            self.buffer.reserve(READ_BYTES);
        }
        match timeout(stall, self.stream.read_buf(&mut self.buffer)).await {
            Ok(Ok(0)) => Ok(Piece::End),
            Ok(Ok(_)) => Ok(Piece::Bytes(self.buffer.split().freeze())),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(match self.ending {
                Ending::Said => Piece::Cut,
                Ending::Any => Piece::End,
            }),
            Ok(Err(error)) => Err(Fault::Lost(Lost {
                kind: ErrorKind::Truncated,
                detail: "the data connection broke off".to_owned(),
                source: Some(FtpError::ConnectionError(error)),
            })),
            Err(_) => Err(Fault::lost(ErrorKind::TimedOut, format!("the site sent nothing for {stall:?}"))),
        }
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// Where nothing left for `stall`, or the connection broke off.
    pub(super) async fn send(&mut self, mut bytes: Bytes, stall: Duration) -> Result<(), Fault> {
        while !bytes.is_empty() {
            match timeout(stall, self.stream.write_buf(&mut bytes)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(Fault::of_library(FtpError::ConnectionError(error))),
                Err(_) => {
                    return Err(Fault::lost(
                        ErrorKind::TimedOut,
                        format!("the site took nothing for {stall:?}"),
                    ));
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Data").finish_non_exhaustive()
    }
}
