//! What was read, in the order of each group's log.

use std::time::Duration;

use conclave_protocol::{
    GroupId, Message, MessageId, Permissions, Role, Sequence, UnixMillis, Unreportable, UserId,
};
use rusqlite::{Row, types::Type};

use super::{
    Tx,
    groups::{id_column, number, sequence},
    messages::millis,
};
use crate::{ClientError, Entry, EntryKind, Posted};

impl Tx<'_> {
    /// Up to `limit` entries after a place in the log, oldest first.
    pub(crate) fn history(
        &self,
        group: GroupId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, ClientError> {
        self.lines(SHOWN, group, after, limit)
    }

    /// Up to `limit` entries before a place in the log, the last ones, oldest first.
    pub(crate) fn history_before(
        &self,
        group: GroupId,
        before: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, ClientError> {
        let mut query = self.sql.prepare_cached(&format!(
            "SELECT min(sequence) FROM (SELECT h.sequence FROM history h
             WHERE h.group_id = ? AND h.sequence < ? {SHOWN} ORDER BY h.sequence DESC LIMIT ?)"
        ))?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let first: Option<i64> =
            query.query_row((group.as_bytes(), number(before), limit), |row| row.get(0))?;
        let Some(first) = first else {
            return Ok(Vec::new());
        };
        let after = Sequence(first.unsigned_abs().saturating_sub(1));
        let mut entries =
            self.history(group, after, usize::try_from(limit).unwrap_or(usize::MAX))?;
        entries.retain(|entry| entry.sequence < before);
        Ok(entries)
    }

    /// One entry.
    pub(crate) fn entry(&self, group: GroupId, at: Sequence) -> Result<Option<Entry>, ClientError> {
        self.one_line("", group, at)
    }

    /// One entry, unless its author is blocked.
    pub(crate) fn shown_entry(
        &self,
        group: GroupId,
        at: Sequence,
    ) -> Result<Option<Entry>, ClientError> {
        self.one_line(SHOWN, group, at)
    }

    /// Whether an entry is of those that are not shown.
    pub(super) fn is_hidden(&self, entry: &Entry) -> Result<bool, ClientError> {
        let is_said = matches!(
            entry.kind,
            EntryKind::Message(_)
                | EntryKind::Unknown(_)
                | EntryKind::Unreadable
                | EntryKind::Unreportable
        );
        Ok(is_said && self.is_blocked(&entry.author)?)
    }

    fn one_line(
        &self,
        which: &str,
        group: GroupId,
        at: Sequence,
    ) -> Result<Option<Entry>, ClientError> {
        let before = Sequence(at.0.saturating_sub(1));
        let found = self.lines(which, group, before, 1)?.pop();
        Ok(found.filter(|entry| entry.sequence == at))
    }

    fn lines(
        &self,
        which: &str,
        group: GroupId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, ClientError> {
        let mut query = self.sql.prepare_cached(&format!(
            "{SELECT} WHERE h.group_id = ? AND h.sequence > ? {which} ORDER BY h.sequence LIMIT ?"
        ))?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map((group.as_bytes(), number(after), limit), entry_from_row)?;
        let mut entries = rows.collect::<Result<Vec<_>, _>>()?;
        self.fill_reactions(&mut entries)?;
        self.fill_answers(&mut entries)?;
        Ok(entries)
    }

    /// The texts of messages after a place in the log, in order.
    pub(crate) fn texts(
        &self,
        group: GroupId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<(Sequence, String)>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT sequence, body FROM history WHERE group_id = ? AND sequence > ?
             AND kind = 'message' ORDER BY sequence LIMIT ?",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map((group.as_bytes(), number(after), limit), |row| {
            Ok((sequence(row, 0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        rows.map(|row| {
            let (at, body) = row?;
            let message = Message::from_bytes(&body).unwrap_or_default();
            Ok((at, message.body().to_owned()))
        })
        .collect()
    }

    pub(crate) fn record(&self, entry: &Entry) -> Result<(), ClientError> {
        self.record_line(entry)?;
        match &entry.kind {
            EntryKind::Message(Posted { id, expires, .. }) => {
                let place = (entry.group, entry.sequence);
                self.name_message(place, *id, *expires, None)
            }
            _ => Ok(()),
        }
    }

    /// The line alone; of a message more has to be noted.
    pub(super) fn record_line(&self, entry: &Entry) -> Result<(), ClientError> {
        let (kind, body) = encode(&entry.kind);
        self.sql
            .prepare_cached("INSERT OR IGNORE INTO history VALUES (?, ?, ?, ?, ?, ?)")?
            .execute((
                entry.group.as_bytes(),
                number(entry.sequence),
                millis(entry.accepted),
                entry.author.as_str(),
                kind,
                body,
            ))?;
        Ok(())
    }
}

/// Lines of history with what is known of messages.
const SELECT: &str = "
    SELECT h.group_id, h.sequence, h.accepted_millis, h.author, h.kind, h.body,
           m.id, m.edited_millis, m.deleted, m.expires_millis,
           coalesce(m.evidence <> x'', 0) OR EXISTS (
               SELECT 1 FROM evidence e
               WHERE e.group_id = h.group_id AND e.line = h.sequence AND e.is_said)
    FROM history h LEFT JOIN messages m ON m.group_id = h.group_id AND m.sequence = h.sequence";

/// What blocked users say is kept and not shown; what they do to a group is.
const SHOWN: &str = "
    AND NOT (h.kind IN ('message', 'unknown', 'unreadable', 'unreportable')
             AND h.author IN (SELECT user FROM blocked))";

fn encode(kind: &EntryKind) -> (&'static str, Vec<u8>) {
    match kind {
        EntryKind::Message(posted) => ("message", posted.message.to_bytes()),
        EntryKind::Named(name) => ("named", name.clone().into_bytes()),
        EntryKind::Added(users) => ("added", join(users)),
        EntryKind::Removed(users) => ("removed", join(users)),
        EntryKind::Changed { added, removed } => {
            ("changed", [join(added), join(removed)].join(&b"\n\n"[..]))
        }
        EntryKind::Expelled(users) => ("expelled", join(users)),
        EntryKind::Described(text) => ("described", text.clone().into_bytes()),
        EntryKind::Pictured => ("pictured", Vec::new()),
        EntryKind::Expiring(time) => {
            let seconds = time.map_or(0, |time| time.as_secs());
            ("expiring", seconds.to_be_bytes().to_vec())
        }
        EntryKind::Governed { roles, permissions } => {
            ("governed", encode_governed(roles, *permissions))
        }
        EntryKind::Leaves => ("leaves", Vec::new()),
        EntryKind::Rejoined => ("rejoined", Vec::new()),
        EntryKind::Reported(user) => ("reported", join(std::slice::from_ref(user))),
        EntryKind::Continued { to, without } => {
            let without = without.as_ref().map_or("", UserId::as_str);
            ("continued", [to.as_bytes(), without.as_bytes()].concat())
        }
        EntryKind::Unknown(bytes) => ("unknown", bytes.clone()),
        EntryKind::Unreadable => ("unreadable", Vec::new()),
        EntryKind::Unreportable => ("unreportable", Vec::new()),
        EntryKind::Reporting(unreportable) => ("reporting", vec![unreportable.code()]),
    }
}

/// Whether a line of this kind may have this body.
pub(super) fn holds(kind: &str, body: &[u8]) -> bool {
    match kind {
        "message" => Message::from_bytes(body).is_some(),
        other => decode(other, body.to_vec()).is_some(),
    }
}

fn decode(kind: &str, body: Vec<u8>) -> Option<EntryKind> {
    Some(match kind {
        "named" => EntryKind::Named(String::from_utf8(body).ok()?),
        "added" => EntryKind::Added(split(&body)?),
        "removed" => EntryKind::Removed(split(&body)?),
        "changed" => {
            let both = String::from_utf8(body).ok()?;
            let (added, removed) = both.split_once("\n\n")?;
            EntryKind::Changed {
                added: split(added.as_bytes())?,
                removed: split(removed.as_bytes())?,
            }
        }
        "expelled" => EntryKind::Expelled(split(&body)?),
        "described" => EntryKind::Described(String::from_utf8(body).ok()?),
        "pictured" => EntryKind::Pictured,
        "expiring" => {
            let seconds = u64::from_be_bytes(body.try_into().ok()?);
            EntryKind::Expiring((seconds > 0).then(|| Duration::from_secs(seconds)))
        }
        "governed" => decode_governed(&body)?,
        "leaves" => EntryKind::Leaves,
        "rejoined" => EntryKind::Rejoined,
        "reported" => EntryKind::Reported(split(&body)?.pop()?),
        "continued" => {
            let (to, without) = body.split_at_checked(GroupId::BYTES)?;
            EntryKind::Continued {
                to: GroupId::try_from(to).ok()?,
                without: split(without)?.pop(),
            }
        }
        "unreadable" => EntryKind::Unreadable,
        "unreportable" => EntryKind::Unreportable,
        "reporting" => {
            let [code] = body[..].try_into().ok()?;
            EntryKind::Reporting(Unreportable::from_code(code)?)
        }
        "unknown" => EntryKind::Unknown(body),
        _ => return None,
    })
}

/// The permissions in four digits, or none, and a line for each user.
fn encode_governed(roles: &[(UserId, Role)], permissions: Option<Permissions>) -> Vec<u8> {
    let codes = permissions.map(Permissions::codes).into_iter().flatten();
    let codes: String = codes.map(|code| code.to_string()).collect();
    let roles = roles
        .iter()
        .map(|(user, role)| format!("\n{}{user}", role.code()));
    (codes + &roles.collect::<String>()).into_bytes()
}

fn decode_governed(body: &[u8]) -> Option<EntryKind> {
    let code = |digit: char| u8::try_from(digit.to_digit(10)?).ok();
    let mut lines = std::str::from_utf8(body).ok()?.split('\n');
    let codes: Option<Vec<u8>> = lines.next()?.chars().map(code).collect();
    let codes: Vec<u8> = codes?;
    let permissions = match codes.is_empty() {
        true => None,
        false => Some(Permissions::from_codes(codes.try_into().ok()?)?),
    };
    let roles = lines.map(|line| {
        let role = Role::from_code(code(line.chars().next()?)?)?;
        Some((line.get(1..)?.parse().ok()?, role))
    });
    let roles = roles.collect::<Option<_>>()?;
    Some(EntryKind::Governed { roles, permissions })
}

fn join(users: &[UserId]) -> Vec<u8> {
    let names: Vec<&str> = users.iter().map(UserId::as_str).collect();
    names.join("\n").into_bytes()
}

fn split(body: &[u8]) -> Option<Vec<UserId>> {
    std::str::from_utf8(body)
        .ok()?
        .lines()
        .map(|line| line.parse().ok())
        .collect()
}

fn entry_from_row(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let (author, kind): (String, String) = (row.get(3)?, row.get(4)?);
    let invalid = |column, text: &str| {
        rusqlite::Error::InvalidColumnType(column, text.to_owned(), Type::Text)
    };
    let body: Vec<u8> = row.get(5)?;
    let kind = match kind.as_str() {
        "message" => message_from_row(row, &body)?.map(EntryKind::Message),
        other => decode(other, body),
    }
    .ok_or_else(|| invalid(5, &kind))?;
    Ok(Entry {
        group: id_column(row, 0)?,
        sequence: sequence(row, 1)?,
        accepted: UnixMillis(row.get::<_, i64>(2)?.unsigned_abs()),
        author: author.parse().map_err(|_| invalid(3, &author))?,
        kind,
    })
}

fn message_from_row(row: &Row<'_>, body: &[u8]) -> rusqlite::Result<Option<Posted>> {
    let time = |column| {
        row.get(column)
            .map(|it: Option<i64>| it.map(|it| UnixMillis(it.unsigned_abs())))
    };
    let Some(message) = Message::from_bytes(body) else {
        return Ok(None);
    };
    Ok(Some(Posted {
        id: MessageId::from_bytes(row.get(6)?),
        message,
        answers: None,
        edited: time(7)?,
        deleted: row.get(8)?,
        expires: time(9)?,
        is_reportable: row.get(10)?,
        reactions: Vec::new(),
    }))
}
