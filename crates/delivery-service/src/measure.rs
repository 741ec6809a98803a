//! Measurements that `docs/performance.md` gives the last figures of. Run with
//! `cargo test --release -p conclave-delivery-service --lib -- --ignored --nocapture measure`.

#![allow(clippy::print_stdout)]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use conclave_engine::{Device, Engine, MemoryState};
use conclave_protocol::{
    COMPONENT_FRANKING, Challenge, Commitment, DeviceAddress, DeviceCertificate, DeviceClaims,
    DeviceId, GroupId, GroupRules, RequestId, Sequence, SigningKey,
};
use conclave_rpc::{
    AUTHORIZATION, BEARER, v1,
    v1::{delivery_service_client::DeliveryServiceClient, stream_response::Event},
};
use tls_codec::{Serialize as _, VLBytes};
use tonic::transport::Channel;

mod served;

use crate::{
    Config, Server, clock,
    follower::Follower,
    groups::{Body, Groups, Request},
    hub::Hub,
    stamping::Stamper,
    store::{NewGroup, Page, SqliteStore, Store, contract},
};

const MESSAGE_BYTES: usize = 1024;

/// A PrivateMessage as the service sees it (RFC 9420 §6.3), of a sender who committed to it or not.
fn message(group: GroupId, is_committed: bool) -> Vec<u8> {
    let bytes = |size| VLBytes::new(vec![0xa5; size]);
    let aad = if is_committed {
        committed()
    } else {
        Vec::new()
    };
    let mut message = [0, 1, 0, 2].to_vec();
    let id = VLBytes::new(group.as_bytes().to_vec());
    message.extend(id.tls_serialize_detached().unwrap());
    message.extend([0; 8]);
    message.push(1);
    message.extend(VLBytes::new(aad).tls_serialize_detached().unwrap());
    for part in [28, MESSAGE_BYTES - message.len() - 31] {
        message.extend(bytes(part).tls_serialize_detached().unwrap());
    }
    message
}

/// A Safe AAD with a franking item and nothing else.
fn committed() -> Vec<u8> {
    let mut item = COMPONENT_FRANKING.to_be_bytes().to_vec();
    let data = Commitment::from_bytes([7; 32]).to_item().to_vec();
    item.extend(VLBytes::new(data).tls_serialize_detached().unwrap());
    VLBytes::new(item).tls_serialize_detached().unwrap()
}

pub(crate) fn group(number: u8) -> GroupId {
    GroupId::from_bytes([number; 16])
}

fn spread(number: u64) -> [u8; 16] {
    // Clients draw their ids at random: neighbours in time are none in an index.
    let mut id = [0; 16];
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    id[..8].copy_from_slice(&mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9).to_be_bytes());
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

/// A store in which each of so many devices has a group of its own.
pub(crate) fn store(path: &Path, groups: u8) -> SqliteStore {
    let store = SqliteStore::open(path).unwrap();
    contract::register(&store, groups);
    let founder = founder();
    for number in 1..=groups {
        let (group, now) = (group(number), clock::now());
        let rules = GroupRules::default();
        let created = founder.create_group(&MemoryState::default(), group, &rules, now);
        let created = created.unwrap().value;
        let (info, tree) = (&created.group_info, &created.ratchet_tree);
        let new = NewGroup {
            group,
            creator: contract::device(number),
            body_hash: [0; 32],
            group_info: info,
            snapshot: &Follower::found(group, info, tree, now).unwrap().snapshot,
        };
        assert!(store.create_group(&new).unwrap());
    }
    store
}

pub(crate) fn groups_of(store: Arc<dyn Store>) -> Groups {
    let stamper = Arc::new(Stamper::new("here", &[0; 32]));
    Groups::new(store, Arc::new(Hub::default()), stamper)
}

/// Who stands in each group's tree, where nothing here looks.
fn founder() -> Engine {
    let key = SigningKey::from_seed(&[1; 32]);
    let address = DeviceAddress {
        user: "alice@here".parse().unwrap(),
        device: contract::device(1),
    };
    let claims = DeviceClaims::starting(address, key.verifying_key(), clock::now());
    let certificate = DeviceCertificate::issue(claims, &SigningKey::from_seed(&[2; 32]));
    Engine::new(Device::new(certificate, key).unwrap())
}

/// Appends of so many a second, by so many threads at once, each through all checks.
fn append(groups: &Groups, threads: u8, groups_used: u8, each: u64, drawn: &AtomicU64) -> f64 {
    append_of(groups, (threads, groups_used, each), drawn, false)
}

