"""Measures vfsd beside its peers: `python3 scripts/bench NAME [OPTIONS]`, or `--help` for the names.

Peers run interleaved with vfsd in one run on one machine. What is printed are CPU seconds (user and system time of
all processes of the server) and ratios of medians; wall times are there for orientation only.
"""

import argparse

import archives
import cold
import ftp
import idle
import listing
import mirror
import remote
import requests
import transfer

BENCHES = {
    "transfer": transfer,
    "requests": requests,
    "listing": listing,
    "cold": cold,
    "idle": idle,
    "archives": archives,
    "ftp": ftp,
    "remote": remote,
    "mirror": mirror,
}


def main():
    parser = argparse.ArgumentParser(prog="bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vfsd", default="target/release/vfsd", help="the program to measure")
    names = parser.add_subparsers(dest="name", required=True)
    for name, bench in BENCHES.items():
        bench.add_arguments(names.add_parser(name, help=bench.__doc__.splitlines()[0]))
    arguments = parser.parse_args()
    BENCHES[arguments.name].run(arguments)


if __name__ == "__main__":
    main()
