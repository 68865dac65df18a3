-- What is sent to runs from outside.
--
-- A message that was acknowledged stays without its body, so that its repetition is known, until its run is deleted. The
-- numbers are never given again: whoever acknowledges one must mean the message that it received.
CREATE TABLE flow_messages (
    message_no INTEGER PRIMARY KEY AUTOINCREMENT,
    run_no     INTEGER NOT NULL,
    id         BLOB    NOT NULL,
    sent_at    INTEGER NOT NULL,
    body       BLOB,            -- null once acknowledged
    UNIQUE (run_no, id)
) STRICT;

CREATE INDEX flow_messages_waiting ON flow_messages (message_no) WHERE body IS NOT NULL;
