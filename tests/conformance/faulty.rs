//! The suite can fail: trees with one fault each, and the cases that must find it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;

use vfs::backends::memory::MemoryFs;
use vfs::conformance::{self, Skill, Subject};
use vfs::producer::{Chunk, Hint, Producer};
use vfs::{
    ByteRange, Capabilities, DirEntry, DirStream, Error, ErrorKind, File, FileSystem, FileType, Identity,
    LinkTarget, ListOptions, Lock, LockWait, Metadata, OpenOptions, RenameOptions, Result, SetAttributes,
    StatOptions, VPath, Validator, WriteMode, Writes,
};

/// What is wrong with a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    ReadPastTheEndFails,
    ReadsMoreThanAsked,
    RangeEndsEarlyInSilence,
    FolderOpensAsAFile,
    ErrorNamesTheRoot,
    LosesAnEntry,
    ListsDots,
    ListsTwice,
    FollowsEveryLink,
    RenameCopies,
    RenameAlwaysReplaces,
    RemovesFoldersInUse,
    CreateNewReplaces,
    AtomicIsSeenEarly,
    AtomicLeavesItsPart,
    AppendsAtTheOffset,
    WritesAfterFinish,
    ValidatorStays,
    ValidatorWanders,
    LocksNobodyOut,
    SaysItHasOneName,
    ReadOnlyAndWrites,
    ReadOnlyAndDenies,
}

macro_rules! faults {
    ($($test:ident: $fault:ident lacks [$($lack:ident),*] fails [$($case:ident),*];)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            for case in [$(stringify!($case)),*] {
                must_fail(case, Fault::$fault, &[Skill::SpecialFiles, $(Skill::$lack),*]).await;
            }
        }
    )*};
}

faults! {
    a_read_past_the_end_that_fails: ReadPastTheEndFails lacks [] fails [a_read_past_the_end_is_empty];
    a_read_of_more_than_asked: ReadsMoreThanAsked lacks []
        fails [a_read_is_never_longer_than_asked, a_read_of_nothing_is_empty];
    a_range_that_ends_early_in_silence: RangeEndsEarlyInSilence lacks []
        fails [read_range_past_end, a_range_behind_the_end_is_truncated];
    a_folder_that_opens_as_a_file: FolderOpensAsAFile lacks [] fails [opening_a_folder_is_a_directory];
    an_error_that_names_the_root: ErrorNamesTheRoot lacks [] fails [an_error_names_what_was_asked];
    a_listing_that_loses_an_entry: LosesAnEntry lacks []
        fails [a_folder_lists_what_the_sample_puts_there, a_name_of_255_bytes_is_held];
    a_listing_with_dots: ListsDots lacks [] fails [dots_are_not_listed, an_empty_folder_lists_nothing];
    a_listing_with_a_name_twice: ListsTwice lacks [] fails [no_name_is_listed_twice];
    a_tree_that_follows_every_link: FollowsEveryLink lacks []
        fails [a_link_itself_is_described, a_link_that_is_not_to_be_followed_is_a_loop];
    a_rename_that_copies: RenameCopies lacks [] fails [rename_moves_a_file, one_source_is_renamed_once];
    a_rename_that_always_replaces: RenameAlwaysReplaces lacks []
        fails [rename_with_no_replace_replaces_nothing];
    a_removal_of_folders_in_use: RemovesFoldersInUse lacks [] fails [remove_dir_removes_empty_folders_only];
    a_create_new_that_replaces: CreateNewReplaces lacks []
        fails [create_new_replaces_nothing, create_new_has_one_winner, an_atomic_create_new_has_one_winner];
    an_atomic_file_that_is_seen_early: AtomicIsSeenEarly lacks []
        fails [an_atomic_file_is_invisible_before_finish, the_old_content_stays_until_finish, a_drop_leaves_the_old_content];
    an_atomic_file_that_leaves_its_part: AtomicLeavesItsPart lacks []
        fails [an_atomic_writer_leaves_nothing_behind, a_drop_leaves_the_old_content];
    an_append_at_the_offset: AppendsAtTheOffset lacks []
        fails [appending_ignores_the_offset, many_that_append_overwrite_nothing];
    a_write_after_finish: WritesAfterFinish lacks [] fails [a_write_after_finish_is_invalid];
    a_validator_that_stays: ValidatorStays lacks []
        fails [a_new_content_has_a_new_validator, a_write_in_place_has_a_new_validator, a_published_file_has_a_new_validator];
    a_validator_that_wanders: ValidatorWanders lacks []
        fails [a_validator_holds_while_nothing_changes, an_open_file_is_described_as_its_path_is];
    a_lock_that_keeps_nobody_out: LocksNobodyOut lacks [] fails [an_exclusive_lock_keeps_all_others_away];
    a_tree_that_does_not_say_what_it_can: SaysItHasOneName lacks [] fails [it_can_do_what_it_says];
    a_lack_that_is_not_true: SaysItHasOneName lacks [HardLinks, Lengths, ListedMetadata, Locks, Modes, Times]
        fails [
            a_second_name_is_unsupported, an_unknown_length_stays_unknown, an_unknown_mode_stays_unknown,
            an_unknown_time_stays_unknown, metadata_that_costs_requests_is_not_listed, locking_is_unsupported
        ];
    a_read_only_tree_that_writes: ReadOnlyAndWrites lacks [Writes]
        fails [create_dir_is_read_only, remove_file_is_read_only, rename_is_read_only];
    a_read_only_tree_that_gives_another_reason: ReadOnlyAndDenies lacks [Writes]
        fails [create_dir_is_read_only, remove_file_is_read_only, rename_is_read_only];
}

