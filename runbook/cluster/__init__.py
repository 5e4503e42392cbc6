"""The doors to a cluster: what the engine may ask of it, and the adapters that ask real servers."""
