-- The bot's database as it most likely stands in production, its shape LEGACY: what the first migration made, three
-- constraints that a script added, and what came later. Nothing here is ours; `onelane migrate up` takes it from here.
CREATE FUNCTION update_updated_at_column() RETURNS TRIGGER AS $$
BEGIN
    NEW.updated_at = CURRENT_TIMESTAMP;
    RETURN NEW;
END;
$$ LANGUAGE plpgsql;

CREATE TABLE users (
    id         SERIAL PRIMARY KEY,
    slack_id   VARCHAR(50) UNIQUE NOT NULL,
    name       VARCHAR(100) NOT NULL,
    discipline VARCHAR(20) NOT NULL CHECK (discipline IN ('account', 'producer', 'po', 'uiEng', 'beEng')),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE sprints (
    id           SERIAL PRIMARY KEY,
    sprint_name  VARCHAR(50) NOT NULL,
    start_date   DATE NOT NULL,
    end_date     DATE NOT NULL,
    sprint_index INTEGER UNIQUE NOT NULL,
    created_at   TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at   TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE current_state (
    id                SERIAL PRIMARY KEY,
    sprint_index      INTEGER REFERENCES sprints (sprint_index),
    account_slack_id  VARCHAR(50),
    producer_slack_id VARCHAR(50),
    po_slack_id       VARCHAR(50),
    ui_eng_slack_id   VARCHAR(50),
    be_eng_slack_id   VARCHAR(50),
    updated_at        TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT unique_current_state CHECK (id = 1)
);
CREATE TABLE overrides (
    id                   SERIAL PRIMARY KEY,
    sprint_index         INTEGER NOT NULL,
    role                 VARCHAR(20) NOT NULL CHECK (role IN ('account', 'producer', 'po', 'uiEng', 'beEng')),
    original_slack_id    VARCHAR(50),
    replacement_slack_id VARCHAR(50) NOT NULL,
    replacement_name     VARCHAR(100),
    requested_by         VARCHAR(50) NOT NULL,
    approved             BOOLEAN DEFAULT FALSE,
    approved_by          VARCHAR(50),
    approval_timestamp   TIMESTAMP,
    created_at           TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at           TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE audit_logs (
    id         SERIAL PRIMARY KEY,
    table_name VARCHAR(50) NOT NULL,
    record_id  INTEGER,
    operation  VARCHAR(20) NOT NULL CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE')),
    old_values JSONB,
    new_values JSONB,
    changed_by VARCHAR(50),
    changed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    reason     TEXT
);
CREATE INDEX idx_users_discipline ON users (discipline);
CREATE INDEX idx_users_slack_id ON users (slack_id);
CREATE INDEX idx_sprints_dates ON sprints (start_date, end_date);
CREATE INDEX idx_sprints_index ON sprints (sprint_index);
CREATE INDEX idx_overrides_sprint_role ON overrides (sprint_index, role);
CREATE INDEX idx_overrides_approved ON overrides (approved);
CREATE INDEX idx_audit_logs_table_record ON audit_logs (table_name, record_id);
CREATE INDEX idx_audit_logs_changed_at ON audit_logs (changed_at);
CREATE TRIGGER update_users_updated_at BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
CREATE TRIGGER update_sprints_updated_at BEFORE UPDATE ON sprints
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
CREATE TRIGGER update_current_state_updated_at BEFORE UPDATE ON current_state
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
CREATE TRIGGER update_overrides_updated_at BEFORE UPDATE ON overrides
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
INSERT INTO current_state (id, sprint_index) VALUES (1, NULL);

-- The three constraints of the script; the key on slack_id alone stays, so a person can't have two disciplines.
ALTER TABLE users ADD CONSTRAINT users_slack_discipline_unique UNIQUE (slack_id, discipline);
ALTER TABLE overrides ADD CONSTRAINT overrides_unique_request
    UNIQUE (sprint_index, role, requested_by, replacement_slack_id);
ALTER TABLE current_state ADD CONSTRAINT current_state_single_record UNIQUE (id);

-- What came later.
CREATE TABLE discipline (
    id   TEXT NOT NULL,
    name TEXT NOT NULL,
    env  VARCHAR(16) NOT NULL,
    CONSTRAINT discipline_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX discipline_name_env_key ON discipline (name, env);
ALTER TABLE overrides ADD CONSTRAINT overrides_sprint_index_fkey
    FOREIGN KEY (sprint_index) REFERENCES sprints (sprint_index) ON DELETE NO ACTION ON UPDATE NO ACTION;
ALTER TABLE users ADD COLUMN active BOOLEAN NOT NULL DEFAULT true;
CREATE INDEX idx_users_active ON users (active);
CREATE TABLE admin_channel_membership (
    slack_id   VARCHAR(50) NOT NULL,
    is_member  BOOLEAN NOT NULL,
    checked_at TIMESTAMP(6) NOT NULL,
    updated_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT admin_channel_membership_pkey PRIMARY KEY (slack_id)
);
CREATE INDEX idx_admin_channel_membership_checked_at ON admin_channel_membership (checked_at);
CREATE TABLE cron_trigger_audits (
    id           UUID NOT NULL DEFAULT gen_random_uuid(),
    triggered_at TIMESTAMPTZ(6) NOT NULL DEFAULT now(),
    scheduled_at TIMESTAMPTZ(6),
    result       VARCHAR(20) NOT NULL,
    details      JSONB,
    created_at   TIMESTAMPTZ(6) NOT NULL DEFAULT now(),
    CONSTRAINT cron_trigger_audits_pkey PRIMARY KEY (id)
);
CREATE TABLE notification_snapshots (
    id                     SERIAL NOT NULL,
    captured_at            TIMESTAMPTZ(6) NOT NULL DEFAULT now(),
    discipline_assignments JSONB NOT NULL,
    hash                   TEXT NOT NULL,
    delivery_status        VARCHAR(20) NOT NULL,
    delivery_reason        TEXT,
    railway_trigger_id     UUID,
    next_delivery          TIMESTAMPTZ(6),
    CONSTRAINT notification_snapshots_pkey PRIMARY KEY (id)
);
ALTER TABLE notification_snapshots ADD CONSTRAINT notification_snapshots_railway_trigger_id_fkey
    FOREIGN KEY (railway_trigger_id) REFERENCES cron_trigger_audits (id) ON DELETE SET NULL ON UPDATE CASCADE;
