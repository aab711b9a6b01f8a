//! The client of `scripts/bench ftp`: puts one kind of load on an FTP server and prints what it measured, in one line.
//!
//! Threads and blocking sockets, so that it costs little beside the server. It logs in as anonymous and is not strict:
//! it measures servers that others test. `cargo bench --bench ftp_load -- help` lists the loads.
//!
//! Before an address, `tls:` puts both connections inside TLS; whose certificate it is does not matter here.

// What fails here ends the measurement, and says where; what is printed is the result.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::env::args;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::linux::net::TcpStreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use tokio::time::Instant;

const USAGE: &str = "\
retr ADDRESS PATH COUNT        fetches a file COUNT times: seconds, bytes
stor ADDRESS PREFIX MIB COUNT  stores COUNT files of MIB MiB: seconds, bytes
small ADDRESS FOLDER COUNT     fetches FOLDER/0 to FOLDER/COUNT-1 over one session: seconds, bytes
put ADDRESS PREFIX COUNT       stores COUNT files of 4 KiB over one session: seconds, bytes
rows ADDRESS COMMAND           lists: seconds, bytes, seconds to the first byte
idle ADDRESS COUNT             logs in COUNT times: seconds; then waits for the end of its input
abor ADDRESS PATH COUNT        aborts COUNT transfers that nobody reads, in turn: milliseconds p50, p99, most
noop ADDRESS PATH COUNT        sends NOOP while COUNT transfers run: milliseconds p50, p99, most, and MiB/s of them";

/// What a transfer is read and written by.
const PIECE: usize = 256 * 1024;

/// Length of a file that `put` stores.
const SMALL: usize = 4096;

/// How long a reader rests until its server can send no more.
const STALL: Duration = Duration::from_millis(500);

/// How long the answer to ABOR may take. Some servers give none.
const PATIENCE: Duration = Duration::from_secs(3);

/// NOOP commands of `noop`, one every few milliseconds.
const NOOPS: usize = 1000;

fn main() {
    // Cargo adds `--bench`.
    let words: Vec<String> = args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["retr", at, path, count] => retrieve(at, &vec![path.to_owned(); number(count)]),
        ["small", at, folder, count] => {
            retrieve(at, &(0..number(count)).map(|file| format!("{folder}/{file}")).collect::<Vec<_>>());
        }
        ["stor", at, prefix, mib, count] => store(at, prefix, number(mib) << 20, number(count)),
        ["put", at, prefix, count] => store(at, prefix, SMALL, number(count)),
        ["rows", at, command] => rows(at, command),
        ["idle", at, count] => idle(at, number(count)),
        ["abor", at, path, count] => abort(at, path, number(count)),
        ["noop", at, path, count] => noop(at, path, number(count)),
        _ => println!("{USAGE}"),
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap()
}

fn retrieve(at: &str, paths: &[String]) {
    let mut session = Session::log_in(at);
    let mut buffer = vec![0; PIECE];
    let (start, mut bytes) = (Instant::now(), 0);
    for path in paths {
        let mut data = session.transfer(&format!("RETR {path}"));
        loop {
            match data.read(&mut buffer).unwrap() {
                0 => break,
                count => bytes += count,
            }
        }
        // As every client does. vsftpd waits for it, and would wait for a delayed acknowledgement otherwise.
        drop(data);
        session.expect("226");
    }
    println!("{:.6} {bytes}", start.elapsed().as_secs_f64());
}

fn store(at: &str, prefix: &str, len: usize, count: usize) {
    let mut session = Session::log_in(at);
    let piece = vec![b'x'; PIECE.min(len)];
    let start = Instant::now();
    for file in 0..count {
        let mut data = session.transfer(&format!("STOR {prefix}{file}"));
        for _ in 0..len / piece.len() {
            data.write_all(&piece).unwrap();
        }
        data.end();
        session.expect("226");
    }
    println!("{:.6} {}", start.elapsed().as_secs_f64(), len * count);
}

fn rows(at: &str, command: &str) {
    let mut session = Session::log_in(at);
    let mut buffer = vec![0; PIECE];
    let start = Instant::now();
    let mut data = session.transfer(command);
    let mut bytes = data.read(&mut buffer).unwrap();
    let first = start.elapsed();
    loop {
        match data.read(&mut buffer).unwrap() {
            0 => break,
            count => bytes += count,
        }
    }
    drop(data);
    session.expect("226");
    println!("{:.6} {bytes} {:.6}", start.elapsed().as_secs_f64(), first.as_secs_f64());
}

fn idle(at: &str, count: usize) {
    let start = Instant::now();
    let sessions: Vec<Session> = (0..count).map(|_| Session::log_in(at)).collect();
    println!("{:.6}", start.elapsed().as_secs_f64());
    let _ = std::io::stdin().read(&mut [0]);
    drop(sessions);
}

/// Every session stalls, and then one after the other aborts; the time is that until its second reply.
fn abort(at: &str, path: &str, count: usize) {
    let mut sessions: Vec<_> = (0..count)
        .map(|_| {
            let mut session = Session::log_in(at);
            let data = session.transfer(&format!("RETR {path}"));
            (session, data)
        })
        .collect();
    thread::sleep(STALL);
    let mut times = Vec::new();
    for (session, _) in &mut sessions {
        session.control.get_ref().socket().set_read_timeout(Some(PATIENCE)).unwrap();
        let start = Instant::now();
        session.send("ABOR");
        session.expect("426");
        session.expect("226");
        times.push(start.elapsed());
    }
    println!("{}", quantiles(times));
}

