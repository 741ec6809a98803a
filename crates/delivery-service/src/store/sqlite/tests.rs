//! What only a file has to do.

use conclave_protocol::{Epoch, Sequence};

use super::{
    super::contract::{GROUP, all, device, found},
    OpenError, SqliteStore,
};
use crate::{ordering::Head, store::Store as _};

#[test]
fn a_database_comes_back_as_it_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = SqliteStore::open(&path).unwrap();
    found(&store, 2);
    let log = store.read_log(GROUP, all()).unwrap();
    // Not closed: as after `kill -9`.
    std::mem::forget(store);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.read_log(GROUP, all()).unwrap(), log);
    let (head, _) = store.access(GROUP, device(1)).unwrap().unwrap();
    let at = Sequence(1);
    assert_eq!(
        head,
        Head {
            epoch: Epoch(1),
            sequence: at,
            handshake: at
        }
    );
}

#[test]
fn only_a_database_of_ours_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, [b'x'; 5000]).unwrap();
    let opened = SqliteStore::open(&garbage);
    assert!(matches!(opened, Err(OpenError::Database(_))));

    let later = folder.path().join("later.db");
    drop(SqliteStore::open(&later).unwrap());
    let raw = rusqlite::Connection::open(&later).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    let opened = SqliteStore::open(&later);
    assert!(matches!(opened, Err(OpenError::Newer { found: 99, .. })));
}
