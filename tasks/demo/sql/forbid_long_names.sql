-- A constraint that somebody has added by hand, and that no release knows of.
ALTER TABLE public.users ADD CONSTRAINT by_hand CHECK (char_length(name) <= 60)
