-- Version 10: reports of messages, and what moderators do.

CREATE TABLE report (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    report_id BLOB NOT NULL UNIQUE,
    reporter TEXT NOT NULL,
    received_millis INTEGER NOT NULL,
    -- Whether a moderator has decided.
    is_decided INTEGER NOT NULL DEFAULT 0,
    summary BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX report_open ON report (reporter, number) WHERE is_decided = 0;

-- Which messages somebody has reported: nobody reports one twice.
CREATE TABLE reported (
    user_id TEXT NOT NULL,
    group_id BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    number INTEGER NOT NULL REFERENCES report ON DELETE CASCADE,
    PRIMARY KEY (user_id, group_id, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX reported_in ON reported (number);

-- Only ever added to.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    entry BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_is_fixed BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit log is only added to'); END;

-- Where devices of a user that are no more were members: what they read, the user may report.
CREATE TABLE former_stay (
    group_id BLOB NOT NULL REFERENCES mls_group,
    user_id TEXT NOT NULL,
    from_sequence INTEGER NOT NULL,
    to_sequence INTEGER NOT NULL,
    PRIMARY KEY (group_id, user_id, from_sequence, to_sequence)
) STRICT, WITHOUT ROWID;
