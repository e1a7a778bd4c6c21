-- Somebody was told that a change is done, and the tables don't show it. The same question to both halves.
WITH done AS (
    SELECT * FROM demo.told WHERE answer = 'done'
), requests AS (
    SELECT number, conflict, kind, payload ->> 'requested_by' || ' asks for ' || (payload ->> 'replacement_slack_id') AS thing,
        o.id IS NOT NULL AS is_there, coalesce(o.approved, false) AS approved,
        EXISTS (
            SELECT FROM done AS d
            WHERE d.kind = 'override.decline' AND d.payload ->> 'requested_by' = done.payload ->> 'requested_by'
        ) AS declined
    FROM done
    LEFT JOIN public.overrides AS o
        ON o.sprint_index = (payload ->> 'sprint_index')::integer AND o.role = payload ->> 'role'
        AND o.requested_by = payload ->> 'requested_by' AND o.replacement_slack_id = payload ->> 'replacement_slack_id'
    WHERE kind LIKE 'override.%%'
), puts AS (  -- which intent puts whom into which role of the current state
    SELECT number, conflict, role, put ->> 'to' AS slack_id
    FROM done, jsonb_each(payload -> 'roles') AS r (role, put) WHERE kind = 'rotation.set_roles'
    UNION ALL
    SELECT number, conflict, payload ->> 'role', payload ->> 'replacement_slack_id'
    FROM done, public.current_state AS state
    WHERE kind = 'override.approve' AND (payload ->> 'sprint_index')::integer = state.sprint_index
), moves AS (  -- who went out of a role and who came in, as the witness saw it
    SELECT n, role, old ->> field AS went, new ->> field AS came
    FROM demo.witness, (VALUES
        ('account', 'account_slack_id'), ('producer', 'producer_slack_id'), ('po', 'po_slack_id'),
        ('uiEng', 'ui_eng_slack_id'), ('beEng', 'be_eng_slack_id')) AS r (role, field)
    WHERE table_name = 'current_state' AND old ->> field IS DISTINCT FROM new ->> field
)
SELECT conflict, payload ->> 'slack_id', 'was told to be in ' || (payload ->> 'discipline')
FROM done
WHERE kind = 'user.upsert' AND NOT EXISTS (
    SELECT FROM public.users AS u
    WHERE u.slack_id = payload ->> 'slack_id' AND u.discipline = payload ->> 'discipline' AND u.active)
UNION ALL
SELECT conflict, payload ->> 'sprint_name', 'was told to be added'
FROM done
WHERE kind = 'sprint.append'
    AND NOT EXISTS (SELECT FROM public.sprints AS s WHERE s.sprint_name = payload ->> 'sprint_name')
UNION ALL
SELECT conflict, thing, CASE kind
    WHEN 'override.request' THEN 'was told to be asked, and is not there'
    WHEN 'override.approve' THEN 'was told to be approved, and is not'
    ELSE 'was told to be declined, and is there' END
FROM requests
WHERE CASE kind
    WHEN 'override.request' THEN NOT is_there AND NOT declined
    WHEN 'override.approve' THEN NOT approved
    ELSE is_there END
UNION ALL
SELECT gone.conflict, gone.slack_id, 'was put into ' || gone.role || ', and ' || coalesce(moves.came, 'nobody') || ' came back'
FROM moves JOIN puts AS gone ON gone.role = moves.role AND gone.slack_id = moves.went
WHERE NOT EXISTS (
    SELECT FROM puts AS later
    WHERE later.role = moves.role AND later.slack_id = moves.came AND later.number > gone.number)
UNION ALL
SELECT puts.conflict, puts.slack_id, 'was told to be put into ' || puts.role || ', and never was'
FROM puts
WHERE NOT EXISTS (
    SELECT FROM moves JOIN puts AS later ON later.role = moves.role AND later.slack_id = moves.came
    WHERE moves.role = puts.role AND later.number >= puts.number)
