"""The wire contract of AI Orchestra: generated gRPC stubs, nothing else."""
