-- The bot's tables in their final shape, on a database that has none of them.
CREATE FUNCTION public.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = CURRENT_TIMESTAMP;
    RETURN NEW;
END;
$$;

CREATE TABLE public.users (
    id         serial PRIMARY KEY,
    slack_id   varchar(50)  NOT NULL,
    name       varchar(100) NOT NULL,
    discipline varchar(20)  NOT NULL,
    created_at timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    active     boolean NOT NULL DEFAULT true,
    CONSTRAINT users_slack_discipline_unique UNIQUE (slack_id, discipline),
    CONSTRAINT users_discipline_check CHECK (discipline IN ('account', 'producer', 'po', 'uiEng', 'beEng'))
);
CREATE INDEX idx_users_discipline ON public.users (discipline);
CREATE INDEX idx_users_active ON public.users (active);

CREATE TABLE public.sprints (
    id           serial PRIMARY KEY,
    sprint_name  varchar(50) NOT NULL,
    start_date   date NOT NULL,
    end_date     date NOT NULL,
    sprint_index integer NOT NULL,
    created_at   timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    updated_at   timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT sprints_sprint_index_key UNIQUE (sprint_index)
);
CREATE INDEX idx_sprints_dates ON public.sprints (start_date, end_date);

CREATE TABLE public.current_state (
    id                serial PRIMARY KEY,
    sprint_index      integer,
    account_slack_id  varchar(50),
    producer_slack_id varchar(50),
    po_slack_id       varchar(50),
    ui_eng_slack_id   varchar(50),
    be_eng_slack_id   varchar(50),
    updated_at        timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT unique_current_state CHECK (id = 1),
    CONSTRAINT current_state_sprint_index_fkey FOREIGN KEY (sprint_index) REFERENCES public.sprints (sprint_index)
);
INSERT INTO public.current_state (id, sprint_index) VALUES (1, NULL);

CREATE TABLE public.overrides (
    id                   serial PRIMARY KEY,
    sprint_index         integer NOT NULL,
    role                 varchar(20) NOT NULL,
    original_slack_id    varchar(50),
    replacement_slack_id varchar(50) NOT NULL,
    replacement_name     varchar(100),
    requested_by         varchar(50) NOT NULL,
    approved             boolean DEFAULT false,
    approved_by          varchar(50),
    approval_timestamp   timestamp(6),
    created_at           timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    updated_at           timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT overrides_unique_request UNIQUE (sprint_index, role, requested_by, replacement_slack_id),
    CONSTRAINT overrides_role_check CHECK (role IN ('account', 'producer', 'po', 'uiEng', 'beEng')),
    CONSTRAINT overrides_sprint_index_fkey FOREIGN KEY (sprint_index) REFERENCES public.sprints (sprint_index)
);
CREATE INDEX idx_overrides_approved ON public.overrides (approved);

CREATE TABLE public.audit_logs (
    id         serial PRIMARY KEY,
    table_name varchar(50) NOT NULL,
    record_id  integer,
    operation  varchar(20) NOT NULL,
    old_values jsonb,
    new_values jsonb,
    changed_by varchar(50),
    changed_at timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    reason     text,
    CONSTRAINT audit_logs_operation_check CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE', 'UPSERT'))
);
CREATE INDEX idx_audit_logs_table_record ON public.audit_logs (table_name, record_id);
CREATE INDEX idx_audit_logs_changed_at ON public.audit_logs (changed_at);

CREATE TABLE public.admin_channel_membership (
    slack_id   varchar(50) PRIMARY KEY,
    is_member  boolean NOT NULL,
    checked_at timestamp(6) NOT NULL,
    updated_at timestamp(6) DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX idx_admin_channel_membership_checked_at ON public.admin_channel_membership (checked_at);

CREATE TRIGGER update_users_updated_at BEFORE UPDATE ON public.users
    FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER update_sprints_updated_at BEFORE UPDATE ON public.sprints
    FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER update_current_state_updated_at BEFORE UPDATE ON public.current_state
    FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER update_overrides_updated_at BEFORE UPDATE ON public.overrides
    FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
