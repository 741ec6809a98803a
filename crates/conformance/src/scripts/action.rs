//! What an actor does, as the scripts write it.

use serde::Deserialize;

/// One step. Numbers name earlier steps, counted from the script's beginning.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub(super) enum Action {
    CreateGroup {
        actor: String,
        #[serde(default)]
        members: Vec<String>,
    },
    CreateKeyPackage {
        actor: String,
    },
    AddProposal {
        actor: String,
        #[serde(rename = "keyPackage")]
        key_package: usize,
    },
    UpdateProposal {
        actor: String,
    },
    RemoveProposal {
        actor: String,
        removed: String,
    },
    #[serde(rename = "externalPSKProposal")]
    ExternalPskProposal {
        actor: String,
        #[serde(rename = "pskID")]
        psk: usize,
    },
    #[serde(rename = "resumptionPSKProposal")]
    ResumptionPskProposal {
        actor: String,
        #[serde(rename = "epochID")]
        epoch: u64,
    },
    GroupContextExtensionsProposal {
        actor: String,
        extensions: Vec<Extension>,
    },
    #[serde(rename = "installExternalPSK")]
    InstallExternalPsk {
        clients: Vec<String>,
    },
    FullCommit(FullCommit),
    ExternalJoin(ExternalJoin),
    #[serde(rename_all = "camelCase")]
    Protect {
        actor: String,
        authenticated_data: String,
        plaintext: String,
    },
    Unprotect {
        actor: String,
        ciphertext: usize,
    },
    /// What no client here can do yet.
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
pub(super) struct FullCommit {
    pub(super) actor: String,
    #[serde(default, rename = "byReference")]
    pub(super) by_reference: Vec<usize>,
    #[serde(default, rename = "byValue")]
    pub(super) by_value: Vec<ByValue>,
    #[serde(default)]
    pub(super) members: Vec<String>,
    #[serde(default)]
    pub(super) joiners: Vec<String>,
    #[serde(default)]
    pub(super) external_tree: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExternalJoin {
    pub(super) actor: String,
    pub(super) joiner: String,
    #[serde(default)]
    pub(super) members: Vec<String>,
    #[serde(default)]
    pub(super) external_tree: bool,
    #[serde(default)]
    pub(super) remove_prior: bool,
    #[serde(default)]
    pub(super) psks: Vec<usize>,
}

/// A proposal that stands in the Commit itself.
#[derive(Debug, Deserialize)]
#[serde(tag = "proposalType", rename_all = "camelCase")]
pub(super) enum ByValue {
    Add {
        #[serde(rename = "keyPackage")]
        key_package: usize,
    },
    Remove {
        removed: String,
    },
    #[serde(rename = "externalPSK")]
    ExternalPsk {
        #[serde(rename = "pskID")]
        psk: usize,
    },
    #[serde(rename = "resumptionPSK")]
    ResumptionPsk {
        #[serde(rename = "epochID")]
        epoch: u64,
    },
    GroupContextExtensions {
        extensions: Vec<Extension>,
    },
}

/// An extension, its content in Base64.
#[derive(Debug, Deserialize)]
pub(super) struct Extension {
    pub(super) extension_type: u16,
    pub(super) extension_data: String,
}
