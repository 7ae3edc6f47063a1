"""The peers, one function each. bench_peers.py starts this file as a process of its own for every run, with a job
(JSON) as its argument, and reads lines [CPU seconds, wall seconds, objective] from it: the points that the
peer reaches. Times are those of the peer's solve: imports, set-up of matrices and compilation are not counted.

job  peer, files (x, y, gates), lam, kind (gated, relu), cap (CPU seconds; with several threads wall seconds),
     target (stop there), threads, once

Iterative peers give their trajectory: the clock stands still while a point is evaluated, and a point is evaluated
when the time has grown by 2% since the last one. Peers that run to a tolerance run again with the next smaller one,
each a point, the median of at least three where two take less than 3 s. A trajectory of less than 3 s is made three
times. A run that uses up the cap is ended by the system (SIGPROF). A dictionary ends a run: memory (growth of the
peak resident size over the state before set-up), the peer's own stop."""
import json
import signal
import statistics
import sys
import time
import warnings

import common

TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-14, 1e-16)
EXPLICIT_LIMIT = 3e8                   # bytes of an explicit design n x P d


class Job:
    """The problem, the clock and the output of one process."""

    def __init__(self, job):
        import numpy as np
        self.np, self.__dict__ = np, {**job, "np": np}
        self.X, self.Y, self.G = (np.load(job["files"][name]) for name in ("x", "y", "gates"))
        self.D = self.signs = common.activation(np, self.X, self.G)
        self.n, self.d = self.X.shape
        self.c, self.P = self.Y.shape[1], self.G.shape[1]
        self.own, self.last, self.done, self.swept = None, 0.0, False, False
        self.base = self.resident("VmRSS")
        self.cpu = time.thread_time if self.threads == 1 else time.process_time

    @staticmethod
    def resident(what):
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(what))

    def set_up(self):
        """Call before the matrices are made: memory counts from here."""
        try:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")
        except OSError:
            pass
        self.base = self.resident("VmRSS")

    def start(self):
        """The clock starts, and the cap with it."""
        signal.setitimer(signal.ITIMER_PROF, 1.2 * self.cap * self.threads + 2)
        self.paused_cpu = self.paused_wall = self.last = 0.0
        self.start_cpu, self.start_wall = self.cpu(), time.perf_counter()

    def now(self):
        return (self.cpu() - self.start_cpu - self.paused_cpu,
                time.perf_counter() - self.start_wall - self.paused_wall)

    def point(self, evaluate, force=True):
        """Record evaluate() at this time; whether the run is to end."""
        cpu, wall = self.now()
        if not force and cpu < 1.02 * self.last:
            return False
        pause_cpu, pause_wall, self.last = self.cpu(), time.perf_counter(), cpu
        left = signal.setitimer(signal.ITIMER_PROF, 0)[0]          # the cap stands still, too
        self.show(cpu, wall, evaluate())
        signal.setitimer(signal.ITIMER_PROF, max(left, 0.01))
        self.paused_cpu += self.cpu() - pause_cpu
        self.paused_wall += time.perf_counter() - pause_wall
        if (wall if self.threads > 1 else cpu) > self.cap:
            self.done = True
        return self.done

    def timed(self, solve):
        """Result and the medians of both times of solve(): 3 to 20 runs, no more after 0.5 s (3 runs) or 3 s."""
        self.start()
        self.swept, times, result = True, [], None
        while not times or len(times) < 20 and self.now()[self.threads > 1] < (3 if len(times) < 3 else 0.5):
            before = self.now()
            result = solve()
            times.append([after - start for after, start in zip(self.now(), before)])
        return result, statistics.median(t[0] for t in times), statistics.median(t[1] for t in times)

    def show(self, cpu, wall, value):
        if value is not None:
            print(json.dumps([round(cpu, 6), round(wall, 6), *value]), flush=True)
            self.done = value[0] <= self.target

    def objective(self, *weights):
        """A list: the objective; for ReLU also the norm of what violates the cones, relative to that of Y."""
        np = self.np
        weights = [np.asarray(w, dtype=float) for w in weights]
        if not all(np.isfinite(w).all() for w in weights):
            return None
        if self.kind == "gated":
            return [common.gated_objective(np, self.X, self.Y, self.signs, weights[0], self.lam)]
        wrong = sum((np.minimum((2.0 * self.signs - 1) * (self.X @ u.T), 0) ** 2).sum() for U in weights for u in U)
        return [common.relu_objective(np, self.X, self.Y, *weights, self.lam),
                float(np.sqrt(wrong) / np.linalg.norm(self.Y))]

    def end(self):
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps({"memory": max(0, self.resident("VmHWM") - self.base), "own": self.own}), flush=True)


