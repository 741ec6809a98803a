//! What an actor does, as the scripts write it.

use serde::Deserialize;

/// One step. Numbers name earlier steps, counted from the script's beginning.
#[derive(Debug, Clone, Deserialize)]
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
    #[serde(rename_all = "camelCase")]
    AddProposal {
        actor: String,
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
    #[serde(rename = "reinit")]
    ReInit(ReInit),
    Branch(Branch),
    NewMemberAddProposal {
        actor: String,
        joiner: String,
    },
    AddExternalSigner {
        actor: String,
        signer: String,
    },
    ExternalSignerProposal {
        actor: String,
        member: String,
        description: Description,
    },
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct FullCommit {
    pub(super) actor: String,
    #[serde(default, rename = "byReference")]
    pub(super) by_reference: Vec<usize>,
    #[serde(default, rename = "byValue")]
    pub(super) by_value: Vec<Description>,
    #[serde(default)]
    pub(super) members: Vec<String>,
    #[serde(default)]
    pub(super) joiners: Vec<String>,
    #[serde(default)]
    pub(super) force_path: bool,
    #[serde(default)]
    pub(super) external_tree: bool,
}

#[derive(Debug, Clone, Deserialize)]
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

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReInit {
    /// Who proposes it, unless it was proposed from outside.
    pub(super) proposer: Option<String>,
    pub(super) external_reinit_proposal: Option<usize>,
    pub(super) committer: String,
    pub(super) welcomer: String,
    #[serde(default)]
    pub(super) members: Vec<String>,
    #[serde(default, rename = "changeGroupID")]
    pub(super) change_group_id: bool,
    #[serde(default, alias = "changeCipherSuite")]
    pub(super) change_ciphersuite: bool,
    #[serde(default)]
    pub(super) extensions: Vec<Extension>,
    #[serde(default)]
    pub(super) force_path: bool,
    #[serde(default)]
    pub(super) external_tree: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Branch {
    pub(super) actor: String,
    #[serde(default)]
    pub(super) members: Vec<String>,
    #[serde(default)]
    pub(super) extensions: Vec<Extension>,
    #[serde(default)]
    pub(super) force_path: bool,
    #[serde(default)]
    pub(super) external_tree: bool,
}

/// A proposal that stands in the Commit itself, or comes from outside.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "proposalType", rename_all = "camelCase")]
pub(super) enum Description {
    #[serde(rename_all = "camelCase")]
    Add {
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
    #[serde(rename = "reinit")]
    ReInit {
        #[serde(default, rename = "changeGroupID")]
        change_group_id: bool,
        #[serde(default, rename = "changeCipherSuite", alias = "changeCiphersuite")]
        change_ciphersuite: bool,
        #[serde(default)]
        extensions: Vec<Extension>,
    },
}

/// An extension, its content in Base64.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Extension {
    pub(super) extension_type: u16,
    pub(super) extension_data: String,
}

impl Action {
    /// Who takes part, in the order in which they are named.
    pub(super) fn actors(&self) -> Vec<&str> {
        let named: Vec<&String> = match self {
            Self::CreateGroup { actor, members } => [actor].into_iter().chain(members).collect(),
            Self::CreateKeyPackage { actor }
            | Self::AddProposal { actor, .. }
            | Self::UpdateProposal { actor }
            | Self::RemoveProposal { actor, .. }
            | Self::ExternalPskProposal { actor, .. }
            | Self::ResumptionPskProposal { actor, .. }
            | Self::GroupContextExtensionsProposal { actor, .. }
            | Self::Protect { actor, .. }
            | Self::Unprotect { actor, .. } => vec![actor],
            Self::InstallExternalPsk { clients } => clients.iter().collect(),
            Self::FullCommit(commit) => {
                let all = [&commit.actor].into_iter().chain(&commit.members);
                all.chain(&commit.joiners).collect()
            }
            Self::ExternalJoin(join) => {
                let both = [&join.actor, &join.joiner];
                both.into_iter().chain(&join.members).collect()
            }
            Self::ReInit(reinit) => reinit.everybody(),
            Self::Branch(branch) => [&branch.actor].into_iter().chain(&branch.members).collect(),
            Self::NewMemberAddProposal { actor, joiner } => vec![actor, joiner],
            Self::AddExternalSigner { actor, signer } => vec![actor, signer],
            Self::ExternalSignerProposal { actor, member, .. } => vec![actor, member],
        };
        named.into_iter().map(String::as_str).collect()
    }
}

impl ReInit {
    /// All members of the group, each once.
    pub(super) fn everybody(&self) -> Vec<&String> {
        let mut all: Vec<&String> = Vec::new();
        let acting = self
            .proposer
            .iter()
            .chain([&self.committer, &self.welcomer]);
        for name in acting.chain(&self.members) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        all
    }
}
