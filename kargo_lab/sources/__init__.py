"""OCI registries, Git hosts and chart repositories; every request leaves through one ledger."""
