//! Sessions as clients see them.

mod active;
mod changes;
mod hashing;
mod limits;
mod listings;
mod order;
mod security;
mod transfers;
mod uploads;
