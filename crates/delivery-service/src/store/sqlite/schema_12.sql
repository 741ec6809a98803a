-- Version 12: what is no application message is found without reading all that was said.

CREATE INDEX log_of_kind ON log (group_id, epoch, kind, sequence) WHERE kind <> 3;
