//! One script, played by one cast.

mod successor;

use anyhow::{Context as _, bail, ensure};

use super::{
    action::{Action, ExternalJoin, FullCommit},
    report::Outcome,
    stage::{Epoch, Given, NoOtherSuite, Psk, Stage, decoded, random_id},
};
use crate::mls_client::{
    AddExternalSignerRequest, AddProposalRequest, CommitRequest, CommitResponse,
    CreateExternalSignerRequest, CreateGroupRequest, ExternalJoinRequest,
    ExternalPskProposalRequest, ExternalSignerProposalRequest,
    GroupContextExtensionsProposalRequest, GroupInfoRequest, GroupInfoResponse,
    HandleCommitRequest, HandlePendingCommitRequest, NewMemberAddProposalRequest, PreSharedKey,
    ProposalDescription, ProtectRequest, RemoveProposalRequest, ResumptionPskProposalRequest,
    StateAuthRequest, StorePskRequest, UnprotectRequest, UpdateProposalRequest,
};

/// What each has got of its epoch.
type Authenticators = Vec<(String, Vec<u8>)>;

impl Stage {
    pub(super) async fn perform(&mut self, actions: &[Action]) -> Outcome {
        let played = self.play(actions).await;
        self.clear().await;
        match played {
            Ok(()) => Outcome::Pass,
            Err(error) => outcome(&error).at(self.results.len()),
        }
    }

    async fn play(&mut self, actions: &[Action]) -> anyhow::Result<()> {
        for action in actions {
            let given = self.step(action).await?;
            self.results.push(given);
        }
        Ok(())
    }

    async fn step(&mut self, action: &Action) -> anyhow::Result<Given> {
        match action {
            Action::CreateGroup { actor, members } => self.create_group(actor, members).await,
            Action::CreateKeyPackage { actor } => {
                Ok(Given::KeyPackage(self.key_package(actor).await?))
            }
            Action::InstallExternalPsk { clients } => self.install_psk(clients).await,
            Action::FullCommit(commit) => self.full_commit(commit).await,
            Action::ExternalJoin(join) => self.external_join(join).await,
            Action::Protect {
                actor,
                authenticated_data,
                plaintext,
            } => self.protect(actor, authenticated_data, plaintext).await,
            Action::Unprotect { actor, ciphertext } => self.unprotect(actor, *ciphertext).await,
            Action::ReInit(reinit) => self.reinit(reinit).await,
            Action::Branch(branch) => self.branch(branch).await,
            proposal => {
                let (by, message) = self.proposal(proposal).await?;
                self.note(&by, "proposal", &message);
                self.recorder.spoke(&by);
                Ok(Given::Proposal(message))
            }
        }
    }

    /// The steps that give a proposal; says whose it is too.
    async fn proposal(&mut self, action: &Action) -> anyhow::Result<(String, Vec<u8>)> {
        let response = match action {
            Action::AddProposal { actor, key_package } => {
                let key_package = self.given_package(*key_package)?;
                let actor = self.actor(actor)?;
                let state_id = actor.state()?;
                let request = AddProposalRequest {
                    state_id,
                    key_package,
                };
                actor.peer.client.add_proposal(request).await?
            }
            Action::UpdateProposal { actor } => {
                let actor = self.actor(actor)?;
                let state_id = actor.state()?;
                let request = UpdateProposalRequest { state_id };
                actor.peer.client.update_proposal(request).await?
            }
            Action::RemoveProposal { actor, removed } => {
                let actor = self.actor(actor)?;
                let request = RemoveProposalRequest {
                    state_id: actor.state()?,
                    removed_id: removed.as_bytes().to_vec(),
                };
                actor.peer.client.remove_proposal(request).await?
            }
            Action::ExternalPskProposal { actor, psk } => {
                let psk_id = self.given_psk(*psk)?.name;
                let actor = self.actor(actor)?;
                let state_id = actor.state()?;
                let request = ExternalPskProposalRequest { state_id, psk_id };
                actor.peer.client.external_psk_proposal(request).await?
            }
            Action::ResumptionPskProposal { actor, epoch } => {
                let actor = self.actor(actor)?;
                let request = ResumptionPskProposalRequest {
                    state_id: actor.state()?,
                    epoch_id: *epoch,
                };
                actor.peer.client.resumption_psk_proposal(request).await?
            }
            Action::GroupContextExtensionsProposal { actor, extensions } => {
                let actor = self.actor(actor)?;
                let request = GroupContextExtensionsProposalRequest {
                    state_id: actor.state()?,
                    extensions: decoded(extensions)?,
                };
                let client = &mut actor.peer.client;
                client.group_context_extensions_proposal(request).await?
            }
            Action::NewMemberAddProposal { actor, joiner } => {
                return self.propose_joining(actor, joiner).await;
            }
            Action::AddExternalSigner { actor, signer } => {
                return self.add_signer(actor, signer).await;
            }
            Action::ExternalSignerProposal {
                actor,
                member,
                description,
            } => {
                let description = self.describe(description)?;
                return self.signer_proposal(actor, member, description).await;
            }
            _ => bail!("a step that is no proposal"),
        };
        let by = action.actors().first().copied().unwrap_or_default();
        Ok((by.to_owned(), response.into_inner().proposal))
    }

