"""Builds the bot's database in each of the shapes that its scripts left behind, from the facts in the domain sheet."""

# ruff: noqa: S608, ISC004 - lists of SQL statements, made of our own names and numbers

import psycopg

ROLES = "'account', 'producer', 'po', 'uiEng', 'beEng'"

S1 = f"""
CREATE FUNCTION update_updated_at_column() RETURNS TRIGGER AS $$
BEGIN
    NEW.updated_at = CURRENT_TIMESTAMP;
    RETURN NEW;
END;
$$ language 'plpgsql';
CREATE TABLE users (
    id SERIAL PRIMARY KEY, slack_id VARCHAR(50) UNIQUE NOT NULL, name VARCHAR(100) NOT NULL,
    discipline VARCHAR(20) NOT NULL CHECK (discipline IN ({ROLES})),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE sprints (
    id SERIAL PRIMARY KEY, sprint_name VARCHAR(50) NOT NULL, start_date DATE NOT NULL, end_date DATE NOT NULL,
    sprint_index INTEGER UNIQUE NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE current_state (
    id SERIAL PRIMARY KEY, sprint_index INTEGER REFERENCES sprints(sprint_index),
    account_slack_id VARCHAR(50), producer_slack_id VARCHAR(50), po_slack_id VARCHAR(50),
    ui_eng_slack_id VARCHAR(50), be_eng_slack_id VARCHAR(50), updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT unique_current_state CHECK (id = 1));
CREATE TABLE overrides (
    id SERIAL PRIMARY KEY, sprint_index INTEGER NOT NULL, role VARCHAR(20) NOT NULL CHECK (role IN ({ROLES})),
    original_slack_id VARCHAR(50), replacement_slack_id VARCHAR(50) NOT NULL, replacement_name VARCHAR(100),
    requested_by VARCHAR(50) NOT NULL, approved BOOLEAN DEFAULT FALSE, approved_by VARCHAR(50),
    approval_timestamp TIMESTAMP,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE audit_logs (
    id SERIAL PRIMARY KEY, table_name VARCHAR(50) NOT NULL, record_id INTEGER,
    operation VARCHAR(20) NOT NULL CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE')),
    old_values JSONB, new_values JSONB, changed_by VARCHAR(50), changed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    reason TEXT);
CREATE INDEX idx_users_discipline ON users(discipline);
CREATE INDEX idx_users_slack_id ON users(slack_id);
CREATE INDEX idx_sprints_dates ON sprints(start_date, end_date);
CREATE INDEX idx_sprints_index ON sprints(sprint_index);
CREATE INDEX idx_overrides_sprint_role ON overrides(sprint_index, role);
CREATE INDEX idx_overrides_approved ON overrides(approved);
CREATE INDEX idx_audit_logs_table_record ON audit_logs(table_name, record_id);
CREATE INDEX idx_audit_logs_changed_at ON audit_logs(changed_at);
CREATE TRIGGER update_users_updated_at BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
CREATE TRIGGER update_sprints_updated_at BEFORE UPDATE ON sprints
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
CREATE TRIGGER update_current_state_updated_at BEFORE UPDATE ON current_state
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
CREATE TRIGGER update_overrides_updated_at BEFORE UPDATE ON overrides
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
INSERT INTO current_state (id, sprint_index) VALUES (1, NULL);
"""

THREE_CONSTRAINTS = """
ALTER TABLE users ADD CONSTRAINT users_slack_discipline_unique UNIQUE (slack_id, discipline);
ALTER TABLE overrides ADD CONSTRAINT overrides_unique_request
    UNIQUE (sprint_index, role, requested_by, replacement_slack_id);
ALTER TABLE current_state ADD CONSTRAINT current_state_single_record UNIQUE (id);
"""

