//! What a message costs a service that is asked over the network: reading the request, knowing the device, all checks,
//! the transaction, the answer, and handing the message to a member who follows the group.

use std::{fs, sync::Arc, time::Duration};

use tokio::runtime::{Builder, Runtime};

use super::{
    AUTHORIZATION, AtomicU64, BEARER, Channel, Config, DeliveryServiceClient, Event, Ordering,
    Path, RequestId, Server, group, message, sign_in, spread, store, summary, v1,
};
use crate::{Rate, RateLimits};

type Rpc = DeliveryServiceClient<Channel>;

/// What the threads of the service are called, to tell their time from the clients'.
const THREADS: &str = "served";

/// A server on threads of its own, and the devices that send to it.
struct Served {
    _runtime: Runtime,
    url: String,
}

impl Served {
    fn start(folder: &Path) -> Self {
        drop(store(&folder.join("conclave.db"), 64));
        let mut threads = Builder::new_multi_thread();
        // A thread that ends takes its count along.
        let threads = threads
            .thread_name(THREADS)
            .thread_keep_alive(Duration::from_hours(1));
        let runtime = threads.enable_all().build().unwrap();
        let mut config = Config::new(folder.to_owned());
        config.rates = without_limits();
        let server = runtime.block_on(Server::bind(config)).unwrap();
        let url = format!("http://{}", server.local_addr());
        runtime.spawn(server.run(std::future::pending()));
        Self {
            _runtime: runtime,
            url,
        }
    }

    async fn connect(&self) -> Rpc {
        let channel = Channel::from_shared(self.url.clone()).unwrap();
        DeliveryServiceClient::new(channel.connect_lazy())
    }
}

fn without_limits() -> RateLimits {
    let rate = Rate::new(Duration::from_nanos(1), 1_000_000_000);
    RateLimits {
        address_requests: rate,
        device_requests: rate,
        user_requests: rate,
        user_submissions: rate,
        ..RateLimits::default()
    }
}

/// What the service's threads have used of the processors, in microseconds.
fn micros_of_the_service() -> f64 {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let folders = threads.map(|thread| thread.unwrap().path());
    let ours = folders.filter(|it| fs::read_to_string(it.join("comm")).unwrap().trim() == THREADS);
    let nanos = ours.map(|it| {
        let stat = fs::read_to_string(it.join("schedstat")).unwrap();
        stat.split_whitespace()
            .next()
            .unwrap()
            .parse::<f64>()
            .unwrap()
    });
    nanos.sum::<f64>() / 1e3
}

fn authorized<T>(body: T, token: &str) -> tonic::Request<T> {
    let mut request = tonic::Request::new(body);
    let bearer = format!("{BEARER}{token}").parse().unwrap();
    request.metadata_mut().insert(AUTHORIZATION, bearer);
    request
}

/// A member who submits one message after the other, and a device of theirs that follows.
struct Member {
    number: u8,
    rpc: Rpc,
    token: String,
    events: tonic::Streaming<v1::StreamResponse>,
}

impl Member {
    async fn sign_in(served: &Served, number: u8) -> Self {
        let mut rpc = served.connect().await;
        let token = sign_in(&mut rpc, number).await;
        let open = v1::OpenStream {
            mailbox_after_cursor: 0,
            groups: vec![v1::FollowGroup {
                group_id: group(number).as_bytes().to_vec().into(),
                after_sequence: 0,
            }],
        };
        let open = v1::StreamRequest {
            request: Some(v1::stream_request::Request::Open(open)),
        };
        let first = tokio_stream::iter([open]);
        let waiting = tokio_stream::StreamExt::chain(first, tokio_stream::pending());
        let events = rpc.stream(authorized(waiting, &token)).await;
        Self {
            number,
            events: events.unwrap().into_inner(),
            rpc,
            token,
        }
    }

    /// Submits so many, each once the one before has come back as an entry of the log.
    async fn talk(&mut self, each: u64, drawn: &AtomicU64, is_committed: bool) {
        let message = message(group(self.number), is_committed);
        for _ in 0..each {
            let request = RequestId::from_bytes(spread(drawn.fetch_add(1, Ordering::Relaxed)));
            let body = v1::SubmitRequest {
                group_id: group(self.number).as_bytes().to_vec().into(),
                request_id: request.as_bytes().to_vec().into(),
                body: Some(v1::submit_request::Body::ApplicationMessage(
                    message.clone().into(),
                )),
            };
            let accepted = self.rpc.submit(authorized(body, &self.token)).await;
            let sequence = accepted.unwrap().into_inner().sequence;
            let entry = self.read_entry().await;
            assert_eq!(entry.sequence, sequence);
            assert_eq!(entry.frank.is_empty(), !is_committed);
        }
    }

    async fn read_entry(&mut self) -> v1::LogEntry {
        loop {
            let event = self.events.message().await.unwrap().unwrap();
            if let Some(Event::Entry(entry)) = event.event {
                return entry.entry.unwrap();
            }
        }
    }
}

/// Messages of so many members at once, each in a group of its own: processor time for each, in microseconds.
async fn talk(
    members: &mut Vec<Member>,
    each: u64,
    drawn: &Arc<AtomicU64>,
    is_committed: bool,
) -> f64 {
    let before = micros_of_the_service();
    let mut talks = tokio::task::JoinSet::new();
    let count = members.len() as f64;
    for mut member in members.drain(..) {
        let drawn = Arc::clone(drawn);
        talks.spawn(async move {
            member.talk(each, &drawn, is_committed).await;
            member
        });
    }
    members.extend(talks.join_all().await);
    (micros_of_the_service() - before) / (count * each as f64)
}

async fn measure(served: &Served, members: u8, each: u64, runs: usize) {
    let drawn = Arc::new(AtomicU64::new(u64::from(members) << 32));
    let mut talkers = Vec::new();
    for number in 1..=members {
        talkers.push(Member::sign_in(served, number).await);
    }
    let mut costs = [Vec::new(), Vec::new()];
    for _ in 0..runs {
        for (is_committed, costs) in [true, false].into_iter().zip(&mut costs) {
            costs.push(talk(&mut talkers, each, &drawn, is_committed).await);
        }
    }
    let [with, without] = costs.map(summary);
    println!(
        "{members:7}  {:6.1} / {:6.1} / {:6.1}  {:6.1} / {:6.1} / {:6.1}  {:.2}",
        with.0,
        with.1,
        with.2,
        without.0,
        without.1,
        without.2,
        with.1 / without.1
    );
}

/// What is measured passes all checks, is stamped or not as it is said to be, and is read.
#[test]
fn what_is_measured_is_stamped_and_followed() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path());
    let client = Builder::new_current_thread().enable_all().build().unwrap();
    client.block_on(measure(&served, 2, 2, 1));
}

/// What stamping adds to what a message costs the service: the same with and without a commitment, by turns.
#[test]
#[ignore = "a measurement"]
fn measure_stamping_when_served() {
    println!("writers; with franks, without: least / median / most us; ratio of medians");
    for (members, each) in [(1, 1_000), (16, 200), (64, 100)] {
        let folder = tempfile::tempdir().unwrap();
        let served = Served::start(folder.path());
        let client = Builder::new_current_thread().enable_all().build().unwrap();
        client.block_on(measure(&served, members, each, 9));
    }
}
