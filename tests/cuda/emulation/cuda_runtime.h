/* CUDA on the CPU, as far as cvxrelu_cuda.cuh uses it, so that its source runs unchanged under
   the sanitizers: `g++ -std=c++11 -Itests/cuda/emulation`. One translation unit, one thread.

   A launch runs block after block; the threads of a block are fibers (ucontext) that run until
   a barrier or a warp's exchange. What it finds besides what the sanitizers find in the memory
   of the device and of blocks:
     - a barrier or an exchange that some threads leave out, or reach at another line;
     - configurations that a card refuses (no blocks, over 1024 threads, over 65535 in y or z);
     - pointers of a launch, a copy or a product that are no memory of the device;
     - with the address sanitizer, the host's reading or writing memory of the device;
     - results read before the stream was waited for: a copy to the host arrives only then;
     - results that depend on the order of threads: emu.backward starts the last one first.
   emu.devices, emu.memory and emu.fail_in (the calls until one fails) make failures.       */
#ifndef CVXRELU_EMULATED_CUDA_RUNTIME_H
#define CVXRELU_EMULATED_CUDA_RUNTIME_H

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <typeinfo>
#include <vector>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <time.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define EMU_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMU_ASAN 1
#endif
#endif
#ifdef EMU_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define CVXRELU_CUDA_EMULATED 1
#define EMU_UNUSED            __attribute__((unused))
#ifdef __clang__
#define EMU_JUMPS __attribute__((noinline, no_sanitize("address", "undefined")))
#else
#define EMU_JUMPS __attribute__((noipa, no_sanitize("address", "undefined")))
#endif

/* After a jump memory is another's, and so are the registers that a function must keep. */
#if defined(__x86_64__)
#define EMU_CHANGED asm volatile("" ::: "memory", "rbx", "r12", "r13", "r14", "r15")
#elif defined(__aarch64__)
#define EMU_CHANGED                                                                            \
    asm volatile("" ::: "memory", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26",      \
                 "x27", "x28", "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15")
#else
#define EMU_CHANGED asm volatile("" ::: "memory") /* compile with -O0 */
#endif
#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;

typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorLaunchFailure = 719
} cudaError_t;
enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
    cudaMemcpyDefault
};
enum { cudaStreamDefault = 0, cudaStreamNonBlocking = 1 };
typedef struct emu_stream {
    int open;
} * cudaStream_t;
typedef struct emu_event {
    double seconds;
} * cudaEvent_t;

/* ---- State ------------------------------------------------------------------------------ */

enum emu_wait { EMU_RUNS, EMU_AT_BARRIER, EMU_AT_WARP, EMU_IDLE };

struct emu_fiber {
    ucontext_t context; /* of its start; then jumps, which make no system calls */
    void *jump[5];
    int started;
    std::vector<char> stack;
    void *fake; /* the sanitizer's */
    unsigned thread;
    dim3 at;
    emu_wait wait;
    int line;
};

struct emu_warp {
    unsigned arrived, turn, waits;
    int line;
    emu_fiber *waiting[32]; /* `waits` lanes */
    uint64_t given[32][3], values[32][3];
};

struct emu_async {
    float *to;
    const float *from;
    size_t bytes;
};

struct emu_copy {
    void *to;
    std::vector<char> bytes;
};

struct emu_state {
    int devices = 1, major = 8, minor = 0, backward = 0;
    size_t memory = (size_t)1 << 34, used = 0;
    long fail_in = -1; /* this many calls succeed, then one fails; -1: none fails */
    cudaError_t last = cudaSuccess;
    std::map<char *, size_t> allocations;
    std::vector<emu_copy> copies;                          /* to the host, not arrived */
    std::map<std::string, std::set<std::string>> launched; /* kernel: instances */
    long launches = 0, streams = 0;
    /* of the running block */
    std::vector<emu_fiber *> fibers;
    std::deque<emu_fiber *> idle; /* of them */
    std::vector<emu_warp> warps;
    std::map<unsigned, std::vector<emu_async>> started; /* by thread */
    std::map<unsigned, std::vector<std::vector<emu_async>>> lots;
    std::function<void()> body;
    unsigned threads = 0, next = 0, done = 0, at_barrier = 0, turn = 0;
    int barrier_line = 0;
    emu_fiber *now = NULL;
    void *home[5];
    void *home_fake = NULL;
    const void *home_stack = NULL;
    size_t home_size = 0;
    ~emu_state() {
        for (size_t i = 0; i < fibers.size(); i++) delete fibers[i];
    }
};
static emu_state emu;

