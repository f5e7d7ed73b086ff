"""`python -m ablations`."""

from ablations.cli import main

if __name__ == "__main__":
    main()
