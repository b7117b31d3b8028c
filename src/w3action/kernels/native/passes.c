/* W3's passes over features, for a CPU.

   Features are frames of lines: channels last, a line is one place with all its channels; else it is one channel with
   all its places. What runs along a line is "inner", what counts lines is "outer"; each pass then is one loop for both.
   Compiled once for float and once, with BFLOAT16, for bfloat16; whatever is multiplied or added up is float.

   Sums go first over LANES numbers side by side, which the compiler turns into vectors without being allowed to
   reorder anything, and over CHUNK lines at most: the caller adds up the chunks.  */

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 32, CHUNK = 64, SMALL = 1 << 14 };  // SMALL: fewer numbers are not worth waking a thread
const int64_t chunk_lines = CHUNK;  // the caller asks: its memory must be large enough

#ifdef BFLOAT16
typedef uint16_t number;

static inline float load(number x) {
  uint32_t bits = (uint32_t)x << 16;
  float y;
  memcpy(&y, &bits, sizeof y);
  return y;
}

static inline number store(float x) {  // to the nearest, ties to even
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return x != x ? 0x7fc0 : rounded;
}
#else
typedef float number;

static inline float load(number x) { return x; }
static inline number store(float x) { return x; }
#endif

typedef struct {
  int64_t clips, frames, outer, inner;
} Shape;

typedef struct {
  number *data;                 // NULL: none given
  int64_t clip, frame, line;    // steps in memory; along a line it is one
} Features;

static inline number *line_of(Features x, Shape s, int64_t frame, int64_t line) {
  return x.data + frame / s.frames * x.clip + frame % s.frames * x.frame + line * x.line;
}

static inline int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t chunks_of(int64_t size, int64_t chunk) { return (size + chunk - 1) / chunk; }

static inline int is_large(Shape s) { return s.clips * s.frames * s.outer * s.inner > SMALL; }

// NaN wins.
static inline float larger(float a, float b) { return a > b || a != a ? a : b; }

// By halves: one after the other takes longer than a line of few channels.
static inline float total(float *lanes) {
  for (int half = LANES / 2; half; half /= 2)
    for (int l = 0; l < half; l++) lanes[l] += lanes[l + half];
  return lanes[0];
}

static inline float largest_of(float *lanes) {
  for (int half = LANES / 2; half; half /= 2)
    for (int l = 0; l < half; l++) lanes[l] = larger(lanes[l], lanes[l + half]);
  return lanes[0];
}

/* Sum and maximum of weight * x along each line. weights (frames, inner); sums, maxima (frames, outer). */
void reduce_inner(Shape s, Features x, const float *weights, float *sums, float *maxima, int threads) {
  int64_t lines = s.clips * s.frames * s.outer;
#pragma omp parallel for num_threads(threads) if (is_large(s))
  for (int64_t at = 0; at < lines; at++) {
    const number *restrict line = line_of(x, s, at / s.outer, at % s.outer);
    const float *restrict weight = weights + at / s.outer * s.inner;
    float sum[LANES] = {0}, most[LANES];
    for (int l = 0; l < LANES; l++) most[l] = -INFINITY;
    int64_t i = 0;
    for (; i + LANES <= s.inner; i += LANES)
      for (int l = 0; l < LANES; l++) {
        float v = load(line[i + l]) * weight[i + l];
        sum[l] += v;
        most[l] = larger(v, most[l]);
      }
    for (int l = 0; i + l < s.inner; l++) {
      float v = load(line[i + l]) * weight[i + l];
      sum[l] += v;
      most[l] = larger(v, most[l]);
    }
    sums[at] = total(sum);
    maxima[at] = largest_of(most);
  }
}

/* Sum and maximum of weight * x over the lines of each chunk. weights (frames, outer); sums, maxima (frames, chunks,
   inner). */
