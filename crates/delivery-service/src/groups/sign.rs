//! Franks of a page: what was signed in many pieces, since it was said bit by bit, is signed again as one.

use conclave_protocol::{Frank, FrankBatch, GroupId, Stamp};

use super::Groups;
use crate::{
    limits::{SIGNATURES_PER_PAGE_MAX, STAMPS_PER_SIGNATURE_MIN},
    store::Entry,
    wire::Framing,
};

impl Groups {
    /// Signs the stamps of a page together where few share a signature: its readers then check one. A stamp is signed again only where the service's own proof shows that it stated it; what was stamped by
    /// another week's key stays as it is.
    pub(super) fn sign_together(&self, group: GroupId, page: &mut [Entry]) {
        let last = page.iter().rev().find(|entry| entry.frank.is_some());
        let Some(accepted) = last.map(|entry| entry.accepted) else {
            return;
        };
        if !is_in_pieces(page) {
            return;
        }
        let key = self.stamper.key_at(accepted);
        let (mut leaves, mut franks) = (Vec::new(), Vec::new());
        for entry in page {
            let stamp = self.stamp_of(group, entry);
            let Some((stamp, frank)) = stamp.zip(entry.frank.as_mut()) else {
                continue;
            };
            if frank.key() == key.id() && *frank.mac() == key.authenticate(&stamp) {
                leaves.push(stamp.leaf());
                franks.push(frank);
            }
        }
        let Some(batch) = FrankBatch::seal(leaves, &key) else {
            return;
        };
        for (index, frank) in (0..).zip(franks) {
            if let Some(together) = batch.frank(index, *frank.mac()) {
                *frank = together;
            }
        }
    }

    /// What the service stated of an entry with a frank. `None` where its sender is no more: nothing but the frank then
    /// says whose device it was.
    fn stamp_of(&self, group: GroupId, entry: &Entry) -> Option<Stamp> {
        entry.frank.as_ref()?;
        Some(Stamp {
            group,
            epoch: entry.epoch,
            sequence: entry.sequence,
            accepted: entry.accepted,
            sender: self.address_of(entry.sender).ok()?,
            commitment: Framing::of_application(&entry.message).ok()?.commitment?,
            message_hash: Stamp::hash_of(&entry.message),
        })
    }
}

/// Whether too few stamps of the page share a signature.
fn is_in_pieces(page: &[Entry]) -> bool {
    let (stamps, signatures) = (franks(page).count(), signatures(page));
    signatures > SIGNATURES_PER_PAGE_MAX && stamps < signatures * STAMPS_PER_SIGNATURE_MIN
}

/// How many signatures a reader of the page checks.
fn signatures(page: &[Entry]) -> usize {
    let mut signatures: Vec<_> = franks(page).map(Frank::signature).collect();
    signatures.dedup();
    signatures.len()
}

