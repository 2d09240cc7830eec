/* A PKCS#11 module before SoftHSM2 that fails as it is told: by a file named after the function, which holds the answer and how often. */
#define _POSIX_C_SOURCE 200809L

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every argument of a PKCS#11 function is a pointer or an unsigned long, of one size on the machines that these tests run on. */
typedef unsigned long word;
typedef word (*function)(word, word, word, word, word, word);

/* CK_FUNCTION_LIST of v2.40. */
struct list {
    unsigned char version[2];
    function functions[68];
};

static struct list ours;
static const struct list *real;

static FILE *control(const char *name, const char *mode) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("LIBVAULT_TEST_HSM"), name);
    return fopen(path, mode);
}

/* Whether this call is to fail, and with which answer. Every call is written down. */
static int fails(const char *name, word *answer) {
    FILE *calls = control("calls", "a");
    if (calls != NULL) {
        fprintf(calls, "%s\n", name);
        fclose(calls);
    }
    FILE *file = control(name, "r");
    if (file == NULL) {
        return 0;
    }
    unsigned times = 0;
    int read = fscanf(file, "%lx %u", answer, &times);
    fclose(file);
    if (read != 2 || times == 0) {
        return 0;
    }
    file = control(name, "w");
    fprintf(file, "%lx %u\n", *answer, times - 1);
    fclose(file);
    return 1;
}

#define FORWARD(NAME, INDEX)                                                                                                           \
    static word NAME(word a, word b, word c, word d, word e, word f) {                                                                 \
        word answer;                                                                                                                   \
        return fails(#NAME, &answer) ? answer : real->functions[INDEX](a, b, c, d, e, f);                                              \
    }

FORWARD(C_OpenSession, 12)
FORWARD(C_Login, 18)
FORWARD(C_Encrypt, 30)
FORWARD(C_DecryptInit, 33)
FORWARD(C_Decrypt, 34)

/* Adds flags (CK_TOKEN_INFO's follow 96 bytes of text). */
static word C_GetTokenInfo(word slot, word info, word c, word d, word e, word f) {
    word flags, answer = real->functions[6](slot, info, c, d, e, f);
    if (answer == 0 && fails("flags", &flags)) {
        *(word *)(info + 96) |= flags;
    }
    return answer;
}

/* Logs the session out first, as another part of a process may. */
static word C_FindObjectsInit(word session, word b, word c, word d, word e, word f) {
    word ignored;
    if (fails("logout", &ignored)) {
        real->functions[19](session, 0, 0, 0, 0, 0);
    }
    return real->functions[26](session, b, c, d, e, f);
}

/* Makes an IV of its own, as tokens in a FIPS mode do: CK_MECHANISM has its parameters second, CK_GCM_PARAMS the IV first. */
static word C_EncryptInit(word session, word mechanism, word c, word d, word e, word f) {
    word answer;
    if (fails("iv", &answer)) {
        unsigned char **parameters = ((unsigned char ***)mechanism)[1];
        memset(parameters[0], 0x1F, 12);
    }
    return fails("C_EncryptInit", &answer) ? answer : real->functions[29](session, mechanism, c, d, e, f);
}

word C_GetFunctionList(struct list **list);

word C_GetFunctionList(struct list **list) {
    void *module = dlopen(getenv("LIBVAULT_TEST_MODULE"), RTLD_NOW | RTLD_LOCAL);
    word (*get)(const struct list **) = NULL;
    if (module != NULL) {
        *(void **)&get = dlsym(module, "C_GetFunctionList");
    }
    if (get == NULL || get(&real) != 0) {
        return 5;
    }
    ours = *real;
    ours.functions[6] = C_GetTokenInfo;
    ours.functions[12] = C_OpenSession;
    ours.functions[18] = C_Login;
    ours.functions[26] = C_FindObjectsInit;
    ours.functions[29] = C_EncryptInit;
    ours.functions[30] = C_Encrypt;
    ours.functions[33] = C_DecryptInit;
    ours.functions[34] = C_Decrypt;
    *list = &ours;
    return 0;
}
