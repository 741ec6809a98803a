//! The store in one SQLite file: WAL, every transaction synced, one writer, readers beside it.
//!
//! All writes pass through [`SqliteStore::write`] and all reads through [`SqliteStore::read`]. The
//! verbs stand in files of their own, as functions of a connection.

mod accounts;
mod backup;
mod blobs;
mod columns;
mod connection;
mod deletion;
mod franks;
mod groups;
mod instances;
mod invitations;
mod lists;
mod log;
mod mailbox;
mod moderation;
mod notices;
mod retention;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;

use conclave_protocol::{
    DeviceCertificate, DeviceId, DeviceList, Epoch, GroupId, ReportId, RequestId, Sequence,
    UnixMillis, UserId, VerifyingKey,
};
use conclave_safety::Chained;
use rusqlite::Connection;

use super::{
    Blob, BlobBegun, BlobId, Delta, Departure, Device, Entrance, Entry, EntryKind, Expiry, Filed,
    Going, GroupDeletion, Identity, Invitation, Listed, MailboxItem, NewAudit, NewBlob, NewEntry,
    NewGroup, NewInvitation, NewReport, Notice, Notified, Page, Published, Range, Registered,
    ReportRow, Result, Shown, Snapshot, StockedKeyPackage, Store, Take, Taken, TreePart,
};
use crate::metrics::Commits;
use crate::ordering::{Applied, Facts, Head, Verdict};
use connection::Readers;
use franks::Recent;
use writer::{Transaction, Writer};

pub(crate) use backup::copy;
pub(crate) use connection::OpenError;

/// The store in one file.
pub(crate) struct SqliteStore {
    // Closed before the writer, which then moves what the write-ahead log holds into the file: a
    // connection that only reads could not.
    readers: Readers,
    writer: Writer,
    recent: Recent,
}

impl SqliteStore {
    /// Opens the database, made or brought up to date where needed.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self {
            writer: Writer::new(connection::open_writer(path)?),
            readers: Readers::new(path),
            recent: Recent::default(),
        })
    }

    /// What its commits take.
    pub(crate) fn commits(&self) -> Commits {
        self.writer.commits()
    }

    /// Runs one write transaction, committed together with those that wait behind it.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.writer.write(work)
    }

    /// Runs reads that see one state of the database.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.readers.with(|connection| {
            let transaction = connection.unchecked_transaction()?;
            work(&transaction)
        })
    }
}

/// A writer with nothing around it, to measure against.
#[cfg(test)]
impl SqliteStore {
    pub(crate) fn prepare_bare(&self) {
        let table = "CREATE TABLE bare (group_id BLOB, sequence INTEGER, message BLOB,
                     PRIMARY KEY (group_id, sequence)) STRICT";
        self.write(|db| Ok(db.execute_batch(table)?)).unwrap();
    }

    pub(crate) fn append_bare(&self, group: GroupId, message: &[u8]) -> Result<()> {
        self.write(|db| {
            db.prepare_cached(
                "INSERT INTO bare SELECT ?1, coalesce(max(sequence), 0) + 1, ?2 FROM bare
                 WHERE group_id = ?1",
            )?
            .execute(rusqlite::params![group.as_bytes(), message])?;
            Ok(())
        })
    }
}

impl Store for SqliteStore {
    fn identity(&self, fresh: &Identity) -> Result<Identity> {
        self.write(|db| accounts::identity(db, fresh))
    }

    fn register(&self, certificate: &DeviceCertificate) -> Result<Registered> {
        self.write(|db| accounts::register(db, certificate))
    }

    fn register_with_code(
        &self,
        certificate: &DeviceCertificate,
        code_hash: &[u8; 32],
        now: UnixMillis,
    ) -> Result<Registered> {
        self.write(|db| accounts::register_with_code(db, certificate, code_hash, now))
    }

