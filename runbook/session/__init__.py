"""One run from request to result: its record, lock, cool-down, approvals and redaction; no printing, no exit codes."""
