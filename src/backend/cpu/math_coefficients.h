// Polynomials of the CPU backend's functions, in the order of rising powers. Printed by scripts/minimax.py: do not edit.
// clang-format off
#pragma once

namespace weft::cpu {

/// e^r = 1 + r + r^2 q(r), relative to e^r - 1, on [-0.34657, 0.34657]; error 2^-26.18, rounded 2^-25.82.
inline constexpr double exp_f32[] = {
    0x1.fffffe0000000p-2,
    0x1.5554b00000000p-3,
    0x1.5556740000000p-5,
    0x1.1227660000000p-7,
    0x1.6bebf80000000p-10};

/// e^r = 1 + r + r^2 q(r), relative to e^r - 1, on [-0.34657, 0.34657]; error 2^-61.74, rounded 2^-59.88.
inline constexpr double exp_f64[] = {
    0x1.0000000000000p-1,
    0x1.5555555555559p-3,
    0x1.555555555553fp-5,
    0x1.111111110f6e0p-7,
    0x1.6c16c16c1f040p-10,
    0x1.a01a01afd15e3p-13,
    0x1.a01a017bd404dp-16,
    0x1.71ddf885aaa0bp-19,
    0x1.27e53616fb237p-22,
    0x1.af5e67e74eee9p-26,
    0x1.1ee89d48d8d85p-29};

/// log(1 + f) = f - f^2 / 2 + f^3 q(f), relative, on [-0.29289, 0.41421]; error 2^-30.09, rounded 2^-28.12.
inline constexpr double log1p_f32[] = {
    0x1.5555440000000p-2,
    -0x1.ffffdc0000000p-3,
    0x1.99a6c40000000p-3,
    -0x1.5568a00000000p-3,
    0x1.23176e0000000p-3,
    -0x1.fa39c00000000p-4,
    0x1.e6ddb80000000p-4,
    -0x1.e9f47c0000000p-4,
    0x1.2303a20000000p-4};

/// log(1 + f) = f - f^2 / 2 + f^3 q(f), relative, on [-0.29289, 0.41421]; error 2^-37.11, rounded 2^-37.11.
inline constexpr double log1p_f64[] = {
    0x1.5555558a4728fp-2,
    -0x1.0000003add19ep-2,
    0x1.99995f1eaacaap-3,
    -0x1.5554f082933fep-3,
    0x1.249ca508df990p-3,
    -0x1.0018660981214p-3,
    0x1.c596b256c9e67p-4,
    -0x1.94d7db158c366p-4,
    0x1.7ee88180afbe5p-4,
    -0x1.87556ed2ab35fp-4,
    0x1.465e883c535b3p-4,
    -0x1.074cb0809a109p-5};

/// log((1 + s) / (1 - s)) = 2 s + s^3 q(s^2), relative, on [0.0, 0.17157]; error 2^-58.49, rounded 2^-57.96.
inline constexpr double log_quotient_f64[] = {
    0x1.5555555555592p-1,
    0x1.999999997fdccp-2,
    0x1.24924941eff75p-2,
    0x1.c71c520a59cd7p-3,
    0x1.74663eb341603p-3,
    0x1.39a1c03216534p-3,
    0x1.2f052b373be0ep-3};

/// log((1 + s) / (1 - s)) = 2 s + s^3 (2/3 + s^2 q(s^2)), relative, on [0.0, 0.17157]; error 2^-72.55, rounded 2^-65.36.
inline constexpr double log_quotient_tail_f64[] = {
    0x1.9999999999996p-2,
    0x1.2492492493033p-2,
    0x1.c71c71c580946p-3,
    0x1.745d18323e1a5p-3,
    0x1.3b1362bb7a250p-3,
    0x1.1120b4d1c221dp-3,
    0x1.de339188abeb3p-4,
    0x1.eb100ff1eda7bp-4};

/// erf(x) = x + x q(x^2), relative, on [0.0, 1.0]; error 2^-62.74, rounded 2^-56.3.
inline constexpr double erf_f64[] = {
    0x1.06eba8214db69p-3,
    -0x1.812746b0379e6p-2,
    0x1.ce2f21a042b20p-4,
    -0x1.b82ce3128499ep-6,
    0x1.565bcd0db0331p-8,
    -0x1.c02db3d8ee000p-11,
    0x1.f9a321a136d70p-14,
    -0x1.f4d1df3b2c6d7p-17,
    0x1.b9def1b60d322p-20,
    -0x1.5f1d378e428fep-23,
    0x1.f7a41ab975787p-27,
    -0x1.386adb0be66dap-30,
    0x1.0579f156dc988p-34};

/// log2(erfc(x)), relative to 1 / erfc(x), on [1.0, 6.0]; error 2^-59.0, rounded 2^-57.69.
inline constexpr double log2_erfc_f64[] = {
    -0x1.1d9ec9e0c6f70p-22,
    -0x1.a0be563ae3824p+0,
    -0x1.d64087a276cf6p-1,
    -0x1.2f944bfbf4ecbp-3,
    0x1.c2ec999db887fp-6,
    0x1.aaf256dc5f681p-12,
    -0x1.4ee052ff22203p-9,
    0x1.e63afa4d4243fp-11,
    -0x1.1613b29937937p-14,
    -0x1.a612518375414p-14,
    0x1.0ee8d867bc986p-14,
    -0x1.8d79bdd1389d4p-16,
    0x1.a07de7c93b716p-18,
    -0x1.47523f7d8fd7cp-20,
    0x1.82bffc16600fbp-23,
    -0x1.4f27c8abe1fd0p-26,
    0x1.9353f6de14bfcp-30,
    -0x1.2d7fb7035ae8dp-34,
    0x1.a5f0a266aba1ep-40};

/// sin(r) = r + r^3 q(r^2), relative, on [0.0, 0.7854]; error 2^-27.97, rounded 2^-26.91.
inline constexpr double sin_f32[] = {
    -0x1.5555460000000p-3,
    0x1.11073c0000000p-7,
    -0x1.9943e60000000p-13};

/// sin(r) = r + r^3 q(r^2), relative, on [0.0, 0.7854]; error 2^-68.74, rounded 2^-57.14.
inline constexpr double sin_f64[] = {
    -0x1.5555555555555p-3,
    0x1.111111111110bp-7,
    -0x1.a01a01a018a6ep-13,
    0x1.71de3a5330a27p-19,
    -0x1.ae64528d99ca5p-26,
    0x1.61208c57f8655p-33,
    -0x1.aaa24e8b8f2d6p-41};

/// cos(r) = 1 - r^2 / 2 + r^4 q(r^2), relative, on [0.0, 0.7854]; error 2^-33.01, rounded 2^-32.44.
inline constexpr double cos_f32[] = {
    0x1.55554a0000000p-5,
    -0x1.6c0c340000000p-10,
    0x1.99eba80000000p-16};

/// cos(r) = 1 - r^2 / 2 + r^4 q(r^2), relative, on [0.0, 0.7854]; error 2^-74.99, rounded 2^-59.55.
inline constexpr double cos_f64[] = {
    0x1.5555555555555p-5,
    -0x1.6c16c16c16c0fp-10,
    0x1.a01a01a018ccbp-16,
    -0x1.27e4fb75eb94fp-22,
    0x1.1eed8c90d3ba5p-29,
    -0x1.939324278a803p-37,
    0x1.aabd1c2bda81ep-45};

/// tan(r) = r + r^3 q(r^2), relative, on [0.0, 0.7854]; error 2^-25.76, rounded 2^-25.21.
inline constexpr double tan_f32[] = {
    0x1.5554de0000000p-2,
    0x1.112dba0000000p-3,
    0x1.b58b6c0000000p-5,
    0x1.90446a0000000p-6,
    0x1.98e33c0000000p-9,
    0x1.338c1e0000000p-7};

/// tan(r) = r + r^3 q(r^2), relative, on [0.0, 0.7854]; error 2^-60.02, rounded 2^-56.35.
inline constexpr double tan_f64[] = {
    0x1.555555555555dp-2,
    0x1.111111111067ep-3,
    0x1.ba1ba1bab6068p-5,
    0x1.664f485f1ec7bp-6,
    0x1.226e3a411a2e4p-7,
    0x1.d6d2f23ed69a2p-9,
    0x1.7db0f7cee4d75p-10,
    0x1.34c209e7688f2p-11,
    0x1.fed94f34752dap-13,
    0x1.60301f32660abp-14,
    0x1.16cfd1aff8651p-14,
    -0x1.9e21bcc1c7051p-16,
    0x1.91502ea7b7661p-15,
    -0x1.909cdf2474ec3p-16,
    0x1.45d656890a693p-17};

/// asin(x) = x + x^3 q(x^2), relative, on [0.0, 0.5]; error 2^-27.62, rounded 2^-27.36.
inline constexpr double asin_f32[] = {
    0x1.5555c80000000p-3,
    0x1.3301e60000000p-4,
    0x1.747e1c0000000p-5,
    0x1.8c29fa0000000p-6,
    0x1.596bae0000000p-5};

/// asin(x) = x + x^3 q(x^2), relative, on [0.0, 0.5]; error 2^-63.81, rounded 2^-59.54.
inline constexpr double asin_f64[] = {
    0x1.5555555555553p-3,
    0x1.3333333333a3ap-4,
    0x1.6db6db6d48c74p-5,
    0x1.f1c71ca82ec75p-6,
    0x1.6e8b9af3bb6fcp-6,
    0x1.1c4f85458e98ap-6,
    0x1.c980e77f1111fp-7,
    0x1.7ba3eba50f836p-7,
    0x1.36c51e67f27bfp-7,
    0x1.47fe6f338063ap-7,
    0x1.661e45a346db4p-11,
    0x1.96b7a13404388p-6,
    -0x1.ac60d3a3af17bp-6,
    0x1.1397ce22612fep-5};

/// atan(x) = x + x^3 q(x^2), relative, on [0.0, 1.0]; error 2^-28.53, rounded 2^-26.08.
inline constexpr double atan_f32[] = {
    -0x1.55553e0000000p-2,
    0x1.9991fe0000000p-3,
    -0x1.2421ba0000000p-3,
    0x1.c09a360000000p-4,
    -0x1.5835380000000p-4,
    0x1.dacc1e0000000p-5,
    -0x1.fed5be0000000p-6,
    0x1.65aaf40000000p-7,
    -0x1.d637f80000000p-10};

/// atan(x) = x + x^3 q(x^2), relative, on [0.0, 1.0]; error 2^-62.81, rounded 2^-55.73.
inline constexpr double atan_f64[] = {
    -0x1.5555555555554p-2,
    0x1.99999999996f8p-3,
    -0x1.24924924858bcp-3,
    0x1.c71c71c326d0fp-4,
    -0x1.745d16e654608p-4,
    0x1.3b13ab3b90344p-4,
    -0x1.1110ccab822b7p-4,
    0x1.e1dd5f7e2844dp-5,
    -0x1.af0b5ee8a8212p-5,
    0x1.8586229342e64p-5,
    -0x1.61e2b53f922b4p-5,
    0x1.4047cda5b8b1dp-5,
    -0x1.1bdbb0a217d41p-5,
    0x1.dfa54bea5c2ddp-6,
    -0x1.7507974fc5c9ap-6,
    0x1.00c657d27dcd3p-6,
    -0x1.2c4bd2b04e4ecp-7,
    0x1.1d909ff38af72p-8,
    -0x1.a3654baac2dbdp-10,
    0x1.bad1ac1ad9843p-12,
    -0x1.298c4989caa10p-14,
    0x1.7cde9e5d2fcfdp-18};

/// erf(x) = q(d) with d = x - n * 131/512; x + q(x) for n = 0: q by power of d, then n. Error 2^-25.5.
inline constexpr double erf_f32[6][16] = {
    {0x0.0p+0,
     0x1.214f160000000p-2,
     0x1.0fbcd40000000p-1,
     0x1.71d2660000000p-1,
     0x1.b4540a0000000p-1,
     0x1.dbf1e60000000p-1,
     0x1.f0ad3e0000000p-1,
     0x1.fa352e0000000p-1,
     0x1.fe0e960000000p-1,
     0x1.ff6c300000000p-1,
     0x1.ffd9260000000p-1,
     0x1.fff6fa0000000p-1,
     0x1.fffe260000000p-1,
     0x1.ffffaa0000000p-1,
     0x1.fffff20000000p-1,
     0x1.fffffe0000000p-1},
    {0x1.06eba80000000p-3,
     0x1.0e8f7e0000000p+0,
     0x1.bca23c0000000p-1,
     0x1.4083fa0000000p-1,
     0x1.9561c80000000p-2,
     0x1.c1cc880000000p-3,
     0x1.b5d5ee0000000p-4,
     0x1.75e38a0000000p-5,
     0x1.1819820000000p-6,
     0x1.702c260000000p-8,
     0x1.a88cce0000000p-10,
     0x1.ad7b7c0000000p-12,
     0x1.7d27800000000p-14,
     0x1.28c0d80000000p-16,
     0x1.9560ac0000000p-19,
     0x1.e5ce9c0000000p-22},
    {0x1.0d04160000000p-22,
     -0x1.14e5440000000p-2,
     -0x1.c70c160000000p-2,
     -0x1.ec09a20000000p-2,
     -0x1.9ee2580000000p-2,
     -0x1.1fb7700000000p-2,
     -0x1.5014240000000p-3,
     -0x1.4ed32c0000000p-4,
     -0x1.1ea9f60000000p-5,
     -0x1.a7e2fa0000000p-7,
     -0x1.0f89980000000p-8,
     -0x1.2e22760000000p-10,
     -0x1.2479ac0000000p-12,
     -0x1.ed49860000000p-15,
     -0x1.6ac22c0000000p-17,
     -0x1.d1a4d20000000p-20},
    {-0x1.812b0c0000000p-2,
     -0x1.3989c60000000p-2,
     -0x1.1a65a80000000p-3,
     0x1.30ccde0000000p-5,
     0x1.27e13c0000000p-3,
     0x1.54d3fc0000000p-3,
     0x1.0efb380000000p-3,
     0x1.5178d20000000p-4,
     0x1.5880560000000p-5,
     0x1.26b2ba0000000p-6,
     0x1.abd1ec0000000p-8,
     0x1.0994520000000p-9,
     0x1.1b7cc40000000p-11,
     0x1.0524460000000p-13,
     0x1.a0579c0000000p-16,
     0x1.1fcf7e0000000p-18},
    {0x1.21727a0000000p-12,
     0x1.06c5800000000p-3,
     0x1.7522da0000000p-3,
     0x1.298ac40000000p-3,
     0x1.f619960000000p-5,
     -0x1.91ac660000000p-7,
     -0x1.7c41e60000000p-5,
     -0x1.7bb9dc0000000p-5,
     -0x1.011dec0000000p-5,
     -0x1.0de2ac0000000p-6,
     -0x1.cce9220000000p-8,
     -0x1.47d7020000000p-9,
     -0x1.89ce800000000p-11,
     -0x1.92e98e0000000p-13,
     -0x1.6130d00000000p-15,
     -0x1.0a64360000000p-17},
    {0x1.c6aed20000000p-4,
     0x1.455d760000000p-4,
     0x1.33faac0000000p-8,
     -0x1.c3f3e60000000p-5,
     -0x1.163b3a0000000p-4,
     -0x1.6315120000000p-5,
     -0x1.6bfca00000000p-7,
     0x1.142bf20000000p-7,
     0x1.a961080000000p-7,
     0x1.3dc8260000000p-7,
     0x1.5484980000000p-8,
     0x1.1eedda0000000p-9,
     0x1.8b17760000000p-11,
     0x1.c593fa0000000p-13,
     0x1.b778280000000p-15,
     0x1.6a43dc0000000p-17}};

}  // namespace weft::cpu
