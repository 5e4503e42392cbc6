"""What is wrong with a cluster, by name: pure functions of one view."""
