//! Random histories of groups in which clients of ours, OpenMLS and mls-rs add, remove and update
//! each other, join from outside and chat: in every epoch all have the same secrets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod member;

use member::Client;
use proptest::prelude::*;

/// Members that a history may lead to.
const MEMBERS_MAX: usize = 9;

/// Which implementation a new client is of.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Ours,
    OpenMls,
    MlsRs,
}

/// What happens next. Numbers choose among those who are members then.
#[derive(Debug, Clone, Copy)]
enum Step {
    Add {
        by: usize,
        kind: Kind,
    },
    Remove {
        by: usize,
        whom: usize,
    },
    Update {
        by: usize,
    },
    ProposeUpdate {
        by: usize,
        committer: usize,
    },
    ProposeRemove {
        by: usize,
        whom: usize,
        committer: usize,
    },
    JoinExternally {
        by: usize,
        kind: Kind,
    },
    Chat {
        by: usize,
    },
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Ours), Just(Kind::OpenMls), Just(Kind::MlsRs)]
}

fn step() -> impl Strategy<Value = Step> {
    let some = 0..MEMBERS_MAX;
    prop_oneof![
        3 => (some.clone(), kind()).prop_map(|(by, kind)| Step::Add { by, kind }),
        1 => (some.clone(), some.clone()).prop_map(|(by, whom)| Step::Remove { by, whom }),
        1 => some.clone().prop_map(|by| Step::Update { by }),
        1 => (some.clone(), some.clone())
            .prop_map(|(by, committer)| Step::ProposeUpdate { by, committer }),
        1 => (some.clone(), some.clone(), some.clone())
            .prop_map(|(by, whom, committer)| Step::ProposeRemove { by, whom, committer }),
        1 => (some.clone(), kind()).prop_map(|(by, kind)| Step::JoinExternally { by, kind }),
        1 => some.prop_map(|by| Step::Chat { by }),
    ]
}

struct World {
    suite: u16,
    born: usize,
    members: Vec<Box<dyn Client>>,
}

impl World {
    fn new(suite: u16, creator: Kind) -> Self {
        let mut world = Self {
            suite,
            born: 0,
            members: Vec::new(),
        };
        let mut first = world.client(creator);
        first.create();
        world.members.push(first);
        world
    }

    fn client(&mut self, kind: Kind) -> Box<dyn Client> {
        self.born += 1;
        let name = format!("client {}", self.born);
        match kind {
            Kind::Ours => member::ours::Ours::boxed(name, self.suite),
            Kind::OpenMls => member::openmls::OpenMls::boxed(name, self.suite),
            Kind::MlsRs => member::mls_rs::boxed(name, self.suite),
        }
    }

    fn run(&mut self, step: Step) {
        let count = self.members.len();
        match step {
            Step::Add { by, kind } if count < MEMBERS_MAX => self.add(by % count, kind),
            Step::Remove { by, whom } if by % count != whom % count => {
                let leaf = self.members[whom % count].leaf();
                self.commit(by % count, None, Some(leaf));
                self.members.remove(whom % count);
            }
            Step::Update { by } => drop(self.commit(by % count, None, None)),
            Step::ProposeUpdate { by, committer } if by % count != committer % count => {
                let proposal = self.members[by % count].propose_update();
                self.tell(by % count, &proposal);
                self.commit(committer % count, None, None);
            }
            Step::ProposeRemove {
                by,
                whom,
                committer,
            } if whom % count != committer % count && whom % count != by % count => {
                let leaf = self.members[whom % count].leaf();
                let proposal = self.members[by % count].propose_remove(leaf);
                self.tell(by % count, &proposal);
                self.commit(committer % count, None, None);
                self.members.remove(whom % count);
            }
            Step::JoinExternally { by, kind } if count < MEMBERS_MAX => {
                let info = self.members[by % count].group_info();
                let mut joiner = self.client(kind);
                let commit = joiner.join_externally(&info);
                self.members
                    .iter_mut()
                    .for_each(|member| drop(member.receive(&commit)));
                self.members.push(joiner);
            }
            Step::Chat { by } => self.chat(by % count),
            _ => return,
        }
        self.agree();
    }

    fn add(&mut self, by: usize, kind: Kind) {
        let mut joiner = self.client(kind);
        let package = joiner.key_package();
        let welcome = self.commit(by, Some(&package), None);
        joiner.join(&welcome.expect("an Add gives a Welcome"));
        self.members.push(joiner);
    }

    fn commit(&mut self, by: usize, add: Option<&[u8]>, remove: Option<u32>) -> Option<Vec<u8>> {
        let (commit, welcome) = self.members[by].commit(add, remove);
        self.tell(by, &commit);
        self.members[by].merge();
        welcome
    }

    fn chat(&mut self, by: usize) {
        for number in 0..3 {
            let said = format!("number {number}").into_bytes();
            let message = self.members[by].encrypt(&said);
            for heard in self.tell(by, &message) {
                assert_eq!(heard.as_ref(), Some(&said));
            }
        }
    }

    /// Gives a message to everybody but its sender.
    fn tell(&mut self, by: usize, message: &[u8]) -> Vec<Option<Vec<u8>>> {
        let others = self
            .members
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| *index != by);
        others.map(|(_, member)| member.receive(message)).collect()
    }

    fn agree(&self) {
        let mut all = self.members.iter().map(|member| member.secrets());
        let first = all.next().expect("a group has a member");
        assert!(
            all.all(|other| other == first),
            "the members are not in one epoch"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn members_of_three_implementations_agree_in_every_epoch(
        suite in prop_oneof![Just(1_u16), Just(2), Just(3), Just(5), Just(7)],
        creator in kind(),
        steps in proptest::collection::vec(step(), 1..24),
    ) {
        let mut world = World::new(suite, creator);
        for step in steps {
            world.run(step);
        }
    }
}
