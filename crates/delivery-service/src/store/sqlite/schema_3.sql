-- Version 3: what members do besides messages: notices, invitations, deletions.

-- When it was taken: whoever takes too many in a row has to wait.
ALTER TABLE handout ADD COLUMN taken_millis INTEGER NOT NULL DEFAULT 0;
CREATE INDEX handout_of_device ON handout (device_id, taken_millis);

-- Mail that is no Welcome, under the same cursors.
CREATE TABLE notice (
    device_id BLOB NOT NULL REFERENCES device,
    cursor INTEGER NOT NULL,
    -- 1 KeyPackages run low, 2 invitation asked, 3 invitation approved, 4 intent
    kind INTEGER NOT NULL,
    -- Two notices of a kind about the same are one.
    about BLOB NOT NULL,
    group_id BLOB,
    -- The device of which it tells.
    sender BLOB,
    body BLOB NOT NULL,
    PRIMARY KEY (device_id, cursor),
    UNIQUE (device_id, kind, about)
) STRICT;
CREATE INDEX notice_of_group ON notice (group_id) WHERE group_id IS NOT NULL;

CREATE TABLE invitation (
    group_id BLOB NOT NULL REFERENCES mls_group,
    -- SHA-256 of the token, which is not kept.
    token_hash BLOB NOT NULL,
    inviter BLOB NOT NULL,
    expires_millis INTEGER NOT NULL,
    -- The device that redeemed it.
    asker BLOB,
    -- A member's signed word for it, once there is one.
    approval BLOB,
    PRIMARY KEY (group_id, token_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX invitation_of_inviter ON invitation (inviter);
CREATE INDEX invitation_of_asker ON invitation (asker) WHERE asker IS NOT NULL;

-- The Proposals of an epoch, for those who join by an external Commit.
CREATE INDEX log_proposals ON log (group_id, epoch) WHERE kind = 2;
CREATE INDEX membership_of_device ON membership (device_id);
