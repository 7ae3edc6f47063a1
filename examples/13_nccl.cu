/* 13 NCCL - R-FISTA on many GPUs, one process a GPU, gradients summed over the GPUs' links.

   Every rank solves on its card (options.device); NCCL sums the gradients in the cards' memory
   (ranks.on_device). The few numbers of the host, and the certificate's panels, are copied to
   the card, summed or compared there and copied back (ranks.allreduce). NCCL picks the same
   algorithm for one count and number of ranks while environment and machine stay as they are,
   which is what the hooks owe the library: the same bits on all ranks, run after run (set
   NCCL_ALGO and NCCL_PROTO to be sure). Where a rank dies, the wait looks at the clock and at
   ncclCommGetAsyncError, aborts the communicator and returns nonzero; so do the other ranks'.

     nvcc -O2 -I. examples/13_nccl.cu -o build/13_nccl -lnccl -lcublas -lcusolver -lm
     build/13_nccl RANK SIZE FILE      (once for every RANK from 0 to SIZE - 1; FILE, on a disk
                                        that all of them see and that is not there yet,
                                        passes NCCL's id on and is removed)

   Each process takes GPU RANK modulo the GPUs it sees, and a share of made-up rows. As the last
   line rank 0 prints objective and gap, which should be the same for any SIZE: this program is
   compiled and linked by CI, but has not been run on cards. */
#define CVXRELU_IMPLEMENTATION
#define CVXRELU_CUDA_IMPLEMENTATION
#include "cvxrelu.h"
#include "cvxrelu_cuda.cuh"
#include <cuda_runtime.h>
#include <nccl.h>
#include <stdio.h>
#include <time.h>

enum { ROWS = 5000, COLUMNS = 20, WAIT = 120 };

typedef struct link {
    ncclComm_t ranks;
    cudaStream_t stream;
    void *device;
    size_t room; /* bytes */
} link;

/* What failed once is not waited for again: closing a communicator may wait for its peers. */
static int give_up(link *l, int code) {
    if (l->ranks) ncclCommAbort(l->ranks);
    l->ranks = NULL;
    return code;
}

/* 0 when the stream is done; nonzero after an error of NCCL's or too long a wait. */
static int wait_for(link *l) {
    const time_t begun = time(NULL);
    ncclResult_t state = ncclSuccess;
    cudaError_t done;
    while ((done = cudaStreamQuery(l->stream)) == cudaErrorNotReady) {
        if (ncclCommGetAsyncError(l->ranks, &state) != ncclSuccess || state != ncclSuccess
            || time(NULL) - begun > WAIT)
            return give_up(l, 1);
    }
    return done == cudaSuccess ? 0 : give_up(l, 1);
}

/* Of numbers on the card, which the library's stream has finished. */
static int on_device(void *context, void *buffer, size_t count, cvxrelu_type type,
                     cvxrelu_reduction op) {
    link *l = (link *)context;
    if (l->ranks == NULL) return 1;
    if (ncclAllReduce(buffer, buffer, count, type == CVXRELU_FLOAT64 ? ncclDouble : ncclFloat,
                      op == CVXRELU_SUM ? ncclSum : ncclMax, l->ranks, l->stream))
        return give_up(l, 4);
    return wait_for(l) ? 6 : 0;
}

/* Of numbers of the host. */
static int allreduce(void *context, void *buffer, size_t count, cvxrelu_type type,
                     cvxrelu_reduction op) {
    link *l = (link *)context;
    int failed;
    const size_t bytes = count * (type == CVXRELU_FLOAT64 ? sizeof(double) : sizeof(float));
    if (l->ranks == NULL) return 1;
    if (bytes > l->room) {
        cudaFree(l->device);
        l->device = NULL, l->room = 0;
        if (cudaMalloc(&l->device, bytes) != cudaSuccess) return give_up(l, 2);
        l->room = bytes;
    }
    if (cudaMemcpyAsync(l->device, buffer, bytes, cudaMemcpyHostToDevice, l->stream))
        return give_up(l, 3);
    failed = on_device(l, l->device, count, type, op);
    if (failed) return failed;
    if (cudaMemcpyAsync(buffer, l->device, bytes, cudaMemcpyDeviceToHost, l->stream))
        return give_up(l, 5);
    return wait_for(l) ? 6 : 0;
}

