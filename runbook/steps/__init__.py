"""What a playbook can say: each step type with its declaration and its body in one file, in one registry."""
