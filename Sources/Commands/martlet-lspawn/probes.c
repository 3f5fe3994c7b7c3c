#define _GNU_SOURCE
#include "lspawn.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A question that a worker has. */
static struct probe {
    struct worker *worker;           /* NULL: this place is free */
    uint32_t token;                  /* route's name for it */
    uint32_t name;                   /* ours, for the worker: a route that returns begins with its tokens anew */
    int orphan;                      /* the route that asked is gone */
} probes[MAX_PROBES];

static uint32_t last_name;

enum { UNKNOWN = 0, NONEXISTENT = 2 };

/* Route.Verdict to route. When its socket is full it goes without: it takes no answer for "unknown". */
static void tell_route(uint32_t token, unsigned char verdict) {
    unsigned char packet[6];
    struct writer w = {packet, 0, sizeof packet, 0};
    write_byte(&w, 2);
    write_number(&w, token);
    write_byte(&w, verdict);
    if (route.socket >= 0) send_packet(route.socket, packet, w.length, -1);
}

static void end(struct probe *p, unsigned char verdict) {
    p->worker->outstanding--;
    p->worker->idle_since = now;
    p->worker = NULL;
    if (!p->orphan) tell_route(p->token, verdict);
}

static struct probe *free_place(const struct worker *w) {
    struct probe *place = NULL;
    int same = 0;
    for (struct probe *p = probes; p < probes + MAX_PROBES; p++) {
        if (!p->worker) place = p;
        else if (p->worker == w && ++same == MAX_PROBES_PER_WORKER) return NULL;
    }
    return place;
}

/* Hands the question to the worker: WorkerProbe. 0 when it cannot be asked now. */
static int hand_over(uint32_t token, const struct identity *who, const struct field *dash, const struct field *ext) {
    unsigned char packet[1 + 4 + 3 * 2 + MAX_HOME + 2 * MAX_ADDRESS];
    struct writer out = {packet, 0, sizeof packet, 0};
    write_byte(&out, 2);
    write_number(&out, ++last_name);
    write_counted(&out, who->home, strlen(who->home));
    write_counted(&out, dash->start, dash->length);
    write_counted(&out, ext->start, ext->length);
    if (out.failed || stopping) return 0;
    int failure = 0;
    struct worker *w = worker_for(who, &failure);
    struct probe *p = w && !w->blocked ? free_place(w) : NULL;
    if (!p || send_packet(w->socket, packet, out.length, -1) < 0) return 0;
    *p = (struct probe){w, token, last_name, 0};
    w->outstanding++;
    return 1;
}

/* From route: Identity.Probe. */
int take_probe(const unsigned char *packet, size_t length) {
    struct reader r = {packet, packet + length};
    unsigned char type, confined;
    uint32_t token, uid, gid;
    struct field home, dash, ext;
    if (!read_byte(&r, &type) || !read_number(&r, &token) || !read_number(&r, &uid) || !read_number(&r, &gid) || !read_byte(&r, &confined)
        || confined > 1 || !read_counted(&r, &home) || !read_counted(&r, &dash) || !read_counted(&r, &ext) || r.at != r.end) return 0;
    if (home.length == 0 || home.start[0] != '/' || memchr(home.start, 0, home.length)) return 0;
    struct identity who = {uid, gid, home.length > MAX_HOME || refusal(uid, gid) ? NULL : strndup((const char *)home.start, home.length), confined};
    if (!who.home || !hand_over(token, &who, &dash, &ext)) tell_route(token, UNKNOWN);
    free(who.home);
    return 1;
}

/* From a worker, which may answer only what it was asked. */
int take_verdict(struct worker *w, const unsigned char *packet, size_t length) {
    struct reader r = {packet, packet + length};
    unsigned char type, verdict;
    uint32_t name;
    if (!read_byte(&r, &type) || !read_number(&r, &name) || !read_byte(&r, &verdict) || r.at != r.end || verdict > NONEXISTENT) return 0;
    for (struct probe *p = probes; p < probes + MAX_PROBES; p++) {
        if (p->worker != w || p->name != name) continue;
        end(p, verdict);
        return 1;
    }
    return 0;
}

void worker_lost_probes(struct worker *w) {
    for (struct probe *p = probes; p < probes + MAX_PROBES; p++)
        if (p->worker == w) end(p, UNKNOWN);
}

void route_lost_probes(void) {
    for (struct probe *p = probes; p < probes + MAX_PROBES; p++) p->orphan = 1;
}
