//! Every bound that both ends must agree on, each with its reason.

use std::time::Duration;

/// Characters in each part of `name@domain`: DNS labels and login names fit.
pub const USER_PART_CHARS_MAX: usize = 64;

/// Bytes of an encoded device certificate. One has about 260; the rest is room for later versions.
pub const CERTIFICATE_BYTES_MAX: usize = 1024;

/// How long a device certificate is valid. A leaf's key never changes, so a device that is in use
/// gets a new certificate for the same key long before.
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_hours(2 * 365 * 24);

/// How far a certificate's start lies before the moment it is made, for clocks that run behind.
pub const CLOCK_SKEW: Duration = Duration::from_hours(1);

/// Bytes of one application message as it is encrypted, padding included: text, not files. A power
/// of two, so that the largest bucket is used up.
pub const CONTENT_BYTES_MAX: usize = 64 * 1024;

/// Bytes of the smallest size to which content is padded: most of what people write fits.
pub const CONTENT_BUCKET_BYTES_MIN: usize = 256;

/// Parts of one text that name users.
pub const MENTIONS_MAX: usize = 64;

/// Attachments of one message: a handful of pictures.
pub const ATTACHMENTS_MAX: usize = 16;

/// Bytes of an attachment's name: what file systems take.
pub const ATTACHMENT_NAME_BYTES_MAX: usize = 255;

/// Bytes of an attachment's media type; the registered ones have less.
pub const MEDIA_TYPE_BYTES_MAX: usize = 127;

/// Bytes of a reaction: the longest emoji have about 35.
pub const REACTION_BYTES_MAX: usize = 64;

/// Reactions of one user to one message; further ones do not count.
pub const REACTIONS_PER_USER_MAX: usize = 8;

/// The longest time after which a message may expire.
pub const MESSAGE_EXPIRY_MAX: Duration = Duration::from_hours(365 * 24);

/// Bytes of a signal: the one that there is has 121.
pub const SIGNAL_BYTES_MAX: usize = 256;

/// How far a signal's time may be from its receiver's clock: it is of the moment, and clocks differ.
pub const SIGNAL_SKEW: Duration = Duration::from_secs(30);

/// Users in a group up to which receipts are sent: each is an entry that all others read.
pub const RECEIPT_MEMBERS_MAX: usize = 32;

/// Characters of a group's name: it must fit in a terminal line.
pub const GROUP_NAME_CHARS_MAX: usize = 80;

/// Bytes of a group's description: it goes to everybody who joins, in one message.
pub const DESCRIPTION_BYTES_MAX: usize = 2 * 1024;

/// Bytes of a group's picture: it is shown small, and everybody fetches it.
pub const PICTURE_BYTES_MAX: u64 = 512 * 1024;

/// Users of one group who are more than members: with the longest names, their list leaves room in
/// [`GROUP_CONTEXT_BYTES_MAX`].
pub const ROLES_MAX: usize = 24;

/// Bytes of one KeyPackage as an MLSMessage. Ours have about 600; certificates may grow.
pub const KEY_PACKAGE_BYTES_MAX: usize = 4 * 1024;

/// How long a KeyPackage may be used to add its device (RFC 9420 §7.2). OpenMLS checks it against
/// the wall clock, so it is long, and the service hands out only packages with
/// [`KEY_PACKAGE_REMAINING_MIN`] left.
pub const KEY_PACKAGE_LIFETIME: Duration = Duration::from_hours(84 * 24);

/// What a KeyPackage must still have to live when the service admits it or hands it out. Commits
/// are kept for less than this, so no member meets an expired leaf while catching up.
pub const KEY_PACKAGE_REMAINING_MIN: Duration = Duration::from_hours(30 * 24);

/// How long a log entry is kept at most: shorter than [`KEY_PACKAGE_REMAINING_MIN`], so that no
/// member catching up meets a leaf that has expired since it was added.
pub const LOG_AGE_MAX: Duration = Duration::from_hours(28 * 24);

/// Bytes of one attachment: a short film. It is in memory nowhere.
pub const BLOB_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Devices of one user: each takes a leaf in every group and is added with all the others.
pub const DEVICES_PER_USER_MAX: usize = 32;

/// Bytes of a device list: as many devices as a user may have, with the longest name.
pub const DEVICE_LIST_BYTES_MAX: usize = 2 * 1024;

/// Users whose device lists are fetched at once: half a megabyte.
pub const DEVICE_LISTS_PER_FETCH_MAX: usize = 256;

/// KeyPackages that a device keeps in stock at the service.
pub const KEY_PACKAGE_STOCK: usize = 32;

/// Below this many the service tells the device to publish more: half of the stock, so that others
/// can go on adding the device meanwhile.
pub const KEY_PACKAGE_STOCK_LOW: usize = KEY_PACKAGE_STOCK / 2;

