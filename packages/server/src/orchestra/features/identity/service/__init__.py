"""The use cases of identity, one file each."""
