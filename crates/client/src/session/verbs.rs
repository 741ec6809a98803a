//! What an application asks for and asks about. None of it needs the network: each verb puts an
//! intent into the outbox, and what becomes of it shows in [`Session::outcome`].

use conclave_protocol::{DeviceId, GroupId, Sequence, UnixMillis, UserId};

use super::{IntentId, Session};
use crate::{
    ClientError, Entry, Group, Member, Receipt,
    intent::Intent,
    local::{Account, Tx, add_intents},
};

/// Users whom one Commit adds where many are to be added: a quarter of what a Commit may add, since each
/// has several devices, and few enough that others can commit in between. Each part costs a look at all
/// who are there, so fewer and larger parts are faster.
const USERS_PER_PART: usize = 250;

impl Session {
    /// The user.
    #[must_use]
    pub fn user(&self) -> &UserId {
        self.account().user()
    }

    /// This device.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.account().device()
    }

    /// Whether the service knows the device.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.account().is_registered()
    }

    pub(crate) fn account(&self) -> &Account {
        self.local.account()
    }

    /// Creates a group with this device in it, whose owner its user is.
    ///
    /// # Errors
    /// [`ClientError::Content`] for a name that is none.
    pub fn create_group(
        &mut self,
        name: &str,
        now: UnixMillis,
    ) -> Result<(GroupId, IntentId), ClientError> {
        let (group, row) = self.local.write(|tx| tx.create_group(name, now))?;
        self.look_at_groups()?;
        Ok((group, IntentId(row)))
    }

    /// Adds users, with all their devices; as many intents as it takes Commits.
    ///
    /// # Errors
    /// [`ClientError::AlreadyMember`], [`ClientError::NotMember`], [`ClientError::Leaving`],
    /// [`ClientError::Forbidden`].
    pub fn add(&mut self, group: GroupId, users: &[UserId]) -> Result<Vec<IntentId>, ClientError> {
        self.enqueue(group, |tx| {
            let members = tx.members(group)?;
            let present = |user: &&UserId| members.iter().any(|member| member.user == **user);
            refuse_if_any(users.iter().filter(present), ClientError::AlreadyMember)?;
            tx.check_allowed(group, &Intent::Add(users.to_vec()))?;
            tx.check_trust(group, &Intent::Update)?;
            tx.refuse_changed(&users.iter().collect::<Vec<_>>())?;
            add_intents(users)
                .map(|intent| tx.enqueue(group, &intent).map(IntentId))
                .collect()
        })
    }

    /// Adds those of these users who can be added, in parts of a bounded size: what is to be done for
    /// each part, and how many users it has.
    ///
    /// # Errors
    /// [`ClientError::NotMember`], [`ClientError::Leaving`], [`ClientError::Forbidden`].
    pub fn add_many(
        &mut self,
        group: GroupId,
        users: &[UserId],
    ) -> Result<Vec<(IntentId, usize)>, ClientError> {
        self.enqueue(group, |tx| {
            tx.check_allowed(group, &Intent::Add(users.to_vec()))?;
            tx.check_trust(group, &Intent::Update)?;
            let parts = users.chunks(USERS_PER_PART).map(|part| {
                let row = tx.enqueue(group, &Intent::AddFor(part.to_vec()))?;
                Ok((IntentId(row), part.len()))
            });
            parts.collect()
        })
    }

    /// Removes users, with all their devices.
    ///
    /// # Errors
    /// [`ClientError::NoSuchMember`], [`ClientError::NotMember`], [`ClientError::Leaving`],
    /// [`ClientError::Forbidden`].
    pub fn remove(&mut self, group: GroupId, users: &[UserId]) -> Result<IntentId, ClientError> {
        self.enqueue(group, |tx| {
            let members = tx.members(group)?;
            let absent = |user: &&UserId| members.iter().all(|member| member.user != **user);
            refuse_if_any(users.iter().filter(absent), ClientError::NoSuchMember)?;
            let intent = Intent::Remove(users.to_vec());
            tx.check_allowed(group, &intent)?;
            tx.check_trust(group, &intent)?;
            tx.enqueue(group, &intent).map(IntentId)
        })
    }

    /// Renews this device's keys in a group.
    ///
    /// # Errors
    /// [`ClientError::NotMember`], [`ClientError::Leaving`].
    pub fn update(&mut self, group: GroupId) -> Result<IntentId, ClientError> {
        self.enqueue(group, |tx| {
            tx.check_trust(group, &Intent::Update)?;
            tx.enqueue(group, &Intent::Update).map(IntentId)
        })
    }

    /// Asks to leave a group.
    ///
    /// # Errors
    /// [`ClientError::NotMember`], [`ClientError::Leaving`], [`ClientError::Forbidden`] for the last
    /// owner while others are there: somebody else has to be made one first. [`ClientError::Alone`] where nobody
    /// else is there.
    pub fn leave(&mut self, group: GroupId) -> Result<IntentId, ClientError> {
        self.enqueue(group, |tx| {
            tx.check_may_leave(group)?;
            tx.enqueue(group, &Intent::Leave).map(IntentId)
        })
    }

    /// How an intent ended: where it landed, or why it was given up. `None` while it waits.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn outcome(
        &mut self,
        intent: IntentId,
    ) -> Result<Option<Result<Receipt, String>>, ClientError> {
        self.local.read(|tx| tx.outcome(intent.0))
    }

    /// What was given up in a group and not [taken](Self::take_outcome) yet, each with the reason, as
    /// a sentence for a person.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn given_up(&mut self, group: GroupId) -> Result<Vec<(IntentId, String)>, ClientError> {
        let given_up = self.local.read(|tx| tx.given_up(group))?;
        let named = given_up.into_iter().map(|(row, why)| (IntentId(row), why));
        Ok(named.collect())
    }

    /// Like [`Self::outcome`], and forgets an intent that has ended.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn take_outcome(
        &mut self,
        intent: IntentId,
    ) -> Result<Option<Result<Receipt, String>>, ClientError> {
        self.local.take_outcome(intent.0)
    }

    /// All groups that this device knows, by name.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn groups(&mut self) -> Result<Vec<Group>, ClientError> {
        self.local.read(|tx| tx.groups())
    }

    /// A group that this device knows.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn group(&mut self, group: GroupId) -> Result<Option<Group>, ClientError> {
        self.local.read(|tx| tx.group(group))
    }

    /// The users in a group.
    ///
    /// # Errors
    /// [`ClientError::NotMember`] for a group that ended.
    pub fn members(&mut self, group: GroupId) -> Result<Vec<Member>, ClientError> {
        self.local.read(|tx| {
            tx.require_member(group)?;
            tx.members(group)
        })
    }

    /// The number of a group's epoch, and the epoch authenticator (RFC 9420 §8.7): 32 bytes that
    /// are equal in all members who are in the same epoch of the same group.
    ///
    /// # Errors
    /// [`ClientError::Engine`] for a group that ended.
    pub fn epoch(&mut self, group: GroupId) -> Result<(u64, Vec<u8>), ClientError> {
        self.local.read(|tx| Ok(tx.epoch(group)?))
    }

    /// 60 digits that this user and another see alike, as long as each knows the other's true
    /// identity key. Compared in person or by telephone, they show that nobody stands between.
    ///
    /// # Errors
    /// [`ClientError::UnknownUser`] for one whom this device has not met in a group.
    pub fn safety_number(&mut self, user: &UserId) -> Result<String, ClientError> {
        self.local.read(|tx| tx.safety_number(user))
    }

    /// The users who appeared under another identity key than the one that counts here. They, or
    /// somebody in their place, may have registered anew.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn changed_identities(&mut self) -> Result<Vec<UserId>, ClientError> {
        self.local.read(|tx| tx.changed_identities())
    }

    /// Refuses where one of these users has another key than the one that counts.
    pub(crate) fn refuse_changed(&mut self, users: &[UserId]) -> Result<(), ClientError> {
        let users: Vec<&UserId> = users.iter().collect();
        self.local.read(|tx| tx.refuse_changed(&users))
    }

    /// Like [`Self::safety_number`], under the key that a user has appeared with since; `None` where
    /// there is no other.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn new_safety_number(&mut self, user: &UserId) -> Result<Option<String>, ClientError> {
        self.local.read(|tx| tx.new_safety_number(user))
    }

    /// Has a user's other key count from now on, where the digits are those of
    /// [`Self::new_safety_number`], which a person has compared. What stands in groups under the key
    /// before is removed from there.
    ///
    /// # Errors
    /// [`ClientError::IdentityUnchanged`], [`ClientError::OtherDigits`].
    pub fn accept_identity(&mut self, user: &UserId, digits: &str) -> Result<(), ClientError> {
        self.local.write(|tx| tx.accept_identity(user, digits))?;
        self.look_at_groups()?;
        self.outboxes_are_due();
        Ok(())
    }

    /// Notes that a person has compared these digits with a user: they have to be those of
    /// [`Self::safety_number`].
    ///
    /// # Errors
    /// [`ClientError::OtherDigits`], [`ClientError::UnknownUser`].
    pub fn note_compared(&mut self, user: &UserId, digits: &str) -> Result<(), ClientError> {
        self.local.write(|tx| tx.note_compared(user, digits))
    }

    /// The users whose digits a person has compared, under the key that counts now.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn compared_identities(&mut self) -> Result<Vec<UserId>, ClientError> {
        self.local.read(|tx| tx.compared_identities())
    }

    /// 60 digits that all members see alike who see the same users, devices and keys in the group.
    ///
    /// # Errors
    /// [`ClientError::NotMember`] for a group that ended.
    pub fn roster_fingerprint(&mut self, group: GroupId) -> Result<String, ClientError> {
        self.local.read(|tx| {
            tx.require_member(group)?;
            tx.roster_fingerprint(group)
        })
    }

    /// Up to `limit` entries of a group's history after a place in its log, oldest first.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn history(
        &mut self,
        group: GroupId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, ClientError> {
        self.local.read(|tx| tx.history(group, after, limit))
    }

    /// Up to `limit` entries of a group's history before a place in its log, the last ones, oldest
    /// first: as somebody scrolls back.
    ///
    /// # Errors
    /// [`ClientError::Database`].
    pub fn history_before(
        &mut self,
        group: GroupId,
        before: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, ClientError> {
        self.local
            .read(|tx| tx.history_before(group, before, limit))
    }

    pub(super) fn enqueue<T>(
        &mut self,
        group: GroupId,
        work: impl FnOnce(&Tx<'_>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let queued = self.local.write(|tx| {
            tx.require_member(group)?;
            work(tx)
        })?;
        if let Some(progress) = self.groups.get_mut(&group) {
            progress.outbox.set();
        }
        Ok(queued)
    }
}

fn refuse_if_any<'a>(
    users: impl Iterator<Item = &'a UserId>,
    error: impl FnOnce(Vec<String>) -> ClientError,
) -> Result<(), ClientError> {
    let users: Vec<String> = users.map(ToString::to_string).collect();
    if users.is_empty() {
        Ok(())
    } else {
        Err(error(users))
    }
}
