//! What a member can be asked, and how it goes from epoch to epoch.

use tonic::Status;

use super::{
    Bench, ask,
    service::{ANY, Answer, MEMBER},
};
use crate::{
    client::leaf_in_tree,
    mls_client::{
        CommitRequest, CommitResponse, ExportRequest, ExportResponse, GroupInfoRequest,
        GroupInfoResponse, HandleCommitRequest, HandleCommitResponse, HandlePendingCommitRequest,
        ProtectRequest, ProtectResponse, StateAuthRequest, StateAuthResponse, StorePskRequest,
        StorePskResponse, UnprotectRequest, UnprotectResponse,
    },
};

/// Bytes of an exported secret: what 255 hashes of the largest kind give, which is where the derivation
/// ends.
const EXPORT_BYTES_MAX: u32 = 255 * 64;

impl Bench {
    pub(super) async fn group_info(&self, request: GroupInfoRequest) -> Answer<GroupInfoResponse> {
        let GroupInfoRequest {
            state_id,
            external_tree,
        } = request;
        self.ask(state_id, MEMBER, move |place| {
            let group_info = place.client.group_info(!external_tree)?;
            let tree = external_tree.then(|| place.client.tree()).transpose()?;
            Ok(GroupInfoResponse {
                group_info,
                ratchet_tree: tree.unwrap_or_default(),
            })
        })
        .await
    }

    pub(super) async fn state_auth(&self, request: StateAuthRequest) -> Answer<StateAuthResponse> {
        let id = request.state_id;
        self.ask(id, MEMBER, |place| {
            let state_auth_secret = place.client.epoch_authenticator()?;
            Ok(StateAuthResponse { state_auth_secret })
        })
        .await
    }

    pub(super) async fn export(&self, request: ExportRequest) -> Answer<ExportResponse> {
        if request.key_length > EXPORT_BYTES_MAX {
            return Err(Status::invalid_argument("the secret is too long"));
        }
        self.ask(request.state_id, MEMBER, move |place| {
            let len = request.key_length as usize;
            let secret = place.client.export(&request.label, &request.context, len)?;
            Ok(ExportResponse {
                exported_secret: secret,
            })
        })
        .await
    }

    pub(super) async fn protect(&self, request: ProtectRequest) -> Answer<ProtectResponse> {
        self.ask(request.state_id, MEMBER, move |place| {
            let client = &mut place.client;
            let ciphertext = client.encrypt(&request.plaintext, &request.authenticated_data)?;
            Ok(ProtectResponse { ciphertext })
        })
        .await
    }

    pub(super) async fn unprotect(&self, request: UnprotectRequest) -> Answer<UnprotectResponse> {
        self.ask(request.state_id, MEMBER, move |place| {
            let heard = place.client.receive(&request.ciphertext)?;
            let heard = heard.ok_or_else(|| anyhow::anyhow!("this is no application data"))?;
            Ok(UnprotectResponse {
                authenticated_data: heard.authenticated_data,
                plaintext: heard.data,
            })
        })
        .await
    }

    pub(super) async fn store_psk(&self, request: StorePskRequest) -> Answer<StorePskResponse> {
        self.ask(request.state_or_transaction_id, ANY, move |place| {
            place
                .client
                .store_psk(&request.psk_id, &request.psk_secret)?;
            Ok(StorePskResponse {})
        })
        .await
    }

    pub(super) async fn commit(&self, request: CommitRequest) -> Answer<CommitResponse> {
        self.make_commit(request).await
    }

    pub(super) async fn handle_commit(
        &self,
        request: HandleCommitRequest,
    ) -> Answer<HandleCommitResponse> {
        let state_id = request.state_id;
        self.ask(state_id, MEMBER, move |place| {
            place.hear(request.proposal)?;
            place.client.receive(&request.commit)?;
            let epoch_authenticator = place.arrive()?;
            Ok(HandleCommitResponse {
                state_id,
                epoch_authenticator,
            })
        })
        .await
    }

    pub(super) async fn handle_pending_commit(
        &self,
        request: HandlePendingCommitRequest,
    ) -> Answer<HandleCommitResponse> {
        let state_id = request.state_id;
        self.ask(state_id, MEMBER, move |place| {
            place.client.merge()?;
            let epoch_authenticator = place.arrive()?;
            Ok(HandleCommitResponse {
                state_id,
                epoch_authenticator,
            })
        })
        .await
    }

    /// A Commit, ending the group or not.
    pub(super) async fn make_commit(&self, request: CommitRequest) -> Answer<CommitResponse> {
        self.ask(request.state_id, MEMBER, move |place| {
            place.hear(request.by_reference)?;
            let client = &mut place.client;
            let find = |name: &[u8]| leaf_in_tree(&client.tree()?, name);
            let changes = request.by_value.iter().map(|one| ask::change(one, find));
            let changes = changes.collect::<anyhow::Result<Vec<_>>>()?;
            let form = ask::form(request.force_path, request.external_tree);
            let made = client.commit_as(&changes, form)?;
            Ok(CommitResponse {
                commit: made.commit,
                welcome: made.welcome.unwrap_or_default(),
                ratchet_tree: made.tree.unwrap_or_default(),
            })
        })
        .await
    }
}
