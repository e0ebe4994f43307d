// Optimizers, gradient clipping and weight averaging, as core.training.optimizers describes them.
#pragma once
#include "vector.h"

enum { SGD, MUON, ADAM, ADAMW };

struct Parameter {
    float *value, *first, *second;  // weights; momentum; Adam's second moment
    float *count;  // Adam: number of steps. Muon: the norm that the weights keep
    int64_t gradient;  // its first number in the arena's gradients and updates
    int32_t size;
    int32_t matrices, rows, columns;  // of an orthogonalised update; matrices is 0 for others
    float weight_decay;
};

struct Averaged {
    const float *value;
    float *average;
    int64_t size;
};

struct Rule {
    int32_t optimizer, nesterov;
    float lr, momentum;  // Adam: beta1
    float beta2, epsilon, correction1, correction2;  // Adam: 1 - beta1^t, 1 - beta2^t
    float update_size;  // Muon: norm of an update relative to the weights, of the learning rate
    float clip_norm;  // 0: no clipping
    float average_weight;  // of the present weights in the average
};

typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias));  // any address

INLINE float dot(const float *a, const float *b, int size) {
    vec total = splat(0);
    int i = 0;
    for (; i + LANES <= size; i += LANES) total += *(const loose *)(a + i) * *(const loose *)(b + i);
    float sum = sum_lanes(total);
    for (; i < size; i++) sum += a[i] * b[i];
    return sum;
}

// Factor that scales the gradient down to clip_norm (torch.nn.utils.clip_grad_norm_).
INLINE float clip_factor(const float *gradients, int64_t size, float clip_norm) {
    double total = 0;
    for (int64_t i = 0; i < size; i++) total += (double)gradients[i] * gradients[i];
    float factor = clip_norm / ((float)__builtin_sqrt(total) + 1e-6f);
    return factor > 1.0f ? 1.0f : factor;
}

// x = nearest semi-orthogonal matrix of x (rows <= columns), approximately, by five Newton-Schulz
// iterations x <- a x + (b x x^T + c (x x^T)^2) x (core.training.muon). scratch: rows * (2 * rows +
// columns) floats.
static __attribute__((noinline)) void orthogonalise(float *x, int rows, int columns,
                                                    float *scratch) {
    float *square = scratch, *mix = square + (size_t)rows * rows;
    float *next = mix + (size_t)rows * rows;
    int64_t size = (int64_t)rows * columns;
    float factor = 1.0f / (__builtin_sqrtf(dot(x, x, size)) + 1e-7f);
    for (int64_t i = 0; i < size; i++) x[i] *= factor;
    for (int iteration = 0; iteration < 5; iteration++) {
        for (int i = 0; i < rows; i++)
            for (int j = 0; j <= i; j++)
                square[i * rows + j] = square[j * rows + i] =
                    dot(x + (size_t)i * columns, x + (size_t)j * columns, columns);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j <= i; j++)
                mix[i * rows + j] = mix[j * rows + i] =
                    2.0315f * dot(square + i * rows, square + j * rows, rows) -
                    4.7750f * square[i * rows + j];
        for (int i = 0; i < rows; i++) {
            float *target = next + (size_t)i * columns;
            for (int j = 0; j < columns; j++) target[j] = 3.4445f * x[(size_t)i * columns + j];
            for (int k = 0; k < rows; k++) {
                float weight = mix[i * rows + k];
                const float *source = x + (size_t)k * columns;
                for (int j = 0; j < columns; j++) target[j] += weight * source[j];
            }
        }
        for (int64_t i = 0; i < size; i++) x[i] = next[i];
    }
}

// The orthogonalised update of Muon, in `update`; the momentum itself changes later. scratch: at
// least size + 2 * min(rows, columns)^2 floats, plus size.
INLINE void muon_update(const struct Parameter *p, const struct Rule *rule, float clip,
                        const float *gradient, float *update, float *scratch) {
    int tall = p->rows > p->columns;
    int rows = tall ? p->columns : p->rows, columns = tall ? p->rows : p->columns;
    int size = p->rows * p->columns;
    float *x = scratch, *rest = scratch + size;
    for (int m = 0; m < p->matrices; m++)  {
        for (int i = 0; i < size; i++) {
            float g = clip * gradient[m * size + i];
            float momentum = rule->momentum * p->first[m * size + i] + g;
            int target = tall ? i % p->columns * p->rows + i / p->columns : i;
            x[target] = g + rule->momentum * momentum;
        }
        orthogonalise(x, rows, columns, rest);
        for (int i = 0; i < size; i++)
            update[m * size + i] = x[tall ? i % p->columns * p->rows + i / p->columns : i];
    }
}

INLINE void update_parameter(const struct Parameter *p, const struct Rule *rule, float clip,
                             const float *gradient, const float *update) {
    float lr = rule->lr, momentum = rule->momentum, decay = p->weight_decay;
    float *w = p->value, *first = p->first, *second = p->second;
    if (rule->optimizer == MUON && p->matrices) {
        int smaller = p->rows < p->columns ? p->rows : p->columns;
        float norm = *p->count, present = __builtin_sqrtf(dot(w, w, p->size));
        float rescale = norm / (present > 1e-12f ? present : 1e-12f);
        // A semi-orthogonal (R, C) matrix has the norm sqrt(min(R, C)).
        float unit = 1.0f / __builtin_sqrtf((float)(smaller * p->matrices));
        float length = rule->update_size * lr * norm * unit;
        for (int i = 0; i < p->size; i++) {
            first[i] = momentum * first[i] + clip * gradient[i];
            w[i] = w[i] * rescale - length * update[i];
        }
    } else if (rule->optimizer == SGD || rule->optimizer == MUON) {
        int nesterov = rule->optimizer == MUON || rule->nesterov;
        for (int i = 0; i < p->size; i++) {
            float g = clip * gradient[i] + decay * w[i];
            if (first) {
                first[i] = momentum * first[i] + g;
                g = nesterov ? g + momentum * first[i] : first[i];
            }
            w[i] -= lr * g;
        }
    } else {
        float size = lr / rule->correction1, root = __builtin_sqrtf(rule->correction2);
        int decoupled = rule->optimizer == ADAMW;
        for (int i = 0; i < p->size; i++) {
            float g = clip * gradient[i] + (decoupled ? 0 : decay * w[i]);
            float value = decoupled ? w[i] * (1 - lr * decay) : w[i];
            first[i] += (1 - momentum) * (g - first[i]);
            second[i] = rule->beta2 * second[i] + (1 - rule->beta2) * g * g;
            w[i] = value - size * first[i] / (__builtin_sqrtf(second[i]) / root + rule->epsilon);
        }
        *p->count += 1;
    }
}

INLINE void update_average(const struct Averaged *a, float weight) {
    for (int64_t i = 0; i < a->size; i++) a->average[i] += weight * (a->value[i] - a->average[i]);
}
