//! A device dies at every step of every operation, comes back from what was durable, and the group is
//! as if nothing had been.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/table.rs"]
mod table;

use std::{slice, sync::atomic::Ordering};

use conclave_client::{
    ClientError, GroupId, UserId,
    session::{Call, Rejection, Session, State},
};
use table::{Answer, Death, Meddler, Table};

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const DAVE: usize = 3;

/// Something that happens in a group of Alice, Bob and Carol, to whom Dave may come.
struct Operation {
    /// What has happened before, while nobody died.
    before: fn(&mut Table),
    /// Who dies in it.
    victim: usize,
    /// What is asked for, by whom; again if the asking itself was cut off.
    start: fn(&mut Table, GroupId) -> Result<(), ClientError>,
    /// What comes over the table.
    meddle: Meddler,
    /// Who is in the group at the end.
    members: &'static [usize],
    /// Whether it goes on as another then.
    goes_on: bool,
}

/// Alice dies, and the three are there at the end.
const PLAIN: Operation = Operation {
    before: |_| {},
    victim: ALICE,
    start: |_, _| Ok(()),
    meddle: untouched,
    members: &[ALICE, BOB, CAROL],
    goes_on: false,
};

/// Where the victim dies.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// In a commit of its database, after so many.
    Commit(usize),
    /// In a conversation, after so many calls.
    Call(Death, usize),
}

fn untouched(_: &Table, _: usize, _: &Call, answer: Answer) -> Answer {
    answer
}

fn user(table: &mut Table, seat: usize) -> UserId {
    table.session(seat).user().clone()
}

impl Operation {
    /// Dies at the first step, at the second, and so on until there is no such step.
    fn survives_all_faults(&self) {
        let kinds: [fn(usize) -> Fault; 3] = [
            Fault::Commit,
            |at| Fault::Call(Death::BeforeAsking, at),
            |at| Fault::Call(Death::BeforeHearing, at),
        ];
        for kind in kinds {
            let steps = (0..).take_while(|step| self.survives(kind(*step))).count();
            assert!(steps > 0);
        }
    }

    /// Says whether there was such a step.
    fn survives(&self, fault: Fault) -> bool {
        let (mut table, group) = Table::with(&["alice", "bob", "carol"]);
        table.sit_down("dave");
        table.settle();
        (self.before)(&mut table);
        let seat = &mut table.seats[self.victim];
        match fault {
            Fault::Commit(step) => seat.fuse.store(step as i64, Ordering::Relaxed),
            Fault::Call(death, step) => seat.death = Some((death, step)),
        }
        let before = seat.fuse.load(Ordering::Relaxed);
        while let Err(error) = (self.start)(&mut table, group) {
            assert!(matches!(error, ClientError::Database(_)), "{error}");
            table.crash(self.victim);
        }
        self.settle(&mut table);
        let seat = &mut table.seats[self.victim];
        let left = seat.fuse.load(Ordering::Relaxed);
        let has_died = match fault {
            Fault::Commit(_) => left > before,
            Fault::Call(..) => seat.death.is_none(),
        };
        // What is checked does not die.
        seat.fuse.store(i64::MAX, Ordering::Relaxed);
        seat.death = None;
        self.check(&mut table, group, fault);
        has_died
    }

    fn settle(&self, table: &mut Table) {
        let meddle = self.meddle;
        table.settle_watched(meddle);
    }

    fn check(&self, table: &mut Table, group: GroupId, fault: Fault) {
        let group = if self.goes_on {
            let known = table.session(self.victim).group(group).unwrap().unwrap();
            let successor = known.successor;
            successor.unwrap_or_else(|| panic!("{fault:?}: it does not go on"))
        } else {
            group
        };
        for seat in self.members {
            let state = table.session(*seat).state(group).unwrap();
            assert_eq!(state, Some(State::Operational), "{fault:?}, {seat}");
            let mut texts = table.texts(*seat, group);
            let count = texts.len();
            texts.sort_unstable();
            texts.dedup();
            assert_eq!(texts.len(), count, "{fault:?}, {seat}: a text twice");
        }
        table.assert_agreement(group, self.members);
        table.assert_all_heard(group, self.members);
        let all = table.texts(ALICE, group);
        let is_late = |text: &String| text == "late";
        assert!(!self.goes_on || all.iter().any(is_late), "{fault:?}");
        for seat in self.members {
            assert!(
                all.ends_with(&table.texts(*seat, group)),
                "{fault:?}, {seat}"
            );
        }
    }
}

#[test]
fn adding() {
    let operation = Operation {
        victim: ALICE,
        start: |table, group| {
            let dave = user(table, DAVE);
            table.session(ALICE).add(group, &[dave]).map(drop)
        },
        members: &[ALICE, BOB, CAROL, DAVE],
        ..PLAIN
    };
    operation.survives_all_faults();
}

#[test]
fn joining() {
    let operation = Operation {
        victim: DAVE,
        start: |table, group| {
            let dave = user(table, DAVE);
            table.session(ALICE).add(group, &[dave])?;
            table.session(ALICE).send(group, "welcome").map(drop)
        },
        members: &[ALICE, BOB, CAROL, DAVE],
        ..PLAIN
    };
    operation.survives_all_faults();
}

#[test]
fn removing() {
    let operation = Operation {
        victim: ALICE,
        start: |table, group| {
            let bob = user(table, BOB);
            table
                .session(ALICE)
                .remove(group, slice::from_ref(&bob))
                .map(drop)
        },
        members: &[ALICE, CAROL],
        ..PLAIN
    };
    operation.survives_all_faults();
}

