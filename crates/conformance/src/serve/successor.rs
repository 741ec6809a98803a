//! Groups that come of a group.

use super::{
    Bench, ask,
    service::{Answer, ENDED, MEMBER},
    states::{Place, Standing},
};
use crate::{
    client::{Branch, Change, Founded, ReInit},
    mls_client::{
        CommitRequest, CommitResponse, CreateBranchRequest, CreateSubgroupResponse,
        HandleBranchRequest, HandleBranchResponse, HandleCommitRequest, HandlePendingCommitRequest,
        HandleReInitCommitResponse, HandleReInitWelcomeRequest, JoinGroupResponse,
        ProposalResponse, ReInitProposalRequest, ReInitWelcomeRequest,
    },
};

impl Bench {
    pub(super) async fn re_init_proposal(
        &self,
        request: ReInitProposalRequest,
    ) -> Answer<ProposalResponse> {
        let suite = ask::suite(request.cipher_suite)?;
        self.propose(request.state_id, move |_| {
            Ok(Change::ReInit(ReInit {
                group_id: request.group_id,
                suite,
                extensions: ask::extensions(&request.extensions)?,
            }))
        })
        .await
    }

    pub(super) async fn re_init_commit(&self, request: CommitRequest) -> Answer<CommitResponse> {
        self.make_commit(request).await
    }

    pub(super) async fn handle_pending_re_init_commit(
        &self,
        request: HandlePendingCommitRequest,
    ) -> Answer<HandleReInitCommitResponse> {
        let id = request.state_id;
        self.ask(id, MEMBER, move |place| {
            place.client.merge()?;
            ended(place, id)
        })
        .await
    }

    pub(super) async fn handle_re_init_commit(
        &self,
        request: HandleCommitRequest,
    ) -> Answer<HandleReInitCommitResponse> {
        let id = request.state_id;
        self.ask(id, MEMBER, move |place| {
            place.hear(request.proposal)?;
            place.client.receive(&request.commit)?;
            ended(place, id)
        })
        .await
    }

    pub(super) async fn re_init_welcome(
        &self,
        request: ReInitWelcomeRequest,
    ) -> Answer<CreateSubgroupResponse> {
        let id = request.reinit_id;
        self.ask(id, ENDED, move |place| {
            let form = ask::form(request.force_path, request.external_tree);
            let made = place.client.begin_successor(&request.key_package, form)?;
            place.standing = Standing::Member;
            Ok(subgroup(id, made, place.arrive()?))
        })
        .await
    }

    pub(super) async fn handle_re_init_welcome(
        &self,
        request: HandleReInitWelcomeRequest,
    ) -> Answer<JoinGroupResponse> {
        let state_id = request.reinit_id;
        self.ask(state_id, ENDED, move |place| {
            let tree = ask::optional(request.ratchet_tree);
            let client = &mut place.client;
            client.join_successor(&request.welcome, tree.as_deref())?;
            place.standing = Standing::Member;
            let epoch_authenticator = place.arrive()?;
            Ok(JoinGroupResponse {
                state_id,
                epoch_authenticator,
            })
        })
        .await
    }

    pub(super) async fn create_branch(
        &self,
        request: CreateBranchRequest,
    ) -> Answer<CreateSubgroupResponse> {
        self.run(move |bench| {
            let states = &bench.states;
            let (client, made, authenticator) =
                states.with_client(request.state_id, MEMBER, |place| {
                    let (client, made) = place.client.branch(&Branch {
                        group_id: request.group_id,
                        extensions: ask::extensions(&request.extensions)?,
                        packages: request.key_packages,
                        form: ask::form(request.force_path, request.external_tree),
                    })?;
                    let authenticator = client.epoch_authenticator()?;
                    Ok((client, made, authenticator))
                })?;
            let id = bench.keep(client, Standing::Member);
            Ok(subgroup(id, made, authenticator))
        })
        .await
    }

    pub(super) async fn handle_branch(
        &self,
        request: HandleBranchRequest,
    ) -> Answer<HandleBranchResponse> {
        self.run(move |bench| {
            let (states, tree) = (&bench.states, ask::optional(request.ratchet_tree));
            let invitee = states.take_invited(request.transaction_id)?;
            let (client, epoch_authenticator) =
                states.with_client(request.state_id, MEMBER, |place| {
                    let (member, welcome) = (&mut place.client, &request.welcome);
                    let client = member.join_branch(invitee, welcome, tree.as_deref())?;
                    let authenticator = client.epoch_authenticator()?;
                    Ok((client, authenticator))
                })?;
            Ok(HandleBranchResponse {
                state_id: bench.keep(client, Standing::Member),
                epoch_authenticator,
            })
        })
        .await
    }
}

/// What a member says who has just ended its group, and waits for the next one.
fn ended(place: &mut Place, reinit_id: u32) -> anyhow::Result<HandleReInitCommitResponse> {
    let epoch_authenticator = place.arrive()?;
    let key_package = place.client.prepare_successor()?;
    place.standing = Standing::Ended;
    Ok(HandleReInitCommitResponse {
        reinit_id,
        key_package,
        epoch_authenticator,
    })
}

fn subgroup(state_id: u32, made: Founded, epoch_authenticator: Vec<u8>) -> CreateSubgroupResponse {
    CreateSubgroupResponse {
        state_id,
        welcome: made.welcome.unwrap_or_default(),
        ratchet_tree: made.tree.unwrap_or_default(),
        epoch_authenticator,
    }
}
