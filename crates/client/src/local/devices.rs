//! Which devices users have: this user's own, and the newest signed list of everybody met.

use std::{collections::BTreeMap, time::Duration};

use conclave_protocol::{
    DeviceCertificate, DeviceId, DeviceList, GroupId, SigningKey, UnixMillis, UserId, VerifyingKey,
    limits::DEVICE_LISTS_PER_FETCH_MAX,
};
use conclave_rpc::v1;
use rusqlite::{Connection, OptionalExtension as _};

use super::{Tx, contacts::Met};
use crate::{ClientError, Event, Standing, intent::Intent};

/// How long a list that was asked for is taken to be the newest: adding many users takes several
/// requests, each of which must find those before it done.
const LIST_FRESH: Duration = Duration::from_mins(1);

impl Tx<'_> {
    /// The newest list of a user that was seen; `None` where there was none.
    pub(crate) fn device_list(&self, user: &UserId) -> Result<Option<DeviceList>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT list FROM device_lists WHERE user = ? AND list IS NOT NULL")?;
        let list = query.query_row([user.as_str()], |row| row.get::<_, Vec<u8>>(0));
        // What is there was verified when it came.
        Ok(list
            .optional()?
            .and_then(|list| DeviceList::from_verified_bytes(&list).ok()))
    }

    /// Of these users, those whose list may have changed since it was last asked for.
    pub(crate) fn stale_lists(
        &self,
        users: &[&UserId],
        now: UnixMillis,
    ) -> Result<Vec<String>, ClientError> {
        self.lists_read_before(users, now.before(LIST_FRESH))
    }

    /// Of these users, those whose list was not asked for since.
    fn lists_read_before(
        &self,
        users: &[&UserId],
        since: UnixMillis,
    ) -> Result<Vec<String>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT 1 FROM device_lists WHERE user = ? AND read_millis >= ?")?;
        let since = millis(since);
        let mut stale = Vec::new();
        for user in users {
            if stale.len() < DEVICE_LISTS_PER_FETCH_MAX && !query.exists((user.as_str(), since))? {
                stale.push(user.to_string());
            }
        }
        Ok(stale)
    }

    /// Keeps the lists that the service gave, each where it is newer than what was seen of that
    /// user, and signed by the user's identity key.
    pub(crate) fn take_lists(
        &self,
        lists: &v1::FetchDeviceListsResponse,
        now: UnixMillis,
    ) -> Result<Vec<Event>, ClientError> {
        let mut met = Met::default();
        for given in &lists.users {
            let Ok(user) = given.user.parse::<UserId>() else {
                continue;
            };
            self.note_read(&user, now)?;
            if user == self.own_certificate().address().user {
                self.take_own_list(&given.device_list, now)?;
            } else if let Ok(list) = DeviceList::from_bytes(&given.device_list)
                && *list.user() == user
            {
                let key = list.identity_key();
                self.meet_key(&user, key, &mut met)?;
                if self.is_identity_key(&user, key)? {
                    self.keep_list(&list, now)?;
                }
            }
        }
        Ok(met.events)
    }

    /// Refuses devices that came in at a moment when the lists of their users that are known here were
    /// known already, and do not name them: they were revoked, or never theirs. Says whether others
    /// came before: they may have been revoked since, and are to go.
    pub(super) fn check_listed<'c>(
        &self,
        certificates: impl Iterator<Item = &'c DeviceCertificate>,
        accepted: UnixMillis,
    ) -> Result<bool, ClientError> {
        let mut are_to_go = false;
        for certificate in certificates {
            if self.is_listed(certificate)? {
                continue;
            }
            let address = certificate.address();
            // What this user's next list says, nobody else can know.
            let mut changes = self.device_changes()?.into_iter();
            let is_own_change = address.user == self.own_certificate().address().user
                && changes.any(|(device, _)| device == address.device);
            if !is_own_change && self.list_seen(&address.user)? <= accepted {
                return Err(ClientError::Unlisted(address.user.to_string()));
            }
            are_to_go = true;
        }
        Ok(are_to_go)
    }

    /// When the list of a user that is known here was first seen.
    fn list_seen(&self, user: &UserId) -> Result<UnixMillis, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT since_millis FROM device_lists WHERE user = ?")?;
        let seen = query.query_row([user.as_str()], |row| row.get::<_, i64>(0));
        Ok(UnixMillis(seen.optional()?.unwrap_or(0).unsigned_abs()))
    }

    /// Whether a user's newest list names a device; any will do where there is no list. A device
    /// under an identity key that does not count is no matter of that list.
    pub(super) fn is_listed(&self, certificate: &DeviceCertificate) -> Result<bool, ClientError> {
        let (address, key) = (certificate.address(), certificate.claims().signature_key);
        if address.user == self.own_certificate().address().user {
            let mut changes = self.device_changes()?.into_iter();
            if let Some((_, changed)) = changes.find(|(device, _)| *device == address.device) {
                return Ok(changed == Some(key));
            }
        }
        let Some(list) = self.device_list(&address.user)? else {
            return Ok(true);
        };
        let is_theirs = self.is_identity_key(&address.user, certificate.identity_key())?;
        Ok(!is_theirs || list.names(certificate))
    }

    /// This user's devices, this one among them, as they will be once the service has all changes.
    pub(crate) fn own_devices(&self) -> Result<BTreeMap<DeviceId, VerifyingKey>, ClientError> {
        let own = self.own_certificate();
        let mut devices = match self.device_list(&own.address().user)? {
            Some(list) => list.devices().map(|(id, key)| (id, *key)).collect(),
            None => BTreeMap::from([(own.address().device, own.claims().signature_key)]),
        };
        for (device, key) in self.device_changes()? {
            match key {
                Some(key) => devices.insert(device, key),
                None => devices.remove(&device),
            };
        }
        Ok(devices)
    }

    /// Notes that this user has another device from now on, or one less where it has no key. The
    /// next list says so.
    pub(crate) fn change_device(
        &self,
        device: DeviceId,
        key: Option<&VerifyingKey>,
    ) -> Result<(), ClientError> {
        change_device(self.sql, device, key)
    }

    /// The list that is to be published: the newest one that is known, with all changes. The same
    /// changes to the same list give the same bytes.
    pub(crate) fn list_to_publish(
        &self,
        identity: &SigningKey,
    ) -> Result<Option<DeviceList>, ClientError> {
        if !self.has_device_changes()? {
            return Ok(None);
        }
        let user = &self.own_certificate().address().user;
        let version = self.device_list(user)?.map_or(0, |list| list.version());
        let devices = self.own_devices()?;
        let list = DeviceList::issue(user.clone(), version + 1, devices, identity)?;
        Ok(Some(list))
    }

    /// Whether there is something that the next list of this user has to say.
    pub(crate) fn has_device_changes(&self) -> Result<bool, ClientError> {
        let mut query = self.sql.prepare_cached("SELECT 1 FROM device_changes")?;
        Ok(query.exists([])?)
    }

    /// Keeps a list of this user that the service has, and forgets the changes that it says. Says
    /// whether it is later than what was known.
    pub(crate) fn take_own_list(&self, list: &[u8], now: UnixMillis) -> Result<bool, ClientError> {
        let user = &self.own_certificate().address().user;
        let Ok(list) = DeviceList::from_bytes(list) else {
            return Ok(false);
        };
        if list.user() != user || !self.is_identity_key(user, list.identity_key())? {
            return Ok(false);
        }
        let known = self.device_list(user)?.map_or(0, |list| list.version());
        if list.version() <= known {
            return Ok(false);
        }
        self.note_read(user, now)?;
        self.keep_list(&list, now)?;
        let said: BTreeMap<_, _> = list.devices().collect();
        for (device, key) in self.device_changes()? {
            if said.get(&device).copied() == key.as_ref() {
                self.drop_change(device)?;
            }
        }
        for group in self.groups()? {
            if group.standing == Standing::Member {
                self.await_absent(group.id)?;
            }
        }
        Ok(true)
    }

    /// Gives up new devices, of which there is one too many. Revocations stay.
    pub(crate) fn drop_new_devices(&self) -> Result<(), ClientError> {
        self.sql.execute(
            "DELETE FROM device_changes WHERE signature_key IS NOT NULL",
            [],
        )?;
        Ok(())
    }

    fn drop_change(&self, device: DeviceId) -> Result<(), ClientError> {
        self.sql.execute(
            "DELETE FROM device_changes WHERE device = ?",
            [device.as_bytes()],
        )?;
        Ok(())
    }

    fn device_changes(&self) -> Result<Vec<(DeviceId, Option<VerifyingKey>)>, ClientError> {
        let mut query = self
            .sql
            .prepare_cached("SELECT device, signature_key FROM device_changes")?;
        let changes = query.query_map([], |row| {
            let key: Option<Vec<u8>> = row.get(1)?;
            // What is there was a key when it was written.
            let key = key.and_then(|key| VerifyingKey::try_from(&key[..]).ok());
            Ok((DeviceId::from_bytes(row.get(0)?), key))
        })?;
        Ok(changes.collect::<Result<_, _>>()?)
    }

    fn note_read(&self, user: &UserId, now: UnixMillis) -> Result<(), ClientError> {
        self.sql.execute(
            "INSERT INTO device_lists VALUES (?, 0, NULL, ?, 0)
             ON CONFLICT (user) DO UPDATE SET read_millis = excluded.read_millis",
            (user.as_str(), millis(now)),
        )?;
        Ok(())
    }

    /// Notes that a device is to come into all groups once it is registered.
    pub(crate) fn await_device(&self, device: DeviceId) -> Result<(), ClientError> {
        self.sql.execute(
            "INSERT OR IGNORE INTO awaited VALUES (?)",
            [device.as_bytes()],
        )?;
        Ok(())
    }

    /// Notes that those of this user's devices that are not in a group are to come in: whoever added the
    /// user may have found no KeyPackages of theirs.
    pub(super) fn await_absent(&self, group: GroupId) -> Result<(), ClientError> {
        let there = self.devices_in(group)?;
        for device in self.own_devices()?.into_keys() {
            if !there.contains_key(&device) {
                self.await_device(device)?;
            }
        }
        Ok(())
    }

    /// Notes that a device is awaited no longer; says whether it was.
    pub(crate) fn stop_awaiting(&self, device: DeviceId) -> Result<bool, ClientError> {
        let gone = self
            .sql
            .execute("DELETE FROM awaited WHERE device = ?", [device.as_bytes()])?;
        Ok(gone > 0)
    }

    /// Whether any device of this user is awaited.
    pub(crate) fn awaits_devices(&self) -> Result<bool, ClientError> {
        Ok(self
            .sql
            .prepare_cached("SELECT 1 FROM awaited")?
            .exists([])?)
    }

    /// Puts an intent into the outbox of every group that this device is a member of.
    pub(crate) fn enqueue_everywhere(&self, intent: &Intent) -> Result<(), ClientError> {
        for group in self.groups()? {
            let is_member = matches!(group.standing, Standing::Member | Standing::Creating);
            if is_member && !self.is_queued(group.id, intent)? {
                self.enqueue(group.id, intent)?;
            }
        }
        Ok(())
    }

    /// Queues the removal of those of these devices that their users' lists do not name; first gives
    /// the users whose newest lists have to be asked for. That they are gone was heard at `heard`: what
    /// was read before does not tell of it.
    pub(crate) fn remove_revoked(
        &self,
        group: GroupId,
        departed: &[DeviceId],
        heard: UnixMillis,
    ) -> Result<Vec<String>, ClientError> {
        let roster = self.engine.roster(self, group)?;
        let there = roster.iter().map(|member| &member.certificate);
        let there: Vec<&DeviceCertificate> = there
            .filter(|it| departed.contains(&it.address().device))
            .collect();
        let users: Vec<&UserId> = there.iter().map(|it| &it.address().user).collect();
        let stale = self.lists_read_before(&users, heard)?;
        if !stale.is_empty() {
            return Ok(stale);
        }
        let mut revoked = Vec::new();
        for certificate in there {
            if !self.is_listed(certificate)? {
                revoked.push(certificate.address().device);
            }
        }
        if revoked.is_empty() || !self.may_remove(group, self.own_user(), &revoked)? {
            return Ok(Vec::new());
        }
        let intent = Intent::RemoveDevices(revoked);
        if !self.is_queued(group, &intent)? {
            self.enqueue(group, &intent)?;
        }
        Ok(Vec::new())
    }

    fn keep_list(&self, list: &DeviceList, now: UnixMillis) -> Result<(), ClientError> {
        let version = i64::try_from(list.version()).unwrap_or(i64::MAX);
        self.sql.execute(
            "INSERT INTO device_lists VALUES (?, ?, ?, 0, ?)
             ON CONFLICT (user) DO UPDATE SET version = excluded.version, list = excluded.list,
             since_millis = excluded.since_millis WHERE excluded.version > version",
            (list.user().as_str(), version, list.to_bytes(), millis(now)),
        )?;
        Ok(())
    }
}

