//! From a report to a decision, over the wire: what is verified before anybody sees it, who may see and decide, and
//! what then happens to whom it is about.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{GROUP, Person, World, bundle, draw, id, spread};
use conclave_engine::{Change, PreparedCommit};
use conclave_protocol::{
    Commitment, Content, Epoch, Evidence, Frank, Message, Sequence, Stamp, StampingKeyCertificate,
    UnixMillis, VerifyingKey,
};
use conclave_rpc::{ErrorDetail, v1, v1::moderate_request::Act};
use conclave_safety::{CaseFile, Chain, Chained};
use tonic::{Code, Status};

/// Sends something that can be reported, and gives its place.
async fn say(person: &mut Person, text: &str) -> Result<u64, Status> {
    let content = Content::Message(Message::text(text))
        .seal(spread(draw()))
        .unwrap();
    let sender = person.engine.device().address().clone();
    let commitment = Commitment::to(GROUP, &sender, &content).unwrap();
    let body = person.encrypt_with(&content, Some(&commitment.to_item()));
    person.said.push(content);
    person.submit_new(body).await
}

/// What a recipient has of a message: the envelope that it decrypted, and the rest from the log.
async fn evidence(reader: &mut Person, sender: &Person, sequence: u64) -> Evidence {
    let page = reader.page(sequence - 1, 1).await.unwrap();
    let entry = &page.entries[0];
    let address = sender.engine.device().address().clone();
    let mut said = sender.said.iter();
    let frank = Frank::from_bytes(&entry.frank).unwrap();
    let of = |envelope: &Vec<u8>| Evidence {
        stamp: Stamp {
            group: GROUP,
            epoch: Epoch(entry.epoch),
            sequence: Sequence(entry.sequence),
            accepted: UnixMillis(entry.accepted_millis),
            commitment: Commitment::to(GROUP, &address, envelope).unwrap(),
            sender: address.clone(),
            message_hash: Stamp::hash_of(&entry.message),
        },
        envelope: envelope.clone(),
        frank: frank.clone(),
    };
    let (operator, certificates) = service_keys(reader).await;
    said.find_map(|envelope| {
        let evidence = of(envelope);
        evidence
            .verify(&operator, &certificates)
            .is_ok()
            .then_some(evidence)
    })
    .unwrap()
}

/// The operator's key, and what that certifies.
async fn service_keys(person: &mut Person) -> (VerifyingKey, Vec<StampingKeyCertificate>) {
    let described = person.rpc.describe(v1::DescribeRequest {}).await.unwrap();
    let described = described.into_inner();
    let certificates = described.stamping_certificates.iter();
    let certificates = certificates.map(|it| StampingKeyCertificate::from_bytes(it).unwrap());
    let operator = VerifyingKey::try_from(&described.operator_key[..]).unwrap();
    (operator, certificates.collect())
}

fn report(number: u64, messages: &[(&Evidence, bool)]) -> v1::SubmitReportRequest {
    let messages = messages
        .iter()
        .map(|(evidence, is_context)| v1::ReportedMessage {
            evidence: evidence.to_bytes().into(),
            is_context: *is_context,
        });
    v1::SubmitReportRequest {
        report_id: id(&spread(number)),
        messages: messages.collect(),
        category: v1::ReportCategory::Threat.into(),
        comment: "see for yourselves".into(),
    }
}

async fn file(person: &mut Person, report: v1::SubmitReportRequest) -> Result<(), Status> {
    let request = person.signed(report);
    person.rpc.submit_report(request).await.map(drop)
}

fn verdict(refused: Result<(), Status>) -> v1::ReportVerdict {
    match ErrorDetail::of(&refused.unwrap_err()) {
        Some(ErrorDetail::ReportRefused(detail)) => detail.verdict(),
        other => panic!("{other:?}"),
    }
}

async fn moderate(person: &mut Person, act: Act) -> Result<u64, Status> {
    moderate_as(person, draw(), act).await
}

/// Asks under a name that may have been used before.
async fn moderate_as(person: &mut Person, request: u64, act: Act) -> Result<u64, Status> {
    let request = person.signed(v1::ModerateRequest {
        act: Some(act),
        request_id: id(&spread(request)),
    });
    let answered = person.rpc.moderate(request).await?;
    Ok(answered.into_inner().entry)
}

