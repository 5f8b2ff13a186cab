// The load generator of the gateway benchmark: one epoll thread, POSTs over keep-alive connections, one
// line of JSON at the end.
//
//   lg -p PORT -u PATH -m MODEL [-c CONNECTIONS] [-d SECONDS] [-w WARMUP_SECONDS] [-r RATE] [-R RAMP_MS]
//      [-n REQUESTS] [-b PROMPT_BYTES] [-s] [-H HEADER]…
//
// Without -r every connection sends its next request when it has its answer (closed loop). With -r requests
// are due by the clock, and latency counts from the time when they were due, so that a stall is not hidden
// (open loop). -s asks for a stream. A "{}" in a header becomes the number of the connection, "{#}" in one
// header that of the request. -R spreads the opening of the connections; -n ends the run after so many
// requests.
//
// Latencies are in microseconds. They and the counts beside them include only requests that ended after the
// warm-up. `all_requests` and `all_chunks` count from the start: the gateway's CPU time over the whole run
// is divided by these. `transit` is the time from the provider's send() of a chunk to our recv(), read from
// the clock in its text (see stub.c).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// The part of the answer that a connection reads: the head, a body of known length, a chunked body, or a
// body that ends with the connection.
enum { HEAD, BODY, SIZE, DATA, DATA_END, TRAILER, UNTIL_CLOSE };

typedef struct {
  int fd, busy, connected, wants_out, state;
  char *head_out; int64_t head_out_len, sent;  // our request's head; all connections share the body
  char *request_number;                        // in the head, 8 digits
  char head[16384]; int head_len;
  int64_t need; int trailer_len, status, first_byte_seen, will_close;
  uint64_t since;                              // when the request was sent, or was due
  int digits; uint64_t clock;                  // of a chunk's clock, read so far
} conn;

typedef struct { float *v; size_t n, cap; } sample;

static const char *path = "/v1/chat/completions", *model = "m", *headers[16];
static int port, connections = 1, ramp_ms, stream, header_count;
static double seconds = 5, warmup = 0.5, rate;
static int64_t prompt = 1000, limit = -1;

static char *body; static int64_t body_len;
static int ep, *idle, idle_count; static conn *conns;
static uint64_t t_start, t_measure, t_end, issued;
static sample latency, first_byte, transit;
static uint64_t all_requests, all_chunks, ok, bad, errors; static int last_status;

static uint64_t ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}
static int measured(uint64_t t) { return t >= t_measure && t < t_end; }
static uint64_t due_next(void) { return t_start + (uint64_t)(issued * 1e9 / rate); }
static int may_issue(void) { return limit < 0 || (int64_t)issued < limit; }

static void add(sample *s, double value) {
  if (s->n == s->cap) { s->cap = s->cap ? s->cap * 2 : 65536; s->v = realloc(s->v, s->cap * sizeof *s->v); }
  s->v[s->n++] = (float)value;
}

static void build_body(void) {
  static const char words[] = "The quick brown fox said \\\"jump\\\" over the lazy dog.\\n";
  body = malloc(prompt + 2048);
  // Text that looks like the fields that a gateway searches for must not mislead it. The model is the last
  // field, as in the SDKs.
  body_len = sprintf(body, "{\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful assistant."
                           " Answer in JSON: {\\\"model\\\": \\\"x\\\"}\"},"
                           "{\"role\":\"user\",\"content\":\"");
  while (body_len + (int64_t)sizeof words < prompt - 80) body_len += sprintf(body + body_len, "%s", words);
  body_len += sprintf(body + body_len, "\"}],\"model\":\"%s\",\"stream\":%s}", model,
                      stream ? "true" : "false");
}

static void build_head(conn *c) {
  char *out = c->head_out = malloc(8192);
  out += sprintf(out, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: application/json\r\n"
                      "Accept-Encoding: identity\r\nContent-Type: application/json\r\n"
                      "User-Agent: AsyncOpenAI/Python 3.52.0\r\nX-Stainless-Lang: python\r\n"
                      "X-Stainless-OS: Linux\r\nX-Stainless-Arch: x64\r\n"
                      "X-Stainless-Runtime: CPython\r\nX-Stainless-Retry-Count: 0\r\n", path, port);
  for (int i = 0; i < header_count; i++) {
    const char *mark = strstr(headers[i], "{}"), *own = strstr(headers[i], "{#}");
    if (own) {
      c->request_number = out + (own - headers[i]);
      out += sprintf(out, "%.*s00000000%s\r\n", (int)(own - headers[i]), headers[i], own + 3);
    } else if (mark) out += sprintf(out, "%.*s%04d%s\r\n", (int)(mark - headers[i]), headers[i],
                             (int)(c - conns), mark + 2);
    else out += sprintf(out, "%s\r\n", headers[i]);
  }
  out += sprintf(out, "Content-Length: %ld\r\n\r\n", (long)body_len);
  c->head_out_len = out - c->head_out;
}

