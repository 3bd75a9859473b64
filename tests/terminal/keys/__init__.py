"""The key port: providers, versions, limits."""
