struct Arguments {
  const float* in0;
  float* out1;
  IndexFault* fault;
  int n1;
  int s0_0;
};

// A team of 256 threads for each place.
extern "C" __global__ void __launch_bounds__(256) scan_sum_f32(const __grid_constant__ Arguments a) {
  const int thread = threadIdx.x;
  const int place = blockIdx.x;
  const int i0 = place;
  follow();
  double sum_0 = 0;
  for (int start = 0; start < a.n1; start += 1024) {
    const int first = start + thread * 4;
    double own_0 = 0, parts_0[4];
    #pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int step = first + e, i1 = step;
      if (step < a.n1) {
        const float in0_0 = a.in0[i0 * a.s0_0 + i1];
        own_0 = own_0 + double(in0_0);
        parts_0[e] = own_0;
      }
    }
    double all_0;
    const double earlier_0 = scanned<256>(own_0, Plus(), double(0), all_0);
    const double before_0 = sum_0 + earlier_0;
    sum_0 = sum_0 + all_0;
    #pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int step = first + e, i1 = step;
      if (step < a.n1) {
        const double scan_0 = before_0 + parts_0[e];
        a.out1[i0 * a.s0_0 + i1] = float(scan_0);
      }
    }
  }
}
// 4096 blocks of 256 threads
