use super::*;

/// One case of RFC 9180 Appendix A in base mode, with the first message under it.
struct Case {
    hpke: Hpke,
    ephemeral: &'static str,
    receiver: &'static str,
    kem_output: &'static str,
    ciphertext: &'static str,
}

const INFO: &str = "4f6465206f6e2061204772656369616e2055726e";
const AAD: &str = "436f756e742d30";
const PLAINTEXT: &str = "4265617574792069732074727574682c20747275746820626561757479";

/// RFC 9180 A.1.1, A.2.1, A.3.1, A.6.1. There are none for P-384.
const CASES: [Case; 4] = [
    Case {
        hpke: Hpke {
            kem: KemAlgorithm::X25519,
            kdf: HashAlgorithm::Sha256,
            aead: AeadAlgorithm::Aes128Gcm,
        },
        ephemeral: "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736",
        receiver: "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
        kem_output: "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
        ciphertext: "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9\
                     6d8770ac83d07bea87e13c512a",
    },
    Case {
        hpke: Hpke {
            kem: KemAlgorithm::X25519,
            kdf: HashAlgorithm::Sha256,
            aead: AeadAlgorithm::ChaCha20Poly1305,
        },
        ephemeral: "f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600",
        receiver: "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb",
        kem_output: "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a",
        ciphertext: "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db\
                     21993c62ce81883d2dd1b51a28",
    },
    Case {
        hpke: Hpke {
            kem: KemAlgorithm::P256,
            kdf: HashAlgorithm::Sha256,
            aead: AeadAlgorithm::Aes128Gcm,
        },
        ephemeral: "4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb",
        receiver: "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2",
        kem_output: "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325a\
                     c98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4",
        ciphertext: "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f\
                     9076ac232e3ab2523f39513434",
    },
    Case {
        hpke: Hpke {
            kem: KemAlgorithm::P521,
            kdf: HashAlgorithm::Sha512,
            aead: AeadAlgorithm::Aes256Gcm,
        },
        ephemeral: "014784c692da35df6ecde98ee43ac425dbdd0969c0c72b42f2e708ab9d535415\
                    a8569bdacfcc0a114c85b8e3f26acf4d68115f8c91a66178cdbd03b7bcc5291e374b",
        receiver: "01462680369ae375e4b3791070a7458ed527842f6a98a79ff5e0d4cbde83c271\
                   96a3916956655523a6a2556a7af62c5cadabe2ef9da3760bb21e005202f7b2462847",
        kem_output: "040138b385ca16bb0d5fa0c0665fbbd7e69e3ee29f63991d3e9b5fa740aab890\
                     0aaeed46ed73a49055758425a0ce36507c54b29cc5b85a5cee6bae0cf1c21f27\
                     31ece2013dc3fb7c8d21654bb161b463962ca19e8c654ff24c94dd2898de1205\
                     1f1ed0692237fb02b2f8d1dc1c73e9b366b529eb436e98a996ee522aef863dd5\
                     739d2f29b0",
        ciphertext: "170f8beddfe949b75ef9c387e201baf4132fa7374593dfafa90768788b7b2b20\
                     0aafcc6d80ea4c795a7c5b841a",
    },
];

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

#[test]
fn the_cases_of_rfc_9180_hold_both_ways() {
    for case in CASES {
        let hpke = case.hpke;
        let receiver = hpke.kem.key_pair(&bytes(case.receiver)).unwrap();
        let ephemeral = hpke.kem.key_pair(&bytes(case.ephemeral)).unwrap();
        let sent = hpke.kem.encap(ephemeral, receiver.public()).unwrap();
        assert_eq!(sent.kem_output, bytes(case.kem_output));
        let context = hpke
            .key_schedule(&sent.shared_secret, &bytes(INFO))
            .unwrap();
        let (key, nonce) = (context.key.as_bytes(), context.nonce.as_bytes());
        let sealed = hpke
            .aead
            .seal(key, nonce, &bytes(AAD), &bytes(PLAINTEXT))
            .unwrap();
        assert_eq!(sealed, bytes(case.ciphertext));
        let opened = hpke.open(
            &receiver,
            &sent.kem_output,
            &bytes(INFO),
            &bytes(AAD),
            &sealed,
        );
        assert_eq!(opened.unwrap(), bytes(PLAINTEXT));
    }
}

#[test]
fn a_point_off_the_curve_a_compressed_one_and_a_small_one_are_no_public_keys() {
    let receiver = KemAlgorithm::P256.key_pair(&[1; 32]).unwrap();
    let mut off_curve = receiver.public().to_vec();
    off_curve[64] ^= 1;
    let compressed = [&[2], &receiver.public()[1..33]].concat();
    for public in [off_curve, compressed] {
        let refused = KemAlgorithm::P256.decap(&public, &receiver);
        assert_eq!(refused, Err(CryptoError::PublicKey));
    }
    let receiver = KemAlgorithm::X25519.key_pair(&[1; 32]).unwrap();
    let refused = KemAlgorithm::X25519.decap(&[0; 32], &receiver);
    assert_eq!(refused, Err(CryptoError::PublicKey));
}
