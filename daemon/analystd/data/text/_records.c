/* Scanner for the records and cells of delimited text: the only place that implements the quoting rule.
 *
 * The rule: a quote opens a cell only as its first byte; within the cell, a doubled quote stands for one, and any other
 * ends the quoted part. Outside quotes each carriage return and each line feed ends a line; an empty line is not a record,
 * so that "\r\n" is one line end. This is what Python's csv module does with its default dialect.
 *
 * The state before a byte is PLAIN (a quote here is text), ARMED (a quote here opens a cell or, right after a closing
 * quote, doubles it) or INSIDE (a quote here closes the cell).
 *
 * Text is processed 64 bytes at a time, as bit masks: bit i stands for byte i. Whether a byte is inside quotes is the
 * parity of the quotes up to it, as long as every opening quote is where it may open a cell; otherwise the 64 bytes are
 * processed one by one.
 */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#if defined(__GNUC__) && defined(__x86_64__)
#define HAVE_AVX2_VARIANT 1
#include <immintrin.h>
#elif defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#endif

#if defined(_MSC_VER)
#include <intrin.h>
#define ALWAYS_INLINE static __forceinline
static inline int count_bits(uint64_t bits) { return (int)__popcnt64(bits); }
static inline int lowest_bit(uint64_t bits) { unsigned long at; _BitScanForward64(&at, bits); return (int)at; }
#else
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define count_bits(bits) __builtin_popcountll(bits)
#define lowest_bit(bits) __builtin_ctzll(bits)
#endif

enum { PLAIN = 0, ARMED = 1, INSIDE = 2, STATES = 3 };

#define CHUNK 64
#define PIECE_BYTES (8 * 1024)
#define NO_QUOTE (-1)

typedef struct {
    unsigned char delimiter;
    int quote; /* NO_QUOTE if no byte quotes */
} Rule;

typedef struct {
    uint64_t inside;        /* all bits or none */
    uint64_t armed;         /* bit 0 */
    uint64_t after_newline; /* bit 0: the byte before is a line end, or the text begins here */
} State;

typedef struct {
    uint64_t newlines;
    uint64_t quotes;
} Masks;

static State state_of(int number, int after_newline) {
    State state = {number == INSIDE ? ~0ULL : 0, number == ARMED, (uint64_t)after_newline};
    return state;
}

static int number_of(State state) { return state.inside ? INSIDE : state.armed ? ARMED : PLAIN; }

static inline int is_newline(unsigned char byte) { return byte == '\n' || byte == '\r'; }

/* --- masks of 64 bytes, for each kind of processor --- */

ALWAYS_INLINE uint64_t equal_portable(const unsigned char *at, unsigned char byte) {
    uint64_t mask = 0;
    for (int i = 0; i < CHUNK; i++) mask |= (uint64_t)(at[i] == byte) << i;
    return mask;
}

#if defined(HAVE_AVX2_VARIANT) || defined(__SSE2__) || defined(_M_X64)
ALWAYS_INLINE uint64_t equal_sse2(const unsigned char *at, unsigned char byte) {
    const __m128i wanted = _mm_set1_epi8((char)byte);
    uint64_t mask = 0;
    for (int i = 0; i < 4; i++) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(at + 16 * i));
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, wanted)) << (16 * i);
    }
    return mask;
}
#define equal_bytes equal_sse2
#else
#define equal_bytes equal_portable
#endif

ALWAYS_INLINE Masks masks_baseline(const unsigned char *at, Rule rule) {
    Masks masks = {equal_bytes(at, '\n') | equal_bytes(at, '\r'),
                   rule.quote == NO_QUOTE ? 0 : equal_bytes(at, (unsigned char)rule.quote)};
    return masks;
}

#ifdef HAVE_AVX2_VARIANT
__attribute__((target("avx2"))) static inline Masks masks_avx2(const unsigned char *at, Rule rule) {
    /* A byte equals the entry that its low four bits select only if it is a line feed or a carriage return. */
    const __m256i ends = _mm256_setr_epi8(-1, 0, 0, 0, 0, 0, 0, 0, 0, 0, '\n', 0, 0, '\r', 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                          '\n', 0, 0, '\r', 0, 0);
    const __m256i quote = _mm256_set1_epi8((char)rule.quote);
    __m256i low = _mm256_loadu_si256((const __m256i *)at), high = _mm256_loadu_si256((const __m256i *)(at + 32));
    __m256i low_ends = _mm256_cmpeq_epi8(low, _mm256_shuffle_epi8(ends, low));
    __m256i high_ends = _mm256_cmpeq_epi8(high, _mm256_shuffle_epi8(ends, high));
    Masks masks;
    masks.newlines = (uint32_t)_mm256_movemask_epi8(low_ends) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high_ends) << 32;
    masks.quotes = rule.quote == NO_QUOTE
                       ? 0
                       : (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, quote)) |
                             (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, quote)) << 32;
    return masks;
}
#endif

