struct Arguments {
  const float* in0;
  float* out1;
  IndexFault* fault;
  int places;
};

// A thread for each 4 neighbouring places.
extern "C" __global__ void __launch_bounds__(256) mul_erf_add_mul_f32(const __grid_constant__ Arguments a) {
  const int place = blockIdx.x * blockDim.x + threadIdx.x;
  if (place >= a.places) return;
  const int i0 = 4 * place;
  follow();
  Pack<float, 4> to_out1_0;
  const Pack<float, 4> in0_0 = load<4>(a.in0 + i0);
  #pragma unroll
  for (int k = 0; k < 4; ++k) {
    const float mul_9 = (erff(in0_0[k] * 1.4142135f * 0.5f) + 1.0f) * (in0_0[k] * 0.5f);
    to_out1_0[k] = mul_9;
  }
  store(a.out1 + i0, to_out1_0);
}
// 16384 blocks of 256 threads
