/* Loaded into a process of the product: the system clock is off by as many seconds as the file $MOVED_CLOCK says, and
 * can be moved while the process runs. The clocks that only run forward, and every sleep, stay as they are. (The usual
 * libfaketime gets Python's sleep wrong: an absolute time of the running clock is "Invalid argument" there.) */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long moved_s(void)
{
    const char *name = getenv("MOVED_CLOCK");
    char text[32] = {0};
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;

    if (file < 0)
        return 0;
    if (read(file, text, sizeof text - 1) < 0)
        text[0] = 0;
    close(file);
    return atol(text);
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    static int (*original)(clockid_t, struct timespec *);
    int result;

    if (!original)
        original = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    result = original(which, now);
    if (result == 0 && which == CLOCK_REALTIME)
        now->tv_sec += moved_s();
    return result;
}

time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
