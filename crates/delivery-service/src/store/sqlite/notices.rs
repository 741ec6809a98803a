//! Mail that is no Welcome.

use conclave_protocol::{DeviceId, GroupId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    super::{Mail, MailboxItem, Notice, Notified, Result, StoreError},
    columns::optional,
    writer::Transaction,
};
use crate::limits::NOTICES_PER_DEVICE_MAX;

/// Puts a notice into a mailbox, in the place of one about the same.
pub(super) fn put(db: &Transaction<'_>, device: DeviceId, notice: &Notice) -> Result<Notified> {
    let row = Columns::of(notice);
    db.prepare_cached("DELETE FROM notice WHERE device_id = ?1 AND kind = ?2 AND about = ?3")?
        .execute(params![device.as_bytes(), row.kind, row.about])?;
    let count: usize = db
        .prepare_cached("SELECT count(*) FROM notice WHERE device_id = ?1")?
        .query_row([device.as_bytes()], |row| row.get(0))?;
    if count >= NOTICES_PER_DEVICE_MAX {
        return Ok(Notified::Full);
    }
    let Some(cursor) = next_cursor(db, device)? else {
        return Ok(Notified::NoSuchDevice);
    };
    db.prepare_cached("INSERT INTO notice VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            device.as_bytes(),
            cursor,
            row.kind,
            row.about,
            row.group.as_ref().map(GroupId::as_bytes),
            row.sender.as_ref().map(DeviceId::as_bytes),
            row.body,
        ])?;
    Ok(Notified::Done)
}

/// The place of a device's next item; `None` where there is no such device.
pub(super) fn next_cursor(db: &Transaction<'_>, device: DeviceId) -> Result<Option<i64>> {
    let cursor = db
        .prepare_cached(
            "UPDATE device SET mailbox_cursor = mailbox_cursor + 1 WHERE device_id = ?1
             RETURNING mailbox_cursor",
        )?
        .query_row([device.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(cursor)
}

pub(super) fn read(
    db: &Connection,
    device: DeviceId,
    after: u64,
    limit: usize,
) -> Result<Vec<MailboxItem>> {
    let mut statement = db.prepare_cached(
        "SELECT cursor, kind, about, group_id, sender, body FROM notice
         WHERE device_id = ?1 AND cursor > ?2 ORDER BY cursor LIMIT ?3",
    )?;
    let mut rows = statement.query(params![device.as_bytes(), after, limit])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        let columns = Columns::read(row)?;
        items.push(MailboxItem {
            cursor: row.get(0)?,
            mail: Mail::Notice(columns.notice().ok_or(StoreError::Corrupt("a notice"))?),
        });
    }
    Ok(items)
}

/// A notice as it stands in a row.
struct Columns {
    kind: u8,
    about: Vec<u8>,
    group: Option<GroupId>,
    sender: Option<DeviceId>,
    body: Vec<u8>,
}

impl Columns {
    fn of(notice: &Notice) -> Self {
        let (kind, about) = notice.subject();
        let (group, sender, body) = match notice {
            Notice::KeyPackagesLow {
                stock,
                last_resort_used,
            } => {
                let body = [&stock.to_be_bytes()[..], &[u8::from(*last_resort_used)]].concat();
                (None, None, body)
            }
            Notice::InvitationAsked {
                group, asker, user, ..
            } => {
                let body = user.as_str().as_bytes().to_vec();
                (Some(*group), Some(*asker), body)
            }
            Notice::InvitationApproved { group, .. } => (Some(*group), None, Vec::new()),
            Notice::Intent {
                group,
                sender,
                intent,
                ..
            } => (Some(*group), Some(*sender), intent.clone()),
            Notice::Measure { measure, .. } => (None, None, measure.clone()),
        };
        Self {
            kind,
            about,
            group,
            sender,
            body,
        }
    }

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            kind: row.get(1)?,
            about: row.get(2)?,
            group: optional(row, 3)?,
            sender: optional(row, 4)?,
            body: row.get(5)?,
        })
    }

    fn notice(self) -> Option<Notice> {
        Some(match self.kind {
            1 => {
                let (used, stock) = self.body.split_last()?;
                Notice::KeyPackagesLow {
                    stock: u32::from_be_bytes(stock.try_into().ok()?),
                    last_resort_used: *used == 1,
                }
            }
            2 => Notice::InvitationAsked {
                group: self.group?,
                token_hash: self.about.try_into().ok()?,
                asker: self.sender?,
                user: String::from_utf8(self.body).ok()?.parse().ok()?,
            },
            3 => Notice::InvitationApproved {
                group: self.group?,
                token_hash: self.about.try_into().ok()?,
            },
            4 => Notice::Intent {
                group: self.group?,
                sender: self.sender?,
                request: self.about.get(16..)?.try_into().ok()?,
                intent: self.body,
            },
            5 => Notice::Measure {
                decision: u64::from_be_bytes(self.about.try_into().ok()?),
                measure: self.body,
            },
            _ => return None,
        })
    }
}
