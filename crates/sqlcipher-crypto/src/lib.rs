//! SQLCipher's cryptography, from AWS-LC.
//!
//! SQLCipher takes AES, HMAC, PBKDF2 and random bytes from OpenSSL's libcrypto, by way of the crate
//! `openssl-sys`. AWS-LC, which does Conclave's other cryptography, has the same functions under
//! the same names, so the workspace puts this crate in that one's place (`[patch.crates-io]`): no
//! second library is built and linked, and neither perl nor make is needed. What AWS-LC lacks is
//! OpenSSL 3's `EVP_MAC`; `src/evp_mac.h` says it in terms of `HMAC`. That the files come out as
//! SQLCipher documents them is checked in `crates/client/tests/at_rest.rs`.
//!
//! There is no Rust in it: it has AWS-LC linked, and `build.rs` says where the headers are.

use aws_lc_rs as _;
