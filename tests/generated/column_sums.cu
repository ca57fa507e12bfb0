struct Arguments {
  const float* in0;
  double* out1;
  IndexFault* fault;
  int places;
  int m1;
  int n2;
  int end2;
  int s0_0;
  int s0_2;
  int s1_0;
  Divisor by_m1;
};

// A thread for each 4 neighbouring places.
extern "C" __global__ void __launch_bounds__(256) sum_f32_parts(const __grid_constant__ Arguments a) {
  const int place = blockIdx.x * blockDim.x + threadIdx.x;
  if (place >= a.places) return;
  const int rest1 = divided(place, a.by_m1);
  const int i1 = 4 * (place - rest1 * a.m1);
  const int i0 = rest1;
  follow();
  const int n2 = min(a.n2, a.end2 - i0 * a.n2);
  double sum_0[4] = {0, 0, 0, 0};
  #pragma unroll 8
  for (int i2 = 0; i2 < n2; ++i2) {
    const Pack<float, 4> in0_0 = load<4>(a.in0 + i0 * a.s0_0 + i1 + i2 * a.s0_2);
    #pragma unroll
    for (int k = 0; k < 4; ++k) {
      sum_0[k] += in0_0[k];
    }
  }
  Pack<double, 4> to_out1_0;
  #pragma unroll
  for (int k = 0; k < 4; ++k) {
    to_out1_0[k] = sum_0[k];
  }
  store(a.out1 + i0 * a.s1_0 + i1, to_out1_0);
}
// 512 blocks of 256 threads

struct Arguments {
  const double* in0;
  float* out1;
  IndexFault* fault;
  int places;
  int n1;
  int s0_1;
};

// A team of 8 threads for each place.
extern "C" __global__ void __launch_bounds__(256) sum_f32(const __grid_constant__ Arguments a) {
  const int thread = threadIdx.x / 32;
  const int number = blockIdx.x * 32 + threadIdx.x % 32;
  const bool exists = number < a.places;
  const int place = exists ? number : a.places - 1;
  const int i0 = place;
  follow();
  double sum_0 = 0;
  int next = thread;
  for (; next + 56 < a.n1; next += 64) {
    #pragma unroll
    for (int v = 0; v < 8; ++v) {
      const int i1 = next + v * 8;
      const double in0_2 = a.in0[i0 + i1 * a.s0_1];
      sum_0 += in0_2;
    }
  }
  for (; next + 8 < a.n1; next += 16) {
    #pragma unroll
    for (int v = 0; v < 2; ++v) {
      const int i1 = next + v * 8;
      const double in0_2 = a.in0[i0 + i1 * a.s0_1];
      sum_0 += in0_2;
    }
  }
  #pragma unroll 1
  for (int i1 = next; i1 < a.n1; i1 += 8) {
    const double in0_2 = a.in0[i0 + i1 * a.s0_1];
    sum_0 += in0_2;
  }
  down<32, 8>(Plus(), sum_0);
  if (exists && thread == 0) {
    a.out1[i0] = float(sum_0);
  }
}
// 512 blocks of 256 threads
