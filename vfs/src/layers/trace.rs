//! [`Trace`]: one event a call, for the log.

use std::future::Future;

use tokio::time::Instant;
use tracing::Level;

use super::around::{Around, Call};
use crate::error::{Error, Result};

/// Writes one `debug` event for each call when it ends: which tree, operation, path, outcome and time. A call that was
/// dropped says `dropped`. Where nobody listens a call costs one look at the level.
#[derive(Debug)]
pub struct Trace {
    tree: String,
}

impl Trace {
    /// Events name the tree by `tree`: where it is mounted, as a rule.
    pub fn new(tree: impl Into<String>) -> Self {
        Self { tree: tree.into() }
    }
}

impl Around for Trace {
    async fn around<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        if !tracing::enabled!(Level::DEBUG) {
            return work.await;
        }
        let mut report = Report { tree: &self.tree, call, begun: Instant::now(), outcome: Outcome::Dropped };
        let result = work.await;
        report.outcome = match &result {
            Ok(_) => Outcome::Done,
            Err(error) => Outcome::Failed(error.clone()),
        };
        result
    }
}

/// A call under way; its end is what is told.
struct Report<'a> {
    tree: &'a str,
    call: Call<'a>,
    begun: Instant,
    outcome: Outcome,
}

enum Outcome {
    Done,
    Failed(Error),
    Dropped,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        let Call { op, path, .. } = self.call;
        let (tree, took) = (self.tree, self.begun.elapsed());
        match &self.outcome {
            Outcome::Done => tracing::debug!(tree, op, %path, ?took, outcome = "ok"),
            Outcome::Failed(error) => {
                tracing::debug!(tree, op, %path, ?took, outcome = ?error.kind(), ?error);
            }
            Outcome::Dropped => tracing::debug!(tree, op, %path, ?took, outcome = "dropped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::fake::{Fake, path};
    use crate::file_system::FileSystem;
    use crate::layers::Layered;
    use crate::options::StatOptions;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_call_is_one_event_with_an_escaped_path_and_its_outcome() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let _listening = tracing::subscriber::set_default(subscriber);

        let fake = Fake::with(&[("/f", "")]);
        let tree = Layered::new(fake.clone().shared(), Arc::new(Trace::new("/m")));
        tree.metadata(&path("/f"), &StatOptions::default()).await.unwrap();
        tree.create_dir(&path("/f")).await.unwrap_err();
        tree.read_link(&path("/no\nline")).await.unwrap_err();
        fake.hang();
        let second = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(second, tree.remove_dir(&path("/f"))).await.is_err());

        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        for (line, parts) in lines.iter().zip([
            ["op=\"metadata\" path=/f", "outcome=\"ok\""],
            ["op=\"create_dir\" path=/f", "outcome=AlreadyExists"],
            ["path=/no\\nline", "outcome=NotFound"],
            ["took=1s", "outcome=\"dropped\""],
        ]) {
            assert!(line.contains("tree=\"/m\""), "{line}");
            assert!(parts.iter().all(|part| line.contains(part)), "{line} holds {parts:?}");
        }
    }
}
