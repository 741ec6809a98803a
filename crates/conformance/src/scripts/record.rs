//! Turns what is played into cases for clients that only listen.

use std::collections::BTreeMap;

use anyhow::bail;
use conclave_mls_public::wire::{Content, MlsMessage, Proposal, decode, encode};

use super::stage::Epoch;
use crate::{
    mls_client::{CreateKeyPackageResponse, NewMemberAddProposalResponse},
    vectors::{hex::Hex, shapes},
};

/// Who has a KeyPackage, and who has joined with it.
#[derive(Default)]
pub(super) struct Recorder {
    invited: BTreeMap<String, Invitation>,
    psks: BTreeMap<String, Vec<shapes::ExternalPsk>>,
    running: BTreeMap<String, shapes::PassiveClient>,
    done: Vec<shapes::PassiveClient>,
}

struct Invitation {
    key_package: Vec<u8>,
    init: Vec<u8>,
    encryption: Vec<u8>,
    signature: Vec<u8>,
}

impl Recorder {
    pub(super) fn invited(&mut self, name: &str, made: CreateKeyPackageResponse) {
        let invitation = Invitation {
            key_package: made.key_package,
            init: made.init_priv,
            encryption: made.encryption_priv,
            signature: made.signature_priv,
        };
        self.invited.insert(name.to_owned(), invitation);
    }

    /// A KeyPackage that travelled inside of a proposal.
    ///
    /// # Errors
    /// If it is no such proposal.
    pub(super) fn proposed(
        &mut self,
        name: &str,
        made: &NewMemberAddProposalResponse,
    ) -> anyhow::Result<()> {
        let key_package = proposed_package(&made.proposal)?;
        let invitation = Invitation {
            key_package,
            init: made.init_priv.clone(),
            encryption: made.encryption_priv.clone(),
            signature: made.signature_priv.clone(),
        };
        self.invited.insert(name.to_owned(), invitation);
        Ok(())
    }

    pub(super) fn knows_psk(&mut self, name: &str, id: &[u8], secret: &[u8]) {
        let psk = || shapes::ExternalPsk {
            psk_id: Hex::from(id.to_vec()),
            psk: Hex::from(secret.to_vec()),
        };
        self.psks.entry(name.to_owned()).or_default().push(psk());
        if let Some(case) = self.running.get_mut(name) {
            case.external_psks.push(psk());
        }
    }

    pub(super) fn joined(
        &mut self,
        name: &str,
        suite: u16,
        welcome: &[u8],
        tree: &[u8],
        authenticator: &[u8],
    ) {
        let Some(invitation) = self.invited.remove(name) else {
            return;
        };
        let psks = self.psks.get(name).into_iter().flatten();
        let case = shapes::PassiveClient {
            cipher_suite: suite,
            external_psks: psks.cloned().collect(),
            key_package: invitation.key_package.into(),
            signature_priv: invitation.signature.into(),
            encryption_priv: invitation.encryption.into(),
            init_priv: invitation.init.into(),
            welcome: welcome.to_vec().into(),
            ratchet_tree: (!tree.is_empty()).then(|| tree.to_vec().into()),
            initial_epoch_authenticator: authenticator.to_vec().into(),
            epochs: Vec::new(),
        };
        self.running.insert(name.to_owned(), case);
    }

    pub(super) fn followed(&mut self, name: &str, epoch: &Epoch<'_>, authenticator: &[u8]) {
        if let Some(case) = self.running.get_mut(name) {
            let proposals = epoch.proposals.iter().cloned().map(Hex::from);
            case.epochs.push(shapes::PassiveEpoch {
                proposals: proposals.collect(),
                commit: epoch.commit.to_vec().into(),
                epoch_authenticator: authenticator.to_vec().into(),
            });
        }
    }

    /// Who speaks no longer only listens: its case ends with the epoch before.
    pub(super) fn spoke(&mut self, name: &str) {
        self.done.extend(self.running.remove(name));
    }

    pub(super) fn finish(mut self) -> Vec<shapes::PassiveClient> {
        self.done.extend(self.running.into_values());
        self.done
    }
}

fn proposed_package(message: &[u8]) -> anyhow::Result<Vec<u8>> {
    let MlsMessage::PublicMessage(message) = decode(message)? else {
        bail!("a new member can propose only in a PublicMessage")
    };
    let Content::Proposal(proposal) = message.content.content else {
        bail!("this is no proposal")
    };
    match *proposal {
        Proposal::Add(package) => Ok(encode(&MlsMessage::KeyPackage(*package))?),
        _ => bail!("a new member can propose only an Add"),
    }
}
