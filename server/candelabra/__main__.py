"""`python -m candelabra`: the command line."""

from candelabra.cli import main

if __name__ == "__main__":
    main()
