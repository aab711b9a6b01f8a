//! What becomes of a call's outcome.

use std::sync::Arc;

use super::work::Work;
use super::{Login, Member, Presence, Session, is_abort};
use crate::auth::{Denied, Entry};
use crate::ftp::calls::{Growth, Opening, Outcome};
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
            Outcome::Admitted(entry) => self.admit(entry),
            Outcome::Denied(denied) => return self.deny(denied, &answer),
            Outcome::Moved(folder) => self.folder = folder,
            Outcome::Chosen { errand, path } => self.chosen = Some((errand, path)),
            Outcome::Opened(opening) => return self.transfer(&answer, opening),
            Outcome::Reported(rows) => {
                let mut head = Vec::new();
                wire::encode_head(answer.code, rows.headline().as_bytes(), &mut head);
                self.control.put(&head);
                self.work = Work::Report(rows);
                return;
            }
            Outcome::Awaited(None) => self.data = Data::None,
            Outcome::Awaited(Some(_))
            | Outcome::Measured(_)
            | Outcome::Dated(_)
            | Outcome::Roomy { .. }
            | Outcome::Described { .. }
            | Outcome::Edited { .. }
            | Outcome::Hashed { .. }
            | Outcome::CarriedOut
            | Outcome::Failed { .. } => {}
        }
        self.finish(&answer);
    }

    fn admit(&mut self, entry: Entry) {
        let user = match std::mem::replace(&mut self.login, Login::Nobody) {
            Login::Named(name) => String::from_utf8_lossy(&name).into(),
            Login::In(member) => member.user,
            Login::Nobody => "".into(),
        };
        let presence = Presence::new(&self.house.site.sight);
        let growth = Growth::new(self.house.options.partial_uploads, &entry.view);
        let view = growth.view(&entry.view);
        self.login = Login::In(Member { user, entry, view, growth, _presence: presence });
        self.login_by = None;
        self.conduct.commands_before_login = 0;
    }

    fn deny(&mut self, denied: Denied, answer: &Reply) {
        self.login = Login::Nobody;
        self.conduct.failed_logins += 1;
        self.rest();
        if let Denied::Banned(_) = denied {
            return self.leave(answer);
        }
        if self.conduct.failed_logins >= MAX_FAILED_LOGINS {
            return self.leave(&reply::GUESTS_TRIED);
        }
        self.control.say(answer);
    }

    /// Begins a transfer, unless its ABOR is here already.
    fn transfer(&mut self, announcement: &Reply, opening: Opening) {
        self.control.say(announcement);
        let (user, is_guest) = match &self.login {
            Login::In(member) => (Arc::clone(&member.user), member.is_guest()),
            Login::Named(_) | Login::Nobody => ("".into(), true),
        };
        let asker = Asker {
            peer: self.ends.peer,
            user,
            is_guest,
            sight: Arc::clone(&self.house.site.sight),
            guard: self.guard(),
        };
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
        self.control.say(&Reply::new(213, end.into_bytes()));
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
