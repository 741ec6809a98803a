//! Which identity key each user has, as this device knows it.
//!
//! The first key that is seen of a user counts (promise 4: no ghost). Where another one appears, in a
//! group or on a list, it is noted and told, and counts for nothing until a person has compared
//! digits and accepts it: this device goes on reading, and makes nothing that a device under that key
//! could decrypt.

use conclave_engine::Member;
use conclave_protocol::{DeviceCertificate, DeviceId, GroupId, UserId, VerifyingKey};
use rusqlite::OptionalExtension as _;

use super::Tx;
use crate::{ClientError, Event, Standing, fingerprint, intent::Intent};

/// What came of meeting users.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Those who appear under another key than the one that counts; one may be there several times.
    pub(super) changed: Vec<UserId>,
    /// What the application hears: each other key once.
    pub(super) events: Vec<Event>,
}

impl Met {
    /// An error where anybody has another key.
    pub(super) fn refuse_changed(&self) -> Result<(), ClientError> {
        match self.changed.first() {
            Some(user) => Err(ClientError::IdentityChanged(user.to_string())),
            None => Ok(()),
        }
    }
}

/// The keys of a user who was met.
struct Contact {
    /// The one that counts.
    key: Vec<u8>,
    /// Another one, which nobody has accepted.
    new_key: Option<Vec<u8>>,
}

