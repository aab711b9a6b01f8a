//! What the backends of remote sites share: where they may dial ([`Policy`]), how long they wait ([`Deadlines`]), how
//! many connections they hold and how often they ask again. It knows no protocol.

mod connections;
mod deadlines;
mod policy;
mod retry;

pub(crate) use self::connections::{Connection, Connections};
pub use self::deadlines::Deadlines;
pub use self::policy::{Policy, Refused};
pub(crate) use self::retry::RetryBudget;
