#define _GNU_SOURCE
#include "lspawn.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A delivery's life. It is on the list, in order of arrival, from ASK to the end of DONE. */
enum state { FREE, ASK, ASKED, WAIT, RUN, DONE };
struct delivery {
    enum state state;
    int orphan;                      /* the queue that asked is gone; nobody waits for the answer */
    uint32_t generation, slot;       /* slot is the queue's name for it */
    int descriptor;
    int64_t arrived_at;
    uint32_t program_seconds;        /* control/timeoutlocal, for the worker */
    unsigned char *packet;           /* the request, then the worker's request, then the answer */
    size_t length;
    struct field sender, local, domain; /* in the request */
    struct identity who;             /* home is owned */
    struct worker *worker;
    struct delivery *previous, *next;
};

struct worker workers[MAX_WORKERS];
static struct delivery deliveries[MAX_DELIVERIES];
static struct delivery list = {.previous = &list, .next = &list};
static unsigned under_way;
static int memory_short;

/* Tokens name a delivery to route and to workers. The generation makes a late answer to an earlier one no answer. */
static uint32_t token(const struct delivery *d) { return d->generation << 10 | (uint32_t)(d - deliveries); }

static struct delivery *by_token(uint32_t token, enum state state) {
    uint32_t index = token & 1023;
    if (index >= MAX_DELIVERIES) return NULL;
    struct delivery *d = &deliveries[index];
    return d->state == state && d->generation == token >> 10 ? d : NULL;
}

unsigned deliveries_under_way(void) { return under_way; }

static void release_descriptor(struct delivery *d) {
    if (d->descriptor >= 0) close(d->descriptor);
    d->descriptor = -1;
}

static void set_packet(struct delivery *d, unsigned char *packet, size_t length) {
    free(d->packet);
    d->packet = packet;
    d->length = length;
}

static void end(struct delivery *d) {
    release_descriptor(d);
    set_packet(d, NULL, 0);
    free(d->who.home);
    d->who.home = NULL;
    d->previous->next = d->next;
    d->next->previous = d->previous;
    d->state = FREE;
    d->generation = (d->generation + 1) & 0x3FFFFF;
    under_way--;
}

/* Makes the answer; pump sends it. */
static void finish(struct delivery *d, unsigned char letter, const void *text, size_t length) {
    if (d->worker) {
        d->worker->outstanding--;
        d->worker->idle_since = now;
        d->worker = NULL;
    }
    release_descriptor(d);
    if (d->orphan) { end(d); return; }
    if (length > MAX_TEXT) length = MAX_TEXT;
    size_t capacity = 1 + 4 + 1 + 2 + length;
    unsigned char *answer = malloc(capacity);
    if (!answer) {
        /* The queue gets all back that was not answered when its connection ends. */
        memory_short = 1;
        end(d);
        return;
    }
    struct writer w = {answer, 0, capacity, 0};
    write_byte(&w, 66);
    write_number(&w, d->slot);
    write_byte(&w, letter);
    write_counted(&w, text, length);
    set_packet(d, answer, w.length);
    d->state = DONE;
}

static void finish_text(struct delivery *d, unsigned char letter, const char *text) { finish(d, letter, text, strlen(text)); }

/* From the queue: Delivery.Request. */
int take_request(const unsigned char *packet, size_t length, int descriptor) {
    struct delivery *d = deliveries;
    while (d < deliveries + MAX_DELIVERIES && d->state != FREE) d++;
    unsigned char *copy = malloc(length ? length : 1);
    /* Beyond the announced capacity, or out of memory: the queue gets its deliveries back when the connection ends. */
    if (d == deliveries + MAX_DELIVERIES || !copy) goto refuse;
    memcpy(copy, packet, length);
    struct reader r = {copy, copy + length};
    unsigned char type;
    struct field host, recipient;
    if (!read_byte(&r, &type) || type != 1 || !read_number(&r, &d->slot) || !read_counted(&r, &host) || !read_counted(&r, &d->sender)
        || !read_counted(&r, &recipient) || r.at != r.end || d->sender.length > MAX_ADDRESS || recipient.length > MAX_ADDRESS) goto refuse;
    d->state = ASK;
    d->orphan = 0;
    d->descriptor = descriptor;
    d->packet = copy;
    d->length = length;
    d->worker = NULL;
    d->arrived_at = now;
    d->previous = list.previous;
    d->next = &list;
    list.previous->next = d;
    list.previous = d;
    under_way++;
    const unsigned char *at = memrchr(recipient.start, '@', recipient.length);
    if (!at) {
        finish_text(d, 'D', "Sorry, address must include host name. (#5.1.3)\n");
    } else if (at == recipient.start) {
        finish_text(d, 'K', "");     /* the trash address, spec-qmail 2.4 */
    } else if (descriptor < 0) {
        finish_text(d, 'Z', "qmail-spawn unable to open message. (#4.3.0)\n");
    } else {
        d->local = (struct field){recipient.start, (size_t)(at - recipient.start)};
        d->domain = (struct field){at + 1, recipient.length - d->local.length - 1};
    }
    return 1;
refuse:
    free(copy);
    if (descriptor >= 0) close(descriptor);
    return 0;
}

