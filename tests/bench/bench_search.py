#!/usr/bin/env python3
"""ReLU training by pattern search against Adam and SGD in PyTorch, on the objective of the network itself.

    bench_search.py [--quick] [--tool build/cvxrelu] [--data DIR] [--dir build/bench_search] [--only TEXT]
                    [--grid FILE] [--grid-only] [--full-grid] [--no-retime] [--tool-options WORDS] [--out FILE]

36 cases: a planted network (n = 250, d = 50; five data seeds), breast cancer (standardised and raw columns) and
diabetes as scikit-learn ships them, and statlog-heart, pima, conn-bench-sonar-mines-rocks and ionosphere from DIR
(header line, target last, columns standardised); lambda = 1e-2, 1e-3, 1e-4; targets -1/+1, or standardised. A column
of ones is appended to tables, then columns are divided by their 2-norm: everyone gets this X.

    objective   1/(2n) ||h(X) - y||^2 + lambda/2 sum_j (||w_j||^2 + a_j^2),  h(x) = sum_j (w_j . x)_+ a_j
    baseline    m = 1000 neurons, 2000 full-batch epochs, float32, default layer initialisation, step halved every
                400 epochs; Adam and SGD with momentum 0.9, steps 10, 5, 1, 0.5, 0.1, 0.01, 0.001; the best end of all,
                computed in float64 with the neurons balanced (never higher)
    besides     scikit-learn's MLPRegressor of the same width, by L-BFGS to its stop and by Adam with steps 0.1, 0.01,
                0.001 over 2000 epochs (float64); for RESULTS.md, not in the ratios
    cvxrelu     train --model relu with its defaults, objective recomputed here from the saved network

The grid is run from the usual steps outward and a side is given up at a run that diverges or ends 10% above the best of
its method; --full-grid runs all steps. --grid FILE keeps the results and reuses what is in it. The best run of each
case is timed again in this run, next to ours (--no-retime: the time in FILE). Times are CPU seconds of one thread:
building and training for PyTorch (denormals flushed), the whole process for cvxrelu.
Needs numpy and PyTorch, scikit-learn for its tables (exit state 77 without the first two). Exit state 1 when fewer
than 95% of the cases end at or below (1 + 1e-4) times the baseline, one above 1.01 times, or the median time ratio
is above a third."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import common
import problems

LAMBDAS = (1e-2, 1e-3, 1e-4)
STEPS = (10, 5, 1, 0.5, 0.1, 0.01, 0.001)
QUICK = [(name, lam) for name in ("fig1-0", "diabetes") for lam in (1e-2, 1e-3)]


def train(np, X, y, lam, method, step, m=1000, epochs=2000, seed=0):
    """One run in PyTorch: its objective (None when it diverged), CPU seconds, epochs."""
    import torch
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)                         # the faster setting; undone below, it is the thread's
    begin = time.process_time()
    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Linear(X.shape[1], m, bias=False), torch.nn.ReLU(),
                              torch.nn.Linear(m, 1, bias=False))
    data = torch.tensor(X, dtype=torch.float32)
    target = torch.tensor(y, dtype=torch.float32).reshape(-1, 1)
    weights = list(net.parameters())
    if method == "adam":
        optimizer = torch.optim.Adam(weights, lr=step, weight_decay=lam)
    else:
        optimizer = torch.optim.SGD(weights, lr=step, momentum=0.9, weight_decay=lam)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 400, 0.5)
    for epoch in range(epochs):
        loss = 0.5 * ((net(data) - target) ** 2).mean()
        if epoch % 100 == 0:
            with torch.no_grad():
                value = float(loss) + 0.5 * lam * sum(float((w * w).sum()) for w in weights)
            if epoch == 0:
                start = value
            elif not value <= 10 * start:
                torch.set_flush_denormal(False)
                return None, time.process_time() - begin, epoch
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    seconds = time.process_time() - begin
    torch.set_flush_denormal(False)
    W, a = weights[0].detach().numpy().astype(float), weights[1].detach().numpy().astype(float)[0]
    r = np.maximum(X @ W.T, 0) @ a - y
    value = float(r @ r / (2 * len(y)) + lam * (np.linalg.norm(W, axis=1) * abs(a)).sum())
    return value if np.isfinite(value) else None, seconds, epochs


def train_mlp(np, X, y, lam, solver, step):
    """scikit-learn's MLPRegressor, 1000 neurons, full batch, its intercepts held at zero so that it solves the same
    problem: objective, CPU seconds, iterations."""
    import warnings
    from sklearn.neural_network import MLPRegressor

    class WithoutIntercepts(MLPRegressor):
        def _init_coef(self, *given, **named):
            weights, intercepts = super()._init_coef(*given, **named)
            return weights, 0 * intercepts

        def _backprop(self, *given, **named):
            loss, weights, intercepts = super()._backprop(*given, **named)
            for gradient in intercepts:
                gradient[:] = 0
            return loss, weights, intercepts

    lbfgs = dict(max_iter=5000, max_fun=10000, tol=1e-9)
    adam = dict(max_iter=2000, learning_rate_init=step, batch_size=len(y), tol=0.0, n_iter_no_change=2000)
    model = WithoutIntercepts(hidden_layer_sizes=(1000,), solver=solver, alpha=lam * len(y), random_state=0,
                         **(lbfgs if solver == "lbfgs" else adam))
    begin = time.process_time()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model.fit(X, y)
        except ValueError:                                 # it diverged
            return None, time.process_time() - begin, 0
    seconds = time.process_time() - begin
    W, a = model.coefs_[0].T, model.coefs_[1][:, 0]
    r = np.maximum(X @ W.T, 0) @ a - y
    value = float(r @ r / (2 * len(y)) + lam * (np.linalg.norm(W, axis=1) * abs(a)).sum())
    return value if np.isfinite(value) else None, seconds, model.n_iter_


def outward(method, run, factor=1.1):
    """Call run(step) from the usual steps outward; see the top."""
    high, low = (0.1, 0.01) if method == "adam" else (5, 1)
    ends = {step: run(step) for step in (high, low)}
    at_high, at_low = STEPS.index(high), STEPS.index(low)
    for edge, side in ((high, STEPS[:at_high][::-1]), (low, STEPS[at_low + 1:])):
        for step in side:
            best = min((end for end in ends.values() if end is not None), default=float("inf"))
            if ends[edge] is None and step > edge or ends[edge] is not None and ends[edge] > factor * best:
                break
            ends[step], edge = run(step), step


def have_sklearn():
    try:
        import sklearn.neural_network  # noqa: F401
    except ImportError:
        return False
    return True


def grid_case(np, args, name, lam, X, y, earlier):
    """All runs of a case, those of `earlier` reused, with the best of them on top."""
    runs = {(r["method"], r["step"]): r for r in (earlier or {}).get("runs", [])}

    def run(method, step):
        if (method, step) not in runs:
            if method.startswith("mlp-"):
                value, seconds, epochs = train_mlp(np, X, y, lam, method[4:], step)
            else:
                value, seconds, epochs = train(np, X, y, lam, method, step)
            runs[method, step] = {"method": method, "step": step, "objective": value,
                                  "seconds": round(seconds, 3), "epochs": epochs}
        return runs[method, step]["objective"]

    for method in ("adam", "sgd"):
        if args.full_grid:
            for step in STEPS:
                run(method, step)
        elif earlier is None:
            outward(method, lambda step: run(method, step))
    if have_sklearn():
        run("mlp-lbfgs", 0)
        for step in (0.1, 0.01, 0.001):
            run("mlp-adam", step)
    torch = [r for r in runs.values() if r["objective"] is not None and not r["method"].startswith("mlp-")]
    best = min(torch, key=lambda r: r["objective"])
    return {"problem": name, "lambda": lam, "n": X.shape[0], "d": X.shape[1], "objective": best["objective"],
            "method": best["method"], "step": best["step"], "seconds": best["seconds"], "runs": list(runs.values())}


def baseline(np, args, name, lam, X, y):
    """The case's entry of --grid FILE, made and added when it is not there (or not complete enough)."""
    kept = []
    if args.grid and os.path.exists(args.grid):
        with open(args.grid) as file:
            kept = json.load(file)
    earlier = next((e for e in kept if (e["problem"], e["lambda"]) == (name, lam)), None)
    entry = grid_case(np, args, name, lam, X, y, earlier)
    if args.grid and (earlier is None or len(earlier["runs"]) < len(entry["runs"])):
        kept = [e for e in kept if e is not earlier] + [entry]
        with open(args.grid + ".part", "w") as file:
            json.dump(kept, file, indent=1)
        os.replace(args.grid + ".part", args.grid)
    return entry


