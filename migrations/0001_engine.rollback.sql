-- Takes the engine's tables away, with the ledger and all dead letters in it.
DROP SCHEMA onelane CASCADE;
