/* What policies allow, without a vault: decisions with their reasons, in both dialects, and bad input at every argument. */
#include "check.h"

/* A pattern in outputs, to see that they are cleared. */
#define STALE ((void *)0x5a5a)

static const char *const APP[] = {
    "path \"secret/*\" { capabilities = [\"list\"] }",
    "# two\npath \"secret/data/app/*\" {\n  capabilities = [\"read\", \"update\"]\n"
    "  allowed_parameters = { \"tags\" = [\"a\", \"b\"] }\n  max_wrapping_ttl = \"1h\"\n}",
};

static vault_status_t ask(vault_dialect_t dialect, vault_capability_t capability, const char *path, const char *json, uint64_t wrap,
                          bool *allowed, vault_secret_t **decision) {
    return vault_policy_evaluate(APP, 2, dialect, 0, capability, path, json, json == NULL ? 0 : strlen(json), wrap, allowed, decision);
}

static void decisions_say_why(void) {
    bool allowed = false;
    vault_secret_t *decision;
    EXPECT("a decision", VAULT_OK, ask(VAULT_DIALECT_VAULT, VAULT_CAPABILITY_READ, "secret/data/app/db", NULL, 60, &allowed, &decision));
    CHECK("allows", allowed);
    CHECK("names its rule", field_is(decision, "rule", "secret/data/app/*") && field_is(decision, "policy", "policy 2"));
    CHECK("names its line", field_is(decision, "line", "2"));
    CHECK("names who lost", field_is(decision, "/losers/0/rule", "secret/*"));
    vault_secret_free(decision);

    EXPECT("one without wrapping", VAULT_OK,
           ask(VAULT_DIALECT_VAULT, VAULT_CAPABILITY_READ, "secret/data/app/db", NULL, 0, &allowed, &decision));
    CHECK("denies", !allowed && field_is(decision, "allowed", "false"));
    CHECK("says why", field_is(decision, "step", "the rule asks for a wrapped reply, and the request for none"));
    vault_secret_free(decision);

    EXPECT("one with a refused parameter", VAULT_OK,
           ask(VAULT_DIALECT_VAULT, VAULT_CAPABILITY_UPDATE, "secret/data/app/db", "{\"tags\":\"CANARY\"}", 60, &allowed, &decision));
    CHECK("names the parameter", !allowed && field_is(decision, "parameter", "tags"));
    CHECK("and not its value", strstr(vault_secret_data(decision), "CANARY") == NULL);
    vault_secret_free(decision);

    EXPECT("an answer alone", VAULT_OK, ask(VAULT_DIALECT_VAULT, VAULT_CAPABILITY_LIST, "secret/x", NULL, 0, &allowed, NULL));
    CHECK("is given", allowed);
    EXPECT("no answer at all", VAULT_OK, ask(VAULT_DIALECT_VAULT, VAULT_CAPABILITY_LIST, "secret/x", NULL, 0, NULL, NULL));
}

static void dialects_and_absolute_denies_differ(void) {
    static const char *const tags = "{\"tags\":[\"a\",\"b\"]}";
    static const char *const denied[] = {"path \"a/*\" { policy = \"deny\" } path \"a/b\" { policy = \"read\" }"};
    bool allowed;
    EXPECT("a list in one dialect", VAULT_OK,
           ask(VAULT_DIALECT_VAULT, VAULT_CAPABILITY_UPDATE, "secret/data/app/db", tags, 60, &allowed, NULL));
    CHECK("is checked by element", allowed);
    EXPECT("a list in the other dialect", VAULT_OK,
           ask(VAULT_DIALECT_OPENBAO, VAULT_CAPABILITY_UPDATE, "secret/data/app/db", tags, 60, &allowed, NULL));
    CHECK("is checked as a whole", !allowed);
    EXPECT("a specific allow", VAULT_OK,
           vault_policy_evaluate(denied, 1, VAULT_DIALECT_VAULT, 0, VAULT_CAPABILITY_READ, "a/b", NULL, 0, 0, &allowed, NULL));
    CHECK("beats a broad deny", allowed);
    EXPECT("an absolute deny", VAULT_OK,
           vault_policy_evaluate(denied, 1, VAULT_DIALECT_VAULT, VAULT_POLICY_ABSOLUTE_DENY, VAULT_CAPABILITY_READ, "a/b", NULL, 0, 0,
                                 &allowed, NULL));
    CHECK("wins", !allowed);
}

