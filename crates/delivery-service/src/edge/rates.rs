//! How often a device, a user and an address may ask.
//!
//! Everybody has an allowance that fills steadily up to a burst (`governor`'s GCRA: one number a
//! key). Allowances that are full again are forgotten on a timer, so memory follows those who asked
//! lately; when there are too many of them, addresses share the allowance of their neighbourhood.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU32,
};

use conclave_protocol::{DeviceId, UserId};
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DashMapStateStore,
};

use super::allowance::{Rate, RateLimits};
use crate::{
    auth::Caller,
    error::Refusal,
    limits::{RATE_KEYS_MAX, SLOWED_BURST, SLOWED_EVERY},
};

/// What a request costs its user besides being a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cost {
    /// A message for a group.
    Submission,
    /// The KeyPackages of so many users.
    Take(usize),
    /// The device lists of so many users.
    Lists(usize),
    /// A group.
    Group,
    /// A report of messages.
    Report,
}

/// The allowances, as they are now.
pub(crate) struct Rates {
    address_requests: Limiter<IpAddr>,
    address_registrations: Limiter<IpAddr>,
    device_requests: Limiter<DeviceId>,
    user_requests: Limiter<UserTag>,
    user_submissions: Limiter<UserTag>,
    user_takes: Limiter<UserTag>,
    user_lists: Limiter<UserTag>,
    user_groups: Limiter<UserTag>,
    user_reports: Limiter<UserTag>,
    slowed: Limiter<UserId>,
    limit_loopback: bool,
}

/// A user, as a token names it.
type UserTag = [u8; 16];

impl Rates {
    pub(crate) fn new(limits: &RateLimits) -> Self {
        Self {
            address_requests: Limiter::new(limits.address_requests),
            address_registrations: Limiter::new(limits.address_registrations),
            device_requests: Limiter::new(limits.device_requests),
            user_requests: Limiter::new(limits.user_requests),
            user_submissions: Limiter::new(limits.user_submissions),
            user_takes: Limiter::new(limits.user_takes),
            user_lists: Limiter::new(limits.user_lists),
            user_groups: Limiter::new(limits.user_groups),
            user_reports: Limiter::new(limits.user_reports),
            slowed: Limiter::new(Rate::new(SLOWED_EVERY, SLOWED_BURST)),
            limit_loopback: limits.limit_loopback,
        }
    }

    /// Counts a request from an address.
    pub(crate) fn request_from(&self, address: IpAddr) -> Result<(), Refusal> {
        self.count_address(&self.address_requests, address)
    }

    /// Counts a registration from an address.
    pub(crate) fn registration_from(&self, address: IpAddr) -> Result<(), Refusal> {
        self.count_address(&self.address_registrations, address)
    }

    /// Counts a request of a device.
    pub(crate) fn request_of(&self, caller: &Caller) -> Result<(), Refusal> {
        self.device_requests.take(&caller.device, 1)?;
        self.user_requests.take(&caller.user, 1)
    }

    /// Counts what a request costs its user.
    pub(crate) fn spend(&self, caller: &Caller, cost: Cost) -> Result<(), Refusal> {
        match cost {
            Cost::Submission => self.user_submissions.take(&caller.user, 1),
            Cost::Take(users) => self.user_takes.take(&caller.user, users),
            Cost::Lists(users) => self.user_lists.take(&caller.user, users),
            Cost::Group => self.user_groups.take(&caller.user, 1),
            Cost::Report => self.user_reports.take(&caller.user, 1),
        }
    }

    /// Counts a message of somebody whom moderators have slowed down.
    pub(crate) fn slowed_message_of(&self, user: &UserId) -> Result<(), Refusal> {
        self.slowed.take(user, 1)
    }

    /// Forgets who has all of its allowance again.
    pub(crate) fn tidy(&self) {
        self.address_requests.tidy();
        self.address_registrations.tidy();
        self.device_requests.tidy();
        self.user_requests.tidy();
        self.user_submissions.tidy();
        self.user_takes.tidy();
        self.user_lists.tidy();
        self.user_groups.tidy();
        self.user_reports.tidy();
        self.slowed.tidy();
    }

    fn count_address(&self, limiter: &Limiter<IpAddr>, address: IpAddr) -> Result<(), Refusal> {
        let address = address.to_canonical();
        if address.is_loopback() && !self.limit_loopback {
            return Ok(());
        }
        limiter.take(&neighbourhood(address, limiter.is_full()), 1)
    }
}

