// A 3x3 convolution of stride 1 with batch norm and an optional ReLU, forward and backward, for few
// channels and small images in float32. All tensors are contiguous (N, C, H, W).
//
// Compiled once per layer shape, with these sizes as constants:
//   CI, CO    channels of the input and the output
//   H, W      size of the input
//   PAD       zero padding, 0 or 1
//   RELU      whether a ReLU follows
//   THREADS         threads of a block
//
// A convolution has one block per image, which holds the image in shared memory. Sums are formed in
// a fixed order, so that a run can be repeated bit for bit.

#define OH (H + 2 * PAD - 2)
#define OW (W + 2 * PAD - 2)
#define XH (H + 2 * PAD)                // the padded input
#define XW (W + 2 * PAD)
#define GH (H + 2)                      // the output's gradient with all its neighbours
#define GW (W + 2)
#define Q (2 - PAD)
#define X_PLANE ((XH * XW) | 1)         // odd, so that planes start in different banks
#define G_PLANE ((GH * GW) | 1)
#define CI4 ((CI + 3) / 4)              // groups of four channels
#define CO4 ((CO + 3) / 4)

extern __shared__ float4 shared4[];

// The largest power of two up to n.
__device__ constexpr int power_of_two(int n) {
  int power = 1;
  while (2 * power <= n) power *= 2;
  return power;
}

// Sum `values` over the slots of a block; the result is in slot 0. `slots` is a power of two.
__device__ void sum_slots(float4* values, int slot, int slots, int stride) {
  __syncthreads();
  for (int half = slots / 2; half > 0; half /= 2) {
    if (slot < half) {
      float4 other = values[half * stride];
      values[0].x += other.x;
      values[0].y += other.y;
      values[0].z += other.z;
      values[0].w += other.w;
    }
    __syncthreads();
  }
}

__device__ void load_input(const float* x, float* tile) {
#pragma unroll 1
  for (int at = threadIdx.x; at < CI * XH * XW; at += THREADS) {
    int channel = at / (XH * XW), place = at % (XH * XW);
    int line = place / XW - PAD, column = place % XW - PAD;
    bool inside = line >= 0 && line < H && column >= 0 && column < W;
    tile[channel * X_PLANE + place] =
        inside ? x[(channel * H + line) * W + column] : 0.0f;
  }
}

