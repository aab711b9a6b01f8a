//! Who may enter, for every front end: credentials become a view of the tree, and a session holds that view alone.

use std::sync::Arc;

use vfs::FileSystem;

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

/// Entry was refused. It says no more, so that names cannot be tried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied;

/// Who may enter a site.
#[derive(Clone, Debug)]
pub struct Auth {}

impl Auth {
    /// Lets everybody in without a name, and nobody with one.
    pub fn anonymous() -> Self {
        Self {}
    }

    /// The view of `tree` for `credentials`.
    ///
    /// # Errors
    /// [`Denied`] where they may not enter.
    pub async fn login(
        &self,
        tree: &Arc<dyn FileSystem>,
        credentials: &Credentials,
    ) -> Result<Arc<dyn FileSystem>, Denied> {
        match credentials {
            Credentials::Anonymous => Ok(Arc::clone(tree)),
            Credentials::Password { .. } => Err(Denied),
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Password { name, .. } => write!(f, "Password({name:?})"),
        }
    }
}
