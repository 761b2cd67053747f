/*
 * Damaged and hostile model files through vxs_model_open_memory: each gives a status and a message, or a model,
 * never a crash; and the good model goes on to segment as before.
 *
 *     checkpoints MODEL CT.mhd [--quick]
 */
#define _DEFAULT_SOURCE
#ifdef _WIN32
#define PSAPI_VERSION 2 /* kernel32's own functions */
#include <windows.h>

#include <psapi.h>
#else
#include <sys/resource.h>
#endif

#include "fixture.h"

static arguments given;
static bytes good[FILES];
static image small;
static vxs_plan *plan;
static uint8_t *expected;
static unsigned opened_count, used_count;

/* A generator of its own, so that every machine sees the same damage. */
static uint64_t random_state = UINT64_C(0x9E3779B97F4A7C15);

static size_t random_below(size_t limit) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % limit);
}

/* Opens the good files with one replaced. Whatever comes, comes as a status; a model that opens can say what it
 * is; with `use`, every sixteenth one is run, too. Returns the status. */
static vxs_status opens(int which, const void *data, size_t size, int use) {
    bytes files[FILES];
    vxs_error *error = NULL;
    vxs_model *model = NULL;
    memcpy(files, good, sizeof files);
    /* A copy of exactly that size: address sanitizer and valgrind see a read behind its end. */
    unsigned char *exact = malloc(size ? size : 1);
    CHECK(exact);
    if (size) {
        memcpy(exact, data, size);
    }
    files[which].data = exact;
    files[which].size = size;
    vxs_status status = open_memory(files, &model, &error);
    free(exact);
    if (status != VXS_OK) {
        CHECK(model == NULL);
        check_fails(__FILE__, __LINE__, file_names[which], 2, status, &error);
        return status;
    }
    CHECK(model && !error && strlen(vxs_model_identity(model)) == 79 && vxs_model_describe(model)[0] == '{');
    opened_count++;
    if (use && used_count++ % 16 == 0) {
        const vxs_volume volume = volume_of(&small);
        vxs_plan_report report;
        vxs_plan *other = NULL;
        CHECK(vxs_plan_report_init(&report, sizeof report) == VXS_OK);
        vxs_status used = vxs_plan_create(model, NULL, &other, &error);
        if (used == VXS_OK) {
            used = vxs_plan_estimate(other, &volume, &report, &error);
        }
        if (used == VXS_OK && report.network_runs <= 2 && report.host_peak_bytes < UINT64_C(4) << 30) {
            uint8_t *found = malloc(small.count);
            const vxs_labels labels = labels_of(found, small.count);
            used = vxs_segment(other, &volume, NULL, &labels, NULL, &error);
            free(found);
        }
        if (used >= 900) {
            fprintf(stderr, "a damaged %s makes a plan fail: %s\n", file_names[which],
                    vxs_error_message(error));
            exit(1);
        }
        vxs_error_free(error);
        vxs_plan_free(other);
    }
    vxs_model_free(model);
    return status;
}

static void refused(int which, const char *what, const void *data, size_t size) {
    if (opens(which, data, size, 0) == VXS_OK) {
        fprintf(stderr, "opened in spite of %s\n", what);
        exit(1);
    }
}

static void still_right(void) {
    vxs_error *error = NULL;
    const vxs_volume volume = volume_of(&small);
    uint8_t *found = calloc(small.count, 1);
    const vxs_labels labels = labels_of(found, small.count);
    OK(vxs_segment(plan, &volume, NULL, &labels, NULL, &error));
    CHECK(memcmp(found, expected, small.count) == 0);
    free(found);
}

/* ------------------------------------------------------------------------------- damage at random */

