//! Somebody who was away for long comes back and reads all that was said.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::time::Instant;

use conclave_simulator::{Deed, Fault, Plan, Scenario, Step, Trace, What, run};

/// Who is away. The others talk.
const AWAY: usize = 3;

/// Between two messages.
const PACE_MILLIS: u64 = 60;

/// One of four is away while the others commit and talk; then it has to have what they have.
fn away_for(commits: u64, messages: u64) {
    let scenario = Scenario::without_faults(4);
    let talk_from = 12_000;
    let length = messages * PACE_MILLIS;
    let mut steps = vec![
        Step::deed(1_000, 0, Deed::Create(0)),
        Step::deed(1_500, 0, Deed::Add(0, vec![1, 2, AWAY])),
        Step {
            at_millis: talk_from - 1_000,
            what: What::Fault(Fault::Crash(AWAY, length + 2_000)),
        },
    ];
    let speaker = |nth: u64| usize::try_from(nth % 3).unwrap();
    steps.extend((0..messages).map(|nth| {
        let at_millis = talk_from + nth * PACE_MILLIS;
        Step::deed(at_millis, speaker(nth), Deed::Send(0))
    }));
    steps.extend((0..commits).map(|nth| {
        let at_millis = talk_from + nth * length / commits + 7;
        Step::deed(at_millis, speaker(nth), Deed::Update(0))
    }));
    steps.sort_by_key(|step| step.at_millis);
    let plan = Plan { seed: 1, steps };
    let begun = Instant::now();
    let report = run(&plan, &scenario, None, &mut Trace::default()).unwrap();
    println!(
        "{commits} Commits and {messages} messages: {report:?}, played in {:?}",
        begun.elapsed()
    );
    assert!(report.entries >= commits + messages);
}

#[test]
fn who_was_away_for_a_while_reads_all() {
    away_for(10, 500);
}

#[test]
#[ignore = "takes minutes: the long form, see docs/testing.md"]
fn who_was_away_for_500_commits_and_50_000_messages_reads_all() {
    away_for(500, 50_000);
}
