//! The server's identity, registrations, and KeyPackages.

use std::{collections::BTreeSet, sync::Barrier, thread};

use conclave_protocol::{UnixMillis, UserId, limits};

use super::{
    super::{Identity, Published, Registered, StockedKeyPackage, Store, Take, Taken},
    NOW, certify, device, package, publish, register, request, take,
};

pub(super) fn the_first_identity_stays(store: &dyn Store) {
    let of = |byte: u8| Identity {
        server_name: format!("name{byte}"),
        secret: [byte; 32],
    };
    for byte in [1, 2] {
        assert!(store.identity(&of(byte)).unwrap() == of(1));
    }
}

pub(super) fn names_and_devices_have_one_owner(store: &dyn Store) {
    let register = |certificate| store.register(&certificate).unwrap();
    assert_eq!(register(certify("alice@here", 1, 9)), Registered::Done);
    assert_eq!(register(certify("alice@here", 1, 9)), Registered::Done);
    assert_eq!(register(certify("alice@here", 2, 9)), Registered::Done);
    assert_eq!(register(certify("alice@here", 3, 8)), Registered::NameTaken);
    assert_eq!(register(certify("bob@here", 1, 8)), Registered::DeviceTaken);
    // Nothing of what was refused has stayed.
    assert_eq!(store.device(device(3)).unwrap(), None);
    assert_eq!(register(certify("bob@here", 3, 7)), Registered::Done);
    let known = store.device(device(1)).unwrap().unwrap();
    assert!(known.is_of(&certify("alice@here", 1, 9)));
}

pub(super) fn a_registration_code_lets_one_user_in(store: &dyn Store) {
    let (code, late) = ([1; 32], [2; 32]);
    let put = |code, expires, now| {
        let (expires, now) = (UnixMillis(expires), UnixMillis(now));
        store.put_registration_code(code, expires, now).unwrap();
    };
    put(&code, 100, 0);
    put(&late, 50, 0);
    let register = |certificate, code, now| {
        store
            .register_with_code(&certificate, code, UnixMillis(now))
            .unwrap()
    };
    let alice = || certify("alice@here", 1, 9);
    assert_eq!(register(alice(), &[3; 32], 60), Registered::CodeRefused);
    assert_eq!(register(alice(), &late, 60), Registered::CodeRefused);
    assert_eq!(store.device(device(1)).unwrap(), None);
    assert_eq!(register(alice(), &code, 60), Registered::Done);
    // The same again is no second use, and a refusal for another reason is none either. Further
    // devices are certified by a user who was let in.
    assert_eq!(register(alice(), &code, 60), Registered::Done);
    let tablet = certify("alice@here", 4, 9);
    assert_eq!(register(tablet, &code, 60), Registered::Done);
    let impostor = certify("alice@here", 5, 7);
    assert_eq!(register(impostor, &code, 60), Registered::CodeRefused);
    let bob = || certify("bob@here", 2, 8);
    assert_eq!(register(bob(), &code, 60), Registered::CodeRefused);
    put(&code, 200, 100);
    let impostor = certify("alice@here", 3, 7);
    assert_eq!(register(impostor, &code, 200), Registered::NameTaken);
    assert_eq!(register(bob(), &code, 200), Registered::Done);
}

pub(super) fn a_key_package_is_handed_out_once(store: &dyn Store) {
    register(store, 1);
    let stock: Vec<_> = (0..32).map(package).collect();
    assert_eq!(publish(store, &stock), Published::Stock(32));
    let barrier = Barrier::new(8);
    let taken: Vec<Vec<u8>> = thread::scope(|scope| {
        let takers: Vec<_> = (0..8)
            .map(|taker| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    let once = (0..5).flat_map(|number| take(store, taker, number, 0));
                    once.collect::<Vec<_>>()
                })
            })
            .collect();
        let taken = takers.into_iter().flat_map(|taker| taker.join().unwrap());
        taken.collect()
    });
    assert_eq!(taken.len(), 32, "eight takers ask for forty");
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 32);

    // Asking again under the same id takes nothing more, and publishing again brings nothing back.
    let again = take(store, 0, 0, 0);
    assert!(again.iter().all(|message| taken.contains(message)));
    assert_eq!(publish(store, &stock), Published::Stock(0));
    assert!(take(store, 9, 0, 0).is_empty());

    let last = StockedKeyPackage {
        message: b"last".to_vec(),
        ..package(99)
    };
    let published = store.publish_key_packages(device(1), &[], Some(&last), UnixMillis(0));
    assert_eq!(published.unwrap(), Published::Stock(0));
    for number in [0, 1] {
        assert_eq!(take(store, 9, number, 0), [b"last"]);
    }
    assert!(take(store, 9, 2, 1001).is_empty(), "it lives too short");
    assert_eq!(publish(store, &[package(50)]), Published::Stock(1));
    assert_eq!(take(store, 9, 3, 0), [package(50).message]);
    assert_eq!(take(store, 9, 1, 0), [b"last"], "as before");
    let unknown: UserId = "nobody@here".parse().unwrap();
    let take = Take {
        taker: device(1),
        request: request(1),
        user: &unknown,
        usable_until_seconds: 0,
        now: NOW,
    };
    assert_eq!(store.take_key_packages(&take).unwrap(), Taken::UnknownUser);
}

pub(super) fn a_stock_is_bounded_and_fresh(store: &dyn Store) {
    register(store, 1);
    let most = u8::try_from(limits::KEY_PACKAGES_MAX).unwrap();
    let stock: Vec<_> = (1..most).map(package).collect();
    assert_eq!(
        publish(store, &stock),
        Published::Stock(usize::from(most) - 1)
    );
    let two = [package(201), package(202)];
    assert_eq!(publish(store, &two), Published::Full);
    let twice = [package(201), package(201)];
    assert_eq!(publish(store, &twice), Published::Stock(usize::from(most)));
    assert!(take(store, 1, 1, 1001).is_empty(), "all live too short");
    let late = StockedKeyPackage {
        expires_seconds: 5000,
        ..package(203)
    };
    let now = UnixMillis(2_000_000);
    let published = store.publish_key_packages(device(1), std::slice::from_ref(&late), None, now);
    assert_eq!(
        published.unwrap(),
        Published::Stock(1),
        "the others expired"
    );
    assert_eq!(take(store, 1, 2, 1001), [late.message]);
}
