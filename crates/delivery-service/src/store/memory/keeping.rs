//! What is kept for a time.

use conclave_protocol::{DeviceId, GroupId, UnixMillis, UserId};

use super::{Group, State};
use crate::store::{Blob, BlobBegun, BlobId, EntryKind, Expiry, Mail, NewBlob};

/// An attachment, also one that is not complete.
pub(super) struct BlobState {
    group: GroupId,
    hash: [u8; 32],
    user: UserId,
    expires: UnixMillis,
    parts: Vec<Vec<u8>>,
    is_complete: bool,
    blob: Blob,
}

impl Group {
    fn expire_log(&mut self, expiry: &Expiry) {
        let bytes = |group: &Self| -> usize { group.log.iter().map(|e| e.message.len()).sum() };
        while let Some(oldest) = self.log.first() {
            let waits = oldest.kind == EntryKind::Proposal && oldest.epoch == self.head.epoch;
            let is_old = oldest.accepted < expiry.log_before;
            if waits || !(is_old || bytes(self) as u64 > expiry.log_bytes_max) {
                break;
            }
            self.log.remove(0);
        }
    }
}

impl State {
    pub(super) fn expire_group(&mut self, id: GroupId, expiry: &Expiry) {
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        group.expire_log(expiry);
        let mut wanted = Vec::new();
        for device in self.devices.values_mut() {
            device.mailbox.retain(|item| match &item.mail {
                Mail::Welcome(welcome) if welcome.group == id => {
                    let stays = welcome.receipt.accepted >= expiry.log_before;
                    wanted.extend(stays.then_some(welcome.epoch));
                    stays
                }
                _ => true,
            });
        }
        group.trees.retain(|epoch, _| wanted.contains(epoch));
        self.blobs
            .retain(|_, blob| blob.group != id || blob.expires > expiry.now);
    }

    pub(super) fn expire_device(&mut self, id: DeviceId, expiry: &Expiry) {
        let Some(device) = self.devices.get_mut(&id) else {
            return;
        };
        let now = expiry.now.as_seconds();
        device
            .stock
            .retain(|package| package.expires_seconds >= now);
        device.last_resort = device
            .last_resort
            .take()
            .filter(|p| p.expires_seconds >= now);
        self.requests.retain(|(sender, _), applied| {
            *sender != id || applied.receipt.accepted >= expiry.requests_before
        });
        self.handouts
            .retain(|(taker, _, _), (_, at)| *taker != id || *at >= expiry.requests_before);
    }

    pub(super) fn begin_blob(&mut self, new: &NewBlob) -> BlobBegun {
        let Some(group) = self.groups.get(&new.group) else {
            return BlobBegun::UnknownGroup;
        };
        let device = self.devices.get(&new.uploader);
        let Some(device) = device.filter(|_| group.has(new.uploader)) else {
            return BlobBegun::NotMember;
        };
        let user = device.device.address.user.clone();
        let of_user = self.blobs.values().filter(|blob| blob.user == user);
        let stored: u64 = of_user.map(|blob| blob.blob.total_bytes).sum();
        if stored + new.total_bytes > new.quota_bytes {
            return BlobBegun::OverQuota;
        }
        self.last_blob += 1;
        let id = BlobId(self.last_blob);
        let state = BlobState {
            group: new.group,
            hash: new.content_hash,
            user,
            expires: new.expires,
            parts: Vec::new(),
            is_complete: false,
            blob: Blob {
                id,
                total_bytes: new.total_bytes,
                places: [group.head.sequence; 2],
            },
        };
        self.blobs.insert(id, state);
        BlobBegun::Upload(id)
    }

    pub(super) fn put_blob_part(&mut self, id: BlobId, bytes: &[u8]) -> bool {
        let blob = self.blobs.get_mut(&id).filter(|blob| !blob.is_complete);
        blob.map(|blob| blob.parts.push(bytes.to_vec())).is_some()
    }

    pub(super) fn finish_blob(
        &mut self,
        id: BlobId,
        uploader: DeviceId,
        expires: UnixMillis,
    ) -> bool {
        if self.blobs.get(&id).is_none_or(|blob| blob.is_complete) {
            return false;
        }
        let Some(mut fresh) = self.blobs.remove(&id) else {
            return false;
        };
        let group = self.groups.get(&fresh.group);
        let Some(group) = group.filter(|group| group.has(uploader)) else {
            return false;
        };
        let place = group.head.sequence.next();
        let known = self
            .blobs
            .values_mut()
            .find(|blob| blob.is_complete && (blob.group, blob.hash) == (fresh.group, fresh.hash));
        if let Some(known) = known {
            known.blob.places[1] = place;
            known.expires = known.expires.max(expires);
        } else {
            fresh.is_complete = true;
            fresh.expires = expires;
            fresh.blob.places = [place; 2];
            self.blobs.insert(id, fresh);
        }
        true
    }

    pub(super) fn blob(&self, group: GroupId, hash: &[u8; 32], now: UnixMillis) -> Option<Blob> {
        let is_it = |blob: &&BlobState| {
            blob.is_complete && (blob.group, &blob.hash) == (group, hash) && blob.expires > now
        };
        self.blobs.values().find(is_it).map(|blob| blob.blob)
    }

    pub(super) fn blob_part(&self, id: BlobId, part: u32) -> Option<Vec<u8>> {
        self.blobs.get(&id)?.parts.get(part as usize).cloned()
    }

    pub(super) fn drop_blobs_of_group(&mut self, group: GroupId) {
        self.blobs.retain(|_, blob| blob.group != group);
    }

    pub(super) fn drop_blobs_of_user(&mut self, user: &UserId) {
        self.blobs.retain(|_, blob| blob.user != *user);
    }
}
