//! What moderators see and do, and what somebody hears whom it is about.

use anyhow::{Context as _, bail};
use conclave_client::{
    Client, Home, Measure, MeasureKind, ModeratorAct, ModeratorRole, ReportId, ReportSummary,
    Reports, UserId, WaitingAppeal,
};
use conclave_safety::{CaseFile, Chain, Chained};
use serde_json::{Value, json};

use crate::{
    args::{self, Moderate, Moderation},
    case::{self, findings_json, findings_text},
    output::{Output, moment, printable, short},
};

pub(crate) async fn run(home: &Home, command: Moderation, output: &Output) -> anyhow::Result<()> {
    match command {
        Moderation::Moderate { command } => moderate(home, command, output).await,
        Moderation::Appeal { decision, text } => appeal(home, decision, &text, output).await,
        Moderation::VerifyReport(command) => case::verify(&command, output),
    }
}

async fn moderate(home: &Home, command: Moderate, output: &Output) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    match command {
        Moderate::List { all } => list(&client, all, output).await,
        Moderate::Show { report, case_file } => {
            let report = find(&client, &report).await?;
            show(&client, report, case_file.as_deref(), output).await
        }
        Moderate::Decide(decide) => {
            let act = decision(&client, &decide).await?;
            done(&client, act, output).await
        }
        Moderate::Answer {
            decision,
            verdict,
            reason,
        } => {
            let act = ModeratorAct::Answer {
                decision,
                uphold: verdict == args::Verdict::Uphold,
                answer: reason,
            };
            done(&client, act, output).await
        }
        Moderate::Lift { decision, reason } => {
            done(&client, ModeratorAct::Lift(decision, reason), output).await
        }
        Moderate::Appoint { user, role } => {
            let user = client.user_named(&user)?;
            done(&client, ModeratorAct::Appoint(user, role.into()), output).await
        }
        Moderate::Audit { after } => audit(&client, after, output).await,
    }
}

/// What was decided about the home's user.
pub(crate) async fn standing(home: &Home, output: &Output) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    let measures = client.measures().await?;
    if measures.is_empty() {
        output.remark("moderators have decided nothing about you")?;
    }
    for measure in &measures {
        output.show(&measure_text(measure), &measure_json(measure))?;
    }
    Ok(())
}

async fn appeal(home: &Home, decision: u64, text: &str, output: &Output) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    client.appeal(decision, text).await?;
    let said = format!("another moderator will look at decision {decision}");
    output.show(&said, &json!({ "appealed": decision }))?;
    Ok(())
}

/// What somebody is told in a line.
pub(crate) fn told(measure: &Measure) -> String {
    let what = match (measure.is_lifted, measure.kind) {
        (true, kind) => format!("a {kind} of yours was lifted"),
        (false, MeasureKind::Warning) => "you were warned".to_owned(),
        (false, kind) => {
            let until = measure.until.map(moment).unwrap_or_default();
            format!("{kind} until {until}")
        }
    };
    let reason = printable(&measure.reason);
    format!("moderators of this server decided: {what}: {reason} (`conclave account standing`)")
}

async fn list(client: &Client, all: bool, output: &Output) -> anyhow::Result<()> {
    let (mut after, domain) = (0, client.user().domain().to_owned());
    loop {
        let Reports {
            reports,
            more,
            appeals,
        } = client.reports(after, all).await?;
        if after == 0 && reports.is_empty() && appeals.is_empty() {
            output.remark("nothing waits")?;
        }
        for report in &reports {
            output.show(&summary_text(report, &domain), &summary_json(report))?;
            after = report.number;
        }
        if !more {
            for appeal in &appeals {
                output.show(&appeal_text(appeal, &domain), &appeal_json(appeal))?;
            }
            return Ok(());
        }
    }
}

