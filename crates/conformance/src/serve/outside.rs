//! Proposals of those who are no members.

use super::{
    Bench, ask,
    service::Answer,
    states::{Kept, Standing},
};
use crate::{
    client::{Change, Outsider, leaf_named, suite_of},
    mls_client::{
        AddExternalSignerRequest, CreateExternalSignerRequest, CreateExternalSignerResponse,
        ExternalSignerProposalRequest, NewMemberAddProposalRequest, NewMemberAddProposalResponse,
        ProposalResponse,
    },
};

impl Bench {
    pub(super) async fn new_member_add_proposal(
        &self,
        request: NewMemberAddProposalRequest,
    ) -> Answer<NewMemberAddProposalResponse> {
        self.run(move |bench| {
            let suite = bench.make(|| suite_of(&request.group_info))?;
            let mut client = bench.client(&request.identity, suite.into())?;
            let (client, proposal, keys) = bench.make(move || {
                let proposal = client.propose_joining(&request.group_info)?;
                let keys = client.private_keys()?;
                Ok((client, proposal, keys))
            })?;
            Ok(NewMemberAddProposalResponse {
                transaction_id: bench.keep(client, Standing::Invited),
                proposal,
                init_priv: keys.init,
                encryption_priv: keys.encryption,
                signature_priv: keys.signature,
            })
        })
        .await
    }

    pub(super) async fn create_external_signer(
        &self,
        request: CreateExternalSignerRequest,
    ) -> Answer<CreateExternalSignerResponse> {
        let CreateExternalSignerRequest {
            cipher_suite,
            identity,
        } = request;
        self.run(move |bench| {
            let suite = ask::suite(cipher_suite)?;
            let (signer, external_sender) = bench.make(|| {
                let identity = bench.names.identity(suite.try_into()?, &identity)?;
                let signer = Outsider::new(bench.engine, identity);
                let sender = signer.sender()?;
                Ok((signer, sender))
            })?;
            Ok(CreateExternalSignerResponse {
                signer_id: bench.states.keep(Kept::Signer(signer)),
                external_sender,
            })
        })
        .await
    }

    pub(super) async fn add_external_signer(
        &self,
        request: AddExternalSignerRequest,
    ) -> Answer<ProposalResponse> {
        self.propose(request.state_id, move |client| {
            let list = ask::with_sender(&client.extensions()?, &request.external_sender)?;
            Ok(Change::Extensions(list))
        })
        .await
    }

    pub(super) async fn external_signer_proposal(
        &self,
        request: ExternalSignerProposalRequest,
    ) -> Answer<ProposalResponse> {
        self.run(move |bench| {
            bench.states.with_signer(request.signer_id, |signer| {
                let (info, tree) = (&*request.group_info, ask::optional(request.ratchet_tree));
                let description = request.description.unwrap_or_default();
                let find = |name: &[u8]| leaf_named(info, tree.as_deref(), name);
                let change = ask::change(&description, find)?;
                let place = (info, tree.as_deref());
                let proposal = signer.propose(place, request.signer_index, &change)?;
                Ok(ProposalResponse { proposal })
            })
        })
        .await
    }
}
