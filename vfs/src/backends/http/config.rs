//! [`HttpOptions`] as they are wished for, and the [`Site`] that a URL makes of them.

use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::backends::remote::{Deadlines, Login, Policy};
use crate::error::{Error, ErrorKind, Result};
use crate::path::VPath;
use crate::traffic::Traffic;

/// Wishes for an HTTP mount.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Connections to the site at once. Default 4; 0 counts as 1.
    pub connections: usize,
    /// How long it is waited for.
    pub deadlines: Deadlines,
    /// Dial private addresses that the URL does not name itself. Default: no.
    pub allow_private: bool,
    /// Certificate authorities in PEM that are trusted besides those of this machine. Default: none.
    pub authorities: Vec<u8>,
    /// Who asks; it takes the place of a login in the URL. It goes to the origin of the URL and to no other. Default:
    /// what the URL says.
    pub login: Option<Login>,
    /// What is counted. Default: counters that nobody sees.
    pub traffic: Arc<Traffic>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connections: 4,
            deadlines: Deadlines::default(),
            allow_private: false,
            authorities: Vec::new(),
            login: None,
            traffic: Arc::default(),
        }
    }
}

/// A site that may be asked: its URL has a host, ends in `/` and holds neither login, query nor fragment.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) base: Url,
    pub(super) login: Option<Login>,
    pub(super) policy: Policy,
    pub(super) options: HttpOptions,
}

impl Site {
    /// Reads the URL of a mount.
    ///
    /// # Errors
    /// `InvalidInput`, which says what to write instead.
    pub(super) fn parse(text: &str, options: HttpOptions) -> Result<Self> {
        let refuse = |detail: String| {
            Err(Error::new(ErrorKind::InvalidInput, "connect", &VPath::root()).with_detail(detail))
        };
        let mut base = match Url::parse(text) {
            Ok(base) => base,
            Err(error) => return refuse(format!("the URL is not well-formed: {error}")),
        };
        if !matches!(base.scheme(), "http" | "https") {
            return refuse("the URL must start with http:// or https://".to_owned());
        }
        if base.query().is_some() || base.fragment().is_some() {
            return refuse("the URL of a site has neither ? nor #: write them as %3F and %23".to_owned());
        }
        let login = options.login.clone().or_else(|| login_of(&base));
        let is_cleared = base.set_username("").is_ok() && base.set_password(None).is_ok();
        let Some(host) = base.host_str().filter(|_| is_cleared) else {
            return refuse("the URL names no host".to_owned());
        };
        let policy = Policy::for_host(host).with_private(options.allow_private);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(Self { base, login, policy, options })
    }
}

fn login_of(url: &Url) -> Option<Login> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    (!url.username().is_empty())
        .then(|| Login { user: decoded(url.username()), password: url.password().map(decoded) })
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_a_folder_of_a_host() {
        for (text, base, user) in [
            ("http://a.b", "http://a.b/", None),
            ("https://a.b:8443/x%20y", "https://a.b:8443/x%20y/", None),
            ("http://me:se%40cret@a.b/x/", "http://a.b/x/", Some("me")),
        ] {
            let site = Site::parse(text, HttpOptions::default()).unwrap();
            assert_eq!((site.base.as_str(), site.login.as_ref().map(|login| &login.user[..])), (base, user));
            assert!(!format!("{site:?}").contains("cret"));
        }
        for text in ["http:", "http://", "http://a.b/?x", "http://a.b/#x", "ftp://a.b/", "http://a b/"] {
            let error = Site::parse(text, HttpOptions::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        }
    }
}