/* --- the quoting rule on masks --- */

/* Return a mask whose bit i is the parity of the bits up to and including i. */
ALWAYS_INLINE uint64_t parity_so_far(uint64_t bits) {
    for (int shift = 1; shift < CHUNK; shift *= 2) bits ^= bits << shift;
    return bits;
}

/* Do the same as `step` byte by byte, for text in which some quotes are text. */
static uint64_t step_slowly(const unsigned char *at, int length, Rule rule, State *state, int *closes_last) {
    uint64_t outside = 0;
    int inside = state->inside != 0, armed = (int)state->armed;
    *closes_last = 0;
    for (int i = 0; i < length; i++) {
        int closes = 0;
        if (at[i] == rule.quote && inside) {
            inside = 0;
            closes = 1;
        } else if (at[i] == rule.quote && armed) {
            inside = 1;
        } else if (!inside) {
            outside |= 1ULL << i;
        }
        armed = closes || at[i] == rule.delimiter || is_newline(at[i]);
        *closes_last = closes;
    }
    state->inside = inside ? ~0ULL : 0;
    return outside;
}

/* Return the line ends in `length` bytes that end a record, and advance the state. */
ALWAYS_INLINE uint64_t step(const unsigned char *at, int length, Rule rule, Masks masks, State *state) {
    uint64_t outside;
    int closes_last = 0;
    if (masks.quotes == 0) {
        outside = ~state->inside;
    } else {
        uint64_t delimiters = equal_bytes(at, rule.delimiter);
        uint64_t inside = parity_so_far(masks.quotes) ^ state->inside;
        uint64_t openers = masks.quotes & inside, closers = masks.quotes & ~inside;
        uint64_t may_open = (masks.newlines | delimiters | closers) << 1 | state->armed;
        if (openers & ~may_open) {
            outside = step_slowly(at, length, rule, state, &closes_last);
        } else {
            outside = ~inside;
            closes_last = (int)(closers >> (length - 1) & 1);
            state->inside = (inside >> (CHUNK - 1)) ? ~0ULL : 0;
        }
    }
    uint64_t ends = masks.newlines & outside & ~(masks.newlines << 1 | state->after_newline);
    state->after_newline = masks.newlines >> (length - 1) & 1;
    state->armed = closes_last || state->after_newline || at[length - 1] == rule.delimiter;
    return ends;
}

/* The last bytes of a text, padded to a chunk with bytes without a meaning. */
typedef struct {
    unsigned char bytes[CHUNK];
} Padded;

static Padded padded(const unsigned char *at, int length, Rule rule) {
    Padded result;
    unsigned char filler = 'x';
    while (filler == rule.delimiter || filler == rule.quote) filler++;
    memset(result.bytes, filler, CHUNK);
    memcpy(result.bytes, at, (size_t)length);
    return result;
}

#define DEFINE_COUNT(name, attribute, masks_of)                                                            \
    attribute static int64_t name(const unsigned char *text, int64_t length, Rule rule, State *state) {   \
        int64_t count = 0, at = 0;                                                                         \
        State now = *state;                                                                                \
        for (; at + CHUNK <= length; at += CHUNK)                                                          \
            count += count_bits(step(text + at, CHUNK, rule, masks_of(text + at, rule), &now));            \
        if (at < length) {                                                                                 \
            Padded last = padded(text + at, (int)(length - at), rule);                                     \
            count += count_bits(step(last.bytes, (int)(length - at), rule, masks_of(last.bytes, rule), &now)); \
        }                                                                                                  \
        *state = now;                                                                                      \
        return count;                                                                                      \
    }

