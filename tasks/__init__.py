"""The Triage Rotation Bot's domain: its job kinds on top of the engine."""
