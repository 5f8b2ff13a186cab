// The provider of the gateway benchmark: one epoll thread, one port for each way of answering.
//
//   stub        prints its ports as one JSON line, {"json": 40001, "burst": 40002, …}, and serves
//
//   json      a chat completion of 1 KB with Content-Length
//   burst     a stream of 50 chunks, one send() each, as fast as they are read
//   trickle   a stream of 100 chunks, one every 20 ms
//   hold      a stream of 60 chunks, one every second
//
// The text of every chunk is "@" and the monotonic clock in nanoseconds, 20 digits. The load generator runs
// on the same machine and compares it with its own clock: gateways that rewrite the event keep the text.
// The meaning of a request is not looked at.
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
#include <time.h>
#include <unistd.h>

enum { JSON, BURST, TRICKLE, HOLD, MODES };
static const struct { const char *name; int chunks, gap_ms; } modes[MODES] = {
  {"json", 0, 0}, {"burst", 50, 0}, {"trickle", 100, 20}, {"hold", 60, 1000}};

// The part of the request that a connection reads: the head, a body of known length, or a chunked body
// (size line, data, line end, trailer).
enum { HEAD, BODY, SIZE, DATA, DATA_END, TRAILER };

typedef struct conn {
  int fd, mode, listener, state;
  char head[16384];
  int head_len, trailer_len;
  int64_t need;          // bytes of the body, or of the chunk, that are still to come
  int left;              // chunks of the answer still to be sent
  uint64_t due;          // the millisecond of the next one
  struct conn *next;     // in its slot of the wheel
  int in_wheel;
} conn;

static int ep;
static conn *wheel[2048];  // streams by the millisecond of their next chunk
static uint64_t wheel_now;
static int streams;

static char answer[4096], stream_head[512], chunk[512], last[64];
static int answer_len, stream_head_len, chunk_len, last_len;
static char *clock_digits;  // inside chunk

