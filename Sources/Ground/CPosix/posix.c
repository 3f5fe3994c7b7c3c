#define _GNU_SOURCE
#include "CPosix.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Moves every wanted descriptor above the range they end in, then lays them down in order; all others are closed. */
static int prepare_descriptors(const struct martlet_program *p) {
    int count = (int)p->descriptor_count;
    int high[64];
    if (count > 64) { errno = E2BIG; return -1; }
    for (int i = 0; i < count; i++)
        if ((high[i] = fcntl(p->descriptors[i], F_DUPFD_CLOEXEC, count + 64)) < 0) return -1;
    for (int i = 0; i < count; i++)
        if (dup2(high[i], i) < 0) return -1;
    return (int)syscall(SYS_close_range, (unsigned)count, ~0u, 0);
}

/* Every signal as the kernel has it at the start. The call itself, for the C library keeps 32 and 33 to itself and would leave them ignored. */
static void default_signals(void) {
    static const unsigned long nothing[4]; /* handler, flags, restorer, mask of the kernel's sigaction */
    for (int s = 1; s < NSIG; s++) syscall(SYS_rt_sigaction, s, nothing, NULL, sizeof(unsigned long));
}

/* What the child needs, and its answer. The memory is shared: the parent reads the answer without a pipe. */
struct start {
    const struct martlet_program *program;
    pid_t parent;
    int error;
};

/* The calls themselves: the C library's would make every thread of the process, whose memory the child shares, change its identity too. */
static int change_identity(const struct martlet_program *p) {
    if (syscall(SYS_setgroups, p->group_count, p->groups) < 0 || syscall(SYS_setgid, p->gid) < 0 || syscall(SYS_setuid, p->uid) < 0) return -1;
    if (getuid() == p->uid && geteuid() == p->uid && getgid() == p->gid && getegid() == p->gid) return 0;
    errno = EPERM;
    return -1;
}

static int set_limits(const struct martlet_program *p) {
    if (p->descriptor_limit) {
        struct rlimit limit = {p->descriptor_limit, p->descriptor_limit}, now;
        if (getrlimit(RLIMIT_NOFILE, &now) == 0 && limit.rlim_max > now.rlim_max && geteuid() != 0)
            limit.rlim_cur = limit.rlim_max = now.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return -1;
    }
    /* A core of a role would hold mail. Only the soft limit: users' programs may raise it again. */
    struct rlimit core;
    if (getrlimit(RLIMIT_CORE, &core) == 0) {
        core.rlim_cur = 0;
        setrlimit(RLIMIT_CORE, &core);
    }
    if (p->memory_limit) {
        struct rlimit limit = {p->memory_limit, p->memory_limit};
        if (setrlimit(RLIMIT_AS, &limit) < 0) return -1;
    }
    return 0;
}

/* Runs on a stack of its own in the parent's memory, while the thread that started it waits. */
static int child(void *argument) {
    struct start *start = argument;
    const struct martlet_program *p = start->program;
    default_signals();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (p->own_session) setsid();
    if (p->parent_death_signal) {
        if (prctl(PR_SET_PDEATHSIG, p->parent_death_signal, 0, 0, 0) < 0) goto failed;
        /* It may have died before that call. */
        if (getppid() != start->parent) _exit(127);
    }
    if (prepare_descriptors(p) < 0 || set_limits(p) < 0) goto failed;
    if (p->change_identity && change_identity(p) < 0) goto failed;
    if (p->directory && chdir(p->directory) < 0) goto failed;
    execve(p->path, p->arguments, p->environment);
failed:
    start->error = errno;
    _exit(127);
}

pid_t martlet_spawn(const struct martlet_program *p) {
    enum { STACK = 64 * 1024 };
    void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return -errno;
    /* No signal handler of ours may run in the child before the handlers are gone. */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    struct start start = {p, getpid(), 0};
    /* As posix_spawn does it: nothing of the parent's memory is copied, however large it is; this thread goes on after the exec. */
    pid_t pid = clone(child, (char *)stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, &start);
    int error = pid < 0 ? errno : start.error;
    sigprocmask(SIG_SETMASK, &before, NULL);
    munmap(stack, STACK);
    if (pid > 0 && error)
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
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

char *const *martlet_environment(void) { return environ; }

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
