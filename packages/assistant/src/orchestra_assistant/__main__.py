"""`python -m orchestra_assistant`: serve until SIGTERM."""

import logging

from orchestra_assistant.agent import make_agent


def main() -> None:
    """Serve the assistant, found and authenticated as any agent is."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells every request
    make_agent().run()


if __name__ == "__main__":
    main()
