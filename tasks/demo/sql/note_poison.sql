-- What was planted, and as what it must end.
INSERT INTO demo.poison (lane, code, mendable) VALUES (%(lane)s, %(code)s, %(mendable)s)
