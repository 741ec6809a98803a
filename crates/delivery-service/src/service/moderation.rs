//! Reports of messages, and what moderators make of them.

use std::time::Duration;

use conclave_protocol::{Evidence, ReportId};
use conclave_rpc::{EdgeError, device_id, report_id, request_id, v1};
use conclave_safety::{Category, Item, MeasureKind, Role, Target};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::{Response, Status};

use super::{Authenticated, Service};
use crate::{
    error::Refusal,
    limits::{AUDIT_PAGE, REPORTS_PAGE},
    moderation::{Deed, Listed, malformed, measure},
    store::Asked,
};

impl Service {
    pub(super) async fn file_report(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::SubmitReportRequest>,
    ) -> Result<Response<v1::SubmitReportResponse>, Status> {
        let id = report_id(&body.report_id)?;
        let category = category(body.category())?;
        self.job(move |rooms| {
            let items = (0..).zip(&body.messages).map(|(place, message)| {
                let evidence = Evidence::from_bytes(&message.evidence);
                Ok(Item {
                    evidence: evidence.map_err(|_| malformed(place))?,
                    is_context: message.is_context,
                })
            });
            let items = items.collect::<Result<_, Refusal>>()?;
            let said = (category, body.comment);
            rooms.moderation.file(caller, id, said, items, now)
        })
        .await?;
        Ok(Response::new(v1::SubmitReportResponse {}))
    }

    pub(super) async fn tell_standing(
        &self,
        Authenticated { caller, .. }: Authenticated<v1::FetchStandingRequest>,
    ) -> Result<Response<v1::FetchStandingResponse>, Status> {
        let decisions = self
            .job(move |rooms| rooms.moderation.decisions_about(caller))
            .await?;
        Ok(Response::new(v1::FetchStandingResponse {
            measures: decisions.iter().map(measure).collect(),
        }))
    }

    pub(super) async fn take_appeal(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::AppealRequest>,
    ) -> Result<Response<v1::AppealResponse>, Status> {
        self.job(move |rooms| {
            let moderation = &rooms.moderation;
            moderation.appeal(caller, body.decision, &body.text, now)
        })
        .await?;
        Ok(Response::new(v1::AppealResponse {}))
    }

    pub(super) async fn list_filed(
        &self,
        Authenticated { caller, body, .. }: Authenticated<v1::ListReportsRequest>,
    ) -> Result<Response<v1::ListReportsResponse>, Status> {
        let (reports, appeals) = self
            .job(move |rooms| {
                let moderation = &rooms.moderation;
                moderation.list(caller, body.after, body.with_decided)
            })
            .await?;
        let more = reports.len() == REPORTS_PAGE;
        let appeals = appeals
            .into_iter()
            .map(|(decision, appeal)| v1::WaitingAppeal {
                decision: decision.number,
                user: decision.measure.target.user.as_str().to_owned(),
                text: appeal.text,
                asked_millis: appeal.at.0,
            });
        Ok(Response::new(v1::ListReportsResponse {
            reports: reports.into_iter().map(summary).collect(),
            more,
            appeals: appeals.collect(),
        }))
    }

    pub(super) async fn show_filed(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::ShowReportRequest>,
    ) -> Result<Response<v1::ShowReportResponse>, Status> {
        let id = report_id(&body.report_id)?;
        let case_file = self
            .job(move |rooms| rooms.moderation.show(caller, id, now))
            .await?;
        Ok(Response::new(v1::ShowReportResponse {
            case_file: case_file.into_bytes().into(),
        }))
    }

    pub(super) async fn do_deed(
        &self,
        Authenticated { caller, now, body }: Authenticated<v1::ModerateRequest>,
    ) -> Result<Response<v1::ModerateResponse>, Status> {
        let asked = Asked {
            device: caller,
            request: request_id(&body.request_id)?,
            body_hash: hash_of(&body),
            at: now,
        };
        let (deed, text) = deed(body)?;
        let entry = self
            .job(move |rooms| rooms.moderation.moderate(asked, deed, &text))
            .await?;
        Ok(Response::new(v1::ModerateResponse { entry }))
    }

