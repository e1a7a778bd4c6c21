-- Ways to break the data of a performance, one for each thing that a check looks for. Above each stands the check, and what
-- it must say then.

-- lost_updates: was told to be in beEng
DELETE FROM users WHERE slack_id = 'U0NEW0003' AND discipline = 'beEng'

-- lost_updates: was told to be added
UPDATE sprints SET sprint_name = 'North again' WHERE sprint_name = 'North 3'

-- lost_updates: was told to be asked, and is not there
DELETE FROM overrides AS o USING demo.told AS t
WHERE t.number = 0 AND o.requested_by = t.payload ->> 'requested_by'

-- lost_updates: was told to be approved, and is not
UPDATE overrides AS o SET approved = false FROM demo.told AS t
WHERE t.kind = 'override.approve' AND t.answer = 'done' AND o.requested_by = t.payload ->> 'requested_by'

-- lost_updates: was told to be declined, and is there
INSERT INTO overrides (sprint_index, role, requested_by, replacement_slack_id)
SELECT (payload ->> 'sprint_index')::integer, payload ->> 'role', payload ->> 'requested_by', payload ->> 'replacement_slack_id'
FROM demo.told WHERE kind = 'override.decline' AND answer = 'done'

-- lost_updates: was put into account, and U0ACCOUNT0 came back
UPDATE current_state SET account_slack_id = 'U0ACCOUNT0'

-- lost_updates: was told to be put into account, and never was
UPDATE demo.told SET payload = replace(payload::text, 'U0ACCOUNT0019X', 'U0NEVER')::jsonb

-- lost_jobs: has no end in the ledger
DELETE FROM onelane.ledger WHERE job_id = 'intent-6'

-- lost_jobs: was told declined, and the ledger says already_approved
UPDATE demo.told SET code = 'declined' WHERE kind = 'override.decline'

-- lost_jobs: was told appended, and the ledger says appended
UPDATE demo.told SET answer = 'no' WHERE number = 6

-- lost_jobs: a change that the ledger claims was never made
DELETE FROM demo.witness WHERE n = (SELECT max(n) FROM demo.witness)

-- lost_jobs: the follow-up has no end in the ledger
DELETE FROM onelane.ledger WHERE kind = 'rotation.refresh'

-- lost_jobs: the effect did not reach the bot
DELETE FROM demo.received WHERE n = 5

-- repeated: a change of which the ledger knows nothing
INSERT INTO demo.witness (table_name, record_id, operation, old, new)
SELECT table_name, record_id, operation, old, new FROM demo.witness WHERE n = 9

-- repeated: the bot received it 2 times
INSERT INTO demo.received (key) SELECT key FROM demo.received WHERE n = 5

-- repeated: the bot received it, and no commit has it
INSERT INTO demo.received (key) VALUES ('of no commit')

-- out_of_order: bot 0 enqueued intent 7 behind a later one
-- The two new sprints of the first step, as if one bot had enqueued them the other way round.
UPDATE demo.told AS t SET bot = 0, job_id = 'intent-' || CASE t.number WHEN 6 THEN late ELSE early END
FROM (
    SELECT CASE WHEN six.seq < seven.seq THEN 6 ELSE 7 END AS early, CASE WHEN six.seq < seven.seq THEN 7 ELSE 6 END AS late
    FROM onelane.ledger AS six, onelane.ledger AS seven WHERE six.job_id = 'intent-6' AND seven.job_id = 'intent-7'
) AS places
WHERE t.number IN (6, 7)

-- out_of_order: took effect before an earlier one
UPDATE onelane.ledger AS l SET seq = other.seq FROM onelane.ledger AS other
WHERE (l.job_id, other.job_id) IN (('intent-6', 'intent-7'), ('intent-7', 'intent-6'))

-- out_of_order: stands before that of an earlier change
UPDATE audit_logs SET id = -id WHERE id = (SELECT max(id) FROM audit_logs WHERE table_name = 'current_state')

-- duplicates: twice in
ALTER TABLE users DROP CONSTRAINT users_slack_discipline_unique;
INSERT INTO users (slack_id, name, discipline) SELECT slack_id, name, discipline FROM users LIMIT 1

-- duplicates: is there 2 times
UPDATE sprints SET sprint_name = 'North 1' WHERE sprint_name = 'South 1'

-- duplicates: the index after it is taken twice, or by nobody
DELETE FROM sprints WHERE sprint_name = 'South 1'

-- duplicates: asks for
ALTER TABLE overrides DROP CONSTRAINT overrides_unique_request;
INSERT INTO overrides (sprint_index, role, requested_by, replacement_slack_id)
SELECT sprint_index, role, requested_by, replacement_slack_id FROM overrides LIMIT 1

-- duplicates: is a second state
ALTER TABLE current_state DROP CONSTRAINT unique_current_state;
INSERT INTO current_state (id) VALUES (2)

-- errors: LaneFull
UPDATE demo.told SET answer = 'error', code = 'LaneFull' WHERE number = 6

-- errors: dead: sprints permanent
UPDATE onelane.ledger SET status = 'dead', code = 'permanent' WHERE job_id = 'intent-6'

-- errors: did not end as damaged
DELETE FROM onelane.ledger WHERE code = 'damaged'

-- audit: has no audit row
DELETE FROM audit_logs WHERE id = (SELECT max(id) FROM audit_logs)

-- audit: UPDATE has no audit row
UPDATE audit_logs SET old_values = new_values WHERE id = (SELECT max(id) FROM audit_logs WHERE operation = 'UPDATE')

-- audit: DELETE is in the audit and never was
INSERT INTO audit_logs (table_name, record_id, operation) VALUES ('overrides', 1, 'DELETE')
