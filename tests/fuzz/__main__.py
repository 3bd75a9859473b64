"""`python -m tests.fuzz NAME [--seconds S] [--runs N] [--seed N]`: fuzz a harness, guided by coverage where atheris is.

New inputs that reach new code are kept in a temporary folder, not in the repository; a crash leaves its input in the
working folder and exit code 77 (atheris) or a traceback with the input in it (without).
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile

ENGINE = "atheris" if importlib.util.find_spec("atheris") else "random mutations"


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("name")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=-1)
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time, where atheris is")
    options = parser.parse_args()
    if ENGINE == "atheris":
        guided(options.name, options.seconds, options.runs, options.seed)
    from tests.fuzz.harness import run_mutations  # noqa: PLC0415 guided() must instrument it first

    runs = None if options.runs < 0 else options.runs
    done = run_mutations(options.name, runs=runs, seconds=options.seconds, seed=options.seed)
    print(f"{options.name}: {done} executions, {ENGINE}")


def guided(name: str, seconds: int, runs: int, seed: int) -> None:
    """Never returns: the engine ends the process."""
    import atheris  # noqa: PLC0415 not installed everywhere

    with atheris.instrument_imports(include=["cardproto", "sim", "terminal"], enable_loader_override=False):
        from tests.fuzz.harness import CORPUS, HARNESSES, longest  # noqa: PLC0415 instrumented while imported
    found = tempfile.mkdtemp(prefix=f"fuzz-{name}-")
    limits = [
        f"-max_total_time={seconds}",
        f"-runs={runs}",
        f"-seed={seed}",
        f"-max_len={longest(name)}",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *limits, "-timeout=20", found, str(CORPUS / name)], HARNESSES[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
