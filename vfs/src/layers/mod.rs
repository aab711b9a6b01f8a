//! Trees over a tree: each changes one thing about how the inner tree behaves, and is transparent for the rest.
//!
//! [`Trace`], [`Breaker`], [`Limit`] and [`Timeout`] look at single calls: each is an [`Around`], and [`Layered`] makes
//! a tree of it. [`ReadOnly`], [`RightsFs`], [`WholeFiles`], [`MetaCache`] and [`mirror::Mirror`] look at what is asked, and
//! are trees themselves.

mod around;
mod breaker;
mod limit;
mod meta_cache;
pub mod mirror;
mod read_only;
mod rights;
mod timeout;
mod trace;
mod whole_files;

pub use self::around::{Around, Call, Layered, Pace};
pub use self::breaker::{Breaker, BreakerOptions};
pub use self::limit::{Limit, LimitOptions};
pub use self::meta_cache::{MetaCache, MetaCacheOptions};
pub use self::read_only::ReadOnly;
pub use self::rights::{Access, RightsFs, Rules};
pub use self::timeout::{Timeout, TimeoutOptions};
pub use self::trace::Trace;
pub use self::whole_files::WholeFiles;
