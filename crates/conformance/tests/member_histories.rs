//! Random histories of groups in which clients of ours, OpenMLS and mls-rs add, remove and update
//! each other, join from outside and chat: in every epoch all have the same secrets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use conclave_conformance::{Change, Client, EngineName, ExternalJoin, Handshakes, Heard};
use proptest::prelude::*;

/// Members that a history may lead to.
const MEMBERS_MAX: usize = 9;

/// The name of a pre-shared key that everybody has.
const PSK: &[u8] = b"psk";

/// A list of extensions with RequiredCapabilities that require nothing (RFC 9420 §11.1).
const REQUIRED_NOTHING: &[u8] = &[6, 0, 3, 3, 0, 0, 0];

/// What happens next. Numbers choose among those who are members then.
#[derive(Debug, Clone, Copy)]
enum Step {
    Add {
        by: usize,
        kind: EngineName,
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
        kind: EngineName,
    },
    Psk {
        by: usize,
        committer: usize,
    },
    Extensions {
        by: usize,
        committer: usize,
        is_empty: bool,
    },
    Chat {
        by: usize,
    },
}

fn kind() -> impl Strategy<Value = EngineName> {
    proptest::sample::select(EngineName::ALL.to_vec())
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
        1 => (some.clone(), some.clone()).prop_map(|(by, committer)| Step::Psk { by, committer }),
        1 => (some.clone(), some.clone(), any::<bool>()).prop_map(|(by, committer, is_empty)| {
            Step::Extensions { by, committer, is_empty }
        }),
        1 => some.prop_map(|by| Step::Chat { by }),
    ]
}

struct World {
    suite: u16,
    born: usize,
    members: Vec<Box<dyn Client>>,
}

impl World {
    fn new(suite: u16, creator: EngineName) -> Self {
        let mut world = Self {
            suite,
            born: 0,
            members: Vec::new(),
        };
        let mut first = world.client(creator);
        first.create(b"history").unwrap();
        world.members.push(first);
        world
    }

    fn client(&mut self, kind: EngineName) -> Box<dyn Client> {
        self.born += 1;
        let name = format!("client {}", self.born);
        let mut client = kind.client(&name, self.suite).unwrap();
        client.store_psk(PSK, b"known to all").unwrap();
        if self.born.is_multiple_of(2) {
            client.set_handshakes(Handshakes::Private).unwrap();
        }
        client
    }

    fn run(&mut self, step: Step) {
        let count = self.members.len();
        match step {
            Step::Add { by, kind } if count < MEMBERS_MAX => self.add(by % count, kind),
            Step::Remove { by, whom } if by % count != whom % count => {
                let leaf = self.members[whom % count].leaf().unwrap();
                self.commit(by % count, &[Change::Remove(leaf)]);
                self.members.remove(whom % count);
            }
            Step::Update { by } => drop(self.commit(by % count, &[])),
            Step::ProposeUpdate { by, committer } if by % count != committer % count => {
                self.propose(by % count, &Change::Update);
                self.commit(committer % count, &[]);
            }
            Step::ProposeRemove {
                by,
                whom,
                committer,
            } if whom % count != committer % count && whom % count != by % count => {
                let leaf = self.members[whom % count].leaf().unwrap();
                self.propose(by % count, &Change::Remove(leaf));
                self.commit(committer % count, &[]);
                self.members.remove(whom % count);
            }
            Step::JoinExternally { by, kind } if count < MEMBERS_MAX => {
                let info = self.members[by % count].group_info(true).unwrap();
                let mut joiner = self.client(kind);
                let commit = joiner
                    .join_externally(&info, &ExternalJoin::default())
                    .unwrap();
                for member in &mut self.members {
                    member.receive(&commit).unwrap();
                }
                self.members.push(joiner);
            }
            Step::Psk { by, committer } => {
                self.settle(
                    by % count,
                    committer % count,
                    Change::ExternalPsk(PSK.to_vec()),
                );
            }
            Step::Extensions {
                by,
                committer,
                is_empty,
            } => {
                let list = if is_empty { &[0][..] } else { REQUIRED_NOTHING };
                self.settle(
                    by % count,
                    committer % count,
                    Change::Extensions(list.to_vec()),
                );
            }
            Step::Chat { by } => self.chat(by % count),
            _ => return,
        }
        self.agree();
    }

    fn add(&mut self, by: usize, kind: EngineName) {
        let mut joiner = self.client(kind);
        let package = joiner.key_package().unwrap();
        let welcome = self.commit(by, &[Change::Add(package)]);
        let welcome = welcome.expect("an Add gives a Welcome");
        joiner.join(&welcome, None).unwrap();
        self.members.push(joiner);
    }

    /// By reference if somebody else commits, by value otherwise.
    fn settle(&mut self, by: usize, committer: usize, change: Change) {
        if by == committer {
            self.commit(by, &[change]);
        } else {
            self.propose(by, &change);
            self.commit(committer, &[]);
        }
    }

    fn propose(&mut self, by: usize, change: &Change) {
        let proposal = self.members[by].propose(change).unwrap();
        self.tell(by, &proposal);
    }

    fn commit(&mut self, by: usize, changes: &[Change]) -> Option<Vec<u8>> {
        let made = self.members[by].commit(changes).unwrap();
        self.tell(by, &made.commit);
        self.members[by].merge().unwrap();
        made.welcome
    }

    fn chat(&mut self, by: usize) {
        for number in 0..3 {
            let said = format!("number {number}").into_bytes();
            let message = self.members[by].encrypt(&said, b"aloud").unwrap();
            for heard in self.tell(by, &message) {
                let heard = heard.expect("it is application data");
                assert_eq!(
                    (heard.data, &*heard.authenticated_data),
                    (said.clone(), &b"aloud"[..])
                );
            }
        }
    }

    /// Gives a message to everybody but its sender.
    fn tell(&mut self, by: usize, message: &[u8]) -> Vec<Option<Heard>> {
        let others = self
            .members
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| *index != by);
        others
            .map(|(_, member)| member.receive(message).unwrap())
            .collect()
    }

    fn agree(&self) {
        let mut all = self.members.iter().map(|member| secrets(&**member));
        let first = all.next().expect("a group has a member");
        assert!(
            all.all(|other| other == first),
            "the members are not in one epoch"
        );
    }
}

/// The epoch's authenticator, and an exported secret.
fn secrets(member: &dyn Client) -> (Vec<u8>, Vec<u8>) {
    (
        member.epoch_authenticator().unwrap(),
        member.export("history", b"context", 32).unwrap(),
    )
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
