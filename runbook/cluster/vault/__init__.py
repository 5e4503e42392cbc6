"""Vault and OpenBao on integrated storage: the active server's word on each other one, and a removal that is final."""
