//! The control socket of a running server: a Unix socket for its operator alone.
//!
//! A request is its length (u32, little-endian) and words with a NUL between them: `mirror`, a verb, paths. The answer is
//! lines for people, then a line that begins with a NUL: `ok`, or what went wrong.

mod mirror;
mod socket;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use vfs::Vfs;

pub(crate) use self::mirror::Verb;
pub(crate) use self::socket::{Socket, SocketFile, remove_stale};

/// Longest request.
const REQUEST_BYTES: u32 = 1 << 20;

/// Operators at once; others wait.
const CONNECTIONS: usize = 16;

/// How long a request may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What begins the last line of an answer: no line for people does.
const LAST: u8 = 0;

/// Where the socket is when nothing else is said: in the folder that only this user enters. `None` where there is none.
pub(crate) fn usual_place() -> Option<PathBuf> {
    std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()).map(|folder| {
        let mut place = PathBuf::from(folder);
        place.push("vfsd.sock");
        place
    })
}

/// Answers operators until it is dropped.
pub(crate) async fn serve(socket: Socket, space: Arc<Vfs>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Permit before accept: a full house stops accepting.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match socket.accept().await {
            Ok(stream) => {
                let space = Arc::clone(&space);
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, &space).await {
                        tracing::debug!(%error, "an operator left early");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket accepts nobody");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}

/// One request and its answer. Whoever leaves stops what was asked for.
async fn converse(stream: UnixStream, space: &Arc<Vfs>) -> io::Result<()> {
    let (mut input, output) = stream.into_split();
    let words = timeout(PATIENCE, read_request(&mut input)).await??;
    let mut answer = Answer(output);
    let left = async {
        // Nothing more is expected of who asked.
        let mut byte = [0];
        while input.read(&mut byte).await.is_ok_and(|read| read > 0) {}
    };
    let outcome = tokio::select! {
        outcome = obey(space, &words, &mut answer) => outcome,
        () = left => return Ok(()),
    };
    let last = match outcome {
        Ok(()) => "ok".to_owned(),
        Err(says) => says,
    };
    answer.0.write_all(&[&[LAST], last.replace('\n', " ").as_bytes(), b"\n"].concat()).await
}

async fn read_request(input: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<Vec<u8>>> {
    let len = input.read_u32_le().await?;
    if len > REQUEST_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the request is longer than 1 MiB"));
    }
    let mut request = vec![0; len as usize];
    input.read_exact(&mut request).await?;
    Ok(request.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect())
}

async fn obey(space: &Arc<Vfs>, words: &[Vec<u8>], answer: &mut Answer) -> Result<(), String> {
    match words {
        [room, verb, paths @ ..] if room == b"mirror" => {
            let verb = Verb::parse(verb).ok_or("the server knows no such verb: it may be older")?;
            mirror::obey(space, verb, paths, answer).await
        }
        _ => Err("the server knows no such command: it may be older".to_owned()),
    }
}

/// The lines of an answer, while they come.
struct Answer(tokio::net::unix::OwnedWriteHalf);

impl Answer {
    async fn line(&mut self, line: &str) -> Result<(), String> {
        let line = line.replace(['\n', '\0'], " ") + "\n";
        self.0.write_all(line.as_bytes()).await.map_err(|error| error.to_string())
    }
}

/// Asks the server behind the socket at `place`; `show` gets the lines of its answer as they come.
///
/// # Errors
/// What to tell the operator.
pub(crate) async fn ask(
    place: &Path,
    words: &[&[u8]],
    mut show: impl FnMut(&[u8]) -> Result<(), crate::Failure>,
) -> Result<(), crate::Failure> {
    let failure = |says: String| crate::Failure::Operation(says);
    let stream = UnixStream::connect(place).await.map_err(|error| {
        let place = vfs::path::escaped(place.as_os_str().as_encoded_bytes());
        failure(format!("{place}: no server answers there: {error}; name its socket with --control"))
    })?;
    let broken = |error: io::Error| failure(format!("the server broke off: {error}"));
    let (input, mut output) = stream.into_split();
    let request = words.join(&0);
    let len = u32::try_from(request.len()).ok().filter(|len| *len <= REQUEST_BYTES);
    let len = len.ok_or_else(|| failure("there are too many paths: name fewer at a time".to_owned()))?;
    output.write_u32_le(len).await.map_err(broken)?;
    output.write_all(&request).await.map_err(broken)?;
    let mut lines = BufReader::new(input);
    loop {
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line).await.map_err(broken)? == 0 {
            return Err(failure("the server broke off".to_owned()));
        }
        line.pop();
        match line.split_first() {
            Some((&LAST, b"ok")) => return Ok(()),
            Some((&LAST, says)) => return Err(failure(String::from_utf8_lossy(says).into_owned())),
            _ => show(&line)?,
        }
    }
}
