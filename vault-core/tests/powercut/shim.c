/*
 * Preloaded into a process, writes down in order, over all its threads, every call by which it changes what lies below one directory or makes it
 * durable, with contents; and what the process says on its standard output.
 *
 * POWERCUT_DIR     the directory, in its canonical form. A record begins when the process opens `POWERCUT_DIR/begin`, which need not be there,
 *                  and ends when it opens `POWERCUT_DIR/end`.
 * POWERCUT_RECORD  a file outside the directory: the record, begun anew each time.
 *
 * A record is a sequence of entries `kind (4) | bytes of names (4) | inode (8) | number (8) | bytes of data (8) | names | data`. `record.rs` reads it.
 * One call at a time is carried out and written down, so their order is the one in which they took effect.
 */
#define _GNU_SOURCE
#include "../support/below.h"
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum kind { CREATE = 1, MKDIR, WRITE, TRUNCATE, RENAME, UNLINK, RMDIR, LINK, FSYNC, FDATASYNC, RANGE, SYNC, SAID, UNKNOWN, BEGIN };

struct header {
    uint32_t kind, names_length;
    uint64_t inode, number, data_length;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *record;
static int out = -1;

__attribute__((constructor)) static void prepare(void) {
    watch("POWERCUT_DIR");
    record = getenv("POWERCUT_RECORD");
}

static void put(const void *bytes, size_t length) {
    if (length && syscall(SYS_write, out, bytes, length) != (long)length)
        _exit(97);
}

static void note(enum kind kind, const char *names, size_t names_length, uint64_t inode, uint64_t number, const void *data, size_t length) {
    int saved = errno;
    struct header header = {kind, (uint32_t)names_length, inode, number, length};
    put(&header, sizeof header);
    put(names, names_length);
    put(data, length);
    errno = saved;
}

/* A call that the record has no words for: whoever reads it fails. */
static void note_unknown(const char *what) { note(UNKNOWN, what, strlen(what), 0, 0, NULL, 0); }

static uint64_t inode_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : found.st_ino;
}

static uint64_t size_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : (uint64_t)found.st_size;
}

/* A name in a directory. */
struct place {
    uint64_t dir_inode;
    const char *name;
};

