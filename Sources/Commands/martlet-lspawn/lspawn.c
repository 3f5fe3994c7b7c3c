#define _GNU_SOURCE
#include "lspawn.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct connection queue = {"run/deliver-local/socket", -1, 0, 0, FIRST_BACKOFF_MS};
struct connection route = {"run/identity/socket", -1, 0, 0, FIRST_BACKOFF_MS};
struct connection opening = {"run/opening/socket", -1, 0, 0, FIRST_BACKOFF_MS};
static struct connection *const connections[] = {&queue, &route, &opening};
enum { CONNECTIONS = sizeof connections / sizeof *connections };
const char *worker_program;
uid_t minimum_uid = DEFAULT_MINUID;
int stopping;
int64_t now;

static unsigned char buffer[MAX_PACKET];
static uint32_t capacity = MAX_DELIVERIES;

void say(const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (n < 0) return;
    if ((size_t)n > sizeof line - 2) n = sizeof line - 2;
    line[n] = 0;
    dprintf(2, "lspawn: %s\n", line);
}

static int64_t milliseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* control/minuid; a file that cannot be read or holds no number leaves the old value. */
static void read_minuid(void) {
    int fd = open("control/minuid", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        if (errno == ENOENT) minimum_uid = DEFAULT_MINUID;
        else say("control/minuid: %s; the old value stays", error_text(errno));
        return;
    }
    char text[32];
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    uint64_t value = 0;
    ssize_t i = 0;
    while (i < n && text[i] >= '0' && text[i] <= '9' && value <= UINT32_MAX) value = value * 10 + (uint64_t)(text[i++] - '0');
    if (i == 0 || value > UINT32_MAX || (i < n && text[i] != '\n' && text[i] != ' ' && text[i] != '\t')) {
        say("control/minuid line 1: must be the number of a uid; the old value stays");
        return;
    }
    minimum_uid = (uid_t)value;
}

static void disconnect(struct connection *c) {
    if (c->socket < 0) return;
    close(c->socket);
    c->socket = -1;
    c->retry_at = now + c->backoff;
    if (c == &queue) queue_lost();
    if (c == &route) route_lost();
}

static void announce(void) {
    unsigned char packet[5];
    struct writer w = {packet, 0, sizeof packet, 0};
    write_byte(&w, 65);
    write_number(&w, capacity);
    if (send_packet(queue.socket, packet, w.length, -1) < 0) disconnect(&queue);
}

static void reconnect(struct connection *c) {
    if (c->socket >= 0 || now < c->retry_at || (stopping && c != &route)) return;
    c->socket = connect_packets(c->path);
    if (c->socket < 0) {
        c->retry_at = now + c->backoff;
        c->backoff = c->backoff * 2 < MAX_BACKOFF_MS ? c->backoff * 2 : MAX_BACKOFF_MS;
        return;
    }
    c->blocked = 0;
    if (c == &queue) announce();
}

/* Packets of a peer until there are none; a connection that works has its back-off forgiven. */
static void read_connection(struct connection *c) {
    for (;;) {
        int descriptor;
        ssize_t n = receive_packet(c->socket, buffer, sizeof buffer, &descriptor);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            if (descriptor >= 0) close(descriptor);
            if (n < 0) say("%s: %s; connection dropped", c->path, errno == EMSGSIZE ? "bad packet" : error_text(errno));
            disconnect(c);
            return;
        }
        int good;
        if (c == &queue) {
            good = take_request(buffer, (size_t)n, descriptor);
        } else if (c == &opening) {
            good = take_order(buffer, (size_t)n, descriptor);
        } else {
            if (descriptor >= 0) close(descriptor);
            good = take_identity(buffer, (size_t)n);
        }
        if (!good) {
            say("%s: bad frame; connection dropped", c->path);
            disconnect(c);
        }
        if (c->socket < 0) return;
        c->backoff = FIRST_BACKOFF_MS;
    }
}

static void read_worker(struct worker *w) {
    for (;;) {
        int descriptor;
        ssize_t n = receive_packet(w->socket, buffer, sizeof buffer, &descriptor);
        if (descriptor >= 0) close(descriptor);
        if (n < 0 && errno == EAGAIN) return;
        /* It ended with requests unread. The kernel says so once, in front of the answers that it had given before. */
        if (n < 0 && errno == ECONNRESET) continue;
        if (n > 0 && take_answer(w, buffer, (size_t)n)) continue;
        if (n > 0 || (n < 0 && errno == EMSGSIZE)) {
            say("worker %d: bad frame; ended", (int)w->pid);
            if (w->pid > 0) kill(w->pid, SIGKILL);
        }
        worker_lost(w);
        return;
    }
}

