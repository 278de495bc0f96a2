"""Kargo's YAML documents as frozen values: what users write, free of any cluster."""
