//! Sessions as clients see them.

mod active;
mod changes;
mod faults;
mod hashing;
mod limits;
mod listings;
mod order;
mod packing;
mod security;
mod table;
mod tls;
mod transfers;
mod uploads;
