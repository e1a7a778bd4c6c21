-- The constraint goes; what it killed can be applied now, and must be.
ALTER TABLE public.users DROP CONSTRAINT by_hand;
DELETE FROM demo.poison WHERE mendable