def ours(np, args, name, lam, X, y):
    """Report, objective recomputed from the saved network, CPU seconds; None when the tool failed."""
    base, out = os.path.join(args.dir, name), os.path.join(args.dir, "out")
    os.makedirs(out, exist_ok=True)
    np.save(base + "_X.npy", np.ascontiguousarray(X))
    np.save(base + "_Y.npy", y.reshape(-1, 1))
    path = os.path.join(out, "report.json")
    command = [args.tool, "train", "--model", "relu", "--x", base + "_X.npy", "--y", base + "_Y.npy", "--lambda",
               repr(lam), "--scale", "none", "--no-bias", "--raw-targets", "--threads", "1", "--save-network", out,
               "--json", path, "--quiet"] + args.tool_options.split()
    child = subprocess.Popen(command)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        return None
    W, a = np.load(os.path.join(out, "W1.npy")), np.load(os.path.join(out, "W2.npy"))[0]
    r = np.maximum(X @ W.T, 0) @ a - y
    value = float(r @ r / (2 * len(y)) + lam / 2 * ((W ** 2).sum() + a @ a))
    with open(path) as file:
        return json.load(file), value, usage.ru_utime + usage.ru_stime


def mlp_runs(runs):
    """The best of scikit-learn's runs, for itself: [objective, CPU seconds, name], or None."""
    found = [r for r in runs if r["method"].startswith("mlp-") and r["objective"] is not None]
    best = min(found, key=lambda r: r["objective"], default=None)
    return best and [best["objective"], best["seconds"], "%s %g" % (best["method"], best["step"])]


