//! Intents that other members hand to this device because it is online: many become one Commit.

use conclave_protocol::{
    GroupId, MembershipIntent, UnixMillis, UserId, limits::ADDS_PER_COMMIT_MAX,
};
use conclave_rpc::{device_id, group_id, v1};

use super::Tx;
use crate::{ClientError, Standing, intent::Intent};

impl Tx<'_> {
    /// Puts what a member asks for beside what others have asked. What no member of the group
    /// signed is dropped: the service could otherwise have this device add whomever it likes.
    /// Gives the group in which there is something to do now.
    pub(crate) fn gather(
        &self,
        handed: &v1::IntentHandedOver,
        now: UnixMillis,
    ) -> Result<Option<GroupId>, ClientError> {
        let (Ok(id), Ok(sender)) = (
            group_id(&handed.group_id),
            device_id(&handed.sender_device_id),
        ) else {
            return Ok(None);
        };
        let standing = self.group(id)?.map(|group| group.standing);
        if standing != Some(Standing::Member) {
            return Ok(None);
        }
        let roster = self.engine.roster(self, id)?;
        let mut members = roster.iter().map(|member| &member.certificate);
        let Some(certificate) = members.find(|it| it.address().device == sender) else {
            return Ok(None);
        };
        let asker = certificate.address().user.clone();
        let key = &certificate.claims().signature_key;
        let intent = MembershipIntent::verify(&handed.intent, id, key, now);
        if let Some(MembershipIntent { add, remove }) = intent {
            // What a member may not do, nobody does for it; and this device does what it may.
            for user in [&asker, self.own_user()] {
                if !self.may_change(id, user, &add, &remove)? {
                    return Ok(None);
                }
            }
            self.gather_users(id, add, Intent::AddFor)?;
            self.gather_users(id, remove, Intent::RemoveFor)?;
            return Ok(Some(id));
        }
        Ok(None)
    }

    fn gather_users(
        &self,
        group: GroupId,
        mut users: Vec<UserId>,
        of: fn(Vec<UserId>) -> Intent,
    ) -> Result<(), ClientError> {
        if users.is_empty() {
            return Ok(());
        }
        for (row, queued) in self.untouched(group)? {
            let is_same =
                std::mem::discriminant(&queued) == std::mem::discriminant(&of(Vec::new()));
            let (Intent::AddFor(known) | Intent::RemoveFor(known)) = &queued else {
                continue;
            };
            if is_same && known.len() + users.len() <= ADDS_PER_COMMIT_MAX {
                users.extend(known.iter().cloned());
                users.sort();
                users.dedup();
                return self.replace(row, &of(users));
            }
        }
        self.enqueue(group, &of(users)).map(drop)
    }

    /// Intents for which nothing has been done yet.
    fn untouched(&self, group: GroupId) -> Result<Vec<(i64, Intent)>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT id, intent FROM outbox WHERE group_id = ? AND submission IS NULL
             AND key_packages IS NULL AND landed IS NULL AND failure IS NULL ORDER BY id",
        )?;
        let rows = query.query_map([group.as_bytes()], |row| {
            Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        let mut untouched = Vec::new();
        for row in rows {
            let (id, bytes) = row?;
            untouched.extend(Intent::from_bytes(&bytes).map(|intent| (id, intent)));
        }
        Ok(untouched)
    }

    fn replace(&self, row: i64, intent: &Intent) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE outbox SET intent = ? WHERE id = ?",
            (intent.to_bytes(), row),
        )?;
        Ok(())
    }
}
