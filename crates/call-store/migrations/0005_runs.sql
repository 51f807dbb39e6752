-- Runs: each start of the process is one, and rows belong to one. 0 stands for all before runs were counted.

CREATE TABLE runs (
    run        INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    started_at INTEGER NOT NULL,
    -- The last round that is written.
    round      INTEGER NOT NULL,
    -- NULL for one that runs, or that was cut off.
    ended_at   INTEGER
) STRICT;

ALTER TABLE calls ADD COLUMN run INTEGER NOT NULL DEFAULT 0;
-- How long it was connected; NULL unless it was and has ended.
ALTER TABLE calls ADD COLUMN talk_ms INTEGER;
ALTER TABLE bindings ADD COLUMN run INTEGER NOT NULL DEFAULT 0;
-- Which round wrote it, and which of its events it was.
ALTER TABLE events ADD COLUMN run INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN round INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN place INTEGER NOT NULL DEFAULT 0;

-- Any transport.

CREATE TABLE new_invites (
    sip_call_id TEXT    NOT NULL PRIMARY KEY,
    call_id     TEXT    NOT NULL,
    run         INTEGER NOT NULL,
    transport   TEXT    NOT NULL,
    local       TEXT    NOT NULL,
    remote      TEXT    NOT NULL,
    request     BLOB    NOT NULL
) STRICT;

INSERT INTO new_invites (sip_call_id, call_id, run, transport, local, remote, request)
SELECT sip_call_id, call_id, 0, transport, local, remote, request FROM invites ORDER BY rowid;

DROP TABLE invites;
ALTER TABLE new_invites RENAME TO invites;

-- First answers are written with the call; their body is kept for those only who waited for more than the call's id.

CREATE TABLE new_first_answers (
    api_key         BLOB    NOT NULL CHECK (length(api_key) = 32),
    idempotency_key TEXT    NOT NULL,
    request         BLOB    NOT NULL CHECK (length(request) = 32),
    call_id         TEXT    NOT NULL,
    at              INTEGER NOT NULL,
    body            TEXT,
    PRIMARY KEY (api_key, idempotency_key)
) STRICT;

INSERT INTO new_first_answers (rowid, api_key, idempotency_key, request, call_id, at, body)
SELECT rowid, api_key, idempotency_key, request, substr(location, -36), at, body FROM first_answers
WHERE location GLOB '*/????????-????-????-????-????????????';

DROP TABLE first_answers;
ALTER TABLE new_first_answers RENAME TO first_answers;
CREATE INDEX first_answers_by_at ON first_answers (at);
CREATE INDEX first_answers_by_call ON first_answers (call_id);

-- What a call says of itself since then. All calls were between extensions.

UPDATE calls SET (direction, talk_ms, body) = (
    SELECT 'internal',
           CASE WHEN connected IS NOT NULL AND until IS NOT NULL THEN CAST(round(talk * 1000) AS INTEGER) END,
           json_set(body, '$.direction', 'internal', '$.disposition', disposition, '$.duration_seconds', duration,
                    '$.ring_seconds', ring, '$.talk_seconds', talk)
    FROM (
        SELECT connected, until, disposition,
               max(0.0, round(coalesce(until - created, 0.0), 3)) AS duration,
               max(0.0, round(coalesce(coalesce(connected, until) - rung, 0.0), 3)) AS ring,
               max(0.0, round(coalesce(until - connected, 0.0), 3)) AS talk
        FROM (
            SELECT unixepoch(json_extract(body, '$.created_at'), 'subsec') AS created,
                   unixepoch(json_extract(body, '$.connected_at'), 'subsec') AS connected,
                   unixepoch(json_extract(body, '$.ended_at'), 'subsec') AS until,
                   unixepoch(CASE WHEN json_extract(body, '$.to.ringing_at') IS NOT NULL
                                  THEN json_extract(body, '$.to.ringing_at')
                                  WHEN json_extract(body, '$.to.state') <> 'waiting'
                                  THEN json_extract(body, '$.from.answered_at') END, 'subsec') AS rung,
                   CASE WHEN json_extract(body, '$.end.reason') IS NULL THEN 'running'
                        WHEN json_extract(body, '$.connected_at') IS NOT NULL THEN 'answered'
                        WHEN json_extract(body, '$.end.reason') = 'no_answer' THEN 'no_answer'
                        WHEN json_extract(body, '$.end.reason') IN ('busy', 'declined') THEN 'busy'
                        WHEN json_extract(body, '$.end.reason') IN ('cancelled', 'hung_up') THEN 'cancelled'
                        ELSE 'failed' END AS disposition
        )
    )
);

UPDATE events SET body = (
    SELECT json_set(body, '$.call.direction', 'internal', '$.call.disposition', disposition,
                    '$.call.duration_seconds', duration, '$.call.ring_seconds', ring, '$.call.talk_seconds', talk)
    FROM (
        SELECT disposition,
               max(0.0, round(coalesce(until - created, 0.0), 3)) AS duration,
               max(0.0, round(coalesce(coalesce(connected, until) - rung, 0.0), 3)) AS ring,
               max(0.0, round(coalesce(until - connected, 0.0), 3)) AS talk
        FROM (
            SELECT unixepoch(json_extract(body, '$.call.created_at'), 'subsec') AS created,
                   unixepoch(json_extract(body, '$.call.connected_at'), 'subsec') AS connected,
                   -- Until the end, or else until the event.
                   coalesce(unixepoch(json_extract(body, '$.call.ended_at'), 'subsec'),
                            unixepoch(json_extract(body, '$.at'), 'subsec')) AS until,
                   unixepoch(CASE WHEN json_extract(body, '$.call.to.ringing_at') IS NOT NULL
                                  THEN json_extract(body, '$.call.to.ringing_at')
                                  WHEN json_extract(body, '$.call.to.state') <> 'waiting'
                                  THEN json_extract(body, '$.call.from.answered_at') END, 'subsec') AS rung,
                   CASE WHEN json_extract(body, '$.call.end.reason') IS NULL THEN 'running'
                        WHEN json_extract(body, '$.call.connected_at') IS NOT NULL THEN 'answered'
                        WHEN json_extract(body, '$.call.end.reason') = 'no_answer' THEN 'no_answer'
                        WHEN json_extract(body, '$.call.end.reason') IN ('busy', 'declined') THEN 'busy'
                        WHEN json_extract(body, '$.call.end.reason') IN ('cancelled', 'hung_up') THEN 'cancelled'
                        ELSE 'failed' END AS disposition
        )
    )
);
