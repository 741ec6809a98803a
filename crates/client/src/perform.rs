//! One call as one request of the generated client, over whatever transport it has.

use conclave_protocol::limits::RATCHET_TREE_BYTES_MAX;
use conclave_rpc::{
    AUTHORIZATION,
    v1::{self, delivery_service_client::DeliveryServiceClient},
};
use tonic::{
    Request, Status, Streaming,
    body::Body,
    client::GrpcService,
    codegen::{Body as HttpBody, Bytes, StdError},
    metadata::{Ascii, MetadataValue},
};

use crate::session::{Call, Reply};

/// What proves who asks, as it stands in a request's metadata.
pub type Token = MetadataValue<Ascii>;

/// Asks the service once what a session wants asked; nothing is tried again.
///
/// # Errors
/// The status that came instead of an answer. [`Rejection`](crate::session::Rejection) says what it
/// means to a session.
pub async fn perform<T>(
    service: &DeliveryServiceClient<T>,
    token: Option<Token>,
    call: &Call,
) -> Result<Reply, Status>
where
    T: GrpcService<Body> + Clone,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    let mut service = service.clone();
    macro_rules! answer {
        ($method:ident, $request:expr) => {
            service.$method(with($request, token)).await?.into_inner()
        };
    }
    Ok(match call.clone() {
        Call::Register(request) => Reply::Register(service.register(request).await?.into_inner()),
        Call::CheckInstance(request) => Reply::CheckInstance(answer!(check_instance, request)),
        Call::Describe(request) => Reply::Describe(service.describe(request).await?.into_inner()),
        Call::PublishKeyPackages(request) => {
            Reply::PublishKeyPackages(answer!(publish_key_packages, request))
        }
        Call::PublishDeviceList(request) => {
            Reply::PublishDeviceList(answer!(publish_device_list, request))
        }
        Call::FetchDeviceLists(request) => {
            Reply::FetchDeviceLists(answer!(fetch_device_lists, request))
        }
        Call::FindGroups(request) => Reply::FindGroups(answer!(find_groups, request)),
        Call::TakeKeyPackages(request) => {
            Reply::TakeKeyPackages(answer!(take_key_packages, request))
        }
        Call::ReadMailbox(request) => Reply::ReadMailbox(answer!(read_mailbox, request)),
        Call::AcknowledgeMailbox(request) => {
            Reply::AcknowledgeMailbox(answer!(acknowledge_mailbox, request))
        }
        Call::FetchTree(request) => Reply::FetchTree(tree(answer!(fetch_tree, request)).await?),
        Call::FetchGroupInfo(request) => {
            let (first, tree) = group_info(answer!(fetch_group_info, request)).await?;
            Reply::FetchGroupInfo(first, tree)
        }
        Call::CreateGroup(request) => Reply::CreateGroup(answer!(create_group, request)),
        Call::Submit(request) => Reply::Submit(answer!(submit, request)),
        Call::SubmitIntent(request) => Reply::SubmitIntent(answer!(submit_intent, request)),
        Call::ReportCommit(request) => Reply::ReportCommit(answer!(report_commit, request)),
        Call::VoteForSuccessor(request) => {
            Reply::VoteForSuccessor(answer!(vote_for_successor, request))
        }
        Call::ReadLog(request) => Reply::ReadLog(answer!(read_log, request)),
    })
}

/// A request that shows a token.
pub(crate) fn signed<Q>(request: Q, token: Token) -> Request<Q> {
    with(request, Some(token))
}

fn with<Q>(request: Q, token: Option<Token>) -> Request<Q> {
    let mut request = Request::new(request);
    if let Some(token) = token {
        request.metadata_mut().insert(AUTHORIZATION, token);
    }
    request
}

async fn tree(mut parts: Streaming<v1::FetchTreeResponse>) -> Result<Vec<u8>, Status> {
    let mut tree = Vec::new();
    while let Some(part) = parts.message().await? {
        join_part(&mut tree, &part.part)?;
    }
    Ok(tree)
}

async fn group_info(
    mut parts: Streaming<v1::FetchGroupInfoResponse>,
) -> Result<(v1::FetchGroupInfoResponse, Vec<u8>), Status> {
    let (mut first, mut tree) = (None, Vec::new());
    while let Some(part) = parts.message().await? {
        join_part(&mut tree, &part.tree_part)?;
        first.get_or_insert(part);
    }
    let first = first.ok_or_else(|| Status::internal("an empty answer"))?;
    Ok((first, tree))
}

fn join_part(tree: &mut Vec<u8>, part: &[u8]) -> Result<(), Status> {
    if tree.len() + part.len() > RATCHET_TREE_BYTES_MAX {
        return Err(Status::internal("the tree is too large"));
    }
    tree.extend_from_slice(part);
    Ok(())
}
