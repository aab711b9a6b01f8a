# What is done day by day. `just` alone lists it.

_list:
    @just --list --unsorted

# all that CI runs
check:
    .ci/run

# every test; arguments go to the test runner: just test program
test *ARGS:
    scripts/test {{ARGS}}

# format the sources
fmt:
    cargo fmt --all

# lints, as CI has them
lint:
    cargo clippy --workspace --all-targets --locked -- --deny warnings

# the documentation, opened
doc:
    cargo doc --workspace --no-deps --open

# the rules between rooms
rooms:
    scripts/rooms

# known holes in the crates that are used; asks the advisory database
audit:
    cargo deny check advisories

# write the recorded conversations anew; read the diff like code
transcripts:
    UPDATE=1 cargo test --test transcripts
