//! The shortest part of a plan that still goes wrong.

use crate::{Bug, Failure, Plan, Scenario, Trace, run};

/// Plays of the plan, at most. Each costs as much as the world itself.
const PLAYS_MAX: usize = 400;

/// Leaves steps out, ever smaller parts, as long as what is left goes wrong. Gives the plan that is
/// left and how it goes wrong, which may be in another way.
#[must_use]
pub fn shrink(
    plan: &Plan,
    scenario: &Scenario,
    bug: Option<Bug>,
    failure: Failure,
) -> (Plan, Failure) {
    let (mut least, mut failure) = (plan.clone(), failure);
    let mut part = least.steps.len().div_ceil(2);
    let mut plays = 0;
    while part > 0 && plays < PLAYS_MAX {
        let mut from = 0;
        let before = least.steps.len();
        while from < least.steps.len() && plays < PLAYS_MAX {
            let mut shorter = least.clone();
            let to = (from + part).min(shorter.steps.len());
            shorter.steps.drain(from..to);
            plays += 1;
            match run(&shorter, scenario, bug, &mut Trace::default()) {
                Err(still) => (least, failure) = (shorter, still),
                Ok(_) => from = to,
            }
        }
        if part == 1 && least.steps.len() == before {
            break;
        }
        part = (part / 2).max(usize::from(least.steps.len() < before));
    }
    (least, failure)
}
