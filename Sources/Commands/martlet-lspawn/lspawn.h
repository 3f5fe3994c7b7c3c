#ifndef MARTLET_LSPAWN_H
#define MARTLET_LSPAWN_H
/* martlet-lspawn: the one program of Martlet that starts things as other users. It sees envelopes and identities, never mail.
 *
 *   queue  -- run/deliver-local -->  lspawn  -- run/identity -->  route
 *                                      |  fork, setuid, exec; one delivery worker for each (uid, gid, home)
 *                                      v
 *                                    worker   (socket on descriptor 0)
 *
 *   auth   -- run/opening -->  lspawn  -->  store worker or authcheck, one for each order, the descriptor that came with it on 0
 *
 * One thread, one poll loop. The identity of a user comes from route or from auth alone; the queue only names an address. */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    MAX_DELIVERIES = 1000,           /* announced to the queue, which enforces concurrencylocal */
    MAX_WORKERS = 100,               /* processes; beyond, the longest idle one ends, or the delivery waits */
    MAX_PROBES = 32,                 /* questions of route under way; one more is answered "unknown" */
    MAX_PROBES_PER_WORKER = 2,       /* so that one user's workers, when they hang, leave room for others */
    MAX_STORES = 1000,               /* store workers: mailboxes that are open */
    MAX_STORES_PER_USER = 32,
    MAX_CHECKS = 32,                 /* logins that authcheck looks at; auth asks for fewer */
    MAX_PER_WORKER = 64,             /* deliveries handed to one worker at a time: descriptors in flight are counted by the kernel */
    IDLE_MS = 10 * 1000,             /* then a worker is told to end */
    IDENTITY_MS = 60 * 1000,         /* from its arrival; then a delivery is deferred that route has not answered */
    STOP_MS = 10 * 1000,             /* how long running deliveries are waited for after SIGTERM */
    FIRST_BACKOFF_MS = 50,
    MAX_BACKOFF_MS = 1000,
    MAX_PACKET = 192 * 1024,
    MAX_ADDRESS = 1002,
    MAX_HOME = 4095,
    MAX_TEXT = 10000,                /* of a report, spec-qmail 1.4 */
    DEFAULT_MINUID = 100,
    WORKER_DESCRIPTORS = 1024,
};

/* Bytes inside a packet. */
struct field { const unsigned char *start; size_t length; };

/* frames.c: reading and writing the wire format of Sources/Protocols/Frames. Every read checks what is left. */
struct reader { const unsigned char *at, *end; };
int read_byte(struct reader *, unsigned char *);
int read_number(struct reader *, uint32_t *);
int read_counted(struct reader *, struct field *);
struct writer { unsigned char *start; size_t length, capacity; int failed; };
void write_byte(struct writer *, unsigned char);
void write_number(struct writer *, uint32_t);
void write_counted(struct writer *, const void *, size_t);
/* recvmsg of one packet with at most one descriptor: its length, 0 at the end, -1 with errno (EMSGSIZE: no honest packet). */
ssize_t receive_packet(int socket, void *buffer, size_t capacity, int *descriptor);
/* 0, or -1 with errno; never blocks. */
int send_packet(int socket, const void *packet, size_t length, int descriptor);
/* A connection to a SEQPACKET socket below the qmail home, non-blocking; -1 with errno. */
int connect_packets(const char *path);

/* child.c */
struct identity { uid_t uid; gid_t gid; char *home; int confined; }; /* confined: shares its uid with others, and locks itself into its home */
/* What a child that cannot start says on its socket in place of an answer, a type of its own; then the step and the errno. */
enum { START_FAILED = 255 };
enum step { STEP_SETUP = 1, STEP_IDENTITY, STEP_HOME, STEP_EXEC };
/* The child's pid, its socket in *ours (non-blocking, close-on-exec); -1 with errno. */
pid_t start_worker(const char *program, const struct identity *, int *ours);
/* A mailbox, relative to its user's home. */
struct store_order { const char *service; char *user, *mailbox; };
/* As above, with the descriptor on 0, of which it must not know more; when it cannot start, only the log hears of it. */
pid_t start_store(const char *program, const struct identity *, const struct store_order *, int descriptor);
/* martlet-authcheck, which stays who we are and where we are. */
pid_t start_check(const char *program, int descriptor);
/* Once, before the first start: PATH with the qmail home's bin in front, and /dev/null. -1 when that does not fit or open. */
int prepare_environment(const char *qmail_home);

/* deliveries.c: what is under way, and the workers that do it. */
struct worker {
    int socket;                      /* -1: this place is free */
    pid_t pid;                       /* 0 once it is known to have ended */
    struct identity who;
    unsigned outstanding;            /* deliveries and probes */
    int blocked;                     /* its socket is full */
    int64_t idle_since;
    char trouble[256];               /* why it could not start, as a report's text */
};
extern struct worker workers[MAX_WORKERS];
struct connection { const char *path; int socket, blocked; int64_t retry_at, backoff; };
extern struct connection queue, route, opening;
extern const char *worker_program;
extern uid_t minimum_uid;
extern int stopping;
extern int64_t now;                  /* monotonic milliseconds, taken once a turn */

/* Why nothing may be run as this user; NULL when it may. */
const char *refusal(uid_t uid, gid_t gid);
/* The worker of an identity, started if need be; NULL when there is no place or, with *failure, no process to be had. */
struct worker *worker_for(const struct identity *, int *failure);

/* probes.c: route asks whether a user has a .qmail for an extension; the user's worker answers. No mail is involved, and nothing waits for it. */
int take_probe(const unsigned char *packet, size_t length);
int take_verdict(struct worker *, const unsigned char *packet, size_t length);
void worker_lost_probes(struct worker *);
void route_lost_probes(void);

/* stores.c: what auth has started. Nothing of it depends on the connection, or on us. */
int take_order(const unsigned char *packet, size_t length, int descriptor);
void reaped_store(pid_t pid);
/* checks.c: 0 for what no honest auth sends. Which question authcheck gets, we do not learn. */
int take_check(int descriptor);
void reaped_check(pid_t pid);

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Each takes one packet; 0 means that no honest peer sends this. take_request and take_order own the descriptor. */
int take_request(const unsigned char *packet, size_t length, int descriptor);
int take_identity(const unsigned char *packet, size_t length);
int take_answer(struct worker *, const unsigned char *packet, size_t length);
/* The peer is gone: what it was asked for is asked again, what it asked for is dropped, what it ran has crashed. */
void queue_lost(void);
void route_lost(void);
void worker_lost(struct worker *);
/* Moves every delivery as far as it goes now. -1: a connection failed and is to be dropped, its address in *failed. */
int pump(struct connection **failed);
/* Ends workers that were idle for long, answers what waits for route too long. */
void tick(void);
unsigned deliveries_under_way(void);
void drop_unstarted(void);
void reaped(pid_t pid);

/* texts.c: qmail's words for an errno (spec-qmail appendix B). */
const char *error_text(int code);
#endif
