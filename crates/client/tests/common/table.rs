//! Sessions around a table with the service's real logic, no network and a clock of their own. What
//! goes over the table can be looked at, changed and lost, and each of them can die at any moment.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    missing_docs
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use conclave_client::{
    ClientError, DeviceId, Entry, Event, GroupId, Recovery, RecoveryPhrase, Registration, Sequence,
    UnixMillis, UserId, perform,
    session::{Call, Database, Hint, IntentId, Rejection, Reply, Seed, Session},
};
use conclave_delivery_service::InProcess;
use conclave_protocol::{SigningKey, UserDeletion};
use conclave_rpc::v1::{
    self, delivery_service_client::DeliveryServiceClient, submit_request::Body,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// Rounds after which everything that can happen has happened.
const ROUNDS_MAX: usize = 3000;

pub type Answer = Result<Reply, Rejection>;

/// Sees what a device asks and is answered, and says what it hears instead.
pub type Meddler = fn(&Table, usize, &Call, Answer) -> Answer;

pub struct Table {
    pub service: InProcess,
    pub now: UnixMillis,
    pub seats: Vec<Seat>,
    /// Whether live streams tell everybody of what others did.
    pub has_streams: bool,
    /// Who spoils its next Commit, so that nobody can process it: the service can't see that.
    pub spoils: Option<usize>,
    /// What the log does not hold any longer, where a test has it so.
    pub gone_up_to: Option<u64>,
    watch: Option<Meddler>,
    runtime: Runtime,
    seeds: u64,
}

pub struct Seat {
    pub session: Session,
    pub events: Vec<Event>,
    /// Commits of the database that still succeed; the next one does not, and then all do.
    pub fuse: Arc<AtomicI64>,
    /// Where the device dies next, in calls from now.
    pub death: Option<(Death, usize)>,
}

/// Where a device dies in a conversation with the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// When it knows what to ask, and before it has.
    BeforeAsking,
    /// When the service has answered, and before it heard.
    BeforeHearing,
}

/// Never blows.
const WHOLE: i64 = i64::MAX;

impl Table {
    /// People who are registered and sit in a group that the first of them made.
    pub fn with(names: &[&str]) -> (Self, GroupId) {
        let mut table = Self::empty();
        for name in names {
            table.sit_down(name);
        }
        let group = table.found();
        (table, group)
    }

    /// A group of all who sit there, which the first of them made.
    pub fn found(&mut self) -> GroupId {
        self.settle();
        let now = self.now;
        let (group, _) = self.session(0).create_group("club", now).unwrap();
        let others: Vec<UserId> = (1..self.seats.len())
            .map(|seat| self.session(seat).user().clone())
            .collect();
        self.settle();
        if !others.is_empty() {
            self.session(0).add(group, &others).unwrap();
            self.settle();
        }
        self.assert_agreement(group, &(0..self.seats.len()).collect::<Vec<_>>());
        group
    }

    pub fn empty() -> Self {
        let now = std::time::SystemTime::now().into();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self {
            service: InProcess::new("here", now),
            now,
            seats: Vec::new(),
            has_streams: false,
            spoils: None,
            gone_up_to: None,
            watch: None,
            runtime,
            seeds: 0,
        }
    }

    pub fn sit_down(&mut self, name: &str) -> usize {
        let fuse = Arc::new(AtomicI64::new(WHOLE));
        let database = fused(Arc::clone(&fuse));
        let seat = self.sit_down_with(name, database);
        self.seats[seat].fuse = fuse;
        seat
    }

    /// Somebody new with a database of their own.
    pub fn sit_down_with(&mut self, name: &str, database: Database) -> usize {
        let seed = self.seed();
        let at = Registration::at("http://here");
        let session = Session::create(database, &at, "here", name, &seed, self.now).unwrap();
        let seat = self.seat_of(session);
        self.seats.push(seat);
        self.seats.len() - 1
    }

