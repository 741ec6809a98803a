//! Who may do what in a group. Members and the service hold everybody to it; here, whoever asks for
//! what is not allowed hears so at once.

use std::{cell::OnceCell, collections::BTreeSet};

use conclave_engine::EngineError;
use conclave_engine::{Change, RuleViolation};
use conclave_protocol::{
    Acts, Content, DeviceId, Forbidden, GroupId, GroupRules, Permissions, Role, RulesError,
    UnixMillis, UserId,
};

use super::{Tx, line::Line, outbox::Item};
use crate::{ClientError, EntryKind, intent::Intent, session::Call};

impl Tx<'_> {
    /// The rules of a group that this device is in.
    pub(crate) fn rules(&self, group: GroupId) -> Result<GroupRules, ClientError> {
        Ok(self.engine.rules(self, group)?)
    }

    /// Refuses what the group's rules do not let this device's user ask for.
    pub(crate) fn check_allowed(&self, group: GroupId, intent: &Intent) -> Result<(), ClientError> {
        let rules = self.rules(group)?;
        let after = self.rules_after(group, &rules, intent)?;
        let (added, removed): (&[UserId], &[UserId]) = match intent {
            Intent::Add(users) => (users, &[]),
            Intent::Remove(users) => (&[], users),
            _ => (&[], &[]),
        };
        let me = self.own_user();
        self.ask_rules(group, |is_member| match intent {
            Intent::Send(content) if is_name(content) => rules
                .may_describe(me, is_member)
                .and_then(|()| rules.may_send(me, is_member)),
            Intent::Send(_) => rules.may_send(me, is_member),
            // What is changed has to be said, too.
            Intent::Describe(_) => rules
                .may_describe(me, is_member)
                .and_then(|()| rules.may_send(me, is_member)),
            _ => rules.judge(
                &Acts {
                    by: me,
                    added: &added.iter().collect::<Vec<_>>(),
                    removed: &removed.iter().collect::<Vec<_>>(),
                    rules: after.as_ref(),
                },
                is_member,
            ),
        })
    }

    /// Refuses where this user may not leave a group, as the last owner of others, and where nobody else is there to
    /// confirm it: a member can't commit its own removal (RFC 9420 §12.2).
    pub(crate) fn check_may_leave(&self, group: GroupId) -> Result<(), ClientError> {
        let asked = self.engine.leave(self, group).map(drop);
        match asked.map_err(|error| plain(error.into())) {
            Err(error @ ClientError::Forbidden(_)) => Err(error),
            Ok(()) if self.engine.roster(self, group)?.len() == 1 => Err(ClientError::Alone),
            // What else is wrong may be over when its turn comes.
            _ => Ok(()),
        }
    }

    /// Whether a user may send messages to a group.
    pub(crate) fn may_send(&self, group: GroupId, user: &UserId) -> Result<bool, ClientError> {
        let rules = self.rules(group)?;
        let judged = self.ask_rules(group, |is_member| rules.may_send(user, is_member));
        is_allowed(judged)
    }

    /// Whether a user may name and describe a group.
    pub(super) fn may_describe(&self, group: GroupId, user: &UserId) -> Result<bool, ClientError> {
        let rules = self.rules(group)?;
        let judged = self.ask_rules(group, |is_member| rules.may_describe(user, is_member));
        is_allowed(judged)
    }

    /// Whether a user may add these and remove those.
    pub(super) fn may_change(
        &self,
        group: GroupId,
        by: &UserId,
        added: &[UserId],
        removed: &[UserId],
    ) -> Result<bool, ClientError> {
        let rules = self.rules(group)?;
        let acts = Acts {
            by,
            added: &added.iter().collect::<Vec<_>>(),
            removed: &removed.iter().collect::<Vec<_>>(),
            rules: None,
        };
        is_allowed(self.ask_rules(group, |is_member| rules.judge(&acts, is_member)))
    }

    /// Whether a user may have these devices of others put out.
    pub(super) fn may_remove(
        &self,
        group: GroupId,
        by: &UserId,
        devices: &[DeviceId],
    ) -> Result<bool, ClientError> {
        let roster = self.engine.roster(self, group)?;
        let theirs = roster.iter().map(|member| member.certificate.address());
        let theirs = theirs.filter(|it| devices.contains(&it.device));
        let users: BTreeSet<UserId> = theirs.map(|it| it.user.clone()).collect();
        let users: Vec<UserId> = users.into_iter().collect();
        self.may_change(group, by, &[], &users)
    }

    /// Whether it is on this device to speak to those who were let in by a user: on that user's own
    /// devices or, where that user may not speak or nobody let them in, on the first device of the
    /// first other user whom the rules list and let speak, or of the first other user.
    pub(super) fn is_spokesman(
        &self,
        group: GroupId,
        by: Option<&UserId>,
        added: &[UserId],
    ) -> Result<bool, ClientError> {
        let rules = self.rules(group)?;
        if let Some(by) = by {
            if by == self.own_user() {
                return self.may_send(group, by);
            }
            // Most often everybody may speak, and a look at the roster is dear.
            if rules.permissions().send <= rules.role(by) || self.may_send(group, by)? {
                return Ok(false);
            }
        }
        let devices = self.devices_in(group)?;
        let is_there = |user: &UserId| devices.values().any(|it| it == user);
        let may_speak = |user: &UserId| {
            !added.contains(user) && is_there(user) && rules.may_send(user, is_there).is_ok()
        };
        let speaker = rules
            .listed()
            .map(|(user, _)| user)
            .find(|user| may_speak(user))
            .or_else(|| devices.values().find(|user| may_speak(user)));
        let own = self.own_certificate().address().device;
        let first = devices.iter().find(|(_, user)| Some(*user) == speaker);
        Ok(first.is_some_and(|(device, _)| *device == own))
    }

    /// Makes the Commit that changes a group's rules.
    pub(super) fn prepare_govern(
        &self,
        group: GroupId,
        item: &Item,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        let rules = self.rules(group)?;
        match self.rules_after(group, &rules, &item.intent)? {
            // Who leaves goes first, so that the history tells both.
            Some(after)
                if after != rules && !self.engine.pending_leaves(self, group)?.is_empty() =>
            {
                self.prepare_commit(group, item, Change::update(), false, now)
            }
            Some(after) if after != rules => {
                self.prepare_commit(group, item, Change::govern(after), true, now)
            }
            _ => self.settle_without_bytes(group, item),
        }
    }

    /// The rules that an intent wants, where it wants any.
    fn rules_after(
        &self,
        group: GroupId,
        rules: &GroupRules,
        intent: &Intent,
    ) -> Result<Option<GroupRules>, ClientError> {
        let there = |user: &UserId| Ok::<_, ClientError>(self.users_in(group)?.contains(user));
        Ok(Some(match intent {
            Intent::SetRole(user, _) if !there(user)? => {
                return Err(ClientError::NoSuchMember(vec![user.to_string()]));
            }
            Intent::SetRole(user, role) => {
                let users = self.users_in(group)?;
                // Those who have left take no room.
                let rules = rules.clone().without_strangers(|it| users.contains(it));
                rules.with_role(user.clone(), *role)?
            }
            Intent::SetExpiry(expiry) => rules.clone().with_expiry(*expiry)?,
            Intent::SetPermissions(permissions) => rules.clone().with_permissions(*permissions),
            Intent::SetUnreportable(unreportable) => {
                let rules = rules.clone().with_unreportable(*unreportable);
                // Whoever made the group may not have known it.
                match rules.names_operator() {
                    true => rules,
                    false => rules.with_operator_key(self.operator_key()?.as_ref()),
                }
            }
            Intent::Govern(after) => after.clone(),
            _ => return Ok(None),
        }))
    }

    /// What a Commit has changed about who may do what. A line that says who came or went is kept
    /// rather than this one: this program never makes a Commit that does both.
    pub(super) fn tell_governed(
        &self,
        line: &mut Line<'_>,
        by: &UserId,
        before: &GroupRules,
    ) -> Result<(), ClientError> {
        let (after, users) = (self.rules(line.group.id)?, self.users_in(line.group.id)?);
        let kind = told(before, &after, |user| users.contains(user));
        let is_free = self.entry(line.group.id, line.sequence)?.is_none();
        match kind.filter(|_| is_free) {
            Some(kind) => line.add(self, by.clone(), kind),
            None => Ok(()),
        }
    }

    /// Has the rules judge, and reads who is in the group only where the answer depends on it.
    fn ask_rules(
        &self,
        group: GroupId,
        judge: impl FnOnce(&dyn Fn(&UserId) -> bool) -> Result<(), Forbidden>,
    ) -> Result<(), ClientError> {
        let users = OnceCell::new();
        let judged = judge(&|user: &UserId| {
            let users = users.get_or_init(|| self.users_in(group));
            users.as_ref().is_ok_and(|users| users.contains(user))
        });
        match users.into_inner() {
            Some(Err(error)) => Err(error),
            _ => Ok(judged?),
        }
    }
}

