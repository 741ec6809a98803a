//! Ways into a group, and what goes with them.

use tonic::Response;

use super::{
    Bench, ask,
    service::{Answer, INVITED},
    states::Standing,
};
use crate::{
    client::{ExternalJoin, Handshakes, PrivateKeys, suite_of},
    mls_client::{
        CreateGroupRequest, CreateGroupResponse, CreateKeyPackageRequest, CreateKeyPackageResponse,
        ExternalJoinRequest, ExternalJoinResponse, FreeRequest, FreeResponse, JoinGroupRequest,
        JoinGroupResponse, NameRequest, NameResponse, SupportedCiphersuitesRequest,
        SupportedCiphersuitesResponse,
    },
};

impl Bench {
    pub(super) async fn name(&self, _: NameRequest) -> Answer<NameResponse> {
        let name = self.engine.name().to_owned();
        Ok(Response::new(NameResponse { name }))
    }

    pub(super) async fn supported_ciphersuites(
        &self,
        _: SupportedCiphersuitesRequest,
    ) -> Answer<SupportedCiphersuitesResponse> {
        let suites = self.engine.suites().into_iter().map(u32::from).collect();
        let ciphersuites = suites;
        Ok(Response::new(SupportedCiphersuitesResponse {
            ciphersuites,
        }))
    }

    pub(super) async fn create_group(
        &self,
        request: CreateGroupRequest,
    ) -> Answer<CreateGroupResponse> {
        self.run(move |bench| {
            let mut client = bench.client(&request.identity, request.cipher_suite)?;
            let client = bench.make(move || {
                client.set_handshakes(handshakes(request.encrypt_handshake))?;
                client.create(&request.group_id)?;
                Ok(client)
            })?;
            let state_id = bench.keep(client, Standing::Member);
            Ok(CreateGroupResponse { state_id })
        })
        .await
    }

    pub(super) async fn create_key_package(
        &self,
        request: CreateKeyPackageRequest,
    ) -> Answer<CreateKeyPackageResponse> {
        self.run(move |bench| {
            let mut client = bench.client(&request.identity, request.cipher_suite)?;
            let (client, key_package, keys) = bench.make(move || {
                let package = client.key_package()?;
                let keys = client.private_keys()?;
                Ok((client, package, keys))
            })?;
            let PrivateKeys {
                init,
                encryption,
                signature,
            } = keys;
            Ok(CreateKeyPackageResponse {
                transaction_id: bench.keep(client, Standing::Invited),
                key_package,
                init_priv: init,
                encryption_priv: encryption,
                signature_priv: signature,
            })
        })
        .await
    }

    pub(super) async fn join_group(&self, request: JoinGroupRequest) -> Answer<JoinGroupResponse> {
        let state_id = request.transaction_id;
        self.ask(state_id, INVITED, move |place| {
            let (client, tree) = (&mut place.client, ask::optional(request.ratchet_tree));
            client.set_handshakes(handshakes(request.encrypt_handshake))?;
            client.join(&request.welcome, tree.as_deref())?;
            place.standing = Standing::Member;
            let epoch_authenticator = place.arrive()?;
            Ok(JoinGroupResponse {
                state_id,
                epoch_authenticator,
            })
        })
        .await
    }

    pub(super) async fn external_join(
        &self,
        request: ExternalJoinRequest,
    ) -> Answer<ExternalJoinResponse> {
        self.run(move |bench| {
            let suite = bench.make(|| suite_of(&request.group_info))?;
            let mut client = bench.client(&request.identity, suite.into())?;
            let (client, commit, epoch_authenticator) = bench.make(move || {
                client.set_handshakes(handshakes(request.encrypt_handshake))?;
                for psk in &request.psks {
                    client.store_psk(&psk.psk_id, &psk.psk_secret)?;
                }
                let how = ExternalJoin {
                    tree: ask::optional(request.ratchet_tree),
                    remove_prior: request.remove_prior,
                    psks: request.psks.into_iter().map(|psk| psk.psk_id).collect(),
                };
                let commit = client.join_externally(&request.group_info, &how)?;
                let authenticator = client.epoch_authenticator()?;
                Ok((client, commit, authenticator))
            })?;
            Ok(ExternalJoinResponse {
                state_id: bench.keep(client, Standing::Member),
                commit,
                epoch_authenticator,
            })
        })
        .await
    }

    pub(super) async fn free(&self, request: FreeRequest) -> Answer<FreeResponse> {
        self.states.free(request.state_id)?;
        Ok(Response::new(FreeResponse {}))
    }
}

fn handshakes(encrypt: bool) -> Handshakes {
    match encrypt {
        true => Handshakes::Private,
        false => Handshakes::Public,
    }
}
