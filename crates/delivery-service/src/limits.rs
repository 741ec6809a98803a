//! The bounds that only the service needs; what both ends agree on is in
//! [`conclave_protocol::limits`].

use std::time::Duration;

use conclave_protocol::limits::{BLOB_BYTES_MAX, USERS_ENOUGH};

/// Group states in memory. One of 10,000 members has some 10 MB; the rest comes from its snapshot.
pub(crate) const FOLLOWERS_CACHED_MAX: usize = 64;

/// Groups whose rules are in memory, for those who send: mostly some 100 bytes each. Those of another
/// come from its follower, once an epoch.
pub(crate) const RULES_CACHED_MAX: usize = 16_384;

/// Devices whose users are in memory, for stamps: some 100 bytes each.
pub(crate) const SENDERS_CACHED_MAX: usize = 65_536;

/// Batches of stamps in memory, at most 16 KiB each, for those who read what was just appended together.
pub(crate) const FRANK_BATCHES_CACHED_MAX: usize = 64;

/// Signatures over the stamps of a page that a reader checks one by one, however few stamps they are for.
pub(crate) const SIGNATURES_PER_PAGE_MAX: usize = 3;

/// How many stamps of a page have to share a signature, on average, for it to be given as it is: to look at each again
/// would then cost the service more than the signatures cost a reader.
pub(crate) const STAMPS_PER_SIGNATURE_MIN: usize = 16;

/// Stamping keys before the next one that the service shows: those of all weeks that the log may reach back to.
pub(crate) const STAMPING_KEYS_SHOWN: u64 = 6;

/// Commits between two snapshots of a group's state: what a restart replays at most per group,
/// against writing the whole tree, 4.3 MB at 10,000 members.
pub(crate) const COMMITS_PER_SNAPSHOT: u64 = 64;

/// How often a handshake message is checked again because another node appended one in between.
pub(crate) const HANDSHAKE_ATTEMPTS_MAX: usize = 3;

/// Challenges that were answered and are not expired: what one node can take in a minute.
pub(crate) const USED_CHALLENGES_MAX: usize = 100_000;

/// Users whose KeyPackages one request takes.
pub(crate) const USERS_PER_TAKE_MAX: usize = conclave_protocol::limits::ADDS_PER_COMMIT_MAX;

/// Who may read the metrics at one moment: few do, and a number is no reason to be slow to others.
pub(crate) const METRICS_CONNECTIONS_MAX: usize = 8;

/// Bytes that a request for the metrics may have: as little as the HTTP library allows.
pub(crate) const METRICS_HEADER_BYTES_MAX: usize = 8 * 1024;

/// How long somebody may take to ask for the metrics and to read them.
pub(crate) const METRICS_TIMEOUT: Duration = Duration::from_secs(10);

/// What is waited when the system has no room for another connection.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Requests that work on the store or on MLS at one moment.
pub(crate) const JOBS_MAX: usize = 64;

/// Requests that wait for their turn to work. Those beyond are told to come back: who waits longer
/// than a second or two has often given up when the turn comes.
pub(crate) const JOBS_WAITING_MAX: usize = 1024;

/// Live streams that read the store at one moment, besides the requests: a message to many wakes
/// them all at once, and requests must not stand in that queue.
pub(crate) const STREAM_JOBS_MAX: usize = 8;

/// When to come back, for those who found no place to wait.
pub(crate) const OVERLOAD_RETRY: Duration = Duration::from_secs(1);

/// Addresses, devices or users whose allowances are remembered one by one: some 100 MB.
pub(crate) const RATE_KEYS_MAX: usize = 1_000_000;

/// How often allowances that are full again are forgotten.
pub(crate) const RATES_TIDIED_EVERY: Duration = Duration::from_secs(10);

/// Connections at one moment, where the operator says nothing: each takes some 30 KiB.
pub(crate) const CONNECTIONS_MAX: usize = 20_000;

/// Connections from one address at one moment, where the operator says nothing: an office has one
/// address.
pub(crate) const CONNECTIONS_PER_ADDRESS_MAX: usize = 512;

