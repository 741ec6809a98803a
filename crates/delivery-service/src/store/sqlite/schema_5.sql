-- Version 5: what was seen last of each device's state, to tell it from its copies.
CREATE TABLE instance (
    device_id BLOB PRIMARY KEY REFERENCES device,
    nonce BLOB NOT NULL,
    -- Messages that it had encrypted.
    sent INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
