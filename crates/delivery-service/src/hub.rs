//! Hints that something is new. They carry no data: whoever is woken reads the store from its own
//! cursor, so a hint that is lost or doubled loses or doubles nothing.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use conclave_protocol::{DeviceId, GroupId, Sequence};
use tokio::sync::Notify;
use tonic::codegen::Bytes;

use crate::{limits::SIGNALS_WAITING_MAX, metrics::Readers, tails::Tails};

/// What there may be something new in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// A device's mailbox.
    Mailbox(DeviceId),
    /// A group's log.
    Group(GroupId),
    /// A group besides its log: who is in it, and that it exists. For those who follow the log.
    Standing(GroupId),
}

/// Where hints are given, and whom they wake.
#[derive(Default)]
pub(crate) struct Hub {
    bells: Mutex<HashMap<Topic, Vec<Arc<Bell>>>>,
    tails: Tails,
    counted: Readers,
}

/// What a subscriber has not looked at yet: at most all that it follows.
struct Bell {
    device: DeviceId,
    rung: Mutex<BTreeSet<Topic>>,
    /// Those that nobody has taken yet; of too many the oldest go.
    signals: Mutex<VecDeque<Signal>>,
    notify: Notify,
    /// The device is no more.
    ended: Notify,
}

impl Hub {
    /// A hub that counts what passes.
    pub(crate) fn counting(counted: Readers) -> Self {
        Self {
            counted,
            ..Self::default()
        }
    }

    /// Wakes everyone who follows the topic, in which anything may have changed.
    pub(crate) fn hint(&self, topic: Topic) {
        match topic {
            Topic::Mailbox(_) => self.ring(topic, topic),
            Topic::Group(group) | Topic::Standing(group) => {
                self.tails.forget(group);
                self.ring(Topic::Group(group), topic);
            }
        }
    }

    /// Wakes everyone who follows a group whose log was appended to, up to this entry.
    pub(crate) fn appended(&self, group: GroupId, head: Sequence) {
        self.counted.appended();
        self.tails.appended(group, head);
        let topic = Topic::Group(group);
        self.ring(topic, topic);
    }

    /// Ends the subscriptions of a device that is no more.
    pub(crate) fn end(&self, device: DeviceId) {
        let bells = self.bells();
        for bell in bells.get(&Topic::Mailbox(device)).into_iter().flatten() {
            bell.ended.notify_one();
        }
    }

    /// The last entries of the logs.
    pub(crate) fn tails(&self) -> &Tails {
        &self.tails
    }

    /// Passes a signal to the other devices that follow the group now. It is kept nowhere else.
    pub(crate) fn pass(&self, signal: &Signal) {
        let bells = self.bells();
        let following = bells.get(&Topic::Group(signal.group));
        for bell in following.into_iter().flatten() {
            if bell.device == signal.sender {
                continue;
            }
            let mut waiting = bell.signals();
            if waiting.len() >= SIGNALS_WAITING_MAX {
                waiting.pop_front();
            }
            waiting.push_back(signal.clone());
            bell.notify.notify_one();
        }
    }

    /// Tells those who follow one topic of news.
    fn ring(&self, followed: Topic, news: Topic) {
        let bells = self.bells();
        for bell in bells.get(&followed).into_iter().flatten() {
            bell.rung().insert(news);
            bell.notify.notify_one();
        }
    }

    /// A device's subscription, which follows nothing yet.
    pub(crate) fn subscribe(self: &Arc<Self>, device: DeviceId) -> Subscription {
        let bell = Bell {
            device,
            rung: Mutex::default(),
            signals: Mutex::default(),
            notify: Notify::new(),
            ended: Notify::new(),
        };
        self.counted.came();
        Subscription {
            hub: Arc::clone(self),
            bell: Arc::new(bell),
            topics: HashSet::new(),
        }
    }

    /// The devices that follow the topic now, who has longest first: at most so many.
    pub(crate) fn followers(&self, topic: Topic, most: usize) -> Vec<DeviceId> {
        let bells = self.bells();
        let following = bells.get(&topic).into_iter().flatten();
        following.take(most).map(|bell| bell.device).collect()
    }

    fn bells(&self) -> MutexGuard<'_, HashMap<Topic, Vec<Arc<Bell>>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something of the moment, from a member to those who are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) group: GroupId,
    pub(crate) sender: DeviceId,
    /// Opaque.
    pub(crate) bytes: Bytes,
}

