#!/usr/bin/env python3
"""ReLU networks over given patterns: check every certificate, and time the reference package beside it.

    bench_relu.py [--quick] [--tool build/cvxrelu] [--dir build/bench_relu] [--only TEXT]
                  [--reference FILE] [--reference-only] [--no-reference] [--cap SECONDS] [--out FILE]

63 problems: planted, gaussian, and breast cancer, wine (three one-hot outputs) and diabetes as scikit-learn
ships them, with 50, 200 and 500 gates N(0, I) and lambda = 1e-2, 1e-3, 1e-4. A column of ones is appended to the
tables, then columns are divided by their 2-norm; '-std': columns standardised before (diabetes always).

Recomputed here from the definition, with nothing of the library: objective (to agree to 1e-9 relative), dual bound
by non-negative least squares (gap <= 1.01e-6), and the worst constraint (2D-I)Xv >= -1e-10 ||x_j|| ||v||.
The reference (PyPI pyscnn, imported as scnn) gets the same X, Y, gates and lambda, its scaling and bias off, and its
augmented Lagrangian runs to its default stop: squared violation and subgradient norm <= 1e-6 (%), 10000
steps in all (m), or --cap seconds (*). Its excess is that of the ReLU network it describes, over our dual bound; below
zero when its weights break the constraints far enough to have other patterns.
Seconds are CPU seconds of one thread: the whole process for cvxrelu, files included, and the whole
optimize_model call for the reference. --reference FILE keeps its results and reuses what is in it; without
the file both are timed in this run. Problems whose solution is zero are checked, not counted in the ratios.
Needs numpy, scipy and scikit-learn (exit state 77 without); without scnn only the checks are made."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

NAMES = ("planted", "breast-cancer", "breast-cancer-std", "wine", "wine-std", "diabetes", "gaussian")
PATTERNS = (50, 200, 500)
LAMBDAS = (1e-2, 1e-3, 1e-4)
QUICK = [(n, 50, l) for n in ("planted", "wine", "diabetes") for l in (1e-2, 1e-3)]


def problem_data(np, name):
    """X with its scaled columns (bias among them) and Y, n x c."""
    rng = np.random.default_rng(0)
    if name in ("planted", "gaussian"):
        n, d, m = (250, 50, 100) if name == "planted" else (1000, 20, 30)
        X = rng.standard_normal((n, d))
        W, a = rng.standard_normal((d, m)), rng.standard_normal(m)
        y = np.maximum(X @ W, 0) @ a
        y = np.sign(y) if name == "planted" else y + 0.1 * y.std() * rng.standard_normal(n)
        return X / np.linalg.norm(X, axis=0), y.reshape(-1, 1)
    import sklearn.datasets as sets
    table = name.replace("-std", "").replace("-", "_")
    X, y = getattr(sets, "load_" + table)(return_X_y=True)
    if table == "breast_cancer":
        Y = (2.0 * y - 1).reshape(-1, 1)
    elif table == "wine":
        Y = np.eye(3)[y]
    else:
        Y = ((y - y.mean()) / y.std()).reshape(-1, 1)
    if name.endswith("-std") or table == "diabetes":
        X = (X - X.mean(0)) / X.std(0)
    X = np.hstack([X, np.ones((len(X), 1))])
    return X / np.linalg.norm(X, axis=0), Y


def problem_files(args, np, problem):
    """Paths of X, Y and the gates (d x P, the first P of one sequence a data set), written when missing."""
    name, P, _ = problem
    base = os.path.join(args.dir, name)
    paths = base + "_X.npy", base + "_Y.npy", "%s_G%d.npy" % (base, P)
    if not all(os.path.exists(path) for path in paths):
        os.makedirs(args.dir, exist_ok=True)
        X, Y = problem_data(np, name)
        G = np.random.default_rng(1000 + X.shape[1]).standard_normal((max(PATTERNS), X.shape[1])).T[:, :P]
        for path, value in zip(paths, (X, Y, G)):
            np.save(path, np.ascontiguousarray(value))
    return paths


def objective(np, X, Y, D, V, W, lam):
    """1/(2nc) ||sum_i D_i X (v_i - w_i) - Y||^2 + lambda sum (||v_i|| + ||w_i||), and the residual."""
    R = Y - np.stack([((X @ (v - w).T) * D).sum(1) for v, w in zip(V, W)], 1)
    norms = sum(np.linalg.norm(U, axis=2).sum() for U in (V, W))
    return (R ** 2).sum() / (2 * Y.size) + lam * norms, R


def network_objective(np, X, Y, V, W, lam):
    """The same for the plain ReLU network with neurons v_i, +1 and w_i, -1, which needs no constraints."""
    H = np.stack([np.maximum(X @ v.T, 0).sum(1) - np.maximum(X @ w.T, 0).sum(1) for v, w in zip(V, W)], 1)
    norms = sum(np.linalg.norm(U, axis=2).sum() for U in (V, W))
    return ((Y - H) ** 2).sum() / (2 * Y.size) + lam * norms


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


def violation(np, X, D, *parts):
    """2-norm of (-(2D-I)Xv)_+ over all groups, what the reference bounds."""
    total = sum((np.minimum((2 * D - 1) * (X @ u.T), 0) ** 2).sum() for U in parts for u in U)
    return float(np.sqrt(total))


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


def run_reference(np, X, Y, G, lam, cap):
    from scnn.metrics import Metrics
    from scnn.models import ConvexReLU
    from scnn.optimize import optimize_model
    from scnn.private.methods.termination_criteria import ConstrainedHeuristic
    from scnn.regularizers import NeuronGL1
    from scnn.solvers import AL

    original, start, state = ConstrainedHeuristic.__call__, time.process_time(), {"steps": 0, "own": False}

    def stop_or_cap(self, *arguments, **named):
        state["steps"] += 1
        state["own"] = bool(original(self, *arguments, **named))
        return state["own"] or time.process_time() - start > cap

    model = ConvexReLU(G, c=Y.shape[1])
    metrics = Metrics(objective=False, grad_norm=False, time=True)
    ConstrainedHeuristic.__call__ = stop_or_cap
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, metrics = optimize_model(
                model, AL(model), metrics, X, Y, regularizer=NeuronGL1(lam), return_convex=True,
                unitize_data=False, device="cpu", dtype="float64")
    finally:
        ConstrainedHeuristic.__call__ = original
    seconds = time.process_time() - start
    V, W = (np.asarray(U, dtype=float) for U in model.parameters)
    D = (X @ model.G > 0).astype(float)
    stop = "%" if state["own"] else "*" if seconds > cap else "m"
    return {"seconds": seconds, "wall": float(metrics.time[-1]), "steps": state["steps"], "stop": stop,
            "objective": objective(np, X, Y, D, V, W, lam)[0],
            "network_objective": network_objective(np, X, Y, V, W, lam), "patterns": int(V.shape[1]),
            "violation": violation(np, X, D, V, W), "cap": cap}


def reference(args, np, problem, X, Y, G):
    """The reference's result, from the file of earlier results if it is there."""
    key, kept = "%s P=%d lambda=%g" % problem, {}
    if args.reference and os.path.exists(args.reference):
        with open(args.reference) as file:
            kept = json.load(file)
    if key not in kept:
        kept[key] = run_reference(np, X, Y, G, problem[2], args.cap)
        if args.reference:
            with open(args.reference + ".part", "w") as file:
                json.dump(kept, file, indent=1)
            os.replace(args.reference + ".part", args.reference)
    return kept[key]


