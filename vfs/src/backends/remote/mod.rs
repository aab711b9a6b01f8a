//! What the backends of remote sites share: where they may dial ([`Policy`]), how long they wait ([`Deadlines`]), how
//! many connections they hold, how often they ask again, who asks ([`Login`]) and whom they trust. It knows no protocol.

mod connections;
mod deadlines;
mod login;
mod policy;
mod reader;
mod retry;
mod seen;
mod trust;

pub(crate) use self::connections::{Connection, Connections};
pub use self::deadlines::Deadlines;
pub use self::login::Login;
pub use self::policy::{Policy, Refused};
pub(crate) use self::reader::Reader;
pub(crate) use self::retry::RetryBudget;
pub(crate) use self::seen::Seen;
pub(crate) use self::trust::Trust;
