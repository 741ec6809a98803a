//! Opening homes: new ones, those of earlier versions, and those that something is wrong with.

use std::{fs, path::Path};

use rusqlite::{Connection, types::Value};
use tempfile::TempDir;

use super::*;
use crate::local::schema::{MIGRATIONS, SCHEMA_VERSION};

const OLD_TEXT: &str = "said before anything was encrypted";

fn home(folder: &TempDir) -> Home {
    Home::at(folder.path())
}

fn locked(folder: &TempDir, passphrase: &str) -> Home {
    home(folder).locked_by(passphrase.parse().unwrap())
}

/// A plain database as the program of a schema version left it, with a row in every table.
fn plain(folder: &Path, version: usize) -> Connection {
    let database = Connection::open(folder.join(FILE)).unwrap();
    database.pragma_update(None, "journal_mode", "WAL").unwrap();
    for migration in &MIGRATIONS[..version] {
        database.execute_batch(migration).unwrap();
    }
    database
        .pragma_update(None, "user_version", version)
        .unwrap();
    for table in tables(&database) {
        let columns = format!("SELECT type FROM pragma_table_info('{table}')");
        let mut columns = database.prepare(&columns).unwrap();
        let types = columns
            .query_map([], |row| row.get::<_, String>(0))
            .unwrap();
        let values = types.map(|it| match it.unwrap().as_str() {
            "INTEGER" => "1".to_owned(),
            "TEXT" => format!("'{OLD_TEXT}'"),
            _ => format!("CAST('{OLD_TEXT}' AS BLOB)"),
        });
        let values = values.collect::<Vec<_>>().join(", ");
        // Some tables have their one row already.
        let insert = format!("INSERT OR REPLACE INTO {table} VALUES ({values})");
        database.execute(&insert, []).unwrap();
    }
    database
}

fn tables(database: &Connection) -> Vec<String> {
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table'
                  AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let mut tables = database.prepare(tables).unwrap();
    let names = tables.query_map([], |row| row.get(0)).unwrap();
    names.collect::<Result<_, _>>().unwrap()
}

/// All that a database holds: its schema, and the rows of every table.
fn contents(database: &Connection) -> Vec<Vec<Value>> {
    let version = database.pragma_query_value(None, "user_version", |row| row.get(0));
    let mut all = vec![vec![version.unwrap()]];
    // What SQLite keeps for itself stays where nothing uses it any more, and does not come along.
    const COUNTERS: &str = "sqlite_sequence";
    let schema =
        format!("SELECT name, sql FROM sqlite_schema WHERE name <> '{COUNTERS}' ORDER BY name");
    let has_counters = database.table_exists(None, COUNTERS).unwrap();
    let tables = tables(database)
        .into_iter()
        .map(|it| format!("SELECT * FROM {it}"));
    let counters = has_counters.then(|| format!("SELECT * FROM {COUNTERS}"));
    for query in [schema].into_iter().chain(counters).chain(tables) {
        let mut query = database.prepare(&query).unwrap();
        let columns = query.column_count();
        let rows = query.query_map([], |row| (0..columns).map(|at| row.get(at)).collect());
        all.extend(rows.unwrap().map(Result::unwrap));
    }
    all
}

fn bytes_of(folder: &Path) -> Vec<u8> {
    let files = fs::read_dir(folder).unwrap();
    let files = files.map(|file| fs::read(file.unwrap().path()).unwrap());
    files.collect::<Vec<_>>().concat()
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|it| it == text.as_bytes())
}

#[test]
fn homes_of_all_earlier_versions_are_taken_over_with_all_that_they_hold() {
    for version in 1..=MIGRATIONS.len() {
        let (folder, beside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        drop(plain(folder.path(), version));
        let mut expected = plain(beside.path(), version);
        migrate(&mut expected).unwrap();
        let expected = contents(&expected);
        let text = Value::Text(OLD_TEXT.into());
        assert!(expected.iter().any(|row| row.contains(&text)));
        assert!(has(&bytes_of(folder.path()), OLD_TEXT));

        let passphrase = (version % 2 == 0).then_some("open sesame");
        let home = passphrase.map_or_else(|| home(&folder), |it| locked(&folder, it));
        for create in [false, true, false] {
            let opened = open(&home, create).unwrap();
            assert!(contents(&opened) == expected, "schema {version}");
            assert!(!has(&bytes_of(folder.path()), OLD_TEXT));
        }
    }
}

#[test]
fn a_home_of_a_later_version_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let newer = open(&home(&folder), true).unwrap();
    let next = SCHEMA_VERSION + 1;
    newer.pragma_update(None, "user_version", next).unwrap();
    drop(newer);
    let refused = open(&home(&folder), false);
    assert!(matches!(refused, Err(ClientError::NewerHome)));

    let old = TempDir::new().unwrap();
    let newer = plain(old.path(), MIGRATIONS.len());
    newer.pragma_update(None, "user_version", next).unwrap();
    drop(newer);
    let refused = open(&home(&old), false);
    assert!(matches!(refused, Err(ClientError::NewerHome)));
}

