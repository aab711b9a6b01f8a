//! FTP: one session a connection, over any tree (RFC 959, 1123 §4.1, 2228, 2389, 2428, 2577, 3659, 4217, 7151).
//!
//! Four steps, as in every front end: `wire` (bytes ↔ lines and replies), `command` (a line's meaning), `session` (calls
//! on the tree, in order), `reply` (outcomes → answers). `transfer`, `data` and `list` are what goes over a data
//! connection. What may be changed is decided by the tree and its rights alone.
//!
//! TYPE A turns LF into CRLF, as the standard has it and a client without a TYPE command gets it
//! ([`Options::converts_lines`]).

mod active;
mod ascii;
mod calls;
mod command;
mod control;
mod data;
mod desks;
mod facts;
mod guard;
mod list;
mod masquerade;
mod passive;
mod pattern;
mod reply;
mod session;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transfer;
mod urgent;
mod wire;

use std::future::Future;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::AsyncWriteExt;
use vfs::jobs::Disk;

use self::desks::Desks;
pub use self::masquerade::Masquerade;
use self::masquerade::Masquerading;
use self::passive::Ports;
use self::session::{Ends, Session};
use self::urgent::Inline;
use crate::serve::{self, Crowd, Drain, Listener, Peer, Protocol, WhenFull};
use crate::site::Site;
use crate::transport::Stream;

/// What can be chosen about FTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Ports for data connections; each serves any number of client addresses at once. Default: any that is free.
    pub passive_ports: Option<RangeInclusive<u16>>,
    /// The address that PASV tells.
    pub masquerade: Masquerade,
    /// In TYPE A a file's lines end with CRLF, and SIZE is refused there, for only reading the file would tell.
    /// Default true. Otherwise TYPE A sends bytes as they are.
    pub converts_lines: bool,
    /// What becomes of an upload that breaks off.
    pub partial_uploads: PartialUploads,
    /// Who logs in as anonymous may replace and append to files that are there, where the tree lets them. Default false:
    /// guests add files, by any command, and change none.
    pub guests_overwrite: bool,
    /// `MDTM YYYYMMDDhhmmss path` sets a file's time, as some clients have it. Default false: it would hide a file whose
    /// name looks like that, and MFMT does the same.
    pub sets_times_by_mdtm: bool,
    /// Sessions begin inside the site's TLS, as port 990 has it, and data connections do too. Default false: they begin in
    /// the clear, and AUTH TLS changes that where the site has TLS.
    pub implicit_tls: bool,
    /// Whether data connections inside TLS have to go on with the control connection's session.
    pub tls_reuse: Reuse,
}

/// What is made of a data connection whose TLS does not resume that of its control connection. One that does was opened by
/// the same client, wherever it comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// It is as good as any. The default: not every client can resume.
    #[default]
    Off,
    /// It is told to the log.
    Warn,
    /// It is closed, and the transfer is answered 426.
    Require,
}

/// What becomes of an upload that breaks off. A file that was there before stays as it was in any case, unless the
/// upload went on in it, by REST or APPE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PartialUploads {
    /// It vanishes: a file is seen when it is whole. The default.
    #[default]
    Delete,
    /// A new file grows under its own name and stays as far as it came, so that the client can go on by REST.
    Keep,
    /// A new file grows out of sight, as `.NAME.vfsd-upload`, stays there as far as it came, and gets its name when it is whole.
    /// SIZE of a name that is not there tells how far it came, and REST and APPE go on in it; it is neither listed nor found in
    /// any other way, by `-a` neither. What nobody goes on with for a day is swept
    /// ([`LocalFs::sweep`](vfs::backends::local::LocalFs::sweep)). Guests who do not overwrite have this as
    /// [`Delete`](Self::Delete).
    Hide,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            passive_ports: None,
            masquerade: Masquerade::Connection,
            converts_lines: true,
            partial_uploads: PartialUploads::Delete,
            guests_overwrite: false,
            sets_times_by_mdtm: false,
            implicit_tls: false,
            tls_reuse: Reuse::Off,
        }
    }
}

/// Serves `site` over FTP on `listener` until `shutdown` resolves. Then transfers under way are finished, at most for
/// [`Limits::drain`](crate::Limits::drain), and new commands get 421. Dropping the future ends all sessions at once.
pub async fn serve(
    listener: Listener,
    site: Arc<Site>,
    options: Options,
    shutdown: impl Future<Output = ()>,
) {
    let house = House::new(Arc::clone(&site), options);
    serve::serve(listener, Arc::new(Ftp(Arc::new(house))), site, shutdown).await;
}

/// What all sessions of a listener share.
#[derive(Debug)]
struct House {
    site: Arc<Site>,
    options: Options,
    /// Where spans are read that have to become bytes.
    disk: Disk,
    /// Where files are hashed.
    desks: Desks,
    /// Where data connections come to.
    ports: Ports,
    /// What PASV says of where that is.
    masquerading: Arc<Masquerading>,
}

impl House {
    fn new(site: Arc<Site>, options: Options) -> Self {
        let ports = Ports::new(options.passive_ports.clone());
        let masquerading = Arc::new(Masquerading::new(options.masquerade.clone()));
        Self { site, options, disk: Disk::new(), desks: Desks::new(), ports, masquerading }
    }
}

struct Ftp(Arc<House>);

#[async_trait]
impl Protocol for Ftp {
    async fn serve(&self, stream: Stream, peer: Peer, drain: Drain) {
        let local = stream.as_tcp().and_then(|socket| socket.local_addr().ok());
        let ends = Ends { peer, local: local.map(canonical) };
        let stream = Inline::new(stream);
        let session = match &self.0.site.tls {
            Some(tls) if self.0.options.implicit_tls => {
                let tls = tls.apart();
                let Ok(stream) = tls.accept(stream).await else { return };
                Session::new(Arc::clone(&self.0), Box::new(stream), ends).secured(&tls)
            }
            _ => Session::new(Arc::clone(&self.0), Box::new(stream), ends),
        };
        session.run(drain).await;
    }

    fn when_full(&self) -> WhenFull {
        WhenFull::Say
    }

    async fn turn_away(&self, mut stream: Stream, crowd: Crowd) {
        if self.0.options.implicit_tls {
            // Nothing can be said without a handshake, and that is what there are too many of.
            return;
        }
        let mut line = Vec::new();
        match crowd {
            Crowd::House => reply::TOO_MANY_CONNECTIONS.encode(&mut line),
            Crowd::Address => reply::TOO_MANY_CONNECTIONS_FROM_THERE.encode(&mut line),
        }
        let _ = stream.write_all(&line).await;
        let _ = stream.shutdown().await;
    }
}

/// IPv4 that came in over an IPv6 socket is IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}