def compare(args, np, problem, emit, ratios):
    """One row of the table; the number of complaints."""
    key = "%s P=%d lambda=%g" % problem
    X, Y, G = (np.load(path) for path in problem_files(args, np, problem))
    report, seconds, weights = ours(args, np, problem)
    if report is None:
        emit("FAIL %s: the tool failed" % key)
        return 1
    wrong, gap, worst = check(np, X, Y, G, problem[2], report, weights)
    row = "| %s | %d | %g | %.10g | %.1e | %.1e | %.1e | %d | %.4f | %.4f |" % (
        *problem, report["objective"], report["gap"], gap, worst, report["neurons"], report["seconds"], seconds)
    if args.use_reference:
        ref = reference(args, np, problem, X, Y, G)
        excess = (ref["network_objective"] - report["dual_bound"]) / ref["network_objective"]
        ratio = ref["seconds"] / max(seconds, 1e-4)
        zero = report["neurons"] == 0
        if not zero and not wrong:
            ratios.append((key, ratio))
        row += " %.3g%s | %d | %.1e | %.1e | %s |" % (
            ref["seconds"], ref["stop"], ref["steps"], excess, ref["violation"], "zero" if zero else "%.3g" % ratio)
    emit(row)
    for complaint in wrong:
        emit("FAIL %s: %s" % (key, complaint))
    return len(wrong)


