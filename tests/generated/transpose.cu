struct Arguments {
  const float* in0;
  const float* in1;
  float* out2;
  IndexFault* fault;
  int tiles_across;
  int tiles_along;
  int n0;
  int n1;
  int s0_0;
  int s1_1;
  Divisor by_tiles_across;
  Divisor by_tiles_along;
};

// A block for 32 iterations of i1 and 8 of i0.
extern "C" __global__ void __launch_bounds__(256) add_f32(const __grid_constant__ Arguments a) {
  const int tile = blockIdx.x;
  const int rest1 = divided(tile, a.by_tiles_across);
  const int i1 = (tile - rest1 * a.tiles_across) * 32 + threadIdx.x % 32;
  const int rest0 = divided(rest1, a.by_tiles_along);
  const int i0 = (rest1 - rest0 * a.tiles_along) * 8 + threadIdx.x / 32;
  if (i1 >= a.n1 || i0 >= a.n0) return;
  const float in0_0 = a.in0[i0 * a.s0_0 + i1];
  const float in1_1 = a.in1[i0 + i1 * a.s1_1];
  a.out2[i0 * a.s0_0 + i1] = in0_0 + in1_1;
}
// 131072 blocks of 256 threads
