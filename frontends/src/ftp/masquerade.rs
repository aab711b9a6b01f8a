//! The address that PASV tells clients to come to: behind a translating router it is not our own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the answer of a name server holds. Addresses that change do so rarely, and a client that was told the old one
/// asks again.
const NAME_TIME: Duration = Duration::from_secs(60);

/// How long a name server may take; after that, and where there is no answer, the last one holds.
const LOOKUP_TIME: Duration = Duration::from_secs(5);

/// Which address PASV tells. EPSV tells none, and clients that use it need no masquerade.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Masquerade {
    /// The one that the client has reached us at. The default.
    #[default]
    Connection,
    /// This one.
    Address(Ipv4Addr),
    /// What this name stands for, asked once a minute at most.
    Name(String),
}

/// A masquerade and what is known of its name.
#[derive(Debug)]
pub(super) struct Masquerading {
    masquerade: Masquerade,
    known: Mutex<Option<(Ipv4Addr, Instant)>>,
}

impl Masquerading {
    pub(super) fn new(masquerade: Masquerade) -> Self {
        Self { masquerade, known: Mutex::default() }
    }

    /// The address to tell a client that has reached us at `own`; `None` where a name server has to be asked.
    pub(super) fn at_hand(&self, own: Ipv4Addr) -> Option<Ipv4Addr> {
        match &self.masquerade {
            Masquerade::Connection => Some(own),
            Masquerade::Address(address) => Some(*address),
            Masquerade::Name(_) => {
                self.known().filter(|(_, since)| since.elapsed() < NAME_TIME).map(|(address, _)| address)
            }
        }
    }

    /// As [`at_hand`](Self::at_hand), asking the name server. `None` where it never had an answer.
    pub(super) async fn ask(&self, own: Ipv4Addr) -> Option<Ipv4Addr> {
        let Masquerade::Name(name) = &self.masquerade else { return self.at_hand(own) };
        match tokio::time::timeout(LOOKUP_TIME, tokio::net::lookup_host((name.as_str(), 0))).await {
            Ok(Ok(mut found)) => {
                let address = found.find_map(|address| match address {
                    SocketAddr::V4(address) => Some(*address.ip()),
                    SocketAddr::V6(_) => None,
                });
                if let Some(address) = address {
                    *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some((address, Instant::now()));
                }
            }
            Ok(Err(error)) => tracing::warn!(name, %error, "the masquerade's name has no address"),
            Err(_) => tracing::warn!(name, "no name server told the masquerade's address in time"),
        }
        self.known().map(|(address, _)| address)
    }

    fn known(&self) -> Option<(Ipv4Addr, Instant)> {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    #[tokio::test(start_paused = true)]
    async fn a_name_is_asked_about_once_a_minute() {
        let masquerading = Masquerading::new(Masquerade::Name("localhost".to_owned()));
        assert_eq!(masquerading.at_hand(OWN), None);
        assert_eq!(masquerading.ask(OWN).await, Some(Ipv4Addr::LOCALHOST));
        assert_eq!(masquerading.at_hand(OWN), Some(Ipv4Addr::LOCALHOST));
        tokio::time::advance(NAME_TIME).await;
        assert_eq!(masquerading.at_hand(OWN), None);
    }

    #[tokio::test]
    async fn a_name_without_an_answer_keeps_the_last_one() {
        let masquerading = Masquerading::new(Masquerade::Name("no such name".to_owned()));
        assert_eq!(masquerading.ask(OWN).await, None);
        *masquerading.known.lock().unwrap() = Some((OWN, Instant::now()));
        assert_eq!(masquerading.ask(Ipv4Addr::LOCALHOST).await, Some(OWN));
    }
}
