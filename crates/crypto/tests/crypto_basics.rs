//! `crypto-basics` of the official vectors. They are looked for in `../shared/vectors` beside the
//! repository, or where `CONCLAVE_VECTORS` says; without them the test shows as ignored; with
//! `CI=true` that is a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{env, fs, path::Path, path::PathBuf, process::ExitCode};

use conclave_crypto::{CipherSuite, CryptoError, Secret, SigningKey, SystemRandomness};
use libtest_mimic::{Arguments, Trial};
use serde_json::Value;

fn main() -> ExitCode {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let folder = env::var_os("CONCLAVE_VECTORS").map_or(beside, PathBuf::from);
    let is_missing = !folder.is_dir() && env::var("CI").as_deref() != Ok("true");
    let trial = Trial::test("mls/crypto-basics.json", move || {
        run(&folder.join("mls/crypto-basics.json"));
        Ok(())
    });
    let trials = vec![trial.with_ignored_flag(is_missing)];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn run(path: &Path) {
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut checked = 0;
    for case in &cases {
        match CipherSuite::try_from(u16::try_from(int(&case["cipher_suite"])).unwrap()) {
            Ok(suite) => check(suite, case),
            Err(CryptoError::UnsupportedSuite) => continue,
            Err(error) => panic!("{error}"),
        }
        checked += 1;
    }
    assert_eq!(checked, CipherSuite::ALL.len());
}

fn check(suite: CipherSuite, case: &Value) {
    let all = |name: &str, field: &str| bytes(&case[name][field]);
    let label = |name: &str| case[name]["label"].as_str().unwrap().to_owned();
    let secret = |name: &str| Secret::from(all(name, "secret"));

    let of = "ref_hash";
    assert_eq!(
        suite.ref_hash(&label(of), &all(of, "value")).as_bytes(),
        all(of, "out")
    );

    let of = "expand_with_label";
    let len = int(&case[of]["length"]);
    let out = suite.expand_with_label(&secret(of), &label(of), &all(of, "context"), len);
    assert_eq!(out.unwrap().as_bytes(), all(of, "out"));

    let of = "derive_secret";
    let out = suite.derive_secret(&secret(of), &label(of));
    assert_eq!(out.unwrap().as_bytes(), all(of, "out"));

    let of = "derive_tree_secret";
    let (len, generation) = (int(&case[of]["length"]), int(&case[of]["generation"]));
    let generation = u32::try_from(generation).unwrap();
    let out = suite.derive_tree_secret(&secret(of), &label(of), generation, len);
    assert_eq!(out.unwrap().as_bytes(), all(of, "out"));

    signatures(suite, &label("sign_with_label"), |field| {
        all("sign_with_label", field)
    });
    encryption(suite, &label("encrypt_with_label"), |field| {
        all("encrypt_with_label", field)
    });
}

fn signatures(suite: CipherSuite, label: &str, all: impl Fn(&str) -> Vec<u8>) {
    let (public, content) = (all("pub"), all("content"));
    let given = all("signature");
    suite
        .verify_with_label(&public, label, &content, &given)
        .unwrap();
    let key = SigningKey::from_bytes(suite, &all("priv")).unwrap();
    assert_eq!(key.public(), public);
    let fresh = key.sign_with_label(label, &content).unwrap();
    suite
        .verify_with_label(&public, label, &content, &fresh)
        .unwrap();
    let other = suite.verify_with_label(&public, "Other", &content, &fresh);
    assert_eq!(other, Err(CryptoError::Signature));
}

fn encryption(suite: CipherSuite, label: &str, all: impl Fn(&str) -> Vec<u8>) {
    let (context, plaintext) = (all("context"), all("plaintext"));
    let pair = suite.key_pair(&all("priv")).unwrap();
    assert_eq!(pair.public(), all("pub"));
    let opened = suite.decrypt_with_label(
        &pair,
        label,
        &context,
        &all("kem_output"),
        &all("ciphertext"),
    );
    assert_eq!(opened.unwrap().as_bytes(), plaintext);
    let random = &mut SystemRandomness;
    let fresh = suite.encrypt_with_label(pair.public(), label, &context, &plaintext, random);
    let fresh = fresh.unwrap();
    let open = |label| {
        suite.decrypt_with_label(&pair, label, &context, &fresh.kem_output, &fresh.ciphertext)
    };
    assert_eq!(open(label).unwrap().as_bytes(), plaintext);
    assert_eq!(open("Other"), Err(CryptoError::Open));
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn int(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}
