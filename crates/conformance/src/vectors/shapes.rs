//! The entries of the mlswg vector files, field for field (`test-vectors.md` of
//! `mlswg/mls-implementations`).

use serde::{Deserialize, Serialize};

use super::hex::Hex;

#[derive(Serialize, Deserialize)]
pub(crate) struct TreeMath {
    pub(crate) n_leaves: u32,
    pub(crate) n_nodes: u32,
    pub(crate) root: u32,
    pub(crate) left: Vec<Option<u32>>,
    pub(crate) right: Vec<Option<u32>>,
    pub(crate) parent: Vec<Option<u32>>,
    pub(crate) sibling: Vec<Option<u32>>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Deserialization {
    pub(crate) vlbytes_header: Hex,
    pub(crate) length: u32,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct CryptoBasics {
    pub(crate) cipher_suite: u16,
    pub(crate) ref_hash: RefHash,
    pub(crate) expand_with_label: ExpandWithLabel,
    pub(crate) derive_secret: DeriveSecret,
    pub(crate) derive_tree_secret: DeriveTreeSecret,
    pub(crate) sign_with_label: SignWithLabel,
    pub(crate) encrypt_with_label: EncryptWithLabel,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RefHash {
    pub(crate) label: String,
    pub(crate) value: Hex,
    pub(crate) out: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ExpandWithLabel {
    pub(crate) secret: Hex,
    pub(crate) label: String,
    pub(crate) context: Hex,
    pub(crate) length: u16,
    pub(crate) out: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct DeriveSecret {
    pub(crate) secret: Hex,
    pub(crate) label: String,
    pub(crate) out: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct DeriveTreeSecret {
    pub(crate) secret: Hex,
    pub(crate) label: String,
    pub(crate) generation: u32,
    pub(crate) length: u16,
    pub(crate) out: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SignWithLabel {
    #[serde(rename = "priv")]
    pub(crate) private: Hex,
    #[serde(rename = "pub")]
    pub(crate) public: Hex,
    pub(crate) content: Hex,
    pub(crate) label: String,
    pub(crate) signature: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct EncryptWithLabel {
    #[serde(rename = "priv")]
    pub(crate) private: Hex,
    #[serde(rename = "pub")]
    pub(crate) public: Hex,
    pub(crate) label: String,
    pub(crate) context: Hex,
    pub(crate) plaintext: Hex,
    pub(crate) kem_output: Hex,
    pub(crate) ciphertext: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SecretTree {
    pub(crate) cipher_suite: u16,
    pub(crate) sender_data: SenderData,
    pub(crate) encryption_secret: Hex,
    pub(crate) leaves: Vec<Vec<RatchetStep>>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SenderData {
    pub(crate) sender_data_secret: Hex,
    pub(crate) ciphertext: Hex,
    pub(crate) key: Hex,
    pub(crate) nonce: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RatchetStep {
    pub(crate) generation: u32,
    pub(crate) handshake_key: Hex,
    pub(crate) handshake_nonce: Hex,
    pub(crate) application_key: Hex,
    pub(crate) application_nonce: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct MessageProtection {
    pub(crate) cipher_suite: u16,
    pub(crate) group_id: Hex,
    pub(crate) epoch: u64,
    pub(crate) tree_hash: Hex,
    pub(crate) confirmed_transcript_hash: Hex,
    pub(crate) signature_priv: Hex,
    pub(crate) signature_pub: Hex,
    pub(crate) encryption_secret: Hex,
    pub(crate) sender_data_secret: Hex,
    pub(crate) membership_key: Hex,
    pub(crate) proposal: Hex,
    pub(crate) proposal_pub: Hex,
    pub(crate) proposal_priv: Hex,
    pub(crate) commit: Hex,
    pub(crate) commit_pub: Hex,
    pub(crate) commit_priv: Hex,
    pub(crate) application: Hex,
    pub(crate) application_priv: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct KeySchedule {
    pub(crate) cipher_suite: u16,
    pub(crate) group_id: Hex,
    pub(crate) initial_init_secret: Hex,
    pub(crate) epochs: Vec<KeyScheduleEpoch>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct KeyScheduleEpoch {
    pub(crate) tree_hash: Hex,
    pub(crate) commit_secret: Hex,
    pub(crate) psk_secret: Hex,
    pub(crate) confirmed_transcript_hash: Hex,
    pub(crate) group_context: Hex,
    pub(crate) joiner_secret: Hex,
    pub(crate) welcome_secret: Hex,
    pub(crate) init_secret: Hex,
    pub(crate) sender_data_secret: Hex,
    pub(crate) encryption_secret: Hex,
    pub(crate) exporter_secret: Hex,
    pub(crate) epoch_authenticator: Hex,
    pub(crate) external_secret: Hex,
    pub(crate) confirmation_key: Hex,
    pub(crate) membership_key: Hex,
    pub(crate) resumption_psk: Hex,
    pub(crate) external_pub: Hex,
    pub(crate) exporter: Exporter,
}

/// The label is used as the string given, although it looks like hexadecimal.
#[derive(Serialize, Deserialize)]
pub(crate) struct Exporter {
    pub(crate) label: String,
    pub(crate) context: Hex,
    pub(crate) length: u16,
    pub(crate) secret: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PskSecret {
    pub(crate) cipher_suite: u16,
    pub(crate) psks: Vec<Psk>,
    pub(crate) psk_secret: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Psk {
    pub(crate) psk_id: Hex,
    pub(crate) psk: Hex,
    pub(crate) psk_nonce: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TranscriptHashes {
    pub(crate) cipher_suite: u16,
    pub(crate) confirmation_key: Hex,
    pub(crate) authenticated_content: Hex,
    pub(crate) interim_transcript_hash_before: Hex,
    pub(crate) confirmed_transcript_hash_after: Hex,
    pub(crate) interim_transcript_hash_after: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) cipher_suite: u16,
    pub(crate) init_priv: Hex,
    pub(crate) signer_pub: Hex,
    pub(crate) key_package: Hex,
    pub(crate) welcome: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TreeOperations {
    pub(crate) cipher_suite: u16,
    pub(crate) tree_before: Hex,
    pub(crate) proposal: Hex,
    pub(crate) proposal_sender: u32,
    pub(crate) tree_hash_before: Hex,
    pub(crate) tree_after: Hex,
    pub(crate) tree_hash_after: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TreeValidation {
    pub(crate) cipher_suite: u16,
    pub(crate) tree: Hex,
    pub(crate) group_id: Hex,
    pub(crate) resolutions: Vec<Vec<u32>>,
    pub(crate) tree_hashes: Vec<Hex>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TreeKem {
    pub(crate) cipher_suite: u16,
    pub(crate) group_id: Hex,
    pub(crate) epoch: u64,
    pub(crate) confirmed_transcript_hash: Hex,
    pub(crate) ratchet_tree: Hex,
    pub(crate) leaves_private: Vec<LeafPrivate>,
    pub(crate) update_paths: Vec<UpdatePathCase>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct LeafPrivate {
    pub(crate) index: u32,
    pub(crate) encryption_priv: Hex,
    pub(crate) signature_priv: Hex,
    pub(crate) path_secrets: Vec<NodeSecret>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct NodeSecret {
    pub(crate) node: u32,
    pub(crate) path_secret: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct UpdatePathCase {
    pub(crate) sender: u32,
    pub(crate) update_path: Hex,
    pub(crate) path_secrets: Vec<Option<Hex>>,
    pub(crate) commit_secret: Hex,
    pub(crate) tree_hash_after: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Messages {
    pub(crate) mls_welcome: Hex,
    pub(crate) mls_group_info: Hex,
    pub(crate) mls_key_package: Hex,
    pub(crate) ratchet_tree: Hex,
    pub(crate) group_secrets: Hex,
    pub(crate) add_proposal: Hex,
    pub(crate) update_proposal: Hex,
    pub(crate) remove_proposal: Hex,
    pub(crate) pre_shared_key_proposal: Hex,
    pub(crate) re_init_proposal: Hex,
    pub(crate) external_init_proposal: Hex,
    pub(crate) group_context_extensions_proposal: Hex,
    pub(crate) commit: Hex,
    pub(crate) public_message_application: Hex,
    pub(crate) public_message_proposal: Hex,
    pub(crate) public_message_commit: Hex,
    pub(crate) private_message: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PassiveClient {
    pub(crate) cipher_suite: u16,
    pub(crate) external_psks: Vec<ExternalPsk>,
    pub(crate) key_package: Hex,
    pub(crate) signature_priv: Hex,
    pub(crate) encryption_priv: Hex,
    pub(crate) init_priv: Hex,
    pub(crate) welcome: Hex,
    pub(crate) ratchet_tree: Option<Hex>,
    pub(crate) initial_epoch_authenticator: Hex,
    pub(crate) epochs: Vec<PassiveEpoch>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ExternalPsk {
    pub(crate) psk_id: Hex,
    pub(crate) psk: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PassiveEpoch {
    pub(crate) proposals: Vec<Hex>,
    pub(crate) commit: Hex,
    pub(crate) epoch_authenticator: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PartialSyntax {
    pub(crate) cipher_suite: u16,
    pub(crate) copath_hash: Hex,
    pub(crate) membership_proof: Hex,
    pub(crate) annotated_welcome: Hex,
    pub(crate) annotated_commit: Hex,
    pub(crate) sender_authenticated_public_message: Hex,
    pub(crate) sender_authenticated_private_message: Hex,
    pub(crate) sender_authenticated_welcome: Hex,
    pub(crate) sender_authenticated_group_info: Hex,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PartialProofs {
    pub(crate) cipher_suite: u16,
    pub(crate) tree_hash: Hex,
    pub(crate) proofs: Vec<Hex>,
}

/// An entry of a Partial MLS kind that nothing here checks: only its suite is read.
#[derive(Serialize, Deserialize)]
pub(crate) struct PartialOther {
    pub(crate) cipher_suite: u16,
}
