#include "backend/cuda/cudnn.h"

#include "backend/cuda/library.h"

#include <weft/error.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <sstream>
#include <utility>

namespace weft::cuda {
namespace {

using namespace cudnn;

struct Cudnn {
  Functions functions;
  std::string refusal, version;
};

/// 9.1, the first whose sublibraries were as they are.
constexpr std::size_t oldest_version = 90100;

std::string version_text(std::size_t v) { return std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." + std::to_string(v % 100); }

const Cudnn& library() {
  static const Cudnn found = [] {
    Cudnn c;
    static constexpr const char* names[] = {"libcudnn.so.9"};
    const Library file(names, "cudnn");
    if (!file) {
      c.refusal = "there is no cuDNN (libcudnn.so.9)";
      return c;
    }
    const auto find = [&]<class F>(F& function, const char* name) {
      function = reinterpret_cast<F>(file.find(name));
      if (!function) c.refusal = file.path() + " lacks " + name;
    };
    Functions& f = c.functions;
    find(f.cudnnGetVersion, "cudnnGetVersion");
    find(f.cudnnGetErrorString, "cudnnGetErrorString");
    find(f.cudnnCreate, "cudnnCreate");
    find(f.cudnnSetStream, "cudnnSetStream");
    find(f.cudnnBackendCreateDescriptor, "cudnnBackendCreateDescriptor");
    find(f.cudnnBackendDestroyDescriptor, "cudnnBackendDestroyDescriptor");
    find(f.cudnnBackendFinalize, "cudnnBackendFinalize");
    find(f.cudnnBackendSetAttribute, "cudnnBackendSetAttribute");
    find(f.cudnnBackendGetAttribute, "cudnnBackendGetAttribute");
    find(f.cudnnBackendExecute, "cudnnBackendExecute");
    if (!c.refusal.empty()) return c;
    const std::size_t version = f.cudnnGetVersion();
    c.version = version_text(version);
    if (version < oldest_version) c.refusal = "cuDNN is " + c.version + ", weft needs " + version_text(oldest_version) + " or later";
    return c;
  }();
  return found;
}

const Functions& functions() { return library().functions; }

void check(Status status, const char* doing) {
  if (status != 0) throw RunError(std::string("cudnn: ") + doing + ": " + functions().cudnnGetErrorString(status));
}

/// Of each GPU, for the life of the process. One thread at a time may say where a handle's work goes and begin it.
struct Handles {
  std::mutex mutex;
  std::map<int, Handle> handles;

  Handle of(Gpu& gpu) {
    Handle& handle = handles[gpu.index()];
    gpu.make_current();
    if (!handle) check(functions().cudnnCreate(&handle), "starting");
    return handle;
  }
};

Handles& handles() {
  static auto* all = new Handles;
  return *all;
}

Handle handle_of(Gpu& gpu) {
  const std::lock_guard lock(handles().mutex);
  return handles().of(gpu);
}

DataType type_of(DType dtype) { return dtype == f32 ? data_float : dtype == f16 ? data_half : data_bfloat16; }

/// Whether weft lets an engine compute that does so.
bool is_allowed(NumericalNote note, bool tf32, bool is_f32) {
  switch (note) {
    case note_tensor_core: return tf32 || !is_f32;
    case note_down_convert_inputs: return tf32;
    case note_reduced_precision_reduction:
    case note_fft:
    case note_nondeterministic:
    case note_winograd:
    case note_winograd_4x4:
    case note_winograd_6x6:
    case note_winograd_13x13: return false;
    default: return true;
  }
}

/// More than an engine has. cuDNN tells their number only together with them.
constexpr std::int64_t most_knobs = 64;

/// The descriptors that an attribute has, of which there are at most `most`.
std::vector<CudnnDescriptor> descriptors_of(const CudnnDescriptor& from, Attribute attribute, DescriptorType type, std::int64_t most) {
  std::vector<CudnnDescriptor> list;
  std::vector<Descriptor> handles;
  for (std::int64_t i = 0; i < most; ++i) handles.push_back(list.emplace_back(type).handle());
  const auto count = most == 0 ? 0 : from.get(attribute, type_descriptor, most, handles.data());
  while (static_cast<std::int64_t>(list.size()) > count) list.pop_back();
  return list;
}

}  // namespace

const std::string& cudnn_refusal() { return library().refusal; }
const std::string& cudnn_version() { return library().version; }

// Descriptors -----------------------------------------------------------------------------------------------------------

CudnnDescriptor::CudnnDescriptor(DescriptorType type) { check(functions().cudnnBackendCreateDescriptor(type, &handle_), "making a descriptor"); }

CudnnDescriptor::~CudnnDescriptor() {
  if (handle_) functions().cudnnBackendDestroyDescriptor(handle_);
}

void CudnnDescriptor::set(Attribute attribute, AttributeType type, std::size_t count, const void* elements) {
  check(functions().cudnnBackendSetAttribute(handle_, attribute, type, static_cast<std::int64_t>(count), elements), "describing an operation");
}

void CudnnDescriptor::finalize() { check(functions().cudnnBackendFinalize(handle_), "finishing a descriptor"); }

std::int64_t CudnnDescriptor::get(Attribute attribute, AttributeType type, std::int64_t room, void* elements) const {
  std::int64_t count = 0;
  check(functions().cudnnBackendGetAttribute(handle_, attribute, type, room, &count, elements), "asking about a descriptor");
  return count;
}

// Plans -----------------------------------------------------------------------------------------------------------------

CudnnPlan::CudnnPlan(Gpu& gpu, CudnnDescriptor plan, std::vector<std::int64_t> ids) : gpu_(gpu), plan_(std::move(plan)), ids_(std::move(ids)) {
  std::int64_t bytes = 0;
  plan_.get(plan_workspace, type_int64, 1, &bytes);
  scratch_bytes_ = static_cast<std::size_t>(bytes);
  if (scratch_bytes_ > most_workspace())
    throw RunError("cudnn: an engine wants " + std::to_string(bytes) + " bytes of scratch memory, more than WEFT_CUDA_WORKSPACE allows");
}

void CudnnPlan::enqueue(CUstream stream, std::span<void* const> tensors, void* scratch) const {
  CudnnDescriptor pack(variant_pack);
  pack.set(pack_ids, type_int64, std::span<const std::int64_t>(ids_));
  pack.set(pack_pointers, type_pointer, tensors);
  pack.set(pack_workspace, type_pointer, scratch);
  pack.finalize();
  const std::lock_guard lock(handles().mutex);
  const Handle handle = handles().of(gpu_);
  check(functions().cudnnSetStream(handle, stream), "choosing a queue");
  check(functions().cudnnBackendExecute(handle, plan_.handle(), pack.handle()), "running a plan");
}

// Graphs ----------------------------------------------------------------------------------------------------------------

CudnnGraph::Tensor CudnnGraph::tensor(DType dtype, const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& strides, Place place) {
  const auto id = static_cast<std::int64_t>(tensors_.size()) + 1;
  CudnnDescriptor& t = tensors_.emplace_back(cudnn::tensor);
  t.set(tensor_type, type_data_type, type_of(dtype));
  t.set(tensor_sizes, type_int64, std::span<const std::int64_t>(sizes));
  t.set(tensor_strides, type_int64, std::span<const std::int64_t>(strides));
  t.set(tensor_id, type_int64, id);
  t.set(tensor_alignment, type_int64, std::int64_t{16});
  t.set(tensor_is_virtual, type_boolean, place == Place::inside);
  t.finalize();
  if (tensors_.size() == 1) is_f32_ = dtype == f32;
  if (place == Place::memory) ids_.push_back(id);
  return tensors_.size() - 1;
}

void CudnnGraph::convolution(DescriptorType operation, const CudnnWindow& window, Tensor data, Tensor weights, Tensor result) {
  CudnnDescriptor c(cudnn::convolution);
  c.set(convolution_type, type_data_type, data_float);
  c.set(convolution_mode, type_convolution_mode, cross_correlation);
  c.set(convolution_dimensions, type_int64, static_cast<std::int64_t>(window.strides.size()));
  c.set(convolution_strides, type_int64, std::span(window.strides));
  c.set(convolution_dilations, type_int64, std::span(window.dilations));
  c.set(convolution_low_padding, type_int64, std::span(window.low));
  c.set(convolution_high_padding, type_int64, std::span(window.high));
  c.finalize();
  // The attributes of the three operations: two factors and the window, then the tensors, in an order of their own.
  struct Row {
    Attribute first;
    Tensor tensors[3];
  };
  const Row row = operation == operation_forward         ? Row{forward_alpha, {weights, data, result}}
                  : operation == operation_data_gradient ? Row{data_gradient_alpha, {weights, data, result}}
                                                         : Row{weights_gradient_alpha, {weights, data, result}};
  const auto attribute = [&](int i) { return static_cast<Attribute>(row.first + i); };
  CudnnDescriptor& o = operations_.emplace_back(operation);
  o.set(attribute(0), type_float, 1.0f);
  o.set(attribute(1), type_float, 0.0f);
  o.set(attribute(2), c);
  for (int i = 0; i < 3; ++i) o.set(attribute(3 + i), tensors_[row.tensors[i]]);
  o.finalize();
}

void CudnnGraph::pointwise(Pointwise mode, Tensor x, Tensor b, Tensor result) {
  CudnnDescriptor p(cudnn::pointwise);
  p.set(pointwise_mode, type_pointwise_mode, mode);
  p.set(pointwise_precision, type_data_type, data_float);
  if (mode == pointwise_relu) p.set(pointwise_propagates_nan, type_nan_propagation, propagate_nan);
  p.finalize();
  CudnnDescriptor& o = operations_.emplace_back(operation_pointwise);
  o.set(operation_pointwise_descriptor, p);
  o.set(operation_pointwise_x, tensors_[x]);
  if (b != none) o.set(operation_pointwise_b, tensors_[b]);
  o.set(operation_pointwise_y, tensors_[result]);
  o.finalize();
}

CudnnDescriptor& CudnnGraph::finished() {
  if (graph_) return *graph_;
  graph_ = std::make_unique<CudnnDescriptor>(operation_graph);
  std::vector<Descriptor> operations;
  for (const auto& o : operations_) operations.push_back(o.handle());
  graph_->set(graph_handle, type_handle, handle_of(gpu_));
  graph_->set(graph_operations, type_descriptor, std::span<const Descriptor>(operations));
  graph_->finalize();
  return *graph_;
}

std::vector<std::string> CudnnGraph::engines(bool tf32) {
  std::vector<std::string> list;
  for (const HeuristicsMode mode : {heuristics_a, heuristics_fallback}) {
    if (!list.empty()) break;
    CudnnDescriptor heuristics(engine_heuristics);
    heuristics.set(heuristics_graph, finished());
    heuristics.set(heuristics_mode, type_heuristics_mode, mode);
    try {
      heuristics.finalize();
    } catch (const RunError&) { continue; }  // it knows none
    const auto count_of_results = heuristics.get(heuristics_results, type_descriptor, 0, nullptr);
    for (const auto& configuration : descriptors_of(heuristics, heuristics_results, engine_configuration, count_of_results)) {
      const auto engines = descriptors_of(configuration, configuration_engine, engine, 1);
      std::int64_t index = -1;
      engines.at(0).get(engine_index, type_int64, 1, &index);
      if (index == 0) continue;  // computes each element by itself, tens of times as slowly as others
      int notes[32];
      const auto has = [&](Attribute attribute, AttributeType type, auto&& is_meant) {
        return std::any_of(notes, notes + std::min<std::int64_t>(engines[0].get(attribute, type, 32, notes), 32), is_meant);
      };
      if (has(engine_numerical_notes, type_numerical_note, [&](int note) { return !is_allowed(NumericalNote{note}, tf32, is_f32_); })) continue;
      // A second to compile, in every process.
      if (has(engine_behavior_notes, type_behavior_note, [](int note) { return note == note_runtime_compilation; })) continue;
      std::string text = std::to_string(index);
      for (const auto& knob : descriptors_of(configuration, configuration_knobs, knob_choice, most_knobs)) {
        int type = 0;
        std::int64_t value = 0;
        knob.get(knob_type, type_knob, 1, &type);
        knob.get(knob_value, type_int64, 1, &value);
        text += " " + std::to_string(type) + "=" + std::to_string(value);
      }
      if (std::ranges::find(list, text) == list.end()) list.push_back(std::move(text));
    }
  }
  return list;
}

std::unique_ptr<CudnnPlan> CudnnGraph::plan(const std::string& text) {
  std::istringstream in(text);
  std::int64_t index = -1;
  in >> index;
  CudnnDescriptor e(engine);
  e.set(engine_graph, finished());
  e.set(engine_index, type_int64, index);
  e.finalize();
  std::vector<CudnnDescriptor> knobs;
  std::vector<Descriptor> choices;
  int type = 0;
  char equals = 0;
  for (std::int64_t value = 0; in >> type >> equals >> value;) {
    CudnnDescriptor& knob = knobs.emplace_back(knob_choice);
    knob.set(knob_type, type_knob, type);
    knob.set(knob_value, type_int64, value);
    knob.finalize();
    choices.push_back(knob.handle());
  }
  CudnnDescriptor configuration(engine_configuration);
  configuration.set(configuration_engine, e);
  if (!choices.empty()) configuration.set(configuration_knobs, type_descriptor, std::span<const Descriptor>(choices));
  configuration.finalize();
  CudnnDescriptor plan(execution_plan);
  plan.set(plan_handle, type_handle, handle_of(gpu_));
  plan.set(plan_configuration, configuration);
  plan.finalize();
  return std::unique_ptr<CudnnPlan>(new CudnnPlan(gpu_, std::move(plan), ids_));
}

}  // namespace weft::cuda