static void open_conn(conn *c) {
  int one = 1;
  struct sockaddr_in a = {
    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) { perror("socket"); exit(1); }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  connect(c->fd, (void *)&a, sizeof a);
  c->connected = 0; c->wants_out = 1;
  epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
}

static void reopen(conn *c) { close(c->fd); open_conn(c); }

static void want_out(conn *c, int wanted) {
  if (c->wants_out == wanted) return;
  struct epoll_event e = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = c};
  c->wants_out = wanted;
  epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}

static void send_rest(conn *c) {
  while (c->sent < c->head_out_len + body_len) {
    int64_t of_head = c->sent < c->head_out_len ? c->head_out_len - c->sent : 0;
    int64_t of_body = of_head ? 0 : c->sent - c->head_out_len;
    struct iovec parts[2] = {
      {c->head_out + c->head_out_len - of_head, of_head}, {body + of_body, body_len - of_body}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t r = sendmsg(c->fd, &message, MSG_NOSIGNAL);
    if (r < 0) { want_out(c, 1); return; }
    c->sent += r;
  }
  want_out(c, 0);
}

static void issue(conn *c, uint64_t since) {
  issued++;
  if (c->request_number) {
    char digits[9];
    snprintf(digits, sizeof digits, "%08lu", issued % 100000000);
    memcpy(c->request_number, digits, 8);
  }
  c->busy = 1; c->sent = 0; c->state = HEAD; c->head_len = 0; c->since = since;
  c->first_byte_seen = 0; c->will_close = 0; c->digits = 0;
  if (c->connected) send_rest(c);
}

// Send the next request of a connection without work, or let it wait until one is due.
static void next(conn *c) {
  uint64_t now = ns();
  c->busy = 0;
  if (now >= t_end || !may_issue()) return;
  if (!rate) issue(c, now);
  else if (due_next() <= now) issue(c, due_next());
  else idle[idle_count++] = (int)(c - conns);
}

static void done(conn *c) {
  uint64_t now = ns();
  all_requests++;
  if (measured(now)) {
    last_status = c->status;
    if (c->status == 200) { ok++; add(&latency, (now - c->since) / 1e3); } else bad++;
  }
  if (c->will_close) reopen(c);
  next(c);
}

static void fail(conn *c) {
  int was_busy = c->busy;
  if (was_busy && measured(ns())) errors++;
  reopen(c);
  if (was_busy) next(c);
}

// Look at bytes of a body: note the time of the first, and read the clock of every chunk, "@" and 20 digits.
static void take(conn *c, const char *b, int64_t n, uint64_t now) {
  if (!c->first_byte_seen && n > 0) {
    c->first_byte_seen = 1;
    if (measured(now)) add(&first_byte, (now - c->since) / 1e3);
  }
  for (int64_t i = 0; stream && i < n; i++) {
    if (b[i] == '@') { c->digits = 1; c->clock = 0; continue; }
    if (!c->digits) continue;
    if (b[i] < '0' || b[i] > '9') { c->digits = 0; continue; }
    c->clock = c->clock * 10 + (b[i] - '0');
    if (++c->digits < 21) continue;
    c->digits = 0; all_chunks++;
    if (measured(now)) add(&transit, ((double)now - (double)c->clock) / 1e3);
  }
}

static void framing(conn *c) {
  c->status = atoi(c->head + 9); c->state = UNTIL_CLOSE;
  for (char *line = strstr(c->head, "\r\n"); line; line = strstr(line, "\r\n")) {
    line += 2;
    if (!strncasecmp(line, "content-length:", 15)) { c->need = atoll(line + 15); c->state = BODY; }
    else if (!strncasecmp(line, "transfer-encoding:", 18)) { c->need = 0; c->state = SIZE; }
    else if (!strncasecmp(line, "connection: close", 17)) c->will_close = 1;
  }
}

// Take the bytes of an answer. Returns 1 when it is whole, -1 when it cannot be read.
static int feed(conn *c, const char *b, int64_t n, uint64_t now) {
  for (int64_t i = 0; i < n;) {
    int64_t k = n - i < c->need ? n - i : c->need;
    switch (c->state) {
      case HEAD: {
        int room = (int)sizeof c->head - 1 - c->head_len;
        int copied = n - i < room ? (int)(n - i) : room;
        int from = c->head_len > 3 ? c->head_len - 3 : 0;
        memcpy(c->head + c->head_len, b + i, copied);
        char *end = memmem(c->head + from, c->head_len + copied - from, "\r\n\r\n", 4);
        if (!end) { c->head_len += copied; i += copied; if (copied == room) return -1; break; }
        i += end - c->head + 4 - c->head_len;
        *end = 0; c->head_len = 0;
        if (atoi(c->head + 9) == 100) break;
        framing(c);
        if (c->state == BODY && !c->need) return 1;
        break; }
      case BODY: take(c, b + i, k, now); i += k; c->need -= k; if (!c->need) return 1; break;
      case SIZE: {
        char ch = b[i++];
        if (ch == '\n') { c->trailer_len = 0; c->state = c->need ? DATA : TRAILER; }
        else if (ch >= '0' && ch <= '9') c->need = c->need * 16 + ch - '0';
        else if ((ch | 32) >= 'a' && (ch | 32) <= 'f') c->need = c->need * 16 + (ch | 32) - 'a' + 10;
        break; }
      case DATA: take(c, b + i, k, now); i += k; c->need -= k; if (!c->need) c->state = DATA_END; break;
      case DATA_END: if (b[i++] == '\n') c->state = SIZE; break;
      case TRAILER: {
        char ch = b[i++];
        if (ch == '\n') {
          if (!c->trailer_len) return 1;
          c->trailer_len = 0;
        } else if (ch != '\r') c->trailer_len++;
        break; }
      case UNTIL_CLOSE: take(c, b + i, n - i, now); i = n; break;
    }
  }
  return 0;
}

static void on_event(conn *c, uint32_t events) {
  static char buf[1 << 18];
  if (events & EPOLLOUT) {
    if (!c->connected) {
      int error = 0; socklen_t size = sizeof error;
      getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error) { errors++; usleep(2000); reopen(c); return; }   // the gateway does not listen yet
      c->connected = 1;
    }
    if (c->busy) send_rest(c); else want_out(c, 0);
  }
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  ssize_t r = recv(c->fd, buf, sizeof buf, 0);
  if (r < 0 && errno == EAGAIN) return;
  if (r <= 0) {
    if (c->busy && c->state == UNTIL_CLOSE) { c->will_close = 1; done(c); } else fail(c);
    return;
  }
  int verdict = feed(c, buf, r, ns());
  if (verdict > 0) done(c); else if (verdict < 0) fail(c);
}

