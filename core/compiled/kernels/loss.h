// The loss of a chunk's images and its gradient.
#pragma once
#include "vector.h"

enum { CLASSES = 10 };

// p = softmax(z / temperature), and ln p
INLINE void log_softmax(const vec *z, float temperature, vec *log_p, vec *p) {
    vec largest = z[0], total = splat(0);
    for (int k = 1; k < CLASSES; k++) largest = larger(z[k], largest);
    for (int k = 0; k < CLASSES; k++) {
        log_p[k] = (z[k] - largest) * (1 / temperature);
        p[k] = exp_vec(log_p[k]);
        total += p[k];
    }
    vec log_total = log_vec(total);
    for (int k = 0; k < CLASSES; k++) {
        log_p[k] -= log_total;
        p[k] /= total;
    }
}

// Cross-entropy with label smoothing s, of which a share q learns from a teacher's logits t:
//   loss = mean over images of (1 - q) ((1 - s) nll - s mean_k ln p_k)
//                              + q T^2 (-sum_k softmax(t / T)_k ln softmax(z / T)_k)
//   dz_k = ((1 - q) (p_k - (1 - s) [k = label] - s / 10)
//          + q T (softmax(z / T)_k - softmax(t / T)_k)) / batch
// with nll = -ln p_label (Szegedy et al. 2015, arXiv 1512.00567; Hinton, Vinyals and Dean 2015,
// arXiv 1503.02531).
//
// labels: (lanes); teacher: (lanes, 10), or 0; lanes: images of the chunk; batch: of the batch.
// dz: 0 in unused lanes; slot: sum of nll, number of images that are classified correctly.
INLINE void cross_entropy(const float *logits, const int64_t *labels, const float *teacher,
                          float *dlogits, float *slot, int lanes, int batch, float smoothing,
                          float share, float temperature) {
    vec z[CLASSES], log_p[CLASSES], p[CLASSES], dz[CLASSES];
    vec weight = splat(0), log_likelihood = splat(0);
    ivec label = {0}, best = {0};
    for (int lane = 0; lane < lanes; lane++) {
        label[lane] = labels[lane];
        weight[lane] = 1.0f / batch;
    }
    if (!teacher) share = 0;

    for (int k = 0; k < CLASSES; k++) z[k] = load(logits + k * LANES);
    log_softmax(z, 1, log_p, p);
    vec largest = z[0];
    for (int k = 0; k < CLASSES; k++) {
        ivec is_label = label == k, is_larger = z[k] > largest;
        log_likelihood += choose(is_label, log_p[k], splat(0));
        best = (is_larger & k) | (~is_larger & best);
        largest = choose(is_larger, z[k], largest);
        vec target = choose(is_label, splat(1 - smoothing), splat(0)) + smoothing / CLASSES;
        dz[k] = (1 - share) * (p[k] - target);
    }
    if (teacher) {
        vec t[CLASSES], log_soft[CLASSES], soft[CLASSES];
        for (int k = 0; k < CLASSES; k++) {
            t[k] = splat(0);
            for (int lane = 0; lane < lanes; lane++) t[k][lane] = teacher[lane * CLASSES + k];
        }
        log_softmax(t, temperature, log_soft, soft);
        log_softmax(z, temperature, log_p, p);
        for (int k = 0; k < CLASSES; k++) dz[k] += share * temperature * (p[k] - soft[k]);
    }
    // Unused lanes are selected, not multiplied by 0, which would keep NaN.
    for (int k = 0; k < CLASSES; k++)
        store(dlogits + k * LANES, choose(weight > 0, dz[k] * weight, splat(0)));
    float nll = 0, correct = 0;
    for (int lane = 0; lane < lanes; lane++) {
        nll -= log_likelihood[lane];
        correct += best[lane] == label[lane];
    }
    slot[0] = nll;
    slot[1] = correct;
}
