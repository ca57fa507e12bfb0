#include "apps/weights.h"

namespace weft::apps {

io::Safetensors weights_of(const Graph& graph, std::span<const Tensor> variables, const std::string& model, bool half) {
  io::Safetensors content;
  for (const Tensor& v : variables) {
    const NDArray value = graph.value(v);
    content.tensors.emplace(v.name(), half && is_floating(v.dtype()) ? value.cast(f16) : value);
  }
  content.metadata["model"] = model;
  return content;
}

}  // namespace weft::apps