static int ask(struct delivery *d) {
    unsigned char packet[1 + 4 + 2 * 2 + MAX_ADDRESS];
    struct writer w = {packet, 0, sizeof packet, 0};
    write_byte(&w, 1);
    write_number(&w, token(d));
    write_counted(&w, d->local.start, d->local.length);
    write_counted(&w, d->domain.start, d->domain.length);
    if (w.failed) { errno = EMSGSIZE; return -1; }
    return send_packet(route.socket, packet, w.length, -1);
}

/* Whether the uid is a role's, or the gid opens what only roles may enter: route and auth must gain neither by naming them as a user's. */
static int is_ours(uid_t uid, gid_t gid) {
    static const char *const doors[] = {"run/deliver-remote", "run/route", "run/dns", "run/admin", "run/keys", "run/auth", "run/mailbox", "auth", "queue"};
    struct stat door;
    if (gid == 0) return 1;
    for (size_t i = 0; i < sizeof doors / sizeof *doors; i++)
        if (stat(doors[i], &door) == 0 && door.st_gid == gid) return 1;
    /* name:uid:gid, a blank between accounts; the supervisor's word. */
    const char *account = getenv("MARTLET_ACCOUNTS");
    while (account && *account) {
        const char *colon = strchr(account, ':');
        if (!colon) return 1;
        if (strncmp(account, "alias:", 6) != 0 && strtoul(colon + 1, NULL, 10) == uid) return 1;
        account = strchr(colon, ' ');
        if (account) account++;
    }
    return 0;
}

const char *refusal(uid_t uid, gid_t gid) {
    if (uid == 0) return "Not allowed to perform deliveries as root.\n";
    if (uid == (uid_t)-1 || gid == (gid_t)-1) return "Internal qmail-lspawn bug.\n";
    if (geteuid() != 0)
        return uid == geteuid() ? NULL : "Not allowed to perform deliveries as another user: this installation runs without root. (#4.3.5)\n";
    if (uid < minimum_uid) return "Not allowed to perform deliveries as a user whose uid is below control/minuid. (#4.3.5)\n";
    return is_ours(uid, gid) ? "Not allowed to perform deliveries with the rights of Martlet itself. (#4.3.5)\n" : NULL;
}

/* Turns the request into a WorkerRequest. 0 when memory is short. */
static int prepare(struct delivery *d, const struct field *user, const struct field *home, const struct field *dash, const struct field *ext,
                   const struct field *delivery, const struct field *quota) {
    size_t capacity = 1 + 4 + 4 + 9 * 2 + user->length + home->length + d->local.length + dash->length + ext->length + d->domain.length
        + d->sender.length + delivery->length + quota->length;
    unsigned char *packet = malloc(capacity);
    char *path = strndup((const char *)home->start, home->length);
    if (!packet || !path) { free(packet); free(path); return 0; }
    struct writer w = {packet, 0, capacity, 0};
    write_byte(&w, 1);
    write_number(&w, token(d));
    write_number(&w, d->program_seconds);
    const struct field *fields[] = {user, home, &d->local, dash, ext, &d->domain, &d->sender, delivery, quota};
    for (size_t i = 0; i < 9; i++) write_counted(&w, fields[i]->start, fields[i]->length);
    set_packet(d, packet, w.length);
    d->who.home = path;
    return 1;
}

/* From route: Identity.Answer, or Identity.Probe. */
int take_identity(const unsigned char *packet, size_t length) {
    struct reader r = {packet, packet + length};
    unsigned char type, letter, confined;
    uint32_t name, uid, gid, seconds;
    struct field user, home, dash, ext, delivery, quota, text;
    if (length && packet[0] == 67) return take_probe(packet, length);
    if (!read_byte(&r, &type) || !read_number(&r, &name)) return 0;
    struct delivery *d = by_token(name, ASKED);
    if (type == 66) {
        if (!read_byte(&r, &letter) || (letter != 'K' && letter != 'Z' && letter != 'D') || !read_counted(&r, &text) || r.at != r.end) return 0;
        if (d) finish(d, letter, text.start, text.length);
        return 1;
    }
    if (type != 65 || !read_number(&r, &uid) || !read_number(&r, &gid) || !read_number(&r, &seconds) || !read_byte(&r, &confined) || confined > 1
        || !read_counted(&r, &user) || !read_counted(&r, &home) || !read_counted(&r, &dash) || !read_counted(&r, &ext) || !read_counted(&r, &delivery)
        || !read_counted(&r, &quota) || r.at != r.end) return 0;
    if (home.length == 0 || home.start[0] != '/' || memchr(home.start, 0, home.length)) return 0;
    if (!d) return 1;
    /* No bad frame: the next answer would be the same. */
    if (home.length > MAX_HOME) { finish_text(d, 'Z', "Unable to switch to home directory: file name too long. (#4.3.0)\n"); return 1; }
    const char *no = refusal(uid, gid);
    if (no) { finish_text(d, 'Z', no); return 1; }
    d->who = (struct identity){uid, gid, NULL, confined};
    d->program_seconds = seconds;
    if (!prepare(d, &user, &home, &dash, &ext, &delivery, &quota)) { finish_text(d, 'Z', "Out of memory in qmail-lspawn.\n"); return 1; }
    d->state = WAIT;
    return 1;
}

static void close_worker(struct worker *w) {
    close(w->socket);
    w->socket = -1;
    free(w->who.home);
    w->who.home = NULL;
}

void worker_lost(struct worker *w) {
    for (struct delivery *d = list.next, *next; d != &list; d = next) {
        next = d->next;
        if (d->state == RUN && d->worker == w) finish_text(d, 'Z', w->trouble[0] ? w->trouble : "qmail-local crashed.\n");
    }
    worker_lost_probes(w);
    close_worker(w);
}

void reaped(pid_t pid) {
    for (struct worker *w = workers; w < workers + MAX_WORKERS; w++)
        if (w->pid == pid) w->pid = 0;
}

static void note_start_failure(struct worker *w, unsigned char step, int code) {
    switch (step) {
    case STEP_HOME:
        snprintf(w->trouble, sizeof w->trouble, "Unable to switch to %.128s: %s. (#4.3.0)\n", w->who.home, error_text(code));
        break;
    case STEP_EXEC: snprintf(w->trouble, sizeof w->trouble, "Unable to run qmail-local.\n"); break;
    default: snprintf(w->trouble, sizeof w->trouble, "Temporary failure in qmail-lspawn.\n");
    }
    say("worker for uid %u could not start: step %d: %s", (unsigned)w->who.uid, step, error_text(code));
}

/* From a worker: Delivery.Answer with one report, its slot our token; an answer to a probe; or the child's word that it could not start. */
int take_answer(struct worker *w, const unsigned char *packet, size_t length) {
    struct reader r = {packet, packet + length};
    unsigned char type, letter;
    uint32_t name;
    struct field text;
    if (!read_byte(&r, &type)) return 0;
    if (type == 67) return take_verdict(w, packet, length);
    if (type == START_FAILED) {
        /* Said once, before the exec. A worker that goes on saying it is none of ours. */
        if (w->trouble[0]) return 0;
        if (!read_byte(&r, &letter) || !read_number(&r, &name) || r.at != r.end) return 0;
        note_start_failure(w, letter, (int)name);
        return 1;
    }
    if (type != 66 || !read_number(&r, &name) || !read_byte(&r, &letter) || (letter != 'K' && letter != 'Z' && letter != 'D')
        || !read_counted(&r, &text) || r.at != r.end) return 0;
    struct delivery *d = by_token(name, RUN);
    if (!d || d->worker != w) return 0;
    finish(d, letter, text.start, text.length);
    return 1;
}

