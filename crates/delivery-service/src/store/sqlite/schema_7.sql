-- Version 7: the log takes reports of Commits that members can't process, as kind 4.
CREATE INDEX log_reports ON log (group_id, epoch) WHERE kind = 4;
