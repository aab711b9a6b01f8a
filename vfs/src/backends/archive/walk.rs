//! Walking a path through an archive's names, whatever form they are kept in.

use bytes::Bytes;

use super::catalog::Shape;
use crate::error::ErrorKind;
use crate::path::VPath;

/// Links that one walk follows. The next one is `Loop` (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Names as a tree; nodes are numbers, and 0 is the root.
pub(super) trait Tree {
    /// What `name` is in the folder `folder`.
    fn find(&self, folder: u32, name: &[u8]) -> Result<Option<u32>, ErrorKind>;

    fn shape(&self, node: u32) -> Result<Shape, ErrorKind>;

    /// Where a link leads.
    fn link(&self, node: u32) -> Result<Option<Bytes>, ErrorKind>;
}

/// Walks `path`. `NotFound`, `NotADirectory` and `Loop` are what is known so far.
pub(super) fn walk(tree: &impl Tree, path: &VPath, follow: bool) -> Result<u32, ErrorKind> {
    let mut todo: Vec<Bytes> = path.segments().iter().rev().map(|segment| segment.name().clone()).collect();
    let mut stack: Vec<u32> = Vec::new();
    let mut followed = 0;
    while let Some(name) = todo.pop() {
        match &name[..] {
            b"" | b"." => continue,
            b".." => {
                stack.pop();
                continue;
            }
            _ => {}
        }
        let folder = stack.last().copied().unwrap_or(0);
        let id = tree.find(folder, &name)?.ok_or(ErrorKind::NotFound)?;
        match tree.shape(id)? {
            Shape::Symlink if follow || !todo.is_empty() => {
                followed += 1;
                if followed > MAX_LINKS {
                    return Err(ErrorKind::Loop);
                }
                let link = tree.link(id)?.filter(|link| !link.is_empty()).ok_or(ErrorKind::NotFound)?;
                if link[0] == b'/' {
                    stack.clear();
                }
                todo.extend(link.split(|byte| *byte == b'/').rev().map(|name| link.slice_ref(name)));
            }
            Shape::Dir => stack.push(id),
            _ if todo.is_empty() => return Ok(id),
            _ => return Err(ErrorKind::NotADirectory),
        }
    }
    Ok(stack.last().copied().unwrap_or(0))
}