struct worker *worker_for(const struct identity *who, int *failure) {
    struct worker *place = NULL, *idle = NULL;
    for (struct worker *w = workers; w < workers + MAX_WORKERS; w++) {
        if (w->socket < 0) { if (!place) place = w; continue; }
        if (w->who.uid == who->uid && w->who.gid == who->gid && w->who.confined == who->confined && strcmp(w->who.home, who->home) == 0) return w;
        if (w->outstanding == 0 && (!idle || w->idle_since < idle->idle_since)) idle = w;
    }
    if (!place && !idle) return NULL;
    char *home = strdup(who->home);
    int socket = -1;
    pid_t pid = home ? start_worker(worker_program, who, &socket) : -1;
    if (pid < 0) {
        *failure = 1;
        free(home);
        return NULL;
    }
    if (!place) {
        close_worker(idle);
        place = idle;
    }
    *place = (struct worker){.socket = socket, .pid = pid, .who = {who->uid, who->gid, home, who->confined}, .idle_since = now};
    return place;
}

static void hand_over(struct delivery *d) {
    int failure = 0;
    struct worker *w = worker_for(&d->who, &failure);
    if (failure) { finish_text(d, 'Z', "qmail-spawn unable to fork. (#4.3.0)\n"); return; }
    if (!w || w->blocked || w->outstanding >= MAX_PER_WORKER) return;
    if (send_packet(w->socket, d->packet, d->length, d->descriptor) < 0 && errno != EPIPE && errno != ECONNRESET) {
        if (errno == EMSGSIZE) finish_text(d, 'Z', "Temporary failure in qmail-lspawn.\n");
        else w->blocked = 1;
        return;
    }
    /* Also when the worker is dead already: its end, which poll will tell, answers this delivery. So no delivery starts workers without end. */
    w->outstanding++;
    d->worker = w;
    d->state = RUN;
    release_descriptor(d);
    set_packet(d, NULL, 0);
}

int pump(struct connection **failed) {
    if (memory_short) {
        say("out of memory; the queue's connection is dropped");
        memory_short = 0;
        *failed = &queue;
        return -1;
    }
    for (struct delivery *d = list.next, *next; d != &list; d = next) {
        next = d->next;
        if (d->state == WAIT && !stopping) hand_over(d);
        if (d->state == ASK && route.socket >= 0 && !route.blocked) {
            if (ask(d) == 0) {
                d->state = ASKED;
            } else if (errno == EAGAIN) {
                route.blocked = 1;
            } else {
                *failed = &route;
                return -1;
            }
        }
        if (d->state == DONE && queue.socket >= 0 && !queue.blocked) {
            if (send_packet(queue.socket, d->packet, d->length, -1) == 0) {
                end(d);
            } else if (errno == EAGAIN) {
                queue.blocked = 1;
            } else {
                *failed = &queue;
                return -1;
            }
        }
    }
    return 0;
}

void drop_unstarted(void) {
    for (struct delivery *d = list.next, *next; d != &list; d = next) {
        next = d->next;
        if (d->state == ASK || d->state == ASKED || d->state == WAIT) end(d);
    }
}

void queue_lost(void) {
    drop_unstarted();
    for (struct delivery *d = list.next, *next; d != &list; d = next) {
        next = d->next;
        if (d->state == DONE) end(d);
        else d->orphan = 1;
    }
}

void route_lost(void) {
    for (struct delivery *d = list.next; d != &list; d = d->next)
        if (d->state == ASKED) d->state = ASK;
    route_lost_probes();
}

void tick(void) {
    for (struct worker *w = workers; w < workers + MAX_WORKERS; w++) {
        if (w->socket < 0) continue;
        w->blocked = 0;
        if (w->outstanding == 0 && now - w->idle_since >= IDLE_MS) close_worker(w);
    }
    for (struct delivery *d = list.next, *next; d != &list; d = next) {
        next = d->next;
        if ((d->state == ASK || d->state == ASKED) && now - d->arrived_at >= IDENTITY_MS) finish_text(d, 'Z', "Temporary failure in qmail-lspawn.\n");
    }
}
