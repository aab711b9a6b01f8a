//! An HTTP origin that does exactly what a test says, byte by byte: it lies, breaks off, trickles and hangs.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running origin. It ends with it.
#[derive(Debug)]
pub struct Origin {
    /// Its URL, with a `/` at the end.
    pub url: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Heard {
    /// How many came before it.
    pub number: usize,
    /// Everything up to the empty line.
    pub head: String,
}

/// What is sent back for one request.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    steps: Vec<Step>,
    closes: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<u8>),
    /// One byte at a time.
    Trickle(Vec<u8>, Duration),
    Hang,
}

#[derive(Debug)]
struct State {
    heard: Mutex<Vec<Heard>>,
    open: watch::Sender<usize>,
    hanging: watch::Sender<usize>,
    accepted: AtomicUsize,
}

impl Origin {
    /// Answers each request with what `answer` makes of it.
    ///
    /// # Panics
    /// Where the loopback has no free port.
    pub async fn start(answer: impl Fn(&Heard) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port of the loopback");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(State {
            heard: Mutex::default(),
            open: watch::Sender::new(0),
            hanging: watch::Sender::new(0),
            accepted: AtomicUsize::new(0),
        });
        let (shared, answer) = (Arc::clone(&state), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.accepted.fetch_add(1, Ordering::Relaxed);
                shared.open.send_modify(|open| *open += 1);
                let (state, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                tokio::spawn(async move {
                    talk(stream, &state, &*answer).await;
                    state.open.send_modify(|open| *open -= 1);
                });
            }
        });
        Self { url: format!("http://{address}/"), state, task }
    }

    /// The requests so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.state.heard().clone()
    }

    /// Connections that were ever made to it.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::Relaxed)
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        *self.state.open.borrow()
    }

    /// Waits until nobody is connected.
    pub async fn is_left_alone(&self) {
        wait_for(&self.state.open, |open| *open == 0).await;
    }

    /// Waits until an answer hangs.
    pub async fn hangs(&self) {
        wait_for(&self.state.hanging, |hanging| *hanging > 0).await;
    }
}

async fn wait_for(of: &watch::Sender<usize>, is_so: impl FnMut(&usize) -> bool) {
    of.subscribe().wait_for(is_so).await.expect("the origin holds the sender");
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn heard(&self) -> MutexGuard<'_, Vec<Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves one connection until an answer closes it or the client goes, which ends a hang too.
async fn talk(mut stream: TcpStream, state: &State, answer: &(dyn Fn(&Heard) -> Answer + Send + Sync)) {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read_buf(&mut read).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        read.drain(..end);
        let heard = {
            let mut all = state.heard();
            let heard = Heard { number: all.len(), head };
            all.push(heard.clone());
            heard
        };
        // Questions about folders bring a body along.
        let body = heard.field("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
        while read.len() < body && stream.read_buf(&mut read).await.unwrap_or(0) > 0 {}
        read.drain(..body.min(read.len()));
        let Answer { steps, closes } = answer(&heard);
        for step in steps {
            if !step.take(&mut stream, state).await {
                return;
            }
        }
        if closes {
            return;
        }
    }
}

impl Step {
    /// True where the client is still there.
    async fn take(self, stream: &mut TcpStream, state: &State) -> bool {
        match self {
            Self::Send(bytes) => stream.write_all(&bytes).await.is_ok(),
            Self::Trickle(bytes, pause) => {
                for byte in bytes {
                    if stream.write_all(&[byte]).await.is_err() {
                        return false;
                    }
                    tokio::time::sleep(pause).await;
                }
                true
            }
            Self::Hang => {
                state.hanging.send_modify(|hanging| *hanging += 1);
                let mut ignored = [0; 1024];
                while stream.read(&mut ignored).await.unwrap_or(0) > 0 {}
                false
            }
        }
    }
}

impl Heard {
    /// The method.
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// The path and query, as they were written.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// A header field; `name` is in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The range that is asked for, its end excluded.
    pub fn range(&self) -> Option<(usize, Option<usize>)> {
        let (first, last) = self.field("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok().map(|last: usize| last + 1)))
    }
}

impl Answer {
    /// A status line and header fields. What follows is up to the test, the length too.
    pub fn head(status: &str, fields: &[(&str, &str)]) -> Self {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        Self::default().send(format!("HTTP/1.1 {status}\r\n{fields}\r\n"))
    }

    /// An honest answer: `content` or the range of it that is asked for, under the tag `tag`.
    pub fn honest(heard: &Heard, content: &[u8], tag: &str) -> Self {
        let total = content.len();
        let length = |len: usize| len.to_string();
        let answer = match heard.range() {
            Some((first, _)) if first >= total => {
                return Self::head(
                    "416 Range Not Satisfiable",
                    &[("Content-Range", &format!("bytes */{total}")), ("Content-Length", "0")],
                );
            }
            Some((first, end)) => {
                let end = end.unwrap_or(total).min(total);
                let range = format!("bytes {first}-{}/{total}", end - 1);
                let fields =
                    [("Content-Range", &range[..]), ("Content-Length", &length(end - first)), ("ETag", tag)];
                (Self::head("206 Partial Content", &fields), &content[first..end])
            }
            None => {
                let fields =
                    [("Content-Length", &length(total)[..]), ("ETag", tag), ("Accept-Ranges", "bytes")];
                (Self::head("200 OK", &fields), content)
            }
        };
        if heard.method() == "HEAD" { answer.0 } else { answer.0.send(answer.1) }
    }

    /// Nothing is sent, and the connection stays.
    pub fn black_hole() -> Self {
        Self::default().hang()
    }

    /// Then these bytes.
    #[must_use]
    pub fn send(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.steps.push(Step::Send(bytes.as_ref().to_vec()));
        self
    }

    /// Then these bytes, one after each `pause`.
    #[must_use]
    pub fn trickle(mut self, bytes: impl AsRef<[u8]>, pause: Duration) -> Self {
        self.steps.push(Step::Trickle(bytes.as_ref().to_vec(), pause));
        self
    }

    /// Then nothing, for as long as the client stays.
    #[must_use]
    pub fn hang(mut self) -> Self {
        self.steps.push(Step::Hang);
        self
    }

    /// Then the connection is closed.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.closes = true;
        self
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), self.target())
    }
}
