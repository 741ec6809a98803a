//! OpenMLS with Conclave's provider, by its public API.

use anyhow::{bail, ensure};
use conclave_crypto::Crypto;
use openmls::prelude::{
    Ciphersuite, OpenMlsCrypto as _,
    tls_codec::{DeserializeBytes as _, VLBytes},
};

use crate::{
    engine::{Engine, EngineName},
    passive,
    vectors::{Kind, Vector, shapes},
};

pub(crate) struct OpenMls;

impl Engine for OpenMls {
    fn skips(&self, kind: Kind) -> Option<&'static str> {
        match kind {
            Kind::PassiveClient | Kind::Deserialization => None,
            Kind::Messages => Some("the public API does not decode GroupSecrets and Commit"),
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
        Ciphersuite::try_from(suite).is_ok_and(|suite| Crypto::default().supports(suite).is_ok())
    }

    fn excuse(&self, error: &anyhow::Error) -> Option<&'static str> {
        let is_over = format!("{error:#}").contains("Lifetime is in the past");
        is_over.then_some(
            "KeyPackages in it have expired, which the library checks against today's clock",
        )
    }

    fn check(&self, vector: &Vector) -> anyhow::Result<()> {
        match vector {
            Vector::PassiveClient(vector) => passive::check(EngineName::Openmls, vector),
            Vector::Deserialization(vector) => deserialization(vector),
            _ => bail!("this kind is skipped"),
        }
    }
}

fn deserialization(vector: &shapes::Deserialization) -> anyhow::Result<()> {
    let bytes = [&*vector.vlbytes_header, &vec![0; vector.length as usize]].concat();
    let read = VLBytes::tls_deserialize_exact_bytes(&bytes)?;
    ensure!(
        read.as_slice().len() == vector.length as usize,
        "the length"
    );
    Ok(())
}
