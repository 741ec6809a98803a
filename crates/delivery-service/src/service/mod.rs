//! The gRPC service, thin: decode, authenticate, ask the rooms behind, encode.

mod account;
mod attendance;
mod blob;
mod encode;
mod group;
mod membership;
mod moderation;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use conclave_protocol::{DeviceId, UnixMillis};
use conclave_rpc::{v1, v1::delivery_service_server::DeliveryService};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use self::attendance::Attendance;
use crate::{
    accounts::Accounts,
    auth::Caller,
    blobs::Blobs,
    clock::Clock,
    edge::{Cost, Peer, Rates},
    error::Refusal,
    groups::Groups,
    hub::Hub,
    limits::{JOBS_MAX, JOBS_WAITING_MAX, STREAM_JOBS_MAX},
    metrics::Refusals,
    moderation::Moderation,
    store::Store,
};

/// What a streamed answer is made of.
type Events<T> = ReceiverStream<Result<T, Status>>;

/// What is behind the interface.
pub(crate) struct Rooms {
    pub(crate) clock: Clock,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) accounts: Accounts,
    pub(crate) groups: Groups,
    pub(crate) blobs: Blobs,
    pub(crate) moderation: Moderation,
    pub(crate) hub: Arc<Hub>,
    pub(crate) rates: Arc<Rates>,
    pub(crate) refusals: Refusals,
}

