//! Reports of messages, and the log of what moderators do.

use conclave_protocol::{DeviceId, GroupId, ReportId, Sequence, UnixMillis, UserId};
use conclave_safety::Chained;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    super::{Filed, NewAudit, NewReport, Range, ReportRow, Result},
    accounts,
    columns::typed,
    groups, log, notices,
    writer::Transaction,
};
use crate::limits::{OPEN_REPORTS_MAX, OPEN_REPORTS_PER_USER_MAX};

pub(super) fn put_report(db: &Transaction<'_>, new: &NewReport<'_>) -> Result<Filed> {
    let known: Option<bool> = db
        .prepare_cached("SELECT reporter = ?2 AND body = ?3 FROM report WHERE report_id = ?1")?
        .query_row(
            params![new.id.as_bytes(), new.reporter.as_str(), new.body],
            |row| row.get(0),
        )
        .optional()?;
    match known {
        Some(true) => return Ok(Filed::Done),
        Some(false) => return Ok(Filed::IdTaken),
        None => {}
    }
    let mut reported = db.prepare_cached(
        "SELECT 1 FROM reported WHERE user_id = ?1 AND group_id = ?2 AND sequence = ?3",
    )?;
    for sequence in new.reported {
        let user = new.reporter.as_str();
        if reported.exists(params![user, new.group.as_bytes(), sequence.0])? {
            return Ok(Filed::Replayed(*sequence));
        }
    }
    if !has_room(db, new.reporter)? {
        return Ok(Filed::Full);
    }
    insert(db, new)?;
    Ok(Filed::Done)
}

fn has_room(db: &Connection, reporter: &UserId) -> Result<bool> {
    let of_all: usize = db
        .prepare_cached("SELECT count(*) FROM report WHERE is_decided = 0")?
        .query_row([], |row| row.get(0))?;
    let of_user: usize = db
        .prepare_cached("SELECT count(*) FROM report WHERE is_decided = 0 AND reporter = ?1")?
        .query_row([reporter.as_str()], |row| row.get(0))?;
    Ok(of_all < OPEN_REPORTS_MAX && of_user < OPEN_REPORTS_PER_USER_MAX)
}

fn insert(db: &Transaction<'_>, new: &NewReport<'_>) -> Result<()> {
    let number: i64 = db
        .prepare_cached(
            "INSERT INTO report (report_id, reporter, received_millis, summary, body)
             VALUES (?1, ?2, ?3, ?4, ?5) RETURNING number",
        )?
        .query_row(
            params![
                new.id.as_bytes(),
                new.reporter.as_str(),
                new.received.0,
                new.summary,
                new.body
            ],
            |row| row.get(0),
        )?;
    let mut insert = db.prepare_cached("INSERT INTO reported VALUES (?1, ?2, ?3, ?4)")?;
    for sequence in new.reported {
        let (user, group) = (new.reporter.as_str(), new.group.as_bytes());
        insert.execute(params![user, group, sequence.0, number])?;
    }
    Ok(())
}

/// A report's summary and body.
pub(super) fn report(db: &Connection, report: ReportId) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let found = db
        .prepare_cached("SELECT summary, body FROM report WHERE report_id = ?1")?
        .query_row([report.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found)
}