/// KeyPackages in one request or one user's stock per device.
pub const KEY_PACKAGES_MAX: usize = 128;

/// Bytes of the encoded GroupContext extensions: every message's signature covers them.
pub const GROUP_CONTEXT_BYTES_MAX: usize = 4 * 1024;

/// Bytes of one log entry that carries an application message: content, padding and framing.
pub const APPLICATION_MESSAGE_BYTES_MAX: usize = 96 * 1024;

/// Messages that one signature makes reportable: the way to the root has ten hashes then, 320 bytes.
pub const FRANKS_PER_BATCH_MAX: usize = 1024;

/// Messages in one report, those around the reported ones included: what a person looks through.
pub const REPORTED_MESSAGES_MAX: usize = 64;

/// Bytes of the evidence in one report: all its messages at the common sizes, or seven of the largest.
pub const REPORT_BYTES_MAX: usize = 512 * 1024;

/// Characters of what a reporter, a moderator or somebody who appeals says.
pub const MODERATION_TEXT_CHARS_MAX: usize = 2_000;

/// Bytes of one Commit or Proposal. A Commit in a blank tree carries one ciphertext a member, about
/// 80 bytes each, and a bulk add one KeyPackage for each joiner.
pub const COMMIT_BYTES_MAX: usize = 12 * 1024 * 1024;

/// Bytes of a Welcome as its committer uploads it: about 330 for each joiner.
pub const WELCOME_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of a GroupInfo without the ratchet tree.
pub const GROUP_INFO_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a ratchet tree as an extension: 2.7 MB at 10,000 members.
pub const RATCHET_TREE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Devices that one Commit may add: what keeps its size and checking time within a second or two.
pub const ADDS_PER_COMMIT_MAX: usize = 1000;

/// Bytes of one gRPC message: a Commit with its Welcome and GroupInfo, and some framing.
pub const RPC_MESSAGE_BYTES_MAX: usize =
    COMMIT_BYTES_MAX + WELCOME_BYTES_MAX + GROUP_INFO_BYTES_MAX + 64 * 1024;

/// Bytes in one part of a streamed tree: large enough to be cheap, small enough to interleave.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// Log entries in one page.
pub const PAGE_ENTRIES_MAX: usize = 500;

/// Bytes of entries in one page, unless a single entry is larger.
pub const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Groups that one live stream may follow.
pub const FOLLOWED_GROUPS_MAX: usize = 10_000;

/// How long a signed challenge may be used.
pub const CHALLENGE_LIFETIME: Duration = Duration::from_secs(60);

/// How long a token authenticates its device.
pub const TOKEN_LIFETIME: Duration = Duration::from_mins(15);

/// How long the service remembers a request id: longer than any client keeps retrying.
pub const IDEMPOTENCY_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// Messages of one sender that may be overtaken by later ones and still be decrypted. The log keeps
/// an order, so only what its sender submitted at the same moment can change places.
pub const OUT_OF_ORDER_GENERATIONS_MAX: u32 = 16;

/// Messages of one sender, in one epoch, that may be missing before the next one: those that it
/// encrypted and could not submit. Each costs a receiver a key derivation.
pub const FORWARD_GENERATIONS_MAX: u32 = 1000;

/// Bytes of the franking item in a message's authenticated data: a commitment and its version.
pub const FRANKING_ITEM_BYTES_MAX: usize = 256;

/// Bytes of an intent that is handed to another member: the names of as many users as one Commit
/// adds.
pub const INTENT_BYTES_MAX: usize = 160 * 1024;

/// How long a member has to commit an intent that was handed to it; then whoever asked asks again.
pub const INTENT_LIFETIME: Duration = Duration::from_mins(10);

/// Devices that whoever hands over an intent passes over: more than it asks before it does the thing itself.
pub const PASSED_OVER_MAX: usize = 8;

/// Bytes of an invitation's token: nobody guesses it.
pub const INVITATION_TOKEN_BYTES: usize = 32;

/// How long an invitation may last: long enough for somebody who is on holiday.
pub const INVITATION_LIFETIME_MAX: Duration = Duration::from_hours(30 * 24);

/// How far ahead the expiry of a signed deletion of a user may lie, so that what was signed once
/// can't be used long after.
pub const USER_DELETION_LIFETIME_MAX: Duration = Duration::from_mins(10);

/// Users whose word is enough to say that a Commit can't be processed, or that a group goes on as
/// another, where most of its members would be more: those who read so many need not read thousands.
pub const USERS_ENOUGH: usize = 32;

/// How long after a Commit reports of it count: long enough for members who are away over a weekend.
/// The Commit is kept for longer than that ([`LOG_AGE_MAX`]).
pub const REPORTS_COUNT_FOR: Duration = Duration::from_hours(7 * 24);