SPRINTS_DROP = "ALTER TABLE sprints DROP CONSTRAINT sprints_sprint_index_key"
SECOND = [
    "DELETE FROM users a USING users b WHERE a.id < b.id AND a.slack_id = b.slack_id AND a.discipline = b.discipline",
    "ALTER TABLE users DROP CONSTRAINT users_slack_id_key",
    "ALTER TABLE users ADD CONSTRAINT users_slack_discipline_unique UNIQUE (slack_id, discipline)",
    "CREATE INDEX idx_users_slack_discipline ON users(slack_id, discipline)",
    "DELETE FROM sprints a USING sprints b WHERE a.id < b.id AND a.sprint_index = b.sprint_index",
    SPRINTS_DROP,
    "CREATE UNIQUE INDEX idx_sprints_active_unique ON sprints(sprint_index) WHERE sprint_index IS NOT NULL",
    "DELETE FROM overrides a USING overrides b WHERE a.id < b.id AND a.sprint_index = b.sprint_index"
    " AND a.role = b.role AND a.requested_by = b.requested_by AND a.replacement_slack_id = b.replacement_slack_id",
    "ALTER TABLE overrides ADD CONSTRAINT overrides_unique_request"
    " UNIQUE (sprint_index, role, requested_by, replacement_slack_id)",
    "CREATE INDEX idx_overrides_unique_lookup ON overrides(sprint_index, role, requested_by, replacement_slack_id)",
    "DELETE FROM current_state WHERE id <> 1",
    "ALTER TABLE current_state DROP CONSTRAINT unique_current_state",
    "ALTER TABLE current_state ADD CONSTRAINT current_state_single_record UNIQUE (id)",
    "INSERT INTO current_state (id) VALUES (1) ON CONFLICT (id) DO NOTHING",
    "CREATE INDEX idx_current_state_id ON current_state(id)",
    "INSERT INTO audit_logs (table_name, record_id, operation, reason) VALUES ('schema', 0, 'UPDATE', '002')",
]

P1 = """
CREATE TABLE users (
    id SERIAL NOT NULL, slack_id VARCHAR(50) NOT NULL, name VARCHAR(100) NOT NULL, discipline VARCHAR(20) NOT NULL,
    created_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT users_pkey PRIMARY KEY (id));
CREATE TABLE sprints (
    id SERIAL NOT NULL, sprint_name VARCHAR(50) NOT NULL, start_date DATE NOT NULL, end_date DATE NOT NULL,
    sprint_index INTEGER NOT NULL,
    created_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT sprints_pkey PRIMARY KEY (id));
CREATE TABLE current_state (
    id SERIAL NOT NULL, sprint_index INTEGER, account_slack_id VARCHAR(50), producer_slack_id VARCHAR(50),
    po_slack_id VARCHAR(50), ui_eng_slack_id VARCHAR(50), be_eng_slack_id VARCHAR(50),
    updated_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP, CONSTRAINT current_state_pkey PRIMARY KEY (id));
CREATE TABLE overrides (
    id SERIAL NOT NULL, sprint_index INTEGER NOT NULL, role VARCHAR(20) NOT NULL, original_slack_id VARCHAR(50),
    replacement_slack_id VARCHAR(50) NOT NULL, replacement_name VARCHAR(100), requested_by VARCHAR(50) NOT NULL,
    approved BOOLEAN DEFAULT false, approved_by VARCHAR(50), approval_timestamp TIMESTAMP(6),
    created_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT overrides_pkey PRIMARY KEY (id));
CREATE TABLE audit_logs (
    id SERIAL NOT NULL, table_name VARCHAR(50) NOT NULL, record_id INTEGER, operation VARCHAR(20) NOT NULL,
    old_values JSONB, new_values JSONB, changed_by VARCHAR(50),
    changed_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP, reason TEXT, CONSTRAINT audit_logs_pkey PRIMARY KEY (id));
CREATE UNIQUE INDEX users_slack_id_key ON users(slack_id);
CREATE INDEX idx_users_discipline ON users(discipline);
CREATE INDEX idx_users_slack_id ON users(slack_id);
CREATE UNIQUE INDEX users_slack_discipline_unique ON users(slack_id, discipline);
CREATE UNIQUE INDEX sprints_sprint_index_key ON sprints(sprint_index);
CREATE INDEX idx_sprints_dates ON sprints(start_date, end_date);
CREATE INDEX idx_sprints_index ON sprints(sprint_index);
CREATE UNIQUE INDEX current_state_single_record ON current_state(id);
CREATE INDEX idx_overrides_sprint_role ON overrides(sprint_index, role);
CREATE INDEX idx_overrides_approved ON overrides(approved);
CREATE UNIQUE INDEX overrides_unique_request ON overrides(sprint_index, role, requested_by, replacement_slack_id);
CREATE INDEX idx_audit_logs_table_record ON audit_logs(table_name, record_id);
CREATE INDEX idx_audit_logs_changed_at ON audit_logs(changed_at);
ALTER TABLE current_state ADD CONSTRAINT current_state_sprint_index_fkey
    FOREIGN KEY (sprint_index) REFERENCES sprints(sprint_index) ON DELETE NO ACTION ON UPDATE NO ACTION;
"""