def section(args, out):
    """What RESULTS.md says of the search."""
    kept = common.Store(common.path_of(args, "search.json")).kept
    if not kept:
        return ""
    rows, ratios, times, with_mlp = [], [], [], [case for case in kept.values() if case["mlp"]]
    for key, case in kept.items():
        ratios.append(case["objective"] / case["baseline"])
        times.append(case["cpu"] / case["baseline_cpu"])
        mlp = "%.6f (%s), %.3g s" % (case["mlp"][0], case["mlp"][2], case["mlp"][1]) if case["mlp"] else "-"
        rows.append((key, "%.6f" % case["baseline"], case["method"], "%.3g" % case["baseline_cpu"], mlp,
                     "%.6f" % case["objective"], case["neurons"], "%.3g" % case["cpu"], "%.5f" % ratios[-1],
                     "%.2f" % times[-1]))
    return ("## The network problem: pattern search, Adam, SGD, scikit-learn's MLP\n\n`make bench-search BENCH_ARGS="
            "'--data DIR'`; CPU seconds of one thread. The network's own objective; the best run of Adam and SGD in "
            "PyTorch over the grid, its time alone counted. cvxrelu is at or below (1 + 1e-4) times that in **%d of "
            "%d**, median time ratio %.2f. Scikit-learn's MLPRegressor, the best of L-BFGS and three of Adam, beside "
            "it: lower by more than 1e-4 than cvxrelu in %d, at most as long and within 1e-4 of it in %d.\n\n%s\n" % (
                sum(r <= 1 + 1e-4 for r in ratios), len(rows), statistics.median(times),
                sum(case["mlp"][0] < (1 - 1e-4) * case["objective"] for case in with_mlp),
                sum(case["mlp"][0] <= (1 + 1e-4) * case["objective"] and case["mlp"][1] <= case["cpu"]
                    for case in with_mlp),
                common.table(("problem", "Adam, SGD", "run", "seconds", "scikit-learn", "cvxrelu", "neurons", "seconds",
                              "objective ratio", "time ratio"), rows)))