void reduce_outer(Shape s, Features x, const float *weights, float *sums, float *maxima, int threads) {
  int64_t chunks = chunks_of(s.outer, CHUNK);
#pragma omp parallel for num_threads(threads) if (is_large(s))
  for (int64_t at = 0; at < s.clips * s.frames * chunks; at++) {
    int64_t frame = at / chunks, first = at % chunks * CHUNK, end = at_most(first + CHUNK, s.outer);
    float *restrict sum = sums + at * s.inner, *restrict most = maxima + at * s.inner;
    for (int64_t i = 0; i < s.inner; i++) sum[i] = 0, most[i] = -INFINITY;
    for (int64_t o = first; o < end; o++) {
      const number *restrict line = line_of(x, s, frame, o);
      float weight = weights[frame * s.outer + o];
      for (int64_t i = 0; i < s.inner; i++) {
        float v = load(line[i]) * weight;
        sum[i] += v;
        most[i] = larger(v, most[i]);
      }
    }
  }
}

/* Gradients of reduce_inner: of x, and of weights, if there is memory for them, by chunk (frames, chunks, inner). Both
   of the sums' and the maxima's gradients are (frames, outer); numbers that share a maximum share its gradient. */
void reduce_inner_backward(Shape s, Features x, const float *weights, const float *maxima, const float *grad_sums,
                           const float *grad_maxima, Features grad, float *grad_weights, int threads) {
  int64_t chunks = chunks_of(s.outer, CHUNK);
#pragma omp parallel for num_threads(threads) if (is_large(s))
  for (int64_t at = 0; at < s.clips * s.frames * chunks; at++) {
    int64_t frame = at / chunks, first = at % chunks * CHUNK, end = at_most(first + CHUNK, s.outer);
    const float *restrict weight = weights + frame * s.inner;
    float *restrict grad_weight = grad_weights ? grad_weights + at * s.inner : 0;
    if (grad_weights) memset(grad_weight, 0, s.inner * sizeof(float));
    for (int64_t o = first; o < end; o++) {
      const number *restrict line = line_of(x, s, frame, o);
      number *restrict out = line_of(grad, s, frame, o);
      float largest = maxima[frame * s.outer + o], base = grad_sums[frame * s.outer + o];
      int32_t found = 0;
      for (int64_t i = 0; i < s.inner; i++) found += load(line[i]) * weight[i] == largest;
      float share = grad_maxima[frame * s.outer + o] / found;
      if (!found) base = NAN;  // the maximum is NaN
      for (int64_t i = 0; i < s.inner; i++) {
        float v = load(line[i]), g = v * weight[i] == largest ? base + share : base;
        if (grad_weights) grad_weight[i] += v * g;
        out[i] = store(g * weight[i]);
      }
    }
  }
}

/* How many lines of each chunk hold the maximum. maxima (frames, inner); counts (frames, chunks, inner). */
void count_outer(Shape s, Features x, const float *weights, const float *maxima, float *counts, int threads) {
  int64_t chunks = chunks_of(s.outer, CHUNK);
#pragma omp parallel for num_threads(threads) if (is_large(s))
  for (int64_t at = 0; at < s.clips * s.frames * chunks; at++) {
    int64_t frame = at / chunks, first = at % chunks * CHUNK, end = at_most(first + CHUNK, s.outer);
    const float *restrict largest = maxima + frame * s.inner;
    float *restrict found = counts + at * s.inner;
    memset(found, 0, s.inner * sizeof(float));
    for (int64_t o = first; o < end; o++) {
      const number *restrict line = line_of(x, s, frame, o);
      float weight = weights[frame * s.outer + o];
      for (int64_t i = 0; i < s.inner; i++) found[i] += load(line[i]) * weight == largest[i] ? 1.0f : 0.0f;
    }
  }
}

/* Gradients of reduce_outer: of x, and of weights (frames, outer), if there is memory for them. maxima, grad_sums and
   shares (frames, inner): the gradient of a maximum by how many lines hold it. */
