struct Arguments {
  const float* in0;
  const float* in1;
  const float* in2;
  float* out3;
  IndexFault* fault;
  int places;
  int n1;
  int s1_1;
};

// A team of 128 threads for each place.
extern "C" __global__ void __launch_bounds__(1024) matmul_add_tanh_f32(const __grid_constant__ Arguments a) {
  const int thread = threadIdx.x / 8;
  const int number = blockIdx.x * 8 + threadIdx.x % 8;
  const bool exists = number < a.places;
  const int place = exists ? number : a.places - 1;
  const int i0 = place;
  const bool writes = exists && thread == 0;
  const float in0_0 = writes ? a.in0[i0] : float{};
  const bool is_whole = thread + 384 < a.n1;
  float ahead_2[4];
  float ahead_1[4];
  #pragma unroll
  for (int v = 0; v < 4; ++v) {
    const int i1 = thread + v * 128;
    ahead_2[v] = is_whole ? a.in2[i0 + i1 * a.s1_1] : float{};
    ahead_1[v] = is_whole ? a.in1[i1] : float{};
  }
  follow();
  double sum_0 = 0;
  int next = thread;
  if (is_whole) {
    float part_0 = 0;
    #pragma unroll
    for (int v = 0; v < 4; ++v) {
      const int i1 = next + v * 128;
      part_0 += ahead_1[v] * ahead_2[v];
    }
    sum_0 += part_0;
    next += 512;
  }
  for (; next + 384 < a.n1; next += 512) {
    float part_0 = 0;
    #pragma unroll
    for (int v = 0; v < 4; ++v) {
      const int i1 = next + v * 128;
      const float in1_1 = a.in1[i1];
      const float in2_2 = a.in2[i0 + i1 * a.s1_1];
      part_0 += in1_1 * in2_2;
    }
    sum_0 += part_0;
  }
  for (; next + 128 < a.n1; next += 256) {
    float part_0 = 0;
    #pragma unroll
    for (int v = 0; v < 2; ++v) {
      const int i1 = next + v * 128;
      const float in1_1 = a.in1[i1];
      const float in2_2 = a.in2[i0 + i1 * a.s1_1];
      part_0 += in1_1 * in2_2;
    }
    sum_0 += part_0;
  }
  #pragma unroll 1
  for (int i1 = next; i1 < a.n1; i1 += 128) {
    const float in1_1 = a.in1[i1];
    const float in2_2 = a.in2[i0 + i1 * a.s1_1];
    sum_0 += in1_1 * in2_2;
  }
  down<8, 128>(Plus(), sum_0);
  if (exists && thread == 0) {
    a.out3[i0] = tanhf(in0_0 + float(sum_0));
  }
}
// 8 blocks of 1024 threads