static void emu_die(const char *what, const char *name = "") {
    fprintf(stderr, "CUDA emulation: %s %s (block %u %u, thread %u %u)\n", what, name,
            blockIdx.x, blockIdx.y, threadIdx.x, threadIdx.y);
    abort();
}

/* Does this call fail by order? */
static int emu_fails(void) {
    if (emu.fail_in < 0) return 0;
    return emu.fail_in-- == 0;
}

/* Streams and handles of libraries: where there is a card, and room. */
template <typename H, typename S> static S emu_create(H **handle, S no_card, S no_room) {
    *handle = NULL;
    if (emu.devices == 0) return no_card;
    if (emu_fails()) return no_room;
    *handle = new H();
    emu.streams++;
    return (S)0;
}
template <typename H> static void emu_destroy(H *handle) {
    if (handle) emu.streams--;
    delete handle;
}

/* Memory of the device is the host's only within calls and launches. */
static void emu_protect(EMU_UNUSED int on) {
#ifdef EMU_ASAN
    std::map<char *, size_t>::iterator a;
    for (a = emu.allocations.begin(); a != emu.allocations.end(); ++a)
        if (on) ASAN_POISON_MEMORY_REGION(a->first, a->second);
        else ASAN_UNPOISON_MEMORY_REGION(a->first, a->second);
#endif
}
struct emu_open {
    emu_open() { emu_protect(0); }
    ~emu_open() { emu_protect(1); }
};

static int emu_is_device(const void *p, size_t bytes) {
    std::map<char *, size_t>::iterator a = emu.allocations.upper_bound((char *)p);
    if (a == emu.allocations.begin()) return 0;
    --a;
    return (const char *)p + bytes <= a->first + a->second;
}
static void emu_want_device(const void *p, const char *where) {
    if (p && !emu_is_device(p, 0))
        emu_die("a pointer that is no memory of the device in", where);
}

/* ---- Fibers ----------------------------------------------------------------------------- */

static void emu_place(unsigned t) {
    threadIdx = dim3(t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y);
}

/* Of its own: a function must not both set and take jumps. */
EMU_JUMPS static void emu_jump(void **to) { __builtin_longjmp(to, 1); }

EMU_JUMPS static void emu_leave(emu_fiber *f) { /* from a fiber to the scheduler */
#ifdef EMU_ASAN
    __sanitizer_start_switch_fiber(&f->fake, emu.home_stack, emu.home_size);
#endif
    if (__builtin_setjmp(f->jump) == 0) emu_jump(emu.home);
    EMU_CHANGED;
#ifdef EMU_ASAN
    __sanitizer_finish_switch_fiber(f->fake, &emu.home_stack, &emu.home_size);
#endif
}

EMU_JUMPS static void emu_enter(emu_fiber *f) {
    emu.now = f;
    f->wait = EMU_RUNS;
    threadIdx = f->at;
#ifdef EMU_ASAN
    __sanitizer_start_switch_fiber(&emu.home_fake, f->stack.data(), f->stack.size());
#endif
    if (__builtin_setjmp(emu.home) == 0) {
        if (f->started) emu_jump(f->jump);
        f->started = 1;
        setcontext(&f->context);
    }
    EMU_CHANGED;
#ifdef EMU_ASAN
    __sanitizer_finish_switch_fiber(emu.home_fake, NULL, NULL);
#endif
}

/* Runs threads one after the other until one has to wait; then another fiber goes on. */
static void emu_worker(void) {
#ifdef EMU_ASAN
    __sanitizer_finish_switch_fiber(NULL, &emu.home_stack, &emu.home_size);
#endif
    for (;;) {
        emu_fiber *f = emu.now;
        while (emu.next < emu.threads) {
            f->thread = emu.backward ? emu.threads - 1 - emu.next : emu.next;
            emu.next++;
            emu_place(f->thread);
            f->at = threadIdx;
            emu.body();
            emu.done++;
        }
        f->wait = EMU_IDLE;
        emu.idle.push_back(f);
        emu_leave(f);
    }
}

static emu_fiber *emu_idle(void) {
    emu_fiber *f;
    if (!emu.idle.empty()) {
        f = emu.idle.front();
        emu.idle.pop_front();
        return f;
    }
    f = new emu_fiber();
    f->stack.resize(1 << 17);
    f->wait = EMU_IDLE;
    f->fake = NULL;
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack.data();
    f->context.uc_stack.ss_size = f->stack.size();
    f->context.uc_link = NULL;
    makecontext(&f->context, emu_worker, 0);
    emu.fibers.push_back(f);
    return f;
}

