#define _GNU_SOURCE
#include "lspawn.h"
#include <errno.h>

/* Processes of authcheck. Each ends itself in time; nothing goes between one and us. */
static pid_t checks[MAX_CHECKS]; /* 0: this place is free */

int take_check(int descriptor) {
    if (descriptor < 0) return 0;
    for (pid_t *place = checks; place < checks + MAX_CHECKS; place++) {
        if (*place) continue;
        pid_t pid = start_check(worker_program, descriptor);
        if (pid < 0) say("no authcheck: %s", error_text(errno));
        else *place = pid;
        return 1;
    }
    say("no authcheck: %d run already", MAX_CHECKS);
    return 1;
}

void reaped_check(pid_t pid) {
    for (pid_t *place = checks; place < checks + MAX_CHECKS; place++)
        if (*place == pid) *place = 0;
}
