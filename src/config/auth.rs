//! `[auth]` and `[[user]]`: who may enter, and what they may do.

use std::fmt;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use frontends::auth::{BadHash, BadName, Hash, Scope, User, Users, parse_htpasswd};
use serde::Deserialize;
use toml::Spanned;
use vfs::VPath;
use vfs::layers::Access;
use vfs::producer::Rate;

use super::listen::rate;
use super::refusal::{ConfigError, Document, Origin, Refusal};
use super::right::{RawAllow, RawRight, Right, access, written_access};
use super::tls::{read, read_written};

/// Who may enter. Empty: everybody may, without a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auth {
    /// Who has a name.
    pub users: Vec<Account>,
    /// What guests may do. `None`: everything where there are no users, nothing where there are.
    pub guests: Option<Access>,
    /// Names and passwords are taken inside TLS only. Default: false.
    pub require_tls: bool,
    /// Users were asked for, should there be none: a file of them that is empty lets nobody in. Default: false.
    pub is_closed: bool,
}

/// Somebody with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    name: String,
    hash: Hash,
    root: VPath,
    /// What may be done with paths of the whole tree.
    rules: Vec<Right>,
    most: Option<usize>,
    download: Option<NonZeroU64>,
    upload: Option<NonZeroU64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuth {
    guests: Option<Vec<RawAllow>>,
    #[serde(default)]
    require_tls: bool,
    htpasswd: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUser {
    name: Spanned<String>,
    password: Spanned<String>,
    root: Option<Spanned<String>>,
    allow: Option<Vec<RawAllow>>,
    #[serde(default)]
    right: Vec<RawRight>,
    sessions: Option<Spanned<usize>>,
    download: Option<Spanned<String>>,
    upload: Option<Spanned<String>>,
}

impl Auth {
    /// The users as the front ends take them.
    pub(crate) fn users(&self) -> Users {
        let named = self.users.iter().filter_map(|account| {
            let user = account.user()?;
            Some((account.name.clone(), Arc::new(user)))
        });
        let guests = match self.guests {
            None if self.users.is_empty() && !self.is_closed => Some(Scope::whole()),
            None => None,
            Some(access) => Scope::new(VPath::root(), [(VPath::root(), access)]).ok(),
        };
        Users { named: named.collect(), guests, require_tls: self.require_tls }
    }

    /// Adds what `--user` names: `NAME:HASH`, or a file of such lines.
    ///
    /// # Errors
    /// What is wrong with it; no hash is repeated.
    pub(crate) fn add_argument(&mut self, text: &str) -> Result<(), ConfigError> {
        let lines = match text.split_once(':') {
            Some((name, hash)) if !hash.contains('/') || hash.starts_with('$') => {
                let origin = Origin::of_argument("--user", name.as_bytes());
                let says = |error: BadHash| ConfigError::new(&origin, error.to_string());
                vec![(name.to_owned(), hash.parse::<Hash>().map_err(says)?)]
            }
            _ => {
                let origin = Origin::of_argument("--user", text.as_bytes());
                let refuse = |says: String| ConfigError::new(&origin, says);
                let content = read(Path::new(text)).map_err(refuse)?;
                accounts(&content).map_err(refuse)?
            }
        };
        self.is_closed = true;
        for (name, hash) in lines {
            let origin = Origin::of_argument("--user", name.as_bytes());
            self.add(Account::whole(name, hash)).map_err(|says| ConfigError::new(&origin, says))?;
        }
        Ok(())
    }

    fn add(&mut self, account: Account) -> Result<(), String> {
        if self.users.iter().any(|other| other.name == account.name) {
            return Err(format!("the user {} is there twice: drop one", account.name));
        }
        self.users.push(account);
        Ok(())
    }
}

impl Account {
    /// Who may do all that the tree lets through.
    fn whole(name: String, hash: Hash) -> Self {
        Self { name, hash, root: VPath::root(), rules: Vec::new(), most: None, download: None, upload: None }
    }

    /// `None` where it makes no sense, which its `TryFrom` has refused.
    fn user(&self) -> Option<User> {
        let rules = self.rules.iter().map(|right| (right.path.clone(), right.access));
        let scope = match self.rules.is_empty() && self.root.is_root() {
            true => Scope::whole(),
            false => Scope::new(self.root.clone(), rules).ok()?,
        };
        let mut user = User::new(self.name.clone(), self.hash.clone(), scope).ok()?;
        user.most = self.most;
        user.download = self.download.map(Rate::shared);
        user.upload = self.upload.map(Rate::shared);
        Some(user)
    }
}

fn accounts(content: &[u8]) -> Result<Vec<(String, Hash)>, String> {
    let text = std::str::from_utf8(content).map_err(|_| "is not UTF-8 text: save it as UTF-8".to_owned())?;
    parse_htpasswd(text).map_err(|bad| bad.to_string())
}

impl TryFrom<(RawAuth, Vec<RawUser>, &Document<'_>)> for Auth {
    type Error = Refusal;

    fn try_from((raw, users, document): (RawAuth, Vec<RawUser>, &Document<'_>)) -> Result<Self, Refusal> {
        let guests = raw.guests.as_deref().map(access);
        let is_closed = raw.htpasswd.is_some() || !users.is_empty();
        let mut auth = Self { users: Vec::new(), guests, require_tls: raw.require_tls, is_closed };
        for user in users {
            let span = user.name.span();
            let account = Account::try_from(user)?;
            auth.add(account).map_err(|says| Refusal::new(span, says))?;
        }
        if let Some(file) = &raw.htpasswd {
            let (_, content): (PathBuf, _) = read_written(file, document)?;
            let refuse = |says| Refusal::new(file.span(), says);
            for (name, hash) in accounts(&content).map_err(refuse)? {
                auth.add(Account::whole(name, hash)).map_err(refuse)?;
            }
        }
        Ok(auth)
    }
}

impl TryFrom<RawUser> for Account {
    type Error = Refusal;

    fn try_from(raw: RawUser) -> Result<Self, Refusal> {
        let hash: Hash = raw
            .password
            .get_ref()
            .parse()
            .map_err(|error: BadHash| Refusal::new(raw.password.span(), error.to_string()))?;
        frontends::auth::check_name(raw.name.get_ref())
            .map_err(|error: BadName| Refusal::new(raw.name.span(), error.to_string()))?;
        let root = match &raw.root {
            None => VPath::root(),
            Some(root) => {
                VPath::parse(root.get_ref()).map_err(|error| Refusal::new(root.span(), error.to_string()))?
            }
        };
        let mut rules = Vec::new();
        if let Some(allow) = &raw.allow {
            rules.push(Right { path: root.clone(), access: access(allow) });
        }
        for right in raw.right {
            let (span, right) = (right.span(), Right::try_from(right)?);
            if !right.path.is_covered_by(&root) && !root.is_covered_by(&right.path) {
                let cure = format!(
                    "{} lies outside of the root {root}: paths are those of the whole tree",
                    right.path
                );
                return Err(Refusal::new(span, cure));
            }
            rules.push(right);
        }
        let most = match &raw.sessions {
            Some(most) if *most.get_ref() == 0 => {
                return Err(Refusal::new(most.span(), "nobody could log in: write 1 at least"));
            }
            most => most.as_ref().map(|most| *most.get_ref()),
        };
        let span = raw.name.span();
        let account = Self {
            name: raw.name.into_inner(),
            hash,
            root,
            rules,
            most,
            download: rate(raw.download)?,
            upload: rate(raw.upload)?,
        };
        match account.user() {
            Some(_) => Ok(account),
            None => {
                Err(Refusal::new(span, "its rights contradict each other: one rule a path, none in archives"))
            }
        }
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for account in &self.users {
            writeln!(f, "user {account}")?;
        }
        match (self.guests, self.is_closed) {
            (None, false) => {}
            (None, true) => writeln!(f, "guests may not enter")?,
            (Some(access), _) => writeln!(f, "guests may {}", written_access(access))?,
        }
        if self.require_tls { writeln!(f, "passwords inside tls only") } else { Ok(()) }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.root)?;
        for right in &self.rules {
            write!(f, ", {right}")?;
        }
        match self.most {
            Some(most) => write!(f, ", {most} sessions"),
            None => Ok(()),
        }
    }
}
