//! [`Login`]: who asks a site. Its password is shown nowhere.

use std::fmt;

/// A name and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Who asks.
    pub user: String,
    /// How that is proved; `None`: not at all.
    pub password: Option<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let login = Login { user: "me".to_owned(), password: Some("secret".to_owned()) };
        assert_eq!(format!("{login:?}"), "Login { user: \"me\", .. }");
    }
}
