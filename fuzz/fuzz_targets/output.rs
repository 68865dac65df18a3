#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fastn_fuzz::target("output", bytes));
