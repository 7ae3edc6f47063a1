#!/usr/bin/env python3
"""The performance profile of [MSP22 Fig. 4, 7, 8] for gated ReLU networks: every classification set, six strengths.

    bench_profile.py --data DIR [--quick] [--jobs 2] [--results DIR] [--only TEXT] [--phase all,curve,peers,report]
                     [--cap SECONDS] [--sets N] [--tol 1e-3] [--fresh]

Data: all tables of DIR whose last column is a class (README.md lists them), all rows; columns standardised, a column
of ones appended, columns divided by their 2-norm as in the paper; -1/+1 or one-hot targets; 2500 gates N(0, I) a
set, those of a zero or repeated pattern left out: the same patterns for all. lambda of Appendix H.

phase all    cvxrelu on all sets and strengths to a certified --tol (1e-3), --jobs processes of one thread each, the
             largest sets first: how many are certified, in what time. Degenerate problems (zero network optimal) are
             left out.
phase curve  on --sets sets (12) of all sizes, cvxrelu to 1e-6, its objective against time (build/bench --trace).
phase peers  on the same: the reference (R-FISTA), Adam and SGD in PyTorch on the gated network itself, one neuron a
             pattern and output so that both optima agree, float32, batches of n/10, step halved every 100 epochs, the
             seven steps of the paper from the usual ones outward (a side is given up at a run that diverges or ends 10%
             above the best), one seed; each run --cap CPU seconds (20). Their points are the objectives of the
             balanced network (never above the one with weight decay), with the clock stopped. As in the paper the step
             with the smallest final objective counts, and its time alone.
A problem is solved at the first time when (F - F*) / F* <= rgap; F* is cvxrelu's at 1e-6."""
import concurrent.futures
import json
import os
import re
import sys
import time

import common
import svg

LAMBDAS = (1e-5, 6.31e-5, 3.98e-4, 2.51e-3, 1.58e-2, 1e-1)
STEPS = (10, 5, 1, 0.5, 0.1, 0.01, 0.001)
GAPS = (1, 0.5, 0.1, 1e-3, 1e-6)
GATES = 2500
LIMIT = 900                            # seconds a problem, as in the paper


def class_sets(directory):
    """(name, rows) of the classification tables that the README of the directory lists, smallest first."""
    kind, found = "", {}
    with open(os.path.join(directory, "README.md")) as file:
        for line in file:
            if line.startswith("## "):
                kind = line
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if "classification" in kind and len(cells) > 3 and re.fullmatch(r"\d+", cells[1]):
                if os.path.exists(os.path.join(directory, cells[0] + ".csv")):
                    found[cells[0]] = int(cells[1])
    return sorted(found.items(), key=lambda pair: pair[1])


def problem(np, args, name):
    """X, Y, G with the distinct nonzero patterns of 2500 gates."""
    X, y = common.read_csv(np, os.path.join(args.data, name + ".csv"))
    X = common.unit_columns(np, common.with_bias(np, common.standard(X)))
    G = np.random.default_rng(0).standard_normal((X.shape[1], 50 if args.quick else GATES))
    D = common.activation(np, X, G)
    _, first = np.unique(np.packbits(D, axis=0), axis=1, return_index=True)
    kept = np.sort(first[D[:, first].any(0)])
    return X, common.class_targets(np, y), G[:, kept]


def files(np, args, name):
    base = os.path.join(args.dir, name + ("-quick" if args.quick else ""))
    paths = {what: "%s_%s.npy" % (base, what) for what in ("x", "y", "gates")}
    if not all(os.path.exists(path) for path in paths.values()):
        common.save_problem(np, args.dir, os.path.basename(base), *problem(np, args, name))
    return paths


def fit(args, paths, lam, tol, trace):
    options = [v for what, path in paths.items() for v in ("--" + what, path)]
    options += ["--lambda", lam, "--tol", tol, "--time-limit", LIMIT] + (["--trace"] if trace else [])
    return common.bench(args, options)[0]


