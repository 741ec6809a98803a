//! Many who leave at about the same time cost few Commits, also while others talk and whoever's turn it is
//! is away.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use conclave_simulator::{Deed, Fault, Plan, Report, Scenario, Step, Trace, What, run};

const MEMBERS: usize = 24;

/// Of 24 members, 16 leave within four seconds, while the others talk.
fn storm(seed: u64, faults: Vec<Fault>) -> Report {
    let scenario = Scenario::without_faults(MEMBERS);
    let mut steps = vec![
        Step::deed(1_000, 0, Deed::Create(0)),
        Step::deed(1_500, 0, Deed::Add(0, (1..MEMBERS).collect())),
    ];
    steps.extend((0..16).map(|nth| Step::deed(20_000 + 250 * nth as u64, 8 + nth, Deed::Leave(0))));
    steps.extend((0..40).map(|nth| Step::deed(19_900 + 150 * nth as u64, nth % 8, Deed::Send(0))));
    steps.extend(faults.into_iter().map(|fault| Step {
        at_millis: 19_000,
        what: What::Fault(fault),
    }));
    steps.sort_by_key(|step| step.at_millis);
    run(
        &Plan { seed, steps },
        &scenario,
        None,
        &mut Trace::default(),
    )
    .unwrap()
}

#[test]
fn sixteen_who_leave_while_others_talk_cost_few_commits() {
    for seed in 0..3 {
        let report = storm(seed, Vec::new());
        // One adds everybody; the first leaver is let go by whoever talks next.
        assert!(report.commits <= 8, "{report:?}");
        assert!(report.entries >= 40 + 16 + 3, "{report:?}");
    }
}

#[test]
fn where_most_are_away_somebody_else_confirms() {
    // Those who come after let the leavers go, and nobody waits for those who are away.
    let away = |client| Fault::Crash(client, 15_000);
    let report = storm(1, (2..8).map(away).collect());
    assert!(report.commits <= 12, "{report:?}");
}