static void take_signals(int signals) {
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGHUP: read_minuid(); break;
        case SIGCHLD: break;
        default: stopping = 1;
        }
    }
    for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;) {
        reaped(pid);
        reaped_store(pid);
        reaped_check(pid);
    }
}

static int prepare_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    signal(SIGPIPE, SIG_IGN);
    /* An ignored SIGCHLD, inherited, would leave nothing to wait for. */
    signal(SIGCHLD, SIG_DFL);
    if (sigprocmask(SIG_SETMASK, &set, NULL) < 0) return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* As many descriptors as we may have: one for each delivery that waits, one for each worker. */
static void prepare_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    rlim_t spare = MAX_WORKERS + 32;
    if (limit.rlim_max < spare + MAX_DELIVERIES) capacity = limit.rlim_max > 2 * spare ? (uint32_t)(limit.rlim_max - spare) : MAX_WORKERS;
}

/* While stopping, only what route still has to say is read. */
static short wanted(const struct connection *c) { return (short)((stopping && c != &route ? 0 : POLLIN) | (c->blocked ? POLLOUT : 0)); }

static int wait_time(int64_t next_tick) {
    int64_t until = next_tick;
    for (int i = 0; i < CONNECTIONS; i++) {
        struct connection *c = connections[i];
        if (c->socket < 0 && (!stopping || c == &route) && c->retry_at < until) until = c->retry_at;
    }
    return until > now ? (int)(until - now) : 0;
}

static void turn(int signals, int64_t next_tick) {
    struct pollfd polled[1 + CONNECTIONS + MAX_WORKERS] = {{signals, POLLIN, 0}};
    struct pollfd *peers = polled + 1, *children = peers + CONNECTIONS;
    for (int i = 0; i < CONNECTIONS; i++) peers[i] = (struct pollfd){connections[i]->socket, wanted(connections[i]), 0};
    for (int i = 0; i < MAX_WORKERS; i++)
        children[i] = (struct pollfd){workers[i].socket, (short)(POLLIN | (workers[i].blocked ? POLLOUT : 0)), 0};
    if (poll(polled, 1 + CONNECTIONS + MAX_WORKERS, wait_time(next_tick)) < 0) return;
    now = milliseconds();
    if (polled[0].revents) take_signals(signals);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct connection *c = connections[i];
        short seen = peers[i].revents;
        if (c->socket < 0 || c->socket != peers[i].fd) continue;
        if (seen & POLLOUT) c->blocked = 0;
        if (seen & POLLIN) read_connection(c);
        else if (seen & (POLLHUP | POLLERR)) disconnect(c);
    }
    for (int i = 0; i < MAX_WORKERS; i++) {
        short seen = children[i].revents;
        if (workers[i].socket < 0 || workers[i].socket != children[i].fd) continue;
        if (seen & POLLOUT) workers[i].blocked = 0;
        if (seen & (POLLIN | POLLHUP | POLLERR)) read_worker(&workers[i]);
    }
    for (struct connection *failed; pump(&failed) < 0;) disconnect(failed);
}

static int serve(int signals) {
    int64_t next_tick = now + 1000, give_up = 0;
    for (;;) {
        now = milliseconds();
        for (int i = 0; i < CONNECTIONS; i++) reconnect(connections[i]);
        turn(signals, next_tick);
        if (stopping && !give_up) {
            give_up = now + STOP_MS;
            drop_unstarted();
        }
        if (stopping && (deliveries_under_way() == 0 || queue.socket < 0 || now >= give_up)) return 0;
        if (now >= next_tick) {
            tick();
            next_tick = now + 1000;
        }
    }
}

int main(int count, char **arguments) {
    if (count != 2 || arguments[1][0] != '/') {
        say("usage: martlet-lspawn WORKER (the absolute path of qmail)");
        return 100;
    }
    worker_program = arguments[1];
    /* 0, 1 and 2 must be something, or a socket would end up as the log. */
    int fd;
    do fd = open("/dev/null", O_RDWR); while (fd >= 0 && fd <= 2);
    if (fd < 0) return 111;
    close(fd);
    char home[4096];
    if (!getcwd(home, sizeof home) || prepare_environment(home) < 0) {
        say("fatal: the qmail home's path is too long or unknown");
        return 111;
    }
    for (int i = 0; i < MAX_WORKERS; i++) workers[i].socket = -1;
    int signals = prepare_signals();
    if (signals < 0) {
        say("fatal: signalfd: %s", error_text(errno));
        return 111;
    }
    /* Without the supervisor nobody would end us. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prepare_descriptors();
    read_minuid();
    now = milliseconds();
    return serve(signals);
}
