"""The problems of the Python benchmarks: arrays X, Y and gates G (d x P) for (set, name, P)."""
import os
import subprocess

import common

GATED = ("planted", "gaussian", "kin8nm", "spambase", "breast-cancer")
RELU = ("planted", "breast-cancer", "breast-cancer-std", "wine", "wine-std", "diabetes", "gaussian")
TABLES = {"heart": "statlog-heart", "pima": "pima", "sonar": "conn-bench-sonar-mines-rocks",
          "ionosphere": "ionosphere"}
NETWORK = ["fig1-%d" % seed for seed in range(5)] + ["bc", "bc-raw", "diabetes"] + list(TABLES)


def shipped(np, table):
    """Tables that scikit-learn brings: X and Y (-1/+1, one-hot, standardised)."""
    import sklearn.datasets as sets
    X, y = getattr(sets, "load_" + table.replace("-", "_"))(return_X_y=True)
    if table == "diabetes":
        return X, ((y - y.mean()) / y.std()).reshape(-1, 1)
    return X, common.class_targets(np, y)


def planted_network(np, seed, n, d, m):
    """X ~ N(0, I) and the outputs of a ReLU network of m gaussian neurons."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    W, a = rng.standard_normal((d, m)), rng.standard_normal(m)
    return X, np.maximum(X @ W, 0) @ a, rng


def relu(np, name):
    """X with its columns scaled (bias among them for tables) and Y."""
    if name == "planted":
        X, y, _ = planted_network(np, 0, 250, 50, 100)
        return X / np.linalg.norm(X, axis=0), np.sign(y).reshape(-1, 1)
    if name == "gaussian":
        X, y, rng = planted_network(np, 0, 1000, 20, 30)
        y = y + 0.1 * y.std() * rng.standard_normal(len(y))
        return X / np.linalg.norm(X, axis=0), y.reshape(-1, 1)
    X, Y = shipped(np, name.replace("-std", ""))
    if name.endswith("-std") or name == "diabetes":
        X = (X - X.mean(0)) / X.std(0)
    X = common.with_bias(np, X)
    return X / np.linalg.norm(X, axis=0), Y


def gates(np, d, P, most=500):
    """The first P gates N(0, I) of one sequence a dimension."""
    return np.random.default_rng(1000 + d).standard_normal((max(P, most), d)).T[:, :P]


def gated_names(args):
    """The names of the sets; those that have only their size from a real table say so."""
    real = lambda name: args.data and os.path.exists(os.path.join(args.data, name + ".csv"))
    return [name if name not in ("kin8nm", "spambase") or real(name) else name + "-synthetic" for name in GATED]


def load(np, args, kind, name, P):
    """X, Y, G; None when the data are not there."""
    if kind == "gated" and name != "breast-cancer":
        directory = os.path.join(args.dir, "real" if args.data else "synthetic")
        base = os.path.join(directory, name.replace("-synthetic", ""))
        paths = [base + "_X.npy", base + "_Y.npy", "%s_G%d.npy" % (base, P)]
        if not all(os.path.exists(path) for path in paths):
            os.makedirs(directory, exist_ok=True)
            subprocess.run([args.bench, "--write", directory] + (["--data", args.data] if args.data else []),
                           check=True)
        return [np.load(path) for path in paths]
    try:
        X, Y = relu(np, name)
    except ImportError:
        return None
    return X, Y, gates(np, X.shape[1], P)


def network(np, name, directory):
    """X with its scaled columns (bias among them) and y for the network problem; None without the table."""
    if name.startswith("fig1-"):
        X, y, _ = planted_network(np, int(name[5:]), 250, 50, 100)
        return X / np.linalg.norm(X, axis=0), np.sign(y)
    if name in TABLES:
        path = os.path.join(directory or "", TABLES[name] + ".csv")
        if directory is None or not os.path.exists(path):
            return None
        X, y = common.read_csv(np, path)
        X, y = common.standard(X), common.class_targets(np, y)[:, 0]
    else:
        try:
            X, Y = shipped(np, "diabetes" if name == "diabetes" else "breast-cancer")
        except ImportError:
            return None
        X, y = X if name == "bc-raw" else common.standard(X), Y[:, 0]
    X = common.with_bias(np, X)
    return X / np.linalg.norm(X, axis=0), y
