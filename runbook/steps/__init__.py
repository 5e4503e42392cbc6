"""What a playbook can say: each step type declared once, in one explicit catalogue."""
