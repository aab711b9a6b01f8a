//! [`Skill`]: what a tree may or may not be able to do or show.

/// What not every tree can do or show. A subject names those it lacks; the cases that need one are then not asked, and
/// those that look for its refusal are.
///
/// A wrong statement does not pass in silence: `it_can_do_what_it_says` holds it against
/// [`capabilities`](crate::FileSystem::capabilities), and the refusals fail on a tree that has the skill after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skill {
    /// It takes changes. Without: every change is `ReadOnly`.
    Writes,
    /// `write_at` anywhere, visible at once. Without: the next offset only.
    Anywhere,
    /// It has symbolic links, those of the sample among them.
    Symlinks,
    /// A link whose text is absolute starts at the tree's root. Without: it is refused.
    AbsoluteLinks,
    /// A file can be given several names.
    HardLinks,
    /// Permission bits are known.
    Modes,
    /// Permission bits can be set.
    SetModes,
    /// The time of the last change is known.
    Times,
    /// Times can be set.
    SetTimes,
    /// The length of a file is known before it is read.
    Lengths,
    /// A listing brings metadata along where it is asked for.
    ListedMetadata,
    /// A file has a validator.
    Validators,
    /// A name may be any bytes. Without: UTF-8.
    ByteNames,
    /// A name may hold a line feed.
    NewlineNames,
    /// A name may hold a backslash. Without: a server takes it for a separator of other systems.
    BackslashNames,
    /// A name may end like the way into an archive, as in `x#tgz:`. Without: sites that have a writing of their own for
    /// such names show that.
    MarkerNames,
    /// A name that starts with a dot is listed like any other. Without: it is there and not listed.
    DotNames,
    /// When a folder changed last is known without its parent's listing.
    FolderTimes,
    /// A path of thirty folders and more can be walked.
    DeepPaths,
    /// Open files can be locked.
    Locks,
    /// The subject holds a FIFO, device or socket; see [`Subject::with_special_file`](super::Subject::with_special_file).
    SpecialFiles,
}

impl Skill {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Writes,
        Self::Anywhere,
        Self::Symlinks,
        Self::AbsoluteLinks,
        Self::HardLinks,
        Self::Modes,
        Self::SetModes,
        Self::Times,
        Self::SetTimes,
        Self::Lengths,
        Self::ListedMetadata,
        Self::Validators,
        Self::ByteNames,
        Self::NewlineNames,
        Self::BackslashNames,
        Self::MarkerNames,
        Self::DotNames,
        Self::FolderTimes,
        Self::DeepPaths,
        Self::Locks,
        Self::SpecialFiles,
    ];

    /// The skill without which this one means nothing.
    const fn rests_on(self) -> Option<Self> {
        match self {
            Self::Anywhere | Self::SetModes | Self::SetTimes | Self::HardLinks => Some(Self::Writes),
            Self::AbsoluteLinks => Some(Self::Symlinks),
            Self::FolderTimes => Some(Self::Times),
            _ => None,
        }
    }

    /// True where `lacks` leaves a tree this skill.
    pub(super) fn is_left_by(self, lacks: &[Self]) -> bool {
        !lacks.contains(&self) && self.rests_on().is_none_or(|base| base.is_left_by(lacks))
    }
}