pub(crate) fn append_of(
    groups: &Groups,
    (threads, groups_used, each): (u8, u8, u64),
    drawn: &AtomicU64,
    is_committed: bool,
) -> f64 {
    let begun = Instant::now();
    thread::scope(|scope| {
        for number in 0..threads {
            scope.spawn(move || {
                let at = number % groups_used + 1;
                let message = message(group(at), is_committed);
                for _ in 0..each {
                    let request = Request {
                        sender: contract::device(at),
                        group: group(at),
                        request: RequestId::from_bytes(spread(
                            drawn.fetch_add(1, Ordering::Relaxed),
                        )),
                        body: Body::Application(&message),
                    };
                    groups.submit(&request, clock::now()).unwrap();
                }
            });
        }
    });
    (each * u64::from(threads)) as f64 / begun.elapsed().as_secs_f64()
}

fn summary(mut runs: Vec<f64>) -> (f64, f64, f64) {
    runs.sort_by(f64::total_cmp);
    (runs[0], runs[runs.len() / 2], runs[runs.len() - 1])
}

/// What the measurements are set up with passes all checks.
#[test]
fn messages_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(store(&folder.path().join("conclave.db"), 2));
    let groups = groups_of(store);
    let drawn = AtomicU64::new(0);
    append(&groups, 2, 2, 2, &drawn);
    append_of(&groups, (2, 2, 2), &drawn, true);
}

/// The same number of rows of the same size, by the same writer, with no checks and one table.
#[test]
#[ignore = "a measurement"]
fn measure_appends_against_a_bare_writer() {
    const EACH: u64 = 300;
    const RUNS: usize = 7;
    let folder = tempfile::tempdir().unwrap();
    println!("threads groups  checked/s (least, median, most)  bare/s (same)  ratio of medians");
    for (threads, used) in [(64, 1), (64, 64), (16, 16), (1, 1)] {
        let path = folder.path().join(format!("{threads}-{used}.db"));
        let store = Arc::new(store(&path, 64));
        let groups = groups_of(Arc::clone(&store) as Arc<dyn Store>);
        let bare = SqliteStore::open(&folder.path().join(format!("bare-{threads}-{used}.db")));
        let bare = bare.unwrap();
        bare.prepare_bare();
        let drawn = AtomicU64::new(0);
        let each = if threads == 1 { 200 } else { EACH };
        let (mut checked, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            checked.push(append(&groups, threads, used, each, &drawn));
            plain.push(append_bare(&bare, threads, used, each));
        }
        let (checked, plain) = (summary(checked), summary(plain));
        println!(
            "{threads:7} {used:6}  {:.0} {:.0} {:.0}  {:.0} {:.0} {:.0}  {:.2}",
            checked.0,
            checked.1,
            checked.2,
            plain.0,
            plain.1,
            plain.2,
            checked.1 / plain.1
        );
    }
}

/// What stamping adds: the same messages with and without a commitment, by turns, in messages a second and in time of
/// the processors for each.
#[test]
#[ignore = "a measurement"]
fn measure_stamping() {
    const RUNS: usize = 9;
    let folder = tempfile::tempdir().unwrap();
    println!("threads groups  stamped/s  plain/s  stamped us  plain us  ratio of medians (us)");
    for (threads, used, each) in [(64, 64, 300), (16, 16, 600), (1, 1, 2_000)] {
        let path = folder.path().join(format!("stamping-{threads}.db"));
        let groups = groups_of(Arc::new(store(&path, 64)));
        let drawn = AtomicU64::new(0);
        let mut runs = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..RUNS {
            for (at, is_committed) in [(0, true), (1, false)] {
                let before = processor_micros();
                let size = (threads, used, each);
                runs[at].push(append_of(&groups, size, &drawn, is_committed));
                let spent = processor_micros() - before;
                runs[at + 2].push(spent / (each * u64::from(threads)) as f64);
            }
        }
        let [fast, plain_fast, cost, plain_cost] = runs.map(|runs| summary(runs).1);
        println!(
            "{threads:7} {used:6}  {fast:9.0}  {plain_fast:7.0}  {cost:10.1}  {plain_cost:8.1}  {:.2}",
            cost / plain_cost
        );
    }
}

/// What this process has used of the processors, as Linux counts it, in hundredths of a second.
fn processor_micros() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    let ticks = fields.skip(11).take(2).map(|it| it.parse::<f64>().unwrap());
    ticks.sum::<f64>() * 10_000.0
}

