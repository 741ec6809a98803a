//! Making the group that goes on, and voting for it.
//!
//! Once enough members have reported a Commit, the first of them makes a *candidate* with everybody
//! who is in the old group but the Commit's author; if none has come after a while, the next one does.
//! Who finds itself in a candidate with exactly those votes for it in the old group's log. A candidate
//! is nothing but a group until enough have: whoever makes one and vanishes holds up nobody.

use std::{collections::BTreeSet, time::Duration};

use conclave_protocol::{GroupId, GroupRules, Judgement, UnixMillis, UserId};
use conclave_rpc::v1;
use rusqlite::OptionalExtension as _;

use super::{Tx, cases::OpenCase, groups::id_column, outbox::add_for_intents};
use crate::{
    ClientError, Standing,
    intent::Intent,
    waits::{SUCCESSOR_TURN, part},
};

/// What a device does for the group that goes on.
#[derive(Debug, PartialEq)]
pub(crate) enum Duty {
    /// Nothing, until it hears more or this moment comes.
    Wait(Option<UnixMillis>),
    /// It votes.
    Vote(v1::VoteForSuccessorRequest),
    /// It may have to make a group, or to change the one it made, once it knows the latest.
    Look,
    /// It has put something into the outbox of the group that it makes.
    Made,
}

