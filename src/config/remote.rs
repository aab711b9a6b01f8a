//! `remote = { … }` of a mount: how a site is asked, and as whom.
//!
//! Secrets are named here, never written: a password stands in a file or in the environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use toml::{Spanned, Value};
use vfs::backends::ftp::{NameEncoding, TimeZone};
use vfs::backends::remote::{Deadlines, Login};

use super::listen::{count, time};
use super::mount::path_of_host;
use super::refusal::{Document, Refusal};

/// Largest file of authorities or with a password that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// How a site is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Connections to it at once. Default 4.
    pub connections: usize,
    /// How long it is waited for.
    pub deadlines: Deadlines,
    /// Dial private addresses that its URL does not name itself. Default false.
    pub allow_private: bool,
    /// A file of certificate authorities that are trusted besides those of this machine.
    pub authorities: Option<PathBuf>,
    /// Who asks, in place of a login in the URL.
    pub user: Option<User>,
    /// What an FTP site writes names in, unless its URL says.
    pub encoding: Option<NameEncoding>,
    /// What an FTP site's clock shows, unless its URL says. Default: UTC.
    pub time_zone: TimeZone,
}

/// Who asks a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// Where the password is found.
    pub password: Option<Secret>,
}

/// Where a secret is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// In a file, on its first line.
    File(PathBuf),
    /// In this variable of the environment.
    Variable(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRemote {
    connections: Option<Spanned<usize>>,
    connect: Option<Spanned<Value>>,
    first_byte: Option<Spanned<Value>>,
    stall: Option<Spanned<Value>>,
    #[serde(default)]
    allow_private: bool,
    ca: Option<Spanned<String>>,
    user: Option<Spanned<String>>,
    password_file: Option<Spanned<String>>,
    password_env: Option<Spanned<String>>,
    encoding: Option<Spanned<String>>,
    time_zone: Option<Spanned<String>>,
}

impl Default for Remote {
    fn default() -> Self {
        Self {
            connections: 4,
            deadlines: Deadlines::default(),
            allow_private: false,
            authorities: None,
            user: None,
            encoding: None,
            time_zone: TimeZone::default(),
        }
    }
}

impl TryFrom<(RawRemote, &Document<'_>)> for Remote {
    type Error = Refusal;

    fn try_from((raw, document): (RawRemote, &Document<'_>)) -> Result<Self, Refusal> {
        let defaults = Self::default();
        let file = |written: Spanned<String>| {
            let path = document.folder.join(written.get_ref().as_bytes());
            path.map(|path| path_of_host(&path))
                .map_err(|error| Refusal::new(written.span(), error.to_string()))
        };
        let password = match (raw.password_file, raw.password_env) {
            (Some(_), Some(other)) => {
                return Err(Refusal::new(other.span(), "the password is named twice: keep one of them"));
            }
            (None, None) => None,
            (Some(written), None) => Some((written.span(), Secret::File(file(written)?))),
            (None, Some(written)) => Some((written.span(), Secret::Variable(written.into_inner()))),
        };
        let user = match (raw.user, password) {
            (None, Some((span, _))) => {
                return Err(Refusal::new(span, "a password without a user: add the key \"user\""));
            }
            (name, password) => name
                .map(|name| User { name: name.into_inner(), password: password.map(|(_, secret)| secret) }),
        };
        Ok(Self {
            connections: count(raw.connections)?.unwrap_or(defaults.connections),
            deadlines: Deadlines {
                connect: time(raw.connect)?.unwrap_or(defaults.deadlines.connect),
                first_byte: time(raw.first_byte)?.unwrap_or(defaults.deadlines.first_byte),
                stall: time(raw.stall)?.unwrap_or(defaults.deadlines.stall),
                ..defaults.deadlines
            },
            allow_private: raw.allow_private,
            authorities: raw.ca.map(file).transpose()?,
            user,
            encoding: raw.encoding.as_ref().map(parsed).transpose()?,
            time_zone: raw.time_zone.as_ref().map(parsed).transpose()?.unwrap_or_default(),
        })
    }
}

impl Remote {
    /// Reads the authorities.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn authorities(&self) -> Result<Vec<u8>, String> {
        self.authorities.as_deref().map_or(Ok(Vec::new()), read)
    }

    /// Finds the password.
    ///
    /// # Errors
    /// Where it is not, which does not say what it is.
    pub(crate) fn login(&self) -> Result<Option<Login>, String> {
        let Some(User { name, password }) = &self.user else { return Ok(None) };
        let password = password.as_ref().map(Secret::find).transpose()?;
        Ok(Some(Login { user: name.clone(), password }))
    }

    /// True where something is said that only an FTP site understands.
    pub(super) fn is_for_ftp(&self) -> bool {
        self.encoding.is_some() || self.time_zone != TimeZone::default()
    }

    /// The longest that one question may take, from the connection to the head of its answer.
    pub(crate) fn patience(&self) -> Duration {
        self.deadlines.connect.max(self.deadlines.first_byte).max(self.deadlines.stall)
    }
}

impl Secret {
    fn find(&self) -> Result<String, String> {
        match self {
            Self::File(path) => {
                let text = String::from_utf8(read(path)?);
                let text =
                    text.map_err(|_| format!("the password file {} is no UTF-8 text", path.display()))?;
                Ok(text.lines().next().unwrap_or_default().to_owned())
            }
            Self::Variable(name) => std::env::var(name).map_err(|_| {
                format!("the password is to be in {name}, which is not set: set it, or use password_file")
            }),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() || about.len() > MAX_FILE_BYTES {
        return Err(format!("{} is no file of 1 MiB at most", path.display()));
    }
    fs::read(path).map_err(unreadable)
}

fn parsed<T: FromStr<Err = &'static str>>(written: &Spanned<String>) -> Result<T, Refusal> {
    written.get_ref().parse().map_err(|says| Refusal::new(written.span(), says))
}

/// A URL without the password in it, for messages.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let login = authority.rsplit_once('@').and_then(|(login, _)| Some((login, login.split_once(':')?.0)));
    match login {
        Some((login, user)) => format!("{scheme}://{user}:…{}", &rest[login.len()..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_where_they_are_named_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        fs::write(&file, "s3cret\nand more\n").unwrap();
        let remote = |secret| Remote {
            user: Some(User { name: "me".to_owned(), password: secret }),
            ..Remote::default()
        };
        let login = remote(Some(Secret::File(file))).login().unwrap().unwrap();
        assert_eq!((&login.user[..], login.password.as_deref()), ("me", Some("s3cret")));
        assert!(!format!("{login:?}").contains("s3cret"));
        let refused = remote(Some(Secret::Variable("VFSD_TEST_NO_SUCH_VARIABLE".to_owned()))).login();
        assert!(refused.unwrap_err().contains("VFSD_TEST_NO_SUCH_VARIABLE"));
        assert!(remote(Some(Secret::File(folder.path().to_owned()))).login().is_err());
    }

    #[test]
    fn urls_are_shown_without_their_password() {
        for (url, shown) in [
            ("http://me:s3cret@a.b/x@y:z", "http://me:…@a.b/x@y:z"),
            ("http://me:s3:cr@et@a.b", "http://me:…@a.b"),
            ("http://me@a.b/", "http://me@a.b/"),
            ("http://a.b/x:y@z", "http://a.b/x:y@z"),
            ("memory:", "memory:"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
