//! mls-rs with its AWS-LC provider, by its public API.

use anyhow::ensure;
use mls_rs::{CryptoProvider, mls_rs_codec::byte_vec};
use mls_rs_crypto_awslc::AwsLcCryptoProvider;

use crate::{
    engine::{Engine, EngineName},
    passive,
    vectors::{Kind, Vector, shapes},
};

pub(crate) struct MlsRs;

impl Engine for MlsRs {
    fn skips(&self, kind: Kind) -> Option<&'static str> {
        match kind {
            Kind::PassiveClient | Kind::Deserialization => None,
            Kind::Messages => Some("the public API decodes only MLSMessage and the tree"),
            Kind::PartialSyntax
            | Kind::PartialProofs
            | Kind::PartialTree
            | Kind::PartialSender
            | Kind::PartialWelcome
            | Kind::PartialCommit => Some("the library has no Partial MLS"),
            _ => Some("the public API does not reach what the vector tests"),
        }
    }

    fn supports(&self, suite: u16) -> bool {
        AwsLcCryptoProvider::new()
            .cipher_suite_provider(suite.into())
            .is_some()
    }

    fn check(&self, vector: &Vector) -> anyhow::Result<()> {
        match vector {
            Vector::PassiveClient(vector) => passive::check(EngineName::MlsRs, vector),
            Vector::Deserialization(vector) => deserialization(vector),
            _ => anyhow::bail!("this kind is skipped"),
        }
    }
}

fn deserialization(vector: &shapes::Deserialization) -> anyhow::Result<()> {
    let bytes = [&*vector.vlbytes_header, &vec![0; vector.length as usize]].concat();
    let mut rest = &*bytes;
    let read: Vec<u8> = byte_vec::mls_decode(&mut rest)?;
    ensure!(
        read.len() == vector.length as usize && rest.is_empty(),
        "the length"
    );
    Ok(())
}