#[test]
fn a_program_that_dies_while_it_takes_a_home_over_loses_nothing() {
    let (folder, beside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let old = plain(folder.path(), MIGRATIONS.len());
    let expected = contents(&old);
    // As a program leaves it that is killed: the last words stand in the write-ahead log alone.
    for file in [FILE, "client.db-wal"] {
        fs::copy(folder.path().join(file), beside.path().join(file)).unwrap();
    }
    assert!(
        fs::metadata(beside.path().join("client.db-wal"))
            .unwrap()
            .len()
            > 0
    );
    // And the next one, half way: there is a key, and a part of the encrypted database.
    let key = DatabaseKey::random();
    Lock::new(&key, None).unwrap().write(beside.path()).unwrap();
    for file in ["client.db.new", "client.db.new-journal", "client.key.new"] {
        fs::write(beside.path().join(file), OLD_TEXT).unwrap();
    }
    let opened = open(&home(&beside), false).unwrap();
    assert!(contents(&opened) == expected);
    let kept = Lock::read(beside.path()).unwrap().unwrap();
    assert_eq!(kept.open(None).unwrap().as_bytes(), key.as_bytes());
    assert!(!beside.path().join("client.db.new").exists());
}

#[test]
fn an_older_home_that_another_program_uses_is_not_taken_over_yet() {
    let folder = TempDir::new().unwrap();
    let used = plain(folder.path(), MIGRATIONS.len());
    let expected = contents(&used);
    let refused = open(&home(&folder), false);
    assert!(
        matches!(refused, Err(ClientError::HomeInUse)),
        "{refused:?}"
    );
    assert!(contents(&used) == expected);
    drop(used);
    assert!(contents(&open(&home(&folder), false).unwrap()) == expected);
}

#[test]
fn programs_that_open_a_home_at_the_same_moment_agree_on_its_key() {
    for version in [0, MIGRATIONS.len()] {
        let folder = TempDir::new().unwrap();
        if version > 0 {
            drop(plain(folder.path(), version));
        }
        let programs: Vec<_> = (0..6)
            .map(|_| {
                let home = home(&folder);
                thread::spawn(move || contents(&open(&home, true).unwrap()))
            })
            .collect();
        let seen = programs.into_iter().map(|it| it.join().unwrap());
        let seen: Vec<_> = seen.collect();
        assert!(seen.iter().all(|it| *it == seen[0]));
    }
}

#[test]
fn a_wrong_passphrase_and_a_damaged_lock_are_told_apart_and_lose_nothing() {
    let folder = TempDir::new().unwrap();
    let made = open(&locked(&folder, "right"), true).unwrap();
    made.execute("INSERT INTO muted VALUES (x'01')", [])
        .unwrap();
    let expected = contents(&made);
    drop(made);
    let lock = fs::read(folder.path().join(lock::FILE)).unwrap();
    for create in [false, true] {
        let wrong = open(&locked(&folder, "wrong"), create);
        assert!(matches!(wrong, Err(ClientError::WrongPassphrase)));
        let none = open(&home(&folder), create);
        assert!(matches!(none, Err(ClientError::Locked)));

        fs::write(folder.path().join(lock::FILE), &lock[1..]).unwrap();
        let damaged = open(&locked(&folder, "right"), create);
        assert!(matches!(damaged, Err(ClientError::LockDamaged)));
        fs::remove_file(folder.path().join(lock::FILE)).unwrap();
        let gone = open(&locked(&folder, "right"), create);
        assert!(matches!(gone, Err(ClientError::LockDamaged)));
        fs::write(folder.path().join(lock::FILE), &lock).unwrap();
    }
    assert!(contents(&open(&locked(&folder, "right"), false).unwrap()) == expected);
}

#[test]
fn another_passphrase_writes_nothing_of_the_database_anew() {
    let folder = TempDir::new().unwrap();
    drop(open(&home(&folder), true).unwrap());
    let before = fs::read(folder.path().join(FILE)).unwrap();
    let set = |home: Home, new: Option<&str>| {
        let new: Option<Passphrase> = new.map(|it| it.parse().unwrap());
        home.set_passphrase(new.as_ref())
    };
    set(home(&folder), Some("first")).unwrap();
    let unasked = set(home(&folder), None);
    assert!(matches!(unasked, Err(ClientError::Locked)));
    let wrong = set(locked(&folder, "second"), Some("third"));
    assert!(matches!(wrong, Err(ClientError::WrongPassphrase)));
    set(locked(&folder, "first"), Some("second")).unwrap();
    assert_eq!(home(&folder).state().unwrap(), crate::HomeState::Locked);
    let old = open(&locked(&folder, "first"), false);
    assert!(matches!(old, Err(ClientError::WrongPassphrase)));
    set(locked(&folder, "second"), None).unwrap();
    assert_eq!(home(&folder).state().unwrap(), crate::HomeState::Open);
    assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), before);
    drop(open(&home(&folder), false).unwrap());
}