    /// Another device of whoever sits there, with a fuse, whose answer is made by `link`.
    pub fn link(
        &mut self,
        seat: usize,
        link: fn(&mut Session, &str, UnixMillis) -> Result<String, ClientError>,
    ) -> Result<usize, ClientError> {
        let fuse = Arc::new(AtomicI64::new(WHOLE));
        let (database, seed) = (fused(Arc::clone(&fuse)), self.seed());
        let code = Session::begin_link(&database, &seed)?;
        // A program that died in between shows the same code.
        assert_eq!(code, Session::begin_link(&database, &self.seed())?);
        let now = self.now;
        let answer = link(self.session(seat), &code, now)?;
        let (at, seed) = (Registration::at("http://here"), self.seed());
        let session = Session::finish_link(database, &at, &answer, &seed)?;
        Ok(self.take_seat(session, fuse))
    }

    /// A new device of a user who has the recovery phrase.
    pub fn recover(
        &mut self,
        name: &str,
        phrase: RecoveryPhrase,
        revokes_others: bool,
    ) -> Result<usize, ClientError> {
        let recovery = Recovery {
            name: name.to_owned(),
            phrase,
            revokes_others,
        };
        let fuse = Arc::new(AtomicI64::new(WHOLE));
        let (database, seed) = (fused(Arc::clone(&fuse)), self.seed());
        let at = Registration::at("http://here");
        let session = Session::recover(database, &at, "here", &recovery, &seed, self.now)?;
        Ok(self.take_seat(session, fuse))
    }

    /// Deletes a user at the service, as whoever runs it may.
    pub fn delete_user(&mut self, seat: usize) {
        let words = self.session(seat).recovery_phrase().unwrap().words();
        let phrase =
            bip39::Mnemonic::parse_in_normalized(bip39::Language::English, &words.join(" "));
        let seed = phrase.unwrap().to_entropy_array().0[..32]
            .try_into()
            .unwrap();
        let deletion = UserDeletion {
            server: "here".to_owned(),
            user: self.session(seat).user().clone(),
            expires: self.now.after(Duration::from_secs(1)),
        };
        let request = v1::DeleteUserRequest {
            user: deletion.user.to_string(),
            expires_millis: deletion.expires.0,
            signature: deletion.sign(&SigningKey::from_seed(&seed)).to_vec().into(),
        };
        self.service.set_time(self.now);
        let mut service = DeliveryServiceClient::new(self.service.connect(None));
        self.runtime.block_on(service.delete_user(request)).unwrap();
    }

    fn take_seat(&mut self, session: Session, fuse: Arc<AtomicI64>) -> usize {
        let seat = self.seat_of(session);
        self.seats.push(Seat { fuse, ..seat });
        self.seats.len() - 1
    }

    pub fn session(&mut self, seat: usize) -> &mut Session {
        &mut self.seats[seat].session
    }

