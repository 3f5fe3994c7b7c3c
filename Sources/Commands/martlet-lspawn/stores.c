#define _GNU_SOURCE
#include "lspawn.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A store worker that runs: one for each client that has logged in. Nothing goes between it and us. */
static struct store { pid_t pid; struct identity who; } stores[MAX_STORES]; /* pid 0: this place is free */

enum { SERVICES = 4 };
static const char *const services[SERVICES + 1] = {NULL, NULL, "pop3", "imap", "web"}; /* Login.Service; submission has no mailbox */

static struct store *free_place(const struct identity *who) {
    struct store *place = NULL;
    int same = 0;
    for (struct store *s = stores; s < stores + MAX_STORES; s++) {
        if (!s->pid) place = s;
        else if (s->who.uid == who->uid && strcmp(s->who.home, who->home) == 0 && ++same == MAX_STORES_PER_USER) return NULL;
    }
    return place;
}

/* Why there is no worker; NULL when there is one. Owns who->home. */
static const char *start(const struct store_order *order, struct identity who, int descriptor) {
    const char *no = refusal(who.uid, who.gid);
    struct store *place = no ? NULL : free_place(&who);
    if (!no && !place) no = "too many of this user or in all";
    pid_t pid = no ? -1 : start_store(worker_program, &who, order, descriptor);
    if (!no && pid < 0) no = error_text(errno);
    if (no) {
        free(who.home);
        return no;
    }
    *place = (struct store){pid, who};
    return NULL;
}

static int is_text(const struct field *f, size_t longest) { return f->length > 0 && f->length <= longest && !memchr(f->start, 0, f->length); }

/* Mailbox.Order.open: 0 for what no honest auth sends. */
static int open_mailbox(struct reader *r, int descriptor) {
    unsigned char service, confined;
    uint32_t uid, gid;
    struct field user, home, mailbox;
    if (!read_byte(r, &service) || service > SERVICES || !services[service] || !read_byte(r, &confined) || confined > 1 || !read_number(r, &uid)
        || !read_number(r, &gid) || !read_counted(r, &user) || !read_counted(r, &home) || !read_counted(r, &mailbox) || r->at != r->end) return 0;
    if (descriptor < 0 || !is_text(&user, MAX_ADDRESS) || !is_text(&home, MAX_HOME) || home.start[0] != '/' || !is_text(&mailbox, MAX_HOME)
        || mailbox.start[0] == '/') return 0;
    struct store_order order = {services[service], strndup((const char *)user.start, user.length),
                                strndup((const char *)mailbox.start, mailbox.length)};
    struct identity who = {uid, gid, strndup((const char *)home.start, home.length), confined};
    if (!order.user || !order.mailbox || !who.home) {
        say("no store worker: %s", error_text(ENOMEM));
        free(who.home);
    } else {
        const char *no = start(&order, who, descriptor);
        if (no) say("no store worker for uid %u: %.*s", (unsigned)uid, (int)strcspn(no, "\n"), no);
    }
    free(order.user);
    free(order.mailbox);
    return 1;
}

/* From auth: Mailbox.Order. Owns the descriptor; that it is closed tells the other end that nothing was started. */
int take_order(const unsigned char *packet, size_t length, int descriptor) {
    struct reader r = {packet, packet + length};
    unsigned char type;
    int good = 0;
    if (read_byte(&r, &type)) switch (type) {
    case 1: good = open_mailbox(&r, descriptor); break;
    case 2: good = r.at == r.end && take_check(descriptor); break;
    }
    if (descriptor >= 0) close(descriptor);
    return good;
}

void reaped_store(pid_t pid) {
    for (struct store *s = stores; s < stores + MAX_STORES; s++) {
        if (s->pid != pid) continue;
        free(s->who.home);
        *s = (struct store){0, {0, 0, NULL, 0}};
    }
}