    async fn create_group(&mut self, actor: &str, members: &[String]) -> anyhow::Result<Given> {
        let request = CreateGroupRequest {
            group_id: self.group_id.clone(),
            cipher_suite: self.suite.into(),
            encrypt_handshake: self.encrypt,
            identity: actor.as_bytes().to_vec(),
        };
        let creator = self.actor(actor)?;
        let created = creator.peer.client.create_group(request).await?;
        creator.enter(created.into_inner().state_id);
        if members.is_empty() {
            return Ok(Given::Nothing);
        }
        let mut adds = Vec::new();
        for member in members {
            adds.push(ProposalDescription {
                proposal_type: b"add".to_vec(),
                key_package: self.key_package(member).await?,
                ..ProposalDescription::default()
            });
        }
        let creator = self.actor(actor)?;
        // The official runner asks for no path here either, as the Welcomes that it recorded show.
        let request = CommitRequest {
            state_id: creator.state()?,
            by_value: adds,
            ..CommitRequest::default()
        };
        let made = creator.peer.client.commit(request).await?.into_inner();
        self.settle(actor, &[], &[], members, &made).await
    }

    async fn full_commit(&mut self, commit: &FullCommit) -> anyhow::Result<Given> {
        let by_reference = self.given_proposals(&commit.by_reference)?;
        let by_value = commit.by_value.iter().map(|one| self.describe(one));
        let by_value = by_value.collect::<anyhow::Result<_>>()?;
        let actor = self.actor(&commit.actor)?;
        let request = CommitRequest {
            state_id: actor.state()?,
            by_reference: by_reference.clone(),
            by_value,
            force_path: commit.force_path,
            external_tree: commit.external_tree,
        };
        let made = actor.peer.client.commit(request).await?.into_inner();
        ensure!(
            commit.external_tree != made.ratchet_tree.is_empty() || commit.joiners.is_empty(),
            "the tree is where it was not asked for"
        );
        let (members, joiners) = (&commit.members, &commit.joiners);
        self.settle(&commit.actor, &by_reference, members, joiners, &made)
            .await
    }

    /// Has everybody go into the epoch of a Commit, and looks whether they agree.
    async fn settle(
        &mut self,
        committer: &str,
        proposals: &[Vec<u8>],
        members: &[String],
        joiners: &[String],
        made: &CommitResponse,
    ) -> anyhow::Result<Given> {
        self.note(committer, "commit", &made.commit);
        self.note(committer, "welcome", &made.welcome);
        self.note(committer, "ratchet_tree", &made.ratchet_tree);
        self.recorder.spoke(committer);
        let epoch = Epoch {
            proposals,
            commit: &made.commit,
        };
        let mut reached = self.follow(members, &epoch).await?;
        let actor = self.actor(committer)?;
        let state_id = actor.state()?;
        let request = HandlePendingCommitRequest { state_id };
        let merged = actor.peer.client.handle_pending_commit(request).await?;
        let merged = merged.into_inner();
        actor.enter(merged.state_id);
        let request = StateAuthRequest {
            state_id: merged.state_id,
        };
        let shown = actor.peer.client.state_auth(request).await?.into_inner();
        ensure!(
            shown.state_auth_secret == merged.epoch_authenticator,
            "{committer} shows another authenticator"
        );
        reached.push((committer.to_owned(), merged.epoch_authenticator));
        for joiner in joiners {
            let joined = self.join(joiner, &made.welcome, &made.ratchet_tree).await?;
            reached.push((joiner.clone(), joined));
        }
        self.agree(&reached)?;
        Ok(Given::Nothing)
    }