pub(super) fn reports(
    db: &Connection,
    after: u64,
    limit: usize,
    with_decided: bool,
) -> Result<Vec<ReportRow>> {
    let rows = db
        .prepare_cached(
            "SELECT number, report_id, received_millis, summary FROM report
             WHERE number > ?1 AND (is_decided = 0 OR ?2) ORDER BY number LIMIT ?3",
        )?
        .query_map(params![after, with_decided, limit], |row| {
            Ok(ReportRow {
                number: row.get(0)?,
                id: typed(row, 1)?,
                received: UnixMillis(row.get(2)?),
                summary: row.get(3)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

pub(super) fn reported(db: &Connection, user: &UserId, group: GroupId) -> Result<Vec<Sequence>> {
    let reported = db
        .prepare_cached(
            "SELECT sequence FROM reported WHERE user_id = ?1 AND group_id = ?2 ORDER BY sequence",
        )?
        .query_map(params![user.as_str(), group.as_bytes()], |row| {
            row.get(0).map(Sequence)
        })?
        .collect::<Result<_, _>>()?;
    Ok(reported)
}

pub(super) fn expire_reports(db: &Transaction<'_>, received_before: UnixMillis) -> Result<()> {
    db.prepare_cached("DELETE FROM report WHERE is_decided = 1 AND received_millis < ?1")?
        .execute([received_before.0])?;
    Ok(())
}

/// The devices that are told; `None` where the entry is not the next one.
pub(super) fn append_audit(
    db: &Transaction<'_>,
    new: &NewAudit<'_>,
) -> Result<Option<Vec<DeviceId>>> {
    let last: u64 = db
        .prepare_cached("SELECT coalesce(max(number), 0) FROM audit")?
        .query_row([], |row| row.get(0))?;
    if new.chained.number != last + 1 {
        return Ok(None);
    }
    db.prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3)")?
        .execute(params![
            new.chained.number,
            new.chained.entry,
            new.chained.hash
        ])?;
    if let Some(asked) = &new.asked {
        log::remember(db, asked, new.chained.number)?;
    }
    if let Some(report) = new.about {
        db.prepare_cached("INSERT INTO audit_about VALUES (?1, ?2)")?
            .execute(params![report.as_bytes(), new.chained.number])?;
        db.prepare_cached("UPDATE report SET is_decided = 1 WHERE report_id = ?1 AND ?2")?
            .execute(params![report.as_bytes(), new.decides])?;
    }
    let Some((user, only, notice)) = new.tells else {
        return Ok(Some(Vec::new()));
    };
    let mut devices = accounts::devices_of(db, user)?;
    devices.retain(|device| only.is_none_or(|only| only == *device));
    for device in &devices {
        notices::put(db, *device, notice)?;
    }
    Ok(Some(devices))
}

pub(super) fn audit(db: &Connection, after: u64, limit: usize) -> Result<Vec<Chained>> {
    let entries = db
        .prepare_cached(
            "SELECT number, entry, hash FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2",
        )?
        .query_map(params![after, limit], chained)?
        .collect::<Result<_, _>>()?;
    Ok(entries)
}

pub(super) fn audit_about(
    db: &Connection,
    report: ReportId,
    after: u64,
    limit: usize,
) -> Result<Vec<Chained>> {
    let entries = db
        .prepare_cached(
            "SELECT number, entry, hash FROM audit_about JOIN audit USING (number)
             WHERE report_id = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
        )?
        .query_map(params![report.as_bytes(), after, limit], chained)?
        .collect::<Result<_, _>>()?;
    Ok(entries)
}

fn chained(row: &Row<'_>) -> rusqlite::Result<Chained> {
    Ok(Chained {
        number: row.get(0)?,
        entry: row.get(1)?,
        hash: typed(row, 2)?,
    })
}

pub(super) fn stays(
    db: &Connection,
    group: GroupId,
    user: &UserId,
) -> Result<Option<(Sequence, Vec<Range>)>> {
    let Some(head) = groups::head(db, group)? else {
        return Ok(None);
    };
    let ranges = db
        .prepare_cached(
            "SELECT from_sequence, to_sequence FROM membership JOIN device USING (device_id)
             WHERE group_id = ?1 AND user_id = ?2
             UNION SELECT from_sequence, to_sequence FROM former_stay
             WHERE group_id = ?1 AND user_id = ?2
             ORDER BY from_sequence, to_sequence",
        )?
        .query_map(params![group.as_bytes(), user.as_str()], |row| {
            Ok(Range {
                from: Sequence(row.get(0)?),
                to: row.get::<_, Option<u64>>(1)?.map(Sequence),
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(Some((head.sequence, ranges)))
}

/// Keeps for its user where a device that is deleted was a member.
pub(super) fn keep_stays(db: &Transaction<'_>, device: DeviceId) -> Result<()> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO former_stay
         SELECT group_id, user_id, from_sequence, coalesce(to_sequence, sequence)
         FROM membership JOIN device USING (device_id) JOIN mls_group USING (group_id)
         WHERE device_id = ?1",
    )?
    .execute([device.as_bytes()])?;
    Ok(())
}
