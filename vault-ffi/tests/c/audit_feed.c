/* The audit log on its way out: sinks by callback and by file, and the export. */
#include "check.h"

#include <sys/stat.h>

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

int main(void) {
    static struct text text;
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
