//! Taking reports in, and showing them.

use std::collections::BTreeSet;

use conclave_protocol::{
    DeviceId, Evidence, GroupId, ReportId, Sequence, StampingKeyCertificate, UnixMillis,
};
use conclave_safety::{
    Appeal, AuditLine, Authority, Case, Category, Context, Decision, Facts, Item, Proven, Report,
    ReportError, Role, Verdict,
};

use super::{Moderation, Summary};
use crate::{
    error::Refusal,
    limits::{AUDIT_PAGE, GAP_ENTRIES_MAX, REPORTS_PAGE},
    store::{EntryKind, Filed, NewReport, Page},
};

/// A report as a list shows it.
pub(crate) struct Listed {
    pub(crate) number: u64,
    pub(crate) id: ReportId,
    pub(crate) received: UnixMillis,
    pub(crate) category: Category,
    /// Each once.
    pub(crate) accused: Vec<String>,
    pub(crate) reported: u32,
    /// The entry by which it was decided on.
    pub(crate) decision: Option<u64>,
}

/// Decisions, and the appeals against them that wait.
pub(crate) type Appeals = Vec<(Decision, Appeal)>;

impl Moderation {
    /// Keeps a report, once all of it is verified.
    pub(crate) fn file(
        &self,
        reporter: DeviceId,
        id: ReportId,
        (category, comment): (Category, String),
        items: Vec<Item>,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let reporter = self.address_of(reporter)?;
        // The same report again changes nothing; it would be a replay.
        if self.is_filed(id, &reporter.user, &items)? {
            return Ok(());
        }
        let report =
            Report::new(id, (reporter, now), (category, comment), items).map_err(invalid)?;
        let certificates = self.certificates(&report);
        let operator = self.stamper.operator_key();
        let proven = report.prove(Authority {
            operator: &operator,
            certificates: &certificates,
        })?;
        let context = self.judge(proven)?;
        let summary = summary_of(&report, context);
        let reported: Vec<_> = report.reported().map(|it| it.stamp.sequence).collect();
        let filed = self.store.put_report(&NewReport {
            id,
            reporter: &report.reporter().user,
            received: now,
            group: proven.group(),
            reported: &reported,
            summary: &summary.to_bytes(),
            body: &report.to_bytes(),
        })?;
        match filed {
            Filed::Done => Ok(()),
            Filed::IdTaken => Err(Refusal::Taken("another report has this id")),
            Filed::Replayed(sequence) => Err(Verdict::Replayed {
                item: place_of(&report, sequence),
            }
            .into()),
            Filed::Full => Err(Refusal::Busy(
                "as many reports wait for a decision as may; come back later",
            )),
        }
    }

    fn is_filed(
        &self,
        id: ReportId,
        reporter: &conclave_protocol::UserId,
        items: &[Item],
    ) -> Result<bool, Refusal> {
        let Some((_, body)) = self.store.report(id)? else {
            return Ok(false);
        };
        let known = read(&body)?;
        if known.reporter().user == *reporter && known.items() == items {
            Ok(true)
        } else {
            Err(Refusal::Taken("another report has this id"))
        }
    }

    /// Holds what is proved against what the service alone knows.
    fn judge(&self, proven: Proven<'_>) -> Result<Context, Refusal> {
        let group = proven.group();
        let Some((head, stays)) = self.store.stays(group, proven.reporter())? else {
            // The group was deleted: what was sent is proved all the same.
            return Ok(Context {
                reporter_could_read: false,
                windows_are_gapless: false,
            });
        };
        let page = |after, up_to, entries| Page {
            after,
            up_to,
            entries,
            bytes: 0,
        };
        let first = self.store.read_log(group, page(Sequence(0), head, 1))?;
        let first_kept = first.first().map_or(head.next(), |entry| entry.sequence);
        let readable = stays.iter().map(|it| (it.from, it.to.unwrap_or(head)));
        let mut facts = Facts {
            readable: readable.collect(),
            first_kept,
            others: BTreeSet::new(),
            reported: self
                .store
                .reported(proven.reporter(), group)?
                .into_iter()
                .collect(),
        };
        for (one, next) in proven.gaps() {
            self.look_between(
                group,
                (one.max(Sequence(first_kept.0.saturating_sub(1))), next),
                &mut facts.others,
            )?;
        }
        Ok(Context::from(&proven.in_context(&facts)?))
    }

    /// Notes the entries between two that are no messages which could be reported, up to the first that is.
    fn look_between(
        &self,
        group: GroupId,
        (mut one, next): (Sequence, Sequence),
        others: &mut BTreeSet<Sequence>,
    ) -> Result<(), Refusal> {
        let up_to = Sequence(next.0.saturating_sub(1));
        let mut looked_at = 0;
        while one < up_to && looked_at < GAP_ENTRIES_MAX {
            let entries = self.store.read_log(
                group,
                Page {
                    after: one,
                    up_to,
                    entries: GAP_ENTRIES_MAX,
                    bytes: conclave_protocol::limits::PAGE_BYTES_MAX,
                },
            )?;
            let Some(last) = entries.last() else {
                return Ok(());
            };
            one = last.sequence;
            looked_at += entries.len();
            for entry in entries {
                if entry.kind == EntryKind::Application && entry.frank.is_some() {
                    return Ok(());
                }
                others.insert(entry.sequence);
            }
        }
        Ok(())
    }

