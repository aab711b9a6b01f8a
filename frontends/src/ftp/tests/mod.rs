//! Sessions as clients see them.

mod limits;
mod order;
mod security;
mod transfers;
