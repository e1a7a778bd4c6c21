-- CurrentStateRepository.update: all six columns, whatever they are by now.
INSERT INTO current_state (
    id, sprint_index, account_slack_id, producer_slack_id, po_slack_id, ui_eng_slack_id, be_eng_slack_id)
VALUES (1, %(sprint_index)s, %(account)s, %(producer)s, %(po)s, %(uiEng)s, %(beEng)s)
ON CONFLICT (id) DO UPDATE SET
    sprint_index = EXCLUDED.sprint_index, account_slack_id = EXCLUDED.account_slack_id,
    producer_slack_id = EXCLUDED.producer_slack_id, po_slack_id = EXCLUDED.po_slack_id,
    ui_eng_slack_id = EXCLUDED.ui_eng_slack_id, be_eng_slack_id = EXCLUDED.be_eng_slack_id,
    updated_at = CURRENT_TIMESTAMP
RETURNING id, to_jsonb(current_state)
