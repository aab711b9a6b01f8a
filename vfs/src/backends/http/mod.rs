//! Remote HTTP(S) sites as trees: files by ranges, folders by the pages that servers make of them.
//!
//! Read-only. What a site says is believed only where it fits what was asked: an answer to a range by its status, its
//! `Content-Range` and its validator. A transfer that breaks off goes on under the same strong validator or ends as an
//! error; two versions of a file are never put together. A cold file costs one request, a folder one.

mod caching;
mod client;
mod config;
mod dav;
mod error;
mod file;
mod folders;
mod fs;
mod listing;
mod manner;
mod response;
mod transfer;
mod url;

pub use self::config::HttpOptions;
pub use self::fs::{HttpFs, HttpSource};
