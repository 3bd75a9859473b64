"""`python -m tests.golden make [--renew]` and `python -m tests.golden talk REVISION`."""

from __future__ import annotations

import argparse

from tests import warm
from tests.golden.make import make
from tests.golden.talk import talk_with_revision


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.golden", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="write the golden files of this version")
    making.add_argument("--renew", action="store_true", help="anew, as long as the version is not released")
    talking = commands.add_parser("talk", help="let this version's terminal and collector talk to another's")
    talking.add_argument("revision", help="of git: a tag, a branch, a commit")
    asked = parser.parse_args()
    warm.replace_popen()
    if asked.command == "make":
        print(f"golden: made {make(asked.renew).name}")
    else:
        for line in talk_with_revision(asked.revision):
            print(f"golden: {line}")


if __name__ == "__main__":
    main()
