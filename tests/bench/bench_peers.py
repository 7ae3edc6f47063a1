#!/usr/bin/env python3
"""cvxrelu beside other programs on the same X, Y, gates and strength: seconds to relative suboptimality 1e-2, 1e-3,
1e-4 and 1e-6, and memory.

    bench_peers.py [--quick] [--data DIR] [--kind gated|relu] [--cap SECONDS] [--peers A,B] [--threads 1|2]
                   [--results DIR] [--only TEXT] [--phase optimum,peers,ours,report]

The optimum of each problem is our solution at a gap of 1e-9, its objective recomputed here from the definition. A
ReLU point counts by the objective of the network that its weights are, feasible or not, which favours peers
whose weights break constraints. cvxrelu: the whole fit with patterns, stopped at each level (build/bench
--stop-objective), and to its own certified 1e-6; the median of three, above 30 s a single run. Peers: peers.py, their
solve without set-up: a trajectory three times, one of more than 3 s once; to one tolerance the median of three or more,
from 1.5 s of two, from 3 s a single run. A peer that uses up the cap counts as the cap: its ratio is a lower bound; one
that stops before, or fails, is named and does not count. Everything is kept in --results (optimum.json, peers.json,
ours.json) and what is there is not run again, except ours, which are run anew unless --keep-ours is given. RESULTS.md
is written from these files. Peers that are not installed are skipped and named."""
import json
import os
import signal
import subprocess
import sys
import tempfile

import common
import problems
import results

LAMBDAS = (1e-2, 1e-3, 1e-4)
PEERS = {"gated": ("reference", "reference-torch", "adelie", "adelie-path", "celer", "skglm", "clarabel", "scs"),
         "relu": ("reference", "reference-torch", "adelie", "clarabel", "scs")}
QUICK = {"gated": [("breast-cancer", 10, 1e-2)], "relu": [("wine", 10, 1e-2)]}


def listed(args, kind):
    """(name, P, lambda) of all problems; ReLU with 10 patterns for the general cone solvers."""
    if args.quick:
        return QUICK[kind]
    sets = problems.gated_names(args) if kind == "gated" else problems.RELU
    patterns = (100, 1000, 2500) if kind == "gated" else (10, 50, 200, 500)
    return [(n, p, l) for p in patterns for n in sets for l in LAMBDAS]


def optimum(np, args, kind, problem, arrays):
    """Our solution to 1e-9: its objective, recomputed, and what it proves."""
    X, Y, G = arrays
    with tempfile.TemporaryDirectory() as out:
        options = common.save_problem(np, args.dir, problem[0], X, Y, G)
        run = common.bench(args, options + ["--kind", kind, "--lambda", problem[2], "--tol", 1e-9, "--save", out])[0]
        U = [np.load(os.path.join(out, name + ".npy")) for name in (("U",) if kind == "gated" else ("V", "W"))]
    if kind == "gated":
        value = common.gated_objective(np, X, Y, common.activation(np, X, G), U[0], problem[2])
    else:
        value = common.relu_objective(np, X, Y, *U, problem[2])
    if not abs(value - run["objective"]) <= 1e-9 * value:
        raise common.Failed("optimum: objective %.15g, recomputed %.15g" % (run["objective"], value))
    if not run["gap"] <= 1e-8:
        raise common.Failed("optimum: gap %.1e" % run["gap"])
    return {"objective": value, "dual_bound": run["dual_bound"], "gap": run["gap"], "neurons": run["neurons"],
            "n": X.shape[0], "d": X.shape[1], "c": Y.shape[1], "lambda_max": run["lambda_max"]}


