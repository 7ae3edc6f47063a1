"""What the Python programs of tests/bench share: one thread unless asked, results kept in JSON files, the
objectives from their definitions, the runs of build/bench, tables and the description of the machine.

Import it before numpy: it sets the thread counts of BLAS and OpenMP."""
import json
import math
import os
import platform
import subprocess
import time

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
for variable in THREAD_VARIABLES:
    os.environ.setdefault(variable, "1")

PACKAGES = ("pyscnn", "adelie", "celer", "skglm", "clarabel", "scs", "cvxpy", "torch", "scikit-learn", "numpy")
LEVELS = (1e-2, 1e-3, 1e-4, 1e-6)
HERE = os.path.dirname(os.path.abspath(__file__))


class Store:
    """A dictionary kept in a JSON file; every change is written at once."""

    def __init__(self, path):
        self.path, self.kept = path, {}
        if path and os.path.exists(path):
            with open(path) as file:
                self.kept = json.load(file)

    def get(self, key, make=None):
        """The value of key; when it is not there, make() and keep it."""
        if key not in self.kept and make is not None:
            self.put(key, make())
        return self.kept.get(key)

    def put(self, key, value):
        self.kept[key] = value
        if self.path:
            os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
            with open(self.path + ".part", "w") as file:
                json.dump(self.kept, file, indent=0)
            os.replace(self.path + ".part", self.path)


# ---- Objectives, from the definitions in the manual of cvxrelu.h

def gated_objective(np, X, Y, D, U, lam):
    """1/(2nc) ||sum_i D_i X U_i - Y||^2 + lam sum ||U_ik||; D n x P of 0/1, U c x P x d."""
    total = lam * np.sqrt((U * U).sum(2)).sum()
    for k in range(len(U)):
        on = np.flatnonzero(np.abs(U[k]).max(1))
        r = Y[:, k] - ((X @ U[k][on].T) * D[:, on]).sum(1)
        total += r @ r / (2 * Y.size)
    return float(total)


def relu_objective(np, X, Y, V, W, lam):
    """Of the ReLU network with neurons V_ik (output +1) and W_ik (output -1): needs no constraint. For
    feasible V, W it is the objective of the convex program."""
    total = lam * sum(np.sqrt((U * U).sum(2)).sum() for U in (V, W))
    for k in range(len(V)):
        r = Y[:, k].copy()
        for U, sign in ((V[k], 1), (W[k], -1)):
            on = np.flatnonzero(np.abs(U).max(1))
            r -= sign * np.maximum(X @ U[on].T, 0).sum(1)
        total += r @ r / (2 * Y.size)
    return float(total)


def activation(np, X, G):
    """The patterns D (n x P, bool) of the gates G (d x P): 1(X g >= 0)."""
    return X @ G >= 0


# ---- Data

def unit_columns(np, X):
    """Columns divided by their 2-norm, those that are zero left out."""
    norms = np.linalg.norm(X, axis=0)
    return X[:, norms > 0] / norms[norms > 0]


def standard(X):
    spread = X.std(0)
    return (X - X.mean(0))[:, spread > 0] / spread[spread > 0]


def with_bias(np, X):
    return np.hstack([X, np.ones((len(X), 1))])


def read_csv(np, path):
    """Features and last column of a table with one header line."""
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    return table[:, :-1], table[:, -1]


def class_targets(np, y):
    """-1/+1 for two classes, one-hot for more."""
    labels = np.unique(y)
    if len(labels) == 2:
        return np.where(y == labels[1], 1.0, -1.0).reshape(-1, 1)
    return (y[:, None] == labels[None, :]).astype(float)


def save_problem(np, directory, name, X, Y, G):
    """Writes the three arrays; returns the options of build/bench that read them."""
    os.makedirs(directory, exist_ok=True)
    options = ["--name", name]
    for what, value in (("x", X), ("y", Y), ("gates", G)):
        path = os.path.join(directory, "%s_%s.npy" % (name, what))
        np.save(path, np.ascontiguousarray(value, dtype=np.float64))
        options += ["--" + what, path]
    return options