def summary(emit, ratios):
    literal = [r for r in ratios if "-std" not in r[0]]
    for title, chosen in (("all", ratios), ("without the standardised variants", literal)):
        if chosen:
            worst = min(chosen, key=lambda pair: pair[1])
            emit("times faster to the certificate than the reference to its stop, %s: median %.3g over %d "
                 "problems, worst %.3g on %s" % (title, statistics.median(r for _, r in chosen), len(chosen),
                                                 worst[1], worst[0]))
    for P in PATTERNS:
        chosen = [r for key, r in ratios if " P=%d " % P in key]
        if chosen:
            emit("  P = %d: median %.3g" % (P, statistics.median(chosen)))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.replace("%", "%%"),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="six small problems")
    parser.add_argument("--tool", default="build/cvxrelu")
    parser.add_argument("--dir", default="build/bench_relu", help="where problems and answers are written")
    parser.add_argument("--only", default="", help="problems whose name contains this text")
    parser.add_argument("--reference", help="JSON file of the reference's results, read and added to")
    parser.add_argument("--reference-only", action="store_true", help="do not run cvxrelu")
    parser.add_argument("--no-reference", action="store_true", help="the checks only")
    parser.add_argument("--cap", type=float, default=120, help="seconds a problem for the reference (120)")
    parser.add_argument("--out", help="also append the table here")
    return parser.parse_args()


def main():
    args = parse()
    try:
        import numpy as np
        import scipy  # noqa: F401
        import sklearn  # noqa: F401
    except ImportError as error:
        print("SKIP bench-relu: %s" % error)
        return 77
    args.use_reference = not args.no_reference
    if args.use_reference:
        try:
            import scnn  # noqa: F401
        except ImportError as error:
            print("SKIP reference: %s; the checks are made all the same" % error)
            args.use_reference = False
    problems = QUICK if args.quick else [(n, p, l) for n in NAMES for p in PATTERNS for l in LAMBDAS]
    problems = [p for p in problems if args.only in "%s P=%d lambda=%g" % p]
    lines, ratios, failed = [], [], 0

    def emit(line):
        print(line, flush=True)
        lines.append(line)

    if args.reference_only:
        for problem in problems if args.use_reference else []:
            ref = reference(args, np, problem, *(np.load(p) for p in problem_files(args, np, problem)))
            emit("%-18s P=%-4d lambda=%-6g %9.3f s%s %6d steps  objective %.10g  network %.10g  violation %.1e" % (
                *problem, ref["seconds"], ref["stop"], ref["steps"], ref["objective"],
                ref["network_objective"], ref["violation"]))
        return 0
    emit("ReLU networks over given gates, one thread, float64. seconds: the tool's own figure, then CPU of the")
    emit("whole process. Reference: CPU seconds (%% its own tolerances, m 10000 steps, * cap of %g s)." % args.cap)
    emit("")
    more = (" ref s | ref steps | ref excess | ref violation | ratio |", "---|---|---|---|---|") \
        if args.use_reference else ("", "")
    emit("| problem | P | lambda | objective | gap | recomputed gap | constraint | neurons | seconds | CPU s |"
         + more[0])
    emit("|---|---|---|---|---|---|---|---|---|---|" + more[1])
    for problem in problems:
        failed += compare(args, np, problem, emit, ratios) > 0
    emit("")
    emit("%d of %d problems certified and confirmed" % (len(problems) - failed, len(problems)))
    summary(emit, ratios)
    if args.out:
        with open(args.out, "a") as file:
            file.write("\n" + "\n".join(lines) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
