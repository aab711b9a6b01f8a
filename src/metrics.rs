//! What `/metrics` says.

use std::sync::Arc;

use frontends::sight::{self, Kind, Source};
use vfs::{Availability, MountInfo, Vfs};

/// Each listener's counters, and the mounts.
pub(crate) fn metrics(sources: Vec<Source>, space: Arc<Vfs>) -> impl Fn() -> String + Send + Sync {
    move || {
        let mut text = sight::render(&sources);
        let mounts = space.mounts();
        for (name, kind, help, read) in MOUNT_METRICS {
            let row = |mount: &MountInfo| Some((vec![("at", mount.at.to_string())], read(mount)?));
            let rows: Vec<_> = mounts.iter().filter_map(row).collect();
            if !rows.is_empty() {
                sight::render_one(&mut text, name, kind, help, &rows);
            }
        }
        text
    }
}

/// A number of a mount: how it is called, whether it only grows, what it is, and where it is read, if it is known.
type MountMetric = (&'static str, Kind, &'static str, fn(&MountInfo) -> Option<u64>);

const MOUNT_METRICS: [MountMetric; 5] = [
    ("vfsd_mount", Kind::Gauge, "What is mounted.", |_| Some(1)),
    ("vfsd_mount_available", Kind::Gauge, "Whether its source answered when it was asked last.", |mount| {
        match mount.availability {
            Availability::Ok => Some(1),
            Availability::Unavailable => Some(0),
            Availability::Unknown => None,
        }
    }),
    ("vfsd_mount_requests_total", Kind::Counter, "Questions sent to a mount's site.", |mount| {
        mount.traffic.map(|traffic| traffic.requests)
    }),
    ("vfsd_mount_bytes_total", Kind::Counter, "Bytes of content that came from a mount's site.", |mount| {
        mount.traffic.map(|traffic| traffic.bytes)
    }),
    ("vfsd_mount_errors_total", Kind::Counter, "Questions that a mount's site did not answer.", |mount| {
        mount.traffic.map(|traffic| traffic.errors)
    }),
];
