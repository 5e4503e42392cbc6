"""Nomad and Consul: one API in two dialects, so one adapter asks both."""
