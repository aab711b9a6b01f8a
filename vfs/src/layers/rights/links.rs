//! Where a path really leads: links are walked here, so that a rule can be asked about their end.

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::file_system::FileSystem;
use crate::options::StatOptions;
use crate::path::{Scheme, VPath};

/// Most links on one path, as on Linux (path_resolution(7)). More is `Loop`.
const LINKS: usize = 40;

/// One thing to do on the way.
enum Step {
    /// Into the name, through it where it is a link.
    Into(Bytes),
    /// Into the archive that was just named.
    Enter(Scheme),
    /// To the folder around.
    Up,
}

/// The path that `path` leads to, free of links; with `follow` unset a link in the last place stays. From the first
/// missing name on the path is as it was. One description a segment, and one text a link.
///
/// # Errors
/// `PermissionDenied` for a link with an absolute text, whose root is not known here, and for one that climbs out of an
/// archive or above the root; `Loop` past [`LINKS`]; else what the tree says of a segment. All are on `path`.
pub(super) async fn resolve(
    tree: &dyn FileSystem,
    op: &'static str,
    path: &VPath,
    follow: bool,
) -> Result<VPath> {
    let addressed = |error: Error| error.readdressed(|_| path.clone());
    let mut links = 0;
    let mut at = VPath::root();
    let mut ahead: Vec<Step> = steps(path);
    ahead.reverse();
    while let Some(step) = ahead.pop() {
        let name = match step {
            Step::Into(name) => name,
            Step::Enter(scheme) => {
                let nameless = || refusal(op, path, "a link leads to a folder where an archive is entered");
                at = at.entered(scheme).ok_or_else(nameless)?;
                continue;
            }
            Step::Up => {
                at = out_of(&at).ok_or_else(|| refusal(op, path, "a link climbs out of what holds it"))?;
                continue;
            }
        };
        let next = at.child(name)?;
        if ahead.is_empty() && !follow {
            return Ok(next);
        }
        match tree.metadata(&next, &StatOptions::no_follow()).await {
            Ok(metadata) if metadata.is_symlink() => {
                links += 1;
                if links > LINKS {
                    return Err(Error::new(ErrorKind::Loop, op, path));
                }
                let text = tree.read_link(&next).await.map_err(addressed)?;
                if text.starts_with(b"/") {
                    return Err(refusal(op, path, "an absolute link is not followed where rights differ"));
                }
                ahead.extend(text.split(|byte| *byte == b'/').rev().filter_map(step_of_link));
            }
            Ok(_) => at = next,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                // Nothing below a missing name is a link; the tree will say what is missing.
                return rest(next, ahead).ok_or_else(|| addressed(error));
            }
            Err(error) => return Err(addressed(error)),
        }
    }
    Ok(at)
}

fn steps(path: &VPath) -> Vec<Step> {
    let segments = path.segments().iter();
    segments
        .flat_map(|segment| {
            let markers = segment.markers().iter().map(|scheme| Step::Enter(*scheme));
            std::iter::once(Step::Into(segment.name().clone())).chain(markers)
        })
        .collect()
}

/// The text of a link is names, never an address: a marker in it is part of a name.
fn step_of_link(part: &[u8]) -> Option<Step> {
    match part {
        b"" | b"." => None,
        b".." => Some(Step::Up),
        name => Some(Step::Into(Bytes::copy_from_slice(name))),
    }
}

/// The folder around, `None` where that is outside of the root or of an archive.
fn out_of(at: &VPath) -> Option<VPath> {
    at.file_name().filter(|segment| segment.markers().is_empty())?;
    at.parent()
}

/// What is ahead, put below `at`; `None` where it goes up again.
fn rest(mut at: VPath, ahead: Vec<Step>) -> Option<VPath> {
    for step in ahead.into_iter().rev() {
        at = match step {
            Step::Into(name) => at.child(name).ok()?,
            Step::Enter(scheme) => at.entered(scheme)?,
            Step::Up => return None,
        };
    }
    Some(at)
}

fn refusal(op: &'static str, path: &VPath, detail: &'static str) -> Error {
    Error::new(ErrorKind::PermissionDenied, op, path).with_detail(detail)
}
