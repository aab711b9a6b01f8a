//! Who may enter, for every front end: credentials become an [`Entry`], whose view of the tree is all that a session has.
//!
//! Passwords are compared as jobs, never on the loop, and what fails costs time: see `bans`. What is not said to a
//! client is why: an unknown name looks like a wrong password, in words and in time.

mod bans;
mod hash;
mod htpasswd;
mod presence;
mod seen;
mod user;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use vfs::{FileSystem, VPath, jobs};

use self::bans::Bans;
pub use self::hash::{BadHash, Hash};
pub use self::htpasswd::{BadLine, parse as parse_htpasswd};
pub use self::presence::Place;
use self::presence::Presences;
use self::seen::Seen;
pub use self::user::{BadName, Scope, User, check_name};
use crate::serve::Peer;

/// Names that guests give over FTP (RFC 1635); nobody else can have them.
pub const GUESTS: [&str; 2] = ["anonymous", "ftp"];

/// Who asks, as the protocol brought it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Somebody without a name.
    Anonymous,
    /// A name and a password.
    Password {
        /// The name as it was sent.
        name: String,
        /// The password as it was sent; it is never printed.
        password: String,
    },
}

/// Where somebody asks from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Who is connected.
    pub peer: Peer,
    /// The connection is inside TLS.
    pub secure: bool,
}

/// Entry was refused. It does not say what was wrong, so that names cannot be tried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// These credentials do not hold here.
    Credentials,
    /// Passwords are taken inside TLS only.
    Insecure,
    /// Too many tries from there; after this time they are looked at again.
    Banned(Duration),
    /// The user is here as often as it may be.
    Crowded,
}

/// What somebody got who may enter.
#[derive(Clone, Debug)]
pub struct Entry {
    /// All that can be seen.
    pub view: Arc<dyn FileSystem>,
    /// The folder of the whole tree that is `/` in the view.
    pub root: VPath,
    /// Under which name; `None` for guests.
    pub user: Option<Arc<User>>,
    /// Counts it among the user's; given back when the last clone is dropped.
    pub place: Option<Arc<Place>>,
    /// Those among whom it was found.
    known: Arc<Users>,
}

/// Who may enter. Shared by the listeners of a process, so that tries at one of them count at all.
pub struct Auth {
    users: ArcSwap<Users>,
    bans: Bans,
    seen: Seen,
    presences: Presences,
}

/// The users that there are.
#[derive(Clone, Debug, Default)]
pub struct Users {
    /// By name.
    pub named: HashMap<String, Arc<User>>,
    /// What guests may; `None` where they may not enter.
    pub guests: Option<Scope>,
    /// Names and passwords are taken inside TLS only. Guests need none. Default: false.
    pub require_tls: bool,
}

impl Users {
    /// Everybody without a name, and nobody with one.
    pub fn anonymous() -> Self {
        Self { guests: Some(Scope::whole()), ..Self::default() }
    }
}

impl Auth {
    /// Lets everybody in without a name, and nobody with one.
    pub fn anonymous() -> Self {
        Self::new(Users::anonymous())
    }

    /// Lets `users` in.
    pub fn new(users: Users) -> Self {
        Self {
            users: ArcSwap::from_pointee(users),
            bans: Bans::default(),
            seen: Seen::new(),
            presences: Presences::default(),
        }
    }

    /// Takes other users from now on. Who is in stays in; [`Auth::still_admits`] tells who should not.
    pub fn replace(&self, users: Users) {
        self.users.store(Arc::new(users));
        self.seen.clear();
    }

    /// True where a password could help.
    pub fn has_users(&self) -> bool {
        !self.users.load().named.is_empty()
    }

    /// True where `name` is to be sent inside TLS only. All names are alike here, so that none is given away.
    pub fn requires_tls(&self, name: &str) -> bool {
        self.users.load().require_tls && !is_guest(name)
    }

