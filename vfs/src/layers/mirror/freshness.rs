//! Whether what is kept may be served, and whether its source is to be asked. Pure: RFC 9111 §4.2 and RFC 5861, and the
//! rules of the mount.

use std::time::{Duration, SystemTime};

use super::rules::Rule;
use crate::metadata::Caching;
use crate::options::Freshness;

/// A file whose source says nothing of its freshness counts as fresh for this part of its age (RFC 9111 §4.2.2).
const HEURISTIC_PART: u32 = 10;

/// The longest that a file counts as fresh whose source says nothing.
const HEURISTIC_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How old an answer of the source may be where a client wants it anew: so that a crowd that does asks once.
const MIN_REVALIDATE: Duration = Duration::from_secs(2);

/// How a mirror deals with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerances {
    /// What has been stale for less is served at once and asked for in the background (RFC 5861 §3). Default 30 s.
    pub stale_while_revalidate: Duration,
    /// What has been stale for less is served where the source cannot be had (RFC 5861 §4). Default 7 days.
    pub stale_if_error: Duration,
    /// "There is no such file" counts this long. Default 60 s.
    pub missing: Duration,
    /// A listing counts as fresh this long. Default 60 s.
    pub listing: Duration,
    /// The source is never asked: what is kept is served however old it is. Default: it is asked.
    pub offline: bool,
}

/// What is known of a kept answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) what: What,
    /// When the source said so last.
    pub(super) asked: SystemTime,
    pub(super) modified: Option<SystemTime>,
    pub(super) caching: Option<Caching>,
}

/// What the answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    File,
    /// A folder, or its listing.
    Folder,
    Missing,
}

/// What to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Serve it.
    Fresh,
    /// Serve it, and ask in the background.
    Refresh,
    /// Ask; where the source cannot be had, serve it.
    AskOrServe,
    /// Ask, and do not serve it whatever comes of that.
    Ask,
    /// Do not ask, and do not serve it: the source is not to be asked.
    Refuse,
}

impl Default for Tolerances {
    fn default() -> Self {
        Self {
            stale_while_revalidate: Duration::from_secs(30),
            stale_if_error: Duration::from_secs(7 * 24 * 60 * 60),
            missing: Duration::from_secs(60),
            listing: Duration::from_secs(60),
            offline: false,
        }
    }
}

/// Judges what is kept under `rule`, for a caller with this wish.
pub(super) fn judge(
    kept: &Kept,
    rule: Rule,
    wish: Freshness,
    tolerances: &Tolerances,
    now: SystemTime,
) -> Verdict {
    if tolerances.offline || wish == Freshness::StoredOnly {
        return if kept.what == What::Missing && wish == Freshness::StoredOnly {
            Verdict::Refuse
        } else {
            Verdict::Fresh
        };
    }
    if rule == Rule::Immutable && kept.what == What::File {
        return Verdict::Fresh;
    }
    // A clock that was set back makes nothing younger than it is.
    let Ok(age) = now.duration_since(kept.asked) else { return Verdict::AskOrServe };
    let lifetime = match wish {
        Freshness::Revalidate => lifetime(kept, rule, tolerances).min(MIN_REVALIDATE),
        Freshness::Any | Freshness::StoredOnly => lifetime(kept, rule, tolerances),
    };
    let Some(stale_for) = age.checked_sub(lifetime).filter(|stale| !stale.is_zero()) else {
        return Verdict::Fresh;
    };
    if must_revalidate(kept, rule) {
        return Verdict::Ask;
    }
    // What was missing may be there by now, so somebody waits for that.
    if kept.what != What::Missing && wish == Freshness::Any && stale_for < tolerances.stale_while_revalidate {
        return Verdict::Refresh;
    }
    if stale_for < tolerances.stale_if_error { Verdict::AskOrServe } else { Verdict::Ask }
}

/// True where an answer may be kept at all.
pub(super) fn is_storable(caching: Option<Caching>, rule: Rule) -> bool {
    match rule {
        Rule::Never => false,
        Rule::Immutable | Rule::Volatile(_) => true,
        Rule::Respect => caching.is_none_or(|caching| caching.storable),
    }
}

fn lifetime(kept: &Kept, rule: Rule, tolerances: &Tolerances) -> Duration {
    match (kept.what, rule) {
        (What::Missing, _) => tolerances.missing,
        (What::Folder, _) => tolerances.listing,
        (What::File, Rule::Volatile(fresh)) => fresh,
        (What::File, _) => {
            kept.caching.and_then(|caching| caching.fresh_for).unwrap_or_else(|| heuristic(kept))
        }
    }
}

fn must_revalidate(kept: &Kept, rule: Rule) -> bool {
    rule == Rule::Respect && kept.caching.is_some_and(|caching| caching.must_revalidate)
}

