"""The AI Orchestra server: what a host runs."""
