/* Loaded into the pcscd the tests start: its look at the virtual readers comes every 20 ms and not every 400 ms.
 * Nothing else of the daemon or the driver changes; a hundred taps take seconds and not minutes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

#define POLL_NS 400000000L
#define FAST_POLL_NS 20000000L

int nanosleep(const struct timespec *wanted, struct timespec *left)
{
    static int (*original)(const struct timespec *, struct timespec *);
    struct timespec shorter = *wanted;

    if (!original)
        original = (int (*)(const struct timespec *, struct timespec *))dlsym(RTLD_NEXT, "nanosleep");
    if (wanted->tv_sec == 0 && wanted->tv_nsec == POLL_NS)
        shorter.tv_nsec = FAST_POLL_NS;
    return original(&shorter, left);
}
