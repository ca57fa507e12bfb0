struct Arguments {
  const bf16* in0;
  float* out1;
  IndexFault* fault;
  int n1;
  int end1;
  int n2;
  int s0_0;
  int s0_1;
  int s1_0;
};

// A team of 512 threads for each place, each with 8 elements of the row.
extern "C" __global__ void __launch_bounds__(512) max_sub_exp_sum_div_cast_sum_bf16_rows(const __grid_constant__ Arguments a) {
  const int thread = threadIdx.x;
  const int place = blockIdx.x;
  const int i0 = place;
  follow();
  const int n1 = min(a.n1, a.end1 - i0 * a.n1);
  Pack<float, 8> total_0[1];
  unsigned turn = 0;
  alignas(16) extern __shared__ char fetched[];
  Pack<bf16, 8>* const fetched_0 = reinterpret_cast<Pack<bf16, 8>*>(fetched);
  const auto fetch = [&](int i1) {
    #pragma unroll
    for (int v = 0; v < 1; ++v) {
      const int i2 = 8 * (v * 512 + thread);
      if (i2 < a.n2) {
        copy_ahead(fetched_0 + v * 512 + threadIdx.x, a.in0 + i0 * a.s0_0 + i1 * a.s0_1 + i2);
      }
    }
  };
  fetch(0);
  for (int i1 = 0; i1 < n1; ++i1) {
    const bool begins = i1 == 0;
    Pack<bf16, 8> in0_0[1];
    float exp_4[1][8];
    wait_for_copies();
    float max_0 = -infinity_f32();
    #pragma unroll
    for (int v = 0; v < 1; ++v) {
      const int i2 = 8 * (v * 512 + thread);
      if (i2 < a.n2) {
        in0_0[v] = fetched_0[v * 512 + threadIdx.x];
        #pragma unroll
        for (int k = 0; k < 8; ++k) {
          max_0 = maximum(max_0, float(in0_0[v][k]));
        }
      }
    }
    across<512>(turn, Maximum(), max_0);
    if (i1 + 1 < n1) fetch(i1 + 1);
    double sum_1 = 0;
    #pragma unroll
    for (int v = 0; v < 1; ++v) {
      const int i2 = 8 * (v * 512 + thread);
      if (i2 < a.n2) {
        float part_1 = 0;
        #pragma unroll
        for (int k = 0; k < 8; ++k) {
          exp_4[v][k] = expf(float(in0_0[v][k]) - max_0);
          part_1 += exp_4[v][k];
        }
        sum_1 += part_1;
      }
    }
    across<512>(turn, Plus(), sum_1);
    const float cast_6 = float(sum_1);
    const float reciprocal_6 = reciprocal(cast_6);
    #pragma unroll
    for (int v = 0; v < 1; ++v) {
      const int i2 = 8 * (v * 512 + thread);
      if (i2 < a.n2) {
        #pragma unroll
        for (int k = 0; k < 8; ++k) {
          total_0[v][k] = begins ? float(bf16(quotient_by(exp_4[v][k], cast_6, reciprocal_6))) : total_0[v][k] + float(bf16(quotient_by(exp_4[v][k], cast_6, reciprocal_6)));
        }
      }
    }
  }
  #pragma unroll
  for (int v = 0; v < 1; ++v) {
    const int i2 = 8 * (v * 512 + thread);
    if (i2 < a.n2) {
      store(a.out1 + i0 * a.s1_0 + i2, total_0[v]);
    }
  }
}
// 256 blocks of 512 threads

struct Arguments {
  const float* in0;
  bf16* out1;
  IndexFault* fault;
  int places;
  int n1;
  int s0_1;
};

// A team of 64 threads for each place.
extern "C" __global__ void __launch_bounds__(1024) max_sub_exp_sum_div_cast_sum_bf16_total(const __grid_constant__ Arguments a) {
  const int thread = threadIdx.x / 16;
  const int number = blockIdx.x * 16 + threadIdx.x % 16;
  const bool exists = number < a.places;
  const int place = exists ? number : a.places - 1;
  const int i0 = place;
  follow();
  double sum_0 = 0;
  int next = thread;
  for (; next + 448 < a.n1; next += 512) {
    float part_0 = 0;
    #pragma unroll
    for (int v = 0; v < 8; ++v) {
      const int i1 = next + v * 64;
      const float in0_2 = a.in0[i0 + i1 * a.s0_1];
      part_0 += in0_2;
    }
    sum_0 += part_0;
  }
  for (; next + 64 < a.n1; next += 128) {
    float part_0 = 0;
    #pragma unroll
    for (int v = 0; v < 2; ++v) {
      const int i1 = next + v * 64;
      const float in0_2 = a.in0[i0 + i1 * a.s0_1];
      part_0 += in0_2;
    }
    sum_0 += part_0;
  }
  #pragma unroll 1
  for (int i1 = next; i1 < a.n1; i1 += 64) {
    const float in0_2 = a.in0[i0 + i1 * a.s0_1];
    sum_0 += in0_2;
  }
  down<16, 64>(Plus(), sum_0);
  if (exists && thread == 0) {
    a.out1[i0] = float(bf16(to_odd(sum_0)));
  }
}
// 256 blocks of 1024 threads
