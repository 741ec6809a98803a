//! A group goes on as another: its log ends at the entry that decided so, its history stays, and what
//! was to be done in it is to be done in its successor.

use conclave_engine::EngineError;
use conclave_protocol::{Content, GroupId, Says, Sequence, UserId};
use conclave_rpc::v1;
use rusqlite::OptionalExtension as _;

use super::{
    Tx,
    cases::Conclusion,
    groups::{id_column, number},
    outbox::add_for_intents,
};
use crate::{ClientError, Entry, EntryKind, Event, Group, Standing, intent::Intent};

impl Tx<'_> {
    /// Ends a group where the log says that it goes on as another.
    pub(super) fn conclude(
        &self,
        id: GroupId,
        conclusion: &Conclusion,
    ) -> Result<Vec<Event>, ClientError> {
        let Conclusion { to, at, without } = conclusion;
        let last = self.heard(id)?.into_iter().find(|it| it.at == *at);
        let (Some(group), Some(last)) = (self.group(id)?, last) else {
            return Ok(Vec::new());
        };
        let own = self.own_user();
        let line = Entry {
            group: id,
            sequence: *at,
            accepted: last.accepted,
            author: last.user.clone(),
            kind: EntryKind::Continued {
                to: *to,
                without: without.clone(),
            },
        };
        let mut brought = Vec::new();
        if without.as_ref() != Some(own)
            && let Says::Vote(successor) = last.says
        {
            self.say_farewell(&successor)?;
            brought = self.brought_along(&successor)?;
        }
        let done_since = self.forget_since(id, *at)?;
        self.record(&line)?;
        self.end_candidate(&group, *to)?;
        self.set_standing(id, Standing::Ended)?;
        self.set_cursor(id, *at)?;
        self.drop_join(id)?;
        self.sql
            .execute("DELETE FROM resyncs WHERE group_id = ?", [id.as_bytes()])?;
        if without.as_ref() == Some(own) {
            self.forget_group(id)?;
            self.abandon(id, &ClientError::NotMember.to_string())?;
            return Ok(vec![Event::Entry(line), Event::Ended(id)]);
        }
        self.forget_group(id)?;
        self.sql.execute(
            "UPDATE groups SET successor = ? WHERE group_id = ?",
            (to.as_bytes(), id.as_bytes()),
        )?;
        self.take_name(*to)?;
        for intent in add_for_intents(&brought) {
            self.enqueue(*to, &intent)?;
        }
        self.hand_over(id, *to, group.standing, &done_since)?;
        let continued = Event::Continued { from: id, to: *to };
        Ok(vec![Event::Entry(line), continued])
    }

    /// The group that a group goes on as.
    pub(crate) fn successor(&self, id: GroupId) -> Result<Option<GroupId>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT successor FROM groups WHERE group_id = ?")?;
        let successor = query.query_row([id.as_bytes()], |row| row.get::<_, Option<[u8; 16]>>(0));
        Ok(successor.optional()?.flatten().map(GroupId::from_bytes))
    }

    /// Gives a successor the name of the group that it continues, where it has none yet.
    pub(super) fn take_name(&self, successor: GroupId) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE groups SET name = (SELECT name FROM groups WHERE successor = ?1)
             WHERE group_id = ?1 AND name IS NULL",
            [successor.as_bytes()],
        )?;
        self.take_profile(successor)
    }

    /// Whether a group that goes on as another still has to find out what became of a message.
    pub(crate) fn is_handing_over(&self, id: GroupId) -> Result<bool, ClientError> {
        Ok(self.successor(id)?.is_some() && self.has_waiting(id)?)
    }

    /// What the service decided about a message whose group goes on as another: it counts up to the
    /// end of the log, and is else to be sent in the successor.
    pub(crate) fn handed_over(
        &self,
        id: GroupId,
        submission: &[u8],
        reply: Option<&v1::SubmitResponse>,
    ) -> Result<Vec<Event>, ClientError> {
        let mut events = Vec::new();
        if let Some(reply) = reply {
            events = self.landed_unread(id, submission, reply)?;
        }
        if let Some(row) = self.row_of(id, submission)? {
            // Under the old id the service has it in the old group, if it has it at all.
            let fresh = reply.map(|_| self.random::<16>());
            self.sql.execute(
                "UPDATE outbox SET submission = NULL, message = NULL, is_unsure = 0, completes = 1,
                 request_id = COALESCE(?, request_id) WHERE id = ?",
                (fresh, row),
            )?;
        }
        self.move_outbox(id)?;
        Ok(events)
    }

    /// Takes back what this device read behind the end of the log, and gives what it did itself there:
    /// that is to be done again.
    fn forget_since(
        &self,
        id: GroupId,
        at: Sequence,
    ) -> Result<Vec<(Sequence, Intent)>, ClientError> {
        let since = self.history(id, at, usize::MAX)?;
        for table in ["history", "messages", "reactions", "evidence"] {
            let delete = format!("DELETE FROM {table} WHERE group_id = ? AND sequence >= ?");
            self.sql.execute(&delete, (id.as_bytes(), number(at)))?;
        }
        let own = self.own_user();
        let others = |users: Vec<UserId>| -> Vec<UserId> {
            users.into_iter().filter(|it| it != own).collect()
        };
        let mut done = Vec::new();
        for entry in since.into_iter().filter(|it| it.author == *own) {
            let (said, added, removed) = match entry.kind {
                EntryKind::Message(posted) if !posted.deleted => {
                    let content = self.seal(&Content::Message(posted.message))?;
                    (Some(Intent::Send(content)), Vec::new(), Vec::new())
                }
                EntryKind::Added(added) => (None, others(added), Vec::new()),
                EntryKind::Removed(removed) => (None, Vec::new(), others(removed)),
                EntryKind::Changed { added, removed } => (None, others(added), others(removed)),
                _ => continue,
            };
            let added = (!added.is_empty()).then_some(Intent::Add(added));
            let removed = (!removed.is_empty()).then_some(Intent::Remove(removed));
            let intents = said.into_iter().chain(added).chain(removed);
            done.extend(intents.map(|intent| (entry.sequence, intent)));
        }
        Ok(done)
    }

    /// Has an intent that was done behind the end of a log done again in its successor. Whoever asks
    /// for its outcome learns that one.
    fn do_again(
        &self,
        id: GroupId,
        successor: GroupId,
        at: Sequence,
        intent: &Intent,
    ) -> Result<(), ClientError> {
        let again = self.sql.execute(
            "UPDATE outbox SET group_id = ?1, intent = ?2, request_id = ?3, landed = NULL,
             completes = 1, is_unsure = 0
             WHERE group_id = ?4 AND landed = ?5 AND failure IS NULL",
            (
                successor.as_bytes(),
                intent.to_bytes(),
                self.random::<16>(),
                id.as_bytes(),
                number(at),
            ),
        )?;
        if again == 0 {
            self.enqueue(successor, intent)?;
        }
        Ok(())
    }

    fn forget_group(&self, id: GroupId) -> Result<(), ClientError> {
        self.forget_cases(id)?;
        self.sql
            .execute("DELETE FROM stays WHERE group_id = ?", [id.as_bytes()])?;
        match self.engine.delete_group(self, id) {
            Ok(effects) => self.apply(effects),
            Err(EngineError::State(error)) => Err(EngineError::from(error).into()),
            // There is nothing that could be deleted.
            Err(_) => Ok(()),
        }
    }

    /// What this device has made for the group is the successor, or nobody needs it.
    fn end_candidate(&self, group: &Group, successor: GroupId) -> Result<(), ClientError> {
        let id = group.id;
        let Some(own) = self.candidate(id)? else {
            return Ok(());
        };
        self.sql
            .execute("DELETE FROM candidates WHERE group_id = ?", [id.as_bytes()])?;
        if own == successor {
            // Somebody may have come or gone while the last votes were cast.
            let author = self.upheld(id)?.map(|(open, _)| open.author);
            let wanted = author.map(|author| self.wanted(id, &author)).transpose()?;
            if let Some(wanted) = wanted.flatten() {
                let rules = self.rules_wanted(id, &wanted)?;
                self.align(own, &wanted, &rules)?;
            }
            self.take_name(own)?;
            // Who has left it since, or was removed, says nothing there.
            if self.require_member(own).is_err() {
                return Ok(());
            }
            // A device that was not in the old group can't know its name.
            return self.introduce(own);
        }
        let me = self.own_user();
        let members = self.users_in(own)?.into_iter();
        let others: Vec<UserId> = members.filter(|it| it != me).collect();
        if others.is_empty() {
            return self.end_group(own).map(drop);
        }
        self.abandon(own, "another group was made in its place")?;
        self.enqueue(own, &Intent::Remove(others)).map(drop)
    }

    fn hand_over(
        &self,
        id: GroupId,
        successor: GroupId,
        was: Standing,
        done_since: &[(Sequence, Intent)],
    ) -> Result<(), ClientError> {
        for (at, intent) in done_since {
            self.do_again(id, successor, *at, intent)?;
        }
        if let Some(item) = self.first_item(id)?.filter(|it| it.submission.is_some()) {
            // The service may have a message; a Commit of an epoch that has ended it has not.
            self.sql.execute(
                "UPDATE outbox SET is_unsure = MAX(is_unsure, ?) WHERE id = ?",
                (matches!(item.intent, Intent::Send(_)), item.id),
            )?;
            self.sql.execute(
                "UPDATE outbox SET submission = NULL, message = NULL, completes = 1
                 WHERE id = ? AND is_unsure = 0",
                [item.id],
            )?;
        }
        if was == Standing::Leaving {
            self.enqueue(id, &Intent::Leave)?;
        }
        self.ask_again_in(id, successor)?;
        self.move_outbox(id)
    }

    /// Moves what waits, once it is known of the first whether it was done.
    fn move_outbox(&self, id: GroupId) -> Result<(), ClientError> {
        let is_known = self
            .first_item(id)?
            .is_none_or(|item| item.submission.is_none());
        if is_known {
            self.sql.execute(
                "UPDATE outbox SET group_id = (SELECT successor FROM groups WHERE group_id = ?1)
                 WHERE group_id = ?1 AND landed IS NULL AND failure IS NULL",
                [id.as_bytes()],
            )?;
        }
        Ok(())
    }

    /// The group in whose outbox an intent waits or waited.
    pub(crate) fn group_of(&self, row: i64) -> Result<Option<GroupId>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT group_id FROM outbox WHERE id = ?")?;
        let group = query.query_row([row], |row| id_column(row, 0));
        Ok(group.optional()?)
    }
}
