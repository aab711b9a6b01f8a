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
    pub(super) fn new(stream: TransferStream<AsyncRustlsStream>) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// The connection, to be ended.
    pub(super) fn into_stream(self) -> TransferStream<AsyncRustlsStream> {
        self.stream
    }

    /// The next bytes; none at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Where nothing came for `stall`, or the connection broke off. A TLS connection that is cut without saying so ends
    /// here: whether all bytes came is for the caller to know.
    pub(super) async fn next(&mut self, stall: Duration) -> Result<Bytes, Fault> {
        if self.buffer.capacity() < READ_BYTES / 4 {
            self.buffer.reserve(READ_BYTES);
        }
        match timeout(stall, self.stream.read_buf(&mut self.buffer)).await {
            Ok(Ok(_)) => Ok(self.buffer.split().freeze()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Bytes::new()),
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
