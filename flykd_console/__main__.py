"""`python -m flykd_console`: the same as the `flykd-console` command."""

from flykd_console.cli.app import main

if __name__ == "__main__":
    main()
