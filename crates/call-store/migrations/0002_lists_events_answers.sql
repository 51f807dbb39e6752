-- Lists of calls and figures over them.

ALTER TABLE calls ADD COLUMN connected_at INTEGER;
-- The longer of both parties' first_packet_ms_after_answer; NULL unless both were heard.
ALTER TABLE calls ADD COLUMN first_audio_ms INTEGER;

UPDATE calls SET
    connected_at = CAST(ROUND((julianday(json_extract(body, '$.connected_at')) - 2440587.5) * 86400000) AS INTEGER),
    first_audio_ms = max(json_extract(body, '$.from.media.first_packet_ms_after_answer'),
                         json_extract(body, '$.to.media.first_packet_ms_after_answer'));

DROP INDEX calls_by_created_at;
CREATE INDEX calls_newest_first ON calls (created_at, call_id);
CREATE INDEX calls_by_end_reason ON calls (end_reason, created_at);

-- What happened to calls, for those who were not there. An id is never given twice.

CREATE TABLE events (
    id      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    call_id TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    body    TEXT    NOT NULL CHECK (json_valid(body))
) STRICT;

CREATE INDEX events_by_call ON events (call_id, id);
CREATE INDEX events_by_at ON events (at);
CREATE UNIQUE INDEX events_that_come_once ON events (call_id, kind) WHERE kind IN ('call.initiated', 'call.ended');

-- First answers, for requests that are repeated (Idempotency-Key).

CREATE TABLE first_answers (
    api_key         BLOB    NOT NULL CHECK (length(api_key) = 32),
    idempotency_key TEXT    NOT NULL,
    request         BLOB    NOT NULL CHECK (length(request) = 32),
    at              INTEGER NOT NULL,
    status          INTEGER NOT NULL,
    location        TEXT,
    body            TEXT    NOT NULL,
    PRIMARY KEY (api_key, idempotency_key)
) STRICT;

CREATE INDEX first_answers_by_at ON first_answers (at);
