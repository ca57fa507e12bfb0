struct Arguments {
  const bf16* in0;
  const float* in1;
  bf16* out2;
  IndexFault* fault;
  int n1;
  int s0_0;
};

// A team of 128 threads for each place, each with 8 elements of the row.
extern "C" __global__ void __launch_bounds__(256) sum_div_sub_mul_sum_div_add_rsqrt_mul_cast_bf16(const __grid_constant__ Arguments a) {
  const int thread = threadIdx.x;
  const int place = blockIdx.x;
  const int i0 = place;
  follow();
  unsigned turn = 0;
  Pack<bf16, 8> in0_0[1];
  double sum_0 = 0;
  #pragma unroll
  for (int v = 0; v < 1; ++v) {
    const int i1 = 8 * (v * 128 + thread);
    if (i1 < a.n1) {
      float part_0 = 0;
      in0_0[v] = load<8>(a.in0 + i0 * a.s0_0 + i1);
      #pragma unroll
      for (int k = 0; k < 8; ++k) {
        part_0 += float(in0_0[v][k]);
      }
      sum_0 += part_0;
    }
  }
  across<128>(turn, Plus(), sum_0);
  const float in1_4 = a.in1[0];
  const float div_5 = float(sum_0) / in1_4;
  double sum_1 = 0;
  #pragma unroll
  for (int v = 0; v < 1; ++v) {
    const int i1 = 8 * (v * 128 + thread);
    if (i1 < a.n1) {
      float part_1 = 0;
      #pragma unroll
      for (int k = 0; k < 8; ++k) {
        const float sub_6 = float(in0_0[v][k]) - div_5;
        part_1 += sub_6 * sub_6;
      }
      sum_1 += part_1;
    }
  }
  across<128>(turn, Plus(), sum_1);
  const float rsqrt_13 = rsqrtf(float(sum_1) / in1_4 + 1e-05f);
  #pragma unroll
  for (int v = 0; v < 1; ++v) {
    const int i1 = 8 * (v * 128 + thread);
    if (i1 < a.n1) {
      Pack<bf16, 8> to_out2_0;
      #pragma unroll
      for (int k = 0; k < 8; ++k) {
        to_out2_0[k] = float(bf16((float(in0_0[v][k]) - div_5) * rsqrt_13));
      }
      store(a.out2 + i0 * a.s0_0 + i1, to_out2_0);
    }
  }
}
// 512 blocks of 128 threads
