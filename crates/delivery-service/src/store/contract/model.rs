//! Random submissions: both stores say the same, and keep the promises of a log.

use std::collections::BTreeSet;

use conclave_protocol::{Epoch, InstanceNonce, Sequence, UnixMillis};
use proptest::prelude::*;

use super::{
    super::{
        BlobBegun, BlobId, Effect, EntryKind, EpochChange, Expiry, MemoryStore, NewBlob, NewEntry,
        Shown, Snapshot, StockedKeyPackage, Store, Take,
    },
    GROUP, TemporaryStore, UNCHANGED, adding, all, certify, check_log, device,
    devices::list,
    entry, found, package, register, request,
};
use crate::ordering::Verdict;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is sent, both stores give the same verdicts and end with the same log, and every
    /// accepted request stands in it once.
    #[test]
    fn stores_agree(
        steps in prop::collection::vec(
            (1u8..4, 0u8..6, any::<bool>(), 0u64..4, 0u8..6, prop::option::of(0u64..6)), 1..40,
        ),
    ) {
        let (memory, sqlite) = (MemoryStore::default(), TemporaryStore::new());
        let stores: [&dyn Store; 2] = [&memory, &sqlite.store];
        for store in stores {
            found(store, 2);
            register(store, 3);
        }
        let mut accepted = BTreeSet::new();
        for (sender, number, other_body, epoch, kind, basis) in steps {
            let change = match kind {
                0 => EpochChange { removed: vec![device(2)], ..UNCHANGED },
                1 => EpochChange { removed: vec![device(3)], ..adding([device(3)].into_iter()) },
                _ => UNCHANGED,
            };
            let effect = match kind {
                0..2 => Effect::Commit { delta: b"delta", change: &change },
                2 => Effect::Proposal { delta: b"delta" },
                3 => Effect::Report,
                4 => Effect::Vote,
                _ => Effect::Application,
            };
            let mut entry = NewEntry { effect, ..entry(sender, number, epoch) };
            entry.submission.basis = basis.map(Sequence);
            entry.submission.body_hash = [u8::from(other_body); 32];
            let [one, other] = stores.map(|store| store.append(&entry).unwrap());
            prop_assert_eq!(one, other);
            if let Verdict::Accept(_) = one {
                prop_assert!(accepted.insert((sender, number)), "applied twice");
            }
        }
        let logs = stores.map(|store| store.read_log(GROUP, all()).unwrap());
        prop_assert_eq!(&logs[0], &logs[1]);
        prop_assert_eq!(logs[0].len(), accepted.len() + 1);
        for number in 1..4 {
            let access = stores.map(|store| store.access(GROUP, device(number)).unwrap());
            prop_assert_eq!(&access[0], &access[1]);
            let items = stores.map(|store| store.read_mailbox(device(number), 0, 99).unwrap());
            prop_assert_eq!(&items[0], &items[1]);
        }
        let epoch = stores[0].access(GROUP, device(1)).unwrap().unwrap().0.epoch;
        check_log(&sqlite.store, epoch);
    }
}

/// What can happen to a store, in small numbers so that things meet.
#[derive(Debug, Clone)]
enum Step {
    Message(u8),
    Report(u8),
    Vote(u8),
    Commit(u8, bool),
    Propose(u8),
    Publish(u8, u8),
    Take(u8, u8, u8),
    Acknowledge(u8, u64),
    Snapshot(u64),
    Begin(u8, u8),
    Part(usize),
    Finish(usize, u8),
    Expire(u64, u64),
    Register(u8),
    Delete(u8),
    DeleteUser(u8),
    /// User 1's list of this version, of device 1 and perhaps device 4.
    List(u64, bool),
    Check(u8, [u8; 2], u64),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 1u8..4;
    prop_oneof![
        who.clone().prop_map(Step::Message),
        who.clone().prop_map(Step::Report),
        who.clone().prop_map(Step::Vote),
        (who.clone(), any::<bool>()).prop_map(|(who, adds)| Step::Commit(who, adds)),
        who.clone().prop_map(Step::Propose),
        (who.clone(), 0u8..20).prop_map(|(who, number)| Step::Publish(who, number)),
        (who.clone(), 0u8..4, who.clone()).prop_map(|(who, n, of)| Step::Take(who, n, of)),
        (who.clone(), 0u64..4).prop_map(|(who, up_to)| Step::Acknowledge(who, up_to)),
        (0u64..9).prop_map(Step::Snapshot),
        (who.clone(), 0u8..3).prop_map(|(who, content)| Step::Begin(who, content)),
        (0usize..4).prop_map(Step::Part),
        (0usize..4, who).prop_map(|(upload, who)| Step::Finish(upload, who)),
        (0u64..60, 0u64..99).prop_map(|(age, bytes)| Step::Expire(age, bytes)),
        (1u8..5).prop_map(Step::Register),
        (1u8..5).prop_map(Step::Delete),
        (1u8..4).prop_map(Step::DeleteUser),
        (1u64..5, any::<bool>()).prop_map(|(version, both)| Step::List(version, both)),
        (1u8..4, 0u8..3, 0u8..3, 0u64..3).prop_map(|(who, now, next, sent)| Step::Check(
            who,
            [now, next],
            sent
        )),
    ]
}

