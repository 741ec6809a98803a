//! The one place where refusals become gRPC statuses.

use std::time::Duration;

use conclave_rpc::{ErrorDetail, v1};
use conclave_safety::{Refused, Verdict};
use tonic::{Code, Status};

use crate::{error::Refusal, limits::OVERLOAD_RETRY, store::StoreError};

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::Unauthenticated(_) => Self::unauthenticated(text),
            Refusal::Invalid(_) => Self::invalid_argument(text),
            Refusal::UnknownGroup | Refusal::NotFound(_) => Self::not_found(text),
            Refusal::NotMember | Refusal::Forbidden(_) => Self::permission_denied(text),
            Refusal::WrongEpoch(head) => ErrorDetail::WrongEpoch(v1::WrongEpoch {
                current_epoch: head.epoch.0,
                head_sequence: head.sequence.0,
            })
            .into_status(text),
            Refusal::LeavesStanding | Refusal::NotAlone => Self::failed_precondition(text),
            Refusal::TooLate { first_kept } => ErrorDetail::TooLate(v1::TooLate {
                first_kept_sequence: first_kept.0,
            })
            .into_status(text),
            Refusal::StaleList { version, list } => {
                ErrorDetail::StaleDeviceList(v1::StaleDeviceList {
                    current_version: version,
                    device_list: list.into(),
                })
                .into_status(text)
            }
            Refusal::Taken(_) => Self::already_exists(text),
            Refusal::TooOften(wait) => retry_after(wait).into_status(text),
            Refusal::Overloaded | Refusal::Store(StoreError::Overloaded) => {
                retry_after(OVERLOAD_RETRY).into_status(text)
            }
            Refusal::TooLarge(_) => Self::out_of_range(text),
            Refusal::ClientTooOld(minimum) => ErrorDetail::ClientTooOld(v1::ClientTooOld {
                minimum_version: minimum.to_string(),
            })
            .into_status(text),
            Refusal::NotAllowed(_) => Self::permission_denied(text),
            Refusal::Suspended(active) => ErrorDetail::Suspended(v1::Suspended {
                decision: active.decision,
                until_millis: active.until.0,
                reason: active.reason,
            })
            .into_status(text),
            Refusal::Report(verdict) => report_refused(&verdict).into_status(text),
            Refusal::Moderation(refused) => Self::new(code_of(&refused), text),
            Refusal::Busy(_) => Self::resource_exhausted(text),
            Refusal::Store(_) | Refusal::Internal(_) => {
                // What went wrong inside is for the operator; the client can only try again.
                tracing::error!(error = %text, "a request failed");
                Self::internal("the service failed; try again later")
            }
        }
    }
}

fn report_refused(verdict: &Verdict) -> ErrorDetail {
    let message = u32::try_from(verdict.item()).unwrap_or(u32::MAX);
    let verdict = match verdict {
        Verdict::Forged { .. } => v1::ReportVerdict::Forged,
        Verdict::Altered { .. } => v1::ReportVerdict::Altered,
        Verdict::Replayed { .. } => v1::ReportVerdict::Replayed,
        Verdict::OutOfContext { .. } => v1::ReportVerdict::OutOfContext,
        _ => v1::ReportVerdict::Unspecified,
    };
    ErrorDetail::ReportRefused(v1::ReportRefused {
        verdict: verdict.into(),
        message,
    })
}

fn code_of(refused: &Refused) -> Code {
    match refused {
        Refused::Role | Refused::OwnCase | Refused::OwnDecision => Code::PermissionDenied,
        Refused::NoDecision => Code::NotFound,
        Refused::NotAccused | Refused::Text | Refused::Duration => Code::InvalidArgument,
        // Of the others, each was done before.
        _ => Code::FailedPrecondition,
    }
}

fn retry_after(wait: Duration) -> ErrorDetail {
    ErrorDetail::RateLimited(v1::RateLimited {
        // At least one: zero would read as not given.
        retry_after_millis: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1),
    })
}
