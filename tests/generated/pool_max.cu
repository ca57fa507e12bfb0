struct Arguments {
  const float* in0;
  float* out1;
  IndexFault* fault;
  int places;
  int m2;
  int n1;
  int s0_0;
  int s0_1;
  int s0_3;
  int s0_4;
  int s1_0;
  int s1_1;
  Divisor by_m2;
  Divisor by_n1;
};

// A thread for each 4 neighbouring places.
extern "C" __global__ void __launch_bounds__(256) pool_max_f32(const __grid_constant__ Arguments a) {
  const int place = blockIdx.x * blockDim.x + threadIdx.x;
  if (place >= a.places) return;
  const int rest2 = divided(place, a.by_m2);
  const int i2 = 4 * (place - rest2 * a.m2);
  const int rest1 = divided(rest2, a.by_n1);
  const int i1 = rest2 - rest1 * a.n1;
  const int i0 = rest1;
  follow();
  float max_0[4] = {-infinity_f32(), -infinity_f32(), -infinity_f32(), -infinity_f32()};
  #pragma unroll
  for (int i3 = 0; i3 < 2; ++i3) {
    #pragma unroll
    for (int i4 = 0; i4 < 2; ++i4) {
      const Pack<float, 4> in0_0 = load<4>(a.in0 + i0 * a.s0_0 + i1 * a.s0_1 + i2 + i3 * a.s0_3 + i4 * a.s0_4);
      #pragma unroll
      for (int k = 0; k < 4; ++k) {
        max_0[k] = maximum(max_0[k], in0_0[k]);
      }
    }
  }
  Pack<float, 4> to_out1_0;
  #pragma unroll
  for (int k = 0; k < 4; ++k) {
    to_out1_0[k] = max_0[k];
  }
  store(a.out1 + i0 * a.s1_0 + i1 * a.s1_1 + i2, to_out1_0);
}
// 392 blocks of 256 threads
