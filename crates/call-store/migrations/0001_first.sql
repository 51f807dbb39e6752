-- Moments are milliseconds since 1970.

CREATE TABLE bindings (
    user       TEXT    NOT NULL,
    contact    TEXT    NOT NULL,
    call_id    TEXT    NOT NULL,
    cseq       INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    transport  TEXT    NOT NULL,
    local      TEXT    NOT NULL,
    remote     TEXT    NOT NULL,
    path       TEXT,
    user_agent TEXT,
    PRIMARY KEY (user, contact)
) STRICT;

CREATE TABLE extensions (
    number TEXT NOT NULL PRIMARY KEY,
    name   TEXT NOT NULL,
    realm  TEXT NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    md5    BLOB NOT NULL CHECK (length(md5) = 16)
) STRICT;

CREATE TABLE api_keys (
    name        TEXT NOT NULL PRIMARY KEY,
    sha256      BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    permissions TEXT NOT NULL CHECK (json_valid(permissions))
) STRICT;

CREATE TABLE calls (
    call_id     TEXT    NOT NULL PRIMARY KEY,
    created_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    state       TEXT    NOT NULL,
    direction   TEXT    NOT NULL DEFAULT 'outbound',
    from_number TEXT    NOT NULL,
    to_number   TEXT    NOT NULL,
    to_type     TEXT    NOT NULL,
    end_reason  TEXT,
    -- The whole call as the API shows it; the other columns are for searching.
    body        TEXT    NOT NULL CHECK (json_valid(body))
) STRICT;

CREATE INDEX calls_by_created_at ON calls (created_at);
CREATE INDEX calls_by_from_number ON calls (from_number, created_at);
CREATE INDEX calls_by_to_number ON calls (to_number, created_at);
CREATE INDEX calls_running ON calls (created_at) WHERE ended_at IS NULL;
