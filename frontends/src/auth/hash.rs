//! [`Hash`]: what is kept of a password.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};

/// The hash of a password, argon2 or bcrypt. It is never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash {
    kind: Kind,
    text: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Argon2,
    Bcrypt,
}

/// A text is no hash that is taken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHash {
    /// It could be the password itself.
    Plain,
    /// The hash is of a kind that can be undone too fast: MD5, SHA-1, crypt(3).
    Weak,
    /// It begins like a hash and does not go on like one.
    Broken,
}

impl Hash {
    /// Hashes a password with Argon2id, a fresh salt, and 19 MiB of memory, as OWASP recommends. Takes some 50 ms: a job.
    ///
    /// # Errors
    /// [`BadHash::Broken`] where the system has no random numbers.
    pub fn of(password: &str) -> Result<Self, BadHash> {
        let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|_| BadHash::Broken)?;
        Ok(Self { kind: Kind::Argon2, text: hash.to_string().into() })
    }

    /// The text to write down.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How long a comparison takes, next to others: in units of some 50 ns.
    pub(super) fn cost(&self) -> u64 {
        match self.kind {
            Kind::Argon2 => {
                let params = PasswordHash::new(&self.text).ok().and_then(|hash| Params::try_from(&hash).ok());
                params.map_or(0, |params| 20 * u64::from(params.m_cost()) * u64::from(params.t_cost()))
            }
            Kind::Bcrypt => {
                let parts = self.text.parse::<bcrypt::HashParts>().ok();
                parts.map_or(0, |parts| 1000 << parts.get_cost().min(31))
            }
        }
    }

    /// True where `password` is the one. Takes as long as the hash was made to take: a job. The comparison's time does
    /// not depend on where two hashes differ.
    pub(super) fn holds(&self, password: &str) -> bool {
        match self.kind {
            Kind::Argon2 => PasswordHash::new(&self.text)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()),
            Kind::Bcrypt => bcrypt::verify(password, &self.text).unwrap_or(false),
        }
    }
}

impl FromStr for Hash {
    type Err = BadHash;

    fn from_str(text: &str) -> Result<Self, BadHash> {
        let starts = |heads: &[&str]| heads.iter().any(|head| text.starts_with(head));
        let kind = if starts(&["$argon2id$", "$argon2i$", "$argon2d$"]) {
            let whole =
                PasswordHash::new(text).ok().filter(|hash| hash.salt.is_some() && hash.hash.is_some());
            whole.ok_or(BadHash::Broken)?;
            Kind::Argon2
        } else if starts(&["$2a$", "$2b$", "$2x$", "$2y$"]) {
            text.parse::<bcrypt::HashParts>().map_err(|_| BadHash::Broken)?;
            Kind::Bcrypt
        } else if starts(&["$apr1$", "$1$", "$5$", "$6$", "$y$", "{SHA}", "{SSHA}"]) {
            return Err(BadHash::Weak);
        } else {
            return Err(BadHash::Plain);
        };
        Ok(Self { kind, text: text.into() })
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({:?})", self.kind)
    }
}

impl fmt::Display for BadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "not a hash: passwords are written hashed, as \"vfsd passwd\" prints them",
            Self::Weak => "hashed in a way that is undone too fast: use argon2 (\"vfsd passwd\") or bcrypt (htpasswd -B)",
            Self::Broken => "a broken hash: write all that \"vfsd passwd\" or htpasswd -B prints",
        })
    }
}

impl std::error::Error for BadHash {}

#[cfg(test)]
mod tests {
    use super::*;

    /// htpasswd -nbB -C 4 u secret
    const BCRYPT: &str = "$2y$04$1KCqmXkYQ8rkbwkyTHzFz.";

    #[test]
    fn hashes_hold_for_their_password_alone() {
        let bcrypt = bcrypt::hash("secret", 4).unwrap();
        for hash in [
            Hash::of("secret").unwrap(),
            bcrypt.parse().unwrap(),
            bcrypt.replace("$2b$", "$2y$").parse().unwrap(),
        ] {
            assert!(hash.holds("secret") && !hash.holds("Secret") && !hash.holds(""));
            assert_eq!(hash.text().parse::<Hash>().unwrap(), hash);
            assert!(!format!("{hash:?}").contains('$'));
        }
    }

    #[test]
    fn the_slower_one_costs_more() {
        let cost = |text: &str| text.parse::<Hash>().unwrap().cost();
        let [cheap, dear] = [4, 6].map(|cost| bcrypt::hash("secret", cost).unwrap());
        assert!(cost(&cheap) < cost(&dear));
        let argon2 = Hash::of("secret").unwrap().cost();
        assert!(cost(&dear) < argon2 && argon2 < cost(&dear.replace("$06$", "$12$")));
    }

    #[test]
    fn what_is_no_good_hash_is_refused() {
        for (text, why) in [
            ("", BadHash::Plain),
            ("secret", BadHash::Plain),
            ("$apr1$x$y", BadHash::Weak),
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", BadHash::Weak),
            (BCRYPT, BadHash::Broken),
            ("$argon2id$v=19", BadHash::Broken),
        ] {
            assert_eq!(text.parse::<Hash>().unwrap_err(), why, "{text}");
        }
    }
}
