"""`python -m kargo_lab` is `kargo-lab`."""

from kargo_lab.cli import main

main(prog_name="kargo-lab")
