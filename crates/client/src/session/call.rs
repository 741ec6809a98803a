//! What a session asks of the service, and what may come back.

use std::time::Duration;

use conclave_protocol::{Epoch, GroupId, Sequence};
use conclave_rpc::{ErrorDetail, v1};
use tonic::{Code, Status};

use crate::ClientError;

/// One request to the service. It holds all that is needed to find its place again when the reply
/// comes, so a reply may come late, twice, or after the session was opened anew.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// Needs no token.
    Register(v1::RegisterRequest),
    /// Whether this device's state is the latest of its kind.
    CheckInstance(v1::CheckInstanceRequest),
    /// What the service says of its keys. Needs no token.
    Describe(v1::DescribeRequest),
    /// Without packages, it asks how many are in stock.
    PublishKeyPackages(v1::PublishKeyPackagesRequest),
    /// Which devices this user has.
    PublishDeviceList(v1::PublishDeviceListRequest),
    /// Which devices others have.
    FetchDeviceLists(v1::FetchDeviceListsRequest),
    /// Which groups this user has devices in.
    FindGroups(v1::FindGroupsRequest),
    /// KeyPackages of users to be added.
    TakeKeyPackages(v1::TakeKeyPackagesRequest),
    /// What waits for this device.
    ReadMailbox(v1::ReadMailboxRequest),
    /// What was read is durable here.
    AcknowledgeMailbox(v1::AcknowledgeMailboxRequest),
    /// The tree of a Welcome.
    FetchTree(v1::FetchTreeRequest),
    /// What an external Commit is made from.
    FetchGroupInfo(v1::FetchGroupInfoRequest),
    /// A group that was made here.
    CreateGroup(v1::CreateGroupRequest),
    /// A message for a group's log.
    Submit(v1::SubmitRequest),
    /// What somebody who is online is to do.
    SubmitIntent(v1::SubmitIntentRequest),
    /// That a Commit can't be processed.
    ReportCommit(v1::ReportCommitRequest),
    /// That a group goes on as another.
    VoteForSuccessor(v1::VoteForSuccessorRequest),
    /// A page of a group's log.
    ReadLog(v1::ReadLogRequest),
}

impl Call {
    /// The group that it is about, where it is about one.
    #[must_use]
    pub fn group(&self) -> Option<GroupId> {
        let id = match self {
            Self::FetchTree(request) => &request.group_id,
            Self::FetchGroupInfo(request) => &request.group_id,
            Self::CreateGroup(request) => &request.group_id,
            Self::Submit(request) => &request.group_id,
            Self::SubmitIntent(request) => &request.group_id,
            Self::ReportCommit(request) => &request.group_id,
            Self::VoteForSuccessor(request) => &request.group_id,
            Self::ReadLog(request) => &request.group_id,
            _ => return None,
        };
        conclave_rpc::group_id(id).ok()
    }
}

/// What the service answered to a [`Call`] of the same name.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// The service knows the device now.
    Register(v1::RegisterResponse),
    /// It is, or it is not.
    CheckInstance(v1::CheckInstanceResponse),
    /// The operator's key, and those that stamp.
    Describe(v1::DescribeResponse),
    /// How many are in stock.
    PublishKeyPackages(v1::PublishKeyPackagesResponse),
    /// The service has the list.
    PublishDeviceList(v1::PublishDeviceListResponse),
    /// The newest lists.
    FetchDeviceLists(v1::FetchDeviceListsResponse),
    /// The groups, by id.
    FindGroups(v1::FindGroupsResponse),
    /// The packages, by user.
    TakeKeyPackages(v1::TakeKeyPackagesResponse),
    /// A page of the mailbox.
    ReadMailbox(v1::ReadMailboxResponse),
    /// They are gone.
    AcknowledgeMailbox(v1::AcknowledgeMailboxResponse),
    /// The whole tree, its parts joined.
    FetchTree(Vec<u8>),
    /// Everything but the tree as in the first response, and the whole tree, its parts joined.
    FetchGroupInfo(v1::FetchGroupInfoResponse, Vec<u8>),
    /// The service has the group.
    CreateGroup(v1::CreateGroupResponse),
    /// Where the message stands.
    Submit(v1::SubmitResponse),
    /// Who got it.
    SubmitIntent(v1::SubmitIntentResponse),
    /// The report is heard.
    ReportCommit(v1::ReportCommitResponse),
    /// The vote is heard.
    VoteForSuccessor(v1::VoteForSuccessorResponse),
    /// A page of the log.
    ReadLog(v1::ReadLogResponse),
}

