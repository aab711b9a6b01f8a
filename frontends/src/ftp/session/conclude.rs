//! What becomes of a call's outcome.

use std::sync::Arc;

use vfs::FileSystem;

use super::obey::is_guest;
use super::work::Work;
use super::{Login, Member, Presence, Session, is_abort};
use crate::ftp::calls::{Opening, Outcome};
use crate::ftp::command::Command;
use crate::ftp::data::Data;
use crate::ftp::reply;
use crate::ftp::transfer::{Asker, Transfer};
use crate::ftp::wire::{self, Reply};
use crate::sight::Sight;

/// Logins that may fail.
const MAX_FAILED_LOGINS: u32 = 3;

impl Session {
    /// Acts on what a call came to.
    pub(super) fn conclude(&mut self, outcome: Outcome) {
        let answer = reply::outcome(&outcome);
        match outcome {
            Outcome::Admitted(view) => self.admit(view),
            Outcome::Denied => return self.deny(),
            Outcome::Moved(folder) => self.folder = folder,
            Outcome::Chosen { errand, path } => self.chosen = Some((errand, path)),
            Outcome::Opened(opening) => return self.transfer(&answer, opening),
            Outcome::Reported(rows) => {
                wire::encode_head(answer.code, b"Listing:", self.control.output());
                self.work = Work::Report(rows);
                return;
            }
            Outcome::Awaited(None) => self.data = Data::None,
            Outcome::Awaited(Some(_))
            | Outcome::Measured(_)
            | Outcome::Dated(_)
            | Outcome::Described { .. }
            | Outcome::Edited { .. }
            | Outcome::Hashed { .. }
            | Outcome::CarriedOut
            | Outcome::Failed { .. } => {}
        }
        self.finish(&answer);
    }

    fn admit(&mut self, view: Arc<dyn FileSystem>) {
        let (user, is_guest): (Arc<str>, _) = match std::mem::replace(&mut self.login, Login::Nobody) {
            Login::Named(name) => (String::from_utf8_lossy(&name).into(), is_guest(&name)),
            Login::In(member) => (member.user, member.is_guest),
            Login::Nobody => ("".into(), true),
        };
        let presence = Presence::new(&self.house.site.sight);
        self.login = Login::In(Member { user, is_guest, view, _presence: presence });
        self.login_by = None;
        self.conduct.commands_before_login = 0;
    }

    fn deny(&mut self) {
        self.login = Login::Nobody;
        self.conduct.failed_logins += 1;
        self.rest();
        if self.conduct.failed_logins >= MAX_FAILED_LOGINS {
            return self.leave(&reply::GUESTS_TRIED);
        }
        self.control.say(&reply::DENIED);
    }

    /// Begins a transfer, unless its ABOR is here already.
    fn transfer(&mut self, announcement: &Reply, opening: Opening) {
        self.control.say(announcement);
        let user = match &self.login {
            Login::In(member) => Arc::clone(&member.user),
            Login::Named(_) | Login::Nobody => "".into(),
        };
        let asker = Asker { peer: self.ends.peer, user, sight: Arc::clone(&self.house.site.sight) };
        let data = std::mem::replace(&mut self.data, Data::None);
        let transfer = Transfer::new(opening, data, self.stall(), &self.house.disk, asker);
        self.work = Work::Transfer(Box::new(transfer));
        if self.waiting.contains(&Ok(Command::Abort)) || self.control.has_ahead(is_abort) {
            self.abort();
        }
    }

    /// Ends the reply that rows were told in.
    pub(super) fn finish_report(&mut self, failed: Option<&vfs::Error>) {
        let end = match failed {
            None => "End".to_owned(),
            Some(error) => format!("The listing breaks off: {}.", error.kind()),
        };
        wire::encode_end(213, end.as_bytes(), self.control.output());
        self.rest();
    }
}

impl Presence {
    fn new(sight: &Arc<Sight>) -> Self {
        sight.sessions.add(1);
        Self(Arc::clone(sight))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.sessions.sub(1);
    }
}
