//! What stands below MLS: tree arithmetic, lengths, labelled cryptography.

use anyhow::ensure;
use conclave_crypto::{Secret, SigningKey, SystemRandomness};
use conclave_mls_public::math::{NodeIndex, TreeSize};
use tls_codec::{DeserializeBytes as _, VLBytes};

use super::{refused, suite};
use crate::vectors::{same, shapes};

pub(super) fn tree_math(vector: &shapes::TreeMath) -> anyhow::Result<()> {
    let size = TreeSize::of_leaves(vector.n_leaves)?;
    ensure!(
        size.nodes() == vector.n_nodes,
        "n_nodes is {}",
        size.nodes()
    );
    ensure!(
        size.root().0 == vector.root,
        "the root is {}",
        size.root().0
    );
    for index in 0..vector.n_nodes {
        let (node, at) = (NodeIndex(index), index as usize);
        let all = [
            ("left", node.left(), &vector.left),
            ("right", node.right(), &vector.right),
            ("parent", size.parent(node), &vector.parent),
            ("sibling", size.sibling(node), &vector.sibling),
        ];
        for (what, got, expected) in all {
            let (got, expected) = (got.map(|node| node.0), expected.get(at).copied().flatten());
            ensure!(
                got == expected,
                "{what} of {index} is {got:?}, not {expected:?}"
            );
        }
    }
    Ok(())
}

pub(super) fn deserialization(vector: &shapes::Deserialization) -> anyhow::Result<()> {
    let mut bytes = vector.vlbytes_header.to_vec();
    bytes.resize(bytes.len() + vector.length as usize, 7);
    let (read, rest) = VLBytes::tls_deserialize_bytes(&bytes)?;
    ensure!(
        read.as_slice().len() == vector.length as usize && rest.is_empty(),
        "the length"
    );
    Ok(())
}

pub(super) fn crypto_basics(vector: &shapes::CryptoBasics) -> anyhow::Result<()> {
    let suite = suite(vector.cipher_suite)?;
    let case = &vector.ref_hash;
    same(
        "ref_hash",
        suite.ref_hash(&case.label, &case.value).as_bytes(),
        &case.out,
    )?;
    let case = &vector.expand_with_label;
    let (secret, len) = (Secret::from(&*case.secret), case.length.into());
    let out = suite.expand_with_label(&secret, &case.label, &case.context, len)?;
    same("expand_with_label", out.as_bytes(), &case.out)?;
    let case = &vector.derive_secret;
    let out = suite.derive_secret(&Secret::from(&*case.secret), &case.label)?;
    same("derive_secret", out.as_bytes(), &case.out)?;
    let case = &vector.derive_tree_secret;
    let (secret, len) = (Secret::from(&*case.secret), case.length.into());
    let out = suite.derive_tree_secret(&secret, &case.label, case.generation, len)?;
    same("derive_tree_secret", out.as_bytes(), &case.out)?;
    signatures(vector)?;
    encryption(vector)
}

fn signatures(vector: &shapes::CryptoBasics) -> anyhow::Result<()> {
    let (suite, case) = (suite(vector.cipher_suite)?, &vector.sign_with_label);
    suite.verify_with_label(&case.public, &case.label, &case.content, &case.signature)?;
    let key = SigningKey::from_bytes(suite, &case.private)?;
    same("the public key", key.public(), &case.public)?;
    let fresh = key.sign_with_label(&case.label, &case.content)?;
    suite.verify_with_label(&case.public, &case.label, &case.content, &fresh)?;
    let other = suite.verify_with_label(&case.public, "another label", &case.content, &fresh);
    refused("a signature under another label", &other)
}

fn encryption(vector: &shapes::CryptoBasics) -> anyhow::Result<()> {
    let (suite, case) = (suite(vector.cipher_suite)?, &vector.encrypt_with_label);
    let pair = suite.key_pair(&case.private)?;
    same("the public key", pair.public(), &case.public)?;
    let open = |kem: &[u8], ciphertext: &[u8]| {
        suite.decrypt_with_label(&pair, &case.label, &case.context, kem, ciphertext)
    };
    let opened = open(&case.kem_output, &case.ciphertext)?;
    same("the plaintext", opened.as_bytes(), &case.plaintext)?;
    let mut random = SystemRandomness;
    let fresh = suite.encrypt_with_label(
        &case.public,
        &case.label,
        &case.context,
        &case.plaintext,
        &mut random,
    )?;
    let opened = open(&fresh.kem_output, &fresh.ciphertext)?;
    same("the fresh plaintext", opened.as_bytes(), &case.plaintext)
}