# ---- Our runs

class Failed(Exception):
    """A run of ours without an answer, or with a wrong one."""


def bench(args, options, threads=1):
    """The JSON lines of one call of build/bench, each a dictionary."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    try:
        done = subprocess.run([args.bench, "--json", "--threads", str(threads)] + [str(o) for o in options],
                              stdout=subprocess.PIPE, env=environment, check=False)
    except OSError as error:
        raise Failed(str(error)) from error
    runs = [json.loads(line) for line in done.stdout.decode().splitlines()] if done.returncode in (0, 1) else []
    if not runs:
        raise Failed("%s: exit %d, no answer" % (args.bench, done.returncode))
    return runs


def fail(what, error):
    """Names what failed; 1, to be counted."""
    print("FAIL %s: %s" % (what, error), flush=True)
    return 1


def median_run(args, options, threads=1, repeat=3):
    """The run of the median time of three (of one above 30 s), with both clocks' spread left out."""
    runs = bench(args, list(options) + ["--repeat", repeat], threads)
    clock = "seconds" if threads > 1 else "cpu"
    return sorted(runs, key=lambda run: run[clock])[len(runs) // 2]


# ---- Numbers and tables

def geometric_mean(values):
    return math.exp(sum(math.log(v) for v in values) / len(values))


def first_time(trace, target, clock=0):
    """Time of the first point [CPU, wall, objective] at or below the target, or None."""
    for point in trace:
        if point[2] is not None and point[2] <= target:
            return point[clock]
    return None


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] +
                     ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def short(seconds):
    return "-" if seconds is None else "%.3g" % seconds


def version(name):
    from importlib import metadata
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def machine(args):
    """One description of where the numbers are made, from the machine itself and build/bench."""
    model = platform.processor()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    found = {"cpu": model, "cores": os.cpu_count(), "compiler": "?", "flags": getattr(args, "flags", ""),
             "python": platform.python_version(), "date": time.strftime("%Y-%m-%d"),
             "versions": {name: version(name) for name in PACKAGES if version(name)}}
    try:
        if getattr(args, "bench", None):
            done = subprocess.run([args.bench, "--build"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            found.update(json.loads(done.stdout) if done.returncode == 0 else {})
        if found["compiler"] == "?":
            done = subprocess.run(["cc", "--version"], stdout=subprocess.PIPE)
            found["compiler"] = done.stdout.decode().split("\n")[0]
    except OSError:
        pass
    return found


def note(args, program):
    """Keeps in --results where, with which build and which versions a program ran: one entry for each that differs."""
    at = machine(args)
    day = at.pop("date")
    store, key = Store(path_of(args, "machine.json")), json.dumps(at, sort_keys=True)
    kept = store.get(key) or {**at, "programs": [], "first": day}
    store.put(key, {**kept, "programs": sorted({program, *kept["programs"]}), "last": day})


def parser(doc, **defaults):
    """The options that all programs have."""
    import argparse
    made = argparse.ArgumentParser(description=doc.replace("%", "%%"),
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="a few small problems, under a minute")
    made.add_argument("--bench", default="build/bench")
    made.add_argument("--dir", default=defaults.get("dir", "build/bench_data"), help="for problems, scratch")
    made.add_argument("--data", help="directory of CSV tables (header line, target last)")
    made.add_argument("--results", default="build/results", help="directory of the JSON files, read and added to")
    made.add_argument("--only", default="", help="problems whose name contains this text")
    return made


def parse(made):
    """The options; results of --quick are kept apart from those of a full run."""
    args = made.parse_args()
    if args.quick:
        args.results = os.path.join(args.results, "quick")
    return args


def skip(text):
    print("skipped: " + text, flush=True)
    return None


def path_of(args, name):
    return os.path.join(args.results, name)