// y = convolution of x; partial[image][channel] = (sum, sum of squared distances from the mean).
extern "C" __global__ void conv_forward(
    const float* x, const float* weight, float* y, float2* partial) {
  constexpr int SLOTS = power_of_two(THREADS / CO4), PIXELS = OH * OW;
  float4* weights = shared4;                          // [CI][9][CO4]
  float4* sums = weights + CI * 9 * CO4;              // [SLOTS][CO4]
  float* tile = (float*)(sums + SLOTS * CO4);         // [CI] planes
  int image = blockIdx.x;
  load_input(x + image * CI * H * W, tile);
#pragma unroll 1
  for (int at = threadIdx.x; at < CI * 9 * CO4 * 4; at += THREADS) {
    int channel = at % (CO4 * 4), tap = at / (CO4 * 4) % 9, input = at / (CO4 * 4 * 9);
    ((float*)weights)[at] = channel < CO ? weight[(channel * CI + input) * 9 + tap] : 0.0f;
  }
  __syncthreads();

  int group = threadIdx.x % CO4, slot = threadIdx.x / CO4;
  bool works = slot < SLOTS;
  float4 total = {0.0f, 0.0f, 0.0f, 0.0f};
  float* out = y + (image * CO + group * 4) * PIXELS;
#pragma unroll 1
  for (int pixel = slot; works && pixel < PIXELS; pixel += SLOTS) {
    const float* corner = tile + pixel / OW * XW + pixel % OW;
    float4 sum = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 2
    for (int input = 0; input < CI; input++) {
#pragma unroll
      for (int tap = 0; tap < 9; tap++) {
        float value = corner[input * X_PLANE + tap / 3 * XW + tap % 3];
        float4 w = weights[(input * 9 + tap) * CO4 + group];
        sum.x = fmaf(value, w.x, sum.x);
        sum.y = fmaf(value, w.y, sum.y);
        sum.z = fmaf(value, w.z, sum.z);
        sum.w = fmaf(value, w.w, sum.w);
      }
    }
    out[pixel] = sum.x;
    if (group * 4 + 1 < CO) out[PIXELS + pixel] = sum.y;
    if (group * 4 + 2 < CO) out[2 * PIXELS + pixel] = sum.z;
    if (group * 4 + 3 < CO) out[3 * PIXELS + pixel] = sum.w;
    total.x += sum.x;
    total.y += sum.y;
    total.z += sum.z;
    total.w += sum.w;
  }
  if (works) sums[slot * CO4 + group] = total;
  sum_slots(sums + threadIdx.x, works ? slot : SLOTS, SLOTS, CO4);
  total = sums[group];
  __syncthreads();
  float4 squares = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 1
  for (int pixel = slot; works && pixel < PIXELS; pixel += SLOTS) {
    float d = out[pixel] - total.x / PIXELS;
    squares.x += d * d;
    if (group * 4 + 1 < CO) {
      d = out[PIXELS + pixel] - total.y / PIXELS;
      squares.y += d * d;
    }
    if (group * 4 + 2 < CO) {
      d = out[2 * PIXELS + pixel] - total.z / PIXELS;
      squares.z += d * d;
    }
    if (group * 4 + 3 < CO) {
      d = out[3 * PIXELS + pixel] - total.w / PIXELS;
      squares.w += d * d;
    }
  }
  if (works) sums[slot * CO4 + group] = squares;
  sum_slots(sums + threadIdx.x, works ? slot : SLOTS, SLOTS, CO4);
  if (slot == 0) {
    squares = sums[group];
    float2* target = partial + image * CO + group * 4;
    target[0] = {total.x, squares.x};
    if (group * 4 + 1 < CO) target[1] = {total.y, squares.y};
    if (group * 4 + 2 < CO) target[2] = {total.z, squares.z};
    if (group * 4 + 3 < CO) target[3] = {total.w, squares.w};
  }
}

// z = ReLU(norm(y)) of one channel and some images; grid (CO, parts). Block (c, 0) keeps the
// channel's mean and 1 / standard deviation in `saved` (2, CO), and updates the running statistics.
extern "C" __global__ void norm_forward(
    const float* y, const float2* partial, const float* bias, const float* gamma, const float* beta,
    float* running_mean, float* running_var, long long* batches, float* saved, float* z, int images,
    float eps, float momentum) {
  constexpr int PIXELS = OH * OW, SLOTS = power_of_two(THREADS);
  __shared__ float4 sums[SLOTS];
  int channel = blockIdx.x, slot = threadIdx.x;
  float count = (float)PIXELS * images;
  float4 total = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 1
  for (int image = slot; image < images; image += THREADS) total.x += partial[image * CO + channel].x;
  sums[slot] = total;
  sum_slots(sums + slot, slot, SLOTS, 1);
  float mean = sums[0].x / count;
  __syncthreads();
  total = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 1
  for (int image = slot; image < images; image += THREADS) {
    float2 own = partial[image * CO + channel];
    float d = own.x / PIXELS - mean;
    total.x += own.y + PIXELS * d * d;
  }
  sums[slot] = total;
  sum_slots(sums + slot, slot, SLOTS, 1);
  float variance = sums[0].x / count;
  float scale = 1.0f / sqrtf(variance + eps);
  if (slot == 0 && blockIdx.y == 0) {
    saved[channel] = mean;
    saved[CO + channel] = scale;
    float shifted = mean + (bias ? bias[channel] : 0.0f);
    running_mean[channel] += momentum * (shifted - running_mean[channel]);
    float unbiased = variance * (count / (count - 1.0f));
    running_var[channel] += momentum * (unbiased - running_var[channel]);
    if (channel == 0) *batches += 1;
  }
  float factor = gamma[channel], summand = beta[channel];
  int first = blockIdx.y * images / gridDim.y, last = (blockIdx.y + 1) * images / gridDim.y;
#pragma unroll 1
  for (int at = slot; at < (last - first) * PIXELS; at += THREADS) {
    int place = ((first + at / PIXELS) * CO + channel) * PIXELS + at % PIXELS;
    float value = fmaf((y[place] - mean) * scale, factor, summand);
    z[place] = RELU ? fmaxf(value, 0.0f) : value;
  }
}

