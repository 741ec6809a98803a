//! The story of a report: somebody threatens, is reported and suspended, and a court checks it; whoever makes a report
//! up is refused.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use conclave_client::{
    AppealState, Client, ClientError, Evidence, GroupId, MeasureKind, ModeratorAct, ReportCategory,
    ReportId, Sequence, Shown,
};
use conclave_safety::{CaseFile, Chain, Chained};
use tokio::process::Command;

use super::{people::People, server::ServerProcess, story::Story};

pub(super) const NAMES: [&str; 5] = ["alice", "bob", "mallory", "carol", "dave"];
const ALICE: usize = 0;
const BOB: usize = 1;
const MALLORY: usize = 2;
/// Moderators, who are in no group.
const CAROL: usize = 3;
const DAVE: usize = 4;

const THREAT: &str = "I know where you live.";
const REPORT: ReportId = ReportId::from_bytes([1; 16]);

pub(super) async fn play(
    story: &mut Story,
    people: &People,
    mut server: ServerProcess,
    case_file: &Path,
) -> anyhow::Result<()> {
    let said = said(story, people).await?;
    made_up(story, people, &said).await?;
    reported(story, people, &said).await?;
    let decision = decided(story, people, said.club).await?;
    appealed(story, people, decision).await?;
    restarted(story, people, &mut server, said.club).await?;
    in_court(story, people, case_file).await
}

/// What was said, with its proofs as Bob's device has them.
struct Said {
    club: GroupId,
    greeting: Evidence,
    threat: Evidence,
}

async fn said(story: &mut Story, people: &People) -> anyhow::Result<Said> {
    story.tell(
        "Alice, Bob and Mallory are in a group. Carol and Dave moderate the server, and are not: they \
         read nothing of it.",
    )?;
    let club = people.client(ALICE).create_group("club").await?;
    let others = people.users([BOB, MALLORY].into_iter());
    people.client(ALICE).add(club, &others).await?;
    people.sync().await?;
    let greeting = people.client(ALICE).send(club, "Hello, you two.").await?;
    people.sync().await?;
    let threat = people.client(MALLORY).send(club, THREAT).await?;
    people.sync().await?;
    let texts = people.texts(BOB, club).await?;
    let expected = format!("mallory: {THREAT}");
    story.check(
        "Bob reads what Mallory says to him",
        &texts.last(),
        &Some(&expected),
    )?;
    let greeting = proof(people.client(BOB), club, greeting.sequence).await;
    let threat = proof(people.client(BOB), club, threat.sequence).await;
    story.expect(
        "with each message, his device has got the proof that it was sent, and checked it",
        threat
            .as_ref()
            .map(drop)
            .map_err(|error| format!("{error:#}")),
    )?;
    Ok(Said {
        club,
        greeting: greeting?,
        threat: threat?,
    })
}

async fn proof(client: &Client, group: GroupId, line: Sequence) -> anyhow::Result<Evidence> {
    let evidence = client.evidence(group, line).await?;
    evidence.context("nothing proves this message")
}

async fn made_up(story: &mut Story, people: &People, said: &Said) -> anyhow::Result<()> {
    story.tell("Before anybody reports what was said, see what can't be reported.")?;
    let bob = people.client(BOB);
    let mut framed = said.threat.clone();
    framed.stamp.sender = said.greeting.stamp.sender.clone();
    let mut reworded = said.threat.clone();
    reworded.envelope.clone_from(&said.greeting.envelope);
    let mut elsewhere = said.threat.clone();
    elsewhere.stamp.accepted.0 -= 60_000;
    for (sentence, evidence, verdict) in [
        (
            "Bob lays Mallory's words at Alice's door: forged",
            framed,
            "forged",
        ),
        (
            "Bob has Mallory say something else: altered",
            reworded,
            "altered",
        ),
        (
            "Bob says that it was a minute earlier: forged",
            elsewhere,
            "forged",
        ),
    ] {
        let refused = submit(bob, &[(&evidence, false)]).await;
        story.check(sentence, &is_refused(&refused, verdict), &true)?;
    }
    let refused = submit(people.client(CAROL), &[(&said.threat, false)]).await;
    story.check(
        "Carol reports what Bob showed to her, who was never in the group: out of context",
        &is_refused(&refused, "out of context"),
        &true,
    )?;
    let waiting = people.client(CAROL).reports(0, true).await?.reports;
    story.check("no moderator sees any of these", &waiting.len(), &0)?;
    Ok(())
}

