//! Random lives of a group, against a model that knows who is in it and who may read what.
//!
//! The world is a log that takes one Commit an epoch, as the delivery service does. Devices act
//! when they have read all of it, and otherwise lag behind as chance has it. Any operation may be
//! struck by a crash: its writes are dropped and it is done again, by a program that was started anew or
//! by the same one. Groups stay loaded meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod world;

use proptest::prelude::*;

use world::{Act, World};

const DEVICES: usize = 6;

fn act() -> impl Strategy<Value = Act> {
    let device = 0..DEVICES;
    let set = prop::collection::vec(0..DEVICES, 0..3);
    prop_oneof![
        4 => (device.clone(), set.clone(), set.clone())
            .prop_map(|(by, adds, removes)| Act::Commit { by, adds, removes }),
        2 => (device.clone(), device.clone(), set.clone(), set)
            .prop_map(|(first, second, adds, removes)| Act::Race { first, second, adds, removes }),
        4 => device.clone().prop_map(|by| Act::Send { by }),
        1 => device.clone().prop_map(|by| Act::SendInVain { by }),
        1 => device.clone().prop_map(|by| Act::Leave { by }),
        2 => device.prop_map(|by| Act::CatchUp { by }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 500, ..Default::default() })]

    #[test]
    fn every_member_agrees_and_nobody_else_reads(
        acts in prop::collection::vec((act(), any::<bool>()), 1..40),
    ) {
        // OpenMLS in a debug build needs more stack than a test's thread has.
        let life = move || {
            let mut world = World::new(DEVICES);
            for (act, crashes) in acts {
                world.crashes = crashes;
                world.perform(&act);
            }
            world.check();
        };
        let thread = std::thread::Builder::new().stack_size(16 << 20).spawn(life).unwrap();
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}