/// How long a new connection may take for its TLS handshake, and then for its first words.
pub(crate) const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request that needs no token: a certificate and two signatures.
pub(crate) const OPEN_BODY_BYTES_MAX: usize = 16 * 1024;

/// Bytes of requests without a token that are in memory at one moment.
pub(crate) const OPEN_BODIES_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of a request that carries no message for a group: a stock of KeyPackages is the largest.
pub(crate) const SMALL_BODY_BYTES_MAX: usize = 1024 * 1024;

/// Bytes that a client may say on one live stream in all its life: to follow 100,000 groups. One
/// with more to say opens another.
pub(crate) const STREAM_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes that a client may send to keep one attachment: the largest has 64 MiB, and its framing.
pub(crate) const BLOB_BODY_BYTES_MAX: usize = 80 * 1024 * 1024;

/// Bytes of requests with a token that are in memory at one moment.
pub(crate) const SIGNED_BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How long nothing of an answer or upload may come or go. A part has up to 256 KiB, which takes the
/// slowest client 16 s.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// The slowest speed of an answer or upload: that of a bad telephone line.
pub(crate) const TRANSFER_BYTES_PER_SECOND_MIN: u64 = 16 * 1024;

/// Bytes of an answer that are handed to the transport at once: whether its reader gets on shows each
/// time that it is rid of so many.
pub(crate) const ANSWER_PIECE_BYTES: usize = 64 * 1024;

/// How long a live stream may take to say which groups it follows.
pub(crate) const STREAM_OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the reader of a live stream may take for one event. Who is slower than that reads pages.
pub(crate) const EVENT_READ_TIMEOUT: Duration = Duration::from_mins(1);

/// Bytes of a log's last entries that are kept ready for live streams.
pub(crate) const TAIL_BYTES_MAX: usize = 64 * 1024;

/// Groups whose last entries are kept ready for live streams.
pub(crate) const TAILS_MAX: usize = 1024;

/// Live streams of one device: programs that share a home, and connections that died unseen.
pub(crate) const STREAMS_PER_DEVICE_MAX: usize = 4;

/// Connections that read the database at one moment.
pub(crate) const READERS_MAX: usize = 8;

/// KiB of pages that a connection which reads keeps to itself: the upper part of the trees. What is
/// below, the system keeps once for all of them.
pub(crate) const READER_CACHE_KIB: i64 = 256;

/// Writes that wait for their turn: more than there are jobs, so that only a defect reaches it.
pub(crate) const WRITES_QUEUED_MAX: usize = 4 * JOBS_MAX;

/// Writes in one commit: enough to make the disk's share small, and few enough that the first does
/// not wait long for the last.
pub(crate) const WRITES_PER_COMMIT_MAX: usize = 256;

/// Prepared statements that one connection keeps: all there are, and some room.
pub(crate) const STATEMENTS_MAX: usize = 128;

/// Log entries that retention drops in one transaction: what others then wait for is short.
pub(crate) const EXPIRED_PER_TRANSACTION_MAX: usize = 256;

/// Groups or devices that retention lists at once.
pub(crate) const EXPIRY_PAGE: usize = 256;

/// How often what has had its time is dropped, where the configuration says nothing else.
pub(crate) const RETENTION_INTERVAL: Duration = Duration::from_mins(10);

/// How long what came of an upload is kept until it is whole: longer than the largest takes at the
/// slowest speed.
pub(crate) const UPLOAD_LIFETIME: Duration = Duration::from_hours(2);

const _: () = assert!(
    BLOB_BYTES_MAX / TRANSFER_BYTES_PER_SECOND_MIN + IDLE_TIMEOUT.as_secs()
        < UPLOAD_LIFETIME.as_secs()
);

/// Events of one live stream that wait for its reader; everything else waits in the store.
pub(crate) const STREAM_EVENTS_MAX: usize = 16;

/// Entries that a live stream reads at once: a turn short enough for its other groups.
pub(crate) const STREAM_PAGE_ENTRIES: usize = 64;

/// Bytes that a live stream reads at once, unless one entry is larger.
pub(crate) const STREAM_PAGE_BYTES: usize = 256 * 1024;

