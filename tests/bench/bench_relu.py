#!/usr/bin/env python3
"""ReLU networks over given patterns: check every certificate with nothing of the library.

    bench_relu.py [--quick] [--tool build/cvxrelu] [--dir build/bench_relu] [--only TEXT] [--out FILE]

63 problems: planted, gaussian, and breast cancer, wine (three one-hot outputs) and diabetes as scikit-learn
ships them, with 50, 200 and 500 gates N(0, I) and lambda = 1e-2, 1e-3, 1e-4. A column of ones is appended to the
tables, then columns are divided by their 2-norm; '-std': columns standardised before (diabetes always).

Recomputed here from the definition: objective (to agree to 1e-9 relative), dual bound by non-negative least squares
(gap <= 1.01e-6), and the worst constraint (2D-I)Xv >= -1e-10 ||x_j|| ||v||. CPU seconds of one thread are those of the
whole process, files included. Other programs on the same problems: bench_peers.py.
Needs numpy, scipy and scikit-learn (exit state 77 without)."""
import argparse
import json
import os
import subprocess
import sys

import common
import problems

PATTERNS = (50, 200, 500)
LAMBDAS = (1e-2, 1e-3, 1e-4)
QUICK = [(n, 50, l) for n in ("planted", "wine", "diabetes") for l in (1e-2, 1e-3)]


def problem_files(args, np, problem):
    """Paths of X, Y and the gates (d x P), written when missing."""
    name, P, _ = problem
    base = os.path.join(args.dir, name)
    paths = base + "_X.npy", base + "_Y.npy", "%s_G%d.npy" % (base, P)
    if not all(os.path.exists(path) for path in paths):
        os.makedirs(args.dir, exist_ok=True)
        X, Y = problems.relu(np, name)
        for path, value in zip(paths, (X, Y, problems.gates(np, X.shape[1], P))):
            np.save(path, np.ascontiguousarray(value))
    return paths


def objective(np, X, Y, D, V, W, lam):
    """1/(2nc) ||sum_i D_i X (v_i - w_i) - Y||^2 + lambda sum (||v_i|| + ||w_i||), and the residual."""
    R = Y - np.stack([((X @ (v - w).T) * D).sum(1) for v, w in zip(V, W)], 1)
    norms = sum(np.linalg.norm(U, axis=2).sum() for U in (V, W))
    return (R ** 2).sum() / (2 * Y.size) + lam * norms, R


def dual_bound(np, X, Y, D, R, lam):
    """max (||y||^2 - ||y - theta||^2) / (2nc), theta = R scaled to ||Proj_K(+-X^T D theta)|| <= lambda nc.

    The norm of the projection of g on {v : Xt v >= 0} is min ||Xt^T gamma + g|| over gamma >= 0, so
    any gamma, converged or not, leaves the bound valid."""
    from scipy.optimize import nnls
    bound, signs = 0.0, 2 * D - 1
    for k in range(Y.shape[1]):
        y, r = Y[:, k], R[:, k]
        g = X.T @ (D * r[:, None]) / Y.size
        norms, top = np.linalg.norm(g, axis=0), lam
        for i in np.argsort(-norms):
            if norms[i] <= top:
                break
            Xt = signs[:, [i]] * X
            for s in (1, -1):
                value = norms[i]
                try:
                    value = min(value, nnls(Xt.T, -s * g[:, i], maxiter=50 * len(X))[1])
                except RuntimeError:
                    pass
                top = max(top, value)
        theta = r * (lam / top)
        bound += (y @ y - (y - theta) @ (y - theta)) / (2 * Y.size)
    return bound


def worst_constraint(np, X, D, *parts):
    """min over groups and rows of ((2D-I)Xv)_j / (||x_j|| ||v||), 0 when all hold."""
    worst, rows = 0.0, np.maximum(np.linalg.norm(X, axis=1), 1e-300)
    for U in parts:
        for u in U:
            norms = np.linalg.norm(u, axis=1)
            on = np.flatnonzero(norms)
            if len(on):
                z = (2 * D[:, on] - 1) * (X @ u[on].T) / rows[:, None] / norms[on]
                worst = min(worst, z.min())
    return worst


