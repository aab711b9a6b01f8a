//! One mount: a tree with its layers, and what is wished for and told about it.

use std::sync::Arc;

use crate::file_system::{Availability, FileSystem};
use crate::layers::mirror::{Mirror, MirrorOptions, Store};
use crate::layers::{
    Breaker, BreakerOptions, Layered, Limit, LimitOptions, MetaCache, MetaCacheOptions, ReadOnly, Timeout,
    TimeoutOptions, Trace,
};
use crate::path::VPath;
use crate::traffic::{Traffic, TrafficTotals};

/// Wishes for a mount.
#[derive(Clone, Debug, Default)]
pub struct MountOptions {
    /// Let changes through. Default: the mount is read-only.
    pub writable: bool,
    /// The source is far away: keep descriptions for a moment, as `meta_cache` says. Default: it is near.
    pub remote: bool,
    /// What is mounted, in words for people: its URL or folder. Default: nothing, or the URL of
    /// [`Vfs::mount_source`](super::Vfs::mount_source).
    pub source: String,
    /// The counters of the tree's backend, where it has some: they are told with the mount. Default: none.
    pub traffic: Option<Arc<Traffic>>,
    /// Deadlines of calls.
    pub timeout: TimeoutOptions,
    /// Calls at once.
    pub limit: LimitOptions,
    /// When the source counts as down.
    pub breaker: BreakerOptions,
    /// What a remote mount remembers.
    pub meta_cache: MetaCacheOptions,
    /// Keep what is read of it, and serve it when its source is gone: in this store. Default:
    /// nothing is kept. A mirror is read-only and takes the place of `meta_cache`.
    pub mirror: Option<Keeping>,
}

/// Where and how a mount is mirrored.
#[derive(Clone, Debug)]
pub struct Keeping {
    /// The cache folder; mounts share it.
    pub store: Arc<Store>,
    /// Names the source among all that share the store, for good. Who is let in by another login may be shown other things:
    /// the login is part of it.
    pub name: Arc<str>,
    /// What may be kept how long.
    pub options: MirrorOptions,
}

/// Names one mounting: the same tree mounted again at the same place gets another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MountId(pub(super) u64);

/// What there is to tell about a mount, without asking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountInfo {
    /// Which mounting.
    pub id: MountId,
    /// Where.
    pub at: VPath,
    /// What, in words for people.
    pub source: String,
    /// How it fares.
    pub availability: Availability,
    /// True where changes are let through.
    pub writable: bool,
    /// What was asked of its source so far, where somebody counts that.
    pub traffic: Option<TrafficTotals>,
}

/// A mounted tree.
#[derive(Debug)]
pub(super) struct Mount {
    pub(super) id: MountId,
    pub(super) at: VPath,
    pub(super) tree: Arc<dyn FileSystem>,
    /// The layer that keeps what is read, where there is one.
    pub(super) mirror: Option<Mirror>,
    breaker: Arc<Breaker>,
    source: String,
    writable: bool,
    traffic: Option<Arc<Traffic>>,
}

impl Mount {
    /// Puts the layers over `tree`: from the source outwards timeout, limit, breaker, trace, the mirror or for other
    /// remote mounts the cache of descriptions, and where nothing may be changed the guard against it.
    pub(super) fn new(id: MountId, at: &VPath, tree: Arc<dyn FileSystem>, options: MountOptions) -> Self {
        let breaker = Arc::new(Breaker::new(options.breaker));
        let near = (Limit::new(options.limit), Timeout::new(options.timeout));
        let around = (Trace::new(at.to_string()), (Arc::clone(&breaker), near));
        let mut tree: Arc<dyn FileSystem> = Arc::new(Layered::new(tree, Arc::new(around)));
        let keeping = options.mirror.filter(|_| !options.writable);
        let mirror = keeping.map(|Keeping { store, name, options: wishes }| {
            Mirror::new(Arc::clone(&tree), name, store, wishes)
        });
        if let Some(mirror) = &mirror {
            tree = Arc::new(mirror.clone());
        } else if options.remote {
            tree = Arc::new(MetaCache::new(tree, options.meta_cache));
        }
        if !options.writable {
            tree = Arc::new(ReadOnly::new(tree));
        }
        let MountOptions { source, writable, traffic, .. } = options;
        Self { id, at: at.clone(), tree, mirror, breaker, source, writable, traffic }
    }

    pub(super) fn availability(&self) -> Availability {
        self.breaker.availability()
    }

    pub(super) fn info(&self) -> MountInfo {
        MountInfo {
            id: self.id,
            at: self.at.clone(),
            source: self.source.clone(),
            availability: self.availability(),
            writable: self.writable,
            traffic: self.traffic.as_ref().map(|traffic| traffic.totals()),
        }
    }
}
