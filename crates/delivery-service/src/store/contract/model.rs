//! Random submissions: both stores say the same, and keep the promises of a log.

use std::collections::BTreeSet;

use conclave_protocol::Sequence;
use proptest::prelude::*;

use super::{
    super::{Effect, EpochChange, MemoryStore, NewEntry, Store},
    GROUP, TemporaryStore, UNCHANGED, adding, all, check_log, device, entry, found, register,
};
use crate::ordering::Verdict;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is sent, both stores give the same verdicts and end with the same log, and every
    /// accepted request stands in it once.
    #[test]
    fn stores_agree(
        steps in prop::collection::vec(
            (1u8..4, 0u8..6, any::<bool>(), 0u64..4, 0u8..4, prop::option::of(0u64..6)), 1..40,
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
