/* The audit log on its way out: sinks by callback and by file, and the export. */
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct collector {
    uint64_t last;
    unsigned calls;
    bool fails;
    bool in_order;
};

static vault_status_t deliver(void *user, const vault_audit_line_t *lines, size_t count) {
    struct collector *collector = user;
    collector->calls++;
    if (collector->fails) {
        return 7;
    }
    for (size_t i = 0; i < count; i++) {
        collector->in_order &= lines[i].sequence == collector->last + 1 && lines[i].time_ms > 0;
        collector->in_order &= lines[i].json_len == strlen(lines[i].json) && strstr(lines[i].json, "\"sequence\":") != NULL;
        collector->last = lines[i].sequence;
    }
    return VAULT_OK;
}

struct text {
    char bytes[65536];
    size_t len;
    bool full;
};

static vault_status_t append(void *user, const uint8_t *bytes, size_t len) {
    struct text *text = user;
    if (text->full || len > sizeof text->bytes - text->len - 1) {
        return 9;
    }
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
    text->bytes[text->len] = '\0';
    return VAULT_OK;
}

/* A socket that listens where the returned address says. */
static int listening(int family, int type, const char *name, char *address, size_t size) {
    int fd = socket(family, type, 0);
    if (family == AF_UNIX) {
        struct sockaddr_un place = {.sun_family = AF_UNIX};
        snprintf(place.sun_path, sizeof place.sun_path, "%s", scratch_path(name));
        snprintf(address, size, "%s", place.sun_path);
        CHECK("a place to listen at", bind(fd, (struct sockaddr *)&place, sizeof place) == 0);
    } else {
        struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof place;
        CHECK("a port to listen at", bind(fd, (struct sockaddr *)&place, sizeof place) == 0);
        CHECK("which one", getsockname(fd, (struct sockaddr *)&place, &length) == 0);
        snprintf(address, size, "127.0.0.1:%d", ntohs(place.sin_port));
    }
    CHECK("it listens", type == SOCK_DGRAM || listen(fd, 4) == 0);
    return fd;
}

/* The beginning of what comes to a socket. */
static const char *received(int fd, int type) {
    static char text[65536];
    int from = type == SOCK_STREAM ? accept(fd, NULL, NULL) : fd;
    ssize_t length = recv(from, text, sizeof text - 1, 0);
    text[length < 0 ? 0 : length] = '\0';
    if (from != fd) {
        close(from);
    }
    close(fd);
    return text;
}

static void collectors_are_fed(void) {
    char tcp[64], lines[128], local[128], framed[64];
    int sockets[] = {listening(AF_INET, SOCK_STREAM, NULL, tcp, sizeof tcp), listening(AF_UNIX, SOCK_STREAM, "lines", lines, sizeof lines),
                     listening(AF_UNIX, SOCK_DGRAM, "log", local, sizeof local), listening(AF_INET, SOCK_STREAM, NULL, framed, sizeof framed)};
    vault_audit_target_t targets[4] = {
        {.name = "tcp", .kind = VAULT_AUDIT_TARGET_TCP, .address = tcp},
        {.name = "unix", .kind = VAULT_AUDIT_TARGET_UNIX, .address = lines},
        {.name = "syslog", .kind = VAULT_AUDIT_TARGET_SYSLOG, .address = local, .host = "here", .application = "service"},
        {.name = "framed", .kind = VAULT_AUDIT_TARGET_SYSLOG_TCP, .address = framed},
    };
    vault_options_t options = options_in_memory();
    options.audit_targets = targets;
    options.audit_target_count = 4;
    vault_t *vault;
    vault_secret_t *token;
    EXPECT("a vault with collectors", VAULT_OK, vault_create(&options, &vault, &token));
    EXPECT("it ticks", VAULT_OK, vault_tick(vault, NULL));
    EXPECT("closed", VAULT_OK, vault_close(vault));
    vault_secret_free(token);
    CHECK("JSON over TCP", strstr(received(sockets[0], SOCK_STREAM), "\"sequence\":1,") != NULL);
    CHECK("JSON over a Unix socket", strstr(received(sockets[1], SOCK_STREAM), "\"sequence\":1,") != NULL);
    const char *message = received(sockets[2], SOCK_DGRAM);
    CHECK("a message to the machine's syslog", strncmp(message, "<86>1 ", 6) == 0 && strstr(message, " here service ") != NULL);
    CHECK("a frame to another's", strstr(received(sockets[3], SOCK_STREAM), " <86>1 ") != NULL);

    vault_audit_target_t bad[] = {
        {.kind = VAULT_AUDIT_TARGET_TCP, .address = tcp},
        {.name = "x", .kind = VAULT_AUDIT_TARGET_TCP},
        {.name = "x", .address = tcp},
        {.name = "x", .kind = VAULT_AUDIT_TARGET_TCP, .address = tcp, .acknowledged = 2},
        {.name = "x", .kind = VAULT_AUDIT_TARGET_TCP, .address = tcp, .host = "here"},
        {.name = "x", .kind = VAULT_AUDIT_TARGET_SYSLOG, .address = local, .acknowledged = 1},
    };
    options.audit_target_count = 1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.audit_targets = &bad[i];
        EXPECT("a collector that is not described", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &token));
    }
    options.audit_target_count = 17;
    EXPECT("too many", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &token));
    options.audit_targets = NULL;
    options.audit_target_count = 1;
    EXPECT("collectors that are not there", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &token));
}

