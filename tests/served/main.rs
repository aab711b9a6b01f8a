//! One tree through both front ends, read by real client libraries: each front end shows the tree as it is, and both
//! give one answer to one question.

// What fails here fails its test.
#![allow(clippy::unwrap_used)]

mod agreement;
mod archives;
mod clients;
mod faults;
mod zero_copy;