    pub fn seed(&mut self) -> Seed {
        self.seeds += 1;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seeds.to_le_bytes());
        seed.into()
    }

    /// Dies, and comes back with what was committed.
    pub fn crash(&mut self, seat: usize) {
        let database = self.close(seat);
        self.replace(seat, database);
    }

    /// Goes on with another database, such as a copy or an older one.
    pub fn replace(&mut self, seat: usize, database: Database) {
        self.seats[seat].session = Session::open(database, &self.seed()).unwrap();
    }

    /// Somebody with a database of their own.
    pub fn seat(&mut self, database: Database) -> Seat {
        let session = Session::open(database, &self.seed()).unwrap();
        self.seat_of(session)
    }

    pub fn seat_of(&self, session: Session) -> Seat {
        Seat {
            session,
            events: Vec::new(),
            fuse: Arc::new(AtomicI64::new(WHOLE)),
            death: None,
        }
    }

    /// A copy of what a device has committed.
    pub fn copy(&mut self, seat: usize) -> Database {
        let database = self.close(seat);
        let copy = database.copy().unwrap();
        self.replace(seat, database);
        copy
    }

    /// Ends a session; somebody who is never asked anything holds its seat.
    fn close(&mut self, seat: usize) -> Database {
        let at = Registration::at("http://here");
        let database = Database::in_memory().unwrap();
        let seed = self.seed();
        let nobody = Session::create(database, &at, "here", "nobody", &seed, self.now).unwrap();
        std::mem::replace(&mut self.seats[seat].session, nobody).close()
    }

    /// Has a device follow a group live while what is given lives: who is online is asked to do things.
    pub fn follow(
        &mut self,
        seat: usize,
        group: GroupId,
    ) -> (
        mpsc::Sender<v1::StreamRequest>,
        Streaming<v1::StreamResponse>,
    ) {
        let open = v1::OpenStream {
            mailbox_after_cursor: 0,
            groups: vec![v1::FollowGroup {
                group_id: group.as_bytes().to_vec().into(),
                after_sequence: 0,
            }],
        };
        let (requests, receiver) = mpsc::channel(1);
        let device = self.seats[seat].session.device();
        let mut service = DeliveryServiceClient::new(self.service.connect(Some(device)));
        self.runtime.block_on(async {
            let request = Some(v1::stream_request::Request::Open(open));
            let sent = requests.send(v1::StreamRequest { request });
            sent.await.unwrap();
            let stream = service.stream(ReceiverStream::new(receiver)).await;
            let mut stream = stream.unwrap().into_inner();
            stream.message().await.unwrap();
            (requests, stream)
        })
    }

    /// Asks the service, as the device that sits there.
    pub fn ask(&mut self, seat: usize, call: &Call) -> Answer {
        self.service.set_time(self.now);
        let session = &self.seats[seat].session;
        let device = session.is_registered().then(|| session.device());
        let service = DeliveryServiceClient::new(self.service.connect(device))
            .max_decoding_message_size(64 << 20)
            .max_encoding_message_size(64 << 20);
        let answer = self.runtime.block_on(perform(&service, None, call));
        answer.map_err(|status| Rejection::from(&status))
    }

    /// One call of one device, if it has one now. Where its database fails, or its death is due, it
    /// dies and comes back.
    pub fn step(&mut self, seat: usize, meddle: impl FnMut(&Call, Answer) -> Answer) -> bool {
        match self.converse(seat, meddle) {
            Ok(went_on) => went_on,
            Err(ClientError::Database(_)) => {
                self.crash(seat);
                true
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn converse(
        &mut self,
        seat: usize,
        mut meddle: impl FnMut(&Call, Answer) -> Answer,
    ) -> Result<bool, ClientError> {
        let now = self.now;
        let Some(call) = self.session(seat).next_call(now)? else {
            return Ok(false);
        };
        let death = self.next_death(seat);
        if death == Some(Death::BeforeAsking) {
            self.crash(seat);
            return Ok(true);
        }
        let asked = self.on_its_way(seat, &call);
        let mut answer = meddle(&call, self.ask(seat, &asked));
        if let Some(watch) = self.watch {
            answer = watch(self, seat, &call, answer);
        }
        if death == Some(Death::BeforeHearing) {
            self.crash(seat);
            return Ok(true);
        }
        let events = self.session(seat).take_in(&call, answer, now)?;
        self.seats[seat].events.extend(events);
        if self.has_streams {
            self.spread(&call);
        }
        Ok(true)
    }

    /// Tells everybody of what may have come into a log, and into mailboxes.
    fn spread(&mut self, call: &Call) {
        use Call::{ReportCommit, Submit, VoteForSuccessor};
        if let (Submit(_) | ReportCommit(_) | VoteForSuccessor(_), Some(group)) =
            (call, call.group())
        {
            for seat in &mut self.seats {
                for hint in [Hint::Group(group), Hint::Mailbox] {
                    seat.session.hint(hint).unwrap();
                }
            }
        }
    }

    /// A call as the service hears it.
    fn on_its_way(&mut self, seat: usize, call: &Call) -> Call {
        let mut call = call.clone();
        if let Call::Submit(v1::SubmitRequest {
            body: Some(Body::Commit(bundle)),
            ..
        }) = &mut call
            && self.spoils == Some(seat)
        {
            let mut commit = bundle.commit.to_vec();
            *commit.last_mut().unwrap() ^= 1;
            bundle.commit = commit.into();
            self.spoils = None;
        }
        call
    }

    fn next_death(&mut self, seat: usize) -> Option<Death> {
        let (death, calls) = self.seats[seat].death.take()?;
        if calls == 0 {
            return Some(death);
        }
        self.seats[seat].death = Some((death, calls - 1));
        None
    }

    /// Lets everybody do everything, with as much time as it takes.
    pub fn settle(&mut self) {
        self.settle_with(|_, _, answer| answer);
    }

    pub fn settle_with(&mut self, mut meddle: impl FnMut(usize, &Call, Answer) -> Answer) {
        self.hint_all();
        for round in 0.. {
            assert!(round < ROUNDS_MAX, "the table does not come to rest");
            let mut has_stepped = false;
            for seat in 0..self.seats.len() {
                has_stepped |= self.step(seat, |call, answer| meddle(seat, call, answer));
            }
            if has_stepped {
                self.now = self.now.after(Duration::from_millis(1));
                continue;
            }
            // Live streams would tell of what others did.
            let wakes = self.seats.iter().filter_map(|seat| seat.session.wake_at());
            match wakes.min() {
                Some(wake) => {
                    self.now = wake.max(self.now.after(Duration::from_millis(1)));
                }
                None if self.is_quiet(&mut meddle) => return,
                None => {}
            }
        }
    }

    /// Like [`Self::settle_with`], for what has to look at the table.
    pub fn settle_watched(&mut self, meddle: Meddler) {
        self.watch = Some(meddle);
        self.settle();
        self.watch = None;
    }

    fn hint_all(&mut self) {
        for seat in &mut self.seats {
            seat.session.hint(Hint::Connected).unwrap();
        }
    }

    /// Whether looking again finds nothing new.
    fn is_quiet(&mut self, meddle: &mut impl FnMut(usize, &Call, Answer) -> Answer) -> bool {
        let before: Vec<usize> = self.seats.iter().map(|seat| seat.events.len()).collect();
        self.hint_all();
        for seat in 0..self.seats.len() {
            while self.step(seat, |call, answer| meddle(seat, call, answer)) {}
        }
        let after: Vec<usize> = self.seats.iter().map(|seat| seat.events.len()).collect();
        before == after
            && self
                .seats
                .iter()
                .all(|seat| seat.session.wake_at().is_none())
    }

    pub fn history(&mut self, seat: usize, group: GroupId) -> Vec<Entry> {
        let session = self.session(seat);
        session.history(group, Sequence(0), 100_000).unwrap()
    }

    pub fn texts(&mut self, seat: usize, group: GroupId) -> Vec<String> {
        let texts = self.history(seat, group).into_iter();
        let texts = texts.filter_map(|entry| entry.text().map(str::to_owned));
        texts.collect()
    }

    pub fn send(&mut self, seat: usize, group: GroupId, text: &str) -> IntentId {
        self.session(seat).send(group, text).unwrap()
    }

    /// They are in one epoch with one authenticator and one roster, and nobody else is there.
    pub fn assert_agreement(&mut self, group: GroupId, seats: &[usize]) {
        let epoch = self.session(seats[0]).epoch(group).unwrap();
        let mut devices: Vec<DeviceId> = Vec::new();
        for seat in seats {
            assert_eq!(self.session(*seat).epoch(group).unwrap(), epoch, "{seat}");
            devices.push(self.session(*seat).device());
        }
        devices.sort_unstable();
        for seat in seats {
            let members = self.session(*seat).members(group).unwrap();
            let mut there: Vec<DeviceId> = members
                .into_iter()
                .flat_map(|member| member.devices)
                .collect();
            there.sort_unstable();
            assert_eq!(there, devices, "{seat}");
        }
    }

    /// What each says now, all read, and none twice.
    pub fn assert_all_heard(&mut self, group: GroupId, seats: &[usize]) {
        for seat in seats {
            self.send(*seat, group, &format!("here is {seat}"));
        }
        self.settle();
        for reader in seats {
            let texts = self.texts(*reader, group);
            for writer in seats {
                let line = format!("here is {writer}");
                let count = texts.iter().filter(|text| **text == line).count();
                assert_eq!(count, 1, "{reader} reads {line} {count} times");
            }
        }
    }

    pub fn resyncs(&self, seat: usize) -> usize {
        let events = self.seats[seat].events.iter();
        events
            .filter(|event| matches!(event, Event::Resynced(_)))
            .count()
    }
}

/// A database in memory whose commits fail when the fuse blows.
fn fused(fuse: Arc<AtomicI64>) -> Database {
    let mut connection = rusqlite::Connection::open_in_memory().unwrap();
    let blows = move || {
        let left = fuse.load(Ordering::Relaxed);
        fuse.store(if left == 0 { WHOLE } else { left - 1 }, Ordering::Relaxed);
        left == 0
    };
    connection.commit_hook(Some(blows)).unwrap();
    connection.try_into().unwrap()
}