static uint64_t ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void build(void) {
  static const char *common = "Date: Thu, 20 Nov 2025 12:00:00 GMT\r\nServer: stub\r\n"
                              "x-request-id: req_0123456789abcdef\r\n";
  char body[2048];
  int n = sprintf(body, "{\"id\":\"chatcmpl-stub0001\",\"object\":\"chat.completion\",\"created\":1760000000,"
                        "\"model\":\"stub\",\"choices\":[{\"index\":0,"
                        "\"message\":{\"role\":\"assistant\",\"content\":\"");
  while (n < 880) n += sprintf(body + n, "The quick brown fox jumps over it. ");
  n += sprintf(body + n, "\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
                         "\"usage\":{\"prompt_tokens\":210,\"completion_tokens\":190,\"total_tokens\":400}}");
  answer_len = sprintf(answer, "HTTP/1.1 200 OK\r\n%sContent-Type: application/json\r\n"
                               "x-ratelimit-remaining-requests: 9999\r\nContent-Length: %d\r\n\r\n%s",
                       common, n, body);
  stream_head_len = sprintf(stream_head, "HTTP/1.1 200 OK\r\n%sContent-Type: text/event-stream; charset=utf-8"
                                         "\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n",
                            common);
  char event[400];
  int m = sprintf(event, "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\","
                         "\"created\":1760000000,\"model\":\"stub\",\"choices\":[{\"index\":0,"
                         "\"delta\":{\"content\":\"@00000000000000000000\"}}]}\n\n");
  chunk_len = sprintf(chunk, "%x\r\n%s\r\n", m, event);
  clock_digits = strchr(chunk, '@') + 1;
  last_len = sprintf(last, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
}

// Send all the bytes. Returns -1 for a reader that stays slow for a second.
static int put(conn *c, const char *bytes, int n) {
  for (int sent = 0, waits = 0; sent < n;) {
    int r = send(c->fd, bytes + sent, n - sent, MSG_NOSIGNAL);
    if (r >= 0) { sent += r; continue; }
    if (errno != EAGAIN || waits++ >= 20000) return -1;
    usleep(50);
  }
  return 0;
}

static int put_chunk(conn *c) {
  uint64_t t = ns();
  for (int i = 19; i >= 0; i--, t /= 10) clock_digits[i] = '0' + t % 10;
  return put(c, chunk, chunk_len);
}

static void schedule(conn *c) {
  conn **slot = &wheel[c->due % (sizeof wheel / sizeof *wheel)];
  c->next = *slot; *slot = c; c->in_wheel = 1;
}

static int respond(conn *c) {
  c->state = HEAD; c->head_len = 0;
  if (c->mode == JSON) return put(c, answer, answer_len);
  if (put(c, stream_head, stream_head_len)) return -1;
  if (c->mode == BURST) {
    for (int i = 0; i < modes[BURST].chunks; i++) if (put_chunk(c)) return -1;
    return put(c, last, last_len);
  }
  if (put_chunk(c)) return -1;
  c->left = modes[c->mode].chunks - 1; c->due = wheel_now + modes[c->mode].gap_ms;
  streams++; schedule(c);
  return 0;
}

// Send the next chunk of a stream, and plan the one after it. Returns -1 when the connection must be closed.
static int advance(conn *c) {
  if (put_chunk(c)) { streams--; return -1; }
  if (--c->left <= 0) { streams--; return put(c, last, last_len); }
  c->due = wheel_now + modes[c->mode].gap_ms; schedule(c);
  return 0;
}

static void close_conn(conn *c) {
  if (c->fd >= 0) { close(c->fd); c->fd = -1; }
  if (!c->in_wheel) free(c);   // else its slot of the wheel frees it
}

static int framing(conn *c) {
  c->need = 0; c->state = BODY;
  for (char *line = strstr(c->head, "\r\n"); line; line = strstr(line, "\r\n")) {
    line += 2;
    if (!strncasecmp(line, "content-length:", 15)) c->need = atoll(line + 15);
    else if (!strncasecmp(line, "transfer-encoding: chunked", 26)) c->state = SIZE;
    else if (!strncasecmp(line, "expect:", 7) && put(c, "HTTP/1.1 100 Continue\r\n\r\n", 25)) return -1;
  }
  return c->state == BODY && c->need == 0 ? respond(c) : 0;
}

// Read the bytes of a request, and answer when it is complete. Returns -1 when the connection must be closed.
static int feed(conn *c, const char *b, int n) {
  for (int i = 0; i < n;) {
    int64_t take = n - i < c->need ? n - i : c->need;
    switch (c->state) {
      case HEAD: {
        int room = (int)sizeof c->head - 1 - c->head_len;
        int k = n - i < room ? n - i : room;
        int from = c->head_len > 3 ? c->head_len - 3 : 0;
        memcpy(c->head + c->head_len, b + i, k);
        char *end = memmem(c->head + from, c->head_len + k - from, "\r\n\r\n", 4);
        if (!end) { c->head_len += k; i += k; if (k == room) return -1; break; }
        i += (int)(end - c->head) + 4 - c->head_len;
        *end = 0; c->head_len = 0;
        if (framing(c)) return -1;
        break; }
      case BODY: i += take; c->need -= take; if (!c->need && respond(c)) return -1; break;
      case SIZE: {
        char ch = b[i++];
        if (ch == '\n') { c->state = c->need ? DATA : TRAILER; c->trailer_len = 0; }
        else if (ch >= '0' && ch <= '9') c->need = c->need * 16 + ch - '0';
        else if ((ch | 32) >= 'a' && (ch | 32) <= 'f') c->need = c->need * 16 + (ch | 32) - 'a' + 10;
        break; }
      case DATA: i += take; c->need -= take; if (!c->need) c->state = DATA_END; break;
      case DATA_END: if (b[i++] == '\n') c->state = SIZE; break;
      case TRAILER: {
        char ch = b[i++];
        if (ch == '\n') { if (!c->trailer_len && respond(c)) return -1; c->trailer_len = 0; }
        else if (ch != '\r') c->trailer_len++;
        break; }
    }
  }
  return 0;
}

static void watch(conn *c) {
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
}

static void listen_on_free_ports(void) {
  for (int mode = 0; mode < MODES; mode++) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    conn *c = calloc(1, sizeof *c);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); c->listener = 1; c->mode = mode;
    if (bind(c->fd, (void *)&a, sizeof a) || listen(c->fd, 4096) || getsockname(c->fd, (void *)&a, &size)) {
      perror("listen");
      exit(1);
    }
    printf("%s\"%s\": %d", mode ? ", " : "{", modes[mode].name, ntohs(a.sin_port));
    watch(c);
  }
  printf("}\n"); fflush(stdout);
}

static void accept_all(conn *listener) {
  for (int fd; (fd = accept4(listener->fd, 0, 0, SOCK_NONBLOCK)) >= 0;) {
    int one = 1; setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    conn *c = calloc(1, sizeof *c); c->fd = fd; c->mode = listener->mode;
    watch(c);
  }
}

static void turn_wheel(void) {
  for (uint64_t now = ns() / 1000000; wheel_now < now;) {
    conn **slot = &wheel[++wheel_now % (sizeof wheel / sizeof *wheel)], *c = *slot;
    *slot = 0;
    while (c) {
      conn *following = c->next;
      c->in_wheel = 0;
      if (c->fd < 0) { streams--; free(c); }
      else if (c->due != wheel_now) schedule(c);
      else if (advance(c)) close_conn(c);
      c = following;
    }
  }
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  build();
  ep = epoll_create1(0);
  listen_on_free_ports();
  static char buf[1 << 20];
  struct epoll_event events[512];
  wheel_now = ns() / 1000000;
  for (;;) {
    int n = epoll_wait(ep, events, 512, streams ? 1 : 500);
    if (!streams) wheel_now = ns() / 1000000;
    for (int i = 0; i < n; i++) {
      conn *c = events[i].data.ptr;
      if (c->listener) { accept_all(c); continue; }
      int r = recv(c->fd, buf, sizeof buf, 0);
      if (r < 0 && errno == EAGAIN) continue;
      if (r <= 0 || feed(c, buf, r)) close_conn(c);
    }
    turn_wheel();
  }
}