static void damaged(void) {
    const int rounds = given.quick ? 3 : 150;
    for (int which = 0; which < FILES; which++) {
        const bytes file = good[which];
        refused(which, "an empty file", NULL, 0);
        for (size_t length = 1; length < file.size; length += 1 + length / (given.quick ? 1 : 8)) {
            refused(which, "a truncation", file.data, length);
        }
        for (size_t missing = 1; missing <= (given.quick ? 2 : 64) && missing < file.size; missing++) {
            /* The last character of a JSON file may be a line end. */
            const vxs_status status = opens(which, file.data, file.size - missing, 0);
            CHECK(which != CHECKPOINT || status != VXS_OK);
        }
        unsigned char *copy = malloc(file.size);
        CHECK(copy);
        for (int round = 0; round < rounds; round++) {
            /* Anywhere, in the first pages (the pickle) and in the last (the archive's directory). */
            const size_t window = file.size < 60000 ? file.size : 60000;
            const size_t starts[] = {0, 0, file.size - window}, sizes[] = {file.size, window, window};
            const size_t part = random_below(3), flips = 1 + random_below(3);
            memcpy(copy, file.data, file.size);
            for (size_t flip = 0; flip < flips; flip++) {
                copy[starts[part] + random_below(sizes[part])] ^= (unsigned char)(1 << random_below(8));
            }
            opens(which, copy, file.size, which != CHECKPOINT && !given.quick);
        }
        /* Noise, zeros, and one of the other files in its place. */
        for (size_t at = 0; at < file.size; at++) {
            copy[at] = (unsigned char)random_below(256);
        }
        refused(which, "noise", copy, file.size < 100000 ? file.size : 100000);
        memset(copy, 0, file.size);
        refused(which, "zeros", copy, file.size);
        refused(which, "another file", good[(which + 1) % FILES].data, good[(which + 1) % FILES].size);
        free(copy);
    }
    still_right();
}

/* -------------------------------------------------------------------------------------------- JSON */

/* The end of the JSON value that starts at `at`. */
static const char *value_end(const char *at) {
    int depth = 0, quoted = 0;
    for (;; at++) {
        if (quoted) {
            quoted = *at != '"' || at[-1] == '\\';
        } else if (*at == '"') {
            quoted = 1;
        } else if (*at == '[' || *at == '{') {
            depth++;
        } else if (*at == ']' || *at == '}') {
            if (depth == 0) {
                return at;
            }
            depth--;
        } else if (*at == ',' && depth == 0) {
            return at;
        }
        CHECK(*at != '\0');
    }
}

/* Every "key": value of a JSON file, with the key renamed and with each odd value in the value's place. */
static void odd_json(int which) {
    static const char *const odd[] = {"null",
                                      "true",
                                      "-1",
                                      "0",
                                      "1e308",
                                      "-1e-308",
                                      "\"x\"",
                                      "[]",
                                      "{}",
                                      "[null]",
                                      "[0,0,0]",
                                      "[-1,2,3]",
                                      "[1,1]",
                                      "1e9",
                                      "[1,1,1,1]",
                                      "4294967296",
                                      "18446744073709551616",
                                      "[1000000,1000000,1000000]",
                                      "[[[0]]]",
                                      "\"\\ud800\"",
                                      "[0.5,0.5,0.5]"};
    const char *text = (const char *)good[which].data;
    char *changed = malloc(good[which].size + 256);
    CHECK(changed);
    unsigned keys = 0;
    for (const char *colon = strchr(text, ':'); colon; colon = strchr(colon + 1, ':')) {
        const char *quote = colon;
        while (quote > text && (*--quote == ' ' || *quote == '\n')) {
        }
        if (*quote != '"') {
            continue; /* a colon in a string */
        }
        keys++;
        if (given.quick && keys % 24 != 0) {
            continue;
        }
        memcpy(changed, text, good[which].size);
        changed[quote - text - 1] ^= 1;
        opens(which, changed, good[which].size, !given.quick);
        const char *end = value_end(colon + 1);
        for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i += given.quick ? 11 : 1) {
            const int size = snprintf(changed, good[which].size + 256, "%.*s%s%s", (int)(colon + 1 - text),
                                      text, odd[i], end);
            opens(which, changed, (size_t)size, !given.quick);
        }
    }
    CHECK(keys > 3);
    free(changed);
}

