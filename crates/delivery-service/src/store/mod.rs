//! What the service keeps, as few transactional verbs.
//!
//! Each verb is one transaction within one group, one device or one user, so that a store can be
//! split by them. All block; the service calls them away from its event loop. Two backends pass the
//! one suite in [`contract`]: memory, for tests and simulations, and SQLite.

#[cfg(test)]
pub(crate) mod contract;
mod departure;
mod entrance;
mod instance;
mod keeping;
mod log;
mod mail;
mod memory;
mod moderation;
mod people;
mod sqlite;

use conclave_protocol::{
    DeviceCertificate, DeviceId, DeviceList, Epoch, GroupId, ReportId, RequestId, Sequence,
    UnixMillis, UserId, VerifyingKey,
};
use conclave_safety::Chained;
use thiserror::Error;

use crate::ordering::{Applied, Facts, Head, Verdict};

pub(crate) use departure::{Departure, Going, Listed};
pub(crate) use entrance::{Entrance, GroupDeletion, Invitation, NewInvitation};
pub(crate) use instance::{Instance, Shown};
pub(crate) use keeping::{Blob, BlobBegun, BlobId, Expiry, NewBlob};
pub(crate) use log::{
    Delta, Effect, Entry, EntryKind, EpochChange, NewEntry, NewGroup, NewStamp, NewWelcome, Page,
    Range, Snapshot, TreePart,
};
pub(crate) use mail::{Mail, MailboxItem, Notice, Notified, WaitingWelcome};
pub(crate) use memory::MemoryStore;
pub(crate) use moderation::{Asked, Filed, NewAudit, NewReport, ReportRow};
pub(crate) use people::{Device, Identity, Published, Registered, StockedKeyPackage, Take, Taken};
pub(crate) use sqlite::{OpenError, SqliteStore, copy};

