"""Imported once by the process that the trials of a proof are forked from, so that none has to read the cases again."""

from kargo_lab.conformance import proving

proving.holding("latest")