def run_peer(args, kind, peer, problem, best, threads):
    """One process of peers.py: its runs {"points", "cap", "memory", "own"}, or with why "missing", "unsupported"."""
    files = {w: os.path.join(args.dir, "%s_%s.npy" % (problem[0], w)) for w in ("x", "y", "gates")}
    job = {"peer": peer, "files": files, "lam": problem[2], "kind": kind, "cap": args.cap, "threads": threads,
           "once": args.quick, "target": best["objective"] * (1 + common.LEVELS[-1])}
    environment = dict(os.environ, **{name: str(threads) for name in common.THREAD_VARIABLES})
    runs, new = [], {"points": [], "cap": args.cap}
    child = subprocess.Popen([sys.executable, os.path.join(common.HERE, "peers.py"), json.dumps(job)],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    try:
        late, (out, error) = False, child.communicate(timeout=20 * args.cap + 300)
    except subprocess.TimeoutExpired:
        child.kill()
        late, (out, error) = True, child.communicate()
    for line in out.decode().splitlines():
        if line.startswith("["):
            new["points"].append(json.loads(line))
        elif line.startswith("{"):
            runs.append({**new, **json.loads(line)})
            new = {"points": [], "cap": args.cap}
    if new["points"] or not runs:                                        # cut off
        if child.returncode == -signal.SIGPROF or late:
            new["ended"] = "cap"
        else:
            new["failed"] = (error.decode().strip().splitlines() or ["exit %d" % child.returncode])[-1][:200]
        runs = runs or [new]
    return runs


def is_done(runs, target, cap):
    """Whether a kept result stands: it got there, cannot, or had at least this cap."""
    if not runs or "missing" in runs[0]:
        return False
    return "unsupported" in runs[0] or runs[0].get("cap", 0) >= cap or results.reach(runs, target, 0) is not None


def run_peers(args, kind, problem, best, store):
    name = results.key(kind, problem)
    for peer in [p for p in PEERS[kind] if p in args.peers.split(",") or
                 not args.peers and not (args.quick and p.endswith("-torch"))]:
        entry = "%s | %s | %d" % (name, peer, args.threads)
        if is_done(store.get(entry), best["objective"] * (1 + common.LEVELS[-1]), args.cap):
            continue
        runs = run_peer(args, kind, peer, problem, best, args.threads)
        store.put(entry, runs)
        ends = runs[0]["points"]
        said = runs[0].get("unsupported") or runs[0].get("missing") or runs[0].get("failed") or "no point"
        if ends:
            said = "%d points, last %.3g s, excess %.1e" % (len(ends), ends[-1][0],
                                                            ends[-1][2] / best["objective"] - 1)
        print("  %-16s %s" % (peer, said), flush=True)


def run_ours(args, kind, problem, best, store, stops):
    """Time, passes, memory at each level and to the certificate; `stops`: further objectives, by name."""
    files = [v for w in ("x", "y", "gates") for v in ("--" + w, os.path.join(args.dir, "%s_%s.npy" % (problem[0], w)))]
    options = files + ["--kind", kind, "--lambda", problem[2]]
    goals = {"%g" % level: best["objective"] * (1 + level) for level in common.LEVELS}
    goals.update(stops)
    found = {}
    for name, goal in [("certified", None)] + list(goals.items()):
        more = [] if goal is None else ["--stop-objective", repr(goal * (1 + 1e-12))]
        run = common.median_run(args, options + more, args.threads)
        reached = run["gap"] <= 1e-6 if goal is None else run["objective"] <= goal * (1 + 1e-12)
        found[name] = {"cpu": run["cpu"], "wall": run["seconds"], "reached": bool(reached), "gap": run["gap"],
                       "memory": run["peak_bytes"], "passes": run["passes"], "iterations": run["iterations"]}
    store.put("%s | %d" % (results.key(kind, problem), args.threads), found)
    print("  cvxrelu          certified %.3g s, gap %.1e" % (found["certified"]["cpu"], found["certified"]["gap"]),
          flush=True)


def run_problem(np, args, kind, problem, optima, peers, ours):
    """All phases of one problem."""
    name, arrays = results.key(kind, problem), problems.load(np, args, kind, *problem[:2])
    if arrays is None:
        return common.skip(name + ": no data")
    print(name, flush=True)
    common.save_problem(np, args.dir, problem[0], *arrays)
    best = optima.get(name, lambda: optimum(np, args, kind, problem, arrays))
    if best["neurons"] == 0:
        return None                                        # the zero network: nothing to solve
    if "peers" in args.phase:
        run_peers(args, kind, problem, best, peers)
    if "ours" in args.phase and not (args.keep_ours and ours.get("%s | %d" % (name, args.threads))):
        own = [run["own"] for run in peers.get("%s | reference | 1" % name) or [] if run.get("own")]
        run_ours(args, kind, problem, best, ours, {"own": own[0][2]} if own and kind == "gated" else {})
    return None


def parse():
    parser = common.parser(__doc__)
    parser.add_argument("--kind", default="gated,relu")
    parser.add_argument("--cap", type=float, default=600, help="seconds a run of a peer (600)")
    parser.add_argument("--peers", default="", help="only these, comma between")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--phase", default="optimum,peers,ours,report")
    parser.add_argument("--keep-ours", action="store_true", help="do not run cvxrelu again where results are there")
    return common.parse(parser)


def main():
    args = parse()
    if args.quick:
        args.cap = min(args.cap, 3.0)
    try:
        import numpy as np
    except ImportError as error:
        return common.skip("bench-peers: %s" % error) or 77
    optima, peers, ours = (common.Store(common.path_of(args, name + ".json")) for name in ("optimum", "peers", "ours"))
    failed = 0
    if args.phase != "report":
        common.note(args, "bench-peers")
    for kind in args.kind.split(",") if args.phase != "report" else []:
        for problem in listed(args, kind):
            name = results.key(kind, problem)
            try:
                if args.only in name:
                    run_problem(np, args, kind, problem, optima, peers, ours)
            except (common.Failed, OSError, subprocess.CalledProcessError) as error:
                failed += common.fail(name, error)
    if "report" in args.phase:
        results.write(args)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
