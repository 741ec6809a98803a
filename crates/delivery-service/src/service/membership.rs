//! Ways into a group, intents, and what is deleted for good.

use conclave_protocol::{
    DeviceId, UnixMillis,
    limits::{CHUNK_BYTES, PASSED_OVER_MAX},
};
use conclave_rpc::{device_id, group_id, request_id, v1};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, codegen::Bytes};

use super::{Authenticated, Events, Service};
use crate::{error::Refusal, groups::Opening, hub::Signal, limits::STREAM_EVENTS_MAX};

impl Service {
    pub(super) async fn send_group_info(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::FetchGroupInfoRequest>,
    ) -> Result<Response<Events<v1::FetchGroupInfoResponse>>, Status> {
        let group = group_id(&body.group_id)?;
        let opening = self
            .job(move |rooms| rooms.groups.open(group, caller, now))
            .await?;
        let (sender, receiver) = mpsc::channel(STREAM_EVENTS_MAX);
        tokio::spawn(async move {
            for response in responses(opening) {
                if sender.send(Ok(response)).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    pub(super) async fn invite(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::CreateInvitationRequest>,
    ) -> Result<Response<v1::CreateInvitationResponse>, Status> {
        let group = group_id(&body.group_id)?;
        let expires = UnixMillis(body.expires_millis);
        self.job(move |rooms| {
            rooms.moderation.check_may_reach(caller, now)?;
            let groups = &rooms.groups;
            groups.invite(group, caller, &body.token_hash, expires, now)
        })
        .await?;
        Ok(Response::new(v1::CreateInvitationResponse {}))
    }

    pub(super) async fn redeem(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::RedeemInvitationRequest>,
    ) -> Result<Response<v1::RedeemInvitationResponse>, Status> {
        let group = group_id(&body.group_id)?;
        let approved = self
            .job(move |rooms| rooms.groups.redeem(group, caller, &body.token, now))
            .await?;
        Ok(Response::new(v1::RedeemInvitationResponse { approved }))
    }

    pub(super) async fn approve(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::ApproveInvitationRequest>,
    ) -> Result<Response<v1::ApproveInvitationResponse>, Status> {
        let group = group_id(&body.group_id)?;
        let asker = device_id(&body.device_id)?;
        self.job(move |rooms| {
            let groups = &rooms.groups;
            groups.approve(group, caller, &body.token_hash, asker, &body.approval, now)
        })
        .await?;
        Ok(Response::new(v1::ApproveInvitationResponse {}))
    }

    pub(super) async fn pass_signal(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::SendSignalRequest>,
    ) -> Result<Response<v1::SendSignalResponse>, Status> {
        let signal = Signal {
            group: group_id(&body.group_id)?,
            sender: caller,
            bytes: body.signal,
        };
        self.job(move |rooms| {
            rooms.moderation.check_may_reach(caller, now)?;
            rooms.groups.pass(&signal)
        })
        .await?;
        Ok(Response::new(v1::SendSignalResponse {}))
    }

    pub(super) async fn hand_over(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::SubmitIntentRequest>,
    ) -> Result<Response<v1::SubmitIntentResponse>, Status> {
        let group = group_id(&body.group_id)?;
        let request = request_id(&body.request_id)?;
        let passed_over = passed_over(&body.passed_over_device_ids)?;
        let committer = self
            .job(move |rooms| {
                rooms.moderation.check_may_reach(caller, now)?;
                let groups = &rooms.groups;
                groups.hand_over(group, caller, request, &body.intent, &passed_over)
            })
            .await?;
        Ok(Response::new(v1::SubmitIntentResponse {
            committer_device_id: committer.as_bytes().to_vec().into(),
        }))
    }

    pub(super) async fn end_device(
        &self,
        Authenticated { caller, now, .. }: Authenticated<v1::DeleteDeviceRequest>,
    ) -> Result<Response<v1::DeleteDeviceResponse>, Status> {
        self.job(move |rooms| rooms.accounts.delete_device(caller, now))
            .await?;
        Ok(Response::new(v1::DeleteDeviceResponse {}))
    }

    pub(super) async fn end_user(
        &self,
        body: v1::DeleteUserRequest,
    ) -> Result<Response<v1::DeleteUserResponse>, Status> {
        let now = self.rooms.clock.now();
        self.job(move |rooms| {
            let expires = UnixMillis(body.expires_millis);
            let accounts = &rooms.accounts;
            accounts.delete_user(&body.user, expires, &body.signature, now)
        })
        .await?;
        Ok(Response::new(v1::DeleteUserResponse {}))
    }

    pub(super) async fn end_group(
        &self,
        Authenticated { caller, body, .. }: Authenticated<v1::DeleteGroupRequest>,
    ) -> Result<Response<v1::DeleteGroupResponse>, Status> {
        let group = group_id(&body.group_id)?;
        self.job(move |rooms| rooms.groups.delete(group, caller))
            .await?;
        Ok(Response::new(v1::DeleteGroupResponse {}))
    }
}

/// The tree in parts, and with the first part everything else.
fn responses(opening: Opening) -> impl Iterator<Item = v1::FetchGroupInfoResponse> {
    let Opening { entrance, tree } = opening;
    let mut first = Some(v1::FetchGroupInfoResponse {
        tree_part: Bytes::new(),
        group_info: entrance.group_info.into(),
        pending_proposals: entrance.proposals.into_iter().map(Into::into).collect(),
        epoch: entrance.head.epoch.0,
        head_sequence: entrance.head.sequence.0,
        tree_bytes: tree.len() as u64,
        approval: entrance.approval.unwrap_or_default().into(),
    });
    let tree = Bytes::from(tree);
    (0..tree.len()).step_by(CHUNK_BYTES).map(move |at| {
        let part = tree.slice(at..tree.len().min(at + CHUNK_BYTES));
        v1::FetchGroupInfoResponse {
            tree_part: part,
            ..first.take().unwrap_or_default()
        }
    })
}

fn passed_over(ids: &[Bytes]) -> Result<Vec<DeviceId>, Refusal> {
    if ids.len() > PASSED_OVER_MAX {
        return Err(Refusal::Invalid("passed_over_device_ids: too many"));
    }
    let known = |id: &Bytes| device_id(id).ok();
    let ids: Option<Vec<DeviceId>> = ids.iter().map(known).collect();
    ids.ok_or(Refusal::Invalid("passed_over_device_ids: not ids"))
}