# ---- The reference package (pyscnn): R-FISTA for gated networks, the augmented Lagrangian for ReLU

def reference(job, backend="numpy"):
    import lab
    import scnn.optimize as optimize
    from scnn.metrics import Metrics
    from scnn.models import ConvexGatedReLU, ConvexReLU
    from scnn.private.methods import termination_criteria as criteria
    from scnn.regularizers import NeuronGL1
    from scnn.solvers import AL, RFISTA

    relu = job.kind == "relu"
    rule = criteria.ConstrainedHeuristic if relu else criteria.GradientNorm
    original, state = rule.__call__, {"steps": 0}

    def device(name, dtype, seed):
        lab.set_backend(backend)
        lab.set_device("cpu")
        lab.set_dtype(dtype)
        lab.set_seeds(seed)

    def weights(model):
        W = lab.to_np(model.weights)
        return (W[0], W[1]) if relu else (W,)

    def stop(self, model, X, y, *rest, **named):
        own = bool(original(self, model, X, y, *rest, **named)) or state["steps"] >= 10000
        if state["steps"] == 0:
            job.start()
            job.signs = job.np.asarray(lab.to_np(model.D)) > 0        # of its own patterns, without duplicates
        state["steps"] += 1
        first = own and job.own is None
        if first:
            job.own = [*job.now(), job.objective(*weights(model))[0], state["steps"]]
        return job.point(lambda: job.objective(*weights(model)), force=first)

    optimize.set_device = device
    if backend == "torch":
        import torch
        torch.set_num_threads(job.threads)
    model = (ConvexReLU if relu else ConvexGatedReLU)(job.G, c=job.c)
    solver = AL(model, max_primal_iters=10 ** 8) if relu else RFISTA(model, max_iters=10 ** 8)
    metrics = Metrics(objective=False, grad_norm=False, time=True)
    job.set_up()
    rule.__call__ = stop
    try:
        optimize.optimize_model(model, solver, metrics, job.X, job.Y, regularizer=NeuronGL1(job.lam),
                                return_convex=True, unitize_data=False, device="cpu", dtype="float64")
    finally:
        rule.__call__ = original


# ---- adelie: block coordinate descent, masks applied on the fly; constraints for ReLU

def adelie(job, path=False):
    import adelie as ad
    np = job.np
    signs = 2.0 * job.D - 1.0
    job.set_up()
    X = np.asfortranarray(job.X)
    matrix = ad.matrix.convex_relu(X, np.asfortranarray(job.D), gated=job.kind == "gated", n_threads=job.threads)
    groups = job.P * (1 if job.kind == "gated" else 2)
    lambdas = [job.lam]
    if path:
        top = max(np.linalg.norm(job.X.T @ (job.D * job.Y), axis=0).max() / job.n, job.lam)
        lambdas = list(np.geomspace(top, job.lam, 10))

    def constraints():                 # new for every run: they keep their state
        if job.kind == "gated":
            return None
        zero, infinite = np.zeros(job.n), np.full(job.n, np.inf)
        return [ad.constraint.linear(cones[i % job.P], zero, infinite) for i in range(groups)]

    def solve(k, tol):
        return ad.grpnet(matrix, losses[k], constraints=constraints(), groups=job.d * np.arange(groups),
                         penalty=np.full(groups, 1.0), lmda_path=[c * l for l in lambdas], tol=tol, early_exit=False,
                         intercept=False, max_iters=10 ** 9, n_threads=job.threads, progress_bar=False)

    c = job.c                          # its loss is the mean over the rows of one output
    cones = [np.ascontiguousarray(signs[:, [i]] * job.X) for i in range(job.P)] if job.kind == "relu" else None
    losses = [ad.glm.gaussian(np.ascontiguousarray(job.Y[:, k]), dtype=np.float64) for k in range(c)]
    for tol in TOLERANCES:
        states, cpu, wall = job.timed(lambda: [solve(k, tol) for k in range(c)])
        if any(len(s.lmdas) == 0 or abs(s.lmdas[-1] / (c * job.lam) - 1) > 1e-9 for s in states):
            break
        beta = np.stack([np.asarray(s.betas[-1].todense()).reshape(-1, job.P, job.d) for s in states], 1)
        job.show(cpu, wall, job.objective(*beta))
        if cpu > job.cap or job.done:
            break


# ---- Group lasso on the explicit design

def explicit(job):
    np = job.np
    if 8.0 * job.n * job.P * job.d > EXPLICIT_LIMIT or job.kind != "gated" or job.c > 1:
        raise Unsupported("the explicit design would take %.1f GB" % (8e-9 * job.n * job.P * job.d))
    job.set_up()
    job.kept = np.flatnonzero(job.D.any(0))                    # skglm divides by the norm of a group
    return np.asfortranarray((job.D[:, job.kept, None] * job.X[:, None, :]).reshape(job.n, -1))


