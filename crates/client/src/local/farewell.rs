//! Telling those who stay behind that a group has ended.
//!
//! Who joined after a Commit that can't be processed was not there to see, and follows where most of
//! those whom it knows have voted, or the one who brought it in. So whoever goes over votes, also when
//! all is decided, and sees to it that those are in the successor whom it brought in meanwhile.

use conclave_protocol::{GroupId, Says, Successor, UserId, limits::USERS_ENOUGH};
use conclave_rpc::v1;
use rusqlite::OptionalExtension as _;

use super::Tx;
use crate::{ClientError, EntryKind};

impl Tx<'_> {
    /// Keeps a vote to be cast, where this user has cast none and somebody may need it.
    pub(super) fn say_farewell(&self, successor: &Successor) -> Result<(), ClientError> {
        let id = successor.commit.group;
        let (own, says) = (self.own_user(), Says::Vote(*successor));
        let heard = self.heard(id)?;
        let has_voted = heard.iter().any(|it| it.user == *own && it.says == says);
        // In a large group most hear of it from those whose votes decided.
        let is_small = self.users_in(id)?.len() < 2 * USERS_ENOUGH;
        if has_voted || (!is_small && self.brought_in(successor)?.is_empty()) {
            return Ok(());
        }
        self.sql.execute(
            "INSERT OR REPLACE INTO farewells VALUES (?, ?)",
            (id.as_bytes(), self.engine.vote(*successor).to_bytes()),
        )?;
        Ok(())
    }

    /// The vote that is still to be cast in a group that has ended.
    pub(crate) fn farewell(
        &self,
        id: GroupId,
    ) -> Result<Option<v1::VoteForSuccessorRequest>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT vote FROM farewells WHERE group_id = ?")?;
        let vote = query.query_row([id.as_bytes()], |row| row.get::<_, Vec<u8>>(0));
        Ok(vote.optional()?.map(|vote| v1::VoteForSuccessorRequest {
            group_id: id.as_bytes().to_vec().into(),
            vote: vote.into(),
        }))
    }

    /// It stands in the log, or the service does not want it.
    pub(crate) fn forget_farewell(
        &self,
        asked: &v1::VoteForSuccessorRequest,
    ) -> Result<(), ClientError> {
        self.sql.execute(
            "DELETE FROM farewells WHERE group_id = ? AND vote = ?",
            (&asked.group_id[..], &asked.vote[..]),
        )?;
        Ok(())
    }

    /// Whom this device brought in since the Commit, who are there and not in the successor yet, as far
    /// as it knows: those who voted may not have known of them.
    pub(super) fn brought_along(&self, successor: &Successor) -> Result<Vec<UserId>, ClientError> {
        let there = self.users_in(successor.commit.group)?;
        let known = self.users_in(successor.group)?;
        let is_left = |it: &UserId| there.contains(it) && !known.contains(it);
        let brought = self.brought_in(successor)?.into_iter();
        Ok(brought.filter(is_left).collect())
    }

    /// Whom this device's user has added since the Commit.
    fn brought_in(&self, successor: &Successor) -> Result<Vec<UserId>, ClientError> {
        let since = successor.commit.sequence;
        let own = self.own_user();
        let mut brought = Vec::new();
        for entry in self.history(successor.commit.group, since, usize::MAX)? {
            match entry.kind {
                EntryKind::Added(added) | EntryKind::Changed { added, .. }
                    if entry.author == *own =>
                {
                    brought.extend(added.into_iter().filter(|it| it != own));
                }
                _ => {}
            }
        }
        Ok(brought)
    }
}
