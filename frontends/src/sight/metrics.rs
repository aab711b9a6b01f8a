//! Counters as text that Prometheus reads (exposition format 0.0.4).

use std::fmt::Write;
use std::sync::Arc;

use super::{Counter, Sight};

/// A listener and what it counts.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it speaks: `http`, `ftp`.
    pub protocol: &'static str,
    /// Where it listens, as the operator wrote it.
    pub listener: String,
    /// Its counters.
    pub sight: Arc<Sight>,
}

/// A number of a listener: how it is called, whether it only grows, what it is, and where it is read.
type Metric = (&'static str, Kind, &'static str, fn(&Sight) -> &Counter);

/// How a number goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Up and down.
    Gauge,
    /// Up.
    Counter,
}

const METRICS: [Metric; 11] = [
    ("vfsd_connections", Kind::Gauge, "Connections that are open.", |sight| &sight.connections),
    ("vfsd_connections_accepted_total", Kind::Counter, "Connections accepted.", |sight| &sight.accepted),
    ("vfsd_connections_refused_total", Kind::Counter, "Connections turned away.", |sight| &sight.refused),
    ("vfsd_sessions", Kind::Gauge, "FTP sessions that are logged in.", |sight| &sight.sessions),
    ("vfsd_transfers", Kind::Gauge, "FTP transfers under way.", |sight| &sight.transfers),
    ("vfsd_sent_bytes_total", Kind::Counter, "Bytes that FTP transfers sent.", |sight| {
        &sight.transferred_bytes
    }),
    ("vfsd_received_bytes_total", Kind::Counter, "Bytes that FTP transfers received.", |sight| {
        &sight.received_bytes
    }),
    ("vfsd_http_body_bytes_total", Kind::Counter, "Bytes of HTTP bodies sent.", |sight| {
        &sight.http_body_bytes
    }),
    ("vfsd_sendfile_bytes_total", Kind::Counter, "Bytes sent by sendfile(2).", |sight| &sight.sendfile_bytes),
    ("vfsd_logins_failed_total", Kind::Counter, "Logins that were refused.", |sight| &sight.logins_failed),
    ("vfsd_tls_failed_total", Kind::Counter, "TLS handshakes that came to nothing.", |sight| {
        &sight.tls_failed
    }),
];

/// All counters of `sources`. Reading costs nothing to who counts.
pub fn render(sources: &[Source]) -> String {
    let mut text = String::new();
    for (name, kind, help, read) in METRICS {
        head(&mut text, name, kind, help);
        for source in sources {
            let value = read(&source.sight).get();
            line(&mut text, name, source, "", value);
        }
    }
    head(&mut text, "vfsd_http_answers_total", Kind::Counter, "HTTP answers by class of their status.");
    for source in sources.iter().filter(|source| source.protocol == "http") {
        for (class, counter) in source.sight.http_answers.iter().enumerate() {
            let label = format!(",class=\"{}xx\"", class + 1);
            line(&mut text, "vfsd_http_answers_total", source, &label, counter.get());
        }
    }
    text
}

/// One number without a listener, with its head; `labels` are name and value.
pub fn render_one(
    text: &mut String,
    name: &str,
    kind: Kind,
    help: &str,
    rows: &[(Vec<(&str, String)>, u64)],
) {
    head(text, name, kind, help);
    for (labels, value) in rows {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let braces = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(text, "{name}{braces} {value}");
    }
}

fn head(text: &mut String, name: &str, kind: Kind, help: &str) {
    let kind = match kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
    };
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn line(text: &mut String, name: &str, source: &Source, more: &str, value: u64) {
    let Source { protocol, listener, .. } = source;
    let _ =
        writeln!(text, "{name}{{protocol=\"{protocol}\",listener=\"{}\"{more}}} {value}", escaped(listener));
}

/// A label's value: the format knows three escapes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_metric_with_its_labels() {
        let sight = Arc::new(Sight::default());
        sight.accepted.add(3);
        sight.http_answers[1].add(2);
        let listener = "unix:/a\"\n\\b".to_owned();
        let mut text = render(&[Source { protocol: "http", listener, sight }]);
        render_one(&mut text, "vfsd_mounts", Kind::Gauge, "Mounts.", &[(vec![("at", "/".to_owned())], 1)]);
        let labels = r#"{protocol="http",listener="unix:/a\"\n\\b""#;
        assert!(text.contains(&format!("vfsd_connections_accepted_total{labels}}} 3\n")), "{text}");
        assert!(text.contains(&format!("vfsd_http_answers_total{labels},class=\"2xx\"}} 2\n")), "{text}");
        assert!(text.ends_with("# TYPE vfsd_mounts gauge\nvfsd_mounts{at=\"/\"} 1\n"), "{text}");
        let is_sound = |line: &str| {
            line.starts_with("# ")
                || line
                    .rsplit_once(' ')
                    .is_some_and(|(name, value)| name.starts_with("vfsd_") && value.parse::<u64>().is_ok())
        };
        assert!(text.lines().all(is_sound), "{text}");
    }
}
