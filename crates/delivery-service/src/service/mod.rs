//! The gRPC service, thin: decode, authenticate, ask the rooms behind, encode.

mod account;
mod blob;
mod encode;
mod group;
mod membership;
mod stream;

use std::sync::Arc;

use conclave_protocol::{DeviceId, UnixMillis};
use conclave_rpc::{AUTHORIZATION, BEARER, v1, v1::delivery_service_server::DeliveryService};
use tokio::sync::{Semaphore, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    accounts::Accounts, blobs::Blobs, clock, error::Refusal, groups::Groups, hub::Hub,
    limits::JOBS_MAX, store::Store,
};

/// What a streamed answer is made of.
type Events<T> = ReceiverStream<Result<T, Status>>;

/// What is behind the interface.
pub(crate) struct Rooms {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) accounts: Accounts,
    pub(crate) groups: Groups,
    pub(crate) blobs: Blobs,
    pub(crate) hub: Arc<Hub>,
}

/// The interface.
#[derive(Clone)]
pub(crate) struct Service {
    rooms: Arc<Rooms>,
    jobs: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

/// A request whose sender is known.
struct Authenticated<T> {
    caller: DeviceId,
    now: UnixMillis,
    body: T,
}

impl Service {
    /// A service whose live streams end once `stopping` says so.
    pub(crate) fn new(rooms: Rooms, stopping: watch::Receiver<bool>) -> Self {
        Self {
            rooms: Arc::new(rooms),
            jobs: Arc::new(Semaphore::new(JOBS_MAX)),
            stopping,
        }
    }

    fn identify<T>(&self, request: Request<T>) -> Result<Authenticated<T>, Status> {
        let now = clock::now();
        let header = request.metadata().get(AUTHORIZATION);
        let token = header
            .and_then(|header| header.to_str().ok()?.strip_prefix(BEARER))
            .ok_or(Refusal::Unauthenticated("no token"))?;
        Ok(Authenticated {
            caller: self.rooms.accounts.auth().verify(token, now)?,
            now,
            body: request.into_inner(),
        })
    }

    /// Runs what blocks away from the event loop; of such jobs only so many run at once. A job goes
    /// on when its request is given up: what it wrote is found by the retry.
    async fn job<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Rooms) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Status> {
        let turn = Arc::clone(&self.jobs).acquire_owned().await;
        let rooms = Arc::clone(&self.rooms);
        let job = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&rooms)
        });
        match job.await {
            Ok(result) => result.map_err(Status::from),
            Err(_) => Err(Refusal::Internal("a job panicked").into()),
        }
    }
}

#[tonic::async_trait]
impl DeliveryService for Service {
    type FetchTreeStream = Events<v1::FetchTreeResponse>;
    type DownloadBlobStream = Events<v1::DownloadBlobResponse>;
    type FetchGroupInfoStream = Events<v1::FetchGroupInfoResponse>;
    type StreamStream = Events<v1::StreamResponse>;

