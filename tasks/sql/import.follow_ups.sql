-- Whether jobs of the rotation, which follow from what was imported, still wait to be put onto their lane.
SELECT EXISTS (SELECT FROM onelane.outbox WHERE topic = 'job' AND starts_with(kind, 'rotation.'))
