use conclave_rpc::v1;
use prost::Message;

use crate::Target;

/// The requests of the service, each chosen by its place.
pub const REQUESTS: [(&str, Target); 37] = [
    ("DescribeRequest", survives::<v1::DescribeRequest>),
    ("RegisterRequest", survives::<v1::RegisterRequest>),
    (
        "RequestChallengeRequest",
        survives::<v1::RequestChallengeRequest>,
    ),
    ("AuthenticateRequest", survives::<v1::AuthenticateRequest>),
    ("CheckInstanceRequest", survives::<v1::CheckInstanceRequest>),
    (
        "PublishDeviceListRequest",
        survives::<v1::PublishDeviceListRequest>,
    ),
    (
        "FetchDeviceListsRequest",
        survives::<v1::FetchDeviceListsRequest>,
    ),
    (
        "PublishKeyPackagesRequest",
        survives::<v1::PublishKeyPackagesRequest>,
    ),
    (
        "TakeKeyPackagesRequest",
        survives::<v1::TakeKeyPackagesRequest>,
    ),
    ("CreateGroupRequest", survives::<v1::CreateGroupRequest>),
    ("SubmitRequest", survives::<v1::SubmitRequest>),
    (
        "FetchGroupInfoRequest",
        survives::<v1::FetchGroupInfoRequest>,
    ),
    (
        "CreateInvitationRequest",
        survives::<v1::CreateInvitationRequest>,
    ),
    (
        "RedeemInvitationRequest",
        survives::<v1::RedeemInvitationRequest>,
    ),
    (
        "ApproveInvitationRequest",
        survives::<v1::ApproveInvitationRequest>,
    ),
    ("SubmitIntentRequest", survives::<v1::SubmitIntentRequest>),
    ("DeleteDeviceRequest", survives::<v1::DeleteDeviceRequest>),
    ("DeleteUserRequest", survives::<v1::DeleteUserRequest>),
    ("DeleteGroupRequest", survives::<v1::DeleteGroupRequest>),
    ("ReadLogRequest", survives::<v1::ReadLogRequest>),
    ("FetchTreeRequest", survives::<v1::FetchTreeRequest>),
    ("UploadBlobRequest", survives::<v1::UploadBlobRequest>),
    ("DownloadBlobRequest", survives::<v1::DownloadBlobRequest>),
    ("ReadMailboxRequest", survives::<v1::ReadMailboxRequest>),
    (
        "AcknowledgeMailboxRequest",
        survives::<v1::AcknowledgeMailboxRequest>,
    ),
    ("StreamRequest", survives::<v1::StreamRequest>),
    ("FindGroupsRequest", survives::<v1::FindGroupsRequest>),
    ("ReportCommitRequest", survives::<v1::ReportCommitRequest>),
    (
        "VoteForSuccessorRequest",
        survives::<v1::VoteForSuccessorRequest>,
    ),
    ("SendSignalRequest", survives::<v1::SendSignalRequest>),
    ("SubmitReportRequest", survives::<v1::SubmitReportRequest>),
    ("FetchStandingRequest", survives::<v1::FetchStandingRequest>),
    ("AppealRequest", survives::<v1::AppealRequest>),
    ("ListReportsRequest", survives::<v1::ListReportsRequest>),
    ("ShowReportRequest", survives::<v1::ShowReportRequest>),
    ("ModerateRequest", survives::<v1::ModerateRequest>),
    ("ReadAuditRequest", survives::<v1::ReadAuditRequest>),
];

/// A request means the same when it is encoded again. The first byte says which.
pub fn requests(input: &[u8]) {
    if let Some((chosen, bytes)) = crate::choose(input, REQUESTS.len()) {
        REQUESTS[chosen].1(bytes);
    }
}

/// Protobuf has many encodings of one message; that of ours is the one that counts.
fn survives<T: Message + Default + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(request) = T::decode(bytes) {
        let again = request.encode_to_vec();
        assert_eq!(again.len(), request.encoded_len());
        assert_eq!(T::decode(&*again).as_ref(), Ok(&request));
    }
}
