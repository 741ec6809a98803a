//! What was read, in the order of each group's log.

use conclave_protocol::{GroupId, Sequence, UnixMillis, UserId};
use rusqlite::{Row, types::Type};

use super::{
    Tx,
    groups::{id_column, number, sequence},
};
use crate::{ClientError, Entry, EntryKind};

impl Tx<'_> {
    /// Up to `limit` entries after a place in the log, oldest first.
    pub(crate) fn history(
        &self,
        group: GroupId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT group_id, sequence, accepted_millis, author, kind, body FROM history
             WHERE group_id = ? AND sequence > ? ORDER BY sequence LIMIT ?",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map((group.as_bytes(), number(after), limit), entry_from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn record(&self, entry: &Entry) -> Result<(), ClientError> {
        let (kind, body) = encode(&entry.kind);
        self.sql
            .prepare_cached("INSERT OR IGNORE INTO history VALUES (?, ?, ?, ?, ?, ?)")?
            .execute((
                entry.group.as_bytes(),
                number(entry.sequence),
                i64::try_from(entry.accepted.0).unwrap_or(i64::MAX),
                entry.author.as_str(),
                kind,
                body,
            ))?;
        Ok(())
    }
}

fn encode(kind: &EntryKind) -> (&'static str, Vec<u8>) {
    match kind {
        EntryKind::Text(text) => ("text", text.clone().into_bytes()),
        EntryKind::Named(name) => ("named", name.clone().into_bytes()),
        EntryKind::Added(users) => ("added", join(users)),
        EntryKind::Removed(users) => ("removed", join(users)),
        EntryKind::Changed { added, removed } => {
            ("changed", [join(added), join(removed)].join(&b"\n\n"[..]))
        }
        EntryKind::Leaves => ("leaves", Vec::new()),
        EntryKind::Rejoined => ("rejoined", Vec::new()),
        EntryKind::Unknown => ("unknown", Vec::new()),
        EntryKind::Unreadable => ("unreadable", Vec::new()),
    }
}

fn decode(kind: &str, body: Vec<u8>) -> Option<EntryKind> {
    Some(match kind {
        "text" => EntryKind::Text(String::from_utf8(body).ok()?),
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
        "leaves" => EntryKind::Leaves,
        "rejoined" => EntryKind::Rejoined,
        "unreadable" => EntryKind::Unreadable,
        _ => EntryKind::Unknown,
    })
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
    Ok(Entry {
        group: id_column(row, 0)?,
        sequence: sequence(row, 1)?,
        accepted: UnixMillis(row.get::<_, i64>(2)?.unsigned_abs()),
        author: author.parse().map_err(|_| invalid(3, &author))?,
        kind: decode(&kind, row.get(5)?).ok_or_else(|| invalid(5, &kind))?,
    })
}
