//! The standard library's `std::fs`, asynchronous and over any tree.
