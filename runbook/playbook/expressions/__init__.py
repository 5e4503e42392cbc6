"""The expression language: syntax, names and types checked at load, and evaluation on the data of a run."""
