// Operations on single values: sums, dropout, and the images' way into the layout.
#pragma once
#include "vector.h"

INLINE void copy(float *to, const float *from, long count) {
    for (long i = 0; i < count; i++) to[i] = from[i];
}

// y = a + b
INLINE void add(const float *a, const float *b, float *y, const int VECTORS) {
    for (int i = 0; i < VECTORS; i++)
        store(y + i * LANES, load(a + i * LANES) + load(b + i * LANES));
}

// x[p][lane] = images[lane][p] scale + offset in the first `lanes` lanes, 0 in the others.
// images: (lanes, PIXELS) bytes.
INLINE void load_images(const uint8_t *images, float *x, const int PIXELS, int lanes, float scale,
                        float offset) {
    for (int lane = 0; lane < LANES; lane++)
        for (int p = 0; p < PIXELS; p++)
            x[p * LANES + lane] =
                lane < lanes ? images[(size_t)lane * PIXELS + p] * scale + offset : 0.0f;
}

// A key from a step's key and a row's number, by SplitMix64's finaliser (Steele, Lea and Flood,
// "Fast splittable pseudorandom number generators", 2014).
INLINE uint64_t dropout_key(uint64_t step, uint64_t row) {
    uint64_t z = step + 0x9e3779b97f4a7c15u * (row + 1);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

typedef uint32_t uvec __attribute__((vector_size(4 * LANES), aligned(4 * LANES)));

// y = x / (1 - p) with probability 1 - p, otherwise 0. The choice depends on the key and the value's
// place alone, so that the gradient is the same function of dy.
//
// Random bits: the place's number, hashed twice by Wellons' lowbias32
// (https://github.com/skeeto/hash-prospector), each time with half of the key.
INLINE void dropout(const float *x, float *y, const int VECTORS, float p, uint64_t key, int chunk) {
    const float factor = 1 / (1 - p);
    const int32_t limit = (int32_t)(p * 8388608.0f);  // of 2^23
    uvec lane;
    UNROLL for (int i = 0; i < LANES; i++) lane[i] = i;
    for (int i = 0; i < VECTORS; i++) {
        uvec h = lane + ((uint32_t)chunk * VECTORS + i) * LANES;
        UNROLL for (int half = 0; half < 2; half++) {
            h ^= (uint32_t)(half ? key >> 32 : key);
            h ^= h >> 16;
            h *= 0x7feb352du;
            h ^= h >> 15;
            h *= 0x846ca68bu;
            h ^= h >> 16;
        }
        ivec is_kept = (ivec)(h >> 9) >= limit;
        store(y + i * LANES, choose(is_kept, load(x + i * LANES) * factor, splat(0)));
    }
}
