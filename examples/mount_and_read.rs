//! Mounts two trees into one namespace and reads it through the library, while it changes.

// What it prints is what it shows.
#![allow(clippy::print_stdout)]

use std::sync::Arc;

use vfs::backends::local::LocalFs;
use vfs::backends::memory::MemoryFs;
use vfs::fs::Fs;
use vfs::{MountOptions, Registry, VPath, Vfs};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let vfs = Vfs::new(Registry::empty());
    let folder = Arc::new(LocalFs::open(env!("CARGO_MANIFEST_DIR"))?);
    vfs.mount(&VPath::root(), folder, MountOptions::default())?;
    let scratch = VPath::parse("/scratch/today")?;
    vfs.mount(
        &scratch,
        Arc::new(MemoryFs::new()),
        MountOptions { writable: true, ..MountOptions::default() },
    )?;

    // The names of `std::fs`, over the whole namespace.
    let fs = Fs::new(vfs.clone());
    fs.copy("/Cargo.toml", "/scratch/today/manifest").await?;
    println!("{} bytes", fs.metadata("/scratch/today/manifest").await?.len());

    let mut entries = fs.read_dir("/").await?;
    while let Some(entry) = entries.next_entry().await? {
        println!("{}", entry.path().display());
    }

    vfs.unmount(&scratch)?;
    assert!(!fs.try_exists("/scratch/today/manifest").await?);
    Ok(())
}
