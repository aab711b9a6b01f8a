//! Sessions as clients see them.

mod active;
mod changes;
mod hashing;
mod limits;
mod order;
mod security;
mod tls;
mod transfers;
mod uploads;
