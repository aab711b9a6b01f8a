//! Remote sites as they are at their worst, and what asking them costs.

// What fails here fails its test.
#![allow(clippy::unwrap_used)]

mod archives;
mod buckets;
mod budget;
mod down;
mod ftps_cut;
mod hostile;
mod hostile_ftp;
mod listings;
mod mirrored;
mod poisoned;
mod secrets;
mod slow_readers;
mod tls;
