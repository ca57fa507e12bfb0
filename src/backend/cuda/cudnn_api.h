// What weft uses of cuDNN's C interface, which the headers of a CUDA toolkit lack. Names and numbers are those of cudnn_graph.h, the same in
// all of version 9. Everything is done through descriptors: made, given attributes, finalized.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft::cuda::cudnn {

using Handle = struct HandleOf*;
using Descriptor = void*;
using Status = int;  ///< 0: success

enum DescriptorType : int {
  pointwise = 0,
  convolution = 1,
  engine = 2,
  engine_configuration = 3,
  engine_heuristics = 4,
  execution_plan = 5,
  knob_choice = 7,
  operation_forward = 10,
  operation_weights_gradient = 11,
  operation_data_gradient = 12,
  operation_pointwise = 13,
  operation_graph = 15,
  variant_pack = 16,
  tensor = 17,
};

enum Attribute : int {
  pointwise_mode = 0,
  pointwise_precision = 1,
  pointwise_propagates_nan = 2,
  convolution_type = 100,
  convolution_mode = 101,
  convolution_dilations = 102,
  convolution_strides = 103,
  convolution_high_padding = 104,
  convolution_low_padding = 105,
  convolution_dimensions = 106,
  heuristics_mode = 200,
  heuristics_graph = 201,
  heuristics_results = 202,
  configuration_engine = 300,
  configuration_knobs = 302,
  plan_handle = 400,
  plan_configuration = 401,
  plan_workspace = 402,
  knob_type = 600,
  knob_value = 601,
  forward_alpha = 700,  ///< then beta, convolution, weights, data, result
  data_gradient_alpha = 706,
  weights_gradient_alpha = 712,
  operation_pointwise_descriptor = 750,
  operation_pointwise_x = 751,
  operation_pointwise_b = 752,
  operation_pointwise_y = 753,
  graph_handle = 800,
  graph_operations = 801,
  tensor_alignment = 900,
  tensor_type = 901,
  tensor_sizes = 902,
  tensor_strides = 903,
  tensor_id = 906,
  tensor_is_virtual = 907,
  pack_ids = 1000,
  pack_pointers = 1001,
  pack_workspace = 1003,
  engine_graph = 1300,
  engine_index = 1301,
  engine_numerical_notes = 1303,
  engine_behavior_notes = 1305,
};

enum AttributeType : int {
  type_handle = 0,
  type_data_type = 1,
  type_boolean = 2,
  type_int64 = 3,
  type_float = 4,
  type_pointer = 6,
  type_convolution_mode = 7,
  type_heuristics_mode = 8,
  type_knob = 9,
  type_nan_propagation = 10,
  type_numerical_note = 11,
  type_pointwise_mode = 14,
  type_descriptor = 15,
  type_behavior_note = 19,
};

enum DataType : int { data_float = 0, data_half = 2, data_bfloat16 = 9 };

enum NumericalNote : int {
  note_tensor_core = 0,
  note_down_convert_inputs = 1,
  note_reduced_precision_reduction = 2,
  note_fft = 3,
  note_nondeterministic = 4,
  note_winograd = 5,
  note_winograd_4x4 = 6,
  note_winograd_6x6 = 7,
  note_winograd_13x13 = 8,
};

enum BehaviorNote : int { note_runtime_compilation = 0 };

enum HeuristicsMode : int { heuristics_fallback = 2, heuristics_a = 3 };

enum Pointwise : int { pointwise_add = 0, pointwise_relu = 100 };

constexpr int cross_correlation = 1, propagate_nan = 1;

struct Functions {
  std::size_t (*cudnnGetVersion)() = nullptr;
  const char* (*cudnnGetErrorString)(Status) = nullptr;
  Status (*cudnnCreate)(Handle*) = nullptr;
  Status (*cudnnSetStream)(Handle, void* stream) = nullptr;
  Status (*cudnnBackendCreateDescriptor)(DescriptorType, Descriptor*) = nullptr;
  Status (*cudnnBackendDestroyDescriptor)(Descriptor) = nullptr;
  Status (*cudnnBackendFinalize)(Descriptor) = nullptr;
  Status (*cudnnBackendSetAttribute)(Descriptor, Attribute, AttributeType, std::int64_t count, const void* elements) = nullptr;
  Status (*cudnnBackendGetAttribute)(Descriptor, Attribute, AttributeType, std::int64_t room, std::int64_t* count, void* elements) = nullptr;
  Status (*cudnnBackendExecute)(Handle, Descriptor plan, Descriptor pack) = nullptr;
};

}  // namespace weft::cuda::cudnn
