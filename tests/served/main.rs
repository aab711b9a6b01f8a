//! One tree through both front ends, read by real client libraries: each front end shows the tree as it is, and both
//! give one answer to one question.

mod agreement;
mod clients;
mod faults;
mod zero_copy;
