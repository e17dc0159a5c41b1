/* Ends the process with SIGKILL at one commit of the journal: UPLIFT_TEST_KILL=before:N at the first write to the
 * write-ahead log after N - 1 syncs or more (where the log is written back into the database, it is synced twice
 * without a write in between), after:N when the Nth sync has returned. Counts over all threads, which
 * `strace -e inject=..:when=N` does not. UPLIFT_TEST_COUNT names a file that gets the number of syncs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long syncs;

static int is_journal(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    const char *end = "/journal.db-wal";
    return (size_t)length > strlen(end) && strcmp(path + length - strlen(end), end) == 0;
}

static void end_from(const char *when, long number) {
    const char *wanted = getenv("UPLIFT_TEST_KILL");
    size_t length = strlen(when);
    if (wanted && strncmp(wanted, when, length) == 0 && atol(wanted + length) <= number) kill(getpid(), SIGKILL);
}

static void count(long number) {
    const char *path = getenv("UPLIFT_TEST_COUNT");
    if (!path) return;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) return;
    dprintf(fd, "%ld", number);
    close(fd);
}

static int synced(int fd, const char *name) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int result = real(fd);
    if (is_journal(fd)) {
        long number = atomic_fetch_add(&syncs, 1) + 1;
        count(number);
        end_from("after:", number);
    }
    return result;
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    if (is_journal(fd)) end_from("before:", atomic_load(&syncs) + 1);
    return real(fd, bytes, length, at);
}
