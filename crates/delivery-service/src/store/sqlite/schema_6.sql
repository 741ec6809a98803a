-- Version 6: device lists, and the leaves of devices that are no more.

CREATE TABLE device_list (
    user_id TEXT PRIMARY KEY REFERENCES user,
    version INTEGER NOT NULL,
    list BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Deleted devices whose leaf stands in a group until a member removes it.
CREATE TABLE departed (
    group_id BLOB NOT NULL REFERENCES mls_group,
    device_id BLOB NOT NULL,
    -- Whose other devices may still come in; NULL where the user was deleted too.
    user_id TEXT,
    PRIMARY KEY (group_id, device_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX departed_of_user ON departed (user_id) WHERE user_id IS NOT NULL;
