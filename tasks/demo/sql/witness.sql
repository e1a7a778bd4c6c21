-- The demo's own witness, the same in both halves. A trigger notes each change of a row as PostgreSQL makes it, in its
-- transaction; whoever writes, and whatever they claim, cannot get past it. The checks compare everything with it.
CREATE SCHEMA demo;

CREATE TABLE demo.witness (
    n          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text NOT NULL,
    record_id  integer NOT NULL,
    operation  text NOT NULL,
    old        jsonb,
    new        jsonb
);

-- A write that touches nothing but `updated_at` is no change.
CREATE FUNCTION demo.note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' OR to_jsonb(old) - 'updated_at' <> to_jsonb(new) - 'updated_at' THEN
        INSERT INTO demo.witness (table_name, record_id, operation, old, new)
        VALUES (TG_TABLE_NAME, coalesce(new.id, old.id), TG_OP, to_jsonb(old), to_jsonb(new));
    END IF;
    RETURN NULL;
END;
$$;
CREATE TRIGGER demo_witness AFTER INSERT OR UPDATE OR DELETE ON public.users
    FOR EACH ROW EXECUTE FUNCTION demo.note_change();
CREATE TRIGGER demo_witness AFTER INSERT OR UPDATE OR DELETE ON public.sprints
    FOR EACH ROW EXECUTE FUNCTION demo.note_change();
CREATE TRIGGER demo_witness AFTER INSERT OR UPDATE OR DELETE ON public.overrides
    FOR EACH ROW EXECUTE FUNCTION demo.note_change();
CREATE TRIGGER demo_witness AFTER INSERT OR UPDATE OR DELETE ON public.current_state
    FOR EACH ROW EXECUTE FUNCTION demo.note_change();

-- What each bot was told about each intent: done; no (with a reason that a person understands); or an error.
CREATE TABLE demo.told (
    number          integer PRIMARY KEY,
    bot             integer NOT NULL,
    conflict        text NOT NULL,
    kind            text NOT NULL,
    payload         jsonb NOT NULL,
    answer          text NOT NULL CHECK (answer IN ('done', 'no', 'error')),
    code            text NOT NULL,
    job_id          text
);
