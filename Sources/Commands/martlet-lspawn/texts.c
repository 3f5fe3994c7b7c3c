#include "lspawn.h"
#include <errno.h>

const char *error_text(int code) {
    switch (code) {
    case ENOENT: return "file does not exist";
    case EACCES: return "access denied";
    case EPERM: return "permission denied";
    case ENOMEM: return "out of memory";
    case EIO: return "input/output error";
    case EAGAIN: return "temporary failure";
    case ETXTBSY: return "text busy";
    case ENOEXEC: return "exec format error";
    case E2BIG: return "argument list too long";
    case EBUSY: return "device busy";
    case ENOTDIR: return "not a directory";
    case EINVAL: return "invalid argument";
    case ENFILE: return "system cannot open more files";
    case EMFILE: return "process cannot open more files";
    case ECONNREFUSED: return "connection refused";
    case ENAMETOOLONG: return "file name too long";
    case ELOOP: return "symbolic link loop";
    case ETIMEDOUT: return "timed out";
    case ESTALE: return "stale NFS file handle";
    default: return "unknown error";
    }
}
