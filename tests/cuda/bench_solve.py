"""Whole solves on a card: cvxrelu (build/solve_cuda) beside the reference package (PyPI pyscnn, torch back end) on
the same card in one run, to the same objectives; and MNIST to its test error.

    make cuda-solve BENCH_ARGS='--data DIR [--only mnist|reference] [--lambda L] [--threads N]'
    python3 tests/cuda/bench_solve.py --dry --solve PROGRAM     no card: tiny sizes, torch on the CPU

reference  R-FISTA of both in float32, and Newton in float64, over the same gates on the same columns (scaled to
           2-norm 1 beforehand, no bias), the objective of every point from its definition, in float64, the clock
           stopped meanwhile. The table has the seconds after which each is within 1e-1 .. 1e-4 of the best certified
           optimum.
mnist      DIR/mnist: the four idx files, gzip. Patch gates; lambda = 1e-7 and a path down to it; seconds from before
           the data's way to the card to the model; test error after that.
"""
import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time

LEVELS = (1e-1, 1e-2, 1e-3, 1e-4)
#         name, n, d, patterns, lambda
PROBLEMS = (("gaussian", 10000, 100, 1000, 1e-3), ("wide", 4000, 784, 2000, 1e-3), ("tall", 60000, 57, 1000, 1e-4))
TINY = (("tiny", 60, 5, 20, 1e-2),)


def solve(args, arguments):
    """The lines of a run, the last one first; exits where it failed."""
    command = [args.solve, *map(str, arguments), "--threads", str(args.threads)]
    run = subprocess.run(command, capture_output=True, text=True)
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    if run.returncode or not lines or "error" in lines[-1]:
        sys.exit("%s: %s %s" % (" ".join(command), lines[-1:], run.stderr[-500:]))
    return lines


def write(np, folder, name, array):
    path = os.path.join(folder, name)
    np.ascontiguousarray(array, dtype=np.float32).tofile(path)
    return path


# ---- Beside the reference package

