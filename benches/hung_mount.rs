//! Latency of requests to other mounts with and without a mount that never answers, over HTTP and FTP.
//!
//! `cargo bench --bench hung_mount` prints the median and the 99th percentile of both, and their ratio. The two servers
//! take turns, so that the machine's other work meets both.

use std::sync::Arc;
use std::time::Duration;

use support::{Hung, Served};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::time::Instant;
use vfs::backends::local::LocalFs;
use vfs::{MountOptions, Registry, VPath, Vfs};

const ROUNDS: usize = 10;
const REQUESTS: usize = 1000;

/// Requests that wait for the hung mount all the while.
const WAITING: usize = 50;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..20 {
        std::fs::write(folder.path().join(format!("file{number}")), "content").expect("a file");
    }
    let hung = Arc::new(Hung::default());
    let without = Served::start(tree(folder.path(), None)).await;
    let with = Served::start(tree(folder.path(), Some(&hung))).await;
    let waiting: Vec<_> =
        (0..WAITING).map(|_| tokio::spawn(ask_once(with.http.address, "/hung/x"))).collect();
    while hung.calls() == 0 {
        tokio::task::yield_now().await;
    }

    for (name, path) in [("file", "/file0"), ("root listing", "/")] {
        let mut samples = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (served, samples) in [&without, &with].into_iter().zip(&mut samples) {
                samples.extend(http_latencies(served, path).await);
            }
        }
        report(&format!("HTTP {name}"), samples);
    }
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (served, samples) in [&without, &with].into_iter().zip(&mut samples) {
            samples.extend(ftp_latencies(served).await);
        }
    }
    report("FTP MLST of the root", samples);
    for task in waiting {
        task.abort();
    }
}

fn tree(folder: &std::path::Path, hung: Option<&Arc<Hung>>) -> Arc<Vfs> {
    let vfs = Vfs::new(Registry::empty());
    let local = Arc::new(LocalFs::open(folder).expect("the folder is there"));
    vfs.mount(&VPath::root(), local, MountOptions::default()).expect("nothing is mounted yet");
    if let Some(hung) = hung {
        let at = VPath::parse("/hung").expect("a path");
        vfs.mount(&at, Arc::clone(hung) as _, MountOptions::default()).expect("nothing is mounted there yet");
    }
    vfs
}

async fn ask_once(address: std::net::SocketAddr, path: &'static str) {
    let mut client = TcpStream::connect(address).await.expect("the server listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n");
    client.write_all(request.as_bytes()).await.expect("the server reads");
    let _ = client.read(&mut [0]).await;
}

async fn http_latencies(served: &Served, path: &str) -> Vec<Duration> {
    let socket = TcpStream::connect(served.http.address).await.expect("the server listens");
    socket.set_nodelay(true).expect("a socket option");
    let mut client = BufStream::new(socket);
    let request = format!("GET {path} HTTP/1.0\r\nHost: bench\r\nConnection: close\r\n\r\n");
    let mut samples = Vec::new();
    for _ in 0..REQUESTS {
        let start = Instant::now();
        client.write_all(request.as_bytes()).await.expect("the server reads");
        client.flush().await.expect("the server reads");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("the server answers");
        samples.push(start.elapsed());
        assert!(answer.starts_with(b"HTTP/1.") && answer[9..12] == *b"200", "an answer");
        client = BufStream::new(TcpStream::connect(served.http.address).await.expect("the server listens"));
    }
    samples
}

async fn ftp_latencies(served: &Served) -> Vec<Duration> {
    let socket = TcpStream::connect(served.ftp.address).await.expect("the server listens");
    socket.set_nodelay(true).expect("a socket option");
    let mut client = BufStream::new(socket);
    let mut reply = String::new();
    client.read_line(&mut reply).await.expect("a greeting");
    for command in ["USER anonymous\r\n", "PASS bench@\r\n"] {
        ftp_command(&mut client, command).await;
    }
    let mut samples = Vec::new();
    for _ in 0..REQUESTS {
        let start = Instant::now();
        ftp_command(&mut client, "MLST /\r\n").await;
        samples.push(start.elapsed());
    }
    samples
}

/// Sends a command and reads its reply to the last line.
async fn ftp_command(client: &mut BufStream<TcpStream>, command: &str) {
    client.write_all(command.as_bytes()).await.expect("the server reads");
    client.flush().await.expect("the server reads");
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await.expect("the server answers");
        assert!(!line.is_empty(), "the server closed the connection");
        if line.as_bytes()[..3].iter().all(u8::is_ascii_digit) && line.as_bytes()[3] == b' ' {
            return;
        }
    }
}

#[allow(clippy::print_stdout)] // The report is what this program is for.
fn report(name: &str, samples: [Vec<Duration>; 2]) {
    let [without, with] = samples.map(|mut samples| {
        samples.sort();
        let at = |share: f64| samples[((samples.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
        (at(0.5), at(0.99))
    });
    println!(
        "{name}: p50 {:.0} us without, {:.0} us with ({:.2}); p99 {:.0} us without, {:.0} us with ({:.2})",
        without.0,
        with.0,
        with.0 / without.0,
        without.1,
        with.1,
        with.1 / without.1
    );
}
