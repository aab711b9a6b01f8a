//! The program `vfsd`.

fn main() {}
