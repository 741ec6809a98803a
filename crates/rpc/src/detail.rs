//! Typed details of an error, as every gRPC client can read them: a `google.rpc.Status` with one
//! `Any` in `grpc-status-details-bin`.

use prost::Message;
use prost_types::Any;
use tonic::{Code, Status};

use crate::v1;

const TYPE_PREFIX: &str = "type.googleapis.com/conclave.delivery.v1.";

/// What rides along with a status for the client to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorDetail {
    /// The message is of another epoch: catch up, then make it anew.
    WrongEpoch(v1::WrongEpoch),
    /// What was asked for is no longer kept.
    TooLate(v1::TooLate),
    /// Come back later.
    RateLimited(v1::RateLimited),
    /// The program that asks has to be updated.
    ClientTooOld(v1::ClientTooOld),
    /// A device list of this version or a later one is there: make the next one from that.
    StaleDeviceList(v1::StaleDeviceList),
    /// Moderators have suspended the caller.
    Suspended(v1::Suspended),
    /// A report is shown to nobody.
    ReportRefused(v1::ReportRefused),
}

impl ErrorDetail {
    /// The status that carries this detail; the code follows from the kind.
    #[must_use]
    pub fn into_status(self, message: impl Into<String>) -> Status {
        let (code, name, value) = match self {
            Self::WrongEpoch(detail) => (
                Code::FailedPrecondition,
                "WrongEpoch",
                detail.encode_to_vec(),
            ),
            Self::TooLate(detail) => (Code::OutOfRange, "TooLate", detail.encode_to_vec()),
            Self::RateLimited(detail) => (
                Code::ResourceExhausted,
                "RateLimited",
                detail.encode_to_vec(),
            ),
            Self::ClientTooOld(detail) => (
                Code::FailedPrecondition,
                "ClientTooOld",
                detail.encode_to_vec(),
            ),
            Self::StaleDeviceList(detail) => (
                Code::FailedPrecondition,
                "StaleDeviceList",
                detail.encode_to_vec(),
            ),
            Self::Suspended(detail) => {
                (Code::PermissionDenied, "Suspended", detail.encode_to_vec())
            }
            Self::ReportRefused(detail) => (
                Code::InvalidArgument,
                "ReportRefused",
                detail.encode_to_vec(),
            ),
        };
        let message = message.into();
        let any = Any {
            type_url: format!("{TYPE_PREFIX}{name}"),
            value,
        };
        let rich = RichStatus {
            code: code as i32,
            message: message.clone(),
            details: vec![any],
        };
        Status::with_details(code, message, rich.encode_to_vec().into())
    }

    /// The detail of a status, where it has one that this program knows.
    #[must_use]
    pub fn of(status: &Status) -> Option<Self> {
        let rich = RichStatus::decode(status.details()).ok()?;
        rich.details.iter().find_map(|any| {
            let value = any.value.as_slice();
            match any.type_url.strip_prefix(TYPE_PREFIX)? {
                "WrongEpoch" => v1::WrongEpoch::decode(value).ok().map(Self::WrongEpoch),
                "TooLate" => v1::TooLate::decode(value).ok().map(Self::TooLate),
                "RateLimited" => v1::RateLimited::decode(value).ok().map(Self::RateLimited),
                "ClientTooOld" => v1::ClientTooOld::decode(value).ok().map(Self::ClientTooOld),
                "StaleDeviceList" => v1::StaleDeviceList::decode(value)
                    .ok()
                    .map(Self::StaleDeviceList),
                "Suspended" => v1::Suspended::decode(value).ok().map(Self::Suspended),
                "ReportRefused" => v1::ReportRefused::decode(value)
                    .ok()
                    .map(Self::ReportRefused),
                _ => None,
            }
        })
    }
}

/// `google.rpc.Status`, by its published field numbers.
#[derive(Clone, PartialEq, Message)]
struct RichStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_survives_its_status() {
        let detail = ErrorDetail::WrongEpoch(v1::WrongEpoch {
            current_epoch: 7,
            head_sequence: 40,
        });
        let status = detail.clone().into_status("stale");
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(ErrorDetail::of(&status), Some(detail));
        assert_eq!(ErrorDetail::of(&Status::internal("no detail")), None);
        let garbage = Status::with_details(Code::Internal, "x", vec![0xff; 9].into());
        assert_eq!(ErrorDetail::of(&garbage), None);
    }
}