impl Tx<'_> {
    /// Keeps the identity keys of users who are seen for the first time, and notes those that are
    /// not the ones that were seen before.
    pub(super) fn meet<'c>(
        &self,
        certificates: impl Iterator<Item = &'c DeviceCertificate>,
    ) -> Result<Met, ClientError> {
        let mut met = Met::default();
        for certificate in certificates {
            self.meet_key(
                &certificate.address().user,
                certificate.identity_key(),
                &mut met,
            )?;
        }
        Ok(met)
    }

    /// See [`Self::meet`].
    pub(super) fn meet_key(
        &self,
        user: &UserId,
        key: &VerifyingKey,
        met: &mut Met,
    ) -> Result<(), ClientError> {
        let known = self.contact(user)?;
        if self.counts(user, key, known.as_ref()) {
            if known.is_none() {
                self.sql
                    .prepare_cached("INSERT INTO contacts (user, identity_key) VALUES (?, ?)")?
                    .execute((user.as_str(), key.as_bytes()))?;
            }
            return Ok(());
        }
        met.changed.push(user.clone());
        let noted = self.sql.execute(
            "UPDATE contacts SET new_key = ?1 WHERE user = ?2 AND new_key IS NOT ?1",
            (key.as_bytes(), user.as_str()),
        )?;
        if noted > 0 {
            met.events
                .push(Event::IdentityChanged { user: user.clone() });
        }
        Ok(())
    }

    /// Whether a key is the identity key that counts for a user, or may become it.
    pub(super) fn is_identity_key(
        &self,
        user: &UserId,
        key: &VerifyingKey,
    ) -> Result<bool, ClientError> {
        Ok(self.counts(user, key, self.contact(user)?.as_ref()))
    }

    fn counts(&self, user: &UserId, key: &VerifyingKey, known: Option<&Contact>) -> bool {
        let own = self.own_certificate();
        if *user == own.address().user {
            return key == own.identity_key();
        }
        known.is_none_or(|known| known.key == key.as_bytes())
    }

    /// The users who appeared under another identity key than the one that counts.
    pub(crate) fn changed_identities(&self) -> Result<Vec<UserId>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT user FROM contacts WHERE new_key IS NOT NULL ORDER BY user")?;
        let users = query.query_map([], |row| row.get::<_, String>(0))?;
        let mut changed = Vec::new();
        for user in users {
            changed.push(user?.parse()?);
        }
        Ok(changed)
    }

    /// What this user and another compare; see `fingerprint`.
    pub(crate) fn safety_number(&self, user: &UserId) -> Result<String, ClientError> {
        let contact = self.contact(user)?;
        let number = contact.and_then(|contact| self.number_with(user, &contact.key));
        number.ok_or_else(|| ClientError::UnknownUser(vec![user.to_string()]))
    }

    /// The same under the key that nobody has accepted, where there is one.
    pub(crate) fn new_safety_number(&self, user: &UserId) -> Result<Option<String>, ClientError> {
        let new_key = self.contact(user)?.and_then(|contact| contact.new_key);
        Ok(new_key.and_then(|key| self.number_with(user, &key)))
    }

    /// Has a user's other key count from now on, where these are its digits. What stands in groups
    /// under the key before is removed.
    pub(crate) fn accept_identity(&self, user: &UserId, digits: &str) -> Result<(), ClientError> {
        let number = self.new_safety_number(user)?;
        let number = number.ok_or(ClientError::IdentityUnchanged)?;
        if !same_digits(&number, digits) {
            return Err(ClientError::OtherDigits);
        }
        self.sql.execute(
            "UPDATE contacts SET identity_key = new_key, compared_key = new_key, new_key = NULL
             WHERE user = ?",
            [user.as_str()],
        )?;
        // Versions count anew under another key.
        self.sql
            .execute("DELETE FROM device_lists WHERE user = ?", [user.as_str()])?;
        // Groups that could not be joined because of it need not wait any longer.
        self.sql
            .execute("UPDATE resyncs SET at_millis = 0 WHERE is_due", [])?;
        self.remove_old_leaves(user)
    }

    /// Notes that a person has compared the digits of the key that counts for a user.
    pub(crate) fn note_compared(&self, user: &UserId, digits: &str) -> Result<(), ClientError> {
        if !same_digits(&self.safety_number(user)?, digits) {
            return Err(ClientError::OtherDigits);
        }
        self.sql.execute(
            "UPDATE contacts SET compared_key = identity_key WHERE user = ?",
            [user.as_str()],
        )?;
        Ok(())
    }

    /// The users whose digits a person has compared, of the key that counts now.
    pub(crate) fn compared_identities(&self) -> Result<Vec<UserId>, ClientError> {
        let mut query = self.sql.prepare_cached(
            "SELECT user FROM contacts WHERE compared_key = identity_key ORDER BY user",
        )?;
        let users = query.query_map([], |row| row.get::<_, String>(0))?;
        let mut compared = Vec::new();
        for user in users {
            compared.push(user?.parse()?);
        }
        Ok(compared)
    }

    /// Refuses what would be encrypted to somebody under a key that does not count.
    pub(crate) fn check_trust(&self, group: GroupId, intent: &Intent) -> Result<(), ClientError> {
        let is_harmless = matches!(intent, Intent::Create | Intent::Leave);
        // Most often nobody is, and a look at the roster is dear.
        if is_harmless || self.changed_identities()?.is_empty() {
            return Ok(());
        }
        for member in self.engine.roster(self, group)? {
            if !self.is_trusted(&member)? && !is_removed_by(intent, &member) {
                let user = member.certificate.address().user.to_string();
                return Err(ClientError::IdentityChanged(user));
            }
        }
        Ok(())
    }

    /// Refuses to add somebody whose key has changed.
    pub(crate) fn refuse_changed(&self, users: &[&UserId]) -> Result<(), ClientError> {
        let changed = self.changed_identities()?;
        match users.iter().find(|user| changed.contains(user)) {
            Some(user) => Err(ClientError::IdentityChanged(user.to_string())),
            None => Ok(()),
        }
    }

    fn is_trusted(&self, member: &Member) -> Result<bool, ClientError> {
        let certificate = &member.certificate;
        self.is_identity_key(&certificate.address().user, certificate.identity_key())
    }

    fn remove_old_leaves(&self, user: &UserId) -> Result<(), ClientError> {
        for group in self.groups()? {
            if group.standing != Standing::Member {
                continue;
            }
            let mut old: Vec<DeviceId> = Vec::new();
            for member in self.engine.roster(self, group.id)? {
                if member.certificate.address().user == *user && !self.is_trusted(&member)? {
                    old.push(member.certificate.address().device);
                }
            }
            if !old.is_empty() {
                self.enqueue(group.id, &Intent::RemoveDevices(old))?;
            }
        }
        Ok(())
    }

    fn number_with(&self, user: &UserId, key: &[u8]) -> Option<String> {
        let key = VerifyingKey::try_from(key).ok()?;
        let own = self.own_certificate();
        let own = (&own.address().user, own.identity_key());
        Some(fingerprint::safety_number(own, (user, &key)))
    }

    fn contact(&self, user: &UserId) -> Result<Option<Contact>, ClientError> {
        let mut known = self
            .sql
            .prepare_cached("SELECT identity_key, new_key FROM contacts WHERE user = ?")?;
        let known = known.query_row([user.as_str()], |row| {
            Ok(Contact {
                key: row.get(0)?,
                new_key: row.get(1)?,
            })
        });
        Ok(known.optional()?)
    }
}