#[test]
fn sending() {
    let operation = Operation {
        victim: BOB,
        start: |table, group| table.session(BOB).send(group, "one").map(drop),
        members: &[ALICE, BOB, CAROL],
        ..PLAIN
    };
    operation.survives_all_faults();
}

#[test]
fn receiving() {
    let operation = Operation {
        victim: BOB,
        start: |table, group| {
            table.session(ALICE).send(group, "one")?;
            table.session(ALICE).update(group)?;
            table.session(CAROL).send(group, "two").map(drop)
        },
        members: &[ALICE, BOB, CAROL],
        ..PLAIN
    };
    operation.survives_all_faults();
}

#[test]
fn leaving() {
    let operation = Operation {
        victim: BOB,
        start: |table, group| table.session(BOB).leave(group).map(drop),
        members: &[ALICE, CAROL],
        ..PLAIN
    };
    operation.survives_all_faults();
}

#[test]
fn confirming_that_somebody_leaves() {
    let operation = Operation {
        victim: ALICE,
        start: |table, group| table.session(BOB).leave(group).map(drop),
        members: &[ALICE, CAROL],
        ..PLAIN
    };
    operation.survives_all_faults();
}

#[test]
fn updating_in_a_race() {
    let operation = Operation {
        victim: BOB,
        start: |table, group| {
            table.session(BOB).update(group)?;
            table.session(CAROL).update(group).map(drop)
        },
        members: &[ALICE, BOB, CAROL],
        ..PLAIN
    };
    operation.survives_all_faults();
}

/// Nobody can process what Carol does, so the others go on without her, and what Bob was about to say
/// is said there.
fn carol_spoils_it(table: &mut Table, group: GroupId) -> Result<(), ClientError> {
    if !table.has_streams {
        table.has_streams = true;
        table.session(CAROL).update(group)?;
        table.spoils = Some(CAROL);
        while table.spoils.is_some() {
            assert!(table.step(CAROL, |_, answer| answer));
        }
    }
    table.session(BOB).send(group, "late").map(drop)
}

#[test]
fn going_on_as_the_group_that_this_device_makes() {
    let operation = Operation {
        victim: ALICE,
        start: carol_spoils_it,
        members: &[ALICE, BOB],
        goes_on: true,
        ..PLAIN
    };
    operation.survives_all_faults();
}

#[test]
fn going_on_as_a_group_that_another_makes() {
    let operation = Operation {
        victim: BOB,
        start: carol_spoils_it,
        members: &[ALICE, BOB],
        goes_on: true,
        ..PLAIN
    };
    operation.survives_all_faults();
}

/// Where another device of Alice sits.
const TABLET: usize = 4;

fn link_tablet(table: &mut Table) -> Result<(), ClientError> {
    table.link(ALICE, Session::link).map(drop)
}

#[test]
fn linking() {
    let operation = Operation {
        start: |table, _| link_tablet(table),
        members: &[ALICE, BOB, CAROL, TABLET],
        ..PLAIN
    };
    operation.survives_all_faults();
}

#[test]
fn handing_the_identity_key_over() {
    for victim in [ALICE, TABLET] {
        let operation = Operation {
            victim,
            before: |table| {
                table.link(ALICE, Session::link_with_identity).unwrap();
            },
            start: |_, _| Ok(()),
            members: &[ALICE, BOB, CAROL, TABLET],
            ..PLAIN
        };
        operation.survives_all_faults();
    }
}

#[test]
fn recovering() {
    let operation = Operation {
        before: |table| {
            let phrase = table.session(ALICE).recovery_phrase().unwrap();
            table.recover("alice", phrase, true).unwrap();
            // The new device sits where the lost one did.
            table.seats.swap_remove(ALICE);
        },
        ..PLAIN
    };
    operation.survives_all_faults();
}

#[test]
fn revoking() {
    let operation = Operation {
        before: |table| {
            link_tablet(table).unwrap();
            table.settle();
        },
        start: |table, _| {
            let devices = table.session(ALICE).devices()?;
            let own = table.session(ALICE).device();
            let tablet = devices.into_iter().find(|device| *device != own);
            table.session(ALICE).revoke(tablet.unwrap())?;
            table.seats.truncate(TABLET);
            Ok(())
        },
        ..PLAIN
    };
    operation.survives_all_faults();
}

/// What Bob has not read yet is gone from the log, so that he has to come back from outside.
fn log_is_gone(table: &Table, seat: usize, call: &Call, answer: Answer) -> Answer {
    match call {
        Call::ReadLog(asked) if seat == BOB && table.resyncs(BOB) == 0 => {
            let is_old = table
                .gone_up_to
                .is_some_and(|gone| asked.after_sequence < gone);
            if is_old {
                Err(Rejection::TooLate)
            } else {
                answer
            }
        }
        _ => answer,
    }
}

#[test]
fn coming_back() {
    let operation = Operation {
        victim: BOB,
        start: |table, group| {
            if table.gone_up_to.is_none() {
                table.session(ALICE).update(group)?;
                // Only Alice: Bob is to miss it.
                while table.step(ALICE, |_, answer| answer) {}
                let read = table.session(ALICE).group(group)?.unwrap().cursor;
                table.gone_up_to = Some(read.0);
            }
            table.session(BOB).send(group, "late").map(drop)
        },
        meddle: log_is_gone,
        members: &[ALICE, BOB, CAROL],
        ..PLAIN
    };
    operation.survives_all_faults();
}
