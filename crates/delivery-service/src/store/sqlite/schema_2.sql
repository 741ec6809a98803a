-- Version 2: what is kept for a time, and attachments.

-- Bytes of the messages in the log.
ALTER TABLE mls_group ADD COLUMN kept_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE mls_group SET kept_bytes = coalesce(
    (SELECT sum(length(message)) FROM log WHERE log.group_id = mls_group.group_id), 0);

-- SHA-256 of the tree that goes with the Welcome; without one where it was sent before version 2.
ALTER TABLE welcome ADD COLUMN tree_hash BLOB NOT NULL DEFAULT x'';
CREATE INDEX mailbox_of_welcome ON mailbox (group_id, epoch);

CREATE TABLE blob (
    -- Never given twice: an upload that expired must not meet another.
    blob_id INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id BLOB NOT NULL REFERENCES mls_group,
    -- SHA-256 of the whole.
    content_hash BLOB NOT NULL,
    -- Whose quota it counts against.
    user_id TEXT NOT NULL,
    total_bytes INTEGER NOT NULL,
    expires_millis INTEGER NOT NULL,
    -- The places in the log for whose readers it is: of its first upload and of its last. NULL
    -- while it is uploaded.
    first_sequence INTEGER,
    last_sequence INTEGER
) STRICT;
CREATE UNIQUE INDEX blob_by_hash ON blob (group_id, content_hash) WHERE first_sequence IS NOT NULL;
CREATE INDEX blob_of_group ON blob (group_id);
CREATE INDEX blob_of_user ON blob (user_id);

CREATE TABLE blob_part (
    blob_id INTEGER NOT NULL REFERENCES blob ON DELETE CASCADE,
    part INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (blob_id, part)
) STRICT;
