/* What the preloaded shims share: which calls reach below one directory, and the mode that an open has only where it may create. */
#ifndef BELOW_H
#define BELOW_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The directory in its canonical form; unset: no call reaches below it. */
static const char *dir;
static size_t dir_length;

static void watch(const char *variable) {
    dir = getenv(variable);
    dir_length = dir ? strlen(dir) : 0;
}

static int is_below(const char *path) {
    return dir && strncmp(path, dir, dir_length) == 0 && (path[dir_length] == '/' || path[dir_length] == '\0');
}

/* Writes where a descriptor leads to; whether that is below the directory. */
static int fd_is_below(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
    path[length < 0 ? 0 : length] = '\0';
    return is_below(path);
}

#define MODE(flags, mode)                                                                                                              \
    mode_t mode = 0;                                                                                                                   \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                                             \
        va_list list;                                                                                                                  \
        va_start(list, flags);                                                                                                         \
        mode = va_arg(list, mode_t);                                                                                                   \
        va_end(list);                                                                                                                  \
    }

#endif
