//! Proposals of members.

use super::{
    Bench, ask,
    service::{Answer, MEMBER},
};
use crate::{
    client::{Change, Client, leaf_in_tree},
    mls_client::{
        AddProposalRequest, ExternalPskProposalRequest, GroupContextExtensionsProposalRequest,
        ProposalResponse, RemoveProposalRequest, ResumptionPskProposalRequest,
        UpdateProposalRequest,
    },
};

impl Bench {
    /// Has a member propose a change, which is found out where the client is.
    pub(super) async fn propose(
        &self,
        id: u32,
        change: impl FnOnce(&dyn Client) -> anyhow::Result<Change> + Send + 'static,
    ) -> Answer<ProposalResponse> {
        self.ask(id, MEMBER, move |place| {
            let change = change(&*place.client)?;
            let proposal = place.client.propose(&change)?;
            place.note(&proposal);
            Ok(ProposalResponse { proposal })
        })
        .await
    }

    pub(super) async fn add_proposal(
        &self,
        request: AddProposalRequest,
    ) -> Answer<ProposalResponse> {
        self.propose(request.state_id, |_| Ok(Change::Add(request.key_package)))
            .await
    }

    pub(super) async fn update_proposal(
        &self,
        request: UpdateProposalRequest,
    ) -> Answer<ProposalResponse> {
        let id = request.state_id;
        self.propose(id, |_| Ok(Change::Update)).await
    }

    pub(super) async fn remove_proposal(
        &self,
        request: RemoveProposalRequest,
    ) -> Answer<ProposalResponse> {
        self.propose(request.state_id, move |client| {
            let leaf = leaf_in_tree(&client.tree()?, &request.removed_id)?;
            Ok(Change::Remove(leaf))
        })
        .await
    }

    pub(super) async fn external_psk_proposal(
        &self,
        request: ExternalPskProposalRequest,
    ) -> Answer<ProposalResponse> {
        self.propose(request.state_id, |_| {
            Ok(Change::ExternalPsk(request.psk_id))
        })
        .await
    }

    pub(super) async fn resumption_psk_proposal(
        &self,
        request: ResumptionPskProposalRequest,
    ) -> Answer<ProposalResponse> {
        let change = Change::ResumptionPsk(request.epoch_id);
        self.propose(request.state_id, |_| Ok(change)).await
    }

    pub(super) async fn group_context_extensions_proposal(
        &self,
        request: GroupContextExtensionsProposalRequest,
    ) -> Answer<ProposalResponse> {
        self.propose(request.state_id, move |_| {
            Ok(Change::Extensions(ask::extensions(&request.extensions)?))
        })
        .await
    }
}