/// See [`Tx::change_device`]; also where there is no engine yet.
pub(super) fn change_device(
    sql: &Connection,
    device: DeviceId,
    key: Option<&VerifyingKey>,
) -> Result<(), ClientError> {
    sql.execute(
        "INSERT OR REPLACE INTO device_changes VALUES (?, ?)",
        (device.as_bytes(), key.map(VerifyingKey::as_bytes)),
    )?;
    Ok(())
}

fn millis(time: UnixMillis) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use conclave_protocol::{DeviceAddress, DeviceClaims};

    use super::*;
    use crate::local::Local;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn certificate(device: u8) -> DeviceCertificate {
        let address = DeviceAddress {
            user: "bob@here".parse().unwrap(),
            device: DeviceId::from_bytes([device; 16]),
        };
        let key = SigningKey::from_seed(&[device; 32]).verifying_key();
        let claims = DeviceClaims::starting(address, key, NOW);
        DeviceCertificate::issue(claims, &SigningKey::from_seed(&[99; 32]))
    }

    fn list(version: u64, devices: &[u8], identity: u8) -> v1::FetchDeviceListsResponse {
        let devices = devices.iter().map(|device| {
            let certificate = certificate(*device);
            let key = certificate.claims().signature_key;
            (certificate.address().device, key)
        });
        let identity = SigningKey::from_seed(&[identity; 32]);
        let user: UserId = "bob@here".parse().unwrap();
        let list = DeviceList::issue(user.clone(), version, devices, &identity).unwrap();
        v1::FetchDeviceListsResponse {
            users: vec![v1::UserDeviceList {
                user: user.to_string(),
                device_list: list.to_bytes().into(),
            }],
        }
    }

    #[test]
    fn the_highest_list_under_the_user_s_own_key_counts_and_a_revocation_stays() {
        let mut local = Local::of_alice(NOW);
        let [phone, tablet] = [certificate(1), certificate(2)];
        local.write(|tx| tx.meet([&phone].into_iter())).unwrap();
        let mut listed = |lists: Option<v1::FetchDeviceListsResponse>| {
            let both = local.write(|tx| {
                if let Some(lists) = lists {
                    tx.take_lists(&lists, NOW)?;
                }
                Ok((tx.is_listed(&phone)?, tx.is_listed(&tablet)?))
            });
            both.unwrap()
        };
        assert_eq!(listed(None), (true, true));
        assert_eq!(listed(Some(list(3, &[1, 2], 99))), (true, true));
        assert_eq!(listed(Some(list(4, &[1], 99))), (true, false));
        // Neither an older list nor one by somebody else brings the tablet back.
        assert_eq!(listed(Some(list(3, &[1, 2], 99))), (true, false));
        assert_eq!(listed(Some(list(5, &[1, 2], 98))), (true, false));
        // Whoever added it later could have known; whoever did before could not.
        let mut check = |at| local.write(|tx| tx.check_listed([&tablet].into_iter(), at));
        assert!(matches!(check(NOW), Err(ClientError::Unlisted(_))));
        assert!(matches!(check(UnixMillis(NOW.0 - 1)), Ok(true)));
    }
}
