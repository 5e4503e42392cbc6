"""The command line: verbs, options, wiring, exit codes."""
