-- The signalling messages of calls that have ended, as their recorder wrote them.

CREATE TABLE messages (
    id      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    call_id TEXT    NOT NULL UNIQUE,
    at      INTEGER NOT NULL,
    body    BLOB    NOT NULL
) STRICT;

CREATE INDEX messages_by_at ON messages (at);