async fn reported(story: &mut Story, people: &People, said: &Said) -> anyhow::Result<()> {
    story.tell("Bob reports the threat, and shows the message before it for context.")?;
    let bob = people.client(BOB);
    let whole = [(&said.greeting, true), (&said.threat, false)];
    story.expect(
        "the service verifies it all, and keeps it",
        submit(bob, &whole).await,
    )?;
    let again = ReportId::from_bytes([2; 16]);
    let again = submit_as(bob, again, &[(&said.threat, false)]).await;
    story.check(
        "he reports it again under another name: replayed",
        &is_refused(&again, "replayed"),
        &true,
    )?;
    for (index, name) in [(BOB, "Bob"), (MALLORY, "Mallory")] {
        let refused = people.client(index).case_file(REPORT).await;
        story.check(
            &format!("{name} can't look at reports"),
            &matches!(refused, Err(ClientError::Refused(_))),
            &true,
        )?;
    }
    let file = CaseFile::from_json(&people.client(CAROL).case_file(REPORT).await?)?;
    let findings = file.examine(None);
    let shown = findings.proved().skip(1).count();
    story.check(
        "Carol sees these two messages, each proved, and nothing else of the group",
        &(findings.holds, shown),
        &(true, 2),
    )?;
    Ok(())
}

async fn decided(story: &mut Story, people: &People, club: GroupId) -> anyhow::Result<u64> {
    story.tell("Carol suspends Mallory for a week, and says why.")?;
    let (mallory, reason) = (
        people.client(MALLORY),
        "We do not threaten each other here.",
    );
    let act = ModeratorAct::Decide {
        report: REPORT,
        kind: MeasureKind::Suspension,
        user: mallory.user().clone(),
        device: None,
        duration: Duration::from_hours(7 * 24),
        reason: reason.to_owned(),
    };
    let decision = people.client(CAROL).moderate(act).await?;
    let refused = mallory.send(club, "You will be sorry.").await;
    let told = refused
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    story.check(
        "the service takes nothing from Mallory any more, and Mallory is told why",
        &told.contains(reason),
        &true,
    )?;
    let added = mallory.add(club, &people.users([DAVE].into_iter())).await;
    story.check(
        "Mallory can't bring others in either",
        &added.is_err(),
        &true,
    )?;
    people.client(BOB).send(club, "Peace.").await?;
    people.sync().await?;
    let members = [ALICE, BOB, MALLORY].into_iter();
    let without = people.without(club, members, "bob: Peace.").await?;
    story.check(
        "the others talk on, and Mallory may read",
        &without,
        &Vec::new(),
    )?;
    Ok(decision)
}

async fn appealed(story: &mut Story, people: &People, decision: u64) -> anyhow::Result<()> {
    story.tell("Mallory appeals.")?;
    let (mallory, carol) = (people.client(MALLORY), people.client(CAROL));
    mallory
        .appeal(decision, "It was a line from a play.")
        .await?;
    let answer = || ModeratorAct::Answer {
        decision,
        uphold: false,
        answer: "We have looked; it was not.".to_owned(),
    };
    let own = carol.moderate(answer()).await;
    story.check(
        "Carol may not answer an appeal against her own decision",
        &matches!(own, Err(ClientError::Refused(_))),
        &true,
    )?;
    people.client(DAVE).moderate(answer()).await?;
    let measures = mallory.measures().await?;
    let state = measures.first().map(|it| (it.appeal, it.is_lifted));
    story.check(
        "Dave looks at it anew; Mallory reads the answer, and the decision stands",
        &state,
        &Some((Some(AppealState::Rejected), false)),
    )?;
    Ok(())
}