/* Waits until somebody else has let this thread go on. */
static void emu_pause(emu_wait why, int line) {
    emu_fiber *f = emu.now;
    f->wait = why;
    f->line = line;
    emu_leave(f);
}

/* All who wait at the barrier go on. */
static void emu_release(void) {
    size_t i;
    for (i = 0; i < emu.fibers.size(); i++)
        if (emu.fibers[i]->wait == EMU_AT_BARRIER) emu.fibers[i]->wait = EMU_RUNS;
}

static void emu_block(void) {
    std::map<unsigned, std::vector<std::vector<emu_async>>>::iterator l;
    size_t i, j;
    int moved;
    emu.next = emu.done = emu.at_barrier = 0;
    emu.warps.assign((emu.threads + 31) / 32, emu_warp());
    while (emu.next < emu.threads) emu_enter(emu_idle());
    do {
        moved = 0;
        for (i = 0; i < emu.fibers.size(); i++) {
            j = emu.backward ? emu.fibers.size() - 1 - i : i;
            if (emu.fibers[j]->wait != EMU_RUNS) continue;
            emu_enter(emu.fibers[j]);
            moved = 1;
        }
    } while (moved);
    if (emu.done < emu.threads) emu_die("threads wait for others that have left: divergence");
    for (l = emu.lots.begin(); l != emu.lots.end(); ++l)
        if (!l->second.empty()) emu_die("an asynchronous copy that nobody waited for");
}

static void emu_barrier(int line) {
    if (emu.done) emu_die("a barrier that a thread has left out");
    if (emu.at_barrier == 0) emu.barrier_line = line;
    if (emu.barrier_line != line) emu_die("threads at two barriers");
    if (++emu.at_barrier == emu.threads) {
        emu.at_barrier = 0;
        emu_release();
        return;
    }
    emu_pause(EMU_AT_BARRIER, line);
}

/* All lanes give up to three values; afterwards values[] holds them. */
static emu_warp *emu_exchange(unsigned mask, const uint64_t *value, size_t count, int line) {
    const unsigned t = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    emu_warp *w = &emu.warps[t / 32];
    const unsigned left = emu.threads - t / 32 * 32;
    const unsigned all = left >= 32 ? 0xffffffffu : (1u << left) - 1;
    if ((mask & all) != all) emu_die("an exchange of a part of a warp");
    if (w->arrived == 0) w->line = line;
    if (w->line != line) emu_die("lanes at two exchanges");
    if (count) memcpy(w->given[t % 32], value, count * sizeof *value);
    w->arrived |= 1u << t % 32;
    if (w->arrived == all) {
        memcpy(w->values, w->given, sizeof w->values);
        w->arrived = 0;
        while (w->waits) w->waiting[--w->waits]->wait = EMU_RUNS;
    } else {
        w->waiting[w->waits++] = emu.now;
        emu_pause(EMU_AT_WARP, line);
    }
    return w;
}

static unsigned emu_lane(void) {
    return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32;
}

template <typename T> static T emu_shuffle(unsigned mask, T v, unsigned from, int line) {
    uint64_t bits = 0;
    T out;
    memcpy(&bits, &v, sizeof v);
    bits = emu_exchange(mask, &bits, 1, line)->values[from < 32 ? from : emu_lane()][0];
    memcpy(&out, &bits, sizeof out);
    return out;
}

static unsigned emu_ballot(unsigned mask, int vote, int line) {
    const uint64_t own = vote != 0;
    const emu_warp *w = emu_exchange(mask, &own, 1, line);
    unsigned votes = 0, lane;
    for (lane = 0; lane < 32; lane++) votes |= (unsigned)w->values[lane][0] << lane;
    return votes;
}

#define __syncthreads()              emu_barrier(__LINE__)
#define __syncwarp()                 ((void)emu_exchange(0xffffffffu, NULL, 0, __LINE__))
#define __shfl_sync(mask, v, lane)   emu_shuffle(mask, v, (unsigned)(lane), __LINE__)
#define __shfl_xor_sync(mask, v, o)  emu_shuffle(mask, v, emu_lane() ^ (unsigned)(o), __LINE__)
#define __shfl_up_sync(mask, v, o)   emu_shuffle(mask, v, emu_lane() - (unsigned)(o), __LINE__)
#define __shfl_down_sync(mask, v, o) emu_shuffle(mask, v, emu_lane() + (unsigned)(o), __LINE__)
#define __ballot_sync(mask, vote)    emu_ballot(mask, vote, __LINE__)
#define __popc(x)                    __builtin_popcount(x)

