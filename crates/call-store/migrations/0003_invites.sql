-- INVITEs that rang or were answered and have not been ended: after a crash they are.

CREATE TABLE invites (
    sip_call_id TEXT NOT NULL PRIMARY KEY,
    call_id     TEXT NOT NULL,
    transport   TEXT NOT NULL CHECK (transport IN ('udp', 'tcp')),
    local       TEXT NOT NULL,
    remote      TEXT NOT NULL,
    request     BLOB NOT NULL
) STRICT;

-- Secrets of this installation that outlive the process.

CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL CHECK (length(value) = 32)
) STRICT;
