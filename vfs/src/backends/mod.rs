//! Where a tree's files come from. Backends know the vocabulary and never one another.

pub mod ftp;
pub mod http;
pub mod local;
pub mod memory;
pub mod remote;
