#!/usr/bin/env python3
"""Writes tests/bench/RESULTS.md and the plots beside it from the JSON files of --results; no figure is typed by hand.

    results.py [--results DIR] [--out DIR]"""
import os
import statistics
import sys

import bench_profile
import bench_scaling
import bench_search
import common

NAMES = {"reference": "reference (numpy)", "reference-torch": "reference (torch)"}
PACKAGES = ("pyscnn", "adelie", "celer", "skglm", "clarabel", "scs", "cvxpy", "torch", "scikit-learn", "numpy")
MERGED = {"adelie-path": "adelie"}     # two ways to call one program: the faster one counts


def key(kind, problem):
    return "%s %s P=%d lambda=%g" % (kind, *problem)


def reach(runs, target, clock):
    """Median time of a peer's runs to the target; None when a run does not get there."""
    times = [min((p[clock] for p in run["points"] if p[2] <= target), default=None) for run in runs]
    return None if None in times else statistics.median(times)


def usable(runs):
    return runs and not any(word in runs[0] for word in ("missing", "unsupported"))


class Case:
    """One problem: our times and the peers' at each level, {peer: (seconds, whether it got there)}."""

    def __init__(self, name, best, ours, peers, threads):
        self.name, self.best, self.ours = name, best, ours
        self.clock = 0 if threads == 1 else 1
        self.field = "cpu" if threads == 1 else "wall"
        self.peers = {}
        for entry, runs in peers.items():
            problem, peer, count = entry.split(" | ")
            if problem == name and int(count) == threads and usable(runs):
                self.peers[peer] = runs

    def own(self, level):
        found = self.ours.get(level if isinstance(level, str) else "%g" % level)
        return found[self.field] if found and found["reached"] else None

    def peer(self, level):
        found = {}
        for peer, runs in self.peers.items():
            seconds = reach(runs, self.best["objective"] * (1 + level), self.clock)
            cap = runs[0].get("cap", 0)
            pair = (seconds, True) if seconds is not None else (cap, False)
            name = MERGED.get(peer, peer)
            if name not in found or (not pair[1], pair[0]) < (not found[name][1], found[name][0]):
                found[name] = pair
        return found

    def memory(self, peer):
        return max((run.get("memory", 0) for run in self.peers.get(peer, [])), default=0)


def cases(optimum, ours, peers, kind, threads):
    found = []
    for name, best in optimum.kept.items():
        own = ours.kept.get("%s | %d" % (name, threads))
        if name.startswith(kind + " ") and best["neurons"] > 0 and own:
            found.append(Case(name, best, own, peers.kept, threads))
    return found


def mark(pair):
    """Seconds; '>' in front when the level was not reached within the cap."""
    return "-" if pair is None else ("%.3g" if pair[1] else ">%.3g") % pair[0]


def summary(found, level):
    """Rows peer, problems, reached, geometric mean of the ratios and the worst, '>=' where a cap counts."""
    rows, ratios = [], {}
    for case in found:
        own = case.own(level)
        for peer, pair in case.peer(level).items():
            if own is not None:
                ratios.setdefault(peer, []).append((max(pair[0], 1e-9) / max(own, 1e-9), pair[1], case.name))
    for peer, values in sorted(ratios.items()):
        worst = min(values)
        lower = "" if all(reached for _, reached, _ in values) else ">= "
        rows.append((NAMES.get(peer, peer), len(values), sum(reached for _, reached, _ in values),
                     "%s%.3g" % (lower, common.geometric_mean([v for v, _, _ in values])),
                     "%s%.3g (%s)" % ("" if worst[1] else ">= ", worst[0], worst[2].split(" ", 1)[1])))
    return rows


def faster(found):
    """Every (problem, level) at which a peer is faster than cvxrelu, or cvxrelu misses the level."""
    rows = []
    for case in found:
        for level in common.LEVELS:
            own = case.own(level)
            for peer, (seconds, reached) in case.peer(level).items():
                if reached and (own is None or seconds < own):
                    rows.append((case.name.split(" ", 1)[1], "%g" % level, NAMES.get(peer, peer), "%.3g" % seconds,
                                 common.short(own)))
    return rows


def own_stop(found):
    """Ratio to the reference's own final objective."""
    ratios = []
    for case in found:
        own, runs = case.own("own"), case.peers.get("reference")
        stops = [run["own"][case.clock] for run in runs or [] if run.get("own")]
        if own is not None and stops:
            ratios.append((statistics.median(stops) / max(own, 1e-9), case.name.split(" ", 1)[1]))
    if not ratios:
        return ""
    return ("To the objective at which the reference stops by its own rule: geometric mean %.3g times faster over %d "
            "problems, worst %.3g (%s).\n" % (common.geometric_mean([r for r, _ in ratios]), len(ratios),
                                             *min(ratios)))