P2 = """
CREATE TABLE discipline (id TEXT NOT NULL, name TEXT NOT NULL, env VARCHAR(16) NOT NULL,
    CONSTRAINT discipline_pkey PRIMARY KEY (id));
CREATE UNIQUE INDEX discipline_name_env_key ON discipline(name, env);
ALTER TABLE overrides ADD CONSTRAINT overrides_sprint_index_fkey
    FOREIGN KEY (sprint_index) REFERENCES sprints(sprint_index) ON DELETE NO ACTION ON UPDATE NO ACTION;
"""
P3 = """
ALTER TABLE users ADD COLUMN active BOOLEAN NOT NULL DEFAULT true;
CREATE INDEX idx_users_active ON users(active);
"""
P4 = """
CREATE TABLE admin_channel_membership (slack_id VARCHAR(50) NOT NULL, is_member BOOLEAN NOT NULL,
    checked_at TIMESTAMP(6) NOT NULL, updated_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT admin_channel_membership_pkey PRIMARY KEY (slack_id));
CREATE INDEX idx_admin_channel_membership_checked_at ON admin_channel_membership(checked_at);
"""
P5 = """
CREATE TABLE cron_trigger_audits (id UUID NOT NULL DEFAULT gen_random_uuid(),
    triggered_at TIMESTAMPTZ(6) NOT NULL DEFAULT now(), scheduled_at TIMESTAMPTZ(6), result VARCHAR(20) NOT NULL,
    details JSONB, created_at TIMESTAMPTZ(6) NOT NULL DEFAULT now(),
    CONSTRAINT cron_trigger_audits_pkey PRIMARY KEY (id));
CREATE TABLE notification_snapshots (id SERIAL NOT NULL, captured_at TIMESTAMPTZ(6) NOT NULL DEFAULT now(),
    discipline_assignments JSONB NOT NULL, hash TEXT NOT NULL, delivery_status VARCHAR(20) NOT NULL,
    delivery_reason TEXT, railway_trigger_id UUID, next_delivery TIMESTAMPTZ(6),
    CONSTRAINT notification_snapshots_pkey PRIMARY KEY (id));
ALTER TABLE notification_snapshots ADD CONSTRAINT notification_snapshots_railway_trigger_id_fkey
    FOREIGN KEY (railway_trigger_id) REFERENCES cron_trigger_audits(id) ON DELETE SET NULL ON UPDATE CASCADE;
"""

EMPTY = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid();
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', name);
    END LOOP;
END $$;
CREATE SCHEMA public AUTHORIZATION pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
"""

SHAPES = ("S1", "FIX", "PSQL", "SEED", "LEGACY", "FRESH")


def empty(url: str) -> None:
    """Make a database as a new one is, whoever is still connected."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute(EMPTY)


def build(url: str, shape: str) -> None:
    """Make an empty database the bot's, in the named shape."""
    with psycopg.connect(url, autocommit=True) as connection:
        if shape == "FRESH":
            connection.execute(P1 + P2 + P3 + P4 + P5)
            return
        connection.execute(S1)
        if shape in {"FIX", "LEGACY"}:
            connection.execute(THREE_CONSTRAINTS)
        if shape == "LEGACY":
            connection.execute(P2 + P3 + P4 + P5)
        if shape in {"PSQL", "SEED"}:
            _second(connection, cascade=shape == "SEED")


def _second(connection: psycopg.Connection, *, cascade: bool) -> None:
    """The bot's second migration: its one impossible drop fails, or takes the foreign key with it."""
    for statement in SECOND:
        if statement != SPRINTS_DROP:
            connection.execute(statement)
        elif cascade:
            connection.execute(f"{statement} CASCADE")
        else:
            try:
                connection.execute(statement)
            except psycopg.errors.DependentObjectsStillExist:
                continue
