//! Invitations: who asks this device to be let in, and where this device has asked.

use conclave_protocol::{
    Approval, DeviceAddress, DeviceId, Forbidden, GroupId, Sequence, UnixMillis, UserId,
    limits::INVITATION_LIFETIME_MAX,
};
use conclave_rpc::{device_id, v1};
use rusqlite::OptionalExtension as _;

use super::{Reason, Tx, groups::id_column};
use crate::{Asker, ClientError, Event, Group, Standing};

/// Askers that are kept: the service says who asks, and is not to fill the disk.
const ASKERS_MAX: i64 = 1000;

impl Tx<'_> {
    /// Somebody asks to be let in, by the service's word; a member decides.
    pub(crate) fn note_asker(
        &self,
        asked: &v1::InvitationAsked,
    ) -> Result<Option<Event>, ClientError> {
        let (Ok(group), Ok(device), Ok(user)) = (
            conclave_rpc::group_id(&asked.group_id),
            device_id(&asked.device_id),
            asked.user.parse::<UserId>(),
        ) else {
            return Ok(None);
        };
        if self.require_member(group).is_err() || asked.token_hash.len() != 32 {
            return Ok(None);
        }
        let noted = self.sql.execute(
            "INSERT OR IGNORE INTO askers SELECT ?1, ?2, ?3, ?4, 0
             WHERE ?5 > (SELECT count(*) FROM askers)",
            (
                group.as_bytes(),
                device.as_bytes(),
                user.as_str(),
                &asked.token_hash[..],
                ASKERS_MAX,
            ),
        )?;
        Ok((noted > 0).then_some(Event::Asked(Asker { group, user })))
    }

    /// Who waits for an answer.
    pub(crate) fn askers(&self) -> Result<Vec<Asker>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT DISTINCT group_id, user FROM askers WHERE is_approved = 0 ORDER BY user",
        )?;
        let rows = query.query_map([], |row| Ok((id_column(row, 0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (group, user): (_, String) = row?;
            let user = user.parse()?;
            Ok(Asker { group, user })
        })
        .collect()
    }

    /// Signs that a user's devices that ask for it may join, and gives what to tell the service.
    pub(crate) fn approve(
        &self,
        group: GroupId,
        user: &UserId,
        now: UnixMillis,
    ) -> Result<Vec<v1::ApproveInvitationRequest>, ClientError> {
        self.require_member(group)?;
        if !self.may_change(group, self.own_user(), std::slice::from_ref(user), &[])? {
            return Err(Forbidden::Add.into());
        }
        let expires = now.after(INVITATION_LIFETIME_MAX);
        let mut query = self.sql.prepare_cached(
            "SELECT device, token_hash FROM askers WHERE group_id = ? AND user = ?",
        )?;
        let rows = query.query_map((group.as_bytes(), user.as_str()), |row| {
            Ok((DeviceId::from_bytes(row.get(0)?), row.get::<_, Vec<u8>>(1)?))
        })?;
        let requests = rows.map(|row| {
            let (device, token_hash) = row?;
            let joiner = DeviceAddress {
                user: user.clone(),
                device,
            };
            let approval: Approval = self.engine.approve(group, &joiner, expires);
            Ok(v1::ApproveInvitationRequest {
                group_id: group.as_bytes().to_vec().into(),
                token_hash: token_hash.into(),
                device_id: device.as_bytes().to_vec().into(),
                approval: approval.to_bytes().into(),
            })
        });
        let requests: Vec<_> = requests.collect::<Result<_, ClientError>>()?;
        if requests.is_empty() {
            return Err(ClientError::NotAsked(user.to_string()));
        }
        Ok(requests)
    }

    /// The service has the approvals: this device tells the newcomer the group's name.
    pub(crate) fn set_approved(&self, group: GroupId, user: &UserId) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE askers SET is_approved = 1 WHERE group_id = ? AND user = ?",
            (group.as_bytes(), user.as_str()),
        )?;
        Ok(())
    }

    /// Whether this device let in the one that has just joined; it asks no more.
    pub(super) fn take_asker(&self, group: GroupId, device: DeviceId) -> Result<bool, ClientError> {
        let mut delete = self.sql.prepare_cached(
            "DELETE FROM askers WHERE group_id = ? AND device = ? RETURNING is_approved",
        )?;
        let found = delete.query_row((group.as_bytes(), device.as_bytes()), |row| row.get(0));
        Ok(found.optional()?.unwrap_or(false))
    }

    /// This device asks to be let in. Without this note, no approval counts.
    pub(crate) fn note_redeemed(
        &self,
        group: GroupId,
        token_hash: &[u8],
    ) -> Result<(), ClientError> {
        self.sql.execute(
            "INSERT OR REPLACE INTO redeemed VALUES (?, ?)",
            (group.as_bytes(), token_hash),
        )?;
        Ok(())
    }

    /// A member has let this device in: it joins by an external Commit. Nothing happens where it did
    /// not ask, or is in the group.
    pub(crate) fn enter(
        &self,
        group: GroupId,
        token_hash: &[u8],
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT 1 FROM redeemed WHERE group_id = ? AND token_hash = ?")?;
        let known = self.group(group)?;
        let is_out = known
            .as_ref()
            .is_none_or(|it| it.standing == Standing::Ended);
        if !is_out || !query.exists((group.as_bytes(), token_hash))? {
            return Ok(());
        }
        self.put_group(&Group {
            id: group,
            name: known.as_ref().and_then(|it| it.name.clone()),
            successor: known.as_ref().and_then(|it| it.successor),
            standing: Standing::Joining,
            cursor: known.map_or(Sequence(0), |it| it.cursor),
        })?;
        self.note_resync(group, &Reason::sure("a member has let this device in"), now)?;
        Ok(())
    }

    /// Whether this device has just come in by an invitation, which is then used up.
    pub(super) fn take_redeemed(&self, group: GroupId) -> Result<bool, ClientError> {
        let taken = self.sql.execute(
            "DELETE FROM redeemed WHERE group_id = ?",
            [group.as_bytes()],
        )?;
        Ok(taken > 0)
    }
}