static struct place place_of(int at_fd, const char *path) {
    const char *slash = strrchr(path, '/');
    struct place place = {0, slash ? slash + 1 : path};
    char parent[4200] = ".";
    struct stat found;
    if (slash)
        snprintf(parent, sizeof parent, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    if (fstatat(at_fd, parent, &found, 0) == 0)
        place.dir_inode = found.st_ino;
    return place;
}

static int fd_counts(int fd) {
    char path[4200];
    int saved = errno;
    int counts = out >= 0 && fd_is_below(fd, path, sizeof path);
    errno = saved;
    return counts;
}

static int path_counts(int at_fd, const char *path) {
    if (path[0] != '/' && at_fd != AT_FDCWD)
        return fd_counts(at_fd);
    return out >= 0 && is_below(path);
}

static void note_name(enum kind kind, int at_fd, const char *path, uint64_t number) {
    struct place place = place_of(at_fd, path);
    note(kind, place.name, strlen(place.name), place.dir_inode, number, NULL, 0);
}

/* Writes down what a file now holds where it was just written: its descriptor may be one for writing alone. */
static void note_written(int fd, uint64_t offset, size_t length) {
    char link[64];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long copy = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
    char *bytes = malloc(length);
    if (copy < 0 || !bytes || syscall(SYS_pread64, copy, bytes, length, offset) != (long)length)
        note_unknown("a write that cannot be read");
    else
        note(WRITE, NULL, 0, inode_of(fd), offset, bytes, length);
    free(bytes);
    syscall(SYS_close, copy);
    errno = saved;
}

/* Begins and ends a record. */
static void turn(const char *path) {
    if (!is_below(path))
        return;
    const char *name = path + dir_length;
    if (strcmp(name, "/begin") == 0 || strcmp(name, "/end") == 0) {
        if (out >= 0)
            syscall(SYS_close, out);
        out = -1;
        if (name[1] == 'b' && (out = (int)syscall(SYS_openat, AT_FDCWD, record, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0)
            _exit(97);
        struct stat found;
        if (out >= 0)
            note(BEGIN, NULL, 0, fstatat(AT_FDCWD, dir, &found, 0) ? 0 : found.st_ino, 0, NULL, 0);
    }
}

static int open_any(int at_fd, const char *path, int flags, mode_t mode) {
    pthread_mutex_lock(&lock);
    turn(path);
    int counts = flags & (O_CREAT | O_TRUNC | O_TMPFILE) && path_counts(at_fd, path);
    struct stat before;
    int was_there = counts && fstatat(at_fd, path, &before, 0) == 0;
    int fd = (int)syscall(SYS_openat, at_fd, path, flags, mode);
    if (fd >= 0 && counts) {
        if ((flags & O_TMPFILE) == O_TMPFILE)
            note_unknown("a file without a name");
        else if (!was_there)
            note_name(CREATE, at_fd, path, inode_of(fd));
        else if (flags & O_TRUNC && before.st_size > 0)
            note(TRUNCATE, NULL, 0, inode_of(fd), 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
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
int creat(const char *path, mode_t mode) { return open_any(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* A call that writes `length` bytes at `offset`, or at the descriptor's own place where that is -1. */
#define WRITING(fd, offset, call)                                                                                                      \
    pthread_mutex_lock(&lock);                                                                                                         \
    int counts = fd_counts(fd);                                                                                                        \
    uint64_t at = 0;                                                                                                                   \
    if (counts)                                                                                                                        \
        at = fcntl(fd, F_GETFL) & O_APPEND ? size_of(fd) : (offset) == -1 ? (uint64_t)lseek(fd, 0, SEEK_CUR) : (uint64_t)(offset);     \
    ssize_t written = (ssize_t)(call);                                                                                                 \
    if (counts && written > 0)                                                                                                         \
        note_written(fd, at, (size_t)written);                                                                                         \
    pthread_mutex_unlock(&lock);                                                                                                       \
    return written;

ssize_t write(int fd, const void *bytes, size_t count) {
    if (fd == STDOUT_FILENO) {
        pthread_mutex_lock(&lock);
        if (out >= 0)
            note(SAID, NULL, 0, 0, 0, bytes, count);
        pthread_mutex_unlock(&lock);
    }
    WRITING(fd, -1, syscall(SYS_write, fd, bytes, count))
}
ssize_t writev(int fd, const struct iovec *parts, int count) { WRITING(fd, -1, syscall(SYS_writev, fd, parts, count)) }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) { WRITING(fd, offset, syscall(SYS_pwrite64, fd, bytes, count, offset)) }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) { return pwrite(fd, bytes, count, offset); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    WRITING(fd, offset, syscall(SYS_pwritev, fd, parts, count, offset, 0))
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) { return pwritev(fd, parts, count, offset); }
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    WRITING(fd, offset, syscall(SYS_pwritev2, fd, parts, count, offset, 0, flags))
}
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t offset, int flags) {
    return pwritev2(fd, parts, count, offset, flags);
}
ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length, unsigned flags) {
    off64_t offset = to_offset ? *to_offset : -1;
    WRITING(to, offset, syscall(SYS_copy_file_range, from, from_offset, to, to_offset, length, flags))
}
ssize_t sendfile(int to, int from, off_t *offset, size_t count) { WRITING(to, -1, syscall(SYS_sendfile, to, from, offset, count)) }
ssize_t sendfile64(int to, int from, off64_t *offset, size_t count) { return sendfile(to, from, offset, count); }
ssize_t splice(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length, unsigned flags) {
    off64_t offset = to_offset ? *to_offset : -1;
    WRITING(to, offset, syscall(SYS_splice, from, from_offset, to, to_offset, length, flags))
}

/* A call on a descriptor that is written down when it has succeeded. */
#define ON_FD(fd, call, noting)                                                                                                        \
    pthread_mutex_lock(&lock);                                                                                                         \
    int counts = fd_counts(fd);                                                                                                        \
    int outcome = (int)(call);                                                                                                         \
    if (counts && outcome == 0) {                                                                                                      \
        noting;                                                                                                                        \
    }                                                                                                                                  \
    pthread_mutex_unlock(&lock);                                                                                                       \
    return outcome;

static int sync_fd(int fd, enum kind kind, long number) { ON_FD(fd, syscall(number, fd), note(kind, NULL, 0, inode_of(fd), 0, NULL, 0)) }
int fsync(int fd) { return sync_fd(fd, FSYNC, SYS_fsync); }
int fdatasync(int fd) { return sync_fd(fd, FDATASYNC, SYS_fdatasync); }
int syncfs(int fd) { ON_FD(fd, syscall(SYS_syncfs, fd), note(SYNC, NULL, 0, 0, 0, NULL, 0)) }
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags) {
    ON_FD(fd, syscall(SYS_sync_file_range, fd, offset, length, flags), note(RANGE, NULL, 0, inode_of(fd), (uint64_t)offset, NULL, 0))
}
int ftruncate(int fd, off_t length) { ON_FD(fd, syscall(SYS_ftruncate, fd, length), note(TRUNCATE, NULL, 0, inode_of(fd), (uint64_t)length, NULL, 0)) }
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }
int fallocate(int fd, int mode, off_t offset, off_t length) {
    uint64_t before = size_of(fd);
    ON_FD(fd, syscall(SYS_fallocate, fd, mode, offset, length), {
        if (mode)
            note_unknown("fallocate with a mode");
        else if (size_of(fd) != before)
            note(TRUNCATE, NULL, 0, inode_of(fd), size_of(fd), NULL, 0);
    })
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }
int posix_fallocate(int fd, off_t offset, off_t length) { return fallocate(fd, 0, offset, length) ? errno : 0; }
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return posix_fallocate(fd, offset, length); }

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    if (fd >= 0 && protection & PROT_WRITE && (flags & MAP_TYPE) != MAP_PRIVATE && fd_counts(fd)) {
        pthread_mutex_lock(&lock);
        note_unknown("a shared mapping for writing");
        pthread_mutex_unlock(&lock);
    }
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}
void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
    return mmap(address, length, protection, flags, fd, offset);
}