def problem_table(found, level):
    peers = sorted({peer for case in found for peer in case.peer(level)})
    head = ["problem", "cvxrelu %g" % level, "certified 1e-6"] + [NAMES.get(p, p) for p in peers]
    rows = [[case.name.split(" ", 1)[1], common.short(case.own(level)), common.short(case.own("certified"))] +
            [mark(case.peer(level).get(p)) for p in peers] for case in found]
    return common.table(head, rows)


def memory_table(found):
    """Median over the problems that both solved of the peak memory, MB."""
    peers = sorted({peer for case in found for peer in case.peers})
    rows = []
    for peer in peers:
        pairs = [(case.memory(peer), case.ours["certified"]["memory"]) for case in found if case.memory(peer)]
        if pairs:
            rows.append((NAMES.get(peer, peer), len(pairs), "%.1f" % (statistics.median(p for p, _ in pairs) / 1e6),
                         "%.1f" % (statistics.median(o for _, o in pairs) / 1e6)))
    return common.table(["peer", "problems", "its memory, MB", "cvxrelu on the same, MB"], rows) if rows else ""


def kind_section(args, kind, threads, optimum, ours, peers):
    found = cases(optimum, ours, peers, kind, threads)
    if not found:
        return ""
    clock = "CPU seconds" if threads == 1 else "wall seconds"
    title = {"gated": "Gated ReLU", "relu": "ReLU over given patterns"}[kind]
    out = ["## %s, %d thread%s\n" % (title, threads, "" if threads == 1 else "s"),
           "`make bench-peers BENCH_ARGS='--kind %s%s'`; %s; %d problems. Ratio: the peer's time over ours, worst: "
           "its smallest.\n" % (kind, "" if threads == 1 else " --threads 2", clock, len(found))]
    for level in common.LEVELS:
        out.append("### To %g\n" % level)
        columns = ["peer", "problems", "reached", "geometric mean", "worst"]
        out.append(common.table(columns, summary(found, level)) + "\n")
    if kind == "gated":
        out.append(own_stop(found))
    lost = faster(found)
    out.append("### Where a peer is faster\n")
    out.append(common.table(["problem", "level", "peer", "its seconds", "cvxrelu"], lost) + "\n" if lost
               else "On none of these %d problems, at no level.\n" % len(found))
    certified = sum(case.own("certified") is not None for case in found)
    out.append("cvxrelu certified 1e-6 on %d of %d.\n" % (certified, len(found)))
    out.append("<details><summary>Seconds of each problem to 1e-3 and 1e-6</summary>\n")
    out += [problem_table(found, level) + "\n" for level in (1e-3, 1e-6)]
    out.append("</details>\n")
    out.append(memory_table(found) + "\n")
    return "\n".join(out)


def head(args):
    at = common.machine(args)
    have = ", ".join("%s %s" % (name, common.version(name)) for name in PACKAGES if common.version(name))
    lacking = ", ".join(name for name in PACKAGES if not common.version(name))
    return """# Results of the benchmarks

Written by `tests/bench/results.py` from the files that the programs keep; `requirements.txt` pins the peers.

* Machine: %s, %d cores; %s, `-O3 -march=native -fopenmp`;
  Python %s; %s. float64, no BLAS hooked into cvxrelu; OpenBLAS behind numpy.
* Peers: %s.%s
  CRONOS is not among them: no package of its authors was found; what bears the name in the index is another program.
* One-thread times are CPU seconds, as the machine was shared; two-thread times are wall seconds.
* `>` in front of a time and `>=` in front of a ratio: not reached within the cap, which then counts; the ratio is
  a lower bound.
* cvxrelu's time is the whole fit, patterns and certificate included. A peer's is its solve, without set-up and
  compilation.
""" % (at["cpu"], at["cores"], at["compiler"], at["python"], at["date"], have,
       " Not installed: %s." % lacking if lacking else "")


def write(args):
    out = args.dir if args.quick else getattr(args, "out", None) or common.HERE
    optimum, peers, ours = (common.Store(common.path_of(args, n + ".json")) for n in ("optimum", "peers", "ours"))
    parts = [head(args)]
    for kind in ("gated", "relu"):
        for threads in (1, 2):
            parts.append(kind_section(args, kind, threads, optimum, ours, peers))
    parts += [bench_profile.section(args, out), bench_scaling.section(args, out), bench_search.section(args, out)]
    with open(os.path.join(out, "RESULTS.md"), "w") as file:
        file.write("\n".join(part for part in parts if part))
    print("wrote " + os.path.join(out, "RESULTS.md"))


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--out", default=common.HERE)
    write(parser.parse_args())
    return 0


if __name__ == "__main__":
    sys.exit(main())
