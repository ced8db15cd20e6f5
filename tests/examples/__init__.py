"""Tests of the example application and its jobs."""
