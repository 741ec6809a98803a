//! Taking in a group's log, entry by entry, in order.

use std::collections::BTreeSet;

use conclave_engine::{EngineError, Processed};
use conclave_protocol::{
    DeviceAddress, DeviceId, GroupId, GroupRules, Sequence, UnixMillis, UserId,
};
use conclave_rpc::{device_id, v1};

use super::{
    Reason, Tx,
    evidence::{Noted, Received},
    line::Line,
    report::Fault,
    rules::is_too_new,
};
use crate::{
    ClientError, EntryKind, Event, Group, Member, Standing,
    intent::Intent,
    waits::{SUCCESSOR_WAIT, TRIAL_WAIT},
};

/// What came of a run of entries.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// What the application hears.
    pub(crate) events: Vec<Event>,
    /// Whether somebody asked to leave.
    pub(crate) has_leaves: bool,
    /// Whether an intent of this device landed.
    pub(crate) has_landed: bool,
    /// Who sent what could not be read since something of another device could be.
    pub(crate) unreadable: Vec<DeviceId>,
    /// Whether something of another device could be read.
    pub(crate) has_read: bool,
    /// The user whose newest device list is needed first.
    pub(crate) unlisted: Option<UserId>,
    /// What keeps the next entry from being taken in.
    pub(crate) problem: Option<ClientError>,
}

