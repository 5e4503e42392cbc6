"""Clusters to practise on: simulated servers, or real agents where a binary is on PATH. All of it on loopback."""
