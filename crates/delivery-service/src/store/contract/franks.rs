//! Franks: what is committed together is signed together, and each message is proved by its own.

use std::{sync::Arc, thread};

use conclave_protocol::{
    Commitment, DeviceAddress, FrankError, RequestId, Sequence, Stamp, StampingKey,
    StampingKeyCertificate,
};

use super::{
    super::{Entry, NewEntry, NewStamp, Page, Store},
    GROUP, NOW, all, device, entry, found,
};
use crate::{ordering::Verdict, stamping::Stamper};

fn sender(number: u8) -> DeviceAddress {
    DeviceAddress {
        user: format!("user{number}@here").parse().unwrap(),
        device: device(number),
    }
}

fn commitment(number: u8) -> Commitment {
    Commitment::from_bytes([number; 32])
}

/// Many at once, so that some share a commit; of each writer's, some are refused.
pub(super) fn each_stamped_message_is_proved_by_its_frank(store: &dyn Store) {
    const WRITERS: u8 = 16;
    const EACH: u8 = 12;
    found(store, WRITERS);
    let stamper = Stamper::new("here", &[3; 32]);
    let key = stamper.key_at(NOW);
    thread::scope(|scope| {
        for writer in 1..=WRITERS {
            let key = &key;
            scope.spawn(move || {
                let sender = sender(writer);
                for number in 0..EACH {
                    let is_stale = number % 3 == 1;
                    let stamp = NewStamp {
                        sender: &sender,
                        commitment: commitment(number),
                        message_hash: Stamp::hash_of(b"message"),
                        key,
                    };
                    let verdict = store.append(&NewEntry {
                        request: RequestId::from_bytes([number + 1; 16]),
                        stamp: (number % 3 != 2).then_some(stamp),
                        ..entry(writer, number, u64::from(!is_stale))
                    });
                    assert_eq!(matches!(verdict, Ok(Verdict::Accept(_))), !is_stale);
                }
            });
        }
    });
    let certificates = stamper.certificates(NOW);
    let by = certificates.iter().find(|it| it.id() == key.id()).unwrap();
    let log = store.read_log(GROUP, all()).unwrap();
    let proved = log
        .iter()
        .filter(|entry| is_proved(entry, &key, by))
        .count();
    // The Commit that let the writers in stands first.
    assert_eq!(log.len(), 1 + usize::from(WRITERS * EACH / 3 * 2));
    assert_eq!(proved, usize::from(WRITERS * EACH / 3));
    // Read one by one, each is the same.
    for whole in &log {
        let page = Page {
            after: Sequence(whole.sequence.0 - 1),
            up_to: whole.sequence,
            ..all()
        };
        assert_eq!(
            store.read_log(GROUP, page).unwrap(),
            std::slice::from_ref(whole)
        );
    }
}

/// Whether it has a frank; that one has to prove this entry, and no other.
fn is_proved(stored: &Entry, key: &Arc<StampingKey>, by: &StampingKeyCertificate) -> bool {
    let Some(frank) = &stored.frank else {
        return false;
    };
    let of = |sequence| {
        (0..=u8::MAX).find_map(|number| {
            let sender = sender(stored.sender.as_bytes()[0]);
            let stamp = NewStamp {
                sender: &sender,
                commitment: commitment(number),
                message_hash: Stamp::hash_of(b"message"),
                key,
            };
            let as_sent = NewEntry {
                sender: stored.sender,
                stamp: Some(stamp),
                ..entry(1, 0, 1)
            };
            let stamp = as_sent.stamp_at(sequence)?;
            frank.verify(&stamp, by).is_ok().then_some(stamp)
        })
    };
    let stamp = of(stored.sequence).unwrap();
    assert_eq!(of(stored.sequence.next()), None);
    let other = Stamp {
        sender: sender(200),
        ..stamp
    };
    assert_eq!(frank.verify(&other, by), Err(FrankError::Stamp));
    true
}
