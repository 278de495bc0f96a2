"""What we run against: registries, Git hosts and chart hosts, embedded, as processes and in containers.

All have one shape: a context manager with `start()`, `stop()`, `url`, `host`, `access_log` and `deliveries`.
"""