    async fn follow(
        &mut self,
        members: &[String],
        epoch: &Epoch<'_>,
    ) -> anyhow::Result<Authenticators> {
        let mut reached = Vec::new();
        for member in members {
            let actor = self.actor(member)?;
            let request = HandleCommitRequest {
                state_id: actor.state()?,
                proposal: epoch.proposals.to_vec(),
                commit: epoch.commit.to_vec(),
            };
            let handled = actor.peer.client.handle_commit(request).await?.into_inner();
            actor.enter(handled.state_id);
            let authenticator = handled.epoch_authenticator;
            self.recorder.followed(member, epoch, &authenticator);
            reached.push((member.clone(), authenticator));
        }
        Ok(reached)
    }

    async fn show(&mut self, by: &str, external_tree: bool) -> anyhow::Result<GroupInfoResponse> {
        let actor = self.actor(by)?;
        let request = GroupInfoRequest {
            state_id: actor.state()?,
            external_tree,
        };
        let shown = actor.peer.client.group_info(request).await?.into_inner();
        ensure!(
            external_tree != shown.ratchet_tree.is_empty(),
            "the tree is where it was not asked for"
        );
        self.note(by, "group_info", &shown.group_info);
        Ok(shown)
    }

    async fn external_join(&mut self, join: &ExternalJoin) -> anyhow::Result<Given> {
        let shown = self.show(&join.actor, join.external_tree).await?;
        let psks = join.psks.iter().map(|step| {
            let Psk { name, secret } = self.given_psk(*step)?;
            Ok(PreSharedKey {
                psk_id: name,
                psk_secret: secret,
            })
        });
        let psks = psks.collect::<anyhow::Result<_>>()?;
        let encrypt_handshake = self.encrypt;
        self.recorder.spoke(&join.joiner);
        let joiner = self.actor(&join.joiner)?;
        let request = ExternalJoinRequest {
            group_info: shown.group_info,
            ratchet_tree: shown.ratchet_tree,
            encrypt_handshake,
            identity: join.joiner.as_bytes().to_vec(),
            remove_prior: join.remove_prior,
            psks,
        };
        let joined = joiner.peer.client.external_join(request).await?;
        let joined = joined.into_inner();
        joiner.enter(joined.state_id);
        self.note(&join.joiner, "commit", &joined.commit);
        let epoch = Epoch {
            proposals: &[],
            commit: &joined.commit,
        };
        let others: Vec<_> = [&join.members[..], std::slice::from_ref(&join.actor)].concat();
        let mut reached = self.follow(&others, &epoch).await?;
        reached.push((join.joiner.clone(), joined.epoch_authenticator));
        self.agree(&reached)?;
        Ok(Given::Nothing)
    }

    async fn install_psk(&mut self, clients: &[String]) -> anyhow::Result<Given> {
        let (name, secret) = (random_id()?, random_id()?);
        for client in clients {
            let actor = self.actor(client)?;
            let id = actor.state.or(actor.transaction);
            let request = StorePskRequest {
                state_or_transaction_id: id.context("nobody to tell a PSK")?,
                psk_id: name.clone(),
                psk_secret: secret.clone(),
            };
            actor.peer.client.store_psk(request).await?;
            self.recorder.knows_psk(client, &name, &secret);
        }
        Ok(Given::Psk(Psk { name, secret }))
    }

