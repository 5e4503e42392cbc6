"""etcd over its JSON gateway: every member is a vantage, and a removal is final."""

CLIENT_PORT = 2379
