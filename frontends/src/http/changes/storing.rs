//! PUT: a file whole, or a part of it where it belongs.

use std::sync::Arc;

use vfs::{ErrorKind, File, FileSystem, Lock, LockWait, OpenOptions, StatOptions, VPath, Validator};

use super::super::command::Refusal;
use super::super::incoming::{Filling, Incoming, fill};
use super::super::session::{Facts, Failure, Outcome};
use super::super::wire::Placed;
use super::{There, beside};

/// The body becomes the file at `path`, opened by `options`.
pub(super) async fn store<B>(
    tree: &dyn FileSystem,
    path: &VPath,
    options: &OpenOptions,
    there: &There,
    body: &mut Incoming<B>,
) -> Result<Outcome, Failure>
where
    B: http_body::Body + Unpin,
{
    let file = match tree.open(path, options).await {
        Ok(file) => file,
        Err(error) => return conditional(error, options),
    };
    fill(&file, 0, body).await?;
    if let Err(error) = file.finish().await {
        return conditional(error, options);
    }
    stored(tree, path, options, there).await
}

/// A part is written where it belongs, at once (RFC 9110 §14.5). It may begin where the file ends, or before.
///
/// Of those who insist on the version that is there, one at a time may change it.
pub(super) async fn store_part<B>(
    tree: &dyn FileSystem,
    path: &VPath,
    options: &OpenOptions,
    part: Placed,
    body_bytes: Option<u64>,
    there: &There,
    body: &mut Incoming<B>,
) -> Result<Outcome, Failure>
where
    B: http_body::Body + Unpin,
{
    if body_bytes.is_some_and(|len| len != part.len) {
        return Err(Refusal::BadPlace.into());
    }
    if (options.create_new || matches!(there, There::Nothing)) && part.start > 0 {
        return Ok(Outcome::Unsatisfiable(0));
    }
    let file = match tree.open(path, options).await {
        Ok(file) => file,
        Err(error) => return conditional(error, options),
    };
    if let Some(wanted) = &options.if_match
        && !is_held(&file, wanted).await?
    {
        return Ok(Outcome::PreconditionFailed);
    }
    let len = file.metadata().await?.len.unwrap_or(0);
    if part.start > len {
        return Ok(Outcome::Unsatisfiable(len));
    }
    // Nothing is written behind the place that was named.
    let (mut filling, mut left) = (Filling::new(Arc::clone(&file), part.start), part.len);
    while let Some(bytes) = body.next().await? {
        left = left.checked_sub(bytes.len() as u64).ok_or(Refusal::BadPlace)?;
        filling.add(bytes).await?;
    }
    let end = filling.end().await?;
    if end != part.end() {
        return Err(Refusal::BodyBroke.into());
    }
    if part.total == Some(end) && end < len {
        file.set_len(end).await?;
    }
    file.finish().await?;
    stored(tree, path, options, there).await
}

/// Keeps others away who insist on a version too, until the file is dropped; false where one of them was quicker.
async fn is_held(file: &Arc<dyn File>, wanted: &Validator) -> vfs::Result<bool> {
    match file.lock(Lock::Exclusive, LockWait::Never).await {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::Busy => return Ok(false),
        // A source without locks: that the version was compared when it was opened has to do.
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(true),
        Err(error) => return Err(error),
    }
    Ok(file.metadata().await?.validator.is_some_and(|found| found.matches_strongly(wanted)))
}

/// Where somebody was quicker than the conditions of the request.
fn conditional(error: vfs::Error, options: &OpenOptions) -> Result<Outcome, Failure> {
    match error.kind() {
        ErrorKind::AlreadyExists if options.create_new => Ok(Outcome::PreconditionFailed),
        ErrorKind::Changed if options.if_match.is_some() => Ok(Outcome::PreconditionFailed),
        _ => Err(beside(error)),
    }
}

/// What became of an upload: with its version, so that the client can go on from there. One that is weak yet is not told:
/// nobody could insist on it (RFC 9110 §13.1.1), and it may be strong when it is asked for next.
async fn stored(
    tree: &dyn FileSystem,
    path: &VPath,
    options: &OpenOptions,
    there: &There,
) -> Result<Outcome, Failure> {
    let is_new = options.create_new || matches!(there, There::Nothing);
    let mut facts = tree.metadata(path, &StatOptions::default()).await.ok().map(|found| Facts::of(&found));
    if let Some(facts) = &mut facts {
        facts.validator.take_if(|validator| matches!(validator, Validator::Weak(_)));
    }
    Ok(Outcome::Stored { is_new, facts })
}
