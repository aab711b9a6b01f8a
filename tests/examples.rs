//! Every example runs and does what it says.

// What fails here fails its test.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Cargo builds the examples before the tests, next to them.
fn example(name: &str) -> Command {
    let deps = std::env::current_exe().unwrap();
    let target: PathBuf = deps.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(target.exists(), "{} was not built", target.display());
    Command::new(target)
}

fn output(name: &str) -> String {
    let output = example(name).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn own_producer_ticks_three_times() {
    assert_eq!(output("own_producer").lines().count(), 3);
}

#[test]
fn mount_and_read_lists_both_trees() {
    let output = output("mount_and_read");
    assert!(output.lines().any(|line| line == "/scratch"), "{output}");
    assert!(output.lines().any(|line| line == "/Cargo.toml"), "{output}");
}

#[test]
fn serve_folder_says_where_it_listens() {
    let mut child =
        example("serve_folder").arg(env!("CARGO_MANIFEST_DIR")).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with("http://127.0.0.1:") && line.contains("ftp://127.0.0.1:"), "{line}");
}
