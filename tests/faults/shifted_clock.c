/* Loaded before libc: the machine's wall clock, moved by the seconds that the file $CLOCK_SHIFT holds (8 bytes). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift;

__attribute__((constructor)) static void find(void) {
    const char *path = getenv("CLOCK_SHIFT");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped;
    if (fd < 0) return;
    mapped = mmap(0, sizeof *shift, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) shift = mapped;
    close(fd);
}

static int64_t moved(void) { return shift ? *shift : 0; }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int clock_gettime(clockid_t clock, struct timespec *at) {
    static __typeof__(&clock_gettime) real;
    int failed;
    if (!real) real = REAL(clock_gettime);
    failed = real(clock, at);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += moved();
    return failed;
}

int gettimeofday(struct timeval *at, void *zone) {
    int failed = REAL(gettimeofday)(at, zone);
    if (!failed) at->tv_sec += moved();
    return failed;
}

time_t time(time_t *at) {
    time_t now = REAL(time)(0) + moved();
    if (at) *at = now;
    return now;
}
