"""Run the gateway from a checkout: `python run_gateway.py COMMAND` (see `--help`)."""

from cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
