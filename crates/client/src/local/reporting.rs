//! Putting a report together: chosen messages with their proofs and, if wanted, what was said around them.

use std::collections::BTreeMap;

use conclave_protocol::{GroupId, Sequence, limits::REPORTED_MESSAGES_MAX};

use super::{Tx, evidence::Kept};
use crate::{ClientError, Shown};

/// How far in the log what was said around a message is looked for.
const WINDOW_MAX: u64 = 1_000;

impl Tx<'_> {
    /// These lines of a group's history with their proofs, and up to `around` messages before and after them. Where
    /// something that was stamped is not kept here any more, the window ends before it: nothing is left out of one.
    pub(crate) fn show(
        &self,
        group: GroupId,
        lines: &[Sequence],
        around: usize,
    ) -> Result<Vec<Shown>, ClientError> {
        let mut shown = BTreeMap::new();
        for line in lines {
            let evidence = self.proof_of(group, *line)?;
            let evidence = evidence.ok_or(ClientError::NotReportable(*line))?;
            let is_context = false;
            shown.insert(
                evidence.stamp.sequence,
                Shown {
                    evidence,
                    is_context,
                },
            );
        }
        if shown.is_empty() || shown.len() > REPORTED_MESSAGES_MAX {
            return Err(ClientError::ReportSize);
        }
        if around > 0 {
            self.show_around(group, &mut shown, around)?;
        }
        Ok(shown.into_values().collect())
    }

    fn show_around(
        &self,
        group: GroupId,
        shown: &mut BTreeMap<Sequence, Shown>,
        around: usize,
    ) -> Result<(), ClientError> {
        let (Some(first), Some(last)) = (shown.keys().next(), shown.keys().next_back()) else {
            return Ok(());
        };
        let (first, last) = (*first, *last);
        let window = (
            Sequence(first.0.saturating_sub(WINDOW_MAX)),
            Sequence(last.0.saturating_add(WINDOW_MAX)),
        );
        let known = self.evidence_between(group, window)?;
        let is_between = |(at, _): &&(Sequence, Option<Kept>)| (first..=last).contains(at);
        let within: Vec<_> = known.iter().filter(is_between).collect();
        if within.iter().any(|(_, kept)| kept.is_none()) {
            return Ok(());
        }
        let before = known.iter().rev().filter(|(at, _)| *at < first);
        let after = known.iter().filter(|(at, _)| *at > last);
        let room = REPORTED_MESSAGES_MAX.saturating_sub(within.len());
        let around = around.min(room / 2);
        let beside = gapless(before, around).chain(gapless(after, around));
        let all: Vec<&Kept> = within
            .iter()
            .filter_map(|(_, kept)| kept.as_ref())
            .chain(beside)
            .collect();
        if all.len() > REPORTED_MESSAGES_MAX {
            return Ok(());
        }
        for kept in all {
            if let (false, Some(evidence)) = (shown.contains_key(&kept.sequence), kept.open()) {
                let is_context = true;
                shown.insert(
                    kept.sequence,
                    Shown {
                        evidence,
                        is_context,
                    },
                );
            }
        }
        Ok(())
    }
}

/// So many of these, up to the first of which nothing is kept.
fn gapless<'a>(
    of: impl Iterator<Item = &'a (Sequence, Option<Kept>)>,
    many: usize,
) -> impl Iterator<Item = &'a Kept> {
    of.map_while(|(_, kept)| kept.as_ref()).take(many)
}
