//! Where a tree's files come from. Backends know the vocabulary and never one another.

pub mod archive;
pub mod local;
pub mod memory;
