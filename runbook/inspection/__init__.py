"""Looking without a run: what this machine and this user could do tonight."""