static void hostile_json(void) {
    for (int which = PLANS; which <= DATASET; which++) {
        odd_json(which);
        static const char *const texts[] = {" ",
                                            "null",
                                            "[]",
                                            "{}",
                                            "42",
                                            "\"text\"",
                                            "{",
                                            "{\"a\"",
                                            "{\"a\":}",
                                            "\xff\xfe",
                                            "{\"labels\": {}}",
                                            "{\"configurations\": {}}",
                                            "\xef\xbb\xbf{}",
                                            "{}{}",
                                            "nan"};
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
            refused(which, texts[i], texts[i], strlen(texts[i]));
        }
        /* Nested deeper than a stack. */
        const size_t depth = given.quick ? 100000 : 5000000;
        char *nested = malloc(depth * 5);
        CHECK(nested);
        memset(nested, '[', depth);
        refused(which, "open brackets", nested, depth);
        memset(nested + depth, ']', depth);
        refused(which, "nested brackets", nested, 2 * depth);
        for (size_t at = 0; at < depth; at++) {
            memcpy(nested + 5 * at, "{\"a\":", 5);
        }
        refused(which, "nested objects", nested, 5 * depth);
        free(nested);
    }
    still_right();
}

/* --------------------------------------------------------------------------- archives made by hand */

typedef struct {
    unsigned char *data;
    size_t size, room;
} writer;

static void put(writer *to, const void *data, size_t size) {
    if (to->size + size > to->room) {
        to->room = 2 * (to->size + size);
        to->data = realloc(to->data, to->room);
        CHECK(to->data);
    }
    if (size) {
        memcpy(to->data + to->size, data, size);
    }
    to->size += size;
}

static void put_number(writer *to, uint64_t value, int size) {
    unsigned char little[8];
    for (int i = 0; i < size; i++) {
        little[i] = (unsigned char)(value >> 8 * i);
    }
    put(to, little, (size_t)size);
}

static uint64_t number(const unsigned char *at, int size) {
    uint64_t value = 0;
    for (int i = 0; i < size; i++) {
        value |= (uint64_t)at[i] << 8 * i;
    }
    return value;
}

static uint32_t crc32_of(const unsigned char *data, size_t size) {
    static uint32_t table[256];
    if (!table[1]) {
        for (uint32_t i = 0; i < 256; i++) {
            table[i] = i;
            for (int bit = 0; bit < 8; bit++) {
                table[i] = table[i] >> 1 ^ (table[i] & 1 ? UINT32_C(0xEDB88320) : 0);
            }
        }
    }
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
    }
    return ~crc;
}

typedef struct {
    char name[128];
    const unsigned char *data;
    size_t size;        /* as it lies in the archive */
    uint64_t full_size; /* as the directory states it */
    int method;         /* 0 stored, 8 deflated */
} entry;

enum { MOST_ENTRIES = 256 };

/* The entries of the good checkpoint; PyTorch stores them all. */
static size_t read_entries(entry entries[MOST_ENTRIES]) {
    const unsigned char *data = good[CHECKPOINT].data, *end = data + good[CHECKPOINT].size - 22;
    CHECK(number(end, 4) == 0x06054b50 && number(end + 10, 2) < MOST_ENTRIES);
    const unsigned char *at = data + number(end + 16, 4);
    const size_t count = (size_t)number(end + 10, 2);
    for (size_t i = 0; i < count; i++) {
        const size_t name = (size_t)number(at + 28, 2);
        const unsigned char *local = data + number(at + 42, 4);
        CHECK(number(at, 4) == 0x02014b50 && number(at + 10, 2) == 0 && name < sizeof entries[i].name);
        memset(&entries[i], 0, sizeof entries[i]);
        memcpy(entries[i].name, at + 46, name);
        entries[i].size = (size_t)number(at + 20, 4);
        entries[i].full_size = entries[i].size;
        entries[i].data = local + 30 + number(local + 26, 2) + number(local + 28, 2);
        at += 46 + name + number(at + 30, 2) + number(at + 32, 2);
    }
    return count;
}