/* Count outside quotes, in a whole number of chunks; return -1 and leave the state unchanged if there is a quote. */
#define DEFINE_COUNT_UNQUOTED(name, attribute, masks_of)                                                   \
    attribute static int64_t name(const unsigned char *text, int64_t length, Rule rule, State *state) {   \
        int64_t count = 0;                                                                                 \
        uint64_t after_newline = state->after_newline, quotes = 0;                                         \
        for (int64_t at = 0; at < length; at += CHUNK) {                                                   \
            Masks masks = masks_of(text + at, rule);                                                       \
            quotes |= masks.quotes;                                                                        \
            count += count_bits(masks.newlines & ~(masks.newlines << 1 | after_newline));                  \
            after_newline = masks.newlines >> (CHUNK - 1);                                                 \
        }                                                                                                  \
        if (quotes) return -1;                                                                             \
        state->after_newline = after_newline;                                                              \
        state->armed = after_newline || text[length - 1] == rule.delimiter;                                \
        return count;                                                                                      \
    }

DEFINE_COUNT(count_baseline, , masks_baseline)
DEFINE_COUNT_UNQUOTED(count_unquoted_baseline, , masks_baseline)
#ifdef HAVE_AVX2_VARIANT
DEFINE_COUNT(count_avx2, __attribute__((target("avx2,popcnt"))), masks_avx2)
DEFINE_COUNT_UNQUOTED(count_unquoted_avx2, __attribute__((target("avx2,popcnt"))), masks_avx2)
static int64_t count_records(const unsigned char *text, int64_t length, Rule rule, State *state) {
    return __builtin_cpu_supports("avx2") ? count_avx2(text, length, rule, state) : count_baseline(text, length, rule, state);
}
static int64_t count_unquoted(const unsigned char *text, int64_t length, Rule rule, State *state) {
    return __builtin_cpu_supports("avx2") ? count_unquoted_avx2(text, length, rule, state)
                                          : count_unquoted_baseline(text, length, rule, state);
}
#else
#define count_records count_baseline
#define count_unquoted count_unquoted_baseline
#endif

/* --- functions for Python --- */

static Rule rule_of(char delimiter, int quote) {
    Rule rule = {(unsigned char)delimiter, quote};
    return rule;
}

#ifndef _WIN32

typedef struct {
    int64_t counts[STATES];
    int ends[STATES]; /* the state after the block for each state before it */
} Block;

/* Count a whole number of chunks without a quote; return 0 if there is a quote. */
static int follow_unquoted(const unsigned char *text, int64_t length, Rule rule, State states[STATES], int64_t counts[STATES]) {
    State outside = state_of(PLAIN, (int)states[PLAIN].after_newline);
    int64_t added = count_unquoted(text, length, rule, &outside);
    if (added < 0) return 0;
    for (int each = 0; each < STATES; each++) {
        if (states[each].inside) {
            states[each].after_newline = outside.after_newline;
        } else {
            states[each] = outside;
            counts[each] += added;
        }
    }
    return 1;
}

/* Count some bytes for each possible state before them; equal states are processed once. */
static void follow(const unsigned char *text, int64_t length, Rule rule, State states[STATES], int64_t counts[STATES]) {
    State before[STATES];
    int64_t added[STATES];
    memcpy(before, states, sizeof before);
    for (int each = 0; each < STATES; each++) {
        int same = 0;
        while (same < each && (before[same].inside != before[each].inside || before[same].armed != before[each].armed)) same++;
        if (same < each) {
            states[each] = states[same];
            added[each] = added[same];
        } else {
            added[each] = count_records(text, length, rule, &states[each]);
        }
        counts[each] += added[each];
    }
}

/* Return 0; 1 if the file ends too early; -1 with errno set on an error. */
static int read_fully(int descriptor, unsigned char *buffer, int64_t length, int64_t offset) {
    while (length > 0) {
        ssize_t got = pread(descriptor, buffer, (size_t)length, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) return 1;
        buffer += got;
        offset += got;
        length -= got;
    }
    return 0;
}

/* Count the blocks of a text in memory. */
static void count_text(const unsigned char *text, int64_t length, int64_t block_bytes, int after_newline, Rule rule, Block *blocks) {
    for (int64_t begin = 0; begin < length; begin += block_bytes, blocks++) {
        int64_t end = length - begin < block_bytes ? length : begin + block_bytes;
        State states[STATES];
        for (int each = 0; each < STATES; each++) states[each] = state_of(each, after_newline);
        for (int64_t at = begin; at < end; at += PIECE_BYTES) {
            int64_t piece = end - at < PIECE_BYTES ? end - at : PIECE_BYTES;
            if (piece % CHUNK || !follow_unquoted(text + at, piece, rule, states, blocks->counts))
                follow(text + at, piece, rule, states, blocks->counts);
        }
        for (int each = 0; each < STATES; each++) blocks->ends[each] = number_of(states[each]);
        after_newline = is_newline(text[end - 1]);
    }
}

