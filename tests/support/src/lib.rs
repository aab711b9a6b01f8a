//! What the tests share: trees that misbehave, both front ends on free ports, real clients.

mod ftp_server;
mod ftp_site;
mod hung;
mod listening;
mod origin;
mod peers;
mod served;
mod tree;
mod web;

pub use self::ftp_server::{FtpPeer, FtpServer, Protection};
pub use self::ftp_site::{FtpSite, Trick};
pub use self::hung::Hung;
pub use self::origin::{Answer, Heard, Origin};
pub use self::peers::{Peer, Program, run};
pub use self::served::{Gate, Served};
pub use self::tree::{Layout, odd_names, read_folder, write_folder};
pub use self::web::{Web, WebServer};
