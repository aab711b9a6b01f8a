#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vfs::backends::archive::fuzz::run("index", data));
