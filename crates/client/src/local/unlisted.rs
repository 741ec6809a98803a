//! Devices in a group that their users' newest lists do not name.
//!
//! Members refuse a Commit that adds one, so in a group that was followed all along one can only be a
//! device that was revoked later, whose leaf somebody will remove. Who has just joined did not see how
//! its company came in: it holds all of it against the lists that it knows, asks for newer ones where
//! somebody is not named, and puts out whoever is not named then either.

use conclave_engine::{Change, Member};
use conclave_protocol::{DeviceCertificate, GroupId, UnixMillis, UserId};
use conclave_rpc::v1;

use super::{Tx, log::distinct, outbox::Item};
use crate::{ClientError, intent::Intent, session::Call};

impl Tx<'_> {
    /// Notes that a group that was just joined has devices which the lists that are known here do
    /// not name, where it has.
    pub(super) fn look_for_unlisted(&self, group: GroupId) -> Result<(), ClientError> {
        let roster = self.engine.roster(self, group)?;
        self.look_for_unlisted_among(roster, group)
    }

    /// The same, where it is known who is there.
    pub(super) fn look_for_unlisted_among(
        &self,
        roster: Vec<Member>,
        group: GroupId,
    ) -> Result<(), ClientError> {
        let is_any = !self.unlisted_among(roster)?.is_empty();
        if is_any && !self.is_queued(group, &Intent::RemoveUnlisted)? {
            self.enqueue(group, &Intent::RemoveUnlisted)?;
        }
        Ok(())
    }

    /// Asks for the newest lists first, and then removes whom they do not name.
    pub(super) fn prepare_remove_unlisted(
        &self,
        group: GroupId,
        item: &Item,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        let unlisted = self.unlisted_in(group)?;
        let users: Vec<&UserId> = unlisted.iter().map(|it| &it.address().user).collect();
        let stale = self.stale_lists(&users, now)?;
        if !stale.is_empty() {
            let request = v1::FetchDeviceListsRequest { users: stale };
            return Ok(Some(Call::FetchDeviceLists(request)));
        }
        if unlisted.is_empty() {
            return self.settle_without_bytes(group, item);
        }
        let devices = unlisted.iter().map(|it| it.address().device).collect();
        self.prepare_commit(group, item, Change::remove(devices), true, now)
    }

    /// The users of devices that a group's lists do not name.
    pub(super) fn users_unlisted_in(&self, group: GroupId) -> Result<Vec<UserId>, ClientError> {
        let unlisted = self.unlisted_in(group)?.into_iter();
        Ok(distinct(unlisted.map(|it| it.address().user.clone())))
    }

    fn unlisted_in(&self, group: GroupId) -> Result<Vec<DeviceCertificate>, ClientError> {
        self.unlisted_among(self.engine.roster(self, group)?)
    }

    /// This device is left out: should it be revoked, that is for others to do.
    fn unlisted_among(&self, roster: Vec<Member>) -> Result<Vec<DeviceCertificate>, ClientError> {
        let own = self.own_certificate().address().device;
        let mut unlisted = Vec::new();
        for member in roster {
            let certificate = member.certificate;
            if certificate.address().device != own && !self.is_listed(&certificate)? {
                unlisted.push(certificate);
            }
        }
        Ok(unlisted)
    }
}
