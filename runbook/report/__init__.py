"""What a person and a machine read of a run, drawn from its journal's events alone."""
