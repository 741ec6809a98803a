-- Version 1. Ids are 16-byte blobs; times are milliseconds since 1970-01-01 UTC unless named
-- otherwise. Tables of small rows have no rowid; those with large blobs keep theirs, which SQLite
-- stores better.

CREATE TABLE identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    server_name TEXT NOT NULL,
    secret BLOB NOT NULL
) STRICT;

CREATE TABLE user (
    user_id TEXT PRIMARY KEY,
    identity_key BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE device (
    device_id BLOB PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES user,
    signature_key BLOB NOT NULL,
    certificate BLOB NOT NULL,
    -- The last cursor that its mailbox gave out; cursors are never used again.
    mailbox_cursor INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX device_of_user ON device (user_id);

CREATE TABLE key_package (
    id INTEGER PRIMARY KEY,
    device_id BLOB NOT NULL REFERENCES device,
    reference BLOB NOT NULL,
    expires_seconds INTEGER NOT NULL,
    -- NULL once it was handed out: the row stays, so that it can't be published again.
    message BLOB,
    UNIQUE (device_id, reference)
) STRICT;
CREATE INDEX key_package_in_stock ON key_package (device_id, id) WHERE message IS NOT NULL;

CREATE TABLE last_resort_key_package (
    device_id BLOB PRIMARY KEY REFERENCES device,
    expires_seconds INTEGER NOT NULL,
    message BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What a request took, so that its repetition gets the same.
CREATE TABLE handout (
    taker BLOB NOT NULL,
    request_id BLOB NOT NULL,
    device_id BLOB NOT NULL,
    message BLOB NOT NULL,
    PRIMARY KEY (taker, request_id, device_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE mls_group (
    group_id BLOB PRIMARY KEY,
    creator BLOB NOT NULL,
    body_hash BLOB NOT NULL,
    epoch INTEGER NOT NULL DEFAULT 0,
    sequence INTEGER NOT NULL DEFAULT 0,
    handshake INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE group_info (
    group_id BLOB PRIMARY KEY REFERENCES mls_group,
    message BLOB NOT NULL
) STRICT;

CREATE TABLE snapshot (
    group_id BLOB PRIMARY KEY REFERENCES mls_group,
    applied INTEGER NOT NULL,
    state BLOB NOT NULL
) STRICT;

-- What each handshake message since the snapshot changed.
CREATE TABLE delta (
    group_id BLOB NOT NULL REFERENCES mls_group,
    sequence INTEGER NOT NULL,
    change BLOB NOT NULL,
    PRIMARY KEY (group_id, sequence)
) STRICT;

CREATE TABLE log (
    group_id BLOB NOT NULL REFERENCES mls_group,
    sequence INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    -- 1 Commit, 2 Proposal, 3 application message
    kind INTEGER NOT NULL,
    sender BLOB NOT NULL,
    accepted_millis INTEGER NOT NULL,
    message BLOB NOT NULL,
    PRIMARY KEY (group_id, sequence)
) STRICT;
-- At most one Commit per epoch, whatever the code above does.
CREATE UNIQUE INDEX log_one_commit ON log (group_id, epoch) WHERE kind = 1;

CREATE TABLE membership (
    group_id BLOB NOT NULL REFERENCES mls_group,
    device_id BLOB NOT NULL,
    from_sequence INTEGER NOT NULL,
    to_sequence INTEGER,
    PRIMARY KEY (group_id, device_id, from_sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE request (
    device_id BLOB NOT NULL,
    request_id BLOB NOT NULL,
    body_hash BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    accepted_millis INTEGER NOT NULL,
    PRIMARY KEY (device_id, request_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE welcome (
    group_id BLOB NOT NULL REFERENCES mls_group,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    accepted_millis INTEGER NOT NULL,
    added_by TEXT NOT NULL,
    shared BLOB NOT NULL,
    PRIMARY KEY (group_id, epoch)
) STRICT;

CREATE TABLE mailbox (
    device_id BLOB NOT NULL REFERENCES device,
    cursor INTEGER NOT NULL,
    group_id BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    secrets BLOB NOT NULL,
    PRIMARY KEY (device_id, cursor),
    FOREIGN KEY (group_id, epoch) REFERENCES welcome
) STRICT, WITHOUT ROWID;

CREATE TABLE tree (
    group_id BLOB NOT NULL REFERENCES mls_group,
    epoch INTEGER NOT NULL,
    part INTEGER NOT NULL,
    -- The Commit that started the epoch.
    sequence INTEGER NOT NULL,
    total_bytes INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (group_id, epoch, part)
) STRICT;
