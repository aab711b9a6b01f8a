//! The program as its users meet it: the real binary, real folders, real signals.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod check;
mod copying;
mod guarding;
mod indexing;
mod looking;
mod mirroring;
mod running;
mod secrets;
mod serving;
mod usage;