impl Tx<'_> {
    /// What this device has to do now for the group that goes on in the place of another; where it
    /// may make one or change it, it does.
    pub(crate) fn duty(
        &self,
        id: GroupId,
        may_make: bool,
        now: UnixMillis,
    ) -> Result<Duty, ClientError> {
        let standing = self.group(id)?.map(|group| group.standing);
        let Some((open, judgement)) = self.upheld(id)? else {
            return Ok(Duty::Wait(None));
        };
        let device = self.own_certificate().address().device;
        let has_say = open.case.voters().contains_key(&device);
        let wanted = self.wanted(id, &open.author)?;
        let Some(wanted) = wanted.filter(|_| has_say && standing == Some(Standing::Member)) else {
            return Ok(Duty::Wait(None));
        };
        let rules = self.rules_wanted(id, &wanted)?;
        let own = self.candidate(id)?;
        let voted = judgement.votes.iter().map(|(group, _)| group);
        for candidate in own.iter().chain(voted) {
            if !self.has_voted(*candidate, &judgement)
                && self.is_complete(*candidate, &wanted, &rules)?
            {
                return Ok(Duty::Vote(self.vote(&open, *candidate)));
            }
        }
        let turn = self.turn(&judgement);
        match own {
            Some(own) if self.is_complete(own, &wanted, &rules)? => Ok(Duty::Wait(None)),
            None if now < turn => Ok(Duty::Wait(Some(turn))),
            _ if !may_make => Ok(Duty::Look),
            Some(own) if self.align(own, &wanted, &rules)? => Ok(Duty::Made),
            // Who made it may not change it any longer; others make another.
            Some(_) => Ok(Duty::Wait(None)),
            None => {
                self.make_candidate(id, &wanted, &rules, now)?;
                Ok(Duty::Made)
            }
        }
    }

    /// What this device has made for a group to go on as.
    pub(super) fn candidate(&self, id: GroupId) -> Result<Option<GroupId>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT successor FROM candidates WHERE group_id = ?")?;
        let candidate = query.query_row([id.as_bytes()], |row| id_column(row, 0));
        Ok(candidate.optional()?)
    }

    /// Who has to be in a group that goes on in the place of this one, where this device knows: it
    /// follows the group, or can't follow a Commit after which nobody but its author has committed.
    pub(super) fn wanted(
        &self,
        id: GroupId,
        author: &UserId,
    ) -> Result<Option<BTreeSet<UserId>>, ClientError> {
        if self.resync_at(id)?.is_some() {
            let next = self.group(id)?.map(|group| group.cursor.next());
            let cases = self.cases(id)?.into_iter();
            let stuck_at = cases.last();
            let is_last =
                |it: OpenCase| Some(it.case.commit().sequence) == next && !it.is_overtaken;
            if !stuck_at.is_some_and(is_last) {
                return Ok(None);
            }
        }
        let mut users = self.users_in(id)?;
        #[cfg(feature = "planted-bugs")]
        if self.planted == Some(crate::Planted::CulpritKept) {
            return Ok(Some(users));
        }
        users.remove(author);
        Ok(Some(users))
    }

    /// The rules of a group that goes on in the place of this one: the same, as far as they are about
    /// those who are there. The admins inherit from the last owner.
    pub(super) fn rules_wanted(
        &self,
        id: GroupId,
        wanted: &BTreeSet<UserId>,
    ) -> Result<GroupRules, ClientError> {
        let rules = self.rules(id)?.without_strangers(|it| wanted.contains(it));
        Ok(rules.with_heirs())
    }

    /// Brings who is in a candidate in line with who has to be there, and the rules. Says whether this
    /// device may.
    pub(super) fn align(
        &self,
        candidate: GroupId,
        wanted: &BTreeSet<UserId>,
        rules: &GroupRules,
    ) -> Result<bool, ClientError> {
        if self.has_waiting(candidate)? || self.require_member(candidate).is_err() {
            return Ok(true);
        }
        let there = self.users_in(candidate)?;
        let missing: Vec<UserId> = wanted.difference(&there).cloned().collect();
        let extra: Vec<UserId> = there.difference(wanted).cloned().collect();
        let is_settled = missing.is_empty() && extra.is_empty();
        let govern = Intent::Govern(rules.clone());
        if !self.may_change(candidate, self.own_user(), &missing, &extra)?
            || (is_settled && self.check_allowed(candidate, &govern).is_err())
        {
            return Ok(false);
        }
        self.enqueue_changes(candidate, &missing, extra, rules)?;
        Ok(true)
    }

    fn make_candidate(
        &self,
        id: GroupId,
        wanted: &BTreeSet<UserId>,
        rules: &GroupRules,
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        let founded_under = match rules.listed().next() {
            Some(_) => GroupRules::founded_by(self.own_user().clone()),
            None => rules.clone(),
        };
        // It gets the name when it goes on: until then, only the old group is called so.
        let candidate = self.found_group(None, &founded_under, now)?.0;
        self.sql.execute(
            "INSERT INTO candidates VALUES (?, ?)",
            (id.as_bytes(), candidate.as_bytes()),
        )?;
        // Other devices of this user are there as well.
        self.enqueue(candidate, &Intent::AddOwn)?;
        let me = self.own_user();
        let others: Vec<UserId> = wanted.iter().filter(|it| *it != me).cloned().collect();
        self.enqueue_changes(candidate, &others, Vec::new(), rules)
    }

    fn enqueue_changes(
        &self,
        candidate: GroupId,
        missing: &[UserId],
        extra: Vec<UserId>,
        rules: &GroupRules,
    ) -> Result<(), ClientError> {
        for intent in add_for_intents(missing) {
            self.enqueue(candidate, &intent)?;
        }
        if !extra.is_empty() {
            self.enqueue(candidate, &Intent::Remove(extra))?;
        }
        // Last, since who makes it may not be who governs it.
        if self.rules(candidate)? != *rules {
            self.enqueue(candidate, &Intent::Govern(rules.clone()))?;
        }
        Ok(())
    }

    fn is_complete(
        &self,
        candidate: GroupId,
        wanted: &BTreeSet<UserId>,
        rules: &GroupRules,
    ) -> Result<bool, ClientError> {
        let standing = self.group(candidate)?.map(|group| group.standing);
        Ok(standing == Some(Standing::Member)
            && self.users_in(candidate)? == *wanted
            && self.rules(candidate)? == *rules)
    }

    fn has_voted(&self, candidate: GroupId, judgement: &Judgement) -> bool {
        let own = &self.own_certificate().address().user;
        let mut votes = judgement.votes.iter();
        votes.any(|(group, user)| *group == candidate && user == own)
    }

    fn vote(&self, open: &OpenCase, candidate: GroupId) -> v1::VoteForSuccessorRequest {
        let vote = self.engine.vote(open.case.successor(candidate));
        v1::VoteForSuccessorRequest {
            group_id: open.case.commit().group.as_bytes().to_vec().into(),
            vote: vote.to_bytes().into(),
        }
    }

    /// When this device makes a candidate: at once where its report came first, and a turn later for
    /// each that came before. Who has not reported comes after those who have.
    fn turn(&self, judgement: &Judgement) -> UnixMillis {
        let own = self.own_certificate().address().device;
        let reporters = &judgement.reporters;
        let rank = reporters.iter().position(|device| *device == own);
        let after = match rank {
            Some(rank) => SUCCESSOR_TURN * u32::try_from(rank).unwrap_or(u32::MAX),
            None => {
                let [first, second, ..] = *own.as_bytes();
                let turn = u64::try_from(SUCCESSOR_TURN.as_millis()).unwrap_or(u64::MAX);
                let share = u16::from_le_bytes([first, second]);
                let last = u32::try_from(reporters.len()).unwrap_or(u32::MAX);
                SUCCESSOR_TURN * last + Duration::from_millis(part(turn, share))
            }
        };
        let upheld = judgement.upheld.map(|(_, accepted)| accepted);
        let since = upheld.max(judgement.last_vote).unwrap_or_default();
        since.after(after)
    }
}
