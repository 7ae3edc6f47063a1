/* cvxrelu.h - two-layer ReLU networks by convex optimisation, in one C header.          v0.1.0

   Trains gated ReLU networks to the global optimum of their (convex) training problem and hands
   back, with every network, a certificate: a lower bound on what any weights over the same
   gates can reach. There is no step size to tune and no start to draw. C99 and C++11; needs
   libm, nothing else.

   It does not: train more than one hidden layer, convolve, stream data that do not fit in
   memory, or choose features. It trains gated ReLU networks with the squared loss; networks of
   plain ReLU units (CVXRELU_RELU) are refused. The optimum is the one over the activation
   patterns that were sampled or given, not over all patterns; the report says so (scope).

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
     S12 CERTIFICATES                    S13 FIRST-ORDER METHODS
     S14 CERTIFIED NEWTON                S17 NETWORK
     S22 FIT, PATH, CROSS-VALIDATION     S24 SAVE, LOAD, VERIFY

     Entries of this manual: OBJECTIVE, CONCEPTS, GATES, SOLVERS, NEWTON, WORK, CONFIGURATION
     MACROS, MEMORY, ERRORS, THREADS AND DETERMINISM, CLOCK, BLAS, UNITS AND LAYOUTS,
     BIBLIOGRAPHY, HISTORY.

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

   SOLVERS
     NEWTON   semismooth Newton on the dual with a moving working set, one output after the
              other; for the neuron penalty. Always float64. 10 to 25 steps to a certified 1e-6
              on the problems of `make bench BENCH_ARGS=--quick`.
     FISTA    restarted accelerated proximal gradient [MSP22 4.1.1, G.1], all outputs together,
              for every penalty, in float32 or float64. The gap is looked at in iterations 1, 3
              and every tenth. For the other penalties, loose accuracies, tight memory,
              ablations. In float32 a gap of about 1e-5 is where it stalls.
     AUTO     NEWTON where the penalty is the neuron one and it fits memory_limit, else FISTA.
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
     ||X^T D_i xi|| > 0.8 lam, at most max(15 n/d, 2 |support|, 30), the largest first. A factor
     is n x n by the identity
         H = I + sigma (K o (E diag(a) E^T) + V diag(1-a) V^T),  K = X X^T, E the active masks,
         V = E o (X Zh),  a_i = 1 - sigma lam/||z_i||,  Zh the unit vectors z_i/||z_i||
     or (k d) x (k d) by Woodbury for k active groups, whichever costs less; options.max_factor
     caps the order and so the memory; without a factor CG goes on with a diagonal and a rank-d
     term. Where rounding in sigma w holds the end phase up, sigma is divided by 10. A run that
     ends without its proof hands back the point of least objective; one that stalled, or used
     up the default 500 steps, goes on by R-FISTA over its working set
     (at most 2000 iterations).

   WORK
     report.passes counts products X^T (D o r) and sum_i D_i X u_i over all P patterns, a
     product over some of them as that part. report.flops counts 2 n d a pattern of such a
     product, 2 n^2 k + n^3/3 an n x n factor for k active groups, n (k d)^2 + (k d)^3/3 a
     Woodbury factor, 2 n^2, or 4 n k d + 2 (k d)^2, a solve with one (4 n d before the first
     factor, which costs 2 n d (d + k)). These are the operations of dense algebra; the mask
     kernels of S08 do the same with n d P / 4 additions a pass, so flops / seconds can exceed
     the machine's peak. The report's own certificate is not counted.

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
     its first iteration, none inside the iterations (R-FISTA, when it takes over from Newton,
     takes its own after Newton's was given back); the model is allocated after them.
     cvxrelu_fit_bytes bounds a fit; cvxrelu_arena serves it from a buffer, so that a device
     without malloc can train. memory_limit makes the plan smaller (a smaller factor, then with
     AUTO FISTA) or is an error that names both numbers. It holds for the fit and one model;
     models that a path has handed back are not counted.
     The bound, in bytes, to within about a per cent (P = the gates drawn or given, dp = d
     rounded up to 8, W = min(P, max(2 n, 64), max_working_set), N = min(n, max_factor), e = 8,
     or 4 in float32; with FISTA and lambda = 0 weights and model have P in the place of W):
       data        8 n (dp + c)
       patterns    P (n/8 + 8 d), and while they are made 80 n + 32 P + 8 min(n, d) (d + 1)
       workspace   0.6 MB a thread (585728 bytes, whatever the problem), 4120 dp + 32 n
       weights     2 c W (8 dp + 16)
       model       8 P d + c W (32 d + 40); it counts only when larger than the solver
       Newton      8 N^2 + 8 dp (P + 16 W) + 3 n W/8 + 128 W + 16 P + 1136 n + 8 dp^2
       FISTA       4 c P dp e + (3 c + 1) n e + 8 n + 8 P; in float32 4 n dp more for X
       lambda = 0  24 P dp + 16 n
     In float32 dp is d rounded up to 16. A path may need the larger of several lines. A model
     that came back holds 8 P d for the gates of all patterns (none once loaded, unless they
     were given) and 32 d + 40 a neuron.

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
     hooks other than the loop bodies are called from the thread that called the library.
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
     the file of the implementation; dpotrf and spotrf stay NULL (CBLAS has none).

   UNITS AND LAYOUTS
     Matrices are row-major, strides count elements. cvxrelu_model_network: the weights W1 and
     gates G1, m rows of features + 1 numbers with the bias last, W2 (c x m) and b2 (c), the
     user's coordinates. cvxrelu_model_convex: U (c x P x d) and G (P x d), the solver's: (x_j -
     shift_j) / scale_j, bias last. lambda, objective and bounds are in the units of OBJECTIVE,
     bytes are bytes, times are seconds.

   BIBLIOGRAPHY
     [MSP22]  Mishkin, Sahiner, Pilanci: Fast Convex Optimization for Two-Layer ReLU Networks,
              ICML 2022.
     [PE20]   Pilanci, Ergen: Neural Networks are Convex Regularizers, ICML 2020.
     [SEPP21] Sahiner, Ergen, Pauly, Pilanci: Vector-output ReLU Neural Network Problems are
              Copositive Programs, ICLR 2021.
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
#define CVXRELU_VERSION_MINOR 1
#define CVXRELU_VERSION_PATCH 0
#define CVXRELU_VERSION       "0.1.0"

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
   contiguous. potrf returns 0, or the order of the leading minor that is not positive. Called
   from the thread that called the library.                                                   */
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
} cvxrelu_blas;

/* What a progress callback sees, for the strength being solved: NEWTON after every step (the
   bound moves with the products over all patterns, some steps apart), FISTA after every
   iteration, lambda = 0 after every step of conjugate gradients (objective and active are then
   those of the output at work). Borrowed for the callback. Called from the thread that called
   the library.                                                                               */
typedef struct cvxrelu_progress {
    int    iteration;      /* Newton steps so far, all outputs; FISTA's iteration, from 1; the
                              output's step at lambda = 0, from 0                             */
    double objective;      /* of the current iterate; outputs not begun count as they start   */
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
    CVXRELU_RELU = 1              /* ReLU; refused with CVXRELU_ERR_UNSUPPORTED               */
} cvxrelu_kind;
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
    cvxrelu_gates   gates;
} cvxrelu_problem;

/* ---- Options: a struct of zeros is a good configuration --------------------------------- */

typedef enum cvxrelu_solver {
    CVXRELU_SOLVER_AUTO = 0,       /* Newton for the neuron penalty if it fits, else FISTA    */
    CVXRELU_SOLVER_NEWTON = 1,     /* certified semismooth Newton; neuron penalty only        */
    CVXRELU_SOLVER_FISTA = 2       /* R-FISTA [MSP22 4.1.1, G.1], every penalty               */
} cvxrelu_solver;
typedef enum cvxrelu_step_rule {
    CVXRELU_STEP_TIGHTNESS = 0,    /* grow when the bound was loose [MSP22 eq. 8]             */
    CVXRELU_STEP_WARM = 1,         /* start from the last accepted step                       */
    CVXRELU_STEP_FORWARD = 2,      /* always grow first                                       */
    CVXRELU_STEP_FIXED = 3         /* step_first throughout, no line search; may diverge      */
} cvxrelu_step_rule;

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
                                      package: 1e-6)                                          */
    int      max_iters;            /* per strength: Newton steps for each output (0 = 500),
                                      FISTA iterations (0 = 20000), steps of conjugate gradients
                                      for each output at lambda = 0 (0 = 20000); < 0 is an
                                      error                                                   */
    double   time_limit;           /* seconds for the whole call, path and cross-validation too;
                                      looked at where progress is called; 0 = none, < 0 is an
                                      error; needs a clock                                    */
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
    double   stationarity;         /* max_{i,k} ||X^T D_i r_k|| / (||X||_F ||y_k||)           */
    double   subgradient;          /* squared norm of the minimum-norm subgradient            */
    size_t   neurons;              /* nonzero rows U_ik                                       */
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
 *            solver starts from (another strength, more time); not used at lambda = 0; borrowed
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
 *   UNSUPPORTED  kind RELU; NEWTON with another penalty; float32 left out of the build
 *   CLOCK        a time_limit without a clock
 *   SIZE, LIMIT, MEMORY   too large for size_t; for memory_limit; for the allocator
 * Cost: 2 n d flops a drawn gate, then report->flops; memory by the manual, MEMORY.
 * Threads: any number of fits at once. Source: [MSP22 eq. 3, Thm 2.2]; solvers as S13, S14 say.
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
 * Cost: K paths on n - n/K rows and a fit; memory 8 n (features + c) and a copy of the targets
 * beside a fit. Threads as cvxrelu_fit. Source: [HTF09 7.10].
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
    cvxrelu_sampler sampler;       /* of the recipe                                           */
    uint64_t seed;                 /* of the recipe                                           */
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
 * Cost: 4 m d flops, a few kilobytes of stack, no allocation. Lock-free, re-entrant. The
 * outputs on training rows are the solver's own to rounding.
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
 * h(x)_k = sum_j 1(G1_j.(x,1) >= 0) (W1_j.(x,1)) W2_kj + b2_k.
 *
 *   model   not NULL
 *   W1, G1  out, m x (features + 1), row-major, bias last (0 without): weights and gates
 *   W2      out, c x m, row-major; one nonzero a column
 *   b2      out, c: the means of centred targets, else 0
 *
 * Any out pointer may be NULL. Scaling and shift are folded in, so columns with a large offset
 * lose digits here that cvxrelu_model_predict keeps. Cost: the copies. Source: [MSP22 Thm 2.2].
 */
CVXRELU_API void cvxrelu_model_network(const cvxrelu_model *model, double *W1, double *G1,
                                       double *W2, double *b2);

/* cvxrelu_model_convex - copy the convex weights and the gates of all patterns, in the solver's
 * coordinates.
 *
 *   model  not NULL (ARGUMENT)
 *   U      out, or NULL: c x P x d, d = features + has_bias, bias last
 *   G      out, or NULL: P x d
 *
 * Returns CVXRELU_OK, or CVXRELU_ERR_UNSUPPORTED when the model holds no full set of gates: it
 * was read from a file or buffer and its gates were sampled or stripped. U and G are untouched
 * then.
 */
CVXRELU_API cvxrelu_result cvxrelu_model_convex(const cvxrelu_model *model, double *U,
                                                double *G);

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

/* ---- Save, load, verify (S24) ----------------------------------------------------------- */

/* cvxrelu_model_write - serialise a model: versioned, checksummed, the same bytes on every
 * machine; S24 describes them.
 *
 *   model   not NULL
 *   strip   nonzero: leave out the recipe of the patterns and given gates; a certificate can
 *           then be checked over the kept gates only
 *   buffer  out, or NULL to ask for the size
 *   size    in: capacity of buffer in bytes; out: bytes needed, always; not NULL
 *
 * Returns CVXRELU_OK, or CVXRELU_ERR_ARGUMENT for a NULL or a buffer that is too small
 * (untouched; *size says what it needs). Cost: linear, no allocation; about 16 d bytes a neuron
 * and, for given gates, 8 d a gate. Lock-free.
 */
CVXRELU_API cvxrelu_result cvxrelu_model_write(const cvxrelu_model *model, int strip,
                                               void *buffer, size_t *size);

/* cvxrelu_model_read - make a model of the bytes of cvxrelu_model_write. It predicts with the
 * same bits as the one written (same build).
 *
 *   buffer     borrowed for the call (it may be a constant in flash); any alignment
 *   size       its bytes, exactly
 *   allocator  of the model; NULL = malloc; copied
 *   model      out, not NULL: the caller's until cvxrelu_model_free; NULL on failure
 *   message    out, or NULL: the sentence when it fails
 *
 * Returns CVXRELU_OK; FORMAT when the bytes begin otherwise; UNSUPPORTED for another format
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
 * from the recipe; the kept gates of a stripped model).
 *
 *   model    not NULL
 *   X, Y     the data it was trained on, in the user's coordinates; borrowed. Other data of the
 *            same number of columns, outputs and classes make another problem, scaled anew,
 *            with patterns made anew: the network's objective and a true bound for that one
 *   lambda   finite; < 0: the model's
 *   options  NULL = defaults; allocator, memory_limit, threads, parallel and clock are used
 *   report   out, not NULL: stop is NONE; solver, tol and what only solvers count are 0;
 *            patterns includes those of neurons that the recipe no longer gives; train_error is
 *            that on X, Y; seconds is the whole call
 *
 * Returns CVXRELU_OK; ARGUMENT, NONFINITE, LABELS, PATTERNS, SIZE, LIMIT, MEMORY as
 * cvxrelu_fit; UNSUPPORTED when the model lacks its given gates; NUMERIC when the objective
 * overflows. On an error the report has the message only.
 * For CVXRELU_PENALTY_L2 the dual point is the best multiple of the residual: the bound may be
 * above the fit's.
 * Cost: 4 n d c flops a pattern; memory 8 n (dp + 3 c), the patterns, m n / 8 and 512 c d
 * bytes.
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
   columns), a packed strip of A (8 rows at most), one tile of C. CVXR_NC is a multiple of
   every tile width. */
#ifdef CVXRELU_SMALL
#define CVXR_KC_BYTES ((size_t)256)
#else
#define CVXR_KC_BYTES ((size_t)2048)
#endif
#define CVXR_NC       ((size_t)192)
#define CVXR_STRIP_AT (CVXR_KC_BYTES * CVXR_NC)
#define CVXR_TILE_AT  (CVXR_STRIP_AT + CVXR_KC_BYTES * 8)
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