def compare(np, args, name, lam, emit, results):
    """One row of the table, and (key, objective ratio, time ratio) added to the results."""
    data = problems.network(np, name, args.data)
    key = "%s lambda=%g" % (name, lam)
    if data is None:
        return emit("SKIP %s: no table (--data DIR, or scikit-learn)" % key)
    X, y = data
    best = baseline(np, args, name, lam, X, y)
    how = "%s %g" % (best["method"], best["step"])
    if args.grid_only:
        return emit("| %s | %g | %.6f | %s | %.2f |" % (name, lam, best["objective"], how, best["seconds"]))
    answer = ours(np, args, name, lam, X, y)
    if answer is None:
        results.append((key, float("inf"), float("inf")))
        return emit("FAIL %s: the tool failed" % key)
    report, value, seconds = answer
    taken = best["seconds"] if args.no_retime else train(np, X, y, lam, best["method"], best["step"])[1]
    if abs(value - report["objective"]) > 1e-9 * value:
        emit("FAIL %s: objective %.15g, recomputed %.15g" % (key, report["objective"], value))
    ratio = value / best["objective"]
    results.append((key, ratio, seconds / taken))
    args.store.put(key, {"baseline": best["objective"], "method": how, "baseline_cpu": taken, "objective": value,
                         "neurons": report["neurons"], "cpu": seconds, "mlp": mlp_runs(best["runs"])})
    emit("| %s | %g | %.6f | %s | %.2f | %.6f | %d | %.2f | %.5f | %.2f |%s" % (
        name, lam, best["objective"], how, taken, value, report["neurons"], seconds, ratio, seconds / taken,
        "" if ratio <= 1 + 1e-4 else " miss"))


def summary(emit, results):
    """Figures of the acceptance; whether they hold."""
    good = sum(ratio <= 1 + 1e-4 for _, ratio, _ in results)
    worst = max(results, key=lambda r: r[1])
    slow = max(results, key=lambda r: r[2])
    median = statistics.median(r[2] for r in results)
    emit("%d of %d cases (%.1f%%) at or below (1 + 1e-4) times the best of the grid; worst %.5f on %s" % (
        good, len(results), 100.0 * good / len(results), worst[1], worst[0]))
    for key, ratio, _ in results:
        if ratio > 1 + 1e-4:
            emit("  miss: %s, %.5f" % (key, ratio))
    emit("time ours / best single run of the grid: median %.3f, worst %.2f on %s" % (median, slow[2], slow[0]))
    return good >= 0.95 * len(results) and worst[1] <= 1.01 and median <= 1 / 3


def parse():
    parser = argparse.ArgumentParser(description=__doc__.replace("%", "%%"),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="four small cases")
    parser.add_argument("--tool", default="build/cvxrelu")
    parser.add_argument("--data", help="directory of the four tables")
    parser.add_argument("--dir", default="build/bench_search", help="where problems and answers are written")
    parser.add_argument("--only", default="", help="cases whose name contains this text")
    parser.add_argument("--grid", help="JSON file of the baseline's results, read and added to")
    parser.add_argument("--grid-only", action="store_true", help="do not run cvxrelu")
    parser.add_argument("--full-grid", action="store_true", help="all 14 runs a case")
    parser.add_argument("--no-retime", action="store_true", help="take the baseline's times from the file")
    parser.add_argument("--tool-options", default="", help="further options of train, in one string")
    parser.add_argument("--results", default="build/results", help="directory of search.json, for RESULTS.md")
    parser.add_argument("--flags", default="", help="that the tool was built with, for RESULTS.md")
    parser.add_argument("--out", help="also append the table here")
    return common.parse(parser)


def main():
    args = parse()
    try:
        import numpy as np
        import torch  # noqa: F401
    except ImportError as error:
        return common.skip("bench-search: %s" % error) or 77
    cases = QUICK if args.quick else [(name, lam) for name in problems.NETWORK for lam in LAMBDAS]
    common.note(args, "bench-search")
    args.store = common.Store(common.path_of(args, "search.json"))
    lines, results = [], []

    def emit(line):
        print(line, flush=True)
        lines.append(line)

    emit("Network objective and CPU seconds, one thread: the best of Adam and SGD, then cvxrelu and its ratios to it.")
    emit("")
    more = ("", "") if args.grid_only else (" objective | neurons | seconds | objective ratio | time ratio |",
                                            "---|---|---|---|---|")
    emit("| problem | lambda | baseline | best run | seconds |" + more[0])
    emit("|---|---|---|---|---|" + more[1])
    for name, lam in cases:
        if args.only in "%s lambda=%g" % (name, lam):
            compare(np, args, name, lam, emit, results)
    emit("")
    good = summary(emit, results) if results else True
    if args.out:
        with open(args.out, "a") as file:
            file.write("\n" + "\n".join(lines) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