async fn show(
    client: &Client,
    report: ReportId,
    to: Option<&std::path::Path>,
    output: &Output,
) -> anyhow::Result<()> {
    let bytes = client.case_file(report).await?;
    let file = CaseFile::from_json(&bytes)?;
    if let Some(to) = to {
        std::fs::write(to, &bytes).with_context(|| format!("cannot write {}", to.display()))?;
    }
    let findings = file.examine(None);
    let shown = file.case().report();
    let text = format!(
        "report {report}: {:?}, by {} at {}\n  they say: {}\n{}",
        shown.category(),
        shown.reporter().user,
        moment(shown.received()),
        printable(shown.comment()),
        findings_text(&findings),
    );
    let mut value = findings_json(&findings);
    value["report"] = json!(report.to_string());
    value["saved_to"] = json!(to);
    value["case_file"] = serde_json::from_slice(&bytes)?;
    output.show(&text, &value)?;
    Ok(())
}

async fn decision(client: &Client, decide: &args::Decide) -> anyhow::Result<ModeratorAct> {
    let report = find(client, &decide.report).await?;
    let kind = match decide.what {
        args::Decision::Dismiss => {
            return Ok(ModeratorAct::Dismiss(report, decide.reason.clone()));
        }
        args::Decision::Warn => MeasureKind::Warning,
        args::Decision::Slow => MeasureKind::Slow,
        args::Decision::Suspend => MeasureKind::Suspension,
    };
    if (kind == MeasureKind::Warning) != decide.duration.is_none() {
        bail!("say for how long with --for TIME; only a warning has no duration");
    }
    let user = match &decide.user {
        Some(user) => client.user_named(user)?,
        None => only_accused(client, report).await?,
    };
    Ok(ModeratorAct::Decide {
        report,
        kind,
        user,
        device: decide.device,
        duration: decide.duration.unwrap_or_default(),
        reason: decide.reason.clone(),
    })
}

async fn done(client: &Client, act: ModeratorAct, output: &Output) -> anyhow::Result<()> {
    let entry = client.moderate(act).await?;
    let text = format!("done; it is entry {entry} of the audit log");
    output.show(&text, &json!({ "entry": entry }))?;
    Ok(())
}

/// Shows the log, of which each entry is held against the hash of the one before. Of what stands before `after`
/// only the hashes are looked at.
async fn audit(client: &Client, after: u64, output: &Output) -> anyhow::Result<()> {
    let mut chain = Chain::default();
    loop {
        let (entries, more) = client.audit(chain.entries()).await?;
        for it in entries {
            let chained = Chained {
                number: chain.entries() + 1,
                hash: it
                    .hash
                    .try_into()
                    .ok()
                    .context("the audit log has a hash that is none")?,
                entry: it.entry,
            };
            let entry = chain.follow(&chained)?;
            if entry.number > after {
                let value = json!({
                    "entry": serde_json::from_slice::<Value>(&chained.entry)?,
                    "hash": hex(&chained.hash),
                });
                output.show(&entry.to_string(), &value)?;
            }
        }
        if !more {
            break;
        }
    }
    let (entries, hash) = (chain.entries(), hex(chain.hash()));
    let text =
        format!("{entries} entries, each with the hash of the one before; the last is {hash}");
    output.remark(&text)?;
    Ok(())
}

/// A report by its number or id.
async fn find(client: &Client, named: &str) -> anyhow::Result<ReportId> {
    if let Ok(id) = named.parse() {
        return Ok(id);
    }
    let number = named.strip_prefix('#').unwrap_or(named);
    let number: u64 = number
        .parse()
        .with_context(|| format!("{named} is no report; `conclave moderate list` shows them"))?;
    Ok(row(client, |it| it.number == number).await?.id)
}

async fn only_accused(client: &Client, report: ReportId) -> anyhow::Result<UserId> {
    let row = row(client, |it| it.id == report).await?;
    match &row.accused[..] {
        [user] => Ok(user.clone()),
        _ => bail!("messages of several users are reported; say with --user whom you mean"),
    }
}