void reduce_outer_backward(Shape s, Features x, const float *weights, const float *maxima, const float *grad_sums,
                           const float *shares, Features grad, float *grad_weights, int threads) {
  int64_t lines = s.clips * s.frames * s.outer;
#pragma omp parallel for num_threads(threads) if (is_large(s))
  for (int64_t at = 0; at < lines; at++) {
    int64_t frame = at / s.outer;
    const number *restrict line = line_of(x, s, frame, at % s.outer);
    number *restrict out = line_of(grad, s, frame, at % s.outer);
    const float *restrict largest = maxima + frame * s.inner, *restrict share = shares + frame * s.inner;
    const float *restrict base = grad_sums + frame * s.inner;
    float weight = weights[at], sum[LANES] = {0};
    int64_t i = 0;
    if (grad_weights) {  // what is left of the line is added up here, and written below
      for (; i + LANES <= s.inner; i += LANES)
        for (int l = 0; l < LANES; l++) {
          float v = load(line[i + l]), g = base[i + l] + (v * weight == largest[i + l] ? share[i + l] : 0.0f);
          sum[l] += v * g;
          out[i + l] = store(g * weight);
        }
      for (int l = 0; i + l < s.inner; l++) {
        float v = load(line[i + l]);
        sum[l] += v * (base[i + l] + (v * weight == largest[i + l] ? share[i + l] : 0.0f));
      }
      grad_weights[at] = total(sum);
    }
    for (; i < s.inner; i++) {
      float g = base[i] + (load(line[i]) * weight == largest[i] ? share[i] : 0.0f);
      out[i] = store(g * weight);
    }
  }
}

/* y = outer * inner * x + shortcut, rectified if asked. outer (frames, outer), inner (frames, inner). */
void scale(Shape s, Features x, const float *outer, const float *inner, Features shortcut, int relu, Features y,
           int threads) {
  int64_t lines = s.clips * s.frames * s.outer;
#pragma omp parallel for num_threads(threads) if (is_large(s))
  for (int64_t at = 0; at < lines; at++) {
    int64_t frame = at / s.outer, o = at % s.outer;
    const number *line = line_of(x, s, frame, o), *added = shortcut.data ? line_of(shortcut, s, frame, o) : 0;
    const float *restrict factor = inner + frame * s.inner;
    number *out = line_of(y, s, frame, o);
    float common = outer[at];
#pragma omp simd
    for (int64_t i = 0; i < s.inner; i++) {
      float v = load(line[i]) * factor[i] * common;
      if (added) v += load(added[i]);
      out[i] = store(relu && v < 0 ? 0 : v);
    }
  }
}

/* Gradients of scale: of x, of outer (frames, outer), of inner by chunk (frames, chunks, inner), and of the sum that a
   ReLU took: y is what it gave, without one there is neither. */
void scale_backward(Shape s, Features grad_y, Features x, const float *outer, const float *inner, Features y,
                    Features grad, float *grad_outer, float *grad_inner, Features grad_sum, int threads) {
  int64_t chunks = chunks_of(s.outer, CHUNK);
#pragma omp parallel for num_threads(threads) if (is_large(s))
  for (int64_t at = 0; at < s.clips * s.frames * chunks; at++) {
    int64_t frame = at / chunks, first = at % chunks * CHUNK, end = at_most(first + CHUNK, s.outer);
    const float *restrict factor = inner + frame * s.inner;
    float *restrict grad_factor = grad_inner + at * s.inner;
    memset(grad_factor, 0, s.inner * sizeof(float));
    for (int64_t o = first; o < end; o++) {
      const number *restrict line = line_of(x, s, frame, o);
      const number *arriving = line_of(grad_y, s, frame, o);
      number *restrict out = line_of(grad, s, frame, o);
      if (y.data) {
        const number *restrict given = line_of(y, s, frame, o);
        number *restrict passed = line_of(grad_sum, s, frame, o);
        for (int64_t i = 0; i < s.inner; i++) passed[i] = load(given[i]) > 0 ? arriving[i] : (number)0;
        arriving = passed;
      }
      float common = outer[frame * s.outer + o], sum[LANES] = {0};
      int64_t i = 0;
      for (; i + LANES <= s.inner; i += LANES)
        for (int l = 0; l < LANES; l++) {
          float g = load(arriving[i + l]), product = g * load(line[i + l]);
          sum[l] += product * factor[i + l];
          grad_factor[i + l] += product * common;
          out[i + l] = store(g * factor[i + l] * common);
        }
      for (int l = 0; i + l < s.inner; l++) {
        float g = load(arriving[i + l]), product = g * load(line[i + l]);
        sum[l] += product * factor[i + l];
        grad_factor[i + l] += product * common;
        out[i + l] = store(g * factor[i + l] * common);
      }
      grad_outer[frame * s.outer + o] = total(sum);
    }
  }
}