/// Asks a case of a tree with a fault, and wants it to panic. The subject is made before, so that it is the case that
/// fails and not the filling.
async fn must_fail(case: &'static str, fault: Fault, lacks: &'static [Skill]) {
    let sound = Arc::new(MemoryFs::new());
    conformance::fill(&*sound, &VPath::root()).await.expect("the sound tree takes the sample");
    let faulty = Faulty { sound, fault, counter: Arc::default() };
    let subject = Subject::new(Arc::new(faulty)).lacking(lacks);
    let found = conformance::cases().iter().find(|found| found.name == case).expect("the case exists");
    assert!(found.applies_to(&subject), "{case} is asked of this tree");
    let asked = tokio::spawn(async move { found.run(&subject).await }).await;
    assert!(asked.is_err_and(|error| error.is_panic()), "{case} finds a tree that {fault:?}");
}

/// A sound tree behind one fault.
#[derive(Clone, Debug)]
struct Faulty {
    sound: Arc<MemoryFs>,
    fault: Fault,
    counter: Arc<AtomicU64>,
}

impl Faulty {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn is_read_only(&self) -> bool {
        self.has(Fault::ReadOnlyAndWrites) || self.has(Fault::ReadOnlyAndDenies)
    }

    /// What a change answers, whatever it did.
    fn answer(&self, done: Result<()>, op: &'static str, path: &VPath) -> Result<()> {
        match self.fault {
            Fault::ReadOnlyAndWrites => Err(Error::new(ErrorKind::ReadOnly, op, path)),
            Fault::ReadOnlyAndDenies => Err(Error::new(ErrorKind::PermissionDenied, op, path)),
            _ => done,
        }
    }

    fn spoil(&self, mut metadata: Metadata) -> Metadata {
        let text = match self.fault {
            Fault::ValidatorStays => "always".into(),
            Fault::ValidatorWanders => self.counter.fetch_add(1, Ordering::Relaxed).to_string(),
            _ => return metadata,
        };
        metadata.validator = metadata.validator.map(|_| Validator::Strong(text.into()));
        metadata
    }
}

#[async_trait]
impl FileSystem for Faulty {
    fn capabilities(&self, path: &VPath) -> Capabilities {
        match self.fault {
            Fault::SaysItHasOneName => Capabilities { hard_links: false, ..self.sound.capabilities(path) },
            _ if self.is_read_only() => {
                Capabilities { writes: Writes::None, symlinks: true, ..Capabilities::default() }
            }
            _ => self.sound.capabilities(path),
        }
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        let follow = options.follow || self.has(Fault::FollowsEveryLink);
        let found = self.sound.metadata(path, &StatOptions { follow, ..options.clone() }).await;
        match found {
            Err(error) if self.has(Fault::ErrorNamesTheRoot) => Err(error.readdressed(|_| VPath::root())),
            found => found.map(|metadata| self.spoil(metadata)),
        }
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        let sound = self.sound.read_dir(path, options).await?;
        let mut entries = match self.fault {
            Fault::LosesAnEntry | Fault::ListsDots | Fault::ListsTwice => sound.collect(100_000).await?,
            _ => return Ok(sound),
        };
        match self.fault {
            Fault::LosesAnEntry => entries.retain(|entry| entry.name.len() < 255),
            Fault::ListsDots => entries.push(DirEntry::new(".", Some(FileType::Dir))),
            _ => entries.extend(entries.first().cloned()),
        }
        Ok(DirStream::ready(entries))
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        let mut options = options.clone();
        match self.fault {
            Fault::FollowsEveryLink => options.follow = true,
            Fault::CreateNewReplaces if options.create_new => {
                options = OpenOptions { create_new: false, create: true, truncate: true, ..options };
            }
            Fault::AtomicIsSeenEarly => options.write_mode = WriteMode::InPlace,
            Fault::AppendsAtTheOffset if options.append => {
                options = OpenOptions { append: false, write: true, ..options };
            }
            Fault::AtomicLeavesItsPart if options.write_mode == WriteMode::Atomic => {
                let beside = path.parent().unwrap_or_default().child("part")?;
                self.sound.open(&beside, &OpenOptions::writing()).await?;
            }
            Fault::FolderOpensAsAFile
                if self.sound.metadata(path, &StatOptions::default()).await?.is_dir() =>
            {
                return self.sound.open(&VPath::parse("/empty")?, &options).await;
            }
            _ => {}
        }
        if self.is_read_only() && options.changes() {
            return Err(Error::new(ErrorKind::ReadOnly, "open", path));
        }
        let sound = self.sound.open(path, &options).await?;
        Ok(Arc::new(FaultyFile { sound, tree: self.clone() }))
    }

