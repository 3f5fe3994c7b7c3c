#define _GNU_SOURCE
#include "lspawn.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int read_byte(struct reader *r, unsigned char *byte) {
    if (r->at == r->end) return 0;
    *byte = *r->at++;
    return 1;
}

int read_number(struct reader *r, uint32_t *number) {
    if (r->end - r->at < 4) return 0;
    *number = (uint32_t)r->at[0] | (uint32_t)r->at[1] << 8 | (uint32_t)r->at[2] << 16 | (uint32_t)r->at[3] << 24;
    r->at += 4;
    return 1;
}

int read_counted(struct reader *r, struct field *field) {
    if (r->end - r->at < 2) return 0;
    size_t length = (size_t)r->at[0] | (size_t)r->at[1] << 8;
    if ((size_t)(r->end - r->at) - 2 < length) return 0;
    field->start = r->at + 2;
    field->length = length;
    r->at += 2 + length;
    return 1;
}

static unsigned char *room(struct writer *w, size_t length) {
    if (w->failed || w->capacity - w->length < length) {
        w->failed = 1;
        return NULL;
    }
    unsigned char *at = w->start + w->length;
    w->length += length;
    return at;
}

void write_byte(struct writer *w, unsigned char byte) {
    unsigned char *at = room(w, 1);
    if (at) *at = byte;
}

void write_number(struct writer *w, uint32_t number) {
    unsigned char *at = room(w, 4);
    if (!at) return;
    for (int i = 0; i < 4; i++) at[i] = (unsigned char)(number >> 8 * i);
}

void write_counted(struct writer *w, const void *bytes, size_t length) {
    if (length > 0xFFFF) w->failed = 1;
    unsigned char *at = room(w, 2 + length);
    if (!at) return;
    at[0] = (unsigned char)length;
    at[1] = (unsigned char)(length >> 8);
    if (length) memcpy(at + 2, bytes, length);
}

ssize_t receive_packet(int socket, void *buffer, size_t capacity, int *descriptor) {
    /* Room for several, so that surplus descriptors are seen and closed. */
    union { char bytes[CMSG_SPACE(8 * sizeof(int))]; struct cmsghdr align; } control;
    struct iovec part = {buffer, capacity};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *descriptor = -1;
    ssize_t length;
    while ((length = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {}
    if (length < 0) return -1;
    int surplus = (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            if (*descriptor < 0) *descriptor = fd;
            else { close(fd); surplus = 1; }
        }
    }
    if (!surplus) return length;
    if (*descriptor >= 0) close(*descriptor);
    *descriptor = -1;
    errno = EMSGSIZE;
    return -1;
}

int send_packet(int socket, const void *packet, size_t length, int descriptor) {
    union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
    struct iovec part = {(void *)packet, length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *h = CMSG_FIRSTHDR(&message);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof descriptor);
        memcpy(CMSG_DATA(h), &descriptor, sizeof descriptor);
    }
    ssize_t sent;
    while ((sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0 && errno == EINTR) {}
    return sent < 0 ? -1 : 0;
}

int connect_packets(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) { errno = ENAMETOOLONG; return -1; }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}
