//! Trees over a tree: each changes one thing about how the inner tree behaves.