int main(void) {
    static struct text text;
    collectors_are_fed();
    struct collector collector = {.in_order = true};
    vault_audit_sink_t sink = {.name = "collector", .user = &collector, .deliver = deliver};
    char file[256];
    snprintf(file, sizeof file, "%s", scratch_path("audit.jsonl"));
    vault_options_t options = options_in_memory();
    options.audit_sinks = &sink;
    options.audit_sink_count = 1;
    options.audit_file = file;
    vault_t *vault;
    vault_secret_t *token, *reply;
    EXPECT("a vault with sinks", VAULT_OK, vault_create(&options, &vault, &token));
    vault_session_t *session = session_under(vault, token);
    EXPECT("work", VAULT_OK, put(session, "a", "{\"k\":\"canary\"}", -1, NULL));
    EXPECT("it ticks", VAULT_OK, vault_tick(vault, NULL));
    CHECK("the collector has the events in order", collector.in_order && collector.last >= 2);
    struct stat found;
    CHECK("so has the file, which is private", stat(file, &found) == 0 && found.st_size > 0 && (found.st_mode & 0777) == 0600);
    collector.fails = true;
    uint64_t before = collector.last;
    EXPECT("work", VAULT_OK, put(session, "a", "{}", -1, NULL));
    EXPECT("a sink that fails fails no tick", VAULT_OK, vault_tick(vault, NULL));
    EXPECT("its state is told", VAULT_OK, vault_request(session, VAULT_OP_READ, "sys/audit-log/sinks", NULL, 0, &reply));
    CHECK("with what it answered", strstr(vault_secret_data(reply), "deliver answered 7") != NULL && collector.last == before);
    vault_secret_free(reply);

    uint64_t count;
    EXPECT("the log is exported", VAULT_OK, vault_audit_export(session, 0, append, &text, &count));
    size_t lines = 0;
    for (size_t i = 0; i < text.len; i++) {
        lines += text.bytes[i] == '\n';
    }
    CHECK("line by line", count == lines && count >= 3);
    CHECK("without what was written", strstr(text.bytes, "canary") == NULL && strstr(text.bytes, "hmac-sha256:") != NULL);
    EXPECT("from some event on", VAULT_OK, vault_audit_export(session, 1000000, append, &text, &count));
    CHECK("there is none", count == 0);
    text.full = true;
    EXPECT("a stream that fails", VAULT_ERR_UNAVAILABLE, vault_audit_export(session, 0, append, &text, &count));
    EXPECT("no stream", VAULT_ERR_BAD_ARGUMENT, vault_audit_export(session, 0, NULL, NULL, NULL));
    EXPECT("no session", VAULT_ERR_BAD_ARGUMENT, vault_audit_export(NULL, 0, append, &text, NULL));
    EXPECT("the session is closed", VAULT_OK, vault_session_close(session));
    EXPECT("closed", VAULT_OK, vault_close(vault));
    vault_secret_free(token);

    sink.deliver = NULL;
    EXPECT("a sink without a callback", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &token));
    sink.deliver = deliver;
    sink.name = "file";
    EXPECT("two sinks of one name", VAULT_ERR_INVALID_REQUEST, vault_create(&options, &vault, &token));
    options.audit_sinks = NULL;
    EXPECT("sinks that are not there", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &token));
    return 0;
}
