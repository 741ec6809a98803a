//! Worlds in which everything goes wrong, and all goes well; and bugs that are found.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use conclave_simulator::{Bug, Plan, Scenario, Trace, run, shrink};

/// Worlds in which a bug has to show.
const SEEDS_PER_BUG: u64 = 8;

fn worlds_go_well(seeds: std::ops::Range<u64>, second_devices: usize) {
    let scenario = Scenario {
        second_devices,
        ..Scenario::default()
    };
    for seed in seeds {
        let plan = Plan::draw(seed, &scenario);
        if let Err(failure) = run(&plan, &scenario, None, &mut Trace::default()) {
            panic!(
                "{failure}, where {second_devices} users have two devices; see conclave-simulator replay"
            );
        }
    }
}

#[test]
fn twenty_five_worlds_go_well() {
    worlds_go_well(0..25, 0);
}

#[test]
fn and_twenty_five_more_in_which_some_have_two_devices() {
    worlds_go_well(25..50, 4);
}

#[test]
fn a_seed_gives_the_same_order_of_events() {
    let scenario = Scenario::default();
    let plan = Plan::draw(3, &scenario);
    let tell = || {
        let mut trace = Trace::kept();
        run(&plan, &scenario, None, &mut trace).unwrap();
        trace.lines().to_vec()
    };
    let (one, other) = (tell(), tell());
    let differs = one.iter().zip(&other).position(|(one, other)| one != other);
    assert_eq!(differs.map(|at| (&one[at], &other[at])), None);
    assert_eq!(one.len(), other.len());
    assert!(one.len() > 1000);
}

#[test]
fn the_scenarios_that_come_along_go_well() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let mut scenario = Scenario::from_toml(&std::fs::read_to_string(&path).unwrap()).unwrap();
        // The long one has its own command.
        scenario.deeds = scenario.deeds.min(100);
        scenario.faults = scenario.faults.min(20);
        scenario.seconds = scenario.seconds.min(100);
        for seed in 0..3 {
            let plan = Plan::draw(seed, &scenario);
            let played = run(&plan, &scenario, None, &mut Trace::default());
            played.unwrap_or_else(|failure| panic!("{}: {failure}", path.display()));
        }
    }
}

#[test]
fn every_planted_bug_is_found() {
    let scenario = Scenario::default();
    for bug in Bug::ALL {
        let goes_wrong = |seed| {
            let plan = Plan::draw(seed, &scenario);
            run(&plan, &scenario, Some(bug), &mut Trace::default()).is_err()
        };
        assert!((0..SEEDS_PER_BUG).any(goes_wrong), "{bug} is not found");
    }
}

#[test]
fn what_leads_to_a_failure_is_made_short() {
    let scenario = Scenario {
        clients: 6,
        groups: 2,
        members: 4,
        deeds: 30,
        ..Scenario::default()
    };
    let bug = Some(Bug::KeyPackageTwice);
    let (plan, failure) = (0..SEEDS_PER_BUG)
        .find_map(|seed| {
            let plan = Plan::draw(seed, &scenario);
            let failure = run(&plan, &scenario, bug, &mut Trace::default()).err()?;
            Some((plan, failure))
        })
        .unwrap();
    let (least, _) = shrink(&plan, &scenario, bug, failure);
    // Somebody has to be added by two, so two groups have to be there.
    assert!(least.steps.len() <= 6, "{least:?}");
    assert!(run(&least, &scenario, bug, &mut Trace::default()).is_err());
}
