"""The controller: clock, Warehouses, Freight, and the store that survives a crash."""