EMU_UNUSED static unsigned atomicAdd(unsigned *to, unsigned by) {
    const unsigned old = *to;
    *to += by;
    return old;
}

/* Rounded to ten bits of mantissa, ties away from zero. */
static float emu_tf32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7f800000u) != 0x7f800000u) bits = (bits + 0x1000u) & 0xffffe000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* mma.m16n8k8 in TF32, by the layout that the PTX manual gives. */
EMU_UNUSED static void emu_mma(float *d, const uint32_t *a, const uint32_t *b, int line) {
    uint64_t own[3];
    float factors[6];
    const emu_warp *w;
    const unsigned row = emu_lane() / 4, column = emu_lane() % 4 * 2;
    unsigned e, k;
    memcpy(factors, a, 16), memcpy(factors + 4, b, 8);
    for (e = 0; e < 6; e++) factors[e] = emu_tf32(factors[e]);
    memcpy(own, factors, sizeof own);
    w = emu_exchange(0xffffffffu, own, 3, line);
    for (e = 0; e < 4; e++)
        for (k = 0; k < 4; k++) {
            float x[4], y[2];
            memcpy(x, w->values[row * 4 + k], sizeof x);
            memcpy(y, w->values[(column + e % 2) * 4 + k] + 2, sizeof y);
            d[e] += x[e / 2] * y[0];
            d[e] += x[e / 2 + 2] * y[1];
        }
}

/* cp.async: memory is NaN until the lot was waited for. */
static unsigned emu_thread(void) {
    return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}
EMU_UNUSED static void emu_copy_start(float *to, const float *from, size_t bytes) {
    const emu_async a = { to, from, bytes };
    if ((uintptr_t)to % 16 || (uintptr_t)from % 16) emu_die("an asynchronous copy not aligned");
    memset(to, 0xff, 16);
    emu.started[emu_thread()].push_back(a);
}
EMU_UNUSED static void emu_copy_lot(void) {
    emu.lots[emu_thread()].push_back(emu.started[emu_thread()]);
    emu.started[emu_thread()].clear();
}
EMU_UNUSED static void emu_copy_wait(size_t open) {
    std::vector<std::vector<emu_async>> &lots = emu.lots[emu_thread()];
    size_t i;
    while (lots.size() > open) {
        for (i = 0; i < lots[0].size(); i++) {
            memset(lots[0][i].to, 0, 16);
            memcpy(lots[0][i].to, lots[0][i].from, lots[0][i].bytes);
        }
        lots.erase(lots.begin());
    }
}

/* ---- Launches --------------------------------------------------------------------------- */

template <typename T> static void emu_argument(const char *, const T &) {}
template <typename T> static void emu_argument(const char *name, T *const &p) {
    emu_want_device((const void *)p, name);
}

static cudaError_t emu_configuration(const dim3 &grid, const dim3 &block) {
    const size_t threads = (size_t)block.x * block.y * block.z;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || threads == 0 || threads > 1024
        || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
        return cudaErrorInvalidConfiguration;
    return cudaSuccess;
}

static cudaError_t emu_run(const char *name, const dim3 &grid, const dim3 &block) {
    emu_open open;
    dim3 at;
    (void)name;
    emu.launches++;
    gridDim = grid;
    blockDim = block;
    emu.threads = block.x * block.y * block.z;
    for (at.z = 0; at.z < grid.z; at.z++)
        for (at.y = 0; at.y < grid.y; at.y++)
            for (at.x = 0; at.x < grid.x; at.x++) {
                blockIdx = at;
                emu_block();
            }
    return cudaSuccess;
}

template <typename... P> struct emu_kernel {
    const char *name;
    void (*kernel)(P...);
    dim3 grid, block;
    void operator()(P... args) const {
        const int checks[] = { 0, (emu_argument(name, args), 0)... };
        void (*const run)(P...) = kernel;
        (void)checks;
        emu.launched[name].insert(typeid(kernel).name());
        emu.last = emu_fails() ? cudaErrorLaunchFailure : emu_configuration(grid, block);
        if (emu.last) return;
        emu.body = [=]() { run(args...); };
        emu.last = emu_run(name, grid, block);
    }
};
template <typename... P>
static emu_kernel<P...> emu_on(const char *name, void (*kernel)(P...), dim3 grid, dim3 block) {
    emu_kernel<P...> k = { name, kernel, grid, block };
    return k;
}