async fn row(
    client: &Client,
    is_it: impl Fn(&ReportSummary) -> bool,
) -> anyhow::Result<ReportSummary> {
    let mut after = 0;
    loop {
        let page = client.reports(after, true).await?;
        after = page.reports.last().map_or(after, |it| it.number);
        if let Some(found) = page.reports.into_iter().find(&is_it) {
            return Ok(found);
        }
        if !page.more {
            bail!("there is no such report; `conclave moderate list --all` shows them");
        }
    }
}

fn summary_text(report: &ReportSummary, domain: &str) -> String {
    let accused: Vec<_> = report.accused.iter().map(|it| short(it, domain)).collect();
    let what = match report.messages {
        1 => "a message".to_owned(),
        several => format!("{several} messages"),
    };
    let decided = report
        .decision
        .map(|entry| format!("; decided, entry {entry}"));
    format!(
        "#{} {}  {what} of {}, as {}{}",
        report.number,
        moment(report.received),
        accused.join(", "),
        report.category,
        decided.unwrap_or_default(),
    )
}

fn summary_json(report: &ReportSummary) -> Value {
    let accused: Vec<_> = report.accused.iter().map(UserId::as_str).collect();
    json!({
        "report": report.id.to_string(),
        "number": report.number,
        "received_millis": report.received.0,
        "category": report.category.as_str(),
        "accused": accused,
        "messages": report.messages,
        "decision": report.decision,
    })
}

fn appeal_text(appeal: &WaitingAppeal, domain: &str) -> String {
    format!(
        "{}  {} appeals against decision {}: {}",
        moment(appeal.asked),
        short(&appeal.user, domain),
        appeal.decision,
        printable(&appeal.text)
    )
}

fn appeal_json(appeal: &WaitingAppeal) -> Value {
    json!({
        "appeal_against": appeal.decision,
        "user": appeal.user.as_str(),
        "text": appeal.text,
        "asked_millis": appeal.asked.0,
    })
}

fn measure_text(measure: &Measure) -> String {
    let what = match measure.kind {
        MeasureKind::Warning => "a warning".to_owned(),
        kind => {
            let until = measure.until.map(moment).unwrap_or_default();
            let lifted = if measure.is_lifted { " (lifted)" } else { "" };
            format!("{kind} until {until}{lifted}")
        }
    };
    let device = measure
        .device
        .map(|it| format!(", of the device {it} only"));
    let appeal = match measure.appeal {
        Some(state) if measure.answer.is_empty() => format!("\n  your appeal: {state}"),
        Some(state) => format!("\n  your appeal: {state}: {}", printable(&measure.answer)),
        None => format!(
            "\n  to appeal: conclave appeal {} \"TEXT\"",
            measure.decision
        ),
    };
    format!(
        "decision {}, {}: {what}{}\n  {}{appeal}",
        measure.decision,
        moment(measure.decided),
        device.unwrap_or_default(),
        printable(&measure.reason),
    )
}

fn measure_json(measure: &Measure) -> Value {
    json!({
        "decision": measure.decision,
        "kind": measure.kind.as_str(),
        "device": measure.device.map(|it| it.to_string()),
        "reason": measure.reason,
        "decided_millis": measure.decided.0,
        "until_millis": measure.until.map(|it| it.0),
        "appeal": measure.appeal.map(|it| it.as_str()),
        "answer": measure.answer,
        "is_lifted": measure.is_lifted,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl From<args::ModeratorRole> for Option<ModeratorRole> {
    fn from(role: args::ModeratorRole) -> Self {
        match role {
            args::ModeratorRole::Viewer => Some(ModeratorRole::Viewer),
            args::ModeratorRole::Moderator => Some(ModeratorRole::Moderator),
            args::ModeratorRole::Chief => Some(ModeratorRole::Chief),
            args::ModeratorRole::None => None,
        }
    }
}
