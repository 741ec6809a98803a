-- Version 11: what moderators did about one report is found without reading all that they did.

CREATE TABLE audit_about (
    report_id BLOB NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (report_id, number)
) STRICT, WITHOUT ROWID;

-- Entries name a report, or the decision on one.
INSERT INTO audit_about
SELECT unhex(CAST(entry AS TEXT) ->> 'report'), number FROM audit
WHERE CAST(entry AS TEXT) ->> 'report' IS NOT NULL;

INSERT INTO audit_about
SELECT report_id, later.number FROM audit AS later
JOIN audit_about ON audit_about.number = CAST(later.entry AS TEXT) ->> 'decision';