/* A file is mapped rather than read, which saves a copy. If the file is truncated meanwhile, the system sends SIGBUS to the
 * reading thread, which then jumps back to where it began. Any other SIGBUS goes to the previous handler. */

static __thread sigjmp_buf *way_back;
static struct sigaction before_us;

static void on_bus_error(int number, siginfo_t *info, void *context) {
    (void)number, (void)info, (void)context;
    if (way_back != NULL) siglongjmp(*way_back, 1);
    sigaction(SIGBUS, &before_us, NULL);
}

static void catch_bus_errors(void) {
    static int caught; /* guarded by the interpreter's lock */
    struct sigaction ours;
    if (caught++) return;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = on_bus_error;
    ours.sa_flags = SA_SIGINFO;
    sigemptyset(&ours.sa_mask);
    sigaction(SIGBUS, &ours, &before_us);
}

/* Do the same as `count_text` for a mapped file; return 1 if the file was truncated meanwhile. */
static int count_mapped(const unsigned char *text, int64_t length, int64_t block_bytes, int after_newline, Rule rule, Block *blocks) {
    sigjmp_buf here;
    if (sigsetjmp(here, 1)) {
        way_back = NULL;
        return 1;
    }
    way_back = &here;
    count_text(text, length, block_bytes, after_newline, rule, blocks);
    way_back = NULL;
    return 0;
}

/* Return 0 if a file has at least `length` bytes; 1 if not; -1 with errno set on an error. */
static int too_short(int descriptor, int64_t length) {
    struct stat status;
    return fstat(descriptor, &status) < 0 ? -1 : status.st_size < length;
}

/* Count the blocks of a part of a file; return 1 if the file ends too early, -1 with errno set on an error. */
static int count_part(int descriptor, int64_t begin, int64_t end, int64_t block_bytes, int after_newline, Rule rule, Block *blocks) {
    int64_t lead = begin % sysconf(_SC_PAGESIZE), length = end - begin;
    int failed = too_short(descriptor, end);
    if (failed || length == 0) return failed;
    unsigned char *map = mmap(NULL, (size_t)(lead + length), PROT_READ, MAP_SHARED, descriptor, (off_t)(begin - lead));
    if (map != MAP_FAILED) {
        failed = count_mapped(map + lead, length, block_bytes, after_newline, rule, blocks);
        munmap(map, (size_t)(lead + length));
        /* The part of a page beyond the end of a file reads as zeros. */
        return failed ? failed : too_short(descriptor, end);
    }
    /* Some file systems do not support mapping. */
    unsigned char *buffer = malloc((size_t)length);
    if (buffer == NULL) return -1;
    failed = read_fully(descriptor, buffer, length, begin);
    if (!failed) count_text(buffer, length, block_bytes, after_newline, rule, blocks);
    free(buffer);
    return failed;
}

static PyObject *block_tuple(const Block *block) {
    return Py_BuildValue("((LLL)(iii))", (long long)block->counts[0], (long long)block->counts[1], (long long)block->counts[2],
                         block->ends[0], block->ends[1], block->ends[2]);
}

PyDoc_STRVAR(count_blocks_doc,
"count_blocks(descriptor, begin, end, block_bytes, after_newline, delimiter, quote)\n--\n\n"
"Return, for each block of a file from `begin` to `end`, the number of records that end in it and the state after it, each\n"
"as a triple for the states PLAIN, ARMED and INSIDE before it. Raises EOFError if the file is shorter. Releases the GIL.");

