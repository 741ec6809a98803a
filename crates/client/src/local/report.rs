//! Saying, signed, that a Commit can't be processed which the service could not find wrong.

use conclave_protocol::{Epoch, GroupId, ReportedCommit, Sequence, UnixMillis, UserId};
use conclave_rpc::v1;
use rusqlite::OptionalExtension as _;

use super::Tx;
use crate::ClientError;

/// Who is to blame for a Commit that this device can't process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nobody, as far as this device can know.
    Nobodys,
    /// Its author, who gets away with it.
    Authors,
    /// Its author, who is reported.
    Reported,
}

impl Tx<'_> {
    /// Whose fault it is that a Commit can't be processed. It is noted to be reported where it is that
    /// of its author, and not of what this device knows of the group. `asked` is the user whose newest
    /// list was asked for because of it.
    pub(super) fn fault(
        &self,
        id: GroupId,
        entry: &v1::LogEntry,
        problem: &ClientError,
        asked: Option<&UserId>,
    ) -> Result<Fault, ClientError> {
        let epoch = Epoch(entry.epoch);
        let is_commit = entry.kind() == v1::EntryKind::Commit;
        // A list that came later might have named the device.
        let unlisted = match problem {
            ClientError::Unlisted(user) => asked.filter(|it| it.as_str() == user),
            _ => None,
        };
        let is_fault = is_fault_of_message(problem) || unlisted.is_some();
        if !is_commit || !is_fault || self.epoch_number(id)? != epoch {
            return Ok(Fault::Nobodys);
        }
        // On the service's word alone, nobody is at fault.
        let author = self.engine.author_of_commit(self, id, &entry.message)?;
        let Some(author) = author.filter(|it| it.device.as_bytes() == &entry.sender_device_id[..])
        else {
            return Ok(Fault::Nobodys);
        };
        // One's own devices come and go as one likes, up to the others' next Commit.
        if unlisted == Some(&author.user) {
            return Ok(Fault::Authors);
        }
        let sequence = Sequence(entry.sequence);
        let commit = ReportedCommit::new(id, epoch, sequence, author.device, &entry.message);
        self.open_case(commit, &author, UnixMillis(entry.accepted_millis))?;
        self.sql.execute(
            "INSERT OR REPLACE INTO reports VALUES (?, ?)",
            (id.as_bytes(), self.engine.report(commit).to_bytes()),
        )?;
        Ok(Fault::Reported)
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

fn is_fault_of_message(problem: &ClientError) -> bool {
    matches!(problem, ClientError::Engine(error) if error.is_fault_of_message())
}
