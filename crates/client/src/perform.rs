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
    Ok(match call.clone() {
        Call::Register(request) => Reply::Register(service.register(request).await?.into_inner()),
        Call::CheckInstance(request) => {
            let asked = service.check_instance(with(request, token));
            Reply::CheckInstance(asked.await?.into_inner())
        }
        Call::Describe(request) => Reply::Describe(service.describe(request).await?.into_inner()),
        Call::PublishKeyPackages(request) => {
            let asked = service.publish_key_packages(with(request, token));
            Reply::PublishKeyPackages(asked.await?.into_inner())
        }
        Call::PublishDeviceList(request) => {
            let asked = service.publish_device_list(with(request, token));
            Reply::PublishDeviceList(asked.await?.into_inner())
        }
        Call::FetchDeviceLists(request) => {
            let asked = service.fetch_device_lists(with(request, token));
            Reply::FetchDeviceLists(asked.await?.into_inner())
        }
        Call::FindGroups(request) => {
            let asked = service.find_groups(with(request, token));
            Reply::FindGroups(asked.await?.into_inner())
        }
        Call::TakeKeyPackages(request) => {
            let asked = service.take_key_packages(with(request, token));
            Reply::TakeKeyPackages(asked.await?.into_inner())
        }
        Call::ReadMailbox(request) => {
            let asked = service.read_mailbox(with(request, token));
            Reply::ReadMailbox(asked.await?.into_inner())
        }
        Call::AcknowledgeMailbox(request) => {
            let asked = service.acknowledge_mailbox(with(request, token));
            Reply::AcknowledgeMailbox(asked.await?.into_inner())
        }
        Call::FetchTree(request) => {
            let asked = service.fetch_tree(with(request, token));
            Reply::FetchTree(tree(asked.await?.into_inner()).await?)
        }
        Call::FetchGroupInfo(request) => {
            let asked = service.fetch_group_info(with(request, token));
            let (first, tree) = group_info(asked.await?.into_inner()).await?;
            Reply::FetchGroupInfo(first, tree)
        }
        Call::CreateGroup(request) => {
            let asked = service.create_group(with(request, token));
            Reply::CreateGroup(asked.await?.into_inner())
        }
        Call::Submit(request) => {
            let asked = service.submit(with(request, token));
            Reply::Submit(asked.await?.into_inner())
        }
        Call::ReportCommit(request) => {
            let asked = service.report_commit(with(request, token));
            Reply::ReportCommit(asked.await?.into_inner())
        }
        Call::VoteForSuccessor(request) => {
            let asked = service.vote_for_successor(with(request, token));
            Reply::VoteForSuccessor(asked.await?.into_inner())
        }
        Call::ReadLog(request) => {
            let asked = service.read_log(with(request, token));
            Reply::ReadLog(asked.await?.into_inner())
        }
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