impl Bell {
    fn signals(&self) -> MutexGuard<'_, VecDeque<Signal>> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rung(&self) -> MutexGuard<'_, BTreeSet<Topic>> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That a subscription's device may come to an end.
pub(crate) struct Ending(Arc<Bell>);

impl Ending {
    /// Completes when the device is no more. What follows its mailbox only then, misses it.
    pub(crate) async fn wait(&self) {
        self.0.ended.notified().await;
    }
}

/// What one live stream follows.
pub(crate) struct Subscription {
    hub: Arc<Hub>,
    bell: Arc<Bell>,
    topics: HashSet<Topic>,
}

impl Subscription {
    /// Follows one more topic: first follow, then read, and nothing is missed.
    pub(crate) fn follow(&mut self, topic: Topic) {
        if self.topics.insert(topic) {
            let mut bells = self.hub.bells();
            bells.entry(topic).or_default().push(Arc::clone(&self.bell));
        }
    }

    /// Follows a topic no more.
    pub(crate) fn unfollow(&mut self, topic: Topic) {
        if self.topics.remove(&topic) {
            self.silence(topic);
        }
    }

    /// For whoever has to know when the device is no more.
    pub(crate) fn ending(&self) -> Ending {
        Ending(Arc::clone(&self.bell))
    }

    /// The signals that have come.
    pub(crate) fn signals(&self) -> VecDeque<Signal> {
        std::mem::take(&mut *self.bell.signals())
    }

    /// Waits for hints and gives the topics they are for; none where only signals have come. Losing
    /// this future loses no hint.
    pub(crate) async fn rung(&self) -> BTreeSet<Topic> {
        loop {
            let rung = std::mem::take(&mut *self.bell.rung());
            if !rung.is_empty() || !self.bell.signals().is_empty() {
                return rung;
            }
            self.bell.notify.notified().await;
        }
    }

    fn silence(&self, topic: Topic) {
        let mut bells = self.hub.bells();
        if let Some(following) = bells.get_mut(&topic) {
            following.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
            if following.is_empty() {
                bells.remove(&topic);
            }
        }
        self.bell.rung().remove(&topic);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.counted.left();
        for topic in std::mem::take(&mut self.topics) {
            self.silence(topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(byte: u8) -> Topic {
        Topic::Group(GroupId::from_bytes([byte; 16]))
    }

    fn device(byte: u8) -> DeviceId {
        DeviceId::from_bytes([byte; 16])
    }

    #[tokio::test]
    async fn hints_gather_until_they_are_looked_at_and_reach_followers_only() {
        let hub = Arc::new(Hub::default());
        let mut one = hub.subscribe(device(1));
        let mut other = hub.subscribe(device(2));
        one.follow(topic(1));
        one.follow(topic(2));
        other.follow(topic(2));
        let following = |byte, most| hub.followers(topic(byte), most);
        assert_eq!(following(2, 9), [device(1), device(2)]);
        assert_eq!(following(2, 1), [device(1)]);
        assert_eq!(following(3, 9), []);
        for byte in [1, 1, 2, 3] {
            hub.hint(topic(byte));
        }
        assert_eq!(one.rung().await, BTreeSet::from([topic(1), topic(2)]));
        assert_eq!(other.rung().await, BTreeSet::from([topic(2)]));

        hub.hint(topic(1));
        hub.hint(topic(2));
        one.unfollow(topic(1));
        assert_eq!(one.rung().await, BTreeSet::from([topic(2)]));

        let waiting = tokio::spawn(async move { other.rung().await });
        tokio::task::yield_now().await;
        hub.hint(topic(2));
        assert_eq!(waiting.await.unwrap(), BTreeSet::from([topic(2)]));

        // News of a group besides its log reach those who follow the log.
        let standing = Topic::Standing(GroupId::from_bytes([2; 16]));
        hub.hint(standing);
        assert_eq!(one.rung().await, BTreeSet::from([topic(2), standing]));

        // Signals reach the others who follow now, and few of them wait.
        let signal = |number: usize| Signal {
            group: GroupId::from_bytes([2; 16]),
            sender: device(2),
            bytes: vec![u8::try_from(number).unwrap()].into(),
        };
        for number in 0..SIGNALS_WAITING_MAX + 2 {
            hub.pass(&signal(number));
        }
        assert!(one.rung().await.is_empty());
        let came = one.signals();
        assert_eq!((came.len(), &came[0]), (SIGNALS_WAITING_MAX, &signal(2)));
        hub.pass(&Signal {
            sender: device(1),
            ..signal(0)
        });
        assert!(one.signals().is_empty(), "not to the one who sent it");

        one.follow(Topic::Mailbox(device(1)));
        let ending = one.ending();
        hub.end(device(2));
        let early = tokio::time::timeout(std::time::Duration::ZERO, ending.wait());
        assert!(early.await.is_err(), "another device");
        hub.end(device(1));
        ending.wait().await;
        drop(one);
        assert!(hub.bells().is_empty(), "nobody follows anything any more");
    }
}
