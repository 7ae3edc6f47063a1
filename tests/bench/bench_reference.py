#!/usr/bin/env python3
"""Time cvxrelu and the reference package (PyPI pyscnn, imported as scnn) on the same problems.

    bench_reference.py [--quick] [--bench build/bench] [--dir build/bench_data] [--data DIR]
                       [--cap SECONDS] [--only TEXT] [--reference FILE] [--out FILE]

Both get the same X (columns already divided by their norm), y, gates and lambda; the scaling and the
bias of the reference are off; one thread each, float64, no BLAS hooked into cvxrelu. The time of the
reference is what it records itself (the optimisation, without setting up patterns and metrics); the
time of cvxrelu is report.seconds of the whole fit, patterns included. The reference stops when the
squared norm of its minimum-norm subgradient is <= 1e-6, after 10000 iterations, or at --cap seconds
(marked *). --reference FILE keeps its results and reuses what the file already holds. A problem whose
solution is the zero network is shown and not counted in the means. Needs numpy; exits 77 without scnn."""
import argparse
import json
import math
import os
import subprocess
import sys
import time

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

NAMES = ("planted", "gaussian", "kin8nm", "spambase")
PATTERNS = (100, 1000, 2500)
LAMBDAS = (1e-2, 1e-3, 1e-4)
QUICK = [("planted", 100, 1e-2), ("planted", 100, 1e-3), ("gaussian", 100, 1e-2)]


def objective(np, X, y, G, U, lam):
    """1/(2n) ||sum_i D_i X u_i - y||^2 + lambda sum_i ||u_i||, from the definition."""
    z = (((X @ G) > 0) * (X @ U.T)).sum(1)
    return ((z - y) ** 2).sum() / (2 * len(y)) + lam * np.linalg.norm(U, axis=1).sum()


def run_reference(np, X, y, G, lam, cap):
    from scnn.metrics import Metrics
    from scnn.models import ConvexGatedReLU
    from scnn.optimize import optimize_model
    from scnn.private.methods.termination_criteria import GradientNorm
    from scnn.regularizers import NeuronGL1
    from scnn.solvers import RFISTA

    original, start = GradientNorm.__call__, time.perf_counter()

    def stop_or_cap(self, *args, **kwargs):
        return original(self, *args, **kwargs) or time.perf_counter() - start > cap

    model = ConvexGatedReLU(G)
    metrics = Metrics(objective=False, grad_norm=False, time=True)
    GradientNorm.__call__ = stop_or_cap
    try:
        model, metrics = optimize_model(
            model, RFISTA(model), metrics, X, y.reshape(-1, 1), regularizer=NeuronGL1(lam),
            return_convex=True, unitize_data=False, device="cpu", dtype="float64")
    finally:
        GradientNorm.__call__ = original
    U = np.asarray(model.parameters[0], dtype=float)[0]
    return {"seconds": float(metrics.time[-1]), "iterations": len(metrics.time) - 2,
            "objective": objective(np, X, y, model.G, U, lam), "patterns": len(U),
            "neurons": int((np.linalg.norm(U, axis=1) > 0).sum()),
            "capped": time.perf_counter() - start > cap}


def reference(args, np, problem):
    """The reference's result for (name, P, lambda), from the file of earlier results if it is there."""
    key = "%s P=%d lambda=%g" % problem
    kept = {}
    if args.reference and os.path.exists(args.reference):
        with open(args.reference) as file:
            kept = json.load(file)
    if key not in kept:
        name, P, lam = problem
        load = lambda what: np.load(os.path.join(args.dir, "%s_%s.npy" % (name, what)))
        X, y, G = load("X"), load("Y")[:, 0], load("G%d" % P)
        kept[key] = run_reference(np, X, y, G, lam, args.cap)
        if args.reference:
            with open(args.reference, "w") as file:
                json.dump(kept, file, indent=1)
    return kept[key]


def ours(args, problem, *more):
    """Median of three runs by seconds, of one when it takes longer than two seconds."""
    name, P, lam = problem
    command = [args.bench, "--problem", name, "--patterns", str(P), "--lambda", repr(lam), "--json"]
    command += ["--data", args.data] if args.data else []
    runs = []
    while len(runs) < 3 and (not runs or runs[0]["seconds"] < 2):
        output = subprocess.run(command + list(more), check=True, stdout=subprocess.PIPE).stdout
        runs.append(json.loads(output))
    return sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]