def make(np, n, d, P, seed=0):
    """Data of a planted network, columns of 2-norm 1, and gates (d x P)."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    first, second = rng.standard_normal((d, 20)), rng.standard_normal(20)
    y = np.maximum(X @ first, 0) @ second + 0.5 * rng.standard_normal(n)
    X /= np.linalg.norm(X, axis=0)
    return X.astype(np.float32), (y / y.std()).astype(np.float32)[:, None], rng.standard_normal((d, P)).astype(np.float32)


def objective(torch, X, y, D, U, lam):
    """1/(2 n) ||sum_i D_i X u_i - y||^2 + lam sum ||u_i|| in float64, D (n x P) the patterns."""
    U = U.to(torch.float64)
    on = torch.nonzero(U.abs().amax(1)).flatten()
    z = torch.zeros(len(X), dtype=torch.float64, device=X.device)
    for part in on.split(256):
        z += ((X @ U[part].T) * (D[:, part] > 0)).sum(1)
    return float(((z - y) ** 2).sum() / (2 * len(X)) + lam * U.norm(dim=1).sum())


def reference(np, X, y, gates, lam, device, cap, target):
    """[seconds, objective] of its R-FISTA until the target, its cap, or 10000 steps."""
    import lab
    import scnn.optimize as optimize
    import torch
    from scnn.metrics import Metrics
    from scnn.models import ConvexGatedReLU
    from scnn.private.methods import termination_criteria as criteria
    from scnn.regularizers import NeuronGL1
    from scnn.solvers import RFISTA

    wide = [torch.tensor(a, dtype=torch.float64, device=device) for a in (X, y[:, 0])]
    original, points, clock = criteria.GradientNorm.__call__, [], {"start": None, "paused": 0.0, "steps": 0}

    def set_device(name, dtype, seed):
        lab.set_backend("torch")
        lab.set_device(device)
        lab.set_dtype(dtype)
        lab.set_seeds(seed)

    def wait():
        if device == "cuda":
            torch.cuda.synchronize()

    def stop(self, model, *rest, **named):
        wait()
        if clock["start"] is None:
            clock["start"] = time.perf_counter()
        now = time.perf_counter()
        seconds, clock["steps"] = now - clock["start"] - clock["paused"], clock["steps"] + 1
        if not points or seconds > 1.05 * points[-1][0]:
            D = model.D.detach().to(device)        # its own patterns, in its own order
            U = model.weights.detach().reshape(D.shape[1], X.shape[1]).to(device)
            points.append([seconds, objective(torch, *wide, D, U, lam)])
            wait()
            clock["paused"] += time.perf_counter() - now
        return clock["steps"] > 10000 or points[-1][0] > cap or points[-1][1] <= target

    optimize.set_device, criteria.GradientNorm.__call__ = set_device, stop
    model = ConvexGatedReLU(gates.astype(np.float64), c=1)
    try:
        optimize.optimize_model(model, RFISTA(model, max_iters=10 ** 8), Metrics(objective=False, grad_norm=False),
                                X, y, regularizer=NeuronGL1(lam), return_convex=True, unitize_data=False,
                                device=device, dtype="float32")
    finally:
        criteria.GradientNorm.__call__ = original
    return points


def first(points, level):
    return next((seconds for seconds, value in points if value <= level), None)


def ratio(theirs, ours):
    ours = min((seconds for seconds in ours if seconds is not None), default=None)
    return "-" if theirs is None or ours is None else "%.1f" % (theirs / ours)


def beside(args, np, folder):
    device = "cpu" if args.dry else "cuda"
    print("seconds to within a relative error of the certified optimum, %s:" % device)
    print("%-12s %-28s" % ("problem", "") + "".join("%10g" % level for level in LEVELS))
    for name, n, d, P, lam in TINY if args.dry else PROBLEMS:
        X, y, G = make(np, n, d, P)
        data = ["--data", write(np, folder, "x", X), write(np, folder, "y", y), n, d, 1, "--plain", "--lambda", lam,
                "--gates", write(np, folder, "g", G.T), P]
        exact = solve(args, [*data, "--precision", "float64", "--tol", 1e-3 if args.dry else 1e-6])[-1]
        best = exact["objective"] * (1 - exact["gap"])
        rows = {}
        for mode in ("float32", "tf32x3", "tf32", "newton"):
            how = ["--newton"] if mode == "newton" else ["--precision", mode, "--iterations", 5000]
            lines = solve(args, [*data, *how, "--tol", 1e-2 if args.dry else 2e-5])
            rows["cvxrelu, " + mode] = [[line["seconds"], line["objective"]] for line in lines]
        try:
            rows["reference, torch"] = reference(np, X, y, G, lam, device, args.cap, best * (1 + LEVELS[-1]))
        except ImportError as missing:
            print("SKIP reference: %s" % missing)
        table = {program: [first(points, best * (1 + level)) for level in LEVELS] for program, points in rows.items()}
        for program, cells in table.items():
            print("%-12s %-28s" % (name, program) + "".join("%10s" % ("-" if c is None else "%.4f" % c) for c in cells))
        if "reference, torch" in table:
            print("%-12s %-28s" % (name, "reference over our fastest") + "".join(
                "%10s" % ratio(table["reference, torch"][k], [cells[k] for program, cells in table.items()
                                                              if program != "reference, torch"])
                for k in range(len(LEVELS))))


# ---- MNIST

def idx(np, path):
    with gzip.open(path) as file:
        data = file.read()
    axes = data[3]
    shape = [int.from_bytes(data[4 + 4 * k:8 + 4 * k], "big") for k in range(axes)]
    return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)


def mnist(args, np, folder):
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    paths = [os.path.join(args.data or "", "mnist", name + ".gz") for name in names]
    if not all(map(os.path.exists, paths)):
        print("SKIP mnist: no %s (--data DIR)" % paths[0])
        return
    x, labels, test_x, test_labels = (idx(np, path) for path in paths)
    if args.dry:
        x, labels, test_x, test_labels = x[:60, ::4, ::4], labels[:60], test_x[:20, ::4, ::4], test_labels[:20]
    files = [write(np, folder, name, array.reshape(len(array), -1) / (255.0 if name.endswith("x") else 1.0))
             for name, array in (("x", x), ("y", labels), ("test_x", test_x), ("test_y", test_labels))]
    data = ["--data", files[0], files[1], len(x), x[0].size, 0, "--test", files[2], files[3], len(test_x),
            "--patch", 3, "--count", 20 if args.dry else args.patterns, "--lambda", 1e-3 if args.dry else args.lam]
    print("MNIST, %d patch gates, lambda = %g; seconds with the data's way to the card" % (args.patterns, args.lam))
    for mode in ("float32", "tf32x3", "tf32"):
        for path in (1, 2 if args.dry else 10):
            lines = solve(args, [*data, "--precision", mode, "--tol", 0.5 if args.dry else args.tol, "--iterations",
                                 args.iterations, "--path", path])
            for r in (line for line in lines if line.get("report")):
                print("%-8s path of %-2d lambda %-9.3g gap %-8.1e %5d neurons  test accuracy %.2f %%  %8.2f s in all, "
                      "%.1f GB of the card" % (mode, path, r["lambda"], r["gap"], r["neurons"],
                                               100 * (1 - r["test_error"]), r["seconds"], r["card_bytes"] / 1e9))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--solve", default="build/solve_cuda", help="the program solve_cuda")
    parser.add_argument("--data", help="folder that has mnist/")
    parser.add_argument("--only", choices=("mnist", "reference"))
    parser.add_argument("--lambda", dest="lam", type=float, default=1e-7)
    parser.add_argument("--patterns", type=int, default=5000)
    parser.add_argument("--tol", type=float, default=1e-2, help="MNIST: relative gap to stop at")
    parser.add_argument("--iterations", type=int, default=500, help="MNIST: at most, a strength")
    parser.add_argument("--cap", type=float, default=300, help="seconds of the reference, a problem")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--dry", action="store_true", help="tiny sizes, torch on the CPU")
    args = parser.parse_args()
    try:
        import numpy as np
    except ImportError:
        sys.exit("SKIP bench_solve: no numpy")
    if args.dry:
        args.iterations, args.cap = 3, 5
    with tempfile.TemporaryDirectory() as folder:
        if args.only != "mnist":
            beside(args, np, folder)
        if args.only != "reference":
            mnist(args, np, folder)


if __name__ == "__main__":
    main()
