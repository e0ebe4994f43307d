// Activation functions and their derivatives.
#pragma once
#include "vector.h"

enum { NONE, RELU, SILU, GELU };

// erf(x) by Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26; error below 2e-7.
INLINE vec erf_vec(vec x) {
    vec size = choose(x < 0, -x, x);
    vec t = 1.0f / (1.0f + 0.3275911f * size);
    vec p = ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t +
             0.254829592f) * t;
    vec value = 1.0f - p * exp_vec(-size * size);
    return choose(x < 0, -value, value);
}

INLINE vec sigmoid_vec(vec x) { return 1.0f / (1.0f + exp_vec(-x)); }

INLINE vec activate(vec x, const int ACTIVATION) {
    if (ACTIVATION == RELU) return larger(x, splat(0));
    if (ACTIVATION == SILU) return x * sigmoid_vec(x);
    if (ACTIVATION == GELU) return 0.5f * x * (1.0f + erf_vec(x * 0.707106781f));
    return x;
}

// dy times the derivative at x, the value before the activation.
INLINE vec activation_slope(vec x, vec dy, const int ACTIVATION) {
    if (ACTIVATION == RELU) return choose(x > 0, dy, splat(0));
    if (ACTIVATION == SILU) {
        vec s = sigmoid_vec(x);
        return dy * (s * (1.0f + x * (1.0f - s)));
    }
    if (ACTIVATION == GELU) {  // Phi(x) + x phi(x)
        vec density = 0.398942280f * exp_vec(-0.5f * x * x);
        return dy * (0.5f * (1.0f + erf_vec(x * 0.707106781f)) + x * density);
    }
    return dy;
}

INLINE void activation_apply(const float *x, float *y, const int VECTORS, const int ACTIVATION) {
    for (int i = 0; i < VECTORS; i++)
        store(y + i * LANES, activate(load(x + i * LANES), ACTIVATION));
}

INLINE void activation_gradient(const float *x, const float *dy, float *dx, const int VECTORS,
                                const int ACTIVATION) {
    for (int i = 0; i < VECTORS; i++)
        store(dx + i * LANES,
              activation_slope(load(x + i * LANES), load(dy + i * LANES), ACTIVATION));
}
