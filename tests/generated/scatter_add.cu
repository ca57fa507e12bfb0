struct Arguments {
  const float* in0;
  float* out1;
  IndexFault* fault;
  int places;
};

// A thread for each 4 neighbouring places.
extern "C" __global__ void __launch_bounds__(256) scatter_f32(const __grid_constant__ Arguments a) {
  const int place = blockIdx.x * blockDim.x + threadIdx.x;
  if (place >= a.places) return;
  const int i0 = 4 * place;
  follow();
  Pack<float, 4> to_out1_0;
  const Pack<float, 4> in0_0 = load<4>(a.in0 + i0);
  #pragma unroll
  for (int k = 0; k < 4; ++k) {
    to_out1_0[k] = in0_0[k];
  }
  store(a.out1 + i0, to_out1_0);
}
// 25000 blocks of 256 threads

struct Arguments {
  const i32* in0;
  const float* in1;
  float* out2;
  IndexFault* fault;
  int chunks;
  int width;
  int steps;
  int all;
  int places;
  int s1_1;
  int t0;
  int u0;
};

// A block for each range of the first index and 256 places.
extern "C" __global__ void __launch_bounds__(256) scatter_f32(const __grid_constant__ Arguments a) {
  follow();
  __shared__ int waiting[256];
  const int thread = threadIdx.x;
  const int slice = blockIdx.x / a.chunks;
  const int place = (blockIdx.x - slice * a.chunks) * 256 + thread;
  const i64 from = i64(slice) * a.width;
  const int i0 = place;
  for (int start = 0; start < a.steps; start += 256) {
    bool is_ours = false;
    if (start + thread < a.steps) {
      const int step = start + thread;
      const int i1 = step;
      const i32 in0_0 = a.in0[i1];
      const i64 to = i64(in0_0);
      is_ours = (to >= from && to < from + a.width) || (slice == 0 && !within(to, a.all));
    }
    const int count = listed<256>(is_ours, waiting);
    for (int next = 0; next < count && place < a.places; ++next) {
      const int step = start + waiting[next];
      const int i1 = step;
      const i32 in0_0 = a.in0[i1];
      const float in1_1 = a.in1[i0 + i1 * a.s1_1];
      const i64 at_s0_0 = i64(in0_0);
      if (!(within(at_s0_0, a.t0))) report(a.fault, 0, at_s0_0);
      if (within(at_s0_0, a.t0)) a.out2[i0 + int(at_s0_0) * a.u0] = a.out2[i0 + int(at_s0_0) * a.u0] + in1_1;
    }
  }
}
// 1056 blocks of 256 threads
