"""The REST APIs that Git hosts offer beside Git itself, one module a platform."""
