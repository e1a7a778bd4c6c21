-- The rules of the rotation, as functions that the statements of the jobs share. They read in the snapshot of the
-- statement that calls them.
CREATE SCHEMA triage;

-- The roles in their fixed order, with the words for people.
CREATE FUNCTION triage.roles() RETURNS TABLE (place integer, role text, title text) IMMUTABLE LANGUAGE sql AS $$
    VALUES (1, 'account', 'Account'), (2, 'producer', 'Producer'), (3, 'po', 'PO'),
           (4, 'uiEng', 'UI Engineering'), (5, 'beEng', 'BE Engineering')
$$;

CREATE FUNCTION triage.title(role text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT r.title FROM triage.roles() AS r WHERE r.role = $1
$$;

-- The sprint at a moment: both ends belong to it; where sprints overlap, the lowest before 08:00, the highest from then on.
CREATE FUNCTION triage.current_sprint(moment timestamptz, time_zone text) RETURNS integer STABLE LANGUAGE sql AS $$
    SELECT CASE WHEN (moment AT TIME ZONE time_zone)::time < '08:00' THEN min(sprint_index) ELSE max(sprint_index) END
    FROM public.sprints
    WHERE (moment AT TIME ZONE time_zone)::date BETWEEN start_date AND end_date
$$;

-- A sprint's name for people.
CREATE FUNCTION triage.sprint_name(sprint_index integer) RETURNS text STABLE LANGUAGE sql AS $$
    SELECT coalesce((SELECT s.sprint_name FROM public.sprints AS s WHERE s.sprint_index = $1), 'sprint ' || $1)
$$;

-- Who is on duty in a sprint, as {role: Slack id}: the newest created approved override, else the place in the list of
-- active people by name, else the configured fallback. `fallback` is {role: Slack id}.
CREATE FUNCTION triage.on_duty(sprint_index integer, fallback jsonb) RETURNS jsonb STABLE LANGUAGE sql AS $$
    SELECT jsonb_object_agg(r.role, coalesce(
        (SELECT o.replacement_slack_id FROM public.overrides AS o
         WHERE o.sprint_index = $1 AND o.role = r.role AND o.approved
         ORDER BY o.created_at DESC, o.id DESC LIMIT 1),
        (SELECT listed.slack_id
         FROM (SELECT u.slack_id, row_number() OVER (ORDER BY u.name, u.id) - 1 AS place, count(*) OVER () AS people
               FROM public.users AS u WHERE u.active AND u.discipline = r.role) AS listed
         WHERE listed.place = $1 % listed.people),
        fallback ->> r.role))
    FROM triage.roles() AS r
$$;

-- A state row as {role: Slack id}.
CREATE FUNCTION triage.roles_in(state public.current_state) RETURNS jsonb IMMUTABLE LANGUAGE sql AS $$
    SELECT jsonb_build_object(
        'account', state.account_slack_id, 'producer', state.producer_slack_id, 'po', state.po_slack_id,
        'uiEng', state.ui_eng_slack_id, 'beEng', state.be_eng_slack_id)
$$;

-- The people of {role: Slack id}, each once, in the order of the roles.
CREATE FUNCTION triage.people(roles jsonb) RETURNS jsonb IMMUTABLE LANGUAGE sql AS $$
    SELECT coalesce(jsonb_agg(slack_id ORDER BY place), '[]')
    FROM (SELECT roles ->> r.role AS slack_id, min(r.place) AS place FROM triage.roles() AS r GROUP BY 1) AS person
    WHERE slack_id IS NOT NULL
$$;

-- The titles of the roles that a person has in {role: Slack id}: 'PO and UI Engineering'.
CREATE FUNCTION triage.titles_of(slack_id text, roles jsonb) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT string_agg(r.title, ' and ' ORDER BY r.place) FROM triage.roles() AS r WHERE roles ->> r.role = $1
$$;

-- What was reminded of, once for each day and sprint.
CREATE TABLE triage.reminders (
    day          date NOT NULL,
    sprint_index integer NOT NULL,
    job_id       text NOT NULL,
    PRIMARY KEY (day, sprint_index)
);

-- What the bot has to do when the state changes: one message to each person whose duty changes, the user group, the topic.
CREATE FUNCTION triage.effects_of_change(old_sprint integer, old_roles jsonb, new_sprint integer, new_roles jsonb)
RETURNS TABLE (kind text, payload jsonb) STABLE LANGUAGE sql AS $$
    WITH person AS (
        SELECT value AS slack_id, triage.titles_of(value, old_roles) AS had, triage.titles_of(value, new_roles) AS has
        FROM jsonb_array_elements_text(triage.people(old_roles) || triage.people(new_roles)) WITH ORDINALITY AS p (value, place)
        GROUP BY value ORDER BY min(place)
    )
    SELECT 'dm', jsonb_build_object('to', slack_id, 'text', CASE
        WHEN has IS NULL AND old_sprint = new_sprint
            THEN format('You are no longer on triage duty as %s in %s.', had, triage.sprint_name(old_sprint))
        WHEN has IS NULL
            THEN format('Your triage duty as %s in %s has ended. Thank you!', had, triage.sprint_name(old_sprint))
        WHEN had IS NULL OR old_sprint IS DISTINCT FROM new_sprint
            THEN format('You are now on triage duty as %s in %s.', has, triage.sprint_name(new_sprint))
        ELSE format('Your triage duty in %s has changed from %s to %s.', triage.sprint_name(new_sprint), had, has) END)
    FROM person
    WHERE had IS DISTINCT FROM has OR old_sprint IS DISTINCT FROM new_sprint
    UNION ALL
    SELECT 'user_group', jsonb_build_object('ids', triage.people(new_roles))
    UNION ALL
    SELECT 'topic', jsonb_build_object(
        'ids', triage.people(new_roles), 'sprint_index', new_sprint, 'sprint_name', triage.sprint_name(new_sprint))
$$;

-- The one way to write the current state: the row, its audit, its effects, its copies. Answers with no row when there is
-- nothing to change, or `new_roles` is null: a caller says so rather than filter, as a filter may come after the write. `copies` is context -> 'copies' of the calling statement.
CREATE FUNCTION triage.save_state(
    job text, actor text, reason text, new_sprint integer, new_roles jsonb, copies jsonb
) RETURNS TABLE (before jsonb, after jsonb) LANGUAGE sql AS $$
    -- What is saved reads `old`, so the row is locked and read before it is changed; so do all statements like this.
    WITH old AS MATERIALIZED (
        SELECT * FROM public.current_state AS c WHERE c.id = 1 FOR UPDATE
    ), saved AS (
        INSERT INTO public.current_state AS s (
            id, sprint_index, account_slack_id, producer_slack_id, po_slack_id, ui_eng_slack_id, be_eng_slack_id)
        SELECT 1, new_sprint, new_roles ->> 'account', new_roles ->> 'producer', new_roles ->> 'po',
            new_roles ->> 'uiEng', new_roles ->> 'beEng'
        FROM (VALUES (1)) AS one (id) LEFT JOIN old USING (id)
        WHERE new_roles IS NOT NULL
            AND (old.id IS NULL OR old.sprint_index IS DISTINCT FROM new_sprint OR triage.roles_in(old) <> new_roles)
        ON CONFLICT (id) DO UPDATE SET
            sprint_index = excluded.sprint_index, account_slack_id = excluded.account_slack_id,
            producer_slack_id = excluded.producer_slack_id, po_slack_id = excluded.po_slack_id,
            ui_eng_slack_id = excluded.ui_eng_slack_id, be_eng_slack_id = excluded.be_eng_slack_id
        RETURNING s.*
    ), change AS (
        SELECT old.id IS NULL AS is_new, to_jsonb(old) AS before, to_jsonb(saved) AS after, old.sprint_index AS old_sprint,
            coalesce(triage.roles_in(old), '{}') AS old_roles
        FROM saved LEFT JOIN old ON old.id = saved.id
    ), audited AS (
        INSERT INTO public.audit_logs (
            table_name, record_id, operation, old_values, new_values, changed_by, changed_at, reason)
        SELECT 'current_state', 1, CASE WHEN is_new THEN 'INSERT' ELSE 'UPDATE' END, before, after, actor,
            clock_timestamp(), reason
        FROM change
    ), told AS (
        INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
        SELECT 'effect', e.kind, e.payload, actor, job
        FROM change, triage.effects_of_change(old_sprint, old_roles, new_sprint, new_roles) AS e
    ), copied AS (
        INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
        SELECT 'job', c.kind, c.payload, 'onelane', job
        FROM change, jsonb_to_recordset(copies -> 'state') AS c (kind text, payload jsonb)
    )
    SELECT change.before, change.after FROM change
$$;

-- The one way to change all rows of a person: they become exactly `wanted`, an array of {discipline, name, active}, with
-- their audit and copies. Answers with the rows before and after, as arrays.
CREATE FUNCTION triage.save_user(
    job text, actor text, reason text, person text, wanted jsonb, copies jsonb
) RETURNS TABLE (before jsonb, after jsonb, changed boolean) LANGUAGE sql AS $$
    WITH old AS MATERIALIZED (
        SELECT * FROM public.users AS u WHERE u.slack_id = person FOR UPDATE
    ), new AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(wanted) AS w (discipline text, name text, active boolean)
    ), removed AS (
        DELETE FROM public.users AS u USING old
        WHERE u.id = old.id AND old.discipline NOT IN (SELECT new.discipline FROM new)
        RETURNING u.id
    ), saved AS (
        INSERT INTO public.users AS u (slack_id, name, discipline, active)
        SELECT person, new.name, new.discipline, new.active
        FROM new LEFT JOIN old USING (discipline)
        WHERE old.id IS NULL OR old.name <> new.name OR old.active <> new.active
        ORDER BY new.discipline
        ON CONFLICT (slack_id, discipline) DO UPDATE SET name = excluded.name, active = excluded.active
        RETURNING u.*
    ), change AS (
        SELECT coalesce(old.id, saved.id) AS id, to_jsonb(old) AS before, to_jsonb(saved) AS after, removed.id AS removed,
            saved.id IS NOT NULL OR removed.id IS NOT NULL AS changed
        FROM old FULL JOIN saved ON saved.id = old.id LEFT JOIN removed ON removed.id = old.id
    ), audited AS (
        INSERT INTO public.audit_logs (
            table_name, record_id, operation, old_values, new_values, changed_by, changed_at, reason)
        SELECT 'users', c.id, CASE WHEN c.before IS NULL THEN 'INSERT' WHEN c.after IS NULL THEN 'DELETE' ELSE 'UPDATE' END,
            c.before, c.after, actor, clock_timestamp(), reason
        FROM change AS c WHERE c.changed ORDER BY c.id
    ), copied AS (
        INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
        SELECT 'job', f.kind, f.payload, 'onelane', job
        FROM jsonb_to_recordset(copies -> 'users') AS f (kind text, payload jsonb)
        WHERE EXISTS (SELECT FROM change AS c WHERE c.changed)
    )
    SELECT jsonb_agg(c.before ORDER BY c.id) FILTER (WHERE c.before IS NOT NULL),
        jsonb_agg(coalesce(c.after, c.before) ORDER BY c.id) FILTER (WHERE c.removed IS NULL),
        coalesce(bool_or(c.changed), false)
    FROM change AS c
