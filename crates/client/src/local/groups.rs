//! The groups that this device knows.

use std::collections::BTreeMap;

use conclave_engine::EngineError;
use conclave_protocol::{DeviceId, Epoch, GroupId, Sequence, UserId};
use rusqlite::{OptionalExtension as _, Row, types::Type};

use super::Tx;
use crate::{ClientError, Group, Member, Standing, fingerprint};

impl Tx<'_> {
    pub(crate) fn groups(&self) -> Result<Vec<Group>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT group_id, name, standing, cursor, successor FROM groups ORDER BY name",
        )?;
        let groups = query
            .query_map([], group_from_row)?
            .collect::<Result<_, _>>()?;
        Ok(groups)
    }

    pub(crate) fn group(&self, id: GroupId) -> Result<Option<Group>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT group_id, name, standing, cursor, successor FROM groups WHERE group_id = ?",
        )?;
        Ok(query
            .query_row([id.as_bytes()], group_from_row)
            .optional()?)
    }

    pub(crate) fn put_group(&self, group: &Group) -> Result<(), ClientError> {
        self.sql.execute(
            "INSERT OR REPLACE INTO groups VALUES (?, ?, ?, ?, ?, 0)",
            (
                group.id.as_bytes(),
                &group.name,
                group.standing.as_str(),
                number(group.cursor),
                group.successor.map(|it| *it.as_bytes()),
            ),
        )?;
        Ok(())
    }

    pub(super) fn set_standing(&self, id: GroupId, standing: Standing) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE groups SET standing = ? WHERE group_id = ?",
            (standing.as_str(), id.as_bytes()),
        )?;
        Ok(())
    }

    pub(super) fn set_cursor(&self, id: GroupId, cursor: Sequence) -> Result<(), ClientError> {
        self.sql
            .prepare_cached("UPDATE groups SET cursor = ? WHERE group_id = ?")?
            .execute((number(cursor), id.as_bytes()))?;
        Ok(())
    }

    pub(super) fn set_name(&self, id: GroupId, name: &str) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE groups SET name = ? WHERE group_id = ?",
            (name, id.as_bytes()),
        )?;
        Ok(())
    }

    /// Refuses where this device can't act in the group.
    pub(crate) fn require_member(&self, id: GroupId) -> Result<(), ClientError> {
        let group = self.group(id)?;
        if let Some(successor) = group.as_ref().and_then(|group| group.successor) {
            return Err(ClientError::Continued(successor));
        }
        match group.map(|group| group.standing) {
            Some(Standing::Creating | Standing::Member) => Ok(()),
            Some(Standing::Joining) => Err(ClientError::Joining),
            Some(Standing::Leaving) => Err(ClientError::Leaving),
            Some(Standing::Ended) => Err(ClientError::NotMember),
            None => Err(ClientError::UnknownGroup(id.to_string())),
        }
    }

    /// The users with a device in the group, each with all their devices there.
    pub(crate) fn members(&self, id: GroupId) -> Result<Vec<Member>, ClientError> {
        let mut devices: BTreeMap<UserId, Vec<DeviceId>> = BTreeMap::new();
        let rules = self.rules(id)?;
        for leaf in self.engine.roster(self, id)? {
            let address = leaf.certificate.address();
            let of_user = devices.entry(address.user.clone()).or_default();
            of_user.push(address.device);
        }
        let member = |(user, devices)| Member {
            role: rules.role(&user),
            user,
            devices,
        };
        Ok(devices.into_iter().map(member).collect())
    }

    /// The epoch and what all members of it agree on.
    pub(crate) fn epoch(&self, id: GroupId) -> Result<(u64, Vec<u8>), EngineError> {
        let epoch = self.engine.epoch(self, id)?;
        Ok((epoch.0, self.engine.epoch_authenticator(self, id)?))
    }

    /// The epoch alone; the first of all where the group's state is lost.
    pub(crate) fn epoch_number(&self, id: GroupId) -> Result<Epoch, ClientError> {
        match self.engine.epoch(self, id) {
            Err(EngineError::State(error)) => Err(EngineError::from(error).into()),
            epoch => Ok(epoch.unwrap_or_default()),
        }
    }

    /// Whether a Commit of this device waits for the log's verdict.
    pub(crate) fn has_pending_commit(&self, id: GroupId) -> Result<bool, ClientError> {
        Ok(self.engine.has_pending_commit(self, id)?)
    }

    /// What all members of a group compare; see `fingerprint`.
    pub(crate) fn roster_fingerprint(&self, id: GroupId) -> Result<String, ClientError> {
        let roster = self.engine.roster(self, id)?;
        Ok(fingerprint::roster(roster.iter().map(|it| &it.certificate)))
    }
}

/// `name@domain` of the service where nothing else is said.
pub(crate) fn user_named(text: &str, domain: &str) -> Result<UserId, ClientError> {
    Ok(if text.contains('@') {
        text.parse()?
    } else {
        UserId::new(text, domain)?
    })
}

/// SQLite's numbers are signed; no log reaches the upper half.
pub(super) fn number(sequence: Sequence) -> i64 {
    i64::try_from(sequence.0).unwrap_or(i64::MAX)
}

pub(super) fn sequence(row: &Row<'_>, column: usize) -> rusqlite::Result<Sequence> {
    row.get::<_, i64>(column)
        .map(|number| Sequence(number.unsigned_abs()))
}

pub(super) fn id_column(row: &Row<'_>, column: usize) -> rusqlite::Result<GroupId> {
    row.get(column).map(GroupId::from_bytes)
}

fn group_from_row(row: &Row<'_>) -> rusqlite::Result<Group> {
    let standing: String = row.get(2)?;
    let standing = Standing::parse(&standing)
        .ok_or_else(|| rusqlite::Error::InvalidColumnType(2, standing, Type::Text))?;
    Ok(Group {
        id: id_column(row, 0)?,
        name: row.get(1)?,
        standing,
        cursor: sequence(row, 3)?,
        successor: row.get::<_, Option<_>>(4)?.map(GroupId::from_bytes),
    })
}
