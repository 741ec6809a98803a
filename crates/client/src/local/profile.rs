//! What the members call a group and say of it. The rules hold a hash of it, on which all members agree
//! by MLS; the profile itself is said in the group, and counts where its hash is that one.

use std::time::Duration;

use conclave_engine::Change;
use conclave_protocol::{
    Attachment, Content, GroupId, GroupRules, Profile, ProfileHash, UnixMillis, UserId,
};
use rusqlite::OptionalExtension as _;

use super::{Tx, groups::id_column, line::Line, messages::millis, outbox::Item};
use crate::{ClientError, EntryKind, ProfileChange, intent::Intent, session::Call};

/// How long before its end a picture is stored again: it may be a while before this device is online.
const PICTURE_REST: Duration = Duration::from_hours(14 * 24);

impl Tx<'_> {
    /// What the members say of a group, as far as this device has heard.
    pub(crate) fn profile(&self, group: GroupId) -> Result<Option<Profile>, ClientError> {
        let bytes = self.profile_bytes("profiles", group)?;
        Ok(bytes.and_then(|bytes| Profile::from_bytes(&bytes)))
    }

    /// Keeps the profile of a group that is about to be made, and gives the rules that go with it.
    pub(super) fn first_profile(
        &self,
        name: &str,
        rules: GroupRules,
    ) -> Result<(GroupRules, Vec<u8>), ClientError> {
        let bytes = Profile::named(name).to_bytes(self.random())?;
        Ok((rules.with_profile(Some(ProfileHash::of(&bytes))), bytes))
    }

    /// Makes the Commit that changes a group's profile. What is said then is kept from here on.
    pub(super) fn prepare_describe(
        &self,
        group: GroupId,
        item: &Item,
        change: &ProfileChange,
        now: UnixMillis,
    ) -> Result<Option<Call>, ClientError> {
        let rules = self.rules(group)?;
        let known = self.profile_of(group, &rules)?;
        let before = match &known {
            Some(bytes) => Profile::from_bytes(bytes),
            None => self.profile(group)?,
        };
        let before = match before {
            Some(profile) => profile,
            None => {
                let name = self.group(group)?.and_then(|group| group.name);
                Profile::named(name.unwrap_or_default())
            }
        };
        let after = change.apply(before.clone());
        if after == before && known.is_some() {
            return self.settle_without_bytes(group, item);
        }
        if !self.engine.pending_leaves(self, group)?.is_empty() {
            return self.prepare_commit(group, item, Change::update(), false, now);
        }
        let bytes = after.to_bytes(self.random())?;
        self.keep_draft(group, &bytes)?;
        let rules = rules.with_profile(Some(ProfileHash::of(&bytes)));
        self.prepare_commit(group, item, Change::govern(rules), true, now)
    }

    /// What there is to say to those who do not know what a group is called: its profile or, where its
    /// rules have none, its name.
    pub(super) fn introduction(&self, group: GroupId) -> Result<Option<Content>, ClientError> {
        let rules = self.rules(group)?;
        if rules.profile().is_some() {
            let bytes = self.profile_of(group, &rules)?;
            return Ok(bytes.map(Content::GroupProfile));
        }
        let name = self.group(group)?.and_then(|group| group.name);
        Ok(name.map(Content::GroupName))
    }

    /// Puts what a group is called into its outbox, where this device knows and may say it.
    pub(super) fn introduce(&self, group: GroupId) -> Result<(), ClientError> {
        if let Some(content) = self.introduction(group)?
            && self.may_send(group, self.own_user())?
            && !self.is_to_be_said(group, &content)?
        {
            let content = self.seal(&content)?;
            self.enqueue(group, &Intent::Send(content))?;
            // Who has just come can't read what was stored before.
            self.picture_is_due(group)?;
        }
        Ok(())
    }

    /// Whether a message that says just this waits in the outbox. Whatever waits there is sent in the
    /// epoch of its turn, or of a later one, so whoever is in the group by now will read it.
    fn is_to_be_said(&self, group: GroupId, content: &Content) -> Result<bool, ClientError> {
        let waiting = self.waiting_contents(group)?;
        Ok(waiting.iter().any(|(_, it)| Content::open(it) == *content))
    }

    /// The service is to store a group's picture again, where there is one.
    fn picture_is_due(&self, group: GroupId) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE profiles SET picture_until_millis = 0
             WHERE group_id = ? AND picture_until_millis IS NOT NULL",
            [group.as_bytes()],
        )?;
        Ok(())
    }

    /// Takes in a profile that somebody says. Anybody may: it counts by its hash.
    pub(super) fn take_in_profile(
        &self,
        line: &mut Line<'_>,
        author: &UserId,
        bytes: &[u8],
    ) -> Result<(), ClientError> {
        let id = line.group.id;
        let (before, Some(profile)) = (self.profile(id)?, Profile::from_bytes(bytes)) else {
            return Ok(());
        };
        if self.rules(id)?.profile() != Some(ProfileHash::of(bytes)) {
            return Ok(());
        }
        self.put_profile(id, bytes, &profile)?;
        let is_described = before.as_ref().map(|it| &it.description) != Some(&profile.description);
        let is_pictured = before.as_ref().map(|it| &it.picture) != Some(&profile.picture);
        if line.group.name.as_ref() != Some(&profile.name) {
            self.set_name(id, &profile.name)?;
            line.group.name = Some(profile.name.clone());
            return line.add(self, author.clone(), EntryKind::Named(profile.name));
        }
        match before {
            Some(_) if is_described => line.add(
                self,
                author.clone(),
                EntryKind::Described(profile.description),
            ),
            Some(_) if is_pictured => line.add(self, author.clone(), EntryKind::Pictured),
            _ => Ok(()),
        }
    }

    /// Keeps a profile as the one that is shown.
    pub(super) fn put_profile(
        &self,
        group: GroupId,
        bytes: &[u8],
        profile: &Profile,
    ) -> Result<(), ClientError> {
        let until = profile.picture.as_ref().map(|it| millis(it.kept_until));
        self.sql.execute(
            "INSERT INTO profiles VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE
             SET profile = ?2, picture_until_millis = ?3 WHERE profile <> ?2",
            (group.as_bytes(), bytes, until),
        )?;
        Ok(())
    }

    /// Gives a successor the profile of the group that it continues.
    pub(super) fn take_profile(&self, successor: GroupId) -> Result<(), ClientError> {
        self.sql.execute(
            "INSERT OR IGNORE INTO profiles SELECT ?1, profile, picture_until_millis
             FROM profiles JOIN groups USING (group_id) WHERE successor = ?1",
            [successor.as_bytes()],
        )?;
        Ok(())
    }

    /// The groups' pictures that this device should have the service keep for longer, or for those who
    /// have come since: it does so for groups in which its user is more than a member, or nobody is.
    pub(crate) fn pictures_to_keep(
        &self,
        now: UnixMillis,
    ) -> Result<Vec<(GroupId, Attachment)>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT group_id, profile, picture_until_millis = 0 FROM profiles
             WHERE picture_until_millis < ?",
        )?;
        let due = query.query_map([millis(now.after(PICTURE_REST))], |row| {
            Ok((id_column(row, 0)?, row.get::<_, Vec<u8>>(1)?, row.get(2)?))
        })?;
        let due: Vec<(GroupId, Vec<u8>, bool)> = due.collect::<Result<_, _>>()?;
        let mut pictures = Vec::new();
        for (group, bytes, is_for_newcomers) in due {
            if self.require_member(group).is_err() {
                continue;
            }
            let rules = self.rules(group)?;
            let is_listed = |user: &UserId| rules.listed().any(|(it, _)| it == user);
            let is_ours = rules.listed().next().is_none() || is_listed(self.own_user());
            let picture = Profile::from_bytes(&bytes).and_then(|profile| profile.picture);
            if is_ours || is_for_newcomers {
                pictures.extend(picture.map(|picture| (group, picture)));
            }
        }
        Ok(pictures)
    }

    /// The service keeps a group's picture until then.
    pub(crate) fn picture_is_kept(
        &self,
        group: GroupId,
        until: UnixMillis,
    ) -> Result<(), ClientError> {
        self.sql.execute(
            "UPDATE profiles SET picture_until_millis = ? WHERE group_id = ?",
            (millis(until), group.as_bytes()),
        )?;
        Ok(())
    }

    /// The profile that the rules name, where this device knows it.
    fn profile_of(
        &self,
        group: GroupId,
        rules: &GroupRules,
    ) -> Result<Option<Vec<u8>>, ClientError> {
        for table in ["drafts", "profiles"] {
            let bytes = self.profile_bytes(table, group)?;
            let is_it = |it: &Vec<u8>| rules.profile() == Some(ProfileHash::of(it));
            if let Some(bytes) = bytes.filter(is_it) {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    fn profile_bytes(&self, table: &str, group: GroupId) -> Result<Option<Vec<u8>>, ClientError> {
        let query = format!("SELECT profile FROM {table} WHERE group_id = ?");
        let mut query = self.sql.prepare_cached(&query)?;
        let bytes = query.query_row([group.as_bytes()], |row| row.get(0));
        Ok(bytes.optional()?)
    }

    fn keep_draft(&self, group: GroupId, bytes: &[u8]) -> Result<(), ClientError> {
        self.sql.execute(
            "INSERT OR REPLACE INTO drafts VALUES (?, ?)",
            (group.as_bytes(), bytes),
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use conclave_protocol::AttachmentKey;

    use super::*;
    use crate::local::Local;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    #[test]
    fn a_picture_is_stored_again_before_it_expires_and_for_whoever_comes() {
        let mut local = Local::of_alice(NOW);
        let until = NOW.after(2 * PICTURE_REST);
        let picture = Attachment {
            key: AttachmentKey::from_bytes([1; 32]),
            content_hash: [2; 32],
            size_bytes: 3,
            name: "club.png".to_owned(),
            media_type: "image/png".to_owned(),
            kept_until: until,
        };
        let profile = Profile {
            picture: Some(picture.clone()),
            ..Profile::named("club")
        };
        let make = |tx: &Tx<'_>| {
            let (group, _) = tx.create_group("club", NOW)?;
            tx.put_profile(group, &profile.to_bytes([9; 32])?, &profile)?;
            Ok(group)
        };
        let group = local.write(make).unwrap();
        let mut due = |now| local.read(|tx| tx.pictures_to_keep(now)).unwrap();
        assert!(due(NOW).is_empty());
        let late = NOW.after(PICTURE_REST + Duration::from_secs(1));
        assert_eq!(due(late), [(group, picture.clone())]);
        let keep = |tx: &Tx<'_>| tx.picture_is_kept(group, late.after(2 * PICTURE_REST));
        local.write(keep).unwrap();
        assert!(
            local
                .read(|tx| tx.pictures_to_keep(late))
                .unwrap()
                .is_empty()
        );
        local.write(|tx| tx.picture_is_due(group)).unwrap();
        let due = local.read(|tx| tx.pictures_to_keep(late)).unwrap();
        assert_eq!(due, [(group, picture)]);
    }
}
