//! POST: the form of a folder's page, with which browsers upload without a script.

use std::sync::Arc;

use bytes::Bytes;
use vfs::{Aside, ErrorKind, File, FileSystem, OpenOptions, VPath};

use super::super::command::Refusal;
use super::super::incoming::{Filling, Incoming};
use super::super::session::{Failure, Outcome};
use super::super::wire::{BadTarget, FormEvent, FormReader, encode_path};

/// Files of one form.
const FORM_FILES: usize = 1000;

/// Bytes of a form's field that is no file.
const FIELD_BYTES: usize = 4096;

/// What a page's form brings goes into the folder `path`.
pub(super) async fn take<B>(
    tree: &dyn FileSystem,
    path: &VPath,
    boundary: &[u8],
    body: &mut Incoming<B>,
) -> Result<Outcome, Failure>
where
    B: http_body::Body + Unpin,
{
    let mut form = Form { tree, path, replaces: false, field: Field::Unknown, files: 0 };
    let mut reader = FormReader::new(boundary);
    while let Some(bytes) = body.next().await? {
        reader.push(&bytes);
        while let Some(event) = reader.next().map_err(|_| Refusal::BadForm)? {
            match event {
                FormEvent::Field { name, file } => form.begin(&name, file).await?,
                FormEvent::Content(bytes) => form.add(bytes).await?,
                FormEvent::FieldEnd => form.end().await?,
                FormEvent::End => {
                    let folder = encode_path(path);
                    let slash = if folder.ends_with('/') { "" } else { "/" };
                    return Ok(Outcome::FormTaken(folder + slash));
                }
            }
        }
    }
    Err(Refusal::BodyBroke.into())
}

/// A form's fields as they come: `replace` and `folder` count for the files after them.
struct Form<'a> {
    tree: &'a dyn FileSystem,
    path: &'a VPath,
    replaces: bool,
    field: Field,
    files: usize,
}

enum Field {
    /// Nothing is done with it.
    Unknown,
    Replace,
    Folder(Vec<u8>),
    File(Arc<dyn File>, Filling),
}

impl Form<'_> {
    async fn begin(&mut self, name: &[u8], file: Option<Vec<u8>>) -> Result<(), Failure> {
        self.field = match (name, file) {
            (b"replace", None) => Field::Replace,
            (b"folder", None) => Field::Folder(Vec::new()),
            // Where no file was chosen.
            (_, Some(name)) if name.is_empty() => Field::Unknown,
            (_, Some(name)) => {
                self.files += 1;
                if self.files > FORM_FILES {
                    return Err(Refusal::ManyFiles(FORM_FILES).into());
                }
                let options = OpenOptions { create_new: !self.replaces, ..OpenOptions::replacing() };
                let file = self.tree.open(&self.child(name)?, &options).await.map_err(taken)?;
                Field::File(Arc::clone(&file), Filling::new(file, 0))
            }
            _ => Field::Unknown,
        };
        Ok(())
    }

    async fn add(&mut self, bytes: Bytes) -> Result<(), Failure> {
        match &mut self.field {
            Field::Replace => self.replaces = true,
            Field::Folder(name) if name.len() + bytes.len() > FIELD_BYTES => {
                return Err(Refusal::BadForm.into());
            }
            Field::Folder(name) => name.extend_from_slice(&bytes),
            Field::File(_, filling) => filling.add(bytes).await?,
            Field::Unknown => {}
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Failure> {
        match std::mem::replace(&mut self.field, Field::Unknown) {
            Field::Folder(name) if !name.trim_ascii().is_empty() => {
                let path = self.child(name.trim_ascii().to_vec())?;
                self.tree.create_dir(&path).await.map_err(taken)?;
            }
            Field::File(file, filling) => {
                filling.end().await?;
                file.finish().await.map_err(taken)?;
            }
            Field::Folder(_) | Field::Replace | Field::Unknown => {}
        }
        Ok(())
    }

    /// A name that a browser sends is a name and no path.
    fn child(&self, name: Vec<u8>) -> Result<VPath, Failure> {
        if Aside::of(&name).is_some() {
            return Err(Refusal::Target(BadTarget::Reserved).into());
        }
        self.path.child(name).map_err(|error| vfs::Error::from(error).into())
    }
}

fn taken(error: vfs::Error) -> Failure {
    match error.kind() {
        ErrorKind::AlreadyExists => Refusal::Exists.into(),
        _ => error.into(),
    }
}
