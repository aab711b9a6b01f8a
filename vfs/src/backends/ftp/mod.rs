//! Remote FTP(S) sites as trees (RFC 959, 2389, 2428, 3659, 4217).
//!
//! A command whose future is dropped leaves its answer on the wire, where the next command takes it for its own. So every
//! control connection lives in a task that alone talks on it: it is handed whole pieces of work, does each to its end
//! whether somebody still waits for it or not, and goes back to the pool only when it is known to be in step.
//!
//! What a site says is believed where it fits what was asked. Data connections go to the peer of the control connection
//! and nowhere else; a file is whole where its length is met or the site says so; a transfer that breaks off goes on in
//! the same version or ends as an error.

mod batches;
mod change;
mod changes;
mod config;
mod data;
mod dial;
mod error;
mod file;
mod folder;
mod fs;
mod listing;
mod lore;
mod manner;
mod names;
mod pump;
mod reply;
mod site;
mod stat;
mod tls;
mod transfer;
mod upload;
mod wire;
mod worker;

pub use self::config::{FtpOptions, ReadSecret, Secret};
pub use self::fs::{FtpFs, FtpSource};
pub use self::manner::{NameEncoding, TimeZone};
