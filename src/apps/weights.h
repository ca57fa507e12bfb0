// What a model has learnt, as files hold it.
#pragma once

#include <weft/graph.h>
#include <weft/io.h>

#include <span>
#include <string>

namespace weft::apps {

/// The variables' present values under their labels, floating-point ones as f16 with `half`, and the model's name as metadata.
io::Safetensors weights_of(const Graph& graph, std::span<const Tensor> variables, const std::string& model, bool half = false);

}  // namespace weft::apps
