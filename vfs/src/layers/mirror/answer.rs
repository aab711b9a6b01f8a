//! [`Answer`]: what a caller gets, and [`Shared`], what all get who asked for the same at the same time.

use std::sync::{Arc, Mutex, PoisonError};

use super::object::Object;
use crate::file_system::{DirStream, File};
use crate::metadata::CacheStatus;

/// What a caller gets.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is kept.
    Kept(Arc<Object>, CacheStatus),
    /// A file that must not be kept, or cannot: opened for this caller.
    Passed(Arc<dyn File>),
    /// A listing that cannot be kept.
    Listed(DirStream),
}

/// What asking the source came to, for all who asked at the same time.
#[derive(Clone, Debug)]
pub(super) enum Shared {
    /// It is kept: all get it.
    Kept(Arc<Object>, CacheStatus),
    /// It must not be kept, or cannot: one gets it, and each other asks for himself.
    Passed(Passage),
}

/// An answer that one caller takes.
#[derive(Clone, Debug)]
pub(super) struct Passage(Arc<Mutex<Option<Answer>>>);

impl Shared {
    pub(super) fn passed(file: &Arc<dyn File>) -> Self {
        Self::Passed(Passage::new(Some(Answer::Passed(Arc::clone(file)))))
    }
}

impl Passage {
    pub(super) fn new(answer: Option<Answer>) -> Self {
        Self(Arc::new(Mutex::new(answer)))
    }

    pub(super) fn take(&self) -> Option<Answer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
