-- The names under which a row can be refused: constraints, and unique indexes that belong to none. NOT NULL has no name.
SELECT conname FROM pg_catalog.pg_constraint
WHERE contype IN ('c', 'f', 'p', 'u', 'x') AND connamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
UNION
SELECT c.relname FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
WHERE i.indisunique AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)
