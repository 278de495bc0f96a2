"""The small dialects everything rests on, each exact, each pure."""
