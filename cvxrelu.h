/* cvxrelu.h - two-layer ReLU networks by convex optimisation, in one C header.          v0.2.0

   Trains ReLU and gated ReLU networks to the global optimum of a convex training problem and
   hands back, with every network, a certificate: a lower bound on what any weights over the
   same activation patterns can reach; for ReLU networks, on request, over all patterns: then
   no network of any width does better. There is no step size to tune. C99 and C++11; needs
   libm, nothing else.

   It does not: train more than one hidden layer, convolve, stream data that do not fit in
   memory, or choose features. The loss is the squared one. A fit's own bound is over the
   patterns that were sampled, given or found (report.scope); cvxrelu_certify and
   CVXRELU_SEARCH_EXACT prove bounds over all patterns, the first for any network, the second
   where the patterns can be listed.

   QUICK START (in one C file of a project; the others include the header without the macro)

       #define CVXRELU_IMPLEMENTATION
       #include "cvxrelu.h"
       #include <stdio.h>

       int main(void) {
           double X[8] = { 0, 1, 2, 3, 4, 5, 6, 7 }, Y[8] = { 3, 2, 1, 0, 0, 1, 2, 3 };
           double x = 6, y = 0;
           cvxrelu_problem problem = { 0 };
           cvxrelu_model *model = NULL;
           cvxrelu_report report;
           problem.X.data = X, problem.X.rows = 8, problem.X.cols = 1;
           problem.Y.data = Y, problem.Y.rows = 8, problem.Y.cols = 1;
           problem.lambda = 1e-4;
           if (cvxrelu_fit(&problem, NULL, NULL, &model, &report) != CVXRELU_OK) {
               puts(report.message);
               return 1;
           }
           cvxrelu_model_predict(model, &x, &y);
           printf("f(6) = %.2f, proven within %.1e of the optimum\n", y, report.gap);
           cvxrelu_model_free(model);
           return 0;
       }

   CONTENTS (search for the tag)
     S01 PLATFORM                        S02 MEMORY
     S03 RESULTS                         S04 RANDOM
     S05 DENSE ALGEBRA, BLAS HOOK        S06 DATA
     S07 PATTERNS                        S08 VECTORS AND MODEL OPERATOR
     S09 LOSSES                          S10 GROUP NORMS AND PROX
     S11 CONES                           S12 CERTIFICATES
     S13 FIRST-ORDER METHODS             S14 CERTIFIED NEWTON
     S15 AUGMENTED LAGRANGIAN            S16 CONE DECOMPOSITIONS
     S17 NETWORK                         S18 DESCENT
     S19 ENUMERATION                     S20 BOUNDS OVER ALL PATTERNS
     S21 PATTERN SEARCH                  S22 FIT, PATH, CROSS-VALIDATION
     S23 CERTIFY                         S24 SAVE, LOAD, VERIFY

     Entries of this manual: OBJECTIVE, CONCEPTS, GATES, RELU, ALL PATTERNS, SOLVERS, NEWTON,
     WORK, CONFIGURATION MACROS, MEMORY, ERRORS, THREADS AND DETERMINISM, CLOCK, BLAS, UNITS AND
     LAYOUTS, BIBLIOGRAPHY, HISTORY.

   OBJECTIVE (stated here once; every solver, certificate, test and report uses it)

     X (n x d) data after scaling, with the column of the bias when there is one; Y (n x c)
     targets as coded and centred; patterns D_i = diag(1(X g_i >= 0)), i = 1 .. P; U_ik (d)
     convex weights of pattern i, output k.

       minimise over U   1/(2 n c) ||sum_i D_i X U_i - Y||_F^2  +  lambda sum_{i,k} ||U_ik||_2

     This is C-GReLU [MSP22 eq. 3, A.1], the squared loss halved and divided by n c. The network
     it equals, h(x) = sum_j 1(g_j.x >= 0) (w1_j.x) w2_j, has the same value with the weight
     decay lambda/2 sum_j (||w1_j||_2^2 + ||w2_j||_1^2) under the solution map w1 = u /
     sqrt(||u||), w2 = sqrt(||u||) e_k [MSP22 Thm 2.2, A.1 eq. 16]. For one output that is plain
     weight decay; for c > 1 plain weight decay on w2 is another problem [SEPP21], not solved
     here. Other penalties (cvxrelu_penalty) replace the last sum; they are not those of a
     weight decay. The tie rule is D = 1 at X g = 0, as in [MSP22] and [PE20].

     C-ReLU [MSP22 eq. 2, PE20 eq. 8] has two weights V_ik, W_ik a pattern and output:

       minimise   1/(2 n c) ||sum_i D_i X (V_i - W_i) - Y||_F^2
                  + lambda sum_{i,k} (||V_ik||_2 + ||W_ik||_2)
       subject to (2 D_i - I) X V_ik >= 0, (2 D_i - I) X W_ik >= 0

     and equals the training problem of h(x) = sum_j (w1_j.x)_+ w2_j with the weight decay above
     over the networks whose neurons have these patterns [MSP22 Thm 2.1; PE20 Thm 1], W being
     the neurons that count with -1. With all patterns it is the training problem itself.

   CONCEPTS
     Gate, pattern   A gate g splits the rows of X into active (x.g >= 0) and inactive ones; the
                     0/1 vector is its activation pattern. Gates are sampled before training, or
                     given; see GATES.
     Scaling         Columns of X are centred and divided by their 2-norm (STANDARD), only
                     divided (UNIT), or left (NONE) [MSP22 C.1]. The penalty acts on the scaled
                     weights: scaling changes the problem. The network that comes back is in the
                     user's coordinates, weights and gates alike. A column that is zero then
                     (zero everywhere, or constant under STANDARD) gets weight 0 and gate entry
                     0: the network does not read it.
     Bias            A column of ones appended to X, divided by its 2-norm sqrt(n) (left with
                     NONE) and penalised like the others; a gate has an entry for it too.
                     Outputs have no bias but the mean of centred targets.
     Neuron          A row U_ik that is not zero: one pattern, one output.
     Certificate     dual_bound <= optimum <= objective and gap = (objective - dual_bound) /
                     objective, computed in float64 from the returned weights alone, over all P
                     patterns; the dual point is the residual, scaled. The bound is never below
                     0. A gap below 1e-13 or so means "to rounding", which is not bounded.
     Classes         -1/+1 for two classes (one output), one-hot 0/1 for more (an output each),
                     squared loss; the largest output wins, a tie goes to the lower class. C is
                     the largest label + 1, at least 2 and, when above 2, at most n; a label
                     below it that never occurs is a class without rows.

   GATES
     A recipe (cvxrelu_gates) draws gates one after the other, each from a generator of its own
     that the seed determines. A gate is drawn again, up to 10 times, while a row is too near
     its boundary, |x_j.g| <= 64 d eps T_j ||g|| with T_j the size of x_j in the solver's and in
     the user's coordinates (rows that are zero wherever g is not are exempt); then it is
     dropped. So the network in the user's coordinates gates every training row as the solver
     did. The all-zero pattern and repeated patterns are dropped too. What is left, in the order
     of drawing, are the P patterns of the report; there may be many fewer than drawn. The
     patterns of a smaller count are the first of those of a larger one (same seed, same data).
     Sampled gates have entry 0 on columns that are zero in every row.
     Given gates are all kept as they are, repeated and all-zero patterns too; near_ties counts
     their uncertain signs. Patterns are computed once, in float64, and kept as one bit a row.

   RELU (problem.kind = CVXRELU_RELU)
     The patterns decide how good the optimum is. problem.search says where they come from:
       ON     (the default unless gates are given) pattern search, S21: a wide network is
              trained by Adam in float32 while weak and equal neurons leave, its neurons'
              patterns make a convex program, which is solved exactly; rows on the kink of a
              neuron whose multipliers say that crossing them pays change sides, and the program
              is solved again. No round is worse than the one before. A seed gives the same
              result every time; another seed another local optimum, within about 1e-3 on the
              data sets of the README.
       OFF    the sampled or given patterns as they are. Sampled ones alone end 5% to 80% above
              what the search finds.
       EXACT  all patterns, O(n^rank) of them [PE20 A.2]: the global optimum of the network.
     A path or a cross-validation searches anew at every strength; `start` is not used then.
     lambda_max of a ReLU fit is that of the patterns at hand. lambda = 0 is refused; its limit,
     the interpolating network of least norm [PE20 eq. 6, 7], is cvxrelu_interpolate.
     Other ways to a ReLU network: cvxrelu_decompose splits the weights of a gated one;
     cvxrelu_descend is the first-order trainer alone, as a baseline. cvxrelu_prune makes any
     network minimal.

   ALL PATTERNS
     cvxrelu_certify bounds every network's objective from below: with theta the residual, any B
     >= max over ||u|| <= 1, s = +-1 of s theta^T (X u)_+ makes theta lam / B feasible for the
     dual of the program over all patterns. B by the weighted Cauchy-Schwarz bound at any size,
     by the arcs of the circle at rank 2, by branch and bound over simplicial cones up to rank
     5, by listing all patterns, or, as an option at any rank, by a semidefinite relaxation (n +
     d <= 2048; slow without options.blas.dsyevd). A bound that rests on a local search is
     called an estimate and proves nothing. A certificate can be kept in the model
     (cvxrelu_model_certify) and checked without redoing the search (cvxrelu_proof_check).

   SOLVERS
     NEWTON   semismooth Newton on the dual with a moving working set, one output after the
              other; for the neuron penalty. Always float64. 10 to 25 steps to a certified 1e-6
              on the problems of `make bench BENCH_ARGS=--quick`.
     FISTA    restarted accelerated proximal gradient [MSP22 4.1.1, G.1], all outputs together,
              for every penalty, in float32 or float64. The gap is looked at in iterations 1, 3
              and every tenth. For the other penalties, loose accuracies, tight memory,
              ablations. In float32 a gap of about 1e-5 is where it stalls.
     AL       augmented Lagrangian with R-FISTA inside [MSP22 4.3, G.2], for ReLU networks; its
              answer is projected on the cones before anything is reported (raw_violation says
              how far it was). Its default tolerances are the absolute ones of G.2: on small
              data or targets it stops far from the optimum, as the gap then says. For
              ablations, and where Newton does not fit.
     AUTO     NEWTON where the penalty is the neuron one and it fits memory_limit, else FISTA,
              or AL for ReLU networks.
     lambda = 0, whatever the solver and the penalty: the least-squares solution of minimum norm
     by conjugate gradients in float64. There is no dual bound then; `stationarity` judges it.
     lambda >= lambda_max (no L2 penalty): the zero network, at once. Starts (a model, a path)
     spare iterations, never change the optimum.

   NEWTON
     One output at a time, with b = Y_k and lam = lambda n c, from x = 0:
         minimise over xi   ||xi||^2/2 + <b, xi> + sum_i ||prox_i||^2 / (2 sigma),
         z_i = x_i - sigma X^T D_i xi,   prox_i = (1 - sigma lam/||z_i||)_+ z_i,
     then x <- prox, and sigma grows. What sets it apart from the family of [LST18]: one run
     without restarts between working sets; inner stops by the parts of the duality gap; the
     first step of a round linearised at x (once the gap is below 0.3), guarded by a watchdog;
     CG preconditioned by the last factor; an end phase until the residual itself certifies the
     gap, so that the weights alone prove it. sigma starts at 0.1 n / ||X||_F^2 and is tripled
     after rounds of at most two steps. The working set is the support and the groups with
     ||X^T D_i xi|| > 0.8 lam, at most max(min(15 n/d, 200), 2 |support|, 30), the largest
     first. With
         H = I + sigma (K o (E diag(a) E^T) + V diag(1-a) V^T),  K = X X^T, E the active masks,
         V = E o (X Zh),  a_i = 1 - sigma lam/||z_i||,  Zh the unit vectors z_i/||z_i||
     the preconditioner is a diagonal, the mean mask's X diag(e) (rank d) and all of V, which is
     what grows with sigma: order k + d for k active groups, in float32, each time that CG has
     cost its price. Where CG goes on for long all the same, it is a factor of all of H, n x n,
     or (k d) x (k d) by Woodbury, whichever costs less. options.max_factor caps the order of
     those two and the memory of all three; with none of them diagonal and mean mask remain.
     Where rounding in sigma w holds the end phase up, sigma is divided by 10. A run that
     ends without its proof hands back the point of least objective; one that stalled, or used
     up the default 500 steps, goes on by R-FISTA over its working set
     (at most 2000 iterations).

     ReLU: a group is a pattern with a sign, prox the projection on its cone (S11, started at
     the face that it last ended on) followed by the shrink, so that every iterate is feasible
     to rounding; with N the projection on the null space of the active rows and v the projected
     point, J = N (a I + (1 - a) vh vh^T) N; the dual norm of a group is ||Proj_K(s X^T D r)||.
     Multipliers of an earlier projection settle most groups without a new one.
     Where faces change at every step - many thin cones, optimal weights on extreme rays - line
     searches end short. After six such steps the program is solved over finitely many unit
     directions of the cones, min over c >= 0 of ||y - B c||^2/2 + lam sum c, by block principal
     pivoting; a group's most violating direction is the projection of its gradient, so S11
     finds what joins; at a gap of 1e-3 Newton takes over again, linearised there.

   WORK
     report.passes counts products X^T (D o r) and sum_i D_i X u_i over all P patterns, a
     product over some of them as that part. report.flops counts 2 n d a pattern of such a
     product, 2 n^2 k + n^3/3 an n x n factor for k active groups, n (k d)^2 + (k d)^3/3 a
     Woodbury factor, 2 n^2, or 4 n k d + 2 (k d)^2, a solve with one (4 n d before the first
     factor, which costs 2 n d (d + k)); n q^2 + q^3/3 and 4 n q + 2 q^2, q = k + d, those of
     NEWTON's float32 preconditioner. These are the operations of dense algebra; the mask
     kernels of S08 do the same with n d P / 6 additions a pass, so flops / seconds can exceed
     the machine's peak. The report's own certificate is not counted. A pass reads at least
     8 n d + n P / 8 bytes, a factor's solve the 8 n^2 or 8 (k d)^2 bytes of the factor. A
     projection on a cone prices all rows for 2 n d flops and 8 n d bytes, twice or more, and
     between two prices changes a face of k rows for some multiple of d k a row. `make bench`
     prints seconds as multiples of one pass at the measured speed of the matrix product.

   CONFIGURATION MACROS (each where the implementation is, unless "everywhere")
     CVXRELU_IMPLEMENTATION   in exactly one file: compile the code.
     CVXRELU_STATIC           everywhere: all functions static (then every file that calls them
                              needs CVXRELU_IMPLEMENTATION too).
     CVXRELU_API              everywhere: linkage of the public functions; default extern
                              (static with CVXRELU_STATIC).
     CVXRELU_FILE             the header's own name, in quotes, for its self-inclusion; default
                              "cvxrelu.h". Set it when the file was renamed.
     CVXRELU_ASSERT(x)        default nothing: checks of the library's own invariants.
     CVXRELU_CBLAS            after including any cblas.h: adds cvxrelu_blas_from_cblas(), see
                              BLAS.
     CVXRELU_SMALL            smaller blocks: the fixed workspace of a thread is 0.1 MB in the
                              place of 0.6, large problems are slower.
     CVXRELU_NO_FLOAT32       leave out the float32 kernels: precision FLOAT32 is
                              ERR_UNSUPPORTED. Data may be float32.
     CVXRELU_NO_STDIO         no file access: cvxrelu_model_save and _load return
                              ERR_UNSUPPORTED.
     CVXRELU_NO_MALLOC        no malloc: without options.allocator every allocation fails
                              (ERR_MEMORY).
     CVXRELU_NO_CLOCK         no default clock, see CLOCK.
     CVXRELU_NO_SIMD          only plain C kernels in the dense algebra (S05).
     The rest is not to be set: CVXRELU_H and CVXRELU_IMPLEMENTED are guards,
     CVXRELU_RESULT_LIST and CVXRELU_VERSION are for reading. The interface does not depend on
     any of them but STATIC and API.

   MEMORY
     Inputs are borrowed for the call. A model is the caller's until cvxrelu_model_free; it
     keeps a copy of the allocator that it was made with. The memory of a solver is taken before
     its first iteration, but Newton's factors when they are first needed, the old one given
     back before (R-FISTA, when it takes over from Newton, takes its own after Newton's was
     given back); the model is allocated after them. A factor that is refused is done without.
     cvxrelu_fit_bytes bounds a fit; cvxrelu_arena serves it from a buffer, so that a device
     without malloc can train. memory_limit makes the plan smaller (a smaller factor, then with
     AUTO FISTA) or is an error that names both numbers. It holds for the fit and one model;
     models that a path has handed back are not counted.
     The bound, in bytes, to within about a per cent (P = the gates drawn or given, dp = d
     rounded up to 8, W = min(P, max(2 n, 64), max_working_set), N = min(n, max_factor), e = 8,
     or 4 in float32; with FISTA and lambda = 0 weights and model have P in the place of W):
       data        8 n (dp + c)
       patterns    P (n/8 + 8 d), and while they are made 80 n + 32 P + 8 min(n, d) (d + 1)
       workspace   0.6 MB a thread (602112 bytes, whatever the problem), 4120 dp + 32 n
       weights     2 c W (8 dp + 16); with FISTA once, the best network so far
       model       8 P d + c W (32 d + 41); it counts only when larger than the solver
       Newton      8 dp (P + 16 W) + 3 n W/8 + 144 W + 16 P + 120 n + 262144 + 8 dp^2, and the
                   largest factor so far: 4 (n + q) q as a rule, q = k + d for k active groups
                   rounded up to 16 (twice that where float32 did not do), at most 8 N^2; of
                   all of H 8 n^2 + 1024 n, or 8 (k d)^2 + 1024 n by Woodbury
       FISTA       4 c P dp e + (3 c + 1) n e + 8 n + 8 P; in float32 4 n dp more for X
       lambda = 0  24 P dp + 16 n
       ReLU        2 W groups in the place of W, 24 P d for the faces; Newton's bases
                   min(8 n dp^2, 32 (n + dp) dp + 32 MB) twice, and by groups 8 n m more,
                   m the sum of the cones' ranks; or, in the place of all that, directions: 8 m
                   (n + 2 m) for m of them (half as many again where they grow) of at most 2 n,
                   16 m dp; AL 40 P c dp + 16 P n c. A search holds
                   its network and two such fits over at most 2 n neurons an output: its bound
                   is loose
     In float32 dp is d rounded up to 16. A path may need the larger of several lines. A model
     that came back holds 8 P d for the gates of all patterns (none once loaded, unless they
     were given) and 32 d + 41 a neuron.

   ERRORS
     Every call that can fail returns a cvxrelu_result, 0 on success, and most write one
     sentence into a message buffer of the caller: what is wrong, where, what would be right.
     Messages are cut at CVXRELU_MESSAGE_SIZE; a message buffer may be NULL. Input is checked
     before any work; a failed call has freed what it took, and results are untouched or empty
     (model pointers NULL, unless a text says otherwise). Why a solver stopped is not an error:
     report.stop. Running out of iterations or time gives CVXRELU_OK and the best weights so
     far, with their gap. The library never prints, exits or aborts.

   THREADS AND DETERMINISM
     No mutable globals: any number of fits may run at once; one model may predict in many
     threads. Same input, options, build and CPU: same bits, for any number of threads, with the
     built-in kernels. More than one thread needs OpenMP at compile time or options.parallel;
     hooks other than the loop bodies are called from the thread that called the library. A fit
     has hundreds to thousands of short loops to share: on a machine whose cores are busy with
     other programs, OMP_WAIT_POLICY=passive keeps GNU OpenMP from spinning for threads that
     cannot run (a case that took 22 s so took 2 s).
     Kernels for AVX2 and AVX-512 are chosen at run time on x86; options.portable pins the
     baseline, whose bits are the same on every CPU for one build. A hooked BLAS promises what
     it promises. Time is read for report.seconds, progress and time_limit only: a time limit
     decides when a run ends, nothing else.

   CLOCK
     Default: omp_get_wtime with OpenMP, else timespec_get where <time.h> has it (C11, C++17),
     else clock(), the processor time of the process. options.clock replaces it. With
     CVXRELU_NO_CLOCK and no options.clock, seconds are 0 and a time_limit is CVXRELU_ERR_CLOCK.

   BLAS
     options.blas: NULL entries are built in. Column-major, sizes are size_t; a call with a size
     or leading dimension above 2^31 - 1 is done by the built-in kernel, so 32-bit integers
     suffice behind a hook. With CVXRELU_CBLAS, cvxrelu_blas_from_cblas() returns a table of the
     functions of the cblas.h that was included before, whatever its integers; it is static, in
     the file of the implementation; dpotrf, spotrf and dsyevd stay NULL (CBLAS has none).

   UNITS AND LAYOUTS
     Matrices are row-major, strides count elements. cvxrelu_model_network: the weights W1 and
     gates G1, m rows of features + 1 numbers with the bias last, W2 (c x m) and b2 (c), the
     user's coordinates. cvxrelu_model_convex: U, or V and W (c x P x d), and G (P x d), the
     solver's: (x_j - shift_j) / scale_j, bias last. lambda, objective and bounds are in the
     units of OBJECTIVE, bytes are bytes, times are seconds.

   BIBLIOGRAPHY
     [MSP22]  Mishkin, Sahiner, Pilanci: Fast Convex Optimization for Two-Layer ReLU Networks,
              ICML 2022.
     [PE20]   Pilanci, Ergen: Neural Networks are Convex Regularizers, ICML 2020.
     [SEPP21] Sahiner, Ergen, Pauly, Pilanci: Vector-output ReLU Neural Network Problems are
              Copositive Programs, ICLR 2021.
     [GI83]   Goldfarb, Idnani: A numerically stable dual method for solving strictly convex
              quadratic programs, Math. Programming 1983.
     [LH74]   Lawson, Hanson: Solving Least Squares Problems, 1974.
     [C65]    Cover: Geometrical and statistical properties of systems of linear inequalities,
              IEEE Trans. Electronic Computers 1965.
     [KB15]   Kingma, Ba: Adam: a method for stochastic optimization, ICLR 2015.
     [DHS11]  Duchi, Hazan, Singer: Adaptive Subgradient Methods for Online Learning and
              Stochastic Optimization, JMLR 2011.
     [JP94]   Judice, Pires: A block principal pivoting algorithm for large-scale strictly
              monotone linear complementarity problems, Computers & Operations Research 1994.
     [Hoh77]  von Hohenbalken: Simplicial decomposition in nonlinear programming algorithms,
              Math. Programming 1977.
     [BT09]   Beck, Teboulle: A Fast Iterative Shrinkage-Thresholding Algorithm, SIAM J. Imaging
              Sci. 2009.
     [LST18]  Li, Sun, Toh: A Highly Efficient Semismooth Newton Augmented Lagrangian Method for
              Solving Lasso Problems, SIAM J. Optim. 2018.
     [ADKF70] Arlazarov, Dinic, Kronrod, Faradzhev: On economical construction of the transitive
              closure of a directed graph, Soviet Math. Dokl. 1970 (the method of the four
              Russians).
     [GV08]   Goto, van de Geijn: Anatomy of High-Performance Matrix Multiplication, ACM TOMS
              2008.
     [HTF09]  Hastie, Tibshirani, Friedman: The Elements of Statistical Learning, 2nd ed., 2009.
     [BV18]   Blackman, Vigna: Scrambled Linear Pseudorandom Number Generators,
              arXiv:1805.01407, 2018.

   HISTORY
     0.2.0  ReLU networks: Newton and the augmented Lagrangian over cones, pattern search,
            enumeration, decompositions, pruning, certificates over all patterns, first-order
            training. Files of version 2; those of version 1 are read.
     0.1.0  gated ReLU networks: patterns, R-FISTA, certified Newton, paths, cross-validation.

   Licence: MIT or public domain, at your choice; the text is at the end of the file.         */

#if !defined(CVXR_TYPED)
#ifndef CVXRELU_H
#define CVXRELU_H

#include <stddef.h>
#include <stdint.h>

/* ==== INTERFACE ==========================================================================
   Types first, then functions, in the order of the sections that implement them. A reader of
   the interface may stop at the line END OF THE INTERFACE.                                   */

#define CVXRELU_VERSION_MAJOR 0
#define CVXRELU_VERSION_MINOR 2
#define CVXRELU_VERSION_PATCH 0
#define CVXRELU_VERSION       "0.2.0"

#ifndef CVXRELU_API
#if defined(CVXRELU_STATIC) && (defined(__GNUC__) || defined(__clang__))
#define CVXRELU_API __attribute__((unused)) static
#elif defined(CVXRELU_STATIC)
#define CVXRELU_API static
#else
#define CVXRELU_API extern
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Results ---------------------------------------------------------------------------- */

/* The codes with their fixed texts; CVXRELU_OK is 0. Which call returns which: at the calls.
   LIMIT is options.memory_limit, MEMORY the allocator's refusal; FORMAT, CORRUPT, IO belong to
   saved models; NUMERIC to cvxrelu_verify; STOPPED to cvxrelu_cross_validate.                */
#define CVXRELU_RESULT_LIST(R)                                                                 \
    R(CVXRELU_OK, "success")                                                                   \
    R(CVXRELU_ERR_ARGUMENT, "an argument is out of range")                                     \
    R(CVXRELU_ERR_MEMORY, "the allocator returned NULL")                                       \
    R(CVXRELU_ERR_LIMIT, "the memory limit is below what the fit needs")                       \
    R(CVXRELU_ERR_SIZE, "a size does not fit in size_t")                                       \
    R(CVXRELU_ERR_NONFINITE, "a value is NaN or infinite")                                     \
    R(CVXRELU_ERR_LABELS, "class labels must be the integers 0 to C-1")                        \
    R(CVXRELU_ERR_PATTERNS, "no usable activation pattern")                                    \
    R(CVXRELU_ERR_CLOCK, "a time limit needs a clock")                                         \
    R(CVXRELU_ERR_UNSUPPORTED, "this combination of options is not supported")                 \
    R(CVXRELU_ERR_FORMAT, "the bytes are not a cvxrelu model")                                 \
    R(CVXRELU_ERR_CORRUPT, "the model is truncated or altered")                                \
    R(CVXRELU_ERR_IO, "a file could not be read or written")                                   \
    R(CVXRELU_ERR_NUMERIC, "the computation broke down")                                       \
    R(CVXRELU_ERR_STOPPED, "stopped by the caller or the clock before there was a result")
#define CVXR_ENUM(name, text) name,
typedef enum cvxrelu_result {
    CVXRELU_RESULT_LIST(CVXR_ENUM) CVXRELU_RESULT_COUNT
} cvxrelu_result;
#undef CVXR_ENUM

/* Bytes of every message buffer, the final zero included. Longer messages are cut.           */
#define CVXRELU_MESSAGE_SIZE 256

/* cvxrelu_result_text - the fixed one-line text of a result code.
 *
 *   code  any value; one that is no result code has the text "unknown result code"
 *
 * Returns a constant string, never NULL, that is not to be freed. Thread-safe.
 */
CVXRELU_API const char *cvxrelu_result_text(cvxrelu_result code);

/* ---- Data views ------------------------------------------------------------------------- */

typedef enum cvxrelu_type { CVXRELU_FLOAT64 = 0, CVXRELU_FLOAT32 = 1 } cvxrelu_type;

/* A borrowed row-major matrix: element (i, j) is data[i * stride + j], stride >= cols counted
   in elements (0 means cols). Never written, never kept after the call that takes it.        */
typedef struct cvxrelu_matrix {
    const void  *data;             /* of `type`; not NULL                                     */
    size_t       rows, cols, stride; /* rows, cols: 1 or more (prediction takes 0 rows too)   */
    cvxrelu_type type;
} cvxrelu_matrix;

/* ---- Hooks ------------------------------------------------------------------------------ */

/* Memory. allocate returns `size` bytes (a multiple of 64) aligned to `align` (a power of two
   <= 64), or NULL; release gets the same size back and is never called with NULL. Both NULL
   means malloc and free; one of them alone is an error. Both are called from the thread that
   called the library. The context must outlive every object made with it.                    */
typedef struct cvxrelu_allocator {
    void *context;
    void *(*allocate)(void *context, size_t size, size_t align);
    void (*release)(void *context, void *memory, size_t size);
} cvxrelu_allocator;

/* Seconds since any fixed moment; used for the time limit, `seconds` of the report and of the
   progress, and nothing else. NULL means the default of the manual's CLOCK entry; with
   CVXRELU_NO_CLOCK there is none. Called from the thread that called the library.            */
typedef struct cvxrelu_clock {
    void *user;
    double (*seconds)(void *user);
} cvxrelu_clock;

/* parallel_for: call body(arg, i) once for every i = 0 .. count-1, in any order, on any
   threads, and return when all are done. NULL means OpenMP when compiled with it, else a plain
   loop. Used only where options.threads > 1; results do not depend on it.                    */
typedef struct cvxrelu_parallel {
    void *context;
    void (*parallel_for)(void *context, size_t count, void (*body)(void *arg, size_t i),
                         void *arg);
} cvxrelu_parallel;

/* BLAS. Column-major Fortran semantics with plain integers of pointer width; each NULL entry
   means the built-in kernel, which also does what has a size or leading dimension above 2^31-1:
   no entry ever sees one. trans, uplo, side and diag are the letters of BLAS; vectors are
   contiguous. potrf returns 0, or the order of the leading minor that is not positive. dsyevd
   is LAPACK's, its workspace the hook's own affair: it reads the triangle uplo, puts the
   eigenvalues in w, ascending, and for jobz 'V' the eigenvectors in the columns of a, which
   jobz 'N' may spoil; 0, or nonzero on failure. Only CVXRELU_CERTIFY_MOMENTS calls it; without
   it a built-in one does, three times slower at order 200, six at 400. Called from the thread
   that called the library.                                                                   */
typedef struct cvxrelu_blas {
    void *context;
    void (*dgemm)(void *context, char transa, char transb, size_t m, size_t n, size_t k,
                  double alpha, const double *a, size_t lda, const double *b, size_t ldb,
                  double beta, double *c, size_t ldc);
    void (*sgemm)(void *context, char transa, char transb, size_t m, size_t n, size_t k,
                  float alpha, const float *a, size_t lda, const float *b, size_t ldb,
                  float beta, float *c, size_t ldc);
    void (*dsyrk)(void *context, char uplo, char trans, size_t n, size_t k, double alpha,
                  const double *a, size_t lda, double beta, double *c, size_t ldc);
    void (*ssyrk)(void *context, char uplo, char trans, size_t n, size_t k, float alpha,
                  const float *a, size_t lda, float beta, float *c, size_t ldc);
    void (*dgemv)(void *context, char trans, size_t m, size_t n, double alpha, const double *a,
                  size_t lda, const double *x, double beta, double *y);
    void (*sgemv)(void *context, char trans, size_t m, size_t n, float alpha, const float *a,
                  size_t lda, const float *x, float beta, float *y);
    void (*dtrsm)(void *context, char side, char uplo, char trans, char diag, size_t m,
                  size_t n, double alpha, const double *a, size_t lda, double *b, size_t ldb);
    void (*strsm)(void *context, char side, char uplo, char trans, char diag, size_t m,
                  size_t n, float alpha, const float *a, size_t lda, float *b, size_t ldb);
    size_t (*dpotrf)(void *context, char uplo, size_t n, double *a, size_t lda);
    size_t (*spotrf)(void *context, char uplo, size_t n, float *a, size_t lda);
    int (*dsyevd)(void *context, char jobz, char uplo, size_t n, double *a, size_t lda,
                  double *w);
} cvxrelu_blas;

/* What a progress callback sees, for the strength being solved: NEWTON after every step (the
   bound moves with the products over all patterns, some steps apart), FISTA after every
   iteration, lambda = 0 after every step of conjugate gradients (objective and active are then
   those of the output at work). Borrowed for the callback. Called from the thread that called
   the library.                                                                               */
typedef struct cvxrelu_progress {
    int    iteration;      /* Newton steps so far, all outputs; FISTA's iteration, from 1; the
                              output's step at lambda = 0, from 0                             */
    double objective;      /* of the current iterate; outputs not begun count as they start; AL:
                              of the best feasible network so far                             */
    double dual_bound;     /* best proven for this strength so far, Newton's by its own dual
                              point: it may exceed the report's, which the returned weights
                              prove alone; 0 at lambda = 0                                    */
    double gap;            /* relative: (objective - dual_bound) / objective, or 0 / 0 = 0    */
    size_t active;         /* nonzero rows U_ik; NEWTON: of the output at work                */
    double seconds;        /* since the call (in a cross-validation: since this fold or the last
                              fit began); 0 without a clock                                   */
    double lambda;         /* the strength being solved (changes along a path)                */
} cvxrelu_progress;

/* ---- The problem ------------------------------------------------------------------------ */

typedef enum cvxrelu_kind {
    CVXRELU_GATED = 0,            /* gated ReLU: gates are fixed, see GATES                   */
    CVXRELU_RELU = 1              /* ReLU: weights stay in the cones of their patterns        */
} cvxrelu_kind;
/* Where the patterns of a ReLU network come from (GATED: only AUTO and OFF, the recipe).     */
typedef enum cvxrelu_search {
    CVXRELU_SEARCH_AUTO = 0,      /* RELU: ON, unless gates are GIVEN                         */
    CVXRELU_SEARCH_OFF = 1,       /* the patterns of the recipe, nothing else                 */
    CVXRELU_SEARCH_ON = 2,        /* pattern search; sampled gates give its width and seed,
                                     given ones are where it starts                           */
    CVXRELU_SEARCH_EXACT = 3      /* all patterns, enumerated: the global optimum             */
} cvxrelu_search;
typedef enum cvxrelu_loss { CVXRELU_LOSS_SQUARED = 0 } cvxrelu_loss;
typedef enum cvxrelu_penalty {
    CVXRELU_PENALTY_NEURON = 0,   /* lambda * sum_{k,i} ||U_ki||_2, one group a pattern       */
    CVXRELU_PENALTY_FEATURE = 1,  /* lambda * sum_{k,j} ||U_k(:,j)||_2, a group a column      */
    CVXRELU_PENALTY_L1 = 2,       /* lambda * sum |U|                                         */
    CVXRELU_PENALTY_L2 = 3        /* lambda/2 * sum U^2                                       */
} cvxrelu_penalty;
typedef enum cvxrelu_scale {
    CVXRELU_SCALE_AUTO = 0,       /* standard with a bias, unit without                       */
    CVXRELU_SCALE_STANDARD = 1,   /* subtract the column mean, divide by the 2-norm of what is
                                     left; needs the bias                                     */
    CVXRELU_SCALE_UNIT = 2,       /* divide by the column 2-norm [MSP22 C.1]                  */
    CVXRELU_SCALE_NONE = 3
} cvxrelu_scale;
typedef enum cvxrelu_task {
    CVXRELU_TASK_REGRESSION = 0,  /* Y is n x c, used as it is                                */
    CVXRELU_TASK_CLASSES = 1      /* Y is n x 1, integer labels 0 .. C-1 with C = largest + 1,
                                     at least 2; labels that do not occur are allowed; -1/+1 for
                                     C = 2, one-hot 0/1 for C >= 3                            */
} cvxrelu_task;
typedef enum cvxrelu_sampler {
    CVXRELU_SAMPLER_GAUSSIAN = 0, /* g ~ N(0, I)                                              */
    CVXRELU_SAMPLER_SPARSE = 1,   /* gaussian on 1 to `order` features (the number and which at
                                     random) and the bias, 0 elsewhere                        */
    CVXRELU_SAMPLER_PATCH = 2,    /* gaussian on one square patch of an image, all channels, and
                                     the bias [MSP22 F]                                       */
    CVXRELU_SAMPLER_POINTS = 3,   /* normal of d-1 sampled rows (d counts nonzero columns and
                                     the bias), moved off them into a cell beside             */
    CVXRELU_SAMPLER_GIVEN = 4     /* the caller's gates                                       */
} cvxrelu_sampler;

/* Where the activation patterns come from. All zero: 1000 gaussian gates, seed 0. What becomes
   of a draw: manual, GATES.                                                                  */
typedef struct cvxrelu_gates {
    cvxrelu_sampler sampler;
    size_t   count;        /* gates to draw; 0 = 1000; patterns after merging may be fewer;
                              ignored with GIVEN                                              */
    uint64_t seed;         /* every value is valid                                            */
    size_t   order;        /* SPARSE: most features of a gate, at most X has columns; 0 = 2   */
    /* PATCH: width*height*channels == columns of X, in channel-major planes, rows inside a
       plane; channels 0 = 1; patch is the side in pixels, at most width and height; 0 = 3    */
    size_t   width, height, channels, patch;
    double   active_share; /* in (0, 1): the gate's bias is set so that this share of the rows,
                              at least one, is active [MSP22 E.1]; 0 = the bias is sampled.
                              GAUSSIAN, SPARSE and PATCH only; needs the bias                 */
    int      no_gate_bias; /* nonzero: sampled gates have a zero bias entry                   */
    cvxrelu_matrix given;  /* GIVEN: P x columns of X, or one column more for the bias, last (0
                              when left out); one gate a row, finite, at most 1e150 in the
                              solver's coordinates; borrowed for the call                     */
    int      given_scaled; /* nonzero: `given` is in the solver's coordinates, else in X's    */
} cvxrelu_gates;

/* The convex program of the manual, OBJECTIVE. A struct of zeros with X, Y and lambda filled in
   is a regression with bias, standard scaling and 1000 gaussian gates.                       */
typedef struct cvxrelu_problem {
    cvxrelu_matrix  X;             /* n x features, finite, |X| <= 1e300 (1e150 with NONE)    */
    cvxrelu_matrix  Y;             /* n x c, or n x 1 labels; finite, |Y| <= 1e150            */
    double          lambda;        /* strength, finite, >= 0; see cvxrelu_lambda_max          */
    cvxrelu_kind    kind;
    cvxrelu_task    task;
    cvxrelu_loss    loss;
    cvxrelu_penalty penalty;
    cvxrelu_scale   scale;
    int             no_bias;       /* nonzero: no column of ones                              */
    int             centre_targets;/* nonzero: subtract the mean of every target column, kept in
                                      the model and added to predictions (regression only)    */
    cvxrelu_search  search;        /* RELU only                                               */
    cvxrelu_gates   gates;
} cvxrelu_problem;

/* ---- Options: a struct of zeros is a good configuration --------------------------------- */

typedef enum cvxrelu_solver {
    CVXRELU_SOLVER_AUTO = 0,       /* Newton for the neuron penalty if it fits, else FISTA    */
    CVXRELU_SOLVER_NEWTON = 1,     /* certified semismooth Newton; neuron penalty only        */
    CVXRELU_SOLVER_FISTA = 2,      /* R-FISTA [MSP22 4.1.1, G.1], every penalty; GATED only   */
    CVXRELU_SOLVER_AL = 3          /* augmented Lagrangian [MSP22 4.3, G.2]; RELU only        */
} cvxrelu_solver;
typedef enum cvxrelu_step_rule {
    CVXRELU_STEP_TIGHTNESS = 0,    /* grow when the bound was loose [MSP22 eq. 8]             */
    CVXRELU_STEP_WARM = 1,         /* start from the last accepted step                       */
    CVXRELU_STEP_FORWARD = 2,      /* always grow first                                       */
    CVXRELU_STEP_FIXED = 3         /* step_first throughout, no line search; may diverge      */
} cvxrelu_step_rule;

/* Switches of the augmented Lagrangian; zeros are the values of [MSP22 G.2].                 */
typedef struct cvxrelu_al_options {
    double delta;                  /* > 0: this penalty strength throughout [MSP22 D.6]; 0 = by
                                      the windowing heuristic                                 */
    double window_low, window_high;/* of the heuristic; 0 = 1e-3 and 1e-2                     */
    double constraint_tol;         /* largest squared norm of the violation at the stop, before
                                      the answer is projected; 0 = 1e-6                       */
    int    max_outer;              /* updates of the multipliers; 0 = 10000                   */
} cvxrelu_al_options;

/* Where the patterns of the search come from before its rounds; the last two are the heuristics
   of [PE20 6], for comparison: they end far above the descent.                               */
typedef enum cvxrelu_search_from {
    CVXRELU_SEARCH_FROM_DESCENT = 0, /* a trained network (rounds = 1: Alg1 of [PE20 6])      */
    CVXRELU_SEARCH_FROM_START = 1,   /* the network at its random start (Alg2)                */
    CVXRELU_SEARCH_FROM_FLIPPED = 2  /* and with the rows nearest to a neuron's kink crossed
                                        (Alg3)                                                */
} cvxrelu_search_from;

/* Switches of the pattern search; zeros are good.                                            */
typedef struct cvxrelu_search_options {
    size_t width;                  /* neurons that the descent starts with; 0 = gates.count,
                                      where that is 0 too 2000, fewer on large data           */
    int    steps;                  /* of the descent; 0 = 3000, fewer on large data           */
    double step_size;              /* 0 = 0.03 (X and Y count as scaled to size 1)            */
    int    rounds;                 /* of convex program and flips; 0 = 4, or 8 where few neurons
                                      are left; < 0 = none                                    */
    int    restarts;               /* descents from other seeds, the best is kept; 0 = 1      */
    cvxrelu_search_from from;
    size_t ascents;                /* starts of the ascent for violated patterns after every
                                      round; 0 = 64 where few neurons are left, else none     */
} cvxrelu_search_options;

typedef struct cvxrelu_options {
    cvxrelu_solver solver;
    cvxrelu_type   precision;      /* of FISTA's work arrays; Newton, lambda = 0 and
                                      certificates are float64 whatever it says. FLOAT32
                                      reaches gaps of about 1e-5: give a tol to match         */
    double   tol;                  /* relative duality gap to reach, at most 1 (lambda = 0: the
                                      stationarity); 0 = 1e-6; < 0 = go on as far as rounding
                                      allows, the stop is then STALLED or ITERATIONS          */
    double   subgradient_tol;      /* FISTA also stops when the squared norm of the minimum-norm
                                      subgradient is <= this; >= 0; 0 = off (the authors'
                                      package: 1e-6). AL: of its augmented problem; 0 = 1e-6  */
    int      max_iters;            /* per strength: Newton steps for each output (0 = 500),
                                      FISTA iterations (0 = 20000), AL: those of R-FISTA inside
                                      (0 = 10000), steps of conjugate gradients for each output
                                      at lambda = 0 (0 = 20000); < 0 is an error              */
    double   time_limit;           /* seconds for the whole call, path and cross-validation too;
                                      looked at where progress is called, so that a search ends
                                      some tenths of a second later; 0 = none, < 0 is an error;
                                      needs a clock                                           */
    size_t   memory_limit;         /* bytes the call may hold, see MEMORY; 0 = no limit       */
    size_t   max_working_set;      /* groups in Newton's working set, an output; 0 = min(P,
                                      max(2 n, 64)); fewer than the optimum has neurons keeps
                                      Newton from reaching it                                 */
    size_t   max_factor;           /* order of the largest matrix Newton factors; 0 = 6144    */
    int      threads;              /* 0 = 1, at most 1024; results do not depend on it        */
    cvxrelu_step_rule step_rule;   /* FISTA's switches, for ablations [MSP22 D.4, D.5]        */
    double   step_first;           /* eta_0 > 0; 0 = 1                                        */
    double   step_shrink;          /* beta in (0, 1); 0 = 0.8                                 */
    double   step_grow;            /* alpha > 1; 0 = 1.25                                     */
    double   step_threshold;       /* c >= 1; 0 = 5                                           */
    int      no_restart;           /* nonzero: momentum is never reset                        */
    int      no_acceleration;      /* nonzero: no momentum                                    */
    cvxrelu_al_options     al;     /* RELU by the augmented Lagrangian                        */
    cvxrelu_search_options search; /* RELU with pattern search                                */
    int      portable;             /* nonzero: only kernels with the same bits on every CPU   */
    cvxrelu_allocator allocator;   /* all NULL = malloc and free                              */
    cvxrelu_blas      blas;        /* each NULL entry = built in                              */
    cvxrelu_parallel  parallel;    /* NULL = OpenMP where compiled with it                    */
    cvxrelu_clock     clock;       /* NULL = see CLOCK                                        */
    /* Called as the run goes on, or NULL; a return other than 0 stops the run.               */
    int    (*progress)(void *user, const cvxrelu_progress *progress);
    void    *progress_user;        /* handed to progress                                      */
} cvxrelu_options;

/* ---- Report ----------------------------------------------------------------------------- */

typedef enum cvxrelu_stop {
    CVXRELU_STOP_NONE = 0,         /* nothing was solved                                      */
    CVXRELU_STOP_GAP = 1,          /* the relative gap reached tol                            */
    CVXRELU_STOP_SUBGRADIENT = 2,  /* the minimum-norm subgradient reached its tolerance      */
    CVXRELU_STOP_ITERATIONS = 3,   /* max_iters was reached (in an output, NEWTON)            */
    CVXRELU_STOP_TIME = 4,         /* time_limit was reached                                  */
    CVXRELU_STOP_USER = 5,         /* the progress callback asked                             */
    CVXRELU_STOP_STALLED = 6,      /* no further progress in this precision                   */
    CVXRELU_STOP_STATIONARY = 7    /* lambda = 0: stationarity reached tol                    */
} cvxrelu_stop;
typedef enum cvxrelu_scope {
    CVXRELU_SCOPE_PATTERNS = 0,    /* the bound is over the given or sampled patterns         */
    CVXRELU_SCOPE_ALL = 1,         /* over all patterns                                       */
    CVXRELU_SCOPE_KEPT = 2         /* over the gates that a stripped model kept               */
} cvxrelu_scope;

/* Filled by every fit; when a call fails only `message` counts. Lives with the caller.
   objective, dual_bound, gap, stationarity, subgradient and train_error are recomputed in
   float64 from the weights that are returned: after a stop they may say less than the last
   progress did.                                                                              */
typedef struct cvxrelu_report {
    cvxrelu_solver solver;         /* the one planned; at lambda = 0 conjugate gradients run, at
                                      lambda >= lambda_max nothing                            */
    cvxrelu_stop   stop;
    cvxrelu_scope  scope;          /* of dual_bound and gap                                   */
    size_t   n, d, c;              /* rows, columns of the solver's X, outputs                */
    size_t   patterns;             /* P, after merging duplicates                             */
    size_t   near_ties;            /* signs of given gates within rounding of zero            */
    double   lambda, lambda_max;   /* smallest strength whose solution is the zero network    */
    double   objective;            /* manual, OBJECTIVE                                       */
    int      has_bound;            /* 0 at lambda = 0: then dual_bound and gap are 0          */
    double   dual_bound, gap;      /* gap is relative; 0 when objective and bound are 0       */
    double   constraint_violation; /* RELU: largest -(2D-I)_j x_j.v / (||x_j|| ||v||), or 0   */
    double   raw_violation;        /* AL: the same before its answer was projected            */
    double   descent_objective;    /* search: of the network that the descent ended in        */
    int      rounds;               /* search: convex programs solved                          */
    size_t   flips;                /* search: rows that changed sides, all rounds             */
    double   stationarity;         /* max_{i,k} ||X^T D_i r_k|| / (||X||_F ||y_k||)           */
    double   subgradient;          /* squared norm of the minimum-norm subgradient            */
    size_t   neurons;              /* nonzero rows U_ik (ReLU: V_ik and W_ik)                 */
    int      iterations;           /* Newton steps, FISTA iterations or steps of conjugate
                                      gradients, all outputs together                         */
    int      cg_iterations, factors; /* inside Newton                                         */
    double   passes;               /* products over all patterns, see WORK                    */
    double   flops;                /* by the operation model of WORK                          */
    double   seconds;              /* for this strength: solving, certificate, model; not the
                                      copy of the data, the patterns and lambda_max           */
    size_t   peak_bytes;           /* most that the call has held so far, this model included */
    double   tol;                  /* the tolerance the stop was judged by                    */
    int      threads;              /* the number allowed                                      */
    double   train_error;          /* mean squared error over n*c, or share of wrong labels   */
    char     message[CVXRELU_MESSAGE_SIZE];    /* "" on success                               */
} cvxrelu_report;

/* ---- Random numbers (S04) --------------------------------------------------------------- */

/* xoshiro256** seeded by splitmix64 [BV18]. Integers and uniform numbers are the same
   everywhere; normal deviates (Marsaglia's polar method) use the machine's log, which may
   differ in the last bit. Plain data: may be copied; one generator is for one thread at a time.
   No argument of these functions may be NULL, none of them fails or allocates.               */
typedef struct cvxrelu_random {
    uint64_t state[4];
    double   spare;                /* the second normal deviate of a pair                     */
    int      has_spare;
} cvxrelu_random;
/* Starts the sequence of `seed`, any value.                                                  */
CVXRELU_API void     cvxrelu_random_init(cvxrelu_random *random, uint64_t seed);
/* The next 64 random bits.                                                                   */
CVXRELU_API uint64_t cvxrelu_random_next(cvxrelu_random *random);
/* An integer from 0 to bound-1, each equally likely; 0 when bound is 0 or 1.                 */
CVXRELU_API uint64_t cvxrelu_random_below(cvxrelu_random *random, uint64_t bound);
/* A number in [0, 1), a multiple of 2^-53.                                                   */
CVXRELU_API double   cvxrelu_random_uniform(cvxrelu_random *random);
/* A normal deviate of mean 0 and variance 1.                                                 */
CVXRELU_API double   cvxrelu_random_normal(cvxrelu_random *random);

/* ---- Arena (S02) ------------------------------------------------------------------------ */

/* An allocator over the caller's buffer, for machines without malloc: first fit, holes that
   touch are joined, 64-byte aligned. No lock: one arena is for one thread at a time. The arena
   struct and the buffer must outlive every object made with it. To be read only.             */
typedef struct cvxrelu_arena {
    void  *base;                   /* the buffer from its first cache line on                 */
    size_t size, used, peak;       /* bytes: in all, handed out, up to the highest ever used (a
                                      buffer of peak + 64 would have been enough)             */
    void  *free_list;
} cvxrelu_arena;

/* cvxrelu_arena_init - make an allocator of a buffer.
 *
 *   arena   out; not NULL; what it was before is forgotten
 *   buffer  any alignment (up to 63 bytes at each end go unused); NULL makes an arena without
 *           room
 *   size    bytes of the buffer; cvxrelu_fit_bytes says how many a fit needs
 *
 * Returns the allocator, for options.allocator, cvxrelu_model_read and _load. It cannot fail;
 * an arena that is full returns NULL from allocate, which the library reports as ERR_MEMORY.
 * Cost: constant; an allocation or a release walks the list of holes.
 */
CVXRELU_API cvxrelu_allocator cvxrelu_arena_init(cvxrelu_arena *arena, void *buffer,
                                                 size_t size);

/* ---- Fit (S22) -------------------------------------------------------------------------- */

typedef struct cvxrelu_model cvxrelu_model;    /* opaque; freed by cvxrelu_model_free         */

/* cvxrelu_fit - train by solving the convex program of the manual, OBJECTIVE.
 *
 *   problem  data, strength, penalty, gates; borrowed for the call
 *   options  NULL = all defaults
 *   start    NULL, or an earlier model over the same data, scaling and gates whose weights the
 *            solver starts from (another strength, more time); not used at lambda = 0 and by a
 *            search; borrowed
 *   model    out, not NULL: the caller's until cvxrelu_model_free; set on CVXRELU_OK, also when
 *            a limit stopped the run (see report->stop), else NULL
 *   report   out, not NULL: everything on CVXRELU_OK, else the message
 *
 * Returns CVXRELU_OK, or
 *   ARGUMENT     NULL, a size of 0, a stride too small, a field out of range, X and Y of
 *                different lengths, entries above the limits of cvxrelu_problem, start over
 *                other gates
 *   NONFINITE    NaN or infinity in X, Y or given gates: the message has row and column, from 0
 *   LABELS       classes: more than one column, not an integer, negative, >= n and > 1
 *   PATTERNS     every drawn gate was dropped
 *   UNSUPPORTED  NEWTON or kind RELU with another penalty; RELU with FISTA or at lambda = 0;
 *                GATED with AL or a search; float32 left out of the build
 *   CLOCK        a time_limit without a clock
 *   SIZE, LIMIT, MEMORY   too large for size_t; for memory_limit; for the allocator
 * Cost: 2 n d flops a drawn gate, then report->flops; memory by the manual, MEMORY.
 * Threads: any number of fits at once. Source: [MSP22 eq. 2, 3, Thm 2.1, 2.2], [PE20 eq. 8];
 * solvers as S13 to S15 say, the search as S21, all patterns as S19.
 */
CVXRELU_API cvxrelu_result cvxrelu_fit(const cvxrelu_problem *problem,
                                       const cvxrelu_options *options,
                                       const cvxrelu_model *start, cvxrelu_model **model,
                                       cvxrelu_report *report);

/* cvxrelu_fit_bytes - the most bytes that cvxrelu_fit holds at once on this problem, whatever
 * the values in X and Y, the model included: the size of a buffer for an arena. Not for a path
 * or a cross-validation.
 *
 *   problem, options  as for cvxrelu_fit; borrowed
 *   bytes             out, not NULL: the bound, 64 bytes for the alignment of a buffer
 *                     included; 0 on failure
 *   message           out, or NULL: the sentence when it fails
 *
 * Returns CVXRELU_OK or what cvxrelu_fit would for problem, X, Y and options (the recipe of the
 * gates is not checked); LIMIT when no plan fits memory_limit.
 * Cost: one look at X and Y; no allocation. Thread-safe.
 */
CVXRELU_API cvxrelu_result cvxrelu_fit_bytes(const cvxrelu_problem *problem,
                                             const cvxrelu_options *options, size_t *bytes,
                                             char message[CVXRELU_MESSAGE_SIZE]);

/* cvxrelu_lambda_max - the smallest strength whose solution is the zero network,
 * max_{k,i} ||X^T D_i y_k|| / (n c) in the penalty's dual norm.
 *
 *   problem, options  as for cvxrelu_fit (problem->lambda is not used, but must be valid)
 *   lambda_max        out, not NULL: >= 0; 0 for CVXRELU_PENALTY_L2, which has none; untouched
 *                     on failure
 *   message           out, or NULL: the sentence when it fails
 *
 * Returns CVXRELU_OK or what cvxrelu_fit would.
 * Cost: the patterns and one pass an output; memory as a fit without its solver, checked
 * against memory_limit as a fit with it. Threads as cvxrelu_fit. Source: the optimality
 * condition of [MSP22 eq. 3] at U = 0.
 */
CVXRELU_API cvxrelu_result cvxrelu_lambda_max(const cvxrelu_problem *problem,
                                              const cvxrelu_options *options,
                                              double *lambda_max,
                                              char message[CVXRELU_MESSAGE_SIZE]);

typedef struct cvxrelu_path_options {
    size_t   count;                /* strengths, lambda_max first, equal ratios; 0 = 20       */
    double   ratio;                /* last strength / lambda_max, in (0, 1); 0 = 1e-4         */
    const double *lambdas;         /* or the strengths themselves (`count` > 0 of them, finite,
                                      >= 0, best in descending order); borrowed               */
    size_t   folds;                /* cross-validation only: 2 to n; 0 = 5                    */
    uint64_t fold_seed;            /* deals the rows to folds; every value is valid           */
    int      one_standard_error;   /* nonzero: the largest strength whose error is within one
                                      standard error of the smallest [HTF09 7.10]             */
} cvxrelu_path_options;

/* cvxrelu_path - solve for every strength in turn, each from the solution before. Patterns are
 * screened: a strength begins with the groups near their bound there (||X^T D_i r|| above 0.8
 * of it); the others are looked at again at every sweep, so that nothing is lost by it.
 *
 *   problem, options  as for cvxrelu_fit (problem->lambda is not used, but must be valid);
 *                     max_iters is for each strength, time_limit for all
 *   path              NULL = all defaults; with CVXRELU_PENALTY_L2, which has no lambda_max,
 *                     give path->lambdas; CVXRELU_ERR_ARGUMENT without them
 *   models            out, or NULL (reports only): `count` entries, each the caller's until
 *                     cvxrelu_model_free; all NULL on failure
 *   reports           out, not NULL: `count` entries
 *   message           out, or NULL: the sentence when it fails
 *
 * Returns CVXRELU_OK or what cvxrelu_fit would; ARGUMENT for a path out of range. After a stop
 * by the clock or the callback it is CVXRELU_OK: the strength that was being solved has its
 * model and report, later ones have NULL and a report of zeros (stop NONE).
 * Cost: data, patterns and lambda_max once, then report->flops a strength; memory as a fit, and
 * the models handed back. Threads as cvxrelu_fit.
 */
CVXRELU_API cvxrelu_result cvxrelu_path(const cvxrelu_problem *problem,
                                        const cvxrelu_options *options,
                                        const cvxrelu_path_options *path,
                                        cvxrelu_model **models, cvxrelu_report *reports,
                                        char message[CVXRELU_MESSAGE_SIZE]);

/* One strength of a cross-validated path. error is the mean over folds of the validation mean
   squared error (classes: share of wrong labels), deviation its standard error.              */
typedef struct cvxrelu_cv_point { double lambda, error, deviation; } cvxrelu_cv_point;

/* cvxrelu_cross_validate - K-fold cross-validation over the path; then a fit of all rows at the
 * chosen strength: that of the smallest error, the largest of equal ones, or by
 * one_standard_error. Rows are dealt to folds at random. Strengths come from all rows; scaling,
 * centring of targets and sampling of patterns (same recipe) are done anew in every fold.
 *
 *   problem, options  as for cvxrelu_fit (problem->lambda is not used, but must be valid);
 *                     memory_limit and time_limit are those of the whole call, max_iters is for
 *                     each strength of each fold
 *   path              as for cvxrelu_path; CVXRELU_PENALTY_L2 without path->lambdas is refused
 *   points            out, not NULL: path->count (0 = 20) entries; untouched unless a strength
 *                     was chosen
 *   chosen            out, not NULL: the index of the choice; as points
 *   model, report     as for cvxrelu_fit; the report is that of the last fit
 *
 * Returns CVXRELU_OK or what cvxrelu_path would; ARGUMENT for a number of folds out of range;
 * STOPPED when the clock or the callback ended it before a strength was chosen, or the clock
 * just after (then points and *chosen are filled). A stop in the last fit gives CVXRELU_OK, see
 * report->stop.
 * Cost: K paths on n - n/K rows and a fit; where patterns are searched, folds do it with tol
 * 1e-3, search.steps 1000 and search.rounds 1 unless options say otherwise, the last fit in
 * full. Memory 8 n (features + c) and a copy of the targets beside a fit. Threads as
 * cvxrelu_fit. Source: [HTF09 7.10].
 */
CVXRELU_API cvxrelu_result cvxrelu_cross_validate(const cvxrelu_problem *problem,
                                                  const cvxrelu_options *options,
                                                  const cvxrelu_path_options *path,
                                                  cvxrelu_cv_point *points, size_t *chosen,
                                                  cvxrelu_model **model,
                                                  cvxrelu_report *report);

/* ---- Models (S17) ----------------------------------------------------------------------- */

/* A model owns all it holds, and is never changed but by cvxrelu_model_set_text and _free: any
   other call may run in many threads at once.                                                */
typedef struct cvxrelu_model_info {
    cvxrelu_kind kind;
    cvxrelu_task task;
    cvxrelu_loss loss;
    cvxrelu_penalty penalty;
    cvxrelu_scale scale;           /* resolved, never AUTO                                    */
    int      has_bias;             /* the solver's X has a bias column, last                  */
    size_t   features;             /* columns of the user's X                                 */
    size_t   outputs;              /* c                                                       */
    size_t   classes;              /* 0 for regression                                        */
    size_t   neurons;              /* m                                                       */
    size_t   patterns;             /* P, after merging                                        */
    size_t   rows;                 /* n it was trained on                                     */
    double   lambda, objective, dual_bound, gap;   /* as in the report of its fit             */
    int      has_bound;            /* 0: no dual_bound, no gap (lambda = 0)                   */
    int      has_recipe;           /* 0 when stripped: only kept gates are known              */
    cvxrelu_sampler sampler;       /* of the recipe; GIVEN when the patterns were searched    */
    uint64_t seed;                 /* of the recipe                                           */
    cvxrelu_search search;         /* how the patterns were found, never AUTO; OFF for GATED  */
    int      has_proof;            /* a saved proof of a lower bound is there; else 0 in the
                                      next three                                              */
    double   proof_bound;          /* what it proves, in units of the objective               */
    int      proof_method;         /* how                                                     */
    cvxrelu_scope proof_scope;     /* over which patterns                                     */
    size_t   text_count[2];        /* class labels, feature names held (0 = none)             */
} cvxrelu_model_info;

/* cvxrelu_model_free - give a model back to the allocator that it was made with. NULL is
   accepted. No other call may be using the model.                                            */
CVXRELU_API void cvxrelu_model_free(cvxrelu_model *model);

/* cvxrelu_model_get_info - copy the facts about a model.
 *
 *   model  NULL fills info with zeros
 *   info   out; NULL does nothing
 */
CVXRELU_API void cvxrelu_model_get_info(const cvxrelu_model *model, cvxrelu_model_info *info);

/* cvxrelu_model_predict - the network's outputs for one row.
 *
 *   model  not NULL
 *   row    `features` values in the user's coordinates, not NULL, not checked: a NaN opens
 *          every gate, so that it shows in the outputs that have neurons
 *   out    `outputs` values, not NULL: h(row), target means added; scores for classes, see
 *          cvxrelu_model_class
 *
 * Cost: 4 m d flops (ReLU: 2 m d), a few kilobytes of stack, no allocation. Lock-free,
 * re-entrant. The outputs on training rows are the solver's own to rounding.
 * cvxrelu_model_predict_f32 is the same with float32 rows and outputs; it computes in float64.
 */
CVXRELU_API void cvxrelu_model_predict(const cvxrelu_model *model, const double *row,
                                       double *out);
CVXRELU_API void cvxrelu_model_predict_f32(const cvxrelu_model *model, const float *row,
                                           float *out);

/* cvxrelu_model_predict_many - cvxrelu_model_predict for every row of X.
 *
 *   model  not NULL
 *   X      rows x features, the user's coordinates, float64 or float32; 0 rows do nothing
 *   out    X.rows x outputs, row-major; not NULL unless X has 0 rows
 *   ld     row stride of out in elements, >= outputs; 0 = outputs
 *
 * Returns CVXRELU_OK; ARGUMENT for a NULL, another number of columns, a stride too small;
 * NONFINITE for a NaN or infinity in X; SIZE. On an error out is untouched.
 * Cost: 4 m d flops a row, no allocation. Lock-free; rows may be shared out among threads.
 */
CVXRELU_API cvxrelu_result cvxrelu_model_predict_many(const cvxrelu_model *model,
                                                      cvxrelu_matrix X, double *out, size_t ld);

/* cvxrelu_model_class - the class that a row of outputs stands for.
 *
 *   model    not NULL
 *   outputs  `outputs` values from a prediction, not NULL
 *
 * Returns the label 0 .. classes-1: two classes by the sign, more by the largest output; a tie
 * goes to the lower class. 0 for a regression model. Lock-free.
 */
CVXRELU_API size_t cvxrelu_model_class(const cvxrelu_model *model, const double *outputs);

/* cvxrelu_model_network - copy the network, in the user's coordinates:
 * h(x)_k = sum_j 1(G1_j.(x,1) >= 0) (W1_j.(x,1)) W2_kj + b2_k. Of a ReLU network G1 = W1, which
 * makes it sum_j max(0, W1_j.(x,1)) W2_kj + b2_k.
 *
 *   model   not NULL
 *   W1, G1  out, m x (features + 1), row-major, bias last (0 without): weights and gates
 *   W2      out, c x m, row-major; one nonzero a column
 *   b2      out, c: the means of centred targets, else 0
 *
 * Any out pointer may be NULL. Scaling and shift are folded in, so columns with a large offset
 * lose digits here that cvxrelu_model_predict keeps. Cost: the copies. Source: [MSP22 Thm 2.1,
 * 2.2].
 */
CVXRELU_API void cvxrelu_model_network(const cvxrelu_model *model, double *W1, double *G1,
                                       double *W2, double *b2);

/* cvxrelu_model_convex - copy the convex weights and the gates of all patterns, in the solver's
 * coordinates.
 *
 *   model  not NULL (ARGUMENT)
 *   U      out, or NULL: c x P x d, d = features + has_bias, bias last. ReLU: V, the weights of
 *          the neurons that count with +1, in the cones (2D_i - I) X V_ik >= 0
 *   W      out, or NULL: as U. ReLU: the weights of the neurons that count with -1, in the same
 *          cones, so that the outputs are sum_i D_i X (V_i - W_i). Gated: untouched
 *   G      out, or NULL: P x d
 *
 * Returns CVXRELU_OK, or CVXRELU_ERR_UNSUPPORTED when the model holds no full set of gates: it
 * was read from a file or buffer and its gates were sampled or stripped. U, W and G are
 * untouched then. Several neurons of one pattern, output and sign are added up.
 */
CVXRELU_API cvxrelu_result cvxrelu_model_convex(const cvxrelu_model *model, double *U,
                                                double *W, double *G);

/* What cvxrelu_prune did. Lives with the caller.                                             */
typedef struct cvxrelu_prune_report {
    size_t neurons_before, neurons_after;
    size_t merged;                 /* colinear neurons added to others                        */
    size_t rank, largest_rank;     /* of the outputs on X of the neurons of unit norm: the sum
                                      over the outputs of the network, and the largest        */
    double change;                 /* largest change of an output on a row of X               */
    double penalty_before, penalty_after;      /* without lambda                              */
    char   message[CVXRELU_MESSAGE_SIZE];      /* "" on success                               */
} cvxrelu_prune_report;

/* cvxrelu_prune - the same outputs on X with as few neurons as this takes: of every output at
 * most the rank of its neurons' outputs on X, so at most n, and no larger penalty. Outputs on
 * OTHER rows may change, but for the first step:
 *   1. colinear neurons are added up (gated: those of one gate), which changes no output;
 *   2. while the outputs on X of an output's neurons are linearly dependent, the neurons are
 *      rescaled along a null vector, in the direction in which the penalty does not grow, until
 *      one vanishes. The neurons that are left keep their directions, signs and patterns.
 *
 *   model    not NULL; penalty NEURON or L1; any number of neurons
 *   X        the training rows in the user's coordinates, or these and others whose outputs are
 *            to stay; borrowed
 *   options  NULL = defaults; allocator and memory_limit are used
 *   pruned   out, not NULL: a new model, the caller's until cvxrelu_model_free; NULL on failure
 *   report   out, not NULL; on failure only message counts
 *
 * `change` is about 1e-13 times the largest sum of absolute terms of an output. Neurons are
 * dependent when less than 1e-11 of the largest is left of one beside the others, to rounding
 * if outputs moved by more than 1e-12 of the largest. The model's info: objective less the
 * penalty that was saved (the loss is the same on the training rows), dual_bound as it was (it
 * is about the problem), gap by both. Text, recipe, gates and proof are copied.
 * Returns CVXRELU_OK; ARGUMENT, NONFINITE for X; UNSUPPORTED for another penalty; NUMERIC when
 * outputs overflow; SIZE, LIMIT, MEMORY.
 * Cost: for the m neurons of an output with rank r, 4 n m min(n, m) + 10 r^2 (m - r) flops;
 * 8 (n m + 2 r^2) bytes for the largest, and a copy of the weights. Thread-safe.
 * Source: [PE20] Remark 3.1 and the Caratheodory argument under eq. 5.
 */
CVXRELU_API cvxrelu_result cvxrelu_prune(const cvxrelu_model *model, cvxrelu_matrix X,
                                         const cvxrelu_options *options,
                                         cvxrelu_model **pruned,
                                         cvxrelu_prune_report *report);

enum { CVXRELU_TEXT_CLASSES = 0, CVXRELU_TEXT_FEATURES = 1 };

/* cvxrelu_model_set_text - keep class labels or feature names with a model; saved with it.
 *
 *   model  not NULL; no other call may be using it
 *   kind   CVXRELU_TEXT_CLASSES or CVXRELU_TEXT_FEATURES
 *   count  `classes` or `features` strings, as the kind asks; 0 removes those held
 *   text   count zero-terminated strings (UTF-8 by convention), copied; NULL only when count is
 *          0
 *
 * Returns CVXRELU_OK, ARGUMENT, SIZE, or MEMORY; on an error the model keeps the text it had.
 */
CVXRELU_API cvxrelu_result cvxrelu_model_set_text(cvxrelu_model *model, int kind, size_t count,
                                                  const char *const *text);

/* cvxrelu_model_text - string `index` of a kind, or NULL when there is none (any argument may
   be out of range). The model's, until it is freed or the kind is set again.                 */
CVXRELU_API const char *cvxrelu_model_text(const cvxrelu_model *model, int kind, size_t index);

/* ---- All patterns: enumeration (S19) ----------------------------------------------------- */

typedef struct cvxrelu_enumeration {
    size_t rank;                   /* of the rows of the solver's X                           */
    size_t cells;                  /* patterns with an interior, the all-zero one included   */
    size_t patterns;               /* gates handed out: without the one that activates no row */
    size_t thin;                   /* cells too thin for a gate above rounding, left out      */
    size_t general;                /* 2 sum_{k<rank} C(n-1, k): cells in general position     */
} cvxrelu_enumeration;

/* cvxrelu_enumerate - list every activation pattern of the rows that has an interior, by a gate
 * inside its cell. They are the patterns of problem->search == CVXRELU_SEARCH_EXACT.
 *
 *   problem   X, Y, scaling and bias count; borrowed
 *   options   NULL = defaults; allocator and memory_limit are used
 *   limit     most cells; 0 = 2^20
 *   about     out, not NULL: the counts
 *   gates     out, or NULL to ask for the counts: about->patterns x d, unit vectors in the
 *             solver's coordinates (for gates.given with given_scaled), the same order at
 *             every call
 *   capacity  rows that gates has room for
 *   message   out, or NULL: the sentence when it fails
 *
 * Every sign of a gate has the margin of sampled gates (manual, GATES). Rows that are zero,
 * equal or opposite, and degenerate positions give fewer cells than `general`; hyperplanes
 * within rounding of one another count as one.
 * Returns CVXRELU_OK; what cvxrelu_fit would for X, Y; ARGUMENT also when gates is too small
 * (about is filled); LIMIT for more than `limit` cells or for memory_limit; PATTERNS when no
 * row is other than zero; MEMORY.
 * Cost: O(n^rank) operations and, while it runs, n/8 + 8 rank + 32 bytes a cell, twice that as
 * the table grows, and 8 d + n/8 for each gate. Thread-safe. Source: [PE20 A.2].
 */
CVXRELU_API cvxrelu_result cvxrelu_enumerate(const cvxrelu_problem *problem,
                                             const cvxrelu_options *options, size_t limit,
                                             cvxrelu_enumeration *about, double *gates,
                                             size_t capacity,
                                             char message[CVXRELU_MESSAGE_SIZE]);

/* ---- Certificates over all patterns (S23) ------------------------------------------------ */

/* How a lower bound over all patterns is proven. */
typedef enum cvxrelu_certify_method {
    CVXRELU_CERTIFY_AUTO = 0,      /* EXACT at rank <= 2, ENUMERATE where that is small (4096
                                      cells; at a rank above max_rank 65536), CONES up to
                                      max_rank, else WEIGHTED                                 */
    CVXRELU_CERTIFY_WEIGHTED = 1,  /* weighted Cauchy-Schwarz, any size; loose (half to nine
                                      tenths of the objective is typical)                     */
    CVXRELU_CERTIFY_EXACT = 2,     /* the arcs of the circle, rank <= 2                       */
    CVXRELU_CERTIFY_CONES = 3,     /* branch and bound over simplicial cones, rank <= 8       */
    CVXRELU_CERTIFY_ENUMERATE = 4, /* every pattern, see cvxrelu_enumerate                    */
    CVXRELU_CERTIFY_MOMENTS = 5    /* semidefinite relaxation, any rank, n + d <= 2048 (d with
                                      the bias); much tighter than WEIGHTED, much slower: see
                                      cvxrelu_certify                                         */
} cvxrelu_certify_method;

/* A two-layer ReLU network h(x) = sum_j (w_j.x + b_j)_+ W2_j + b2 made anywhere. A matrix with
   data NULL is absent. W1 without data is the network without neurons.                       */
typedef struct cvxrelu_network {
    cvxrelu_matrix W1;             /* m x features, or m x (features + 1) with the bias last  */
    cvxrelu_matrix b1;             /* m x 1; absent = 0 or the last column of W1              */
    cvxrelu_matrix W2;             /* c x m                                                   */
    cvxrelu_matrix b2;             /* c x 1; absent = 0                                       */
} cvxrelu_network;

/* Switches of a certification; zeros are good.                                               */
typedef struct cvxrelu_certify_options {
    cvxrelu_certify_method method;
    int      l1_penalty;           /* nonzero: c > 1 outputs are penalised by
                                      lambda/2 sum_j (||w1_j||^2 + ||w2_j||_1^2), as networks of
                                      cvxrelu_fit are [MSP22 A.1]; 0: by plain weight decay,
                                      lambda/2 sum_j (||w1_j||^2 + ||w2_j||_2^2)              */
    double   tol;                  /* share of the objective that may stay unproven, in
                                      [1e-9, 1); 0 = 0.01                                     */
    int      rounds;               /* convex programs solved, an output; 0 = 60 (WEIGHTED: 8,
                                      1 where n d m is above 2e6, none above 5e6); < 0 = none */
    size_t   max_rank;             /* AUTO: highest rank for CONES, at most 8; 0 = 5          */
    size_t   nodes;                /* cones looked at, an output; 0 = 2000000                 */
    size_t   cone_bytes;           /* memory for cones that wait; 0 = 2^28                    */
    size_t   starts;               /* of local ascent, each round and sign; 0 = 64            */
    size_t   patterns;             /* random patterns to begin with; 0 = 10                   */
    uint64_t seed;                 /* of those and of the ascent; every value is valid        */
    int      iterations;           /* MOMENTS, an output; 0 = 300; each costs two eigenproblems
                                      of order 1 + n + d                                      */
} cvxrelu_certify_options;

/* What is proven. Objectives are those of cvxrelu_fit (manual, OBJECTIVE): the loss divided by
   2 n c.                                                                                     */
typedef struct cvxrelu_certify_report {
    cvxrelu_certify_method method; /* used                                                    */
    int      l1_penalty;           /* which penalty the figures are for; 0 at c = 1, where both
                                      are the same                                            */
    int      conditional;          /* nonzero: b2 was given; the bound is for networks with this
                                      b2                                                      */
    size_t   n, d, c, rank;        /* rank 0: not determined (above 8)                        */
    size_t   neurons;              /* of the network, those with both weights nonzero         */
    double   lambda;
    double   objective;            /* the network's                                           */
    double   balanced;             /* the same after the best rescaling of every neuron, which
                                      changes no output                                       */
    double   best;                 /* smallest objective of any network met on the way: the
                                      optimum is between dual_bound and this                  */
    double   dual_bound;           /* proven: no network has a smaller objective              */
    double   gap;                  /* (objective - dual_bound) / objective; 0 / 0 = 0         */
    double   best_gap;             /* (best - dual_bound) / best                              */
    double   estimate;             /* the bound had local ascent found the maximum: an estimate,
                                      it proves nothing; >= dual_bound                        */
    int      rounds;               /* convex programs solved, all outputs                     */
    size_t   patterns;             /* in the last of them                                     */
    size_t   nodes;                /* cones looked at, all outputs                            */
    cvxrelu_stop stop;             /* GAP: tol was reached (best_gap); ITERATIONS: rounds, nodes
                                      or memory for cones ran out; TIME; USER, between rounds;
                                      STALLED                                                 */
    double   seconds;
    size_t   peak_bytes;
    char     message[CVXRELU_MESSAGE_SIZE];    /* "" on success                               */
} cvxrelu_certify_report;

/* cvxrelu_certify - prove how far any ReLU network is from the global optimum of its training
 * problem, over all widths and all activation patterns.
 *
 *   problem   X, Y, lambda > 0 and how they are scaled and coded; kind, search, gates and
 *             centre_targets (give means as b2) are not used. scale AUTO is NONE here: the
 *             penalty acts on the weights as they are. With another scale it acts on the
 *             weights in the scaled columns. With a bias (no_bias = 0) b1 is penalised like
 *             W1; with no_bias b1 must be absent
 *   network   what is certified; b2 is not penalised, it is subtracted from the targets
 *   options   NULL = defaults; allocator, clock, time_limit, memory_limit, threads, parallel,
 *             blas and portable are used
 *   how       NULL = defaults
 *   theta     out, or NULL: n x c, the dual point that proves the bound: sum theta y -
 *             ||theta||^2/2 = n c dual_bound, and |theta_k'(X u)_+| <= lambda n c for all ||u||
 *             <= 1 (c > 1 under plain decay: the norm over k)
 *   report    out, not NULL
 *
 * One output, or the l1 penalty: convex program over the network's own and some random
 * patterns, and search for a violated pattern, in turn; what is found joins the patterns. c > 1
 * under plain decay: the network's residual is the dual point, scaled by at most
 * lambda n c / sqrt(sum_k B_k^2), B_k the bounds of the outputs. Whatever stops it, what is
 * proven by then is returned. Rounding is accounted for to first order, not enclosed.
 * MOMENTS: one output or the l1 penalty; the weighted bound, then the moment relaxation from
 * the last convex program's network (rounds < 0: from `network`), whose dual point is its own.
 * It ends when the bound reaches tol, after how->iterations, by the clock or by
 * options.progress, called after each of them. Memory: about seven arrays of (1 + d + 2 n)^2
 * float64, and one an output for the proof. Time: mostly options.blas.dsyevd; the built-in
 * eigensolver is good for n + d up to some 300.
 * Returns CVXRELU_OK; what cvxrelu_fit would for X, Y, options; ARGUMENT for a network of other
 * shape, a method that the rank or the size forbids, switches out of range; NONFINITE for a
 * NaN or infinity in the network; UNSUPPORTED at lambda = 0, for another penalty or loss, for
 * MOMENTS with c > 1 under plain decay; LIMIT when ENUMERATE meets more than 2^20 cells. On an
 * error the report has the message only.
 * Threads: any number at once. Source: the dual of [PE20 (8)], bounds as S20 says.
 */
CVXRELU_API cvxrelu_result cvxrelu_certify(const cvxrelu_problem *problem,
                                           const cvxrelu_network *network,
                                           const cvxrelu_options *options,
                                           const cvxrelu_certify_options *how, double *theta,
                                           cvxrelu_certify_report *report);

/* cvxrelu_model_certify - the same for a ReLU model of cvxrelu_fit, on the data that it was
 * trained on, in its scaling, under the l1 penalty (how->l1_penalty is not used). The dual
 * point and the bound are kept in the model, and saved with it, in the place of an earlier
 * proof.
 *
 *   model    not NULL, of kind RELU; no other call may be using it
 *   X, Y     as for cvxrelu_verify
 *
 * Returns what cvxrelu_certify would; UNSUPPORTED for a gated model.
 */
CVXRELU_API cvxrelu_result cvxrelu_model_certify(cvxrelu_model *model, cvxrelu_matrix X,
                                                 cvxrelu_matrix Y,
                                                 const cvxrelu_options *options,
                                                 const cvxrelu_certify_options *how,
                                                 cvxrelu_certify_report *report);

/* cvxrelu_proof_check - recompute the bound that a model's saved dual point proves on X, Y: one
 * separation an output and sign, by the method it was found with, no convex program. MOMENTS:
 * one eigenvalue problem of order 1 + n + d on the multipliers kept with theta, (1 + d + 2 n)^2
 * numbers an output; another method judges the same theta without them.
 *
 *   model    not NULL, with a proof
 *   how      NULL = defaults; method (AUTO: the proof's), nodes and cone_bytes are used
 *   report   out, not NULL: dual_bound is what was proven just now; below the saved one only
 *            when a limit stopped the search, the method differs or X, Y are other data
 *
 * Returns what cvxrelu_model_certify would; UNSUPPORTED without a proof; ARGUMENT when X has
 * another number of rows than the proof.
 */
CVXRELU_API cvxrelu_result cvxrelu_proof_check(const cvxrelu_model *model, cvxrelu_matrix X,
                                               cvxrelu_matrix Y, const cvxrelu_options *options,
                                               const cvxrelu_certify_options *how,
                                               cvxrelu_certify_report *report);

/* What an interpolation came to.                                                             */
typedef struct cvxrelu_gauge_report {
    int      reached;              /* the residual is at most tol                             */
    double   residual;             /* ||Y - outputs|| / ||Y||, targets as coded and centred   */
    double   norm;                 /* sum of ||w1_j|| |w2_j| of the network                   */
    double   bound;                /* proven: no network of any width that interpolates Y has a
                                      smaller norm                                            */
    cvxrelu_certify_method method; /* of that proof                                           */
    double   lambda;               /* last strength                                           */
    size_t   patterns;
    char     message[CVXRELU_MESSAGE_SIZE];    /* "" on success                               */
} cvxrelu_gauge_report;

/* cvxrelu_interpolate - the ReLU network of least norm sum_j ||w1_j|| |w2_j| that interpolates
 * the targets, as the limit lambda -> 0 of cvxrelu_fit, and the neural gauge's bound on it.
 *
 *   problem  as for cvxrelu_fit, kind RELU; lambda must be valid, it is not used. Patterns
 *            come from gates and search as there, chosen at the first strength, 1e-2 of the
 *            largest; CVXRELU_SEARCH_EXACT takes all
 *   options  as for cvxrelu_fit, for each strength
 *   tol      relative residual to reach, in (0, 1); 0 = 1e-6
 *   model    out, not NULL: the network of the last strength; NULL on failure
 *   report   out, not NULL
 *
 * The strength falls by tens until tol is reached, the residual stops falling (these patterns
 * cannot reach the targets, or equal rows have different ones), or 1e-9 of the largest. The
 * norm is that of a network that interpolates Y less the residual, so it may lie below `bound`
 * by as much as that matters; above it by what the patterns lack. The bound is y'theta / B at
 * theta = residual, B as for cvxrelu_certify.
 * Returns what cvxrelu_fit and cvxrelu_model_certify would; UNSUPPORTED for kind GATED.
 * Cost: a fit a strength, each from the last, and one separation. Source: [PE20 (6), (7)].
 */
CVXRELU_API cvxrelu_result cvxrelu_interpolate(const cvxrelu_problem *problem,
                                               const cvxrelu_options *options, double tol,
                                               cvxrelu_model **model,
                                               cvxrelu_gauge_report *report);


/* ---- Descent: the baseline (S18) -------------------------------------------------------- */

typedef enum cvxrelu_descend_method {
    CVXRELU_DESCEND_ADAM = 0,     /* [KB15]                                                   */
    CVXRELU_DESCEND_SGD = 1,      /* with momentum, as PyTorch writes it                      */
    CVXRELU_DESCEND_ADAGRAD = 2   /* [DHS11]                                                  */
} cvxrelu_descend_method;
typedef enum cvxrelu_schedule {
    CVXRELU_SCHEDULE_HALVE = 0,   /* halved every halve_every epochs                          */
    CVXRELU_SCHEDULE_CONSTANT = 1,
    CVXRELU_SCHEDULE_COSINE = 2   /* (1 + cos(pi t / T)) / 2                                  */
} cvxrelu_schedule;

/* Zeros: Adam, 1000 neurons an output, 2000 epochs of all rows, step 0.01 halved every 400.  */
typedef struct cvxrelu_descend_options {
    cvxrelu_descend_method method;
    cvxrelu_schedule schedule;
    size_t   width;               /* neurons of an output; 0 = 1000                           */
    size_t   batch;               /* rows of a step, dealt anew every epoch; 0 = all          */
    int      epochs;              /* >= 0; 0 = 2000                                           */
    int      halve_every;         /* epochs; >= 0; 0 = 400                                    */
    double   step_size;           /* >= 0; 0 = 0.01 (SGD: 1)                                  */
    double   momentum;            /* below 1, of SGD, and b1 of Adam; 0 = 0.9, < 0 = none     */
    double   beta2;               /* in [0, 1), of Adam; 0 = 0.999                            */
    uint64_t seed;                /* of the start and of the batches; every value is valid    */
} cvxrelu_descend_options;

/* cvxrelu_descend - train the ReLU network by first-order descent on the non-convex problem
 *
 *     1/(2 n c) sum_k ||sum_j (X w1_j)_+ w2_kj - Y_k||^2
 *         + lambda/2 sum_j (||w1_j||^2 + w2_j^2),
 *
 * each neuron with one output: the weight-decay form of the manual's OBJECTIVE, and the
 * baseline of the papers. Outputs are trained one after the other. No step size suits all data,
 * nothing is proven, and cvxrelu_fit ends lower: this is for comparison.
 *
 *   problem  data, strength (> 0), scaling, bias; kind must be RELU, the penalty that of
 *            neurons; search and gates are not used; borrowed for the call
 *   options  NULL = defaults; allocator, memory_limit, time_limit, threads, parallel, portable,
 *            clock, progress are used; progress is called every 64 steps
 *   descend  NULL = defaults
 *   model    out, not NULL: the caller's until cvxrelu_model_free; NULL on failure
 *   report   out, not NULL: objective of the network, each neuron balanced (||w1|| = |w2|,
 *            which never raises it); dual_bound and gap are over the patterns of its own
 *            neurons; iterations are steps; stop is ITERATIONS, TIME or USER
 *
 * Returns CVXRELU_OK; ARGUMENT, NONFINITE, LABELS, SIZE, LIMIT, MEMORY, CLOCK as cvxrelu_fit;
 * UNSUPPORTED for another kind or penalty or lambda = 0; NUMERIC when it diverged (or left the
 * range of float32: X and Y are trained on as scaled).
 * Cost: about 1.3 n d multiplications a neuron and step, in float32. Same seed, same bits, for
 * any number of threads. Source: [KB15], [DHS11]; start as torch.nn.Linear draws it.
 */
CVXRELU_API cvxrelu_result cvxrelu_descend(const cvxrelu_problem *problem,
                                           const cvxrelu_options *options,
                                           const cvxrelu_descend_options *descend,
                                           cvxrelu_model **model, cvxrelu_report *report);

/* ---- From a gated network to a ReLU network (S16) ---------------------------------------- */

/* How a gated weight u of a pattern becomes v - w = u with v and w in the cone K = {x : Xt x >=
   0} of the pattern, Xt = (2D-I)X. With b = (-Xt u)_+ the pairs are v = u + w, Xt w >= b.    */
typedef enum cvxrelu_decomposition {
    CVXRELU_DECOMPOSE_MIN_NORM = 0,   /* least ||v|| + ||w||, to rounding, with a proof [MSP22
                                         eq. 5, CD-SOCP]                                      */
    CVXRELU_DECOMPOSE_FEASIBLE = 1,   /* the w of least norm (R = 0)                          */
    CVXRELU_DECOMPOSE_APPROXIMATE = 2,/* CD-A: least ||(b - Xt w)_+||^2/2 + rho ||w|| [MSP22 eq.
                                         9], then the nearest w with Xt w >= b                */
    CVXRELU_DECOMPOSE_CLOSED_FORM = 3 /* w = Xt^+ b; X needs full row rank, rows of zeros
                                         aside                                                */
} cvxrelu_decomposition;

/* What a decomposition did. Norms are those of the solver's coordinates. [MSP22 Prop. 3.4]
   says that the closed form at most doubles the norm; it does not, and its w is not feasible as
   printed (X^+ of the rows in I for the columns I of X^+): blow_up is what happens.          */
typedef struct cvxrelu_decompose_report {
    cvxrelu_decomposition kind;
    double rho;                    /* APPROXIMATE: as used                                    */
    size_t groups;                 /* gated weights                                           */
    size_t inside;                 /* of them in K or -K                                      */
    size_t merged;                 /* patterns whose cone has no interior and does not span a
                                      weight, replaced by one that contains them [MSP22 Prop.
                                      3.2]                                                    */
    double merge_change;           /* ||change of the predictions by that|| / ||predictions||:
                                      unlike in [MSP22 Thm 3.3] not zero, since a weight need
                                      not be orthogonal to the rows that change sides         */
    int    steps;                  /* projections; APPROXIMATE: iterations of R-FISTA         */
    double gated_objective;        /* d: of the gated network, recomputed                     */
    double gated_norm, norm;       /* sum ||u||; sum ||v|| + ||w||                            */
    double blow_up, blow_up_most;  /* norm / gated_norm; the largest of a single weight       */
    double norm_gap;               /* MIN_NORM: (norm - proven bound) / norm of the sums      */
    double raw_violation;          /* largest relative violation, and the norm, before the    */
    double raw_norm;               /* pairs were made feasible (matters to APPROXIMATE only)  */
    double mismatch;               /* largest ||v - w - u|| / ||u||                           */
    /* The steps of [MSP22 Thm 3.7] over these patterns. With p the optimal value of the ReLU
       program and without merging, d <= p <= d + excess; for MIN_NORM and FEASIBLE further
       excess <= bound_norm <= bound_kappa.                                                   */
    double excess;                 /* lambda sum (||v|| + ||w|| - ||u||)                      */
    double bound_norm;             /* 2 lambda sum ||w'||, w' the w of least norm             */
    double bound_kappa;            /* 2 lambda sum kappa(Xt_J) ||u||, J the tight rows of w'  */
    double kappa;                  /* largest of these kappa                                  */
} cvxrelu_decompose_report;

/* cvxrelu_decompose - a ReLU network with the predictions of a gated one on the rows that it
 * was trained on: every weight is split in the cone of its pattern.
 *
 *   gated    a gated model of the neuron penalty with all its gates, not NULL; borrowed
 *   X, Y     the data that it was trained on, in the user's coordinates; borrowed
 *   kind     which of the pairs
 *   rho      APPROXIMATE: > 0 finite; 0 = 1e-10; ignored otherwise
 *   options  NULL = defaults; of use: allocator, memory_limit, threads, parallel, blas, clock,
 *            time_limit, and for R-FISTA max_iters (0 = 20000), subgradient_tol (0 = 1e-10,
 *            [MSP22 D.3]) and its switches
 *   relu     out, not NULL: the caller's until cvxrelu_model_free; NULL on failure
 *   report   out, not NULL: of the ReLU network, over the patterns of the gated one: objective,
 *            bound and gap certified, constraint_violation; stop is NONE
 *   about    out, or NULL: what the decomposition did
 *
 * Returns CVXRELU_OK; UNSUPPORTED for a model that is not gated, of another penalty or without
 * its gates, and for the closed form when the rows are dependent; ARGUMENT when X or Y are not
 * those of the model; NUMERIC when a weight cannot be decomposed; STOPPED by the time limit;
 * NONFINITE, LABELS, SIZE, LIMIT, MEMORY as cvxrelu_fit.
 * The result can be `start` of a fit of kind RELU over the same gates, unless patterns merged.
 * Cost: one to some ten projections a weight. Threads: any number of calls. Source: [MSP22 3,
 * 4.2, Algorithm 1].
 */
CVXRELU_API cvxrelu_result cvxrelu_decompose(const cvxrelu_model *gated, cvxrelu_matrix X,
                                             cvxrelu_matrix Y, cvxrelu_decomposition kind,
                                             double rho, const cvxrelu_options *options,
                                             cvxrelu_model **relu, cvxrelu_report *report,
                                             cvxrelu_decompose_report *about);


/* ---- Save, load, verify (S24) ----------------------------------------------------------- */

/* cvxrelu_model_write - serialise a model: versioned, checksummed, the same bytes on every
 * machine; S24 describes them.
 *
 *   model   not NULL
 *   strip   nonzero: leave out the recipe of the patterns, given or searched gates and a saved
 *           proof; a certificate can then be checked over the kept gates only
 *   buffer  out, or NULL to ask for the size
 *   size    in: capacity of buffer in bytes; out: bytes needed, always; not NULL
 *
 * Returns CVXRELU_OK, or CVXRELU_ERR_ARGUMENT for a NULL or a buffer that is too small
 * (untouched; *size says what it needs). Cost: linear, no allocation; about 16 d bytes a neuron
 * and, for given or searched gates, 8 d a gate; 8 n c for a proof. Lock-free.
 */
CVXRELU_API cvxrelu_result cvxrelu_model_write(const cvxrelu_model *model, int strip,
                                               void *buffer, size_t *size);

/* cvxrelu_model_read - make a model of the bytes of cvxrelu_model_write, of this version or
 * earlier ones. It predicts with the same bits as the one written (same build).
 *
 *   buffer     borrowed for the call (it may be a constant in flash); any alignment
 *   size       its bytes, exactly
 *   allocator  of the model; NULL = malloc; copied
 *   model      out, not NULL: the caller's until cvxrelu_model_free; NULL on failure
 *   message    out, or NULL: the sentence when it fails
 *
 * Returns CVXRELU_OK; FORMAT when the bytes begin otherwise; UNSUPPORTED for a later format
 * version; CORRUPT for no bytes, missing or further bytes, a wrong checksum, fields that
 * contradict one another; ARGUMENT; MEMORY. Nothing is believed before the checksum. Cost:
 * linear.
 */
CVXRELU_API cvxrelu_result cvxrelu_model_read(const void *buffer, size_t size,
                                              const cvxrelu_allocator *allocator,
                                              cvxrelu_model **model,
                                              char message[CVXRELU_MESSAGE_SIZE]);

/* cvxrelu_model_save - write a model to a file: to path.tmp, which is then renamed, so that an
 * earlier file stays whole when the disk is full.
 *
 *   model, strip  as for cvxrelu_model_write
 *   path          zero-terminated, not NULL. What is there is replaced by a plain file, also a
 *                 link or a device node, where the directory permits it; path.tmp is
 *                 overwritten
 *   message       out, or NULL: the sentence when it fails
 *
 * Returns CVXRELU_OK, ARGUMENT, MEMORY (for the name, from the model's allocator), IO, or
 * UNSUPPORTED under CVXRELU_NO_STDIO.
 * The file is closed but not synced to the disk. Windows has no renaming over a file: there the
 * earlier one is removed first. Two calls must not save to one path at once.
 */
CVXRELU_API cvxrelu_result cvxrelu_model_save(const cvxrelu_model *model, int strip,
                                              const char *path,
                                              char message[CVXRELU_MESSAGE_SIZE]);

/* cvxrelu_model_load - cvxrelu_model_read of a whole file.
 *
 *   path                       zero-terminated, not NULL; a file whose length can be found
 *   allocator, model, message  as for cvxrelu_model_read; the file's bytes are held beside the
 *                              model while it is read
 *
 * Returns what cvxrelu_model_read does; IO; UNSUPPORTED under CVXRELU_NO_STDIO.
 */
CVXRELU_API cvxrelu_result cvxrelu_model_load(const char *path,
                                              const cvxrelu_allocator *allocator,
                                              cvxrelu_model **model,
                                              char message[CVXRELU_MESSAGE_SIZE]);

/* cvxrelu_verify - recompute objective, dual bound and gap of a model from the definition, by
 * plain float64 loops that share nothing with the solvers, over the same patterns (made again
 * from the recipe; the kept gates of a stripped model). ReLU: the objective is that of the
 * network itself, the constraints are checked, and the dual norms are least-squares bounds
 * that are valid however well they were solved [LH74].
 *
 *   model    not NULL
 *   X, Y     the data it was trained on, in the user's coordinates; borrowed. Other data of the
 *            same number of columns, outputs and classes make another problem, scaled anew,
 *            with patterns made anew: the network's objective and a true bound for that one
 *   lambda   finite; < 0: the model's
 *   options  NULL = defaults; allocator, memory_limit, threads, parallel and clock are used
 *   report   out, not NULL: stop is NONE; solver, tol and what only solvers count are 0;
 *            patterns includes those of neurons that the recipe no longer gives, and those of
 *            ReLU neurons that lie outside of their pattern's cone by more than 1e-9, as
 *            constraint_violation says; train_error is that on X, Y; seconds is the whole call
 *
 * Returns CVXRELU_OK; ARGUMENT, NONFINITE, LABELS, PATTERNS, SIZE, LIMIT, MEMORY as
 * cvxrelu_fit; UNSUPPORTED when the model lacks its given gates, and for ReLU with another
 * penalty than NEURON; NUMERIC when the objective overflows. On an error the report has the
 * message only.
 * For CVXRELU_PENALTY_L2 the dual point is the best multiple of the residual: the bound may be
 * above the fit's.
 * Cost: 4 n d c flops a pattern; ReLU: for groups whose gradient exceeds lambda, and for
 * lambda_max, a non-negative least squares more, about 2 n d flops for each of its steps.
 * Memory 8 n (dp + 3 c), the patterns, m n / 8 and 512 c d bytes; ReLU: 16 d (d + 2) bytes a
 * thread more.
 * Threads: any number at once. Source: the Fenchel dual of [MSP22 eq. 3], as S24 states it.
 */
CVXRELU_API cvxrelu_result cvxrelu_verify(const cvxrelu_model *model, cvxrelu_matrix X,
                                          cvxrelu_matrix Y, double lambda,
                                          const cvxrelu_options *options,
                                          cvxrelu_report *report);

#ifdef __cplusplus
}
#endif

/* ==== END OF THE INTERFACE =============================================================== */
#endif /* CVXRELU_H */
#endif

/* ==== IMPLEMENTATION =====================================================================
   Typed sections exist in float64 and float32 from one text: the file includes itself with
   CVXR_TYPED set to a section's number and CVXR_F32 to 0 or 1; then everything but that
   section's typed region is skipped, CVXR_REAL is the element type and CVXR_T(name) adds the
   suffix _f64 or _f32. CVXRELU_FILE names the file, should it have been renamed.           */
#if defined(CVXRELU_IMPLEMENTATION) && (!defined(CVXRELU_IMPLEMENTED) || defined(CVXR_TYPED))
#define CVXRELU_IMPLEMENTED

#ifndef CVXRELU_FILE
#define CVXRELU_FILE "cvxrelu.h"
#endif

#if defined(CVXR_TYPED)
#undef CVXR_REAL
#undef CVXR_T
#if CVXR_F32
#define CVXR_REAL    float
#define CVXR_T(name) name##_f32
#else
#define CVXR_REAL    double
#define CVXR_T(name) name##_f64
#endif
#endif

#if !defined(CVXR_TYPED)
/* ==== S01 PLATFORM =======================================================================
   What differs between compilers: headers, restrict, alignment, vector types, bit counting,
   the clock. Non-finite values are found by their bits, so that -Ofast cannot fold the check
   away. Uses nothing. Used by all. Tests: tests/test_s01_platform.c. */

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#ifndef CVXRELU_NO_MALLOC
#include <stdlib.h>
#endif
#ifndef CVXRELU_NO_CLOCK
#include <time.h>
#endif
#ifndef CVXRELU_NO_STDIO
#include <stdio.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

#ifndef CVXRELU_ASSERT
#define CVXRELU_ASSERT(condition) ((void)0)
#endif

#if defined(__GNUC__) || defined(__clang__)
#define CVXR_RESTRICT __restrict__
#define CVXR_UNUSED   __attribute__((unused))
#elif defined(_MSC_VER)
#define CVXR_RESTRICT __restrict
#define CVXR_UNUSED
#else
#define CVXR_RESTRICT
#define CVXR_UNUSED
#endif

/* Every array of ours starts on a cache line. */
#define CVXR_ALIGN 64

/* Rows of X, weights and gradients are padded with zeros to a multiple of this many
   elements. */
#define CVXR_PAD 8

static size_t cvxr_pad(size_t d) { return (d + CVXR_PAD - 1) / CVXR_PAD * CVXR_PAD; }
static size_t cvxr_min_z(size_t a, size_t b) { return a < b ? a : b; }
static size_t cvxr_max_z(size_t a, size_t b) { return a > b ? a : b; }
static double cvxr_min(double a, double b) { return a < b ? a : b; }
static double cvxr_max(double a, double b) { return a > b ? a : b; }

static int cvxr_finite(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits >> 52 & 0x7ff) != 0x7ff;
}

/* The default clock: the best one that the language mode offers without a feature macro.
   Strict C99 has only clock(), the processor time of the process, which is what one thread's
   wait costs. */
#ifdef CVXRELU_NO_CLOCK
#define CVXR_HAS_CLOCK 0
static double cvxr_clock_default(void *user) {
    (void)user;
    return 0.0;
}
#else
#define CVXR_HAS_CLOCK 1
static double cvxr_clock_default(void *user) {
    (void)user;
#if defined(_OPENMP)
    return omp_get_wtime();
#elif defined(TIME_UTC)
    {
        struct timespec now;
        timespec_get(&now, TIME_UTC);
        return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    }
#else
    return (double)clock() / (double)CLOCKS_PER_SEC;
#endif
}
#endif

/* ---- The parallel for. A team runs `count` tasks; the body must write disjoint memory, and
   what it writes must not depend on how the work was cut. */
typedef struct cvxr_team {
    cvxrelu_parallel hook;
    int threads; /* >= 1 */
} cvxr_team;

static void cvxr_team_run(const cvxr_team *team, size_t count,
                          void (*body)(void *arg, size_t i), void *arg) {
    size_t i;
    if (team->threads > 1 && count > 1 && team->hook.parallel_for) {
        team->hook.parallel_for(team->hook.context, count, body, arg);
        return;
    }
#ifdef _OPENMP
    if (team->threads > 1 && count > 1) {
        long k, last = (long)count;
#pragma omp parallel for schedule(dynamic, 1) num_threads(team->threads)
        for (k = 0; k < last; k++) body(arg, (size_t)k);
        return;
    }
#endif
    for (i = 0; i < count; i++) body(arg, i);
}

/* ==== S02 MEMORY =========================================================================
   Size products with a check, the counting layer over the caller's allocator (now, peak,
   limit), and the arena. A failed allocation is remembered in the cvxr_mem, so that a chain
   of them is tested once. Uses S01. Used by all. Tests: tests/test_s02_memory.c. */

typedef struct cvxr_mem {
    cvxrelu_allocator user;  /* both NULL = malloc and free */
    size_t now, peak, limit; /* bytes; limit 0 = none */
    size_t wanted;           /* bytes held had the failed request been granted */
    cvxrelu_result failed;   /* CVXRELU_OK, or why the first refused request was refused */
} cvxr_mem;

static int cvxr_size_mul(size_t a, size_t b, size_t *out) {
    if (b != 0 && a > SIZE_MAX / b) return 0;
    *out = a * b;
    return 1;
}

/* Bytes of an array as the counting layer sees it: rounded up to whole cache lines; 0 if it
   overflows. */
static size_t cvxr_bytes(size_t count, size_t size) {
    size_t bytes;
    if (!cvxr_size_mul(count ? count : 1, size, &bytes)) return 0;
    if (bytes > SIZE_MAX - 2 * CVXR_ALIGN) return 0;
    return (bytes + CVXR_ALIGN - 1) / CVXR_ALIGN * CVXR_ALIGN;
}

static void *cvxr_default_allocate(size_t size) {
#ifdef CVXRELU_NO_MALLOC
    (void)size;
    return NULL;
#else
    unsigned char *raw = (unsigned char *)malloc(size + CVXR_ALIGN), *aligned;
    if (raw == NULL) return NULL;
    aligned = raw + (CVXR_ALIGN - (size_t)((uintptr_t)raw % CVXR_ALIGN));
    aligned[-1] = (unsigned char)(aligned - raw);
    return aligned;
#endif
}

static void cvxr_default_release(void *memory) {
#ifdef CVXRELU_NO_MALLOC
    (void)memory;
#else
    unsigned char *aligned = (unsigned char *)memory;
    free(aligned - aligned[-1]);
#endif
}

static void cvxr_mem_init(cvxr_mem *mem, const cvxrelu_allocator *user, size_t limit) {
    memset(mem, 0, sizeof *mem);
    if (user != NULL) mem->user = *user;
    mem->limit = limit;
}

/* count * size bytes on a cache line, not cleared; NULL when refused (the reason stays in
   mem). */
static void *cvxr_alloc(cvxr_mem *mem, size_t count, size_t size) {
    size_t bytes = cvxr_bytes(count, size);
    void *memory;
    if (mem->failed) return NULL;
    if (bytes == 0 || mem->now > SIZE_MAX - bytes) {
        mem->failed = CVXRELU_ERR_SIZE;
        return NULL;
    }
    mem->wanted = mem->now + bytes;
    if (mem->limit && mem->wanted > mem->limit) {
        mem->failed = CVXRELU_ERR_LIMIT;
        return NULL;
    }
    memory = mem->user.allocate ? mem->user.allocate(mem->user.context, bytes, CVXR_ALIGN)
                                : cvxr_default_allocate(bytes);
    if (memory == NULL) {
        mem->failed = CVXRELU_ERR_MEMORY;
        return NULL;
    }
    mem->now = mem->wanted;
    if (mem->now > mem->peak) mem->peak = mem->now;
    return memory;
}

/* The same for memory that the caller can do without: a refusal leaves no trace. */
static void *cvxr_alloc_try(cvxr_mem *mem, size_t count, size_t size) {
    const cvxrelu_result failed = mem->failed;
    void *memory = cvxr_alloc(mem, count, size);
    mem->failed = failed;
    return memory;
}

static void *cvxr_alloc_zero(cvxr_mem *mem, size_t count, size_t size) {
    void *memory = cvxr_alloc(mem, count, size);
    if (memory != NULL) memset(memory, 0, cvxr_bytes(count, size));
    return memory;
}

/* The same count and size as at the allocation. NULL is accepted. */
static void cvxr_release(cvxr_mem *mem, void *memory, size_t count, size_t size) {
    size_t bytes = cvxr_bytes(count, size);
    if (memory == NULL) return;
    mem->now -= bytes;
    if (mem->user.release) mem->user.release(mem->user.context, memory, bytes);
    else cvxr_default_release(memory);
}

/* ---- Arena: address-ordered free list inside the caller's buffer. */

typedef struct cvxr_hole {
    struct cvxr_hole *next;
    size_t size;
} cvxr_hole;

static void *cvxr_arena_allocate(void *context, size_t size, size_t align) {
    cvxrelu_arena *arena = (cvxrelu_arena *)context;
    cvxr_hole *hole = (cvxr_hole *)arena->free_list, *previous = NULL, *rest;
    CVXRELU_ASSERT(align <= CVXR_ALIGN);
    (void)align;
    size = (size + CVXR_ALIGN - 1) / CVXR_ALIGN * CVXR_ALIGN;
    while (hole != NULL && hole->size < size) previous = hole, hole = hole->next;
    if (hole == NULL || size == 0) return NULL;
    rest = hole->next;
    if (hole->size > size) {
        rest = (cvxr_hole *)(void *)((unsigned char *)hole + size);
        rest->next = hole->next;
        rest->size = hole->size - size;
    }
    if (previous) previous->next = rest;
    else arena->free_list = rest;
    arena->used += size;
    {
        size_t end = (size_t)((unsigned char *)hole - (unsigned char *)arena->base) + size;
        if (end > arena->peak) arena->peak = end;
    }
    return hole;
}

static void cvxr_arena_release(void *context, void *memory, size_t size) {
    cvxrelu_arena *arena = (cvxrelu_arena *)context;
    cvxr_hole *hole = (cvxr_hole *)memory, *next = (cvxr_hole *)arena->free_list,
              *previous = NULL;
    if (memory == NULL) return;
    size = (size + CVXR_ALIGN - 1) / CVXR_ALIGN * CVXR_ALIGN;
    while (next != NULL && (uintptr_t)next < (uintptr_t)hole)
        previous = next, next = next->next;
    hole->size = size;
    hole->next = next;
    arena->used -= size;
    if (next && (unsigned char *)hole + size == (unsigned char *)next) {
        hole->size += next->size;
        hole->next = next->next;
    }
    if (previous && (unsigned char *)previous + previous->size == (unsigned char *)hole) {
        previous->size += hole->size;
        previous->next = hole->next;
    } else if (previous) previous->next = hole;
    else arena->free_list = hole;
}

CVXRELU_API cvxrelu_allocator cvxrelu_arena_init(cvxrelu_arena *arena, void *buffer,
                                                 size_t size) {
    cvxrelu_allocator allocator;
    size_t skip = (CVXR_ALIGN - (size_t)((uintptr_t)buffer % CVXR_ALIGN)) % CVXR_ALIGN;
    memset(arena, 0, sizeof *arena);
    size = buffer == NULL || size < skip ? 0 : (size - skip) / CVXR_ALIGN * CVXR_ALIGN;
    arena->base = buffer == NULL ? NULL : (unsigned char *)buffer + skip;
    arena->size = size;
    if (size) {
        cvxr_hole *hole = (cvxr_hole *)arena->base;
        hole->next = NULL;
        hole->size = size;
        arena->free_list = hole;
    }
    allocator.context = arena;
    allocator.allocate = cvxr_arena_allocate;
    allocator.release = cvxr_arena_release;
    return allocator;
}

/* ==== S03 RESULTS ========================================================================
   Result texts and the one-sentence messages, written by a small formatter of our own (no
   stdio, no locale). Uses S02. Used by all. Tests: tests/test_s03_results.c. */

CVXRELU_API const char *cvxrelu_result_text(cvxrelu_result code) {
#define CVXR_TEXT(name, text) text,
    static const char *const texts[] = { CVXRELU_RESULT_LIST(CVXR_TEXT) };
#undef CVXR_TEXT
    return (int)code >= 0 && code < CVXRELU_RESULT_COUNT ? texts[code] : "unknown result code";
}

typedef struct cvxr_text {
    char *at, *end;
} cvxr_text; /* one byte before end is kept for the 0 */

static void cvxr_put_char(cvxr_text *text, char c) {
    if (text->at + 1 < text->end) *text->at++ = c;
}

static void cvxr_put_string(cvxr_text *text, const char *s) {
    while (*s) cvxr_put_char(text, *s++);
}

static void cvxr_put_size(cvxr_text *text, size_t value) {
    char digits[24];
    int count = 0;
    do digits[count++] = (char)('0' + (int)(value % 10));
    while ((value /= 10) != 0);
    while (count) cvxr_put_char(text, digits[--count]);
}

static void cvxr_put_int(cvxr_text *text, int value) {
    if (value < 0) cvxr_put_char(text, '-');
    cvxr_put_size(text, value < 0 ? (size_t)0 - (size_t)value : (size_t)value);
}

/* Six significant digits, plain or with an exponent, as %g would. */
static void cvxr_put_double(cvxr_text *text, double value) {
    int exponent = 0, digits = 6, whole;
    double scaled;
    uint64_t mantissa;
    char figures[8];
    if (!cvxr_finite(value)) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        if (bits << 12) cvxr_put_string(text, "NaN");
        else cvxr_put_string(text, bits >> 63 ? "-infinity" : "infinity");
        return;
    }
    if (value < 0) cvxr_put_char(text, '-'), value = -value;
    if (value == 0) {
        cvxr_put_char(text, '0');
        return;
    }
    exponent = (int)floor(log10(value));
    scaled = exponent > 290    ? value / 1e100 / pow(10.0, exponent - 105)
             : exponent < -290 ? value * 1e100 * pow(10.0, -95 - exponent)
                               : value * pow(10.0, 5 - exponent);
    mantissa = (uint64_t)(scaled + 0.5);
    if (mantissa >= 1000000) mantissa /= 10, exponent++;
    if (mantissa < 100000) mantissa *= 10, exponent--;
    for (whole = 5; whole >= 0; whole--, mantissa /= 10)
        figures[whole] = (char)('0' + (int)(mantissa % 10));
    while (digits > 1 && figures[digits - 1] == '0') digits--;
    whole = exponent >= -4 && exponent < 6 ? exponent : 0;
    if (whole < 0) cvxr_put_string(text, "0.");
    for (; whole < -1; whole++) cvxr_put_char(text, '0');
    if (whole < 0) whole = 9;
    {
        int i;
        for (i = 0; i < digits || (whole < 9 && i <= whole); i++) {
            if (i == whole + 1 && whole < 9) cvxr_put_char(text, '.');
            cvxr_put_char(text, i < digits ? figures[i] : '0');
        }
    }
    if (exponent < -4 || exponent >= 6) cvxr_put_char(text, 'e'), cvxr_put_int(text, exponent);
}

/* Format into message[CVXRELU_MESSAGE_SIZE]: %s string, %d int, %z size_t, %g double, %%
   percent. Returns code. */
static cvxrelu_result cvxr_fail(char *message, cvxrelu_result code, const char *format, ...) {
    cvxr_text text;
    va_list args;
    if (message == NULL) return code;
    text.at = message;
    text.end = message + CVXRELU_MESSAGE_SIZE;
    va_start(args, format);
    for (; *format; format++) {
        if (*format != '%') {
            cvxr_put_char(&text, *format);
            continue;
        }
        switch (*++format) {
        case 's': cvxr_put_string(&text, va_arg(args, const char *)); break;
        case 'd': cvxr_put_int(&text, va_arg(args, int)); break;
        case 'z': cvxr_put_size(&text, va_arg(args, size_t)); break;
        case 'g': cvxr_put_double(&text, va_arg(args, double)); break;
        default: cvxr_put_char(&text, '%'); break;
        }
    }
    va_end(args);
    *text.at = 0;
    return code;
}

/* The sentence for a refused allocation; CVXRELU_OK when none was refused. */
static cvxrelu_result cvxr_mem_result(const cvxr_mem *mem, char *message) {
    if (mem->failed == CVXRELU_ERR_LIMIT)
        return cvxr_fail(message, mem->failed,
                         "memory_limit is %z bytes, this call needs at least %z", mem->limit,
                         mem->wanted);
    if (mem->failed)
        return cvxr_fail(message, mem->failed, "%s (at %z bytes held)",
                         cvxrelu_result_text(mem->failed), mem->now);
    return CVXRELU_OK;
}

/* ==== S04 RANDOM =========================================================================
   xoshiro256** (Blackman and Vigna 2018) seeded by splitmix64; normal deviates by the polar
   method of Marsaglia. Integer arithmetic fixes the sequence; a test pins it. Uses S01. Used
   by S07, S22. Tests: tests/test_s04_random.c. */

CVXRELU_API void cvxrelu_random_init(cvxrelu_random *random, uint64_t seed) {
    int i;
    memset(random, 0, sizeof *random);
    for (i = 0; i < 4; i++) {
        uint64_t z = (seed += 0x9e3779b97f4a7c15u);
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        random->state[i] = z ^ z >> 31;
    }
}

static uint64_t cvxr_rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

CVXRELU_API uint64_t cvxrelu_random_next(cvxrelu_random *random) {
    uint64_t *s = random->state, result = cvxr_rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = cvxr_rotate(s[3], 45);
    return result;
}

CVXRELU_API uint64_t cvxrelu_random_below(cvxrelu_random *random, uint64_t bound) {
    uint64_t reject, value;
    if (bound < 2) return 0;
    reject = (0 - bound) % bound; /* 2^64 mod bound values would be drawn once too often */
    do value = cvxrelu_random_next(random);
    while (value < reject);
    return value % bound;
}

CVXRELU_API double cvxrelu_random_uniform(cvxrelu_random *random) {
    return (double)(cvxrelu_random_next(random) >> 11) * (1.0 / 9007199254740992.0);
}

CVXRELU_API double cvxrelu_random_normal(cvxrelu_random *random) {
    double u, v, s;
    if (random->has_spare) {
        random->has_spare = 0;
        return random->spare;
    }
    do {
        u = 2.0 * cvxrelu_random_uniform(random) - 1.0;
        v = 2.0 * cvxrelu_random_uniform(random) - 1.0;
        s = u * u + v * v;
    } while (s >= 1.0 || s == 0.0);
    s = sqrt(-2.0 * log(s) / s);
    random->spare = v * s;
    random->has_spare = 1;
    return u * s;
}

/* ==== S05 DENSE ALGEBRA, BLAS HOOK =======================================================
   Row-major matrices; ld is the row stride in elements. Products, Cholesky and triangular
   solves in both precisions; QR, symmetric eigenvalues and SVD in float64. A product is cut
   into panels of B that stay in the second cache level and tiles of C that stay in registers
   [GV08]; Cholesky and the triangular solves are recursive, so that nearly all of their work
   is that product. The kernels exist per instruction set from one text and are chosen at each
   call; every element of a result is one fixed chain of operations, however the work was cut
   or padded. A non-NULL entry of the caller's BLAS table takes the place of the built-in
   operation, unless a size exceeds 2^31 - 1 (a table with 32-bit integers never sees one).
   Uses S01. Used by S06-S24. Tests: tests/test_s05_dense.c.
   Sources: [GV08] Goto, van de Geijn 2008; Golub, Van Loan, Matrix Computations, 4, 5, 8. */

typedef struct cvxr_la {
    const cvxrelu_blas *blas; /* may be NULL */
    cvxr_team team;
    void *work;   /* cvxr_la_work_bytes(team.threads) bytes on a cache line */
    int portable; /* nonzero: the baseline kernels only */
} cvxr_la;

/* A slice of the work space: a packed panel of B (CVXR_KC_BYTES of every one of CVXR_NC
   columns; Cholesky's and the solves' last blocks use its place), a packed group of strips of A
   (a cache line wide), one tile of C. CVXR_NC is a multiple of every tile width. */
#ifdef CVXRELU_SMALL
#define CVXR_KC_BYTES ((size_t)256)
#else
#define CVXR_KC_BYTES ((size_t)2048)
#endif
#define CVXR_NC       ((size_t)192)
#define CVXR_STRIP_AT (CVXR_KC_BYTES * CVXR_NC)
#define CVXR_TILE_AT  (CVXR_STRIP_AT + CVXR_KC_BYTES * 16)
#define CVXR_SLICE    (CVXR_TILE_AT + (size_t)2048)

CVXR_UNUSED static size_t cvxr_la_work_bytes(int threads) {
    return CVXR_SLICE * (size_t)(threads < 1 ? 1 : threads);
}

/* Task i of a team owns slice i of the work space. */
static void *cvxr_slice(void *work, size_t i) { return (unsigned char *)work + CVXR_SLICE * i; }

/* The number of tasks worth starting for so many multiplications, each task with `unit` or
   more. */
static size_t cvxr_task_count(const cvxr_la *la, double work, double unit) {
    double most = work / unit;
    size_t threads = la->team.threads > 1 ? (size_t)la->team.threads : 1;
    return most >= (double)threads ? threads : most < 2 ? 1 : (size_t)most;
}

/* First index of share i of `tasks`, on a multiple of `unit`; the last share ends at n. */
static size_t cvxr_share(size_t n, size_t tasks, size_t i, size_t unit) {
    if (i >= tasks) return n;
    return cvxr_min_z(n, (n / unit + 1) * i / tasks * unit);
}

/* The same for a triangle: row i*i/tasks^2 of the area. */
static size_t cvxr_share_lower(size_t n, size_t tasks, size_t i, size_t unit) {
    if (i >= tasks) return n;
    return cvxr_min_z(n, (size_t)((double)n * sqrt((double)i / (double)tasks)) / unit * unit);
}

/* Sizes that every BLAS can count. */
static int cvxr_hookable(size_t a, size_t b, size_t c, size_t d, size_t e) {
    size_t most = 0x7fffffff;
    return a <= most && b <= most && c <= most && d <= most && e <= most;
}

/* A factor of a product is read in place when its packed copy would be used by few: B by at
   most this many rows, or with at most so many elements; a transposed A by at most so many
   tiles. Rows further apart than CVXR_CLOSE share few sets of the first cache level: then B is
   packed, and A but for two tiles. */
#define CVXR_DIRECT_ROWS  16
#define CVXR_DIRECT_SIZE  4096
#define CVXR_DIRECT_TILES 5
#define CVXR_CLOSE        192

/* Recursive factors and solves stop at this order; above it they cut at a multiple of 32. */
#define CVXR_BASE_ORDER ((size_t)64)
static size_t cvxr_half_order(size_t n) {
    return (n / 2 + 31) / 32 * 32;
}

/* Instruction sets beyond the baseline. GCC for Windows does not align the stack for their
   registers (its bug 54412). CVXRELU_NO_SIMD leaves only plain C. */
#if defined(__x86_64__) && !defined(_WIN32) && !defined(CVXRELU_NO_SIMD) &&                    \
    (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 6))
#define CVXR_DISPATCH 1
#include <immintrin.h>
static int cvxr_la_isa(const cvxr_la *la) {
    if (la->portable) return 0;
    if (__builtin_cpu_supports("avx512f")) return 2;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 1 : 0;
}
#else
#define CVXR_DISPATCH 0
#endif

/* What the baseline is made of: 3 NEON, 2 vectors of GCC and clang as wide as the compiler was
   told the machine has, 1 plain C. */
#if defined(CVXRELU_NO_SIMD)
#define CVXR_BASE 1
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
#define CVXR_BASE 3
#include <arm_neon.h>
#elif defined(__SSE2__) && (defined(__GNUC__) || defined(__clang__))
#define CVXR_BASE 2
#if defined(__AVX512F__) && !defined(_WIN32)
#define CVXR_BASE_BYTES 64
#elif defined(__AVX__) && !defined(_WIN32)
#define CVXR_BASE_BYTES 32
#else
#define CVXR_BASE_BYTES 16
#endif
#else
#define CVXR_BASE 1
#endif

/* Squares are transposed in registers. */
#if CVXR_BASE == 2
#include <emmintrin.h>
#define CVXR_SQUARES 1
#else
#define CVXR_SQUARES 0
#endif

#if defined(__GNUC__) || defined(__clang__)
#define CVXR_PREFETCH(p) __builtin_prefetch(p)
#else
#define CVXR_PREFETCH(p) ((void)(p))
#endif

/* The kernels, once per instruction set and precision. */
#define CVXR_TYPED 50
#define CVXR_ISA   0
#define CVXR_F32   0
#include CVXRELU_FILE
#undef CVXR_F32
#ifndef CVXRELU_NO_FLOAT32
#define CVXR_F32 1
#include CVXRELU_FILE
#undef CVXR_F32
#endif
#undef CVXR_ISA
#if CVXR_DISPATCH
#define CVXR_ISA 1
#define CVXR_F32 0
#include CVXRELU_FILE
#undef CVXR_F32
#ifndef CVXRELU_NO_FLOAT32
#define CVXR_F32 1
#include CVXRELU_FILE
#undef CVXR_F32
#endif
#undef CVXR_ISA
#define CVXR_ISA 2
#define CVXR_F32 0
#include CVXRELU_FILE
#undef CVXR_F32
#ifndef CVXRELU_NO_FLOAT32
#define CVXR_F32 1
#include CVXRELU_FILE
#undef CVXR_F32
#endif
#undef CVXR_ISA
#endif
#undef CVXR_TYPED

/* Everything built on the kernels. */
#define CVXR_TYPED 5
#define CVXR_F32   0
#include CVXRELU_FILE
#undef CVXR_F32
#ifndef CVXRELU_NO_FLOAT32
#define CVXR_F32 1
#include CVXRELU_FILE
#undef CVXR_F32
#endif
#undef CVXR_TYPED
#endif

/* ---- Kernels: the region that is compiled once per instruction set (CVXR_ISA) and
   precision. */
#if defined(CVXR_TYPED) && CVXR_TYPED == 50

/* The vector layer: CVXR_V is the type, CVXR_VN its elements; PART loads and stores touch only
   the first r < CVXR_VN elements and load zeros elsewhere. CVXR_FMA(a, b, c) = a b + c. */
#if CVXR_ISA == 2
#define CVXR_K(name) CVXR_T(name##_avx512)
#define CVXR_TARGET  __attribute__((target("avx512f")))
#define CVXR_MR      8
#if CVXR_F32
#define CVXR_V                   __m512
#define CVXR_VN                  16
#define CVXR_LOAD(p)             _mm512_loadu_ps(p)
#define CVXR_STORE(p, v)         _mm512_storeu_ps(p, v)
#define CVXR_SET(x)              _mm512_set1_ps(x)
#define CVXR_FMA(a, b, c)        _mm512_fmadd_ps(a, b, c)
#define CVXR_MUL(a, b)           _mm512_mul_ps(a, b)
#define CVXR_MASK(r)             ((__mmask16)((1u << (r)) - 1u))
#define CVXR_LOAD_PART(p, r)     _mm512_maskz_loadu_ps(CVXR_MASK(r), p)
#define CVXR_STORE_PART(p, r, v) _mm512_mask_storeu_ps(p, CVXR_MASK(r), v)
#else
#define CVXR_V                   __m512d
#define CVXR_VN                  8
#define CVXR_LOAD(p)             _mm512_loadu_pd(p)
#define CVXR_STORE(p, v)         _mm512_storeu_pd(p, v)
#define CVXR_SET(x)              _mm512_set1_pd(x)
#define CVXR_FMA(a, b, c)        _mm512_fmadd_pd(a, b, c)
#define CVXR_MUL(a, b)           _mm512_mul_pd(a, b)
#define CVXR_MASK(r)             ((__mmask8)((1u << (r)) - 1u))
#define CVXR_LOAD_PART(p, r)     _mm512_maskz_loadu_pd(CVXR_MASK(r), p)
#define CVXR_STORE_PART(p, r, v) _mm512_mask_storeu_pd(p, CVXR_MASK(r), v)
#endif
#elif CVXR_ISA == 1
#define CVXR_K(name) CVXR_T(name##_avx2)
#define CVXR_TARGET  __attribute__((target("avx2,fma")))
#define CVXR_MR      4
#if CVXR_F32
#define CVXR_V            __m256
#define CVXR_VN           8
#define CVXR_LOAD(p)      _mm256_loadu_ps(p)
#define CVXR_STORE(p, v)  _mm256_storeu_ps(p, v)
#define CVXR_SET(x)       _mm256_set1_ps(x)
#define CVXR_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define CVXR_MUL(a, b)    _mm256_mul_ps(a, b)
#define CVXR_MASK(r)                                                                           \
    _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(r)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
#define CVXR_LOAD_PART(p, r)     _mm256_maskload_ps(p, CVXR_MASK(r))
#define CVXR_STORE_PART(p, r, v) _mm256_maskstore_ps(p, CVXR_MASK(r), v)
#else
#define CVXR_V            __m256d
#define CVXR_VN           4
#define CVXR_LOAD(p)      _mm256_loadu_pd(p)
#define CVXR_STORE(p, v)  _mm256_storeu_pd(p, v)
#define CVXR_SET(x)       _mm256_set1_pd(x)
#define CVXR_FMA(a, b, c) _mm256_fmadd_pd(a, b, c)
#define CVXR_MUL(a, b)    _mm256_mul_pd(a, b)
#define CVXR_MASK(r)                                                                           \
    _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)(r)), _mm256_setr_epi64x(0, 1, 2, 3))
#define CVXR_LOAD_PART(p, r)     _mm256_maskload_pd(p, CVXR_MASK(r))
#define CVXR_STORE_PART(p, r, v) _mm256_maskstore_pd(p, CVXR_MASK(r), v)
#endif
#else
#define CVXR_K(name) CVXR_T(name##_base)
#define CVXR_TARGET
#if CVXR_BASE == 3
#define CVXR_MR 8
#if CVXR_F32
#define CVXR_V            float32x4_t
#define CVXR_VN           4
#define CVXR_LOAD(p)      vld1q_f32(p)
#define CVXR_STORE(p, v)  vst1q_f32(p, v)
#define CVXR_SET(x)       vdupq_n_f32(x)
#define CVXR_FMA(a, b, c) vfmaq_f32(c, a, b)
#define CVXR_MUL(a, b)    vmulq_f32(a, b)
#else
#define CVXR_V            float64x2_t
#define CVXR_VN           2
#define CVXR_LOAD(p)      vld1q_f64(p)
#define CVXR_STORE(p, v)  vst1q_f64(p, v)
#define CVXR_SET(x)       vdupq_n_f64(x)
#define CVXR_FMA(a, b, c) vfmaq_f64(c, a, b)
#define CVXR_MUL(a, b)    vmulq_f64(a, b)
#endif
#elif CVXR_BASE == 2
#if CVXR_BASE_BYTES == 64
#define CVXR_MR 8
#else
#define CVXR_MR 4
#endif
typedef CVXR_REAL CVXR_T(cvxr_vector) __attribute__((vector_size(CVXR_BASE_BYTES)));
typedef CVXR_REAL CVXR_T(cvxr_loose)
    __attribute__((vector_size(CVXR_BASE_BYTES), aligned(sizeof(CVXR_REAL)), may_alias));
static CVXR_T(cvxr_vector) CVXR_T(cvxr_splat)(CVXR_REAL x) {
    CVXR_T(cvxr_vector) zero = { 0 };
    return x - zero;
}
#define CVXR_V            CVXR_T(cvxr_vector)
#define CVXR_VN           (CVXR_BASE_BYTES / (CVXR_F32 ? 4 : 8))
#define CVXR_LOAD(p)      (*(const CVXR_T(cvxr_loose) *)(p))
#define CVXR_STORE(p, v)  (*(CVXR_T(cvxr_loose) *)(p) = (v))
#define CVXR_SET(x)       CVXR_T(cvxr_splat)(x)
#define CVXR_FMA(a, b, c) ((a) * (b) + (c))
#define CVXR_MUL(a, b)    ((a) * (b))
#else
#define CVXR_MR           4
#define CVXR_V            CVXR_REAL
#define CVXR_VN           1
#define CVXR_LOAD(p)      (*(p))
#define CVXR_STORE(p, v)  (*(p) = (v))
#define CVXR_SET(x)       (x)
#define CVXR_FMA(a, b, c) ((a) * (b) + (c))
#define CVXR_MUL(a, b)    ((a) * (b))
#endif
#endif
/* Keeps a loaded vector in its register: GCC 12 tuned for Zen 3 loads it again in each of the
   instructions that use it, and two loads a cycle are then fewer than two products. */
#if CVXR_ISA > 0
#define CVXR_HOLD(v) __asm__("" : "+v"(v))
#else
#define CVXR_HOLD(v) ((void)0)
#endif
/* A tile of C: CVXR_MR rows of one to CVXR_NR / CVXR_UNIT units. */
#if CVXR_ISA == 0 && CVXR_BASE == 1
#define CVXR_UNIT 4
#define CVXR_NR   8
#else
#define CVXR_UNIT CVXR_VN
#define CVXR_NR   (3 * CVXR_VN)
#endif

/* Rows of a tile, written out (the last resort of style, but loops over arrays of vectors do
   not reach the registers in every compiler). */
#if CVXR_MR == 8
#define CVXR_ROWS(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7)
#else
#define CVXR_ROWS(M) M(0) M(1) M(2) M(3)
#endif

#if CVXR_ISA == 0
/* One instruction set's kernels. */
typedef struct CVXR_T(cvxr_kernels) {
    size_t mr, unit, nr;
    /* C (mr rows, w units) = alpha A B + beta C; a's element (i, p) at i ra + p ca, b's rows sb
       apart, C unread if beta = 0 */
    void (*tile)(size_t k, const CVXR_REAL *a, size_t ra, size_t ca, const CVXR_REAL *b,
                 size_t sb, size_t w, CVXR_REAL alpha, CVXR_REAL beta, CVXR_REAL *c,
                 size_t ldc);
    /* to[j ldt + i] = from[i ldf + j], i < m, j < n */
    void (*turn)(size_t m, size_t n, const CVXR_REAL *from, size_t ldf, CVXR_REAL *to,
                 size_t ldt);
    /* C (mr rows, w units) = T^{-1} C; T's element (i, j) at i rt + j ct, the lower triangle,
       or with back the upper one */
    void (*triangle)(int back, const CVXR_REAL *t, size_t rt, size_t ct, size_t w, CVXR_REAL *c,
                     size_t ldc);
    /* packed[p wide + j] = b[p ldb + j], wide a multiple of the unit */
    void (*pack)(size_t k, size_t wide, const CVXR_REAL *b, size_t ldb, CVXR_REAL *packed);
    /* strip[s k mr + p mr + i] = a[p lda + s mr + i], i < mr, s < count */
    void (*strips)(size_t k, size_t count, const CVXR_REAL *a, size_t lda, CVXR_REAL *strip);
    /* out[r] = a_r . x for four rows; one row */
    void (*dots)(size_t n, const CVXR_REAL *a, size_t lda, const CVXR_REAL *x, CVXR_REAL *out);
    CVXR_REAL (*dot)(size_t n, const CVXR_REAL *x, const CVXR_REAL *y);
    /* y += sum_r s_r a_r for four rows; one row; y *= s */
    void (*axpys)(size_t n, const CVXR_REAL *s, const CVXR_REAL *a, size_t lda, CVXR_REAL *y);
    void (*axpy)(size_t n, CVXR_REAL s, const CVXR_REAL *x, CVXR_REAL *y);
    void (*scale)(size_t n, CVXR_REAL s, CVXR_REAL *y);
} CVXR_T(cvxr_kernels);

/* Sum of `count` elements (a power of two) by halving; v is spent. */
static CVXR_REAL CVXR_T(cvxr_fold)(CVXR_REAL *v, size_t count) {
    size_t j;
    while (count > 1)
        for (count /= 2, j = 0; j < count; j++) v[j] += v[j + count];
    return v[0];
}

#if CVXR_SQUARES
/* The transpose of a square of 4. */
static void CVXR_T(cvxr_turn_square)(const CVXR_REAL *from, size_t ldf, CVXR_REAL *to,
                                     size_t ldt) {
#if CVXR_F32
    __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + ldf),
           c = _mm_loadu_ps(from + 2 * ldf), d = _mm_loadu_ps(from + 3 * ldf);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(to, a);
    _mm_storeu_ps(to + ldt, b);
    _mm_storeu_ps(to + 2 * ldt, c);
    _mm_storeu_ps(to + 3 * ldt, d);
#else
    size_t half;
    for (half = 0; half < 2; half++, from += 2, to += 2 * ldt) {
        __m128d a = _mm_loadu_pd(from), b = _mm_loadu_pd(from + ldf),
                c = _mm_loadu_pd(from + 2 * ldf), d = _mm_loadu_pd(from + 3 * ldf);
        _mm_storeu_pd(to, _mm_unpacklo_pd(a, b));
        _mm_storeu_pd(to + 2, _mm_unpacklo_pd(c, d));
        _mm_storeu_pd(to + ldt, _mm_unpackhi_pd(a, b));
        _mm_storeu_pd(to + ldt + 2, _mm_unpackhi_pd(c, d));
    }
#endif
}
#endif
#endif

#ifndef CVXR_LOAD_PART
static const CVXR_REAL *CVXR_K(cvxr_part)(const CVXR_REAL *p, size_t r, CVXR_REAL *space) {
    size_t j;
    for (j = 0; j < CVXR_VN; j++) space[j] = j < r ? p[j] : 0;
    return space;
}
static void CVXR_K(cvxr_unpart)(CVXR_REAL *p, size_t r, const CVXR_REAL *space) {
    size_t j;
    for (j = 0; j < r; j++) p[j] = space[j];
}
#define CVXR_PART_SPACE      CVXR_REAL part_space[CVXR_VN];
#define CVXR_LOAD_PART(p, r) CVXR_LOAD(CVXR_K(cvxr_part)(p, r, part_space))
#define CVXR_STORE_PART(p, r, v)                                                               \
    (CVXR_STORE(part_space, v), CVXR_K(cvxr_unpart)(p, r, part_space))
#else
#define CVXR_PART_SPACE
#endif

#if CVXR_ISA == 0 && CVXR_BASE == 1
static void CVXR_K(cvxr_tile)(size_t k, const CVXR_REAL *a, size_t ra, size_t ca,
                              const CVXR_REAL *b, size_t sb, size_t w, CVXR_REAL alpha,
                              CVXR_REAL beta, CVXR_REAL *c, size_t ldc) {
    CVXR_REAL sum[CVXR_MR * CVXR_NR];
    size_t i, j, wide = w * CVXR_UNIT;
    memset(sum, 0, sizeof sum);
    for (; k > 0; k--, a += ca, b += sb)
        for (i = 0; i < CVXR_MR; i++)
            for (j = 0; j < wide; j++) sum[i * CVXR_NR + j] += a[i * ra] * b[j];
    for (i = 0; i < CVXR_MR; i++, c += ldc)
        for (j = 0; j < wide; j++) {
            CVXR_REAL s = alpha * sum[i * CVXR_NR + j];
            c[j] = beta == 0 ? s : beta * c[j] + s;
        }
}
#else
/* The steps of a tile for the unit x (or y, z) of row i, at `at` vectors from the left;
   CVXR_UNITS(M, i) is M for each unit. */
#define CVXR_CLEAR(i, x, at) CVXR_V x##i = zero;
#define CVXR_GET(i, x, at)                                                                     \
    CVXR_V b##x = CVXR_LOAD(b + at * CVXR_VN);                                                 \
    CVXR_HOLD(b##x);
#define CVXR_MULTIPLY(i, x, at) x##i = CVXR_FMA(v, b##x, x##i);
#define CVXR_PUT(i, x, at)      CVXR_STORE(c + at * CVXR_VN, CVXR_MUL(v, x##i));
#define CVXR_ADD(i, x, at)                                                                     \
    CVXR_STORE(c + at * CVXR_VN,                                                               \
               CVXR_FMA(scale, CVXR_LOAD(c + at * CVXR_VN), CVXR_MUL(v, x##i)));
#define CVXR_ROW_CLEAR(i) CVXR_UNITS(CVXR_CLEAR, i)
#define CVXR_ROW_FETCH(i)                                                                      \
    CVXR_PREFETCH(c + i * ldc);                                                                \
    CVXR_PREFETCH(c + i * ldc + CVXR_NR - 1);
#define CVXR_ROW_MULTIPLY(i)                                                                   \
    v = CVXR_SET(a[i * ra]);                                                                   \
    CVXR_UNITS(CVXR_MULTIPLY, i)
#define CVXR_ROW_PUT(i)                                                                        \
    CVXR_UNITS(CVXR_PUT, i)                                                                    \
    c += ldc;
#define CVXR_ROW_ADD(i)                                                                        \
    CVXR_UNITS(CVXR_ADD, i)                                                                    \
    c += ldc;
#define CVXR_TILE(name)                                                                        \
    CVXR_TARGET static void CVXR_K(name)(size_t k, const CVXR_REAL *a, size_t ra, size_t ca,   \
                                         const CVXR_REAL *b, size_t sb, CVXR_REAL alpha,       \
                                         CVXR_REAL beta, CVXR_REAL *c, size_t ldc) {           \
        CVXR_V v, scale, zero = CVXR_SET(0);                                                   \
        CVXR_ROWS(CVXR_ROW_CLEAR)                                                              \
        if (beta != 0) { CVXR_ROWS(CVXR_ROW_FETCH) }                                           \
        for (; k > 0; k--, a += ca, b += sb) {                                                 \
            CVXR_UNITS(CVXR_GET, 0)                                                            \
            CVXR_ROWS(CVXR_ROW_MULTIPLY)                                                       \
        }                                                                                      \
        v = CVXR_SET(alpha);                                                                   \
        scale = CVXR_SET(beta);                                                                \
        if (beta == 0) {                                                                       \
            CVXR_ROWS(CVXR_ROW_PUT)                                                            \
        } else {                                                                               \
            CVXR_ROWS(CVXR_ROW_ADD)                                                            \
        }                                                                                      \
    }
#define CVXR_UNITS(M, i) M(i, x, 0) M(i, y, 1) M(i, z, 2)
CVXR_TILE(cvxr_tile3)
#undef CVXR_UNITS
#define CVXR_UNITS(M, i) M(i, x, 0) M(i, y, 1)
CVXR_TILE(cvxr_tile2)
#undef CVXR_UNITS
#define CVXR_UNITS(M, i) M(i, x, 0)
CVXR_TILE(cvxr_tile1)
#undef CVXR_UNITS
static void CVXR_K(cvxr_tile)(size_t k, const CVXR_REAL *a, size_t ra, size_t ca,
                              const CVXR_REAL *b, size_t sb, size_t w, CVXR_REAL alpha,
                              CVXR_REAL beta, CVXR_REAL *c, size_t ldc) {
    if (w == 3) CVXR_K(cvxr_tile3)(k, a, ra, ca, b, sb, alpha, beta, c, ldc);
    else if (w == 2) CVXR_K(cvxr_tile2)(k, a, ra, ca, b, sb, alpha, beta, c, ldc);
    else CVXR_K(cvxr_tile1)(k, a, ra, ca, b, sb, alpha, beta, c, ldc);
}
#undef CVXR_CLEAR
#undef CVXR_GET
#undef CVXR_MULTIPLY
#undef CVXR_PUT
#undef CVXR_ADD
#undef CVXR_ROW_CLEAR
#undef CVXR_ROW_FETCH
#undef CVXR_ROW_MULTIPLY
#undef CVXR_ROW_PUT
#undef CVXR_ROW_ADD
#undef CVXR_TILE
#endif

/* By squares of 4 (float32) or 2 on x86, whose 16-byte registers every instruction set here
   has. */
CVXR_TARGET static void CVXR_K(cvxr_turn)(size_t m, size_t n, const CVXR_REAL *from, size_t ldf,
                                          CVXR_REAL *to, size_t ldt) {
    size_t i = 0, j, q;
    for (; i + 4 <= m; i += 4, from += 4 * ldf, to += 4) {
        j = 0;
#if CVXR_SQUARES
        for (; j + 4 <= n; j += 4) CVXR_T(cvxr_turn_square)(from + j, ldf, to + j * ldt, ldt);
#endif
        for (; j < n; j++)
            for (q = 0; q < 4; q++) to[j * ldt + q] = from[q * ldf + j];
    }
    for (; i < m; i++, from += ldf, to++)
        for (j = 0; j < n; j++) to[j * ldt] = from[j];
}

/* Row i less its multiples of the rows before it, then divided by its pivot. */
#define CVXR_TAKE(i) CVXR_V x##i = CVXR_LOAD(c + (i)*by);
#define CVXR_LESS(i, j) x##i = CVXR_FMA(CVXR_SET(f[(i)*CVXR_MR + (j)]), x##j, x##i);
#define CVXR_DONE(i)                                                                           \
    x##i = CVXR_MUL(CVXR_SET(f[(i)*CVXR_MR + (i)]), x##i);                                     \
    CVXR_STORE(c + (i)*by, x##i);
CVXR_TARGET static void CVXR_K(cvxr_triangle)(int back, const CVXR_REAL *t, size_t rt,
                                              size_t ct, size_t w, CVXR_REAL *c, size_t ldc) {
    const ptrdiff_t down = (ptrdiff_t)rt, right = (ptrdiff_t)ct, last = back ? CVXR_MR - 1 : 0;
    const ptrdiff_t by = back ? -(ptrdiff_t)ldc : (ptrdiff_t)ldc, way = back ? -1 : 1;
    CVXR_REAL f[CVXR_MR * CVXR_MR];
    ptrdiff_t i, j;
    size_t u;
    t += last * (down + right);
    c += last * (ptrdiff_t)ldc;
    for (i = 0; i < CVXR_MR; i++) {
        for (j = 0; j < i; j++) f[i * CVXR_MR + j] = -t[way * (i * down + j * right)];
        f[i * CVXR_MR + i] = 1 / t[way * i * (down + right)];
    }
    for (u = 0; u < w * CVXR_UNIT; u += CVXR_VN, c += CVXR_VN) {
        CVXR_ROWS(CVXR_TAKE)
        CVXR_DONE(0)
        CVXR_LESS(1, 0) CVXR_DONE(1)
        CVXR_LESS(2, 0) CVXR_LESS(2, 1) CVXR_DONE(2)
        CVXR_LESS(3, 0) CVXR_LESS(3, 1) CVXR_LESS(3, 2) CVXR_DONE(3)
#if CVXR_MR == 8
        CVXR_LESS(4, 0) CVXR_LESS(4, 1) CVXR_LESS(4, 2) CVXR_LESS(4, 3) CVXR_DONE(4)
        CVXR_LESS(5, 0) CVXR_LESS(5, 1) CVXR_LESS(5, 2) CVXR_LESS(5, 3) CVXR_LESS(5, 4)
        CVXR_DONE(5)
        CVXR_LESS(6, 0) CVXR_LESS(6, 1) CVXR_LESS(6, 2) CVXR_LESS(6, 3) CVXR_LESS(6, 4)
        CVXR_LESS(6, 5) CVXR_DONE(6)
        CVXR_LESS(7, 0) CVXR_LESS(7, 1) CVXR_LESS(7, 2) CVXR_LESS(7, 3) CVXR_LESS(7, 4)
        CVXR_LESS(7, 5) CVXR_LESS(7, 6) CVXR_DONE(7)
#endif
    }
}
#undef CVXR_TAKE
#undef CVXR_LESS
#undef CVXR_DONE

/* The `count` strips of a cache line's rows in one pass: an A that is transposed is read by
   whole lines. */
CVXR_TARGET static void CVXR_K(cvxr_strips)(size_t k, size_t count, const CVXR_REAL *a,
                                            size_t lda, CVXR_REAL *strip) {
    size_t p, s;
    for (p = 0; p < k; p++, a += lda, strip += CVXR_MR) {
        if (p + 16 < k) CVXR_PREFETCH(a + 16 * lda);
        for (s = 0; s < count; s++)
            memcpy(strip + s * k * CVXR_MR, a + s * CVXR_MR, CVXR_MR * sizeof *a);
    }
}

CVXR_TARGET static void CVXR_K(cvxr_pack)(size_t k, size_t wide, const CVXR_REAL *b, size_t ldb,
                                          CVXR_REAL *packed) {
    size_t j;
    if (wide == CVXR_NR)
        for (; k > 0; k--, b += ldb, packed += CVXR_NR)
            for (j = 0; j < CVXR_NR; j += CVXR_VN) CVXR_STORE(packed + j, CVXR_LOAD(b + j));
    else
        for (; k > 0; k--, b += ldb, packed += wide)
            for (j = 0; j < wide; j += CVXR_VN) CVXR_STORE(packed + j, CVXR_LOAD(b + j));
}

/* Four dot products. Lane l of an accumulator takes the elements l mod the vector length. */
#define CVXR_DOTS_STEP(PART)                                                                   \
    v = PART(x + j);                                                                           \
    s0 = CVXR_FMA(v, PART(a + j), s0);                                                         \
    s1 = CVXR_FMA(v, PART(a + lda + j), s1);                                                   \
    s2 = CVXR_FMA(v, PART(a + 2 * lda + j), s2);                                               \
    s3 = CVXR_FMA(v, PART(a + 3 * lda + j), s3);
#define CVXR_TAIL(p) CVXR_LOAD_PART(p, n - j)
CVXR_TARGET static void CVXR_K(cvxr_dots)(size_t n, const CVXR_REAL *a, size_t lda,
                                          const CVXR_REAL *x, CVXR_REAL *out) {
    CVXR_V s0 = CVXR_SET(0), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0, v;
    CVXR_REAL lanes[4 * CVXR_VN];
    CVXR_PART_SPACE
    size_t j = 0;
    for (; j + 2 * CVXR_VN <= n; j += CVXR_VN) {
        CVXR_DOTS_STEP(CVXR_LOAD)
        j += CVXR_VN;
        v = CVXR_LOAD(x + j);
        t0 = CVXR_FMA(v, CVXR_LOAD(a + j), t0);
        t1 = CVXR_FMA(v, CVXR_LOAD(a + lda + j), t1);
        t2 = CVXR_FMA(v, CVXR_LOAD(a + 2 * lda + j), t2);
        t3 = CVXR_FMA(v, CVXR_LOAD(a + 3 * lda + j), t3);
    }
    if (j + CVXR_VN <= n) {
        CVXR_DOTS_STEP(CVXR_LOAD)
        j += CVXR_VN;
    }
    if (j < n) { CVXR_DOTS_STEP(CVXR_TAIL) }
    v = CVXR_SET(1);
    CVXR_STORE(lanes, CVXR_FMA(v, s0, t0));
    CVXR_STORE(lanes + CVXR_VN, CVXR_FMA(v, s1, t1));
    CVXR_STORE(lanes + 2 * CVXR_VN, CVXR_FMA(v, s2, t2));
    CVXR_STORE(lanes + 3 * CVXR_VN, CVXR_FMA(v, s3, t3));
    for (j = 0; j < 4; j++) out[j] = CVXR_T(cvxr_fold)(lanes + j * CVXR_VN, CVXR_VN);
}
#undef CVXR_DOTS_STEP

CVXR_TARGET static CVXR_REAL CVXR_K(cvxr_dot)(size_t n, const CVXR_REAL *x,
                                              const CVXR_REAL *y) {
    CVXR_V s0 = CVXR_SET(0), s1 = s0, s2 = s0, s3 = s0, v;
    CVXR_REAL lanes[4 * CVXR_VN];
    CVXR_PART_SPACE
    size_t j = 0;
    for (; j + 4 * CVXR_VN <= n; j += 4 * CVXR_VN) {
        s0 = CVXR_FMA(CVXR_LOAD(x + j), CVXR_LOAD(y + j), s0);
        s1 = CVXR_FMA(CVXR_LOAD(x + j + CVXR_VN), CVXR_LOAD(y + j + CVXR_VN), s1);
        s2 = CVXR_FMA(CVXR_LOAD(x + j + 2 * CVXR_VN), CVXR_LOAD(y + j + 2 * CVXR_VN), s2);
        s3 = CVXR_FMA(CVXR_LOAD(x + j + 3 * CVXR_VN), CVXR_LOAD(y + j + 3 * CVXR_VN), s3);
    }
    for (; j + CVXR_VN <= n; j += CVXR_VN)
        s0 = CVXR_FMA(CVXR_LOAD(x + j), CVXR_LOAD(y + j), s0);
    if (j < n) {
        v = CVXR_TAIL(x + j);
        s1 = CVXR_FMA(v, CVXR_TAIL(y + j), s1);
    }
    CVXR_STORE(lanes, s0);
    CVXR_STORE(lanes + CVXR_VN, s1);
    CVXR_STORE(lanes + 2 * CVXR_VN, s2);
    CVXR_STORE(lanes + 3 * CVXR_VN, s3);
    return CVXR_T(cvxr_fold)(lanes, 4 * CVXR_VN);
}

CVXR_TARGET static void CVXR_K(cvxr_axpys)(size_t n, const CVXR_REAL *s, const CVXR_REAL *a,
                                           size_t lda, CVXR_REAL *y) {
    CVXR_V s0 = CVXR_SET(s[0]), s1 = CVXR_SET(s[1]), s2 = CVXR_SET(s[2]), s3 = CVXR_SET(s[3]),
           v;
    CVXR_PART_SPACE
    size_t j = 0;
    for (; j + CVXR_VN <= n; j += CVXR_VN) {
        v = CVXR_FMA(s0, CVXR_LOAD(a + j), CVXR_LOAD(y + j));
        v = CVXR_FMA(s1, CVXR_LOAD(a + lda + j), v);
        v = CVXR_FMA(s2, CVXR_LOAD(a + 2 * lda + j), v);
        v = CVXR_FMA(s3, CVXR_LOAD(a + 3 * lda + j), v);
        CVXR_STORE(y + j, v);
    }
    if (j < n) {
        v = CVXR_TAIL(y + j);
        v = CVXR_FMA(s0, CVXR_TAIL(a + j), v);
        v = CVXR_FMA(s1, CVXR_TAIL(a + lda + j), v);
        v = CVXR_FMA(s2, CVXR_TAIL(a + 2 * lda + j), v);
        v = CVXR_FMA(s3, CVXR_TAIL(a + 3 * lda + j), v);
        CVXR_STORE_PART(y + j, n - j, v);
    }
}

CVXR_TARGET static void CVXR_K(cvxr_axpy)(size_t n, CVXR_REAL s, const CVXR_REAL *x,
                                          CVXR_REAL *y) {
    CVXR_V v = CVXR_SET(s), w;
    CVXR_PART_SPACE
    size_t j = 0;
    for (; j + CVXR_VN <= n; j += CVXR_VN)
        CVXR_STORE(y + j, CVXR_FMA(v, CVXR_LOAD(x + j), CVXR_LOAD(y + j)));
    if (j < n) {
        w = CVXR_TAIL(y + j);
        w = CVXR_FMA(v, CVXR_TAIL(x + j), w);
        CVXR_STORE_PART(y + j, n - j, w);
    }
}
#undef CVXR_TAIL

CVXR_TARGET static void CVXR_K(cvxr_scale)(size_t n, CVXR_REAL s, CVXR_REAL *y) {
    CVXR_V v = CVXR_SET(s);
    size_t j = 0;
    for (; j + CVXR_VN <= n; j += CVXR_VN) CVXR_STORE(y + j, CVXR_MUL(v, CVXR_LOAD(y + j)));
    for (; j < n; j++) y[j] *= s;
}

static const CVXR_T(cvxr_kernels) CVXR_K(cvxr_kernels) = {
    CVXR_MR,           CVXR_UNIT,             CVXR_NR,           CVXR_K(cvxr_tile),
    CVXR_K(cvxr_turn), CVXR_K(cvxr_triangle), CVXR_K(cvxr_pack), CVXR_K(cvxr_strips),
    CVXR_K(cvxr_dots), CVXR_K(cvxr_dot),      CVXR_K(cvxr_axpys), CVXR_K(cvxr_axpy),
    CVXR_K(cvxr_scale)
};

#undef CVXR_K
#undef CVXR_TARGET
#undef CVXR_MR
#undef CVXR_UNIT
#undef CVXR_NR
#undef CVXR_ROWS
#undef CVXR_V
#undef CVXR_VN
#undef CVXR_LOAD
#undef CVXR_STORE
#undef CVXR_SET
#undef CVXR_FMA
#undef CVXR_MUL
#undef CVXR_HOLD
#undef CVXR_MASK
#undef CVXR_LOAD_PART
#undef CVXR_STORE_PART
#undef CVXR_PART_SPACE
#endif

/* ---- Operations, in both precisions */
#if defined(CVXR_TYPED) && CVXR_TYPED == 5

#if CVXR_F32
#define CVXR_BLAS(name) s##name
#else
#define CVXR_BLAS(name) d##name
#endif
#define CVXR_KC (CVXR_KC_BYTES / sizeof(CVXR_REAL))

static const CVXR_T(cvxr_kernels) *CVXR_T(cvxr_kernels_for)(const cvxr_la *la) {
#if CVXR_DISPATCH
    int isa = cvxr_la_isa(la);
    if (isa == 2) return &CVXR_T(cvxr_kernels_avx512);
    if (isa == 1) return &CVXR_T(cvxr_kernels_avx2);
#else
    (void)la;
#endif
    return &CVXR_T(cvxr_kernels_base);
}

CVXR_UNUSED static CVXR_REAL CVXR_T(cvxr_dot)(size_t n, const CVXR_REAL *x,
                                              const CVXR_REAL *y) {
    return CVXR_T(cvxr_dot_base)(n, x, y);
}

/* y += a x */
CVXR_UNUSED static void CVXR_T(cvxr_axpy)(size_t n, CVXR_REAL a, const CVXR_REAL *x,
                                          CVXR_REAL *y) {
    CVXR_T(cvxr_axpy_base)(n, a, x, y);
}

/* ||x||_2 without overflow or underflow of the squares; NaN and infinity come through. */
CVXR_UNUSED static CVXR_REAL CVXR_T(cvxr_norm2)(size_t n, const CVXR_REAL *x) {
#if CVXR_F32
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    size_t j = 0;
    for (; j + 4 <= n; j += 4) {
        s0 += (double)x[j] * (double)x[j];
        s1 += (double)x[j + 1] * (double)x[j + 1];
        s2 += (double)x[j + 2] * (double)x[j + 2];
        s3 += (double)x[j + 3] * (double)x[j + 3];
    }
    for (; j < n; j++) s0 += (double)x[j] * (double)x[j];
    return (float)sqrt((s0 + s1) + (s2 + s3));
#else
    double sum = cvxr_dot_f64(n, x, x), most = 0, scale;
    size_t j;
    int exponent;
    if (cvxr_finite(sum) && sum > 1e-270) return sqrt(sum);
    for (j = 0; j < n; j++) {
        if (!cvxr_finite(x[j])) return fabs(sum);
        most = cvxr_max(most, fabs(x[j]));
    }
    if (most == 0) return 0;
    (void)frexp(most, &exponent);
    for (sum = 0, j = 0; j < n; j++) {
        scale = ldexp(x[j], -exponent);
        sum += scale * scale;
    }
    return ldexp(sqrt(sum), exponent);
#endif
}

/* ---- Products. C = alpha op(A) op(B) + beta C, all of it or the tiles that touch its lower
   triangle; a rectangle of C is done by one task in one slice of the work space. */

typedef struct CVXR_T(cvxr_product) {
    const CVXR_T(cvxr_kernels) *kernels;
    int ta, tb, lower;
    size_t m, n, k;
    CVXR_REAL alpha, beta;
    const CVXR_REAL *A, *B;
    CVXR_REAL *C;
    size_t lda, ldb, ldc;
    void *work;
    size_t tasks;
    size_t panel_end; /* of the columns that are packed */
} CVXR_T(cvxr_product);

static void CVXR_T(cvxr_product_init)(CVXR_T(cvxr_product) *g,
                                      const CVXR_T(cvxr_kernels) *kernels, void *work) {
    memset(g, 0, sizeof *g);
    g->kernels = kernels;
    g->work = work;
    g->tasks = 1;
}

/* C = beta C, for k = 0 or alpha = 0; beta = 0 does not read C. */
static void CVXR_T(cvxr_product_scale)(const CVXR_T(cvxr_product) *g) {
    size_t i, j;
    for (i = 0; i < g->m; i++) {
        CVXR_REAL *row = g->C + i * g->ldc;
        size_t cols = g->lower ? i + 1 : g->n;
        for (j = 0; j < cols; j++) row[j] = g->beta == 0 ? 0 : g->beta * row[j];
    }
}

/* Columns of the next tile when `left` are left: nr, or 2 + 2 units rather than 3 + 1, whose
   one has too few sums to hide the products' latency. */
static size_t CVXR_T(cvxr_tile_cols)(const CVXR_T(cvxr_kernels) *kernels, size_t left) {
    const size_t nr = kernels->nr, unit = kernels->unit;
    return left > nr && left <= nr + unit ? 2 * unit : cvxr_min_z(nr, left);
}

/* A tile that sticks out of C or crosses the diagonal: the same operations on a copy. */
static void CVXR_T(cvxr_product_edge)(const CVXR_T(cvxr_product) *g, size_t k,
                                      const CVXR_REAL *a, size_t ra, size_t ca,
                                      const CVXR_REAL *b, size_t sb, CVXR_REAL beta, size_t i0,
                                      size_t rows, size_t j0, size_t cols, CVXR_REAL *tile) {
    size_t i, nr = g->kernels->nr, width, w = (cols + g->kernels->unit - 1) / g->kernels->unit;
    CVXR_REAL *c = g->C + i0 * g->ldc + j0;
    if (beta != 0) {
        memset(tile, 0, g->kernels->mr * nr * sizeof *tile);
        for (i = 0; i < rows; i++) {
            width = g->lower ? cvxr_min_z(cols, i0 + i + 1 > j0 ? i0 + i + 1 - j0 : 0) : cols;
            memcpy(tile + i * nr, c + i * g->ldc, width * sizeof *c);
        }
    }
    g->kernels->tile(k, a, ra, ca, b, sb, w, g->alpha, beta, tile, nr);
    for (i = 0; i < rows; i++) {
        width = g->lower ? cvxr_min_z(cols, i0 + i + 1 > j0 ? i0 + i + 1 - j0 : 0) : cols;
        memcpy(c + i * g->ldc, tile + i * nr, width * sizeof *c);
    }
}

/* Rows i0 .. i0 + rows - 1 (at most mr; a's element (i, p) at i ra + p ca) of columns j0 .. j1
   - 1, terms p0 .. p0 + k - 1. B is packed, or with `direct` read where it is, but for a
   last tile that is no multiple of the unit. */
static void CVXR_T(cvxr_product_strip)(const CVXR_T(cvxr_product) *g, size_t i0, size_t rows,
                                       const CVXR_REAL *a, size_t ra, size_t ca, size_t j0,
                                       size_t j1, size_t p0, size_t k, int direct,
                                       void *slice) {
    const size_t mr = g->kernels->mr, unit = g->kernels->unit;
    const CVXR_REAL *packed = (const CVXR_REAL *)slice, *b;
    CVXR_REAL *tile = (CVXR_REAL *)(void *)((unsigned char *)slice + CVXR_TILE_AT);
    CVXR_REAL beta = p0 ? 1 : g->beta;
    size_t cols, sb;
    if (g->lower) {
        if (j0 >= i0 + rows) return;
        j1 = cvxr_min_z(j1, j0 + (i0 + rows - j0 + unit - 1) / unit * unit);
    }
    for (; j0 < j1; j0 += cols) {
        cols = CVXR_T(cvxr_tile_cols)(g->kernels, g->panel_end - j0);
        if (direct && cols % unit == 0) {
            b = g->B + p0 * g->ldb + j0;
            sb = g->ldb;
        } else {
            sb = (cols + unit - 1) / unit * unit;
            b = packed;
            packed += sb * k;
        }
        cols = cvxr_min_z(cols, j1 - j0);
        if (rows == mr && cols % unit == 0 && (!g->lower || j0 + cols <= i0 + 1))
            g->kernels->tile(k, a, ra, ca, b, sb, cols / unit, g->alpha, beta,
                             g->C + i0 * g->ldc + j0, g->ldc);
        else
            CVXR_T(cvxr_product_edge)
            (g, k, a, ra, ca, b, sb, beta, i0, rows, j0, cols, tile);
    }
}

/* Packs terms p0 .. p0 + k - 1 of columns j0 .. j1 - 1 of op(B) in tiles of nr columns, the
   last one padded with zeros to a full unit; a B that is not transposed by 8 rows at a time, as
   they come from memory. */
static void CVXR_T(cvxr_product_pack)(const CVXR_T(cvxr_product) *g, size_t j0, size_t j1,
                                      size_t p0, size_t k, CVXR_REAL *packed) {
    const size_t unit = g->kernels->unit, step = g->tb ? k : 8;
    size_t p, q, j, rows, cols, wide;
    for (p = 0; p < k; p += step) {
        CVXR_REAL *tile = packed;
        rows = cvxr_min_z(step, k - p);
        for (j = j0; j < j1; j += cols, tile += wide * k) {
            const CVXR_REAL *b = g->B + (g->tb ? j * g->ldb + p0 : (p0 + p) * g->ldb + j);
            CVXR_REAL *to;
            cols = CVXR_T(cvxr_tile_cols)(g->kernels, j1 - j);
            wide = (cols + unit - 1) / unit * unit;
            to = tile + p * wide;
            if (cols < wide) memset(to, 0, wide * rows * sizeof *to);
            if (g->tb) g->kernels->turn(cols, k, b, g->ldb, to, wide);
            else if (cols == wide) g->kernels->pack(rows, wide, b, g->ldb, to);
            else
                for (q = 0; q < rows; q++)
                    memcpy(to + q * wide, b + q * g->ldb, cols * sizeof *b);
        }
    }
}

/* Packs rows i0 .. i1 - 1 of op(A) in strips of mr rows, the last one padded with zeros. */
static void CVXR_T(cvxr_product_strips)(const CVXR_T(cvxr_product) *g, size_t i0, size_t i1,
                                        size_t p0, size_t k, CVXR_REAL *strip) {
    const size_t mr = g->kernels->mr, full = g->ta ? (i1 - i0) / mr : 0;
    size_t i, p;
    if (full) g->kernels->strips(k, full, g->A + p0 * g->lda + i0, g->lda, strip);
    for (i0 += full * mr, strip += full * mr * k; i0 < i1; i0 += mr, strip += mr * k)
        for (p = 0; p < k; p++)
            for (i = 0; i < mr; i++)
                strip[p * mr + i] = i0 + i >= i1 ? 0
                                    : g->ta      ? g->A[(p0 + p) * g->lda + i0 + i]
                                                 : g->A[(i0 + i) * g->lda + p0 + p];
}

/* Rows r0 .. r1 - 1 and columns j0 .. j1 - 1 (at most CVXR_NC) of C, terms p0 .. p0 + k - 1.
   */
static void CVXR_T(cvxr_product_block)(CVXR_T(cvxr_product) *g, size_t r0, size_t r1, size_t j0,
                                       size_t j1, size_t p0, size_t k, void *slice) {
    const size_t mr = g->kernels->mr, nr = g->kernels->nr, unit = g->kernels->unit;
    const size_t group = 64 / sizeof *g->A;
    CVXR_REAL *strip = (CVXR_REAL *)(void *)((unsigned char *)slice + CVXR_STRIP_AT);
    int direct = !g->tb && ((r1 - r0 <= CVXR_DIRECT_ROWS && g->ldb <= CVXR_CLOSE) ||
                            k * (j1 - j0) <= CVXR_DIRECT_SIZE);
    int pack_a = g->ta && j1 - j0 > nr * (g->lda <= CVXR_CLOSE ? CVXR_DIRECT_TILES : 2);
    size_t i, end, at, rows, cols;
    g->panel_end = j1;
    for (i = j0; direct && i < j1; i += cols) {
        cols = CVXR_T(cvxr_tile_cols)(g->kernels, j1 - i);
        if (cols % unit) break;
    }
    CVXR_T(cvxr_product_pack)(g, direct ? i : j0, j1, p0, k, (CVXR_REAL *)slice);
    for (i = g->lower ? cvxr_max_z(r0, j0 / mr * mr) : r0; i < r1; i = end) {
        end = cvxr_min_z(i + group, r1);
        if (pack_a) CVXR_T(cvxr_product_strips)(g, i, end, p0, k, strip);
        for (at = i; at < end; at += mr) {
            const CVXR_REAL *a = g->ta ? g->A + p0 * g->lda + at : g->A + at * g->lda + p0;
            size_t ra = g->ta ? 1 : g->lda, ca = g->ta ? g->lda : 1;
            rows = cvxr_min_z(mr, end - at);
            if (pack_a || rows < mr) {
                a = strip + (pack_a ? (at - i) * k : 0);
                if (!pack_a) CVXR_T(cvxr_product_strips)(g, at, end, p0, k, strip);
                ra = 1;
                ca = mr;
            }
            CVXR_T(cvxr_product_strip)(g, at, rows, a, ra, ca, j0, j1, p0, k, direct, slice);
        }
    }
}

/* Rows r0 .. r1 - 1 and columns c0 .. c1 - 1 of C. r0 is a multiple of mr. */
static void CVXR_T(cvxr_product_range)(const CVXR_T(cvxr_product) *product, size_t r0,
                                       size_t r1, size_t c0, size_t c1, void *slice) {
    CVXR_T(cvxr_product) g = *product;
    size_t p, k, j0, j1;
    if (g.lower) c1 = cvxr_min_z(c1, r1);
    for (p = 0; p < g.k; p += k) {
        k = cvxr_min_z(CVXR_KC, g.k - p);
        for (j0 = c0; j0 < c1; j0 = j1) {
            j1 = cvxr_min_z(j0 + CVXR_NC, c1);
            CVXR_T(cvxr_product_block)(&g, r0, r1, j0, j1, p, k, slice);
        }
    }
}

static void CVXR_T(cvxr_product_task)(void *arg, size_t i) {
    const CVXR_T(cvxr_product) *g = (const CVXR_T(cvxr_product) *)arg;
    const size_t mr = g->kernels->mr, nr = g->kernels->nr;
    void *slice = cvxr_slice(g->work, i);
    if (g->lower)
        CVXR_T(cvxr_product_range)
        (g, cvxr_share_lower(g->m, g->tasks, i, mr),
         cvxr_share_lower(g->m, g->tasks, i + 1, mr), 0, g->n, slice);
    else if (g->m >= g->n)
        CVXR_T(cvxr_product_range)
        (g, cvxr_share(g->m, g->tasks, i, mr), cvxr_share(g->m, g->tasks, i + 1, mr), 0, g->n,
         slice);
    else
        CVXR_T(cvxr_product_range)
        (g, 0, g->m, cvxr_share(g->n, g->tasks, i, nr), cvxr_share(g->n, g->tasks, i + 1, nr),
         slice);
}

static void CVXR_T(cvxr_product_run)(const cvxr_la *la, CVXR_T(cvxr_product) *g) {
    double work = (double)g->m * (double)g->n * (double)g->k;
    if (g->m == 0 || g->n == 0) return;
    if (g->k == 0 || g->alpha == 0) {
        CVXR_T(cvxr_product_scale)(g);
        return;
    }
    g->tasks = la ? cvxr_task_count(la, work, 2e5) : 1;
    if (g->tasks == 1) CVXR_T(cvxr_product_task)(g, 0);
    else cvxr_team_run(&la->team, g->tasks, CVXR_T(cvxr_product_task), g);
}

static void CVXR_T(cvxr_product_set)(CVXR_T(cvxr_product) *g, int ta, int tb, size_t m,
                                     size_t n, size_t k, CVXR_REAL alpha, const CVXR_REAL *A,
                                     size_t lda, const CVXR_REAL *B, size_t ldb, CVXR_REAL beta,
                                     CVXR_REAL *C, size_t ldc) {
    g->ta = ta;
    g->tb = tb;
    g->m = m;
    g->n = n;
    g->k = k;
    g->alpha = alpha;
    g->A = A;
    g->lda = lda;
    g->B = B;
    g->ldb = ldb;
    g->beta = beta;
    g->C = C;
    g->ldc = ldc;
}

/* C (m x n) = alpha op(A) op(B) + beta C, op(A) m x k, op(B) k x n; ta, tb nonzero:
   transposed. */
CVXR_UNUSED static void CVXR_T(cvxr_gemm)(const cvxr_la *la, int ta, int tb, size_t m, size_t n,
                                          size_t k, CVXR_REAL alpha, const CVXR_REAL *A,
                                          size_t lda, const CVXR_REAL *B, size_t ldb,
                                          CVXR_REAL beta, CVXR_REAL *C, size_t ldc) {
    CVXR_T(cvxr_product) g;
    if (la->blas && la->blas->CVXR_BLAS(gemm) && m && n && k &&
        cvxr_hookable(m, n, k, lda, ldb) && cvxr_hookable(ldc, 0, 0, 0, 0)) {
        la->blas->CVXR_BLAS(gemm)(la->blas->context, tb ? 'T' : 'N', ta ? 'T' : 'N', n, m, k,
                                  alpha, B, ldb, A, lda, beta, C, ldc);
        return;
    }
    CVXR_T(cvxr_product_init)(&g, CVXR_T(cvxr_kernels_for)(la), la->work);
    CVXR_T(cvxr_product_set)(&g, ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
    CVXR_T(cvxr_product_run)(la, &g);
}

/* Lower triangle of C (n x n) = alpha A A^T + beta C (trans = 0, A n x k) or alpha A^T A +
   beta C (trans = 1, A k x n). The rest of C is neither read nor written. */
CVXR_UNUSED static void CVXR_T(cvxr_syrk)(const cvxr_la *la, int trans, size_t n, size_t k,
                                          CVXR_REAL alpha, const CVXR_REAL *A, size_t lda,
                                          CVXR_REAL beta, CVXR_REAL *C, size_t ldc) {
    CVXR_T(cvxr_product) g;
    if (la->blas && la->blas->CVXR_BLAS(syrk) && n && k && cvxr_hookable(n, k, lda, ldc, 0)) {
        la->blas->CVXR_BLAS(syrk)(la->blas->context, 'U', trans ? 'N' : 'T', n, k, alpha, A,
                                  lda, beta, C, ldc);
        return;
    }
    CVXR_T(cvxr_product_init)(&g, CVXR_T(cvxr_kernels_for)(la), la->work);
    CVXR_T(cvxr_product_set)(&g, trans, !trans, n, n, k, alpha, A, lda, A, lda, beta, C, ldc);
    g.lower = 1;
    CVXR_T(cvxr_product_run)(la, &g);
}

/* A task of gemv: rows r0 .. r1 - 1 of y = alpha A x + beta y, r0 a multiple of 4. */
static void CVXR_T(cvxr_gemv_rows)(const CVXR_T(cvxr_product) *g, size_t r0, size_t r1) {
    CVXR_REAL sums[4];
    size_t i, r, rows;
    for (i = r0; i < r1; i += 4) {
        const CVXR_REAL *a = g->A + i * g->lda;
        rows = cvxr_min_z(4, r1 - i);
        if (rows == 4) g->kernels->dots(g->k, a, g->lda, g->B, sums);
        else
            for (r = 0; r < rows; r++) sums[r] = g->kernels->dot(g->k, a + r * g->lda, g->B);
        for (r = 0; r < rows; r++)
            g->C[i + r] = g->beta == 0 ? g->alpha * sums[r]
                                       : g->alpha * sums[r] + g->beta * g->C[i + r];
    }
}

/* Columns c0 .. c1 - 1 of y = alpha A^T x + beta y, 512 at a time. */
static void CVXR_T(cvxr_gemv_cols)(const CVXR_T(cvxr_product) *g, size_t c0, size_t c1) {
    CVXR_REAL s[4];
    size_t i, j, r, cols;
    for (; c0 < c1; c0 += cols) {
        CVXR_REAL *y = g->C + c0;
        cols = cvxr_min_z(512, c1 - c0);
        for (j = 0; j < cols; j++) y[j] = g->beta == 0 ? 0 : g->beta * y[j];
        for (i = 0; i + 4 <= g->k; i += 4) {
            for (r = 0; r < 4; r++) s[r] = g->alpha * g->B[i + r];
            g->kernels->axpys(cols, s, g->A + i * g->lda + c0, g->lda, y);
        }
        for (; i < g->k; i++)
            g->kernels->axpy(cols, g->alpha * g->B[i], g->A + i * g->lda + c0, y);
    }
}

static void CVXR_T(cvxr_gemv_task)(void *arg, size_t i) {
    const CVXR_T(cvxr_product) *g = (const CVXR_T(cvxr_product) *)arg;
    size_t from = cvxr_share(g->m, g->tasks, i, 64), to = cvxr_share(g->m, g->tasks, i + 1, 64);
    if (g->ta) CVXR_T(cvxr_gemv_cols)(g, from, to);
    else CVXR_T(cvxr_gemv_rows)(g, from, to);
}

/* y = alpha op(A) x + beta y, A m x n; ta nonzero: op(A) = A^T. */
CVXR_UNUSED static void CVXR_T(cvxr_gemv)(const cvxr_la *la, int ta, size_t m, size_t n,
                                          CVXR_REAL alpha, const CVXR_REAL *A, size_t lda,
                                          const CVXR_REAL *x, CVXR_REAL beta, CVXR_REAL *y) {
    CVXR_T(cvxr_product) g;
    if (la->blas && la->blas->CVXR_BLAS(gemv) && m && n && cvxr_hookable(m, n, lda, 0, 0)) {
        la->blas->CVXR_BLAS(gemv)(la->blas->context, ta ? 'N' : 'T', n, m, alpha, A, lda, x,
                                  beta, y);
        return;
    }
    CVXR_T(cvxr_product_init)(&g, CVXR_T(cvxr_kernels_for)(la), NULL);
    CVXR_T(cvxr_product_set)
    (&g, ta, 0, ta ? n : m, 1, ta ? m : n, alpha, A, lda, x, 1, beta, y, 1);
    g.tasks = cvxr_task_count(la, (double)m * (double)n, 5e4);
    if (g.tasks == 1) CVXR_T(cvxr_gemv_task)(&g, 0);
    else cvxr_team_run(&la->team, g.tasks, CVXR_T(cvxr_gemv_task), &g);
}

/* ---- Triangular solves, recursive on the order of L: halves that are multiples of 32, the
   coupling by a product. Blocks of up to CVXR_BASE_ORDER go tile by tile down (or up) a panel
   of B that the first cache level holds: what is known is multiplied, then mr unknowns are
   found. */

typedef struct CVXR_T(cvxr_solve) {
    const CVXR_T(cvxr_kernels) *kernels;
    int trans, right;
    size_t n, m;
    const CVXR_REAL *L;
    CVXR_REAL *B;
    size_t ldl, ldb;
    void *work;
    size_t tasks;
} CVXR_T(cvxr_solve);

/* For an order that is no multiple of mr, the last rows as a block of mr: a strip of what
   stands left of their triangle (nothing when op(L) = L^T), then the triangle with ones below.
   */
static void CVXR_T(cvxr_solve_last)(const CVXR_T(cvxr_kernels) *kernels, int trans, size_t n,
                                    const CVXR_REAL *L, size_t ldl, CVXR_REAL *strip) {
    const size_t mr = kernels->mr, rows = n % mr, k = n - rows;
    CVXR_REAL *square = strip + mr * CVXR_BASE_ORDER;
    size_t i, j;
    if (rows == 0) return;
    memset(square, 0, mr * mr * sizeof *square);
    for (i = 0; i < mr; i++) {
        square[i * mr + i] = 1;
        if (!trans)
            for (j = 0; j < k; j++) strip[j * mr + i] = i < rows ? L[(k + i) * ldl + j] : 0;
        for (j = 0; i < rows && j <= i; j++) square[i * mr + j] = L[(k + i) * ldl + k + j];
    }
}

/* B (n x w units) = op(L)^{-1} B for n <= CVXR_BASE_ORDER, strip from cvxr_solve_last. */
static void CVXR_T(cvxr_solve_panel)(const CVXR_T(cvxr_kernels) *kernels, int trans, size_t n,
                                     const CVXR_REAL *L, size_t ldl, CVXR_REAL *B, size_t ldb,
                                     size_t w, CVXR_REAL *strip) {
    const size_t mr = kernels->mr, wide = w * kernels->unit, whole = n / mr * mr;
    CVXR_REAL *square = strip + mr * CVXR_BASE_ORDER, *tile = square + mr * mr;
    CVXR_REAL *end = B + whole * ldb;
    size_t i, at;
    for (at = 0; at < whole && !trans; at += mr) {
        const CVXR_REAL *l = L + at * ldl;
        if (at) kernels->tile(at, l, ldl, 1, B, ldb, w, -1, 1, B + at * ldb, ldb);
        kernels->triangle(0, l + at, ldl, 1, w, B + at * ldb, ldb);
    }
    if (n > whole) {
        memset(tile, 0, mr * wide * sizeof *tile);
        for (i = 0; i < n - whole; i++)
            memcpy(tile + i * wide, end + i * ldb, wide * sizeof *B);
        if (!trans && whole) kernels->tile(whole, strip, 1, mr, B, ldb, w, -1, 1, tile, wide);
        if (trans) kernels->triangle(1, square, 1, mr, w, tile, wide);
        else kernels->triangle(0, square, mr, 1, w, tile, wide);
        for (i = 0; i < n - whole; i++)
            memcpy(end + i * ldb, tile + i * wide, wide * sizeof *B);
    }
    for (at = trans ? whole : 0; at > 0;) {
        const CVXR_REAL *l = L + at * ldl + at - mr, *b = B + at * ldb;
        size_t rest = n - at;
        at -= mr;
        if (rest) kernels->tile(rest, l, 1, ldl, b, ldb, w, -1, 1, B + at * ldb, ldb);
        kernels->triangle(1, L + at * ldl + at, 1, ldl, w, B + at * ldb, ldb);
    }
}

/* B (n x m) = op(L)^{-1} B for n <= CVXR_BASE_ORDER. A tile of columns whose rows lie far
   apart, where a cache holds few of them, or that is no multiple of the unit is copied. */
static void CVXR_T(cvxr_solve_base)(const CVXR_T(cvxr_kernels) *kernels, int trans, size_t n,
                                    size_t m, const CVXR_REAL *L, size_t ldl, CVXR_REAL *B,
                                    size_t ldb, void *slice) {
    const size_t unit = kernels->unit;
    CVXR_REAL *copy = (CVXR_REAL *)slice, *strip = copy + CVXR_BASE_ORDER * kernels->nr;
    size_t i, cols, wide;
    CVXR_T(cvxr_solve_last)(kernels, trans, n, L, ldl, strip);
    for (; m > 0; m -= cols, B += cols) {
        cols = CVXR_T(cvxr_tile_cols)(kernels, m);
        wide = (cols + unit - 1) / unit * unit;
        if (cols == wide && ldb <= CVXR_CLOSE) {
            CVXR_T(cvxr_solve_panel)(kernels, trans, n, L, ldl, B, ldb, cols / unit, strip);
            continue;
        }
        if (cols < wide) memset(copy, 0, n * wide * sizeof *copy);
        if (cols == wide) kernels->pack(n, wide, B, ldb, copy);
        else
            for (i = 0; i < n; i++) memcpy(copy + i * wide, B + i * ldb, cols * sizeof *B);
        CVXR_T(cvxr_solve_panel)(kernels, trans, n, L, ldl, copy, wide, wide / unit, strip);
        for (i = 0; i < n; i++) memcpy(B + i * ldb, copy + i * wide, cols * sizeof *B);
    }
}

/* B (m x n) = B L^{-T} for n <= CVXR_BASE_ORDER: rows of B as columns of a transposed copy. */
static void CVXR_T(cvxr_solve_base_right)(const CVXR_T(cvxr_kernels) *kernels, size_t n,
                                          size_t m, const CVXR_REAL *L, size_t ldl,
                                          CVXR_REAL *B, size_t ldb, void *slice) {
    const size_t unit = kernels->unit;
    CVXR_REAL *turned = (CVXR_REAL *)slice, *strip = turned + CVXR_BASE_ORDER * kernels->nr;
    size_t rows, wide;
    CVXR_T(cvxr_solve_last)(kernels, 0, n, L, ldl, strip);
    for (; m > 0; m -= rows, B += rows * ldb) {
        rows = CVXR_T(cvxr_tile_cols)(kernels, m);
        wide = (rows + unit - 1) / unit * unit;
        if (rows < wide) memset(turned, 0, n * wide * sizeof *turned);
        kernels->turn(rows, n, B, ldb, turned, wide);
        CVXR_T(cvxr_solve_panel)(kernels, 0, n, L, ldl, turned, wide, wide / unit, strip);
        kernels->turn(n, rows, turned, wide, B, ldb);
    }
}

/* One task's share: n is the order of L, m the columns (left) or rows (right) of B. */
static void CVXR_T(cvxr_solve_range)(const CVXR_T(cvxr_solve) *s, size_t n, size_t m,
                                     const CVXR_REAL *L, CVXR_REAL *B, void *slice) {
    CVXR_T(cvxr_product) g;
    size_t h, ldl = s->ldl, ldb = s->ldb;
    const CVXR_REAL *L21, *L22;
    CVXR_REAL *B2;
    if (n <= CVXR_BASE_ORDER) {
        if (s->right) CVXR_T(cvxr_solve_base_right)(s->kernels, n, m, L, ldl, B, ldb, slice);
        else CVXR_T(cvxr_solve_base)(s->kernels, s->trans, n, m, L, ldl, B, ldb, slice);
        return;
    }
    h = cvxr_half_order(n);
    L21 = L + h * ldl;
    L22 = L21 + h;
    B2 = s->right ? B + h : B + h * ldb;
    CVXR_T(cvxr_product_init)(&g, s->kernels, slice);
    if (s->trans) {
        CVXR_T(cvxr_product_set)(&g, 1, 0, h, m, n - h, -1, L21, ldl, B2, ldb, 1, B, ldb);
        CVXR_T(cvxr_solve_range)(s, n - h, m, L22, B2, slice);
        CVXR_T(cvxr_product_run)(NULL, &g);
        CVXR_T(cvxr_solve_range)(s, h, m, L, B, slice);
        return;
    }
    if (s->right)
        CVXR_T(cvxr_product_set)(&g, 0, 1, m, n - h, h, -1, B, ldb, L21, ldl, 1, B2, ldb);
    else CVXR_T(cvxr_product_set)(&g, 0, 0, n - h, m, h, -1, L21, ldl, B, ldb, 1, B2, ldb);
    CVXR_T(cvxr_solve_range)(s, h, m, L, B, slice);
    CVXR_T(cvxr_product_run)(NULL, &g);
    CVXR_T(cvxr_solve_range)(s, n - h, m, L22, B2, slice);
}

static void CVXR_T(cvxr_solve_task)(void *arg, size_t i) {
    const CVXR_T(cvxr_solve) *s = (const CVXR_T(cvxr_solve) *)arg;
    size_t from = cvxr_share(s->m, s->tasks, i, s->kernels->nr);
    size_t to = cvxr_share(s->m, s->tasks, i + 1, s->kernels->nr);
    if (from < to)
        CVXR_T(cvxr_solve_range)
        (s, s->n, to - from, s->L, s->B + (s->right ? from * s->ldb : from),
         cvxr_slice(s->work, i));
}

static void CVXR_T(cvxr_solve_run)(const cvxr_la *la, int trans, int right, size_t n, size_t m,
                                   const CVXR_REAL *L, size_t ldl, CVXR_REAL *B, size_t ldb) {
    CVXR_T(cvxr_solve) s;
    const cvxrelu_blas *blas = la->blas;
    if (n == 0 || m == 0) return;
    if (blas && blas->CVXR_BLAS(trsm) && cvxr_hookable(n, m, ldl, ldb, 0)) {
        if (right)
            blas->CVXR_BLAS(trsm)(blas->context, 'L', 'U', 'T', 'N', n, m, 1, L, ldl, B, ldb);
        else
            blas->CVXR_BLAS(trsm)(blas->context, 'R', 'U', trans ? 'T' : 'N', 'N', m, n, 1, L,
                                  ldl, B, ldb);
        return;
    }
    s.kernels = CVXR_T(cvxr_kernels_for)(la);
    s.trans = trans;
    s.right = right;
    s.n = n;
    s.m = m;
    s.L = L;
    s.ldl = ldl;
    s.B = B;
    s.ldb = ldb;
    s.work = la->work;
    s.tasks = cvxr_task_count(la, (double)n * (double)n * (double)m, 2e5);
    if (s.tasks == 1) CVXR_T(cvxr_solve_task)(&s, 0);
    else cvxr_team_run(&la->team, s.tasks, CVXR_T(cvxr_solve_task), &s);
}

/* B (n x m) = op(L)^{-1} B, L lower triangular of order n; trans nonzero: op(L) = L^T. */
CVXR_UNUSED static void CVXR_T(cvxr_trsm)(const cvxr_la *la, int trans, size_t n, size_t m,
                                          const CVXR_REAL *L, size_t ldl, CVXR_REAL *B,
                                          size_t ldb) {
    CVXR_T(cvxr_solve_run)(la, trans, 0, n, m, L, ldl, B, ldb);
}

/* ---- Cholesky. */

/* The transposed factor of the first `rows` rows and columns of U, in place. A pivot must be
   positive and finite: NaN fails here. */
static size_t CVXR_T(cvxr_potrf_corner)(size_t rows, CVXR_REAL *U, size_t ldu) {
    size_t i, j, p;
    for (i = 0; i < rows; i++) {
        CVXR_REAL pivot = U[i * ldu + i];
        for (p = 0; p < i; p++) pivot -= U[p * ldu + i] * U[p * ldu + i];
        if (!cvxr_finite((double)pivot) || !(pivot > 0)) return i + 1;
        U[i * ldu + i] = (CVXR_REAL)sqrt((double)pivot);
        pivot = 1 / U[i * ldu + i];
        for (j = i + 1; j < rows; j++) {
            CVXR_REAL sum = U[i * ldu + j];
            for (p = 0; p < i; p++) sum -= U[p * ldu + i] * U[p * ldu + j];
            U[i * ldu + j] = sum * pivot;
        }
    }
    return 0;
}

/* n <= CVXR_BASE_ORDER, in a transposed copy U whose rows the tiles take as they are: mr rows
   of the factor at a time, the rows above multiplied, then their own triangle solved. U is
   padded, so that tiles may stick out; what lies below its diagonal is never used. */
static size_t CVXR_T(cvxr_potrf_base)(const CVXR_T(cvxr_kernels) *kernels, size_t n,
                                      CVXR_REAL *A, size_t lda, void *slice) {
    const size_t mr = kernels->mr, unit = kernels->unit;
    const size_t ldu = (n + 2 * unit - 1) / unit * unit;
    CVXR_REAL *U = (CVXR_REAL *)slice, *row;
    size_t at, i, j, w, rows, fail;
    memset(U, 0, (n + mr - 1) / mr * mr * ldu * sizeof *U);
    for (at = 0; at < n; at += mr) {
        rows = cvxr_min_z(mr, n - at);
        row = U + at * ldu;
        for (i = 0; i < rows; i++)
            for (j = 0; j <= i; j++) row[j * ldu + at + i] = A[(at + i) * lda + at + j];
        if (at + mr < n)
            kernels->turn(n - at - mr, mr, A + (at + mr) * lda + at, lda, row + at + mr, ldu);
        for (i = at; i < n && at > 0; i += w * unit) {
            w = (CVXR_T(cvxr_tile_cols)(kernels, n - i) + unit - 1) / unit;
            kernels->tile(at, U + at, 1, ldu, U + i, ldu, w, -1, 1, row + i, ldu);
        }
        fail = CVXR_T(cvxr_potrf_corner)(rows, row + at, ldu);
        if (fail) return at + fail;
        for (i = at + mr; i < n; i += w * unit) {
            w = (CVXR_T(cvxr_tile_cols)(kernels, n - i) + unit - 1) / unit;
            kernels->triangle(0, row + at, 1, ldu, w, row + i, ldu);
        }
        for (i = 0; i < rows; i++)
            for (j = 0; j <= i; j++) A[(at + i) * lda + at + j] = row[j * ldu + at + i];
        if (at + mr < n)
            kernels->turn(mr, n - at - mr, row + at + mr, ldu, A + (at + mr) * lda + at, lda);
    }
    return 0;
}

/* A = L L^T, lower triangle in place, the upper one untouched. Returns 0, or the 1-based index
   of the first pivot that is not positive and finite; then A is spent. Shared by a team: the
   solves and products between blocks of 64; up to about n = 128 it stays on one thread. */
CVXR_UNUSED static size_t CVXR_T(cvxr_potrf)(const cvxr_la *la, size_t n, CVXR_REAL *A,
                                             size_t lda) {
    size_t h = cvxr_half_order(n), fail;
    CVXR_REAL *A21;
    if (n == 0) return 0;
    if (la->blas && la->blas->CVXR_BLAS(potrf) && cvxr_hookable(n, lda, 0, 0, 0))
        return la->blas->CVXR_BLAS(potrf)(la->blas->context, 'U', n, A, lda);
    if (n <= CVXR_BASE_ORDER)
        return CVXR_T(cvxr_potrf_base)(CVXR_T(cvxr_kernels_for)(la), n, A, lda, la->work);
    A21 = A + h * lda;
    fail = CVXR_T(cvxr_potrf)(la, h, A, lda);
    if (fail) return fail;
    CVXR_T(cvxr_solve_run)(la, 0, 1, h, n - h, A, lda, A21, lda);
    CVXR_T(cvxr_syrk)(la, 0, n - h, h, -1, A21, lda, 1, A21 + h, lda);
    fail = CVXR_T(cvxr_potrf)(la, n - h, A21 + h, lda);
    return fail ? fail + h : 0;
}

/* x = L^{-1} x for a block of L: dot products, four rows at a time. */
static void CVXR_T(cvxr_potrs_down)(const CVXR_T(cvxr_kernels) *kernels, size_t n,
                                    const CVXR_REAL *L, size_t ldl, CVXR_REAL *x) {
    size_t i, r, q, rows;
    CVXR_REAL s[4];
    for (i = 0; i < n; i += rows) {
        const CVXR_REAL *a = L + i * ldl;
        rows = cvxr_min_z(4, n - i);
        if (rows == 4) kernels->dots(i, a, ldl, x, s);
        else
            for (r = 0; r < rows; r++) s[r] = kernels->dot(i, a + r * ldl, x);
        for (r = 0; r < rows; r++) {
            CVXR_REAL sum = x[i + r] - s[r];
            for (q = 0; q < r; q++) sum -= a[r * ldl + i + q] * x[i + q];
            x[i + r] = sum / a[r * ldl + i + r];
        }
    }
}

/* x = L^{-T} x for a block of L: combinations of rows. */
static void CVXR_T(cvxr_potrs_up)(const CVXR_T(cvxr_kernels) *kernels, size_t n,
                                  const CVXR_REAL *L, size_t ldl, CVXR_REAL *x) {
    size_t i, r, q, rows;
    CVXR_REAL s[4];
    for (i = n; i > 0;) {
        const CVXR_REAL *a;
        rows = i % 4 ? i % 4 : 4;
        i -= rows;
        a = L + i * ldl;
        for (r = rows; r-- > 0;) {
            CVXR_REAL sum = x[i + r];
            for (q = r + 1; q < rows; q++) sum -= a[q * ldl + i + r] * x[i + q];
            x[i + r] = sum / a[r * ldl + i + r];
            s[r] = -x[i + r];
        }
        if (rows == 4) kernels->axpys(i, s, a, ldl, x);
        else
            for (r = 0; r < rows; r++) kernels->axpy(i, s[r], a + r * ldl, x);
    }
}

/* x = (L L^T)^{-1} x, a block of rows at a time; what stands left of its triangle is a matrix
   times a vector, which the team shares. The speed is that of reading L twice. */
#define CVXR_SOLVE_BLOCK ((size_t)256)
CVXR_UNUSED static void CVXR_T(cvxr_potrs)(const cvxr_la *la, size_t n, const CVXR_REAL *L,
                                           size_t ldl, CVXR_REAL *x) {
    const CVXR_T(cvxr_kernels) *kernels = CVXR_T(cvxr_kernels_for)(la);
    size_t i, end;
    for (i = 0; i < n; i = end) {
        const CVXR_REAL *rows = L + i * ldl;
        end = cvxr_min_z(n, i + CVXR_SOLVE_BLOCK);
        if (i > 0) CVXR_T(cvxr_gemv)(la, 0, end - i, i, -1, rows, ldl, x, 1, x + i);
        CVXR_T(cvxr_potrs_down)(kernels, end - i, rows + i, ldl, x + i);
    }
    for (end = n; end > 0; end = i) {
        const CVXR_REAL *rows;
        i = (end - 1) / CVXR_SOLVE_BLOCK * CVXR_SOLVE_BLOCK;
        rows = L + i * ldl;
        CVXR_T(cvxr_potrs_up)(kernels, end - i, rows + i, ldl, x + i);
        if (i > 0) CVXR_T(cvxr_gemv)(la, 1, end - i, i, -1, rows, ldl, x + i, 1, x);
    }
}
#undef CVXR_SOLVE_BLOCK
#undef CVXR_KC
#undef CVXR_BLAS
#endif

#if !defined(CVXR_TYPED)

/* ---- Householder QR, float64. */

/* A (m x n) = Q R: R on and above the diagonal, below it the reflectors H_j = I - tau_j v v^T
   with v_j = 1 left out, Q = H_0 H_1 ... (min(m, n) of them). tau: n entries, also scratch. */
CVXR_UNUSED static void cvxr_qr(size_t m, size_t n, double *A, size_t lda, double *tau) {
    size_t i, j, count = cvxr_min_z(m, n);
    for (j = 0; j < n; j++) tau[j] = 0;
    for (j = 0; j < count; j++) {
        double most = 0, sum = 0, alpha = A[j * lda + j], norm, beta, *w = tau + j + 1;
        for (i = j + 1; i < m; i++) most = cvxr_max(most, fabs(A[i * lda + j]));
        tau[j] = 0;
        if (most == 0) continue;
        most = cvxr_max(most, fabs(alpha));
        for (i = j; i < m; i++) sum += (A[i * lda + j] / most) * (A[i * lda + j] / most);
        norm = most * sqrt(sum);
        beta = alpha > 0 ? -norm : norm;
        tau[j] = (beta - alpha) / beta;
        for (i = j + 1; i < m; i++) A[i * lda + j] /= alpha - beta;
        A[j * lda + j] = beta;
        for (i = 0; i < n - j - 1; i++) w[i] = A[j * lda + j + 1 + i];
        for (i = j + 1; i < m; i++)
            cvxr_axpy_f64(n - j - 1, A[i * lda + j], A + i * lda + j + 1, w);
        cvxr_axpy_f64(n - j - 1, -tau[j], w, A + j * lda + j + 1);
        for (i = j + 1; i < m; i++)
            cvxr_axpy_f64(n - j - 1, -tau[j] * A[i * lda + j], w, A + i * lda + j + 1);
    }
}

/* x = H_j x */
static void cvxr_reflect(size_t m, size_t j, const double *A, size_t lda, double tau,
                         double *x) {
    double sum = x[j];
    size_t i;
    for (i = j + 1; i < m; i++) sum += A[i * lda + j] * x[i];
    sum *= tau;
    x[j] -= sum;
    for (i = j + 1; i < m; i++) x[i] -= sum * A[i * lda + j];
}

/* x (m entries) = Q^T x and Q x, from `count` = min(m, n) reflectors. */
CVXR_UNUSED static void cvxr_qr_apply_qt(size_t m, size_t count, const double *A, size_t lda,
                                         const double *tau, double *x) {
    size_t j;
    for (j = 0; j < count; j++) cvxr_reflect(m, j, A, lda, tau[j], x);
}

CVXR_UNUSED static void cvxr_qr_apply_q(size_t m, size_t count, const double *A, size_t lda,
                                        const double *tau, double *x) {
    size_t j;
    for (j = count; j-- > 0;) cvxr_reflect(m, j, A, lda, tau[j], x);
}

/* x = R^{-1} x (trans = 0) or R^{-T} x, R the upper triangle of order n of A; no zero on its
   diagonal. */
CVXR_UNUSED static void cvxr_qr_solve_r(int trans, size_t n, const double *A, size_t lda,
                                        double *x) {
    size_t i;
    if (trans)
        for (i = 0; i < n; i++) {
            x[i] /= A[i * lda + i];
            cvxr_axpy_f64(n - i - 1, -x[i], A + i * lda + i + 1, x + i + 1);
        }
    else
        for (i = n; i-- > 0;)
            x[i] = (x[i] - cvxr_dot_f64(n - i - 1, A + i * lda + i + 1, x + i + 1)) /
                   A[i * lda + i];
}

/* ---- Symmetric eigenvalues, float64: tridiagonal form by reflections, then implicit QL. */

static void cvxr_transpose_square(size_t n, double *A, size_t lda) {
    size_t i, j;
    for (i = 0; i < n; i++)
        for (j = 0; j < i; j++) {
            double t = A[i * lda + j];
            A[i * lda + j] = A[j * lda + i];
            A[j * lda + i] = t;
        }
}

/* Lower triangle of A -> diagonal d, subdiagonal e[1 ..]; row i of A keeps the reflector u of
   row i (i entries) and d[i] temporarily its h = |u|^2 / 2. */
static void cvxr_tridiagonal_reduce(size_t n, double *A, size_t lda, double *d, double *e) {
    size_t i, j;
    for (i = n; i-- > 1;) {
        double *u = A + i * lda, scale = 0, h, f, g;
        for (j = 0; j < i; j++) scale = cvxr_max(scale, fabs(u[j]));
        e[i] = u[i - 1];
        d[i] = 0;
        for (f = 0, j = 0; j + 1 < i; j++) f = cvxr_max(f, fabs(u[j]));
        if (f == 0) continue;
        for (j = 0; j < i; j++) u[j] /= scale;
        h = cvxr_dot_f64(i, u, u);
        f = u[i - 1];
        g = f >= 0 ? -sqrt(h) : sqrt(h);
        e[i] = scale * g;
        h -= f * g;
        u[i - 1] = f - g;
        d[i] = h;
        for (j = 0; j < i; j++) e[j] = 0; /* e[0 .. i-1] = A u / h, then - (u.Au / 2h^2) u */
        for (j = 0; j < i; j++) {
            e[j] += cvxr_dot_f64(j + 1, A + j * lda, u);
            cvxr_axpy_f64(j, u[j], A + j * lda, e);
        }
        for (j = 0; j < i; j++) e[j] /= h;
        cvxr_axpy_f64(i, -cvxr_dot_f64(i, e, u) / (h + h), u, e);
        for (j = 0; j < i; j++) {
            cvxr_axpy_f64(j + 1, -u[j], e, A + j * lda);
            cvxr_axpy_f64(j + 1, -e[j], u, A + j * lda);
        }
    }
    e[0] = 0;
}

/* The reflectors of cvxr_tridiagonal_reduce, in place, to their product Q; d becomes the
   diagonal. */
static void cvxr_tridiagonal_expand(size_t n, double *A, size_t lda, double *d, double *g) {
    size_t i, j;
    for (i = 0; i < n; i++) {
        double *u = A + i * lda, h = i ? d[i] : 0;
        if (h != 0) {
            for (j = 0; j < i; j++) g[j] = 0;
            for (j = 0; j < i; j++) cvxr_axpy_f64(i, u[j], A + j * lda, g);
            for (j = 0; j < i; j++) cvxr_axpy_f64(i, -u[j] / h, g, A + j * lda);
        }
        d[i] = u[i];
        for (j = 0; j < i; j++) u[j] = A[j * lda + i] = 0;
        u[i] = 1;
    }
}

/* Rows x and y turned: y' = s x + c y, x' = c x - s y. */
static void cvxr_rotate_rows(size_t n, double c, double s, double *x, double *y) {
    size_t j;
    for (j = 0; j < n; j++) {
        double t = y[j];
        y[j] = s * x[j] + c * t;
        x[j] = c * x[j] - s * t;
    }
}

/* One QL sweep with Wilkinson's shift on the unreduced block l .. m; rows of V turn with it. */
static void cvxr_ql_sweep(size_t l, size_t m, double *d, double *e, size_t n, double *V,
                          size_t ldv) {
    double g = (d[l + 1] - d[l]) / (2 * e[l]), r = hypot(g, 1), s = 1, c = 1, p = 0, f, b;
    size_t i;
    g = d[m] - d[l] + e[l] / (g + (g >= 0 ? r : -r));
    for (i = m; i-- > l;) {
        f = s * e[i];
        b = c * e[i];
        r = hypot(f, g);
        e[i + 1] = r;
        if (r == 0) {
            d[i + 1] -= p;
            e[m] = 0;
            return;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        cvxr_rotate_rows(n, c, s, V + i * ldv, V + (i + 1) * ldv);
    }
    d[l] -= p;
    e[l] = g;
    e[m] = 0;
}

static void cvxr_sort_rows(size_t n, size_t wide, double *w, double *V, size_t ldv) {
    size_t i, j, k, q;
    for (i = 0; i + 1 < n; i++) {
        for (k = i, j = i + 1; j < n; j++)
            if (w[j] < w[k]) k = j;
        if (k == i) continue;
        {
            double t = w[i];
            w[i] = w[k];
            w[k] = t;
        }
        for (q = 0; q < wide; q++) {
            double t = V[i * ldv + q];
            V[i * ldv + q] = V[k * ldv + q];
            V[k * ldv + q] = t;
        }
    }
}

/* The largest magnitude of an m x n matrix (its lower triangle), or -1 when an entry is not
   finite. */
static double cvxr_matrix_most(int lower, size_t m, size_t n, const double *A, size_t lda) {
    double most = 0;
    size_t i, j, cols;
    for (i = 0; i < m; i++)
        for (cols = lower ? i + 1 : n, j = 0; j < cols; j++) {
            if (!cvxr_finite(A[i * lda + j])) return -1;
            most = cvxr_max(most, fabs(A[i * lda + j]));
        }
    return most;
}

/* T's eigenvalues, d its diagonal and e (n) what is beside it; the first `wide` entries of the
   n rows of V turn with it. Returns 0 when one needs more than 60 sweeps. */
static int cvxr_tridiagonal_solve(size_t n, double *d, double *e, size_t wide, double *V,
                                  size_t ldv) {
    size_t l, m;
    int sweeps;
    for (l = 0; l < n; l++)
        for (sweeps = 0;; sweeps++) {
            for (m = l; m + 1 < n; m++)
                if (fabs(e[m]) <= 2.2204460492503131e-16 * (fabs(d[m]) + fabs(d[m + 1]))) break;
            if (m == l) break;
            if (sweeps == 60) return 0;
            cvxr_ql_sweep(l, m, d, e, wide, V, ldv);
        }
    return 1;
}

/* Eigenvalues w (ascending) and, for vectors nonzero, eigenvectors (rows, in place of A) of the
   symmetric matrix whose lower triangle A holds; without vectors A is spent. work: 2n doubles.
   Returns 1, or 0 when an entry is not finite or an eigenvalue needs more than 60 sweeps. */
static int cvxr_eigh_rows(int vectors, size_t n, double *A, size_t lda, double *w,
                          double *work) {
    double *e = work, most = cvxr_matrix_most(1, n, n, A, lda);
    size_t i, j, wide = vectors ? n : 0;
    int exponent = 0;
    if (most < 0) return 0;
    if (most > 0) (void)frexp(most, &exponent);
    for (i = 0; i < n; i++)
        for (j = 0; j <= i; j++) A[i * lda + j] = ldexp(A[i * lda + j], -exponent);
    if (n == 0) return 1;
    cvxr_tridiagonal_reduce(n, A, lda, w, e);
    if (vectors) {
        cvxr_tridiagonal_expand(n, A, lda, w, work + n);
        cvxr_transpose_square(n, A, lda);
    } else
        for (i = 0; i < n; i++) w[i] = A[i * lda + i];
    for (i = 1; i < n; i++) e[i - 1] = e[i];
    e[n - 1] = 0;
    if (!cvxr_tridiagonal_solve(n, w, e, wide, A, lda)) return 0;
    cvxr_sort_rows(n, wide, w, A, lda);
    for (i = 0; i < n; i++) w[i] = ldexp(w[i], exponent);
    return 1;
}

/* The same with the eigenvectors in columns. */
CVXR_UNUSED static int cvxr_eigh(size_t n, double *A, size_t lda, double *w, double *work) {
    if (!cvxr_eigh_rows(1, n, A, lda, w, work)) return 0;
    cvxr_transpose_square(n, A, lda);
    return 1;
}

/* cvxr_eigh_rows, by the caller's table where it has the entry: a row-major lower triangle is a
   column-major upper one, and LAPACK's columns are rows here. */
CVXR_UNUSED static int cvxr_eigen(const cvxr_la *la, int vectors, size_t n, double *A,
                                  size_t lda, double *w, double *work) {
    if (la->blas && la->blas->dsyevd && n && cvxr_hookable(n, lda, 0, 0, 0)) {
        if (cvxr_matrix_most(1, n, n, A, lda) < 0) return 0;
        return la->blas->dsyevd(la->blas->context, vectors ? 'V' : 'N', 'U', n, A, lda, w) == 0;
    }
    return cvxr_eigh_rows(vectors, n, A, lda, w, work);
}

/* ---- Singular values, float64: one-sided Jacobi on the shorter side. */

#define CVXR_EPS 2.2204460492503131e-16

/* Turn every pair of the k rows of G (length len) until all are orthogonal; W (k x k) turns
   with them. Returns 1 when a sweep turned nothing. */
static int cvxr_jacobi_rows(size_t k, size_t len, double *G, double *W) {
    size_t i, j;
    int sweep, turned = 1;
    for (sweep = 0; sweep < 60 && turned; sweep++)
        for (turned = 0, i = 0; i < k; i++)
            for (j = i + 1; j < k; j++) {
                double *x = G + i * len, *y = G + j * len;
                double a = cvxr_dot_f64(len, x, x), b = cvxr_dot_f64(len, y, y);
                double g = cvxr_dot_f64(len, x, y), zeta, t, c;
                if (fabs(g) <= 4 * CVXR_EPS * sqrt(a) * sqrt(b) || g == 0) continue;
                turned = 1;
                zeta = (b - a) / (2 * g);
                t = (zeta >= 0 ? 1 : -1) / (fabs(zeta) + hypot(zeta, 1));
                c = 1 / hypot(t, 1);
                cvxr_rotate_rows(len, c, c * t, x, y);
                cvxr_rotate_rows(k, c, c * t, W + i * k, W + j * k);
            }
    return !turned;
}

/* A (m x n) = U diag(s) V^T with k = min(m, n): s descending, U m x k, V n x k (row stride k;
   either may be NULL). A singular value of 0 has a zero column on the longer side. work: k
   max(m, n) + k k doubles. Returns 1, or 0 when an entry is not finite or 60 sweeps do not
   suffice. */
CVXR_UNUSED static int cvxr_svd(size_t m, size_t n, const double *A, size_t lda, double *s,
                                double *U, double *V, double *work) {
    size_t k = cvxr_min_z(m, n), len = cvxr_max_z(m, n), i, j, wide = m <= n;
    double *G = work, *W = work + k * len, *shorter = wide ? U : V, *longer = wide ? V : U;
    double most = cvxr_matrix_most(0, m, n, A, lda);
    int exponent = 0;
    if (most < 0) return 0;
    if (most > 0) (void)frexp(most, &exponent);
    for (i = 0; i < k; i++)
        for (j = 0; j < len; j++)
            G[i * len + j] = ldexp(wide ? A[i * lda + j] : A[j * lda + i], -exponent);
    for (i = 0; i < k; i++)
        for (j = 0; j < k; j++) W[i * k + j] = i == j;
    if (!cvxr_jacobi_rows(k, len, G, W)) return 0;
    for (i = 0; i < k; i++) s[i] = cvxr_norm2_f64(len, G + i * len);
    for (i = 0; i < k; i++) {
        size_t top = i, from;
        double t;
        for (j = i + 1; j < k; j++)
            if (s[j] > s[top]) top = j;
        t = s[top];
        s[top] = s[i];
        s[i] = ldexp(t, exponent);
        for (j = 0; j < len; j++) {
            from = i * len + j;
            {
                double swap = G[top * len + j];
                G[top * len + j] = G[from];
                G[from] = swap;
            }
            if (longer) longer[j * k + i] = t > 0 ? G[from] / t : 0;
        }
        for (j = 0; j < k; j++) {
            from = i * k + j;
            {
                double swap = W[top * k + j];
                W[top * k + j] = W[from];
                W[from] = swap;
            }
            if (shorter) shorter[j * k + i] = W[from];
        }
    }
    return 1;
}

/* The singular values (descending, k = min(m, n) of them) above rounding: s_i > max(m, n) eps
   s_0. */
CVXR_UNUSED static size_t cvxr_rank(size_t m, size_t n, const double *s) {
    size_t i, k = cvxr_min_z(m, n);
    for (i = 0; i < k && s[i] > (double)cvxr_max_z(m, n) * CVXR_EPS * s[0];) i++;
    return i;
}
#undef CVXR_EPS

/* ---- A table of the caller's CBLAS. Opt-in: include any cblas.h, define CVXRELU_CBLAS, then
   include this file. The prototypes of that header turn sizes (below 2^31, see cvxr_hookable)
   into its own integers. potrf and dsyevd stay NULL: they are not in
   CBLAS. */
#if defined(CVXRELU_CBLAS)
#define CVXR_INT(x)   ((int)((x)&0x7fffffff))
#define CVXR_TRANS(t) ((t) == 'N' ? CblasNoTrans : CblasTrans)
#define CVXR_UPLO(u)  ((u) == 'U' ? CblasUpper : CblasLower)
#define CVXR_CBLAS(s, real)                                                                    \
    static void cvxr_cblas_##s##gemm(void *context, char ta, char tb, size_t m, size_t n,      \
                                     size_t k, real alpha, const real *a, size_t lda,          \
                                     const real *b, size_t ldb, real beta, real *c,            \
                                     size_t ldc) {                                             \
        (void)context;                                                                         \
        cblas_##s##gemm(CblasColMajor, CVXR_TRANS(ta), CVXR_TRANS(tb), CVXR_INT(m),            \
                        CVXR_INT(n), CVXR_INT(k), alpha, a, CVXR_INT(lda), b, CVXR_INT(ldb),   \
                        beta, c, CVXR_INT(ldc));                                               \
    }                                                                                          \
    static void cvxr_cblas_##s##syrk(void *context, char uplo, char trans, size_t n, size_t k, \
                                     real alpha, const real *a, size_t lda, real beta,         \
                                     real *c, size_t ldc) {                                    \
        (void)context;                                                                         \
        cblas_##s##syrk(CblasColMajor, CVXR_UPLO(uplo), CVXR_TRANS(trans), CVXR_INT(n),        \
                        CVXR_INT(k), alpha, a, CVXR_INT(lda), beta, c, CVXR_INT(ldc));         \
    }                                                                                          \
    static void cvxr_cblas_##s##gemv(void *context, char trans, size_t m, size_t n,            \
                                     real alpha, const real *a, size_t lda, const real *x,     \
                                     real beta, real *y) {                                     \
        (void)context;                                                                         \
        cblas_##s##gemv(CblasColMajor, CVXR_TRANS(trans), CVXR_INT(m), CVXR_INT(n), alpha, a,  \
                        CVXR_INT(lda), x, 1, beta, y, 1);                                      \
    }                                                                                          \
    static void cvxr_cblas_##s##trsm(void *context, char side, char uplo, char trans,          \
                                     char diag, size_t m, size_t n, real alpha, const real *a, \
                                     size_t lda, real *b, size_t ldb) {                        \
        (void)context;                                                                         \
        cblas_##s##trsm(CblasColMajor, side == 'L' ? CblasLeft : CblasRight, CVXR_UPLO(uplo),  \
                        CVXR_TRANS(trans), diag == 'U' ? CblasUnit : CblasNonUnit,             \
                        CVXR_INT(m), CVXR_INT(n), alpha, a, CVXR_INT(lda), b, CVXR_INT(ldb));  \
    }
CVXR_CBLAS(d, double)
CVXR_CBLAS(s, float)
#undef CVXR_INT
#undef CVXR_TRANS
#undef CVXR_UPLO
#undef CVXR_CBLAS

/* cvxrelu_blas_from_cblas - the table for options.blas, every CBLAS entry filled. */
CVXR_UNUSED static cvxrelu_blas cvxrelu_blas_from_cblas(void) {
    cvxrelu_blas blas;
    memset(&blas, 0, sizeof blas);
    blas.dgemm = cvxr_cblas_dgemm;
    blas.sgemm = cvxr_cblas_sgemm;
    blas.dsyrk = cvxr_cblas_dsyrk;
    blas.ssyrk = cvxr_cblas_ssyrk;
    blas.dgemv = cvxr_cblas_dgemv;
    blas.sgemv = cvxr_cblas_sgemv;
    blas.dtrsm = cvxr_cblas_dtrsm;
    blas.strsm = cvxr_cblas_strsm;
    return blas;
}
#endif

#undef CVXR_BASE
#undef CVXR_BASE_BYTES
#undef CVXR_SQUARES
#undef CVXR_PREFETCH
#undef CVXR_KC_BYTES
#undef CVXR_NC
#undef CVXR_STRIP_AT
#undef CVXR_TILE_AT
#undef CVXR_DIRECT_ROWS
#undef CVXR_DIRECT_SIZE
#undef CVXR_DIRECT_TILES
#undef CVXR_CLOSE
#undef CVXR_BASE_ORDER

/* ==== S06 DATA ===========================================================================
   The caller's views become the solver's matrices: everything about X and Y is checked, X is
   copied to float64 rows padded with zeros, scaled by column, and given its bias column; Y is
   coded (classes), centred (on request) and stored one output after the other.
   Uses S02, S03. Used by S07, S08, S17 to S24. Tests: tests/test_s06_data.c.
   Sources: column scaling [MSP22 C.1]; coding of classes: CLASSES in the manual.             */


/* Columns are scaled by their 2-norm, which has to stay finite; what is squared as it is (Y,
   and X without scaling) has to leave room for the square.                                   */
#define CVXR_LARGEST_SCALED 1e300
#define CVXR_LARGEST_PLAIN  1e150

typedef struct cvxr_data {
    size_t n, d, c, dp;        /* d: columns of the solver's X, bias included; dp: padded     */
    size_t features;           /* columns of the caller's X                                   */
    int has_bias;              /* the last of the d columns is the bias                       */
    size_t classes;            /* 0 for regression                                            */
    cvxrelu_scale scale;       /* resolved, never AUTO                                        */
    double *X;                 /* n x dp, padding zero: (x_ij - shift_j) / scales_j           */
    double *Y;                 /* c x n: output k is Y + k*n                                  */
    double *shift, *scales;    /* d each; the bias has x = 1, shift 0                         */
    double *y_shift;           /* c, what centring subtracted from Y                          */
} cvxr_data;

/* ---- Views ------------------------------------------------------------------------------ */

static size_t cvxr_matrix_stride(const cvxrelu_matrix *m) {
    return m->stride ? m->stride : m->cols;
}

static double cvxr_matrix_get(const cvxrelu_matrix *m, size_t i, size_t j) {
    size_t at = i * cvxr_matrix_stride(m) + j;
    return m->type == CVXRELU_FLOAT32 ? (double)((const float *)m->data)[at]
                                      : ((const double *)m->data)[at];
}

/* The shape of a view: name is what messages call it, "X" or "gates.given". */
static cvxrelu_result cvxr_matrix_check(const cvxrelu_matrix *m, const char *name,
                                        char *message) {
    size_t width = m->type == CVXRELU_FLOAT32 ? sizeof(float) : sizeof(double);
    size_t stride = cvxr_matrix_stride(m), span;
    if (m->type != CVXRELU_FLOAT64 && m->type != CVXRELU_FLOAT32)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "%s.type is %d, not CVXRELU_FLOAT64 or CVXRELU_FLOAT32", name,
                         (int)m->type);
    if (m->rows == 0) return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "%s has 0 rows", name);
    if (m->cols == 0) return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "%s has 0 columns", name);
    if (m->data == NULL)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "%s.data is NULL", name);
    if (stride < m->cols)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "%s.stride is %z elements, less than the %z columns", name, stride,
                         m->cols);
    if (!cvxr_size_mul(m->rows - 1, stride, &span) || span > SIZE_MAX - m->cols ||
        !cvxr_size_mul(span + m->cols, width, &span))
        return cvxr_fail(message, CVXRELU_ERR_SIZE, "%s (%z rows, stride %z) does not fit in "
                         "size_t", name, m->rows, stride);
    return CVXRELU_OK;
}

/* Every entry finite and at most `largest` in size; row_name is what messages call a row. */
static cvxrelu_result cvxr_matrix_scan(const cvxrelu_matrix *m, const char *name,
                                       const char *row_name, double largest, char *message) {
    size_t i, j;
    for (i = 0; i < m->rows; i++)
        for (j = 0; j < m->cols; j++) {
            double x = cvxr_matrix_get(m, i, j);
            if (!cvxr_finite(x))
                return cvxr_fail(message, CVXRELU_ERR_NONFINITE,
                                 "%s holds %g at %s %z, column %z (from 0)", name, x, row_name,
                                 i, j);
            if (fabs(x) > largest)
                return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                                 "%s holds %g at %s %z, column %z: the largest supported is %g",
                                 name, x, row_name, i, j, largest);
        }
    return CVXRELU_OK;
}

/* ---- Sizes, memory ---------------------------------------------------------------------- */

/* Adds the bytes of an array of rows x cols elements to *bytes; 0 when a size overflows. */
static int cvxr_bytes_add(size_t *bytes, size_t rows, size_t cols, size_t size) {
    size_t count, more;
    if (!cvxr_size_mul(rows, cols, &count)) return 0;
    more = cvxr_bytes(count, size);
    if (more == 0 || *bytes > SIZE_MAX - more) return 0;
    *bytes += more;
    return 1;
}

/* Bytes that cvxr_data_make takes and keeps until cvxr_data_free; 0 when they overflow. */
static size_t cvxr_data_bytes(size_t n, size_t features, int has_bias, size_t c) {
    size_t bytes = 0, d;
    if (features > SIZE_MAX / 2) return 0;
    d = features + (has_bias ? 1 : 0);
    if (!cvxr_bytes_add(&bytes, n, cvxr_pad(d), sizeof(double)) ||
        !cvxr_bytes_add(&bytes, c, n, sizeof(double)) ||
        !cvxr_bytes_add(&bytes, 2, cvxr_bytes(d, sizeof(double)), 1) ||
        !cvxr_bytes_add(&bytes, c, 1, sizeof(double)))
        return 0;
    return bytes;
}

/* Accepts a struct of zeros, and may be called twice. */
static void cvxr_data_free(cvxr_mem *mem, cvxr_data *data) {
    cvxr_release(mem, data->y_shift, data->c, sizeof(double));
    cvxr_release(mem, data->scales, data->d, sizeof(double));
    cvxr_release(mem, data->shift, data->d, sizeof(double));
    cvxr_release(mem, data->Y, data->c * data->n, sizeof(double));
    cvxr_release(mem, data->X, data->n * data->dp, sizeof(double));
    memset(data, 0, sizeof *data);
}

/* ---- Checks ----------------------------------------------------------------------------- */

static cvxrelu_result cvxr_data_check_options(const cvxrelu_problem *p, char *message) {
    if (p->task != CVXRELU_TASK_REGRESSION && p->task != CVXRELU_TASK_CLASSES)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "task is %d, not a cvxrelu_task",
                         (int)p->task);
    if (p->scale != CVXRELU_SCALE_AUTO && p->scale != CVXRELU_SCALE_STANDARD &&
        p->scale != CVXRELU_SCALE_UNIT && p->scale != CVXRELU_SCALE_NONE)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "scale is %d, not a cvxrelu_scale",
                         (int)p->scale);
    if (p->scale == CVXRELU_SCALE_STANDARD && p->no_bias)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "scale standard centres the columns, which needs the bias: "
                         "choose unit or none, or leave no_bias at 0");
    if (p->task == CVXRELU_TASK_CLASSES && p->centre_targets)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "centre_targets is for regression: class labels are not centred");
    return CVXRELU_OK;
}

/* Labels are 0 to C-1 in one column. There are at least two classes, whatever labels occur;
   more classes than rows can only mean that the column is no label.                          */
static cvxrelu_result cvxr_labels_check(const cvxrelu_matrix *Y, size_t *classes,
                                        char *message) {
    size_t i, last = 1;
    if (Y->cols != 1)
        return cvxr_fail(message, CVXRELU_ERR_LABELS, "class labels are one column, Y has %z",
                         Y->cols);
    for (i = 0; i < Y->rows; i++) {
        double y = cvxr_matrix_get(Y, i, 0);
        if (y < 0 || y != floor(y))
            return cvxr_fail(message, CVXRELU_ERR_LABELS, "Y holds %g at row %z: class labels "
                             "are the integers 0 to C-1", y, i);
        if (y > 1 && y >= (double)Y->rows)
            return cvxr_fail(message, CVXRELU_ERR_LABELS, "Y holds %g at row %z: class labels "
                             "are the integers 0 to C-1, and C is at most the %z rows", y, i,
                             Y->rows);
        last = cvxr_max_z(last, (size_t)y);
    }
    *classes = last + 1;
    return CVXRELU_OK;
}

static cvxrelu_result cvxr_data_check(const cvxrelu_problem *p, size_t *classes,
                                      char *message) {
    const cvxrelu_matrix *X = &p->X, *Y = &p->Y;
    double largest = p->scale == CVXRELU_SCALE_NONE ? CVXR_LARGEST_PLAIN : CVXR_LARGEST_SCALED;
    cvxrelu_result result = cvxr_data_check_options(p, message);
    *classes = 0;
    if (!result) result = cvxr_matrix_check(X, "X", message);
    if (!result) result = cvxr_matrix_check(Y, "Y", message);
    if (!result && X->rows != Y->rows)
        result = cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "X has %z rows and Y has %z",
                           X->rows, Y->rows);
    if (!result) result = cvxr_matrix_scan(X, "X", "row", largest, message);
    if (!result) result = cvxr_matrix_scan(Y, "Y", "row", CVXR_LARGEST_PLAIN, message);
    if (!result && p->task == CVXRELU_TASK_CLASSES)
        result = cvxr_labels_check(Y, classes, message);
    return result;
}

/* ---- Columns of X: CVXR_PAD neighbours at a time, which is one cache line of every row. -- */

typedef struct cvxr_columns {
    double *X;                           /* the first of the columns                          */
    size_t n, ld, width;                 /* rows, row stride, columns (at most CVXR_PAD)      */
    double factor[CVXR_PAD];             /* power of 2 that brings the largest entry below 1  */
    double mean[CVXR_PAD], norm[CVXR_PAD];       /* of the column times factor; centred norm  */
    int zero[CVXR_PAD];                  /* nothing is left of the column                     */
} cvxr_columns;

static void cvxr_columns_factor(cvxr_columns *s) {
    double top[CVXR_PAD] = { 0 };
    size_t i, k;
    int exponent;
    for (i = 0; i < s->n; i++)
        for (k = 0; k < s->width; k++) top[k] = cvxr_max(top[k], fabs(s->X[i * s->ld + k]));
    for (k = 0; k < s->width; k++) {
        s->zero[k] = top[k] < DBL_MIN;
        (void)frexp(s->zero[k] ? 0.0 : top[k], &exponent);
        s->factor[k] = ldexp(1.0, -exponent);
        s->mean[k] = 0;
    }
}

/* One step of refinement: the mean of what the current mean leaves over is added to it. */
static void cvxr_columns_mean(cvxr_columns *s) {
    double sum[CVXR_PAD] = { 0 };
    size_t i, k;
    for (i = 0; i < s->n; i++)
        for (k = 0; k < s->width; k++)
            sum[k] += s->X[i * s->ld + k] * s->factor[k] - s->mean[k];
    for (k = 0; k < s->width; k++) s->mean[k] += sum[k] / (double)s->n;
}

/* A column whose entries all equal the mean up to rounding is constant: centred, it is zero. */
static void cvxr_columns_norm(cvxr_columns *s) {
    double sum[CVXR_PAD] = { 0 }, reach[CVXR_PAD] = { 0 };
    size_t i, k;
    for (i = 0; i < s->n; i++)
        for (k = 0; k < s->width; k++) {
            double x = s->X[i * s->ld + k] * s->factor[k] - s->mean[k];
            sum[k] += x * x;
            reach[k] = cvxr_max(reach[k], fabs(x));
        }
    for (k = 0; k < s->width; k++) {
        s->norm[k] = sqrt(sum[k]);
        if (reach[k] <= 4 * DBL_EPSILON * fabs(s->mean[k])) s->zero[k] = 1;
        if (s->norm[k] / s->factor[k] < DBL_MIN) s->zero[k] = 1;
    }
}

static void cvxr_columns_apply(const cvxr_columns *s, double *shift, double *scales) {
    size_t i, k;
    for (k = 0; k < s->width; k++) {
        shift[k] = s->mean[k] / s->factor[k];
        scales[k] = s->zero[k] ? 1.0 : s->norm[k] / s->factor[k];
    }
    for (i = 0; i < s->n; i++)
        for (k = 0; k < s->width; k++) {
            double *x = &s->X[i * s->ld + k];
            *x = s->zero[k] ? 0.0 : (*x - shift[k]) / scales[k];
        }
}

static void cvxr_data_scale(cvxr_data *data) {
    cvxr_columns s;
    size_t j;
    memset(&s, 0, sizeof s);
    s.n = data->n;
    s.ld = data->dp;
    for (j = 0; j < data->features; j += CVXR_PAD) {
        s.X = data->X + j;
        s.width = cvxr_min_z(CVXR_PAD, data->features - j);
        cvxr_columns_factor(&s);
        if (data->scale == CVXRELU_SCALE_STANDARD) {
            cvxr_columns_mean(&s);
            cvxr_columns_mean(&s);
        }
        cvxr_columns_norm(&s);
        cvxr_columns_apply(&s, data->shift + j, data->scales + j);
    }
}

/* ---- Filling ---------------------------------------------------------------------------- */

static void cvxr_data_fill_x(cvxr_data *data, const cvxrelu_matrix *X) {
    size_t i, j, b = data->features;
    for (j = 0; j < data->d; j++) data->shift[j] = 0, data->scales[j] = 1;
    for (i = 0; i < data->n; i++) {
        double *row = data->X + i * data->dp;
        for (j = 0; j < data->features; j++) row[j] = cvxr_matrix_get(X, i, j);
        for (; j < data->dp; j++) row[j] = 0;
    }
    if (data->scale != CVXRELU_SCALE_NONE) cvxr_data_scale(data);
    if (!data->has_bias) return;
    if (data->scale != CVXRELU_SCALE_NONE) data->scales[b] = sqrt((double)data->n);
    for (i = 0; i < data->n; i++) data->X[i * data->dp + b] = 1.0 / data->scales[b];
}

/* Two classes become one output -1/+1, more become one 0/1 output each. */
static void cvxr_data_fill_y(cvxr_data *data, const cvxrelu_matrix *Y, int centre) {
    size_t i, k, n = data->n;
    for (k = 0; k < data->c; k++) {
        double *y = data->Y + k * n, mean = 0;
        int pass;
        for (i = 0; i < n; i++) {
            if (data->classes == 0) y[i] = cvxr_matrix_get(Y, i, k);
            else if (data->classes == 2) y[i] = cvxr_matrix_get(Y, i, 0) > 0 ? 1.0 : -1.0;
            else y[i] = cvxr_matrix_get(Y, i, 0) == (double)k ? 1.0 : 0.0;
        }
        for (pass = 0; centre && pass < 2; pass++) {
            double sum = 0;
            for (i = 0; i < n; i++) sum += y[i] - mean;
            mean += sum / (double)n;
        }
        data->y_shift[k] = mean;
        for (i = 0; i < n; i++) y[i] -= mean;
    }
}

/* Checks X and Y and makes the solver's copy of them. On an error nothing is held, data is zero
   and message says which row, column or field is wrong.                                      */
static cvxrelu_result cvxr_data_make(cvxr_mem *mem, const cvxrelu_problem *p, cvxr_data *data,
                                     char *message) {
    size_t classes;
    cvxrelu_result result = cvxr_data_check(p, &classes, message);
    memset(data, 0, sizeof *data);
    if (result) return result;
    data->n = p->X.rows;
    data->features = p->X.cols;
    data->has_bias = !p->no_bias;
    data->d = data->features + (data->has_bias ? 1 : 0);
    data->dp = cvxr_pad(data->d);
    data->classes = classes;
    data->c = classes == 0 ? p->Y.cols : classes == 2 ? 1 : classes;
    data->scale = p->scale;
    if (p->scale == CVXRELU_SCALE_AUTO)
        data->scale = data->has_bias ? CVXRELU_SCALE_STANDARD : CVXRELU_SCALE_UNIT;
    if (cvxr_data_bytes(data->n, data->features, data->has_bias, data->c) == 0) {
        result = cvxr_fail(message, CVXRELU_ERR_SIZE, "%z rows, %z columns and %z outputs do "
                           "not fit in size_t", data->n, data->d, data->c);
        memset(data, 0, sizeof *data);
        return result;
    }
    data->X = (double *)cvxr_alloc(mem, data->n * data->dp, sizeof(double));
    data->Y = (double *)cvxr_alloc(mem, data->c * data->n, sizeof(double));
    data->shift = (double *)cvxr_alloc(mem, data->d, sizeof(double));
    data->scales = (double *)cvxr_alloc(mem, data->d, sizeof(double));
    data->y_shift = (double *)cvxr_alloc(mem, data->c, sizeof(double));
    result = cvxr_mem_result(mem, message);
    if (result) {
        cvxr_data_free(mem, data);
        return result;
    }
    cvxr_data_fill_x(data, &p->X);
    cvxr_data_fill_y(data, &p->Y, p->centre_targets);
    return CVXRELU_OK;
}

#undef CVXR_LARGEST_SCALED
#undef CVXR_LARGEST_PLAIN

/* ==== S07 PATTERNS =======================================================================
   Activation patterns D = 1(X g >= 0) of gates g: sampled, or given by the caller; kept as bits
   with the gates that carry them. THE TIE RULE: a zero product counts as active. The sign of
   every product of a sampled gate is certain: it has a margin above rounding, both in the
   solver's coordinates and in the caller's (see cvxr_margins); only rows that are exactly zero
   on the gate's support are ties. Masks are computed once, in float64.
   Each draw has its own generator, seeded by the recipe's: the first draws of a longer recipe
   are the draws of the shorter one.
   Uses S01 to S04, S06. Used by S08, S22, S24. Tests: tests/test_s07_patterns.c.
   Sources: [MSP22] sections 2 and 3.2, E.1 (share of active rows), F (patches).              */

#define CVXR_PANEL   8         /* gates multiplied with X together                            */
#define CVXR_PANEL_TASKS 16    /* threads that share the rows of a panel, at most             */
#define CVXR_REDRAWS 10        /* how often a gate with an uncertain sign is drawn anew       */

typedef struct cvxr_patterns {
    size_t n, d, words, count;     /* words = (n + 63) / 64                                   */
    uint64_t *bits;                /* count x words: row i of pattern p is bit i % 64 of
                                      bits[p*words + i/64]; the bits after the last row are 0 */
    double *gates;                 /* count x d, solver's coordinates                         */
    size_t capacity;               /* patterns that the two arrays have room for              */
    size_t near_ties;              /* products of given gates within rounding of zero         */
} cvxr_patterns;

/* What making patterns needs besides the result. */
typedef struct cvxr_sampling {
    const cvxr_data *data;
    const cvxrelu_gates *recipe;
    cvxr_patterns *out;
    cvxr_team team;
    int wide;                      /* the CPU has AVX2; the bits are the same without         */
    size_t draws, slots;           /* gates in all, and in a panel (POINTS: half)             */
    cvxrelu_random seeds;          /* one number a draw                                       */
    cvxrelu_random random[CVXR_PANEL];
    int accepted[CVXR_PANEL];
    size_t dropped_zero, dropped_near;   /* all-zero patterns, uncertain signs                */
    double widest;                 /* largest margin                                          */
    size_t live_count, live_features, used_count;
    size_t reals, indices;         /* elements of the two scratch blocks                      */
    double *real_block;            /* scratch:                                                */
    double *margin;                /*   n: see cvxr_margins                                   */
    double *panel;                 /*   d x CVXR_PANEL: gates of the panel, as columns        */
    double *z;                     /*   CVXR_PANEL x n: products of the panel                 */
    double *aim;                   /*   CVXR_PANEL/2 x d: POINTS, directions off the points   */
    double *spare;                 /*   active_share: n projections; POINTS: the rows         */
    size_t *index_block;
    size_t *table;                 /*   hash table, pattern + 1 or 0; table_size a power of 2 */
    size_t table_size;
    size_t *live;                  /*   d: columns where a sampled gate may be nonzero        */
    size_t *used;                  /*   d: columns where a gate of the panel is nonzero       */
    size_t *rows;                  /*   d: rows drawn by POINTS                               */
} cvxr_sampling;

/* ---- Sizes, memory ---------------------------------------------------------------------- */

/* Gates that a recipe draws, or hands over. */
static size_t cvxr_gates_count(const cvxrelu_gates *recipe) {
    if (recipe->sampler == CVXRELU_SAMPLER_GIVEN) return recipe->given.rows;
    return recipe->count ? recipe->count : 1000;
}

/* Slots of the hash table: a power of two, at most half of them taken; 0 when it overflows. */
static size_t cvxr_table_size(size_t count) {
    size_t size = 16;
    while (size / 2 < count) {
        if (size > SIZE_MAX / 4) return 0;
        size *= 2;
    }
    return size;
}

/* Elements of the spare scratch of POINTS: at most d-1 rows with a right-hand side. */
static size_t cvxr_points_reals(size_t n, size_t d) {
    size_t reals;
    return cvxr_size_mul(cvxr_min_z(n, d), d + 1, &reals) ? reals : 0;
}

static size_t cvxr_sampling_reals(size_t n, size_t d, size_t spare) {
    size_t reals;
    if (n > SIZE_MAX / 64 || d > SIZE_MAX / 64 || spare > SIZE_MAX / 4) return 0;
    reals = (CVXR_PANEL + 1) * n + (CVXR_PANEL + CVXR_PANEL / 2) * d;
    return reals + spare;
}

/* The most that cvxr_patterns_make holds at once for `count` gates, whatever the sampler, the
   result (which is sized by count) included; 0 when it overflows.                            */
static size_t cvxr_patterns_bytes(size_t n, size_t d, size_t count) {
    size_t bytes = 0, table = cvxr_table_size(count), points = cvxr_points_reals(n, d);
    size_t reals = cvxr_sampling_reals(n, d, cvxr_max_z(n, points));
    if (table == 0 || points == 0 || reals == 0 || table > SIZE_MAX - 3 * d ||
        !cvxr_bytes_add(&bytes, count, (n + 63) / 64, sizeof(uint64_t)) ||
        !cvxr_bytes_add(&bytes, count, d, sizeof(double)) ||
        !cvxr_bytes_add(&bytes, 1, reals, sizeof(double)) ||
        !cvxr_bytes_add(&bytes, 1, table + 3 * d, sizeof(size_t)))
        return 0;
    return bytes;
}

/* Accepts a struct of zeros, and may be called twice. */
static void cvxr_patterns_free(cvxr_mem *mem, cvxr_patterns *patterns) {
    cvxr_release(mem, patterns->gates, patterns->capacity * patterns->d, sizeof(double));
    cvxr_release(mem, patterns->bits, patterns->capacity * patterns->words, sizeof(uint64_t));
    memset(patterns, 0, sizeof *patterns);
}

/* Takes the result's arrays and the scratch in two blocks; the sizes were checked. */
static void cvxr_sampling_allocate(cvxr_mem *mem, cvxr_sampling *s) {
    size_t n = s->data->n, d = s->data->d, spare = 0;
    cvxr_patterns *out = s->out;
    if (s->recipe->active_share > 0) spare = n;
    if (s->recipe->sampler == CVXRELU_SAMPLER_POINTS) spare = cvxr_points_reals(n, d);
    s->table_size = s->recipe->sampler == CVXRELU_SAMPLER_GIVEN ? 0 : cvxr_table_size(s->draws);
    s->reals = cvxr_sampling_reals(n, d, spare);
    s->indices = s->table_size + 3 * d;
    out->bits = (uint64_t *)cvxr_alloc(mem, out->capacity * out->words, sizeof(uint64_t));
    out->gates = (double *)cvxr_alloc(mem, out->capacity * d, sizeof(double));
    s->real_block = (double *)cvxr_alloc(mem, s->reals, sizeof(double));
    s->index_block = (size_t *)cvxr_alloc_zero(mem, s->indices, sizeof(size_t));
    if (mem->failed) return;
    s->panel = s->real_block;              /* on a cache line                                 */
    s->z = s->panel + CVXR_PANEL * d;
    s->margin = s->z + CVXR_PANEL * n;
    s->aim = s->margin + n;
    s->spare = s->aim + CVXR_PANEL / 2 * d;
    s->table = s->index_block;
    s->live = s->table + s->table_size;
    s->used = s->live + d;
    s->rows = s->used + d;
}

static void cvxr_sampling_free(cvxr_mem *mem, cvxr_sampling *s) {
    cvxr_release(mem, s->index_block, s->indices, sizeof(size_t));
    cvxr_release(mem, s->real_block, s->reals, sizeof(double));
}

/* ---- Checks of a recipe ----------------------------------------------------------------- */

static cvxrelu_result cvxr_gates_check_patch(const cvxr_data *data, const cvxrelu_gates *recipe,
                                             char *message) {
    size_t channels = recipe->channels ? recipe->channels : 1;
    size_t patch = recipe->patch ? recipe->patch : 3, plane, all;
    if (!cvxr_size_mul(recipe->width, recipe->height, &plane) ||
        !cvxr_size_mul(plane, channels, &all) || all != data->features)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "gates.width %z x height %z x channels "
                         "%z is not the %z columns of X", recipe->width, recipe->height,
                         channels, data->features);
    if (patch > recipe->width || patch > recipe->height)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "gates.patch is %z, larger than the "
                         "image of %z x %z", patch, recipe->width, recipe->height);
    return CVXRELU_OK;
}

static cvxrelu_result cvxr_gates_check_share(const cvxr_data *data, const cvxrelu_gates *recipe,
                                             char *message) {
    double share = recipe->active_share;
    if (!cvxr_finite(share) || share < 0 || share >= 1)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "gates.active_share is %g: it is a "
                         "share between 0 and 1 (0 = leave it to chance)", share);
    if (share == 0) return CVXRELU_OK;
    if (recipe->sampler == CVXRELU_SAMPLER_GIVEN || recipe->sampler == CVXRELU_SAMPLER_POINTS)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "gates.active_share moves the bias of "
                         "gaussian, sparse and patch gates: these gates are %s",
                         recipe->sampler == CVXRELU_SAMPLER_GIVEN ? "given" : "through points");
    if (!data->has_bias || recipe->no_gate_bias)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "gates.active_share needs the bias: "
                         "leave no_bias and gates.no_gate_bias at 0");
    return CVXRELU_OK;
}

static cvxrelu_result cvxr_gates_check_given(const cvxr_data *data, const cvxrelu_gates *recipe,
                                             char *message) {
    const cvxrelu_matrix *given = &recipe->given;
    cvxrelu_result result = cvxr_matrix_check(given, "gates.given", message);
    if (result) return result;
    if (given->cols != data->features && given->cols != data->d)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "gates.given has %z columns: a gate is "
                         "a row of %z, %s", given->cols, data->features,
                         data->has_bias ? "or one more for the bias" : "without a bias");
    return cvxr_matrix_scan(given, "gates.given", "gate", DBL_MAX, message);
}

static cvxrelu_result cvxr_gates_check(const cvxr_data *data, const cvxrelu_gates *recipe,
                                       char *message) {
    cvxrelu_result result = CVXRELU_OK;
    if ((int)recipe->sampler < (int)CVXRELU_SAMPLER_GAUSSIAN ||
        (int)recipe->sampler > (int)CVXRELU_SAMPLER_GIVEN)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "gates.sampler is %d, not a "
                         "cvxrelu_sampler", (int)recipe->sampler);
    if (recipe->sampler == CVXRELU_SAMPLER_SPARSE && recipe->order > data->features)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "gates.order is %z: X has %z columns",
                         recipe->order, data->features);
    if (recipe->sampler == CVXRELU_SAMPLER_PATCH)
        result = cvxr_gates_check_patch(data, recipe, message);
    if (!result) result = cvxr_gates_check_share(data, recipe, message);
    if (!result && recipe->sampler == CVXRELU_SAMPLER_GIVEN)
        result = cvxr_gates_check_given(data, recipe, message);
    if (!result && cvxr_patterns_bytes(data->n, data->d, cvxr_gates_count(recipe)) == 0)
        result = cvxr_fail(message, CVXRELU_ERR_SIZE, "%z gates over %z rows and %z columns do "
                           "not fit in size_t", cvxr_gates_count(recipe), data->n, data->d);
    return result;
}

/* ---- Margins ---------------------------------------------------------------------------- */

/* 2-norm that neither overflows nor underflows on the way. */
static double cvxr_safe_norm(const double *x, size_t n) {
    double top = 0, sum = 0;
    size_t i;
    for (i = 0; i < n; i++) top = cvxr_max(top, fabs(x[i]));
    if (top < DBL_MIN) return top;
    for (i = 0; i < n; i++) sum += x[i] / top * (x[i] / top);
    return top * sqrt(sum);
}

/* The sign of x_j . g is certain when |x_j . g| > margin_j ||g||, margin_j = 64 d eps T_j. With
   T_j = ||x_j|| that bounds the rounding in the solver's coordinates. The folded gate has
   entries g_k / scales_k and the bias g_b / scale_b - sum_k g_k q_k, q_k = shift_k / scales_k;
   in units of the columns the caller's row is x_j + q, so T_j = ||x_j + q|| + ||q|| bounds the
   rounding in the caller's coordinates, whatever the columns' units. The larger is taken.    */
static void cvxr_margins(cvxr_sampling *s) {
    const cvxr_data *data = s->data;
    size_t i, k, live = s->live_count;
    double *q = s->panel, *row = s->panel + data->d, norm_q;
    for (k = 0; k < live; k++) q[k] = data->shift[s->live[k]] / data->scales[s->live[k]];
    norm_q = cvxr_safe_norm(q, live);
    s->widest = 0;
    for (i = 0; i < data->n; i++) {
        const double *x = data->X + i * data->dp;
        double most = cvxr_safe_norm(x, data->d);
        for (k = 0; k < live; k++) row[k] = x[s->live[k]] + q[k];
        if (norm_q > 0) most = cvxr_max(most, cvxr_safe_norm(row, live) + norm_q);
        s->margin[i] = 64 * DBL_EPSILON * (double)data->d * most;
        s->widest = cvxr_max(s->widest, s->margin[i]);
    }
}

/* Columns on which a gate may be nonzero: given gates all; sampled gates those that are not
   zero throughout (a zero column says nothing, and the network must not read it) and the bias,
   unless no_gate_bias. The bias comes last.                                                  */
static void cvxr_find_live(cvxr_sampling *s) {
    const cvxr_data *data = s->data;
    int given = s->recipe->sampler == CVXRELU_SAMPLER_GIVEN;
    size_t i, k;
    for (k = 0; k < data->d; k++) s->used[k] = given ? 1 : 0;
    for (i = 0; i < data->n && !given; i++) {
        const double *x = data->X + i * data->dp;
        for (k = 0; k < data->features; k++) if (x[k] != 0) s->used[k] = 1;
    }
    s->live_count = 0;
    for (k = 0; k < data->features; k++) if (s->used[k]) s->live[s->live_count++] = k;
    s->live_features = s->live_count;
    if (data->has_bias && (given || !s->recipe->no_gate_bias))
        s->live[s->live_count++] = data->d - 1;
}

/* Products of a gate within rounding of zero among rows i0 to i0 + count, whose products are z,
   `stride` apart. Excepted are rows that are zero on the gate's support, in the solver's and in
   the caller's coordinates. The support is among the panel's columns and the bias (last).    */
static size_t cvxr_near_ties(const cvxr_sampling *s, const double *gate, double norm,
                             const double *z, size_t stride, size_t i0, size_t count) {
    const cvxr_data *data = s->data;
    size_t i, u, near_ties = 0;
    for (i = 0; i < count; i++) {
        const double *x = data->X + (i0 + i) * data->dp;
        int off = 0;
        if (fabs(z[i * stride]) > s->margin[i0 + i] * norm) continue;
        for (u = 0; u <= s->used_count && !off; u++) {
            size_t k = u < s->used_count ? s->used[u] : data->d - 1;
            off = gate[k] != 0 && (x[k] != 0 || data->shift[k] != 0);
        }
        near_ties += (size_t)off;
    }
    return near_ties;
}

/* ---- Products --------------------------------------------------------------------------- */

/* sum[b] = x . gate b, sum[CVXR_PANEL + b] = y . gate b, over the used columns in their order,
   so that equal rows have equal products, whatever they are paired with. Every kernel rounds
   each product and each sum, so that all have the same bits.                                 */
#if defined(__GNUC__) || defined(__clang__)
typedef double cvxr_double2 __attribute__((vector_size(16), may_alias, aligned(8)));

static void cvxr_two_rows(const double *x, const double *y, const size_t *used, size_t count,
                          const double *panel, double *sum) {
    const cvxr_double2 *g = (const cvxr_double2 *)(const void *)panel;
    cvxr_double2 a0 = { 0, 0 }, a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    cvxr_double2 *out = (cvxr_double2 *)(void *)sum;
    size_t u;
    for (u = 0; u < count; u++, g += CVXR_PANEL / 2) {
        double xu = x[used[u]], yu = y[used[u]];
        cvxr_double2 xx = { xu, xu }, yy = { yu, yu };
        a0 += xx * g[0], a1 += xx * g[1], a2 += xx * g[2], a3 += xx * g[3];
        b0 += yy * g[0], b1 += yy * g[1], b2 += yy * g[2], b3 += yy * g[3];
    }
    out[0] = a0, out[1] = a1, out[2] = a2, out[3] = a3;
    out[4] = b0, out[5] = b1, out[6] = b2, out[7] = b3;
}
#else
static void cvxr_two_rows(const double *x, const double *y, const size_t *used, size_t count,
                          const double *panel, double *sum) {
    size_t u, b;
    for (b = 0; b < 2 * CVXR_PANEL; b++) sum[b] = 0;
    for (u = 0; u < count; u++, panel += CVXR_PANEL) {
        double xu = x[used[u]], yu = y[used[u]];
        for (b = 0; b < CVXR_PANEL; b++) sum[b] += xu * panel[b];
        for (b = 0; b < CVXR_PANEL; b++) sum[CVXR_PANEL + b] += yu * panel[b];
    }
}
#endif

/* z (64 x CVXR_PANEL) = rows i0 .. of X times the panel, two rows at a time; past the last row
   it is repeated.                                                                            */
static void cvxr_block_products_plain(const cvxr_sampling *s, size_t i0, size_t rows,
                                      double *z) {
    const double *X = s->data->X + i0 * s->data->dp;
    const size_t dp = s->data->dp;
    size_t i;
    for (i = 0; i < rows; i += 2)
        cvxr_two_rows(X + i * dp, X + cvxr_min_z(i + 1, rows - 1) * dp, s->used, s->used_count,
                      s->panel, z + i * CVXR_PANEL);
}

/* signs[b] bit i = (z_ib >= 0) and low[b] = min |z_ib| over `rows` rows. */
static void cvxr_block_signs_plain(const double *z, size_t rows, uint64_t *signs, double *low) {
    size_t i, b;
    for (b = 0; b < CVXR_PANEL; b++) {
        uint64_t word = 0;
        double least = DBL_MAX;
        for (i = 0; i < rows; i++) {
            word |= (uint64_t)(z[i * CVXR_PANEL + b] >= 0) << i;
            least = cvxr_min(least, fabs(z[i * CVXR_PANEL + b]));
        }
        signs[b] = word;
        low[b] = least;
    }
}

#if CVXR_DISPATCH
#define CVXR_ROW_STEP(i)                                                                       \
    x = _mm256_broadcast_sd(x##i + k);                                                         \
    a##i = _mm256_add_pd(a##i, _mm256_mul_pd(x, g));                                           \
    b##i = _mm256_add_pd(b##i, _mm256_mul_pd(x, h));
__attribute__((target("avx2"))) static void cvxr_block_products_avx2(const cvxr_sampling *s,
                                                                     size_t i0, size_t rows,
                                                                     double *z) {
    const double *X = s->data->X + i0 * s->data->dp;
    const size_t dp = s->data->dp, last = rows - 1;
    size_t i, u;
    for (i = 0; i < rows; i += 4, z += 4 * CVXR_PANEL) {
        const double *x0 = X + i * dp, *x1 = X + cvxr_min_z(i + 1, last) * dp;
        const double *x2 = X + cvxr_min_z(i + 2, last) * dp;
        const double *x3 = X + cvxr_min_z(i + 3, last) * dp, *panel = s->panel;
        __m256d a0 = _mm256_setzero_pd(), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0;
        __m256d b3 = a0, x;
        for (u = 0; u < s->used_count; u++, panel += CVXR_PANEL) {
            const size_t k = s->used[u];
            const __m256d g = _mm256_loadu_pd(panel), h = _mm256_loadu_pd(panel + 4);
            CVXR_ROW_STEP(0) CVXR_ROW_STEP(1) CVXR_ROW_STEP(2) CVXR_ROW_STEP(3)
        }
        _mm256_storeu_pd(z, a0), _mm256_storeu_pd(z + 4, b0);
        _mm256_storeu_pd(z + 8, a1), _mm256_storeu_pd(z + 12, b1);
        _mm256_storeu_pd(z + 16, a2), _mm256_storeu_pd(z + 20, b2);
        _mm256_storeu_pd(z + 24, a3), _mm256_storeu_pd(z + 28, b3);
    }
}
#undef CVXR_ROW_STEP

/* The signs of a row are a byte; the bytes' bits are read by columns. */
__attribute__((target("avx2"))) static void cvxr_block_signs_avx2(const double *z, size_t rows,
                                                                  uint64_t *signs,
                                                                  double *low) {
    const __m256d zero = _mm256_setzero_pd(), minus = _mm256_set1_pd(-0.0);
    __m256d low0 = _mm256_set1_pd(DBL_MAX), low1 = low0;
    unsigned char bytes[64];
    __m256i first, second;
    size_t i, b;
    memset(bytes, 0, sizeof bytes);
    for (i = 0; i < rows; i++, z += CVXR_PANEL) {
        const __m256d g = _mm256_loadu_pd(z), h = _mm256_loadu_pd(z + 4);
        bytes[i] = (unsigned char)(_mm256_movemask_pd(_mm256_cmp_pd(g, zero, _CMP_GE_OQ)) |
                                   _mm256_movemask_pd(_mm256_cmp_pd(h, zero, _CMP_GE_OQ)) << 4);
        low0 = _mm256_min_pd(low0, _mm256_andnot_pd(minus, g));
        low1 = _mm256_min_pd(low1, _mm256_andnot_pd(minus, h));
    }
    _mm256_storeu_pd(low, low0), _mm256_storeu_pd(low + 4, low1);
    first = _mm256_loadu_si256((const __m256i *)(const void *)bytes);
    second = _mm256_loadu_si256((const __m256i *)(const void *)(bytes + 32));
    for (b = CVXR_PANEL; b-- > 0;) {
        signs[b] = (uint64_t)(uint32_t)_mm256_movemask_epi8(first) |
                   (uint64_t)(uint32_t)_mm256_movemask_epi8(second) << 32;
        first = _mm256_add_epi8(first, first);
        second = _mm256_add_epi8(second, second);
    }
}
#endif

/* ---- The panel over all rows: products kept in s->z, or signs and doubts at once, block by
   block in the first-level cache. Blocks are shared out to the team.                         */
typedef struct cvxr_panel_job {
    cvxr_sampling *s;
    int keep;                      /* products to s->z, nothing else                          */
    size_t tasks;
    const double *gates;           /* without keep: gate of slot b at b * d,                  */
    uint64_t *bits;                /*   bits of slot b at b * words,                          */
    const int *skip;               /*   slots that are done; or NULL                          */
    size_t count;
    double norm[CVXR_PANEL];
    size_t near_ties[CVXR_PANEL_TASKS][CVXR_PANEL];
} cvxr_panel_job;

static void cvxr_panel_block(const cvxr_panel_job *job, size_t w, size_t *near_ties) {
    const cvxr_sampling *s = job->s;
    const size_t n = s->data->n, i0 = 64 * w, rows = cvxr_min_z(64, n - i0);
    double z[64 * CVXR_PANEL], low[CVXR_PANEL];
    uint64_t signs[CVXR_PANEL];
    size_t i, b;
#if CVXR_DISPATCH
    if (s->wide) cvxr_block_products_avx2(s, i0, rows, z);
    else
#endif
        cvxr_block_products_plain(s, i0, rows, z);
    for (b = 0; b < CVXR_PANEL && job->keep; b++)
        for (i = 0; i < rows; i++) s->z[b * n + i0 + i] = z[i * CVXR_PANEL + b];
    if (job->keep) return;
#if CVXR_DISPATCH
    if (s->wide) cvxr_block_signs_avx2(z, rows, signs, low);
    else
#endif
        cvxr_block_signs_plain(z, rows, signs, low);
    for (b = 0; b < job->count; b++) {
        if (job->skip && job->skip[b]) continue;
        job->bits[b * s->out->words + w] = signs[b];
        if (low[b] <= s->widest * job->norm[b])
            near_ties[b] += cvxr_near_ties(s, job->gates + b * s->data->d, job->norm[b], z + b,
                                           CVXR_PANEL, i0, rows);
    }
}

static void cvxr_panel_task(void *arg, size_t task) {
    cvxr_panel_job *job = (cvxr_panel_job *)arg;
    const size_t words = job->s->out->words;
    size_t w;
    for (w = words * task / job->tasks; w < words * (task + 1) / job->tasks; w++)
        cvxr_panel_block(job, w, job->near_ties[task]);
}

static void cvxr_panel_run(cvxr_panel_job *job) {
    cvxr_sampling *s = job->s;
    const double work = (double)s->data->n * (double)s->used_count;
    const size_t threads = work < 5e4 || s->team.threads < 2 ? 1 : (size_t)s->team.threads;
    job->tasks = cvxr_min_z(cvxr_min_z(threads, s->out->words), CVXR_PANEL_TASKS);
    memset(job->near_ties, 0, sizeof job->near_ties);
    cvxr_team_run(&s->team, job->tasks, cvxr_panel_task, job);
}

/* z = X times the panel. */
static void cvxr_panel_product(cvxr_sampling *s) {
    cvxr_panel_job job;
    memset(&job, 0, sizeof job);
    job.s = s;
    job.keep = 1;
    cvxr_panel_run(&job);
}

/* Bits of the slots that are not to be skipped (NULL: none is), the norms of their gates and
   how many of their products are within rounding of zero.                                    */
static void cvxr_panel_masks(cvxr_sampling *s, const double *gates, size_t count,
                             const int *skip, uint64_t *bits, double *norm,
                             size_t *near_ties) {
    cvxr_panel_job job;
    size_t b, t;
    memset(&job, 0, sizeof job);
    job.s = s, job.gates = gates, job.count = count, job.skip = skip, job.bits = bits;
    for (b = 0; b < count; b++)
        norm[b] = job.norm[b] = cvxr_safe_norm(gates + b * s->data->d, s->data->d);
    cvxr_panel_run(&job);
    for (b = 0; b < count; b++)
        for (near_ties[b] = 0, t = 0; t < job.tasks; t++) near_ties[b] += job.near_ties[t][b];
}

/* Packs `gates` rows of d, and for POINTS the aims after them, as columns of the panel. */
static void cvxr_panel_load(cvxr_sampling *s, const double *gates, size_t count) {
    size_t d = s->data->d, k, b, half = CVXR_PANEL / 2;
    int points = s->recipe->sampler == CVXRELU_SAMPLER_POINTS;
    s->used_count = 0;
    for (k = 0; k < d; k++) {
        double *column = s->panel + s->used_count * CVXR_PANEL;
        int any = 0;
        for (b = 0; b < CVXR_PANEL; b++) column[b] = 0;
        for (b = 0; b < count; b++) column[b] = gates[b * d + k];
        for (b = 0; b < count && points; b++) column[half + b] = s->aim[b * d + k];
        for (b = 0; b < CVXR_PANEL; b++) any |= column[b] != 0;
        if (any) s->used[s->used_count++] = k;
    }
}

static void cvxr_pack(const double *z, size_t n, uint64_t *bits) {
    size_t i, b;
    for (i = 0; i < n; i += 64) {
        size_t width = cvxr_min_z(64, n - i);
        uint64_t word = 0;
        for (b = 0; b < width; b++) word |= (uint64_t)(z[i + b] >= 0) << b;
        bits[i / 64] = word;
    }
}

/* ---- Share of active rows --------------------------------------------------------------- */

/* Reorders v so that v[k] is the (k+1)-th largest, with none smaller before it (Hoare). */
static void cvxr_select_kth(double *v, size_t n, size_t k) {
    size_t low = 0, high = n - 1;
    while (low < high) {
        double pivot = v[low + (high - low) / 2], swap;
        size_t i = low, j = high;
        for (;; i++, j--) {
            while (v[i] > pivot) i++;
            while (v[j] < pivot) j--;
            if (i >= j) break;
            swap = v[i];
            v[i] = v[j];
            v[j] = swap;
        }
        if (k <= j) high = j;
        else low = j + 1;
    }
}

/* Descending (Shell's method). */
static void cvxr_sort_down(double *v, size_t n) {
    size_t gap = 1, i, j;
    while (gap < n / 3) gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3)
        for (i = gap; i < n; i++) {
            double x = v[i];
            for (j = i; j >= gap && v[j - gap] < x; j -= gap) v[j] = v[j - gap];
            v[j] = x;
        }
}

/* Bias entry that puts the boundary in the middle between v[rank-1] and v[rank] of the
   descending projections v, or below all of them; 0 when the two are too close.              */
static int cvxr_split(const cvxr_sampling *s, const double *v, size_t rank, double norm,
                      double *bias) {
    size_t n = s->data->n;
    double one = 1.0 / s->data->scales[s->data->d - 1], half;
    if (rank == n) {
        *bias = (cvxr_max(v[0] - v[n - 1], norm * one) - v[n - 1]) / one;
        if (norm == 0) *bias = 1;
        return 1;
    }
    half = 0.5 * (v[rank - 1] - v[rank]);
    *bias = -(v[rank] + half) / one;
    return half > 2 * s->widest * (norm + fabs(*bias));
}

/* Sets the bias entry such that round(share*n) rows are active, at least one; where equal
   projections forbid that, the nearest possible number (more rather than fewer). [MSP22 E.1] */
static void cvxr_set_share(cvxr_sampling *s, double *gate, double *z) {
    size_t n = s->data->n, b = s->data->d - 1, i, off, best;
    double *v = s->spare, norm = cvxr_safe_norm(gate, b), bias = 0;
    size_t rank = (size_t)floor(s->recipe->active_share * (double)n + 0.5);
    rank = cvxr_min_z(cvxr_max_z(rank, 1), n);
    memcpy(v, z, n * sizeof(double));
    cvxr_select_kth(v, n, rank - 1);
    for (best = i = rank; i < n; i++) if (v[i] > v[best]) best = i;
    if (rank < n) {
        double next = v[best];
        v[best] = v[rank];
        v[rank] = next;
    }
    if (rank == n || !cvxr_split(s, v, rank, norm, &bias)) {
        cvxr_sort_down(v, n);
        for (off = 0; off <= n; off++) {
            if (rank + off <= n && cvxr_split(s, v, rank + off, norm, &bias)) break;
            if (off < rank && cvxr_split(s, v, rank - off, norm, &bias)) break;
        }
    }
    gate[b] = bias;
    for (i = 0; i < n; i++) z[i] += bias * s->data->X[i * s->data->dp + b];
}

/* ---- Gates through points --------------------------------------------------------------- */

/* Draws `count` different rows of X (Floyd's method). */
static void cvxr_draw_rows(cvxr_sampling *s, cvxrelu_random *random, size_t count) {
    size_t n = s->data->n, i, k;
    for (i = 0; i < count; i++) {
        size_t last = n - count + i, row = (size_t)cvxrelu_random_below(random, last + 1);
        for (k = 0; k < i && s->rows[k] != row; k++) {}
        s->rows[i] = k < i ? last : row;
    }
}

/* Eliminates the `count` drawn rows, restricted to the live columns, with sampled sides +-1 as
   the last column of A (ld = live + 1). pivots[i] is row i's pivot column, or `live` for a row
   that depends on those before it.                                                           */
static void cvxr_eliminate(cvxr_sampling *s, cvxrelu_random *random, size_t count,
                           size_t *pivots) {
    size_t live = s->live_count, ld = live + 1, i, k, p;
    for (i = 0; i < count; i++) {
        const double *x = s->data->X + s->rows[i] * s->data->dp;
        double *a = s->spare + i * ld, top = 0, largest = 0;
        for (k = 0; k < live; k++) a[k] = x[s->live[k]], top = cvxr_max(top, fabs(a[k]));
        a[live] = cvxrelu_random_next(random) >> 63 ? 1.0 : -1.0;
        for (p = 0; p < i; p++) {
            const double *earlier = s->spare + p * ld;
            double factor;
            if (pivots[p] == live) continue;
            factor = a[pivots[p]] / earlier[pivots[p]];
            for (k = 0; k <= live; k++) a[k] -= factor * earlier[k];
            a[pivots[p]] = 0;
        }
        pivots[i] = live;
        for (k = 0; k < live; k++)
            if (fabs(a[k]) > largest) largest = fabs(a[k]), pivots[i] = k;
        if (largest <= 64 * DBL_EPSILON * (double)live * top) pivots[i] = live;
    }
}

/* Solves the eliminated rows, A v = sides * weight, for the pivot entries of v (d entries),
   given the others; then makes v a unit vector.                                              */
static void cvxr_substitute(const cvxr_sampling *s, size_t count, const size_t *pivots,
                            double weight, double *v) {
    size_t live = s->live_count, i, k;
    double norm;
    for (i = count; i-- > 0;) {
        const double *a = s->spare + i * (live + 1);
        double rest = weight * a[live];
        if (pivots[i] == live) continue;
        for (k = 0; k < live; k++) if (k != pivots[i]) rest -= a[k] * v[s->live[k]];
        v[s->live[pivots[i]]] = rest / a[pivots[i]];
    }
    norm = cvxr_safe_norm(v, s->data->d);
    for (k = 0; k < s->data->d && norm > 0; k++) v[k] /= norm;
}

/* The gate is a normal of live-1 drawn rows (a random one where they leave a choice); aim
   points to a sampled side of each of them. Both are zero elsewhere on entry.                */
static void cvxr_draw_points(cvxr_sampling *s, cvxrelu_random *random, double *gate,
                             double *aim) {
    size_t live = s->live_count, count, i, k, *pivots = s->used;
    if (live == 0) return;
    count = cvxr_min_z(s->data->n, live - 1);
    cvxr_draw_rows(s, random, count);
    cvxr_eliminate(s, random, count, pivots);
    for (k = 0; k < live; k++) gate[s->live[k]] = cvxrelu_random_normal(random);
    for (i = 0; i < count; i++)
        if (pivots[i] < live) gate[s->live[pivots[i]]] = 0;
    cvxr_substitute(s, count, pivots, 0, gate);
    cvxr_substitute(s, count, pivots, 1, aim);
}

/* Moves the gate along the aim half as far as the first sign of a row off the boundary allows;
   z and z_aim are their products with X.                                                     */
static void cvxr_leave_points(const cvxr_sampling *s, double *gate, const double *aim,
                              double *z, const double *z_aim) {
    size_t n = s->data->n, i, k;
    double step = 1;
    for (i = 0; i < n; i++)
        if (fabs(z[i]) > s->margin[i] && fabs(z[i]) < step * fabs(z_aim[i]) &&
            (z[i] < 0) != (z_aim[i] < 0))
            step = fabs(z[i] / z_aim[i]);
    step *= 0.5;
    for (k = 0; k < s->data->d; k++) gate[k] += step * aim[k];
    for (i = 0; i < n; i++) z[i] += step * z_aim[i];
}

/* ---- Draws ------------------------------------------------------------------------------ */

static void cvxr_draw_sparse(const cvxr_sampling *s, cvxrelu_random *random, double *gate) {
    size_t order = cvxr_min_z(s->recipe->order ? s->recipe->order : 2, s->live_features), left;
    if (order == 0) return;
    for (left = 1 + (size_t)cvxrelu_random_below(random, order); left > 0; left--) {
        size_t k;
        do k = s->live[(size_t)cvxrelu_random_below(random, s->live_features)];
        while (gate[k] != 0);
        gate[k] = cvxrelu_random_normal(random);
    }
}

static void cvxr_draw_patch(const cvxr_sampling *s, cvxrelu_random *random, double *gate) {
    const cvxrelu_gates *recipe = s->recipe;
    size_t channels = recipe->channels ? recipe->channels : 1, at = 0, k;
    size_t patch = recipe->patch ? recipe->patch : 3, channel, row, column;
    size_t left = (size_t)cvxrelu_random_below(random, recipe->width - patch + 1);
    size_t top = (size_t)cvxrelu_random_below(random, recipe->height - patch + 1);
    for (channel = 0; channel < channels; channel++)
        for (row = top; row < top + patch; row++)
            for (column = left; column < left + patch; column++)
                gate[(channel * recipe->height + row) * recipe->width + column] =
                    cvxrelu_random_normal(random);
    for (k = 0; k < s->data->features; k++) {
        if (at < s->live_features && s->live[at] == k) at++;
        else gate[k] = 0;
    }
}

static void cvxr_draw_gate(cvxr_sampling *s, size_t slot, double *gate) {
    cvxrelu_random *random = &s->random[slot];
    size_t d = s->data->d, k;
    memset(gate, 0, d * sizeof(double));
    if (s->recipe->sampler == CVXRELU_SAMPLER_POINTS) {
        double *aim = s->aim + slot * d;
        memset(aim, 0, d * sizeof(double));
        cvxr_draw_points(s, random, gate, aim);
        return;
    }
    if (s->recipe->sampler == CVXRELU_SAMPLER_SPARSE) cvxr_draw_sparse(s, random, gate);
    else if (s->recipe->sampler == CVXRELU_SAMPLER_PATCH) cvxr_draw_patch(s, random, gate);
    else
        for (k = 0; k < s->live_features; k++)
            gate[s->live[k]] = cvxrelu_random_normal(random);
    if (s->live_count > s->live_features && !(s->recipe->active_share > 0))
        gate[d - 1] = cvxrelu_random_normal(random);
}

/* ---- Sampling --------------------------------------------------------------------------- */

/* Finishes a gate that its products move. Returns 1 when every sign is certain; its pattern is
   then at place p.                                                                           */
static int cvxr_settle(cvxr_sampling *s, size_t slot, size_t p) {
    size_t n = s->data->n, d = s->data->d;
    double *gate = s->out->gates + p * d, *z = s->z + slot * n, norm;
    if (s->recipe->sampler == CVXRELU_SAMPLER_POINTS)
        cvxr_leave_points(s, gate, s->aim + slot * d, z, z + CVXR_PANEL / 2 * n);
    if (s->recipe->active_share > 0) cvxr_set_share(s, gate, z);
    norm = cvxr_safe_norm(gate, d);
    if (norm == 0 || cvxr_near_ties(s, gate, norm, z, 1, 0, n) > 0) return 0;
    cvxr_pack(z, n, s->out->bits + p * s->out->words);
    return 1;
}

/* The patterns of the slots that are not accepted yet; accepts those whose signs are certain
   and returns how many they are.                                                             */
static size_t cvxr_settle_panel(cvxr_sampling *s, size_t first, size_t count) {
    double norm[CVXR_PANEL];
    size_t near_ties[CVXR_PANEL], slot, settled = 0;
    int moves = s->recipe->sampler == CVXRELU_SAMPLER_POINTS || s->recipe->active_share > 0;
    const double *gates = s->out->gates + first * s->data->d;
    cvxr_panel_load(s, gates, count);
    if (moves) cvxr_panel_product(s);
    else
        cvxr_panel_masks(s, gates, count, s->accepted, s->out->bits + first * s->out->words,
                         norm, near_ties);
    for (slot = 0; slot < count; slot++) {
        if (s->accepted[slot]) continue;
        s->accepted[slot] = moves ? cvxr_settle(s, slot, first + slot)
                                  : norm[slot] != 0 && near_ties[slot] == 0;
        settled += (size_t)s->accepted[slot];
    }
    return settled;
}

/* Draws `count` gates into the places from `first` on, those with an uncertain sign anew. */
static void cvxr_sample_panel(cvxr_sampling *s, size_t first, size_t count) {
    size_t slot, left = count;
    int tries;
    for (slot = 0; slot < count; slot++) {
        cvxrelu_random_init(&s->random[slot], cvxrelu_random_next(&s->seeds));
        s->accepted[slot] = 0;
    }
    for (tries = 0; tries <= CVXR_REDRAWS && left > 0; tries++) {
        for (slot = 0; slot < count; slot++)
            if (!s->accepted[slot])
                cvxr_draw_gate(s, slot, s->out->gates + (first + slot) * s->data->d);
        left -= cvxr_settle_panel(s, first, count);
    }
}

/* Enters pattern p under the next number; 0 when an equal one is there already. */
static int cvxr_table_enter(cvxr_sampling *s, size_t p) {
    const cvxr_patterns *out = s->out;
    const uint64_t *bits = out->bits + p * out->words;
    uint64_t hash = 0;
    size_t at, w;
    for (w = 0; w < out->words; w++) {
        hash = (hash ^ bits[w]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    at = (size_t)hash & (s->table_size - 1);
    for (; s->table[at]; at = (at + 1) & (s->table_size - 1)) {
        const uint64_t *known = out->bits + (s->table[at] - 1) * out->words;
        if (memcmp(known, bits, out->words * sizeof(uint64_t)) == 0) return 0;
    }
    s->table[at] = out->count + 1;
    return 1;
}

/* Keeps what is new of the panel at the places from `first` on, in the order of drawing. */
static void cvxr_merge_panel(cvxr_sampling *s, size_t first, size_t count) {
    cvxr_patterns *out = s->out;
    size_t slot, w;
    for (slot = 0; slot < count; slot++) {
        size_t p = first + slot;
        uint64_t *bits = out->bits + p * out->words, any = 0;
        if (!s->accepted[slot]) { s->dropped_near++; continue; }
        for (w = 0; w < out->words; w++) any |= bits[w];
        if (any == 0) { s->dropped_zero++; continue; }
        if (!cvxr_table_enter(s, p)) continue;
        if (out->count != p) {
            memcpy(out->bits + out->count * out->words, bits, out->words * sizeof(uint64_t));
            memcpy(out->gates + out->count * out->d, out->gates + p * out->d,
                   out->d * sizeof(double));
        }
        out->count++;
    }
}

static cvxrelu_result cvxr_sample_all(cvxr_sampling *s, char *message) {
    size_t drawn, count;
    s->slots = s->recipe->sampler == CVXRELU_SAMPLER_POINTS ? CVXR_PANEL / 2 : CVXR_PANEL;
    cvxrelu_random_init(&s->seeds, s->recipe->seed);
    for (drawn = 0; drawn < s->draws; drawn += count) {
        size_t first = s->out->count;
        count = cvxr_min_z(s->slots, s->draws - drawn);
        cvxr_sample_panel(s, first, count);
        cvxr_merge_panel(s, first, count);
    }
    if (s->out->count > 0) return CVXRELU_OK;
    return cvxr_fail(message, CVXRELU_ERR_PATTERNS, "no usable pattern among %z drawn gates: "
                     "%z activate no row, %z have a row within rounding of their boundary "
                     "(draw more; subtract large offsets from the columns of X)", s->draws,
                     s->dropped_zero, s->dropped_near);
}

/* ---- Given gates ------------------------------------------------------------------------ */

/* Brings gate p of the recipe to the solver's coordinates; 0 when it becomes too large. */
static int cvxr_given_gate(const cvxr_sampling *s, size_t p, double *gate) {
    const cvxr_data *data = s->data;
    const cvxrelu_matrix *given = &s->recipe->given;
    int convert = !s->recipe->given_scaled, fits = 1;
    double bias = 0;
    size_t j;
    if (data->has_bias && given->cols == data->d)
        bias = cvxr_matrix_get(given, p, data->features);
    for (j = 0; j < data->features; j++) {
        double g = cvxr_matrix_get(given, p, j);
        if (convert) bias += g * data->shift[j];
        gate[j] = convert ? g * data->scales[j] : g;
    }
    if (data->has_bias) gate[j] = convert ? bias * data->scales[j] : bias;
    for (j = 0; j < data->d; j++) fits &= cvxr_finite(gate[j]) && fabs(gate[j]) <= 1e150;
    return fits;
}

static cvxrelu_result cvxr_take_given(cvxr_sampling *s, char *message) {
    cvxr_patterns *out = s->out;
    double norm[CVXR_PANEL];
    size_t near_ties[CVXR_PANEL], d = s->data->d, slot, count;
    for (; out->count < s->draws; out->count += count) {
        double *gates = out->gates + out->count * d;
        count = cvxr_min_z(CVXR_PANEL, s->draws - out->count);
        for (slot = 0; slot < count; slot++)
            if (!cvxr_given_gate(s, out->count + slot, gates + slot * d))
                return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "gate %z exceeds 1e150 in the "
                                 "coordinates of the scaled X: multiply it by a small positive "
                                 "number, only signs count", out->count + slot);
        cvxr_panel_load(s, gates, count);
        cvxr_panel_masks(s, gates, count, NULL, out->bits + out->count * out->words, norm,
                         near_ties);
        for (slot = 0; slot < count; slot++) out->near_ties += near_ties[slot];
    }
    return CVXRELU_OK;
}

/* ---- All -------------------------------------------------------------------------------- */

/* The patterns of a recipe on the data: the same for the same data and recipe. Sampled: gates
   in the order of drawing, equal patterns and the all-zero pattern dropped; a gate with an
   uncertain sign is drawn anew CVXR_REDRAWS times, then dropped. Given: all, as they are,
   near-ties counted.
   On an error nothing is held, out is zero and message says why.                             */
static cvxrelu_result cvxr_patterns_by(const cvxr_team *team, cvxr_mem *mem,
                                       const cvxr_data *data, const cvxrelu_gates *recipe,
                                       cvxr_patterns *out, char *message) {
    cvxr_sampling s;
    cvxrelu_result result;
    memset(out, 0, sizeof *out);
    result = cvxr_gates_check(data, recipe, message);
    if (result) return result;
    memset(&s, 0, sizeof s);
    s.team = *team;
#if CVXR_DISPATCH
    s.wide = __builtin_cpu_supports("avx2") != 0;
#endif
    s.data = data;
    s.recipe = recipe;
    s.out = out;
    s.draws = cvxr_gates_count(recipe);
    out->n = data->n;
    out->d = data->d;
    out->words = (data->n + 63) / 64;
    out->capacity = s.draws;
    cvxr_sampling_allocate(mem, &s);
    result = cvxr_mem_result(mem, message);
    if (!result) {
        cvxr_find_live(&s);
        cvxr_margins(&s);
        result = recipe->sampler == CVXRELU_SAMPLER_GIVEN ? cvxr_take_given(&s, message)
                                                          : cvxr_sample_all(&s, message);
    }
    cvxr_sampling_free(mem, &s);
    if (result) cvxr_patterns_free(mem, out);
    return result;
}

/* The same on the calling thread alone. */
static cvxrelu_result cvxr_patterns_make(cvxr_mem *mem, const cvxr_data *data,
                                         const cvxrelu_gates *recipe, cvxr_patterns *out,
                                         char *message) {
    cvxr_team one;
    memset(&one, 0, sizeof one);
    one.threads = 1;
    return cvxr_patterns_by(&one, mem, data, recipe, out, message);
}

#undef CVXR_PANEL
#undef CVXR_PANEL_TASKS
#undef CVXR_REDRAWS

/* ==== S08 VECTORS AND MODEL OPERATOR =====================================================
   The only code that touches the n x P masks: forward sum_i D_i X u_i, gradient X^T (D_i r),
   the Gram pieces of Newton's matrix; and the few vector functions that first-order solvers
   need.

   Method (the "four Russians"): D is a matrix of bits, so D U and D^T (r o X) are sums of
   rows chosen by bits. The 64 subset sums of six rows are tabulated once, and every pattern
   (or data row) then adds one table row per six bits: n d P / 6 additions a pass where a
   matrix product takes n d P multiply-adds, and no product with a zero.

   Panels: six tables of 64 lines (a cache line, 64 bytes, of columns) for 32 rows are 24 KB
   and stay in the first-level cache; so does the line of X that they meet, over 2048 rows, in
   the second. Forward tabulates 32 patterns' weights and takes the dot product with x_i at
   once, so no sum of weights is stored. The gradient of many patterns tabulates 32 data rows;
   that of few (CVXR_FILLED) turns the sum around: rows are added to the table entry that their
   bits name, and entries are summed into patterns at the end of a block of rows. Masks by row
   are made from the bits 64 x 32 at a time, into at most 128 KB. Everything lives in one
   fixed slice of work a thread; the bits, n P / 8 bytes, are all that grows with n P. Gram
   pieces and the descent use tables of four rows and 256 bytes.

   The order of additions is fixed by the sizes, so results do not depend on threads. Uses
   S01, S02, S05-S07. Used by S10-S24. Tests: tests/test_s08_operator.c, speed:
   tests/bench/bench_operator.c. Source: [ADKF70]; the Gram identity is [MSP22]'s expanded
   matrix M(X) written blockwise. */

#define CVXR_TILE        32 /* rows tabulated together: eight tables of four */
#define CVXR_TABLES      (CVXR_TILE / 4)
#ifdef CVXRELU_SMALL
#define CVXR_BLOCK 32 /* patterns, or half the data rows, that share the tables */
#else
#define CVXR_BLOCK 256
#endif
#define CVXR_CHUNK_BYTES 256 /* bytes of columns handled together */
#define CVXR_LINE_BYTES  64  /* the same, where six bits are looked up at a time */
#define CVXR_LINE_TABLE  (64 * CVXR_LINE_BYTES)
#define CVXR_FAR         4096 /* bytes a row from which on the next line is fetched early */
#define CVXR_PANEL_ROWS  2048 /* rows of X whose mask words are made together */
#define CVXR_FILLED      224  /* up to so many patterns the gradient fills tables */

/* A list of patterns. idx NULL means 0 .. count-1. row_words, when made by cvxr_select_rows,
   holds the masks by data row: word g * n + i has the bits of patterns 32 g .. 32 g + 31 for
   row i. */
typedef struct cvxr_select {
    const size_t *idx;
    size_t count;
    uint32_t *row_words;
} cvxr_select;

typedef struct cvxr_op {
    size_t n, d, dp, patterns, words;
    const void *X; /* n x dp, padding zero */
    const uint64_t *bits;
    cvxr_team team;
    unsigned char *work;  /* team.threads slices of cvxr_op_slice bytes */
    int isa;              /* 0 portable, 1 AVX2, 2 AVX-512 */
    double passes, flops; /* work done, see the manual, WORK */
} cvxr_op;

/* Which kernels the machine runs. Not kept anywhere global: asked once a fit. */
static int cvxr_op_isa(int portable) {
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
    if (portable) return 0;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return 2;
    if (__builtin_cpu_supports("avx2")) return 1;
#endif
    (void)portable;
    return 0;
}

/* One slice: tables, the sums of a block of rows, a block of mask words, four rows of bits
   as numbers. */
static size_t cvxr_op_slice(void) {
    return (size_t)CVXR_TABLES * 16 * CVXR_CHUNK_BYTES
           + 2 * (size_t)CVXR_BLOCK * CVXR_CHUNK_BYTES + 2 * CVXR_BLOCK * sizeof(uint32_t)
           + (size_t)CVXR_TILE * CVXR_CHUNK_BYTES;
}

static uint32_t cvxr_mask_word(const uint64_t *mask, size_t tile) {
    return (uint32_t)(mask[tile / 2] >> (tile % 2 * 32));
}

static size_t cvxr_select_at(const cvxr_select *s, size_t j) { return s->idx ? s->idx[j] : j; }

/* Transpose an 8 x 8 matrix of bits held in one word, byte r = row r. */
static uint64_t cvxr_transpose8(uint64_t x) {
    uint64_t t = (x ^ x >> 7) & 0x00aa00aa00aa00aau;
    x ^= t ^ t << 7;
    t = (x ^ x >> 14) & 0x0000cccc0000ccccu;
    x ^= t ^ t << 14;
    t = (x ^ x >> 28) & 0x00000000f0f0f0f0u;
    return x ^ t ^ t << 28;
}

/* rows[r] bit j = bit r of x[j]: 32 words of 64 bits by columns. */
static void cvxr_transpose_words(const uint64_t *x, uint32_t *rows) {
    size_t q, b, j;
    memset(rows, 0, 64 * sizeof *rows);
    for (q = 0; q < 4; q++, x += 8)
        for (b = 0; b < 8; b++) {
            uint64_t y = 0;
            for (j = 0; j < 8; j++) y |= (x[j] >> (8 * b) & 0xff) << (8 * j);
            if (y == 0) continue;
            y = cvxr_transpose8(y);
            for (j = 0; j < 8; j++)
                rows[8 * b + j] |= (uint32_t)(y >> (8 * j) & 0xff) << (8 * q);
        }
}

#if CVXR_DISPATCH
/* The same: the bytes are transposed by four rounds of interleaving, then the sign bits of 32
   bytes are a row. Lane l of v[k] holds patterns 16 l + k and 16 l + k + 8. */
__attribute__((target("avx2"))) static void cvxr_transpose_words_avx2(const uint64_t *x,
                                                                      uint32_t *rows) {
    __m256i v[8], w[8];
    size_t k, r;
    for (k = 0; k < 8; k++)
        v[k] = _mm256_setr_epi64x((long long)x[k], (long long)x[k + 8], (long long)x[k + 16],
                                  (long long)x[k + 24]);
    for (k = 0; k < 4; k++) {
        w[k] = _mm256_unpacklo_epi8(v[2 * k], v[2 * k + 1]);
        w[k + 4] = _mm256_unpackhi_epi8(v[2 * k], v[2 * k + 1]);
    }
    for (k = 0; k < 4; k++) {
        v[k] = _mm256_unpacklo_epi16(w[2 * k], w[2 * k + 1]);
        v[k + 4] = _mm256_unpackhi_epi16(w[2 * k], w[2 * k + 1]);
    }
    for (k = 0; k < 4; k++) {
        w[k] = _mm256_unpacklo_epi32(v[2 * k], v[2 * k + 1]);
        w[k + 4] = _mm256_unpackhi_epi32(v[2 * k], v[2 * k + 1]);
    }
    v[0] = _mm256_unpacklo_epi64(w[0], w[1]), v[1] = _mm256_unpackhi_epi64(w[0], w[1]);
    v[2] = _mm256_unpacklo_epi64(w[4], w[5]), v[3] = _mm256_unpackhi_epi64(w[4], w[5]);
    v[4] = _mm256_unpacklo_epi64(w[2], w[3]), v[5] = _mm256_unpackhi_epi64(w[2], w[3]);
    v[6] = _mm256_unpacklo_epi64(w[6], w[7]), v[7] = _mm256_unpackhi_epi64(w[6], w[7]);
    for (k = 0; k < 8; k++)
        for (r = 8; r-- > 0; v[k] = _mm256_add_epi8(v[k], v[k]))
            rows[8 * k + r] = (uint32_t)_mm256_movemask_epi8(v[k]);
}
#endif

/* The bits of patterns 32 g .. of the selection for rows 64 w .. 64 w + count - 1 (count <=
   64). */
static void cvxr_rows_of_word(const cvxr_op *op, const cvxr_select *s, size_t g, size_t w,
                              size_t count, uint32_t *out) {
    uint64_t x[32];
    uint32_t rows[64], *to = count == 64 ? out : rows;
    size_t j, p = 32 * g, some = cvxr_min_z(32, s->count - p);
    for (j = 0; j < some; j++) x[j] = op->bits[cvxr_select_at(s, p + j) * op->words + w];
    for (; j < 32; j++) x[j] = 0;
#if CVXR_DISPATCH
    if (op->isa) cvxr_transpose_words_avx2(x, to);
    else
#endif
        cvxr_transpose_words(x, to);
    if (to == rows) memcpy(out, rows, count * sizeof *out);
}

static size_t cvxr_select_words(size_t n, size_t count) { return n * ((count + 31) / 32); }

/* Blocks of rows of a gradient of few patterns: a power of two that depends on n alone, since
   their sums are added up in their order; and the first row of one, on a word of the masks. */
static size_t cvxr_few_blocks(size_t n) {
    size_t blocks = 1;
    while (blocks < 16 && n / (2 * blocks) >= 1536) blocks *= 2;
    return blocks;
}

static size_t cvxr_few_row(size_t n, size_t blocks, size_t b) {
    return b == blocks ? n : n / 64 * b / blocks * 64;
}

typedef struct cvxr_turn_job {
    const cvxr_op *op;
    const cvxr_select *select;
    uint32_t *to;
    size_t tasks;
} cvxr_turn_job;

/* A share of the words of every mask. */
static void cvxr_turn_task(void *arg, size_t task) {
    const cvxr_turn_job *job = (const cvxr_turn_job *)arg;
    const cvxr_op *op = job->op;
    const size_t end = op->words * (task + 1) / job->tasks;
    size_t g, w;
    for (g = 0; 32 * g < job->select->count; g++)
        for (w = op->words * task / job->tasks; w < end; w++)
            cvxr_rows_of_word(op, job->select, g, w, cvxr_min_z(64, op->n - 64 * w),
                              job->to + g * op->n + 64 * w);
}

/* Fill s->row_words (cvxr_select_words entries) so that repeated forwards need no
   transposing. */
static void cvxr_select_rows(const cvxr_op *op, cvxr_select *s, uint32_t *row_words) {
    cvxr_turn_job job;
    job.op = op;
    job.select = s;
    job.to = row_words;
    job.tasks = op->words * ((s->count + 31) / 32) < 1000
                    ? 1
                    : (size_t)(op->team.threads > 1 ? op->team.threads : 1);
    cvxr_team_run(&op->team, job.tasks, cvxr_turn_task, &job);
    s->row_words = row_words;
}

#if (defined(__GNUC__) || defined(__clang__)) && (!defined(__i386__) || defined(__SSE2__))
#define CVXR_VECTORS 1
#define CVXR_INLINE  static inline __attribute__((always_inline))
#else
#define CVXR_VECTORS 0
#endif

/* The kernels for each instruction set, then the operator that calls them. */
#define CVXR_TYPED 80
#define CVXR_F32   0
#define CVXR_ISA   0
#include CVXRELU_FILE
#undef CVXR_ISA
#if defined(__x86_64__) && CVXR_VECTORS
#define CVXR_ISA 1
#include CVXRELU_FILE
#undef CVXR_ISA
#define CVXR_ISA 2
#include CVXRELU_FILE
#undef CVXR_ISA
#endif
#undef CVXR_F32
#ifndef CVXRELU_NO_FLOAT32
#define CVXR_F32 1
#define CVXR_ISA 0
#include CVXRELU_FILE
#undef CVXR_ISA
#if defined(__x86_64__) && CVXR_VECTORS
#define CVXR_ISA 1
#include CVXRELU_FILE
#undef CVXR_ISA
#define CVXR_ISA 2
#include CVXRELU_FILE
#undef CVXR_ISA
#endif
#undef CVXR_F32
#endif
#undef CVXR_TYPED

#define CVXR_TYPED 8
#define CVXR_F32   0
#include CVXRELU_FILE
#undef CVXR_F32
#ifndef CVXRELU_NO_FLOAT32
#define CVXR_F32 1
#include CVXRELU_FILE
#undef CVXR_F32
#endif
#undef CVXR_TYPED
#endif

/* ---- Kernels: one text for every element type and instruction set. */
#if defined(CVXR_TYPED) && CVXR_TYPED == 80

#undef CVXR_K
#undef CVXR_TARGET
#undef CVXR_VBYTES
#undef CVXR_LANES
#undef CVXR_K2
#define CVXR_K2(name, isa) CVXR_T(name##isa)
#if CVXR_ISA == 2
#define CVXR_K(name) CVXR_K2(name, _avx512)
#define CVXR_TARGET  __attribute__((target("avx512f")))
#define CVXR_VBYTES  64
#elif CVXR_ISA == 1
#define CVXR_K(name) CVXR_K2(name, _avx2)
#define CVXR_TARGET  __attribute__((target("avx2")))
#define CVXR_VBYTES  32
#else
#define CVXR_K(name) CVXR_K2(name, _plain)
#define CVXR_TARGET
#define CVXR_VBYTES 16
#endif

#if CVXR_VECTORS
typedef CVXR_REAL CVXR_K(cvxr_vec) __attribute__((vector_size(CVXR_VBYTES), may_alias));
#endif

#if CVXR_VECTORS
#define CVXR_LANES (CVXR_VBYTES / sizeof(CVXR_REAL))
/* Row `row` of the sources, scaled, at columns j ..; zero beyond the last. */
CVXR_TARGET CVXR_INLINE CVXR_K(cvxr_vec)
    CVXR_K(cvxr_table_row)(size_t row, size_t rows, const CVXR_REAL *const *source,
                           const CVXR_REAL *scale, size_t j) {
    const CVXR_K(cvxr_vec) zero = { 0 };
    if (row >= rows) return zero;
    return *(const CVXR_K(cvxr_vec) *)(const void *)(source[row] + j)
           * (scale ? scale[row] : (CVXR_REAL)1);
}
#endif

/* T: tables of 16 rows of `width` elements (whole cache lines) for up to 32 source rows,
   each times its coefficient. Missing rows count as zero. */
CVXR_TARGET static void CVXR_K(cvxr_table_build)(size_t rows, const CVXR_REAL *const *source,
                                                 const CVXR_REAL *scale, size_t width,
                                                 CVXR_REAL *CVXR_RESTRICT T) {
    size_t t, e, j, tables = (rows + 3) / 4;
#if CVXR_VECTORS
    for (t = 0; t < tables; t++, T += 16 * width)
        for (j = 0; j < width; j += CVXR_LANES) {
            CVXR_K(cvxr_vec) v[16] = { { 0 } };
            v[1] = CVXR_K(cvxr_table_row)(4 * t, rows, source, scale, j);
            v[2] = CVXR_K(cvxr_table_row)(4 * t + 1, rows, source, scale, j);
            v[4] = CVXR_K(cvxr_table_row)(4 * t + 2, rows, source, scale, j);
            v[8] = CVXR_K(cvxr_table_row)(4 * t + 3, rows, source, scale, j);
            v[3] = v[2] + v[1], v[5] = v[4] + v[1], v[6] = v[4] + v[2], v[7] = v[6] + v[1];
            v[9] = v[8] + v[1], v[10] = v[8] + v[2], v[11] = v[10] + v[1], v[12] = v[8] + v[4];
            v[13] = v[12] + v[1], v[14] = v[12] + v[2], v[15] = v[14] + v[1];
            for (e = 0; e < 16; e++) *(CVXR_K(cvxr_vec) *)(void *)(T + e * width + j) = v[e];
        }
#else
    for (t = 0; t < tables; t++, T += 16 * width)
        for (e = 0; e < 16; e++)
            for (j = 0; j < width; j++) {
                CVXR_REAL sum = 0;
                size_t b;
                for (b = 0; b < 4; b++)
                    if ((e >> b & 1) && 4 * t + b < rows)
                        sum += source[4 * t + b][j] * (scale ? scale[4 * t + b] : (CVXR_REAL)1);
                T[e * width + j] = sum;
            }
#endif
}

#if CVXR_VECTORS
/* One pass over the outputs with nv accumulators, a constant at every call. */
CVXR_TARGET CVXR_INLINE void CVXR_K(cvxr_table_add_n)(size_t count, const uint32_t *w,
                                                      size_t tables, const CVXR_REAL *T,
                                                      size_t width, CVXR_REAL *out, size_t ldo,
                                                      const int nv) {
    typedef CVXR_K(cvxr_vec) vec;
    const size_t step = 16 * width;
    size_t i, t;
    for (i = 0; i < count; i++, out += ldo) {
        uint32_t bits = w[i];
        vec *o = (vec *)(void *)out;
        vec a0 = o[0], a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
        const CVXR_REAL *table = T;
        if (nv > 1) a1 = o[1];
        if (nv > 2) a2 = o[2];
        if (nv > 3) a3 = o[3];
        if (nv > 4) a4 = o[4], a5 = o[5], a6 = o[6], a7 = o[7];
        for (t = 0; t < tables; t++, bits >>= 4, table += step) {
            const vec *row = (const vec *)(const void *)(table + (bits & 15) * width);
            a0 += row[0];
            if (nv > 1) a1 += row[1];
            if (nv > 2) a2 += row[2];
            if (nv > 3) a3 += row[3];
            if (nv > 4) a4 += row[4], a5 += row[5], a6 += row[6], a7 += row[7];
        }
        o[0] = a0;
        if (nv > 1) o[1] = a1;
        if (nv > 2) o[2] = a2;
        if (nv > 3) o[3] = a3;
        if (nv > 4) o[4] = a4, o[5] = a5, o[6] = a6, o[7] = a7;
    }
}
#endif

/* out row i (width elements, whole cache lines, stride ldo) += the sum of the table rows
   that w[i] names. */
CVXR_TARGET static void CVXR_K(cvxr_table_add)(size_t count, const uint32_t *w, size_t tables,
                                               const CVXR_REAL *T, size_t width, CVXR_REAL *out,
                                               size_t ldo) {
#if CVXR_VECTORS
    const size_t lanes = CVXR_LANES;
    size_t left = width / lanes, at = 0, nv;
    for (; left; left -= nv, at += nv * lanes) {
        nv = left >= 8 ? 8 : left >= 4 ? 4 : left;
        switch (nv) {
        case 8:
            CVXR_K(cvxr_table_add_n)(count, w, tables, T + at, width, out + at, ldo, 8);
            break;
        case 4:
            CVXR_K(cvxr_table_add_n)(count, w, tables, T + at, width, out + at, ldo, 4);
            break;
        case 3:
            CVXR_K(cvxr_table_add_n)(count, w, tables, T + at, width, out + at, ldo, 3);
            break;
        case 2:
            CVXR_K(cvxr_table_add_n)(count, w, tables, T + at, width, out + at, ldo, 2);
            break;
        default:
            CVXR_K(cvxr_table_add_n)(count, w, tables, T + at, width, out + at, ldo, 1);
            break;
        }
    }
#else
    size_t i, j, t;
    for (i = 0; i < count; i++, out += ldo)
        for (t = 0; t < tables; t++) {
            const CVXR_REAL *row = T + (16 * t + (w[i] >> (4 * t) & 15)) * width;
            for (j = 0; j < width; j++) out[j] += row[j];
        }
#endif
}

/* ---- Lines: one cache line of columns, and tables of 64 entries for six rows each, which
   need two thirds of the look-ups. Six tables (32 rows) are 24 KB. A word w of mask bits
   names entry (w >> 6 t) % 64 of table t; an odd number of tables may be taken for one more,
   whose entry 0 must be zero. */
#undef CVXR_LINE
#define CVXR_LINE (CVXR_LINE_BYTES / sizeof(CVXR_REAL))

#if CVXR_ISA == 0
typedef struct CVXR_T(cvxr_lines) {
    /* tables of `rows` (at most 32) source rows, each times its coefficient (NULL: 1) */
    void (*build)(size_t rows, const CVXR_REAL *const *source, const CVXR_REAL *scale,
                  CVXR_REAL *T);
    /* out[i] += <x_i, the entries that w[i] names> */
    void (*dots)(size_t count, const uint32_t *w, size_t tables, const CVXR_REAL *T,
                 const CVXR_REAL *X, size_t ldx, CVXR_REAL *out);
    /* row i of out += the entries that w[i] names */
    void (*add)(size_t count, const uint32_t *w, size_t tables, const CVXR_REAL *T,
                CVXR_REAL *out, size_t ldo);
    /* the entries that w[i] names += r_i x_i (r NULL: x_i) */
    void (*fill)(size_t count, const uint32_t *w, size_t tables, const CVXR_REAL *X, size_t ldx,
                 const CVXR_REAL *r, CVXR_REAL *T);
    /* row j of out += the entries whose index has bit j; T is spent */
    void (*drain)(size_t rows, CVXR_REAL *T, CVXR_REAL *out, size_t ldo);
} CVXR_T(cvxr_lines);
#endif

#if CVXR_VECTORS
#define CVXR_AT(p) (*(CVXR_K(cvxr_vec) *)(void *)(p))
#define CVXR_SEE(p) (*(const CVXR_K(cvxr_vec) *)(const void *)(p))
#define CVXR_NV     (CVXR_LINE_BYTES / CVXR_VBYTES) /* vectors of a line: 4, 2, 1 */

/* to = a + s b, a line each. */
CVXR_TARGET CVXR_INLINE void CVXR_K(cvxr_line_sum)(CVXR_REAL *to, const CVXR_REAL *a,
                                                   const CVXR_REAL *b, CVXR_REAL s) {
    size_t j;
    for (j = 0; j < CVXR_LINE; j += CVXR_LANES)
        CVXR_AT(to + j) = CVXR_SEE(a + j) + CVXR_SEE(b + j) * s;
}
#else
static void CVXR_K(cvxr_line_sum)(CVXR_REAL *to, const CVXR_REAL *a, const CVXR_REAL *b,
                                  CVXR_REAL s) {
    size_t j;
    for (j = 0; j < CVXR_LINE; j++) to[j] = a[j] + b[j] * s;
}
#endif

CVXR_TARGET static void CVXR_K(cvxr_line_build)(size_t rows, const CVXR_REAL *const *source,
                                                const CVXR_REAL *scale, CVXR_REAL *T) {
    size_t t, b, e;
    for (t = 0; 6 * t < rows; t++, T += 64 * CVXR_LINE) {
        memset(T, 0, CVXR_LINE_BYTES);
        for (b = 0; b < 6 && 6 * t + b < rows; b++) {
            const CVXR_REAL s = scale ? scale[6 * t + b] : (CVXR_REAL)1;
            CVXR_REAL *to = T + CVXR_LINE * ((size_t)1 << b);
            CVXR_K(cvxr_line_sum)(to, T, source[6 * t + b], s);
            for (e = 1; e < (size_t)1 << b; e++)
                CVXR_K(cvxr_line_sum)(to + e * CVXR_LINE, to, T + e * CVXR_LINE, 1);
        }
    }
    if (t % 2) memset(T, 0, CVXR_LINE_BYTES);
}

CVXR_TARGET static void CVXR_K(cvxr_line_drain)(size_t rows, CVXR_REAL *T, CVXR_REAL *out,
                                                size_t ldo) {
    size_t t, b, e;
    for (t = 0; 6 * t < rows; t++, T += 64 * CVXR_LINE)
        for (b = cvxr_min_z(6, rows - 6 * t); b-- > 0;) {
            CVXR_REAL *from = T + CVXR_LINE * ((size_t)1 << b);
            for (e = 1; e < (size_t)1 << b; e++) {
                CVXR_REAL *down = T + e * CVXR_LINE, *up = from + e * CVXR_LINE;
                CVXR_K(cvxr_line_sum)(down, down, up, 1);
                CVXR_K(cvxr_line_sum)(from, from, up, 1);
            }
            CVXR_K(cvxr_line_sum)(out + (6 * t + b) * ldo, out + (6 * t + b) * ldo, from, 1);
        }
}

#if CVXR_VECTORS
/* Byte offset in a table that word w, shifted left by six, names. */
#define CVXR_ENTRY(t) ((t) * CVXR_LINE_TABLE + (w >> (6 * (t)) & 0xfc0))
#define CVXR_LOOK(t)                                                                           \
    if (tables > (t)) {                                                                        \
        const unsigned char *e = T + CVXR_ENTRY(t);                                            \
        a0 += CVXR_SEE(e);                                                                     \
        if (CVXR_NV > 1) a1 += CVXR_SEE(e + CVXR_VBYTES);                                      \
        if (CVXR_NV > 2) a2 += CVXR_SEE(e + 2 * CVXR_VBYTES);                                  \
        if (CVXR_NV > 2) a3 += CVXR_SEE(e + 3 * CVXR_VBYTES);                                  \
    }
#define CVXR_FILL(t)                                                                           \
    if (tables > (t)) {                                                                        \
        unsigned char *e = T + CVXR_ENTRY(t);                                                  \
        CVXR_AT(e) += a0;                                                                      \
        if (CVXR_NV > 1) CVXR_AT(e + CVXR_VBYTES) += a1;                                       \
        if (CVXR_NV > 2) CVXR_AT(e + 2 * CVXR_VBYTES) += a2;                                   \
        if (CVXR_NV > 2) CVXR_AT(e + 3 * CVXR_VBYTES) += a3;                                   \
    }
#define CVXR_SIX(M) M(0) M(1) M(2) M(3) M(4) M(5)

/* The products of a row x with the entries' sum, folded into one vector. */
CVXR_TARGET CVXR_INLINE CVXR_K(cvxr_vec)
    CVXR_K(cvxr_line_product)(uint32_t bits, const unsigned char *T, const CVXR_REAL *x,
                              const size_t tables, int far) {
    const uint64_t w = (uint64_t)bits << 6;
    const unsigned char *first = T + (w & 0xfc0);
    CVXR_K(cvxr_vec) a0 = CVXR_SEE(first), a1 = a0, a2 = a0, a3 = a0;
    if (CVXR_NV > 1) a1 = CVXR_SEE(first + CVXR_VBYTES);
    if (CVXR_NV > 2) a2 = CVXR_SEE(first + 2 * CVXR_VBYTES);
    if (CVXR_NV > 2) a3 = CVXR_SEE(first + 3 * CVXR_VBYTES);
    if (far) __builtin_prefetch(x + CVXR_LINE);
    CVXR_LOOK(1) CVXR_LOOK(2) CVXR_LOOK(3) CVXR_LOOK(4) CVXR_LOOK(5)
    a0 *= CVXR_SEE(x);
    if (CVXR_NV > 1) a0 += a1 * CVXR_SEE(x + CVXR_LANES);
    if (CVXR_NV > 2) a0 += a2 * CVXR_SEE(x + 2 * CVXR_LANES);
    if (CVXR_NV > 2) a0 += a3 * CVXR_SEE(x + 3 * CVXR_LANES);
    return a0;
}

/* The sum of the elements of v, in a fixed order. */
CVXR_TARGET CVXR_INLINE CVXR_REAL CVXR_K(cvxr_vec_sum)(CVXR_K(cvxr_vec) v) {
    CVXR_REAL e[CVXR_LANES];
    size_t k = CVXR_LANES, j;
    memcpy(e, &v, sizeof e);
    while (k > 1)
        for (k /= 2, j = 0; j < k; j++) e[j] += e[j + k];
    return e[0];
}

/* out[k] += the sum of v_k, k = 0 .. 3. */
CVXR_TARGET CVXR_INLINE void CVXR_K(cvxr_four_sums)(CVXR_K(cvxr_vec) v0, CVXR_K(cvxr_vec) v1,
                                                    CVXR_K(cvxr_vec) v2, CVXR_K(cvxr_vec) v3,
                                                    CVXR_REAL *out) {
#if CVXR_DISPATCH && CVXR_ISA && CVXR_F32
#if CVXR_ISA == 2
#define CVXR_HALF(v)                                                                           \
    _mm256_add_ps(_mm256_castpd_ps(_mm512_maskz_extractf64x4_pd(15, (__m512d)(v), 0)),         \
                  _mm256_castpd_ps(_mm512_maskz_extractf64x4_pd(15, (__m512d)(v), 1)))
#else
#define CVXR_HALF(v) ((__m256)(v))
#endif
    const __m256 s = _mm256_hadd_ps(_mm256_hadd_ps(CVXR_HALF(v0), CVXR_HALF(v1)),
                                    _mm256_hadd_ps(CVXR_HALF(v2), CVXR_HALF(v3)));
    const __m128 sum = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    _mm_storeu_ps(out, _mm_add_ps(_mm_loadu_ps(out), sum));
#undef CVXR_HALF
#elif CVXR_DISPATCH && CVXR_ISA
#if CVXR_ISA == 2
#define CVXR_HALF(v)                                                                           \
    _mm256_add_pd(_mm512_maskz_extractf64x4_pd(15, (__m512d)(v), 0),                           \
                  _mm512_maskz_extractf64x4_pd(15, (__m512d)(v), 1))
#else
#define CVXR_HALF(v) ((__m256d)(v))
#endif
    const __m256d s = _mm256_hadd_pd(CVXR_HALF(v0), CVXR_HALF(v1));
    const __m256d t = _mm256_hadd_pd(CVXR_HALF(v2), CVXR_HALF(v3));
    const __m256d sum =
        _mm256_add_pd(_mm256_permute2f128_pd(s, t, 0x20), _mm256_permute2f128_pd(s, t, 0x31));
    _mm256_storeu_pd(out, _mm256_add_pd(_mm256_loadu_pd(out), sum));
#undef CVXR_HALF
#else
    out[0] += CVXR_K(cvxr_vec_sum)(v0), out[1] += CVXR_K(cvxr_vec_sum)(v1);
    out[2] += CVXR_K(cvxr_vec_sum)(v2), out[3] += CVXR_K(cvxr_vec_sum)(v3);
#endif
}

/* The three loops over rows, `tables` a constant at every call. */
CVXR_TARGET CVXR_INLINE void CVXR_K(cvxr_line_dots_n)(size_t count, const uint32_t *w,
                                                      const CVXR_REAL *table,
                                                      const CVXR_REAL *X, size_t ldx,
                                                      CVXR_REAL *out, const size_t tables) {
    const unsigned char *T = (const unsigned char *)(const void *)table;
    const int far = ldx * sizeof(CVXR_REAL) >= CVXR_FAR;
    size_t i = 0;
    for (; i + 4 <= count; i += 4, X += 4 * ldx)
        CVXR_K(cvxr_four_sums)(CVXR_K(cvxr_line_product)(w[i], T, X, tables, far),
                               CVXR_K(cvxr_line_product)(w[i + 1], T, X + ldx, tables, far),
                               CVXR_K(cvxr_line_product)(w[i + 2], T, X + 2 * ldx, tables, far),
                               CVXR_K(cvxr_line_product)(w[i + 3], T, X + 3 * ldx, tables, far),
                               out + i);
    for (; i < count; i++, X += ldx)
        out[i] += CVXR_K(cvxr_vec_sum)(CVXR_K(cvxr_line_product)(w[i], T, X, tables, far));
}

CVXR_TARGET CVXR_INLINE void CVXR_K(cvxr_line_add_n)(size_t count, const uint32_t *words,
                                                     const CVXR_REAL *table, CVXR_REAL *out,
                                                     size_t ldo, const size_t tables) {
    const unsigned char *T = (const unsigned char *)(const void *)table;
    size_t i;
    for (i = 0; i < count; i++, out += ldo) {
        const uint64_t w = (uint64_t)words[i] << 6;
        CVXR_K(cvxr_vec) a0 = CVXR_SEE(out), a1 = a0, a2 = a0, a3 = a0;
        if (CVXR_NV > 1) a1 = CVXR_SEE(out + CVXR_LANES);
        if (CVXR_NV > 2) a2 = CVXR_SEE(out + 2 * CVXR_LANES);
        if (CVXR_NV > 2) a3 = CVXR_SEE(out + 3 * CVXR_LANES);
        CVXR_SIX(CVXR_LOOK)
        CVXR_AT(out) = a0;
        if (CVXR_NV > 1) CVXR_AT(out + CVXR_LANES) = a1;
        if (CVXR_NV > 2) CVXR_AT(out + 2 * CVXR_LANES) = a2;
        if (CVXR_NV > 2) CVXR_AT(out + 3 * CVXR_LANES) = a3;
    }
}

CVXR_TARGET CVXR_INLINE void CVXR_K(cvxr_line_fill_n)(size_t count, const uint32_t *words,
                                                      const CVXR_REAL *x, size_t ldx,
                                                      const CVXR_REAL *r, CVXR_REAL *table,
                                                      const size_t tables) {
    unsigned char *T = (unsigned char *)(void *)table;
    const int far = ldx * sizeof(CVXR_REAL) >= CVXR_FAR;
    size_t i;
    for (i = 0; i < count; i++, x += ldx) {
        const uint64_t w = (uint64_t)words[i] << 6;
        const CVXR_REAL s = r ? r[i] : (CVXR_REAL)1;
        CVXR_K(cvxr_vec) a0 = CVXR_SEE(x) * s, a1 = a0, a2 = a0, a3 = a0;
        if (CVXR_NV > 1) a1 = CVXR_SEE(x + CVXR_LANES) * s;
        if (CVXR_NV > 2) a2 = CVXR_SEE(x + 2 * CVXR_LANES) * s;
        if (CVXR_NV > 2) a3 = CVXR_SEE(x + 3 * CVXR_LANES) * s;
        if (far) __builtin_prefetch(x + CVXR_LINE);
        CVXR_SIX(CVXR_FILL)
    }
}
#endif

CVXR_TARGET static void CVXR_K(cvxr_line_dots)(size_t count, const uint32_t *w, size_t tables,
                                               const CVXR_REAL *T, const CVXR_REAL *X,
                                               size_t ldx, CVXR_REAL *out) {
#if CVXR_VECTORS
    if (tables == 1) CVXR_K(cvxr_line_dots_n)(count, w, T, X, ldx, out, 1);
    else if (tables == 2) CVXR_K(cvxr_line_dots_n)(count, w, T, X, ldx, out, 2);
    else if (tables <= 4) CVXR_K(cvxr_line_dots_n)(count, w, T, X, ldx, out, 4);
    else CVXR_K(cvxr_line_dots_n)(count, w, T, X, ldx, out, 6);
#else
    size_t i, j, t;
    for (i = 0; i < count; i++, X += ldx)
        for (t = 0; t < tables; t++) {
            const CVXR_REAL *row = T + (64 * t + (w[i] >> (6 * t) & 63)) * CVXR_LINE;
            for (j = 0; j < CVXR_LINE; j++) out[i] += row[j] * X[j];
        }
#endif
}

CVXR_TARGET static void CVXR_K(cvxr_line_add)(size_t count, const uint32_t *w, size_t tables,
                                              const CVXR_REAL *T, CVXR_REAL *out, size_t ldo) {
#if CVXR_VECTORS
    if (tables == 1) CVXR_K(cvxr_line_add_n)(count, w, T, out, ldo, 1);
    else if (tables == 2) CVXR_K(cvxr_line_add_n)(count, w, T, out, ldo, 2);
    else if (tables <= 4) CVXR_K(cvxr_line_add_n)(count, w, T, out, ldo, 4);
    else CVXR_K(cvxr_line_add_n)(count, w, T, out, ldo, 6);
#else
    size_t i, j, t;
    for (i = 0; i < count; i++, out += ldo)
        for (t = 0; t < tables; t++) {
            const CVXR_REAL *row = T + (64 * t + (w[i] >> (6 * t) & 63)) * CVXR_LINE;
            for (j = 0; j < CVXR_LINE; j++) out[j] += row[j];
        }
#endif
}

CVXR_TARGET static void CVXR_K(cvxr_line_fill)(size_t count, const uint32_t *w, size_t tables,
                                               const CVXR_REAL *X, size_t ldx,
                                               const CVXR_REAL *r, CVXR_REAL *T) {
#if CVXR_VECTORS
    if (tables == 1) CVXR_K(cvxr_line_fill_n)(count, w, X, ldx, r, T, 1);
    else if (tables == 2) CVXR_K(cvxr_line_fill_n)(count, w, X, ldx, r, T, 2);
    else if (tables <= 4) CVXR_K(cvxr_line_fill_n)(count, w, X, ldx, r, T, 4);
    else CVXR_K(cvxr_line_fill_n)(count, w, X, ldx, r, T, 6);
#else
    size_t i, j, t;
    for (i = 0; i < count; i++, X += ldx)
        for (t = 0; t < tables; t++) {
            CVXR_REAL *row = T + (64 * t + (w[i] >> (6 * t) & 63)) * CVXR_LINE;
            for (j = 0; j < CVXR_LINE; j++) row[j] += X[j] * (r ? r[i] : (CVXR_REAL)1);
        }
#endif
}

static const CVXR_T(cvxr_lines) CVXR_K(cvxr_lines) = {
    CVXR_K(cvxr_line_build), CVXR_K(cvxr_line_dots), CVXR_K(cvxr_line_add),
    CVXR_K(cvxr_line_fill), CVXR_K(cvxr_line_drain)
};

#undef CVXR_AT
#undef CVXR_SEE
#undef CVXR_NV
#undef CVXR_ENTRY
#undef CVXR_LOOK
#undef CVXR_FILL
#undef CVXR_SIX
#endif

/* ---- The operator, for each element type. */
#if defined(CVXR_TYPED) && CVXR_TYPED == 8

/* The kernels of the machine at hand. */
static void CVXR_T(cvxr_op_build)(const cvxr_op *op, size_t rows,
                                  const CVXR_REAL *const *source, const CVXR_REAL *scale,
                                  size_t width, CVXR_REAL *T) {
#if defined(__x86_64__) && CVXR_VECTORS
    if (op->isa == 2) CVXR_T(cvxr_table_build_avx512)(rows, source, scale, width, T);
    else if (op->isa == 1) CVXR_T(cvxr_table_build_avx2)(rows, source, scale, width, T);
    else
#endif
        CVXR_T(cvxr_table_build_plain)(rows, source, scale, width, T);
    (void)op;
}

static void CVXR_T(cvxr_op_add)(const cvxr_op *op, size_t count, const uint32_t *w,
                                size_t tables, const CVXR_REAL *T, size_t width, CVXR_REAL *out,
                                size_t ldo) {
#if defined(__x86_64__) && CVXR_VECTORS
    if (op->isa == 2) CVXR_T(cvxr_table_add_avx512)(count, w, tables, T, width, out, ldo);
    else if (op->isa == 1) CVXR_T(cvxr_table_add_avx2)(count, w, tables, T, width, out, ldo);
    else
#endif
        CVXR_T(cvxr_table_add_plain)(count, w, tables, T, width, out, ldo);
    (void)op;
}

static const CVXR_T(cvxr_lines) *CVXR_T(cvxr_lines_for)(const cvxr_op *op) {
#if defined(__x86_64__) && CVXR_VECTORS
    if (op->isa == 2) return &CVXR_T(cvxr_lines_avx512);
    if (op->isa == 1) return &CVXR_T(cvxr_lines_avx2);
#endif
    (void)op;
    return &CVXR_T(cvxr_lines_plain);
}

/* The parts of one slice of op->work. */
typedef struct CVXR_T(cvxr_slice) {
    CVXR_REAL *tables, *sums, *spread;
    uint32_t *words;
} CVXR_T(cvxr_slice);

static CVXR_T(cvxr_slice) CVXR_T(cvxr_op_part)(const cvxr_op *op, size_t task) {
    CVXR_T(cvxr_slice) s;
    unsigned char *at = op->work + task * cvxr_op_slice();
    s.tables = (CVXR_REAL *)(void *)at;
    at += (size_t)CVXR_TABLES * 16 * CVXR_CHUNK_BYTES;
    s.sums = (CVXR_REAL *)(void *)at;
    at += 2 * (size_t)CVXR_BLOCK * CVXR_CHUNK_BYTES;
    s.spread = (CVXR_REAL *)(void *)at;
    at += (size_t)CVXR_TILE * CVXR_CHUNK_BYTES;
    s.words = (uint32_t *)(void *)at;
    return s;
}

typedef struct CVXR_T(cvxr_job) {
    cvxr_op *op;
    const cvxr_select *select;
    const uint64_t *also; /* gradient: only rows that this mask has too; or NULL */
    const CVXR_REAL *X, *r,
        *U; /* X: n x ldx */
    CVXR_REAL *out;
    size_t ldx, width, ldo, share;
    size_t columns;       /* gradient: a task's, when columns are shared out, else 0 */
    size_t first, c0, c1; /* gradient of few patterns: blocks of rows and columns at hand */
    int spread;
} CVXR_T(cvxr_job);

#if !CVXR_F32
/* Gradient for the patterns of one block and one chunk of columns, for Newton's pairs (S14). */
static void CVXR_T(cvxr_gradient_block)(const CVXR_T(cvxr_job) * job,
                                        const CVXR_T(cvxr_slice) * part, size_t p0,
                                        size_t count, size_t c0, size_t width) {
    const cvxr_op *op = job->op;
    size_t i0, i, p;
    for (p = 0; p < count; p++)
        memset(job->out + (p0 + p) * job->ldo + c0, 0, width * sizeof(CVXR_REAL));
    for (i0 = 0; i0 < op->n; i0 += CVXR_TILE) {
        const CVXR_REAL *rows[CVXR_TILE];
        size_t m = cvxr_min_z(CVXR_TILE, op->n - i0);
        uint32_t also = job->also ? cvxr_mask_word(job->also, i0 / CVXR_TILE) : 0xffffffffu;
        if (also == 0) continue;
        for (i = 0; i < m; i++) rows[i] = job->X + (i0 + i) * job->ldx + c0;
        CVXR_T(cvxr_op_build)(op, m, rows, job->r ? job->r + i0 : NULL, width, part->tables);
        for (p = 0; p < count; p++)
            part->words[p] =
                also
                & cvxr_mask_word(op->bits + cvxr_select_at(job->select, p0 + p) * op->words,
                                 i0 / CVXR_TILE);
        CVXR_T(cvxr_op_add)
        (op, count, part->words, (m + 3) / 4, part->tables, width,
         job->out + p0 * job->ldo + c0, job->ldo);
    }
}
#endif

/* Two tiles of rows from i0 on (a multiple of 64): their tables serve all patterns of a block,
   whose mask words were collected. */
static void CVXR_T(cvxr_gradient_tiles)(const CVXR_T(cvxr_job) * job,
                                        const CVXR_T(cvxr_slice) * part, size_t i0,
                                        const uint32_t *words, size_t count, size_t c0,
                                        CVXR_REAL *out) {
    const CVXR_T(cvxr_lines) *lines = CVXR_T(cvxr_lines_for)(job->op);
    const size_t end = cvxr_min_z(i0 + 64, job->op->n);
    size_t i;
    for (; i0 < end; i0 += CVXR_TILE, words += count) {
        const CVXR_REAL *rows[CVXR_TILE];
        size_t m = cvxr_min_z(CVXR_TILE, end - i0);
        for (i = 0; i < m; i++) rows[i] = job->X + (i0 + i) * job->ldx + c0;
        lines->build(m, rows, job->r ? job->r + i0 : NULL, part->tables);
        lines->add(count, words, (m + 5) / 6, part->tables, out, job->ldo);
    }
}

/* Many patterns: tables of rows, from which the patterns take. */
static void CVXR_T(cvxr_gradient_task)(void *arg, size_t task) {
    const CVXR_T(cvxr_job) *job = (const CVXR_T(cvxr_job) *)arg;
    const cvxr_op *op = job->op;
    CVXR_T(cvxr_slice) part = CVXR_T(cvxr_op_part)(op, task);
    const size_t line = CVXR_LINE_BYTES / sizeof(CVXR_REAL), block = 4 * CVXR_BLOCK;
    uint32_t *words = (uint32_t *)(void *)part.sums;
    const size_t all = job->select->count, cut = job->columns;
    const size_t part_c = cut ? task * cut : 0, end_c = cut ? part_c + cut : job->width;
    const size_t part_p = cut ? 0 : task * job->share;
    const size_t end_p = cut ? all : cvxr_min_z(all, part_p + job->share);
    size_t p, q, c, i;
    for (c = part_c; c < end_c; c += line)
        for (p = part_p; p < end_p; p += block) {
            const size_t count = cvxr_min_z(block, end_p - p);
            CVXR_REAL *out = job->out + p * job->ldo + c;
            for (q = 0; q < count; q++) memset(out + q * job->ldo, 0, CVXR_LINE_BYTES);
            for (i = 0; i < op->n; i += 64) {
                for (q = 0; q < count; q++) {
                    uint64_t w =
                        op->bits[cvxr_select_at(job->select, p + q) * op->words + i / 64];
                    words[q] = (uint32_t)w;
                    words[count + q] = (uint32_t)(w >> 32);
                }
                CVXR_T(cvxr_gradient_tiles)(job, &part, i, words, count, c, out);
            }
        }
}

/* Few patterns: tables of patterns, which the rows fill; a table is drained once for all rows
   of a block. Adds the rows i0 to i1 and the columns c0 to c1 to `to` (column c0 first). */
static void CVXR_T(cvxr_gradient_few)(const CVXR_T(cvxr_job) * job,
                                      const CVXR_T(cvxr_slice) * part, size_t i0, size_t i1,
                                      size_t c0, size_t c1, CVXR_REAL *to, size_t ldt) {
    const cvxr_op *op = job->op;
    const CVXR_T(cvxr_lines) *lines = CVXR_T(cvxr_lines_for)(op);
    const cvxr_select *s = job->select;
    const size_t rows = 2 * CVXR_BLOCK;
    size_t g, c, i, w;
    for (c = c0; c < c1; c += CVXR_LINE_BYTES / sizeof(CVXR_REAL))
        for (g = 0; CVXR_TILE * g < s->count; g++) {
            const size_t m = cvxr_min_z(CVXR_TILE, s->count - CVXR_TILE * g);
            const size_t tables = (m + 5) / 6;
            memset(part->tables, 0, tables * CVXR_LINE_TABLE);
            for (i = i0; i < i1; i += rows) {
                const size_t count = cvxr_min_z(rows, i1 - i);
                const uint32_t *words = s->row_words ? s->row_words + g * op->n + i
                                                     : part->words;
                for (w = 0; w < count && !s->row_words; w += 64)
                    cvxr_rows_of_word(op, s, g, (i + w) / 64, cvxr_min_z(64, count - w),
                                      part->words + w);
                lines->fill(count, words, tables, job->X + i * job->ldx + c, job->ldx,
                            job->r ? job->r + i : NULL, part->tables);
            }
            lines->drain(m, part->tables, to + CVXR_TILE * g * ldt + (c - c0), ldt);
        }
}

/* The columns of a task, all blocks of rows in turn. */
static void CVXR_T(cvxr_few_columns_task)(void *arg, size_t task) {
    const CVXR_T(cvxr_job) *job = (const CVXR_T(cvxr_job) *)arg;
    const size_t n = job->op->n, blocks = cvxr_few_blocks(n);
    CVXR_T(cvxr_slice) part = CVXR_T(cvxr_op_part)(job->op, task);
    const size_t c0 = cvxr_min_z(job->width, task * job->share);
    const size_t c1 = cvxr_min_z(job->width, c0 + job->share);
    size_t b;
    for (b = 0; b < blocks && c0 < c1; b++)
        CVXR_T(cvxr_gradient_few)
        (job, &part, cvxr_few_row(n, blocks, b), cvxr_few_row(n, blocks, b + 1), c0, c1,
         job->out + c0, job->ldo);
}

/* One block of rows (job->first + task) of some columns (job->c0 to c1), into the slice. */
static void CVXR_T(cvxr_few_rows_task)(void *arg, size_t task) {
    const CVXR_T(cvxr_job) *job = (const CVXR_T(cvxr_job) *)arg;
    const size_t n = job->op->n, blocks = cvxr_few_blocks(n), b = job->first + task;
    const size_t width = job->c1 - job->c0;
    CVXR_T(cvxr_slice) part = CVXR_T(cvxr_op_part)(job->op, task);
    memset(part.sums, 0, job->select->count * width * sizeof(CVXR_REAL));
    CVXR_T(cvxr_gradient_few)
    (job, &part, cvxr_few_row(n, blocks, b), cvxr_few_row(n, blocks, b + 1), job->c0, job->c1,
     part.sums, width);
}

/* Blocks of rows to the threads, as many columns at a time as a slice holds the sums of. */
static void CVXR_T(cvxr_few_by_rows)(CVXR_T(cvxr_job) * job, size_t threads) {
    cvxr_op *op = job->op;
    const size_t line = CVXR_LINE_BYTES / sizeof(CVXR_REAL), count = job->select->count;
    const size_t held = 2 * (size_t)CVXR_BLOCK * CVXR_CHUNK_BYTES / (count * CVXR_LINE_BYTES);
    const size_t blocks = cvxr_few_blocks(op->n);
    size_t t, p, j;
    for (job->c0 = 0; job->c0 < job->width; job->c0 = job->c1) {
        job->c1 = cvxr_min_z(job->width, job->c0 + held * line);
        for (job->first = 0; job->first < blocks; job->first += threads) {
            const size_t tasks = cvxr_min_z(threads, blocks - job->first);
            const size_t width = job->c1 - job->c0;
            cvxr_team_run(&op->team, tasks, CVXR_T(cvxr_few_rows_task), job);
            for (t = 0; t < tasks; t++) {
                const CVXR_REAL *from = CVXR_T(cvxr_op_part)(op, t).sums;
                for (p = 0; p < count; p++, from += width)
                    for (j = 0; j < width; j++)
                        job->out[p * job->ldo + job->c0 + j] += from[j];
            }
        }
    }
}

static void CVXR_T(cvxr_few_run)(CVXR_T(cvxr_job) * job) {
    cvxr_op *op = job->op;
    const size_t line = CVXR_LINE_BYTES / sizeof(CVXR_REAL), lines = job->width / line;
    const double work = (double)op->n * (double)job->width * (double)job->select->count;
    const size_t threads = work < 2e6 ? 1 : (size_t)op->team.threads;
    memset(job->out, 0, job->select->count * job->ldo * sizeof(CVXR_REAL));
    if (threads > 1 && lines < 8 * threads && cvxr_few_blocks(op->n) > 1) {
        CVXR_T(cvxr_few_by_rows)(job, threads);
        return;
    }
    job->share = (lines + threads - 1) / threads * line;
    cvxr_team_run(&op->team, cvxr_min_z(threads, lines), CVXR_T(cvxr_few_columns_task), job);
}

/* Work is shared out in equal parts, one a thread; below this many additions it stays on
   one. */
static size_t CVXR_T(cvxr_op_tasks)(const cvxr_op *op, size_t items, double additions) {
    size_t threads = (size_t)op->team.threads;
    return additions < 4e5 || items < 64 ? 1 : cvxr_min_z(threads, items / 32);
}

/* out (select->count rows of op->dp, packed) = X^T (D_p o r). r NULL means ones. Cost: n dp
   count / 6 additions. */
static void CVXR_T(cvxr_gradient)(cvxr_op *op, const cvxr_select *select, const CVXR_REAL *r,
                                  CVXR_REAL *out) {
    CVXR_T(cvxr_job) job;
    size_t tasks;
    memset(&job, 0, sizeof job);
    job.op = op;
    job.select = select;
    job.X = (const CVXR_REAL *)op->X;
    job.ldx = job.ldo = job.width = op->dp;
    job.r = r;
    job.out = out;
    op->passes += (double)select->count / (double)op->patterns;
    op->flops += 2.0 * (double)op->n * (double)op->d * (double)select->count;
    if (select->count <= CVXR_FILLED) {
        CVXR_T(cvxr_few_run)(&job);
        return;
    }
    tasks = CVXR_T(cvxr_op_tasks)(op, select->count,
                                  (double)op->n * (double)op->dp * (double)select->count / 4);
    if (tasks > 1 && op->dp * sizeof(CVXR_REAL) / CVXR_LINE_BYTES % tasks == 0)
        job.columns = op->dp / tasks; /* no table is made twice */
    job.share = (select->count + tasks - 1) / tasks;
    cvxr_team_run(&op->team, tasks, CVXR_T(cvxr_gradient_task), &job);
}

/* Forward of `count` rows from i0 on for the groups of 32 patterns from g0 to g1 and a line of
   columns. Mask words of group g at words + (g - g0) * ldw. */
static void CVXR_T(cvxr_forward_line)(const CVXR_T(cvxr_job) * job,
                                      const CVXR_T(cvxr_slice) * part, size_t i0, size_t count,
                                      size_t g0, size_t g1, size_t c0, const uint32_t *words,
                                      size_t ldw) {
    const CVXR_T(cvxr_lines) *lines = CVXR_T(cvxr_lines_for)(job->op);
    const cvxr_select *s = job->select;
    const size_t dp = job->op->dp;
    size_t g, j;
    for (g = g0; g < g1; g++) {
        const CVXR_REAL *rows[CVXR_TILE];
        size_t m = cvxr_min_z(CVXR_TILE, s->count - CVXR_TILE * g);
        for (j = 0; j < m; j++) {
            size_t p = CVXR_TILE * g + j;
            rows[j] = job->U + (job->spread ? cvxr_select_at(s, p) : p) * dp + c0;
        }
        lines->build(m, rows, NULL, part->tables);
        lines->dots(count, words + (g - g0) * ldw, (m + 5) / 6, part->tables,
                    job->X + i0 * dp + c0, dp, job->out + i0);
    }
}

/* Rows of a task, a panel at a time: the mask words of as many patterns as fit into the slice
   are made once, then a line of X's panel stays in the cache while the patterns pass. */
static void CVXR_T(cvxr_forward_task)(void *arg, size_t task) {
    const CVXR_T(cvxr_job) *job = (const CVXR_T(cvxr_job) *)arg;
    const cvxr_op *op = job->op;
    const cvxr_select *s = job->select;
    CVXR_T(cvxr_slice) part = CVXR_T(cvxr_op_part)(op, task);
    const size_t groups = (s->count + CVXR_TILE - 1) / CVXR_TILE, rows = CVXR_PANEL_ROWS;
    const size_t most = 2 * (size_t)CVXR_BLOCK * CVXR_CHUNK_BYTES / (4 * rows);
    uint32_t *made = (uint32_t *)(void *)part.sums;
    size_t i, g, g0, c, w, end = cvxr_min_z(op->n, (task + 1) * job->share);
    for (i = task * job->share; i < end; i += rows) {
        size_t count = cvxr_min_z(rows, end - i);
        memset(job->out + i, 0, count * sizeof(CVXR_REAL));
        for (g0 = 0; g0 < groups; g0 += most) {
            size_t g1 = cvxr_min_z(groups, g0 + most);
            const uint32_t *words = s->row_words ? s->row_words + g0 * op->n + i : made;
            for (g = g0; g < g1 && !s->row_words; g++)
                for (w = 0; w < count; w += 64)
                    cvxr_rows_of_word(op, s, g, (i + w) / 64, cvxr_min_z(64, count - w),
                                      made + (g - g0) * rows + w);
            for (c = 0; c < op->dp; c += CVXR_LINE_BYTES / sizeof(CVXR_REAL))
                CVXR_T(cvxr_forward_line)(job, &part, i, count, g0, g1, c, words,
                                          s->row_words ? op->n : rows);
        }
    }
}

/* out (n) = sum_p D_p X u_p over the selection. Rows of U are packed in its order, or with
   `spread` at the patterns' own places. Cost: n dp count / 6 additions. */
static void CVXR_T(cvxr_forward)(cvxr_op *op, const cvxr_select *select, const CVXR_REAL *U,
                                 int spread, CVXR_REAL *out) {
    CVXR_T(cvxr_job) job;
    size_t tasks;
    memset(&job, 0, sizeof job);
    job.op = op;
    job.select = select;
    job.X = (const CVXR_REAL *)op->X;
    job.U = U;
    job.spread = spread;
    job.out = out;
    op->passes += (double)select->count / (double)op->patterns;
    op->flops += 2.0 * (double)op->n * (double)op->d * (double)select->count;
    tasks = CVXR_T(cvxr_op_tasks)(op, op->n,
                                  (double)op->n * (double)op->dp * (double)select->count / 4);
    job.share = ((op->n + tasks - 1) / tasks + 63) / 64 * 64;
    cvxr_team_run(&op->team, (op->n + job.share - 1) / job.share, CVXR_T(cvxr_forward_task),
                  &job);
}

/* ---- Vectors: what first-order solvers do with weights and predictions. */

static void CVXR_T(cvxr_axpby)(size_t n, double a, const void *x, double b, void *y) {
    const CVXR_REAL *CVXR_RESTRICT from = (const CVXR_REAL *)x;
    CVXR_REAL *CVXR_RESTRICT to = (CVXR_REAL *)y;
    const CVXR_REAL s = (CVXR_REAL)a, t = (CVXR_REAL)b;
    size_t i;
    if (b == 0)
        for (i = 0; i < n; i++) to[i] = s * from[i];
    else
        for (i = 0; i < n; i++) to[i] = s * from[i] + t * to[i];
}

/* <x - y, z - w> in float64 with a fixed order; y and w may be NULL (zero). */
static double CVXR_T(cvxr_dot_differences)(size_t n, const void *x, const void *y,
                                           const void *z, const void *w) {
    const CVXR_REAL *a = (const CVXR_REAL *)x, *b = (const CVXR_REAL *)y;
    const CVXR_REAL *c = (const CVXR_REAL *)z, *e = (const CVXR_REAL *)w;
    double s[4] = { 0, 0, 0, 0 };
    size_t i, k;
    for (i = 0; i < n; i += 4)
        for (k = i; k < i + 4 && k < n; k++) {
            double left = (double)a[k] - (b ? (double)b[k] : 0.0);
            double right = (double)c[k] - (e ? (double)e[k] : 0.0);
            s[k - i] += left * right;
        }
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static int CVXR_T(cvxr_row_is_zero)(size_t d, const void *x) {
    const CVXR_REAL *a = (const CVXR_REAL *)x;
    size_t j;
    for (j = 0; j < d; j++)
        if (a[j] != 0) return 0;
    return 1;
}

static void CVXR_T(cvxr_to_f64)(size_t n, const void *x, double *out) {
    const CVXR_REAL *a = (const CVXR_REAL *)x;
    size_t i;
    for (i = 0; i < n; i++) out[i] = (double)a[i];
}

static void CVXR_T(cvxr_from_f64)(size_t n, const double *x, void *out) {
    CVXR_REAL *a = (CVXR_REAL *)out;
    size_t i;
    for (i = 0; i < n; i++) a[i] = (CVXR_REAL)x[i];
}

#endif

#if !defined(CVXR_TYPED)
/* The vector and operator functions of one element type; large arrays are opaque to solvers. */
typedef struct cvxr_space {
    size_t size; /* bytes of an element */
    void (*axpby)(size_t n, double a, const void *x, double b, void *y);
    double (*dot)(size_t n, const void *x, const void *y, const void *z, const void *w);
    int (*row_is_zero)(size_t d, const void *x);
    void (*to_f64)(size_t n, const void *x, double *out);
    void (*from_f64)(size_t n, const double *x, void *out);
    void (*forward)(cvxr_op *op, const cvxr_select *select, const void *U, int spread,
                    void *out);
    void (*gradient)(cvxr_op *op, const cvxr_select *select, const void *r, void *out);
} cvxr_space;

static void cvxr_space_forward_f64(cvxr_op *op, const cvxr_select *s, const void *U, int spread,
                                   void *out) {
    cvxr_forward_f64(op, s, (const double *)U, spread, (double *)out);
}

static void cvxr_space_gradient_f64(cvxr_op *op, const cvxr_select *s, const void *r,
                                    void *out) {
    cvxr_gradient_f64(op, s, (const double *)r, (double *)out);
}

static const cvxr_space cvxr_space_f64 = { sizeof(double),           cvxr_axpby_f64,
                                           cvxr_dot_differences_f64, cvxr_row_is_zero_f64,
                                           cvxr_to_f64_f64,          cvxr_from_f64_f64,
                                           cvxr_space_forward_f64,   cvxr_space_gradient_f64 };

#ifndef CVXRELU_NO_FLOAT32
static void cvxr_space_forward_f32(cvxr_op *op, const cvxr_select *s, const void *U, int spread,
                                   void *out) {
    cvxr_forward_f32(op, s, (const float *)U, spread, (float *)out);
}

static void cvxr_space_gradient_f32(cvxr_op *op, const cvxr_select *s, const void *r,
                                    void *out) {
    cvxr_gradient_f32(op, s, (const float *)r, (float *)out);
}

static const cvxr_space cvxr_space_f32 = {
    sizeof(float),   cvxr_axpby_f32,    cvxr_dot_differences_f32, cvxr_row_is_zero_f32,
    cvxr_to_f64_f32, cvxr_from_f64_f32, cvxr_space_forward_f32,   cvxr_space_gradient_f32
};
#endif

/* ---- Gram pieces (float64 only). M lower triangle = E diag(a) E^T for the selection's
   masks E (n x count): row l of M gains, four patterns at a time, the tabulated sums of a_p
   E_p. */
typedef struct cvxr_gram_job {
    cvxr_op *op;
    const cvxr_select *select;
    const double *a;
    double *M;
    size_t ldm, tasks;
} cvxr_gram_job;

/* The tables of 32 patterns (from 32 g on) over columns l0 ..; returns how many tables there
   are. */
static size_t cvxr_gram_tables(const cvxr_gram_job *job, const cvxr_slice_f64 *part, size_t g,
                               size_t l0, size_t columns) {
    const cvxr_op *op = job->op;
    const double *rows[CVXR_TILE];
    size_t j, l, m = cvxr_min_z(CVXR_TILE, job->select->count - CVXR_TILE * g);
    for (j = 0; j < m; j++) {
        size_t p = CVXR_TILE * g + j;
        uint32_t w =
            cvxr_mask_word(op->bits + cvxr_select_at(job->select, p) * op->words, l0 / 32);
        double *row = part->spread + j * columns;
        for (l = 0; l < columns; l++) row[l] = w >> l & 1 ? job->a[p] : 0.0;
        rows[j] = row;
    }
    cvxr_op_build_f64(op, m, rows, NULL, columns, part->tables);
    return (m + 3) / 4;
}

/* Columns l0 .. l0 + 31 of M, from the diagonal down, a block of rows at a time. */
static void cvxr_gram_chunk(const cvxr_gram_job *job, const cvxr_slice_f64 *part, size_t l0) {
    const cvxr_op *op = job->op;
    const size_t block = 2 * CVXR_BLOCK;
    size_t g, i, i0,
        columns = cvxr_min_z(CVXR_CHUNK_BYTES / sizeof(double), cvxr_pad(op->n - l0));
    for (i0 = l0; i0 < op->n; i0 += block) {
        size_t count = cvxr_min_z(block, op->n - i0);
        double *to = job->M + i0 * job->ldm + l0;
        for (i = 0; i < count; i++) memset(to + i * job->ldm, 0, columns * sizeof(double));
        for (g = 0; CVXR_TILE * g < job->select->count; g++) {
            size_t tables = cvxr_gram_tables(job, part, g, l0, columns);
            cvxr_op_add_f64(op, count, job->select->row_words + g * op->n + i0, tables,
                            part->tables, columns, to, job->ldm);
        }
    }
}

/* Chunks are dealt out in turn, first and last together, so that the triangle is shared
   evenly. */
static void cvxr_gram_task(void *arg, size_t task) {
    const cvxr_gram_job *job = (const cvxr_gram_job *)arg;
    cvxr_slice_f64 part = cvxr_op_part_f64(job->op, task);
    const size_t width = CVXR_CHUNK_BYTES / sizeof(double);
    size_t c, chunks = (job->op->n + width - 1) / width;
    for (c = 0; c < chunks; c++) {
        size_t turn = c % (2 * job->tasks);
        if ((turn < job->tasks ? turn : 2 * job->tasks - 1 - turn) == task)
            cvxr_gram_chunk(job, &part, c * width);
    }
}

/* M: n x ldm, ldm >= n rounded up to a cache line; needs select->row_words. n^2 count / 8
   additions. */
static void cvxr_gram_masks(cvxr_op *op, const cvxr_select *select, const double *a, double *M,
                            size_t ldm) {
    cvxr_gram_job job;
    job.op = op;
    job.select = select;
    job.a = a;
    job.M = M;
    job.ldm = ldm;
    job.tasks = op->n < 256 ? 1 : (size_t)op->team.threads;
    cvxr_team_run(&op->team, job.tasks, cvxr_gram_task, &job);
}

/* ==== S09 LOSSES =========================================================================
   One table a loss, in units of the sum over rows and outputs (the objective of the manual
   times n c), for one output: value f, dual direction -f'(z), the excess f(z1) - f(z0) -
   <f'(z0), z1 - z0> and the gap between f and its conjugate at a scaled dual point. A new
   loss is one more table. Uses S01. Used by S12-S22. Tests: tests/test_s09_losses.c. Source:
   [BT09], [MSP22 eq. 3]. */

typedef struct cvxr_loss_table {
    double (*value)(size_t n, const double *z, const double *y);
    void (*dual)(size_t n, const double *z, const double *y, double *theta);
    double (*excess)(size_t n, const double *z1, const double *z0, const double *y);
    /* f(z) + f*(-s theta) + s <theta, z> for theta = -f'(z), 0 <= s <= 1: never negative */
    double (*dual_gap)(size_t n, const double *z, const double *y, const double *theta,
                       double s);
} cvxr_loss_table;

/* Sum of squares of a_i - b_i (b may be NULL), in four fixed partial sums. */
static double cvxr_sum_squares(size_t n, const double *a, const double *b) {
    double s[4] = { 0, 0, 0, 0 };
    size_t i;
    for (i = 0; i < n; i++) {
        double e = a[i] - (b ? b[i] : 0.0);
        s[i & 3] += e * e;
    }
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static double cvxr_squared_value(size_t n, const double *z, const double *y) {
    return 0.5 * cvxr_sum_squares(n, z, y);
}

static void cvxr_squared_dual(size_t n, const double *z, const double *y, double *theta) {
    size_t i;
    for (i = 0; i < n; i++) theta[i] = y[i] - z[i];
}

static double cvxr_squared_excess(size_t n, const double *z1, const double *z0,
                                  const double *y) {
    (void)y;
    return 0.5 * cvxr_sum_squares(n, z1, z0);
}

static double cvxr_squared_dual_gap(size_t n, const double *z, const double *y,
                                    const double *theta, double s) {
    (void)z;
    (void)y;
    return 0.5 * (1 - s) * (1 - s) * cvxr_sum_squares(n, theta, NULL);
}

static const cvxr_loss_table cvxr_losses[] = { { cvxr_squared_value, cvxr_squared_dual,
                                                 cvxr_squared_excess, cvxr_squared_dual_gap } };

/* ==== S10 GROUP NORMS AND PROX ===========================================================
   One table a penalty, for the weights U (patterns x dp) of one output: value, prox, the
   squared minimum-norm subgradient and the dual norm, the last two gathered over panels of
   patterns so that no gradient need ever be whole. A new penalty is one more table. Uses
   S01. Used by S12-S22. Tests: tests/test_s10_prox.c. Source: [MSP22 4.1], [BT09]. */

/* The sums that a sweep over panels leaves behind. `columns` has dp entries where the table
   asks. */
typedef struct cvxr_penalty_sums {
    double most;        /* largest group norm of the gradient */
    double row;         /* largest squared ||G_i||, whatever the groups */
    double value;       /* penalty of U, without lambda */
    double product;     /* <U, G>, G = X^T D theta */
    double distance;    /* L2: ||lam U - G||^2 */
    double subgradient; /* squared minimum norm over the subdifferential */
    double *columns;    /* FEATURE: 3 dp sums of G^2, U^2, U G */
} cvxr_penalty_sums;

typedef struct cvxr_penalty_table {
    /* t is step * lam; U is count x dp, of the type that the caller's space has */
    void (*prox_f64)(size_t count, size_t dp, double *U, double t);
    void (*prox_f32)(size_t count, size_t dp, float *U, double t);
    double (*value_f64)(size_t count, size_t dp, const double *U);
    double (*value_f32)(size_t count, size_t dp, const float *U);
    /* one panel: count rows of G and U (U row NULL = zero) */
    void (*sweep)(size_t count, size_t dp, const double *G, const double *const *U, double lam,
                  cvxr_penalty_sums *sums);
    void (*finish)(size_t dp, double lam, cvxr_penalty_sums *sums);
    int whole;   /* prox needs all patterns at once (groups across patterns) */
    int is_norm; /* dual point is scaled into the ball of the dual norm */
} cvxr_penalty_table;

#define CVXR_TYPED 10
#define CVXR_F32   0
#include CVXRELU_FILE
#undef CVXR_F32
#ifndef CVXRELU_NO_FLOAT32
#define CVXR_F32 1
#include CVXRELU_FILE
#undef CVXR_F32
#endif
#undef CVXR_TYPED
#endif

#if defined(CVXR_TYPED) && CVXR_TYPED == 10
static double CVXR_T(cvxr_row_square)(size_t d, const CVXR_REAL *u) {
    double s[4] = { 0, 0, 0, 0 };
    size_t j;
    for (j = 0; j + 4 <= d; j += 4) {
        s[0] += (double)u[j] * (double)u[j];
        s[1] += (double)u[j + 1] * (double)u[j + 1];
        s[2] += (double)u[j + 2] * (double)u[j + 2];
        s[3] += (double)u[j + 3] * (double)u[j + 3];
    }
    for (; j < d; j++) s[0] += (double)u[j] * (double)u[j];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* Row u becomes max(0, 1 - t / ||u||) u; a zero row stays exactly zero. */
static void CVXR_T(cvxr_neuron_prox)(size_t count, size_t dp, CVXR_REAL *U, double t) {
    size_t i, j;
    for (i = 0; i < count; i++, U += dp) {
        double norm = sqrt(CVXR_T(cvxr_row_square)(dp, U));
        CVXR_REAL by = norm > t ? (CVXR_REAL)(1 - t / norm) : (CVXR_REAL)0;
        if (norm > t)
            for (j = 0; j < dp; j++) U[j] *= by;
        else memset(U, 0, dp * sizeof *U);
    }
}

static double CVXR_T(cvxr_neuron_value)(size_t count, size_t dp, const CVXR_REAL *U) {
    double sum = 0;
    size_t i;
    for (i = 0; i < count; i++) sum += sqrt(CVXR_T(cvxr_row_square)(dp, U + i * dp));
    return sum;
}

static double CVXR_T(cvxr_column_norm)(size_t count, size_t dp, const CVXR_REAL *U) {
    double sum = 0;
    size_t i;
    for (i = 0; i < count; i++) sum += (double)U[i * dp] * (double)U[i * dp];
    return sqrt(sum);
}

static void CVXR_T(cvxr_feature_prox)(size_t count, size_t dp, CVXR_REAL *U, double t) {
    size_t i, j;
    for (j = 0; j < dp; j++) {
        double norm = CVXR_T(cvxr_column_norm)(count, dp, U + j);
        CVXR_REAL by = norm > t ? (CVXR_REAL)(1 - t / norm) : (CVXR_REAL)0;
        for (i = 0; i < count; i++)
            U[i * dp + j] = norm > t ? U[i * dp + j] * by : (CVXR_REAL)0;
    }
}

static double CVXR_T(cvxr_feature_value)(size_t count, size_t dp, const CVXR_REAL *U) {
    double sum = 0;
    size_t j;
    for (j = 0; j < dp; j++) sum += CVXR_T(cvxr_column_norm)(count, dp, U + j);
    return sum;
}

static void CVXR_T(cvxr_l1_prox)(size_t count, size_t dp, CVXR_REAL *U, double t) {
    size_t i;
    const CVXR_REAL by = (CVXR_REAL)t;
    for (i = 0; i < count * dp; i++)
        U[i] = U[i] > by ? U[i] - by : U[i] < -by ? U[i] + by : (CVXR_REAL)0;
}

static double CVXR_T(cvxr_l1_value)(size_t count, size_t dp, const CVXR_REAL *U) {
    double sum = 0;
    size_t i;
    for (i = 0; i < count * dp; i++) sum += fabs((double)U[i]);
    return sum;
}

static void CVXR_T(cvxr_l2_prox)(size_t count, size_t dp, CVXR_REAL *U, double t) {
    const CVXR_REAL by = (CVXR_REAL)(1 / (1 + t));
    size_t i;
    for (i = 0; i < count * dp; i++) U[i] *= by;
}

static double CVXR_T(cvxr_l2_value)(size_t count, size_t dp, const CVXR_REAL *U) {
    double sum = 0;
    size_t i;
    for (i = 0; i < count; i++) sum += CVXR_T(cvxr_row_square)(dp, U + i * dp);
    return 0.5 * sum;
}
#endif

#if !defined(CVXR_TYPED)
/* A group with weights u (NULL = zero) and gradient g = X^T D theta: 0 is nearest to lam
   d||u|| - g. */
static void cvxr_neuron_sweep(size_t count, size_t dp, const double *G, const double *const *U,
                              double lam, cvxr_penalty_sums *sums) {
    size_t i, j;
    for (i = 0; i < count; i++, G += dp) {
        double norm = sqrt(cvxr_row_square_f64(dp, G)), size, s = 0, dot = 0;
        if (norm > sums->most) sums->most = norm;
        size = U[i] ? sqrt(cvxr_row_square_f64(dp, U[i])) : 0;
        if (size == 0) {
            if (norm > lam) sums->subgradient += (norm - lam) * (norm - lam);
            continue;
        }
        for (j = 0; j < dp; j++) {
            double e = lam * (U[i][j] / size) - G[j];
            s += e * e;
            dot += U[i][j] * G[j];
        }
        sums->subgradient += s;
        sums->value += size;
        sums->product += dot;
    }
}

static void cvxr_feature_sweep(size_t count, size_t dp, const double *G, const double *const *U,
                               double lam, cvxr_penalty_sums *sums) {
    size_t i, j;
    (void)lam;
    for (i = 0; i < count; i++, G += dp)
        for (j = 0; j < dp; j++) {
            double u = U[i] ? U[i][j] : 0.0;
            sums->columns[j] += G[j] * G[j];
            sums->columns[dp + j] += u * u;
            sums->columns[2 * dp + j] += u * G[j];
        }
}

static void cvxr_feature_finish(size_t dp, double lam, cvxr_penalty_sums *sums) {
    size_t j;
    for (j = 0; j < dp; j++) {
        double g = sqrt(sums->columns[j]), u = sqrt(sums->columns[dp + j]),
               dot = sums->columns[2 * dp + j];
        if (g > sums->most) sums->most = g;
        sums->value += u;
        sums->product += dot;
        if (u > 0) sums->subgradient += cvxr_max(0, lam * lam - 2 * lam * dot / u + g * g);
        else if (g > lam) sums->subgradient += (g - lam) * (g - lam);
    }
}

static void cvxr_l1_sweep(size_t count, size_t dp, const double *G, const double *const *U,
                          double lam, cvxr_penalty_sums *sums) {
    size_t i, j;
    for (i = 0; i < count; i++, G += dp)
        for (j = 0; j < dp; j++) {
            double u = U[i] ? U[i][j] : 0.0, g = fabs(G[j]), e;
            if (g > sums->most) sums->most = g;
            e = u > 0 ? lam - G[j] : u < 0 ? lam + G[j] : cvxr_max(0, g - lam);
            sums->subgradient += e * e;
            sums->value += fabs(u);
            sums->product += u * G[j];
        }
}

static void cvxr_l2_sweep(size_t count, size_t dp, const double *G, const double *const *U,
                          double lam, cvxr_penalty_sums *sums) {
    size_t i, j;
    for (i = 0; i < count; i++, G += dp)
        for (j = 0; j < dp; j++) {
            double u = U[i] ? U[i][j] : 0.0, e = lam * u - G[j];
            sums->distance += e * e;
            sums->value += 0.5 * u * u;
            if (fabs(G[j]) > sums->most) sums->most = fabs(G[j]);
        }
}

static void cvxr_l2_finish(size_t dp, double lam, cvxr_penalty_sums *sums) {
    (void)dp;
    (void)lam;
    sums->subgradient = sums->distance;
}

static void cvxr_nothing_to_finish(size_t dp, double lam, cvxr_penalty_sums *sums) {
    (void)dp;
    (void)lam;
    (void)sums;
}

#ifdef CVXRELU_NO_FLOAT32
#define CVXR_BOTH(name) cvxr_##name##_prox_f64, NULL, cvxr_##name##_value_f64, NULL
#else
#define CVXR_BOTH(name)                                                                        \
    cvxr_##name##_prox_f64, cvxr_##name##_prox_f32, cvxr_##name##_value_f64,                   \
        cvxr_##name##_value_f32
#endif
static const cvxr_penalty_table
    cvxr_penalties[] = { /* in the order of cvxrelu_penalty */
                         { CVXR_BOTH(neuron), cvxr_neuron_sweep, cvxr_nothing_to_finish, 0, 1 },
                         { CVXR_BOTH(feature), cvxr_feature_sweep, cvxr_feature_finish, 1, 1 },
                         { CVXR_BOTH(l1), cvxr_l1_sweep, cvxr_nothing_to_finish, 0, 1 },
                         { CVXR_BOTH(l2), cvxr_l2_sweep, cvxr_l2_finish, 0, 0 }
    };
#undef CVXR_BOTH

static void cvxr_prox(const cvxr_penalty_table *p, cvxrelu_type type, size_t count, size_t dp,
                      void *U, double t) {
    if (type == CVXRELU_FLOAT64) p->prox_f64(count, dp, (double *)U, t);
    else p->prox_f32(count, dp, (float *)U, t);
}

static double cvxr_penalty_value(const cvxr_penalty_table *p, cvxrelu_type type, size_t count,
                                 size_t dp, const void *U) {
    return type == CVXRELU_FLOAT64 ? p->value_f64(count, dp, (const double *)U)
                                   : p->value_f32(count, dp, (const float *)U);
}

/* ==== S11 CONES ==========================================================================
   The projection of z onto {v : t_j x_j.v >= b_j}, t_j = +1 on the rows of a pattern and -1
   elsewhere: v = z + sum gamma_j t_j x_j, gamma >= 0, gamma_j = 0 unless row j is tight. A
   dual active set method [GI83] with the identity for Hessian: the pair (J, gamma) is always
   dual feasible, so ||v|| bounds the norm of the projection at any time (b = 0), and the face
   J of an earlier projection is a start. A thin QR factor of the active rows, scaled to
   length 1, is updated as rows enter (Gram-Schmidt, repeated where it cancels) and leave
   (rotations). Rows are priced all at once, v entering by one product with X; the steps
   between two prices look only at the worst rows of the last one.
   Uses S01, S02, S05. Used by S12, S14 to S16, S20 to S23. Tests: tests/test_s11_cones.c.
   Sources: [GI83] Goldfarb, Idnani 1983, Mathematical Programming 27; [MSP22] section 3. */

typedef struct cvxr_face {
    size_t count;
    uint32_t *rows; /* capacity d; linearly independent */
    double *gamma;  /* capacity d; v = z + sum gamma_j t_j x_j, all >= 0 */
} cvxr_face;

/* Rows that the steps between two prices look at, a multiple of 4. */
#define CVXR_CONE_CANDIDATES ((size_t)32)

/* One object serves one thread. X is borrowed until close. */
typedef struct cvxr_cone {
    size_t n, d, dp;
    const double *X;     /* n x dp, padding zero */
    const double *norms; /* n row lengths */
    cvxr_la la;          /* la.portable may be set after open */
    size_t reals;        /* of block, which holds all arrays of doubles */
    double *block;
    double *inverse;     /* n: 1 / norms, 0 for a row of zeros */
    double *products;    /* n: X v */
    double *Q;           /* d x dp: orthonormal rows that span the active rows */
    double *R;           /* d x ldr, row i: active row i = sum of R[i][p] Q_p, p <= i */
    double *gamma;       /* multipliers of the scaled active rows */
    double *g, *h, *r, *e;   /* d each and some: coefficients */
    double *direction, *row; /* dp */
    double *candidates;  /* CVXR_CONE_CANDIDATES x dp: scaled rows */
    double *gap, *change; /* CVXR_CONE_CANDIDATES: how much each is violated */
    uint32_t *rows, *candidate; /* d active rows; the candidates' numbers */
    unsigned char *active;      /* n flags */
    size_t ldr, k, candidate_count, steps;
    double rho;          /* the part of a row outside of the span */
    /* the running call's */
    const cvxr_kernels_f64 *kernels;
    const uint64_t *bits;
    const double *b, *z;
    double *v, z_norm, v_norm, worst, enough;
} cvxr_cone;

#define CVXR_CONE_OK         0
#define CVXR_CONE_INFEASIBLE 1
#define CVXR_CONE_STALLED    2
#define CVXR_CONE_ENOUGH     3

/* Violations, relative to the row's and v's lengths: the aim, and what a degenerate
   projection may end with (relative to z's length as well). */
#define CVXR_CONE_TIGHT 1e-13
#define CVXR_CONE_LOOSE 5e-13

/* ---- Memory ----------------------------------------------------------------------------- */

static size_t cvxr_cone_reals(size_t n, size_t d, size_t dp) {
    size_t k = cvxr_pad(d) + 8, m = CVXR_CONE_CANDIDATES;
    return 3 * cvxr_pad(n) + k * dp + d * cvxr_pad(d) + 5 * k + 2 * dp + m * (dp + 2);
}

/* What open takes. */
CVXR_UNUSED static size_t cvxr_cone_bytes(size_t n, size_t dp) {
    return cvxr_bytes(cvxr_cone_reals(n, dp, dp), sizeof(double)) +
           cvxr_bytes(dp + CVXR_CONE_CANDIDATES, sizeof(uint32_t)) + cvxr_bytes(n, 1);
}

CVXR_UNUSED static void cvxr_cone_close(cvxr_cone *c, cvxr_mem *mem) {
    cvxr_release(mem, c->block, c->reals, sizeof(double));
    cvxr_release(mem, c->rows, c->d + CVXR_CONE_CANDIDATES, sizeof(uint32_t));
    cvxr_release(mem, c->active, c->n, 1);
    memset(c, 0, sizeof *c);
}

/* Takes `count` doubles off a block. */
static double *cvxr_cone_take(double **at, size_t count) {
    double *p = *at;
    *at += count;
    return p;
}

/* Returns 1, or 0 when memory is refused (the reason stays in mem). */
CVXR_UNUSED static int cvxr_cone_open(cvxr_cone *c, cvxr_mem *mem, const double *X, size_t n,
                                      size_t d, size_t dp) {
    size_t i, k = cvxr_pad(d) + 8;
    double *at, *norms;
    memset(c, 0, sizeof *c);
    c->n = n, c->d = d, c->dp = dp, c->X = X;
    c->la.team.threads = 1;
    c->ldr = cvxr_pad(d);
    c->reals = cvxr_cone_reals(n, d, dp);
    c->block = (double *)cvxr_alloc_zero(mem, c->reals, sizeof(double));
    c->rows = (uint32_t *)cvxr_alloc(mem, d + CVXR_CONE_CANDIDATES, sizeof(uint32_t));
    c->active = (unsigned char *)cvxr_alloc_zero(mem, n, 1);
    if (mem->failed) {
        cvxr_cone_close(c, mem);
        return 0;
    }
    c->candidate = c->rows + d;
    at = c->block;
    c->Q = cvxr_cone_take(&at, k * dp);
    c->candidates = cvxr_cone_take(&at, CVXR_CONE_CANDIDATES * dp);
    c->direction = cvxr_cone_take(&at, dp);
    c->row = cvxr_cone_take(&at, dp);
    c->R = cvxr_cone_take(&at, d * c->ldr);
    c->gamma = cvxr_cone_take(&at, k);
    c->g = cvxr_cone_take(&at, k);
    c->h = cvxr_cone_take(&at, k);
    c->r = cvxr_cone_take(&at, k);
    c->e = cvxr_cone_take(&at, k);
    c->gap = cvxr_cone_take(&at, CVXR_CONE_CANDIDATES);
    c->change = cvxr_cone_take(&at, CVXR_CONE_CANDIDATES);
    c->products = cvxr_cone_take(&at, cvxr_pad(n));
    c->inverse = cvxr_cone_take(&at, cvxr_pad(n));
    norms = cvxr_cone_take(&at, cvxr_pad(n));
    for (i = 0; i < n; i++) {
        norms[i] = cvxr_norm2_f64(d, X + i * dp);
        c->inverse[i] = norms[i] > 0 ? 1 / norms[i] : 0;
        if (!cvxr_finite(c->inverse[i])) c->inverse[i] = norms[i] = 0;
    }
    c->norms = norms;
    return 1;
}

/* ---- Products --------------------------------------------------------------------------- */

#if CVXR_DISPATCH
/* The products of four rows of A with x, `length` a multiple of 8. The rows are short: four
   sums are added up across lanes together, which S05's kernel for any length does one by
   one. */
__attribute__((target("avx2,fma"))) static __m256d cvxr_cone_four_avx2(size_t length,
                                                                       const double *A,
                                                                       size_t lda,
                                                                       const double *x) {
    __m256d s0 = _mm256_setzero_pd(), s1 = s0, s2 = s0, s3 = s0;
    __m256d t0 = s0, t1 = s0, t2 = s0, t3 = s0, y;
    size_t j;
    for (j = 0; j < length; j += 8) {
        const double *a = A + j;
        y = _mm256_loadu_pd(x + j);
        s0 = _mm256_fmadd_pd(_mm256_loadu_pd(a), y, s0);
        s1 = _mm256_fmadd_pd(_mm256_loadu_pd(a + lda), y, s1);
        s2 = _mm256_fmadd_pd(_mm256_loadu_pd(a + 2 * lda), y, s2);
        s3 = _mm256_fmadd_pd(_mm256_loadu_pd(a + 3 * lda), y, s3);
        y = _mm256_loadu_pd(x + j + 4);
        t0 = _mm256_fmadd_pd(_mm256_loadu_pd(a + 4), y, t0);
        t1 = _mm256_fmadd_pd(_mm256_loadu_pd(a + lda + 4), y, t1);
        t2 = _mm256_fmadd_pd(_mm256_loadu_pd(a + 2 * lda + 4), y, t2);
        t3 = _mm256_fmadd_pd(_mm256_loadu_pd(a + 3 * lda + 4), y, t3);
    }
    s0 = _mm256_hadd_pd(_mm256_add_pd(s0, t0), _mm256_add_pd(s1, t1));
    s2 = _mm256_hadd_pd(_mm256_add_pd(s2, t2), _mm256_add_pd(s3, t3));
    return _mm256_add_pd(_mm256_permute2f128_pd(s0, s2, 0x20),
                         _mm256_permute2f128_pd(s0, s2, 0x31));
}

__attribute__((target("avx2,fma"))) static void cvxr_cone_dots_avx2(size_t length, size_t rows,
                                                                    const double *A,
                                                                    const double *x,
                                                                    double *out) {
    size_t i;
    for (i = 0; i < rows; i += 4)
        _mm256_storeu_pd(out + i, cvxr_cone_four_avx2(length, A + i * length, length, x));
}

/* s_0 .. s_{i-1} -= t row, for i of any length: what is written beyond is not read again. */
__attribute__((target("avx2,fma"))) static void
cvxr_cone_coefficients_avx2(size_t k, const double *R, size_t ldr, double *s, double *x) {
    size_t i, p;
    for (i = k; i-- > 0;) {
        const double *row = R + i * ldr;
        const __m256d t = _mm256_set1_pd(x[i] = s[i] / row[i]);
        for (p = 0; p < i; p += 4)
            _mm256_storeu_pd(
                s + p, _mm256_fnmadd_pd(t, _mm256_loadu_pd(row + p), _mm256_loadu_pd(s + p)));
    }
}

/* Rows 0 .. count of A, `length` a multiple of 8, turned in pairs from the first on; the row
   that the turns carry on stays in registers. */
__attribute__((target("avx2,fma"))) static void
cvxr_cone_turn_avx2(size_t length, size_t count, const double *cosine, const double *sine,
                    double *A) {
    size_t i, j;
    for (j = 0; j < length; j += 8) {
        double *a = A + j;
        __m256d x0 = _mm256_loadu_pd(a), x1 = _mm256_loadu_pd(a + 4), y0, y1, c, s;
        for (i = 0; i < count; i++, a += length) {
            c = _mm256_set1_pd(cosine[i]), s = _mm256_set1_pd(sine[i]);
            y0 = _mm256_loadu_pd(a + length), y1 = _mm256_loadu_pd(a + length + 4);
            _mm256_storeu_pd(a, _mm256_fmadd_pd(c, x0, _mm256_mul_pd(s, y0)));
            _mm256_storeu_pd(a + 4, _mm256_fmadd_pd(c, x1, _mm256_mul_pd(s, y1)));
            x0 = _mm256_fmsub_pd(c, y0, _mm256_mul_pd(s, x0));
            x1 = _mm256_fmsub_pd(c, y1, _mm256_mul_pd(s, x1));
        }
        _mm256_storeu_pd(a, x0);
        _mm256_storeu_pd(a + 4, x1);
    }
}

/* y += sum by_i X[rows_i]; length a multiple of 8. */
__attribute__((target("avx2,fma"))) static void
cvxr_cone_gather_avx2(size_t length, size_t count, const uint32_t *rows, const double *by,
                      const double *X, double *y) {
    size_t i, j;
    for (j = 0; j < length; j += 8) {
        __m256d s0 = _mm256_loadu_pd(y + j), s1 = _mm256_loadu_pd(y + j + 4);
        for (i = 0; i < count; i++) {
            const double *x = X + rows[i] * length + j;
            const __m256d t = _mm256_set1_pd(by[i]);
            s0 = _mm256_fmadd_pd(t, _mm256_loadu_pd(x), s0);
            s1 = _mm256_fmadd_pd(t, _mm256_loadu_pd(x + 4), s1);
        }
        _mm256_storeu_pd(y + j, s0);
        _mm256_storeu_pd(y + j + 4, s1);
    }
}

/* The signs of 64 numbers. */
__attribute__((target("avx2,fma"))) static uint64_t cvxr_cone_signs_avx2(const double *x) {
    uint64_t signs = 0;
    size_t i;
    for (i = 0; i < 64; i += 4)
        signs |= (uint64_t)(unsigned)_mm256_movemask_pd(_mm256_loadu_pd(x + i)) << i;
    return signs;
}

/* The first rows / 4 * 4 rows of A times I - u u^T. */
__attribute__((target("avx2,fma"))) static void cvxr_cone_reflect_avx2(size_t length,
                                                                       size_t rows,
                                                                       const double *u,
                                                                       double *A, size_t lda) {
    size_t i, j;
    for (i = 0; i + 4 <= rows; i += 4, A += 4 * lda) {
        double s[4];
        __m256d s0, s1, s2, s3, y;
        _mm256_storeu_pd(s, cvxr_cone_four_avx2(length, A, lda, u));
        s0 = _mm256_set1_pd(s[0]), s1 = _mm256_set1_pd(s[1]);
        s2 = _mm256_set1_pd(s[2]), s3 = _mm256_set1_pd(s[3]);
        for (j = 0; j < length; j += 4) {
            double *a = A + j;
            y = _mm256_loadu_pd(u + j);
            _mm256_storeu_pd(a, _mm256_fnmadd_pd(s0, y, _mm256_loadu_pd(a)));
            a += lda;
            _mm256_storeu_pd(a, _mm256_fnmadd_pd(s1, y, _mm256_loadu_pd(a)));
            a += lda;
            _mm256_storeu_pd(a, _mm256_fnmadd_pd(s2, y, _mm256_loadu_pd(a)));
            a += lda;
            _mm256_storeu_pd(a, _mm256_fnmadd_pd(s3, y, _mm256_loadu_pd(a)));
        }
    }
}
#endif

/* out_i = A_i.x for the rows of A (dp long), whose array and out have room for a multiple of
   4 rows. */
static void cvxr_cone_dots(const cvxr_cone *c, size_t rows, const double *A, const double *x,
                           double *out) {
    size_t i;
#if CVXR_DISPATCH
    if (c->kernels != &cvxr_kernels_base_f64) {
        cvxr_cone_dots_avx2(c->dp, rows, A, x, out);
        return;
    }
#endif
    for (i = 0; i < rows; i += 4) c->kernels->dots(c->dp, A + i * c->dp, c->dp, x, out + i);
}

/* y += sum_i s_i A_i, with the same room; s is cleared beyond its last entry. */
static void cvxr_cone_combine(const cvxr_cone *c, size_t rows, const double *A, double *s,
                              double *y) {
    size_t i;
    for (i = rows; i & 3; i++) s[i] = 0;
    for (i = 0; i < rows; i += 4) c->kernels->axpys(c->dp, s + i, A + i * c->dp, c->dp, y);
}

/* products = X v */
static void cvxr_cone_multiply(const cvxr_cone *c, const double *v) {
    size_t i, whole = c->n / 4 * 4;
    cvxr_cone_dots(c, whole, c->X, v, c->products);
    for (i = whole; i < c->n; i++)
        c->products[i] = c->kernels->dot(c->dp, c->X + i * c->dp, v);
}

/* t_j / ||x_j||, 0 for a row of zeros. */
static double cvxr_cone_scale(const cvxr_cone *c, const uint64_t *bits, size_t j) {
    return (bits[j / 64] >> (j % 64) & 1) ? c->inverse[j] : -c->inverse[j];
}

/* a = t_j x_j / ||x_j|| */
static void cvxr_cone_row(const cvxr_cone *c, size_t j, double *a) {
    memcpy(a, c->X + j * c->dp, c->dp * sizeof *a);
    c->kernels->scale(c->dp, cvxr_cone_scale(c, c->bits, j), a);
}

/* ---- The factor ------------------------------------------------------------------------- */

/* The row in direction = sum g_p Q_p + direction, the latter now orthogonal to Q and of length
   rho. */
static void cvxr_cone_split(cvxr_cone *c) {
    double before = 1;
    size_t i;
    int turn;
    for (i = 0; i < c->k; i++) c->g[i] = 0;
    for (turn = 0; turn < 3; turn++) {
        cvxr_cone_dots(c, c->k, c->Q, c->direction, c->h);
        for (i = 0; i < c->k; i++) {
            c->g[i] += c->h[i];
            c->h[i] = -c->h[i];
        }
        cvxr_cone_combine(c, c->k, c->Q, c->h, c->direction);
        c->rho = sqrt(c->kernels->dot(c->dp, c->direction, c->direction));
        if (c->rho > 0.1 * before) break;
        before = c->rho;
    }
}

/* x = the coefficients over the active rows of sum s_p Q_p; s is spent. */
static void cvxr_cone_coefficients(const cvxr_cone *c, double *s, double *x) {
    size_t i, p;
#if CVXR_DISPATCH
    if (c->kernels != &cvxr_kernels_base_f64) {
        cvxr_cone_coefficients_avx2(c->k, c->R, c->ldr, s, x);
        return;
    }
#endif
    for (i = c->k; i-- > 0;) {
        const double *row = c->R + i * c->ldr;
        double t = s[i] / row[i];
        x[i] = t;
        for (p = 0; p < i; p++) s[p] -= t * row[p];
    }
}

/* r = the coefficients of g, and the sum of their magnitudes, plus 1. */
static double cvxr_cone_ratios(cvxr_cone *c) {
    double sum = 1;
    size_t i;
    memcpy(c->h, c->g, c->k * sizeof *c->g);
    cvxr_cone_coefficients(c, c->h, c->r);
    for (i = 0; i < c->k; i++) sum += fabs(c->r[i]);
    return sum;
}

/* Whether the row that was split depends on the active rows: what is left of it is within the
   rounding of the data. */
static int cvxr_cone_dependent(cvxr_cone *c) {
    if (c->k == c->d) return 1;
    return c->rho <= 1e-6 && c->rho <= 2e-14 * cvxr_cone_ratios(c);
}

/* The row j that was split enters. */
static void cvxr_cone_append(cvxr_cone *c, size_t j, double gamma) {
    double *q = c->Q + c->k * c->dp, *row = c->R + c->k * c->ldr;
    memcpy(q, c->direction, c->dp * sizeof *q);
    c->kernels->scale(c->dp, 1 / c->rho, q);
    memcpy(row, c->g, c->k * sizeof *row);
    row[c->k] = c->rho;
    c->rows[c->k] = (uint32_t)j;
    c->gamma[c->k++] = gamma;
    c->active[j] = 1;
}

/* Rows at .. at + count of Q turned in pairs. */
static void cvxr_cone_turn(const cvxr_cone *c, size_t at, size_t count) {
    double *q = c->Q + at * c->dp;
    size_t i;
#if CVXR_DISPATCH
    if (c->kernels != &cvxr_kernels_base_f64) {
        cvxr_cone_turn_avx2(c->dp, count, c->h + at, c->r + at, q);
        return;
    }
#endif
    for (i = at; i < at + count; i++, q += c->dp)
        cvxr_rotate_rows(c->dp, c->h[i], -c->r[i], q, q + c->dp);
}

/* Active row `at` leaves: later rows of R move up, each with one entry too many, which a
   rotation of two rows of Q removes. Each rotation turns all later rows of R at once: they
   do not wait for one another. */
static void cvxr_cone_drop(cvxr_cone *c, size_t at) {
    double *cosine = c->h, *sine = c->r, t;
    size_t i, j, ldr = c->ldr, k = --c->k;
    c->active[c->rows[at]] = 0;
    for (i = at; i < k; i++) {
        memcpy(c->R + i * ldr, c->R + (i + 1) * ldr, (i + 2) * sizeof *c->R);
        c->rows[i] = c->rows[i + 1];
        c->gamma[i] = c->gamma[i + 1];
    }
    for (i = at; i < k; i++) {
        double *a = c->R + i * ldr + i, co, si;
        t = sqrt(a[0] * a[0] + a[1] * a[1]);
        co = cosine[i] = a[0] / t;
        si = sine[i] = a[1] / t;
        a[0] = t;
        for (j = i + 1; j < k; j++) {
            a += ldr;
            t = a[0];
            a[0] = co * t + si * a[1];
            a[1] = co * a[1] - si * t;
        }
    }
    cvxr_cone_turn(c, at, k - at);
}

/* The rows of a face that are rows of the cone and independent of those before. */
static void cvxr_cone_load(cvxr_cone *c, const cvxr_face *face) {
    size_t i;
    c->k = 0;
    for (i = 0; i < face->count && c->k < c->d; i++) {
        size_t j = face->rows[i];
        if (j >= c->n || c->active[j] || c->inverse[j] == 0) continue;
        cvxr_cone_row(c, j, c->direction);
        cvxr_cone_split(c);
        if (!cvxr_cone_dependent(c)) cvxr_cone_append(c, j, 0);
    }
}

/* ---- The method ------------------------------------------------------------------------- */

static double cvxr_cone_bound_of(const cvxr_cone *c, size_t j) {
    return c->b ? c->b[j] * c->inverse[j] : 0;
}

/* e = the coordinates over Q of the points with all active rows tight: R e = b. */
static void cvxr_cone_tight(cvxr_cone *c) {
    size_t i, p;
    for (i = 0; i < c->k; i++) {
        const double *row = c->R + i * c->ldr;
        double sum = cvxr_cone_bound_of(c, c->rows[i]);
        if (c->b)
            for (p = 0; p < i; p++) sum -= row[p] * c->e[p];
        c->e[i] = sum / row[i];
    }
}

/* v: moved along Q to where the active rows are tight; h: how far. */
static void cvxr_cone_onto(cvxr_cone *c) {
    size_t i;
    cvxr_cone_dots(c, c->k, c->Q, c->v, c->h);
    for (i = 0; i < c->k; i++) c->h[i] = c->e[i] - c->h[i];
    cvxr_cone_combine(c, c->k, c->Q, c->h, c->v);
}

/* gamma and v of the active rows: the rows whose multipliers are negative leave, all at once,
   until none is. */
static void cvxr_cone_settle(cvxr_cone *c) {
    size_t i, before;
    double size = c->z_norm;
    do {
        before = c->k;
        cvxr_cone_tight(c);
        for (i = 0; i < c->k; i++) size = cvxr_max(size, fabs(c->e[i]));
        memcpy(c->v, c->z, c->dp * sizeof *c->v);
        cvxr_cone_onto(c);
        cvxr_cone_coefficients(c, c->h, c->gamma);
        for (i = c->k; i-- > 0;) {
            if (c->gamma[i] < -1e-14 * size) cvxr_cone_drop(c, i);
            else if (c->gamma[i] < 0) c->gamma[i] = 0;
        }
    } while (c->k < before);
    cvxr_cone_onto(c);
    c->v_norm = cvxr_norm2_f64(c->d, c->v);
    if (c->v_norm < 1e-3 * size) {
        cvxr_cone_onto(c);
        c->v_norm = cvxr_norm2_f64(c->d, c->v);
    }
}

/* Row j is among the worst seen: the candidates are a heap with the least violated on top. */
static void cvxr_cone_keep(cvxr_cone *c, size_t j, double gap) {
    size_t at, up, count = c->candidate_count;
    if (count < CVXR_CONE_CANDIDATES) {
        for (at = c->candidate_count++; at > 0; at = up) {
            up = (at - 1) / 2;
            if (c->gap[up] <= gap) break;
            c->gap[at] = c->gap[up];
            c->candidate[at] = c->candidate[up];
        }
    } else {
        if (gap <= c->gap[0]) return;
        for (at = 0; (up = 2 * at + 1) < count; at = up) {
            if (up + 1 < count && c->gap[up + 1] < c->gap[up]) up++;
            if (c->gap[up] >= gap) break;
            c->gap[at] = c->gap[up];
            c->candidate[at] = c->candidate[up];
        }
    }
    c->gap[at] = gap;
    c->candidate[at] = (uint32_t)j;
}

/* Row j with its product known becomes a candidate if v violates it. */
static void cvxr_cone_look(cvxr_cone *c, size_t j) {
    double bound = cvxr_cone_bound_of(c, j), size = c->v_norm + fabs(bound);
    double gap = bound - cvxr_cone_scale(c, c->bits, j) * c->products[j];
    if (gap <= CVXR_CONE_TIGHT * size) return;
    c->worst = cvxr_max(c->worst, gap / (size + c->z_norm));
    if (!c->active[j] && c->inverse[j] > 0) cvxr_cone_keep(c, j, gap);
}

/* The signs of `count` numbers. */
static uint64_t cvxr_cone_signs(const cvxr_cone *c, const double *x, size_t count) {
    uint64_t signs = 0, sign;
    size_t j;
#if CVXR_DISPATCH
    if (count == 64 && c->kernels != &cvxr_kernels_base_f64) return cvxr_cone_signs_avx2(x);
#endif
    (void)c;
    for (j = 0; j < count; j++) {
        memcpy(&sign, x + j, sizeof sign);
        signs |= sign >> 63 << j;
    }
    return signs;
}

/* The worst rows for v become candidates; none: v is feasible. With b = 0 only rows whose
   product has the wrong sign are looked at, found 64 at a time. */
static void cvxr_cone_price(cvxr_cone *c) {
    size_t i, j, count;
    cvxr_cone_multiply(c, c->v);
    c->candidate_count = 0;
    c->worst = 0;
    for (i = 0; i < c->n; i += 64) {
        uint64_t wrong;
        count = cvxr_min_z(64, c->n - i);
        wrong = c->b ? ~(uint64_t)0
                     : ~(cvxr_cone_signs(c, c->products + i, count) ^ c->bits[i / 64]);
        for (j = 0; j < count && wrong >> j; j++)
            if (wrong >> j & 1) cvxr_cone_look(c, i + j);
    }
    for (j = 0; j < c->candidate_count; j++)
        cvxr_cone_row(c, c->candidate[j], c->candidates + j * c->dp);
}

/* The multipliers move by -step r, and unless the row is dependent, v by step direction. */
static void cvxr_cone_move(cvxr_cone *c, double step, int dependent) {
    size_t i;
    c->steps++;
    for (i = 0; i < c->k; i++) c->gamma[i] = cvxr_max(0, c->gamma[i] - step * c->r[i]);
    if (dependent) return;
    c->kernels->axpy(c->dp, step, c->direction, c->v);
    cvxr_cone_dots(c, c->candidate_count, c->candidates, c->direction, c->change);
    for (i = 0; i < c->candidate_count; i++) c->gap[i] -= step * c->change[i];
}

/* The dependent row of candidate q is a combination -r >= 0 of active rows' opposites: no
   point is feasible if its bound exceeds theirs. */
static int cvxr_cone_farkas(const cvxr_cone *c, size_t q) {
    double margin = cvxr_cone_bound_of(c, c->candidate[q]), size = fabs(margin);
    size_t i;
    for (i = 0; i < c->k; i++) {
        double term = c->r[i] * cvxr_cone_bound_of(c, c->rows[i]);
        margin -= term;
        size += fabs(term);
    }
    return margin > 1e-10 * size;
}

/* Candidate q becomes active; rows whose multipliers it drives to zero leave before. */
static int cvxr_cone_enter(cvxr_cone *c, size_t q) {
    double gamma = 0;
    for (;;) {
        double least = DBL_MAX, full = DBL_MAX, sum;
        size_t i, leaves = c->k;
        int dependent;
        memcpy(c->direction, c->candidates + q * c->dp, c->dp * sizeof *c->direction);
        cvxr_cone_split(c);
        dependent = cvxr_cone_dependent(c);
        sum = cvxr_cone_ratios(c);
        for (i = 0; i < c->k; i++)
            if (c->r[i] > 1e-14 * sum && c->gamma[i] < least * c->r[i]) {
                least = c->gamma[i] / c->r[i];
                leaves = i;
            }
        if (!dependent) full = c->gap[q] / (c->rho * c->rho);
        if (leaves == c->k && dependent) {
            c->gap[q] = 0;
            return cvxr_cone_farkas(c, q) ? CVXR_CONE_INFEASIBLE : CVXR_CONE_OK;
        }
        gamma += cvxr_min(least, full);
        cvxr_cone_move(c, cvxr_min(least, full), dependent);
        if (leaves == c->k || full <= least) {
            cvxr_cone_append(c, c->candidate[q], gamma);
            c->gap[q] = 0;
            return CVXR_CONE_OK;
        }
        cvxr_cone_drop(c, leaves);
    }
}

/* Steps until no candidate is violated. */
static int cvxr_cone_enter_all(cvxr_cone *c, size_t most_steps) {
    double size = c->v_norm;
    while (c->steps < most_steps) {
        size_t i, q = 0;
        int state;
        for (i = 1; i < c->candidate_count; i++)
            if (c->gap[i] > c->gap[q] && !c->active[c->candidate[i]]) q = i;
        if (c->active[c->candidate[q]] ||
            c->gap[q] <= CVXR_CONE_TIGHT *
                             (size + fabs(cvxr_cone_bound_of(c, c->candidate[q]))))
            break;
        state = cvxr_cone_enter(c, q);
        if (state != CVXR_CONE_OK) return state;
        if (c->enough > 0
            && c->kernels->dot(c->dp, c->v, c->v) <= c->enough * c->enough)
            return CVXR_CONE_ENOUGH;
    }
    return CVXR_CONE_OK;
}

/* The face out; v from its multipliers when they are not those of a solution. */
static int cvxr_cone_finish(cvxr_cone *c, cvxr_face *face, int state) {
    size_t i, j;
    if (state == CVXR_CONE_STALLED) memcpy(c->v, c->z, c->dp * sizeof *c->v);
    for (i = 0; i < c->k; i++) {
        j = c->rows[i];
        c->active[j] = 0;
        face->rows[i] = (uint32_t)j;
        face->gamma[i] = c->gamma[i] * c->inverse[j];
        if (state == CVXR_CONE_STALLED)
            c->kernels->axpy(c->dp, c->gamma[i] * cvxr_cone_scale(c, c->bits, j),
                             c->X + j * c->dp, c->v);
    }
    face->count = c->k;
    return state;
}

static int cvxr_cone_run(cvxr_cone *c, const uint64_t *bits, const double *b, const double *z,
                         double enough, cvxr_face *face, double *v) {
    size_t most_steps = 200 + 50 * c->d, steps = SIZE_MAX;
    int state = CVXR_CONE_OK;
    CVXRELU_ASSERT(z != v);
    c->kernels = cvxr_kernels_for_f64(&c->la);
    c->bits = bits, c->b = b, c->z = z, c->v = v, c->enough = enough;
    c->z_norm = cvxr_norm2_f64(c->d, z);
    c->steps = 0;
    c->k = 0;
    if (!cvxr_finite(c->z_norm)) return cvxr_cone_finish(c, face, CVXR_CONE_STALLED);
    cvxr_cone_load(c, face);
    for (;;) {
        cvxr_cone_settle(c);
        if (b == NULL && (c->k == c->d || c->v_norm <= 1e-12 * c->z_norm)) {
            memset(v, 0, c->dp * sizeof *v);
            return cvxr_cone_finish(c, face, CVXR_CONE_OK);
        }
        if (enough > 0 && c->v_norm <= enough)
            return cvxr_cone_finish(c, face, CVXR_CONE_ENOUGH);
        cvxr_cone_price(c);
        if (c->candidate_count == 0) break;
        if (steps == c->steps || c->steps >= most_steps) {
            state = c->worst <= CVXR_CONE_LOOSE ? CVXR_CONE_OK : CVXR_CONE_STALLED;
            break;
        }
        steps = c->steps;
        state = cvxr_cone_enter_all(c, most_steps);
        if (state != CVXR_CONE_OK) break;
    }
    return cvxr_cone_finish(c, face, state);
}

/* v = the nearest point to z with t_j x_j.v >= b_j (b NULL: 0), t_j = +1 where bit j is set,
   else -1; rows of zeros are no constraints. z and v have dp entries, z's padding zero; v must
   not be z. face: in = where to start (empty, stale or wrong is fine), out = the active rows.
   OK: all t_j x_j.v >= b_j - 1e-12 ||x_j|| (||v|| + ||z||) - 1e-12 |b_j|, and v is exactly 0
   when b is NULL and it is below 1e-12 ||z||. INFEASIBLE (only with b): no such point; v is
   not one. STALLED: v = z + sum gamma_j t_j x_j with gamma >= 0, not feasible; ||v|| is an
   upper bound on the projection's norm when b is NULL. */
CVXR_UNUSED static int cvxr_cone_project(cvxr_cone *c, const uint64_t *bits, const double *b,
                                         const double *z, cvxr_face *face, double *v) {
    return cvxr_cone_run(c, bits, b, z, 0, face, v);
}

/* The same with b = 0, or ENOUGH as soon as some v = z + sum gamma_j t_j x_j with gamma >= 0
   has ||v|| <= enough, which then bounds the projection's norm. */
CVXR_UNUSED static int cvxr_cone_project_until(cvxr_cone *c, const uint64_t *bits,
                                               const double *z, double enough, cvxr_face *face,
                                               double *v) {
    return cvxr_cone_run(c, bits, NULL, z, enough, face, v);
}

/* ---- What callers ask besides ----------------------------------------------------------- */

/* v += sigma sum gamma_j t_j x_j over a stored face, for d count multiplications: ||z + this||
   bounds the norm of z's projection from above (b = 0) for any sigma >= 0. */
static void cvxr_cone_add(const cvxr_cone *c, const uint64_t *bits, double sigma,
                          const cvxr_face *face, double *v) {
    const cvxr_kernels_f64 *kernels = cvxr_kernels_for_f64(&c->la);
    const size_t count = cvxr_min_z(face->count, c->d);
    size_t i;
    for (i = 0; i < count; i++) {
        size_t j = face->rows[i];
        c->h[i] = bits[j / 64] >> (j % 64) & 1 ? sigma * face->gamma[i]
                                               : -sigma * face->gamma[i];
    }
#if CVXR_DISPATCH
    if (kernels != &cvxr_kernels_base_f64) {
        cvxr_cone_gather_avx2(c->dp, count, face->rows, c->h, c->X, v);
        return;
    }
#endif
    for (i = 0; i < count; i++)
        kernels->axpy(c->dp, c->h[i], c->X + face->rows[i] * c->dp, v);
}

/* ||z + sum gamma_j t_j x_j|| of a stored face. */
CVXR_UNUSED static double cvxr_cone_bound(const cvxr_cone *c, const uint64_t *bits,
                                          const double *z, const cvxr_face *face) {
    memcpy(c->row, z, c->dp * sizeof *z);
    cvxr_cone_add(c, bits, 1, face, c->row);
    return cvxr_norm2_f64(c->d, c->row);
}

/* The largest relative violation max_j -t_j x_j.v / (||x_j|| ||v||), 0 when there is none. */
CVXR_UNUSED static double cvxr_cone_violation(const cvxr_cone *c, const uint64_t *bits,
                                              const double *v) {
    const cvxr_kernels_f64 *kernels = cvxr_kernels_for_f64(&c->la);
    double norm = cvxr_norm2_f64(c->d, v), most = 0;
    size_t j;
    if (norm == 0) return 0;
    for (j = 0; j < c->n; j++)
        most = cvxr_max(most, -cvxr_cone_scale(c, bits, j) *
                                  kernels->dot(c->dp, c->X + j * c->dp, v));
    return most / norm;
}

/* Rows of A, from column `at` on, times the reflection I - u u^T. */
static void cvxr_cone_reflect(const cvxr_cone *c, size_t at, const double *u, size_t rows,
                              double *A) {
    size_t i = 0, length = c->dp - at;
#if CVXR_DISPATCH
    if (c->kernels != &cvxr_kernels_base_f64) {
        cvxr_cone_reflect_avx2(length, rows, u + at, A + at, c->dp);
        i = rows / 4 * 4;
    }
#endif
    for (; i < rows; i++) {
        double *a = A + i * c->dp + at;
        c->kernels->axpy(length, -c->kernels->dot(length, a, u + at), u + at, a);
    }
}

/* Z (`most` rows of dp, padding zero): an orthonormal basis of {v : x_j.v = 0, j in face}, or
   `most` vectors of one. Returns their count. Reflections turn the active rows into the first
   unit vectors; the basis is what they make of the others. */
CVXR_UNUSED static size_t cvxr_cone_null(cvxr_cone *c, const cvxr_face *face, size_t most,
                                         double *Z) {
    size_t i, k = 0, rank, d = c->d, dp = c->dp, count = cvxr_min_z(face->count, d);
    c->kernels = cvxr_kernels_for_f64(&c->la);
    for (i = 0; i < count; i++) {
        memcpy(c->Q + i * dp, c->X + face->rows[i] * dp, dp * sizeof *Z);
        c->kernels->scale(dp, c->inverse[face->rows[i]], c->Q + i * dp);
    }
    for (i = 0; i < count; i++) {
        double *u = c->Q + k * dp, length;
        if (k < i) memcpy(u, c->Q + i * dp, dp * sizeof *u);
        length = cvxr_norm2_f64(d - k, u + k);
        if (length <= 1e-14) continue; /* depends on the rows before */
        memset(u, 0, k * sizeof *u);
        u[k] += u[k] >= 0 ? length : -length;
        c->kernels->scale(dp, 1 / sqrt(length * fabs(u[k])), u);
        cvxr_cone_reflect(c, k / 8 * 8, u, count - i - 1, c->Q + (i + 1) * dp);
        k++;
    }
    rank = cvxr_min_z(d - k, most);
    memset(Z, 0, rank * dp * sizeof *Z);
    for (i = 0; i < rank; i++) Z[i * dp + k + i] = 1;
    for (i = k; i-- > 0;) cvxr_cone_reflect(c, i / 8 * 8, c->Q + i * dp, rank, Z);
    return rank;
}
/* ==== S12 CERTIFICATES ===================================================================
   What a fit carries from solver to solver (cvxr_core), and the certificate of a weight
   matrix over its patterns, always in float64: with theta = -f'(A u), g_i = X^T D_i theta, s
   = min(1, lam / max ||g_i||)

       gap = f(A u) + f*(-s theta) + s <theta, A u>  +  sum_i (lam ||u_i|| - s <u_i, g_i>)

   Both parts are >= 0 and nothing cancels; dual bound = objective - gap. For the squared
   loss the first is (1-s)^2 ||r||^2 / 2. Squared l2 has no ball: s = 1 and the second part
   is ||lam U - G||^2 / (2 lam). Uses S05-S11. Used by S13-S23. Tests:
   tests/test_s12_certificates.c. Source: [MSP22 eq. 3], its Fenchel dual; no exact equation
   of the papers has the form with s. */

/* The last active face of every (pattern, sign) group, with its multipliers in units of a
   gradient: where the next projection starts, and a bound on the next dual norm. */
typedef struct cvxr_faces {
    size_t groups, d;
    uint32_t *count, *rows; /* groups; groups x d */
    double *gamma;          /* groups x d */
} cvxr_faces;

/* A vector to project on s K_p, group = 2 p + (s < 0). */
typedef struct cvxr_cone_item {
    size_t group;
    const double *z;
    double *v;   /* the projection; NULL: not wanted */
    double norm; /* of z, then of the projection or a bound */
} cvxr_cone_item;

typedef struct cvxr_core {
    cvxr_mem *mem;
    const cvxr_data *data;
    const cvxr_patterns *patterns;
    const cvxrelu_options *opt; /* resolved: no zeros that mean a default */
    const cvxr_loss_table *loss;
    const cvxr_penalty_table *penalty;
    cvxrelu_kind kind;
    cvxr_cone cone, *cones;  /* RELU: projections; other threads' */
    cvxr_faces faces;
    double *cone_z, *cone_v; /* threads x dp */
    cvxr_cone_item *items;   /* a group each: what is to be projected; the norms found */
    double *exact;
    cvxr_la la;
    cvxr_op op;              /* float64 */
    cvxr_op op_work;         /* in the work precision (the same as op for float64) */
    const cvxr_space *space; /* of op_work */
    cvxrelu_type type;
    double lambda, lam;  /* lam = lambda n c */
    double units;        /* n c */
    double *panel;       /* 2 x CVXR_BLOCK x dp: gradients and weights of a panel */
    double *z, *theta;   /* n each */
    double *columns;     /* 3 dp */
    size_t *panel_index; /* CVXR_BLOCK */
    cvxrelu_report *report;
    double started;    /* by the clock */
    double best_bound; /* of the run, in objective units; only grows */
    cvxrelu_stop stop; /* asked for by the user or the clock */
} cvxr_core;

/* The non-zero groups of all outputs, sorted by output, then pattern, then sign (+1 first). A
   ReLU group of sign s lies in s K_p, so that predictions are sums of D_p X u for both. */
typedef struct cvxr_weights {
    size_t m, capacity, dp;
    size_t *output, *pattern;
    signed char *sign; /* +1, -1; 0 for gated ones */
    double *u;         /* m x dp */
} cvxr_weights;

/* Where the certificate finds the weights of one output: P x dp of the work type, or m
   sorted rows. */
typedef struct cvxr_rows {
    const cvxr_space *space;
    const void *dense;
    size_t ld; /* row stride of dense */
    size_t m;
    const size_t *pattern;
    const signed char *sign;
    const double *u;
} cvxr_rows;

typedef struct cvxr_certificate {
    double objective, dual_bound,
        gap;             /* in objective units; gap relative */
    double subgradient;  /* squared minimum norm, objective units */
    double gradient_max; /* largest dual norm of a gradient group, sum units */
    double stationarity;
    double violation; /* RELU: of the constraints, relative */
    size_t active;
} cvxr_certificate;

/* The caller's clock, or the default one. */
static double cvxr_now(const cvxrelu_clock *clock) {
    return clock->seconds ? clock->seconds(clock->user) : cvxr_clock_default(NULL);
}

static double cvxr_seconds(const cvxr_core *core) {
    return cvxr_now(&core->opt->clock) - core->started;
}

/* Relative gap; 0 when objective and gap are both 0. */
static double cvxr_relative(double gap, double objective) {
    return gap <= 0 ? 0 : objective > 0 ? gap / objective : 1;
}

/* Tell the caller, and ask whether to go on: nonzero when the run must stop (core->stop says
   why). */
static int cvxr_tick(cvxr_core *core, int iteration, double objective, double bound,
                     size_t active) {
    const cvxrelu_options *opt = core->opt;
    if (bound > core->best_bound) core->best_bound = cvxr_min(bound, objective);
    if (opt->progress) {
        cvxrelu_progress p;
        p.iteration = iteration;
        p.objective = objective;
        p.dual_bound = core->best_bound;
        p.gap = cvxr_relative(objective - core->best_bound, objective);
        p.active = active;
        p.seconds = cvxr_seconds(core);
        p.lambda = core->lambda;
        if (opt->progress(opt->progress_user, &p)) core->stop = CVXRELU_STOP_USER;
    }
    if (!core->stop && opt->time_limit > 0 && cvxr_seconds(core) >= opt->time_limit)
        core->stop = CVXRELU_STOP_TIME;
    return core->stop != CVXRELU_STOP_NONE;
}

/* Bytes of the core's own workspace, and the workspace. */
static size_t cvxr_core_bytes(size_t n, size_t dp, int threads) {
    return cvxr_bytes((size_t)threads, cvxr_op_slice())
           + cvxr_bytes(2 * CVXR_BLOCK * dp, sizeof(double)) + 2 * cvxr_bytes(n, sizeof(double))
           + cvxr_bytes(3 * dp, sizeof(double)) + cvxr_bytes(CVXR_BLOCK, sizeof(size_t))
           + cvxr_bytes(1, cvxr_la_work_bytes(threads));
}

static size_t cvxr_core_cone_bytes(size_t n, size_t d, size_t dp, size_t P, int threads) {
    const size_t team = (size_t)threads;
    return team * cvxr_cone_bytes(n, dp) + cvxr_bytes(team, sizeof(cvxr_cone))
           + cvxr_bytes(2 * P, sizeof(uint32_t)) + cvxr_bytes(2 * P * d, sizeof(uint32_t))
           + cvxr_bytes(2 * P * d, sizeof(double)) + 2 * cvxr_bytes(team * dp, sizeof(double))
           + cvxr_bytes(2 * P, sizeof(cvxr_cone_item)) + cvxr_bytes(2 * P, sizeof(double));
}

/* Thread t's projections. */
static cvxr_cone *cvxr_core_cone(cvxr_core *core, size_t t) {
    return t ? core->cones + t : &core->cone;
}

/* Projections on the cones of core->patterns. */
static void cvxr_core_open_cones(cvxr_core *core) {
    const cvxr_data *data = core->data;
    const size_t team = (size_t)core->opt->threads;
    cvxr_faces *f = &core->faces;
    size_t t;
    f->groups = 2 * core->patterns->count;
    f->d = data->d;
    f->count = (uint32_t *)cvxr_alloc_zero(core->mem, f->groups, sizeof(uint32_t));
    f->rows = (uint32_t *)cvxr_alloc(core->mem, f->groups * f->d, sizeof(uint32_t));
    f->gamma = (double *)cvxr_alloc(core->mem, f->groups * f->d, sizeof(double));
    core->cone_z = (double *)cvxr_alloc(core->mem, team * data->dp, sizeof(double));
    core->cone_v = (double *)cvxr_alloc(core->mem, team * data->dp, sizeof(double));
    core->items = (cvxr_cone_item *)cvxr_alloc(core->mem, f->groups, sizeof(cvxr_cone_item));
    core->exact = (double *)cvxr_alloc(core->mem, f->groups, sizeof(double));
    core->cones = (cvxr_cone *)cvxr_alloc_zero(core->mem, team, sizeof(cvxr_cone));
    for (t = 0; t < team && core->cones; t++) {
        cvxr_cone *cone = cvxr_core_cone(core, t);
        cvxr_cone_open(cone, core->mem, data->X, data->n, data->d, data->dp);
        cone->la.portable = core->opt->portable;
    }
}

static void cvxr_core_close_cones(cvxr_core *core) {
    const size_t team = (size_t)core->opt->threads;
    cvxr_faces *f = &core->faces;
    size_t t;
    for (t = 0; t < team && core->cones; t++)
        cvxr_cone_close(cvxr_core_cone(core, t), core->mem);
    cvxr_release(core->mem, core->cones, team, sizeof(cvxr_cone));
    cvxr_release(core->mem, core->exact, f->groups, sizeof(double));
    cvxr_release(core->mem, core->items, f->groups, sizeof(cvxr_cone_item));
    cvxr_release(core->mem, core->cone_v, team * core->data->dp, sizeof(double));
    cvxr_release(core->mem, core->cone_z, team * core->data->dp, sizeof(double));
    cvxr_release(core->mem, f->gamma, f->groups * f->d, sizeof(double));
    cvxr_release(core->mem, f->rows, f->groups * f->d, sizeof(uint32_t));
    cvxr_release(core->mem, f->count, f->groups, sizeof(uint32_t));
    memset(f, 0, sizeof *f);
}

static int cvxr_core_open(cvxr_core *core) {
    const cvxr_data *data = core->data;
    const int threads = core->opt->threads;
    cvxr_op *op = &core->op;
    op->n = data->n;
    op->d = data->d;
    op->dp = data->dp;
    op->patterns = core->patterns->count;
    op->words = core->patterns->words;
    op->X = data->X;
    op->bits = core->patterns->bits;
    op->team.hook = core->opt->parallel;
    op->team.threads = threads;
    op->isa = cvxr_op_isa(core->opt->portable);
    op->work = (unsigned char *)cvxr_alloc(core->mem, (size_t)threads, cvxr_op_slice());
    core->panel = (double *)cvxr_alloc(core->mem, 2 * CVXR_BLOCK * data->dp, sizeof(double));
    core->z = (double *)cvxr_alloc(core->mem, data->n, sizeof(double));
    core->theta = (double *)cvxr_alloc(core->mem, data->n, sizeof(double));
    core->columns = (double *)cvxr_alloc(core->mem, 3 * data->dp, sizeof(double));
    core->panel_index = (size_t *)cvxr_alloc(core->mem, CVXR_BLOCK, sizeof(size_t));
    core->la.blas = &core->opt->blas;
    core->la.team = op->team;
    core->la.portable = core->opt->portable;
    core->la.work = cvxr_alloc(core->mem, 1, cvxr_la_work_bytes(threads));
    core->op_work = *op;
    if (core->kind == CVXRELU_RELU) cvxr_core_open_cones(core);
    return core->mem->failed == CVXRELU_OK;
}

static void cvxr_core_close(cvxr_core *core) {
    const size_t n = core->data->n, dp = core->data->dp;
    const int threads = core->opt->threads;
    if (core->kind == CVXRELU_RELU) cvxr_core_close_cones(core);
    cvxr_release(core->mem, core->la.work, 1, cvxr_la_work_bytes(threads));
    cvxr_release(core->mem, core->panel_index, CVXR_BLOCK, sizeof(size_t));
    cvxr_release(core->mem, core->columns, 3 * dp, sizeof(double));
    cvxr_release(core->mem, core->theta, n, sizeof(double));
    cvxr_release(core->mem, core->z, n, sizeof(double));
    cvxr_release(core->mem, core->panel, 2 * CVXR_BLOCK * dp, sizeof(double));
    cvxr_release(core->mem, core->op.work, (size_t)threads, cvxr_op_slice());
}

static size_t cvxr_weights_bytes(size_t capacity, size_t dp) {
    return 2 * cvxr_bytes(capacity, sizeof(size_t)) + cvxr_bytes(capacity, 1)
           + cvxr_bytes(capacity * dp, sizeof(double));
}

static int cvxr_weights_open(cvxr_mem *mem, cvxr_weights *w, size_t capacity, size_t dp) {
    size_t all;
    memset(w, 0, sizeof *w);
    w->capacity = capacity;
    w->dp = dp;
    if (!cvxr_size_mul(capacity, dp, &all)) all = SIZE_MAX;
    w->output = (size_t *)cvxr_alloc(mem, capacity, sizeof(size_t));
    w->pattern = (size_t *)cvxr_alloc(mem, capacity, sizeof(size_t));
    w->sign = (signed char *)cvxr_alloc_zero(mem, capacity, 1);
    w->u = (double *)cvxr_alloc(mem, all, sizeof(double));
    return mem->failed == CVXRELU_OK;
}

static void cvxr_weights_close(cvxr_mem *mem, cvxr_weights *w) {
    cvxr_release(mem, w->u, w->capacity * w->dp, sizeof(double));
    cvxr_release(mem, w->sign, w->capacity, 1);
    cvxr_release(mem, w->pattern, w->capacity, sizeof(size_t));
    cvxr_release(mem, w->output, w->capacity, sizeof(size_t));
    memset(w, 0, sizeof *w);
}

/* The rows of output k inside sorted weights. */
static cvxr_rows cvxr_weights_rows(const cvxr_weights *w, size_t k) {
    cvxr_rows rows;
    size_t first = 0, last;
    memset(&rows, 0, sizeof rows);
    while (first < w->m && w->output[first] < k) first++;
    for (last = first; last < w->m && w->output[last] == k; last++) {}
    rows.m = last - first;
    rows.pattern = w->pattern + first;
    rows.sign = w->sign + first;
    rows.u = w->u + first * w->dp;
    return rows;
}

/* The non-zero rows of patterns p0 .. p1-1 into index and U (packed float64); returns how
   many. *cursor walks a sorted list and starts at 0; the two signs of a pattern are added. */
static size_t cvxr_rows_panel(const cvxr_rows *rows, size_t dp, size_t p0, size_t p1,
                              size_t *cursor, size_t *index, double *U) {
    size_t p, j, count = 0;
    if (rows->dense == NULL) {
        for (; *cursor < rows->m && rows->pattern[*cursor] < p1; ++*cursor) {
            const double *u = rows->u + *cursor * dp;
            if (count && index[count - 1] == rows->pattern[*cursor]) {
                for (j = 0; j < dp; j++) U[(count - 1) * dp + j] += u[j];
                continue;
            }
            index[count] = rows->pattern[*cursor];
            memcpy(U + count++ * dp, u, dp * sizeof(double));
        }
        return count;
    }
    for (p = p0; p < p1; p++) {
        const void *row = (const unsigned char *)rows->dense + p * rows->ld * rows->space->size;
        if (rows->space->row_is_zero(dp, row)) continue;
        index[count] = p;
        rows->space->to_f64(dp, row, U + count++ * dp);
    }
    return count;
}

/* z = A u of one output; returns the number of non-zero groups. */
static size_t cvxr_predict_rows(cvxr_core *core, const cvxr_rows *rows, double *z) {
    const size_t dp = core->data->dp, n = core->data->n, P = core->patterns->count;
    double *U = core->panel + CVXR_BLOCK * dp;
    size_t p, i, cursor = 0, active = 0;
    cvxr_select select;
    memset(&select, 0, sizeof select);
    select.idx = core->panel_index;
    for (i = 0; i < n; i++) z[i] = 0;
    for (p = 0; p < P; p += CVXR_BLOCK) {
        select.count = cvxr_rows_panel(rows, dp, p, cvxr_min_z(P, p + CVXR_BLOCK), &cursor,
                                       core->panel_index, U);
        if (select.count == 0) continue;
        active += select.count;
        cvxr_forward_f64(&core->op, &select, U, 0, core->theta);
        for (i = 0; i < n; i++) z[i] += core->theta[i];
    }
    return active;
}

/* Sweep X^T D theta over all patterns in panels; the penalty's table gathers what it needs. */
static void cvxr_sweep_rows(cvxr_core *core, const cvxr_rows *rows, const double *theta,
                            double lam, cvxr_penalty_sums *sums) {
    const size_t dp = core->data->dp, P = core->patterns->count;
    double *G = core->panel, *U = core->panel + CVXR_BLOCK * dp;
    size_t p, i, j, cursor = 0, all[CVXR_BLOCK];
    const double *at[CVXR_BLOCK];
    memset(sums, 0, sizeof *sums);
    sums->columns = core->columns;
    memset(core->columns, 0, 3 * dp * sizeof(double));
    for (p = 0; p < P; p += CVXR_BLOCK) {
        cvxr_select select;
        size_t count = cvxr_min_z(CVXR_BLOCK, P - p), held;
        memset(&select, 0, sizeof select);
        select.idx = all;
        select.count = count;
        for (i = 0; i < count; i++) all[i] = p + i, at[i] = NULL;
        cvxr_gradient_f64(&core->op, &select, theta, G);
        for (i = 0; i < count; i++)
            sums->row = cvxr_max(sums->row, cvxr_row_square_f64(dp, G + i * dp));
        held = cvxr_rows_panel(rows, dp, p, p + count, &cursor, core->panel_index, U);
        for (j = 0; j < held; j++) at[core->panel_index[j] - p] = U + j * dp;
        core->penalty->sweep(count, dp, G, at, lam, sums);
    }
    core->penalty->finish(dp, lam, sums);
}

/* ---- Dual norms of the ReLU groups: max over p and s = +-1 of ||Proj_{K_p}(s g_p)||. */

static cvxr_face cvxr_core_face(const cvxr_core *core, size_t p, int sign) {
    const size_t g = 2 * p + (sign < 0);
    cvxr_face face;
    face.count = core->faces.count[g];
    face.rows = core->faces.rows + g * core->faces.d;
    face.gamma = core->faces.gamma + g * core->faces.d;
    return face;
}

static double cvxr_largest(size_t count, const double *v) {
    double most = 0;
    size_t i;
    for (i = 0; i < count; i++)
        if (v[i] > most) most = v[i];
    return most;
}

/* The m-th largest of `count` values (m from 1), by quickselect; v is reordered. */
static double cvxr_nth_largest(size_t count, double *v, size_t m) {
    size_t low = 0, high = count - 1, want = m - 1;
    while (low < high) {
        double pivot = v[low + (high - low) / 2], swap;
        size_t i = low, j = high;
        for (;;) {
            while (v[i] > pivot) i++;
            while (v[j] < pivot) j--;
            if (i >= j) break;
            swap = v[i], v[i] = v[j], v[j] = swap;
            i++, j--;
        }
        if (want <= j) high = j;
        else low = j + 1;
    }
    return v[want];
}

/* v = the projection of z on s K_p with thread t's cone, all raw; the face is kept for the next
   time. Returns ||v||, which is an upper bound even where the projection stalled; or, v not
   being a projection, a bound that is at most `enough`. */
static double cvxr_core_project(cvxr_core *core, size_t t, size_t p, int sign, double sigma,
                                double enough, const double *z, double *v) {
    const uint64_t *bits = core->op.bits + p * core->op.words;
    const size_t dp = core->data->dp;
    cvxr_face face = cvxr_core_face(core, p, sign);
    double *to = core->cone_z + t * dp;
    size_t i;
    for (i = 0; i < dp; i++) to[i] = sign > 0 ? z[i] : -z[i];
    (void)cvxr_cone_project_until(cvxr_core_cone(core, t), bits, to, enough, &face, v);
    core->faces.count[2 * p + (sign < 0)] = (uint32_t)face.count;
    for (i = 0; i < face.count; i++) face.gamma[i] /= sigma;
    for (i = 0; sign < 0 && i < dp; i++) v[i] = -v[i];
    return sqrt(cvxr_row_square_f64(dp, v));
}

typedef struct cvxr_cone_job {
    cvxr_core *core;
    cvxr_cone_item *items;
    size_t count, tasks;
    double sigma, enough;
    int cheap, exact; /* the stored multipliers' bound; where that is too large, projections */
} cvxr_cone_job;

/* v = z + Xt^T gamma in raw coordinates, with the group's stored multipliers times sigma:
   ||v|| bounds the norm of the projection of z on s K_p from above. Returns it. */
static double cvxr_core_bound(const cvxr_core *core, const cvxr_cone *cone, size_t p, int sign,
                              double sigma, const double *z, double *v) {
    const cvxr_face face = cvxr_core_face(core, p, sign);
    const size_t dp = core->data->dp;
    memcpy(v, z, dp * sizeof(double));
    cvxr_cone_add(cone, core->op.bits + p * core->op.words, sign > 0 ? sigma : -sigma, &face,
                  v);
    return sqrt(cvxr_row_square_f64(dp, v));
}

/* Items are dealt out in turn. */
static void cvxr_cone_task(void *arg, size_t task) {
    const cvxr_cone_job *job = (const cvxr_cone_job *)arg;
    cvxr_core *core = job->core;
    size_t i;
    for (i = task; i < job->count; i += job->tasks) {
        cvxr_cone_item *item = job->items + i;
        const size_t p = item->group / 2;
        const int sign = item->group % 2 ? -1 : 1;
        double *v = item->v ? item->v : core->cone_v + task * core->data->dp;
        if (job->cheap && item->norm > job->enough)
            item->norm =
                cvxr_min(item->norm, cvxr_core_bound(core, cvxr_core_cone(core, task), p, sign,
                                                     job->sigma, item->z, v));
        if (job->exact && item->norm > job->enough)
            item->norm = cvxr_core_project(core, task, p, sign, job->sigma, job->enough,
                                           item->z, v);
    }
}

/* The items' norms, or bounds of them that are at most `enough`. */
static void cvxr_core_project_items(cvxr_cone_job *job) {
    job->tasks = job->count < 8 ? 1 : (size_t)job->core->op.team.threads;
    cvxr_team_run(&job->core->op.team, job->tasks, cvxr_cone_task, job);
}

/* The items are a heap with the largest norm on top; among equal ones the first group. */
static int cvxr_item_above(const cvxr_cone_item *a, const cvxr_cone_item *b) {
    return a->norm > b->norm || (a->norm == b->norm && a->group < b->group);
}

static void cvxr_items_sift(cvxr_cone_item *items, size_t count, size_t at) {
    const cvxr_cone_item item = items[at];
    size_t down;
    for (; (down = 2 * at + 1) < count; at = down) {
        if (down + 1 < count && cvxr_item_above(items + down + 1, items + down)) down++;
        if (!cvxr_item_above(items + down, &item)) break;
        items[at] = items[down];
    }
    items[at] = item;
}

/* Norms of the projections of core->items, in any order: the `room` largest of those above
   `enough` are exact, others may be bounds that are not above these. The largest bounds are
   taken first, a few at a time, so that many others need no projection. */
static void cvxr_core_norms(cvxr_core *core, size_t count, double enough, size_t room) {
    cvxr_cone_job job;
    size_t i, batch, found = 0, left = count;
    memset(&job, 0, sizeof job);
    job.core = core, job.items = core->items, job.count = count;
    job.sigma = 1, job.enough = enough, job.cheap = 1;
    cvxr_core_project_items(&job);
    job.cheap = 0, job.exact = 1;
    for (i = count / 2; i-- > 0;) cvxr_items_sift(core->items, count, i);
    for (batch = 8; left > 0 && core->items[0].norm > job.enough; batch *= batch < 64 ? 2 : 1) {
        for (i = 0; i < batch && left > 0 && core->items[0].norm > job.enough; i++) {
            const cvxr_cone_item top = core->items[0];
            core->items[0] = core->items[--left];
            core->items[left] = top;
            if (left > 0) cvxr_items_sift(core->items, left, 0);
        }
        job.items = core->items + left, job.count = i;
        cvxr_core_project_items(&job);
        while (i-- > 0)
            if (job.items[i].norm > job.enough) core->exact[found++] = job.items[i].norm;
        if (found >= room)
            job.enough =
                cvxr_max(job.enough, cvxr_nth_largest(found, core->exact, room));
    }
}

/* Both signs of pattern p with the gradient g are added to `count` items when its norm is above
   `enough`. Returns the new count. */
static size_t cvxr_core_list(cvxr_core *core, size_t count, size_t p, const double *g,
                             double norm, double enough) {
    size_t i;
    for (i = 0; norm > enough && i < 2; i++) {
        cvxr_cone_item *item = core->items + count++;
        item->group = 2 * p + i;
        item->z = g;
        item->v = NULL;
        item->norm = norm;
    }
    return count;
}

/* As cvxr_sweep_rows for the groups of a ReLU program: value, product, most and row of
   *sums. */
static void cvxr_sweep_cones(cvxr_core *core, const cvxr_rows *rows, const double *theta,
                             double lam, cvxr_penalty_sums *sums) {
    const size_t dp = core->data->dp, P = core->patterns->count;
    size_t p, i, cursor = 0, all[CVXR_BLOCK];
    memset(sums, 0, sizeof *sums);
    for (p = 0; p < P; p += CVXR_BLOCK) {
        const double enough = cvxr_max(lam, sums->most);
        size_t count = 0;
        cvxr_select select;
        memset(&select, 0, sizeof select);
        select.idx = all;
        select.count = cvxr_min_z(CVXR_BLOCK, P - p);
        for (i = 0; i < select.count; i++) all[i] = p + i;
        cvxr_gradient_f64(&core->op, &select, theta, core->panel);
        for (i = 0; i < select.count; i++) {
            const double *g = core->panel + i * dp, square = cvxr_row_square_f64(dp, g);
            sums->row = cvxr_max(sums->row, square);
            if (sqrt(square) <= enough) sums->most = cvxr_max(sums->most, sqrt(square));
            count = cvxr_core_list(core, count, p + i, g, sqrt(square), enough);
        }
        cvxr_core_norms(core, count, enough, 1);
        for (i = 0; i < count; i++) sums->most = cvxr_max(sums->most, core->items[i].norm);
        for (; cursor < rows->m && rows->pattern[cursor] < p + select.count; cursor++) {
            const double *u = rows->u + cursor * dp;
            sums->value += sqrt(cvxr_row_square_f64(dp, u));
            sums->product +=
                cvxr_dot_f64(dp, u, core->panel + (rows->pattern[cursor] - p) * dp);
        }
    }
}

/* What the kind of network asks for. */
static void cvxr_sweep(cvxr_core *core, const cvxr_rows *rows, const double *theta, double lam,
                       cvxr_penalty_sums *sums) {
    if (core->kind == CVXRELU_RELU) cvxr_sweep_cones(core, rows, theta, lam, sums);
    else cvxr_sweep_rows(core, rows, theta, lam, sums);
}

/* Largest relative violation of the constraints by the rows of an output. */
static double cvxr_rows_violation(cvxr_core *core, const cvxr_rows *rows) {
    const size_t dp = core->data->dp;
    double most = 0;
    size_t j, i;
    for (j = 0; core->kind == CVXRELU_RELU && j < rows->m; j++) {
        const double *u = rows->u + j * dp;
        for (i = 0; i < dp; i++) core->cone_z[i] = rows->sign[j] > 0 ? u[i] : -u[i];
        most = cvxr_max(most,
                        cvxr_cone_violation(&core->cone,
                                            core->op.bits + rows->pattern[j] * core->op.words,
                                            core->cone_z));
    }
    return most;
}

/* Add output k's share to the certificate: objective and gap in sum units until
   cvxr_certificate_end. */
static void cvxr_certify_output(cvxr_core *core, const cvxr_rows *rows, size_t k,
                                cvxr_certificate *out) {
    const size_t n = core->data->n;
    const double *y = core->data->Y + k * n;
    cvxr_penalty_sums sums;
    double value, gap, s, norms;
    out->active += cvxr_predict_rows(core, rows, core->z);
    value = core->loss->value(n, core->z, y);
    core->loss->dual(n, core->z, y, core->theta);
    cvxr_sweep(core, rows, core->theta, core->lam, &sums);
    out->violation = cvxr_max(out->violation, cvxr_rows_violation(core, rows));
    s = !core->penalty->is_norm || sums.most <= core->lam ? 1 : core->lam / sums.most;
    gap = core->loss->dual_gap(n, core->z, y, core->theta, s);
    if (core->penalty->is_norm) gap += cvxr_max(0, core->lam * sums.value - s * sums.product);
    else if (core->lam > 0) gap += sums.distance / (2 * core->lam);
    out->objective += value + core->lam * sums.value;
    out->gap += gap;
    out->subgradient += sums.subgradient;
    if (sums.most > out->gradient_max) out->gradient_max = sums.most;
    norms = sqrt(cvxr_sum_squares(n * core->data->dp, core->data->X, NULL)
                 * cvxr_sum_squares(n, y, NULL));
    if (norms > 0) out->stationarity = cvxr_max(out->stationarity, sqrt(sums.row) / norms);
}

static void cvxr_certificate_end(const cvxr_core *core, cvxr_certificate *out) {
    double gap =
        cvxr_min(out->gap, out->objective); /* the zero dual point proves 0 */
    out->gap = cvxr_relative(gap, out->objective);
    out->dual_bound = (out->objective - gap) / core->units;
    out->objective /= core->units;
    out->subgradient /= core->units * core->units;
}

/* The certificate of sorted weights. One forward over them and one sweep an output. */
static void cvxr_certify(cvxr_core *core, const cvxr_weights *w, cvxr_certificate *out) {
    size_t k;
    memset(out, 0, sizeof *out);
    for (k = 0; k < core->data->c; k++) {
        cvxr_rows rows = cvxr_weights_rows(w, k);
        cvxr_certify_output(core, &rows, k, out);
    }
    cvxr_certificate_end(core, out);
}

/* lambda_max: the smallest strength whose solution is the zero network, max_k ||A^T
   y_k||_dual / (n c). Below the rounding of the products it is 0: the columns say nothing
   about the targets. Squared l2 has none (infinity is not a number we return: 0 stands for
   it). */
static double cvxr_lambda_max(cvxr_core *core) {
    const size_t n = core->data->n;
    const double size = cvxr_sum_squares(n * core->data->dp, core->data->X, NULL);
    cvxr_penalty_sums sums;
    cvxr_rows none;
    double most = 0;
    size_t k, i;
    memset(&none, 0, sizeof none);
    for (i = 0; i < n; i++) core->z[i] = 0;
    for (k = 0; k < core->data->c; k++) {
        const double *y = core->data->Y + k * n;
        core->loss->dual(n, core->z, y, core->theta);
        cvxr_sweep(core, &none, core->theta, core->kind == CVXRELU_RELU ? 0 : core->lam, &sums);
        if (sums.most > 64 * DBL_EPSILON * sqrt(size * cvxr_sum_squares(n, y, NULL)))
            most = cvxr_max(most, sums.most);
    }
    return core->penalty->is_norm ? most / core->units : 0;
}

/* ==== S13 FIRST-ORDER METHODS ============================================================
   R-FISTA for an objective F(U) = f(U) + lambda R(U) [MSP22 4.1.1, G.1]: f is a small table
   (C-GReLU's loss here, the augmented Lagrangian's and CD-A's smooth part in S15), R a penalty
   of S10; and the minimum-norm least squares of lambda = 0 by conjugate gradients.

   Objectives are in the manual's units, all outputs together. One iteration:
       u' = prox_{eta lambda R}(y - eta f'(y));
           eta shrinks by beta until f(u') <= Q_{y,eta}(u')                           (eq. 7)
       omega = ||u' - y||^2 / (2 eta (f(u') - l_y(u')));
           eta grows by alpha when omega >= c; as printed, eta + (1 - alpha) eta would
           shrink it                                                                  (eq. 8)
       restart when <u' - u, y - u'> > 0 (printed with the sign of the second factor reversed)
       y = u' + (t - 1)/t' (u' - u)
   f(u') - l_y(u') is taken as the loss's excess, so it never cancels. Predictions are
   extrapolated with the weights: an iteration costs one gradient and one forward a trial
   step. Uses S08-S12. Used by S14-S16, S22. Tests: tests/test_s13_fista.c. */

#define CVXR_PATIENCE 200 /* checks without a smaller gap or objective before it has stalled */

typedef struct cvxr_fista cvxr_fista;

/* The smooth part of an objective. z is a linear image of the weights, s->rows long, that the
   loop keeps beside U, Y and V and extrapolates with them: the predictions, or nothing. */
typedef struct cvxr_smooth {
    size_t (*image)(cvxr_fista *s, void *W, void *z); /* fills z; returns the non-zero groups */
    void (*gradient)(cvxr_fista *s, void *W, void *z); /* G = -f'(W) */
    double (*excess)(cvxr_fista *s);                   /* f(V) - f(Y) - <f'(Y), V - Y> */
    double (*value)(cvxr_fista *s);                    /* f(U) */
    cvxrelu_stop (*check)(cvxr_fista *s); /* after a step: why to stop, or NONE */
} cvxr_smooth;

struct cvxr_fista {
    cvxr_core *core;
    const cvxr_smooth *smooth;
    const cvxr_penalty_table *penalty;
    void *self;     /* what the table's functions want besides; C-GReLU: the weights to fill */
    double lambda;
    size_t outputs, groups;  /* blocks of weights, and rows of dp in each */
    size_t per, size, rows;  /* elements of a block, of all, of an image */
    void *U, *Y, *G, *V;     /* outputs x groups x dp of the work type */
    void *zU, *zY, *zV, *r;  /* rows (r: n) */
    double *z64;             /* n: a second prediction in float64 */
    size_t *index;           /* groups: non-zero ones */
    double eta, t, omega;
    double moved;            /* ||V - Y||^2 of the last line search */
    double objective, least; /* of U; the least so far */
    size_t active;
    int iteration, kept; /* kept: the iterate of `least` is in the weights, not in U */
    double best_gap,
        best_value; /* at the last check that was better than those before */
    int idle;       /* checks since then */
};

static unsigned char *cvxr_at(void *base, size_t element, size_t size) {
    return (unsigned char *)base + element * size;
}

/* Bytes for `size` weights in blocks of `groups` rows with an image of `rows` numbers. */
static size_t cvxr_fista_sizes(size_t n, size_t size, size_t groups, size_t rows,
                               size_t element) {
    return 4 * cvxr_bytes(size, element) + 3 * cvxr_bytes(rows, element)
           + cvxr_bytes(n, element) + cvxr_bytes(n, sizeof(double))
           + cvxr_bytes(groups, sizeof(size_t));
}

static size_t cvxr_fista_bytes(size_t n, size_t dp, size_t c, size_t P, size_t element) {
    return cvxr_fista_sizes(n, c * P * dp, P, c * n, element);
}

/* All weights zero. The caller sets penalty and lambda where they are not the core's. */
static int cvxr_fista_begin(cvxr_fista *s, cvxr_core *core, const cvxr_smooth *smooth,
                            size_t outputs, size_t groups, size_t rows) {
    const size_t element = core->space->size;
    cvxr_mem *mem = core->mem;
    memset(s, 0, sizeof *s);
    s->core = core;
    s->smooth = smooth;
    s->penalty = core->penalty;
    s->lambda = core->lambda;
    s->outputs = outputs;
    s->groups = groups;
    s->per = groups * core->op_work.dp;
    s->size = outputs * s->per;
    s->rows = rows;
    s->U = cvxr_alloc_zero(mem, s->size, element);
    s->Y = cvxr_alloc_zero(mem, s->size, element);
    s->G = cvxr_alloc(mem, s->size, element);
    s->V = cvxr_alloc(mem, s->size, element);
    s->zU = cvxr_alloc_zero(mem, s->rows, element);
    s->zY = cvxr_alloc_zero(mem, s->rows, element);
    s->zV = cvxr_alloc(mem, s->rows, element);
    s->r = cvxr_alloc(mem, core->data->n, element);
    s->z64 = (double *)cvxr_alloc(mem, core->data->n, sizeof(double));
    s->index = (size_t *)cvxr_alloc(mem, groups, sizeof(size_t));
    s->eta = core->opt->step_first;
    s->t = 1;
    s->best_gap = s->best_value = HUGE_VAL;
    return mem->failed == CVXRELU_OK;
}

static void cvxr_fista_close(cvxr_fista *s) {
    const size_t element = s->core->space->size, n = s->core->data->n;
    cvxr_mem *mem = s->core->mem;
    cvxr_release(mem, s->index, s->groups, sizeof(size_t));
    cvxr_release(mem, s->z64, n, sizeof(double));
    cvxr_release(mem, s->r, n, element);
    cvxr_release(mem, s->zV, s->rows, element);
    cvxr_release(mem, s->zY, s->rows, element);
    cvxr_release(mem, s->zU, s->rows, element);
    cvxr_release(mem, s->V, s->size, element);
    cvxr_release(mem, s->G, s->size, element);
    cvxr_release(mem, s->Y, s->size, element);
    cvxr_release(mem, s->U, s->size, element);
}

/* G = -f'(Y). */
static void cvxr_fista_gradient(cvxr_fista *s) { s->smooth->gradient(s, s->Y, s->zY); }

/* V = prox(Y + eta G) and its image. */
static void cvxr_fista_trial(cvxr_fista *s) {
    cvxr_core *core = s->core;
    const size_t element = core->space->size;
    size_t k;
    memcpy(s->V, s->Y, s->size * element);
    core->space->axpby(s->size, s->eta, s->G, 1.0, s->V);
    for (k = 0; k < s->outputs; k++)
        cvxr_prox(s->penalty, core->type, s->groups, core->op_work.dp,
                  cvxr_at(s->V, k * s->per, element), s->eta * s->lambda);
    s->active = s->smooth->image(s, s->V, s->zV);
}

/* Line search along the arc: 0 when no step is small enough (rounding rules). */
static int cvxr_fista_search(cvxr_fista *s) {
    const cvxrelu_options *opt = s->core->opt;
    const double slack = 1 + (s->core->type == CVXRELU_FLOAT64 ? 1e-12 : 1e-4);
    if (opt->step_rule == CVXRELU_STEP_FORWARD
        || (opt->step_rule == CVXRELU_STEP_TIGHTNESS && s->omega >= opt->step_threshold))
        s->eta *= opt->step_grow;
    for (;;) {
        double excess;
        cvxr_fista_trial(s);
        if (opt->step_rule == CVXRELU_STEP_FIXED) return 1;
        excess = s->smooth->excess(s);
        s->moved = s->core->space->dot(s->size, s->V, s->Y, s->V, s->Y);
        if (excess <= s->moved / (2 * s->eta) * slack) {
            s->omega = excess > 0 ? s->moved / (2 * s->eta * excess) : HUGE_VAL;
            return 1;
        }
        s->eta *= opt->step_shrink;
        if (s->eta < 1e-200) return 0;
    }
}

/* u' is V: restart or extrapolate, then V becomes U. */
static void cvxr_fista_accept(cvxr_fista *s) {
    const cvxr_core *core = s->core;
    const cvxr_space *space = core->space;
    void *swap;
    double next = (1 + sqrt(1 + 4 * s->t * s->t)) / 2, b = (s->t - 1) / next;
    if (core->opt->no_acceleration) next = 1, b = 0;
    else if (!core->opt->no_restart && space->dot(s->size, s->V, s->U, s->Y, s->V) > 0)
        next = 1, b = 0;
    s->t = next;
    memcpy(s->Y, s->V, s->size * space->size);
    memcpy(s->zY, s->zV, s->rows * space->size);
    if (b != 0) {
        space->axpby(s->size, -b, s->U, 1 + b, s->Y);
        space->axpby(s->rows, -b, s->zU, 1 + b, s->zY);
    }
    swap = s->U, s->U = s->V, s->V = swap;
    swap = s->zU, s->zU = s->zV, s->zV = swap;
}

/* Objective of U from the image at hand. */
static double cvxr_fista_objective(cvxr_fista *s) {
    const cvxr_core *core = s->core;
    double penalty = 0;
    size_t k;
    for (k = 0; k < s->outputs; k++)
        penalty += cvxr_penalty_value(s->penalty, core->type, s->groups, core->op_work.dp,
                                      cvxr_at(s->U, k * s->per, core->space->size));
    return s->smooth->value(s) + s->lambda * penalty;
}

/* Y is U, without momentum: the start of a run. */
static void cvxr_fista_restart(cvxr_fista *s) {
    memcpy(s->Y, s->U, s->size * s->core->space->size);
    memcpy(s->zY, s->zU, s->rows * s->core->space->size);
    s->t = 1;
}

/* At most `most` iterations. Returns why it stopped. */
static cvxrelu_stop cvxr_fista_run(cvxr_fista *s, int most) {
    cvxrelu_stop stop = CVXRELU_STOP_NONE;
    for (s->iteration = 1; stop == CVXRELU_STOP_NONE; s->iteration++) {
        cvxr_fista_gradient(s);
        if (!cvxr_fista_search(s)) return CVXRELU_STOP_STALLED;
        cvxr_fista_accept(s);
        s->core->report->iterations++;
        stop = s->smooth->check(s);
        if (stop == CVXRELU_STOP_NONE && s->iteration >= most) stop = CVXRELU_STOP_ITERATIONS;
    }
    return stop;
}

/* ---- C-GReLU: the mean loss of the predictions. */

/* zs = A W for every output, over the non-zero groups only; returns how many there are. */
static size_t cvxr_fista_forward(cvxr_fista *s, void *W, void *zs) {
    const cvxr_core *core = s->core;
    const size_t element = core->space->size, dp = core->op_work.dp;
    size_t k, p, active = 0;
    for (k = 0; k < core->data->c; k++) {
        unsigned char *U = cvxr_at(W, k * s->per, element);
        cvxr_select select;
        memset(&select, 0, sizeof select);
        select.idx = s->index;
        for (p = 0; p < core->patterns->count; p++)
            if (!core->space->row_is_zero(dp, U + p * dp * element))
                s->index[select.count++] = p;
        core->space->forward(&s->core->op_work, &select, U, 1,
                             cvxr_at(zs, k * core->data->n, element));
        active += select.count;
    }
    return active;
}

/* out = X^T D theta / (n c) for all patterns, theta the loss's dual direction at prediction z
   of output k. */
static void cvxr_loss_gradient(cvxr_fista *s, size_t k, void *z, void *out) {
    cvxr_core *core = s->core;
    const size_t n = core->data->n;
    size_t i;
    cvxr_select all;
    memset(&all, 0, sizeof all);
    all.count = core->patterns->count;
    core->space->to_f64(n, z, core->z);
    core->loss->dual(n, core->z, core->data->Y + k * n, core->theta);
    for (i = 0; i < n; i++) core->theta[i] /= core->units;
    core->space->from_f64(n, core->theta, s->r);
    core->space->gradient(&core->op_work, &all, s->r, out);
}

static void cvxr_grelu_gradient(cvxr_fista *s, void *W, void *zs) {
    const size_t element = s->core->space->size, n = s->core->data->n;
    size_t k;
    (void)W;
    for (k = 0; k < s->outputs; k++)
        cvxr_loss_gradient(s, k, cvxr_at(zs, k * n, element),
                           cvxr_at(s->G, k * s->per, element));
}

/* f(V) - f(Y) - <f'(Y), V - Y> in the manual's units. */
static double cvxr_loss_excess(cvxr_fista *s) {
    cvxr_core *core = s->core;
    const size_t element = core->space->size, n = core->data->n;
    double sum = 0;
    size_t k;
    for (k = 0; k < core->data->c; k++) {
        core->space->to_f64(n, cvxr_at(s->zV, k * n, element), core->z);
        core->space->to_f64(n, cvxr_at(s->zY, k * n, element), s->z64);
        sum += core->loss->excess(n, core->z, s->z64, core->data->Y + k * n);
    }
    return sum / core->units;
}

static double cvxr_loss_value(cvxr_fista *s) {
    cvxr_core *core = s->core;
    const size_t n = core->data->n;
    double loss = 0;
    size_t k;
    for (k = 0; k < core->data->c; k++) {
        core->space->to_f64(n, cvxr_at(s->zU, k * n, core->space->size), core->z);
        loss += core->loss->value(n, core->z, core->data->Y + k * n);
    }
    return loss / core->units;
}

/* The rows of output k of a dense work array. */
static cvxr_rows cvxr_fista_rows(const cvxr_fista *s, size_t k) {
    cvxr_rows rows;
    memset(&rows, 0, sizeof rows);
    rows.space = s->core->space;
    rows.ld = s->core->op_work.dp;
    rows.dense = cvxr_at(s->U, k * s->per, s->core->space->size);
    return rows;
}

static void cvxr_fista_certify(cvxr_fista *s, cvxr_certificate *out) {
    size_t k;
    memset(out, 0, sizeof *out);
    for (k = 0; k < s->core->data->c; k++) {
        cvxr_rows rows = cvxr_fista_rows(s, k);
        cvxr_certify_output(s->core, &rows, k, out);
    }
    cvxr_certificate_end(s->core, out);
}

/* Is it time to look at the gap? Often at first, then every tenth iteration. */
static int cvxr_fista_due(int iteration) {
    return iteration <= 1 || iteration == 3 || iteration % 10 == 0;
}

/* Copy the non-zero rows of a dense array to sorted float64 weights (capacity for all of
   them). */
static void cvxr_fista_keep(const cvxr_fista *s, void *dense, cvxr_weights *out) {
    const cvxr_core *core = s->core;
    const size_t element = core->space->size, from = core->op_work.dp, to = core->data->dp;
    size_t k, p;
    out->m = 0;
    for (k = 0; k < core->data->c; k++)
        for (p = 0; p < core->patterns->count; p++) {
            const unsigned char *row = cvxr_at(dense, k * s->per + p * from, element);
            if (core->space->row_is_zero(from, row)) continue;
            CVXRELU_ASSERT(out->m < out->capacity);
            out->output[out->m] = k;
            out->pattern[out->m] = p;
            core->space->to_f64(to, row, out->u + out->m++ * to);
        }
}

/* The objective may rise for a while; when it begins to, the iterate before (in V) is kept. */
static void cvxr_fista_watch(cvxr_fista *s) {
    double now = cvxr_fista_objective(s);
    if (!(now <= s->least * (1 + 1e-13)) && !s->kept) {
        cvxr_fista_keep(s, s->V, (cvxr_weights *)s->self);
        s->kept = 1;
    } else if (now < s->least) {
        s->least = now;
        s->kept = 0;
    }
    s->objective = now;
}

/* U, Y and their predictions at the weights to start from, which count as kept. */
static void cvxr_fista_start(cvxr_fista *s, const cvxr_weights *start) {
    const cvxr_core *core = s->core;
    const size_t element = core->space->size;
    size_t j;
    for (j = 0; j < start->m; j++) {
        size_t at = start->output[j] * s->per + start->pattern[j] * core->op_work.dp;
        core->space->from_f64(core->data->d, start->u + j * start->dp,
                              cvxr_at(s->U, at, element));
    }
    if (start->m) cvxr_fista_forward(s, s->U, s->zU);
    cvxr_fista_restart(s);
    s->least = cvxr_fista_objective(s);
    s->kept = 1;
}

/* Look at the gap, or only at the objective, and at the caller's wishes. */
static cvxrelu_stop cvxr_grelu_check(cvxr_fista *s) {
    cvxr_core *core = s->core;
    const cvxrelu_options *opt = core->opt;
    cvxr_certificate check;
    cvxr_fista_watch(s);
    if (!cvxr_finite(s->objective)) return CVXRELU_STOP_STALLED;
    if (!cvxr_fista_due(s->iteration)) {
        cvxr_tick(core, s->iteration, s->objective, core->best_bound, s->active);
        return core->stop;
    }
    cvxr_fista_certify(s, &check);
    cvxr_tick(core, s->iteration, check.objective, check.dual_bound, check.active);
    if (check.gap <= opt->tol) return CVXRELU_STOP_GAP;
    if (opt->subgradient_tol > 0 && check.subgradient <= opt->subgradient_tol)
        return CVXRELU_STOP_SUBGRADIENT;
    if (core->stop) return core->stop;
    if (check.gap < 0.99 * s->best_gap || check.objective < (1 - 1e-6) * s->best_value) {
        s->best_gap = cvxr_min(s->best_gap, check.gap);
        s->best_value = check.objective;
        s->idle = 0;
    } else if (++s->idle > CVXR_PATIENCE) return CVXRELU_STOP_STALLED;
    return CVXRELU_STOP_NONE;
}

static const cvxr_smooth cvxr_smooth_grelu = { cvxr_fista_forward, cvxr_grelu_gradient,
                                               cvxr_loss_excess, cvxr_loss_value,
                                               cvxr_grelu_check };

static int cvxr_fista_open(cvxr_fista *s, cvxr_core *core) {
    const size_t c = core->data->c;
    return cvxr_fista_begin(s, core, &cvxr_smooth_grelu, c, core->patterns->count,
                            c * core->data->n);
}

/* Run from *weights, which is replaced by the result. Returns why it stopped. */
static cvxrelu_stop cvxr_fista_solve(cvxr_core *core, cvxr_weights *weights) {
    cvxrelu_stop stop;
    cvxr_fista s;
    if (!cvxr_fista_open(&s, core)) {
        cvxr_fista_close(&s);
        return CVXRELU_STOP_NONE;
    }
    s.self = weights;
    cvxr_fista_start(&s, weights);
    stop = cvxr_fista_run(&s, core->opt->max_iters);
    if (stop == CVXRELU_STOP_GAP || stop == CVXRELU_STOP_SUBGRADIENT || !s.kept)
        cvxr_fista_keep(&s, s.U, weights);
    cvxr_fista_close(&s);
    return stop;
}

/* ---- lambda = 0: conjugate gradients on the normal equations from zero stay in the row
   space of A, so they end at the least-squares solution of least Euclidean norm. */

typedef struct cvxr_cgls {
    cvxr_core *core;
    size_t per;
    double *u, *s, *p; /* P x dp each */
    double *r, *q;     /* n each */
} cvxr_cgls;

static size_t cvxr_cgls_bytes(size_t n, size_t dp, size_t P) {
    return 3 * cvxr_bytes(P * dp, sizeof(double)) + 2 * cvxr_bytes(n, sizeof(double));
}

static int cvxr_cgls_open(cvxr_cgls *c, cvxr_core *core) {
    memset(c, 0, sizeof *c);
    c->core = core;
    c->per = core->patterns->count * core->data->dp;
    c->u = (double *)cvxr_alloc(core->mem, c->per, sizeof(double));
    c->s = (double *)cvxr_alloc(core->mem, c->per, sizeof(double));
    c->p = (double *)cvxr_alloc(core->mem, c->per, sizeof(double));
    c->r = (double *)cvxr_alloc(core->mem, core->data->n, sizeof(double));
    c->q = (double *)cvxr_alloc(core->mem, core->data->n, sizeof(double));
    return core->mem->failed == CVXRELU_OK;
}

static void cvxr_cgls_close(cvxr_cgls *c) {
    cvxr_mem *mem = c->core->mem;
    cvxr_release(mem, c->q, c->core->data->n, sizeof(double));
    cvxr_release(mem, c->r, c->core->data->n, sizeof(double));
    cvxr_release(mem, c->p, c->per, sizeof(double));
    cvxr_release(mem, c->s, c->per, sizeof(double));
    cvxr_release(mem, c->u, c->per, sizeof(double));
}

/* max_i ||s_i|| against tol ||X||_F ||y||. */
static int cvxr_cgls_done(const cvxr_cgls *c, double scale) {
    const size_t dp = c->core->data->dp;
    const double tol = c->core->opt->tol > 0 ? c->core->opt->tol : 1e-12;
    size_t p;
    for (p = 0; p < c->core->patterns->count; p++)
        if (sqrt(cvxr_row_square_f64(dp, c->s + p * dp)) > tol * scale) return 0;
    return 1;
}

static cvxrelu_stop cvxr_cgls_output(cvxr_cgls *c, const double *y) {
    cvxr_core *core = c->core;
    const size_t n = core->data->n;
    const double yy = cvxr_sum_squares(n, y, NULL);
    const double scale = sqrt(cvxr_sum_squares(n * core->data->dp, core->data->X, NULL) * yy);
    double gamma, old;
    int it;
    cvxr_select all;
    memset(&all, 0, sizeof all);
    all.count = core->patterns->count;
    memset(c->u, 0, c->per * sizeof(double));
    memcpy(c->r, y, n * sizeof(double));
    cvxr_gradient_f64(&core->op, &all, c->r, c->s);
    memcpy(c->p, c->s, c->per * sizeof(double));
    gamma = cvxr_sum_squares(c->per, c->s, NULL);
    for (it = 0; it < core->opt->max_iters; it++) {
        double step, rr = cvxr_sum_squares(n, c->r, NULL);
        if (rr <= 1e-28 * yy || cvxr_cgls_done(c, scale)) return CVXRELU_STOP_STATIONARY;
        if (cvxr_tick(core, it, 0.5 * rr / core->units, 0, all.count)) return core->stop;
        cvxr_forward_f64(&core->op, &all, c->p, 0, c->q);
        step = cvxr_sum_squares(n, c->q, NULL);
        if (!(step > 0)) return CVXRELU_STOP_STALLED;
        step = gamma / step;
        cvxr_axpby_f64(c->per, step, c->p, 1.0, c->u);
        cvxr_axpby_f64(n, -step, c->q, 1.0, c->r);
        cvxr_gradient_f64(&core->op, &all, c->r, c->s);
        old = gamma;
        gamma = cvxr_sum_squares(c->per, c->s, NULL);
        cvxr_axpby_f64(c->per, 1.0, c->s, gamma / old, c->p);
        core->report->iterations++;
    }
    return CVXRELU_STOP_ITERATIONS;
}

static cvxrelu_stop cvxr_least_squares(cvxr_core *core, cvxr_weights *weights) {
    cvxr_cgls c;
    cvxrelu_stop stop = CVXRELU_STOP_STATIONARY, now;
    const size_t dp = core->data->dp;
    size_t k, p;
    if (!cvxr_cgls_open(&c, core)) {
        cvxr_cgls_close(&c);
        return CVXRELU_STOP_NONE;
    }
    weights->m = 0;
    for (k = 0; k < core->data->c; k++) {
        now = cvxr_cgls_output(&c, core->data->Y + k * core->data->n);
        if (now != CVXRELU_STOP_STATIONARY) stop = now;
        for (p = 0; p < core->patterns->count; p++) {
            if (cvxr_row_is_zero_f64(dp, c.u + p * dp)) continue;
            weights->output[weights->m] = k;
            weights->pattern[weights->m] = p;
            memcpy(weights->u + weights->m++ * dp, c.u + p * dp, dp * sizeof(double));
        }
        if (core->stop) break;
    }
    cvxr_cgls_close(&c);
    return stop;
}

/* ==== S14 CERTIFIED NEWTON ===============================================================
   Semismooth Newton on the augmented Lagrangian of the dual, over a working set W that moves
   while x, xi and sigma are kept, one output column at a time. In sum units (lam = lambda n
   c, A_i = D_i X):

       minimise over xi   phi = ||xi||^2/2 + <y, xi> + sum_i ||prox_i||^2 / (2 sigma)
       z_i = x_i - sigma A_i^T xi,  prox_i = a_i z_i,  a_i = (1 - sigma lam / ||z_i||)_+
       gradient  y + xi - A prox,   Newton matrix  H = I + sigma A J A^T,
       J_i = a_i I + (1 - a_i) zh zh^T,  zh = z_i / ||z_i||

   then x <- prox, and sigma grows when the round was quick. Every iterate has a duality gap
   for nothing: prox is the primal point, -xi scaled the dual one. The inner loop stops when
   its part of the gap is small against the outer part; the first step of a round is
   linearised at x; steps that fail the decrease test are judged after at most two more
   (watchdog). The last steps are linearised at x too and converge quadratically, until the
   residual itself, scaled, certifies the gap, so that the weights alone prove it.

   Newton systems: conjugate gradients preconditioned by the last factor, whatever its sigma
   and active set; a new one when the work in CG since the last exceeds its price: of the rays
   (order k + d, float32), or, where those were tried for long, of all of H, n x n by K o (E
   diag(a) E^T) + V diag(1-a) V^T or (k d) x (k d) by Woodbury. The rest is float64. Uses
   S05-S13. Used by S22. Tests: tests/test_s14_newton.c. Source: [LST18] for the family,
   the manual's NEWTON entry for what differs. */

#define CVXR_SIGMA_START 0.1 /* sigma_0 = this * n / trace(K) */
#define CVXR_SIGMA_GROW  3.0
#define CVXR_QUICK       2   /* sigma grows only after a round of at most this many steps */
#define CVXR_RATIO       5.0 /* a round closes when ||g||^2/2 <= this * outer part */
#define CVXR_SCALED      0.01 /* ... or this share of the gap: the rest is -xi's scaling */
#define CVXR_LINEAR      0.3  /* relative gap below which steps are linearised at x */
#define CVXR_WATCH       2    /* further steps before a failed one is judged */
#define CVXR_KEEP        0.8 /* groups with ||A_i^T xi|| above this * lam enter W */
#define CVXR_FEW         200 /* groups that W may have with any support, at most */
#define CVXR_SLOW        8   /* inner steps before sigma is taken back */
#define CVXR_IDLE        30  /* rounds without a smaller gap before the run has stalled */
#define CVXR_STEPS       500 /* default limit of Newton steps an output */
#define CVXR_SHORT       0.3 /* cones: steps below this are short, */
#define CVXR_CUTS        3   /* and after so many of them directions are generated instead, */
#define CVXR_ATOM_GOAL   1e-3 /* to this gap; then Newton again for at most */
#define CVXR_AGAIN       60  /* steps, */
#define CVXR_AGAIN_CUTS  4   /* short steps */
#define CVXR_AGAIN_IDLE  6   /* or rounds without progress, then the next digit by directions */
#define CVXR_LINEAR_CUTS 3   /* cones: short steps before none is linearised at x any more */
#define CVXR_DENSE       2.0 /* a dense flop's time in that of a masked one */
#define CVXR_RENT        4.0 /* rays: up to this many prices of a factor of all of H */
#define CVXR_SINGLE      20  /* CG steps with new float32 rays before they are float64 */
#define CVXR_VBLOCK      128 /* columns of V handled together */
#define CVXR_STRIP       256 /* rows of V at hand where it is not stored */

#ifdef CVXRELU_NO_FLOAT32
#define CVXR_RAYS_F32 0
#else
#define CVXR_RAYS_F32 1
#endif

/* ---- The Newton system. */

/* A set of active groups with its Jacobian: pattern indices, a, zhat (packed). For cones
   J = N (a I + (1 - a) zh zh^T) N with N the projection on the null space of the active rows,
   of which `basis` holds an orthonormal basis. */
typedef struct cvxr_active {
    size_t count;
    size_t *idx; /* capacity of the working set */
    double *a, *zh;
    size_t *rank;  /* of N; 0 where no basis is held: N = I then. NULL for gated groups */
    double *basis; /* ranks of all groups in turn x dp */
    size_t room, used; /* rows of the basis */
    cvxr_select select; /* row_words in `words` */
    uint32_t *words;
} cvxr_active;

typedef enum cvxr_factor_kind {
    CVXR_FACTOR_NONE,
    CVXR_FACTOR_RAYS, /* diagonal, mean mask and one direction a group: not all of H */
    CVXR_FACTOR_ROWS,
    CVXR_FACTOR_GROUPS
} cvxr_factor_kind;

typedef struct cvxr_system {
    cvxr_core *core;
    size_t capacity, order, width; /* of the working set; of the largest factor; of B */
    double *block;  /* room elements, taken when a factor first needs them: V, factor, B */
    size_t room, ld;
    double *factor; /* rows of ld */
    cvxr_factor_kind kind;
    size_t factor_order;
    cvxr_active held; /* the set that a GROUPS factor was made of */
    double *B;        /* cones: n x ld, the D X J^{1/2} that a GROUPS factor was made of */
    double *roots;    /* cones: CVXR_VBLOCK x dp */
    double *b;        /* cones: b_size */
    size_t b_size;
    double *T, *V,
        *row_norms; /* capacity x dp (small vectors), n x CVXR_VBLOCK, n */
    double *strip;  /* CVXR_STRIP rows at most x CVXR_VBLOCK */
    double *small;  /* mean mask: dp x dp */
    void *C, *L, /* rays: n x ldc and order x ldc, in the block */
        *rays;   /* 2 (capacity + dp) + n */
    size_t ldc;
    int single;  /* rays in float32 */
    double *mean_e,
        *mean_diag;         /* n each */
    double *r, *q, *p, *Hp; /* n each */
    double paid;            /* since the last factor of all of H, rays and CG before them */
    double spent, use;      /* flops in CG since the last factor; of one preconditioner solve */
    int whole;              /* rays were too little: factors are of all of H from now on */
} cvxr_system;

static size_t cvxr_active_bytes(size_t n, size_t dp, size_t capacity, size_t room) {
    return cvxr_bytes(capacity, sizeof(size_t)) + cvxr_bytes(capacity, sizeof(double))
           + (room ? cvxr_bytes(capacity, sizeof(size_t)) : 0)
           + (room ? cvxr_bytes(room * dp, sizeof(double)) : 0)
           + cvxr_bytes(capacity * dp, sizeof(double))
           + cvxr_bytes(cvxr_select_words(n, capacity), sizeof(uint32_t));
}

static void cvxr_active_open(cvxr_active *s, cvxr_mem *mem, size_t n, size_t dp,
                             size_t capacity, size_t room) {
    memset(s, 0, sizeof *s);
    s->room = room;
    if (room) {
        s->rank = (size_t *)cvxr_alloc(mem, capacity, sizeof(size_t));
        s->basis = (double *)cvxr_alloc(mem, room * dp, sizeof(double));
    }
    s->idx = (size_t *)cvxr_alloc(mem, capacity, sizeof(size_t));
    s->a = (double *)cvxr_alloc(mem, capacity, sizeof(double));
    s->zh = (double *)cvxr_alloc(mem, capacity * dp, sizeof(double));
    s->words = (uint32_t *)cvxr_alloc(mem, cvxr_select_words(n, capacity), sizeof(uint32_t));
}

static void cvxr_active_close(cvxr_active *s, cvxr_mem *mem, size_t n, size_t dp,
                              size_t capacity) {
    if (s->room) {
        cvxr_release(mem, s->basis, s->room * dp, sizeof(double));
        cvxr_release(mem, s->rank, capacity, sizeof(size_t));
    }
    cvxr_release(mem, s->words, cvxr_select_words(n, capacity), sizeof(uint32_t));
    cvxr_release(mem, s->zh, capacity * dp, sizeof(double));
    cvxr_release(mem, s->a, capacity, sizeof(double));
    cvxr_release(mem, s->idx, capacity, sizeof(size_t));
}

/* Make `select` of the first `count` entries ready for forwards. */
static void cvxr_active_ready(cvxr_active *s, const cvxr_op *op) {
    s->select.idx = s->idx;
    s->select.count = s->count;
    cvxr_select_rows(op, &s->select, s->words);
}

/* Rows of the factor buffer: n where an n x n factor may be, else what max_factor allows. */
static size_t cvxr_factor_order(size_t n, size_t max_factor) {
    return cvxr_min_z(n, max_factor);
}

/* Columns that a factor by groups of cones may have: no more memory than the factor's own. */
static size_t cvxr_system_width(size_t n, size_t order) {
    return cvxr_min_z(order, order * order / n);
}

static size_t cvxr_strip_size(size_t n) { return cvxr_min_z(n, CVXR_STRIP) * CVXR_VBLOCK; }

/* Elements of the block for a factor of this order, `width` columns of B beside it. */
static size_t cvxr_block_size(size_t n, size_t order, size_t width) {
    return order * cvxr_pad(order) + n * (CVXR_VBLOCK + cvxr_pad(width));
}

static size_t cvxr_system_bytes(size_t n, size_t dp, size_t capacity, size_t max_factor,
                                int cones) {
    const size_t order = cvxr_factor_order(n, max_factor), width = cvxr_system_width(n, order);
    size_t all;
    if (!cvxr_size_mul(order, cvxr_pad(order), &all)) return 0;
    return cvxr_bytes(cvxr_block_size(n, order, cones ? width : 0), sizeof(double))
           + cvxr_active_bytes(n, dp, capacity, 0)
           + (cones ? cvxr_bytes(CVXR_VBLOCK * dp, sizeof(double))
                          + cvxr_bytes(width, sizeof(double))
                    : 0)
           + cvxr_bytes(capacity * dp, sizeof(double))
           + cvxr_bytes(cvxr_strip_size(n), sizeof(double))
           + 7 * cvxr_bytes(n, sizeof(double))
           + cvxr_bytes(dp * dp, sizeof(double))
           + cvxr_bytes(2 * (capacity + dp) + n, sizeof(double));
}

static void cvxr_system_open(cvxr_system *s, cvxr_core *core, size_t capacity) {
    const size_t n = core->data->n, dp = core->data->dp;
    cvxr_mem *mem = core->mem;
    size_t i;
    memset(s, 0, sizeof *s);
    s->core = core;
    s->capacity = capacity;
    s->order = cvxr_factor_order(n, core->opt->max_factor);
    s->single = CVXR_RAYS_F32;
    cvxr_active_open(&s->held, mem, n, dp, capacity, 0);
    if (core->kind == CVXRELU_RELU) {
        s->width = cvxr_system_width(n, s->order);
        s->roots = (double *)cvxr_alloc(mem, CVXR_VBLOCK * dp, sizeof(double));
        s->b_size = s->width;
        s->b = (double *)cvxr_alloc(mem, s->b_size, sizeof(double));
    }
    s->T = (double *)cvxr_alloc(mem, capacity * dp, sizeof(double));
    s->strip = (double *)cvxr_alloc(mem, cvxr_strip_size(n), sizeof(double));
    s->row_norms = (double *)cvxr_alloc(mem, n, sizeof(double));
    s->mean_e = (double *)cvxr_alloc(mem, n, sizeof(double));
    s->mean_diag = (double *)cvxr_alloc(mem, n, sizeof(double));
    s->r = (double *)cvxr_alloc(mem, n, sizeof(double));
    s->q = (double *)cvxr_alloc(mem, n, sizeof(double));
    s->p = (double *)cvxr_alloc(mem, n, sizeof(double));
    s->Hp = (double *)cvxr_alloc(mem, n, sizeof(double));
    s->small = (double *)cvxr_alloc(mem, dp * dp, sizeof(double));
    s->rays = cvxr_alloc(mem, 2 * (capacity + dp) + n, sizeof(double));
    if (mem->failed) return;
    for (i = 0; i < n; i++) s->row_norms[i] = cvxr_row_square_f64(dp, core->data->X + i * dp);
}

static void cvxr_system_close(cvxr_system *s) {
    const size_t n = s->core->data->n, dp = s->core->data->dp;
    cvxr_mem *mem = s->core->mem;
    cvxr_release(mem, s->block, s->room, sizeof(double));
    cvxr_release(mem, s->rays, 2 * (s->capacity + dp) + n, sizeof(double));
    cvxr_release(mem, s->small, dp * dp, sizeof(double));
    cvxr_release(mem, s->Hp, n, sizeof(double));
    cvxr_release(mem, s->p, n, sizeof(double));
    cvxr_release(mem, s->q, n, sizeof(double));
    cvxr_release(mem, s->r, n, sizeof(double));
    cvxr_release(mem, s->mean_diag, n, sizeof(double));
    cvxr_release(mem, s->mean_e, n, sizeof(double));
    cvxr_release(mem, s->row_norms, n, sizeof(double));
    cvxr_release(mem, s->strip, cvxr_strip_size(n), sizeof(double));
    cvxr_release(mem, s->T, s->capacity * dp, sizeof(double));
    if (s->core->kind == CVXRELU_RELU) {
        cvxr_release(mem, s->b, s->b_size, sizeof(double));
        cvxr_release(mem, s->roots, CVXR_VBLOCK * dp, sizeof(double));
    }
    cvxr_active_close(&s->held, mem, n, dp, s->capacity);
}

/* Room for a new factor in the place of the one at hand, which is lost: the block is the last
   array that a run takes, so an arena grows it in place. Refused memory makes the orders that
   are allowed smaller, a half at a time. */
static int cvxr_system_room(cvxr_system *s, size_t need) {
    cvxr_mem *mem = s->core->mem;
    s->kind = CVXR_FACTOR_NONE;
    if (need <= s->room) return 1;
    cvxr_release(mem, s->block, s->room, sizeof(double));
    s->block = (double *)cvxr_alloc_try(mem, need, sizeof(double));
    s->room = s->block ? need : 0;
    if (s->block) return 1;
    s->order /= 2;
    s->width = cvxr_min_z(s->width, cvxr_system_width(s->core->data->n, s->order));
    return 0;
}

/* The same for a factor of all of H, `width` columns of B beside it. */
static int cvxr_system_place(cvxr_system *s, size_t order, size_t width) {
    const size_t n = s->core->data->n;
    if (!cvxr_system_room(s, cvxr_block_size(n, order, width))) return 0;
    s->ld = cvxr_pad(order);
    s->V = s->block;
    s->factor = s->V + n * CVXR_VBLOCK;
    s->B = width ? s->factor + order * s->ld : NULL;
    return 1;
}

/* Flops of an n x n and of a (k d) x (k d) factor - for cones with the sum of the ranks in the
   place of k d -; HUGE_VAL for one that does not fit. */
static double cvxr_price_rows(const cvxr_system *s, const cvxr_active *act) {
    double n = (double)s->core->data->n, k = (double)act->count;
    if (s->core->data->n > s->order) return HUGE_VAL;
    return n * n * (act->rank ? (double)act->used : 2 * k) + n * n * n / 3;
}

static double cvxr_price_groups(const cvxr_system *s, const cvxr_active *act) {
    double n = (double)s->core->data->n, m = (double)act->count * (double)s->core->data->d;
    if (act->rank) m = (double)act->used;
    if (m > (double)(act->rank ? s->width : s->order)) return HUGE_VAL;
    return n * m * m + m * m * m / 3;
}

static size_t cvxr_ray_stride(size_t columns) { return (columns + 15) / 16 * 16; }

/* Of the rays, which cones go without; C and L share the block. */
static double cvxr_price_rays(const cvxr_system *s, const cvxr_active *act) {
    const size_t n = s->core->data->n, m = act->count + s->core->data->d,
                 ld = cvxr_ray_stride(m);
    const size_t element = s->single ? sizeof(float) : sizeof(double);
    const size_t most = s->order * cvxr_pad(s->order) * sizeof(double);
    if (act->rank || (n + ld) * ld * element > most) return HUGE_VAL;
    return ((double)n + (double)m / 3) * (double)m * (double)m;
}

/* Row T of a cone's group: a N T + (1 - a) zh <zh, T>, Z the basis of N. */
static void cvxr_jacobian_cone(const cvxr_kernels_f64 *kernels, size_t rank, const double *Z,
                               const double *h, double a, size_t dp, double *T, double *out) {
    const double along = (1 - a) * kernels->dot(dp, h, T);
    double by[4];
    size_t i, j;
    for (j = 0; j < dp; j++) out[j] = along * h[j];
    for (i = 0; i + 4 <= rank; i += 4, Z += 4 * dp) {
        kernels->dots(dp, Z, dp, T, by);
        for (j = 0; j < 4; j++) by[j] *= a;
        kernels->axpys(dp, by, Z, dp, out);
    }
    for (; i < rank; i++, Z += dp) kernels->axpy(dp, a * kernels->dot(dp, Z, T), Z, out);
    memcpy(T, out, dp * sizeof(double));
}

typedef struct cvxr_jacobian_job {
    cvxr_core *core;
    const cvxr_active *act;
    double *T;
    size_t tasks;
} cvxr_jacobian_job;

/* Cones are dealt out in turn; those without a basis come below. */
static void cvxr_jacobian_task(void *arg, size_t task) {
    const cvxr_jacobian_job *job = (const cvxr_jacobian_job *)arg;
    const cvxr_kernels_f64 *kernels = cvxr_kernels_for_f64(&job->core->la);
    const cvxr_active *s = job->act;
    const size_t dp = job->core->data->dp;
    const double *Z = s->basis;
    size_t i;
    for (i = 0; i < s->count; Z += s->rank[i++] * dp)
        if (s->rank[i] && i % job->tasks == task)
            cvxr_jacobian_cone(kernels, s->rank[i], Z, s->zh + i * dp, s->a[i], dp,
                               job->T + i * dp, job->core->cone_v + task * dp);
}

/* Rows of T become J_i T_i = a T + (1 - a) zh <zh, T>; with `root` the symmetric square root
   of J (gated groups only). */
static void cvxr_jacobian(cvxr_core *core, const cvxr_active *s, double *T, int root) {
    const size_t dp = core->data->dp;
    size_t i, j;
    if (s->rank) {
        cvxr_jacobian_job job;
        job.core = core, job.act = s, job.T = T;
        job.tasks = s->used * dp < 20000 ? 1 : (size_t)core->op.team.threads;
        cvxr_team_run(&core->op.team, job.tasks, cvxr_jacobian_task, &job);
    }
    for (i = 0; i < s->count; i++, T += dp) {
        const double *h = s->zh + i * dp;
        double a = root ? sqrt(s->a[i]) : s->a[i], dot = 0;
        if (s->rank && s->rank[i]) continue;
        for (j = 0; j < dp; j++) dot += h[j] * T[j];
        dot *= 1 - a;
        for (j = 0; j < dp; j++) T[j] = a * T[j] + dot * h[j];
    }
}

/* Four bits of a mask as numbers. */
#define CVXR_NIBBLES \
    { 0, 0, 0, 0 }, { 1, 0, 0, 0 }, { 0, 1, 0, 0 }, { 1, 1, 0, 0 }, { 0, 0, 1, 0 }, \
    { 1, 0, 1, 0 }, { 0, 1, 1, 0 }, { 1, 1, 1, 0 }, { 0, 0, 0, 1 }, { 1, 0, 0, 1 }, \
    { 0, 1, 0, 1 }, { 1, 1, 0, 1 }, { 0, 0, 1, 1 }, { 1, 0, 1, 1 }, { 0, 1, 1, 1 }, \
    { 1, 1, 1, 1 }
static const double cvxr_nibble[16][4] = { CVXR_NIBBLES };

/* Work on rows of the system, shared out among the team. */
typedef struct cvxr_rows_job {
    cvxr_system *system;
    const cvxr_active *act;
    double sigma;
    size_t j0, width, tasks;
    double by[CVXR_VBLOCK]; /* zero from `width` on */
    double total;           /* rays: sum of a; Zh diag(1 - a)^{1/2} */
    const void *zh;
} cvxr_rows_job;

/* One thread's products: the built-in kernels on its own slice of the work space. */
static cvxr_la cvxr_la_single(const cvxr_la *la, size_t task) {
    cvxr_la one = *la;
    one.blas = NULL;
    one.team.threads = 1;
    one.work = cvxr_slice(la->work, task);
    return one;
}

/* As many tasks as there are threads, fewer where the work (multiplications) is too little. */
static void cvxr_rows_run(cvxr_rows_job *job, size_t most, double work,
                          void (*body)(void *arg, size_t i)) {
    const cvxr_la *la = &job->system->core->la;
    job->tasks = cvxr_min_z(cvxr_task_count(la, work, 5e4), cvxr_max_z(most, 1));
    cvxr_team_run(&la->team, job->tasks, body, job);
}

/* Rows r0 .. r1 - 1 of X Zh^T, into V, for `width` groups from j0 on, columns up to a multiple
   of 4. */
static void cvxr_V_products(const cvxr_rows_job *job, const cvxr_la *la, size_t r0, size_t r1,
                            double *V) {
    const cvxr_core *core = job->system->core;
    const size_t dp = core->data->dp;
    size_t i, j;
    cvxr_gemm_f64(la, 0, 1, r1 - r0, job->width, dp, 1.0, core->data->X + r0 * dp, dp,
                  job->act->zh + job->j0 * dp, dp, 0.0, V, CVXR_VBLOCK);
    for (i = 0; i < r1 - r0 && job->width % 4; i++)
        for (j = job->width; j % 4; j++) V[i * CVXR_VBLOCK + j] = 0;
}

static void cvxr_V_task(void *arg, size_t task) {
    const cvxr_rows_job *job = (const cvxr_rows_job *)arg;
    const size_t n = job->system->core->data->n;
    const size_t r0 = cvxr_share(n, job->tasks, task, 64),
                 r1 = cvxr_share(n, job->tasks, task + 1, 64);
    const cvxr_la la = cvxr_la_single(&job->system->core->la, task);
    size_t i, j, q, k;
    if (r0 == r1) return;
    cvxr_V_products(job, &la, r0, r1, job->system->V + r0 * CVXR_VBLOCK);
    for (j = 0; j < job->width; j += 32) {
        const uint32_t *words = job->act->select.row_words + (job->j0 + j) / 32 * n;
        const double *by = job->by + j;
        const size_t quads = (cvxr_min_z(32, job->width - j) + 3) / 4;
        for (i = r0; i < r1; i++) {
            double *v = job->system->V + i * CVXR_VBLOCK + j;
            for (q = 0; q < quads; q++) {
                const double *on = cvxr_nibble[words[i] >> (4 * q) & 15];
                for (k = 4 * q; k < 4 * q + 4; k++) v[k] *= by[k] * on[k - 4 * q];
            }
        }
    }
}

/* The groups of a block of columns: `width` of them from j0 (a multiple of 32) on. `root`: by
   is the square root of 1 - a, else 1 - a. */
static void cvxr_rows_block(cvxr_rows_job *job, size_t j0, int root) {
    const cvxr_active *act = job->act;
    size_t j;
    job->j0 = j0;
    job->width = cvxr_min_z(CVXR_VBLOCK, act->count - j0);
    for (j = 0; j < CVXR_VBLOCK; j++) {
        const double by = j < job->width ? cvxr_max(0, 1 - act->a[j0 + j]) : 0;
        job->by[j] = root ? sqrt(by) : by;
    }
}

/* Row blocks of K = X X^T in turn, in a share of s->V: K o M in place, times sigma, plus I. */
static void cvxr_hadamard_task(void *arg, size_t task) {
    const cvxr_rows_job *job = (const cvxr_rows_job *)arg;
    const cvxr_system *s = job->system;
    const size_t n = s->core->data->n, dp = s->core->data->dp;
    const size_t rows = CVXR_VBLOCK / job->tasks;
    const double *X = s->core->data->X;
    const cvxr_la la = cvxr_la_single(&s->core->la, task);
    double *block = s->V + task * rows * n;
    size_t i0, i, j;
    for (i0 = task * rows; i0 < n; i0 += rows * job->tasks) {
        size_t count = cvxr_min_z(rows, n - i0), columns = i0 + count;
        cvxr_gemm_f64(&la, 0, 1, count, columns, dp, job->sigma, X + i0 * dp, dp, X, dp, 0.0,
                      block, columns);
        for (i = 0; i < count; i++) {
            double *H = s->factor + (i0 + i) * s->ld;
            const double *K = block + i * columns;
            for (j = 0; j <= i0 + i; j++) H[j] *= K[j];
            H[i0 + i] += 1;
        }
    }
}

/* H = I + sigma (K o E diag(a) E^T + V diag(1 - a) V^T), lower triangle. */
static void cvxr_system_rows(cvxr_system *s, const cvxr_active *act, double sigma) {
    cvxr_core *core = s->core;
    const size_t n = core->data->n;
    const double size = (double)n * (double)core->data->dp;
    cvxr_rows_job job;
    size_t j0;
    job.system = s;
    job.act = act;
    job.sigma = sigma;
    cvxr_gram_masks(&core->op, &act->select, act->a, s->factor, s->ld);
    cvxr_rows_run(&job, CVXR_VBLOCK / 8, size * (double)n / 2, cvxr_hadamard_task);
    for (j0 = 0; j0 < act->count; j0 += CVXR_VBLOCK) {
        cvxr_rows_block(&job, j0, 1);
        cvxr_rows_run(&job, n / 64, size * (double)job.width, cvxr_V_task);
        cvxr_syrk_f64(&core->la, 0, n, job.width, sigma, s->V, CVXR_VBLOCK, 1.0, s->factor,
                      s->ld);
    }
    s->factor_order = n;
}

/* ---- Woodbury: M = I/sigma + B^T B with B_i = D_i X J_i^{1/2}. The blocks X^T D_i D_j X
   are gradients of the column products x_a x_b over the mask D_j, restricted to D_i. */
typedef struct cvxr_pairs_job {
    cvxr_system *system;
    const cvxr_active *act;
    size_t width, first, tasks; /* columns of products at hand; the first product */
    size_t a[CVXR_TILE], b[CVXR_TILE]; /* column q of them is x_a x_b, b <= a */
} cvxr_pairs_job;

/* Product column q of the lower triangle is (a, b), b <= a. */
static void cvxr_product_at(size_t q, size_t *a, size_t *b) {
    size_t row = 0;
    while ((row + 1) * (row + 2) / 2 <= q) row++;
    *a = row;
    *b = q - row * (row + 1) / 2;
}

/* s->V rows (stride 32) = the products of every data row. */
static void cvxr_pairs_products_task(void *arg, size_t task) {
    const cvxr_pairs_job *job = (const cvxr_pairs_job *)arg;
    const cvxr_system *s = job->system;
    const size_t n = s->core->data->n, dp = s->core->data->dp;
    const size_t end = cvxr_share(n, job->tasks, task + 1, 64);
    size_t i, q;
    for (i = cvxr_share(n, job->tasks, task, 64); i < end; i++) {
        const double *x = s->core->data->X + i * dp;
        double *v = s->V + i * CVXR_TILE;
        for (q = 0; q < job->width; q++) v[q] = x[job->a[q]] * x[job->b[q]];
        for (; q < CVXR_TILE; q++) v[q] = 0;
    }
}

static void cvxr_pairs_scatter(const cvxr_pairs_job *job, size_t i, size_t j0, size_t count,
                               const double *G) {
    const cvxr_system *s = job->system;
    const size_t d = s->core->data->d, ld = s->ld;
    size_t j, q;
    for (j = 0; j < count; j++) {
        double *block = s->factor + (j0 + j) * d * ld + i * d;
        for (q = 0; q < job->width; q++) {
            double v = G[j * CVXR_TILE + q];
            block[job->a[q] * ld + job->b[q]] = v;
            block[job->b[q] * ld + job->a[q]] = v;
        }
    }
}

/* Groups i of this task (dealt out in turn) against all j >= i. */
static void cvxr_pairs_task(void *arg, size_t task) {
    const cvxr_pairs_job *job = (const cvxr_pairs_job *)arg;
    const cvxr_system *s = job->system;
    cvxr_op *op = &s->core->op;
    cvxr_slice_f64 part = cvxr_op_part_f64(op, task);
    cvxr_job_f64 g;
    size_t i, j;
    memset(&g, 0, sizeof g);
    g.op = op;
    g.X = s->V;
    g.ldx = g.ldo = CVXR_TILE;
    for (i = task; i < job->act->count; i += job->tasks) {
        g.also = op->bits + job->act->idx[i] * op->words;
        for (j = i; j < job->act->count; j += CVXR_BLOCK) {
            cvxr_select tail = job->act->select;
            size_t count = cvxr_min_z(CVXR_BLOCK, job->act->count - j);
            tail.idx = job->act->idx + j;
            g.select = &tail;
            g.out = part.sums;
            cvxr_gradient_block_f64(&g, &part, 0, count, 0, cvxr_pad(job->width));
            cvxr_pairs_scatter(job, i, j, count, part.sums);
        }
    }
}

/* Block (j, i) becomes Q_j block Q_i, Q = J^{1/2}; only what the lower triangle needs. Tasks
   take their j in turn. */
static void cvxr_pairs_roots_task(void *arg, size_t task) {
    const cvxr_pairs_job *job = (const cvxr_pairs_job *)arg;
    const cvxr_system *s = job->system;
    const cvxr_active *act = job->act;
    const size_t d = s->core->data->d, dp = s->core->data->dp, ld = s->ld;
    double *dots = s->small + task * dp;
    size_t i, j, a, b;
    for (j = task; j < act->count; j += job->tasks)
        for (i = 0; i <= j; i++) {
            double *B = s->factor + j * d * ld + i * d;
            const double *hj = act->zh + j * dp, *hi = act->zh + i * dp;
            const double qj = sqrt(act->a[j]), qi = sqrt(act->a[i]);
            for (b = 0; b < d; b++) dots[b] = 0;
            for (a = 0; a < d; a++)
                for (b = 0; b < d; b++) dots[b] += hj[a] * B[a * ld + b];
            for (a = 0; a < d; a++) {
                double along = 0, h = (1 - qj) * hj[a];
                for (b = 0; b < d; b++)
                    along += (B[a * ld + b] = qj * B[a * ld + b] + h * dots[b]) * hi[b];
                along *= 1 - qi;
                for (b = 0; b < d; b++) B[a * ld + b] = qi * B[a * ld + b] + along * hi[b];
            }
        }
}

static void cvxr_system_groups(cvxr_system *s, const cvxr_active *act, double sigma) {
    const size_t d = s->core->data->d, products = d * (d + 1) / 2;
    cvxr_pairs_job job;
    size_t i;
    job.system = s;
    job.act = act;
    job.tasks = cvxr_min_z((size_t)s->core->op.team.threads, act->count);
    for (job.first = 0; job.first < products; job.first += CVXR_TILE) {
        job.width = cvxr_min_z(CVXR_TILE, products - job.first);
        for (i = 0; i < job.width; i++) cvxr_product_at(job.first + i, &job.a[i], &job.b[i]);
        cvxr_team_run(&s->core->op.team, job.tasks, cvxr_pairs_products_task, &job);
        cvxr_team_run(&s->core->op.team, job.tasks, cvxr_pairs_task, &job);
    }
    job.tasks = cvxr_min_z(job.tasks, s->core->data->dp); /* rows of s->small */
    cvxr_team_run(&s->core->op.team, job.tasks, cvxr_pairs_roots_task, &job);
    s->factor_order = act->count * d;
    for (i = 0; i < s->factor_order; i++) s->factor[i * s->ld + i] += 1 / sigma;
    s->held.count = act->count;
    memcpy(s->held.idx, act->idx, act->count * sizeof(size_t));
    memcpy(s->held.a, act->a, act->count * sizeof(double));
    memcpy(s->held.zh, act->zh, act->count * s->core->data->dp * sizeof(double));
    cvxr_active_ready(&s->held, &s->core->op);
}

/* ---- Cones: the columns D_i X J_i^{1/2}, J^{1/2} = Z (sqrt(a) I + (1 - sqrt(a)) z z^T) with
   z = Z^T zh, `width` of them from column c0 on, into out (n x ld). *group and *within say
   where the basis goes on. */
static void cvxr_cone_columns(cvxr_system *s, const cvxr_active *act, size_t c0, size_t width,
                              size_t *group, size_t *within, double *out, size_t ld) {
    const cvxr_core *core = s->core;
    const size_t n = core->data->n, dp = core->data->dp, words = core->op.words;
    size_t owner[CVXR_VBLOCK], i, j, q;
    for (q = 0; q < width; q++) {
        const double *Z = act->basis + (c0 + q) * dp, *h;
        double root, along = 0, *to = s->roots + q * dp;
        while (*within >= act->rank[*group]) ++*group, *within = 0;
        h = act->zh + *group * dp;
        root = sqrt(act->a[*group]);
        for (j = 0; j < dp; j++) along += Z[j] * h[j];
        along *= 1 - root;
        for (j = 0; j < dp; j++) to[j] = root * Z[j] + along * h[j];
        owner[q] = *group;
        ++*within;
    }
    cvxr_gemm_f64(&core->la, 0, 1, n, width, dp, 1.0, core->data->X, dp, s->roots, dp, 0.0, out,
                  ld);
    for (q = 0; q < width; q = j) {
        const uint64_t *bits = core->op.bits + act->idx[owner[q]] * words;
        for (j = q; j < width && owner[j] == owner[q];) j++;
        for (i = 0; i < n; i++)
            if (!(bits[i / 64] >> i % 64 & 1))
                memset(out + i * ld + q, 0, (j - q) * sizeof *out);
    }
}

/* H = I + sigma B B^T, lower triangle. */
static void cvxr_system_cone_rows(cvxr_system *s, const cvxr_active *act, double sigma) {
    const size_t n = s->core->data->n;
    size_t c0, width, group = 0, within = 0, i;
    for (i = 0; i < n && act->used == 0; i++)
        memset(s->factor + i * s->ld, 0, n * sizeof(double));
    for (c0 = 0; c0 < act->used; c0 += width) {
        width = cvxr_min_z(CVXR_VBLOCK, act->used - c0);
        cvxr_cone_columns(s, act, c0, width, &group, &within, s->V, CVXR_VBLOCK);
        cvxr_syrk_f64(&s->core->la, 0, n, width, sigma, s->V, CVXR_VBLOCK, c0 ? 1.0 : 0.0,
                      s->factor, s->ld);
    }
    for (i = 0; i < n; i++) s->factor[i * s->ld + i] += 1;
    s->factor_order = n;
}

/* I/sigma + B^T B, lower triangle; B is kept. */
static void cvxr_system_cone_groups(cvxr_system *s, const cvxr_active *act, double sigma) {
    size_t c0, width, group = 0, within = 0, i;
    for (c0 = 0; c0 < act->used; c0 += width) {
        width = cvxr_min_z(CVXR_VBLOCK, act->used - c0);
        cvxr_cone_columns(s, act, c0, width, &group, &within, s->B + c0, s->ld);
    }
    cvxr_syrk_f64(&s->core->la, 1, act->used, s->core->data->n, 1.0, s->B, s->ld, 0.0,
                  s->factor, s->ld);
    s->factor_order = act->used;
    for (i = 0; i < s->factor_order; i++) s->factor[i * s->ld + i] += 1 / sigma;
}

/* ---- Before the first factor: E diag(a) E^T ~ (sum a) e e^T with e = E a / sum a, so that
   H is about a diagonal plus rank d. */

/* E a and the row norms of V diag(1 - a)^{1/2}: sums of 4 and 4 for one row and word. */
static void cvxr_mean_word(uint32_t word, size_t quads, const double *a, const double *by,
                           const double *v, double *sums) {
    size_t q, k;
    for (q = 0; q < quads; q++, a += 4, by += 4, v += 4) {
        const double *on = cvxr_nibble[word >> (4 * q) & 15];
        for (k = 0; k < 4; k++) sums[k] += on[k] * a[k];
        for (k = 0; k < 4; k++) sums[4 + k] += on[k] * by[k] * (v[k] * v[k]);
    }
}

/* A block of groups (all of them in turn, in the order of the calls) for some rows. */
static void cvxr_mean_task(void *arg, size_t task) {
    const cvxr_rows_job *job = (const cvxr_rows_job *)arg;
    cvxr_system *s = job->system;
    const size_t n = s->core->data->n;
    const size_t end = cvxr_share(n, job->tasks, task + 1, 64);
    const cvxr_la la = cvxr_la_single(&s->core->la, task);
    const size_t rows = cvxr_min_z(64, CVXR_STRIP / job->tasks);
    double a[CVXR_VBLOCK], *V = s->strip + task * rows * CVXR_VBLOCK;
    size_t r0, r1, i, j;
    for (j = 0; j < CVXR_VBLOCK; j++) a[j] = j < job->width ? job->act->a[job->j0 + j] : 0;
    for (r0 = cvxr_share(n, job->tasks, task, 64); r0 < end; r0 = r1) {
        r1 = cvxr_min_z(end, r0 + rows);
        cvxr_V_products(job, &la, r0, r1, V);
        for (i = r0; i < r1; i++) {
            double m[8] = { 0, 0, 0, 0, 0, 0, 0, 0 };
            for (j = 0; j < job->width; j += 32)
                cvxr_mean_word(job->act->select.row_words[(job->j0 + j) / 32 * n + i],
                               (cvxr_min_z(32, job->width - j) + 3) / 4, a + j, job->by + j,
                               V + (i - r0) * CVXR_VBLOCK + j, m);
            s->mean_e[i] += (m[0] + m[1]) + (m[2] + m[3]);
            s->mean_diag[i] += (m[4] + m[5]) + (m[6] + m[7]);
        }
    }
}

static void cvxr_mean_diagonal(cvxr_system *s, const cvxr_active *act, double sigma,
                               double total) {
    const size_t n = s->core->data->n;
    double *e = s->mean_e, *diag = s->mean_diag;
    cvxr_rows_job job;
    size_t i, j0;
    job.system = s;
    job.act = act;
    for (i = 0; i < n; i++) e[i] = diag[i] = 0;
    for (j0 = 0; j0 < act->count; j0 += CVXR_VBLOCK) {
        cvxr_rows_block(&job, j0, 0);
        cvxr_rows_run(&job, cvxr_min_z(n / 64, CVXR_STRIP / 4),
                      (double)n * (double)job.width * (double)s->core->data->dp,
                      cvxr_mean_task);
    }
    for (i = 0; i < n; i++) {
        double share = e[i] / total;
        diag[i] = 1
                  + sigma
                        * (cvxr_max(s->row_norms[i] * (e[i] - total * share * share), 0)
                           + diag[i]);
        e[i] = share * sqrt(sigma * total);
    }
}

static void cvxr_system_mean(cvxr_system *s, const cvxr_active *act, double sigma) {
    const cvxr_core *core = s->core;
    const size_t n = core->data->n, dp = core->data->dp, rows = cvxr_min_z(n, CVXR_BLOCK);
    double total = 0, *panel = core->panel;
    size_t i0, i, j;
    for (j = 0; j < act->count; j++) total += act->a[j];
    cvxr_mean_diagonal(s, act, sigma, cvxr_max(total, 1e-300));
    memset(s->small, 0, dp * dp * sizeof(double));
    for (j = 0; j < dp; j++) s->small[j * dp + j] = 1;
    for (i0 = 0; i0 < n; i0 += rows) {
        size_t count = cvxr_min_z(rows, n - i0);
        for (i = 0; i < count; i++) {
            double by = s->mean_e[i0 + i] / sqrt(s->mean_diag[i0 + i]);
            const double *x = core->data->X + (i0 + i) * dp;
            for (j = 0; j < dp; j++) panel[i * dp + j] = by * x[j];
        }
        cvxr_syrk_f64(&core->la, 1, dp, count, 1.0, panel, dp, 1.0, s->small, dp);
    }
    cvxr_potrf_f64(&core->la, dp, s->small, dp);
    s->core->op.flops +=
        2.0 * (double)n * (double)core->data->d * (double)(core->data->d + act->count);
    s->use = 4 * (double)n * (double)core->data->d;
}

/* ---- Rays: the part of H that grows with sigma is sigma V diag(1 - a) V^T, of rank k, V = E o
   (X Zh); sigma a stays below ||x_i||/lam. So P = diag + B B^T, B the mean mask and the columns
   of V: a factor of order k + d. Float32 will do, P with
   its last digits wrong serves as well, until sigma is so large that they decide. */

#define CVXR_TYPED 14
#define CVXR_F32   0
#include CVXRELU_FILE
#undef CVXR_F32
#ifndef CVXRELU_NO_FLOAT32
#define CVXR_F32 1
#include CVXRELU_FILE
#undef CVXR_F32
#endif
#undef CVXR_TYPED
#undef CVXR_NIBBLES
#endif

#if defined(CVXR_TYPED) && CVXR_TYPED == 14
static const CVXR_REAL CVXR_T(cvxr_nibble_ray)[16][4] = { CVXR_NIBBLES };

/* Rows r0 .. r1 - 1: of mean_diag = diag^{-1/2}, mean_e for C's last columns, and sqrt(sigma)
   diag^{-1/2} X in their place. */
static void CVXR_T(cvxr_rays_begin)(const cvxr_rows_job *job, size_t r0, size_t r1) {
    cvxr_system *s = job->system;
    const cvxr_active *act = job->act;
    const size_t dp = s->core->data->dp, n = s->core->data->n, d = s->core->data->d;
    size_t i, j, g;
    for (i = r0; i < r1; i++) {
        const double *x = s->core->data->X + i * dp;
        CVXR_REAL *to = (CVXR_REAL *)s->C + i * s->ldc + act->count;
        double e = 0, share, f;
        for (g = 0; 32 * g < act->count; g++) {
            uint32_t w = act->select.row_words[g * n + i];
            for (j = 32 * g; w; j++, w >>= 1) e += w & 1 ? act->a[j] : 0.0;
        }
        share = e / job->total;
        f = 1 / sqrt(1 + job->sigma * s->row_norms[i] * cvxr_max(e - e * share, 0));
        s->mean_diag[i] = f;
        s->mean_e[i] = share * sqrt(job->total);
        for (j = 0; j < d; j++) to[j] = (CVXR_REAL)(sqrt(job->sigma) * f * x[j]);
        for (; act->count + j < s->ldc; j++) to[j] = 0;
    }
}

/* A share of the rows of C = diag^{-1/2} B. */
static void CVXR_T(cvxr_rays_task)(void *arg, size_t task) {
    const cvxr_rows_job *job = (const cvxr_rows_job *)arg;
    cvxr_system *s = job->system;
    const size_t n = s->core->data->n, dp = s->core->data->dp, d = s->core->data->d,
                 m = job->act->count, end = cvxr_share(n, job->tasks, task + 1, 64);
    const cvxr_la la = cvxr_la_single(&s->core->la, task);
    size_t r0, r1, i, j, k;
    for (r0 = cvxr_share(n, job->tasks, task, 64); r0 < end; r0 = r1) {
        CVXR_REAL *C = (CVXR_REAL *)s->C + r0 * s->ldc;
        r1 = cvxr_min_z(end, r0 + 64);
        CVXR_T(cvxr_rays_begin)(job, r0, r1);
        CVXR_T(cvxr_gemm)(&la, 0, 1, r1 - r0, m, d, 1, C + m, s->ldc,
         (const CVXR_REAL *)job->zh, dp, 0, C,
                            s->ldc);
        for (i = r0; i < r1; i++, C += s->ldc) {
            for (j = 0; j + 4 <= m; j += 4) {
                const uint32_t w = job->act->select.row_words[j / 32 * n + i] >> j % 32;
                for (k = 0; k < 4; k++) C[j + k] *= CVXR_T(cvxr_nibble_ray)[w & 15][k];
            }
            for (; j < m; j++)
                if (!(job->act->select.row_words[j / 32 * n + i] >> j % 32 & 1)) C[j] = 0;
            for (j = m; j < m + d; j++) C[j] *= (CVXR_REAL)s->mean_e[i];
        }
    }
}

/* L L^T = I + C^T C scaled to a unit diagonal; what the lower triangle held is kept in the
   upper one for the case that a pivot fails. */
static int CVXR_T(cvxr_rays_cholesky)(cvxr_system *s, size_t all) {
    CVXR_REAL *L = (CVXR_REAL *)s->L, *scale = (CVXR_REAL *)s->rays, jitter;
    const size_t ld = s->ldc;
    size_t i, j;
    for (i = 0; i < all; i++) scale[i] = 1 / (CVXR_REAL)sqrt(1 + (double)L[i * ld + i]);
    for (i = 0; i < all; i++)
        for (j = 0; j < i; j++) L[j * ld + i] = L[i * ld + j] *= scale[i] * scale[j];
    for (jitter = (CVXR_REAL)1e-6; jitter < 1; jitter *= 10) {
        for (i = 0; i < all; i++) L[i * ld + i] = 1 + jitter;
        if (CVXR_T(cvxr_potrf)(&s->core->la, all, L, ld) == 0) return 1;
        for (i = 0; i < all; i++)
            for (j = 0; j < i; j++) L[i * ld + j] = L[j * ld + i];
    }
    return 0;
}

static void CVXR_T(cvxr_system_rays)(cvxr_system *s, const cvxr_active *act, double sigma) {
    const cvxr_core *core = s->core;
    const size_t n = core->data->n, dp = core->data->dp, m = act->count,
                 all = m + core->data->d;
    CVXR_REAL *zh = (CVXR_REAL *)(void *)s->T, *C, *L;
    cvxr_rows_job job;
    size_t i, j;
    s->spent = 0;
    s->ldc = cvxr_ray_stride(all);
    if (!cvxr_system_room(s, ((n + s->ldc) * s->ldc * sizeof *C + 7) / sizeof(double))) return;
    job.system = s;
    job.act = act;
    job.sigma = sigma;
    job.zh = zh;
    for (job.total = 1e-300, i = 0; i < m; i++) {
        const double root = sqrt(cvxr_max(0, 1 - act->a[i]));
        job.total += act->a[i];
        for (j = 0; j < dp; j++) zh[i * dp + j] = (CVXR_REAL)(root * act->zh[i * dp + j]);
    }
    s->C = C = (CVXR_REAL *)(void *)s->block;
    s->L = L = C + n * s->ldc;
    cvxr_rows_run(&job, n / 64, (double)n * (double)m * (double)dp, CVXR_T(cvxr_rays_task));
    CVXR_T(cvxr_syrk)(&core->la, 1, all, n, 1, C, s->ldc, 0, L, s->ldc);
    s->factor_order = all;
    s->kind = CVXR_T(cvxr_rays_cholesky)(s, all) ? CVXR_FACTOR_RAYS : CVXR_FACTOR_NONE;
    s->core->op.flops += cvxr_price_rays(s, act);
    s->core->report->factors++;
    s->use = 4 * (double)n * (double)all + 2 * (double)all * (double)all;
}

/* out = P^{-1} v, by Woodbury. */
static void CVXR_T(cvxr_rays_precondition)(cvxr_system *s, const double *v, double *out) {
    const cvxr_la *la = &s->core->la;
    const size_t n = s->core->data->n, all = s->factor_order;
    const CVXR_REAL *C = (const CVXR_REAL *)s->C, *scale = (const CVXR_REAL *)s->rays;
    CVXR_REAL *b = (CVXR_REAL *)s->rays + all, *w = b + all;
    size_t i;
    for (i = 0; i < n; i++) w[i] = (CVXR_REAL)(v[i] * s->mean_diag[i]);
    CVXR_T(cvxr_gemv)(la, 1, n, all, 1, C, s->ldc, w, 0, b);
    for (i = 0; i < all; i++) b[i] *= scale[i];
    CVXR_T(cvxr_potrs)(la, all, (const CVXR_REAL *)s->L, s->ldc, b);
    for (i = 0; i < all; i++) b[i] *= scale[i];
    CVXR_T(cvxr_gemv)(la, 0, n, all, -1, C, s->ldc, b, 1, w);
    for (i = 0; i < n; i++) out[i] = (double)w[i] * s->mean_diag[i];
}

#endif

#if !defined(CVXR_TYPED)
static void cvxr_system_rays(cvxr_system *s, const cvxr_active *act, double sigma) {
#ifndef CVXRELU_NO_FLOAT32
    if (s->single) cvxr_system_rays_f32(s, act, sigma);
    else
#endif
        cvxr_system_rays_f64(s, act, sigma);
}

static void cvxr_rays_precondition(cvxr_system *s, const double *v, double *out) {
#ifndef CVXRELU_NO_FLOAT32
    if (s->single) cvxr_rays_precondition_f32(s, v, out);
    else
#endif
        cvxr_rays_precondition_f64(s, v, out);
}

/* New rays that CG is not done with soon: float64 from here on, where it fits. */
static int cvxr_rays_double(cvxr_system *s, const cvxr_active *act) {
    if (!s->single || s->kind != CVXR_FACTOR_RAYS) return 0;
    s->single = 0;
    if (cvxr_price_rays(s, act) < HUGE_VAL) return 1;
    s->single = 1;
    return 0;
}

/* A new factor of H at this active set. A pivot that fails adds to the diagonal: it is a
   preconditioner. */
static void cvxr_system_refactor(cvxr_system *s, const cvxr_active *act, double sigma) {
    const size_t n = s->core->data->n, d = s->core->data->d, k = act->count;
    const double rows = cvxr_price_rows(s, act), groups = cvxr_price_groups(s, act),
                 m = (double)(act->rank ? act->used : k * d);
    const cvxr_factor_kind kind = groups < rows ? CVXR_FACTOR_GROUPS : CVXR_FACTOR_ROWS;
    double jitter = 0, most = 0;
    size_t i;
    s->spent = 0;
    s->kind = CVXR_FACTOR_NONE;
    if (cvxr_min(rows, groups) == HUGE_VAL) return;
    if (kind == CVXR_FACTOR_ROWS ? !cvxr_system_place(s, n, 0)
                                 : !cvxr_system_place(s, (size_t)m, act->rank ? (size_t)m : 0))
        return;
    do {
        if (act->rank && kind == CVXR_FACTOR_GROUPS) cvxr_system_cone_groups(s, act, sigma);
        else if (act->rank) cvxr_system_cone_rows(s, act, sigma);
        else if (kind == CVXR_FACTOR_GROUPS) cvxr_system_groups(s, act, sigma);
        else cvxr_system_rows(s, act, sigma);
        for (i = 0; i < s->factor_order; i++) {
            most = cvxr_max(most, s->factor[i * s->ld + i]);
            s->factor[i * s->ld + i] += jitter;
        }
        jitter = jitter > 0 ? 100 * jitter : 1e-13 * most;
        s->core->op.flops += cvxr_min(rows, groups);
        s->core->report->factors++;
    } while (cvxr_potrf_f64(&s->core->la, s->factor_order, s->factor, s->ld) && jitter < most);
    s->kind = jitter < most ? kind : CVXR_FACTOR_NONE;
    s->use =
        kind == CVXR_FACTOR_GROUPS ? 4 * (double)n * m + 2 * m * m : 2 * (double)n * (double)n;
}

/* out = P^{-1} v with the factor at hand. */
static void cvxr_system_precondition(cvxr_system *s, const double *v, double *out) {
    cvxr_core *core = s->core;
    const size_t n = core->data->n, d = core->data->d, dp = core->data->dp;
    size_t i, j;
    if (s->kind == CVXR_FACTOR_ROWS) {
        memcpy(out, v, n * sizeof(double));
        cvxr_potrs_f64(&core->la, n, s->factor, s->ld, out);
    } else if (s->kind == CVXR_FACTOR_GROUPS && s->B) {
        cvxr_gemv_f64(&core->la, 1, n, s->factor_order, 1.0, s->B, s->ld, v, 0.0, s->b);
        cvxr_potrs_f64(&core->la, s->factor_order, s->factor, s->ld, s->b);
        memcpy(out, v, n * sizeof(double));
        cvxr_gemv_f64(&core->la, 0, n, s->factor_order, -1.0, s->B, s->ld, s->b, 1.0, out);
    } else if (s->kind == CVXR_FACTOR_RAYS) cvxr_rays_precondition(s, v, out);
    else if (s->kind == CVXR_FACTOR_GROUPS) {
        const double flops = core->op.flops, passes = core->op.passes;
        cvxr_gradient_f64(&core->op, &s->held.select, v, s->T);
        cvxr_jacobian(core, &s->held, s->T, 1);
        for (i = 0; i < s->held.count; i++)
            for (j = 0; j < d; j++) s->T[i * d + j] = s->T[i * dp + j];
        cvxr_potrs_f64(&core->la, s->factor_order, s->factor, s->ld, s->T);
        for (i = s->held.count; i-- > 0;) {
            for (j = d; j-- > 0;) s->T[i * dp + j] = s->T[i * d + j];
            for (j = d; j < dp; j++) s->T[i * dp + j] = 0;
        }
        cvxr_jacobian(core, &s->held, s->T, 1);
        cvxr_forward_f64(&core->op, &s->held.select, s->T, 0, out);
        for (i = 0; i < n; i++) out[i] = v[i] - out[i];
        core->op.flops = flops; /* counted as `use`, and not as passes */
        core->op.passes = passes;
    } else {
        double *t = s->T;
        for (i = 0; i < n; i++) out[i] = v[i] * s->mean_e[i] / s->mean_diag[i];
        cvxr_gemv_f64(&core->la, 1, n, dp, 1.0, core->data->X, dp, out, 0.0, t);
        cvxr_potrs_f64(&core->la, dp, s->small, dp, t);
        cvxr_gemv_f64(&core->la, 0, n, dp, 1.0, core->data->X, dp, t, 0.0, out);
        for (i = 0; i < n; i++) out[i] = (v[i] - s->mean_e[i] * out[i]) / s->mean_diag[i];
    }
}

/* out = H v = v + sigma A J A^T v; T is scratch. */
static void cvxr_system_apply(cvxr_system *s, const cvxr_active *act, double sigma,
                              const double *v, double *out) {
    cvxr_core *core = s->core;
    size_t i;
    cvxr_gradient_f64(&core->op, &act->select, v, s->T);
    cvxr_jacobian(core, act, s->T, 0);
    cvxr_forward_f64(&core->op, &act->select, s->T, 0, out);
    for (i = 0; i < core->data->n; i++) out[i] = v[i] + sigma * out[i];
}

/* Is a new factor worth its price? Rays for every solve that goes on long enough; all of H
   once rays and CG have cost several times its price. Dense flops take twice the time of masked
   ones, hence CVXR_DENSE. */
static int cvxr_system_due(cvxr_system *s, double part, double price, int fresh) {
    const int rays = !s->whole && part < 0.5 * price;
    if (rays && s->paid + s->spent > CVXR_RENT * price) return s->whole = 1;
    return !fresh && s->spent > CVXR_DENSE * (rays ? part : price);
}

static void cvxr_system_renew(cvxr_system *s, const cvxr_active *act, double sigma, double part,
                              double price) {
    const int rays = !s->whole && part < 0.5 * price;
    s->paid = rays ? s->paid + s->spent + CVXR_DENSE * part : 0;
    if (rays) cvxr_system_rays(s, act, sigma);
    else cvxr_system_refactor(s, act, sigma);
    if (s->kind == CVXR_FACTOR_NONE) cvxr_system_mean(s, act, sigma);
}

/* dx ~ -H^{-1} rhs by preconditioned CG to ||residual|| <= tol. Returns the residual's last
   norm. */
static double cvxr_system_solve(cvxr_system *s, const cvxr_active *act, double sigma,
                                const double *rhs, double tol, double *dx) {
    cvxr_core *core = s->core;
    const size_t n = core->data->n, k = act->count;
    const double price = cvxr_min(cvxr_price_rows(s, act), cvxr_price_groups(s, act));
    const double part = cvxr_price_rays(s, act);
    double rz = 0, norm = sqrt(cvxr_sum_squares(n, rhs, NULL));
    int fresh = 0, begin = 1, it, its = 0;
    size_t i;
    for (i = 0; i < n; i++) dx[i] = k ? 0.0 : -rhs[i], s->r[i] = -rhs[i];
    if (k == 0) return 0;
    if (cvxr_min(price, part) == HUGE_VAL)
        s->kind = CVXR_FACTOR_NONE; /* an old one costs more than it gives */
    if (s->kind == CVXR_FACTOR_NONE) cvxr_system_mean(s, act, sigma);
    for (it = 0; it < 500 && norm > tol; it++) {
        double alpha, beta, old = rz, curve;
        cvxr_system_precondition(s, s->r, s->q);
        rz = cvxr_dot_f64(n, s->r, s->q);
        beta = begin ? 0 : rz / old;
        for (i = 0; i < n; i++) s->p[i] = s->q[i] + (begin ? 0.0 : beta * s->p[i]);
        begin = 0;
        cvxr_system_apply(s, act, sigma, s->p, s->Hp);
        curve = cvxr_dot_f64(n, s->p, s->Hp);
        if (!(curve > 0) || !(rz > 0)) break;
        alpha = rz / curve;
        for (i = 0; i < n; i++) dx[i] += alpha * s->p[i], s->r[i] -= alpha * s->Hp[i];
        norm = sqrt(cvxr_sum_squares(n, s->r, NULL));
        core->report->cg_iterations++;
        core->op.flops += s->use;
        s->spent += 4 * (double)n * (double)core->data->d * (double)k + s->use;
        if (norm > tol
            && ((fresh && ++its == CVXR_SINGLE && cvxr_rays_double(s, act))
                || cvxr_system_due(s, part, price, fresh))) {
            cvxr_system_renew(s, act, sigma, part, price);
            fresh = begin = 1;
        }
    }
    return norm;
}

/* ---- The moving working set and its iterate. */

/* What a line search replaces: z, its projection v (z itself for gated groups), prox = a v
   with a = (1 - sigma lam/||v||)_+. */
typedef struct cvxr_point {
    double *xi, *z, *v, *a, *norm, *w;
} cvxr_point;

typedef struct cvxr_newton {
    cvxr_core *core;
    cvxr_system system;
    const double *y;
    size_t sides;               /* groups of a pattern: 1, or 2 for the signs +1, -1 of ReLU */
    size_t groups;              /* sides P; group g has pattern g / sides */
    size_t capacity;            /* of the working set */
    size_t count;               /* groups in it */
    size_t *W, *pattern;        /* they, ascending; their patterns */
    double *G, *g_norm;         /* P x dp: -A^T xi over all patterns; dual norms, or bounds that
                                   are small enough, of the groups */
    double *score;              /* groups */
    double *x, *dw;             /* capacity x dp */
    cvxr_point at, trial, ref;
    cvxr_active act, lin;       /* active at z; linearised at x */
    size_t *act_at;             /* positions of the active groups in W */
    size_t *at_pattern;         /* capacity: patterns of the support */
    double *u, *t;              /* capacity x dp: packed prox; scratch */
    double *r, *g, *rhs, *dx;   /* n each */
    size_t *support;            /* capacity: groups of x, ascending */
    double *support_u;          /* capacity x dp */
    size_t support_count;
    double sigma, sigma_min, sigma_ten; /* sigma_ten: when the gap first fell below a tenth */
    double lam, tol;
    double primal, gap, outer;  /* of the current point, over W or all patterns */
    size_t *best;               /* capacity: the support of least objective seen ... */
    double *best_u;             /* capacity x dp: ... its weights ... */
    size_t best_count;
    double best_primal;         /* ... and its objective */
    double least;               /* the smallest gap over all patterns so far */
    double ref_phi;
    int inner, has_ref, tried, plain, tight, steps, limit;
    int most, again;            /* steps an output; only unproven outputs, near their optimum */
    int cut, cuts;              /* short steps, and how many are taken */
    int idle;                   /* rounds of the end phase without progress */
    int proven;                 /* the residual certifies tol */
    int faces_of_x;             /* lin has the faces of the support */
    int linear;                 /* first steps of rounds are linearised at x */
    double done, bound, rest;   /* sum units: objectives and bounds of the outputs done,
                                   objectives of those to come */
} cvxr_newton;

static size_t cvxr_newton_capacity(size_t n, size_t P, size_t limit) {
    size_t capacity = cvxr_min_z(P, cvxr_max_z(2 * n, 64));
    return limit ? cvxr_min_z(capacity, limit) : capacity;
}

/* The sides of a pattern by the kind of network. */
static size_t cvxr_newton_sides(cvxrelu_kind kind) { return kind == CVXRELU_RELU ? 2 : 1; }

static int cvxr_group_sign(const cvxr_newton *s, size_t g) {
    return s->sides == 1 ? 0 : g % 2 ? -1 : 1;
}

/* The arrays of cvxr_newton: member, count, element; n, dp, P, sides and cap are in scope. */
#define CVXR_NEWTON_VECTORS(V)                                                                 \
    V(W, cap, size_t) V(pattern, cap, size_t) V(act_at, cap, size_t) V(support, cap, size_t)   \
    V(at_pattern, cap, size_t)                                                                 \
    V(G, (P * dp), double) V(g_norm, (sides * P), double) V(score, (sides * P), double)        \
    V(x, (cap * dp), double) V(dw, (cap * dp), double) V(u, (cap * dp), double)                \
    V(t, (cap * dp), double) V(support_u, (cap * dp), double)                                  \
    V(best, cap, size_t) V(best_u, (cap * dp), double)                                         \
    V(r, n, double) V(g, n, double) V(rhs, n, double) V(dx, n, double)                         \
    CVXR_POINT_VECTORS(V, at) CVXR_POINT_VECTORS(V, trial) CVXR_POINT_VECTORS(V, ref)
#define CVXR_POINT_VECTORS(V, point)                                                           \
    V(point.xi, n, double) V(point.z, (cap * dp), double) V(point.w, (cap * dp), double)       \
    V(point.v, ((sides - 1) * cap * dp), double)                                               \
    V(point.a, cap, double) V(point.norm, cap, double)

/* Rows of a basis: what the optimum needs several times over; groups that find no room go
   without one, which costs steps, nothing else. */
static size_t cvxr_newton_room(size_t n, size_t dp, size_t sides) {
    const size_t all = cvxr_max_z(2 * n, 64) * dp;
    return sides == 1 ? 0 : cvxr_min_z(all, 4 * (n + dp) + 4000000 / dp);
}

/* The arrays of the fall-back (cvxr_atoms, below), likewise; it follows a closed run. */
#define CVXR_ATOM_VECTORS(A)                                                                   \
    A(group, cap, size_t) A(age, cap, size_t) A(free, cap, size_t) A(in, cap, unsigned char)   \
    A(V, (cap * dp), double)                                                                   \
    A(b, cap, double) A(c, cap, double) A(w, cap, double) A(p, cap, double)                    \
    A(old, cap, double)                                                                        \
    A(r, np, double) A(norm, (2 * P), double) A(score, (2 * P), double)                        \
    A(slot, (2 * P), size_t) A(U, (cap * dp), double)

/* Twice what a vertex of the master needs. */
static size_t cvxr_atom_capacity(size_t n, size_t max_factor) {
    return cvxr_min_z(cvxr_max_z(2 * n, 64), max_factor);
}

/* An odd number of cache lines: no two rows of a column share a set. */
static size_t cvxr_atom_stride(size_t room) { return (cvxr_pad(room) / 8 | 1) * 8; }

static size_t cvxr_atom_pool(size_t room, size_t np) {
    return room * (np + 2 * cvxr_atom_stride(room));
}

static size_t cvxr_atom_bytes(size_t n, size_t dp, size_t P, size_t max_factor) {
    const size_t cap = cvxr_atom_capacity(n, max_factor), np = cvxr_pad(n);
    size_t sum = cvxr_bytes(cvxr_atom_pool(cap, np), sizeof(double));
#define CVXR_ADD(member, count, type) sum += cvxr_bytes(count, sizeof(type));
    CVXR_ATOM_VECTORS(CVXR_ADD)
#undef CVXR_ADD
    return sum;
}

static size_t cvxr_newton_bytes(size_t n, size_t dp, size_t P, size_t cap, size_t max_factor,
                                cvxrelu_kind kind) {
    const size_t sides = cvxr_newton_sides(kind), room = cvxr_newton_room(n, dp, sides);
    size_t sum = cvxr_system_bytes(n, dp, cap, max_factor, sides > 1)
                 + 2 * cvxr_active_bytes(n, dp, cap, room);
#define CVXR_ADD(member, count, type) sum += cvxr_bytes(count, sizeof(type));
    CVXR_NEWTON_VECTORS(CVXR_ADD)
#undef CVXR_ADD
    if (kind == CVXRELU_RELU) sum = cvxr_max_z(sum, cvxr_atom_bytes(n, dp, P, max_factor));
    return sum;
}

static int cvxr_newton_open(cvxr_newton *s, cvxr_core *core) {
    const size_t n = core->data->n, dp = core->data->dp, P = core->patterns->count;
    const size_t sides = cvxr_newton_sides(core->kind), room = cvxr_newton_room(n, dp, sides);
    const size_t cap = cvxr_newton_capacity(n, sides * P, core->opt->max_working_set);
    double trace = 0;
    size_t i;
    memset(s, 0, sizeof *s);
    s->core = core;
    s->sides = sides;
    s->groups = sides * P;
    s->capacity = cap;
    s->lam = core->lam;
    s->tol = core->opt->tol > 0 ? core->opt->tol : 1e-13; /* < 0: as far as rounding allows */
    cvxr_system_open(&s->system, core, cap);
    cvxr_active_open(&s->act, core->mem, n, dp, cap, room);
    cvxr_active_open(&s->lin, core->mem, n, dp, cap, room);
#define CVXR_OPEN(member, count, type)                                                         \
    s->member = (type *)cvxr_alloc(core->mem, count, sizeof(type));
    CVXR_NEWTON_VECTORS(CVXR_OPEN)
#undef CVXR_OPEN
    if (core->mem->failed) return 0;
    for (i = 0; i < n; i++) trace += s->system.row_norms[i];
    s->sigma_min = trace > 0 ? CVXR_SIGMA_START * (double)n / trace : 1;
    return 1;
}

static void cvxr_newton_close(cvxr_newton *s) {
    cvxr_mem *mem = s->core->mem;
    const size_t n = s->core->data->n, dp = s->core->data->dp, P = s->core->patterns->count,
                 cap = s->capacity, sides = s->sides;
#define CVXR_CLOSE(member, count, type) cvxr_release(mem, s->member, count, sizeof(type));
    CVXR_NEWTON_VECTORS(CVXR_CLOSE)
#undef CVXR_CLOSE
    cvxr_active_close(&s->lin, mem, n, dp, cap);
    cvxr_active_close(&s->act, mem, n, dp, cap);
    cvxr_system_close(&s->system);
}

/* The largest working set: max(min(15 n/d, CVXR_FEW), 2 |support|, 30) groups; of cones 3 n/d,
   each of which costs a projection a trial point. */
static size_t cvxr_newton_most(const cvxr_newton *s) {
    const size_t ratio = (s->sides > 1 ? 3 : 15) * s->core->data->n / s->core->data->d;
    return cvxr_min_z(s->capacity, cvxr_max_z(cvxr_min_z(ratio, CVXR_FEW),
                                              cvxr_max_z(2 * s->support_count, 30)));
}

/* G = -A^T xi over all patterns, and its norms: exact for cones that may enter W. */
static void cvxr_newton_sweep(cvxr_newton *s) {
    cvxr_core *core = s->core;
    const size_t dp = core->data->dp;
    const double enough = CVXR_KEEP * s->lam;
    cvxr_select all;
    size_t p, i, count = 0;
    memset(&all, 0, sizeof all);
    all.count = core->patterns->count;
    for (i = 0; i < core->data->n; i++) core->theta[i] = -s->at.xi[i];
    cvxr_gradient_f64(&core->op, &all, core->theta, s->G);
    for (p = 0; p < all.count; p++) {
        const double *g = s->G + p * dp, norm = sqrt(cvxr_row_square_f64(dp, g));
        s->g_norm[p * s->sides] = norm;
        if (s->sides == 1) continue;
        s->g_norm[2 * p + 1] = norm;
        count = cvxr_core_list(core, count, p, g, norm, enough);
    }
    if (count) cvxr_core_norms(core, count, enough, cvxr_newton_most(s));
    for (i = 0; i < count; i++) s->g_norm[core->items[i].group] = core->items[i].norm;
}


/* W: the support, and the groups nearest to their bound; among equal ones the first. */
static void cvxr_newton_choose(cvxr_newton *s) {
    const size_t P = s->groups, cap = cvxr_newton_most(s);
    size_t p, q, many = 0, room, ties;
    double least = CVXR_KEEP * s->lam;
    room = cap - cvxr_min_z(cap, s->support_count);
    for (p = q = 0; p < P; p++) {
        if (q < s->support_count && s->support[q] == p) q++;
        else if (s->g_norm[p] > least) s->score[many++] = s->g_norm[p];
    }
    ties = 0;
    if (many > room) {
        least = room ? cvxr_nth_largest(many, s->score, room) : HUGE_VAL;
        for (ties = room, p = 0; p < many; p++) ties -= s->score[p] > least;
    }
    for (s->count = p = q = 0; p < P; p++) {
        int member = q < s->support_count && s->support[q] == p;
        if (member) q++;
        else if (s->g_norm[p] > least) member = 1;
        else if (s->g_norm[p] == least && ties) ties--, member = 1;
        if (member) s->pattern[s->count] = p / s->sides, s->W[s->count++] = p;
    }
    CVXRELU_ASSERT(s->count <= s->capacity);
}

/* The points z of W are projected; a stored multiplier may settle a group at zero. */
static void cvxr_newton_project(const cvxr_newton *s, cvxr_point *at) {
    const size_t dp = s->core->data->dp;
    cvxr_cone_job job;
    size_t i;
    memset(&job, 0, sizeof job);
    job.core = s->core, job.items = s->core->items;
    job.sigma = s->sigma, job.enough = s->sigma * s->lam;
    job.cheap = job.exact = 1;
    memcpy(at->v, at->z, s->count * dp * sizeof(double));
    for (i = 0; i < s->count; i++) {
        cvxr_cone_item *item = job.items + job.count;
        if (at->norm[i] <= job.enough) continue;
        item->group = s->W[i];
        item->z = at->z + i * dp;
        item->v = at->v + i * dp;
        item->norm = at->norm[i];
        job.count++;
    }
    cvxr_core_project_items(&job);
    for (i = 0; i < job.count; i++)
        at->norm[(size_t)(job.items[i].v - at->v) / dp] = job.items[i].norm;
}

/* v, its norm and a: prox_i = a_i v_i. */
static void cvxr_newton_shrink(const cvxr_newton *s, cvxr_point *at) {
    const size_t dp = s->core->data->dp;
    const double t = s->sigma * s->lam;
    size_t i;
    for (i = 0; i < s->count; i++)
        at->norm[i] = sqrt(cvxr_row_square_f64(dp, at->z + i * dp));
    if (s->sides > 1) cvxr_newton_project(s, at);
    for (i = 0; i < s->count; i++) at->a[i] = at->norm[i] > t ? 1 - t / at->norm[i] : 0;
}

static const double *cvxr_newton_v(const cvxr_newton *s, size_t i) {
    return (s->sides > 1 ? s->at.v : s->at.z) + i * s->core->data->dp;
}

/* z = x + sigma w. */
static void cvxr_newton_extrapolate(cvxr_newton *s) {
    size_t i, all = s->count * s->core->data->dp;
    for (i = 0; i < all; i++) s->at.z[i] = s->x[i] + s->sigma * s->at.w[i];
    cvxr_newton_shrink(s, &s->at);
}

/* Take up the working set: x, w, z, a on it. */
static void cvxr_newton_restrict(cvxr_newton *s) {
    const size_t dp = s->core->data->dp;
    size_t i, q;
    cvxr_newton_choose(s);
    for (i = q = 0; i < s->count; i++) {
        memcpy(s->at.w + i * dp, s->G + s->pattern[i] * dp, dp * sizeof(double));
        if (q < s->support_count && s->support[q] == s->W[i])
            memcpy(s->x + i * dp, s->support_u + q++ * dp, dp * sizeof(double));
        else memset(s->x + i * dp, 0, dp * sizeof(double));
    }
    cvxr_newton_extrapolate(s);
}

/* The face that active group j was projected on. */
static cvxr_face cvxr_newton_face(const cvxr_newton *s, size_t j) {
    const size_t i = s->act_at[j];
    return cvxr_core_face(s->core, s->pattern[i], cvxr_group_sign(s, s->W[i]));
}

typedef struct cvxr_basis_job {
    cvxr_newton *newton;
    size_t tasks;
} cvxr_basis_job;

static void cvxr_basis_task(void *arg, size_t task) {
    const cvxr_basis_job *job = (const cvxr_basis_job *)arg;
    const cvxr_active *act = &job->newton->act;
    cvxr_core *core = job->newton->core;
    double *Z = act->basis;
    size_t j;
    for (j = 0; j < act->count; Z += act->rank[j++] * core->data->dp)
        if (act->rank[j] && j % job->tasks == task) {
            const cvxr_face face = cvxr_newton_face(job->newton, j);
            cvxr_cone_null(cvxr_core_cone(core, task), &face, act->rank[j], Z);
        }
}

/* The null spaces of the active groups' faces, whose rows are independent; a group for which
   there is no room goes without. */
static void cvxr_newton_bases(cvxr_newton *s) {
    const size_t d = s->core->data->d;
    cvxr_active *act = &s->act;
    cvxr_basis_job job;
    size_t j;
    for (act->used = j = 0; j < act->count; j++) {
        const size_t tight = cvxr_newton_face(s, j).count, rank = d > tight ? d - tight : 0;
        act->rank[j] = act->used + rank > act->room ? 0 : rank;
        act->used += act->rank[j];
    }
    job.newton = s;
    job.tasks = act->count < 8 ? 1 : (size_t)s->core->op.team.threads;
    cvxr_team_run(&s->core->op.team, job.tasks, cvxr_basis_task, &job);
}

/* The active groups, u = prox, r = y - A u and g = y + xi - A u. */
static void cvxr_newton_prox(cvxr_newton *s) {
    const size_t dp = s->core->data->dp, n = s->core->data->n;
    cvxr_active *act = &s->act;
    size_t i, j;
    act->count = act->used = 0;
    for (i = 0; i < s->count; i++) {
        double a = s->at.a[i], *u = s->u + act->count * dp, *h = act->zh + act->count * dp;
        const double *v = cvxr_newton_v(s, i);
        if (a <= 0) continue;
        for (j = 0; j < dp; j++) u[j] = a * v[j], h[j] = v[j] / s->at.norm[i];
        act->a[act->count] = a;
        act->idx[act->count] = s->pattern[i];
        s->act_at[act->count++] = i;
    }
    if (s->sides > 1) cvxr_newton_bases(s);
    cvxr_active_ready(act, &s->core->op);
    cvxr_forward_f64(&s->core->op, &act->select, s->u, 0, s->g);
    for (i = 0; i < n; i++) {
        s->r[i] = s->y[i] - s->g[i];
        s->g[i] = s->r[i] + s->at.xi[i];
    }
}

/* Primal, gap and its outer part with dual point -s xi, given max ||w|| and <u, w>. */
static void cvxr_newton_gap(cvxr_newton *s, double most, double product) {
    const size_t dp = s->core->data->dp, n = s->core->data->n;
    double scale = most > s->lam ? s->lam / most : 1, sum = 0, e = 0;
    size_t i;
    for (i = 0; i < s->act.count; i++) sum += sqrt(cvxr_row_square_f64(dp, s->u + i * dp));
    for (i = 0; i < n; i++) {
        double v = s->r[i] + scale * s->at.xi[i];
        e += v * v;
    }
    s->outer = s->lam * sum - scale * product;
    s->gap = 0.5 * e + s->outer;
    s->primal = 0.5 * cvxr_sum_squares(n, s->r, NULL) + s->lam * sum;
}

/* <u, w> over the active groups. */
static double cvxr_newton_product(const cvxr_newton *s) {
    const size_t dp = s->core->data->dp;
    double sum = 0;
    size_t i;
    for (i = 0; i < s->act.count; i++)
        sum += cvxr_dot_f64(dp, s->u + i * dp, s->at.w + s->act_at[i] * dp);
    return sum;
}

/* The dual norm of a cone's group is at most ||v - x|| / sigma: v - x = sigma w + Xt^T
   gamma. */
static void cvxr_newton_gap_on_W(cvxr_newton *s) {
    const size_t dp = s->core->data->dp;
    double most = 0;
    size_t i, j;
    for (i = 0; i < s->count && s->sides == 1; i++)
        most = cvxr_max(most, cvxr_row_square_f64(dp, s->at.w + i * dp));
    for (i = 0; i < s->count && s->sides > 1; i++) {
        const double *v = s->at.v + i * dp, *x = s->x + i * dp;
        double sum = 0;
        for (j = 0; j < dp; j++) sum += (v[j] - x[j]) * (v[j] - x[j]);
        most = cvxr_max(most, sum / (s->sigma * s->sigma));
    }
    cvxr_newton_gap(s, sqrt(most), cvxr_newton_product(s));
}

static double cvxr_newton_phi(const cvxr_newton *s, const cvxr_point *at) {
    const size_t n = s->core->data->n;
    double sum = 0;
    size_t i;
    for (i = 0; i < s->count; i++) sum += at->a[i] * at->a[i] * at->norm[i] * at->norm[i];
    return 0.5 * cvxr_sum_squares(n, at->xi, NULL) + cvxr_dot_f64(n, s->y, at->xi)
           + sum / (2 * s->sigma);
}

/* Objectives need not fall from round to round: the least so far is remembered. */
static void cvxr_newton_remember(cvxr_newton *s, double primal) {
    if (!(primal < s->best_primal)) return;
    s->best_primal = primal;
    s->best_count = s->support_count;
    memcpy(s->best, s->support, s->support_count * sizeof(size_t));
    memcpy(s->best_u, s->support_u, s->support_count * s->core->data->dp * sizeof(double));
}

/* x <- prox. */
static void cvxr_newton_keep(cvxr_newton *s) {
    const cvxr_active *act = &s->act;
    size_t j;
    s->support_count = act->count;
    for (j = 0; j < act->count; j++) s->support[j] = s->W[s->act_at[j]];
    if (act->rank) { /* the faces of x, for the steps linearised there */
        memcpy(s->lin.rank, act->rank, act->count * sizeof(size_t));
        memcpy(s->lin.basis, act->basis, act->used * s->core->data->dp * sizeof(double));
        s->lin.used = act->used;
        s->faces_of_x = 1;
    }
    memcpy(s->support_u, s->u, s->act.count * s->core->data->dp * sizeof(double));
    cvxr_newton_remember(s, s->primal);
}

/* A run that ends without its proof hands back the best support. */
static void cvxr_newton_recall(cvxr_newton *s) {
    if (s->proven) return;
    s->primal = s->best_primal;
    s->support_count = s->best_count;
    memcpy(s->support, s->best, s->best_count * sizeof(size_t));
    memcpy(s->support_u, s->best_u, s->best_count * s->core->data->dp * sizeof(double));
}

/* x <- prox, then the sweep over all patterns and its gap: the outer step's certificate. */
static void cvxr_newton_outer(cvxr_newton *s) {
    const size_t dp = s->core->data->dp, P = s->core->patterns->count;
    const double product = cvxr_newton_product(s);
    size_t i;
    cvxr_newton_keep(s);
    if (s->count < P || s->sides > 1) cvxr_newton_sweep(s);
    else { /* w is -A^T xi over all of them already */
        memcpy(s->G, s->at.w, P * dp * sizeof(double));
        for (i = 0; i < P; i++) s->g_norm[i] = sqrt(cvxr_row_square_f64(dp, s->G + i * dp));
    }
    cvxr_newton_gap(s, cvxr_largest(s->groups, s->g_norm), product);
    if (s->sigma_ten == 0 && s->gap <= 0.1 * s->primal) s->sigma_ten = s->sigma;
}

/* The gap with the residual itself as dual point. */
static double cvxr_newton_residual_gap(cvxr_newton *s) {
    cvxr_penalty_sums sums;
    cvxr_rows rows;
    double scale;
    size_t j;
    memset(&rows, 0, sizeof rows);
    rows.m = s->support_count;
    for (j = 0; j < rows.m; j++) s->at_pattern[j] = s->support[j] / s->sides;
    rows.pattern = s->at_pattern;
    rows.u = s->support_u;
    cvxr_sweep(s->core, &rows, s->r, s->lam, &sums);
    scale = sums.most > s->lam ? s->lam / sums.most : 1;
    return 0.5 * (1 - scale) * (1 - scale) * cvxr_sum_squares(s->core->data->n, s->r, NULL)
           + s->lam * sums.value - scale * sums.product;
}

/* Right side and Jacobian of a step linearised at x: z = x + sigma lam x/||x||. 0 when x is
   zero. */
static int cvxr_newton_linearise(cvxr_newton *s) {
    const size_t dp = s->core->data->dp, n = s->core->data->n;
    cvxr_active *lin = &s->lin;
    size_t i, j;
    lin->count = 0;
    if (s->sides > 1 && !s->faces_of_x) return 0;
    for (i = 0; i < s->count; i++) {
        const double *x = s->x + i * dp;
        double norm = sqrt(cvxr_row_square_f64(dp, x)), *h = lin->zh + lin->count * dp,
               *t = s->t + lin->count * dp;
        if (norm == 0) continue;
        for (j = 0; j < dp; j++) h[j] = x[j] / norm, t[j] = s->at.w[i * dp + j] - s->lam * h[j];
        lin->a[lin->count] = norm / (norm + s->sigma * s->lam);
        lin->idx[lin->count++] = s->pattern[i];
    }
    if (lin->count == 0) return 0;
    cvxr_active_ready(lin, &s->core->op);
    cvxr_jacobian(s->core, lin, s->t, 0);
    for (i = j = 0; i < s->count; i++) {
        const double *x = s->x + i * dp;
        size_t q;
        if (cvxr_row_is_zero_f64(dp, x)) continue;
        for (q = 0; q < dp; q++) s->t[j * dp + q] = x[q] + s->sigma * s->t[j * dp + q];
        j++;
    }
    cvxr_forward_f64(&s->core->op, &lin->select, s->t, 0, s->rhs);
    for (i = 0; i < n; i++) s->rhs[i] = s->y[i] + s->at.xi[i] - s->rhs[i];
    return 1;
}

/* The point at step st from `at` along (dx, dw). */
static void cvxr_newton_move(cvxr_newton *s, double st) {
    size_t i, all = s->count * s->core->data->dp, n = s->core->data->n;
    for (i = 0; i < n; i++) s->trial.xi[i] = s->at.xi[i] + st * s->dx[i];
    for (i = 0; i < all; i++) s->trial.z[i] = s->at.z[i] + st * s->sigma * s->dw[i];
    for (i = 0; i < all; i++) s->trial.w[i] = s->at.w[i] + st * s->dw[i];
    cvxr_newton_shrink(s, &s->trial);
}

static void cvxr_swap_points(cvxr_point *a, cvxr_point *b) {
    cvxr_point c = *a;
    *a = *b;
    *b = c;
}

static void cvxr_newton_keep_reference(cvxr_newton *s, double phi) {
    const size_t n = s->core->data->n, dp = s->core->data->dp;
    memcpy(s->ref.xi, s->at.xi, n * sizeof(double));
    memcpy(s->ref.z, s->at.z, s->count * dp * sizeof(double));
    memcpy(s->ref.w, s->at.w, s->count * dp * sizeof(double));
    memcpy(s->ref.a, s->at.a, s->count * sizeof(double));
    memcpy(s->ref.norm, s->at.norm, s->count * sizeof(double));
    s->ref_phi = phi;
    s->has_ref = 1;
    s->tried = 0;
}

/* The step that minimises the parabola through phi, slope and `now` at st. */
static double cvxr_newton_parabola(double phi, double slope, double now, double st) {
    const double curve = 2 * (now - phi - slope * st);
    return curve > 0 ? -slope * st * st / curve : st;
}

/* A step that passed, on cones: faces change along it, so the parabola's step may do better. */
static void cvxr_newton_refine(cvxr_newton *s, double phi, double slope, double st) {
    const double now = cvxr_newton_phi(s, &s->trial);
    const double less = cvxr_newton_parabola(phi, slope, now, st);
    if (less >= 0.7 * st || less < 0.02 * st) return;
    cvxr_newton_move(s, less);
    if (cvxr_newton_phi(s, &s->trial) > now) cvxr_newton_move(s, st);
}

/* Line search with the watchdog; leaves the new point in `at`. */
static void cvxr_newton_search(cvxr_newton *s, double phi, double slope, int first) {
    double st = 1;
    if (s->has_ref) s->tried++;
    for (;;) {
        double now;
        cvxr_newton_move(s, st);
        now = cvxr_newton_phi(s, &s->trial);
        if (s->has_ref) {
            if (now <= s->ref_phi) s->has_ref = 0;
            else if (s->tried
                     >= CVXR_WATCH) { /* back to where it began */
                cvxr_swap_points(&s->at, &s->ref);
                if (s->sides > 1) cvxr_newton_shrink(s, &s->at); /* its faces again */
                s->has_ref = 0;
                s->plain = 1;
                return;
            }
            break;
        }
        if (now <= phi + 1e-4 * st * slope || st < 1e-8) break;
        if (!s->plain && (first || (st < 0.6 && s->gap <= CVXR_LINEAR * s->primal))) {
            cvxr_newton_keep_reference(s, phi);
            st = 1;
            cvxr_newton_move(s, st);
            break;
        }
        st *= s->sides == 1 ? 0.5
                            : cvxr_max(0.1, cvxr_min(0.6, cvxr_newton_parabola(phi, slope, now,
                                                                               st) / st));
    }
    if (s->sides > 1 && !s->has_ref) cvxr_newton_refine(s, phi, slope, st);
    if (st >= CVXR_SHORT) s->plain = 0;
    else if (s->sides > 1) {
        if (++s->cut >= s->cuts) s->limit = s->steps;
        if (!s->again && s->cut >= CVXR_LINEAR_CUTS) s->linear = 0;
    }
    cvxr_swap_points(&s->at, &s->trial);
}

/* One Newton step from `at`; with `first` linearised at x. */
static void cvxr_newton_step(cvxr_newton *s, int first) {
    cvxr_core *core = s->core;
    const size_t n = core->data->n;
    const double phi = cvxr_newton_phi(s, &s->at);
    const double *rhs = s->g;
    const cvxr_active *act = &s->act;
    double norm, goal, share;
    cvxr_select W;
    size_t i;
    first = first && cvxr_newton_linearise(s);
    if (first) rhs = s->rhs, act = &s->lin;
    norm = sqrt(cvxr_sum_squares(n, rhs, NULL));
    goal = cvxr_max(s->outer * (first ? 0.1 : 1), 0.1 * s->tol * s->primal);
    share = norm > 0 ? 0.5 * sqrt(2 * CVXR_RATIO * cvxr_max(goal, 0)) / norm : 0.1;
    share = s->tight ? 1e-3 : cvxr_min(cvxr_max(share, 0.01), 0.1);
    cvxr_system_solve(&s->system, act, s->sigma, rhs, share * norm, s->dx);
    s->steps++;
    s->inner++;
    core->report->iterations++;
    memset(&W, 0, sizeof W);
    W.idx = s->pattern;
    W.count = s->count;
    for (i = 0; i < n; i++) core->theta[i] = -s->dx[i];
    cvxr_gradient_f64(&core->op, &W, core->theta, s->dw);
    cvxr_newton_search(s, phi, cvxr_dot_f64(n, s->g, s->dx), first);
}

/* Start of a column: from zero, or from the support given, with xi at its residual. */
static void cvxr_newton_begin(cvxr_newton *s, const cvxr_rows *start, double sigma) {
    const size_t n = s->core->data->n, dp = s->core->data->dp, P = s->core->patterns->count;
    double most, scale;
    size_t i, j;
    s->support_count = cvxr_min_z(start->m, s->capacity);
    for (j = 0; j < s->support_count; j++)
        s->support[j] = start->pattern[j] * s->sides + (s->sides > 1 && start->sign[j] < 0);
    memcpy(s->support_u, start->u, s->support_count * dp * sizeof(double));
    if (start->m) cvxr_predict_rows(s->core, start, s->core->z);
    for (i = 0; i < n; i++) s->at.xi[i] = (start->m ? s->core->z[i] : 0.0) - s->y[i];
    s->best_primal = HUGE_VAL;
    cvxr_newton_remember(s, 0.5 * cvxr_sum_squares(n, s->at.xi, NULL)
                                + s->lam
                                      * cvxr_neuron_value_f64(s->support_count, dp,
                                                              s->support_u));
    cvxr_newton_sweep(s);
    most = cvxr_largest(s->groups, s->g_norm);
    scale = most > s->lam ? s->lam / most : 1;
    for (i = 0; i < n; i++) s->at.xi[i] *= scale;
    for (j = 0; j < P * dp; j++) s->G[j] *= scale;
    for (j = 0; j < s->groups; j++) s->g_norm[j] *= scale;
    s->sigma = cvxr_max(sigma, s->sigma_min);
    s->sigma_ten = 0;
    s->limit = s->most;
    s->linear = 1;
    s->faces_of_x = s->inner = s->has_ref = s->plain = s->tight = 0;
    s->cut = s->steps = s->idle = s->proven = 0;
    s->least = HUGE_VAL;
    s->system.kind = CVXR_FACTOR_NONE;
    s->system.spent = s->system.paid = s->system.whole = 0;
    s->system.single = CVXR_RAYS_F32;
    cvxr_newton_restrict(s);
}

/* After a closed round, or a gap that looks small: the sweep over all patterns. Returns
   nonzero when the column is done; else prepares the next round (*first: its first step is
   linearised at x). */
static int cvxr_newton_round(cvxr_newton *s, int closed, int *first) {
    cvxr_core *core = s->core;
    double gap;
    cvxr_newton_outer(s);
    if (cvxr_tick(core, core->report->iterations, (s->done + s->primal + s->rest) / core->units,
                  (s->bound + s->primal - s->gap) / core->units, s->act.count))
        return 1;
    if (s->steps >= s->limit) return 1;
    gap = s->gap;
    if (s->gap <= s->tol * s->primal) {
        gap = cvxr_newton_residual_gap(s);
        s->proven = gap <= s->tol * s->primal;
        if (s->proven) return 1;
        if (!s->tight) s->least = HUGE_VAL, s->idle = 0; /* of another gap */
        s->tight = 1;
    }
    if (gap < 0.9 * s->least) s->least = gap, s->idle = 0;
    else if (++s->idle > (s->again ? CVXR_AGAIN_IDLE
                          : s->tight ? CVXR_IDLE : 2 * CVXR_IDLE)) return 1;
    else if (s->tight && s->idle > 1) /* sigma so large that rounding in sigma w rules */
        s->sigma = cvxr_max(s->sigma / 10, s->sigma_min);
    if (s->tight) s->inner = 0, *first = s->linear;
    else if (closed) {
        if (s->inner <= CVXR_QUICK)
            s->sigma = cvxr_min(CVXR_SIGMA_GROW * s->sigma, 1e13 * s->sigma_min);
        s->inner = 0;
        *first = s->linear && s->gap <= CVXR_LINEAR * s->primal;
    }
    cvxr_newton_restrict(s);
    cvxr_newton_prox(s);
    s->has_ref = s->plain = 0;
    return 0;
}

/* Between sweeps: is the run to stop? Then the better of the current prox and the support is
   what comes back. */
static int cvxr_newton_stopped(cvxr_newton *s) {
    cvxr_core *core = s->core;
    if (!cvxr_tick(core, core->report->iterations,
                   (s->done + s->primal + s->rest) / core->units, 0, s->act.count))
        return 0;
    cvxr_newton_keep(s);
    return 1;
}

/* Solve one output; the result is the support. */
static void cvxr_newton_output(cvxr_newton *s) {
    for (;;) {
        double g2;
        int small, closed, first = 0;
        cvxr_newton_prox(s);
        g2 = 0.5 * cvxr_sum_squares(s->core->data->n, s->g, NULL);
        cvxr_newton_gap_on_W(s);
        small = s->gap <= s->tol * s->primal || s->steps >= s->limit;
        closed = g2 <= CVXR_RATIO * (s->inner > 3 ? ldexp(1.0, s->inner - 3) : 1.0)
                           * cvxr_max(s->outer, CVXR_SCALED * s->gap);
        if (small || closed) {
            if (cvxr_newton_round(s, closed, &first)) return;
        } else if (s->inner >= CVXR_SLOW
                   && s->sigma > s->sigma_min) { /* sigma was raised too fast */
            s->sigma = cvxr_max(s->sigma / 10, s->sigma_min);
            s->inner = s->has_ref = s->plain = 0;
            cvxr_newton_extrapolate(s);
            continue;
        } else if (cvxr_newton_stopped(s)) return;
        cvxr_newton_step(s, first);
    }
}

/* Objective of an output at the weights that it starts from, sum units. */
static double cvxr_newton_start_value(cvxr_newton *s, const cvxr_rows *rows, size_t k) {
    cvxr_core *core = s->core;
    const size_t n = core->data->n;
    size_t i;
    cvxr_predict_rows(core, rows, core->z);
    for (i = 0; i < n; i++) core->z[i] -= core->data->Y[k * n + i];
    return 0.5 * cvxr_sum_squares(n, core->z, NULL)
           + core->lam * cvxr_neuron_value_f64(rows->m, core->data->dp, rows->u);
}

/* The support of output k goes into the weights. */
static void cvxr_newton_store(const cvxr_newton *s, size_t k, cvxr_weights *weights) {
    size_t j;
    CVXRELU_ASSERT(weights->m + s->support_count <= weights->capacity);
    for (j = 0; j < s->support_count; j++) {
        weights->output[weights->m + j] = k;
        weights->pattern[weights->m + j] = s->support[j] / s->sides;
        weights->sign[weights->m + j] = (signed char)cvxr_group_sign(s, s->support[j]);
    }
    memcpy(weights->u + weights->m * weights->dp, s->support_u,
           s->support_count * weights->dp * sizeof(double));
    weights->m += s->support_count;
}

/* Output k was proven before: its weights stay. */
static void cvxr_newton_skip(cvxr_newton *s, const cvxr_rows *rows, size_t k,
                             cvxr_weights *weights) {
    size_t j;
    s->support_count = rows->m;
    for (j = 0; j < rows->m; j++)
        s->support[j] = rows->pattern[j] * s->sides + (s->sides > 1 && rows->sign[j] < 0);
    memcpy(s->support_u, rows->u, rows->m * s->core->data->dp * sizeof(double));
    s->done += cvxr_newton_start_value(s, rows, k);
    cvxr_newton_store(s, k, weights);
}

/* All outputs, from `start`. sigma, one an output: in 0 = from scratch; out its value when the
   gap first fell below a tenth, negative when the output was left unproven. Outputs that a
   stop leaves out keep what they started from. */
static void cvxr_newton_outputs(cvxr_newton *s, cvxr_weights *weights,
                                const cvxr_weights *start, double *sigma) {
    cvxr_core *core = s->core;
    size_t k;
    for (k = 1; k < core->data->c; k++) {
        cvxr_rows rows = cvxr_weights_rows(start, k);
        s->rest += cvxr_newton_start_value(s, &rows, k);
    }
    for (k = 0; k < core->data->c; k++) {
        cvxr_rows rows = cvxr_weights_rows(start, k);
        if (k > 0) s->rest = cvxr_max(0, s->rest - cvxr_newton_start_value(s, &rows, k));
        s->y = core->data->Y + k * core->data->n;
        if (s->again && sigma[k] >= 0) {
            cvxr_newton_skip(s, &rows, k, weights);
            continue;
        }
        cvxr_newton_begin(s, &rows, s->again ? 0 : sigma[k]);
        if (!core->stop) cvxr_newton_output(s);
        cvxr_newton_recall(s);
        s->done += s->primal;
        s->bound += s->primal - s->gap;
        sigma[k] = s->sigma_ten > 0 ? s->sigma_ten : s->sigma;
        if (!s->proven) sigma[k] = -sigma[k];
        cvxr_newton_store(s, k, weights);
    }
}

/* ---- The fall-back: R-FISTA over the working set of an output that Newton left unproven. */

#define CVXR_RESCUE_ITERS 2000

typedef struct cvxr_rescue {
    size_t capacity, count, *idx; /* the working set, ascending */
    uint64_t *bits;               /* its masks */
    cvxr_weights weights;         /* over it */
} cvxr_rescue;

static size_t cvxr_rescue_bytes(size_t n, size_t dp, size_t cap) {
    return cvxr_bytes(cap, sizeof(size_t)) + cvxr_bytes(cap * ((n + 63) / 64), sizeof(uint64_t))
           + cvxr_weights_bytes(cap, dp) + cvxr_fista_bytes(n, dp, 1, cap, sizeof(double));
}

static int cvxr_rescue_open(cvxr_rescue *s, cvxr_core *core) {
    memset(s, 0, sizeof *s);
    s->capacity = cvxr_newton_capacity(core->data->n, core->patterns->count,
                                       core->opt->max_working_set);
    s->idx = (size_t *)cvxr_alloc(core->mem, s->capacity, sizeof(size_t));
    s->bits = (uint64_t *)cvxr_alloc(core->mem, s->capacity * core->op.words, sizeof(uint64_t));
    return cvxr_weights_open(core->mem, &s->weights, s->capacity, core->data->dp);
}

static void cvxr_rescue_close(cvxr_rescue *s, cvxr_core *core) {
    cvxr_weights_close(core->mem, &s->weights);
    cvxr_release(core->mem, s->bits, s->capacity * core->op.words, sizeof(uint64_t));
    cvxr_release(core->mem, s->idx, s->capacity, sizeof(size_t));
}

/* Pattern p joins the set; with u its row of weights too. */
static void cvxr_rescue_take(cvxr_rescue *s, const cvxr_core *core, size_t p, const double *u) {
    const size_t dp = core->data->dp, words = core->op.words;
    cvxr_weights *w = &s->weights;
    if (u) {
        w->output[w->m] = 0;
        w->pattern[w->m] = s->count;
        memcpy(w->u + w->m++ * dp, u, dp * sizeof(double));
    }
    s->idx[s->count] = p;
    memcpy(s->bits + s->count++ * words, core->op.bits + p * words, words * sizeof(uint64_t));
}

/* The support of `rows` and the groups near their bound at its residual, as many as there is
   room for; the rows become weights over this set. */
static void cvxr_rescue_choose(cvxr_rescue *s, cvxr_core *core, const cvxr_rows *rows,
                               const double *y) {
    const size_t dp = core->data->dp, P = core->patterns->count;
    size_t p, q = 0, all[CVXR_BLOCK];
    cvxr_penalty_sums sums;
    cvxr_predict_rows(core, rows, core->z);
    core->loss->dual(core->data->n, core->z, y, core->theta);
    cvxr_sweep_rows(core, rows, core->theta, core->lam, &sums);
    s->count = s->weights.m = 0;
    for (p = 0; p < P; p++) {
        const double *g = core->panel + p % CVXR_BLOCK * dp;
        if (p % CVXR_BLOCK == 0) {
            cvxr_select panel;
            memset(&panel, 0, sizeof panel);
            panel.idx = all;
            for (; panel.count < cvxr_min_z(CVXR_BLOCK, P - p); panel.count++)
                all[panel.count] = p + panel.count;
            cvxr_gradient_f64(&core->op, &panel, core->theta, core->panel);
        }
        if (q < rows->m && rows->pattern[q] == p)
            cvxr_rescue_take(s, core, p, rows->u + q++ * dp);
        else if (s->count + (rows->m - q) < s->capacity
                 && sqrt(cvxr_row_square_f64(dp, g))
                        > CVXR_KEEP * cvxr_max(core->lam, sums.most))
            cvxr_rescue_take(s, core, p, NULL);
    }
}

/* Progress of one output, shown as that of the whole. */
typedef struct cvxr_rescue_watch {
    cvxr_core *core;
    double others; /* objective of the other outputs */
} cvxr_rescue_watch;

static int cvxr_rescue_progress(void *user, const cvxrelu_progress *part) {
    const cvxr_rescue_watch *watch = (const cvxr_rescue_watch *)user;
    cvxrelu_progress p = *part;
    p.iteration += watch->core->report->iterations;
    p.objective += watch->others;
    p.dual_bound = cvxr_min(watch->core->best_bound, p.objective);
    p.gap = cvxr_relative(p.objective - p.dual_bound, p.objective);
    return watch->core->opt->progress(watch->core->opt->progress_user, &p);
}

/* Objective of all outputs but k. */
static double cvxr_rescue_others(cvxr_core *core, const cvxr_weights *weights, size_t k) {
    cvxr_certificate others;
    size_t j;
    memset(&others, 0, sizeof others);
    for (j = 0; j < core->data->c; j++) {
        cvxr_rows rows = cvxr_weights_rows(weights, j);
        if (j != k) cvxr_certify_output(core, &rows, j, &others);
    }
    return others.objective / core->units;
}

/* R-FISTA on output k over the chosen set. */
static void cvxr_rescue_solve(cvxr_rescue *s, cvxr_core *core, size_t k, double others) {
    cvxrelu_options opt = *core->opt;
    cvxr_data data = *core->data;
    cvxr_patterns patterns = *core->patterns;
    cvxrelu_report report = *core->report;
    cvxr_core sub = *core;
    cvxr_rescue_watch watch;
    watch.core = core;
    watch.others = others;
    if (opt.progress) opt.progress = cvxr_rescue_progress;
    opt.progress_user = &watch;
    opt.subgradient_tol = 0;
    opt.max_iters = CVXR_RESCUE_ITERS;
    data.c = 1;
    data.Y = core->data->Y + k * data.n;
    patterns.count = s->count;
    patterns.bits = s->bits;
    sub.opt = &opt;
    sub.report = &report;
    sub.data = &data;
    sub.patterns = &patterns;
    sub.best_bound = 0;
    sub.op.bits = s->bits;
    sub.op.patterns = s->count;
    sub.op.passes = sub.op.flops = 0;
    sub.op_work = sub.op;
    (void)cvxr_fista_solve(&sub, &s->weights);
    core->stop = sub.stop;
    core->report->iterations = report.iterations;
    core->op.passes += (sub.op.passes + sub.op_work.passes) * (double)s->count
                       / (double)core->patterns->count;
    core->op.flops += sub.op.flops + sub.op_work.flops;
}

/* `spare` gets all outputs, the unproven ones improved; then the two change places. */
static void cvxr_newton_rescue(cvxr_core *core, cvxr_weights *weights, cvxr_weights *spare,
                               double *sigma) {
    const size_t dp = core->data->dp;
    cvxr_weights swap;
    cvxr_rescue s;
    size_t k, j;
    if (!cvxr_rescue_open(&s, core)) {
        cvxr_rescue_close(&s, core);
        return;
    }
    for (spare->m = k = 0; k < core->data->c; k++) {
        cvxr_rows rows = cvxr_weights_rows(weights, k);
        if (sigma[k] < 0 && !core->stop) {
            cvxr_rescue_choose(&s, core, &rows, core->data->Y + k * core->data->n);
            cvxr_rescue_solve(&s, core, k, cvxr_rescue_others(core, weights, k));
            for (j = 0; j < s.weights.m; j++)
                s.weights.pattern[j] = s.idx[s.weights.pattern[j]];
            rows = cvxr_weights_rows(&s.weights, 0);
        }
        for (j = 0; j < rows.m; j++, spare->m++) {
            spare->output[spare->m] = k;
            spare->pattern[spare->m] = rows.pattern[j];
            memcpy(spare->u + spare->m * dp, rows.u + j * dp, dp * sizeof(double));
        }
    }
    cvxr_rescue_close(&s, core);
    swap = *weights, *weights = *spare, *spare = swap;
}

/* ---- The fall-back of cones: generated directions. With few columns and hundreds of rows a
   cone is a thin cone of many faces, and at a weak penalty the optimum sits on extreme rays: a
   Newton step changes the faces of most groups and is cut short. There the program is solved
   over finitely many unit directions v_j of the cones, sum_j c_j v_j in the place of u:

       minimise over c >= 0   ||y - B c||^2 / 2 + lam sum_j c_j,   B_j = A_{g_j} v_j

   a bound from above, exact once each group's v_j is one; the groups' projections of its
   residual's gradient are the directions that violate lam most, and join (the residual is the
   projection of y on the half-spaces so far). The master is a proximal step solved by block
   principal pivoting [JP94]: all coefficients of the wrong sign change sides at once, and
   where that cycles the proximal weight grows. Whole faces change at a time and every iterate
   is feasible and has a certificate; [Hoh77] for the family. Newton, linearised at x, ends
   the job: near the optimum its faces hold. */

#define CVXR_ATOM_AGE    2     /* prices that an unused direction survives */
#define CVXR_ATOM_RUNS   100   /* prices in a row, at most */
#define CVXR_ATOM_NEW    200   /* directions that join at once, at most */
#define CVXR_ATOM_RHO    1e-12 /* least proximal weight, relative to the Gram matrix */
#define CVXR_ATOM_CHANGE 100.0 /* by which it grows and shrinks */
#define CVXR_ATOM_PIVOTS 40    /* block pivots at one weight, */
#define CVXR_ATOM_IDLE   5     /* of which without fewer wrong signs */

typedef struct cvxr_atoms {
    cvxr_core *core;
    const double *y;
    size_t capacity, room, ld, np, count; /* most and how many have their place; stride of Q;
                                             padded n; directions */
    double *pool;                   /* of B, Q and factor */
    size_t *group, *age, *free;     /* capacity each; those that may be positive */
    unsigned char *in;              /* capacity: is it one of them? */
    double *V, *B, *Q, *factor;     /* capacity x dp; room x np: images; room x ld: Gram
                                       matrix; of a pivot */
    double *b, *c, *w, *p, *old;    /* capacity: B y - lam; coefficients; slopes b - Q c +
                                       rho (old - c); those of the free ones; where the step
                                       began */
    double *r;                      /* np: y - B^T c */
    double *norm, *score;           /* groups: dual norms; those above lam */
    size_t *slot;                   /* groups: row of U, or SIZE_MAX */
    double *U;                      /* capacity x dp: weights of the groups */
    size_t groups, held;            /* 2 P; rows of U */
    double rho, diagonal;           /* proximal weight; the largest entry of Q */
    double primal, gap;
} cvxr_atoms;

static int cvxr_atoms_open(cvxr_atoms *s, cvxr_core *core) {
    const size_t n = core->data->n, dp = core->data->dp, P = core->patterns->count;
    const size_t cap = cvxr_atom_capacity(n, core->opt->max_factor);
    const size_t np = cvxr_pad(n);
    memset(s, 0, sizeof *s);
    s->core = core;
    s->capacity = cap, s->np = np, s->groups = 2 * P;
#define CVXR_OPEN(member, count, type)                                                         \
    s->member = (type *)cvxr_alloc(core->mem, count, sizeof(type));
    CVXR_ATOM_VECTORS(CVXR_OPEN)
#undef CVXR_OPEN
    return core->mem->failed == CVXRELU_OK;
}

static void cvxr_atoms_close(cvxr_atoms *s) {
    const size_t n = s->core->data->n, dp = s->core->data->dp, P = s->groups / 2, np = s->np,
                 cap = cvxr_atom_capacity(n, s->core->opt->max_factor);
#define CVXR_CLOSE(member, count, type)                                                        \
    cvxr_release(s->core->mem, s->member, count, sizeof(type));
    cvxr_release(s->core->mem, s->pool, cvxr_atom_pool(s->room, np), sizeof(double));
    CVXR_ATOM_VECTORS(CVXR_CLOSE)
#undef CVXR_CLOSE
}

static void cvxr_atoms_image(cvxr_atoms *s, size_t at) {
    cvxr_core *core = s->core;
    const size_t n = core->data->n, dp = core->data->dp;
    const uint64_t *bits = core->op.bits + s->group[at] / 2 * core->op.words;
    double *image = s->B + at * s->np;
    size_t i;
    cvxr_gemv_f64(&core->la, 0, n, dp, 1.0, core->data->X, dp, s->V + at * dp, 0.0, image);
    for (i = 0; i < n; i++)
        if (!(bits[i / 64] >> i % 64 & 1)) image[i] = 0;
    for (; i < s->np; i++) image[i] = 0;
}

/* Direction v / size of group g joins, with coefficient c; its image too. */
static void cvxr_atoms_add(cvxr_atoms *s, size_t g, const double *v, double size, double c) {
    const size_t dp = s->core->data->dp, at = s->count++;
    size_t i;
    for (i = 0; i < dp; i++) s->V[at * dp + i] = v[i] / size;
    s->group[at] = g;
    s->age[at] = 0;
    s->c[at] = c;
    cvxr_atoms_image(s, at);
}

/* Rows and columns of the Gram matrix from direction `first` on. */
static void cvxr_atoms_gram(cvxr_atoms *s, size_t first) {
    const size_t n = s->core->data->n, count = s->count, more = count - first, ld = s->ld;
    size_t i, j;
    if (more == 0) return;
    cvxr_gemm_f64(&s->core->la, 0, 1, more, count, n, 1.0, s->B + first * s->np, s->np, s->B,
                  s->np, 0.0, s->Q + first * ld, ld);
    for (i = first; i < count; i++)
        for (j = 0; j < first; j++) s->Q[j * ld + i] = s->Q[i * ld + j];
    cvxr_gemv_f64(&s->core->la, 0, more, n, 1.0, s->B + first * s->np, s->np, s->y, 0.0,
                  s->b + first);
    for (i = first; i < count; i++) s->b[i] -= s->core->lam;
    s->core->op.flops += 2 * (double)n * (double)more * (double)(count + s->core->data->d);
}

static int cvxr_atoms_take(cvxr_atoms *s, size_t room) {
    s->pool = (double *)cvxr_alloc_try(s->core->mem, cvxr_atom_pool(room, s->np),
                                       sizeof(double));
    s->room = s->pool ? room : 0;
    s->ld = cvxr_atom_stride(room);
    s->B = s->pool;
    s->Q = s->pool ? s->B + room * s->np : NULL;
    s->factor = s->pool ? s->Q + room * s->ld : NULL;
    return s->pool != NULL;
}

/* Places for `need` directions and half as many more. The old ones are given back before, so
   that the two are never held at once, and the images made again; refused memory leaves as
   many as there were. 0: none at all. */
static int cvxr_atoms_grow(cvxr_atoms *s, size_t need) {
    const size_t old = s->room;
    size_t i;
    need = cvxr_min_z(need, s->capacity);
    if (need <= old) return 1;
    cvxr_release(s->core->mem, s->pool, cvxr_atom_pool(old, s->np), sizeof(double));
    if (!cvxr_atoms_take(s, cvxr_min_z(need + need / 2, s->capacity))) {
        if (old == 0 || !cvxr_atoms_take(s, old)) return 0;
        s->capacity = old;
    }
    for (i = 0; i < s->count; i++) cvxr_atoms_image(s, i);
    cvxr_atoms_gram(s, 0);
    return 1;
}

/* The coefficients with the free ones at their optimum, and the slopes. */
static int cvxr_atoms_settle(cvxr_atoms *s) {
    const cvxr_la *la = &s->core->la;
    const double by = s->rho * s->diagonal;
    size_t i, j, count = 0;
    for (i = 0; i < s->count; i++)
        if (s->in[i]) s->free[count++] = i;
    for (i = 0; i < count; i++) {
        const double *Q = s->Q + s->free[i] * s->ld;
        double *row = s->factor + i * s->ld;
        for (j = 0; j <= i; j++) row[j] = Q[s->free[j]];
        row[i] += by;
        s->p[i] = s->b[s->free[i]] + by * s->old[s->free[i]];
    }
    s->core->op.flops += (double)count * (double)count * (double)count / 3;
    s->core->report->factors++;
    if (cvxr_potrf_f64(la, count, s->factor, s->ld)) return 0;
    cvxr_potrs_f64(la, count, s->factor, s->ld, s->p);
    memset(s->c, 0, s->count * sizeof(double));
    for (i = 0; i < count; i++) s->c[s->free[i]] = s->p[i];
    for (i = 0; i < s->count; i++) s->w[i] = s->b[i] + by * (s->old[i] - s->c[i]);
    cvxr_gemv_f64(la, 0, s->count, s->count, -1.0, s->Q, s->ld, s->c, 1.0, s->w);
    return 1;
}

/* Block principal pivoting at one proximal weight: nonzero when it ended at the optimum. */
static int cvxr_atoms_pivot(cvxr_atoms *s) {
    const double tol = 1e-10 * s->core->lam;
    size_t i, wrong, least = SIZE_MAX;
    int it, idle = 0;
    for (i = 0; i < s->count; i++) s->in[i] = s->old[i] > 0 || s->age[i] == 0;
    for (it = 0; it < CVXR_ATOM_PIVOTS && idle <= CVXR_ATOM_IDLE; it++) {
        double below;
        if (!cvxr_atoms_settle(s)) return 0;
        below = -1e-12 * cvxr_largest(s->count, s->c);
        for (i = wrong = 0; i < s->count; i++)
            if (s->in[i] ? s->c[i] < below : s->w[i] > tol) s->in[i] ^= 1, wrong++;
        if (wrong == 0) return 1;
        if (wrong < least) least = wrong, idle = 0;
        else idle++;
    }
    return 0;
}

/* The master's step from c, with the least weight that works; 0 when none did. */
static int cvxr_atoms_master(cvxr_atoms *s) {
    size_t i;
    memcpy(s->old, s->c, s->count * sizeof(double));
    for (s->diagonal = 0, i = 0; i < s->count; i++)
        s->diagonal = cvxr_max(s->diagonal, s->Q[i * s->ld + i]);
    s->rho = cvxr_max(s->rho / CVXR_ATOM_CHANGE, CVXR_ATOM_RHO);
    for (; s->rho < 1; s->rho *= CVXR_ATOM_CHANGE)
        if (cvxr_atoms_pivot(s)) {
            for (i = 0; i < s->count; i++) s->c[i] = cvxr_max(s->c[i], 0);
            return 1;
        }
    memcpy(s->c, s->old, s->count * sizeof(double));
    return 0;
}

/* U, the groups' weights, and the residual. */
static void cvxr_atoms_weights(cvxr_atoms *s) {
    const size_t n = s->core->data->n, dp = s->core->data->dp;
    size_t i, j;
    for (i = 0; i < s->groups; i++) s->slot[i] = SIZE_MAX;
    for (i = s->held = 0; i < s->count; i++) {
        double *u;
        if (!(s->c[i] > 0)) continue;
        if (s->slot[s->group[i]] == SIZE_MAX) {
            memset(s->U + s->held * dp, 0, dp * sizeof(double));
            s->slot[s->group[i]] = s->held++;
        }
        u = s->U + s->slot[s->group[i]] * dp;
        for (j = 0; j < dp; j++) u[j] += s->c[i] * s->V[i * dp + j];
    }
    memcpy(s->r, s->y, n * sizeof(double));
    cvxr_gemv_f64(&s->core->la, 1, s->count, n, -1.0, s->B, s->np, s->c, 1.0, s->r);
}

/* Dual norms of all groups at the residual; objective and gap. */
static void cvxr_atoms_price(cvxr_atoms *s) {
    cvxr_core *core = s->core;
    const size_t n = core->data->n, dp = core->data->dp, P = s->groups / 2;
    const double rr = cvxr_sum_squares(n, s->r, NULL);
    double most, scale, sum;
    size_t p, i, count;
    for (p = 0; p < P; p += CVXR_BLOCK) {
        cvxr_select select;
        memset(&select, 0, sizeof select);
        select.idx = core->panel_index;
        select.count = cvxr_min_z(CVXR_BLOCK, P - p);
        for (i = 0; i < select.count; i++) core->panel_index[i] = p + i;
        cvxr_gradient_f64(&core->op, &select, s->r, core->panel);
        for (count = i = 0; i < select.count; i++) {
            const double *g = core->panel + i * dp, norm = sqrt(cvxr_row_square_f64(dp, g));
            s->norm[2 * (p + i)] = s->norm[2 * (p + i) + 1] = norm;
            count = cvxr_core_list(core, count, p + i, g, norm, core->lam);
        }
        cvxr_core_norms(core, count, core->lam, CVXR_ATOM_NEW);
        for (i = 0; i < count; i++) s->norm[core->items[i].group] = core->items[i].norm;
    }
    most = cvxr_max(core->lam, cvxr_largest(s->groups, s->norm));
    scale = core->lam / most;
    sum = core->lam * cvxr_neuron_value_f64(s->held, dp, s->U);
    s->primal = 0.5 * rr + sum;
    s->gap = 0.5 * (1 - scale) * (1 - scale) * rr + sum
             - scale * (cvxr_dot_f64(n, s->r, s->y) - rr);
}

/* Directions that were not used for long leave; for want of room all that are not in use. */
static void cvxr_atoms_purge(cvxr_atoms *s, size_t oldest) {
    const size_t dp = s->core->data->dp, ld = s->ld;
    size_t i, j, q = 0, *kept = s->free;
    for (i = 0; i < s->count; i++) {
        if (!(s->c[i] > 0) && s->age[i] >= oldest) continue;
        s->group[q] = s->group[i], s->age[q] = s->age[i];
        s->b[q] = s->b[i], s->c[q] = s->c[i];
        memmove(s->V + q * dp, s->V + i * dp, dp * sizeof(double));
        memmove(s->B + q * s->np, s->B + i * s->np, s->np * sizeof(double));
        kept[q++] = i;
    }
    for (i = 0; i < q; i++)
        for (j = 0; j < q; j++) s->Q[i * ld + j] = s->Q[kept[i] * ld + kept[j]];
    s->count = q;
}

/* Is the projection in cone_v a point of the cone? One that stalled is not. */
static int cvxr_atoms_feasible(cvxr_core *core, size_t p, int sign) {
    size_t i;
    for (i = 0; i < core->data->dp; i++)
        core->cone_z[i] = sign > 0 ? core->cone_v[i] : -core->cone_v[i];
    return cvxr_cone_violation(&core->cone, core->op.bits + p * core->op.words, core->cone_z)
           <= 1e-11;
}

/* The groups that violate the bound most join with the projection of their gradient. Returns
   how many. */
static size_t cvxr_atoms_generate(cvxr_atoms *s) {
    cvxr_core *core = s->core;
    const size_t first = s->count;
    double least = core->lam * (1 + 1e-10);
    size_t g, many = 0, room = cvxr_min_z(s->room - s->count, CVXR_ATOM_NEW);
    cvxr_select one;
    memset(&one, 0, sizeof one);
    one.count = 1;
    for (g = 0; g < s->groups; g++)
        if (s->norm[g] > least) s->score[many++] = s->norm[g];
    if (many > room && room > 0) least = cvxr_nth_largest(many, s->score, room);
    for (g = 0; g < s->groups && room > 0; g++) {
        const int sign = g % 2 ? -1 : 1;
        const size_t p = g / 2;
        double norm;
        if (s->norm[g] < least) continue;
        one.idx = &p;
        cvxr_gradient_f64(&core->op, &one, s->r, core->panel);
        norm = cvxr_core_project(core, 0, p, sign, 1, 0, core->panel, core->cone_v);
        if (norm > 0 && cvxr_atoms_feasible(core, p, sign))
            cvxr_atoms_add(s, g, core->cone_v, norm, 0), room--;
    }
    cvxr_atoms_gram(s, first);
    return s->count - first;
}

/* The weights of an output become the directions. */
static int cvxr_atoms_begin(cvxr_atoms *s, const cvxr_rows *start) {
    const size_t dp = s->core->data->dp;
    size_t i;
    s->count = 0;
    s->rho = CVXR_ATOM_RHO;
    if (!cvxr_atoms_grow(s, start->m + CVXR_ATOM_NEW)) return 0;
    for (i = 0; i < start->m; i++) {
        const double *u = start->u + i * dp, size = sqrt(cvxr_row_square_f64(dp, u));
        if (size > 0)
            cvxr_atoms_add(s, 2 * start->pattern[i] + (start->sign[i] < 0), u, size, size);
    }
    cvxr_atoms_gram(s, 0);
    return 1;
}

/* One output to a gap of tol, or until nothing helps; `others` is the objective of the other
   outputs. The result is U. */
static void cvxr_atoms_solve(cvxr_atoms *s, double tol, double others) {
    cvxr_core *core = s->core;
    size_t i;
    int run;
    for (run = 0; run < CVXR_ATOM_RUNS; run++) {
        double bound;
        const int moved = cvxr_atoms_master(s);
        cvxr_atoms_weights(s);
        cvxr_atoms_price(s);
        core->report->iterations++;
        bound = core->data->c == 1 ? (s->primal - s->gap) / core->units : 0;
        if (cvxr_tick(core, core->report->iterations, s->primal / core->units + others, bound,
                      s->held)
            || s->gap <= tol * s->primal || !moved)
            return;
        for (i = 0; i < s->count; i++) s->age[i] = s->c[i] > 0 ? 1 : s->age[i] + 1;
        cvxr_atoms_purge(s, CVXR_ATOM_AGE);
        if (s->capacity - s->count < cvxr_min_z(CVXR_ATOM_NEW, s->groups))
            cvxr_atoms_purge(s, 0);
        if (!cvxr_atoms_grow(s, s->count + CVXR_ATOM_NEW) || cvxr_atoms_generate(s) == 0)
            return;
    }
}

/* The groups' weights as output k. */
static void cvxr_atoms_store(const cvxr_atoms *s, size_t k, cvxr_weights *to) {
    const size_t dp = s->core->data->dp;
    size_t g;
    for (g = 0; g < s->groups; g++) {
        if (s->slot[g] == SIZE_MAX) continue;
        to->output[to->m] = k;
        to->pattern[to->m] = g / 2;
        to->sign[to->m] = g % 2 ? -1 : 1;
        memcpy(to->u + to->m++ * dp, s->U + s->slot[g] * dp, dp * sizeof(double));
    }
}

/* `to` gets all outputs, the unproven ones improved to a gap of tol; sigma as in
   cvxr_newton_outputs. */
static void cvxr_atoms_improve(cvxr_core *core, const cvxr_weights *from, cvxr_weights *to,
                               double *sigma, double tol) {
    const size_t dp = core->data->dp, room = from->capacity / core->data->c;
    cvxr_atoms s;
    size_t k, j;
    const int open = cvxr_atoms_open(&s, core);
    for (to->m = k = 0; k < core->data->c; k++) {
        cvxr_rows rows = cvxr_weights_rows(from, k);
        s.y = core->data->Y + k * core->data->n;
        if (open && sigma[k] < 0 && !core->stop && 2 * rows.m <= s.capacity
            && cvxr_atoms_begin(&s, &rows)) {
            cvxr_atoms_solve(&s, tol, cvxr_rescue_others(core, from, k));
            if (s.held <= room) {
                cvxr_atoms_store(&s, k, to);
                if (s.gap <= core->opt->tol * s.primal) sigma[k] = -sigma[k];
                continue;
            }
        }
        for (j = 0; j < rows.m; j++, to->m++) {
            to->output[to->m] = k;
            to->pattern[to->m] = rows.pattern[j];
            to->sign[to->m] = rows.sign[j];
            memcpy(to->u + to->m * dp, rows.u + j * dp, dp * sizeof(double));
        }
    }
    cvxr_atoms_close(&s);
}

static int cvxr_newton_unproven(const cvxr_core *core, const double *sigma) {
    size_t k;
    for (k = 0; k < core->data->c; k++)
        if (sigma[k] < 0) return 1;
    return 0;
}

/* One Newton run over the outputs, with `again` over the unproven ones only, near their
   optimum; 0 when memory was refused. */
static int cvxr_newton_run(cvxr_core *core, cvxr_weights *weights, const cvxr_weights *start,
                           double *sigma, int again) {
    const int most = core->opt->max_iters;
    cvxr_newton s;
    const int open = cvxr_newton_open(&s, core);
    weights->m = 0;
    s.most = again ? CVXR_AGAIN : most;
    s.again = again;
    s.cuts = again ? CVXR_AGAIN_CUTS : most < CVXR_STEPS ? s.most + 1 : CVXR_CUTS;
    if (open) cvxr_newton_outputs(&s, weights, start, sigma);
    cvxr_newton_close(&s);
    return open;
}

/* Directions and Newton by turns, until all outputs are proven. */
static void cvxr_newton_alternate(cvxr_core *core, cvxr_weights *weights, cvxr_weights *spare,
                                  double *sigma) {
    double tol = CVXR_ATOM_GOAL;
    for (; cvxr_newton_unproven(core, sigma) && !core->stop; tol *= 0.1) {
        cvxr_atoms_improve(core, weights, spare, sigma, cvxr_max(tol, core->opt->tol));
        if (!cvxr_newton_run(core, weights, spare, sigma, 1)) return;
        if (tol < 1e-6) return;
    }
}

/* Weights are replaced by the result, `start` is used up. sigma as above, not negative. */
static cvxrelu_stop cvxr_newton_solve(cvxr_core *core, cvxr_weights *weights,
                                      cvxr_weights *start, double *sigma) {
    const int most = core->opt->max_iters;
    cvxrelu_stop stop = CVXRELU_STOP_GAP;
    size_t k;
    if (!cvxr_newton_run(core, weights, start, sigma, 0)) return CVXRELU_STOP_NONE;
    if (cvxr_newton_unproven(core, sigma)) {
        stop = CVXRELU_STOP_ITERATIONS;
        if (most >= CVXR_STEPS && core->opt->tol > 0 && !core->stop) {
            if (core->kind == CVXRELU_RELU) cvxr_newton_alternate(core, weights, start, sigma);
            else cvxr_newton_rescue(core, weights, start, sigma);
            stop = core->kind == CVXRELU_RELU && !cvxr_newton_unproven(core, sigma)
                       ? CVXRELU_STOP_GAP
                       : CVXRELU_STOP_STALLED;
        }
    }
    for (k = 0; k < core->data->c; k++) sigma[k] = fabs(sigma[k]);
    if (core->opt->tol < 0 && stop == CVXRELU_STOP_ITERATIONS) stop = CVXRELU_STOP_STALLED;
    return core->stop ? core->stop : stop;
}

#undef CVXR_ATOM_VECTORS
#undef CVXR_NEWTON_VECTORS
#undef CVXR_POINT_VECTORS
/* ==== S15 AUGMENTED LAGRANGIAN ===========================================================
   C-ReLU by the method of multipliers [MSP22 4.3, G.2], and CD-A [MSP22 eq. 9]: both minimise
   one-sided quadratics of Xt w = (2D - I) X w by the R-FISTA of S13.

       L(V, W) = 1/(n c) ( sum_k 1/2 ||y_k - A (v_k - w_k)||^2
                           + delta/2 sum_groups ||(gamma/delta - Xt v)_+||^2 )
                 + lambda sum_groups ||v||                                     (eq. 10)
       gamma <- (gamma - delta Xt v)_+                                         (eq. 11)

   All outputs together; a group is (output, pattern, sign), raw weights s v. The penalty is
   divided by n c with the loss [MSP22 D.6], so that delta = 100 is a start for data of unit
   columns. The stop: a subproblem solved to a squared subgradient of 1e-6 whose c_gap, the
   sum of squares of (Xt v)_-, is at most 1e-6 [D.6: norms below 1e-3; G.2's c_gap <= 1e-3
   would hold within the window already]. That is loose for small lambda: the certificate of
   the projected network tells. A group at zero adds the gradient Xt^T gamma, which stands
   still between updates: products with X are made for the others only, in panels, and no
   n-vector of a group but gamma is stored. float64. Uses S05, S08-S13. Used by S16, S22.
   Tests: tests/test_s15_al.c. */

/* ---- One-sided quadratics: scale delta/2 sum_g ||(gamma_g/delta - s_g Xt_g w_g)_+||^2. */

#define CVXR_HINGE 64 /* groups in a panel */

typedef struct cvxr_hinges {
    cvxr_core *core;
    size_t groups, n, ld, dp;
    const size_t *pattern; /* groups, all of sign +1; NULL: the groups of every output are
                              (pattern 0, +1), (0, -1), (1, +1), ... */
    double delta, scale;
    double *gamma; /* groups x ld, zero beyond n */
    double *slope; /* groups x dp: s Xt^T gamma */
    double *rows;  /* 2 CVXR_HINGE x dp: weights, then gradients of a panel */
    double *image; /* 2 CVXR_HINGE x ld: X w of a panel */
    size_t list[CVXR_HINGE];
} cvxr_hinges;

static size_t cvxr_hinges_bytes(size_t n, size_t dp, size_t groups) {
    const size_t ld = cvxr_pad(n);
    return cvxr_bytes(groups * ld, sizeof(double)) + cvxr_bytes(groups * dp, sizeof(double))
           + cvxr_bytes(2 * CVXR_HINGE * dp, sizeof(double))
           + cvxr_bytes(2 * CVXR_HINGE * ld, sizeof(double));
}

static int cvxr_hinges_open(cvxr_hinges *h, cvxr_core *core, const size_t *pattern,
                            size_t groups) {
    cvxr_mem *mem = core->mem;
    memset(h, 0, sizeof *h);
    h->core = core;
    h->groups = groups;
    h->n = core->data->n;
    h->ld = cvxr_pad(h->n);
    h->dp = core->data->dp;
    h->pattern = pattern;
    h->delta = h->scale = 1;
    h->gamma = (double *)cvxr_alloc_zero(mem, groups * h->ld, sizeof(double));
    h->slope = (double *)cvxr_alloc_zero(mem, groups * h->dp, sizeof(double));
    h->rows = (double *)cvxr_alloc(mem, 2 * CVXR_HINGE * h->dp, sizeof(double));
    h->image = (double *)cvxr_alloc_zero(mem, 2 * CVXR_HINGE * h->ld, sizeof(double));
    return mem->failed == CVXRELU_OK;
}

static void cvxr_hinges_close(cvxr_hinges *h) {
    cvxr_mem *mem = h->core->mem;
    cvxr_release(mem, h->image, 2 * CVXR_HINGE * h->ld, sizeof(double));
    cvxr_release(mem, h->rows, 2 * CVXR_HINGE * h->dp, sizeof(double));
    cvxr_release(mem, h->slope, h->groups * h->dp, sizeof(double));
    cvxr_release(mem, h->gamma, h->groups * h->ld, sizeof(double));
}

static size_t cvxr_hinge_pattern(const cvxr_hinges *h, size_t g) {
    return h->pattern ? h->pattern[g] : g / 2 % h->core->patterns->count;
}

static int cvxr_hinge_sign(const cvxr_hinges *h, size_t g) {
    return h->pattern || g % 2 == 0 ? 1 : -1;
}

static const uint64_t *cvxr_hinge_bits(const cvxr_hinges *h, size_t g) {
    return h->core->op.bits + cvxr_hinge_pattern(h, g) * h->core->op.words;
}

/* The signs of four rows, by four bits of a mask. */
static const double cvxr_four_signs[16][4] = {
    { -1, -1, -1, -1 }, { 1, -1, -1, -1 }, { -1, 1, -1, -1 }, { 1, 1, -1, -1 },
    { -1, -1, 1, -1 },  { 1, -1, 1, -1 },  { -1, 1, 1, -1 },  { 1, 1, 1, -1 },
    { -1, -1, -1, 1 },  { 1, -1, -1, 1 },  { -1, 1, -1, 1 },  { 1, 1, -1, 1 },
    { -1, -1, 1, 1 },   { 1, -1, 1, 1 },   { -1, 1, 1, 1 },   { 1, 1, 1, 1 }
};

static const double *cvxr_signs_at(const uint64_t *bits, uint64_t flip, size_t i) {
    return cvxr_four_signs[(bits[i / 64] ^ flip) >> i % 64 / 4 * 4 & 15] + i % 4;
}

/* What the mask of group g is exclusive-ored with. */
static uint64_t cvxr_hinge_flip(const cvxr_hinges *h, size_t g) {
    return cvxr_hinge_sign(h, g) > 0 ? 0 : ~(uint64_t)0;
}

/* Packs the next groups from *next on that W, or else W2, has non-zero: rows of W first, then
   those of W2 when given. Returns how many groups. */
static size_t cvxr_hinge_panel(cvxr_hinges *h, const double *W, const double *W2,
                               size_t *next) {
    const size_t dp = h->dp, most = CVXR_HINGE;
    size_t count = 0, j;
    for (; *next < h->groups && count < most; ++*next) {
        if (cvxr_row_is_zero_f64(dp, W + *next * dp)
            && (W2 == NULL || cvxr_row_is_zero_f64(dp, W2 + *next * dp)))
            continue;
        memcpy(h->rows + count * dp, W + *next * dp, dp * sizeof(double));
        h->list[count++] = *next;
    }
    for (j = 0; W2 && j < count; j++)
        memcpy(h->rows + (count + j) * dp, W2 + h->list[j] * dp, dp * sizeof(double));
    return count;
}

/* Four rows at a time where the compiler has vectors. */
#if CVXR_VECTORS
typedef double cvxr_quad __attribute__((vector_size(32), aligned(8), may_alias));
typedef long long cvxr_quad_mask __attribute__((vector_size(32), aligned(8), may_alias));
#define CVXR_POSITIVE(a) ((cvxr_quad)((cvxr_quad_mask)(a) & (cvxr_quad_mask)((a) > zero)))
#define CVXR_ZERO        { 0, 0, 0, 0 }
#define CVXR_QUAD        4
#else
typedef double cvxr_quad;
#define CVXR_INLINE      static
#define CVXR_POSITIVE(a) ((a) > zero ? (a) : zero)
#define CVXR_ZERO        0
#define CVXR_QUAD        1
#endif

/* T = t o (gamma - delta t o T)_+ for n rows, t = +-1: up to their signs the next
   multipliers. */
CVXR_INLINE void cvxr_hinge_residual_rows(const uint64_t *bits, uint64_t flip, double delta,
                                          size_t n, const double *gamma, double *T) {
    const cvxr_quad zero = CVXR_ZERO;
    size_t i;
    for (i = 0; i < n; i += CVXR_QUAD) {
        const cvxr_quad t = *(const cvxr_quad *)(const void *)cvxr_signs_at(bits, flip, i);
        cvxr_quad *to = (cvxr_quad *)(void *)(T + i);
        const cvxr_quad a =
            *(const cvxr_quad *)(const void *)(gamma + i) - delta * t * *to;
        *to = t * CVXR_POSITIVE(a);
    }
}

/* With q = gamma - delta t o T at V and Y, 2 delta times one group's share of the excess is
   the sum of (q_V+ - q_Y+)^2 + 2 q_Y+ (q_V+ - q_V): no term is negative. */
CVXR_INLINE double cvxr_hinge_excess_rows(const uint64_t *bits, uint64_t flip, double delta,
                                          size_t n, const double *gamma, const double *V,
                                          const double *Y) {
    const cvxr_quad zero = CVXR_ZERO;
    cvxr_quad sum = zero;
    double s[CVXR_QUAD], all = 0;
    size_t i;
    for (i = 0; i < n; i += CVXR_QUAD) {
        const cvxr_quad t = *(const cvxr_quad *)(const void *)cvxr_signs_at(bits, flip, i);
        const cvxr_quad g = *(const cvxr_quad *)(const void *)(gamma + i);
        const cvxr_quad v = g - delta * t * *(const cvxr_quad *)(const void *)(V + i);
        const cvxr_quad y = g - delta * t * *(const cvxr_quad *)(const void *)(Y + i);
        const cvxr_quad vp = CVXR_POSITIVE(v), yp = CVXR_POSITIVE(y);
        sum += (vp - yp) * (vp - yp) + 2 * yp * (vp - v);
    }
    memcpy(s, &sum, sizeof s);
    for (i = 0; i < CVXR_QUAD; i++) all += s[i];
    return all;
}

#if CVXR_DISPATCH
__attribute__((target("avx2"))) static void
cvxr_hinge_residual_avx2(const uint64_t *bits, uint64_t flip, double delta, size_t n,
                         const double *gamma, double *T) {
    cvxr_hinge_residual_rows(bits, flip, delta, n, gamma, T);
}

__attribute__((target("avx2"))) static double
cvxr_hinge_excess_avx2(const uint64_t *bits, uint64_t flip, double delta, size_t n,
                       const double *gamma, const double *V, const double *Y) {
    return cvxr_hinge_excess_rows(bits, flip, delta, n, gamma, V, Y);
}
#endif

static void cvxr_hinge_residual(const cvxr_hinges *h, size_t g, double *T) {
    const uint64_t *bits = cvxr_hinge_bits(h, g), flip = cvxr_hinge_flip(h, g);
    const double *gamma = h->gamma + g * h->ld;
#if CVXR_DISPATCH
    if (h->core->op.isa > 0) {
        cvxr_hinge_residual_avx2(bits, flip, h->delta, h->ld, gamma, T);
        return;
    }
#endif
    cvxr_hinge_residual_rows(bits, flip, h->delta, h->ld, gamma, T);
}

static double cvxr_hinge_excess(const cvxr_hinges *h, size_t g, const double *V,
                                const double *Y) {
    const uint64_t *bits = cvxr_hinge_bits(h, g), flip = cvxr_hinge_flip(h, g);
    const double *gamma = h->gamma + g * h->ld;
#if CVXR_DISPATCH
    if (h->core->op.isa > 0)
        return cvxr_hinge_excess_avx2(bits, flip, h->delta, h->ld, gamma, V, Y);
#endif
    return cvxr_hinge_excess_rows(bits, flip, h->delta, h->ld, gamma, V, Y);
}
#undef CVXR_POSITIVE
#undef CVXR_ZERO
#undef CVXR_QUAD

/* What is done with a panel. The groups are dealt out to the team; every task makes the images
   X w of its own and works on them. */
typedef enum cvxr_hinge_what {
    CVXR_HINGE_PULL, /* residuals in h->image, s Xt^T (gamma - delta Xt w)_+ in h->rows */
    CVXR_HINGE_EXCESS,
    CVXR_HINGE_VALUE,
    CVXR_HINGE_GAP
} cvxr_hinge_what;

typedef struct cvxr_hinge_job {
    cvxr_hinges *h;
    cvxr_hinge_what what;
    size_t count, tasks;
    double sums[CVXR_HINGE]; /* of the groups */
} cvxr_hinge_job;

/* image = rows X^T for `count` groups from `first` on, or back: rows = image X. */
static void cvxr_hinge_product(const cvxr_hinges *h, const cvxr_la *la, size_t first,
                               size_t count, int back) {
    const cvxr_data *data = h->core->data;
    double *rows = h->rows + first * h->dp, *image = h->image + first * h->ld;
    if (back)
        cvxr_gemm_f64(la, 0, 0, count, h->dp, h->n, 1, image, h->ld, data->X, h->dp, 0, rows,
                      h->dp);
    else
        cvxr_gemm_f64(la, 0, 1, count, h->n, data->d, 1, rows, h->dp, data->X, h->dp, 0, image,
                      h->ld);
}

/* The sum of squares of (Xt w)_- for one group. */
static double cvxr_hinge_gap(const cvxr_hinges *h, size_t g, const double *T) {
    const uint64_t *bits = cvxr_hinge_bits(h, g), flip = cvxr_hinge_flip(h, g);
    double sum = 0;
    size_t i;
    for (i = 0; i < h->n; i++) {
        const double z = *cvxr_signs_at(bits, flip, i) * T[i];
        if (z < 0) sum += z * z;
    }
    return sum;
}

static void cvxr_hinge_task(void *arg, size_t task) {
    cvxr_hinge_job *job = (cvxr_hinge_job *)arg;
    const cvxr_hinges *h = job->h;
    const cvxr_la *whole = &h->core->la;
    const cvxr_la la = job->tasks > 1 ? cvxr_la_single(whole, task) : *whole;
    const size_t from = cvxr_share(job->count, job->tasks, task, 4);
    const size_t to = cvxr_share(job->count, job->tasks, task + 1, 4);
    size_t j;
    if (from == to) return;
    cvxr_hinge_product(h, &la, from, to - from, 0);
    if (job->what == CVXR_HINGE_EXCESS)
        cvxr_hinge_product(h, &la, job->count + from, to - from, 0);
    for (j = from; j < to; j++) {
        double *T = h->image + j * h->ld;
        const size_t g = h->list[j];
        if (job->what == CVXR_HINGE_EXCESS)
            job->sums[j] = cvxr_hinge_excess(h, g, T, T + job->count * h->ld);
        else if (job->what == CVXR_HINGE_GAP) job->sums[j] = cvxr_hinge_gap(h, g, T);
        else cvxr_hinge_residual(h, g, T);
        if (job->what == CVXR_HINGE_VALUE) job->sums[j] = cvxr_sum_squares(h->n, T, NULL);
    }
    if (job->what == CVXR_HINGE_PULL) cvxr_hinge_product(h, &la, from, to - from, 1);
}

/* A panel of `count` groups; returns the sum over them. A BLAS of the caller's is called by
   his thread alone. */
static double cvxr_hinge_run(cvxr_hinges *h, cvxr_hinge_what what, size_t count) {
    const cvxr_core *core = h->core;
    const size_t products = what == CVXR_HINGE_PULL || what == CVXR_HINGE_EXCESS ? 2 : 1;
    const double size = (double)count * (double)h->n * (double)core->data->d;
    cvxr_hinge_job job;
    double sum = 0;
    size_t j;
    memset(&job, 0, sizeof job);
    job.h = h;
    job.what = what;
    job.count = count;
    job.tasks = cvxr_min_z(cvxr_task_count(&core->la, (double)products * size, 1e5),
                           (count + 3) / 4);
    if (core->la.blas && core->la.blas->dgemm) job.tasks = 1;
    cvxr_team_run(&core->la.team, job.tasks, cvxr_hinge_task, &job);
    h->core->op.flops += 2.0 * (double)products * size;
    for (j = 0; j < count; j++) sum += job.sums[j];
    return sum;
}

/* G -= the gradient at W. */
static void cvxr_hinges_gradient(cvxr_hinges *h, const double *W, double *G) {
    const size_t dp = h->dp;
    size_t g, j, next = 0, count;
    for (g = 0; g < h->groups; g++)
        if (cvxr_row_is_zero_f64(dp, W + g * dp))
            cvxr_axpby_f64(dp, h->scale, h->slope + g * dp, 1, G + g * dp);
    while ((count = cvxr_hinge_panel(h, W, NULL, &next)) > 0) {
        (void)cvxr_hinge_run(h, CVXR_HINGE_PULL, count);
        for (j = 0; j < count; j++)
            cvxr_axpby_f64(dp, h->scale, h->rows + j * dp, 1, G + h->list[j] * dp);
    }
}

/* gamma <- (gamma - delta Xt w)_+; groups at zero keep theirs. */
static void cvxr_hinges_update(cvxr_hinges *h, const double *W) {
    size_t i, j, next = 0, count;
    while ((count = cvxr_hinge_panel(h, W, NULL, &next)) > 0) {
        (void)cvxr_hinge_run(h, CVXR_HINGE_PULL, count);
        for (j = 0; j < count; j++) {
            double *gamma = h->gamma + h->list[j] * h->ld;
            for (i = 0; i < h->n; i++) gamma[i] = fabs(h->image[j * h->ld + i]);
            memcpy(h->slope + h->list[j] * h->dp, h->rows + j * h->dp,
                   h->dp * sizeof(double));
        }
    }
}

/* f(V) - f(Y) - <f'(Y), V - Y>. */
static double cvxr_hinges_excess(cvxr_hinges *h, const double *V, const double *Y) {
    double sum = 0;
    size_t next = 0, count;
    while ((count = cvxr_hinge_panel(h, V, Y, &next)) > 0)
        sum += cvxr_hinge_run(h, CVXR_HINGE_EXCESS, count);
    return h->scale * sum / (2 * h->delta);
}

static double cvxr_hinges_value(cvxr_hinges *h, const double *W) {
    double sum = 0;
    size_t g, next = 0, count;
    for (g = 0; g < h->groups; g++)
        if (cvxr_row_is_zero_f64(h->dp, W + g * h->dp))
            sum += cvxr_sum_squares(h->n, h->gamma + g * h->ld, NULL);
    while ((count = cvxr_hinge_panel(h, W, NULL, &next)) > 0)
        sum += cvxr_hinge_run(h, CVXR_HINGE_VALUE, count);
    return h->scale * sum / (2 * h->delta);
}

/* c_gap: the sum of squares of (Xt w)_-. */
static double cvxr_hinges_gap(cvxr_hinges *h, const double *W) {
    double sum = 0;
    size_t next = 0, count;
    while ((count = cvxr_hinge_panel(h, W, NULL, &next)) > 0)
        sum += cvxr_hinge_run(h, CVXR_HINGE_GAP, count);
    return sum;
}

/* The squared minimum-norm subgradient at U; G is overwritten. */
static double cvxr_fista_subgradient(cvxr_fista *s) {
    const size_t dp = s->core->data->dp;
    const double *G = (const double *)s->G, *U = (const double *)s->U;
    cvxr_penalty_sums sums;
    size_t g;
    memset(&sums, 0, sizeof sums);
    s->smooth->gradient(s, s->U, s->zU);
    for (g = 0; g < s->outputs * s->groups; g++) {
        const double *u = cvxr_row_is_zero_f64(dp, U + g * dp) ? NULL : U + g * dp;
        cvxr_neuron_sweep(1, dp, G + g * dp, &u, s->lambda, &sums);
    }
    return sums.subgradient;
}

/* Where the step came from gives a subgradient of about ||V - Y|| / eta at no cost; the true
   one is computed when that is small, or now and then. */
static int cvxr_fista_reached(cvxr_fista *s, double tol) {
    if (s->moved > tol * s->eta * s->eta && s->iteration % 50) return 0;
    return cvxr_fista_subgradient(s) <= tol;
}

/* ---- CD-A: all groups of a gated solution in one run. */

typedef struct cvxr_cda_run {
    cvxr_hinges hinges; /* gamma = b, delta = 1 */
    double tol;
} cvxr_cda_run;

static size_t cvxr_cda_image(cvxr_fista *s, void *W, void *z) {
    (void)s, (void)W, (void)z;
    return s->groups;
}

static void cvxr_cda_gradient(cvxr_fista *s, void *W, void *z) {
    (void)z;
    memset(s->G, 0, s->size * sizeof(double));
    cvxr_hinges_gradient(&((cvxr_cda_run *)s->self)->hinges, (const double *)W,
                         (double *)s->G);
}

static double cvxr_cda_excess(cvxr_fista *s) {
    return cvxr_hinges_excess(&((cvxr_cda_run *)s->self)->hinges, (const double *)s->V,
                              (const double *)s->Y);
}

static double cvxr_cda_value(cvxr_fista *s) {
    return cvxr_hinges_value(&((cvxr_cda_run *)s->self)->hinges, (const double *)s->U);
}

static cvxrelu_stop cvxr_cda_check(cvxr_fista *s) {
    if (cvxr_fista_reached(s, ((cvxr_cda_run *)s->self)->tol)) return CVXRELU_STOP_SUBGRADIENT;
    if (s->iteration % 10) return CVXRELU_STOP_NONE;
    cvxr_tick(s->core, s->iteration, cvxr_fista_objective(s), 0, s->groups);
    return s->core->stop;
}

static const cvxr_smooth cvxr_smooth_cda = { cvxr_cda_image, cvxr_cda_gradient, cvxr_cda_excess,
                                             cvxr_cda_value, cvxr_cda_check };

CVXR_UNUSED static size_t cvxr_cda_bytes(size_t n, size_t dp, size_t m) {
    return cvxr_fista_sizes(n, m * dp, m, 0, sizeof(double)) + cvxr_hinges_bytes(n, dp, m);
}

/* The rows of *w, which go with those of *u, minimise 1/2 ||(b - Xt w)_+||^2 + rho ||w|| with
   b = (-Xt u)_+ [MSP22 eq. 9], from what *w holds when it has as many rows as *u, else from
   zero; then v = u + w. Until the squared subgradient of the sum is <= tol (0 = 1e-6, G.1), or
   for `most` iterations (0 = 2000). Signs of *u are not read. Feasible only to about rho /
   sigma_min: the caller sees to that. */
CVXR_UNUSED static cvxrelu_stop cvxr_cda(cvxr_core *core, const cvxr_weights *u, double rho,
                                         double tol, int most, cvxr_weights *w) {
    const size_t size = u->m * core->data->dp;
    cvxrelu_stop stop = CVXRELU_STOP_NONE;
    cvxr_core work = *core; /* in float64, whatever the gated solver used */
    cvxr_cda_run run;
    cvxr_fista s;
    work.space = &cvxr_space_f64;
    work.type = CVXRELU_FLOAT64;
    work.op_work = work.op;
    run.tol = tol > 0 ? tol : 1e-6;
    cvxr_hinges_open(&run.hinges, &work, u->pattern, u->m);
    if (cvxr_fista_begin(&s, &work, &cvxr_smooth_cda, 1, u->m, 0)) {
        s.self = &run;
        s.penalty = &cvxr_penalties[CVXRELU_PENALTY_NEURON];
        s.lambda = rho;
        cvxr_hinges_update(&run.hinges, u->u);
        if (w->m == u->m) memcpy(s.U, w->u, size * sizeof(double));
        cvxr_fista_restart(&s);
        stop = cvxr_fista_run(&s, most > 0 ? most : 2000);
        w->m = u->m;
        memcpy(w->output, u->output, u->m * sizeof *u->output);
        memcpy(w->pattern, u->pattern, u->m * sizeof *u->pattern);
        memset(w->sign, 0, u->m);
        memcpy(w->u, s.U, size * sizeof(double));
    }
    cvxr_fista_close(&s);
    cvxr_hinges_close(&run.hinges);
    core->stop = work.stop;
    core->op.flops = work.op.flops;
    return stop;
}

/* ---- The augmented Lagrangian. */

#define CVXR_AL_INNER   1000 /* R-FISTA iterations a subproblem [MSP22 G.2] */
#define CVXR_AL_TOTAL   10000 /* and in all */
#define CVXR_AL_CHANGES 60   /* of delta by the windowing heuristic */

typedef struct cvxr_al {
    cvxr_fista fista;   /* U: c x 2 P x dp */
    cvxr_hinges hinges;
    cvxr_weights *best, *spare; /* feasible ones: the best so far, and room for the next */
    cvxr_certificate held;      /* of *best */
    double raw;                 /* violation of *best before it was projected */
    double *sums;               /* P x dp: both signs of a pattern together, or a gradient */
    double *v;                  /* dp */
    cvxr_face face;
    double tol, constraint_tol, low, high;
    double gap;      /* c_gap of the last subproblem's solution */
    int max_iters, max_outer, first, outer;
} cvxr_al;

static size_t cvxr_al_bytes(size_t n, size_t dp, size_t c, size_t P) {
    return cvxr_fista_sizes(n, c * 2 * P * dp, 2 * P, c * n, sizeof(double))
           + cvxr_hinges_bytes(n, dp, c * 2 * P) + cvxr_bytes(P * dp, sizeof(double))
           + cvxr_bytes(dp, sizeof(double)) + cvxr_bytes(dp, sizeof(uint32_t))
           + cvxr_bytes(dp, sizeof(double));
}

/* Predictions: the two raw weights of a pattern act as their sum. */
static size_t cvxr_al_image(cvxr_fista *s, void *W, void *z) {
    cvxr_al *al = (cvxr_al *)s->self;
    cvxr_core *core = s->core;
    const size_t dp = core->data->dp, P = core->patterns->count;
    size_t k, p, i, active = 0;
    for (k = 0; k < s->outputs; k++) {
        cvxr_select select;
        memset(&select, 0, sizeof select);
        select.idx = s->index;
        for (p = 0; p < P; p++) {
            const double *v = (const double *)W + k * s->per + 2 * p * dp, *w = v + dp;
            const int zero = cvxr_row_is_zero_f64(dp, v) + cvxr_row_is_zero_f64(dp, w);
            double *to = al->sums + select.count * dp;
            active += 2 - (size_t)zero;
            if (zero == 2) continue;
            for (i = 0; i < dp; i++) to[i] = v[i] + w[i];
            s->index[select.count++] = p;
        }
        cvxr_forward_f64(&core->op_work, &select, al->sums, 0,
                         (double *)z + k * core->data->n);
    }
    return active;
}

static void cvxr_al_gradient(cvxr_fista *s, void *W, void *z) {
    cvxr_al *al = (cvxr_al *)s->self;
    const size_t dp = s->core->data->dp, P = s->core->patterns->count;
    size_t k, p;
    for (k = 0; k < s->outputs; k++) {
        double *G = (double *)s->G + k * s->per;
        cvxr_loss_gradient(s, k, (double *)z + k * s->core->data->n, al->sums);
        for (p = 0; p < P; p++, G += 2 * dp) {
            memcpy(G, al->sums + p * dp, dp * sizeof(double));
            memcpy(G + dp, al->sums + p * dp, dp * sizeof(double));
        }
    }
    cvxr_hinges_gradient(&al->hinges, (const double *)W, (double *)s->G);
}

static double cvxr_al_excess(cvxr_fista *s) {
    return cvxr_loss_excess(s)
           + cvxr_hinges_excess(&((cvxr_al *)s->self)->hinges, (const double *)s->V,
                                (const double *)s->Y);
}

static double cvxr_al_value(cvxr_fista *s) {
    return cvxr_loss_value(s)
           + cvxr_hinges_value(&((cvxr_al *)s->self)->hinges, (const double *)s->U);
}

/* Progress shows the best feasible network: that of the iterate is not known. */
static cvxrelu_stop cvxr_al_check(cvxr_fista *s) {
    cvxr_al *al = (cvxr_al *)s->self;
    const int done = s->core->report->iterations - al->first;
    if (!cvxr_finite(cvxr_loss_value(s))) return CVXRELU_STOP_STALLED;
    if (cvxr_tick(s->core, done, al->held.objective, al->held.dual_bound, s->active))
        return s->core->stop;
    return cvxr_fista_reached(s, al->tol) ? CVXRELU_STOP_SUBGRADIENT : CVXRELU_STOP_NONE;
}

static const cvxr_smooth cvxr_smooth_al = { cvxr_al_image, cvxr_al_gradient, cvxr_al_excess,
                                            cvxr_al_value, cvxr_al_check };

static int cvxr_al_open(cvxr_al *al, cvxr_core *core) {
    const cvxr_data *data = core->data;
    const cvxrelu_al_options *o = &core->opt->al;
    const size_t P = core->patterns->count;
    CVXRELU_ASSERT(core->type == CVXRELU_FLOAT64 && core->kind == CVXRELU_RELU);
    memset(al, 0, sizeof *al);
    cvxr_fista_begin(&al->fista, core, &cvxr_smooth_al, data->c, 2 * P, data->c * data->n);
    al->fista.self = al;
    cvxr_hinges_open(&al->hinges, core, NULL, data->c * 2 * P);
    al->sums = (double *)cvxr_alloc(core->mem, P * data->dp, sizeof(double));
    al->v = (double *)cvxr_alloc(core->mem, data->dp, sizeof(double));
    al->face.rows = (uint32_t *)cvxr_alloc(core->mem, data->dp, sizeof(uint32_t));
    al->face.gamma = (double *)cvxr_alloc(core->mem, data->dp, sizeof(double));
    al->hinges.scale = 1 / core->units;
    al->hinges.delta = o->delta > 0 ? o->delta : 100;
    al->low = o->window_low > 0 ? o->window_low : 1e-3;
    al->high = o->window_high > 0 ? o->window_high : 1e-2;
    al->constraint_tol = o->constraint_tol > 0 ? o->constraint_tol : 1e-6;
    al->max_outer = o->max_outer > 0 ? o->max_outer : 10000;
    al->max_iters = core->opt->max_iters > 0 ? core->opt->max_iters : CVXR_AL_TOTAL;
    al->first = core->report->iterations;
    return core->mem->failed == CVXRELU_OK;
}

static void cvxr_al_close(cvxr_al *al) {
    const cvxr_core *core = al->fista.core;
    const size_t dp = core->data->dp, P = core->patterns->count;
    cvxr_release(core->mem, al->face.gamma, dp, sizeof(double));
    cvxr_release(core->mem, al->face.rows, dp, sizeof(uint32_t));
    cvxr_release(core->mem, al->v, dp, sizeof(double));
    cvxr_release(core->mem, al->sums, P * dp, sizeof(double));
    cvxr_hinges_close(&al->hinges);
    cvxr_fista_close(&al->fista);
}

/* ---- From an iterate to a network: every group projected on its cone. */

/* U's group g projected into *out (raw), which has room for it; nothing is added where the
   projection is 0 or failed. Returns the violation before. */
static double cvxr_al_project_group(cvxr_al *al, size_t g, cvxr_weights *out) {
    cvxr_core *core = al->fista.core;
    const size_t dp = core->data->dp;
    const uint64_t *bits = cvxr_hinge_bits(&al->hinges, g);
    const double *u = (const double *)al->fista.U + g * dp;
    double *to = out->u + out->m * dp, raw;
    const int sign = cvxr_hinge_sign(&al->hinges, g);
    size_t i;
    for (i = 0; i < dp; i++) al->v[i] = sign > 0 ? u[i] : -u[i];
    raw = cvxr_cone_violation(&core->cone, bits, al->v);
    al->face.count = 0;
    if (cvxr_cone_project(&core->cone, bits, NULL, al->v, &al->face, to) != CVXR_CONE_OK)
        return raw;
    if (cvxr_row_is_zero_f64(dp, to)) return raw;
    for (i = 0; sign < 0 && i < dp; i++) to[i] = -to[i];
    out->output[out->m] = g / al->fista.groups;
    out->pattern[out->m] = cvxr_hinge_pattern(&al->hinges, g);
    out->sign[out->m++] = (signed char)sign;
    return raw;
}

/* Project the iterate, certify it, and keep it when it is the best so far. */
static void cvxr_al_look(cvxr_al *al) {
    const cvxr_fista *s = &al->fista;
    cvxr_weights swap, *out = al->spare;
    cvxr_certificate check;
    double raw = 0;
    size_t g;
    out->m = 0;
    for (g = 0; g < s->outputs * s->groups; g++)
        if (!cvxr_row_is_zero_f64(out->dp, (const double *)s->U + g * out->dp))
            raw = cvxr_max(raw, cvxr_al_project_group(al, g, out));
    cvxr_certify(s->core, out, &check);
    s->core->best_bound = cvxr_max(s->core->best_bound, check.dual_bound);
    if (!(check.objective < al->held.objective)) return;
    al->held = check;
    al->raw = raw;
    swap = *al->best, *al->best = *out, *out = swap;
}

/* U at the weights to start from, which are the best network so far when they beat zero. */
static void cvxr_al_start(cvxr_al *al, cvxr_weights *weights, cvxr_weights *start) {
    cvxr_fista *s = &al->fista;
    const size_t dp = s->core->data->dp;
    size_t j;
    for (j = 0; j < start->m; j++) {
        const size_t g = start->output[j] * s->groups + 2 * start->pattern[j]
                         + (start->sign[j] < 0);
        memcpy((double *)s->U + g * dp, start->u + j * dp, dp * sizeof(double));
    }
    al->best = weights;
    al->spare = start;
    weights->m = 0;
    cvxr_certify(s->core, weights, &al->held);
    if (start->m) cvxr_al_look(al);
    cvxr_al_image(s, s->U, s->zU);
}

/* ---- The method of multipliers. */

/* Minimise L from the last solution [MSP22 eq. 11]. A line search that rounding defeats ends
   the subproblem, not the run: its step is not kept. */
static cvxrelu_stop cvxr_al_inner(cvxr_al *al) {
    cvxr_fista *s = &al->fista;
    const int left = al->max_iters - (s->core->report->iterations - al->first);
    const double eta = s->eta;
    cvxrelu_stop stop;
    cvxr_fista_restart(s);
    stop = cvxr_fista_run(s, left < CVXR_AL_INNER ? left : CVXR_AL_INNER);
    if (!(s->eta > 1e-100)) s->eta = eta;
    al->gap = cvxr_hinges_gap(&al->hinges, (const double *)s->U);
    return stop;
}

/* The windowing heuristic: delta such that c_gap of the first subproblem (no multipliers)
   lies in the window. G.2's tolerance, 10^{-3/2} halved whenever the gap is too small, is of a
   norm: here it is squared, and ends at G.2's last, 10^-3, or at a looser one of the options.
   When not even a smaller delta brings the gap into the window, which is absolute and the
   targets may be small, delta is left as it was. Returns NONE, or why the run must end. */
static cvxrelu_stop cvxr_al_window(cvxr_al *al, double tol) {
    const cvxr_core *core = al->fista.core;
    const double last = cvxr_max(tol, 1e-6), first = al->hinges.delta;
    double before = -1; /* c_gap at twice this delta and the last tolerance */
    int change;
    al->tol = cvxr_max(tol, 1e-3);
    for (change = 0; change < CVXR_AL_CHANGES; change++) {
        const cvxrelu_stop stop = cvxr_al_inner(al);
        if (core->stop) return core->stop;
        if (core->report->iterations - al->first >= al->max_iters)
            return CVXRELU_STOP_ITERATIONS;
        if (stop == CVXRELU_STOP_STALLED || (al->gap >= al->low && al->gap <= al->high)) break;
        if (al->gap > al->high) {
            al->hinges.delta *= 2;
            continue;
        }
        if (al->tol <= last) {
            if (al->gap <= 1.5 * before) al->hinges.delta = first;
            if (al->gap <= 1.5 * before || al->gap <= al->constraint_tol) break;
            before = al->gap;
        }
        al->hinges.delta /= 2;
        al->tol = cvxr_max(last, al->tol / 4);
    }
    al->tol = tol;
    return CVXRELU_STOP_NONE;
}

/* Is it time to project and certify? After 1, 2, 4, 8, 16, 24, ... updates. */
static int cvxr_al_due(int outer) {
    return outer % 8 == 0 || (outer & (outer - 1)) == 0;
}

static cvxrelu_stop cvxr_al_run(cvxr_al *al) {
    cvxr_core *core = al->fista.core;
    const double tol = core->opt->subgradient_tol > 0 ? core->opt->subgradient_tol : 1e-6;
    cvxrelu_stop inner = CVXRELU_STOP_NONE;
    int stalls = 0;
    al->tol = tol;
    if (!(core->opt->al.delta > 0)) inner = cvxr_al_window(al, tol);
    if (inner) return inner;
    for (;;) {
        inner = cvxr_al_inner(al);
        if (core->stop) return core->stop;
        if (inner == CVXRELU_STOP_SUBGRADIENT && al->gap <= al->constraint_tol) return inner;
        if (core->report->iterations - al->first >= al->max_iters) break;
        stalls = inner == CVXRELU_STOP_STALLED ? stalls + 1 : 0;
        if (stalls > 2) return CVXRELU_STOP_STALLED;
        cvxr_hinges_update(&al->hinges, (const double *)al->fista.U);
        if (++al->outer >= al->max_outer) break;
        if (cvxr_al_due(al->outer)) cvxr_al_look(al);
        if (al->held.gap <= core->opt->tol) return CVXRELU_STOP_GAP;
    }
    return CVXRELU_STOP_ITERATIONS;
}

/* Solve C-ReLU over core->patterns from *start (used up) into *weights: projected, so feasible;
   report->raw_violation is that of the answer before. Both have room for all groups. */
static cvxrelu_stop cvxr_al_solve(cvxr_core *core, cvxr_weights *weights, cvxr_weights *start) {
    cvxrelu_stop stop = CVXRELU_STOP_NONE;
    cvxr_al al;
    if (cvxr_al_open(&al, core)) {
        cvxr_al_start(&al, weights, start);
        stop = cvxr_al_run(&al);
        if (stop != CVXRELU_STOP_GAP) cvxr_al_look(&al);
        if (al.held.gap <= core->opt->tol) stop = CVXRELU_STOP_GAP;
        core->report->raw_violation = al.raw;
    }
    cvxr_al_close(&al);
    return stop;
}

/* ==== S16 CONE DECOMPOSITIONS ============================================================
   A gated weight u of a pattern becomes v - w = u with v and w in its cone K = {x : Xt x >= 0},
   Xt = (2D-I)X. With b = (-Xt u)_+ the pairs are v = u + w with Xt w >= b, and S11 projects on
   that set:
     FEASIBLE     w' = the projection of 0
     MIN_NORM     least ||w|| + ||u + w||: w(t) = the projection of -t u is least when t =
                  ||w|| / (||w|| + ||u + w||), a scalar equation with one change of sign in
                  [0, 1]; u in K (w = 0) and -u in K (v = 0) aside. Certified by <y, u> with
                  ||Proj_K(y)|| <= 1 and ||Proj_K(-y)|| <= 1, which no pair can fall below
     APPROXIMATE  S15's CD-A to the tolerance of [MSP22 D.3], then the projection of its w
     CLOSED_FORM  w = Xt^+ b when the rows are independent. [MSP22 Prop. 3.4] prints Xt_I^+ for
                  the columns I of Xt^+: that w need not be feasible, and the factor 2 in norm,
                  which rests on it, does not hold for this one
   Then v and w are moved into K where rounding left them out.
   No w exists when K has no interior and its span does not hold u. K is then replaced by a cone
   with interior that contains it [MSP22 Prop. 3.2]: the rows orthogonal to K take the sides of
   a vector h in general position, the others stay. [MSP22 Thm 3.3, 3.7] add up weights after
   that as if it kept the predictions. It does so for weights in the span of K only: the h that
   changes them least of several is taken, and the change is reported.
   Uses S02, S04 to S09, S11, S12, S15. Used by S22. Tests: tests/test_s16_decompose.c.
   Source: [MSP22] sections 3 and 4.2, B, C. */

#define CVXR_DECOMPOSE_OK       0
#define CVXR_DECOMPOSE_SINGULAR 1 /* no pair: the cone has no interior */
#define CVXR_DECOMPOSE_FAILED   2 /* no pair was found */

/* Relative violation up to which a weight counts as inside, and from which it is moved. */
#define CVXR_DECOMPOSE_INSIDE 1e-12
#define CVXR_DECOMPOSE_MOVE   2e-12
/* Distance of a unit row from orthogonal to K up to which it counts as that. */
#define CVXR_DECOMPOSE_FLAT 1e-9
#define CVXR_DECOMPOSE_STEPS 60

typedef struct cvxr_decomposer {
    cvxr_cone *cone;
    size_t n, d, dp, reals, rank; /* rank: of the rows, when the closed form is prepared */
    double *block;                /* all arrays of doubles: */
    double *b;                    /* n */
    double *z, *least, *y, *spare, *gate; /* dp each; y: the dual point of the last weight */
    double *matrix;               /* 3 d d + d: for singular values */
    double *factor, *tau;         /* d d, d: of the closed form */
    uint32_t *rows;               /* d + n: of the face; rows of the factor */
    cvxr_face face;
    unsigned char *flat;          /* n: rows orthogonal to the cone */
} cvxr_decomposer;

typedef struct cvxr_decomposed {
    double u_norm, norm, raw_norm; /* ||u||; ||v|| + ||w||, also before they were moved */
    double bound;                  /* proven: no pair has a smaller norm */
    double least, kappa;           /* ||w'||; condition of the rows tight at w' */
    double raw_violation, mismatch; /* relative; ||v - w - u|| / ||u|| */
    int inside, steps;
} cvxr_decomposed;

/* ---- Memory. */

static size_t cvxr_decomposer_reals(size_t n, size_t d, size_t dp) {
    return cvxr_pad(n) + 5 * dp + 4 * d * d + d + 2 * cvxr_pad(d);
}

CVXR_UNUSED static size_t cvxr_decomposer_bytes(size_t n, size_t d, size_t dp) {
    return cvxr_bytes(cvxr_decomposer_reals(n, d, dp), sizeof(double))
           + cvxr_bytes(d + n, sizeof(uint32_t)) + cvxr_bytes(n, 1);
}

static void cvxr_decomposer_close(cvxr_decomposer *s, cvxr_mem *mem) {
    cvxr_release(mem, s->flat, s->n, 1);
    cvxr_release(mem, s->rows, s->d + s->n, sizeof(uint32_t));
    cvxr_release(mem, s->block, s->reals, sizeof(double));
    memset(s, 0, sizeof *s);
}

/* For the data of an open cone object, which is borrowed. Returns 0 when memory is refused. */
static int cvxr_decomposer_open(cvxr_decomposer *s, cvxr_mem *mem, cvxr_cone *cone) {
    const size_t n = cone->n, d = cone->d, dp = cone->dp;
    double *at;
    memset(s, 0, sizeof *s);
    s->cone = cone;
    s->n = n, s->d = d, s->dp = dp;
    s->reals = cvxr_decomposer_reals(n, d, dp);
    s->block = (double *)cvxr_alloc_zero(mem, s->reals, sizeof(double));
    s->rows = (uint32_t *)cvxr_alloc(mem, d + n, sizeof(uint32_t));
    s->flat = (unsigned char *)cvxr_alloc(mem, n, 1);
    if (mem->failed) {
        cvxr_decomposer_close(s, mem);
        return 0;
    }
    at = s->block;
    s->b = at, at += cvxr_pad(n);
    s->z = at, at += dp;
    s->least = at, at += dp;
    s->y = at, at += dp;
    s->spare = at, at += dp;
    s->gate = at, at += dp;
    s->face.gamma = at, at += cvxr_pad(d);
    s->tau = at, at += cvxr_pad(d);
    s->factor = at, at += d * d;
    s->matrix = at;
    s->face.rows = s->rows;
    return 1;
}

/* ---- Small things. */

/* t_j: +1 where row j is active in the pattern, else -1. */
static double cvxr_decompose_side(const uint64_t *bits, size_t j) {
    return (bits[j / 64] >> j % 64 & 1) ? 1 : -1;
}

static double cvxr_decompose_product(const cvxr_decomposer *s, size_t j, const double *x) {
    return cvxr_dot_f64(s->dp, s->cone->X + j * s->dp, x);
}

static double cvxr_decompose_norm(const cvxr_decomposer *s, const double *x) {
    return cvxr_norm2_f64(s->dp, x);
}

/* v = u + w; returns ||w|| + ||v||. */
static double cvxr_decompose_sum(const cvxr_decomposer *s, const double *u, const double *w,
                                 double *v) {
    size_t i;
    for (i = 0; i < s->dp; i++) v[i] = u[i] + w[i];
    return cvxr_decompose_norm(s, w) + cvxr_decompose_norm(s, v);
}

/* w = the point nearest to -t u with Xt w >= b, from the last face. */
static int cvxr_decompose_project(cvxr_decomposer *s, const uint64_t *bits, const double *u,
                                  double t, double *w) {
    size_t i;
    for (i = 0; i < s->dp; i++) s->z[i] = -t * u[i];
    return cvxr_cone_project(s->cone, bits, s->b, s->z, &s->face, w);
}

/* ---- Cones without interior. */

/* p (unit, or 0 when K = {0}) = a relative interior point of K; flat: the rows orthogonal to K,
   those of zeros aside. The largest t_j x_j.v over unit v in K is ||Proj_K(t_j x_j)||, and the
   projections add up to a point where all rows are positive that can be. Returns how many rows
   are flat. */
static size_t cvxr_decompose_interior(cvxr_decomposer *s, const uint64_t *bits, double *p) {
    const cvxr_cone *cone = s->cone;
    double norm = 0, size, *v = s->spare;
    size_t j, i, flat = 0;
    memset(p, 0, s->dp * sizeof *p);
    for (j = 0; j < s->n; j++) {
        const double *x = cone->X + j * s->dp;
        const double by = cvxr_decompose_side(bits, j) * cone->inverse[j];
        int state;
        s->flat[j] = 0;
        if (cone->norms[j] == 0) continue;
        if (by * cvxr_decompose_product(s, j, p) > CVXR_DECOMPOSE_FLAT * norm) continue;
        for (i = 0; i < s->dp; i++) s->z[i] = by * x[i];
        s->face.count = 0;
        state = cvxr_cone_project(s->cone, bits, NULL, s->z, &s->face, v);
        size = cvxr_decompose_norm(s, v);
        s->flat[j] = size <= CVXR_DECOMPOSE_FLAT;
        flat += s->flat[j];
        if (s->flat[j] || state != CVXR_CONE_OK) continue;
        for (i = 0; i < s->dp; i++) p[i] += v[i] / size;
        norm = cvxr_decompose_norm(s, p);
    }
    for (i = 0; i < s->dp && norm > 0; i++) p[i] /= norm;
    return flat;
}

/* gate (unit) = p + e h with the rows off the flat ones on p's sides and the flat ones on h's.
   Returns 1 when all of them are that beyond rounding, else 0. */
static int cvxr_decompose_lean(const cvxr_decomposer *s, const double *p, const double *h,
                               double *gate) {
    const double margin = 64 * DBL_EPSILON * (double)s->d;
    const double rest = cvxr_decompose_norm(s, p), size = cvxr_decompose_norm(s, h);
    double e = 1, norm;
    size_t j, i;
    for (j = 0; j < s->n && rest > 0; j++) {
        const double a = cvxr_decompose_product(s, j, p);
        const double c = cvxr_decompose_product(s, j, h) / size;
        if (s->flat[j] || s->cone->norms[j] == 0) continue;
        if ((a < 0) != (c < 0) && fabs(a) < 2 * e * fabs(c)) e = fabs(a / c) / 2;
    }
    for (i = 0; i < s->dp; i++) gate[i] = p[i] + e / size * h[i];
    norm = cvxr_decompose_norm(s, gate);
    for (i = 0; i < s->dp && norm > 0; i++) gate[i] /= norm;
    for (j = 0; j < s->n; j++) {
        const double *side = s->flat[j] ? h : p;
        const double a = cvxr_decompose_product(s, j, gate);
        if (s->cone->norms[j] == 0) continue;
        if (fabs(a) <= margin * s->cone->norms[j]
            || (a < 0) != (cvxr_decompose_product(s, j, side) < 0))
            return 0;
    }
    return norm > 0;
}

/* p loses its components along the flat rows, which rounding left. */
static void cvxr_decompose_flatten(const cvxr_decomposer *s, double *p) {
    size_t j, i;
    int turn;
    for (turn = 0; turn < 20; turn++)
        for (j = 0; j < s->n; j++) {
            const double *x = s->cone->X + j * s->dp;
            double by;
            if (!s->flat[j]) continue;
            by = cvxr_decompose_product(s, j, p) * s->cone->inverse[j] * s->cone->inverse[j];
            for (i = 0; i < s->dp; i++) p[i] -= by * x[i];
        }
}

/* merged, gate: a pattern whose cone has an interior, with the gate in it, and contains the one
   of bits; *change: the length of (D' - D) X u. Rows of zeros keep their bits. Returns 0 when
   none is found beyond rounding. [MSP22 Prop. 3.2] */
static int cvxr_decompose_merge(cvxr_decomposer *s, const uint64_t *bits, const double *u,
                                uint64_t *merged, double *gate, double *change) {
    double *p = s->least, *h = s->y, *best = s->gate, size = cvxr_decompose_norm(s, u);
    cvxrelu_random random;
    size_t i, j;
    int turn, found = 0;
    (void)cvxr_decompose_interior(s, bits, p);
    cvxr_decompose_flatten(s, p);
    cvxrelu_random_init(&random, 16);
    memset(h, 0, s->dp * sizeof *h);
    for (turn = 0; turn < 16; turn++) { /* near u, near -u, anywhere, in turn */
        const double along = turn % 3 == 0 ? 1 : turn % 3 == 1 ? -1 : 0;
        const double noise = along != 0 ? 1e-3 : 1;
        double sum = 0;
        for (i = 0; i < s->d; i++) {
            h[i] = noise * cvxrelu_random_normal(&random);
            if (size > 0) h[i] += along * u[i] / size;
        }
        if (!cvxr_decompose_lean(s, p, h, best)) continue;
        for (j = 0; j < s->n; j++) {
            const double a = cvxr_decompose_product(s, j, best);
            const double c = cvxr_decompose_product(s, j, u);
            if (s->flat[j] && (a >= 0) != (cvxr_decompose_side(bits, j) > 0)) sum += c * c;
        }
        if (found && sqrt(sum) >= *change) continue;
        *change = sqrt(sum);
        memcpy(gate, best, s->d * sizeof *gate);
        found = 1;
    }
    if (found) memcpy(best, gate, s->d * sizeof *best);
    memcpy(merged, bits, (s->n + 63) / 64 * sizeof *bits);
    for (j = 0; j < s->n && found; j++) {
        const uint64_t bit = (uint64_t)1 << j % 64;
        if (!s->flat[j]) continue;
        merged[j / 64] &= ~bit;
        if (cvxr_decompose_product(s, j, best) >= 0) merged[j / 64] |= bit;
    }
    return found;
}

/* ---- The w of least norm. */

/* Ratio of the largest to the smallest singular value of the face's rows, which are
   independent; 0 without rows. */
static double cvxr_decompose_kappa(const cvxr_decomposer *s) {
    const size_t k = s->face.count, d = s->d;
    double *values = s->matrix + d * d, *work = values + d;
    size_t i;
    if (k == 0) return 0;
    for (i = 0; i < k; i++)
        memcpy(s->matrix + i * d, s->cone->X + s->face.rows[i] * s->dp, d * sizeof(double));
    if (!cvxr_svd(k, d, s->matrix, d, values, NULL, NULL, work)) return 0;
    return values[k - 1] > 0 ? values[0] / values[k - 1] : HUGE_VAL;
}

/* least = w', or where rounding stops the projection a multiple of an interior point. */
static int cvxr_decompose_least(cvxr_decomposer *s, const uint64_t *bits, const double *u,
                                cvxr_decomposed *out) {
    double *p = s->gate, by = 0;
    size_t j, i;
    s->face.count = 0;
    out->steps++;
    if (cvxr_decompose_project(s, bits, u, 0, s->least) != CVXR_CONE_OK) {
        (void)cvxr_decompose_interior(s, bits, p);
        for (j = 0; j < s->n; j++) {
            const double a = cvxr_decompose_side(bits, j) * cvxr_decompose_product(s, j, p);
            if (s->b[j] <= CVXR_DECOMPOSE_INSIDE * s->cone->norms[j] * out->u_norm) continue;
            if (s->flat[j]) return CVXR_DECOMPOSE_SINGULAR;
            if (a <= 0) return CVXR_DECOMPOSE_FAILED;
            by = cvxr_max(by, s->b[j] / a);
        }
        for (i = 0; i < s->dp; i++) s->least[i] = by * p[i];
        s->face.count = 0;
    }
    out->kappa = cvxr_decompose_kappa(s);
    out->least = cvxr_decompose_norm(s, s->least);
    return CVXR_DECOMPOSE_OK;
}

/* ---- The pair of least norm. */

/* A proven lower bound on ||v|| + ||w|| over all pairs, from the multipliers of w = w(t): for
   the optimal t the rows tight for v, those with b > 0, give y = v/||v|| - Xt^T alpha, and the
   others, tight for w, -y = w/||w|| - Xt^T beta. Any multipliers >= 0 bound the norms of the
   projections of y and -y, so that the scaled y is feasible for every t. */
static double cvxr_decompose_dual(cvxr_decomposer *s, const uint64_t *bits, const double *u,
                                  const double *v, const double *w) {
    const double a = cvxr_decompose_norm(s, v), c = cvxr_decompose_norm(s, w);
    double *y = s->z, *rest = s->spare, most;
    size_t i, k;
    if (a == 0 || c == 0) return 0;
    for (i = 0; i < s->dp; i++) y[i] = rest[i] = v[i] / a;
    for (k = 0; k < s->face.count; k++) {
        const size_t j = s->face.rows[k];
        const double by = -(1 / a + 1 / c) * s->face.gamma[k] * cvxr_decompose_side(bits, j);
        cvxr_axpy_f64(s->dp, by, s->cone->X + j * s->dp, rest);
        if (s->b[j] > 0) cvxr_axpy_f64(s->dp, by, s->cone->X + j * s->dp, y);
    }
    most = cvxr_max(1, cvxr_decompose_norm(s, rest));
    for (i = 0; i < s->dp; i++) y[i] /= most;
    return cvxr_dot_f64(s->dp, y, u);
}

/* The bracket of the scalar equation f(t) = ||w(t)|| / (||w(t)|| + ||u + w(t)||) - t = 0. */
typedef struct cvxr_root {
    double low, high, f_low, f_high; /* f_low >= 0 >= f_high */
    int side;                        /* which end moved last */
} cvxr_root;

/* f(t) is known: the next t. First t + f(t), which lowers the norm every time, then false
   position, an end that stays twice having its f halved (the Illinois rule). */
static double cvxr_root_next(cvxr_root *r, double t, double f, int step) {
    const int side = f >= 0 ? -1 : 1;
    double next;
    if (f >= 0) {
        r->low = t, r->f_low = f;
        if (r->side == side) r->f_high /= 2;
    } else {
        r->high = t, r->f_high = f;
        if (r->side == side) r->f_low /= 2;
    }
    r->side = side;
    if (step < 3) return t + f;
    next = (r->low * r->f_high - r->high * r->f_low) / (r->f_high - r->f_low);
    return next > r->low && next < r->high ? next : (r->low + r->high) / 2;
}

/* From w' in s->least: w of the least norm found, v its partner. */
static void cvxr_decompose_min_norm(cvxr_decomposer *s, const uint64_t *bits, const double *u,
                                    double *v, double *w, cvxr_decomposed *out) {
    cvxr_root root;
    double best, t, *at = s->gate, *partner = v;
    int step;
    memset(&root, 0, sizeof root);
    root.high = 1, root.f_high = -1;
    memcpy(w, s->least, s->dp * sizeof *w);
    best = cvxr_decompose_sum(s, u, w, v);
    t = out->least / best;
    root.f_low = t;
    for (step = 0; step < CVXR_DECOMPOSE_STEPS; step++) {
        double norm, bound, f;
        if (cvxr_decompose_project(s, bits, u, t, at) != CVXR_CONE_OK) break;
        out->steps++;
        norm = cvxr_decompose_sum(s, u, at, partner);
        bound = cvxr_decompose_dual(s, bits, u, partner, at);
        if (bound > out->bound) {
            out->bound = bound;
            memcpy(s->y, s->z, s->dp * sizeof *s->y);
        }
        if (norm < best) {
            best = norm;
            memcpy(w, at, s->dp * sizeof *w);
        }
        f = cvxr_decompose_norm(s, at) / norm - t;
        if (best - out->bound <= 1e-13 * best || fabs(f) <= 1e-16) break;
        t = cvxr_root_next(&root, t, f, step);
        if (root.high - root.low <= 1e-15) break;
    }
    (void)cvxr_decompose_sum(s, u, w, v);
}

/* ---- The closed form. */

/* Factors the rows that are not zero; returns 1 when they are independent. */
static int cvxr_decompose_factor(cvxr_decomposer *s) {
    size_t j, i, k = 0;
    uint32_t *rows = s->rows + s->d;
    int full = 1;
    for (j = 0; j < s->n; j++)
        if (s->cone->norms[j] > 0) rows[k++] = (uint32_t)j;
    s->rank = k;
    if (k > s->d) return 0;
    for (j = 0; j < k; j++)
        for (i = 0; i < s->d; i++) s->factor[i * k + j] = s->cone->X[rows[j] * s->dp + i];
    if (k) cvxr_qr(s->d, k, s->factor, k, s->tau);
    for (j = 0; j < k; j++)
        full &= fabs(s->factor[j * k + j]) > 1e-10 * s->cone->norms[rows[j]];
    return full;
}

/* w = Xt^+ b = Q R^-T (t b) of the factored X^T = Q R. */
static void cvxr_decompose_closed(const cvxr_decomposer *s, const uint64_t *bits, double *w) {
    const uint32_t *rows = s->rows + s->d;
    const size_t k = s->rank;
    size_t j;
    memset(w, 0, s->dp * sizeof *w);
    for (j = 0; j < k; j++) w[j] = cvxr_decompose_side(bits, rows[j]) * s->b[rows[j]];
    cvxr_qr_solve_r(1, k, s->factor, k, w);
    cvxr_qr_apply_q(s->d, k, s->factor, k, s->tau, w);
}

/* ---- One weight. */

/* x moves into K where it is out of it. */
static void cvxr_decompose_move(cvxr_decomposer *s, const uint64_t *bits, double *x) {
    if (cvxr_cone_violation(s->cone, bits, x) <= CVXR_DECOMPOSE_MOVE) return;
    memcpy(s->z, x, s->dp * sizeof *x);
    s->face.count = 0;
    if (cvxr_cone_project(s->cone, bits, NULL, s->z, &s->face, x) != CVXR_CONE_OK)
        memcpy(x, s->z, s->dp * sizeof *x);
}

/* The pair v = u + w is there: what is to be said of it, and v, w into K. */
static void cvxr_decompose_finish(cvxr_decomposer *s, const uint64_t *bits, const double *u,
                                  double *v, double *w, cvxr_decomposed *out) {
    size_t i;
    if (out->raw_norm == 0) {
        out->raw_norm = cvxr_decompose_norm(s, v) + cvxr_decompose_norm(s, w);
        out->raw_violation = cvxr_max(cvxr_cone_violation(s->cone, bits, v),
                                      cvxr_cone_violation(s->cone, bits, w));
    }
    cvxr_decompose_move(s, bits, v);
    cvxr_decompose_move(s, bits, w);
    out->norm = cvxr_decompose_norm(s, v) + cvxr_decompose_norm(s, w);
    for (i = 0; i < s->dp; i++) s->spare[i] = v[i] - w[i] - u[i];
    out->mismatch = out->u_norm > 0 ? cvxr_decompose_norm(s, s->spare) / out->u_norm : 0;
}

/* w comes from CD-A: the nearest w with Xt w >= b. */
static void cvxr_decompose_repair(cvxr_decomposer *s, const uint64_t *bits, const double *u,
                                  double *v, double *w, cvxr_decomposed *out) {
    out->raw_norm = cvxr_decompose_sum(s, u, w, v);
    out->raw_violation = cvxr_max(cvxr_cone_violation(s->cone, bits, v),
                                  cvxr_cone_violation(s->cone, bits, w));
    memcpy(s->z, w, s->dp * sizeof *w);
    s->face.count = 0;
    out->steps++;
    if (cvxr_cone_project(s->cone, bits, s->b, s->z, &s->face, w) != CVXR_CONE_OK)
        memcpy(w, s->least, s->dp * sizeof *w);
}

/* v, w (dp entries each, padding zero) with v - w = u in the cone of bits; APPROXIMATE: w = an
   approximate one on entry; CLOSED_FORM: after cvxr_decompose_factor. s->y: the dual point that
   proves out->bound. Returns OK, SINGULAR or FAILED; v and w say nothing then. */
static int cvxr_decompose(cvxr_decomposer *s, cvxrelu_decomposition kind, const uint64_t *bits,
                          const double *u, double *v, double *w, cvxr_decomposed *out) {
    size_t i, j;
    int state, opposite;
    memset(out, 0, sizeof *out);
    out->u_norm = out->bound = cvxr_decompose_norm(s, u);
    for (i = 0; i < s->dp; i++) s->y[i] = out->u_norm > 0 ? u[i] / out->u_norm : 0;
    for (i = 0; i < s->dp; i++) s->spare[i] = -u[i];
    opposite = cvxr_cone_violation(s->cone, bits, s->spare) <= CVXR_DECOMPOSE_INSIDE;
    out->inside = cvxr_cone_violation(s->cone, bits, u) <= CVXR_DECOMPOSE_INSIDE;
    for (j = 0; j < s->n; j++)
        s->b[j] = cvxr_max(0, -cvxr_decompose_side(bits, j) * cvxr_decompose_product(s, j, u));
    if (out->inside) {
        for (i = 0; i < s->dp; i++) w[i] = 0;
    } else {
        state = cvxr_decompose_least(s, bits, u, out);
        if (state != CVXR_DECOMPOSE_OK) return state;
        if (kind == CVXRELU_DECOMPOSE_APPROXIMATE) cvxr_decompose_repair(s, bits, u, v, w, out);
        else if (kind == CVXRELU_DECOMPOSE_CLOSED_FORM) cvxr_decompose_closed(s, bits, w);
        else if (kind == CVXRELU_DECOMPOSE_FEASIBLE) memcpy(w, s->least, s->dp * sizeof *w);
        else if (!opposite) cvxr_decompose_min_norm(s, bits, u, v, w, out);
        else for (i = 0; i < s->dp; i++) w[i] = -u[i];
    }
    out->inside |= opposite;
    (void)cvxr_decompose_sum(s, u, w, v);
    cvxr_decompose_finish(s, bits, u, v, w, out);
    return CVXR_DECOMPOSE_OK;
}

/* ---- All weights of a gated network. */

typedef struct cvxr_decomposition {
    cvxr_core *core;         /* of kind RELU, over patterns */
    cvxr_patterns *patterns; /* core->patterns, to be written: merged ones change in place */
    cvxr_decomposer one;
    cvxr_weights *u;         /* sorted; merged weights are added up */
    cvxr_weights *out;       /* room for 2 u->m groups */
    cvxr_weights close;      /* APPROXIMATE: CD-A's w of every group */
    cvxrelu_decompose_report *about;
    double *z;               /* c x n: predictions of the gated network */
    double *v, *w, *gate;    /* dp each */
    uint64_t *bits;          /* a pattern */
} cvxr_decomposition;

static int cvxr_decomposition_open(cvxr_decomposition *s) {
    const cvxr_data *data = s->core->data;
    cvxr_mem *mem = s->core->mem;
    (void)cvxr_decomposer_open(&s->one, mem, &s->core->cone);
    s->z = (double *)cvxr_alloc_zero(mem, data->n * data->c + 3 * data->dp, sizeof(double));
    s->bits = (uint64_t *)cvxr_alloc(mem, (data->n + 63) / 64, sizeof(uint64_t));
    if (s->about->kind == CVXRELU_DECOMPOSE_APPROXIMATE)
        cvxr_weights_open(mem, &s->close, s->u->m, data->dp);
    if (mem->failed) return 0;
    s->v = s->z + data->n * data->c;
    s->w = s->v + data->dp;
    s->gate = s->w + data->dp;
    return 1;
}

static void cvxr_decomposition_close(cvxr_decomposition *s) {
    const cvxr_data *data = s->core->data;
    cvxr_mem *mem = s->core->mem;
    cvxr_weights_close(mem, &s->close);
    cvxr_release(mem, s->bits, (data->n + 63) / 64, sizeof(uint64_t));
    cvxr_release(mem, s->z, data->n * data->c + 3 * data->dp, sizeof(double));
    if (s->one.block) cvxr_decomposer_close(&s->one, mem);
}

/* Predictions, objective and norm of the gated network. */
static void cvxr_decompose_gated(cvxr_decomposition *s) {
    const cvxr_core *core = s->core;
    const size_t n = core->data->n;
    size_t k, g;
    for (g = 0; g < s->u->m; g++)
        s->about->gated_norm += cvxr_norm2_f64(s->u->dp, s->u->u + g * s->u->dp);
    s->about->gated_objective = core->lambda * s->about->gated_norm;
    for (k = 0; k < core->data->c; k++) {
        cvxr_rows rows = cvxr_weights_rows(s->u, k);
        (void)cvxr_predict_rows(s->core, &rows, s->z + k * n);
        s->about->gated_objective +=
            core->loss->value(n, s->z + k * n, core->data->Y + k * n) / core->units;
    }
}

/* Does the gate lie in the interior of its cone, beyond rounding? */
static int cvxr_decompose_sure(const cvxr_decomposer *s, const double *gate) {
    double least = DBL_MAX, norm = 0;
    size_t j, i;
    for (i = 0; i < s->d; i++) norm = hypot(norm, gate[i]);
    for (j = 0; j < s->n; j++) {
        const double *x = s->cone->X + j * s->dp;
        double sum = 0;
        for (i = 0; i < s->d; i++) sum += x[i] * gate[i];
        if (s->cone->norms[j] > 0) least = cvxr_min(least, fabs(sum) * s->cone->inverse[j]);
    }
    return least > 64 * DBL_EPSILON * (double)s->d * norm;
}

/* Group g moves before those of larger (output, pattern), onto an equal one if there is. */
static void cvxr_decompose_regroup(cvxr_weights *u, size_t g) {
    const size_t dp = u->dp;
    size_t i;
    for (; g > 0; g--) {
        const size_t a = g - 1;
        if (u->output[a] < u->output[g]
            || (u->output[a] == u->output[g] && u->pattern[a] <= u->pattern[g]))
            break;
        for (i = 0; i < dp; i++) {
            const double swap = u->u[a * dp + i];
            u->u[a * dp + i] = u->u[g * dp + i];
            u->u[g * dp + i] = swap;
        }
        i = u->output[a], u->output[a] = u->output[g], u->output[g] = i;
        i = u->pattern[a], u->pattern[a] = u->pattern[g], u->pattern[g] = i;
    }
}

/* Sorted again after the numbers of patterns changed; equal groups added up. */
static void cvxr_decompose_sort(cvxr_weights *u) {
    const size_t dp = u->dp;
    size_t g, i, m = 0;
    for (g = 0; g < u->m; g++) cvxr_decompose_regroup(u, g);
    for (g = 0; g < u->m; g++) {
        if (m && u->output[m - 1] == u->output[g] && u->pattern[m - 1] == u->pattern[g]) {
            for (i = 0; i < dp; i++) u->u[(m - 1) * dp + i] += u->u[g * dp + i];
            continue;
        }
        u->output[m] = u->output[g];
        u->pattern[m] = u->pattern[g];
        memmove(u->u + m++ * dp, u->u + g * dp, dp * sizeof(double));
    }
    u->m = m;
}

/* Pattern p becomes a pattern with interior that contains it, for the sake of the weight x; its
   weights go to an equal pattern if there is one. */
static int cvxr_decompose_replace(cvxr_decomposition *s, size_t p, const double *x) {
    cvxr_patterns *all = s->patterns;
    const size_t bytes = all->words * sizeof(uint64_t);
    double change = 0;
    size_t q, g;
    if (!cvxr_decompose_merge(&s->one, all->bits + p * all->words, x, s->bits, s->gate,
                              &change))
        return 0;
    memcpy(all->bits + p * all->words, s->bits, bytes);
    memcpy(all->gates + p * all->d, s->gate, all->d * sizeof(double));
    s->about->merged++;
    for (q = 0; q < all->count; q++)
        if (q != p && memcmp(all->bits + q * all->words, s->bits, bytes) == 0) break;
    for (g = 0; g < s->u->m && q < all->count; g++)
        if (s->u->pattern[g] == p) s->u->pattern[g] = q;
    cvxr_decompose_sort(s->u);
    return 1;
}

/* Replaces the patterns without interior that do not span their weights. */
static int cvxr_decompose_merge_all(cvxr_decomposition *s) {
    cvxr_decomposed one;
    size_t g, k, i;
    const size_t n = s->core->data->n;
    double change = 0, all = 0;
    for (g = 0; g < s->u->m; g++) {
        const size_t p = s->u->pattern[g];
        const double *x = s->u->u + g * s->u->dp;
        if (cvxr_decompose_sure(&s->one, s->patterns->gates + p * s->patterns->d)) continue;
        if (cvxr_decompose(&s->one, CVXRELU_DECOMPOSE_FEASIBLE,
                           s->patterns->bits + p * s->patterns->words, x, s->v, s->w, &one)
            != CVXR_DECOMPOSE_SINGULAR)
            continue;
        if (!cvxr_decompose_replace(s, p, x)) return 0;
        g = (size_t)0 - 1; /* the groups moved: from the first on again */
    }
    for (k = 0; k < s->core->data->c && s->about->merged; k++) {
        cvxr_rows rows = cvxr_weights_rows(s->u, k);
        (void)cvxr_predict_rows(s->core, &rows, s->core->z);
        for (i = 0; i < n; i++) {
            const double z = s->z[k * n + i], e = s->core->z[i] - z;
            change += e * e, all += z * z;
        }
    }
    s->about->merge_change = all > 0 ? sqrt(change / all) : 0;
    return 1;
}

/* x times sign joins the network. */
static void cvxr_decompose_emit(cvxr_decomposition *s, size_t g, int sign, const double *x) {
    cvxr_weights *out = s->out;
    double *to = out->u + out->m * out->dp;
    size_t i, zero = 1;
    for (i = 0; i < out->dp; i++) zero &= x[i] == 0;
    if (zero) return;
    CVXRELU_ASSERT(out->m < out->capacity);
    out->output[out->m] = s->u->output[g];
    out->pattern[out->m] = s->u->pattern[g];
    out->sign[out->m++] = (signed char)sign;
    for (i = 0; i < out->dp; i++) to[i] = sign > 0 ? x[i] : -x[i];
}

/* Splits group g; *bound grows by what is proven of its norm. */
static int cvxr_decompose_group(cvxr_decomposition *s, size_t g, double *bound) {
    cvxrelu_decompose_report *about = s->about;
    const double lambda = s->core->lambda, *u = s->u->u + g * s->u->dp;
    cvxr_decomposed one;
    if (about->kind == CVXRELU_DECOMPOSE_APPROXIMATE)
        memcpy(s->w, s->close.u + g * s->close.dp, s->close.dp * sizeof(double));
    if (cvxr_decompose(&s->one, about->kind,
                       s->patterns->bits + s->u->pattern[g] * s->patterns->words, u, s->v, s->w,
                       &one)
        != CVXR_DECOMPOSE_OK)
        return 0;
    cvxr_decompose_emit(s, g, 1, s->v);
    cvxr_decompose_emit(s, g, -1, s->w);
    *bound += one.bound;
    about->inside += (size_t)one.inside;
    about->steps += one.steps;
    about->norm += one.norm;
    about->raw_norm += one.raw_norm;
    about->raw_violation = cvxr_max(about->raw_violation, one.raw_violation);
    about->mismatch = cvxr_max(about->mismatch, one.mismatch);
    about->bound_norm += 2 * lambda * one.least;
    about->bound_kappa += 2 * lambda * one.kappa * one.u_norm;
    about->kappa = cvxr_max(about->kappa, one.kappa);
    if (one.u_norm > 0)
        about->blow_up_most = cvxr_max(about->blow_up_most, one.norm / one.u_norm);
    return 1;
}

static cvxrelu_result cvxr_decompose_run(cvxr_decomposition *s, char *message) {
    cvxrelu_decompose_report *about = s->about;
    const cvxrelu_options *opt = s->core->opt;
    double bound = 0;
    size_t g;
    about->groups = s->u->m;
    cvxr_decompose_gated(s);
    if (!cvxr_decompose_merge_all(s))
        return cvxr_fail(message, CVXRELU_ERR_NUMERIC,
                         "a cone without interior has no neighbour beyond rounding");
    if (about->kind == CVXRELU_DECOMPOSE_CLOSED_FORM && !cvxr_decompose_factor(&s->one))
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED,
                         "the closed form needs independent rows: X has %z that are not zero, "
                         "in %z columns",
                         s->one.rank, s->one.d);
    if (about->kind == CVXRELU_DECOMPOSE_APPROXIMATE) {
        (void)cvxr_cda(s->core, s->u, about->rho,
                       opt->subgradient_tol > 0 ? opt->subgradient_tol : 1e-10,
                       opt->max_iters ? opt->max_iters : 20000, &s->close);
        if (s->core->mem->failed) return cvxr_mem_result(s->core->mem, message);
        about->steps = s->core->report->iterations;
    }
    s->out->m = 0;
    for (g = 0; g < s->u->m; g++) {
        if (s->core->stop || (opt->time_limit > 0 && cvxr_seconds(s->core) >= opt->time_limit))
            return cvxr_fail(message, CVXRELU_ERR_STOPPED,
                             "stopped at weight %z of %z of the decomposition", g + 1, s->u->m);
        if (!cvxr_decompose_group(s, g, &bound))
            return cvxr_fail(message, CVXRELU_ERR_NUMERIC,
                             "weight %z of %z has no decomposition beyond rounding", g + 1,
                             s->u->m);
    }
    about->blow_up = about->gated_norm > 0 ? about->norm / about->gated_norm : 1;
    about->excess = s->core->lambda * (about->norm - about->gated_norm);
    if (about->kind == CVXRELU_DECOMPOSE_MIN_NORM && about->norm > 0)
        about->norm_gap = cvxr_max(0, (about->norm - bound) / about->norm);
    return CVXRELU_OK;
}

/* Splits the sorted groups of *u over `patterns` (those of the core, which is open) into *out,
   room for 2 u->m groups, sorted. *about: kind and rho on entry, the rest 0. Weights and
   patterns that are merged change. */
CVXR_UNUSED static cvxrelu_result cvxr_decompose_all(cvxr_core *core, cvxr_patterns *patterns,
                                                     cvxr_weights *u, cvxr_weights *out,
                                                     cvxrelu_decompose_report *about,
                                                     char *message) {
    cvxr_decomposition s;
    cvxrelu_result result;
    memset(&s, 0, sizeof s);
    CVXRELU_ASSERT(core->patterns == patterns && core->kind == CVXRELU_RELU);
    s.core = core;
    s.patterns = patterns;
    s.u = u;
    s.out = out;
    s.about = about;
    if (cvxr_decomposition_open(&s)) result = cvxr_decompose_run(&s, message);
    else result = cvxr_mem_result(core->mem, message);
    cvxr_decomposition_close(&s);
    return result;
}
/* ==== S17 NETWORK ========================================================================
   A model: the nonzero groups of a solution, each of them one neuron, with its gate, the column
   shift and scale of the solver, and the text that the user keeps with it. All but the text
   lies in one block. Prediction works in the solver's coordinates, x -> (x - shift)/scale, so
   badly scaled columns lose no digits; the network in the user's coordinates, with shift and
   scale folded into weights, gates and bias, is what cvxrelu_model_network exports.
   Weights are kept raw, u = s v: a gated neuron (s = 0, v = u) has the value 1(g.x >= 0) u.x, a
   ReLU one (s = +1 or -1, v in the cone of its pattern) s max(0, v.x). Its own weight is its
   gate then; g, the gate of its pattern, says in which cone v lies.
   Uses S01 to S03, S05 to S07. Used by S20 to S24. Tests: tests/test_s17_network.c.
   Source: [MSP22 Thm 2.1, 2.2], the solution map w1 = v / sqrt(||v||), w2 = s sqrt(||v||) e_k
   (s = 1 for gated).                                                                         */

/* `count` zero-terminated strings in one block: the offsets of all, then `bytes` characters. */
typedef struct cvxr_names {
    size_t  count, bytes;
    size_t *offset;
    char   *text;
} cvxr_names;

/* A saved lower bound and what it takes to check it: S20 and S23 say what a method proves. */
typedef struct cvxr_proof {
    size_t n, c, extra_count;
    double *theta;                 /* c x n: the dual point, output k from theta + k n on     */
    double *extra;                 /* extra_count numbers of the method, or NULL              */
    double lambda, bound;          /* the strength, and the bound on its objective            */
    int method;                    /* of S20, >= 0                                            */
    cvxrelu_scope scope;
    int plain_decay;               /* c > 1: of plain weight decay, else the l1-squared one   */
    int conditional;               /* the bound holds for the b2 of the network only          */
} cvxr_proof;

struct cvxrelu_model {
    cvxr_mem           mem;        /* the allocator it was made with, and what it holds now */
    size_t             block;      /* bytes of the block that this struct starts */
    cvxrelu_model_info info;
    cvxrelu_gates      recipe;     /* of all patterns; given.data is NULL */
    size_t  d;                     /* columns of the solver's X, bias included */
    double *shift, *scales;        /* d: solver's x_j = (x_j - shift_j) / scales_j */
    double *y_shift;               /* c: added to the outputs */
    size_t  gate_count;
    double *gates;                 /* gate_count x d: all, solver's coordinates, or NULL */
    size_t  m;                     /* neurons */
    size_t *output, *pattern;      /* m: the neuron's output and the number of its pattern */
    signed char *sign;             /* m: +1 or -1 (RELU), 0 (GATED) */
    double *u, *g;                 /* m x d: raw weight and gate, solver's coordinates */
    double *W1, *G1;               /* m x (features + 1), bias last: user's coordinates */
    double *a;                     /* m: second layer, w2 = a_j e_output */
    cvxr_names names[2];           /* class labels, feature names */
    cvxr_proof proof;              /* theta NULL without one */
};

/* ---- Memory. */

/* The next a * b elements of a block: their address (NULL while only sizes are added up). A
   product that does not fit leaves *used at SIZE_MAX. */
static void *cvxr_model_take(unsigned char *base, size_t *used, size_t a, size_t b,
                             size_t size) {
    size_t count, bytes, at = *used;
    bytes = cvxr_size_mul(a, b, &count) ? cvxr_bytes(count, size) : 0;
    if (at == SIZE_MAX || bytes == 0 || bytes >= SIZE_MAX - at) {
        *used = SIZE_MAX;
        return NULL;
    }
    *used = at + bytes;
    return base == NULL ? NULL : (void *)(base + at);
}

/* Places the arrays of `model` in the block at `base`; returns the bytes of the block, 0 when
   they do not fit in size_t. With base NULL only the size is found. */
static size_t cvxr_model_layout(cvxrelu_model *model, unsigned char *base, size_t d,
                                size_t features, size_t c, size_t m, size_t gate_count) {
    const size_t real = sizeof(double), whole = sizeof(size_t);
    size_t used = 0;
    if (features == SIZE_MAX) return 0;
    (void)cvxr_model_take(base, &used, 1, 1, sizeof *model);
    model->shift = (double *)cvxr_model_take(base, &used, d, 1, real);
    model->scales = (double *)cvxr_model_take(base, &used, d, 1, real);
    model->y_shift = (double *)cvxr_model_take(base, &used, c, 1, real);
    model->output = (size_t *)cvxr_model_take(base, &used, m, 1, whole);
    model->pattern = (size_t *)cvxr_model_take(base, &used, m, 1, whole);
    model->u = (double *)cvxr_model_take(base, &used, m, d, real);
    model->g = (double *)cvxr_model_take(base, &used, m, d, real);
    model->W1 = (double *)cvxr_model_take(base, &used, m, features + 1, real);
    model->G1 = (double *)cvxr_model_take(base, &used, m, features + 1, real);
    model->a = (double *)cvxr_model_take(base, &used, m, 1, real);
    model->sign = (signed char *)cvxr_model_take(base, &used, m, 1, 1);
    model->gates = NULL;
    if (gate_count)
        model->gates = (double *)cvxr_model_take(base, &used, gate_count, d, real);
    return used == SIZE_MAX ? 0 : used;
}

/* Bytes of a model without its text, as one allocation; 0 when they do not fit in size_t. */
static size_t cvxr_model_bytes(size_t d, size_t features, size_t c, size_t m,
                               size_t gate_count) {
    cvxrelu_model model;
    return cvxr_model_layout(&model, NULL, d, features, c, m, gate_count);
}

/* All arrays zero, the sizes set; NULL when memory was refused or the sizes overflow. */
static cvxrelu_model *cvxr_model_new(const cvxrelu_allocator *allocator, size_t d,
                                     size_t features, size_t c, size_t m, size_t gate_count) {
    size_t block = cvxr_model_bytes(d, features, c, m, gate_count);
    cvxr_mem mem;
    cvxrelu_model *model;
    cvxr_mem_init(&mem, allocator, 0);
    if (block == 0) return NULL;
    model = (cvxrelu_model *)cvxr_alloc_zero(&mem, block, 1);
    if (model == NULL) return NULL;
    (void)cvxr_model_layout(model, (unsigned char *)model, d, features, c, m, gate_count);
    model->mem = mem;
    model->block = block;
    model->d = d;
    model->m = m;
    model->gate_count = gate_count;
    model->info.features = features;
    model->info.outputs = c;
    model->info.neurons = m;
    return model;
}

static void cvxr_names_free(cvxr_mem *mem, cvxr_names *names) {
    cvxr_release(mem, names->offset, names->count * sizeof(size_t) + names->bytes, 1);
    memset(names, 0, sizeof *names);
}

/* Room for `count` strings of `bytes` bytes in all, zeros included. An earlier refusal is
   forgotten: a model stays usable after one. */
static cvxrelu_result cvxr_names_new(cvxr_mem *mem, cvxr_names *names, size_t count,
                                     size_t bytes) {
    size_t table;
    memset(names, 0, sizeof *names);
    if (!cvxr_size_mul(count, sizeof(size_t), &table) || bytes > SIZE_MAX - table)
        return CVXRELU_ERR_SIZE;
    mem->failed = CVXRELU_OK;
    names->offset = (size_t *)cvxr_alloc(mem, table + bytes, 1);
    if (names->offset == NULL) return mem->failed;
    names->text = (char *)names->offset + table;
    names->count = count;
    names->bytes = bytes;
    return CVXRELU_OK;
}

static size_t cvxr_proof_reals(const cvxr_proof *proof) {
    return proof->theta == NULL ? 0 : proof->n * proof->c + proof->extra_count;
}

static void cvxr_proof_free(cvxr_mem *mem, cvxr_proof *proof) {
    cvxr_release(mem, proof->theta, cvxr_proof_reals(proof), sizeof(double));
    memset(proof, 0, sizeof *proof);
}

/* Room for the arrays of `proof`, whose sizes are set, in one block. As cvxr_names_new. */
static cvxrelu_result cvxr_proof_new(cvxr_mem *mem, cvxr_proof *proof) {
    size_t count;
    proof->theta = proof->extra = NULL;
    if (!cvxr_size_mul(proof->n, proof->c, &count) || count > SIZE_MAX - proof->extra_count)
        return CVXRELU_ERR_SIZE;
    mem->failed = CVXRELU_OK;
    proof->theta = (double *)cvxr_alloc(mem, count + proof->extra_count, sizeof(double));
    if (proof->theta == NULL) return mem->failed;
    if (proof->extra_count) proof->extra = proof->theta + count;
    return CVXRELU_OK;
}

/* The model keeps a copy of `proof` in the place of the one it has; NULL removes that. On an
   error it keeps what it had. */
CVXR_UNUSED static cvxrelu_result cvxr_model_set_proof(cvxrelu_model *model,
                                                       const cvxr_proof *proof) {
    cvxr_proof copy;
    cvxrelu_result result;
    memset(&copy, 0, sizeof copy);
    if (proof != NULL) {
        CVXRELU_ASSERT(proof->n > 0 && proof->c == model->info.outputs && proof->theta != NULL);
        copy = *proof;
        result = cvxr_proof_new(&model->mem, &copy);
        if (result) return result;
        memcpy(copy.theta, proof->theta, proof->n * proof->c * sizeof(double));
        if (proof->extra_count)
            memcpy(copy.extra, proof->extra, proof->extra_count * sizeof(double));
    }
    cvxr_proof_free(&model->mem, &model->proof);
    model->proof = copy;
    return CVXRELU_OK;
}

/* ---- From convex weights to a network. */

/* One row of d weights, divided by `divisor`, from the solver's coordinates to the user's:
   sum_j v_j (x_j - shift_j)/scale_j + v_b/scale_b  =  sum_j out_j x_j + out_features. */
static void cvxr_model_fold(const cvxrelu_model *model, const double *v, double divisor,
                            double *out) {
    size_t j, features = model->info.features;
    double bias = model->d > features ? v[features] / divisor / model->scales[features] : 0.0;
    for (j = 0; j < features; j++) {
        out[j] = v[j] / divisor / model->scales[j];
        bias -= out[j] * model->shift[j];
    }
    out[features] = bias;
}

/* Fills W1, G1 and a from u and g by the solution map [MSP22 Thm 2.1, 2.2]. The gate of a ReLU
   neuron is its weight: G1 = W1. */
static void cvxr_model_map(cvxrelu_model *model) {
    size_t j, d = model->d, width = model->info.features + 1;
    for (j = 0; j < model->m; j++) {
        const double *u = model->u + j * d;
        double root = sqrt(cvxr_safe_norm(u, d)), s = model->sign[j] < 0 ? -1.0 : 1.0;
        double *w1 = model->W1 + j * width, *g1 = model->G1 + j * width;
        cvxr_model_fold(model, u, root > 0.0 ? s * root : s, w1);
        if (model->sign[j]) memcpy(g1, w1, width * sizeof(double));
        else cvxr_model_fold(model, model->g + j * d, 1.0, g1);
        model->a[j] = s * root;
    }
}

/* A column of X that is zero in every row says nothing: its weights and the neurons' gate
   entries become 0, so that the column has no say in predictions either. */
static void cvxr_model_clear_columns(cvxrelu_model *model, const cvxr_data *data) {
    size_t i, j, k;
    for (j = 0; j < data->d; j++) {
        for (i = 0; i < data->n && data->X[i * data->dp + j] == 0.0; i++) continue;
        if (i < data->n) continue;
        for (k = 0; k < model->m; k++)
            model->u[k * model->d + j] = model->g[k * model->d + j] = 0.0;
    }
}

/* How the patterns of a problem are found; never AUTO. */
static cvxrelu_search cvxr_search_mode(const cvxrelu_problem *problem) {
    if (problem->kind != CVXRELU_RELU) return CVXRELU_SEARCH_OFF;
    if (problem->search != CVXRELU_SEARCH_AUTO) return problem->search;
    return problem->gates.sampler == CVXRELU_SAMPLER_GIVEN ? CVXRELU_SEARCH_OFF
                                                           : CVXRELU_SEARCH_ON;
}

/* What the model remembers of where its patterns came from: those of a search are given ones
   from then on, in the solver's coordinates. */
static void cvxr_model_recipe(cvxrelu_model *model, const cvxrelu_problem *problem) {
    cvxrelu_search search = cvxr_search_mode(problem);
    model->recipe = problem->gates;
    memset(&model->recipe.given, 0, sizeof model->recipe.given);
    model->recipe.given_scaled = 1;
    if (search != CVXRELU_SEARCH_OFF) model->recipe.sampler = CVXRELU_SAMPLER_GIVEN;
    model->info.has_recipe = 1;
    model->info.sampler = model->recipe.sampler;
    model->info.seed = model->recipe.seed;
    model->info.search = search;
}

/* Completes a model whose output, pattern, sign and u are filled: coordinates, gates, recipe,
   the facts of `info` that the problem knows, and the network. */
static void cvxr_model_adopt(cvxrelu_model *model, const cvxrelu_problem *problem,
                             const cvxr_data *data, const cvxr_patterns *patterns) {
    const size_t real = sizeof(double), d = model->d;
    cvxrelu_model_info *info = &model->info;
    size_t j;
    CVXRELU_ASSERT(d == data->d && info->outputs == data->c);
    info->kind = problem->kind;
    info->task = problem->task;
    info->loss = problem->loss;
    info->penalty = problem->penalty;
    info->scale = data->scale;
    info->has_bias = data->has_bias;
    info->classes = data->classes;
    info->rows = data->n;
    info->patterns = patterns->count;
    info->lambda = problem->lambda;
    cvxr_model_recipe(model, problem);
    memcpy(model->shift, data->shift, d * real);
    memcpy(model->scales, data->scales, d * real);
    memcpy(model->y_shift, data->y_shift, data->c * real);
    if (model->gates) memcpy(model->gates, patterns->gates, model->gate_count * d * real);
    for (j = 0; j < model->m; j++) {
        CVXRELU_ASSERT((problem->kind == CVXRELU_RELU) == (model->sign[j] != 0));
        memcpy(model->g + j * d, patterns->gates + model->pattern[j] * d, d * real);
    }
    cvxr_model_clear_columns(model, data);
    cvxr_model_map(model);
}

/* ---- Prediction: neurons in batches, columns in chunks: the stack holds a few kilobytes
   whatever the sizes, and one division by a scale serves a whole batch. */

#define CVXR_EVAL_NEURONS 64
#define CVXR_EVAL_COLUMNS 128
#define CVXR_EVAL_OUTPUTS 16

typedef struct cvxr_batch {
    size_t count, neuron[CVXR_EVAL_NEURONS];
    double gate[CVXR_EVAL_NEURONS], value[CVXR_EVAL_NEURONS];
    double x[CVXR_EVAL_COLUMNS];
} cvxr_batch;

/* Columns first .. first+count-1 of the solver's row. */
static void cvxr_eval_columns(const cvxrelu_model *model, const void *row, cvxrelu_type type,
                              size_t first, size_t count, double *x) {
    size_t i;
    for (i = 0; i < count; i++) {
        size_t j = first + i;
        double value = j >= model->info.features ? 1.0
                     : type == CVXRELU_FLOAT32 ? (double)((const float *)row)[j]
                                               : ((const double *)row)[j];
        x[i] = (value - model->shift[j]) / model->scales[j];
    }
}

static double cvxr_eval_dot(size_t n, const double *x, const double *y) {
    double a = 0.0, b = 0.0;
    size_t i;
    for (i = 0; i + 1 < n; i += 2) a += x[i] * y[i], b += x[i + 1] * y[i + 1];
    if (i < n) a += x[i] * y[i];
    return a + b;
}

/* value = x . u and gate = x . g of every neuron in the batch; ReLU: gate = x . v. */
static void cvxr_eval_batch(const cvxrelu_model *model, const void *row, cvxrelu_type type,
                            cvxr_batch *batch) {
    size_t first, count, i, d = model->d;
    for (i = 0; i < batch->count; i++) batch->gate[i] = batch->value[i] = 0.0;
    for (first = 0; first < d; first += count) {
        count = cvxr_min_z(CVXR_EVAL_COLUMNS, d - first);
        cvxr_eval_columns(model, row, type, first, count, batch->x);
        for (i = 0; i < batch->count; i++) {
            size_t j = batch->neuron[i], at = j * d + first;
            batch->value[i] += cvxr_eval_dot(count, batch->x, model->u + at);
            if (model->sign[j] == 0)
                batch->gate[i] += cvxr_eval_dot(count, batch->x, model->g + at);
        }
    }
    for (i = 0; i < batch->count; i++) {
        int sign = model->sign[batch->neuron[i]];
        if (sign) batch->gate[i] = sign > 0 ? batch->value[i] : -batch->value[i];
    }
}

/* A NaN counts as open; found by its bits, which -Ofast cannot fold away. */
static int cvxr_eval_open(double gate) {
    uint64_t bits;
    memcpy(&bits, &gate, sizeof bits);
    return gate >= 0.0 || bits << 1 > (uint64_t)0xffe << 52;
}

/* Outputs first .. first+count-1 (at most CVXR_EVAL_OUTPUTS) of one row. A NaN in the row opens
   every gate, so that it shows in the outputs. */
static void cvxr_eval(const cvxrelu_model *model, const void *row, cvxrelu_type type,
                      size_t first, size_t count, double *out) {
    cvxr_batch batch;
    size_t i, j = 0;
    for (i = 0; i < count; i++) out[i] = model->y_shift[first + i];
    while (j < model->m) {
        for (batch.count = 0; j < model->m && batch.count < CVXR_EVAL_NEURONS; j++)
            if (model->output[j] - first < count) batch.neuron[batch.count++] = j;
        if (batch.count == 0) break;
        cvxr_eval_batch(model, row, type, &batch);
        for (i = 0; i < batch.count; i++) {
            size_t k = model->output[batch.neuron[i]] - first;
            if (cvxr_eval_open(batch.gate[i])) out[k] += batch.value[i];
        }
    }
}

static void cvxr_eval_row(const cvxrelu_model *model, const void *row, cvxrelu_type type,
                          double *out) {
    size_t first, count, c = model->info.outputs;
    for (first = 0; first < c; first += count) {
        count = cvxr_min_z(CVXR_EVAL_OUTPUTS, c - first);
        cvxr_eval(model, row, type, first, count, out + first);
    }
}

/* ---- Public. */

CVXRELU_API void cvxrelu_model_free(cvxrelu_model *model) {
    cvxr_mem mem;
    if (model == NULL) return;
    cvxr_names_free(&model->mem, &model->names[0]);
    cvxr_names_free(&model->mem, &model->names[1]);
    cvxr_proof_free(&model->mem, &model->proof);
    mem = model->mem;
    cvxr_release(&mem, model, model->block, 1);
}

CVXRELU_API void cvxrelu_model_get_info(const cvxrelu_model *model, cvxrelu_model_info *info) {
    if (info == NULL) return;
    memset(info, 0, sizeof *info);
    if (model == NULL) return;
    *info = model->info;
    info->text_count[0] = model->names[0].count;
    info->text_count[1] = model->names[1].count;
    info->has_proof = model->proof.theta != NULL;
    info->proof_bound = model->proof.bound;
    info->proof_method = model->proof.method;
    info->proof_scope = model->proof.scope;
}

CVXRELU_API void cvxrelu_model_predict(const cvxrelu_model *model, const double *row,
                                       double *out) {
    cvxr_eval_row(model, row, CVXRELU_FLOAT64, out);
}

CVXRELU_API void cvxrelu_model_predict_f32(const cvxrelu_model *model, const float *row,
                                           float *out) {
    double part[CVXR_EVAL_OUTPUTS];
    size_t first, count, i, c = model->info.outputs;
    for (first = 0; first < c; first += count) {
        count = cvxr_min_z(CVXR_EVAL_OUTPUTS, c - first);
        cvxr_eval(model, row, CVXRELU_FLOAT32, first, count, part);
        for (i = 0; i < count; i++) out[first + i] = (float)part[i];
    }
}

CVXRELU_API cvxrelu_result cvxrelu_model_predict_many(const cvxrelu_model *model,
                                                      cvxrelu_matrix X, double *out,
                                                      size_t ld) {
    size_t i, j, stride = X.stride ? X.stride : X.cols, c, last, size;
    if (model == NULL || X.cols != model->info.features) return CVXRELU_ERR_ARGUMENT;
    if (X.type != CVXRELU_FLOAT64 && X.type != CVXRELU_FLOAT32) return CVXRELU_ERR_ARGUMENT;
    c = model->info.outputs;
    if (ld == 0) ld = c;
    if (stride < X.cols || ld < c) return CVXRELU_ERR_ARGUMENT;
    if (X.rows == 0) return CVXRELU_OK;
    if (X.data == NULL || out == NULL) return CVXRELU_ERR_ARGUMENT;
    if (!cvxr_size_mul(X.rows, stride, &last) || !cvxr_size_mul(last, sizeof(double), &last) ||
        !cvxr_size_mul(X.rows, ld, &last) || !cvxr_size_mul(last, sizeof(double), &last))
        return CVXRELU_ERR_SIZE;
    for (i = 0; i < X.rows; i++)
        for (j = 0; j < X.cols; j++)
            if (!cvxr_finite(cvxr_matrix_get(&X, i, j))) return CVXRELU_ERR_NONFINITE;
    size = stride * (X.type == CVXRELU_FLOAT32 ? sizeof(float) : sizeof(double));
    for (i = 0; i < X.rows; i++)
        cvxr_eval_row(model, (const unsigned char *)X.data + i * size, X.type, out + i * ld);
    return CVXRELU_OK;
}

CVXRELU_API size_t cvxrelu_model_class(const cvxrelu_model *model, const double *outputs) {
    size_t k, best = 0;
    if (model->info.task != CVXRELU_TASK_CLASSES) return 0;
    if (model->info.outputs == 1) return outputs[0] > 0.0 ? 1 : 0;
    for (k = 1; k < model->info.outputs; k++)
        if (outputs[k] > outputs[best]) best = k;
    return best;
}

CVXRELU_API void cvxrelu_model_network(const cvxrelu_model *model, double *W1, double *G1,
                                       double *W2, double *b2) {
    size_t j, m = model->m, c = model->info.outputs, width = model->info.features + 1;
    if (W1) memcpy(W1, model->W1, m * width * sizeof(double));
    if (G1) memcpy(G1, model->G1, m * width * sizeof(double));
    if (W2) memset(W2, 0, c * m * sizeof(double));
    for (j = 0; W2 && j < m; j++) W2[model->output[j] * m + j] = model->a[j];
    if (b2) memcpy(b2, model->y_shift, c * sizeof(double));
}

CVXRELU_API cvxrelu_result cvxrelu_model_convex(const cvxrelu_model *model, double *U,
                                                double *W, double *G) {
    size_t j, q, d, count, reals;
    if (model == NULL) return CVXRELU_ERR_ARGUMENT;
    if (model->gates == NULL) return CVXRELU_ERR_UNSUPPORTED;
    d = model->d;
    count = model->gate_count;
    reals = model->info.outputs * count * d;
    if (G) memcpy(G, model->gates, count * d * sizeof(double));
    if (model->info.kind != CVXRELU_RELU) W = NULL;
    if (U) memset(U, 0, reals * sizeof(double));
    if (W) memset(W, 0, reals * sizeof(double));
    for (j = 0; j < model->m; j++) {
        const double *u = model->u + j * d;
        size_t at = (model->output[j] * count + model->pattern[j]) * d;
        double *to = model->sign[j] < 0 ? W : U, s = model->sign[j] < 0 ? -1.0 : 1.0;
        for (q = 0; to && q < d; q++) to[at + q] += s * u[q];
    }
    return CVXRELU_OK;
}

CVXRELU_API cvxrelu_result cvxrelu_model_set_text(cvxrelu_model *model, int kind, size_t count,
                                                  const char *const *text) {
    cvxr_names names;
    cvxrelu_result result;
    size_t i, bytes = 0, length;
    if (model == NULL || kind < 0 || kind > 1) return CVXRELU_ERR_ARGUMENT;
    if (count && (text == NULL || count != (kind ? model->info.features : model->info.classes)))
        return CVXRELU_ERR_ARGUMENT;
    for (i = 0; i < count; i++) {
        if (text[i] == NULL) return CVXRELU_ERR_ARGUMENT;
        length = strlen(text[i]) + 1;
        if (length > SIZE_MAX - bytes) return CVXRELU_ERR_SIZE;
        bytes += length;
    }
    memset(&names, 0, sizeof names);
    result = count ? cvxr_names_new(&model->mem, &names, count, bytes) : CVXRELU_OK;
    if (result != CVXRELU_OK) return result;
    for (i = 0, bytes = 0; i < count; i++, bytes += length) {
        length = strlen(text[i]) + 1;
        names.offset[i] = bytes;
        memcpy(names.text + bytes, text[i], length);
    }
    cvxr_names_free(&model->mem, &model->names[kind]);
    model->names[kind] = names;
    return CVXRELU_OK;
}

CVXRELU_API const char *cvxrelu_model_text(const cvxrelu_model *model, int kind, size_t index) {
    if (model == NULL || kind < 0 || kind > 1 || index >= model->names[kind].count) return NULL;
    return model->names[kind].text + model->names[kind].offset[index];
}

/* ---- Pruning. Neuron j of an output is a_j f_j on the rows, with a_j = ||v_j|| and f_j the
   outputs of v_j / ||v_j||. While the f_j are linearly dependent there is a null vector, and a
   step along it, in the direction in which sum_j cost_j a_j does not grow, that ends where an
   a_j >= 0 vanishes [PE20, the Caratheodory argument under eq. 5]; the sums sum_j a_j f_j stay.

   A column-pivoted QR of the f_j gives their rank r, r independent ones (the basis) and the
   coordinates of all in it. Every other neuron j in turn is f_j = sum_b nu_b f_b, so (nu, -1)
   is a null vector: either j vanishes, or a neuron b of the basis does, and j takes its place.
   The basis is held as Qt^T R, r x r, and updated by rotations, which is backward stable: the
   sums drift by no more than the rounding of their terms.
   4 n m min(n, m) + 10 r^2 (m - r) flops for m neurons of an output.                         */

#define CVXR_PRUNE_SHARE 1e-11   /* columns with less than this of the largest are dependent  */
#define CVXR_PRUNE_SLACK 1e-14   /* of the largest a_j: vanishing a_j this close count as one */

typedef struct cvxr_prune {
    const cvxrelu_model *model;
    const cvxrelu_matrix *X;
    cvxr_mem mem;
    size_t n, d, m, most;          /* rows, columns, neurons; neurons of the largest output   */
    size_t reals, indices;
    double *real_block;            /* all that follows                                        */
    double *v;                     /* m x d: raw weights, the merged ones added up            */
    double *norm;                  /* m: ||v||; 0 = zero, or added to another one             */
    double *scale;                 /* m: what v is multiplied by in the end; 0 = gone         */
    double *x;                     /* d: a row in the solver's coordinates                    */
    double *F;                     /* n x most: the f_j as columns, then their QR             */
    double *Qt, *R;                /* r x r                                                   */
    double *a, *cost, *size;       /* most: by column of F; size = ||f_j||                    */
    double *rest, *seen;           /* most: squared norm of what is left; when last summed    */
    double *y, *nu;                /* most                                                    */
    size_t *index_block;
    size_t *neuron;                /* most: of each column                                    */
    size_t *basis;                 /* r columns                                               */
    size_t count, rank;            /* columns and rank of the output at work                  */
} cvxr_prune;

static double *cvxr_prune_take(double **at, size_t count) {
    double *here = *at;
    *at += count;
    return here;
}

/* Neurons of the largest output; all scratch. */
static cvxrelu_result cvxr_prune_open(cvxr_prune *p, char *message) {
    size_t j, i, r, n = p->n, d = p->d, m = p->m, reals = 0;
    double *at;
    for (j = 0; j < m; j++) {
        for (r = 0, i = 0; i < m; i++) r += p->model->output[i] == p->model->output[j];
        p->most = cvxr_max_z(p->most, r);
    }
    r = cvxr_min_z(n, p->most);
    if (!cvxr_bytes_add(&reals, m, d, 1) || !cvxr_bytes_add(&reals, n, p->most, 1) ||
        !cvxr_bytes_add(&reals, r, r, 2) || !cvxr_bytes_add(&reals, p->most, 7, 1) ||
        !cvxr_bytes_add(&reals, m, 2, 1) || !cvxr_bytes_add(&reals, d, 1, 1))
        return cvxr_fail(message, CVXRELU_ERR_SIZE, "%z neurons on %z rows do not fit in "
                         "size_t", m, n);
    p->reals = reals;
    p->indices = p->most + r;
    p->real_block = (double *)cvxr_alloc(&p->mem, reals, sizeof(double));
    p->index_block = (size_t *)cvxr_alloc(&p->mem, p->indices, sizeof(size_t));
    if (p->mem.failed) return cvxr_mem_result(&p->mem, message);
    at = p->real_block;
    p->v = cvxr_prune_take(&at, m * d);
    p->norm = cvxr_prune_take(&at, m);
    p->scale = cvxr_prune_take(&at, m);
    p->x = cvxr_prune_take(&at, d);
    p->F = cvxr_prune_take(&at, n * p->most);
    p->Qt = cvxr_prune_take(&at, r * r);
    p->R = cvxr_prune_take(&at, r * r);
    p->a = cvxr_prune_take(&at, p->most);
    p->cost = cvxr_prune_take(&at, p->most);
    p->size = cvxr_prune_take(&at, p->most);
    p->rest = cvxr_prune_take(&at, p->most);
    p->seen = cvxr_prune_take(&at, p->most);
    p->y = cvxr_prune_take(&at, p->most);
    p->nu = cvxr_prune_take(&at, p->most);
    p->neuron = p->index_block;
    p->basis = p->neuron + p->most;
    return CVXRELU_OK;
}

static void cvxr_prune_close(cvxr_prune *p) {
    cvxr_release(&p->mem, p->index_block, p->indices, sizeof(size_t));
    cvxr_release(&p->mem, p->real_block, p->reals, sizeof(double));
}

/* ReLU: v_i and v_j point the same way, to rounding. Gated: their gates are the same. */
static int cvxr_prune_colinear(const cvxr_prune *p, size_t i, size_t j) {
    const cvxrelu_model *model = p->model;
    const double *v = p->v + i * p->d, *w = p->v + j * p->d;
    size_t q;
    if (model->output[i] != model->output[j] || model->sign[i] != model->sign[j]) return 0;
    if (model->sign[i] == 0)
        return memcmp(model->g + i * p->d, model->g + j * p->d, p->d * sizeof(double)) == 0;
    for (q = 0; q < p->d; q++)
        if (fabs(v[q] / p->norm[i] - w[q] / p->norm[j]) > 8 * DBL_EPSILON) return 0;
    return 1;
}

/* Adds up colinear neurons, which changes no output anywhere [PE20 Remark 3.1]. Returns how
   many were added to others. */
static size_t cvxr_prune_merge(cvxr_prune *p) {
    size_t i, j, q, d = p->d, merged = 0;
    memcpy(p->v, p->model->u, p->m * d * sizeof(double));
    for (j = 0; j < p->m; j++) {
        p->norm[j] = cvxr_safe_norm(p->v + j * d, d);
        p->scale[j] = 0.0;
        if (p->norm[j] == 0.0) continue;
        for (i = 0; i < j; i++)
            if (p->norm[i] > 0.0 && cvxr_prune_colinear(p, i, j)) break;
        if (i == j) continue;
        for (q = 0; q < d; q++) p->v[i * d + q] += p->v[j * d + q];
        p->norm[i] = cvxr_safe_norm(p->v + i * d, d);
        p->norm[j] = 0.0;
        merged++;
    }
    return merged;
}

/* The raw output of neuron j on the row in p->x, with the sums of cvxr_eval_batch. */
static double cvxr_prune_value(const cvxr_prune *p, size_t j) {
    const double *v = p->v + j * p->d, *g = p->model->g + j * p->d;
    size_t first, count;
    int sign = p->model->sign[j];
    double value = 0.0, gate = 0.0;
    for (first = 0; first < p->d; first += count) {
        count = cvxr_min_z(CVXR_EVAL_COLUMNS, p->d - first);
        value += cvxr_eval_dot(count, p->x + first, v + first);
        if (sign == 0) gate += cvxr_eval_dot(count, p->x + first, g + first);
    }
    if (sign) gate = sign > 0 ? value : -value;
    return cvxr_eval_open(gate) ? value : 0.0;
}

/* What neuron j of unit length costs: the penalty of v over ||v||. */
static double cvxr_prune_cost(const cvxr_prune *p, size_t j) {
    double sum = 0.0;
    size_t q;
    if (p->model->info.penalty != CVXRELU_PENALTY_L1) return 1.0;
    for (q = 0; q < p->d; q++) sum += fabs(p->v[j * p->d + q] / p->norm[j]);
    return sum;
}

/* The columns of output k. Returns 0 when one is not finite. */
static int cvxr_prune_gather(cvxr_prune *p, size_t k) {
    size_t width = p->X->type == CVXRELU_FLOAT32 ? sizeof(float) : sizeof(double), i, j;
    const unsigned char *row = (const unsigned char *)p->X->data;
    double sum;
    p->count = 0;
    for (j = 0; j < p->m; j++) {
        if (p->model->output[j] != k || p->norm[j] == 0.0) continue;
        p->neuron[p->count] = j;
        p->a[p->count] = p->norm[j];
        p->cost[p->count++] = cvxr_prune_cost(p, j);
    }
    width *= cvxr_matrix_stride(p->X);
    for (i = 0; i < p->n; i++, row += width) {
        cvxr_eval_columns(p->model, row, p->X->type, 0, p->d, p->x);
        for (j = 0; j < p->count; j++)
            p->F[i * p->count + j] = cvxr_prune_value(p, p->neuron[j]) / p->a[j];
    }
    for (j = 0; j < p->count; j++) {
        for (sum = 0.0, i = 0; i < p->n; i++)
            sum += p->F[i * p->count + j] * p->F[i * p->count + j];
        if (!cvxr_finite(sum)) return 0;
        p->rest[j] = p->seen[j] = sum;
        p->size[j] = sqrt(sum);
    }
    return 1;
}

static void cvxr_prune_swap(cvxr_prune *p, size_t i, size_t j) {
    double *lists[5], t;
    size_t k, neuron = p->neuron[i];
    if (i == j) return;
    lists[0] = p->a, lists[1] = p->cost, lists[2] = p->size;
    lists[3] = p->rest, lists[4] = p->seen;
    for (k = 0; k < 5; k++) t = lists[k][i], lists[k][i] = lists[k][j], lists[k][j] = t;
    for (k = 0; k < p->n; k++) {
        double *row = p->F + k * p->count;
        t = row[i], row[i] = row[j], row[j] = t;
    }
    p->neuron[i] = p->neuron[j];
    p->neuron[j] = neuron;
}

/* Reflects columns k .. so that column k ends at row k; what is left of the others shrinks. */
static void cvxr_prune_reflect(cvxr_prune *p, size_t k) {
    size_t i, j, n = p->n, ld = p->count, after = p->count - k - 1;
    double *w = p->y, *top = p->F + k * ld + k, norm, tau, alpha = *top, sum = 0.0;
    for (i = k; i < n; i++) sum += p->F[i * ld + k] * p->F[i * ld + k];
    norm = alpha > 0.0 ? -sqrt(sum) : sqrt(sum);
    tau = (norm - alpha) / norm;
    for (i = k + 1; i < n; i++) p->F[i * ld + k] /= alpha - norm;
    *top = norm;
    memcpy(w, top + 1, after * sizeof(double));
    for (i = k + 1; i < n; i++)
        cvxr_axpy_f64(after, p->F[i * ld + k], p->F + i * ld + k + 1, w);
    cvxr_axpy_f64(after, -tau, w, top + 1);
    for (i = k + 1; i < n; i++)
        cvxr_axpy_f64(after, -tau * p->F[i * ld + k], w, p->F + i * ld + k + 1);
    for (j = k + 1; j < ld; j++) {
        double here = p->F[k * ld + j];
        p->rest[j] = cvxr_max(0.0, p->rest[j] - here * here);
        if (p->rest[j] > 1e-6 * p->seen[j]) continue;    /* cancelled: sum it again */
        for (sum = 0.0, i = k + 1; i < n; i++) sum += p->F[i * ld + j] * p->F[i * ld + j];
        p->rest[j] = p->seen[j] = sum;
    }
}

/* Pivoted QR until no column has more than `share` of the largest left; the basis is what came
   first. Row i of F, i < rank, then holds coordinate i of the columns from `rank` on. */
static void cvxr_prune_factor(cvxr_prune *p, double share) {
    size_t i, j, k, top, r, limit = cvxr_min_z(p->n, p->count);
    double least = 0.0;
    for (k = 0; k < limit; k++) {
        for (top = k, j = k + 1; j < p->count; j++) if (p->rest[j] > p->rest[top]) top = j;
        if (k == 0) least = share * share * p->rest[top];
        if (p->rest[top] <= least) break;
        cvxr_prune_swap(p, k, top);
        cvxr_prune_reflect(p, k);
    }
    p->rank = r = k;
    for (i = 0; i < r; i++) {
        p->basis[i] = i;
        for (j = 0; j < r; j++) {
            p->Qt[i * r + j] = i == j;
            p->R[i * r + j] = j >= i ? p->F[i * p->count + j] : 0.0;
        }
    }
}

/* nu with basis * nu = column j, in coordinates; y = Qt times it. */
static void cvxr_prune_solve(cvxr_prune *p, size_t j) {
    size_t i, r = p->rank;
    for (i = 0; i < r; i++) p->nu[i] = p->F[i * p->count + j];
    for (i = 0; i < r; i++) p->y[i] = cvxr_dot_f64(r, p->Qt + i * r, p->nu);
    memcpy(p->nu, p->y, r * sizeof(double));
    cvxr_qr_solve_r(0, r, p->R, r, p->nu);
}

/* Column j takes the place of number b of the basis; y is Qt times it. */
static void cvxr_prune_replace(cvxr_prune *p, size_t b, size_t j) {
    size_t i, r = p->rank;
    for (i = 0; i < r; i++)
        memmove(p->R + i * r + b, p->R + i * r + b + 1, (r - b - 1) * sizeof(double));
    for (i = b; i + 1 < r; i++) {
        double *up = p->R + i * r, *low = up + r, c = up[i], s = -low[i], h = hypot(c, s);
        p->basis[i] = p->basis[i + 1];
        if (h == 0.0) continue;
        c /= h, s /= h;
        cvxr_rotate_rows(r - i - 1, c, s, up + i, low + i);
        cvxr_rotate_rows(r, c, s, p->Qt + i * r, p->Qt + i * r + r);
        cvxr_rotate_rows(1, c, s, p->y + i, p->y + i + 1);
        low[i] = 0.0;
    }
    for (i = 0; i < r; i++) p->R[i * r + r - 1] = p->y[i];
    p->basis[r - 1] = j;
}

/* The number of the basis whose a vanishes first when a_b moves by -way nu_b, and the step; r
   and `step` as it was when none vanishes before. Among those that vanish together (to the
   slack) the one with the largest nu, which keeps the basis well conditioned. */
static size_t cvxr_prune_first(const cvxr_prune *p, double way, double slack, double *step) {
    size_t i, first = p->rank;
    double reach = *step, best = 0.0;
    for (i = 0; i < p->rank; i++) {
        double rate = way * p->nu[i];
        if (rate > 0.0) reach = cvxr_min(reach, (p->a[p->basis[i]] + slack) / rate);
    }
    for (i = 0; i < p->rank; i++) {
        double rate = way * p->nu[i];
        if (rate <= best || p->a[p->basis[i]] > reach * rate) continue;
        best = rate;
        first = i;
    }
    if (first < p->rank) *step = p->a[p->basis[first]] / best;
    return first;
}

/* Makes column j vanish, or one of the basis, whose place j takes. */
static void cvxr_prune_step(cvxr_prune *p, size_t j, double slack) {
    double grow = -p->cost[j], way, step;
    size_t i, first;
    cvxr_prune_solve(p, j);
    for (i = 0; i < p->rank; i++) grow += p->nu[i] * p->cost[p->basis[i]];
    way = grow > 0.0 ? 1.0 : -1.0;       /* +1: a_j grows, -1: a_j goes towards 0 */
    step = grow > 0.0 ? DBL_MAX : p->a[j];
    first = cvxr_prune_first(p, way, slack, &step);
    if (first == p->rank && grow > 0.0) return;          /* no number reached it: inf or NaN */
    for (i = 0; i < p->rank; i++) {
        double *a = p->a + p->basis[i];
        *a = i == first ? 0.0 : cvxr_max(0.0, *a - way * step * p->nu[i]);
    }
    p->a[j] = first == p->rank ? 0.0 : cvxr_max(0.0, p->a[j] + way * step);
    if (first < p->rank) cvxr_prune_replace(p, first, j);
}

/* Output k: the new scale of its neurons. Returns 0 when their outputs are not finite. */
static int cvxr_prune_output(cvxr_prune *p, size_t k, double share) {
    double most = 0.0, slack = 0.0;
    size_t i, j;
    if (!cvxr_prune_gather(p, k)) return 0;
    cvxr_prune_factor(p, share);
    for (j = 0; j < p->count; j++) slack = cvxr_max(slack, CVXR_PRUNE_SLACK * p->a[j]);
    for (j = p->rank; j < p->count; j++) cvxr_prune_step(p, j, slack);
    for (j = 0; j < p->count; j++) most = cvxr_max(most, p->a[j] * p->size[j]);
    for (j = 0; j < p->count; j++) {
        i = p->neuron[j];
        p->scale[i] = p->a[j] * p->size[j] > CVXR_PRUNE_SLACK * most ? p->a[j] / p->norm[i]
                                                                     : 0.0;
    }
    return 1;
}

/* ---- What pruning left, as a model. */

/* The text and the proof of `from`. */
static cvxrelu_result cvxr_model_copy_rest(cvxrelu_model *model, const cvxrelu_model *from) {
    cvxrelu_result result = CVXRELU_OK;
    int kind;
    for (kind = 0; kind < 2 && !result; kind++) {
        const cvxr_names *names = &from->names[kind];
        if (names->count == 0) continue;
        result = cvxr_names_new(&model->mem, &model->names[kind], names->count, names->bytes);
        if (result) break;
        memcpy(model->names[kind].offset, names->offset, names->count * sizeof(size_t));
        memcpy(model->names[kind].text, names->text, names->bytes);
    }
    if (!result && from->proof.theta) result = cvxr_model_set_proof(model, &from->proof);
    return result;
}

/* A model of the neurons that are left; NULL when memory was refused. */
static cvxrelu_model *cvxr_prune_model(const cvxr_prune *p,
                                       const cvxrelu_allocator *allocator) {
    const cvxrelu_model *from = p->model;
    const size_t real = sizeof(double), d = p->d;
    cvxrelu_model *made;
    size_t i, j, q, left = 0;
    for (j = 0; j < p->m; j++) left += p->scale[j] > 0.0;
    made = cvxr_model_new(allocator, d, from->info.features, from->info.outputs, left,
                          from->gate_count);
    if (made == NULL) return NULL;
    made->info = from->info;
    made->info.neurons = left;
    made->recipe = from->recipe;
    memcpy(made->shift, from->shift, d * real);
    memcpy(made->scales, from->scales, d * real);
    memcpy(made->y_shift, from->y_shift, from->info.outputs * real);
    if (from->gates) memcpy(made->gates, from->gates, from->gate_count * d * real);
    for (i = 0, j = 0; j < p->m; j++) {
        if (!(p->scale[j] > 0.0)) continue;
        made->output[i] = from->output[j];
        made->pattern[i] = from->pattern[j];
        made->sign[i] = from->sign[j];
        for (q = 0; q < d; q++) made->u[i * d + q] = p->v[j * d + q] * p->scale[j];
        memcpy(made->g + i++ * d, from->g + j * d, d * real);
    }
    cvxr_model_map(made);
    if (cvxr_model_copy_rest(made, from) == CVXRELU_OK) return made;
    cvxrelu_model_free(made);
    return NULL;
}

/* The largest difference between the outputs of two models on the rows; the largest output. */
static double cvxr_prune_change(const cvxr_prune *p, const cvxrelu_model *made,
                                double *largest) {
    size_t width = p->X->type == CVXRELU_FLOAT32 ? sizeof(float) : sizeof(double), i, k;
    size_t first, count, c = made->info.outputs;
    const unsigned char *row = (const unsigned char *)p->X->data;
    double old[CVXR_EVAL_OUTPUTS], out[CVXR_EVAL_OUTPUTS], change = 0.0;
    width *= cvxr_matrix_stride(p->X);
    *largest = 0.0;
    for (i = 0; i < p->n; i++, row += width)
        for (first = 0; first < c; first += count) {
            count = cvxr_min_z(CVXR_EVAL_OUTPUTS, c - first);
            cvxr_eval(p->model, row, p->X->type, first, count, old);
            cvxr_eval(made, row, p->X->type, first, count, out);
            for (k = 0; k < count; k++) {
                change = cvxr_max(change, fabs(out[k] - old[k]));
                *largest = cvxr_max(*largest, fabs(old[k]));
            }
        }
    return change;
}

/* Sum over the neurons of their penalty without lambda. */
static double cvxr_model_penalty(const cvxrelu_model *model) {
    double sum = 0.0;
    size_t j, q;
    for (j = 0; j < model->m; j++) {
        const double *u = model->u + j * model->d;
        if (model->info.penalty != CVXRELU_PENALTY_L1) sum += cvxr_safe_norm(u, model->d);
        else for (q = 0; q < model->d; q++) sum += fabs(u[q]);
    }
    return sum;
}

/* All outputs, and the model that is left; what is dependent to a share of 1e-11 at first, to
   rounding if the outputs moved by it. */
static cvxrelu_result cvxr_prune_run(cvxr_prune *p, const cvxrelu_allocator *allocator,
                                     cvxrelu_model **made, cvxrelu_prune_report *report) {
    double share = CVXR_PRUNE_SHARE, largest;
    double tight = 4.0 * (double)cvxr_max_z(p->n, p->most) * DBL_EPSILON;
    size_t k;
    for (;; share = tight) {
        report->rank = report->largest_rank = 0;
        for (k = 0; k < p->model->info.outputs; k++) {
            if (!cvxr_prune_output(p, k, share))
                return cvxr_fail(report->message, CVXRELU_ERR_NUMERIC, "the outputs of the "
                                 "neurons overflow on X");
            report->rank += p->rank;
            report->largest_rank = cvxr_max_z(report->largest_rank, p->rank);
        }
        *made = cvxr_prune_model(p, allocator);
        if (*made == NULL)
            return cvxr_fail(report->message, CVXRELU_ERR_MEMORY, "no memory for the pruned "
                             "model");
        report->change = cvxr_prune_change(p, *made, &largest);
        if (share <= tight || report->change <= 1e-12 * largest) return CVXRELU_OK;
        cvxrelu_model_free(*made);
        *made = NULL;
    }
}

/* What the model says of its certificate: the loss is what it was, the bound is about the
   problem and stays. */
static void cvxr_prune_certificate(cvxrelu_model *made, const cvxrelu_prune_report *report) {
    cvxrelu_model_info *info = &made->info;
    info->objective -= info->lambda * (report->penalty_before - report->penalty_after);
    if (info->objective < 0.0) info->objective = 0.0;
    if (!info->has_bound) return;
    info->gap = info->objective > info->dual_bound
              ? (info->objective - info->dual_bound) / info->objective : 0.0;
}

static cvxrelu_result cvxr_prune_check(const cvxrelu_model *model, const cvxrelu_matrix *X,
                                       const cvxrelu_options *options, char *message) {
    const cvxrelu_allocator *allocator = options ? &options->allocator : NULL;
    cvxrelu_result result;
    if (allocator && (allocator->allocate == NULL) != (allocator->release == NULL))
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "the allocator needs both functions or neither");
    result = cvxr_matrix_check(X, "X", message);
    if (result) return result;
    if (X->cols != model->info.features)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "X has %z columns, the model was "
                         "trained on %z", X->cols, model->info.features);
    if (model->info.penalty != CVXRELU_PENALTY_NEURON &&
        model->info.penalty != CVXRELU_PENALTY_L1)
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED, "pruning is for the neuron and the "
                         "l1 penalty, which grow in proportion with every neuron");
    return cvxr_matrix_scan(X, "X", "row", DBL_MAX, message);
}

CVXRELU_API cvxrelu_result cvxrelu_prune(const cvxrelu_model *model, cvxrelu_matrix X,
                                         const cvxrelu_options *options,
                                         cvxrelu_model **pruned,
                                         cvxrelu_prune_report *report) {
    const cvxrelu_allocator *allocator = options ? &options->allocator : NULL;
    cvxrelu_result result;
    cvxr_prune p;
    if (pruned) *pruned = NULL;
    if (report == NULL) return CVXRELU_ERR_ARGUMENT;
    memset(report, 0, sizeof *report);
    if (model == NULL || pruned == NULL)
        return cvxr_fail(report->message, CVXRELU_ERR_ARGUMENT, "model or pruned is NULL");
    result = cvxr_prune_check(model, &X, options, report->message);
    if (result) return result;
    memset(&p, 0, sizeof p);
    cvxr_mem_init(&p.mem, allocator, options ? options->memory_limit : 0);
    p.model = model;
    p.X = &X;
    p.n = X.rows, p.d = model->d, p.m = model->m;
    result = cvxr_prune_open(&p, report->message);
    if (!result) {
        report->merged = cvxr_prune_merge(&p);
        result = cvxr_prune_run(&p, allocator, pruned, report);
    }
    cvxr_prune_close(&p);
    if (result) return result;
    report->neurons_before = model->m;
    report->neurons_after = (*pruned)->m;
    report->penalty_before = cvxr_model_penalty(model);
    report->penalty_after = cvxr_model_penalty(*pruned);
    cvxr_prune_certificate(*pruned, report);
    return CVXRELU_OK;
}

#undef CVXR_PRUNE_SHARE
#undef CVXR_PRUNE_SLACK

#undef CVXR_EVAL_NEURONS
#undef CVXR_EVAL_COLUMNS
#undef CVXR_EVAL_OUTPUTS

/* ==== S18 DESCENT ========================================================================
   First-order training of the network itself, one output at a time: the non-convex problem

       minimise over W, a   1/(2 N) ||sum_j a_j (X w_j)_+ - y||^2
                            + lambda/2 sum_j (||w_j||^2 + a_j^2),           N = n c

   by Adam, SGD with momentum, or Adagrad, on all rows or minibatches. It feeds the pattern
   search (S21), which also drops and adds up neurons on the way, and is the papers' baseline.
   Several outputs are trained separately, each with neurons of its own, as in the convex
   program (manual, OBJECTIVE); neurons that outputs share are another problem [SEPP21].

   Method: a step is one pass X W^T, fused with the ReLU, the sum over neurons and the signs,
   which are kept as bits; then X^T (D_j r) for every neuron by the subset tables of S08, a
   quarter of the additions of a product; the gradient of a_j is w_j . X^T (D_j r), so that the
   n x m matrix of outputs never exists. Rows are stored in tiles of 32. Neurons are handled in
   fixed chunks whose sums are added in order: results do not depend on threads. float32,
   unless it was left out of the build.
   Uses S02, S04, S05, S06, S08. Used by S21. Tests: tests/test_s18_descent.c.
   Sources: [KB15] Adam; [DHS11] Adagrad; start as torch.nn.Linear draws it.                  */

#define CVXR_ROWS_TILE  32  /* rows handled together; the bits of a mask word                 */
#define CVXR_NEURONS    240 /* neurons of a chunk, a multiple of 3                            */

#ifdef CVXRELU_NO_FLOAT32
typedef double cvxr_fast;
#define CVXR_FAST(name) name##_f64
#define CVXR_FAST_F32   0
#else
typedef float cvxr_fast;
#define CVXR_FAST(name) name##_f32
#define CVXR_FAST_F32   1
#endif

typedef enum cvxr_update {
    CVXR_UPDATE_ADAM = 0,
    CVXR_UPDATE_SGD = 1,
    CVXR_UPDATE_ADAGRAD = 2
} cvxr_update;

typedef enum cvxr_schedule {
    CVXR_SCHEDULE_COSINE = 0, /* (1 + cos(pi t / T)) / 2                                      */
    CVXR_SCHEDULE_CONSTANT = 1,
    CVXR_SCHEDULE_HALVE = 2   /* halved every `halve_every` epochs                            */
} cvxr_schedule;

/* What a descent does; no zeros that mean a default. */
typedef struct cvxr_descent_plan {
    cvxr_update update;
    cvxr_schedule schedule;
    size_t width;             /* neurons at the start                                         */
    size_t batch;             /* rows of a step; n = all                                      */
    int epochs, halve_every;
    double step_size, lambda;
    double b1, b2;            /* Adam; b1 is also the momentum of SGD                         */
    uint64_t seed;
    /* Every tidy_every steps (0 = never): neurons with ||w|| |a| below floor times the largest
       are dropped; from step merge_from on those of equal pattern and sign are added up.     */
    int tidy_every, merge_from;
    double floor;
} cvxr_descent_plan;

/* The numbers of one update, the same for all neurons. */
typedef struct cvxr_update_step {
    cvxr_fast b1, b2, rate, fix, eps, lambda;
} cvxr_update_step;

typedef struct cvxr_descent {
    cvxr_mem *mem;
    cvxr_op op;               /* team and instruction set for the kernels of S08              */
    size_t n, d, width;       /* width: row stride of what has d columns, whole cache lines   */
    size_t units;             /* N                                                            */
    size_t capacity, m;       /* neurons                                                      */
    size_t batches, tiles;    /* batches of an epoch, tiles of a batch                        */
    size_t batch;             /* rows of a batch (the last may have fewer)                    */
    const double *X, *Y;      /* n x ldx; n                                                   */
    size_t ldx;
    double x_by, y_by;        /* what they are multiplied with on the way in                  */
    size_t *order;            /* rows in the order of the epoch                               */
    cvxr_fast *x, *xt;        /* rows: (32 tiles batches) x width; the same as tiles d x 32   */
    cvxr_fast *y, *r;         /* 32 tiles batches                                             */
    cvxr_fast *sums;          /* chunks x 32 tiles: predictions of a chunk                    */
    cvxr_fast *W, *G, *M, *V; /* (capacity + 3) x width: weights, gradients, moments          */
    cvxr_fast *a, *Ma, *Va;   /* capacity + 3                                                 */
    uint32_t *words;          /* tiles x (capacity + 3): signs of a batch                     */
    unsigned char *tables;    /* a slice for each chunk                                       */
    size_t *slots;            /* hash table of patterns                                       */
    size_t slot_count;
    size_t at;                /* batch at work                                                */
    size_t steps;             /* done since the start                                         */
    cvxr_update_step step;
    cvxr_update update;
    cvxrelu_random random;
} cvxr_descent;

/* ---- Kernels: the tile of 32 rows against three neurons, and Adam. */
#define CVXR_TYPED 180
#define CVXR_F32   CVXR_FAST_F32
#define CVXR_ISA   0
#include CVXRELU_FILE
#undef CVXR_ISA
#if CVXR_DISPATCH
#define CVXR_ISA 1
#include CVXRELU_FILE
#undef CVXR_ISA
#endif
#undef CVXR_F32
#undef CVXR_TYPED
#endif

#if defined(CVXR_TYPED) && CVXR_TYPED == 180
#undef CVXR_K
#undef CVXR_TARGET
#if CVXR_ISA == 1
#define CVXR_K(name) CVXR_T(name##_avx2)
#define CVXR_TARGET  __attribute__((target("avx2,fma")))
#if CVXR_F32
#define CVXR_V            __m256
#define CVXR_VN           8
#define CVXR_LOAD(p)      _mm256_load_ps(p)
#define CVXR_STORE(p, v)  _mm256_store_ps(p, v)
#define CVXR_SET(x)       _mm256_set1_ps(x)
#define CVXR_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define CVXR_MUL(a, b)    _mm256_mul_ps(a, b)
#define CVXR_SUB(a, b)    _mm256_sub_ps(a, b)
#define CVXR_DIV(a, b)    _mm256_div_ps(a, b)
#define CVXR_SQRT(a)      _mm256_sqrt_ps(a)
#define CVXR_MAX(a, b)    _mm256_max_ps(a, b)
#define CVXR_SIGNS(a)     ((uint32_t)_mm256_movemask_ps(a))
#else
#define CVXR_V            __m256d
#define CVXR_VN           4
#define CVXR_LOAD(p)      _mm256_load_pd(p)
#define CVXR_STORE(p, v)  _mm256_store_pd(p, v)
#define CVXR_SET(x)       _mm256_set1_pd(x)
#define CVXR_FMA(a, b, c) _mm256_fmadd_pd(a, b, c)
#define CVXR_MUL(a, b)    _mm256_mul_pd(a, b)
#define CVXR_SUB(a, b)    _mm256_sub_pd(a, b)
#define CVXR_DIV(a, b)    _mm256_div_pd(a, b)
#define CVXR_SQRT(a)      _mm256_sqrt_pd(a)
#define CVXR_MAX(a, b)    _mm256_max_pd(a, b)
#define CVXR_SIGNS(a)     ((uint32_t)_mm256_movemask_pd(a))
#endif
#else
#define CVXR_K(name) CVXR_T(name##_plain)
#define CVXR_TARGET
#endif

/* For neurons 0 .. m-1 (a multiple of 3) and the 32 rows of a tile: pred += a_j (x.w_j)_+, and
   the bits of x.w_j >= 0. xt is d x 32. */
#if CVXR_ISA == 1
#define CVXR_CLEAR(q) z##q##0 = zero, z##q##1 = zero, z##q##2 = zero, z##q##3 = zero;
#define CVXR_COLUMN(i)                                                                         \
    x = CVXR_LOAD(at + i * CVXR_VN);                                                           \
    z0##i = CVXR_FMA(w0, x, z0##i);                                                            \
    z1##i = CVXR_FMA(w1, x, z1##i);                                                            \
    z2##i = CVXR_FMA(w2, x, z2##i);
#define CVXR_BITS(q)                                                                           \
    words[j + q] |= ~(CVXR_SIGNS(z##q##0) | CVXR_SIGNS(z##q##1) << CVXR_VN                     \
                      | CVXR_SIGNS(z##q##2) << 2 * CVXR_VN                                     \
                      | CVXR_SIGNS(z##q##3) << 3 * CVXR_VN) << shift & lanes;
#define CVXR_SUM(i)                                                                            \
    x = CVXR_LOAD(pred + part + i * CVXR_VN);                                                  \
    x = CVXR_FMA(w0, CVXR_MAX(z0##i, zero), x);                                                \
    x = CVXR_FMA(w1, CVXR_MAX(z1##i, zero), x);                                                \
    x = CVXR_FMA(w2, CVXR_MAX(z2##i, zero), x);                                                \
    CVXR_STORE(pred + part + i * CVXR_VN, x);
CVXR_TARGET static void CVXR_K(cvxr_relu_tile)(size_t m, size_t d, const CVXR_REAL *xt,
                                               const CVXR_REAL *W, size_t ldw,
                                               const CVXR_REAL *a, CVXR_REAL *pred,
                                               uint32_t *words) {
    const CVXR_V zero = CVXR_SET(0);
    size_t part, j, k;
    for (j = 0; j < m; j++) words[j] = 0;
    for (part = 0; part < CVXR_ROWS_TILE; part += 4 * CVXR_VN) {
        const uint32_t shift = (uint32_t)part;
        const uint32_t lanes = (0xffffffffu >> (32 - 4 * CVXR_VN)) << shift;
        for (j = 0; j < m; j += 3) {
            const CVXR_REAL *w = W + j * ldw, *at = xt + part;
            CVXR_V z00, z01, z02, z03, z10, z11, z12, z13, z20, z21, z22, z23, w0, w1, w2, x;
            CVXR_CLEAR(0) CVXR_CLEAR(1) CVXR_CLEAR(2)
            for (k = 0; k < d; k++, at += CVXR_ROWS_TILE) {
                w0 = CVXR_SET(w[k]);
                w1 = CVXR_SET(w[ldw + k]);
                w2 = CVXR_SET(w[2 * ldw + k]);
                CVXR_COLUMN(0) CVXR_COLUMN(1) CVXR_COLUMN(2) CVXR_COLUMN(3)
            }
            CVXR_BITS(0) CVXR_BITS(1) CVXR_BITS(2)
            w0 = CVXR_SET(a[j]);
            w1 = CVXR_SET(a[j + 1]);
            w2 = CVXR_SET(a[j + 2]);
            CVXR_SUM(0) CVXR_SUM(1) CVXR_SUM(2) CVXR_SUM(3)
        }
    }
}
#undef CVXR_CLEAR
#undef CVXR_COLUMN
#undef CVXR_BITS
#undef CVXR_SUM
#else
static void CVXR_K(cvxr_relu_tile)(size_t m, size_t d, const CVXR_REAL *xt, const CVXR_REAL *W,
                                   size_t ldw, const CVXR_REAL *a, CVXR_REAL *pred,
                                   uint32_t *words) {
    size_t i, j, k;
    for (j = 0; j < m; j++, W += ldw) {
        CVXR_REAL z[CVXR_ROWS_TILE] = { 0 };
        uint32_t bits = 0;
        for (k = 0; k < d; k++)
            for (i = 0; i < CVXR_ROWS_TILE; i++) z[i] += W[k] * xt[k * CVXR_ROWS_TILE + i];
        for (i = 0; i < CVXR_ROWS_TILE; i++) {
            bits |= (uint32_t)(z[i] >= 0) << i;
            pred[i] += a[j] * (z[i] > 0 ? z[i] : 0);
        }
        words[j] = bits;
    }
}
#endif

/* One step of Adam for `count` neurons: G holds X^T (D_j r) / N of each. */
#if CVXR_ISA == 1
CVXR_TARGET static CVXR_REAL CVXR_K(cvxr_row_product)(size_t width, const CVXR_REAL *x,
                                                      const CVXR_REAL *y) {
    CVXR_V sum = CVXR_MUL(CVXR_LOAD(x), CVXR_LOAD(y));
    CVXR_REAL lanes[CVXR_VN], total = 0;
    size_t k;
    for (k = CVXR_VN; k < width; k += CVXR_VN)
        sum = CVXR_FMA(CVXR_LOAD(x + k), CVXR_LOAD(y + k), sum);
    memcpy(lanes, &sum, sizeof lanes);
    for (k = 0; k < CVXR_VN; k++) total += lanes[k];
    return total;
}
#else
static CVXR_REAL CVXR_K(cvxr_row_product)(size_t width, const CVXR_REAL *x,
                                          const CVXR_REAL *y) {
    CVXR_REAL s[8] = { 0, 0, 0, 0, 0, 0, 0, 0 };
    size_t k, l;
    for (k = 0; k < width; k += 8)
        for (l = 0; l < 8; l++) s[l] += x[k + l] * y[k + l];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}
#endif

CVXR_TARGET static void CVXR_K(cvxr_adam_row)(size_t width, const cvxr_update_step *s,
                                              CVXR_REAL a, const CVXR_REAL *G, CVXR_REAL *W,
                                              CVXR_REAL *M, CVXR_REAL *V) {
    size_t k;
#if CVXR_ISA == 1
    const CVXR_V va = CVXR_SET(a), lambda = CVXR_SET(s->lambda), b1 = CVXR_SET(s->b1),
                 c1 = CVXR_SET(1 - s->b1), b2 = CVXR_SET(s->b2), c2 = CVXR_SET(1 - s->b2),
                 rate = CVXR_SET(s->rate), fix = CVXR_SET(s->fix), eps = CVXR_SET(s->eps);
    for (k = 0; k < width; k += CVXR_VN) {
        CVXR_V w = CVXR_LOAD(W + k), g, m, v;
        g = CVXR_FMA(va, CVXR_LOAD(G + k), CVXR_MUL(lambda, w));
        m = CVXR_FMA(b1, CVXR_LOAD(M + k), CVXR_MUL(c1, g));
        v = CVXR_FMA(b2, CVXR_LOAD(V + k), CVXR_MUL(c2, CVXR_MUL(g, g)));
        CVXR_STORE(M + k, m);
        CVXR_STORE(V + k, v);
        g = CVXR_DIV(m, CVXR_FMA(fix, CVXR_SQRT(v), eps));
        CVXR_STORE(W + k, CVXR_SUB(w, CVXR_MUL(rate, g)));
    }
#else
    for (k = 0; k < width; k++) {
        CVXR_REAL g = a * G[k] + s->lambda * W[k];
        M[k] = s->b1 * M[k] + (1 - s->b1) * g;
        V[k] = s->b2 * V[k] + (1 - s->b2) * (g * g);
        W[k] -= s->rate * M[k] / (s->fix * (CVXR_REAL)sqrt((double)V[k]) + s->eps);
    }
#endif
}
#undef CVXR_V
#undef CVXR_VN
#undef CVXR_LOAD
#undef CVXR_STORE
#undef CVXR_SET
#undef CVXR_FMA
#undef CVXR_MUL
#undef CVXR_SUB
#undef CVXR_DIV
#undef CVXR_SQRT
#undef CVXR_MAX
#undef CVXR_SIGNS
#undef CVXR_K
#undef CVXR_TARGET
#endif

#if !defined(CVXR_TYPED)
/* ---- Memory. */

static size_t cvxr_descent_width(size_t d) {
    const size_t line = CVXR_ALIGN / sizeof(cvxr_fast);
    return (d + line - 1) / line * line;
}

static size_t cvxr_descent_chunks(size_t capacity) {
    return (capacity + CVXR_NEURONS - 1) / CVXR_NEURONS;
}

static size_t cvxr_descent_slice(void) {
    return (size_t)CVXR_TABLES * 16 * CVXR_CHUNK_BYTES;
}

/* Rows of an epoch, each batch rounded up to whole tiles. */
static size_t cvxr_descent_rows(size_t n, size_t batch) {
    size_t tiles = (batch + CVXR_ROWS_TILE - 1) / CVXR_ROWS_TILE;
    return (n + batch - 1) / batch * tiles * CVXR_ROWS_TILE;
}

/* Bytes between cvxr_descent_open and _close. */
static size_t cvxr_descent_bytes(size_t n, size_t d, size_t capacity, size_t batch) {
    const size_t width = cvxr_descent_width(d), rows = cvxr_descent_rows(n, batch);
    const size_t tiles = (batch + CVXR_ROWS_TILE - 1) / CVXR_ROWS_TILE, m = capacity + 3;
    return cvxr_bytes(rows * width, sizeof(cvxr_fast)) + cvxr_bytes(rows * d, sizeof(cvxr_fast))
           + 2 * cvxr_bytes(rows, sizeof(cvxr_fast)) + cvxr_bytes(n, sizeof(size_t))
           + cvxr_bytes(cvxr_descent_chunks(capacity) * tiles * CVXR_ROWS_TILE,
                        sizeof(cvxr_fast))
           + 4 * cvxr_bytes(m * width, sizeof(cvxr_fast)) + 3 * cvxr_bytes(m, sizeof(cvxr_fast))
           + cvxr_bytes(tiles * m, sizeof(uint32_t))
           + cvxr_bytes(cvxr_descent_chunks(capacity), cvxr_descent_slice())
           + cvxr_bytes(cvxr_table_size(capacity), sizeof(size_t));
}

static void cvxr_descent_close(cvxr_descent *s) {
    const size_t element = sizeof(cvxr_fast), rows = s->batches * s->tiles * CVXR_ROWS_TILE,
                 m = s->capacity + 3;
    cvxr_mem *mem = s->mem;
    cvxr_release(mem, s->slots, s->slot_count, sizeof(size_t));
    cvxr_release(mem, s->tables, cvxr_descent_chunks(s->capacity), cvxr_descent_slice());
    cvxr_release(mem, s->words, s->tiles * m, sizeof(uint32_t));
    cvxr_release(mem, s->Va, m, element);
    cvxr_release(mem, s->Ma, m, element);
    cvxr_release(mem, s->a, m, element);
    cvxr_release(mem, s->V, m * s->width, element);
    cvxr_release(mem, s->M, m * s->width, element);
    cvxr_release(mem, s->G, m * s->width, element);
    cvxr_release(mem, s->W, m * s->width, element);
    cvxr_release(mem, s->sums,
                 cvxr_descent_chunks(s->capacity) * s->tiles * CVXR_ROWS_TILE, element);
    cvxr_release(mem, s->r, rows, element);
    cvxr_release(mem, s->y, rows, element);
    cvxr_release(mem, s->xt, rows * s->d, element);
    cvxr_release(mem, s->x, rows * s->width, element);
    cvxr_release(mem, s->order, s->n, sizeof(size_t));
    memset(s, 0, sizeof *s);
}

/* Room for plan->width neurons on the data; 0 when memory was refused (close it all the
   same). */
static int cvxr_descent_open(cvxr_descent *s, cvxr_mem *mem, const cvxr_data *data,
                             const cvxrelu_options *opt, size_t capacity, size_t batch) {
    const size_t element = sizeof(cvxr_fast), m = capacity + 3;
    size_t rows, i;
    memset(s, 0, sizeof *s);
    s->mem = mem;
    s->op.isa = cvxr_op_isa(opt->portable);
    s->op.team.hook = opt->parallel;
    s->op.team.threads = opt->threads;
    s->n = data->n;
    s->d = data->d;
    s->units = data->n * data->c;
    s->X = data->X;
    s->ldx = data->dp;
    s->x_by = s->y_by = 1;
    s->width = cvxr_descent_width(s->d);
    s->capacity = capacity;
    s->batch = cvxr_min_z(cvxr_max_z(batch, 1), s->n);
    s->batches = (s->n + s->batch - 1) / s->batch;
    s->tiles = (s->batch + CVXR_ROWS_TILE - 1) / CVXR_ROWS_TILE;
    rows = s->batches * s->tiles * CVXR_ROWS_TILE;
    s->slot_count = cvxr_table_size(capacity);
    s->order = (size_t *)cvxr_alloc(mem, s->n, sizeof(size_t));
    s->x = (cvxr_fast *)cvxr_alloc_zero(mem, rows * s->width, element);
    s->xt = (cvxr_fast *)cvxr_alloc(mem, rows * s->d, element);
    s->y = (cvxr_fast *)cvxr_alloc(mem, rows, element);
    s->r = (cvxr_fast *)cvxr_alloc(mem, rows, element);
    s->sums = (cvxr_fast *)cvxr_alloc(
        mem, cvxr_descent_chunks(capacity) * s->tiles * CVXR_ROWS_TILE, element);
    s->W = (cvxr_fast *)cvxr_alloc_zero(mem, m * s->width, element);
    s->G = (cvxr_fast *)cvxr_alloc_zero(mem, m * s->width, element);
    s->M = (cvxr_fast *)cvxr_alloc_zero(mem, m * s->width, element);
    s->V = (cvxr_fast *)cvxr_alloc_zero(mem, m * s->width, element);
    s->a = (cvxr_fast *)cvxr_alloc_zero(mem, m, element);
    s->Ma = (cvxr_fast *)cvxr_alloc_zero(mem, m, element);
    s->Va = (cvxr_fast *)cvxr_alloc_zero(mem, m, element);
    s->words = (uint32_t *)cvxr_alloc_zero(mem, s->tiles * m, sizeof(uint32_t));
    s->tables =
        (unsigned char *)cvxr_alloc(mem, cvxr_descent_chunks(capacity), cvxr_descent_slice());
    s->slots = (size_t *)cvxr_alloc(mem, s->slot_count, sizeof(size_t));
    if (mem->failed) return 0;
    for (i = 0; i < s->n; i++) s->order[i] = i;
    return 1;
}

/* ---- Data: the rows in the order of the epoch, batch by batch, padded with zero rows. */

/* The place of row number i of the order. */
static size_t cvxr_descent_place(const cvxr_descent *s, size_t i) {
    return i / s->batch * (s->tiles * CVXR_ROWS_TILE) + i % s->batch;
}

static void cvxr_descent_load(cvxr_descent *s) {
    const size_t rows = s->batches * s->tiles * CVXR_ROWS_TILE;
    size_t i, k;
    memset(s->xt, 0, rows * s->d * sizeof(cvxr_fast));
    memset(s->y, 0, rows * sizeof(cvxr_fast));
    for (i = 0; i < s->n; i++) {
        const size_t at = cvxr_descent_place(s, i), row = s->order[i];
        const double *from = s->X + row * s->ldx;
        cvxr_fast *x = s->x + at * s->width;
        cvxr_fast *xt = s->xt + at / CVXR_ROWS_TILE * CVXR_ROWS_TILE * s->d
                        + at % CVXR_ROWS_TILE;
        for (k = 0; k < s->d; k++) {
            x[k] = (cvxr_fast)(from[k] * s->x_by);
            xt[k * CVXR_ROWS_TILE] = x[k];
        }
        s->y[at] = (cvxr_fast)(s->Y[row] * s->y_by);
    }
}

static void cvxr_descent_shuffle(cvxr_descent *s) {
    size_t i;
    for (i = s->n; i > 1; i--) {
        size_t j = (size_t)cvxrelu_random_below(&s->random, i), swap = s->order[j];
        s->order[j] = s->order[i - 1];
        s->order[i - 1] = swap;
    }
    cvxr_descent_load(s);
}

/* Neurons drawn as torch.nn.Linear does: w ~ U(-1, 1) / sqrt(d), a ~ U(-1, 1) / sqrt(m). */
static void cvxr_descent_draw(cvxr_descent *s, size_t width, uint64_t seed) {
    const double w = 1 / sqrt((double)s->d), a = 1 / sqrt((double)width);
    size_t j, k;
    CVXRELU_ASSERT(width <= s->capacity);
    cvxrelu_random_init(&s->random, seed);
    s->m = width;
    for (j = 0; j < width; j++) {
        for (k = 0; k < s->d; k++)
            s->W[j * s->width + k] =
                (cvxr_fast)((2 * cvxrelu_random_uniform(&s->random) - 1) * w);
        s->a[j] = (cvxr_fast)((2 * cvxrelu_random_uniform(&s->random) - 1) * a);
    }
}

static void cvxr_descent_forget(cvxr_descent *s) {
    const size_t m = s->capacity + 3, all = m * s->width * sizeof(cvxr_fast);
    memset(s->M, 0, all);
    memset(s->V, 0, all);
    memset(s->Ma, 0, m * sizeof(cvxr_fast));
    memset(s->Va, 0, m * sizeof(cvxr_fast));
}

/* ---- A step. */

static void cvxr_descent_forward_task(void *arg, size_t chunk) {
    cvxr_descent *s = (cvxr_descent *)arg;
    const size_t j0 = chunk * CVXR_NEURONS, rows = s->tiles * CVXR_ROWS_TILE;
    const size_t count = (cvxr_min_z(CVXR_NEURONS, s->m - j0) + 2) / 3 * 3;
    cvxr_fast *sums = s->sums + chunk * rows;
    size_t t;
    memset(sums, 0, rows * sizeof(cvxr_fast));
    for (t = 0; t < s->tiles; t++) {
        const cvxr_fast *xt = s->xt + (s->at * s->tiles + t) * CVXR_ROWS_TILE * s->d;
        uint32_t *words = s->words + t * (s->capacity + 3) + j0;
#if CVXR_DISPATCH
        if (s->op.isa)
            CVXR_FAST(cvxr_relu_tile_avx2)
            (count, s->d, xt, s->W + j0 * s->width, s->width, s->a + j0,
             sums + t * CVXR_ROWS_TILE, words);
        else
#endif
            CVXR_FAST(cvxr_relu_tile_plain)
            (count, s->d, xt, s->W + j0 * s->width, s->width, s->a + j0,
             sums + t * CVXR_ROWS_TILE, words);
    }
}

/* The chunks of a step, shared out unless they are a matter of microseconds. */
static void cvxr_descent_chunked(cvxr_descent *s, void (*body)(void *arg, size_t i)) {
    const double work = (double)s->m * (double)s->width * (double)(s->tiles * CVXR_ROWS_TILE);
    const size_t chunks = cvxr_descent_chunks(s->m);
    size_t k;
    if (work >= 2e5) cvxr_team_run(&s->op.team, chunks, body, s);
    else
        for (k = 0; k < chunks; k++) body(s, k);
}

/* Residual of the batch at work and its signs; returns the sum of squares. */
static double cvxr_descent_forward(cvxr_descent *s) {
    const size_t rows = s->tiles * CVXR_ROWS_TILE, chunks = cvxr_descent_chunks(s->m);
    const cvxr_fast *y = s->y + s->at * rows;
    size_t i, k, count = cvxr_min_z(s->batch, s->n - s->at * s->batch);
    double sum = 0;
    cvxr_descent_chunked(s, cvxr_descent_forward_task);
    for (i = 0; i < rows; i++) s->r[i] = i < count ? -y[i] : 0;
    for (k = 0; k < chunks; k++)
        for (i = 0; i < count; i++) s->r[i] += s->sums[k * rows + i];
    for (i = 0; i < count; i++) sum += (double)s->r[i] * (double)s->r[i];
    return sum;
}

/* G = X^T (D_j r) for the neurons of a chunk; r is in units of the objective. */
static void cvxr_descent_gradient_task(void *arg, size_t task) {
    cvxr_descent *s = (cvxr_descent *)arg;
    const size_t chunk = CVXR_CHUNK_BYTES / sizeof(cvxr_fast), ld = s->width;
    const size_t j0 = task * CVXR_NEURONS, count = cvxr_min_z(CVXR_NEURONS, s->m - j0);
    cvxr_fast *tables = (cvxr_fast *)(void *)(s->tables + task * cvxr_descent_slice());
    size_t t, i, c;
    memset(s->G + j0 * ld, 0, count * ld * sizeof(cvxr_fast));
    for (c = 0; c < ld; c += chunk) {
        const size_t width = cvxr_min_z(chunk, ld - c);
        for (t = 0; t < s->tiles; t++) {
            const cvxr_fast *rows[CVXR_ROWS_TILE];
            const size_t first = (s->at * s->tiles + t) * CVXR_ROWS_TILE;
            for (i = 0; i < CVXR_ROWS_TILE; i++) rows[i] = s->x + (first + i) * ld + c;
            CVXR_FAST(cvxr_op_build)
            (&s->op, CVXR_ROWS_TILE, rows, s->r + t * CVXR_ROWS_TILE, width, tables);
            CVXR_FAST(cvxr_op_add)
            (&s->op, count, s->words + t * (s->capacity + 3) + j0, CVXR_TABLES, tables, width,
             s->G + j0 * ld + c, ld);
        }
    }
}

/* g in place of G, for the row of neuron j; the gradient of a_j comes back. */
static cvxr_fast cvxr_descent_slope(cvxr_descent *s, size_t j) {
    cvxr_fast dot;
#if CVXR_DISPATCH
    if (s->op.isa)
        dot = CVXR_FAST(cvxr_row_product_avx2)(s->width, s->W + j * s->width,
                                               s->G + j * s->width);
    else
#endif
        dot = CVXR_FAST(cvxr_row_product_plain)(s->width, s->W + j * s->width,
                                                s->G + j * s->width);
    return dot + s->step.lambda * s->a[j];
}

static void cvxr_adam_scalar(const cvxr_update_step *u, cvxr_fast g, cvxr_fast *w,
                             cvxr_fast *m, cvxr_fast *v) {
    *m = u->b1 * *m + (1 - u->b1) * g;
    *v = u->b2 * *v + (1 - u->b2) * (g * g);
    *w -= u->rate * *m / (u->fix * (cvxr_fast)sqrt((double)*v) + u->eps);
}

static void cvxr_descent_adam(cvxr_descent *s, size_t j) {
    const size_t at = j * s->width;
    const cvxr_fast slope = cvxr_descent_slope(s, j), a = s->a[j];
    cvxr_adam_scalar(&s->step, slope, &s->a[j], &s->Ma[j], &s->Va[j]);
#if CVXR_DISPATCH
    if (s->op.isa) {
        CVXR_FAST(cvxr_adam_row_avx2)
        (s->width, &s->step, a, s->G + at, s->W + at, s->M + at, s->V + at);
        return;
    }
#endif
    CVXR_FAST(cvxr_adam_row_plain)
    (s->width, &s->step, a, s->G + at, s->W + at, s->M + at, s->V + at);
}

/* SGD with momentum as PyTorch writes it (m <- b1 m + g, w <- w - rate m), and Adagrad. */
static void cvxr_plain_update(const cvxr_descent *s, cvxr_fast g, cvxr_fast *w, cvxr_fast *m,
                              cvxr_fast *v) {
    const cvxr_update_step *u = &s->step;
    if (s->update == CVXR_UPDATE_SGD) {
        *m = u->b1 * *m + g;
        *w -= u->rate * *m;
        return;
    }
    *v += g * g;
    *w -= u->rate * g / ((cvxr_fast)sqrt((double)*v) + u->eps);
}

static void cvxr_descent_other(cvxr_descent *s, size_t j) {
    const cvxr_fast slope = cvxr_descent_slope(s, j), a = s->a[j];
    size_t k, at = j * s->width;
    cvxr_plain_update(s, slope, &s->a[j], &s->Ma[j], &s->Va[j]);
    for (k = at; k < at + s->d; k++)
        cvxr_plain_update(s, a * s->G[k] + s->step.lambda * s->W[k], &s->W[k], &s->M[k],
                          &s->V[k]);
}

static void cvxr_descent_step_task(void *arg, size_t task) {
    cvxr_descent *s = (cvxr_descent *)arg;
    const size_t end = cvxr_min_z(s->m, (task + 1) * CVXR_NEURONS);
    size_t j;
    cvxr_descent_gradient_task(arg, task);
    for (j = task * CVXR_NEURONS; j < end; j++) {
        if (s->update == CVXR_UPDATE_ADAM) cvxr_descent_adam(s, j);
        else cvxr_descent_other(s, j);
    }
}

/* One step on the batch at work, by s->step; the loss before it, in units of the objective
   (of the batch). */
static double cvxr_descent_step(cvxr_descent *s) {
    const size_t rows = s->tiles * CVXR_ROWS_TILE;
    const size_t count = cvxr_min_z(s->batch, s->n - s->at * s->batch);
    const double units = (double)s->units / (double)s->n * (double)count;
    double sum = cvxr_descent_forward(s);
    size_t i;
    for (i = 0; i < rows; i++) s->r[i] = (cvxr_fast)(s->r[i] / (cvxr_fast)units);
    cvxr_descent_chunked(s, cvxr_descent_step_task);
    return sum / (2 * units);
}

/* ---- Fewer neurons: those of no weight are dropped; those of equal pattern and equal sign of
   a are added up, which keeps the outputs and lowers the penalty, for v = sum of w_j |a_j|
   stays in their cone and its norm is at most the sum of the norms. */

static double cvxr_descent_size(const cvxr_descent *s, size_t j) {
    return (double)CVXR_FAST(cvxr_norm2)(s->d, s->W + j * s->width) * fabs((double)s->a[j]);
}

static void cvxr_descent_move(cvxr_descent *s, size_t from, size_t to) {
    const size_t row = s->width * sizeof(cvxr_fast);
    size_t t;
    if (from == to) return;
    memcpy(s->W + to * s->width, s->W + from * s->width, row);
    memcpy(s->M + to * s->width, s->M + from * s->width, row);
    memcpy(s->V + to * s->width, s->V + from * s->width, row);
    s->a[to] = s->a[from], s->Ma[to] = s->Ma[from], s->Va[to] = s->Va[from];
    for (t = 0; t < s->tiles; t++) {
        uint32_t *words = s->words + t * (s->capacity + 3);
        words[to] = words[from];
    }
}

/* The kept neuron of the same pattern and sign as neuron j, or j itself, then entered. */
static size_t cvxr_descent_twin(cvxr_descent *s, size_t j) {
    uint64_t hash = s->a[j] > 0;
    size_t t, at;
    for (t = 0; t < s->tiles; t++) {
        hash = (hash ^ s->words[t * (s->capacity + 3) + j]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    at = (size_t)hash & (s->slot_count - 1);
    for (; s->slots[at]; at = (at + 1) & (s->slot_count - 1)) {
        const size_t k = s->slots[at] - 1;
        if ((s->a[k] > 0) != (s->a[j] > 0)) continue;
        for (t = 0; t < s->tiles; t++) {
            const uint32_t *words = s->words + t * (s->capacity + 3);
            if (words[k] != words[j]) break;
        }
        if (t == s->tiles) return k;
    }
    s->slots[at] = j + 1;
    return j;
}

/* Neuron k becomes the sum of k and j, balanced; the moments of the larger stay. */
static void cvxr_descent_join(cvxr_descent *s, size_t k, size_t j) {
    cvxr_fast *w = s->W + k * s->width, *v = s->W + j * s->width;
    const double wk = fabs((double)s->a[k]), wj = fabs((double)s->a[j]);
    double norm;
    size_t i;
    if (cvxr_descent_size(s, j) > cvxr_descent_size(s, k)) {
        memcpy(s->M + k * s->width, s->M + j * s->width, s->width * sizeof(cvxr_fast));
        memcpy(s->V + k * s->width, s->V + j * s->width, s->width * sizeof(cvxr_fast));
        s->Ma[k] = s->Ma[j], s->Va[k] = s->Va[j];
    }
    for (i = 0; i < s->d; i++)
        w[i] = (cvxr_fast)((double)w[i] * wk + (double)v[i] * wj);
    norm = sqrt((double)CVXR_FAST(cvxr_norm2)(s->d, w));
    if (!(norm > 0)) return;
    for (i = 0; i < s->d; i++) w[i] = (cvxr_fast)((double)w[i] / norm);
    s->a[k] = (cvxr_fast)(s->a[k] > 0 ? norm : -norm);
}

/* Moments that decay below the normal numbers slow every step down. */
static void cvxr_descent_flush(cvxr_descent *s) {
    const cvxr_fast tiny = (cvxr_fast)1e-30;
    size_t i;
    for (i = 0; i < s->m * s->width; i++) {
        if (s->V[i] < tiny) s->V[i] = 0;
        if (s->M[i] < tiny && s->M[i] > -tiny) s->M[i] = 0;
    }
}

/* Drops neurons below `floor` times the largest; adds up twins when `merge` (full batches
   only: the signs are those of the batch). */
static void cvxr_descent_tidy(cvxr_descent *s, double floor, int merge) {
    double most = 0;
    size_t j, kept = 0;
    for (j = 0; j < s->m; j++) most = cvxr_max(most, cvxr_descent_size(s, j));
    if (merge) cvxr_descent_forward(s); /* the signs of the weights as they are */
    memset(s->slots, 0, s->slot_count * sizeof(size_t));
    for (j = 0; j < s->m; j++) {
        size_t twin;
        if (!(cvxr_descent_size(s, j) > floor * most)) continue;
        cvxr_descent_move(s, j, kept);
        twin = merge ? cvxr_descent_twin(s, kept) : kept;
        if (twin == kept) kept++;
        else cvxr_descent_join(s, twin, kept);
    }
    for (j = kept; j < cvxr_min_z(kept + 3, s->m); j++) {
        memset(s->W + j * s->width, 0, s->width * sizeof(cvxr_fast));
        s->a[j] = 0;
    }
    s->m = kept;
    cvxr_descent_flush(s);
}

/* ---- A run. */

static double cvxr_descent_rate(const cvxr_descent_plan *plan, size_t step, size_t steps,
                                int epoch) {
    const double pi = 3.14159265358979323846;
    if (plan->schedule == CVXR_SCHEDULE_COSINE)
        return plan->step_size * 0.5 * (1 + cos(pi * (double)step / (double)steps));
    if (plan->schedule == CVXR_SCHEDULE_HALVE)
        return plan->step_size * pow(0.5, (double)(epoch / plan->halve_every));
    return plan->step_size;
}

/* The numbers of step t = 1, 2, ... */
static void cvxr_descent_scalars(cvxr_descent *s, const cvxr_descent_plan *plan, double rate,
                                 size_t t) {
    s->step.b1 = (cvxr_fast)plan->b1;
    s->step.b2 = (cvxr_fast)plan->b2;
    s->step.lambda = (cvxr_fast)plan->lambda;
    s->step.eps = (cvxr_fast)(plan->update == CVXR_UPDATE_ADAGRAD ? 1e-10 : 1e-8);
    s->step.rate = (cvxr_fast)rate;
    s->step.fix = 1;
    s->update = plan->update;
    if (plan->update != CVXR_UPDATE_ADAM) return;
    s->step.rate = (cvxr_fast)(rate / (1 - pow(plan->b1, (double)t)));
    s->step.fix = (cvxr_fast)(1 / sqrt(1 - pow(plan->b2, (double)t)));
}

/* lambda/2 sum (||w||^2 + a^2) */
static double cvxr_descent_penalty(const cvxr_descent *s, double lambda) {
    double sum = 0;
    size_t j;
    for (j = 0; j < s->m; j++) {
        const double w = (double)CVXR_FAST(cvxr_norm2)(s->d, s->W + j * s->width);
        sum += w * w + (double)s->a[j] * (double)s->a[j];
    }
    return 0.5 * lambda * sum;
}

/* The objective of the network at hand on the batch at work, penalty sum ||w_j|| |a_j|. */
static double cvxr_descent_value(cvxr_descent *s, double lambda) {
    double sum = cvxr_descent_forward(s) / (2 * (double)s->units);
    size_t j;
    for (j = 0; j < s->m; j++) sum += lambda * cvxr_descent_size(s, j);
    return sum;
}

#define CVXR_TICK_STEPS 64 /* steps between two looks at the clock */

/* Epochs first .. last-1 of the plan on Y, from the network at hand. core may be NULL: nobody
   is told. Returns 0 when the caller or the clock stopped it, or the network is not finite. */
static int cvxr_descent_epochs(cvxr_descent *s, const cvxr_descent_plan *plan, cvxr_core *core,
                               int first, int last) {
    const size_t steps = (size_t)plan->epochs * s->batches;
    size_t t = (size_t)first * s->batches;
    int epoch;
    for (epoch = first; epoch < last; epoch++) {
        if (s->batches > 1) cvxr_descent_shuffle(s);
        for (s->at = 0; s->at < s->batches; s->at++) {
            double loss;
            t++;
            s->steps++;
            cvxr_descent_scalars(s, plan, cvxr_descent_rate(plan, t, steps, epoch), t);
            loss = cvxr_descent_step(s);
            if (t % CVXR_TICK_STEPS == 0) {
                if (!cvxr_finite(loss)) return 0;
                if (core && (core->opt->progress || core->opt->time_limit > 0)
                    && cvxr_tick(core, (int)cvxr_min_z(t, 0x7fffffff),
                                 (loss + cvxr_descent_penalty(s, plan->lambda))
                                     / (s->y_by * s->y_by),
                                 0, s->m))
                    return 0;
            }
            if (plan->tidy_every > 0 && t % (size_t)plan->tidy_every == 0)
                cvxr_descent_tidy(s, plan->floor,
                                  s->batches == 1 && t >= (size_t)plan->merge_from);
        }
        s->at = 0;
    }
    return 1;
}

/* A whole descent for the targets y (n). */
static int cvxr_descent_run(cvxr_descent *s, const cvxr_descent_plan *plan, const double *y,
                            cvxr_core *core) {
    size_t i;
    s->Y = y;
    s->at = s->steps = 0;
    for (i = 0; i < s->n; i++) s->order[i] = i;
    cvxr_descent_load(s);
    cvxr_descent_forget(s);
    cvxr_descent_draw(s, plan->width, plan->seed);
    return cvxr_descent_epochs(s, plan, core, 0, plan->epochs);
}

/* The recipe's steps are for columns of length about 1 and targets of size about 1, and
   float32 has its range: X / alpha and y / beta are trained on, alpha the root of the mean
   square of the columns' lengths, beta that of the targets. With v' = v alpha / beta the
   objective is beta^2 times that of lambda / (alpha beta); returns this strength. */
static double cvxr_descent_normalise(cvxr_descent *s, const double *y, double lambda) {
    double alpha = 0, beta = cvxr_safe_norm(y, s->n) / sqrt((double)s->n);
    size_t i, k, live = 0;
    for (k = 0; k < s->d; k++) {
        double top = 0, sum = 0;
        for (i = 0; i < s->n; i++) top = cvxr_max(top, fabs(s->X[i * s->ldx + k]));
        for (i = 0; i < s->n && top > 0; i++) {
            const double x = s->X[i * s->ldx + k] / top;
            sum += x * x;
        }
        if (top > 0) live++, alpha = hypot(alpha, top * sqrt(sum));
    }
    alpha = live ? alpha / sqrt((double)live) : 1;
    if (!(beta > 0)) beta = 1;
    s->x_by = 1 / alpha;
    s->y_by = 1 / beta;
    return lambda * s->x_by * s->y_by;
}

/* v_j = w_j |a_j| into a row of ldv doubles (zeros after the d-th); returns the sign of a_j,
   0 for a neuron that is zero. */
static int cvxr_descent_neuron(const cvxr_descent *s, size_t j, double *v, size_t ldv) {
    const double a = (double)s->a[j], by = s->x_by / s->y_by;
    size_t k;
    for (k = 0; k < ldv; k++)
        v[k] = k < s->d ? (double)s->W[j * s->width + k] * fabs(a) * by : 0;
    for (k = 0; k < s->d && v[k] == 0; k++) {}
    return k == s->d ? 0 : a > 0 ? 1 : -1;
}
#undef CVXR_TICK_STEPS
/* ==== S19 ENUMERATION ====================================================================
   All activation patterns that have an interior, each with a gate inside its cell: the cells of
   the arrangement of the hyperplanes x_j . g = 0. First the rows are divided by their norms and
   brought to an orthonormal basis of their span (cvxr_span; the singular value decomposition of
   [PE20 A.2] finds the same space): the rank r takes the place of d. Then, by the dimension:

       r = 1  the two half lines;   r = 2  the lines are sorted by angle and swept;
       r > 2  every hyperplane k is an arrangement of dimension r - 1 itself, whose cells p are
              the facets of the cells looked for: one on either side of k. A table of patterns
              keeps each cell once; its gate is the sum of the unit vectors p of all its facets,
              which lies well inside it.

   That is O(n^r) work for the at most 2 sum_{k<r} C(n-1, k) patterns [Cover 1965]. Signs come
   from the sweep and from which side of k was taken, never from a product near zero. Every unit
   row carries a radius of uncertainty, the margin of S07 to begin with, which grows as it is
   restricted: hyperplanes, or their traces on others, that coincide within it are one. A cell
   too thin for a gate with that margin has no interior in float64 and is left out; its points
   lie, within rounding, in its neighbours, as in [MSP22 Prop. 3.2].
   Uses S02, S03, S04, S06, S07. Used by S20 (span), S22, S23.
   Tests: tests/test_s19_enumerate.c.
   Sources: [PE20 A.2]; Edelsbrunner, O'Rourke, Seidel 1986; Cover 1965.                      */

/* ---- The span of the rows --------------------------------------------------------------- */

/* Rows are short here, where the kernels of S05 cost more than they save. */
static double cvxr_short_dot(size_t n, const double *x, const double *y) {
    double sum = 0;
    size_t i;
    for (i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}

static void cvxr_short_axpy(size_t n, double a, const double *x, double *y) {
    size_t i;
    for (i = 0; i < n; i++) y[i] += a * x[i];
}

typedef struct cvxr_span {
    size_t n, d, rank, most;   /* most: columns that Z and V have room for                    */
    double *V;                 /* most x d: an orthonormal basis of the span, by rows         */
    double *Z;                 /* n x most, row stride most: coordinates of x_j / ||x_j||     */
    double *norm;              /* n: ||x_j||                                                  */
    double *fuzz;              /* n: how far x_j / ||x_j|| may be from what Z says            */
    double *margin;            /* n: a sign is certain when |x_j . g| > margin_j ||g||        */
    int complete;              /* 0: the rank is above `most`, nothing else is valid          */
} cvxr_span;

static void cvxr_span_close(cvxr_span *s, cvxr_mem *mem) {
    cvxr_release(mem, s->V, s->most * s->d, sizeof(double));
    cvxr_release(mem, s->Z, s->n * s->most, sizeof(double));
    cvxr_release(mem, s->norm, 3 * s->n, sizeof(double));
    memset(s, 0, sizeof *s);
}

/* The margins of S07 (see cvxr_margins), with the shift q of the columns in their units; q may
   be NULL. Columns that are zero throughout hold no gate and do not count. row: 2 d doubles. */
static void cvxr_span_margins(cvxr_span *s, const double *X, size_t dp, const double *shift,
                              const double *scales, double *row) {
    double *q = row + s->d, norm_q;
    size_t i, j;
    for (j = 0; j < s->d; j++) q[j] = 0;
    for (i = 0; shift && i < s->n; i++)
        for (j = 0; j < s->d; j++)
            if (X[i * dp + j] != 0) q[j] = shift[j] / scales[j];
    norm_q = cvxr_safe_norm(q, s->d);
    for (i = 0; i < s->n; i++) {
        double most = s->norm[i];
        for (j = 0; j < s->d; j++) row[j] = X[i * dp + j] + q[j];
        if (norm_q > 0) most = cvxr_max(most, cvxr_safe_norm(row, s->d) + norm_q);
        s->margin[i] = 64 * DBL_EPSILON * (double)s->d * most;
        s->fuzz[i] = s->norm[i] > 0 ? s->margin[i] / s->norm[i] : 0;
    }
}

/* One more basis vector: what is left of the row with the largest rest, in R (n x d), made
   orthogonal to the others again. Returns 0 when no rest is above its uncertainty. */
static int cvxr_span_grow(cvxr_span *s, double *R) {
    size_t i, j, k, top = s->n;
    double largest = 0, *v = s->V + s->rank * s->d;
    for (i = 0; i < s->n; i++) {
        double rest = cvxr_norm2_f64(s->d, R + i * s->d);
        if (s->norm[i] > 0 && rest > s->fuzz[i] && rest > largest) largest = rest, top = i;
    }
    if (top == s->n) return 0;
    if (s->rank == s->most) return -1;
    memcpy(v, R + top * s->d, s->d * sizeof(double));
    for (k = 0; k < s->rank; k++)
        cvxr_short_axpy(s->d, -cvxr_short_dot(s->d, s->V + k * s->d, v), s->V + k * s->d, v);
    largest = cvxr_norm2_f64(s->d, v);
    for (j = 0; j < s->d; j++) v[j] /= largest;
    for (i = 0; i < s->n; i++) {
        double z = cvxr_short_dot(s->d, R + i * s->d, v);
        s->Z[i * s->most + s->rank] = z;
        cvxr_short_axpy(s->d, -z, v, R + i * s->d);
        if (i != top) s->fuzz[i] += s->fuzz[top];
    }
    s->rank++;
    return 1;
}

/* The span of the n rows of X (row stride dp), given up when its rank is above `most`. shift
   and scales as in cvxr_data, or both NULL. Returns 0 when memory was refused (see mem). */
static int cvxr_span_open(cvxr_span *s, cvxr_mem *mem, const double *X, size_t n, size_t d,
                          size_t dp, const double *shift, const double *scales, size_t most) {
    double *R;
    size_t i, j;
    int more;
    memset(s, 0, sizeof *s);
    s->n = n;
    s->d = d;
    s->most = cvxr_max_z(cvxr_min_z(most, cvxr_min_z(n, d)), 1);
    s->V = (double *)cvxr_alloc_zero(mem, s->most * d, sizeof(double));
    s->Z = (double *)cvxr_alloc_zero(mem, n * s->most, sizeof(double));
    s->norm = (double *)cvxr_alloc(mem, 3 * n, sizeof(double));
    R = (double *)cvxr_alloc(mem, cvxr_max_z(n, 2) * d, sizeof(double));
    if (!mem->failed) {
        s->fuzz = s->norm + n;
        s->margin = s->fuzz + n;
        for (i = 0; i < n; i++) s->norm[i] = cvxr_safe_norm(X + i * dp, d);
        cvxr_span_margins(s, X, dp, shift, scales, R);
        for (i = 0; i < n; i++)
            for (j = 0; j < d; j++)
                R[i * d + j] = s->norm[i] > 0 ? X[i * dp + j] / s->norm[i] : 0;
        while ((more = cvxr_span_grow(s, R)) > 0) {}
        s->complete = more == 0;
        for (i = 0; i < n; i++) s->fuzz[i] += cvxr_norm2_f64(d, R + i * d);
    }
    cvxr_release(mem, R, cvxr_max_z(n, 2) * d, sizeof(double));
    if (mem->failed) cvxr_span_close(s, mem);
    return !mem->failed;
}

/* ---- Cells: patterns over the rows, each with the sum of the points found in it --------- */

typedef struct cvxr_cells {
    size_t words, dim, count, capacity, slots;
    uint64_t *bits;            /* count x words                                               */
    double *point;             /* count x dim                                                 */
    size_t *table;             /* slots: cell + 1, or 0; none when cells cannot recur         */
} cvxr_cells;

static void cvxr_cells_close(cvxr_cells *c, cvxr_mem *mem) {
    cvxr_release(mem, c->table, c->slots, sizeof(size_t));
    cvxr_release(mem, c->point, c->capacity * c->dim, sizeof(double));
    cvxr_release(mem, c->bits, c->capacity * c->words, sizeof(uint64_t));
    memset(c, 0, sizeof *c);
}

static size_t cvxr_cells_hash(const cvxr_cells *c, const uint64_t *bits) {
    uint64_t hash = 0;
    size_t w;
    for (w = 0; w < c->words; w++) {
        hash = (hash ^ bits[w]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    return (size_t)hash;
}

/* The slot where the pattern is, or would be. */
static size_t cvxr_cells_slot(const cvxr_cells *c, const uint64_t *bits) {
    size_t at = cvxr_cells_hash(c, bits) & (c->slots - 1);
    for (; c->table[at]; at = (at + 1) & (c->slots - 1))
        if (memcmp(c->bits + (c->table[at] - 1) * c->words, bits,
                   c->words * sizeof(uint64_t)) == 0)
            break;
    return at;
}

/* Room for `capacity` cells, a power of two; 0 when it was refused (then nothing changed). */
static int cvxr_cells_reserve(cvxr_cells *c, cvxr_mem *mem, size_t capacity, int hashed) {
    cvxr_cells wide = *c;
    size_t i;
    wide.capacity = capacity;
    wide.slots = hashed ? 2 * capacity : 0;
    wide.bits = (uint64_t *)cvxr_alloc(mem, capacity * c->words, sizeof(uint64_t));
    wide.point = (double *)cvxr_alloc(mem, capacity * c->dim, sizeof(double));
    wide.table = hashed ? (size_t *)cvxr_alloc_zero(mem, wide.slots, sizeof(size_t)) : NULL;
    if (mem->failed) {
        cvxr_cells_close(&wide, mem);
        return 0;
    }
    if (c->count) {
        memcpy(wide.bits, c->bits, c->count * c->words * sizeof(uint64_t));
        memcpy(wide.point, c->point, c->count * c->dim * sizeof(double));
    }
    for (i = 0; hashed && i < c->count; i++)
        wide.table[cvxr_cells_slot(&wide, wide.bits + i * c->words)] = i + 1;
    cvxr_cells_close(c, mem);
    *c = wide;
    return 1;
}

/* Adds a point to the cell of a pattern, which is made when it is not there yet; returns the
   cell, or NULL when memory was refused. */
static double *cvxr_cells_add(cvxr_cells *c, cvxr_mem *mem, const uint64_t *bits,
                              const double *point) {
    size_t at = 0, cell, j;
    double *sum;
    if (c->count == c->capacity &&
        !cvxr_cells_reserve(c, mem, 2 * c->capacity, c->slots > 0))
        return NULL;
    if (c->slots) at = cvxr_cells_slot(c, bits);
    cell = c->slots && c->table[at] ? c->table[at] - 1 : c->count;
    sum = c->point + cell * c->dim;
    if (cell == c->count) {
        memcpy(c->bits + cell * c->words, bits, c->words * sizeof(uint64_t));
        for (j = 0; j < c->dim; j++) sum[j] = 0;
        c->count++;
        if (c->slots) c->table[at] = c->count;
    }
    for (j = 0; j < c->dim; j++) sum[j] += point[j];
    return sum;
}

/* ---- Levels: the arrangement on a flat of some dimension -------------------------------- */

/* Rows that are `live` do not contain the flat. Those whose traces on it coincide form a class:
   `order` lists the members of class q from first[q] to first[q+1] - 1, the one that stands for
   them at the front; side = -1 marks members that face the other way. */
typedef struct cvxr_level {
    size_t dim, live, classes;
    size_t *row;               /* live: numbers of the rows                                   */
    double *normal;            /* live x dim: their unit normals on the flat                  */
    double *fuzz;              /* live                                                        */
    size_t *order, *first;     /* live, live + 1: indices into `row`                          */
    double *side;              /* live                                                        */
    double *angle;             /* live, dim 2                                                 */
    uint64_t *plus, *minus;    /* words each: a class on its two sides                        */
    uint64_t *bits;            /* words                                                       */
    double *mirror;            /* dim: the reflection that takes a normal to the first axis   */
    double *work;              /* dim                                                         */
    cvxr_cells cells;
} cvxr_level;

typedef struct cvxr_arrange {
    cvxr_mem *mem;
    size_t n, words, limit;
    cvxr_level *levels;        /* rank + 1, by dimension                                      */
    size_t rank;
    int over;                  /* there are more cells than `limit`                           */
} cvxr_arrange;

static size_t cvxr_level_reals(size_t n, size_t dim) { return n * (dim + 3) + 2 * dim; }

static void cvxr_level_open(cvxr_level *s, cvxr_mem *mem, size_t n, size_t words, size_t dim) {
    double *real = (double *)cvxr_alloc(mem, cvxr_level_reals(n, dim), sizeof(double));
    size_t *whole = (size_t *)cvxr_alloc(mem, 3 * n + 1, sizeof(size_t));
    uint64_t *bits = (uint64_t *)cvxr_alloc(mem, 3 * words, sizeof(uint64_t));
    s->dim = dim;
    s->normal = real;
    s->row = whole;
    s->bits = bits;
    s->cells.words = words;
    s->cells.dim = dim;
    cvxr_cells_reserve(&s->cells, mem, 64, dim > 2);
    if (mem->failed) return;
    s->fuzz = real + n * dim;
    s->side = s->fuzz + n;
    s->angle = s->side + n;
    s->mirror = s->angle + n;
    s->work = s->mirror + dim;
    s->order = whole + n;
    s->first = s->order + n;
    s->plus = bits + words;
    s->minus = s->plus + words;
}

static void cvxr_level_close(cvxr_level *s, cvxr_mem *mem, size_t n, size_t words,
                             size_t dim) {
    cvxr_cells_close(&s->cells, mem);
    cvxr_release(mem, s->bits, 3 * words, sizeof(uint64_t));
    cvxr_release(mem, s->row, 3 * n + 1, sizeof(size_t));
    cvxr_release(mem, s->normal, cvxr_level_reals(n, dim), sizeof(double));
}

static void cvxr_bits_flip(uint64_t *bits, size_t row) {
    bits[row / 64] ^= (uint64_t)1 << (row % 64);
}

/* The masks of class q on its positive and negative side. */
static void cvxr_level_masks(cvxr_level *s, size_t q) {
    size_t i;
    memset(s->plus, 0, s->cells.words * sizeof(uint64_t));
    memset(s->minus, 0, s->cells.words * sizeof(uint64_t));
    for (i = s->first[q]; i < s->first[q + 1]; i++)
        cvxr_bits_flip(s->side[s->order[i]] > 0 ? s->plus : s->minus, s->row[s->order[i]]);
}

/* Classes of a level of dimension 1 (one of all rows) or above 2: by comparison of pairs. */
static void cvxr_level_classes(cvxr_level *s) {
    size_t i, j, k, q, at = 0, dim = s->dim;
    for (i = 0; i < s->live; i++) s->side[i] = 0;
    s->classes = 0;
    for (i = 0; i < s->live; i++) {
        const double *x = s->normal + i * dim;
        if (s->side[i] != 0) continue;
        s->first[s->classes++] = at;
        s->order[at++] = i;
        s->side[i] = 1;
        for (j = i + 1; j < s->live; j++) {
            const double *y = s->normal + j * dim;
            double dot = cvxr_short_dot(dim, x, y), rest = 0, reach = s->fuzz[i] + s->fuzz[j];
            if (s->side[j] != 0 || fabs(dot) < 0.5) continue;
            for (k = 0; k < dim; k++) {
                double e = y[k] - dot * x[k];
                rest += e * e;
            }
            if (dim > 1 && rest > reach * reach) continue;
            s->side[j] = dot > 0 ? 1 : -1;
            s->order[at++] = j;
        }
    }
    q = s->classes;
    s->first[q] = at;
}

/* Dimension 2: the angles in [0, pi) of the lines normal . p = 0, sorted (Shell's method). */
static void cvxr_level_angles(cvxr_level *s) {
    const double pi = 3.14159265358979323846;
    size_t gap = 1, i, j;
    for (i = 0; i < s->live; i++) {
        const double *x = s->normal + 2 * i;
        double a = atan2(x[0], -x[1]); /* of the direction (-x1, x0) */
        if (a < 0) a += pi;
        s->angle[i] = a >= pi ? 0 : a;
        s->order[i] = i;
    }
    while (gap < s->live / 3) gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3)
        for (i = gap; i < s->live; i++) {
            size_t at = s->order[i];
            for (j = i; j >= gap && s->angle[s->order[j - gap]] > s->angle[at]; j -= gap)
                s->order[j] = s->order[j - gap];
            s->order[j] = at;
        }
}

/* Is the gap between two angles within the uncertainty of their lines? */
static int cvxr_level_same(const cvxr_level *s, size_t i, size_t j, double gap) {
    return gap <= s->fuzz[i] + s->fuzz[j];
}

/* Dimension 2: lines that follow one another within their uncertainty are one class; the list
   is turned so that none is cut at the end. */
static void cvxr_level_classes2(cvxr_level *s) {
    const double pi = 3.14159265358979323846;
    size_t i, m = s->live, turn = 0, *spare = s->first; /* free until the classes are known */
    cvxr_level_angles(s);
    while (turn < m) {
        size_t a = s->order[turn ? turn - 1 : m - 1], b = s->order[turn];
        double gap = s->angle[b] - s->angle[a] + (turn ? 0 : pi);
        if (m > 1 && !cvxr_level_same(s, a, b, gap)) break;
        turn++;
    }
    if (turn >= m) turn = 0; /* a single class */
    for (i = 0; i < m; i++) spare[i] = s->order[(turn + i) % m];
    memcpy(s->order, spare, m * sizeof(size_t));
    for (i = m - turn; i < m; i++) s->angle[s->order[i]] += pi;
    s->classes = 0;
    for (i = 0; i < m; i++) {
        if (i == 0 || !cvxr_level_same(s, s->order[i - 1], s->order[i],
                                       s->angle[s->order[i]] - s->angle[s->order[i - 1]]))
            s->first[s->classes++] = i;
        s->side[s->order[i]] = 1;
    }
    s->first[s->classes] = m;
}

static int cvxr_arrange_store(cvxr_arrange *a, cvxr_level *s, const uint64_t *bits,
                              const double *point) {
    if (cvxr_cells_add(&s->cells, a->mem, bits, point) == NULL) return 0;
    if (s->cells.count <= a->limit) return 1;
    a->over = 1;
    return 0;
}

/* Dimension 1: two half lines. */
static int cvxr_arrange_line(cvxr_arrange *a, cvxr_level *s) {
    double point = 1, other = -1;
    size_t i;
    for (i = 0; i < s->live; i++) s->side[i] = s->normal[i] > 0 ? 1 : -1;
    for (i = 0; i < s->live; i++) s->order[i] = i;
    s->first[0] = 0;
    s->first[1] = s->live;
    cvxr_level_masks(s, 0);
    return cvxr_arrange_store(a, s, s->plus, &point) &&
           cvxr_arrange_store(a, s, s->minus, &other);
}

/* Dimension 2: the arcs between neighbouring lines, all the way round. */
static int cvxr_arrange_plane(cvxr_arrange *a, cvxr_level *s) {
    const double pi = 3.14159265358979323846;
    size_t q, i, turn;
    double p[2];
    cvxr_level_classes2(s);
    memset(s->bits, 0, a->words * sizeof(uint64_t));
    for (turn = 0; turn < 2 * s->classes; turn++) {
        size_t last = s->classes - 1;
        double half = turn < s->classes ? 0 : pi, from, to;
        q = turn % s->classes; /* the arc before class q */
        to = s->angle[s->order[s->first[q]]];
        from = q ? s->angle[s->order[s->first[q] - 1]]
                 : s->angle[s->order[s->first[last + 1] - 1]] - pi;
        p[0] = cos((from + to) / 2 + half);
        p[1] = sin((from + to) / 2 + half);
        for (i = 0; turn == 0 && i < s->live; i++)
            if (s->normal[2 * i] * p[0] + s->normal[2 * i + 1] * p[1] > 0)
                cvxr_bits_flip(s->bits, s->row[i]);
        if (!cvxr_arrange_store(a, s, s->bits, p)) return 0;
        for (i = s->first[q]; i < s->first[q + 1]; i++)
            cvxr_bits_flip(s->bits, s->row[s->order[i]]);
    }
    return 1;
}

/* The unit vector m with (I - 2 m m') x = -+ e_0; returns 0 for x = 0. */
static void cvxr_level_mirror(cvxr_level *s, const double *x) {
    double norm;
    size_t j;
    memcpy(s->mirror, x, s->dim * sizeof(double));
    s->mirror[0] += x[0] >= 0 ? 1 : -1;
    norm = cvxr_norm2_f64(s->dim, s->mirror);
    for (j = 0; j < s->dim; j++) s->mirror[j] /= norm;
}

/* y = (I - 2 m m') x */
static void cvxr_level_reflect(const cvxr_level *s, const double *x, double *y) {
    double twice = 2 * cvxr_short_dot(s->dim, s->mirror, x);
    size_t j;
    for (j = 0; j < s->dim; j++) y[j] = x[j] - twice * s->mirror[j];
}

/* The rows of `s` on the hyperplane of its class q, in the coordinates behind the mirror. */
static void cvxr_level_restrict(cvxr_level *s, size_t q, cvxr_level *flat) {
    size_t i, j, k = s->order[s->first[q]];
    cvxr_level_mirror(s, s->normal + k * s->dim);
    flat->live = 0;
    flat->cells.count = 0;
    if (flat->cells.slots) memset(flat->cells.table, 0, flat->cells.slots * sizeof(size_t));
    for (i = s->first[q]; i < s->first[q + 1]; i++) s->angle[s->order[i]] = -1;
    for (i = 0; i < s->live; i++) {
        double *to = flat->normal + flat->live * flat->dim, norm;
        if (s->angle[i] < 0) {
            s->angle[i] = 0; /* in class q, which contains the flat */
            continue;
        }
        cvxr_level_reflect(s, s->normal + i * s->dim, s->work);
        norm = cvxr_norm2_f64(flat->dim, s->work + 1);
        for (j = 0; j < flat->dim; j++) to[j] = s->work[j + 1] / norm;
        flat->fuzz[flat->live] = (s->fuzz[i] + s->fuzz[k]) / norm;
        flat->row[flat->live++] = s->row[i];
    }
}

/* Every cell of the flat inside class q is a facet of two cells of the level. */
static int cvxr_level_lift(cvxr_arrange *a, cvxr_level *s, const cvxr_level *flat) {
    size_t cell, j, w;
    int up;
    for (cell = 0; cell < flat->cells.count; cell++) {
        const double *point = flat->cells.point + cell * flat->dim;
        const uint64_t *bits = flat->cells.bits + cell * a->words;
        double norm = cvxr_norm2_f64(flat->dim, point), *x = s->work, twice = 0;
        for (x[0] = 0, j = 0; j < flat->dim; j++) x[j + 1] = norm > 0 ? point[j] / norm : 0;
        twice = 2 * cvxr_short_dot(s->dim, s->mirror, x);
        for (j = 0; j < s->dim; j++) x[j] -= twice * s->mirror[j];
        for (up = 0; up < 2; up++) {
            for (w = 0; w < a->words; w++) s->bits[w] = bits[w] | (up ? s->plus : s->minus)[w];
            if (!cvxr_arrange_store(a, s, s->bits, x)) return 0;
        }
    }
    return 1;
}

/* All cells of the level of this dimension, whose rows are in place. 0 when there are too many
   or memory was refused. The depth of the recursion is the rank. */
static int cvxr_arrange_level(cvxr_arrange *a, size_t dim) {
    cvxr_level *s = a->levels + dim, *flat;
    size_t q;
    if (dim == 1) return cvxr_arrange_line(a, s);
    if (dim == 2) return cvxr_arrange_plane(a, s);
    flat = a->levels + dim - 1;
    cvxr_level_classes(s);
    for (q = 0; q < s->live; q++) s->angle[q] = 0;
    for (q = 0; q < s->classes; q++) {
        cvxr_level_restrict(s, q, flat);
        if (!cvxr_arrange_level(a, dim - 1)) return 0;
        cvxr_level_masks(s, q);
        if (!cvxr_level_lift(a, s, flat)) return 0;
    }
    return 1;
}

static void cvxr_arrange_close(cvxr_arrange *a) {
    size_t dim;
    if (a->levels)
        for (dim = 1; dim <= a->rank; dim++)
            cvxr_level_close(a->levels + dim, a->mem, a->n, a->words, dim);
    cvxr_release(a->mem, a->levels, a->rank + 1, sizeof *a->levels);
    memset(a, 0, sizeof *a);
}

/* Levels for the span; the top one holds its rows but zeros. 0 when memory was refused. */
static int cvxr_arrange_open(cvxr_arrange *a, cvxr_mem *mem, const cvxr_span *span,
                             size_t limit) {
    cvxr_level *top;
    size_t i, j, dim;
    memset(a, 0, sizeof *a);
    a->mem = mem;
    a->n = span->n;
    a->words = (span->n + 63) / 64;
    a->limit = limit;
    a->rank = span->rank;
    a->levels = (cvxr_level *)cvxr_alloc_zero(mem, a->rank + 1, sizeof *a->levels);
    for (dim = 1; a->levels && dim <= a->rank; dim++)
        cvxr_level_open(a->levels + dim, mem, a->n, a->words, dim);
    if (mem->failed) {
        cvxr_arrange_close(a);
        return 0;
    }
    top = a->levels + a->rank;
    for (i = 0; i < span->n; i++) {
        const double *z = span->Z + i * span->most;
        double norm = cvxr_norm2_f64(a->rank, z);
        if (span->norm[i] == 0) continue;
        for (j = 0; j < a->rank; j++) top->normal[top->live * a->rank + j] = z[j] / norm;
        top->fuzz[top->live] = span->fuzz[i];
        top->row[top->live++] = i;
    }
    return 1;
}

/* ---- Patterns from cells ---------------------------------------------------------------- */

/* 2 sum_{k<rank} C(n-1, k), the number of cells of n hyperplanes in general position, at most
   `most` [Cover 1965]. */
static size_t cvxr_cover(size_t n, size_t rank, size_t most) {
    double sum = 0, choose = 1;
    size_t k;
    if (n == 0 || rank == 0) return 1;
    for (k = 0; k < rank && k < n; k++) {
        sum += choose;
        choose *= (double)(n - 1 - k) / (double)(k + 1);
        if (2 * sum >= (double)most) return most;
    }
    return (size_t)(2 * sum + 0.5);
}

/* The gate of a cell in the solver's coordinates: the point taken from the span, unit length.
   Returns the number of rows (not zero) that are active, or SIZE_MAX when a sign is not certain
   or not the one of the pattern. A zero row is active, as the tie rule of S07 has it. */
static size_t cvxr_cell_gate(const cvxr_span *span, const cvxr_data *data, const double *point,
                             const uint64_t *cell, double *gate, uint64_t *bits) {
    size_t i, k, active = 0;
    double norm;
    for (i = 0; i < span->d; i++) gate[i] = 0;
    for (k = 0; k < span->rank; k++)
        cvxr_short_axpy(span->d, point[k], span->V + k * span->d, gate);
    norm = cvxr_norm2_f64(span->d, gate);
    if (!(norm > 0)) return SIZE_MAX;
    for (i = 0; i < span->d; i++) gate[i] /= norm;
    memset(bits, 0, (span->n + 63) / 64 * sizeof(uint64_t));
    for (i = 0; i < span->n; i++) {
        double z = cvxr_short_dot(span->d, data->X + i * data->dp, gate);
        uint64_t on = cell[i / 64] >> (i % 64) & 1;
        if (span->norm[i] == 0) {
            cvxr_bits_flip(bits, i);
            continue;
        }
        if (fabs(z) <= span->margin[i] || (z > 0) != (on != 0)) return SIZE_MAX;
        if (on) cvxr_bits_flip(bits, i), active++;
    }
    return active;
}

/* What came of an enumeration. */
typedef struct cvxr_enumeration {
    size_t rank;               /* of the rows                                                 */
    size_t cells;              /* patterns with an interior, the all-zero one included        */
    size_t thin;               /* cells left out: too thin for a gate with margin             */
} cvxr_enumeration;

static cvxrelu_result cvxr_enumerate_take(cvxr_mem *mem, const cvxr_data *data,
                                          const cvxr_span *span, const cvxr_cells *cells,
                                          cvxr_enumeration *about, cvxr_patterns *out) {
    size_t cell, active, room = 0;
    out->n = data->n;
    out->d = data->d;
    out->words = cells->words;
    out->capacity = cells->count;
    if (!cvxr_size_mul(out->capacity, data->d, &room)) room = SIZE_MAX;
    out->bits = (uint64_t *)cvxr_alloc(mem, out->capacity * out->words, sizeof(uint64_t));
    out->gates = (double *)cvxr_alloc(mem, room, sizeof(double));
    for (cell = 0; cell < cells->count && !mem->failed; cell++) {
        active = cvxr_cell_gate(span, data, cells->point + cell * cells->dim,
                                cells->bits + cell * cells->words,
                                out->gates + out->count * out->d,
                                out->bits + out->count * out->words);
        if (active == SIZE_MAX) about->thin++;
        else about->cells++;
        if (active != SIZE_MAX && active > 0) out->count++;
    }
    return mem->failed;
}

#define CVXR_ENUMERATE_LIMIT ((size_t)1 << 20)

/* All patterns of the data that have an interior, but the one without an active row, with
   gates; `limit`: the most cells (0 = 2^20), above which it is refused with LIMIT before memory
   for more is taken. `about` may be NULL. On an error nothing is held, out is zero and message
   says why. The bits of zero rows are 1. */
static cvxrelu_result cvxr_enumerate_about(cvxr_mem *mem, const cvxr_data *data, size_t limit,
                                           cvxr_enumeration *about, cvxr_patterns *out,
                                           char *message) {
    cvxr_span span;
    cvxr_arrange a;
    cvxr_enumeration own;
    cvxrelu_result result = CVXRELU_OK;
    memset(out, 0, sizeof *out);
    if (about == NULL) about = &own;
    memset(about, 0, sizeof *about);
    if (limit == 0) limit = CVXR_ENUMERATE_LIMIT;
    limit = cvxr_min_z(limit, SIZE_MAX / 4096); /* counts are doubled and multiplied by words */
    if (!cvxr_span_open(&span, mem, data->X, data->n, data->d, data->dp, data->shift,
                        data->scales, data->d))
        return cvxr_mem_result(mem, message);
    about->rank = span.rank;
    if (span.rank == 0)
        result = cvxr_fail(message, CVXRELU_ERR_PATTERNS,
                           "X is zero after scaling: there is nothing to enumerate");
    memset(&a, 0, sizeof a);
    a.mem = mem;
    if (!result && cvxr_arrange_open(&a, mem, &span, limit) && cvxr_arrange_level(&a, a.rank))
        result = cvxr_enumerate_take(mem, data, &span, &a.levels[a.rank].cells, about, out);
    if (a.over)
        result = cvxr_fail(message, CVXRELU_ERR_LIMIT,
                           "%z rows of rank %z have more than %z patterns (up to %z): "
                           "enumerate fewer rows, or search", span.n, span.rank, limit,
                           cvxr_cover(span.n, span.rank, SIZE_MAX / 4096));
    if (mem->failed) result = cvxr_mem_result(mem, message);
    cvxr_arrange_close(&a);
    cvxr_span_close(&span, mem);
    if (!result && out->count == 0)
        result = cvxr_fail(message, CVXRELU_ERR_PATTERNS, "no pattern has an active row");
    if (result) cvxr_patterns_free(mem, out);
    return result;
}

CVXR_UNUSED static cvxrelu_result cvxr_enumerate(cvxr_mem *mem, const cvxr_data *data,
                                                 size_t limit, cvxr_patterns *out,
                                                 char *message) {
    return cvxr_enumerate_about(mem, data, limit, NULL, out, message);
}

/* ---- Public ----------------------------------------------------------------------------- */

CVXRELU_API cvxrelu_result cvxrelu_enumerate(const cvxrelu_problem *problem,
                                             const cvxrelu_options *options, size_t limit,
                                             cvxrelu_enumeration *about, double *gates,
                                             size_t capacity,
                                             char message[CVXRELU_MESSAGE_SIZE]) {
    cvxr_mem mem;
    cvxr_data data;
    cvxr_patterns patterns;
    cvxr_enumeration found;
    cvxrelu_result result;
    if (message) message[0] = 0;
    if (about) memset(about, 0, sizeof *about);
    if (problem == NULL || about == NULL)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "problem or about is NULL");
    cvxr_mem_init(&mem, options ? &options->allocator : NULL,
                  options ? options->memory_limit : 0);
    if ((mem.user.allocate == NULL) != (mem.user.release == NULL))
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "options.allocator: set both functions, or neither");
    result = cvxr_data_make(&mem, problem, &data, message);
    if (result) return result;
    result = cvxr_enumerate_about(&mem, &data, limit, &found, &patterns, message);
    if (!result) {
        about->rank = found.rank;
        about->cells = found.cells;
        about->thin = found.thin;
        about->patterns = patterns.count;
        about->general = cvxr_cover(data.n, found.rank, SIZE_MAX / 4096);
        if (gates && capacity < patterns.count)
            result = cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                               "gates has room for %z patterns, there are %z", capacity,
                               patterns.count);
        else if (gates)
            memcpy(gates, patterns.gates, patterns.count * data.d * sizeof(double));
    }
    cvxr_patterns_free(&mem, &patterns);
    cvxr_data_free(&mem, &data);
    return result;
}

/* ==== S20 BOUNDS OVER ALL PATTERNS =======================================================
   With L = lambda n c, one output y and any theta, let

       M(theta) = max over s = +-1, ||u|| <= 1 of s theta'(Xu)_+ .

   B >= M(theta) makes sigma theta dual feasible over all patterns for sigma <= L/B, so that
   every network's objective (times n c) is at least sigma y'theta - sigma^2 ||theta||^2 / 2
   (cvxr_dual_value). Here are bounds B for one sign, s theta given as theta; p, q its positive
   and negative parts:

     spectral   (||X'theta|| + sqrt(sum p) sqrt(lambda_max(X'diag(p)X))) / 2
     weighted   p|v|/2 <= p^2/(16 tau) + tau v^2 on v = x.u for any tau > 0, and -q|v|/2 <=
                -q v^2/(2||x||) because |v| <= ||x||; the quadratic that results is maximised
                over the ball exactly: with c = X'theta/2 and A = sum tau x x' - sum
                q/(2||x||) x x',  B = sum p^2/(16 tau) + mu + c'(mu I - A)^{-1}c/4 for any
                mu > lambda_max(A), mu >= 0. Every tau and mu is a proof; they are chosen by
                L-BFGS with a barrier -eps logdet(mu I - A), eps -> 0.
     exact      rank 1 and 2: the arcs between the lines x.u = 0, sorted
     cones      branch and bound over simplicial cones {V'mu, mu >= 0}, any small rank. On a
                cone a term with theta > 0 is at most its linear interpolation at the corners, a
                term with theta < 0 at most alpha theta x.u, alpha in [0,1]; the least g with
                g.v_k >= c_k, c the values of that bound at the corners, gives ||g||. Rows of
                one sign on a cone are folded into one vector; only mixed rows cost anything.
                Cones are split at the middle of their widest edge, the worst cone first.

     moments    theta and its bound together, from the second moments Y = sum t m m' of the
                positive and of the negative neurons, m = (1, u, (Xu)_+, (-Xu)_+) (rows scaled):
                Y = F R F', R psd, F a basis of {a - b = Xu}; tr Y_uu <= Y_00; ||Y_u,a_i|| <=
                Y_0,a_i, same for b; diag Y_ab = 0; Y_aa, Y_ab, Y_bb >= 0. ADMM: R, then Y by
                its prox with the loss. Its multipliers Lam satisfy <Lam, mm'> >= -L + s theta'a
                for every u in the ball, so s theta'(Xu)_+ <= L + eps ||m||^2 with eps =
                max(0, lambda_max(F'Lam F)), in every iteration. The bound is computed from
                theta and Lam alone (cvxr_moments_judge), which are kept for a later check.

   Exact and cones work on the rows of cvxr_span, w_j = theta_j ||x_j||, and their bounds
   include what the span leaves out and the rounding of the sums to first order; arithmetic is
   not enclosed otherwise. Local ascent (cvxr_ascend) gives lower estimates of M only.
   Uses S02, S04, S05, S07, S19. Used by S23. Tests: tests/test_s20_bounds.c.
   Source: the dual of [PE20 (4)]; the bounds are this library's own.                         */

/* ---- From a bound to the objective ------------------------------------------------------- */

/* sigma y'theta - sigma^2 ||theta||^2/2 at the best sigma in [0, L/B]; B = 0 leaves it free. */
static double cvxr_dual_value(double ytheta, double square, double L, double B,
                              double *sigma) {
    double s = square > 0 ? ytheta / square : 0;
    if (B > 0 && s > L / B) s = L / B;
    if (!(s > 0)) s = 0;
    if (sigma) *sigma = s;
    return s * ytheta - s * s * square / 2;
}

/* The largest B with cvxr_dual_value >= want; 0 when no B will do. The loss ||theta||^2/2
   enters, so it can be well above L(1 + tol) when theta proves `want` to within tol. */
static double cvxr_dual_enough(double ytheta, double square, double L, double want) {
    double root = ytheta * ytheta - 2 * square * want;
    if (!(ytheta > 0) || root < 0) return 0;
    if (want <= 0) return HUGE_VAL;
    return L * (ytheta + sqrt(root)) / (2 * want);
}

/* ---- Rows of the span with weights ------------------------------------------------------- */

typedef struct cvxr_rank_rows {
    size_t n, r, ld;
    const double *Z;           /* n x r, row stride ld: unit rows                             */
    const double *w;           /* n: s theta_j ||x_j||                                        */
    double slack;              /* what a bound is raised by: span and rounding                */
} cvxr_rank_rows;

/* w (n doubles, filled here) of s theta; theta is n. */
static cvxr_rank_rows cvxr_rank_rows_make(const cvxr_span *span, const double *theta, double s,
                                          double *w) {
    cvxr_rank_rows rows;
    size_t i;
    rows.n = span->n;
    rows.r = span->rank;
    rows.ld = span->most;
    rows.Z = span->Z;
    rows.w = w;
    rows.slack = 0;
    for (i = 0; i < span->n; i++) {
        w[i] = s * theta[i] * span->norm[i];
        rows.slack += fabs(w[i]) * (span->fuzz[i] + 4 * (double)span->n * DBL_EPSILON);
    }
    return rows;
}

/* sum_j w_j (z_j.u)_+ and, in g (r, or NULL), sum of w_j z_j over the rows with z_j.u > 0. */
static double cvxr_rank_value(const cvxr_rank_rows *rows, const double *u, double *g) {
    double sum = 0;
    size_t i, k, r = rows->r;
    for (k = 0; g && k < r; k++) g[k] = 0;
    for (i = 0; i < rows->n; i++) {
        const double *z = rows->Z + i * rows->ld;
        double v = cvxr_short_dot(r, z, u);
        if (v <= 0) continue;
        sum += rows->w[i] * v;
        if (g) cvxr_short_axpy(r, rows->w[i], z, g);
    }
    return sum;
}

static double cvxr_unit(size_t r, double *u) {
    double norm = sqrt(cvxr_short_dot(r, u, u));
    size_t k;
    for (k = 0; k < r && norm > 0; k++) u[k] /= norm;
    return norm;
}

/* ---- Ascent: local maxima on the sphere -------------------------------------------------- */

/* Improves the unit vector u (r) by steps along the gradient, longer after a success, shorter
   after a failure; returns the value. work: 3 r doubles. */
static double cvxr_ascend_one(const cvxr_rank_rows *rows, double *u, int steps, double *work) {
    double *g = work, *h = g + rows->r, *t = h + rows->r, step = 1;
    double best = cvxr_rank_value(rows, u, g), value;
    size_t k, r = rows->r;
    for (; steps > 0 && step > 1e-10; steps--) {
        double norm = sqrt(cvxr_short_dot(r, g, g));
        if (norm == 0) break;
        for (k = 0; k < r; k++) t[k] = u[k] + step * g[k] / norm;
        if (cvxr_unit(r, t) == 0) break;
        value = cvxr_rank_value(rows, t, h);
        if (value > best) {
            best = value;
            memcpy(u, t, r * sizeof(double));
            memcpy(g, h, r * sizeof(double));
            step *= 1.5;
        } else step *= 0.4;
    }
    return best;
}

/* Local maxima: the `given` first rows of U (count x r) are improved, the others start at
   random. value: count. */
static void cvxr_ascend(const cvxr_rank_rows *rows, size_t given, size_t count, uint64_t seed,
                        double *U, double *value, double *work) {
    cvxrelu_random random;
    size_t i, k;
    cvxrelu_random_init(&random, seed);
    for (i = 0; i < count; i++) {
        double *u = U + i * rows->r;
        while (i >= given || cvxr_unit(rows->r, u) == 0) {
            for (k = 0; k < rows->r; k++) u[k] = cvxrelu_random_normal(&random);
            if (cvxr_unit(rows->r, u) > 0) break;
        }
        value[i] = cvxr_ascend_one(rows, u, 60, work);
    }
}

/* ---- Exact, rank 1 and 2 ----------------------------------------------------------------- */

/* Indices of n keys in ascending order (Shell's method). */
static void cvxr_sort_index(size_t n, const double *key, size_t *order) {
    size_t gap = 1, i, j;
    for (i = 0; i < n; i++) order[i] = i;
    while (gap < n / 3) gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3)
        for (i = gap; i < n; i++) {
            size_t at = order[i];
            for (j = i; j >= gap && key[order[j - gap]] > key[at]; j -= gap)
                order[j] = order[j - gap];
            order[j] = at;
        }
}

/* The largest of g.e on the arc of angles from a to b, b - a <= pi; *where is its angle. */
static double cvxr_arc_max(const double *g, double a, double b, double *where) {
    const double turn = 6.28318530717958647693;
    double norm = sqrt(g[0] * g[0] + g[1] * g[1]), at = atan2(g[1], g[0]);
    double va = g[0] * cos(a) + g[1] * sin(a), vb = g[0] * cos(b) + g[1] * sin(b);
    at += turn * ceil((a - 1e-9 - at) / turn); /* the first angle of g after a */
    if (norm > 0 && at <= b + 1e-9) {
        *where = cvxr_min(cvxr_max(at, a), b);
        return norm;
    }
    *where = va > vb ? a : b;
    return cvxr_max(va, vb);
}

/* max(0, max of f on the unit circle), the slack not added, with a maximiser u. angle: 2 n
   doubles, order: 2 n. Between neighbouring lines f is linear, f = g.u; the walk begins with
   the widest arc, where g is certain. */
static double cvxr_exact_plane(const cvxr_rank_rows *rows, double *angle, size_t *order,
                               double *u) {
    const double turn = 6.28318530717958647693;
    double g[2] = { 0, 0 }, best = 0, widest = -1, e[2], where, value;
    size_t i, m, first = 0, n = rows->n, all = 2 * rows->n;
    u[0] = u[1] = 0;
    for (i = 0; i < n; i++) {
        const double *z = rows->Z + i * rows->ld;
        double a = atan2(z[1], z[0]), b = a + turn / 4;
        a -= turn / 4; /* active on (a, b) */
        angle[2 * i] = a < -turn / 2 ? a + turn : a;
        angle[2 * i + 1] = b >= turn / 2 ? b - turn : b;
    }
    cvxr_sort_index(all, angle, order);
    for (m = 0; m < all; m++) {
        double to = m + 1 < all ? angle[order[m + 1]] : angle[order[0]] + turn;
        if (to - angle[order[m]] > widest) widest = to - angle[order[m]], first = m;
    }
    e[0] = cos(angle[order[first]] + widest / 2);
    e[1] = sin(angle[order[first]] + widest / 2);
    (void)cvxr_rank_value(rows, e, g);
    for (m = 0; m < all; m++) {
        size_t at = (first + m) % all, row = order[at] / 2;
        double from = angle[order[at]];
        double to = at + 1 < all ? angle[order[at + 1]] : angle[order[0]] + turn;
        if (m) cvxr_short_axpy(2, order[at] % 2 ? -rows->w[row] : rows->w[row],
                               rows->Z + row * rows->ld, g);
        value = cvxr_arc_max(g, from, to, &where);
        if (value <= best) continue;
        best = value;
        u[0] = cos(where);
        u[1] = sin(where);
    }
    return best;
}

static double cvxr_exact_line(const cvxr_rank_rows *rows, double *u) {
    double up = 1, down = -1, a = cvxr_rank_value(rows, &up, NULL);
    double b = cvxr_rank_value(rows, &down, NULL);
    *u = a <= 0 && b <= 0 ? 0 : a >= b ? 1 : -1;
    return cvxr_max(0, cvxr_max(a, b));
}

/* ---- Branch and bound over simplicial cones ---------------------------------------------- */

#define CVXR_WEDGE_RANK  8     /* highest rank                                                */
#define CVXR_WEDGE_DEPTH 4     /* levels of splits between two visits to the heap             */

/* When to give up. */
typedef struct cvxr_work_limit {
    size_t nodes, bytes;       /* cones looked at in all; memory for cones that wait          */
    const cvxrelu_clock *clock;/* NULL: no time limit                                         */
    double deadline;           /* by the clock                                                */
} cvxr_work_limit;

/* A cone at work, seen from its corners v_k only: products h_k = x.v_k of the rows that are
   mixed there, and the sums of w h_k over those that were folded. The middle of an edge has
   the sum of both ends, scaled, in all of these, so that a split needs no row of X. */
typedef struct cvxr_wedge {
    double V[CVXR_WEDGE_RANK * CVXR_WEDGE_RANK]; /* corner k at V + k r                       */
    double folded[CVXR_WEDGE_RANK];
    double *h;                 /* count x r                                                   */
    double *w;                 /* count: positive ones first                                  */
    size_t count, plus;        /* mixed rows, those with a positive weight                    */
} cvxr_wedge;

typedef struct cvxr_wedges {
    const cvxr_rank_rows *rows;
    cvxr_mem *mem;
    cvxr_work_limit limit;
    double tol, enough, above; /* stop at max(enough, (1 + tol) best), or when best > above   */
    double best, settled;      /* incumbent; the largest bound of a cone that was put aside   */
    double u[CVXR_WEDGE_RANK]; /* of the incumbent                                            */
    size_t nodes, n, plus;     /* rows with a weight, with a positive one                     */
    int full;                  /* no memory for a cone: the search is over                    */
    cvxr_wedge part[CVXR_WEDGE_DEPTH + 1];
    double *real;              /* scratch: (DEPTH + 1) x n x (r + 1), n (r + 1), 2 n          */
    double *Z, *w;             /* n x r, n: rows with a weight, positive ones first           */
    double *alpha, *room;      /* n each                                                      */
    double *heap;              /* waiting: capacity x (1 + r r): bound, corners               */
    size_t waiting, capacity;
} cvxr_wedges;

/* Least-norm g = V'mu with g.v_k >= c_k: min mu'G mu/2 - c'mu over mu >= 0 by block pivoting
   (after three blocks one index at a time); G is r x r with 1 on the diagonal. mu is as good as
   the pivoting got; the caller's bound is safe whatever it is. */
static void cvxr_wedge_pivot(size_t r, const double *G, const double *c, double *mu) {
    double A[CVXR_WEDGE_RANK * CVXR_WEDGE_RANK], top = 0;
    unsigned in = (1u << r) - 1, bad = in;
    size_t i, j, k;
    int sweep;
    for (k = 0; k < r; k++) top = cvxr_max(top, fabs(c[k]));
    for (sweep = 0; sweep < 12 && bad; sweep++) {
        size_t set[CVXR_WEDGE_RANK], m = 0;
        for (k = 0; k < r; k++) {
            mu[k] = 0;
            if (in >> k & 1) set[m++] = k;
        }
        for (i = 0; i < m; i++) { /* Cholesky, the right-hand side along as a last row */
            for (j = 0; j <= i; j++) {
                double sum = G[set[i] * r + set[j]] + (i == j ? 1e-14 : 0);
                for (k = 0; k < j; k++) sum -= A[i * r + k] * A[j * r + k];
                A[i * r + j] = i == j ? sqrt(cvxr_max(sum, 1e-14)) : sum / A[j * r + j];
            }
        }
        for (i = 0; i < m; i++) {
            double sum = c[set[i]];
            for (k = 0; k < i; k++) sum -= A[i * r + k] * mu[set[k]];
            mu[set[i]] = sum / A[i * r + i];
        }
        for (i = m; i-- > 0;) {
            double sum = mu[set[i]];
            for (k = i + 1; k < m; k++) sum -= A[k * r + i] * mu[set[k]];
            mu[set[i]] = sum / A[i * r + i];
        }
        for (bad = 0, k = 0; k < r; k++) {
            if (in >> k & 1) bad |= (unsigned)(mu[k] < -1e-12 * top) << k;
            else bad |= (unsigned)(cvxr_short_dot(r, G + k * r, mu) < c[k] - 1e-12 * top) << k;
        }
        if (sweep >= 3 && bad) {
            for (k = r; !(bad >> --k & 1);) {}
            bad = 1u << k;
        }
        in ^= bad;
    }
    for (k = 0; k < r; k++) mu[k] = cvxr_max(mu[k], 0);
}

/* The bound from the corner values c: g = V'mu is raised along the axis of the cone by what
   g.v_k lacks of c_k; or the axis alone is taken. mu returns the corner weights. */
static double cvxr_wedge_upper(size_t r, const double *V, const double *G, const double *c,
                              double *mu) {
    double axis[CVXR_WEDGE_RANK], square = 0, lift = 0, alone = 0, most = 0;
    size_t k, j;
    for (k = 0; k < r; k++) most = cvxr_max(most, c[k]);
    if (most <= 0) {
        for (k = 0; k < r; k++) mu[k] = 0;
        return 0;
    }
    cvxr_wedge_pivot(r, G, c, mu);
    for (j = 0; j < r; j++) axis[j] = 0;
    for (k = 0; k < r; k++) cvxr_short_axpy(r, 1, V + k * r, axis);
    cvxr_unit(r, axis);
    for (k = 0; k < r; k++) {
        double gv = cvxr_short_dot(r, G + k * r, mu), mv = cvxr_short_dot(r, axis, V + k * r);
        square += gv * mu[k];
        lift = cvxr_max(lift, (c[k] - gv) / mv);
        alone = cvxr_max(alone, c[k] / mv);
    }
    return cvxr_min(sqrt(cvxr_max(square, 0)) + lift, alone);
}

/* Enters a row with products h and weight w: folded, dropped, or mixed. */
static void cvxr_wedge_enter(cvxr_wedge *p, size_t r, const double *h, double w) {
    double high = 0, low = 0, *to = p->h + p->count * r;
    size_t k;
    for (k = 0; k < r; k++) {
        to[k] = h[k];
        high = h[k] > high ? h[k] : high;
        low = h[k] < low ? h[k] : low;
    }
    if (low < 0 && high > 0) p->w[p->count++] = w;
    else if (high > 0)
        for (k = 0; k < r; k++) p->folded[k] += w * h[k];
}

/* The root of a subtree: all rows on the cone p->V. */
static void cvxr_wedge_load(const cvxr_wedges *s, cvxr_wedge *p) {
    double h[CVXR_WEDGE_RANK];
    size_t i, k, r = s->rows->r;
    memset(p->folded, 0, sizeof p->folded);
    for (p->count = p->plus = i = 0; i < s->n; i++) {
        for (k = 0; k < r; k++) h[k] = cvxr_short_dot(r, s->Z + i * r, p->V + k * r);
        cvxr_wedge_enter(p, r, h, s->w[i]);
        if (i + 1 == s->plus) p->plus = p->count;
    }
}

/* The half of `from` where corner `end` is replaced by the middle of it and `other`. */
static void cvxr_wedge_halve(size_t r, const cvxr_wedge *from, size_t end, size_t other,
                             cvxr_wedge *to) {
    double scale = 0, h[CVXR_WEDGE_RANK];
    size_t i, k;
    memcpy(to->V, from->V, r * r * sizeof(double));
    for (k = 0; k < r; k++) {
        double sum = from->V[end * r + k] + from->V[other * r + k];
        to->V[end * r + k] = sum;
        scale += sum * sum;
    }
    scale = 1 / sqrt(scale);
    for (k = 0; k < r; k++) to->V[end * r + k] *= scale;
    memcpy(to->folded, from->folded, sizeof to->folded);
    to->folded[end] = (from->folded[end] + from->folded[other]) * scale;
    to->count = to->plus = 0;
    for (i = 0; i < from->count; i++) {
        memcpy(h, from->h + i * r, r * sizeof(double));
        h[end] = (h[end] + h[other]) * scale;
        cvxr_wedge_enter(to, r, h, from->w[i]);
        if (i + 1 == from->plus) to->plus = to->count;
    }
}

/* Corner values of what does not depend on alpha: folded rows, and the interpolation of mixed
   rows with positive weights. First alphas of the others: by their sign in the middle. */
static void cvxr_wedge_start(cvxr_wedges *s, const cvxr_wedge *p, double *fixed) {
    size_t r = s->rows->r, i, k;
    memcpy(fixed, p->folded, r * sizeof(double));
    for (i = 0; i < p->plus; i++)
        for (k = 0; k < r; k++) fixed[k] += p->w[i] * cvxr_max(p->h[i * r + k], 0);
    for (; i < p->count; i++) {
        double sum = 0;
        for (k = 0; k < r; k++) sum += p->h[i * r + k];
        s->alpha[i] = sum > 0 ? 1 : 0;
    }
}

static void cvxr_wedge_corners(const cvxr_wedges *s, const cvxr_wedge *p, const double *fixed,
                               double *c) {
    size_t r = s->rows->r, i;
    memcpy(c, fixed, r * sizeof(double));
    for (i = p->plus; i < p->count; i++)
        if (s->alpha[i] > 0) cvxr_short_axpy(r, s->alpha[i] * p->w[i], p->h + i * r, c);
}

/* Alphas one step towards 1(x.u > 0) at u = V'mu; room keeps them. 0 when none moves. */
static int cvxr_wedge_tilt(cvxr_wedges *s, const cvxr_wedge *p, const double *mu, int round) {
    size_t r = s->rows->r, i;
    int moved = 0;
    for (i = p->plus; i < p->count; i++) {
        double to = cvxr_short_dot(r, p->h + i * r, mu) > 0 ? 1 : 0;
        s->room[i] = s->alpha[i];
        moved |= to != s->alpha[i];
        s->alpha[i] += (to - s->alpha[i]) / (round + 2);
    }
    return moved;
}

/* f at the point V'mu of the cone, its unit vector in u. */
static double cvxr_wedge_value(const cvxr_wedges *s, const cvxr_wedge *p, const double *mu,
                               double *u) {
    size_t r = s->rows->r, i, k;
    double value = cvxr_short_dot(r, p->folded, mu), norm;
    for (k = 0; k < r; k++) u[k] = 0;
    for (k = 0; k < r; k++) cvxr_short_axpy(r, mu[k], p->V + k * r, u);
    norm = cvxr_unit(r, u);
    if (norm == 0) return 0;
    for (i = 0; i < p->count; i++) {
        double v = cvxr_short_dot(r, p->h + i * r, mu);
        if (v > 0) value += p->w[i] * v;
    }
    return value / norm;
}

static double cvxr_wedges_goal(const cvxr_wedges *s) {
    return cvxr_max(s->enough, s->best * (1 + s->tol));
}

/* Upper bound on the cone p: alpha takes two more steps where the first is not enough. A better
   incumbent is kept. */
static double cvxr_wedge_bound(cvxr_wedges *s, const cvxr_wedge *p) {
    double G[CVXR_WEDGE_RANK * CVXR_WEDGE_RANK], fixed[CVXR_WEDGE_RANK], c[CVXR_WEDGE_RANK];
    double mu[CVXR_WEDGE_RANK], u[CVXR_WEDGE_RANK], work[3 * CVXR_WEDGE_RANK], upper, value;
    size_t r = s->rows->r, k, j;
    int round;
    for (k = 0; k < r; k++)
        for (j = 0; j <= k; j++)
            G[k * r + j] = G[j * r + k] =
                j == k ? 1 : cvxr_short_dot(r, p->V + k * r, p->V + j * r);
    cvxr_wedge_start(s, p, fixed);
    cvxr_wedge_corners(s, p, fixed, c);
    upper = cvxr_wedge_upper(r, p->V, G, c, mu);
    for (round = 0; round < 2 && upper > cvxr_wedges_goal(s); round++) {
        double nu[CVXR_WEDGE_RANK], other;
        if (!cvxr_wedge_tilt(s, p, mu, round)) break;
        cvxr_wedge_corners(s, p, fixed, c);
        other = cvxr_wedge_upper(r, p->V, G, c, nu);
        if (other < upper) {
            upper = other;
            memcpy(mu, nu, sizeof mu);
        } else memcpy(s->alpha, s->room, p->count * sizeof(double));
    }
    if (upper <= s->best) return upper;
    value = cvxr_wedge_value(s, p, mu, u);
    if (value > s->best) {
        s->best = cvxr_max(value, cvxr_ascend_one(s->rows, u, 30, work));
        memcpy(s->u, u, sizeof s->u);
    }
    return upper;
}

/* ---- The heap: worst bound at the top. */

static void cvxr_wedges_push(cvxr_wedges *s, double bound, const double *V) {
    size_t r = s->rows->r, size = 1 + r * r, i = s->waiting, up;
    if (s->waiting == s->capacity) {
        size_t wide = s->capacity * 2;
        double *heap = NULL;
        if (wide * size * sizeof(double) <= s->limit.bytes)
            heap = (double *)cvxr_alloc(s->mem, wide * size, sizeof(double));
        if (heap == NULL) {
            s->mem->failed = CVXRELU_OK; /* not an error: the search ends here */
            s->full = 1;
            s->settled = cvxr_max(s->settled, bound);
            return;
        }
        memcpy(heap, s->heap, s->waiting * size * sizeof(double));
        cvxr_release(s->mem, s->heap, s->capacity * size, sizeof(double));
        s->heap = heap;
        s->capacity = wide;
    }
    s->waiting++;
    for (; i > 0 && s->heap[(up = (i - 1) / 2) * size] < bound; i = up)
        memcpy(s->heap + i * size, s->heap + up * size, size * sizeof(double));
    s->heap[i * size] = bound;
    memcpy(s->heap + i * size + 1, V, r * r * sizeof(double));
}

static void cvxr_wedges_pop(cvxr_wedges *s, double *V) {
    size_t r = s->rows->r, size = 1 + r * r, i = 0, child;
    const double *last = s->heap + --s->waiting * size;
    memcpy(V, s->heap + 1, r * r * sizeof(double));
    for (; (child = 2 * i + 1) < s->waiting; i = child) {
        if (child + 1 < s->waiting && s->heap[(child + 1) * size] > s->heap[child * size])
            child++;
        if (s->heap[child * size] <= last[0]) break;
        memcpy(s->heap + i * size, s->heap + child * size, size * sizeof(double));
    }
    if (s->waiting) memmove(s->heap + i * size, last, size * sizeof(double));
}

/* ---- Splitting. */

/* The two ends of the widest edge. */
static void cvxr_wedge_widest(size_t r, const double *V, size_t *ends) {
    double least = 2;
    size_t i, j;
    for (i = 0; i < r; i++)
        for (j = 0; j < i; j++) {
            double dot = cvxr_short_dot(r, V + i * r, V + j * r);
            if (dot < least) least = dot, ends[0] = i, ends[1] = j;
        }
}

/* Splits the cone at `depth`; halves that are not settled are split again, down to
   CVXR_WEDGE_DEPTH, where they go to the heap. */
static void cvxr_wedges_split(cvxr_wedges *s, size_t depth) {
    cvxr_wedge *p = s->part + depth, *child = p + 1;
    size_t r = s->rows->r, ends[2] = { 0, 0 };
    int half;
    cvxr_wedge_widest(r, p->V, ends);
    for (half = 0; half < 2; half++) {
        double upper;
        cvxr_wedge_halve(r, p, ends[half], ends[1 - half], child);
        s->nodes++;
        upper = cvxr_wedge_bound(s, child);
        if (upper <= cvxr_wedges_goal(s)) s->settled = cvxr_max(s->settled, upper);
        else if (depth + 1 < CVXR_WEDGE_DEPTH) cvxr_wedges_split(s, depth + 1);
        else cvxr_wedges_push(s, upper, child->V);
    }
}

static size_t cvxr_wedges_reals(size_t n, size_t r) {
    return (CVXR_WEDGE_DEPTH + 2) * n * (r + 1) + 2 * n;
}

static void cvxr_wedges_close(cvxr_wedges *s) {
    size_t n = s->rows->n, r = s->rows->r;
    cvxr_release(s->mem, s->heap, s->capacity * (1 + r * r), sizeof(double));
    cvxr_release(s->mem, s->real, cvxr_wedges_reals(n, r), sizeof(double));
}

static int cvxr_wedges_open(cvxr_wedges *s, cvxr_mem *mem, const cvxr_rank_rows *rows,
                            const cvxr_work_limit *limit) {
    size_t n = rows->n, r = rows->r, i;
    int side;
    memset(s, 0, sizeof *s);
    s->rows = rows;
    s->mem = mem;
    s->limit = *limit;
    if (s->limit.bytes == 0) s->limit.bytes = (size_t)256 << 20;
    if (s->limit.nodes == 0) s->limit.nodes = SIZE_MAX;
    s->capacity = (size_t)2 << r;
    s->real = (double *)cvxr_alloc(mem, cvxr_wedges_reals(n, r), sizeof(double));
    s->heap = (double *)cvxr_alloc(mem, s->capacity * (1 + r * r), sizeof(double));
    if (mem->failed) {
        cvxr_wedges_close(s);
        return 0;
    }
    s->Z = s->real;
    s->w = s->Z + n * r;
    s->alpha = s->w + n;
    s->room = s->alpha + n;
    for (i = 0; i <= CVXR_WEDGE_DEPTH; i++) {
        s->part[i].h = s->room + n + i * n * (r + 1);
        s->part[i].w = s->part[i].h + n * r;
    }
    for (side = 1; side >= -1; side -= 2) {
        for (i = 0; i < n; i++) {
            if (!(side * rows->w[i] > 0)) continue;
            memcpy(s->Z + s->n * r, rows->Z + i * rows->ld, r * sizeof(double));
            s->w[s->n++] = rows->w[i];
        }
        if (side > 0) s->plus = s->n;
    }
    return 1;
}

/* The 2^r orthants. */
static void cvxr_wedges_begin(cvxr_wedges *s) {
    cvxr_wedge *p = s->part;
    size_t r = s->rows->r, k, orthant;
    for (orthant = 0; orthant < (size_t)1 << r; orthant++) {
        double upper;
        memset(p->V, 0, sizeof p->V);
        for (k = 0; k < r; k++) p->V[k * r + k] = orthant >> k & 1 ? -1 : 1;
        cvxr_wedge_load(s, p);
        s->nodes++;
        upper = cvxr_wedge_bound(s, p);
        if (upper <= cvxr_wedges_goal(s)) s->settled = cvxr_max(s->settled, upper);
        else cvxr_wedges_push(s, upper, p->V);
    }
}

static int cvxr_limit_reached(const cvxr_work_limit *limit, size_t nodes) {
    if (nodes >= limit->nodes) return 1;
    return limit->clock && cvxr_now(limit->clock) >= limit->deadline;
}

/* What a search for the maximum came to. */
typedef struct cvxr_maximum {
    double upper;              /* proven                                                      */
    double lower;              /* attained, at u                                              */
    size_t nodes;
    int limited;               /* ended by a limit                                            */
} cvxr_maximum;

/* Encloses M for one sign: until upper <= max(enough, (1 + tol) lower), or lower > above, or a
   limit. u: in, a first point (of any value); out, that of `lower`. rank <= CVXR_WEDGE_RANK.
   Returns 0 when memory was refused. */
static int cvxr_wedges_max(cvxr_mem *mem, const cvxr_rank_rows *rows, double tol, double enough,
                          double above, const cvxr_work_limit *limit, double *u,
                          cvxr_maximum *out) {
    cvxr_wedges s;
    cvxr_wedge *p;
    size_t r = rows->r;
    if (!cvxr_wedges_open(&s, mem, rows, limit)) return 0;
    s.tol = tol;
    s.enough = cvxr_max(enough - rows->slack, 0);
    s.above = above;
    s.best = cvxr_max(cvxr_rank_value(rows, u, NULL), 0);
    memcpy(s.u, u, r * sizeof(double));
    p = s.part;
    cvxr_wedges_begin(&s);
    while (s.waiting && s.heap[0] > cvxr_wedges_goal(&s) && s.best <= above && !s.full) {
        if (cvxr_limit_reached(&s.limit, s.nodes)) {
            s.full = 1;
            break;
        }
        cvxr_wedges_pop(&s, p->V);
        cvxr_wedge_load(&s, p);
        cvxr_wedges_split(&s, 0);
    }
    out->upper = cvxr_max(s.waiting ? s.heap[0] : 0, cvxr_max(s.settled, s.best)) + rows->slack;
    out->lower = s.best;
    out->nodes = s.nodes;
    out->limited = s.full;
    memcpy(u, s.u, r * sizeof(double));
    cvxr_wedges_close(&s);
    return 1;
}

/* ---- Spectral and weighted bounds, any rank ---------------------------------------------- */

#define CVXR_BFGS_PAIRS 10

/* The weighted bound for one sign at work. m: rows with theta > 0. */
typedef struct cvxr_weighted {
    cvxr_mem *mem;
    const cvxr_la *la;
    size_t n, d, dp, m;
    double *P;                 /* n x dp: the rows with theta > 0, then those with theta < 0  */
    double *R;                 /* n x dp: scaled rows, rows times eigenvectors                */
    double *p;                 /* n: |theta| of the rows of P                                 */
    double *c;                 /* d: X'theta / 2                                              */
    double *N;                 /* d x d: sum q/(2||x||) x x'                                  */
    double *A, *values, *b, *u, *work;   /* d x d, d, d, d, 2 d                               */
    double *real;              /* the block that holds them                                   */
    size_t reals;
    double scale, best;        /* ||c||; the smallest bound met                               */
    double *bfgs;              /* (2 CVXR_BFGS_PAIRS + 4) n                                   */
} cvxr_weighted;

static size_t cvxr_weighted_reals(size_t n, size_t d, size_t dp) {
    return 2 * n * dp + n + 2 * d * d + 6 * d + (2 * CVXR_BFGS_PAIRS + 4) * n;
}

static int cvxr_weighted_open(cvxr_weighted *s, cvxr_mem *mem, const cvxr_la *la, size_t n,
                              size_t d, size_t dp) {
    memset(s, 0, sizeof *s);
    s->mem = mem;
    s->la = la;
    s->n = n;
    s->d = d;
    s->dp = dp;
    s->reals = cvxr_weighted_reals(n, d, dp);
    s->real = (double *)cvxr_alloc(mem, s->reals, sizeof(double));
    if (s->real == NULL) return 0;
    s->P = s->real;
    s->R = s->P + n * dp;
    s->bfgs = s->R + n * dp;
    s->p = s->bfgs + (2 * CVXR_BFGS_PAIRS + 4) * n;
    s->c = s->p + n;
    s->N = s->c + d;
    s->A = s->N + d * d;
    s->values = s->A + d * d;
    s->b = s->values + d;
    s->u = s->b + d;
    s->work = s->u + d;
    return 1;
}

static void cvxr_weighted_close(cvxr_weighted *s) {
    cvxr_release(s->mem, s->real, s->reals, sizeof(double));
}

/* Lower triangle of C += sign * sum over `count` rows of P from `first` on of f_i x_i x_i'. */
static void cvxr_weighted_gram(cvxr_weighted *s, size_t first, size_t count, const double *f,
                               double sign, double beta, double *C) {
    size_t i, j;
    for (i = 0; i < count; i++) {
        double root = sqrt(f[i]);
        const double *x = s->P + (first + i) * s->dp;
        for (j = 0; j < s->d; j++) s->R[i * s->dp + j] = root * x[j];
    }
    cvxr_syrk_f64(s->la, 1, s->d, count, sign, s->R, s->dp, beta, C, s->d);
}

/* Rows by the sign of theta * sign, c, N; the spectral bound. Returns 0 when no row is
   positive. */
static int cvxr_weighted_begin(cvxr_weighted *s, const double *X, const double *theta,
                               double sign) {
    size_t i, j, last = 0;
    double sum = 0, *q = s->bfgs;
    s->m = 0;
    memset(s->c, 0, s->d * sizeof(double));
    for (i = 0; i < s->n; i++) s->m += sign * theta[i] > 0;
    for (i = 0, j = 0, last = s->m; i < s->n; i++) {
        double t = sign * theta[i];
        size_t to = t > 0 ? j++ : last++;
        memcpy(s->P + to * s->dp, X + i * s->dp, s->dp * sizeof(double));
        s->p[to] = fabs(t);
        cvxr_axpy_f64(s->d, t / 2, X + i * s->dp, s->c);
    }
    s->scale = cvxr_norm2_f64(s->d, s->c);
    s->best = 0;
    if (s->m == 0) return 0;
    for (i = 0; i < s->m; i++) sum += s->p[i];
    cvxr_weighted_gram(s, 0, s->m, s->p, 1, 0, s->A);
    if (cvxr_eigh(s->d, s->A, s->d, s->values, s->work))
        s->best = s->scale + sqrt(sum * cvxr_max(s->values[s->d - 1], 0)) / 2;
    else s->best = HUGE_VAL;
    for (i = s->m; i < s->n; i++) {
        double norm = cvxr_norm2_f64(s->d, s->P + i * s->dp);
        q[i - s->m] = norm > 0 ? s->p[i] / (2 * norm) : 0;
    }
    memset(s->N, 0, s->d * s->d * sizeof(double));
    if (s->n > s->m) cvxr_weighted_gram(s, s->m, s->n - s->m, q, 1, 0, s->N);
    return 1;
}

/* mu > lambda_max(A), mu >= 0 with sum_k b_k^2/(mu - w_k)^2 + eps/(mu - w_k) = 1, or the lower
   end where that is below 1 already. */
static double cvxr_weighted_mu(const cvxr_weighted *s, double eps) {
    double low = cvxr_max(s->values[s->d - 1], 0), base, high;
    int step;
    size_t k;
    base = low += 1e-14 * (s->scale + fabs(low));
    high = low + s->scale + eps * (double)s->d;
    for (step = 0; step < 200; step++) {
        double mu = step ? (low + high) / 2 : base, sum = 0;
        if (step == 1) mu = high;
        for (k = 0; k < s->d; k++) {
            double inverse = 1 / (mu - s->values[k]), f = s->b[k] * inverse;
            sum += f * f + eps * inverse;
        }
        if (step == 0 && sum <= 1) return base;
        if (step <= 1 && sum > 1) {
            if (step) low = high, high = base + 2 * (high - base), step = 0;
            continue;
        }
        if (sum > 1) low = mu;
        else high = mu;
        if (high - low <= 1e-15 * (high - base)) break;
    }
    return high;
}

/* The barrier function of l = log tau and its gradient; s->best takes the bound at tau. */
static double cvxr_weighted_eval(cvxr_weighted *s, const double *l, double eps, double *grad) {
    double mu, value, barrier = 0, *tau = grad, *scaled = s->work;
    size_t i, k, m = s->m, d = s->d;
    for (i = 0; i < m; i++) tau[i] = exp(l[i]);
    memcpy(s->A, s->N, d * d * sizeof(double));
    for (k = 0; k < d * d; k++) s->A[k] = -s->A[k];
    cvxr_weighted_gram(s, 0, m, tau, 1, 1, s->A);
    if (!cvxr_eigh(d, s->A, d, s->values, s->work)) return HUGE_VAL;
    cvxr_gemv_f64(s->la, 1, d, d, 0.5, s->A, d, s->c, 0, s->b);
    mu = value = cvxr_weighted_mu(s, eps);
    for (k = 0; k < d; k++) {
        double gap = mu - s->values[k];
        value += s->b[k] * s->b[k] / gap;
        barrier += log(gap / s->scale);
        scaled[k] = s->b[k] / gap;
    }
    cvxr_gemv_f64(s->la, 0, d, d, 1, s->A, d, scaled, 0, s->u); /* u = (mu - A)^{-1} c/2 */
    for (k = 0; k < d; k++) {
        double root = sqrt(eps / (mu - s->values[k]));
        for (i = 0; i < d; i++) s->A[i * d + k] *= root;
    }
    cvxr_gemm_f64(s->la, 0, 0, m, d, d, 1, s->P, s->dp, s->A, d, 0, s->R, s->dp);
    for (i = 0; i < m; i++) {
        const double *y = s->R + i * s->dp;
        double share = s->p[i] * s->p[i] / (16 * tau[i]);
        double xu = cvxr_dot_f64(d, s->P + i * s->dp, s->u);
        value += share;
        grad[i] = tau[i] * (xu * xu + cvxr_dot_f64(d, y, y)) - share;
    }
    if (cvxr_finite(value)) s->best = cvxr_min(s->best, value);
    return value - eps * barrier;
}

/* The direction -H grad of L-BFGS from `pairs` pairs (y, s) in turn, the newest at `newest`. */
static void cvxr_bfgs_direction(const cvxr_weighted *s, size_t pairs, size_t newest,
                                const double *grad, double *dir) {
    double a[CVXR_BFGS_PAIRS], gamma = 0;
    size_t m = s->m, i, at;
    for (i = 0; i < m; i++) dir[i] = -grad[i];
    for (i = 0; i < pairs; i++) {
        const double *y, *t;
        at = (newest + CVXR_BFGS_PAIRS - i) % CVXR_BFGS_PAIRS;
        y = s->bfgs + 2 * at * s->n;
        t = y + s->n;
        a[at] = cvxr_dot_f64(m, t, dir) / cvxr_dot_f64(m, t, y);
        if (i == 0) gamma = cvxr_dot_f64(m, t, y) / cvxr_dot_f64(m, y, y);
        cvxr_axpy_f64(m, -a[at], y, dir);
    }
    if (pairs == 0) gamma = 1 / cvxr_max(cvxr_norm2_f64(m, grad), 1e-300);
    for (i = 0; i < m; i++) dir[i] *= gamma;
    for (i = pairs; i-- > 0;) {
        const double *y, *t;
        at = (newest + CVXR_BFGS_PAIRS - i) % CVXR_BFGS_PAIRS;
        y = s->bfgs + 2 * at * s->n;
        t = y + s->n;
        cvxr_axpy_f64(m, a[at] - cvxr_dot_f64(m, y, dir) / cvxr_dot_f64(m, t, y), t, dir);
    }
}

/* L-BFGS on the barrier function from l (m) for one eps; at most `steps` steps. */
static void cvxr_weighted_minimise(cvxr_weighted *s, double eps, int steps, double *l) {
    double *grad = s->bfgs + 2 * CVXR_BFGS_PAIRS * s->n, *dir = grad + s->n;
    double *next = dir + s->n, value, trial = 0;
    size_t pairs = 0, at = 0, i, m = s->m;
    value = cvxr_weighted_eval(s, l, eps, grad);
    for (; steps > 0; steps--) {
        double slope, step = 1, most = 0, *y, *t, curve;
        int tries;
        cvxr_bfgs_direction(s, pairs, at, grad, dir);
        slope = cvxr_dot_f64(m, grad, dir);
        for (i = 0; i < m; i++) most = cvxr_max(most, fabs(dir[i]));
        if (most > 2) step = 2 / most;
        if (!(slope < 0) || -slope <= 1e-7 * s->best) return;
        at = (at + 1) % CVXR_BFGS_PAIRS;
        y = s->bfgs + 2 * at * s->n;
        t = y + s->n;
        for (tries = 0; tries < 12; tries++, step /= 3) {
            for (i = 0; i < m; i++) t[i] = l[i] + step * dir[i];
            trial = cvxr_weighted_eval(s, t, eps, next);
            if (trial <= value + 1e-4 * step * slope) break;
        }
        if (tries == 12) return;
        for (i = 0; i < m; i++) {
            double was = l[i];
            l[i] = t[i];
            t[i] -= was;
            y[i] = next[i] - grad[i];
            grad[i] = next[i];
        }
        value = trial;
        curve = cvxr_dot_f64(m, t, y);
        pairs = curve > 1e-12 * cvxr_dot_f64(m, y, y) ? cvxr_min_z(pairs + 1, CVXR_BFGS_PAIRS)
                                                      : 0;
    }
}

/* Upper bound on M for one sign of theta (n): the weighted one, at most `steps` steps a level
   of the barrier (0: the spectral bound alone). X: n x dp; la: for the products. The rounding
   of sums is added to first order. Returns -1 when memory was refused. */
static double cvxr_weighted_bound(cvxr_mem *mem, const cvxr_la *la, const double *X, size_t n,
                                  size_t d, size_t dp, const double *theta, double sign,
                                  int steps) {
    static const double levels[4] = { 1e-2, 1e-3, 1e-4, 1e-5 };
    cvxr_weighted s;
    double bound = 0, slack = 0, *l;
    size_t i;
    int level;
    if (!cvxr_weighted_open(&s, mem, la, n, d, dp)) return -1;
    if (cvxr_weighted_begin(&s, X, theta, sign)) {
        l = s.bfgs + (2 * CVXR_BFGS_PAIRS + 3) * n;
        for (i = 0; i < s.m; i++) {
            double norm = cvxr_max(cvxr_norm2_f64(d, s.P + i * dp), 1e-150);
            l[i] = log(s.p[i] / (4 * norm / sqrt((double)d)));
        }
        for (level = 0; level < 4 && steps > 0 && s.scale > 0; level++)
            cvxr_weighted_minimise(&s, levels[level] * s.scale, steps, l);
        bound = s.best;
        for (i = 0; i < n; i++)
            slack += fabs(theta[i]) * cvxr_norm2_f64(d, X + i * dp);
    }
    cvxr_weighted_close(&s);
    return bound + slack * DBL_EPSILON * (double)(n + d);
}

/* ---- Moment relaxation, any rank: theta and its bound together --------------------------- */

/* m = (1, u, a, b) has order N = 1 + d + 2 n; rows of a and b are those of X times
   h_i/||x_i||, h_i = sqrt(d/n) or 0. The moments live on {a - b = Xh u}: with p, q = (a +-
   b)/sqrt 2 an orthonormal basis of it is 1, p and (u, q) = T w, T = [I; Xh/sqrt 2] C of
   orthonormal columns, so that F'MF of order K = 1 + n + d costs O(n^2 d). */
typedef struct cvxr_moments {
    cvxr_mem *mem;
    const cvxr_la *la;
    size_t n, d, N, K;
    int steps;                 /* nonzero: room for the iteration, else for judging only      */
    double *Lam[2], *Y[2], *G[2];  /* N x N each: multipliers, moments, before the prox       */
    double *T;                 /* (d + n) x d                                                 */
    double *Q;                 /* (d + n) x (d + n): (u, q) by (u, q)                         */
    double *E;                 /* (d + n) x (1 + n): (u, q) by (1, p)                         */
    double *R;                 /* (d + n) x d                                                 */
    double *H, *P;             /* K x K: ordered 1, p, w                                      */
    double *values, *work;     /* K, 2 K                                                      */
    double *h, *weight;        /* n: h_i; ||x_i||/h_i, of theta_i in the multiplier of a_i    */
    double *theta, *line;      /* n, N                                                        */
    double *z[4], *f[4];       /* n each: the cones' z, then its projection, and the factor of
                                  q, for a and b of either sign                               */
    double *real;
    size_t reals;
    double trace;              /* >= ||m||^2 for ||u|| <= 1                                   */
    double total;              /* sum of the neurons' norms at the start, the unit of Y       */
    double unit, L, rho;       /* of multipliers, in sum units; scaled by it                  */
    double change, moved;      /* ||Y - P||^2, ||Y - old Y||^2 of the iteration               */
} cvxr_moments;

#define CVXR_MOMENT_ORDER ((size_t)2048) /* n + d at most */

static int cvxr_moments_reals(size_t n, size_t d, int steps, size_t *reals) {
    size_t N = 1 + d + 2 * n, K = 1 + d + n, q = d + n;
    if (n > CVXR_MOMENT_ORDER || d > CVXR_MOMENT_ORDER) return 0;
    *reals = (steps ? 6 : 1) * N * N + q * q + q * (1 + n) + 2 * q * d + 2 * K * K + 3 * K
             + 12 * n + N;
    return 1;
}

static void cvxr_moments_close(cvxr_moments *s) {
    cvxr_release(s->mem, s->real, s->reals, sizeof(double));
    s->real = NULL;
}

/* T and the trace. Returns 0 when the numbers break down. */
static int cvxr_moments_basis(cvxr_moments *s, const double *X, size_t dp) {
    size_t i, j, n = s->n, d = s->d;
    double *S = s->Q, *Tq = s->T + d * d, *turned = s->H;
    memset(s->T, 0, (d + n) * d * sizeof(double));
    for (i = 0; i < n; i++) {
        double norm = cvxr_safe_norm(X + i * dp, d);
        s->h[i] = norm > 0 ? sqrt((double)cvxr_min_z(d, n) / (double)n) : 0;
        s->weight[i] = norm > 0 ? norm / s->h[i] : 0;
        for (j = 0; j < d && norm > 0; j++)
            Tq[i * d + j] = X[i * dp + j] / norm * s->h[i] * sqrt(0.5);
    }
    for (i = 0; i < d; i++)
        for (j = 0; j < d; j++) S[i * d + j] = s->R[i * d + j] = i == j;
    cvxr_syrk_f64(s->la, 1, d, n, 1, Tq, d, 1, S, d); /* I + Xh'Xh/2 = C^{-T} C^{-1} */
    memcpy(turned, S, d * d * sizeof(double));
    if (!cvxr_eigen(s->la, 0, d, turned, d, s->values, s->work)) return 0;
    s->trace = 2 * s->values[d - 1] * (1 + 4 * (double)(n + d) * DBL_EPSILON);
    if (cvxr_potrf_f64(s->la, d, S, d)) return 0;
    cvxr_trsm_f64(s->la, 0, d, d, S, d, s->R, d); /* C' */
    for (i = 0; i < d; i++)
        for (j = 0; j < d; j++) s->T[i * d + j] = s->R[j * d + i];
    cvxr_gemm_f64(s->la, 0, 1, n, d, d, 1, Tq, d, s->R, d, 0, s->E, d);
    memcpy(Tq, s->E, n * d * sizeof(double));
    return 1;
}

/* X: n x dp. Returns 0 when memory was refused or the numbers broke down (mem->failed says
   which). */
static int cvxr_moments_open(cvxr_moments *s, cvxr_mem *mem, const cvxr_la *la, const double *X,
                             size_t n, size_t d, size_t dp, int steps) {
    double *at;
    size_t i, K = 1 + d + n, N = K + n;
    memset(s, 0, sizeof *s);
    s->mem = mem;
    s->la = la;
    s->n = n;
    s->d = d;
    s->N = N;
    s->K = K;
    s->steps = steps;
    if (!cvxr_moments_reals(n, d, steps, &s->reals)) s->reals = SIZE_MAX;
    at = s->real = (double *)cvxr_alloc(mem, s->reals, sizeof(double));
    if (at == NULL) return 0;
    for (i = 0; i < (steps ? 6u : 1u); i++, at += N * N)
        *(i < 2 ? s->Lam + i : i < 4 ? s->Y + i - 2 : s->G + i - 4) = at;
    s->Q = at, at += (d + n) * (d + n);
    s->E = at, at += (d + n) * (1 + n);
    s->T = at, at += (d + n) * d;
    s->R = at, at += (d + n) * d;
    s->H = at, at += K * K;
    s->P = at, at += K * K;
    s->values = at, at += K;
    s->work = at, at += 2 * K;
    s->h = at, at += n;
    s->weight = at, at += n;
    s->theta = at, at += n;
    for (i = 0; i < 4; i++, at += n) s->z[i] = at;
    for (i = 0; i < 4; i++, at += n) s->f[i] = at;
    s->line = at;
    if (cvxr_moments_basis(s, X, dp)) return 1;
    cvxr_moments_close(s);
    return 0;
}

/* H (lower triangle) = F'MF; M symmetric, N x N. */
static void cvxr_moments_compress(cvxr_moments *s, const double *M) {
    size_t n = s->n, d = s->d, N = s->N, K = s->K, q = d + n, i, j;
    const double half = sqrt(0.5);
    double *E = s->E, *Q = s->Q, *H = s->H;
    H[0] = M[0];
    for (i = 0; i < d; i++) {
        E[i * (1 + n)] = M[1 + i];
        memcpy(Q + i * q, M + (1 + i) * N + 1, d * sizeof(double));
    }
    for (i = 0; i < n; i++) {
        const double *a = M + (1 + d + i) * N, *b = a + n * N;
        H[(1 + i) * K] = half * (a[0] + b[0]);
        E[(d + i) * (1 + n)] = half * (a[0] - b[0]);
        for (j = 0; j < d; j++) {
            E[j * (1 + n) + 1 + i] = half * (a[1 + j] + b[1 + j]);
            Q[(d + i) * q + j] = Q[j * q + d + i] = half * (a[1 + j] - b[1 + j]);
        }
        for (a += 1 + d, b += 1 + d, j = 0; j < n; j++) {
            if (j <= i) H[(1 + i) * K + 1 + j] = (a[j] + a[n + j] + b[j] + b[n + j]) / 2;
            Q[(d + i) * q + d + j] = (a[j] - a[n + j] - b[j] + b[n + j]) / 2;
            E[(d + i) * (1 + n) + 1 + j] = (a[j] + a[n + j] - b[j] - b[n + j]) / 2;
        }
    }
    H += (1 + n) * K;
    cvxr_gemm_f64(s->la, 0, 0, q, d, q, 1, Q, q, s->T, d, 0, s->R, d);
    cvxr_gemm_f64(s->la, 1, 0, d, d, q, 1, s->T, d, s->R, d, 0, H + 1 + n, K);
    cvxr_gemm_f64(s->la, 1, 0, d, 1 + n, q, 1, s->T, d, E, 1 + n, 0, H, K);
}

/* M = FPF'; P symmetric, K x K, its lower triangle is read. */
static void cvxr_moments_expand(cvxr_moments *s, double *M) {
    size_t n = s->n, d = s->d, N = s->N, K = s->K, q = d + n, i, j;
    const double half = sqrt(0.5), *W = s->P + (1 + n) * K, *P = s->P;
    double *E = s->E, *Q = s->Q;
    for (i = 0; i < d; i++)
        for (j = 0; j < i; j++) s->P[(1 + n + j) * K + 1 + n + i] = W[i * K + 1 + n + j];
    cvxr_gemm_f64(s->la, 0, 0, q, 1 + n, d, 1, s->T, d, W, K, 0, E, 1 + n);
    cvxr_gemm_f64(s->la, 0, 0, q, d, d, 1, s->T, d, W + 1 + n, K, 0, s->R, d);
    cvxr_gemm_f64(s->la, 0, 1, q, q, d, 1, s->R, d, s->T, d, 0, Q, q);
    M[0] = P[0];
    for (i = 0; i < d; i++) {
        M[1 + i] = M[(1 + i) * N] = E[i * (1 + n)];
        for (j = 0; j <= i; j++)
            M[(1 + i) * N + 1 + j] = M[(1 + j) * N + 1 + i] = Q[i * q + j];
    }
    for (i = 0; i < n; i++) {
        size_t ia = 1 + d + i, ib = ia + n;
        double p = P[(1 + i) * K], t = E[(d + i) * (1 + n)];
        M[ia * N] = M[ia] = half * (p + t);
        M[ib * N] = M[ib] = half * (p - t);
        for (j = 0; j < d; j++) {
            p = E[j * (1 + n) + 1 + i], t = Q[(d + i) * q + j];
            M[ia * N + 1 + j] = M[(1 + j) * N + ia] = half * (p + t);
            M[ib * N + 1 + j] = M[(1 + j) * N + ib] = half * (p - t);
        }
        for (j = 0; j <= i; j++) {
            size_t ja = 1 + d + j, jb = ja + n;
            double pp = P[(1 + i) * K + 1 + j], qq = Q[(d + i) * q + d + j];
            double qp = E[(d + i) * (1 + n) + 1 + j], pq = E[(d + j) * (1 + n) + 1 + i];
            M[ia * N + ja] = M[ja * N + ia] = (pp + pq + qp + qq) / 2;
            M[ia * N + jb] = M[jb * N + ia] = (pp - pq + qp - qq) / 2;
            M[ib * N + ja] = M[ja * N + ib] = (pp + pq - qp - qq) / 2;
            M[ib * N + jb] = M[jb * N + ib] = (pp - pq - qp + qq) / 2;
        }
    }
}

/* How far theta can raise s sum_i theta_i (x_i.u)_+ above -<Lam, mm'> off the range of F: with
   W = Lam - s theta' in the entries (1, a), what of <W, mm'> is negative somewhere on ||u|| <=
   1, a, b >= 0, a_i b_i = 0, a_i, b_i <= h_i. In the iteration it is L, up to rounding. */
static double cvxr_moments_base(const cvxr_moments *s, const double *Lam, const double *theta,
                                double scale) {
    size_t n = s->n, d = s->d, N = s->N, i, j;
    double base, down = 0;
    for (i = 0; i < d; i++) {
        double off = -Lam[(1 + i) * N + 1 + i];
        for (j = 0; j < d; j++)
            if (j != i) off += fabs(Lam[(1 + i) * N + 1 + j]);
        down = cvxr_max(down, off);
    }
    base = -Lam[0] + 2 * cvxr_norm2_f64(d, Lam + 1) + down;
    for (i = 0; i < 2 * n; i++) {
        const double *row = Lam + (1 + d + i) * N, hi = s->h[i % n];
        double z = row[0], sum = 0;
        if (i < n) z -= scale * s->weight[i] * theta[i] / 2;
        base += 2 * hi * cvxr_max(0, cvxr_norm2_f64(d, row + 1) - z);
        for (j = 0; j < 2 * n; j++)
            if (row[1 + d + j] < 0 && (j % n != i % n || i == j))
                sum -= s->h[j % n] * row[1 + d + j];
        base += hi * sum;
    }
    return base;
}

/* B >= max over ||u|| <= 1 of sign theta'(Xu)_+ from multipliers in units of `scale`. Any Lam
   gives a proof: it is checked here by one eigenvalue problem, whatever made it. HUGE_VAL when
   the eigenvalues fail. */
static double cvxr_moments_judge(cvxr_moments *s, const double *Lam, const double *theta,
                                 double scale) {
    double low, high, size;
    cvxr_moments_compress(s, Lam);
    if (!cvxr_eigen(s->la, 0, s->K, s->H, s->K, s->values, s->work)) return HUGE_VAL;
    low = s->values[0];
    high = s->values[s->K - 1];
    size = cvxr_max(fabs(low), fabs(high));
    high = cvxr_max(high, 0) + 4 * (double)s->K * DBL_EPSILON * size;
    return (cvxr_moments_base(s, Lam, theta, scale) + high * s->trace) / fabs(scale);
}

/* A problem of one output and a network to start from. */
typedef struct cvxr_moment_problem {
    size_t n, d, dp;
    const double *X, *y;       /* n x dp, n                                                   */
    double L;                  /* lambda n c                                                  */
    size_t count, ldv;         /* neurons                                                     */
    const double *V, *C;       /* count x ldv, count                                          */
    int iterations;
    double enough;             /* end at a bound as large as that                             */
    int (*stop)(void *context, int iteration, double bound);  /* nonzero: end; may be NULL    */
    void *context;
} cvxr_moment_problem;

/* ---- The iteration (ADMM) ---------------------------------------------------------------- */

/* Residual in s->theta and s->total of the network times the factor that suits it best; 0 when
   that is no network. */
static int cvxr_moments_residual(cvxr_moments *s, const cvxr_moment_problem *p) {
    size_t n = s->n, i, j;
    double total = 0, ahead = 0, square = 0, factor = 0, *f = s->theta;
    memset(f, 0, n * sizeof(double));
    for (j = 0; j < p->count; j++) {
        const double *v = p->V + j * p->ldv;
        total += cvxr_norm2_f64(s->d, v) * fabs(p->C[j]);
        for (i = 0; i < n; i++)
            f[i] += p->C[j] * cvxr_max(cvxr_dot_f64(s->d, p->X + i * p->dp, v), 0);
    }
    for (i = 0; i < n; i++) ahead += p->y[i] * f[i], square += f[i] * f[i];
    if (square > 0) factor = cvxr_max(ahead - p->L * total, 0) / square;
    s->total = factor * total;
    for (i = 0; i < n; i++) f[i] = p->y[i] - factor * f[i];
    return s->total > 0;
}

/* Scales, moments of the network (without one Y is 0), multipliers of its residual. */
static void cvxr_moments_start(cvxr_moments *s, const cvxr_moment_problem *p) {
    size_t n = s->n, d = s->d, N = s->N, i, j, k;
    double yy = cvxr_dot_f64(n, p->y, p->y), *m = s->line, *r = s->theta, all = 0;
    int some = cvxr_moments_residual(s, p);
    s->total = cvxr_max(s->total, (some ? 1e-3 : 0.1) * yy / p->L);
    s->unit = s->total / yy;
    s->L = p->L * s->unit;
    s->rho = 100 * s->L;
    memset(s->Lam[0], 0, 4 * N * N * sizeof(double));
    for (j = 0; j < p->count; j++) all += cvxr_norm2_f64(d, p->V + j * p->ldv) * fabs(p->C[j]);
    for (j = 0; some && j < p->count; j++) {
        const double *v = p->V + j * p->ldv;
        double norm = cvxr_norm2_f64(d, v), share = norm * fabs(p->C[j]) / all;
        double *Y = s->Y[p->C[j] < 0];
        if (!(share > 0)) continue;
        m[0] = 1;
        for (i = 0; i < d; i++) m[1 + i] = v[i] / norm;
        for (i = 0; i < n; i++) {
            double a = cvxr_dot_f64(d, p->X + i * p->dp, v) / norm;
            a = s->weight[i] > 0 ? a / s->weight[i] : 0;
            m[1 + d + i] = cvxr_max(a, 0);
            m[1 + d + n + i] = cvxr_max(-a, 0);
        }
        for (i = 0; i < N; i++)
            for (k = 0; k < N; k++) Y[i * N + k] += share * (m[i] * m[k]);
    }
    for (k = 0; k < 2; k++) {
        double *Lam = s->Lam[k];
        Lam[0] = -s->L;
        for (i = 0; i < n; i++)
            Lam[1 + d + i] = Lam[(1 + d + i) * N] =
                (k ? -1 : 1) * s->unit * s->weight[i] * r[i] / 2;
    }
}

/* G = 1.6 F R F' - 0.6 Y - Lam/rho, R the positive part of F'(Y + Lam/rho)F. */
static int cvxr_moments_project(cvxr_moments *s, int k) {
    size_t i, j, K = s->K, all = s->N * s->N, first;
    double *G = s->G[k], *Y = s->Y[k], *Lam = s->Lam[k];
    for (i = 0; i < all; i++) G[i] = Y[i] + Lam[i] / s->rho;
    cvxr_moments_compress(s, G);
    if (!cvxr_eigen(s->la, 1, K, s->H, K, s->values, s->work)) return 0;
    for (first = K; first > 0 && s->values[first - 1] > 0;) first--;
    for (i = first; i < K; i++) {
        double root = sqrt(s->values[i]);
        for (j = 0; j < K; j++) s->H[i * K + j] *= root;
    }
    memset(s->P, 0, K * K * sizeof(double));
    if (first < K)
        cvxr_syrk_f64(s->la, 1, K, K - first, 1, s->H + first * K, K, 0, s->P, K);
    cvxr_moments_expand(s, G);
    for (i = 0; i < all; i++) G[i] = 1.6 * G[i] - 0.6 * Y[i] - Lam[i] / s->rho;
    return 1;
}

/* z of the projection of (q, z), ||q|| = k, on ||q|| <= z. */
static double cvxr_cone_height(double k, double z) {
    return k <= z ? z : k <= -z ? 0 : (k + z) / 2;
}

/* theta_i = y_i - prediction_i, where the cones of a_i meet the loss; then all cones of i. */
static void cvxr_moments_row(cvxr_moments *s, size_t i, double y) {
    size_t n = s->n, d = s->d, N = s->N, at = (1 + d + i) * N, k;
    double norm[4], z[4], low, high, theta = y, pull = s->unit * s->weight[i] / (2 * s->rho);
    double gain = s->total * s->weight[i]; /* prediction_i = gain (z+ - z-) */
    int step;
    for (k = 0; k < 4; k++) {
        const double *row = s->G[k & 1] + at + (k < 2 ? 0 : n * N);
        norm[k] = cvxr_norm2_f64(d, row + 1);
        z[k] = row[0];
    }
    high = fabs(y) + gain * (fabs(z[0]) + fabs(z[1]) + norm[0] + norm[1]);
    for (low = -high, step = 0; step < 60 && gain > 0; step++) {
        double up, down;
        theta = (low + high) / 2;
        up = cvxr_cone_height(norm[0], z[0] + pull * theta);
        down = cvxr_cone_height(norm[1], z[1] - pull * theta);
        if (theta - y + gain * (up - down) < 0) low = theta;
        else high = theta;
    }
    s->theta[i] = theta;
    z[0] += pull * theta;
    z[1] -= pull * theta;
    for (k = 0; k < 4; k++) {
        s->z[k][i] = cvxr_cone_height(norm[k], z[k]);
        s->f[k][i] = norm[k] <= z[k] ? 1 : norm[k] > 0 ? s->z[k][i] / norm[k] : 0;
    }
}

/* Row r of the new Y is s->line: Lam = rho (Y - G), and how far it moved. */
static void cvxr_moments_settle(cvxr_moments *s, int k, size_t r) {
    const double *g = s->G[k] + r * s->N, *m = s->line;
    double *Y = s->Y[k] + r * s->N, *Lam = s->Lam[k] + r * s->N, change = 0, moved = 0;
    size_t i;
    for (i = 0; i < s->N; i++) {
        double P = (g[i] + 0.6 * Y[i] + Lam[i] / s->rho) / 1.6;
        change += (m[i] - P) * (m[i] - P);
        moved += (m[i] - Y[i]) * (m[i] - Y[i]);
        Lam[i] = s->rho * (m[i] - g[i]);
        Y[i] = m[i];
    }
    s->change += change;
    s->moved += moved;
}

/* The prox of everything but the range of F, sign k. */
static void cvxr_moments_prox(cvxr_moments *s, int k) {
    size_t n = s->n, d = s->d, N = s->N, r, i;
    const double *G = s->G[k], *g;
    const double *z[2], *f[2];
    double *m = s->line, t = G[0] - s->L / s->rho, e = -t;
    for (i = 0; i < 2; i++) z[i] = s->z[2 * i + (size_t)k], f[i] = s->f[2 * i + (size_t)k];
    for (i = 1; i <= d; i++) e += G[i * N + i];
    e = cvxr_max(e, 0) / (double)(d + 1);
    for (r = 0; r <= d; r++) {
        g = G + r * N;
        memcpy(m, g, (1 + d) * sizeof(double));
        m[r] = r ? m[r] - e : t + e;
        for (i = 0; i < n; i++) {
            m[1 + d + i] = r ? g[1 + d + i] * f[0][i] : z[0][i];
            m[1 + d + n + i] = r ? g[1 + d + n + i] * f[1][i] : z[1][i];
        }
        cvxr_moments_settle(s, k, r);
    }
    for (r = 0; r < 2 * n; r++) {
        size_t side = r >= n, at = r % n;
        g = G + (1 + d + r) * N;
        m[0] = z[side][at];
        for (i = 1; i <= d; i++) m[i] = g[i] * f[side][at];
        for (i = 1 + d; i < N; i++) m[i] = cvxr_max(g[i], 0);
        m[1 + d + (side ? at : n + at)] = 0;
        cvxr_moments_settle(s, k, 1 + d + r);
    }
}

/* One iteration; 0 when the eigenvalues fail. */
static int cvxr_moments_step(cvxr_moments *s, const double *y) {
    size_t i;
    int k;
    for (k = 0; k < 2; k++)
        if (!cvxr_moments_project(s, k)) return 0;
    for (i = 0; i < s->n; i++) cvxr_moments_row(s, i, y[i]);
    s->change = s->moved = 0;
    for (k = 0; k < 2; k++) cvxr_moments_prox(s, k);
    return 1;
}

/* ---- The relaxation from outside --------------------------------------------------------- */

/* Multipliers of one sign, packed: the lower triangle. Fails for orders above the limit. */
static int cvxr_moment_packed(size_t n, size_t d, size_t *count) {
    size_t N = 1 + d + 2 * n;
    if (n > CVXR_MOMENT_ORDER || d > CVXR_MOMENT_ORDER) return 0;
    *count = N * (N + 1) / 2;
    return 1;
}

/* What the multipliers at hand prove; kept when it is more than *best. */
static void cvxr_moments_keep(cvxr_moments *s, const cvxr_moment_problem *p, double *best,
                              double *theta, double *B, double *packed) {
    double ytheta = cvxr_dot_f64(s->n, p->y, s->theta), value, most = 0;
    size_t i, j;
    int k;
    for (k = 0; k < 2; k++)
        most = cvxr_max(most,
                        cvxr_moments_judge(s, s->Lam[k], s->theta, k ? -s->unit : s->unit));
    value = cvxr_dual_value(ytheta, cvxr_dot_f64(s->n, s->theta, s->theta), p->L, most, NULL);
    if (!cvxr_finite(most) || value <= *best) return;
    *best = value;
    *B = most;
    memcpy(theta, s->theta, s->n * sizeof(double));
    for (k = 0; k < 2 && packed; k++)
        for (i = 0; i < s->N; i++)
            for (j = 0; j <= i; j++) *packed++ = s->Lam[k][i * s->N + j] / s->unit;
}

/* theta (n) and B with |theta'(Xu)_+| <= B for ||u|| <= 1, of those met the pair that proves
   most; that value, in sum units, in *bound (0: none). packed: the multipliers of + and -, or
   NULL. Returns 0 when memory was refused. */
static int cvxr_moment_bound(cvxr_mem *mem, const cvxr_la *la, const cvxr_moment_problem *p,
                             double *bound, double *theta, double *B, double *packed) {
    const int every = 20;
    cvxr_moments s;
    int it, end = 0;
    *bound = *B = 0;
    memset(theta, 0, p->n * sizeof(double));
    if (!(cvxr_dot_f64(p->n, p->y, p->y) > 0)) return 1;
    if (!cvxr_moments_open(&s, mem, la, p->X, p->n, p->d, p->dp, 1)) return !mem->failed;
    cvxr_moments_start(&s, p);
    for (it = 1; it <= p->iterations && !end; it++) {
        if (!cvxr_moments_step(&s, p->y)) break;
        end = p->stop && p->stop(p->context, it, *bound);
        if (it % every && it < p->iterations && !end) continue;
        cvxr_moments_keep(&s, p, bound, theta, B, packed);
        end |= *bound >= p->enough;
        if (s.change > 9 * s.moved) s.rho *= 1.5;
        else if (s.moved > 9 * s.change) s.rho /= 1.5;
    }
    cvxr_moments_close(&s);
    return 1;
}

/* B >= max over ||u|| <= 1 of sign theta'(Xu)_+ by kept multipliers of that sign, whatever they
   are: two numbers decide, cvxr_moments_base and one eigenvalue. HUGE_VAL when it breaks down,
   -1 when memory was refused. */
static double cvxr_moment_check(cvxr_mem *mem, const cvxr_la *la, const double *X, size_t n,
                                size_t d, size_t dp, const double *theta, double sign,
                                const double *packed) {
    cvxr_moments s;
    double B;
    size_t i, j;
    if (!cvxr_moments_open(&s, mem, la, X, n, d, dp, 0)) return mem->failed ? -1 : HUGE_VAL;
    for (i = 0; i < s.N; i++)
        for (j = 0; j <= i; j++) s.Lam[0][i * s.N + j] = s.Lam[0][j * s.N + i] = *packed++;
    B = cvxr_moments_judge(&s, s.Lam[0], theta, sign);
    cvxr_moments_close(&s);
    return B >= 0 ? B : HUGE_VAL;
}
/* ==== S21 PATTERN SEARCH =================================================================
   Patterns for a ReLU network from the data, for one strength:

   descend   S18 from a wide random start, an output after the other: Adam with a short memory
             (b2 below 0.999), cosine steps, weak neurons dropped and twins added up;
   gather    v_j = w_j |a_j| with the sign of a_j; equal (output, pattern, sign) are added up,
             which is never worse: the sum stays in the cone, its norm is at most the sum;
   polish    rounds of the exact cone program over these patterns (S14, warm) and flips: with
             the residual r = y - prediction and the multiplier gamma_i of a row i that is tight
             at neuron j of sign s, crossing the row lowers the network's objective if and only
             if gamma_i > -s r_i. All such rows are crossed at once. A neuron lies in the
             closure of its new cell too, so it starts the next program as it is and no round
             is worse than the one before. It ends without flips, or after search.rounds;
   ascend    where the network has few neurons and nothing flips: local maxima of
             |r^T (X u)_+| above lam are patterns for another round.

   Derivation of the rule: at an optimum s X^T D r + Xt_J^T gamma = lam v/||v||, Xt = (2D-I) X.
   Moving v by delta across row i alone changes the objective by (gamma_i + s r_i) x_i.delta to
   first order when D_i = 1 (x_i.delta < 0), by -(gamma_i + s r_i) x_i.delta when D_i = 0.

   Every pattern is carried by a gate with a margin (S07); a neuron on kinks gets the nearest
   point inside of its cell (S11 with b > 0), and a cell without interior is not entered.
   Everything stops by rounds and work; a clock or a caller may only end it. Nothing here is a
   certificate. Uses S02 to S18. Used by S22. Tests: tests/test_s21_search.c.
   Sources: [PE20] section 6 (Alg1 to Alg3); [MSP22] Prop. 3.2.                               */

typedef struct cvxr_search_report {
    double descent_objective; /* of the network that the descents ended in                    */
    double objective;         /* of start_out                                                 */
    int rounds;               /* convex programs solved                                       */
    size_t flips;             /* rows that changed sides, all rounds                          */
    size_t gathered;          /* neurons after the descents                                   */
    int iterations;           /* Newton steps                                                 */
    double passes, flops;     /* of the programs                                              */
    cvxrelu_stop stop;        /* NONE, or USER or TIME                                        */
} cvxr_search_report;

/* Where the patterns come from before the rounds. */
typedef enum cvxr_search_from {
    CVXR_FROM_DESCENT = 0, /* a trained network (with one round: Alg1 of [PE20 6])            */
    CVXR_FROM_START = 1,   /* the network at its random start (Alg2)                          */
    CVXR_FROM_FLIPPED = 2  /* and with the rows nearest to a neuron's kink crossed (Alg3)     */
} cvxr_search_from;

/* Ways of searching beside the default, for comparison; measured in cvxr_search_run. */
typedef struct cvxr_search_ways {
    cvxr_search_from from;
    size_t ascents;        /* starts of the ascent for violated patterns, after a round
                              without flips; 0 = by the data                                  */
} cvxr_search_ways;

typedef struct cvxr_search {
    cvxr_mem *mem;
    const cvxr_data *data;
    cvxr_search_ways ways;
    cvxrelu_options opt;      /* the caller's; tol and max_iters those of a round             */
    double lambda, units;
    size_t capacity, room;    /* neurons of all outputs, patterns                             */
    cvxr_sampling sampling;   /* margins and live columns                                     */
    cvxrelu_gates recipe;
    double *reals;            /* block: margin n, panel 2 d, z n, b n, r c n, gate .. 3 dp,
                                 sizes capacity                                               */
    double *z, *b, *r, *gate, *v, *neuron, *sizes;
    size_t *indices;          /* block: live d, used d, order capacity, table                 */
    size_t *order, *table, table_size;
    uint64_t *bits;           /* one pattern                                                  */
    cvxr_cone cone;
    uint32_t *face_rows;
    double *face_gamma;
    cvxr_patterns set, next;  /* of the network at hand; of the round to come                 */
    cvxr_weights net, list, out; /* the network at hand (raw, sorted); neurons on their way;
                                 what a program gives back                                    */
    double *sigma;            /* c                                                            */
    double objective;
    cvxr_core core;
    cvxrelu_report counts;
    cvxr_search_report *report;
} cvxr_search;

/* ---- Defaults by the data. */

/* Steps are cut where a step is dear, the width before that: at most about CVXR_SEARCH_WORK
   multiplications a descent, beyond a floor of 500 neurons and 1000 steps. */
#define CVXR_SEARCH_WORK  2.5e11
#define CVXR_SEARCH_STEPS 3000
#define CVXR_SEARCH_WIDTH 2000
#define CVXR_SEARCH_ROUNDS 4   /* with few neurons twice as many */
#define CVXR_SEARCH_TOL    1e-3
#define CVXR_SEARCH_CLOSE  1e-5
#define CVXR_SEARCH_NEWTON 60  /* steps of a program */

/* Few neurons: a descent may have missed one, and programs are cheap. They are solved closer,
   in more rounds, and the ascent looks for violated patterns, which gains little with many.  */
#define CVXR_SEARCH_FEW     16
#define CVXR_SEARCH_ASCENTS 64

static size_t cvxr_search_width(const cvxrelu_options *opt, const cvxrelu_problem *problem) {
    if (opt->search.width) return opt->search.width;
    if (problem->gates.sampler != CVXRELU_SAMPLER_GIVEN && problem->gates.count)
        return problem->gates.count;
    return CVXR_SEARCH_WIDTH;
}

/* Neurons of an output that are kept after its descent: what the working set of S14 takes. */
static size_t cvxr_search_kept(size_t n, size_t width) {
    return cvxr_min_z(width, cvxr_max_z(2 * n, 64));
}

static void cvxr_search_plan(const cvxr_data *data, const cvxrelu_options *opt,
                             const cvxrelu_problem *problem, double lambda,
                             cvxr_descent_plan *plan) {
    const double row = (double)data->n * (double)data->d;
    double steps;
    memset(plan, 0, sizeof *plan);
    plan->width = cvxr_search_width(opt, problem);
    plan->batch = data->n;
    if (opt->search.width == 0 && row * (double)plan->width * CVXR_SEARCH_STEPS
                                      > CVXR_SEARCH_WORK)
        plan->width = cvxr_min_z(plan->width,
                                 cvxr_max_z(500, (size_t)(CVXR_SEARCH_WORK
                                                          / (row * CVXR_SEARCH_STEPS))));
    steps = CVXR_SEARCH_WORK / (row * (double)plan->width);
    plan->epochs = opt->search.steps
                       ? opt->search.steps
                       : (int)cvxr_max(1000, cvxr_min(CVXR_SEARCH_STEPS, steps));
    plan->update = CVXR_UPDATE_ADAM;
    plan->schedule = CVXR_SCHEDULE_COSINE;
    plan->halve_every = 1;
    plan->step_size = opt->search.step_size > 0 ? opt->search.step_size : 0.03;
    plan->lambda = lambda;
    plan->b1 = 0.9;
    plan->b2 = 0.99;
    plan->seed = problem->gates.seed;
    plan->tidy_every = plan->epochs < 100 ? plan->epochs : 100;
    plan->merge_from = plan->epochs / 10;
    plan->floor = 3e-3;
}

/* ---- Memory. */

static size_t cvxr_search_reals(size_t n, size_t d, size_t c, size_t capacity) {
    return (3 + c) * n + 2 * d + 3 * cvxr_pad(d) + capacity;
}

/* Neurons that gathering or a program may leave, and patterns of the two together. */
static size_t cvxr_search_capacity(size_t n, size_t c, size_t width, size_t given) {
    const size_t gathered = c * cvxr_search_kept(n, width);
    return cvxr_max_z(gathered, c * cvxr_newton_capacity(n, 2 * (gathered + given), 0));
}

/* At most what cvxr_search_run holds at once beside the data and given patterns (P of them, 0
   for none), its results included. */
static size_t cvxr_search_bytes(size_t n, size_t d, size_t c, size_t width, size_t given,
                                size_t max_factor, int threads) {
    const size_t dp = cvxr_pad(d), all = cvxr_search_capacity(n, c, width, given);
    const size_t room = all + given, cap = cvxr_newton_capacity(n, 2 * room, 0);
    const size_t set = cvxr_bytes(room * ((n + 63) / 64), sizeof(uint64_t))
                       + cvxr_bytes(room * d, sizeof(double));
    return 2 * set + 3 * cvxr_weights_bytes(all, dp)
           + cvxr_bytes(cvxr_search_reals(n, d, c, all), sizeof(double))
           + cvxr_bytes(2 * d + all + cvxr_table_size(room), sizeof(size_t))
           + cvxr_bytes((n + 63) / 64, sizeof(uint64_t)) + cvxr_cone_bytes(n, dp)
           + cvxr_bytes(d, sizeof(uint32_t)) + cvxr_bytes(d, sizeof(double))
           + cvxr_bytes(c, sizeof(double))
           + cvxr_max_z(cvxr_descent_bytes(n, d, width, n),
                        cvxr_core_bytes(n, dp, threads)
                            + cvxr_core_cone_bytes(n, d, dp, room, threads)
                            + cvxr_newton_bytes(n, dp, room, cap, max_factor, CVXRELU_RELU));
}

static int cvxr_patterns_room(cvxr_mem *mem, const cvxr_data *data, size_t capacity,
                              cvxr_patterns *out) {
    memset(out, 0, sizeof *out);
    out->n = data->n;
    out->d = data->d;
    out->words = (data->n + 63) / 64;
    out->capacity = capacity;
    out->bits = (uint64_t *)cvxr_alloc(mem, capacity * out->words, sizeof(uint64_t));
    out->gates = (double *)cvxr_alloc(mem, capacity * out->d, sizeof(double));
    return mem->failed == CVXRELU_OK;
}

static size_t cvxr_search_indices(const cvxr_search *s) {
    return 2 * s->data->d + s->capacity + s->table_size;
}

static void cvxr_search_close(cvxr_search *s) {
    const size_t n = s->data->n, d = s->data->d;
    cvxr_mem *mem = s->mem;
    cvxr_patterns_free(mem, &s->next);
    cvxr_patterns_free(mem, &s->set);
    cvxr_weights_close(mem, &s->out);
    cvxr_weights_close(mem, &s->list);
    cvxr_weights_close(mem, &s->net);
    cvxr_release(mem, s->sigma, s->data->c, sizeof(double));
    cvxr_release(mem, s->face_gamma, d, sizeof(double));
    cvxr_release(mem, s->face_rows, d, sizeof(uint32_t));
    cvxr_cone_close(&s->cone, mem);
    cvxr_release(mem, s->bits, (n + 63) / 64, sizeof(uint64_t));
    cvxr_release(mem, s->indices, cvxr_search_indices(s), sizeof(size_t));
    cvxr_release(mem, s->reals, cvxr_search_reals(n, d, s->data->c, s->capacity),
                 sizeof(double));
}

/* The margins of S07 and the columns that a gate may use. */
static void cvxr_search_margins(cvxr_search *s) {
    s->sampling.data = s->data;
    s->sampling.recipe = &s->recipe;
    s->sampling.margin = s->reals;
    s->sampling.panel = s->reals + s->data->n;
    s->sampling.live = s->indices;
    s->sampling.used = s->indices + s->data->d;
    cvxr_find_live(&s->sampling);
    cvxr_margins(&s->sampling);
}

static int cvxr_search_open(cvxr_search *s, size_t width, size_t given) {
    const size_t n = s->data->n, d = s->data->d, dp = s->data->dp, c = s->data->c;
    cvxr_mem *mem = s->mem;
    s->capacity = cvxr_search_capacity(n, c, width, given);
    s->room = s->capacity + given;
    s->table_size = cvxr_table_size(s->room);
    s->reals =
        (double *)cvxr_alloc(mem, cvxr_search_reals(n, d, c, s->capacity), sizeof(double));
    s->indices = (size_t *)cvxr_alloc_zero(mem, cvxr_search_indices(s), sizeof(size_t));
    s->bits = (uint64_t *)cvxr_alloc(mem, (n + 63) / 64, sizeof(uint64_t));
    s->face_rows = (uint32_t *)cvxr_alloc(mem, d, sizeof(uint32_t));
    s->face_gamma = (double *)cvxr_alloc(mem, d, sizeof(double));
    s->sigma = (double *)cvxr_alloc_zero(mem, c, sizeof(double));
    cvxr_weights_open(mem, &s->net, s->capacity, dp);
    cvxr_weights_open(mem, &s->list, s->capacity, dp);
    cvxr_weights_open(mem, &s->out, s->capacity, dp);
    cvxr_patterns_room(mem, s->data, s->room, &s->set);
    cvxr_patterns_room(mem, s->data, s->room, &s->next);
    cvxr_cone_open(&s->cone, mem, s->data->X, n, d, dp);
    if (mem->failed) return 0;
    s->cone.la.portable = s->opt.portable;
    s->z = s->reals + n + 2 * d;
    s->b = s->z + n;
    s->r = s->b + n;
    s->gate = s->r + c * n;
    s->v = s->gate + dp;
    s->neuron = s->v + dp;
    s->sizes = s->neuron + dp;
    s->order = s->indices + 2 * d;
    s->table = s->order + s->capacity;
    cvxr_search_margins(s);
    return 1;
}

static int cvxr_search_few(const cvxr_search *s) {
    return s->net.m <= CVXR_SEARCH_FEW * s->data->c;
}

/* ---- Gates and patterns. */

static int cvxr_search_bit(const uint64_t *bits, size_t i) {
    return (int)(bits[i / 64] >> (i % 64) & 1);
}

/* Is every sign of X gate certain, and the one of the pattern? Rows of zeros have none. */
static int cvxr_search_certain(cvxr_search *s, const uint64_t *bits, const double *gate) {
    const cvxr_data *data = s->data;
    const double norm = cvxr_safe_norm(gate, data->d);
    size_t i;
    if (!(norm > 0)) return 0;
    for (i = 0; i < data->n; i++) {
        const double z = cvxr_dot_f64(data->dp, data->X + i * data->dp, gate);
        if (s->cone.norms[i] == 0) continue;
        if (!((cvxr_search_bit(bits, i) ? z : -z) > s->sampling.margin[i] * norm)) return 0;
    }
    return 1;
}

/* s->gate = v / ||v||, or the nearest point to it well inside of the cell of s->bits; 0 when
   the cell has no interior. */
static int cvxr_search_gate(cvxr_search *s, const double *v) {
    const size_t n = s->data->n, dp = s->data->dp;
    const double norm = cvxr_safe_norm(v, s->data->d);
    cvxr_face face;
    size_t i;
    if (!(norm > 0)) return 0;
    for (i = 0; i < dp; i++) s->gate[i] = v[i] / norm;
    if (cvxr_search_certain(s, s->bits, s->gate)) return 1;
    for (i = 0; i < n; i++)
        s->b[i] = cvxr_max(1e-6 * s->cone.norms[i], 8 * s->sampling.margin[i]);
    face.count = 0;
    face.rows = s->face_rows;
    face.gamma = s->face_gamma;
    memcpy(s->v, s->gate, dp * sizeof(double));
    if (cvxr_cone_project(&s->cone, s->bits, s->b, s->v, &face, s->gate) != CVXR_CONE_OK)
        return 0;
    return cvxr_search_certain(s, s->bits, s->gate);
}

/* The slot of a pattern in the table of s->next: its number + 1 stands there, or 0. */
static size_t cvxr_search_slot(const cvxr_search *s, const uint64_t *bits) {
    const cvxr_patterns *next = &s->next;
    const size_t words = next->words;
    uint64_t hash = 0;
    size_t at, w;
    for (w = 0; w < words; w++) {
        hash = (hash ^ bits[w]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    at = (size_t)hash & (s->table_size - 1);
    for (; s->table[at]; at = (at + 1) & (s->table_size - 1))
        if (memcmp(next->bits + (s->table[at] - 1) * words, bits, words * sizeof(uint64_t))
            == 0)
            break;
    return at;
}

/* Forgets all but the first patterns of s->next. */
static void cvxr_search_rewind(cvxr_search *s, size_t count) {
    size_t p;
    memset(s->table, 0, s->table_size * sizeof(size_t));
    s->next.count = count;
    for (p = 0; p < count; p++)
        s->table[cvxr_search_slot(s, s->next.bits + p * s->next.words)] = p + 1;
}

/* The number of pattern s->bits in s->next, entered with s->gate when it is new. */
static size_t cvxr_search_enter(cvxr_search *s) {
    cvxr_patterns *next = &s->next;
    const size_t at = cvxr_search_slot(s, s->bits);
    if (s->table[at]) return s->table[at] - 1;
    CVXRELU_ASSERT(next->count < next->capacity);
    memcpy(next->bits + next->count * next->words, s->bits, next->words * sizeof(uint64_t));
    memcpy(next->gates + next->count * next->d, s->gate, next->d * sizeof(double));
    s->table[at] = ++next->count;
    return next->count - 1;
}

/* A neuron sign * v of output k with pattern s->bits and gate s->gate goes on the list. */
static void cvxr_search_append(cvxr_search *s, size_t k, int sign, const double *v) {
    cvxr_weights *list = &s->list;
    size_t i;
    CVXRELU_ASSERT(list->m < list->capacity);
    list->output[list->m] = k;
    list->sign[list->m] = (signed char)sign;
    list->pattern[list->m] = cvxr_search_enter(s);
    for (i = 0; i < list->dp; i++) list->u[list->m * list->dp + i] = sign * v[i];
    list->m++;
}

static int cvxr_search_before(const cvxr_weights *w, size_t a, size_t b) {
    if (w->output[a] != w->output[b]) return w->output[a] < w->output[b];
    if (w->pattern[a] != w->pattern[b]) return w->pattern[a] < w->pattern[b];
    return w->sign[a] > w->sign[b];
}

/* The list, sorted and with equal groups added up, becomes the network at hand; its patterns
   those at hand. */
static void cvxr_search_take(cvxr_search *s) {
    const cvxr_weights *list = &s->list;
    cvxr_weights *net = &s->net;
    const cvxr_patterns swap = s->set;
    size_t gap = 1, i, j, at;
    for (i = 0; i < list->m; i++) s->order[i] = i;
    while (gap < list->m / 3) gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3) /* Shell's method */
        for (i = gap; i < list->m; i++) {
            for (at = s->order[i], j = i;
                 j >= gap && cvxr_search_before(list, at, s->order[j - gap]); j -= gap)
                s->order[j] = s->order[j - gap];
            s->order[j] = at;
        }
    for (net->m = i = 0; i < list->m; i++) {
        const double *u = list->u + s->order[i] * list->dp;
        double *to = net->u + net->m * net->dp;
        at = s->order[i];
        if (i && !cvxr_search_before(list, s->order[i - 1], at)) {
            for (j = 0; j < net->dp; j++) to[j - net->dp] += u[j];
            continue;
        }
        net->output[net->m] = list->output[at];
        net->pattern[net->m] = list->pattern[at];
        net->sign[net->m++] = list->sign[at];
        memcpy(to, u, net->dp * sizeof(double));
    }
    s->set = s->next;
    s->next = swap;
    s->list.m = 0;
    cvxr_search_rewind(s, 0);
}

/* The objective of weights over s->set, with s->r = Y - prediction (c x n). */
static double cvxr_search_value(cvxr_search *s, const cvxr_weights *w) {
    const size_t n = s->data->n, dp = s->data->dp;
    double loss, penalty = 0;
    size_t i, j;
    memcpy(s->r, s->data->Y, s->data->c * n * sizeof(double));
    for (j = 0; j < w->m; j++) {
        const uint64_t *bits = s->set.bits + w->pattern[j] * s->set.words;
        const double *u = w->u + j * dp;
        double *r = s->r + w->output[j] * n;
        for (i = 0; i < n; i++)
            if (cvxr_search_bit(bits, i)) r[i] -= cvxr_dot_f64(dp, s->data->X + i * dp, u);
        penalty += cvxr_safe_norm(u, s->data->d);
    }
    loss = cvxr_sum_squares(s->data->c * n, s->r, NULL);
    return loss / (2 * s->units) + s->lambda * penalty;
}

/* ---- Gathering the neurons of a descent. */

/* Entries on columns that are zero in every row say nothing. */
static void cvxr_search_live(const cvxr_search *s, double *v) {
    size_t i, k = 0;
    for (i = 0; i < s->data->d; i++) {
        if (k < s->sampling.live_count && s->sampling.live[k] == i) k++;
        else v[i] = 0;
    }
}

/* The neurons of output k above a share of the largest; the share is raised until there are
   no more than `most`. */
static void cvxr_search_gather(cvxr_search *s, const cvxr_descent *descent, size_t k,
                               size_t most) {
    const size_t n = s->data->n, dp = s->data->dp;
    double largest = 0, share = 1e-4, *v = s->neuron;
    size_t i, j, count = 0;
    for (j = 0; j < descent->m; j++)
        largest = cvxr_max(largest, cvxr_descent_size(descent, j));
    for (;; share *= 1.25) {
        for (count = j = 0; j < descent->m; j++)
            count += cvxr_descent_size(descent, j) > share * largest;
        if (count <= most) break;
    }
    for (j = 0; j < descent->m; j++) {
        int sign = cvxr_descent_neuron(descent, j, v, dp);
        if (sign == 0 || !(cvxr_descent_size(descent, j) > share * largest)) continue;
        cvxr_search_live(s, v);
        for (i = 0; i < n; i++) s->z[i] = cvxr_dot_f64(dp, s->data->X + i * dp, v);
        cvxr_pack(s->z, n, s->bits);
        if (cvxr_search_gate(s, v)) cvxr_search_append(s, k, sign, v);
    }
}

/* The descents of output k, from seeds that follow one another; the best is gathered. */
static void cvxr_search_output(cvxr_search *s, cvxr_descent *descent,
                               const cvxr_descent_plan *plan, size_t k) {
    const double *y = s->data->Y + k * s->data->n;
    const size_t most = cvxr_search_kept(s->data->n, plan->width);
    const size_t neurons = s->list.m, patterns = s->next.count;
    const int runs = s->opt.search.restarts > 1 ? s->opt.search.restarts : 1;
    cvxr_descent_plan mine = *plan;
    double best = HUGE_VAL;
    int run;
    mine.lambda = cvxr_descent_normalise(descent, y, plan->lambda);
    for (run = 0; run < runs && !s->core.stop; run++, mine.seed += 0x9e3779b97f4a7c15u) {
        double value;
        cvxr_descent_run(descent, &mine, y, &s->core);
        value = runs > 1 ? cvxr_descent_value(descent, mine.lambda) : 0;
        if (!(value < best)) continue;
        best = value;
        s->list.m = neurons;
        cvxr_search_rewind(s, patterns);
        cvxr_search_gather(s, descent, k, most);
    }
}

static int cvxr_search_descend(cvxr_search *s, const cvxr_descent_plan *plan) {
    cvxr_descent descent;
    size_t k;
    int go = cvxr_descent_open(&descent, s->mem, s->data, &s->opt, plan->width, plan->batch);
    for (k = 0; go && k < s->data->c && !s->core.stop; k++)
        cvxr_search_output(s, &descent, plan, k);
    cvxr_descent_close(&descent);
    return go;
}

/* The heuristics of [PE20 6]: the patterns of the start, without any weight on them; with
   `flipped` each also with its rows nearest to the kink crossed, the half of them as long as
   the cell has no interior. */
static void cvxr_search_nearest(cvxr_search *s, const double *v, size_t count) {
    const size_t n = s->data->n;
    size_t i, found;
    double least;
    for (i = 0; i < n; i++) s->b[i] = -fabs(s->z[i]);
    for (; count > 0; count /= 2) {
        least = -cvxr_nth_largest(n, s->b, count);
        cvxr_pack(s->z, n, s->bits);
        for (found = i = 0; i < n && found < count; i++)
            if (fabs(s->z[i]) <= least && s->cone.norms[i] > 0)
                s->bits[i / 64] ^= (uint64_t)1 << i % 64, found++;
        if (found == 0) return;
        if (cvxr_search_gate(s, v)) {
            cvxr_search_enter(s);
            return;
        }
        for (i = 0; i < n; i++) s->b[i] = -fabs(s->z[i]);
    }
}

static int cvxr_search_start(cvxr_search *s, const cvxr_descent_plan *plan, int flipped) {
    const size_t n = s->data->n, dp = s->data->dp;
    cvxr_descent start;
    size_t i, j;
    int go = cvxr_descent_open(&start, s->mem, s->data, &s->opt, plan->width, plan->batch);
    if (go) cvxr_descent_draw(&start, plan->width, plan->seed);
    for (j = 0; go && j < start.m; j++) {
        if (cvxr_descent_neuron(&start, j, s->neuron, dp) == 0) continue;
        cvxr_search_live(s, s->neuron);
        for (i = 0; i < n; i++) s->z[i] = cvxr_dot_f64(dp, s->data->X + i * dp, s->neuron);
        cvxr_pack(s->z, n, s->bits);
        if (!cvxr_search_gate(s, s->neuron)) continue;
        cvxr_search_enter(s);
        if (flipped) cvxr_search_nearest(s, s->neuron, cvxr_max_z(1, s->data->d / 4));
    }
    cvxr_descent_close(&start);
    return go;
}

/* ---- The cone program over the patterns at hand. */

static void cvxr_search_core(cvxr_search *s, const cvxrelu_problem *problem, double started) {
    cvxr_core *core = &s->core;
    memset(core, 0, sizeof *core);
    core->mem = s->mem;
    core->data = s->data;
    core->patterns = &s->set;
    core->opt = &s->opt;
    core->kind = CVXRELU_RELU;
    core->loss = &cvxr_losses[problem->loss];
    core->penalty = &cvxr_penalties[problem->penalty];
    core->space = &cvxr_space_f64;
    core->type = CVXRELU_FLOAT64;
    core->units = s->units;
    core->lambda = s->lambda;
    core->lam = s->lambda * s->units;
    core->report = &s->counts;
    core->started = started;
}

static void cvxr_weights_copy(const cvxr_weights *from, cvxr_weights *to) {
    CVXRELU_ASSERT(from->m <= to->capacity && from->dp == to->dp);
    to->m = from->m;
    memcpy(to->output, from->output, from->m * sizeof(size_t));
    memcpy(to->pattern, from->pattern, from->m * sizeof(size_t));
    memcpy(to->sign, from->sign, from->m);
    memcpy(to->u, from->u, from->m * from->dp * sizeof(double));
}

/* sigma at which a start this near is best taken up: the median of ||v|| / lam over the neurons
   of an output, which makes sigma lam and the weights alike. */
static void cvxr_search_sigma(cvxr_search *s) {
    size_t k, j;
    for (k = 0; k < s->data->c; k++) {
        const cvxr_rows rows = cvxr_weights_rows(&s->net, k);
        s->sigma[k] = 0;
        if (rows.m == 0) continue;
        for (j = 0; j < rows.m; j++)
            s->sizes[j] = cvxr_safe_norm(rows.u + j * s->net.dp, s->data->d);
        s->sigma[k] = cvxr_nth_largest(rows.m, s->sizes, (rows.m + 1) / 2) / s->core.lam;
    }
}

/* One program, from the network at hand; what is better than it takes its place. Returns 0
   when memory is refused. */
static int cvxr_search_program(cvxr_search *s) {
    double value;
    if (!cvxr_core_open(&s->core)) {
        cvxr_core_close(&s->core);
        return 0;
    }
    cvxr_weights_copy(&s->net, &s->list);
    cvxr_search_sigma(s);
    s->opt.tol = cvxr_search_few(s) ? CVXR_SEARCH_CLOSE : CVXR_SEARCH_TOL;
    cvxr_newton_solve(&s->core, &s->out, &s->list, s->sigma);
    s->list.m = 0;
    s->report->passes += s->core.op.passes;
    s->report->flops += s->core.op.flops;
    cvxr_core_close(&s->core);
    if (s->mem->failed) return 0;
    s->report->rounds++;
    value = cvxr_search_value(s, &s->out);
    if (value < s->objective) {
        cvxr_weights_copy(&s->out, &s->net);
        s->objective = value;
    }
    return 1;
}

/* ---- Flips. */

/* s->v = s X^T D r + lam v / ||v|| of neuron j: projected on its cone it gives the multipliers
   of the rows that are tight at v. */
static void cvxr_search_slope(cvxr_search *s, size_t j) {
    const cvxr_weights *net = &s->net;
    const size_t n = s->data->n, dp = s->data->dp;
    const double *u = net->u + j * dp, *r = s->r + net->output[j] * n, sign = net->sign[j];
    const double by = s->core.lam / cvxr_safe_norm(u, s->data->d);
    size_t i, k;
    for (k = 0; k < dp; k++) s->v[k] = sign * by * u[k];
    for (i = 0; i < n; i++) {
        const double *x = s->data->X + i * dp;
        if (!cvxr_search_bit(s->bits, i)) continue;
        for (k = 0; k < dp; k++) s->v[k] += sign * r[i] * x[k];
    }
}

/* Crosses in s->bits the rows of neuron j that ask for it; returns how many. */
static size_t cvxr_search_cross(cvxr_search *s, size_t j) {
    const cvxr_weights *net = &s->net;
    const size_t n = s->data->n, dp = s->data->dp;
    const double *u = net->u + j * dp, *r = s->r + net->output[j] * n, sign = net->sign[j];
    const double norm = cvxr_safe_norm(u, s->data->d);
    size_t i, count = 0;
    cvxr_face face;
    face.count = 0;
    face.rows = s->face_rows;
    face.gamma = s->face_gamma;
    cvxr_search_slope(s, j);
    if (cvxr_cone_project(&s->cone, s->bits, NULL, s->v, &face, s->gate) != CVXR_CONE_OK)
        return 0;
    for (i = 0; i < face.count; i++) {
        const size_t row = face.rows[i];
        const double length = s->cone.norms[row];
        const double z = cvxr_dot_f64(dp, s->data->X + row * dp, u);
        if (fabs(z) > 1e-10 * length * norm) continue; /* not tight at v itself */
        if (face.gamma[i] <= -sign * r[row] + 1e-6 * s->core.lam / length) continue;
        s->bits[row / 64] ^= (uint64_t)1 << row % 64;
        count++;
    }
    return count;
}

/* All neurons with their rows crossed, into s->list; cells without interior are not entered.
   Returns how many rows were crossed. */
static size_t cvxr_search_flip(cvxr_search *s) {
    const cvxr_weights *net = &s->net;
    const size_t words = s->set.words, dp = net->dp;
    size_t j, i, all = 0;
    cvxr_search_value(s, net);
    for (j = 0; j < net->m; j++) {
        const uint64_t *bits = s->set.bits + net->pattern[j] * words;
        const double *gate = s->set.gates + net->pattern[j] * s->set.d;
        size_t count;
        for (i = 0; i < dp; i++) s->neuron[i] = net->sign[j] * net->u[j * dp + i];
        memcpy(s->bits, bits, words * sizeof(uint64_t));
        count = cvxr_search_cross(s, j);
        if (count == 0 || !cvxr_search_gate(s, s->neuron)) {
            memcpy(s->bits, bits, words * sizeof(uint64_t));
            memcpy(s->gate, gate, s->set.d * sizeof(double));
            count = 0;
        }
        all += count;
        cvxr_search_append(s, net->output[j], net->sign[j], s->neuron);
    }
    return all;
}

/* ---- Ascent for violated patterns: local maxima of +-r^T (X u)_+ over the unit sphere, from
   random starts, by normalised gradient steps that are kept when they gain. */

/* s->v = sign X^T (D r) with D = 1(s->z >= 0); returns sign r^T (s->z)_+. */
static double cvxr_search_climb_slope(cvxr_search *s, const double *r, int sign) {
    const size_t n = s->data->n, dp = s->data->dp;
    double value = 0;
    size_t i, k;
    memset(s->v, 0, dp * sizeof(double));
    for (i = 0; i < n; i++) {
        const double *x = s->data->X + i * dp, by = sign * r[i];
        if (s->z[i] < 0) continue;
        value += by * s->z[i];
        for (k = 0; k < dp; k++) s->v[k] += by * x[k];
    }
    return value;
}

#define CVXR_CLIMB 100 /* steps of an ascent */
/* From the unit vector s->neuron, which moves; returns the value it ends at. */
static double cvxr_search_climb(cvxr_search *s, const double *r, int sign) {
    const size_t n = s->data->n, d = s->data->d, dp = s->data->dp;
    double eta = 0.5, value = -HUGE_VAL, *u = s->neuron, *trial = s->gate;
    size_t i, k;
    int step;
    memcpy(trial, u, dp * sizeof(double));
    for (step = 0; step < CVXR_CLIMB; step++) {
        double now = 0, norm;
        for (i = 0; i < n; i++) {
            s->b[i] = cvxr_dot_f64(dp, s->data->X + i * dp, trial);
            if (s->b[i] > 0) now += sign * r[i] * s->b[i];
        }
        if (now > value) {
            memcpy(u, trial, dp * sizeof(double));
            memcpy(s->z, s->b, n * sizeof(double));
            value = cvxr_search_climb_slope(s, r, sign);
            eta *= step ? 1.5 : 1;
        } else eta *= 0.4;
        norm = cvxr_safe_norm(s->v, d);
        if (!(norm > 0)) return value;
        for (k = 0; k < dp; k++) trial[k] = u[k] + eta * s->v[k] / norm;
        norm = cvxr_safe_norm(trial, d);
        for (k = 0; k < dp; k++) trial[k] /= norm;
    }
    return value;
}
#undef CVXR_CLIMB

/* A random unit vector in s->neuron, or one near a neuron of the network. */
static void cvxr_search_climber(cvxr_search *s, cvxrelu_random *random, int near) {
    const size_t d = s->data->d, dp = s->data->dp;
    double norm, *u = s->neuron;
    size_t i;
    memset(u, 0, dp * sizeof(double));
    for (i = 0; i < d; i++) u[i] = cvxrelu_random_normal(random);
    cvxr_search_live(s, u);
    norm = cvxr_safe_norm(u, d);
    for (i = 0; i < d && norm > 0; i++) u[i] /= norm;
    if (!near || s->net.m == 0) return;
    {
        const size_t j = (size_t)cvxrelu_random_below(random, s->net.m);
        const double *v = s->net.u + j * dp, by = s->net.sign[j] / cvxr_safe_norm(v, d);
        const double reach = cvxrelu_random_uniform(random);
        for (i = 0; i < d; i++) u[i] = by * v[i] + reach * u[i];
    }
    norm = cvxr_safe_norm(u, d);
    for (i = 0; i < d && norm > 0; i++) u[i] /= norm;
}

/* Enters the patterns found that are violated; returns how many were new. */
static size_t cvxr_search_ascend(cvxr_search *s, uint64_t seed) {
    const size_t n = s->data->n, before = s->next.count;
    size_t starts = cvxr_search_few(s) ? CVXR_SEARCH_ASCENTS : 0;
    cvxrelu_random random;
    size_t k, j;
    if (s->ways.ascents) starts = s->ways.ascents;
    if (starts == 0) return 0;
    cvxrelu_random_init(&random, seed);
    cvxr_search_value(s, &s->net);
    for (k = 0; k < s->data->c; k++)
        for (j = 0; j < starts; j++) {
            cvxr_search_climber(s, &random, j % 4 / 2);
            if (!(cvxr_search_climb(s, s->r + k * n, j % 2 ? -1 : 1) > 1.0001 * s->core.lam))
                continue;
            cvxr_pack(s->z, n, s->bits);
            if (s->next.count == s->next.capacity) return s->next.count - before;
            if (cvxr_search_gate(s, s->neuron)) cvxr_search_enter(s);
        }
    return s->next.count - before;
}

/* ---- The search. */

/* Given patterns come first, as they are. */
static void cvxr_search_given(cvxr_search *s, const cvxr_patterns *given) {
    size_t p;
    for (p = 0; p < given->count; p++) {
        memcpy(s->bits, given->bits + p * given->words, given->words * sizeof(uint64_t));
        memcpy(s->gate, given->gates + p * given->d, given->d * sizeof(double));
        cvxr_search_enter(s);
    }
}

static cvxrelu_result cvxr_search_polish(cvxr_search *s, char *message) {
    const int rounds = s->opt.search.rounds ? s->opt.search.rounds
                       : cvxr_search_few(s) ? 2 * CVXR_SEARCH_ROUNDS
                                            : CVXR_SEARCH_ROUNDS;
    int round;
    for (round = 0; round < rounds && s->set.count > 0 && !s->core.stop; round++) {
        size_t flips, found = 0;
        if (!cvxr_search_program(s)) return cvxr_mem_result(s->mem, message);
        flips = cvxr_search_flip(s);
        s->report->flips += flips;
        if (round + 1 < rounds && flips == 0)
            found = cvxr_search_ascend(s, (uint64_t)round);
        cvxr_search_take(s);
        s->objective = cvxr_search_value(s, &s->net);
        if (flips + found == 0) break;
    }
    return CVXRELU_OK;
}

/* Patterns that may come beside those of neurons. */
static size_t cvxr_search_extra(const cvxr_search_ways *ways, size_t width,
                                const cvxr_patterns *given) {
    return (given ? given->count : 0)
           + (ways->from == CVXR_FROM_DESCENT ? 0 : 2 * width);
}

/* Where the network is zero there is a pattern all the same: that of a random gate. */
static cvxrelu_result cvxr_search_some(cvxr_search *s, char *message) {
    cvxr_patterns some;
    cvxrelu_gates recipe = s->recipe;
    cvxrelu_result result;
    recipe.count = 8;
    result = cvxr_patterns_make(s->mem, s->data, &recipe, &some, message);
    if (result) return result;
    memcpy(s->set.bits, some.bits, some.words * sizeof(uint64_t));
    memcpy(s->set.gates, some.gates, some.d * sizeof(double));
    s->set.count = 1;
    cvxr_patterns_free(s->mem, &some);
    return CVXRELU_OK;
}

/* Hands the patterns and the network over. */
static void cvxr_search_hand(cvxr_search *s, cvxr_patterns *patterns, cvxr_weights *start) {
    *patterns = s->set;
    *start = s->net;
    memset(&s->set, 0, sizeof s->set);
    memset(&s->net, 0, sizeof s->net);
}

static cvxrelu_result cvxr_search_all(cvxr_search *s, const cvxrelu_problem *problem,
                                      const cvxr_patterns *given, cvxr_patterns *patterns_out,
                                      cvxr_weights *start_out, char *message) {
    cvxr_descent_plan plan;
    cvxrelu_result result;
    cvxr_search_plan(s->data, &s->opt, problem, s->lambda, &plan);
    if (!cvxr_search_open(s, plan.width, cvxr_search_extra(&s->ways, plan.width, given)))
        return cvxr_mem_result(s->mem, message);
    if (given) cvxr_search_given(s, given);
    if (s->ways.from == CVXR_FROM_DESCENT) cvxr_search_descend(s, &plan);
    else cvxr_search_start(s, &plan, s->ways.from == CVXR_FROM_FLIPPED);
    if (s->mem->failed) return cvxr_mem_result(s->mem, message);
    s->report->gathered = s->list.m;
    cvxr_search_take(s);
    s->objective = cvxr_search_value(s, &s->net);
    s->report->descent_objective = s->objective;
    result = cvxr_search_polish(s, message);
    if (!result && s->set.count == 0) result = cvxr_search_some(s, message);
    if (result) return result;
    s->report->objective = s->objective;
    s->report->stop = s->core.stop;
    s->report->iterations = s->counts.iterations;
    cvxr_search_hand(s, patterns_out, start_out);
    return CVXRELU_OK;
}

/* Looks for the patterns of a ReLU network at strength lambda. options are resolved; started is
   the clock's time at the start of the call. given: patterns to begin with beside those found,
   or NULL. patterns_out and start_out are the caller's to free (cvxr_patterns_free,
   cvxr_weights_close): at least one pattern, gates in the solver's coordinates; a feasible
   network over them, raw and sorted, to start the last program from. On an error they are
   empty. */
CVXR_UNUSED static cvxrelu_result cvxr_search_run(
    cvxr_mem *mem, const cvxr_data *data, const cvxrelu_options *opt,
    const cvxrelu_problem *problem, double lambda, double started, const cvxr_patterns *given,
    const cvxr_search_ways *ways, cvxr_patterns *patterns_out, cvxr_weights *start_out,
    cvxr_search_report *report, char *message) {
    cvxr_search s;
    cvxrelu_result result;
    memset(patterns_out, 0, sizeof *patterns_out);
    memset(start_out, 0, sizeof *start_out);
    memset(report, 0, sizeof *report);
    memset(&s, 0, sizeof s);
    s.mem = mem;
    s.data = data;
    if (ways) s.ways = *ways;
    s.opt = *opt;
    s.opt.max_iters = CVXR_SEARCH_NEWTON;
    s.lambda = lambda;
    s.units = (double)data->n * (double)data->c;
    s.report = report;
    cvxr_search_core(&s, problem, started);
    result = cvxr_search_all(&s, problem, given, patterns_out, start_out, message);
    cvxr_search_close(&s);
    return result;
}
/* ==== S22 FIT, PATH, CROSS-VALIDATION ====================================================
   Options resolved in one place, a plan of the memory that a fit takes, and the calls that
   put data, patterns, solver, certificate and model together. A fit is a path of one
   strength. Uses S01-S21. Tests: tests/test_s22_*.c. Source: [MSP22 4.1, C.1];
   one-standard-error rule: [HTF09 7.10]. */

/* ---- Options. */

static cvxrelu_result cvxr_options_check(const cvxrelu_options *o, char *message) {
    const struct {
        const char *name;
        double value, low, high;
    } reals[] = { { "tol", o->tol, -HUGE_VAL, 1 },
                  { "subgradient_tol", o->subgradient_tol, 0, HUGE_VAL },
                  { "time_limit", o->time_limit, 0, HUGE_VAL },
                  { "step_first", o->step_first, 0, HUGE_VAL },
                  { "step_shrink", o->step_shrink, 0, 1 },
                  { "step_threshold", o->step_threshold, 0, HUGE_VAL },
                  { "al.delta", o->al.delta, 0, HUGE_VAL },
                  { "al.window_low", o->al.window_low, 0, HUGE_VAL },
                  { "al.window_high", o->al.window_high, 0, HUGE_VAL },
                  { "al.constraint_tol", o->al.constraint_tol, 0, HUGE_VAL },
                  { "al.max_outer", (double)o->al.max_outer, 0, HUGE_VAL },
                  { "search.step_size", o->search.step_size, 0, HUGE_VAL },
                  { "search.steps", (double)o->search.steps, 0, HUGE_VAL },
                  { "search.restarts", (double)o->search.restarts, 0, HUGE_VAL } };
    size_t i;
    for (i = 0; i < sizeof reals / sizeof *reals; i++)
        if (!cvxr_finite(reals[i].value) || reals[i].value < reals[i].low
            || reals[i].value > reals[i].high)
            return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                             "options.%s is %g: it must be in [%g, %g]", reals[i].name,
                             reals[i].value, reals[i].low, reals[i].high);
    if (!cvxr_finite(o->step_grow) || (o->step_grow != 0 && o->step_grow <= 1))
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "options.step_grow is %g: it must be above 1", o->step_grow);
    if (o->step_threshold != 0 && o->step_threshold < 1)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "options.step_threshold is %g: it must be 1 or more",
                         o->step_threshold);
    if (o->step_shrink == 1)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "options.step_shrink is 1: it must be below 1");
    if (o->max_iters < 0)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "options.max_iters is %d: 0 means the default", o->max_iters);
    if (o->threads < 0 || o->threads > 1024)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "options.threads is %d: it must be 0 to 1024", o->threads);
    if ((o->allocator.allocate == NULL) != (o->allocator.release == NULL))
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "options.allocator: set both functions, or neither");
    if (o->time_limit > 0 && o->clock.seconds == NULL && !CVXR_HAS_CLOCK)
        return cvxr_fail(message, CVXRELU_ERR_CLOCK,
                         "options.time_limit is %g but there is no clock: "
                         "set options.clock",
                         o->time_limit);
    return CVXRELU_OK;
}

static cvxrelu_result cvxr_options_check_enums(const cvxrelu_options *o, char *message) {
    if ((int)o->solver < 0 || o->solver > CVXRELU_SOLVER_AL)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "options.solver is %d: not a solver",
                         (int)o->solver);
    if ((int)o->precision < 0 || o->precision > CVXRELU_FLOAT32)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "options.precision is %d: not an element type", (int)o->precision);
    if ((int)o->search.from < 0 || o->search.from > CVXRELU_SEARCH_FROM_FLIPPED)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "options.search.from is %d: not a start of the search",
                         (int)o->search.from);
    if ((int)o->step_rule < 0 || o->step_rule > CVXRELU_STEP_FIXED)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "options.step_rule is %d: not a rule",
                         (int)o->step_rule);
#ifdef CVXRELU_NO_FLOAT32
    if (o->precision == CVXRELU_FLOAT32)
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED,
                         "float32 was left out of this build (CVXRELU_NO_FLOAT32)");
#endif
    return CVXRELU_OK;
}

/* The only place where a zero becomes a default. max_iters stays 0 until the solver is
   known. */
static cvxrelu_result cvxr_options_resolve(const cvxrelu_options *given, cvxrelu_options *o,
                                           char *message) {
    cvxrelu_result result;
    memset(o, 0, sizeof *o);
    if (given) *o = *given;
    result = cvxr_options_check(o, message);
    if (!result) result = cvxr_options_check_enums(o, message);
    if (result) return result;
    if (o->tol == 0) o->tol = 1e-6;
    if (o->max_factor == 0) o->max_factor = 6144;
    if (o->threads == 0) o->threads = 1;
    if (o->step_first == 0) o->step_first = 1;
    if (o->step_shrink == 0) o->step_shrink = 0.8;
    if (o->step_grow == 0) o->step_grow = 1.25;
    if (o->step_threshold == 0) o->step_threshold = 5;
    return CVXRELU_OK;
}

static cvxrelu_result cvxr_problem_check_gated(const cvxrelu_problem *p, char *message) {
    if (p->search != CVXRELU_SEARCH_AUTO && p->search != CVXRELU_SEARCH_OFF)
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED,
                         "problem.search is for ReLU networks: a gated one keeps its gates");
    return CVXRELU_OK;
}

static cvxrelu_result cvxr_problem_check_relu(const cvxrelu_problem *p, char *message) {
    if (p->penalty != CVXRELU_PENALTY_NEURON)
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED,
                         "a ReLU network takes the neuron penalty only");
    return CVXRELU_OK;
}

static cvxrelu_result cvxr_problem_check(const cvxrelu_problem *p, char *message) {
    if (p == NULL) return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "problem is NULL");
    if (!cvxr_finite(p->lambda) || p->lambda < 0 || p->lambda > 1e150)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "lambda is %g: it must be in [0, 1e150]", p->lambda);
    if ((int)p->kind < 0 || p->kind > CVXRELU_RELU)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "problem.kind is %d: not a kind of network", (int)p->kind);
    if (p->loss != CVXRELU_LOSS_SQUARED)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "problem.loss is %d: not a loss",
                         (int)p->loss);
    if ((int)p->penalty < 0 || p->penalty > CVXRELU_PENALTY_L2)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "problem.penalty is %d: not a penalty",
                         (int)p->penalty);
    if ((int)p->search < 0 || p->search > CVXRELU_SEARCH_EXACT)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "problem.search is %d: not a search",
                         (int)p->search);
    return p->kind == CVXRELU_RELU ? cvxr_problem_check_relu(p, message)
                                   : cvxr_problem_check_gated(p, message);
}

/* Does this fit look for its patterns? */
static int cvxr_searches(const cvxrelu_problem *p) {
    if (p->kind != CVXRELU_RELU) return 0;
    return p->search == CVXRELU_SEARCH_ON
           || (p->search == CVXRELU_SEARCH_AUTO && p->gates.sampler != CVXRELU_SAMPLER_GIVEN);
}

/* ---- The plan: which solver, with what memory. */

typedef struct cvxr_plan {
    cvxrelu_solver solver; /* NEWTON or FISTA; at lambda = 0 least squares runs instead */
    int least_squares;     /* some strength is 0 */
    size_t max_factor,
        capacity; /* of the weights */
    size_t bytes; /* most that the call holds */
} cvxr_plan;

typedef struct cvxr_shape {
    size_t n, d, features, c, P;
    int has_bias, threads;
    cvxrelu_type type;
    cvxrelu_kind kind;
} cvxr_shape;

static size_t cvxr_work_stride(size_t d, cvxrelu_type type) {
    return type == CVXRELU_FLOAT32 ? (d + 15) / 16 * 16 : cvxr_pad(d);
}

static size_t cvxr_type_size(cvxrelu_type type) {
    return type == CVXRELU_FLOAT32 ? sizeof(float) : sizeof(double);
}

/* Bytes of a solver with its factor capped. */
static size_t cvxr_solver_bytes(const cvxr_shape *q, const cvxr_plan *plan,
                                size_t max_working_set) {
    const size_t dp = cvxr_pad(q->d);
    size_t bytes = 0, wide = cvxr_work_stride(q->d, q->type), element = cvxr_type_size(q->type);
    if (plan->solver == CVXRELU_SOLVER_NEWTON) {
        size_t cap =
            cvxr_newton_capacity(q->n, q->P * cvxr_newton_sides(q->kind), max_working_set);
        bytes = cvxr_newton_bytes(q->n, dp, q->P, cap, plan->max_factor, q->kind);
        if (q->kind == CVXRELU_GATED)
            bytes = cvxr_max_z(bytes, cvxr_rescue_bytes(q->n, dp, cap));
    } else if (plan->solver == CVXRELU_SOLVER_AL)
        bytes = cvxr_al_bytes(q->n, dp, q->c, q->P);
    else bytes = cvxr_fista_bytes(q->n, wide, q->c, q->P, element);
    if (plan->least_squares) bytes = cvxr_max_z(bytes, cvxr_cgls_bytes(q->n, dp, q->P));
    return bytes;
}

/* Sizes whose products could overflow are refused before any plan is made: 2^40 elements an
   array is the bound. */
static int cvxr_shape_fits(const cvxr_shape *q) {
    const double limit = (double)(SIZE_MAX / 1024);
    double n = (double)q->n, d = (double)q->d + 32, c = (double)q->c, P = (double)q->P;
    return n * d < limit && c * P * d < limit && n * P < limit && n * c < limit
           && n * 6144 < limit;
}

/* Capacity of the second list of weights: R-FISTA works where its start is. */
static size_t cvxr_plan_second(const cvxr_plan *plan) {
    return plan->solver == CVXRELU_SOLVER_FISTA ? 1 : plan->capacity;
}

/* Capacity and bytes of a fit over q->P patterns. */
static void cvxr_plan_bytes(const cvxr_shape *q, const cvxrelu_options *o, int keep_gates,
                            cvxr_plan *plan) {
    const size_t dp = cvxr_pad(q->d);
    size_t model, solver;
    const size_t groups = q->P * cvxr_newton_sides(q->kind);
    int all = plan->least_squares || plan->solver != CVXRELU_SOLVER_NEWTON;
    plan->capacity =
        q->c * (all ? groups : cvxr_newton_capacity(q->n, groups, o->max_working_set));
    model = cvxr_model_bytes(q->d, q->features, q->c, plan->capacity, keep_gates ? q->P : 0);
    solver = cvxr_solver_bytes(q, plan, o->max_working_set);
    plan->bytes =
        cvxr_data_bytes(q->n, q->features, q->has_bias, q->c)
        + cvxr_patterns_bytes(q->n, q->d, q->P) + cvxr_core_bytes(q->n, dp, q->threads)
        + (q->kind == CVXRELU_RELU ? cvxr_core_cone_bytes(q->n, q->d, dp, q->P, q->threads)
                                   : 0)
        + cvxr_weights_bytes(plan->capacity, dp)
        + cvxr_weights_bytes(cvxr_plan_second(plan), dp) + cvxr_bytes(q->c, sizeof(double))
        + cvxr_bytes(2 * q->n, sizeof(double)) + cvxr_max_z(model, solver);
    if (plan->solver == CVXRELU_SOLVER_FISTA
        && q->type == CVXRELU_FLOAT32) /* X again */
        plan->bytes += cvxr_bytes(q->n * cvxr_work_stride(q->d, q->type), sizeof(float));
}

/* A fit that looks for its patterns: over those of the recipe (for lambda_max), then the
   search, then over what that found. */
static void cvxr_plan_search(const cvxr_shape *q, const cvxrelu_problem *p,
                             const cvxrelu_options *o, cvxr_plan *plan) {
    const int given = p->gates.sampler == CVXRELU_SAMPLER_GIVEN;
    const size_t width = cvxr_search_width(o, p),
                 more = o->search.from == CVXRELU_SEARCH_FROM_DESCENT ? 0 : 2 * width,
                 kept = (given ? q->P : 0) + more;
    const size_t held = cvxr_data_bytes(q->n, q->features, q->has_bias, q->c)
                        + (given ? cvxr_patterns_bytes(q->n, q->d, q->P) : 0);
    cvxr_shape found = *q;
    cvxr_plan last = *plan;
    found.P = cvxr_search_capacity(q->n, q->c, width, kept) + kept;
    cvxr_plan_bytes(&found, o, 1, &last);
    plan->bytes = cvxr_max_z(plan->bytes, last.bytes + held
                                              + cvxr_search_bytes(q->n, q->d, q->c, width, kept,
                                                                  plan->max_factor,
                                                                  q->threads));
}

static void cvxr_plan_size(const cvxr_shape *q, const cvxrelu_problem *p,
                           const cvxrelu_options *o, cvxr_plan *plan) {
    cvxr_plan_bytes(q, o, 1, plan);
    if (cvxr_searches(p)) cvxr_plan_search(q, p, o, plan);
}

/* Choose: Newton for the default penalty, its factor halved until it fits the limit, else
   R-FISTA, or the augmented Lagrangian. */
static cvxrelu_result cvxr_plan_make(const cvxr_shape *q, const cvxrelu_problem *p,
                                     const cvxrelu_options *o, int least_squares,
                                     cvxr_plan *plan, char *message) {
    memset(plan, 0, sizeof *plan);
    plan->solver = o->solver;
    plan->least_squares = least_squares;
    plan->max_factor = o->max_factor;
    if (!cvxr_shape_fits(q))
        return cvxr_fail(message, CVXRELU_ERR_SIZE,
                         "n = %z, d = %z, c = %z with %z patterns is too large for "
                         "this machine's size_t",
                         q->n, q->d, q->c, q->P);
    if (o->solver == CVXRELU_SOLVER_NEWTON && p->penalty != CVXRELU_PENALTY_NEURON)
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED,
                         "the Newton solver takes the neuron penalty only: "
                         "use auto or FISTA");
    if ((o->solver == CVXRELU_SOLVER_AL) != (p->kind == CVXRELU_RELU)
        && o->solver >= CVXRELU_SOLVER_FISTA)
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED,
                         p->kind == CVXRELU_RELU
                             ? "FISTA trains gated networks only: use auto, Newton or AL"
                             : "AL trains ReLU networks only: use auto, Newton or FISTA");
    if (o->solver == CVXRELU_SOLVER_AUTO)
        plan->solver =
            p->penalty == CVXRELU_PENALTY_NEURON ? CVXRELU_SOLVER_NEWTON : CVXRELU_SOLVER_FISTA;
    cvxr_plan_size(q, p, o, plan);
    while (o->memory_limit && plan->bytes > o->memory_limit
           && plan->solver == CVXRELU_SOLVER_NEWTON && plan->max_factor > q->d) {
        plan->max_factor = cvxr_min_z(plan->max_factor, q->n) / 2;
        cvxr_plan_size(q, p, o, plan);
    }
    if (o->memory_limit && plan->bytes > o->memory_limit && o->solver == CVXRELU_SOLVER_AUTO) {
        plan->solver =
            p->kind == CVXRELU_RELU ? CVXRELU_SOLVER_AL : CVXRELU_SOLVER_FISTA;
        cvxr_plan_size(q, p, o, plan);
    }
    if (o->memory_limit && plan->bytes > o->memory_limit)
        return cvxr_fail(message, CVXRELU_ERR_LIMIT,
                         "memory_limit is %z bytes, this fit may need %z", o->memory_limit,
                         plan->bytes);
    return CVXRELU_OK;
}

/* ---- A fit in progress. */

typedef struct cvxr_fit {
    cvxr_mem mem;
    cvxrelu_problem problem;
    cvxrelu_options opt;
    cvxr_shape shape;
    cvxr_plan plan;
    cvxr_data data;
    cvxr_patterns patterns;
    cvxr_core core;
    cvxr_weights weights, start;
    double *sigma;
    double *best; /* 2 n: scores and hits of the training error */
    float *X32;
    int open, searches;
    cvxr_patterns given; /* searches: the patterns of given gates */
    cvxr_search_report search;
    size_t thin;         /* EXACT: cells too thin for a gate */
} cvxr_fit;

/* Workspace of the solver over f->patterns. */
static void cvxr_fit_close_solver(cvxr_fit *f) {
    if (!f->open) return;
    f->open = 0;
    cvxr_release(&f->mem, f->X32, f->data.n * cvxr_work_stride(f->data.d, CVXRELU_FLOAT32),
                 sizeof(float));
    cvxr_release(&f->mem, f->best, 2 * f->data.n, sizeof(double));
    cvxr_release(&f->mem, f->sigma, f->data.c, sizeof(double));
    cvxr_weights_close(&f->mem, &f->start);
    cvxr_weights_close(&f->mem, &f->weights);
    cvxr_core_close(&f->core);
    f->X32 = NULL;
}

static void cvxr_fit_close(cvxr_fit *f) {
    cvxr_fit_close_solver(f);
    cvxr_patterns_free(&f->mem, &f->given);
    cvxr_patterns_free(&f->mem, &f->patterns);
    cvxr_data_free(&f->mem, &f->data);
}

/* Sizes of a fit, from views that were checked; gates are checked too, before any work. */
static cvxrelu_result cvxr_shape_make(const cvxrelu_problem *p, const cvxrelu_options *opt,
                                      cvxr_shape *q, char *message) {
    cvxr_data sizes;
    size_t classes = 0;
    cvxrelu_result result = cvxr_data_check(p, &classes, message);
    if (result) return result;
    q->n = p->X.rows;
    q->features = p->X.cols;
    q->has_bias = !p->no_bias;
    q->d = q->features + (q->has_bias ? 1 : 0);
    q->c = classes == 0 ? p->Y.cols : classes == 2 ? 1 : classes;
    q->P = p->search == CVXRELU_SEARCH_EXACT ? cvxr_cover(q->n, q->d, CVXR_ENUMERATE_LIMIT)
                                             : cvxr_gates_count(&p->gates);
    q->threads = opt->threads;
    q->type = opt->precision;
    q->kind = p->kind;
    memset(&sizes, 0, sizeof sizes);
    sizes.n = q->n;
    sizes.d = q->d;
    sizes.features = q->features;
    sizes.has_bias = q->has_bias;
    return cvxr_gates_check(&sizes, &p->gates, message);
}

/* R-FISTA's operator in the work precision. */
static int cvxr_fit_float32(cvxr_fit *f) {
#ifndef CVXRELU_NO_FLOAT32
    const size_t n = f->data.n, d = f->data.d, dp = f->data.dp,
                 wide = cvxr_work_stride(d, CVXRELU_FLOAT32);
    size_t i, j;
    f->X32 = (float *)cvxr_alloc_zero(&f->mem, n * wide, sizeof(float));
    if (f->X32 == NULL) return 0;
    for (i = 0; i < n; i++)
        for (j = 0; j < d; j++) f->X32[i * wide + j] = (float)f->data.X[i * dp + j];
    f->core.op_work.X = f->X32;
    f->core.op_work.dp = wide;
    f->core.space = &cvxr_space_f32;
    f->core.type = CVXRELU_FLOAT32;
#endif
    return f->mem.failed == CVXRELU_OK;
}

static void cvxr_fit_core(cvxr_fit *f, cvxrelu_report *report) {
    cvxr_core *core = &f->core;
    core->mem = &f->mem;
    core->data = &f->data;
    core->patterns = &f->patterns;
    core->opt = &f->opt;
    core->kind = f->problem.kind;
    core->loss = &cvxr_losses[f->problem.loss];
    core->penalty = &cvxr_penalties[f->problem.penalty];
    core->space = &cvxr_space_f64;
    core->type = CVXRELU_FLOAT64;
    core->units = (double)f->data.n * (double)f->data.c;
    core->report = report;
}

static cvxrelu_result cvxr_fit_open_solver(cvxr_fit *f, cvxrelu_report *report) {
    f->opt.max_factor = f->plan.max_factor;
    cvxr_fit_core(f, report);
    f->open = 1;
    cvxr_core_open(&f->core);
    cvxr_weights_open(&f->mem, &f->weights, cvxr_plan_second(&f->plan), f->data.dp);
    cvxr_weights_open(&f->mem, &f->start, f->plan.capacity, f->data.dp);
    f->sigma = (double *)cvxr_alloc_zero(&f->mem, f->data.c, sizeof(double));
    f->best = (double *)cvxr_alloc(&f->mem, 2 * f->data.n, sizeof(double));
    if (f->plan.solver == CVXRELU_SOLVER_FISTA && f->opt.precision == CVXRELU_FLOAT32)
        cvxr_fit_float32(f);
    return cvxr_mem_result(&f->mem, report->message);
}

/* All patterns, and the plan for as many as there are. */
static cvxrelu_result cvxr_fit_enumerate(cvxr_fit *f, char *message) {
    cvxr_enumeration about;
    cvxrelu_result result =
        cvxr_enumerate_about(&f->mem, &f->data, 0, &about, &f->patterns, message);
    if (result) return result;
    f->thin = about.thin;
    f->shape.P = f->patterns.count;
    return cvxr_plan_make(&f->shape, &f->problem, &f->opt, 0, &f->plan, message);
}

/* Data, patterns and workspace; nothing is held when it fails. */
static cvxrelu_result cvxr_fit_open(cvxr_fit *f, const cvxrelu_problem *problem,
                                    const cvxrelu_options *options, int least_squares,
                                    cvxrelu_report *report) {
    char *message = report->message;
    cvxr_team team;
    cvxrelu_result result = cvxr_problem_check(problem, message);
    memset(f, 0, sizeof *f);
    if (!result) result = cvxr_options_resolve(options, &f->opt, message);
    if (result) return result;
    f->problem = *problem;
    team.hook = f->opt.parallel;
    team.threads = f->opt.threads;
    cvxr_mem_init(&f->mem, &f->opt.allocator, f->opt.memory_limit);
    f->core.opt = &f->opt;
    f->core.started = cvxr_now(&f->opt.clock);
    f->searches = cvxr_searches(problem);
    result = cvxr_shape_make(problem, &f->opt, &f->shape, message);
    if (!result && problem->search != CVXRELU_SEARCH_EXACT)
        result = cvxr_plan_make(&f->shape, problem, &f->opt, least_squares, &f->plan, message);
    if (!result) result = cvxr_data_make(&f->mem, problem, &f->data, message);
    if (!result && problem->search == CVXRELU_SEARCH_EXACT)
        result = cvxr_fit_enumerate(f, message);
    else if (!result)
        result = cvxr_patterns_by(&team, &f->mem, &f->data, &problem->gates, &f->patterns,
                                  message);
    if (!result) result = cvxr_fit_open_solver(f, report);
    if (result) cvxr_fit_close(f);
    return result;
}

/* ---- Solving one strength from f->start into f->weights. */

/* The sorted weights of `from` into `to`, which has room for them. */
static void cvxr_weights_take(cvxr_weights *to, const cvxr_weights *from) {
    to->m = cvxr_min_z(from->m, to->capacity);
    memcpy(to->output, from->output, to->m * sizeof(size_t));
    memcpy(to->pattern, from->pattern, to->m * sizeof(size_t));
    memcpy(to->sign, from->sign, to->m);
    memcpy(to->u, from->u, to->m * to->dp * sizeof(double));
}

/* Search for this strength: the patterns found take the place of those at hand. */
static cvxrelu_result cvxr_fit_search(cvxr_fit *f, double lambda, cvxrelu_report *report) {
    cvxr_weights start;
    cvxr_patterns found;
    cvxr_shape q = f->shape;
    cvxrelu_result result;
    const double started = f->core.started;
    const int given = f->problem.gates.sampler == CVXRELU_SAMPLER_GIVEN;
    cvxr_search_ways ways;
    ways.from = (cvxr_search_from)f->opt.search.from;
    ways.ascents = f->opt.search.ascents;
    cvxr_fit_close_solver(f);
    if (given && f->given.count == 0) {
        f->given = f->patterns;
        memset(&f->patterns, 0, sizeof f->patterns);
    }
    cvxr_patterns_free(&f->mem, &f->patterns);
    result = cvxr_search_run(&f->mem, &f->data, &f->opt, &f->problem, lambda, started,
                             given ? &f->given : NULL, &ways, &found, &start, &f->search,
                             report->message);
    if (result) return result;
    f->patterns = found;
    q.P = found.count;
    cvxr_plan_bytes(&q, &f->opt, 1, &f->plan);
    f->plan.capacity = cvxr_max_z(f->plan.capacity, start.m);
    result = cvxr_fit_open_solver(f, report);
    f->core.started = started;
    if (!result) cvxr_weights_take(&f->start, &start);
    cvxr_weights_close(&f->mem, &start);
    if (result) return result;
    f->core.lam = 1;
    report->lambda_max = cvxr_lambda_max(&f->core);
    report->descent_objective = f->search.descent_objective;
    report->rounds = f->search.rounds;
    report->flips = f->search.flips;
    report->iterations = f->search.iterations;
    return CVXRELU_OK;
}

static cvxrelu_stop cvxr_fit_solve(cvxr_fit *f, double lambda, double lambda_max) {
    cvxr_core *core = &f->core;
    if (f->plan.solver == CVXRELU_SOLVER_FISTA) {
        const cvxr_weights swap = f->weights;
        f->weights = f->start;
        f->start = swap;
    }
    if (f->searches && f->search.stop) { /* no time for more than what the search found */
        core->lambda = lambda;
        core->lam = lambda * core->units;
        core->stop = f->search.stop;
        cvxr_weights_take(&f->weights, &f->start);
        return core->stop;
    }
    core->lambda = lambda;
    core->lam = lambda * core->units;
    core->best_bound = 0;
    core->stop = CVXRELU_STOP_NONE;
    if (lambda > 0 && core->penalty->is_norm && lambda >= lambda_max) {
        f->weights.m = 0; /* the zero network, proven by theta = y */
        return CVXRELU_STOP_GAP;
    }
    if (lambda == 0 && core->penalty->is_norm && lambda_max == 0) {
        f->weights.m = 0; /* A^T y = 0: the least-squares solution of least norm */
        return CVXRELU_STOP_STATIONARY;
    }
    if (lambda == 0) return cvxr_least_squares(core, &f->weights);
    if (f->plan.solver == CVXRELU_SOLVER_NEWTON)
        return cvxr_newton_solve(core, &f->weights, &f->start, f->sigma);
    if (f->plan.solver == CVXRELU_SOLVER_AL)
        return cvxr_al_solve(core, &f->weights, &f->start);
    return cvxr_fista_solve(core, &f->weights);
}

/* Mean squared error over n c, or the share of wrong labels, on the training rows. */
static double cvxr_fit_train_error(cvxr_fit *f) {
    const cvxr_data *data = &f->data;
    const size_t n = data->n;
    double sum = 0, *z = f->core.z, *best = f->best, *right = f->best + n;
    size_t k, i, wrong = 0;
    for (k = 0; k < data->c; k++) {
        const double *y = data->Y + k * n;
        cvxr_rows rows = cvxr_weights_rows(&f->weights, k);
        cvxr_predict_rows(&f->core, &rows, z);
        sum += cvxr_sum_squares(n, z, y);
        for (i = 0; i < n; i++)
            if (k == 0 || z[i] > best[i]) {
                best[i] = z[i];
                right[i] = data->c == 1 ? (double)((z[i] > 0) == (y[i] > 0)) : y[i];
            }
    }
    if (data->classes == 0) return sum / f->core.units;
    for (i = 0; i < n; i++) wrong += right[i] != 1;
    return (double)wrong / (double)n;
}

static void cvxr_fit_report(cvxr_fit *f, cvxrelu_stop stop, cvxrelu_report *report) {
    cvxr_core *core = &f->core;
    cvxr_certificate check;
    report->passes = core->op.passes + core->op_work.passes + f->search.passes;
    report->flops = core->op.flops + core->op_work.flops + f->search.flops;
    cvxr_certify(core, &f->weights, &check);
    report->solver = f->plan.solver;
    report->scope = f->problem.search == CVXRELU_SEARCH_EXACT && f->thin == 0
                        ? CVXRELU_SCOPE_ALL
                        : CVXRELU_SCOPE_PATTERNS;
    report->n = f->data.n;
    report->d = f->data.d;
    report->c = f->data.c;
    report->patterns = f->patterns.count;
    report->near_ties = f->patterns.near_ties;
    report->lambda = core->lambda;
    report->objective = check.objective;
    report->has_bound = core->lambda > 0 || check.objective == 0;
    report->dual_bound = report->has_bound ? check.dual_bound : 0;
    report->gap = report->has_bound ? check.gap : 0;
    report->constraint_violation = check.violation;
    report->stationarity = check.stationarity;
    report->subgradient = check.subgradient;
    report->neurons = f->weights.m;
    if ((stop == CVXRELU_STOP_STALLED || stop == CVXRELU_STOP_ITERATIONS) && report->has_bound
        && check.gap <= f->opt.tol)
        stop = CVXRELU_STOP_GAP;
    if (stop == CVXRELU_STOP_GAP && check.gap > cvxr_max(f->opt.tol, 0))
        stop = CVXRELU_STOP_STALLED;
    report->stop = stop;
    report->tol = f->opt.tol;
    report->threads = f->opt.threads;
    report->train_error = cvxr_fit_train_error(f);
}

/* ---- Models from weights, weights from models. */

static cvxrelu_model *cvxr_fit_model(cvxr_fit *f, const cvxrelu_report *report) {
    const cvxr_weights *w = &f->weights;
    cvxrelu_problem problem = f->problem;
    cvxrelu_model *model = cvxr_model_new(&f->opt.allocator, f->data.d, f->data.features,
                                          f->data.c, w->m, f->patterns.count);
    size_t j;
    if (model == NULL) return NULL;
    for (j = 0; j < w->m; j++) {
        model->output[j] = w->output[j];
        model->pattern[j] = w->pattern[j];
        model->sign[j] = w->sign[j];
        memcpy(model->u + j * f->data.d, w->u + j * w->dp, f->data.d * sizeof(double));
    }
    problem.lambda = report->lambda;
    cvxr_model_adopt(model, &problem, &f->data, &f->patterns);
    model->info.objective = report->objective;
    model->info.has_bound = report->has_bound;
    model->info.dual_bound = report->dual_bound;
    model->info.gap = report->gap;
    return model;
}

/* Weights of an earlier model of the same patterns become f->start. */
static cvxrelu_result cvxr_fit_start(cvxr_fit *f, const cvxrelu_model *start, char *message) {
    size_t j;
    if (start == NULL) return CVXRELU_OK;
    if (start->info.kind != f->problem.kind)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "start is another kind of network than the problem's");
    if (start->d != f->data.d || start->info.outputs != f->data.c
        || start->info.patterns != f->patterns.count)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "start has %z columns, %z outputs and %z patterns, the "
                         "problem %z, %z and %z: it must come from the same data and gates",
                         start->d, start->info.outputs, start->info.patterns, f->data.d,
                         f->data.c, f->patterns.count);
    f->start.m = 0;
    for (j = 0; j < start->m && f->start.m < f->start.capacity; j++) {
        double *u = f->start.u + f->start.m * f->start.dp;
        const double *gate = start->gates ? start->gates + start->pattern[j] * start->d
                                          : start->g + j * start->d;
        if (memcmp(gate, f->patterns.gates + start->pattern[j] * start->d,
                   start->d * sizeof(double))
            != 0)
            return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                             "start was trained over other gates (neuron %z differs)", j);
        f->start.output[f->start.m] = start->output[j];
        f->start.sign[f->start.m] = start->sign[j];
        f->start.pattern[f->start.m++] = start->pattern[j];
        memset(u, 0, f->start.dp * sizeof(double));
        memcpy(u, start->u + j * start->d, start->d * sizeof(double));
    }
    return CVXRELU_OK;
}

/* ---- A run over strengths, shared by fit, path and cross-validation. */

/* What becomes of each solved strength; a result other than CVXRELU_OK ends the run. */
typedef struct cvxr_visitor {
    void *self;
    cvxrelu_result (*visit)(void *self, size_t i, cvxrelu_model *model,
                            const cvxrelu_report *report);
} cvxr_visitor;

/* Solve for `lambda` from f->start; the model goes to the visitor, which owns it from there. */
static cvxrelu_result cvxr_run_one(cvxr_fit *f, size_t i, double lambda, cvxrelu_report *report,
                                   const cvxr_visitor *visitor) {
    const double before = cvxr_seconds(&f->core);
    cvxrelu_model *model;
    cvxrelu_result result;
    cvxrelu_stop stop;
    f->core.report = report;
    f->core.op.passes = f->core.op.flops = 0;
    f->core.op_work.passes = f->core.op_work.flops = 0;
    if (f->searches) {
        result = cvxr_fit_search(f, lambda, report);
        if (result) return result;
    }
    stop = cvxr_fit_solve(f, lambda, report->lambda_max);
    result = cvxr_mem_result(&f->mem, report->message);
    if (result) return result;
    cvxr_fit_report(f, stop, report);
    model = cvxr_fit_model(f, report);
    if (model == NULL)
        return cvxr_fail(report->message, CVXRELU_ERR_MEMORY,
                         "no memory for a model of %z neurons", f->weights.m);
    report->peak_bytes = cvxr_max_z(f->mem.peak, f->mem.now + model->mem.peak);
    report->seconds = cvxr_seconds(&f->core) - before;
    return visitor->visit(visitor->self, i, model, report);
}

typedef struct cvxr_run {
    const cvxrelu_path_options
        *path; /* strengths; NULL: problem->lambda alone */
    const cvxrelu_model *start;
    cvxrelu_report *reports; /* `count` of them */
    size_t count;
    cvxr_visitor visitor;
} cvxr_run;

/* Strength i of the run, given lambda_max. */
static double cvxr_run_lambda(const cvxr_run *run, const cvxrelu_problem *problem,
                              double lambda_max, size_t i) {
    const cvxrelu_path_options *path = run->path;
    double ratio;
    if (path == NULL) return problem->lambda;
    if (path->lambdas) return path->lambdas[i];
    ratio = path->ratio > 0 ? path->ratio : 1e-4;
    if (run->count == 1) return lambda_max;
    return lambda_max * pow(ratio, (double)i / (double)(run->count - 1));
}

static int cvxr_run_has_zero(const cvxr_run *run, const cvxrelu_problem *problem) {
    size_t i;
    if (run->path == NULL) return problem != NULL && problem->lambda == 0;
    for (i = 0; run->path->lambdas && i < run->count; i++)
        if (run->path->lambdas[i] == 0) return 1;
    return 0;
}

static cvxrelu_result cvxr_run_all(const cvxr_run *run, const cvxrelu_problem *problem,
                                   const cvxrelu_options *options) {
    cvxr_fit f;
    double lambda_max;
    size_t i;
    int given;
    cvxrelu_result result =
        cvxr_fit_open(&f, problem, options, cvxr_run_has_zero(run, problem), run->reports);
    if (result) return result;
    given = f.opt.max_iters;
    if (problem->kind == CVXRELU_RELU && cvxr_run_has_zero(run, problem))
        result = cvxr_fail(run->reports->message, CVXRELU_ERR_UNSUPPORTED,
                           "lambda is 0: a ReLU network needs a strength above 0 "
                           "(cvxrelu_interpolate takes the limit)");
    if (!result && !f.searches)
        result = cvxr_fit_start(&f, run->start, run->reports->message);
    f.core.lam = 1;
    lambda_max = cvxr_lambda_max(&f.core);
    for (i = 0; i < run->count && !result; i++) {
        double lambda = cvxr_run_lambda(run, problem, lambda_max, i);
        cvxr_weights swap;
        f.opt.max_iters = given;
        if (given == 0)
            f.opt.max_iters =
                f.plan.solver == CVXRELU_SOLVER_AL                       ? CVXR_AL_TOTAL
                : f.plan.solver == CVXRELU_SOLVER_NEWTON && lambda > 0 ? CVXR_STEPS
                                                                       : 20000;
        run->reports[i].lambda_max = lambda_max;
        result = cvxr_run_one(&f, i, lambda, &run->reports[i], &run->visitor);
        if (result && i)
            memcpy(run->reports->message, run->reports[i].message, CVXRELU_MESSAGE_SIZE);
        swap = f.weights, f.weights = f.start, f.start = swap;
        if (run->reports[i].stop == CVXRELU_STOP_USER
            || run->reports[i].stop == CVXRELU_STOP_TIME)
            break;
    }
    cvxr_fit_close(&f);
    return result;
}

static cvxrelu_result cvxr_keep_model(void *self, size_t i, cvxrelu_model *model,
                                      const cvxrelu_report *report) {
    cvxrelu_model **models = (cvxrelu_model **)self;
    (void)report;
    if (models) models[i] = model;
    else cvxrelu_model_free(model);
    return CVXRELU_OK;
}

CVXRELU_API cvxrelu_result cvxrelu_fit(const cvxrelu_problem *problem,
                                       const cvxrelu_options *options,
                                       const cvxrelu_model *start, cvxrelu_model **model,
                                       cvxrelu_report *report) {
    cvxr_run run;
    if (report == NULL) return CVXRELU_ERR_ARGUMENT;
    memset(report, 0, sizeof *report);
    if (model == NULL) return cvxr_fail(report->message, CVXRELU_ERR_ARGUMENT, "model is NULL");
    *model = NULL;
    run.path = NULL;
    run.start = start;
    run.reports = report;
    run.count = 1;
    run.visitor.self = model;
    run.visitor.visit = cvxr_keep_model;
    return cvxr_run_all(&run, problem, options);
}

static cvxrelu_result cvxr_path_check(const cvxrelu_path_options *path, size_t *count,
                                      char *message) {
    size_t i;
    *count = path && path->count ? path->count : 20;
    if (path == NULL) return CVXRELU_OK;
    if (!cvxr_finite(path->ratio) || path->ratio < 0 || path->ratio >= 1)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "path.ratio is %g: it must be in (0, 1), or 0 for 1e-4", path->ratio);
    if (path->lambdas && path->count == 0)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "path.lambdas is set but path.count is 0");
    for (i = 0; path->lambdas && i < *count; i++)
        if (!cvxr_finite(path->lambdas[i]) || path->lambdas[i] < 0 || path->lambdas[i] > 1e150)
            return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                             "path.lambdas[%z] is %g: it must be in "
                             "[0, 1e150]",
                             i, path->lambdas[i]);
    return CVXRELU_OK;
}

CVXRELU_API cvxrelu_result cvxrelu_path(const cvxrelu_problem *problem,
                                        const cvxrelu_options *options,
                                        const cvxrelu_path_options *path,
                                        cvxrelu_model **models, cvxrelu_report *reports,
                                        char message[CVXRELU_MESSAGE_SIZE]) {
    static const cvxrelu_path_options defaults = { 0, 0, NULL, 0, 0, 0 };
    cvxr_run run;
    cvxrelu_result result;
    size_t i;
    if (reports == NULL) return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "reports is NULL");
    result = cvxr_path_check(path, &run.count, message);
    if (result) return result;
    memset(reports, 0, run.count * sizeof *reports);
    for (i = 0; models && i < run.count; i++) models[i] = NULL;
    run.path = path ? path : &defaults;
    if (problem && problem->penalty == CVXRELU_PENALTY_L2 && run.path->lambdas == NULL)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "the squared l2 penalty has no lambda_max: set path.lambdas");
    run.start = NULL;
    run.reports = reports;
    run.visitor.self = models;
    run.visitor.visit = cvxr_keep_model;
    result = cvxr_run_all(&run, problem, options);
    if (result && message) memcpy(message, reports->message, CVXRELU_MESSAGE_SIZE);
    for (i = 0; result && models && i < run.count; i++)
        cvxrelu_model_free(models[i]), models[i] = NULL;
    return result;
}

CVXRELU_API cvxrelu_result cvxrelu_lambda_max(const cvxrelu_problem *problem,
                                              const cvxrelu_options *options,
                                              double *lambda_max,
                                              char message[CVXRELU_MESSAGE_SIZE]) {
    cvxrelu_report report;
    cvxr_fit f;
    cvxrelu_result result;
    memset(&report, 0, sizeof report);
    if (lambda_max == NULL)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "lambda_max is NULL");
    result = cvxr_fit_open(&f, problem, options, 0, &report);
    if (result) {
        if (message) memcpy(message, report.message, CVXRELU_MESSAGE_SIZE);
        return result;
    }
    f.core.lam = 1;
    *lambda_max = cvxr_lambda_max(&f.core);
    cvxr_fit_close(&f);
    return CVXRELU_OK;
}

CVXRELU_API cvxrelu_result cvxrelu_fit_bytes(const cvxrelu_problem *problem,
                                             const cvxrelu_options *options, size_t *bytes,
                                             char message[CVXRELU_MESSAGE_SIZE]) {
    cvxrelu_options opt;
    cvxr_shape q;
    cvxr_plan plan;
    cvxrelu_result result;
    if (bytes == NULL) return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "bytes is NULL");
    *bytes = 0;
    result = cvxr_problem_check(problem, message);
    if (!result) result = cvxr_options_resolve(options, &opt, message);
    if (!result) result = cvxr_shape_make(problem, &opt, &q, message);
    if (result) return result;
    result = cvxr_plan_make(&q, problem, &opt, problem->lambda == 0, &plan, message);
    if (!result) *bytes = plan.bytes + CVXR_ALIGN;
    return result;
}

/* ---- Cross-validation. Targets are encoded once on all rows, so that every fold has the
   same outputs. */

typedef struct cvxr_folds {
    cvxr_mem mem;
    const cvxrelu_problem *problem;
    cvxr_data data;    /* of all rows: the encoded targets */
    size_t K, count;   /* folds, strengths */
    size_t *order;     /* a permutation of the rows; row order[j] is in fold j % K */
    double *X, *Y;     /* training rows of the fold at hand: n x features, n x c */
    double *row, *out; /* features; c */
    double *errors;    /* K x count */
    double started;    /* by the clock */
    cvxrelu_report *reports; /* count */
    size_t fold;
} cvxr_folds;

static void cvxr_folds_close(cvxr_folds *s) {
    const size_t n = s->data.n, c = s->data.c, features = s->data.features;
    cvxr_release(&s->mem, s->reports, s->count, sizeof *s->reports);
    cvxr_release(&s->mem, s->errors, s->K * s->count, sizeof(double));
    cvxr_release(&s->mem, s->out, c, sizeof(double));
    cvxr_release(&s->mem, s->row, features, sizeof(double));
    cvxr_release(&s->mem, s->Y, n * c, sizeof(double));
    cvxr_release(&s->mem, s->X, n * features, sizeof(double));
    cvxr_release(&s->mem, s->order, n, sizeof(size_t));
    cvxr_data_free(&s->mem, &s->data);
}

static cvxrelu_result cvxr_folds_open(cvxr_folds *s, const cvxrelu_problem *problem,
                                      size_t count, const cvxrelu_path_options *path,
                                      char *message) {
    cvxrelu_random random;
    cvxrelu_result result;
    size_t i, n, all;
    cvxrelu_problem plain = *problem;
    plain.centre_targets = 0; /* every fold centres its own */
    result = cvxr_data_make(&s->mem, &plain, &s->data, message);
    if (result) return result;
    n = s->data.n;
    s->count = count;
    s->K = path && path->folds ? path->folds : 5;
    s->problem = problem;
    if (s->K < 2 || s->K > n) {
        cvxr_data_free(&s->mem, &s->data);
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "path.folds is %z: it must be 2 to the number of rows, %z", s->K, n);
    }
    if (!cvxr_size_mul(s->K, count, &all)) all = SIZE_MAX;
    s->order = (size_t *)cvxr_alloc(&s->mem, n, sizeof(size_t));
    s->X = (double *)cvxr_alloc(&s->mem, n * s->data.features, sizeof(double));
    s->Y = (double *)cvxr_alloc(&s->mem, n * s->data.c, sizeof(double));
    s->row = (double *)cvxr_alloc(&s->mem, s->data.features, sizeof(double));
    s->out = (double *)cvxr_alloc(&s->mem, s->data.c, sizeof(double));
    s->errors = (double *)cvxr_alloc(&s->mem, all, sizeof(double));
    s->reports = (cvxrelu_report *)cvxr_alloc_zero(&s->mem, count, sizeof *s->reports);
    result = cvxr_mem_result(&s->mem, message);
    if (result) {
        cvxr_folds_close(s);
        return result;
    }
    cvxrelu_random_init(&random, path ? path->fold_seed : 0);
    for (i = 0; i < n; i++) s->order[i] = i;
    for (i = n; i > 1; i--) {
        size_t j = (size_t)cvxrelu_random_below(&random, i), swap = s->order[j];
        s->order[j] = s->order[i - 1];
        s->order[i - 1] = swap;
    }
    return CVXRELU_OK;
}

/* Is output row `out` wrong about row i (classes), or how far off is it (mean square)? */
static double cvxr_folds_loss(const cvxr_folds *s, size_t i) {
    const cvxr_data *data = &s->data;
    double sum = 0;
    size_t k, best = 0;
    if (data->classes == 2) return (s->out[0] > 0) != (data->Y[i] > 0);
    for (k = 0; k < data->c; k++) {
        double e = s->out[k] - data->Y[k * data->n + i];
        sum += e * e;
        if (s->out[k] > s->out[best]) best = k;
    }
    return data->classes ? data->Y[best * data->n + i] != 1 : sum / (double)data->c;
}

static cvxrelu_result cvxr_folds_visit(void *self, size_t at, cvxrelu_model *model,
                                       const cvxrelu_report *report) {
    cvxr_folds *s = (cvxr_folds *)self;
    size_t i, j, held = 0;
    double sum = 0;
    (void)report;
    for (i = s->fold; i < s->data.n; i += s->K, held++) {
        for (j = 0; j < s->data.features; j++)
            s->row[j] = cvxr_matrix_get(&s->problem->X, s->order[i], j);
        cvxrelu_model_predict(model, s->row, s->out);
        sum += cvxr_folds_loss(s, s->order[i]);
    }
    s->errors[s->fold * s->count + at] = sum / (double)held;
    cvxrelu_model_free(model);
    return CVXRELU_OK;
}

/* The caller's options with what is left of the memory and of the time; an error when
   nothing is. */
static cvxrelu_result cvxr_folds_rest(const cvxr_folds *s, const cvxrelu_options *options,
                                      cvxrelu_options *rest, char *message) {
    memset(rest, 0, sizeof *rest);
    if (options) *rest = *options;
    if (rest->memory_limit) {
        if (rest->memory_limit <= s->mem.now)
            return cvxr_fail(message, CVXRELU_ERR_LIMIT,
                             "memory_limit is %z bytes, the folds alone hold %z",
                             rest->memory_limit, s->mem.now);
        rest->memory_limit -= s->mem.now;
    }
    if (rest->time_limit > 0) {
        double left = rest->time_limit - (cvxr_now(&rest->clock) - s->started);
        if (left <= 0)
            return s->fold < s->K
                       ? cvxr_fail(message, CVXRELU_ERR_STOPPED,
                                   "time_limit of %g s ended in fold %z of %z: no strength "
                                   "was chosen",
                                   rest->time_limit, s->fold + 1, s->K)
                       : cvxr_fail(message, CVXRELU_ERR_STOPPED,
                                   "time_limit of %g s ended before the last fit; points and "
                                   "chosen are filled",
                                   rest->time_limit);
        rest->time_limit = left;
    }
    return CVXRELU_OK;
}

/* Searches of folds only choose a strength: they are shorter, unless the caller says how long
   they are to be. The fit of all rows at the strength chosen is in full. */
#define CVXR_FOLD_STEPS 1000
static void cvxr_folds_search(const cvxrelu_problem *problem, cvxrelu_options *o) {
    if (!cvxr_searches(problem)) return;
    if (o->tol == 0) o->tol = 1e-3;
    if (o->search.steps == 0) o->search.steps = CVXR_FOLD_STEPS;
    if (o->search.rounds == 0) o->search.rounds = 1;
}

/* Train on all folds but s->fold, over the whole path. */
static cvxrelu_result cvxr_folds_run(cvxr_folds *s, const cvxrelu_options *options,
                                     const cvxrelu_path_options *path, char *message) {
    const cvxr_data *data = &s->data;
    cvxrelu_problem part = *s->problem;
    cvxrelu_result result;
    cvxr_run run;
    size_t i, j, rows = 0;
    for (i = 0; i < data->n; i++) {
        if (i % s->K == s->fold) continue;
        for (j = 0; j < data->features; j++)
            s->X[rows * data->features + j] = cvxr_matrix_get(&s->problem->X, s->order[i], j);
        for (j = 0; j < data->c; j++)
            s->Y[rows * data->c + j] = data->Y[j * data->n + s->order[i]];
        rows++;
    }
    part.task = CVXRELU_TASK_REGRESSION;
    part.X.data = s->X, part.X.rows = rows, part.X.cols = part.X.stride = data->features;
    part.X.type = part.Y.type = CVXRELU_FLOAT64;
    part.Y.data = s->Y, part.Y.rows = rows, part.Y.cols = part.Y.stride = data->c;
    run.path = path;
    run.start = NULL;
    run.reports = s->reports;
    run.count = s->count;
    run.visitor.self = s;
    run.visitor.visit = cvxr_folds_visit;
    memset(s->reports, 0, s->count * sizeof *s->reports);
    result = cvxr_run_all(&run, &part, options);
    if (result && message) memcpy(message, s->reports->message, CVXRELU_MESSAGE_SIZE);
    return result;
}

/* Means and standard errors over folds; the index of the choice. */
static size_t cvxr_folds_choose(const cvxr_folds *s, const cvxrelu_path_options *path,
                                const double *lambdas, cvxrelu_cv_point *points) {
    const double K = (double)s->K;
    size_t i, k, best = 0, chosen;
    for (i = 0; i < s->count; i++) {
        double mean = 0, var = 0;
        for (k = 0; k < s->K; k++) mean += s->errors[k * s->count + i] / K;
        for (k = 0; k < s->K; k++) {
            double e = s->errors[k * s->count + i] - mean;
            var += e * e / (K - 1);
        }
        points[i].lambda = lambdas[i];
        points[i].error = mean;
        points[i].deviation = sqrt(var / K);
        if (mean < points[best].error
            || (mean == points[best].error && lambdas[i] > lambdas[best]))
            best = i;
    }
    chosen = best;
    for (i = 0; path && path->one_standard_error && i < s->count; i++)
        if (points[i].error <= points[best].error + points[best].deviation
            && lambdas[i] > lambdas[chosen])
            chosen = i;
    return chosen;
}

/* Every fold over the same strengths; points and *chosen are filled when all went well. */
static cvxrelu_result cvxr_folds_all(cvxr_folds *s, const cvxrelu_problem *problem,
                                     const cvxrelu_options *options,
                                     const cvxrelu_path_options *path, cvxrelu_cv_point *points,
                                     size_t *chosen, char *message) {
    cvxrelu_path_options same;
    cvxrelu_options left;
    cvxr_run grid;
    double *lambdas = (double *)cvxr_alloc(&s->mem, s->count, sizeof(double)), top = 0;
    cvxrelu_result result = cvxr_mem_result(&s->mem, message);
    size_t i;
    memset(&same, 0, sizeof same);
    if (path) same = *path;
    s->fold = 0;
    if (!result) result = cvxr_folds_rest(s, options, &left, message);
    if (!result && same.lambdas == NULL)
        result = cvxrelu_lambda_max(problem, &left, &top, message);
    if (!result && same.lambdas == NULL && top == 0 && problem->penalty == CVXRELU_PENALTY_L2)
        result = cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                           "the squared l2 penalty has no lambda_max: set path.lambdas");
    grid.path = &same;
    grid.count = s->count;
    for (i = 0; i < s->count && !result; i++)
        lambdas[i] = cvxr_run_lambda(&grid, problem, top, i);
    same.lambdas = lambdas;
    for (s->fold = 0; s->fold < s->K && !result; s->fold++) {
        cvxrelu_options rest;
        result = cvxr_folds_rest(s, options, &rest, message);
        cvxr_folds_search(problem, &rest);
        if (!result) result = cvxr_folds_run(s, &rest, &same, message);
        i = s->count - 1;
        if (!result
            && (s->reports[i].stop == CVXRELU_STOP_NONE
                || s->reports[i].stop == CVXRELU_STOP_USER
                || s->reports[i].stop == CVXRELU_STOP_TIME))
            result = cvxr_fail(message, CVXRELU_ERR_STOPPED,
                               "cross-validation was stopped in fold %z of %z: no "
                               "strength was chosen",
                               s->fold + 1, s->K);
    }
    if (!result) *chosen = cvxr_folds_choose(s, &same, lambdas, points);
    cvxr_release(&s->mem, lambdas, s->count, sizeof(double));
    return result;
}

CVXRELU_API cvxrelu_result cvxrelu_cross_validate(const cvxrelu_problem *problem,
                                                  const cvxrelu_options *options,
                                                  const cvxrelu_path_options *path,
                                                  cvxrelu_cv_point *points, size_t *chosen,
                                                  cvxrelu_model **model,
                                                  cvxrelu_report *report) {
    cvxr_folds s;
    cvxrelu_options opt;
    cvxrelu_problem final;
    cvxrelu_result result;
    size_t count;
    if (report == NULL) return CVXRELU_ERR_ARGUMENT;
    memset(report, 0, sizeof *report);
    if (model) *model = NULL;
    if (points == NULL || chosen == NULL || model == NULL)
        return cvxr_fail(report->message, CVXRELU_ERR_ARGUMENT,
                         "points, chosen or model is NULL");
    memset(&s, 0, sizeof s);
    result = cvxr_path_check(path, &count, report->message);
    if (!result) result = cvxr_problem_check(problem, report->message);
    if (!result) result = cvxr_options_resolve(options, &opt, report->message);
    if (result) return result;
    cvxr_mem_init(&s.mem, &opt.allocator, opt.memory_limit);
    s.started = cvxr_now(&opt.clock);
    result = cvxr_folds_open(&s, problem, count, path, report->message);
    if (result) return result;
    result = cvxr_folds_all(&s, problem, options, path, points, chosen, report->message);
    cvxr_folds_close(&s);
    if (!result) result = cvxr_folds_rest(&s, options, &opt, report->message);
    if (result) return result;
    final = *problem;
    final.lambda = points[*chosen].lambda;
    return cvxrelu_fit(&final, &opt, NULL, model, report);
}

/* ---- Decomposition of a gated model (S16) over its own data and patterns. */

/* The problem that the model answers, with its data and patterns, in f. */
static cvxrelu_result cvxr_decompose_problem(cvxr_fit *f, const cvxrelu_model *gated,
                                             const cvxrelu_matrix *X, const cvxrelu_matrix *Y,
                                             char *message) {
    const cvxrelu_model_info *info = &gated->info;
    cvxrelu_problem *p = &f->problem;
    if (info->kind != CVXRELU_GATED || info->penalty != CVXRELU_PENALTY_NEURON)
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED,
                         "a decomposition takes a gated model of the neuron penalty");
    if (!info->has_recipe
        || (gated->recipe.sampler == CVXRELU_SAMPLER_GIVEN && gated->gates == NULL))
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED, "the model lacks its gates");
    if (X->cols != info->features || X->rows != info->rows)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "X is %z x %z, the model was trained on %z x %z", X->rows, X->cols,
                         info->rows, info->features);
    p->X = *X;
    p->Y = *Y;
    p->lambda = info->lambda;
    p->kind = CVXRELU_GATED; /* until its weights are loaded */
    p->search = CVXRELU_SEARCH_OFF;
    p->task = info->task;
    p->loss = info->loss;
    p->penalty = info->penalty;
    p->scale = info->scale;
    p->no_bias = !info->has_bias;
    p->gates = gated->recipe;
    if (p->gates.sampler == CVXRELU_SAMPLER_GIVEN) {
        p->gates.given.data = gated->gates;
        p->gates.given.rows = gated->gate_count;
        p->gates.given.cols = gated->d;
        p->gates.given_scaled = 1;
    }
    return CVXRELU_OK;
}

/* Data and patterns, the targets shifted as the model's were. */
static cvxrelu_result cvxr_decompose_data(cvxr_fit *f, const cvxrelu_model *gated,
                                          char *message) {
    cvxr_data *data = &f->data;
    cvxrelu_result result = cvxr_data_make(&f->mem, &f->problem, data, message);
    size_t i, k;
    if (result) return result;
    if (data->c != gated->info.outputs || data->classes != gated->info.classes)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "Y has %z outputs or %z classes, the model %z and %z", data->c,
                         data->classes, gated->info.outputs, gated->info.classes);
    if (memcmp(data->shift, gated->shift, data->d * sizeof(double)) != 0
        || memcmp(data->scales, gated->scales, data->d * sizeof(double)) != 0)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "X is not the data that the model was trained on: its columns have "
                         "another mean or length");
    for (k = 0; k < data->c; k++)
        for (i = 0; i < data->n; i++) data->Y[k * data->n + i] -= gated->y_shift[k];
    memcpy(data->y_shift, gated->y_shift, data->c * sizeof(double));
    return cvxr_patterns_make(&f->mem, data, &f->problem.gates, &f->patterns, message);
}

/* The workspace, and the gated weights in f->start. */
static cvxrelu_result cvxr_decompose_open(cvxr_fit *f, const cvxrelu_model *gated,
                                          cvxrelu_report *report) {
    cvxrelu_result result;
    cvxr_fit_core(f, report);
    f->core.kind = CVXRELU_RELU;
    f->core.lambda = gated->info.lambda;
    f->core.lam = f->core.lambda * f->core.units;
    f->open = 1;
    cvxr_core_open(&f->core);
    cvxr_weights_open(&f->mem, &f->weights, 2 * gated->m, f->data.dp);
    cvxr_weights_open(&f->mem, &f->start, gated->m, f->data.dp);
    f->sigma = (double *)cvxr_alloc_zero(&f->mem, f->data.c, sizeof(double));
    f->best = (double *)cvxr_alloc(&f->mem, 2 * f->data.n, sizeof(double));
    result = cvxr_mem_result(&f->mem, report->message);
    if (!result) result = cvxr_fit_start(f, gated, report->message);
    f->problem.kind = CVXRELU_RELU;
    return result;
}

static cvxrelu_result cvxr_decompose_model(cvxr_fit *f, cvxrelu_model **relu,
                                           cvxrelu_report *report,
                                           cvxrelu_decompose_report *about) {
    cvxrelu_result result = cvxr_decompose_all(&f->core, &f->patterns, &f->start, &f->weights,
                                               about, report->message);
    if (result) return result;
    if (about->merged) f->problem.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    cvxr_fit_report(f, CVXRELU_STOP_NONE, report);
    *relu = cvxr_fit_model(f, report);
    if (*relu == NULL)
        return cvxr_fail(report->message, CVXRELU_ERR_MEMORY,
                         "no memory for a model of %z neurons", f->weights.m);
    report->peak_bytes = cvxr_max_z(f->mem.peak, f->mem.now + (*relu)->mem.peak);
    report->seconds = cvxr_seconds(&f->core);
    return CVXRELU_OK;
}

static cvxrelu_result cvxr_decompose_check(const cvxrelu_model *gated,
                                           cvxrelu_decomposition kind, double rho,
                                           char *message) {
    if (gated == NULL) return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "gated is NULL");
    if ((int)kind < 0 || kind > CVXRELU_DECOMPOSE_CLOSED_FORM)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "kind is %d: not a decomposition",
                         (int)kind);
    if (!cvxr_finite(rho) || rho < 0)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "rho is %g: it must be above 0, or 0 for 1e-10", rho);
    return CVXRELU_OK;
}

CVXRELU_API cvxrelu_result cvxrelu_decompose(const cvxrelu_model *gated, cvxrelu_matrix X,
                                             cvxrelu_matrix Y, cvxrelu_decomposition kind,
                                             double rho, const cvxrelu_options *options,
                                             cvxrelu_model **relu, cvxrelu_report *report,
                                             cvxrelu_decompose_report *about) {
    cvxrelu_decompose_report own;
    cvxrelu_result result;
    cvxr_fit f;
    if (about == NULL) about = &own;
    memset(about, 0, sizeof *about);
    if (relu) *relu = NULL;
    if (report == NULL) return CVXRELU_ERR_ARGUMENT;
    memset(report, 0, sizeof *report);
    memset(&f, 0, sizeof f);
    if (relu == NULL) return cvxr_fail(report->message, CVXRELU_ERR_ARGUMENT, "relu is NULL");
    result = cvxr_decompose_check(gated, kind, rho, report->message);
    if (!result) result = cvxr_options_resolve(options, &f.opt, report->message);
    if (result) return result;
    about->kind = kind;
    if (kind == CVXRELU_DECOMPOSE_APPROXIMATE) about->rho = rho > 0 ? rho : 1e-10;
    cvxr_mem_init(&f.mem, &f.opt.allocator, f.opt.memory_limit);
    f.core.opt = &f.opt;
    f.core.started = cvxr_now(&f.opt.clock);
    result = cvxr_decompose_problem(&f, gated, &X, &Y, report->message);
    if (!result) result = cvxr_decompose_data(&f, gated, report->message);
    if (!result) result = cvxr_decompose_open(&f, gated, report);
    if (!result) result = cvxr_decompose_model(&f, relu, report, about);
    cvxr_fit_close(&f);
    if (result) memset(about, 0, sizeof *about);
    return result;
}
/* ---- Descent as a call of its own (goes after cvxrelu_fit in S22). */

static cvxrelu_result cvxr_descend_plan(const cvxrelu_descend_options *given, size_t n,
                                        double lambda, cvxr_descent_plan *plan,
                                        char *message) {
    static const cvxr_update updates[3] = { CVXR_UPDATE_ADAM, CVXR_UPDATE_SGD,
                                            CVXR_UPDATE_ADAGRAD };
    static const cvxr_schedule schedules[3] = { CVXR_SCHEDULE_HALVE, CVXR_SCHEDULE_CONSTANT,
                                                CVXR_SCHEDULE_COSINE };
    cvxrelu_descend_options o;
    memset(&o, 0, sizeof o);
    if (given) o = *given;
    if ((int)o.method < 0 || (int)o.method > 2 || (int)o.schedule < 0 || (int)o.schedule > 2)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "descend.method is %d, schedule %d: they are 0 to 2", (int)o.method,
                         (int)o.schedule);
    if (o.epochs < 0 || o.halve_every < 0)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "descend.epochs is %d, halve_every %d: 0 means the default", o.epochs,
                         o.halve_every);
    if (!cvxr_finite(o.step_size) || o.step_size < 0)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "descend.step_size is %g: it must be 0 or more", o.step_size);
    if (!cvxr_finite(o.momentum) || o.momentum >= 1 || !cvxr_finite(o.beta2) || o.beta2 < 0
        || o.beta2 >= 1)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "descend.momentum is %g, beta2 %g: they must be below 1", o.momentum,
                         o.beta2);
    memset(plan, 0, sizeof *plan);
    plan->update = updates[o.method];
    plan->schedule = schedules[o.schedule];
    plan->width = o.width ? o.width : 1000;
    plan->batch = o.batch ? cvxr_min_z(o.batch, n) : n;
    plan->epochs = o.epochs ? o.epochs : 2000;
    plan->halve_every = o.halve_every ? o.halve_every : 400;
    plan->step_size = o.step_size > 0                      ? o.step_size
                      : o.method == CVXRELU_DESCEND_SGD ? 1
                                                           : 0.01;
    plan->lambda = lambda;
    plan->b1 = o.momentum < 0 ? 0 : o.momentum > 0 ? o.momentum : 0.9;
    plan->b2 = o.beta2 > 0 ? o.beta2 : 0.999;
    plan->seed = o.seed;
    return CVXRELU_OK;
}

/* The neurons of output k, one after the other: each has its own pattern, carried by itself. 0
   when they are not finite. */
static int cvxr_descend_gather(cvxr_fit *f, const cvxr_descent *descent, size_t k,
                                cvxr_weights *net) {
    const size_t n = f->data.n, dp = f->data.dp;
    cvxr_patterns *set = &f->patterns;
    size_t i, j, q;
    for (j = 0; j < descent->m; j++) {
        double *u = net->u + net->m * dp, *gate = set->gates + set->count * set->d;
        const int sign = cvxr_descent_neuron(descent, j, u, dp);
        uint64_t *bits = set->bits + set->count * set->words;
        for (q = 0; q < dp; q++)
            if (!cvxr_finite(u[q])) return 0;
        if (sign == 0) continue;
        memcpy(gate, u, set->d * sizeof(double));
        memset(bits, 0, set->words * sizeof(uint64_t));
        for (i = 0; i < n; i++)
            if (cvxr_dot_f64(dp, f->data.X + i * dp, u) >= 0)
                bits[i / 64] |= (uint64_t)1 << i % 64;
        for (q = 0; sign < 0 && q < dp; q++) u[q] = -u[q];
        net->output[net->m] = k;
        net->sign[net->m] = (signed char)sign;
        net->pattern[net->m++] = set->count++;
    }
    return 1;
}

/* All outputs, into f->patterns and net. */
static cvxrelu_result cvxr_descend_run(cvxr_fit *f, const cvxr_descent_plan *plan,
                                       cvxr_weights *net, cvxrelu_report *report) {
    const size_t all = f->data.c * plan->width;
    cvxr_descent descent;
    size_t k;
    int finite = 1;
    memset(net, 0, sizeof *net);
    cvxr_patterns_room(&f->mem, &f->data, all, &f->patterns);
    cvxr_weights_open(&f->mem, net, all, f->data.dp);
    cvxr_descent_open(&descent, &f->mem, &f->data, &f->opt, plan->width, plan->batch);
    for (k = 0; k < f->data.c && !f->mem.failed && !f->core.stop; k++) {
        cvxr_descent_run(&descent, plan, f->data.Y + k * f->data.n, &f->core);
        report->iterations +=
            (int)cvxr_min_z(descent.steps, 0x7fffffff - (size_t)report->iterations);
        finite = cvxr_descend_gather(f, &descent, k, net) && finite;
    }
    cvxr_descent_close(&descent);
    if (f->mem.failed) return cvxr_mem_result(&f->mem, report->message);
    if (!finite)
        return cvxr_fail(report->message, CVXRELU_ERR_NUMERIC,
                         "the descent diverged: take a smaller descend.step_size than %g",
                         plan->step_size);
    if (f->patterns.count == 0) { /* no neuron is left: any pattern will do */
        memset(f->patterns.bits, 0, f->patterns.words * sizeof(uint64_t));
        memset(f->patterns.gates, 0, f->patterns.d * sizeof(double));
        f->patterns.count = 1;
    }
    return CVXRELU_OK;
}

static cvxrelu_result cvxr_descend_open(cvxr_fit *f, const cvxrelu_problem *problem,
                                        const cvxrelu_options *options, char *message) {
    cvxrelu_result result = cvxr_problem_check(problem, message);
    memset(f, 0, sizeof *f);
    if (!result) result = cvxr_options_resolve(options, &f->opt, message);
    if (result) return result;
    if (problem->kind != CVXRELU_RELU || !(problem->lambda > 0))
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED,
                         "the descent trains ReLU networks (kind RELU) at a lambda above 0");
    f->problem = *problem;
    f->problem.search = CVXRELU_SEARCH_OFF;
    cvxr_mem_init(&f->mem, &f->opt.allocator, f->opt.memory_limit);
    return cvxr_data_make(&f->mem, problem, &f->data, message);
}

static cvxrelu_result cvxr_descend_finish(cvxr_fit *f, cvxr_weights *net, double started,
                                          cvxrelu_model **model, cvxrelu_report *report) {
    const cvxrelu_stop stop = f->core.stop ? f->core.stop : CVXRELU_STOP_ITERATIONS;
    cvxrelu_result result;
    f->plan.solver = CVXRELU_SOLVER_AUTO;
    f->plan.capacity = 1;
    f->plan.max_factor = f->opt.max_factor;
    result = cvxr_fit_open_solver(f, report);
    if (result) return result;
    cvxr_weights_close(&f->mem, &f->weights);
    f->weights = *net;
    memset(net, 0, sizeof *net);
    f->core.lambda = f->problem.lambda;
    f->core.lam = f->core.lambda * f->core.units;
    cvxr_fit_report(f, stop, report);
    report->stop = stop;
    *model = cvxr_fit_model(f, report);
    if (*model == NULL)
        return cvxr_fail(report->message, CVXRELU_ERR_MEMORY,
                         "no memory for a model of %z neurons", f->weights.m);
    report->peak_bytes = cvxr_max_z(f->mem.peak, f->mem.now + (*model)->mem.peak);
    report->seconds = cvxr_now(&f->opt.clock) - started;
    return CVXRELU_OK;
}

CVXRELU_API cvxrelu_result cvxrelu_descend(const cvxrelu_problem *problem,
                                           const cvxrelu_options *options,
                                           const cvxrelu_descend_options *descend,
                                           cvxrelu_model **model, cvxrelu_report *report) {
    cvxr_descent_plan plan;
    cvxr_weights net;
    cvxr_fit f;
    double started;
    cvxrelu_result result;
    if (report == NULL) return CVXRELU_ERR_ARGUMENT;
    memset(report, 0, sizeof *report);
    if (model == NULL)
        return cvxr_fail(report->message, CVXRELU_ERR_ARGUMENT, "model is NULL");
    *model = NULL;
    result = cvxr_descend_open(&f, problem, options, report->message);
    if (result) return result;
    started = cvxr_now(&f.opt.clock);
    f.core.opt = &f.opt;
    f.core.started = started;
    f.core.lambda = problem->lambda;
    memset(&net, 0, sizeof net);
    memset(&plan, 0, sizeof plan);
    result = cvxr_descend_plan(descend, f.data.n, problem->lambda, &plan, report->message);
    if (!result) result = cvxr_descend_run(&f, &plan, &net, report);
    if (!result) result = cvxr_descend_finish(&f, &net, started, model, report);
    cvxr_weights_close(&f.mem, &net);
    cvxr_fit_close(&f);
    return result;
}
/* ==== S23 CERTIFY ========================================================================
   How far a given network is from the optimum of its training problem, over all patterns: its
   objective, and a dual point theta with a proven B >= M(theta) (S20). One output at a time:

       patterns: the network's own and some random ones
       repeat:   solve the convex program over them (cvxrelu_fit); theta = its residual
                 M_ok = the largest M(theta) that would prove the program's value to tol
                 local ascent of +-theta'(Xu)_+; maxima above L become patterns
                 where no maximum is above M_ok: separate, i.e. prove M(theta) <= M_ok or find
                 a u above it, a new pattern; both signs proven: done

   Separation is by one of the methods of S20, or over all cells of S19 with the projections of
   S11. MOMENTS brings its own theta instead: after the programs, whose last network it starts
   from, the relaxation of S20 runs on X itself. Where the rank is small everything else is done
   in coordinates of the rows' span, scaled to columns of about unit length, which changes
   neither outputs nor norms.
   Under plain weight decay c > 1 outputs are tied together [SEPP21]: theta is the network's
   residual then, and |theta_k'(Xu)_+| <= B_k gives ||Theta'(Xu)_+|| <= sqrt(sum_k B_k^2).
   Last come networks of least norm that interpolate, lambda -> 0, with the bound of the neural
   gauge on that norm: at the solution y'theta/L = sum ||v|| + ||theta||^2/L, theta -> 0 like L.
   Uses S02 to S07, S11, S17, S19, S20, S22. Tests: tests/test_s23_certify.c.
   Source: the dual of [PE20 (8)], [PE20 (6), (7)]; [MSP22 A.1] for the l1 penalty; the loop is
   ours.                                                                                      */

/* ---- The network in the solver's coordinates --------------------------------------------- */

/* Outputs are sum_j C_kj (x.v_j)_+. */
typedef struct cvxr_judged {
    size_t m, c, dp;
    double *V;                 /* m x dp                                                      */
    double *C;                 /* c x m                                                       */
} cvxr_judged;

static void cvxr_judged_close(cvxr_judged *net, cvxr_mem *mem) {
    cvxr_release(mem, net->V, net->m * net->dp, sizeof(double));
    cvxr_release(mem, net->C, net->m * net->c, sizeof(double));
    memset(net, 0, sizeof *net);
}

static int cvxr_judged_open(cvxr_judged *net, cvxr_mem *mem, size_t m, size_t c, size_t dp) {
    size_t room, all;
    memset(net, 0, sizeof *net);
    if (!cvxr_size_mul(m, dp, &room)) room = SIZE_MAX;
    if (!cvxr_size_mul(m, c, &all)) all = SIZE_MAX;
    net->V = (double *)cvxr_alloc_zero(mem, room, sizeof(double));
    net->C = (double *)cvxr_alloc_zero(mem, all, sizeof(double));
    net->m = m;
    net->c = c;
    net->dp = dp;
    return !mem->failed;
}

/* A matrix of the network: rows x cols when it is there. */
static cvxrelu_result cvxr_network_matrix(const cvxrelu_matrix *a, const char *name,
                                          size_t rows, size_t cols, char *message) {
    cvxrelu_result result = cvxr_matrix_check(a, name, message);
    if (result) return result;
    if (a->rows != rows || a->cols != cols)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "%s is %z x %z: it must be %z x %z",
                         name, a->rows, a->cols, rows, cols);
    return cvxr_matrix_scan(a, name, "row", 1e150, message);
}

static cvxrelu_result cvxr_network_check(const cvxrelu_network *w, const cvxr_data *data,
                                         char *message) {
    size_t m = w->W1.data ? w->W1.rows : 0, wide = w->W1.cols;
    cvxrelu_result result = CVXRELU_OK;
    if (w->W1.data == NULL && (w->W2.data || w->b1.data))
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "network.W1.data is NULL");
    if (m && wide != data->features && wide != data->features + 1)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "network.W1 has %z columns: X has %z, "
                         "and one more is the bias", wide, data->features);
    if (m && !data->has_bias && (w->b1.data || wide > data->features))
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "the network has a bias, but problem.no_bias is set");
    if (m && w->b1.data && wide > data->features)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "network.b1 and a bias column in W1");
    if (m) result = cvxr_network_matrix(&w->W1, "network.W1", m, wide, message);
    if (!result && m) result = cvxr_network_matrix(&w->W2, "network.W2", data->c, m, message);
    if (!result && w->b1.data)
        result = cvxr_network_matrix(&w->b1, "network.b1", m, 1, message);
    if (!result && w->b2.data)
        result = cvxr_network_matrix(&w->b2, "network.b2", data->c, 1, message);
    return result;
}

/* w.x + b = sum_j (w_j scale_j) x^_j + (b + sum_j w_j shift_j) scale_b x^_b */
static void cvxr_network_take(const cvxrelu_network *w, const cvxr_data *data,
                              cvxr_judged *net) {
    size_t i, j, k, f = data->features;
    for (i = 0; i < net->m; i++) {
        double *v = net->V + i * net->dp, bias = 0;
        if (w->b1.data) bias = cvxr_matrix_get(&w->b1, i, 0);
        else if (w->W1.cols > f) bias = cvxr_matrix_get(&w->W1, i, f);
        for (j = 0; j < f; j++) {
            double value = cvxr_matrix_get(&w->W1, i, j);
            v[j] = value * data->scales[j];
            bias += value * data->shift[j];
        }
        if (data->has_bias) v[f] = bias * data->scales[f];
        for (k = 0; k < net->c; k++) net->C[k * net->m + i] = cvxr_matrix_get(&w->W2, k, i);
    }
}

/* resid (c x n) = Y - outputs. */
static void cvxr_judged_residual(const cvxr_judged *net, const cvxr_data *data, double *resid) {
    size_t i, j, k, n = data->n;
    memcpy(resid, data->Y, data->c * n * sizeof(double));
    for (i = 0; i < n; i++)
        for (j = 0; j < net->m; j++) {
            double z = cvxr_short_dot(data->d, data->X + i * data->dp, net->V + j * net->dp);
            if (z <= 0) continue;
            for (k = 0; k < net->c; k++) resid[k * n + i] -= z * net->C[k * net->m + j];
        }
}

/* sum_j of ||v_j||^2/2 + |C_j|^2/2 as it is, and ||v_j|| |C_j|; |C_j| the 2-norm or the 1-norm.
   Only output k where k < c. */
static double cvxr_judged_penalty(const cvxr_judged *net, int l1, size_t only,
                                  double *balanced) {
    double given = 0, product = 0;
    size_t j, k;
    for (j = 0; j < net->m; j++) {
        double v = cvxr_norm2_f64(net->dp, net->V + j * net->dp), a = 0;
        for (k = 0; k < net->c; k++) {
            double value = fabs(net->C[k * net->m + j]);
            if (only < net->c && k != only) continue;
            a = l1 ? a + value : hypot(a, value);
        }
        given += v * v / 2 + a * a / 2;
        product += v * a;
    }
    *balanced = product;
    return given;
}

/* ---- A certification at work ------------------------------------------------------------- */

typedef struct cvxr_sieve {
    cvxr_mem mem;
    cvxrelu_options opt;
    cvxrelu_certify_options how;   /* resolved                                                */
    cvxr_data data;
    cvxr_judged net;
    double lambda, L, started;
    int l1;                        /* penalty per output                                      */
    cvxrelu_certify_method method;
    cvxr_la la;
    cvxr_span span;                /* rank 0 with span.complete = 0: above what was asked     */
    cvxr_data flat;                /* rows of the programs: n x q, of the span or X itself;
                                      only n, d, dp, X are set, X is divided by `unit`        */
    double unit;
    double *gates;                 /* capacity x q: the patterns of the programs              */
    uint64_t *bits;                /* capacity x words                                        */
    size_t count, capacity, words;
    double *resid, *theta;         /* c x n each: the network's; the proof's, scaled          */
    double *point, *w;             /* n each: theta of the round, weights of one sign         */
    double *U, *value, *work;      /* starts x q, starts, 4 dp of flat                        */
    double *angle;                 /* 2 n                                                     */
    size_t *order;                 /* 2 n                                                     */
    cvxr_patterns all;             /* ENUMERATE: over flat                                    */
    cvxr_cone cone;
    cvxr_face face;
    double *face_gamma;
    uint32_t *face_rows;
    double *norms;                 /* n: of flat's rows                                       */
    int cone_open;
    size_t nodes_left;
    double *extra;                 /* MOMENTS: c x 2 x packed, multipliers that prove theta   */
    size_t packed;
    double *start, *outer;         /* MOMENTS: neurons of the best program of the output      */
    size_t started_with, start_room;
    int user_stop;
    double watched;                /* the best value of that output, sum units                */
    cvxrelu_certify_report *report;
} cvxr_sieve;

/* Methods that separate by the weighted bound. */
static int cvxr_sieve_loose(const cvxr_sieve *s) {
    return s->method == CVXRELU_CERTIFY_WEIGHTED || s->method == CVXRELU_CERTIFY_MOMENTS;
}

static void cvxr_sieve_forget(cvxr_sieve *s) {
    cvxr_release(&s->mem, s->start, s->start_room * (s->data.dp + 1), sizeof(double));
    s->start = s->outer = NULL;
    s->start_room = s->started_with = 0;
}

static void cvxr_sieve_close(cvxr_sieve *s) {
    size_t n = s->data.n, q = s->flat.d;
    if (s->cone_open) cvxr_cone_close(&s->cone, &s->mem);
    cvxr_sieve_forget(s);
    cvxr_release(&s->mem, s->extra, 2 * s->data.c * s->packed, sizeof(double));
    cvxr_release(&s->mem, s->norms, n, sizeof(double));
    cvxr_release(&s->mem, s->face_rows, q, sizeof(uint32_t));
    cvxr_release(&s->mem, s->face_gamma, q, sizeof(double));
    cvxr_patterns_free(&s->mem, &s->all);
    cvxr_release(&s->mem, s->order, 2 * n, sizeof(size_t));
    cvxr_release(&s->mem, s->angle, 2 * n, sizeof(double));
    cvxr_release(&s->mem, s->U, s->how.starts * (q + 1) + 4 * s->flat.dp, sizeof(double));
    cvxr_release(&s->mem, s->resid, 2 * n * (s->data.c + 1), sizeof(double));
    cvxr_release(&s->mem, s->bits, s->capacity * s->words, sizeof(uint64_t));
    cvxr_release(&s->mem, s->gates, s->capacity * q, sizeof(double));
    cvxr_release(&s->mem, s->flat.X, n * s->flat.dp, sizeof(double));
    if (s->span.V) cvxr_span_close(&s->span, &s->mem);
    cvxr_release(&s->mem, s->la.work, 1, cvxr_la_work_bytes(s->opt.threads));
    cvxr_judged_close(&s->net, &s->mem);
    cvxr_data_free(&s->mem, &s->data);
}

static cvxrelu_result cvxr_certify_check(const cvxrelu_certify_options *given,
                                         cvxrelu_certify_options *o, char *message) {
    memset(o, 0, sizeof *o);
    if (given) *o = *given;
    if ((int)o->method < 0 || o->method > CVXRELU_CERTIFY_MOMENTS)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "method is %d: not a way to certify",
                         (int)o->method);
    if (!cvxr_finite(o->tol) || (o->tol != 0 && o->tol < 1e-9) || o->tol >= 1)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "tol is %g: it must be in [1e-9, 1), or 0 for 0.01", o->tol);
    if (o->max_rank > CVXR_WEDGE_RANK)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "max_rank is %z: it is at most %d",
                         o->max_rank, CVXR_WEDGE_RANK);
    if (o->iterations < 0)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "iterations is %d: it must be 0 (300) "
                         "or more", o->iterations);
    if (o->starts > 4096 || o->patterns > 65536)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "starts is at most 4096, patterns at most 65536");
    if (o->tol == 0) o->tol = 0.01;
    if (o->max_rank == 0) o->max_rank = 5;
    if (o->nodes == 0) o->nodes = 2000000;
    if (o->cone_bytes == 0) o->cone_bytes = (size_t)1 << 28;
    if (o->starts == 0) o->starts = 64;
    if (o->iterations == 0) o->iterations = 300;
    if (o->patterns == 0) o->patterns = 10;
    return CVXRELU_OK;
}

/* Everything but the network: data, in the scaling of the problem (AUTO: none). */
static cvxrelu_result cvxr_sieve_data(cvxr_sieve *s, const cvxrelu_problem *problem,
                                      char *message) {
    cvxrelu_problem p = *problem;
    p.centre_targets = 0;
    if (p.scale == CVXRELU_SCALE_AUTO) p.scale = CVXRELU_SCALE_NONE;
    if (!cvxr_finite(p.lambda) || p.lambda < 0 || p.lambda > 1e150)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "lambda is %g: it must be in (0, 1e150]", p.lambda);
    if (p.lambda == 0 || p.penalty != CVXRELU_PENALTY_NEURON || p.loss != CVXRELU_LOSS_SQUARED)
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED,
                         "a certificate over all patterns needs lambda > 0, the neuron penalty "
                         "and the squared loss");
    s->lambda = p.lambda;
    return cvxr_data_make(&s->mem, &p, &s->data, message);
}

/* ---- The span, the method ---------------------------------------------------------------- */

static cvxrelu_result cvxr_sieve_method(cvxr_sieve *s, char *message) {
    size_t rank = s->span.rank, cells = cvxr_cover(s->data.n, rank, (size_t)1 << 30);
    int small = s->span.complete;
    s->method = s->how.method;
    if (s->method == CVXRELU_CERTIFY_AUTO)
        s->method = !small            ? CVXRELU_CERTIFY_WEIGHTED
                    : rank <= 2       ? CVXRELU_CERTIFY_EXACT
                    : cells <= 4096   ? CVXRELU_CERTIFY_ENUMERATE
                    : rank <= s->how.max_rank ? CVXRELU_CERTIFY_CONES
                    : cells <= 65536  ? CVXRELU_CERTIFY_ENUMERATE
                                      : CVXRELU_CERTIFY_WEIGHTED;
    if ((s->method == CVXRELU_CERTIFY_EXACT && (!small || rank > 2)) ||
        (s->method == CVXRELU_CERTIFY_CONES && (!small || rank > CVXR_WEDGE_RANK)))
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "method %s: the rank of the rows is higher",
                         s->method == CVXRELU_CERTIFY_EXACT ? "exact needs rank <= 2"
                                                            : "cones needs rank <= 8");
    if (s->method != CVXRELU_CERTIFY_MOMENTS) return CVXRELU_OK;
    if (s->data.c > 1 && !s->l1)
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED,
                         "method moments is for one output or the l1 penalty");
    if (s->data.n + s->data.d > CVXR_MOMENT_ORDER)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "method moments needs rows + columns <= %z: here are %z",
                         CVXR_MOMENT_ORDER, s->data.n + s->data.d);
    (void)cvxr_moment_packed(s->data.n, s->data.d, &s->packed);
    return CVXRELU_OK;
}

/* Rows of the programs, of about unit columns. */
static void cvxr_sieve_rows(cvxr_sieve *s) {
    size_t i, j, n = s->data.n, q = s->flat.d;
    double sum = 0;
    for (i = 0; i < n; i++) sum += s->span.norm[i] * s->span.norm[i];
    s->unit = sum > 0 ? sqrt(sum / (double)q) : 1;
    for (i = 0; i < n; i++)
        for (j = 0; j < q; j++)
            s->flat.X[i * s->flat.dp + j] =
                (s->span.complete ? s->span.Z[i * s->span.most + j] * s->span.norm[i]
                                  : s->data.X[i * s->data.dp + j])
                / s->unit;
    for (i = 0; i < n; i++)
        s->norms[i] = cvxr_norm2_f64(q, s->flat.X + i * s->flat.dp);
}

/* How many convex programs, and starts of ascent; WEIGHTED: by what they cost. */
static void cvxr_sieve_rounds(cvxr_sieve *s) {
    double work = (double)s->data.n * (double)s->flat.d * (double)(s->net.m + 1);
    double ascent = 240.0 * (double)s->data.n * (double)s->flat.d;
    if (s->how.rounds == 0)
        s->how.rounds = !cvxr_sieve_loose(s) ? 60
                        : work <= 2e6        ? 8
                        : work <= 5e6        ? 1
                                             : -1;
    if (s->how.rounds < 0) s->how.rounds = 0;
    if ((double)s->how.starts * ascent > 1e9)
        s->how.starts = 1e9 < ascent ? 1 : (size_t)(1e9 / ascent);
}

static void cvxr_sieve_allocate(cvxr_sieve *s) {
    size_t n = s->data.n, q = s->flat.d, room;
    s->flat.n = n;
    s->flat.dp = cvxr_pad(q);
    s->words = (n + 63) / 64;
    s->capacity = s->net.m + s->how.patterns + (size_t)s->how.rounds * 2 * 33 + 1;
    if (!cvxr_size_mul(s->capacity, cvxr_max_z(q, s->words), &room)) s->capacity = SIZE_MAX;
    s->flat.X = (double *)cvxr_alloc_zero(&s->mem, n * s->flat.dp, sizeof(double));
    s->gates = (double *)cvxr_alloc(&s->mem, s->capacity * q, sizeof(double));
    s->bits = (uint64_t *)cvxr_alloc(&s->mem, s->capacity * s->words, sizeof(uint64_t));
    s->resid = (double *)cvxr_alloc_zero(&s->mem, 2 * n * (s->data.c + 1), sizeof(double));
    room = s->how.starts * (q + 1) + 4 * s->flat.dp;
    s->U = (double *)cvxr_alloc(&s->mem, room, sizeof(double));
    s->angle = (double *)cvxr_alloc(&s->mem, 2 * n, sizeof(double));
    s->order = (size_t *)cvxr_alloc(&s->mem, 2 * n, sizeof(size_t));
    s->face_gamma = (double *)cvxr_alloc(&s->mem, q, sizeof(double));
    s->face_rows = (uint32_t *)cvxr_alloc(&s->mem, q, sizeof(uint32_t));
    s->norms = (double *)cvxr_alloc(&s->mem, n, sizeof(double));
    if (s->packed)
        s->extra = (double *)cvxr_alloc_zero(&s->mem, 2 * s->data.c * s->packed,
                                             sizeof(double));
    if (s->mem.failed) return;
    s->theta = s->resid + n * s->data.c;
    s->point = s->theta + n * s->data.c;
    s->w = s->point + n;
    s->value = s->U + s->how.starts * q;
    s->work = s->value + s->how.starts;
}

/* Span, method and workspace, once data and network are there. */
static cvxrelu_result cvxr_sieve_open(cvxr_sieve *s, char *message) {
    size_t n = s->data.n, d = s->data.d, most = n <= 64 ? n : CVXR_WEDGE_RANK;
    cvxrelu_result result;
    int threads = s->opt.threads;
    if (s->how.method == CVXRELU_CERTIFY_ENUMERATE) most = cvxr_min_z(n, d);
    s->L = s->lambda * (double)n * (double)s->data.c;
    s->la.blas = &s->opt.blas;
    s->la.team.hook = s->opt.parallel;
    s->la.team.threads = threads;
    s->la.portable = s->opt.portable;
    s->la.work = cvxr_alloc(&s->mem, 1, cvxr_la_work_bytes(threads));
    (void)cvxr_span_open(&s->span, &s->mem, s->data.X, n, d, s->data.dp, NULL, NULL, most);
    result = cvxr_mem_result(&s->mem, message);
    if (!result) result = cvxr_sieve_method(s, message);
    if (result) return result;
    s->flat.d = cvxr_max_z(s->span.complete ? s->span.rank : d, 1);
    cvxr_sieve_rounds(s);
    cvxr_sieve_allocate(s);
    result = cvxr_mem_result(&s->mem, message);
    if (result) return result;
    cvxr_sieve_rows(s);
    s->face.rows = s->face_rows;
    s->face.gamma = s->face_gamma;
    if (s->method != CVXRELU_CERTIFY_ENUMERATE || s->span.rank == 0) return CVXRELU_OK;
    result = cvxr_enumerate(&s->mem, &s->flat, 0, &s->all, message);
    if (result) return result;
    s->cone_open = cvxr_cone_open(&s->cone, &s->mem, s->flat.X, n, s->flat.d, s->flat.dp);
    return cvxr_mem_result(&s->mem, message);
}

/* ---- Patterns of the program ------------------------------------------------------------- */

/* Adds the pattern of a gate in flat coordinates unless it is there, or empty. */
static void cvxr_sieve_gate(cvxr_sieve *s, const double *gate) {
    uint64_t *bits = s->bits + s->count * s->words, any = 0;
    size_t i, w, q = s->flat.d, p;
    if (s->count == s->capacity) return;
    memset(bits, 0, s->words * sizeof(uint64_t));
    for (i = 0; i < s->flat.n; i++)
        if (s->norms[i] > 0 && cvxr_short_dot(q, s->flat.X + i * s->flat.dp, gate) >= 0)
            cvxr_bits_flip(bits, i);
    for (w = 0; w < s->words; w++) any |= bits[w];
    for (p = 0; p < s->count && any; p++)
        if (memcmp(s->bits + p * s->words, bits, s->words * sizeof(uint64_t)) == 0) return;
    if (!any) return;
    memcpy(s->gates + s->count * q, gate, q * sizeof(double));
    s->count++;
}

/* The same for a point that may lie on the boundary of its cell: a nearby one decides. */
static void cvxr_sieve_near(cvxr_sieve *s, const double *u, cvxrelu_random *random) {
    double *gate = s->work;
    size_t k;
    for (k = 0; k < s->flat.d; k++) gate[k] = u[k] + 1e-9 * cvxrelu_random_normal(random);
    cvxr_sieve_gate(s, gate);
}

/* v in the solver's coordinates to flat ones. */
static void cvxr_sieve_project(const cvxr_sieve *s, const double *v, double *u) {
    size_t k;
    if (!s->span.complete) memcpy(u, v, s->flat.d * sizeof(double));
    else
        for (u[0] = 0, k = 0; k < s->span.rank; k++)
            u[k] = cvxr_short_dot(s->data.d, s->span.V + k * s->data.d, v);
}

/* The patterns that an output begins with. */
static void cvxr_sieve_patterns(cvxr_sieve *s, size_t k) {
    cvxrelu_random random;
    size_t j, i, q = s->flat.d;
    double *gate = s->U;
    cvxrelu_random_init(&random, s->how.seed);
    s->count = 0;
    for (j = 0; j < s->net.m; j++) {
        if (s->net.C[k * s->net.m + j] == 0) continue;
        cvxr_sieve_project(s, s->net.V + j * s->net.dp, gate);
        if (cvxr_unit(q, gate) > 0) cvxr_sieve_near(s, gate, &random);
    }
    for (j = 0; j < s->how.patterns; j++) {
        for (i = 0; i < q; i++) gate[i] = cvxrelu_random_normal(&random);
        cvxr_sieve_gate(s, gate);
    }
}

/* ---- One convex program ------------------------------------------------------------------ */

static double cvxr_sieve_seconds(const cvxr_sieve *s) {
    return cvxr_now(&s->opt.clock) - s->started;
}

static int cvxr_sieve_late(const cvxr_sieve *s) {
    return s->opt.time_limit > 0 && cvxr_sieve_seconds(s) >= s->opt.time_limit;
}

/* The caller's options for a fit inside, with what is left of memory and time. */
static cvxrelu_options cvxr_sieve_options(const cvxr_sieve *s, double tol) {
    cvxrelu_options o;
    memset(&o, 0, sizeof o);
    o.tol = cvxr_max(tol, 1e-10);
    o.threads = s->opt.threads;
    o.portable = s->opt.portable;
    o.allocator = s->opt.allocator;
    o.blas = s->opt.blas;
    o.parallel = s->opt.parallel;
    o.clock = s->opt.clock;
    if (s->opt.memory_limit)
        o.memory_limit = s->opt.memory_limit - cvxr_min_z(s->mem.now, s->opt.memory_limit - 1);
    if (s->opt.time_limit > 0)
        o.time_limit = cvxr_max(s->opt.time_limit - cvxr_sieve_seconds(s), 1e-3);
    return o;
}

/* MOMENTS: keeps a program's network, one output, in the coordinates of the data. */
static void cvxr_sieve_remember(cvxr_sieve *s, const cvxrelu_model *model) {
    size_t j, i, k, dp = s->data.dp, q = s->flat.d;
    if (s->method != CVXRELU_CERTIFY_MOMENTS) return;
    cvxr_sieve_forget(s);
    s->start = (double *)cvxr_alloc_zero(&s->mem, model->m * (dp + 1), sizeof(double));
    if (s->start == NULL) return;
    s->start_room = s->started_with = model->m;
    s->outer = s->start + model->m * dp;
    for (j = 0; j < model->m; j++) {
        const double *u = model->u + j * model->d;
        double *v = s->start + j * dp, scale = model->sign[j] / s->unit;
        s->outer[j] = model->sign[j];
        for (i = 0; i < q; i++) {
            if (!s->span.complete) v[i] = scale * u[i];
            for (k = 0; s->span.complete && i < s->span.rank && k < s->data.d; k++)
                v[k] += scale * u[i] * s->span.V[i * s->data.d + k];
        }
    }
}

/* Solves over the patterns at hand for output k: s->point becomes the residual, *objective the
   value in sum units. */
static cvxrelu_result cvxr_sieve_solve(cvxr_sieve *s, size_t k, double tol, double *objective,
                                       char *message) {
    cvxrelu_options o = cvxr_sieve_options(s, tol);
    cvxrelu_report *report = (cvxrelu_report *)cvxr_alloc(&s->mem, 1, sizeof *report);
    cvxrelu_model *model = NULL;
    cvxrelu_problem p;
    cvxrelu_result result = cvxr_mem_result(&s->mem, message);
    size_t i, n = s->data.n;
    if (result || report == NULL) return result;
    memset(&p, 0, sizeof p);
    p.X.data = s->flat.X;
    p.X.rows = p.Y.rows = n;
    p.X.cols = s->flat.d;
    p.X.stride = s->flat.dp;
    p.Y.data = s->data.Y + k * n;
    p.Y.cols = 1;
    p.lambda = s->L / s->unit / (double)n; /* X v = (X/unit)(unit v), the norm grows by unit */
    p.kind = CVXRELU_RELU;
    p.scale = CVXRELU_SCALE_NONE;
    p.no_bias = 1;
    p.search = CVXRELU_SEARCH_OFF;
    p.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    p.gates.given.data = s->gates;
    p.gates.given.rows = s->count;
    p.gates.given.cols = s->flat.d;
    p.gates.given_scaled = 1;
    result = cvxrelu_fit(&p, &o, NULL, &model, report);
    if (result && message) memcpy(message, report->message, CVXRELU_MESSAGE_SIZE);
    if (!result) {
        (void)cvxrelu_model_predict_many(model, p.X, s->point, 1);
        for (i = 0; i < n; i++) s->point[i] = s->data.Y[k * n + i] - s->point[i];
        *objective = report->objective * (double)n;
        s->report->rounds++;
        s->report->patterns = s->count;
        cvxr_sieve_remember(s, model);
        s->mem.peak = cvxr_max_z(s->mem.peak, s->mem.now + report->peak_bytes);
    }
    cvxrelu_model_free(model);
    cvxr_release(&s->mem, report, 1, sizeof *report);
    return result ? result : cvxr_mem_result(&s->mem, message);
}

/* ---- Separation: is there a u with f(u) above `enough`? ---------------------------------- */

/* Rows for one sign of theta; in the span where there is one. */
static cvxr_rank_rows cvxr_sieve_weights(cvxr_sieve *s, const double *theta, double sign) {
    cvxr_rank_rows rows;
    size_t i;
    if (s->span.complete) return cvxr_rank_rows_make(&s->span, theta, sign, s->w);
    memset(&rows, 0, sizeof rows);
    rows.n = s->data.n;
    rows.r = s->data.d;
    rows.ld = s->data.dp;
    rows.Z = s->data.X;
    rows.w = s->w;
    for (i = 0; i < rows.n; i++) s->w[i] = sign * theta[i];
    return rows;
}

/* The largest f over all cells: of each, the norm of the projection of X'D theta on its cone,
   where ||X'D theta|| alone does not settle it. */
static void cvxr_separate_cells(cvxr_sieve *s, const cvxr_rank_rows *rows, const double *theta,
                                double sign, double *u, cvxr_maximum *out) {
    size_t p, i, k, q = s->flat.d;
    double *g = s->work, *v = g + s->flat.dp, best = 0, value;
    memset(g, 0, 2 * s->flat.dp * sizeof(double));
    memset(u, 0, q * sizeof(double));
    for (p = 0; p < s->all.count; p++) {
        const uint64_t *bits = s->all.bits + p * s->words;
        for (k = 0; k < q; k++) g[k] = 0;
        for (i = 0; i < s->data.n; i++)
            if (bits[i / 64] >> (i % 64) & 1)
                cvxr_short_axpy(q, sign * theta[i] * s->unit, s->flat.X + i * s->flat.dp, g);
        if (sqrt(cvxr_short_dot(q, g, g)) <= best) continue;
        s->face.count = 0;
        (void)cvxr_cone_project(&s->cone, bits, NULL, g, &s->face, v);
        value = sqrt(cvxr_short_dot(q, v, v));
        if (value <= best) continue;
        best = value;
        for (k = 0; k < q; k++) u[k] = v[k] / best;
    }
    out->upper = best * (1 + 1e-12) + rows->slack;
    out->lower = cvxr_rank_value(rows, u, NULL);
}

/* The weighted bound, with as many steps as some 1e10 operations allow; -1 without memory. */
static double cvxr_sieve_weighted(cvxr_sieve *s, const double *theta, double sign) {
    double n = (double)s->data.n, d = (double)s->data.d;
    double steps = 1e10 / (16 * n * d * d + 100 * d * d * d);
    return cvxr_weighted_bound(&s->mem, &s->la, s->data.X, s->data.n, s->data.d, s->data.dp,
                               theta, sign,
                               cvxr_sieve_late(s) ? 0 : (int)cvxr_min(100, steps));
}

/* By branch and bound; the first sign, +, leaves half of the nodes to the other. Where a limit
   stops it the weighted bound may be the better one. */
static int cvxr_separate_wedges(cvxr_sieve *s, const cvxr_rank_rows *rows, const double *theta,
                                double sign, double tol, double enough, double above,
                                double *u, cvxr_maximum *out) {
    cvxr_work_limit limit;
    double other;
    memset(&limit, 0, sizeof limit);
    limit.nodes = cvxr_max_z(sign > 0 ? s->nodes_left / 2 : s->nodes_left, 1);
    limit.bytes = s->how.cone_bytes;
    limit.clock = s->opt.time_limit > 0 ? &s->opt.clock : NULL;
    limit.deadline = s->started + s->opt.time_limit;
    if (!cvxr_wedges_max(&s->mem, rows, tol, enough, above, &limit, u, out)) return 0;
    s->nodes_left -= cvxr_min_z(s->nodes_left, out->nodes);
    s->report->nodes += out->nodes;
    if (!out->limited) return 1;
    other = cvxr_sieve_weighted(s, theta, sign);
    if (other >= 0) out->upper = cvxr_max(out->lower, cvxr_min(out->upper, other));
    return other >= 0;
}

/* Bounds sign theta'(Xu)_+ over the ball: proven at most out->upper, attained out->lower at u
   (q; on entry a point to start from). Ends early at an upper bound of at most max(enough, (1 +
   tol) lower), or a lower one above `above`. Returns 0 when memory was refused. */
static int cvxr_separate(cvxr_sieve *s, const double *theta, double sign, double tol,
                         double enough, double above, double *u, cvxr_maximum *out) {
    cvxr_rank_rows rows = cvxr_sieve_weights(s, theta, sign);
    int done = 1;
    memset(out, 0, sizeof *out);
    if (s->span.complete && s->span.rank == 0) return 1;
    if (s->method == CVXRELU_CERTIFY_EXACT) {
        out->lower = s->span.rank == 2 ? cvxr_exact_plane(&rows, s->angle, s->order, u)
                                       : cvxr_exact_line(&rows, u);
        out->upper = out->lower + rows.slack;
    } else if (s->method == CVXRELU_CERTIFY_ENUMERATE)
        cvxr_separate_cells(s, &rows, theta, sign, u, out);
    else if (s->method == CVXRELU_CERTIFY_CONES)
        done = cvxr_separate_wedges(s, &rows, theta, sign, tol, enough, above, u, out);
    else {
        out->lower = cvxr_max(cvxr_rank_value(&rows, u, NULL), 0);
        out->upper = cvxr_sieve_weighted(s, theta, sign);
        done = out->upper >= 0;
    }
    return done;
}

/* ---- One output -------------------------------------------------------------------------- */

/* The state of the loop for one output, in sum units. */
typedef struct cvxr_sift {
    size_t k;
    double best;               /* smallest value of a network met                             */
    double bound, scale;       /* proven; by scale times s->theta of this output              */
    double estimate;           /* the bound if ascent found the maximum of the last theta     */
    double ytheta, square, enough;
    double found;              /* largest value of ascent over both signs                     */
    size_t cuts;               /* patterns added in this round                                */
    int limited;
} cvxr_sift;

static void cvxr_sift_products(const cvxr_sieve *s, cvxr_sift *t) {
    const double *y = s->data.Y + t->k * s->data.n;
    size_t i;
    t->ytheta = t->square = 0;
    for (i = 0; i < s->data.n; i++) {
        t->ytheta += y[i] * s->point[i];
        t->square += s->point[i] * s->point[i];
    }
}

/* Keeps theta = s->point with M(theta) <= B when it proves more than what there is. */
static void cvxr_sift_keep(cvxr_sieve *s, cvxr_sift *t, double B) {
    double sigma, value = cvxr_dual_value(t->ytheta, t->square, s->L, B, &sigma);
    if (value <= t->bound) return;
    t->bound = value;
    t->scale = sigma;
    memcpy(s->theta + t->k * s->data.n, s->point, s->data.n * sizeof(double));
}

/* Ascent for one sign: maxima above `cut` become patterns, at most 32, the highest first. The
   best point is left in the first row of U; its value is returned. */
static double cvxr_sift_ascend(cvxr_sieve *s, cvxr_sift *t, double sign, double cut,
                               cvxrelu_random *random) {
    cvxr_rank_rows rows = cvxr_sieve_weights(s, s->point, sign);
    size_t given = 0, i, j, q = s->flat.d, before = s->count, starts = s->how.starts;
    double top;
    if (rows.r == 0) return 0;
    for (j = 0; j < s->net.m && given < starts / 2; j++)
        if (sign * s->net.C[t->k * s->net.m + j] > 0)
            cvxr_sieve_project(s, s->net.V + j * s->net.dp, s->U + given++ * q);
    cvxr_ascend(&rows, given, starts, cvxrelu_random_next(random), s->U, s->value, s->work);
    for (i = 0; i < starts; i++) {
        size_t best = i;
        for (j = i + 1; j < starts; j++)
            if (s->value[j] > s->value[best]) best = j;
        top = s->value[best];
        s->value[best] = s->value[i];
        s->value[i] = top;
        for (j = 0; j < q; j++) {
            double swap = s->U[best * q + j];
            s->U[best * q + j] = s->U[i * q + j];
            s->U[i * q + j] = swap;
        }
        if (top <= cut || s->count - before >= 32) break;
        cvxr_sieve_near(s, s->U + i * q, random);
    }
    t->cuts += s->count - before;
    t->found = cvxr_max(t->found, s->value[0]);
    return s->value[0];
}

/* Both signs at s->point: cuts, and where nothing above `enough` is found, the proof. */
static int cvxr_sift_round(cvxr_sieve *s, cvxr_sift *t, cvxrelu_random *random) {
    double cut = s->L * (1 + 0.05 * s->how.tol), B = 0, sign;
    int proven = 1, weighted = cvxr_sieve_loose(s);
    cvxr_maximum out;
    t->cuts = 0;
    t->found = 0;
    for (sign = 1; sign >= -1; sign -= 2) {
        double high = cvxr_sift_ascend(s, t, sign, cut, random);
        size_t before = s->count;
        if (high > t->enough) proven = 0;
        if (!proven || weighted) continue;
        if (!cvxr_separate(s, s->point, sign, 0, t->enough, t->enough, s->U, &out)) return 0;
        t->limited |= out.limited;
        if (out.lower > cut) cvxr_sieve_near(s, s->U, random);
        t->cuts += s->count - before;
        t->found = cvxr_max(t->found, out.lower);
        B = cvxr_max(B, out.upper);
    }
    if (proven && !weighted) cvxr_sift_keep(s, t, B);
    t->estimate = cvxr_dual_value(t->ytheta, t->square, s->L, t->found, NULL);
    return 1;
}

/* What s->point proves by separation without an aim, within a quarter of tol. */
static int cvxr_sift_plain(cvxr_sieve *s, cvxr_sift *t, cvxrelu_random *random) {
    double B = 0, sign;
    cvxr_maximum out;
    cvxr_sift_products(s, t);
    t->cuts = 0;
    t->found = 0;
    for (sign = 1; sign >= -1; sign -= 2) {
        (void)cvxr_sift_ascend(s, t, sign, HUGE_VAL, random);
        if (!cvxr_separate(s, s->point, sign, s->how.tol / 4, 0, HUGE_VAL, s->U, &out))
            return 0;
        t->limited |= out.limited;
        t->found = cvxr_max(t->found, out.lower);
        B = cvxr_max(B, out.upper);
    }
    cvxr_sift_keep(s, t, B);
    t->estimate = cvxr_max(t->estimate,
                           cvxr_dual_value(t->ytheta, t->square, s->L, t->found, NULL));
    return 1;
}

/* After every iteration of the moments: the caller, the clock. */
static int cvxr_sift_watch(void *context, int iteration, double bound) {
    cvxr_sieve *s = (cvxr_sieve *)context;
    const double units = (double)s->data.n * (double)s->data.c;
    if (s->opt.progress) {
        cvxrelu_progress p;
        memset(&p, 0, sizeof p);
        p.iteration = iteration;
        p.objective = s->watched / units;
        p.dual_bound = cvxr_min(bound / units, p.objective);
        p.gap = cvxr_relative(p.objective - p.dual_bound, p.objective);
        p.seconds = cvxr_sieve_seconds(s);
        p.lambda = s->lambda;
        if (s->opt.progress(s->opt.progress_user, &p)) s->user_stop = 1;
    }
    return s->user_stop || cvxr_sieve_late(s);
}

/* The moment relaxation of output k, from the best network at hand; kept when it proves more
   than what there is. */
static int cvxr_sift_moments(cvxr_sieve *s, cvxr_sift *t) {
    cvxr_moment_problem p;
    double bound, B, sign = 1, *extra = s->extra + 2 * t->k * s->packed;
    size_t i;
    memset(&p, 0, sizeof p);
    p.n = s->data.n;
    p.d = s->data.d;
    p.dp = p.ldv = s->data.dp;
    p.X = s->data.X;
    p.y = s->data.Y + t->k * p.n;
    p.L = s->L;
    p.count = s->start ? s->started_with : s->net.m;
    p.V = s->start ? s->start : s->net.V;
    p.C = s->start ? s->outer : s->net.C + t->k * s->net.m;
    p.iterations = s->how.iterations;
    p.enough = t->best * (1 - s->how.tol);
    p.stop = cvxr_sift_watch;
    p.context = s;
    s->watched = t->best;
    if (!cvxr_moment_bound(&s->mem, &s->la, &p, &bound, s->point, &B, extra)) return 0;
    if (bound > t->bound) {
        double scale;
        cvxr_sift_products(s, t);
        cvxr_sift_keep(s, t, B);
        scale = t->scale;
        for (i = 0; i < 2 * s->packed; i++) extra[i] *= scale;
    } else memset(extra, 0, 2 * s->packed * sizeof(double));
    for (t->found = 0; sign >= -1 && bound > 0; sign -= 2) {
        cvxrelu_random random;
        cvxrelu_random_init(&random, s->how.seed + 2);
        (void)cvxr_sift_ascend(s, t, sign, HUGE_VAL, &random);
    }
    if (bound > 0) {
        cvxr_sift_products(s, t);
        t->estimate = cvxr_max(t->estimate,
                               cvxr_dual_value(t->ytheta, t->square, s->L, t->found, NULL));
    }
    return 1;
}

/* What the weighted bound proves at s->point, which costs little beside a separation: a run
   that is cut short has something to show. */
static void cvxr_sift_cheap(cvxr_sieve *s, cvxr_sift *t) {
    const double plus = cvxr_sieve_weighted(s, s->point, 1),
                 minus = cvxr_sieve_weighted(s, s->point, -1);
    if (plus < 0 || minus < 0) return; /* no memory: the caller asks */
    cvxr_sift_products(s, t);
    cvxr_sift_keep(s, t, cvxr_max(plus, minus));
}

/* The loop of the banner. The last residual is left in s->point. */
static cvxrelu_result cvxr_sift_output(cvxr_sieve *s, cvxr_sift *t, char *message) {
    const double tol = s->how.tol;
    cvxrelu_random random;
    cvxrelu_result result = CVXRELU_OK;
    int round, plain;
    cvxrelu_random_init(&random, s->how.seed + 1);
    s->nodes_left = s->how.nodes;
    cvxr_sieve_patterns(s, t->k);
    cvxr_sieve_forget(s);
    memcpy(s->point, s->resid + t->k * s->data.n, s->data.n * sizeof(double));
    cvxr_sift_cheap(s, t);
    for (round = 0; round < s->how.rounds && s->count; round++) {
        double value = 0;
        s->watched = t->best;
        if (cvxr_sift_watch(s, round + 1, t->bound)) break;
        result = cvxr_sieve_solve(s, t->k, 0.05 * tol, &value, message);
        if (result == CVXRELU_ERR_LIMIT || result == CVXRELU_ERR_MEMORY) break; /* no more */
        if (result) return result;
        t->best = cvxr_min(t->best, value);
        cvxr_sift_products(s, t);
        t->enough = cvxr_dual_enough(t->ytheta, t->square, s->L, t->best * (1 - 0.9 * tol));
        cvxr_sift_cheap(s, t);
        if (!cvxr_sift_round(s, t, &random)) return cvxr_mem_result(&s->mem, message);
        if (t->best - t->bound <= tol * t->best || t->cuts == 0 || t->limited) break;
    }
    if (message && result) message[0] = 0;
    if (round >= s->how.rounds) t->limited = 1; /* programs ran out */
    plain = t->best - t->bound > tol * t->best;
    if (plain && !cvxr_sift_plain(s, t, &random)) return cvxr_mem_result(&s->mem, message);
    if (s->method == CVXRELU_CERTIFY_MOMENTS && t->best - t->bound > tol * t->best &&
        !cvxr_sift_moments(s, t))
        return cvxr_mem_result(&s->mem, message);
    return CVXRELU_OK;
}

/* ---- All outputs ------------------------------------------------------------------------- */

/* Why it ended, from the best objective and the bound in the report. */
static cvxrelu_stop cvxr_sieve_stop(const cvxr_sieve *s, int limited) {
    const cvxrelu_certify_report *r = s->report;
    if (r->best - r->dual_bound <= s->how.tol * r->best) return CVXRELU_STOP_GAP;
    if (s->user_stop) return CVXRELU_STOP_USER;
    if (cvxr_sieve_late(s)) return CVXRELU_STOP_TIME;
    if (s->method == CVXRELU_CERTIFY_MOMENTS || limited) return CVXRELU_STOP_ITERATIONS;
    return CVXRELU_STOP_STALLED;
}

/* Independent outputs: sums of values and bounds. theta is scaled to be dual feasible. */
static cvxrelu_result cvxr_sieve_separable(cvxr_sieve *s, char *message) {
    cvxrelu_certify_report *r = s->report;
    const double units = (double)s->data.n * (double)s->data.c;
    size_t k, i, n = s->data.n;
    double bound = 0, best = 0, estimate = 0;
    int limited = 0;
    for (k = 0; k < s->data.c; k++) {
        cvxr_sift t;
        double product;
        cvxrelu_result result;
        memset(&t, 0, sizeof t);
        t.k = k;
        (void)cvxr_judged_penalty(&s->net, 1, k, &product);
        t.best = cvxr_min(cvxr_sum_squares(n, s->resid + k * n, NULL) / 2 + s->L * product,
                          cvxr_sum_squares(n, s->data.Y + k * n, NULL) / 2);
        result = cvxr_sift_output(s, &t, message);
        if (result) return result;
        for (i = 0; i < n; i++) s->theta[k * n + i] *= t.scale;
        t.bound = cvxr_min(t.bound, t.best);
        bound += t.bound;
        best += t.best;
        estimate += cvxr_max(t.estimate, t.bound);
        limited |= t.limited;
    }
    r->dual_bound = bound / units;
    r->best = best / units;
    r->estimate = cvxr_min(estimate, best) / units;
    r->stop = cvxr_sieve_stop(s, limited);
    return CVXRELU_OK;
}

/* Outputs tied by plain weight decay: the network's residual, B = sqrt(sum_k B_k^2). */
static cvxrelu_result cvxr_sieve_tied(cvxr_sieve *s, char *message) {
    cvxrelu_certify_report *r = s->report;
    const double units = (double)s->data.n * (double)s->data.c;
    size_t k, i, n = s->data.n, all = n * s->data.c;
    double ytheta = 0, square = 0, B = 0, found = 0, sigma;
    cvxrelu_random random;
    int limited = 0;
    cvxrelu_random_init(&random, s->how.seed + 1);
    for (k = 0; k < s->data.c; k++) {
        double most = 0, sign;
        cvxr_maximum out;
        cvxr_sift t;
        memset(&t, 0, sizeof t);
        t.k = k;
        memcpy(s->point, s->resid + k * n, n * sizeof(double));
        cvxr_sift_products(s, &t);
        s->nodes_left = s->how.nodes;
        for (sign = 1; sign >= -1; sign -= 2) {
            (void)cvxr_sift_ascend(s, &t, sign, HUGE_VAL, &random);
            if (!cvxr_separate(s, s->point, sign, s->how.tol / 4, 0, HUGE_VAL, s->U, &out))
                return cvxr_mem_result(&s->mem, message);
            most = cvxr_max(most, out.upper);
            t.found = cvxr_max(t.found, out.lower);
            limited |= out.limited;
        }
        ytheta += t.ytheta;
        square += t.square;
        B = hypot(B, most);
        found = hypot(found, t.found);
    }
    r->dual_bound = cvxr_dual_value(ytheta, square, s->L, B, &sigma) / units;
    r->dual_bound = cvxr_min(r->dual_bound, r->balanced);
    for (i = 0; i < all; i++) s->theta[i] = sigma * s->resid[i];
    r->best = r->balanced;
    r->estimate = cvxr_min(cvxr_dual_value(ytheta, square, s->L, found, NULL) / units, r->best);
    r->stop = cvxr_sieve_stop(s, limited);
    return CVXRELU_OK;
}

/* The network's objectives, then the bound. */
static cvxrelu_result cvxr_sieve_run(cvxr_sieve *s, char *message) {
    cvxrelu_certify_report *r = s->report;
    const double units = (double)s->data.n * (double)s->data.c;
    double loss = 0, product;
    size_t j, k;
    cvxrelu_result result;
    cvxr_judged_residual(&s->net, &s->data, s->resid);
    loss = cvxr_sum_squares(s->data.n * s->data.c, s->resid, NULL) / 2 / units;
    r->objective = loss + s->lambda * cvxr_judged_penalty(&s->net, s->l1, SIZE_MAX, &product);
    r->balanced = loss + s->lambda * product;
    if (!cvxr_finite(r->objective))
        return cvxr_fail(message, CVXRELU_ERR_NUMERIC, "the network's objective overflows");
    r->method = s->method;
    r->l1_penalty = s->data.c > 1 && s->l1;
    r->n = s->data.n;
    r->d = s->data.d;
    r->c = s->data.c;
    r->rank = s->span.complete ? s->span.rank : 0;
    r->lambda = s->lambda;
    for (j = 0; j < s->net.m; j++) {
        int live = 0;
        for (k = 0; k < s->net.c; k++) live |= s->net.C[k * s->net.m + j] != 0;
        r->neurons += live && cvxr_norm2_f64(s->net.dp, s->net.V + j * s->net.dp) > 0;
    }
    result = s->data.c == 1 || s->l1 ? cvxr_sieve_separable(s, message)
                                     : cvxr_sieve_tied(s, message);
    r->best = cvxr_min(r->best, r->balanced);
    r->gap = cvxr_relative(r->objective - r->dual_bound, r->objective);
    r->best_gap = cvxr_relative(r->best - r->dual_bound, r->best);
    return result;
}

/* ---- Public ----------------------------------------------------------------------------- */

/* Switches and memory; the data is still to come. */
static cvxrelu_result cvxr_sieve_begin(cvxr_sieve *s, const cvxrelu_options *options,
                                       const cvxrelu_certify_options *how,
                                       cvxrelu_certify_report *report) {
    cvxrelu_result result;
    memset(s, 0, sizeof *s);
    memset(report, 0, sizeof *report);
    s->report = report;
    result = cvxr_options_resolve(options, &s->opt, report->message);
    if (!result) result = cvxr_certify_check(how, &s->how, report->message);
    if (result) return result;
    cvxr_mem_init(&s->mem, &s->opt.allocator, s->opt.memory_limit);
    s->started = cvxr_now(&s->opt.clock);
    return CVXRELU_OK;
}

/* Ends the call: time, memory; on an error the message alone stays. */
static cvxrelu_result cvxr_sieve_end(cvxr_sieve *s, cvxrelu_result result) {
    cvxrelu_certify_report *r = s->report;
    r->seconds = cvxr_sieve_seconds(s);
    r->peak_bytes = s->mem.peak;
    cvxr_sieve_close(s);
    if (result) {
        char message[CVXRELU_MESSAGE_SIZE];
        memcpy(message, r->message, sizeof message);
        memset(r, 0, sizeof *r);
        memcpy(r->message, message, sizeof message);
    } else r->message[0] = 0;
    return result;
}

CVXRELU_API cvxrelu_result cvxrelu_certify(const cvxrelu_problem *problem,
                                           const cvxrelu_network *network,
                                           const cvxrelu_options *options,
                                           const cvxrelu_certify_options *how, double *theta,
                                           cvxrelu_certify_report *report) {
    cvxr_sieve s;
    cvxrelu_result result;
    size_t i, k;
    if (report == NULL) return CVXRELU_ERR_ARGUMENT;
    result = cvxr_sieve_begin(&s, options, how, report);
    if (result) return result;
    if (problem == NULL || network == NULL)
        return cvxr_fail(report->message, CVXRELU_ERR_ARGUMENT, "problem or network is NULL");
    result = cvxr_sieve_data(&s, problem, report->message);
    if (!result) result = cvxr_network_check(network, &s.data, report->message);
    s.l1 = s.how.l1_penalty != 0;
    if (!result &&
        !cvxr_judged_open(&s.net, &s.mem, network->W1.data ? network->W1.rows : 0, s.data.c,
                          s.data.dp))
        result = cvxr_mem_result(&s.mem, report->message);
    if (!result) {
        cvxr_network_take(network, &s.data, &s.net);
        for (k = 0; network->b2.data && k < s.data.c; k++)
            for (i = 0; i < s.data.n; i++)
                s.data.Y[k * s.data.n + i] -= cvxr_matrix_get(&network->b2, k, 0);
        report->conditional = network->b2.data != NULL;
        result = cvxr_sieve_open(&s, report->message);
    }
    if (!result) result = cvxr_sieve_run(&s, report->message);
    for (i = 0; !result && theta && i < s.data.n; i++)
        for (k = 0; k < s.data.c; k++) theta[i * s.data.c + k] = s.theta[k * s.data.n + i];
    return cvxr_sieve_end(&s, result);
}

/* Data and network of a model. */
static cvxrelu_result cvxr_sieve_model(cvxr_sieve *s, const cvxrelu_model *model,
                                       const cvxrelu_matrix *X, const cvxrelu_matrix *Y,
                                       char *message) {
    const cvxrelu_model_info *info = &model->info;
    cvxrelu_problem p;
    cvxrelu_result result;
    size_t i, j, k;
    if (info->kind != CVXRELU_RELU)
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED, "the model is gated: certificates "
                         "over all patterns are for ReLU networks");
    memset(&p, 0, sizeof p);
    p.X = *X;
    p.Y = *Y;
    p.lambda = info->lambda;
    p.task = info->task;
    p.loss = info->loss;
    p.penalty = info->penalty;
    p.scale = info->scale;
    p.no_bias = !info->has_bias;
    if (X->cols != info->features)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "X has %z columns, the model was "
                         "trained on %z", X->cols, info->features);
    result = cvxr_sieve_data(s, &p, message);
    if (result) return result;
    if (s->data.c != info->outputs || s->data.classes != info->classes)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "Y has %z outputs or other classes, "
                         "the model has %z outputs", s->data.c, info->outputs);
    s->l1 = 1;
    for (k = 0; k < s->data.c; k++)
        for (i = 0; i < s->data.n; i++) s->data.Y[k * s->data.n + i] -= model->y_shift[k];
    if (!cvxr_judged_open(&s->net, &s->mem, model->m, s->data.c, s->data.dp))
        return cvxr_mem_result(&s->mem, message);
    for (j = 0; j < model->m; j++) {
        const double *u = model->u + j * model->d;
        double root = sqrt(cvxr_safe_norm(u, model->d));
        for (i = 0; i < model->d && root > 0; i++)
            s->net.V[j * s->data.dp + i] = model->sign[j] * u[i] / root;
        s->net.C[model->output[j] * model->m + j] = model->sign[j] * root;
    }
    return CVXRELU_OK;
}

/* What the model keeps: theta as it is scaled, the bound, the method. */
static cvxrelu_result cvxr_sieve_prove(const cvxr_sieve *s, cvxrelu_model *model) {
    cvxr_proof proof;
    memset(&proof, 0, sizeof proof);
    proof.n = s->data.n;
    proof.c = s->data.c;
    proof.theta = s->theta;
    proof.lambda = s->lambda;
    proof.bound = s->report->dual_bound;
    proof.method = (int)s->method;
    proof.scope = CVXRELU_SCOPE_ALL;
    proof.extra = s->extra;
    proof.extra_count = s->extra ? 2 * s->data.c * s->packed : 0;
    return cvxr_model_set_proof(model, &proof);
}

CVXRELU_API cvxrelu_result cvxrelu_model_certify(cvxrelu_model *model, cvxrelu_matrix X,
                                                 cvxrelu_matrix Y,
                                                 const cvxrelu_options *options,
                                                 const cvxrelu_certify_options *how,
                                                 cvxrelu_certify_report *report) {
    cvxr_sieve s;
    cvxrelu_result result;
    if (report == NULL) return CVXRELU_ERR_ARGUMENT;
    result = cvxr_sieve_begin(&s, options, how, report);
    if (result) return result;
    if (model == NULL)
        return cvxr_fail(report->message, CVXRELU_ERR_ARGUMENT, "model is NULL");
    result = cvxr_sieve_model(&s, model, &X, &Y, report->message);
    if (!result) result = cvxr_sieve_open(&s, report->message);
    if (!result) result = cvxr_sieve_run(&s, report->message);
    if (!result) {
        result = cvxr_sieve_prove(&s, model);
        if (result)
            (void)cvxr_fail(report->message, result, "no memory for the proof in the model");
    }
    return cvxr_sieve_end(&s, result);
}

/* B of one sign of s->point by the multipliers kept with it; HUGE_VAL without any. */
static double cvxr_proof_moments(cvxr_sieve *s, const cvxr_proof *proof, size_t k,
                                 double sign) {
    if (s->method != CVXRELU_CERTIFY_MOMENTS || proof->extra == NULL ||
        proof->extra_count != 2 * s->data.c * s->packed)
        return HUGE_VAL;
    return cvxr_moment_check(&s->mem, &s->la, s->data.X, s->data.n, s->data.d, s->data.dp,
                             s->point, sign,
                             proof->extra + (2 * k + (sign < 0)) * s->packed);
}

/* The bound of output k's saved theta (n), by separation with the saved bound as the aim. */
static cvxrelu_result cvxr_proof_output(cvxr_sieve *s, size_t k, const cvxr_proof *proof,
                                        double *bound, char *message) {
    cvxr_sift t;
    cvxrelu_random random;
    double B = 0, sign;
    memset(&t, 0, sizeof t);
    t.k = k;
    cvxrelu_random_init(&random, 0);
    memcpy(s->point, proof->theta + k * s->data.n, s->data.n * sizeof(double));
    cvxr_sift_products(s, &t);
    s->nodes_left = s->how.nodes;
    for (sign = 1; sign >= -1; sign -= 2) {
        double kept = cvxr_proof_moments(s, proof, k, sign);
        cvxr_maximum out;
        if (kept < 0) return cvxr_mem_result(&s->mem, message);
        if (kept <= s->L * (1 + 1e-9)) {
            B = cvxr_max(B, kept);
            continue;
        }
        (void)cvxr_sift_ascend(s, &t, sign, HUGE_VAL, &random);
        if (!cvxr_separate(s, s->point, sign, 0, s->L * (1 + 1e-9), HUGE_VAL, s->U, &out))
            return cvxr_mem_result(&s->mem, message);
        B = cvxr_max(B, cvxr_min(kept, out.upper));
        if (out.limited) s->report->stop = CVXRELU_STOP_ITERATIONS;
    }
    *bound = cvxr_dual_value(t.ytheta, t.square, s->L, B, &t.scale);
    return CVXRELU_OK;
}

CVXRELU_API cvxrelu_result cvxrelu_proof_check(const cvxrelu_model *model, cvxrelu_matrix X,
                                               cvxrelu_matrix Y, const cvxrelu_options *options,
                                               const cvxrelu_certify_options *how,
                                               cvxrelu_certify_report *report) {
    cvxr_sieve s;
    cvxrelu_result result;
    double sum = 0, bound = 0, product;
    size_t k;
    if (report == NULL) return CVXRELU_ERR_ARGUMENT;
    result = cvxr_sieve_begin(&s, options, how, report);
    if (result) return result;
    if (model == NULL || model->proof.theta == NULL)
        return cvxr_fail(report->message,
                         model ? CVXRELU_ERR_UNSUPPORTED : CVXRELU_ERR_ARGUMENT,
                         model ? "the model holds no proof" : "model is NULL");
    if (s.how.method == CVXRELU_CERTIFY_AUTO)
        s.how.method = (cvxrelu_certify_method)model->proof.method;
    s.how.rounds = -1;
    result = cvxr_sieve_model(&s, model, &X, &Y, report->message);
    if (!result && (s.data.n != model->proof.n || s.data.c != model->proof.c))
        result = cvxr_fail(report->message, CVXRELU_ERR_ARGUMENT,
                           "X has %z rows, the proof is for %z", s.data.n, model->proof.n);
    if (!result) result = cvxr_sieve_open(&s, report->message);
    report->stop = CVXRELU_STOP_GAP;
    for (k = 0; !result && k < s.data.c; k++) {
        result = cvxr_proof_output(&s, k, &model->proof, &bound, report->message);
        sum += bound;
    }
    if (!result) {
        const double units = (double)s.data.n * (double)s.data.c;
        cvxr_judged_residual(&s.net, &s.data, s.resid);
        report->objective = cvxr_sum_squares(s.data.n * s.data.c, s.resid, NULL) / 2 / units;
        (void)cvxr_judged_penalty(&s.net, 1, SIZE_MAX, &product);
        report->objective += s.lambda * product;
        report->best = report->balanced = report->objective;
        report->dual_bound = report->estimate = cvxr_min(sum / units, report->objective);
        report->gap = report->best_gap =
            cvxr_relative(report->objective - report->dual_bound, report->objective);
        report->method = s.method;
        report->l1_penalty = s.data.c > 1;
        report->n = s.data.n;
        report->d = s.data.d;
        report->c = s.data.c;
        report->rank = s.span.complete ? s.span.rank : 0;
        report->neurons = s.net.m;
        report->lambda = s.lambda;
    }
    return cvxr_sieve_end(&s, result);
}

/* ---- Interpolation ----------------------------------------------------------------------- */

/* The next strength over the gates of `model`, started from it. */
static cvxrelu_result cvxr_gauge_step(const cvxrelu_problem *problem,
                                      const cvxrelu_options *options, double lambda,
                                      cvxrelu_model **model, cvxrelu_report *fit) {
    cvxrelu_problem p = *problem;
    cvxrelu_model *next = NULL;
    cvxrelu_result result;
    p.lambda = lambda;
    if (*model) {
        memset(&p.gates, 0, sizeof p.gates);
        p.search = CVXRELU_SEARCH_OFF;
        p.gates.sampler = CVXRELU_SAMPLER_GIVEN;
        p.gates.given_scaled = 1;
        p.gates.given.data = (*model)->gates;
        p.gates.given.rows = (*model)->gate_count;
        p.gates.given.cols = (*model)->d;
    }
    result = cvxrelu_fit(&p, options, *model, &next, fit);
    if (result) return result;
    cvxrelu_model_free(*model);
    *model = next;
    return CVXRELU_OK;
}

/* y'theta / B of output k at its residual: any interpolation's norm is at least that. */
static cvxrelu_result cvxr_gauge_output(cvxr_sieve *s, size_t k, double *bound,
                                        char *message) {
    cvxr_maximum out;
    cvxr_sift t;
    double B = 0, sign;
    memset(&t, 0, sizeof t);
    t.k = k;
    memcpy(s->point, s->resid + k * s->data.n, s->data.n * sizeof(double));
    cvxr_sift_products(s, &t);
    s->nodes_left = s->how.nodes;
    for (sign = 1; sign >= -1; sign -= 2) {
        memset(s->U, 0, s->flat.d * sizeof(double));
        if (!cvxr_separate(s, s->point, sign, 1e-3, 0, HUGE_VAL, s->U, &out))
            return cvxr_mem_result(&s->mem, message);
        B = cvxr_max(B, out.upper);
    }
    *bound = B > 0 ? cvxr_max(t.ytheta, 0) / B : 0;
    return CVXRELU_OK;
}

/* Relative residual of the model, its norm, and (prove nonzero) the bound on any norm. */
static cvxrelu_result cvxr_gauge_judge(const cvxrelu_problem *problem,
                                       const cvxrelu_options *options,
                                       const cvxrelu_model *model, int prove,
                                       cvxrelu_gauge_report *report) {
    cvxrelu_certify_options how;
    cvxrelu_certify_report scratch;
    cvxr_sieve s;
    cvxrelu_result result;
    double part = 0, all;
    size_t k;
    memset(&how, 0, sizeof how);
    how.rounds = -1;
    if (!prove) how.method = CVXRELU_CERTIFY_WEIGHTED;
    result = cvxr_sieve_begin(&s, options, &how, &scratch);
    if (!result)
        result = cvxr_sieve_model(&s, model, &problem->X, &problem->Y, scratch.message);
    if (!result) result = cvxr_sieve_open(&s, scratch.message);
    report->bound = 0;
    if (!result) {
        cvxr_judged_residual(&s.net, &s.data, s.resid);
        (void)cvxr_judged_penalty(&s.net, 1, SIZE_MAX, &report->norm);
        report->residual = sqrt(cvxr_sum_squares(s.data.n * s.data.c, s.resid, NULL));
        all = sqrt(cvxr_sum_squares(s.data.n * s.data.c, s.data.Y, NULL));
        if (all > 0) report->residual /= all;
        report->method = s.method;
    }
    for (k = 0; !result && prove && k < s.data.c; k++) {
        result = cvxr_gauge_output(&s, k, &part, scratch.message);
        report->bound += part;
    }
    result = cvxr_sieve_end(&s, result);
    memcpy(report->message, scratch.message, sizeof report->message);
    return result;
}

/* Strengths fall by tens from 1e-2 of `top` until the residual is at most tol, or rests. */
static cvxrelu_result cvxr_gauge_run(const cvxrelu_problem *problem,
                                     const cvxrelu_options *options, double tol, double top,
                                     cvxrelu_report *fit, cvxrelu_model **model,
                                     cvxrelu_gauge_report *report) {
    double lambda, before = 2;
    for (lambda = 1e-2 * top; lambda >= 1e-9 * top; lambda *= 0.1) {
        cvxrelu_result result = cvxr_gauge_step(problem, options, lambda, model, fit);
        if (result) {
            memcpy(report->message, fit->message, sizeof report->message);
            return result;
        }
        result = cvxr_gauge_judge(problem, options, *model, 0, report);
        if (result) return result;
        report->lambda = lambda;
        report->patterns = fit->patterns;
        if (report->residual <= tol || fit->stop == CVXRELU_STOP_TIME) break;
        if (lambda < 1e-3 * top && report->residual > 0.5 * before) break;
        before = report->residual;
    }
    return cvxr_gauge_judge(problem, options, *model, 1, report);
}

CVXRELU_API cvxrelu_result cvxrelu_interpolate(const cvxrelu_problem *problem,
                                               const cvxrelu_options *options, double tol,
                                               cvxrelu_model **model,
                                               cvxrelu_gauge_report *report) {
    cvxrelu_report *fit;
    cvxrelu_options opt;
    cvxr_mem mem;
    cvxrelu_result result;
    double top = 0;
    if (report == NULL) return CVXRELU_ERR_ARGUMENT;
    memset(report, 0, sizeof *report);
    if (model) *model = NULL;
    if (problem == NULL || model == NULL || !cvxr_finite(tol) || tol < 0 || tol >= 1)
        return cvxr_fail(report->message, CVXRELU_ERR_ARGUMENT,
                         "problem or model is NULL, or tol is not in [0, 1)");
    if (problem->kind != CVXRELU_RELU)
        return cvxr_fail(report->message, CVXRELU_ERR_UNSUPPORTED,
                         "interpolation is for ReLU networks: set problem.kind");
    result = cvxr_options_resolve(options, &opt, report->message);
    if (result) return result;
    cvxr_mem_init(&mem, &opt.allocator, 0);
    fit = (cvxrelu_report *)cvxr_alloc_zero(&mem, 1, sizeof *fit);
    if (fit == NULL) return cvxr_mem_result(&mem, report->message);
    if (tol == 0) tol = 1e-6;
    result = cvxrelu_lambda_max(problem, options, &top, report->message);
    if (top == 0) top = 1; /* nothing can be reached, one fit says so */
    if (!result) result = cvxr_gauge_run(problem, options, tol, top, fit, model, report);
    report->reached = !result && report->residual <= tol;
    cvxr_release(&mem, fit, 1, sizeof *fit);
    if (result) {
        cvxrelu_model_free(*model);
        *model = NULL;
    }
    return result;
}

/* ==== S24 SAVE, LOAD, VERIFY =============================================================
   A model as bytes, in memory or in a file, and the recomputation of its certificate from the
   definition by plain float64 loops that share nothing with the solvers.
   Uses S01 to S03, S06, S07, S17. Tests: tests/test_s24_save.c.

   The bytes, version 2. Numbers are little-endian on every machine: u32 and u64 unsigned, f64
   the bits of an IEEE double. d = features + has_bias, c = outputs, m = neurons, P = patterns.

     offset  type    field
          0  8 x u8  89 'C' 'V' 'X' 'R' 0D 0A 1A    (spoilt by a transfer as text)
          8  u32     version, 2
         12  u32     flags: 1 has_bias, 2 has_bound, 4 recipe is there, 8 gates are there,
                     16 no_gate_bias, 32 proof is there, 64 proof of plain weight decay,
                     128 proof conditional on b2
         16  u64     bytes in all, checksum included
         24  6 u32   kind, task, loss, penalty, scale, sampler
         48  6 u64   features, outputs, classes, neurons, patterns, rows
         96  4 f64   lambda, objective, dual_bound, gap    (the last two 0 without a bound)
        128  7 u64   recipe: count, seed, order, width, height, channels, patch
        184  f64     recipe: active_share                  (recipe and sampler 0 when stripped)
        192  4 u64   class labels, feature names: how many of each; bytes of each
        224  4 u32   search; proof: method, scope; 0
        240  2 f64   proof: lambda, bound
        256  2 u64   proof: rows N, further numbers E     (without a proof all of it is 0)
        272  f64     shift[d], scales[d], y_shift[c]
             u64     output[m], pattern[m]
             f64     u[m x d] (raw), g[m x d], gates[P x d] if flagged (given or searched ones)
             f64     theta[c x N], extra[E] of the proof if flagged
             u8      sign[m] for ReLU: 1, or 255 for -1
             u8      class labels, then feature names, each string ending with a zero byte
      end-4  u32     CRC-32 (IEEE 802.3, as in zlib) of everything before

   Version 1 has no bytes 224 to 271, no proof and no signs: gated models. It is read, not
   written. Weights and gates are in the solver's coordinates; the network of S17 follows from
   them. */

#define CVXR_FILE_VERSION 2
#define CVXR_FILE_HEAD_1  224
#define CVXR_FILE_HEAD    272
#define CVXR_FILE_CHUNK   512

#define CVXR_FLAG_BIAS      1u
#define CVXR_FLAG_BOUND     2u
#define CVXR_FLAG_RECIPE    4u
#define CVXR_FLAG_GATES     8u
#define CVXR_FLAG_FLAT      16u
#define CVXR_FLAG_PROOF     32u
#define CVXR_FLAG_DECAY     64u
#define CVXR_FLAG_B2        128u

static const unsigned char cvxr_file_magic[8] = { 0x89, 'C', 'V', 'X', 'R', 0x0d, 0x0a, 0x1a };

static uint32_t cvxr_crc32(uint32_t crc, const unsigned char *bytes, size_t count) {
    static const uint32_t table[16] = {
        0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u,
        0x4db26158u, 0x5005713cu, 0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu,
        0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu
    };
    size_t i;
    crc = ~crc;
    for (i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* Adds a * b * size to *total; 0 when it does not fit. */
static int cvxr_sum_product(size_t *total, size_t a, size_t b, size_t size) {
    size_t count, bytes;
    if (!cvxr_size_mul(a, b, &count) || !cvxr_size_mul(count, size, &bytes)) return 0;
    if (bytes > SIZE_MAX - *total) return 0;
    *total += bytes;
    return 1;
}

/* ---- Writing: bytes collect in a chunk; full chunks go to flush (NULL: only count them). */

typedef struct cvxr_sink {
    int (*flush)(void *to, const unsigned char *bytes, size_t count);    /* 0 when it failed */
    void *to;
    size_t fill, total;
    uint32_t crc;
    int failed;
    unsigned char bytes[CVXR_FILE_CHUNK];
} cvxr_sink;

static void cvxr_sink_flush(cvxr_sink *sink) {
    if (sink->flush && !sink->failed) {
        sink->crc = cvxr_crc32(sink->crc, sink->bytes, sink->fill);
        sink->failed = !sink->flush(sink->to, sink->bytes, sink->fill);
    }
    sink->fill = 0;
}

static void cvxr_sink_byte(cvxr_sink *sink, unsigned byte) {
    sink->bytes[sink->fill++] = (unsigned char)(byte & 255u);
    sink->total++;
    if (sink->fill == CVXR_FILE_CHUNK) cvxr_sink_flush(sink);
}

static void cvxr_sink_u32(cvxr_sink *sink, uint32_t value) {
    int i;
    for (i = 0; i < 4; i++) cvxr_sink_byte(sink, (unsigned)(value >> (8 * i) & 255u));
}

static void cvxr_sink_u64(cvxr_sink *sink, uint64_t value) {
    cvxr_sink_u32(sink, (uint32_t)(value & 0xffffffffu));
    cvxr_sink_u32(sink, (uint32_t)(value >> 32));
}

static void cvxr_sink_reals(cvxr_sink *sink, const double *x, size_t a, size_t b) {
    size_t i, count = a * b;
    for (i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, x + i, sizeof bits);
        cvxr_sink_u64(sink, bits);
    }
}

static void cvxr_sink_sizes(cvxr_sink *sink, const size_t *x, size_t count) {
    size_t i;
    for (i = 0; i < count; i++) cvxr_sink_u64(sink, (uint64_t)x[i]);
}

/* Nothing for a gated model. */
static void cvxr_sink_signs(cvxr_sink *sink, const cvxrelu_model *model) {
    size_t j;
    if (model->info.kind != CVXRELU_RELU) return;
    for (j = 0; j < model->m; j++) cvxr_sink_byte(sink, model->sign[j] < 0 ? 255u : 1u);
}

static void cvxr_sink_text(cvxr_sink *sink, const cvxr_names *names) {
    size_t i;
    for (i = 0; i < names->bytes; i++) cvxr_sink_byte(sink, (unsigned char)names->text[i]);
}

/* A recipe of given gates is worth writing only with the gates. */
static uint32_t cvxr_file_flags(const cvxrelu_model *model, int strip) {
    const cvxrelu_model_info *info = &model->info;
    int given = model->recipe.sampler == CVXRELU_SAMPLER_GIVEN;
    uint32_t flags = info->has_bias ? CVXR_FLAG_BIAS : 0u;
    if (info->has_bound) flags |= CVXR_FLAG_BOUND;
    if (model->proof.theta && !strip) {
        flags |= CVXR_FLAG_PROOF;
        if (model->proof.plain_decay) flags |= CVXR_FLAG_DECAY;
        if (model->proof.conditional) flags |= CVXR_FLAG_B2;
    }
    if (strip || !info->has_recipe || (given && model->gates == NULL)) return flags;
    flags |= CVXR_FLAG_RECIPE;
    if (given) flags |= CVXR_FLAG_GATES;
    if (model->recipe.no_gate_bias) flags |= CVXR_FLAG_FLAT;
    return flags;
}

static void cvxr_sink_head(cvxr_sink *sink, const cvxrelu_model *model, uint32_t flags,
                           uint64_t total) {
    const cvxrelu_model_info *info = &model->info;
    cvxrelu_gates recipe;
    double reals[4];
    size_t sizes[7], i;
    memset(&recipe, 0, sizeof recipe);
    if (flags & CVXR_FLAG_RECIPE) recipe = model->recipe;
    for (i = 0; i < sizeof cvxr_file_magic; i++) cvxr_sink_byte(sink, cvxr_file_magic[i]);
    cvxr_sink_u32(sink, CVXR_FILE_VERSION);
    cvxr_sink_u32(sink, flags);
    cvxr_sink_u64(sink, total);
    cvxr_sink_u32(sink, (uint32_t)info->kind);
    cvxr_sink_u32(sink, (uint32_t)info->task);
    cvxr_sink_u32(sink, (uint32_t)info->loss);
    cvxr_sink_u32(sink, (uint32_t)info->penalty);
    cvxr_sink_u32(sink, (uint32_t)info->scale);
    cvxr_sink_u32(sink, (uint32_t)recipe.sampler);
    sizes[0] = info->features, sizes[1] = info->outputs, sizes[2] = info->classes;
    sizes[3] = model->m, sizes[4] = info->patterns, sizes[5] = info->rows;
    cvxr_sink_sizes(sink, sizes, 6);
    reals[0] = info->lambda, reals[1] = info->objective;
    reals[2] = info->has_bound ? info->dual_bound : 0.0;
    reals[3] = info->has_bound ? info->gap : 0.0;
    cvxr_sink_reals(sink, reals, 4, 1);
    cvxr_sink_u64(sink, (uint64_t)recipe.count);
    cvxr_sink_u64(sink, recipe.seed);
    sizes[0] = recipe.order, sizes[1] = recipe.width, sizes[2] = recipe.height;
    sizes[3] = recipe.channels, sizes[4] = recipe.patch;
    cvxr_sink_sizes(sink, sizes, 5);
    cvxr_sink_reals(sink, &recipe.active_share, 1, 1);
    sizes[0] = model->names[0].count, sizes[1] = model->names[1].count;
    sizes[2] = model->names[0].bytes, sizes[3] = model->names[1].bytes;
    cvxr_sink_sizes(sink, sizes, 4);
}

/* The part of the head that version 1 does not have. */
static void cvxr_sink_head_2(cvxr_sink *sink, const cvxrelu_model *model, uint32_t flags) {
    cvxr_proof proof;
    memset(&proof, 0, sizeof proof);
    if (flags & CVXR_FLAG_PROOF) proof = model->proof;
    cvxr_sink_u32(sink, (uint32_t)model->info.search);
    cvxr_sink_u32(sink, (uint32_t)proof.method);
    cvxr_sink_u32(sink, (uint32_t)proof.scope);
    cvxr_sink_u32(sink, 0);
    cvxr_sink_reals(sink, &proof.lambda, 1, 1);
    cvxr_sink_reals(sink, &proof.bound, 1, 1);
    cvxr_sink_sizes(sink, &proof.n, 1);
    cvxr_sink_sizes(sink, &proof.extra_count, 1);
}

static void cvxr_sink_model(cvxr_sink *sink, const cvxrelu_model *model, int strip,
                            uint64_t total) {
    uint32_t flags = cvxr_file_flags(model, strip);
    cvxr_sink_head(sink, model, flags, total);
    cvxr_sink_head_2(sink, model, flags);
    cvxr_sink_reals(sink, model->shift, model->d, 1);
    cvxr_sink_reals(sink, model->scales, model->d, 1);
    cvxr_sink_reals(sink, model->y_shift, model->info.outputs, 1);
    cvxr_sink_sizes(sink, model->output, model->m);
    cvxr_sink_sizes(sink, model->pattern, model->m);
    cvxr_sink_reals(sink, model->u, model->m, model->d);
    cvxr_sink_reals(sink, model->g, model->m, model->d);
    if (flags & CVXR_FLAG_GATES)
        cvxr_sink_reals(sink, model->gates, model->gate_count, model->d);
    if (flags & CVXR_FLAG_PROOF)
        cvxr_sink_reals(sink, model->proof.theta, cvxr_proof_reals(&model->proof), 1);
    cvxr_sink_signs(sink, model);
    cvxr_sink_text(sink, &model->names[0]);
    cvxr_sink_text(sink, &model->names[1]);
    cvxr_sink_flush(sink);
    cvxr_sink_u32(sink, sink->crc);
    cvxr_sink_flush(sink);
}

/* Sends the whole model to flush; returns its bytes, 0 when flush failed. With flush NULL
   nothing is sent and only the size is found. */
static size_t cvxr_model_send(const cvxrelu_model *model, int strip, size_t total,
                              int (*flush)(void *, const unsigned char *, size_t), void *to) {
    cvxr_sink sink;
    memset(&sink, 0, sizeof sink);
    sink.flush = flush;
    sink.to = to;
    cvxr_sink_model(&sink, model, strip, (uint64_t)total);
    return sink.failed ? 0 : sink.total;
}

/* ---- Reading: nothing is believed before the checksum, and no size before the length. */

typedef struct cvxr_source { const unsigned char *at, *end; int failed; } cvxr_source;

static uint32_t cvxr_source_u32(cvxr_source *source) {
    uint32_t value = 0;
    int i;
    if (source->end - source->at < 4) {
        source->failed = 1;
        return 0;
    }
    for (i = 0; i < 4; i++) value |= (uint32_t)*source->at++ << (8 * i);
    return value;
}

static uint64_t cvxr_source_u64(cvxr_source *source) {
    uint64_t low = cvxr_source_u32(source);
    return low | (uint64_t)cvxr_source_u32(source) << 32;
}

static size_t cvxr_source_size(cvxr_source *source) {
    uint64_t value = cvxr_source_u64(source);
    if (value > (uint64_t)SIZE_MAX) source->failed = 1;
    return value > (uint64_t)SIZE_MAX ? 0 : (size_t)value;
}

/* Finite numbers only. */
static void cvxr_source_reals(cvxr_source *source, double *x, size_t a, size_t b) {
    size_t i, count = a * b;
    for (i = 0; i < count && !source->failed; i++) {
        uint64_t bits = cvxr_source_u64(source);
        memcpy(x + i, &bits, sizeof bits);
        if (!cvxr_finite(x[i])) source->failed = 1;
    }
}

/* Numbers below `bound` only. */
static void cvxr_source_sizes(cvxr_source *source, size_t *x, size_t count, size_t bound) {
    size_t i;
    for (i = 0; i < count && !source->failed; i++) {
        x[i] = cvxr_source_size(source);
        if (x[i] >= bound) source->failed = 1;
    }
}

static void cvxr_source_signs(cvxr_source *source, signed char *sign, size_t count) {
    size_t i;
    if ((size_t)(source->end - source->at) < count) source->failed = 1;
    for (i = 0; i < count && !source->failed; i++, source->at++) {
        if (*source->at != 1 && *source->at != 255) source->failed = 1;
        sign[i] = *source->at == 1 ? 1 : -1;
    }
}

static void cvxr_source_text(cvxr_source *source, cvxr_names *names) {
    size_t i, count = 0;
    if (names->count == 0 || source->failed) return;
    if ((size_t)(source->end - source->at) < names->bytes) {
        source->failed = 1;
        return;
    }
    memcpy(names->text, source->at, names->bytes);
    source->at += names->bytes;
    for (i = 0; i < names->bytes && count < names->count; i++)
        if (i == 0 || names->text[i - 1] == 0) names->offset[count++] = i;
    if (count < names->count || names->text[names->bytes - 1] != 0) source->failed = 1;
    for (i = names->offset[names->count - 1]; !source->failed && i + 1 < names->bytes; i++)
        if (names->text[i] == 0) source->failed = 1;
}

typedef struct cvxr_file_head {
    cvxrelu_model_info info;
    cvxrelu_gates recipe;
    cvxr_proof proof;              /* without its arrays                                      */
    uint32_t version, flags;
    uint32_t code[10];             /* kind, task, loss, penalty, scale, sampler; version 2:
                                      search, method, scope, 0                                */
    size_t d, gates, text_bytes[2];
} cvxr_file_head;

/* The part of the head that version 1 does not have. */
static void cvxr_source_head_2(cvxr_source *source, cvxr_file_head *head) {
    int i;
    for (i = 6; i < 10; i++) head->code[i] = cvxr_source_u32(source);
    cvxr_source_reals(source, &head->proof.lambda, 1, 1);
    cvxr_source_reals(source, &head->proof.bound, 1, 1);
    head->proof.n = cvxr_source_size(source);
    head->proof.extra_count = cvxr_source_size(source);
}

/* The fields from offset 8 on. */
static void cvxr_source_head(cvxr_source *source, cvxr_file_head *head) {
    cvxrelu_model_info *info = &head->info;
    cvxrelu_gates *recipe = &head->recipe;
    double reals[4] = { 0, 0, 0, 0 };
    int i;
    memset(head, 0, sizeof *head);
    head->version = cvxr_source_u32(source);
    head->flags = cvxr_source_u32(source);
    (void)cvxr_source_u64(source);
    for (i = 0; i < 6; i++) head->code[i] = cvxr_source_u32(source);
    info->features = cvxr_source_size(source);
    info->outputs = cvxr_source_size(source);
    info->classes = cvxr_source_size(source);
    info->neurons = cvxr_source_size(source);
    info->patterns = cvxr_source_size(source);
    info->rows = cvxr_source_size(source);
    cvxr_source_reals(source, reals, 4, 1);
    info->lambda = reals[0], info->objective = reals[1];
    info->dual_bound = reals[2], info->gap = reals[3];
    recipe->count = cvxr_source_size(source);
    recipe->seed = cvxr_source_u64(source);
    recipe->order = cvxr_source_size(source);
    recipe->width = cvxr_source_size(source);
    recipe->height = cvxr_source_size(source);
    recipe->channels = cvxr_source_size(source);
    recipe->patch = cvxr_source_size(source);
    cvxr_source_reals(source, &recipe->active_share, 1, 1);
    for (i = 0; i < 2; i++) info->text_count[i] = cvxr_source_size(source);
    for (i = 0; i < 2; i++) head->text_bytes[i] = cvxr_source_size(source);
    head->code[6] = CVXRELU_SEARCH_OFF;
    if (head->version > 1) cvxr_source_head_2(source, head);
}

/* Search and proof; 0 when they contradict the rest. */
static int cvxr_head_decode_2(cvxr_file_head *head) {
    cvxr_proof *proof = &head->proof;
    uint32_t proven = head->flags & (CVXR_FLAG_PROOF | CVXR_FLAG_DECAY | CVXR_FLAG_B2);
    if (head->version == 1 && (head->code[0] != CVXRELU_GATED || proven)) return 0;
    if (head->code[6] == CVXRELU_SEARCH_AUTO) return 0;
    if (head->code[0] == CVXRELU_GATED && head->code[6] != CVXRELU_SEARCH_OFF) return 0;
    head->info.search = (cvxrelu_search)head->code[6];
    proof->method = (int)head->code[7];
    proof->scope = (cvxrelu_scope)head->code[8];
    proof->c = head->info.outputs;
    proof->plain_decay = (head->flags & CVXR_FLAG_DECAY) != 0;
    proof->conditional = (head->flags & CVXR_FLAG_B2) != 0;
    if (head->flags & CVXR_FLAG_PROOF) return proof->n > 0;
    return !proven && proof->n == 0 && proof->extra_count == 0;
}

/* What the codes and flags mean; 0 when a code is unknown. */
static int cvxr_head_decode(cvxr_file_head *head) {
    static const uint32_t most[10] = { CVXRELU_RELU, CVXRELU_TASK_CLASSES,
                                       CVXRELU_LOSS_SQUARED, CVXRELU_PENALTY_L2,
                                       CVXRELU_SCALE_NONE, CVXRELU_SAMPLER_GIVEN,
                                       CVXRELU_SEARCH_EXACT, 0x7fff, CVXRELU_SCOPE_KEPT, 0 };
    cvxrelu_model_info *info = &head->info;
    int i;
    for (i = 0; i < 10; i++) if (head->code[i] > most[i]) return 0;
    if (head->code[4] == (uint32_t)CVXRELU_SCALE_AUTO || head->flags > 255u) return 0;
    if (!cvxr_head_decode_2(head)) return 0;
    info->kind = (cvxrelu_kind)head->code[0];
    info->task = (cvxrelu_task)head->code[1];
    info->loss = (cvxrelu_loss)head->code[2];
    info->penalty = (cvxrelu_penalty)head->code[3];
    info->scale = (cvxrelu_scale)head->code[4];
    info->sampler = head->recipe.sampler = (cvxrelu_sampler)head->code[5];
    info->seed = head->recipe.seed;
    info->has_bias = (head->flags & CVXR_FLAG_BIAS) != 0;
    info->has_bound = (head->flags & CVXR_FLAG_BOUND) != 0;
    info->has_recipe = (head->flags & CVXR_FLAG_RECIPE) != 0;
    head->recipe.no_gate_bias = (head->flags & CVXR_FLAG_FLAT) != 0;
    head->recipe.given_scaled = 1;
    if (info->features == 0 || info->features == SIZE_MAX) return 0;
    head->d = info->features + (info->has_bias ? 1 : 0);
    head->gates = head->flags & CVXR_FLAG_GATES ? info->patterns : 0;
    return 1;
}

/* Whether the fields agree with one another and with the length of the buffer. */
static int cvxr_head_agrees(const cvxr_file_head *head, size_t size) {
    const cvxrelu_model_info *info = &head->info;
    int given = info->has_recipe && info->sampler == CVXRELU_SAMPLER_GIVEN, kind;
    size_t total, classes = info->classes, expect;
    total = (head->version == 1 ? CVXR_FILE_HEAD_1 : CVXR_FILE_HEAD) + 4;
    if (given != (head->gates > 0)) return 0;
    if (info->has_recipe && !given && info->search != CVXRELU_SEARCH_OFF) return 0;
    if (info->scale == CVXRELU_SCALE_STANDARD && !info->has_bias) return 0;
    if (info->task == CVXRELU_TASK_REGRESSION ? classes != 0 : classes < 2) return 0;
    expect = classes == 0 ? info->outputs : classes == 2 ? 1 : classes;
    if (info->outputs == 0 || info->outputs != expect) return 0;
    for (kind = 0; kind < 2; kind++) {
        expect = kind ? info->features : classes;
        if (info->text_count[kind] != 0 && info->text_count[kind] != expect) return 0;
        if (head->text_bytes[kind] < info->text_count[kind]) return 0;
        if (head->text_bytes[kind] && info->text_count[kind] == 0) return 0;
        if (!cvxr_sum_product(&total, head->text_bytes[kind], 1, 1)) return 0;
    }
    return cvxr_sum_product(&total, head->d, 2, 8) &&
           cvxr_sum_product(&total, info->outputs, 1, 8) &&
           cvxr_sum_product(&total, info->neurons, 2, 8) &&
           cvxr_sum_product(&total, info->neurons, head->d, 16) &&
           cvxr_sum_product(&total, head->gates, head->d, 8) &&
           cvxr_sum_product(&total, head->proof.n, info->outputs, 8) &&
           cvxr_sum_product(&total, head->proof.extra_count, 1, 8) &&
           cvxr_sum_product(&total, info->neurons, info->kind == CVXRELU_RELU, 1) &&
           total == size;
}

/* Magic, version, length and checksum. */
static cvxrelu_result cvxr_file_check(const unsigned char *bytes, size_t size, char *message) {
    cvxr_source source;
    size_t start = cvxr_min_z(size, sizeof cvxr_file_magic);
    uint32_t version;
    uint64_t total;
    size_t head;
    if (start == 0)
        return cvxr_fail(message, CVXRELU_ERR_CORRUPT, "the model is empty");
    if (memcmp(bytes, cvxr_file_magic, start) != 0)
        return cvxr_fail(message, CVXRELU_ERR_FORMAT, "not a cvxrelu model");
    source.at = bytes + start;
    source.end = bytes + size;
    source.failed = 0;
    version = cvxr_source_u32(&source);
    if (!source.failed && (version < 1 || version > CVXR_FILE_VERSION))
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED, "the model has format version %z, "
                         "this library reads 1 to %d", (size_t)version, CVXR_FILE_VERSION);
    (void)cvxr_source_u32(&source);
    total = cvxr_source_u64(&source);
    head = version == 1 ? CVXR_FILE_HEAD_1 : CVXR_FILE_HEAD;
    if (source.failed || size < head + 4 || (uint64_t)size < total)
        return cvxr_fail(message, CVXRELU_ERR_CORRUPT, "the model is truncated to %z bytes",
                         size);
    if ((uint64_t)size > total)
        return cvxr_fail(message, CVXRELU_ERR_CORRUPT, "the model has bytes after its end");
    source.at = bytes + size - 4;
    if (cvxr_source_u32(&source) != cvxr_crc32(0, bytes, size - 4))
        return cvxr_fail(message, CVXRELU_ERR_CORRUPT, "the model is altered: wrong checksum");
    return CVXRELU_OK;
}

/* The arrays after the head. */
static cvxrelu_result cvxr_source_body(cvxr_source *source, const cvxr_file_head *head,
                                       cvxrelu_model *model) {
    cvxrelu_result result;
    size_t j;
    int kind;
    cvxr_source_reals(source, model->shift, model->d, 1);
    cvxr_source_reals(source, model->scales, model->d, 1);
    cvxr_source_reals(source, model->y_shift, model->info.outputs, 1);
    cvxr_source_sizes(source, model->output, model->m, model->info.outputs);
    cvxr_source_sizes(source, model->pattern, model->m, model->info.patterns);
    cvxr_source_reals(source, model->u, model->m, model->d);
    cvxr_source_reals(source, model->g, model->m, model->d);
    if (head->gates) cvxr_source_reals(source, model->gates, head->gates, model->d);
    if (head->proof.n) {
        cvxr_proof proof = head->proof;
        result = cvxr_proof_new(&model->mem, &proof);
        if (result) return result;
        model->proof = proof;
        cvxr_source_reals(source, proof.theta, cvxr_proof_reals(&proof), 1);
    }
    if (head->info.kind == CVXRELU_RELU) cvxr_source_signs(source, model->sign, model->m);
    for (j = 0; j < model->d; j++) if (!(model->scales[j] > 0.0)) source->failed = 1;
    for (kind = 0; kind < 2 && !source->failed; kind++) {
        cvxr_names *names = &model->names[kind];
        size_t count = head->info.text_count[kind];
        if (count == 0) continue;
        result = cvxr_names_new(&model->mem, names, count, head->text_bytes[kind]);
        if (result) return result;
        cvxr_source_text(source, names);
    }
    return source->failed ? CVXRELU_ERR_CORRUPT : CVXRELU_OK;
}

/* ---- Public: memory. */

static int cvxr_flush_memory(void *to, const unsigned char *bytes, size_t count) {
    unsigned char **at = (unsigned char **)to;
    memcpy(*at, bytes, count);
    *at += count;
    return 1;
}

CVXRELU_API cvxrelu_result cvxrelu_model_write(const cvxrelu_model *model, int strip,
                                               void *buffer, size_t *size) {
    unsigned char *at = (unsigned char *)buffer;
    size_t capacity;
    if (model == NULL || size == NULL) return CVXRELU_ERR_ARGUMENT;
    capacity = *size;
    *size = cvxr_model_send(model, strip, 0, NULL, NULL);
    if (buffer == NULL) return CVXRELU_OK;
    if (capacity < *size) return CVXRELU_ERR_ARGUMENT;
    (void)cvxr_model_send(model, strip, *size, cvxr_flush_memory, &at);
    return CVXRELU_OK;
}

CVXRELU_API cvxrelu_result cvxrelu_model_read(const void *buffer, size_t size,
                                              const cvxrelu_allocator *allocator,
                                              cvxrelu_model **model,
                                              char message[CVXRELU_MESSAGE_SIZE]) {
    const unsigned char *bytes = (const unsigned char *)buffer;
    cvxr_source source;
    cvxr_file_head head;
    cvxrelu_model *made;
    cvxrelu_result result;
    if (model == NULL) return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "model is NULL");
    *model = NULL;
    if (buffer == NULL) return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "buffer is NULL");
    if (allocator && (allocator->allocate == NULL) != (allocator->release == NULL))
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "the allocator needs both functions or neither");
    result = cvxr_file_check(bytes, size, message);
    if (result) return result;
    source.at = bytes + sizeof cvxr_file_magic;
    source.end = bytes + size - 4;
    source.failed = 0;
    cvxr_source_head(&source, &head);
    if (source.failed || !cvxr_head_decode(&head) || !cvxr_head_agrees(&head, size))
        return cvxr_fail(message, CVXRELU_ERR_CORRUPT,
                         "the fields of the model contradict one another");
    made = cvxr_model_new(allocator, head.d, head.info.features, head.info.outputs,
                          head.info.neurons, head.gates);
    if (made == NULL)
        return cvxr_fail(message, CVXRELU_ERR_MEMORY, "no memory for a model of %z neurons and "
                         "%z columns", head.info.neurons, head.info.features);
    made->info = head.info;
    made->recipe = head.recipe;
    result = cvxr_source_body(&source, &head, made);
    if (result) {
        cvxrelu_model_free(made);
        return cvxr_fail(message, result, result == CVXRELU_ERR_CORRUPT
                         ? "the model holds a number or a text that no model has"
                         : "no memory for the model's text or proof");
    }
    cvxr_model_map(made);
    *model = made;
    return CVXRELU_OK;
}

/* ---- Public: files. */

#ifndef CVXRELU_NO_STDIO
static int cvxr_flush_file(void *to, const unsigned char *bytes, size_t count) {
    return fwrite(bytes, 1, count, (FILE *)to) == count;
}

/* Writes the model to `aside`, complete and closed; 0 when anything failed. */
static int cvxr_save_aside(const cvxrelu_model *model, int strip, const char *aside) {
    size_t total = cvxr_model_send(model, strip, 0, NULL, NULL);
    FILE *file = fopen(aside, "wb");
    int whole;
    if (file == NULL) return 0;
    whole = cvxr_model_send(model, strip, total, cvxr_flush_file, file) == total;
    if (fflush(file) != 0) whole = 0;
    if (fclose(file) != 0) whole = 0;
    if (!whole) (void)remove(aside);
    return whole;
}

static int cvxr_rename_over(const char *from, const char *to) {
#ifdef _WIN32
    if (rename(from, to) == 0) return 1;      /* its rename replaces no file */
    (void)remove(to);
#endif
    return rename(from, to) == 0;
}

CVXRELU_API cvxrelu_result cvxrelu_model_save(const cvxrelu_model *model, int strip,
                                              const char *path,
                                              char message[CVXRELU_MESSAGE_SIZE]) {
    cvxrelu_result result = CVXRELU_OK;
    cvxr_mem mem;
    size_t length;
    char *aside;
    if (model == NULL || path == NULL)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "model or path is NULL");
    length = strlen(path);
    cvxr_mem_init(&mem, &model->mem.user, 0);
    aside = (char *)cvxr_alloc(&mem, length + 5, 1);
    if (aside == NULL) return cvxr_mem_result(&mem, message);
    memcpy(aside, path, length);
    memcpy(aside + length, ".tmp", 5);
    if (!cvxr_save_aside(model, strip, aside)) {
        result = cvxr_fail(message, CVXRELU_ERR_IO, "%s cannot be written (is there room, and "
                           "may files be made there?)", aside);
    } else if (!cvxr_rename_over(aside, path)) {
        (void)remove(aside);
        result = cvxr_fail(message, CVXRELU_ERR_IO, "%s cannot be renamed to %s", aside, path);
    }
    cvxr_release(&mem, aside, length + 5, 1);
    return result;
}

/* The file's bytes after a look at its head, so that a file of another kind costs no memory. */
static cvxrelu_result cvxr_load_bytes(FILE *file, cvxr_mem *mem, unsigned char **bytes,
                                      size_t *size, char *message) {
    unsigned char head[8];
    long length;
    size_t got = fread(head, 1, sizeof head, file);
    if (ferror(file)) return cvxr_fail(message, CVXRELU_ERR_IO, "the file cannot be read");
    if (got < sizeof head || memcmp(head, cvxr_file_magic, got) != 0)
        return cvxr_file_check(head, got, message);
    if (fseek(file, 0, SEEK_END) != 0 || (length = ftell(file)) < (long)got ||
        fseek(file, 0, SEEK_SET) != 0)
        return cvxr_fail(message, CVXRELU_ERR_IO, "the length of the file cannot be found");
    *bytes = (unsigned char *)cvxr_alloc(mem, (size_t)length, 1);
    if (*bytes == NULL) return cvxr_mem_result(mem, message);
    *size = (size_t)length;
    if (fread(*bytes, 1, *size, file) != *size)
        return cvxr_fail(message, CVXRELU_ERR_IO, "the file cannot be read");
    return CVXRELU_OK;
}

CVXRELU_API cvxrelu_result cvxrelu_model_load(const char *path,
                                              const cvxrelu_allocator *allocator,
                                              cvxrelu_model **model,
                                              char message[CVXRELU_MESSAGE_SIZE]) {
    char why[CVXRELU_MESSAGE_SIZE];
    cvxrelu_result result;
    unsigned char *bytes = NULL;
    size_t size = 0;
    cvxr_mem mem;
    FILE *file;
    if (model) *model = NULL;
    if (model == NULL || path == NULL)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "model or path is NULL");
    if (allocator && (allocator->allocate == NULL) != (allocator->release == NULL))
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "the allocator needs both functions or neither");
    file = fopen(path, "rb");
    if (file == NULL) return cvxr_fail(message, CVXRELU_ERR_IO, "%s cannot be opened", path);
    cvxr_mem_init(&mem, allocator, 0);
    result = cvxr_load_bytes(file, &mem, &bytes, &size, why);
    (void)fclose(file);
    if (!result) result = cvxrelu_model_read(bytes, size, allocator, model, why);
    cvxr_release(&mem, bytes, size, 1);
    return result ? cvxr_fail(message, result, "%s: %s", path, why) : CVXRELU_OK;
}
#else
CVXRELU_API cvxrelu_result cvxrelu_model_save(const cvxrelu_model *model, int strip,
                                              const char *path,
                                              char message[CVXRELU_MESSAGE_SIZE]) {
    (void)model, (void)strip, (void)path;
    return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED,
                     "files need stdio: built with CVXRELU_NO_STDIO");
}

CVXRELU_API cvxrelu_result cvxrelu_model_load(const char *path,
                                              const cvxrelu_allocator *allocator,
                                              cvxrelu_model **model,
                                              char message[CVXRELU_MESSAGE_SIZE]) {
    (void)path, (void)allocator;
    if (model) *model = NULL;
    return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED,
                     "files need stdio: built with CVXRELU_NO_STDIO");
}
#endif

/* ---- Verification. In units of n c times the objective, for one output, with b = Y_k,
   lam = lambda n c, r = b - A u, g_i = X^T D_i r, and the dual point s r:

       primal  ||r||^2/2 + lam Omega(u)
       norms   s = min(1, lam / Omega*(A^T r))
               gap = (1-s)^2 ||r||^2/2 + sum over groups of (lam Omega(u_i) - s <u_i, g_i>)
       l2      Omega = ||u||^2/2
               gap = (1-s)^2 ||r||^2/2 + ||lam u - s g||^2/(2 lam), the best s has a closed form
       ReLU    A u = sum_j s_j max(0, X v_j), Omega = sum ||v_j||, and Omega* is the largest
               ||Proj_{K_i}(+-g_i)||, which ||+-g_i + Xt_i^T gamma|| bounds for any gamma >= 0;
               gap = (1-s)^2 ||r||^2/2 + sum_j (lam ||v_j|| - s <s_j max(0, X v_j), r>)

   Every term is >= 0 and dual bound = objective - gap. The dual point 0 proves the bound 0, so
   no gap exceeds the objective. The patterns are those of the recipe and, should one be missing
   there, the neurons' own: the network is feasible and the bound true for any data.          */

#define CVXR_CHECK_BLOCK 32
#define CVXR_CHECK_CONE  1e-9  /* a weight that violates more of a cone is not in it */

typedef struct cvxr_check {
    const cvxrelu_model *model;
    double lambda;
    cvxr_mem mem;
    cvxr_team team;
    cvxr_data data;
    cvxr_patterns patterns;        /* none for a stripped model                               */
    const double *u, *g;           /* m x d, in the coordinates of data                       */
    size_t words, count;           /* words of a mask; patterns of both kinds                 */
    size_t real_count, index_count;
    uint64_t *extra;               /* masks of neurons whose pattern is not in patterns       */
    size_t *index;                 /* where (m), next (m), head (count): neurons of a pattern */
    size_t *where, *next, *head;
    double *real;                  /* one block of all that follows                           */
    double *V;                     /* 2c x n: residuals, then targets                         */
    double *block;                 /* CVXR_CHECK_BLOCK x 2c x d: X^T D_p v                    */
    double *column;                /* 2c x d: norms over patterns of the entries of X^T D v   */
    double *widest, *peak;         /* 2c each: largest ||X^T D_p v||_2, largest entry         */
    double *column_u, *column_ug;  /* c x d: norms and products of the columns of U           */
    double *inner;                 /* m: <u, g>; ReLU: <s max(0, X v), r>                     */
    double *inverse;               /* ReLU, n: 1/||x_i||, 0 for a zero row                    */
    double *cone;                  /* ReLU, 2c: largest dual norm; of residuals at least lam  */
    double *slot_cone;             /* ReLU, CVXR_CHECK_BLOCK x 2c: those of the block         */
    double *nnls;                  /* ReLU, tasks x 2 d (d + 2): see cvxr_nnls                */
    size_t *rows;                  /* ReLU, tasks x d                                         */
    double violation;              /* ReLU: of the constraints, the largest                   */
    size_t first, slots;           /* of the block at work                                    */
    size_t tasks;                  /* that project at once                                    */
} cvxr_check;

static const uint64_t *cvxr_check_mask(const cvxr_check *k, size_t p) {
    if (p < k->patterns.count) return k->patterns.bits + p * k->words;
    return k->extra + (p - k->patterns.count) * k->words;
}

static int cvxr_check_active(const uint64_t *mask, size_t i) {
    return (int)(mask[i / 64] >> (i % 64) & 1);
}

/* Weights or gates in the model's coordinates to those of the data: the same function of x. */
static void cvxr_check_convert(const cvxr_check *k, size_t count, const double *from,
                               double *to) {
    const cvxrelu_model *model = k->model;
    size_t i, j, b = model->info.features, d = model->d;
    for (i = 0; i < count; i++, from += d, to += d) {
        double bias = d > b ? from[b] / model->scales[b] : 0.0;
        for (j = 0; j < b; j++) {
            double weight = from[j] / model->scales[j];
            bias += weight * (k->data.shift[j] - model->shift[j]);
            to[j] = weight * k->data.scales[j];
        }
        if (d > b) to[b] = bias * k->data.scales[b];
    }
}

static int cvxr_check_same_coordinates(const cvxr_check *k) {
    size_t j;
    for (j = 0; j < k->model->d; j++)
        if (k->data.shift[j] != k->model->shift[j] || k->data.scales[j] != k->model->scales[j])
            return 0;
    return 1;
}

/* The problem that the model answers, on the data given. */
static cvxrelu_result cvxr_check_data(cvxr_check *k, const cvxrelu_matrix *X,
                                      const cvxrelu_matrix *Y, char *message) {
    const cvxrelu_model *model = k->model;
    const cvxrelu_model_info *info = &model->info;
    cvxrelu_problem problem;
    cvxrelu_result result;
    size_t i, j;
    if (X->cols != info->features)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "X has %z columns, the model was "
                         "trained on %z", X->cols, info->features);
    memset(&problem, 0, sizeof problem);
    problem.X = *X;
    problem.Y = *Y;
    problem.lambda = k->lambda;
    problem.kind = info->kind;
    problem.task = info->task;
    problem.loss = info->loss;
    problem.penalty = info->penalty;
    problem.scale = info->scale;
    problem.no_bias = !info->has_bias;
    result = cvxr_data_make(&k->mem, &problem, &k->data, message);
    if (result) return result;
    if (k->data.c != info->outputs || k->data.classes != info->classes)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, info->classes
                         ? "Y has labels of %z classes, the model was trained on %z"
                         : "Y has %z columns, the model was trained on %z",
                         info->classes ? k->data.classes : k->data.c,
                         info->classes ? info->classes : info->outputs);
    for (j = 0; j < k->data.c; j++)
        for (i = 0; i < k->data.n; i++) k->data.Y[j * k->data.n + i] -= model->y_shift[j];
    return CVXRELU_OK;
}

static cvxrelu_result cvxr_check_patterns(cvxr_check *k, char *message) {
    const cvxrelu_model *model = k->model;
    cvxrelu_gates recipe = model->recipe;
    cvxrelu_result result;
    double *gates = NULL;
    size_t count = model->gate_count * model->d;
    k->words = (k->data.n + 63) / 64;
    if (!model->info.has_recipe) return CVXRELU_OK;
    if (recipe.sampler == CVXRELU_SAMPLER_GIVEN) {
        if (model->gates == NULL)
            return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED, "the model lacks its gates");
        if (!cvxr_check_same_coordinates(k)) {
            gates = (double *)cvxr_alloc(&k->mem, count, sizeof(double));
            if (gates == NULL) return cvxr_mem_result(&k->mem, message);
            cvxr_check_convert(k, model->gate_count, model->gates, gates);
        }
        memset(&recipe.given, 0, sizeof recipe.given);
        recipe.given.data = gates ? gates : model->gates;
        recipe.given.rows = model->gate_count;
        recipe.given.cols = model->d;
        recipe.given_scaled = 1;
    }
    result = cvxr_patterns_by(&k->team, &k->mem, &k->data, &recipe, &k->patterns, message);
    cvxr_release(&k->mem, gates, count, sizeof(double));
    return result;
}

/* Takes all scratch; room for a pattern of every neuron. */
static cvxrelu_result cvxr_check_allocate(cvxr_check *k, char *message) {
    size_t m = k->model->m, d = k->model->d, n = k->data.n, c = k->data.c;
    size_t reals = 0, whole = 0, masks = 0;
    int convert = !cvxr_check_same_coordinates(k), fits;
    double *at;
    if (k->model->info.kind == CVXRELU_RELU)
        k->tasks = cvxr_min_z(CVXR_CHECK_BLOCK, (size_t)k->team.threads);
    fits = cvxr_sum_product(&reals, 2 * c, n, 1) && cvxr_sum_product(&reals, 2 * c, d, 1) &&
           cvxr_sum_product(&reals, CVXR_CHECK_BLOCK * 2 * c, d, 1) &&
           cvxr_sum_product(&reals, 2 * c, d, 1) && cvxr_sum_product(&reals, 4, c, 1) &&
           cvxr_sum_product(&reals, 1, m, 1) &&
           (!convert || cvxr_sum_product(&reals, 2 * m, d, 1)) &&
           (!k->tasks || (cvxr_sum_product(&reals, n, 1, 1) &&
                          cvxr_sum_product(&reals, (CVXR_CHECK_BLOCK + 1) * 2, c, 1) &&
                          cvxr_sum_product(&reals, k->tasks * 2 * d, d + 2, 1) &&
                          cvxr_sum_product(&whole, k->tasks, d, 1))) &&
           cvxr_sum_product(&whole, 3, m, 1) &&
           cvxr_sum_product(&whole, 1, k->patterns.count, 1) &&
           cvxr_sum_product(&masks, m, k->words, 8);
    if (!fits) return cvxr_fail(message, CVXRELU_ERR_SIZE, "the data do not fit in size_t");
    k->real_count = reals;
    k->index_count = whole;
    k->real = (double *)cvxr_alloc_zero(&k->mem, reals, sizeof(double));
    k->index = (size_t *)cvxr_alloc_zero(&k->mem, whole, sizeof(size_t));
    k->extra = (uint64_t *)cvxr_alloc_zero(&k->mem, m * k->words, sizeof(uint64_t));
    if (k->mem.failed) return cvxr_mem_result(&k->mem, message);
    k->where = k->index, k->next = k->where + m, k->head = k->next + m;
    at = k->real;
    k->V = at, at += 2 * c * n;
    k->column = at, at += 2 * c * d;
    k->block = at, at += CVXR_CHECK_BLOCK * 2 * c * d;
    k->column_u = at, at += c * d;
    k->column_ug = at, at += c * d;
    k->widest = at, at += 2 * c;
    k->peak = at, at += 2 * c;
    k->inner = at, at += m;
    if (k->tasks) {
        k->inverse = at, at += n;
        k->cone = at, at += 2 * c;
        k->slot_cone = at, at += CVXR_CHECK_BLOCK * 2 * c;
        k->nnls = at, at += k->tasks * 2 * d * (d + 2);
        k->rows = k->head + k->patterns.count + m;
    }
    k->u = k->model->u, k->g = k->model->g;
    if (!convert) return CVXRELU_OK;
    cvxr_check_convert(k, m, k->model->u, at);
    cvxr_check_convert(k, m, k->model->g, at + m * d);
    k->u = at, k->g = at + m * d;
    return CVXRELU_OK;
}

/* The rows where x.w >= 0, or x.w <= 0 for way = -1. */
static void cvxr_check_signs(const cvxr_check *k, const double *w, double way,
                             uint64_t *mask) {
    size_t i, q;
    memset(mask, 0, k->words * sizeof(uint64_t));
    for (i = 0; i < k->data.n; i++) {
        const double *x = k->data.X + i * k->data.dp;
        double sum = 0.0;
        for (q = 0; q < k->data.d; q++) sum += x[q] * w[q];
        if (way * sum >= 0.0) mask[i / 64] |= (uint64_t)1 << (i % 64);
    }
}

/* How far the v of neuron j is outside the cone of a pattern: the largest
   -t_i x_i.v / (||x_i|| ||v||), t_i = +1 for an active row, -1 for another; 0 when inside. */
static double cvxr_check_outside(const cvxr_check *k, size_t j, const uint64_t *mask) {
    const double *u = k->u + j * k->data.d;
    double norm = cvxr_safe_norm(u, k->data.d), most = 0.0;
    size_t i, q;
    for (i = 0; i < k->data.n && norm > 0.0; i++) {
        const double *x = k->data.X + i * k->data.dp;
        double sum = 0.0;
        for (q = 0; q < k->data.d; q++) sum += x[q] * (u[q] / norm);
        if (cvxr_check_active(mask, i) == (k->model->sign[j] > 0)) sum = -sum;
        most = cvxr_max(most, sum * k->inverse[i]);
    }
    return most;
}

/* The pattern of neuron j: the one of its number if that has the bits of its gate (ReLU: if its
   v lies in that cone), else an extra one by the gate (ReLU: by v itself, where v is outside of
   that cone too, as on other data). */
static size_t cvxr_check_locate(cvxr_check *k, size_t j) {
    size_t q = k->model->pattern[j], d = k->model->d, known = k->patterns.count;
    size_t bytes = k->words * sizeof(uint64_t);
    uint64_t *mask = k->extra + (k->count - known) * k->words;
    double off = DBL_MAX;
    int sign = k->model->sign[j];
    if (sign && q < known) off = cvxr_check_outside(k, j, cvxr_check_mask(k, q));
    if (off > CVXR_CHECK_CONE) {
        cvxr_check_signs(k, k->g + j * d, 1.0, mask);
        if (sign) off = cvxr_min(off, cvxr_check_outside(k, j, mask));
    } else memcpy(mask, cvxr_check_mask(k, q), bytes);
    if (sign) k->violation = cvxr_max(k->violation, off);
    if (sign && off > CVXR_CHECK_CONE) cvxr_check_signs(k, k->u + j * d, sign, mask);
    if (q < known && memcmp(cvxr_check_mask(k, q), mask, bytes) == 0) return q;
    for (q = known; q < k->count; q++)
        if (memcmp(cvxr_check_mask(k, q), mask, bytes) == 0) return q;
    return k->count++;
}

/* What neuron j adds to its output on row i. */
static double cvxr_check_value(const cvxr_check *k, size_t j, size_t i) {
    const double *x = k->data.X + i * k->data.dp, *u = k->u + j * k->data.d;
    double sum = 0.0;
    int sign = k->model->sign[j];
    size_t q;
    if (!sign && !cvxr_check_active(cvxr_check_mask(k, k->where[j]), i)) return 0.0;
    for (q = 0; q < k->data.d; q++) sum += x[q] * u[q];
    return sign * sum < 0.0 ? 0.0 : sum;
}

/* Finds every neuron's pattern, and the residuals that the neurons leave. */
static void cvxr_check_neurons(cvxr_check *k) {
    size_t i, j, q, n = k->data.n, m = k->model->m;
    k->count = k->patterns.count;
    memcpy(k->V, k->data.Y, k->data.c * n * sizeof(double));
    memcpy(k->V + k->data.c * n, k->data.Y, k->data.c * n * sizeof(double));
    for (i = 0; i < n && k->tasks; i++) {
        double norm = cvxr_safe_norm(k->data.X + i * k->data.dp, k->data.d);
        k->inverse[i] = norm > 0.0 ? 1.0 / norm : 0.0;
    }
    for (j = 0; j < m; j++) {
        double *r = k->V + k->model->output[j] * n;
        k->where[j] = cvxr_check_locate(k, j);
        for (i = 0; i < n; i++) r[i] -= cvxr_check_value(k, j, i);
    }
    for (j = 0; j < m && k->tasks; j++) {
        const double *r = k->V + k->model->output[j] * n;
        for (i = 0; i < n; i++) k->inner[j] += cvxr_check_value(k, j, i) * r[i];
    }
    for (q = 0; q < k->count; q++) k->head[q] = m;            /* m ends a list */
    for (j = m; j-- > 0;) k->next[j] = k->head[k->where[j]], k->head[k->where[j]] = j;
}

/* X^T D_p v for the residual and the targets of every output, p = first + slot. */
static void cvxr_check_gradient(void *arg, size_t slot) {
    cvxr_check *k = (cvxr_check *)arg;
    size_t i, q, v, n = k->data.n, d = k->model->d, vectors = 2 * k->data.c;
    const uint64_t *mask = cvxr_check_mask(k, k->first + slot);
    double *out = k->block + slot * vectors * d;
    memset(out, 0, vectors * d * sizeof(double));
    for (i = 0; i < n; i++) {
        const double *x = k->data.X + i * k->data.dp;
        if (!cvxr_check_active(mask, i)) continue;
        for (v = 0; v < vectors; v++) {
            double scale = k->V[v * n + i], *to = out + v * d;
            for (q = 0; q < d; q++) to[q] += scale * x[q];
        }
    }
}

/* ---- The dual norm of a cone, by non-negative least squares [LH74]: the norm of the
   projection of z on {v : t_i x_i.v >= 0} is the least ||z + sum gamma_i t_i x_i|| over gamma
   >= 0. Whatever gamma it ends with, the norm is an upper bound. */

typedef struct cvxr_nnls {
    const cvxr_check *k;
    const uint64_t *mask;
    const double *z;
    size_t count, *rows;           /* the positive gamma, at most d: their rows               */
    double *Q, *R;                 /* d x d: the rows t x / ||x|| as columns = Q^T R          */
    double *y, *gamma, *trial, *v; /* d: -Q z; gamma; least squares without a sign; z + ..    */
} cvxr_nnls;

/* Appends a row with gamma 0; 0 when it depends on those there. */
static int cvxr_nnls_push(cvxr_nnls *s, size_t row) {
    size_t i, q, d = s->k->data.d, last = s->count;
    const double *x = s->k->data.X + row * s->k->data.dp;
    double *to = s->Q + last * d, sum, norm;
    int pass;
    if (last == d) return 0;
    norm = cvxr_check_active(s->mask, row) ? s->k->inverse[row] : -s->k->inverse[row];
    for (q = 0; q < d; q++) to[q] = x[q] * norm;
    for (i = 0; i < last; i++) s->R[i * d + last] = 0.0;
    for (pass = 0; pass < 2; pass++)
        for (i = 0; i < last; i++) {
            for (sum = 0.0, q = 0; q < d; q++) sum += s->Q[i * d + q] * to[q];
            for (q = 0; q < d; q++) to[q] -= sum * s->Q[i * d + q];
            s->R[i * d + last] += sum;
        }
    norm = cvxr_safe_norm(to, d);
    if (!(norm > 1e-11)) return 0;
    s->R[last * d + last] = norm;
    for (sum = 0.0, q = 0; q < d; q++) to[q] /= norm, sum -= to[q] * s->z[q];
    s->y[last] = sum;
    s->gamma[last] = 0.0;
    s->rows[last] = row;
    s->count++;
    return 1;
}

/* The share of the way to trial after which gamma_i vanishes; above 1 when it does not. */
static double cvxr_nnls_ratio(const cvxr_nnls *s, size_t i) {
    if (s->trial[i] > 0.0) return 2.0;
    return s->gamma[i] > 0.0 ? s->gamma[i] / (s->gamma[i] - s->trial[i]) : 0.0;
}

/* The least squares over the rows there, and from it the largest step that keeps gamma >= 0;
   rows whose gamma vanishes leave, until none does. */
static void cvxr_nnls_settle(cvxr_nnls *s) {
    size_t i, j, count, d = s->k->data.d;
    double step, left;
    for (;;) {
        for (i = s->count; i-- > 0;) {
            double sum = s->y[i];
            for (j = i + 1; j < s->count; j++) sum -= s->R[i * d + j] * s->trial[j];
            s->trial[i] = sum / s->R[i * d + i];
        }
        for (step = 1.0, i = 0; i < s->count; i++)
            step = cvxr_min(step, cvxr_nnls_ratio(s, i));
        for (count = 0, i = 0; i < s->count; i++) {
            left = s->gamma[i] + step * (s->trial[i] - s->gamma[i]);
            if (cvxr_nnls_ratio(s, i) <= step || !(left > 0.0)) continue;
            s->rows[count] = s->rows[i];
            s->trial[count++] = left;
        }
        if (count == s->count) break;
        s->count = 0;
        for (i = 0; i < count; i++)
            if (cvxr_nnls_push(s, s->rows[i])) s->gamma[s->count - 1] = s->trial[i];
    }
    memcpy(s->gamma, s->trial, s->count * sizeof(double));
}

/* v = z + sum gamma t x / ||x||; returns its norm. */
static double cvxr_nnls_norm(cvxr_nnls *s) {
    const cvxr_data *data = &s->k->data;
    size_t i, q;
    memcpy(s->v, s->z, data->d * sizeof(double));
    for (i = 0; i < s->count; i++) {
        size_t row = s->rows[i];
        const double *x = data->X + row * data->dp;
        double by = s->gamma[i] * s->k->inverse[row];
        if (!cvxr_check_active(s->mask, row)) by = -by;
        for (q = 0; q < data->d; q++) s->v[q] += by * x[q];
    }
    return cvxr_safe_norm(s->v, data->d);
}

/* The row whose constraint v violates most; n when none is violated by more than `least`. */
static size_t cvxr_nnls_worst(const cvxr_nnls *s, double least) {
    const cvxr_data *data = &s->k->data;
    size_t i, q, worst = data->n;
    for (i = 0; i < data->n; i++) {
        const double *x = data->X + i * data->dp;
        double sum = 0.0;
        for (q = 0; q < data->d; q++) sum += x[q] * s->v[q];
        sum *= s->k->inverse[i];
        if (cvxr_check_active(s->mask, i)) sum = -sum;
        if (sum > least) least = sum, worst = i;
    }
    return worst;
}

/* ||Proj z|| to rounding, or an upper bound of it once that is at most `enough`. */
static double cvxr_nnls_run(cvxr_nnls *s, double enough) {
    size_t d = s->k->data.d, round, row;
    double best = cvxr_safe_norm(s->z, d), least = 1e-12 * best, norm;
    s->count = 0;
    memcpy(s->v, s->z, d * sizeof(double));
    for (round = 0; best > enough && round < 10 * d + 100; round++) {
        row = cvxr_nnls_worst(s, least);
        if (row == s->k->data.n || !cvxr_nnls_push(s, row)) break;
        cvxr_nnls_settle(s);
        norm = cvxr_nnls_norm(s);
        if (!(norm < best)) break;                     /* rounding: no further */
        best = norm;
    }
    return best;
}

/* Every tasks-th slot from `task` on: the dual norms over both signs of its pattern's cone. */
static void cvxr_check_cones(void *arg, size_t task) {
    cvxr_check *k = (cvxr_check *)arg;
    size_t slot, v, q, d = k->data.d, vectors = 2 * k->data.c;
    cvxr_nnls s;
    memset(&s, 0, sizeof s);
    s.k = k;
    s.rows = k->rows + task * d;
    s.Q = k->nnls + task * 2 * d * (d + 2);
    s.R = s.Q + d * d, s.y = s.R + d * d;
    s.gamma = s.y + d, s.trial = s.gamma + d, s.v = s.trial + d;
    for (slot = task; slot < k->slots; slot += k->tasks)
        for (v = 0; v < vectors; v++) {
            double *z = k->block + (slot * vectors + v) * d, most = k->cone[v];
            int sign;
            s.mask = cvxr_check_mask(k, k->first + slot);
            s.z = z;
            for (sign = 0; sign < 2; sign++) {             /* z, then -z, then z again */
                if (k->lambda > 0.0 || v >= k->data.c)
                    most = cvxr_max(most, cvxr_nnls_run(&s, most));
                for (q = 0; q < d; q++) z[q] = -z[q];
            }
            k->slot_cone[slot * vectors + v] = most;
        }
}

/* Adds pattern p, whose gradients lie in `slot`, to the norms and to its neurons' products. */
static void cvxr_check_absorb(cvxr_check *k, size_t p, size_t slot) {
    size_t j, q, v, d = k->model->d, vectors = 2 * k->data.c;
    const double *G = k->block + slot * vectors * d;
    int over_patterns = k->model->info.penalty == CVXRELU_PENALTY_FEATURE ||
                        k->model->info.penalty == CVXRELU_PENALTY_L2;
    for (v = 0; v < vectors; v++) {
        k->widest[v] = cvxr_max(k->widest[v], cvxr_safe_norm(G + v * d, d));
        if (k->tasks) k->cone[v] = cvxr_max(k->cone[v], k->slot_cone[slot * vectors + v]);
        for (q = 0; q < d; q++) {
            k->peak[v] = cvxr_max(k->peak[v], fabs(G[v * d + q]));
            if (over_patterns) k->column[v * d + q] = hypot(k->column[v * d + q], G[v * d + q]);
        }
    }
    for (j = k->head[p]; j < k->model->m && !k->tasks; j = k->next[j]) {
        const double *u = k->u + j * d, *g = G + k->model->output[j] * d;
        double *column_u = k->column_u + k->model->output[j] * d;
        double *column_ug = k->column_ug + k->model->output[j] * d;
        for (q = 0; q < d; q++) {
            k->inner[j] += u[q] * g[q];
            if (!over_patterns) continue;
            column_u[q] = hypot(column_u[q], u[q]);
            column_ug[q] += u[q] * g[q];
        }
    }
}

static void cvxr_check_sweep(cvxr_check *k) {
    size_t slot, o, c = k->data.c;
    for (o = 0; o < c && k->tasks; o++)
        k->cone[o] = k->lambda * (double)k->data.n * (double)c;
    for (k->first = 0; k->first < k->count; k->first += k->slots) {
        k->slots = cvxr_min_z(CVXR_CHECK_BLOCK, k->count - k->first);
        cvxr_team_run(&k->team, k->slots, cvxr_check_gradient, k);
        if (k->tasks) cvxr_team_run(&k->team, k->tasks, cvxr_check_cones, k);
        for (slot = 0; slot < k->slots; slot++) cvxr_check_absorb(k, k->first + slot, slot);
    }
}

/* Dual norm of A^T v: v < c the residuals, from c on the targets. For l2 the 2-norm. ReLU: of
   residuals at least lam. */
static double cvxr_check_dual_norm(const cvxr_check *k, size_t v) {
    size_t q, d = k->model->d;
    const double *column = k->column + v * d;
    cvxrelu_penalty penalty = k->model->info.penalty;
    double largest = 0.0;
    if (k->tasks) return k->cone[v];
    if (penalty == CVXRELU_PENALTY_NEURON) return k->widest[v];
    if (penalty == CVXRELU_PENALTY_L1) return k->peak[v];
    if (penalty == CVXRELU_PENALTY_L2) return cvxr_safe_norm(column, d);
    for (q = 0; q < d; q++) largest = cvxr_max(largest, column[q]);
    return largest;
}

/* Penalty of output o without lambda; the sum over its groups of lam Omega(u) - s <u, g>. */
static double cvxr_check_groups(const cvxr_check *k, size_t o, double lam, double s,
                                double *gap) {
    size_t j, q, d = k->model->d;
    double sum = 0.0, size;
    *gap = 0.0;
    if (k->model->info.penalty == CVXRELU_PENALTY_FEATURE) {
        for (q = o * d; q < (o + 1) * d; q++) {
            sum += k->column_u[q];
            *gap += cvxr_max(0.0, lam * k->column_u[q] - s * k->column_ug[q]);
        }
        return sum;
    }
    for (j = 0; j < k->model->m; j++) {
        if (k->model->output[j] != o) continue;
        size = cvxr_safe_norm(k->u + j * d, d);
        if (k->model->info.penalty == CVXRELU_PENALTY_L1)
            for (size = 0.0, q = 0; q < d; q++) size += fabs(k->u[j * d + q]);
        sum += size;
        *gap += cvxr_max(0.0, lam * size - s * k->inner[j]);
    }
    return sum;
}

/* Squared l2: penalty ||u||^2/2, and the gap at the best s, where ||g||^2/lam = weight. */
static double cvxr_check_l2(const cvxr_check *k, size_t o, double lam, double rr, double *gap) {
    size_t j, d = k->model->d;
    double norm = cvxr_check_dual_norm(k, o) / sqrt(lam), weight = norm * norm;
    double uu = 0.0, ug = 0.0, size, s = 0.0;
    for (j = 0; j < k->model->m; j++) {
        if (k->model->output[j] != o) continue;
        size = cvxr_safe_norm(k->u + j * d, d);
        uu += size * size;
        ug += k->inner[j];
    }
    if (!cvxr_finite(weight)) weight = 0.0;        /* then only s = 0 is in reach */
    else if (rr + weight > 0.0) s = cvxr_max(0.0, (rr + ug) / (rr + weight));
    *gap = (1.0 - s) * (1.0 - s) * rr / 2.0 + (lam * uu - 2.0 * s * ug + s * s * weight) / 2.0;
    *gap = cvxr_max(0.0, *gap);
    return uu / 2.0;
}

/* Adds output o to objective, gap (absolute), lambda_max and stationarity of the report. */
static void cvxr_check_output(const cvxr_check *k, size_t o, double X_norm,
                              cvxrelu_report *report) {
    size_t i, n = k->data.n;
    double units = (double)n * (double)k->data.c, lam = k->lambda * units;
    double most = cvxr_check_dual_norm(k, o), s = most <= lam ? 1.0 : lam / most;
    double slack = most <= lam ? 0.0 : (most - lam) / most, rr = 0.0, penalty = 0.0, gap = 0.0;
    double y_norm;
    const double *r = k->V + o * n;
    int is_norm = k->model->info.penalty != CVXRELU_PENALTY_L2;
    for (i = 0; i < n; i++) rr += r[i] * r[i];
    if (k->lambda > 0.0 && is_norm) {
        penalty = cvxr_check_groups(k, o, lam, s, &gap);
        gap += slack * slack * rr / 2.0;
    } else if (k->lambda > 0.0) penalty = cvxr_check_l2(k, o, lam, rr, &gap);
    report->objective += rr / 2.0 / units + k->lambda * penalty;
    report->gap += gap / units;
    report->train_error += rr / units;
    most = is_norm ? cvxr_check_dual_norm(k, k->data.c + o) : 0.0;
    report->lambda_max = cvxr_max(report->lambda_max, most / units);
    y_norm = cvxr_safe_norm(k->V + (k->data.c + o) * n, n);
    if (X_norm > 0.0 && y_norm > 0.0)
        report->stationarity = cvxr_max(report->stationarity, k->widest[o] / X_norm / y_norm);
}

/* Share of the rows whose class differs from the label; a tie goes to the lower class. */
static double cvxr_check_wrong(const cvxr_check *k) {
    size_t i, o, n = k->data.n, c = k->data.c, wrong = 0;
    for (i = 0; i < n; i++) {
        double best = 0.0, top = 0.0;
        size_t guess = 0, truth = 0;
        for (o = 0; o < c; o++) {
            double y = k->data.Y[o * n + i], h = y - k->V[o * n + i];
            if (c == 1) guess = h > 0.0, truth = y > 0.0;
            else if (o == 0 || h > best) best = h, guess = o;
            if (c > 1 && (o == 0 || y > top)) top = y, truth = o;
        }
        wrong += guess != truth;
    }
    return (double)wrong / (double)n;
}

static cvxrelu_result cvxr_check_report(const cvxr_check *k, cvxrelu_report *report) {
    size_t i, o;
    double X_norm = 0.0;
    for (i = 0; i < k->data.n; i++)
        X_norm = hypot(X_norm, cvxr_safe_norm(k->data.X + i * k->data.dp, k->data.d));
    for (o = 0; o < k->data.c; o++) cvxr_check_output(k, o, X_norm, report);
    if (!cvxr_finite(report->objective) || !cvxr_finite(report->gap)) {
        memset(report, 0, sizeof *report);
        return cvxr_fail(report->message, CVXRELU_ERR_NUMERIC, "the objective overflows");
    }
    if (k->data.classes) report->train_error = cvxr_check_wrong(k);
    report->has_bound = k->lambda > 0.0 || report->objective == 0.0;
    report->gap = cvxr_min(report->gap, report->objective);
    report->dual_bound = report->has_bound ? report->objective - report->gap : 0.0;
    report->gap = report->gap > 0.0 ? report->gap / report->objective : 0.0;
    report->scope = k->model->info.has_recipe ? CVXRELU_SCOPE_PATTERNS : CVXRELU_SCOPE_KEPT;
    report->constraint_violation = k->violation;
    report->n = k->data.n;
    report->d = k->data.d;
    report->c = k->data.c;
    report->patterns = k->count;
    report->near_ties = k->patterns.near_ties;
    report->lambda = k->lambda;
    report->neurons = k->model->m;
    report->threads = k->team.threads;
    report->peak_bytes = k->mem.peak;
    return CVXRELU_OK;
}

static void cvxr_check_close(cvxr_check *k) {
    cvxr_release(&k->mem, k->real, k->real_count, sizeof(double));
    cvxr_release(&k->mem, k->index, k->index_count, sizeof(size_t));
    cvxr_release(&k->mem, k->extra, k->model->m * k->words, sizeof(uint64_t));
    cvxr_patterns_free(&k->mem, &k->patterns);
    cvxr_data_free(&k->mem, &k->data);
}

static double cvxr_check_clock(const cvxrelu_options *options) {
    if (options && options->clock.seconds) return options->clock.seconds(options->clock.user);
    return cvxr_clock_default(NULL);
}

static cvxrelu_result cvxr_check_open(cvxr_check *k, const cvxrelu_model *model, double lambda,
                                      const cvxrelu_options *options, char *message) {
    const cvxrelu_allocator *allocator = options ? &options->allocator : NULL;
    memset(k, 0, sizeof *k);
    if (model == NULL) return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "model is NULL");
    if (!cvxr_finite(lambda))
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "lambda is %g: it must be a number >= "
                         "0, or negative for the model's own", lambda);
    if (allocator && (allocator->allocate == NULL) != (allocator->release == NULL))
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "the allocator needs both functions or neither");
    if (model->info.loss != CVXRELU_LOSS_SQUARED ||
        (model->info.kind == CVXRELU_RELU && model->info.penalty != CVXRELU_PENALTY_NEURON))
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED, "only models with the squared loss "
                         "can be verified, ReLU ones with the neuron penalty");
    k->model = model;
    k->lambda = lambda < 0.0 ? model->info.lambda : lambda;
    k->team.threads = options && options->threads > 1 ? options->threads : 1;
    if (options) k->team.hook = options->parallel;
    cvxr_mem_init(&k->mem, allocator, options ? options->memory_limit : 0);
    return CVXRELU_OK;
}

CVXRELU_API cvxrelu_result cvxrelu_verify(const cvxrelu_model *model, cvxrelu_matrix X,
                                          cvxrelu_matrix Y, double lambda,
                                          const cvxrelu_options *options,
                                          cvxrelu_report *report) {
    cvxr_check k;
    cvxrelu_result result;
    double start;
    if (report == NULL) return CVXRELU_ERR_ARGUMENT;
    memset(report, 0, sizeof *report);
    result = cvxr_check_open(&k, model, lambda, options, report->message);
    if (result) return result;
    start = cvxr_check_clock(options);
    result = cvxr_check_data(&k, &X, &Y, report->message);
    if (!result) result = cvxr_check_patterns(&k, report->message);
    if (!result) result = cvxr_check_allocate(&k, report->message);
    if (!result) {
        cvxr_check_neurons(&k);
        cvxr_check_sweep(&k);
        result = cvxr_check_report(&k, report);
    }
    cvxr_check_close(&k);
    if (!result) report->seconds = cvxr_check_clock(options) - start;
    return result;
}

#undef CVXR_CHECK_BLOCK
#undef CVXR_CHECK_CONE
#undef CVXR_FLAG_BIAS
#undef CVXR_FLAG_BOUND
#undef CVXR_FLAG_RECIPE
#undef CVXR_FLAG_GATES
#undef CVXR_FLAG_FLAT
#undef CVXR_FLAG_PROOF
#undef CVXR_FLAG_DECAY
#undef CVXR_FLAG_B2
#undef CVXR_FILE_VERSION
#undef CVXR_FILE_HEAD
#undef CVXR_FILE_HEAD_1
#undef CVXR_FILE_CHUNK

#endif
#if !defined(CVXR_TYPED)
#undef CVXR_REAL
#undef CVXR_T
#endif
#endif /* CVXRELU_IMPLEMENTATION */

/* ==== LICENCE ============================================================================
   This software is available under two licences: choose whichever you prefer.

   ALTERNATIVE A - MIT License. Copyright (c) 2026 the cvxrelu authors Permission is hereby
   granted, free of charge, to any person obtaining a copy of this software and associated
   documentation files (the "Software"), to deal in the Software without restriction,
   including without limitation the rights to use, copy, modify, merge, publish, distribute,
   sublicense, and/or sell copies of the Software, and to permit persons to whom the Software
   is furnished to do so, subject to the following conditions: The above copyright notice and
   this permission notice shall be included in all copies or substantial portions of the
   Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
   IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A
   PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS
   BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT,
   TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR
   OTHER DEALINGS IN THE SOFTWARE.

   ALTERNATIVE B - Public Domain (www.unlicense.org) This is free and unencumbered software
   released into the public domain. Anyone is free to copy, modify, publish, use, compile,
   sell, or distribute this software, either in source code form or as a compiled binary, for
   any purpose, commercial or non-commercial, and by any means. In jurisdictions that
   recognize copyright laws, the author or authors of this software dedicate any and all
   copyright interest in the software to the public domain. We make this dedication for the
   benefit of the public at large and to the detriment of our heirs and successors. We intend
   this dedication to be an overt act of relinquishment in perpetuity of all present and
   future rights to this software under copyright law. THE SOFTWARE IS PROVIDED "AS IS",
   WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
   WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO
   EVENT SHALL THE AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN
   ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
   SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE. */