/// The interface.
#[derive(Clone)]
pub(crate) struct Service {
    rooms: Arc<Rooms>,
    /// Places to work or to wait for a turn.
    places: Arc<Semaphore>,
    jobs: Arc<Semaphore>,
    stream_jobs: Arc<Semaphore>,
    attendance: Arc<Attendance>,
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
            places: Arc::new(Semaphore::new(JOBS_MAX + JOBS_WAITING_MAX)),
            jobs: Arc::new(Semaphore::new(JOBS_MAX)),
            stream_jobs: Arc::new(Semaphore::new(STREAM_JOBS_MAX)),
            attendance: Arc::default(),
            stopping,
        }
    }

    fn identify<T>(&self, request: Request<T>) -> Result<Authenticated<T>, Status> {
        // The gate in front has read the token.
        let caller = request.extensions().get::<Caller>();
        let caller = caller.ok_or(Refusal::Unauthenticated("no token"))?.device;
        Ok(Authenticated {
            caller,
            now: self.rooms.clock.now(),
            body: request.into_inner(),
        })
    }

    /// Knows the sender of a request that costs more than others, and counts that.
    fn charge<T>(&self, request: Request<T>, cost: Cost) -> Result<Authenticated<T>, Status> {
        if let Some(caller) = request.extensions().get::<Caller>() {
            let spent = self.rooms.rates.spend(caller, cost);
            spent.map_err(|refusal| self.refuse(refusal))?;
        }
        self.identify(request)
    }

    /// Runs what blocks away from the event loop. Only so many such jobs run at once and only so
    /// many wait; the others are refused. A job goes on when its request is given up: what it wrote
    /// is found by the retry.
    async fn job<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Rooms) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Status> {
        let place = self.places.try_acquire();
        let _place = place.map_err(|_| self.refuse(Refusal::Overloaded))?;
        let turn = Arc::clone(&self.jobs).acquire_owned().await;
        self.run(turn, work).await
    }

    /// A live stream's turn to read. There are no more of them than streams, so all may wait.
    async fn stream_turn(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.stream_jobs).acquire_owned().await
    }

    async fn run<T: Send + 'static>(
        &self,
        turn: Result<OwnedSemaphorePermit, AcquireError>,
        work: impl FnOnce(&Rooms) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Status> {
        let rooms = Arc::clone(&self.rooms);
        let job = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&rooms)
        });
        match job.await {
            Ok(result) => result.map_err(|refusal| self.refuse(refusal)),
            Err(_) => Err(self.refuse(Refusal::Internal("a job panicked"))),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Status {
        self.rooms.refusals.note(&refusal);
        refusal.into()
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
        let (now, stamper) = (self.rooms.clock.now(), self.rooms.groups.stamper());
        let certificates = stamper.certificates(now).into_iter();
        Ok(Response::new(v1::DescribeResponse {
            server_name: self.rooms.accounts.auth().server_name().to_owned(),
            now_millis: now.0,
            operator_key: stamper.operator_key().as_bytes().to_vec().into(),
            stamping_certificates: certificates.map(|it| it.to_bytes().into()).collect(),
        }))
    }

    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        if let Some(peer) = request.extensions().get::<Peer>() {
            self.rooms.rates.registration_from(peer.address().ip())?;
        }
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

    async fn check_instance(
        &self,
        request: Request<v1::CheckInstanceRequest>,
    ) -> Result<Response<v1::CheckInstanceResponse>, Status> {
        self.compare_instance(self.identify(request)?).await
    }

    async fn publish_device_list(
        &self,
        request: Request<v1::PublishDeviceListRequest>,
    ) -> Result<Response<v1::PublishDeviceListResponse>, Status> {
        self.keep_list(request.into_inner()).await
    }

    async fn fetch_device_lists(
        &self,
        request: Request<v1::FetchDeviceListsRequest>,
    ) -> Result<Response<v1::FetchDeviceListsResponse>, Status> {
        let cost = Cost::Lists(request.get_ref().users.len());
        self.find_lists(self.charge(request, cost)?).await
    }

    async fn find_groups(
        &self,
        request: Request<v1::FindGroupsRequest>,
    ) -> Result<Response<v1::FindGroupsResponse>, Status> {
        self.find_own_groups(self.identify(request)?).await
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
        let cost = Cost::Take(request.get_ref().users.len());
        self.take(self.charge(request, cost)?).await
    }

    async fn create_group(
        &self,
        request: Request<v1::CreateGroupRequest>,
    ) -> Result<Response<v1::CreateGroupResponse>, Status> {
        self.create(self.charge(request, Cost::Group)?).await
    }

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        self.append(self.charge(request, Cost::Submission)?).await
    }

    async fn report_commit(
        &self,
        request: Request<v1::ReportCommitRequest>,
    ) -> Result<Response<v1::ReportCommitResponse>, Status> {
        self.take_report(self.charge(request, Cost::Submission)?)
            .await
    }

    async fn vote_for_successor(
        &self,
        request: Request<v1::VoteForSuccessorRequest>,
    ) -> Result<Response<v1::VoteForSuccessorResponse>, Status> {
        self.take_vote(self.charge(request, Cost::Submission)?)
            .await
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

    async fn send_signal(
        &self,
        request: Request<v1::SendSignalRequest>,
    ) -> Result<Response<v1::SendSignalResponse>, Status> {
        self.pass_signal(self.identify(request)?).await
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

    async fn submit_report(
        &self,
        request: Request<v1::SubmitReportRequest>,
    ) -> Result<Response<v1::SubmitReportResponse>, Status> {
        self.file_report(self.charge(request, Cost::Report)?).await
    }

    async fn fetch_standing(
        &self,
        request: Request<v1::FetchStandingRequest>,
    ) -> Result<Response<v1::FetchStandingResponse>, Status> {
        self.tell_standing(self.identify(request)?).await
    }

    async fn appeal(
        &self,
        request: Request<v1::AppealRequest>,
    ) -> Result<Response<v1::AppealResponse>, Status> {
        self.take_appeal(self.identify(request)?).await
    }

    async fn list_reports(
        &self,
        request: Request<v1::ListReportsRequest>,
    ) -> Result<Response<v1::ListReportsResponse>, Status> {
        self.list_filed(self.identify(request)?).await
    }

    async fn show_report(
        &self,
        request: Request<v1::ShowReportRequest>,
    ) -> Result<Response<v1::ShowReportResponse>, Status> {
        self.show_filed(self.identify(request)?).await
    }

    async fn moderate(
        &self,
        request: Request<v1::ModerateRequest>,
    ) -> Result<Response<v1::ModerateResponse>, Status> {
        self.do_deed(self.identify(request)?).await
    }

    async fn read_audit(
        &self,
        request: Request<v1::ReadAuditRequest>,
    ) -> Result<Response<v1::ReadAuditResponse>, Status> {
        self.read_audit_log(self.identify(request)?).await
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
        let peer = request.extensions().get::<Peer>().cloned();
        Ok(self.open_stream(self.identify(request)?, peer))
    }
}