fn franks(page: &[Entry]) -> impl Iterator<Item = &Frank> {
    page.iter().filter_map(|entry| entry.frank.as_ref())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicU64};

    use conclave_protocol::{Commitment, Sequence};

    use super::*;
    use crate::{
        clock,
        measure::{append_of, group, groups_of, store},
        store::{Page, Store, contract},
    };

    /// Messages that were committed one by one, in a group of a log with nothing else in it.
    fn talk(folder: &std::path::Path, messages: u64) -> (Arc<dyn Store>, Groups) {
        let store: Arc<dyn Store> = Arc::new(store(&folder.join("conclave.db"), 1));
        let groups = groups_of(Arc::clone(&store));
        let drawn = AtomicU64::new(0);
        append_of(&groups, (1, 1, messages), &drawn, true);
        (store, groups)
    }

    fn page(entries: usize) -> Page {
        Page {
            after: Sequence(0),
            up_to: Sequence(u64::MAX >> 1),
            entries,
            bytes: usize::MAX >> 1,
        }
    }

    /// Each is proved by its frank, at its own place and no other.
    fn assert_proved(groups: &Groups, store: &dyn Store, page: &[Entry]) {
        let certificates = groups.stamper().certificates(clock::now());
        for entry in page {
            let sender = store.device(entry.sender).unwrap().unwrap().address;
            let stamp = Stamp {
                group: group(1),
                epoch: entry.epoch,
                sequence: entry.sequence,
                accepted: entry.accepted,
                sender,
                commitment: Commitment::from_bytes([7; 32]),
                message_hash: Stamp::hash_of(&entry.message),
            };
            let elsewhere = Stamp {
                sequence: entry.sequence.next(),
                ..stamp.clone()
            };
            let frank = entry.frank.as_ref().unwrap();
            let by = certificates.iter().find(|it| it.id() == frank.key());
            assert_eq!(frank.verify(&stamp, by.unwrap()), Ok(()));
            assert!(frank.verify(&elsewhere, by.unwrap()).is_err());
        }
    }

    #[test]
    fn a_page_of_messages_that_were_signed_alone_has_one_signature() {
        const MESSAGES: usize = 12;
        let folder = tempfile::tempdir().unwrap();
        let (store, groups) = talk(folder.path(), MESSAGES as u64);
        let read = |after, entries| {
            let device = contract::device(1);
            let read = groups.read(group(1), device, Sequence(after), entries, usize::MAX >> 1);
            read.unwrap().entries
        };
        let kept = store.read_log(group(1), page(MESSAGES)).unwrap();
        assert_eq!(signatures(&kept), MESSAGES);
        for entries in 1..=MESSAGES {
            let read = read(0, entries);
            assert_eq!(read.len(), entries);
            let few = entries <= SIGNATURES_PER_PAGE_MAX;
            assert_eq!(signatures(&read), if few { entries } else { 1 });
            assert_eq!(few, read == kept[..entries]);
            assert_proved(&groups, &*store, &read);
            assert_eq!(
                store.read_log(group(1), page(entries)).unwrap(),
                kept[..entries]
            );
        }
        assert_eq!(
            read(2, MESSAGES),
            read(2, MESSAGES),
            "the same is said again"
        );
    }

    #[test]
    fn a_page_of_which_many_share_a_signature_is_given_as_it_is() {
        const COMMITS: usize = SIGNATURES_PER_PAGE_MAX + 1;
        let folder = tempfile::tempdir().unwrap();
        for (each, is_kept) in [
            (STAMPS_PER_SIGNATURE_MIN, true),
            (STAMPS_PER_SIGNATURE_MIN - 1, false),
        ] {
            let folder = folder.path().join(each.to_string());
            std::fs::create_dir(&folder).unwrap();
            let (store, groups) = talk(&folder, (COMMITS * each) as u64);
            let mut read = store.read_log(group(1), page(COMMITS * each)).unwrap();
            for together in read.chunks_mut(each) {
                let key = groups.stamper.key_at(together[0].accepted);
                let stamps = together.iter().map(|it| groups.stamp_of(group(1), it));
                let leaves = stamps.map(|stamp| stamp.unwrap().leaf()).collect();
                let batch = FrankBatch::seal(leaves, &key).unwrap();
                for (index, entry) in (0..).zip(together) {
                    entry.frank = batch.frank(index, *entry.frank.as_ref().unwrap().mac());
                }
            }
            groups.sign_together(group(1), &mut read);
            assert_eq!(signatures(&read), if is_kept { COMMITS } else { 1 });
            assert_proved(&groups, &*store, &read);
        }
    }

    #[test]
    fn what_the_service_did_not_state_is_not_signed_again() {
        const MESSAGES: usize = 8;
        let folder = tempfile::tempdir().unwrap();
        let (store, groups) = talk(folder.path(), MESSAGES as u64);
        let kept = store.read_log(group(1), page(MESSAGES)).unwrap();
        let mut altered = kept.clone();
        altered[2].sequence = Sequence(1_000);
        altered[5].message.push(0);
        altered[6].sender = contract::device(9);
        let wrong = [2, 5, 6];
        let mut signed = altered.clone();
        groups.sign_together(group(1), &mut signed);
        for at in 0..MESSAGES {
            assert_eq!(signed[at] == altered[at], wrong.contains(&at), "{at}");
        }
        let right = |at: &usize| !wrong.contains(at);
        let right: Vec<_> = (0..MESSAGES)
            .filter(right)
            .map(|at| signed[at].clone())
            .collect();
        assert_eq!(signatures(&right), 1);
        assert_proved(&groups, &*store, &right);
    }
}