static PyObject *count_blocks(PyObject *module, PyObject *args) {
    int descriptor, quote, after_newline;
    long long begin, end, block_bytes;
    char delimiter;
    if (!PyArg_ParseTuple(args, "iLLLpci", &descriptor, &begin, &end, &block_bytes, &after_newline, &delimiter, &quote))
        return NULL;
    if (begin < 0 || end < begin || block_bytes <= 0) {
        PyErr_SetString(PyExc_ValueError, "blocks lie the wrong way round");
        return NULL;
    }
    int64_t number = (end - begin + block_bytes - 1) / block_bytes;
    Block *blocks = calloc((size_t)(number ? number : 1), sizeof(Block));
    int failed = 0, error = 0;
    if (blocks == NULL) return PyErr_NoMemory();
    Rule rule = rule_of(delimiter, quote);
    catch_bus_errors();
    Py_BEGIN_ALLOW_THREADS
    failed = count_part(descriptor, begin, end, block_bytes, after_newline, rule, blocks);
    error = errno;
    Py_END_ALLOW_THREADS
    PyObject *result = NULL;
    if (failed > 0) {
        PyErr_SetString(PyExc_EOFError, "the file became shorter");
    } else if (failed < 0) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
    } else {
        result = PyList_New((Py_ssize_t)number);
        for (int64_t at = 0; result != NULL && at < number; at++) {
            PyObject *tuple = block_tuple(&blocks[at]);
            if (tuple == NULL || PyList_SetItem(result, (Py_ssize_t)at, tuple) < 0) Py_CLEAR(result);
        }
    }
    free(blocks);
    return result;
}

#endif

PyDoc_STRVAR(count_doc,
"count(text, state, after_newline, delimiter, quote)\n--\n\n"
"Return the number of records that end in `text`, and the state after it. Releases the GIL.");

static PyObject *count(PyObject *module, PyObject *args) {
    Py_buffer text;
    int state, after_newline, quote;
    char delimiter;
    if (!PyArg_ParseTuple(args, "y*ipci", &text, &state, &after_newline, &delimiter, &quote)) return NULL;
    State now = state_of(state, after_newline);
    int64_t records;
    Py_BEGIN_ALLOW_THREADS
    records = count_records(text.buf, text.len, rule_of(delimiter, quote), &now);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&text);
    return Py_BuildValue("(Li)", (long long)records, number_of(now));
}

/* Call `found` with the position of each record's end until it returns 1 (stop) or -1 (failure). */
typedef int (*Found)(void *context, int64_t end);

static int each_end(const unsigned char *text, int64_t length, Rule rule, State state, Found found, void *context) {
    for (int64_t at = 0; at < length; at += CHUNK) {
        int here = length - at < CHUNK ? (int)(length - at) : CHUNK;
        Padded last;
        const unsigned char *chunk = text + at;
        if (here < CHUNK) {
            last = padded(chunk, here, rule);
            chunk = last.bytes;
        }
        uint64_t ends = step(chunk, here, rule, masks_baseline(chunk, rule), &state);
        for (; ends; ends &= ends - 1) {
            int answer = found(context, at + lowest_bit(ends));
            if (answer) return answer;
        }
    }
    return 0;
}

typedef struct {
    int64_t left;
    int64_t end;
} Search;

static int search_found(void *context, int64_t end) {
    Search *search = context;
    search->end = end;
    return search->left-- == 0;
}

PyDoc_STRVAR(find_doc,
"find(text, state, after_newline, delimiter, quote, number)\n--\n\n"
"Return the position of the line end of the record that ends as number `number` (from 0) in `text`; -1 if fewer end there.");

static PyObject *find(PyObject *module, PyObject *args) {
    Py_buffer text;
    int state, after_newline, quote;
    char delimiter;
    long long number;
    if (!PyArg_ParseTuple(args, "y*ipciL", &text, &state, &after_newline, &delimiter, &quote, &number)) return NULL;
    Search search = {number, -1};
    int stopped;
    Py_BEGIN_ALLOW_THREADS
    stopped = each_end(text.buf, text.len, rule_of(delimiter, quote), state_of(state, after_newline), search_found, &search);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&text);
    return PyLong_FromLongLong(stopped ? search.end : -1);
}

typedef struct {
    const unsigned char *text;
    int64_t begin;
    Py_ssize_t limit;
    PyObject *records;
} Split;

static int64_t without_newlines(const unsigned char *text, int64_t begin, int64_t end) {
    while (begin < end && is_newline(text[begin])) begin++;
    return begin;
}

static int split_found(void *context, int64_t end) {
    Split *split = context;
    int64_t begin = without_newlines(split->text, split->begin, end);
    PyObject *record = PyBytes_FromStringAndSize((const char *)split->text + begin, (Py_ssize_t)(end - begin));
    int failed = record == NULL || PyList_Append(split->records, record) < 0;
    Py_XDECREF(record);
    split->begin = end + 1;
    return failed ? -1 : --split->limit == 0;
}

PyDoc_STRVAR(split_doc,
"split(text, delimiter, quote, limit)\n--\n\n"
"Return the first `limit` records of `text` without their line ends, and the offset of the rest.");

