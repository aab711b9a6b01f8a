//! Remote sites as they are at their worst, and what asking them costs.

// What fails here fails its test.
#![allow(clippy::unwrap_used)]

mod buckets;
mod budget;
mod hostile;
mod mirrored;
mod poisoned;
mod secrets;
mod slow_readers;
mod tls;