fn decide(report: u64, measure: Option<(v1::MeasureKind, &Person, u64)>) -> Act {
    let measure = measure.map(|(kind, whom, seconds)| v1::DecidedMeasure {
        kind: kind.into(),
        user: whom.engine.device().address().user.to_string(),
        device_id: Vec::new().into(),
        duration_seconds: seconds,
    });
    Act::Decide(v1::DecideReport {
        report_id: id(&spread(report)),
        measure,
        reason: "we do not threaten each other here".into(),
    })
}

async fn measures(person: &mut Person) -> Vec<v1::Measure> {
    let request = person.signed(v1::FetchStandingRequest {});
    let answered = person.rpc.fetch_standing(request).await.unwrap();
    answered.into_inner().measures
}

async fn case_file(person: &mut Person, report: u64) -> Result<CaseFile, Status> {
    let request = person.signed(v1::ShowReportRequest {
        report_id: id(&spread(report)),
    });
    let shown = person.rpc.show_report(request).await?.into_inner();
    Ok(CaseFile::from_json(&shown.case_file).unwrap())
}

/// A group of mallory, bob and alice, at a server that carol and dave moderate.
async fn moderated() -> (World, Vec<Person>) {
    let chiefs = ["carol@localhost", "dave@localhost"].map(|it| it.parse().unwrap());
    let world = World::start_with(|config| conclave_delivery_service::Config {
        moderators: chiefs.to_vec(),
        ..config
    })
    .await;
    let mut people = world.group(&["mallory", "bob", "alice"]).await;
    people.push(world.person("carol").await);
    people.push(world.person("dave").await);
    (world, people)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_sent_reaches_a_moderator() {
    let (_world, mut people) = moderated().await;
    let [mallory, bob, alice, carol, _] = &mut people[..] else {
        panic!("five people");
    };
    let first = say(mallory, "hello").await.unwrap();
    let second = say(mallory, "I will find you").await.unwrap();
    for reader in [&mut *bob, alice] {
        reader.page(0, 0).await.unwrap();
    }
    let (hello, threat) = (
        evidence(bob, mallory, first).await,
        evidence(bob, mallory, second).await,
    );

    made_up_reports_are_refused(bob, alice, (&hello, &threat)).await;
    // Whoever was never there has it from somebody else, who may report it.
    let refused = file(carol, report(1, &[(&threat, false)])).await;
    assert_eq!(verdict(refused), v1::ReportVerdict::OutOfContext);

    let whole = report(1, &[(&hello, true), (&threat, false)]);
    file(bob, whole.clone()).await.unwrap();
    file(bob, whole).await.unwrap();
    let again = file(bob, report(2, &[(&threat, false)])).await;
    assert_eq!(verdict(again), v1::ReportVerdict::Replayed);
    file(alice, report(3, &[(&threat, false)])).await.unwrap();

    // Whatever stands between may be left out where it is no message.
    bob.read_up().await;
    let update = bob.prepare(Change::update());
    bob.commit(update).await.unwrap();
    mallory.read_up().await;
    let third = say(mallory, "and your friends").await.unwrap();
    let fourth = say(mallory, "all of them").await.unwrap();
    let (third, fourth) = (
        evidence(bob, mallory, third).await,
        evidence(bob, mallory, fourth).await,
    );
    let gap = file(bob, report(4, &[(&threat, true), (&fourth, false)])).await;
    assert_eq!(verdict(gap), v1::ReportVerdict::OutOfContext);
    file(
        bob,
        report(
            4,
            &[
                (&hello, true),
                (&threat, true),
                (&third, true),
                (&fourth, false),
            ],
        ),
    )
    .await
    .unwrap();

    let file = case_file(carol, 1).await.unwrap();
    let (operator, _) = service_keys(carol).await;
    let findings = file.examine(Some(&operator));
    assert!(findings.holds, "{findings:#?}");
    assert!(findings.proved().any(|it| it.contains("“I will find you”")));
}

async fn made_up_reports_are_refused(
    bob: &mut Person,
    alice: &Person,
    (hello, threat): (&Evidence, &Evidence),
) {
    let mut framed = threat.clone();
    framed.stamp.sender = alice.engine.device().address().clone();
    let refused = file(bob, report(1, &[(&framed, false)])).await;
    assert_eq!(verdict(refused), v1::ReportVerdict::Forged);
    let mut nonsense = report(1, &[(threat, false)]);
    nonsense.messages[0].evidence = b"nonsense".to_vec().into();
    assert_eq!(
        verdict(file(bob, nonsense).await),
        v1::ReportVerdict::Forged
    );
    let mut worse = threat.clone();
    worse.envelope = Content::Message(Message::text("I will kill you"))
        .seal([7; 32])
        .unwrap();
    let refused = file(bob, report(1, &[(&worse, false)])).await;
    assert_eq!(verdict(refused), v1::ReportVerdict::Altered);
    let refused = file(bob, report(1, &[(threat, false), (hello, true)])).await;
    assert_eq!(verdict(refused), v1::ReportVerdict::OutOfContext);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_is_told_enforced_appealed_and_lifted() {
    let (mut world, mut people) = moderated().await;
    let sent = say(&mut people[0], "I will find you").await.unwrap();
    let [mallory, bob, _, carol, dave] = &mut people[..] else {
        panic!("five people");
    };
    let threat = evidence(bob, mallory, sent).await;
    file(bob, report(1, &[(&threat, false)])).await.unwrap();
    let kind = v1::MeasureKind::Suspension;
    strangers_see_nothing([&mut *bob, mallory]).await;
    let prepared = mallory.prepare_add(&["carol"]).await;
    let suspend = decide(1, Some((kind, mallory, 3600)));
    let decision = moderate(carol, suspend.clone()).await.unwrap();
    adds_nobody(mallory, &prepared).await;
    let twice = moderate(dave, suspend).await.unwrap_err();
    assert_eq!(twice.code(), Code::FailedPrecondition);

    // Over a restart, too.
    for _ in 0..2 {
        let refused = say(mallory, "you can't stop me").await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let Some(ErrorDetail::Suspended(detail)) = ErrorDetail::of(&refused) else {
            panic!("no detail");
        };
        assert_eq!(detail.decision, decision);
        assert!(detail.reason.contains("threaten"));
        let refused = mallory.take(draw(), &["carol"]).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        mallory.page(0, 0).await.unwrap();
        say(bob, "peace").await.unwrap();
        world.stop_server().await;
        world.start_server().await;
        for person in [&mut *mallory, bob, carol, dave] {
            person.sign_in().await;
        }
    }
    let told = mallory.mail().await;
    let is_told = |item: &v1::mailbox_item::Item| match item {
        v1::mailbox_item::Item::Measure(measure) => measure.decision == decision,
        _ => false,
    };
    assert!(told.iter().any(is_told), "{told:?}");
    let standing = measures(mallory).await;
    assert_eq!((standing.len(), standing[0].kind()), (1, kind));
    assert_eq!(measures(bob).await, []);

    let appeal = |person: &Person| {
        person.signed(v1::AppealRequest {
            decision,
            text: "it was a line from a play".into(),
        })
    };
    let refused = bob.rpc.appeal(appeal(bob)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    mallory.rpc.appeal(appeal(mallory)).await.unwrap();
    let request = dave.signed(v1::ListReportsRequest::default());
    let waiting = dave.rpc.list_reports(request).await.unwrap().into_inner();
    assert_eq!((waiting.reports.len(), waiting.appeals.len()), (0, 1));
    let answer = || {
        Act::Answer(v1::AnswerAppeal {
            decision,
            uphold: true,
            answer: "so it was".into(),
        })
    };
    let refused = moderate(carol, answer()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    moderate(dave, answer()).await.unwrap();
    mallory.read_up().await;
    say(mallory, "thank you").await.unwrap();
    assert_eq!(measures(mallory).await[0].appeal(), v1::AppealState::Upheld);

    // Two were appointed; a decision, an appeal, an answer.
    assert_eq!(audit_entries(dave).await, 5);
}

async fn adds_nobody(suspended: &mut Person, prepared: &PreparedCommit) {
    let refused = suspended.submit_new(bundle(prepared)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    suspended.discard();
}

async fn audit_entries(moderator: &mut Person) -> u64 {
    let request = moderator.signed(v1::ReadAuditRequest { after_entry: 0 });
    let log = moderator
        .rpc
        .read_audit(request)
        .await
        .unwrap()
        .into_inner();
    let mut chain = Chain::default();
    for (number, it) in (1..).zip(&log.entries) {
        let hash = it.hash.to_vec().try_into().unwrap();
        let entry = it.entry.to_vec();
        chain
            .follow(&Chained {
                number,
                entry,
                hash,
            })
            .unwrap();
    }
    chain.entries()
}

async fn strangers_see_nothing(strangers: [&mut Person; 2]) {
    for stranger in strangers {
        let refused = case_file(stranger, 1).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let refused = moderate(stranger, decide(1, None)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let request = stranger.signed(v1::ListReportsRequest::default());
        let refused = stranger.rpc.list_reports(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slowed_down_sends_few_and_a_device_is_not_its_user() {
    let (world, mut people) = moderated().await;
    let sent = say(&mut people[0], "buy now").await.unwrap();
    let [mallory, bob, alice, carol, _] = &mut people[..] else {
        panic!("five people");
    };
    let spam = evidence(bob, mallory, sent).await;
    file(bob, report(1, &[(&spam, false)])).await.unwrap();
    file(alice, report(2, &[(&spam, false)])).await.unwrap();
    let kind = v1::MeasureKind::Slow;
    moderate(carol, decide(1, Some((kind, mallory, 3600))))
        .await
        .unwrap();
    let mut wait = None;
    for _ in 0..4 {
        if let Err(refused) = say(mallory, "buy").await {
            assert_eq!(refused.code(), Code::ResourceExhausted);
            wait = ErrorDetail::of(&refused);
        }
    }
    assert!(
        matches!(wait, Some(ErrorDetail::RateLimited(_))),
        "{wait:?}"
    );
    say(bob, "no thanks").await.unwrap();
    moderate(carol, decide(2, None)).await.unwrap();
    let request = carol.signed(v1::ListReportsRequest {
        with_decided: true,
        ..v1::ListReportsRequest::default()
    });
    let all = carol.rpc.list_reports(request).await.unwrap().into_inner();
    let decided: Vec<_> = all.reports.iter().map(|it| it.decision != 0).collect();
    assert_eq!(decided, [true, true]);
    drop(world);
}

/// A moderator's program that did not hear the answer asks again, and is told what came of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_deed_whose_answer_was_lost_is_done_once_and_told_again() {
    let (_world, mut people) = moderated().await;
    let sent = say(&mut people[0], "buy now").await.unwrap();
    let [mallory, bob, _, carol, dave] = &mut people[..] else {
        panic!("five people");
    };
    let spam = evidence(bob, mallory, sent).await;
    file(bob, report(1, &[(&spam, false)])).await.unwrap();
    let warn = decide(1, Some((v1::MeasureKind::Warning, mallory, 0)));
    let resign = Act::Appoint(v1::AppointModerator {
        user: carol.engine.device().address().user.to_string(),
        role: v1::ModeratorRole::Unspecified.into(),
    });
    for (request, act) in [(1001, warn.clone()), (1002, resign)] {
        let first = moderate_as(carol, request, act.clone()).await.unwrap();
        // Another moderator's request of the same name is another request.
        let lift = Act::Lift(v1::LiftMeasure::default());
        let refused = moderate_as(dave, request, lift).await.unwrap_err();
        assert_ne!(refused.code(), Code::AlreadyExists);
        let again = moderate_as(carol, request, act).await.unwrap();
        assert_eq!(again, first);
    }
    let other = moderate_as(carol, 1002, warn.clone()).await.unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists);
    let anew = moderate(carol, warn).await.unwrap_err();
    assert_eq!(anew.code(), Code::PermissionDenied);

    let decision = measures(mallory).await[0].decision;
    for _ in 0..2 {
        let appeal = mallory.signed(v1::AppealRequest {
            decision,
            text: "it was a joke".into(),
        });
        mallory.rpc.appeal(appeal).await.unwrap();
    }
    // Two were appointed; a decision, a resignation, an appeal.
    assert_eq!(audit_entries(dave).await, 5);
}
