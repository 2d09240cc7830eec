/*
 * Preloaded into a process, counts the calls by which it changes what lies below one directory, over all its threads, and lets one of them go wrong.
 *
 * FAULTS_DIR     the directory, in its canonical form. Counting begins when the process opens `FAULTS_DIR/begin`, which need not be there.
 * FAULTS_AT      the number of the call that goes wrong, from 1; 0: none.
 * FAULTS_ERRNO   what it answers; 0: it is not carried out and the process dies of SIGKILL.
 * FAULTS_LASTING 1: so do all calls after it.
 * FAULTS_REPORT  a file outside the directory, to which the call that goes wrong is written; with FAULTS_AT=0 every call.
 */
#define _GNU_SOURCE
#include "../support/below.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/uio.h>

static long at;
static int error;
static int lasting;
static const char *report;
static atomic_int begun;
static atomic_long calls;

static long number_of(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

__attribute__((constructor)) static void prepare(void) {
    watch("FAULTS_DIR");
    report = getenv("FAULTS_REPORT");
    at = number_of("FAULTS_AT");
    error = (int)number_of("FAULTS_ERRNO");
    lasting = (int)number_of("FAULTS_LASTING");
}

static void tell(const char *name, const char *path) {
    char line[4400];
    int length = snprintf(line, sizeof line, "%s %s\n", name, path);
    long fd = syscall(SYS_openat, AT_FDCWD, report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_write, fd, line, length) != length)
        _exit(97);
    syscall(SYS_close, fd);
}

/* Counts a call that is below the directory; whether it goes wrong. */
static int goes_wrong(const char *name, const char *path) {
    if (!atomic_load(&begun))
        return 0;
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (at == 0) {
        tell(name, path);
        return 0;
    }
    if (number != at && !(lasting && number > at))
        return 0;
    if (number == at)
        tell(name, path);
    if (error == 0) {
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;)
            pause();
    }
    errno = error;
    return 1;
}

static int fd_goes_wrong(const char *name, int fd) {
    char path[4200];
    int saved = errno;
    int below = fd_is_below(fd, path, sizeof path);
    errno = saved;
    return below && goes_wrong(name, path);
}

static int path_goes_wrong(const char *name, int at_fd, const char *path) {
    if (path[0] != '/' && at_fd != AT_FDCWD)
        return fd_goes_wrong(name, at_fd);
    return is_below(path) && goes_wrong(name, path);
}

static int open_any(int at_fd, const char *path, int flags, mode_t mode) {
    if (dir && is_below(path) && strcmp(path + dir_length, "/begin") == 0)
        atomic_store(&begun, 1);
    else if (path_goes_wrong("openat", at_fd, path))
        return -1;
    return (int)syscall(SYS_openat, at_fd, path, flags, mode);
}

int open(const char *path, int flags, ...) {
    MODE(flags, mode)
    return open_any(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE(flags, mode)
    return open_any(AT_FDCWD, path, flags, mode);
}
int openat(int at_fd, const char *path, int flags, ...) {
    MODE(flags, mode)
    return open_any(at_fd, path, flags, mode);
}
int openat64(int at_fd, const char *path, int flags, ...) {
    MODE(flags, mode)
    return open_any(at_fd, path, flags, mode);
}

DIR *opendir(const char *path) {
    int fd = open_any(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_DIRECTORY | O_CLOEXEC, 0);
    return fd < 0 ? NULL : fdopendir(fd);
}

/* A call on a descriptor: goes wrong, or goes to the kernel. */
#define ON_FD(name, fd, ...) return fd_goes_wrong(#name, fd) ? -1 : syscall(SYS_##name, fd, ##__VA_ARGS__)
/* A call on a path. */
#define ON_PATH(name, at_fd, path, ...) return path_goes_wrong(#name, at_fd, path) ? -1 : (int)syscall(SYS_##name, at_fd, path, ##__VA_ARGS__)

ssize_t write(int fd, const void *bytes, size_t count) { ON_FD(write, fd, bytes, count); }
ssize_t writev(int fd, const struct iovec *parts, int count) { ON_FD(writev, fd, parts, count); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) { ON_FD(pwrite64, fd, bytes, count, offset); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) { ON_FD(pwrite64, fd, bytes, count, offset); }
int fsync(int fd) { ON_FD(fsync, fd); }
int fdatasync(int fd) { ON_FD(fdatasync, fd); }
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags) { ON_FD(sync_file_range, fd, offset, length, flags); }
int ftruncate(int fd, off_t length) { ON_FD(ftruncate, fd, length); }
int ftruncate64(int fd, off64_t length) { ON_FD(ftruncate, fd, length); }
int fallocate(int fd, int mode, off_t offset, off_t length) { ON_FD(fallocate, fd, mode, offset, length); }
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { ON_FD(fallocate, fd, mode, offset, length); }
int fchmod(int fd, mode_t mode) { ON_FD(fchmod, fd, mode); }
ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length, unsigned flags) {
    return fd_goes_wrong("copy_file_range", to) ? -1 : syscall(SYS_copy_file_range, from, from_offset, to, to_offset, length, flags);
}
ssize_t sendfile(int to, int from, off_t *offset, size_t count) { ON_FD(sendfile, to, from, offset, count); }
ssize_t sendfile64(int to, int from, off64_t *offset, size_t count) { ON_FD(sendfile, to, from, offset, count); }
int mkdir(const char *path, mode_t mode) { ON_PATH(mkdirat, AT_FDCWD, path, mode); }
int mkdirat(int at_fd, const char *path, mode_t mode) { ON_PATH(mkdirat, at_fd, path, mode); }
int unlink(const char *path) { ON_PATH(unlinkat, AT_FDCWD, path, 0); }
int rmdir(const char *path) { ON_PATH(unlinkat, AT_FDCWD, path, AT_REMOVEDIR); }
int unlinkat(int at_fd, const char *path, int flags) { ON_PATH(unlinkat, at_fd, path, flags); }
int chmod(const char *path, mode_t mode) { ON_PATH(fchmodat, AT_FDCWD, path, mode); }
int fchmodat(int at_fd, const char *path, mode_t mode, int flags) {
    (void)flags;
    ON_PATH(fchmodat, at_fd, path, mode);
}
int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
    return path_goes_wrong("renameat2", from_fd, from) ? -1 : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}
int renameat(int from_fd, const char *from, int to_fd, const char *to) { return renameat2(from_fd, from, to_fd, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
