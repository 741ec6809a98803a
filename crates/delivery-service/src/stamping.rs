//! The service's keys for franks: who sent what commitment to which group, when (`docs/franking.md`).
//!
//! The operator's key follows from the server's secret, and the stamping key of each week from the operator's. So
//! keys rotate without being stored, and an old stamp can be recognised for as long as the server lives.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use conclave_protocol::{
    DeviceId, SigningKey, StampingKey, StampingKeyCertificate, UnixMillis, UserId, VerifyingKey,
};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::limits::{SENDERS_CACHED_MAX, STAMPING_KEYS_SHOWN};

/// How long a key stamps.
const PERIOD: Duration = Duration::from_hours(7 * 24);

/// How far a key's certificate reaches beyond its time: what is signed together may fall on both sides of it.
const MARGIN: Duration = Duration::from_hours(1);

/// Stamps in the name of one server.
pub(crate) struct Stamper {
    server: String,
    operator: SigningKey,
    /// The key of the last period that was asked for.
    current: Mutex<(u64, Arc<StampingKey>)>,
    senders: Mutex<Senders>,
}

/// Whose devices send.
#[derive(Default)]
struct Senders {
    users: HashMap<DeviceId, UserId>,
    /// How often all were forgotten.
    times_forgotten: u64,
}

impl Stamper {
    /// The stamper of the server with this name and secret.
    pub(crate) fn new(server_name: &str, secret: &[u8; 32]) -> Self {
        let operator = SigningKey::from_seed(&derive(secret, "Operator", 0));
        Self {
            current: Mutex::new((0, Arc::new(key_of(&operator, 0)))),
            server: server_name.to_owned(),
            operator,
            senders: Mutex::default(),
        }
    }

    /// The long-lived key that groups pin and that certifies stamping keys.
    pub(crate) fn operator_key(&self) -> VerifyingKey {
        self.operator.verifying_key()
    }

    /// The key that stamps at that moment.
    pub(crate) fn key_at(&self, now: UnixMillis) -> Arc<StampingKey> {
        let period = period(now);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 != period {
            *current = (period, Arc::new(key_of(&self.operator, period)));
        }
        Arc::clone(&current.1)
    }

    /// The operator's word for the keys that stamped what the log may still hold, and for the next.
    pub(crate) fn certificates(&self, now: UnixMillis) -> Vec<StampingKeyCertificate> {
        let last = period(now) + 1;
        let periods = last.saturating_sub(STAMPING_KEYS_SHOWN)..=last;
        periods.map(|period| self.certificate(period)).collect()
    }

    /// The operator's word for the keys that may have stamped something that was accepted at that moment, however long
    /// ago: what is signed together may fall on both sides of a change.
    pub(crate) fn certificates_around(&self, accepted: UnixMillis) -> [StampingKeyCertificate; 3] {
        let period = period(accepted);
        let periods = [period.saturating_sub(1), period, period.saturating_add(1)];
        periods.map(|period| self.certificate(period))
    }

    /// Signs what the operator states besides stamps.
    pub(crate) fn operator(&self) -> &SigningKey {
        &self.operator
    }

    fn certificate(&self, period: u64) -> StampingKeyCertificate {
        let length = millis(PERIOD);
        let begins = period.saturating_mul(length);
        let time = (
            UnixMillis(begins.saturating_sub(millis(MARGIN))),
            UnixMillis(begins.saturating_add(length).saturating_add(millis(MARGIN))),
        );
        let key = key_of(&self.operator, period).verifying_key();
        StampingKeyCertificate::issue(&self.server, key, time, &self.operator)
    }

