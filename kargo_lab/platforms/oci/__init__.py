"""The inside of the embedded registry: the distribution API, its storage, and what registries announce."""
