"""`python -m ablations`."""

import atexit
import gc


def main() -> None:
    """Run the command line in a process of its own."""
    # Starting up makes objects by the hundred thousand and hardly any garbage. To look for it over and over, and once more at
    # the end in what goes with the process anyway, was a fifth of `check`.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    from ablations import cli

    cli.main()


if __name__ == "__main__":
    main()
