#!/usr/bin/env python3
"""Writes tests/bench/RESULTS.md and the plots beside it from the JSON files of --results; no figure is typed by hand.

    results.py [--results DIR] [--out DIR]

bench.txt, threads.txt, dense.txt, operator.txt and relu63.txt in DIR (`make bench-keep` makes them) are included as
they are."""
import os
import statistics
import sys
import time

import bench_profile
import bench_scaling
import bench_search
import common

NAMES = {"reference": "reference (numpy)", "reference-torch": "reference (torch)"}
TEXTS = {"bench": "bench", "threads": "bench-threads", "dense": "bench-dense", "operator": "bench-operator",
         "relu63": "bench-relu", "before": "bench-before"}       # NAME.txt in --results and the target that prints it
MERGED = {"adelie-path": "adelie"}     # two ways to call one program: the faster one counts


def key(kind, problem):
    return "%s %s P=%d lambda=%g" % (kind, *problem)


def reach(runs, target, clock):
    """Median time of a peer's runs to the target; None when a run does not get there."""
    times = [min((p[clock] for p in run["points"] if p[2] <= target), default=None) for run in runs]
    return None if None in times else statistics.median(times)


def usable(runs):
    return runs and not any(word in runs[0] for word in ("missing", "unsupported"))


REACHED, STOPPED, CAPPED, FAILED = range(4)                # also the order in which one of two ways is chosen


class Answer:
    """What a peer did with one level: `seconds` to it, or those of its last point with the smallest `excess`, or the
    cap. STOPPED: its tightest tolerance or its own limit ended the run well before the cap."""

    def __init__(self, runs, best, level, clock):
        self.seconds, self.state, self.excess = reach(runs, best * (1 + level), clock), REACHED, None
        self.why = runs[0].get("failed")
        if self.seconds is not None:
            return
        cap, points = runs[0].get("cap", 0), next(run["points"] for run in runs
                                                  if reach([run], best * (1 + level), clock) is None)
        if self.why is not None:
            self.state, self.seconds = FAILED, cap
        elif not points or runs[0].get("ended") == "cap" or points[-1][clock] >= 0.9 * cap:
            self.state, self.seconds = CAPPED, cap
        else:
            self.state, self.seconds, self.excess = STOPPED, points[-1][clock], min(p[2] for p in points) / best - 1

    def order(self):
        return self.state, self.seconds

    def __str__(self):
        return ("%.3g", "stopped at %.3g s, excess %.1e", ">%.3g", "failed")[self.state] % (
            (self.seconds,), (self.seconds, self.excess), (self.seconds,), ())[self.state]


class Case:
    """One problem: our times and the peers' at each level, {peer: Answer}."""

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
            answer, name = Answer(runs, self.best["objective"], level, self.clock), MERGED.get(peer, peer)
            if name not in found or answer.order() < found[name].order():
                found[name] = answer
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


def summary(found, level):
    """Rows peer, problems, how many in each state, geometric mean of the ratios of those that reached the level or used
    up the cap and the worst of these, '>=' where a cap counts."""
    rows, answers = [], {}
    for case in found:
        for peer, answer in case.peer(level).items() if case.own(level) is not None else []:
            answers.setdefault(peer, []).append((case, answer))
    for peer, pairs in sorted(answers.items()):
        ratios = [(max(answer.seconds, 1e-9) / max(case.own(level), 1e-9), answer.state, case.name)
                  for case, answer in pairs if answer.state in (REACHED, CAPPED)]
        states = [answer.state for _, answer in pairs]
        ends = ["-", "-"]
        if ratios:
            worst = min(ratios)
            ends = ["%s%.3g" % (">= " if CAPPED in states else "", common.geometric_mean([r for r, _, _ in ratios])),
                    "%s%.3g (%s)" % (">= " if worst[1] == CAPPED else "", worst[0], worst[2].split(" ", 1)[1])]
        rows.append([NAMES.get(peer, peer), len(pairs)] +
                    [states.count(state) for state in (REACHED, CAPPED, STOPPED, FAILED)] + ends)
    return rows


def missed(found, level):
    """The problems on which cvxrelu misses the level: they are in no row of summary()."""
    names = [case.name.split(" ", 1)[1] for case in found if case.own(level) is None]
    return "cvxrelu misses it on %d of %d, not counted above: %s.\n" % (
        len(names), len(found), "; ".join(names)) if names else ""


def failures(found):
    """Peers that crashed, by name."""
    rows = ["%s on %s (%s)" % (NAMES.get(peer, peer), case.name.split(" ", 1)[1], runs[0]["failed"])
            for case in found for peer, runs in case.peers.items() if runs[0].get("failed") is not None]
    return "Ended with an error: %s.\n" % "; ".join(rows) if rows else ""