/// One allowance for each key.
struct Limiter<K: Hash + Eq + Clone> {
    inner: RateLimiter<K, DashMapStateStore<K>, DefaultClock>,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn new(rate: Rate) -> Self {
        // A period is only refused when it is zero.
        let quota = Quota::with_period(rate.every)
            .unwrap_or(Quota::per_second(NonZeroU32::MAX))
            .allow_burst(rate.burst);
        Self {
            inner: RateLimiter::dashmap(quota),
            clock: DefaultClock::default(),
        }
    }

    /// Takes units from a key's allowance, or says when there will be enough.
    fn take(&self, key: &K, units: usize) -> Result<(), Refusal> {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let Some(units) = NonZeroU32::new(units) else {
            return Ok(());
        };
        match self.inner.check_key_n(key, units) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(Refusal::TooOften(until.wait_time_from(self.clock.now()))),
            Err(_) => Err(Refusal::Invalid("the request asks for too much at once")),
        }
    }

    fn is_full(&self) -> bool {
        self.inner.len() >= RATE_KEYS_MAX
    }

    fn tidy(&self) {
        self.inner.retain_recent();
        self.inner.shrink_to_fit();
    }
}

/// What counts as one address: for IPv6 the /64 that one subscriber has. Where too many are known
/// already, a wider stretch.
pub(super) fn neighbourhood(address: IpAddr, wide: bool) -> IpAddr {
    match address {
        IpAddr::V4(address) if wide => {
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 16)))
        }
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let hidden = if wide { 96 } else { 64 };
            IpAddr::V6(Ipv6Addr::from_bits(
                address.to_bits() & (u128::MAX << hidden),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn caller(number: u8) -> Caller {
        Caller {
            device: DeviceId::from_bytes([number; 16]),
            user: [number; 16],
        }
    }

    fn slow() -> RateLimits {
        RateLimits {
            user_submissions: Rate::new(Duration::from_hours(1), 3),
            user_takes: Rate::new(Duration::from_hours(1), 10),
            address_registrations: Rate::new(Duration::from_hours(1), 2),
            ..RateLimits::unlimited()
        }
    }

    #[test]
    fn each_has_an_allowance_of_its_own_and_is_told_when_to_come_back() {
        let rates = Rates::new(&slow());
        for _ in 0..3 {
            rates.spend(&caller(1), Cost::Submission).unwrap();
        }
        let Err(Refusal::TooOften(wait)) = rates.spend(&caller(1), Cost::Submission) else {
            panic!("a fourth was let through");
        };
        assert!(wait > Duration::from_mins(59) && wait <= Duration::from_hours(1));
        rates.spend(&caller(2), Cost::Submission).unwrap();
        rates.spend(&caller(1), Cost::Take(6)).unwrap();
        assert!(rates.spend(&caller(1), Cost::Take(6)).is_err());
        rates.spend(&caller(1), Cost::Take(4)).unwrap();
        rates.spend(&caller(1), Cost::Lists(9)).unwrap();
        // More than there ever is can't be waited for.
        let never = rates.spend(&caller(2), Cost::Take(11));
        assert!(matches!(never, Err(Refusal::Invalid(_))));
    }

    #[test]
    fn a_subscriber_is_one_address_and_loopback_is_none() {
        let rates = Rates::new(&slow());
        let register = |address: &str| rates.registration_from(address.parse().unwrap());
        for address in ["2001:db8::1", "2001:db8::2"] {
            register(address).unwrap();
        }
        assert!(register("2001:db8::3").is_err());
        register("2001:db8:0:1::1").unwrap();
        for _ in 0..9 {
            register("::1").unwrap();
            register("::ffff:127.0.0.1").unwrap();
        }
    }

    #[test]
    fn who_has_all_again_is_forgotten() {
        let rates = Rates::new(&RateLimits {
            device_requests: Rate::new(Duration::from_nanos(1), 5),
            ..slow()
        });
        for number in 0..100 {
            rates.request_of(&caller(number)).unwrap();
            rates.spend(&caller(number), Cost::Submission).unwrap();
        }
        std::thread::sleep(Duration::from_millis(1));
        rates.tidy();
        assert_eq!(rates.device_requests.inner.len(), 0);
        assert_eq!(rates.user_submissions.inner.len(), 100, "still owed");
    }
}
