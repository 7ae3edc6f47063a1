#!/usr/bin/env python3
"""Recompute, from the definition and with nothing of the library, what the tool claims.

    stranger_check.py [--build build] [--quick] [--data DIR]

For each benchmark problem the tool trains on given gates and saves its convex weights; then objective,
dual bound and gap are computed here from X, y, the gates and the weights. Checked: the objective agrees
to 1e-9 relative, the gap is at most 1e-6 in the report and 1.01e-6 here, and the reported bound is
not above the objective computed here. Needs numpy; without it everything is skipped."""
import argparse
import json
import os
import subprocess
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
NAMES = ("planted", "gaussian", "kin8nm", "spambase")
PROBLEMS = [(n, p, l) for n in NAMES for p in (100, 1000, 2500) for l in ("1e-2", "1e-3", "1e-4")]
QUICK = [p for p in PROBLEMS if p[0] in ("planted", "gaussian") and p[1] < 2500]


def certificate(np, X, y, G, U, lam):
    """Primal objective and dual bound of min_U ||sum_i D_i X u_i - y||^2 / (2n) + lam sum ||u_i||.

    The dual is max over theta of (||y||^2 - ||y - theta||^2) / (2n) subject to
    ||X^T D_i theta|| <= n lam for every i; theta is the residual, scaled to satisfy it."""
    n = len(y)
    D = X @ G >= 0
    residual = y - ((X @ U.T) * D).sum(axis=1)
    primal = residual @ residual / (2 * n) + lam * np.sqrt((U * U).sum(axis=1)).sum()
    slope = max(np.linalg.norm(X[D[:, i]].T @ residual[D[:, i]]) for i in range(G.shape[1]))
    theta = residual * min(1.0, n * lam / slope) if slope > 0 else residual
    return primal, (y @ y - (y - theta) @ (y - theta)) / (2 * n)


def train(args, name, P, lam):
    base = os.path.join(args.build, "bench_data", name)
    out = os.path.join(args.build, "stranger")
    os.makedirs(out, exist_ok=True)
    report = os.path.join(out, "report.json")
    subprocess.run([os.path.join(args.build, "cvxrelu"), "train", "--x", base + "_X.npy", "--y",
                    base + "_Y.npy", "--gates", "%s_G%d.npy" % (base, P), "--model", "gated",
                    "--lambda", lam, "--scale", "none", "--no-bias", "--raw-targets",
                    "--save-convex", out, "--json", report, "--quiet"], check=True)
    with open(report) as file:
        return json.load(file), out


def check(np, args, name, P, lam):
    """The complaints about one problem, an empty list when all is well."""
    report, out = train(args, name, P, lam)
    base = os.path.join(args.build, "bench_data", name)
    X, y = np.load(base + "_X.npy"), np.load(base + "_Y.npy")[:, 0]
    G, U = np.load(os.path.join(out, "G.npy")), np.load(os.path.join(out, "U.npy"))
    given = np.load("%s_G%d.npy" % (base, P))
    primal, dual = certificate(np, X, y, G, U[0], float(lam))
    gap = (primal - dual) / primal
    wrong = []
    if U.shape != (1,) + G.T.shape or G.shape != given.shape or abs(G - given).max() > 1e-12 * abs(G).max():
        wrong.append("the saved gates are not those that were given")
    if not abs(primal - report["objective"]) <= 1e-9 * primal:
        wrong.append("objective %.15g, recomputed %.15g" % (report["objective"], primal))
    if not report["gap"] <= 1e-6:
        wrong.append("reported gap %.3e" % report["gap"])
    if not gap <= 1.01e-6:
        wrong.append("recomputed gap %.3e" % gap)
    if not report["dual_bound"] <= primal:
        wrong.append("bound %.15g above the objective %.15g" % (report["dual_bound"], primal))
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--quick", action="store_true", help="the small problems only")
    parser.add_argument("--data", help="directory of kin8nm.csv and spambase.csv")
    args = parser.parse_args()
    try:
        import numpy as np
    except ImportError as error:
        print("SKIP stranger: %s\n0 passed, 0 failed, 1 skipped" % error)
        return 0
    os.makedirs(os.path.join(args.build, "bench_data"), exist_ok=True)
    subprocess.run([os.path.join(args.build, "bench"), "--write",
                    os.path.join(args.build, "bench_data")]
                   + (["--data", args.data] if args.data else []), check=True)
    passed = failed = 0
    for problem in QUICK if args.quick else PROBLEMS:
        wrong = check(np, args, *problem)
        passed, failed = passed + (not wrong), failed + bool(wrong)
        for complaint in wrong:
            print("FAIL stranger %s P=%d lambda=%s: %s" % (*problem, complaint))
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
