//! Intents that other members hand to this device because it is online: many become one Commit.

use conclave_protocol::{
    GroupId, MembershipIntent, UnixMillis, UserId, limits::ADDS_PER_COMMIT_MAX,
};
use conclave_rpc::{device_id, group_id, v1};

use super::Tx;
use crate::{ClientError, Standing, intent::Intent};

/// Users of whom something is wanted at one moment. What is handed over beyond that is dropped, and has to be
/// asked for again.
const WISHES_MAX: usize = 4 * ADDS_PER_COMMIT_MAX;

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
            self.keep_wishes(id, &add, true)?;
            self.keep_wishes(id, &remove, false)?;
            return Ok(Some(id));
        }
        Ok(None)
    }

    /// Of what is wanted of one user, the last counts.
    fn keep_wishes(
        &self,
        group: GroupId,
        users: &[UserId],
        is_add: bool,
    ) -> Result<(), ClientError> {
        let mut count = self
            .sql
            .prepare_cached("SELECT count(*) FROM wishes WHERE group_id = ?")?;
        let known: usize = count.query_row([group.as_bytes()], |row| row.get(0))?;
        let room = WISHES_MAX.saturating_sub(known);
        let mut insert = self.sql.prepare_cached(
            "INSERT OR REPLACE INTO wishes (group_id, user, is_add) VALUES (?, ?, ?)",
        )?;
        for user in users.iter().take(room) {
            insert.execute((group.as_bytes(), user.as_str(), is_add))?;
        }
        Ok(())
    }

    /// Whether something waits that was handed to this device.
    pub(crate) fn has_wishes(&self, group: GroupId) -> Result<bool, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT 1 FROM wishes WHERE group_id = ?")?;
        Ok(query.exists([group.as_bytes()])?)
    }

    /// Puts all that was handed to this device into the outbox, as few Commits.
    pub(crate) fn do_wishes(&self, group: GroupId) -> Result<(), ClientError> {
        for (is_add, of) in [
            (true, Intent::AddFor as fn(Vec<UserId>) -> Intent),
            (false, Intent::RemoveFor),
        ] {
            let users = self.wished(group, is_add)?;
            for part in users.chunks(ADDS_PER_COMMIT_MAX) {
                self.enqueue_first(group, &of(part.to_vec()))?;
            }
        }
        self.forget_wishes(group)
    }

    /// Forgets what was handed to this device, as where it is no longer a member.
    pub(super) fn forget_wishes(&self, group: GroupId) -> Result<(), ClientError> {
        let delete = "DELETE FROM wishes WHERE group_id = ?";
        self.sql.execute(delete, [group.as_bytes()])?;
        Ok(())
    }

    fn wished(&self, group: GroupId, is_add: bool) -> Result<Vec<UserId>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT user FROM wishes WHERE group_id = ? AND is_add = ? ORDER BY user",
        )?;
        let rows = query.query_map((group.as_bytes(), is_add), |row| row.get::<_, String>(0))?;
        let names: Vec<String> = rows.collect::<Result<_, _>>()?;
        Ok(names
            .iter()
            .map(|name| name.parse())
            .collect::<Result<_, _>>()?)
    }
}
