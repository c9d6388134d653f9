#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| motorway_fuzz::proxy(data));
