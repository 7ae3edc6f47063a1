#!/usr/bin/env python3
"""Seconds and memory of cvxrelu against n, P, d and c, each swept over a decade with the others held.

    bench_scaling.py [--quick] [--kind gated|relu] [--results DIR] [--only TEXT] [--phase run,report]

Data: X ~ N(0, I), y a ReLU network with 30 neurons an output plus 10% noise, columns divided by their 2-norm, gates
N(0, I). The strength is the share of lambda_max, found by bisection at a gap of 1e-2, at which about SUPPORT groups an
output are active, so that the size of the answer stays put while one of n, P, d, c grows. Timed: the whole fit to a
certified 1e-6, the median of three. exponent: slope of the least-squares line through log seconds. limit: 3 times the
input (8 n (d + c) bytes) plus the masks (n P / 8); what is above it is workspace, in the table as a multiple of the
input."""
import math
import os
import sys

import common
import svg

SUPPORT = {"gated": 40, "relu": 20}
BASE = {"gated": dict(n=4000, P=1000, d=20, c=1), "relu": dict(n=1000, P=200, d=20, c=1)}
SWEEPS = {
    "gated": dict(n=(5000, 10000, 20000, 50000), P=(500, 1000, 2000, 5000), d=(10, 20, 50, 100), c=(1, 2, 5, 10)),
    "relu": dict(n=(500, 1000, 2000, 5000), P=(100, 200, 500, 1000), d=(5, 10, 20, 50), c=(1, 2, 5, 10)),
}
LARGE = dict(n=50000, P=5000, d=14, c=1)               # a row of its own, gated
QUICK = {"gated": dict(n=(200, 400), P=(50, 100)), "relu": dict(n=(100, 200))}


def problem(np, n, P, d, c):
    rng = np.random.default_rng(7)
    X = rng.standard_normal((n, d))
    Y = np.empty((n, c))
    for k in range(c):
        W, a = rng.standard_normal((d, 30)), rng.standard_normal(30)
        Y[:, k] = np.maximum(X @ W, 0) @ a
    Y = Y / Y.std(0) + 0.1 * rng.standard_normal((n, c))
    return X / np.linalg.norm(X, axis=0), Y, rng.standard_normal((d, P))


def share_of(args, options, support):
    """The share of lambda_max with about `support` neurons, and the neurons."""
    low, high, best = 1e-4, 1.0, None
    for _ in range(7):
        share = math.sqrt(low * high)
        run = common.bench(args, options + ["--share", share, "--tol", 1e-2])[0]
        if best is None or abs(math.log(max(run["neurons"], 1) / support)) < \
                abs(math.log(max(best[1], 1) / support)):
            best = share, run["neurons"]
        if abs(run["neurons"] / support - 1) < 0.1:
            break
        low, high = (share, high) if run["neurons"] > support else (low, share)
    return best[0]


def measure(np, args, kind, sizes):
    options = common.save_problem(np, args.dir, "scaling", *problem(np, **sizes)) + ["--kind", kind]
    share = share_of(args, options, SUPPORT[kind] * sizes["c"])
    run = common.median_run(args, options + ["--share", share, "--time-limit", 300])
    return {**sizes, "share": share, "neurons": run["neurons"], "cpu": run["cpu"], "gap": run["gap"],
            "passes": run["passes"], "iterations": run["iterations"], "peak_bytes": run["peak_bytes"],
            "solver": run["solver"]}


def exponent(points):
    """Slope of log y against log x."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mx) * (y - my) for x, y in zip(xs, ys)) / sum((x - mx) ** 2 for x in xs)


def section(args, out):
    store = common.Store(common.path_of(args, "scaling.json"))
    text, panels, labels = [], {}, []
    for kind in ("gated", "relu"):
        for what in ("n", "P", "d", "c"):
            runs = [run for key, run in store.kept.items() if key.startswith("%s %s=" % (kind, what))]
            runs.sort(key=lambda run: run[what])
            if len(runs) < 2:
                continue
            points = [(run[what], run["cpu"]) for run in runs]
            text.append("%s, %s from %d to %d (%s): exponent **%.2f**\n" % (
                kind, what, points[0][0], points[-1][0], ", ".join(
                    "%s = %d" % (name, runs[0][name]) for name in "nPdc" if name != what), exponent(points)))
            text.append(common.table(
                [what, "CPU seconds", "gap", "neurons", "of lambda_max", "passes", "steps", "peak MB",
                 "3 inputs + masks, MB", "above it, in inputs"],
                [(run[what], "%.3g" % run["cpu"], "%.1e" % run["gap"], run["neurons"], "%.2g" % run["share"],
                  "%.0f" % run["passes"], run["iterations"], *memory(run)) for run in runs]) + "\n")
            panels.setdefault(what, {})[kind] = points
    large = store.kept.get("gated large")
    if large:
        text.append("gated, " + ", ".join("%s = %d" % (name, large[name]) for name in "nPdc") +
                    ": %.3g s, gap %.1e, %d neurons, %.0f passes, peak %s MB (3 inputs + masks: %s MB)\n" % (
                        large["cpu"], large["gap"], large["neurons"], large["passes"], *memory(large)[:2]))
    if not text:
        return ""
    with open(os.path.join(out, "scaling.svg"), "w") as file:
        order = [what for what in ("n", "P", "d", "c") if what in panels]
        file.write(svg.chart([("against " + what, panels[what]) for what in order], order, "CPU seconds", ylog=True))
    return ("## Scaling\n\n`make bench-scaling`; one thread, certified 1e-6, support held at about %d (gated), %d "
            "(ReLU) groups an output.\n\n![scaling](scaling.svg)\n\n" % (
                SUPPORT["gated"], SUPPORT["relu"]) + "\n".join(text))


def memory(run):
    given = 8.0 * run["n"] * (run["d"] + run["c"])
    limit = 3 * given + run["n"] * run["P"] / 8.0
    return "%.1f" % (run["peak_bytes"] / 1e6), "%.1f" % (limit / 1e6), "%.1f" % ((run["peak_bytes"] - limit) / given)


def listed(args):
    """(kind, name, sizes) of all runs."""
    found = []
    for kind in args.kind.split(","):
        base = dict(BASE[kind], **({"n": 300, "P": 50} if args.quick else {}))
        for what, values in (QUICK if args.quick else SWEEPS)[kind].items():
            found += [(kind, "%s %s=%d" % (kind, what, value), {**base, what: value}) for value in values]
        if kind == "gated" and not args.quick:
            found.append((kind, "gated large", LARGE))
    return [run for run in found if args.only in run[1]]


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--kind", default="gated,relu")
    parser.add_argument("--phase", default="run,report")
    args = common.parse(parser)
    try:
        import numpy as np
    except ImportError as error:
        return common.skip("bench-scaling: %s" % error) or 77
    store = common.Store(common.path_of(args, "scaling.json"))
    failed = 0
    if "run" in args.phase:
        common.note(args, "bench-scaling")
    for kind, name, sizes in listed(args) if "run" in args.phase else []:
        try:
            run = measure(np, args, kind, sizes)
        except common.Failed as error:
            failed += common.fail(name, error)
            continue
        store.put(name, run)
        print("%-16s %8.3f s, %d neurons, gap %.1e, %.1f MB" % (name, run["cpu"], run["neurons"], run["gap"],
                                                             run["peak_bytes"] / 1e6), flush=True)
    if "report" in args.phase:
        import results
        results.write(args)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
