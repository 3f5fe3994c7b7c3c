#define _GNU_SOURCE
#include "CPosix.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <shadow.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int prepare_child(const struct martlet_program *p, int report) {
    /* Move the report and every wanted descriptor above the range they end in, then lay them down in order. */
    int count = (int)p->descriptor_count;
    int high[64];
    if (count > 64) { errno = E2BIG; return -1; }
    int moved = fcntl(report, F_DUPFD_CLOEXEC, count + 64);
    if (moved < 0) return -1;
    for (int i = 0; i < count; i++)
        if ((high[i] = fcntl(p->descriptors[i], F_DUPFD_CLOEXEC, count + 64)) < 0) return -1;
    for (int i = 0; i < count; i++)
        if (dup2(high[i], i) < 0) return -1;
    if (dup2(moved, count) < 0 || fcntl(count, F_SETFD, FD_CLOEXEC) < 0) return -1;
    if (syscall(SYS_close_range, (unsigned)count + 1, ~0u, 0) < 0) return -1;
    return 0;
}

/* Every signal as the kernel has it at the start. The call itself, for the C library keeps 32 and 33 to itself and would leave them ignored. */
static void default_signals(void) {
    static const unsigned long nothing[4]; /* handler, flags, restorer, mask of the kernel's sigaction */
    for (int s = 1; s < NSIG; s++) syscall(SYS_rt_sigaction, s, nothing, NULL, sizeof(unsigned long));
}

static void child(const struct martlet_program *p, int report, pid_t parent) {
    default_signals();
    if (p->ignore_hangup) {
        signal(SIGHUP, SIG_IGN);
        signal(SIGALRM, SIG_IGN);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (p->own_session) setsid();
    if (p->parent_death_signal) {
        if (prctl(PR_SET_PDEATHSIG, p->parent_death_signal, 0, 0, 0) < 0) goto failed;
        /* It may have died before that call. */
        if (getppid() != parent) _exit(127);
    }
    if (prepare_child(p, report) < 0) goto failed;
    report = (int)p->descriptor_count;
    if (p->descriptor_limit) {
        struct rlimit limit = {p->descriptor_limit, p->descriptor_limit}, now;
        if (getrlimit(RLIMIT_NOFILE, &now) == 0 && limit.rlim_max > now.rlim_max && geteuid() != 0)
            limit.rlim_cur = limit.rlim_max = now.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) goto failed;
    }
    /* A core of a role would hold mail. Only the soft limit: users' programs may raise it again. */
    struct rlimit core;
    if (getrlimit(RLIMIT_CORE, &core) == 0) {
        core.rlim_cur = 0;
        setrlimit(RLIMIT_CORE, &core);
    }
    if (p->memory_limit) {
        struct rlimit limit = {p->memory_limit, p->memory_limit};
        if (setrlimit(RLIMIT_AS, &limit) < 0) goto failed;
    }
    if (p->change_identity) {
        if (setgroups(p->group_count, p->groups) < 0 || setgid(p->gid) < 0 || setuid(p->uid) < 0) goto failed;
        if (getuid() != p->uid || geteuid() != p->uid || getgid() != p->gid || getegid() != p->gid) { errno = EPERM; goto failed; }
    }
    if (p->directory && chdir(p->directory) < 0) goto failed;
    execve(p->path, p->arguments, p->environment);
failed:;
    int error = errno;
    ssize_t ignored = write(report, &error, sizeof error);
    (void)ignored;
    _exit(127);
}

struct start { const struct martlet_program *program; int report; pid_t parent; };

static int start_child(void *start) {
    const struct start *s = start;
    child(s->program, s->report, s->parent);
    return 127;
}

/* A process that borrows this one's memory until it executes its program, while this thread stands still: nothing is copied, however large we are.
   One that will be somebody else gets a copy, for nobody else's process may ever write into ours. */
static pid_t begin(struct start *start) {
    if (start->program->change_identity) {
        pid_t pid = fork();
        if (pid == 0) start_child(start);
        return pid;
    }
    _Alignas(16) char stack[32 << 10];
    return clone(start_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, start);
}

pid_t martlet_spawn(const struct martlet_program *p) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0) return -errno;
    /* No signal handler of ours may run in the child before the handlers are gone. */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    struct start start = {p, report[1], getpid()};
    pid_t pid = begin(&start);
    int error = pid < 0 ? errno : 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (pid > 0) {
        int from_child;
        ssize_t n;
        while ((n = read(report[0], &from_child, sizeof from_child)) < 0 && errno == EINTR) {}
        if (n == sizeof from_child) {
            error = from_child;
            while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
        }
    }
    close(report[0]);
    return error ? -error : pid;
}

int martlet_watch_process(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0u); }

ssize_t martlet_send(int socket, const struct iovec *parts, int part_count, int descriptor, int flags) {
    union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)part_count};
    if (descriptor >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    }
    return sendmsg(socket, &message, flags | MSG_NOSIGNAL);
}

ssize_t martlet_receive(int socket, void *buffer, size_t capacity, int *descriptor, int flags) {
    /* Room for several, so that surplus descriptors are seen and closed rather than leaked. */
    union { char bytes[CMSG_SPACE(8 * sizeof(int))]; struct cmsghdr align; } control;
    struct iovec part = {buffer, capacity};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *descriptor = -1;
    ssize_t n = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    if (n < 0) return n;
    int surplus = (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof fd);
            if (*descriptor < 0 && !surplus) *descriptor = fd;
            else { close(fd); surplus = 1; }
        }
    }
    if (surplus) {
        if (*descriptor >= 0) close(*descriptor);
        *descriptor = -1;
        errno = EMSGSIZE;
        return -1;
    }
    return n;
}

int martlet_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); }

int martlet_peer(int socket, pid_t *pid, uid_t *uid, gid_t *gid) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return -1;
    *pid = peer.pid;
    *uid = peer.uid;
    *gid = peer.gid;
    return 0;
}

int martlet_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING); }

int martlet_seal(int descriptor) { return fcntl(descriptor, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL); }

_Static_assert(O_PATH == 010000000, "as CPosix.h says");

int martlet_rename_new(int from_directory, const char *from, int to_directory, const char *to) {
    return (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, 1u /* RENAME_NOREPLACE */);
}

int martlet_set_nonblocking(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    return flags < 0 ? -1 : fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
}

int martlet_sync_file_system(int descriptor) { return syncfs(descriptor); }

char *const *martlet_environment(void) { return environ; }

static char *const *arguments;

/* glibc gives main's arguments to constructors too. */
__attribute__((constructor)) static void keep_arguments(int count, char **values) {
    (void)count;
    arguments = values;
}

char *const *martlet_arguments(void) { return arguments; }

int martlet_hide_memory(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

int martlet_set_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }
void martlet_name_process(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
void martlet_log(const void *bytes, size_t length) {
    const char *p = bytes;
    while (length) {
        ssize_t n = write(2, p, length);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        p += n;
        length -= (size_t)n;
    }
}

int martlet_shadow_password(const char *account, char *buffer, size_t capacity) {
    struct spwd entry, *found = NULL;
    char space[8192];
    int failure = getspnam_r(account, &entry, space, sizeof space, &found);
    if (!found) return failure == 0 || failure == ENOENT ? 0 : -failure;
    /* chage -E, as pam_unix has it: locked, as if by hand. */
    int expired = found->sp_expire != -1 && time(NULL) / 86400 >= found->sp_expire;
    const char *hash = expired ? "!" : found->sp_pwdp;
    size_t length = strlen(hash);
    if (length >= capacity) return -ERANGE;
    memcpy(buffer, hash, length + 1);
    return 1;
}
