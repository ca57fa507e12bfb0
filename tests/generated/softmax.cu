struct Arguments {
  const float* in0;
  float* out1;
  IndexFault* fault;
  int n1;
  int s0_0;
};

// A team of 512 threads for each place, each with 16 elements of the row.
extern "C" __global__ void __launch_bounds__(512) max_sub_exp_sum_div_f32(const __grid_constant__ Arguments a) {
  const int thread = threadIdx.x;
  const int place = blockIdx.x;
  const int i0 = place;
  follow();
  unsigned turn = 0;
  Pack<float, 4> in0_0[4];
  float exp_3[4][4];
  float max_0 = -infinity_f32();
  #pragma unroll
  for (int v = 0; v < 4; ++v) {
    const int i1 = 4 * (v * 512 + thread);
    if (i1 < a.n1) {
      in0_0[v] = load<4>(a.in0 + i0 * a.s0_0 + i1);
      #pragma unroll
      for (int k = 0; k < 4; ++k) {
        max_0 = maximum(max_0, in0_0[v][k]);
      }
    }
  }
  across<512>(turn, Maximum(), max_0);
  double sum_1 = 0;
  #pragma unroll
  for (int v = 0; v < 4; ++v) {
    const int i1 = 4 * (v * 512 + thread);
    if (i1 < a.n1) {
      float part_1 = 0;
      #pragma unroll
      for (int k = 0; k < 4; ++k) {
        exp_3[v][k] = expf(in0_0[v][k] - max_0);
        part_1 += exp_3[v][k];
      }
      sum_1 += part_1;
    }
  }
  across<512>(turn, Plus(), sum_1);
  const float cast_5 = float(sum_1);
  const float reciprocal_5 = reciprocal(cast_5);
  #pragma unroll
  for (int v = 0; v < 4; ++v) {
    const int i1 = 4 * (v * 512 + thread);
    if (i1 < a.n1) {
      Pack<float, 4> to_out1_0;
      #pragma unroll
      for (int k = 0; k < 4; ++k) {
        to_out1_0[k] = quotient_by(exp_3[v][k], cast_5, reciprocal_5);
      }
      store(a.out1 + i0 * a.s0_0 + i1, to_out1_0);
    }
  }
}
// 8192 blocks of 512 threads
