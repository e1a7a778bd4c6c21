"""`onelane demo`: the same day of the same team twice, once as today's bot writes, once through lanes.

intents.py    what eight bots are asked to do: the five conflicts, from a seed
today.py      how today's bot does it, read by read and write by write
before.py     the first half: it does so, on the bot's database as it is
after.py      the second half: the same intents as jobs, on such a database after our migrations, with faults.py
checks.py     what both halves left behind, held against a witness of the demo's own in the database
command.py    the command; story.py tells it

Nothing is staged but the moment: where today's bot reads first and writes later, the bots of the demo meet right in
between (crowd.py), as they do by bad luck in real life. Every number that is printed was counted in the database.
"""
