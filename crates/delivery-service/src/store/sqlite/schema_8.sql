-- Version 8: who joins is given the reports and votes, kinds 4 and 5, that stand in the log before.
CREATE INDEX log_words ON log (group_id, sequence) WHERE kind >= 4;
