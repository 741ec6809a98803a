//! Objects as they travel.

use anyhow::{Context as _, bail};
use conclave_mls_member::{GroupSecrets, open_group_info, psk_secret};
use conclave_mls_public::wire::{
    AnnotatedCommit, AnnotatedWelcome, Bytes, Commit, CopathHash, Extensions, GroupInfo,
    KeyPackage, LeafNode, MembershipProof, MlsMessage, Node, PreSharedKeyId, PrivateMessage,
    PublicMessage, ReInit, SenderAuthenticated, Welcome, decode, encode,
};
use tls_codec::{DeserializeBytes, Serialize};

use super::suite;
use crate::vectors::{same, shapes};

pub(super) fn messages(vector: &shapes::Messages) -> anyhow::Result<()> {
    let framed = [
        ("mls_welcome", &vector.mls_welcome),
        ("mls_group_info", &vector.mls_group_info),
        ("mls_key_package", &vector.mls_key_package),
        (
            "public_message_application",
            &vector.public_message_application,
        ),
        ("public_message_proposal", &vector.public_message_proposal),
        ("public_message_commit", &vector.public_message_commit),
        ("private_message", &vector.private_message),
    ];
    for (what, bytes) in framed {
        round_trip::<MlsMessage>(what, bytes)?;
    }
    round_trip::<Vec<Option<Node>>>("ratchet_tree", &vector.ratchet_tree)?;
    round_trip::<GroupSecrets>("group_secrets", &vector.group_secrets)?;
    round_trip::<KeyPackage>("add_proposal", &vector.add_proposal)?;
    round_trip::<LeafNode>("update_proposal", &vector.update_proposal)?;
    round_trip::<u32>("remove_proposal", &vector.remove_proposal)?;
    round_trip::<PreSharedKeyId>("pre_shared_key_proposal", &vector.pre_shared_key_proposal)?;
    round_trip::<ReInit>("re_init_proposal", &vector.re_init_proposal)?;
    round_trip::<Bytes>("external_init_proposal", &vector.external_init_proposal)?;
    let extensions = &vector.group_context_extensions_proposal;
    round_trip::<Extensions>("group_context_extensions_proposal", extensions)?;
    round_trip::<Commit>("commit", &vector.commit)
}

pub(super) fn partial_syntax(vector: &shapes::PartialSyntax) -> anyhow::Result<()> {
    round_trip::<CopathHash>("copath_hash", &vector.copath_hash)?;
    round_trip::<MembershipProof>("membership_proof", &vector.membership_proof)?;
    round_trip::<AnnotatedWelcome>("annotated_welcome", &vector.annotated_welcome)?;
    round_trip::<AnnotatedCommit>("annotated_commit", &vector.annotated_commit)?;
    let bytes = &vector.sender_authenticated_public_message;
    round_trip::<SenderAuthenticated<PublicMessage>>("public_message", bytes)?;
    let bytes = &vector.sender_authenticated_private_message;
    round_trip::<SenderAuthenticated<PrivateMessage>>("private_message", bytes)?;
    let bytes = &vector.sender_authenticated_welcome;
    round_trip::<SenderAuthenticated<Welcome>>("welcome", bytes)?;
    let bytes = &vector.sender_authenticated_group_info;
    round_trip::<SenderAuthenticated<GroupInfo>>("group_info", bytes)
}

pub(super) fn welcome(vector: &shapes::Welcome) -> anyhow::Result<()> {
    let suite = suite(vector.cipher_suite)?;
    let (MlsMessage::KeyPackage(key_package), MlsMessage::Welcome(welcome)) =
        (decode(&vector.key_package)?, decode(&vector.welcome)?)
    else {
        bail!("no KeyPackage or no Welcome")
    };
    let init = suite.key_pair(&vector.init_priv)?;
    let told = GroupSecrets::open(suite, &welcome, &key_package, &init)?;
    let member = told
        .joiner_secret()
        .with_psks(suite, &psk_secret(suite, &[])?);
    let info = open_group_info(suite, &welcome, &member)?;
    info.verify(suite, &vector.signer_pub)?;
    let (secrets, _) = member.epoch(&encode(&info.group_context)?)?;
    let confirmed = info.group_context.confirmed_transcript_hash.as_slice();
    let key = secrets.confirmation_key().as_bytes();
    suite
        .verify_mac(key, confirmed, info.confirmation_tag.as_slice())
        .context("the confirmation tag")
}

fn round_trip<T: DeserializeBytes + Serialize>(what: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let object: T = decode(bytes).with_context(|| what.to_owned())?;
    same(what, &encode(&object)?, bytes)
}
