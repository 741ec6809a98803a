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

/// What stood in a file before is still there, and counted, after an upgrade from each version.
#[test]
fn an_older_database_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(include_str!("schema_1.sql")).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.execute_batch(
        "INSERT INTO mls_group VALUES (x'07070707070707070707070707070707', x'01', x'02', 0, 2, 0);
         INSERT INTO log VALUES
             (x'07070707070707070707070707070707', 1, 0, 3, zeroblob(16), 5, x'aabb'),
             (x'07070707070707070707070707070707', 2, 0, 3, zeroblob(16), 6, x'cc');
         INSERT INTO mls_group VALUES (x'08', x'01', x'02', 0, 0, 0);",
    )
    .unwrap();
    drop(old);
    let store = SqliteStore::open(&path).unwrap();
    let log = store.read_log(GROUP, all()).unwrap();
    assert_eq!(log.len(), 2);
    let kept: Vec<u64> = rusqlite::Connection::open(&path)
        .unwrap()
        .prepare("SELECT kept_bytes FROM mls_group ORDER BY group_id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(kept, [3, 0]);
    drop(store);
    SqliteStore::open(&path).unwrap();
}
