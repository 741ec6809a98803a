//! How much everybody is allowed, as an operator says it.

use std::{num::NonZeroU32, str::FromStr, time::Duration};

/// One allowance: a unit every so often, and so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The time in which one unit comes back.
    pub every: Duration,
    /// How many units there are at most.
    pub burst: NonZeroU32,
}

impl Rate {
    /// A unit comes back `every` so often, up to `burst` of them; zero counts as one.
    #[must_use]
    pub const fn new(every: Duration, burst: u32) -> Self {
        let burst = match NonZeroU32::new(burst) {
            Some(burst) => burst,
            None => NonZeroU32::MIN,
        };
        Self { every, burst }
    }
}

impl FromStr for Rate {
    type Err = &'static str;

    /// Reads a rate as an operator writes it: `20/s,600` is 20 a second, and 600 at once after a
    /// pause. Also `/min` and `/h`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const PROBLEM: &str = "a rate is written like 20/s,600: so many a s, min or h, and so many \
                               at once after a pause, each at least 1";
        let parse = || {
            let (steady, burst) = text.split_once(',')?;
            let (count, unit) = steady.split_once('/')?;
            let unit = match unit {
                "s" => Duration::from_secs(1),
                "min" => Duration::from_mins(1),
                "h" => Duration::from_hours(1),
                _ => return None,
            };
            let count: NonZeroU32 = count.parse().ok()?;
            let burst = burst.parse().ok()?;
            Some(Self {
                every: (unit / count.get()).max(Duration::from_nanos(1)),
                burst,
            })
        };
        parse().ok_or(PROBLEM)
    }
}

/// How often each may ask. Everything costs a request; some requests cost more.
#[derive(Debug, Clone)]
pub struct RateLimits {
    /// Requests from one address: many people can share one.
    pub address_requests: Rate,
    /// Registrations from one address.
    pub address_registrations: Rate,
    /// Requests of one device.
    pub device_requests: Rate,
    /// Requests of all of a user's devices.
    pub user_requests: Rate,
    /// Messages that a user submits to all groups together.
    pub user_submissions: Rate,
    /// Users whose KeyPackages a user takes.
    pub user_takes: Rate,
    /// Users whose device lists a user fetches.
    pub user_lists: Rate,
    /// Groups that a user creates.
    pub user_groups: Rate,
    /// Reports of messages that a user makes.
    pub user_reports: Rate,
    /// Whether loopback is limited as an address. It is not by default: who connects from there is
    /// the operator, or a proxy that speaks for many and knows their addresses itself.
    pub limit_loopback: bool,
}

impl Default for RateLimits {
    /// What an eager person or a busy bot does not reach.
    fn default() -> Self {
        let per_second = |rate: u32, burst| Rate::new(Duration::from_secs(1) / rate, burst);
        Self {
            address_requests: per_second(500, 5_000),
            address_registrations: Rate::new(Duration::from_secs(30), 20),
            device_requests: per_second(100, 1_000),
            user_requests: per_second(200, 2_000),
            user_submissions: per_second(20, 600),
            user_takes: per_second(20, 20_000),
            user_lists: per_second(200, 100_000),
            user_groups: Rate::new(Duration::from_secs(10), 100),
            user_reports: Rate::new(Duration::from_mins(5), 20),
            limit_loopback: false,
        }
    }
}

impl RateLimits {
    /// The limits by the names that an operator gives them.
    pub const NAMES: [&str; 9] = [
        "address-requests",
        "address-registrations",
        "device-requests",
        "user-requests",
        "user-messages",
        "user-takes",
        "user-lists",
        "user-groups",
        "user-reports",
    ];

    /// The limit with one of the [names](Self::NAMES); `None` for any other.
    pub fn named(&mut self, name: &str) -> Option<&mut Rate> {
        Some(match name {
            "address-requests" => &mut self.address_requests,
            "address-registrations" => &mut self.address_registrations,
            "device-requests" => &mut self.device_requests,
            "user-requests" => &mut self.user_requests,
            "user-messages" => &mut self.user_submissions,
            "user-takes" => &mut self.user_takes,
            "user-lists" => &mut self.user_lists,
            "user-groups" => &mut self.user_groups,
            "user-reports" => &mut self.user_reports,
            _ => return None,
        })
    }

    /// No limit that anything reaches: for measuring what lies behind.
    #[must_use]
    pub fn unlimited() -> Self {
        let rate = Rate::new(Duration::from_nanos(1), u32::MAX);
        Self {
            address_requests: rate,
            address_registrations: rate,
            device_requests: rate,
            user_requests: rate,
            user_submissions: rate,
            user_takes: rate,
            user_lists: rate,
            user_groups: rate,
            user_reports: rate,
            limit_loopback: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_it_is_written() {
        for (text, every, burst) in [
            ("20/s,600", Duration::from_millis(50), 600),
            ("2/min,1", Duration::from_secs(30), 1),
            ("1/h,7", Duration::from_hours(1), 7),
        ] {
            assert_eq!(text.parse(), Ok(Rate::new(every, burst)));
        }
        for text in [
            "", "20/s", "20,600", "0/s,6", "6/s,0", "-1/s,6", "1/d,6", "1/s,6,6", "x/s,y",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_name_is_a_limit_of_its_own() {
        let mut limits = RateLimits::unlimited();
        for (number, name) in (1..).zip(RateLimits::NAMES) {
            limits.named(name).unwrap().burst = NonZeroU32::new(number).unwrap();
        }
        for (number, name) in (1..).zip(RateLimits::NAMES) {
            assert_eq!(limits.named(name).unwrap().burst.get(), number);
        }
        assert!(limits.named("something else").is_none());
    }
}
