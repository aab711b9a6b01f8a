//! [`Bans`]: what failed logins cost, by address.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::serve::Peer;

/// Failed logins after which an address is not listened to.
const BAN_AFTER: u32 = 10;

/// How long it is not, and how long failed logins are remembered.
const BAN: Duration = Duration::from_secs(600);

/// How long the first failed login takes; each further one takes twice as long.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// The longest that one takes.
const LONGEST_DELAY: Duration = Duration::from_secs(16);

/// Addresses that are remembered. One more takes the place of the one that was quiet the longest.
const ADDRESSES: usize = 10_000;

/// Failed logins by address; IPv6 by network (/64), for a host has all of it. Processes of this machine are delayed and
/// not banned: who comes through a Unix socket may be anybody behind a proxy.
#[derive(Clone, Default)]
pub(super) struct Bans(Arc<Mutex<HashMap<IpAddr, Conduct>>>);

struct Conduct {
    failed: u32,
    last: Instant,
    /// Held by who is being looked at.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// One try. The next one of its address waits until it has failed, succeeded or was dropped.
pub(super) struct Attempt {
    bans: Bans,
    from: Option<IpAddr>,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Bans {
    /// Waits for the turn of `peer`.
    ///
    /// # Errors
    /// How long it is not listened to.
    pub(super) async fn begin(&self, peer: Peer) -> Result<Attempt, Duration> {
        let Peer::Host(address) = peer else {
            return Ok(Attempt { bans: self.clone(), from: None, _turn: None });
        };
        let network = network(address);
        let turn = Arc::clone(&self.conduct(&mut self.lock(), network).turn);
        let turn = turn.lock_owned().await;
        let mut table = self.lock();
        let conduct = self.conduct(&mut table, network);
        let left = BAN.saturating_sub(conduct.last.elapsed());
        if conduct.failed >= BAN_AFTER && !left.is_zero() {
            return Err(left);
        }
        Ok(Attempt { bans: self.clone(), from: Some(network), _turn: Some(turn) })
    }

    /// Says whether `peer` is listened to at all, without waiting.
    ///
    /// # Errors
    /// How long it is not.
    pub(super) fn expect_none(&self, peer: Peer) -> Result<(), Duration> {
        let Peer::Host(address) = peer else { return Ok(()) };
        let table = self.lock();
        let Some(conduct) = table.get(&network(address)) else { return Ok(()) };
        let left = BAN.saturating_sub(conduct.last.elapsed());
        if conduct.failed >= BAN_AFTER && !left.is_zero() { Err(left) } else { Ok(()) }
    }

    /// What is remembered of an address, with room made for it.
    fn conduct<'a>(&self, table: &'a mut HashMap<IpAddr, Conduct>, from: IpAddr) -> &'a mut Conduct {
        if table.len() >= ADDRESSES && !table.contains_key(&from) {
            table.retain(|_, conduct| conduct.last.elapsed() < BAN);
            let quiet = table.iter().min_by_key(|(_, conduct)| conduct.last).map(|(address, _)| *address);
            if let Some(quiet) = quiet.filter(|_| table.len() >= ADDRESSES) {
                table.remove(&quiet);
            }
        }
        let new = || Conduct { failed: 0, last: Instant::now(), turn: Arc::default() };
        let conduct = table.entry(from).or_insert_with(new);
        if conduct.last.elapsed() >= BAN {
            conduct.failed = 0;
        }
        conduct
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Conduct>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// Counts against its address: how long the answer is to take.
    pub(super) fn failed(self) -> Duration {
        let Some(from) = self.from else { return FIRST_DELAY };
        let mut table = self.bans.lock();
        let conduct = self.bans.conduct(&mut table, from);
        conduct.failed += 1;
        conduct.last = Instant::now();
        if conduct.failed == BAN_AFTER {
            tracing::warn!(peer = %from, for_seconds = BAN.as_secs(), "too many failed logins: banned");
        }
        FIRST_DELAY.saturating_mul(1 << (conduct.failed - 1).min(10)).min(LONGEST_DELAY)
    }

    /// Counts for nothing. What failed before stays: one good password must not buy more tries at others. An address
    /// that never failed is forgotten.
    pub(super) fn succeeded(self) {
        let Some(from) = self.from else { return };
        let mut table = self.bans.lock();
        let is_idle = |conduct: &Conduct| conduct.failed == 0 && Arc::strong_count(&conduct.turn) <= 2;
        if table.get(&from).is_some_and(is_idle) {
            table.remove(&from);
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address,
    }
}

impl fmt::Debug for Bans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bans({})", self.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(address: &str) -> Peer {
        Peer::Host(address.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn ten_failures_are_a_ban_of_ten_minutes() {
        let bans = Bans::default();
        let mut delays = Vec::new();
        for _ in 0..BAN_AFTER {
            delays.push(bans.begin(host("192.0.2.1")).await.unwrap().failed().as_secs());
            bans.begin(host("192.0.2.1")).await.map(Attempt::succeeded).ok();
        }
        assert_eq!(delays, [1, 2, 4, 8, 16, 16, 16, 16, 16, 16]);
        assert_eq!(bans.begin(host("192.0.2.1")).await.err(), Some(BAN));
        assert!(bans.begin(host("192.0.2.2")).await.is_ok());
        tokio::time::advance(BAN).await;
        assert_eq!(bans.begin(host("192.0.2.1")).await.unwrap().failed(), FIRST_DELAY);
    }

    #[tokio::test]
    async fn a_network_of_ipv6_is_one_address_and_a_local_process_is_none() {
        let bans = Bans::default();
        bans.begin(host("2001:db8::1")).await.unwrap().failed();
        assert_eq!(bans.begin(host("2001:db8::2")).await.unwrap().failed().as_secs(), 2);
        assert_eq!(bans.begin(host("2001:db8:0:1::1")).await.unwrap().failed().as_secs(), 1);
        for _ in 0..2 * BAN_AFTER {
            assert_eq!(bans.begin(Peer::Local).await.unwrap().failed(), FIRST_DELAY);
        }
    }

    #[tokio::test]
    async fn the_table_is_bounded_and_forgets_the_quiet_ones() {
        let bans = Bans::default();
        for number in 0..u32::try_from(ADDRESSES).unwrap() + 100 {
            bans.begin(Peer::Host(IpAddr::from(number.to_be_bytes()))).await.unwrap().failed();
        }
        assert_eq!(bans.lock().len(), ADDRESSES);
        bans.begin(host("192.0.2.1")).await.unwrap().succeeded();
        assert!(bans.lock().len() < ADDRESSES + 1);
    }
}