#define CVXR_LAUNCH(g, kernel, grid, block, ...)                                               \
    do {                                                                                       \
        if ((g)->failed) break;                                                                \
        emu_on(#kernel, kernel, grid, block)(__VA_ARGS__);                                     \
        cvxr_gpu_check((g), cudaGetLastError(), #kernel);                                      \
    } while (0)

/* ---- Runtime ---------------------------------------------------------------------------- */

EMU_UNUSED static const char *cudaGetErrorString(cudaError_t e) {
    return e == cudaSuccess                     ? "no error"
           : e == cudaErrorMemoryAllocation     ? "out of memory"
           : e == cudaErrorInvalidConfiguration ? "invalid configuration argument"
           : e == cudaErrorNoDevice             ? "no CUDA-capable device is detected"
           : e == cudaErrorInvalidDevice        ? "invalid device ordinal"
           : e == cudaErrorLaunchFailure        ? "unspecified launch failure"
                                                : "invalid argument";
}
EMU_UNUSED static cudaError_t cudaGetLastError(void) {
    const cudaError_t e = emu.last;
    emu.last = cudaSuccess;
    return e;
}
EMU_UNUSED static cudaError_t cudaPeekAtLastError(void) { return emu.last; }
EMU_UNUSED static cudaError_t cudaGetDeviceCount(int *count) {
    *count = emu.devices;
    return emu.devices ? cudaSuccess : cudaErrorNoDevice;
}
EMU_UNUSED static cudaError_t cudaSetDevice(int device) {
    if (emu.devices == 0) return cudaErrorNoDevice;
    return device >= 0 && device < emu.devices ? cudaSuccess : cudaErrorInvalidDevice;
}
EMU_UNUSED static cudaError_t cudaGetDevice(int *device) {
    *device = 0;
    return emu.devices ? cudaSuccess : cudaErrorNoDevice;
}

struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem;
    int major, minor, multiProcessorCount, l2CacheSize, memoryBusWidth;
};
EMU_UNUSED static cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device) {
    memset(p, 0, sizeof *p);
    if (device < 0 || device >= emu.devices) return cudaErrorInvalidDevice;
    snprintf(p->name, sizeof p->name, "emulation");
    p->totalGlobalMem = emu.memory;
    p->major = emu.major, p->minor = emu.minor;
    p->multiProcessorCount = 1;
    p->l2CacheSize = 1 << 20;
    return cudaSuccess;
}
enum cudaDeviceAttr {
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrL2CacheSize = 38,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76
};
EMU_UNUSED static cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr what,
                                                     int device) {
    cudaDeviceProp p;
    const cudaError_t e = cudaGetDeviceProperties(&p, device);
    if (e) return e;
    *value = what == cudaDevAttrL2CacheSize              ? p.l2CacheSize
             : what == cudaDevAttrComputeCapabilityMajor ? p.major
             : what == cudaDevAttrComputeCapabilityMinor ? p.minor
                                                         : p.multiProcessorCount;
    return cudaSuccess;
}

template <typename T> static cudaError_t cudaMalloc(T **p, size_t bytes) {
    char *memory;
    *p = NULL;
    if (emu.devices == 0) return cudaErrorNoDevice;
    if (emu_fails() || bytes > emu.memory - emu.used)
        return emu.last = cudaErrorMemoryAllocation;
    if (bytes == 0) return cudaSuccess;
    memory = (char *)malloc(bytes);
    if (memory == NULL) return emu.last = cudaErrorMemoryAllocation;
    memset(memory, 0xff, bytes); /* NaN */
    emu.allocations[memory] = bytes;
    emu.used += bytes;
    emu_protect(1);
    *p = (T *)(void *)memory;
    return cudaSuccess;
}
EMU_UNUSED static cudaError_t cudaFree(void *p) {
    std::map<char *, size_t>::iterator a = emu.allocations.find((char *)p);
    if (p == NULL) return cudaSuccess;
    if (a == emu.allocations.end()) emu_die("cudaFree of what cudaMalloc did not give");
    emu_open open;
    emu.used -= a->second;
    free(p);
    emu.allocations.erase(a);
    return cudaSuccess;
}
EMU_UNUSED static cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total) {
    *free_bytes = emu.memory - emu.used;
    *total = emu.memory;
    return emu.devices ? cudaSuccess : cudaErrorNoDevice;
}
template <typename T> static cudaError_t cudaMallocHost(T **p, size_t bytes) {
    *p = (T *)malloc(bytes);
    return *p ? cudaSuccess : cudaErrorMemoryAllocation;
}
EMU_UNUSED static cudaError_t cudaFreeHost(void *p) {
    free(p);
    return cudaSuccess;
}

