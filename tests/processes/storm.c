/* Makes so many processes that end at once, one after the other, says what it and they used in microseconds, and waits.
   A child borrows its parent's memory for its whole life, which is what makes it quick. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static long microseconds(struct timeval time) { return time.tv_sec * 1000000L + time.tv_usec; }

int main(int count, char **arguments) {
    struct rusage own, children;
    long left = count > 1 ? atol(arguments[1]) : 0;
    for (; left > 0; left--) {
        pid_t child = vfork();
        if (child == 0)
            _exit(0);
        if (child < 0 || waitpid(child, NULL, 0) != child)
            return 1;
    }
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    printf("%ld\n", microseconds(own.ru_utime) + microseconds(own.ru_stime) + microseconds(children.ru_utime) +
                        microseconds(children.ru_stime));
    fflush(stdout);
    return read(0, arguments, 1) < 0;
}
