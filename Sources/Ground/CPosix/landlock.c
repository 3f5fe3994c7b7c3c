#define _GNU_SOURCE
#include "CPosix.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's numbers (landlock(7)); headers of an older system lack some. */
enum {
    EXECUTE = 1 << 0, WRITE_FILE = 1 << 1, READ_FILE = 1 << 2, READ_DIR = 1 << 3, REMOVE_DIR = 1 << 4, REMOVE_FILE = 1 << 5, MAKE_CHAR = 1 << 6,
    MAKE_DIR = 1 << 7, MAKE_REG = 1 << 8, MAKE_SOCK = 1 << 9, MAKE_FIFO = 1 << 10, MAKE_BLOCK = 1 << 11, MAKE_SYM = 1 << 12, REFER = 1 << 13,
    TRUNCATE = 1 << 14, IOCTL_DEV = 1 << 15,
    BIND_TCP = 1 << 0, CONNECT_TCP = 1 << 1,
    ABSTRACT_SOCKETS = 1 << 0, SIGNALS = 1 << 1,
};
enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446, VERSION = 1, PATH_BENEATH = 1 };

int martlet_confine(int directory) {
    long version = syscall(CREATE_RULESET, NULL, (size_t)0, VERSION);
    if (version < 0) return -errno;
    /* Before the second one no rename leaves its directory, and no message enters a Maildir. */
    if (version < 2) return -EOPNOTSUPP;
    struct { uint64_t files, network, scope; } handled = {.files = (1 << 13) - 1 | REFER};
    if (version >= 3) handled.files |= TRUNCATE;
    if (version >= 4) handled.network = BIND_TCP | CONNECT_TCP;
    if (version >= 5) handled.files |= IOCTL_DEV;
    if (version >= 6) handled.scope = ABSTRACT_SOCKETS | SIGNALS;
    struct { uint64_t allowed; int32_t parent; } __attribute__((packed)) rule = {
        (READ_FILE | READ_DIR | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE) & handled.files, directory};
    int rules = (int)syscall(CREATE_RULESET, &handled, sizeof handled, 0);
    if (rules < 0) return -errno;
    int failed = syscall(ADD_RULE, rules, PATH_BENEATH, &rule, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
        || syscall(RESTRICT_SELF, rules, 0) < 0;
    int code = errno;
    close(rules);
    return failed ? -code : (int)version;
}
