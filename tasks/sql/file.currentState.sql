-- The state of currentState.json.
SELECT sprint_index, account_slack_id, producer_slack_id, po_slack_id, ui_eng_slack_id, be_eng_slack_id
FROM public.current_state WHERE id = 1
