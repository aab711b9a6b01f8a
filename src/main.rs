//! The program `vfsd`. Decides how to report what the library says, and nothing else.

use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Runtime;
use vfsd::{Console, Failure, Request};

/// How long disk work that was left behind may still take at the end. A hung disk must not keep the program.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    vfsd::bound_heaps();
    let mut console = Console::standard();
    match run(&mut console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                console.complain(message);
            }
            ExitCode::from(failure.status())
        }
    }
}

fn run(console: &mut Console) -> Result<(), Failure> {
    let request = Request::parse(std::env::args_os())?;
    let runtime = Runtime::new()
        .map_err(|error| Failure::Operation(format!("the program cannot be started: {error}")))?;
    let ended = runtime.block_on(vfsd::run(&request, console));
    runtime.shutdown_timeout(LEFT_BEHIND);
    ended
}
