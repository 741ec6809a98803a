//! Who may do what. Every member asks this of each Commit and message, and so does the service; all
//! of them come to the same answer.

use thiserror::Error;

use super::{GroupRules, Permissions, Role};
use crate::UserId;

/// What a Commit does, as far as the rules ask who may.
#[derive(Debug, Clone, Copy)]
pub struct Acts<'a> {
    /// Whose device committed.
    pub by: &'a UserId,
    /// Whose devices it adds.
    pub added: &'a [&'a UserId],
    /// Whose devices it removes, besides those who asked to leave.
    pub removed: &'a [&'a UserId],
    /// The rules that it brings.
    pub rules: Option<&'a GroupRules>,
}

/// What somebody was not allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Forbidden {
    /// Add somebody.
    #[error("the group's rules do not let this user add others")]
    Add,
    /// Remove somebody.
    #[error("the group's rules do not let this user remove these others")]
    Remove,
    /// Name or describe the group, or say when messages are to be gone.
    #[error("the group's rules do not let this user name, describe or set up the group")]
    Describe,
    /// Send a message.
    #[error("the group's rules do not let this user send")]
    Send,
    /// Say who may do what, who is what, or what becomes of messages that can't be reported.
    #[error("only an owner changes what the members of the group may do")]
    Govern,
    /// Leave the group without anybody to govern it.
    #[error("the group's last owner has to make somebody else an owner first")]
    LastOwner,
    /// List somebody who is not in the group.
    #[error("only who is in the group can be its admin or owner")]
    Stranger,
}

impl GroupRules {
    /// Judges a Commit by the rules before it. `is_member` says whether a user has a device in the
    /// group before the Commit; it is asked of few users, and only where the answer decides.
    ///
    /// # Errors
    /// The first thing that is [`Forbidden`].
    pub fn judge(
        &self,
        acts: &Acts<'_>,
        is_member: impl Fn(&UserId) -> bool,
    ) -> Result<(), Forbidden> {
        let Permissions { add, remove, .. } = self.permissions;
        let is_other = |user: &&&UserId| **user != acts.by;
        let after = acts.rules.unwrap_or(self);
        for user in acts.added.iter().filter(is_other) {
            // Who was an owner once and comes back is not one by that.
            let comes_back_as_more = after.role(user) != Role::Member && !is_member(user);
            let needed = if comes_back_as_more { Role::Owner } else { add };
            self.require(needed, acts.by, &is_member, Forbidden::Add)?;
        }
        for user in acts.removed.iter().filter(is_other) {
            let needed = remove.max(self.role(user));
            self.require(needed, acts.by, &is_member, Forbidden::Remove)?;
        }
        match acts.rules {
            Some(rules) => self.judge_rules(rules, acts, &is_member),
            None => Ok(()),
        }
    }

    /// Whether a member may send messages.
    ///
    /// # Errors
    /// [`Forbidden::Send`].
    pub fn may_send(
        &self,
        user: &UserId,
        is_member: impl Fn(&UserId) -> bool,
    ) -> Result<(), Forbidden> {
        self.require(self.permissions.send, user, &is_member, Forbidden::Send)
    }

    /// Whether a member may name and describe the group.
    ///
    /// # Errors
    /// [`Forbidden::Describe`].
    pub fn may_describe(
        &self,
        user: &UserId,
        is_member: impl Fn(&UserId) -> bool,
    ) -> Result<(), Forbidden> {
        self.require(
            self.permissions.describe,
            user,
            &is_member,
            Forbidden::Describe,
        )
    }

    /// Whether a user may leave, with all devices: the last owner of others may not.
    ///
    /// # Errors
    /// [`Forbidden::LastOwner`].
    pub fn may_leave(
        &self,
        user: &UserId,
        is_member: impl Fn(&UserId) -> bool,
        is_alone: bool,
    ) -> Result<(), Forbidden> {
        let mut owners = self.owners().filter(|owner| is_member(owner));
        let is_last = owners.next() == Some(user) && owners.next().is_none();
        if is_last && !is_alone {
            return Err(Forbidden::LastOwner);
        }
        Ok(())
    }

    /// The same rules without those who are not in the group any longer. Everybody may bring these.
    #[must_use]
    pub fn without_strangers(mut self, is_member: impl Fn(&UserId) -> bool) -> Self {
        self.roles.retain(|user, _| is_member(user));
        self
    }

    fn judge_rules(
        &self,
        after: &Self,
        acts: &Acts<'_>,
        is_member: &impl Fn(&UserId) -> bool,
    ) -> Result<(), Forbidden> {
        let owned = |rules: &Self| (rules.permissions, rules.reporting);
        if owned(after) != owned(self) {
            self.require(Role::Owner, acts.by, is_member, Forbidden::Govern)?;
        }
        let settings = |rules: &Self| (rules.expiry(), rules.profile());
        if settings(after) != settings(self) {
            let needed = self.permissions.describe;
            self.require(needed, acts.by, is_member, Forbidden::Describe)?;
        }
        let will_be_there = |user: &UserId| is_member(user) || acts.added.contains(&user);
        for user in self.roles.keys().chain(after.roles.keys()) {
            let (was, is) = (self.role(user), after.role(user));
            let steps_down = user == acts.by && is < was;
            let is_gone = is == Role::Member && !is_member(user);
            if was == is || steps_down || is_gone {
                continue;
            }
            if is > was && !will_be_there(user) {
                return Err(Forbidden::Stranger);
            }
            self.require(Role::Owner, acts.by, is_member, Forbidden::Govern)?;
        }
        let had_owner = self.owners().any(is_member);
        if had_owner && !after.owners().any(will_be_there) {
            return Err(Forbidden::LastOwner);
        }
        Ok(())
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = &UserId> {
        let is_owner = |(_, role): &(&UserId, &Role)| **role == Role::Owner;
        self.roles.iter().filter(is_owner).map(|(user, _)| user)
    }

    fn require(
        &self,
        needed: Role,
        user: &UserId,
        is_member: &impl Fn(&UserId) -> bool,
        otherwise: Forbidden,
    ) -> Result<(), Forbidden> {
        if self.role(user) >= needed || self.is_highest(user, is_member) {
            Ok(())
        } else {
            Err(otherwise)
        }
    }

    /// Where all owners have gone, the admins act for them, and where these have gone, everybody:
    /// a group can't end up without anybody to govern it.
    fn is_highest(&self, user: &UserId, is_member: &impl Fn(&UserId) -> bool) -> bool {
        let own = self.role(user);
        let mut higher = self.roles.iter().filter(|(_, role)| **role > own);
        !higher.any(|(user, _)| is_member(user))
    }
}