// partial[part][channel] = sums of g and of g times the normalised y, where g is the gradient
// before the ReLU; grid (CO, parts).
extern "C" __global__ void norm_backward(
    const float* dz, const float* y, const float* saved, const float* gamma, const float* beta,
    float2* partial, int images) {
  constexpr int PIXELS = OH * OW, SLOTS = power_of_two(THREADS);
  __shared__ float4 sums[SLOTS];
  int channel = blockIdx.x, slot = threadIdx.x;
  float mean = saved[channel], scale = saved[CO + channel];
  float factor = gamma[channel], summand = beta[channel];
  int first = blockIdx.y * images / gridDim.y, last = (blockIdx.y + 1) * images / gridDim.y;
  float4 total = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 1
  for (int at = slot; at < (last - first) * PIXELS; at += THREADS) {
    int place = ((first + at / PIXELS) * CO + channel) * PIXELS + at % PIXELS;
    float normal = (y[place] - mean) * scale, g = dz[place];
    if (RELU && !(fmaf(normal, factor, summand) > 0.0f)) g = 0.0f;
    total.x += g;
    total.y = fmaf(g, normal, total.y);
  }
  sums[slot] = total;
  sum_slots(sums + slot, slot, SLOTS, 1);
  if (slot == 0) partial[blockIdx.y * CO + channel] = {sums[0].x, sums[0].y};
}