def ours(args, np, problem):
    """Best of three runs by CPU seconds (of one when it takes longer than two): report, seconds, weights."""
    name, P, lam = problem
    x, y, g = problem_files(args, np, problem)
    out = os.path.join(args.dir, "out")
    os.makedirs(out, exist_ok=True)
    path = os.path.join(out, "report.json")
    command = [args.tool, "train", "--model", "relu", "--x", x, "--y", y, "--gates-scaled", g, "--no-search",
               "--scale", "none", "--no-bias", "--raw-targets", "--lambda", repr(lam), "--threads", "1",
               "--save-convex", out, "--json", path, "--quiet"]
    times = []
    while len(times) < 3 and (not times or times[0] < 2):
        child = subprocess.Popen(command)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            return None, 0.0, None
        times.append(usage.ru_utime + usage.ru_stime)
    with open(path) as file:
        report = json.load(file)
    return report, min(times), [np.load(os.path.join(out, n + ".npy")) for n in ("V", "W", "G")]


def check(np, X, Y, G, lam, report, weights):
    """Complaints, recomputed gap and constraint."""
    V, W, saved = weights
    if V.shape != (Y.shape[1], G.shape[1], X.shape[1]) or V.shape != W.shape or saved.shape != G.shape \
            or abs(saved - G).max() > 1e-12 * abs(G).max():
        return ["the saved gates are not those that were given"], float("nan"), float("nan")
    D = (X @ G >= 0).astype(float)
    primal, R = objective(np, X, Y, D, V, W, lam)
    gap = (primal - dual_bound(np, X, Y, D, R, lam)) / primal
    worst = worst_constraint(np, X, D, V, W)
    wrong = []
    if not abs(primal - report["objective"]) <= 1e-9 * primal:
        wrong.append("objective %.15g, recomputed %.15g" % (report["objective"], primal))
    if not report["gap"] <= 1e-6:
        wrong.append("reported gap %.3e" % report["gap"])
    if not gap <= 1.01e-6:
        wrong.append("recomputed gap %.3e" % gap)
    if not report["dual_bound"] <= primal:
        wrong.append("bound %.15g above the objective %.15g" % (report["dual_bound"], primal))
    if not worst >= -1e-10:
        wrong.append("constraint %.3e" % worst)
    return wrong, gap, worst


def compare(args, np, problem, emit):
    """One row of the table; the number of complaints."""
    X, Y, G = (np.load(path) for path in problem_files(args, np, problem))
    report, seconds, weights = ours(args, np, problem)
    if report is None:
        emit("FAIL %s P=%d lambda=%g: the tool failed" % problem)
        return 1
    wrong, gap, worst = check(np, X, Y, G, problem[2], report, weights)
    emit("| %s | %d | %g | %.10g | %.1e | %.1e | %.1e | %d | %.4f | %.4f |" % (
        *problem, report["objective"], report["gap"], gap, worst, report["neurons"], report["seconds"], seconds))
    for complaint in wrong:
        emit("FAIL %s P=%d lambda=%g: %s" % (*problem, complaint))
    return len(wrong)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.replace("%", "%%"),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="six small problems")
    parser.add_argument("--tool", default="build/cvxrelu")
    parser.add_argument("--dir", default="build/bench_relu", help="where problems and answers are written")
    parser.add_argument("--only", default="", help="problems whose name contains this text")
    parser.add_argument("--out", help="also append the table here")
    return parser.parse_args()


def main():
    args = parse()
    try:
        import numpy as np
        import scipy  # noqa: F401
        import sklearn  # noqa: F401
    except ImportError as error:
        return common.skip("bench-relu: %s" % error) or 77
    listed = QUICK if args.quick else [(n, p, l) for n in problems.RELU for p in PATTERNS for l in LAMBDAS]
    listed = [p for p in listed if args.only in "%s P=%d lambda=%g" % p]
    lines, failed = [], 0

    def emit(line):
        print(line, flush=True)
        lines.append(line)

    emit("ReLU networks over given gates, one thread, float64. seconds: the tool's own, then CPU of the process.")
    emit("")
    emit("| problem | P | lambda | objective | gap | recomputed gap | constraint | neurons | seconds | CPU s |")
    emit("|---|---|---|---|---|---|---|---|---|---|")
    for problem in listed:
        failed += compare(args, np, problem, emit) > 0
    emit("")
    emit("%d of %d problems certified and confirmed" % (len(listed) - failed, len(listed)))
    if args.out:
        with open(args.out, "a") as file:
            file.write("\n" + "\n".join(lines) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
