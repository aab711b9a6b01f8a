//! TLS of a session (RFC 2228, RFC 4217): AUTH, PBSZ, PROT.

use super::{Login, Member, Session};
use crate::auth::Entry;
use crate::ftp::command::Protection;
use crate::ftp::data::Data;
use crate::ftp::guard::Guard;
use crate::ftp::reply;
use crate::ftp::wire::Reply;
use crate::transport::tls::Tls;

/// What of a session is inside TLS.
#[derive(Debug, Default)]
pub(super) struct Secrecy {
    /// The session's own for data connections, where its control connection is inside.
    tls: Option<Tls>,
    /// PBSZ was sent, without which PROT means nothing.
    has_size: bool,
    is_private: bool,
}

impl Secrecy {
    /// Everything is inside from the start (implicit TLS).
    pub(super) fn implicit(tls: &Tls) -> Self {
        Self { tls: Some(tls.without_tickets()), has_size: true, is_private: true }
    }

    /// True where the control connection is inside.
    pub(super) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }
}

impl Session {
    /// AUTH TLS. What was sent behind it came in the clear: it is not looked at, and the session ends, for whoever sends
    /// such lines means them to be taken for what came inside.
    pub(super) fn secure(&mut self) {
        let Some(tls) = &self.house.site.tls else {
            return self.control.say(&reply::NO_TLS);
        };
        if self.secrecy.is_secure() {
            return self.control.say(&reply::SECURE_ALREADY);
        }
        if !self.waiting.is_empty() || self.control.has_unread() {
            tracing::warn!(peer = %self.ends.peer, "commands in the clear behind AUTH were dropped");
            return self.leave(&reply::NOTHING_BEHIND_AUTH);
        }
        let tls = tls.apart();
        // Nothing that was said in the clear counts inside (RFC 4217 §12.2).
        self.log_out();
        self.host = None;
        self.control.say(&reply::AUTH_TAKEN);
        self.secrecy = Secrecy { tls: Some(tls.without_tickets()), has_size: false, is_private: false };
        self.control.secure(tls);
    }

    /// PBSZ: TLS has no buffer to agree on, so it is always 0 (RFC 4217 §8).
    pub(super) fn size_buffer(&mut self) {
        if !self.secrecy.is_secure() {
            return self.control.say(&reply::AUTH_FIRST);
        }
        self.secrecy.has_size = true;
        self.control.say(&reply::BUFFER_SIZE);
    }

    /// PROT. A data connection that was prepared before is dropped: it was for the other level.
    pub(super) fn protect(&mut self, protection: Protection) {
        let answer = match (self.secrecy.is_secure(), self.secrecy.has_size, protection) {
            (false, _, _) => reply::AUTH_FIRST,
            (true, false, _) => reply::PBSZ_FIRST,
            (true, true, Protection::Other) => reply::NO_SUCH_PROTECTION,
            (true, true, Protection::Clear | Protection::Private) => {
                self.secrecy.is_private = protection == Protection::Private;
                self.data = Data::None;
                if self.secrecy.is_private { reply::PRIVATE } else { reply::CLEAR }
            }
        };
        self.control.say(&answer);
    }

    /// What the next data connection is inside of.
    pub(super) fn guard(&self) -> Guard {
        let mut rates = self.house.site.rates.clone();
        if let Login::In(Member { entry: Entry { user: Some(user), .. }, .. }) = &self.login {
            rates.send.extend(user.download.clone());
            rates.receive.extend(user.upload.clone());
        }
        let tls = self.secrecy.tls.clone().filter(|_| self.secrecy.is_private);
        Guard { rates, tls, reuse: self.house.options.tls_reuse }
    }

    /// Why no data connection may be opened: who has to be inside TLS has to be so with files, too (RFC 4217 §10.3).
    pub(super) fn exposure(&self) -> Option<Reply> {
        let is_named = matches!(&self.login, Login::In(member) if member.entry.user.is_some());
        let exposed = is_named && !self.secrecy.is_private && self.house.site.auth.requires_tls("");
        exposed.then_some(reply::PROTECT_FIRST)
    }
}