    async fn create_dir(&self, path: &VPath) -> Result<()> {
        self.answer(self.sound.create_dir(path).await, "create_dir", path)
    }

    async fn remove_file(&self, path: &VPath) -> Result<()> {
        self.answer(self.sound.remove_file(path).await, "remove_file", path)
    }

    async fn remove_dir(&self, path: &VPath) -> Result<()> {
        let done = self.sound.remove_dir(path).await;
        match done {
            Err(error)
                if self.has(Fault::RemovesFoldersInUse) && error.kind() == ErrorKind::DirectoryNotEmpty =>
            {
                let aside = VPath::parse("/hollow/aside")?;
                self.sound.rename(path, &aside, &RenameOptions::default()).await
            }
            done => self.answer(done, "remove_dir", path),
        }
    }

    async fn rename(&self, from: &VPath, to: &VPath, options: &RenameOptions) -> Result<()> {
        let no_replace = options.no_replace && !self.has(Fault::RenameAlwaysReplaces);
        let done = match self.fault {
            Fault::RenameCopies => self.sound.hard_link(from, to).await,
            _ => self.sound.rename(from, to, &RenameOptions { no_replace }).await,
        };
        self.answer(done, "rename", from)
    }

    async fn symlink(&self, target: &LinkTarget, path: &VPath) -> Result<()> {
        self.answer(self.sound.symlink(target, path).await, "symlink", path)
    }

    async fn hard_link(&self, original: &VPath, link: &VPath) -> Result<()> {
        self.answer(self.sound.hard_link(original, link).await, "hard_link", link)
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        self.sound.read_link(path).await
    }

    async fn set_attributes(&self, path: &VPath, attributes: &SetAttributes, follow: bool) -> Result<()> {
        self.answer(self.sound.set_attributes(path, attributes, follow).await, "set_attributes", path)
    }
}

/// A sound file behind its tree's fault.
#[derive(Debug)]
struct FaultyFile {
    sound: Arc<dyn File>,
    tree: Faulty,
}

#[async_trait]
impl File for FaultyFile {
    async fn metadata(&self) -> Result<Metadata> {
        Ok(self.tree.spoil(self.sound.metadata().await?))
    }

    fn identity(&self) -> Option<Identity> {
        self.sound.identity()
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let max = if self.tree.has(Fault::ReadsMoreThanAsked) { max.max(4096) } else { max };
        let read = self.sound.read_at(offset, max).await?;
        let is_past = self.sound.metadata().await?.len.is_some_and(|len| offset > len);
        if is_past && self.tree.has(Fault::ReadPastTheEndFails) {
            return Err(Error::new(ErrorKind::InvalidInput, "read_at", &VPath::root()));
        }
        Ok(read)
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        self.sound.write_at(offset, data).await
    }

    async fn set_len(&self, len: u64) -> Result<()> {
        self.sound.set_len(len).await
    }

    async fn set_attributes(&self, attributes: &SetAttributes) -> Result<()> {
        self.sound.set_attributes(attributes).await
    }

    async fn lock(&self, lock: Lock, wait: LockWait) -> Result<()> {
        if self.tree.has(Fault::LocksNobodyOut) {
            return Ok(());
        }
        self.sound.lock(lock, wait).await
    }

    async fn finish(&self) -> Result<()> {
        if self.tree.has(Fault::WritesAfterFinish) {
            return Ok(());
        }
        self.sound.finish().await
    }

    fn native(self: Arc<Self>, range: ByteRange) -> Option<Box<dyn Producer>> {
        let file: Arc<dyn File> = Arc::clone(&self.sound);
        let silent = self.tree.has(Fault::RangeEndsEarlyInSilence);
        silent.then(|| Box::new(Silent(vfs::producer::of(file, range))) as Box<dyn Producer>)
    }
}

/// A producer that ends where it should say that something is missing.
struct Silent(Box<dyn Producer>);

impl Producer for Silent {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        self.0.poll_more(cx).map(|chunk| chunk.filter(Result::is_ok))
    }

    fn hint(&self) -> Hint {
        self.0.hint()
    }
}