fn is_removed_by(intent: &Intent, member: &Member) -> bool {
    let address = member.certificate.address();
    match intent {
        Intent::Remove(users) | Intent::RemoveFor(users) => users.contains(&address.user),
        Intent::RemoveDevices(devices) => devices.contains(&address.device),
        _ => false,
    }
}

/// As people copy them: spaces do not count.
fn same_digits(a: &str, b: &str) -> bool {
    let digits = |text: &str| {
        text.chars()
            .filter(|c| !c.is_whitespace())
            .collect::<String>()
    };
    digits(a) == digits(b)
}

#[cfg(test)]
mod tests {
    use conclave_protocol::{DeviceAddress, DeviceClaims, SigningKey, UnixMillis};

    use super::*;
    use crate::local::Local;

    fn certificate(user: &str, identity: u8) -> DeviceCertificate {
        let address = DeviceAddress {
            user: user.parse().unwrap(),
            device: DeviceId::from_bytes([identity; 16]),
        };
        let key = SigningKey::from_seed(&[identity; 32]);
        let claims = DeviceClaims::starting(address, key.verifying_key(), UnixMillis(0));
        DeviceCertificate::issue(claims, &key)
    }

    fn alice() -> Local {
        Local::of_alice(UnixMillis(0))
    }

    #[test]
    fn another_identity_key_is_told_once_and_counts_when_its_digits_are_given() {
        let mut local = alice();
        let bob: UserId = "bob@here".parse().unwrap();
        let mut meet = |identity: u8| {
            let met = local.write(|tx| tx.meet([&certificate("bob@here", identity)].into_iter()));
            let met = met.unwrap();
            (met.changed.len(), met.events.len())
        };
        // Seen first, seen again, another, the same other, the first again, and one more.
        let seen = [1, 1, 2, 2, 1, 3].map(&mut meet);
        assert_eq!(seen, [(0, 0), (0, 0), (1, 1), (1, 0), (0, 0), (1, 1)]);

        let number = local.read(|tx| tx.safety_number(&bob)).unwrap();
        let new = local
            .read(|tx| tx.new_safety_number(&bob))
            .unwrap()
            .unwrap();
        assert_ne!(number, new);
        let mut accept = |digits: &str| local.write(|tx| tx.accept_identity(&bob, digits));
        assert!(matches!(accept(&number), Err(ClientError::OtherDigits)));
        accept(&new.replace(' ', "")).unwrap();
        assert!(matches!(accept(&new), Err(ClientError::IdentityUnchanged)));
        let counts = |tx: &Tx<'_>| Ok((tx.safety_number(&bob)?, tx.changed_identities()?));
        assert_eq!(local.read(counts).unwrap(), (new, Vec::new()));
        // Who accepts has compared.
        let compared = local.read(|tx| tx.compared_identities()).unwrap();
        assert_eq!(compared, [bob]);
    }

    #[test]
    fn whose_digits_were_compared_is_kept_for_the_key_that_they_are_of() {
        let mut local = alice();
        let bob: UserId = "bob@here".parse().unwrap();
        let refused = local.write(|tx| tx.note_compared(&bob, "1"));
        assert!(matches!(refused, Err(ClientError::UnknownUser(_))));
        let met = local.write(|tx| tx.meet([&certificate("bob@here", 1)].into_iter()));
        met.unwrap();
        let compared = |local: &mut Local| local.read(|tx| tx.compared_identities()).unwrap();
        let refused = local.write(|tx| tx.note_compared(&bob, "1"));
        assert!(matches!(refused, Err(ClientError::OtherDigits)));
        assert_eq!(compared(&mut local), []);
        let digits = local.read(|tx| tx.safety_number(&bob)).unwrap();
        let noted = local.write(|tx| tx.note_compared(&bob, &digits.replace(' ', "")));
        noted.unwrap();
        assert_eq!(compared(&mut local), [bob]);
    }
}
