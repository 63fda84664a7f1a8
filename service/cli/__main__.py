"""`python -m service.cli` runs the command."""

from service.cli import main

main()
