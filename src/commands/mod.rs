//! What the program does, one file a sub-command: its arguments, and what becomes of them.

pub mod cat;
pub mod check;
pub mod cp;
pub mod find;
pub mod index;
pub mod ls;
pub mod mirror;
pub mod passwd;
pub mod serve;
pub mod stat;
pub mod tree;
