-- A team at work: three people for each role, forty sprints of two weeks (the fourth is the current one), and on duty those
-- whom the bot's rule names: in sprint n the n-th of the active people by name, counted round.
INSERT INTO users (slack_id, name, discipline)
SELECT 'U0' || upper(role) || n, role || ' ' || n, role
FROM unnest(ARRAY['account', 'producer', 'po', 'uiEng', 'beEng']) AS role, generate_series(0, 2) AS n;

INSERT INTO sprints (sprint_name, start_date, end_date, sprint_index)
SELECT 'Sprint ' || n, current_date - 7 + (n - 3) * 14, current_date + 6 + (n - 3) * 14, n
FROM generate_series(0, 39) AS n;

UPDATE current_state SET
    sprint_index = 3, account_slack_id = 'U0ACCOUNT0', producer_slack_id = 'U0PRODUCER0', po_slack_id = 'U0PO0',
    ui_eng_slack_id = 'U0UIENG0', be_eng_slack_id = 'U0BEENG0'
WHERE id = 1;
