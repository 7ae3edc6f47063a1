#!/usr/bin/env python3
"""The gated problems of build/bench with an earlier revision of cvxrelu and with the files that are here, in turn: is
any slower than before?

    bench_before.py --before REVISION [--quick] [--data DIR] [--runs 3] [--only TEXT] [--results DIR]

Both programs are built by the same compiler with the same flags, as C99 without OpenMP, so that report.seconds is CPU
time (that of early revisions leaves out the making of patterns, which favours them); medians of --runs. Needs git and
the history. A problem counts as slower from 5% and 2 ms on. The last table is kept in --results/before.txt, which
results.py includes."""
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile

import common

FLAGS = ["-O3", "-march=native", "-std=c99"]
ROOT = os.path.dirname(os.path.dirname(common.HERE))
PROBLEMS = [(name, p, lam) for name in ("planted", "gaussian", "kin8nm", "spambase")
            for p in (100, 1000, 2500) for lam in (1e-2, 1e-3, 1e-4)]


def build(root, program):
    subprocess.run([os.environ.get("CC", "cc"), *FLAGS, "tests/bench/bench.c", "-o", os.path.abspath(program), "-lm"],
                   cwd=root, check=True)
    return os.path.abspath(program)


def build_before(args):
    """The program of the earlier revision, from its own header and its own bench.c."""
    tree = os.path.join(args.dir, "before")
    packed = subprocess.run(["git", "-C", ROOT, "archive", args.before], stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(tree)
    return build(tree, os.path.join(args.dir, "bench_before"))


def run(args, program, problem):
    """(seconds, gap) of one fit, or None where this program does not know the problem."""
    name, patterns, lam = problem
    command = [program, "--json", "--threads", "1", "--problem", name, "--patterns", str(patterns), "--lambda", str(lam)]
    done = subprocess.run(command + (["--data", args.data] if args.data else []), stdout=subprocess.PIPE, check=False)
    lines = done.stdout.decode().splitlines()
    answer = json.loads(lines[-1]) if lines else None
    return (answer["seconds"], answer["gap"]) if answer else None


def compare(args, programs, problem):
    """One row of the table; None without the data."""
    runs = [[run(args, program, problem) for program in programs] for _ in range(args.runs)]
    if any(pair[0] is None or pair[1] is None for pair in runs):
        return None
    before, now = (statistics.median(pair[k][0] for pair in runs) for k in (0, 1))
    return ["%s P=%d lambda=%g" % problem, "%.4f" % before, "%.4f" % now, "%.2f" % (before / max(now, 1e-9)),
            "%.1e" % runs[0][0][1], "%.1e" % runs[0][1][1]]


def slower(row):
    before, now = float(row[1]), float(row[2])
    return now > 1.05 * before and now > before + 2e-3


def report(args, rows):
    lost = [row[0] for row in rows if slower(row)]
    revision = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", args.before], stdout=subprocess.PIPE)
    lines = ["before: revision %s; %s; CPU seconds to a certified 1e-6, medians of %d" % (
        revision.stdout.decode().strip(), " ".join(FLAGS), args.runs), "",
        common.table(["problem", "before", "now", "ratio", "gap before", "gap now"], rows), "",
        "geometric mean %.2f, sum %.1f -> %.1f s, slower: %s" % (
            common.geometric_mean([float(row[1]) / max(float(row[2]), 1e-4) for row in rows]),
            sum(float(row[1]) for row in rows), sum(float(row[2]) for row in rows), "; ".join(lost) or "none")]
    os.makedirs(args.results, exist_ok=True)
    with open(common.path_of(args, "before.txt"), "w") as file:
        file.write("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 1 if lost else 0


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--before", required=True, help="a git revision")
    parser.add_argument("--runs", type=int, default=3)
    args = common.parse(parser)
    os.makedirs(args.dir, exist_ok=True)
    try:
        programs = build_before(args), build(ROOT, os.path.join(args.dir, "bench_now"))
    except (OSError, subprocess.CalledProcessError) as error:
        return common.skip("bench-before: %s" % error) or 77
    rows = []
    for problem in PROBLEMS:
        if args.only in "%s P=%d lambda=%g" % problem and not (args.quick and problem[1] > 100):
            row = compare(args, programs, problem)
            rows += [row] if row else []
    return report(args, rows) if rows else common.skip("bench-before: no problem has this name, or no data") or 77


if __name__ == "__main__":
    sys.exit(main())