$$;

-- The one way to write sprints: rows of {sprint_index, sprint_name, start_date, end_date}, with their audit and copies. A
-- change of dates may change who is on duty, so a refresh follows each. Answers with the rows that changed, as arrays.
CREATE FUNCTION triage.save_sprints(
    job text, actor text, reason text, wanted jsonb, copies jsonb
) RETURNS TABLE (before jsonb, after jsonb, added bigint, changed bigint) LANGUAGE sql AS $$
    WITH new AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(wanted) AS w (
            sprint_index integer, sprint_name text, start_date date, end_date date)
    ), old AS MATERIALIZED (
        SELECT s.* FROM public.sprints AS s JOIN new USING (sprint_index) FOR UPDATE OF s
    ), saved AS (
        INSERT INTO public.sprints AS s (sprint_name, start_date, end_date, sprint_index)
        SELECT new.sprint_name, new.start_date, new.end_date, new.sprint_index
        FROM new LEFT JOIN old USING (sprint_index)
        WHERE old.id IS NULL
            OR (old.sprint_name, old.start_date, old.end_date) <> (new.sprint_name, new.start_date, new.end_date)
        ORDER BY new.sprint_index
        ON CONFLICT (sprint_index) DO UPDATE SET
            sprint_name = excluded.sprint_name, start_date = excluded.start_date, end_date = excluded.end_date
        RETURNING s.*
    ), change AS (
        SELECT saved.sprint_index, saved.id, to_jsonb(old) AS before, to_jsonb(saved) AS after
        FROM saved LEFT JOIN old ON old.id = saved.id
    ), audited AS (
        INSERT INTO public.audit_logs (
            table_name, record_id, operation, old_values, new_values, changed_by, changed_at, reason)
        SELECT 'sprints', c.id, CASE WHEN c.before IS NULL THEN 'INSERT' ELSE 'UPDATE' END, c.before, c.after, actor,
            clock_timestamp(), reason
        FROM change AS c ORDER BY c.sprint_index
    ), followed AS (
        INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
        SELECT 'job', f.kind, f.payload, 'onelane', job
        FROM jsonb_to_recordset(coalesce(copies -> 'sprints', '[]') || '{"kind": "rotation.refresh", "payload": {}}')
            AS f (kind text, payload jsonb)
        WHERE EXISTS (SELECT FROM change)
    )
    SELECT jsonb_agg(c.before ORDER BY c.sprint_index) FILTER (WHERE c.before IS NOT NULL),
        jsonb_agg(c.after ORDER BY c.sprint_index), count(*) FILTER (WHERE c.before IS NULL), count(*)
    FROM change AS c
$$;

-- By how many days a sprint overlaps its neighbours beyond the one day that hands over, as words for the person who saved it.
CREATE FUNCTION triage.overlap_warning(index integer, first_day date, last_day date) RETURNS text STABLE LANGUAGE sql AS $$
    SELECT coalesce(string_agg(format(' Mind that it overlaps %s by %s days.', s.sprint_name,
        least(s.end_date, last_day) - greatest(s.start_date, first_day) + 1), '' ORDER BY s.sprint_index), '')
    FROM public.sprints AS s
    WHERE s.sprint_index <> index AND least(s.end_date, last_day) - greatest(s.start_date, first_day) + 1 > 1
$$;
