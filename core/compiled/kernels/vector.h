// Vectors of LANES images, and elementary functions of them.
//
// Every array of activations or gradients is [chunk][channel][pixel] of vectors: a vector holds one
// value of LANES images.
#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif

// Vectors that the processor holds in registers.
#if defined(__AVX512F__) || defined(__aarch64__)
#define REGISTERS 32
#else
#define REGISTERS 16
#endif

#define INLINE static inline __attribute__((always_inline))

// Before a loop: unroll it wholly, so that arrays indexed by its variable become registers; or not.
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#define ROLLED _Pragma("clang loop unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 64")
#define ROLLED _Pragma("GCC unroll 1")
#endif

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4 * LANES), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), aligned(4 * LANES), may_alias));

// Fixes the order of a loop for the compiler: `sum` is complete here, and memory is read anew after
// it. Left alone, compilers read ahead until sums no longer fit into the registers.
#if defined(__x86_64__)
#define IN_ORDER(sum) __asm__ volatile("" : "+v"(sum) : : "memory")
#elif defined(__aarch64__)
#define IN_ORDER(sum) __asm__ volatile("" : "+w"(sum) : : "memory")
#else
#define IN_ORDER(sum)
#endif

INLINE vec load(const float *x) { return *(const vec *)x; }
INLINE void store(float *x, vec v) { *(vec *)x = v; }
INLINE vec splat(float v) { return v - (vec){0}; }

// Where a comparison's mask is set, `yes`, otherwise `no`.
INLINE vec choose(ivec mask, vec yes, vec no) {
    return (vec)((mask & (ivec)yes) | (~mask & (ivec)no));
}

// The larger value; NaN if either is NaN.
INLINE vec larger(vec a, vec b) { return choose((a > b) | (a != a), a, b); }

// Sum of the lanes, always in the same order.
INLINE float sum_lanes(vec v) {
    float total[LANES];
    __builtin_memcpy(total, &v, sizeof total);
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; i++) total[i] += total[i + width];
    return total[0];
}

// exp(x) = 2^n exp(r) with n = round(x / ln 2) and |r| <= ln 2 / 2; exp(r) by its Taylor series.
// Relative error below 2e-7; NaN stays NaN; x is held within +-87.
INLINE vec exp_vec(vec x) {
    x = choose(x > 87.0f, splat(87.0f), x);
    x = choose(x < -87.0f, splat(-87.0f), x);
    const float shift = 12582912.0f;  // adding it rounds to an integer
    vec n = (x * 1.44269504f + shift) - shift;
    vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
    vec p = splat(1.0f / 5040);
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    ivec power = (__builtin_convertvector(choose(n == n, n, splat(0)), ivec) + 127) << 23;
    return p * (vec)power;
}

// log(x) = e ln 2 + log(m) with x = 2^e m and m in [0.7, 1.4]; log(m) = 2 atanh((m - 1) / (m + 1)).
// For positive normal x; NaN stays NaN.
INLINE vec log_vec(vec x) {
    ivec bits = (ivec)x;
    ivec exponent = ((bits - 0x3f3504f3) >> 23);  // 0x3f3504f3: sqrt(1/2)
    vec m = (vec)(bits - (exponent << 23));
    vec t = (m - 1.0f) / (m + 1.0f), square = t * t;
    vec p = splat(2.0f / 9);
    p = p * square + 2.0f / 7;
    p = p * square + 2.0f / 5;
    p = p * square + 2.0f / 3;
    p = p * square + 2.0f;
    vec result = __builtin_convertvector(exponent, vec) * 0.693147181f + p * t;
    return choose(x == x, result, x);
}

