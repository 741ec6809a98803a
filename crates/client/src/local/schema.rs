//! The schema of the local database.

use rusqlite::Connection;

use crate::ClientError;

/// The schema that this program writes; it stands in `user_version`.
pub(super) const SCHEMA_VERSION: u32 = 22;

/// What certifies the server, in PEM, where that is not who certifies everybody's.
const SCHEMA_2: &str = "ALTER TABLE account ADD COLUMN server_ca TEXT;";

const SCHEMA_5: &str = "
    -- What this device has to say about Commits that it could not process.
    CREATE TABLE reports (
        group_id  BLOB PRIMARY KEY,
        report    BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
";

const SCHEMA_9: &str = "
    -- Another identity key of a user, which no person has accepted.
    ALTER TABLE contacts ADD COLUMN new_key BLOB;
    CREATE INDEX changed_contacts ON contacts (user) WHERE new_key IS NOT NULL;
";

const SCHEMA_7: &str = "
    -- What is to change in this user's own list, while the service may not have it: devices with the
    -- key that they sign with, or without one where they are revoked.
    DROP TABLE publishing;
    CREATE TABLE device_changes (
        device         BLOB PRIMARY KEY,
        signature_key  BLOB
    ) STRICT, WITHOUT ROWID;

    -- The seed of the key that the identity key may be sealed to.
    ALTER TABLE linking ADD COLUMN sealing_seed BLOB;

    -- A device that takes the place of lost ones, until it is done.
    CREATE TABLE recovery (
        only      INTEGER PRIMARY KEY CHECK (only = 1),
        -- Whether all other devices are revoked at the end.
        revokes   INTEGER NOT NULL,
        -- Whether the user's groups are known.
        is_found  INTEGER NOT NULL
    ) STRICT;
";

const SCHEMA_6: &str = "
    -- The newest device list that was seen of each user; none where there was none.
    CREATE TABLE device_lists (
        user         TEXT PRIMARY KEY,
        version      INTEGER NOT NULL,
        list         BLOB,
        -- When the service was last asked for it.
        read_millis  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- This user's own list, while the service may not have it.
    CREATE TABLE publishing (
        only  INTEGER PRIMARY KEY CHECK (only = 1),
        list  BLOB NOT NULL
    ) STRICT;

    -- Devices of this user that come into all groups once they are registered.
    CREATE TABLE awaited (device BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;

    -- The keys of a device that is being linked and has no certificate yet.
    CREATE TABLE linking (
        only            INTEGER PRIMARY KEY CHECK (only = 1),
        device          BLOB NOT NULL,
        signature_seed  BLOB NOT NULL
    ) STRICT;
";

const SCHEMA_10: &str = "
    -- The group that a group goes on as.
    ALTER TABLE groups ADD COLUMN successor BLOB;
    -- How far the log was read for what members say, while this device can't follow the group.
    ALTER TABLE groups ADD COLUMN overheard INTEGER NOT NULL DEFAULT 0;

    -- Where the log ended when an external Commit was made: what comes before is not its verdict.
    ALTER TABLE pending_joins ADD COLUMN head_sequence INTEGER NOT NULL DEFAULT 0;

    -- Commits that this device could not process, and who was in the epoch before.
    CREATE TABLE cases (
        group_id      BLOB NOT NULL,
        sequence      INTEGER NOT NULL,
        author        TEXT NOT NULL,
        facts         BLOB NOT NULL,
        -- Whether others than its author have committed since.
        is_overtaken  INTEGER NOT NULL,
        PRIMARY KEY (group_id, sequence)
    ) STRICT, WITHOUT ROWID;

    -- What members say of Commits, by the place where they do.
    CREATE TABLE heard (
        group_id         BLOB NOT NULL,
        sequence         INTEGER NOT NULL,
        accepted_millis  INTEGER NOT NULL,
        device           BLOB NOT NULL,
        user             TEXT NOT NULL,
        message          BLOB NOT NULL,
        PRIMARY KEY (group_id, sequence)
    ) STRICT, WITHOUT ROWID;

    -- What this device makes for a group to go on as.
    CREATE TABLE candidates (
        group_id   BLOB PRIMARY KEY,
        successor  BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
";

const SCHEMA_14: &str = "
    -- What the members say of each group.
    CREATE TABLE profiles (
        group_id              BLOB PRIMARY KEY,
        profile               BLOB NOT NULL,
        -- Until when the service keeps the picture, where there is one; 0 where it is to be stored
        -- again.
        picture_until_millis  INTEGER
    ) STRICT, WITHOUT ROWID;

    -- What this device is about to say instead.
    CREATE TABLE drafts (
        group_id  BLOB PRIMARY KEY,
        profile   BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Devices of this user that get the history of groups once they are there, with the key that it is
    -- sealed to.
    CREATE TABLE heirs (
        group_id     BLOB NOT NULL,
        device       BLOB NOT NULL,
        sealing_key  BLOB NOT NULL,
        PRIMARY KEY (group_id, device)
    ) STRICT, WITHOUT ROWID;

    -- The seed of the key that history is sealed to for this device.
    CREATE TABLE past_key (
        only          INTEGER PRIMARY KEY CHECK (only = 1),
        sealing_seed  BLOB NOT NULL
    ) STRICT;

    -- Histories that are stored for this device.
    CREATE TABLE parcels (
        group_id    BLOB PRIMARY KEY,
        attachment  BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
";

const SCHEMA_13: &str = "
    -- From where on this device has read a log, where it was added and by whom, and whether it has
    -- yet to ask for what members said of Commits before.
    CREATE TABLE stays (
        group_id    BLOB PRIMARY KEY,
        since       INTEGER NOT NULL,
        added       INTEGER,
        added_by    TEXT,
        is_unheard  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Votes by which this device tells in groups that have ended that it went on.
    CREATE TABLE farewells (group_id BLOB PRIMARY KEY, vote BLOB NOT NULL) STRICT, WITHOUT ROWID;

    -- When the list that is kept was first seen.
    ALTER TABLE device_lists ADD COLUMN since_millis INTEGER NOT NULL DEFAULT 0;
";

const SCHEMA_12: &str = "
    -- What was edited is to be found by its new words.
    CREATE INDEX messages_by_edit ON messages (group_id, edited_millis, sequence)
    WHERE edited_millis IS NOT NULL;
";

const SCHEMA_15: &str = "
    -- The identity key of a user whose digits a person has compared.
    ALTER TABLE contacts ADD COLUMN compared_key BLOB;
";

const SCHEMA_16: &str = "
    -- What the service says of its keys: the operator's, as it was first heard, and those that stamp.
    CREATE TABLE service (
        only          INTEGER PRIMARY KEY CHECK (only = 1),
        operator_key  BLOB,
        read_millis   INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE stamping_keys (
        key_id       BLOB PRIMARY KEY,
        certificate  BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- What proves each message that the service stamped; empty where nothing is kept of it any more.
    CREATE TABLE evidence (
        group_id        BLOB NOT NULL,
        sequence        INTEGER NOT NULL,
        -- The line of history that it is about: of an edit or a mark another one.
        line            INTEGER NOT NULL,
        -- Whether it is what the line says.
        is_said         INTEGER NOT NULL,
        -- Of the envelope, which stands without its padding in the evidence.
        envelope_bytes  INTEGER NOT NULL,
        evidence        BLOB NOT NULL,
        PRIMARY KEY (group_id, sequence)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX evidence_by_line ON evidence (group_id, line);
";

/// The tables are the same. What the engine keeps in `state` of a large group is written in a form that
/// programs before this one can't read (`docs/storage.md`), and has not to be used beside them.
const SCHEMA_17: &str = "";

/// What proves a message stands with what else is known of it: most messages write one row less, and one index less.
/// That of earlier ones stays where it is, as does what proves edits and marks.
const SCHEMA_18: &str = "
    -- As in the table of that name. Nothing at all where the message was not stamped.
    ALTER TABLE messages ADD COLUMN envelope_bytes INTEGER;
    ALTER TABLE messages ADD COLUMN evidence BLOB;
";

/// Programs before this one can't read how the engine keeps what Commits change about trees.
const SCHEMA_19: &str = "";

const SCHEMA_20: &str = "
    -- What members have handed to this device because it was online, until it does all of it at once.
    CREATE TABLE wishes (
        group_id  BLOB NOT NULL,
        user      TEXT NOT NULL,
        -- Whether the user is to be added; otherwise removed.
        is_add    INTEGER NOT NULL,
        PRIMARY KEY (group_id, user)
    ) STRICT, WITHOUT ROWID;
";

/// The outbox without SQLite's own count of ids, and with one of what was encrypted: a message that is sent writes
/// two pages less. That no id comes twice is seen to where rows are deleted.
const SCHEMA_21: &str = "
    CREATE TABLE outbox_without_count (
        id            INTEGER PRIMARY KEY,
        group_id      BLOB NOT NULL,
        intent        BLOB NOT NULL,
        request_id    BLOB NOT NULL,
        key_packages  BLOB,
        submission    BLOB,
        message       BLOB,
        completes     INTEGER NOT NULL DEFAULT 1,
        rebased       INTEGER NOT NULL DEFAULT 0,
        landed        INTEGER,
        failure       TEXT,
        -- Whether a submission may have been accepted in a part of the log that will not be read.
        is_unsure     INTEGER NOT NULL DEFAULT 0,
        -- How many messages were encrypted for it: as long as it is here, they are not in instance.sent.
        encrypted     INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    INSERT INTO outbox_without_count
    SELECT id, group_id, intent, request_id, key_packages, submission, message, completes, rebased,
           landed, failure, is_unsure, 0 FROM outbox;
    -- Ids go on where they were.
    INSERT OR IGNORE INTO outbox_without_count (id, group_id, intent, request_id, landed)
    SELECT seq, zeroblob(16), x'', zeroblob(16), 0 FROM sqlite_sequence WHERE name = 'outbox';
    DROP TABLE outbox;
    ALTER TABLE outbox_without_count RENAME TO outbox;
    CREATE INDEX outbox_by_group ON outbox (group_id, id);
";

const SCHEMA_22: &str = "
    -- What this device has asked members to do who are online, until it is done or can't be.
    CREATE TABLE asked (
        group_id  BLOB NOT NULL,
        user      TEXT NOT NULL,
        -- Whether the user is to be added; otherwise removed.
        is_add    INTEGER NOT NULL,
        -- How often somebody was asked.
        turns     INTEGER NOT NULL,
        -- The row of the outbox by which this device does it itself in the end.
        own_row   INTEGER,
        PRIMARY KEY (group_id, user)
    ) STRICT, WITHOUT ROWID;
";

const SCHEMA_11: &str = "
    -- Devices that ask to be let in, by invitations that this one made.
    CREATE TABLE askers (
        group_id     BLOB NOT NULL,
        device       BLOB NOT NULL,
        user         TEXT NOT NULL,
        token_hash   BLOB NOT NULL,
        is_approved  INTEGER NOT NULL,
        PRIMARY KEY (group_id, device)
    ) STRICT, WITHOUT ROWID;

    -- Groups that this device has asked to be let into.
    CREATE TABLE redeemed (
        group_id    BLOB PRIMARY KEY,
        token_hash  BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Groups and users that this user does not want to hear of.
    CREATE TABLE muted (group_id BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE blocked (user TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
";

const SCHEMA_8: &str = "
    -- What is known of each message beside its line in the history.
    CREATE TABLE messages (
        group_id        BLOB NOT NULL,
        sequence        INTEGER NOT NULL,
        id              BLOB NOT NULL,
        edited_millis   INTEGER,
        deleted         INTEGER NOT NULL DEFAULT 0,
        expires_millis  INTEGER,
        PRIMARY KEY (group_id, sequence)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX messages_by_id ON messages (group_id, id);
    CREATE INDEX messages_by_expiry ON messages (expires_millis) WHERE expires_millis IS NOT NULL;

    CREATE TABLE reactions (
        group_id  BLOB NOT NULL,
        sequence  INTEGER NOT NULL,
        user      TEXT NOT NULL,
        reaction  TEXT NOT NULL,
        PRIMARY KEY (group_id, sequence, user, reaction)
    ) STRICT, WITHOUT ROWID;

    -- How far each user has come in a group, as they say.
    CREATE TABLE receipts (
        group_id   BLOB NOT NULL,
        user       TEXT NOT NULL,
        delivered  INTEGER NOT NULL,
        read       INTEGER NOT NULL,
        PRIMARY KEY (group_id, user)
    ) STRICT, WITHOUT ROWID;

    -- What this user chose, by name.
    CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

    -- Messages had no ids before, and were not padded.
    UPDATE history SET kind = 'unknown' WHERE kind = 'text';
";

const SCHEMA_4: &str = "
    -- What tells this state from its copies; one row.
    CREATE TABLE instance (
        only         INTEGER PRIMARY KEY CHECK (only = 1),
        nonce        BLOB NOT NULL,
        -- The one that comes after, while the service was asked and its answer is not here.
        next_nonce   BLOB,
        -- Messages that were encrypted, in all groups together.
        sent         INTEGER NOT NULL,
        -- Whether all keys that a copy could use were given up.
        starts_over  INTEGER NOT NULL
    ) STRICT;
    INSERT INTO instance VALUES (1, zeroblob(16), NULL, 0, 0);
";

const SCHEMA_3: &str = "
    -- Groups that have to be joined again, or had to be.
    CREATE TABLE resyncs (
        group_id   BLOB PRIMARY KEY,
        reason     TEXT NOT NULL,
        is_sure    INTEGER NOT NULL,
        is_due     INTEGER NOT NULL,
        attempts   INTEGER NOT NULL,
        -- Where one is due, the earliest time of the next attempt; else the end of the last one.
        at_millis  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- External Commits that wait for the log's verdict, and what they write if they are accepted.
    CREATE TABLE pending_joins (
        group_id        BLOB PRIMARY KEY,
        submission      BLOB NOT NULL,
        message         BLOB NOT NULL,
        after_sequence  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE pending_writes (
        group_id  BLOB NOT NULL,
        key       BLOB NOT NULL,
        value     BLOB,
        PRIMARY KEY (group_id, key)
    ) STRICT, WITHOUT ROWID;

    -- Whether a submission may have been accepted in a part of the log that will not be read.
    ALTER TABLE outbox ADD COLUMN is_unsure INTEGER NOT NULL DEFAULT 0;
";

const SCHEMA_1: &str = "
    -- Who this device is and where it is registered; one row.
    CREATE TABLE account (
        only            INTEGER PRIMARY KEY CHECK (only = 1),
        server_url      TEXT NOT NULL,
        server_name     TEXT NOT NULL,
        certificate     BLOB NOT NULL,
        signature_seed  BLOB NOT NULL,
        identity_seed   BLOB NOT NULL,
        registered      INTEGER NOT NULL,
        -- Whether the stock of KeyPackages at the service may have run low.
        stock_due       INTEGER NOT NULL
    ) STRICT;

    -- The engine's state: opaque to everybody but the engine.
    CREATE TABLE state (
        key    BLOB PRIMARY KEY,
        value  BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- The identity key that each user had when first seen.
    CREATE TABLE contacts (
        user          TEXT PRIMARY KEY,
        identity_key  BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE groups (
        group_id  BLOB PRIMARY KEY,
        name      TEXT,
        standing  TEXT NOT NULL,
        cursor    INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE history (
        group_id         BLOB NOT NULL,
        sequence         INTEGER NOT NULL,
        accepted_millis  INTEGER NOT NULL,
        author           TEXT NOT NULL,
        kind             TEXT NOT NULL,
        body             BLOB NOT NULL,
        PRIMARY KEY (group_id, sequence)
    ) STRICT, WITHOUT ROWID;

    -- What the application wants done, in the order it asked.
    CREATE TABLE outbox (
        id            INTEGER PRIMARY KEY AUTOINCREMENT,
        group_id      BLOB NOT NULL,
        intent        BLOB NOT NULL,
        request_id    BLOB NOT NULL,
        key_packages  BLOB,
        submission    BLOB,
        message       BLOB,
        completes     INTEGER NOT NULL DEFAULT 1,
        rebased       INTEGER NOT NULL DEFAULT 0,
        landed        INTEGER,
        failure       TEXT
    ) STRICT;
    CREATE INDEX outbox_by_group ON outbox (group_id, id);
";

/// Each brings the schema from the version of its place to the next.
pub(super) const MIGRATIONS: [&str; SCHEMA_VERSION as usize] = [
    SCHEMA_1, SCHEMA_2, SCHEMA_3, SCHEMA_4, SCHEMA_5, SCHEMA_6, SCHEMA_7, SCHEMA_8, SCHEMA_9,
    SCHEMA_10, SCHEMA_11, SCHEMA_12, SCHEMA_13, SCHEMA_14, SCHEMA_15, SCHEMA_16, SCHEMA_17,
    SCHEMA_18, SCHEMA_19, SCHEMA_20, SCHEMA_21, SCHEMA_22,
];

/// Brings a database to the newest schema, in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), ClientError> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let missing = MIGRATIONS.get(version as usize..);
    let missing = missing.ok_or(ClientError::NewerHome)?;
    if missing.is_empty() {
        return Ok(());
    }
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    Ok(transaction.commit()?)
}