/* Rank 0 makes NCCL's id and writes it to the file, the others wait for it there. */
static int share_id(int rank, const char *path, ncclUniqueId *id) {
    const time_t begun = time(NULL);
    FILE *file;
    size_t got = 0;
    if (rank == 0) {
        if (ncclGetUniqueId(id) != ncclSuccess || (file = fopen(path, "wb")) == NULL) return 0;
        got = fwrite(id, sizeof *id, 1, file);
        return fclose(file) == 0 && got == 1;
    }
    while (got != 1 && time(NULL) - begun < WAIT)
        if ((file = fopen(path, "rb")) != NULL) {
            got = fread(id, sizeof *id, 1, file);
            fclose(file);
        }
    return got == 1;
}

static int open_link(link *l, int rank, int size, const char *path) {
    ncclUniqueId id;
    int devices = 0, open;
    memset(l, 0, sizeof *l);
    open = cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0
           && cudaSetDevice(rank % devices) == cudaSuccess
           && cudaStreamCreate(&l->stream) == cudaSuccess && share_id(rank, path, &id)
           && ncclCommInitRank(&l->ranks, size, id, rank) == ncclSuccess;
    if (rank == 0) remove(path); /* all have read it, or none will */
    return open;
}

static void close_link(link *l) {
    if (l->ranks) ncclCommDestroy(l->ranks);
    cudaFree(l->device);
    if (l->stream) cudaStreamDestroy(l->stream);
}

int main(int argc, char **argv) {
    static double X[ROWS * COLUMNS], Y[ROWS];
    const int rank = argc == 4 ? atoi(argv[1]) : -1, size = argc == 4 ? atoi(argv[2]) : 0;
    const size_t first = size > 0 ? ROWS * (size_t)rank / (size_t)size : 0;
    cvxrelu_random random;
    cvxrelu_problem problem;
    cvxrelu_options options;
    cvxrelu_model *model = NULL;
    cvxrelu_report report;
    cvxrelu_cuda_options card;
    cvxrelu_cuda *cuda = NULL;
    link l;
    size_t i;
    int result;
    if (rank < 0 || rank >= size || size > ROWS || !open_link(&l, rank, size, argv[3])) {
        fprintf(stderr, "use: 13_nccl RANK SIZE FILE, with a GPU and NCCL\n");
        return 1;
    }
    cvxrelu_random_init(&random, 13);
    for (i = 0; i < ROWS * COLUMNS; i++) X[i] = cvxrelu_random_normal(&random);
    for (i = 0; i < ROWS; i++) Y[i] = fabs(X[i * COLUMNS]) + X[i * COLUMNS + 1];
    memset(&problem, 0, sizeof problem);
    memset(&options, 0, sizeof options);
    problem.X.data = X + first * COLUMNS, problem.X.cols = COLUMNS;
    problem.Y.data = Y + first, problem.Y.cols = 1;
    problem.X.rows = problem.Y.rows = ROWS * (size_t)(rank + 1) / (size_t)size - first;
    problem.lambda = 1e-3;
    options.solver = CVXRELU_SOLVER_FISTA; /* auto is Newton where there is one rank */
    options.tol = 1e-6;
    memset(&card, 0, sizeof card);
    cudaGetDevice(&card.device); /* open_link chose it */
    if (cvxrelu_cuda_open(&card, &cuda, report.message) != CVXRELU_OK) {
        fprintf(stderr, "rank %d: %s\n", rank, report.message);
        close_link(&l);
        return 1;
    }
    options.device = cvxrelu_cuda_device(cuda);
    options.ranks.allreduce = allreduce;
    options.ranks.on_device = on_device;
    options.ranks.context = &l;
    options.ranks.rank = rank, options.ranks.size = size;
    result = cvxrelu_fit(&problem, &options, NULL, &model, &report);
    if (result) fprintf(stderr, "rank %d: %s\n", rank, report.message);
    else if (rank == 0)
        printf("objective %.6g  gap below 1e-6 %d\n", report.objective, report.gap <= 1e-6);
    cvxrelu_model_free(model);
    cvxrelu_cuda_close(cuda);
    close_link(&l);
    return result != CVXRELU_OK;
}