/* Recursive factors and solves stop at this order; above it they cut at a multiple of it. */
#define CVXR_BASE_ORDER ((size_t)32)
static size_t cvxr_half_order(size_t n) {
    return (n / 2 + CVXR_BASE_ORDER - 1) / CVXR_BASE_ORDER * CVXR_BASE_ORDER;
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
#define CVXR_NR (3 * CVXR_VN) /* a tile of C: CVXR_MR rows of three vectors */
#if CVXR_ISA == 0 && CVXR_BASE == 1
#undef CVXR_NR
#define CVXR_NR 8
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
    size_t mr, nr;
    /* C (mr x nr) = alpha A B + beta C; a's element (i, p) at i ra + p ca, b packed, C unread
       if beta = 0 */
    void (*tile)(size_t k, const CVXR_REAL *a, size_t ra, size_t ca, const CVXR_REAL *b,
                 CVXR_REAL alpha, CVXR_REAL beta, CVXR_REAL *c, size_t ldc);
    /* packed[p nr + j] = element (j, p) of b at j sj + p sp; zeros for cols <= j < nr */
    void (*pack)(size_t k, size_t cols, const CVXR_REAL *b, size_t sj, size_t sp,
                 CVXR_REAL *packed);
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
                              const CVXR_REAL *b, CVXR_REAL alpha, CVXR_REAL beta, CVXR_REAL *c,
                              size_t ldc) {
    CVXR_REAL sum[CVXR_MR * CVXR_NR];
    size_t i, j;
    memset(sum, 0, sizeof sum);
    for (; k > 0; k--, a += ca, b += CVXR_NR)
        for (i = 0; i < CVXR_MR; i++)
            for (j = 0; j < CVXR_NR; j++) sum[i * CVXR_NR + j] += a[i * ra] * b[j];
    for (i = 0; i < CVXR_MR; i++, c += ldc)
        for (j = 0; j < CVXR_NR; j++) {
            CVXR_REAL s = alpha * sum[i * CVXR_NR + j];
            c[j] = beta == 0 ? s : beta * c[j] + s;
        }
}
#else
#define CVXR_ROW_CLEAR(i) CVXR_V x##i = zero, y##i = zero, z##i = zero;
#define CVXR_ROW_FETCH(i)                                                                      \
    CVXR_PREFETCH(c + i * ldc);                                                                \
    CVXR_PREFETCH(c + i * ldc + CVXR_NR - 1);
#define CVXR_ROW_MULTIPLY(i)                                                                   \
    v = CVXR_SET(a[i * ra]);                                                                   \
    x##i = CVXR_FMA(v, bx, x##i);                                                              \
    y##i = CVXR_FMA(v, by, y##i);                                                              \
    z##i = CVXR_FMA(v, bz, z##i);