    async fn protect(&mut self, by: &str, aad: &str, text: &str) -> anyhow::Result<Given> {
        let actor = self.actor(by)?;
        let request = ProtectRequest {
            state_id: actor.state()?,
            authenticated_data: aad.as_bytes().to_vec(),
            plaintext: text.as_bytes().to_vec(),
        };
        let sealed = actor.peer.client.protect(request).await?.into_inner();
        self.note(by, "ciphertext", &sealed.ciphertext);
        Ok(Given::Ciphertext {
            message: sealed.ciphertext,
            plaintext: text.to_owned(),
            authenticated_data: aad.to_owned(),
        })
    }

    async fn unprotect(&mut self, by: &str, step: usize) -> anyhow::Result<Given> {
        let given = self.results.get(step).cloned();
        let Some(Given::Ciphertext {
            message,
            plaintext,
            authenticated_data,
        }) = given
        else {
            bail!("step {step} gave no ciphertext")
        };
        let actor = self.actor(by)?;
        let request = UnprotectRequest {
            state_id: actor.state()?,
            ciphertext: message,
        };
        let opened = actor.peer.client.unprotect(request).await?.into_inner();
        ensure!(
            opened.plaintext == plaintext.as_bytes()
                && opened.authenticated_data == authenticated_data.as_bytes(),
            "{by} reads something else than was written"
        );
        Ok(Given::Nothing)
    }

    async fn propose_joining(
        &mut self,
        member: &str,
        joiner: &str,
    ) -> anyhow::Result<(String, Vec<u8>)> {
        let shown = self.show(member, false).await?;
        let actor = self.actor(joiner)?;
        let request = NewMemberAddProposalRequest {
            group_info: shown.group_info,
            identity: joiner.as_bytes().to_vec(),
        };
        let made = actor.peer.client.new_member_add_proposal(request).await?;
        let made = made.into_inner();
        actor.transaction = Some(made.transaction_id);
        actor.given(made.transaction_id);
        self.recorder.proposed(joiner, &made)?;
        Ok((joiner.to_owned(), made.proposal))
    }

    async fn add_signer(
        &mut self,
        member: &str,
        signer: &str,
    ) -> anyhow::Result<(String, Vec<u8>)> {
        let request = CreateExternalSignerRequest {
            cipher_suite: self.suite.into(),
            identity: signer.as_bytes().to_vec(),
        };
        let index = self.signers;
        let actor = self.actor(signer)?;
        let made = actor.peer.client.create_external_signer(request).await?;
        let made = made.into_inner();
        actor.signer = Some((made.signer_id, index));
        actor.given(made.signer_id);
        self.signers += 1;
        let actor = self.actor(member)?;
        let request = AddExternalSignerRequest {
            state_id: actor.state()?,
            external_sender: made.external_sender,
        };
        let proposed = actor.peer.client.add_external_signer(request).await?;
        Ok((member.to_owned(), proposed.into_inner().proposal))
    }

    async fn signer_proposal(
        &mut self,
        signer: &str,
        member: &str,
        description: ProposalDescription,
    ) -> anyhow::Result<(String, Vec<u8>)> {
        let shown = self.show(member, true).await?;
        let actor = self.actor(signer)?;
        let (signer_id, signer_index) = actor.signer.context("the actor is no signer")?;
        let request = ExternalSignerProposalRequest {
            signer_id,
            signer_index,
            group_info: shown.group_info,
            ratchet_tree: shown.ratchet_tree,
            description: Some(description),
        };
        let proposed = actor.peer.client.external_signer_proposal(request).await?;
        Ok((signer.to_owned(), proposed.into_inner().proposal))
    }
}

/// Who can't do something is not wrong: the script is skipped, with the reason.
fn outcome(error: &anyhow::Error) -> Outcome {
    if error.is::<NoOtherSuite>() {
        return Outcome::Skip(NoOtherSuite.to_string());
    }
    match error.downcast_ref::<tonic::Status>() {
        Some(status) if status.code() == tonic::Code::Unimplemented => {
            Outcome::Skip(status.message().to_owned())
        }
        Some(status) => Outcome::Fail(format!("{:?}: {}", status.code(), status.message())),
        None => Outcome::Fail(format!("{error:#}")),
    }
}
