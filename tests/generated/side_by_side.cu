namespace kernel_0 {
struct Arguments {
  const float* in0;
  float* out1;
  IndexFault* fault;
  int threads;
  int places;
};

// A thread for each place.
__device__ __forceinline__ void tanh_f32(const Arguments& a, unsigned block) {
  if (threadIdx.x >= a.threads) return;
  const int place = block * a.threads + threadIdx.x;
  if (place >= a.places) return;
  const int i0 = place;
  follow();
  const float in0_0 = a.in0[i0];
  a.out1[i0] = tanhf(in0_0);
}
}

namespace kernel_1 {
struct Arguments {
  const float* in0;
  float* out1;
  IndexFault* fault;
  int places;
  int n1;
  int s0_1;
};

// A team of 128 threads for each place.
__device__ __forceinline__ void sum_f32(const Arguments& a, unsigned block) {
  const int thread = threadIdx.x / 8;
  const int number = block * 8 + threadIdx.x % 8;
  const bool exists = number < a.places;
  const int place = exists ? number : a.places - 1;
  const int i0 = place;
  follow();
  double sum_0 = 0;
  int next = thread;
  for (; next + 896 < a.n1; next += 1024) {
    float part_0 = 0;
    #pragma unroll
    for (int v = 0; v < 8; ++v) {
      const int i1 = next + v * 128;
      const float in0_0 = a.in0[i0 + i1 * a.s0_1];
      part_0 += in0_0;
    }
    sum_0 += part_0;
  }
  for (; next + 128 < a.n1; next += 256) {
    float part_0 = 0;
    #pragma unroll
    for (int v = 0; v < 2; ++v) {
      const int i1 = next + v * 128;
      const float in0_0 = a.in0[i0 + i1 * a.s0_1];
      part_0 += in0_0;
    }
    sum_0 += part_0;
  }
  #pragma unroll 1
  for (int i1 = next; i1 < a.n1; i1 += 128) {
    const float in0_0 = a.in0[i0 + i1 * a.s0_1];
    sum_0 += in0_0;
  }
  down<8, 128>(Plus(), sum_0);
  if (exists && thread == 0) {
    a.out1[i0] = float(sum_0);
  }
}
}

namespace kernel_2 {
struct Arguments {
  const float* in0;
  float* out1;
  IndexFault* fault;
  int threads;
  int places;
  int n1;
  int s0_0;
};

// A team of 8 threads for each place, each with 1 elements of the row.
__device__ __forceinline__ void exp_sum_f32(const Arguments& a, unsigned block) {
  if (threadIdx.x >= a.threads) return;
  const int thread = threadIdx.x % 8;
  const int place = (block * a.threads + threadIdx.x) / 8;
  if (place >= a.places) return;
  const int i0 = place;
  follow();
  double sum_0 = 0;
  #pragma unroll
  for (int v = 0; v < 1; ++v) {
    const int i1 = v * 8 + thread;
    if (i1 < a.n1) {
      const float in0_0 = a.in0[i0 * a.s0_0 + i1];
      sum_0 += expf(in0_0);
    }
  }
  across<8>(Plus(), sum_0);
  if (thread == 0) {
    a.out1[i0] = float(sum_0);
  }
}
}

struct Arguments {
  kernel_0::Arguments of_0[1];
  kernel_1::Arguments of_1[1];
  kernel_2::Arguments of_2[1];
  unsigned begins[3];
};

// Kernels side by side: each has blocks of its own.
extern "C" __global__ void __launch_bounds__(1024) tanh_f32_and_others(const __grid_constant__ Arguments a) {
  int which = 0;
  for (int half = 2; half > 0; half /= 2)
    if (which + half < 3 && blockIdx.x >= a.begins[which + half]) which += half;
  const unsigned block = blockIdx.x - a.begins[which];
  if (which < 1) {
    return kernel_0::tanh_f32(a.of_0[which - 0], block);
  }
  if (which < 2) {
    return kernel_1::sum_f32(a.of_1[which - 1], block);
  }
  {
    return kernel_2::exp_sum_f32(a.of_2[which - 2], block);
  }
}
