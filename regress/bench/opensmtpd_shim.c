/* What OpenSMTPD is given from outside when it is measured (LD_PRELOAD): see opensmtpd.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LEAST_BACKLOG = 1024 };

/* Its backlog is 5: what comes beside that is tried again by its client, a second later. */
int listen(int fd, int backlog) {
    int (*next)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "listen");
    return next(fd, backlog > LEAST_BACKLOG ? backlog : LEAST_BACKLOG);
}

/* The end of a message is a packet of its own, which waits for an acknowledgement of the others. */
int connect(int fd, const struct sockaddr *address, socklen_t length) {
    int (*next)(int, const struct sockaddr *, socklen_t) =
        (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
    int yes = 1;
    if (address && (address->sa_family == AF_INET || address->sa_family == AF_INET6))
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return next(fd, address, length);
}

static int is_written_file(int fd) {
    struct stat status;
    return (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY && fstat(fd, &status) == 0 &&
           S_ISREG(status.st_mode) && status.st_nlink > 0;
}

/* Content and envelopes are written through streams: they are synced before they are closed. */
int fclose(FILE *stream) {
    int (*next)(FILE *) = (int (*)(FILE *))dlsym(RTLD_NEXT, "fclose");
    if (stream && fileno(stream) >= 0 && is_written_file(fileno(stream))) {
        fflush(stream);
        fsync(fileno(stream));
    }
    return next(stream);
}