// Open the connections that the ramp allows, issue the requests that are due, and return the nanoseconds to
// sleep.
static uint64_t work_off(int *opened) {
  uint64_t now = ns();
  while (*opened < connections && now >= t_start + (uint64_t)*opened * ramp_ms * 1000000ull / connections) {
    conn *c = &conns[(*opened)++];
    build_head(c); open_conn(c); next(c);
  }
  while (rate && idle_count && may_issue() && due_next() <= now) {
    uint64_t due = due_next();
    issue(&conns[idle[--idle_count]], due);
  }
  if (rate && idle_count && may_issue()) return due_next() - now;
  return *opened < connections ? 1000000 : 100000000;
}

static int all_idle(int opened) {
  for (int i = 0; i < opened; i++) if (conns[i].busy) return 0;
  return 1;
}

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}
static double at(const sample *s, double share) {
  return s->n ? s->v[(size_t)(share * (s->n - 1) + 0.5)] : -1;
}

static void print(const char *name, sample *s) {
  if (s->n) qsort(s->v, s->n, sizeof *s->v, by_value);
  printf(",\"%s\":{\"n\":%zu,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}", name, s->n,
         at(s, .5), at(s, .9), at(s, .99), at(s, .999), at(s, 1));
}

static void options(int count, char **words) {
  for (int o; (o = getopt(count, words, "p:u:m:c:d:w:r:R:n:b:sH:")) != -1;) switch (o) {
    case 'p': port = atoi(optarg); break;
    case 'u': path = optarg; break;
    case 'm': model = optarg; break;
    case 'c': connections = atoi(optarg); break;
    case 'd': seconds = atof(optarg); break;
    case 'w': warmup = atof(optarg); break;
    case 'r': rate = atof(optarg); break;
    case 'R': ramp_ms = atoi(optarg); break;
    case 'n': limit = atoll(optarg); break;
    case 'b': prompt = atoll(optarg); break;
    case 's': stream = 1; break;
    case 'H': if (header_count < 16) headers[header_count++] = optarg; break;
    default: exit(2);
  }
}

int main(int count, char **words) {
  options(count, words);
  signal(SIGPIPE, SIG_IGN);
  build_body();
  ep = epoll_create1(0); conns = calloc(connections, sizeof *conns); idle = calloc(connections, sizeof *idle);
  t_start = ns();
  t_measure = t_start + (uint64_t)(warmup * 1e9);
  t_end = t_measure + (uint64_t)(seconds * 1e9);
  struct epoll_event events[512];
  for (int opened = 0; ns() < t_end;) {
    uint64_t nap = work_off(&opened);
    if (!may_issue() && all_idle(opened)) break;
    struct timespec timeout = {0, (long)(nap < 100000000 ? nap : 100000000)};
    int n = epoll_pwait2(ep, events, 512, &timeout, 0);
    for (int i = 0; i < n; i++) on_event(events[i].data.ptr, events[i].events);
  }
  uint64_t ended = ns();
  double took = ((ended < t_end ? ended : t_end) - (ended < t_measure ? t_start : t_measure)) / 1e9;
  printf("{\"all_requests\":%lu,\"all_chunks\":%lu,\"seconds\":%.3f,\"ok\":%lu,\"bad\":%lu,\"errors\":%lu,"
         "\"last_status\":%d", all_requests, all_chunks, took, ok, bad, errors, last_status);
  print("latency", &latency); print("first_byte", &first_byte); print("transit", &transit);
  printf("}\n");
  return 0;
}
