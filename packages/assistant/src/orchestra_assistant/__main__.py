"""`python -m orchestra_assistant`: serve until SIGTERM."""

from orchestra_assistant.agent import make_agent


def main() -> None:
    """Serve the assistant, found and authenticated as any agent is."""
    make_agent().run()


if __name__ == "__main__":
    main()