/// What changed about who may do what.
struct Governed {
    roles: Vec<(UserId, Role)>,
    permissions: Option<Permissions>,
}

/// The line of history that tells what changed in a group's rules, for those who are there after.
/// `None` where nothing has, but that those who left are not listed any longer, or what is said of the
/// group: that is told when it is said.
fn told(
    before: &GroupRules,
    after: &GroupRules,
    is_there: impl Fn(&UserId) -> bool,
) -> Option<EntryKind> {
    let governed = Governed::between(before, after, is_there);
    let expiring = (before.expiry() != after.expiry()).then(|| EntryKind::Expiring(after.expiry()));
    let is_reporting = before.unreportable() != after.unreportable();
    let reporting = is_reporting.then(|| EntryKind::Reporting(after.unreportable()));
    governed
        .map(|Governed { roles, permissions }| EntryKind::Governed { roles, permissions })
        .or(expiring)
        .or(reporting)
}

impl Governed {
    fn between(
        before: &GroupRules,
        after: &GroupRules,
        is_there: impl Fn(&UserId) -> bool,
    ) -> Option<Self> {
        let listed: BTreeSet<&UserId> = [before, after]
            .into_iter()
            .flat_map(GroupRules::listed)
            .map(|(user, _)| user)
            .collect();
        let changed = listed
            .into_iter()
            .filter(|user| before.role(user) != after.role(user) && is_there(user));
        let roles: Vec<_> = changed
            .map(|user| (user.clone(), after.role(user)))
            .collect();
        let permissions = after.permissions();
        let permissions = (permissions != before.permissions()).then_some(permissions);
        (!roles.is_empty() || permissions.is_some()).then_some(Self { roles, permissions })
    }
}

/// In plain words what the engine refuses since the rules forbid it.
pub(super) fn plain(error: ClientError) -> ClientError {
    match error {
        ClientError::Engine(EngineError::Violation(RuleViolation::Forbidden(forbidden))) => {
            forbidden.into()
        }
        other => other,
    }
}

/// Whether a group's rules are of a version that this program does not know.
pub(super) fn is_too_new(error: &ClientError) -> bool {
    let ClientError::Engine(EngineError::Rules(error)) = error else {
        return false;
    };
    matches!(error, RulesError::Version(_))
}

fn is_allowed(judged: Result<(), ClientError>) -> Result<bool, ClientError> {
    match judged {
        Ok(()) => Ok(true),
        Err(ClientError::Forbidden(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_name(content: &[u8]) -> bool {
    matches!(Content::open(content), Content::GroupName(_))
}
