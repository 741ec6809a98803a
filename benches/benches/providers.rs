//! AWS-LC, which Conclave uses, beside RustCrypto, both behind OpenMLS's crypto traits:
//! `cargo bench -p conclave-benches --bench providers`.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use conclave_crypto::AwsLcCrypto;
use cpu_time::ThreadTime;
use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use openmls_rust_crypto::RustCrypto;
use openmls_traits::{
    crypto::OpenMlsCrypto,
    types::{AeadType, Ciphersuite, HashType, SignatureScheme},
};

/// Suites that both have.
const SUITES: [Ciphersuite; 3] = [
    Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
    Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
    Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
];

/// A leaf's or a message's worth of bytes to sign; a path secret; a message of 1 KiB.
const SIGNED: [u8; 300] = [1; 300];
const PATH_SECRET: [u8; 32] = [2; 32];
const MESSAGE: [u8; 1024] = [3; 1024];

fn providers(criterion: &mut Criterion) {
    measure(criterion, "AWS-LC", &AwsLcCrypto);
    measure(criterion, "RustCrypto", &RustCrypto::default());
}

fn measure(criterion: &mut Criterion, name: &str, crypto: &impl OpenMlsCrypto) {
    let schemes = [
        SignatureScheme::ED25519,
        SignatureScheme::ECDSA_SECP256R1_SHA256,
    ];
    for scheme in schemes {
        signatures(criterion, name, crypto, scheme);
    }
    for suite in &SUITES[..2] {
        hpke(criterion, name, crypto, *suite);
    }
    for algorithm in [AeadType::Aes128Gcm, AeadType::ChaCha20Poly1305] {
        let (key, nonce) = (vec![7; algorithm.key_size()], [7; 12]);
        let sealed = crypto.aead_encrypt(algorithm, &key, &MESSAGE, &nonce, &[]);
        let sealed = sealed.unwrap();
        criterion.bench_function(
            &id(&format!("seal 1 KiB, {algorithm:?}"), name),
            |bencher| {
                processor_time(bencher, || {
                    crypto.aead_encrypt(algorithm, &key, &MESSAGE, &nonce, &[])
                });
            },
        );
        criterion.bench_function(
            &id(&format!("open 1 KiB, {algorithm:?}"), name),
            |bencher| {
                processor_time(bencher, || {
                    crypto.aead_decrypt(algorithm, &key, &sealed, &nonce, &[])
                });
            },
        );
    }
    criterion.bench_function(&id("hash 1 KiB, SHA-256", name), |bencher| {
        processor_time(bencher, || crypto.hash(HashType::Sha2_256, &MESSAGE));
    });
}

fn signatures(
    criterion: &mut Criterion,
    name: &str,
    crypto: &impl OpenMlsCrypto,
    scheme: SignatureScheme,
) {
    let (private, public) = crypto.signature_key_gen(scheme).unwrap();
    let signature = crypto.sign(scheme, &SIGNED, &private).unwrap();
    criterion.bench_function(&id(&format!("sign, {scheme:?}"), name), |bencher| {
        processor_time(bencher, || crypto.sign(scheme, &SIGNED, &private));
    });
    criterion.bench_function(&id(&format!("verify, {scheme:?}"), name), |bencher| {
        processor_time(bencher, || {
            crypto.verify_signature(scheme, &SIGNED, &public, &signature)
        });
    });
}

fn hpke(criterion: &mut Criterion, name: &str, crypto: &impl OpenMlsCrypto, suite: Ciphersuite) {
    let kem = suite.hpke_config().0;
    let pair = crypto
        .derive_hpke_keypair(suite.hpke_config(), &[9; 32])
        .unwrap();
    let seal = || {
        crypto.hpke_seal(
            suite.hpke_config(),
            &pair.public,
            b"info",
            &[],
            &PATH_SECRET,
        )
    };
    let sealed = seal().unwrap();
    criterion.bench_function(&id(&format!("HPKE seal, {kem:?}"), name), |bencher| {
        processor_time(bencher, seal);
    });
    criterion.bench_function(&id(&format!("HPKE open, {kem:?}"), name), |bencher| {
        processor_time(bencher, || {
            crypto.hpke_open(suite.hpke_config(), &sealed, &pair.private, b"info", &[])
        });
    });
}

/// Processor time says the same on a machine that has other work too.
fn processor_time<T>(bencher: &mut Bencher<'_>, mut work: impl FnMut() -> T) {
    bencher.iter_custom(|times| {
        let begun = ThreadTime::now();
        for _ in 0..times {
            black_box(work());
        }
        begun.elapsed()
    });
}

fn id(what: &str, name: &str) -> String {
    format!("{what}/{name}")
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = providers
}
criterion_main!(benches);
