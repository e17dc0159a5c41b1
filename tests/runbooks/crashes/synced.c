/* A disk that keeps only what was synced, and a process that dies at one sync of its journal.
 *
 * Each file of a journal is copied into UPLIFT_TEST_DISK whenever a sync of it has returned: after a power cut that is what
 * is left of it. UPLIFT_TEST_DIE=during:N ends the process before the Nth sync is asked for, when all of a commit is written
 * and nothing of it is safe; after:N when it has returned. UPLIFT_TEST_COUNT names a file that gets the number of syncs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long syncs;

/* The name of a file of a journal, in `path`; NULL for any other. */
static const char *journal(int fd, char *path, size_t room) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, room - 1);
    if (length < 0) return NULL;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    return strcmp(name, "journal.db") == 0 || strcmp(name, "journal.db-wal") == 0 ? name : NULL;
}

/* Read through the same descriptor: closing another one would drop the locks that this process holds on the file. */
static void keep(int from, const char *name) {
    const char *disk = getenv("UPLIFT_TEST_DISK");
    if (!disk) return;
    char to[4096], part[65536];
    snprintf(to, sizeof to, "%s/%s", disk, name);
    int into = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    off_t at = 0;
    ssize_t length;
    while ((length = pread(from, part, sizeof part, at)) > 0) {
        if (write(into, part, (size_t)length) != length) abort();
        at += length;
    }
    close(into);
}

static void end_at(const char *when, long number) {
    const char *wanted = getenv("UPLIFT_TEST_DIE");
    size_t length = strlen(when);
    if (wanted && strncmp(wanted, when, length) == 0 && atol(wanted + length) == number) kill(getpid(), SIGKILL);
}

static void count(long number) {
    const char *path = getenv("UPLIFT_TEST_COUNT");
    if (!path) return;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dprintf(fd, "%ld", number);
    close(fd);
}

static int synced(int fd, const char *function) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, function);
    char path[4096];
    const char *name = journal(fd, path, sizeof path);
    if (!name) return real(fd);
    long number = atomic_fetch_add(&syncs, 1) + 1;
    count(number);
    end_at("during:", number);
    int result = real(fd);
    if (result == 0) keep(fd, name);
    end_at("after:", number);
    return result;
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }
