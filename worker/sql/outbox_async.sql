-- The deletion of delivered rows need not be on disk when its commit is answered: if a crash of the server undoes it, they
-- are delivered again, as if the relay had died before it.
SET LOCAL synchronous_commit = off
