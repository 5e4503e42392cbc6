"""The playbook language: YAML text to a checked :class:`~runbook.playbook.model.Playbook`, or every error at once."""
