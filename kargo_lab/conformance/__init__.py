"""The engine of the suite: cases, plans, targets, verdicts and reports.

Cases are files of the neighbouring `conformance/` folder; nothing in here knows a platform's rules.
Read `suite` first: it is the whole run as one call.
"""