static writer write_archive(const entry *entries, size_t count) {
    writer archive = {NULL, 0, 0}, directory = {NULL, 0, 0};
    for (size_t i = 0; i < count; i++) {
        const size_t name = strlen(entries[i].name), at = archive.size;
        const uint32_t crc = entries[i].method ? 0 : crc32_of(entries[i].data, entries[i].size);
        writer common = {NULL, 0, 0};
        put_number(&common, 20, 2);
        put_number(&common, 0, 2);
        put_number(&common, (uint64_t)entries[i].method, 2);
        put_number(&common, 0, 4);
        put_number(&common, crc, 4);
        put_number(&common, entries[i].size, 4);
        put_number(&common, entries[i].full_size, 4);
        put_number(&common, name, 2);
        put_number(&common, 0, 2);
        put_number(&archive, 0x04034b50, 4);
        put(&archive, common.data, common.size);
        put(&archive, entries[i].name, name);
        put(&archive, entries[i].data, entries[i].size);
        put_number(&directory, 0x02014b50, 4);
        put_number(&directory, 20, 2);
        put(&directory, common.data, common.size);
        put_number(&directory, 0, 2);
        put_number(&directory, 0, 8);
        put_number(&directory, at, 4);
        put(&directory, entries[i].name, name);
        free(common.data);
    }
    const size_t start = archive.size;
    put(&archive, directory.data, directory.size);
    put_number(&archive, 0x06054b50, 4);
    put_number(&archive, 0, 4);
    put_number(&archive, count, 2);
    put_number(&archive, count, 2);
    put_number(&archive, directory.size, 4);
    put_number(&archive, start, 4);
    put_number(&archive, 0, 2);
    free(directory.data);
    return archive;
}

/* `size` zeros, deflated as far as fixed codes go: a zero, then copies of 258 bytes, 13 bits each. */
static writer deflate_zeros(uint64_t size) {
    writer out = {NULL, 0, 0};
    uint64_t bits = 0;
    int held = 0;
#define BITS(value, count)                                                                                   \
    do {                                                                                                     \
        bits |= (uint64_t)(value) << held;                                                                   \
        for (held += (count); held >= 8; held -= 8, bits >>= 8) {                                            \
            put_number(&out, bits & 255, 1);                                                                 \
        }                                                                                                    \
    } while (0)
    BITS(3, 3);    /* last block, fixed codes */
    BITS(0x0C, 8); /* literal 0: 00110000, first bit first */
    for (uint64_t done = 1; done + 258 <= size; done += 258) {
        BITS(0xA3, 8); /* length 258: 11000101, first bit first */
        BITS(0, 5);    /* distance 1 */
    }
    BITS(0, 7); /* end of block */
    BITS(0, 7);
    return out;
}

static size_t find_entry(const entry *entries, size_t count, const char *suffix) {
    for (size_t i = 0; i < count; i++) {
        const size_t length = strlen(entries[i].name);
        if (length >= strlen(suffix) && strcmp(entries[i].name + length - strlen(suffix), suffix) == 0) {
            return i;
        }
    }
    CHECK(!"such an entry");
    return 0;
}

static unsigned char *find_bytes(unsigned char *in, size_t size, const char *text) {
    for (size_t at = 0; at + strlen(text) <= size; at++) {
        if (memcmp(in + at, text, strlen(text)) == 0) {
            return in + at;
        }
    }
    CHECK(!"such a text");
    return NULL;
}

static long peak_kibibytes(void) {
#ifdef _WIN32
    PROCESS_MEMORY_COUNTERS counters;
    CHECK(GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters));
    return (long)(counters.PeakWorkingSetSize / 1024);
#else
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return usage.ru_maxrss;
#endif
}

