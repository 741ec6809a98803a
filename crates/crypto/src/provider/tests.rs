use openmls_rust_crypto::RustCrypto;
use proptest::prelude::*;

use super::*;

/// The suites that both providers have.
const SHARED: [Ciphersuite; 3] = [
    Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
    Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
    Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
];

fn config(suite: Ciphersuite) -> HpkeConfig {
    HpkeConfig(suite.into(), suite.into(), suite.into())
}

/// What one provider makes, the other must read.
fn understands(
    suite: Ciphersuite,
    one: &impl OpenMlsCrypto,
    other: &impl OpenMlsCrypto,
    data: &[u8],
    aad: &[u8],
) {
    let scheme = SignatureScheme::from(suite);
    let (private, public) = one.signature_key_gen(scheme).unwrap();
    let signature = one.sign(scheme, data, &private).unwrap();
    other
        .verify_signature(scheme, data, &public, &signature)
        .unwrap();
    let again = other.sign(scheme, data, &private).unwrap();
    one.verify_signature(scheme, data, &public, &again).unwrap();
    let forged = [data, b"x"].concat();
    assert!(
        other
            .verify_signature(scheme, &forged, &public, &signature)
            .is_err()
    );

    let (key, nonce) = ([7; 32], [9; 12]);
    let aead = AeadType::from(suite);
    let key = &key[..aead.key_size()];
    let sealed = one.aead_encrypt(aead, key, data, &nonce, aad).unwrap();
    let opened = other.aead_decrypt(aead, key, &sealed, &nonce, aad).unwrap();
    assert_eq!(opened, data);

    let pair = one.derive_hpke_keypair(config(suite), data).unwrap();
    let same = other.derive_hpke_keypair(config(suite), data).unwrap();
    assert_eq!(
        (&pair.public, &*pair.private),
        (&same.public, &*same.private)
    );
    let sealed = one
        .hpke_seal(config(suite), &pair.public, aad, data, data)
        .unwrap();
    let opened = other.hpke_open(config(suite), &sealed, &pair.private, aad, data);
    assert_eq!(opened.unwrap(), data);
    assert!(
        other
            .hpke_open(config(suite), &sealed, &pair.private, data, b"y")
            .is_err()
    );

    let (kem_output, secret) = one
        .hpke_setup_sender_and_export(config(suite), &pair.public, aad, data, 40)
        .unwrap();
    let found = other.hpke_setup_receiver_and_export(
        config(suite),
        &kem_output,
        &pair.private,
        aad,
        data,
        40,
    );
    assert_eq!(*found.unwrap(), *secret);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn both_providers_understand_each_other(
        data in proptest::collection::vec(any::<u8>(), 32..200),
        aad in proptest::collection::vec(any::<u8>(), 0..50),
    ) {
        let reference = RustCrypto::default();
        for suite in SHARED {
            understands(suite, &AwsLcCrypto, &reference, &data, &aad);
            understands(suite, &reference, &AwsLcCrypto, &data, &aad);
        }
    }

    #[test]
    fn both_providers_derive_the_same(
        key in proptest::collection::vec(any::<u8>(), 32..80),
        data in proptest::collection::vec(any::<u8>(), 0..200),
        len in 0_usize..300,
    ) {
        let reference = RustCrypto::default();
        for hash in [HashType::Sha2_256, HashType::Sha2_384, HashType::Sha2_512] {
            prop_assert_eq!(AwsLcCrypto.hash(hash, &data), reference.hash(hash, &data));
            let key = &[&key[..], &[1; 32]].concat()[..];
            same(AwsLcCrypto.hmac(hash, key, &data), reference.hmac(hash, key, &data))?;
            same(
                AwsLcCrypto.hkdf_extract(hash, &data, key),
                reference.hkdf_extract(hash, &data, key),
            )?;
            same(
                AwsLcCrypto.hkdf_expand(hash, key, &data, len),
                reference.hkdf_expand(hash, key, &data, len),
            )?;
        }
    }
}

type Derived = Result<SecretVLBytes, Refusal>;

fn same(ours: Derived, theirs: Derived) -> Result<(), TestCaseError> {
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    prop_assert_eq!(ours.as_slice(), theirs.as_slice());
    Ok(())
}

#[test]
fn every_suite_works_with_itself_and_the_x448_ones_are_named_as_missing() {
    for suite in AwsLcCrypto.supported_ciphersuites() {
        understands(suite, &AwsLcCrypto, &AwsLcCrypto, &[3; 40], b"aad");
    }
    for number in [4, 6] {
        assert_eq!(
            CipherSuite::try_from(number),
            Err(CryptoError::UnsupportedSuite)
        );
    }
    assert_eq!(CipherSuite::try_from(8), Err(CryptoError::UnknownSuite));
}

#[test]
fn randomness_does_not_repeat() {
    let drawn = [
        AwsLcCrypto.random_array::<16>().unwrap(),
        AwsLcCrypto.random_array::<16>().unwrap(),
    ];
    assert_ne!(drawn[0], drawn[1]);
}