/// Requests that one connection has open at one moment.
pub(crate) const REQUESTS_PER_CONNECTION_MAX: u32 = 256;

/// Bytes of a request's headers: a token has 112.
pub(crate) const HEADER_BYTES_MAX: u32 = 8 * 1024;

/// How long one request may take until its answer begins, its body included. Uploads of attachments
/// may last as long as they get on.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a silent connection is probed, and how long the answer may take.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(20);

/// How long running requests may go on after the server was told to stop.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a write waits for another process's lock on the database, such as a backup's.
pub(crate) const DATABASE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes that a client may send on one request before the service has read them.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;

/// Bytes that a client may send on one connection before the service has read them.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// Requests that a client may break off before the service has seen them, on one connection.
pub(crate) const RESETS_MAX: usize = 128;

/// KeyPackages of one device that one user's devices may take within [`TAKES_WINDOW`]: fewer than
/// the device keeps in stock, so that nobody alone drives it to its last-resort one.
pub(crate) const TAKES_PER_REQUESTER_MAX: usize = 24;

/// How long a KeyPackage that was taken counts: a device that is told fills its stock far sooner.
pub(crate) const TAKES_WINDOW: Duration = Duration::from_hours(1);

/// Notices that wait for one device: as many as others can make it read.
pub(crate) const NOTICES_PER_DEVICE_MAX: usize = 256;

/// Invitations of one group that have not expired.
pub(crate) const INVITATIONS_PER_GROUP_MAX: usize = 1000;

/// Reports of Commits that a group's log takes in one epoch, from as many devices: enough to show
/// that it is not one member's fault, and few enough that a large group is not flooded by them.
pub(crate) const REPORTS_PER_EPOCH_MAX: usize = 64;

// Enough users are heard where each reports from two devices.
const _: () = assert!(REPORTS_PER_EPOCH_MAX >= 2 * USERS_ENOUGH);

/// Votes for successors that a group's log takes in one epoch: enough for those that are needed,
/// where many vote at the same moment.
pub(crate) const VOTES_PER_EPOCH_MAX: usize = 8 * USERS_ENOUGH;

/// Reports and votes that who has just joined is given: those of the last epochs in which many spoke.
pub(crate) const WORDS_PER_PAGE_MAX: usize = 2 * (REPORTS_PER_EPOCH_MAX + VOTES_PER_EPOCH_MAX);

/// Votes of one device among them: several may have made a successor at the same moment.
pub(crate) const VOTES_PER_DEVICE_MAX: usize = 4;

/// Devices that are tried for an intent: enough that one is a member and has room in its mailbox.
pub(crate) const COMMITTERS_ASKED_MAX: usize = 16;

/// Signals of others that wait for one live stream: more of them are of no interest together.
pub(crate) const SIGNALS_WAITING_MAX: usize = 16;

/// Reports that wait for a decision: more than a handful of moderators ever gets through.
pub(crate) const OPEN_REPORTS_MAX: usize = 10_000;

/// Those of one reporter among them: who has more to say waits until somebody has looked.
pub(crate) const OPEN_REPORTS_PER_USER_MAX: usize = 32;

/// How long a report is kept that was decided on, counted from when it came: as long as somebody may appeal or
/// go to court. What it shows was said in confidence.
pub(crate) const REPORTS_KEPT: Duration = Duration::from_hours(365 * 24);

/// Entries of a log that are looked through for one window of a report: a window is of messages that follow each
/// other, with a few Commits in between.
pub(crate) const GAP_ENTRIES_MAX: usize = 256;

/// Reports in one page: a screen or two.
pub(crate) const REPORTS_PAGE: usize = 50;

/// Entries of the audit log in one page, with the longest reasons a megabyte.
pub(crate) const AUDIT_PAGE: usize = 100;

/// How often an act of a moderator is tried again because another came first.
pub(crate) const AUDIT_ATTEMPTS_MAX: usize = 8;

/// How often somebody who was slowed down may send: enough to answer, and too little to flood a group.
pub(crate) const SLOWED_EVERY: Duration = Duration::from_secs(30);

/// Messages that somebody who was slowed down may send at once after a pause.
pub(crate) const SLOWED_BURST: u32 = 3;
