"""The use cases of providers, one file each."""
