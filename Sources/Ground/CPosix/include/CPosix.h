#ifndef MARTLET_CPOSIX_H
#define MARTLET_CPOSIX_H
/* What Swift cannot call itself: variadic calls, macros of the socket headers, and the moment between fork and exec. */
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/types.h>
#include <sys/uio.h>

/* A program to start. Between fork and exec only async-signal-safe calls are made. */
struct martlet_program {
    const char *path;          /* absolute */
    char *const *arguments;    /* with argv[0], NULL at the end */
    char *const *environment;  /* NULL at the end */
    const char *directory;     /* to change to, or NULL */
    const int *descriptors;    /* becomes 0, 1, 2 … in the child; every other descriptor is closed */
    size_t descriptor_count;
    int change_identity;       /* nonzero: setgroups, setgid, setuid, in this order, checked */
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    size_t group_count;
    uint64_t descriptor_limit; /* RLIMIT_NOFILE, 0 = as it is */
    uint64_t memory_limit;     /* RLIMIT_AS in bytes, 0 = as it is */
    int ignore_hangup;         /* nonzero: SIGHUP and SIGALRM do nothing until the program says what they do */
    int own_session;           /* nonzero: setsid, so that signals typed at a terminal reach the parent only */
    int parent_death_signal;   /* sent when this process, which must have one thread, dies; 0 = none. Lost when the child changes its identity. */
};

/* The child's pid, or -errno of the step that failed (then there is no child). Signals are unblocked and, but for those two, back to their defaults in the child. */
pid_t martlet_spawn(const struct martlet_program *program);

/* A descriptor that poll finds readable when the child has ended (pidfd_open). -1 with errno. */
int martlet_watch_process(pid_t pid);

/* sendmsg with at most one descriptor (-1: none). Bytes sent or -1 with errno; never raises SIGPIPE, never blocks if `flags` says so. */
ssize_t martlet_send(int socket, const struct iovec *parts, int part_count, int descriptor, int flags);

/* recvmsg with at most one descriptor (close-on-exec) into *descriptor, -1 if none came. More than one, or a cut packet: EMSGSIZE, all closed. */
ssize_t martlet_receive(int socket, void *buffer, size_t capacity, int *descriptor, int flags);

/* accept4: close-on-exec and non-blocking. */
int martlet_accept(int listener);

/* Who is at the other end of a UNIX socket, as it was at connect (SO_PEERCRED). 0, or -1 with errno. */
int martlet_peer(int socket, pid_t *pid, uid_t *uid, gid_t *gid);

/* An anonymous file in memory that can be sealed (memfd_create). */
int martlet_memory_file(const char *name);
/* No more writes, no change of size, for ever. */
int martlet_seal(int descriptor);

/* O_PATH: a place in the tree, without permission to read it. Hidden from Swift by feature macros. */
static const int martlet_o_path = 010000000;
/* O_NOATIME: reading leaves no trace; for a file's owner and root only. Hidden like it. */
static const int martlet_o_noatime = 01000000;

/* rename within open directories that fails with EEXIST instead of replacing a file. */
int martlet_rename_new(int from_directory, const char *from, int to_directory, const char *to);

/* All that was written to its file system, whoever wrote it, is on the disk (syncfs). */
int martlet_sync_file_system(int descriptor);

int martlet_set_nonblocking(int descriptor);
/* The strings of this process's environment, NULL at the end. */
char *const *martlet_environment(void);
/* The arguments of this process with argv[0], NULL at the end. Unlike CommandLine it needs no /proc and no descriptor. */
char *const *martlet_arguments(void);
int martlet_set_no_new_privileges(void);
/* Landlock: from now on this thread and its children open files below the directory only, and execute none. The version of what the kernel restricts,
   or -errno; -EOPNOTSUPP where it restricts too little to deliver mail under. */
int martlet_confine(int directory);
/* No core file and no look into this process's memory but for root (PR_SET_DUMPABLE). 0, or -1 with errno. */
int martlet_hide_memory(void);
/* The account's hash in the shadow file into buffer, NUL at the end; "!" when the account has expired. 1 found, 0 none, or -errno; -EACCES without the right to look. */
int martlet_shadow_password(const char *account, char *buffer, size_t capacity);
/* Asks PAM (by dlopen) whether the account may come in with that password; on success its name, which PAM may have changed, in user. */
enum martlet_pam { MARTLET_PAM_ADMITTED, MARTLET_PAM_DENIED, MARTLET_PAM_TROUBLE, MARTLET_PAM_MISSING };
enum martlet_pam martlet_pam_check(const char *service, const char *account, const char *password, const char *host, char *user, size_t capacity);
/* Name of this process as ps shows it, cut at 15 bytes. */
void martlet_name_process(const char *name);
/* Writes whole or gives up at the first error: for log lines to fd 2. */
void martlet_log(const void *bytes, size_t length);
#endif