async fn restarted(
    story: &mut Story,
    people: &People,
    server: &mut ServerProcess,
    club: GroupId,
) -> anyhow::Result<()> {
    story.tell("The server is killed, and restarted on the same data.")?;
    let before = audit(people.client(DAVE)).await?;
    server.kill().await?;
    server.restart().await?;
    let refused = people.client(MALLORY).send(club, "And now?").await;
    story.check("Mallory is still suspended", &refused.is_err(), &true)?;
    story.check(
        "the audit log holds who did what, each entry with the hash of the one before",
        &audit(people.client(DAVE)).await?,
        &before,
    )?;
    Ok(())
}

async fn in_court(story: &mut Story, people: &People, case_file: &Path) -> anyhow::Result<()> {
    story.tell(
        "Carol hands the case file to a court, which has neither an account nor a server, and does not \
         believe hers.",
    )?;
    let bytes = people.client(CAROL).case_file(REPORT).await?;
    std::fs::write(case_file, &bytes)?;
    let (holds, sentences) = examine(case_file).await?;
    let said = sentences
        .iter()
        .any(|it| it.contains(THREAT) && it.contains("mallory@"));
    story.check(
        "`conclave verify-report` proves who sent which words, when, to which group",
        &(holds, said),
        &(true, true),
    )?;
    let caveat = sentences.iter().any(|it| it.contains("not of a hand"));
    story.check(
        "and says what is not proved: for one, who held the device",
        &caveat,
        &true,
    )?;
    let changed = String::from_utf8(bytes)?.replace("mallory@", "alice@");
    let other = case_file.with_file_name("changed.json");
    std::fs::write(&other, &changed)?;
    let (holds, _) = examine(&other).await?;
    story.check(
        "with another name written into it, it proves nothing",
        &holds,
        &false,
    )?;
    Ok(())
}

/// What another process finds in a case file: whether it holds, and its sentences.
async fn examine(case_file: &Path) -> anyhow::Result<(bool, Vec<String>)> {
    let program = std::env::current_exe().context("this program can't find itself")?;
    let run = Command::new(program)
        .args(["--json", "verify-report"])
        .arg(case_file)
        .output();
    let output = run.await?;
    let found: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let sentences = ["proved", "not_proved"].into_iter();
    let sentences = sentences.filter_map(|key| found[key].as_array()).flatten();
    let sentences = sentences.filter_map(|it| it.as_str().map(str::to_owned));
    Ok((output.status.success(), sentences.collect()))
}

/// The audit log's entries, of which each was held against its hash; how many, and the last hash.
async fn audit(moderator: &Client) -> anyhow::Result<(u64, [u8; 32])> {
    let mut chain = Chain::default();
    let (entries, _) = moderator.audit(0).await?;
    for it in entries {
        let hash = it.hash.try_into().ok().context("a hash has 32 bytes")?;
        let number = chain.entries() + 1;
        chain.follow(&Chained {
            number,
            entry: it.entry,
            hash,
        })?;
    }
    Ok((chain.entries(), *chain.hash()))
}

async fn submit(client: &Client, messages: &[(&Evidence, bool)]) -> Result<(), ClientError> {
    submit_as(client, REPORT, messages).await
}

async fn submit_as(
    client: &Client,
    id: ReportId,
    messages: &[(&Evidence, bool)],
) -> Result<(), ClientError> {
    let shown = messages.iter().map(|(evidence, is_context)| Shown {
        evidence: (*evidence).clone(),
        is_context: *is_context,
    });
    let shown: Vec<_> = shown.collect();
    let says = (ReportCategory::Threat, "He means it.");
    client.submit_report(id, says, &shown).await
}

fn is_refused(result: &Result<(), ClientError>, verdict: &str) -> bool {
    matches!(result, Err(ClientError::Refused(reason)) if reason.contains(verdict))
}
