//! What this device has asked others to do, until it is done or can't be.

use std::collections::BTreeSet;

use conclave_protocol::{DeviceId, GroupId, MembershipIntent, UserId, limits::ADDS_PER_COMMIT_MAX};
use rusqlite::{OptionalExtension as _, Row};

use super::Tx;
use crate::{ClientError, Standing, WishEnd, intent::Intent};

/// Users of whom something is asked in one group at one moment, as many as a member keeps for others.
const ASKED_MAX: usize = 4 * ADDS_PER_COMMIT_MAX;

/// Something that was asked for and has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) user: UserId,
    /// Whether the user is to be added; otherwise removed.
    pub(crate) is_add: bool,
    /// How often somebody was asked.
    pub(crate) turns: u32,
    /// The row of the outbox by which this device does it itself.
    pub(crate) own_row: Option<i64>,
}

impl Tx<'_> {
    /// Keeps what is to be asked for. Of what is wanted of one user, the last counts.
    pub(crate) fn keep_asked(
        &self,
        group: GroupId,
        wanted: &MembershipIntent,
    ) -> Result<(), ClientError> {
        let adds = wanted.add.iter().map(|user| (user, true));
        let removes = wanted.remove.iter().map(|user| (user, false));
        let mut insert = self.sql.prepare_cached(
            "INSERT OR REPLACE INTO asked (group_id, user, is_add, turns) VALUES (?, ?, ?, 0)",
        )?;
        for (user, is_add) in adds.chain(removes) {
            insert.execute((group.as_bytes(), user.as_str(), is_add))?;
        }
        if self.asked(group)?.len() > ASKED_MAX {
            return Err(ClientError::Refused("too much is asked for".into()));
        }
        Ok(())
    }

    /// All that was asked for in a group and has not ended.
    pub(crate) fn asked(&self, group: GroupId) -> Result<Vec<Asked>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT user, is_add, turns, own_row FROM asked WHERE group_id = ? ORDER BY user",
        )?;
        let rows = query.query_map([group.as_bytes()], |row| {
            Ok((row.get::<_, String>(0)?, asked_from_row(row)?))
        })?;
        rows.map(|row| {
            let (user, of) = row?;
            Ok(of(user.parse()?))
        })
        .collect()
    }

    /// Forgets what has ended, and says how.
    pub(crate) fn end_asked(
        &self,
        group: GroupId,
        asked: Vec<Asked>,
    ) -> Result<Vec<(Asked, WishEnd)>, ClientError> {
        let standing = self.group(group)?.map(|it| it.standing);
        let is_there = !matches!(standing, None | Some(Standing::Ended | Standing::Joining));
        let there = match is_there {
            true => Some(self.users_in(group)?),
            false => None,
        };
        let mut ended = Vec::new();
        for wish in asked {
            let end = match &there {
                Some(there) => self.end_of(group, &wish, there)?,
                None => Some(WishEnd::NotMember),
            };
            if let Some(end) = end {
                self.forget_asked(group, &wish)?;
                ended.push((wish, end));
            }
        }
        Ok(ended)
    }

    /// How something has ended; `None` where it is open.
    fn end_of(
        &self,
        group: GroupId,
        wish: &Asked,
        there: &BTreeSet<UserId>,
    ) -> Result<Option<WishEnd>, ClientError> {
        if wish.turns == 0 {
            return Ok(None);
        }
        if there.contains(&wish.user) == wish.is_add {
            return Ok(Some(WishEnd::Done));
        }
        if let Some(row) = wish.own_row {
            return self.end_of_own(row);
        }
        let users = std::slice::from_ref(&wish.user);
        let (add, remove) = match wish.is_add {
            true => (users, &[][..]),
            false => (&[][..], users),
        };
        let may = self.may_change(group, self.own_user(), add, remove)?;
        Ok((!may).then_some(WishEnd::Forbidden))
    }

    /// How this device's own doing ended, where it changed nothing.
    fn end_of_own(&self, row: i64) -> Result<Option<WishEnd>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT landed IS NOT NULL, failure FROM outbox WHERE id = ?")?;
        let known = query.query_row([row], |row| {
            Ok((row.get::<_, bool>(0)?, row.get::<_, Option<String>>(1)?))
        });
        Ok(match known.optional()? {
            Some((false, None)) => None,
            Some((true, None)) | None => Some(WishEnd::Impossible(None)),
            Some((_, Some(reason))) => {
                // It is told in this way, and not once more as something that was given up.
                self.forget_failure(row)?;
                Some(WishEnd::Impossible(Some(reason)))
            }
        })
    }

    /// Somebody was asked, or could not be.
    pub(crate) fn count_turn(
        &self,
        group: GroupId,
        wanted: &MembershipIntent,
    ) -> Result<(), ClientError> {
        let mut update = self
            .sql
            .prepare_cached("UPDATE asked SET turns = turns + 1 WHERE group_id = ? AND user = ?")?;
        for user in wanted.add.iter().chain(&wanted.remove) {
            update.execute((group.as_bytes(), user.as_str()))?;
        }
        Ok(())
    }

    /// Whether the user of a device that was asked may do it.
    pub(crate) fn may_do_for_others(
        &self,
        group: GroupId,
        device: DeviceId,
        wanted: &MembershipIntent,
    ) -> Result<bool, ClientError> {
        match self.devices_in(group)?.get(&device) {
            Some(user) => self.may_change(group, user, &wanted.add, &wanted.remove),
            None => Ok(false),
        }
    }

    /// Puts what nobody did into this device's own outbox.
    pub(crate) fn do_asked(&self, group: GroupId, asked: &[Asked]) -> Result<(), ClientError> {
        for (is_add, of) in [
            (true, Intent::AddFor as fn(Vec<UserId>) -> Intent),
            (false, Intent::RemoveFor),
        ] {
            let users = asked.iter().filter(|it| it.is_add == is_add);
            let users: Vec<UserId> = users.map(|it| it.user.clone()).collect();
            for part in users.chunks(ADDS_PER_COMMIT_MAX) {
                let row = self.enqueue(group, &of(part.to_vec()))?;
                for user in part {
                    self.sql.execute(
                        "UPDATE asked SET own_row = ? WHERE group_id = ? AND user = ?",
                        (row, group.as_bytes(), user.as_str()),
                    )?;
                }
            }
        }
        Ok(())
    }

    /// A group goes on as another: what was asked for is asked for there.
    pub(super) fn ask_again_in(&self, id: GroupId, successor: GroupId) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE OR REPLACE asked SET group_id = ?, turns = 0, own_row = NULL
             WHERE group_id = ?",
            (successor.as_bytes(), id.as_bytes()),
        )?;
        Ok(())
    }

    fn forget_asked(&self, group: GroupId, wish: &Asked) -> Result<(), ClientError> {
        self.sql.execute(
            "DELETE FROM asked WHERE group_id = ? AND user = ?",
            (group.as_bytes(), wish.user.as_str()),
        )?;
        Ok(())
    }
}

/// All but the user, whose name is text there.
fn asked_from_row(row: &Row<'_>) -> rusqlite::Result<impl FnOnce(UserId) -> Asked + use<>> {
    let (is_add, turns, own_row) = (row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(move |user| Asked {
        user,
        is_add,
        turns,
        own_row,
    })
}