/* A call on a name that is written down when it has succeeded; what it needs of the time before is looked at in `before`. */
#define ON_PATH(at_fd, path, before, call, noting)                                                                                     \
    pthread_mutex_lock(&lock);                                                                                                         \
    int counts = path_counts(at_fd, path);                                                                                             \
    before;                                                                                                                            \
    int outcome = (int)(call);                                                                                                         \
    if (counts && outcome == 0) {                                                                                                      \
        noting;                                                                                                                        \
    }                                                                                                                                  \
    pthread_mutex_unlock(&lock);                                                                                                       \
    return outcome;

int mkdirat(int at_fd, const char *path, mode_t mode) {
    ON_PATH(at_fd, path, struct stat made, syscall(SYS_mkdirat, at_fd, path, mode),
            note_name(MKDIR, at_fd, path, fstatat(at_fd, path, &made, 0) ? 0 : made.st_ino))
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
int unlinkat(int at_fd, const char *path, int flags) {
    ON_PATH(at_fd, path, , syscall(SYS_unlinkat, at_fd, path, flags), note_name(flags & AT_REMOVEDIR ? RMDIR : UNLINK, at_fd, path, 0))
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) { return unlink(path) ? (errno == EISDIR ? rmdir(path) : -1) : 0; }
int truncate(const char *path, off_t length) { ON_PATH(AT_FDCWD, path, , syscall(SYS_truncate, path, length), note_unknown("truncate")) }
int truncate64(const char *path, off64_t length) { return truncate(path, length); }
int symlinkat(const char *target, int at_fd, const char *path) {
    ON_PATH(at_fd, path, , syscall(SYS_symlinkat, target, at_fd, path), note_unknown("symlink"))
}
int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

/* `name of the first \0 name of the second`; the inode is that of the first's directory, the number that of the second's. */
static void note_two_names(enum kind kind, struct place from, struct place to) {
    char names[1024];
    int length = snprintf(names, sizeof names, "%s%c%s", from.name, '\0', to.name);
    note(kind, names, (size_t)length, from.dir_inode, to.dir_inode, NULL, 0);
}
int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
    ON_PATH(to_fd, to, , syscall(SYS_renameat2, from_fd, from, to_fd, to, flags), {
        if (flags || !path_counts(from_fd, from))
            note_unknown("a rename with flags, or from outside");
        else
            note_two_names(RENAME, place_of(from_fd, from), place_of(to_fd, to));
    })
}
int renameat(int from_fd, const char *from, int to_fd, const char *to) { return renameat2(from_fd, from, to_fd, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
    ON_PATH(to_fd, to, , syscall(SYS_linkat, from_fd, from, to_fd, to, flags), {
        if (flags || !path_counts(from_fd, from))
            note_unknown("a link with flags, or from outside");
        else
            note_two_names(LINK, place_of(from_fd, from), place_of(to_fd, to));
    })
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }
