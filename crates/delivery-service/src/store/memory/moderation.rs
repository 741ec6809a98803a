//! Reports of messages, and the log of what moderators do.

use std::collections::BTreeMap;

use conclave_protocol::{DeviceId, GroupId, ReportId, Sequence, UnixMillis, UserId};
use conclave_safety::Chained;

use super::State;
use crate::{
    limits::{OPEN_REPORTS_MAX, OPEN_REPORTS_PER_USER_MAX},
    ordering::{Applied, Receipt},
    store::{Filed, NewAudit, NewReport, Range, ReportRow},
};

#[derive(Default)]
pub(super) struct Moderation {
    /// By number.
    reports: BTreeMap<u64, Kept>,
    last_report: u64,
    audit: Vec<Chained>,
    /// By report: the numbers of the entries about it.
    about: BTreeMap<ReportId, Vec<u64>>,
    /// Where devices that are no more were members, by their user.
    former: BTreeMap<(GroupId, UserId), Vec<Range>>,
}

struct Kept {
    id: ReportId,
    reporter: UserId,
    received: UnixMillis,
    group: GroupId,
    reported: Vec<Sequence>,
    is_decided: bool,
    summary: Vec<u8>,
    body: Vec<u8>,
}

impl Moderation {
    pub(super) fn put_report(&mut self, new: &NewReport<'_>) -> Filed {
        if let Some(known) = self.reports.values().find(|it| it.id == new.id) {
            let is_same = known.reporter == *new.reporter && known.body == new.body;
            return if is_same { Filed::Done } else { Filed::IdTaken };
        }
        let before = self.reported(new.reporter, new.group);
        if let Some(again) = new.reported.iter().find(|it| before.contains(it)) {
            return Filed::Replayed(*again);
        }
        let open = || self.reports.values().filter(|it| !it.is_decided);
        let of_user = open().filter(|it| it.reporter == *new.reporter).count();
        if open().count() >= OPEN_REPORTS_MAX || of_user >= OPEN_REPORTS_PER_USER_MAX {
            return Filed::Full;
        }
        self.last_report += 1;
        let kept = Kept {
            id: new.id,
            reporter: new.reporter.clone(),
            received: new.received,
            group: new.group,
            reported: new.reported.to_vec(),
            is_decided: false,
            summary: new.summary.to_vec(),
            body: new.body.to_vec(),
        };
        self.reports.insert(self.last_report, kept);
        Filed::Done
    }

    pub(super) fn report(&self, report: ReportId) -> Option<(Vec<u8>, Vec<u8>)> {
        let kept = self.reports.values().find(|it| it.id == report)?;
        Some((kept.summary.clone(), kept.body.clone()))
    }

    pub(super) fn reports(&self, after: u64, limit: usize, with_decided: bool) -> Vec<ReportRow> {
        let later = self.reports.range(after + 1..);
        let wanted = later.filter(|(_, it)| with_decided || !it.is_decided);
        let rows = wanted.take(limit).map(|(number, it)| ReportRow {
            number: *number,
            id: it.id,
            received: it.received,
            summary: it.summary.clone(),
        });
        rows.collect()
    }

    pub(super) fn reported(&self, user: &UserId, group: GroupId) -> Vec<Sequence> {
        let theirs = self.reports.values();
        let theirs = theirs.filter(|it| it.reporter == *user && it.group == group);
        let mut reported: Vec<_> = theirs.flat_map(|it| it.reported.clone()).collect();
        reported.sort_unstable();
        reported
    }

    pub(super) fn expire(&mut self, received_before: UnixMillis) {
        self.reports
            .retain(|_, it| !it.is_decided || it.received >= received_before);
    }

    pub(super) fn audit(&self, after: u64, limit: usize) -> Vec<Chained> {
        let later = self.audit.iter().filter(|it| it.number > after);
        later.take(limit).cloned().collect()
    }

    pub(super) fn audit_about(&self, report: ReportId, after: u64, limit: usize) -> Vec<Chained> {
        let numbers = self.about.get(&report).into_iter().flatten();
        let later = numbers.filter(|number| **number > after);
        let entries = later.filter_map(|number| self.audit.iter().find(|it| it.number == *number));
        entries.take(limit).cloned().collect()
    }

    pub(super) fn forget_user(&mut self, user: &UserId) {
        self.former.retain(|(_, of), _| of != user);
    }

    pub(super) fn forget_group(&mut self, group: GroupId) {
        self.former.retain(|(of, _), _| *of != group);
    }
}

impl State {
    pub(super) fn append_audit(&mut self, new: &NewAudit<'_>) -> Option<Vec<DeviceId>> {
        let audit = &mut self.moderation.audit;
        if new.chained.number != audit.len() as u64 + 1 {
            return None;
        }
        audit.push(new.chained.clone());
        if let Some(asked) = new.asked {
            let applied = Applied {
                body_hash: asked.body_hash,
                receipt: Receipt {
                    sequence: Sequence(new.chained.number),
                    accepted: asked.at,
                },
            };
            let key = (asked.device, asked.request);
            self.requests.insert(key, applied);
        }
        if let Some(report) = new.about {
            let about = self.moderation.about.entry(report);
            about.or_default().push(new.chained.number);
        }
        for kept in self.moderation.reports.values_mut() {
            kept.is_decided |= new.decides && new.about == Some(kept.id);
        }
        let Some((user, only, notice)) = new.tells else {
            return Some(Vec::new());
        };
        let mut devices = self.devices_of(user);
        devices.retain(|device| only.is_none_or(|only| only == *device));
        for device in &devices {
            self.notify(*device, notice);
        }
        Some(devices)
    }

    pub(super) fn stays(&self, group: GroupId, user: &UserId) -> Option<(Sequence, Vec<Range>)> {
        let known = self.groups.get(&group)?;
        let of_devices = self.devices_of(user).into_iter();
        let mut ranges: Vec<_> = of_devices
            .filter_map(|device| known.members.get(&device))
            .flatten()
            .copied()
            .collect();
        let former = self.moderation.former.get(&(group, user.clone()));
        ranges.extend(former.into_iter().flatten());
        ranges.sort_unstable_by_key(|range| (range.from, range.to));
        ranges.dedup();
        Some((known.head.sequence, ranges))
    }

    /// Keeps for its user where a device that is deleted was a member.
    pub(super) fn keep_stays(&mut self, device: DeviceId, user: &UserId) {
        for (id, group) in &self.groups {
            let ranges = group.members.get(&device).into_iter().flatten();
            let ended = ranges.map(|range| Range {
                to: Some(range.to.unwrap_or(group.head.sequence)),
                ..*range
            });
            let former = self.moderation.former.entry((*id, user.clone()));
            former.or_default().extend(ended);
        }
    }
}