/// The store failed; nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum StoreError {
    /// The database did not do what it was asked.
    #[error("the database failed: {0}")]
    Database(#[from] rusqlite::Error),
    /// What is stored is not what this program writes.
    #[error("the database holds something unreadable: {0}")]
    Corrupt(&'static str),
    /// More writes wait than may: nothing was done, and the caller may come back.
    #[error("the service is overloaded; try again later")]
    Overloaded,
    /// The transaction could not be made durable.
    #[error("the database did not commit")]
    NotCommitted,
}

/// What stores give.
pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Everything durable. What a verb has returned survives power loss.
pub(crate) trait Store: Send + Sync + 'static {
    /// The identity that the data was created with; `fresh` where there is none yet.
    fn identity(&self, fresh: &Identity) -> Result<Identity>;

    /// Registers a device, and its user with the first one. A renewed certificate replaces the old.
    /// Where the user has a device list, it has to name the device.
    fn register(&self, certificate: &DeviceCertificate) -> Result<Registered>;

    /// Registers a device as [`Self::register`] does, and uses the code up with the hash given. A
    /// user who is registered already needs none, for further devices either.
    fn register_with_code(
        &self,
        certificate: &DeviceCertificate,
        code_hash: &[u8; 32],
        now: UnixMillis,
    ) -> Result<Registered>;

    /// Keeps the hash of a registration code until it is used or expires, and drops those that
    /// have expired.
    fn put_registration_code(
        &self,
        code_hash: &[u8; 32],
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<()>;

    /// A registered device.
    fn device(&self, device: DeviceId) -> Result<Option<Device>>;

    /// Compares what a device's state shows with what was seen of it last, and notes it where it is
    /// the latest; whether it is. `None` for no such device.
    fn check_instance(&self, device: DeviceId, shown: &Shown) -> Result<Option<bool>>;

    /// Adds to a device's stock; what was published before, even if it was handed out since, is
    /// not added again. Drops what is expired at `now`.
    fn publish_key_packages(
        &self,
        device: DeviceId,
        packages: &[StockedKeyPackage],
        last_resort: Option<&StockedKeyPackage>,
        now: UnixMillis,
    ) -> Result<Published>;

    /// The key that certifies a user's devices; `None` for no such user.
    fn identity_key(&self, user: &UserId) -> Result<Option<VerifyingKey>>;

    /// Keeps a user's device list in the place of an earlier one, and deletes the devices that it
    /// does not name.
    fn put_device_list(&self, list: &DeviceList) -> Result<Listed>;

    /// A user's newest device list, encoded; `None` for one who has none, or is not known.
    fn device_list(&self, user: &UserId) -> Result<Option<Vec<u8>>>;

    /// Takes one package of each of a user's devices that has any, and tells those that run low.
    fn take_key_packages(&self, take: &Take<'_>) -> Result<Taken>;

    /// Makes a group; `false` where another group has the id.
    fn create_group(&self, group: &NewGroup<'_>) -> Result<bool>;

    /// What bears on a submission; `joins` is the present for an external Commit.
    fn facts(
        &self,
        group: GroupId,
        sender: DeviceId,
        request: RequestId,
        joins: Option<UnixMillis>,
    ) -> Result<Facts>;

    /// The senders of a group's entries of a kind in its current epoch, one for each entry.
    fn senders(&self, group: GroupId, kind: EntryKind) -> Result<Vec<DeviceId>>;

    /// Decides on an entry and, if it is accepted, writes it with everything that belongs to it.
    fn append(&self, entry: &NewEntry<'_>) -> Result<Verdict>;

    /// Where a log ends, and what of it a device may read, in order; `None` for no such group.
    fn access(&self, group: GroupId, device: DeviceId) -> Result<Option<(Head, Vec<Range>)>>;

    /// The groups that a device is a member of now, in order.
    fn memberships(&self, device: DeviceId) -> Result<Vec<GroupId>>;

    /// The groups that any device of a user is a member of now, or was when it was deleted and has a
    /// leaf in still, in order.
    fn groups_of_user(&self, user: &UserId) -> Result<Vec<GroupId>>;

    /// Reads entries.
    fn read_log(&self, group: GroupId, page: Page) -> Result<Vec<Entry>>;

    /// The last reports and votes of a log up to a place, at most so many, in order.
    fn words(&self, group: GroupId, up_to: Sequence, limit: usize) -> Result<Vec<Entry>>;

    /// Reads what handshake messages changed since the snapshot.
    fn read_deltas(&self, group: GroupId, page: Page) -> Result<Vec<Delta>>;

    /// The last snapshot of a group.
    fn snapshot(&self, group: GroupId) -> Result<Option<Snapshot>>;

    /// Replaces a group's snapshot by a later one, and drops the deltas that are in it.
    fn put_snapshot(&self, group: GroupId, snapshot: &Snapshot) -> Result<()>;

    /// Part `part` of the tree of an epoch that somebody was welcomed to.
    fn tree_part(&self, group: GroupId, epoch: Epoch, part: u32) -> Result<Option<TreePart>>;

    /// The epoch of the tree with this SHA-256, where a Welcome that waits needs it.
    fn tree_epoch(&self, group: GroupId, tree_hash: &[u8]) -> Result<Option<Epoch>>;

    /// The first groups in the order of their ids, after one.
    fn groups_after(&self, after: Option<GroupId>, limit: usize) -> Result<Vec<GroupId>>;

    /// The first devices in the order of their ids, after one.
    fn devices_after(&self, after: Option<DeviceId>, limit: usize) -> Result<Vec<DeviceId>>;

    /// Drops what has had its time in a group: entries, never one of a Proposal that waits;
    /// Welcomes and trees that nobody waits for; blobs. `true` where there may be more of it.
    /// Deltas stay until a snapshot holds them.
    fn expire_group(&self, group: GroupId, expiry: &Expiry) -> Result<bool>;

    /// Drops what has had its time of a device: KeyPackages, records of requests.
    fn expire_device(&self, device: DeviceId, expiry: &Expiry) -> Result<()>;

    /// Makes room for a blob that a member uploads.
    fn begin_blob(&self, new: &NewBlob) -> Result<BlobBegun>;

    /// Adds the next part, the first being 0; `false` where the upload has expired.
    fn put_blob_part(&self, id: BlobId, part: u32, bytes: &[u8]) -> Result<bool>;

    /// Lets members read a blob, of which all parts have come and hash to what was said. `false`
    /// where the upload has expired or the uploader is a member no more.
    fn finish_blob(&self, id: BlobId, uploader: DeviceId, expires: UnixMillis) -> Result<bool>;

    /// Gives an upload up.
    fn drop_blob(&self, id: BlobId) -> Result<()>;

    /// A blob of a group by its SHA-256.
    fn blob(&self, group: GroupId, hash: &[u8; 32], now: UnixMillis) -> Result<Option<Blob>>;

    /// A part of a blob.
    fn blob_part(&self, id: BlobId, part: u32) -> Result<Option<Vec<u8>>>;

    /// Reads a mailbox after a cursor.
    fn read_mailbox(&self, device: DeviceId, after: u64, limit: usize) -> Result<Vec<MailboxItem>>;

    /// Drops what a device has made durable.
    fn acknowledge_mailbox(&self, device: DeviceId, up_to: u64) -> Result<()>;

    /// Puts a notice into a device's mailbox.
    fn notify(&self, device: DeviceId, notice: &Notice) -> Result<Notified>;

    /// What a device that wants to join by an external Commit has to know; `None` for no such
    /// group.
    fn entrance(
        &self,
        group: GroupId,
        device: DeviceId,
        now: UnixMillis,
    ) -> Result<Option<Entrance>>;

    /// Makes an invitation, the same again too; `false` where the group has too many.
    fn create_invitation(&self, new: &NewInvitation<'_>, now: UnixMillis) -> Result<bool>;

    /// Notes who asks by an invitation, unless somebody did before; `None` where none is good.
    fn redeem_invitation(
        &self,
        group: GroupId,
        token_hash: &[u8; 32],
        asker: DeviceId,
        now: UnixMillis,
    ) -> Result<Option<Invitation>>;

    /// Lets the device that asked in, by a member's signed word; `false` where it did not ask.
    fn approve_invitation(
        &self,
        group: GroupId,
        token_hash: &[u8; 32],
        asker: DeviceId,
        approval: &[u8],
        now: UnixMillis,
    ) -> Result<bool>;

    /// Who of a group is about to go.
    fn going(&self, group: GroupId) -> Result<Going>;

    /// Deletes a device and all that is kept for it. Its leaves wait to be removed by members; until
    /// then, other devices of its user may come into those groups by an external Commit.
    fn delete_device(&self, device: DeviceId) -> Result<Departure>;

    /// Deletes a user with all devices.
    fn delete_user(&self, user: &UserId) -> Result<Departure>;

    /// Deletes a group if no other user's device is a member.
    fn delete_group(&self, group: GroupId, caller: DeviceId) -> Result<GroupDeletion>;

    /// Where a group's log ends, and where devices of a user may read in it or might, those that are deleted too, in
    /// order; `None` for no such group.
    fn stays(&self, group: GroupId, user: &UserId) -> Result<Option<(Sequence, Vec<Range>)>>;

    /// Keeps a report; the same again changes nothing.
    fn put_report(&self, new: &NewReport<'_>) -> Result<Filed>;

    /// A report's summary and body.
    fn report(&self, report: ReportId) -> Result<Option<(Vec<u8>, Vec<u8>)>>;

    /// The first reports after a number; those that were decided on only where they are wanted.
    fn reports(&self, after: u64, limit: usize, with_decided: bool) -> Result<Vec<ReportRow>>;

    /// The messages of a group that a user has reported, in order.
    fn reported(&self, user: &UserId, group: GroupId) -> Result<Vec<Sequence>>;

    /// Drops reports that came before a moment and were decided on.
    fn expire_reports(&self, received_before: UnixMillis) -> Result<()>;

    /// Adds an entry to the audit log, with what belongs to it. The devices that are told; `None` where the entry is
    /// not the next one.
    fn append_audit(&self, new: &NewAudit<'_>) -> Result<Option<Vec<DeviceId>>>;

    /// What became of an earlier request of a device.
    fn applied(&self, sender: DeviceId, request: RequestId) -> Result<Option<Applied>>;

    /// The first entries about one report after a number.
    fn audit_about(&self, report: ReportId, after: u64, limit: usize) -> Result<Vec<Chained>>;

    /// The first entries of the audit log after a number.
    fn audit(&self, after: u64, limit: usize) -> Result<Vec<Chained>>;
}