/// Why a [`Call`] has no [`Reply`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// A submission was of another epoch than the group's.
    WrongEpoch {
        /// The group's epoch.
        current: Epoch,
        /// Where its log ends.
        head: Sequence,
    },
    /// What was asked for is no longer kept.
    TooLate,
    /// The user has a device list that is not earlier than the one that was to be published: this.
    StaleList(Vec<u8>),
    /// The service asks to come back later.
    RateLimited(Duration),
    /// It will not be accepted, now or later.
    Refused {
        /// Of what kind.
        code: Code,
        /// In the service's words.
        reason: String,
    },
    /// It is not accepted now; why, in the service's words.
    NotNow(String),
    /// The service failed, or what it answered makes no sense.
    Broken(String),
    /// Nothing is known: it may have arrived or not. It can be sent again as it is.
    Unreachable(String),
}

impl Rejection {
    /// Whether the service has decided: the same again would come to the same.
    pub(crate) fn is_decision(&self) -> bool {
        matches!(
            self,
            Self::WrongEpoch { .. } | Self::TooLate | Self::StaleList(_) | Self::Refused { .. }
        )
    }

    /// Whether the service has looked at what was asked, and does not want it as it is.
    pub(crate) fn is_answer(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::NotNow(_))
    }

    /// Whether the service says that the caller has no business in what it asked for, or does not
    /// know it.
    pub(super) fn is_denial(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: Code::NotFound | Code::PermissionDenied,
                ..
            }
        )
    }

    /// What the application is told; `url` is the service's address.
    pub(crate) fn into_error(self, url: &str) -> ClientError {
        match self {
            Self::RateLimited(wait) => ClientError::RateLimited(wait),
            Self::Refused { reason, .. } | Self::NotNow(reason) => ClientError::Refused(reason),
            Self::WrongEpoch { .. } => ClientError::Refused("of another epoch".into()),
            Self::TooLate => ClientError::Refused("no longer kept".into()),
            Self::StaleList(_) => ClientError::Refused("a newer device list is there".into()),
            Self::Broken(reason) => ClientError::Protocol(reason),
            Self::Unreachable(reason) => ClientError::Unreachable {
                url: url.to_owned(),
                reason,
            },
        }
    }
}

impl From<&Status> for Rejection {
    fn from(status: &Status) -> Self {
        let reason = status.message().to_owned();
        let code = status.code();
        match (ErrorDetail::of(status), code) {
            (Some(ErrorDetail::WrongEpoch(detail)), _) => Self::WrongEpoch {
                current: Epoch(detail.current_epoch),
                head: Sequence(detail.head_sequence),
            },
            (Some(ErrorDetail::TooLate(_)), _) => Self::TooLate,
            (Some(ErrorDetail::StaleDeviceList(detail)), _) => {
                Self::StaleList(detail.device_list.into())
            }
            (Some(ErrorDetail::RateLimited(limit)), _) => {
                Self::RateLimited(Duration::from_millis(limit.retry_after_millis))
            }
            (Some(ErrorDetail::Suspended(detail)), _) => {
                let (decision, why) = (detail.decision, detail.reason);
                let reason = format!("{reason} (decision {decision}): {why}");
                Self::Refused { code, reason }
            }
            (Some(ErrorDetail::ReportRefused(detail)), _) => {
                let reason = format!("message {}: {reason}", detail.message + 1);
                Self::Refused { code, reason }
            }
            (
                None,
                Code::InvalidArgument
                | Code::NotFound
                | Code::AlreadyExists
                | Code::PermissionDenied
                | Code::FailedPrecondition
                | Code::OutOfRange
                | Code::Unimplemented,
            ) => Self::Refused { code, reason },
            (_, Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Unknown) => {
                Self::Unreachable(reason)
            }
            (_, Code::Internal | Code::DataLoss) => Self::Broken(reason),
            _ => Self::NotNow(reason),
        }
    }
}

/// News that did not come as a reply. Losing one loses nothing but time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// The service can be reached, perhaps after a while: everything may have news.
    Connected,
    /// Something waits in the mailbox.
    Mailbox,
    /// A group's log has grown, or ended for this device.
    Group(GroupId),
}
