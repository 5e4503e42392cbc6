"""What `doctor` looks at and says."""