fn heuristic(kept: &Kept) -> Duration {
    let unchanged = kept.modified.and_then(|modified| kept.asked.duration_since(modified).ok());
    unchanged.map_or(Duration::ZERO, |unchanged| (unchanged / HEURISTIC_PART).min(HEURISTIC_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: u64 = 1_700_000_000;

    fn at(secs: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(ASKED + secs)
    }

    fn file() -> Kept {
        Kept { what: What::File, asked: at(0), modified: None, caching: None }
    }

    fn says(fresh_for: Option<u64>) -> Option<Caching> {
        Some(Caching {
            storable: true,
            fresh_for: fresh_for.map(Duration::from_secs),
            must_revalidate: false,
        })
    }

    fn verdict(kept: &Kept, rule: Rule, wish: Freshness, secs: u64) -> Verdict {
        judge(kept, rule, wish, &Tolerances::default(), at(secs))
    }

    #[test]
    fn a_file_is_fresh_as_long_as_its_source_says() {
        let kept = Kept { caching: says(Some(100)), ..file() };
        let week = 7 * 24 * 60 * 60;
        for (secs, expected) in [
            (0, Verdict::Fresh),
            (100, Verdict::Fresh),
            (101, Verdict::Refresh),
            (129, Verdict::Refresh),
            (130, Verdict::AskOrServe),
            (99 + week, Verdict::AskOrServe),
            (100 + week, Verdict::Ask),
        ] {
            assert_eq!(verdict(&kept, Rule::Respect, Freshness::Any, secs), expected, "after {secs} s");
        }
    }

    #[test]
    fn where_the_source_says_nothing_a_tenth_of_the_age_counts() {
        let day = 24 * 60 * 60;
        let aged = |secs: u64| Kept { modified: Some(at(0) - Duration::from_secs(secs)), ..file() };
        for (kept, fresh) in [(aged(1000), 100), (aged(3 * 365 * day), day), (file(), 0)] {
            assert_eq!(verdict(&kept, Rule::Respect, Freshness::Any, fresh), Verdict::Fresh);
            assert_eq!(verdict(&kept, Rule::Respect, Freshness::Any, fresh + 1), Verdict::Refresh);
        }
    }

    #[test]
    fn a_rule_of_the_mount_comes_before_the_source() {
        let kept = Kept { caching: says(Some(100)), ..file() };
        let day = 24 * 60 * 60;
        let hour = Rule::Volatile(Duration::from_secs(3600));
        assert_eq!(verdict(&kept, Rule::Immutable, Freshness::Revalidate, 1000 * day), Verdict::Fresh);
        assert_eq!(verdict(&kept, hour, Freshness::Any, 3600), Verdict::Fresh);
        assert_eq!(verdict(&kept, hour, Freshness::Any, 3601), Verdict::Refresh);
    }

    #[test]
    fn a_crowd_that_wants_it_anew_asks_once_in_two_seconds() {
        let kept = Kept { caching: says(Some(100)), ..file() };
        assert_eq!(verdict(&kept, Rule::Respect, Freshness::Revalidate, 2), Verdict::Fresh);
        assert_eq!(verdict(&kept, Rule::Respect, Freshness::Revalidate, 3), Verdict::AskOrServe);
    }

    #[test]
    fn what_must_be_asked_for_is_never_served_stale() {
        let strict =
            Caching { storable: true, fresh_for: Some(Duration::from_secs(5)), must_revalidate: true };
        let kept = Kept { caching: Some(strict), ..file() };
        assert_eq!(verdict(&kept, Rule::Respect, Freshness::Any, 5), Verdict::Fresh);
        assert_eq!(verdict(&kept, Rule::Respect, Freshness::Any, 6), Verdict::Ask);
    }

    #[test]
    fn missing_counts_for_a_minute() {
        let kept = Kept { what: What::Missing, ..file() };
        assert_eq!(verdict(&kept, Rule::Respect, Freshness::Any, 60), Verdict::Fresh);
        let week = 7 * 24 * 60 * 60;
        assert_eq!(verdict(&kept, Rule::Respect, Freshness::Any, 61), Verdict::AskOrServe);
        assert_eq!(verdict(&kept, Rule::Immutable, Freshness::Any, 61), Verdict::AskOrServe);
        assert_eq!(verdict(&kept, Rule::Respect, Freshness::Any, 60 + week), Verdict::Ask);
    }

    #[test]
    fn offline_everything_that_is_kept_is_good() {
        let offline = Tolerances { offline: true, ..Tolerances::default() };
        for what in [What::File, What::Folder, What::Missing] {
            let kept = Kept { what, ..file() };
            let verdict =
                judge(&kept, Rule::Respect, Freshness::Revalidate, &offline, at(u64::from(u32::MAX)));
            assert_eq!(verdict, Verdict::Fresh);
        }
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_fresh() {
        let kept = Kept { asked: at(50), caching: says(Some(100)), ..file() };
        assert_eq!(verdict(&kept, Rule::Respect, Freshness::Any, 0), Verdict::AskOrServe);
    }

    #[test]
    fn what_the_source_keeps_to_itself_is_not_kept_unless_the_mount_says_so() {
        let private = Some(Caching { storable: false, fresh_for: None, must_revalidate: false });
        for (caching, rule, storable) in [
            (private, Rule::Respect, false),
            (private, Rule::Immutable, true),
            (None, Rule::Respect, true),
            (None, Rule::Never, false),
        ] {
            assert_eq!(is_storable(caching, rule), storable, "{rule:?}");
        }
    }
}
