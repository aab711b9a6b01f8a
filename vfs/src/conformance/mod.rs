//! The public suite that every tree passes: one case a behaviour, for any [`FileSystem`](crate::FileSystem).
//!
//! A [`Subject`] is a fresh tree that holds the [`sample`]; a [`Case`] asks it one thing and panics with a sentence where
//! the answer is wrong. What a tree can do has a case; what it cannot do ([`Skill`]) has a case that it refuses with the
//! right kind and is left as it was. [`conformance_tests!`](crate::conformance_tests) makes each pair a test with a name:
//!
//! ```ignore
//! vfs::conformance_tests! {
//!     memory lacks [SpecialFiles] => Subject::filled(Arc::new(MemoryFs::new()));
//! }
//! ```
//!
//! A new case is a function in one of the files here and its name in `table.rs`; neither compiles without the other.

#[macro_use]
mod table;

mod atomic;
mod attributes;
mod changing;
mod expect;
mod hard_links;
mod links;
mod listing;
mod locking;
mod names;
mod producers;
mod reading;
mod refusing;
mod rename;
mod sample;
mod skill;
mod snapshot;
mod subject;
mod writing;
mod writing_anywhere;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

pub use self::sample::{Body, Entry, fill, sample};
pub use self::skill::Skill;
pub use self::subject::Subject;

/// One behaviour, and how to see it.
pub struct Case {
    /// What the test is called, and so what is broken where it fails.
    pub name: &'static str,
    /// What a tree must be able to do for this to be asked.
    pub needs: &'static [Skill],
    /// What a tree must not be able to do: then this asks that it refuses, or leaves unknown what it does not know.
    pub without: &'static [Skill],
    run: Run,
}

type Run = for<'a> fn(&'a Subject) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Every case.
pub fn cases() -> &'static [Case] {
    CASES
}

/// Asks `subject`, which lacks the skills `lacks`, the case called `name`: what a test of `conformance_tests!` does.
///
/// # Panics
/// Where the answer is wrong, where no case has that name, or where the case does not apply.
pub async fn run(name: &str, subject: Subject, lacks: &[Skill]) {
    let subject = subject.lacking(lacks);
    let case = CASES.iter().find(|case| case.name == name);
    let case = case.unwrap_or_else(|| panic!("no case is called {name}"));
    assert!(case.applies_to(&subject), "{name} does not apply to a tree that lacks {lacks:?}");
    case.run(&subject).await;
}

impl Case {
    /// True where the subject can be asked this.
    pub fn applies_to(&self, subject: &Subject) -> bool {
        self.needs.iter().all(|skill| subject.has(*skill))
            && self.without.iter().all(|skill| !subject.has(*skill))
    }

    /// Asks. The subject is not fit for another case afterwards.
    ///
    /// # Panics
    /// Where the answer is wrong; the message says which behaviour is broken.
    pub async fn run(&self, subject: &Subject) {
        (self.run)(subject).await;
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("needs", &self.needs)
            .field("without", &self.without)
            .finish_non_exhaustive()
    }
}

macro_rules! define_cases {
    ({} $($file:ident when $needs:tt unless $without:tt { $($case:ident)* })*) => {
        const CASES: &[Case] = &[$($(Case {
            name: stringify!($case),
            needs: __conformance_skills!($needs),
            without: __conformance_skills!($without),
            run: |subject| Box::pin($file::$case(subject)),
        },)*)*];
    };
}

__conformance_table! { define_cases {} }

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_cases_share_a_name() {
        let names: BTreeSet<_> = cases().iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases().len());
    }

    #[test]
    fn every_skill_is_asked_about() {
        for skill in Skill::ALL {
            assert!(cases().iter().any(|case| case.needs.contains(skill)), "no case needs {skill:?}");
        }
    }
}
