//! [`Pip`]: an index of Python packages and where its files lie, as the mirrors of both share it; and the index's pages, as
//! readers see them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::answer::Answer;
use super::finding::Want;
use super::object::Object;
use super::set::read_all;
use super::sets::{Digest, Page, Place, Site, projects_of};
use super::store::Part;
use super::{Core, Subject};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, SeekCost};
use crate::metadata::{Identity, Metadata, Validator};
use crate::options::{Freshness, Intent, Sought};
use crate::path::VPath;

/// The media types in which an index has its pages (PEP 503; PEP 691, "Content Types"); the first wins a tie.
pub(super) const MEDIA: &[&str] = &["text/html", "application/vnd.pypi.simple.v1+json"];

/// A page is no longer than this. The list of all of PyPI's projects has some 40 MB.
const PAGE_BYTES: u64 = 128 << 20;

/// Bytes of pages that stay read.
const READ_BYTES: usize = 64 << 20;

/// An index of Python packages, and where the files lie that its pages name.
///
/// The mirror of the index serves its pages with links that lead to the other mirrors, and these hand out no file that a
/// page that is kept says must sum to something else.
#[derive(Debug)]
pub struct Pip {
    /// The index itself comes first.
    sites: Vec<Site>,
    /// Its mirror, once there is one.
    index: Mutex<Weak<Core>>,
    read: Mutex<Read>,
}

/// Pages that were read, by the version that they were read from.
#[derive(Debug, Default)]
struct Read {
    pages: VecDeque<(u64, Arc<Page>)>,
    bytes: usize,
}

impl Pip {
    /// The index that is the first of `sites`, and the others that its pages may name.
    pub fn new(sites: Vec<Site>) -> Arc<Self> {
        Arc::new(Self { sites, index: Mutex::default(), read: Mutex::default() })
    }

    /// Notes whose pages these are.
    pub(super) fn belongs_to(&self, index: &Arc<Core>) {
        *self.index.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(index);
    }

    /// What the file at `path` of a site must sum to, as the pages say that are kept; of two the one that was asked for
    /// last.
    pub(super) async fn digest(&self, site: usize, path: &VPath) -> Option<Digest> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner).upgrade()?;
        let name = path.file_name()?.name();
        for project in projects_of(name) {
            let folder = VPath::root().child(project).ok()?;
            let mut found = None;
            for media in MEDIA {
                let subject = Subject { path: folder.clone(), part: Part::Page(media) };
                let Some(kept) = index.kept_file(&subject).await else { continue };
                let Ok(page) = self.page(&index, &kept).await else { continue };
                let asked = kept.kept().asked;
                if let Some(digest) = page.digest(site, path)
                    && found.is_none_or(|(before, _)| before < asked)
                {
                    found = Some((asked, digest));
                }
            }
            if let Some((_, digest)) = found {
                return Some(digest);
            }
        }
        None
    }

    /// The page that `object` keeps.
    async fn page(&self, index: &Core, object: &Arc<Object>) -> Result<Arc<Page>> {
        let generation = object.generation();
        let read =
            self.read().pages.iter().find(|(of, _)| *of == generation).map(|(_, page)| Arc::clone(page));
        if let Some(page) = read {
            return Ok(page);
        }
        let text = read_all(object, PAGE_BYTES).await?;
        let media = object.media();
        let page = self.parse(index, &object.path(), media.as_deref(), text).await?;
        self.read().keep(generation, &page);
        Ok(page)
    }

    async fn parse(&self, index: &Core, path: &VPath, media: Option<&str>, text: Bytes) -> Result<Arc<Page>> {
        let is_json =
            media.is_some_and(|media| media.split(';').next().is_some_and(|media| media.ends_with("json")));
        let (sites, at) = (self.sites.clone(), path.clone());
        let reading = move || {
            let place = Place { sites: &sites, path: &at };
            if is_json { Page::of_json(&text, place) } else { Some(Page::of_html(&text, place)) }
        };
        let page = index.store.disk().run("open", reading).await?;
        page.map(Arc::new).ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "open", path).with_detail("the index's page is no JSON")
        })
    }

    fn read(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read {
    fn keep(&mut self, generation: u64, page: &Arc<Page>) {
        if page.bytes.len() > READ_BYTES || self.pages.iter().any(|(of, _)| *of == generation) {
            return;
        }
        self.bytes += page.bytes.len();
        self.pages.push_back((generation, Arc::clone(page)));
        while self.bytes > READ_BYTES
            && let Some((_, gone)) = self.pages.pop_front()
        {
            self.bytes -= gone.bytes.len();
        }
    }
}

impl Core {
    /// The page of the folder `path`, its links leading to where the files are mirrored.
    pub(super) async fn open_page(
        self: &Arc<Self>,
        pip: &Pip,
        path: &VPath,
        media: &'static str,
        wish: Freshness,
    ) -> Result<Arc<dyn File>> {
        let subject = Subject { path: path.clone(), part: Part::Page(media) };
        let want = Want { op: "open", freshness: wish, intent: Intent::Whole, sought: Sought::File };
        let file = match self.find(&subject, want).await? {
            Answer::Kept(object, status) => {
                let page = pip.page(self, &object).await?;
                return Ok(Arc::new(PageFile::new(page, object.describe(status))));
            }
            Answer::Passed(file) => file,
            Answer::Listed(_) => return Err(Error::new(ErrorKind::Internal, "open", path)),
        };
        let described = file.metadata().await?;
        let text = super::set::drain(&*file, PAGE_BYTES, path).await?;
        let page = pip.parse(self, path, described.content_type.as_deref(), text).await?;
        Ok(Arc::new(PageFile::new(page, described)))
    }
}

/// A page, as its readers see it.
#[derive(Debug)]
struct PageFile {
    page: Arc<Page>,
    metadata: Metadata,
}

impl PageFile {
    fn new(page: Arc<Page>, described: Metadata) -> Self {
        let sum = Sha256::digest(&page.bytes);
        let tag: String = sum.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let metadata = Metadata {
            len: Some(page.bytes.len() as u64),
            validator: Some(Validator::Strong(tag.into())),
            identity: None,
            ..described
        };
        Self { page, metadata }
    }
}

#[async_trait]
impl File for PageFile {
    async fn metadata(&self) -> Result<Metadata> {
        Ok(self.metadata.clone())
    }

    fn identity(&self) -> Option<Identity> {
        None
    }

    fn opened_as(&self) -> Option<Metadata> {
        Some(self.metadata.clone())
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let len = self.page.bytes.len();
        let start = usize::try_from(offset).unwrap_or(len).min(len);
        Ok(self.page.bytes.slice(start..len.min(start.saturating_add(max))))
    }

    fn seek_cost(&self) -> SeekCost {
        SeekCost::Free
    }
}
