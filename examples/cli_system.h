/* ==== CLI SYSTEM =========================================================================
   What POSIX and Windows say differently: is it a terminal, seconds, Ctrl-C, folders, plain
   files. The program that includes this defines _POSIX_C_SOURCE before its first include.
   Used by cli_files.h, cvxrelu_cli.c. Tests: tests/test_cli.sh. */

#ifndef CLI_SYSTEM_H
#define CLI_SYSTEM_H

#include "cli_base.h"

#include <signal.h>
#include <time.h>
#if defined(_WIN32)
#include <direct.h>
#include <io.h>
#include <sys/stat.h>
#else
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#endif

static int cli_is_terminal(FILE *file) {
#if defined(_WIN32)
    return _isatty(_fileno(file));
#else
    return isatty(fileno(file));
#endif
}

/* Wall-clock seconds; the clock hook of the solver. clock() is wall time on Windows. */
static double cli_seconds(void *user) {
    (void)user;
#if !defined(_WIN32) && defined(CLOCK_MONOTONIC)
    {
        struct timespec now;
        if (clock_gettime(CLOCK_MONOTONIC, &now) == 0)
            return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    }
#endif
    return (double)clock() / (double)CLOCKS_PER_SEC;
}

/* The first Ctrl-C asks the run to stop; a second one ends the program. */
static volatile sig_atomic_t cli_interrupted = 0;

static void cli_on_interrupt(int number) {
    cli_interrupted = 1;
    signal(number, SIG_DFL);
}

static void cli_catch_interrupt(void) {
    if (signal(SIGINT, cli_on_interrupt) == SIG_IGN) signal(SIGINT, SIG_IGN);
}

/* Makes a folder unless it is there. */
static int cli_make_folder(const char *path) {
#if defined(_WIN32)
    int failed = _mkdir(path);
#else
    int failed = mkdir(path, 0777);
#endif
    if (failed && errno != EEXIST)
        return cli_error(CLI_FAILED, "%s: cannot be made: %s", path, strerror(errno));
    return CLI_OK;
}

/* Does something that is not a plain file (a device, a pipe, a folder) bear this name? */
static int cli_is_special(const char *path) {
#if defined(_WIN32)
    struct _stat64 info;
    return _stat64(path, &info) == 0 && (info.st_mode & _S_IFMT) != _S_IFREG;
#else
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode);
#endif
}

/* Gives `aside` the name `path`, over a file that has it. 0 on success. */
static int cli_rename_over(const char *aside, const char *path) {
#if defined(_WIN32)
    remove(path);
#endif
    return rename(aside, path);
}

#endif /* CLI_SYSTEM_H */
