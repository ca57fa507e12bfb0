// Work of primitives that is shared among the threads that generated kernels have, too.
#pragma once

#include <cstdint>
#include <exception>

namespace weft {

/// Calls f(0), f(1), ... f(count - 1), each once, in any order. What one of them throws is thrown when all are done.
template <class F> void parallel_for(std::int64_t count, F&& f) {
  std::exception_ptr error;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) if (count > 1)
#endif
  for (std::int64_t i = 0; i < count; ++i) try {
      f(i);
    } catch (...) {
#ifdef _OPENMP
#pragma omp critical(weft_parallel_for)
#endif
      error = std::current_exception();
    }
  if (error) std::rethrow_exception(error);
}

}  // namespace weft