def faster(found):
    """Every (problem, level) at which a peer is faster than cvxrelu, or cvxrelu misses the level."""
    rows = []
    for case in found:
        for level in common.LEVELS:
            own = case.own(level)
            for peer, answer in case.peer(level).items():
                if answer.state == REACHED and (own is None or answer.seconds < own):
                    rows.append((case.name.split(" ", 1)[1], "%g" % level, NAMES.get(peer, peer),
                                 "%.3g" % answer.seconds, common.short(own)))
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
            [case.peer(level).get(p, "-") for p in peers] for case in found]
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
    return common.table(["peer", "problems", "its memory, MB", "cvxrelu on the same, MB"], rows) + (
        "\n\nA peer's memory: growth of its process's resident peak over the state before set-up. cvxrelu's: the peak "
        "of what it held from its allocator.") if rows else ""


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
        columns = ["peer", "problems", "reached", "cap", "stopped", "failed", "geometric mean", "worst"]
        out += [common.table(columns, summary(found, level)) + "\n", missed(found, level)]
    out.append(failures(found))
    if kind == "gated":
        out.append(own_stop(found))
    lost = faster(found)
    out.append("### Where a peer is faster\n")
    beside = sum(bool(case.peers) for case in found)
    out.append(common.table(["problem", "level", "peer", "its seconds", "cvxrelu"], lost) + "\n" if lost
               else "On none of the %d problems that a peer has a result for, at no level.\n" % beside)
    if beside < len(found):
        out.append("Without any peer's result: %d of %d.\n" % (len(found) - beside, len(found)))
    certified = sum(case.own("certified") is not None for case in found)
    out.append("cvxrelu certified 1e-6 on %d of %d.\n" % (certified, len(found)))
    out.append("<details><summary>Seconds of each problem to 1e-3 and 1e-6</summary>\n")
    out += [problem_table(found, level) + "\n" for level in (1e-3, 1e-6)]
    out.append("</details>\n")
    out.append(memory_table(found) + "\n")
    return "\n".join(part for part in out if part)


def head(args):
    kept = list(common.Store(common.path_of(args, "machine.json")).kept.values())
    if not kept:                       # kept without it: this machine's
        at = common.machine(args)
        kept = [{**at, "programs": ["where this was written"], "first": at["date"], "last": at["date"]}]
    machines = "\n".join("* Machine: %s, %d cores; %s, `%s`; Python %s; %s (%s)." % (
        at["cpu"], at["cores"], at["compiler"], at["flags"] or "flags not known", at["python"],
        at["first"] if at["first"] == at["last"] else at["first"] + " to " + at["last"], ", ".join(at["programs"]))
                         for at in kept)
    versions = {name: sorted({at["versions"][name] for at in kept if name in at["versions"]})
                for name in common.PACKAGES}
    have = ", ".join("%s %s" % (name, " and ".join(found)) for name, found in versions.items() if found)
    lacking = ", ".join(name for name, found in versions.items() if not found)
    return """# Results of the benchmarks

Written by `tests/bench/results.py` from the files that the programs keep; `requirements.txt` pins the peers.

%s
* float64, no BLAS hooked into cvxrelu; OpenBLAS behind numpy.
* Peers: %s.%s
  CRONOS is not among them: no package of its authors was found; what bears the name in the index is another program.
* One-thread times are CPU seconds, as the machine was shared; two-thread times are wall seconds.
* `>` in front of a time and `>=` in front of a ratio: not reached within the cap, which then counts; the ratio is
  a lower bound. "stopped": the run ended before 0.9 of the cap without reaching the level (its tightest tolerance, or a
  limit of its own; in runs kept without their end, also when the cap cut the next tolerance short); such runs and
  those that failed are in no geometric mean.
* cvxrelu's time is the whole fit, patterns and certificate included. A peer's is its solve, without set-up and
  compilation.
* Medians of three runs or more; single runs: a peer's of more than 3 s (from 1.5 s to one tolerance: of two), ours of
  more than 30 s.
""" % (machines, have,
       " Not installed: %s." % lacking if lacking else "")


def texts(args):
    """What the programs without JSON files printed, word for word, where it was kept."""
    out = []
    for name, target in TEXTS.items():
        path = common.path_of(args, name + ".txt")
        if os.path.exists(path):
            with open(path) as file:
                text = file.read().rstrip()
            out.append("## %s\n\n`make %s`, kept %s:\n\n```\n%s\n```\n" % (
                target, target, time.strftime("%Y-%m-%d", time.localtime(os.path.getmtime(path))), text))
    return out


def write(args):
    out = args.dir if args.quick else getattr(args, "out", None) or common.HERE
    optimum, peers, ours = (common.Store(common.path_of(args, n + ".json")) for n in ("optimum", "peers", "ours"))
    parts = [head(args)]
    for kind in ("gated", "relu"):
        for threads in (1, 2):
            parts.append(kind_section(args, kind, threads, optimum, ours, peers))
    parts += [bench_profile.section(args, out), bench_scaling.section(args, out), bench_search.section(args, out)]
    parts += texts(args)
    with open(os.path.join(out, "RESULTS.md"), "w") as file:
        file.write("\n".join(part for part in parts if part))
    print("wrote " + os.path.join(out, "RESULTS.md"))


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--out", default=common.HERE)
    write(common.parse(parser))
    return 0


if __name__ == "__main__":
    sys.exit(main())
