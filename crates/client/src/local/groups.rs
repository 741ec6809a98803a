//! The groups that this device knows.

use conclave_engine::EngineError;
use conclave_protocol::{DeviceCertificate, Epoch, GroupId, Sequence, UserId, VerifyingKey};
use rusqlite::{OptionalExtension as _, Row, types::Type};

use super::Tx;
use crate::{ClientError, Group, Member, Standing, fingerprint};

impl Tx<'_> {
    pub(crate) fn groups(&self) -> Result<Vec<Group>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT group_id, name, standing, cursor FROM groups ORDER BY name")?;
        let groups = query
            .query_map([], group_from_row)?
            .collect::<Result<_, _>>()?;
        Ok(groups)
    }

    pub(crate) fn group(&self, id: GroupId) -> Result<Option<Group>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT group_id, name, standing, cursor FROM groups WHERE group_id = ?",
        )?;
        Ok(query
            .query_row([id.as_bytes()], group_from_row)
            .optional()?)
    }

    pub(super) fn put_group(&self, group: &Group) -> Result<(), ClientError> {
        self.sql.execute(
            "INSERT OR REPLACE INTO groups VALUES (?, ?, ?, ?)",
            (
                group.id.as_bytes(),
                &group.name,
                group.standing.as_str(),
                number(group.cursor),
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
        self.sql.execute(
            "UPDATE groups SET cursor = ? WHERE group_id = ?",
            (number(cursor), id.as_bytes()),
        )?;
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
        match self.group(id)?.map(|group| group.standing) {
            Some(Standing::Creating | Standing::Member) => Ok(()),
            Some(Standing::Joining) => Err(ClientError::Joining),
            Some(Standing::Leaving) => Err(ClientError::Leaving),
            Some(Standing::Ended) => Err(ClientError::NotMember),
            None => Err(ClientError::UnknownGroup(id.to_string())),
        }
    }

    /// The users with a device in the group, each with all their devices there.
    pub(crate) fn members(&self, id: GroupId) -> Result<Vec<Member>, ClientError> {
        let mut members: Vec<Member> = Vec::new();
        for leaf in self.engine.roster(self, id)? {
            let address = leaf.certificate.address();
            match members
                .iter_mut()
                .find(|member| member.user == address.user)
            {
                Some(member) => member.devices.push(address.device),
                None => members.push(Member {
                    user: address.user.clone(),
                    devices: vec![address.device],
                }),
            }
        }
        members.sort_by(|a, b| a.user.cmp(&b.user));
        Ok(members)
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

    /// Whether a key is the identity key that a user had when first seen, or may become it.
    pub(super) fn is_identity_key(
        &self,
        user: &UserId,
        key: &VerifyingKey,
    ) -> Result<bool, ClientError> {
        let own = self.own_certificate();
        if *user == own.address().user {
            return Ok(key == own.identity_key());
        }
        let mut known = self
            .sql
            .prepare_cached("SELECT identity_key FROM contacts WHERE user = ?")?;
        let known = known.query_row([user.as_str()], |row| row.get::<_, Vec<u8>>(0));
        Ok(known
            .optional()?
            .is_none_or(|known| known == key.as_bytes()))
    }

    /// What this user and another compare; see `fingerprint`.
    pub(crate) fn safety_number(&self, user: &UserId) -> Result<String, ClientError> {
        let mut known = self
            .sql
            .prepare_cached("SELECT identity_key FROM contacts WHERE user = ?")?;
        let key = known.query_row([user.as_str()], |row| row.get::<_, Vec<u8>>(0));
        let key = key
            .optional()?
            .and_then(|key| VerifyingKey::try_from(&key[..]).ok());
        let key = key.ok_or_else(|| ClientError::UnknownUser(vec![user.to_string()]))?;
        let own = self.own_certificate();
        let own = (&own.address().user, own.identity_key());
        Ok(fingerprint::safety_number(own, (user, &key)))
    }

    /// What all members of a group compare; see `fingerprint`.
    pub(crate) fn roster_fingerprint(&self, id: GroupId) -> Result<String, ClientError> {
        let roster = self.engine.roster(self, id)?;
        Ok(fingerprint::roster(roster.iter().map(|it| &it.certificate)))
    }

    /// Keeps the identity keys of users who are seen for the first time, and refuses another key
    /// later (promise 4: no ghost). Where one is refused, none is kept.
    pub(super) fn pin_all<'c>(
        &self,
        certificates: impl Iterator<Item = &'c DeviceCertificate> + Clone,
    ) -> Result<(), ClientError> {
        let mut known = self
            .sql
            .prepare_cached("SELECT identity_key FROM contacts WHERE user = ?")?;
        for certificate in certificates.clone() {
            let user = certificate.address().user.as_str();
            let key: Option<Vec<u8>> = known.query_row([user], |row| row.get(0)).optional()?;
            if key.is_some_and(|key| key != certificate.identity_key().as_bytes()) {
                return Err(ClientError::IdentityChanged(user.to_owned()));
            }
        }
        let mut keep = self
            .sql
            .prepare_cached("INSERT OR IGNORE INTO contacts VALUES (?, ?)")?;
        for certificate in certificates {
            let user = certificate.address().user.as_str();
            keep.execute((user, certificate.identity_key().as_bytes()))?;
        }
        Ok(())
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
    })
}

#[cfg(test)]
mod tests {
    use conclave_protocol::{DeviceAddress, DeviceClaims, DeviceId, SigningKey, UnixMillis};

    use super::*;
    use crate::local::{Database, Local};

    fn certificate(user: &str, identity: u8) -> DeviceCertificate {
        let device = DeviceId::from_bytes([identity; 16]);
        let address = DeviceAddress {
            user: user.parse().unwrap(),
            device,
        };
        let key = SigningKey::from_seed(&[identity; 32]);
        let claims = DeviceClaims::starting(address, key.verifying_key(), UnixMillis(0));
        DeviceCertificate::issue(claims, &key)
    }

    #[test]
    fn a_changed_identity_key_is_refused_and_nothing_of_its_company_kept() {
        let mut local = Local::create(
            Database::in_memory().unwrap(),
            &crate::Registration::at("http://127.0.0.1:1"),
            "alice@here".parse().unwrap(),
            None,
            &[7; 32].into(),
            UnixMillis(0),
        )
        .unwrap();
        // The transaction is committed all the same, as when a Welcome is dropped.
        let mut pin = |certificates: &[DeviceCertificate]| {
            let pinned = local.write(|tx| Ok(tx.pin_all(certificates.iter())));
            pinned.unwrap()
        };
        pin(&[certificate("bob@here", 1)]).unwrap();
        pin(&[certificate("bob@here", 1)]).unwrap();
        let company = [certificate("carol@here", 2), certificate("bob@here", 3)];
        assert!(matches!(
            pin(&company),
            Err(ClientError::IdentityChanged(_))
        ));
        pin(&[certificate("carol@here", 4)]).unwrap();
    }
}