fn append_bare(bare: &SqliteStore, threads: u8, used: u8, each: u64) -> f64 {
    let begun = Instant::now();
    thread::scope(|scope| {
        for number in 0..threads {
            scope.spawn(move || {
                let id = group(number % used + 1);
                let message = message(id, false);
                for _ in 0..each {
                    bare.append_bare(id, &message).unwrap();
                }
            });
        }
    });
    (each * u64::from(threads)) as f64 / begun.elapsed().as_secs_f64()
}

/// 100,000 entries of 1 KiB: over the network on one live stream, through the store's pages, and
/// the bytes of the file alone.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measure_catching_up() {
    const ENTRIES: u64 = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("conclave.db");
    let filling = path.clone();
    tokio::task::spawn_blocking(move || {
        let store: Arc<dyn Store> = Arc::new(store(&filling, 1));
        let groups = groups_of(store);
        let drawn = AtomicU64::new(0);
        append(&groups, 50, 1, ENTRIES / 50, &drawn);
    })
    .await
    .unwrap();
    let megabytes = (ENTRIES * MESSAGE_BYTES as u64) as f64 / 1e6;
    let begun = Instant::now();
    let file = std::fs::read(&path).unwrap().len();
    let raw = file as f64 / 1e6 / begun.elapsed().as_secs_f64();
    println!("file, {} MB: {raw:.0} MB/s", file / 1_000_000);

    let config = Config::new(folder.path().to_owned());
    let server = Server::bind(config).await.unwrap();
    let url = format!("http://{}", server.local_addr());
    tokio::spawn(server.run(std::future::pending()));
    let channel = Channel::from_shared(url).unwrap().connect_lazy();
    let mut rpc = DeliveryServiceClient::new(channel);
    let token = sign_in(&mut rpc, 1).await;
    for run in 0..5 {
        let begun = Instant::now();
        assert_eq!(follow(&mut rpc, &token).await, ENTRIES);
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "live stream, run {run}: {seconds:.2} s, {:.0} entries/s, {:.0} MB/s",
            ENTRIES as f64 / seconds,
            megabytes / seconds
        );
    }
    let seconds = tokio::task::spawn_blocking(move || read_pages(&path, ENTRIES))
        .await
        .unwrap();
    println!(
        "store's pages: {seconds:.2} s, {:.0} MB/s",
        megabytes / seconds
    );
}

fn read_pages(path: &Path, entries: u64) -> f64 {
    let store = SqliteStore::open(path).unwrap();
    let begun = Instant::now();
    let mut after = Sequence(0);
    while after.0 < entries {
        let page = Page {
            after,
            up_to: Sequence(entries),
            entries: crate::limits::STREAM_PAGE_ENTRIES,
            bytes: crate::limits::STREAM_PAGE_BYTES,
        };
        after = store
            .read_log(group(1), page)
            .unwrap()
            .pop()
            .unwrap()
            .sequence;
    }
    begun.elapsed().as_secs_f64()
}

async fn sign_in(rpc: &mut DeliveryServiceClient<Channel>, number: u8) -> String {
    let device: DeviceId = contract::device(number);
    let device_id = device.as_bytes().to_vec().into();
    let asked = v1::RequestChallengeRequest { device_id };
    let challenge = rpc
        .request_challenge(asked)
        .await
        .unwrap()
        .into_inner()
        .challenge;
    let key = SigningKey::from_seed(&[number; 32]);
    let signature = Challenge::from_bytes(&challenge).unwrap().answer(&key);
    let answer = v1::AuthenticateRequest {
        challenge,
        signature: signature.to_vec().into(),
    };
    rpc.authenticate(answer).await.unwrap().into_inner().token
}

async fn follow(rpc: &mut DeliveryServiceClient<Channel>, token: &str) -> u64 {
    let open = v1::OpenStream {
        mailbox_after_cursor: 0,
        groups: vec![v1::FollowGroup {
            group_id: group(1).as_bytes().to_vec().into(),
            after_sequence: 0,
        }],
    };
    let open = v1::StreamRequest {
        request: Some(v1::stream_request::Request::Open(open)),
    };
    let waiting = tokio_stream::StreamExt::chain(
        tokio_stream::iter([open]),
        tokio_stream::pending::<v1::StreamRequest>(),
    );
    let mut request = tonic::Request::new(waiting);
    let bearer = format!("{BEARER}{token}").parse().unwrap();
    request.metadata_mut().insert(AUTHORIZATION, bearer);
    let mut events = rpc.stream(request).await.unwrap().into_inner();
    let mut read = 0;
    while let Some(event) = events.message().await.unwrap() {
        match event.event.unwrap() {
            Event::Entry(_) => read += 1,
            Event::CaughtUp(of) if !of.group_id.is_empty() => break,
            _ => {}
        }
    }
    read
}