/* What was copied arrives. */
static void emu_arrive(void) {
    size_t i;
    for (i = 0; i < emu.copies.size(); i++)
        memcpy(emu.copies[i].to, emu.copies[i].bytes.data(), emu.copies[i].bytes.size());
    emu.copies.clear();
}
static cudaError_t emu_copied(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
    if (emu_fails()) return cudaErrorInvalidValue;
    if (bytes == 0) return cudaSuccess;
    if ((kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice)
        && !emu_is_device(from, bytes))
        emu_die("a copy from what is no memory of the device");
    if ((kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice)
        && !emu_is_device(to, bytes))
        emu_die("a copy to what is no memory of the device");
    if (kind == cudaMemcpyDeviceToHost && emu_is_device(to, bytes))
        emu_die("a copy to the host that goes to the device");
    emu_open open;
    if (kind == cudaMemcpyDeviceToHost) {
        emu_copy copy;
        copy.to = to;
        copy.bytes.assign((const char *)from, (const char *)from + bytes);
        memset(to, 0xa5, bytes);
        emu.copies.push_back(copy);
    } else memmove(to, from, bytes);
    return cudaSuccess;
}
EMU_UNUSED static cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes,
                                              cudaMemcpyKind kind, cudaStream_t = NULL) {
    return emu_copied(to, from, bytes, kind);
}
EMU_UNUSED static cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes,
                                         cudaMemcpyKind kind) {
    const cudaError_t e = emu_copied(to, from, bytes, kind);
    emu_arrive();
    return e;
}
EMU_UNUSED static cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from,
                                                size_t from_pitch, size_t width, size_t height,
                                                cudaMemcpyKind kind, cudaStream_t = NULL) {
    size_t i;
    cudaError_t e = cudaSuccess;
    for (i = 0; i < height && !e; i++)
        e = emu_copied((char *)to + i * to_pitch, (const char *)from + i * from_pitch, width,
                       kind);
    return e;
}
EMU_UNUSED static cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes,
                                              cudaStream_t = NULL) {
    if (emu_fails()) return cudaErrorInvalidValue;
    if (!emu_is_device(p, bytes)) emu_die("cudaMemset of what is no memory of the device");
    emu_open open;
    memset(p, value, bytes);
    return cudaSuccess;
}
EMU_UNUSED static cudaError_t cudaMemset(void *p, int value, size_t bytes) {
    return cudaMemsetAsync(p, value, bytes);
}
EMU_UNUSED static cudaError_t cudaStreamCreate(cudaStream_t *s) {
    return emu_create(s, cudaErrorNoDevice, cudaErrorMemoryAllocation);
}
EMU_UNUSED static cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned) {
    return cudaStreamCreate(s);
}
EMU_UNUSED static cudaError_t cudaStreamDestroy(cudaStream_t s) {
    emu_destroy(s);
    return cudaSuccess;
}
EMU_UNUSED static cudaError_t cudaStreamSynchronize(cudaStream_t) {
    emu_arrive();
    return emu_fails() ? cudaErrorLaunchFailure : cudaSuccess;
}
EMU_UNUSED static cudaError_t cudaDeviceSynchronize(void) {
    return cudaStreamSynchronize(NULL);
}

EMU_UNUSED static cudaError_t cudaEventCreate(cudaEvent_t *e) {
    *e = new emu_event();
    return cudaSuccess;
}
EMU_UNUSED static cudaError_t cudaEventDestroy(cudaEvent_t e) {
    delete e;
    return cudaSuccess;
}
EMU_UNUSED static cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t = NULL) {
    e->seconds = (double)clock() / CLOCKS_PER_SEC;
    return cudaSuccess;
}
EMU_UNUSED static cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
EMU_UNUSED static cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t a, cudaEvent_t b) {
    *ms = (float)(1e3 * (b->seconds - a->seconds));
    return cudaSuccess;
}

#endif
