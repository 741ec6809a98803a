//! Saying, signed, that a Commit can't be processed which the service could not find wrong.

use conclave_engine::EngineError;
use conclave_protocol::{Epoch, GroupId, ReportedCommit, Sequence};
use conclave_rpc::v1;
use rusqlite::OptionalExtension as _;

use super::Tx;
use crate::ClientError;

impl Tx<'_> {
    /// Notes that a Commit has to be reported, where it is the Commit that is at fault and not what
    /// this device knows of the group.
    pub(super) fn note_report(
        &self,
        id: GroupId,
        entry: &v1::LogEntry,
        problem: &ClientError,
    ) -> Result<(), ClientError> {
        let epoch = Epoch(entry.epoch);
        let is_commit = entry.kind() == v1::EntryKind::Commit;
        if !is_commit || !is_fault_of_commit(problem) || self.epoch_number(id)? != epoch {
            return Ok(());
        }
        let sequence = Sequence(entry.sequence);
        let commit = ReportedCommit::new(id, epoch, sequence, &entry.message);
        self.sql.execute(
            "INSERT OR REPLACE INTO reports VALUES (?, ?)",
            (id.as_bytes(), self.engine.report(commit).to_bytes()),
        )?;
        Ok(())
    }

    /// What this device has to say about a Commit of a group.
    pub(crate) fn report(
        &self,
        id: GroupId,
    ) -> Result<Option<v1::ReportCommitRequest>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT report FROM reports WHERE group_id = ?")?;
        let report = query.query_row([id.as_bytes()], |row| row.get::<_, Vec<u8>>(0));
        Ok(report.optional()?.map(|report| v1::ReportCommitRequest {
            group_id: id.as_bytes().to_vec().into(),
            report: report.into(),
        }))
    }

    /// It has been said, or will not be heard.
    pub(crate) fn forget_report(&self, asked: &v1::ReportCommitRequest) -> Result<(), ClientError> {
        self.sql.execute(
            "DELETE FROM reports WHERE group_id = ? AND report = ?",
            (&asked.group_id[..], &asked.report[..]),
        )?;
        Ok(())
    }
}

fn is_fault_of_commit(problem: &ClientError) -> bool {
    let ClientError::Engine(error) = problem else {
        return false;
    };
    matches!(
        error,
        EngineError::Malformed
            | EngineError::Undecryptable
            | EngineError::Invalid(_)
            | EngineError::Certificate(_)
            | EngineError::Violation(_)
    )
}
