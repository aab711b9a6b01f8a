//! Front ends: they show any tree over a protocol, and know nothing of where its files come from.
//!
//! Each is one function, `serve(listener, site, shutdown)`: the caller brings the socket and the moment to stop.
//! What every front end needs is built once: [`serve`] (listeners, limits, drain), [`transport`], [`auth`], [`sight`].

pub mod auth;
mod clock;
pub mod ftp;
pub mod http;
pub mod serve;
pub mod sight;
mod site;
pub mod transport;

pub use self::site::{Hosts, Limits, Named, Others, Site};
