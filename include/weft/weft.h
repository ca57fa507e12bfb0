// Everything that weft offers.
#pragma once

#include <weft/activation.h>
#include <weft/axes.h>
#include <weft/convolution.h>
#include <weft/cumulative.h>
#include <weft/dtype.h>
#include <weft/elementwise.h>
#include <weft/error.h>
#include <weft/executable.h>
#include <weft/explanation.h>
#include <weft/graph.h>
#include <weft/indexing.h>
#include <weft/init.h>
#include <weft/io.h>
#include <weft/loss.h>
#include <weft/matmul.h>
#include <weft/movement.h>
#include <weft/ndarray.h>
#include <weft/normalization.h>
#include <weft/optimizer.h>
#include <weft/pooling.h>
#include <weft/random.h>
#include <weft/reduction.h>
#include <weft/shape.h>
#include <weft/sort.h>
#include <weft/tensor.h>
