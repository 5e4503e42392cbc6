"""From a playbook to a run: bind, execute, retry."""
