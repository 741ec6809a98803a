#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| conclave_fuzz_checks::evidence(input));
