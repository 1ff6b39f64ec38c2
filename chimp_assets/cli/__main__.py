"""`python -m chimp_assets.cli`: the same as `chimp`."""

from chimp_assets.cli import main

main()
