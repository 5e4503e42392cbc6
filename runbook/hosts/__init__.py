"""The one door to machines and their processes: this one, and others by ssh."""
