-- Codes that let somebody register, where the service asks for one. A code is kept as its hash, and
-- only until it is used or has expired.
CREATE TABLE registration_code (
    code_hash BLOB PRIMARY KEY,
    expires_millis INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
