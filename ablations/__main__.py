"""`python -m ablations`."""

import gc


def main() -> None:
    """Run the command line in a process of its own."""
    # Starting up makes objects by the hundred thousand and hardly any garbage; to look through them over and over was a
    # sixth of `plan`.
    gc.set_threshold(100_000)
    from ablations import cli

    cli.main()


if __name__ == "__main__":
    main()