static void hostile_archives(void) {
    entry entries[MOST_ENTRIES], changed[MOST_ENTRIES];
    const size_t count = read_entries(entries);
    const size_t pickle = find_entry(entries, count, "/data.pkl"),
                 weights = find_entry(entries, count, "/data/8");
    unsigned char *copy = malloc(entries[pickle].size);
    writer archive = write_archive(entries, count);
    CHECK(copy);
    CHECK(opens(CHECKPOINT, archive.data, archive.size, 1) == VXS_OK); /* the writer itself is right */
    free(archive.data);

#define ARCHIVE(expected_status, what, change)                                                               \
    do {                                                                                                     \
        memcpy(changed, entries, sizeof changed);                                                            \
        memcpy(copy, entries[pickle].data, entries[pickle].size);                                            \
        changed[pickle].data = copy;                                                                         \
        size_t entry_count = count;                                                                          \
        change;                                                                                              \
        archive = write_archive(changed, entry_count);                                                       \
        const vxs_status archive_status = opens(CHECKPOINT, archive.data, archive.size, 0);                  \
        if (expected_status < 10 ? archive_status / 100 != expected_status                                   \
                                 : archive_status != expected_status) {                                      \
            fprintf(stderr, "%s:%d: %s: status %" PRId32 ", expected %d\n", __FILE__, __LINE__, what,        \
                    archive_status, expected_status);                                                        \
            exit(1);                                                                                         \
        }                                                                                                    \
        free(archive.data);                                                                                  \
    } while (0)
#define PICKLE(expected_status, what, text)                                                                  \
    ARCHIVE(expected_status, what,                                                                           \
            (changed[pickle].data = (const unsigned char *)(text),                                           \
             changed[pickle].size = changed[pickle].full_size = sizeof(text) - 1))
#define RENAME(from, to) memcpy(find_bytes(copy, entries[pickle].size, from), to, strlen(to))

    /* Entries that aren't there, are too short, or are there twice. */
    ARCHIVE(2, "no weights", (changed[weights] = changed[--entry_count]));
    ARCHIVE(2, "no pickle", (changed[pickle] = changed[--entry_count]));
    ARCHIVE(2, "no entries", (entry_count = 0));
    ARCHIVE(2, "short weights", (changed[weights].size -= 4, changed[weights].full_size -= 4));
    ARCHIVE(2, "no bytes of weights", (changed[weights].size = changed[weights].full_size = 0));
    ARCHIVE(2, "a size that lies", (changed[weights].full_size += 4));
    ARCHIVE(2, "a size of 4 GiB", (changed[weights].full_size = UINT32_MAX));

    /* The state dict is not the network's. */
    ARCHIVE(VXS_MISSING_TENSOR, "a tensor by another name",
            RENAME("decoder.seg_layers.3.bias", "decoder.seg_layers.3.bibs"));
    ARCHIVE(VXS_UNUSED_TENSOR, "a tensor that the network doesn't use",
            RENAME("decoder.seg_layers.0.bias", "decoder.seg_layers.0.bibs"));
    ARCHIVE(2, "a type that is unknown", RENAME("FloatStorage", "FloatStorbge"));
    ARCHIVE(2, "a shape that is another", RENAME("K\x0cK\x01K\x03K\x03K\x03", "K\x0cK\x03K\x01K\x03K\x03"));
    ARCHIVE(2, "a shape larger than its storage",
            RENAME("K\x0cK\x01K\x03K\x03K\x03", "K\xffK\xffK\xffK\xffK\xff"));
    ARCHIVE(2, "another callable", RENAME("_rebuild_tensor_v2", "_rebuild_tensor_v9"));

    /* Pickles that mean harm. None of it is executed: the file below would appear. */
    remove("voxseg_pickle_was_here");
    PICKLE(2, "os.system",
           "\x80\x02"
           "cos\nsystem\nX\x1c\x00\x00\x00touch voxseg_pickle_was_here\x85R.");
    PICKLE(2, "os.system by protocol 0", "cos\nsystem\n(S'touch voxseg_pickle_was_here'\ntR.");
    PICKLE(2, "eval by stack global",
           "\x80\x04\x8c\x08"
           "builtins\x8c\x04"
           "eval\x93\x8c\x2fopen('voxseg_pickle_was_here','w').close() or 0\x85R.");
    FILE *touched = fopen("voxseg_pickle_was_here", "rb");
    CHECK(!touched);
    PICKLE(2, "nothing", ".");
    PICKLE(2, "no end", "\x80\x02}");
    PICKLE(2, "an underflow",
           "\x80\x02"
           "0000000.");
    PICKLE(2, "a mark too few", "\x80\x02t.");
    PICKLE(2, "a memo that isn't there", "\x80\x02h\x05.");
    PICKLE(2, "a memo far away", "\x80\x02}r\xff\xff\xff\xff.");
    PICKLE(2, "a string of 4 GiB", "\x80\x02X\xff\xff\xff\xff.");
    PICKLE(2, "bytes of 2^63", "\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.");
    PICKLE(2, "a number of 2^31 bytes", "\x80\x02\x8b\xff\xff\xff\x7f.");
    PICKLE(2, "a persistent id", "\x80\x02NQ.");
    PICKLE(2, "a list in itself",
           "\x80\x02]q\x00h\x00"
           "a.");
    PICKLE(2, "a dict as its own key", "\x80\x02}q\x00h\x00Ns.");

    /* Deeper than a stack, wider than memory. */
    const size_t many = given.quick ? 200000 : 20000000;
    unsigned char *deep = malloc(many);
    CHECK(deep);
    static const char repeated[] = "](}N2";
    for (size_t i = 0; i < sizeof repeated - 1; i++) {
        memset(deep, repeated[i], many);
        deep[0] = 'N';
        deep[many - 1] = '.';
        ARCHIVE(2, "a long pickle",
                (changed[pickle].data = deep, changed[pickle].size = changed[pickle].full_size = many));
    }
    for (size_t at = 0; at + 2 < many; at += 1) {
        deep[at] = at < many / 2 ? ']' : 'a'; /* a list in a list in a list … */
    }
    ARCHIVE(2, "a deep pickle",
            (changed[pickle].data = deep, changed[pickle].size = changed[pickle].full_size = many));
    memset(deep, '\x85', many); /* a tuple in a tuple in a tuple … */
    deep[0] = 'N';
    deep[many - 1] = '.';
    ARCHIVE(2, "deep tuples",
            (changed[pickle].data = deep, changed[pickle].size = changed[pickle].full_size = many));
    free(deep);

    /* Bombs: small files that unpack to a gigabyte. Refused, or read no further than is needed. */
    const uint64_t gibibyte = UINT64_C(1) << 30;
    const long before = peak_kibibytes();
    writer zeros = deflate_zeros(given.quick ? gibibyte / 64 : gibibyte);
    ARCHIVE(2, "a bomb as pickle",
            (changed[pickle].data = zeros.data, changed[pickle].size = zeros.size,
             changed[pickle].full_size = gibibyte, changed[pickle].method = 8));
    ARCHIVE(2, "a bomb that states a small size",
            (changed[pickle].data = zeros.data, changed[pickle].size = zeros.size,
             changed[pickle].full_size = 100, changed[pickle].method = 8));
    memcpy(changed, entries, sizeof changed);
    changed[weights].data = zeros.data;
    changed[weights].size = zeros.size;
    changed[weights].full_size = gibibyte;
    changed[weights].method = 8;
    archive = write_archive(changed, count);
    opens(CHECKPOINT, archive.data, archive.size, 0);
    free(archive.data);
    CHECK(peak_kibibytes() - before < 400000);
    free(zeros.data);
    free(copy);
    still_right();
}

int main(int argc, char **argv) {
    vxs_error *error = NULL;
    vxs_model *model = NULL;
    given = read_arguments(argc, argv);
    image ct = read_ct(given.ct);
    small = crop(&ct, 16, 12, 10);
    free(ct.voxels);
    read_model(given.model, good);
    OK(open_memory(good, &model, &error));
    OK(vxs_plan_create(model, NULL, &plan, &error));
    vxs_model_free(model);
    expected = malloc(small.count);
    const vxs_volume volume = volume_of(&small);
    const vxs_labels labels = labels_of(expected, small.count);
    OK(vxs_segment(plan, &volume, NULL, &labels, NULL, &error));

    damaged();
    hostile_archives();
    hostile_json();

    vxs_plan_free(plan);
    for (int i = 0; i < FILES; i++) {
        free(good[i].data);
    }
    free(expected);
    free(small.voxels);
    printf("checkpoints: %d files refused, %u opened\n", check_failures, opened_count);
    return 0;
}