def run_all(np, args, sets, store):
    """Phase all: --jobs at a time, the largest first. What is done is kept, the elapsed time of all calls added up.
    Returns how many failed."""
    key, kept = "all %g" % args.tol, ("cpu", "seconds", "gap", "neurons", "n", "d", "c", "peak_bytes", "patterns")
    state = None if args.fresh else store.get(key)
    state = state or {"elapsed": 0.0, "jobs": args.jobs, "runs": {}}
    paths = {name: files(np, args, name) for name, _ in sets}
    todo = [(name, lam) for name, _ in reversed(sets) for lam in LAMBDAS
            if not state["runs"].get("%s %g" % (name, lam), {}).get("n")]
    failed, begin, before = 0, time.perf_counter(), state["elapsed"]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        futures = {pool.submit(fit, args, paths[name], lam, args.tol, False): (name, lam) for name, lam in todo}
        for future in concurrent.futures.as_completed(futures):
            try:
                run = future.result()
            except common.Failed as error:
                failed += common.fail("%s %g" % futures[future], error)
                continue
            state["runs"]["%s %g" % futures[future]] = {name: run.get(name) for name in kept}
            state["elapsed"] = before + time.perf_counter() - begin
            store.put(key, state)
            print("%-34s %-9g %8.2f s  gap %.1e" % (*futures[future], run["cpu"], run["gap"]), flush=True)
    return failed


def chosen(sets, count):
    """`count` sets spread evenly over the sizes."""
    return [sets[round(i * (len(sets) - 1) / max(1, count - 1))] for i in range(min(count, len(sets)))]


class Clock:
    def __init__(self):
        self.begin, self.away = time.thread_time(), 0.0

    def now(self):
        return time.thread_time() - self.begin - self.away

    def stop(self, work):
        at = time.thread_time()
        result = work()
        self.away += time.thread_time() - at
        return result


