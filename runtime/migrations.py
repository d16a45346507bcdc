"""The store's schema, version by version. A step that was released is never changed."""

MIGRATIONS = (
    """
    CREATE TABLE keys (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,
        hint TEXT NOT NULL, created_s REAL NOT NULL, revoked_s REAL
    ) STRICT;
    CREATE TABLE properties (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE agents (
        name TEXT PRIMARY KEY, id TEXT NOT NULL, settings TEXT NOT NULL,
        active_deployment TEXT, desired_deployment TEXT NOT NULL, error TEXT,
        created_s REAL NOT NULL, updated_s REAL NOT NULL
    ) STRICT;
    CREATE TABLE deployments (
        id TEXT PRIMARY KEY, agent TEXT NOT NULL, manifest TEXT NOT NULL,
        created_s REAL NOT NULL, updated_s REAL NOT NULL
    ) STRICT;
    CREATE INDEX deployments_of ON deployments (agent, created_s);
    CREATE TABLE secret_sets (
        name TEXT PRIMARY KEY, kind TEXT NOT NULL, region TEXT NOT NULL, host TEXT,
        updated_s REAL NOT NULL
    ) STRICT;
    CREATE TABLE secrets (
        set_name TEXT NOT NULL REFERENCES secret_sets (name) ON DELETE CASCADE,
        key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (set_name, key)
    ) STRICT;
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY, agent TEXT NOT NULL, agent_id TEXT NOT NULL,
        deployment_id TEXT NOT NULL, pod_id TEXT NOT NULL, transport TEXT NOT NULL,
        cold INTEGER NOT NULL, limit_s REAL NOT NULL, created_s REAL NOT NULL,
        alive_s REAL NOT NULL, started_s REAL, first_frame_s REAL, ended_s REAL, end_state TEXT,
        completion TEXT, reason TEXT, billable_s REAL, room TEXT
    ) STRICT;
    CREATE INDEX sessions_of ON sessions (agent, created_s);
    CREATE INDEX sessions_running ON sessions (id) WHERE ended_s IS NULL;
    CREATE TABLE samples (
        session_id TEXT NOT NULL, at_s REAL NOT NULL, cpu_millicores INTEGER NOT NULL,
        memory_bytes INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX samples_of ON samples (session_id, at_s);
    CREATE INDEX samples_by_age ON samples (at_s);
    CREATE TABLE log_lines (
        id INTEGER PRIMARY KEY, agent TEXT NOT NULL, deployment_id TEXT NOT NULL,
        session_id TEXT, at TEXT NOT NULL, level TEXT NOT NULL, text TEXT NOT NULL
    ) STRICT;
    CREATE INDEX log_lines_of ON log_lines (agent, id);
    CREATE INDEX log_lines_of_session ON log_lines (session_id, id);
    CREATE TABLE messages (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, session_id TEXT NOT NULL, body TEXT NOT NULL,
        created_s REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_s REAL NOT NULL,
        delivered_s REAL, failure TEXT
    ) STRICT;
    CREATE INDEX messages_due ON messages (next_s) WHERE delivered_s IS NULL;
    """,
)
