//! Device lists, and the end of devices and users.

use conclave_protocol::{
    DeviceId, DeviceList, UnixMillis, UserDeletion, UserId,
    limits::{DEVICE_LISTS_PER_FETCH_MAX, USER_DELETION_LIFETIME_MAX},
};

use super::{Accounts, parse_users};
use crate::{
    error::Refusal,
    hub::Topic,
    store::{Departure, Listed},
};

/// The newest device list of a user, encoded, where there is one.
pub(crate) type ListOfUser = (UserId, Option<Vec<u8>>);

impl Accounts {
    /// Keeps a user's device list, signed by the identity key, and deletes the devices that it does
    /// not name. The same again changes nothing.
    pub(crate) fn publish_list(&self, list: &[u8], now: UnixMillis) -> Result<(), Refusal> {
        let list = DeviceList::from_bytes(list)
            .map_err(|_| Refusal::Invalid("device_list: malformed, or not signed by its key"))?;
        match self.store.put_device_list(&list)? {
            Listed::Done(departure) => {
                self.part_from(&departure, now);
                Ok(())
            }
            Listed::UnknownUser => Err(Refusal::Unauthenticated(
                "device_list: not by the user's identity key",
            )),
            Listed::Stale(version) => {
                let list = self.store.device_list(list.user())?;
                Err(Refusal::StaleList {
                    version,
                    list: list.unwrap_or_default(),
                })
            }
        }
    }

    /// The newest device lists of users, for a device that is registered.
    pub(crate) fn device_lists(
        &self,
        caller: DeviceId,
        users: &[String],
    ) -> Result<Vec<ListOfUser>, Refusal> {
        self.require(caller)?;
        if users.len() > DEVICE_LISTS_PER_FETCH_MAX {
            return Err(Refusal::Invalid("users: too many"));
        }
        let lists = parse_users(users)?.into_iter().map(|user| {
            let list = self.store.device_list(&user)?;
            Ok((user, list))
        });
        lists.collect()
    }

    /// Deletes a device and what is kept for it. Deleting it again changes nothing.
    pub(crate) fn delete_device(&self, device: DeviceId, now: UnixMillis) -> Result<(), Refusal> {
        let departure = self.store.delete_device(device)?;
        self.part_from(&departure, now);
        Ok(())
    }

    /// Deletes a user with all devices, as the identity key asked.
    pub(crate) fn delete_user(
        &self,
        user: &str,
        expires: UnixMillis,
        signature: &[u8],
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let user: UserId = user
            .parse()
            .map_err(|_| Refusal::Invalid("user: not a name@domain"))?;
        if expires < now || expires > now.after(USER_DELETION_LIFETIME_MAX) {
            return Err(Refusal::Invalid("expires_millis: past, or too far ahead"));
        }
        let deletion = UserDeletion {
            server: self.auth.server_name().to_owned(),
            user,
            expires,
        };
        // Of a user who is not known, no more is said than of one whose key did not sign.
        let unsigned = Refusal::Unauthenticated("signature: not by the user's identity key");
        match self.store.identity_key(&deletion.user)? {
            Some(key) if deletion.verify(&key, signature).is_ok() => {}
            _ => return Err(unsigned),
        }
        let departure = self.store.delete_user(&deletion.user)?;
        self.part_from(&departure, now);
        Ok(())
    }

    /// Tokens of devices that are no more count no longer, their live streams end, and who reads
    /// their groups is told that leaves wait to be removed. Their ids may be of others from now on.
    fn part_from(&self, departure: &Departure, now: UnixMillis) {
        if !departure.devices.is_empty() {
            self.stamper.forget_senders();
        }
        for device in &departure.devices {
            self.auth.expel(*device, now);
            self.hub.end(*device);
        }
        for group in &departure.groups {
            self.hub.hint(Topic::Standing(*group));
        }
    }
}