    /// The user of a device, which `find` finds where it is not known. It stays the same while there is the
    /// device.
    pub(crate) fn user_of<E>(
        &self,
        device: DeviceId,
        find: impl FnOnce() -> Result<UserId, E>,
    ) -> Result<UserId, E> {
        let look = |senders: &Senders| {
            let known = senders.users.get(&device).cloned();
            known.ok_or(senders.times_forgotten)
        };
        let times_forgotten = match look(&self.senders()) {
            Ok(user) => return Ok(user),
            Err(times_forgotten) => times_forgotten,
        };
        let user: UserId = find()?;
        let mut senders = self.senders();
        // What was found before a device went may be of that one.
        if senders.times_forgotten == times_forgotten {
            // Those who send are soon known again.
            if senders.users.len() >= SENDERS_CACHED_MAX {
                senders.users.clear();
            }
            senders.users.insert(device, user.clone());
        }
        Ok(user)
    }

    /// A device is no more: somebody else may register one under its id.
    pub(crate) fn forget_senders(&self) {
        let mut senders = self.senders();
        senders.users.clear();
        senders.times_forgotten += 1;
    }

    fn senders(&self) -> MutexGuard<'_, Senders> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Stamper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stamper({:?})", self.operator_key())
    }
}

fn period(at: UnixMillis) -> u64 {
    at.0 / millis(PERIOD)
}

fn millis(duration: Duration) -> u64 {
    duration.as_secs() * 1_000
}

fn key_of(operator: &SigningKey, period: u64) -> StampingKey {
    StampingKey::from_seed(&derive(&operator.seed(), "StampingSeed", period))
}

fn derive(secret: &[u8; 32], label: &str, number: u64) -> [u8; 32] {
    // HMAC takes a key of any length.
    Hmac::<Sha256>::new_from_slice(secret)
        .map(|mac| {
            let mac = mac.chain_update("Conclave 1.0 ").chain_update(label);
            let mac = mac.chain_update(number.to_be_bytes());
            mac.finalize().into_bytes().into()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_week_has_a_key_that_the_operator_certifies() {
        let stamper = Stamper::new("here", &[7; 32]);
        let week = millis(PERIOD);
        let now = UnixMillis(100 * week + 5);
        let shown = stamper.certificates(now);
        for back in 0..STAMPING_KEYS_SHOWN {
            let at = UnixMillis(now.0 - back * week);
            let id = stamper.key_at(at).id();
            let certified = shown
                .iter()
                .find(|certificate| certificate.id() == id)
                .unwrap();
            assert!(certified.covers(at) && !certified.covers(UnixMillis(at.0 + 2 * week)));
            assert_eq!(certified.verify(&stamper.operator_key()), Ok(()));
        }
        for weeks in [1, 5, 60, 99] {
            let long_ago = UnixMillis(now.0 - weeks * week);
            let id = stamper.key_at(long_ago).id();
            let certified = stamper.certificates_around(long_ago);
            let is_its = |it: &StampingKeyCertificate| it.id() == id && it.covers(long_ago);
            assert!(certified.iter().any(is_its), "reportable for ever");
        }
        let again = Stamper::new("here", &[7; 32]);
        assert_eq!(again.key_at(now).id(), stamper.key_at(now).id());
        let other = Stamper::new("here", &[8; 32]);
        assert_ne!(other.key_at(now).id(), stamper.key_at(now).id());
        let verdict = shown
            .first()
            .map(|it| it.verify(&other.operator_key()).is_ok());
        assert_eq!(verdict, Some(false));
    }

    #[test]
    fn a_device_that_is_gone_is_not_taken_for_the_next_of_its_id() {
        let stamper = Stamper::new("here", &[7; 32]);
        let device = DeviceId::from_bytes([1; 16]);
        let user = |name: &str| Ok::<UserId, ()>(format!("{name}@here").parse().unwrap());
        let known = stamper.user_of(device, || user("alice"));
        assert_eq!(known, stamper.user_of(device, || Err(())));
        stamper.forget_senders();
        let late = stamper.user_of(device, || {
            stamper.forget_senders();
            user("alice")
        });
        assert_eq!(late, user("alice"));
        assert_eq!(stamper.user_of(device, || user("bob")), user("bob"));
    }
}
