#include "backend/cuda/emit_scatter.h"

#include <algorithm>

namespace weft::cuda {

using namespace kernel;

void emit_sliced_scatter(KernelCode& c) {
  const Kernel& kernel = c.kernel;
  Code& code = c.code;
  Arguments& a = c.arguments;
  const Term& term = kernel.stores[0].access.terms[0];
  const int steps = kernel.parallel;
  const std::int64_t places = iterations(kernel, 0, kernel.parallel), slices = c.mapping.slices;
  const std::string type = "const " + std::string(a.index_type()) + " ";

  code.line("__shared__ int waiting[256];");
  code.line("const int thread = threadIdx.x;");
  code.line(type + "slice = " + c.block + " / " + a.number("chunks", std::max<std::int64_t>((places + 255) / 256, 1)) + ";");
  code.line(type + "place = (" + c.block + " - slice * a.chunks) * 256 + thread;");
  code.line("const i64 from = i64(slice) * " + a.number("width", (term.extent + slices - 1) / slices) + ";");
  c.indices(0, kernel.parallel, "place");
  const std::string count = a.number("steps", iterations(kernel, steps, kernel.loops()));
  c.scope("for (" + std::string(a.index_type()) + " start = 0; start < " + count + "; start += 256)", [&] {
    code.line("bool is_ours = false;");
    c.scope("if (start + thread < " + count + ")", [&] {
      code.line(type + "step = start + thread;");
      c.indices(steps, kernel.loops(), "step");
      // An index that no block has is reported by the first.
      c.compute({term.indirect, term.indirect}, [] {});
      code.line("const i64 to = " + cast(c.value(term.indirect), kernel.exprs[c.at(term.indirect)].dtype, i64).text + ";");
      code.line("is_ours = (to >= from && to < from + a.width) || (slice == 0 && !within(to, " + a.number("all", term.extent) + "));");
    });
    code.line("const int count = listed<256>(is_ours, waiting);");
    c.scope("for (int next = 0; next < count && place < " + a.number("places", places) + "; ++next)", [&] {
      code.line(type + "step = start + waiting[next];");
      c.indices(steps, kernel.loops(), "step");
      c.store({0}, {}, [] {});
    });
  });
}

}  // namespace weft::cuda
