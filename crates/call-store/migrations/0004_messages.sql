-- The signalling messages of calls that have ended, as their recorder wrote them, compressed. Rows are only added, and
-- taken away from the beginning: ids rise with time.

CREATE TABLE messages (
    id      INTEGER NOT NULL PRIMARY KEY,
    call_id TEXT    NOT NULL UNIQUE,
    at      INTEGER NOT NULL,
    body    BLOB    NOT NULL
) STRICT;