def train(np, arrays, lam, method, step, cap):
    """One run of Adam or SGD on the gated network: {"points", "diverged"}; neurons are (pattern, output)."""
    import torch
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    X, Y, G = arrays
    D = common.activation(np, X, G)
    (n, d), c, P = X.shape, Y.shape[1], G.shape[1]
    torch.manual_seed(0)
    data, target, masks = (torch.tensor(A, dtype=torch.float32) for A in (X, Y, D))
    bound = 1.0 / np.sqrt(d), 1.0 / np.sqrt(P)                     # the usual uniform start of a linear layer
    W1 = ((2 * torch.rand(c, d, P) - 1) * bound[0]).requires_grad_()
    W2 = ((2 * torch.rand(c, P) - 1) * bound[1]).requires_grad_()
    rates = dict(lr=step, weight_decay=lam)
    optimizer = torch.optim.Adam([W1, W2], **rates) if method == "adam" else torch.optim.SGD([W1, W2], **rates)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 100, 0.5)
    points, clock, last, batch = [], Clock(), 0.0, max(1, n // 10)
    objective = lambda: common.gated_objective(np, X, Y, D, (W1 * W2[:, None, :]).detach().numpy()
                                               .astype(float).transpose(0, 2, 1), lam)
    start = clock.stop(objective)
    while clock.now() < cap:
        order = torch.randperm(n)
        for rows in order.split(batch):
            hidden = torch.matmul(data[rows], W1) * masks[rows]    # c x rows x P
            out = torch.einsum("crp,cp->rc", hidden, W2)
            loss = 0.5 * ((out - target[rows]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if clock.now() > cap:
                break
        schedule.step()
        if clock.now() > 1.05 * last:
            last, value = clock.now(), clock.stop(objective)
            if not value <= 10 * start:
                return {"points": points, "diverged": True}
            points.append([round(last, 5), 0.0, value])
    return {"points": points, "diverged": False}


def outward(method, run):
    """run(step) from the usual steps outward; the runs by step."""
    found = {}
    final = lambda step: found[step]["points"][-1][2] if found[step]["points"] and not found[step]["diverged"] \
        else float("inf")
    high, low = (0.1, 0.01) if method == "adam" else (5, 1)
    for step in (high, low):
        found[step] = run(step)
    for edge, side in ((high, STEPS[:STEPS.index(high)][::-1]), (low, STEPS[STEPS.index(low) + 1:])):
        for step in side:
            best = min(final(s) for s in found)
            if final(edge) > 1.1 * best and final(edge) < float("inf") or final(edge) == float("inf") and step > edge:
                break
            found[step] = run(step)
            edge = step
    return found


def older(kept, cap):
    """Whether a peer is to run: it never did, or with a smaller cap."""
    return kept is None or kept.get("cap", cap) < cap


def run_peers(np, args, name, lam, best, store):
    import bench_peers
    paths = files(np, args, name)
    arrays = [np.load(paths[what]) for what in ("x", "y", "gates")]
    for method in ("adam", "sgd"):
        key = "%s %g | %s" % (name, lam, method)
        if older(store.get(key), args.cap):
            runs = outward(method, lambda step: train(np, arrays, lam, method, step, args.cap))
            final = {step: run["points"][-1][2] for step, run in runs.items() if run["points"] and not run["diverged"]}
            step = min(final, key=final.get) if final else None
            store.put(key, {"step": step, "cap": args.cap, "points": runs[step]["points"] if final else [],
                            "tried": sorted(runs)})
            print("  %-10s step %s, excess %.1e" % (method, step, final[step] / best - 1 if final else float("nan")),
                  flush=True)
    key = "%s %g | reference" % (name, lam)
    if older(store.get(key), args.cap):
        args.quick, quick = True, args.quick
        found = bench_peers.run_peer(args, "gated", "reference", (os.path.basename(paths["x"])[:-6], 0, lam),
                                     {"objective": best}, 1)[0]
        args.quick = quick
        store.put(key, found)
        ends = found["points"]
        print("  reference  %s" % ("excess %.1e after %.3g s" % (ends[-1][2] / best - 1, ends[-1][0]) if ends else
                                   found), flush=True)


# ---- The report

def profile(times, low, high):
    """Share of problems solved against time, a point a problem."""
    solved = sorted(t for t in times if t is not None)
    points = [(low, 0.0)]
    for i, t in enumerate(solved):
        points += [(max(t, low), i / len(times)), (max(t, low), (i + 1) / len(times))]
    return points + [(high, len(solved) / len(times))] if times else points


def section(args, out):
    ours, peers = (common.Store(common.path_of(args, name)) for name in ("profile_ours.json", "profile_peers.json"))
    text = []
    for key, kept in sorted(ours.kept.items()):
        if key.startswith("all "):
            text.append(all_text(key, kept))
    curves = {key: run for key, run in ours.kept.items()
              if not key.startswith("all ") and run["neurons"] > 0 and "trace" in run}
    curves = {key: run for key, run in curves.items() if key + " | adam" in peers.kept}
    if curves:
        text.append(curve_text(curves, peers, out))
    return "## Performance profile of [MSP22 Fig. 4, 7, 8], gated\n\n" + "\n".join(text) if text else ""


def all_text(key, kept):
    tol = float(key.split()[1])
    runs = {name: run for name, run in kept["runs"].items() if run["neurons"] and run["n"]}
    certified = sum(run["gap"] <= tol for run in runs.values())
    slow = sorted(runs.items(), key=lambda pair: -pair[1]["cpu"])[:8]
    missed = ["%s (gap %.1e)" % (name, run["gap"]) for name, run in runs.items() if run["gap"] > tol]
    return ("`make bench-profile BENCH_ARGS='--data DIR --phase all'`: %d problems (%d more whose optimum is the "
            "zero network), 2500 gates, to a certified %g: **%d of %d certified**, %.1f minutes elapsed with %d "
            "processes of one thread, %.1f minutes of CPU. %s\n\n%s\n" % (
                len(runs), len(kept["runs"]) - len(runs), tol, certified, len(runs), kept["elapsed"] / 60, kept["jobs"],
                sum(run["cpu"] for run in kept["runs"].values()) / 60,
                "Not certified: " + "; ".join(missed) + "." if missed else "", common.table(
                    ["slowest", "n", "d", "outputs", "patterns", "CPU seconds", "gap", "memory, MB"],
                    [(name, run["n"], run["d"], run["c"], run["patterns"], "%.1f" % run["cpu"], "%.1e" % run["gap"],
                      "%.0f" % (run["peak_bytes"] / 1e6)) for name, run in slow])))


def curve_text(curves, peers, out):
    methods = ("cvxrelu", "reference", "adam", "sgd")
    panels, rows, low, high = [], [], 1e-3, max(k.get("cap", 20) for k in peers.kept.values())
    for gap in GAPS:
        times = {method: [] for method in methods}
        for key, run in curves.items():
            target = run["objective"] * (1 + gap)
            certified = run["cpu"] if run["gap"] <= 1e-6 else None
            times["cvxrelu"].append(common.first_time(run["trace"], target) if gap > 1e-6 else certified)
            for method in methods[1:]:
                kept = peers.kept.get("%s | %s" % (key, method))
                times[method].append(common.first_time(kept["points"], target) if kept else None)
        panels.append(("rgap = %g" % gap, {m: profile(times[m], low, high) for m in methods}))
        share = lambda found: 100 * sum(t is not None for t in found) / len(found)
        rows.append(["%g" % gap] + ["%.0f%%, %s" % (share(times[m]), half(times[m])) for m in methods])
    with open(os.path.join(out, "profile.svg"), "w") as file:
        file.write(svg.chart(panels, "CPU seconds", "share of problems solved", xrange=(low, high), yrange=(0, 1)))
    names = sorted({key.split()[0] for key in curves})
    missed = ["%s (gap %.1e)" % (key, run["gap"]) for key, run in curves.items() if run["gap"] > 1e-6]
    tried = sum(len(k["tried"]) for k in peers.kept.values() if "tried" in k)
    return ("`make bench-profile BENCH_ARGS='--data DIR --phase curve,peers,report'` on %d problems of %d sets (%s); "
            "Adam and SGD: %d runs over the steps of the paper, one seed, capped at %g CPU seconds like the reference. "
            "Share of the problems solved and the seconds in which half of them are:\n\n%s\n\n%s"
            "![profile](profile.svg)\n" % (
                len(curves), len(names), ", ".join(names), tried, high, common.table(["rgap"] + list(methods), rows),
                "cvxrelu did not certify 1e-6 on: %s.\n\n" % "; ".join(missed) if missed else ""))


def half(times):
    """The time by which half of the problems are solved."""
    solved = sorted(t for t in times if t is not None)
    need = (len(times) + 1) // 2
    return "%.3g s" % solved[need - 1] if len(solved) >= need else "-"


def parse():
    parser = common.parser(__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tol", type=float, default=1e-3)
    parser.add_argument("--fresh", action="store_true", help="phase all: begin anew")
    parser.add_argument("--sets", type=int, default=12)
    parser.add_argument("--cap", type=float, default=20)
    parser.add_argument("--phase", default="all,curve,peers,report")
    return common.parse(parser)


def main():
    args = parse()
    try:
        import numpy as np
    except ImportError as error:
        return common.skip("bench-profile: %s" % error) or 77
    if not args.data or not os.path.exists(os.path.join(args.data, "README.md")):
        return common.skip("bench-profile: no tables (--data DIR with its README.md)") or 77
    sets = [pair for pair in class_sets(args.data) if args.only in pair[0]]
    if args.quick:
        sets, args.cap = sets[:3], 0.5
    ours, peers = (common.Store(common.path_of(args, name)) for name in ("profile_ours.json", "profile_peers.json"))
    failed = 0
    if args.phase != "report":
        common.note(args, "bench-profile")
    if "all" in args.phase:
        failed += run_all(np, args, sets, ours)
    for name, _ in chosen(sets, args.sets) if "curve" in args.phase or "peers" in args.phase else []:
        for lam in LAMBDAS:
            key = "%s %g" % (name, lam)
            try:
                if "curve" in args.phase or ours.get(key) is None:
                    ours.put(key, fit(args, files(np, args, name), lam, 1e-6, True))
            except common.Failed as error:
                failed += common.fail(key, error)
                continue
            print("%s: %.3g s, gap %.1e, %d neurons" % (key, ours.get(key)["cpu"], ours.get(key)["gap"],
                                                        ours.get(key)["neurons"]), flush=True)
            if "peers" in args.phase and ours.get(key)["neurons"] > 0:
                run_peers(np, args, name, lam, ours.get(key)["objective"], peers)
    if "report" in args.phase:
        import results
        results.write(args)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