def mean(ratios):
    return math.exp(sum(math.log(r) for _, r in ratios) / len(ratios))


def summary(title, ratios):
    if not ratios:
        return title + ": no problem counted"
    worst = min(ratios, key=lambda pair: pair[1])
    return "%s: geometric mean %.3g over %d problems, worst %.3g on %s" % (
        title, mean(ratios), len(ratios), worst[1], worst[0])


def compare(args, np, problem, emit, to_objective, to_certificate):
    name = "%s P=%d lambda=%g" % problem
    ref = reference(args, np, problem)
    full = ours(args, problem)
    # an objective equal up to rounding counts as reached
    reach = ours(args, problem, "--stop-objective", repr(ref["objective"] * (1 + 1e-12)))
    mark = "*" if ref["capped"] else ""
    zero = full["neurons"] == 0
    reached = reach["objective"] <= ref["objective"] * (1 + 1e-12)
    first = ref["seconds"] / max(reach["seconds"], 1e-9) if reached else 0.0
    second = ref["seconds"] / max(full["seconds"], 1e-9) if full["gap"] <= 1e-6 else 0.0
    if not zero:
        to_objective.append((name, max(first, 1e-9)))
        to_certificate.append((name, max(second, 1e-9)))
    excess = (ref["objective"] - full["dual_bound"]) / ref["objective"]
    emit("| %s | %d | %g | %.3g%s | %d | %.1e | %.3g | %s | %.3g | %.1f | %.1e | %s | %s |" % (
        *problem, ref["seconds"], mark, ref["iterations"], excess, reach["seconds"],
        "zero" if zero else "%.3g" % first, full["seconds"], full["passes"], full["gap"],
        full["solver"], "zero" if zero else "%.3g" % second))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three small problems")
    parser.add_argument("--bench", default="build/bench")
    parser.add_argument("--dir", default="build/bench_data")
    parser.add_argument("--data", help="directory of kin8nm.csv and spambase.csv")
    parser.add_argument("--cap", type=float, default=600, help="seconds a problem (default 600)")
    parser.add_argument("--only", default="", help="problems whose name contains this text")
    parser.add_argument("--reference", help="JSON file of the reference's results, read and added to")
    parser.add_argument("--reference-only", action="store_true", help="do not run cvxrelu")
    parser.add_argument("--out", help="also write the table here")
    args = parser.parse_args()
    try:
        import numpy as np
        import scnn  # noqa: F401
    except ImportError as error:
        print("SKIP reference: " + str(error))
        return 77
    problems = QUICK if args.quick else [(n, p, l) for n in NAMES for p in PATTERNS for l in LAMBDAS]
    problems = [p for p in problems if args.only in "%s P=%d lambda=%g" % p]
    lines, to_objective, to_certificate = [], [], []

    def emit(line):
        print(line, flush=True)
        lines.append(line)

    if args.reference_only:
        for problem in problems:
            ref = reference(args, np, problem)
            print("%-10s P=%-5d lambda=%-6g %10.3f s%s %6d iterations  objective %.12g" % (
                *problem, ref["seconds"], "*" if ref["capped"] else " ", ref["iterations"],
                ref["objective"]), flush=True)
        return 0
    subprocess.run([args.bench, "--write", args.dir] + (["--data", args.data] if args.data else []),
                   check=True)
    emit("One thread, float64. Reference: seconds to its own stop, iterations, distance of its objective")
    emit("from our dual bound. cvxrelu: seconds to that objective, ratio; seconds, passes, gap to a")
    emit("certified 1e-6, ratio. * stopped by the cap of %g s; zero: the solution is zero, not counted." % args.cap)
    emit("")
    emit("| problem | P | lambda | ref s | ref iters | ref excess | to ref's s | ratio | to 1e-6 s | passes | gap | solver | ratio |")
    emit("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for problem in problems:
        compare(args, np, problem, emit, to_objective, to_certificate)
    emit("")
    emit(summary("times faster to the reference's own final objective", to_objective))
    emit(summary("times faster to a certified gap of 1e-6 than the reference to its stop", to_certificate))
    if args.out:
        with open(args.out, "a") as file:
            file.write("\n" + "\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
