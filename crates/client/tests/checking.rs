//! What checking and keeping proofs adds to a recipient's cost.
//! `cargo test --release -p conclave-client --test checking -- --ignored --nocapture`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

#[path = "checking/live.rs"]
mod live;
#[path = "common/table.rs"]
mod table;

use std::{fs, path::Path, thread, time::Duration};

use conclave_client::{
    GroupId,
    session::{Call, Database, Reply, Session},
};
use conclave_protocol::{
    Commitment, DeviceAddress, Epoch, FrankBatch, Sequence, SigningKey, Stamp, StampingKey,
    StampingKeyCertificate, UnixMillis,
};
use conclave_rpc::v1;
use table::{Answer, Table};

/// A multiple of each size of trees.
const MESSAGES: usize = 256;
const SIZES: [usize; 4] = [1, 4, 16, 64];

/// As many as a page may have, if the service has them.
const PAGE: u32 = 1_000;

const ALICE: usize = 0;
const BOB: usize = 1;

/// How a recipient reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// What others said meanwhile, in one transaction.
    Page,
    /// Each as it is said, in a transaction of its own.
    Live,
}

/// The same entries with and without franks, by turns, in trees of so many.
struct Runs<'a> {
    stamped: &'a [v1::LogEntry],
    plain: &'a [v1::LogEntry],
}

impl Runs<'_> {
    /// Processor time for each message, in microseconds, with franks and without.
    fn measure(&self, reader: &mut Reader<'_>, reads: Reads, runs: usize) -> [Vec<f64>; 2] {
        let mut spent = [Vec::new(), Vec::new()];
        for _ in 0..runs {
            for (entries, spent) in [self.stamped, self.plain].into_iter().zip(&mut spent) {
                spent.push(reader.read(entries, reads));
            }
        }
        spent
    }
}

/// Of the runs with franks and of those without, the least, the median and the most; and the ratio of the medians.
fn print(what: &str, runs: [Vec<f64>; 2]) {
    let [with, without] = runs.map(|mut runs| {
        runs.sort_by(f64::total_cmp);
        (runs[0], runs[runs.len() / 2], runs[runs.len() - 1])
    });
    println!(
        "{what}  {:6.1} / {:6.1} / {:6.1}  {:6.1} / {:6.1} / {:6.1}  {:.2}",
        with.0,
        with.1,
        with.2,
        without.0,
        without.1,
        without.2,
        with.1 / without.1
    );
}

/// Bob, as he was before anything was said.
struct Reader<'a> {
    table: &'a mut Table,
    group: GroupId,
    /// His home, where it is on the disk.
    home: Option<&'a Path>,
}

impl Reader<'_> {
    fn read(&mut self, entries: &[v1::LogEntry], reads: Reads) -> f64 {
        let folder = tempfile::tempdir().unwrap();
        let database = match self.home {
            Some(home) => {
                for file in fs::read_dir(home).unwrap().map(Result::unwrap) {
                    fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
                }
                Database::open(folder.path().to_owned()).unwrap()
            }
            None => self.table.copy(BOB),
        };
        let mut session = Session::open(database, &self.table.seed()).unwrap();
        let begun = processor_micros();
        self.take_in(&mut session, entries, reads);
        let spent = (processor_micros() - begun) / entries.len() as f64;
        self.look(&mut session, entries);
        spent
    }

    fn take_in(&self, session: &mut Session, entries: &[v1::LogEntry], reads: Reads) {
        let (group, now) = (self.group, self.table.now);
        if reads == Reads::Live {
            for entry in entries {
                session.take_entry(group, entry, now).unwrap();
            }
            return;
        }
        let page = v1::ReadLogResponse {
            entries: entries.to_vec(),
            readable_sequence: entries.last().unwrap().sequence,
            ..v1::ReadLogResponse::default()
        };
        let call = read_log(group, entries[0].sequence - 1);
        session
            .take_in(&call, Ok(Reply::ReadLog(page)), now)
            .unwrap();
    }

    /// All was read, and can be reported where it was stamped.
    fn look(&self, session: &mut Session, entries: &[v1::LogEntry]) {
        let after = Sequence(entries[0].sequence - 1);
        let read = session.history(self.group, after, MESSAGES).unwrap();
        assert_eq!(read.len(), entries.len());
        for (line, entry) in read.iter().zip(entries) {
            let is_reportable = line.message().unwrap().is_reportable;
            assert_eq!(is_reportable, !entry.frank.is_empty());
        }
    }
}

fn read_log(group: GroupId, after_sequence: u64) -> Call {
    Call::ReadLog(v1::ReadLogRequest {
        group_id: group.as_bytes().to_vec().into(),
        after_sequence,
        limit: PAGE,
        with_words: false,
    })
}

/// What this thread has used of the processors. Linux counts that when another thread has its turn.
fn processor_micros() -> f64 {
    thread::sleep(Duration::from_millis(1));
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos = stat.split_whitespace().next().unwrap();
    nanos.parse::<f64>().unwrap() / 1e3
}

/// The keys of a service that the test stamps for.
struct Stamper {
    operator: SigningKey,
    key: StampingKey,
}

