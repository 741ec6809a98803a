//! What proves what was said, and reporting it to those who moderate the server.

use conclave_protocol::{Evidence, GroupId, ReportId, Sequence};

use crate::{Client, ClientError, ReportCategory, entropy::random};

/// A message with what proves it, as it is shown to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The message, and what proves it.
    pub evidence: Evidence,
    /// Whether it is there for the sake of others, so that those can be understood.
    pub is_context: bool,
}

/// Messages that a person shows to those who moderate the server. They see these, with who sent them, and nothing
/// else of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The messages, by their places in the group's history.
    pub messages: Vec<Sequence>,
    /// How many messages before and after them are shown too, so that they can be understood. Where this device does
    /// not have all of them any more, fewer are.
    pub around: usize,
    /// What they are.
    pub category: ReportCategory,
    /// What the reporter has to say of it; at most 2,000 characters.
    pub comment: String,
}

impl Client {
    /// Reports messages to those who moderate the server, with the proof that each was sent, and gives the report's
    /// name. The service checks the proofs before anybody sees them.
    ///
    /// ```no_run
    /// # use conclave_client::{Client, ClientError, GroupId, Report, ReportCategory, Sequence};
    /// # async fn example(bob: Client, club: GroupId) -> Result<(), ClientError> {
    /// let report = Report {
    ///     messages: vec![Sequence(7)],
    ///     around: 2,
    ///     category: ReportCategory::Threat,
    ///     comment: "It goes on like this since Monday.".to_owned(),
    /// };
    /// bob.report(club, &report).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::NotReportable`] for a message without proof, [`ClientError::ReportSize`],
    /// [`ClientError::Refused`] where the service does not take it, [`ClientError::Unreachable`].
    pub async fn report(&self, group: GroupId, report: &Report) -> Result<ReportId, ClientError> {
        let (lines, around) = (report.messages.clone(), report.around);
        let shown = self.session(move |session| session.show(group, &lines, around));
        let id = ReportId::from_bytes(random());
        let says = (report.category, report.comment.as_str());
        self.submit_report(id, says, &shown.await?).await?;
        Ok(id)
    }

    /// What proves a line of a group's history to a third party; `None` where nothing does. It holds all that was
    /// said there, also the keys of attachments.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub async fn evidence(
        &self,
        group: GroupId,
        line: Sequence,
    ) -> Result<Option<Evidence>, ClientError> {
        self.session(move |session| session.evidence(group, line))
            .await
    }
}