def U_of(job, kept):
    U = job.np.zeros((1, job.P, job.d))
    U[0, job.kept] = job.np.asarray(kept).reshape(-1, job.d)
    return U


def tolerance_sweep(job, fit):
    for tol in TOLERANCES:
        U, cpu, wall = job.timed(lambda: fit(tol))
        job.show(cpu, wall, job.objective(U_of(job, U)))
        if cpu > job.cap or job.done:
            break


def celer(job):
    from celer import GroupLasso
    design, y = explicit(job), job.Y[:, 0].copy()

    def fit(tol):
        model = GroupLasso(groups=job.d, alpha=job.lam, fit_intercept=False, tol=tol, max_iter=10000)
        return model.fit(design, y).coef_
    tolerance_sweep(job, fit)


def skglm(job):
    from skglm import GroupLasso
    design, y = explicit(job), job.Y[:, 0].copy()

    def fit(tol, A=None, b=None):
        model = GroupLasso(groups=job.d, alpha=job.lam, fit_intercept=False, tol=tol, max_iter=10000)
        return model.fit(design if A is None else A, y if b is None else b).coef_
    small = job.np.random.default_rng(0).standard_normal((9, 2 * job.d))
    fit(1e-3, job.np.asfortranarray(small), small[:, 0].copy())      # compiles
    tolerance_sweep(job, fit)


# ---- Cone programs through CVXPY

def cone_program(job, name):
    import cvxpy as cp
    np = job.np
    if job.n * job.P * job.d > 4e6 * (1 if job.kind == "gated" else 0.5):
        raise Unsupported("too large for a general cone program")
    job.set_up()
    parts, fitted, constraints, penalty = [], 0, [], 0
    signs = 2.0 * job.D - 1.0
    for k in range(job.c):
        output = 0
        for sign in (1, -1) if job.kind == "relu" else (1,):
            U = cp.Variable((job.d, job.P))
            parts.append(U)
            Z = job.X @ U
            output = output + sign * cp.sum(cp.multiply(job.D.astype(float), Z), axis=1)
            penalty = penalty + cp.sum(cp.norm(U, 2, axis=0))
            if job.kind == "relu":
                constraints.append(cp.multiply(signs, Z) >= 0)
        fitted = fitted + cp.sum_squares(output - job.Y[:, k])
    problem = cp.Problem(cp.Minimize(fitted / (2 * job.Y.size) + job.lam * penalty), constraints)
    solver = {"clarabel": cp.CLARABEL, "scs": cp.SCS}[name]
    data, chain, inverse = problem.get_problem_data(solver)
    limit = job.cap * (20 if job.threads == 1 else 1)              # theirs is wall time; the CPU's ends the process
    if name == "clarabel":
        runs = [dict(tol_gap_rel=t, tol_gap_abs=t, tol_feas=t, time_limit=limit) for t in (1e-4, 1e-6, 1e-8, 1e-10)]
    else:
        runs = [dict(eps_abs=t, eps_rel=t, max_iters=10 ** 8, time_limit_secs=limit) for t in TOLERANCES[:7]]
    for options in runs:
        solution, cpu, wall = job.timed(lambda: chain.solve_via_data(problem, data, False, False, options))
        problem.unpack_results(solution, chain, inverse)
        if parts[0].value is None:
            break
        signed = 2 if job.kind == "relu" else 1                    # V and W of an output in turn
        stacks = [np.stack([U.value.T for U in parts[first::signed]]) for first in range(signed)]
        job.show(cpu, wall, job.objective(*stacks))
        if cpu > job.cap or job.done:
            break


class Unsupported(Exception):
    pass


PEERS = {
    "reference": lambda job: reference(job), "reference-torch": lambda job: reference(job, "torch"),
    "adelie": lambda job: adelie(job), "adelie-path": lambda job: adelie(job, path=True),
    "celer": celer, "skglm": skglm,
    "clarabel": lambda job: cone_program(job, "clarabel"), "scs": lambda job: cone_program(job, "scs"),
}


def main():
    warnings.simplefilter("ignore")
    given = json.loads(sys.argv[1])
    try:
        for run in range(3):
            job = Job(given)
            PEERS[given["peer"]](job)
            job.end()
            if job.swept or job.last > 3.0 or given["once"]:
                break
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
    except Unsupported as error:
        print(json.dumps({"unsupported": str(error)}), flush=True)


if __name__ == "__main__":
    main()
