//! The floor of an archive's first pass: the same library inflates a gzip file and sums its content up, and nothing else
//! is done.
//!
//! ```sh
//! cargo bench --bench bare_inflate -- FILE.gz
//! ```

use std::fs::File;
use std::io::{BufReader, Read};

use flate2::read::MultiGzDecoder;
use tokio::time::Instant;

/// What is read, and made, at once.
const PIECE_BYTES: usize = 256 * 1024;

#[expect(clippy::print_stdout, reason = "the figures are for whoever runs it")]
fn main() -> std::io::Result<()> {
    // `cargo bench` adds an option of its own.
    let Some(path) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) else {
        println!("no file named: cargo bench --bench bare_inflate -- FILE.gz");
        return Ok(());
    };
    let start = Instant::now();
    // Checks every member's sum and length.
    let mut content = MultiGzDecoder::new(BufReader::with_capacity(PIECE_BYTES, File::open(path)?));
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        match content.read(&mut piece)? {
            0 => break,
            read => bytes += read,
        }
    }
    println!("{:.3} seconds for {bytes} bytes", start.elapsed().as_secs_f64());
    Ok(())
}
