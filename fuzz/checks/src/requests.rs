use conclave_rpc::v1;
use prost::Message;

use crate::Target;

/// The requests of the service, each chosen by its place.
pub const REQUESTS: [Target; 26] = [
    survives::<v1::DescribeRequest>,
    survives::<v1::RegisterRequest>,
    survives::<v1::RequestChallengeRequest>,
    survives::<v1::AuthenticateRequest>,
    survives::<v1::CheckInstanceRequest>,
    survives::<v1::PublishDeviceListRequest>,
    survives::<v1::FetchDeviceListsRequest>,
    survives::<v1::PublishKeyPackagesRequest>,
    survives::<v1::TakeKeyPackagesRequest>,
    survives::<v1::CreateGroupRequest>,
    survives::<v1::SubmitRequest>,
    survives::<v1::FetchGroupInfoRequest>,
    survives::<v1::CreateInvitationRequest>,
    survives::<v1::RedeemInvitationRequest>,
    survives::<v1::ApproveInvitationRequest>,
    survives::<v1::SubmitIntentRequest>,
    survives::<v1::DeleteDeviceRequest>,
    survives::<v1::DeleteUserRequest>,
    survives::<v1::DeleteGroupRequest>,
    survives::<v1::ReadLogRequest>,
    survives::<v1::FetchTreeRequest>,
    survives::<v1::UploadBlobRequest>,
    survives::<v1::DownloadBlobRequest>,
    survives::<v1::ReadMailboxRequest>,
    survives::<v1::AcknowledgeMailboxRequest>,
    survives::<v1::StreamRequest>,
];

/// A request means the same when it is encoded again. The first byte says which.
pub fn requests(input: &[u8]) {
    if let Some((chosen, bytes)) = crate::choose(input, REQUESTS.len()) {
        REQUESTS[chosen](bytes);
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