impl Stamper {
    fn new() -> Self {
        Self {
            operator: SigningKey::from_seed(&[8; 32]),
            key: StampingKey::from_seed(&[4; 32]),
        }
    }

    /// Has the service's word for its keys be this one's.
    fn describe(&self, now: UnixMillis, answer: Answer) -> Answer {
        let Ok(Reply::Describe(mut said)) = answer else {
            return answer;
        };
        let times = (UnixMillis(0), now.after(Duration::from_hours(24)));
        let key = self.key.verifying_key();
        let certificate = StampingKeyCertificate::issue("here", key, times, &self.operator);
        said.operator_key = self.operator.verifying_key().as_bytes().to_vec().into();
        said.stamping_certificates = vec![certificate.to_bytes().into()];
        Ok(Reply::Describe(said))
    }

    /// The same entries, so many of them signed together.
    fn stamp(
        &self,
        entries: &[v1::LogEntry],
        sender: &DeviceAddress,
        size: usize,
    ) -> Vec<v1::LogEntry> {
        let mut stamped = entries.to_vec();
        for together in stamped.chunks_mut(size) {
            let stamps: Vec<_> = together.iter().map(|it| stamp_of(it, sender)).collect();
            let leaves = stamps.iter().map(Stamp::leaf).collect();
            let batch = FrankBatch::seal(leaves, &self.key).unwrap();
            for (place, (entry, stamp)) in (0..).zip(together.iter_mut().zip(&stamps)) {
                let frank = batch.frank(place, self.key.authenticate(stamp)).unwrap();
                entry.frank = frank.to_bytes().into();
            }
        }
        stamped
    }
}

fn stamp_of(entry: &v1::LogEntry, sender: &DeviceAddress) -> Stamp {
    Stamp {
        group: GroupId::try_from(&entry.message[GROUP_ID..GROUP_ID + 16]).unwrap(),
        epoch: Epoch(entry.epoch),
        sequence: Sequence(entry.sequence),
        accepted: UnixMillis(entry.accepted_millis),
        sender: sender.clone(),
        commitment: commitment_in(&entry.message),
        message_hash: Stamp::hash_of(&entry.message),
    }
}

/// Where a PrivateMessage names its group: behind version, wire format and a length (RFC 9420 §6).
const GROUP_ID: usize = 5;

/// The commitment in a message's Safe AAD: behind the component, a length and the item's version.
fn commitment_in(message: &[u8]) -> Commitment {
    let head = [0x8c, 0x02, 33, 1];
    let at = message.windows(head.len()).position(|it| it == head);
    let from = at.unwrap() + head.len();
    Commitment::from_bytes(message[from..from + 32].try_into().unwrap())
}

/// What Alice says to a group with Bob in it, as the service's log has it.
fn talk(table: &mut Table, group: GroupId) -> Vec<v1::LogEntry> {
    let after = table.session(BOB).group(group).unwrap().unwrap().cursor.0;
    for at in 0..MESSAGES {
        let text = format!("message {at}, of the usual length of a line");
        table.send(ALICE, group, &text);
        while table.step(ALICE, |_, answer| answer) {}
    }
    let Ok(Reply::ReadLog(page)) = table.ask(BOB, &read_log(group, after)) else {
        panic!("a page");
    };
    assert_eq!(page.entries.len(), MESSAGES);
    page.entries
}

fn measure(home: Option<&Path>, reads: Reads, runs: usize) {
    let (stamper, mut table) = (Stamper::new(), Table::empty());
    table.sit_down("alice");
    match home {
        Some(home) => table.sit_down_with("bob", Database::create(home.to_owned()).unwrap()),
        None => table.sit_down("bob"),
    };
    let now = table.now;
    table.settle_with(|_, _, answer| stamper.describe(now, answer));
    let group = table.found();
    let mut plain = talk(&mut table, group);
    let sender = DeviceAddress {
        user: table.session(ALICE).user().clone(),
        device: table.session(ALICE).device(),
    };
    let by_size = SIZES.map(|size| stamper.stamp(&plain, &sender, size));
    plain.iter_mut().for_each(|entry| entry.frank.clear());
    for (size, stamped) in SIZES.into_iter().zip(&by_size) {
        let (table, plain) = (&mut table, &plain[..]);
        let mut reader = Reader { table, group, home };
        let runs = Runs { stamped, plain }.measure(&mut reader, reads, runs);
        let place = home.map_or("memory", |_| "disk");
        print(&format!("{reads:?} {place:7} {size:5}"), runs);
    }
}

/// Processor time of the thread for each message: the engine's, the database's and the checks'. A recipient's database is
/// on the disk, encrypted; in memory, less hides what checking adds.
#[test]
#[ignore = "a measurement"]
fn measure_checking() {
    println!("how, where, signed together; with franks, without: least / median / most us; ratio");
    let folder = tempfile::tempdir().unwrap();
    for (at, reads) in [Reads::Page, Reads::Live].into_iter().enumerate() {
        measure(Some(&folder.path().join(at.to_string())), reads, 9);
        measure(None, reads, 15);
    }
}

/// What is measured is what it is said to be, without the franks that are looked at one after another.
#[test]
fn what_is_measured_is_read_and_checked() {
    measure(None, Reads::Page, 1);
}
