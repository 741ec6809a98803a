//! Telling a device's state from its copies, and from older ones that were restored.
//!
//! A state holds a nonce that it draws anew at each check, and counts what it encrypts. The service
//! keeps the last of both. A device makes the next nonce durable before it asks, and asks with the
//! old one beside it, so whether the answer came or not, what the service holds is one of the two.

use conclave_protocol::InstanceNonce;

/// What was seen of a device's state last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instance {
    /// The nonce that it holds since.
    pub(crate) nonce: InstanceNonce,
    /// How many messages it had encrypted.
    pub(crate) sent: u64,
}

/// What a state shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The nonce that it holds.
    pub(crate) nonce: InstanceNonce,
    /// The one that it may hold already, if an answer was lost.
    pub(crate) next: InstanceNonce,
    /// How many messages it has encrypted.
    pub(crate) sent: u64,
    /// Whether it has given up all keys that a copy could use, and begins anew.
    pub(crate) starts_over: bool,
}

impl Shown {
    /// What is seen of the device from now on; `None` where a later state was seen before.
    pub(crate) fn after(&self, seen: Option<Instance>) -> Option<Instance> {
        let is_latest = seen.is_none_or(|seen| {
            [self.nonce, self.next].contains(&seen.nonce) && self.sent >= seen.sent
        });
        (is_latest || self.starts_over).then_some(Instance {
            nonce: self.next,
            sent: self.sent,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A device's folder, as the rules ask it to behave.
    #[derive(Clone)]
    struct Folder {
        nonce: u64,
        next: Option<u64>,
        sent: u64,
    }

    fn nonce(number: u64) -> InstanceNonce {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        InstanceNonce::from_bytes(bytes)
    }

    impl Folder {
        /// One check; whether it was answered SAME. An answer that is lost leaves no trace here.
        fn check(&mut self, seen: &mut Option<Instance>, fresh: u64, is_lost: bool) -> bool {
            let next = *self.next.get_or_insert(fresh);
            let shown = Shown {
                nonce: nonce(self.nonce),
                next: nonce(next),
                sent: self.sent,
                starts_over: false,
            };
            let Some(now) = shown.after(*seen) else {
                return false;
            };
            *seen = Some(now);
            if !is_lost {
                (self.nonce, self.next) = (next, None);
            }
            !is_lost
        }

        /// A start: it may encrypt once a nonce that was drawn since is the one that counts.
        fn start(&mut self, seen: &mut Option<Instance>, fresh: &mut u64) -> bool {
            let was_waiting = self.next.is_some();
            *fresh += 2;
            self.check(seen, *fresh, false) && (!was_waiting || self.check(seen, *fresh + 1, false))
        }
    }

    proptest! {
        /// Whatever is lost on the way, a state that was never copied is the latest.
        #[test]
        fn a_crash_makes_no_copy(steps in prop::collection::vec((any::<bool>(), 0u64..3), 1..30)) {
            let (mut seen, mut fresh) = (None, 1);
            let mut folder = Folder { nonce: 0, next: None, sent: 0 };
            for (is_lost, sends) in steps {
                fresh += 2;
                folder.check(&mut seen, fresh, is_lost);
                prop_assert!(folder.start(&mut seen, &mut fresh));
                folder.sent += sends;
            }
        }

        /// Of a folder and its copy, taken at any moment, one at most encrypts after both started.
        #[test]
        fn of_two_copies_one_goes_on(
            history in prop::collection::vec(any::<bool>(), 0..6),
            starts in prop::collection::vec(any::<bool>(), 2..9),
        ) {
            let (mut seen, mut fresh) = (None, 1);
            let mut folder = Folder { nonce: 0, next: None, sent: 0 };
            for is_lost in history {
                fresh += 2;
                folder.check(&mut seen, fresh, is_lost);
            }
            let mut copies = [folder.clone(), folder];
            let mut went_on = None;
            for which in starts.into_iter().map(usize::from) {
                if copies[which].start(&mut seen, &mut fresh) {
                    prop_assert!(went_on.is_none_or(|first| first == which));
                    went_on = Some(which);
                }
            }
        }

        /// A backup that is older than what was sent is found, whatever its nonce.
        #[test]
        fn a_counter_never_falls(sent in 1u64..99, less in 1u64..99) {
            let shown = |sent| Shown {
                nonce: nonce(1), next: nonce(1), sent, starts_over: false,
            };
            let seen = shown(sent).after(None);
            prop_assert!(shown(sent).after(seen).is_some());
            prop_assert!(shown(sent.saturating_sub(less)).after(seen).is_none());
        }
    }
}