    /// The operator's word for the keys that may have stamped these messages, each once.
    fn certificates(&self, report: &Report) -> Vec<StampingKeyCertificate> {
        let stamps = report.items().iter().map(|item| &item.evidence.stamp);
        let mut certificates: Vec<StampingKeyCertificate> = Vec::new();
        for stamp in stamps {
            for certificate in self.stamper.certificates_around(stamp.accepted) {
                if !certificates.contains(&certificate) {
                    certificates.push(certificate);
                }
            }
        }
        certificates
    }

    /// A page of the reports, and the appeals that wait, for moderators.
    pub(crate) fn list(
        &self,
        moderator: DeviceId,
        after: u64,
        with_decided: bool,
    ) -> Result<(Vec<Listed>, Appeals), Refusal> {
        self.require(moderator, Role::Viewer)?;
        let rows = self.store.reports(after, REPORTS_PAGE, with_decided)?;
        let book = self.book();
        let reports = rows.iter().map(|row| {
            let summary = Summary::of(row)?;
            let mut accused: Vec<_> = summary.accused.into_iter().map(|it| it.0).collect();
            accused.dedup();
            Ok(Listed {
                number: row.number,
                id: row.id,
                received: row.received,
                category: summary.category,
                accused,
                reported: summary.reported,
                decision: book.closed(row.id),
            })
        });
        let reports = reports.collect::<Result<_, Refusal>>()?;
        let appeals = book
            .appeals()
            .map(|(it, appeal)| (it.clone(), appeal.clone()));
        Ok((reports, appeals.collect()))
    }

    /// A report as a case file, for a moderator, who is noted.
    pub(crate) fn show(
        &self,
        moderator: DeviceId,
        id: ReportId,
        now: UnixMillis,
    ) -> Result<String, Refusal> {
        let actor = self.require(moderator, Role::Viewer)?;
        let (summary, body) = self.store.report(id)?.ok_or(NO_REPORT)?;
        let (summary, report) = (Summary::from_bytes(&summary)?, read(&body)?);
        self.write(None, |book| book.show(actor.clone(), id, now))?;
        let audit = self.audit_of(id)?;
        let chain = *self.book().chain();
        let case = Case::of(
            &report,
            summary.context,
            (&self.stamper.operator_key(), &self.certificates(&report)),
            (audit, &chain),
            (&self.server_name, now),
        );
        Ok(case.sign(self.stamper.operator()).to_json())
    }

    /// What moderators did about a report, also about what was decided on it. That the log as a whole holds was seen
    /// when it was read into the book, and `conclave moderate audit` sees it from outside.
    fn audit_of(&self, report: ReportId) -> Result<Vec<AuditLine>, Refusal> {
        let (mut lines, mut last) = (Vec::new(), 0);
        loop {
            let page = self.store.audit_about(report, last, AUDIT_PAGE)?;
            for chained in &page {
                let entry = chained
                    .read()
                    .map_err(|_| Refusal::Internal("the audit log does not hold"))?;
                last = chained.number;
                lines.push(AuditLine::new(entry, &chained.hash));
            }
            if page.len() < AUDIT_PAGE {
                return Ok(lines);
            }
        }
    }

    pub(super) fn about(&self, report: ReportId) -> Result<conclave_safety::About, Refusal> {
        let (summary, _) = self.store.report(report)?.ok_or(NO_REPORT)?;
        Summary::from_bytes(&summary)?.about(report)
    }
}

const NO_REPORT: Refusal = Refusal::NotFound("there is no such report");

fn summary_of(report: &Report, context: Context) -> Summary {
    let accused = report.accused().into_iter();
    Summary {
        category: report.category(),
        reporter: report.reporter().user.as_str().to_owned(),
        accused: accused
            .map(|it| (it.user.as_str().to_owned(), *it.device.as_bytes()))
            .collect(),
        reported: u32::try_from(report.reported().count()).unwrap_or(u32::MAX),
        context,
    }
}

fn place_of(report: &Report, sequence: Sequence) -> usize {
    let of = |evidence: &Evidence| evidence.stamp.sequence == sequence;
    let place = report.items().iter().position(|item| of(&item.evidence));
    place.unwrap_or_default()
}

fn read(body: &[u8]) -> Result<Report, Refusal> {
    Report::from_bytes(body).ok_or(Refusal::Internal("a stored report is unreadable"))
}

fn invalid(error: ReportError) -> Refusal {
    Refusal::Invalid(match error {
        ReportError::Messages => "messages: 1 to 64, of which at least one is reported",
        ReportError::TooLarge => "messages: too many bytes",
        _ => "comment: too long",
    })
}

/// A message that can't be read as evidence.
pub(crate) fn malformed(item: usize) -> Refusal {
    let reason = conclave_protocol::EvidenceError::Malformed;
    Verdict::Forged { item, reason }.into()
}
