//! Opening: what stands there, what is asked for, and what comes of the two.

use std::sync::Arc;

use super::file::{MemoryFile, Writing};
use super::node::{Body, Node};
use super::tree::{Place, Publication, Shape, Spot, Tree};
use crate::error::ErrorKind;
use crate::options::{OpenOptions, WriteMode};
use crate::path::VPath;

/// Opens `path` in one step: nobody makes or removes it in between. The options are checked before.
pub(super) fn open(tree: &Arc<Tree>, path: &VPath, options: &OpenOptions) -> Result<MemoryFile, ErrorKind> {
    let mut shape = tree.shape();
    // As O_EXCL of open(2): a link in the last place counts as something that is there.
    match tree.walk(&shape, path, options.follow && !options.create_new)? {
        Place::Root(_) if options.create_new => Err(ErrorKind::AlreadyExists),
        Place::Root(_) => Err(ErrorKind::IsADirectory),
        Place::Taken(spot, node) => open_standing(tree, spot, node, options),
        Place::Vacant(spot) => open_vacant(tree, &mut shape, spot, options),
    }
}

/// Opens what stands under a name. Only a file can be opened.
fn open_standing(
    tree: &Arc<Tree>,
    spot: Spot,
    node: Arc<Node>,
    options: &OpenOptions,
) -> Result<MemoryFile, ErrorKind> {
    match &node.body {
        _ if options.create_new => return Err(ErrorKind::AlreadyExists),
        Body::Dir => return Err(ErrorKind::IsADirectory),
        Body::Link(_) => return Err(ErrorKind::Loop),
        Body::File => {}
    }
    if let Some(wanted) = &options.if_match
        && !node.validator(&tree.name).is_some_and(|found| found.matches_strongly(wanted))
    {
        return Err(ErrorKind::Changed);
    }
    let writes = options.write || options.append;
    if writes && options.write_mode == WriteMode::Atomic {
        return open_part(tree, spot, options);
    }
    if options.truncate {
        node.set_len(0)?;
    }
    let writing = if writes { Writing::InPlace } else { Writing::No };
    Ok(MemoryFile::new(tree, node, options, writing))
}

/// Opens what is not there yet.
fn open_vacant(
    tree: &Arc<Tree>,
    shape: &mut Shape,
    spot: Spot,
    options: &OpenOptions,
) -> Result<MemoryFile, ErrorKind> {
    if !(options.create || options.create_new) {
        return Err(ErrorKind::NotFound);
    }
    if options.if_match.is_some() {
        return Err(ErrorKind::Changed);
    }
    if options.write_mode == WriteMode::Atomic {
        return open_part(tree, spot, options);
    }
    let node = tree.new_node(Body::File, options.mode)?;
    tree.insert(shape, &spot, Arc::clone(&node))?;
    Ok(MemoryFile::new(tree, node, options, Writing::InPlace))
}

/// Opens a file that gets its name when it is finished.
fn open_part(tree: &Arc<Tree>, spot: Spot, options: &OpenOptions) -> Result<MemoryFile, ErrorKind> {
    let node = tree.new_node(Body::File, options.mode)?;
    let publication = Publication { spot, exclusive: options.create_new, if_match: options.if_match.clone() };
    Ok(MemoryFile::new(tree, node, options, Writing::Part(publication)))
}
