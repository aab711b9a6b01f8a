//! The access log: one event a request.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::{Options, pipe, read_reply, site, tree};
use crate::http::ACCESS_LOG;
use crate::site::Limits;

/// Keeps the events of the access log, a line each.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == ACCESS_LOG
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// The fields of an event, but for the time, which no test can know.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != "micros" {
            write!(self.0, "{}={value:?} ", field.name()).unwrap();
        }
    }
}

#[tokio::test]
async fn every_request_is_one_event_and_no_path_breaks_its_line() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let site = site(tree(&[(b"/a", b"alpha")]).await, Limits::default());
    let (mut client, serving) = pipe(&site, Options::default(), 1024);
    for target in ["/a", "/%0d%0a", "/\u{202e}a", "/missing?secret"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        read_reply(&mut client).await;
    }
    drop(client);
    serving.await.unwrap();
    let lines = log.0.lock().unwrap().clone();
    let starts =
        ["/a status=200 bytes=5 ", "/%0d%0a status=404 ", "/\\u{202e}a status=404 ", "/missing status=404 "];
    assert_eq!(lines.len(), starts.len(), "{lines:?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(&format!("peer=local method=GET path={start}")), "{line}");
        assert!(line.ends_with(" complete=true "), "{line}");
    }
}
