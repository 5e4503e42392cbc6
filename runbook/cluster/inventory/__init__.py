"""The inventory, ``clusters.yaml``: which clusters there are, how each of their servers is reached, and by whom."""
