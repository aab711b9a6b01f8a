//! HTTP's texts and what they mean: targets, hosts, ranges, conditions, dates. Pure functions; header strings are
//! compared here and nowhere else.

mod codings;
mod conditions;
mod credentials;
mod dates;
mod disposition;
mod form;
mod format;
mod heads;
mod host;
mod placed;
mod range;
mod target;
mod view;

pub(super) use self::codings::Codings;
pub(super) use self::conditions::{Conditions, Verdict, entity_tag};
pub(super) use self::credentials::{CHALLENGE, credentials};
pub(super) use self::dates::{http_date, listing_date};
pub(super) use self::disposition::attachment;
pub(super) use self::form::{FormEvent, FormReader, form_boundary};
pub(super) use self::format::Format;
pub(super) use self::heads::{Fault, Heads};
pub(super) use self::host::parse_host;
pub(super) use self::placed::Placed;
pub(super) use self::range::{Ranges, Selection, parse_ranges};
pub(super) use self::target::{BadTarget, Target, encode_path, encode_segment};
pub(super) use self::view::{After, Sort, View, is_download, packing};