    /// The entry of `credentials` into `folder` of `tree`: of the two, that and the user's own root, the one that lies within
    /// the other is shown; where neither does, the credentials do not hold there. A try that fails takes 1 s, the next one from the same address twice as
    /// long and so on up to 16 s; after ten of them none is looked at for 10 minutes. Dropping the future after a wrong
    /// password changes nothing about that.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn login(
        &self,
        tree: &Arc<dyn FileSystem>,
        folder: &VPath,
        asker: Asker,
        credentials: &Credentials,
    ) -> Result<Entry, Denied> {
        let (name, password) = match credentials {
            Credentials::Anonymous => {
                let users = self.users.load();
                let scope = users.guests.as_ref().ok_or(Denied::Credentials)?;
                let (view, root) = scope.view(tree, folder).ok_or(Denied::Credentials)?;
                return Ok(Entry { view, root, user: None, place: None, known: Arc::clone(&users) });
            }
            Credentials::Password { name, password } => (name, password),
        };
        let users = self.users.load_full();
        if users.require_tls && !asker.secure {
            return Err(Denied::Insecure);
        }
        // A banned address learns nothing, not even whether somebody else's password is right.
        self.bans.expect_none(asker.peer).map_err(Denied::Banned)?;
        if !self.seen.knows(name, password) {
            // Boxed: guests, who are most, need no room for it.
            Box::pin(self.check(&users, asker.peer, name, password)).await?;
        }
        // A known password may be older than its user's end.
        let user = users.named.get(name).ok_or(Denied::Credentials)?;
        let (view, root) = user.scope().view(tree, folder).ok_or(Denied::Credentials)?;
        let place = self.presences.admit(user).ok_or(Denied::Crowded)?;
        let (user, place) = (Some(Arc::clone(user)), Some(Arc::new(place)));
        Ok(Entry { view, root, user, place, known: Arc::clone(&users) })
    }

    /// True where who got `entry` would get the same now: the user, or guests, are still let in, with the same password, root
    /// and rights. For sessions that go on after [`Auth::replace`]; where nothing was replaced it costs next to nothing.
    pub fn still_admits(&self, entry: &Entry) -> bool {
        let (now, then) = (self.users.load(), &entry.known);
        if Arc::ptr_eq(&now, then) {
            return true;
        }
        match &entry.user {
            Some(user) => now.named.get(user.name()).is_some_and(|other| user.is_same(other)),
            None => now.guests.is_some() && now.guests == then.guests,
        }
    }

    async fn check(&self, users: &Users, peer: Peer, name: &str, password: &str) -> Result<(), Denied> {
        // One try of an address at a time: a hundred at once are a hundred tries all the same.
        let attempt = self.bans.begin(peer).await.map_err(Denied::Banned)?;
        let holds = match users.named.get(name) {
            Some(user) => verify(user.hash(), password).await,
            None => {
                // As long as for somebody who is there.
                if let Some(other) = users.named.values().next() {
                    verify(other.hash(), password).await;
                }
                false
            }
        };
        if holds {
            attempt.succeeded();
            self.seen.learn(name, password);
            return Ok(());
        }
        let delay = attempt.failed();
        tracing::warn!(%peer, user = %vfs::path::escaped(name.as_bytes()), "a login failed");
        tokio::time::sleep(delay).await;
        Err(Denied::Credentials)
    }
}

async fn verify(hash: &Hash, password: &str) -> bool {
    let (hash, password) = (hash.clone(), password.to_owned());
    jobs::cpu("verify", move || hash.holds(&password)).await.unwrap_or(false)
}

/// True for the names of guests.
pub fn is_guest(name: &str) -> bool {
    GUESTS.iter().any(|guest| name.eq_ignore_ascii_case(guest))
}

/// Without TLS.
impl From<Peer> for Asker {
    fn from(peer: Peer) -> Self {
        Self { peer, secure: false }
    }
}

impl Entry {
    /// The name for logs, `anonymous` for guests.
    pub fn name(&self) -> &str {
        self.user.as_ref().map_or(GUESTS[0], |user| user.name())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Password { name, .. } => write!(f, "Password({name:?})"),
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("users", &self.users.load()).finish_non_exhaustive()
    }
}

/// A hash that costs a test next to nothing.
#[cfg(test)]
pub(crate) fn cheap_hash(password: &str) -> Hash {
    let made = bcrypt::hash(password, 4).expect("the cost is one that bcrypt takes");
    made.parse().expect("bcrypt writes what it reads")
}

#[cfg(test)]
mod tests;
