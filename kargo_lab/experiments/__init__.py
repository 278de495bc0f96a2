"""Experiments: measured on the testbed or simulated; both give tables with fixed columns and units."""