static void bad_arguments_are_refused(void) {
    static const char *const holes[] = {NULL};
    static const char *const broken[] = {"path \"a\" {\n  capabilites = [] }"};
    static const char *const not_utf8[] = {"# \xff"};
    static char long_text[262144 + 2];
    const char *too_long[] = {long_text};
    bool allowed = true;
    vault_secret_t *decision = STALE;
    memset(long_text, ' ', sizeof long_text - 1);
    EXPECT("NULL for texts", VAULT_ERR_BAD_ARGUMENT, vault_policy_evaluate(NULL, 1, 1, 0, 2, "a", NULL, 0, 0, &allowed, &decision));
    CHECK("clears both outputs", !allowed && decision == NULL);
    EXPECT("NULL for no texts", VAULT_OK, vault_policy_evaluate(NULL, 0, 1, 0, 2, "a", NULL, 0, 0, &allowed, NULL));
    CHECK("denies by default", !allowed);
    EXPECT("a NULL text", VAULT_ERR_BAD_ARGUMENT, vault_policy_evaluate(holes, 1, 1, 0, 2, "a", NULL, 0, 0, &allowed, NULL));
    EXPECT("too many texts", VAULT_ERR_BAD_ARGUMENT, vault_policy_evaluate(holes, 257, 1, 0, 2, "a", NULL, 0, 0, &allowed, NULL));
    EXPECT("a text that is too long", VAULT_ERR_BAD_ARGUMENT, vault_policy_evaluate(too_long, 1, 1, 0, 2, "a", NULL, 0, 0, &allowed, NULL));
    EXPECT("a text that is no UTF-8", VAULT_ERR_INVALID_UTF8, vault_policy_evaluate(not_utf8, 1, 1, 0, 2, "a", NULL, 0, 0, &allowed, NULL));
    EXPECT("a broken policy", VAULT_ERR_INVALID_POLICY, vault_policy_evaluate(broken, 1, 1, 0, 2, "a", NULL, 0, 0, &allowed, NULL));
    CHECK("says where", strstr(vault_last_error(), "line 2, column 3") != NULL);
    EXPECT("no dialect", VAULT_ERR_BAD_ARGUMENT, vault_policy_evaluate(APP, 2, 0, 0, 2, "a", NULL, 0, 0, &allowed, NULL));
    EXPECT("unknown flags", VAULT_ERR_BAD_ARGUMENT, vault_policy_evaluate(APP, 2, 1, 2, 2, "a", NULL, 0, 0, &allowed, NULL));
    EXPECT("no capability", VAULT_ERR_BAD_ARGUMENT, vault_policy_evaluate(APP, 2, 1, 0, 7, "a", NULL, 0, 0, &allowed, NULL));
    EXPECT("a NULL path", VAULT_ERR_BAD_ARGUMENT, vault_policy_evaluate(APP, 2, 1, 0, 2, NULL, NULL, 0, 0, &allowed, NULL));
    EXPECT("a path with dots", VAULT_ERR_INVALID_PATH, vault_policy_evaluate(APP, 2, 1, 0, 2, "a/../b", NULL, 0, 0, &allowed, NULL));
    EXPECT("NULL data with a length", VAULT_ERR_BAD_ARGUMENT, vault_policy_evaluate(APP, 2, 1, 0, 2, "a", NULL, 1, 0, &allowed, NULL));
    EXPECT("data that is no object", VAULT_ERR_INVALID_DATA, vault_policy_evaluate(APP, 2, 1, 0, 2, "a", "[]", 2, 0, &allowed, NULL));
    EXPECT("an endless wrapping", VAULT_OK, vault_policy_evaluate(APP, 2, 1, 0, 2, "a", NULL, 0, UINT64_MAX, &allowed, NULL));
}

int main(void) {
    decisions_say_why();
    dialects_and_absolute_denies_differ();
    bad_arguments_are_refused();
    return 0;
}
