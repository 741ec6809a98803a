//! What a person asks of the service at once, and waits for.

use std::future::Future;

use conclave_rpc::v1;
use tonic::{Request, Response, Status};

use super::{Remote, Service};
use crate::{ClientError, perform::signed};

impl Remote {
    pub(crate) async fn create_invitation(
        &self,
        request: v1::CreateInvitationRequest,
    ) -> Result<(), ClientError> {
        self.ask(request, |mut service, request| async move {
            service.create_invitation(request).await
        })
        .await
        .map(drop)
    }

    pub(crate) async fn send_signal(
        &self,
        request: v1::SendSignalRequest,
    ) -> Result<(), ClientError> {
        self.ask(request, |mut service, request| async move {
            service.send_signal(request).await
        })
        .await
        .map(drop)
    }

    /// Whether a member has approved.
    pub(crate) async fn redeem_invitation(
        &self,
        request: v1::RedeemInvitationRequest,
    ) -> Result<bool, ClientError> {
        let answer = self.ask(request, |mut service, request| async move {
            service.redeem_invitation(request).await
        });
        Ok(answer.await?.approved)
    }

    pub(crate) async fn approve_invitation(
        &self,
        request: v1::ApproveInvitationRequest,
    ) -> Result<(), ClientError> {
        self.ask(request, |mut service, request| async move {
            service.approve_invitation(request).await
        })
        .await
        .map(drop)
    }

    pub(crate) async fn delete_group(
        &self,
        request: v1::DeleteGroupRequest,
    ) -> Result<(), ClientError> {
        self.ask(request, |mut service, request| async move {
            service.delete_group(request).await
        })
        .await
        .map(drop)
    }

    /// The identity key signs it, so it needs no token.
    pub(crate) async fn delete_user(
        &self,
        request: v1::DeleteUserRequest,
    ) -> Result<(), ClientError> {
        self.retry(|| {
            let (mut service, request) = (self.service.clone(), request.clone());
            async move { service.delete_user(request).await }
        })
        .await
        .map(drop)
        .map_err(|status| self.error(&status))
    }

    pub(crate) async fn fetch_standing(&self) -> Result<v1::FetchStandingResponse, ClientError> {
        let request = v1::FetchStandingRequest {};
        self.ask(request, |mut service, request| async move {
            service.fetch_standing(request).await
        })
        .await
    }

    pub(crate) async fn submit_report(
        &self,
        request: v1::SubmitReportRequest,
    ) -> Result<(), ClientError> {
        self.ask(request, |mut service, request| async move {
            service.submit_report(request).await
        })
        .await
        .map(drop)
    }

    pub(crate) async fn appeal(&self, request: v1::AppealRequest) -> Result<(), ClientError> {
        self.ask(request, |mut service, request| async move {
            service.appeal(request).await
        })
        .await
        .map(drop)
    }

    pub(crate) async fn list_reports(
        &self,
        request: v1::ListReportsRequest,
    ) -> Result<v1::ListReportsResponse, ClientError> {
        self.ask(request, |mut service, request| async move {
            service.list_reports(request).await
        })
        .await
    }

    pub(crate) async fn show_report(
        &self,
        request: v1::ShowReportRequest,
    ) -> Result<v1::ShowReportResponse, ClientError> {
        self.ask(request, |mut service, request| async move {
            service.show_report(request).await
        })
        .await
    }

    pub(crate) async fn moderate(
        &self,
        request: v1::ModerateRequest,
    ) -> Result<v1::ModerateResponse, ClientError> {
        self.ask(request, |mut service, request| async move {
            service.moderate(request).await
        })
        .await
    }

    pub(crate) async fn read_audit(
        &self,
        request: v1::ReadAuditRequest,
    ) -> Result<v1::ReadAuditResponse, ClientError> {
        self.ask(request, |mut service, request| async move {
            service.read_audit(request).await
        })
        .await
    }

    async fn ask<Q: Clone, A, F>(
        &self,
        request: Q,
        send: impl Fn(Service, Request<Q>) -> F,
    ) -> Result<A, ClientError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        self.authorised(|token| {
            let asked = send(self.service.clone(), signed(request.clone(), token));
            async move { Ok(asked.await?.into_inner()) }
        })
        .await
        .map_err(|status| self.error(&status))
    }
}