#define CVXR_ROW_STORE(i)                                                                      \
    CVXR_STORE(c, CVXR_MUL(v, x##i));                                                          \
    CVXR_STORE(c + CVXR_VN, CVXR_MUL(v, y##i));                                                \
    CVXR_STORE(c + 2 * CVXR_VN, CVXR_MUL(v, z##i));                                            \
    c += ldc;
#define CVXR_ROW_ADD(i)                                                                        \
    CVXR_STORE(c, CVXR_FMA(bx, CVXR_LOAD(c), CVXR_MUL(v, x##i)));                              \
    CVXR_STORE(c + CVXR_VN, CVXR_FMA(bx, CVXR_LOAD(c + CVXR_VN), CVXR_MUL(v, y##i)));          \
    CVXR_STORE(c + 2 * CVXR_VN, CVXR_FMA(bx, CVXR_LOAD(c + 2 * CVXR_VN), CVXR_MUL(v, z##i)));  \
    c += ldc;
CVXR_TARGET static void CVXR_K(cvxr_tile)(size_t k, const CVXR_REAL *a, size_t ra, size_t ca,
                                          const CVXR_REAL *b, CVXR_REAL alpha, CVXR_REAL beta,
                                          CVXR_REAL *c, size_t ldc) {
    CVXR_V v, bx, by, bz, zero = CVXR_SET(0);
    CVXR_ROWS(CVXR_ROW_CLEAR)
    if (beta != 0) { CVXR_ROWS(CVXR_ROW_FETCH) }
    for (; k > 0; k--, a += ca, b += CVXR_NR) {
        bx = CVXR_LOAD(b);
        by = CVXR_LOAD(b + CVXR_VN);
        bz = CVXR_LOAD(b + 2 * CVXR_VN);
        CVXR_ROWS(CVXR_ROW_MULTIPLY)
    }
    v = CVXR_SET(alpha);
    bx = CVXR_SET(beta);
    if (beta == 0) {
        CVXR_ROWS(CVXR_ROW_STORE)
    } else {
        CVXR_ROWS(CVXR_ROW_ADD)
    }
}
#undef CVXR_ROW_CLEAR
#undef CVXR_ROW_FETCH
#undef CVXR_ROW_MULTIPLY
#undef CVXR_ROW_STORE
#undef CVXR_ROW_ADD
#endif

CVXR_TARGET static void CVXR_K(cvxr_pack)(size_t k, size_t cols, const CVXR_REAL *b, size_t sj,
                                          size_t sp, CVXR_REAL *packed) {
    size_t p = 0, q, j;
    if (cols == CVXR_NR && sj == 1) {
        for (; p < k; p++, b += sp, packed += CVXR_NR)
            for (j = 0; j < CVXR_NR; j += CVXR_VN) CVXR_STORE(packed + j, CVXR_LOAD(b + j));
        return;
    }
    for (; p + 8 <= k; p += 8, b += 8 * sp, packed += 8 * CVXR_NR)
        for (j = 0; j < CVXR_NR; j++) {
            const CVXR_REAL *from = b + j * sj;
            CVXR_REAL *to = packed + j;
            if (j < cols)
                for (q = 0; q < 8; q++) to[q * CVXR_NR] = from[q * sp];
            else
                for (q = 0; q < 8; q++) to[q * CVXR_NR] = 0;
        }
    for (; p < k; p++, b += sp, packed += CVXR_NR)
        for (j = 0; j < CVXR_NR; j++) packed[j] = j < cols ? b[j * sj] : 0;
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
    CVXR_MR,           CVXR_NR,          CVXR_K(cvxr_tile),  CVXR_K(cvxr_pack),
    CVXR_K(cvxr_dots), CVXR_K(cvxr_dot), CVXR_K(cvxr_axpys), CVXR_K(cvxr_axpy),
    CVXR_K(cvxr_scale)
};

#undef CVXR_K
#undef CVXR_TARGET
#undef CVXR_MR
#undef CVXR_NR
#undef CVXR_ROWS
#undef CVXR_V
#undef CVXR_VN
#undef CVXR_LOAD
#undef CVXR_STORE
#undef CVXR_SET
#undef CVXR_FMA
#undef CVXR_MUL
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

/* A tile that sticks out of C or crosses the diagonal: the same operations on a copy. */
static void CVXR_T(cvxr_product_edge)(const CVXR_T(cvxr_product) *g, size_t k,
                                      const CVXR_REAL *a, size_t ra, size_t ca,
                                      const CVXR_REAL *b, CVXR_REAL beta, size_t i0,
                                      size_t rows, size_t j0, size_t cols, CVXR_REAL *tile) {
    size_t i, nr = g->kernels->nr, width;
    CVXR_REAL *c = g->C + i0 * g->ldc + j0;
    memset(tile, 0, g->kernels->mr * nr * sizeof *tile);
    for (i = 0; i < rows && beta != 0; i++) {
        width = g->lower ? cvxr_min_z(cols, i0 + i + 1 > j0 ? i0 + i + 1 - j0 : 0) : cols;
        memcpy(tile + i * nr, c + i * g->ldc, width * sizeof *c);
    }
    g->kernels->tile(k, a, ra, ca, b, g->alpha, beta, tile, nr);
    for (i = 0; i < rows; i++) {
        width = g->lower ? cvxr_min_z(cols, i0 + i + 1 > j0 ? i0 + i + 1 - j0 : 0) : cols;
        memcpy(c + i * g->ldc, tile + i * nr, width * sizeof *c);
    }
}

/* Rows i0 .. i0 + rows - 1 (at most mr) of the panel of columns j0 .. j1 - 1, terms p0 .. p0 +
   k - 1. */
static void CVXR_T(cvxr_product_strip)(const CVXR_T(cvxr_product) *g, size_t i0, size_t rows,
                                       size_t j0, size_t j1, size_t p0, size_t k, void *slice) {
    const size_t mr = g->kernels->mr, nr = g->kernels->nr;
    const CVXR_REAL *packed = (const CVXR_REAL *)slice, *a;
    CVXR_REAL *strip = (CVXR_REAL *)(void *)((unsigned char *)slice + CVXR_STRIP_AT);
    CVXR_REAL *tile = (CVXR_REAL *)(void *)((unsigned char *)slice + CVXR_TILE_AT);
    CVXR_REAL beta = p0 ? 1 : g->beta;
    size_t ra = g->lda, ca = 1, i, p, cols;
    a = g->ta ? g->A + p0 * g->lda + i0 : g->A + i0 * g->lda + p0;
    if (g->ta || rows < mr) {
        for (p = 0; p < k; p++)
            if (rows == 8) memcpy(strip + p * mr, a + p * g->lda, 8 * sizeof *a);
            else if (rows == mr && mr == 4)
                memcpy(strip + p * mr, a + p * g->lda, 4 * sizeof *a);
            else
                for (i = 0; i < mr; i++)
                    strip[p * mr + i] = i >= rows ? 0
                                        : g->ta   ? a[p * g->lda + i]
                                                  : a[i * g->lda + p];
        a = strip;
        ra = 1;
        ca = mr;
    }
    for (; j0 < j1; j0 += nr, packed += nr * k) {
        if (g->lower && j0 >= i0 + rows) break;
        cols = cvxr_min_z(nr, j1 - j0);
        if (rows == mr && cols == nr && (!g->lower || j0 + nr <= i0 + 1))
            g->kernels->tile(k, a, ra, ca, packed, g->alpha, beta, g->C + i0 * g->ldc + j0,
                             g->ldc);
        else CVXR_T(cvxr_product_edge)(g, k, a, ra, ca, packed, beta, i0, rows, j0, cols, tile);
    }
}

/* Rows r0 .. r1 - 1 and columns c0 .. c1 - 1 of C. r0 is a multiple of mr. */
static void CVXR_T(cvxr_product_range)(const CVXR_T(cvxr_product) *g, size_t r0, size_t r1,
                                       size_t c0, size_t c1, void *slice) {
    const size_t mr = g->kernels->mr, nr = g->kernels->nr;
    size_t p, k, i, j, j0, j1, sj = g->tb ? g->ldb : 1, sp = g->tb ? 1 : g->ldb;
    if (g->lower) c1 = cvxr_min_z(c1, r1);
    for (p = 0; p < g->k; p += k) {
        k = cvxr_min_z(CVXR_KC, g->k - p);
        for (j0 = c0; j0 < c1; j0 = j1) {
            CVXR_REAL *packed = (CVXR_REAL *)slice;
            j1 = cvxr_min_z(j0 + CVXR_NC, c1);
            for (j = j0; j < j1; j += nr, packed += nr * k)
                g->kernels->pack(k, cvxr_min_z(nr, j1 - j), g->B + j * sj + p * sp, sj, sp,
                                 packed);
            i = g->lower ? cvxr_max_z(r0, j0 / mr * mr) : r0;
            for (; i < r1; i += mr)
                CVXR_T(cvxr_product_strip)(g, i, cvxr_min_z(mr, r1 - i), j0, j1, p, k, slice);
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
   coupling by a product; the last 32 rows by combinations of rows. */

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

/* B (n x m) = op(L)^{-1} B for n <= CVXR_BASE_ORDER, 128 columns at a time. */
static void CVXR_T(cvxr_solve_base)(const CVXR_T(cvxr_kernels) *kernels, int trans, size_t n,
                                    size_t m, const CVXR_REAL *L, size_t ldl, CVXR_REAL *B,
                                    size_t ldb) {
    CVXR_REAL s[4];
    size_t step, i, j, r, cols, end;
    for (; m > 0; m -= cols, B += cols) {
        cols = cvxr_min_z(128, m);
        for (step = 0; step < n; step++) {
            CVXR_REAL *row;
            i = trans ? n - 1 - step : step;
            row = B + i * ldb;
            end = trans ? n : i;
            for (j = trans ? i + 1 : 0; j + 4 <= end; j += 4) {
                for (r = 0; r < 4; r++)
                    s[r] = trans ? -L[(j + r) * ldl + i] : -L[i * ldl + j + r];
                kernels->axpys(cols, s, B + j * ldb, ldb, row);
            }
            for (; j < end; j++)
                kernels->axpy(cols, trans ? -L[j * ldl + i] : -L[i * ldl + j], B + j * ldb,
                              row);
            kernels->scale(cols, 1 / L[i * ldl + i], row);
        }
    }
}

/* B (m x n) = B L^{-T} for n <= CVXR_BASE_ORDER: 64 rows at a time, transposed into the slice.
   */
static void CVXR_T(cvxr_solve_base_right)(const CVXR_T(cvxr_kernels) *kernels, size_t n,
                                          size_t m, const CVXR_REAL *L, size_t ldl,
                                          CVXR_REAL *B, size_t ldb, void *slice) {
    CVXR_REAL *turned = (CVXR_REAL *)slice;
    size_t i, j, rows;
    for (; m > 0; m -= rows, B += rows * ldb) {
        rows = cvxr_min_z(64, m);
        for (i = 0; i < rows; i++)
            for (j = 0; j < n; j++) turned[j * 64 + i] = B[i * ldb + j];
        CVXR_T(cvxr_solve_base)(kernels, 0, n, rows, L, ldl, turned, 64);
        for (i = 0; i < rows; i++)
            for (j = 0; j < n; j++) B[i * ldb + j] = turned[j * 64 + i];
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
        else CVXR_T(cvxr_solve_base)(s->kernels, s->trans, n, m, L, ldl, B, ldb);
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
    size_t from = cvxr_share(s->m, s->tasks, i, 64), to = cvxr_share(s->m, s->tasks, i + 1, 64);
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

/* Column by column, four rows at once; n <= CVXR_BASE_ORDER. A pivot must be positive and
   finite: NaN fails here. */
static size_t CVXR_T(cvxr_potrf_base)(const CVXR_T(cvxr_kernels) *kernels, size_t n,
                                      CVXR_REAL *A, size_t lda) {
    CVXR_REAL sums[4], pivot;
    size_t i, j, r, rows;
    for (j = 0; j < n; j++) {
        const CVXR_REAL *row = A + j * lda;
        pivot = row[j] - kernels->dot(j, row, row);
        if (!cvxr_finite((double)pivot) || !(pivot > 0)) return j + 1;
        A[j * lda + j] = (CVXR_REAL)sqrt((double)pivot);
        pivot = 1 / row[j];
        for (i = j + 1; i < n; i += rows) {
            CVXR_REAL *a = A + i * lda;
            rows = cvxr_min_z(4, n - i);
            if (rows == 4) kernels->dots(j, a, lda, row, sums);
            else
                for (r = 0; r < rows; r++) sums[r] = kernels->dot(j, a + r * lda, row);
            for (r = 0; r < rows; r++) a[r * lda + j] = (a[r * lda + j] - sums[r]) * pivot;
        }
    }
    return 0;
}

/* A = L L^T, lower triangle in place, the upper one untouched. Returns 0, or the 1-based index
   of the first pivot that is not positive and finite; then A holds a partial factor. */
CVXR_UNUSED static size_t CVXR_T(cvxr_potrf)(const cvxr_la *la, size_t n, CVXR_REAL *A,
                                             size_t lda) {
    size_t h = cvxr_half_order(n), fail;
    CVXR_REAL *A21;
    if (n == 0) return 0;
    if (la->blas && la->blas->CVXR_BLAS(potrf) && cvxr_hookable(n, lda, 0, 0, 0))
        return la->blas->CVXR_BLAS(potrf)(la->blas->context, 'U', n, A, lda);
    if (n <= CVXR_BASE_ORDER)
        return CVXR_T(cvxr_potrf_base)(CVXR_T(cvxr_kernels_for)(la), n, A, lda);
    A21 = A + h * lda;
    fail = CVXR_T(cvxr_potrf)(la, h, A, lda);
    if (fail) return fail;
    CVXR_T(cvxr_solve_run)(la, 0, 1, h, n - h, A, lda, A21, lda);
    CVXR_T(cvxr_syrk)(la, 0, n - h, h, -1, A21, lda, 1, A21 + h, lda);
    fail = CVXR_T(cvxr_potrf)(la, n - h, A21 + h, lda);
    return fail ? fail + h : 0;
}

/* x = (L L^T)^{-1} x. One pass over the rows of L down (dot products), one up (combinations of
   rows), four rows at a time: the speed is that of reading L twice. */
CVXR_UNUSED static void CVXR_T(cvxr_potrs)(const cvxr_la *la, size_t n, const CVXR_REAL *L,
                                           size_t ldl, CVXR_REAL *x) {
    const CVXR_T(cvxr_kernels) *kernels = CVXR_T(cvxr_kernels_for)(la);
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

static void cvxr_sort_rows(size_t n, double *w, double *V, size_t ldv) {
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
        for (q = 0; q < n; q++) {
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

/* Eigenvalues w (ascending) and eigenvectors (columns, in place of A) of the symmetric matrix
   whose lower triangle A holds. work: 2n doubles. Returns 1, or 0 when an entry is not finite
   or an eigenvalue needs more than 60 sweeps. */
CVXR_UNUSED static int cvxr_eigh(size_t n, double *A, size_t lda, double *w, double *work) {
    double *e = work, most = cvxr_matrix_most(1, n, n, A, lda);
    size_t i, j, l, m;
    int exponent = 0, sweeps;
    if (most < 0) return 0;
    if (most > 0) (void)frexp(most, &exponent);
    for (i = 0; i < n; i++)
        for (j = 0; j <= i; j++) A[i * lda + j] = ldexp(A[i * lda + j], -exponent);
    if (n == 0) return 1;
    cvxr_tridiagonal_reduce(n, A, lda, w, e);
    cvxr_tridiagonal_expand(n, A, lda, w, work + n);
    cvxr_transpose_square(n, A, lda);
    for (i = 1; i < n; i++) e[i - 1] = e[i];
    e[n - 1] = 0;
    for (l = 0; l < n; l++)
        for (sweeps = 0;; sweeps++) {
            for (m = l; m + 1 < n; m++)
                if (fabs(e[m]) <= 2.2204460492503131e-16 * (fabs(w[m]) + fabs(w[m + 1]))) break;
            if (m == l) break;
            if (sweeps == 60) return 0;
            cvxr_ql_sweep(l, m, w, e, n, A, lda);
        }
    cvxr_sort_rows(n, w, A, lda);
    cvxr_transpose_square(n, A, lda);
    for (i = 0; i < n; i++) w[i] = ldexp(w[i], exponent);
    return 1;
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
   into its own integers. potrf stays NULL: it is not in CBLAS. */
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
#undef CVXR_PREFETCH
#undef CVXR_KC_BYTES
#undef CVXR_NC
#undef CVXR_STRIP_AT
#undef CVXR_TILE_AT

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
    double *sum;                   /*   2 x CVXR_PANEL: products of two rows                  */
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
    reals = (CVXR_PANEL + 1) * n + (CVXR_PANEL + CVXR_PANEL / 2) * d + 2 * CVXR_PANEL;
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
    s->panel = s->real_block;              /* these two on cache lines                        */
    s->sum = s->panel + CVXR_PANEL * d;
    s->z = s->sum + 2 * CVXR_PANEL;
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

/* Products of a gate within rounding of zero. Excepted are rows that are zero on its support,
   in the solver's and in the caller's coordinates.                                           */
static size_t cvxr_near_ties(cvxr_sampling *s, const double *gate, const double *z) {
    const cvxr_data *data = s->data;
    double norm = cvxr_safe_norm(gate, data->d);
    size_t i, k, near_ties = 0, support = 0;
    int shifted = 0, listed = 0;
    for (i = 0; i < data->n; i++) {
        const double *x = data->X + i * data->dp;
        if (fabs(z[i]) > s->margin[i] * norm) continue;
        for (k = 0; k < data->d && !listed; k++) {
            if (gate[k] == 0) continue;
            s->used[support++] = k;
            shifted |= data->shift[k] != 0;
        }
        listed = 1;
        for (k = 0; k < support && x[s->used[k]] == 0; k++) {}
        if (k < support || shifted) near_ties++;
    }
    return near_ties;
}

/* ---- Products --------------------------------------------------------------------------- */

/* sum[b] = x . gate b, sum[CVXR_PANEL + b] = y . gate b, over the used columns in their order,
   so that equal rows have equal products, whatever they are paired with.                     */
#if defined(__GNUC__) || defined(__clang__)
typedef double cvxr_double2 __attribute__((vector_size(16), may_alias));

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

/* z = X times the panel. */
static void cvxr_panel_product(cvxr_sampling *s) {
    size_t n = s->data->n, dp = s->data->dp, i, b;
    double *z = s->z, *sum = s->sum;
    for (i = 0; i < n; i += 2) {
        const double *x = s->data->X + i * dp;
        cvxr_two_rows(x, i + 1 < n ? x + dp : x, s->used, s->used_count, s->panel, sum);
        for (b = 0; b < CVXR_PANEL; b++) z[b * n + i] = sum[b];
        for (b = 0; b < CVXR_PANEL && i + 1 < n; b++) z[b * n + i + 1] = sum[CVXR_PANEL + b];
    }
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

/* Finishes the gate of a slot, whose products are known. Returns 1 when every sign is certain;
   its pattern is then at place p.                                                            */
static int cvxr_settle(cvxr_sampling *s, size_t slot, size_t p) {
    size_t n = s->data->n, d = s->data->d;
    double *gate = s->out->gates + p * d, *z = s->z + slot * n;
    if (s->recipe->sampler == CVXRELU_SAMPLER_POINTS)
        cvxr_leave_points(s, gate, s->aim + slot * d, z, z + CVXR_PANEL / 2 * n);
    if (s->recipe->active_share > 0) cvxr_set_share(s, gate, z);
    if (cvxr_safe_norm(gate, d) == 0 || cvxr_near_ties(s, gate, z) > 0) return 0;
    cvxr_pack(z, n, s->out->bits + p * s->out->words);
    return 1;
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
        cvxr_panel_load(s, s->out->gates + first * s->data->d, count);
        cvxr_panel_product(s);
        for (slot = 0; slot < count; slot++)
            if (!s->accepted[slot] && cvxr_settle(s, slot, first + slot))
                s->accepted[slot] = 1, left--;
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
        memmove(out->bits + out->count * out->words, bits, out->words * sizeof(uint64_t));
        memmove(out->gates + out->count * out->d, out->gates + p * out->d,
                out->d * sizeof(double));
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
    size_t n = s->data->n, d = s->data->d, slot, count;
    for (; out->count < s->draws; out->count += count) {
        double *gates = out->gates + out->count * d;
        count = cvxr_min_z(CVXR_PANEL, s->draws - out->count);
        for (slot = 0; slot < count; slot++)
            if (!cvxr_given_gate(s, out->count + slot, gates + slot * d))
                return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "gate %z exceeds 1e150 in the "
                                 "coordinates of the scaled X: multiply it by a small positive "
                                 "number, only signs count", out->count + slot);
        cvxr_panel_load(s, gates, count);
        cvxr_panel_product(s);
        for (slot = 0; slot < count; slot++) {
            out->near_ties += cvxr_near_ties(s, gates + slot * d, s->z + slot * n);
            cvxr_pack(s->z + slot * n, n, out->bits + (out->count + slot) * out->words);
        }
    }
    return CVXRELU_OK;
}

/* ---- All -------------------------------------------------------------------------------- */

/* The patterns of a recipe on the data: the same for the same data and recipe. Sampled: gates
   in the order of drawing, equal patterns and the all-zero pattern dropped; a gate with an
   uncertain sign is drawn anew CVXR_REDRAWS times, then dropped. Given: all, as they are,
   near-ties counted.
   On an error nothing is held, out is zero and message says why.                             */
static cvxrelu_result cvxr_patterns_make(cvxr_mem *mem, const cvxr_data *data,
                                         const cvxrelu_gates *recipe, cvxr_patterns *out,
                                         char *message) {
    cvxr_sampling s;
    cvxrelu_result result;
    memset(out, 0, sizeof *out);
    result = cvxr_gates_check(data, recipe, message);
    if (result) return result;
    memset(&s, 0, sizeof s);
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

#undef CVXR_PANEL
#undef CVXR_REDRAWS

/* ==== S08 VECTORS AND MODEL OPERATOR =====================================================
   The only code that touches the n x P masks: forward sum_i D_i X u_i, gradient X^T (D_i r),
   the Gram pieces of Newton's matrix; and the few vector functions that first-order solvers
   need.

   Method (the "four Russians"): D is a matrix of bits, so D U and D^T (r o X) are sums of
   rows chosen by bits. Rows are taken four at a time; their 16 subset sums are tabulated
   once and every pattern (or data row) then adds one table row per four bits: n d P / 4
   additions a pass where a matrix product takes n d P multiply-adds, and no product with a
   zero. Tables for 32 rows and 256 bytes of columns stay in the first-level cache. One
   kernel, cvxr_table_add, serves all. The order of additions is fixed by the data, so
   results do not depend on threads. Uses S01, S02, S05-S07. Used by S10-S24. Tests:
   tests/test_s08_operator.c. Source: [ADKF70]; the Gram identity is [MSP22]'s expanded
   matrix M(X) written blockwise. */

#define CVXR_TILE        32 /* rows tabulated together: eight tables of four */
#define CVXR_TABLES      (CVXR_TILE / 4)
#ifdef CVXRELU_SMALL
#define CVXR_BLOCK 32 /* patterns, or half the data rows, that share the tables */
#else
#define CVXR_BLOCK 256
#endif
#define CVXR_CHUNK_BYTES 256 /* bytes of columns handled together */

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

/* The bits of patterns 32 g .. of the selection for rows 64 w .. 64 w + count - 1 (count <=
   64). */
static void cvxr_rows_of_word(const cvxr_op *op, const cvxr_select *s, size_t g, size_t w,
                              size_t count, uint32_t *out) {
    uint32_t rows[64];
    size_t q, b, j;
    memset(rows, 0, sizeof rows);
    for (q = 0; q < 4; q++) {
        uint64_t x[8], any = 0;
        for (j = 0; j < 8; j++) {
            size_t p = 32 * g + 8 * q + j;
            x[j] = p < s->count ? op->bits[cvxr_select_at(s, p) * op->words + w] : 0;
            any |= x[j];
        }
        if (any == 0) continue;
        for (b = 0; b < 8; b++) {
            uint64_t y = 0;
            for (j = 0; j < 8; j++) y |= (x[j] >> (8 * b) & 0xff) << (8 * j);
            y = cvxr_transpose8(y);
            for (j = 0; j < 8; j++)
                rows[8 * b + j] |= (uint32_t)(y >> (8 * j) & 0xff) << (8 * q);
        }
    }
    memcpy(out, rows, count * sizeof *out);
}

static size_t cvxr_select_words(size_t n, size_t count) { return n * ((count + 31) / 32); }

/* Fill s->row_words (cvxr_select_words entries) so that repeated forwards need no
   transposing. */
static void cvxr_select_rows(const cvxr_op *op, cvxr_select *s, uint32_t *row_words) {
    size_t g, w;
    for (g = 0; 32 * g < s->count; g++)
        for (w = 0; w < op->words; w++)
            cvxr_rows_of_word(op, s, g, w, cvxr_min_z(64, op->n - 64 * w),
                              row_words + g * op->n + 64 * w);
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

/* out[i] += <S_i, X_i> over width elements (a multiple of 8), in a fixed order. */
CVXR_TARGET static void CVXR_K(cvxr_row_dots)(size_t count, const CVXR_REAL *S, size_t lds,
                                              const CVXR_REAL *X, size_t ldx, size_t width,
                                              CVXR_REAL *out) {
    size_t i, j, k;
    for (i = 0; i < count; i++, S += lds, X += ldx) {
        CVXR_REAL a[8] = { 0, 0, 0, 0, 0, 0, 0, 0 };
        for (j = 0; j < width; j += 8)
            for (k = 0; k < 8; k++) a[k] += S[j + k] * X[j + k];
        out[i] += ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
    }
}
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

static void CVXR_T(cvxr_op_dots)(const cvxr_op *op, size_t count, const CVXR_REAL *S,
                                 size_t lds, const CVXR_REAL *X, size_t ldx, size_t width,
                                 CVXR_REAL *out) {
#if defined(__x86_64__) && CVXR_VECTORS
    if (op->isa == 2) CVXR_T(cvxr_row_dots_avx512)(count, S, lds, X, ldx, width, out);
    else if (op->isa == 1) CVXR_T(cvxr_row_dots_avx2)(count, S, lds, X, ldx, width, out);
    else
#endif
        CVXR_T(cvxr_row_dots_plain)(count, S, lds, X, ldx, width, out);
    (void)op;
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
    int spread;
    const double *a;
} CVXR_T(cvxr_job);

/* Gradient for the patterns of one block and one chunk of columns. */
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

static void CVXR_T(cvxr_gradient_task)(void *arg, size_t task) {
    const CVXR_T(cvxr_job) *job = (const CVXR_T(cvxr_job) *)arg;
    CVXR_T(cvxr_slice) part = CVXR_T(cvxr_op_part)(job->op, task);
    const size_t chunk = CVXR_CHUNK_BYTES / sizeof(CVXR_REAL), count = job->select->count;
    size_t p, c, end = cvxr_min_z(count, (task + 1) * job->share);
    for (c = 0; c < job->width; c += chunk)
        for (p = task * job->share; p < end; p += CVXR_BLOCK)
            CVXR_T(cvxr_gradient_block)
            (job, &part, p, cvxr_min_z(CVXR_BLOCK, end - p), c,
             cvxr_min_z(chunk, job->width - c));
}

/* Work is shared out in equal parts, one a thread; below this many additions it stays on
   one. */
static size_t CVXR_T(cvxr_op_tasks)(const cvxr_op *op, size_t items, double additions) {
    size_t threads = (size_t)op->team.threads;
    return additions < 4e5 || items < 64 ? 1 : cvxr_min_z(threads, items / 32);
}

/* out (select->count rows of op->dp, packed) = X^T (D_p o r). r NULL means ones. Cost: n dp
   count / 4 additions. */
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
    tasks = CVXR_T(cvxr_op_tasks)(op, select->count,
                                  (double)op->n * (double)op->dp * (double)select->count / 4);
    job.share = (select->count + tasks - 1) / tasks;
    cvxr_team_run(&op->team, tasks, CVXR_T(cvxr_gradient_task), &job);
}

/* Sums of one block of rows (at most 2 CVXR_BLOCK) and one chunk of columns: D U restricted
   to them. */
static void CVXR_T(cvxr_forward_sums)(const CVXR_T(cvxr_job) * job,
                                      const CVXR_T(cvxr_slice) * part, size_t i0, size_t count,
                                      size_t c0, size_t width) {
    const cvxr_op *op = job->op;
    const cvxr_select *s = job->select;
    size_t g, j, w;
    memset(part->sums, 0, count * width * sizeof(CVXR_REAL));
    for (g = 0; CVXR_TILE * g < s->count; g++) {
        const CVXR_REAL *rows[CVXR_TILE];
        const uint32_t *words = part->words;
        size_t m = cvxr_min_z(CVXR_TILE, s->count - CVXR_TILE * g);
        for (j = 0; j < m; j++) {
            size_t p = CVXR_TILE * g + j;
            rows[j] = job->U + (job->spread ? cvxr_select_at(s, p) : p) * op->dp + c0;
        }
        CVXR_T(cvxr_op_build)(op, m, rows, NULL, width, part->tables);
        if (s->row_words) words = s->row_words + g * op->n + i0;
        else
            for (w = 0; w < count; w += 64)
                cvxr_rows_of_word(op, s, g, (i0 + w) / 64, cvxr_min_z(64, count - w),
                                  part->words + w);
        CVXR_T(cvxr_op_add)
        (op, count, words, (m + 3) / 4, part->tables, width, part->sums, width);
    }
}

static void CVXR_T(cvxr_forward_task)(void *arg, size_t task) {
    const CVXR_T(cvxr_job) *job = (const CVXR_T(cvxr_job) *)arg;
    const cvxr_op *op = job->op;
    CVXR_T(cvxr_slice) part = CVXR_T(cvxr_op_part)(op, task);
    const size_t chunk = CVXR_CHUNK_BYTES / sizeof(CVXR_REAL);
    size_t i, c, end = cvxr_min_z(op->n, (task + 1) * job->share);
    for (i = task * job->share; i < end; i += 2 * CVXR_BLOCK) {
        size_t count = cvxr_min_z(2 * CVXR_BLOCK, end - i);
        memset(job->out + i, 0, count * sizeof(CVXR_REAL));
        for (c = 0; c < op->dp; c += chunk) {
            size_t width = cvxr_min_z(chunk, op->dp - c);
            CVXR_T(cvxr_forward_sums)(job, &part, i, count, c, width);
            CVXR_T(cvxr_op_dots)
            (op, count, part.sums, width, job->X + i * op->dp + c, op->dp, width, job->out + i);
        }
    }
}

/* out (n) = sum_p D_p X u_p over the selection. Rows of U are packed in its order, or with
   `spread` at the patterns' own places. Cost: n dp count / 4 additions. */
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

/* ==== S12 CERTIFICATES ===================================================================
   What a fit carries from solver to solver (cvxr_core), and the certificate of a weight
   matrix over its patterns, always in float64: with theta = -f'(A u), g_i = X^T D_i theta, s
   = min(1, lam / max ||g_i||)

       gap = f(A u) + f*(-s theta) + s <theta, A u>  +  sum_i (lam ||u_i|| - s <u_i, g_i>)

   Both parts are >= 0 and nothing cancels; dual bound = objective - gap. For the squared
   loss the first is (1-s)^2 ||r||^2 / 2. Squared l2 has no ball: s = 1 and the second part
   is ||lam U - G||^2 / (2 lam). Uses S05-S10. Used by S13-S22. Tests:
   tests/test_s12_certificates.c. Source: [MSP22 eq. 3], its Fenchel dual; no exact equation
   of the papers has the form with s. */

typedef struct cvxr_core {
    cvxr_mem *mem;
    const cvxr_data *data;
    const cvxr_patterns *patterns;
    const cvxrelu_options *opt; /* resolved: no zeros that mean a default */
    const cvxr_loss_table *loss;
    const cvxr_penalty_table *penalty;
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

/* The non-zero groups of all outputs, sorted by output, then pattern. */
typedef struct cvxr_weights {
    size_t m, capacity, dp;
    size_t *output, *pattern;
    double *u; /* m x dp */
} cvxr_weights;

/* Where the certificate finds the weights of one output: P x dp of the work type, or m
   sorted rows. */
typedef struct cvxr_rows {
    const cvxr_space *space;
    const void *dense;
    size_t ld; /* row stride of dense */
    size_t m;
    const size_t *pattern;
    const double *u;
} cvxr_rows;

typedef struct cvxr_certificate {
    double objective, dual_bound,
        gap;             /* in objective units; gap relative */
    double subgradient;  /* squared minimum norm, objective units */
    double gradient_max; /* largest dual norm of a gradient group, sum units */
    double stationarity;
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
    return core->mem->failed == CVXRELU_OK;
}

static void cvxr_core_close(cvxr_core *core) {
    const size_t n = core->data->n, dp = core->data->dp;
    const int threads = core->opt->threads;
    cvxr_release(core->mem, core->la.work, 1, cvxr_la_work_bytes(threads));
    cvxr_release(core->mem, core->panel_index, CVXR_BLOCK, sizeof(size_t));
    cvxr_release(core->mem, core->columns, 3 * dp, sizeof(double));
    cvxr_release(core->mem, core->theta, n, sizeof(double));
    cvxr_release(core->mem, core->z, n, sizeof(double));
    cvxr_release(core->mem, core->panel, 2 * CVXR_BLOCK * dp, sizeof(double));
    cvxr_release(core->mem, core->op.work, (size_t)threads, cvxr_op_slice());
}

static size_t cvxr_weights_bytes(size_t capacity, size_t dp) {
    return 2 * cvxr_bytes(capacity, sizeof(size_t)) + cvxr_bytes(capacity * dp, sizeof(double));
}

static int cvxr_weights_open(cvxr_mem *mem, cvxr_weights *w, size_t capacity, size_t dp) {
    size_t all;
    memset(w, 0, sizeof *w);
    w->capacity = capacity;
    w->dp = dp;
    if (!cvxr_size_mul(capacity, dp, &all)) all = SIZE_MAX;
    w->output = (size_t *)cvxr_alloc(mem, capacity, sizeof(size_t));
    w->pattern = (size_t *)cvxr_alloc(mem, capacity, sizeof(size_t));
    w->u = (double *)cvxr_alloc(mem, all, sizeof(double));
    return mem->failed == CVXRELU_OK;
}

static void cvxr_weights_close(cvxr_mem *mem, cvxr_weights *w) {
    cvxr_release(mem, w->u, w->capacity * w->dp, sizeof(double));
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
    rows.u = w->u + first * w->dp;
    return rows;
}

/* The non-zero rows of patterns p0 .. p1-1 into index and U (packed float64); returns how
   many. *cursor walks a sorted list and starts at 0. */
static size_t cvxr_rows_panel(const cvxr_rows *rows, size_t dp, size_t p0, size_t p1,
                              size_t *cursor, size_t *index, double *U) {
    size_t p, count = 0;
    if (rows->dense == NULL) {
        for (; *cursor < rows->m && rows->pattern[*cursor] < p1; ++*cursor, count++) {
            index[count] = rows->pattern[*cursor];
            memcpy(U + count * dp, rows->u + *cursor * dp, dp * sizeof(double));
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
    cvxr_sweep_rows(core, rows, core->theta, core->lam, &sums);
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
        cvxr_sweep_rows(core, &none, core->theta, core->lam, &sums);
        if (sums.most > 64 * DBL_EPSILON * sqrt(size * cvxr_sum_squares(n, y, NULL)))
            most = cvxr_max(most, sums.most);
    }
    return core->penalty->is_norm ? most / core->units : 0;
}

/* ==== S13 FIRST-ORDER METHODS ============================================================
   R-FISTA for every penalty, all outputs together [MSP22 4.1.1, G.1]; and the minimum-norm
   least squares of lambda = 0 by conjugate gradients.

   Objective F(U) = f(U) + lambda R(U) in the manual's units. One iteration:
       u' = prox_{eta lambda R}(y - eta f'(y));
           eta shrinks by beta until f(u') <= Q_{y,eta}(u')                           (eq. 7)
       omega = ||u' - y||^2 / (2 eta (f(u') - l_y(u')));
           eta grows by alpha when omega >= c; as printed, eta + (1 - alpha) eta would
           shrink it                                                                  (eq. 8)
       restart when <u' - u, y - u'> > 0 (printed with the sign of the second factor reversed)
       y = u' + (t - 1)/t' (u' - u)
   f(u') - l_y(u') is taken as the loss's excess, so it never cancels. Predictions are
   extrapolated with the weights: an iteration costs one gradient and one forward a trial
   step. Uses S08-S12. Used by S14, S22. Tests: tests/test_s13_fista.c. */

#define CVXR_PATIENCE 200 /* checks without a smaller gap or objective before it has stalled */

typedef struct cvxr_fista {
    cvxr_core *core;
    size_t per, size, rows; /* weights of one output, of all; c n */
    void *U, *Y, *G, *V;    /* c x P x dp of the work type */
    void *zU, *zY, *zV, *r; /* c x n (r: n) */
    double *z64;            /* n: a second prediction in float64 */
    size_t *index;          /* P: non-zero groups */
    double eta, t, omega;
    double objective, least; /* of U; the least so far */
    size_t active;
    int iteration, kept; /* kept: the iterate of `least` is in the weights, not in U */
    double best_gap,
        best_value; /* at the last check that was better than those before */
    int idle;       /* checks since then */
} cvxr_fista;

static unsigned char *cvxr_at(void *base, size_t element, size_t size) {
    return (unsigned char *)base + element * size;
}

static size_t cvxr_fista_bytes(size_t n, size_t dp, size_t c, size_t P, size_t element) {
    return 4 * cvxr_bytes(c * P * dp, element) + 3 * cvxr_bytes(c * n, element)
           + cvxr_bytes(n, element) + cvxr_bytes(n, sizeof(double))
           + cvxr_bytes(P, sizeof(size_t));
}

static int cvxr_fista_open(cvxr_fista *s, cvxr_core *core) {
    const size_t element = core->space->size;
    cvxr_mem *mem = core->mem;
    memset(s, 0, sizeof *s);
    s->core = core;
    s->per = core->patterns->count * core->op_work.dp;
    s->size = core->data->c * s->per;
    s->rows = core->data->c * core->data->n;
    s->U = cvxr_alloc_zero(mem, s->size, element);
    s->Y = cvxr_alloc_zero(mem, s->size, element);
    s->G = cvxr_alloc(mem, s->size, element);
    s->V = cvxr_alloc(mem, s->size, element);
    s->zU = cvxr_alloc_zero(mem, s->rows, element);
    s->zY = cvxr_alloc_zero(mem, s->rows, element);
    s->zV = cvxr_alloc(mem, s->rows, element);
    s->r = cvxr_alloc(mem, core->data->n, element);
    s->z64 = (double *)cvxr_alloc(mem, core->data->n, sizeof(double));
    s->index = (size_t *)cvxr_alloc(mem, core->patterns->count, sizeof(size_t));
    s->eta = core->opt->step_first;
    s->t = 1;
    s->best_gap = s->best_value = HUGE_VAL;
    return mem->failed == CVXRELU_OK;
}

static void cvxr_fista_close(cvxr_fista *s) {
    const size_t element = s->core->space->size, n = s->core->data->n;
    cvxr_mem *mem = s->core->mem;
    cvxr_release(mem, s->index, s->core->patterns->count, sizeof(size_t));
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

/* G = -f'(Y) = sum over outputs of X^T D theta / (n c). */
static void cvxr_fista_gradient(cvxr_fista *s) {
    cvxr_core *core = s->core;
    const size_t element = core->space->size, n = core->data->n;
    size_t k, i;
    cvxr_select all;
    memset(&all, 0, sizeof all);
    all.count = core->patterns->count;
    for (k = 0; k < core->data->c; k++) {
        core->space->to_f64(n, cvxr_at(s->zY, k * n, element), core->z);
        core->loss->dual(n, core->z, core->data->Y + k * n, core->theta);
        for (i = 0; i < n; i++) core->theta[i] /= core->units;
        core->space->from_f64(n, core->theta, s->r);
        core->space->gradient(&core->op_work, &all, s->r, cvxr_at(s->G, k * s->per, element));
    }
}

/* f(V) - f(Y) - <f'(Y), V - Y> in the manual's units. */
static double cvxr_fista_excess(cvxr_fista *s) {
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

/* V = prox(Y + eta G) and its prediction. */
static void cvxr_fista_trial(cvxr_fista *s) {
    cvxr_core *core = s->core;
    const size_t element = core->space->size;
    size_t k;
    memcpy(s->V, s->Y, s->size * element);
    core->space->axpby(s->size, s->eta, s->G, 1.0, s->V);
    for (k = 0; k < core->data->c; k++)
        cvxr_prox(core->penalty, core->type, core->patterns->count, core->op_work.dp,
                  cvxr_at(s->V, k * s->per, element), s->eta * core->lambda);
    s->active = cvxr_fista_forward(s, s->V, s->zV);
}

/* Line search along the arc: 0 when no step is small enough (rounding rules). */
static int cvxr_fista_search(cvxr_fista *s) {
    const cvxrelu_options *opt = s->core->opt;
    const double slack = 1 + (s->core->type == CVXRELU_FLOAT64 ? 1e-12 : 1e-4);
    if (opt->step_rule == CVXRELU_STEP_FORWARD
        || (opt->step_rule == CVXRELU_STEP_TIGHTNESS && s->omega >= opt->step_threshold))
        s->eta *= opt->step_grow;
    for (;;) {
        double excess, moved;
        cvxr_fista_trial(s);
        if (opt->step_rule == CVXRELU_STEP_FIXED) return 1;
        excess = cvxr_fista_excess(s);
        moved = s->core->space->dot(s->size, s->V, s->Y, s->V, s->Y);
        if (excess <= moved / (2 * s->eta) * slack) {
            s->omega = excess > 0 ? moved / (2 * s->eta * excess) : HUGE_VAL;
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

/* Objective of U from the predictions at hand. */
static double cvxr_fista_objective(cvxr_fista *s) {
    cvxr_core *core = s->core;
    const size_t element = core->space->size, n = core->data->n;
    double loss = 0, penalty = 0;
    size_t k;
    for (k = 0; k < core->data->c; k++) {
        core->space->to_f64(n, cvxr_at(s->zU, k * n, element), core->z);
        loss += core->loss->value(n, core->z, core->data->Y + k * n);
        penalty += cvxr_penalty_value(core->penalty, core->type, core->patterns->count,
                                      core->op_work.dp, cvxr_at(s->U, k * s->per, element));
    }
    return loss / core->units + core->lambda * penalty;
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
static void cvxr_fista_watch(cvxr_fista *s, cvxr_weights *weights) {
    double now = cvxr_fista_objective(s);
    if (!(now <= s->least * (1 + 1e-13)) && !s->kept) {
        cvxr_fista_keep(s, s->V, weights);
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
    memcpy(s->Y, s->U, s->size * element);
    memcpy(s->zY, s->zU, s->rows * element);
    s->least = cvxr_fista_objective(s);
    s->kept = 1;
}

/* Look at the gap, or only at the objective, and at the caller's wishes: why to stop, or
   NONE. */
static cvxrelu_stop cvxr_fista_check(cvxr_fista *s) {
    cvxr_core *core = s->core;
    const cvxrelu_options *opt = core->opt;
    cvxr_certificate check;
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

/* Run from *weights, which is replaced by the result. Returns why it stopped. */
static cvxrelu_stop cvxr_fista_solve(cvxr_core *core, cvxr_weights *weights) {
    cvxrelu_stop stop = CVXRELU_STOP_NONE;
    cvxr_fista s;
    if (!cvxr_fista_open(&s, core)) {
        cvxr_fista_close(&s);
        return CVXRELU_STOP_NONE;
    }
    cvxr_fista_start(&s, weights);
    for (s.iteration = 1; stop == CVXRELU_STOP_NONE; s.iteration++) {
        cvxr_fista_gradient(&s);
        if (!cvxr_fista_search(&s)) {
            stop = CVXRELU_STOP_STALLED;
            break;
        }
        cvxr_fista_accept(&s);
        core->report->iterations++;
        cvxr_fista_watch(&s, weights);
        stop = cvxr_fista_check(&s);
        if (stop == CVXRELU_STOP_NONE && s.iteration >= core->opt->max_iters)
            stop = CVXRELU_STOP_ITERATIONS;
    }
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

   Newton systems: conjugate gradients preconditioned by the last factor of H, whatever its
   sigma and active set; a new factor, n x n by K o (E diag(a) E^T) + V diag(1-a) V^T or (k
   d) x (k d) by Woodbury, when the work in CG since the last one exceeds its price. All of
   it is float64. Uses S05-S13. Used by S22. Tests: tests/test_s14_newton.c. Source: [LST18]
   for the family, the manual's NEWTON entry for what differs. */

#define CVXR_SIGMA_START 0.1 /* sigma_0 = this * n / trace(K) */
#define CVXR_SIGMA_GROW  3.0
#define CVXR_QUICK       2   /* sigma grows only after a round of at most this many steps */
#define CVXR_RATIO       5.0 /* a round closes when ||g||^2/2 <= this * outer part */
#define CVXR_SCALED      0.01 /* ... or this share of the gap: the rest is -xi's scaling */
#define CVXR_LINEAR      0.3  /* relative gap below which steps are linearised at x */
#define CVXR_WATCH       2    /* further steps before a failed one is judged */
#define CVXR_KEEP        0.8 /* groups with ||A_i^T xi|| above this * lam enter W */
#define CVXR_SLOW        8   /* inner steps before sigma is taken back */
#define CVXR_IDLE        30  /* rounds without a smaller gap before the run has stalled */
#define CVXR_STEPS       500 /* default limit of Newton steps an output */
#define CVXR_VBLOCK      128 /* columns of V handled together */

/* ---- The Newton system. */

/* A set of active groups with its Jacobian: pattern indices, a, zhat (packed). */
typedef struct cvxr_active {
    size_t count;
    size_t *idx; /* capacity of the working set */
    double *a, *zh;
    cvxr_select select; /* row_words in `words` */
    uint32_t *words;
} cvxr_active;

typedef enum cvxr_factor_kind {
    CVXR_FACTOR_NONE,
    CVXR_FACTOR_ROWS,
    CVXR_FACTOR_GROUPS
} cvxr_factor_kind;

typedef struct cvxr_system {
    cvxr_core *core;
    size_t capacity, order,
        ld;         /* of the working set; of the factor buffer */
    double *factor; /* order x ld */
    cvxr_factor_kind kind;
    size_t factor_order;
    cvxr_active held; /* the set that a GROUPS factor was made of */
    double *T, *V,
        *row_norms; /* capacity x dp (small vectors), n x CVXR_VBLOCK, n */
    double *small;  /* mean mask: dp x dp */
    double *mean_e,
        *mean_diag;         /* n each */
    double *r, *q, *p, *Hp; /* n each */
    double spent, use;      /* flops in CG since the last factor; of one preconditioner solve */
} cvxr_system;

static size_t cvxr_active_bytes(size_t n, size_t dp, size_t capacity) {
    return cvxr_bytes(capacity, sizeof(size_t)) + cvxr_bytes(capacity, sizeof(double))
           + cvxr_bytes(capacity * dp, sizeof(double))
           + cvxr_bytes(cvxr_select_words(n, capacity), sizeof(uint32_t));
}

static void cvxr_active_open(cvxr_active *s, cvxr_mem *mem, size_t n, size_t dp,
                             size_t capacity) {
    memset(s, 0, sizeof *s);
    s->idx = (size_t *)cvxr_alloc(mem, capacity, sizeof(size_t));
    s->a = (double *)cvxr_alloc(mem, capacity, sizeof(double));
    s->zh = (double *)cvxr_alloc(mem, capacity * dp, sizeof(double));
    s->words = (uint32_t *)cvxr_alloc(mem, cvxr_select_words(n, capacity), sizeof(uint32_t));
}

static void cvxr_active_close(cvxr_active *s, cvxr_mem *mem, size_t n, size_t dp,
                              size_t capacity) {
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

static size_t cvxr_system_bytes(size_t n, size_t dp, size_t capacity, size_t max_factor) {
    size_t order = cvxr_factor_order(n, max_factor), all;
    if (!cvxr_size_mul(order, cvxr_pad(order), &all)) return 0;
    return cvxr_bytes(all, sizeof(double)) + cvxr_active_bytes(n, dp, capacity)
           + cvxr_bytes(capacity * dp, sizeof(double))
           + cvxr_bytes(n * CVXR_VBLOCK, sizeof(double)) + 7 * cvxr_bytes(n, sizeof(double))
           + cvxr_bytes(dp * dp, sizeof(double));
}

static void cvxr_system_open(cvxr_system *s, cvxr_core *core, size_t capacity) {
    const size_t n = core->data->n, dp = core->data->dp;
    cvxr_mem *mem = core->mem;
    size_t i;
    memset(s, 0, sizeof *s);
    s->core = core;
    s->capacity = capacity;
    s->order = cvxr_factor_order(n, core->opt->max_factor);
    s->ld = cvxr_pad(s->order);
    s->factor = (double *)cvxr_alloc(mem, s->order * s->ld, sizeof(double));
    cvxr_active_open(&s->held, mem, n, dp, capacity);
    s->T = (double *)cvxr_alloc(mem, capacity * dp, sizeof(double));
    s->V = (double *)cvxr_alloc(mem, n * CVXR_VBLOCK, sizeof(double));
    s->row_norms = (double *)cvxr_alloc(mem, n, sizeof(double));
    s->mean_e = (double *)cvxr_alloc(mem, n, sizeof(double));
    s->mean_diag = (double *)cvxr_alloc(mem, n, sizeof(double));
    s->r = (double *)cvxr_alloc(mem, n, sizeof(double));
    s->q = (double *)cvxr_alloc(mem, n, sizeof(double));
    s->p = (double *)cvxr_alloc(mem, n, sizeof(double));
    s->Hp = (double *)cvxr_alloc(mem, n, sizeof(double));
    s->small = (double *)cvxr_alloc(mem, dp * dp, sizeof(double));
    if (mem->failed) return;
    for (i = 0; i < n; i++) s->row_norms[i] = cvxr_row_square_f64(dp, core->data->X + i * dp);
}

static void cvxr_system_close(cvxr_system *s) {
    const size_t n = s->core->data->n, dp = s->core->data->dp;
    cvxr_mem *mem = s->core->mem;
    cvxr_release(mem, s->small, dp * dp, sizeof(double));
    cvxr_release(mem, s->Hp, n, sizeof(double));
    cvxr_release(mem, s->p, n, sizeof(double));
    cvxr_release(mem, s->q, n, sizeof(double));
    cvxr_release(mem, s->r, n, sizeof(double));
    cvxr_release(mem, s->mean_diag, n, sizeof(double));
    cvxr_release(mem, s->mean_e, n, sizeof(double));
    cvxr_release(mem, s->row_norms, n, sizeof(double));
    cvxr_release(mem, s->V, n * CVXR_VBLOCK, sizeof(double));
    cvxr_release(mem, s->T, s->capacity * dp, sizeof(double));
    cvxr_active_close(&s->held, mem, n, dp, s->capacity);
    cvxr_release(mem, s->factor, s->order * s->ld, sizeof(double));
}

/* Flops of an n x n and of a (k d) x (k d) factor; HUGE_VAL for one that does not fit. */
static double cvxr_price_rows(const cvxr_system *s, size_t k) {
    double n = (double)s->core->data->n;
    return s->core->data->n > s->order ? HUGE_VAL : 2 * n * n * (double)k + n * n * n / 3;
}

static double cvxr_price_groups(const cvxr_system *s, size_t k) {
    double n = (double)s->core->data->n, m = (double)k * (double)s->core->data->d;
    return m > (double)s->order ? HUGE_VAL : n * m * m + m * m * m / 3;
}

/* Rows of T become J_i T_i = a T + (1 - a) zh <zh, T>; with `root` the symmetric square root
   of J. */
static void cvxr_jacobian(const cvxr_active *s, size_t dp, double *T, int root) {
    size_t i, j;
    for (i = 0; i < s->count; i++, T += dp) {
        const double *h = s->zh + i * dp;
        double a = root ? sqrt(s->a[i]) : s->a[i], dot = 0;
        for (j = 0; j < dp; j++) dot += h[j] * T[j];
        dot *= 1 - a;
        for (j = 0; j < dp; j++) T[j] = a * T[j] + dot * h[j];
    }
}

/* s->V (n x CVXR_VBLOCK) = E o (X Zh^T) for `width` groups from j0 (a multiple of 32) on, its
   column j times by[j]. */
static void cvxr_system_V(cvxr_system *s, const cvxr_active *act, size_t j0, size_t width,
                          const double *by) {
    const cvxr_core *core = s->core;
    const size_t dp = core->data->dp, n = core->data->n;
    size_t i, j, g;
    cvxr_gemm_f64(&core->la, 0, 1, n, width, dp, 1.0, core->data->X, dp, act->zh + j0 * dp, dp,
                  0.0, s->V, CVXR_VBLOCK);
    for (g = 0; 32 * g < width; g++) {
        const uint32_t *words = act->select.row_words + (j0 / 32 + g) * n;
        const size_t count = cvxr_min_z(32, width - 32 * g);
        for (i = 0; i < n; i++) {
            double *v = s->V + i * CVXR_VBLOCK + 32 * g;
            const uint32_t w = words[i];
            for (j = 0; j < count; j++) v[j] = w >> j & 1 ? v[j] * by[32 * g + j] : 0.0;
        }
    }
}

/* K o M in place, row blocks of K = X X^T at a time in s->V; then times sigma, plus I. */
static void cvxr_system_hadamard(cvxr_system *s, double sigma) {
    const cvxr_core *core = s->core;
    const size_t n = core->data->n, dp = core->data->dp, rows = CVXR_VBLOCK;
    const double *X = core->data->X;
    size_t i0, i, j;
    for (i0 = 0; i0 < n; i0 += rows) {
        size_t count = cvxr_min_z(rows, n - i0), columns = i0 + count;
        cvxr_gemm_f64(&core->la, 0, 1, count, columns, dp, sigma, X + i0 * dp, dp, X, dp, 0.0,
                      s->V, columns);
        for (i = 0; i < count; i++) {
            double *H = s->factor + (i0 + i) * s->ld;
            const double *K = s->V + i * columns;
            for (j = 0; j <= i0 + i; j++) H[j] *= K[j];
            H[i0 + i] += 1;
        }
    }
}

/* H = I + sigma (K o E diag(a) E^T + V diag(1 - a) V^T), lower triangle. */
static void cvxr_system_rows(cvxr_system *s, const cvxr_active *act, double sigma) {
    cvxr_core *core = s->core;
    const size_t n = core->data->n;
    double by[CVXR_VBLOCK];
    size_t j, j0;
    cvxr_gram_masks(&core->op, &act->select, act->a, s->factor, s->ld);
    cvxr_system_hadamard(s, sigma);
    for (j0 = 0; j0 < act->count; j0 += CVXR_VBLOCK) {
        size_t width = cvxr_min_z(CVXR_VBLOCK, act->count - j0);
        for (j = 0; j < width; j++) by[j] = sqrt(cvxr_max(0, 1 - act->a[j0 + j]));
        cvxr_system_V(s, act, j0, width, by);
        cvxr_syrk_f64(&core->la, 0, n, width, sigma, s->V, CVXR_VBLOCK, 1.0, s->factor, s->ld);
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
static void cvxr_pairs_products(cvxr_pairs_job *job) {
    const cvxr_system *s = job->system;
    const size_t n = s->core->data->n, dp = s->core->data->dp;
    size_t i, q;
    for (q = 0; q < job->width; q++)
        cvxr_product_at(job->first + q, &job->a[q], &job->b[q]);
    for (i = 0; i < n; i++) {
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

/* Block (j, i) becomes Q_j block Q_i, Q = J^{1/2}; only what the lower triangle needs. */
static void cvxr_pairs_roots(cvxr_system *s, const cvxr_active *act) {
    const size_t d = s->core->data->d, dp = s->core->data->dp, ld = s->ld;
    double *dots = s->small;
    size_t i, j, a, b;
    for (j = 0; j < act->count; j++)
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
        cvxr_pairs_products(&job);
        cvxr_team_run(&s->core->op.team, job.tasks, cvxr_pairs_task, &job);
    }
    cvxr_pairs_roots(s, act);
    s->factor_order = act->count * d;
    for (i = 0; i < s->factor_order; i++) s->factor[i * s->ld + i] += 1 / sigma;
    s->held.count = act->count;
    memcpy(s->held.idx, act->idx, act->count * sizeof(size_t));
    memcpy(s->held.a, act->a, act->count * sizeof(double));
    memcpy(s->held.zh, act->zh, act->count * s->core->data->dp * sizeof(double));
    cvxr_active_ready(&s->held, &s->core->op);
}

/* A new factor of H at this active set. A pivot that fails adds to the diagonal: it is a
   preconditioner. */
static void cvxr_system_refactor(cvxr_system *s, const cvxr_active *act, double sigma) {
    const size_t n = s->core->data->n, d = s->core->data->d, k = act->count;
    const double rows = cvxr_price_rows(s, k), groups = cvxr_price_groups(s, k),
                 m = (double)(k * d);
    const cvxr_factor_kind kind = groups < rows ? CVXR_FACTOR_GROUPS : CVXR_FACTOR_ROWS;
    double jitter = 0, most = 0;
    size_t i;
    do {
        if (kind == CVXR_FACTOR_GROUPS) cvxr_system_groups(s, act, sigma);
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
    s->spent = 0;
}

/* ---- Before the first factor: E diag(a) E^T ~ (sum a) e e^T with e = E a / sum a, so that
   H is about a diagonal plus rank d. */
static void cvxr_mean_diagonal(cvxr_system *s, const cvxr_active *act, double sigma,
                               double total) {
    const size_t n = s->core->data->n;
    double *e = s->mean_e, *diag = s->mean_diag, by[CVXR_VBLOCK];
    size_t i, j, j0, g;
    for (i = 0; i < n; i++) e[i] = diag[i] = 0;
    for (g = 0; 32 * g < act->count; g++) {
        const uint32_t *words = act->select.row_words + g * n;
        const double *a = act->a + 32 * g;
        const size_t count = cvxr_min_z(32, act->count - 32 * g);
        for (i = 0; i < n; i++)
            for (j = 0; j < count; j++) e[i] += words[i] >> j & 1 ? a[j] : 0.0;
    }
    for (j0 = 0; j0 < act->count; j0 += CVXR_VBLOCK) {
        size_t width = cvxr_min_z(CVXR_VBLOCK, act->count - j0);
        for (j = 0; j < width; j++) by[j] = sqrt(cvxr_max(0, 1 - act->a[j0 + j]));
        cvxr_system_V(s, act, j0, width, by);
        for (i = 0; i < n; i++) diag[i] += cvxr_row_square_f64(width, s->V + i * CVXR_VBLOCK);
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

/* out = P^{-1} v with the factor at hand. */
static void cvxr_system_precondition(cvxr_system *s, const double *v, double *out) {
    cvxr_core *core = s->core;
    const size_t n = core->data->n, d = core->data->d, dp = core->data->dp;
    size_t i, j;
    if (s->kind == CVXR_FACTOR_ROWS) {
        memcpy(out, v, n * sizeof(double));
        cvxr_potrs_f64(&core->la, n, s->factor, s->ld, out);
    } else if (s->kind == CVXR_FACTOR_GROUPS) {
        const double flops = core->op.flops, passes = core->op.passes;
        cvxr_gradient_f64(&core->op, &s->held.select, v, s->T);
        cvxr_jacobian(&s->held, dp, s->T, 1);
        for (i = 0; i < s->held.count; i++)
            for (j = 0; j < d; j++) s->T[i * d + j] = s->T[i * dp + j];
        cvxr_potrs_f64(&core->la, s->factor_order, s->factor, s->ld, s->T);
        for (i = s->held.count; i-- > 0;) {
            for (j = d; j-- > 0;) s->T[i * dp + j] = s->T[i * d + j];
            for (j = d; j < dp; j++) s->T[i * dp + j] = 0;
        }
        cvxr_jacobian(&s->held, dp, s->T, 1);
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
    cvxr_jacobian(act, core->data->dp, s->T, 0);
    cvxr_forward_f64(&core->op, &act->select, s->T, 0, out);
    for (i = 0; i < core->data->n; i++) out[i] = v[i] + sigma * out[i];
}

/* dx ~ -H^{-1} rhs by preconditioned CG to ||residual|| <= tol. Returns the residual's last
   norm. */
static double cvxr_system_solve(cvxr_system *s, const cvxr_active *act, double sigma,
                                const double *rhs, double tol, double *dx) {
    cvxr_core *core = s->core;
    const size_t n = core->data->n, k = act->count;
    const double price = cvxr_min(cvxr_price_rows(s, k), cvxr_price_groups(s, k));
    double rz = 0, norm = sqrt(cvxr_sum_squares(n, rhs, NULL));
    int fresh = 0, begin = 1, it;
    size_t i;
    for (i = 0; i < n; i++) dx[i] = k ? 0.0 : -rhs[i], s->r[i] = -rhs[i];
    if (k == 0) return 0;
    if (price == HUGE_VAL) s->kind = CVXR_FACTOR_NONE; /* an old one costs more than it gives */
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
        if (norm > tol && s->spent > price && !fresh) {
            cvxr_system_refactor(s, act, sigma);
            if (s->kind == CVXR_FACTOR_NONE) cvxr_system_mean(s, act, sigma);
            fresh = begin = 1;
        }
    }
    return norm;
}

/* ---- The moving working set and its iterate. */

typedef struct cvxr_point { /* what a line search replaces */
    double *xi, *z, *a, *norm, *w;
} cvxr_point;

typedef struct cvxr_newton {
    cvxr_core *core;
    cvxr_system system;
    const double *y;
    size_t capacity;            /* of the working set */
    size_t count;               /* groups in it */
    size_t *W;                  /* their patterns, ascending */
    double *G, *g_norm;         /* P x dp: -A^T xi over all patterns; P */
    double *score;              /* P */
    double *x, *dw;             /* capacity x dp */
    cvxr_point at, trial, ref;
    cvxr_active act, lin;       /* active at z; linearised at x */
    size_t *act_at;             /* positions of the active groups in W */
    double *u, *t;              /* capacity x dp: packed prox; scratch */
    double *r, *g, *rhs, *dx;   /* n each */
    size_t *support;            /* capacity: patterns of x, ascending */
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
    int idle;                   /* rounds of the end phase without progress */
    int proven;                 /* the residual certifies tol */
    double done, bound, rest;   /* sum units: objectives and bounds of the outputs done,
                                   objectives of those to come */
} cvxr_newton;

static size_t cvxr_newton_capacity(size_t n, size_t P, size_t limit) {
    size_t capacity = cvxr_min_z(P, cvxr_max_z(2 * n, 64));
    return limit ? cvxr_min_z(capacity, limit) : capacity;
}

/* The arrays of cvxr_newton: member, count, element; n, dp, P and cap are in scope. */
#define CVXR_NEWTON_VECTORS(V)                                                                 \
    V(W, cap, size_t) V(act_at, cap, size_t) V(support, cap, size_t)                           \
    V(G, (P * dp), double) V(g_norm, P, double) V(score, P, double)                            \
    V(x, (cap * dp), double) V(dw, (cap * dp), double) V(u, (cap * dp), double)                \
    V(t, (cap * dp), double) V(support_u, (cap * dp), double)                                  \
    V(best, cap, size_t) V(best_u, (cap * dp), double)                                         \
    V(r, n, double) V(g, n, double) V(rhs, n, double) V(dx, n, double)                         \
    CVXR_POINT_VECTORS(V, at) CVXR_POINT_VECTORS(V, trial) CVXR_POINT_VECTORS(V, ref)
#define CVXR_POINT_VECTORS(V, point)                                                           \
    V(point.xi, n, double) V(point.z, (cap * dp), double) V(point.w, (cap * dp), double)       \
    V(point.a, cap, double) V(point.norm, cap, double)

static size_t cvxr_newton_bytes(size_t n, size_t dp, size_t P, size_t cap, size_t max_factor) {
    size_t sum = cvxr_system_bytes(n, dp, cap, max_factor) + 2 * cvxr_active_bytes(n, dp, cap);
#define CVXR_ADD(member, count, type) sum += cvxr_bytes(count, sizeof(type));
    CVXR_NEWTON_VECTORS(CVXR_ADD)
#undef CVXR_ADD
    return sum;
}

static int cvxr_newton_open(cvxr_newton *s, cvxr_core *core) {
    const size_t n = core->data->n, dp = core->data->dp, P = core->patterns->count;
    const size_t cap = cvxr_newton_capacity(n, P, core->opt->max_working_set);
    double trace = 0;
    size_t i;
    memset(s, 0, sizeof *s);
    s->core = core;
    s->capacity = cap;
    s->lam = core->lam;
    s->tol = core->opt->tol > 0 ? core->opt->tol : 1e-13; /* < 0: as far as rounding allows */
    cvxr_system_open(&s->system, core, cap);
    cvxr_active_open(&s->act, core->mem, n, dp, cap);
    cvxr_active_open(&s->lin, core->mem, n, dp, cap);
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
                 cap = s->capacity;
#define CVXR_CLOSE(member, count, type) cvxr_release(mem, s->member, count, sizeof(type));
    CVXR_NEWTON_VECTORS(CVXR_CLOSE)
#undef CVXR_CLOSE
    cvxr_active_close(&s->lin, mem, n, dp, cap);
    cvxr_active_close(&s->act, mem, n, dp, cap);
    cvxr_system_close(&s->system);
}

/* G = -A^T xi over all patterns, and its norms. */
static void cvxr_newton_sweep(cvxr_newton *s) {
    cvxr_core *core = s->core;
    const size_t dp = core->data->dp;
    cvxr_select all;
    size_t p, i;
    memset(&all, 0, sizeof all);
    all.count = core->patterns->count;
    for (i = 0; i < core->data->n; i++) core->theta[i] = -s->at.xi[i];
    cvxr_gradient_f64(&core->op, &all, core->theta, s->G);
    for (p = 0; p < all.count; p++) s->g_norm[p] = sqrt(cvxr_row_square_f64(dp, s->G + p * dp));
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

/* W: the support, and the groups nearest to their bound, at most max(15 n/d, 2 |support|,
   30); among equal ones the first. */
static void cvxr_newton_choose(cvxr_newton *s) {
    const size_t P = s->core->patterns->count, n = s->core->data->n, d = s->core->data->d;
    size_t cap = cvxr_max_z(cvxr_max_z(15 * n / d, 2 * s->support_count), 30), p, q, many = 0,
           room, ties;
    double least = CVXR_KEEP * s->lam;
    cap = cvxr_min_z(cap, s->capacity);
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
        if (member) s->W[s->count++] = p;
    }
    CVXRELU_ASSERT(s->count <= s->capacity);
}

/* a and norms of z: prox_i = a_i z_i. */
static void cvxr_newton_shrink(const cvxr_newton *s, cvxr_point *at) {
    const size_t dp = s->core->data->dp;
    const double t = s->sigma * s->lam;
    size_t i;
    for (i = 0; i < s->count; i++) {
        at->norm[i] = sqrt(cvxr_row_square_f64(dp, at->z + i * dp));
        at->a[i] = at->norm[i] > t ? 1 - t / at->norm[i] : 0;
    }
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
        size_t p = s->W[i];
        memcpy(s->at.w + i * dp, s->G + p * dp, dp * sizeof(double));
        if (q < s->support_count && s->support[q] == p)
            memcpy(s->x + i * dp, s->support_u + q++ * dp, dp * sizeof(double));
        else memset(s->x + i * dp, 0, dp * sizeof(double));
    }
    cvxr_newton_extrapolate(s);
}

/* The active groups, u = prox, r = y - A u and g = y + xi - A u. */
static void cvxr_newton_prox(cvxr_newton *s) {
    const size_t dp = s->core->data->dp, n = s->core->data->n;
    cvxr_active *act = &s->act;
    size_t i, j;
    act->count = 0;
    for (i = 0; i < s->count; i++) {
        double a = s->at.a[i], *u = s->u + act->count * dp, *h = act->zh + act->count * dp;
        const double *z = s->at.z + i * dp;
        if (a <= 0) continue;
        for (j = 0; j < dp; j++) u[j] = a * z[j], h[j] = z[j] / s->at.norm[i];
        act->a[act->count] = a;
        act->idx[act->count] = s->W[i];
        s->act_at[act->count++] = i;
    }
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

static void cvxr_newton_gap_on_W(cvxr_newton *s) {
    const size_t dp = s->core->data->dp;
    double most = 0;
    size_t i;
    for (i = 0; i < s->count; i++)
        most = cvxr_max(most, cvxr_row_square_f64(dp, s->at.w + i * dp));
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
    s->support_count = s->act.count;
    memcpy(s->support, s->act.idx, s->act.count * sizeof(size_t));
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
    if (s->count < P) cvxr_newton_sweep(s);
    else { /* w is -A^T xi over all of them already */
        memcpy(s->G, s->at.w, P * dp * sizeof(double));
        for (i = 0; i < P; i++) s->g_norm[i] = sqrt(cvxr_row_square_f64(dp, s->G + i * dp));
    }
    cvxr_newton_gap(s, cvxr_largest(P, s->g_norm), product);
    if (s->sigma_ten == 0 && s->gap <= 0.1 * s->primal) s->sigma_ten = s->sigma;
}

/* The gap with the residual itself as dual point. */
static double cvxr_newton_residual_gap(cvxr_newton *s) {
    cvxr_penalty_sums sums;
    cvxr_rows rows;
    double scale;
    memset(&rows, 0, sizeof rows);
    rows.m = s->support_count;
    rows.pattern = s->support;
    rows.u = s->support_u;
    cvxr_sweep_rows(s->core, &rows, s->r, s->lam, &sums);
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
    for (i = 0; i < s->count; i++) {
        const double *x = s->x + i * dp;
        double norm = sqrt(cvxr_row_square_f64(dp, x)), *h = lin->zh + lin->count * dp,
               *t = s->t + lin->count * dp;
        if (norm == 0) continue;
        for (j = 0; j < dp; j++) h[j] = x[j] / norm, t[j] = s->at.w[i * dp + j] - s->lam * h[j];
        lin->a[lin->count] = norm / (norm + s->sigma * s->lam);
        lin->idx[lin->count++] = s->W[i];
    }
    if (lin->count == 0) return 0;
    cvxr_active_ready(lin, &s->core->op);
    cvxr_jacobian(lin, dp, s->t, 0);
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
        st *= 0.5;
    }
    if (st >= 0.3) s->plain = 0;
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
    W.idx = s->W;
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
    memcpy(s->support, start->pattern, s->support_count * sizeof(size_t));
    memcpy(s->support_u, start->u, s->support_count * dp * sizeof(double));
    if (start->m) cvxr_predict_rows(s->core, start, s->core->z);
    for (i = 0; i < n; i++) s->at.xi[i] = (start->m ? s->core->z[i] : 0.0) - s->y[i];
    s->best_primal = HUGE_VAL;
    cvxr_newton_remember(s, 0.5 * cvxr_sum_squares(n, s->at.xi, NULL)
                                + s->lam
                                      * cvxr_neuron_value_f64(s->support_count, dp,
                                                              s->support_u));
    cvxr_newton_sweep(s);
    most = cvxr_largest(P, s->g_norm);
    scale = most > s->lam ? s->lam / most : 1;
    for (i = 0; i < n; i++) s->at.xi[i] *= scale;
    for (j = 0; j < P * dp; j++) s->G[j] *= scale;
    for (j = 0; j < P; j++) s->g_norm[j] *= scale;
    s->sigma = cvxr_max(sigma, s->sigma_min);
    s->sigma_ten = 0;
    s->inner = s->has_ref = s->plain = s->tight = s->steps = s->idle = s->proven = 0;
    s->least = HUGE_VAL;
    s->system.kind = CVXR_FACTOR_NONE;
    s->system.spent = 0;
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
        s->tight = 1;
    }
    if (gap < 0.9 * s->least) s->least = gap, s->idle = 0;
    else if (++s->idle > (s->tight ? CVXR_IDLE : 2 * CVXR_IDLE)) return 1;
    else if (s->tight && s->idle > 1) /* sigma so large that rounding in sigma w rules */
        s->sigma = cvxr_max(s->sigma / 10, s->sigma_min);
    if (s->tight) s->inner = 0, *first = 1;
    else if (closed) {
        if (s->inner <= CVXR_QUICK)
            s->sigma = cvxr_min(CVXR_SIGMA_GROW * s->sigma, 1e13 * s->sigma_min);
        s->inner = 0;
        *first = s->gap <= CVXR_LINEAR * s->primal;
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
        weights->pattern[weights->m + j] = s->support[j];
    }
    memcpy(weights->u + weights->m * weights->dp, s->support_u,
           s->support_count * weights->dp * sizeof(double));
    weights->m += s->support_count;
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
        s->y = core->data->Y + k * core->data->n;
        cvxr_newton_begin(s, &rows, sigma[k]);
        if (!core->stop) cvxr_newton_output(s);
        cvxr_newton_recall(s);
        s->done += s->primal;
        s->bound += s->primal - s->gap;
        if (k + 1 < core->data->c) {
            rows = cvxr_weights_rows(start, k + 1);
            s->rest = cvxr_max(0, s->rest - cvxr_newton_start_value(s, &rows, k + 1));
        }
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

/* Weights are replaced by the result, `start` is used up. sigma as above, not negative. */
static cvxrelu_stop cvxr_newton_solve(cvxr_core *core, cvxr_weights *weights,
                                      cvxr_weights *start, double *sigma) {
    const int most = core->opt->max_iters;
    cvxrelu_stop stop = CVXRELU_STOP_GAP;
    cvxr_newton s;
    size_t k;
    if (!cvxr_newton_open(&s, core)) {
        cvxr_newton_close(&s);
        return CVXRELU_STOP_NONE;
    }
    weights->m = 0;
    s.limit = most;
    cvxr_newton_outputs(&s, weights, start, sigma);
    cvxr_newton_close(&s);
    for (k = 0; k < core->data->c; k++)
        if (sigma[k] < 0) stop = CVXRELU_STOP_ITERATIONS;
    if (stop == CVXRELU_STOP_ITERATIONS && !core->stop && most >= CVXR_STEPS
        && core->opt->tol > 0) {
        cvxr_newton_rescue(core, weights, start, sigma);
        stop = CVXRELU_STOP_STALLED;
    }
    for (k = 0; k < core->data->c; k++) sigma[k] = fabs(sigma[k]);
    if (core->opt->tol < 0 && stop == CVXRELU_STOP_ITERATIONS) stop = CVXRELU_STOP_STALLED;
    return core->stop ? core->stop : stop;
}

#undef CVXR_NEWTON_VECTORS
#undef CVXR_POINT_VECTORS

/* ==== S17 NETWORK ========================================================================
   A model: the nonzero groups of a solution, each of them one neuron, with its gate, the column
   shift and scale of the solver, and the text that the user keeps with it. All but the text
   lies in one block. Prediction works in the solver's coordinates, x -> (x - shift)/scale, so
   badly scaled columns lose no digits; the network in the user's coordinates, with shift and
   scale folded into weights, gates and bias, is what cvxrelu_model_network exports.
   Uses S01, S02, S06, S07. Used by S22, S24. Tests: tests/test_s17_network.c.
   Source: [MSP22 Thm 2.2], the solution map w1 = u / sqrt(||u||), w2 = sqrt(||u||) e_k.      */

/* `count` zero-terminated strings in one block: the offsets of all, then `bytes` characters. */
typedef struct cvxr_names {
    size_t  count, bytes;
    size_t *offset;
    char   *text;
} cvxr_names;

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
    double *u, *g;                 /* m x d: convex weight and gate, solver's coordinates */
    double *W1, *G1;               /* m x (features + 1), bias last: user's coordinates */
    double *a;                     /* m: second layer, w2 = a_j e_output */
    cvxr_names names[2];           /* class labels, feature names */
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

/* Fills W1, G1 and a from u and g by the solution map [MSP22 Thm 2.2]. */
static void cvxr_model_map(cvxrelu_model *model) {
    size_t j, d = model->d, width = model->info.features + 1;
    for (j = 0; j < model->m; j++) {
        const double *u = model->u + j * d;
        double root = sqrt(cvxr_safe_norm(u, d));
        cvxr_model_fold(model, u, root > 0.0 ? root : 1.0, model->W1 + j * width);
        cvxr_model_fold(model, model->g + j * d, 1.0, model->G1 + j * width);
        model->a[j] = root;
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

/* Completes a model whose output, pattern and u are filled: coordinates, gates, recipe, the
   facts of `info` that the problem knows, and the network. */
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
    info->has_recipe = 1;
    info->sampler = problem->gates.sampler;
    info->seed = problem->gates.seed;
    model->recipe = problem->gates;
    memset(&model->recipe.given, 0, sizeof model->recipe.given);
    model->recipe.given_scaled = 1;
    memcpy(model->shift, data->shift, d * real);
    memcpy(model->scales, data->scales, d * real);
    memcpy(model->y_shift, data->y_shift, data->c * real);
    if (model->gates) memcpy(model->gates, patterns->gates, model->gate_count * d * real);
    for (j = 0; j < model->m; j++)
        memcpy(model->g + j * d, patterns->gates + model->pattern[j] * d, d * real);
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

/* gate = x . g and value = x . u of every neuron in the batch. */
static void cvxr_eval_batch(const cvxrelu_model *model, const void *row, cvxrelu_type type,
                            cvxr_batch *batch) {
    size_t first, count, i, d = model->d;
    for (i = 0; i < batch->count; i++) batch->gate[i] = batch->value[i] = 0.0;
    for (first = 0; first < d; first += count) {
        count = cvxr_min_z(CVXR_EVAL_COLUMNS, d - first);
        cvxr_eval_columns(model, row, type, first, count, batch->x);
        for (i = 0; i < batch->count; i++) {
            size_t at = batch->neuron[i] * d + first;
            batch->gate[i] += cvxr_eval_dot(count, batch->x, model->g + at);
            batch->value[i] += cvxr_eval_dot(count, batch->x, model->u + at);
        }
    }
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
            if (!(batch.gate[i] < 0.0)) out[k] += batch.value[i];
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
                                                double *G) {
    size_t j, d, count;
    if (model == NULL) return CVXRELU_ERR_ARGUMENT;
    if (model->gates == NULL) return CVXRELU_ERR_UNSUPPORTED;
    d = model->d;
    count = model->gate_count;
    if (G) memcpy(G, model->gates, count * d * sizeof(double));
    if (U) memset(U, 0, model->info.outputs * count * d * sizeof(double));
    for (j = 0; U && j < model->m; j++)
        memcpy(U + (model->output[j] * count + model->pattern[j]) * d, model->u + j * d,
               d * sizeof(double));
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

#undef CVXR_EVAL_NEURONS
#undef CVXR_EVAL_COLUMNS
#undef CVXR_EVAL_OUTPUTS

/* ==== S22 FIT, PATH, CROSS-VALIDATION ====================================================
   Options resolved in one place, a plan of the memory that a fit takes, and the calls that
   put data, patterns, solver, certificate and model together. A fit is a path of one
   strength. Uses S01-S17. Tests: tests/test_s22_fit.c. Source: [MSP22 4.1, C.1];
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
                  { "step_threshold", o->step_threshold, 0, HUGE_VAL } };
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
    if ((int)o->solver < 0 || o->solver > CVXRELU_SOLVER_FISTA)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "options.solver is %d: not a solver",
                         (int)o->solver);
    if ((int)o->precision < 0 || o->precision > CVXRELU_FLOAT32)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "options.precision is %d: not an element type", (int)o->precision);
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

static cvxrelu_result cvxr_problem_check(const cvxrelu_problem *p, char *message) {
    if (p == NULL) return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "problem is NULL");
    if (!cvxr_finite(p->lambda) || p->lambda < 0 || p->lambda > 1e150)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT,
                         "lambda is %g: it must be in [0, 1e150]", p->lambda);
    if (p->kind != CVXRELU_GATED)
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED,
                         "problem.kind %d is not supported: this version trains "
                         "gated ReLU networks (CVXRELU_GATED)",
                         (int)p->kind);
    if (p->loss != CVXRELU_LOSS_SQUARED)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "problem.loss is %d: not a loss",
                         (int)p->loss);
    if ((int)p->penalty < 0 || p->penalty > CVXRELU_PENALTY_L2)
        return cvxr_fail(message, CVXRELU_ERR_ARGUMENT, "problem.penalty is %d: not a penalty",
                         (int)p->penalty);
    return CVXRELU_OK;
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
        size_t cap = cvxr_newton_capacity(q->n, q->P, max_working_set);
        bytes = cvxr_max_z(cvxr_newton_bytes(q->n, dp, q->P, cap, plan->max_factor),
                           cvxr_rescue_bytes(q->n, dp, cap));
    } else bytes = cvxr_fista_bytes(q->n, wide, q->c, q->P, element);
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

static void cvxr_plan_bytes(const cvxr_shape *q, const cvxrelu_options *o, int keep_gates,
                            cvxr_plan *plan) {
    const size_t dp = cvxr_pad(q->d);
    size_t model, solver;
    int all = plan->least_squares || plan->solver == CVXRELU_SOLVER_FISTA;
    plan->capacity = q->c * (all ? q->P : cvxr_newton_capacity(q->n, q->P, o->max_working_set));
    model = cvxr_model_bytes(q->d, q->features, q->c, plan->capacity, keep_gates ? q->P : 0);
    solver = cvxr_solver_bytes(q, plan, o->max_working_set);
    plan->bytes =
        cvxr_data_bytes(q->n, q->features, q->has_bias, q->c)
        + cvxr_patterns_bytes(q->n, q->d, q->P) + cvxr_core_bytes(q->n, dp, q->threads)
        + 2 * cvxr_weights_bytes(plan->capacity, dp) + cvxr_bytes(q->c, sizeof(double))
        + cvxr_bytes(2 * q->n, sizeof(double)) + cvxr_max_z(model, solver);
    if (plan->solver == CVXRELU_SOLVER_FISTA
        && q->type == CVXRELU_FLOAT32) /* X again */
        plan->bytes += cvxr_bytes(q->n * cvxr_work_stride(q->d, q->type), sizeof(float));
}

/* Choose: Newton for the default penalty, its factor halved until it fits the limit, else
   R-FISTA. */
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
    if (o->solver == CVXRELU_SOLVER_AUTO)
        plan->solver =
            p->penalty == CVXRELU_PENALTY_NEURON ? CVXRELU_SOLVER_NEWTON : CVXRELU_SOLVER_FISTA;
    cvxr_plan_bytes(q, o, 1, plan);
    while (o->memory_limit && plan->bytes > o->memory_limit
           && plan->solver == CVXRELU_SOLVER_NEWTON && plan->max_factor > q->d) {
        plan->max_factor = cvxr_min_z(plan->max_factor, q->n) / 2;
        cvxr_plan_bytes(q, o, 1, plan);
    }
    if (o->memory_limit && plan->bytes > o->memory_limit && o->solver == CVXRELU_SOLVER_AUTO) {
        plan->solver = CVXRELU_SOLVER_FISTA;
        cvxr_plan_bytes(q, o, 1, plan);
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
    int open;
} cvxr_fit;

static void cvxr_fit_close(cvxr_fit *f) {
    if (f->open) {
        cvxr_release(&f->mem, f->X32, f->data.n * cvxr_work_stride(f->data.d, CVXRELU_FLOAT32),
                     sizeof(float));
        cvxr_release(&f->mem, f->best, 2 * f->data.n, sizeof(double));
        cvxr_release(&f->mem, f->sigma, f->data.c, sizeof(double));
        cvxr_weights_close(&f->mem, &f->start);
        cvxr_weights_close(&f->mem, &f->weights);
        cvxr_core_close(&f->core);
    }
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
    q->P = cvxr_gates_count(&p->gates);
    q->threads = opt->threads;
    q->type = opt->precision;
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
    core->loss = &cvxr_losses[f->problem.loss];
    core->penalty = &cvxr_penalties[f->problem.penalty];
    core->space = &cvxr_space_f64;
    core->type = CVXRELU_FLOAT64;
    core->units = (double)f->data.n * (double)f->data.c;
    core->report = report;
}

/* Data, patterns and workspace; nothing is held when it fails. */
static cvxrelu_result cvxr_fit_open(cvxr_fit *f, const cvxrelu_problem *problem,
                                    const cvxrelu_options *options, int least_squares,
                                    cvxrelu_report *report) {
    char *message = report->message;
    cvxrelu_result result = cvxr_problem_check(problem, message);
    memset(f, 0, sizeof *f);
    if (!result) result = cvxr_options_resolve(options, &f->opt, message);
    if (result) return result;
    f->problem = *problem;
    cvxr_mem_init(&f->mem, &f->opt.allocator, f->opt.memory_limit);
    f->core.opt = &f->opt;
    f->core.started = cvxr_now(&f->opt.clock);
    result = cvxr_shape_make(problem, &f->opt, &f->shape, message);
    if (!result)
        result = cvxr_plan_make(&f->shape, problem, &f->opt, least_squares, &f->plan, message);
    if (!result) result = cvxr_data_make(&f->mem, problem, &f->data, message);
    if (!result)
        result = cvxr_patterns_make(&f->mem, &f->data, &problem->gates, &f->patterns, message);
    if (!result) {
        f->opt.max_factor = f->plan.max_factor;
        cvxr_fit_core(f, report);
        f->open = 1;
        cvxr_core_open(&f->core);
        cvxr_weights_open(&f->mem, &f->weights, f->plan.capacity, f->data.dp);
        cvxr_weights_open(&f->mem, &f->start, f->plan.capacity, f->data.dp);
        f->sigma = (double *)cvxr_alloc_zero(&f->mem, f->data.c, sizeof(double));
        f->best = (double *)cvxr_alloc(&f->mem, 2 * f->data.n, sizeof(double));
        if (f->plan.solver == CVXRELU_SOLVER_FISTA && f->opt.precision == CVXRELU_FLOAT32)
            cvxr_fit_float32(f);
        result = cvxr_mem_result(&f->mem, message);
    }
    if (result) cvxr_fit_close(f);
    return result;
}

/* ---- Solving one strength from f->start into f->weights. */

static cvxrelu_stop cvxr_fit_solve(cvxr_fit *f, double lambda, double lambda_max) {
    cvxr_core *core = &f->core;
    cvxr_weights swap;
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
    swap = f->weights;
    f->weights = f->start;
    f->start = swap;
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
    report->passes = core->op.passes + core->op_work.passes; /* without this check's own */
    report->flops = core->op.flops + core->op_work.flops;
    cvxr_certify(core, &f->weights, &check);
    report->solver = f->plan.solver;
    report->scope = CVXRELU_SCOPE_PATTERNS;
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
    result = cvxr_fit_start(&f, run->start, run->reports->message);
    f.core.lam = 1;
    lambda_max = cvxr_lambda_max(&f.core);
    for (i = 0; i < run->count && !result; i++) {
        double lambda = cvxr_run_lambda(run, problem, lambda_max, i);
        cvxr_weights swap;
        f.opt.max_iters = given;
        if (given == 0)
            f.opt.max_iters =
                f.plan.solver == CVXRELU_SOLVER_NEWTON && lambda > 0 ? CVXR_STEPS : 20000;
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

/* ==== S24 SAVE, LOAD, VERIFY =============================================================
   A model as bytes, in memory or in a file, and the recomputation of its certificate from the
   definition by plain float64 loops that share nothing with the solvers.
   Uses S01 to S03, S06, S07, S17. Tests: tests/test_s24_save.c.

   The bytes, version 1. Numbers are little-endian on every machine: u32 and u64 unsigned, f64
   the bits of an IEEE double. d = features + has_bias, c = outputs, m = neurons, P = patterns.

     offset  type    field
          0  8 x u8  89 'C' 'V' 'X' 'R' 0D 0A 1A    (spoilt by a transfer as text)
          8  u32     version, 1
         12  u32     flags: 1 has_bias, 2 has_bound, 4 recipe is there, 8 gates are there,
                     16 no_gate_bias
         16  u64     bytes in all, checksum included
         24  6 u32   kind, task, loss, penalty, scale, sampler
         48  6 u64   features, outputs, classes, neurons, patterns, rows
         96  4 f64   lambda, objective, dual_bound, gap    (the last two 0 without a bound)
        128  7 u64   recipe: count, seed, order, width, height, channels, patch
        184  f64     recipe: active_share                  (recipe and sampler 0 when stripped)
        192  4 u64   class labels, feature names: how many of each; bytes of each
        224  f64     shift[d], scales[d], y_shift[c]
             u64     output[m], pattern[m]
             f64     u[m x d], g[m x d], gates[P x d] if flagged (given gates only)
             u8      class labels, then feature names, each string ending with a zero byte
      end-4  u32     CRC-32 (IEEE 802.3, as in zlib) of everything before

   Weights and gates are in the solver's coordinates; the network of S17 follows from them. */

#define CVXR_FILE_VERSION 1
#define CVXR_FILE_HEAD    224
#define CVXR_FILE_CHUNK   512

#define CVXR_FLAG_BIAS      1u
#define CVXR_FLAG_BOUND     2u
#define CVXR_FLAG_RECIPE    4u
#define CVXR_FLAG_GATES     8u
#define CVXR_FLAG_FLAT      16u

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

static void cvxr_sink_model(cvxr_sink *sink, const cvxrelu_model *model, int strip,
                            uint64_t total) {
    uint32_t flags = cvxr_file_flags(model, strip);
    cvxr_sink_head(sink, model, flags, total);
    cvxr_sink_reals(sink, model->shift, model->d, 1);
    cvxr_sink_reals(sink, model->scales, model->d, 1);
    cvxr_sink_reals(sink, model->y_shift, model->info.outputs, 1);
    cvxr_sink_sizes(sink, model->output, model->m);
    cvxr_sink_sizes(sink, model->pattern, model->m);
    cvxr_sink_reals(sink, model->u, model->m, model->d);
    cvxr_sink_reals(sink, model->g, model->m, model->d);
    if (flags & CVXR_FLAG_GATES)
        cvxr_sink_reals(sink, model->gates, model->gate_count, model->d);
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
    uint32_t code[6];              /* kind, task, loss, penalty, scale, sampler               */
    uint32_t flags;
    size_t d, gates, text_bytes[2];
} cvxr_file_head;

/* The fields from offset 12 on. */
static void cvxr_source_head(cvxr_source *source, cvxr_file_head *head) {
    cvxrelu_model_info *info = &head->info;
    cvxrelu_gates *recipe = &head->recipe;
    double reals[4] = { 0, 0, 0, 0 };
    int i;
    memset(head, 0, sizeof *head);
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
}

/* What the codes and flags mean; 0 when a code is unknown. */
static int cvxr_head_decode(cvxr_file_head *head) {
    static const uint32_t most[6] = { CVXRELU_GATED, CVXRELU_TASK_CLASSES, CVXRELU_LOSS_SQUARED,
                                      CVXRELU_PENALTY_L2, CVXRELU_SCALE_NONE,
                                      CVXRELU_SAMPLER_GIVEN };
    cvxrelu_model_info *info = &head->info;
    int i;
    for (i = 0; i < 6; i++) if (head->code[i] > most[i]) return 0;
    if (head->code[4] == (uint32_t)CVXRELU_SCALE_AUTO || head->flags > 31u) return 0;
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
    size_t total = CVXR_FILE_HEAD + 4, classes = info->classes, expect;
    if (given != (head->gates > 0)) return 0;
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
           cvxr_sum_product(&total, head->gates, head->d, 8) && total == size;
}

/* Magic, version, length and checksum. */
static cvxrelu_result cvxr_file_check(const unsigned char *bytes, size_t size, char *message) {
    cvxr_source source;
    size_t start = cvxr_min_z(size, sizeof cvxr_file_magic);
    uint32_t version;
    uint64_t total;
    if (start == 0)
        return cvxr_fail(message, CVXRELU_ERR_CORRUPT, "the model is empty");
    if (memcmp(bytes, cvxr_file_magic, start) != 0)
        return cvxr_fail(message, CVXRELU_ERR_FORMAT, "not a cvxrelu model");
    source.at = bytes + start;
    source.end = bytes + size;
    source.failed = 0;
    version = cvxr_source_u32(&source);
    if (!source.failed && version != CVXR_FILE_VERSION)
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED, "the model has format version %z, "
                         "this library reads %d", (size_t)version, CVXR_FILE_VERSION);
    (void)cvxr_source_u32(&source);
    total = cvxr_source_u64(&source);
    if (source.failed || size < CVXR_FILE_HEAD + 4 || (uint64_t)size < total)
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
    source.at = bytes + 12;
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
                         : "no memory for the model's text");
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

   Every term is >= 0 and dual bound = objective - gap. The dual point 0 proves the bound 0, so
   no gap exceeds the objective. The patterns are those of the recipe and, should one be missing
   there, the neurons' own: the network is feasible and the bound true for any data.          */

#define CVXR_CHECK_BLOCK 32

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
    double *inner;                 /* m: <u, g>                                               */
    size_t first;                  /* of the block at work                                    */
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
    result = cvxr_patterns_make(&k->mem, &k->data, &recipe, &k->patterns, message);
    cvxr_release(&k->mem, gates, count, sizeof(double));
    return result;
}

/* Takes all scratch; room for a pattern of every neuron. */
static cvxrelu_result cvxr_check_allocate(cvxr_check *k, char *message) {
    size_t m = k->model->m, d = k->model->d, n = k->data.n, c = k->data.c;
    size_t reals = 0, whole = 0, masks = 0;
    int convert = !cvxr_check_same_coordinates(k), fits;
    double *at;
    fits = cvxr_sum_product(&reals, 2 * c, n, 1) && cvxr_sum_product(&reals, 2 * c, d, 1) &&
           cvxr_sum_product(&reals, CVXR_CHECK_BLOCK * 2 * c, d, 1) &&
           cvxr_sum_product(&reals, 2 * c, d, 1) && cvxr_sum_product(&reals, 4, c, 1) &&
           cvxr_sum_product(&reals, 1, m, 1) &&
           (!convert || cvxr_sum_product(&reals, 2 * m, d, 1)) &&
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
    k->u = k->model->u, k->g = k->model->g;
    if (!convert) return CVXRELU_OK;
    cvxr_check_convert(k, m, k->model->u, at);
    cvxr_check_convert(k, m, k->model->g, at + m * d);
    k->u = at, k->g = at + m * d;
    return CVXRELU_OK;
}

/* The pattern of neuron j by its gate: the one of its number if that has the same bits, else an
   extra one. */
static size_t cvxr_check_locate(cvxr_check *k, size_t j) {
    size_t i, q, d = k->model->d, known = k->patterns.count;
    size_t bytes = k->words * sizeof(uint64_t);
    uint64_t *mask = k->extra + (k->count - known) * k->words;
    memset(mask, 0, bytes);
    for (i = 0; i < k->data.n; i++) {
        const double *x = k->data.X + i * k->data.dp;
        double sum = 0.0;
        for (q = 0; q < d; q++) sum += x[q] * k->g[j * d + q];
        if (sum >= 0.0) mask[i / 64] |= (uint64_t)1 << (i % 64);
    }
    q = k->model->pattern[j];
    if (q < known && memcmp(cvxr_check_mask(k, q), mask, bytes) == 0) return q;
    for (q = known; q < k->count; q++)
        if (memcmp(cvxr_check_mask(k, q), mask, bytes) == 0) return q;
    return k->count++;
}

/* Finds every neuron's pattern, and the residuals that the neurons leave. */
static void cvxr_check_neurons(cvxr_check *k) {
    size_t i, j, q, n = k->data.n, d = k->model->d, m = k->model->m;
    k->count = k->patterns.count;
    memcpy(k->V, k->data.Y, k->data.c * n * sizeof(double));
    memcpy(k->V + k->data.c * n, k->data.Y, k->data.c * n * sizeof(double));
    for (j = 0; j < m; j++) {
        double *r = k->V + k->model->output[j] * n;
        const uint64_t *mask;
        k->where[j] = cvxr_check_locate(k, j);
        mask = cvxr_check_mask(k, k->where[j]);
        for (i = 0; i < n; i++) {
            const double *x = k->data.X + i * k->data.dp;
            double sum = 0.0;
            if (!cvxr_check_active(mask, i)) continue;
            for (q = 0; q < d; q++) sum += x[q] * k->u[j * d + q];
            r[i] -= sum;
        }
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

/* Adds pattern p, whose gradients lie in `slot`, to the norms and to its neurons' products. */
static void cvxr_check_absorb(cvxr_check *k, size_t p, size_t slot) {
    size_t j, q, v, d = k->model->d, vectors = 2 * k->data.c;
    const double *G = k->block + slot * vectors * d;
    int over_patterns = k->model->info.penalty == CVXRELU_PENALTY_FEATURE ||
                        k->model->info.penalty == CVXRELU_PENALTY_L2;
    for (v = 0; v < vectors; v++) {
        k->widest[v] = cvxr_max(k->widest[v], cvxr_safe_norm(G + v * d, d));
        for (q = 0; q < d; q++) {
            k->peak[v] = cvxr_max(k->peak[v], fabs(G[v * d + q]));
            if (over_patterns) k->column[v * d + q] = hypot(k->column[v * d + q], G[v * d + q]);
        }
    }
    for (j = k->head[p]; j < k->model->m; j = k->next[j]) {
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
    size_t slot, count;
    for (k->first = 0; k->first < k->count; k->first += count) {
        count = cvxr_min_z(CVXR_CHECK_BLOCK, k->count - k->first);
        cvxr_team_run(&k->team, count, cvxr_check_gradient, k);
        for (slot = 0; slot < count; slot++) cvxr_check_absorb(k, k->first + slot, slot);
    }
}

/* Dual norm of A^T v: v < c the residuals, from c on the targets. For l2 the 2-norm. */
static double cvxr_check_dual_norm(const cvxr_check *k, size_t v) {
    size_t q, d = k->model->d;
    const double *column = k->column + v * d;
    cvxrelu_penalty penalty = k->model->info.penalty;
    double largest = 0.0;
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
    if (model->info.kind != CVXRELU_GATED || model->info.loss != CVXRELU_LOSS_SQUARED)
        return cvxr_fail(message, CVXRELU_ERR_UNSUPPORTED,
                         "only gated models with the squared loss can be verified");
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
#undef CVXR_FLAG_BIAS
#undef CVXR_FLAG_BOUND
#undef CVXR_FLAG_RECIPE
#undef CVXR_FLAG_GATES
#undef CVXR_FLAG_FLAT
#undef CVXR_FILE_VERSION
#undef CVXR_FILE_HEAD
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
