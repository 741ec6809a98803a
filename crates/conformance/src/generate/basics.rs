use conclave_crypto::{CipherSuite, Secret, SystemRandomness};
use conclave_mls_public::math::{NodeIndex, TreeSize};

use super::random;
use crate::{client::identity::Identity, vectors::shapes};

const LABEL: &str = "generated";

pub(super) fn tree_math(height: u32) -> anyhow::Result<shapes::TreeMath> {
    let size = TreeSize::of_leaves(1 << height)?;
    let each = |relative: &dyn Fn(NodeIndex) -> Option<NodeIndex>| {
        let nodes = (0..size.nodes()).map(NodeIndex);
        nodes
            .map(|node| relative(node).map(|other| other.0))
            .collect()
    };
    Ok(shapes::TreeMath {
        n_leaves: size.leaves(),
        n_nodes: size.nodes(),
        root: size.root().0,
        left: each(&NodeIndex::left),
        right: each(&NodeIndex::right),
        parent: each(&|node| size.parent(node)),
        sibling: each(&|node| size.sibling(node)),
    })
}

pub(super) fn deserialization() -> Vec<shapes::Deserialization> {
    let around = [0_u32, 1, 63, 64, 16_383, 16_384, 1 << 20];
    let header = |length: u32| match length {
        // RFC 9420 §2.1.2: two bits say how long the length is.
        0..=63 => length.to_be_bytes()[3..].to_vec(),
        64..=16_383 => (length | 0x4000).to_be_bytes()[2..].to_vec(),
        _ => (length | 0x8000_0000).to_be_bytes().to_vec(),
    };
    let case = |length| shapes::Deserialization {
        vlbytes_header: header(length).into(),
        length,
    };
    around.map(case).into()
}

pub(super) fn crypto_basics(suite: CipherSuite) -> anyhow::Result<shapes::CryptoBasics> {
    let (value, context) = (random(64)?, random(32)?);
    let bytes = random(suite.hash_len())?;
    let secret = Secret::from(&*bytes);
    let label = LABEL.to_owned();
    let tree_secret = suite.derive_tree_secret(&secret, LABEL, 7, suite.key_len())?;
    let expanded = suite.expand_with_label(&secret, LABEL, &context, 16)?;
    Ok(shapes::CryptoBasics {
        cipher_suite: suite.into(),
        ref_hash: shapes::RefHash {
            label: label.clone(),
            out: suite.ref_hash(LABEL, &value).as_bytes().into(),
            value,
        },
        expand_with_label: shapes::ExpandWithLabel {
            secret: bytes.clone(),
            label: label.clone(),
            context,
            length: 16,
            out: expanded.as_bytes().into(),
        },
        derive_secret: shapes::DeriveSecret {
            secret: bytes.clone(),
            label: label.clone(),
            out: suite.derive_secret(&secret, LABEL)?.as_bytes().into(),
        },
        derive_tree_secret: shapes::DeriveTreeSecret {
            secret: bytes,
            label,
            generation: 7,
            length: u16::try_from(suite.key_len())?,
            out: tree_secret.as_bytes().into(),
        },
        sign_with_label: signature(suite)?,
        encrypt_with_label: encryption(suite)?,
    })
}

fn signature(suite: CipherSuite) -> anyhow::Result<shapes::SignWithLabel> {
    let Identity { private, key, .. } = Identity::new(suite, LABEL)?;
    let content = random(100)?;
    Ok(shapes::SignWithLabel {
        private: private.as_bytes().into(),
        public: key.public().into(),
        signature: key.sign_with_label(LABEL, &content)?.into(),
        content,
        label: LABEL.to_owned(),
    })
}

fn encryption(suite: CipherSuite) -> anyhow::Result<shapes::EncryptWithLabel> {
    let mut rng = SystemRandomness;
    let pair = suite.generate_key_pair(&mut rng)?;
    let (context, plaintext) = (random(32)?, random(48)?);
    let sealed = suite.encrypt_with_label(pair.public(), LABEL, &context, &plaintext, &mut rng)?;
    Ok(shapes::EncryptWithLabel {
        private: pair.private().as_bytes().into(),
        public: pair.public().into(),
        label: LABEL.to_owned(),
        context,
        plaintext,
        kem_output: sealed.kem_output.into(),
        ciphertext: sealed.ciphertext.into(),
    })
}