/// A store, and the uploads that were begun on it.
struct Run<'a> {
    store: &'a dyn Store,
    uploads: Vec<(BlobId, u32)>,
}

impl Run<'_> {
    /// What a step gives, at a moment that is its number, in words that two stores can share.
    fn step(&mut self, at: u8, step: &Step) -> String {
        let store = self.store;
        let now = UnixMillis(u64::from(at));
        match *step {
            Step::Message(who) => self.append(at, who, Effect::Application),
            Step::Report(who) => self.append(at, who, Effect::Report),
            Step::Vote(who) => self.append(at, who, Effect::Vote),
            Step::Propose(who) => self.append(at, who, Effect::Proposal { delta: b"delta" }),
            Step::Commit(who, adds) => {
                let change = if adds {
                    EpochChange {
                        removed: vec![device(3)],
                        ..adding([device(3)].into_iter())
                    }
                } else {
                    UNCHANGED
                };
                let delta = b"delta";
                let change = &change;
                self.append(at, who, Effect::Commit { delta, change })
            }
            Step::Publish(who, number) => {
                let package = StockedKeyPackage {
                    expires_seconds: u64::from(number % 3),
                    ..package(number)
                };
                let last = (number % 5 == 0).then(|| package.clone());
                let published =
                    store.publish_key_packages(device(who), &[package], last.as_ref(), now);
                format!("{published:?}")
            }
            Step::Take(who, number, of) => format!("{:?}", {
                let user = format!("user{of}@here").parse().unwrap();
                store.take_key_packages(&Take {
                    taker: device(who),
                    request: request(number),
                    user: &user,
                    usable_until_seconds: 1,
                    now,
                })
            }),
            Step::Acknowledge(who, up_to) => {
                format!("{:?}", store.acknowledge_mailbox(device(who), up_to))
            }
            Step::Snapshot(applied) => {
                let snapshot = Snapshot {
                    applied: Sequence(applied),
                    bytes: vec![at],
                };
                format!("{:?}", store.put_snapshot(GROUP, &snapshot))
            }
            Step::Expire(age, log_bytes_max) => {
                let expiry = Expiry {
                    now,
                    log_before: now.before(std::time::Duration::from_millis(age)),
                    log_bytes_max,
                    requests_before: now.before(std::time::Duration::from_millis(age)),
                };
                format!("{:?}", crate::retention::pass(store, &expiry, || false))
            }
            Step::Begin(..) | Step::Part(_) | Step::Finish(..) => self.blob_step(now, step),
            _ => self.device_step(step),
        }
    }

    fn device_step(&self, step: &Step) -> String {
        let store = self.store;
        match *step {
            Step::Register(who) => format!("{:?}", {
                // Device 4 is user 1's too.
                let user = if who == 4 { 1 } else { who };
                store.register(&certify(&format!("user{user}@here"), who, user + 100))
            }),
            Step::Delete(who) => format!("{:?}", store.delete_device(device(who))),
            Step::DeleteUser(who) => {
                let user = format!("user{who}@here").parse().unwrap();
                format!("{:?}", store.delete_user(&user))
            }
            Step::List(version, both) => {
                let devices: &[u8] = if both { &[1, 4] } else { &[1] };
                format!("{:?}", store.put_device_list(&list(version, devices, 101)))
            }
            Step::Check(who, [nonce, next], sent) => {
                let [nonce, next] = [nonce, next].map(|it| InstanceNonce::from_bytes([it; 16]));
                let shown = Shown {
                    nonce,
                    next,
                    sent,
                    starts_over: false,
                };
                format!("{:?}", store.check_instance(device(who), &shown))
            }
            _ => String::new(),
        }
    }

    fn append(&self, at: u8, who: u8, effect: Effect<'_>) -> String {
        let head = self.store.access(GROUP, device(1)).unwrap().unwrap().0;
        let entry = NewEntry {
            effect,
            accepted: UnixMillis(u64::from(at)),
            ..entry(who, at, head.epoch.0)
        };
        format!("{:?}", self.store.append(&entry))
    }

    fn blob_step(&mut self, now: UnixMillis, step: &Step) -> String {
        match *step {
            Step::Begin(who, content) => {
                let begun = self.store.begin_blob(&NewBlob {
                    group: GROUP,
                    uploader: device(who),
                    content_hash: [content; 32],
                    total_bytes: 10,
                    quota_bytes: 35,
                    expires: now.after(std::time::Duration::from_millis(9)),
                });
                if let Ok(BlobBegun::Upload(id)) = begun {
                    self.uploads.push((id, 0));
                    return "begun".into();
                }
                format!("{begun:?}")
            }
            Step::Part(upload) => self.uploads.get_mut(upload).map_or_else(String::new, |it| {
                it.1 += 1;
                format!("{:?}", self.store.put_blob_part(it.0, it.1 - 1, b"part"))
            }),
            Step::Finish(upload, who) => self.uploads.get(upload).map_or_else(String::new, |it| {
                let expires = now.after(std::time::Duration::from_millis(12));
                format!("{:?}", self.store.finish_blob(it.0, device(who), expires))
            }),
            _ => String::new(),
        }
    }

    /// All that can be read.
    fn view(&self, now: u8) -> String {
        let store = self.store;
        let now = UnixMillis(u64::from(now));
        let blobs = (0..3).map(|content| {
            let blob = store.blob(GROUP, &[content; 32], now).unwrap();
            let first = blob.map(|blob| store.blob_part(blob.id, 0).unwrap());
            (blob.map(|blob| blob.places), first)
        });
        let people = (1..5).map(|who| {
            let mailbox = store.read_mailbox(device(who), 0, 99).unwrap();
            let user = format!("user{who}@here").parse().unwrap();
            let entrance = store.entrance(GROUP, device(who), now).unwrap();
            (
                mailbox,
                store.access(GROUP, device(who)).unwrap(),
                store.device(device(who)).unwrap(),
                store.device_list(&user).unwrap(),
                entrance.map(|it| it.may_join),
            )
        });
        let trees = (0..40).map(|epoch| store.tree_part(GROUP, Epoch(epoch), 1).unwrap());
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            store.senders(GROUP, EntryKind::Report).unwrap(),
            store.senders(GROUP, EntryKind::Vote).unwrap(),
            store.going(GROUP).unwrap(),
            store.read_log(GROUP, all()).unwrap(),
            store.read_deltas(GROUP, all()).unwrap(),
            store.snapshot(GROUP).unwrap(),
            blobs.collect::<Vec<_>>(),
            people.collect::<Vec<_>>(),
            trees.collect::<Vec<_>>(),
        )
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    /// Whatever happens, in whatever order, the file does what the plain reading in memory does.
    #[test]
    fn stores_agree_on_everything(steps in prop::collection::vec(step(), 1..60)) {
        let (memory, sqlite) = (MemoryStore::default(), TemporaryStore::new());
        let stores: [&dyn Store; 2] = [&memory, &sqlite.store];
        let mut runs = stores.map(|store| {
            found(store, 2);
            register(store, 3);
            Run { store, uploads: Vec::new() }
        });
        for (at, step) in (1..).zip(&steps) {
            let [one, other] = &mut runs;
            prop_assert_eq!(one.step(at, step), other.step(at, step), "{:?}", step);
            prop_assert_eq!(one.view(at), other.view(at), "after {:?}", step);
        }
    }
}
