"""The inside of the embedded Git host: smart HTTP, repositories, pull requests, and what Git hosts announce."""