// Gradients of the norm's and the convolution's parameters and of x (not if dx is null). The
// weights' gradient is left as one part per image, partial_dw[image][CO][CI][9].
extern "C" __global__ void conv_backward(
    const float* dz, const float* y, const float* x, const float* weight, const float* saved,
    const float* gamma, const float* beta, const float2* partial, int parts, float* dgamma,
    float* dbeta, float* partial_dw, float* dx, int images) {
  constexpr int PIXELS = OH * OW, PAIRS = CO * CI;
  constexpr int FIT = THREADS / PAIRS < 1 ? 1 : THREADS / PAIRS, SLICES = FIT < OH ? FIT : OH;
  float4* weights = shared4;                         // [CO][9][CI4]
  float* gradient = (float*)(weights + CO * 9 * CI4);  // [CO] planes
  float* tile = gradient + CO * G_PLANE;             // [CI] planes
  float* sums = tile + CI * X_PLANE;                 // [SLICES][PAIRS][9]
  __shared__ float means[2][CO];
  int image = blockIdx.x;
  float count = (float)PIXELS * images;
  for (int channel = threadIdx.x; channel < CO; channel += THREADS) {
    float sum = 0.0f, product = 0.0f;
#pragma unroll 8
    for (int part = 0; part < parts; part++) {
      float2 own = partial[part * CO + channel];
      sum += own.x;
      product += own.y;
    }
    means[0][channel] = sum / count;
    means[1][channel] = product / count;
    if (image == 0) {
      dbeta[channel] = sum;
      dgamma[channel] = product;
    }
  }
  load_input(x + image * CI * H * W, tile);
#pragma unroll 1
  for (int at = threadIdx.x; at < CO * 9 * CI4 * 4; at += THREADS) {
    int input = at % (CI4 * 4), tap = at / (CI4 * 4) % 9, channel = at / (CI4 * 4 * 9);
    ((float*)weights)[at] = input < CI ? weight[(channel * CI + input) * 9 + tap] : 0.0f;
  }
  __syncthreads();
#pragma unroll 1
  for (int at = threadIdx.x; at < CO * GH * GW; at += THREADS) {
    int channel = at / (GH * GW), place = at % (GH * GW);
    int line = place / GW - Q, column = place % GW - Q;
    float g = 0.0f;
    if (line >= 0 && line < OH && column >= 0 && column < OW) {
      int source = ((image * CO + channel) * OH + line) * OW + column;
      float scale = saved[CO + channel], factor = gamma[channel];
      float normal = (y[source] - saved[channel]) * scale;
      g = dz[source];
      if (RELU && !(fmaf(normal, factor, beta[channel]) > 0.0f)) g = 0.0f;
      g = factor * scale * (g - means[0][channel] - normal * means[1][channel]);
    }
    gradient[channel * G_PLANE + place] = g;
  }
  __syncthreads();

  if (dx) {
#pragma unroll 1
    for (int at = threadIdx.x; at < CI4 * H * W; at += THREADS) {
      int group = at % CI4, pixel = at / CI4;
      const float* corner = gradient + pixel / W * GW + pixel % W;
      float4 sum = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 2
      for (int channel = 0; channel < CO; channel++) {
#pragma unroll
        for (int tap = 0; tap < 9; tap++) {
          float value = corner[channel * G_PLANE + (2 - tap / 3) * GW + 2 - tap % 3];
          float4 w = weights[(channel * 9 + tap) * CI4 + group];
          sum.x = fmaf(value, w.x, sum.x);
          sum.y = fmaf(value, w.y, sum.y);
          sum.z = fmaf(value, w.z, sum.z);
          sum.w = fmaf(value, w.w, sum.w);
        }
      }
      float* out = dx + (image * CI + group * 4) * H * W + pixel;
      out[0] = sum.x;
      if (group * 4 + 1 < CI) out[H * W] = sum.y;
      if (group * 4 + 2 < CI) out[2 * H * W] = sum.z;
      if (group * 4 + 3 < CI) out[3 * H * W] = sum.w;
    }
  }

#pragma unroll 1
  for (int at = threadIdx.x; at < PAIRS * SLICES; at += THREADS) {
    int pair = at % PAIRS, slice = at / PAIRS;
    const float* g = gradient + pair / CI * G_PLANE + Q * GW + Q;
    const float* source = tile + pair % CI * X_PLANE;
    float sum[9] = {0.0f};
#pragma unroll 1
    for (int line = slice; line < OH; line += SLICES) {
      const float* row = source + line * XW;
      float window[3][3];
#pragma unroll
      for (int k = 0; k < 3; k++) {
        window[k][1] = row[k * XW];
        window[k][2] = row[k * XW + 1];
      }
#pragma unroll 2
      for (int column = 0; column < OW; column++) {
        float value = g[line * GW + column];
#pragma unroll
        for (int k = 0; k < 3; k++) {
          window[k][0] = window[k][1];
          window[k][1] = window[k][2];
          window[k][2] = row[k * XW + column + 2];
#pragma unroll
          for (int l = 0; l < 3; l++) sum[k * 3 + l] = fmaf(value, window[k][l], sum[k * 3 + l]);
        }
      }
    }
#pragma unroll
    for (int tap = 0; tap < 9; tap++) sums[(slice * PAIRS + pair) * 9 + tap] = sum[tap];
  }
  __syncthreads();
#pragma unroll 1
  for (int at = threadIdx.x; at < PAIRS * 9; at += THREADS) {
    float sum = 0.0f;
#pragma unroll 1
    for (int slice = 0; slice < SLICES; slice++) sum += sums[slice * PAIRS * 9 + at];
    partial_dw[image * PAIRS * 9 + at] = sum;
  }
}

// dw = sum of the parts; THREADS / 8 weights per block.
extern "C" __global__ void sum_weights(const float* partial_dw, float* dw, int images) {
  constexpr int COUNT = CO * CI * 9, OWN = THREADS / 8;
  __shared__ float sums[8][OWN];
  int own = threadIdx.x % OWN, slice = threadIdx.x / OWN, at = blockIdx.x * OWN + own;
  float sum = 0.0f;
  if (at < COUNT) {
#pragma unroll 4
    for (int image = slice; image < images; image += 8) sum += partial_dw[image * COUNT + at];
  }
  sums[slice][own] = sum;
  __syncthreads();
  if (slice == 0 && at < COUNT) {
    for (int other = 1; other < 8; other++) sum += sums[other][own];
    dw[at] = sum;
  }
}