    async fn describe(
        &self,
        _: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        Ok(Response::new(v1::DescribeResponse {
            server_name: self.rooms.accounts.auth().server_name().to_owned(),
            now_millis: clock::now().0,
        }))
    }

    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        self.register_device(request.into_inner()).await
    }

    async fn request_challenge(
        &self,
        request: Request<v1::RequestChallengeRequest>,
    ) -> Result<Response<v1::RequestChallengeResponse>, Status> {
        self.make_challenge(&request.into_inner())
    }

    async fn authenticate(
        &self,
        request: Request<v1::AuthenticateRequest>,
    ) -> Result<Response<v1::AuthenticateResponse>, Status> {
        self.give_token(request.into_inner()).await
    }

    async fn publish_key_packages(
        &self,
        request: Request<v1::PublishKeyPackagesRequest>,
    ) -> Result<Response<v1::PublishKeyPackagesResponse>, Status> {
        self.publish(self.identify(request)?).await
    }

    async fn take_key_packages(
        &self,
        request: Request<v1::TakeKeyPackagesRequest>,
    ) -> Result<Response<v1::TakeKeyPackagesResponse>, Status> {
        self.take(self.identify(request)?).await
    }

    async fn create_group(
        &self,
        request: Request<v1::CreateGroupRequest>,
    ) -> Result<Response<v1::CreateGroupResponse>, Status> {
        self.create(self.identify(request)?).await
    }

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        self.append(self.identify(request)?).await
    }

    async fn read_log(
        &self,
        request: Request<v1::ReadLogRequest>,
    ) -> Result<Response<v1::ReadLogResponse>, Status> {
        self.read_entries(self.identify(request)?).await
    }

    async fn fetch_tree(
        &self,
        request: Request<v1::FetchTreeRequest>,
    ) -> Result<Response<Self::FetchTreeStream>, Status> {
        self.send_tree(self.identify(request)?).await
    }

    async fn read_mailbox(
        &self,
        request: Request<v1::ReadMailboxRequest>,
    ) -> Result<Response<v1::ReadMailboxResponse>, Status> {
        self.read_items(self.identify(request)?).await
    }

    async fn acknowledge_mailbox(
        &self,
        request: Request<v1::AcknowledgeMailboxRequest>,
    ) -> Result<Response<v1::AcknowledgeMailboxResponse>, Status> {
        self.drop_items(self.identify(request)?).await
    }

    async fn upload_blob(
        &self,
        request: Request<Streaming<v1::UploadBlobRequest>>,
    ) -> Result<Response<v1::UploadBlobResponse>, Status> {
        self.take_blob(self.identify(request)?).await
    }

    async fn download_blob(
        &self,
        request: Request<v1::DownloadBlobRequest>,
    ) -> Result<Response<Self::DownloadBlobStream>, Status> {
        self.send_blob(self.identify(request)?).await
    }

    async fn create_invitation(
        &self,
        request: Request<v1::CreateInvitationRequest>,
    ) -> Result<Response<v1::CreateInvitationResponse>, Status> {
        self.invite(self.identify(request)?).await
    }

    async fn redeem_invitation(
        &self,
        request: Request<v1::RedeemInvitationRequest>,
    ) -> Result<Response<v1::RedeemInvitationResponse>, Status> {
        self.redeem(self.identify(request)?).await
    }

    async fn approve_invitation(
        &self,
        request: Request<v1::ApproveInvitationRequest>,
    ) -> Result<Response<v1::ApproveInvitationResponse>, Status> {
        self.approve(self.identify(request)?).await
    }

    async fn submit_intent(
        &self,
        request: Request<v1::SubmitIntentRequest>,
    ) -> Result<Response<v1::SubmitIntentResponse>, Status> {
        self.hand_over(self.identify(request)?).await
    }

    async fn delete_device(
        &self,
        request: Request<v1::DeleteDeviceRequest>,
    ) -> Result<Response<v1::DeleteDeviceResponse>, Status> {
        self.end_device(self.identify(request)?).await
    }

    async fn delete_group(
        &self,
        request: Request<v1::DeleteGroupRequest>,
    ) -> Result<Response<v1::DeleteGroupResponse>, Status> {
        self.end_group(self.identify(request)?).await
    }

    async fn delete_user(
        &self,
        request: Request<v1::DeleteUserRequest>,
    ) -> Result<Response<v1::DeleteUserResponse>, Status> {
        self.end_user(request.into_inner()).await
    }

    async fn fetch_group_info(
        &self,
        request: Request<v1::FetchGroupInfoRequest>,
    ) -> Result<Response<Self::FetchGroupInfoStream>, Status> {
        self.send_group_info(self.identify(request)?).await
    }

    async fn stream(
        &self,
        request: Request<Streaming<v1::StreamRequest>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        Ok(self.open_stream(self.identify(request)?))
    }
}
