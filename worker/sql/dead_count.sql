-- How many dead letters a filter finds: dead_found.sql takes the place in braces.
SELECT count(*) FROM ({found}) AS found