    fn put_registration_code(
        &self,
        code_hash: &[u8; 32],
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<()> {
        self.write(|db| accounts::put_registration_code(db, code_hash, expires, now))
    }

    fn device(&self, device: DeviceId) -> Result<Option<Device>> {
        self.read(|db| accounts::device(db, device))
    }

    fn check_instance(&self, device: DeviceId, shown: &Shown) -> Result<Option<bool>> {
        self.write(|db| instances::check(db, device, shown))
    }

    fn publish_key_packages(
        &self,
        device: DeviceId,
        packages: &[StockedKeyPackage],
        last_resort: Option<&StockedKeyPackage>,
        now: UnixMillis,
    ) -> Result<Published> {
        self.write(|db| accounts::publish(db, device, packages, last_resort, now))
    }

    fn identity_key(&self, user: &UserId) -> Result<Option<VerifyingKey>> {
        self.read(|db| accounts::identity_key(db, user))
    }

    fn put_device_list(&self, list: &DeviceList) -> Result<Listed> {
        self.write(|db| lists::put(db, list))
    }

    fn device_list(&self, user: &UserId) -> Result<Option<Vec<u8>>> {
        self.read(|db| lists::newest(db, user))
    }

    fn take_key_packages(&self, take: &Take<'_>) -> Result<Taken> {
        self.write(|db| accounts::take(db, take))
    }

    fn create_group(&self, group: &NewGroup<'_>) -> Result<bool> {
        self.write(|db| groups::create(db, group))
    }

    fn facts(
        &self,
        group: GroupId,
        sender: DeviceId,
        request: RequestId,
        joins: Option<UnixMillis>,
    ) -> Result<Facts> {
        self.read(|db| log::facts(db, group, sender, request, joins))
    }

    fn senders(&self, group: GroupId, kind: EntryKind) -> Result<Vec<DeviceId>> {
        self.read(|db| log::senders(db, group, kind))
    }

    fn append(&self, entry: &NewEntry<'_>) -> Result<Verdict> {
        self.write(|db| log::append(db, entry))
    }

    fn access(&self, group: GroupId, device: DeviceId) -> Result<Option<(Head, Vec<Range>)>> {
        self.read(|db| groups::access(db, group, device))
    }

    fn memberships(&self, device: DeviceId) -> Result<Vec<GroupId>> {
        self.read(|db| groups::memberships(db, device))
    }

    fn groups_of_user(&self, user: &UserId) -> Result<Vec<GroupId>> {
        self.read(|db| groups::groups_of_user(db, user))
    }

    fn read_log(&self, group: GroupId, page: Page) -> Result<Vec<Entry>> {
        self.read(|db| log::read(db, group, page, &self.recent))
    }

    fn words(&self, group: GroupId, up_to: Sequence, limit: usize) -> Result<Vec<Entry>> {
        self.read(|db| log::words(db, group, up_to, limit))
    }

    fn read_deltas(&self, group: GroupId, page: Page) -> Result<Vec<Delta>> {
        self.read(|db| groups::read_deltas(db, group, page))
    }

    fn snapshot(&self, group: GroupId) -> Result<Option<Snapshot>> {
        self.read(|db| groups::snapshot(db, group))
    }

    fn put_snapshot(&self, group: GroupId, snapshot: &Snapshot) -> Result<()> {
        self.write(|db| groups::put_snapshot(db, group, snapshot))
    }

    fn tree_part(&self, group: GroupId, epoch: Epoch, part: u32) -> Result<Option<TreePart>> {
        self.read(|db| groups::tree_part(db, group, epoch, part))
    }

    fn read_mailbox(&self, device: DeviceId, after: u64, limit: usize) -> Result<Vec<MailboxItem>> {
        self.read(|db| mailbox::read(db, device, after, limit))
    }

    fn acknowledge_mailbox(&self, device: DeviceId, up_to: u64) -> Result<()> {
        self.write(|db| mailbox::acknowledge(db, device, up_to))
    }

    fn tree_epoch(&self, group: GroupId, tree_hash: &[u8]) -> Result<Option<Epoch>> {
        self.read(|db| groups::tree_epoch(db, group, tree_hash))
    }

    fn groups_after(&self, after: Option<GroupId>, limit: usize) -> Result<Vec<GroupId>> {
        self.read(|db| retention::groups_after(db, after, limit))
    }

    fn devices_after(&self, after: Option<DeviceId>, limit: usize) -> Result<Vec<DeviceId>> {
        self.read(|db| retention::devices_after(db, after, limit))
    }

    fn expire_group(&self, group: GroupId, expiry: &Expiry) -> Result<bool> {
        self.write(|db| retention::expire_group(db, group, expiry))
    }

    fn expire_device(&self, device: DeviceId, expiry: &Expiry) -> Result<()> {
        self.write(|db| retention::expire_device(db, device, expiry))
    }

    fn begin_blob(&self, new: &NewBlob) -> Result<BlobBegun> {
        self.write(|db| blobs::begin(db, new))
    }

    fn put_blob_part(&self, id: BlobId, part: u32, bytes: &[u8]) -> Result<bool> {
        self.write(|db| blobs::put_part(db, id, part, bytes))
    }

    fn finish_blob(&self, id: BlobId, uploader: DeviceId, expires: UnixMillis) -> Result<bool> {
        self.write(|db| blobs::finish(db, id, uploader, expires))
    }

    fn drop_blob(&self, id: BlobId) -> Result<()> {
        self.write(|db| blobs::drop(db, id))
    }

    fn blob(&self, group: GroupId, hash: &[u8; 32], now: UnixMillis) -> Result<Option<Blob>> {
        self.read(|db| blobs::find(db, group, hash, now))
    }

    fn blob_part(&self, id: BlobId, part: u32) -> Result<Option<Vec<u8>>> {
        self.read(|db| blobs::part(db, id, part))
    }

    fn notify(&self, device: DeviceId, notice: &Notice) -> Result<Notified> {
        self.write(|db| notices::put(db, device, notice))
    }

    fn entrance(
        &self,
        group: GroupId,
        device: DeviceId,
        now: UnixMillis,
    ) -> Result<Option<Entrance>> {
        self.read(|db| invitations::entrance(db, group, device, now))
    }

    fn create_invitation(&self, new: &NewInvitation<'_>, now: UnixMillis) -> Result<bool> {
        self.write(|db| invitations::create(db, new, now))
    }

    fn redeem_invitation(
        &self,
        group: GroupId,
        token_hash: &[u8; 32],
        asker: DeviceId,
        now: UnixMillis,
    ) -> Result<Option<Invitation>> {
        self.write(|db| invitations::redeem(db, group, token_hash, asker, now))
    }

    fn approve_invitation(
        &self,
        group: GroupId,
        token_hash: &[u8; 32],
        asker: DeviceId,
        approval: &[u8],
        now: UnixMillis,
    ) -> Result<bool> {
        self.write(|db| invitations::approve(db, group, token_hash, asker, approval, now))
    }

    fn going(&self, group: GroupId) -> Result<Going> {
        self.read(|db| groups::going(db, group))
    }

    fn delete_device(&self, device: DeviceId) -> Result<Departure> {
        self.write(|db| deletion::device(db, device))
    }

    fn delete_user(&self, user: &UserId) -> Result<Departure> {
        self.write(|db| deletion::user(db, user))
    }

    fn delete_group(&self, group: GroupId, caller: DeviceId) -> Result<GroupDeletion> {
        self.write(|db| deletion::group(db, group, caller))
    }

    fn stays(&self, group: GroupId, user: &UserId) -> Result<Option<(Sequence, Vec<Range>)>> {
        self.read(|db| moderation::stays(db, group, user))
    }

    fn put_report(&self, new: &NewReport<'_>) -> Result<Filed> {
        self.write(|db| moderation::put_report(db, new))
    }

    fn report(&self, report: ReportId) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        self.read(|db| moderation::report(db, report))
    }

    fn reports(&self, after: u64, limit: usize, with_decided: bool) -> Result<Vec<ReportRow>> {
        self.read(|db| moderation::reports(db, after, limit, with_decided))
    }

    fn reported(&self, user: &UserId, group: GroupId) -> Result<Vec<Sequence>> {
        self.read(|db| moderation::reported(db, user, group))
    }

    fn expire_reports(&self, received_before: UnixMillis) -> Result<()> {
        self.write(|db| moderation::expire_reports(db, received_before))
    }

    fn append_audit(&self, new: &NewAudit<'_>) -> Result<Option<Vec<DeviceId>>> {
        self.write(|db| moderation::append_audit(db, new))
    }

    fn applied(&self, sender: DeviceId, request: RequestId) -> Result<Option<Applied>> {
        self.read(|db| log::earlier(db, sender, request))
    }

    fn audit_about(&self, report: ReportId, after: u64, limit: usize) -> Result<Vec<Chained>> {
        self.read(|db| moderation::audit_about(db, report, after, limit))
    }

    fn audit(&self, after: u64, limit: usize) -> Result<Vec<Chained>> {
        self.read(|db| moderation::audit(db, after, limit))
    }
}
