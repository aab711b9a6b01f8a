//! How a control connection is made: dialled, protected and logged in.

use std::io;

use suppaftp::tokio::AsyncRustlsFtpStream;
use suppaftp::{Encoding, FtpError, FtpResult, Status};
use tokio::net::{TcpSocket, TcpStream};

use super::config::Tls;
use super::error::Fault;
use super::site::Dialled;
use super::tls;
use crate::error::ErrorKind;

/// Dials, protects and logs in.
pub(super) async fn log_in(dialled: &Dialled) -> Result<AsyncRustlsFtpStream, Fault> {
    let mut ftp = protected(dialled).await.map_err(|error| of_greeting(error, dialled))?;
    ftp.set_encoding(Transparent).await;
    ftp.set_passive_nat_workaround(true);
    let login = &dialled.address.login;
    let user = Transparent.decode(login.user.as_bytes());
    let password = Transparent.decode(login.password.as_deref().unwrap_or_default().as_bytes());
    ftp.login(user, password).await.map_err(of_login)?;
    Ok(ftp)
}

async fn protected(dialled: &Dialled) -> FtpResult<AsyncRustlsFtpStream> {
    let address = &dialled.address;
    let addresses = address.policy.resolve(&address.host, address.port).await;
    let addresses = addresses.map_err(FtpError::ConnectionError)?;
    let connector = || {
        tls::connector(&dialled.trust, dialled.lore.needs_tls12.is_set())
            .map_err(|error| FtpError::SecureError(error.to_string()))
    };
    match address.tls {
        Tls::Off => AsyncRustlsFtpStream::connect_with_stream(dial(&addresses).await?).await,
        Tls::Explicit => {
            let plain = AsyncRustlsFtpStream::connect_with_stream(dial(&addresses).await?).await?;
            plain.into_secure(connector()?, &address.host).await
        }
        Tls::Implicit => {
            let mut ftp =
                AsyncRustlsFtpStream::connect_secure_implicit(&addresses[..], connector()?, &address.host)
                    .await?;
            ftp.custom_command("PBSZ 0", &[Status::CommandOk]).await?;
            ftp.custom_command("PROT P", &[Status::CommandOk]).await?;
            Ok(ftp)
        }
    }
}

/// The first address that answers.
async fn dial(addresses: &[std::net::SocketAddr]) -> FtpResult<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match dial_one(*address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(FtpError::ConnectionError(failure))
}

async fn dial_one(address: std::net::SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A firewall forgets a control connection that is silent while a long file comes.
    socket.set_keepalive(true)?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A refusal before the login. TLS that was asked for and is not given ends it: nothing is ever sent in the clear instead.
fn of_greeting(error: FtpError, dialled: &Dialled) -> Fault {
    match Fault::of_library(error) {
        Fault::Refused(reply) if dialled.address.tls != Tls::Off && reply.code != 120 => {
            let detail = format!("the mount asks for TLS and the site does not give it: {reply}");
            Fault::lost(ErrorKind::PermissionDenied, detail)
        }
        Fault::Refused(reply) => Fault::lost(ErrorKind::Busy, format!("the site lets nobody in: {reply}")),
        fault => fault,
    }
}

/// 530 is said of a wrong password, and of too many connections too.
fn of_login(error: FtpError) -> Fault {
    match Fault::of_library(error) {
        Fault::Refused(reply) if reply.speaks_of_numbers() => {
            Fault::lost(ErrorKind::Busy, format!("the site lets nobody else in: {reply}"))
        }
        // vsftpd says so where it cannot work as it is set up.
        Fault::Refused(reply) if reply.code == 500 => {
            Fault::lost(ErrorKind::Unavailable, format!("the site cannot let anybody in: {reply}"))
        }
        Fault::Refused(reply) => Fault::Refused(reply),
        fault => fault,
    }
}

/// A byte is the character of its number: what goes through the library's texts comes out as it went in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transparent;

impl Encoding for Transparent {
    fn decode(&self, bytes: &[u8]) -> String {
        bytes.iter().copied().map(char::from).collect()
    }

    fn encode(&self, text: &str) -> io::Result<Vec<u8>> {
        let byte = |char| u8::try_from(u32::from(char)).map_err(|_| io::ErrorKind::InvalidInput.into());
        text.chars().map(byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_goes_through_the_librarys_texts() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(Transparent.encode(&Transparent.decode(&all)).unwrap(), all);
        assert!(Transparent.encode("中").is_err());
    }
}