#[test]
fn any_page_that_somebody_changed_is_noticed() {
    const PAGE_BYTES: usize = 4096;
    let folder = TempDir::new().unwrap();
    drop(open(&home(&folder), true).unwrap());
    let path = folder.path().join(FILE);
    let bytes = fs::read(&path).unwrap();
    let is_whole = || {
        open(&home(&folder), false).is_ok_and(|it| {
            let mut check = it.prepare("PRAGMA cipher_integrity_check").unwrap();
            !check.exists([]).unwrap()
        })
    };
    assert!(is_whole() && bytes.len() > 4 * PAGE_BYTES);
    for page in 0..bytes.len() / PAGE_BYTES {
        let mut changed = bytes.clone();
        changed[page * PAGE_BYTES + 2000] ^= 1;
        fs::write(&path, changed).unwrap();
        assert!(!is_whole(), "page {page}");
    }
    fs::write(&path, bytes).unwrap();
    assert!(is_whole());
}

#[cfg(unix)]
#[test]
fn no_file_of_a_home_is_for_others_even_where_the_folder_is() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let deeper = folder.path().join("a/b");
    drop(plain(folder.path(), MIGRATIONS.len()));
    for (folder, files) in [(folder.path(), 5), (&deeper, 5)] {
        let made = open(&Home::at(folder), true).unwrap();
        made.execute("DELETE FROM account", []).unwrap();
        let found = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
        let found: Vec<_> = found.filter(|it| it.is_file()).collect();
        assert_eq!(found.len(), files, "{found:?}");
        for file in found {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
    assert_eq!(mode(&deeper), 0o700);
}

/// `cargo test -p conclave-client --lib costs -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
#[allow(clippy::print_stdout)]
fn what_encryption_costs() {
    let folder = TempDir::new().unwrap();
    let encrypted = open(&home(&folder), true).unwrap();
    let beside = TempDir::new().unwrap();
    let plain = plain(beside.path(), MIGRATIONS.len());
    plain.pragma_update(None, "synchronous", "FULL").unwrap();
    plain.pragma_update(None, "secure_delete", true).unwrap();
    for (name, mut database) in [("plain", plain), ("encrypted", encrypted)] {
        let mut took = Vec::new();
        let start = std::time::Instant::now();
        for batch in 0..200_u32 {
            let transaction = database.transaction().unwrap();
            for row in 0..100 {
                let number = (batch * 100 + row).wrapping_mul(2_654_435_761);
                let insert = "INSERT OR REPLACE INTO state VALUES (?1, randomblob(300))";
                transaction.execute(insert, [number.to_be_bytes()]).unwrap();
            }
            transaction.commit().unwrap();
        }
        took.push(start.elapsed());
        let start = std::time::Instant::now();
        for row in 0..20_000_u32 {
            let number = row.wrapping_mul(2_654_435_761).wrapping_mul(3);
            let select = "SELECT length(value) FROM state WHERE key >= ?1";
            let mut select = database.prepare_cached(select).unwrap();
            let found = select.query_row([number.to_be_bytes()], |row| row.get::<_, i64>(0));
            assert!(found.is_ok() || found == Err(rusqlite::Error::QueryReturnedNoRows));
        }
        took.push(start.elapsed());
        let start = std::time::Instant::now();
        let sum = "SELECT sum(length(value)), count(*) FROM state WHERE value != x''";
        database
            .query_row(sum, [], |row| row.get::<_, i64>(1))
            .unwrap();
        took.push(start.elapsed());
        println!("{name}: 200 x 100 rows written, 20,000 looked up, all read: {took:?}");
    }
    let start = std::time::Instant::now();
    let passphrase = "open sesame".parse().unwrap();
    let lock = Lock::new(&DatabaseKey::random(), Some(&passphrase)).unwrap();
    lock.open(Some(&passphrase)).unwrap();
    println!("argon2id, twice: {:?}", start.elapsed());
}
