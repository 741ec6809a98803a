//! Plays what a group becomes: another, or several.

use anyhow::{Context as _, ensure};

use crate::mls_client::{
    CommitRequest, CreateBranchRequest, HandleBranchRequest, HandleCommitRequest,
    HandlePendingCommitRequest, HandleReInitCommitResponse, HandleReInitWelcomeRequest,
    ReInitProposalRequest, ReInitWelcomeRequest,
};
use crate::scripts::{
    action::{Branch, ReInit},
    stage::{Given, Stage, decoded, random_id},
};

impl Stage {
    pub(super) async fn reinit(&mut self, reinit: &ReInit) -> anyhow::Result<Given> {
        let proposal = match reinit.external_reinit_proposal {
            Some(step) => self.given_proposals(&[step])?.remove(0),
            None => self.propose_reinit(reinit).await?,
        };
        let everybody: Vec<_> = reinit.everybody().into_iter().cloned().collect();
        let packages = self.end(&reinit.committer, &everybody, proposal).await?;
        let others = packages
            .iter()
            .filter(|(name, _)| *name != reinit.welcomer)
            .map(|(_, package)| package.clone());
        let key_package: Vec<_> = others.collect();
        let welcomer = self.actor(&reinit.welcomer)?;
        let request = ReInitWelcomeRequest {
            reinit_id: welcomer.state()?,
            key_package,
            force_path: reinit.force_path,
            external_tree: reinit.external_tree,
        };
        let made = welcomer.peer.client.re_init_welcome(request).await?;
        let made = made.into_inner();
        welcomer.enter(made.state_id);
        self.note(&reinit.welcomer, "welcome", &made.welcome);
        let mut reached = vec![(reinit.welcomer.clone(), made.epoch_authenticator)];
        for name in everybody.iter().filter(|name| **name != reinit.welcomer) {
            let actor = self.actor(name)?;
            let request = HandleReInitWelcomeRequest {
                reinit_id: actor.state()?,
                welcome: made.welcome.clone(),
                ratchet_tree: made.ratchet_tree.clone(),
            };
            let joined = actor.peer.client.handle_re_init_welcome(request).await?;
            let joined = joined.into_inner();
            actor.enter(joined.state_id);
            reached.push((name.clone(), joined.epoch_authenticator));
        }
        self.agree(&reached)?;
        Ok(Given::Nothing)
    }

    async fn propose_reinit(&mut self, reinit: &ReInit) -> anyhow::Result<Vec<u8>> {
        let (group_id, suite) =
            self.successor(reinit.change_group_id, reinit.change_ciphersuite)?;
        let proposer = reinit.proposer.as_ref().context("nobody proposes it")?;
        let actor = self.actor(proposer)?;
        let request = ReInitProposalRequest {
            state_id: actor.state()?,
            cipher_suite: suite.into(),
            group_id,
            extensions: decoded(&reinit.extensions)?,
        };
        let proposed = actor.peer.client.re_init_proposal(request).await?;
        let proposal = proposed.into_inner().proposal;
        self.note(proposer, "proposal", &proposal);
        self.recorder.spoke(proposer);
        Ok(proposal)
    }

    /// Has everybody go into the group's last epoch; gives their KeyPackages for the next group.
    async fn end(
        &mut self,
        committer: &str,
        everybody: &[String],
        proposal: Vec<u8>,
    ) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let actor = self.actor(committer)?;
        let state_id = actor.state()?;
        let request = CommitRequest {
            state_id,
            by_reference: vec![proposal.clone()],
            ..CommitRequest::default()
        };
        let made = actor
            .peer
            .client
            .re_init_commit(request)
            .await?
            .into_inner();
        self.note(committer, "commit", &made.commit);
        self.recorder.spoke(committer);
        let (mut reached, mut packages) = (Vec::new(), Vec::new());
        for name in everybody {
            let actor = self.actor(name)?;
            let state_id = actor.state()?;
            let client = &mut actor.peer.client;
            let ended = if name == committer {
                let request = HandlePendingCommitRequest { state_id };
                client.handle_pending_re_init_commit(request).await?
            } else {
                let request = HandleCommitRequest {
                    state_id,
                    proposal: vec![proposal.clone()],
                    commit: made.commit.clone(),
                };
                client.handle_re_init_commit(request).await?
            };
            let HandleReInitCommitResponse {
                reinit_id,
                key_package,
                epoch_authenticator,
            } = ended.into_inner();
            actor.enter(reinit_id);
            self.recorder.spoke(name);
            reached.push((name.clone(), epoch_authenticator));
            packages.push((name.clone(), key_package));
        }
        self.agree(&reached)?;
        Ok(packages)
    }

    pub(super) async fn branch(&mut self, branch: &Branch) -> anyhow::Result<Given> {
        let mut key_packages = Vec::new();
        for member in &branch.members {
            key_packages.push(self.key_package(member).await?);
        }
        let creator = self.actor(&branch.actor)?;
        let request = CreateBranchRequest {
            state_id: creator.state()?,
            group_id: random_id()?,
            extensions: decoded(&branch.extensions)?,
            key_packages,
            force_path: branch.force_path,
            external_tree: branch.external_tree,
        };
        let made = creator.peer.client.create_branch(request).await?;
        let made = made.into_inner();
        creator.enter(made.state_id);
        ensure!(
            branch.external_tree != made.ratchet_tree.is_empty(),
            "the tree is where it was not asked for"
        );
        self.note(&branch.actor, "welcome", &made.welcome);
        let mut reached = vec![(branch.actor.clone(), made.epoch_authenticator)];
        for member in &branch.members {
            let actor = self.actor(member)?;
            let request = HandleBranchRequest {
                state_id: actor.state()?,
                transaction_id: actor.transaction()?,
                welcome: made.welcome.clone(),
                ratchet_tree: made.ratchet_tree.clone(),
            };
            let joined = actor.peer.client.handle_branch(request).await?.into_inner();
            actor.enter(joined.state_id);
            self.recorder.spoke(member);
            reached.push((member.clone(), joined.epoch_authenticator));
        }
        self.agree(&reached)?;
        Ok(Given::Nothing)
    }
}
