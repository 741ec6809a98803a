//! What proves what was said, to show it to somebody else.

use conclave_protocol::{Evidence, GroupId, Sequence, StampingKeyCertificate, VerifyingKey};

use super::Session;
use crate::{ClientError, Shown};

impl Session {
    /// What proves a line of a group's history, as it stands; `None` where nothing does.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn evidence(
        &mut self,
        group: GroupId,
        line: Sequence,
    ) -> Result<Option<Evidence>, ClientError> {
        self.local.read(|tx| tx.proof_of(group, line))
    }

    /// These lines of a group's history with what proves them, in the order of the log, and up to `around` messages
    /// before and after them. Where this device does not have all of those any more, they are fewer or none: nothing
    /// is left out between two that are shown.
    ///
    /// # Errors
    /// [`ClientError::NotReportable`] for a line that nothing proves, [`ClientError::ReportSize`].
    pub fn show(
        &mut self,
        group: GroupId,
        lines: &[Sequence],
        around: usize,
    ) -> Result<Vec<Shown>, ClientError> {
        self.local.read(|tx| tx.show(group, lines, around))
    }

    /// The key of the service's operator, as this device first heard of it, and the keys that it has certified.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn service_keys(
        &mut self,
    ) -> Result<(Option<VerifyingKey>, Vec<StampingKeyCertificate>), ClientError> {
        self.local
            .read(|tx| Ok((tx.operator_key()?, tx.stamping_certificates()?)))
    }
}
