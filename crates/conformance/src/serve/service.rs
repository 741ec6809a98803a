//! The table of all requests, and how each is worked on.

use tonic::{Request, Response, Status, async_trait};

use super::{
    Bench, ask,
    states::{Kept, Place, Standing, guarded},
};
use crate::{
    client::Client,
    mls_client::{mls_client_server::MlsClient, *},
};

/// What a request gets.
pub(super) type Answer<T> = Result<Response<T>, Status>;

pub(super) const MEMBER: &[Standing] = &[Standing::Member];
pub(super) const INVITED: &[Standing] = &[Standing::Invited];
pub(super) const ENDED: &[Standing] = &[Standing::Ended];
pub(super) const ANY: &[Standing] = &[Standing::Invited, Standing::Member, Standing::Ended];

impl Bench {
    /// Does something that takes its time.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Self) -> Result<T, Status> + Send + 'static,
    ) -> Answer<T> {
        let bench = self.clone();
        let done = tokio::task::spawn_blocking(move || act(&bench)).await;
        done.map_err(|_| Status::internal("the engine panicked"))?
            .map(Response::new)
    }

    /// Has the client of this number do something.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        id: u32,
        standings: &'static [Standing],
        act: impl FnOnce(&mut Place) -> anyhow::Result<T> + Send + 'static,
    ) -> Answer<T> {
        self.run(move |bench| bench.states.with_client(id, standings, act))
            .await
    }

    /// Makes something anew, of which the engine may panic.
    pub(super) fn make<T>(&self, make: impl FnOnce() -> anyhow::Result<T>) -> Result<T, Status> {
        guarded(make)?.map_err(|error| ask::status(&error))
    }

    pub(super) fn client(&self, name: &[u8], suite: u32) -> Result<Box<dyn Client>, Status> {
        let suite = ask::suite(suite)?;
        self.make(|| self.engine.client_of(&self.names, name, suite))
    }

    pub(super) fn keep(&self, client: Box<dyn Client>, standing: Standing) -> u32 {
        self.states.keep(Kept::Client(Place::new(client, standing)))
    }
}

/// Each request is answered by the method of the same name in this folder.
macro_rules! answered {
    ($($name:ident: $request:ident => $response:ident;)+) => {
        #[async_trait]
        impl MlsClient for Bench {
            $(async fn $name(&self, request: Request<$request>) -> Answer<$response> {
                Bench::$name(self, request.into_inner()).await
            })+
        }
    };
}

answered! {
    name: NameRequest => NameResponse;
    supported_ciphersuites: SupportedCiphersuitesRequest => SupportedCiphersuitesResponse;
    create_group: CreateGroupRequest => CreateGroupResponse;
    create_key_package: CreateKeyPackageRequest => CreateKeyPackageResponse;
    join_group: JoinGroupRequest => JoinGroupResponse;
    external_join: ExternalJoinRequest => ExternalJoinResponse;
    group_info: GroupInfoRequest => GroupInfoResponse;
    state_auth: StateAuthRequest => StateAuthResponse;
    export: ExportRequest => ExportResponse;
    protect: ProtectRequest => ProtectResponse;
    unprotect: UnprotectRequest => UnprotectResponse;
    store_psk: StorePskRequest => StorePskResponse;
    add_proposal: AddProposalRequest => ProposalResponse;
    update_proposal: UpdateProposalRequest => ProposalResponse;
    remove_proposal: RemoveProposalRequest => ProposalResponse;
    external_psk_proposal: ExternalPskProposalRequest => ProposalResponse;
    resumption_psk_proposal: ResumptionPskProposalRequest => ProposalResponse;
    group_context_extensions_proposal: GroupContextExtensionsProposalRequest => ProposalResponse;
    commit: CommitRequest => CommitResponse;
    handle_commit: HandleCommitRequest => HandleCommitResponse;
    handle_pending_commit: HandlePendingCommitRequest => HandleCommitResponse;
    re_init_proposal: ReInitProposalRequest => ProposalResponse;
    re_init_commit: CommitRequest => CommitResponse;
    handle_pending_re_init_commit: HandlePendingCommitRequest => HandleReInitCommitResponse;
    handle_re_init_commit: HandleCommitRequest => HandleReInitCommitResponse;
    re_init_welcome: ReInitWelcomeRequest => CreateSubgroupResponse;
    handle_re_init_welcome: HandleReInitWelcomeRequest => JoinGroupResponse;
    create_branch: CreateBranchRequest => CreateSubgroupResponse;
    handle_branch: HandleBranchRequest => HandleBranchResponse;
    new_member_add_proposal: NewMemberAddProposalRequest => NewMemberAddProposalResponse;
    create_external_signer: CreateExternalSignerRequest => CreateExternalSignerResponse;
    add_external_signer: AddExternalSignerRequest => ProposalResponse;
    external_signer_proposal: ExternalSignerProposalRequest => ProposalResponse;
    free: FreeRequest => FreeResponse;
}
