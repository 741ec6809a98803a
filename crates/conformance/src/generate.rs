//! Fresh vectors, made with Conclave's crates.

mod basics;
mod client;
mod messages;
mod passive;
mod schedule;
mod tree;

use anyhow::bail;
use conclave_crypto::{CipherSuite, Random as _, SystemRandomness};
use serde::Serialize;

use crate::vectors::hex::Hex;

/// The kinds that can be made.
const KINDS: [&str; 14] = [
    "tree-math",
    "deserialization",
    "crypto-basics",
    "key-schedule",
    "psk_secret",
    "secret-tree",
    "message-protection",
    "transcript-hashes",
    "tree-operations",
    "tree-validation",
    "treekem",
    "welcome",
    "messages",
    "passive-client",
];

/// Fresh entries of a kind as a JSON array: where it names suites, for each that is supported.
///
/// # Errors
///
/// If the kind is none of those that can be made, or there is no randomness.
pub fn generate(kind: &str) -> anyhow::Result<String> {
    match kind {
        "tree-math" => json((0..10).map(basics::tree_math)),
        "deserialization" => json(basics::deserialization().into_iter().map(Ok)),
        "crypto-basics" => for_each_suite(basics::crypto_basics),
        "key-schedule" => for_each_suite(schedule::key_schedule),
        "psk_secret" => for_each_suite(schedule::psk_secret_of_three),
        "secret-tree" => for_each_suite(schedule::secret_tree),
        "message-protection" => for_each_suite(messages::message_protection),
        "transcript-hashes" => for_each_suite(messages::transcript_hashes),
        "tree-operations" => json(tree::tree_operations()?.into_iter().map(Ok)),
        "tree-validation" => json(tree::tree_validation()?.into_iter().map(Ok)),
        "treekem" => json(tree::treekem()?.into_iter().map(Ok)),
        "welcome" => for_each_suite(messages::welcome),
        "messages" => for_each_suite(messages::messages),
        "passive-client" => for_each_suite(passive::passive_client),
        _ => bail!(
            "can't make vectors of the kind {kind}; try one of {}",
            KINDS.join(", ")
        ),
    }
}

fn for_each_suite<T: Serialize>(
    make: impl Fn(CipherSuite) -> anyhow::Result<T>,
) -> anyhow::Result<String> {
    json(CipherSuite::ALL.into_iter().map(make))
}

fn json<T: Serialize>(entries: impl Iterator<Item = anyhow::Result<T>>) -> anyhow::Result<String> {
    let entries = entries.collect::<anyhow::Result<Vec<_>>>()?;
    Ok(serde_json::to_string_pretty(&entries)?)
}

fn random(len: usize) -> anyhow::Result<Hex> {
    let mut bytes = vec![0; len];
    SystemRandomness.fill(&mut bytes)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EngineName, engine::Verdict, vectors::parse};

    #[test]
    fn what_is_generated_holds_for_every_engine() {
        for kind in KINDS {
            let entries = parse(generate(kind).unwrap().as_bytes()).unwrap();
            for (entry, engine) in entries
                .iter()
                .flat_map(|entry| EngineName::ALL.map(|engine| (entry, engine)))
            {
                match engine.judge(entry) {
                    Verdict::Fail(why) => panic!("{kind}, {engine:?}: {why}"),
                    Verdict::Skip(why) => assert_ne!(engine, EngineName::Ours, "{kind}: {why}"),
                    Verdict::Pass => {}
                }
            }
        }
    }
}