fn noop(at: &str, path: &str, count: usize) {
    let stop = AtomicBool::new(false);
    let mut sessions: Vec<_> = (0..count).map(|_| Session::log_in(at)).collect();
    let mut asking = Session::log_in(at);
    thread::scope(|scope| {
        let stop = &stop;
        let readers: Vec<_> = sessions
            .iter_mut()
            .map(|session| {
                scope.spawn(move || {
                    let mut buffer = vec![0; PIECE];
                    let mut bytes = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let mut data = session.transfer(&format!("RETR {path}"));
                        while !stop.load(Ordering::Relaxed) {
                            match data.read(&mut buffer).unwrap() {
                                0 => break,
                                count => bytes += count,
                            }
                        }
                        drop(data);
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        session.expect("226");
                    }
                    bytes
                })
            })
            .collect();
        thread::sleep(STALL);
        let (start, mut times) = (Instant::now(), Vec::new());
        for _ in 0..NOOPS {
            let asked = Instant::now();
            asking.send("NOOP");
            asking.expect("200");
            times.push(asked.elapsed());
            thread::sleep(Duration::from_millis(2));
        }
        let seconds = (start.elapsed() + STALL).as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        let bytes: usize = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        println!("{} {:.1}", quantiles(times), bytes as f64 / seconds / f64::from(1 << 20));
    });
}

/// Milliseconds: the median, the 99th percentile, and the most.
fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    format!("{:.3} {:.3} {:.3}", at(0.5), at(0.99), at(1.0))
}

/// A control connection that is logged in, in TYPE I.
struct Session {
    control: BufReader<Connection>,
    line: String,
    /// What its data connections are inside of.
    tls: Option<Arc<ClientConfig>>,
}

impl Session {
    fn log_in(at: &str) -> Self {
        let (at, is_secure) = match at.strip_prefix("tls:") {
            Some(at) => (at, true),
            None => (at, false),
        };
        let control = TcpStream::connect(at).unwrap();
        control.set_nodelay(true).unwrap();
        control.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let control = BufReader::with_capacity(512, Connection::Plain(control));
        let mut session = Self { control, line: String::new(), tls: None };
        session.expect("220");
        if is_secure {
            session.secure();
        }
        session.send("USER anonymous");
        if session.reply().starts_with("331") {
            session.send("PASS bench@");
            session.expect("230");
        }
        session.send("TYPE I");
        session.expect("200");
        session
    }

    /// AUTH TLS, and PROT P for what is transferred.
    fn secure(&mut self) {
        self.send("AUTH TLS");
        self.expect("234");
        let tls = client_config();
        let socket = self.control.get_ref().socket().try_clone().unwrap();
        self.control = BufReader::with_capacity(512, Connection::inside(&tls, socket));
        self.tls = Some(tls);
        self.send("PBSZ 0");
        self.expect("200");
        self.send("PROT P");
        self.expect("200");
    }

    fn send(&mut self, line: &str) {
        self.control.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }

    /// The last line of the next reply.
    fn reply(&mut self) -> &str {
        loop {
            self.line.clear();
            // A server that does not switch Nagle's algorithm off would wait 40 ms for us between 150 and 226.
            self.control.get_ref().socket().set_quickack(true).unwrap();
            assert!(self.control.read_line(&mut self.line).unwrap() > 0, "the server closed the connection");
            let bytes = self.line.as_bytes();
            if bytes.len() > 3 && bytes[..3].iter().all(u8::is_ascii_digit) && bytes[3] == b' ' {
                return &self.line;
            }
        }
    }

    #[track_caller]
    fn expect(&mut self, code: &str) {
        let reply = self.reply();
        assert!(reply.starts_with(code), "{code} was expected: {reply}");
    }

    /// Sends a command that needs a data connection, and that connection.
    fn transfer(&mut self, command: &str) -> Connection {
        self.send("EPSV");
        let reply = self.reply();
        let port = reply.split('|').nth(3).unwrap_or_else(|| panic!("no port: {reply}")).parse().unwrap();
        let mut address: SocketAddr = self.control.get_ref().socket().peer_addr().unwrap();
        address.set_port(port);
        let data = TcpStream::connect(address).unwrap();
        self.send(command);
        let reply = self.reply();
        assert!(reply.starts_with("150") || reply.starts_with("125"), "{command}: {reply}");
        match &self.tls {
            Some(tls) => Connection::inside(tls, data),
            None => Connection::Plain(data),
        }
    }
}

/// A connection, inside TLS or not.
enum Connection {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Connection {
    fn inside(tls: &Arc<ClientConfig>, socket: TcpStream) -> Self {
        let session = ClientConnection::new(Arc::clone(tls), "localhost".try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(session, socket);
        // A server may wait for the whole handshake before it says anything.
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        Self::Tls(Box::new(stream))
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }

    /// Says that nothing more comes, and closes it. Inside TLS what the server has sent is read before: whoever closes with a
    /// ticket unread resets the connection.
    fn end(mut self) {
        if let Self::Tls(stream) = &mut self {
            stream.conn.send_close_notify();
            stream.flush().unwrap();
            stream.sock.shutdown(Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buf),
            Self::Tls(stream) => stream.read(buf),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(buf),
            Self::Tls(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// What one session's connections are inside of: they resume what its control connection began.
fn client_config() -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    Arc::new(config)
}

/// Takes any certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