static PyObject *split(PyObject *module, PyObject *args) {
    Py_buffer text;
    int quote;
    char delimiter;
    Py_ssize_t limit;
    if (!PyArg_ParseTuple(args, "y*cin", &text, &delimiter, &quote, &limit)) return NULL;
    Split split = {text.buf, 0, limit, PyList_New(0)};
    int failed = split.records == NULL;
    if (!failed && limit > 0)
        failed = each_end(text.buf, text.len, rule_of(delimiter, quote), state_of(ARMED, 1), split_found, &split) < 0;
    PyBuffer_Release(&text);
    if (failed) {
        Py_XDECREF(split.records);
        return NULL;
    }
    return Py_BuildValue("(NL)", split.records, (long long)split.begin);
}

/* Append the text of one cell, given its bytes. */
static int append_cell(PyObject *cells, const unsigned char *bytes, int64_t length, const char *errors) {
    PyObject *cell = PyUnicode_DecodeUTF8((const char *)bytes, (Py_ssize_t)length, errors);
    int failed = cell == NULL || PyList_Append(cells, cell) < 0;
    Py_XDECREF(cell);
    return failed;
}

/* Return the position of the first delimiter from `at`, or `end`. */
static int64_t delimiter_from(const unsigned char *text, int64_t at, int64_t end, Rule rule) {
    const unsigned char *found = at < end ? memchr(text + at, rule.delimiter, (size_t)(end - at)) : NULL;
    return found ? found - text : end;
}

/* Write the `*length` bytes of the quoted cell that begins at `at` to `into`, and return the cell's end. */
static int64_t unquote(const unsigned char *text, int64_t at, int64_t end, Rule rule, unsigned char *into, int64_t *length) {
    int64_t written = 0;
    while (at < end && text[at] == rule.quote) {
        const unsigned char *close = at + 1 < end ? memchr(text + at + 1, rule.quote, (size_t)(end - at - 1)) : NULL;
        int64_t stop = close ? close - text : end;
        memcpy(into + written, text + at + 1, (size_t)(stop - at - 1));
        written += stop - at - 1;
        at = close ? stop + 1 : end;
        if (at < end && text[at] == rule.quote) into[written++] = text[at];
    }
    int64_t stop = delimiter_from(text, at, end, rule);
    memcpy(into + written, text + at, (size_t)(stop - at));
    *length = written + (stop - at);
    return stop;
}

PyDoc_STRVAR(cells_doc,
"cells(record, delimiter, quote, errors)\n--\n\n"
"Return the unquoted cells of one record as text; `errors` as in bytes.decode.");

static PyObject *cells(PyObject *module, PyObject *args) {
    Py_buffer record;
    int quote;
    char delimiter;
    const char *errors;
    if (!PyArg_ParseTuple(args, "y*cis", &record, &delimiter, &quote, &errors)) return NULL;
    const unsigned char *text = record.buf;
    int64_t at = 0, end = record.len;
    Rule rule = rule_of(delimiter, quote);
    PyObject *result = PyList_New(0);
    unsigned char *unquoted = NULL;
    int failed = result == NULL;
    while (!failed) {
        int64_t stop;
        if (at < end && text[at] == rule.quote) {
            int64_t length;
            if (unquoted == NULL && (unquoted = malloc((size_t)end)) == NULL) {
                PyErr_NoMemory();
                failed = 1;
                break;
            }
            stop = unquote(text, at, end, rule, unquoted, &length);
            failed = append_cell(result, unquoted, length, errors);
        } else {
            stop = delimiter_from(text, at, end, rule);
            failed = append_cell(result, text + at, stop - at, errors);
        }
        if (stop >= end) break;
        at = stop + 1;
    }
    free(unquoted);
    PyBuffer_Release(&record);
    if (failed) Py_CLEAR(result);
    return result;
}

static PyMethodDef methods[] = {
#ifndef _WIN32
    {"count_blocks", count_blocks, METH_VARARGS, count_blocks_doc},
#endif
    {"count", count, METH_VARARGS, count_doc},
    {"find", find, METH_VARARGS, find_doc},
    {"split", split, METH_VARARGS, split_doc},
    {"cells", cells, METH_VARARGS, cells_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_records", "Scanner for the records and cells of delimited text; see record_index.",
    0, methods, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__records(void) { return PyModuleDef_Init(&definition); }