impl Tx<'_> {
    /// Takes in a run of entries and moves the cursor behind the last one. Entries before the
    /// cursor are passed over. Where one can't be taken in, those before it are, and the run says
    /// what is wrong with it; where this device can't follow the group any longer, it is noted. `asked`
    /// is the user whose newest list was asked for since the first one was last refused.
    pub(crate) fn take_in(
        &self,
        id: GroupId,
        entries: &[v1::LogEntry],
        asked: Option<&UserId>,
        now: UnixMillis,
    ) -> Result<Run, ClientError> {
        let mut run = Run::default();
        // A group that is to be joined again is not followed until that has happened.
        if self.resync_at(id)?.is_some() {
            return Ok(run);
        }
        let Some(mut group) = self.group(id)? else {
            return Ok(run);
        };
        for entry in entries {
            if entry.sequence <= group.cursor.0 || group.standing == Standing::Ended {
                continue;
            }
            let Err(problem) = self.take_in_whole(&mut group, entry, &mut run, now) else {
                continue;
            };
            if problem.is_local() {
                return Err(problem);
            }
            let fault = self.fault(id, entry, &problem, asked)?;
            run.unlisted = self.unlisted(&problem, now)?;
            match reason_to_resync(&problem, &fault) {
                Some(reason) => {
                    run.unlisted = None;
                    run.events.extend(self.note_resync(id, &reason, now)?);
                    if matches!(fault, Fault::Reported) {
                        self.put_off_resync(id, now.after(TRIAL_WAIT))?;
                    }
                }
                None => run.problem = Some(problem),
            }
            break;
        }
        Ok(run)
    }

    /// The user of a device that no list names, where there may be a newer list.
    fn unlisted(
        &self,
        problem: &ClientError,
        now: UnixMillis,
    ) -> Result<Option<UserId>, ClientError> {
        let ClientError::Unlisted(user) = problem else {
            return Ok(None);
        };
        let Ok(user) = user.parse::<UserId>() else {
            return Ok(None);
        };
        let is_stale = !self.stale_lists(&[&user], now)?.is_empty();
        Ok(is_stale.then_some(user))
    }

    /// Takes in one entry with all that it leads to, or leaves everything as it was.
    fn take_in_whole(
        &self,
        group: &mut Group,
        entry: &v1::LogEntry,
        run: &mut Run,
        now: UnixMillis,
    ) -> Result<(), ClientError> {
        if entry.sequence != group.cursor.next().0 {
            return Err(ClientError::Protocol("the log has a gap".into()));
        }
        let mut after = Group {
            cursor: Sequence(entry.sequence),
            ..group.clone()
        };
        let (told, unreadable) = (run.events.len(), run.unreadable.len());
        self.sql.execute_batch("SAVEPOINT entry")?;
        let taken = self
            .take_in_one(&mut after, entry, run, now)
            .and_then(|own| self.set_cursor(after.id, after.cursor).map(|()| own));
        if let Ok(own) = taken {
            run.has_leaves |= entry.kind() == v1::EntryKind::Proposal;
            run.has_landed |= own;
            *group = after;
        } else {
            run.events.truncate(told);
            run.unreadable.truncate(unreadable);
            self.sql.execute_batch("ROLLBACK TO entry")?;
            self.loaded.lost();
        }
        self.sql.execute_batch("RELEASE entry")?;
        taken.map(drop)
    }

    /// Says whether an intent of this device landed with it.
    fn take_in_one(
        &self,
        group: &mut Group,
        entry: &v1::LogEntry,
        run: &mut Run,
        now: UnixMillis,
    ) -> Result<bool, ClientError> {
        let accepted = UnixMillis(entry.accepted_millis);
        let sender = device_id(&entry.sender_device_id)
            .map_err(|error| ClientError::Protocol(error.to_string()))?;
        if is_word(entry) {
            run.events.extend(self.take_in_word(group, entry)?);
            return Ok(false);
        }
        let mut line = Line {
            group,
            sequence: Sequence(entry.sequence),
            accepted,
            now,
            evidence: None,
            stamp: Noted::of(entry),
            events: &mut run.events,
        };
        let own = sender == self.own_certificate().address().device;
        if own && self.take_in_own(&mut line, entry)? {
            return Ok(true);
        }
        let id = line.group.id;
        let before = match entry.kind() {
            v1::EntryKind::Commit => self.rules(id)?,
            _ => GroupRules::default(),
        };
        match self.engine.process(self, id, &entry.message, accepted) {
            Ok(effects) => {
                let processed = self.apply(effects)?;
                self.take_in_processed(&mut line, entry, processed, &before)?;
                run.has_read = true;
                run.unreadable.clear();
            }
            // A message that nobody here can read must not stop the log.
            Err(error)
                if entry.kind() == v1::EntryKind::Application && is_about_message(&error) =>
            {
                run.unreadable.push(sender);
                let author = self.author_of(id, sender)?;
                line.add(self, author, EntryKind::Unreadable)?;
            }
            // Nor one that asks for nothing: should a Commit refer to it, that one fails.
            Err(error) if entry.kind() == v1::EntryKind::Proposal && is_about_message(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(false)
    }

    /// What a member says of a Commit, and what follows for the group.
    fn take_in_word(
        &self,
        group: &mut Group,
        entry: &v1::LogEntry,
    ) -> Result<Vec<Event>, ClientError> {
        let line = self.hear(group.id, entry)?;
        line.iter().try_for_each(|line| self.record(line))?;
        let mut events: Vec<Event> = line.into_iter().map(Event::Entry).collect();
        events.extend(self.follow_words(group)?);
        Ok(events)
    }

    /// Ends the group where what was heard says so.
    pub(super) fn follow_words(&self, group: &mut Group) -> Result<Vec<Event>, ClientError> {
        let mut events = Vec::new();
        if let Some(conclusion) = self.conclusion(group.id)? {
            events.extend(self.conclude(group.id, &conclusion)?);
            if let Some(ended) = self.group(group.id)? {
                *group = ended;
            }
        }
        Ok(events)
    }

    /// Reads on for what members say in a log that this device can't follow otherwise. Says whether
    /// the group has ended by that.
    pub(crate) fn overhear(
        &self,
        id: GroupId,
        entries: &[v1::LogEntry],
        run: &mut Run,
        now: UnixMillis,
    ) -> Result<bool, ClientError> {
        let Some(mut group) = self.group(id)? else {
            return Ok(true);
        };
        let after = self.overheard(id)?;
        for entry in entries.iter().filter(|it| it.sequence > after.0) {
            if is_word(entry) {
                run.events.extend(self.take_in_word(&mut group, entry)?);
                if group.standing == Standing::Ended {
                    return Ok(true);
                }
                if self
                    .upheld(id)?
                    .is_some_and(|(_, it)| it.successor.is_none())
                {
                    self.put_off_resync(id, now.after(SUCCESSOR_WAIT))?;
                }
            } else if entry.kind() == v1::EntryKind::Commit {
                self.overtake(id, Sequence(entry.sequence), &entry.sender_device_id)?;
            }
            self.set_overheard(id, Sequence(entry.sequence))?;
        }
        Ok(false)
    }

    /// The service has a message that this device will not read in the log, since it has joined the
    /// group again behind it: settles its intent, and keeps what was said.
    pub(crate) fn landed_unread(
        &self,
        id: GroupId,
        submission: &[u8],
        reply: &v1::SubmitResponse,
    ) -> Result<Vec<Event>, ClientError> {
        let sequence = Sequence(reply.sequence);
        let Some(mut group) = self.group(id)?.filter(|group| sequence <= group.cursor) else {
            return Ok(Vec::new());
        };
        let Some(Intent::Send(content)) = self.land_unread(id, submission, sequence)? else {
            return Ok(Vec::new());
        };
        let accepted = UnixMillis(reply.accepted_millis);
        self.take_in_unread(&mut group, sequence, accepted, &content)
    }

    /// An entry that this device submitted: the outbox knows what it was. Says whether it did.
    fn take_in_own(&self, line: &mut Line<'_>, entry: &v1::LogEntry) -> Result<bool, ClientError> {
        let (id, message) = (line.group.id, &entry.message);
        let Some(intent) = self.land(id, message, line.sequence)? else {
            return Ok(false);
        };
        let me = self.own_certificate().address().user.clone();
        match intent {
            Intent::Send(content) => {
                line.evidence = self.prove_own(id, entry, &content)?;
                let own = self.own_certificate().address();
                self.take_in_content(line, own, &content)?;
                self.note_stamped(line)?;
            }
            Intent::Leave => {
                self.apply(self.engine.process(self, id, message, line.accepted)?)?;
                line.group.standing = Standing::Leaving;
                self.set_standing(id, Standing::Leaving)?;
                line.add(self, me, EntryKind::Leaves)?;
            }
            // What it said stands here already.
            Intent::Receipt | Intent::Create => {}
            Intent::AddOwn => {
                self.apply(self.engine.merge_pending(self, id)?)?;
                self.tell_newcomers(line.group, Some(&me), std::slice::from_ref(&me))?;
                line.add_change(self, &me, vec![me.clone()], Vec::new())?;
            }
            Intent::Describe(_) => {
                let (before, rules) = (self.members(id)?, self.rules(id)?);
                self.apply(self.engine.merge_pending(self, id)?)?;
                let gone = only_in(&before, &self.members(id)?);
                line.add_change(self, &me, Vec::new(), gone)?;
                self.tell_governed(line, &me, &rules)?;
                self.introduce(id)?;
            }
            Intent::RemoveUnlisted => {
                let users = self.users_unlisted_in(id)?;
                self.apply(self.engine.merge_pending(self, id)?)?;
                line.add(self, me, EntryKind::Expelled(users))?;
            }
            Intent::Add(_)
            | Intent::Remove(_)
            | Intent::RemoveDevices(_)
            | Intent::AddFor(_)
            | Intent::RemoveFor(_)
            | Intent::Update
            | Intent::Repair(_)
            | Intent::Confirm
            | Intent::SetRole(..)
            | Intent::SetPermissions(_)
            | Intent::SetExpiry(_)
            | Intent::SetUnreportable(_)
            | Intent::Govern(_) => {
                let (before, rules) = (self.members(id)?, self.rules(id)?);
                self.apply(self.engine.merge_pending(self, id)?)?;
                let after = self.members(id)?;
                let added = only_in(&after, &before);
                self.tell_newcomers(line.group, Some(&me), &added)?;
                line.add_change(self, &me, added, only_in(&before, &after))?;
                self.tell_governed(line, &me, &rules)?;
            }
        }
        Ok(true)
    }

    fn take_in_processed(
        &self,
        line: &mut Line<'_>,
        entry: &v1::LogEntry,
        processed: Processed,
        rules_before: &GroupRules,
    ) -> Result<(), ClientError> {
        match processed {
            Processed::Application {
                sender,
                epoch,
                content,
                franking,
                rules,
            } => {
                let received = Received {
                    entry,
                    sender: &sender,
                    epoch,
                    content: &content,
                    item: franking.as_deref(),
                    rules: &rules,
                };
                self.take_in_received(line, &received)
            }
            Processed::Proposal { from, .. } => line.add(self, from.user, EntryKind::Leaves),
            Processed::Commit {
                by,
                added,
                removed,
                rules,
                removed_self,
                ..
            } => {
                line.events.extend(self.meet(added.iter())?.events);
                let are_to_go = self.check_listed(added.iter(), line.accepted)?;
                if by == *self.own_certificate().address() {
                    return Err(ClientError::Copied);
                }
                if removed_self {
                    self.end(line)?;
                } else {
                    self.rebase(line.group.id)?;
                    if are_to_go {
                        self.look_for_unlisted(line.group.id)?;
                    }
                }
                // RFC 9420 §12.4.3.2: an external Commit that takes the place of its sender's leaf. Who
                // had asked to leave goes with it, and keeps the same line as those who stay.
                if removed.contains(&by) {
                    return line.add(self, by.user, EntryKind::Rejoined);
                }
                let own = self.own_user();
                // Who comes in from outside is let in by who approved, or by nobody.
                let let_in_by = match added.iter().any(|it| *it.address() == by) {
                    true => self.take_asker(line.group.id, by.device)?.then_some(own),
                    false => Some(&by.user),
                };
                let added = added
                    .into_iter()
                    .map(|certificate| certificate.address().user.clone());
                let added = distinct(added);
                let removed = removed.into_iter().map(|DeviceAddress { user, .. }| user);
                if !removed_self {
                    self.tell_newcomers(line.group, let_in_by, &added)?;
                }
                line.add_change(self, &by.user, added, distinct(removed))?;
                match rules {
                    Some(_) if !removed_self => self.tell_governed(line, &by.user, rules_before),
                    _ => Ok(()),
                }
            }
            // The outbox does not know it, so it is of a copy of this home, or of this home before
            // an older one was restored.
            Processed::OwnMessage => Err(ClientError::Copied),
            Processed::OwnCommit => {
                self.apply(self.engine.merge_pending(self, line.group.id)?)?;
                Ok(())
            }
            _ => Err(ClientError::Protocol("an entry of an unknown kind".into())),
        }
    }

    /// Who joins can't read what was said before, so what the group is called is said again: by who let
    /// them in or, where that one may not speak or nobody did, by the first of those whom the rules
    /// list.
    fn tell_newcomers(
        &self,
        group: &Group,
        by: Option<&UserId>,
        added: &[UserId],
    ) -> Result<(), ClientError> {
        if added.is_empty() || !self.is_spokesman(group.id, by, added)? {
            return Ok(());
        }
        self.introduce(group.id)
    }

    fn end(&self, line: &mut Line<'_>) -> Result<(), ClientError> {
        let id = line.group.id;
        line.group.standing = Standing::Ended;
        self.set_standing(id, Standing::Ended)?;
        self.abandon(id, &ClientError::NotMember.to_string())?;
        self.apply(self.engine.delete_group(self, id)?)
    }

    /// The user of a member's device; this device's own where the roster does not know it.
    fn author_of(&self, group: GroupId, device: DeviceId) -> Result<UserId, ClientError> {
        let members = self.members(group)?;
        let author = members
            .into_iter()
            .find(|member| member.devices.contains(&device));
        let own = &self.own_certificate().address().user;
        Ok(author.map_or_else(|| own.clone(), |member| member.user))
    }
}

/// Whether an entry is a report or a vote, and no message of MLS.
pub(super) fn is_word(entry: &v1::LogEntry) -> bool {
    matches!(entry.kind(), v1::EntryKind::Report | v1::EntryKind::Vote)
}

fn only_in(these: &[Member], those: &[Member]) -> Vec<UserId> {
    let others: BTreeSet<&UserId> = those.iter().map(|member| &member.user).collect();
    let missing = these.iter().filter(|member| !others.contains(&member.user));
    missing.map(|member| member.user.clone()).collect()
}

pub(super) fn distinct(users: impl Iterator<Item = UserId>) -> Vec<UserId> {
    users.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether an error speaks of the message itself, not of this device's state.
fn is_about_message(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::Malformed
            | EngineError::WrongGroup
            | EngineError::WrongEpoch { .. }
            | EngineError::Undecryptable
            | EngineError::Invalid(_)
            | EngineError::Certificate(_)
            | EngineError::Violation(_)
    )
}

/// Whether an error means that this device can't follow the group, whatever it does.
fn reason_to_resync(error: &ClientError, fault: &Fault) -> Option<Reason> {
    match error {
        // There is no way in for a program that is too old.
        error if is_too_new(error) => None,
        ClientError::Unlisted(_) if *fault != Fault::Nobodys => {
            Some(Reason::behind(error.to_string()))
        }
        ClientError::Engine(_) => Some(Reason::behind(error.to_string())),
        ClientError::Copied => Some(Reason::sure(error.to_string())),
        _ => None,
    }
}
