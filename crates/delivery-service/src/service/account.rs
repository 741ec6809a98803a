//! Registration, tokens and KeyPackages.

use conclave_rpc::{EdgeError, device_id, instance_nonce, request_id, v1};
use tonic::{Response, Status};

use super::{Authenticated, Service};
use crate::{error::Refusal, store::Shown};

impl Service {
    pub(super) async fn register_device(
        &self,
        body: v1::RegisterRequest,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        let now = self.rooms.clock.now();
        self.job(move |rooms| {
            let proof = &body.proof_of_possession;
            let code = &body.registration_code;
            rooms.accounts.register(&body.certificate, proof, code, now)
        })
        .await?;
        Ok(Response::new(v1::RegisterResponse {}))
    }

    pub(super) fn make_challenge(
        &self,
        body: &v1::RequestChallengeRequest,
    ) -> Result<Response<v1::RequestChallengeResponse>, Status> {
        let device = device_id(&body.device_id)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|_| Refusal::Internal("the system gives no randomness"))?;
        let auth = self.rooms.accounts.auth();
        let challenge = auth.challenge(device, random, self.rooms.clock.now());
        Ok(Response::new(v1::RequestChallengeResponse {
            challenge: challenge.to_bytes().into(),
        }))
    }

    pub(super) async fn give_token(
        &self,
        body: v1::AuthenticateRequest,
    ) -> Result<Response<v1::AuthenticateResponse>, Status> {
        let now = self.rooms.clock.now();
        let token = self
            .job(move |rooms| {
                let accounts = &rooms.accounts;
                accounts.authenticate(&body.challenge, &body.signature, now)
            })
            .await?;
        Ok(Response::new(v1::AuthenticateResponse {
            token: token.text,
            expires_millis: token.expires.0,
        }))
    }

    pub(super) async fn compare_instance(
        &self,
        Authenticated { caller, body, .. }: Authenticated<v1::CheckInstanceRequest>,
    ) -> Result<Response<v1::CheckInstanceResponse>, Status> {
        let shown = Shown {
            nonce: instance_nonce(&body.nonce, "nonce")?,
            next: instance_nonce(&body.next_nonce, "next_nonce")?,
            sent: countable(body.sent)?,
            starts_over: body.start_over,
        };
        if shown.nonce == shown.next {
            return Err(EdgeError::new("next_nonce", "has to be drawn anew").into());
        }
        let behind = self
            .job(move |rooms| rooms.accounts.check_instance(caller, &shown))
            .await?;
        let state = match behind {
            None => v1::InstanceState::Same,
            Some(_) => v1::InstanceState::Behind,
        };
        let groups = behind.into_iter().flatten();
        Ok(Response::new(v1::CheckInstanceResponse {
            state: state.into(),
            group_ids: groups.map(|id| id.as_bytes().to_vec().into()).collect(),
        }))
    }

    pub(super) async fn keep_list(
        &self,
        body: v1::PublishDeviceListRequest,
    ) -> Result<Response<v1::PublishDeviceListResponse>, Status> {
        let now = self.rooms.clock.now();
        self.job(move |rooms| rooms.accounts.publish_list(&body.device_list, now))
            .await?;
        Ok(Response::new(v1::PublishDeviceListResponse {}))
    }

    pub(super) async fn find_lists(
        &self,
        Authenticated { caller, body, .. }: Authenticated<v1::FetchDeviceListsRequest>,
    ) -> Result<Response<v1::FetchDeviceListsResponse>, Status> {
        let lists = self
            .job(move |rooms| rooms.accounts.device_lists(caller, &body.users))
            .await?;
        let users = lists.into_iter().map(|(user, list)| v1::UserDeviceList {
            user: user.as_str().to_owned(),
            device_list: list.unwrap_or_default().into(),
        });
        Ok(Response::new(v1::FetchDeviceListsResponse {
            users: users.collect(),
        }))
    }

    pub(super) async fn find_own_groups(
        &self,
        Authenticated { caller, .. }: Authenticated<v1::FindGroupsRequest>,
    ) -> Result<Response<v1::FindGroupsResponse>, Status> {
        let groups = self
            .job(move |rooms| rooms.accounts.groups_of_user(caller))
            .await?;
        let group_ids = groups.iter().map(|id| id.as_bytes().to_vec().into());
        Ok(Response::new(v1::FindGroupsResponse {
            group_ids: group_ids.collect(),
        }))
    }

    pub(super) async fn publish(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::PublishKeyPackagesRequest>,
    ) -> Result<Response<v1::PublishKeyPackagesResponse>, Status> {
        let stock = self
            .job(move |rooms| {
                let last_resort = &body.last_resort_key_package;
                let accounts = &rooms.accounts;
                accounts.publish(caller, &body.key_packages, last_resort, now)
            })
            .await?;
        Ok(Response::new(v1::PublishKeyPackagesResponse {
            stock: u32::try_from(stock).unwrap_or(u32::MAX),
        }))
    }

    pub(super) async fn take(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::TakeKeyPackagesRequest>,
    ) -> Result<Response<v1::TakeKeyPackagesResponse>, Status> {
        let request = request_id(&body.request_id)?;
        if body.users.is_empty() {
            return Err(EdgeError::new("users", "names nobody").into());
        }
        let taken = self
            .job(move |rooms| {
                rooms.moderation.check_may_reach(caller, now)?;
                rooms.accounts.take(caller, request, &body.users, now)
            })
            .await?;
        let users = taken.into_iter().map(|(user, packages)| {
            let known = packages.is_some();
            let packages = packages.unwrap_or_default();
            v1::UserKeyPackages {
                user: user.as_str().to_owned(),
                key_packages: packages.into_iter().map(Into::into).collect(),
                known,
            }
        });
        Ok(Response::new(v1::TakeKeyPackagesResponse {
            users: users.collect(),
        }))
    }
}

/// Databases hold signed numbers.
fn countable(sent: u64) -> Result<u64, EdgeError> {
    let past = EdgeError::new("sent", "more than any device sends");
    i64::try_from(sent).map(|_| sent).map_err(|_| past)
}
