"""Attacks on the isolation of tenants: statements that try to read or write another tenant's rows."""
