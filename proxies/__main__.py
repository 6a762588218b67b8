"""`python -m proxies` is `memory-proxy`."""

from proxies.cli import main

if __name__ == "__main__":
    main(prog_name="memory-proxy")
