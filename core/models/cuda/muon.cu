// A step of Muon on all parameters, one block per tensor.
//
// Blocks below `hidden` update weights by an orthogonalised momentum, the others as SGD with
// Nesterov momentum does. `core.training.muon` says what is computed.
//
//   ROWS, CELLS   the most rows of a matrix (the smaller side), and its most elements
//   THREADS       threads of a block, a power of two

extern __shared__ float4 shared4[];

// Return the sum of `value` over a block.
__device__ float sum_block(float value, float* scratch) {
  __syncthreads();
  scratch[threadIdx.x] = value;
  __syncthreads();
  for (int half = THREADS / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) scratch[threadIdx.x] += scratch[threadIdx.x + half];
    __syncthreads();
  }
  return scratch[0];
}

extern "C" __global__ void muon(
    const float* gradients, const long long* weights, const long long* momenta, const int* sizes,
    const int* offsets, const int* all_rows, const int* all_columns, const float* norms,
    const float* update_norms, const float* decays, const float* lr_at, const float* momentum_at,
    int hidden) {
  float* x = (float*)shared4;            // (rows, columns)
  float* next = x + CELLS;
  float* square = next + CELLS;          // (rows, rows)
  float* polynomial = square + ROWS * ROWS;
  float* scratch = polynomial + ROWS * ROWS;  // [THREADS]
  int tensor = blockIdx.x, size = sizes[tensor];
  float* weight = (float*)weights[tensor];
  float* buffer = (float*)momenta[tensor];
  const float* gradient = gradients + offsets[tensor];
  float lr = *lr_at, momentum = *momentum_at;

  if (tensor >= hidden) {
    float decay = decays[tensor];
    for (int at = threadIdx.x; at < size; at += THREADS) {
      float g = gradient[at] + decay * weight[at];
      float m = momentum * buffer[at] + g;
      buffer[at] = m;
      weight[at] -= lr * (g + momentum * m);
    }
    return;
  }

  int rows = all_rows[tensor], columns = all_columns[tensor];
  bool is_tall = rows > columns;  // then its transpose is orthogonalised
  int width = columns;
  if (is_tall) {
    columns = rows;
    rows = width;
  }
  float own = 0.0f, total = 0.0f;
  for (int at = threadIdx.x; at < size; at += THREADS) {
    float g = gradient[at], m = momentum * buffer[at] + g, update = g + momentum * m;
    buffer[at] = m;
    x[is_tall ? at % width * columns + at / width : at] = update;
    total += update * update;
    own += weight[at] * weight[at];
  }
  float scale = 1.0f / (sqrtf(sum_block(total, scratch)) + 1e-7f);
  float norm = sqrtf(sum_block(own, scratch));
  for (int at = threadIdx.x; at < size; at += THREADS) x[at] *= scale;
  __syncthreads();
  for (int iteration = 0; iteration < 5; iteration++) {
    for (int at = threadIdx.x; at < rows * rows; at += THREADS) {
      const float *first = x + at / rows * columns, *second = x + at % rows * columns;
      float sum = 0.0f;
      for (int column = 0; column < columns; column++) sum = fmaf(first[column], second[column], sum);
      square[at] = sum;
    }
    __syncthreads();
    for (int at = threadIdx.x; at < rows * rows; at += THREADS) {
      float sum = 0.0f;
      for (int k = 0; k < rows; k++)
        sum = fmaf(square[at / rows * rows + k], square[k * rows + at % rows], sum);
      polynomial[at] = 2.0315f * sum - 4.7750f * square[at];
    }
    __syncthreads();
    for (int at = threadIdx.x; at < size; at += THREADS) {
      const float *row = polynomial + at / columns * rows, *column = x + at % columns;
      float sum = 0.0f;
      for (int k = 0; k < rows; k++) sum = fmaf(row[k], column[k * columns], sum);
      next[at] = 3.4445f * x[at] + sum;
    }
    __syncthreads();
    float* other = x;
    x = next;
    next = other;
  }
  float rescale = norms[tensor] / fmaxf(norm, 1e-12f), length = lr * update_norms[tensor];
  for (int at = threadIdx.x; at < size; at += THREADS) {
    float direction = x[is_tall ? at % width * columns + at / width : at];
    weight[at] = weight[at] * rescale - direction * length;
  }
}