    pub(super) async fn read_audit_log(
        &self,
        Authenticated { caller, body, .. }: Authenticated<v1::ReadAuditRequest>,
    ) -> Result<Response<v1::ReadAuditResponse>, Status> {
        let entries = self
            .job(move |rooms| rooms.moderation.audit(caller, body.after_entry))
            .await?;
        let more = entries.len() == AUDIT_PAGE;
        let entries = entries.into_iter().map(|chained| v1::AuditEntry {
            entry: chained.entry.into(),
            hash: chained.hash.to_vec().into(),
        });
        Ok(Response::new(v1::ReadAuditResponse {
            entries: entries.collect(),
            more,
        }))
    }
}

fn summary(listed: Listed) -> v1::ReportSummary {
    let category = match listed.category {
        Category::Spam => v1::ReportCategory::Spam,
        Category::Harassment => v1::ReportCategory::Harassment,
        Category::Threat => v1::ReportCategory::Threat,
        Category::Hate => v1::ReportCategory::Hate,
        Category::SexualAbuseOfChildren => v1::ReportCategory::SexualAbuseOfChildren,
        _ => v1::ReportCategory::Other,
    };
    v1::ReportSummary {
        report_id: listed.id.as_bytes().to_vec().into(),
        number: listed.number,
        received_millis: listed.received.0,
        category: category.into(),
        accused: listed.accused,
        messages: listed.reported,
        decision: listed.decision.unwrap_or_default(),
    }
}

fn category(category: v1::ReportCategory) -> Result<Category, EdgeError> {
    Ok(match category {
        v1::ReportCategory::Unspecified => return Err(EdgeError::new("category", "missing")),
        v1::ReportCategory::Spam => Category::Spam,
        v1::ReportCategory::Harassment => Category::Harassment,
        v1::ReportCategory::Threat => Category::Threat,
        v1::ReportCategory::Hate => Category::Hate,
        v1::ReportCategory::SexualAbuseOfChildren => Category::SexualAbuseOfChildren,
        v1::ReportCategory::Other => Category::Other,
    })
}

/// What a request asks for, as a hash that no other kind of request has.
fn hash_of(body: &v1::ModerateRequest) -> [u8; 32] {
    let hash = Sha256::new().chain_update(b"Moderate");
    hash.chain_update(body.encode_to_vec()).finalize().into()
}

/// What is to be done, and the words for it.
fn deed(body: v1::ModerateRequest) -> Result<(Deed, String), EdgeError> {
    use v1::moderate_request::Act;
    Ok(match body.act.ok_or(EdgeError::new("act", "missing"))? {
        Act::Decide(decide) => {
            let report = report_id(&decide.report_id)?;
            let deed = match decide.measure {
                None => Deed::Dismiss(report),
                Some(measure) => decided(report, &measure)?,
            };
            (deed, decide.reason)
        }
        Act::Answer(answer) => (Deed::Answer(answer.decision, answer.uphold), answer.answer),
        Act::Lift(lift) => (Deed::Lift(lift.decision), lift.reason),
        Act::Appoint(appoint) => {
            let role = match appoint.role() {
                v1::ModeratorRole::Unspecified => None,
                v1::ModeratorRole::Viewer => Some(Role::Viewer),
                v1::ModeratorRole::Moderator => Some(Role::Moderator),
                v1::ModeratorRole::Chief => Some(Role::Chief),
            };
            (Deed::Appoint(user(&appoint.user)?, role), String::new())
        }
    })
}

fn decided(report: ReportId, measure: &v1::DecidedMeasure) -> Result<Deed, EdgeError> {
    let kind = match measure.kind() {
        v1::MeasureKind::Unspecified => return Err(EdgeError::new("kind", "missing")),
        v1::MeasureKind::Warning => MeasureKind::Warning,
        v1::MeasureKind::Slow => MeasureKind::Slow,
        v1::MeasureKind::Suspension => MeasureKind::Suspension,
    };
    let device = match measure.device_id.is_empty() {
        true => None,
        false => Some(device_id(&measure.device_id)?),
    };
    let target = Target {
        user: user(&measure.user)?,
        device,
    };
    let duration = Duration::from_secs(measure.duration_seconds);
    Ok(Deed::Decide(report, kind, target, duration))
}

fn user(text: &str) -> Result<conclave_protocol::UserId, EdgeError> {
    let not_one = |_| EdgeError::new("user", "not a name@domain");
    text.parse().map_err(not_one)
}
