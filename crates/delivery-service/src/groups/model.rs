//! Random lives of a group, with real messages, against a model that knows no MLS: on every store
//! the service answers as the model says, and lets each device read what the model lets it.

mod world;

use std::{collections::BTreeSet, sync::Arc};

use proptest::prelude::*;

use crate::store::{MemoryStore, SqliteStore, Store};
use world::World;

/// Four devices; the last two are one user's.
const DEVICES: usize = 4;
const USERS: [&str; DEVICES] = ["a", "b", "c", "c"];

/// What somebody tries.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Send,
    Update,
    Add(usize),
    Remove(usize),
    Leave,
    ComeIn,
    Publish,
    /// Sends the last accepted request again, as it was or under another id.
    Repeat {
        anew: bool,
    },
    End,
}

fn deeds() -> impl Strategy<Value = Vec<(usize, Deed)>> {
    let whom = 0..DEVICES;
    let deed = prop_oneof![
        3 => Just(Deed::Send),
        3 => Just(Deed::Update),
        6 => whom.clone().prop_map(Deed::Add),
        3 => whom.clone().prop_map(Deed::Remove),
        2 => Just(Deed::Leave),
        3 => Just(Deed::ComeIn),
        1 => Just(Deed::Publish),
        2 => any::<bool>().prop_map(|anew| Deed::Repeat { anew }),
        1 => Just(Deed::End),
    ];
    prop::collection::vec((whom, deed), 1..40)
}

/// What the service has to do, told without MLS.
#[derive(Default)]
struct Model {
    exists: bool,
    length: u64,
    epoch: u64,
    ranges: [Vec<(u64, Option<u64>)>; DEVICES],
    leaving: BTreeSet<usize>,
    stock: [usize; DEVICES],
}

impl Model {
    fn is_member(&self, at: usize) -> bool {
        self.ranges[at].last().is_some_and(|(_, to)| to.is_none())
    }

    fn may_come_in(&self, at: usize) -> bool {
        (0..DEVICES).any(|other| self.is_member(other) && USERS[other] == USERS[at])
    }

    fn readable(&self, at: usize) -> Vec<u64> {
        let of_range = |(from, to): &(u64, Option<u64>)| *from..=to.unwrap_or(self.length);
        let all: BTreeSet<u64> = self.ranges[at].iter().flat_map(of_range).collect();
        all.into_iter().collect()
    }

    /// A Commit was accepted; whoever was leaving goes with it.
    fn commit(&mut self, added: &[usize], removed: &[usize]) {
        self.length += 1;
        self.epoch += 1;
        let leaving = std::mem::take(&mut self.leaving);
        for at in leaving.iter().chain(removed) {
            if let Some((_, to @ None)) = self.ranges[*at].last_mut() {
                *to = Some(self.length);
            }
        }
        for at in added {
            self.ranges[*at].push((self.length, None));
        }
    }

    fn end(&mut self) {
        let stock = self.stock;
        *self = Self {
            stock,
            ..Self::default()
        };
    }
}

/// How many lives: a few at every test, more where the environment says so.
fn lives() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.and_then(|cases| cases.parse().ok()).unwrap_or(8),
        ..ProptestConfig::default()
    }
}

fn live(store: Arc<dyn Store>, deeds: Vec<(usize, Deed)>) {
    let mut world = World::new(store);
    for at in 0..DEVICES {
        world.publish(at);
    }
    for (by, deed) in deeds {
        world.act(by, deed);
    }
}

/// The founder's range begins at the first entry, and so does that of whoever joins by it.
#[test]
fn a_founder_comes_back_with_the_first_entry() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(&folder.path().join("model.db")).unwrap();
    for store in [
        Arc::new(MemoryStore::default()) as Arc<dyn Store>,
        Arc::new(sqlite),
    ] {
        live(
            store,
            vec![(0, Deed::ComeIn), (0, Deed::Leave), (0, Deed::ComeIn)],
        );
    }
}

proptest! {
    #![proptest_config(lives())]

    #[test]
    fn a_group_in_memory_lives_as_the_model_says(deeds in deeds()) {
        live(Arc::new(MemoryStore::default()), deeds);
    }

    #[test]
    fn a_group_in_sqlite_lives_as_the_model_says(deeds in deeds()) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("model.db")).unwrap();
        live(Arc::new(store), deeds);
    }
}
