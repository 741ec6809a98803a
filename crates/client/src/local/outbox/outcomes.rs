//! How intents end: each has one outcome, which is told once.

use conclave_engine::EngineError;
use conclave_protocol::{GroupId, Sequence};
use rusqlite::OptionalExtension as _;

use super::super::{
    Tx,
    groups::{number, sequence},
};
use crate::{ClientError, Receipt};

/// Outcomes that are kept for another program on the same home that may be waiting for them.
const OUTCOMES_KEPT: i64 = 1000;

/// How an intent ended.
pub(crate) type Outcome = Result<Receipt, String>;

impl Tx<'_> {
    /// Deletes rows whose outcomes were taken out. SQLite gives a new row the id after the last one's, so
    /// the last one always stays: no id ever means another intent.
    pub(super) fn delete_taken(&self) -> Result<(), ClientError> {
        for row in self.taken.take() {
            self.delete_settled(row)?;
        }
        Ok(())
    }

    fn delete_settled(&self, row: i64) -> Result<(), ClientError> {
        const SETTLED: &str = "id = ? AND (landed IS NOT NULL OR failure IS NOT NULL)
                               AND id < (SELECT MAX(id) FROM outbox)";
        let select = format!("SELECT 1 FROM outbox WHERE {SETTLED}");
        if self.sql.prepare_cached(&select)?.exists([row])? {
            self.keep_count_of(row)?;
            self.sql
                .prepare_cached("DELETE FROM outbox WHERE id = ?")?
                .execute([row])?;
        }
        Ok(())
    }

    /// Gives an intent up, with the reason for the application.
    pub(crate) fn give_up(
        &self,
        group: GroupId,
        row: i64,
        reason: &str,
    ) -> Result<(), ClientError> {
        match self.engine.discard_pending(self, group) {
            Ok(effects) => self.apply(effects)?,
            Err(EngineError::UnknownGroup | EngineError::Evicted) => (),
            Err(error) => return Err(error.into()),
        }
        self.sql.execute(
            "UPDATE outbox SET failure = ?, intent = x'', submission = NULL, message = NULL,
             key_packages = NULL WHERE id = ?",
            (reason, row),
        )?;
        Ok(())
    }

    /// What a group's outbox gave up and nobody has asked for yet, each with the reason.
    pub(crate) fn given_up(&self, group: GroupId) -> Result<Vec<(i64, String)>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT id, failure FROM outbox WHERE group_id = ? AND failure IS NOT NULL ORDER BY id",
        )?;
        let rows = query.query_map([group.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How a settled intent ended; `None` while it waits, and once that was taken out.
    pub(crate) fn outcome(&self, row: i64) -> Result<Option<Outcome>, ClientError> {
        if self.taken.borrow().contains(&row) {
            return Ok(None);
        }
        Ok(self
            .sql
            .query_row(
                "SELECT landed, rebased, failure FROM outbox
                 WHERE id = ? AND (landed IS NOT NULL OR failure IS NOT NULL)",
                [row],
                |row| {
                    Ok(match row.get::<_, Option<String>>(2)? {
                        Some(reason) => Err(reason),
                        None => Ok(Receipt {
                            sequence: sequence(row, 0)?,
                            rebased: row.get(1)?,
                        }),
                    })
                },
            )
            .optional()?)
    }

    /// Forgets why an intent was given up. Of one that landed, nothing is told again, so its row may wait
    /// for others to be deleted with it.
    pub(in crate::local) fn forget_failure(&self, row: i64) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE outbox SET failure = NULL, landed = 0 WHERE id = ?",
            [row],
        )?;
        Ok(())
    }

    /// Forgets outcomes that nobody asked for, but for those that somebody may be waiting for now.
    pub(in crate::local) fn forget_old_outcomes(&self) -> Result<(), ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT id FROM outbox WHERE (landed IS NOT NULL OR failure IS NOT NULL)
             AND id <= (SELECT MAX(id) FROM outbox) - ?",
        )?;
        let old = query.query_map([OUTCOMES_KEPT], |row| row.get(0))?;
        let old: Vec<i64> = old.collect::<Result<_, _>>()?;
        old.into_iter().try_for_each(|row| self.delete_settled(row))
    }

    /// Gives up everything that waits for a group, for example because this device was removed.
    pub(in crate::local) fn abandon(
        &self,
        group: GroupId,
        reason: &str,
    ) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE outbox SET failure = ?, intent = x'', submission = NULL, message = NULL,
             key_packages = NULL WHERE group_id = ? AND landed IS NULL AND failure IS NULL",
            (reason, group.as_bytes()),
        )?;
        self.forget_wishes(group)
    }

    /// An intent has been done. Of what it was about nothing stays here: a message is in the history
    /// now, for as long as it may be.
    pub(in crate::local) fn settle(&self, row: i64, at: Sequence) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE outbox SET landed = ?, intent = x'', submission = NULL, message = NULL,
             key_packages = NULL WHERE id = ?",
            (number(at), row),
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use conclave_protocol::UnixMillis;

    use super::*;
    use crate::{intent::Intent, local::Local};

    #[test]
    fn no_id_comes_twice_and_nothing_that_was_encrypted_is_forgotten() {
        let now = UnixMillis(0);
        let mut local = Local::of_alice(now);
        let (group, _) = local.write(|tx| tx.create_group("club", now)).unwrap();
        let mut last = 0;
        for number in 1..200_u64 {
            let enqueued = local.write(|tx| {
                let row = tx.enqueue(group, &Intent::Update)?;
                tx.count_encrypted(row)?;
                Ok(row)
            });
            let row = enqueued.unwrap();
            assert!(row > last);
            last = row;
            let fails = number % 3 == 0;
            let settled = local.write(|tx| match fails {
                true => tx.give_up(group, row, "for no reason"),
                false => tx.settle(row, Sequence(number)),
            });
            settled.unwrap();
            let outcomes = [(); 2].map(|()| local.take_outcome(row).unwrap());
            assert_eq!(outcomes[0].as_ref().map(Result::is_err), Some(fails));
            assert!(outcomes[1].is_none());
            if number == 100 {
                local = Local::open(local.into_database(), &[8; 32].into()).unwrap();
            }
            let kept = local.write(|tx| Ok((tx.given_up(group)?, tx.ask_about_instance()?.sent)));
            assert_eq!(kept.unwrap(), (Vec::new(), number));
        }
        let count = "SELECT count(*) FROM outbox";
        let rows = local.read(|tx| Ok(tx.sql.query_row(count, [], |row| row.get::<_, i64>(0))?));
        assert!(rows.unwrap() < 100);
    }
}
