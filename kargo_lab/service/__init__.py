"""The lab on the wire: the webhook endpoint, the lab API, and the servers that carry them."""
