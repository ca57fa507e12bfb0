struct Arguments {
  const float* in0;
  const float* in1;
  float* out2;
  IndexFault* fault;
  int tiles_across;
  int tiles_along;
  int n1;
  int n0;
  int s0_1;
  int s1_0;
  Divisor by_tiles_across;
  Divisor by_tiles_along;
};

// A block for a square of 32 iterations of i1 and of i0, 256 at a time.
extern "C" __global__ void __launch_bounds__(256) add_f32(const __grid_constant__ Arguments a) {
  const int tile = blockIdx.x;
  const int rest1 = divided(tile, a.by_tiles_across);
  const int begin1 = (tile - rest1 * a.tiles_across) * 32;
  const int rest0 = divided(rest1, a.by_tiles_along);
  const int begin0 = (rest1 - rest0 * a.tiles_along) * 32;
  follow();
  __shared__ float tile_1[32][33];
  const int lane = threadIdx.x % 32;
  #pragma unroll
  for (int step = 0; step < 4; ++step) {
    const int line = step * 8 + threadIdx.x / 32;
    const int i1 = min(begin1 + line, a.n1 - 1);
    const int i0 = min(begin0 + lane, a.n0 - 1);
    tile_1[line][lane] = a.in1[i0 + i1 * a.s0_1];
  }
  __syncthreads();
  #pragma unroll
  for (int step = 0; step < 4; ++step) {
    const int line = step * 8 + threadIdx.x / 32;
    const int i1 = begin1 + lane, i0 = begin0 + line;
    if (i1 < a.n1 && i0 < a.n0) {
      const float in0_0 = a.in0[i0 * a.s1_0 + i1];
      a.out2[i0 * a.s1_0 + i1] = in0_0 + tile_1[lane][line];
    }
  }
}
// 32768 blocks of 256 threads
