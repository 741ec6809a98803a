//! Conclave's own crates: `mls-public` and `mls-member`.

mod basics;
mod messages;
pub(crate) mod protection;
mod schedule;
mod tree;
mod treekem;

use anyhow::Context as _;
use conclave_crypto::CipherSuite;

use crate::{
    engine::{Engine, EngineName},
    passive,
    vectors::{Kind, Vector},
};

pub(crate) struct Ours;

impl Engine for Ours {
    fn skips(&self, kind: Kind) -> Option<&'static str> {
        match kind {
            Kind::PartialTree
            | Kind::PartialSender
            | Kind::PartialWelcome
            | Kind::PartialCommit => Some("light members are not built yet"),
            _ => None,
        }
    }

    fn supports(&self, suite: u16) -> bool {
        CipherSuite::try_from(suite).is_ok()
    }

    fn check(&self, vector: &Vector) -> anyhow::Result<()> {
        match vector {
            Vector::TreeMath(vector) => basics::tree_math(vector),
            Vector::Deserialization(vector) => basics::deserialization(vector),
            Vector::CryptoBasics(vector) => basics::crypto_basics(vector),
            Vector::SecretTree(vector) => schedule::secret_tree(vector),
            Vector::MessageProtection(vector) => protection::message_protection(vector),
            Vector::KeySchedule(vector) => schedule::key_schedule(vector),
            Vector::PskSecret(vector) => schedule::psks(vector),
            Vector::TranscriptHashes(vector) => schedule::transcript_hashes(vector),
            Vector::Welcome(vector) => messages::welcome(vector),
            Vector::TreeOperations(vector) => tree::operations(vector),
            Vector::TreeValidation(vector) => tree::validation(vector),
            Vector::TreeKem(vector) => treekem::treekem(vector),
            Vector::Messages(vector) => messages::messages(vector),
            Vector::PassiveClient(vector) => passive::check(EngineName::Ours, vector),
            Vector::PartialSyntax(vector) => messages::partial_syntax(vector),
            Vector::PartialProofs(vector) => tree::membership_proofs(vector),
            Vector::PartialTree(_)
            | Vector::PartialSender(_)
            | Vector::PartialWelcome(_)
            | Vector::PartialCommit(_) => anyhow::bail!("this kind is skipped"),
        }
    }
}

fn suite(number: u16) -> anyhow::Result<CipherSuite> {
    CipherSuite::try_from(number).context("the suite")
}

/// That something which must not hold was refused.
fn refused<T>(what: &str, outcome: &Result<T, impl Sized>) -> anyhow::Result<()> {
    anyhow::ensure!(outcome.is_err(), "{what} was not refused");
    Ok(())
}
