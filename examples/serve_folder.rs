//! Serves a folder over HTTP and FTP: `cargo run --example serve_folder FOLDER`. Ctrl-C drains and ends it.

// What it prints is what it shows.
#![allow(clippy::print_stdout)]

use std::sync::Arc;

use frontends::serve::{Address, Listener};
use frontends::{Site, ftp, http};
use vfs::backends::local::LocalFs;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let site = Arc::new(Site::new(Arc::new(LocalFs::open(folder)?)));
    let any_port: Address = "127.0.0.1:0".parse()?;
    let (web, files) = (Listener::bind(&any_port).await?, Listener::bind(&any_port).await?);
    println!("http://{}/ and ftp://{}/", web.local_address(), files.local_address());
    let stop = || async { drop(tokio::signal::ctrl_c().await) };
    tokio::join!(
        http::serve(web, Arc::clone(&site), http::Options::default(), stop()),
        ftp::serve(files, site, ftp::Options::default(), stop()),
    );
    Ok(())
}
