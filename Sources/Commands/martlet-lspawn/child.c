#define _GNU_SOURCE
#include "lspawn.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char path_variable[8192];
static char home_variable[4096];
static char queue_variable[4096];
static char *environment[4];
static char *store_environment[5];
static int null_descriptor;

int prepare_environment(const char *qmail_home) {
    null_descriptor = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_descriptor < 0) return -1;
    int n = snprintf(path_variable, sizeof path_variable, "PATH=%s/bin:/usr/local/bin:/usr/bin:/bin", qmail_home);
    if (n < 0 || (size_t)n >= sizeof path_variable) return -1;
    n = snprintf(home_variable, sizeof home_variable, "QMAILHOME=%s", qmail_home);
    if (n < 0 || (size_t)n >= sizeof home_variable) return -1;
    environment[0] = path_variable;
    environment[1] = home_variable;
    store_environment[0] = path_variable;
    store_environment[1] = home_variable;
    /* Callers of qmail-queue honour the administrator's replacement; forwards from .qmail are such callers. */
    const char *replacement = getenv("QMAILQUEUE");
    if (replacement) {
        n = snprintf(queue_variable, sizeof queue_variable, "QMAILQUEUE=%s", replacement);
        if (n < 0 || (size_t)n >= sizeof queue_variable) return -1;
        environment[2] = queue_variable;
    }
    return 0;
}

static void set_limits(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max < WORKER_DESCRIPTORS ? limit.rlim_max : WORKER_DESCRIPTORS;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    /* Mail must not lie around in core files. */
    limit.rlim_cur = limit.rlim_max = 0;
    setrlimit(RLIMIT_CORE, &limit);
}

static int become(const struct identity *who) {
    if (geteuid() == 0) {
        if (setgroups(1, &who->gid) < 0 || setgid(who->gid) < 0 || setuid(who->uid) < 0) return -1;
        gid_t gid[3];
        if (getresgid(&gid[0], &gid[1], &gid[2]) < 0) return -1;
        if (gid[0] != who->gid || gid[1] != who->gid || gid[2] != who->gid) { errno = EPERM; return -1; }
    }
    uid_t uid[3];
    if (getresuid(&uid[0], &uid[1], &uid[2]) < 0) return -1;
    /* No way back, whatever the calls above have said. */
    if (uid[0] != who->uid || uid[1] != who->uid || uid[2] != who->uid || who->uid == 0 || setuid(0) == 0) { errno = EPERM; return -1; }
    return 0;
}

/* What is said of a child that cannot start: to whoever holds the other end of its socket, or, when that is not us, in the log. */
struct start { const char *program; char *const *arguments, *const *environment; int reports; };

static _Noreturn void child(const struct start *start, const struct identity *who, int socket) {
    enum step step = STEP_SETUP;
    /* The call itself: the C library keeps signals 32 and 33 to itself and would leave them ignored. */
    static const unsigned long nothing[4]; /* handler, flags, restorer, mask of the kernel's sigaction */
    for (int s = 1; s < NSIG; s++) syscall(SYS_rt_sigaction, s, nothing, NULL, sizeof(unsigned long));
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* 0 is the socket, 1 and 2 the log; nothing else stays open. 2 is checked at start, so that no socket ends there. A terminal is never passed on:
     * a user could read from it and set it. */
    if (dup2(isatty(2) ? null_descriptor : 2, 1) < 0 || dup2(1, 2) < 0 || dup2(socket, 0) < 0 || syscall(SYS_close_range, 3u, ~0u, 0u) < 0) goto failed;
    umask(077);
    set_limits();
    if (who) {
        step = STEP_IDENTITY;
        if (become(who) < 0) goto failed;
        step = STEP_HOME;
        if (chdir(who->home) < 0) goto failed;
    }
    step = STEP_EXEC;
    execve(start->program, start->arguments, start->environment);
failed:;
    unsigned char packet[6];
    struct writer w = {packet, 0, sizeof packet, 0};
    int code = errno;
    if (!start->reports) {
        say("%s for uid %u could not start: step %d: %s", start->arguments[0], (unsigned)(who ? who->uid : geteuid()), step, error_text(code));
        _exit(127);
    }
    write_byte(&w, START_FAILED);
    write_byte(&w, (unsigned char)step);
    write_number(&w, (uint32_t)code);
    /* In the first step 0 may not be the socket yet. */
    send_packet(step == STEP_SETUP ? socket : 0, packet, w.length, -1);
    _exit(127);
}

pid_t start_worker(const char *program, const struct identity *who, int *ours) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return -1;
    pid_t pid = fork();
    char *const arguments[] = {(char *)"martlet-local", who->confined ? (char *)"confined" : NULL, NULL};
    if (pid == 0) child(&(struct start){program, arguments, environment, 1}, who, pair[1]);
    int code = errno;
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        errno = code;
        return -1;
    }
    *ours = pair[0];
    return pid;
}

pid_t start_store(const char *program, const struct identity *who, const struct store_order *order, int descriptor) {
    static char user[MAX_ADDRESS + 8], home[MAX_HOME + 8];
    snprintf(user, sizeof user, "USER=%s", order->user);
    snprintf(home, sizeof home, "HOME=%s", who->home);
    store_environment[2] = user;
    store_environment[3] = home;
    char *const arguments[] = {(char *)"martlet-store", (char *)(who->confined ? "confined" : "free"), (char *)order->service, order->mailbox, NULL};
    pid_t pid = fork();
    if (pid == 0) child(&(struct start){program, arguments, store_environment, 0}, who, descriptor);
    return pid;
}

pid_t start_check(const char *program, int descriptor) {
    static char *plain_environment[3];
    plain_environment[0] = path_variable;
    plain_environment[1] = home_variable;
    char *const arguments[] = {(char *)"martlet-authcheck", NULL};
    pid_t pid = fork();
    if (pid == 0) child(&(struct start){program, arguments, plain_environment, 0}, NULL, descriptor);
    return pid;
}
