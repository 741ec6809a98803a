use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{Credential, ExtensionType, ProposalType};

/// What a client can do (RFC 9420 §7.2).
#[derive(Debug, Clone, PartialEq, Eq, Default, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct Capabilities {
    /// Protocol versions.
    pub versions: Vec<u16>,
    /// Cipher suites.
    pub cipher_suites: Vec<u16>,
    /// Extensions beyond the default ones.
    pub extensions: Vec<ExtensionType>,
    /// Proposals beyond the default ones.
    pub proposals: Vec<ProposalType>,
    /// Credential types.
    pub credentials: Vec<u16>,
}

impl Capabilities {
    /// Whether the client knows this extension; the default ones go without saying (§7.2).
    pub fn supports_extension(&self, extension: ExtensionType) -> bool {
        extension.is_default() || self.extensions.contains(&extension)
    }

    /// Whether the client knows this proposal; the default ones go without saying (§7.2).
    pub fn supports_proposal(&self, proposal: ProposalType) -> bool {
        proposal.is_default() || self.proposals.contains(&proposal)
    }

    /// Whether the client understands credentials of this one's type.
    pub fn supports_credential(&self, credential: &Credential) -> bool {
        self.credentials.contains(&credential.credential_type())
    }

    /// Whether the client can do all that is required (§11.1).
    pub fn satisfies(&self, required: &RequiredCapabilities) -> bool {
        let extensions = required.extension_types.iter();
        let proposals = required.proposal_types.iter();
        let credentials = required.credential_types.iter();
        extensions
            .copied()
            .all(|kind| self.supports_extension(kind))
            && proposals.copied().all(|kind| self.supports_proposal(kind))
            && credentials
                .copied()
                .all(|kind| self.credentials.contains(&kind))
    }
}

/// What every member must be able to do (RFC 9420 §11.1).
#[derive(Debug, Clone, PartialEq, Eq, Default, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct RequiredCapabilities {
    /// Extensions.
    pub extension_types: Vec<ExtensionType>,
    /// Proposals.
    pub proposal_types: Vec<ProposalType>,
    /// Credential types.
    pub credential_types: Vec<u16>,
}
