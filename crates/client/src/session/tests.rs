//! What a session does before there is a network.

use conclave_rpc::v1;
use tonic::Code;

use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn newcomer(seed: u8) -> Session {
    let database = Database::in_memory().unwrap();
    let at = Registration::at("http://here");
    Session::create(database, &at, "here", "alice", &[seed; 32].into(), NOW).unwrap()
}

fn reopen(session: Session) -> Session {
    let mut session = Session::open(session.close(), &[9; 32].into()).unwrap();
    pass_checks(&mut session);
    session
}

/// The service confirms that the state is the latest.
fn pass_checks(session: &mut Session) {
    while let Some(call @ Call::CheckInstance(_)) = session.next_call(NOW).unwrap() {
        let state = v1::InstanceState::Same.into();
        let reply = Reply::CheckInstance(v1::CheckInstanceResponse {
            state,
            ..v1::CheckInstanceResponse::default()
        });
        session.take_in(&call, Ok(reply), NOW).unwrap();
    }
}

fn registered() -> Session {
    let mut session = newcomer(1);
    let call = session.next_call(NOW).unwrap().unwrap();
    let reply = Ok(Reply::Register(v1::RegisterResponse {}));
    session.take_in(&call, reply, NOW).unwrap();
    pass_checks(&mut session);
    session
}

#[test]
fn a_device_is_made_from_its_seed_and_survives_a_crash_before_it_is_known() {
    let first = newcomer(1).next_call(NOW).unwrap().unwrap();
    assert_eq!(newcomer(1).next_call(NOW).unwrap(), Some(first.clone()));
    assert_ne!(newcomer(2).next_call(NOW).unwrap(), Some(first.clone()));
    let mut again = reopen(newcomer(1));
    assert_eq!(again.next_call(NOW).unwrap(), Some(first));
}

#[test]
fn a_refused_registration_is_not_asked_for_again_and_again() {
    let mut session = newcomer(1);
    let call = session.next_call(NOW).unwrap().unwrap();
    let refused = Rejection::Refused {
        code: Code::AlreadyExists,
        reason: "taken".into(),
    };
    session.take_in(&call, Err(refused), NOW).unwrap();
    assert_eq!(session.next_call(NOW).unwrap(), None);
    assert_eq!(session.wake_at(), None);
}

#[test]
fn where_the_service_is_away_a_session_waits_ever_longer_and_then_asks_the_same() {
    let mut session = registered();
    let (_, intent) = session.create_group("club", NOW).unwrap();
    let call = session.next_call(NOW).unwrap().unwrap();
    let (mut now, mut waited) = (NOW, 0);
    for _ in 0..6 {
        let away = Err(Rejection::Unreachable("away".into()));
        session.take_in(&call, away, now).unwrap();
        assert_eq!(session.next_call(now).unwrap(), None);
        let wake = session.wake_at().unwrap();
        assert!(wake.0 - now.0 > waited);
        waited = (wake.0 - now.0) / 2;
        now = wake;
        assert_eq!(session.next_call(now).unwrap(), Some(call.clone()));
    }
    assert_eq!(session.outcome(intent).unwrap(), None);
}

#[test]
fn a_group_that_was_made_before_a_crash_is_made_known_by_the_same_bytes() {
    let mut session = registered();
    let (group, intent) = session.create_group("club", NOW).unwrap();
    let call = session.next_call_in(group, NOW).unwrap().unwrap();
    assert!(matches!(&call, Call::CreateGroup(_)));
    let mut session = reopen(session);
    assert_eq!(session.state(group).unwrap(), Some(State::Creating));
    assert_eq!(
        session.next_call_in(group, NOW).unwrap(),
        Some(call.clone())
    );
    for _ in 0..2 {
        let reply = Ok(Reply::CreateGroup(v1::CreateGroupResponse {}));
        session.take_in(&call, reply, NOW).unwrap();
        assert!(session.outcome(intent).unwrap().unwrap().is_ok());
    }
    assert_eq!(session.state(group).unwrap(), Some(State::CatchingUp));
}

#[test]
fn a_copy_of_a_database_has_what_was_committed() {
    let mut session = registered();
    let (group, _) = session.create_group("club", NOW).unwrap();
    let database = session.close();
    let mut copy = Session::open(database.copy().unwrap(), &[3; 32].into()).unwrap();
    let mut session = Session::open(database, &[4; 32].into()).unwrap();
    assert_eq!(copy.epoch(group).unwrap(), session.epoch(group).unwrap());
}
