-- Version 9: messages are stamped. Those that are committed together share a signature.
CREATE TABLE frank_batch (
    batch_id        INTEGER PRIMARY KEY,
    -- The latest of its messages.
    accepted_millis INTEGER NOT NULL,
    batch           BLOB NOT NULL
) STRICT;
-- The batch, the place in it, and the service's own proof; none for what is not stamped.
ALTER TABLE log ADD COLUMN frank BLOB;
