//! What is durable about a device that takes the place of lost ones.

use conclave_protocol::{DeviceId, GroupId, UnixMillis};
use rusqlite::OptionalExtension as _;

use super::{Reason, Tx};
use crate::{ClientError, Event, Standing, intent::Intent};

/// After so many attempts to come into a group, the revocation of lost devices waits for it no
/// longer: whoever has them must not be able to put that off.
const ATTEMPTS_MAX: i64 = 4;

impl Tx<'_> {
    /// Whether this device is taking the place of others; if so, whether its user's groups are known.
    pub(crate) fn recovery(&self) -> Result<Option<bool>, ClientError> {
        let mut query = self.sql.prepare_cached("SELECT is_found FROM recovery")?;
        Ok(query.query_row([], |row| row.get(0)).optional()?)
    }

    /// Comes into the groups of this user, one by one.
    pub(crate) fn groups_found(
        &self,
        groups: &[GroupId],
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let reason = Reason::sure("this device takes the place of others");
        let mut events = Vec::new();
        for group in groups {
            events.extend(self.find_again(*group, &reason, now)?);
        }
        self.sql.execute("UPDATE recovery SET is_found = 1", [])?;
        Ok(events)
    }

    /// Whether there is a group that this device is still coming into. While it is not in, the leaf
    /// of a lost device is what lets it in.
    pub(crate) fn recovery_waits(&self) -> Result<bool, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT 1 FROM groups JOIN resyncs USING (group_id)
             WHERE standing = ? AND is_due AND attempts < ?",
        )?;
        Ok(query.exists((Standing::Joining.as_str(), ATTEMPTS_MAX))?)
    }

    /// This device has taken the place of the others, which are revoked where that was wanted.
    pub(crate) fn end_recovery(&self) -> Result<(), ClientError> {
        let revokes = self
            .sql
            .query_row("SELECT revokes FROM recovery", [], |row| row.get(0));
        if revokes.optional()? == Some(true) {
            let own = self.own_certificate().address().device;
            let devices = self.own_devices()?.into_keys();
            self.revoke(&devices.filter(|it| *it != own).collect::<Vec<_>>())?;
        }
        self.sql.execute("DELETE FROM recovery", [])?;
        Ok(())
    }

    /// Revokes devices of this user and removes them from the groups of this device.
    pub(crate) fn revoke(&self, devices: &[DeviceId]) -> Result<(), ClientError> {
        for device in devices {
            self.change_device(*device, None)?;
            self.stop_awaiting(*device)?;
        }
        if devices.is_empty() {
            return Ok(());
        }
        self.enqueue_everywhere(&Intent::RemoveDevices(devices.to_vec()))
    }
}
