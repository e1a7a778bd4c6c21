-- These rows have reached Redis.
DELETE FROM onelane.outbox WHERE id = ANY (ARRAY (SELECT json_array_elements_text(%(ids)s::json)::bigint))
